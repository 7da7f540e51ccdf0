import type { Kernel } from './kernel.ts'

/** y[i] = table[indices[i]], whole rows; NaN (or 0 for int32) where the index lies outside. */
const gather: Kernel = ([table, indices], [y]) => {
  const rows = table.shape[0]
  const width = table.shape.slice(1).reduce((product, extent) => product * extent, 1)
  indices.values.forEach((row: number, i: number) => {
    for (let j = 0; j < width; j++) y.values[i * width + j] = row >= 0 && row < rows ? table.values[row * width + j] : Number.NaN
  })
}

/** y = 0, then y[indices[i]] += updates[i] in ascending order of i. */
const scatterAdd: Kernel = ([indices, updates], [y]) => {
  const rows = y.shape[0]
  const width = y.shape.slice(1).reduce((product, extent) => product * extent, 1)
  y.values.fill(0)
  indices.values.forEach((row: number, i: number) => {
    if (row < 0 || row >= rows) return
    for (let j = 0; j < width; j++) y.values[row * width + j] += updates.values[i * width + j]
  })
}

/** y[i, j] = (indices[i] = j). */
const oneHot: Kernel<{ depth: number }> = ([indices], [y], { depth }) => {
  y.values.fill(0)
  indices.values.forEach((index: number, i: number) => {
    if (index >= 0 && index < depth) y.values[i * depth + index] = 1
  })
}

export const indexingKernels = { gather, scatterAdd, oneHot }
