/** What metrics are, and what their families share. */
import { checkOptions } from '../../checks.ts'
import { describe, OptionError } from '../../errors.ts'
import { formatShape, product } from '../../graph/shape.ts'
import type { Tensor } from '../../graph/tensor.ts'
import { cast, equal, greater, where } from '../../ops/elementwise.ts'
import { argmax, sum } from '../../ops/reduce.ts'
import { reshape } from '../../ops/shape.ts'
import { elementCount } from '../../ops/source.ts'
import type { Loss } from '../losses/index.ts'

/**
 * The statistics of one batch: how many samples it had, and the values of each tensor that the metric asked for, row-major. The values are
 * views: whoever keeps them copies them.
 *
 * @example metrics.meanAbsoluteError().result([{ samples: 2, values: [[0.5]] }])
 */
export interface BatchStatistics {
  readonly samples: number
  readonly values: readonly ArrayLike<number>[]
}

/**
 * A metric: statistics that a plan computes of each batch, and how those of all batches become one number. Statistics are small (sums,
 * counts), or scores of each sample where only all of them together decide (areas under curves, medians, ranks).
 *
 * One of your own is an object like this. Batches may differ in size, the last one does: so a mean is made of sums, divided by all samples at the end.
 *
 * @example const bias: Metric = {
 *   name: 'bias',
 *   batch: (prediction, target) => [sum(subtract(prediction, target))],
 *   result: (batches) => {
 *     const total = batches.reduce((so, { values }) => so + values[0][0], 0)
 *     return total / batches.reduce((so, { samples }) => so + samples, 0)
 *   },
 * }
 * await sequential([input(1), dense(1)]).evaluate({ x: [1, 2], y: [2, 4] }, { loss: 'meanSquaredError', metrics: [bias] })
 */
export interface Metric {
  /** What its value is reported as. */
  readonly name: string
  /** Whether less or more is better; what early stopping goes by; if left out, less. */
  readonly mode?: 'min' | 'max'
  /** What a plan computes of each batch. */
  batch(prediction: Tensor, target: Tensor, loss: Loss): readonly Tensor[]
  /** The metric over all batches; NaN where it is not defined, never an exception in the middle of training. */
  result(batches: readonly BatchStatistics[]): number
}

/**
 * What every metric takes.
 *
 * @example metrics.precision({ average: 1, name: 'precisionOfFraud' } satisfies MetricOptions & { average: number }).name
 */
export interface MetricOptions {
  /** What its value is reported as; default the metric's own name. Two metrics of one kind need two names. */
  readonly name?: string
}

/** Checks the options of a metric and gives its name. */
export function nameOf(kind: string, options: MetricOptions, known: readonly string[] = []): string {
  checkOptions(kind, options, [...known, 'name'])
  const { name = kind } = options
  if (typeof name !== 'string' || name === '')
    throw new OptionError(`${kind}: name must be a string that is not empty, got ${describe(name)}.`)
  return name
}

/** The sum of x over the positions of a batch that count, and their number where it is not that of the samples. */
export function summed(x: Tensor, mask: Tensor | null): Tensor[] {
  if (mask !== null) return [sum(where(mask, x, 0)), sum(mask)]
  return product(x.shape).factor === 1 ? [sum(x)] : [sum(x), elementCount(x.shape)]
}

/** The mean over all batches of what `summed` gives, joined in double precision. */
export function meanOf(batches: readonly BatchStatistics[]): number {
  let total = 0
  let count = 0
  for (const { samples, values } of batches) {
    total += values[0][0]
    count += values.length > 1 ? values[1][0] : samples
  }
  return total / count
}

/** The i-th statistic summed over all batches, element by element. */
export function totals(batches: readonly BatchStatistics[], i: number): Float64Array {
  const result = new Float64Array(batches[0].values[i].length)
  for (const { values } of batches) for (let k = 0; k < result.length; k++) result[k] += values[i][k]
  return result
}

/** The i-th statistic of all batches, one after the other. */
export function joined(batches: readonly BatchStatistics[], i: number): Float64Array {
  const result = new Float64Array(batches.reduce((size, { values }) => size + values[i].length, 0))
  let next = 0
  for (const { values } of batches) {
    result.set(values[i], next)
    next += values[i].length
  }
  return result
}

