import { checkBoolean, checkCount, checkInteger, checkOptions, checkSeed, type Hints } from '../checks.ts'
import { classNumbersOf } from '../data/classWeights.ts'
import { isNumbers, NdArray, type NumbersLike } from '../data/ndarray.ts'
import { counted, DataError, describe, OptionError } from '../errors.ts'
import { Purpose, RandomStream } from '../random.ts'
import { type Callback, checkCallbacks } from './callbacks/callback.ts'
import { type FitOptions, fitRows, type History } from './fit.ts'
import type { RowSplit } from './makeSupply.ts'
import type { EpochValues, Samples } from './measures.ts'
import { Model } from './model.ts'
import { Objective } from './objective.ts'
import { epochHints, fitOptionNames, listenerHints } from './options.ts'
import type { TrainingData } from './trainingData.ts'

/** Options of `kFold`. */
export interface KFoldOptions {
  /** Into how many parts the samples are split: each is held out once; default 5. */
  readonly folds?: number
  /** How often all of it is done, each time with another split; default 1. */
  readonly repeats?: number
  /** Whether samples are dealt out in a random order; otherwise in theirs, in blocks; default true. */
  readonly shuffle?: boolean
  /** Decides the splits: an integer of 0 … 2^53 - 1; default 0. */
  readonly seed?: number
}

/** The rows to train on, and those to hold out: both ascending. */
export type Fold = RowSplit

/**
 * Splits samples into folds for cross-validation. Folds differ by one sample at most. With labels the split is stratified: each label is spread over the folds
 * as evenly as can be.
 *
 * @param samples How many there are, or the label of each: class numbers, texts, or one-hot rows (nested arrays or an NdArray).
 * @param options `folds` 5, `repeats` 1, `shuffle` true, `seed` 0. The split is a function of these.
 * @returns folds · repeats splits.
 * @example kFold([0, 0, 0, 1, 1, 1], { folds: 3 })[0].validation
 */
export function kFold(samples: number | Labels | readonly ArrayLike<number>[] | NdArray<NumberArray>, options: KFoldOptions = {}): Fold[] {
  checkOptions('kFold', options, ['folds', 'repeats', 'shuffle', 'seed'], { stratified: 'give the labels in place of their number.' })
  if (typeof samples === 'number') {
    checkCount('kFold', 'the number of samples', samples)
    return foldsOf('kFold', samples, options)
  }
  const isRows = samples instanceof NdArray || (Array.isArray(samples) && isNumbers(samples[0]))
  if (isRows) return foldsOf('kFold', classNumbersOf('kFold', 'labels', samples as NumbersLike), options)
  const labels = samples as Labels
  if (typeof labels !== 'object' || labels === null || !Number.isSafeInteger(labels.length))
    throw new OptionError(`kFold: expected the number of samples, or their labels, got ${describe(labels)}.`)
  checkClasses('kFold', labels, 'for a split that is not stratified give the number of samples in place of labels')
  return foldsOf('kFold', labels, options)
}

type Labels = ArrayLike<number | string>
type NumberArray = Float32Array | Float64Array | Int32Array

/** Refuses to stratify by numbers that are no class numbers. */
function checkClasses(where: string, labels: Labels, advice: string): void {
  const row = Array.prototype.findIndex.call(labels, (label) => typeof label === 'number' && !Number.isSafeInteger(label))
  if (row >= 0)
    throw new DataError(
      `${where}: a stratified split needs classes, such as integers, got ${describe(labels[row])} at row ${row}; ${advice}.`,
    )
}

function foldsOf(where: string, samples: number | Labels, options: KFoldOptions): Fold[] {
  const { folds = 5, repeats = 1, shuffle = true, seed = 0 } = options
  const count = typeof samples === 'number' ? samples : samples.length
  checkInteger(where, 'folds', folds, { least: 2 })
  checkCount(where, 'repeats', repeats)
  checkBoolean(where, 'shuffle', shuffle)
  if (!shuffle && repeats > 1)
    throw new OptionError(`${where}: without shuffle all ${repeats} repeats would be the same; leave one of them out.`)
  checkSeed(where, seed)
  if (count < folds) throw new DataError(`${where}: ${counted(count, 'sample')} cannot be split into ${folds} folds; try fewer folds.`)
  const classes = typeof samples === 'number' ? [Int32Array.from({ length: count }, (_, i) => i)] : classesOf(where, samples, folds)
  return Array.from({ length: repeats }, (_, repeat) => {
    const random = new RandomStream(seed, Purpose.folds, repeat)
    const foldOfRow = new Int32Array(count)
    let dealt = 0
    for (const rows of classes) {
      const order = rows.slice()
      if (shuffle) random.shuffle(order)
      // Like cards, class after class: so neither the folds nor a class in them differ by more than one.
      if (shuffle || classes.length > 1) for (const row of order) foldOfRow[row] = dealt++ % folds
      else
        order.forEach((row, i) => {
          foldOfRow[row] = Math.floor((i * folds) / count)
        })
    }
    return Array.from({ length: folds }, (_, fold) => {
      const rows = Int32Array.from({ length: count }, (_, i) => i)
      return { training: rows.filter((row) => foldOfRow[row] !== fold), validation: rows.filter((row) => foldOfRow[row] === fold) }
    })
  }).flat()
}

/** The rows of each label. */
function classesOf(where: string, labels: Labels, folds: number): Int32Array[] {
  const rows = new Map<number | string, number[]>()
  for (let i = 0; i < labels.length; i++) {
    const known = rows.get(labels[i])
    if (known === undefined) rows.set(labels[i], [i])
    else known.push(i)
  }
  for (const [label, { length }] of rows)
    if (length < folds)
      throw new DataError(
        `${where}: label ${describe(label)} has ${counted(length, 'sample')}, too few for one in each of ${folds} folds; try fewer folds, or do not stratify.`,
      )
  return [...rows.values()].map((list) => Int32Array.from(list))
}

