import { expect, it } from 'vitest'
import { activation, adam, constant, dense, executionInfo, input, model, sequential } from '../../src/index.ts'
import { hasBegun } from './support.ts'

const x = Array.from({ length: 4000 }, (_, i) => [i / 4000, 1 - i / 4000])
const y = x.map(([a, b]) => [a * b])

it('weights cannot be set while a run uses them, but can between epochs', async () => {
  const net = sequential([input(2), dense(16, { activation: 'tanh' }), dense(1)])
  const weights = net.weights()
  const steps: string[] = []
  const running = net.fit(
    { x: Array.from({ length: 10 }, () => x).flat(), y: Array.from({ length: 10 }, () => y).flat() },
    {
      loss: 'meanSquaredError',
      epochs: 2,
      shuffle: false,
      onEpochEnd: () => {
        net.setWeights(weights)
        steps.push('set between epochs')
      },
    },
  )
  await hasBegun()
  for (const change of [() => net.setWeights(weights), () => net.initialize()]) {
    expect(change).toThrow(expect.objectContaining({ code: 'ERR_BUSY', message: expect.stringContaining('onEpochEnd') }))
  }
  await running
  expect(steps).toHaveLength(2)
  expect(net.weights()).toEqual(weights)
})

it('epochs too short for a thread of their own let timers have their turn', async () => {
  const net = sequential([input(2), dense(2), dense(1)])
  const stop = new AbortController()
  setTimeout(() => stop.abort(), 20)
  const data = { x: x.slice(0, 4), y: y.slice(0, 4) }
  const running = net.fit(data, { loss: 'meanSquaredError', epochs: 1e9, signal: stop.signal, onEpochEnd: () => {} })
  await expect(running).rejects.toMatchObject({ name: 'AbortError' })
})

it('initialize() makes the optimizer forget: the same object then trains as it did the first time', async () => {
  const net = sequential([input(2), dense(8, { activation: 'tanh' }), dense(1)])
  const optimizer = adam({ learningRate: 0.01 })
  const options = { loss: 'meanSquaredError', epochs: 2, optimizer } as const
  const first = await net.fit({ x, y }, options)
  net.initialize()
  expect(await net.fit({ x, y }, options)).toEqual(first)
})

it('early stopping gets over a first value of NaN', async () => {
  const values = [Number.NaN, 0.5, 0.25, 0.125]
  const metric = { name: 'planted', batch: () => [constant(0)], result: () => values.shift() as number }
  const net = sequential([input(2), dense(1)])
  const { stopped, bestEpoch } = await net.fit(
    { x, y },
    { loss: 'meanSquaredError', epochs: 4, metrics: [metric], earlyStopping: { monitor: 'planted', patience: 2 } },
  )
  expect({ stopped, bestEpoch }).toEqual({ stopped: 'completed', bestEpoch: 3 })
})

it('refuses a value with the name of a value of the validation', async () => {
  const metric = { name: 'validationLoss', batch: () => [constant(0)], result: () => 42 }
  const net = sequential([input(2), dense(1)])
  const options = { loss: 'meanSquaredError', metrics: [metric] } as const
  expect((await net.fit({ x, y }, options)).epochs[0].validationLoss).toBe(42)
  const { code, message } = await net.fit({ x, y }, { ...options, validationSplit: 0.5 }).catch((error) => error)
  expect({ code, message }).toEqual({
    code: 'ERR_OPTION',
    message: expect.stringContaining('fit: with validation two values would be reported as "validationLoss"'),
  })
  const from = input(2)
  const heads = model(from, [dense(from, 1, { name: 'validation' }), dense(from, 1, { name: 'other' })])
  const data = { x, y: { validation: y, other: y } }
  const both = { loss: 'meanSquaredError', validationData: data } as const
  await expect(heads.fit(data, both)).rejects.toMatchObject({ code: 'ERR_OPTION' })
})

it('refuses two values of one name, and a model without anything to train', async () => {
  const metric = { name: 'loss', batch: () => [constant(0)], result: () => 42 }
  const net = sequential([input(2), dense(1)])
  await expect(net.fit({ x, y }, { loss: 'meanSquaredError', metrics: [metric] })).rejects.toMatchObject({ code: 'ERR_OPTION' })
  const fixed = sequential([input(1), activation('tanh')])
  await expect(fixed.fit({ x: [[1]], y: [[1]] }, { loss: 'meanSquaredError' })).rejects.toMatchObject({
    code: 'ERR_OPTION',
    message: expect.stringContaining('no parameters'),
  })
})

it.skipIf(!executionInfo().native)('shared memory counts as garbage to be collected (native only: V8 has to be told)', async () => {
  const net = sequential([input(1000), dense(1)])
  const big = new Float32Array(4_000_000)
  const held: number[] = []
  for (let i = 0; i < 60; i++) {
    await net.predict(big)
    held.push(process.memoryUsage().arrayBuffers)
  }
  // Sixteen megabytes a call: without an account of it, a gigabyte would pile up.
  expect(Math.max(...held)).toBeLessThan(400e6)
})
