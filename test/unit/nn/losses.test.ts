/** Losses against plain loops, and their gradients, up to logits at which careless formulas overflow or cancel. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  add,
  dense,
  gradcheck,
  input,
  type Loss,
  type LossName,
  losses,
  parameter,
  power,
  sequential,
  sgd,
  subtract,
  sum,
  type Tensor,
  zeros,
} from '../../../src/index.ts'
import { executors, expectRefusal, numbers, rows, scaledError } from '../../training/support.ts'
import { judge } from '../judging.ts'

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

/** For each loss the shape of a prediction, and targets that fit it, of which `range` says the smallest and largest. */
const shapes: Record<
  LossName,
  { shape: number[]; target: 'number' | 'positive' | 'sign' | 'probability' | 'distribution' | 'class'; width?: number }
> = {
  meanSquaredError: { shape: [3], target: 'number' },
  meanAbsoluteError: { shape: [3], target: 'number' },
  huber: { shape: [3], target: 'number' },
  logCosh: { shape: [3], target: 'number' },
  meanAbsolutePercentageError: { shape: [3], target: 'positive' },
  meanSquaredLogarithmicError: { shape: [3], target: 'positive' },
  binaryCrossentropy: { shape: [3], target: 'probability' },
  categoricalCrossentropy: { shape: [3], target: 'distribution' },
  sparseCategoricalCrossentropy: { shape: [3], target: 'class', width: 1 },
  binaryFocalCrossentropy: { shape: [3], target: 'probability' },
  categoricalFocalCrossentropy: { shape: [3], target: 'distribution' },
  sparseCategoricalFocalCrossentropy: { shape: [3], target: 'class', width: 1 },
  klDivergence: { shape: [3], target: 'distribution' },
  poisson: { shape: [3], target: 'positive' },
  gaussianNegativeLogLikelihood: { shape: [4], target: 'number', width: 2 },
  quantile: { shape: [3], target: 'number' },
  hinge: { shape: [3], target: 'sign' },
  squaredHinge: { shape: [3], target: 'sign' },
  categoricalHinge: { shape: [3], target: 'distribution' },
  cosineSimilarity: { shape: [3], target: 'number' },
  triplet: { shape: [3], target: 'class', width: 1 },
  contrastive: { shape: [3], target: 'sign' },
}
const all = Object.keys(losses) as LossName[]
/** Logarithms of densities and cosines; all others are never below 0. */
const signed: readonly LossName[] = ['poisson', 'gaussianNegativeLogLikelihood', 'cosineSimilarity']

/** Batches of `samples` predictions, and targets that belong to them; all numbers are exact in float32. */
function batchOf(name: LossName, samples: number): fc.Arbitrary<{ x: number[]; y: number[][] }> {
  const { shape, target, width = shape[0] } = shapes[name]
  const number = (low: number, high: number) => fc.integer({ min: low * 64, max: high * 64 }).map((value) => value / 64)
  const row = {
    number: () => fc.array(number(-10, 10), { minLength: width, maxLength: width }),
    positive: () => fc.array(number(1, 9), { minLength: width, maxLength: width }),
    sign: () => fc.array(fc.integer({ min: 0, max: 1 }), { minLength: width, maxLength: width }),
    probability: () => fc.array(number(0, 1), { minLength: width, maxLength: width }),
    class: () => fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 1 }),
    distribution: () => fc.integer({ min: 0, max: width - 1 }).map((i) => Array.from({ length: width }, (_, j) => (i === j ? 1 : 0))),
  }[target]()
  const low = name === 'contrastive' || name === 'meanSquaredLogarithmicError' ? 0.1 : -20
  return fc.record({
    x: fc.array(number(Math.ceil(low), 20), { minLength: samples * shape[0], maxLength: samples * shape[0] }),
    y: fc.array(row, { minLength: samples, maxLength: samples }),
  })
}

describe.each(all)('%s, whatever the batch', (name) => {
  const { shape } = shapes[name]

  it('is never below 0 where it must not be, and finite, and so is its gradient', () => {
    const run = judge(name, 4, shape)
    fc.assert(
      fc.property(batchOf(name, 4), ({ x, y }) => {
        const { samples, gradient } = run(x, y)
        // logCosh subtracts log 2 from numbers up to 40: an error of 4e-6 at most.
        if (!signed.includes(name)) for (const sample of samples) expect(sample).toBeGreaterThanOrEqual(name === 'logCosh' ? -4e-6 : 0)
        expect([...samples, ...gradient].filter((value) => !Number.isFinite(value))).toEqual([])
      }),
    )
  })

  it('has the gradient that finite differences find', () => {
    const [{ x, y }] = fc.sample(batchOf(name, 5), { seed: 3, numRuns: 1 })
    // Away from the kinks, which lie at multiples of 1/64, and from overflow.
    const net = shifted(shape[0], 'reference')
    const sample = Array.from({ length: 5 }, (_, i) =>
      x.slice(i * shape[0], (i + 1) * shape[0]).map((value, j) => value / 8 + 0.003 * (j + 1)),
    )
    const report = gradcheck(net, { x: sample, y }, { loss: name, tolerance: 1e-6 })
    expect(report.ok, String(report)).toBe(true)
  })
})

