import { sizeOf } from '../../graph/shape.ts'
import type { MatmulAttributes } from '../../ops/matmul.ts'
import type { Values } from '../arena.ts'
import { runChain } from './elementwise.ts'
import { broadcastStrides, forEachOffset, type Kernel } from './kernel.ts'

/** y = chain(op(a) · op(b) [+ bias], further inputs). The bias is added after the sum over k is complete. */
const matmul: Kernel<MatmulAttributes> = ([a, b, ...others], [y], { transposeA, transposeB, bias: biased, steps }) => {
  const [bias, further] = biased ? [others[0], others.slice(1)] : [undefined, others]
  const [rows, columns] = y.shape.slice(-2)
  const depth = a.shape[a.shape.length - (transposeA ? 2 : 1)]
  const leading = y.shape.slice(0, -2)
  const [aRow, aDepth] = transposeA ? [1, rows] : [depth, 1]
  const aOffsets = matrixOffsets(a.shape, leading)
  const bOffsets = matrixOffsets(b.shape, leading)
  const exact = y.values instanceof Float64Array
  const sums = new Float64Array(columns)

  for (let matrix = 0; matrix < sizeOf(leading); matrix++) {
    const factors = untransposed(b.values, bOffsets[matrix], depth, columns, transposeB)
    for (let i = 0; i < rows; i++) {
      sums.fill(0)
      let next = 0
      for (let k = 0; k < depth; k++) {
        const factor = a.values[aOffsets[matrix] + i * aRow + k * aDepth]
        for (let j = 0; j < columns; j++) sums[j] += factor * factors[next++]
      }
      const target = (matrix * rows + i) * columns
      for (let j = 0; j < columns; j++) {
        let sum = exact ? sums[j] : Math.fround(sums[j])
        if (bias !== undefined) sum += bias.values[j]
        y.values[target + j] = sum
      }
    }
  }
  if (steps.length > 0) runChain([y, ...further], y, steps)
}

/** Grows to the largest matrix met, so that a step need not allocate it. */
let matrixMemory = new Float64Array(0)

/** A [depth, columns] matrix in double precision, whichever way it lies in `values`. */
function untransposed(values: Values, start: number, depth: number, columns: number, transposed: boolean): Float64Array {
  const size = depth * columns
  if (matrixMemory.length < size) matrixMemory = new Float64Array(size)
  const result = matrixMemory
  if (transposed) {
    for (let j = 0; j < columns; j++) for (let k = 0; k < depth; k++) result[k * columns + j] = values[start + j * depth + k]
  } else {
    for (let i = 0; i < size; i++) result[i] = values[start + i]
  }
  return result
}

/** Where each matrix of a stack begins, the leading axes repeated to `leading`. */
function matrixOffsets(shape: readonly number[], leading: readonly number[]): number[] {
  const matrix = sizeOf(shape.slice(-2))
  const offsets: number[] = []
  forEachOffset(leading, broadcastStrides(shape.slice(0, -2), leading), (offset) => offsets.push(offset * matrix))
  return offsets
}

export const matmulKernels = { matmul }
