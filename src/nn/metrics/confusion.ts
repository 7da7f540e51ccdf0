/** Which class was taken for which: what is no single number, from class numbers in arrays. */
import { inspect } from 'node:util'
import { checkCount, checkOptions } from '../../checks.ts'
import { flatten, NdArray, type NumbersLike } from '../../data/ndarray.ts'
import { DataError, describe, OptionError } from '../../errors.ts'
import { fBetaOf, ratio } from './classification.ts'
import { finiteNumbers, pairs } from './curves.ts'

/** Class numbers of 0 … count - 1, of which there may be `most`. */
function classNumbers(where: string, most: number, predicted: NumbersLike, actual: NumbersLike, count?: number) {
  if (count !== undefined) checkCount(where, 'classes', count)
  const [p, t] = pairs(where, ['predicted', 'actual'], largestOf(where, predicted, actual), actual)
  for (const [name, values] of [
    ['predicted', p],
    ['actual', t],
  ] as const) {
    const bad = values.findIndex((value) => !(Number.isInteger(value) && value >= 0 && value < (count ?? Number.POSITIVE_INFINITY)))
    if (bad >= 0)
      throw new DataError(
        `${where}: ${name} must be class numbers of 0${count === undefined ? ' and up' : ` … ${count - 1}`}, got ${values[bad]} at index ${bad}; of one logit a sample take predictions.classes() first.`,
      )
  }
  const largest = [p, t].reduce((so, values) => values.reduce((a, b) => Math.max(a, b), so), 0)
  const classes = count ?? largest + 1
  if (classes > most)
    throw new DataError(`${where}: expected at most ${most} classes, got ${classes}; number those that occur from 0 on without gaps.`)
  return { p, t, count: classes }
}

/** Class numbers; of rows of scores, one axis more than there are class numbers, the largest. */
function largestOf(where: string, predicted: NumbersLike, actual: NumbersLike): NumbersLike {
  const { shape, size } = flatten(`${where}: predicted`, predicted)
  const width = shape === null || shape.length < 2 ? 1 : shape[shape.length - 1]
  if (shape === null || width < 2 || size !== width * flatten(`${where}: actual`, actual).size) return predicted
  return new NdArray(finiteNumbers(where, 'predicted', predicted), shape).argmax()
}

/**
 * How often samples of each class were taken for each: [classes, classes], a row for each true class and a column for each predicted one, as in
 * scikit-learn; the arguments are in the reverse order of `confusion_matrix` there.
 *
 * @param predicted Class numbers, or rows of scores: of these the largest counts.
 * @param actual The true class numbers.
 * @param options `classes`: how many there are; default the largest number given, plus 1.
 * @throws DataError if they are not equally many, or not class numbers, or there are more than 16384 classes.
 * @example confusionMatrix([0, 2, 1, 2], [0, 1, 1, 2]).toArray()
 * confusionMatrix(sequential([input(2), dense(3)]).predictSync([[0, 1], [1, 0]]), [2, 0])
 */
export function confusionMatrix(
  predicted: NumbersLike,
  actual: NumbersLike,
  options: { readonly classes?: number } = {},
): NdArray<Int32Array> {
  checkOptions('confusionMatrix', options, ['classes'])
  const { p, t, count } = classNumbers('confusionMatrix', 2 ** 14, predicted, actual, options.classes)
  const matrix = new Int32Array(count * count)
  p.forEach((guess, i) => {
    matrix[t[i] * count + guess] += 1
  })
  return new NdArray(matrix, [count, count])
}

/**
 * Precision, recall and F1 of a class, or an average of them; `support` is how many samples are of it.
 *
 * @example classificationReport([0, 1, 1], [0, 1, 0]).macroAverage satisfies ClassScores
 */
export interface ClassScores {
  readonly precision: number
  readonly recall: number
  readonly f1: number
  readonly support: number
}

