import { counted, DataError } from '../../errors.ts'
import { CHUNK, type Open } from '../chunk.ts'
import { Dataset } from '../dataset.ts'
import { NdArray, type NumberArray } from '../ndarray.ts'
import { ByteSource } from './byteSource.ts'

/** A row of `idx`. */
export interface IdxRow {
  /** The numbers of one item, as the file has them; a number where the file has one dimension. */
  readonly image: NumberArray | number
}

/** A row of `idx` with labels. */
export interface LabelledIdxRow extends IdxRow {
  /** Its label. */
  readonly label: number
}

/** The types of numbers by their code in the third byte. */
const TYPES = new Map<number, { readonly name: string; readonly array: new (buffer: ArrayBuffer) => NumberArray; readonly bytes: number }>([
  [0x08, { name: 'unsigned bytes', array: Uint8Array, bytes: 1 }],
  [0x09, { name: 'signed bytes', array: Int8Array, bytes: 1 }],
  [0x0b, { name: 'short integers', array: Int16Array, bytes: 2 }],
  [0x0c, { name: 'integers', array: Int32Array, bytes: 4 }],
  [0x0d, { name: 'floats', array: Float32Array, bytes: 4 }],
  [0x0e, { name: 'doubles', array: Float64Array, bytes: 8 }],
])
/** What is read of a file at a time. */
const PIECE = 1 << 20

/**
 * The items of an IDX file, the format of MNIST and Fashion-MNIST (compressed by gzip or not), as a dataset of rows { image } or, with a second file,
 * { image, label }. An image is a typed array of the file's own type, 784 numbers of 0 … 255 for MNIST: scale them as you like.
 *
 * @param images The file of images, or of anything: its first dimension counts the items.
 * @param labels A file of as many labels, of one dimension; default none.
 * @throws FileError for a file that cannot be read; DataError for one that is not IDX, truncated, longer than it says, or of another count than the other
 * one. All when it is read.
 * @example const digits = idx('train-images-idx3-ubyte.gz', 'train-labels-idx1-ubyte.gz').shuffle()
 */
export function idx(images: string | URL): Dataset<IdxRow>
export function idx(images: string | URL, labels: string | URL): Dataset<LabelledIdxRow>
export function idx(images: string | URL, labels?: string | URL): Dataset<IdxRow> {
  const source = new ByteSource('idx', images)
  return new Dataset(readRows(source, labels === undefined ? null : new ByteSource('idx', labels)))
}

/**
 * An IDX file, compressed by gzip or not, as one array in memory, of the file's own type: [60000, 28, 28] for the images of MNIST.
 *
 * @throws FileError if it cannot be read; DataError if it is not IDX, truncated, or longer than it says.
 * @example await readIdx('train-images-idx3-ubyte.gz').catch((error) => { if (!(error instanceof FileError)) throw error })
 */
export async function readIdx(path: string | URL): Promise<NdArray<NumberArray>> {
  const file = await IdxFile.open(new ByteSource('readIdx', path))
  try {
    const values = await file.take(file.shape.reduce((product, extent) => product * extent, 1))
    await file.end()
    return new NdArray(values, file.shape)
  } finally {
    await file.close()
  }
}

function readRows(images: ByteSource, labels: ByteSource | null): Open<IdxRow> {
  return async function* ({ signal }) {
    const files: IdxFile[] = []
    try {
      for (const source of labels === null ? [images] : [images, labels]) files.push(await IdxFile.open(source, signal))
      const [count, width] = itemsOf(files[0])
      if (labels !== null) checkLabels(files[0], files[1])
      const rows = Math.max(1, Math.min(CHUNK, Math.floor(PIECE / (width * files[0].type.bytes))))
      for (let start = 0; start < count; start += rows) {
        const length = Math.min(rows, count - start)
        const values = await files[0].take(length * width)
        const names = labels === null ? null : await files[1].take(length)
        const items = Array.from({ length }, (_, i) => {
          // A copy, so that an image that is kept does not keep its neighbours.
          const image = files[0].shape.length === 1 ? values[i] : values.slice(i * width, (i + 1) * width)
          return names === null ? { image } : { image, label: names[i] }
        })
        yield { items, place: (i) => `${images.name}, item ${start + i}` }
      }
      for (const file of files) await file.end()
    } finally {
      for (const file of files) await file.close()
    }
  }
}

