import * as zlib from 'node:zlib'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import type { ColumnChunk, Compressors, SchemaElement } from 'hyparquet'
import { checkOptions, unknownName } from '../../checks.ts'
import { counted, DataError, describe, OptionError, ThalwegError } from '../../errors.ts'
import { type Open, throwIfAborted } from '../chunk.ts'
import { Dataset } from '../dataset.ts'
import { checkColumnNames, columnChunks, plainValue } from './columns.ts'
import { DataFile, pathOf } from './dataFile.ts'
import { decodeLz4Block } from './lz4.ts'
import { optionalPeer } from './optional.ts'
import { bytesOf, checkPages, type Decompress } from './parquetPages.ts'

/** What `parquet` reads of a file. */
export interface ParquetOptions {
  /** Which columns to read, in this order; the others are not touched; default all. */
  readonly columns?: readonly string[]
  /**
   * Decoders for what is neither uncompressed nor Snappy, gzip, Brotli, LZ4 nor (from Node 22.15 on) Zstandard, by name of the codec: those of the
   * package hyparquet-compressors, say; default none.
   */
  readonly compressors?: Readonly<Record<string, (bytes: Uint8Array, length: number) => Uint8Array>>
}

const MAGIC = 0x31524150
const ENCRYPTED = 0x45524150
const decoder = new TextDecoder('utf-8', { fatal: true })

/**
 * The rows of a Parquet file, as a dataset. Row groups are read one at a time, and of them only the columns asked for. Integers and decimals become
 * numbers (one of more than 53 bits is an error), dates and timestamps `Date`s, binary columns without a type `Uint8Array`s, lists arrays,
 * structs objects; what is missing is null. Needs the package hyparquet.
 *
 * @throws OptionError for unknown options or columns, or without hyparquet; FileError for a file that cannot be read; DataError for one that is damaged.
 * All but the first when it is read.
 * @example const houses = parquet('houses.parquet', { columns: ['area', 'price'] }).shuffle()
 */
export function parquet(path: string | URL, options: ParquetOptions = {}): Dataset<Record<string, unknown>> {
  checkOptions('parquet', options, ['columns', 'compressors'])
  const { columns } = options
  if (columns !== undefined && !(Array.isArray(columns) && columns.length > 0 && columns.every((name) => typeof name === 'string')))
    throw new OptionError(`parquet: columns must be an array of names, got ${describe(columns)}.`)
  const name = pathOf('parquet', path)
  return new Dataset(read(name, options), { seeks: true })
}

function read(path: string, { columns, compressors = {} }: ParquetOptions): Open<Record<string, unknown>> {
  return async function* ({ skip, signal }) {
    const hyparquet = await optionalPeer('parquet', 'hyparquet', () => import('hyparquet'))
    const { parquetHeader } = await optionalPeer('parquet', 'hyparquet', () => import('hyparquet/src/column.js'))
    const file = await DataFile.open('parquet', path)
    try {
      await checkMagic(file)
      const bytes = { byteLength: file.size, slice: async (start: number, end = file.size) => (await file.read(start, end)).buffer }
      const metadata = await guarded(file.name, 'its description', () => hyparquet.parquetMetadataAsync(bytes, { geoparquet: false }))
      const tree = await guarded(file.name, 'its schema', async () => hyparquet.parquetSchema(metadata))
      const known = tree.children.map(({ element }) => element.name)
      checkColumnNames(file.name, known)
      const names = [...(columns ?? known)]
      for (const name of names) if (!known.includes(name)) throw unknownName('column', name, known, file.name)
      const decoders = new Decoders({ SNAPPY: snappy(hyparquet.snappyUncompress), ...nodeCompressors(), ...compressors })

      let start = 0
      for (const group of metadata.row_groups) {
        const rowStart = start
        const rows = Number(group.num_rows)
        start += rows
        if (start <= skip || rows === 0) continue
        const checkedRead = async (begin: number, end = file.size) => {
          const read = await file.read(begin, end)
          for (const { meta_data: meta } of group.columns) {
            if (meta === undefined) continue
            const [from, to] = bytesOf(meta)
            const where = `${file.name}, column "${meta.path_in_schema.join('.')}"`
            if (from >= begin && to <= end)
              checkPages(where, read.subarray(from - begin, to - begin), meta, tree, parquetHeader, decoders.decompress(meta.codec))
          }
          return read.buffer
        }
        const slice = (begin: number, end?: number) => {
          const read = checkedRead(begin, end)
          // NOTE: the library begins to read before it looks at what it read, and when it fails in between nobody waits for this.
          read.catch(() => {})
          return read
        }
        await guarded(file.name, 'its description', async () => checkCodecs(file.name, group.columns, names, decoders.compressors))
        const scanOptions = {
          file: { byteLength: file.size, slice },
          metadata,
          columns: names,
          rowStart,
          rowEnd: start,
          useOffsetIndex: false,
          utf8: false,
          compressors: decoders.compressors,
          parsers: { stringFromBytes: (bytes: Uint8Array) => bytes && decoder.decode(bytes) },
        }
        const scan = await guarded(file.name, 'its description', () => hyparquet.parquetScan(scanOptions))
        const values: ArrayLike<unknown>[] = []
        for (const name of names) {
          throwIfAborted(signal)
          const what = `column "${name}" of rows ${rowStart} to ${start - 1}`
          const column = await guarded(file.name, what, () => scan.readColumn({ column: name, rowStart, rowEnd: rowStart + rows }))
          if (column.length !== rows)
            throw new DataError(`${file.name}: the file is damaged: ${what} has ${counted(column.length, 'value')}.`)
          values.push(
            plainColumn(column, tree.children[known.indexOf(name)].element, (i) => `${file.name}, row ${rowStart + i}, column "${name}"`),
          )
        }
        yield* columnChunks(file.name, names, values, rowStart, Math.max(0, skip - rowStart))
      }
      await file.checkUnchanged()
    } finally {
      await file.close()
    }
  }
}

