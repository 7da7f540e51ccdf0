/**
 * Matrix products of the sizes at which the native kernel changes its way: where a or b is read in place, how blocks are cut, what counts as
 * small. Each element must be one chain of fused multiply-adds over ascending k, whichever way is taken.
 */
import { describe, expect, it } from 'vitest'
import { loadAddon } from '../../src/executors/native/addon.ts'
import { nativeExecutor } from '../../src/executors/native/index.ts'
import { uniform } from '../../src/graph/op.ts'
import { matmulOps } from '../../src/ops/matmul.ts'
import { filled, planOf } from '../battery/samples.ts'

const { addon } = loadAddon()

const shapes: readonly (readonly [rows: number, depth: number, columns: number, what: string])[] = [
  [5, 6, 17, 'small, and a column in the next vector'],
  [4, 8, 16, 'the largest that is small'],
  [4, 8, 17, 'the smallest that is not'],
  [9, 8, 129, 'a panel in place under a mask'],
  [72, 130, 200, 'a in place, b packed on the way'],
  [65, 128, 256, 'the most columns for which a is in place'],
  [65, 129, 257, 'one more, and one deeper than is shallow'],
  [70, 100, 300, 'shallow, in several blocks of rows'],
  [40, 60, 270, 'shallow, and b in place'],
  [8, 129, 300, 'one strip, whose rows of b are fetched ahead'],
  [16, 515, 520, 'few rows of a large b'],
  [17, 515, 520, 'one row more'],
  [33, 520, 50, 'two blocks of the depth where b is transposed'],
  [35, 61, 64, 'wide tiles, b in place'],
  [101, 300, 64, 'wide tiles, b packed on the way'],
  [109, 65, 128, 'wide tiles where a is transposed'],
  [73, 257, 64, 'wide tiles, with a last chunk of one strip for three threads'],
  [430, 260, 64, 'a transposed a too large to be read in place'],
]

const bits = new Float64Array(1)
const words = new BigInt64Array(bits.buffer)

/** a b + c, rounded to float once. A sum in double may round to the middle of two floats; what it left out then says which is nearer. */
function fusedMultiplyAdd(a: number, b: number, c: number): number {
  const product = a * b
  const sum = product + c
  bits[0] = sum
  if ((words[0] & 0x1fffffffn) !== 0x10000000n) return Math.fround(sum)
  const added = sum - product
  const leftOut = product - (sum - added) + (c - added)
  if (leftOut !== 0) words[0] += leftOut > 0 === sum > 0 ? 1n : -1n
  return Math.fround(bits[0])
}

describe.skipIf(addon === undefined)('a product', () => {
  const flags = [false, true]
  const cases = shapes.flatMap(([rows, depth, columns, what]) =>
    flags.flatMap((transposeA) => flags.map((transposeB) => ({ rows, depth, columns, transposeA, transposeB, what }))),
  )

  it.each(cases)('[$rows, $depth] times [$depth, $columns], transposed $transposeA $transposeB: $what', (shape) => {
    const { rows, depth, columns, transposeA, transposeB } = shape
    const inputs = [
      uniform(transposeA ? [depth, rows] : [rows, depth]),
      uniform(transposeB ? [columns, depth] : [depth, columns]),
      uniform([columns]),
    ]
    const attributes = { transposeA, transposeB, bias: true, steps: ['relu 0'] }
    const made = planOf({ op: matmulOps.matmul, name: 'matmul', sample: { inputs, attributes } })
    const arena = filled(made)
    const [instruction] = made.plan.instructions
    const [a, b, bias] = instruction.inputs.map((tensor) => arena.view(made.plan.tensors[tensor]))
    const y = arena.view(made.plan.tensors[instruction.outputs[0]])

    const expected = Float32Array.from({ length: rows * columns }, (_, at) => {
      const column = at % columns
      const row = (at - column) / columns
      let sum = 0
      for (let k = 0; k < depth; k++) {
        const factor = a[transposeA ? k * rows + row : row * depth + k]
        sum = fusedMultiplyAdd(factor, b[transposeB ? column * depth + k : k * columns + column], sum)
      }
      return Math.max(0, Math.fround(sum + bias[column]))
    })
    for (const isa of addon?.isas ?? []) {
      for (const threads of [1, 2, 3, 8]) {
        y.fill(Number.NaN)
        nativeExecutor(addon as NonNullable<typeof addon>, { isa, threads, serialBelow: 0 })
          .load(made.plan, arena)
          .execute(0, 1)
        const wrong = expected.findIndex((value, i) => value !== y[i])
        expect({ isa, threads, wrong }).toEqual({ isa, threads, wrong: -1 })
      }
    }
  })
})
