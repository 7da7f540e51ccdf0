import { dateOf, numberOf, textOf } from './values.ts'

/** Words for nothing that every kind of column takes as missing. */
const nothing = new Set(['', 'NA', 'N/A', 'null'])

/** One column of a sample. What is dear to find is found once, when it is asked for. */
export class Profile {
  /** Those that are there. */
  readonly values: readonly unknown[]
  readonly missing: number
  /** How often each is there, as it is written. */
  readonly distinct: ReadonlyMap<string, number>
  /** Whether all are text, numbers or truth values. */
  readonly isWritten: boolean

  constructor(all: readonly unknown[]) {
    this.values = all.filter((value) => value !== undefined && value !== null && !(typeof value === 'string' && nothing.has(value.trim())))
    this.missing = all.length - this.values.length
    const distinct = new Map<string, number>()
    for (const value of this.values) {
      const text = value instanceof Date ? String(value.getTime()) : textOf(value)
      if (text !== null) distinct.set(text, (distinct.get(text) ?? 0) + 1)
    }
    this.distinct = distinct
    this.isWritten = this.values.every((value) => textOf(value) !== null)
  }

  /** The value that all are, as it is written, or null. */
  get constant(): string | null {
    const [first] = this.distinct
    return first !== undefined && first[1] === this.values.length ? first[0] : null
  }

  /** All values as numbers, or null if one is none. */
  get numbers(): Float64Array | null {
    const numbers = Float64Array.from(this.values, numberOf)
    return this.values.length > 0 && numbers.every(Number.isFinite) ? numbers : null
  }

  /** The numbers, if all other values are among `markers`, and most are numbers; otherwise none. */
  numbersBut(markers: readonly string[]): { numbers: number[]; markers: string[] } {
    const numbers: number[] = []
    const found = new Set<string>()
    for (const value of this.values) {
      const x = numberOf(value)
      if (Number.isFinite(x)) numbers.push(x)
      else if (markers.includes(String(textOf(value)).trim())) found.add(String(value).trim())
      else return { numbers: [], markers: [] }
    }
    return numbers.length * 2 > this.values.length ? { numbers, markers: [...found].sort() } : { numbers: [], markers: [] }
  }

  /** All values as milliseconds, or null if one is no date. */
  get dates(): Float64Array | null {
    const dates = Float64Array.from(this.values, dateOf)
    return this.values.length > 0 && dates.every(Number.isFinite) ? dates : null
  }

  /** Whether a number is written as codes are: 02134. */
  get hasLeadingZeros(): boolean {
    return this.values.some((value) => typeof value === 'string' && /^0\d+$/.test(value))
  }

  /** How many words a value has on average. */
  get words(): number {
    return (
      this.values.reduce((sum: number, value) => sum + (textOf(value)?.trim().split(/\s+/).length ?? 0), 0) /
      Math.max(1, this.values.length)
    )
  }
}