// A triplet needs others in its batch.
it.each(all.filter((name) => name !== 'triplet'))('%s of a batch is the mean of that of its halves', (name) => {
  const { shape } = shapes[name]
  const [whole, half] = [judge(name, 6, shape), judge(name, 3, shape)]
  fc.assert(
    fc.property(batchOf(name, 6), ({ x, y }) => {
      const cut = 3 * shape[0]
      const [first, second] = [half(x.slice(0, cut), y.slice(0, 3)), half(x.slice(cut), y.slice(3))]
      const joined = whole(x, y)
      const mean = (first.value + second.value) / 2
      expect(Math.abs(joined.value - mean)).toBeLessThanOrEqual(1e-6 * Math.max(1, Math.abs(mean)))
      expect(scaledError([...joined.gradient, 1], [...[...first.gradient, ...second.gradient].map((value) => value / 2), 1])).toBeLessThan(
        1e-6,
      )
    }),
  )
})

/** Those of logits that do not change when the same number is added to all of a row. */
const shiftless = all.filter((name) => /ategorical.*rossentropy|klDivergence|categoricalHinge/.test(name))

it.each(shiftless)('the gradient of %s sums to 0 over the classes', (name) => {
  const run = judge(name, 4, [3])
  fc.assert(
    fc.property(batchOf(name, 4), ({ x, y }) => {
      const { gradient } = run(x, y)
      for (let row = 0; row < 4; row++) {
        const part = gradient.slice(3 * row, 3 * row + 3)
        expect(Math.abs(part.reduce((a, b) => a + b, 0))).toBeLessThanOrEqual(2e-7 * Math.max(1, ...part.map(Math.abs)))
      }
    }),
  )
})

