import { checkOptions, checkSignal } from '../checks.ts'
import { AbortError, DataError, describe, OptionError } from '../errors.ts'
import { Pace } from '../pace.ts'
import { Purpose, RandomStream } from '../random.ts'
import { histogramOf } from './distribution.ts'
import type { ColumnSummary, DataSummary } from './reportData.ts'

/** Options of `summarizeData`. @example await summarizeData([{ zip: '50010' }], { kinds: { zip: 'category' } } satisfies SummarizeDataOptions) */
export interface SummarizeDataOptions {
  /** What the values of columns are, by name, such as the kinds of a schema; default: "number" if all that are there are numbers or read as such, else "category". */
  readonly kinds?: Readonly<Record<string, string>>
  /** Stops it; it rejects with an AbortError. */
  readonly signal?: AbortSignal
}

/** Of more different values than this the frequencies are not counted further. */
const MOST_DISTINCT = 10_000
/** A histogram is drawn from as many values, each as likely as the others. */
const MOST_SAMPLED = 20_000
const BINS = 24

/** A value longer than this is cut in the report. */
const LONGEST = 80

/**
 * What data are: of each column its kind, how many values are missing (null, undefined, NaN, invalid dates and ''), the range and distribution of numbers, the most
 * frequent categories. One pass in bounded memory, so that a dataset may be larger than that.
 *
 * @param rows Rows by the names of the columns: an array, a dataset, any (async) iterable.
 * @param options `kinds`: as the values show; `signal`: none.
 * @returns For `ReportData.data`.
 * @throws DataError for rows that are not objects; AbortError when `signal` stops it.
 * @example (await summarizeData([{ area: 50, street: 'Pave' }, { area: 70, street: 'Grvl' }])).columns[0].mean
 */
export async function summarizeData(
  rows: Iterable<Readonly<Record<string, unknown>>> | AsyncIterable<Readonly<Record<string, unknown>>>,
  options: SummarizeDataOptions = {},
): Promise<DataSummary> {
  const where = 'summarizeData'
  checkOptions(where, options, ['kinds', 'signal'])
  const { kinds = {}, signal } = options
  if (typeof kinds !== 'object' || kinds === null)
    throw new OptionError(`${where}: kinds must be an object of kinds by column, got ${describe(kinds)}.`)
  checkSignal(where, signal)
  if (typeof rows !== 'object' || rows === null || !(Symbol.iterator in rows || Symbol.asyncIterator in rows))
    throw new DataError(`${where}: expected rows as an array or another (async) iterable, got ${describe(rows)}.`)
  const columns = new Map<string, Column>()
  const pace = new Pace()
  let count = 0
  const add = (row: unknown) => {
    if (typeof row !== 'object' || row === null || Array.isArray(row))
      throw new DataError(`${where}: row ${count} must be an object of values by column, got ${describe(row)}.`)
    for (const [name, value] of Object.entries(row)) {
      let column = columns.get(name)
      if (column === undefined) {
        column = new Column(name, columns.size, Object.hasOwn(kinds, name) ? kinds[name] : undefined)
        columns.set(name, column)
      }
      column.add(value)
    }
    count += 1
  }
  const giveWay = async () => {
    if (signal?.aborted) throw new AbortError(`${where} was stopped after ${count} rows.`, signal.reason)
    if (pace.isTooLong()) await pace.giveWay()
  }
  // NOTE: of what is no promise, for await would wait as well, a turn for every row.
  if (Symbol.asyncIterator in rows) {
    for await (const row of rows) {
      add(row)
      if (count % 64 === 0) await giveWay()
    }
  } else {
    for (const row of rows) {
      add(row)
      if (count % 64 === 0) await giveWay()
    }
  }
  return { rows: count, columns: Array.from(columns.values(), (column) => column.summary(count)) }
}

/** What is known of a column so far. */
class Column {
  private readonly name: string
  private readonly kind: string | undefined
  private readonly random: RandomStream
  private present = 0
  private numbers = 0
  private mean = 0
  private low = Number.POSITIVE_INFINITY
  private high = Number.NEGATIVE_INFINITY
  private readonly sample: number[] = []
  private readonly frequencies = new Map<string, number>()
  private isCounted = true

  constructor(name: string, place: number, kind: string | undefined) {
    this.name = name
    this.kind = kind
    this.random = new RandomStream(0, Purpose.sample, place)
  }

  add(value: unknown): void {
    if (value === null || value === undefined || value === '' || Number.isNaN(value)) return
    if (value instanceof Date && Number.isNaN(value.getTime())) return
    this.present += 1
    const isNumber = typeof value === 'bigint' || (typeof value === 'string' && value.trim() !== '')
    const number = isNumber ? Number(value) : value
    if (typeof number === 'number' && Number.isFinite(number)) this.addNumber(number)
    this.addText(typeof value === 'object' ? (value instanceof Date ? value.toISOString() : describe(value)) : String(value))
  }

  private addNumber(value: number): void {
    this.numbers += 1
    // NOTE: not one quotient of a difference, which of the largest numbers is infinite.
    this.mean += value / this.numbers - this.mean / this.numbers
    this.low = Math.min(this.low, value)
    this.high = Math.max(this.high, value)
    // Each of the numbers so far is in the sample with the same chance (Vitter 1985, algorithm R).
    if (this.sample.length < MOST_SAMPLED) this.sample.push(value)
    else {
      const place = this.random.below(this.numbers)
      if (place < MOST_SAMPLED) this.sample[place] = value
    }
  }

  private addText(value: string): void {
    const text = value.length > LONGEST ? `${value.slice(0, LONGEST)}…` : value
    const times = this.frequencies.get(text)
    if (times !== undefined) this.frequencies.set(text, times + 1)
    else if (this.frequencies.size < MOST_DISTINCT) this.frequencies.set(text, 1)
    else this.isCounted = false
  }

  summary(count: number): ColumnSummary {
    const { name, frequencies } = this
    const areNumbers = this.present > 0 && this.numbers === this.present
    const kind = this.kind ?? (areNumbers ? 'number' : 'category')
    const missing = count - this.present
    const distinct = this.isCounted ? { distinct: frequencies.size } : {}
    if (areNumbers && kind !== 'category')
      return {
        name,
        kind,
        missing,
        ...distinct,
        minimum: this.low,
        maximum: this.high,
        mean: this.mean,
        histogram: histogramOf(this.sample, BINS),
      }
    const top = [...frequencies].sort(([, a], [, b]) => b - a).slice(0, 5)
    return { name, kind, missing, ...distinct, top: top.map(([value, times]) => ({ value, count: times })) }
  }
}
