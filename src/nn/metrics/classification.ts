/** Metrics of decisions: which class, yes or no. Nearly all follow from counts of each class, and those are exact. */
import { checkCount, checkOptions, unknownName } from '../../checks.ts'
import { describe, OptionError } from '../../errors.ts'
import type { Tensor } from '../../graph/tensor.ts'
import {
  abs,
  cast,
  divide,
  equal,
  lessEqual,
  maximum,
  minimum,
  multiply,
  notEqual,
  square,
  subtract,
  where,
} from '../../ops/elementwise.ts'
import { oneHot } from '../../ops/indexing.ts'
import { sum } from '../../ops/reduce.ts'
import { reshape } from '../../ops/shape.ts'
import {
  type BatchStatistics,
  checkThreshold,
  type Decisions,
  decisionsOf,
  type Metric,
  type MetricOptions,
  meanOf,
  nameOf,
  rightOf,
  summed,
  totals,
} from './metric.ts'

/**
 * How the values of several classes (or columns of a binary prediction) become one. "macro": their mean; "weighted": their mean weighted by
 * how often each is true; "micro": one value, from the counts of all; a number: the value of that class alone. As in scikit-learn, classes
 * that are neither predicted nor true anywhere do not count.
 *
 * @example metrics.recall({ average: 'weighted' satisfies Average })
 */
export type Average = 'macro' | 'micro' | 'weighted' | number

/**
 * What metrics of yes and no take.
 *
 * @example metrics.accuracy({ threshold: 0.8 } satisfies ThresholdOptions)
 */
export interface ThresholdOptions extends MetricOptions {
  /** The probability above which a binary prediction is a yes; default 0.5. */
  readonly threshold?: number
}

/**
 * What metrics of each class take.
 *
 * @example metrics.specificity({ average: 'micro', threshold: 0.3 } satisfies PerClassOptions)
 */
export interface PerClassOptions extends ThresholdOptions {
  /** How classes are averaged; default "macro". A binary prediction of one column has one class: yes. */
  readonly average?: Average
}

/**
 * The share of samples that are classified right: the largest logit is that of the true class, or a binary logit is above 0 (its probability
 * above `threshold`, default 0.5) where the target is above 0.5. Of several binary columns each counts by itself.
 *
 * @example metrics.accuracy({ threshold: 0.8 })
 */
export function accuracy(options: ThresholdOptions = {}): Metric {
  const name = nameOf('accuracy', options, ['threshold'])
  const { threshold } = options
  checkThreshold('accuracy', threshold)
  return {
    name,
    mode: 'max',
    batch: (prediction, target, loss) => {
      const decisions = decisionsOf(name, prediction, target, loss, threshold)
      return summed(rightOf(decisions), decisions.mask)
    },
    result: meanOf,
  }
}

/**
 * The share of samples whose true class is among the `k` largest logits. Where logits tie at the border it counts as the chance
 * that the class is among them if ties are broken at random, so equal logits give k / classes.
 *
 * @param options `k`: how many logits count as a hit, default 5.
 * @example metrics.topKAccuracy({ k: 3 })
 */
export function topKAccuracy(options: MetricOptions & { readonly k?: number } = {}): Metric {
  const name = nameOf('topKAccuracy', options, ['k'])
  const { k = 5 } = options
  checkCount('topKAccuracy', 'k', k)
  return {
    name,
    mode: 'max',
    batch: (prediction, target, loss) => {
      const { kind, actual, mask, count } = decisionsOf(name, prediction, target, loss)
      if (kind === 'columns')
        throw new OptionError(`Metric "${name}" is for predictions of several classes, loss "${loss.name}" is binary; try accuracy.`)
      if (k >= count)
        throw new OptionError(`Metric "${name}": k must be less than the number of classes, got ${k} of ${count}; try ${count - 1}.`)
      // Not a product: 0 times an infinite logit of another class is NaN. And what is not below or equal, as NaN, counts as above.
      const truth = sum(where(oneHot(actual, count), prediction, 0), { axes: [-1], keepDims: true })
      const above = subtract(count, sum(lessEqual(prediction, truth), { axes: [-1] }))
      const ties = sum(equal(prediction, truth), { axes: [-1] })
      return summed(minimum(maximum(divide(subtract(k, above), ties), 0), 1), mask)
    },
    result: meanOf,
  }
}

