/** Orders of rows: the addon's shuffle against the one in TypeScript, which says what it means. */
import { afterEach, expect, it } from 'vitest'
import { loadAddon } from '../../src/executors/native/addon.ts'
import { Purpose, RandomStream, useNativeShuffle } from '../../src/random.ts'

const { addon } = loadAddon()
afterEach(() => useNativeShuffle(addon?.shuffle ?? null))

/** An order, and the words that come after it. */
function shuffled(length: number, slice: number, drawnBefore: number): number[] {
  const stream = new RandomStream(2 ** 53 - 1, Purpose.shuffle, 77)
  for (let i = 0; i < drawnBefore; i++) stream.bits()
  const values = Int32Array.from({ length }, (_, i) => i)
  for (const _ of stream.shuffleInSlices(values, slice));
  return [...values, ...Array.from({ length: 5 }, () => stream.bits())]
}

it.runIf(addon !== undefined)('the addon gives the same orders, and leaves the stream at the same place', () => {
  for (const length of [0, 1, 2, 3, 16, 17, 1000, 70_001]) {
    for (const [slice, drawnBefore] of [
      [8192, 0],
      [8192, 3],
      [257, 1],
    ]) {
      useNativeShuffle(null)
      const expected = shuffled(length, slice, drawnBefore)
      useNativeShuffle(addon?.shuffle ?? null)
      expect(shuffled(length, slice, drawnBefore)).toEqual(expected)
    }
  }
})

it('each value is there once, and orders of other streams are others', () => {
  const order = (index: number) => {
    const values = Int32Array.from({ length: 100 }, (_, i) => i)
    new RandomStream(1, Purpose.shuffle, index).shuffle(values)
    return [...values]
  }
  expect(order(0).sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i))
  expect(order(0)).not.toEqual(order(1))
})

it.runIf(addon !== undefined)('the addon refuses places that the array does not have', () => {
  const values = new Int32Array(10)
  const run = (from: number, downTo: number) => addon?.shuffle(values, from, downTo, 1, 2, 3, 4, 0)
  for (const [from, downTo] of [
    [10, 1],
    [9, -1],
    [1.5, 1],
  ])
    expect(() => run(from, downTo)).toThrow(expect.objectContaining({ code: 'ERR_THALWEG_ARGUMENT' }))
})
