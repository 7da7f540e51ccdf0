/** Rows from wherever they come, a chunk at a time. */
import { DataError, describe } from '../../errors.ts'
import { Pace } from '../../pace.ts'
import type { Chunk } from '../chunk.ts'
import { Dataset, type DatasetSource, dataset } from '../dataset.ts'
import type { Row } from './types.ts'

/**
 * Rows: a dataset, or what `dataset` makes one of, such as an array.
 *
 * @example await schema({ x: column.number(), y: target.number() }).fit([{ x: 1, y: 2 }, { x: 2, y: 3 }] satisfies RowSource)
 */
export type RowSource<T = Row> = Dataset<T> | DatasetSource<T>

/** Calls `look` with all rows in order, letting the event loop turn now and then. @param look Returns false to stop. */
export async function eachChunk<T>(rows: RowSource<T>, signal: AbortSignal | undefined, look: (chunk: Chunk<T>) => boolean): Promise<void> {
  const pace = new Pace()
  for await (const chunk of (rows instanceof Dataset ? rows : dataset<T>(rows)).pass({ signal })) {
    if (!look(chunk)) return
    if (pace.isTooLong()) await pace.giveWay()
  }
}

/** Refuses what is no row. */
export function checkRow(place: string, row: unknown): asserts row is Row {
  if (typeof row !== 'object' || row === null || Array.isArray(row) || ArrayBuffer.isView(row))
    throw new DataError(`${place}: expected a row, an object of values by column name, got ${describe(row)}.`)
}

/** A value of a row; what objects inherit, such as `constructor`, is none. */
export function valueIn(row: Row, name: string): unknown {
  const value = row[name]
  return typeof value === 'function' && !Object.hasOwn(row, name) ? undefined : value
}

/** A value, for a message. */
export function show(value: unknown): string {
  return value === undefined ? 'nothing' : typeof value === 'bigint' ? `${value}` : describe(value)
}
