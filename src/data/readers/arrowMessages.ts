/**
 * The flat buffers that describe Arrow data. The library reads them without looking where they end: a damaged length would keep it busy for hours.
 * So they are walked over before, with the positions of members that https://arrow.apache.org/docs/format/ gives (Schema.fbs, Message.fbs, File.fbs).
 */

/** Members that have a length, by their place in the table: a table, a vector of tables, or a vector of things of so many bytes. */
interface Layout {
  readonly tables?: Readonly<Record<number, Layout>>
  readonly vectors?: Readonly<Record<number, Layout | number>>
}

const KEY_VALUE: Layout = {}
const FIELD: Layout = {
  get vectors() {
    return { 14: FIELD, 16: KEY_VALUE }
  },
}
const SCHEMA: Layout = { vectors: { 6: FIELD, 8: KEY_VALUE, 10: 8 } }
const RECORD_BATCH: Layout = { vectors: { 6: 16, 8: 16, 12: 8 } }
const DICTIONARY_BATCH: Layout = { tables: { 6: RECORD_BATCH } }
const FOOTER: Layout = { tables: { 6: SCHEMA }, vectors: { 8: 24, 10: 24, 12: KEY_VALUE } }
const HEADERS: readonly Layout[] = [{}, SCHEMA, DICTIONARY_BATCH, RECORD_BATCH]

/** Throws unless all tables and vectors of a message lie within it. */
export function checkMessage(bytes: Uint8Array): void {
  const buffer = new FlatBuffer(bytes)
  buffer.check(buffer.root, { vectors: { 12: KEY_VALUE } })
  const type = buffer.member(buffer.root, 6)
  const header = HEADERS[type === null ? 0 : bytes[type]]
  if (header === undefined) throw new Error('a message of an unknown kind')
  buffer.check(buffer.root, { tables: { 8: header } })
}

/** Throws unless all tables and vectors of the footer of a file lie within it. */
export function checkFooter(bytes: Uint8Array): void {
  const buffer = new FlatBuffer(bytes)
  buffer.check(buffer.root, FOOTER)
}

class FlatBuffer {
  private readonly view: DataView
  /** Every table takes four bytes: there cannot be more of them, unless they stand in circles. */
  private tablesLeft: number

  constructor(bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.tablesLeft = bytes.length / 4
  }

  get root(): number {
    return this.follow(0)
  }

  /** Where a member of a table lies, or null. */
  member(table: number, place: number): number | null {
    const index = table - this.view.getInt32(table, true)
    const offset = place < this.view.getUint16(index, true) ? this.view.getUint16(index + place, true) : 0
    return offset === 0 ? null : table + offset
  }

  check(table: number, { tables = {}, vectors = {} }: Layout): void {
    if (--this.tablesLeft < 0) throw new Error('tables in circles')
    for (const [place, layout] of Object.entries(tables)) {
      const member = this.member(table, Number(place))
      if (member !== null) this.check(this.follow(member), layout)
    }
    for (const [place, element] of Object.entries(vectors)) {
      const member = this.member(table, Number(place))
      if (member === null) continue
      const start = this.follow(member) + 4
      const length = this.view.getUint32(start - 4, true)
      if (start + length * (typeof element === 'number' ? element : 4) > this.view.byteLength)
        throw new Error(`a list of ${length} that ends outside`)
      if (typeof element === 'number') continue
      for (let i = 0; i < length; i++) this.check(this.follow(start + 4 * i), element)
    }
  }

  private follow(position: number): number {
    return position + this.view.getUint32(position, true)
  }
}
