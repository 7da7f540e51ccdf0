import { sizeOf } from '../../graph/shape.ts'
import type { MatmulAttributes } from '../../ops/matmul.ts'
import type { Values } from '../arena.ts'
import { computeOf } from './elementwise.ts'
import { broadcastStrides, forEachOffset, type Kernel } from './kernel.ts'

/** y = op(a) · op(b) [+ bias] [then activation]. The bias is added after the sum over k is complete. */
const matmul: Kernel<MatmulAttributes> = ([a, b, bias], [y], { transposeA, transposeB, activation }) => {
  const [rows, columns] = y.shape.slice(-2)
  const depth = a.shape[a.shape.length - (transposeA ? 2 : 1)]
  const leading = y.shape.slice(0, -2)
  const [aRow, aDepth] = transposeA ? [1, rows] : [depth, 1]
  const [bDepth, bColumn] = transposeB ? [1, depth] : [columns, 1]
  const aOffsets = matrixOffsets(a.shape, leading)
  const bOffsets = matrixOffsets(b.shape, leading)
  const compute = activation === '' ? null : computeOf(activation)
  const exact = y.values instanceof Float64Array
  const sums = new Float64Array(columns)

  for (let matrix = 0; matrix < sizeOf(leading); matrix++) {
    for (let i = 0; i < rows; i++) {
      sumRow(sums, depth, a.values, aOffsets[matrix] + i * aRow, aDepth, b.values, bOffsets[matrix], bDepth, bColumn)
      const target = (matrix * rows + i) * columns
      for (let j = 0; j < columns; j++) {
        let sum = exact ? sums[j] : Math.fround(sums[j])
        if (bias !== undefined) sum += bias.values[j]
        if (compute !== null) sum = compute(exact ? sum : Math.fround(sum), 0, 0)
        y.values[target + j] = sum
      }
    }
  }
}

/** sums[j] = Σ over k of a[k] b[k, j], for one row of a. Goes along the memory of b, whichever way that lies. */
function sumRow(
  sums: Float64Array,
  depth: number,
  a: Values,
  aStart: number,
  aDepth: number,
  b: Values,
  bStart: number,
  bDepth: number,
  bColumn: number,
): void {
  const columns = sums.length
  if (bColumn === 1) {
    sums.fill(0)
    for (let k = 0; k < depth; k++) {
      const factor = a[aStart + k * aDepth]
      const row = bStart + k * bDepth
      for (let j = 0; j < columns; j++) sums[j] += factor * b[row + j]
    }
    return
  }
  for (let j = 0; j < columns; j++) {
    const column = bStart + j * bColumn
    let sum = 0
    for (let k = 0; k < depth; k++) sum += a[aStart + k * aDepth] * b[column + k * bDepth]
    sums[j] = sum
  }
}

/** Where each matrix of a stack begins, the leading axes repeated to `leading`. */
function matrixOffsets(shape: readonly number[], leading: readonly number[]): number[] {
  const matrix = sizeOf(shape.slice(-2))
  const offsets: number[] = []
  forEachOffset(leading, broadcastStrides(shape.slice(0, -2), leading), (offset) => offsets.push(offset * matrix))
  return offsets
}

export const matmulKernels = { matmul }
