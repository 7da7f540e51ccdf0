import { Readable } from 'node:stream'
import { checkOptions, unknownName } from '../../checks.ts'
import { DataError, OptionError } from '../../errors.ts'
import { Dataset } from '../dataset.ts'
import { arrow } from './arrow.ts'
import { ByteSource, type ByteSourceLike, peek } from './byteSource.ts'
import { type CsvOptions, csv, type RowHooks, readCsv } from './csv.ts'
import { readJsonLines } from './lines.ts'
import { parquet } from './parquet.ts'
import type { TextFileOptions } from './text.ts'

/** Formats of rows that `readData` knows. */
export type DataFormat = 'csv' | 'tsv' | 'jsonLines' | 'parquet' | 'arrow'

/** Options of `readData`: beside `format` those of `csv` and `jsonLines`, for what turns out to be text. */
export interface ReadDataOptions extends CsvOptions {
  /** The format; default what the first bytes and the name of the file say. */
  readonly format?: DataFormat
}

type Row = Record<string, unknown>
type Source = string | URL

const FORMATS: readonly DataFormat[] = ['csv', 'tsv', 'jsonLines', 'parquet', 'arrow']
const EXTENSIONS: readonly [RegExp, DataFormat][] = [
  [/\.(tsv|tab)$/i, 'tsv'],
  [/\.(jsonl|ndjson|jsonlines|json)$/i, 'jsonLines'],
  [/\.(parquet|pq)$/i, 'parquet'],
  [/\.(arrows?|feather|ipc)$/i, 'arrow'],
]
/** First bytes of what is not text. */
const SIGNATURES: readonly [string, DataFormat][] = [
  ['PAR1', 'parquet'],
  ['PARE', 'parquet'],
  ['ARROW1', 'arrow'],
  ['FEA1', 'arrow'],
  ['\xff\xff\xff\xff', 'arrow'],
]
/** First bytes of what is taken for a table, and is read in another way. */
const OTHERS: readonly [offset: number, signature: string, advice: string][] = [
  [0, 'PK\x03\x04', 'a spreadsheet or another zip file; save the sheet as CSV'],
  [0, '\xd0\xcf\x11\xe0', 'an old spreadsheet; save the sheet as CSV'],
  [0, 'SQLite format 3\0', 'a SQLite database; export the table as CSV'],
  [8, 'DUCK', "a DuckDB database; try sql('SELECT * FROM the_table', { database })"],
]

/**
 * The rows of a file, whatever its format: CSV (or with tabs), JSON lines, both also compressed by gzip, Parquet or Arrow. The first bytes tell, and for text
 * the name (.csv, .tsv, .jsonl, .ndjson; a text without such a name is JSON lines if it begins with a brace, else CSV). Rows are objects by column
 * name; CSV gives strings, the other formats typed values.
 *
 * @param source A path, a file URL, or (of text) a stream of bytes, which is CSV unless `format` says otherwise.
 * @param options `format` found; and those of `csv`.
 * @throws OptionError for unknown options, or for a stream in a format that is not read from front to back; else what `csv`, `jsonLines`, `parquet` and `arrow` throw.
 * @example await readData(new Blob(['size,price\n', '120,297412\n']).stream()).toArray()
 */
export function readData(source: ByteSourceLike, options: ReadDataOptions = {}): Dataset<Row> {
  const where = 'readData'
  checkOptions(where, options, ['format', 'delimiter', 'quote', 'header', 'comment', 'encoding', 'maxRecordBytes'])
  const { format, ...rest } = options
  if (format !== undefined && !FORMATS.includes(format)) throw unknownName('format', format, FORMATS, where)
  if (typeof source !== 'string' && !(source instanceof URL)) {
    if (format === 'parquet' || format === 'arrow')
      throw new OptionError(`${where}: ${format} is not read from a stream; give the path of a file.`)
    return reader(source, format ?? 'csv', rest)
  }
  if (format !== undefined) return reader(source, format, rest)
  // What does not depend on the file is said at once.
  csv(source, rest)
  return new Dataset(
    async function* (pass) {
      yield* reader(source, await formatOf(source, pass.signal), rest).pass(pass)
    },
    { seeks: true },
  )
}

/** Rows of a source, with what it turned out to be: also of a stream, which is looked into. */
export async function openData(
  source: ByteSourceLike,
  options: ReadDataOptions,
  hooks: RowHooks,
  signal?: AbortSignal,
): Promise<{ readonly format: DataFormat; readonly rows: Dataset<Row> }> {
  const { format: given, ...rest } = options
  if (typeof source === 'string' || source instanceof URL) {
    const format = given ?? (await formatOf(source, signal))
    return { format, rows: reader(source, format, rest, hooks) }
  }
  const bytes = new ByteSource('readData', source)
  // No more than comes at once: who writes a line and waits for an answer need not write another one first.
  const { first, all } = await peek(bytes.read(signal), 4)
  const format = given ?? formatIn(first, bytes.name)
  if (format === 'parquet' || format === 'arrow')
    throw new DataError(`${bytes.name}: ${format} is not read from a stream; give the path of a file.`)
  // By its path a stream is called in messages.
  const stream = Object.assign(Readable.from(all, { objectMode: true, highWaterMark: 1 }), { path: bytes.name })
  return { format, rows: reader(stream, format, rest, hooks) }
}

function reader(source: ByteSourceLike, format: DataFormat, options: CsvOptions, hooks: RowHooks = {}): Dataset<Row> {
  if (format === 'parquet') return parquet(source as Source)
  if (format === 'arrow') return arrow(source as Source)
  if (format === 'csv') return readCsv('csv', source, options, hooks)
  if (format === 'tsv') return readCsv('csv', source, { delimiter: '\t', ...options }, hooks)
  const { encoding, maxRecordBytes }: TextFileOptions = options
  return readJsonLines('jsonLines', source, { encoding, maxRecordBytes }, hooks) as Dataset<Row>
}

/** The format of a file, by its first bytes (of what is compressed, those inside) and its name. */
async function formatOf(source: Source, signal: AbortSignal | undefined): Promise<DataFormat> {
  const file = new ByteSource('readData', source)
  const bytes = file.read(signal)
  const { first } = await peek(bytes, 64)
  await bytes.return()
  return formatIn(first, file.name)
}

function formatIn(first: Buffer, place: string): DataFormat {
  const begin = first.subarray(0, 64).toString('latin1')
  const signature = SIGNATURES.find(([signature]) => begin.startsWith(signature))
  if (signature) return signature[1]
  for (const [offset, signature, what] of OTHERS) if (begin.startsWith(signature, offset)) throw new DataError(`${place} is ${what}.`)
  const name = place.replace(/\.gz$/i, '')
  const extension = EXTENSIONS.find(([pattern]) => pattern.test(name))
  if (extension) return extension[1]
  return !/\.(csv|txt)$/i.test(name) && /^(\xef\xbb\xbf)?\s*\{/.test(begin) ? 'jsonLines' : 'csv'
}