/** Of each class or column: how often it was predicted and true, predicted, true; of columns also how often neither. */
function countsOf({ kind, predicted, actual, mask, count }: Decisions): Tensor[] {
  const rows = (x: Tensor) => (kind === 'classes' ? oneHot(x, count) : x)
  const weights = mask === null || kind === 'columns' ? mask : reshape(mask, [...mask.shape, 1])
  const kept = (x: Tensor) => (weights === null ? x : multiply(x, weights))
  const total = (x: Tensor) => sum(kept(x), { axes: x.shape.map((_, i) => i).slice(0, -1) })
  const [p, t] = [rows(predicted), rows(actual)]
  const counts = [total(multiply(p, t)), total(p), total(t)]
  return kind === 'classes' ? counts : [...counts, total(multiply(subtract(1, p), subtract(1, t)))]
}

/** Counts over all batches, of each class or column. */
interface Counts {
  readonly kind: Decisions['kind']
  /** Predicted and true. */
  readonly hits: Float64Array
  readonly predicted: Float64Array
  readonly actual: Float64Array
  /** Positions that were asked about. */
  readonly all: Float64Array
}

/** What `countsOf` computed, whose statistics end the list. */
function readCounts(batches: readonly BatchStatistics[], first = 0): Counts {
  const [hits, predicted, actual, neither] = batches[0].values.slice(first).map((_, i) => totals(batches, first + i))
  if (neither !== undefined)
    return { kind: 'columns', hits, predicted, actual, all: neither.map((count, k) => count + predicted[k] + actual[k] - hits[k]) }
  const all = actual.reduce((total, count) => total + count, 0)
  return { kind: 'classes', hits, predicted, actual, all: actual.map(() => all) }
}

function sumOf(values: ArrayLike<number>): number {
  let total = 0
  for (let i = 0; i < values.length; i++) total += values[i]
  return total
}

/** The counts of the classes of one question; columns are put together and become the classes no and yes. */
function partition({ kind, hits, predicted, actual, all }: Counts): Counts {
  if (kind === 'classes') return { kind, hits, predicted, actual, all }
  const [h, p, t, n] = [hits, predicted, actual, all].map(sumOf)
  const both = (yes: number, no: number) => Float64Array.of(no, yes)
  return { kind: 'classes', hits: both(h, n - p - t + h), predicted: both(p, n - p), actual: both(t, n - t), all: both(n, n) }
}

/** A value of one class, from how often it was predicted and true, predicted, true, and asked about. */
type ClassScore = (hits: number, predicted: number, actual: number, all: number) => number

function averageOf(score: ClassScore, { kind, hits, predicted, actual, all }: Counts, average: Average): number {
  if (average === 'micro') return score(sumOf(hits), sumOf(predicted), sumOf(actual), sumOf(all))
  const scores = Array.from(hits, (_, k) => score(hits[k], predicted[k], actual[k], all[k]))
  if (typeof average === 'number') return scores[average]
  const weights = average === 'weighted' ? actual : actual.map((count, k) => (kind === 'columns' || count + predicted[k] > 0 ? 1 : 0))
  return ratio(sumOf(scores.map((value, k) => value * weights[k])), sumOf(weights))
}

/** a / b, and 0 where there is nothing to divide by. */
export const ratio = (a: number, b: number): number => (b === 0 ? 0 : a / b)

/** fBeta of one class from its counts: the harmonic mean of precision and recall, the latter weighing β². */
export const fBetaOf = (beta: number, hits: number, predicted: number, actual: number): number =>
  ratio((1 + beta * beta) * hits, beta * beta * actual + predicted)

const perClassOptions = ['average', 'threshold']

