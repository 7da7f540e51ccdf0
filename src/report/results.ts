import { checkOptions, unknownName } from '../checks.ts'
import { flatten, NdArray, type NumbersLike } from '../data/ndarray.ts'
import { counted, DataError, describe, OptionError } from '../errors.ts'
import { classificationReport, confusionMatrix } from '../nn/metrics/confusion.ts'
import { calibrationCurve, finiteNumbers, pairs, precisionRecallCurve, rocCurve } from '../nn/metrics/curves.ts'
import type { MetricName } from '../nn/metrics/index.ts'
import { score } from '../train/score.ts'
import { evenly, histogramOf, quantilesOf, sampleOf } from './distribution.ts'
import type { Point, ReportResults, ReportScore, ReportTask } from './reportData.ts'

/**
 * What `reportResults` makes results of.
 *
 * @example reportResults({ task: 'regression', predicted: [1, 2], actual: [1, 3] } satisfies ReportResultsOptions)
 */
export interface ReportResultsOptions {
  /** What is predicted. */
  readonly task: ReportTask
  /**
   * What the network says of each held-out row: "regression": numbers; "binary": the probability of 1; "classes": rows of probabilities, nested or an NdArray.
   */
  readonly predicted: NumbersLike
  /** What is so, as many: "regression": numbers; "binary": 0 and 1; "classes": class numbers. */
  readonly actual: NumbersLike
  /** The names of the classes, in order; of "binary" two. Default: their numbers. */
  readonly labels?: readonly string[]
  /** From which probability on "binary" says 1; default 0.5. */
  readonly threshold?: number
}

/** At most so many points of a chart. */
const MOST_POINTS = 2000
/** At most so many points of a curve whose shape is all there is to see. */
const MOST_CURVE_POINTS = 500
/** More classes than this make no table that can be read. */
const MOST_CLASSES = 25

/**
 * How good predictions are on rows that were held out: scores, and what the charts of a report show of them.
 *
 * @returns For `ReportData.results`. "regression": `r2Score`, `meanAbsoluteError`, `rootMeanSquaredError`, residuals; "binary": `rocAuc`, `accuracy`, `logLoss`,
 *   `f1`, the confusion matrix, scores of both classes, calibration, ROC and precision-recall curves; "classes": `accuracy`, `logLoss`, the confusion
 *   matrix, scores of each class, calibration.
 * @throws OptionError for an unknown task or option; DataError if there are no rows, predictions and truths are not equally many, not finite, or out of range.
 * @example reportResults({ task: 'binary', predicted: [0.9, 0.2, 0.6], actual: [1, 0, 0], labels: ['stays', 'leaves'] }).scores[0].value
 */
export function reportResults(options: ReportResultsOptions): ReportResults {
  const where = 'reportResults'
  if (options === undefined) throw new OptionError(`${where}: options are required, at least { task, predicted, actual }.`)
  checkOptions(where, options, ['task', 'predicted', 'actual', 'labels', 'threshold'])
  const { task, labels, threshold = 0.5 } = options
  if (!Object.hasOwn(makers, task)) throw unknownName('task', task, Object.keys(makers), where)
  if (labels !== undefined && (!Array.isArray(labels) || labels.some((label) => typeof label !== 'string')))
    throw new OptionError(`${where}: labels must be an array of strings, one for each class, got ${describe(labels)}.`)
  if (typeof threshold !== 'number' || !(threshold >= 0 && threshold <= 1))
    throw new OptionError(`${where}: threshold must be a number of 0 … 1, got ${describe(threshold)}.`)
  return makers[task](where, options)
}

const makers: Readonly<Record<ReportTask, (where: string, options: ReportResultsOptions) => ReportResults>> = {
  regression,
  binary,
  classes,
}

/** JSON has no NaN. */
const finite = (value: number) => (Number.isFinite(value) ? value : null)

function scoresOf(values: Partial<Record<MetricName, number>>): ReportScore[] {
  return Object.entries(values).map(([name, value]) => ({ name, value: finite(value) }))
}

function regression(where: string, { predicted, actual }: ReportResultsOptions): ReportResults {
  const [p, t] = pairs(where, ['predicted', 'actual'], predicted, actual)
  const differences = p.map((value, i) => value - t[i])
  refuseUnless(where, 'predicted - actual', 'finite', differences, Number.isFinite, 'give them in a larger unit')
  const sizes = differences.map(Math.abs).sort()
  const shares = [0.5, 0.8, 0.9, 0.95, 1]
  const sizesOfShares = quantilesOf(sizes, shares)
  const [low, high] = quantilesOf(differences.slice().sort(), [0.005, 0.995])
  return {
    rows: p.length,
    // Exactly, where the metrics count in float32.
    scores: scoresOf({
      r2Score: r2(p, t),
      meanAbsoluteError: mean(sizes),
      rootMeanSquaredError: Math.sqrt(mean(sizes.map((size) => size ** 2))),
    }),
    residuals: {
      points: Array.from(sampleOf(p.length, MOST_POINTS), (i): Point => [t[i], p[i]]),
      histogram: histogramOf(differences, 30, [low, high]),
      quantiles: shares.map((share, i) => ({ share, size: sizesOfShares[i] })),
    },
  }
}

