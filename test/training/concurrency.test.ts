/** A free event loop, aborts, several models and several threads at once. test/soak measures the same over a minute. */
import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { loadAddon } from '../../src/executors/native/addon.ts'
import { dense, input, type Model, model, sequential, slice } from '../../src/index.ts'
import { answerOf, bits, data, network, options, share, start, train } from './jobs.ts'
import { executors, numbers, stepsOf } from './support.ts'

const { addon, failure } = loadAddon()
const seeds = [1, 2, 3, 4, 5]

/** Fires a 10 ms timer while something goes on; how often, per second. */
async function timerRate(during: () => Promise<unknown>): Promise<number> {
  let fired = 0
  const timer = setInterval(() => {
    fired += 1
  }, 10)
  const begun = performance.now()
  try {
    await during()
  } finally {
    clearInterval(timer)
  }
  return fired / ((performance.now() - begun) / 1000)
}

/** Trains until it is stopped from outside; how many steps it made after that, and how long it took to end. */
async function abortAfter(net: Model, milliseconds: number, fit: (signal: AbortSignal) => Promise<unknown>) {
  const controller = new AbortController()
  const run = fit(controller.signal).then(
    () => null,
    (error: unknown) => error,
  )
  await wait(milliseconds)
  controller.abort(new Error('enough'))
  // Read after the signal: the step in progress may end, and no other may begin.
  const atAbort = stepsOf(net)
  const begun = performance.now()
  const error = await run
  return { error, atAbort, after: stepsOf(net) - atAbort, latency: performance.now() - begun }
}

describe.each(executors)('while the %s executor trains', (executor) => {
  // The reference executor gives way between steps, so they must be short; and within a run, so there must be many.
  const [features, units, batchSize, samples] = executor === 'native' ? [256, 512, 64, 1024] : [8, 8, 8, 32_768]
  const x = Float32Array.from(numbers(samples * features, 3))
  const y = Float32Array.from(numbers(samples, 4))
  const make = () => sequential([input(features), dense(units, { activation: 'relu' }), dense(1)], { executor })
  const fit = (net: Model) => (signal: AbortSignal) =>
    net.fit({ x, y }, { loss: 'meanSquaredError', epochs: 1e6, batchSize, signal, onProgress: () => undefined })

  // Half of what the same process does when idle, and at best of three, because the other tests want the same cores. A loop that is
  // blocked for an epoch fires hardly ever; test/soak/event-loop.ts measures milliseconds, on a machine that is otherwise idle.
  it('timers go on firing', { retry: 2 }, async () => {
    const idle = await timerRate(() => wait(500))
    const net = make()
    const before = performance.eventLoopUtilization()
    const busy = await timerRate(() => abortAfter(net, 2000, fit(net)))
    const { utilization } = performance.eventLoopUtilization(before)
    expect(stepsOf(net)).toBeGreaterThan(50)
    expect(busy / idle).toBeGreaterThan(0.5)
    // The native executor leaves the loop asleep; the reference executor runs in it.
    if (executor === 'native') expect(utilization).toBeLessThan(0.3)
  })

  it('an abort ends the run within one step and leaves the model usable', async () => {
    const net = make()
    for (let attempt = 0; attempt < 5; attempt++) {
      const { error, after, atAbort, latency } = await abortAfter(net, 80 + 13 * attempt, fit(net))
      expect(error).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: new Error('enough') })
      expect(atAbort).toBeGreaterThan(0)
      expect(after).toBeLessThanOrEqual(1)
      expect(latency).toBeLessThan(1000)
    }
    const { data: predictions } = await net.predict(x)
    expect(predictions.every(Number.isFinite)).toBe(true)
    const before = stepsOf(net)
    await net.fit({ x, y }, { loss: 'meanSquaredError', batchSize })
    expect(stepsOf(net) - before).toBe(samples / batchSize)
  })

  // Each loads plans of its own, and is over before a thread would have begun.
  it.each<[string, (net: Model) => Promise<unknown>]>([
    ['fits', (net) => net.fit({ x: [[1, 2]], y: [1] }, { loss: 'meanSquaredError' })],
    ['evaluations', (net) => net.evaluate({ x: [[1, 2]], y: [1] }, { loss: 'meanSquaredError' })],
    ['predictions, each of a new model', () => sequential([input(2), dense(1)], { executor }).predict([[1, 2]])],
  ])('timers fire between %s of a moment', async (_, run) => {
    const net = sequential([input(2), dense(1)], { executor })
    let fired = 0
    const timer = setInterval(() => {
      fired += 1
    }, 1)
    for (const begun = performance.now(); fired < 5 && performance.now() - begun < 1000; ) await run(net)
    clearInterval(timer)
    expect(fired).toBe(5)
  })
})

