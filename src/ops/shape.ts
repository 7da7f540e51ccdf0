/** Ops that move elements without computing with them. */
import { DtypeError, describe, GraphError, OptionError, ShapeError } from '../errors.ts'
import { defineOp, integers, spec, uniform } from '../graph/op.ts'
import {
  BatchDimension,
  broadcastShapes,
  checkExtents,
  concrete,
  type Dimension,
  formatShape,
  normaliseAxis,
  product,
  type Shape,
  sameShape,
} from '../graph/shape.ts'
import { apply, locate, Tensor } from '../graph/tensor.ts'
import { sumTo } from './reduce.ts'
import { constant } from './source.ts'

export interface Permutation {
  readonly permutation: readonly number[]
}

export const shapeOps = {
  // y = the same elements in row-major order under another shape.
  reshape: defineOp<{ shape: Shape }>({
    name: 'reshape',
    alias: true,
    infer: ([x], { shape }, where) => {
      checkExtents(where, shape, 0)
      const from = product(x.shape)
      const to = product(shape)
      if (from.factor !== to.factor || from.power !== to.power) {
        throw new ShapeError(`${where}: ${formatShape(x.shape)} and ${formatShape(shape)} have different numbers of elements.`)
      }
      return { shape, dtype: x.dtype }
    },
    gradient: ({ inputs: [x], dy }) => [reshape(dy, x.shape)],
    simplify: ({ inputs: [x], attributes: { shape } }): Tensor | null => {
      if (sameShape(x.shape, shape)) return x
      return x.op === shapeOps.reshape ? reshape(x.inputs[0], shape) : null
    },
    samples: [
      { inputs: [uniform([2, 6])], attributes: { shape: [3, 4] } },
      { inputs: [uniform([1])], attributes: { shape: [] } },
      { inputs: [uniform([0, 3])], attributes: { shape: [5, 0] } },
    ],
    rejects: [
      { inputs: [spec([2, 3])], attributes: { shape: [7] }, message: /\[2, 3\] and \[7\] have different numbers/ },
      { inputs: [spec([2, 3])], attributes: { shape: [-6, -1] }, message: /integers of at least 0/ },
    ],
  }),

  // y.shape[i] = x.shape[permutation[i]].
  transpose: defineOp<Permutation>({
    name: 'transpose',
    infer: ([x], { permutation }, where) => {
      const sorted = [...permutation].sort((a, b) => a - b)
      if (permutation.length !== x.shape.length || sorted.some((axis, i) => axis !== i)) {
        throw new ShapeError(
          `${where}: expected a permutation of the ${x.shape.length} axes of ${formatShape(x.shape)}, got [${permutation.join(', ')}].`,
        )
      }
      return { shape: permutation.map((axis) => x.shape[axis]), dtype: x.dtype }
    },
    gradient: ({ attributes: { permutation }, dy }) => [transpose(dy, inverse(permutation))],
    simplify: ({ inputs: [x], attributes: { permutation } }): Tensor | null => {
      if (permutation.every((axis, i) => axis === i)) return x
      return x.op === shapeOps.transpose
        ? transpose(
            x.inputs[0],
            permutation.map((axis) => x.attributes.permutation[axis]),
          )
        : null
    },
    samples: [
      { inputs: [uniform([3, 5])], attributes: { permutation: [1, 0] } },
      { inputs: [uniform([37, 41])], attributes: { permutation: [1, 0] } },
      { inputs: [uniform([2, 3, 4])], attributes: { permutation: [2, 0, 1] } },
      { inputs: [uniform([2, 3, 4, 5])], attributes: { permutation: [0, 2, 1, 3] } },
      { inputs: [integers([4, 3], 9)], attributes: { permutation: [1, 0] } },
      { inputs: [uniform([0, 3])], attributes: { permutation: [1, 0] } },
    ],
    rejects: [
      { inputs: [spec([2, 3])], attributes: { permutation: [0, 0] }, message: /permutation of the 2 axes of \[2, 3\], got \[0, 0\]/ },
    ],
  }),

  // y = x repeated to a shape, by numpy's rules.
  broadcastTo: defineOp<{ shape: Shape }>({
    name: 'broadcastTo',
    infer: ([x], { shape }, where) => {
      if (!sameShape(broadcastShapes(where, x.shape, shape), shape)) {
        throw new ShapeError(`${where}: ${formatShape(x.shape)} cannot be repeated to ${formatShape(shape)}.`)
      }
      return { shape, dtype: x.dtype }
    },
    gradient: ({ inputs: [x], dy }) => [sumTo(dy, x.shape)],
    simplify: ({ inputs: [x], attributes: { shape } }) => (sameShape(x.shape, shape) ? x : null),
    samples: [
      { inputs: [uniform([])], attributes: { shape: [3, 4] } },
      { inputs: [uniform([3, 1])], attributes: { shape: [2, 3, 17] } },
      { inputs: [uniform([29])], attributes: { shape: [31, 29] } },
      { inputs: [uniform([1])], attributes: { shape: [0] } },
    ],
    rejects: [
      { inputs: [spec([3])], attributes: { shape: [4] }, message: /\[3\] and \[4\] do not broadcast/ },
      { inputs: [spec([2, 3])], attributes: { shape: [3] }, message: /cannot be repeated/ },
    ],
  }),

  // y = the part of x that starts at `starts` and has shape `sizes`.
  slice: defineOp<{ starts: readonly number[]; sizes: Shape }>({
    name: 'slice',
    infer: ([x], { starts, sizes }, where) => {
      const fits =
        starts.length === x.shape.length &&
        sizes.length === x.shape.length &&
        x.shape.every((extent, i) => spans(extent, starts[i], sizes[i]))
      if (!fits)
        throw new ShapeError(
          `${where}: start [${starts.join(', ')}] and size ${formatShape(sizes)} do not lie inside ${formatShape(x.shape)}.`,
        )
      return { shape: sizes, dtype: x.dtype }
    },
    gradient: ({ inputs: [x], attributes: { starts }, dy }): readonly Tensor[] => [
      apply(shapeOps.pad, [dy], { before: starts, shape: x.shape }),
    ],
    simplify: ({ inputs: [x], output }) => (sameShape(x.shape, output.shape) ? x : null),
    samples: [
      { inputs: [uniform([9])], attributes: { starts: [2], sizes: [4] } },
      { inputs: [uniform([5, 37])], attributes: { starts: [1, 3], sizes: [3, 33] } },
      { inputs: [integers([4, 3, 2], 9)], attributes: { starts: [0, 1, 1], sizes: [4, 2, 1] } },
      { inputs: [uniform([4, 3])], attributes: { starts: [4, 0], sizes: [0, 3] } },
    ],
    rejects: [{ inputs: [spec([4])], attributes: { starts: [2], sizes: [3] }, message: /do not lie inside \[4\]/ }],
  }),

  // y = x read backwards along `axes`.
  flip: defineOp<{ axes: readonly number[] }>({
    name: 'flip',
    infer: ([x], { axes }, where) => {
      if (axes.some((axis) => x.shape[axis] === undefined) || new Set(axes).size < axes.length)
        throw new ShapeError(`${where}: expected different axes of ${formatShape(x.shape)}, got ${axes.join(', ')}.`)
      return x
    },
    gradient: ({ attributes: { axes }, dy }) => [flip(dy, axes)],
    simplify: ({ inputs: [x], attributes: { axes } }) => (axes.every((axis) => x.shape[axis] === 1) ? x : null),
    samples: [
      { inputs: [uniform([7])], attributes: { axes: [0] } },
      { inputs: [uniform([5, 37])], attributes: { axes: [0] } },
      { inputs: [uniform([5, 37])], attributes: { axes: [0, 1] } },
      { inputs: [uniform([3, 5, 17])], attributes: { axes: [1] } },
      { inputs: [integers([4, 3, 2], 9)], attributes: { axes: [0, 2] } },
      { inputs: [uniform([0, 3])], attributes: { axes: [0] } },
      { inputs: [uniform([2, 3])], attributes: { axes: [] } },
    ],
    rejects: [
      { inputs: [spec([4])], attributes: { axes: [1] }, message: /different axes of \[4\], got 1/ },
      { inputs: [spec([4, 2])], attributes: { axes: [1, 1] }, message: /different axes of \[4, 2\], got 1, 1/ },
    ],
  }),

  // y = zeros with x placed at `before`: the gradient of slice.
  pad: defineOp<{ before: readonly number[]; shape: Shape }>({
    name: 'pad',
    infer: ([x], { before, shape }, where) => {
      const fits =
        before.length === x.shape.length &&
        shape.length === x.shape.length &&
        shape.every((extent, i) => spans(extent, before[i], x.shape[i]))
      if (!fits)
        throw new ShapeError(`${where}: ${formatShape(x.shape)} at [${before.join(', ')}] does not lie inside ${formatShape(shape)}.`)
      return { shape, dtype: x.dtype }
    },
    gradient: ({ inputs: [x], attributes: { before }, dy }): readonly Tensor[] => [
      apply(shapeOps.slice, [dy], { starts: before, sizes: x.shape }),
    ],
    samples: [
      { inputs: [uniform([4])], attributes: { before: [2], shape: [9] } },
      { inputs: [uniform([3, 33])], attributes: { before: [1, 3], shape: [5, 37] } },
      { inputs: [uniform([0, 3])], attributes: { before: [4, 0], shape: [4, 3] } },
    ],
    rejects: [{ inputs: [spec([4])], attributes: { before: [2], shape: [5] }, message: /does not lie inside \[5\]/ }],
  }),

  // y = the inputs one after the other along an axis.
  concat: defineOp<{ axis: number }>({
    name: 'concat',
    infer: (inputs, { axis }, where) => {
      if (inputs.length === 0) throw new ShapeError(`${where}: expected at least one tensor, got none.`)
      const [first] = inputs
      for (const input of inputs) {
        if (input.dtype !== first.dtype)
          throw new DtypeError(`${where}: all tensors must have one dtype, got ${first.dtype} and ${input.dtype}.`)
        const agrees =
          input.shape.length === first.shape.length &&
          axis < first.shape.length &&
          input.shape.every((extent, i) => i === axis || extent === first.shape[i])
        if (!agrees) {
          throw new ShapeError(
            `${where}: shapes may differ along axis ${axis} only, got ${formatShape(first.shape)} and ${formatShape(input.shape)}.`,
          )
        }
      }
      return {
        shape: first.shape.map((extent, i) =>
          i === axis
            ? addDimensions(
                where,
                inputs.map((input) => input.shape[axis]),
              )
            : extent,
        ),
        dtype: first.dtype,
      }
    },
    gradient: ({ inputs, attributes: { axis }, dy }): readonly Tensor[] => {
      let start = 0
      if (inputs.some((input) => typeof input.shape[axis] !== 'number')) {
        throw new GraphError(
          'gradients: tensors joined along the open batch dimension cannot be taken apart again; join them along another axis.',
        )
      }
      return inputs.map((input) => {
        const starts = input.shape.map((_, i) => (i === axis ? start : 0))
        start += Number(input.shape[axis])
        return apply(shapeOps.slice, [dy], { starts, sizes: input.shape })
      })
    },
    simplify: ({ inputs }) => (inputs.length === 1 ? inputs[0] : null),
    samples: [
      { inputs: [uniform([3]), uniform([5])], attributes: { axis: 0 } },
      { inputs: [uniform([17, 3]), uniform([17, 1]), uniform([17, 16])], attributes: { axis: 1 } },
      { inputs: [uniform([2, 3, 4]), uniform([2, 0, 4]), uniform([2, 2, 4])], attributes: { axis: 1 } },
    ],
    rejects: [
      { inputs: [], attributes: { axis: 0 }, message: /at least one/ },
      { inputs: [spec([2, 3]), spec([3, 3])], attributes: { axis: 1 }, message: /along axis 1 only, got \[2, 3\] and \[3, 3\]/ },
      { inputs: [spec([2]), spec([2], 'int32')], attributes: { axis: 0 }, message: /one dtype/ },
    ],
  }),
}

