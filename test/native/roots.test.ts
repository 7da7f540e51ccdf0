/**
 * Where all lanes of a few vectors are of usual size, AVX-512 iterates some of their square roots. Whichever lane holds a number that is
 * not, the bits must be those of the other way. And what becomes of remnants of moments, on every executor.
 */
import { describe, expect, it } from 'vitest'
import type { Executor } from '../../src/executors/executor.ts'
import { loadAddon } from '../../src/executors/native/addon.ts'
import { nativeExecutor } from '../../src/executors/native/index.ts'
import { referenceExecutor } from '../../src/executors/reference/index.ts'
import { type Op, uniform } from '../../src/graph/op.ts'
import { elementwiseOps } from '../../src/ops/elementwise.ts'
import { updateOps } from '../../src/ops/update.ts'
import { type Case, filled, planOf, resultsOf } from '../battery/samples.ts'

const { addon } = loadAddon()

/** Gradient, first and second moment of one parameter. Between them: remnants, powers of two at the ends of ranges, overflow. */
const unusual: Readonly<Record<string, readonly [g: number, m: number, v: number]>> = {
  zero: [0, 0, 0],
  'negative zero': [-0, -0, -0],
  'a first moment that becomes a remnant': [0, 1.05 * 2 ** -111, 1],
  'the least first moment': [0, 2 ** -110, 1],
  'a second moment that becomes a remnant': [0, 1, 1.0005 * 2 ** -111],
  'the least second moment': [0, 1, 2 ** -110],
  'a second moment below 2^60': [0, 1, 2 ** 60],
  'a second moment above 2^60': [0, 1, 1.01 * 2 ** 60],
  'denormal moments': [1e-42, 1e-42, 1e-42],
  'a second moment of 2^99': [1, 1, 2 ** 99],
  'a second moment of 2^127': [1, 1, 2 ** 127],
  'a square that overflows': [1e20, 1, 1],
  'an infinite second moment': [1, 1, Number.POSITIVE_INFINITY],
  'a negative second moment': [0, 1, -1],
  'an infinite gradient': [Number.NEGATIVE_INFINITY, 1, 1],
  'a gradient that is no number': [Number.NaN, 1, 1],
  'a first moment that is no number': [1, Number.NaN, 1],
}

const attributes = [
  { beta1: 0.9, beta2: 0.999, epsilon: 1e-7, epsilonHat: false, weightDecay: 0 },
  { beta1: 0.9, beta2: 1 - 1e-12, epsilon: 0, epsilonHat: false, weightDecay: 0.01 },
  { beta1: 0, beta2: 0, epsilon: 1e-7, epsilonHat: true, weightDecay: 0 },
]

const LANES = 64
const EXTRA = 5 // so that a part of a vector is left over

describe.skipIf(addon === undefined)('adam with an unusual lane', () => {
  const isas = (addon?.isas ?? []).filter((isa) => isa !== 'portable')

  /** Row i has the unusual values in lane i; the last has them in all lanes. The bits of p, m and v after one update. */
  function run(isa: string, sample: Case['sample'], values: readonly number[]): Uint32Array[] {
    const made = planOf({ op: updateOps.adam, name: 'adam', sample })
    const arena = filled(made)
    const { inputs } = made.plan.instructions[0]
    values.forEach((value, i) => {
      const array = arena.view(made.plan.tensors[inputs[i + 1]])
      for (let row = 0; row <= LANES; row++)
        for (let lane = 0; lane < LANES; lane++) if (row === LANES || row === lane) array[row * LANES + lane] = value
    })
    nativeExecutor(addon as NonNullable<typeof addon>, { isa, threads: 1 })
      .load(made.plan, arena)
      .execute(0, made.plan.instructions.length)
    return resultsOf(made.plan, arena).map(({ values }) => {
      const bits = new Uint32Array(values.slice().buffer)
      values.forEach((value, i) => Number.isNaN(value) && bits.fill(0x7fc00000, i, i + 1))
      return bits
    })
  }

  it.each(Object.entries(unusual))('%s', (_, values) => {
    for (const each of attributes) {
      const size = [(LANES + 1) * LANES + EXTRA]
      const { inputs } = updateOps.adam.samples[0]
      const sample = { inputs: inputs.map((input, i) => (i < 4 ? { ...input, shape: size } : input)), attributes: each }
      const expected = run('portable', sample, values)
      for (const isa of isas) expect({ isa, bits: run(isa, sample, values) }).toEqual({ isa, bits: expected })
    }
  })
})

