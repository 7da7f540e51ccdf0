import { checkBoolean, checkOptions } from '../../checks.ts'
import { counted, DataError, describe, OptionError } from '../../errors.ts'
import { Dataset } from '../dataset.ts'
import { ByteSource, type ByteSourceLike } from './byteSource.ts'
import { readRecords } from './records.ts'
import { checkTextOptions, type TextFileOptions, textOptionNames } from './text.ts'

/** Options of `csv`. */
export interface CsvOptions extends TextFileOptions {
  /** What stands between values, one character; default the comma, semicolon, tab or bar that divides the first records into equally many columns. */
  readonly delimiter?: string
  /** What stands around values that hold delimiters, ends of lines or (doubled) itself, one character, or false where nothing does; default `"`. */
  readonly quote?: string | false
  /** Whether the first record names the columns; or their names, if it does not. Default true; with false they are column1, column2, … */
  readonly header?: boolean | readonly string[]
  /** What lines begin with that are comments, one character; default none. */
  readonly comment?: string
}

/** A row of a CSV file: strings by the names of its columns; '' where there is nothing. */
export type CsvRow = Record<string, string>

/**
 * Rows of a CSV file, by column name, as strings (RFC 4180; lines may end by \n, \r\n or \r). Blank lines are left out. The file may be compressed by gzip,
 * and larger than memory: a block of it is held at a time.
 *
 * @param source A path, a file URL, a Node Readable or a web ReadableStream of bytes.
 * @param options `delimiter` found by the first records; `quote` '"'; `header` true; `comment` none; `encoding` by byte-order mark, else UTF-8; `maxRecordBytes` 16 MiB.
 * @throws FileError in a pass, if the file cannot be read.
 * @throws DataError in a pass, with file and line: a record with more or fewer values than there are columns, a quote that is not closed, columns without or
 * with the same name, nothing but a header; and as `textLines`.
 * @example await csv(new Blob(['size,price\n', '120,297412\n']).stream()).map(({ price }) => Number(price)).toArray()
 */
export function csv(source: ByteSourceLike, options: CsvOptions = {}): Dataset<CsvRow> {
  return readCsv('csv', source, options)
}

/** What else a reader of rows can be asked for. */
export interface RowHooks {
  /** Is told the names of the columns before the first row, where the file has them in one place; a header with nothing below it is then no error. */
  readonly onColumns?: (names: readonly string[], place: string) => void
  /** Makes what stands for a row that cannot be read; default: the pass ends with the error. */
  readonly broken?: (error: DataError) => object
}

/** `csv`, for those who want to know more. */
export function readCsv(where: string, source: ByteSourceLike, options: CsvOptions, hooks: RowHooks = {}): Dataset<CsvRow> {
  checkOptions(where, options, ['delimiter', 'quote', 'header', 'comment', ...textOptionNames], {
    separator: 'did you mean "delimiter"?',
    sep: 'did you mean "delimiter"?',
    columns: 'did you mean "header"?',
  })
  const { delimiter, quote = '"', header = true, comment } = options
  const text = checkTextOptions(where, options)
  const characters = Object.entries({ delimiter, quote: quote === false ? undefined : quote, comment }).filter(
    ([, value]) => value !== undefined,
  )
  characters.forEach(([name, value], i) => {
    if (typeof value !== 'string' || !/^[\t -~]$/.test(value))
      throw new OptionError(`${where}: ${name} must be one ASCII character, got ${describe(value)}.`)
    const other = characters.findIndex(([, before]) => before === value)
    if (other < i) throw new OptionError(`${where}: ${characters[other][0]} and ${name} must differ, got ${describe(value)} for both.`)
  })
  if (!Array.isArray(header)) checkBoolean(where, 'header', header)
  const given = Array.isArray(header) ? [...(header as readonly string[])] : null
  if (given !== null) checkNames(`${where}: header`, given, OptionError)
  const bytes = new ByteSource(where, source)
  const dialect = { delimiter: delimiter ?? null, quote: quote === false ? null : quote, comment: comment ?? null }

  return new Dataset(async function* ({ signal }) {
    let names = given
    let makeRow = names === null ? null : rowMaker(names)
    let isEmpty = true
    for await (const { records, lines, failure } of readRecords(bytes, dialect, text, signal)) {
      const place = (i: number) => `${bytes.name}, line ${lines[i]}`
      let first = 0
      if (names === null && records.length > 0) {
        names = header === false ? records[0].map((_, i) => `column${i + 1}`) : records[0]
        checkNames(place(0), names, DataError)
        makeRow = rowMaker(names)
        if (header === true) first = 1
        hooks.onColumns?.(names, place(0))
      }
      const items: CsvRow[] = []
      let ragged: DataError | null = null
      for (let i = first; i < records.length && ragged === null; i++) {
        if (records[i].length === names?.length) {
          items.push(makeRow?.(records[i]) as CsvRow)
          continue
        }
        const error = new DataError(
          `${place(i)}: expected ${counted(names?.length ?? 0, 'value')}, one for each column, got ${records[i].length}; a value that holds the delimiter needs quotes around it.`,
        )
        if (hooks.broken === undefined) ragged = error
        else items.push(hooks.broken(error) as CsvRow)
      }
      if (items.length > 0) yield { items, place: first === 0 ? place : (i) => place(i + first) }
      isEmpty &&= items.length === 0
      if (ragged !== null) throw ragged
      if (failure !== null) throw failure
    }
    if (names === null || (isEmpty && header !== true)) throw new DataError(`${bytes.name}: expected rows, but there is nothing in it.`)
    if (isEmpty && hooks.onColumns === undefined) throw new DataError(`${bytes.name}: expected rows, got a header and nothing below it.`)
  })
}

/** Rows of one shape, whatever the names: each begins as a copy of the same object, so that code which reads them meets one kind. */
function rowMaker(names: readonly string[]): (fields: readonly string[]) => CsvRow {
  const empty: CsvRow = Object.fromEntries(names.map((name) => [name, '']))
  return (fields) => {
    const row = { ...empty }
    for (let i = 0; i < names.length; i++) row[names[i]] = fields[i]
    return row
  }
}

/** Throws unless the names of columns can be keys of rows. */
function checkNames(place: string, names: readonly string[], Failure: typeof DataError | typeof OptionError): void {
  if (names.length === 0) throw new Failure(`${place}: expected the name of at least one column.`)
  const seen = new Map<string, number>()
  names.forEach((name, i) => {
    const first = seen.get(name)
    seen.set(name, i)
    const problem =
      typeof name !== 'string'
        ? `must be a string, got ${describe(name)}`
        : name === ''
          ? 'has no name (an index that pandas wrote? It leaves that out with index=False)'
          : name === '__proto__'
            ? 'is named __proto__, which is refused, as it could change the prototype of objects'
            : first !== undefined
              ? `has the name of column ${first + 1}, ${describe(name)}`
              : null
    if (problem !== null)
      throw new Failure(`${place}: column ${i + 1} ${problem}; try csv(path, { header: ['name', 'of', 'each', 'column'] }).skip(1).`)
  })
}