/** How many items a file has, and of how many numbers. */
function itemsOf({ name, shape }: IdxFile): [count: number, width: number] {
  if (shape.length === 0) throw new DataError(`${name}: expected an IDX file of items, got one of a single number.`)
  const width = shape.slice(1).reduce((product, extent) => product * extent, 1)
  if (width === 0 && shape[0] > 0) throw new DataError(`${name}: expected items of at least one number, got shape [${shape.join(', ')}].`)
  return [shape[0], width]
}

function checkLabels(images: IdxFile, labels: IdxFile): void {
  if (labels.shape.length !== 1)
    throw new DataError(
      `${labels.name}: expected labels, one number each, got shape [${labels.shape.join(', ')}]; give the images first, then the labels.`,
    )
  if (labels.shape[0] !== images.shape[0])
    throw new DataError(
      `${labels.name}: expected a label for each of the ${counted(images.shape[0], 'item')} of ${images.name}, got ${labels.shape[0]}.`,
    )
}

/** An IDX file that is read from front to back. Of what its header claims nothing is allocated before it has come. */
class IdxFile {
  readonly name: string
  shape: readonly number[] = []
  type = { name: '', array: Uint8Array as new (buffer: ArrayBuffer) => NumberArray, bytes: 1 }
  private readonly blocks: AsyncGenerator<Buffer, void, undefined>
  private rest: Buffer = Buffer.alloc(0)

  private constructor(source: ByteSource, signal: AbortSignal | undefined) {
    this.name = source.name
    this.blocks = source.read(signal)
  }

  static async open(source: ByteSource, signal?: AbortSignal): Promise<IdxFile> {
    const file = new IdxFile(source, signal)
    try {
      await file.readHeader()
      return file
    } catch (error) {
      await file.close()
      throw error
    }
  }

  /** So many numbers. */
  async take(count: number): Promise<NumberArray> {
    const { array, bytes, name } = this.type
    const size = count * bytes
    const got = await this.bytes(size)
    if (got.length < size)
      throw new DataError(
        `${this.name}: the file is truncated: its header says [${this.shape.join(', ')}] ${name}, and ${counted(size - got.length, 'byte')} of ${size} are missing where it ends; write or copy it again.`,
      )
    const copy = Buffer.from(new Uint8Array(got).buffer)
    if (bytes === 2) copy.swap16()
    else if (bytes === 4) copy.swap32()
    else if (bytes === 8) copy.swap64()
    return new array(copy.buffer as ArrayBuffer)
  }

  /** Throws if there is more. */
  async end(): Promise<void> {
    if ((await this.bytes(1)).length > 0)
      throw new DataError(
        `${this.name}: the file is longer than its header says, [${this.shape.join(', ')}] ${this.type.name}; is it another file?`,
      )
  }

  async close(): Promise<void> {
    await this.blocks.return()
  }

  private async readHeader(): Promise<void> {
    const [zero, alsoZero, code, rank] = await this.bytes(4)
    if (zero !== 0 || alsoZero !== 0 || rank === undefined)
      throw new DataError(`${this.name}: expected an IDX file, which begins with two zeros, a type and the number of dimensions.`)
    const type = TYPES.get(code)
    if (type === undefined)
      throw new DataError(
        `${this.name}: expected an IDX file of a type of ${Array.from(TYPES.keys(), hexadecimal).join(', ')}, got ${hexadecimal(code)}.`,
      )
    this.type = type
    const extents = await this.bytes(4 * rank)
    if (extents.length < 4 * rank)
      throw new DataError(
        `${this.name}: the file is truncated: its header of ${counted(rank, 'dimension')} ends after ${counted(4 + extents.length, 'byte')}.`,
      )
    this.shape = Array.from({ length: rank }, (_, axis) => extents.readUInt32BE(4 * axis))
    const size = this.shape.reduce((product, extent) => product * extent, type.bytes)
    if (!Number.isSafeInteger(size))
      throw new DataError(`${this.name}: its header claims a shape of [${this.shape.join(', ')}], more than any file holds.`)
  }

  /** So many bytes, or what is left. */
  private async bytes(count: number): Promise<Buffer> {
    const pieces = [this.rest]
    let size = this.rest.length
    while (size < count) {
      const { value, done } = await this.blocks.next()
      if (done) break
      pieces.push(value)
      size += value.length
    }
    const all = pieces.length === 1 ? pieces[0] : Buffer.concat(pieces, size)
    this.rest = all.subarray(count)
    return all.subarray(0, count)
  }
}

function hexadecimal(code: number): string {
  return `0x${code.toString(16).padStart(2, '0')}`
}
