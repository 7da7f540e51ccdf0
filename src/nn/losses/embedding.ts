/** Distances between embeddings, and losses that ask for more or less of it. */
import { checkOptions } from '../../checks.ts'
import { describe, OptionError } from '../../errors.ts'
import { batch, formatShape } from '../../graph/shape.ts'
import { expectTensor, type Tensor } from '../../graph/tensor.ts'
import {
  add,
  cast,
  equal,
  greater,
  maximum,
  multiply,
  negate,
  relu,
  softplus,
  sqrt,
  square,
  subtract,
  where,
} from '../../ops/elementwise.ts'
import { matmul } from '../../ops/matmul.ts'
import { max, sum } from '../../ops/reduce.ts'
import { reshape, transpose } from '../../ops/shape.ts'
import { checkLossOptions, checkPositive, type Loss, type LossOptions } from './loss.ts'

/** Squared distances below this count as this: a root has an infinite slope at 0. */
const LEAST_SQUARE = 1e-12

/**
 * |a - b|, the Euclidean distance along the last axis; 1e-6 at least, so that it has a slope everywhere.
 *
 * @param a [..., features].
 * @param b The same shape, or one that broadcasts to it.
 * @returns [...].
 * @example euclideanDistance(input(8), input(8))
 */
export function euclideanDistance(a: Tensor, b: Tensor): Tensor {
  expectTensor('euclideanDistance', a, 'a')
  expectTensor('euclideanDistance', b, 'b')
  return sqrt(maximum(sum(square(subtract(a, b)), { axes: [-1] }), LEAST_SQUARE))
}

/** Options of `losses.triplet` and `tripletMargin`. */
export interface TripletOptions extends LossOptions {
  /** By how much a negative has to be farther away than a positive; default 1. "soft" puts log(1 + e^x) in place of max(x + margin, 0). */
  readonly margin?: number | 'soft'
}

/** Makes the cost of a triplet from how much farther the positive is than the negative. */
function costOf(name: string, { margin = 1 }: TripletOptions): (excess: Tensor) => Tensor {
  if (margin === 'soft') return softplus
  if (typeof margin === 'string') throw new OptionError(`${name}: margin must be a number or "soft", got ${describe(margin)}.`)
  checkPositive(name, 'margin', margin)
  return (excess) => relu(add(excess, margin))
}

/**
 * max(|a - p| - |a - n| + margin, 0) for anchors a, positives p and negatives n (Schroff, Kalenichenko and Philbin 2015, "FaceNet", arXiv:1503.03832, section 3.1, with
 * distances that are not squared, as in PyTorch's TripletMarginLoss): for graphs of your own, such as a model of three inputs whose loss is a function.
 *
 * @param anchor [batch, …, features]; `positive` and `negative` have the same shape.
 * @param options `margin` (default 1).
 * @returns The loss of each triplet, [batch, …].
 * @example tripletMargin(input(8), input(8), input(8), { margin: 0.2 })
 */
export function tripletMargin(anchor: Tensor, positive: Tensor, negative: Tensor, options: Omit<TripletOptions, 'reduction'> = {}): Tensor {
  checkOptions('tripletMargin', options, ['margin'])
  return costOf('tripletMargin', options)(subtract(euclideanDistance(anchor, positive), euclideanDistance(anchor, negative)))
}

/** Beyond any distance, and finite. */
const FAR = 2 ** 100

/**
 * The triplet loss over the hardest triplets of a batch (Hermans, Beyer and Leibe 2017, "In defense of the triplet loss for person re-identification", arXiv:1703.07737,
 * equation 5): for each sample as anchor, max(d⁺ - d⁻ + margin, 0), d⁺ being the distance of the farthest sample of its class and d⁻ that of the nearest one of
 * another. The model's output is an embedding [batch, features]; targets are int32 class numbers below 2^24, [batch]. Samples without another one of their class,
 * or of another class, in the batch do not count. So the loss depends on which samples meet in a batch: use large batches.
 *
 * @param options `margin` (default 1), `reduction` (default "mean").
 * @example losses.triplet({ margin: 'soft' })
 */
export function triplet(options: TripletOptions = {}): Loss {
  checkLossOptions('triplet', options, ['margin'])
  const cost = costOf('losses.triplet', options)
  const { reduction = 'mean' } = options
  /** 1 where two samples are of one class: [batch, batch]. */
  const sameClass = (t: Tensor): Tensor => {
    const classes = cast(t)
    return equal(reshape(classes, [batch, 1]), reshape(classes, [1, batch]))
  }
  /** 1 for each sample that has another one of its class, and one of another class. */
  const counts = (_: Tensor, t: Tensor): Tensor => {
    const same = sameClass(t)
    const among = (pairs: Tensor) => sum(pairs, { axes: [1] })
    return multiply(greater(among(same), 1), greater(among(subtract(1, same)), 0))
  }
  return {
    name: 'triplet',
    task: 'regression',
    reduction,
    target: (prediction) => {
      if (prediction.rank !== 2)
        throw new OptionError(
          `losses.triplet: the model's output must have shape [batch, features], got ${formatShape(prediction.shape)}; for triplets that are given use tripletMargin.`,
        )
      return { shape: [batch], dtype: 'int32' }
    },
    range: () => ({ kind: 'classes', count: 2 ** 24 }),
    includes: [],
    counts,
    compute: (x, t) => {
      const lengths = sum(square(x), { axes: [1], keepDims: true })
      const squares = subtract(add(lengths, transpose(lengths)), multiply(2, matmul(x, x, { transposeB: true })))
      const distances = sqrt(maximum(squares, LEAST_SQUARE))
      const same = sameClass(t)
      const farthest = max(where(same, distances, 0), { axes: [1] })
      const nearest = negate(max(where(same, -FAR, negate(distances)), { axes: [1] }))
      return where(counts(x, t), cost(subtract(farthest, nearest)), 0)
    },
  }
}
