/** Random numbers inside plans: where they lie, how they are distributed, and what they depend on. */
import { describe, expect, it } from 'vitest'
import {
  add,
  batch,
  input,
  type ModelOptions,
  mean,
  model,
  multiply,
  randomNormal,
  randomUniform,
  type Shape,
  type Tensor,
} from '../../src/index.ts'
import { stepVariable } from '../../src/ops/random.ts'
import { erf } from '../../src/ops/special.ts'
import { any } from '../any.ts'
import { executors, expectRefusal, scaledBy, sumLoss, whileTraining } from '../training/support.ts'

const width = 1000
const count = 200
const size = width * count
const samples = Array.from({ length: count }, () => [0])

/** What a model gives that is made of random numbers, one row a sample. */
const drawn = (make: (shape: Shape) => Tensor, options: ModelOptions, step = 0) => {
  const x = input(1)
  const net = model(x, add(make([batch, width]), multiply(0, x)), options)
  net.values(stepVariable)[0] = step
  return whileTraining(net, samples)
}

/** The standard normal distribution. */
const phi = (x: number) => 0.5 * (1 + erf(x * Math.SQRT1_2))

/** The largest distance of the values' distribution from the given one (Kolmogorov and Smirnov), times √n: above 1.95 once in a thousand. */
function kolmogorovSmirnov(values: Float32Array, distribution: (x: number) => number): number {
  const sorted = Float64Array.from(values).sort()
  const n = sorted.length
  const distances = sorted.map((value, i) => Math.max(distribution(value) - i / n, (i + 1) / n - distribution(value)))
  return distances.reduce((most, distance) => Math.max(most, distance), 0) * Math.sqrt(n)
}

/** Mean of the powers of the values. */
const moment = (values: Float32Array, power: number) => values.reduce((total, value) => total + value ** power, 0) / values.length

describe.each(executors)('on the %s executor', (executor) => {
  const uniform = drawn(randomUniform, { executor, seed: 7 })
  const normal = drawn(randomNormal, { executor, seed: 7 })

  it('uniform numbers are odd multiples of 2^-24 between 0 and 1', () => {
    expect(uniform.length).toBe(size)
    expect(uniform.every((value) => value > 0 && value < 1 && (value * 2 ** 24) % 2 === 1)).toBe(true)
  })

  it('uniform numbers are uniform, and so are their low bits', () => {
    expect(kolmogorovSmirnov(uniform, (x) => x)).toBeLessThan(1.95)
    expect(
      kolmogorovSmirnov(
        uniform.map((value) => (value * 2 ** 12) % 1),
        (x) => x,
      ),
    ).toBeLessThan(1.95)
  })

  it('uniform numbers do not know their neighbours, in the row, the group of 64 or the column', () => {
    for (const distance of [1, 2, 16, 32, 64, width]) {
      let product = 0
      for (let i = distance; i < size; i++) product += (uniform[i] - 0.5) * (uniform[i - distance] - 0.5)
      // A correlation of independent numbers has a standard error of 1/√n.
      expect(Math.abs((product / (size - distance)) * 12)).toBeLessThan(5 / Math.sqrt(size - distance))
    }
  })

  it('normal numbers are what Φ takes to the uniform ones', () => {
    // The derivative of Φ times an error of 1e-6 of the number (the polynomials are good to 3e-7, and some twenty roundings follow).
    normal.forEach((value, i) => {
      const density = Math.exp((-value * value) / 2) / Math.sqrt(2 * Math.PI)
      expect(Math.abs(phi(value) - uniform[i])).toBeLessThan(1e-12 + 1e-6 * Math.abs(value) * density)
    })
  })

  it('normal numbers have mean 0, variance 1, no skewness and a kurtosis of 3', () => {
    // Moments of the standard normal distribution, and the standard errors of their estimates.
    for (const [power, expected, error] of [
      [1, 0, 1],
      [2, 1, Math.sqrt(2)],
      [3, 0, Math.sqrt(15)],
      [4, 3, Math.sqrt(96)],
    ])
      expect(Math.abs(moment(normal, power) - expected)).toBeLessThan((5 * error) / Math.sqrt(size))
  })

  it('normal numbers are normal, in the middle and in the tails', () => {
    expect(kolmogorovSmirnov(normal, phi)).toBeLessThan(1.95)
    for (const bound of [2, 3, 4]) {
      const expected = 2 * phi(-bound) * size
      expect(Math.abs(normal.filter((value) => Math.abs(value) > bound).length - expected)).toBeLessThan(5 * Math.sqrt(expected))
    }
  })

  it('are a function of seed, step and place', () => {
    expect(drawn(randomNormal, { executor, seed: 7 })).toEqual(normal)
    expect(drawn(randomNormal, { executor, seed: 8 })).not.toEqual(normal)
    expect(drawn(randomNormal, { executor, seed: 7 }, 1)).not.toEqual(normal)
    const x = input(1)
    const twice = whileTraining(
      model(x, add(randomUniform([batch, width]), add(randomUniform([batch, width]), multiply(0, x))), { executor, seed: 7 }),
      samples,
    )
    // The sum of two different ones is triangular: a variance of 1/6, where twice the same would have 1/3.
    expect(
      Math.abs(
        moment(
          twice.map((value) => value - 1),
          2,
        ) -
          1 / 6,
      ),
    ).toBeLessThan(0.003)
  })

  it('are new in each training step, and those of the present step in a prediction', async () => {
    const x = input(4)
    const noise = randomNormal([batch, 4])
    const net = model(x, scaledBy(4)(add(x, noise)), { executor, seed: 3 })
    const zeros = Array.from({ length: 6 }, () => [0, 0, 0, 0])
    const before = (await net.predict(zeros)).data
    expect((await net.predict(zeros)).data).toEqual(before)
    const { epochs } = await net.fit({ x: zeros, y: zeros }, { loss: sumLoss, optimizer: 'sgd', epochs: 3, batchSize: 6 })
    expect(new Set(epochs.map(({ loss }) => loss)).size).toBe(3)
    net.setWeights({ p: [1, 1, 1, 1] })
    expect((await net.predict(zeros)).data).not.toEqual(before)
  })

  it('are constants to the gradient', async () => {
    const x = input(4)
    const net = model(x, scaledBy(4)(multiply(x, randomUniform([4]))), { executor, seed: 3 })
    const ones = [[1, 1, 1, 1]]
    const { data } = await net.predict(ones)
    await net.fit({ x: ones, y: ones }, { loss: (y) => mean(y, { axes: [1] }), optimizer: 'sgd' })
    const rate = 0.01
    net.weights().p.data.forEach((value, i) => expect(Math.abs(value - (1 - (rate * data[i]) / 4))).toBeLessThan(2e-7))
  })
})

it.skipIf(executors.length < 2)('uniform numbers have the same bits on both executors', () => {
  const [native, reference] = executors.map((executor) => drawn(randomUniform, { executor, seed: 2 ** 40 + 5 }, 123))
  expect(native).toEqual(reference)
})

it('shapes that are none are refused', async () => {
  await expectRefusal(() => randomUniform(any(3)), 'ERR_OPTION', 'randomUniform: shape must be an array, got 3')
  await expectRefusal(
    () => randomNormal([batch, 0]),
    'ERR_SHAPE',
    'randomNormal: expected extents that are integers of at least 1, got [batch, 0]',
  )
})
