/**
 * Products that an update, or a check, takes block by block, of the sizes at which the native kernel cuts them otherwise: blocks of rows,
 * chunks of columns, what is packed. The bits must be those of the product and the update one after the other.
 */
import { describe, expect, it } from 'vitest'
import { loadAddon } from '../../src/executors/native/addon.ts'
import { nativeExecutor } from '../../src/executors/native/index.ts'
import { integers, uniform } from '../../src/graph/op.ts'
import { matmulOps } from '../../src/ops/matmul.ts'
import { updateOps } from '../../src/ops/update.ts'
import { Purpose, RandomStream } from '../../src/random.ts'
import { type Case, type CasePlan, filled, planOf } from '../battery/samples.ts'

const { addon } = loadAddon()
const threadCounts = [1, 2, 4]

const shapes: readonly (readonly [depth: number, rows: number, columns: number, what: string])[] = [
  [1, 1, 1, 'one element'],
  [9, 1, 1031, 'one row'],
  [9, 1031, 1, 'one column, computed as a row'],
  [3, 70_000, 1, 'one column that is cut for threads'],
  [2, 15, 20_000, 'few rows, b in place'],
  [20, 33, 1024, 'a block of rows and one row more'],
  [20, 65, 1025, 'a second chunk of columns with AVX-512'],
  [8, 130, 2310, 'a third, and a second elsewhere'],
  [130, 300, 250, 'not shallow'],
  [31, 4100, 17, 'few columns'],
  [500, 40, 390, 'deeper than blocks of the depth are elsewhere'],
  [17, 257, 509, 'chunks of columns for several threads'],
]

const adam = { beta1: 0.9, beta2: 0.999, epsilon: 1e-7, epsilonHat: false, weightDecay: 0 }
const rules = [
  { rule: 'sgd', momentum: 0, nesterov: false, weightDecay: 0.01 },
  { rule: 'sgd', momentum: 0.9, nesterov: true, weightDecay: 0 },
  { rule: 'adam', ...adam },
  { rule: 'adam', ...adam, epsilonHat: true, weightDecay: 0.1 },
] as const

/** Runs a plan of one instruction. */
function run({ plan }: CasePlan, arena: ReturnType<typeof filled>, isa: string, threads: number): void {
  nativeExecutor(addon as NonNullable<typeof addon>, { isa, threads, serialBelow: 0 })
    .load(plan, arena)
    .execute(0, plan.instructions.length)
}

function caseOf(op: Case['op'], inputs: Case['sample']['inputs'], attributes: object): CasePlan {
  return planOf({ op, name: op.name, sample: { inputs, attributes } })
}

/** What the instruction's operands hold. */
function inputsOf({ plan }: CasePlan, arena: ReturnType<typeof filled>): Float32Array[] {
  return plan.instructions[0].inputs.map((tensor) => arena.view(plan.tensors[tensor]) as Float32Array)
}

/** aᵀ b, by the kernel that stores it. */
function productOf(a: Float32Array, b: Float32Array, depth: number, rows: number, columns: number): Float32Array {
  const made = caseOf(matmulOps.matmul, [uniform([depth, rows]), uniform([depth, columns])], {
    transposeA: true,
    transposeB: false,
    bias: false,
    steps: [],
  })
  const arena = filled(made)
  const views = inputsOf(made, arena)
  views[0].set(a)
  views[1].set(b)
  run(made, arena, 'portable', 1)
  return arena.view(made.plan.tensors[made.plan.instructions[0].outputs[0]]) as Float32Array
}

const wordsOf = (values: Float32Array) => new Int32Array(values.buffer, values.byteOffset, values.length)