/**
 * How well each class was told from the others. `toString()` is a table of it, which `console.log` shows too.
 *
 * @example classificationReport([0, 1, 1], [0, 1, 0]) satisfies ClassificationReport
 */
export interface ClassificationReport {
  /** One entry for each class, in order. */
  readonly classes: readonly (ClassScores & { readonly name: string })[]
  readonly accuracy: number
  /** The mean over classes that were predicted or true. */
  readonly macroAverage: ClassScores
  /** The same weighted by support. */
  readonly weightedAverage: ClassScores
  toString(): string
}

const scoreNames = ['precision', 'recall', 'f1'] as const

/**
 * Precision, recall, F1 and support of each class, with accuracy and averages, as `classification_report` of scikit-learn, whose first two
 * arguments are in the reverse order. What has nothing to divide by is 0.
 *
 * @param predicted Class numbers, or rows of scores: of these the largest counts.
 * @param actual The true class numbers.
 * @param options `names`: one for each class, for the table; default their numbers, up to the largest given.
 * @throws DataError if they are not equally many, or not class numbers, or there are more than 1048576 classes.
 * @example String(classificationReport([0, 1, 1, 1], [0, 1, 0, 1], { names: ['ham', 'spam'] }))
 */
export function classificationReport(
  predicted: NumbersLike,
  actual: NumbersLike,
  options: { readonly names?: readonly string[] } = {},
): ClassificationReport {
  const where = 'classificationReport'
  checkOptions(where, options, ['names'])
  const { names } = options
  if (names !== undefined && (!Array.isArray(names) || names.some((name) => typeof name !== 'string')))
    throw new OptionError(`${where}: names must be an array of strings, one for each class, got ${describe(names)}.`)
  const { p, t, count } = classNumbers(where, 2 ** 20, predicted, actual, names?.length)
  const [hits, guesses, truths] = [0, 1, 2].map(() => new Float64Array(count))
  t.forEach((label, i) => {
    truths[label] += 1
    guesses[p[i]] += 1
    if (p[i] === label) hits[label] += 1
  })
  const classes = Array.from(hits, (hit, k) => ({
    name: names?.[k] ?? String(k),
    precision: ratio(hit, guesses[k]),
    recall: ratio(hit, truths[k]),
    f1: fBetaOf(1, hit, guesses[k], truths[k]),
    support: truths[k],
  }))
  const average = (weightOf: (k: number) => number): ClassScores => {
    const total = classes.reduce((sum, _, k) => sum + weightOf(k), 0)
    const [precision, recall, f1] = scoreNames.map(
      (name) => classes.reduce((sum, scores, k) => sum + weightOf(k) * scores[name], 0) / total,
    )
    return { precision, recall, f1, support: t.length }
  }
  const report = {
    classes,
    accuracy: hits.reduce((a, b) => a + b, 0) / t.length,
    macroAverage: average((k) => (guesses[k] + truths[k] > 0 ? 1 : 0)),
    weightedAverage: average((k) => truths[k]),
  }
  // Not enumerable, so that copies and comparisons see the numbers alone.
  const shown = { toString: () => tableOf(report) }
  return Object.defineProperty({ ...report, ...shown }, inspect.custom, { value: shown.toString })
}

function tableOf({ classes, accuracy, macroAverage, weightedAverage }: Omit<ClassificationReport, 'toString'>): string {
  const row = (name: string, scores: ClassScores) => [name, ...scoreNames.map((key) => scores[key].toFixed(3)), String(scores.support)]
  const rows = [
    ['', ...scoreNames, 'support'],
    ...classes.map((scores) => row(scores.name, scores)),
    ['accuracy', '', '', accuracy.toFixed(3), String(macroAverage.support)],
    row('macro average', macroAverage),
    row('weighted average', weightedAverage),
  ]
  const widths = rows[0].map((_, column) => Math.max(...rows.map((cells) => cells[column].length)))
  return rows.map((cells) => cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  ')).join('\n')
}
