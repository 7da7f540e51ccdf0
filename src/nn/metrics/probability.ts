/** Metrics of scores and probabilities: how well they rank, and how far they can be believed. */
import { checkCount, unknownName } from '../../checks.ts'
import type { Tensor } from '../../graph/tensor.ts'
import { add, cast, maximum, multiply, negate, softplus, square, subtract, where } from '../../ops/elementwise.ts'
import { oneHot } from '../../ops/indexing.ts'
import { max, sum } from '../../ops/reduce.ts'
import { logSoftmax, softmaxCrossEntropy } from '../../ops/softmax.ts'
import { constant } from '../../ops/source.ts'
import type { Loss } from '../losses/index.ts'
import { areaUnderRoc, averagePrecision, binOf, type Ranking, rank } from './curves.ts'
import {
  type BatchStatistics,
  columnOf,
  columnsOf,
  decisionsOf,
  inColumns,
  joined,
  type Metric,
  type MetricOptions,
  maskOf,
  meanOf,
  nameOf,
  probabilitiesOf,
  rightOf,
  summed,
} from './metric.ts'

/**
 * What areas under curves take.
 *
 * @example metrics.rocAuc({ average: 'weighted' } satisfies AreaOptions)
 */
export interface AreaOptions extends MetricOptions {
  /** How the areas of several classes, each against the rest, become one: their mean, or that weighted by how often each is true; default "macro". */
  readonly average?: 'macro' | 'weighted'
}

/** What is masked, among labels that are not negative. */
const MASKED = -1

const unlessMasked = (labels: Tensor, mask: Tensor | null) => (mask === null ? labels : where(mask, labels, MASKED))

/** Scores [positions, columns] and as many labels, and the number of columns; or probabilities [..., classes] and class numbers [...]. */
function scoresOf(metric: string, prediction: Tensor, target: Tensor, loss: Loss): Tensor[] {
  const { kind, actual, mask } = decisionsOf(metric, prediction, target, loss)
  if (kind === 'classes') return [probabilitiesOf(metric, prediction, loss), unlessMasked(cast(actual), mask)]
  // Logits rank as their probabilities do, but do not become equal where those are 1.
  return [inColumns(prediction), unlessMasked(actual, mask), constant(columnsOf(prediction))]
}

/** The ranking of each column, or of each class against the rest. */
function rankings(batches: readonly BatchStatistics[]): Ranking[] {
  const [scores, labels] = [joined(batches, 0), joined(batches, 1)]
  const ofClasses = batches[0].values.length === 2
  const width = ofClasses ? scores.length / labels.length : batches[0].values[2][0]
  return Array.from({ length: width }, (_, column) => {
    return rank(columnOf(scores, column, width), (row) => {
      const label = labels[ofClasses ? row : row * width + column]
      return label === MASKED ? null : label === (ofClasses ? column : 1)
    })
  })
}

/** @param empty The value if no class has one. */
function area(
  kind: string,
  options: AreaOptions,
  areaOf: (ranking: Ranking) => number,
  isDefined: (ranking: Ranking) => boolean,
  empty: number,
): Metric {
  const name = nameOf(kind, options, ['average'])
  const { average = 'macro' } = options
  if (average !== 'macro' && average !== 'weighted') throw unknownName('average', average, ['macro', 'weighted'], kind)
  return {
    name,
    mode: 'max',
    batch: (prediction, target, loss) => scoresOf(name, prediction, target, loss),
    result: (batches) => {
      let [total, weights] = [0, 0]
      for (const ranking of rankings(batches).filter(isDefined)) {
        const weight = average === 'macro' ? 1 : ranking.positives.length
        total += weight * areaOf(ranking)
        weights += weight
      }
      return weights === 0 ? empty : total / weights
    },
  }
}

/**
 * The area under the ROC curve: the chance that a true sample gets a larger score than a false one, where equal scores count half; exact (Mann
 * and Whitney 1947). Of several classes each against the rest (Provost and Domingos 2000), joined by `average` (default "macro"); classes that
 * do not occur, or nothing but them, are left out, and NaN is left if all are. It keeps the scores of an epoch: the logits of a binary
 * prediction, the probabilities of several classes.
 *
 * @example metrics.rocAuc({ average: 'weighted' })
 */
export const rocAuc = (options: AreaOptions = {}): Metric =>
  area('rocAuc', options, areaUnderRoc, ({ positives, negatives }) => positives.length > 0 && negatives.length > 0, Number.NaN)

