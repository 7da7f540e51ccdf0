import { createRequire } from 'node:module'
import type { CsvError } from 'csv-parse'
import { DataError } from '../../errors.ts'
import type { ByteSource } from './byteSource.ts'
import { countLines, hasLoneReturn, linesOf, NEWLINE, nextLine, RETURN, readLineBlocks, type TextEncoding } from './text.ts'

/** How records are written; the characters are one byte each. */
export interface Dialect {
  /** Null: to be found. */
  readonly delimiter: string | null
  readonly quote: string | null
  readonly comment: string | null
}

/** Records of a file, as arrays of their values. */
export interface Records {
  readonly records: string[][]
  /** The line in which each begins. */
  readonly lines: number[]
  /** What is wrong with the record after the last one. */
  readonly failure: DataError | null
}

/** What a block of whole lines holds. */
interface Parsed extends Records {
  /** Where the last record ends. What follows, if anything, has a quote that is not closed. */
  readonly end: number
  /** That quote. */
  readonly unclosed: { readonly line: number; readonly column: number } | null
}

/** The part of csv-parse that its streams stand on. */
interface Parsing {
  readonly info: { readonly bytes: number }
  parse(bytes: Buffer, end: boolean, push: (record: string[]) => void, close: () => void): (CsvError & { index?: number }) | undefined
}

/** The records of a CSV file, block by block. */
export async function* readRecords(
  source: ByteSource,
  given: Dialect,
  limits: { readonly encoding: TextEncoding | undefined; readonly maxRecordBytes: number },
  signal: AbortSignal | undefined,
): AsyncGenerator<Records, void, undefined> {
  let dialect = given
  /** Blocks that have not been parsed, or begin with a record that goes on. */
  let pending: Buffer[] = []
  let line = 1
  let size = 0
  let enough = 0
  const parseAll = () => {
    const bytes = pending.length === 1 ? pending[0] : Buffer.concat(pending)
    dialect = { ...dialect, delimiter: dialect.delimiter ?? findDelimiter(source.name, bytes, dialect) }
    const parsed = parse(source.name, bytes, line, dialect)
    const rest = bytes.subarray(parsed.end)
    if (rest.length > 0) line += countLines(bytes, 0, parsed.end)
    pending = rest.length > 0 ? [rest] : []
    size = rest.length
    // A long record is not looked at again before twice as much of it is there: its cost stays proportional to its length.
    enough = 2 * size
    return parsed
  }
  const notClosed = ({ unclosed }: Parsed, how: string) =>
    new DataError(`${source.name}, line ${unclosed?.line}: the quote that begins value ${unclosed?.column} is not closed ${how}.`)
  for await (const block of readLineBlocks(source, limits, signal)) {
    if (size === 0) line = block.line
    pending.push(block.bytes)
    size += block.bytes.length
    // A header alone does not tell the delimiter.
    const isHeader = dialect.delimiter === null && block.line + countLines(block.bytes) <= 2
    if (size < enough || isHeader) continue
    const parsed = parseAll()
    yield parsed
    if (size > limits.maxRecordBytes)
      throw notClosed(parsed, `within ${limits.maxRecordBytes} bytes; if that is meant, give a larger maxRecordBytes`)
  }
  if (size === 0) return
  const parsed = parseAll()
  yield parsed
  if (parsed.unclosed !== null) throw notClosed(parsed, 'before the end of the file')
}

/** Where no value is quoted, a line is a record, and splitting it is all there is to do: several times as fast as a parser. */
function parse(name: string, bytes: Buffer, line: number, dialect: Dialect): Parsed {
  const { quote, comment } = dialect
  const isPlain = !(quote !== null && bytes.includes(quote)) && !(comment !== null && bytes.includes(comment)) && !hasLoneReturn(bytes)
  return isPlain ? split(bytes, line, dialect) : parseQuoted(name, bytes, line, dialect)
}

function split(bytes: Buffer, line: number, { delimiter }: Dialect): Parsed {
  const records: string[][] = []
  const lines: number[] = []
  const all = linesOf(bytes)
  for (let i = 0; i < all.length; i++) {
    if (all[i] === '') continue
    records.push(all[i].split(delimiter as string))
    lines.push(line + i)
  }
  return { records, lines, end: bytes.length, unclosed: null, failure: null }
}

const require = createRequire(import.meta.url)

/** When it is first needed: who imports the library may never read such a file. */
function loadParser(): typeof import('csv-parse') {
  return require('csv-parse')
}

function parseQuoted(name: string, bytes: Buffer, firstLine: number, { delimiter, quote, comment }: Dialect): Parsed {
  const options = {
    delimiter: delimiter as string,
    quote,
    escape: quote,
    comment,
    comment_no_infix: true,
    record_delimiter: ['\r\n', '\n', '\r'],
    relax_column_count: true,
    // As everywhere: 5" is a value, and so is "5" inch.
    relax_quotes: true,
    skip_empty_lines: true,
  }
  // NOTE: its streams only add a queue to this; what they are is public, what they stand on is not, hence the exact version in package-lock.json and the tests.
  const { Parser } = loadParser()
  const { api } = new Parser(options) as unknown as { readonly api: Parsing }
  const records: string[][] = []
  const lines: number[] = []
  let end = 0
  let line = firstLine
  /** Goes on to where the next record begins. */
  const skipEmpty = () => {
    const start = startOfRecord(bytes, end, comment)
    line += countLines(bytes, end, start)
    end = start
  }
  const push = (record: string[]) => {
    skipEmpty()
    records.push(record)
    lines.push(line)
    line += countLines(bytes, end, api.info.bytes)
    end = api.info.bytes
  }
  const error = api.parse(bytes, true, push, () => {})
  if (error === undefined) return { records, lines, end: bytes.length, unclosed: null, failure: null }
  skipEmpty()
  const column = (error.index ?? 0) + 1
  if (error.code === 'CSV_QUOTE_NOT_CLOSED') {
    const unclosed = { line: line + countLines(bytes, end, Math.max(end, api.info.bytes)), column }
    return { records, lines, end, unclosed, failure: null }
  }
  const failure = new DataError(`${name}, line ${line}: value ${column} cannot be read (${error.message}).`, { cause: error })
  return { records, lines, end, unclosed: null, failure }
}

/** Where the next record begins: after blank lines and comments. */
function startOfRecord(bytes: Buffer, from: number, comment: string | null): number {
  let start = from
  for (;;) {
    if (bytes[start] === NEWLINE || bytes[start] === RETURN) start++
    else if (comment !== null && bytes[start] === comment.charCodeAt(0)) start = nextLine(bytes, start)
    else return start
  }
}

/** The delimiter that divides the first records into equally many values, the most; or else the first of them into the most. */
function findDelimiter(name: string, bytes: Buffer, dialect: Dialect): string {
  let sample = 0
  for (let line = 0; line < 20; line++) sample = nextLine(bytes, sample)
  let best = { delimiter: ',', isEven: false, width: 1 }
  for (const delimiter of [',', ';', '\t', '|']) {
    const { records } = parse(name, bytes.subarray(0, sample), 1, { ...dialect, delimiter })
    const width = records[0]?.length ?? 0
    const isEven = width > 1 && records.every(({ length }) => length === width)
    if (isEven === best.isEven ? width > best.width : isEven) best = { delimiter, isEven, width }
  }
  return best.delimiter
}
