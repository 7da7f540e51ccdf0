import { checkCount, checkOptions, checkSignal, nearestName } from '../../checks.ts'
import { DataError, describe, OptionError } from '../../errors.ts'
import { inferences } from './columns.ts'
import { inference } from './defaults.ts'
import type { FeatureColumn, TargetColumn } from './kind.ts'
import { leakOf } from './leaks.ts'
import { Profile } from './profile.ts'
import { checkRow, eachChunk, type RowSource, valueIn } from './rows.ts'
import { type ColumnNote, Schema } from './schema.ts'
import { inferTarget } from './targets.ts'
import type { Columns, Row } from './types.ts'

/** Options of `inferSchema`. */
export interface InferSchemaOptions {
  /** The column to predict, or several. */
  readonly target: string | readonly string[]
  /** How many rows to look at, from the first on; default 10,000. */
  readonly sample?: number
  /** Columns that are known: in place of what would be inferred; default none. */
  readonly columns?: Columns
  /** Stops it between chunks of rows; it rejects with an AbortError. */
  readonly signal?: AbortSignal
}

/**
 * A schema for a table, from its first rows: numbers, dates, truth values, categories, text, images and vectors by what the values are; text with leading zeros is a
 * category; what is empty, constant or an identifier (all values different, or counting the rows) is ignored. A target is a number if it has fractions or more than 20
 * values, else a class. What is questionable is in `warnings`: columns that are ignored or often missing, and columns that give the target away. Change what is wrong with
 * `with` and `without`.
 *
 * @param options `sample` 10,000.
 * @throws DataError if the target is not there, constant, or text of over 1,000 values; if nothing is left to predict from.
 * @example (await inferSchema([{ sqft: 900, price: 1e5 }, { sqft: 1200, price: 2e5 }], { target: 'price' })).describe()
 */
export async function inferSchema(rows: RowSource, options: InferSchemaOptions): Promise<Schema> {
  const where = 'inferSchema'
  if (options === undefined) throw new OptionError(`${where}: options are required, at least { target }.`)
  checkOptions(where, options, ['target', 'sample', 'columns', 'signal'])
  const { sample = inference.sample, columns: known = {}, signal } = options
  checkCount(where, 'sample', sample)
  checkSignal(where, signal)
  const targets = typeof options.target === 'string' ? [options.target] : options.target
  if (!Array.isArray(targets) || targets.length === 0 || targets.some((name) => typeof name !== 'string'))
    throw new OptionError(`${where}: target must be the name of a column, or an array of names, got ${describe(options.target)}.`)

  const { names, seen } = await sampleOf(where, rows, sample, signal)
  const given = new Map(Object.entries(known))
  for (const name of targets) if (!names.includes(name)) throw noTarget(where, name, names)
  for (const name of given.keys())
    if (!names.includes(name)) throw new DataError(`${where}: no row has the column "${name}"${didYouMean(name, names)}.`)

  const values = new Map(names.map((name) => [name, seen.map((row) => valueIn(row, name))]))
  const profiles = new Map([...values].map(([name, all]) => [name, new Profile(all)]))
  const columns = new Map<string, FeatureColumn | TargetColumn>()
  const notes = new Map<string, ColumnNote>()
  const warnings: string[] = []
  const warn = (name: string, text: string) => warnings.push(`column "${name}": ${text}.`)
  for (const [name, profile] of profiles) {
    const isTarget = targets.includes(name)
    const column = given.get(name)
    if (isTarget) checkTarget(where, name, profile, seen.length)
    if (column !== undefined) {
      columns.set(name, column)
      continue
    }
    const made = isTarget ? inferTarget(profile) : firstOf(profile)
    if (made === null)
      throw new DataError(
        `${where}: column "${name}" holds values of no kind (${describe(profile.values[0])} first); say what it is, such as { columns: { ${JSON.stringify(name)}: column.ignore() } }.`,
      )
    columns.set(name, made.column)
    notes.set(name, { reason: made.reason })
    if (made.warning !== undefined) warn(name, made.warning)
    else if (profile.missing > inference.manyMissing * seen.length) warn(name, `${profile.missing} of ${seen.length} values are missing`)
  }
  const features = [...columns].filter(([, column]) => column.role === 'feature' && !column.isIgnored)
  if (features.length === 0)
    throw new DataError(`${where}: no column is left to predict from. ${warnings.map((warning) => `Of ${warning}`).join(' ')}`.trimEnd())
  for (const target of targets) {
    for (const [name] of features) {
      const leak = leakOf(values.get(name) ?? [], values.get(target) ?? [], profiles.get(target) as Profile)
      if (leak !== null) warn(name, `${leak} "${target}"; if it is not known before the target is, leave it out`)
    }
  }
  return new Schema(columns, warnings, notes)
}

/** The first rows, and the names of all columns in them, in order of appearance. */
async function sampleOf(
  where: string,
  rows: RowSource,
  sample: number,
  signal: AbortSignal | undefined,
): Promise<{ names: readonly string[]; seen: readonly Row[] }> {
  const names = new Set<string>()
  const seen: Row[] = []
  await eachChunk(rows, signal, ({ items, place }) => {
    for (let i = 0; i < items.length && seen.length < sample; i++) {
      const row: unknown = items[i]
      checkRow(place(i), row)
      for (const name of Object.keys(row)) {
        if (name === '__proto__') throw new DataError(`${place(i)}: "__proto__" is no name for a column; rename it.`)
        names.add(name)
      }
      seen.push(row)
    }
    return seen.length < sample
  })
  if (seen.length === 0) throw new DataError(`${where}: expected rows, got none.`)
  return { names: [...names], seen }
}

function firstOf(profile: Profile) {
  for (const infer of inferences) {
    const found = infer(profile)
    if (found !== null) return found
  }
  return null
}

function checkTarget(where: string, name: string, { values, distinct, isWritten, markedNumbers, constant }: Profile, rows: number): void {
  const place = `${where}: target "${name}"`
  if (values.length === 0) throw new DataError(`${place}: expected values, got empty fields in all ${rows} rows.`)
  if (constant !== null)
    throw new DataError(
      `${place}: expected different values, got ${describe(constant)} in all ${values.length} rows with one; there is nothing to learn.`,
    )
  if (isWritten && markedNumbers.numbers.length === 0 && distinct.size > inference.mostClasses)
    throw new DataError(
      `${place}: expected numbers, or at most ${inference.mostClasses} classes, got ${distinct.size} different texts in ${values.length} rows; is it the right column?`,
    )
}

function noTarget(where: string, name: string, names: readonly string[]): DataError {
  const nearest = didYouMean(name, names)
  const shown = names.length <= 20 ? names.join(', ') : `${names.slice(0, 20).join(', ')} and ${names.length - 20} more`
  return new DataError(`${where}: there is no column "${name}" for a target${nearest === '' ? `; there are ${shown}.` : `${nearest}.`}`)
}

function didYouMean(name: string, names: readonly string[]): string {
  const nearest = nearestName(name, names)
  return nearest === null ? '' : `; the nearest is "${nearest}"`
}