/**
 * The area under the precision-recall curve as average precision, Σ (recall_i - recall_(i-1)) precision_i, without interpolation, as in
 * scikit-learn. Of several classes each against the rest, joined by `average` (default "macro"); classes that never occur are left out, and if
 * all are it is 0. It keeps the scores of an epoch, as `rocAuc` does.
 *
 * @example metrics.prAuc()
 */
export const prAuc = (options: AreaOptions = {}): Metric =>
  area('prAuc', options, averagePrecision, ({ positives }) => positives.length > 0, 0)

/** Targets as probabilities of each class. */
const shares = (loss: Loss, target: Tensor, classes: number) => (loss.task === 'sparse' ? oneHot(target, classes) : target)

/**
 * The mean negative log-likelihood of the targets, -Σ t_k log p_k (binary: -t log p - (1 - t) log(1 - p)), from logits, so that no probability
 * is cut off. Without the weights, smoothing or focus that a loss may add.
 *
 * @example metrics.logLoss()
 */
export function logLoss(options: MetricOptions = {}): Metric {
  const name = nameOf('logLoss', options)
  return {
    name,
    mode: 'min',
    batch: (prediction, target, loss) => {
      const classes = probabilitiesOf(name, prediction, loss).shape.at(-1) as number
      if (loss.task === 'binary') {
        const each = add(multiply(target, softplus(negate(prediction))), multiply(subtract(1, target), softplus(prediction)))
        return summed(each, maskOf(name, each, prediction, target, loss))
      }
      const each =
        loss.task === 'sparse'
          ? softmaxCrossEntropy(prediction, target)
          : negate(sum(multiply(shares(loss, target, classes), logSoftmax(prediction)), { axes: [-1] }))
      return summed(each, maskOf(name, each, prediction, target, loss))
    },
    result: meanOf,
  }
}

/**
 * The mean squared error of probabilities, (p - t)², of several classes Σ (p_k - t_k)² of 0 … 2 (Brier 1950).
 *
 * @example metrics.brierScore()
 */
export function brierScore(options: MetricOptions = {}): Metric {
  const name = nameOf('brierScore', options)
  return {
    name,
    mode: 'min',
    batch: (prediction, target, loss) => {
      const probabilities = probabilitiesOf(name, prediction, loss)
      if (loss.task === 'binary') {
        const each = square(subtract(probabilities, target))
        return summed(each, maskOf(name, each, prediction, target, loss))
      }
      const truths = shares(loss, target, prediction.shape[prediction.rank - 1] as number)
      const each = sum(square(subtract(probabilities, truths)), { axes: [-1] })
      return summed(each, maskOf(name, each, prediction, target, loss))
    },
    result: meanOf,
  }
}

/**
 * The expected calibration error, Σ |B| / n · |accuracy(B) - confidence(B)| over `bins` of equal width (Guo et al. 2017, equation
 * 3), where the confidence is the probability of the class that is predicted; of a binary prediction max(p, 1 - p). It keeps two numbers a sample.
 *
 * @param options `bins`: of equal width between 0 and 1, default 15.
 * @example metrics.calibrationError({ bins: 10 })
 */
export function calibrationError(options: MetricOptions & { readonly bins?: number } = {}): Metric {
  const name = nameOf('calibrationError', options, ['bins'])
  const { bins = 15 } = options
  checkCount('calibrationError', 'bins', bins)
  return {
    name,
    mode: 'min',
    batch: (prediction, target, loss) => {
      const p = probabilitiesOf(name, prediction, loss)
      const decisions = decisionsOf(name, prediction, target, loss)
      const confidence = loss.task === 'binary' ? inColumns(maximum(p, subtract(1, p))) : max(p, { axes: [-1] })
      return [confidence, unlessMasked(rightOf(decisions), decisions.mask)]
    },
    result: (batches) => {
      const [confidence, right] = [joined(batches, 0), joined(batches, 1)]
      const gaps = new Float64Array(bins)
      let count = 0
      confidence.forEach((value, i) => {
        if (right[i] === MASKED) return
        // NaN has no bin; the sum is to be NaN.
        gaps[binOf(value, bins) || 0] += right[i] - value
        count += 1
      })
      return gaps.reduce((total, gap) => total + Math.abs(gap), 0) / count
    },
  }
}
