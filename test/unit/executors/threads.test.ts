/** How many threads a plan may have. That results do not depend on it is in the battery. */
import { describe, expect, it } from 'vitest'
import { Arena } from '../../../src/executors/arena.ts'
import { defaultThreads, loadAddon, MAXIMUM_THREADS } from '../../../src/executors/native/addon.ts'
import { nativeExecutor } from '../../../src/executors/native/index.ts'
import { dense, input, sequential } from '../../../src/index.ts'

const layers = () => [input(3), dense(64, { activation: 'relu' }), dense(2)]
const x = Array.from({ length: 200 }, (_, i) => [i / 200, 1 - i / 100, (i % 7) / 7])

describe('more threads than processors', () => {
  it.each([99, MAXIMUM_THREADS])('are allowed, and change no bit: %i', async (threads) => {
    const expected = await sequential(layers(), { threads: 1 }).predict(x)
    expect(await sequential(layers(), { threads }).predict(x)).toEqual(expected)
  })
})

it('by default there is a thread for each processor, up to the maximum', () => {
  expect([1, 2, MAXIMUM_THREADS, 1000].map(defaultThreads)).toEqual([1, 2, MAXIMUM_THREADS, MAXIMUM_THREADS])
})

const { addon } = loadAddon()

describe.skipIf(addon === undefined)('threads of the native executor', () => {
  const real = addon as NonNullable<typeof addon>
  const plan = sequential(layers()).plan(4)

  /** With how many threads a plan is loaded on a machine of so many processors. */
  function loadedWith(hardwareThreads: number, options: { readonly threads?: number } = {}): number {
    let threads = 0
    const machine = {
      ...real,
      hardwareThreads,
      load: (...[description, regions, given]: Parameters<typeof real.load>) => {
        const session = real.load(description, regions, given)
        threads = session.threads
        return session
      },
    }
    nativeExecutor(machine, options).load(plan, Arena.allocate(plan.blocks))
    return threads
  }

  it('are as many as there are processors, if nothing else is said, up to the maximum', () => {
    expect([1, 2, MAXIMUM_THREADS, 1000].map((processors) => loadedWith(processors))).toEqual([1, 2, MAXIMUM_THREADS, MAXIMUM_THREADS])
    expect(loadedWith(1000, { threads: 3 })).toBe(3)
    expect(loadedWith(2, { threads: 5 })).toBe(5)
  })

  it('have the maximum of the addon', () => {
    expect(() => loadedWith(1, { threads: MAXIMUM_THREADS + 1 })).toThrow(`${MAXIMUM_THREADS}`)
  })
})
