import * as zlib from 'node:zlib'
import type { CompressionType, Field, RecordBatch, Schema } from 'apache-arrow'
import { counted, DataError, ThalwegError } from '../../errors.ts'
import { type Open, throwIfAborted } from '../chunk.ts'
import { Dataset } from '../dataset.ts'
import { checkFooter, checkMessage } from './arrowMessages.ts'
import { valuesOf } from './arrowValues.ts'
import { checkColumnNames, columnChunks } from './columns.ts'
import { DataFile, pathOf } from './dataFile.ts'
import { decodeLz4Frame } from './lz4.ts'
import { optionalPeer } from './optional.ts'

type Arrow = typeof import('apache-arrow')
type Message = InstanceType<Arrow['Message']>
type BatchHeader = {
  length: number
  nodes: { length: number; nullCount: number }[]
  buffers: { offset: number; length: number }[]
  compression: { type: number } | null
  variadicBufferCounts: number[]
}

/** Arrow's own limit for one batch. */
const MOST_ROWS = 2 ** 31 - 1
const END_OF_FILE = 'ARROW1'

/**
 * The rows of an Arrow IPC file or stream (.arrow, .feather of version 2, .arrows), as a dataset, read batch by batch. Integers, decimals and times of
 * day become numbers (one of more than 53 bits is an error), dates and timestamps `Date`s, dictionaries their values, binary columns `Uint8Array`s,
 * lists (of fixed size or not) of numbers typed arrays, other lists arrays, structs and maps objects; what is missing is null. Buffers may be
 * compressed with LZ4 or (from Node 22.15 on) Zstandard. Needs the package apache-arrow.
 *
 * @throws OptionError without apache-arrow; FileError for a file that cannot be read; DataError for one that is damaged. All when it is read.
 * @example const houses = arrow('houses.arrow').shuffle()
 */
export function arrow(path: string | URL): Dataset<Record<string, unknown>> {
  return new Dataset(read(pathOf('arrow', path)), { seeks: true })
}

function read(path: string): Open<Record<string, unknown>> {
  return async function* ({ skip, signal }) {
    const library = await optionalPeer('arrow', 'apache-arrow', () => import('apache-arrow'))
    registerCodecs(library)
    const file = await DataFile.open('arrow', path)
    try {
      const reader = await guarded(file.name, 'its schema', async () => library.RecordBatchReader.from(messages(library, file)))
      const batches = (await guarded(file.name, 'its schema', async () => reader.open()))[
        Symbol.asyncIterator
      ]() as AsyncIterator<RecordBatch>
      const names = reader.schema?.fields.map(({ name }) => name)
      if (names === undefined) throw new DataError(`${file.name}: the file holds no Arrow schema.`)
      checkColumnNames(file.name, names)
      for (let start = 0; ; ) {
        throwIfAborted(signal)
        const { value: batch, done } = await guarded(file.name, `the rows from ${start} on`, () => batches.next())
        if (done) break
        if (start + batch.numRows > skip) {
          const columns = await guarded(file.name, `rows ${start} to ${start + batch.numRows - 1}`, async () =>
            batch.data.children.map((data, column) =>
              valuesOf(library, data, (i) => `${file.name}, row ${start + i}, column "${names[column]}"`),
            ),
          )
          yield* columnChunks(file.name, names, columns, start, Math.max(0, skip - start))
        }
        start += batch.numRows
      }
      await file.checkUnchanged()
    } finally {
      await file.close()
    }
  }
}

/**
 * The messages of a file or stream, each checked and whole. A file is a stream between two magic words, and a footer that is an index of it: read from
 * the front to the back it is not needed.
 */
async function* messages(library: Arrow, file: DataFile): AsyncGenerator<Uint8Array, void, undefined> {
  let [position, end] = await extentOf(file)
  let fields: readonly Field[] | null = null
  const truncated = (what: string) => new DataError(`${file.name}: the Arrow data are truncated or damaged: ${what} at byte ${position}.`)
  while (position < end) {
    if (end - position < 8) throw truncated('a message ends before its length')
    const [first, second] = new Uint32Array((await file.read(position, position + 8)).buffer)
    // Before version 0.15 the mark of a continuation was not written.
    const prefix = first === 0xffffffff ? 8 : 4
    const length = prefix === 8 ? second : first
    if (length === 0) {
      if (end === file.size && position + prefix < end) throw truncated('something follows the end of the stream')
      return
    }
    const begin = position + prefix
    if (length > end - begin) throw truncated(`a message of ${counted(length, 'byte')}, where ${end - begin} are left,`)
    const metadata = await file.read(begin, begin + length)
    const message = await guarded(file.name, `the message at byte ${position}`, async () => {
      checkMessage(metadata)
      const message: Message = library.Message.decode(metadata)
      if (message.isSchema()) fields = (message.header() as unknown as { fields: Field[] }).fields
      if (message.isRecordBatch()) checkBatch(library, message.header() as unknown as BatchHeader, message.bodyLength, fields)
      if (message.isDictionaryBatch())
        checkBatch(library, (message.header() as unknown as { data: BatchHeader }).data, message.bodyLength, null)
      return message
    })
    const { bodyLength } = message
    if (!(bodyLength >= 0 && bodyLength <= end - begin - length))
      throw truncated(`a message with ${counted(bodyLength, 'byte')} of data, where ${end - begin - length} are left,`)
    if (fields === null && end < file.size) {
      // NOTE: apache-arrow writes files that have their schema in the footer alone.
      const schema = await guarded(file.name, 'its schema', () => schemaOfFooter(library, file, end))
      fields = schema.fields
      yield frame(library.Message.encode(library.Message.from(schema)))
    }
    await guarded(file.name, `the message at byte ${position}`, async () => checkHeader(library, message, fields ?? []))
    yield await file.read(position, begin + length + bodyLength)
    position = begin + length + bodyLength
  }
}

