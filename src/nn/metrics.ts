/**
 * Metrics, exact over batches of any size: a plan computes small statistics of each batch, and the metric joins
 * them in double precision.
 */
import { describe, type Hints, OptionError, unknownName } from '../errors.ts'
import type { Tensor } from '../graph/tensor.ts'
import { abs, square, subtract } from '../ops/elementwise.ts'
import { mean, sum } from '../ops/reduce.ts'
import type { Loss } from './losses.ts'

/** The statistics of one batch: its size, and the values of each tensor the metric asked for. */
export interface BatchStatistics {
  readonly samples: number
  readonly values: readonly (readonly number[])[]
}

/** A metric: statistics that a plan computes of each batch, and how those of all batches become one number. */
export interface Metric {
  readonly name: string
  /** Whether less or more is better; default "min". */
  readonly mode?: 'min' | 'max'
  /** Small tensors computed from each batch. */
  batch(prediction: Tensor, target: Tensor, loss: Loss): readonly Tensor[]
  /** The metric over all batches. */
  result(batches: readonly BatchStatistics[]): number
}

/** Σ samples · value / Σ samples over the first statistic: the mean over samples of a mean over each batch. */
function weightedMean(batches: readonly BatchStatistics[]): number {
  let total = 0
  let samples = 0
  for (const batch of batches) {
    total += batch.samples * batch.values[0][0]
    samples += batch.samples
  }
  return total / samples
}

/** The share of samples classified correctly: the largest logit (or, for binaryCrossentropy, the logit's sign) agrees with the target. */
const accuracy: Metric = {
  name: 'accuracy',
  mode: 'max',
  batch: (prediction, target, loss) => {
    if (loss.correct === undefined)
      throw new OptionError(
        `Metric "accuracy" is for classification, loss "${loss.name}" is not; try meanAbsoluteError, rootMeanSquaredError or r2Score.`,
      )
    // Counts, not shares: a count of samples is exact in float32.
    const correct = sum(loss.correct(prediction, target))
    return loss.counts === undefined ? [correct] : [correct, sum(loss.counts(prediction, target))]
  },
  result: (batches) => {
    const total = (values: readonly number[]) => values.reduce((a, b) => a + b, 0)
    return total(batches.map(({ values }) => values[0][0])) / total(batches.map(({ samples, values }) => values[1]?.[0] ?? samples))
  },
}

/** prediction - target, where the targets are numbers and not the numbers of classes. */
function difference(metric: string, prediction: Tensor, target: Tensor, loss: Loss): Tensor {
  if (target.dtype !== 'float32')
    throw new OptionError(`Metric "${metric}" compares numbers, but the targets of loss "${loss.name}" are class numbers; try accuracy.`)
  return subtract(prediction, target)
}

/** The mean of |prediction - target|. */
const meanAbsoluteError: Metric = {
  name: 'meanAbsoluteError',
  batch: (prediction, target, loss) => [mean(abs(difference('meanAbsoluteError', prediction, target, loss)))],
  result: weightedMean,
}

/** The square root of the mean of (prediction - target)². */
const rootMeanSquaredError: Metric = {
  name: 'rootMeanSquaredError',
  batch: (prediction, target, loss) => [mean(square(difference('rootMeanSquaredError', prediction, target, loss)))],
  result: (batches) => Math.sqrt(weightedMean(batches)),
}

/**
 * The coefficient of determination, 1 - Σ (target - prediction)² / Σ (target - mean target)², for each output, averaged over outputs.
 * Squared deviations of batches are joined by the formula of Chan, Golub and LeVeque (1979).
 */
const r2Score: Metric = {
  name: 'r2Score',
  mode: 'max',
  batch: (prediction, target, loss) => {
    const residual = difference('r2Score', prediction, target, loss)
    const center = mean(target, { axes: [0] })
    // The mean is rounded to float32; what is left of it is measured too, for targets far from 0.
    const deviation = subtract(target, center)
    return [square(residual), target, deviation, square(deviation)].map((values) => mean(values, { axes: [0] }))
  },
  result: (batches) => {
    const outputs = batches[0].values[0].length
    let total = 0
    for (let i = 0; i < outputs; i++) {
      let [samples, residual, center, deviation] = [0, 0, 0, 0]
      for (const batch of batches) {
        const [error, rounded, rest, squares] = batch.values.map((values) => values[i])
        const joined = samples + batch.samples
        const delta = rounded + rest - center
        deviation += batch.samples * (squares - rest * rest) + (delta * delta * samples * batch.samples) / joined
        center += (delta * batch.samples) / joined
        residual += batch.samples * error
        samples = joined
      }
      total += 1 - residual / deviation
    }
    return total / outputs
  },
}

const named = { accuracy, meanAbsoluteError, rootMeanSquaredError, r2Score }

export type MetricName = keyof typeof named

export const metricNames: readonly string[] = Object.keys(named)

const hints: Hints = {
  acc: 'did you mean "accuracy"?',
  mae: 'did you mean "meanAbsoluteError"?',
  rmse: 'did you mean "rootMeanSquaredError"?',
  r2: 'did you mean "r2Score"?',
  mse: 'meanSquaredError is a loss; try rootMeanSquaredError.',
  meanSquaredError: 'it is a loss; try rootMeanSquaredError.',
}

export function metricFor(where: string, choice: MetricName | Metric): Metric {
  if (typeof choice === 'object' && choice !== null) {
    if (typeof choice.name === 'string' && choice.name !== '' && typeof choice.batch === 'function' && typeof choice.result === 'function')
      return choice
    throw new OptionError(
      `${where}: a metric of your own needs a name and the functions batch and result, got ${Object.keys(choice).join(', ') || 'none of them'}.`,
    )
  }
  if (typeof choice === 'function')
    throw new OptionError(
      `${where}: a metric must be one of ${metricNames.join(', ')}, or an object of your own, { name, batch, result }; got ${describe(choice)}.`,
    )
  if (!Object.hasOwn(named, choice as string)) throw unknownName('metric', choice, metricNames, where, hints)
  return named[choice as MetricName]
}
