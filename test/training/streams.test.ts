/** Training on datasets: the same bits as on the same rows in memory, whatever the chunks are. */
import { describe, expect, it } from 'vitest'
import { add, customTraining, dataset, dense, dropout, input, mean, model, type Sample, sequential } from '../../src/index.ts'
import { executors, expectRefusal } from './support.ts'

const rows = Array.from({ length: 2500 }, (_, i) => [Math.sin(i), Math.cos(3 * i), (i % 7) / 7])
const targets = rows.map(([a, b, c]) => a * b + c)
const samples: Sample[] = rows.map((x, i) => ({ x, y: targets[i] }))

describe.each(executors)('on the %s executor', (executor) => {
  const build = () => sequential([input(3), dense(8, { activation: 'tanh' }), dropout(0.2), dense(1)], { seed: 3, executor })
  const options = { loss: 'meanSquaredError', metrics: ['meanAbsoluteError'], epochs: 3, batchSize: 64 } as const

  it('gives the bits of the same rows in memory', async () => {
    const inMemory = build()
    const expected = await inMemory.fit({ x: rows, y: targets }, { ...options, shuffle: false, validationData: { x: rows, y: targets } })
    const streamed = build()
    const history = await streamed.fit(dataset(samples), { ...options, validationData: dataset(samples) })
    expect(streamed.weights()).toEqual(inMemory.weights())
    expect(history).toEqual(expected)
  })

  it('counts what nobody has counted, and shuffles each epoch anew', async () => {
    const source = dataset(() => samples.values()).shuffle({ buffer: 500, seed: 1 })
    expect(source.count).toBeNull()
    const net = build()
    const { epochs } = await net.fit(source, options)
    expect(epochs).toHaveLength(3)
    expect(epochs[2].loss).toBeLessThan(epochs[0].loss)
  })

  it('weighs samples', async () => {
    const weights = rows.map((_, i) => i % 3)
    const inMemory = build()
    await inMemory.fit({ x: rows, y: targets, sampleWeights: weights }, { ...options, shuffle: false })
    const streamed = build()
    await streamed.fit(
      dataset(samples).map((sample, i = 0) => ({ ...sample, sampleWeight: weights[rows.indexOf(sample.x as number[])] + 0 * i })),
      options,
    )
    expect(streamed.weights()).toEqual(inMemory.weights())
  })

  it('takes the next steps of a dataset that never ends', async () => {
    const inMemory = build()
    const twice = [...rows, ...rows]
    await inMemory.fit({ x: twice.slice(0, 640), y: [...targets, ...targets].slice(0, 640) }, { ...options, epochs: 1, shuffle: false })
    const streamed = build()
    await streamed.fit(dataset(samples).repeat(), { ...options, epochs: 2, stepsPerEpoch: 5 })
    expect(streamed.weights()).toEqual(inMemory.weights())
  })

  it('evaluates', async () => {
    const net = build()
    const expected = await net.evaluate({ x: rows, y: targets }, { loss: 'meanSquaredError', metrics: ['rootMeanSquaredError'] })
    expect(
      await net.evaluate(
        dataset(() => samples.values()),
        { loss: 'meanSquaredError', metrics: ['rootMeanSquaredError'] },
      ),
    ).toEqual(expected)
  })

  it('holds out a share', async () => {
    const { epochs } = await build().fit(dataset(samples), { ...options, validationSplit: 0.2 })
    expect(epochs[2].validationLoss).toBeGreaterThan(0)
  })

  it('says which element does not fit', async () => {
    const broken = samples.map((sample, i) => (i === 1777 ? { x: [1, Number.NaN, 2], y: 0 } : sample))
    const net = build()
    await expect(net.fit(dataset(broken), { ...options, epochs: 1 })).rejects.toThrow(/element 1777.*NaN/)
    await expect(build().fit(dataset([...samples, { x: [1, 2], y: 0 } as Sample]), options)).rejects.toThrow(/element 2500/)
    await expect(build().fit(dataset([1, 2, 3]) as never, options)).rejects.toThrow(/element 0: .*expected elements such as/)
    await expect(build().fit(dataset<Sample>([]), options)).rejects.toThrow(/no elements/)
    await expect(build().fit(dataset(samples).repeat(), options)).rejects.toThrow(/never ends/)
    await expect(build().fit(dataset(samples), { ...options, shuffle: true })).rejects.toThrow(/shuffle the dataset/)
    await expect(
      sequential([input(3), dense(1)], { executor }).fit(dataset(samples), { loss: 'meanSquaredError', optimizer: 'lbfgs' }),
    ).rejects.toThrow(/in memory/)
  })

  it('says which element differs from the others', async () => {
    const two = () => {
      const [a, b] = [input(1, { name: 'a' }), input(1, { name: 'b' })]
      return model([a, b], dense(add(a, b), 1), { executor })
    }
    const good = { x: { a: 1, b: 2 }, y: 0 }
    const refused = (fit: Promise<unknown>, ...message: string[]) => expectRefusal(() => fit, 'ERR_DATA', ...message)
    const fit = (...rest: unknown[]) => two().fit(dataset([good, good, ...rest]) as never, { loss: 'meanSquaredError' })
    await refused(fit({ x: null, y: 0 }), 'element 2', 'give x as an object with a, b')
    await refused(fit({ x: { a: 1, b: 2, c: 3 }, y: 0 }), 'element 2', '"c"')
    await refused(fit({ x: { a: 1 }, y: 0 }), 'element 2', '"b"')
    await refused(fit({ x: { a: 1, b: 2 }, y: { add_1: 0 } }), 'element 2')
    const net = build()
    const custom = (rows: unknown[]) =>
      customTraining({ models: { net }, inputs: { x: net.inputs[0] }, minimize: [{ loss: mean(net.outputs[0]) }] }).fit(
        dataset(rows) as never,
      )
    await refused(custom([{ x: [1, 2, 3] }, null]), 'element 1', 'by input name, got null')
    await refused(custom([1]), 'element 0', 'by input name, got 1')
    await refused(custom([{ x: [1, 2, 3] }, { x: [1, 2, 3], extra: 1 }]), 'element 1', '"extra"')
  })

  it('says what to do when there are fewer elements than an epoch takes', async () => {
    const few = { ...options, stepsPerEpoch: 100 }
    await expectRefusal(() => build().fit(dataset(samples), few), 'ERR_OPTION', '100 steps of 64 need 6400 elements', '2500', 'repeat()')
    const uncounted = dataset(() => samples.values())
    await expectRefusal(() => build().fit(uncounted, few), 'ERR_DATA', 'expected 6400 elements', 'got 2500 in epoch 1', 'repeat()')
    const held = dataset(samples.slice(0, 3))
    await expectRefusal(() => build().fit(held, { ...options, validationSplit: 1e-6 }), 'ERR_DATA', 'fit: validationSplit', 'no elements')
    await expectRefusal(
      () => build().fit(dataset(samples), { ...options, validationData: dataset<Sample>([]) }),
      'ERR_DATA',
      'fit: validationData',
      'no elements',
    )
    await expectRefusal(() => build().evaluate(dataset<Sample>([]), { loss: 'meanSquaredError' }), 'ERR_DATA', 'evaluate', 'no elements')
  })

  it('stops within a step, and closes the source', async () => {
    let closed = 0
    const source = dataset(async function* () {
      try {
        for (;;) yield* samples
      } finally {
        closed += 1
      }
    })
    const stop = new AbortController()
    const run = build().fit(source, {
      ...options,
      stepsPerEpoch: 1000,
      signal: stop.signal,
      onProgress: () => stop.abort(),
    })
    await expect(run).rejects.toMatchObject({ name: 'AbortError' })
    expect(closed).toBe(1)
  })
})
