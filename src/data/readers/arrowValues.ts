import type { Data } from 'apache-arrow'
import { plainValue } from './columns.ts'

type Arrow = typeof import('apache-arrow')
type Place = (i: number) => string
type Value = (i: number) => unknown
type Offsets = Int32Array | BigInt64Array

const decoder = new TextDecoder('utf-8', { fatal: true })

/**
 * The values of a column as plain ones.
 *
 * @throws Error if its buffers hold less than it says, or point elsewhere.
 */
export function valuesOf(library: Arrow, data: Data, place: Place): ArrayLike<unknown> {
  checkBuffers(library, data)
  if (data.nullCount === 0 && isNumeric(library, data)) return (data.values as Float32Array).subarray(0, data.length)
  const value = reader(library, data, place)
  return Array.from({ length: data.length }, (_, i) => value(i))
}

/** Whether values lie in memory as numbers. */
function isNumeric({ DataType, Precision }: Arrow, { type }: Data): boolean {
  return (DataType.isInt(type) && type.bitWidth < 64) || (DataType.isFloat(type) && type.precision !== Precision.HALF)
}

/** Gives a value by its number; null for one that is missing. */
function reader(library: Arrow, data: Data, place: Place): Value {
  if (library.DataType.isNull(data.type)) return () => null
  const value = presentReader(library, data, place)
  return data.nullCount === 0 ? value : (i) => (data.getValid(i) ? value(i) : null)
}

function presentReader(library: Arrow, data: Data, place: Place): Value {
  const { DataType } = library
  const { type, values, stride, children } = data
  if (DataType.isDictionary(type)) {
    const entries = (data.dictionary?.data ?? []).flatMap((part) => Array.from(valuesOf(library, part, place)))
    return (i) => {
      const index = Number(values[i])
      if (!(index >= 0 && index < entries.length)) throw new Error(`entry ${index} of a dictionary of ${entries.length}`)
      return entries[index]
    }
  }
  if (DataType.isUtf8(type) || DataType.isLargeUtf8(type)) {
    const range = rangeReader(data.valueOffsets)
    return (i) => decoder.decode(values.subarray(...range(i)))
  }
  if (DataType.isBinary(type) || DataType.isLargeBinary(type)) {
    const range = rangeReader(data.valueOffsets)
    return (i) => values.slice(...range(i))
  }
  if (DataType.isFixedSizeBinary(type)) return (i) => values.slice(i * stride, (i + 1) * stride)
  if (DataType.isList(type) || DataType.isLargeList(type)) return listReader(library, children[0], rangeReader(data.valueOffsets), place)
  if (DataType.isFixedSizeList(type)) return listReader(library, children[0], (i) => [i * stride, (i + 1) * stride], place)
  if (DataType.isMap(type)) {
    const pairs = listReader(library, children[0], rangeReader(data.valueOffsets), place)
    return (i) => Object.assign(Object.create(null), Object.fromEntries((pairs(i) as object[]).map((pair) => Object.values(pair))))
  }
  if (DataType.isStruct(type)) {
    const members = children.map((child, j) => [type.children[j].name, reader(library, child, place)] as const)
    return (i) => {
      const struct: Record<string, unknown> = Object.create(null)
      for (const [name, value] of members) struct[name] = value(i)
      return struct
    }
  }
  if (DataType.isDecimal(type)) return (i) => decimalOf(values.subarray(i * stride, (i + 1) * stride), type.scale)
  if (DataType.isUnion(type)) throw new Error('columns of unions are not supported')
  const vector = new library.Vector([data])
  const isDate = DataType.isDate(type) || DataType.isTimestamp(type)
  return isDate ? (i) => dateOf(vector.get(i)) : (i) => plainValue(vector.get(i), () => place(i))
}

/** Lists of numbers as typed arrays, unless one is missing; others as arrays. */
function listReader(library: Arrow, child: Data, range: (i: number) => [number, number], place: Place): Value {
  let row = 0
  const element = reader(library, child, () => place(row))
  const isNumbers = isNumeric(library, child)
  return (i) => {
    row = i
    const [begin, end] = range(i)
    let isWhole = isNumbers
    for (let j = begin; isWhole && child.nullCount > 0 && j < end; j++) isWhole = child.getValid(j)
    return isWhole ? (child.values as Float32Array).slice(begin, end) : Array.from({ length: end - begin }, (_, j) => element(begin + j))
  }
}

function rangeReader(offsets: Offsets): (i: number) => [number, number] {
  return (i) => [Number(offsets[i]), Number(offsets[i + 1])]
}

/** A decimal from its digits: words of 32 bits, the lowest first, in two's complement. */
function decimalOf(words: Uint32Array, scale: number): number {
  const digits = words.reduceRight((sum, word) => (sum << 32n) | BigInt(word >>> 0), 0n)
  return Number(`${BigInt.asIntN(32 * words.length, digits)}e${-scale}`)
}

function dateOf(milliseconds: number): Date {
  const date = new Date(milliseconds)
  if (Number.isNaN(date.getTime())) throw new Error(`a date ${milliseconds} ms from 1970`)
  return date
}

/** Throws unless the buffers of a column hold as many values as it says. */
function checkBuffers(library: Arrow, data: Data): void {
  const { DataType } = library
  const { type, length, stride, children } = data
  const check = (holds: boolean, what: string) => {
    if (!holds) throw new Error(`a column of ${length} values of type ${type} has too small ${what}`)
  }
  if (length === 0 || DataType.isNull(type)) return
  check(data.nullCount === 0 || data.nullBitmap.length * 8 >= length, 'a bitmap of what is null')
  for (const child of children) checkBuffers(library, child)
  const isBytes = DataType.isUtf8(type) || DataType.isLargeUtf8(type) || DataType.isBinary(type) || DataType.isLargeBinary(type)
  if (isBytes || DataType.isList(type) || DataType.isLargeList(type) || DataType.isMap(type)) {
    const offsets: Offsets = data.valueOffsets
    check(offsets.length > length, 'a buffer of offsets')
    for (let i = 0; i < length; i++) if (offsets[i] > offsets[i + 1]) throw new Error(`its offsets descend at value ${i}`)
    check(offsets[0] >= 0 && Number(offsets[length]) <= (isBytes ? data.values.length : children[0].length), 'values')
  } else if (DataType.isFixedSizeList(type)) check(children[0].length >= length * stride, 'lists')
  else if (DataType.isStruct(type))
    check(
      children.every((child) => child.length >= length),
      'members',
    )
  else if (DataType.isBool(type)) check(data.values.length * 8 >= length, 'a buffer')
  else if (DataType.isUtf8View(type) || DataType.isBinaryView(type)) check(data.values.length >= 16 * length, 'a buffer')
  else if (!DataType.isUnion(type)) check(data.values.length >= length * stride, 'a buffer')
}
