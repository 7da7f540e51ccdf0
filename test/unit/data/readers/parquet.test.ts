import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { type ColumnSource, parquetWriteBuffer } from 'hyparquet-writer'
import { afterAll, describe, expect, it } from 'vitest'
import { parquet } from '../../../../src/data/readers/parquet.ts'
import { sql } from '../../../../src/data/readers/sql.ts'
import { DataError, FileError, OptionError } from '../../../../src/errors.ts'
import { expectError } from '../../../expectError.ts'
import { isOpen } from './openFiles.ts'

const folder = mkdtempSync(join(tmpdir(), 'thalweg-parquet-'))
afterAll(() => rmSync(folder, { recursive: true }))

type WriteOptions = Omit<Parameters<typeof parquetWriteBuffer>[0], 'columnData'>

let files = 0
const encode = (columnData: ColumnSource[], options: WriteOptions = {}) => Buffer.from(parquetWriteBuffer({ columnData, ...options }))
function save(bytes: Uint8Array): string {
  const path = join(folder, `${files++}.parquet`)
  writeFileSync(path, bytes)
  return path
}
const write = (columnData: ColumnSource[], options?: WriteOptions) => save(encode(columnData, options))

const numbered = (count: number): ColumnSource[] => [
  { name: 'id', data: Int32Array.from({ length: count }, (_, i) => i), nullable: false, encoding: 'DELTA_BINARY_PACKED' },
  { name: 'half', data: Float64Array.from({ length: count }, (_, i) => i / 2) },
  { name: 'name', data: Array.from({ length: count }, (_, i) => (i % 5 === 0 ? null : `row ${i % 7}`)), type: 'STRING' },
  {
    name: 'text',
    data: Array.from({ length: count }, (_, i) => `a text of its own, number ${i}`),
    type: 'STRING',
    encoding: 'DELTA_BYTE_ARRAY',
  },
  { name: 'even', data: Array.from({ length: count }, (_, i) => i % 2 === 0), type: 'BOOLEAN' },
  {
    name: 'long',
    data: BigInt64Array.from({ length: count }, (_, i) => BigInt(i) * 1_000_000_000n),
    encoding: 'DELTA_BINARY_PACKED',
    nullable: false,
  },
]
const numberedRow = (i: number) => ({
  id: i,
  half: i / 2,
  name: i % 5 === 0 ? null : `row ${i % 7}`,
  text: `a text of its own, number ${i}`,
  even: i % 2 === 0,
  long: i * 1e9,
})

