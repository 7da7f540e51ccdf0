import { checkOptions } from '../../checks.ts'
import { describe, OptionError } from '../../errors.ts'
import { dateDefaults } from './defaults.ts'
import type { Fields } from './fields.ts'
import type { Encoder, FeatureColumn, Infer } from './kind.ts'
import { checkChoice, checkMissingValues } from './optionChecks.ts'
import { markedOptions } from './profile.ts'
import { NumberCollector, type NumberStatistics, readStatistics, scalerFor } from './scaling.ts'
import { dateOf, Missing, type Refusal } from './values.ts'

/** What fields of dates may hold; empty ones and null are missing. */
export type DateField = Date | string | null | undefined

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** Where in its cycle a moment is, of 0 … 1. */
const cycles = {
  month: (date: Date) => date.getUTCMonth() / 12,
  dayOfYear: (date: Date) => {
    const year = date.getUTCFullYear()
    const start = Date.UTC(year)
    return (date.getTime() - start) / (Date.UTC(year + 1) - start)
  },
  dayOfMonth: (date: Date) => (date.getUTCDate() - 1) / new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate(),
  weekday: (date: Date) => date.getUTCDay() / 7,
  hour: (date: Date) => (date.getTime() / DAY) % 1,
  minute: (date: Date) => (date.getTime() / HOUR) % 1,
} as const

/** What of a date the network sees: how long ago, or where in a cycle. */
export type DatePart = 'time' | keyof typeof cycles

const parts = ['time', ...Object.keys(cycles)]

/** Options of `column.date`. */
export interface DateColumnOptions {
  /**
   * "time" (standardised, one number), and as sine and cosine "month", "dayOfYear", "dayOfMonth", "weekday", "hour", "minute". Default
   * `['time', 'dayOfYear', 'weekday']`, and "hour" where a date has a time of day.
   */
  readonly parts?: readonly DatePart[]
  /** What stands for a missing value, beside empty text and null; default `['NA', 'N/A', 'null']`. */
  readonly missingValues?: readonly (string | number)[]
}

/** What is kept: of milliseconds, and whether there were times of day. */
interface DateStatistics {
  readonly time: NumberStatistics
  readonly hasTimes: boolean
}

const refusal: Refusal = {
  expected: 'a Date or a date of ISO 8601, such as 2026-01-31 or 2026-01-31T12:00:00Z',
  advice: 'convert others with map',
}

/**
 * Moments: Date objects, or text of ISO 8601, in UTC where it names no other zone. Cyclic parts are sine and cosine, so that December lies beside January. A missing one is
 * all zeros, and another feature says so where values were missing.
 *
 * @example column.date({ parts: ['time', 'month', 'weekday'] })
 */
export function date(options: DateColumnOptions = {}): FeatureColumn<DateField> {
  const where = 'column.date'
  checkOptions(where, options, ['parts', 'missingValues'])
  if (options.parts !== undefined) {
    if (!Array.isArray(options.parts) || options.parts.length === 0)
      throw new OptionError(`${where}: parts must be an array of at least one, got ${describe(options.parts)}.`)
    for (const part of options.parts) checkChoice(where, 'part', part, parts)
  }
  checkMissingValues(where, options.missingValues)
  const absent = new Missing(options.missingValues)

  const encoder = (name: string, { time, hasTimes }: DateStatistics): Encoder => {
    const chosen = [...new Set(options.parts ?? (['time', 'dayOfYear', 'weekday', ...(hasTimes ? ['hour'] : [])] as DatePart[]))]
    const { scale } = scalerFor('standard', time)
    const { clip } = dateDefaults
    const inCycles = chosen.filter((part) => part !== 'time').map((part) => cycles[part])
    const marks = time.missing > 0
    const names = [
      ...(chosen.includes('time') ? [`${name} (time)`] : []),
      ...chosen.filter((part) => part !== 'time').flatMap((part) => [`${name} (sine of ${part})`, `${name} (cosine of ${part})`]),
      ...(marks ? [`${name} (missing)`] : []),
    ]
    return {
      input: 'features',
      dtype: 'float32',
      shape: [names.length],
      names,
      encode(value, memory, at) {
        const moment = dateOf(value)
        if (Number.isNaN(moment)) {
          if (!absent.has(value)) return refusal
          memory.fill(0, at, at + names.length)
          if (marks) memory[at + names.length - 1] = 1
          return null
        }
        let next = at
        if (chosen.includes('time')) memory[next++] = Math.min(clip, Math.max(-clip, scale(moment)))
        const given = new Date(moment)
        for (const cycle of inCycles) {
          const angle = 2 * Math.PI * cycle(given)
          memory[next++] = Math.sin(angle)
          memory[next++] = Math.cos(angle)
        }
        if (marks) memory[next] = 0
        return null
      },
      toJSON: () => ({ time, hasTimes }),
    }
  }

  return {
    role: 'feature',
    kind: 'date',
    options: { ...options },
    collect(name) {
      const times = new NumberCollector()
      let hasTimes = false
      return {
        add(value) {
          const moment = dateOf(value)
          if (Number.isNaN(moment)) {
            if (!absent.has(value)) return refusal
            times.missing++
            return null
          }
          times.add(moment)
          hasTimes ||= moment % DAY !== 0
          return null
        },
        finish: () => encoder(name, { time: times.finish(), hasTimes }),
      }
    },
    restore: (name: string, fields: Fields) =>
      encoder(name, { time: readStatistics(fields.object('time')), hasTimes: fields.boolean('hasTimes') }),
  }
}

/** All values are dates, but for markers of missing ones. */
export const inferDate: Infer<FeatureColumn> = (profile) => {
  const { numbers, markers } = profile.markedDates
  if (numbers.length === 0) return null
  const { options, warning } = markedOptions({ markers, strays: [] })
  return { column: date(options), reason: 'dates of ISO 8601', ...warning }
}
