import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import {
  adam,
  clipGradients,
  constantOf,
  dense,
  dropout,
  type EpochValues,
  type FullBatchOptimizer,
  input,
  l2,
  lbfgs,
  losses,
  mean,
  multiply,
  perGroup,
  sequential,
  square,
  subtract,
} from '../../src/index.ts'
import { bitsOf, type ExecutorName, executors, expectRefusal, hasBegun, oneHotRows, rows, scaledBy, scaledError } from './support.ts'

interface Trajectory {
  readonly losses: number[]
}

const golden: {
  network: { features: number[][]; targets: number[][]; start: number[]; units: number; strongWolfe: Trajectory; none: Trajectory }
} = JSON.parse(readFileSync(new URL('../golden/outside/lbfgs.json', import.meta.url), 'utf8'))

const { features, targets, start, units } = golden.network

/** The golden's network with its first weights: kernel, bias, kernel, bias. */
function network(executor: ExecutorName) {
  const net = sequential([input(3), dense(units, { activation: 'tanh' }), dense(1)], { executor })
  const part = (from: number, size: number) => start.slice(from, from + size)
  const kernel = Array.from({ length: 3 }, (_, i) => part(i * units, units))
  const out = part(4 * units, units).map((weight) => [weight])
  net.setWeights({
    'dense_1.kernel': kernel,
    'dense_1.bias': part(3 * units, units),
    'dense_2.kernel': out,
    'dense_2.bias': part(5 * units, 1),
  })
  return net
}

const data = { x: features, y: targets }
const lossesOf = (epochs: readonly EpochValues[]) => epochs.map(({ loss }) => loss)
const loss = 'meanSquaredError'

