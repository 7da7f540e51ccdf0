/** What a threshold on scores trades for what: the curves, and the areas under them, exactly and with ties. */
import { checkCount, checkOptions } from '../../checks.ts'
import { flatten, type NumbersLike } from '../../data/ndarray.ts'
import { counted, DataError } from '../../errors.ts'

/** Scores of what is true and of what is not, both descending. */
export interface Ranking {
  readonly positives: Float64Array
  readonly negatives: Float64Array
}

/** Sorts scores into true and false ones by their labels; those without a label are left out. */
export function rank(scores: ArrayLike<number>, labelOf: (i: number) => boolean | null): Ranking {
  const positives: number[] = []
  const negatives: number[] = []
  for (let i = 0; i < scores.length; i++) {
    const label = labelOf(i)
    if (label !== null) (label ? positives : negatives).push(scores[i])
  }
  const descending = (values: readonly number[]) => Float64Array.from(values).sort().reverse()
  return { positives: descending(positives), negatives: descending(negatives) }
}

/** Goes through the different scores from the largest down, with how many true and false ones are at least as large. */
function visit({ positives, negatives }: Ranking, at: (score: number, truePositives: number, falsePositives: number) => void): void {
  let [p, n] = [0, 0]
  while (p < positives.length || n < negatives.length) {
    const score = Math.max(positives[p] ?? Number.NEGATIVE_INFINITY, negatives[n] ?? Number.NEGATIVE_INFINITY)
    while (positives[p] === score) p++
    while (negatives[n] === score) n++
    at(score, p, n)
  }
}

const hasNaN = ({ positives, negatives }: Ranking) => Number.isNaN(positives[0]) || Number.isNaN(negatives[0])

/** The chance that a true one has a larger score than a false one, where equal scores count half; NaN if either kind is missing. */
export function areaUnderRoc(ranking: Ranking): number {
  if (hasNaN(ranking)) return Number.NaN
  let area = 0
  let [p, n] = [0, 0]
  visit(ranking, (_, truePositives, falsePositives) => {
    area += ((truePositives + p) / 2) * (falsePositives - n)
    ;[p, n] = [truePositives, falsePositives]
  })
  return area / (ranking.positives.length * ranking.negatives.length)
}

/** Σ (recall_i - recall_(i-1)) precision_i over descending thresholds; 0 if nothing is true. */
export function averagePrecision(ranking: Ranking): number {
  if (hasNaN(ranking)) return Number.NaN
  let area = 0
  let p = 0
  visit(ranking, (_, truePositives, falsePositives) => {
    area += ((truePositives - p) * truePositives) / (truePositives + falsePositives)
    p = truePositives
  })
  return ranking.positives.length === 0 ? 0 : area / ranking.positives.length
}

/** Finite numbers, one after the other. */
export function finiteNumbers(where: string, what: string, data: NumbersLike): Float64Array {
  const place = `${where}: ${what}`
  const { size, read } = flatten(place, data)
  const values = new Float64Array(size)
  read(values as unknown as Float32Array)
  const bad = values.findIndex((value) => !Number.isFinite(value))
  if (bad >= 0) throw new DataError(`${place}: expected finite numbers, got ${values[bad]} at index ${bad}.`)
  return values
}

/** Two lists of numbers that belong together. */
export function pairs(where: string, names: readonly [string, string], a: NumbersLike, b: NumbersLike): [Float64Array, Float64Array] {
  const [first, second] = [finiteNumbers(where, names[0], a), finiteNumbers(where, names[1], b)]
  if (first.length !== second.length)
    throw new DataError(`${where}: ${names[0]} and ${names[1]} must be equally many, got ${first.length} and ${second.length}.`)
  if (first.length === 0) throw new DataError(`${where}: expected ${names[0]} and ${names[1]}, got no numbers at all.`)
  return [first, second]
}

/** Scores and labels of 0 or 1 (or -1 and 1). */
function scored(where: string, scores: NumbersLike, labels: NumbersLike, what = 'scores'): [Float64Array, Float64Array] {
  const [values, truths] = pairs(where, [what, 'labels'], scores, labels)
  const bad = truths.findIndex((label) => label !== 0 && label !== 1 && label !== -1)
  if (bad >= 0)
    throw new DataError(
      `${where}: labels must be 0 and 1 (or -1 and 1), got ${truths[bad]} at index ${bad}; of several classes compare one with the rest.`,
    )
  return [values, truths]
}

function rankingOf(where: string, scores: NumbersLike, labels: NumbersLike): Ranking {
  const [values, truths] = scored(where, scores, labels)
  return rank(values, (i) => truths[i] > 0)
}

/**
 * A ROC curve: a point for each different score, from (0, 0) to (1, 1).
 *
 * @example rocCurve([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]) satisfies RocCurve
 */
export interface RocCurve {
  /** The share of false ones with a score of at least the threshold. */
  readonly falsePositiveRate: Float64Array
  /** The share of true ones with a score of at least the threshold. */
  readonly truePositiveRate: Float64Array
  /** Descending; the first is Infinity, which nothing reaches. */
  readonly thresholds: Float64Array
  /** The area under the curve, which is `metrics.rocAuc`. */
  readonly area: number
}

