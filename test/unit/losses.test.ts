/** Losses against plain loops, and their gradients, up to logits at which careless formulas overflow or cancel. */
import { describe, expect, it } from 'vitest'
import { add, gradcheck, input, parameter, power, sequential, sgd, subtract, sum, type Tensor, zeros } from '../../src/index.ts'
import { executors, expectRefusal, numbers, rows, scaledError } from '../training/support.ts'

type Row = readonly number[]

const softplus = (x: number) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x))
const average = (values: Row) => values.reduce((total, value) => total + value, 0) / values.length
const logSumExp = (logits: Row) => {
  const largest = Math.max(...logits)
  return largest + Math.log(logits.reduce((total, logit) => total + Math.exp(logit - largest), 0))
}

type Classic = 'meanSquaredError' | 'binaryCrossentropy' | 'categoricalCrossentropy' | 'sparseCategoricalCrossentropy'

/** The loss of one sample, and its slope by each of the sample's predictions. A class number is a target of one element. */
interface Plain {
  loss(x: Row, t: Row): number
  slope(x: Row, t: Row): number[]
}

const categorical: Plain = {
  loss: (x, t) => t.reduce((total, target, i) => total + target * (logSumExp(x) - x[i]), 0),
  slope: (x, t) => x.map((logit, i) => Math.exp(logit - logSumExp(x)) * t.reduce((a, b) => a + b) - t[i]),
}
const oneHot = (x: Row, [t]: Row) => x.map((_, i) => (i === t ? 1 : 0))
const plain: Record<Classic, Plain> = {
  meanSquaredError: {
    loss: (x, t) => average(x.map((value, i) => (value - t[i]) ** 2)),
    slope: (x, t) => x.map((value, i) => (2 * (value - t[i])) / x.length),
  },
  binaryCrossentropy: {
    loss: (x, t) => average(x.map((logit, i) => t[i] * softplus(-logit) + (1 - t[i]) * softplus(logit))),
    slope: (x, t) => x.map((logit, i) => (sigmoid(logit) - t[i]) / x.length),
  },
  categoricalCrossentropy: categorical,
  sparseCategoricalCrossentropy: {
    loss: (x, t) => categorical.loss(x, oneHot(x, t)),
    slope: (x, t) => categorical.slope(x, oneHot(x, t)),
  },
}

const names = Object.keys(plain) as Classic[]
const classes = 5
const count = 23
const logits = rows(count, classes, 1, -3, 3)
const targets: Record<Classic, number[][]> = {
  meanSquaredError: rows(count, classes, 2, -3, 3),
  binaryCrossentropy: rows(count, classes, 3, 0, 1),
  categoricalCrossentropy: rows(count, classes, 4, 0, 1).map((row) => row.map((value) => value / row.reduce((a, b) => a + b))),
  sparseCategoricalCrossentropy: numbers(count, 5, 0, classes).map((value) => [Math.floor(value)]),
}

/** A model whose output is its input, plus a shift that starts at 0: one step at rate 1 makes it minus the mean slope. */
const shifted = (width: number, executor: 'native' | 'reference') => {
  const shift = parameter('shift', [width], zeros)
  return sequential([input(width), (x: Tensor) => add(x, shift)], { executor })
}

