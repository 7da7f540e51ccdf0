import { missingMarkers, missingValues } from './defaults.ts'
import { dateOf, numberOf, textOf } from './values.ts'

/** A column is one of numbers if so small a part of it is not: better to stop at that value than to read all others as names. */
const MOST_STRAYS = 0.02

/** Words for nothing that every kind of column takes as missing. */
const nothing = new Set(['', 'NA', 'N/A', 'null'])

/** What most values of a column are, and the texts that stand in between for missing ones. */
export interface Marked {
  readonly numbers: readonly number[]
  readonly markers: readonly string[]
  /** Of a column of numbers: the few texts that are none. */
  readonly strays: readonly string[]
}

/** What a column must be told, and its user, if markers stand for missing values. */
export function markedOptions(
  { markers, strays }: Pick<Marked, 'markers' | 'strays'>,
  others = missingValues,
): {
  options: { missingValues?: readonly (string | number)[] }
  warning: { warning?: string }
} {
  const quoted = (texts: readonly string[]) => texts.map((text) => JSON.stringify(text)).join(', ')
  const sentences = [
    ...(markers.length === 0
      ? []
      : [`${quoted(markers)} ${markers.length === 1 ? 'counts as a missing value' : 'count as missing values'}`]),
    ...(strays.length === 0
      ? []
      : [
          `nearly all values are numbers, but ${quoted(strays.slice(0, 3))} ${strays.length === 1 ? 'is' : 'are'} not; correct that, or make it a category`,
        ]),
  ]
  return {
    options: markers.length === 0 ? {} : { missingValues: [...others, ...markers] },
    warning: sentences.length === 0 ? {} : { warning: sentences.join('; ') },
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

  /** The numbers, if all other values are markers of missing ones or very few, and most are numbers; otherwise none. */
  get markedNumbers(): Marked {
    return this.marked(numberOf, Math.floor(this.values.length * MOST_STRAYS))
  }

  /** The same of dates, in milliseconds. */
  get markedDates(): Marked {
    return this.marked(dateOf, 0)
  }

  private marked(read: (value: unknown) => number, mostStrays: number): Marked {
    const none = { numbers: [], markers: [], strays: [] }
    const numbers: number[] = []
    const markers = new Set<string>()
    const strays: string[] = []
    for (const value of this.values) {
      const x = read(value)
      const marker = textOf(value)?.trim() ?? ''
      if (Number.isFinite(x)) numbers.push(x)
      else if (missingMarkers.includes(marker)) markers.add(marker)
      else if (strays.length < mostStrays) strays.push(marker)
      else return none
    }
    return numbers.length * 2 > this.values.length ? { numbers, markers: [...markers].sort(), strays } : none
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
