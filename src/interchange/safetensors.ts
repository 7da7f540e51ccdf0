/**
 * The safetensors format (github.com/huggingface/safetensors): 8 bytes with the length of the header, little-endian; the header, JSON with the dtype, shape and
 * place of each tensor, and strings by name as `__metadata__`; then the numbers, one tensor behind the other.
 */

import { checkOptions, checkPath, checkSignal } from '../checks.ts'
import { NdArray } from '../data/ndarray.ts'
import { counted, DataError, describe, MemoryError, OptionError } from '../errors.ts'
import { formatBytes } from '../memory.ts'
import { writeAtomically } from './atomicFile.ts'
import { type Bytes, FileBytes, MemoryBytes } from './bytes.ts'
import { duplicateKey } from './duplicateKey.ts'

/** The format's own limit. */
const LONGEST_HEADER = 100_000_000

/** What numbers are kept in while a tensor is converted. */
const PIECE = 1 << 20

type Numbers = Float32Array | Float64Array | Int32Array

interface NumberType {
  /** Bytes of one. */
  readonly width: number
  /** What holds them all without loss (of 64-bit integers those up to 2^53). */
  readonly array: new (
    size: number,
  ) => Numbers
  /** From bytes that begin at a multiple of the width. */
  decode(buffer: ArrayBuffer, size: number): ArrayLike<number>
}

const types: Readonly<Record<string, NumberType>> = {
  F64: { width: 8, array: Float64Array, decode: (buffer, size) => new Float64Array(buffer, 0, size) },
  F32: { width: 4, array: Float32Array, decode: (buffer, size) => new Float32Array(buffer, 0, size) },
  F16: { width: 2, array: Float32Array, decode: (buffer, size) => Float32Array.from(new Uint16Array(buffer, 0, size), fromHalf) },
  // The upper half of a float32.
  BF16: {
    width: 2,
    array: Float32Array,
    decode: (buffer, size) => new Float32Array(Uint32Array.from(new Uint16Array(buffer, 0, size), (bits) => bits << 16).buffer),
  },
  I64: { width: 8, array: Float64Array, decode: (buffer, size) => Array.from(new BigInt64Array(buffer, 0, size), Number) },
  U64: { width: 8, array: Float64Array, decode: (buffer, size) => Array.from(new BigUint64Array(buffer, 0, size), Number) },
  I32: { width: 4, array: Int32Array, decode: (buffer, size) => new Int32Array(buffer, 0, size) },
  U32: { width: 4, array: Float64Array, decode: (buffer, size) => new Uint32Array(buffer, 0, size) },
  I16: { width: 2, array: Int32Array, decode: (buffer, size) => new Int16Array(buffer, 0, size) },
  U16: { width: 2, array: Int32Array, decode: (buffer, size) => new Uint16Array(buffer, 0, size) },
  I8: { width: 1, array: Int32Array, decode: (buffer, size) => new Int8Array(buffer, 0, size) },
  U8: { width: 1, array: Int32Array, decode: (buffer, size) => new Uint8Array(buffer, 0, size) },
  BOOL: { width: 1, array: Int32Array, decode: (buffer, size) => new Uint8Array(buffer, 0, size).map(Number) },
}

/** IEEE 754 binary16: sign, 5 bits of exponent, 10 of fraction. */
function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = bits & 1023
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25))
}

/** A tensor of a file: what the header says. */
export interface StoredTensor {
  readonly name: string
  readonly dtype: string
  readonly shape: readonly number[]
  /** Bytes from the end of the header. */
  readonly begin: number
  readonly end: number
}

/** An open file whose header has been read and checked; tensors are read when they are asked for. */
export class SafetensorsFile {
  /** What messages begin with: who reads what. */
  readonly where: string
  readonly metadata: ReadonlyMap<string, string>
  readonly tensors: ReadonlyMap<string, StoredTensor>
  private readonly bytes: Bytes
  /** Where the numbers begin. */
  private readonly start: number

  private constructor(where: string, bytes: Bytes, header: Header, start: number) {
    this.where = where
    this.bytes = bytes
    this.metadata = header.metadata
    this.tensors = header.tensors
    this.start = start
  }

