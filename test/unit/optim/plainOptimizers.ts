/** Optimizers as plain loops in double precision: the parameters after each step. */
import type {
  AdafactorOptions,
  AdamOptions,
  FtrlOptions,
  LionOptions,
  MomentOptions,
  RmspropOptions,
  SgdOptions,
} from '../../../src/index.ts'
import { rows } from '../../training/support.ts'

/** Not a multiple of any vector width. */
export const width = 37
export const gradients = rows(5, width, 1)

/** v = momentum v + d; p -= rate v, or with nesterov rate (d + momentum v), where d = g + weightDecay p. */
export function plainSgd({ learningRate = 0.01, momentum = 0, nesterov = false, weightDecay = 0 }: SgdOptions): number[][] {
  const p = new Array<number>(width).fill(1)
  const v = new Array<number>(width).fill(0)
  return gradients.map((gradient) => {
    gradient.forEach((g, i) => {
      const d = Math.fround(g) + weightDecay * p[i]
      v[i] = momentum * v[i] + d
      p[i] -= Number(learningRate) * (nesterov ? d + momentum * v[i] : v[i])
    })
    return [...p]
  })
}

/** m̂ = m / (1 - β1^t), v̂ = v / (1 - β2^t); p -= rate (m̂ / (√v̂ + ε) + weightDecay p); with epsilonHat ε / √(1 - β2^t) in the place of ε. */
export function plainAdam(options: AdamOptions): number[][] {
  const { learningRate = 0.001, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-7, epsilonHat = false, weightDecay = 0 } = options
  const p = new Array<number>(width).fill(1)
  const m = new Array<number>(width).fill(0)
  const v = new Array<number>(width).fill(0)
  return gradients.map((gradient, step) => {
    gradient.forEach((value, i) => {
      const g = Math.fround(value)
      m[i] = beta1 * m[i] + (1 - beta1) * g
      v[i] = beta2 * v[i] + (1 - beta2) * g * g
      const correction = 1 - beta2 ** (step + 1)
      const addend = epsilonHat ? epsilon / Math.sqrt(correction) : epsilon
      const corrected = m[i] / (1 - beta1 ** (step + 1)) / (Math.sqrt(v[i] / correction) + addend)
      p[i] -= Number(learningRate) * (corrected + weightDecay * p[i])
    })
    return [...p]
  })
}

/** v = ρ v + (1 - ρ) d², m = ρ m + (1 - ρ) d; b = momentum b + d / √(v - m² + ε); p -= rate b, where d = g + weightDecay p. */
export function plainRmsprop({
  learningRate = 0.001,
  rho = 0.9,
  momentum = 0,
  epsilon = 1e-7,
  centered = false,
  weightDecay = 0,
}: RmspropOptions) {
  const p = new Array<number>(width).fill(1)
  const [v, m, b] = [p.map(() => 0), p.map(() => 0), p.map(() => 0)]
  return gradients.map((gradient) => {
    gradient.forEach((g, i) => {
      const d = Math.fround(g) + weightDecay * p[i]
      v[i] = rho * v[i] + (1 - rho) * d * d
      m[i] = rho * m[i] + (1 - rho) * d
      b[i] = momentum * b[i] + d / Math.sqrt(v[i] - (centered ? m[i] * m[i] : 0) + epsilon)
      p[i] -= Number(learningRate) * b[i]
    })
    return [...p]
  })
}

/** p -= rate (sign(β1 m + (1 - β1) g) + weightDecay p); m = β2 m + (1 - β2) g. */
export function plainLion({ learningRate = 1e-4, beta1 = 0.9, beta2 = 0.99, weightDecay = 0 }: LionOptions): number[][] {
  const p = new Array<number>(width).fill(1)
  const m = new Array<number>(width).fill(0)
  return gradients.map((gradient) => {
    gradient.forEach((g, i) => {
      p[i] -= Number(learningRate) * (Math.sign(beta1 * m[i] + (1 - beta1) * g) + weightDecay * p[i])
      m[i] = beta2 * m[i] + (1 - beta2) * g
    })
    return [...p]
  })
}

