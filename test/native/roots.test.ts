/**
 * Where all lanes of a few vectors are of usual size, AVX-512 iterates some of their square roots. Whichever lane holds a number that is
 * not, the bits must be those of the other way.
 */
import { describe, expect, it } from 'vitest'
import { loadAddon } from '../../src/executors/native/addon.ts'
import { nativeExecutor } from '../../src/executors/native/index.ts'
import { uniform } from '../../src/graph/op.ts'
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