describe.each(executors)('on the %s executor, lbfgs', (executor) => {
  it('goes the way of PyTorch, with a line search and without', async () => {
    for (const lineSearch of ['strongWolfe', 'none'] as const) {
      const optimizer = lbfgs({ lineSearch, learningRate: lineSearch === 'none' ? 0.5 : 1 })
      const { epochs } = await network(executor).fit(data, { loss, optimizer, epochs: 25 })
      const expected = golden.network[lineSearch].losses
      // Float32 against double: about 1e-7 an evaluation, which each step may magnify some ten times where the loss is curved.
      for (let i = 0; i < 8; i++) expect(Math.abs(epochs[i].loss / expected[i] - 1), `${lineSearch}, iteration ${i}`).toBeLessThan(1e-4)
      expect(epochs[24].loss / expected[24]).toBeCloseTo(1, 0)
    }
  })

  it('does not depend on the batch size, but for rounding', async () => {
    const run = async (batchSize?: number) => {
      const net = network(executor)
      const { epochs } = await net.fit(data, { loss, metrics: ['meanAbsoluteError'], optimizer: lbfgs(), epochs: 6, batchSize })
      return epochs
    }
    const [whole, ...parts] = [await run(), await run(24), await run(7), await run(1)]
    for (const part of parts) {
      expect(scaledError(lossesOf(part), lossesOf(whole))).toBeLessThan(1e-4)
      expect(
        scaledError(
          part.map((values) => values.meanAbsoluteError),
          whole.map((values) => values.meanAbsoluteError),
        ),
      ).toBeLessThan(1e-4)
    }
  })

  it('reports what the parameters of the end of each epoch give', async () => {
    const net = network(executor)
    const measured: number[] = []
    const { epochs } = await net.fit(data, {
      loss,
      optimizer: lbfgs(),
      epochs: 3,
      validationData: data,
      onEpochEnd: async () => void measured.push((await net.evaluate(data, { loss })).loss),
    })
    // One plan for training and one for evaluation: the same sums, in another order.
    expect(scaledError(lossesOf(epochs), measured)).toBeLessThan(1e-6)
    expect(
      scaledError(
        epochs.map(({ validationLoss }) => validationLoss),
        measured,
      ),
    ).toBeLessThan(1e-6)
  })

  it('fits a regression to 1e-10, where a thousand epochs of adam are far from it', async () => {
    const x = rows(60, 6, 3)
    // Columns of very different sizes make it hard: the condition of the problem is about 1e4.
    const wide = x.map((row) => row.map((value, j) => value * 10 ** (j / 2.5)))
    const y = wide.map((row) => [row.reduce((sum, value, j) => sum + value * (j - 2.5) * 10 ** (-j / 2.5), 0.5)])
    const make = () => sequential([input(6), dense(1)], { executor })
    const [fast, slow] = [make(), make()]
    const settings = { history: 10, changeTolerance: 0, gradientTolerance: 0 }
    const { epochs } = await fast.fit({ x: wide, y }, { loss, optimizer: lbfgs(settings), epochs: 60 })
    const { epochs: steps } = await slow.fit({ x: wide, y }, { loss, optimizer: adam({ learningRate: 0.01 }), epochs: 1000, batchSize: 60 })
    expect(epochs[epochs.length - 1].loss).toBeLessThan(1e-10)
    expect(steps[steps.length - 1].loss).toBeGreaterThan(1e-6)
  })

  it('ends when it has converged', async () => {
    const net = sequential([input(2), dense(1)], { executor })
    const x = rows(10, 2)
    const { epochs, stopped } = await net.fit({ x, y: x.map(([a, b]) => [3 * a - b + 1]) }, { loss, optimizer: lbfgs(), epochs: 200 })
    expect(stopped).toBe('converged')
    expect(epochs.length).toBeLessThan(40)
    const seen = []
    for await (const event of net.train({ x, y: x.map(([a, b]) => [3 * a - b + 1]) }, { loss, optimizer: lbfgs(), epochs: 9 }))
      seen.push(event.type)
    expect(seen).toEqual(['step', 'epoch'])
  })

  it('keeps frozen parameters, adds penalties, weighs samples', async () => {
    const net = sequential([input(2), dense(3, { activation: 'tanh', kernelRegularizer: l2(0.1) }), dense(1)], { executor })
    net.freeze('dense_1.bias')
    const before = bitsOf(net)
    const x = rows(9, 2)
    const y = x.map(([a]) => [a * a])
    const sampleWeights = x.map((_, i) => i * i)
    const options = { loss, epochs: 4 } as const
    const { epochs } = await net.fit({ x, y, sampleWeights }, { ...options, optimizer: lbfgs() })
    expect(bitsOf(net)['dense_1.bias']).toEqual(before['dense_1.bias'])
    expect(bitsOf(net)['dense_1.kernel']).not.toEqual(before['dense_1.kernel'])
    const { loss: measured } = await net.evaluate({ x, y, sampleWeights }, { loss })
    expect(epochs[3].loss).toBeCloseTo(measured, 5)
    for (let i = 1; i < 4; i++) expect(epochs[i].loss).toBeLessThanOrEqual(epochs[i - 1].loss)
    // In batches of other weights it is the same problem.
    const [whole, parts] = [3, 9].map(() => sequential([input(2), dense(1)], { executor }))
    await whole.fit({ x, y, sampleWeights }, { ...options, optimizer: lbfgs() })
    await parts.fit({ x, y, sampleWeights }, { ...options, optimizer: lbfgs(), batchSize: 2 })
    expect(scaledError(parts.weights()['dense_1.kernel'].data, whole.weights()['dense_1.kernel'].data)).toBeLessThan(1e-4)
  })

  it('takes losses that are sums from one batch', async () => {
    const net = network(executor)
    const sumOfSquares = losses.meanSquaredError({ reduction: 'sum' })
    const { epochs } = await net.fit(data, { loss: sumOfSquares, optimizer: lbfgs(), epochs: 3 })
    expect(epochs[2].loss).toBeLessThan(epochs[0].loss)
    expect(epochs[2].loss).toBeCloseTo((await net.evaluate(data, { loss: sumOfSquares })).loss, 4)
    const small = () => net.fit(data, { loss: sumOfSquares, optimizer: lbfgs(), batchSize: 3 })
    await expectRefusal(small, 'ERR_OPTION', 'needs all 24 samples in one batch, got batchSize 3')
  })

  it('remembers from one fit to the next what the same object has learned of the curvature', async () => {
    const [once, twice] = [network(executor), network(executor)]
    const { epochs } = await once.fit(data, { loss, optimizer: lbfgs(), epochs: 6 })
    const optimizer = lbfgs()
    await twice.fit(data, { loss, optimizer, epochs: 3 })
    const { epochs: rest } = await twice.fit(data, { loss, optimizer, epochs: 3 })
    expect(lossesOf(rest)).toEqual(lossesOf(epochs).slice(3))
    expect(bitsOf(twice)).toEqual(bitsOf(once))
  })

  it('goes on from weights that were set in between', async () => {
    const net = network(executor)
    let before = 0
    const { epochs } = await net.fit(data, {
      loss,
      optimizer: lbfgs(),
      epochs: 3,
      onEpochEnd: async (epoch) => {
        if (epoch !== 1) return
        net.setWeights({ 'dense_2.bias': [5] })
        before = (await net.evaluate(data, { loss })).loss
      },
    })
    expect(before).toBeGreaterThan(10)
    expect(epochs[2].loss).toBeLessThan(before)
    // Not where the run would be without that.
    expect(epochs[2].loss).toBeGreaterThan(1.5 * golden.network.strongWolfe.losses[2])
  })

  it('leaves the parameters of the last whole iteration when it is stopped', async () => {
    const net = network(executor)
    const stop = new AbortController()
    let kept = {}
    const run = net.fit(data, {
      loss,
      optimizer: lbfgs({ changeTolerance: 0, gradientTolerance: 0 }),
      epochs: 50,
      batchSize: 1,
      signal: stop.signal,
      onEpochEnd: (epoch) => {
        if (epoch !== 2) return
        kept = bitsOf(net)
        stop.abort('enough')
      },
    })
    await expectRefusal(() => run, 'ABORT_ERR', 'stopped')
    expect(bitsOf(net)).toEqual(kept)
  })

  it('lets predictions wait for the end of an iteration', async () => {
    const net = network(executor)
    const run = net.fit(data, { loss, optimizer: lbfgs(), epochs: 1 })
    await hasBegun()
    const early = await net.predict(data.x)
    await run
    expect((await net.predict(data.x)).data).toEqual(early.data)
  })

  it('early stopping puts the best weights back', async () => {
    const net = network(executor)
    const kept: object[] = []
    const { stopped, bestEpoch } = await net.fit(data, {
      loss,
      optimizer: lbfgs(),
      epochs: 20,
      earlyStopping: { monitor: 'loss', minDelta: 0.3, patience: 2 },
      onEpochEnd: () => void kept.push(bitsOf(net)),
    })
    expect(stopped).toBe('earlyStopping')
    expect(bitsOf(net)).toEqual(kept[bestEpoch ?? -1])
  })

  it('names what is not finite, and turns back', async () => {
    const net = network(executor)
    net.setWeights({ 'dense_2.bias': [3e38] })
    const before = bitsOf(net)
    await expectRefusal(() => net.fit(data, { loss, optimizer: lbfgs() }), 'ERR_NON_FINITE', 'Infinity began in step 0', 'square')
    expect(bitsOf(net)).toEqual(before)
    // Without a line search, a step that is far too long.
    const wild = network(executor)
    const from = bitsOf(wild)
    await expectRefusal(
      () => wild.fit(data, { loss, optimizer: lbfgs({ lineSearch: 'none', learningRate: 1e30 }) }),
      'ERR_NON_FINITE',
      'began in step 0',
    )
    expect(bitsOf(wild)).toEqual(from)
    // With one it comes back from there.
    const { epochs } = await network(executor).fit(data, { loss, optimizer: lbfgs({ learningRate: 1e20 }) })
    expect(epochs[0].loss).toBeLessThan(1)
  })
})