/** n' = n + g²; z += g + 2 shrinkage p - (q(n') - q(n)) / rate p; p = (clip(z, λ1) - z) / ((q(n') + β) / rate + 2 λ2), q(n) = n^-power. */
export function plainFtrl(options: FtrlOptions): number[][] {
  const {
    learningRatePower = -0.5,
    initialAccumulator = 0.1,
    l1Regularization = 0,
    l2Regularization = 0,
    l2Shrinkage = 0,
    beta = 0,
  } = options
  const rate = Number(options.learningRate ?? 0.001)
  const p = new Array<number>(width).fill(1)
  const [n, z] = [p.map(() => initialAccumulator), p.map(() => 0)]
  return gradients.map((gradient) => {
    gradient.forEach((value, i) => {
      const g = Math.fround(value)
      const [before, behind] = [n[i] ** -learningRatePower, (n[i] + g * g) ** -learningRatePower]
      n[i] += g * g
      z[i] += g + 2 * l2Shrinkage * p[i] - ((behind - before) / rate) * p[i]
      const clipped = Math.min(Math.max(z[i], -l1Regularization), l1Regularization)
      p[i] = (clipped - z[i]) / ((behind + beta) / rate + 2 * l2Regularization)
    })
    return [...p]
  })
}

export const norm = (x: readonly number[]) => Math.hypot(...x)

/** u = m̂ / (√v̂ + ε) + weightDecay p; p -= rate ‖p‖ / ‖u‖ u. */
export function plainLamb({
  learningRate = 0.001,
  beta1 = 0.9,
  beta2 = 0.999,
  epsilon = 1e-7,
  weightDecay = 0,
}: MomentOptions): number[][] {
  let p = new Array<number>(width).fill(1)
  const [m, v] = [p.map(() => 0), p.map(() => 0)]
  return gradients.map((gradient, step) => {
    const u = gradient.map((value, i) => {
      const g = Math.fround(value)
      m[i] = beta1 * m[i] + (1 - beta1) * g
      v[i] = beta2 * v[i] + (1 - beta2) * g * g
      return m[i] / (1 - beta1 ** (step + 1)) / (Math.sqrt(v[i] / (1 - beta2 ** (step + 1))) + epsilon) + weightDecay * p[i]
    })
    const ratio = norm(p) / norm(u)
    p = p.map((value, i) => value - Number(learningRate) * ratio * u[i])
    return [...p]
  })
}

/**
 * Shazeer and Stern's algorithms 4 (matrices of `columns` columns) and 5 (vectors: no columns), for ones as parameters:
 * V = β V + (1 - β)(g² + ε1), or from its means R of rows and C of columns; u = g / √V; û = u / max(1, RMS(u) / d);
 * p -= min(rate, 1/√t) max(ε2, RMS(p)) û.
 */
export function plainAdafactor(options: AdafactorOptions, steps: readonly (readonly number[])[], columns?: number): number[][] {
  const { beta2Decay = -0.8, epsilon1 = 1e-30, epsilon2 = 0.001, clipThreshold = 1, relativeStep = true, weightDecay = 0 } = options
  const rate = Number(options.learningRate ?? 0.01)
  const size = steps[0].length
  const rms = (x: readonly number[]) => norm(x) / Math.sqrt(size)
  let p = new Array<number>(size).fill(1)
  const v = p.map(() => 0)
  const [R, C] = [new Array<number>(size / (columns ?? size)).fill(0), new Array<number>(columns ?? 0).fill(0)]
  return steps.map((gradient, step) => {
    const g = gradient.map(Math.fround)
    const beta = 1 - (step + 1) ** beta2Decay
    const squares = g.map((value) => value * value + epsilon1)
    let u: number[]
    if (columns === undefined) {
      squares.forEach((value, i) => {
        v[i] = beta * v[i] + (1 - beta) * value
      })
      u = g.map((value, i) => value / Math.sqrt(v[i]))
    } else {
      R.forEach((value, row) => {
        const own = squares.slice(row * columns, (row + 1) * columns)
        R[row] = beta * value + ((1 - beta) * own.reduce((a, b) => a + b)) / columns
      })
      C.forEach((value, column) => {
        const own = squares.filter((_, i) => i % columns === column)
        C[column] = beta * value + ((1 - beta) * own.reduce((a, b) => a + b)) / R.length
      })
      const average = R.reduce((a, b) => a + b) / R.length
      u = g.map((value, i) => value / Math.sqrt(R[Math.floor(i / columns)] / average) / Math.sqrt(C[i % columns]))
    }
    const scale = Math.max(epsilon2, rms(p)) * (relativeStep ? Math.min(rate, 1 / Math.sqrt(step + 1)) : rate)
    const clip = Math.max(1, rms(u) / clipThreshold)
    p = p.map((value, i) => value - rate * weightDecay * value - (scale * u[i]) / clip)
    return [...p]
  })
}
