/** Rows of a table as the numbers of a network, some at a time. */
import { checkCount, checkSignal } from '../checks.ts'
import type { Chunk } from '../data/chunk.ts'
import { Dataset } from '../data/dataset.ts'
import type { NdArray } from '../data/ndarray.ts'
import type { EncodedMemory, EncodeOptions, FittedSchema } from '../data/schema/fitted.ts'
import type { Numbers } from '../data/schema/kind.ts'
import { checkChoice } from '../data/schema/optionChecks.ts'
import type { Row } from '../data/schema/types.ts'
import { AbortError, DataError, describe, OptionError } from '../errors.ts'
import { Pace } from '../pace.ts'
import { Streamed } from '../train/streamSupply.ts'
import type { TrainingData } from '../train/trainingData.ts'

/** Rows to train on or to measure. */
export type TableRows<Training = Row> = readonly Training[] | Dataset<Training>

/** Rows that are encoded together. */
const ROWS_AT_ONCE = 1024

/** Pieces of memory that are kept for calls to come. */
const MOST_FREE = 8

interface RowOptions extends Pick<EncodeOptions, 'missingTarget'> {
  readonly signal?: AbortSignal
}

/** Numbers of some rows, in memory that is theirs until the next ones are asked for. */
export interface EncodedRows {
  readonly inputs: readonly Numbers[]
  readonly count: number
}

/** The same with the numbers of their targets. */
export interface EncodedTargets extends EncodedRows {
  readonly targets: readonly Numbers[]
}

/** What turns the rows of a schema into numbers, in memory that it takes up again. */
export class TableEncoding {
  private readonly schema: FittedSchema
  /** Memory that no rows are in. */
  private readonly free: EncodedMemory[] = []

  constructor(schema: FittedSchema) {
    this.schema = schema
  }

  /** Rows without targets. */
  *inputs(rows: readonly unknown[], place: (i: number) => string): Generator<EncodedRows, void, undefined> {
    const memory = this.take(Math.min(rows.length, ROWS_AT_ONCE))
    try {
      for (let first = 0; first < rows.length; first += ROWS_AT_ONCE) {
        const some = rows.slice(first, first + ROWS_AT_ONCE)
        const count = this.schema.encodeInto(some, memory, 0, { targets: false, place: (i) => place(first + i) })
        yield { inputs: memory.inputs, count }
      }
    } finally {
      this.give(memory)
    }
  }

  /** Throws an error whose message begins with `where` for a row that cannot be encoded. */
  check(row: unknown, where: string): void {
    for (const _ of this.inputs([row], () => where)) return
  }

  /** Rows with their targets. */
  async *rows(where: string, rows: TableRows<unknown>, options: RowOptions): AsyncGenerator<EncodedTargets, void, undefined> {
    for await (const { items, place } of chunksOf(where, rows, options)) {
      const memory = this.take(items.length)
      try {
        const count = this.schema.encodeInto(items, memory, 0, { place, missingTarget: options.missingTarget })
        const targets = memory.targets.map((all) => all.subarray(0, (all.length / memory.rows) * count))
        if (count > 0) yield { inputs: memory.inputs, targets, count }
      } finally {
        this.give(memory)
      }
    }
  }

  /**
   * Rows with their targets as data to train on, and how many they are, if that is known.
   *
   * @param outputNames Of the network.
   * @param options `expected`: how many rows a dataset has.
   */
  async data(
    where: string,
    rows: TableRows<unknown>,
    outputNames: readonly string[],
    options: RowOptions & { readonly expected?: number },
  ): Promise<{ readonly data: TrainingData | Streamed<TrainingData>; readonly count: number | null }> {
    const { missingTarget, expected } = options
    if (rows instanceof Dataset) {
      if (missingTarget === 'skip')
        throw new OptionError(`${where}: missingTarget "skip" is for rows in an array; leave rows of a dataset out with filter().`)
      if (expected !== undefined) checkCount(where, 'rows', expected)
      const count = rows.count ?? expected ?? null
      const collate = (items: readonly unknown[], place: (i: number) => string) => {
        const memory = this.schema.allocate(items.length)
        return this.trainingData(memory, this.schema.encodeInto(items, memory, 0, { place }), outputNames)
      }
      return { data: new Streamed(rows, collate, false, count), count }
    }
    if (expected !== undefined) throw new OptionError(`${where}: rows is for datasets; an array knows how many it has.`)
    if (!Array.isArray(rows)) throw new OptionError(`${where}: expected an array of rows or a dataset of them, got ${describe(rows)}.`)
    const memory = this.schema.allocate(rows.length)
    let count = 0
    for await (const { items, place } of chunksOf(where, rows, options))
      count += this.schema.encodeInto(items, memory, count, { place, missingTarget })
    if (count === 0)
      throw new DataError(`${where}: expected rows with a target, got ${rows.length === 0 ? 'none' : `${rows.length} without`}.`)
    return { data: this.trainingData(memory, count, outputNames), count }
  }

  /** The first rows of a memory. */
  trainingData(memory: EncodedMemory, count: number, outputNames: readonly string[]): TrainingData {
    const [x, y] = [this.schema.inputNumbers(memory, count), this.schema.targetNumbers(memory, count)]
    const { outputs } = this.schema
    if (outputs.length === 1) return { x, y }
    return { x, y: Object.fromEntries(outputs.map(({ name }, i) => [outputNames[i], (y as Readonly<Record<string, NdArray>>)[name]])) }
  }

  /** Of any content: who encodes writes all numbers of a row. */
  private take(rows: number): EncodedMemory {
    const memory = this.free.pop()
    return memory !== undefined && memory.rows >= rows ? memory : this.schema.allocate(rows)
  }

  private give(memory: EncodedMemory): void {
    if (this.free.length < MOST_FREE) this.free.push(memory)
  }
}

/** Rows some at a time, so that the event loop turns in between. Places begin with `where`. */
async function* chunksOf(
  where: string,
  rows: TableRows<unknown>,
  { missingTarget = 'error', signal }: RowOptions,
): AsyncGenerator<Chunk<unknown>, void, undefined> {
  checkSignal(where, signal)
  checkChoice(where, 'missingTarget', missingTarget, ['error', 'skip'])
  if (rows instanceof Dataset) {
    for await (const { items, place } of rows.pass({ signal })) yield { items, place: (i) => `${where}: ${place(i)}` }
    return
  }
  if (!Array.isArray(rows)) throw new OptionError(`${where}: expected an array of rows or a dataset of them, got ${describe(rows)}.`)
  const pace = new Pace()
  for (let first = 0; first < rows.length; first += ROWS_AT_ONCE) {
    if (pace.isTooLong()) await pace.giveWay()
    if (signal?.aborted) throw new AbortError(`${where} was stopped.`, signal.reason)
    yield { items: rows.slice(first, first + ROWS_AT_ONCE), place: (i) => `${where}: row ${first + i}` }
  }
}

/** A row or several, and what to call them in messages. */
export function rowsOf<Input>(where: string, rows: Input | readonly Input[]): { list: readonly Input[]; place: (i: number) => string } {
  if (Array.isArray(rows)) return { list: rows, place: (i) => `${where}: row ${i}` }
  return { list: [rows as Input], place: () => where }
}

/** One after the other. */
export function joined(parts: readonly Float64Array[]): Float64Array {
  const all = new Float64Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}
