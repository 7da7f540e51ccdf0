/** Randomness inside a plan: a pure function of seed, step, stream and element index (Philox), never of threads or time. */
import { describe, OptionError, ShapeError } from '../errors.ts'
import { defineOp, integers, spec } from '../graph/op.ts'
import { formatShape, type Shape } from '../graph/shape.ts'
import { apply, expectDtype, locate, type Tensor } from '../graph/tensor.ts'
import { multiply } from './elementwise.ts'
import { type Initializer, variable, whenTraining } from './source.ts'

export interface BernoulliAttributes {
  readonly probability: number
  /** Tells the random ops of one plan apart; numbered in order of appearance when a plan is made. */
  readonly stream: number
  readonly shape: Shape
  /** What a kept element is: the scale of dropout, which then needs no pass of its own. */
  readonly value: number
}

export const randomOps = {
  // y = value with the given probability (to 1/65536), else 0.
  bernoulli: defineOp<BernoulliAttributes>({
    name: 'bernoulli',
    infer: ([seed, step], { probability, shape, value }, where) => {
      expectDtype(where, seed, 'int32', 'seed')
      expectDtype(where, step, 'int32', 'step')
      if (seed.shape.length !== 1 || seed.shape[0] !== 2)
        throw new ShapeError(`${where}: seed must have shape [2], got ${formatShape(seed.shape)}.`)
      if (!(probability >= 0 && probability <= 1)) throw new OptionError(`${where}: probability must lie in 0 … 1, got ${probability}.`)
      if (!Number.isFinite(value)) throw new OptionError(`${where}: value must be finite, got ${value}.`)
      return { shape, dtype: 'float32' }
    },
    gradient: () => [null, null],
    samples: [
      { inputs: [integers([2], 1000), integers([], 50)], attributes: { probability: 0.3, stream: 0, shape: [4, 7], value: 1 } },
      { inputs: [integers([2], 1000), integers([], 50)], attributes: { probability: 0.8, stream: 3, shape: [3000], value: 1.25 } },
      { inputs: [integers([2], 1000), integers([], 50)], attributes: { probability: 1, stream: 1, shape: [130], value: -0.3 } },
      { inputs: [integers([2], 1000), integers([], 50)], attributes: { probability: 0.5, stream: 1, shape: [0], value: 2 } },
    ],
    rejects: [
      {
        inputs: [spec([2], 'int32'), spec([], 'int32')],
        attributes: { probability: 1.5, stream: 0, shape: [3], value: 1 },
        message: /must lie in 0 … 1, got 1.5/,
      },
      {
        inputs: [spec([3], 'int32'), spec([], 'int32')],
        attributes: { probability: 0.5, stream: 0, shape: [3], value: 1 },
        message: /seed must have shape \[2\]/,
      },
      {
        inputs: [spec([2], 'int32'), spec([], 'int32')],
        attributes: { probability: 0.5, stream: 0, shape: [3], value: Number.NaN },
        message: /value must be finite, got NaN/,
      },
    ],
  }),
}

const zero: Initializer = (values) => {
  values.fill(0)
}

/** The seed of a model and the number of training steps it has taken. Symbolic like any variable: each model gives them memory of its own. */
export const seedVariable = variable({ name: 'seed', block: 'state', shape: [2], dtype: 'int32', initialize: zero })
export const stepVariable = variable({ name: 'step', block: 'state', shape: [], dtype: 'int32', initialize: zero })

/**
 * Sets a random part of the elements to 0 while training and scales the others by 1/(1 - rate), so that the expected
 * value is kept; does nothing at inference (Srivastava et al. 2014, "Dropout", in the inverted form).
 *
 * @param rate The part that is dropped, 0 ≤ rate < 1, to 1/65536.
 */
export function droppedOut(x: Tensor, rate: number): Tensor {
  if (typeof rate !== 'number' || !(rate >= 0 && rate < 1))
    throw new OptionError(`${locate('dropout')}: rate must lie in 0 … 1 (1 excluded), got ${describe(rate)}.`)
  if (rate === 0) return x
  const attributes = { probability: 1 - rate, stream: 0, shape: x.shape, value: 1 / (1 - rate) }
  return whenTraining(multiply(x, apply(randomOps.bernoulli, [seedVariable, stepVariable], attributes)), x)
}
