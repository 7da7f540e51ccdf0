/** Metrics: exact whatever the batches, a smaller last one included. */
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import {
  abs,
  activation,
  add,
  balancedClassWeights,
  calibrationCurve,
  classificationReport,
  confusionMatrix,
  dense,
  input,
  type LossName,
  log,
  type Metric,
  type MetricName,
  mean,
  metrics,
  NdArray,
  negate,
  precisionRecallCurve,
  rocCurve,
  score,
  sequential,
  subtract,
  sum,
  type Tensor,
} from '../../../src/index.ts'
import { lossFor } from '../../../src/nn/losses/index.ts'
import { executors, expectRefusal, numbers, rows } from '../../training/support.ts'

const count = 37
const width = 3
const x = rows(count, width, 1, -2, 2)
const y = rows(count, width, 2, -2, 2)
const errors = x.map((row, i) => row.map((value, j) => value - y[i][j]))
const average = (values: readonly number[]) => values.reduce((total, value) => total + value, 0) / values.length
const largest = (row: readonly number[]) => row.indexOf(Math.max(...row))

function r2(column: number): number {
  const targets = y.map((row) => row[column])
  const center = average(targets)
  const residual = average(errors.map((row) => row[column] ** 2))
  return 1 - residual / average(targets.map((value) => (value - center) ** 2))
}

const numeric: Partial<Record<MetricName, number>> = {
  meanAbsoluteError: average(errors.flat().map(Math.abs)),
  rootMeanSquaredError: Math.sqrt(average(errors.flat().map((error) => error ** 2))),
  r2Score: average([r2(0), r2(1), r2(2)]),
}

const labels = numbers(count, 4, 0, width).map(Math.floor)

/** The batch sizes: one sample, remainders of 1, 2 and 5, the whole, more than the whole. */
const batchSizes = [1, 4, 7, 16, 36, count, 100]

describe.each(executors)('on the %s executor', (executor) => {
  const identity = () => sequential([input(width), activation('linear')], { executor })

  it.each(Object.entries(numeric))('%s over batches of any size is that of the whole', async (name, expected) => {
    for (const batchSize of batchSizes) {
      const found = await identity().evaluate({ x, y }, { loss: 'meanSquaredError', metrics: [name as MetricName], batchSize })
      expect(Object.keys(found)).toEqual(['loss', name])
      expect(Math.abs(found[name] - expected), `batches of ${batchSize}`).toBeLessThan(1e-6)
    }
  })

  const probabilities = rows(count, width, 3, 0, 1)
  const truths = rows(count, width, 5, 0, 1).map((row) => row.map(Math.round))
  const cases: [LossName, number[] | number[][], number][] = [
    ['sparseCategoricalCrossentropy', labels, average(x.map((row, i) => (largest(row) === labels[i] ? 1 : 0)))],
    ['categoricalCrossentropy', probabilities, average(x.map((row, i) => (largest(row) === largest(probabilities[i]) ? 1 : 0)))],
    ['binaryCrossentropy', truths, average(x.flatMap((row, i) => row.map((logit, j) => (logit > 0 === truths[i][j] > 0.5 ? 1 : 0))))],
  ]
  it.each(cases)('accuracy for %s is the share of right answers', async (loss, targets, expected) => {
    expect(expected).toBeGreaterThan(0)
    expect(expected).toBeLessThan(1)
    for (const batchSize of batchSizes) {
      const { accuracy } = await identity().evaluate({ x, y: targets }, { loss, metrics: ['accuracy'], batchSize })
      expect(Math.abs(accuracy - expected), `batches of ${batchSize}`).toBeLessThan(1e-7)
    }
  })

  it('are measured in training and in validation', async () => {
    const net = sequential([input(width), dense(width)], { executor, seed: 1 })
    const metrics = ['r2Score', 'meanAbsoluteError', 'spearmanCorrelation', 'medianAbsoluteError'] as const
    const { epochs } = await net.fit(
      { x, y },
      { loss: 'meanSquaredError', metrics, validationData: { x: y, y: x }, batchSize: 8, epochs: 2 },
    )
    for (const values of epochs) {
      const validation = ['Loss', 'R2Score', 'MeanAbsoluteError', 'SpearmanCorrelation', 'MedianAbsoluteError']
      expect(Object.keys(values)).toEqual(['loss', ...metrics, ...validation.map((name) => `validation${name}`)])
    }
    const after = await net.evaluate({ x: y, y: x }, { loss: 'meanSquaredError', metrics })
    expect(after).toEqual({
      loss: epochs[1].validationLoss,
      r2Score: epochs[1].validationR2Score,
      meanAbsoluteError: epochs[1].validationMeanAbsoluteError,
      spearmanCorrelation: epochs[1].validationSpearmanCorrelation,
      medianAbsoluteError: epochs[1].validationMedianAbsoluteError,
    })
  })

  it('of scores are the same of epochs that run together', async () => {
    const options = { loss: 'binaryCrossentropy', metrics: ['rocAuc', 'f1'], batchSize: 4, epochs: 30 } as const
    const data = { x: x.slice(0, 36), y: truths.slice(0, 36) }
    const make = () => sequential([input(width), dense(width)], { executor, seed: 2 })
    const together = await make().fit(data, options)
    const apart = await make().fit(data, { ...options, onEpochEnd: () => {} })
    expect(together.epochs).toEqual(apart.epochs)
    expect(together.epochs[29].rocAuc).toBeGreaterThan(together.epochs[0].rocAuc)
  })

  it('may be made by the user', async () => {
    // The largest error of all: of each batch, then of all batches.
    const worst: Metric = {
      name: 'worst',
      batch: (prediction, target) => [subtract(prediction, target), sum(add(prediction, target))],
      result: (batches) => Math.max(...batches.flatMap(({ values: [differences] }) => Array.from(differences, Math.abs))),
    }
    const expected = Math.max(...errors.flat().map(Math.abs))
    for (const batchSize of [1, 16, count]) {
      const found = await identity().evaluate({ x, y }, { loss: 'meanSquaredError', metrics: ['r2Score', worst], batchSize })
      expect(Math.abs(found.worst - expected)).toBeLessThan(1e-6)
    }
  })
})