  /**
   * @param where The beginning of messages.
   * @param source A path, or all bytes of a file.
   * @throws FileError when the system refuses, DataError for what is no whole safetensors file.
   */
  static async open(where: string, source: string | Uint8Array, signal?: AbortSignal): Promise<SafetensorsFile> {
    if (!(source instanceof Uint8Array)) checkPath(where, 'file', source)
    const bytes =
      typeof source === 'string' ? await FileBytes.open(where, source, signal) : new MemoryBytes(`${where}: the bytes given`, source)
    try {
      const { where: at, size } = bytes
      const start = new Uint8Array(Math.min(8, size))
      await bytes.read(start, 0)
      const length = headerLength(at, start, size)
      const text = new Uint8Array(length)
      await bytes.read(text, 8)
      return new SafetensorsFile(at, bytes, parseHeader(at, text, size - 8 - length), 8 + length)
    } catch (error) {
      await bytes.close()
      throw error
    }
  }

  async close(): Promise<void> {
    await this.bytes.close()
  }

  /** The numbers of a tensor, in the type that holds them without loss (of 64-bit integers those up to 2^53) or in another one, rounded to it. */
  async read(name: string, type?: typeof Float32Array): Promise<NdArray<Numbers>> {
    const { dtype, shape } = this.tensors.get(name) as StoredTensor
    const array = type ?? types[dtype].array
    const size = shape.reduce((product, extent) => product * extent, 1)
    try {
      const data = new array(size)
      await this.readInto(name, data)
      return new NdArray(data, shape)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      throw new MemoryError(
        `${this.where}: tensor "${name}" of shape [${shape.join(', ')}] needs ${formatBytes(size * 4)}, more than can be had.`,
      )
    }
  }

  /** Reads a tensor into an array of as many numbers, converting them where that has another type. */
  async readInto(name: string, target: Numbers): Promise<void> {
    const { dtype, begin, end } = this.tensors.get(name) as StoredTensor
    const { width, decode } = types[dtype]
    const position = this.start + begin
    if (dtypeOf(target) === dtype) {
      await this.bytes.read(new Uint8Array(target.buffer, target.byteOffset, target.byteLength), position)
      return
    }
    const piece = new Uint8Array(Math.min(PIECE, end - begin))
    for (let done = 0; done < end - begin; done += piece.length) {
      const part = piece.subarray(0, Math.min(piece.length, end - begin - done))
      await this.bytes.read(part, position + done)
      target.set(decode(piece.buffer, part.length / width), done / width)
    }
  }
}

interface Header {
  readonly metadata: ReadonlyMap<string, string>
  readonly tensors: ReadonlyMap<string, StoredTensor>
}

/** Formats that files of weights are in, by their first bytes. */
const others: readonly (readonly [start: string, what: string])[] = [
  ['PK', 'a ZIP archive, such as PyTorch and Keras make (.pt, .keras)'],
  ['\x89HDF', 'an HDF5 file, such as Keras makes (.h5)'],
  ...[2, 3, 4, 5].map((protocol) => [`\x80${String.fromCharCode(protocol)}`, 'a pickle of Python'] as const),
  ['\x93NUMPY', 'an array of NumPy (.npy)'],
  ['GGUF', 'a GGUF file'],
  ['version https://git-lfs', 'a pointer of Git LFS; fetch the file itself with git lfs pull'],
]

function headerLength(where: string, start: Uint8Array, size: number): number {
  const other = others.find(([beginning]) => Buffer.from(start).toString('latin1').startsWith(beginning.slice(0, 8)))
  const advice = other === undefined ? 'Is it cut short, or a file of another kind?' : `It looks like ${other[1]}.`
  if (size < 8) throw new DataError(`${where}: expected a safetensors file, got ${counted(size, 'byte')}. ${advice}`)
  const length = Number(Buffer.from(start).readBigUInt64LE())
  if (length > LONGEST_HEADER || length < 2 || length > size - 8)
    throw new DataError(
      `${where}: expected a safetensors file, which begins with the length of its header, 2 to ${Math.max(2, Math.min(LONGEST_HEADER, size - 8))} bytes here, got ${length}. ${advice}`,
    )
  return length
}

