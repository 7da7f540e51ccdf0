import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as zlib from 'node:zlib'
import {
  Bool,
  CompressionType,
  compressionRegistry,
  DateDay,
  Decimal,
  Dictionary,
  Field,
  FixedSizeList,
  Float32,
  Float64,
  Int32,
  Int64,
  List,
  makeData,
  RecordBatch,
  RecordBatchFileWriter,
  RecordBatchStreamWriter,
  Schema,
  Struct,
  Table,
  TimestampMicrosecond,
  TimestampMillisecond,
  tableFromArrays,
  tableToIPC,
  Uint8,
  Utf8,
  vectorFromArray,
} from 'apache-arrow'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { arrow } from '../../../../src/data/readers/arrow.ts'
import { DataError, FileError } from '../../../../src/errors.ts'
import { expectError } from '../../../expectError.ts'
import { isOpen } from './openFiles.ts'

const folder = mkdtempSync(join(tmpdir(), 'thalweg-arrow-'))
afterAll(() => rmSync(folder, { recursive: true }))

let files = 0
function save(bytes: Uint8Array): string {
  const path = join(folder, `${files++}.arrow`)
  writeFileSync(path, bytes)
  return path
}

const { zstdCompressSync } = zlib as { zstdCompressSync?: (bytes: Uint8Array) => Buffer }
const kinds = ['file', 'stream'] as const

/** A table of several batches. */
function numbered(kind: 'file' | 'stream', batches: number, rows: number): Buffer {
  const writer = kind === 'file' ? new RecordBatchFileWriter() : new RecordBatchStreamWriter()
  const dictionary = vectorFromArray(['a', 'b', 'c'], new Utf8())
  for (let batch = 0; batch < batches; batch++) {
    const ids = Array.from({ length: rows }, (_, i) => batch * rows + i)
    const kindOf = new Dictionary(new Utf8(), new Int32(), 7)
    const columns = {
      id: makeData({ type: new Int32(), length: rows, nullCount: 0, data: Int32Array.from(ids) }),
      half: vectorFromArray(
        ids.map((id) => (id % 4 === 0 ? null : id / 2)),
        new Float64(),
      ).data[0],
      name: vectorFromArray(
        ids.map((id) => `row ${id}`),
        new Utf8(),
      ).data[0],
      kind: makeData({ type: kindOf, length: rows, nullCount: 0, data: Int32Array.from(ids, (id) => id % 3), dictionary }),
    }
    const schema = new Schema(Object.entries(columns).map(([name, { type }]) => new Field(name, type, true)))
    writer.write(
      new RecordBatch(schema, makeData({ type: new Struct(schema.fields), length: rows, nullCount: 0, children: Object.values(columns) })),
    )
  }
  writer.finish()
  return Buffer.from(writer.toUint8Array(true))
}
const numberedRow = (id: number) => ({ id, half: id % 4 === 0 ? null : id / 2, name: `row ${id}`, kind: 'abc'[id % 3] })