function perClass(kind: string, options: PerClassOptions, score: ClassScore): Metric {
  const name = nameOf(kind, options, perClassOptions)
  const { average = 'macro', threshold } = options
  checkThreshold(kind, threshold)
  checkAverage(kind, average)
  return {
    name,
    mode: 'max',
    batch: (prediction, target, loss) => {
      const decisions = decisionsOf(name, prediction, target, loss, threshold)
      checkClass(name, average, decisions.count, decisions.kind)
      return countsOf(decisions)
    },
    result: (batches) => averageOf(score, readCounts(batches), average),
  }
}

function checkAverage(kind: string, average: unknown): void {
  const known = ['macro', 'micro', 'weighted']
  if (Number.isInteger(average) && (average as number) >= 0) return
  if (typeof average === 'string' && known.includes(average)) return
  throw typeof average === 'string'
    ? unknownName('average', average, [...known, 'or a class number'], kind)
    : new OptionError(`${kind}: average must be one of ${known.join(', ')}, or a class number, got ${describe(average)}.`)
}

/** Refuses the number of a class that does not exist. */
function checkClass(metric: string, average: Average, count: number, what: Decisions['kind']): void {
  if (typeof average === 'number' && average >= count)
    throw new OptionError(
      `Metric "${metric}": average must be a class number of 0 … ${count - 1}, got ${average}; the prediction has ${count} ${what}.`,
    )
}

/**
 * Of what was predicted to be of a class, the share that is: hits / predicted; 0 for a class that is never predicted. Of several classes the
 * `average` (default "macro").
 *
 * @example metrics.precision({ average: 'micro' })
 */
export const precision = (options: PerClassOptions = {}): Metric =>
  perClass('precision', options, (hits, predicted) => ratio(hits, predicted))

/**
 * Of what is of a class, the share that was predicted to be: hits / true (also called sensitivity); 0 for a class that never occurs. Of several
 * classes the `average` (default "macro").
 *
 * @example metrics.recall({ threshold: 0.2 })
 */
export const recall = (options: PerClassOptions = {}): Metric => perClass('recall', options, (hits, _, actual) => ratio(hits, actual))

/**
 * (1 + β²) precision · recall / (β² precision + recall), where recall weighs β times as much as precision (van Rijsbergen 1979). 0 for a class
 * without hits. Of several classes the `average` (default "macro").
 *
 * @param options `beta`: how much more recall weighs than precision, default 1.
 * @example metrics.fBeta({ beta: 2 })
 */
export function fBeta(options: PerClassOptions & { readonly beta?: number } = {}): Metric {
  checkOptions('fBeta', options, [...perClassOptions, 'beta', 'name'])
  const { beta = 1, ...rest } = options
  if (typeof beta !== 'number' || !(beta > 0 && beta < Number.POSITIVE_INFINITY))
    throw new OptionError(`fBeta: beta must be a number above 0, got ${describe(beta)}; 1 weighs precision and recall alike.`)
  return perClass('fBeta', rest, (hits, predicted, actual) => fBetaOf(beta, hits, predicted, actual))
}

/**
 * The harmonic mean of precision and recall, 2 hits / (predicted + true): `fBeta` with β = 1. Of several classes the `average` (default "macro").
 *
 * @example metrics.f1({ average: 'weighted' })
 */
export const f1 = (options: PerClassOptions = {}): Metric =>
  perClass('f1', options, (hits, predicted, actual) => fBetaOf(1, hits, predicted, actual))

/**
 * Of what is not of a class, the share that was not predicted to be: the recall of "no". 0 if all is of that class. Of several classes the
 * `average` (default "macro"), each against all others.
 *
 * @example metrics.specificity()
 */
export const specificity = (options: PerClassOptions = {}): Metric =>
  perClass('specificity', options, (hits, predicted, actual, all) => ratio(all - predicted - actual + hits, all - actual))

/** Metrics of one question with several classes; binary columns are put together and have the classes no and yes. */
function ofClasses(kind: string, options: ThresholdOptions, value: (counts: Counts) => number): Metric {
  const name = nameOf(kind, options, ['threshold'])
  const { threshold } = options
  checkThreshold(kind, threshold)
  return {
    name,
    mode: 'max',
    batch: (prediction, target, loss) => countsOf(decisionsOf(name, prediction, target, loss, threshold)),
    result: (batches) => value(partition(readCounts(batches))),
  }
}