function parseHeader(where: string, bytes: Uint8Array, room: number): Header {
  const refuse = (what: string) =>
    new DataError(`${where}: the header of a safetensors file ${what}. The file is damaged, or of another kind.`)
  let json: unknown
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    if (text[0] !== '{') throw refuse(`begins with "{", got ${describe(text[0])}`)
    json = JSON.parse(text)
    const twice = duplicateKey(text)
    if (twice !== null) throw refuse(`has each name once, got ${describe(twice)} twice`)
  } catch (error) {
    if (error instanceof DataError) throw error
    throw refuse(`is JSON in UTF-8: ${(error as Error).message}`)
  }
  const { __metadata__: metadata = {}, ...entries } = json as Record<string, unknown>
  if (!isObject(metadata)) throw refuse(`may have an object as __metadata__, got ${describe(metadata)}`)
  for (const [name, value] of Object.entries(metadata))
    if (typeof value !== 'string') throw refuse(`has strings in __metadata__, got ${describe(value)} for ${describe(name)}`)
  const tensors = Object.entries(entries).map(([name, entry]) => storedTensor(`${where}: tensor ${describe(name)}`, name, entry))
  checkPlaces(where, tensors, room)
  return {
    metadata: new Map(Object.entries(metadata as Record<string, string>)),
    tensors: new Map(tensors.map((tensor) => [tensor.name, tensor])),
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function storedTensor(at: string, name: string, entry: unknown): StoredTensor {
  if (!isObject(entry)) throw new DataError(`${at}: expected an object with dtype, shape and data_offsets, got ${describe(entry)}.`)
  const { dtype, shape, data_offsets: offsets } = entry
  if (typeof dtype !== 'string' || !Object.hasOwn(types, dtype))
    throw new DataError(
      `${at}: dtype must be one of ${Object.keys(types).join(', ')}, got ${describe(dtype)}; convert it where it was made.`,
    )
  if (!Array.isArray(shape) || !shape.every(isCount))
    throw new DataError(`${at}: shape must be an array of integers of at least 0, got ${JSON.stringify(shape)?.slice(0, 80)}.`)
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount))
    throw new DataError(`${at}: data_offsets must be two integers of at least 0, got ${JSON.stringify(offsets)?.slice(0, 80)}.`)
  const [begin, end] = offsets
  const bytes = shape.reduce((product, extent) => product * extent, types[dtype].width)
  if (!isCount(bytes) || end - begin !== bytes)
    throw new DataError(`${at}: ${dtype} of shape [${shape.join(', ')}] takes ${bytes} bytes, but data_offsets are ${begin} and ${end}.`)
  return { name, dtype, shape, begin, end }
}

/** One behind the other, without holes, to the end of the file. */
function checkPlaces(where: string, tensors: readonly StoredTensor[], room: number): void {
  let position = 0
  for (const { name, begin, end } of [...tensors].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== position)
      throw new DataError(
        `${where}: tensor ${describe(name)} must begin where the one before it ends, at byte ${position} of the data, got ${begin}. The file is damaged.`,
      )
    position = end
  }
  if (position !== room)
    throw new DataError(
      `${where}: the tensors take ${counted(position, 'byte')}, but ${room} follow the header. ${room < position ? 'The file is cut short: copy it again' : 'Something was added to the file'}.`,
    )
}

/** A tensor to be written: its numbers are read when their turn comes. */
export interface TensorToWrite {
  readonly name: string
  readonly shape: readonly number[]
  readonly data: Numbers
}

/** Writes a file, whole or not at all. The numbers are written from where they are, shared memory too, without a copy. */
export async function writeTensors(
  where: string,
  path: string,
  tensors: readonly TensorToWrite[],
  metadata: Readonly<Record<string, string>>,
  signal?: AbortSignal,
): Promise<void> {
  // Wider numbers first, so that all begin at a multiple of their width.
  const ordered = [...tensors].sort((a, b) => b.data.BYTES_PER_ELEMENT - a.data.BYTES_PER_ELEMENT)
  let position = 0
  const entries = ordered.map(({ name, shape, data }) => {
    const begin = position
    position += data.byteLength
    return [name, { dtype: dtypeOf(data), shape, data_offsets: [begin, position] }] as const
  })
  for (const [name, value] of [...entries, ...Object.entries(metadata)]) {
    if (name === '__metadata__' || /\p{Surrogate}/u.test(`${name}${typeof value === 'string' ? value : ''}`))
      throw new OptionError(`${where}: ${describe(name)} cannot be stored: names and texts must be Unicode, and "__metadata__" is taken.`)
  }
  const json = Buffer.from(JSON.stringify(Object.fromEntries([['__metadata__', metadata], ...entries])))
  const header = Buffer.alloc(8 + Math.ceil(json.length / 8) * 8, ' ')
  header.writeBigUInt64LE(BigInt(header.length - 8))
  json.copy(header, 8)
  if (header.length - 8 > LONGEST_HEADER)
    throw new OptionError(
      `${where}: names and metadata take ${formatBytes(json.length)}, and the format has room for ${formatBytes(LONGEST_HEADER)}.`,
    )
  const chunks = [header, ...ordered.map(({ data }) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength))]
  await writeAtomically(where, path, chunks, { bytes: header.length + position, signal })
}

