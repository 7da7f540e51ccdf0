/** Values made of objects, arrays, numbers and typed arrays as JSON and a list of arrays, and back with the same bits. */
import { DataError, describe, OptionError } from '../errors.ts'

export type PackedArray = Float32Array | Float64Array | Int32Array

/** What can be packed. */
export type Packable =
  | null
  | boolean
  | number
  | string
  | PackedArray
  | readonly Packable[]
  | { readonly [name: string]: Packable | undefined }

export interface Packed {
  readonly json: string
  readonly arrays: Readonly<Record<string, PackedArray>>
}

/** What JSON would lose, and where an array stands: objects of this member alone. */
const SPECIAL = '$'

/**
 * @param where The beginning of messages.
 * @throws OptionError for what would not come back as it is.
 */
export function pack(where: string, value: unknown): Packed {
  const arrays: Record<string, PackedArray> = {}
  const walk = (part: unknown, path: string): unknown => {
    if (typeof part === 'number')
      return Number.isFinite(part) && !Object.is(part, -0) ? part : { [SPECIAL]: Object.is(part, -0) ? '-0' : String(part) }
    if (part instanceof Float32Array || part instanceof Float64Array || part instanceof Int32Array) {
      // Names may contain slashes, so that two paths can be the same text.
      let name = path
      while (Object.hasOwn(arrays, name)) name += "'"
      arrays[name] = part
      return { [SPECIAL]: name }
    }
    if (Array.isArray(part)) return part.map((item, i) => walk(item, `${path}/${i}`))
    if (part === undefined || part === null || typeof part === 'boolean' || typeof part === 'string') return part
    if (!isPlain(part))
      throw new OptionError(
        `${where}: ${path} cannot be stored: expected objects and arrays of numbers, texts, booleans, null, Float32Array, Float64Array and Int32Array, got ${describe(part)}.`,
      )
    return Object.fromEntries(Object.entries(part).map(([name, item]) => [name, walk(item, path === '' ? name : `${path}/${name}`)]))
  }
  return { json: JSON.stringify(walk(value, '')), arrays }
}

/** An object that is its members, none of which is named "$". */
function isPlain(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || Object.hasOwn(value, SPECIAL)) return false
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** @throws DataError for what `pack` did not make. */
export function unpack(where: string, json: string, arrayOf: (name: string) => PackedArray | undefined): Packable {
  const walk = (part: unknown): Packable => {
    if (Array.isArray(part)) return part.map(walk)
    if (typeof part !== 'object' || part === null) return part as null
    if (Object.hasOwn(part, SPECIAL)) return special(where, (part as Record<string, unknown>)[SPECIAL], arrayOf)
    // fromEntries defines members, so that "__proto__" is one like others.
    return Object.fromEntries(Object.entries(part).map(([name, item]) => [name, walk(item)]))
  }
  let parsed: unknown
  try {
    parsed = JSON.parse(json)
  } catch (error) {
    throw new DataError(`${where}: expected JSON, got ${(error as Error).message}.`)
  }
  return walk(parsed)
}

const numbers: ReadonlyMap<unknown, number> = new Map([
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
  ['-0', -0],
])

function special(where: string, name: unknown, arrayOf: (name: string) => PackedArray | undefined): Packable {
  const found = numbers.get(name) ?? (typeof name === 'string' ? arrayOf(name) : undefined)
  if (found === undefined) throw new DataError(`${where}: it has no tensor ${JSON.stringify(name)}; the file is damaged.`)
  return found
}