/**
 * The mean recall of the classes that occur, so that a rare class weighs as much as a common one: chance gives 1 / classes (Brodersen et al. 2010).
 *
 * @example metrics.balancedAccuracy()
 */
export const balancedAccuracy = (options: ThresholdOptions = {}): Metric =>
  ofClasses('balancedAccuracy', options, ({ hits, actual }) => {
    const recalls = Array.from(hits, (count, k) => count / actual[k]).filter((_, k) => actual[k] > 0)
    return sumOf(recalls) / recalls.length
  })

/**
 * The correlation of predicted and true classes, -1 … 1: (h n - Σ p_k t_k) / √((n² - Σ p_k²)(n² - Σ t_k²)) for h hits among n samples, of
 * which p_k were predicted to be and t_k are of class k (Gorodkin 2004). 0 if only one class is predicted, or only one occurs.
 *
 * @example metrics.matthewsCorrelation({ threshold: 0.4 })
 */
export const matthewsCorrelation = (options: ThresholdOptions = {}): Metric =>
  ofClasses('matthewsCorrelation', options, ({ hits, predicted, actual, all: [n] }) => {
    const product = (a: Float64Array, b: Float64Array) => sumOf(a.map((count, k) => count * b[k]))
    const spread = (n * n - product(predicted, predicted)) * (n * n - product(actual, actual))
    return ratio(sumOf(hits) * n - product(predicted, actual), Math.sqrt(spread))
  })

const disagreements = {
  none: (p: Tensor, t: Tensor) => notEqual(p, t),
  linear: (p: Tensor, t: Tensor) => abs(subtract(p, t)),
  quadratic: (p: Tensor, t: Tensor) => square(subtract(p, t)),
}

/** What each disagreement costs, as in `disagreements`. */
const costs = {
  none: (p: number, t: number) => (p === t ? 0 : 1),
  linear: (p: number, t: number) => Math.abs(p - t),
  quadratic: (p: number, t: number) => (p - t) ** 2,
}

/**
 * Agreement beyond chance, 1 - Σ w_ij o_ij / Σ w_ij e_ij, for the observed pairs o of classes and those e that chance would give (Cohen 1960);
 * w_ij is what it costs to take class i for j: 1, or for classes with an order |i - j| or (i - j)² (Cohen 1968). NaN if only one class is
 * predicted and occurs.
 *
 * @param options `weights`: what mistakes cost, "none" (all the same), "linear" or "quadratic", default "none".
 * @example metrics.cohenKappa({ weights: 'quadratic' })
 */
export function cohenKappa(options: ThresholdOptions & { readonly weights?: 'none' | 'linear' | 'quadratic' } = {}): Metric {
  const name = nameOf('cohenKappa', options, ['threshold', 'weights'])
  const { threshold, weights = 'none' } = options
  checkThreshold('cohenKappa', threshold)
  if (!Object.hasOwn(costs, weights)) throw unknownName('weights', weights, Object.keys(costs), 'cohenKappa')
  return {
    name,
    mode: 'max',
    batch: (prediction, target, loss) => {
      const decisions = decisionsOf(name, prediction, target, loss, threshold)
      const { kind, predicted, actual, mask } = decisions
      const [p, t] = kind === 'classes' ? [cast(predicted), cast(actual)] : [predicted, actual]
      const cost = disagreements[weights](p, t)
      return [sum(mask === null ? cost : multiply(cost, mask)), ...countsOf(decisions)]
    },
    result: (batches) => {
      const [observed] = totals(batches, 0)
      const { predicted, actual, all } = partition(readCounts(batches, 1))
      let expected = 0
      predicted.forEach((p, i) => {
        actual.forEach((t, j) => {
          expected += (costs[weights](i, j) * p * t) / all[0]
        })
      })
      return 1 - observed / expected
    },
  }
}