describe('moments below 2^-111 become 0, and no others', () => {
  const below = 2 ** -111 * (1 - 2 ** -24)
  const numbers = [2 ** -111, -(2 ** -111), below, -below, 2 ** -112, 1e-42, -0, 2 ** -110, Number.NaN, Number.NEGATIVE_INFINITY]
  const kept = numbers.map((x) => (Math.abs(x) < 2 ** -111 ? 0 : x))
  const squares = [2 ** -56, 2 ** -55.5 * 1.001, 2 ** -55.5 * 0.999, 1e-30, -(2 ** -55)].map(Math.fround)
  const keptSquares = squares.map((x) => (x * x < 2 ** -111 ? 0 : Math.fround(x * x)))
  const executors = [
    { name: 'reference', executor: referenceExecutor },
    ...(addon?.isas ?? []).map((isa) => ({ name: isa, executor: nativeExecutor(addon as NonNullable<typeof addon>, { isa, threads: 1 }) })),
  ]

  /** What `op` leaves in its slots, which hold 0 before, for gradients that are repeated so that they meet whole vectors and parts of them. */
  function slotsAfter(executor: Executor, op: Op, attributes: object, gradients: readonly number[]): number[][] {
    const arrays = op === updateOps.adam ? 4 : 3
    const { inputs } = op.samples.find((sample) => sample.inputs.length > arrays) as Op['samples'][number]
    const size = [gradients.length * 13]
    const made = planOf({
      op,
      name: op.name,
      sample: { inputs: inputs.map((x, i) => (i < arrays ? { ...x, shape: size } : x)), attributes },
    })
    const arena = filled(made)
    const views = made.plan.instructions[0].inputs.slice(0, arrays).map((tensor) => arena.view(made.plan.tensors[tensor]))
    views[1].forEach((_, i, gradient) => {
      gradient[i] = gradients[i % gradients.length]
    })
    for (const slot of views.slice(2)) slot.fill(0)
    executor.load(made.plan, arena).execute(0, made.plan.instructions.length)
    return views.slice(2).map((slot) => [...slot])
  }
  const repeated = (values: readonly number[]) => Array.from({ length: values.length * 13 }, (_, i) => values[i % values.length])

  it.each(executors)('on $name', ({ executor }) => {
    const adam = { beta1: 0, beta2: 0, epsilon: 1e-7, epsilonHat: false, weightDecay: 0 }
    expect(slotsAfter(executor, updateOps.adam, adam, numbers)[0]).toEqual(repeated(kept))
    expect(slotsAfter(executor, updateOps.adam, adam, squares)[1]).toEqual(repeated(keptSquares))
    expect(slotsAfter(executor, updateOps.sgd, { momentum: 0.9, nesterov: true, weightDecay: 0 }, numbers)[0]).toEqual(repeated(kept))
  })
})

describe.skipIf(addon === undefined)('sqrt with an unusual lane', () => {
  const numbers = [
    0,
    -0,
    1e-45,
    2 ** -126,
    0.999 * 2 ** -80,
    2 ** -80,
    3.4e38,
    Number.POSITIVE_INFINITY,
    -1,
    Number.NEGATIVE_INFINITY,
    Number.NaN,
  ]

  it.each(addon?.isas ?? [])('is correctly rounded on %s', (isa) => {
    const made = planOf({ op: elementwiseOps.sqrt, name: 'sqrt', sample: { inputs: [uniform([LANES * LANES + EXTRA])], attributes: {} } })
    const arena = filled(made)
    const [{ inputs, outputs }] = made.plan.instructions
    const x = arena.view(made.plan.tensors[inputs[0]])
    for (const number of numbers) {
      for (let i = 0; i < x.length; i++) x[i] = Math.floor(i / LANES) === i % LANES ? number : 1 + i
      const expected = Array.from(x, (value) => Math.fround(Math.sqrt(value)))
      nativeExecutor(addon as NonNullable<typeof addon>, { isa, threads: 1 })
        .load(made.plan, arena)
        .execute(0, 1)
      expect({ number, roots: [...arena.view(made.plan.tensors[outputs[0]])] }).toEqual({ number, roots: expected })
    }
  })
})
