/** Reductions. The primitives reduce one run of neighbouring axes; the functions below compose them. */
import { checkOptions } from '../checks.ts'
import { describe, OptionError, ShapeError } from '../errors.ts'
import { defineOp, type Reject, type RewriteCall, type Sample, type SampleInput, spec, uniform } from '../graph/op.ts'
import { formatShape, normaliseAxis, type Shape, sameShape } from '../graph/shape.ts'
import { apply, expectDtype, expectTensor, locate, type Spec, type Tensor } from '../graph/tensor.ts'
import { divide, equal, multiply, square, subtract } from './elementwise.ts'
import { broadcastTo, reshape } from './shape.ts'
import { elementCount } from './source.ts'

export interface ReduceAttributes {
  /** Axes start … end-1 are reduced. */
  readonly start: number
  readonly end: number
  readonly keepDims: boolean
}

function inferReduction(inputs: readonly Spec[], { start, end, keepDims }: ReduceAttributes, where: string): Spec {
  const [x] = inputs
  expectDtype(where, x, 'float32')
  if (!(0 <= start && start < end && end <= x.shape.length)) {
    throw new ShapeError(`${where}: axes ${start} … ${end - 1} are out of range for shape ${formatShape(x.shape)}.`)
  }
  const kept = keepDims ? x.shape.slice(start, end).map(() => 1) : []
  return { shape: [...x.shape.slice(0, start), ...kept, ...x.shape.slice(end)], dtype: 'float32' }
}

const sample = (input: SampleInput, start: number, end: number, keepDims = false): Sample<ReduceAttributes> => ({
  inputs: [input],
  attributes: { start, end, keepDims },
})

const reductionSamples = (distinct: boolean): Sample<ReduceAttributes>[] => [
  sample(uniform([7], { distinct }), 0, 1),
  sample(uniform([1, 1], { distinct }), 1, 2),
  sample(uniform([4, 17], { distinct }), 1, 2, true),
  sample(uniform([17, 4], { distinct }), 0, 1),
  sample(uniform([3, 5, 7], { distinct }), 1, 2),
  sample(uniform([3, 5, 7], { distinct }), 0, 3),
  sample(uniform([2, 3, 5, 7], { distinct }), 1, 3, true),
  sample(uniform([523, 33], { distinct }), 0, 1),
  sample(uniform([3, 1031], { distinct }), 1, 2),
  sample(uniform([0, 3], { distinct }), 1, 2),
]

const reductionRejects: Reject<ReduceAttributes>[] = [
  { inputs: [spec([2, 3])], attributes: { start: 1, end: 3, keepDims: false }, message: /axes 1 … 2 are out of range for shape \[2, 3\]/ },
  { inputs: [spec([2, 3], 'int32')], attributes: { start: 0, end: 1, keepDims: false }, message: /must be float32, got int32/ },
]

/** A reduced tensor with its axes put back as extents of 1. */
function restored(y: Tensor, x: Tensor, { start, end }: ReduceAttributes): Tensor {
  return reshape(y, [...x.shape.slice(0, start), ...x.shape.slice(start, end).map(() => 1), ...x.shape.slice(end)])
}

/** What is reduced over extents of 1 is a view. */
function unreduced({ inputs: [x], output, attributes: { start, end } }: RewriteCall<ReduceAttributes>): Tensor | null {
  return x.shape.slice(start, end).every((extent) => extent === 1) ? reshape(x, output.shape) : null
}

export const reduceOps = {
  sum: defineOp<ReduceAttributes>({
    name: 'sum',
    infer: inferReduction,
    gradient: ({ inputs: [x], attributes, dy }) => [broadcastTo(restored(dy, x, attributes), x.shape)],
    simplify: unreduced,
    samples: [...reductionSamples(false), sample(uniform([3, 0]), 1, 2), sample(uniform([40_007]), 0, 1)],
    rejects: reductionRejects,
  }),

  // y = the largest element; NaN if any is. Elements that tie share the gradient equally.
  max: defineOp<ReduceAttributes>({
    name: 'max',
    infer: inferReduction,
    gradient: ({ inputs: [x], output, attributes, dy }): readonly Tensor[] => {
      const largest = equal(x, restored(output, x, attributes))
      const ties: Tensor = apply(reduceOps.sum, [largest], { ...attributes, keepDims: true })
      return [multiply(largest, divide(restored(dy, x, attributes), ties))]
    },
    simplify: unreduced,
    samples: reductionSamples(true),
    rejects: reductionRejects,
  }),

  // y = Σ x² over every element of every operand.
  sumOfSquares: defineOp({
    name: 'sumOfSquares',
    flat: true,
    infer: (inputs, _, where) => {
      for (const input of inputs) expectDtype(where, input, 'float32')
      return { shape: [], dtype: 'float32' }
    },
    gradient: ({ inputs, dy }) => inputs.map((x) => multiply(x, multiply(2, dy))),
    samples: [
      { inputs: [uniform([7])], attributes: {} },
      { inputs: [uniform([]), uniform([3, 5]), uniform([0]), uniform([17])], attributes: {} },
      { inputs: [uniform([40_007])], attributes: {} },
      { inputs: [uniform([16_384]), uniform([129, 131])], attributes: {} },
    ],
    rejects: [{ inputs: [spec([3], 'int32')], attributes: {}, message: /must be float32/ }],
  }),

  // y = the index of the first largest element along one axis.
  argmax: defineOp<{ axis: number }>({
    name: 'argmax',
    infer: ([x], { axis }, where) => {
      expectDtype(where, x, 'float32')
      if (x.shape[axis] === undefined) throw new ShapeError(`${where}: axis ${axis} is out of range for shape ${formatShape(x.shape)}.`)
      if (x.shape[axis] === 0)
        throw new ShapeError(`${where}: axis ${axis} of shape ${formatShape(x.shape)} is empty, it has no largest element.`)
      return { shape: x.shape.filter((_, i) => i !== axis), dtype: 'int32' }
    },
    gradient: () => [null],
    samples: [
      { inputs: [uniform([7], { distinct: true })], attributes: { axis: 0 } },
      { inputs: [uniform([5, 19], { distinct: true })], attributes: { axis: 1 } },
      { inputs: [uniform([4, 3, 6], { distinct: true })], attributes: { axis: 1 } },
    ],
    rejects: [
      { inputs: [spec([2, 3])], attributes: { axis: 2 }, message: /axis 2 is out of range/ },
      { inputs: [spec([2, 0])], attributes: { axis: 1 }, message: /no largest/ },
    ],
  }),
}

