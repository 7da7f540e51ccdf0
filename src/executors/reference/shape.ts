import { broadcastStrides, forEachOffset, type Kernel, stridesOf } from './kernel.ts'

const transpose: Kernel<{ permutation: readonly number[] }> = ([x], [y], { permutation }) => {
  const strides = stridesOf(x.shape)
  forEachOffset(
    y.shape,
    permutation.map((axis) => strides[axis]),
    (offset, position) => {
      y.values[position] = x.values[offset]
    },
  )
}

const broadcastTo: Kernel = ([x], [y]) => {
  forEachOffset(y.shape, broadcastStrides(x.shape, y.shape), (offset, position) => {
    y.values[position] = x.values[offset]
  })
}

/** Distance from the first element of a tensor to the one at `index`. */
function offsetOf(shape: readonly number[], index: readonly number[]): number {
  return stridesOf(shape).reduce((sum, stride, axis) => sum + stride * index[axis], 0)
}

const slice: Kernel<{ starts: readonly number[] }> = ([x], [y], { starts }) => {
  const first = offsetOf(x.shape, starts)
  forEachOffset(y.shape, stridesOf(x.shape), (offset, position) => {
    y.values[position] = x.values[first + offset]
  })
}

const flip: Kernel<{ axes: readonly number[] }> = ([x], [y], { axes }) => {
  const strides = stridesOf(x.shape)
  const first = axes.reduce((sum, axis) => sum + (x.shape[axis] - 1) * strides[axis], 0)
  const backwards = strides.map((stride, axis) => (axes.includes(axis) ? -stride : stride))
  forEachOffset(y.shape, backwards, (offset, position) => {
    y.values[position] = x.values[first + offset]
  })
}

const pad: Kernel<{ before: readonly number[] }> = ([x], [y], { before }) => {
  const first = offsetOf(y.shape, before)
  y.values.fill(0)
  forEachOffset(x.shape, stridesOf(y.shape), (offset, position) => {
    y.values[first + offset] = x.values[position]
  })
}

const concat: Kernel<{ axis: number }> = (inputs, [y], { axis }) => {
  const strides = stridesOf(y.shape)
  let first = 0
  for (const x of inputs) {
    const start = first
    forEachOffset(x.shape, strides, (offset, position) => {
      y.values[start + offset] = x.values[position]
    })
    first += x.shape[axis] * strides[axis]
  }
}

export const shapeKernels = { transpose, broadcastTo, slice, flip, pad, concat }
