/** One set of weights for several threads. */
import type { Worker } from 'node:worker_threads'
import { afterAll, describe, expect, it } from 'vitest'
import { dense, input, type Model, openShared, sequential } from '../../src/index.ts'
import { answerOf, network, start } from './jobs.ts'
import { bitsOf, executors, expectRefusal, numbers } from './support.ts'

const workers: Worker[] = []
afterAll(() => Promise.all(workers.map((worker) => worker.terminate())))

async function ask(worker: Worker, message: unknown): Promise<unknown> {
  const answer = answerOf(worker)
  worker.postMessage(message)
  return answer
}

function residentMegabytes(): number {
  return process.memoryUsage.rss() / 1e6
}

describe('a shared model', () => {
  it.each(executors)('predicts with the weights of the first, whichever changes them, on the %s executor', async (executor) => {
    const first = sequential([input(6), dense(8, { activation: 'gelu' }), dense(2)], { seed: 5, executor })
    first.freeze('dense_1')
    const second = openShared(structuredClone(first.share()), { executor })
    expect(second.executor.name).toBe(executor)
    expect(second.trainableParameters.map(({ name }) => name)).toEqual(first.trainableParameters.map(({ name }) => name))
    const x = Float32Array.from(numbers(60, 1))
    expect((await second.predict(x)).data).toEqual((await first.predict(x)).data)
    const before = bitsOf(second)
    await first.fit({ x, y: numbers(10, 2).map((value) => [value, value]) }, { loss: 'meanSquaredError', epochs: 2 })
    expect(bitsOf(second)).toEqual(bitsOf(first))
    expect(bitsOf(second)).not.toEqual(before)
    second.setWeights({ 'dense_2.bias': [1, 2] })
    expect((await first.predict(x)).data).toEqual((await second.predict(x)).data)
    expect([...first.weights()['dense_2.bias'].data]).toEqual([1, 2])
  })

  it('is there once for eight workers, and training it changes what they predict', async () => {
    const width = 5000
    const net: Model = sequential([input(width), dense(width, { kernelInitializer: 'zeros' }), dense(2)], { seed: 1 })
    expect(net.parameterCount * 4).toBeGreaterThan(100e6)
    for (const { variable } of net.parameters) {
      const values = net.values(variable)
      for (let i = 0; i < values.length; i++) values[i] = ((i * 37) % 201) / 1e4 - 0.01
    }
    const x = Float32Array.from(numbers(width, 3))
    const expected = (await net.predict(x)).data
    workers.push(...Array.from({ length: 8 }, () => start({ kind: 'serve' })))
    expect(await Promise.all(workers.map(answerOf))).toEqual(workers.map(() => 'ready'))
    const before = residentMegabytes()
    const shared = net.share()
    expect(await Promise.all(workers.map((worker) => ask(worker, shared)))).toEqual(workers.map(() => 'opened'))
    expect(await Promise.all(workers.map((worker) => ask(worker, x)))).toEqual(workers.map(() => expected))
    // Eight copies would be 800.
    expect(residentMegabytes() - before).toBeLessThan(200)
    await net.fit({ x, y: [[1, -1]] }, { loss: 'meanSquaredError', optimizer: 'sgd' })
    const trained = (await net.predict(x)).data
    expect(trained).not.toEqual(expected)
    expect(await Promise.all(workers.map((worker) => ask(worker, x)))).toEqual(workers.map(() => trained))
  })

  it.each<[string, unknown, ...string[]]>([
    ['nothing', undefined, 'got undefined'],
    ['a number', 5, 'got 5'],
    ['one that went through JSON', JSON.parse(JSON.stringify(network(1).share())), 'lost its shared memory'],
    ['one with something else for memory', { ...network(1).share(), memory: new Map([['parameters', null]]) }, 'lost its shared memory'],
    [
      'one whose memory was copied',
      { ...network(1).share(), memory: new Map([['parameters', new Uint8Array(8)]]) },
      'lost its shared memory',
    ],
  ])('is not made of %s', async (_, shared, ...parts) => {
    await expectRefusal(() => openShared(shared as never), 'ERR_DATA', 'openShared: expected what share() gave', ...parts)
  })

  it('is not made with unknown options', async () => {
    await expectRefusal(() => openShared(network(1).share(), { seed: 1 } as never), 'ERR_OPTION', 'openShared', 'seed')
  })
})
