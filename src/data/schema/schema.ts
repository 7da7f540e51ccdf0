import { checkOptions, checkSignal } from '../../checks.ts'
import { DataError, describe, OptionError } from '../../errors.ts'
import type { Dataset } from '../dataset.ts'
import { checkColumns, missingTargetError, unknownColumn } from './columnErrors.ts'
import { FittedSchema } from './fitted.ts'
import type { Collector, FeatureColumn, TargetColumn } from './kind.ts'
import { checkChoice } from './optionChecks.ts'
import { checkRow, eachChunk, type RowSource, show, valueIn } from './rows.ts'
import type { Columns, PredictionOf, Row, RowOf, TrainingRowOf } from './types.ts'
import { columnText, refuse } from './values.ts'

/** Options of `Schema.fit`. */
export interface FitSchemaOptions {
  /** Stops it between chunks of rows; it rejects with an AbortError. */
  readonly signal?: AbortSignal
  /** Rows without a target: "error", or "skip" to leave them out. Default "error". */
  readonly missingTarget?: 'error' | 'skip'
}

/** What inference found out about a column. */
export interface ColumnNote {
  readonly reason: string
}

/**
 * The columns of a table, and what each is to a network: those that it sees and those that it predicts. Made by `schema` or `inferSchema`; it does not change. `fit` finds the
 * statistics that encoding needs.
 *
 * @example const houses = schema({ sqft: column.number(), price: target.number() }); console.log(houses instanceof Schema && houses.targets)
 */
export class Schema<C extends Columns = Columns> {
  /** In order: the order of features too. */
  readonly columns: ReadonlyMap<string, FeatureColumn | TargetColumn>
  /** What inference found questionable, a sentence each. */
  readonly warnings: readonly string[]
  private readonly notes: ReadonlyMap<string, ColumnNote>

  /** @internal */
  constructor(
    columns: ReadonlyMap<string, FeatureColumn | TargetColumn>,
    warnings: readonly string[] = [],
    notes: ReadonlyMap<string, ColumnNote> = new Map(),
  ) {
    checkColumns(columns)
    this.columns = columns
    this.warnings = warnings
    this.notes = notes
  }

  /** The names of the columns that are predicted. */
  get targets(): readonly string[] {
    return [...this.columns].filter(([, { role }]) => role === 'target').map(([name]) => name)
  }

  /**
   * The same with other columns, or more of them.
   *
   * @throws OptionError for what is no column.
   * @example schema({ zip: column.number(), price: target.number() }).with({ zip: column.category() })
   */
  with<Changes extends Columns>(changes: Changes): Schema<Omit<C, keyof Changes> & Changes> {
    const given = mapOf('schema.with', changes)
    const notes = new Map([...this.notes].filter(([name]) => !given.has(name)))
    const warnings = this.warnings.filter((warning) => ![...given.keys()].some((name) => warning.startsWith(`column "${name}"`)))
    return new Schema(new Map([...this.columns, ...given]), warnings, notes)
  }

  /**
   * The same without some columns.
   *
   * @throws OptionError for a name that is none of them.
   * @example schema({ id: column.number(), sqft: column.number(), price: target.number() }).without('id')
   */
  without<const Names extends readonly string[]>(...names: Names): Schema<Omit<C, Names[number]>> {
    for (const name of names) if (!this.columns.has(name)) throw unknownColumn('schema.without', name, [...this.columns.keys()])
    const warnings = this.warnings.filter((warning) => !names.some((name) => warning.startsWith(`column "${name}"`)))
    return new Schema(new Map([...this.columns].filter(([name]) => !names.includes(name))), warnings, this.notes)
  }

  /**
   * A line for each column: its kind, its options, and why inference chose it; then the warnings.
   *
   * @example console.log(schema({ sqft: column.number(), price: target.number() }).describe())
   */
  describe(): string {
    const lines = [...this.columns].map(([name, { role, kind, options }]) => {
      const written = columnText(`${role === 'target' ? 'target' : 'column'}.${kind}`, options)
      return [name, written, this.notes.get(name)?.reason ?? '']
    })
    const width = (i: number) => Math.max(...lines.map((line) => line[i].length))
    const [names, kinds] = [width(0), Math.min(width(1), 60)]
    return [
      ...lines.map(([name, kind, reason]) => `${name.padEnd(names)}  ${kind.padEnd(kinds)}  ${reason}`.trimEnd()),
      ...this.warnings.map((warning) => `Warning: ${warning}`),
    ].join('\n')
  }