it('r2Score is 1 for a perfect prediction, 0 for the mean, and keeps its digits far from 0', async () => {
  const net = sequential([input(1), (t: Tensor) => add(t, 0)])
  // Here float32 knows halves only, so the mean of a batch is rounded by up to a quarter.
  const far = Float32Array.from({ length: 40 }, (_, i) => 2 ** 22 + (i % 5))
  const score = async (prediction: ArrayLike<number>, batchSize: number) =>
    (await net.evaluate({ x: Float32Array.from(prediction), y: far }, { loss: 'meanSquaredError', metrics: ['r2Score'], batchSize }))
      .r2Score
  for (const batchSize of [3, 40]) {
    expect(await score(far, batchSize)).toBe(1)
    expect(
      Math.abs(
        await score(
          far.map(() => 2 ** 22 + 2),
          batchSize,
        ),
      ),
    ).toBeLessThan(1e-6)
    // Squares of deviations are 2 on average; an error of 1 everywhere leaves 1 - 1/2.
    expect(
      Math.abs(
        (await score(
          far.map((value) => value + 1),
          batchSize,
        )) - 0.5,
      ),
    ).toBeLessThan(1e-6)
  }
})

describe('where a metric is not defined', () => {
  const undefinedOf: [string, MetricName, number[], number[], 'binary' | 'regression', number][] = [
    ['nothing is true', 'precision', [-1, -2], [0, 0], 'binary', 0],
    ['nothing is true', 'recall', [-1, -2], [0, 0], 'binary', 0],
    ['nothing is true', 'f1', [-1, -2], [0, 0], 'binary', 0],
    ['nothing is true', 'prAuc', [-1, -2], [0, 0], 'binary', 0],
    ['nothing is true', 'rocAuc', [-1, -2], [0, 0], 'binary', Number.NaN],
    ['all is true', 'rocAuc', [-1, -2], [1, 1], 'binary', Number.NaN],
    ['all is true', 'specificity', [1, 2], [1, 1], 'binary', 0],
    ['one class is predicted', 'matthewsCorrelation', [1, 2], [0, 1], 'binary', 0],
    ['one class is all there is', 'cohenKappa', [1, 2], [1, 1], 'binary', Number.NaN],
    // 0.1 is no float32: its mean, taken carelessly, would not be 0.1, and the score -1e16.
    ['the target is constant', 'r2Score', [1, 2, 4], [0.1, 0.1, 0.1], 'regression', 0],
    ['the target is constant and met', 'r2Score', [0.1, 0.1, 0.1], [0.1, 0.1, 0.1], 'regression', 1],
    ['the target is constant', 'explainedVariance', [1, 2, 4], [0.1, 0.1, 0.1], 'regression', 0],
    ['the target is constant', 'pearsonCorrelation', [1, 2, 4], [0.1, 0.1, 0.1], 'regression', Number.NaN],
    ['the target is constant', 'spearmanCorrelation', [1, 2, 4], [0.1, 0.1, 0.1], 'regression', Number.NaN],
    ['there is one sample', 'r2Score', [1], [2], 'regression', Number.NaN],
  ]
  it.each(undefinedOf)('because %s, %s of %j and %j (%s) is %d', (_, metric, prediction, target, task, expected) => {
    expect(score(metric, prediction, target, { task })).toBe(expected)
  })

  it.each(Object.keys(metrics) as MetricName[])('%s of a model that predicts NaN is NaN, or what chance gives, and ends', async (name) => {
    const net = sequential([input(width), (t: Tensor) => add(t, log(negate(abs(t))))])
    const isOfNumbers = ofNumbers.includes(name)
    const metric = name === 'topKAccuracy' ? metrics.topKAccuracy({ k: 2 }) : name
    const given = isOfNumbers ? { loss: 'meanSquaredError' as const, y } : { loss: 'sparseCategoricalCrossentropy' as const, y: labels }
    const found = await net.evaluate({ x, y: given.y }, { loss: given.loss, metrics: [metric] })
    // NaN is a class number of 0 or a value above nothing: decisions are made from it all the same.
    if (isOfNumbers || ['rocAuc', 'prAuc', 'logLoss', 'brierScore', 'calibrationError'].includes(name)) expect(found[name]).toBeNaN()
    else expect(Object.keys(found)).toContain(name)
  })
})

