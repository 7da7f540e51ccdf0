/** Layers beyond dense, noise, penalties and constraints. */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  activation,
  add,
  alphaDropout,
  batch,
  type Constraint,
  constantOf,
  type DenseOptions,
  dense,
  dropConnect,
  gatedDense,
  gaussianDropout,
  gaussianNoise,
  gradcheck,
  input,
  type Layer,
  l1,
  l1l2,
  l2,
  maxNorm,
  maxout,
  model,
  multiply,
  nonNegative,
  ones,
  orthogonalRegularizer,
  parameter,
  prelu,
  printPlan,
  type Regularizer,
  randomNormal,
  sequential,
  sgd,
  spatialDropout,
  stochasticDepth,
  sum,
  type Tensor,
  type TrainingData,
  tanh,
  transpose,
  unitNorm,
} from '../../../src/index.ts'
import type { VariableAttributes } from '../../../src/ops/source.ts'
import { any } from '../../any.ts'
import { bitsOf, executors, expectRefusal, numbers, rows, scaledError, sumLoss, whileTraining } from '../../training/support.ts'
import { evaluate, holding } from '../values.ts'

const samples = rows(5, 3, 4)
const regression: TrainingData = { x: rows(6, 3, 7), y: rows(6, 2, 8) }

describe.each(executors)('layers on the %s executor', (executor) => {
  it('gatedDense is the first half of a product times the gate of the second', async () => {
    const net = sequential([input(3), gatedDense(4, { gate: 'tanh', biasInitializer: 'glorotUniform' })], { executor })
    const { 'gatedDense_1.kernel': kernel, 'gatedDense_1.bias': bias } = net.weights()
    expect([kernel.shape, bias.shape]).toEqual([[3, 8], [8]])
    const affine = (row: number[], j: number) => row.reduce((total, value, i) => total + value * kernel.at(i, j), bias.at(j))
    const expected = samples.flatMap((row) => [0, 1, 2, 3].map((j) => affine(row, j) * Math.tanh(affine(row, j + 4))))
    const { data, shape } = await net.predict(samples)
    expect(shape).toEqual([5, 4])
    expect(scaledError(data, expected)).toBeLessThan(1e-6)
  })

  it('gatedDense is a SwiGLU unless told otherwise, from one product', async () => {
    const net = sequential([input(3), gatedDense(4, { useBias: false })], { executor, seed: 2 })
    const twin = sequential([input(3), dense(8, { activation: 'swiglu', useBias: false })], { executor, seed: 2 })
    expect((await net.predict(samples)).data).toEqual((await twin.predict(samples)).data)
    expect(printPlan(net.plan(5)).match(/matmul/g)?.length).toBe(1)
  })

  it('maxout is the largest of its pieces', async () => {
    const net = sequential([input(3), maxout(4, { pieces: 3, biasInitializer: 'glorotUniform' })], { executor })
    const { 'maxout_1.kernel': kernel, 'maxout_1.bias': bias } = net.weights()
    expect(kernel.shape).toEqual([3, 12])
    const affine = (row: number[], j: number) => row.reduce((total, value, i) => total + value * kernel.at(i, j), bias.at(j))
    const expected = samples.flatMap((row) => [0, 1, 2, 3].map((j) => Math.max(...[0, 1, 2].map((k) => affine(row, 3 * j + k)))))
    expect(scaledError((await net.predict(samples)).data, expected)).toBeLessThan(1e-6)
  })

  it('maxout of two pieces keeps the second moment of what it is given, by its default initializer', async () => {
    const net = sequential([input(400), maxout(400), maxout(400), maxout(400)], { executor, seed: 1 })
    const { data } = await net.predict(Array.from({ length: 8 }, (_, i) => numbers(400, i, -1, 1)))
    // Of uniform numbers within ±1: 1/3. Three layers of random weights scatter it by some 10 %.
    const moment = data.reduce((total, value) => total + value * value, 0) / data.length
    expect(moment).toBeGreaterThan(0.2)
    expect(moment).toBeLessThan(0.5)
  })

  it('prelu has a slope for each element, or shares them along axes', async () => {
    const shape = [2, 3, 4]
    const slopes = (sharedAxes?: number[]) => sequential([input(shape), prelu({ sharedAxes })], { executor }).weights()['prelu_1.slope']
    expect(slopes().shape).toEqual([2, 3, 4])
    expect([...new Set(slopes().data)]).toEqual([0])
    expect(slopes([1, 2]).shape).toEqual([1, 1, 4])
    expect(slopes([1, 2, -1]).shape).toEqual([1, 1, 1])
    const net = sequential([input(shape), prelu({ sharedAxes: [1, 2] })], { executor })
    net.setWeights({ 'prelu_1.slope': Float32Array.of(0.1, 0.2, 0.3, 0.4) })
    const x = numbers(24, 2)
    const expected = x.map((value, i) => (value > 0 ? value : (0.1 + 0.1 * (i % 4)) * value))
    expect(scaledError((await net.predict(Float32Array.from(x))).data, expected)).toBeLessThan(1e-6)
  })

  it('prelu learns its slope: the sum of what came in below 0', async () => {
    const net = sequential([input(3), prelu({ slopeInitializer: constantOf(0.25) })], { executor })
    await net.fit({ x: [[1, -2, -3]], y: [[0, 0, 0]] }, { loss: sumLoss, optimizer: sgd({ learningRate: 0.1 }) })
    expect(scaledError(net.weights()['prelu_1.slope'].data, [0.25, 0.45, 0.55])).toBeLessThan(1e-6)
  })
})

