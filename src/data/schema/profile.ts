import { missingMarkers, missingValues } from './defaults.ts'
import { dateOf, numberOf, textOf } from './values.ts'

/** Words for nothing that every kind of column takes as missing. */
const nothing = new Set(['', 'NA', 'N/A', 'null'])

/** What most values of a column are, and the texts that stand in between for missing ones. */
export interface Marked {
  readonly numbers: readonly number[]
  readonly markers: readonly string[]
}

/** What a column must be told, and its user, if markers stand for missing values. */
export function markedOptions(
  markers: readonly string[],
  others = missingValues,
): {
  options: { missingValues?: readonly (string | number)[] }
  warning: { warning?: string }
} {
  if (markers.length === 0) return { options: {}, warning: {} }
  return {
    options: { missingValues: [...others, ...markers] },
    warning: { warning: `${markers.map((marker) => `"${marker}"`).join(', ')} count as missing values` },
  }
}

/** One column of a sample. */
export class Profile {
  /** Those that are there. */
  readonly values: readonly unknown[]
  readonly missing: number
  /** The words for nothing among those that are missing. */
  readonly absent: readonly string[]
  /** How often each is there, as it is written. */
  readonly distinct: ReadonlyMap<string, number>
  /** Whether all are text, numbers or truth values. */
  readonly isWritten: boolean

  constructor(all: readonly unknown[]) {
    this.values = all.filter((value) => value !== undefined && value !== null && !(typeof value === 'string' && nothing.has(value.trim())))
    this.missing = all.length - this.values.length
    const words = all.flatMap((value) => (typeof value === 'string' && nothing.has(value.trim()) ? [value.trim()] : []))
    this.absent = [...new Set(words)].filter((word) => word !== '').sort()
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

  /** The numbers, if all other values are markers of missing ones, and most are numbers; otherwise none. */
  get markedNumbers(): Marked {
    return this.marked(numberOf)
  }

  /** The same of dates, in milliseconds. */
  get markedDates(): Marked {
    return this.marked(dateOf)
  }

  private marked(read: (value: unknown) => number): Marked {
    const numbers: number[] = []
    const markers = new Set<string>()
    for (const value of this.values) {
      const x = read(value)
      const marker = textOf(value)?.trim() ?? ''
      if (Number.isFinite(x)) numbers.push(x)
      else if (missingMarkers.includes(marker)) markers.add(marker)
      else return { numbers: [], markers: [] }
    }
    return numbers.length * 2 > this.values.length ? { numbers, markers: [...markers].sort() } : { numbers: [], markers: [] }
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
