/**
 * The metrics, exact over batches of any size: a plan computes statistics of each batch, and the metric joins them in double precision.
 */
import { type Hints, unknownName } from '../../checks.ts'
import { describe, OptionError } from '../../errors.ts'
import { Tensor } from '../../graph/tensor.ts'
import type { Loss } from '../losses/index.ts'
import {
  accuracy,
  balancedAccuracy,
  cohenKappa,
  f1,
  fBeta,
  matthewsCorrelation,
  precision,
  recall,
  specificity,
  topKAccuracy,
} from './classification.ts'
import type { BatchStatistics, Metric } from './metric.ts'
import { brierScore, calibrationError, logLoss, prAuc, rocAuc } from './probability.ts'
import {
  explainedVariance,
  maxError,
  meanAbsoluteError,
  meanAbsolutePercentageError,
  meanSquaredError,
  medianAbsoluteError,
  pearsonCorrelation,
  r2Score,
  rootMeanSquaredError,
  spearmanCorrelation,
} from './regression.ts'

export type { BatchStatistics, Metric } from './metric.ts'

/**
 * The metrics, each a function from options to a metric; a name alone, as in `metrics: ['f1']`, means its defaults.
 *
 * @example metrics.fBeta({ beta: 2, average: 'weighted' })
 */
export const metrics = {
  accuracy,
  topKAccuracy,
  balancedAccuracy,
  precision,
  recall,
  specificity,
  fBeta,
  f1,
  matthewsCorrelation,
  cohenKappa,
  rocAuc,
  prAuc,
  logLoss,
  brierScore,
  calibrationError,
  meanAbsoluteError,
  meanSquaredError,
  rootMeanSquaredError,
  meanAbsolutePercentageError,
  medianAbsoluteError,
  maxError,
  r2Score,
  explainedVariance,
  pearsonCorrelation,
  spearmanCorrelation,
}

/**
 * The name of a metric that needs no options.
 *
 * @example score('f1' satisfies MetricName, [2, -1, 3], [1, 0, 0], { task: 'binary' })
 */
export type MetricName = keyof typeof metrics

export const metricNames: readonly string[] = Object.keys(metrics)

const hints: Hints = {
  acc: 'did you mean "accuracy"?',
  binaryAccuracy: 'did you mean "accuracy"? With a binary loss it counts logits on the right side.',
  kappa: 'did you mean "cohenKappa"?',
  topK: 'did you mean metrics.topKAccuracy({ k: 5 })?',
  top5: 'did you mean metrics.topKAccuracy({ k: 5 })?',
  top3: 'did you mean metrics.topKAccuracy({ k: 3 })?',
  auc: 'did you mean "rocAuc", or "prAuc"?',
  averagePrecision: 'did you mean "prAuc"?',
  sensitivity: 'did you mean "recall"?',
  mcc: 'did you mean "matthewsCorrelation"?',
  ece: 'did you mean "calibrationError"?',
  crossentropy: 'did you mean "logLoss"?',
  mae: 'did you mean "meanAbsoluteError"?',
  mse: 'did you mean "meanSquaredError"?',
  mape: 'did you mean "meanAbsolutePercentageError"?',
  rmse: 'did you mean "rootMeanSquaredError"?',
  r2: 'did you mean "r2Score"?',
}

/** What a metric asks a plan to compute; `where` begins the error if that is nothing a plan can. */
export function statisticsOf(where: string, metric: Metric, prediction: Tensor, target: Tensor, loss: Loss): readonly Tensor[] {
  const statistics: unknown = metric.batch(prediction, target, loss)
  const refuse = (got: string) =>
    new OptionError(`${where}: batch of metric "${metric.name}" must return an array of symbolic tensors, such as [sum(x)], got ${got}.`)
  if (!Array.isArray(statistics)) throw refuse(describe(statistics))
  for (const one of statistics) if (!(one instanceof Tensor)) throw refuse(`one of ${describe(one)}`)
  return statistics
}

/** The metric over all batches; `where` begins the error if that is no number. */
export function resultOf(where: string, metric: Metric, batches: readonly BatchStatistics[]): number {
  let value: unknown
  try {
    value = metric.result(batches)
  } catch (error) {
    throw new OptionError(`${where}: result of metric "${metric.name}" failed: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    })
  }
  if (typeof value !== 'number')
    throw new OptionError(
      `${where}: result of metric "${metric.name}" must return a number, NaN where there is none, got ${describe(value)}.`,
    )
  return value
}

export function metricFor(where: string, choice: MetricName | Metric): Metric {
  if (typeof choice === 'object' && choice !== null) {
    if (typeof choice.name !== 'string' || choice.name === '' || typeof choice.batch !== 'function' || typeof choice.result !== 'function')
      throw new OptionError(
        `${where}: a metric of your own needs a name and the functions batch and result, got ${Object.keys(choice).join(', ') || 'none of them'}.`,
      )
    if (choice.mode !== undefined && choice.mode !== 'min' && choice.mode !== 'max')
      throw new OptionError(`${where}: mode of metric "${choice.name}" must be "min" or "max", got ${describe(choice.mode)}.`)
    return choice
  }
  if (typeof choice === 'function') {
    const [known] = Object.entries(metrics).find(([, factory]) => factory === choice) ?? []
    throw new OptionError(
      known === undefined
        ? `${where}: a metric must be one of ${metricNames.join(', ')}, or an object of your own, { name, batch, result }; got ${describe(choice)}.`
        : `${where}: metrics.${known} makes a metric, got the function itself; try metrics.${known}() or "${known}".`,
    )
  }
  if (!Object.hasOwn(metrics, choice as string)) throw unknownName('metric', choice, metricNames, where, hints)
  return metrics[choice as MetricName]()
}
