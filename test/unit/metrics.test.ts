/** Metrics: exact whatever the batches, a smaller last one included. */
import { describe, expect, it } from 'vitest'
import {
  activation,
  add,
  dense,
  input,
  type LossName,
  type Metric,
  type MetricName,
  sequential,
  subtract,
  sum,
  type Tensor,
} from '../../src/index.ts'
import { executors, expectRefusal, numbers, rows } from '../training/support.ts'

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
  const labels = numbers(count, 4, 0, width).map(Math.floor)
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
    const metrics = ['r2Score', 'meanAbsoluteError'] as const
    const { epochs } = await net.fit(
      { x, y },
      { loss: 'meanSquaredError', metrics, validationData: { x: y, y: x }, batchSize: 8, epochs: 2 },
    )
    for (const values of epochs) {
      expect(Object.keys(values)).toEqual(['loss', ...metrics, 'validationLoss', 'validationR2Score', 'validationMeanAbsoluteError'])
    }
    const after = await net.evaluate({ x: y, y: x }, { loss: 'meanSquaredError', metrics })
    expect(after).toEqual({
      loss: epochs[1].validationLoss,
      r2Score: epochs[1].validationR2Score,
      meanAbsoluteError: epochs[1].validationMeanAbsoluteError,
    })
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

it.each([
  ['accuracy', 'meanSquaredError', 'is for classification'],
  ['meanAbsoluteError', 'sparseCategoricalCrossentropy', 'class numbers'],
  ['rootMeanSquaredError', 'sparseCategoricalCrossentropy', 'class numbers'],
  ['r2Score', 'sparseCategoricalCrossentropy', 'class numbers'],
] as const)('%s refuses the targets of %s', async (metric, loss, message) => {
  const net = sequential([input(width), activation('linear')])
  await expectRefusal(() => net.evaluate({ x, y }, { loss, metrics: [metric] }), 'ERR_OPTION', `Metric "${metric}"`, `"${loss}"`, message)
})
