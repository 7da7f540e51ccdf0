import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Batcher } from '../../../src/predict/batcher.ts'
import { gate } from './support.ts'

describe('a batcher', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  function recorded(size: number, latency: number, hold = Promise.resolve()) {
    const batches: number[][] = []
    const batcher = new Batcher<number>({ size, latency }, async (items) => {
      batches.push([...items])
      await hold
    })
    return { batcher, batches }
  }

  it('sends a full batch at once, and any other when its first item has waited', async () => {
    const { batcher, batches } = recorded(3, 5)
    for (const item of [1, 2, 3]) batcher.add(item)
    expect(batches).toEqual([[1, 2, 3]])
    await turn()
    batcher.add(4)
    await vi.advanceTimersByTimeAsync(3)
    batcher.add(5)
    await vi.advanceTimersByTimeAsync(1)
    expect(batches).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(1)
    expect(batches).toEqual([
      [1, 2, 3],
      [4, 5],
    ])
    expect(vi.getTimerCount()).toBe(0)
  })

  it('counts the time of each batch anew', async () => {
    const { batcher, batches } = recorded(2, 5)
    batcher.add(1)
    await vi.advanceTimersByTimeAsync(4)
    batcher.add(2)
    await turn()
    batcher.add(3)
    await vi.advanceTimersByTimeAsync(4)
    expect(batches).toEqual([[1, 2]])
    await vi.advanceTimersByTimeAsync(1)
    expect(batches).toEqual([[1, 2], [3]])
  })

  it('runs one batch at a time; what came meanwhile and was due leaves when that has ended', async () => {
    const { promise, open } = gate()
    const { batcher, batches } = recorded(4, 5, promise)
    for (const item of [1, 2, 3, 4, 5, 6]) batcher.add(item)
    await vi.advanceTimersByTimeAsync(50)
    expect(batches).toEqual([[1, 2, 3, 4]])
    expect(batcher.length).toBe(2)
    open()
    await turn()
    expect(batches).toEqual([
      [1, 2, 3, 4],
      [5, 6],
    ])
  })

  it('says when there is room, flushes, and flushes nothing', async () => {
    const { promise, open } = gate()
    const { batcher, batches } = recorded(2, 1000, promise)
    await batcher.flush()
    for (const item of [1, 2, 3]) batcher.add(item)
    expect(batcher.room()).toBeNull()
    batcher.add(4)
    const room = batcher.room()
    expect(room).not.toBeNull()
    open()
    await room
    batcher.add(5)
    await batcher.flush()
    expect(batches.flat()).toEqual([1, 2, 3, 4, 5])
    batcher.add(6)
    expect(batcher.length).toBe(1)
    await vi.advanceTimersByTimeAsync(1000)
    expect(batches.flat()).toHaveLength(6)
  })

  it('gives back what waits, and its timer with it', () => {
    const { batcher, batches } = recorded(9, 5)
    for (const item of [1, 2, 3]) batcher.add(item)
    expect(batcher.remove((item) => item === 2)).toEqual([2])
    expect(vi.getTimerCount()).toBe(1)
    expect(batcher.remove()).toEqual([1, 3])
    expect(vi.getTimerCount()).toBe(0)
    expect(batches).toEqual([])
  })

  it('keeps every item and their order, whatever comes when', async () => {
    vi.useRealTimers()
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 7 }),
        fc.constantFrom(0, 1),
        fc.array(fc.constantFrom('add', 'turn', 'flush'), { maxLength: 60 }),
        async (size, latency, acts) => {
          const { batcher, batches } = recorded(size, latency)
          let added = 0
          for (const act of acts) {
            if (act === 'add') batcher.add(added++)
            else if (act === 'turn') await turn()
            else void batcher.flush()
          }
          await batcher.flush()
          expect(batches.flat()).toEqual(Array.from({ length: added }, (_, i) => i))
          expect(batches.every(({ length }) => length >= 1 && length <= size)).toBe(true)
        },
      ),
      { numRuns: 300 },
    )
  })
})
