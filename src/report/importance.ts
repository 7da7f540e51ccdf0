import { checkCount, checkOptions, checkSeed, checkSignal, unknownName } from '../checks.ts'
import { AbortError, DataError, describe, OptionError } from '../errors.ts'
import { Pace } from '../pace.ts'
import { Purpose, RandomStream } from '../random.ts'
import type { ReportImportance } from './reportData.ts'

/** A row: values by the names of the columns. */
type Row = Readonly<Record<string, unknown>>

/**
 * What `permutationImportance` measures, and how.
 *
 * @example await permutationImportance({ rows: [{ a: 1 }, { a: 2 }], metric: 'sum', score: (rows) => rows.length } satisfies ImportanceOptions<{ a: number }>)
 */
export interface ImportanceOptions<R extends Row = Row> {
  /** Rows with their targets, not trained on. A few hundred are enough, some thousands are better; they are not changed. */
  readonly rows: readonly R[]
  /** How good predictions are on rows like these: the network's score against the truth in them. */
  readonly score: (rows: readonly R[]) => number | Promise<number>
  /** The name of that score, for the report. */
  readonly metric: string
  /** Whether the score is better if larger ("max") or smaller ("min"); default "max". */
  readonly mode?: 'max' | 'min'
  /** The columns to shuffle; default: all of the first row. Leave out the target. */
  readonly columns?: readonly (keyof R & string)[]
  /** How many times each column is shuffled; default 5. */
  readonly repeats?: number
  /** Of the shuffles: an integer of 0 … 2^53 - 1; default 0. */
  readonly seed?: number
  /** Stops it between two scores; it rejects with an AbortError. */
  readonly signal?: AbortSignal
}

/**
 * What each column is worth to a network: by how much the score of held-out rows becomes worse when that column's values are shuffled among them, so
 * that they say nothing about the target any more (Breiman 2001; Fisher, Rudin and Dominici 2019). Columns that say the same share their importance, or hide it from each other.
 *
 * @returns The columns, the most important first, for `ReportData.importance`. `importance` is in the units of the score; below 0 is chance.
 * @throws OptionError or DataError for options, rows and scores that do not fit; AbortError when `signal` stops it; what `score` throws.
 * @example await permutationImportance({ rows: [{ a: 1, b: 0 }, { a: 2, b: 0 }, { a: 3, b: 0 }], columns: ['a', 'b'], metric: 'order', score: (rows) => rows.filter(({ a }, i) => a === i + 1).length })
 */
export async function permutationImportance<R extends Row>(options: ImportanceOptions<R>): Promise<ReportImportance> {
  const where = 'permutationImportance'
  if (options === undefined) throw new OptionError(`${where}: options are required, at least { rows, score, metric }.`)
  checkOptions(where, options, ['rows', 'score', 'metric', 'mode', 'columns', 'repeats', 'seed', 'signal'])
  const { rows, score, metric, mode = 'max', repeats = 5, seed = 0, signal } = options
  if (!Array.isArray(rows) || rows.length < 2)
    throw new DataError(`${where}: rows must be an array of at least 2 rows, or there is nothing to shuffle; got ${describe(rows)}.`)
  rows.forEach((row: unknown, i) => {
    if (typeof row !== 'object' || row === null)
      throw new DataError(`${where}: row ${i} must be an object of values by column, got ${describe(row)}.`)
  })
  if (typeof score !== 'function') throw new OptionError(`${where}: score must be a function of rows, got ${describe(score)}.`)
  if (typeof metric !== 'string' || metric === '')
    throw new OptionError(`${where}: metric must be the score's name, got ${describe(metric)}.`)
  if (mode !== 'max' && mode !== 'min') throw unknownName('mode', mode, ['max', 'min'], where)
  checkCount(where, 'repeats', repeats)
  checkSeed(where, seed)
  checkSignal(where, signal)
  const names = Object.keys(rows[0])
  const { columns = names } = options
  if (!Array.isArray(columns) || columns.length === 0)
    throw new OptionError(`${where}: columns must be an array of at least one name, got ${describe(columns)}.`)
  for (const column of columns) if (!names.includes(column)) throw unknownName('column', column, names, where)

  const sign = mode === 'max' ? 1 : -1
  const pace = new Pace()
  const scoreOf = async (given: readonly R[], what: string): Promise<number> => {
    if (signal?.aborted) throw new AbortError(`${where} was stopped.`, signal.reason)
    if (pace.isTooLong()) await pace.giveWay()
    const value: unknown = await score(given)
    if (typeof value !== 'number' || !Number.isFinite(value))
      throw new DataError(`${where}: score must give a finite number, got ${describe(value)} for ${what}.`)
    return value
  }
  const before = await scoreOf(rows, 'the rows as they are')
  const found = []
  for (const [place, name] of columns.entries()) {
    const losses: number[] = []
    for (let repeat = 0; repeat < repeats; repeat++) {
      const order = Int32Array.from(rows, (_, i) => i)
      new RandomStream(seed, Purpose.sample, place * repeats + repeat).shuffle(order)
      // A computed key makes a property of its own even of `__proto__`.
      const shuffled = rows.map((row, i): R => ({ ...row, [name]: rows[order[i]][name] }))
      losses.push(sign * (before - (await scoreOf(shuffled, `column ${describe(name)} shuffled`))))
    }
    const importance = losses.reduce((sum, loss) => sum + loss / repeats, 0)
    const spread = Math.sqrt(losses.reduce((sum, loss) => sum + (loss - importance) ** 2 / repeats, 0))
    found.push({ name, importance, spread })
  }
  return { metric, score: before, columns: found.sort((a, b) => b.importance - a.importance) }
}
