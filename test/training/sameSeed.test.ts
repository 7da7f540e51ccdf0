/** One seed, one result: bit for bit over runs and threads, and close between executors. */
import { describe, expect, it } from 'vitest'
import type { Executor } from '../../src/executors/executor.ts'
import { type Addon, loadAddon } from '../../src/executors/native/addon.ts'
import { nativeExecutor } from '../../src/executors/native/index.ts'
import {
  adam,
  dense,
  dropout,
  type FitOptions,
  input,
  l2,
  lockstep,
  type ModelOptions,
  printPlan,
  sequential,
  sgd,
} from '../../src/index.ts'
import { bitsOf, executors, numbers, rows, scaledError } from './support.ts'

const x = rows(150, 64, 1)
const y = numbers(150, 2, 0, 7).map(Math.floor)
const options: FitOptions = {
  loss: 'sparseCategoricalCrossentropy',
  metrics: ['accuracy'],
  batchSize: 64,
  epochs: 2,
  validationSplit: 0.1,
}

/** @param executor In place of the model's own. */
async function trained(modelOptions: ModelOptions, fitOptions: Partial<FitOptions> = {}, executor?: Executor) {
  const net = sequential(
    [input(64), dense(96, { activation: 'gelu', kernelRegularizer: l2(1e-4) }), dropout(0.2), dense(128, { activation: 'tanh' }), dense(7)],
    { seed: 8, ...modelOptions },
  )
  if (executor !== undefined) Object.assign(net, { executor })
  const before = bitsOf(net)
  const { epochs } = await net.fit({ x, y }, { ...options, optimizer: adam({ learningRate: 0.003 }), ...fitOptions })
  const after = bitsOf(net)
  expect(after).not.toEqual(before)
  return { epochs, bits: after, predictions: [...(await net.predict(x)).data], weights: net.weights() }
}

const isNative = executors[0] === 'native'

describe.each(executors)('on the %s executor', (executor) => {
  const expected = trained({ executor, threads: 1 })

  it('two runs give the same weights, losses and predictions', async () => {
    expect(await trained({ executor, threads: 1 })).toEqual(await expected)
  })

  it.skipIf(executor === 'reference')('so do two and three threads (the reference executor has one thread)', async () => {
    for (const threads of [2, 3]) {
      expect({ threads, ...(await trained({ executor, threads })) }).toEqual({ threads, ...(await expected) })
      // And when the smallest instruction is shared out too.
      const eager = nativeExecutor(loadAddon().addon as Addon, { threads, serialBelow: 0 })
      expect({ threads, ...(await trained({ executor }, {}, eager)) }).toEqual({ threads, ...(await expected) })
    }
  })

  it('streaming the events does not change them', async () => {
    const seen = await trained({ executor, threads: 1 }, { onProgress: () => undefined, onEpochEnd: () => undefined })
    expect(seen.bits).toEqual((await expected).bits)
  })

  it('another seed gives others', async () => {
    const { bits } = await expected
    const { bits: others } = await trained({ executor, seed: 9 })
    for (const name of Object.keys(bits).filter((each) => each.endsWith('kernel'))) expect(others[name]).not.toEqual(bits[name])
  })

  it('the seed decides order and dropout, not the initial weights alone', async () => {
    const weights = (await expected).weights
    const from = async (seed: number) => {
      const net = sequential([input(64), dense(96), dropout(0.5), dense(128), dense(7)], { executor, seed })
      net.setWeights(weights)
      await net.fit({ x, y }, { ...options, optimizer: sgd() })
      return bitsOf(net)
    }
    expect(await from(1)).toEqual(await from(1))
    expect(await from(1)).not.toEqual(await from(2))
  })
})

describe.skipIf(!isNative)('native against reference (skipped where the addon is missing)', () => {
  it('trains to the same weights within rounding', async () => {
    // Rounding is amplified by every step, most by Adam, which divides by small numbers; plain descent shows the executors alone.
    const optimizer = sgd({ learningRate: 0.05, momentum: 0.9 })
    const [native, reference] = await Promise.all(executors.map((executor) => trained({ executor }, { optimizer })))
    for (const [name, { data }] of Object.entries(native.weights))
      expect(scaledError(data, reference.weights[name].data), name).toBeLessThan(1e-5)
    expect(scaledError(native.predictions, reference.predictions)).toBeLessThan(1e-5)
    native.epochs.forEach((values, epoch) => expect(Math.abs(values.loss - reference.epochs[epoch].loss)).toBeLessThan(1e-5))
  })

  it('has the same dropout masks and initial weights bit for bit', () => {
    const make = (executor: 'native' | 'reference') =>
      sequential([input(5), dense(40, { kernelInitializer: 'heNormal' }), dropout(0.5)], { executor })
    const [native, reference] = executors.map(make)
    expect(bitsOf(native)).toEqual(bitsOf(reference))
    expect(printPlan(native.plan(3))).toBe(printPlan(reference.plan(3)))
  })

  it('agrees instruction by instruction', () => {
    const net = sequential([input(64), dense(96, { activation: 'gelu' }), dense(128, { activation: 'tanh' }), dense(7)])
    const report = lockstep(net.plan(64))
    expect(report.instructions).toBeGreaterThan(2)
    expect(report.firstDifference).toBe(null)
    expect(report.firstNonFinite).toBe(null)
  })
})
