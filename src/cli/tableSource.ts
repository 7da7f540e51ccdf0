/** The rows of a run: in memory, or read anew for each pass where they are too many. */
import type { Chunk } from '../data/chunk.ts'
import { Dataset } from '../data/dataset.ts'
import type { FittedSchema } from '../data/schema/fitted.ts'
import type { TargetColumn } from '../data/schema/kind.ts'
import type { Schema } from '../data/schema/schema.ts'
import type { Row } from '../data/schema/types.ts'
import { splitData } from '../data/split.ts'
import type { TableRows } from '../tabular/encoding.ts'

const rowsAtOnce = 1024

/** Rows of a table, in memory or not. */
export interface TableSource {
  /** Each row with its place in its file, for messages. */
  readonly placed: Dataset<Row>
  /** To measure. */
  readonly rows: TableRows
  /** Those in memory, or null. */
  readonly array: readonly Row[] | null
  /** To train on: those in memory, which training shuffles, or a dataset that shuffles them. */
  toTrain(seed: number): TableRows
  /** How many there are, where that is known. */
  readonly count: number | null
  filter(isKept: (row: Row) => boolean): TableSource
  split(share: number, seed: number): { readonly training: TableSource; readonly held: TableSource }
}

/** Reads all rows. */
export async function inMemory(dataset: Dataset<Row>, signal: AbortSignal): Promise<TableSource> {
  const chunks: Chunk<Row>[] = []
  for await (const chunk of dataset.pass({ signal })) chunks.push(chunk)
  // Asked for only when something is wrong with a row.
  const placeOf = (row: Row) => {
    for (const { items, place } of chunks) {
      const i = items.indexOf(row)
      if (i >= 0) return place(i)
    }
    return 'a row'
  }
  return sourceOf(
    chunks.flatMap(({ items }) => items),
    placeOf,
  )
}

function sourceOf(rows: readonly Row[], placeOf: (row: Row) => string): TableSource {
  return {
    rows,
    array: rows,
    toTrain: () => rows,
    count: rows.length,
    placed: new Dataset(async function* () {
      for (let i = 0; i < rows.length; i += rowsAtOnce) yield { items: rows.slice(i, i + rowsAtOnce), place: (j) => placeOf(rows[i + j]) }
    }),
    filter: (isKept) => sourceOf(rows.filter(isKept), placeOf),
    split(share, seed) {
      const { training, validation } = splitData({ rows: [...rows.keys()] }, { share, seed })
      const part = (chosen: readonly number[]) =>
        sourceOf(
          chosen.map((i) => rows[i]),
          placeOf,
        )
      return { training: part(training.rows), held: part(validation.rows) }
    },
  }
}

/** Leaves the rows where they are. */
export function streamed(placed: Dataset<Row>): TableSource {
  return {
    placed,
    rows: placed,
    array: null,
    toTrain: (seed) => placed.shuffle({ seed }),
    count: placed.count,
    filter: (isKept) => streamed(placed.filter(isKept)),
    split(share, seed) {
      const { training, validation } = placed.split(share, { seed })
      return { training: streamed(training), held: streamed(validation) }
    },
  }
}

/** Whether a row has all targets. */
export function hasTargets(schema: Schema): (row: Row) => boolean {
  const targets = schema.targets.map((name) => ({ name, column: schema.columns.get(name) as TargetColumn }))
  return (row) => targets.every(({ name, column }) => !column.isMissing(row[name]))
}

/** Refuses rows with a value that is none of its column's, with its place, before training and not after it. */
export async function checkRows(schema: FittedSchema, { placed }: TableSource, signal: AbortSignal): Promise<number> {
  const memory = schema.allocate(rowsAtOnce)
  let count = 0
  for await (const { items, place } of placed.pass({ signal })) {
    for (let i = 0; i < items.length; i += rowsAtOnce) {
      const some = items.slice(i, i + rowsAtOnce)
      count += schema.encodeInto(some, memory, 0, { place: (j) => place(i + j) })
    }
  }
  return count
}
