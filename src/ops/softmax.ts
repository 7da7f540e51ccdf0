/** Softmax, its logarithm and its cross-entropy, over the last axis: primitives for stability and because they are several passes in one. */
import { ShapeError } from '../errors.ts'
import { defineOp, integers, type Op, spec, uniform } from '../graph/op.ts'
import { formatShape, normaliseAxis, sameShape } from '../graph/shape.ts'
import { apply, expectDtype, expectTensor, locate, type Spec, type Tensor } from '../graph/tensor.ts'
import { exp, multiply, subtract } from './elementwise.ts'
import { sum, sumTo } from './reduce.ts'
import { reshape, shapeOps, transpose } from './shape.ts'
import { constant } from './source.ts'

function inferRows([x]: readonly Spec[], _: object, where: string): Spec {
  expectDtype(where, x, 'float32')
  if (x.shape.length === 0) throw new ShapeError(`${where}: expected at least one dimension, got a scalar.`)
  return x
}

const samples = [[4, 7], [1], [3, 1], [19, 33], [2, 3, 16], [0, 4], [5, 1031]].map((shape) => ({
  inputs: [uniform(shape)],
  attributes: {},
}))
const rejects = [
  { inputs: [spec([])], attributes: {}, message: /at least one dimension/ },
  { inputs: [spec([3], 'int32')], attributes: {}, message: /must be float32/ },
]

/** Logits [..., classes] and labels [...]. */
function checkLabels([x, labels]: readonly Spec[], where: string): void {
  expectDtype(where, x, 'float32', 'logits')
  expectDtype(where, labels, 'int32', 'labels')
  if (x.shape.length === 0 || x.shape[x.shape.length - 1] === 0)
    throw new ShapeError(`${where}: the last axis of the logits must have at least one class, got shape ${formatShape(x.shape)}.`)
  if (!sameShape(x.shape.slice(0, -1), labels.shape))
    throw new ShapeError(
      `${where}: expected one label for each row of logits, got logits ${formatShape(x.shape)} and labels ${formatShape(labels.shape)}.`,
    )
}

const labelled = [[4, 7], [1], [3, 1], [19, 16], [33, 10], [2, 3, 17], [0, 4], [5, 1031]].map(
  (shape) => [uniform(shape), integers(shape.slice(0, -1), shape[shape.length - 1])] as const,
)
const labelRejects = [
  { operands: [spec([]), spec([], 'int32')], message: /at least one class, got shape \[\]/ },
  { operands: [spec([3, 0]), spec([3], 'int32')], message: /at least one class/ },
  { operands: [spec([3, 4]), spec([3])], message: /labels must be int32/ },
  { operands: [spec([3, 4]), spec([4], 'int32')], message: /one label for each row of logits, got logits \[3, 4\] and labels \[4\]/ },
]

