import { checkOptions } from '../../checks.ts'
import { DataError, describe } from '../../errors.ts'
import { Dataset } from '../dataset.ts'
import { ByteSource, type ByteSourceLike } from './byteSource.ts'
import type { RowHooks } from './csv.ts'
import { checkTextOptions, linesOf, readLineBlocks, type TextFileOptions, textOptionNames } from './text.ts'

/**
 * The lines of a text, without their ends, as they are: also empty ones. The file may be compressed by gzip, and larger than memory.
 *
 * @param source A path, a file URL, a Node Readable or a web ReadableStream of bytes.
 * @param options `encoding` by byte-order mark, else UTF-8; `maxRecordBytes` 16 MiB.
 * @throws FileError in a pass, if the file cannot be read.
 * @throws DataError in a pass: what is not text in this encoding, truncated gzip, a line that is too long, a file that changes while it is read.
 * @example await textLines(new Blob(['one\n', 'two\n']).stream()).map((line) => line.length).toArray()
 */
export function textLines(source: ByteSourceLike, options: TextFileOptions = {}): Dataset<string> {
  return readLines('textLines', source, options)
}

/**
 * Rows of a file of JSON Lines (NDJSON): one object a line. Blank lines are left out. Keys that could reach the prototype of objects are refused.
 * The file may be compressed by gzip, and larger than memory.
 *
 * @param source A path, a file URL, a Node Readable or a web ReadableStream of bytes.
 * @param options `encoding` by byte-order mark, else UTF-8; `maxRecordBytes` 16 MiB.
 * @throws FileError in a pass, if the file cannot be read.
 * @throws DataError in a pass: a line that is not a JSON object, with file and line; and as `textLines`.
 * @example await jsonLines<{ a: number }>(new Blob(['{"a": 1}\n', '{"a": 2}\n']).stream()).map(({ a }) => a).toArray()
 */
export function jsonLines<Row extends object = Record<string, unknown>>(
  source: ByteSourceLike,
  options: TextFileOptions = {},
): Dataset<Row> {
  return filledLines('jsonLines', source, options).map((line) => parseRow(line) as Row)
}

/** `jsonLines`, with what `broken` makes in place of rows that cannot be read; a line with a bad encoding ends the pass all the same. */
export function readJsonLines(where: string, source: ByteSourceLike, options: TextFileOptions, { broken }: RowHooks): Dataset<object> {
  const lines = filledLines(where, source, options)
  if (broken === undefined) return lines.map(parseRow)
  return new Dataset(
    async function* (pass) {
      for await (const { items, place } of lines.pass(pass))
        yield { items: items.map((line, i) => parsedOr(line, place(i), broken)), place }
    },
    { seeks: true },
  )
}

function parsedOr(line: string, place: string, broken: (error: DataError) => object): object {
  try {
    return parseRow(line)
  } catch (error) {
    return broken(new DataError(`${place}: ${(error as Error).message}`, { cause: error }))
  }
}

function filledLines(where: string, source: ByteSourceLike, options: TextFileOptions): Dataset<string> {
  return readLines(where, source, options).filter((line) => /\S/.test(line))
}

function readLines(where: string, source: ByteSourceLike, options: TextFileOptions): Dataset<string> {
  checkOptions(where, options, textOptionNames)
  const checked = checkTextOptions(where, options)
  const bytes = new ByteSource(where, source)
  return new Dataset(async function* ({ signal }) {
    for await (const { bytes: block, line } of readLineBlocks(bytes, checked, signal))
      yield { items: linesOf(block), place: (i) => `${bytes.name}, line ${line + i}` }
  })
}

function parseRow(line: string): object {
  let row: unknown
  try {
    row = JSON.parse(line, mayPollute(line) ? refusePollution : undefined)
  } catch (error) {
    if (error instanceof DataError) throw error
    const advice = /^\s*\[?\s*\{?\s*$/.test(line) ? '; is it one JSON document over several lines? Try dataset(JSON.parse(text))' : ''
    throw new DataError(`expected a JSON object, got ${describe(line)} (${(error as Error).message})${advice}.`, { cause: error })
  }
  if (typeof row !== 'object' || row === null || Array.isArray(row))
    throw new DataError(
      `expected a JSON object with a value for each column, got ${describe(row)}${Array.isArray(row) ? '; of one JSON document try dataset(JSON.parse(text))' : ''}.`,
    )
  return row
}

/** Keys may be spelt with escapes, so this only says where to look. */
const mayPollute = (line: string) => /__proto__|constructor|\\u/.test(line)

/** `__proto__`, and a `constructor` that holds a `prototype`, would change all objects if a row were merged into another one. */
function refusePollution(key: string, value: unknown): unknown {
  const isPrototype = typeof value === 'object' && value !== null && Object.hasOwn(value, 'prototype')
  if (key === '__proto__' || (key === 'constructor' && isPrototype))
    throw new DataError(`the key "${key}" is refused, as it could change the prototype of objects.`)
  return value
}