describe.each(executors)('on the %s executor', (executor) => {
  it.each(names)('%s is the mean over samples of what a plain loop finds', async (name) => {
    const net = shifted(classes, executor)
    const expected = average(logits.map((row, i) => plain[name].loss(row, targets[name][i])))
    for (const batchSize of [1, 7, 16, count]) {
      const { loss } = await net.evaluate({ x: logits, y: targets[name] }, { loss: name, batchSize })
      expect(Math.abs(loss / expected - 1), `batches of ${batchSize}`).toBeLessThan(1e-6)
    }
  })

  it.each(names)('%s has the slope that a plain loop finds', async (name) => {
    const net = shifted(classes, executor)
    const slopes = logits.map((row, i) => plain[name].slope(row, targets[name][i]))
    const expected = Array.from({ length: classes }, (_, j) => -average(slopes.map((slope) => slope[j])))
    await net.fit({ x: logits, y: targets[name] }, { loss: name, optimizer: sgd({ learningRate: 1 }), batchSize: count })
    expect(scaledError(net.weights().shift.data, expected)).toBeLessThan(2e-6)
  })

  it.each(names)('%s reports the loss before the step', async (name) => {
    const { epochs } = await shifted(classes, executor).fit({ x: logits, y: targets[name] }, { loss: name, batchSize: count })
    const expected = average(logits.map((row, i) => plain[name].loss(row, targets[name][i])))
    expect(Math.abs(epochs[0].loss / expected - 1)).toBeLessThan(1e-6)
  })

  const extreme: [name: Classic, x: number[], t: number[]][] = [100, 1000].flatMap((size) =>
    [size, -size].flatMap((x): [Classic, number[], number[]][] => [
      ['binaryCrossentropy', [x], [0]],
      ['binaryCrossentropy', [x], [1]],
      ['binaryCrossentropy', [x], [0.25]],
      ['categoricalCrossentropy', [x, 0, -x], [1, 0, 0]],
      ['categoricalCrossentropy', [x, 0, -x], [0.5, 0.25, 0.25]],
      ['categoricalCrossentropy', [x, x, x], [0, 0, 1]],
      ['sparseCategoricalCrossentropy', [x, 0, -x], [0]],
      ['sparseCategoricalCrossentropy', [x, 0, -x], [2]],
      ['sparseCategoricalCrossentropy', [x, x, -x], [1]],
    ]),
  )

  it.each(extreme)('%s of logits %j and target %j is finite and right, and so is its slope', async (name, x, t) => {
    const net = shifted(x.length, executor)
    const { epochs } = await net.fit({ x: [x], y: [t] }, { loss: name, optimizer: sgd({ learningRate: 1 }) })
    const expected = plain[name].loss(x, t)
    expect(Number.isFinite(expected)).toBe(true)
    // Relative for the large ones; e^-100 may be given as 0.
    expect(Math.abs(epochs[0].loss - expected)).toBeLessThanOrEqual(2e-7 * expected + 1e-40)
    const slope = plain[name].slope(x, t)
    net.weights().shift.data.forEach((value, i) => {
      expect(Math.abs(value + slope[i]), `slope ${i}`).toBeLessThan(1e-7)
    })
  })

  // Almost certain and right: what is left of the loss is tiny, and x - t·x + log(1 + e^-x) would have cancelled it to 0.
  it.each([10, 20, 40, 80])('binaryCrossentropy keeps its digits at logits of ±%i that are right', async (size) => {
    for (const [x, t] of [
      [size, 1],
      [-size, 0],
    ]) {
      const { loss } = await shifted(1, executor).evaluate({ x: [[x]], y: [[t]] }, { loss: 'binaryCrossentropy' })
      expect(Math.abs(loss / Math.log1p(Math.exp(-size)) - 1), `logit ${x}`).toBeLessThan(1e-6)
    }
  })

  it.each([
    ['meanSquaredError', [3]],
    ['binaryCrossentropy', [1]],
  ] as const)('%s takes one number a sample', async (name, y) => {
    const net = sequential([input(), (x: Tensor) => add(x, parameter('shift', [], zeros))], { executor })
    const { loss } = await net.evaluate({ x: [2], y: [...y] }, { loss: name })
    expect(Math.abs(loss / plain[name].loss([2], y) - 1)).toBeLessThan(1e-6)
  })

  it('a function may be the loss', async () => {
    const cubed = (prediction: Tensor, target: Tensor) => sum(power(subtract(prediction, target), 3), { axes: [-1] })
    const y = targets.meanSquaredError
    const expected = average(logits.map((row, i) => row.reduce((total, value, j) => total + (value - y[i][j]) ** 3, 0)))
    const { loss } = await shifted(classes, executor).evaluate({ x: logits, y }, { loss: cubed, batchSize: 6 })
    expect(Math.abs(loss / expected - 1)).toBeLessThan(1e-5)
  })
})

it.each(names)('%s has the gradient that finite differences find', (name) => {
  const report = gradcheck(shifted(classes, 'reference'), { x: logits, y: targets[name] }, { loss: name, tolerance: 1e-8 })
  expect(report.ok, String(report)).toBe(true)
})

describe('outputs that do not fit', () => {
  const classNames = ['categoricalCrossentropy', 'sparseCategoricalCrossentropy'] as const
  it.each(classNames)('%s refuses a single class', async (name) => {
    for (const shape of [[1], [4, 1]]) {
      const net = sequential([input(shape), (x: Tensor) => add(x, 1)])
      await expectRefusal(
        () => net.evaluate({ x: [], y: [] }, { loss: name }),
        'ERR_OPTION',
        'shape [batch, …, classes] with at least 2 classes',
        `got [batch, ${shape.join(', ')}]`,
      )
    }
  })
})