function spans(extent: Dimension, start: number, size: Dimension): boolean {
  if (!Number.isInteger(start) || start < 0) return false
  if (typeof extent === 'number' && typeof size === 'number') return size >= 0 && start + size <= extent
  return start === 0 && extent === size
}

function addDimensions(where: string, dimensions: readonly Dimension[]): Dimension {
  if (dimensions.every((dimension) => typeof dimension === 'number')) return dimensions.reduce((a: number, b) => a + (b as number), 0)
  if (dimensions.every((dimension) => dimension instanceof BatchDimension))
    return BatchDimension.of(dimensions.reduce((a: number, b) => a + (b as BatchDimension).multiple, 0))
  throw new ShapeError(`${where}: a fixed extent and the open batch dimension cannot be joined, got ${formatShape(dimensions)}.`)
}

function inverse(permutation: readonly number[]): number[] {
  const result = new Array<number>(permutation.length)
  permutation.forEach((axis, i) => {
    result[axis] = i
  })
  return result
}

/**
 * The same elements in row-major order under another shape. Needs no memory of its own.
 *
 * @param shape Extents, `batch` among them; one may be -1, it is then found from the others.
 * @throws ShapeError if the numbers of elements differ.
 * @example reshape(input(784), [batch, 28, 28])
 */