it('a class that a logit of -Infinity rules out is no hit for topKAccuracy, nor are the others because of it', async () => {
  const net = sequential([input(3), (p: Tensor) => log(p)])
  const data = {
    x: [
      [0, 0.9, 0.1],
      [0, 0.1, 0.9],
      [0, 0.3, 0.7],
    ],
    y: [1, 1, 0],
  }
  const sparse = { loss: 'sparseCategoricalCrossentropy' as const, metrics: [metrics.topKAccuracy({ k: 1 })] }
  expect((await net.evaluate(data, sparse)).topKAccuracy).toBeCloseTo(1 / 3, 6)
})

it.each(Object.keys(metrics) as MetricName[])('%s says which direction is better, and takes another name', (kind) => {
  const metric = metrics[kind]({ name: 'mine' })
  expect(metric.name).toBe('mine')
  const lessIsBetter = /error|loss|brier/i.test(kind)
  expect(metric.mode).toBe(lessIsBetter ? 'min' : 'max')
})

it('two metrics of one kind may be reported under two names', async () => {
  const net = sequential([input(width), activation('linear')])
  const found = await net.evaluate(
    { x, y: labels },
    {
      loss: 'sparseCategoricalCrossentropy',
      metrics: ['precision', ...[0, 1, 2].map((k) => metrics.precision({ average: k, name: `precisionOf${k}` }))],
    },
  )
  expect(found.precision).toBeCloseTo((found.precisionOf0 + found.precisionOf1 + found.precisionOf2) / 3, 12)
})