const trainable: Record<string, () => (x: Tensor) => Tensor> = {
  gatedDense: () => gatedDense(2),
  maxout: () => maxout(2),
  prelu: () => (x) => dense(prelu(x, { slopeInitializer: constantOf(0.25) }), 2),
  dropConnect: () => dropConnect(2, { activation: 'tanh' }),
  gaussianDropout: () => (x) => gaussianDropout(dense(x, 2), 0.3),
  gaussianNoise: () => (x) => gaussianNoise(dense(x, 2), 0.3),
  alphaDropout: () => (x) => alphaDropout(dense(x, 2, { activation: 'selu' }), 0.3),
  stochasticDepth: () => (x) => add(dense(x, 2), stochasticDepth(dense(x, 2), 0.3)),
  'an activity penalty': () => dense(2, { activation: 'elu', activityRegularizer: l2(0.1) }),
  'an orthogonal penalty': () => dense(2, { kernelRegularizer: orthogonalRegularizer(0.1) }),
}

it.each(Object.keys(trainable))('the gradient of %s is what finite differences find', (name) => {
  expect(gradcheck(sequential([input(3), trainable[name]()], { seed: 4 }), regression, { loss: 'meanSquaredError' })).toMatchObject({
    ok: true,
  })
})

describe.each(executors)('noise on the %s executor', (executor) => {
  const width = 1000
  const rowsOfOnes = Array.from({ length: 40 }, () => new Float32Array(width).fill(1))
  const size = 40 * width
  const moments = (values: Float32Array) => {
    const mean = values.reduce((total, value) => total + value, 0) / values.length
    return { mean, variance: values.reduce((total, value) => total + (value - mean) ** 2, 0) / values.length }
  }

  it.each<[string, (x: Tensor) => Tensor]>([
    ['gaussianNoise', (x) => gaussianNoise(x, 0.5)],
    ['gaussianDropout', (x) => gaussianDropout(x, 0.5)],
    ['alphaDropout', (x) => alphaDropout(x, 0.5)],
    ['stochasticDepth', (x) => stochasticDepth(x, 0.5)],
    ['dropConnect', (x) => dropConnect(x, width, { kernelInitializer: 'identity' })],
  ])('%s does nothing at inference, and something while training', async (_, layer) => {
    const net = sequential([input(width), layer], { executor })
    expect([...new Set((await net.predict(rowsOfOnes)).data)]).toEqual([1])
    expect(new Set(whileTraining(net, rowsOfOnes)).size).toBeGreaterThan(1)
  })

  it.each<[string, (x: Tensor) => Tensor]>([
    ['gaussianNoise', (x) => gaussianNoise(x, 0)],
    ['gaussianDropout', (x) => gaussianDropout(x, 0)],
    ['alphaDropout', (x) => alphaDropout(x, 0)],
    ['stochasticDepth', (x) => stochasticDepth(x, 0)],
    ['dropConnect', (x) => dropConnect(x, width, { kernelInitializer: 'identity', rate: 0 })],
  ])('%s of nothing does nothing', (_, layer) => {
    expect([...new Set(whileTraining(sequential([input(width), layer], { executor }), rowsOfOnes))]).toEqual([1])
  })

  it('gaussianNoise adds numbers of its deviation', () => {
    const { mean, variance } = moments(whileTraining(sequential([input(width), gaussianNoise(0.3)], { executor, seed: 1 }), rowsOfOnes))
    expect(Math.abs(mean - 1)).toBeLessThan((5 * 0.3) / Math.sqrt(size))
    expect(Math.abs(variance / 0.09 - 1)).toBeLessThan(5 * Math.sqrt(2 / size))
  })

  it.each([0.2, 0.5, 0.75])('gaussianDropout(%d) keeps the mean and has the variance of dropout', (rate) => {
    const { mean, variance } = moments(whileTraining(sequential([input(width), gaussianDropout(rate)], { executor, seed: 1 }), rowsOfOnes))
    const expected = rate / (1 - rate)
    expect(Math.abs(mean - 1)).toBeLessThan(5 * Math.sqrt(expected / size))
    expect(Math.abs(variance / expected - 1)).toBeLessThan(5 * Math.sqrt(2 / size))
  })

  it.each([0.05, 0.3, 0.6])('alphaDropout(%d) keeps mean 0 and variance 1, and moves what it drops to one place', (rate) => {
    const x = input(1)
    const noise = randomNormal([batch, width])
    const dropped = alphaDropout(noise, rate)
    const values = whileTraining(
      model(x, add(dropped, multiply(0, x)), { executor, seed: 5 }),
      rowsOfOnes.map(() => [0]),
    )
    const { mean, variance } = moments(values)
    expect(Math.abs(mean)).toBeLessThan(5 / Math.sqrt(size))
    // The kurtosis of the mixture stays below 8, so the standard error of the variance below √(7 / n).
    expect(Math.abs(variance - 1)).toBeLessThan(5 * Math.sqrt(7 / size))
    const counts = new Map<number, number>()
    for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
    const [[place, share]] = [...counts].sort((a, b) => b[1] - a[1])
    expect(Math.abs(share / size - rate)).toBeLessThan(5 * Math.sqrt((rate * (1 - rate)) / size))
    // a α' + b with α' = -1.7581, a = (q + α'² q (1 - q))^-1/2, b = -a (1 - q) α', from the paper: a α' q.
    const q = 1 - rate
    const saturated = -1.0507009873554805 * 1.6732632423543772
    expect(Math.abs(place - (saturated * q) / Math.sqrt(q + saturated ** 2 * q * rate))).toBeLessThan(1e-6)
  })

  it('spatialDropout drops whole features of a sample', () => {
    const net = sequential([input([5, 4, 50]), spatialDropout(0.3)], { executor, seed: 2 })
    const values = whileTraining(net, rowsOfOnes)
    const feature = (sample: number, place: number, i: number) => values[(sample * 20 + place) * 50 + i]
    let kept = 0
    for (let sample = 0; sample < 40; sample++)
      for (let i = 0; i < 50; i++) {
        const places = new Set(Array.from({ length: 20 }, (_, place) => feature(sample, place, i)))
        expect(places.size).toBe(1)
        if (places.has(Math.fround(1 / 0.7))) kept += 1
        else expect([...places]).toEqual([0])
      }
    expect(Math.abs(kept / 2000 - 0.7)).toBeLessThan(5 * Math.sqrt((0.3 * 0.7) / 2000))
  })

  it('stochasticDepth drops the branch of a sample as a whole', () => {
    const many = Array.from({ length: 2000 }, () => [1, 1, 1])
    const values = whileTraining(sequential([input(3), stochasticDepth(0.25)], { executor, seed: 2 }), many)
    const kept = many.filter((_, i) => {
      const row = new Set(values.slice(3 * i, 3 * i + 3))
      expect(row.size).toBe(1)
      return row.has(Math.fround(1 / 0.75))
    }).length
    expect([...new Set(values)].sort()).toEqual([0, Math.fround(1 / 0.75)])
    expect(Math.abs(kept / 2000 - 0.75)).toBeLessThan(5 * Math.sqrt((0.25 * 0.75) / 2000))
  })

  it('dropConnect drops weights, the same for all samples of a step, and no bias', () => {
    const layer = dropConnect(width, { rate: 0.4, kernelInitializer: 'ones', biasInitializer: 'ones' })
    const net = sequential([input(3), layer], { executor, seed: 2 })
    const values = whileTraining(net, [
      [1, 0, 0],
      [0, 1, 0],
      [0, 0, 1],
      [1, 0, 0],
    ])
    expect(values.slice(0, width)).toEqual(values.slice(3 * width))
    const scale = Math.fround(1 / 0.6)
    expect(new Set(values)).toEqual(new Set([1, Math.fround(1 + scale)]))
    const kept = values.slice(0, 3 * width).filter((value) => value > 1).length
    expect(Math.abs(kept / (3 * width) - 0.6)).toBeLessThan(5 * Math.sqrt((0.4 * 0.6) / (3 * width)))
  })
})