export function reshape(x: Tensor, shape: Shape): Tensor {
  if (!Array.isArray(shape)) throw new OptionError(`${locate('reshape')}: shape must be an array, got ${describe(shape)}.`)
  const open = shape.indexOf(-1)
  if (open < 0) return apply(shapeOps.reshape, [x], { shape })
  const where = locate('reshape')
  const from = product(x.shape)
  const known = product(shape.filter((_, i) => i !== open))
  const factor = from.factor / known.factor
  const power = from.power - known.power
  if (!Number.isInteger(factor) || power < 0 || power > 1) {
    throw new ShapeError(`${where}: no extent in place of -1 turns ${formatShape(x.shape)} into ${formatShape(shape)}.`)
  }
  const found = power === 1 ? BatchDimension.of(factor) : factor
  return apply(shapeOps.reshape, [x], { shape: shape.map((extent, i) => (i === open ? found : extent)) })
}

/**
 * Reorders the axes: axis i of the result is axis permutation[i] of x.
 *
 * @param permutation All axes once; default: in reverse order.
 * @example transpose(input([28, 14]), [0, 2, 1])
 */
export function transpose(x: Tensor, permutation: readonly number[] = x.shape.map((_, i) => x.rank - 1 - i)): Tensor {
  return apply(shapeOps.transpose, [x], { permutation: permutation.map((axis) => normaliseAxis(locate('transpose'), axis, x.rank)) })
}