function dtypeOf(data: Numbers): string {
  return data instanceof Float32Array ? 'F32' : data instanceof Float64Array ? 'F64' : 'I32'
}

/** What is asked of reading or writing a file of tensors. */
export interface TensorFileOptions {
  /** Stops it; it rejects with an AbortError. Default: nothing does. */
  readonly signal?: AbortSignal
}

/**
 * Writes tensors by name to a .safetensors file, which PyTorch, NumPy, JAX and others read too. The file is there as a whole or not at all: it is written
 * beside the one that is there, forced to the disk and then put in its place.
 *
 * @param tensors Of float32, float64 or int32.
 * @param metadata Texts by name; default none.
 * @throws OptionError for what is no tensor or no text; FileError when the system refuses, a full disk among others: what was there is as it was.
 * @example await writeSafetensors('build/weights.safetensors', sequential([input(2), dense(1)]).weights(), { task: 'xor' })
 */
export async function writeSafetensors(
  path: string,
  tensors: Readonly<Record<string, NdArray<Float32Array | Float64Array | Int32Array>>>,
  metadata: Readonly<Record<string, string>> = {},
  options: TensorFileOptions = {},
): Promise<void> {
  const where = 'writeSafetensors'
  checkPath(where, 'file', path)
  checkOptions(where, options, ['signal'])
  checkSignal(where, options.signal)
  if (!isObject(tensors)) throw new OptionError(`${where}: expected an object of NdArrays by name, got ${describe(tensors)}.`)
  for (const [name, tensor] of Object.entries(tensors))
    if (!(tensor instanceof NdArray)) throw new OptionError(`${where}: ${describe(name)} must be an NdArray, got ${describe(tensor)}.`)
  checkMetadata(where, metadata)
  const list = Object.entries(tensors).map(([name, { shape, data }]) => ({ name, shape, data }))
  await writeTensors(where, path, list, metadata, options.signal)
}

/** Throws unless it is an object of texts. */
export function checkMetadata(where: string, metadata: unknown): void {
  if (!isObject(metadata)) throw new OptionError(`${where}: metadata must be an object of texts by name, got ${describe(metadata)}.`)
  for (const [name, value] of Object.entries(metadata))
    if (typeof value !== 'string')
      throw new OptionError(`${where}: metadata ${describe(name)} must be a text, got ${describe(value)}; try JSON.stringify(value).`)
}

/**
 * All tensors and the metadata of a .safetensors file, whoever wrote it. Everything in it is checked before memory is allocated, and nothing executed.
 *
 * @param source Its path, or its bytes.
 * @returns `tensors` by name: F16, BF16 and F32 as float32; F64, U32, I64 and U64 as float64 (integers exact up to 2^53); others as int32. `metadata`: texts by name.
 * @throws FileError when the system refuses; DataError for a file that is damaged, cut short or of another kind, or changes meanwhile.
 * @example await writeSafetensors('build/all.safetensors', { x: new NdArray(Float64Array.of(1, 2), [2]) }); (await readSafetensors('build/all.safetensors')).tensors.x
 */
export async function readSafetensors(
  source: string | Uint8Array,
  options: TensorFileOptions = {},
): Promise<{ tensors: Record<string, NdArray<Float32Array | Float64Array | Int32Array>>; metadata: Record<string, string> }> {
  return readAll('readSafetensors', source, options)
}

/**
 * The tensors of a .safetensors file as weights, float32 whatever they were: of a model that `save` wrote, or of another library's, for `setWeights`.
 *
 * @param source Its path, or its bytes.
 * @throws As `readSafetensors`.
 * @example const net = sequential([input(2), dense(1)]); await net.save('build/net.safetensors'); net.setWeights(await loadWeights('build/net.safetensors'))
 */
export async function loadWeights(source: string | Uint8Array, options: TensorFileOptions = {}): Promise<Record<string, NdArray>> {
  return (await readAll('loadWeights', source, options, Float32Array)).tensors as Record<string, NdArray>
}

async function readAll(where: string, source: string | Uint8Array, options: TensorFileOptions, type?: typeof Float32Array) {
  checkOptions(where, options, ['signal'])
  checkSignal(where, options.signal)
  const file = await SafetensorsFile.open(where, source, options.signal)
  try {
    const tensors: [string, NdArray<Numbers>][] = []
    for (const name of file.tensors.keys()) tensors.push([name, await file.read(name, type)])
    return { tensors: Object.fromEntries(tensors), metadata: Object.fromEntries(file.metadata) }
  } finally {
    await file.close()
  }
}
