/** Metrics of numbers: errors, and how two variables go together. Means are joined in double precision. */
import { OptionError } from '../../errors.ts'
import { formatShape, sameShape } from '../../graph/shape.ts'
import type { Tensor } from '../../graph/tensor.ts'
import { abs, divide, maximum, multiply, square, subtract, where } from '../../ops/elementwise.ts'
import { max, mean, sum } from '../../ops/reduce.ts'
import type { Loss } from '../losses/index.ts'
import { type BatchStatistics, columnOf, joined, type Metric, type MetricOptions, maskOf, meanOf, nameOf, summed } from './metric.ts'

/** Checks that prediction and target are numbers that can be compared one by one, and says which count. */
function compare(metric: string, prediction: Tensor, target: Tensor, loss: Loss): Tensor | null {
  const refuse = (why: string) => new OptionError(`Metric "${metric}" compares numbers, but ${why}`)
  if (target.dtype !== 'float32') throw refuse(`the targets of loss "${loss.name}" are class numbers; try accuracy.`)
  if (loss.task !== 'regression') throw refuse(`the predictions for loss "${loss.name}" are logits; try accuracy, logLoss or brierScore.`)
  if (!sameShape(prediction.shape, target.shape))
    throw refuse(
      `for loss "${loss.name}" predictions have shape ${formatShape(prediction.shape)} and targets ${formatShape(target.shape)}; write a metric of your own, { name, batch, result }.`,
    )
  return maskOf(metric, target, prediction, target, loss)
}

/** The mean over all numbers of an error of each, `finish`ed. */
function meanError(
  kind: string,
  options: MetricOptions,
  each: (prediction: Tensor, target: Tensor) => Tensor,
  finish = (mean: number) => mean,
): Metric {
  const name = nameOf(kind, options)
  return {
    name,
    mode: 'min',
    batch: (prediction, target, loss) => {
      const mask = compare(name, prediction, target, loss)
      return summed(each(prediction, target), mask)
    },
    result: (batches) => finish(meanOf(batches)),
  }
}

/**
 * The mean of |prediction - target| over all samples and outputs.
 *
 * @example metrics.meanAbsoluteError()
 */
export const meanAbsoluteError = (options: MetricOptions = {}): Metric =>
  meanError('meanAbsoluteError', options, (p, t) => abs(subtract(p, t)))

/**
 * The mean of (prediction - target)² over all samples and outputs.
 *
 * @example metrics.meanSquaredError()
 */
export const meanSquaredError = (options: MetricOptions = {}): Metric =>
  meanError('meanSquaredError', options, (p, t) => square(subtract(p, t)))

/**
 * The square root of the mean of (prediction - target)² over all samples and outputs, in the unit of the targets.
 *
 * @example metrics.rootMeanSquaredError()
 */
export const rootMeanSquaredError = (options: MetricOptions = {}): Metric =>
  meanError('rootMeanSquaredError', options, (p, t) => square(subtract(p, t)), Math.sqrt)

/**
 * The mean of 100 |prediction - target| / max(|target|, 1e-7) over all samples and outputs, in per cent: what the loss of this name is.
 * Targets near 0 weigh enormously. scikit-learn's is a hundredth of it.
 *
 * @example metrics.meanAbsolutePercentageError()
 */
export const meanAbsolutePercentageError = (options: MetricOptions = {}): Metric =>
  meanError('meanAbsolutePercentageError', options, (p, t) => multiply(100, divide(abs(subtract(p, t)), maximum(abs(t), 1e-7))))

/** What is masked, among numbers that are not negative. */
const MASKED = -1

/**
 * The largest |prediction - target| of all samples and outputs.
 *
 * @example metrics.maxError()
 */
export function maxError(options: MetricOptions = {}): Metric {
  const name = nameOf('maxError', options)
  return {
    name,
    mode: 'min',
    batch: (prediction, target, loss) => {
      const mask = compare(name, prediction, target, loss)
      const error = abs(subtract(prediction, target))
      return [max(mask === null ? error : where(mask, error, MASKED))]
    },
    result: (batches) => {
      const largest = batches.reduce((largest, { values }) => Math.max(largest, values[0][0]), MASKED)
      return largest === MASKED ? Number.NaN : largest
    },
  }
}

/**
 * The median of |prediction - target|, of several outputs the mean of their medians. It keeps an error for each output of each sample.
 *
 * @example metrics.medianAbsoluteError()
 */