it('a metric of your own without a number, or that throws, is named', async () => {
  const failing = (result: () => unknown) => ({ name: 'mine', batch: (p: Tensor) => [mean(p)], result: result as () => number })
  const cause = new Error('no more')
  const throwing = failing(() => {
    throw cause
  })
  const net = sequential([input(width), activation('linear')])
  const none = 'result of metric "mine" must return a number, NaN where there is none, got undefined'
  const options = { loss: 'meanSquaredError', metrics: [failing(() => undefined)] } as const
  await expectRefusal(() => net.evaluate({ x, y }, options), 'ERR_OPTION', `evaluate: ${none}`)
  await expectRefusal(
    () =>
      score(
        failing(() => undefined),
        [1],
        [1],
      ),
    'ERR_OPTION',
    `score: ${none}`,
  )
  await expectRefusal(() => score(throwing, [1], [1]), 'ERR_OPTION', 'score: result of metric "mine" failed: no more')
  expect(() => score(throwing, [1], [1])).toThrow(expect.objectContaining({ cause }))
  expect(
    score(
      failing(() => Number.NaN),
      [1],
      [1],
    ),
  ).toBeNaN()
})

describe('topKAccuracy', () => {
  it('counts ties at the border as chance would break them', () => {
    const top = (k: number, logits: number[], label: number) => score(metrics.topKAccuracy({ k }), [logits], [label], { task: 'sparse' })
    expect([1, 2, 3].map((k) => top(k, [0, 0, 0, 0], 2))).toEqual([0.25, 0.5, 0.75])
    expect([1, 2, 3].map((k) => top(k, [5, 1, 1, 0], 2))).toEqual([0, 0.5, 1])
    expect([1, 2, 3].map((k) => top(k, [5, 1, 1, 0], 3))).toEqual([0, 0, 0])
  })
})

it('a metric of sums divided by all samples is exact, whatever the batches', async () => {
  const bias: Metric = {
    name: 'bias',
    batch: (prediction, target) => [sum(subtract(prediction, target))],
    result: (batches) => {
      const total = batches.reduce((so, { values }) => so + values[0][0], 0)
      return total / batches.reduce((so, { samples }) => so + samples, 0)
    },
  }
  const net = sequential([input(1), (t: Tensor) => t])
  const given = { x: [1, 2, 3, 4, 15].map((value) => [value]), y: [0, 0, 0, 0, 0] }
  for (const batchSize of [2, 4, 5])
    expect((await net.evaluate(given, { loss: 'meanSquaredError', metrics: [bias], batchSize })).bias).toBe(5)
})

