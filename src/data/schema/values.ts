/** What a field of a row stands for: a number, a date, yes or no, or nothing. */
import { DataError } from '../../errors.ts'
import { missingValues } from './defaults.ts'

/** Why a value is none of its column's: what was expected, and what to try. */
export interface Refusal {
  readonly expected: string
  readonly advice?: string
}

/** The largest magnitude of a float32. */
export const LARGEST = 3.4028234663852886e38

/** Whether a number fits float32: not NaN, infinite or larger. */
export function fits(x: number): boolean {
  return x >= -LARGEST && x <= LARGEST
}

/** The number that a field stands for, in decimal; NaN if none. */
export function numberOf(value: unknown): number {
  if (typeof value === 'number') return value
  if (typeof value === 'string') {
    const first = value.charCodeAt(0)
    if (first <= 32 || Number.isNaN(first)) {
      const text = value.trim()
      // What is no blank stays, as control characters do.
      return text === value ? Number.NaN : numberOf(text)
    }
    // NOTE: Number also reads 0x1f, 0o17 and 0b11, which in a table are names rather than numbers.
    if (first === 48 && value.length > 2) {
      const second = value.charCodeAt(1) | 32
      if (second === 120 || second === 111 || second === 98) return Number.NaN
    }
    return Number(value)
  }
  return typeof value === 'bigint' || typeof value === 'boolean' ? Number(value) : Number.NaN
}

/** A column as it is written: `column.number({ bins: 8 })`. @param where `column.` or `target.` and the kind. */
export function columnText(where: string, options: object): string {
  const given = Object.entries(options).map(([option, value]) => `${option}: ${JSON.stringify(value)}`)
  return `${where}(${given.length === 0 ? '' : `{ ${given.join(', ')} }`})`
}

/** A longer text is no marker of missing values. */
const LONGEST_MARKER = 40

/** What a value that is no number lacks. @param options Of the column made by `where`. */
export function numberRefusal(value: unknown, where: string, options: { readonly missingValues?: readonly (string | number)[] }): Refusal {
  const text = String(value).trim()
  const isNumeric = typeof value === 'number' || /^[+-]?(nan|inf(inity)?)$/i.test(text) || Number.isFinite(Number(text))
  const expected = isNumeric ? 'a finite number (within ±3.4e38)' : 'a number'
  if (!isNumeric && /^[+-]?[\d.,\s]*\d[,]\d/.test(text))
    return { expected, advice: 'write numbers with a decimal point and without separators' }
  if ((typeof value !== 'string' && typeof value !== 'number') || text.length > LONGEST_MARKER) return { expected }
  const corrected = columnText(where, { ...options, missingValues: [...(options.missingValues ?? missingValues), text] })
  return { expected, advice: `if it stands for a missing value, say so: ${corrected}` }
}

/** What stands for a value that is not there. */
export class Missing {
  private readonly text: ReadonlySet<string>
  /** Numbers among it, or null. */
  readonly numbers: ReadonlySet<number> | null

  constructor(given: readonly (string | number)[] = missingValues) {
    this.text = new Set(given.map(String))
    const numbers = given.map((value) => numberOf(value)).filter(Number.isFinite)
    this.numbers = numbers.length === 0 ? null : new Set(numbers)
  }

  has(value: unknown): boolean {
    if (value === undefined || value === null) return true
    if (typeof value === 'string') return value === '' || this.text.has(value.trim()) || value.trim() === ''
    return typeof value === 'number' && this.text.has(String(value))
  }
}

const iso = /^(\d{4})-(\d\d)(?:-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s?(Z|[+-]\d\d(?::?\d\d)?)?)?)?$/

const DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/** Milliseconds since 1970 (UTC, where no other zone is said) of a Date or a date of ISO 8601; NaN if neither. */
export function dateOf(value: unknown): number {
  if (value instanceof Date) return value.getTime()
  if (typeof value !== 'string') return Number.NaN
  const found = iso.exec(value.trim())
  if (found === null) return Number.NaN
  const [year, month, day, hour, minute, second] = [1, 2, 3, 4, 5, 6].map((i) => Number(found[i] ?? (i === 3 ? 1 : 0)))
  if (month < 1 || month > 12 || day < 1 || day > DAYS[month - 1] || hour > 23 || minute > 59 || second > 59) return Number.NaN
  const time = new Date(Date.UTC(2000, month - 1, day, hour, minute, second, Math.floor(Number(`0.${found[7] ?? 0}`) * 1000)))
  time.setUTCFullYear(year, month - 1, day)
  return time.getUTCDate() === day ? time.getTime() - offsetOf(found[8]) : Number.NaN
}

/** Milliseconds of `+02:00`. */
function offsetOf(zone: string | undefined): number {
  if (zone === undefined || zone === 'Z') return 0
  const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(3).replace(':', '') || 0)
  return (zone[0] === '-' ? -1 : 1) * minutes * 60_000
}

/** Words for yes and no, in lower case, pair by pair. */
export const yesWords = ['yes', 'true', 'y', 't', '1', 'on']
export const noWords = ['no', 'false', 'n', 'f', '0', 'off']

/** Text as a category or a word: numbers and truth values have one too; null for anything else. */
export function textOf(value: unknown): string | null {
  if (typeof value === 'string') return value
  return typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint' ? String(value) : null
}

/** The numbers of a list. @returns null if it is none, or one of them is no number. */
export function listOf(value: unknown): ArrayLike<number> | null {
  if (ArrayBuffer.isView(value) && !(value instanceof DataView || value instanceof BigInt64Array || value instanceof BigUint64Array))
    return value as unknown as ArrayLike<number>
  if (typeof value === 'object' && value !== null && 'data' in value && 'shape' in value) return listOf(value.data)
  if (!Array.isArray(value)) return null
  const flat: unknown[] = Array.isArray(value[0]) ? value.flat(8) : value
  for (let i = 0; i < flat.length; i++) if (typeof flat[i] !== 'number') return null
  return flat as number[]
}

/** Throws the error about a value of a row. */
export function refuse(place: string, { expected, advice }: Refusal, got: string): never {
  throw new DataError(`${place}: expected ${expected}, got ${got}${advice === undefined ? '' : `; ${advice}`}.`)
}