export function medianAbsoluteError(options: MetricOptions = {}): Metric {
  const name = nameOf('medianAbsoluteError', options)
  return {
    name,
    mode: 'min',
    batch: (prediction, target, loss) => {
      const mask = compare(name, prediction, target, loss)
      const error = abs(subtract(prediction, target))
      return [mask === null ? error : where(mask, error, MASKED)]
    },
    result: (batches) => {
      const errors = joined(batches, 0)
      return meanOverOutputs(outputsOf(batches), (output, outputs) =>
        median(columnOf(errors, output, outputs).filter((error) => error !== MASKED)),
      )
    },
  }
}

function median(values: Float64Array): number {
  values.sort()
  const middle = values.length >> 1
  // NaN is sorted to the end.
  if (Number.isNaN(values.at(-1))) return Number.NaN
  return values.length % 2 === 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2
}

/** Numbers of a sample in the first statistic, which is of all samples. */
const outputsOf = ([{ samples, values }]: readonly BatchStatistics[]) => values[0].length / samples

function meanOverOutputs(outputs: number, value: (output: number, outputs: number) => number): number {
  let total = 0
  for (let i = 0; i < outputs; i++) total += value(i, outputs)
  return total / outputs
}

/** How two variables are distributed: their means, Σ (a - mean)², Σ (b - mean)² and Σ (a - mean)(b - mean). */
interface Moments {
  readonly count: number
  readonly meanA: number
  readonly meanB: number
  readonly squaresA: number
  readonly squaresB: number
  readonly products: number
}

/** Below any number of data, and finite. */
const LOWEST = -(2 ** 127)

/**
 * Statistics of a batch of two variables, for each output. Deviations are from a mean that is rounded to float32; what is left of it is
 * measured too, for values far from 0. The largest value goes first, so that equal values deviate by 0 exactly.
 */
function momentsOf(a: Tensor, b: Tensor, mask: Tensor | null): Tensor[] {
  const count = mask === null ? null : sum(mask, { axes: [0] })
  const average = (x: Tensor) =>
    mask === null || count === null ? mean(x, { axes: [0] }) : divide(sum(where(mask, x, 0), { axes: [0] }), maximum(count, 1))
  const centered = (x: Tensor) => {
    // Of what is masked nothing may be taken, however large: near a mask of 1e9 all other numbers are the same.
    const largest = max(mask === null ? x : where(mask, x, LOWEST), { axes: [0] })
    const center = average(subtract(x, largest))
    const deviation = subtract(subtract(x, largest), center)
    return { deviation, statistics: [largest, center, average(deviation), average(square(deviation))] }
  }
  const [first, second] = [centered(a), centered(b)]
  const statistics = [...first.statistics, ...second.statistics, average(multiply(first.deviation, second.deviation))]
  return count === null ? statistics : [...statistics, count]
}

/** Joins the batches by the formulas of Chan, Golub and LeVeque (1979). */
function joinMoments(batches: readonly BatchStatistics[], output: number): Moments {
  let [count, meanA, meanB, squaresA, squaresB, products] = [0, 0, 0, 0, 0, 0]
  for (const { samples, values } of batches) {
    const [largestA, centerA, restA, squareA, largestB, centerB, restB, squareB, product, counted = samples] = values.map(
      (value) => value[output],
    )
    if (counted === 0) continue
    const share = counted / (count + counted)
    const deltaA = largestA + centerA + restA - meanA
    const deltaB = largestB + centerB + restB - meanB
    squaresA += counted * (squareA - restA * restA) + deltaA * deltaA * count * share
    squaresB += counted * (squareB - restB * restB) + deltaB * deltaB * count * share
    products += counted * (product - restA * restB) + deltaA * deltaB * count * share
    meanA += deltaA * share
    meanB += deltaB * share
    count += counted
  }
  return { count, meanA, meanB, squaresA, squaresB, products }
}

/** A value of the moments of two variables, the mean over outputs. */
function ofMoments(
  kind: string,
  options: MetricOptions,
  variables: (prediction: Tensor, target: Tensor) => readonly [Tensor, Tensor],
  value: (moments: Moments) => number,
): Metric {
  const name = nameOf(kind, options)
  return {
    name,
    mode: 'max',
    batch: (prediction, target, loss) => {
      const mask = compare(name, prediction, target, loss)
      return momentsOf(...variables(prediction, target), mask)
    },
    result: (batches) => meanOverOutputs(batches[0].values[0].length, (output) => value(joinMoments(batches, output))),
  }
}