describe('arrow', () => {
  it.each(kinds)('gives plain values of a %s', async (kind) => {
    const table = new Table({
      int: vectorFromArray([1, null, 3], new Int32()),
      byte: vectorFromArray([255, 0, 7], new Uint8()),
      long: vectorFromArray([2n ** 53n - 1n, null, -5n], new Int64()),
      float: vectorFromArray([0.5, null, 2.5], new Float32()),
      bool: vectorFromArray([true, null, false], new Bool()),
      text: vectorFromArray(['a', null, 'ü€😀'], new Utf8()),
      category: vectorFromArray(['x', null, 'x'], new Dictionary(new Utf8(), new Int32())),
      day: vectorFromArray([new Date('2024-02-29'), null, new Date(0)], new DateDay()),
      time: vectorFromArray([new Date(1), null, new Date('2024-02-29T12:34:56.789Z')], new TimestampMillisecond()),
      micro: makeData({ type: new TimestampMicrosecond(), length: 3, nullCount: 0, data: BigInt64Array.of(1_500_000n, 0n, -1_000_000n) }),
      vector: vectorFromArray([[1, 2], null, [3, 4]], new FixedSizeList(2, new Field('item', new Float32()))),
      list: vectorFromArray([[1, 2, 3], [], null], new List(new Field('item', new Float64()))),
      words: vectorFromArray([['a', null], [], null], new List(new Field('item', new Utf8(), true))),
      longs: vectorFromArray([[1n], [2n, 3n], null], new List(new Field('item', new Int64()))),
      point: vectorFromArray(
        [{ x: 1, y: 'p' }, null, { x: 3, y: null }],
        new Struct([new Field('x', new Int32()), new Field('y', new Utf8(), true)]),
      ),
      price: makeData({
        type: new Decimal(2, 10),
        length: 3,
        nullCount: 0,
        data: Uint32Array.of(30, 0, 0, 0, 0xffffff92, ~0, ~0, ~0, 1234, 0, 0, 0),
      }),
    } as never)
    const rows = await arrow(save(tableToIPC(table, kind))).toArray()
    expect(rows).toEqual([
      {
        int: 1,
        byte: 255,
        long: 2 ** 53 - 1,
        float: 0.5,
        bool: true,
        text: 'a',
        category: 'x',
        day: new Date('2024-02-29'),
        time: new Date(1),
        micro: new Date(1500),
        vector: Float32Array.of(1, 2),
        list: Float64Array.of(1, 2, 3),
        words: ['a', null],
        longs: [1],
        point: { x: 1, y: 'p' },
        price: 0.3,
      },
      {
        int: null,
        byte: 0,
        long: null,
        float: null,
        bool: null,
        text: null,
        category: null,
        day: null,
        time: null,
        micro: new Date(0),
        vector: null,
        list: new Float64Array(0),
        words: [],
        longs: [2, 3],
        point: null,
        price: -1.1,
      },
      {
        int: 3,
        byte: 7,
        long: -5,
        float: 2.5,
        bool: false,
        text: 'ü€😀',
        category: 'x',
        day: new Date(0),
        time: new Date('2024-02-29T12:34:56.789Z'),
        micro: new Date(-1000),
        vector: Float32Array.of(3, 4),
        list: null,
        words: null,
        longs: null,
        point: { x: 3, y: null },
        price: 12.34,
      },
    ])
  })

  it.each(kinds)('reads a %s batch by batch, and from anywhere on', async (kind) => {
    const path = save(numbered(kind, 4, 1300))
    const rows = await arrow(path).toArray()
    expect(rows).toEqual(Array.from({ length: 5200 }, (_, i) => numberedRow(i)))
    for (const skip of [1, 1300, 2700, 5200]) {
      const rest: unknown[] = []
      for await (const { items, place } of arrow(path).pass({ skip })) {
        expect(place(0)).toBe(`${path}, row ${skip + rest.length}`)
        rest.push(...items)
      }
      expect(rest).toEqual(rows.slice(skip))
    }
    for await (const _ of arrow(path)) break
    expect(isOpen(path)).not.toBe(true)
  })

  it('decodes LZ4', async () => {
    compressionRegistry.set(CompressionType.LZ4_FRAME, { encode: lz4Frame })
    const writer = new RecordBatchStreamWriter({ compressionType: CompressionType.LZ4_FRAME } as never)
    const values = Float64Array.from({ length: 3000 }, (_, i) => i % 5)
    const table = new Table({
      a: vectorFromArray(values),
      b: vectorFromArray(
        Array.from(values, (value) => `text ${value}`),
        new Utf8(),
      ),
    } as never)
    const bytes = writer.writeAll(table).toUint8Array(true)
    expect(await arrow(save(bytes)).toArray()).toEqual(Array.from(values, (a) => ({ a, b: `text ${a}` })))
  })

  it('says that Node cannot decode Zstandard, where it cannot', async () => {
    const magic = (bytes: Uint8Array) =>
      typeof zstdCompressSync === 'function' ? zstdCompressSync(bytes) : Buffer.concat([Buffer.from('28b52ffd', 'hex'), bytes])
    compressionRegistry.set(CompressionType.ZSTD, { encode: magic })
    const writer = new RecordBatchStreamWriter({ compressionType: CompressionType.ZSTD } as never)
    const values = Float64Array.from({ length: 3000 }, (_, i) => i % 5)
    const rows = arrow(save(writer.writeAll(new Table({ a: vectorFromArray(values) } as never)).toUint8Array(true))).toArray()
    if (typeof zstdCompressSync === 'function') expect(await rows).toHaveLength(3000)
    else await expect(rows).rejects.toThrow(/compressed with Zstandard, which Node .* cannot decode/)
  })

  it.each(kinds)('sees that a %s is truncated, wherever', async (kind) => {
    const whole = numbered(kind, 2, 5)
    const path = join(folder, 'truncated.arrow')
    for (let length = 0; length < whole.length; length++) {
      writeFileSync(path, whole.subarray(0, length))
      const rows = await arrow(path)
        .toArray()
        .catch((error) => {
          expect(error).toBeInstanceOf(DataError)
          expect(error.message).toContain(path)
          return null
        })
      // A stream may end after any message: what is there is whole.
      if (rows !== null) expect([kind, rows.length % 5]).toEqual(['stream', 0])
    }
    expect(isOpen(path)).not.toBe(true)
  })

  it.each(kinds)('ends with one clear error, whatever happens to a %s', async (kind) => {
    const whole = numbered(kind, 2, 20)
    const path = join(folder, 'damaged.arrow')
    const change = fc.record({ at: fc.nat(whole.length - 1), to: fc.oneof(fc.nat(255), fc.constantFrom(0, 127, 128, 255)) })
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
        const bytes = Buffer.from(whole)
        for (const { at, to } of changes) bytes[at] = to
        writeFileSync(path, bytes)
        const rows = await arrow(path)
          .toArray()
          .catch((error) => {
            expectError(error, 'ERR_DATA', ['damaged.arrow'])
            return []
          })
        expect(rows.length).toBeLessThanOrEqual(40)
      }),
      { numRuns: 1500 },
    )
    expect(isOpen(path)).not.toBe(true)
  })

  it('says what is wrong with a file', async () => {
    const failure = (path: string) =>
      arrow(path)
        .toArray()
        .catch((error: Error) => error)
    expect(await failure(join(folder, 'none.arrow'))).toBeInstanceOf(FileError)
    expect(await failure(save(Buffer.from('a,b\n1,2\n3,4\n')))).toBeInstanceOf(DataError)
    expect(await failure(save(Buffer.from('FEA1 and so on')))).toMatchObject({ message: expect.stringContaining('version 1') })
    expect(await failure(save(Buffer.concat([numbered('stream', 1, 2), numbered('stream', 1, 2)])))).toMatchObject({
      message: expect.stringContaining('follows the end'),
    })
    const large = save(tableToIPC(tableFromArrays({ key: BigInt64Array.of(1n, 2n ** 53n + 1n) })))
    expect(await failure(large)).toMatchObject({
      message: `${large}, row 1, column "key": 9007199254740993 is too large to be held exactly as a number (2^53 at most); cast the column to text or to a floating-point type where it is written.`,
    })
    const twice = new Schema([new Field('a', new Int32()), new Field('a', new Int32())])
    const column = makeData({ type: new Int32(), length: 1, nullCount: 0, data: Int32Array.of(1) })
    const batch = new RecordBatch(twice, makeData({ type: new Struct(twice.fields), length: 1, nullCount: 0, children: [column, column] }))
    const path = save(RecordBatchStreamWriter.writeAll([batch]).toUint8Array(true))
    expect(await failure(path)).toMatchObject({ message: expect.stringContaining('two columns are called "a"') })
  })
})

/** A frame of a block that is not compressed, and one of literals. */
function lz4Frame(bytes: Uint8Array): Uint8Array {
  const block = (data: Uint8Array, isCompressed: boolean) => {
    const size = Buffer.alloc(4)
    size.writeUInt32LE((isCompressed ? data.length : data.length | 0x80000000) >>> 0)
    return Buffer.concat([size, data])
  }
  const third = Math.floor(bytes.length / 3)
  const stored = bytes.subarray(0, third)
  return Buffer.concat([
    Buffer.from('04224d18607000', 'hex'),
    ...(third > 0 ? [block(stored, false)] : []),
    block(literals(bytes.subarray(third)), true),
    Buffer.alloc(4),
  ])
}

function literals(bytes: Uint8Array): Uint8Array {
  const length: number[] = []
  for (let rest = bytes.length - 15; rest >= 0; rest -= 255) length.push(Math.min(rest, 255))
  return Buffer.concat([Buffer.from([Math.min(bytes.length, 15) << 4, ...length]), bytes])
}
