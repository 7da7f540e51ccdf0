/** Randomness inside a plan: a pure function of seed, step, stream and element index (Philox), never of threads or time. */
import { describe, OptionError, ShapeError } from '../errors.ts'
import { defineOp, integers, type Reject, type Sample, spec } from '../graph/op.ts'
import { checkExtents, formatShape, type Shape } from '../graph/shape.ts'
import { apply, expectDtype, locate, type Spec, type Tensor } from '../graph/tensor.ts'
import { add, less, log, multiply, negate, sqrt, subtract, where } from './elementwise.ts'
import { type Initializer, variable, whenTraining } from './source.ts'

export interface UniformAttributes {
  /** Tells the random ops of one plan apart; numbered in order of appearance when a plan is made. */
  readonly stream: number
  readonly shape: Shape
}

export interface BernoulliAttributes extends UniformAttributes {
  readonly probability: number
  /** What a kept element is: the scale of dropout, which then needs no pass of its own. */
  readonly value: number
}

/** What all random ops have as operands. */
function expectSeedAndStep(where: string, seed: Spec, step: Spec): void {
  expectDtype(where, seed, 'int32', 'seed')
  expectDtype(where, step, 'int32', 'step')
  if (seed.shape.length !== 1 || seed.shape[0] !== 2)
    throw new ShapeError(`${where}: seed must have shape [2], got ${formatShape(seed.shape)}.`)
}

const drawn = <A>(attributes: A): Sample<A> => ({ inputs: [integers([2], 1000), integers([], 50)], attributes })
const refused = <A>(attributes: A, message: RegExp, seed: readonly number[] = [2]): Reject<A> => ({
  inputs: [spec(seed, 'int32'), spec([], 'int32')],
  attributes,
  message,
})

export const randomOps = {
  // y = value with the given probability (to 1/65536), else 0.
  bernoulli: defineOp<BernoulliAttributes>({
    name: 'bernoulli',
    infer: ([seed, step], { probability, shape, value }, where) => {
      expectSeedAndStep(where, seed, step)
      if (!(probability >= 0 && probability <= 1)) throw new OptionError(`${where}: probability must lie in 0 … 1, got ${probability}.`)
      if (!Number.isFinite(value)) throw new OptionError(`${where}: value must be finite, got ${value}.`)
      return { shape, dtype: 'float32' }
    },
    gradient: () => [null, null],
    samples: [
      drawn({ probability: 0.3, stream: 0, shape: [4, 7], value: 1 }),
      drawn({ probability: 0.8, stream: 3, shape: [3000], value: 1.25 }),
      drawn({ probability: 1, stream: 1, shape: [130], value: -0.3 }),
      drawn({ probability: 0.5, stream: 1, shape: [0], value: 2 }),
    ],
    rejects: [
      refused({ probability: 1.5, stream: 0, shape: [3], value: 1 }, /must lie in 0 … 1, got 1.5/),
      refused({ probability: 0.5, stream: 0, shape: [3], value: 1 }, /seed must have shape \[2\]/, [3]),
      refused({ probability: 0.5, stream: 0, shape: [3], value: Number.NaN }, /value must be finite, got NaN/),
    ],
  }),

  // y = an odd multiple of 2^-24, all of them within 0 … 1 equally likely: never 0 or 1, and exact in float32, as 1 - y is.
  uniform: defineOp<UniformAttributes>({
    name: 'uniform',
    infer: ([seed, step], { shape }, where) => {
      expectSeedAndStep(where, seed, step)
      return { shape, dtype: 'float32' }
    },
    gradient: () => [null, null],
    samples: [
      drawn({ stream: 0, shape: [4, 7] }),
      drawn({ stream: 3, shape: [5001] }),
      drawn({ stream: 1, shape: [64] }),
      drawn({ stream: 1, shape: [0] }),
    ],
    rejects: [refused({ stream: 0, shape: [3] }, /seed must have shape \[2\]/, [3])],
  }),
}

/** Whether a tensor is drawn at random. */
export function isRandom({ op }: Tensor): boolean {
  return Object.values<unknown>(randomOps).includes(op)
}

const zero: Initializer = (values) => {
  values.fill(0)
}