/**
 * Repeats x to a shape by numpy's rules (aligned at the right, an extent of 1 repeats). The gradient is a sum over what was repeated.
 *
 * @throws ShapeError if x does not fit into it.
 * @example broadcastTo(constant(1), [batch, 8])
 */
export function broadcastTo(x: Tensor, shape: Shape): Tensor {
  return apply(shapeOps.broadcastTo, [x], { shape })
}

/**
 * A part of x: along each axis the elements start … end - 1.
 *
 * @param ranges One entry an axis: `[start, end]`, negative numbers counting from the end, or null for all of it. Missing entries at the
 *   end mean all.
 * @throws ShapeError if a range leaves the tensor, ends before it starts, or cuts the open batch axis.
 * @example slice(input([28, 28]), [null, [4, 24], [4, 24]])
 */
export function slice(x: Tensor, ranges: readonly (readonly [number, number] | null)[]): Tensor {
  const where = locate('slice')
  if (ranges.length > x.rank) throw new ShapeError(`${where}: got ${ranges.length} ranges for a tensor of shape ${formatShape(x.shape)}.`)
  const starts: number[] = []
  const sizes: Dimension[] = []
  x.shape.forEach((extent, i) => {
    const range = ranges[i] ?? null
    if (range === null) {
      starts.push(0)
      sizes.push(extent)
      return
    }
    if (!Array.isArray(range) || range.length !== 2 || !range.every(Number.isInteger))
      throw new OptionError(`${where}: range ${i} must be [start, end] or null, got ${describe(range)}.`)
    if (typeof extent !== 'number')
      throw new ShapeError(`${where}: axis ${i} of ${formatShape(x.shape)} is open, it can only be taken whole (null).`)
    const [start, end] = range.map((position: number) => (position < 0 ? position + extent : position))
    starts.push(start)
    sizes.push(end - start)
  })
  return apply(shapeOps.slice, [x], { starts, sizes })
}

/**
 * Joins tensors along an axis (default: the last): [..., m] and [..., n] give [..., m + n]. All other extents must agree.
 *
 * @throws ShapeError if they do not.
 * @example concat([input(8), input(4)])
 */
export function concat(tensors: readonly Tensor[], axis = -1): Tensor {
  if (!Array.isArray(tensors)) throw new OptionError(`${locate('concat')}: expected an array of tensors, got ${describe(tensors)}.`)
  const rank = tensors[0] instanceof Tensor ? tensors[0].rank : 1
  return apply(shapeOps.concat, tensors, { axis: normaliseAxis(locate('concat'), axis, rank) })
}

/** Zeros of the shape of x. @example zerosLike(input(8)) */
export function zerosLike(x: Tensor): Tensor {
  return broadcastTo(constant(0), x.shape)
}

/** Ones of the shape of x. @example onesLike(input(8)) */
export function onesLike(x: Tensor): Tensor {
  return broadcastTo(constant(1), x.shape)
}

/** The extents of a tensor inside a plan, where none is open. */
export function extents(x: Tensor): readonly number[] {
  return concrete(x.shape)
}

/**
 * The same elements, read backwards along `axes` (default: all).
 *
 * @example flip(input([4, 3]), [2])
 */
export function flip(x: Tensor, axes: readonly number[] = x.shape.map((_, i) => i)): Tensor {
  return apply(shapeOps.flip, [x], { axes: axes.map((axis) => normaliseAxis(locate('flip'), axis, x.rank)) })
}