describe('penalties', () => {
  const value = (regularize: Regularizer, shape: number[], w: number[]) => evaluate([regularize(holding(shape, w))])[0][0]
  const w = [1, -2, 0, 3]

  it('are what their names say', () => {
    expect(value(l1(0.1), [4], w)).toBeCloseTo(0.6, 12)
    expect(value(l2(0.1), [4], w)).toBeCloseTo(1.4, 12)
    expect(value(l1l2({ l1: 0.1, l2: 0.01 }), [4], w)).toBeCloseTo(0.74, 12)
    expect([l1, l2].map((make) => value(make(), [4], w))).toEqual([0.06, 0.14])
    expect(value(l1l2(), [4], w)).toBeCloseTo(0.2, 12)
  })

  it('orthogonalRegularizer measures angles, not lengths', () => {
    // Columns (3, 4) and (4, -3) are at right angles; rows (1, 1) and (1, 0) at 45 degrees; those at 60 and 90 degrees have mean cosines of 1/3.
    expect(value(orthogonalRegularizer(2, { mode: 'columns' }), [2, 2], [3, 4, 4, -3])).toBeCloseTo(0, 12)
    expect(value(orthogonalRegularizer(2), [2, 2], [5, 5, 1, 0])).toBeCloseTo(2 * Math.SQRT1_2, 12)
    expect(value(orthogonalRegularizer(3), [3, 3], [1, 0, 0, -1, Math.sqrt(3), 0, 0, 0, 7])).toBeCloseTo(3 * (0.5 / 3), 12)
    expect(value(orthogonalRegularizer(3), [2, 2], [0, 0, 1, 2])).toBeCloseTo(0, 12)
    expect(value(orthogonalRegularizer(), [1, 3], [1, 2, 3])).toBeCloseTo(0, 12)
  })

  const make = (options: DenseOptions, executor: (typeof executors)[number] = 'reference') =>
    sequential([input(3), dense(2, { biasInitializer: 'ones', ...options })], { seed: 2, executor })
  const lossOf = async (net: ReturnType<typeof make>, batchSize?: number) =>
    (await net.evaluate(regression, { loss: 'meanSquaredError', batchSize })).loss

  it.each(executors)('of bias and activity are added to the loss on the %s executor', async (executor) => {
    const [plain, biased, active] = [{}, { biasRegularizer: l1(0.3) }, { activityRegularizer: l2(0.2) }].map((options) =>
      make(options, executor),
    )
    expect((await lossOf(biased)) - (await lossOf(plain))).toBeCloseTo(0.6, 5)
    const { data } = await plain.predict(regression.x)
    const squares = data.reduce((total, y) => total + y * y, 0)
    expect((await lossOf(active)) - (await lossOf(plain))).toBeCloseTo((0.2 * squares) / 6, 5)
    expect((await active.predict(regression.x)).data).toEqual(data)
  })

  it('of activity do not depend on the batch size, and cost nothing in a prediction', async () => {
    const net = make({ activityRegularizer: l2(0.2) })
    const losses = await Promise.all([1, 4, 6].map((batchSize) => lossOf(net, batchSize)))
    for (const loss of losses) expect(loss).toBeCloseTo(losses[0], 5)
    expect(printPlan(net.plan(4))).toBe(printPlan(make({}).plan(4)))
  })

  it('of activity are found in every layer, shared ones at each of their calls', async () => {
    const x = input(3)
    const shared = dense(3, { kernelInitializer: 'identity', activityRegularizer: l1(0.1) })
    const net = model(x, activation(shared(shared(x)), 'linear', { activityRegularizer: l1(0.1) }))
    const [row] = samples
    const { loss } = await net.evaluate({ x: [row], y: [row] }, { loss: 'meanSquaredError' })
    expect(loss).toBeCloseTo(0.3 * row.reduce((total, value) => total + Math.abs(value), 0), 5)
  })

  it('of activity do not hide an activation from a loss that applies it itself', async () => {
    const net = sequential([input(3), dense(2, { activation: 'softmax', activityRegularizer: l1() })])
    await expectRefusal(
      () => net.evaluate({ x: [samples[0]], y: [1] }, { loss: 'sparseCategoricalCrossentropy' }),
      'ERR_OPTION',
      'the model ends in softmax',
    )
  })

  it.each(executors)('of activity change training as an equal loss would, on the %s executor', async (executor) => {
    const [net, twin] = [make({ activityRegularizer: l2(0.5) }, executor), make({}, executor)]
    const y = (regression.y as number[][]).map((row) => row.map(() => 0))
    const options = { optimizer: sgd({ learningRate: 0.1 }), batchSize: 6, shuffle: false, epochs: 3 } as const
    // The mean over 2 numbers of y² and half of their sum are together their sum; a mean of (y √2)² is as much.
    await net.fit({ x: regression.x, y }, { ...options, loss: 'meanSquaredError' })
    await twin.fit({ x: regression.x, y }, { ...options, loss: (prediction) => sum(multiply(prediction, prediction), { axes: [1] }) })
    for (const name of ['dense_1.kernel', 'dense_1.bias'])
      expect(scaledError(net.weights()[name].data, twin.weights()[name].data)).toBeLessThan(1e-6)
    expect(bitsOf(net)).not.toEqual(bitsOf(make({}, executor)))
  })
})

