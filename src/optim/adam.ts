/** Adam and its kin: means of gradients, divided by means of their size. */
import { checkBoolean, checkOptions } from '../checks.ts'
import { apply, type Tensor } from '../graph/tensor.ts'
import { abs, add, divide, exp, greater, less, maximum, multiply, sqrt, square, subtract, where } from '../ops/elementwise.ts'
import { assign, assignAll, updateOps } from '../ops/update.ts'
import {
  biasCorrection,
  decayedGradient,
  decayNames,
  decayOf,
  hints,
  overRoot,
  runningMean,
  shrunk,
  stepNumber,
  type WeightDecay,
  withoutRemnant,
} from './formulas.ts'
import { checkNumber, checkRate, MAX_FLOAT, MIN_FLOAT, type Optimizer, perParameter } from './optimizer.ts'
import type { LearningRate } from './schedules.ts'

/** What Adam and its kin have in common. */
export interface MomentOptions extends WeightDecay {
  /** A number, a schedule such as `schedules.cosine()` or its name, or a function of the epoch. */
  learningRate?: LearningRate
  /** Decay of the mean of gradients; default 0.9. */
  beta1?: number
  /** Decay of the mean of squared gradients; default 0.999. */
  beta2?: number
  /** Keeps the denominator above 0; default 1e-7 (Keras'). */
  epsilon?: number
}

/** Options of `adam` and `adamW`. */
export interface AdamOptions extends MomentOptions {
  /** Whether the denominator never shrinks; default false. */
  amsgrad?: boolean
  /** Whether ε is added to √v before its bias is corrected, as Keras and TensorFlow do; default false. */
  epsilonHat?: boolean
}

export const momentNames = ['learningRate', 'beta1', 'beta2', 'epsilon', ...decayNames]
const adamNames = [...momentNames, 'amsgrad', 'epsilonHat']

/** The options with their defaults, checked. */
export function momentsOf(name: string, options: MomentOptions) {
  const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-7, weightDecay = 0, excludeFromDecay = [] } = options
  checkRate(name, options.learningRate)
  checkNumber(name, 'beta1', beta1, 0, 1)
  checkNumber(name, 'beta2', beta2, 0, 1)
  checkNumber(name, 'epsilon', epsilon, MIN_FLOAT, MAX_FLOAT)
  return { beta1, beta2, epsilon, decay: decayOf(name, weightDecay, excludeFromDecay) }
}

/**
 * Adam (Kingma and Ba 2015, arXiv:1412.6980, algorithm 1). In step t, with the gradient g of a parameter p:
 * m = β1 m + (1 - β1) g; v = β2 v + (1 - β2) g²; p -= learningRate · m/(1 - β1^t) / (√(v/(1 - β2^t)) + ε).
 *
 * With `epsilonHat` the ε̂ of the last paragraph of their section 2: p -= learningRate · √(1 - β2^t)/(1 - β1^t) · m / (√v + ε).
 * With `amsgrad` the largest v so far stands in the place of v (Reddi, Kale and Kumar 2018, arXiv:1904.09237, algorithm 2, with the
 * corrections of bias as in PyTorch). `weightDecay` (default 0) is added to the gradient, as weightDecay · p, as in PyTorch: an L2
 * penalty, which Adam scales like the rest of the gradient; for decay that it does not scale use `adamW`.
 *
 * Keeps m and v for each number of a parameter, and with `amsgrad` the largest v.
 *
 * @example adam({ learningRate: 0.01, beta2: 0.99 })
 */
export function adam(options: AdamOptions = {}): Optimizer {
  checkOptions('adam', options, adamNames, hints)
  const { learningRate = 0.001, weightDecay = 0 } = options
  return adamLike('adam', { ...options, learningRate, weightDecay }, false)
}

/**
 * Adam with decoupled weight decay (Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2): as `adam`, but before each step
 * p -= learningRate · weightDecay · p.
 *
 * @example adamW({ weightDecay: 0.01, excludeFromDecay: ['bias', 'gamma', 'beta'] })
 */
export function adamW(options: AdamOptions = {}): Optimizer {
  checkOptions('adamW', options, adamNames, hints)
  const { learningRate = 0.001, weightDecay = 0.004 } = options
  return adamLike('adamW', { ...options, learningRate, weightDecay }, true)
}