/** Where the messages lie. */
async function extentOf(file: DataFile): Promise<[start: number, end: number]> {
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1')
  if (file.size < 8) throw new DataError(`${file.name}: expected Arrow data, got ${counted(file.size, 'byte')}.`)
  const begin = text(await file.read(0, 8))
  if (begin.startsWith('FEA1'))
    throw new DataError(`${file.name}: Feather files of version 1 are not supported; write it as version 2 (Arrow IPC).`)
  if (!begin.startsWith(END_OF_FILE)) return [0, file.size]
  const tail = await file.read(Math.max(8, file.size - 10), file.size)
  const footer = tail.length < 10 ? -1 : new DataView(tail.buffer).getInt32(0, true)
  if (!text(tail).endsWith(END_OF_FILE) || footer < 0 || footer > file.size - 18)
    throw new DataError(`${file.name}: the Arrow file is truncated (it does not end with "${END_OF_FILE}"); write or copy it again.`)
  return [8, file.size - 10 - footer]
}

/** The schema that the footer behind `end` holds. */
async function schemaOfFooter(library: Arrow, file: DataFile, end: number): Promise<Schema> {
  const bytes = await file.read(end, file.size - 10)
  checkFooter(bytes)
  const { Footer } = await import('apache-arrow/ipc/metadata/file')
  return new library.Schema(Footer.decode(bytes).schema.fields)
}

/** A message without data, as it stands in a stream. */
function frame(message: Uint8Array): Uint8Array {
  const length = Math.ceil(message.length / 8) * 8
  const bytes = new Uint8Array(8 + length)
  new Uint32Array(bytes.buffer, 0, 2).set([0xffffffff, length])
  bytes.set(message, 8)
  return bytes
}

function checkHeader(library: Arrow, message: Message, fields: readonly Field[]): void {
  if (message.isRecordBatch()) checkBatch(library, message.header() as unknown as BatchHeader, message.bodyLength, fields)
  if (message.isDictionaryBatch())
    checkBatch(library, (message.header() as unknown as { data: BatchHeader }).data, message.bodyLength, null)
}

/** Lengths must agree and buffers lie within the data, before the library allocates anything after them. */
function checkBatch(
  library: Arrow,
  { length, nodes, buffers, compression, variadicBufferCounts }: BatchHeader,
  bodyLength: number,
  fields: readonly Field[] | null,
): void {
  if (!(length >= 0 && length <= MOST_ROWS)) throw new Error(`${length} rows`)
  for (const { offset, length } of buffers) {
    if (!(offset >= 0 && length >= 0 && offset + length <= bodyLength))
      throw new Error(`a buffer of ${length} bytes at ${offset} of ${bodyLength}`)
  }
  for (const { length, nullCount } of nodes) {
    if (!(length >= 0 && length <= MOST_ROWS && nullCount >= 0 && nullCount <= length))
      throw new Error(`${length} values, ${nullCount} of them null`)
  }
  const more = variadicBufferCounts.reduce((sum, count) => (count >= 0 ? sum + count : Infinity), 0)
  if (more > buffers.length) throw new Error(`${more} buffers, where there are ${buffers.length}`)
  let node = 0
  for (const type of fields === null ? [null] : fields.map(({ type }) => type)) {
    if (nodes[node]?.length !== length) throw new Error(`a column of ${nodes[node]?.length} values in ${length} rows`)
    if (type !== null) node += nodesOf(library, type)
  }
  if (fields !== null && node !== nodes.length) throw new Error(`${nodes.length} columns, expected ${node}`)
  if (compression !== null && library.compressionRegistry.get(compression.type)?.decode === undefined)
    throw new Error(`compressed with Zstandard, which Node ${process.versions.node} cannot decode: use Node 22.15, or write it with LZ4`)
}

/** How many nodes of a batch a column takes. */
function nodesOf(library: Arrow, type: Field['type']): number {
  if (library.DataType.isDictionary(type)) return 1
  return ((type.children ?? []) as Field[]).reduce((sum, child) => sum + nodesOf(library, child.type), 1)
}

/** Teaches the library what it is compressed with, unless somebody did. */
function registerCodecs({ compressionRegistry, CompressionType }: Arrow): void {
  const zstd = (zlib as { zstdDecompressSync?: (bytes: Uint8Array) => Uint8Array }).zstdDecompressSync
  const teach = (type: CompressionType, decode: (bytes: Uint8Array) => Uint8Array) => {
    const known = compressionRegistry.get(type)
    if (known?.decode === undefined) compressionRegistry.set(type, { ...known, decode })
  }
  teach(CompressionType.LZ4_FRAME, decodeLz4Frame)
  if (zstd !== undefined) teach(CompressionType.ZSTD, zstd)
}

/** Runs what reads the file; what the library throws becomes a DataError that says where. */
async function guarded<T>(name: string, what: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    if (error instanceof ThalwegError) throw error
    throw new DataError(`${name}: ${what} cannot be read (${(error as Error).message}); the file is damaged, or is not Arrow data.`, {
      cause: error,
    })
  }
}