  /**
   * Finds all statistics that encoding needs, in one pass over the rows and in bounded memory. Rows are taken in order, so that the same rows give the same schema.
   *
   * @param rows A dataset, an array, or anything to iterate over.
   * @param options `missingTarget` "error".
   * @throws DataError for a value that is none of its column's, with its place; for a target that is constant or of one class; for no rows.
   * @example await schema({ sqft: column.number(), price: target.number() }).fit([{ sqft: 900, price: 1e5 }, { sqft: 1200, price: 2e5 }])
   */
  async fit(
    rows: RowSource<TrainingRowOf<C>> | Dataset<Row>,
    options: FitSchemaOptions = {},
  ): Promise<FittedSchema<RowOf<C>, TrainingRowOf<C>, PredictionOf<C>>> {
    const where = 'schema.fit'
    checkOptions(where, options, ['signal', 'missingTarget'])
    const { signal, missingTarget = 'error' } = options
    checkSignal(where, signal)
    checkChoice(where, 'missingTarget', missingTarget, ['error', 'skip'])
    const features = [...this.columns].flatMap(([name, column]) =>
      column.role === 'feature' ? [{ name, isIgnored: column.isIgnored ?? false, ...collecting(column.collect(name)) }] : [],
    )
    const targets = [...this.columns].flatMap(([name, column]) =>
      column.role === 'target' ? [{ name, column, ...collecting(column.collect(name)) }] : [],
    )
    let [count, skipped] = [0, 0]
    await eachChunk<unknown>(rows, signal, ({ items, place }) => {
      for (let i = 0; i < items.length; i++) {
        const row: unknown = items[i]
        checkRow(place(i), row)
        const lacking = targets.find(({ name, column }) => column.isMissing(valueIn(row, name)))
        if (lacking !== undefined) {
          skipped++
          if (missingTarget === 'skip') continue
          throw missingTargetError(place(i), lacking.name, row)
        }
        count++
        for (const each of targets) take(each, row, place, i)
        for (const each of features) take(each, row, place, i)
      }
      return true
    })
    if (count === 0)
      throw new DataError(
        skipped === 0 ? `${where}: expected rows, got none.` : `${where}: expected rows with a target, got ${skipped} without.`,
      )
    for (const { name, absent, isIgnored } of features) {
      if (absent === count && !isIgnored)
        throw new DataError(`${where}: no row has the column "${name}"; leave it out with schema.without("${name}").`)
    }
    return new FittedSchema(
      new Schema(this.columns, this.warnings, this.notes),
      new Map(features.map(({ name, collector }) => [name, collector.finish(`${where}: column "${name}"`)])),
      new Map(targets.map(({ name, collector }) => [name, collector.finish(`${where}: target "${name}"`)])),
      { rows: count, mayBeAbsent: new Set(features.filter(({ absent }) => absent > 0).map(({ name }) => name)) },
    )
  }
}

interface Collecting<Made = unknown> {
  readonly collector: Collector<Made>
  /** Rows without the column. */
  absent: number
}

const collecting = <Made>(collector: Collector<Made>): Collecting<Made> => ({ collector, absent: 0 })

/** Takes one value in. */
function take(
  each: Collecting & { readonly name: string },
  row: Readonly<Record<string, unknown>>,
  place: (i: number) => string,
  i: number,
): void {
  const value = valueIn(row, each.name)
  if (value === undefined) each.absent++
  const refusal = each.collector.add(value)
  if (refusal !== null) refuse(`${place(i)}, column "${each.name}"`, refusal, show(value))
}

/** Own entries, so that none can be the prototype. */
function mapOf(where: string, columns: Columns): Map<string, FeatureColumn | TargetColumn> {
  if (typeof columns !== 'object' || columns === null || Array.isArray(columns))
    throw new OptionError(`${where}: expected columns by name, got ${describe(columns)}.`)
  return new Map(Object.entries(columns))
}

/**
 * What each column of a table is: made by `column` for those a network sees, by `target` for those it predicts. The types of rows and predictions follow from it.
 *
 * @throws OptionError if there is no target, or nothing to predict it from.
 * @example schema({ sqft: column.number(), city: column.category(), price: target.number() })
 */
export function schema<const C extends Columns>(columns: C): Schema<C> {
  return new Schema(mapOf('schema', columns))
}
