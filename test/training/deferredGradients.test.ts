/** Large gradients that are not stored, or checked by the factors of their products: the same training, the same errors, and who can read them. */
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  adam,
  adamW,
  type Callback,
  callbacks,
  customTraining,
  dense,
  dropout,
  type FitOptions,
  input,
  lbfgs,
  type Model,
  mean,
  multiply,
  type Optimizer,
  printPlan,
  sequential,
  sgd,
  sqrt,
  square,
  subtract,
  sum,
  type Tensor,
  zeros,
} from '../../src/index.ts'
import { DEEPEST_DEFERRED } from '../../src/plan/defer.ts'
import { executors, expectRefusal, rows, stepsOf } from './support.ts'

const FEATURES = 260
const UNITS = 512
/** Factors of one sample more than `DEEPEST_DEFERRED` are no larger than a square kernel of it. */
const WIDE = 2 * (DEEPEST_DEFERRED + 1)
/** The weights bit by bit: digests, because arrays take long to compare. */
const bitsOf = (net: Model) =>
  Object.entries(net.weights()).map(([name, { data }]) => [
    name,
    createHash('sha256')
      .update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
      .digest('hex'),
  ])
const reads: Callback = { readsGradients: true, onTrainBegin: () => {} }

describe.each(executors)('on the %s executor', (executor) => {
  // The kernels of the first and the second layer are large, the last is not.
  const make = () =>
    sequential([input(FEATURES), dense(UNITS, { activation: 'relu' }), dropout(0.2), dense(FEATURES, { activation: 'tanh' }), dense(2)], {
      executor,
      seed: 5,
    })
  const data = { x: rows(20, FEATURES, 1), y: rows(20, 2, 2) }
  const leavesOut = (net: Model, batchSize: number) =>
    net.trainingPlan(batchSize, { loss: 'meanSquaredError' }).instructions.some(({ op }) => op === 'matmulUpdate')

  describe('training comes to the same bits whether gradients are stored or not', () => {
    it.each<[string, () => Optimizer]>([
      ['sgd', () => sgd({ learningRate: 0.1 })],
      ['sgd with momentum', () => sgd({ learningRate: 0.1, momentum: 0.9 })],
      ['nesterov', () => sgd({ learningRate: 0.1, momentum: 0.9, nesterov: true })],
      ['adam', () => adam()],
      ['adamW', () => adamW({ weightDecay: 0.1 })],
    ])('with %s, over batches of which the last is smaller', async (_, optimizer) => {
      const options = { loss: 'meanSquaredError', batchSize: 8, epochs: 2 } as const
      const [plain, reading] = [make(), make()]
      expect(leavesOut(plain, 8) && leavesOut(plain, 4)).toBe(true)
      const history = await plain.fit(data, { ...options, optimizer: optimizer() })
      const read = await reading.fit(data, { ...options, optimizer: optimizer(), callbacks: [reads] })
      expect(history.epochs).toEqual(read.epochs)
      expect(bitsOf(plain)).toEqual(bitsOf(reading))
    })

    const wideNet = () => sequential([input(WIDE), dense(WIDE, { activation: 'tanh' }), dense(2)], { executor, seed: 6 })
    it.each<[string, () => Model, number]>([
      ['are too deep', wideNet, DEEPEST_DEFERRED + 1],
      ['make factors larger than the gradients', make, Math.floor((FEATURES * UNITS) / (FEATURES + UNITS)) + 1],
    ])('with batches that %s, and a smaller one that does not', async (_, build, batchSize) => {
      const [plain, reading] = [build(), build()]
      const width = plain.inputs[0].shape[1] as number
      const many = { x: rows(batchSize + 6, width, 3), y: rows(batchSize + 6, 2, 4) }
      expect([batchSize, batchSize - 1, 6].map((size) => leavesOut(plain, size))).toEqual([false, true, true])
      await plain.fit(many, { loss: 'meanSquaredError', batchSize })
      await reading.fit(many, { loss: 'meanSquaredError', batchSize, callbacks: [reads] })
      expect(bitsOf(plain)).toEqual(bitsOf(reading))
    })

    it('in a run that goes on with the moments of one of the other kind', async () => {
      const [mixed, reading] = [make(), make()]
      const run = async (net: Model, ...kinds: boolean[]) => {
        const options: FitOptions = { loss: 'meanSquaredError', batchSize: 10, optimizer: adam() }
        for (const isReading of kinds) await net.fit(data, { ...options, callbacks: isReading ? [reads] : [] })
      }
      await run(mixed, false, true, false)
      await run(reading, true, true, true)
      expect(bitsOf(mixed)).toEqual(bitsOf(reading))
    })

    it('in a train() loop', async () => {
      const [looped, reading] = [make(), make()]
      const options = { loss: 'meanSquaredError', batchSize: 10, epochs: 2 } as const
      for await (const _ of looped.train(data, options));
      await reading.fit(data, { ...options, callbacks: [reads] })
      expect(bitsOf(looped)).toEqual(bitsOf(reading))
    })

    it('in custom training, a run at a time', async () => {
      const build = (net: Model) => {
        const target = input(2)
        const loss = mean(square(subtract(net.outputs[0], target)))
        return customTraining({ models: { net }, inputs: { x: net.inputs[0], y: target }, minimize: [{ loss }] })
      }
      const [mixed, reading] = [make(), make()]
      const [first, second] = [build(mixed), build(reading)]
      expect(printPlan(first.plan(10))).toContain('matmulUpdate(')
      for (const isReading of [false, true, false]) {
        await first.fit(data, { batchSize: 10, callbacks: isReading ? [reads] : [] })
        await second.fit(data, { batchSize: 10, callbacks: [reads] })
      }
      expect(bitsOf(mixed)).toEqual(bitsOf(reading))
    })
  })

  describe.each([
    { which: 'is not stored', features: FEATURES, units: UNITS, op: 'matmulUpdate' },
    { which: 'is stored, and checked by its factors', features: 130, units: 256, op: 'adam' },
  ])('a step that is stopped where the large gradient $which', ({ features, units, op }) => {
    /** One large layer that gives zeros, and a loss whose slope is `steepness` at each. */
    const flat = (useBias = true) =>
      sequential([input(features), dense(units, { kernelInitializer: zeros, useBias, name: 'wide' })], { executor, seed: 2 })
    const steep =
      (steepness: number) =>
      (prediction: Tensor): Tensor =>
        sum(multiply(prediction, steepness), { axes: [-1] })
    const one = (values: readonly number[]) => ({
      x: values.map((value) => new Array(features).fill(value)),
      y: values.map(() => new Array(units).fill(0)),
    })

    it('where only the product overflows names it and its layer, and leaves everything as it was', async () => {
      const optimizer = adam()
      const options: FitOptions = { loss: steep(1e20), optimizer, batchSize: 1, shuffle: false }
      const net = flat()
      const used = net.trainingPlan(1, { loss: steep(1e20), optimizer }).instructions.map((instruction) => instruction.op)
      expect(used).toEqual(expect.arrayContaining(['checkMatmul', op]))
      expect(used.includes('matmulUpdate')).toBe(op === 'matmulUpdate')
      const before = bitsOf(net)
      const error = await expectRefusal(
        () => net.fit(one([1e25]), options),
        'ERR_NON_FINITE',
        'Infinity began in step 0 at instruction of layer "wide"',
        'gradients/wide.kernel',
        'matmul(',
        'parameters are those before this step',
      )
      expect(bitsOf(net)).toEqual(before)
      expect(stepsOf(net)).toBe(0)
      const twin = flat()
      const same = await expectRefusal(() => twin.fit(one([1e25]), { ...options, optimizer: adam(), callbacks: [reads] }), 'ERR_NON_FINITE')
      expect(error.message).toBe(same.message)
      // The moments are as if the step had never been asked for.
      const fresh = flat()
      await net.fit(one([1, 2]), options)
      await fresh.fit(one([1, 2]), { ...options, optimizer: adam() })
      expect(bitsOf(net)).toEqual(bitsOf(fresh))
    })

    it('in the middle of an epoch keeps the steps before it', async () => {
      const options: FitOptions = {
        loss: steep(1e20),
        optimizer: sgd({ learningRate: 1e-22, momentum: 0.9 }),
        batchSize: 1,
        shuffle: false,
      }
      const net = flat()
      await expectRefusal(() => net.fit(one([1, 2, 1e25, 1]), options), 'ERR_NON_FINITE', 'Infinity began in step 2', '"wide"')
      expect(stepsOf(net)).toBe(2)
      const twin = flat()
      await twin.fit(one([1, 2]), { ...options, optimizer: sgd({ learningRate: 1e-22, momentum: 0.9 }) })
      expect(bitsOf(net)).toEqual(bitsOf(twin))
    })

    it('where the gradient alone is NaN names where it began', async () => {
      // √0 is a fine loss; its slope is infinite, and that of 0² is 0.
      const loss = (prediction: Tensor): Tensor => sum(sqrt(square(prediction)), { axes: [-1] })
      const net = flat(false)
      const before = bitsOf(net)
      const options: FitOptions = { loss, optimizer: adam(), batchSize: 1, shuffle: false }
      const error = await expectRefusal(() => net.fit(one([1]), options), 'ERR_NON_FINITE', 'in step 0 at instruction of layer "loss"')
      expect(bitsOf(net)).toEqual(before)
      expect(stepsOf(net)).toBe(0)
      const twin = flat(false)
      const same = await expectRefusal(() => twin.fit(one([1]), { ...options, optimizer: adam(), callbacks: [reads] }), 'ERR_NON_FINITE')
      expect(error.message).toBe(same.message)
    })
  })

  describe('a step that is stopped', () => {
    it.each<[string, FitOptions, number]>([
      ['a loss that overflows', { loss: 'meanSquaredError', batchSize: 10, shuffle: false }, 1e25],
      ['a learning rate that is far too high', { loss: 'meanSquaredError', batchSize: 10, shuffle: false, epochs: 10 }, 1],
    ])('by %s names the same instruction as one that stores gradients', async (_, options, scale) => {
      const scaled = { x: data.x, y: data.y.map((row) => row.map((value) => value * scale)) }
      const origin = async (...extra: Callback[]) => {
        const net = make()
        const optimizer = sgd({ learningRate: scale === 1 ? 1e18 : 0.1 })
        const error = await expectRefusal(() => net.fit(scaled, { ...options, optimizer, callbacks: extra }), 'ERR_NON_FINITE')
        return [error.message, bitsOf(net), stepsOf(net)]
      }
      expect(await origin()).toEqual(await origin(reads))
    })
  })

  describe('gradients can be read', () => {
    const look = (seen: unknown[], readsGradients?: boolean): Callback => ({
      readsGradients,
      onEpochEnd: (_, __, run) => void seen.push(run.latestGradients()),
    })
    const small = () => sequential([input(3), dense(2)], { executor })
    const few = { x: rows(4, 3, 1), y: rows(4, 2, 2) }

    it('by a callback that says so, and all others of its run', async () => {
      const seen: Record<string, Float32Array>[] = []
      await make().fit(data, { loss: 'meanSquaredError', callbacks: [look(seen, false), look(seen, true)] })
      expect(seen.length).toBe(2)
      const words = (gradients: Record<string, Float32Array>) => Object.entries(gradients).map(([name, values]) => [name, values.join()])
      expect(words(seen[0])).toEqual(words(seen[1]))
      expect(seen[0]['dense_1.kernel'].some((value) => value !== 0)).toBe(true)
    })

    it('by no other, however small the layers are', async () => {
      const refused = (fit: (options: { callbacks: Callback[] }) => Promise<unknown>) =>
        expectRefusal(() => fit({ callbacks: [look([])] }), 'ERR_OPTION', 'latestGradients', 'readsGradients: true')
      await refused((options) => small().fit(few, { loss: 'meanSquaredError', ...options }))
      await refused((options) => make().fit(data, { loss: 'meanSquaredError', ...options }))
      await refused((options) => small().fit(few, { loss: 'meanSquaredError', optimizer: lbfgs(), ...options }))
      const net = small()
      const custom = customTraining({
        models: { net },
        inputs: { x: net.inputs[0] },
        minimize: [{ loss: mean(square(net.outputs[0])) }],
      })
      await refused((options) => custom.fit({ x: few.x }, options))
      const seen: Record<string, Float32Array>[] = []
      await small().fit(few, { loss: 'meanSquaredError', optimizer: lbfgs(), callbacks: [look(seen, true)] })
      expect(Object.keys(seen[0])).toEqual(['dense_1.kernel', 'dense_1.bias'])
    })

    it('is said by true or false', async () => {
      const odd = { readsGradients: 1, onEpochEnd: () => {} } as unknown as Callback
      await expectRefusal(
        () => small().fit(few, { loss: 'meanSquaredError', callbacks: [odd] }),
        'ERR_OPTION',
        'callbacks[0]',
        'readsGradients must be true or false, got 1',
      )
    })

    it('by tensorBoard, for histograms alone', async () => {
      const directory = mkdtempSync(join(tmpdir(), 'thalweg-'))
      try {
        expect(callbacks.tensorBoard(directory).readsGradients).toBe(false)
        const histograms = callbacks.tensorBoard(directory, { histograms: 1 })
        expect(histograms.readsGradients).toBe(true)
        await make().fit(data, { loss: 'meanSquaredError', callbacks: [histograms] })
      } finally {
        rmSync(directory, { recursive: true })
      }
    })
  })

  it('a profile counts the work of the product', async () => {
    const { profile } = await make().fit(data, { loss: 'meanSquaredError', batchSize: 10, profile: true })
    const updates = profile?.instructions.filter(({ op }) => op === 'matmulUpdate') ?? []
    expect(updates.map(({ layer, phase, shape }) => ({ layer, phase, shape }))).toEqual([
      { layer: 'dense_1', phase: 'update', shape: [FEATURES, UNITS] },
      { layer: 'dense_2', phase: 'update', shape: [UNITS, FEATURES] },
    ])
    for (const { gflops, milliseconds } of updates) expect(gflops).toBeCloseTo((2 * FEATURES * UNITS * 10) / milliseconds / 1e6, 6)
  })
})