describe('score', () => {
  it('is what evaluate reports', async () => {
    const net = sequential([input(width), activation('linear')])
    for (const name of ['r2Score', 'medianAbsoluteError', 'spearmanCorrelation'] as const) {
      const found = await net.evaluate({ x, y }, { loss: 'meanSquaredError', metrics: [name] })
      expect(score(name, x, y)).toBe(found[name])
    }
    const { rocAuc } = await net.evaluate({ x, y: labels }, { loss: 'sparseCategoricalCrossentropy', metrics: ['rocAuc'] })
    expect(score('rocAuc', x, labels, { task: 'sparse' })).toBe(rocAuc)
    expect(score('rocAuc', new NdArray(Float32Array.from(x.flat()), [count, width]), labels, { task: 'sparse' })).toBe(rocAuc)
  })

  it('takes probabilities for what the logits stand for', () => {
    const p = [0.2, 0.6, 0.4, 0.9, 0.45, 0]
    const yes = [0, 1, 1, 1, 0, 0]
    const ofTask = { task: 'binary', probabilities: true } as const
    // Above 0.5 lie the second and the fourth; taken for logits all but the last would.
    expect(score('accuracy', p, yes, ofTask)).toBe(5 / 6)
    expect(score('accuracy', Float32Array.from(p), yes, ofTask)).toBe(5 / 6)
    expect(score(metrics.recall({ threshold: 0.3 }), p, yes, ofTask)).toBe(1)
    const squares = p.reduce((total, value, i) => total + (value - yes[i]) ** 2, 0) / 6
    expect(score('brierScore', p, yes, ofTask)).toBeCloseTo(squares, 6)
    // In float32 these two are 1.
    expect(score('rocAuc', [1 - 1e-10, 1 - 1e-12], [0, 1], ofTask)).toBe(1)
    const rows = [
      [0.1, 0.9],
      [0.8, 0.2],
      [1, 0],
    ]
    const logLoss = -(Math.log(0.9) + Math.log(0.8)) / 3
    expect(score('logLoss', rows, [1, 0, 0], { task: 'sparse', probabilities: true })).toBeCloseTo(logLoss, 6)
    expect(
      score(
        'accuracy',
        rows,
        [
          [0, 1],
          [1, 0],
          [0, 1],
        ],
        { task: 'categorical', probabilities: true },
      ),
    ).toBeCloseTo(2 / 3, 6)
  })

  it.each([
    ['of another number of targets', () => score('r2Score', [1, 2], [1]), 'ERR_DATA', ['2 samples', 'target has 1']],
    ['of no known task', () => score('f1', [1], [1], { task: 'multi' as 'binary' }), 'ERR_OPTION', ['task "multi"', 'binary, categorical']],
    ['of no known metric', () => score('f2' as 'f1', [1], [1]), 'ERR_OPTION', ['metric "f2" for score', 'did you mean "f1"']],
    ['of logits without rows', () => score('f1', new Float32Array(4), [1, 0], { task: 'sparse' }), 'ERR_OPTION', ['new NdArray(logits']],
    [
      'that does not fit',
      () => score('rocAuc', [1, 2], [1, 0]),
      'ERR_OPTION',
      ['score: metric "rocAuc" does not fit task "regression"', '{ task: "binary" }', 'rows of logits and class numbers'],
    ],
    [
      'that does not fit two classes',
      () => score(metrics.topKAccuracy({ k: 2 }), [1, 2], [1, 0], { task: 'binary' }),
      'ERR_OPTION',
      ['does not fit task "binary"', 'for rows of logits use { task: "categorical" }'],
    ],
    [
      'of one logit in place of a row',
      () => score('accuracy', [1, 2], [1, 0], { task: 'sparse' }),
      'ERR_DATA',
      ['rows of logits, one for each of at least 2 classes, got data of shape [2]', '{ task: "binary" }'],
    ],
    [
      'of probabilities without a task',
      () => score('accuracy', [1, 0], [1, 0], { probabilities: true }),
      'ERR_OPTION',
      ['say which', '"categorical" or "sparse"'],
    ],
    [
      'of logits given as probabilities',
      () => score('accuracy', [0.5, -2], [1, 0], { task: 'binary', probabilities: true }),
      'ERR_DATA',
      ['probabilities of 0 … 1, got -2 at index 1; leave the option probabilities out'],
    ],
    [
      'of rows that have another sum',
      () =>
        score(
          'accuracy',
          [
            [0.5, 0.5],
            [0.5, 0.25],
          ],
          [1, 0],
          { task: 'sparse', probabilities: true },
        ),
      'ERR_DATA',
      ['the sum 1, got 0.75 in row 1'],
    ],
    ['of no class', () => score('f1', [[1, 2]], [2], { task: 'sparse' }), 'ERR_DATA', ['0 … 1', 'got 2']],
    ['of an unknown option', () => score('f1', [1], [1], { tsk: 'binary' } as object), 'ERR_OPTION', ['did you mean "task"']],
  ] as const)('is refused %s', async (_, call, code, parts) => {
    await expectRefusal(call, code, ...parts)
  })
})

const ofNumbers: readonly string[] = [
  'meanAbsoluteError',
  'meanSquaredError',
  'rootMeanSquaredError',
  'meanAbsolutePercentageError',
  'medianAbsoluteError',
  'maxError',
  'r2Score',
  'explainedVariance',
  'pearsonCorrelation',
  'spearmanCorrelation',
]

