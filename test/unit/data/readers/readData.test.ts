import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { tableFromArrays, tableToIPC } from 'apache-arrow'
import { parquetWriteBuffer } from 'hyparquet-writer'
import { afterAll, describe, expect, it } from 'vitest'
import { readData } from '../../../../src/data/readers/readData.ts'
import { DataError, FileError, OptionError } from '../../../../src/errors.ts'
import { isOpen } from './openFiles.ts'

const folder = mkdtempSync(join(tmpdir(), 'thalweg-data-'))
afterAll(() => rmSync(folder, { recursive: true }))

const save = (name: string, bytes: string | Uint8Array) => {
  const path = join(folder, name)
  writeFileSync(path, bytes)
  return path
}

const text = [
  { a: '1', b: 'x' },
  { a: '2', b: 'y' },
]
const typed = [
  { a: 1, b: 'x' },
  { a: 2, b: 'y' },
]
const csvText = 'a,b\n1,x\n2,y\n'
const jsonText = '{"a":1,"b":"x"}\n{"a":2,"b":"y"}\n'
const parquetBytes = new Uint8Array(
  parquetWriteBuffer({
    columnData: [
      { name: 'a', data: [1, 2], type: 'INT32' },
      { name: 'b', data: ['x', 'y'], type: 'STRING' },
    ],
  }),
)
const table = tableFromArrays({ a: Int32Array.of(1, 2), b: ['x', 'y'] })

describe('readData', () => {
  it.each([
    ['rows.csv', csvText, text],
    ['rows.txt', csvText.replaceAll(',', ';'), text],
    ['rows.tsv', csvText.replaceAll(',', '\t'), text],
    ['rows.csv.gz', gzipSync(csvText), text],
    ['rows.tsv.gz', gzipSync(csvText.replaceAll(',', '\t')), text],
    ['rows.jsonl', jsonText, typed],
    ['rows.ndjson.gz', gzipSync(jsonText), typed],
    ['rows.json', jsonText, typed],
    ['rows', `\ufeff${jsonText}`, typed],
    ['rows.parquet', parquetBytes, typed],
    ['parquet-by-its-first-bytes.csv', parquetBytes, typed],
    ['rows.feather', tableToIPC(table, 'file'), typed],
    ['rows.arrows', tableToIPC(table, 'stream'), typed],
    ['stream-by-its-first-bytes', tableToIPC(table, 'stream'), typed],
  ])('knows %s', async (name, bytes, expected) => {
    const path = save(name, bytes)
    expect(await readData(path).toArray()).toEqual(expected)
    const rest: unknown[] = []
    for await (const { items } of readData(path).pass({ skip: 1 })) rest.push(...items)
    expect(rest).toEqual(expected.slice(1))
    for await (const _ of readData(path)) break
    expect(isOpen(path)).not.toBe(true)
  })

  it('is told the format, and options of text', async () => {
    const path = save('odd.jsonl', '# rows\n1|x\n2|y\n')
    expect(await readData(path, { format: 'csv', delimiter: '|', header: ['a', 'b'], comment: '#' }).toArray()).toEqual(text)
    expect(await readData(Readable.from([Buffer.from(csvText)])).toArray()).toEqual(text)
    expect(await readData(Readable.from([Buffer.from(jsonText)]), { format: 'jsonLines' }).toArray()).toEqual(typed)
  })

  it('says what is wrong', async () => {
    const stream = () => Readable.from([Buffer.from(parquetBytes)])
    expect(() => readData(stream(), { format: 'parquet' })).toThrow(/not read from a stream/)
    expect(() => readData('x', { format: 'cvs' as never })).toThrow(/did you mean "csv"/)
    expect(() => readData('x', { delimter: ';' } as never)).toThrow(/did you mean "delimiter"/)
    expect(() => readData('x', { delimiter: ';;' })).toThrow(OptionError)
    await expect(readData(join(folder, 'none.csv')).toArray()).rejects.toBeInstanceOf(FileError)
    const others: [string, Uint8Array | string, RegExp][] = [
      ['book.xlsx', 'PK\x03\x04rest of it', /book.xlsx is a spreadsheet/],
      ['book.csv', Buffer.from('d0cf11e0a1b11ae1', 'hex'), /book.csv is an old spreadsheet/],
      ['data.db', 'SQLite format 3\0rest', /SQLite database; export/],
      ['data.duckdb', Buffer.concat([Buffer.alloc(8), Buffer.from('DUCK')]), /sql\('SELECT/],
    ]
    for (const [name, bytes, message] of others) {
      const failure = await readData(save(name, bytes))
        .toArray()
        .catch((error) => error)
      expect(failure).toBeInstanceOf(DataError)
      expect(failure.message).toMatch(message)
    }
  })

  it('takes .json for rows of JSON, and says what one document needs', async () => {
    expect(await readData(save('rows.json', jsonText)).toArray()).toEqual(typed)
    await expect(readData(save('list.json', '[{"a": 1, "b": 2}]')).toArray()).rejects.toThrow(
      /list.json, line 1: .*an array of 1; .*JSON.parse/,
    )
    await expect(readData(save('lines.json', '[\n  {"a": 1}\n]\n')).toArray()).rejects.toThrow(/lines.json, line 1: .*JSON.parse/)
  })

  it('reads the houses of Ames', async () => {
    const path = join(import.meta.dirname, '../../../../examples/data/ames.csv')
    const rows = await readData(path).toArray()
    expect(rows).toHaveLength(readFileSync(path, 'utf8').trimEnd().split('\n').length - 1)
  })
})