/** The seed of a model and the number of training steps it has taken. Symbolic like any variable: each model gives them memory of its own. */
export const seedVariable = variable({ name: 'seed', block: 'state', shape: [2], dtype: 'int32', initialize: zero })
export const stepVariable = variable({ name: 'step', block: 'state', shape: [], dtype: 'int32', initialize: zero })

const generator = [seedVariable, stepVariable]

function checkShape(name: string, shape: Shape): void {
  const where = locate(name)
  if (!Array.isArray(shape)) throw new OptionError(`${where}: shape must be an array, got ${describe(shape)}.`)
  checkExtents(where, shape)
}

/**
 * Random numbers, uniform between 0 and 1 (neither of which occurs), with 23 random bits; new ones in every training step. They depend on the seed of
 * the model, the step and their place alone, so predictions repeat those of the model's present step.
 *
 * @param shape May have `batch` among its extents.
 * @example randomUniform([batch, 8])
 */
export function randomUniform(shape: Shape): Tensor {
  checkShape('randomUniform', shape)
  return apply(randomOps.uniform, generator, { stream: 0, shape })
}

/** 0 + c[0] x⁰ + c[1] x + … by Horner's rule. */
function polynomial(x: Tensor, coefficients: readonly number[]): Tensor {
  return coefficients
    .slice(0, -1)
    .reduceRight<Tensor | number>((sum, coefficient) => add(multiply(sum, x), coefficient), coefficients[coefficients.length - 1]) as Tensor
}

// Giles 2012, "Approximating the erfinv function", table 5: single precision, lowest power first.
const CENTRE = [
  1.50140941, 0.246640727, -0.00417768164, -0.00125372503, 0.00021858087, -4.39150654e-6, -3.5233877e-6, 3.43273939e-7, 2.81022636e-8,
]
const TAIL = [
  2.83297682, 1.00167406, 0.00943887047, -0.0076224613, 0.00573950773, -0.00367342844, 0.00134934322, 0.000100950558, -0.000200214257,
]

/**
 * Random numbers, normal with mean 0 and standard deviation 1, within ±5.3; new ones in every training step, as with `randomUniform`. They are √2 erf⁻¹(2u - 1)
 * for uniform u, the inverse error function by the polynomials of Giles 2012 ("Approximating the erfinv function", table 5).
 *
 * @param shape May have `batch` among its extents.
 * @example randomNormal([batch, 8])
 */
export function randomNormal(shape: Shape): Tensor {
  checkShape('randomNormal', shape)
  const u = apply(randomOps.uniform, generator, { stream: 0, shape })
  // w = -log(1 - x²) for x = 2u - 1, of which 1 - u and x are exact.
  const w = negate(log(multiply(multiply(4, u), subtract(1, u))))
  const factor = where(less(w, 5), polynomial(subtract(w, 2.5), CENTRE), polynomial(subtract(sqrt(w), 3), TAIL))
  return multiply(multiply(factor, subtract(multiply(2, u), 1)), Math.SQRT2)
}

/** Refuses what is not a part of a whole. */
export function checkRate(where: string, rate: unknown): asserts rate is number {
  if (typeof rate !== 'number' || !(rate >= 0 && rate < 1))
    throw new OptionError(`${where}: rate must lie in 0 … 1 (1 excluded), got ${describe(rate)}.`)
}

/** `value` with a probability of 1 - rate, else 0. */
export function keptMask(rate: number, shape: Shape, value = 1): Tensor {
  return apply(randomOps.bernoulli, generator, { probability: 1 - rate, stream: 0, shape, value })
}

/**
 * Sets a random part of the elements to 0 while training and scales the others by 1/(1 - rate), so that the expected
 * value is kept; does nothing at inference (Srivastava et al. 2014, "Dropout", in the inverted form).
 *
 * @param rate The part that is dropped, 0 ≤ rate < 1, to 1/65536.
 * @param shape What is dropped together: the mask has this shape, and is repeated to that of x. Default: the shape of x.
 */
export function droppedOut(x: Tensor, rate: number, shape: Shape = x.shape): Tensor {
  checkRate(locate('dropout'), rate)
  return rate === 0 ? x : whenTraining(multiply(x, keptMask(rate, shape, 1 / (1 - rate))), x)
}