/**
 * The receiver operating characteristic of scores: what share of the false ones one takes along for what share of the true ones (Fawcett 2006).
 * Rates of a kind that does not occur are NaN.
 *
 * @param scores Logits, probabilities, or any numbers of which larger means yes.
 * @param labels 0 and 1, or -1 and 1, as many.
 * @throws DataError if they are not equally many, not finite, or labels are something else.
 * @example rocCurve([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]).area
 */
export function rocCurve(scores: NumbersLike, labels: NumbersLike): RocCurve {
  const ranking = rankingOf('rocCurve', scores, labels)
  const points = [[Number.POSITIVE_INFINITY, 0, 0]]
  visit(ranking, (...point) => points.push(point))
  return {
    falsePositiveRate: Float64Array.from(points, ([, , n]) => n / ranking.negatives.length),
    truePositiveRate: Float64Array.from(points, ([, p]) => p / ranking.positives.length),
    thresholds: Float64Array.from(points, ([score]) => score),
    area: areaUnderRoc(ranking),
  }
}

/**
 * A precision-recall curve: a point for each different score, from recall 1 down, and a last one of precision 1 and recall 0.
 *
 * @example precisionRecallCurve([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]) satisfies PrecisionRecallCurve
 */
export interface PrecisionRecallCurve {
  /** The share of true ones among those with a score of at least the threshold. */
  readonly precision: Float64Array
  /** The share of the true ones that have a score of at least the threshold. */
  readonly recall: Float64Array
  /** Ascending; one fewer than points, for nothing reaches the last one. */
  readonly thresholds: Float64Array
  /** The average precision, which is `metrics.prAuc`. */
  readonly area: number
}

/**
 * Precision against recall over all thresholds, as `precision_recall_curve` of scikit-learn: better than ROC where few are true (Davis and
 * Goadrich 2006). If nothing is true, recall is 1.
 *
 * @param scores Logits, probabilities, or any numbers of which larger means yes.
 * @param labels 0 and 1, or -1 and 1, as many.
 * @throws DataError if they are not equally many, not finite, or labels are something else.
 * @example precisionRecallCurve([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]).area
 */
export function precisionRecallCurve(scores: NumbersLike, labels: NumbersLike): PrecisionRecallCurve {
  const ranking = rankingOf('precisionRecallCurve', scores, labels)
  const total = ranking.positives.length
  const points: [number, number, number][] = []
  visit(ranking, (score, p, n) => points.push([score, p / (p + n), total === 0 ? 1 : p / total]))
  points.reverse()
  return {
    precision: Float64Array.from([...points.map(([, precision]) => precision), 1]),
    recall: Float64Array.from([...points.map(([, , recall]) => recall), 0]),
    thresholds: Float64Array.from(points, ([score]) => score),
    area: averagePrecision(ranking),
  }
}

/** The bin of a probability among `bins` of equal width: (0, 1/bins], (1/bins, 2/bins], …; 0 belongs to the first. */
export function binOf(probability: number, bins: number): number {
  return Math.min(Math.max(Math.ceil(probability * bins) - 1, 0), bins - 1)
}

/**
 * A reliability diagram: bins of probability that hold at least one sample.
 *
 * @example calibrationCurve([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]) satisfies CalibrationCurve
 */
export interface CalibrationCurve {
  /** The mean probability in each bin. */
  readonly predicted: Float64Array
  /** The share of true ones in each bin. Of a calibrated model it is `predicted`. */
  readonly observed: Float64Array
  /** Samples in each bin. */
  readonly counts: Int32Array
}

/**
 * How often what is predicted with a probability really happens, in `bins` of equal width (Niculescu-Mizil and Caruana 2005).
 * Empty bins are left out.
 *
 * @param probabilities 0 … 1.
 * @param labels 0 and 1, or -1 and 1, as many.
 * @param options `bins`: how many, default 10.
 * @throws DataError if they are not equally many, or out of range.
 * @example calibrationCurve([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], { bins: 5 }).observed
 */
export function calibrationCurve(
  probabilities: NumbersLike,
  labels: NumbersLike,
  options: { readonly bins?: number } = {},
): CalibrationCurve {
  const where = 'calibrationCurve'
  checkOptions(where, options, ['bins'])
  const { bins = 10 } = options
  checkCount(where, 'bins', bins)
  const [values, truths] = scored(where, probabilities, labels, 'probabilities')
  const bad = values.findIndex((value) => value < 0 || value > 1)
  if (bad >= 0)
    throw new DataError(
      `${where}: probabilities must lie in 0 … 1, got ${values[bad]} at index ${bad} of ${counted(values.length, 'number')}; of logits take the sigmoid first.`,
    )
  const sums = Array.from({ length: bins }, () => ({ predicted: 0, observed: 0, count: 0 }))
  values.forEach((value, i) => {
    const bin = sums[binOf(value, bins)]
    bin.predicted += value
    bin.observed += truths[i] > 0 ? 1 : 0
    bin.count += 1
  })
  const filled = sums.filter(({ count }) => count > 0)
  return {
    predicted: Float64Array.from(filled, ({ predicted, count }) => predicted / count),
    observed: Float64Array.from(filled, ({ observed, count }) => observed / count),
    counts: Int32Array.from(filled, ({ count }) => count),
  }
}