describe('constraints', () => {
  const apply = (constrain: Constraint, shape: number[], w: number[]) => [...evaluate([constrain(holding(shape, w))])[0]] as number[]
  const norms = (columns: number, w: number[]) =>
    Array.from({ length: columns }, (_, j) => Math.hypot(...w.filter((_, i) => i % columns === j)))
  const matrices = fc.integer({ min: 1, max: 5 }).chain((columns) =>
    fc.integer({ min: 1, max: 5 }).chain((height) =>
      fc.record({
        columns: fc.constant(columns),
        w: fc.array(fc.double({ min: -10, max: 10, noNaN: true }), { minLength: columns * height, maxLength: columns * height }),
      }),
    ),
  )

  it('maxNorm limits the norm of each column, keeps directions, and leaves the others as they are', () => {
    expect(apply(maxNorm(5), [2, 3], [3, 6, 0, 4, 8, 0])).toEqual([3, 3, 0, 4, 4, 0])
    fc.assert(
      fc.property(matrices, fc.double({ min: 0.1, max: 20, noNaN: true }), ({ columns, w }, limit) => {
        const found = apply(maxNorm(limit), [w.length / columns, columns], w)
        const before = norms(columns, w)
        found.forEach((value, i) => {
          const norm = before[i % columns]
          if (norm < limit * (1 - 1e-12)) expect(value).toBe(w[i])
          else expect(value).toBeCloseTo((w[i] * limit) / norm, 10)
        })
      }),
    )
  })

  it('unitNorm makes each column a unit vector, but for zeros', () => {
    expect(apply(unitNorm(), [2, 2], [3, 0, -4, 0])).toEqual([0.6, 0, -0.8, 0])
    fc.assert(
      fc.property(matrices, ({ columns, w }) => {
        const before = norms(columns, w)
        norms(columns, apply(unitNorm(), [w.length / columns, columns], w)).forEach((norm, j) => {
          if (before[j] > 1e-6) expect(norm).toBeCloseTo(1, 12)
          else expect(norm).toBeLessThanOrEqual(10)
        })
      }),
    )
  })

  it('norms may be taken over other axes', () => {
    expect(apply(unitNorm({ axes: [-1] }), [2, 2], [3, 4, 0, 2])).toEqual([0.6, 0.8, 0, 1])
    expect(apply(maxNorm(1, { axes: [0, 1] }), [2, 2], [3, 0, 0, 4]).map((value) => Math.round(value * 1e12) / 1e12)).toEqual([
      0.6, 0, 0, 0.8,
    ])
  })

  it('nonNegative has no number below 0', () => {
    expect(apply(nonNegative(), [4], [-1, 0, 2, -0.5])).toEqual([0, 0, 2, 0])
  })

  it.each(executors)('hold after every step of training on the %s executor', async (executor) => {
    const net = sequential(
      [input(3), dense(2, { kernelConstraint: maxNorm(0.5), biasConstraint: nonNegative() }), prelu({ slopeConstraint: unitNorm() })],
      { executor, seed: 1 },
    )
    let steps = 0
    // A learning rate that leads far away in each step, of which each epoch has one.
    const options = { loss: 'meanSquaredError', optimizer: sgd({ learningRate: 2 }), batchSize: 6, epochs: 9 } as const
    for await (const event of net.train({ x: regression.x, y: rows(6, 2, 8, -5, 5) }, options)) {
      if (event.type !== 'step') continue
      steps += 1
      const { 'dense_1.kernel': kernel, 'dense_1.bias': bias, 'prelu_1.slope': slope } = net.weights()
      for (const norm of norms(2, [...kernel.data])) expect(norm).toBeLessThan(0.5 * (1 + 3e-7))
      expect(Math.max(...norms(2, [...kernel.data]))).toBeGreaterThan(0.5 * (1 - 3e-7))
      expect(Math.min(...bias.data)).toBeGreaterThanOrEqual(0)
      const length = Math.hypot(...slope.data)
      expect(length === 0 || Math.abs(length - 1) < 3e-7).toBe(true)
    }
    expect(steps).toBe(9)
  })

  it.each<[returned: string, constrain: unknown, got: string]>([
    ['a scalar, which would be every weight', (w: Tensor) => sum(w), '[]'],
    ['another shape', (w: Tensor) => transpose(w), '[3, 2]'],
    ['a number', () => 1, '1'],
    ['nothing', () => undefined, 'undefined'],
  ])('one that returns %s is refused', async (_, constrain, got) => {
    const net = sequential([input(2), dense(3, { kernelConstraint: constrain as Constraint })])
    await expect(net.fit({ x: [[1, 2]], y: [[1, 2, 3]] }, { loss: 'meanSquaredError' })).rejects.toMatchObject({
      code: 'ERR_OPTION',
      message: `The constraint of dense_1.kernel must return a symbolic tensor of shape [2, 3], got ${got}.`,
    })
  })

  it('go with the parameters of their layer, where the trainer finds them', () => {
    const constraints = { kernel: maxNorm(), bias: nonNegative(), slope: unitNorm() }
    const layers: Layer[] = [
      dense(3, { kernelConstraint: constraints.kernel, biasConstraint: constraints.bias }),
      maxout(3, { kernelConstraint: constraints.kernel, biasConstraint: constraints.bias }),
      gatedDense(3, { kernelConstraint: constraints.kernel, biasConstraint: constraints.bias }),
      dropConnect(3, { kernelConstraint: constraints.kernel, biasConstraint: constraints.bias }),
      prelu({ slopeConstraint: constraints.slope }),
    ]
    const { parameters } = sequential([input(3), ...layers])
    expect(parameters.length).toBe(9)
    for (const { variable } of parameters) {
      const { name, constrain } = variable.attributes as VariableAttributes
      expect(constrain).toBe(constraints[name as keyof typeof constraints])
    }
  })
})

