/** Rows from the files that a command line names. */
import type { Dataset } from '../data/dataset.ts'
import { type DataFormat, readData } from '../data/readers/data.ts'
import type { Row } from '../data/schema/types.ts'
import { UsageError } from './errors.ts'
import type { Streams } from './output.ts'

/** For standard input, in place of a path. */
export const STDIN = '-'

/** The rows of files, one after the other; `-` is standard input, which can be read once. */
export function rowsOf(sources: readonly string[], streams: Streams, format?: DataFormat): Dataset<Row> {
  if (sources.filter((source) => source === STDIN).length > 1) throw new UsageError('standard input (-) can be read once only.')
  const options = format === undefined ? {} : { format }
  const [first, ...others] = sources.map((source) => readData(source === STDIN ? streams.stdin : source, options) as Dataset<Row>)
  return others.length === 0 ? first : first.concatenate(...others)
}
