import type { ColumnMetaData, DataReader, PageHeader, SchemaTree } from 'hyparquet'
import { counted, DataError } from '../../errors.ts'

/** More values in a column of a row group than anything sensible writes; a damaged file must not make us wait or run out of memory. */
const MOST_VALUES = 2 ** 27
/** How many times its size a page may grow at most when it is decompressed. */
const GROWTH: Readonly<Record<string, number>> = { UNCOMPRESSED: 1, SNAPPY: 22, LZ4_RAW: 256, GZIP: 1100 }
/** Runs may go on behind the last value: eights of values are filled up, and some writers fill more. */
const PADDING = 512

/** Where the pages of a column of a row group lie in the file. */
export function bytesOf(meta: ColumnMetaData): [start: number, end: number] {
  const start = Number(meta.dictionary_page_offset || meta.data_page_offset)
  return [start, start + Number(meta.total_compressed_size)]
}

/** Decompresses what a page holds. */
export type Decompress = (bytes: Uint8Array, length: number) => Uint8Array

/**
 * Walks over the pages of a column before anything is decoded: sizes must fit what is there, counts what the file says of the column, and runs what
 * they fill. The library trusts them, and would fill memory after a single damaged byte.
 *
 * @throws DataError, or whatever `parquetHeader` or `decompress` throws, if they do not.
 */
export function checkPages(
  where: string,
  bytes: Uint8Array<ArrayBuffer>,
  meta: ColumnMetaData,
  tree: SchemaTree,
  parquetHeader: (reader: DataReader) => PageHeader,
  decompress: Decompress,
): void {
  const expected = Number(meta.num_values)
  if (!(expected >= 0 && expected <= MOST_VALUES))
    throw new DataError(
      `${where}: ${expected} values in one row group, expected at most ${MOST_VALUES}; write the file with smaller row groups.`,
    )
  const check = (holds: boolean, why: () => string) => {
    if (!holds) throw new DataError(`${where}: the file is damaged: ${why()}.`)
  }
  const [repetition, definition] = levelsOf(tree, meta.path_in_schema)
  const [repetitionBits, definitionBits] = [repetition, definition].map((level) => Math.ceil(Math.log2(level + 1)))
  const reader = { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset: 0 }
  let values = 0
  while (values < expected) {
    check(reader.offset < bytes.length, () => `its pages end after ${values} of ${counted(expected, 'value')}`)
    const header = parquetHeader(reader)
    const { compressed_page_size: size, uncompressed_page_size: whole } = header
    const left = bytes.length - reader.offset
    check(size >= 0 && size <= left, () => `a page claims ${size} bytes where ${left} are left`)
    check(whole >= 0 && whole <= (GROWTH[meta.codec] ?? Infinity) * size + 64, () => `a page of ${size} bytes claims to hold ${whole}`)
    // What is in a dictionary takes at least a bit.
    const entries = header.dictionary_page_header?.num_values ?? 0
    check(entries >= 0 && entries <= 8 * whole, () => `a dictionary of ${whole} bytes claims ${entries} entries`)
    const data = header.data_page_header ?? header.data_page_header_v2
    const count = data?.num_values ?? 0
    check(count >= 0 && count <= expected - values, () => `a page claims ${count} values where ${expected - values} are left`)
    const page = bytes.subarray(reader.offset, reader.offset + size)
    if (header.type === 'DATA_PAGE') {
      const content = decompress(page, whole)
      const levels = new Runs(content, 0, count, check)
      if (repetition > 0) levels.checkSized(repetitionBits)
      const present = definition > 0 ? levels.checkSized(definitionBits, definition) : count
      new Runs(content, levels.position, present, check).checkValues(data?.encoding, meta.type)
    } else if (header.type === 'DATA_PAGE_V2' && header.data_page_header_v2) {
      const v2 = header.data_page_header_v2
      const { num_nulls: nulls, num_rows: rows, repetition_levels_byte_length: first, definition_levels_byte_length: second } = v2
      check(
        nulls >= 0 && nulls <= count && rows >= 0 && rows <= count,
        () => `a page of ${count} values claims ${rows} rows and ${nulls} nulls`,
      )
      check(
        first >= 0 && second >= 0 && first + second <= Math.min(size, whole),
        () => `a page of ${size} bytes claims ${first + second} bytes of levels`,
      )
      if (repetition > 0) new Runs(page, 0, count, check).checkHybrid(repetitionBits)
      if (definition > 0) new Runs(page, first, count, check).checkHybrid(definitionBits)
      const content = page.subarray(first + second)
      const values = v2.is_compressed === false ? content : decompress(content, whole - first - second)
      new Runs(values, 0, count - nulls, check).checkValues(data?.encoding, meta.type)
    }
    reader.offset += size
    values += count
  }
}