describe('refuses what does not fit', () => {
  const evaluate = (metric: MetricName | Metric, loss: LossName, target: number[] | number[][] = y) => {
    const net = sequential([input(width), activation('linear')])
    return net.evaluate({ x, y: target }, { loss, metrics: [metric] })
  }

  it.each(Object.keys(metrics) as MetricName[])('%s, the losses of other tasks', async (name) => {
    const isOfNumbers = ofNumbers.includes(name)
    for (const loss of isOfNumbers ? (['binaryCrossentropy', 'sparseCategoricalCrossentropy'] as const) : (['meanSquaredError'] as const))
      await expectRefusal(
        () => evaluate(name, loss),
        'ERR_OPTION',
        `Metric "${name}"`,
        `"${loss}"`,
        isOfNumbers ? 'compares numbers' : 'is for classification',
      )
  })

  it.each([
    [
      'a threshold between classes',
      metrics.recall({ threshold: 0.3 }),
      'sparseCategoricalCrossentropy',
      ['threshold is for binary losses'],
    ],
    ['the best 5 of 3', metrics.topKAccuracy(), 'sparseCategoricalCrossentropy', ['k must be less than', 'got 5 of 3; try 2']],
    ['the best 2 of yes and no', metrics.topKAccuracy({ k: 2 }), 'binaryCrossentropy', ['is binary; try accuracy']],
    ['class 3 of 3', metrics.f1({ average: 3 }), 'sparseCategoricalCrossentropy', ['class number of 0 … 2, got 3', '3 classes']],
    ['column 3 of 3', metrics.f1({ average: 3 }), 'binaryCrossentropy', ['0 … 2, got 3', '3 columns']],
  ] as const)('%s', async (_, metric, loss, parts) => {
    await expectRefusal(() => evaluate(metric, loss), 'ERR_OPTION', `Metric "${metric.name}"`, ...parts)
  })

  it('a loss without probabilities, and one whose masks it cannot see', async () => {
    const [logits, truths] = [input([2, 3]), input([2, 3])]
    const loss = { ...lossFor('test', 'binaryCrossentropy'), probabilities: undefined }
    for (const metric of [metrics.logLoss(), metrics.brierScore(), metrics.calibrationError(), metrics.accuracy({ threshold: 0.3 })])
      await expectRefusal(() => metric.batch(logits, truths, loss), 'ERR_OPTION', `Metric "${metric.name}" needs probabilities`)
    const masking = { ...loss, counts: () => input([]) }
    await expectRefusal(
      () => metrics.accuracy().batch(logits, truths, masking),
      'ERR_OPTION',
      '[batch, 2, 3]',
      'no more than [batch]',
      'mask(prediction, target)',
    )
    await expectRefusal(
      () => metrics.maxError().batch(input(2), input(1), lossFor('test', 'meanSquaredError')),
      'ERR_OPTION',
      '[batch, 2]',
      '[batch, 1]',
    )
  })

  // biome-ignore lint/suspicious/noExplicitAny: what a caller without types can do.
  const any = metrics as any
  it.each([
    ['an unknown option', () => any.f1({ avrage: 'micro' }), 'option "avrage" for f1; did you mean "average"?'],
    ['beta without its name', () => any.fBeta(2), 'fBeta: options must be an object, got 2'],
    ['beta for f1', () => any.f1({ beta: 2 }), 'option "beta" for f1'],
    ['an unknown average', () => any.recall({ average: 'mikro' }), 'average "mikro" for recall; did you mean "micro"?'],
    ['a negative class', () => any.recall({ average: -1 }), 'average must be one of macro, micro, weighted, or a class number, got -1'],
    ['micro areas', () => any.rocAuc({ average: 'micro' }), 'average "micro" for rocAuc; did you mean "macro"?'],
    ['unknown weights', () => any.cohenKappa({ weights: 'square' }), 'weights "square" for cohenKappa'],
    [
      'a threshold of 1',
      () => any.precision({ threshold: 1 }),
      'precision: threshold must be a probability of 0 … 1 (both excluded), got 1',
    ],
    ['beta of 0', () => any.fBeta({ beta: 0 }), 'fBeta: beta must be a number above 0, got 0'],
    ['half a bin', () => any.calibrationError({ bins: 0.5 }), 'calibrationError: bins must be an integer of at least 1, got 0.5'],
    ['a name that is none', () => any.maxError({ name: '' }), 'maxError: name must be a string that is not empty'],
    ['k of 0', () => any.topKAccuracy({ k: 0 }), 'k must be an integer of at least 1, got 0'],
  ])('%s', async (_, call, message) => {
    await expectRefusal(call, 'ERR_OPTION', message)
  })

  it.each<[what: string, batch: unknown, got: string]>([
    ['no array', (p: Tensor) => p, 'a value of type Tensor'],
    ['numbers', () => [5], 'one of 5'],
    ['a promise', async () => [], 'a value of type Promise'],
    ['nothing', () => undefined, 'undefined'],
  ])('a metric of your own whose batch returns %s', async (_, batch, got) => {
    const own = { name: 'own', batch, result: () => 0 } as Metric
    const message = `batch of metric "own" must return an array of symbolic tensors, such as [sum(x)], got ${got}`
    await expectRefusal(() => score(own, [1], [2]), 'ERR_OPTION', `score: ${message}`)
    const fitting = () => sequential([input(1), dense(1)]).fit({ x: [1], y: [2] }, { loss: 'meanSquaredError', metrics: [own] })
    await expectRefusal(fitting, 'ERR_OPTION', `fit: ${message}`)
  })

  it.each([
    ['labels between', () => rocCurve([1, 2], [0, 0.5]), 'rocCurve: labels must be 0 and 1', 'got 0.5 at index 1'],
    ['fewer labels', () => precisionRecallCurve([1, 2], [0]), 'scores and labels must be equally many, got 2 and 1'],
    ['no scores', () => rocCurve([], []), 'got no numbers at all'],
    ['NaN for a score', () => rocCurve([1, Number.NaN], [0, 1]), 'scores: expected finite numbers, got NaN at index 1'],
    ['logits for probabilities', () => calibrationCurve([1, 2], [0, 1]), '0 … 1, got 2 at index 1', 'sigmoid'],
    ['half a class', () => confusionMatrix([0.5], [1]), 'confusionMatrix: predicted must be class numbers', 'got 0.5 at index 0'],
    ['identifiers for classes', () => confusionMatrix([0, 1e9], [0, 1]), 'at most 16384 classes, got 1000000001', 'without gaps'],
    ['identifiers in a report', () => classificationReport([0, 1e10], [0, 1]), 'at most 1048576 classes, got 10000000001'],
    ['class 2 of 2', () => confusionMatrix([0, 1], [2, 1], { classes: 2 }), 'actual must be class numbers of 0 … 1, got 2'],
    ['fewer names than classes', () => classificationReport([0, 1], [2, 1], { names: ['a', 'b'] }), 'got 2 at index 0'],
    ['weights of no labels', () => balancedClassWeights([]), 'got no data at all'],
    ['weights of half a label', () => balancedClassWeights([0, 0.5]), 'got 0.5 at row 1'],
    ['weights of two labels a row', () => balancedClassWeights([[1, 1]]), 'single 1 and zeros, got [1, 1] at row 0'],
  ])('%s', async (_, call, ...parts) => {
    await expectRefusal(call, 'ERR_DATA', ...(parts as string[]))
  })
})