/** A Parquet file begins and ends with "PAR1". */
async function checkMagic(file: DataFile): Promise<void> {
  const [begin, end] =
    file.size < 12
      ? [0, 0]
      : [await file.read(0, 4), await file.read(file.size - 4, file.size)].map((bytes) => new DataView(bytes.buffer).getUint32(0, true))
  if (begin === ENCRYPTED || end === ENCRYPTED)
    throw new DataError(`${file.name}: the file is encrypted, which is not supported; write it without encryption.`)
  if (begin !== MAGIC)
    throw new DataError(
      `${file.name}: expected a Parquet file, which begins with "PAR1"${file.size < 12 ? `, got ${counted(file.size, 'byte')}` : ''}.`,
    )
  if (end !== MAGIC)
    throw new DataError(`${file.name}: the Parquet file is truncated (it does not end with "PAR1"); write or copy it again.`)
}

/** Decompresses pages once: what was decompressed to be checked is there when it is decoded. */
class Decoders {
  readonly compressors: Compressors
  private readonly pages = new WeakMap<ArrayBufferLike, Map<number, Uint8Array>>()
  private readonly given: Compressors

  constructor(given: Compressors) {
    this.given = given
    this.compressors = Object.fromEntries(
      Object.keys(given).map((codec) => [
        codec,
        (bytes: Uint8Array, length: number) => this.pages.get(bytes.buffer)?.get(bytes.byteOffset) ?? this.decode(codec, bytes, length),
      ]),
    )
  }

  decompress(codec: string): Decompress {
    return (bytes, length) => {
      if (codec === 'UNCOMPRESSED') return bytes
      const page = this.decode(codec, bytes, length)
      const pages = this.pages.get(bytes.buffer) ?? new Map<number, Uint8Array>()
      this.pages.set(bytes.buffer, pages.set(bytes.byteOffset, page))
      return page
    }
  }

  private decode(codec: string, bytes: Uint8Array, length: number): Uint8Array {
    const decode = this.given[codec as keyof Compressors]
    if (decode === undefined) throw new Error(`compressed with ${codec}`)
    const page = decode(bytes, length)
    if (page.length !== length) throw new Error(`a page of ${page.length} bytes, expected ${length}`)
    return page
  }
}

function snappy(uncompress: (input: Uint8Array, output: Uint8Array) => void): Decompress {
  return (bytes, length) => {
    const page = new Uint8Array(length)
    uncompress(bytes, page)
    return page
  }
}

/** What Node decodes, and LZ4. Of the length a page claims no more is allocated than comes. */
function nodeCompressors(): Compressors {
  const zstd = (zlib as { zstdDecompressSync?: typeof brotliDecompressSync }).zstdDecompressSync
  return {
    GZIP: (bytes, length) => gunzipSync(bytes, { maxOutputLength: Math.max(1, length) }),
    BROTLI: (bytes, length) => brotliDecompressSync(bytes, { maxOutputLength: Math.max(1, length) }),
    LZ4_RAW: (bytes, length) => {
      const output = new Uint8Array(length)
      return output.subarray(0, decodeLz4Block(bytes, output))
    },
    ...(zstd && { ZSTD: (bytes, length) => zstd(bytes, { maxOutputLength: Math.max(1, length) }) }),
  }
}

/** Refuses what cannot be decoded before anything is. */
function checkCodecs(where: string, chunks: readonly ColumnChunk[], names: readonly string[], decoders: Compressors): void {
  for (const { meta_data: meta } of chunks) {
    if (meta === undefined || !names.includes(meta.path_in_schema[0])) continue
    const { codec } = meta
    if (codec === 'UNCOMPRESSED' || decoders[codec] !== undefined) continue
    const advice =
      codec === 'ZSTD' ? `Node ${process.versions.node} cannot decode it; use Node 22.15 or later, or` : 'which is not supported;'
    throw new DataError(
      `${where}: column "${meta.path_in_schema[0]}" is compressed with ${codec}, ${advice} install hyparquet-compressors and give its compressors: parquet(path, { compressors }).`,
    )
  }
}

/** A column's values as plain ones. */
function plainColumn(
  values: ArrayLike<unknown>,
  { converted_type: type, scale = 0 }: SchemaElement,
  place: (i: number) => string,
): ArrayLike<unknown> {
  if (ArrayBuffer.isView(values) && !(values instanceof BigInt64Array || values instanceof BigUint64Array)) return values
  // What the library multiplies by 0.1 ^ scale is next to the nearest number: 0.30000000000000004 for 0.3.
  const factor = type === 'DECIMAL' ? 10 ** scale : 0
  const exact = (value: unknown) => {
    const whole = typeof value === 'number' ? Math.round(value * factor) : NaN
    return Number.isSafeInteger(whole) ? whole / factor : value
  }
  return Array.from(values, (value, i) => {
    const plain = plainValue(value, () => place(i))
    return factor === 0 ? plain : exact(plain)
  })
}

/** Runs what reads the file; what a library throws becomes a DataError that says where. */
async function guarded<T>(name: string, what: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    if (error instanceof ThalwegError) throw error
    throw new DataError(
      `${name}: ${what} cannot be read (${(error as Error).message}); the file is damaged, or uses what is not supported.`,
      { cause: error },
    )
  }
}
