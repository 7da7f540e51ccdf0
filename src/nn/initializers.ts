/** How parameters get their first values. Each is a function of the model's seed and the parameter's position alone. */
import { checkOptions, unknownName } from '../checks.ts'
import { describe, OptionError, ShapeError } from '../errors.ts'
import { formatShape } from '../graph/shape.ts'
import type { Initializer, InitializerDescription } from '../ops/source.ts'
import type { RandomStream } from '../random.ts'

/** Fan-in and fan-out of a kernel: the last two extents, times the receptive field before them. */
function fans(shape: readonly number[]): { in: number; out: number } {
  if (shape.length < 2) return { in: shape[0] ?? 1, out: shape[0] ?? 1 }
  const field = shape.slice(0, -2).reduce((product, extent) => product * extent, 1)
  return { in: field * shape[shape.length - 2], out: field * shape[shape.length - 1] }
}

function checkFinite(where: string, values: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(values))
    if (!Number.isFinite(value)) throw new OptionError(`${where}: ${name} must be a finite number, got ${describe(value)}.`)
}

function checkDeviation(where: string, mean: number, deviation: number): void {
  checkFinite(where, { mean, stddev: deviation })
  if (deviation < 0) throw new OptionError(`${where}: stddev must be at least 0, got ${deviation}.`)
}

/** A function that fills, with what a file is to say of it. */
function described(maker: keyof typeof makers, given: readonly unknown[], fill: Initializer): Initializer {
  return Object.assign(fill, { description: { name: maker, arguments: given } })
}

function drawnBy(draw: (random: RandomStream) => number): Initializer {
  return (values, _, random) => {
    for (let i = 0; i < values.length; i++) values[i] = draw(random)
  }
}

/** A standard normal number within ±2: others are drawn again. */
function truncated(random: RandomStream): number {
  for (;;) {
    const value = random.normal()
    if (Math.abs(value) <= 2) return value
  }
}

/** The deviation of a standard normal number within ±2. */
const TRUNCATED_DEVIATION = 0.87962566103423978

/**
 * Every element the same number.
 *
 * @example dense(8, { biasInitializer: constantOf(0.1) })
 */
export function constantOf(value: number): Initializer {
  checkFinite('constantOf', { value })
  return described('constantOf', [value], (values) => {
    values.fill(value)
  })
}

/**
 * All zeros.
 *
 * @example dense(8, { kernelInitializer: zeros })
 */
export const zeros: Initializer = constantOf(0)

/**
 * All ones.
 *
 * @example dense(8, { kernelInitializer: ones })
 */
export const ones: Initializer = constantOf(1)

/**
 * Uniform within low … high.
 *
 * @param low Default -0.05.
 * @param high Default 0.05.
 * @example dense(8, { kernelInitializer: uniformWithin(-0.1, 0.1) })
 */
export function uniformWithin(low = -0.05, high = 0.05): Initializer {
  checkFinite('uniformWithin', { low, high })
  if (low > high) throw new OptionError(`uniformWithin: low must not be above high, got ${low} and ${high}.`)
  return described(
    'uniformWithin',
    [low, high],
    drawnBy((random) => low + (high - low) * random.uniform()),
  )
}

/**
 * Normal with this mean and standard deviation.
 *
 * @param mean Default 0.
 * @param stddev Default 0.05.
 * @example dense(8, { kernelInitializer: normalOf(0, 0.02) })
 */
export function normalOf(mean = 0, stddev = 0.05): Initializer {
  checkDeviation('normalOf', mean, stddev)
  return described(
    'normalOf',
    [mean, stddev],
    drawnBy((random) => mean + stddev * random.normal()),
  )
}

/**
 * Normal, but values further than two `stddev` from the mean are drawn again. The standard deviation of what is left is 0.88 `stddev`, as in Keras.
 *
 * @param mean Default 0.
 * @param stddev Default 0.05.
 * @example dense(8, { kernelInitializer: truncatedNormal(0, 0.02) })
 */
export function truncatedNormal(mean = 0, stddev = 0.05): Initializer {
  checkDeviation('truncatedNormal', mean, stddev)
  return described(
    'truncatedNormal',
    [mean, stddev],
    drawnBy((random) => mean + stddev * truncated(random)),
  )
}

export interface VarianceScalingOptions {
  /** Default 1. */
  readonly scale?: number
  /** What the variance is divided by: "fanIn" (default), "fanOut", or "fanAverage". */
  readonly mode?: 'fanIn' | 'fanOut' | 'fanAverage'
  /** Default "truncatedNormal", whose deviation is corrected for the truncation. */
  readonly distribution?: 'truncatedNormal' | 'normal' | 'uniform'
}