/** The highest repetition and definition level of a column. */
function levelsOf(tree: SchemaTree, path: readonly string[]): [repetition: number, definition: number] {
  let [repetition, definition] = [0, 0]
  let node: SchemaTree | undefined = tree
  for (const name of path) {
    node = node?.children.find(({ element }) => element.name === name)
    const kind = node?.element.repetition_type
    if (kind === 'REPEATED') repetition++
    if (kind !== 'REQUIRED') definition++
  }
  return [repetition, definition]
}

/** Walks over runs of values, which must be as many as there shall be, or hardly more. */
class Runs {
  position: number
  private readonly page: Uint8Array
  private readonly count: number
  private readonly check: (holds: boolean, why: () => string) => void

  constructor(page: Uint8Array, position: number, count: number, check: (holds: boolean, why: () => string) => void) {
    this.page = page
    this.position = position
    this.count = count
    this.check = check
  }

  /** What stands behind the levels of a page. */
  checkValues(encoding: string | undefined, type: string): void {
    if (this.count === 0) return
    if (encoding === 'RLE' && type === 'BOOLEAN') this.checkSized(1)
    else if (encoding === 'RLE' || encoding === 'PLAIN_DICTIONARY' || encoding === 'RLE_DICTIONARY') {
      this.check(this.position < this.page.length, () => 'a page ends before its values')
      this.checkHybrid(this.page[this.position++])
    } else if (encoding === 'DELTA_BINARY_PACKED' || encoding === 'DELTA_LENGTH_BYTE_ARRAY') this.checkDelta()
    else if (encoding === 'DELTA_BYTE_ARRAY') {
      this.checkDelta()
      this.checkDelta()
    }
  }

  /** Runs behind their length in bytes; counts those that are `wanted`. */
  checkSized(bits: number, wanted = -1): number {
    const { page, position } = this
    this.check(position + 4 <= page.length, () => 'a page ends before its levels')
    const length = new DataView(page.buffer, page.byteOffset).getUint32(position, true)
    this.check(position + 4 + length <= page.length, () => `a page of ${page.length} bytes claims ${length} bytes of levels`)
    this.position += 4
    const found = this.checkHybrid(bits, wanted)
    this.position = position + 4 + length
    return found
  }

  /** Runs of equal values, and eights of packed ones; counts those that are `wanted`. */
  checkHybrid(bits: number, wanted = -1): number {
    let found = 0
    for (let seen = 0; bits > 0 && seen < this.count; ) {
      const header = this.varint()
      const isPacked = (header & 1) === 1
      const length = (header >>> 1) * (isPacked ? 8 : 1)
      this.check(length <= this.count - seen + PADDING, () => `a run of ${length} values in a page of ${this.count}`)
      if (wanted >= 0) {
        const used = Math.min(length, this.count - seen)
        if (!isPacked) found += this.packed(0, bits) === wanted ? used : 0
        else for (let i = 0; i < used; i++) found += Number(this.packed(i, bits) === wanted)
      }
      seen += length
      this.position += isPacked ? (header >>> 1) * bits : Math.ceil(bits / 8)
    }
    return found
  }

  /** Blocks of packed differences. */
  checkDelta(): void {
    const size = this.varint()
    const parts = this.varint()
    const total = this.varint()
    this.varint()
    const values = size / parts
    this.check(parts > 0 && values > 0 && values % 8 === 0, () => `blocks of ${size} values in ${parts} parts`)
    this.check(total === this.count, () => `${total} differences, expected ${this.count}`)
    for (let seen = 1; seen < this.count; ) {
      this.varint()
      const widths = this.position
      this.position += parts
      for (let i = 0; i < parts && seen < this.count; i++, seen += values) this.position += (this.page[widths + i] * values) / 8
    }
  }

  /** A level of a few bits, packed from the lowest bit on. */
  private packed(i: number, bits: number): number {
    const byte = this.position + ((i * bits) >> 3)
    return (((this.page[byte] ?? 0) | ((this.page[byte + 1] ?? 0) << 8)) >> ((i * bits) & 7)) & ((1 << bits) - 1)
  }

  /** An integer of at most 64 bits; of more than 32 only the lowest. */
  private varint(): number {
    let value = 0
    for (let i = 0; i < 10; i++) {
      this.check(this.position < this.page.length, () => 'a page ends within its values')
      const byte = this.page[this.position++]
      if (i < 5) value |= (byte & 0x7f) << (7 * i)
      if (byte < 0x80) return value >>> 0
    }
    this.check(false, () => 'a page holds an integer of more than 64 bits')
    return 0
  }
}