describe.skipIf(addon === undefined)('an update by a product', () => {
  const cases = shapes.flatMap(([depth, rows, columns, what]) => rules.map((attributes) => ({ depth, rows, columns, what, attributes })))

  it.each(cases)('[$depth, $rows] and [$depth, $columns]: $what, $attributes.rule', ({ depth, rows, columns, attributes }) => {
    const size = [rows, columns]
    const slots = attributes.rule === 'adam' ? 2 : attributes.momentum === 0 ? 0 : 1
    const others = [
      ...[uniform(size), uniform(size, { low: 0, high: 1 })].slice(0, slots),
      uniform([], { low: 0.01, high: 0.1 }),
      ...(attributes.rule === 'adam' ? [integers([], 30)] : []),
    ]
    const made = caseOf(updateOps.matmulUpdate, [uniform(size), uniform([depth, rows]), uniform([depth, columns]), ...others], attributes)
    const start = filled(made)
    // A unit that gets no gradient.
    const [p, a, b, ...rest] = inputsOf(made, start)
    const dead = Math.floor(columns / 2)
    for (let k = 0; k < depth; k++) b[k * columns + dead] = 0

    const apart = caseOf(updateOps[attributes.rule], [uniform(size), uniform(size), ...others], attributes)
    const apartArena = filled(apart)
    const apartInputs = inputsOf(apart, apartArena)
    for (const [i, values] of [p, productOf(a, b, depth, rows, columns), ...rest].entries()) apartInputs[i].set(values)
    run(apart, apartArena, 'portable', 1)
    const expected = [apartInputs[0], ...apartInputs.slice(2, 2 + slots)].map(wordsOf)

    for (const isa of addon?.isas ?? []) {
      for (const threads of threadCounts) {
        const arena = filled(made)
        const inputs = inputsOf(made, arena)
        inputs[2].set(b)
        run(made, arena, isa, threads)
        const updated = [inputs[0], ...inputs.slice(3, 3 + slots)].map(wordsOf)
        const wrong = expected.map((values, i) => values.findIndex((value, at) => value !== updated[i][at]))
        expect({ isa, threads, wrong }).toEqual({ isa, threads, wrong: expected.map(() => -1) })
      }
    }
  })
})

describe.skipIf(addon === undefined)('a check of a product', () => {
  /** Changes values so that some elements of the product are not finite, or nearly so. */
  const spoiled: Readonly<Record<string, (a: Float32Array, b: Float32Array, random: RandomStream) => void>> = {
    nothing: () => undefined,
    'NaN in a': (a, _, random) => a.fill(Number.NaN, random.below(a.length)).fill(0, 0, 1),
    'infinity in b': (_, b, random) => {
      b[random.below(b.length)] = Number.NEGATIVE_INFINITY
    },
    'infinity in b that meets zeros': (a, b) => {
      a.fill(0)
      b[b.length - 1] = Number.POSITIVE_INFINITY
    },
    'one product that overflows': (a, b) => {
      a[a.length - 1] = 3e38
      b[b.length - 1] = 2
    },
    'large factors that do not meet, or do': (a, b, random) => {
      a[random.below(a.length)] = 1e25
      b[random.below(b.length)] = 1e25
    },
    'factors near the root of the largest number': (a, b) => {
      for (const x of [a, b]) for (let i = 0; i < x.length; i++) x[i] *= 1.3e19
    },
    denormals: (a, b) => {
      for (const x of [a, b]) for (let i = 0; i < x.length; i++) x[i] *= 1e-41
    },
  }
  const cases = shapes.flatMap(([depth, rows, columns, what], seed) =>
    Object.keys(spoiled).map((spoil) => ({ depth, rows, columns, what, spoil, seed })),
  )

  it.each(cases)('[$depth, $rows] and [$depth, $columns], $spoil: $what', ({ depth, rows, columns, spoil, seed }) => {
    const made = caseOf(updateOps.checkMatmul, [uniform([depth, rows]), uniform([depth, columns])], {})
    const arena = filled(made)
    const [a, b] = inputsOf(made, arena)
    spoiled[spoil](a, b, new RandomStream(seed, Purpose.sample))
    const finite = Number(productOf(a, b, depth, rows, columns).every(Number.isFinite))
    const y = arena.view(made.plan.tensors[made.plan.instructions[0].outputs[0]])
    for (const isa of addon?.isas ?? []) {
      for (const threads of threadCounts) {
        y[0] = 7
        run(made, arena, isa, threads)
        expect({ isa, threads, finite: y[0] }).toEqual({ isa, threads, finite })
      }
    }
  })
})
