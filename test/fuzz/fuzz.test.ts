/** Bad input of every kind, in little: `test/fuzz/run.ts` takes over 100,000. */
import { describe, expect, it } from 'vitest'
import { DataError } from '../../src/index.ts'
import { fuzz } from './fuzz.ts'
import { targets } from './targets.ts'

/** Inputs in all. */
const COUNT = 2000
const all = targets.reduce((sum, { inputs }) => sum + inputs, 0)

describe('bad input is read, or refused by one clear error', () => {
  it.each(targets.map((target) => [target.name, target] as const))('%s', async (_, target) => {
    const count = Math.ceil((target.inputs / all) * COUNT)
    const { accepted, refused, failures } = await fuzz(target, { seed: 7, first: 0, count })
    expect(failures).toEqual([])
    expect(accepted + refused).toBe(count)
    expect(refused).toBeGreaterThan(0)
  })
})

it('sees what is wrong with a reader', async () => {
  const failing = (error: unknown) => ({
    name: 'broken',
    inputs: 1,
    prepare: async () => async () => ({ sources: ['a.csv'], run: () => Promise.reject(error) }),
  })
  const failuresOf = async (error: unknown) => (await fuzz(failing(error), { seed: 1, first: 0, count: 1 })).failures
  expect(await failuresOf(new TypeError('x is undefined'))).toHaveLength(1)
  expect(await failuresOf(new DataError('b.csv, line 3: expected 2 values, got 3.'))).toHaveLength(1)
  expect(await failuresOf(new DataError('a.csv: bad'))).toHaveLength(1)
  expect(await failuresOf(new DataError('a.csv, line 3: expected 2 values, got 3.'))).toEqual([])
})
