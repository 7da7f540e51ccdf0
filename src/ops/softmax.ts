/** Softmax and its logarithm, over the last axis: primitives for stability and because they are three passes in one. */
import { ShapeError } from '../errors.ts'
import { defineOp, type Op, spec, uniform } from '../graph/op.ts'
import { normaliseAxis } from '../graph/shape.ts'
import { apply, expectDtype, locate, type Spec, type Tensor } from '../graph/tensor.ts'
import { exp, multiply, subtract } from './elementwise.ts'
import { sum } from './reduce.ts'
import { transpose } from './shape.ts'

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
}

/** Another axis than the last is moved there and back. */
function alongAxis(op: Op<Record<never, never>>, x: Tensor, axis: number): Tensor {
  const position = normaliseAxis(locate(op.name), axis, x.rank)
  if (position === x.rank - 1) return apply(op, [x], {})
  const swapped = x.shape.map((_, i) => (i === position ? x.rank - 1 : i === x.rank - 1 ? position : i))
  return transpose(apply(op, [transpose(x, swapped)], {}), swapped)
}

/** e^x over its sum along `axis` (default: the last). */
export function softmax(x: Tensor, axis = -1): Tensor {
  return alongAxis(softmaxOps.softmax, x, axis)
}

/** The logarithm of softmax, computed without forming it: x - log Σ e^x. */
export function logSoftmax(x: Tensor, axis = -1): Tensor {
  return alongAxis(softmaxOps.logSoftmax, x, axis)
}