describe('parquet', () => {
  it('gives plain values', async () => {
    const path = write([
      { name: 'int', data: [1, null, 3], type: 'INT32' },
      { name: 'long', data: [2n ** 53n - 1n, null, -5n], type: 'INT64' },
      { name: 'float', data: Float32Array.of(0.5, 1.5, 2.5), type: 'FLOAT' },
      { name: 'double', data: [0.1, null, NaN], type: 'DOUBLE' },
      { name: 'bool', data: [true, null, false], type: 'BOOLEAN' },
      { name: 'text', data: ['a', null, 'ü€😀'], type: 'STRING' },
      { name: 'bytes', data: [Uint8Array.of(255, 0), null, Uint8Array.of(7)], type: 'BYTE_ARRAY' },
      { name: 'time', data: [new Date(0), null, new Date('2024-02-29T12:34:56.789Z')], type: 'TIMESTAMP' },
      { name: 'json', data: [{ a: [1] }, null, 'x'], type: 'JSON' },
    ])
    expect(await parquet(path).toArray()).toEqual([
      {
        int: 1,
        long: 2 ** 53 - 1,
        float: 0.5,
        double: 0.1,
        bool: true,
        text: 'a',
        bytes: Uint8Array.of(255, 0),
        time: new Date(0),
        json: { a: [1] },
      },
      { int: null, long: null, float: 1.5, double: null, bool: null, text: null, bytes: null, time: null, json: null },
      {
        int: 3,
        long: -5,
        float: 2.5,
        double: NaN,
        bool: false,
        text: 'ü€😀',
        bytes: Uint8Array.of(7),
        time: new Date('2024-02-29T12:34:56.789Z'),
        json: 'x',
      },
    ])
  })

  it('gives lists, structs, dates and decimals', async () => {
    const path = write(
      [
        { name: 'list', data: [[1, 2.5], [], null, [3]] },
        { name: 'date', data: [new Date('2024-02-29'), new Date('1969-12-31'), new Date(0), new Date(0)] },
        { name: 'price', data: [0.3, 12.34, -1.1, 0] },
        {
          name: 'point',
          data: [
            { x: 1, y: 2n },
            { x: 3, y: 4n },
            { x: 5, y: 6n },
            { x: 7, y: 8n },
          ],
        },
      ],
      {
        schema: [
          { name: 'root', num_children: 4 },
          { name: 'list', repetition_type: 'OPTIONAL', num_children: 1, converted_type: 'LIST' },
          { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
          { name: 'element', repetition_type: 'OPTIONAL', type: 'DOUBLE' },
          { name: 'date', repetition_type: 'REQUIRED', type: 'INT32', converted_type: 'DATE' },
          { name: 'price', repetition_type: 'REQUIRED', type: 'INT32', converted_type: 'DECIMAL', scale: 2, precision: 6 },
          { name: 'point', repetition_type: 'REQUIRED', num_children: 2 },
          { name: 'x', repetition_type: 'REQUIRED', type: 'INT32' },
          { name: 'y', repetition_type: 'REQUIRED', type: 'INT64' },
        ],
      },
    )
    expect(await parquet(path).toArray()).toEqual([
      { list: [1, 2.5], date: new Date('2024-02-29'), price: 0.3, point: { x: 1, y: 2 } },
      { list: [], date: new Date('1969-12-31'), price: 12.34, point: { x: 3, y: 4 } },
      { list: null, date: new Date(0), price: -1.1, point: { x: 5, y: 6 } },
      { list: [3], date: new Date(0), price: 0, point: { x: 7, y: 8 } },
    ])
  })

  it('reads row groups one by one, and from anywhere on', async () => {
    const path = write(numbered(5000), { rowGroupSize: 1500 })
    const rows = await parquet(path).toArray()
    expect(rows).toEqual(Array.from({ length: 5000 }, (_, i) => numberedRow(i)))
    for (const skip of [0, 1, 1499, 1500, 3100, 4999, 5000, 6000]) {
      const rest: unknown[] = []
      const places: string[] = []
      for await (const { items, place } of parquet(path).pass({ skip })) {
        rest.push(...items)
        places.push(place(0))
      }
      expect(rest).toEqual(rows.slice(skip))
      if (skip < 5000) expect(places[0]).toBe(`${path}, row ${skip}`)
    }
  })

  it('reads the columns asked for, in their order', async () => {
    const path = write(numbered(3))
    expect(
      await parquet(path, { columns: ['half', 'id'] })
        .map((row) => Object.entries(row))
        .first(1),
    ).toEqual([
      [
        ['half', 0],
        ['id', 0],
      ],
    ])
    await expect(parquet(path, { columns: ['hal'] }).toArray()).rejects.toThrow(/Unknown column "hal" for .*did you mean "half"/)
  })

  const gzip = (bytes: Uint8Array) => gzipSync(bytes)
  const codecs = [
    ['UNCOMPRESSED', undefined],
    ['SNAPPY', undefined],
    ['GZIP', gzip],
    ['BROTLI', (bytes: Uint8Array) => brotliCompressSync(bytes)],
    ['LZ4_RAW', literalsOnly],
  ] as const
  it.each(codecs)('decodes %s', async (codec, compress) => {
    const path = write(numbered(300), { codec, compressors: compress ? { [codec]: compress } : undefined })
    expect(await parquet(path).toArray()).toEqual(Array.from({ length: 300 }, (_, i) => numberedRow(i)))
  })

  it('takes decoders for others, and says so without', async () => {
    const path = write(numbered(300), { codec: 'LZO', compressors: { LZO: gzip } })
    await expect(parquet(path).toArray()).rejects.toThrow(/compressed with LZO.*hyparquet-compressors/)
    const { gunzipSync } = await import('node:zlib')
    expect(await parquet(path, { compressors: { LZO: (bytes) => gunzipSync(bytes) } }).toArray()).toHaveLength(300)
  })

  it.each(['snappy', 'gzip', 'brotli', 'lz4_raw', 'uncompressed'])('reads what DuckDB writes, %s, in both versions', async (codec) => {
    const query = `SELECT i AS id, CASE WHEN i % 3 = 0 THEN NULL ELSE 'name ' || (i % 7) END AS name, i / 8 AS eighth, (i * 1.25)::DECIMAL(18, 2) AS price,
      DATE '2024-01-01' + i::INTEGER AS day, TIMESTAMP '2024-01-01' + INTERVAL (i) SECOND AS time, i % 2 = 0 AS even, [i, NULL, i + 1] AS list,
      {'x': i, 'y': [i::DOUBLE]} AS point, 'text of its own ' || (i * 7919) AS text FROM range(4000) t(i) ORDER BY i`
    const expected = await sql(query).toArray()
    const { DuckDBInstance } = await import('@duckdb/node-api')
    const connection = await (await DuckDBInstance.create()).connect()
    for (const version of ['v1', 'v2']) {
      const path = join(folder, `${codec}-${version}.parquet`)
      await connection.run(
        `COPY (${query}) TO '${path}' (FORMAT parquet, CODEC '${codec}', PARQUET_VERSION ${version}, ROW_GROUP_SIZE 2048)`,
      )
      expect(await parquet(path).toArray()).toEqual(expected)
    }
    connection.closeSync()
  })

  it('closes the file when the consumer leaves', async () => {
    const path = write(numbered(5000), { rowGroupSize: 1000 })
    for await (const _ of parquet(path)) {
      expect(isOpen(path)).not.toBe(false)
      break
    }
    expect(isOpen(path)).not.toBe(true)
  })

  it('sees that a file changes while it is read', async () => {
    const bytes = encode(numbered(3000), { rowGroupSize: 1000 })
    const path = save(bytes)
    const reading = (async () => {
      let count = 0
      for await (const _ of parquet(path)) if (count++ === 0) writeFileSync(path, Buffer.concat([bytes, bytes]))
    })()
    await expect(reading).rejects.toThrow(/changed while it was read/)
    expect(isOpen(path)).not.toBe(true)
  })

  it('refuses an integer that a number does not hold', async () => {
    const path = write([{ name: 'key', data: [1n, 2n ** 53n + 1n], type: 'INT64' }])
    await expect(parquet(path).toArray()).rejects.toThrow(`${path}, row 1, column "key": 9007199254740993 is too large`)
  })

  it('refuses names of columns that rows cannot have', async () => {
    await expect(parquet(write([{ name: '__proto__', data: [1] }])).toArray()).rejects.toThrow(/must not be called "__proto__"/)
  })

  it('says what is wrong with a file', async () => {
    const whole = encode(numbered(100))
    const failure = (path: string) =>
      parquet(path)
        .toArray()
        .catch((error: Error) => error)
    expect(() => parquet('x', { column: ['a'] } as object)).toThrow(/did you mean "columns"/)
    expect(() => parquet('x', { columns: [] })).toThrow(OptionError)
    expect(() => parquet(3 as never)).toThrow(OptionError)
    expect(await failure(join(folder, 'none.parquet'))).toBeInstanceOf(FileError)
    expect(await failure(folder)).toBeInstanceOf(FileError)
    const cases: [Buffer, RegExp][] = [
      [Buffer.alloc(0), /expected a Parquet file, .* got 0 bytes/],
      [Buffer.from('id,half,name\n1,2,3\n'), /expected a Parquet file/],
      [whole.subarray(0, -1), /truncated/],
      [whole.subarray(0, whole.length / 2), /truncated/],
      [Buffer.concat([whole.subarray(0, 50), whole.subarray(-40)]), /cannot be read|damaged/],
      [Buffer.concat([Buffer.from('PARE'), whole.subarray(4)]), /encrypted/],
    ]
    for (const [bytes, message] of cases) {
      const path = save(bytes)
      const error = await failure(path)
      expect(error).toBeInstanceOf(DataError)
      expect((error as Error).message).toContain(path)
      expect((error as Error).message).toMatch(message)
      expect(isOpen(path)).not.toBe(true)
    }
  })

  it('ends with one clear error, soon, whatever happens to the file', async () => {
    const path = join(folder, 'damaged.parquet')
    const wholes = (['SNAPPY', 'UNCOMPRESSED'] as const).map((codec) => encode(numbered(60), { codec, rowGroupSize: 25 }))
    const other = join(folder, 'duckdb.parquet')
    const { DuckDBInstance } = await import('@duckdb/node-api')
    const connection = await (await DuckDBInstance.create()).connect()
    await connection.run(
      `COPY (SELECT range AS id, [range, NULL] AS list, {'x': range} AS point, 'a' || range % 3 AS name FROM range(60)) TO '${other}' (FORMAT parquet)`,
    )
    connection.closeSync()
    wholes.push(readFileSync(other))
    const change = fc.record({
      at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      to: fc.oneof(fc.nat(255), fc.constant(255)),
    })
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...wholes), fc.array(change, { minLength: 1, maxLength: 4 }), async (whole, changes) => {
        const bytes = Buffer.from(whole)
        for (const { at, to } of changes) bytes[Math.floor(at * bytes.length)] = to
        writeFileSync(path, bytes)
        const rows = await parquet(path)
          .toArray()
          .catch((error) => {
            expectError(error, 'ERR_DATA', ['damaged.parquet'])
            return []
          })
        expect(rows.length).toBeLessThanOrEqual(60)
      }),
      { numRuns: 3000 },
    )
    expect(isOpen(path)).not.toBe(true)
  })

  it('does not believe a run that is longer than its page', async () => {
    const bytes = encode([{ name: 'a', data: Array.from({ length: 1000 }, (_, i) => (i < 500 ? null : 1)), type: 'INT32' }], {
      codec: 'UNCOMPRESSED',
    })
    // The first run of definition levels, 500 times 0, as a varint: 1000, twice the count.
    const run = bytes.indexOf(Buffer.from([0xe8, 0x07, 0x00]))
    expect(run).toBeGreaterThan(0)
    Buffer.from([0xfe, 0xff, 0xff]).copy(bytes, run)
    await expect(parquet(save(bytes)).toArray()).rejects.toThrow(/a run of \d+ values in a page of 1000/)
  })
})

/** A block of LZ4 that only holds literals. */
function literalsOnly(bytes: Uint8Array): Uint8Array {
  const length: number[] = []
  for (let rest = bytes.length - 15; rest >= 0; rest -= 255) length.push(Math.min(rest, 255))
  return Buffer.concat([Buffer.from([Math.min(bytes.length, 15) << 4, ...length]), bytes])
}