/** Every `width`-th number from `column` on: a column of rows of that width. */
export function columnOf(values: Float64Array, column: number, width: number): Float64Array {
  const result = new Float64Array(values.length / width)
  for (let row = 0; row < result.length; row++) result[row] = values[row * width + column]
  return result
}

/** 1 for each of the positions that counts, 0 for those that the loss leaves out; null if it leaves out none. */
export function maskOf(metric: string, positions: Tensor, prediction: Tensor, target: Tensor, loss: Loss): Tensor | null {
  const mask = loss.mask?.(prediction, target) ?? loss.counts?.(prediction, target)
  if (mask === undefined) return null
  if (product(mask.shape).factor === product(positions.shape).factor) return reshape(mask, positions.shape)
  throw new OptionError(
    `Metric "${metric}" must know which positions of ${formatShape(positions.shape)} loss "${loss.name}" leaves out, but it tells no more than ${formatShape(mask.shape)}; a loss of your own needs mask(prediction, target).`,
  )
}

/** Refuses losses that are not for classification. */
export function expectClassification(metric: string, loss: Loss): void {
  if (loss.task === 'regression')
    throw new OptionError(
      `Metric "${metric}" is for classification, loss "${loss.name}" is not; try meanAbsoluteError, rootMeanSquaredError or r2Score.`,
    )
}

/** The probabilities of a prediction of logits: sigmoid for each number, or softmax over classes. */
export function probabilitiesOf(metric: string, prediction: Tensor, loss: Loss): Tensor {
  expectClassification(metric, loss)
  if (loss.probabilities === undefined)
    throw new OptionError(`Metric "${metric}" needs probabilities, and loss "${loss.name}" has none; try accuracy or rocAuc.`)
  return loss.probabilities(prediction)
}

/**
 * What was predicted and what is true. `classes`: a class number for each position, int32 [...], and the logits are [..., count].
 * `columns`: questions of yes (1) and no (0), [positions, count]; a binary loss on [batch, columns] asks one question a column, on
 * any other rank one question at every position.
 */
export interface Decisions {
  readonly kind: 'classes' | 'columns'
  readonly predicted: Tensor
  readonly actual: Tensor
  /** Of the shape of `actual`. */
  readonly mask: Tensor | null
  /** Classes, or columns. */
  readonly count: number
}

/**
 * The class of the largest logit; for binary losses, whether a logit is above 0, or its probability above `threshold`. A target above 0.5
 * means yes, so targets of 0 and 1 and of -1 and 1 are both understood.
 */
export function decisionsOf(metric: string, prediction: Tensor, target: Tensor, loss: Loss, threshold?: number): Decisions {
  expectClassification(metric, loss)
  if (loss.task !== 'binary') {
    if (threshold !== undefined)
      throw new OptionError(
        `Metric "${metric}": threshold is for binary losses, but loss "${loss.name}" takes the class of the largest logit.`,
      )
    const actual = loss.task === 'sparse' ? target : argmax(target)
    const mask = maskOf(metric, actual, prediction, target, loss)
    return { kind: 'classes', predicted: argmax(prediction), actual, mask, count: prediction.shape[prediction.rank - 1] as number }
  }
  const yes = threshold === undefined ? greater(prediction, 0) : greater(probabilitiesOf(metric, prediction, loss), threshold)
  const mask = maskOf(metric, target, prediction, target, loss)
  return {
    kind: 'columns',
    predicted: inColumns(yes),
    actual: inColumns(greater(target, 0.5)),
    mask: mask === null ? null : inColumns(mask),
    count: columnsOf(prediction),
  }
}

/** 1 where the decision is right, else 0: of the shape of `actual`. */
export function rightOf({ kind, predicted, actual }: Decisions): Tensor {
  return kind === 'classes' ? equal(cast(predicted), cast(actual)) : equal(predicted, actual)
}

/** How many questions a binary prediction asks. */
export function columnsOf(prediction: Tensor): number {
  return prediction.rank === 2 ? (prediction.shape[1] as number) : 1
}

/** [positions, columns]. */
export function inColumns(x: Tensor): Tensor {
  return x.rank === 2 ? x : reshape(x, [-1, 1])
}

/** Refuses thresholds that are no probabilities. */
export function checkThreshold(kind: string, threshold: unknown): void {
  if (threshold !== undefined && (typeof threshold !== 'number' || !(threshold > 0 && threshold < 1)))
    throw new OptionError(`${kind}: threshold must be a probability of 0 … 1 (both excluded), got ${describe(threshold)}.`)
}