function adamLike(name: string, options: AdamOptions & { learningRate: LearningRate }, decoupled: boolean): Optimizer {
  const { beta1, beta2, epsilon, decay } = momentsOf(name, options)
  const { amsgrad = false, epsilonHat = false } = options
  checkBoolean(name, 'amsgrad', amsgrad)
  checkBoolean(name, 'epsilonHat', epsilonHat)
  const slots = amsgrad ? ['mean', 'square', 'largestSquare'] : ['mean', 'square']
  return perParameter(name, options.learningRate, slots, (parameter, rate, steps) => {
    const { value: p, gradient, slots: kept, store } = parameter
    const weightDecay = decay(parameter)
    if (!amsgrad && (decoupled || weightDecay === 0)) {
      const operands = [p, store(gradient), kept.mean, kept.square, rate, steps]
      return apply(updateOps.adam, operands, { beta1, beta2, epsilon, epsilonHat, weightDecay })
    }
    const g = decoupled ? gradient : decayedGradient(gradient, p, weightDecay)
    const m = runningMean(kept.mean, g, beta1)
    const v = runningMean(kept.square, square(g), beta2)
    const largest = amsgrad ? maximum(kept.largestSquare, v) : v
    const [correction1, correction2] = [biasCorrection(beta1, steps), biasCorrection(beta2, steps)]
    const scaled = divide(rate, correction1)
    const change = epsilonHat
      ? overRoot(multiply(multiply(scaled, sqrt(correction2)), m), largest, epsilon)
      : overRoot(multiply(scaled, m), multiply(largest, divide(1, correction2)), epsilon)
    const next = subtract(decoupled ? shrunk(p, rate, weightDecay) : p, change)
    return assignAll([p, ...Object.values(kept)], amsgrad ? [next, m, v, largest] : [next, m, v])
  })
}

/**
 * Adamax (Kingma and Ba 2015, arXiv:1412.6980, algorithm 2), Adam by the infinity norm: m = β1 m + (1 - β1) g;
 * u = max(β2 u, |g|); p -= learningRate/(1 - β1^t) · m / (u + ε), with ε where Keras has it. `weightDecay` is added to the
 * gradient, as weightDecay · p.
 *
 * Keeps m and u for each number of a parameter. The defaults are the paper's, but for ε.
 *
 * @example adamax({ learningRate: 0.01 })
 */
export function adamax(options: MomentOptions = {}): Optimizer {
  checkOptions('adamax', options, momentNames, hints)
  const { learningRate = 0.002, weightDecay = 0 } = options
  const { beta1, beta2, epsilon, decay } = momentsOf('adamax', { ...options, learningRate, weightDecay })
  return perParameter('adamax', learningRate, ['mean', 'largest'], (parameter, rate, steps) => {
    const { value: p, slots: kept } = parameter
    const g = decayedGradient(parameter.gradient, p, decay(parameter))
    const m = runningMean(kept.mean, g, beta1)
    const u = maximum(withoutRemnant(multiply(beta2, kept.largest)), abs(g))
    const change = divide(multiply(divide(rate, biasCorrection(beta1, steps)), m), add(u, epsilon))
    return assignAll([p, kept.mean, kept.largest], [subtract(p, change), m, u])
  })
}

/** Options of `nadam`. */
export interface NadamOptions extends MomentOptions {
  /** ψ: how fast the momentum rises from β1/2 to β1; default 0.004, Dozat's. Keras has 1. */
  momentumDecay?: number
}

/**
 * Adam with Nesterov's momentum (Dozat 2016, "Incorporating Nesterov momentum into Adam", algorithm 2): with
 * μ_t = β1 (1 - ½ · 0.96^(ψ t)) and Π_t = μ_1 … μ_t, m and v as in `adam`,
 * m̂ = μ_(t+1) m/(1 - Π_(t+1)) + (1 - μ_t) g/(1 - Π_t); p -= learningRate · m̂ / (√(v/(1 - β2^t)) + ε).
 * `weightDecay` is added to the gradient, as weightDecay · p.
 *
 * Keeps m and v for each number of a parameter, and Π. Keras has a momentumDecay of 1; the default is Dozat's, and the learning rate PyTorch's.
 *
 * @example nadam({ learningRate: 0.001, momentumDecay: 1 })
 */