/** Options of `crossValidate`: those of fit, and how to split. */
export interface CrossValidateOptions
  extends Omit<KFoldOptions, 'shuffle'>,
    Omit<FitOptions, 'validationData' | 'validationSplit' | 'profile' | 'checkpoint' | 'callbacks'> {
  /** Whether each class is spread evenly over the folds; for classification only; default false. */
  readonly stratified?: boolean
  /** What happens beside training, as in fit: the same for all folds, one after the other, or a function from the number of the fold to its own. */
  readonly callbacks?: readonly Callback[] | ((fold: number) => readonly Callback[])
}

/** What `crossValidate` resolves with. */
export interface CrossValidation {
  /** What each fold's model measured on the samples held out, when its training had ended; and its history. Repeats follow each other. */
  readonly folds: readonly { readonly values: EpochValues; readonly history: History }[]
  /** Of each value, over all folds. */
  readonly mean: EpochValues
  /** Of each value, over all folds: of the sample, with n - 1 below the line. */
  readonly standardDeviation: EpochValues
}

const hints: Hints = {
  ...epochHints,
  ...listenerHints,
  seed: 'it decides the splits here.',
  validationData: 'each fold is validated on the samples it holds out.',
  validationSplit: 'each fold is validated on the samples it holds out; say how many with folds.',
  profile: 'it is an option of fit.',
  checkpoint: 'it is an option of fit.',
}

/**
 * k-fold cross-validation: trains a new model for each fold on all samples but those of the fold, and measures it on these. Early stopping and other callbacks see the fold's
 * samples as validation.
 *
 * @param build Makes a new model, with nothing of the one before; gets the number of the fold, from 0, repeats included.
 * @param data All samples.
 * @param options Those of fit, and `folds` 5, `stratified` false, `repeats` 1, `seed` 0 (of the splits).
 * @example await crossValidate(() => sequential([input(1), dense(1)]), { x: [[0], [1], [2], [3]], y: [[0], [2], [4], [6]] }, { loss: 'meanSquaredError', folds: 2 })
 */
export async function crossValidate(
  build: (fold: number) => Model,
  data: TrainingData,
  options: CrossValidateOptions,
): Promise<CrossValidation> {
  const where = 'crossValidate'
  if (typeof build !== 'function') throw new OptionError(`${where}: expected a function that builds a model, got ${describe(build)}.`)
  if (options === undefined) throw new OptionError(`${where}: options are required, at least { loss }.`)
  const refused = ['validationData', 'validationSplit', 'profile', 'checkpoint']
  const known = [...fitOptionNames.filter((name) => !refused.includes(name)), 'folds', 'repeats', 'stratified', 'seed']
  checkOptions(where, options, known, hints)
  const { folds, repeats, stratified = false, seed, callbacks, ...fitOptions } = options
  checkBoolean(where, 'stratified', stratified)
  const models = new WeakSet<Model>()
  const next = (fold: number) => {
    const model = build(fold)
    if (!(model instanceof Model)) throw new OptionError(`${where}: build must return a model, got ${describe(model)}.`)
    if (models.has(model)) throw new OptionError(`${where}: build must return a new model each time, got the same one again.`)
    models.add(model)
    return model
  }
  let model = next(0)
  const samples = new Objective(where, model, fitOptions).toSamples(where, data)
  const splits = foldsOf(where, stratified ? labelsOf(where, samples) : samples.count, { folds, repeats, seed })
  const results: { values: EpochValues; history: History }[] = []
  for (const [fold, split] of splits.entries()) {
    if (fold > 0) model = next(fold)
    const own = typeof callbacks === 'function' ? callbacks(fold) : (callbacks ?? [])
    checkCallbacks(where, own)
    const { history, run } = await fitRows(where, model, data, { ...fitOptions, callbacks: own }, split)
    results.push({ values: (await run.validate(fitOptions.signal)) as EpochValues, history })
  }
  const over = (statistic: (values: readonly number[]) => number): EpochValues =>
    Object.fromEntries(
      Object.keys(results[0].values).map((name) => [name, statistic(results.map(({ values }) => values[name]))]),
    ) as EpochValues
  return { folds: results, mean: over(mean), standardDeviation: over(standardDeviation) }
}

/** The class of each sample: its target, or for targets of several numbers the largest. */
function labelsOf(where: string, { y, count }: Samples): number[] {
  if (y.length > 1)
    throw new OptionError(
      `${where}: stratified needs a model of one output, this one has ${y.length}; leave it out, or use kFold with labels.`,
    )
  const [{ values }] = y
  const width = values.length / count
  const advice = 'stratified is for classification, leave it out'
  if (width === 1) {
    checkClasses(where, values, advice)
    return [...values]
  }
  const other = values.findIndex((value) => value < 0 || value > 1)
  if (other >= 0)
    throw new DataError(
      `${where}: a stratified split needs classes, such as one-hot rows, got ${values[other]} at row ${Math.floor(other / width)}; ${advice}.`,
    )
  return Array.from({ length: count }, (_, i) => {
    const row = values.subarray(i * width, (i + 1) * width)
    return row.indexOf(Math.max(...row))
  })
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

function standardDeviation(values: readonly number[]): number {
  const center = mean(values)
  return Math.sqrt(values.reduce((sum, value) => sum + (value - center) ** 2, 0) / (values.length - 1))
}
