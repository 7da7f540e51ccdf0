import { checkBoolean, checkOptions } from '../checks.ts'
import type { FittedSchema } from '../data/schema/fitted.ts'
import type { TargetColumn } from '../data/schema/kind.ts'
import { valueIn } from '../data/schema/rows.ts'
import type { Schema } from '../data/schema/schema.ts'
import type { Columns, Row } from '../data/schema/types.ts'
import { DataError, describe, OptionError } from '../errors.ts'
import { kFold } from '../train/crossValidation.ts'
import type { History } from '../train/fit.ts'
import type { TableEvaluation, TableMetrics } from './evaluation.ts'
import { type TabularOptions, tabular } from './tabular.ts'
import type { TabularFitOptions, TabularModel } from './tabularModel.ts'

/** Options of `crossValidateTable`. */
export interface CrossValidateTableOptions {
  /** How many parts; default 5. */
  readonly folds?: number
  /** Whether each class of the only target is spread evenly over the parts; default false. */
  readonly stratified?: boolean
  /** Decides the parts, and begins the seeds of the models; default 0. */
  readonly seed?: number
  /** Of each model; default those of `tabular`. */
  readonly model?: Omit<TabularOptions, 'seed'>
  /** How each is trained; default as `TabularModel.fit` does. */
  readonly fit?: Omit<TabularFitOptions<readonly Row[]>, 'validationData' | 'checkpoint'>
  /** What is measured on the rows held out; default as `TabularModel.evaluate`. */
  readonly metrics?: TableMetrics
  /** Called (and awaited) when a fold is over, with its number from 0, its model and the rows held out from it; default none. */
  readonly onFold?: (fold: TableFold, number: number, model: TabularModel, heldOut: readonly Row[]) => unknown
}

/** One fold: what its model scored on the rows it has not seen. */
export interface TableFold {
  readonly values: TableEvaluation
  readonly history: History
  /** Of training. */
  readonly seconds: number
}

/** What `crossValidateTable` resolves with. */
export interface TableCrossValidation {
  readonly folds: readonly TableFold[]
  /** Of each value, over the folds. */
  readonly mean: TableEvaluation
}

/**
 * k-fold cross-validation of a table: for each fold the schema is fitted to the other rows, a new model trained on them, and measured on the fold. Nothing of a fold, no mean and no
 * category, is known to the model that is measured on it.
 *
 * @param schema Not fitted; `inferSchema` may have looked at all rows to find the kinds of columns.
 * @param rows All rows, with their targets.
 * @param options `folds` 5, `stratified` false, `seed` 0.
 * @throws DataError for a value that is none of its column's, with its place, and for too few rows; what `fit` throws.
 * @example const rows = Array.from({ length: 20 }, (_, x) => ({ x, y: 2 * x })); (await crossValidateTable(schema({ x: column.number(), y: target.number() }), rows, { folds: 2, fit: { epochs: 2 } })).mean.r2Score
 */
export async function crossValidateTable<C extends Columns>(
  schema: Schema<C>,
  rows: readonly Row[],
  options: CrossValidateTableOptions = {},
): Promise<TableCrossValidation> {
  const where = 'crossValidateTable'
  checkOptions(where, options, ['folds', 'stratified', 'seed', 'model', 'fit', 'metrics', 'onFold'])
  const { folds: count = 5, stratified = false, seed = 0, model: ofModel = {}, fit = {}, metrics, onFold } = options
  if (!Array.isArray(rows)) throw new DataError(`${where}: expected an array of rows; of a dataset take await dataset.toArray().`)
  checkBoolean(where, 'stratified', stratified)
  for (const [name, value] of Object.entries({ model: ofModel, fit }))
    if (typeof value !== 'object' || value === null) throw new OptionError(`${where}: ${name} must be an object, got ${describe(value)}.`)
  const targets = schema.targets.map((name) => ({ name, column: schema.columns.get(name) as TargetColumn }))
  if (stratified && targets.length > 1) throw new OptionError(`${where}: stratified is for one target, got ${schema.targets.join(', ')}.`)
  const { missingTarget, signal } = fit
  const fitTo = async (some: readonly Row[]) => (await schema.fit(some as never, { missingTarget, signal })) as unknown as FittedSchema
  // What is wrong with a row is found here, where rows have their own numbers.
  await fitTo(rows)
  const hasTargets = (row: Row) => targets.every(({ name, column }) => !column.isMissing(valueIn(row, name)))
  const known = missingTarget === 'skip' ? rows.filter(hasTargets) : rows
  const samples = stratified ? known.map((row) => String(valueIn(row, targets[0].name))) : known.length
  const folds: TableFold[] = []
  for (const [i, { training, validation }] of kFold(samples, { folds: count, seed }).entries()) {
    const some = (chosen: Int32Array) => Array.from(chosen, (row) => known[row])
    const begun = performance.now()
    const model: TabularModel = tabular(await fitTo(some(training)), { ...ofModel, seed: seed + i })
    const history = await model.fit(some(training), fit)
    const seconds = (performance.now() - begun) / 1000
    const held = some(validation)
    const fold = { values: await model.evaluate(held, { metrics, signal }), history, seconds }
    folds.push(fold)
    await onFold?.(fold, i, model, held)
  }
  const names = Object.keys(folds[0].values)
  const mean = Object.fromEntries(names.map((name) => [name, folds.reduce((sum, { values }) => sum + values[name], 0) / folds.length]))
  return { folds, mean }
}