/** 1 - a / b; for a constant target 1 if nothing is left to explain, else 0. */
const explained = (a: number, b: number) => (b === 0 ? (a === 0 ? 1 : 0) : 1 - a / b)

const errorAndTarget = (prediction: Tensor, target: Tensor) => [subtract(prediction, target), target] as const

/**
 * The coefficient of determination, 1 - Σ (target - prediction)² / Σ (target - mean target)², of several outputs the mean. As in scikit-learn
 * NaN for a single sample, and for a constant target 1 if it is met exactly, else 0.
 *
 * @example metrics.r2Score()
 */
export const r2Score = (options: MetricOptions = {}): Metric =>
  ofMoments('r2Score', options, errorAndTarget, ({ count, meanA, squaresA, squaresB }) =>
    count < 2 ? Number.NaN : explained(squaresA + count * meanA * meanA, squaresB),
  )

/**
 * 1 - variance(target - prediction) / variance(target), of several outputs the mean: `r2Score` but for a constant error. For a constant target
 * 1 if the error is constant, else 0, as in scikit-learn.
 *
 * @example metrics.explainedVariance()
 */
export const explainedVariance = (options: MetricOptions = {}): Metric =>
  ofMoments('explainedVariance', options, errorAndTarget, ({ count, squaresA, squaresB }) =>
    count === 0 ? Number.NaN : explained(squaresA, squaresB),
  )

function correlation({ squaresA, squaresB, products }: Moments): number {
  const value = products / Math.sqrt(squaresA * squaresB)
  return Math.max(-1, Math.min(1, value))
}

/**
 * The linear correlation of prediction and target, covariance / (deviation · deviation), -1 … 1 (Pearson 1895), of several outputs the mean.
 * NaN if either is constant.
 *
 * @example metrics.pearsonCorrelation()
 */
export const pearsonCorrelation = (options: MetricOptions = {}): Metric =>
  ofMoments('pearsonCorrelation', options, (prediction, target) => [prediction, target], correlation)

/** The place of each value in ascending order, from 1; equal values share the mean of theirs. */
function ranks(values: Float64Array): Float64Array {
  const order = Uint32Array.from(values, (_, i) => i).sort((i, j) => values[i] - values[j])
  const result = new Float64Array(values.length)
  for (let start = 0; start < order.length; ) {
    let end = start + 1
    while (end < order.length && values[order[end]] === values[order[start]]) end++
    for (const i of order.subarray(start, end)) result[i] = (start + 1 + end) / 2
    start = end
  }
  return result
}

/**
 * The correlation of the ranks of prediction and target, -1 … 1, where equal values share the mean of their ranks (Spearman 1904), of several
 * outputs the mean. NaN if either is constant. It keeps prediction and target of each sample.
 *
 * @example metrics.spearmanCorrelation()
 */
export function spearmanCorrelation(options: MetricOptions = {}): Metric {
  const name = nameOf('spearmanCorrelation', options)
  return {
    name,
    mode: 'max',
    batch: (prediction, target, loss) => {
      const mask = compare(name, prediction, target, loss)
      return mask === null ? [prediction, target] : [prediction, target, mask]
    },
    result: (batches) => {
      const [predictions, targets] = [joined(batches, 0), joined(batches, 1)]
      const mask = batches[0].values.length > 2 ? joined(batches, 2) : null
      return meanOverOutputs(outputsOf(batches), (output, outputs) => {
        const kept = mask === null ? null : columnOf(mask, output, outputs)
        const [a, b] = [predictions, targets].map((values) =>
          columnOf(values, output, outputs).filter((_, row) => kept === null || kept[row] === 1),
        )
        if (a.some(Number.isNaN) || b.some(Number.isNaN)) return Number.NaN
        const [x, y] = [ranks(a), ranks(b)]
        const center = (x.length + 1) / 2
        const products = (u: Float64Array, v: Float64Array) => u.reduce((total, value, i) => total + (value - center) * (v[i] - center), 0)
        return correlation({
          count: x.length,
          meanA: center,
          meanB: center,
          squaresA: products(x, x),
          squaresB: products(y, y),
          products: products(x, y),
        })
      })
    },
  }
}