function mean(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

function r2(predicted: Float64Array, actual: Float64Array): number {
  const middle = mean(actual)
  const squares = (differenceOf: (i: number) => number) => actual.reduce((sum, _, i) => sum + differenceOf(i) ** 2, 0)
  return 1 - squares((i) => actual[i] - predicted[i]) / squares((i) => actual[i] - middle)
}

function binary(where: string, { predicted, actual, labels, threshold = 0.5 }: ReportResultsOptions): ReportResults {
  const [p, t] = pairs(where, ['predicted', 'actual'], predicted, actual)
  refuseUnless(where, 'predicted', 'probabilities of 0 … 1', p, (value) => value >= 0 && value <= 1, 'of logits take the sigmoid first')
  refuseUnless(where, 'actual', '0 and 1', t, (value) => value === 0 || value === 1, 'compare one class with the rest')
  const names = namesOf(where, 2, labels)
  const guesses = Int32Array.from(p, (value) => Number(value >= threshold))
  const roc = rocCurve(p, t)
  const precisionRecall = precisionRecallCurve(p, t)
  const share = mean(t)
  const report = classificationReport(guesses, t, { names })
  const both = share > 0 && share < 1
  return {
    rows: p.length,
    scores: scoresOf({
      rocAuc: roc.area,
      accuracy: report.accuracy,
      logLoss: score('logLoss', p, t, { task: 'binary', probabilities: true }),
      f1: report.classes[1].f1,
    }),
    commonestShare: Math.max(share, 1 - share),
    labels: names,
    confusion: confusionOf(guesses, t, names),
    classes: report.classes,
    calibration: calibrationOf(p, t),
    ...(both && {
      roc: { points: pointsOf(roc.falsePositiveRate, roc.truePositiveRate), area: finite(roc.area) },
      precisionRecall: {
        points: pointsOf(precisionRecall.recall, precisionRecall.precision).toReversed(),
        area: finite(precisionRecall.area),
        base: share,
      },
    }),
  }
}

function classes(where: string, { predicted, actual, labels }: ReportResultsOptions): ReportResults {
  const t = finiteNumbers(where, 'actual', actual)
  const { shape } = flatten(`${where}: predicted`, predicted)
  if (shape === null || shape.length !== 2 || shape[1] < 2 || shape[0] !== t.length || t.length === 0)
    throw new DataError(
      `${where}: predicted must be rows of probabilities, one row for each of the ${counted(t.length, 'number')} in actual and one number for each of at least 2 classes, got ${shape === null ? describe(predicted) : `data of shape [${shape.join(', ')}]`}.`,
    )
  const [rows, width] = shape
  const names = namesOf(where, width, labels)
  refuseUnless(
    where,
    'actual',
    `class numbers of 0 … ${width - 1}`,
    t,
    (value) => Number.isInteger(value) && value >= 0 && value < width,
    'encode labels as their places in labels',
  )
  const p = new NdArray(finiteNumbers(where, 'predicted', predicted), shape)
  refuseUnless(
    where,
    'predicted',
    'probabilities of 0 … 1',
    p.data,
    (value) => value >= 0 && value <= 1,
    'of logits take the softmax first',
  )
  const guesses = p.argmax().data
  const confidence = guesses.map((guess, i) => i * width + guess)
  const report = classificationReport(guesses, t, { names })
  return {
    rows,
    scores: scoresOf({ accuracy: report.accuracy, logLoss: score('logLoss', p, t, { task: 'sparse', probabilities: true }) }),
    commonestShare: Math.max(...report.classes.map(({ support }) => support)) / rows,
    labels: names,
    confusion: confusionOf(guesses, t, names),
    classes: report.classes,
    calibration: calibrationOf(
      Float64Array.from(confidence, (place) => p.data[place]),
      Float64Array.from(guesses, (guess, i) => Number(guess === t[i])),
    ),
  }
}

function refuseUnless(
  where: string,
  name: string,
  expected: string,
  values: Float64Array,
  isGood: (value: number) => boolean,
  advice: string,
): void {
  const bad = values.findIndex((value) => !isGood(value))
  if (bad >= 0) throw new DataError(`${where}: ${name} must be ${expected}, got ${values[bad]} at index ${bad}; ${advice}.`)
}

function namesOf(where: string, count: number, labels?: readonly string[]): readonly string[] {
  if (labels !== undefined && labels.length !== count)
    throw new OptionError(`${where}: labels must be ${count} names, one for each class, got ${labels.length}.`)
  return labels ?? Array.from({ length: count }, (_, i) => String(i))
}

function pointsOf(x: Float64Array, y: Float64Array): readonly Point[] {
  const all = Array.from(x, (value, i): Point => [value, y[i]])
  return evenly(all, MOST_CURVE_POINTS)
}

function calibrationOf(probabilities: Float64Array, truths: Float64Array): ReportResults['calibration'] {
  const { predicted, observed, counts } = calibrationCurve(probabilities, truths)
  return { predicted: [...predicted], observed: [...observed], counts: [...counts] }
}

/** The confusion matrix; of many classes the rarest are joined. */
function confusionOf(guesses: Int32Array, truths: Float64Array, names: readonly string[]): ReportResults['confusion'] {
  const count = names.length
  if (count <= MOST_CLASSES)
    return { labels: names, counts: confusionMatrix(guesses, truths, { classes: count }).toArray() as unknown as number[][] }
  const support = new Float64Array(count)
  for (const truth of truths) support[truth] += 1
  const kept = Array.from(names.keys())
    .sort((a, b) => support[b] - support[a])
    .slice(0, MOST_CLASSES - 1)
    .sort((a, b) => a - b)
  const place = new Int32Array(count).fill(kept.length)
  kept.forEach((original, i) => {
    place[original] = i
  })
  const joined = (numbers: Int32Array | Float64Array) => Int32Array.from(numbers, (number) => place[number])
  return {
    labels: [...kept.map((original) => names[original]), `${count - kept.length} others`],
    counts: confusionMatrix(joined(guesses), joined(truths), { classes: kept.length + 1 }).toArray() as unknown as number[][],
  }
}