describe('options', () => {
  const logits = [100, -100, 2, 1, 0, -1]

  it('labelSmoothing and ignoreIndex leave the loss as it is at 0 and where no label is ignored', () => {
    const plainly = judge('sparseCategoricalCrossentropy', 2, [3])(logits, [2, 0])
    for (const options of [{ labelSmoothing: 0 }, { ignoreIndex: -1 }, { classWeights: [1, 1, 1] }])
      expect(judge(losses.sparseCategoricalCrossentropy(options), 2, [3])(logits, [2, 0])).toEqual(plainly)
  })

  it('a variance below epsilon counts as epsilon and keeps its slope', () => {
    const run = judge(losses.gaussianNegativeLogLikelihood({ epsilon: 0.01 }), 1, [2])
    const { value, gradient } = run([1, -50], [1.5])
    expect(Math.abs(value - 0.5 * (Math.log(0.01) + 0.25 / 0.01))).toBeLessThan(1e-5)
    // -(t - m)/v, and (1 - (t - m)²/v) / 2, which makes a variance that is too small grow.
    expect(scaledError(gradient, [-50, -12])).toBeLessThan(1e-6)
  })

  it('a slope of 0 where a length is 0', () => {
    expect(
      judge(
        'cosineSimilarity',
        2,
        [2],
      )(
        [0, 0, 3, 4],
        [
          [1, 2],
          [0, 0],
        ],
      ),
    ).toMatchObject({ samples: [-0, -0] })
    expect(judge('triplet', 3, [2])([0, 0, 0, 0, 0, 0], [1, 1, 2]).gradient.every(Number.isFinite)).toBe(true)
  })

  const refusals: [factory: LossName, options: unknown, message: string][] = [
    ['huber', { delta: 0 }, 'losses.huber: delta must be a finite number above 0, got 0'],
    ['huber', { dleta: 1 }, 'did you mean "delta"?'],
    ['huber', 2, 'losses.huber: options must be an object, got 2'],
    ['meanSquaredError', { reduction: 'none' }, 'for the loss of each sample use compute'],
    ['meanSquaredError', { maskValue: Number.NaN }, 'maskValue must be a finite number'],
    ['binaryCrossentropy', { labelSmoothing: 1.5 }, 'labelSmoothing must be a finite number of 0 … 1, got 1.5'],
    ['binaryCrossentropy', { positiveWeight: -1 }, 'positiveWeight must be a finite number of at least 0, got -1'],
    ['binaryFocalCrossentropy', { alpha: 2 }, 'alpha must be a finite number of 0 … 1, got 2'],
    ['categoricalCrossentropy', { classWeights: { 0: 1 } }, 'classWeights must be an array of numbers'],
    ['categoricalFocalCrossentropy', { gamma: -1 }, 'gamma must be'],
    ['sparseCategoricalCrossentropy', { ignoreIndex: 0.5 }, 'ignoreIndex must be an integer'],
    ['sparseCategoricalFocalCrossentropy', { alpha: [1, -2] }, 'alpha[1] must be'],
    ['poisson', { logInput: 1 }, 'logInput must be true or false, got 1'],
    ['gaussianNegativeLogLikelihood', { epsilon: -1 }, 'epsilon must be'],
    ['quantile', { quantile: 1 }, 'quantiles must lie between 0 and 1, got 1'],
    ['quantile', { quantile: [] }, 'empty array'],
    ['triplet', { margin: 'hard' }, 'margin must be a number or "soft", got "hard"'],
    ['contrastive', { margin: 0 }, 'margin must be'],
  ]
  it.each(refusals)('%s refuses %j', async (name, options, message) => {
    await expectRefusal(() => (losses[name] as (options: unknown) => unknown)(options), 'ERR_OPTION', message)
  })

  const misfits: [loss: Loss, shape: number[], y: number[] | number[][], code: string, message: string][] = [
    [
      losses.sparseCategoricalCrossentropy({ classWeights: [1, 2] }),
      [3],
      [0],
      'ERR_OPTION',
      'classWeights needs one number for each of the 3 entries',
    ],
    [
      losses.binaryCrossentropy({ positiveWeight: [1, 2] }),
      [3],
      [[0, 0, 1]],
      'ERR_OPTION',
      'positiveWeight needs one number for each of the 3',
    ],
    [losses.quantile({ quantile: [0.1, 0.9] }), [3], [[0]], 'ERR_OPTION', 'quantile needs one number for each of the 3'],
    [losses.gaussianNegativeLogLikelihood(), [3], [[0]], 'ERR_OPTION', 'shape [batch, …, 2k]'],
    [losses.triplet(), [3, 2], [0], 'ERR_OPTION', 'shape [batch, features], got [batch, 3, 2]'],
    [losses.cosineSimilarity(), [], [0], 'ERR_OPTION', 'shape [batch, …, features], got [batch]'],
    [losses.sparseCategoricalCrossentropy(), [3], [-100], 'ERR_DATA', 'losses.sparseCategoricalCrossentropy({ ignoreIndex })'],
    [losses.sparseCategoricalCrossentropy({ ignoreIndex: -1 }), [3], [-100], 'ERR_DATA', 'class numbers of 0 … 2, got -100'],
    [losses.hinge(), [1], [[2]], 'ERR_DATA', 'targets of 1 and -1, or of 1 and 0, got 2'],
    [losses.poisson(), [1], [[-2]], 'ERR_DATA', 'numbers of at least 0, got -2'],
  ]
  it.each(misfits.map((misfit) => [misfit[0].name, misfit[1], misfit] as const))(
    '%s of an output [batch, %j] refuses what does not fit',
    async (_, __, misfit) => {
      const [loss, shape, y, code, message] = misfit
      const net = sequential([input(shape), (x: Tensor) => add(x, 1)])
      const size = shape.reduce((a, b) => a * b, 1)
      await expectRefusal(() => net.evaluate({ x: new Float32Array(size), y }, { loss }), code, message)
    },
  )

  it('a loss of your own has the members of a regression, unless it brings its own', async () => {
    const net = sequential([input(2), (x: Tensor) => add(x, 0)])
    const first = { name: 'first', compute: (x: Tensor, t: Tensor) => sum(subtract(x, t), { axes: [1] }) }
    const data = {
      x: [
        [1, 2],
        [3, 4],
      ],
      y: [
        [0, 1],
        [1, 1],
      ],
    }
    expect((await net.evaluate(data, { loss: first })).loss).toBe(3.5)
    expect((await net.evaluate(data, { loss: { ...first, reduction: 'sum' } })).loss).toBe(7)
    expect((await net.evaluate(data, { loss: { ...first, range: undefined, target: undefined } })).loss).toBe(3.5)
    await expectRefusal(
      () => net.evaluate(data, { loss: { ...first, reduction: 'none' as never } }),
      'ERR_OPTION',
      'reduction of loss "first"',
    )
    const inherited = Object.create(first)
    await expectRefusal(() => net.evaluate(data, { loss: inherited }), 'ERR_OPTION', 'must be a plain object')
  })

  it('a factory that was not called is refused', async () => {
    const net = sequential([input(1), (x: Tensor) => add(x, 1)])
    await expectRefusal(() => net.evaluate({ x: [1], y: [1] }, { loss: losses.huber as never }), 'ERR_OPTION', 'call it: losses.huber()')
  })
})

describe('targets that do not fit', () => {
  it('binaryCrossentropy of two columns says what to do with 0 and 1', async () => {
    const net = sequential([input(1), dense(2)])
    const call = () => net.evaluate({ x: [[1], [2]], y: [0, 1] }, { loss: 'binaryCrossentropy' })
    await expectRefusal(call, 'ERR_DATA', 'use "sparseCategoricalCrossentropy", or end the model with one number for 0 and 1, dense(1).')
  })
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
