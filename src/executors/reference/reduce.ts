import type { ReduceAttributes } from '../../ops/reduce.ts'
import { type Kernel, split } from './kernel.ts'

/** y = Σ x over the reduced axes. */
const sum: Kernel<ReduceAttributes> = ([x], [y], { start, end }) => {
  const [outer, reduced, inner] = split(x.shape, start, end)
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      let total = 0
      for (let r = 0; r < reduced; r++) total += x.values[(o * reduced + r) * inner + i]
      y.values[o * inner + i] = total
    }
  }
}

/** y = max x over the reduced axes; Math.max gives NaN if any element is NaN. */
const max: Kernel<ReduceAttributes> = ([x], [y], { start, end }) => {
  const [outer, reduced, inner] = split(x.shape, start, end)
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      let largest = Number.NEGATIVE_INFINITY
      for (let r = 0; r < reduced; r++) largest = Math.max(largest, x.values[(o * reduced + r) * inner + i])
      y.values[o * inner + i] = largest
    }
  }
}

/** y = the first index at which x is largest; a NaN counts as largest. */
const argmax: Kernel<{ axis: number }> = ([x], [y], { axis }) => {
  const [outer, reduced, inner] = split(x.shape, axis, axis + 1)
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      let best = 0
      for (let r = 1; r < reduced; r++) {
        const value = x.values[(o * reduced + r) * inner + i]
        const largest = x.values[(o * reduced + best) * inner + i]
        if (value > largest || (Number.isNaN(value) && !Number.isNaN(largest))) best = r
      }
      y.values[o * inner + i] = best
    }
  }
}

/** y = Σ x² over all operands. */
const sumOfSquares: Kernel = (inputs, [y]) => {
  let total = 0
  for (const { values } of inputs) for (const x of values) total += x * x
  y.values[0] = total
}

export const reduceKernels = { sum, max, sumOfSquares, argmax }