/** What a reduction reduces. */
export interface ReduceOptions {
  /** Axes to reduce, negative ones counting from the end; default: all. */
  readonly axes?: readonly number[]
  /** Keep reduced axes as extents of 1; default false. */
  readonly keepDims?: boolean
}

function checkReduction(where: string, x: Tensor, options: ReduceOptions): void {
  expectTensor(where, x)
  checkOptions(where, options, ['axes', 'keepDims'])
  if (options.axes !== undefined && !Array.isArray(options.axes)) {
    throw new OptionError(`${where}: axes must be an array of integers, got ${describe(options.axes)}; try [${options.axes}].`)
  }
}

/** Splits the axes into runs of neighbours and reduces them from the right, so that the numbers of the others stay valid. */
function reduce(op: typeof reduceOps.sum, x: Tensor, options: ReduceOptions): Tensor {
  const where = locate(op.name)
  checkReduction(where, x, options)
  const { axes, keepDims = false } = options
  const all = axes === undefined ? x.shape.map((_, i) => i) : axes.map((axis) => normaliseAxis(where, axis, x.rank))
  const sorted = [...new Set(all)].sort((a, b) => b - a)
  let y = x
  for (let i = 0; i < sorted.length; ) {
    const end = sorted[i] + 1
    let start = sorted[i++]
    while (i < sorted.length && sorted[i] === start - 1) start = sorted[i++]
    y = apply(op, [y], { start, end, keepDims })
  }
  return y
}

/**
 * The sum over `axes` (default: all), in a fixed order. The result has the other axes, or all of them with `keepDims`.
 *
 * @throws ShapeError for an axis out of range.
 * @example sum(input(8), { axes: [-1] })
 */
export function sum(x: Tensor, options: ReduceOptions = {}): Tensor {
  return reduce(reduceOps.sum, x, options)
}

/**
 * The largest element over `axes` (default: all); NaN if any element is. Elements that tie share the gradient equally. Shapes and errors
 * as for `sum`.
 *
 * @example max(input(8), { axes: [-1] })
 */
export function max(x: Tensor, options: ReduceOptions = {}): Tensor {
  return reduce(reduceOps.max, x, options)
}

/**
 * The arithmetic mean over `axes` (default: all), Σ x / n. Over the batch it divides by the batch size of the plan. Shapes and errors as
 * for `sum`.
 *
 * @example mean(input(8), { axes: [-1], keepDims: true })
 */
export function mean(x: Tensor, options: ReduceOptions = {}): Tensor {
  checkReduction(locate('mean'), x, options)
  const axes = options.axes?.map((axis) => normaliseAxis(locate('mean'), axis, x.rank))
  const counted = axes === undefined ? x.shape : x.shape.filter((_, i) => axes.includes(i))
  return divide(sum(x, options), elementCount(counted))
}

/**
 * The mean of squared deviations from the mean, Σ (x - mean)² / n, over `axes` (default: all), in two passes (n, not n - 1: the variance
 * of these elements, not an estimate). Shapes and errors as for `sum`.
 *
 * @example variance(input(8), { axes: [0] })
 */
export function variance(x: Tensor, options: ReduceOptions = {}): Tensor {
  return mean(square(subtract(x, mean(x, { ...options, keepDims: true }))), options)
}

/**
 * Σ x² over all elements of all tensors (float32, any shapes), in one pass: the square of their joint L2 norm, a scalar.
 *
 * @example sqrt(sumOfSquares([parameter('kernel', [4, 3], zeros)]))
 */
export function sumOfSquares(tensors: readonly Tensor[]): Tensor {
  return apply(reduceOps.sumOfSquares, tensors, {})
}

/**
 * The int32 index of the first largest element along `axis` (default: the last), of the shape of x without that axis. No gradient flows.
 *
 * @throws ShapeError for an axis out of range or of extent 0.
 * @example argmax(input(10))
 */
export function argmax(x: Tensor, axis = -1): Tensor {
  return apply(reduceOps.argmax, [x], { axis: normaliseAxis(locate('argmax'), axis, x.rank) })
}

/** Sums a gradient over the axes along which its operand was repeated: the reverse of broadcasting to `x.shape`. */
export function sumTo(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x
  const extra = x.rank - shape.length
  const axes = x.shape.map((_, i) => i).filter((i) => i < extra || (shape[i - extra] === 1 && x.shape[i] !== 1))
  return reshape(sum(x, { axes }), shape)
}