const FAN_MODES = {
  fanIn: (fan: { in: number; out: number }) => fan.in,
  fanOut: (fan: { in: number; out: number }) => fan.out,
  fanAverage: (fan: { in: number; out: number }) => (fan.in + fan.out) / 2,
}

const DISTRIBUTIONS = {
  uniform: (variance: number) => {
    const bound = Math.sqrt(3 * variance)
    return (random: RandomStream) => (2 * random.uniform() - 1) * bound
  },
  normal: (variance: number) => {
    const deviation = Math.sqrt(variance)
    return (random: RandomStream) => random.normal() * deviation
  },
  truncatedNormal: (variance: number) => {
    const deviation = Math.sqrt(variance) / TRUNCATED_DEVIATION
    return (random: RandomStream) => truncated(random) * deviation
  },
}

/**
 * Mean 0 and variance scale / fan: what Glorot's, He's and LeCun's are made of (He et al. 2015, arXiv:1502.01852, section 2.2). The fan-in of a kernel is its
 * last extent but one, the fan-out its last, each times the extents before them.
 *
 * @example dense(8, { kernelInitializer: varianceScaling({ scale: 2, mode: 'fanOut', distribution: 'normal' }) })
 */
export function varianceScaling(options: VarianceScalingOptions = {}): Initializer {
  const at = 'varianceScaling'
  checkOptions(at, options, ['scale', 'mode', 'distribution'])
  const { scale = 1, mode = 'fanIn', distribution = 'truncatedNormal' } = options
  checkFinite(at, { scale })
  if (scale <= 0) throw new OptionError(`${at}: scale must be above 0, got ${scale}.`)
  if (!Object.hasOwn(FAN_MODES, mode)) throw unknownName('mode', mode, Object.keys(FAN_MODES), at)
  if (!Object.hasOwn(DISTRIBUTIONS, distribution)) throw unknownName('distribution', distribution, Object.keys(DISTRIBUTIONS), at)
  return described('varianceScaling', [{ scale, mode, distribution }], (values, shape, random) =>
    drawnBy(DISTRIBUTIONS[distribution](scale / FAN_MODES[mode](fans(shape))))(values, shape, random),
  )
}

/**
 * Uniform within ±√(6/(fanIn + fanOut)) (Glorot and Bengio 2010, equation 16): for tanh, sigmoid and linear layers.
 *
 * @example dense(8, { kernelInitializer: glorotUniform })
 */
export const glorotUniform: Initializer = varianceScaling({ mode: 'fanAverage', distribution: 'uniform' })

/**
 * Normal with variance 2/(fanIn + fanOut) (Glorot and Bengio 2010, equation 12).
 *
 * @example dense(8, { kernelInitializer: glorotNormal })
 */
export const glorotNormal: Initializer = varianceScaling({ mode: 'fanAverage', distribution: 'normal' })

/**
 * Uniform within ±√(6/fanIn), variance 2/fanIn (He et al. 2015, arXiv:1502.01852, equation 10): for relu and its kin.
 *
 * @example dense(8, { kernelInitializer: heUniform })
 */
export const heUniform: Initializer = varianceScaling({ scale: 2, distribution: 'uniform' })

/**
 * Normal with variance 2/fanIn (He et al. 2015, arXiv:1502.01852, equation 10).
 *
 * @example dense(8, { kernelInitializer: heNormal })
 */
export const heNormal: Initializer = varianceScaling({ scale: 2, distribution: 'normal' })

/**
 * Uniform within ±√(3/fanIn), variance 1/fanIn (LeCun et al. 1998, "Efficient BackProp", equation 16).
 *
 * @example dense(8, { kernelInitializer: leCunUniform })
 */
export const leCunUniform: Initializer = varianceScaling({ distribution: 'uniform' })

/**
 * Normal with variance 1/fanIn (LeCun et al. 1998, "Efficient BackProp", equation 16): for selu.
 *
 * @example dense(8, { kernelInitializer: leCunNormal })
 */
export const leCunNormal: Initializer = varianceScaling({ distribution: 'normal' })

/**
 * A random matrix whose columns are orthonormal times `gain` (its rows, where it has fewer of them), every such matrix equally likely (Saxe, McClelland
 * and Ganguli 2014, arXiv:1312.6120; Mezzadri 2007, arXiv:math-ph/0609050). Extents before the last count as one.
 *
 * @param gain Default 1.
 * @example dense(8, { kernelInitializer: orthogonal(Math.SQRT2) })
 */