describe('lbfgs', () => {
  const [x, y] = [rows(4, 2), rows(4, 1)]
  const fit = (net: ReturnType<typeof sequential>, optimizer: FullBatchOptimizer | 'lbfgs' = lbfgs(), more = {}) =>
    net.fit({ x, y }, { loss, optimizer, ...more })

  it('refuses noise, constraints, wrappers and profiles', async () => {
    const noisy = sequential([input(2), dense(3), dropout(0.5), dense(1)])
    await expectRefusal(() => fit(noisy), 'ERR_OPTION', 'fit: lbfgs needs a loss that is the same at every look', 'dropout')
    const bounded = sequential([input(2), dense(1, { kernelConstraint: (kernel) => kernel })])
    await expectRefusal(() => fit(bounded), 'ERR_OPTION', 'dense_1.kernel has a constraint')
    await expectRefusal(
      () => clipGradients(lbfgs() as never, { norm: 1 }),
      'ERR_OPTION',
      'clipGradients: lbfgs takes each step from all data',
    )
    await expectRefusal(() => perGroup([{ optimizer: lbfgs() as never }]), 'ERR_OPTION', 'lbfgs takes each step from all data')
    const plain = sequential([input(2), dense(1)])
    await expectRefusal(() => fit(plain, lbfgs(), { profile: true }), 'ERR_OPTION', 'profile', 'lbfgs')
    await expectRefusal(() => plain.trainingPlan(4, { loss, optimizer: lbfgs() as never }), 'ERR_OPTION', 'trainingPlan: lbfgs')
  })

  it('may be given by name, to fit and train alone', async () => {
    const nets = [0, 1].map(() => sequential([input(2), dense(1)], { seed: 3 }))
    const histories = [await fit(nets[0], 'lbfgs', { epochs: 3 }), await fit(nets[1], lbfgs(), { epochs: 3 })]
    expect(histories[0]).toEqual(histories[1])
    expect(bitsOf(nets[0])).toEqual(bitsOf(nets[1]))
    await expectRefusal(
      () => clipGradients('lbfgs' as never, { norm: 1 }),
      'ERR_OPTION',
      'clipGradients: lbfgs takes each step from all data',
    )
    await expectRefusal(() => fit(nets[0], lbfgs as never), 'ERR_OPTION', 'got the function lbfgs; call it: lbfgs()')
  })

  it('refuses mixup by its name', async () => {
    const net = sequential([input(2), dense(1)])
    await expectRefusal(() => fit(net, lbfgs(), { mixup: { alpha: 0.2 } }), 'ERR_OPTION', 'fit: lbfgs needs', 'leave mixup out')
  })

  it('takes a minimizer of your own', async () => {
    // Gradient descent by hand: p -= g, where the loss is half of Σ (p - y)² for one-hot rows.
    const descent: FullBatchOptimizer = {
      name: 'descent',
      learningRates: [0.5],
      begin: () => ({
        step: async (from, rate, evaluate) => ({
          reached: await evaluate(from.at.map((value, i) => value - rate * from.gradient[i])),
          converged: false,
        }),
      }),
    }
    const net = sequential([input(4), scaledBy(4, constantOf(3))])
    const half = (prediction: Parameters<typeof square>[0], target: Parameters<typeof square>[0]) =>
      multiply(2, mean(square(subtract(prediction, target)), { axes: [1] }))
    const data = { x: oneHotRows(4), y: oneHotRows(4).map((row) => row.map((value) => 2 * value)) }
    const { epochs } = await net.fit(data, { loss: half, optimizer: descent, epochs: 3, batchSize: 3 })
    // Each p is 3, and its part of the loss (p - 2)² / 8 · … halves towards 2: p - 2 shrinks by 1 - rate · 1/4 a step.
    const expected = [1, 2, 3].map((step) => 0.5 * (1 - 0.5 / 4) ** (2 * step))
    expect(scaledError(lossesOf(epochs), expected)).toBeLessThan(1e-6)
  })
})
