/** Rows from the files that a command line names. */
import { stat } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { Dataset } from '../data/dataset.ts'
import { type DataFormat, openData, type ReadDataOptions, readData } from '../data/readers/readData.ts'
import type { Row } from '../data/schema/types.ts'
import { UsageError } from './errors.ts'
import type { Streams } from './output.ts'

/** For standard input, in place of a path. */
export const STDIN = '-'

export const formats: readonly DataFormat[] = ['csv', 'tsv', 'jsonLines', 'parquet', 'arrow']

/** The rows of files, one after the other; `-` is standard input, which can be read once. */
export function rowsOf(sources: readonly string[], streams: Streams, format?: DataFormat): Dataset<Row> {
  if (sources.filter((source) => source === STDIN).length > 1) throw new UsageError('standard input (-) can be read once only.')
  const options = format === undefined ? {} : { format }
  const [first, ...others] = sources.map((source) => (source === STDIN ? fromStream(streams.stdin, options) : readData(source, options)))
  return others.length === 0 ? first : (first.concatenate(...others) as Dataset<Row>)
}

/** Rows of a stream, in the format that it turns out to have. */
function fromStream(stream: Readable, options: ReadDataOptions): Dataset<Row> {
  return new Dataset<Row>(
    async function* (pass) {
      const { rows } = await openData(named(stream), options, {}, pass.signal)
      yield* rows.pass(pass)
    },
    { seeks: true },
  )
}

/** A stream with its name for messages, as a stream of a file has. */
function named(stream: Readable): Readable {
  return Object.assign(stream, { path: 'standard input' })
}

/** How many bytes rows take in memory for one in a file: each value is an object of its own. */
const growth = 8
/** What is compressed, or written in columns, is so many times smaller. */
const compression = 5

/** About how much memory the rows of files take; of standard input nobody knows, and of what cannot be read the reader will complain. */
export async function memoryOf(sources: readonly string[]): Promise<number> {
  const sizes = await Promise.all(
    sources.map(async (source) => {
      if (source === STDIN) return 0
      const { size } = await stat(source).catch(() => ({ size: 0 }))
      return size * growth * (/\.(gz|parquet|pq|arrows?|feather|ipc)$/i.test(source) ? compression : 1)
    }),
  )
  return sizes.reduce((sum, size) => sum + size, 0)
}