// Where two numbers of each row are read, to feed it is all that a step takes.
it.skipIf(addon === undefined)('steps that feed wide rows and do little with them leave the event loop asleep', { retry: 2 }, async () => {
  const [features, samples] = [200_000, 32]
  const x = input(features)
  const net = model(x, dense(slice(x, [null, [0, 2]]), 1), { executor: 'native' })
  let begun = performance.eventLoopUtilization()
  const onEpochEnd = (epoch: number) => {
    if (epoch === 0) begun = performance.eventLoopUtilization()
  }
  const values = { x: new Float32Array(features * samples), y: new Float32Array(samples) }
  await net.fit(values, { loss: 'meanSquaredError', batchSize: 1, epochs: 20, onEpochEnd })
  expect(performance.eventLoopUtilization(begun).utilization).toBeLessThan(0.7)
})

describe.skipIf(addon === undefined)(
  addon === undefined ? `several at once (skipped, there is no addon: ${failure})` : 'several at once, each with the bits it has alone:',
  () => {
    let results: Promise<Uint32Array[]> | null = null
    /** The bits of each model trained by itself: computed when first asked for, one after the other. */
    const alone = () => {
      results ??= seeds.reduce(async (before: Promise<Uint32Array[]>, seed) => [...(await before), await train(seed)], Promise.resolve([]))
      return results
    }

    it('are different models', async () => {
      expect(new Set((await alone()).map(String)).size).toBe(seeds.length)
    })

    it('five models in one process', async () => {
      const expected = await alone()
      expect(await Promise.all(seeds.map(train))).toEqual(expected)
    })

    it('five models in five worker threads, and one here', async () => {
      const expected = await alone()
      const workers = seeds.map((seed) => start({ kind: 'train', seed }))
      const [here, ...there] = await Promise.all([train(3), ...workers.map(answerOf)])
      expect(there).toEqual(expected)
      expect(here).toEqual(expected[2])
    })

    it('a model that is trained while others are aborted', async () => {
      const expected = await alone()
      const others = [11, 12].map((seed) => {
        const net = network(seed)
        return abortAfter(net, 30, (signal) => net.fit(data(), { ...options, epochs: 1e6, signal }))
      })
      expect(await train(2)).toEqual(expected[1])
      for (const { error } of await Promise.all(others)) expect(error).toMatchObject({ code: 'ABORT_ERR' })
    })

    it('a model after worker threads were terminated in the middle of training', async () => {
      const expected = await alone()
      for (let round = 0; round < 3; round++) {
        const workers = [0, 1].map(() => start({ kind: 'endless' }))
        expect(await Promise.all(workers.map(answerOf))).toEqual(['running', 'running'])
        const here = train(4)
        expect(await Promise.all(workers.map((worker) => worker.terminate()))).toEqual([1, 1])
        expect(await here).toEqual(expected[3])
      }
      expect(await train(5)).toEqual(expected[4])
    })
  },
)

describe.skipIf(addon === undefined)(
  addon === undefined ? `the memory of a model (skipped, there is no addon: ${failure})` : 'the memory of a model',
  () => {
    it('can be read by another thread, which predicts the same bits', async () => {
      const net = network(6)
      await net.fit(data(), { ...options, epochs: 1 })
      const worker = start({ kind: 'predict', model: share(net) })
      const { data: expected } = await net.predict(data().x)
      expect(await answerOf(worker)).toEqual(expected)
    })

    it('is seen changing by another thread while it is trained', async () => {
      const net = network(7)
      const worker = start({ kind: 'watch', model: share(net), until: 1000 })
      expect(await answerOf(worker)).toBe('watching')
      const controller = new AbortController()
      const run = net.fit(data(), { ...options, epochs: 1e6, signal: controller.signal }).catch((error: unknown) => error)
      const { steps, weights } = (await answerOf(worker)) as { steps: number[]; weights: number }
      controller.abort()
      await run
      expect(steps.length).toBeGreaterThan(10)
      expect([...steps].sort((a, b) => a - b)).toEqual(steps)
      expect(weights).toBeGreaterThan(10)
    })

    it('can be written by another thread', async () => {
      const net = network(8)
      const before = bits(net)
      expect(await answerOf(start({ kind: 'write', model: share(net), value: 0 }))).toBe('written')
      expect(bits(net)).not.toEqual(before)
      const { data: predictions } = await net.predict(data().x)
      expect(predictions.every((logit) => logit === 0)).toBe(true)
    })
  },
)