it('classificationReport is a table as text', () => {
  const report = classificationReport([0, 2, 1, 2, 2, 0], [0, 1, 1, 2, 2, 2], { names: ['fish', 'flesh', 'fowl'] })
  expect(`\n${report}\n`).toBe(`
                  precision  recall     f1  support
fish                  0.500   1.000  0.667        1
flesh                 1.000   0.500  0.667        2
fowl                  0.667   0.667  0.667        3
accuracy                             0.667        6
macro average         0.722   0.722  0.667        6
weighted average      0.750   0.667  0.667        6
`)
  expect(inspect(report)).toBe(String(report))
})

it('a confusion matrix and a report take the largest of rows of scores', async () => {
  const scores = [
    [2, 1, 0],
    [0, -1, 3],
    [0, 5, 4],
  ]
  expect(confusionMatrix(scores, [0, 1, 1], { classes: 3 })).toEqual(confusionMatrix([0, 2, 1], [0, 1, 1], { classes: 3 }))
  const array = new NdArray(Float32Array.from(scores.flat()), [3, 3])
  expect(String(classificationReport(array, [[0], [1], [1]]))).toBe(String(classificationReport([0, 2, 1], [0, 1, 1])))
  // As many class numbers as true ones are no scores, whatever their shape.
  const labels = [
    [0, 1],
    [1, 1],
  ]
  expect(confusionMatrix(labels, labels)).toEqual(confusionMatrix(labels.flat(), labels.flat()))
  await expectRefusal(() => confusionMatrix([[0, Number.NaN]], [1]), 'ERR_DATA', 'predicted: expected finite numbers, got NaN')
  await expectRefusal(() => confusionMatrix([[0.7], [-1]], [1, 0]), 'ERR_DATA', 'got 0.7 at index 0', 'take predictions.classes()')
})