export function nadam(options: NadamOptions = {}): Optimizer {
  checkOptions('nadam', options, [...momentNames, 'momentumDecay'], hints)
  const { learningRate = 0.002, weightDecay = 0 } = options
  const { beta1, beta2, epsilon, decay } = momentsOf('nadam', { ...options, learningRate, weightDecay })
  const { momentumDecay = 0.004 } = options
  checkNumber('nadam', 'momentumDecay', momentumDecay, 0, MAX_FLOAT)
  const momentum = (t: Tensor) => multiply(beta1, subtract(1, multiply(0.5, exp(multiply(Math.log(0.96) * momentumDecay, t)))))
  return {
    name: 'nadam',
    learningRates: [learningRate],
    slots: () => [{ name: 'mean' }, { name: 'square' }],
    counters: [{ name: 'momentumProduct', initial: 1 }],
    update: ({ parameters, learningRates: [rate], step, counters: { momentumProduct } }) => {
      const t = stepNumber(step)
      const [now, next] = [momentum(t), momentum(add(t, 1))]
      const product = multiply(momentumProduct, now)
      const ofGradient = divide(multiply(rate, subtract(1, now)), subtract(1, product))
      const ofMean = divide(multiply(rate, next), subtract(1, multiply(product, next)))
      const correction = divide(1, biasCorrection(beta2, step))
      const updated = parameters.map((parameter) => {
        const { value: p, slots: kept } = parameter
        const g = decayedGradient(parameter.gradient, p, decay(parameter))
        const m = runningMean(kept.mean, g, beta1)
        const v = runningMean(kept.square, square(g), beta2)
        const change = overRoot(add(multiply(ofMean, m), multiply(ofGradient, g)), multiply(v, correction), epsilon)
        return assignAll([p, kept.mean, kept.square], [subtract(p, change), m, v])
      })
      return { parameters: updated, others: [assign(momentumProduct, product)] }
    },
  }
}

/**
 * Rectified Adam (Liu et al. 2020, arXiv:1908.03265, algorithm 2): m and v as in `adam`; with ρ∞ = 2/(1 - β2) - 1 and
 * ρ = ρ∞ - 2 t β2^t/(1 - β2^t), where ρ > 5
 * p -= learningRate · √((ρ - 4)(ρ - 2) ρ∞ / ((ρ∞ - 4)(ρ∞ - 2) ρ)) · √(1 - β2^t)/(1 - β1^t) · m / (√v + ε), with ε where PyTorch has it,
 * and in the first steps, where v is not to be trusted yet, p -= learningRate · m/(1 - β1^t).
 * `weightDecay` is added to the gradient, as weightDecay · p.
 *
 * Keeps m and v for each number of a parameter. `beta2` is at least 0.7: below 2/3, ρ never exceeds 5.
 *
 * @example radam({ learningRate: 0.01 })
 */
export function radam(options: MomentOptions = {}): Optimizer {
  checkOptions('radam', options, momentNames, hints)
  const { learningRate = 0.001, weightDecay = 0 } = options
  const { beta1, beta2, epsilon, decay } = momentsOf('radam', { ...options, learningRate, weightDecay })
  checkNumber('radam', 'beta2', beta2, 0.7, 1)
  return perParameter('radam', learningRate, ['mean', 'square'], (parameter, rate, steps) => {
    const { value: p, slots: kept } = parameter
    const g = decayedGradient(parameter.gradient, p, decay(parameter))
    const m = runningMean(kept.mean, g, beta1)
    const v = runningMean(kept.square, square(g), beta2)
    const length = freedom(beta2, steps)
    const trusted = greater(length, 5)
    const limit = 2 / (1 - beta2) - 1
    // A square root of what is negative is NaN, even if nobody takes it.
    const rho = maximum(length, 5)
    const share = divide(multiply(subtract(rho, 4), subtract(rho, 2)), multiply(((limit - 4) * (limit - 2)) / limit, rho))
    const rectified = overRoot(sqrt(multiply(share, biasCorrection(beta2, steps))), v, epsilon)
    const change = multiply(multiply(divide(rate, biasCorrection(beta1, steps)), m), where(trusted, rectified, 1))
    return assignAll([p, kept.mean, kept.square], [subtract(p, change), m, v])
  })
}

/**
 * ρ = (1 + β)/(1 - β) - 2 t β^t/(1 - β^t). In the first steps that is a small difference of large numbers. With L = -ln β and
 * f(z) = z coth z - 1 it is t - (f(t L/2) - f(L/2)) · 2/L, where f(z) = z²/(3 + z²/(5 + z²/(7 + …))) has no such difference.
 */
function freedom(beta: number, steps: Tensor): Tensor {
  const half = -Math.log(beta) / 2
  const t = stepNumber(steps)
  const z = multiply(half, t)
  const late = subtract((1 + beta) / (1 - beta), divide(multiply(multiply(2, t), exp(multiply(-2 * half, t))), biasCorrection(beta, steps)))
  const squared = square(z)
  const fraction = [9, 7, 5, 3].reduce((rest: Tensor, odd) => divide(squared, add(odd, rest)), divide(squared, 11))
  const early = subtract(t, divide(subtract(fraction, half / Math.tanh(half) - 1), half))
  return where(less(z, 2), early, late)
}
