/**
 * Every loss against values and gradients of PyTorch (test/golden/outside/losses.py), on the plans that training uses.
 *
 * Tolerance: float32 has a unit in the last place of 6e-8 of a number; a loss is some ten roundings of numbers that are no larger than the largest loss of its batch, hence
 * 2e-6 of that. Distances in a batch are roots of differences of squares that cancel: 1e-5.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { flatten } from '../../../src/data/ndarray.ts'
import { type CustomLoss, type Loss, type LossName, losses, reshape, slice, type Tensor, tripletMargin } from '../../../src/index.ts'
import { executors, scaledError } from '../../training/support.ts'
import { judge } from '../judging.ts'

type Nested = readonly (number | Nested)[]

interface Case {
  readonly loss: string
  readonly options: Record<string, unknown>
  readonly prediction: Nested
  readonly target: Nested
  readonly value: number
  readonly gradient: Nested
  readonly samples?: readonly number[]
}

const cases: readonly Case[] = JSON.parse(readFileSync(new URL('../../golden/outside/losses.json', import.meta.url), 'utf8'))

const flat = (values: Nested): number[] => (values as number[]).flat(3)

function shapeOf(values: Nested): number[] {
  return [...(flatten('test', values as number[]).shape as number[])]
}

/** The functional form, for a prediction that holds all three embeddings. */
function tripletsOf(margin: number): CustomLoss {
  const part = (x: Tensor, i: number) => reshape(slice(x, [null, [i, i + 1]]), [x.shape[0], x.shape[2]])
  return {
    name: 'tripletMargin',
    compute: (x) => tripletMargin(part(x, 0), part(x, 1), part(x, 2), { margin }),
    target: (x) => ({ shape: [x.shape[0]], dtype: 'float32' }),
  }
}

function lossOf({ loss, options }: Case): Loss | CustomLoss {
  if (loss === 'tripletMargin') return tripletsOf(options.margin as number)
  return (losses[loss as LossName] as (options: unknown) => Loss)(options)
}

describe.each(executors)('on the %s executor', (executor) => {
  it.each(cases.map((golden, i) => [i, golden.loss, JSON.stringify(golden.options), golden] as const))(
    'case %i: %s %s',
    (_, name, __, golden) => {
      const [count, ...shape] = shapeOf(golden.prediction)
      const { value, samples, gradient } = judge(lossOf(golden), count, shape, executor)(flat(golden.prediction), golden.target as number[])
      const tolerance = name === 'triplet' ? 1e-5 : 2e-6
      const scale = Math.max(1, ...samples.map(Math.abs))
      expect(Math.abs(value - golden.value) / Math.max(1, Math.abs(golden.value)), `value ${value}`).toBeLessThan(tolerance)
      expect(scaledError(gradient, flat(golden.gradient)), `gradient ${gradient}`).toBeLessThan(tolerance)
      golden.samples?.forEach((sample, i) => {
        expect(Math.abs(samples[i] - sample) / scale, `sample ${i}`).toBeLessThan(tolerance)
      })
    },
  )
})

it('all losses have a case', () => {
  const known = new Set(cases.map(({ loss }) => loss))
  expect(Object.keys(losses).filter((name) => !known.has(name))).toEqual([])
})
