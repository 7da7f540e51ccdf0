/** Runs that cannot be now, or not on this machine, are refused with advice, and the model is afterwards as if nothing had happened. */
import { afterEach, describe, expect, it, vi } from 'vitest'
import { dense, input, sequential } from '../../src/index.ts'
import { meanSquaredError, type Refusal, regressor, testRefusals, x, y } from './refusals.ts'
import { bitsOf, executors, expectRefusal, xor } from './support.ts'

const memory: Refusal[] = [
  ['a batch of 2^40', (net) => net.load(net.plan(2 ** 40)), 'ERR_MEMORY', 'workspace', 'TiB', 'the machine has', 'smaller batchSize'],
  ['the largest batch there is', (net) => net.load(net.plan(Number.MAX_SAFE_INTEGER)), 'ERR_MEMORY', 'PiB', 'the machine has'],
]

describe.each(executors)('on the %s executor, training refuses', (executor) => {
  testRefusals(executor, memory)

  it('two runs at once, and lets the first one finish', async () => {
    const [net, twin] = [regressor(executor), regressor(executor)]
    const first = net.fit({ x, y }, { ...meanSquaredError, epochs: 20 })
    await expectRefusal(() => net.fit({ x, y }, meanSquaredError), 'ERR_BUSY', 'already being trained', 'build a second model')
    await expectRefusal(() => net.train({ x, y }, meanSquaredError).next(), 'ERR_BUSY', 'already being trained')
    const predicted = net.predict(x)
    expect((await first).epochs.length).toBe(20)
    expect((await predicted).shape).toEqual([4, 2])
    await twin.fit({ x, y }, { ...meanSquaredError, epochs: 20 })
    expect(bitsOf(net)).toEqual(bitsOf(twin))
    expect((await net.fit({ x, y }, meanSquaredError)).stopped).toBe('completed')
  })

  it('a second run inside a callback, and goes on', async () => {
    const net = regressor(executor)
    const codes: string[] = []
    const { epochs } = await net.fit(
      { x, y },
      {
        ...meanSquaredError,
        epochs: 2,
        onEpochEnd: async () => {
          codes.push((await expectRefusal(() => net.fit({ x, y }, meanSquaredError), 'ERR_BUSY', 'already being trained')).code)
        },
      },
    )
    expect(codes).toEqual(['ERR_BUSY', 'ERR_BUSY'])
    expect(epochs.length).toBe(2)
  })

  it('nothing when the batch is larger than the data: that is one batch', async () => {
    const [net, twin] = [regressor(executor), regressor(executor)]
    await net.fit({ x, y }, { ...meanSquaredError, batchSize: Number.MAX_SAFE_INTEGER })
    await twin.fit({ x, y }, { ...meanSquaredError, batchSize: 4 })
    expect(bitsOf(net)).toEqual(bitsOf(twin))
  })

  it('a callback that throws, and can train again', async () => {
    const net = regressor(executor)
    const fails = () => {
      throw new RangeError('mine')
    }
    await expect(net.fit({ x, y }, { ...meanSquaredError, onEpochEnd: fails })).rejects.toThrow(RangeError)
    await expect(net.fit({ x, y }, { ...meanSquaredError, onProgress: fails })).rejects.toThrow('mine')
    const { epochs } = await net.fit({ x, y }, { ...meanSquaredError, epochs: 30 })
    expect(epochs[29].loss).toBeLessThan(epochs[0].loss)
  })
})

describe('memory that the system refuses', () => {
  afterEach(() => {
    vi.unstubAllGlobals()
  })

  it.each(executors)('is a MemoryError on the %s executor, before anything changed', async (executor) => {
    const net = sequential([input(2), dense(1)], { executor })
    const before = bitsOf(net)
    vi.stubGlobal(
      'SharedArrayBuffer',
      class {
        constructor() {
          throw new RangeError('Array buffer allocation failed')
        }
      },
    )
    const parts = ['which could not be allocated', 'are free']
    await expectRefusal(() => net.fit(xor, meanSquaredError), 'ERR_MEMORY', 'gradients 128 bytes', ...parts)
    await expectRefusal(() => net.predict(xor.x), 'ERR_MEMORY', 'predict: input "input_1": its 8 numbers need 32 bytes', ...parts)
    expect(() => sequential([input(2), dense(1)], { executor })).toThrow(/parameters 128 bytes.*could not be allocated/)
    vi.unstubAllGlobals()
    expect(bitsOf(net)).toEqual(before)
    const { epochs } = await net.fit(xor, { ...meanSquaredError, epochs: 20 })
    expect(epochs[19].loss).toBeLessThan(epochs[0].loss)
  })
})