export const softmaxOps = {
  // y_i = e^(x_i) / Σ e^(x_j), so dx = y (dy - Σ y dy).
  softmax: defineOp({
    name: 'softmax',
    inPlace: [0],
    infer: inferRows,
    gradient: ({ output: y, dy }) => [multiply(y, subtract(dy, sum(multiply(y, dy), { axes: [-1], keepDims: true })))],
    samples,
    rejects,
  }),

  // y_i = x_i - log Σ e^(x_j), so dx = dy - e^y Σ dy.
  logSoftmax: defineOp({
    name: 'logSoftmax',
    inPlace: [0],
    infer: inferRows,
    gradient: ({ output: y, dy }) => [subtract(dy, multiply(exp(y), sum(dy, { axes: [-1], keepDims: true })))],
    samples,
    rejects,
  }),

  // y = log Σ e^(x_j) - x_t for the label t of each row; NaN if the label is no class.
  softmaxCrossEntropy: defineOp({
    name: 'softmaxCrossEntropy',
    infer: (inputs, _, where) => {
      checkLabels(inputs, where)
      return { shape: inputs[1].shape, dtype: 'float32' }
    },
    gradient: ({ inputs: [x, labels], dy }): readonly (Tensor | null)[] => [
      apply(softmaxOps.softmaxCrossEntropyGradient, [x, labels, dy], {}),
      null,
    ],
    samples: labelled.map((inputs) => ({ inputs, attributes: {} })),
    rejects: labelRejects.map(({ operands, message }) => ({ inputs: operands, attributes: {}, message })),
  }),

  // y_i = (p_i - [i = t]) dy, p = softmax(x); dy one a row, or one for all. NaN for a row whose label is no class,
  // unless its dy is 0: then nobody asks for it, and it is 0 (labels to be ignored).
  // The exponentials are computed again: keeping them costs more (decision 17).
  softmaxCrossEntropyGradient: defineOp({
    name: 'softmaxCrossEntropyGradient',
    inPlace: [0],
    infer: (inputs, _, where) => {
      const [x, labels, dy] = inputs
      checkLabels(inputs, where)
      expectDtype(where, dy, 'float32', 'dy')
      if (dy.shape.length > 0 && !sameShape(dy.shape, labels.shape))
        throw new ShapeError(
          `${where}: dy must be a scalar or have the shape of the labels, ${formatShape(labels.shape)}, got ${formatShape(dy.shape)}.`,
        )
      return x
    },
    // With g = dy · (incoming gradient), dx = p (g - Σ p g).
    gradient: ({ inputs: [x, labels, dy], dy: incoming }): readonly (Tensor | null)[] => {
      const p = softmax(x)
      const g = multiply(incoming, dy.rank === 0 ? dy : reshape(dy, [...dy.shape, 1]))
      const slope = apply(softmaxOps.softmaxCrossEntropyGradient, [x, labels, constant(1)], {})
      return [
        multiply(p, subtract(g, sum(multiply(p, g), { axes: [-1], keepDims: true }))),
        null,
        sumTo(sum(multiply(incoming, slope), { axes: [-1] }), dy.shape),
      ]
    },
    // A mean gives every row the same dy.
    simplify: ({ inputs: [x, labels, dy] }): Tensor | null =>
      dy.op === shapeOps.broadcastTo && dy.inputs[0].rank === 0
        ? apply(softmaxOps.softmaxCrossEntropyGradient, [x, labels, dy.inputs[0]], {})
        : null,
    samples: labelled.flatMap(([x, labels]) => [
      { inputs: [x, labels, uniform(labels.shape)], attributes: {} },
      { inputs: [x, labels, uniform([])], attributes: {} },
    ]),
    rejects: [
      ...labelRejects.map(({ operands, message }) => ({ inputs: [...operands, spec([])], attributes: {}, message })),
      { inputs: [spec([3, 4]), spec([3], 'int32'), spec([4])], attributes: {}, message: /shape of the labels, \[3\], got \[4\]/ },
      { inputs: [spec([3, 4]), spec([3], 'int32'), spec([3], 'int32')], attributes: {}, message: /dy must be float32/ },
    ],
  }),
}

/** Another axis than the last is moved there and back. */
function alongAxis(op: Op<Record<never, never>>, x: Tensor, axis: number): Tensor {
  expectTensor(locate(op.name), x)
  const position = normaliseAxis(locate(op.name), axis, x.rank)
  if (position === x.rank - 1) return apply(op, [x], {})
  const swapped = x.shape.map((_, i) => (i === position ? x.rank - 1 : i === x.rank - 1 ? position : i))
  return transpose(apply(op, [transpose(x, swapped)], {}), swapped)
}

/**
 * y_i = e^(x_i) / Σ_j e^(x_j) along `axis` (default: the last), of the shape of x. The largest element is subtracted first, so nothing
 * overflows.
 *
 * @example softmax(input(10))
 */
export function softmax(x: Tensor, axis = -1): Tensor {
  return alongAxis(softmaxOps.softmax, x, axis)
}

/**
 * The logarithm of `softmax` without forming it, y_i = x_i - log Σ_j e^(x_j) along `axis` (default: the last), of the shape of x.
 *
 * @example logSoftmax(input(10))
 */
export function logSoftmax(x: Tensor, axis = -1): Tensor {
  return alongAxis(softmaxOps.logSoftmax, x, axis)
}

/**
 * -log softmax(x)_t, row by row, computed without forming softmax.
 *
 * @param logits x, [..., classes].
 * @param labels t, int32 class numbers, [...].
 * @returns One loss a label, [...]; NaN where the label is not among 0 … classes - 1.
 * @example softmaxCrossEntropy(input(10), input([], { dtype: 'int32' }))
 */
export function softmaxCrossEntropy(logits: Tensor, labels: Tensor): Tensor {
  return apply(softmaxOps.softmaxCrossEntropy, [logits, labels], {})
}