const refusals: readonly (readonly [what: string, call: () => unknown, code: string, ...parts: string[]])[] = [
  ['no pieces', () => maxout(3, { pieces: 0 }), 'ERR_OPTION', 'maxout: pieces must be an integer of at least 1, got 0'],
  ['a gate as options', () => gatedDense(3, any('gelu')), 'ERR_OPTION', `say gatedDense(3, { gate: 'gelu' })`],
  [
    'an unknown gate',
    () => gatedDense(3, any({ gate: 'glelu' })),
    'ERR_OPTION',
    'activation "glelu" for gatedDense',
    'did you mean "gelu"?',
  ],
  ['no units', () => gatedDense(0), 'ERR_OPTION', 'gatedDense: units must be an integer of at least 1, got 0'],
  ['a rate of 1', () => dropConnect(3, { rate: 1 }), 'ERR_OPTION', 'dropConnect: rate must lie in 0 … 1 (1 excluded), got 1'],
  ['a rate in per cent', () => stochasticDepth(20), 'ERR_OPTION', 'stochasticDepth: rate must lie', 'got 20'],
  ['a rate of NaN', () => alphaDropout(Number.NaN), 'ERR_OPTION', 'alphaDropout: rate', 'got NaN'],
  ['a negative deviation', () => gaussianNoise(-1), 'ERR_OPTION', 'gaussianNoise: stddev must be a number of at least 0, got -1'],
  [
    'features without places',
    () => spatialDropout(input(8), 0.1),
    'ERR_SHAPE',
    'spatialDropout: expected an input of shape [batch, …, features], got [batch, 8]',
    'dropout(rate)',
  ],
  ['a misspelt option', () => prelu(any({ sharedAxis: [1] })), 'ERR_OPTION', '"sharedAxis" for prelu', 'did you mean "sharedAxes"?'],
  ['a number as axes', () => prelu(any({ sharedAxes: 1 })), 'ERR_OPTION', 'prelu: sharedAxes must be an array of integers, got 1'],
  ['an axis that is not there', () => prelu(input(3), { sharedAxes: [2] }), 'ERR_SHAPE', 'prelu: axis 2 is out of range'],
  [
    'a constraint by name',
    () => dense(3, any({ kernelConstraint: 'maxNorm' })),
    'ERR_OPTION',
    'dense: kernelConstraint must be a function such as maxNorm(3), got "maxNorm"',
  ],
  [
    'a penalty by name',
    () => maxout(3, any({ activityRegularizer: 'l1' })),
    'ERR_OPTION',
    'maxout: activityRegularizer must be a function such as l2(1e-4), got "l1"',
  ],
  [
    'a penalty that is no scalar',
    () => dense(input(3), 2, { activityRegularizer: tanh }),
    'ERR_GRAPH',
    'dense: the penalty on activity: expected a scalar, got shape [batch, 2]',
  ],
  [
    'a penalty that is a number',
    () => dense(input(3), 2, any({ activityRegularizer: () => 3 })),
    'ERR_OPTION',
    'the penalty on activity: what the function returns must be a symbolic tensor, got 3',
  ],
  ['a limit of 0', () => maxNorm(0), 'ERR_OPTION', 'maxNorm: limit must be a number above 0, got 0'],
  ['an axis in place of axes', () => maxNorm(2, any({ axis: 0 })), 'ERR_OPTION', '"axis" for maxNorm', 'did you mean "axes"?'],
  ['half an axis', () => unitNorm({ axes: [0.5] }), 'ERR_OPTION', 'unitNorm: axes must be an array of integers, got [0.5]'],
  ['a negative strength', () => l1(-1), 'ERR_OPTION', 'l1: strength must be a number of at least 0, got -1'],
  ['two numbers in place of options', () => l1l2(any(0.1)), 'ERR_OPTION', 'l1l2: options must be an object, got 0.1'],
  ['a strength of NaN', () => l1l2({ l2: Number.NaN }), 'ERR_OPTION', 'l1l2: l2 must be a number of at least 0, got NaN'],
  ['an unknown mode', () => orthogonalRegularizer(1, any({ mode: 'row' })), 'ERR_OPTION', 'mode must be "rows" or "columns", got "row"'],
  [
    'the angles of a vector',
    () => orthogonalRegularizer()(holding([3], [1, 2, 3])),
    'ERR_SHAPE',
    'orthogonalRegularizer: expected a matrix, got [3]',
  ],
  [
    'a penalty in place of options',
    () => parameter('p', [3], ones, any(l2())),
    'ERR_OPTION',
    'parameter: options must be an object, got a function',
  ],
  [
    'a constraint that is none',
    () => parameter('p', [3], ones, any({ constrain: 3 })),
    'ERR_OPTION',
    'parameter: constrain must be a function of the parameter, got 3',
  ],
]

it.each(refusals.map((refusal) => [refusal[0], refusal] as const))('layers refuse %s', async (_, [, call, code, ...parts]) => {
  await expectRefusal(call, code, ...parts)
})

it('a prelu refuses a second input of another shape, by the name of the layer', async () => {
  const layer = prelu({ name: 'bent' })
  layer(input(3))
  await expectRefusal(() => layer(input(4)), 'ERR_SHAPE', 'prelu (layer "bent")', 'slopes have shape [3]', '[batch, 4]')
})