export function orthogonal(gain = 1): Initializer {
  checkFinite('orthogonal', { gain })
  return described('orthogonal', [gain], (values, shape, random) => {
    if (shape.length < 2) throw new ShapeError(`orthogonal: expected a shape of two extents or more, got ${formatShape(shape)}.`)
    const columns = shape[shape.length - 1]
    const rows = values.length / columns
    const [long, short] = rows > columns ? [rows, columns] : [columns, rows]
    const q = orthonormalColumns(long, short, random)
    // q is stored by columns.
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < columns; j++) values[i * columns + j] = gain * (rows > columns ? q[j * long + i] : q[i * long + j])
  })
}

/** The length of a vector. */
function norm(v: Float64Array): number {
  return Math.sqrt(v.reduce((total, value) => total + value * value, 0))
}

/**
 * Q of the QR decomposition of a matrix of normal numbers, by columns (Householder 1958). With the diagonal of R made positive it is uniformly distributed.
 */
function orthonormalColumns(rows: number, columns: number, random: RandomStream): Float64Array {
  const a = Float64Array.from({ length: rows * columns }, () => random.normal())
  /** From row k on: a[column] -= 2 v (v · a[column]), v being the unit vector left in column k. */
  const reflect = (k: number, column: Float64Array) => {
    const v = a.subarray(k * rows, (k + 1) * rows)
    let product = 0
    for (let i = k; i < rows; i++) product += v[i] * column[i]
    for (let i = k; i < rows; i++) column[i] -= 2 * product * v[i]
  }
  const signs = new Float64Array(columns)
  for (let k = 0; k < columns; k++) {
    const v = a.subarray(k * rows, (k + 1) * rows)
    // The column becomes ∓‖v‖ e_k, of the sign that v does not cancel.
    signs[k] = v[k] > 0 ? -1 : 1
    v[k] -= signs[k] * norm(v.subarray(k))
    const length = norm(v.subarray(k))
    for (let i = k; i < rows && length > 0; i++) v[i] /= length
    for (let j = k + 1; j < columns; j++) reflect(k, a.subarray(j * rows, (j + 1) * rows))
  }
  // Q = H_0 H_1 …, applied to the columns of the identity.
  const q = new Float64Array(rows * columns)
  for (let j = 0; j < columns; j++) {
    const column = q.subarray(j * rows, (j + 1) * rows)
    column[j] = signs[j]
    for (let k = j; k >= 0; k--) reflect(k, column)
  }
  return q
}

/**
 * `gain` on the diagonal of a matrix, 0 elsewhere: a layer that begins by passing its input on.
 *
 * @param gain Default 1.
 * @example dense(8, { kernelInitializer: identity() })
 */
export function identity(gain = 1): Initializer {
  checkFinite('identity', { gain })
  return described('identity', [gain], (values, shape) => {
    if (shape.length !== 2) throw new ShapeError(`identity: expected a matrix, got ${formatShape(shape)}.`)
    values.fill(0)
    for (let i = 0; i < Math.min(...shape); i++) values[i * (shape[1] + 1)] = gain
  })
}

/** By the name that a description gives. */
const makers = { constantOf, uniformWithin, normalOf, truncatedNormal, varianceScaling, orthogonal, identity }

/** The initializer of a description; refuses one that none of ours has. */
export function initializerOf({ name, arguments: given }: InitializerDescription): Initializer {
  if (!Object.hasOwn(makers, name)) throw unknownName('initializer', name, Object.keys(makers))
  const make = makers[name as keyof typeof makers] as (...given: readonly unknown[]) => Initializer
  return make(...given)
}

const named = {
  zeros,
  ones,
  glorotUniform,
  glorotNormal,
  heUniform,
  heNormal,
  leCunUniform,
  leCunNormal,
  truncatedNormal: truncatedNormal(),
  orthogonal: orthogonal(),
  identity: identity(),
}

/** The initializers that go by name: those that need no option. */
export type InitializerName = keyof typeof named

/** An initializer by name, or a function of your own that fills the values it is given. */
export function initializer(where: string, choice: InitializerName | Initializer): Initializer {
  if (typeof choice === 'function') return choice
  if (!Object.hasOwn(named, choice)) throw unknownName('initializer', choice, Object.keys(named), where)
  return named[choice]
}
