import { checkCount, checkOptions } from '../../checks.ts'
import { DataError } from '../../errors.ts'
import { categoryDefaults } from './defaults.ts'
import type { Fields } from './fields.ts'
import type { Encoder, FeatureColumn, Infer } from './kind.ts'
import { checkChoice, checkMissingValues, checkTexts } from './optionChecks.ts'
import { Frequencies } from './statistics.ts'
import { Missing, type Refusal, textOf } from './values.ts'

/** What fields of categories may hold; numbers and truth values stand for what they are written as, empty ones and null are missing. */
export type CategoryField = string | number | bigint | boolean | null | undefined

/** Options of `column.category`. */
export interface CategoryColumnOptions {
  /**
   * "oneHot": a feature of 0 or 1 for each category; "embedding": an index into the network's input "categories", for a table of vectors that it learns; "ordinal": one
   * feature, the place among `values`, standardised; "frequency": one feature, the logarithm of how often the category occurred, standardised. Default "oneHot".
   */
  readonly encode?: 'oneHot' | 'embedding' | 'ordinal' | 'frequency'
  /** The categories, of "ordinal" from the least to the most; default those that occur when the schema is fitted. */
  readonly values?: readonly (string | number | boolean)[]
  /** A category that is none of those known: "other" joins it to the rare ones, "error" refuses it. Default "other". */
  readonly unseen?: 'other' | 'error'
  /** Categories that occur less often when the schema is fitted are joined, as "other"; default 5. */
  readonly minimumCount?: number
  /** At most so many categories, the most frequent ones; the rest are joined, as "other" (with `unseen` "error" more are an error). Default 100. */
  readonly most?: number
  /** A missing value: "category" makes it one of its own, "error" refuses it. Default "category". */
  readonly missing?: 'category' | 'error'
  /** What stands for a missing value, beside empty text and null; default none. */
  readonly missingValues?: readonly (string | number)[]
}

/** Longer ones are no names of categories. */
const LONGEST = 1000

/** What is kept. */
interface CategoryStatistics {
  readonly values: readonly string[]
  readonly counts: readonly number[]
  /** Values of rare categories, and of unseen ones. */
  readonly other: number
  readonly missing: number
}

/** How a column writes its categories. A place is one of the `values`, or these two. */
type Encoding = (
  name: string,
  statistics: CategoryStatistics,
) => Pick<Encoder, 'input' | 'dtype' | 'shape' | 'names' | 'sizes'> & {
  write(memory: Float32Array | Int32Array, at: number, place: number): void
}

const OTHER = -1
const MISSING = -2

const tooLong: Refusal = { expected: `a category of at most ${LONGEST} characters`, advice: 'use column.text()' }
const notText: Refusal = { expected: 'a category (text, a number, true or false)' }
const notMissing: Refusal = { expected: 'a category', advice: 'leave out { missing: "error" } to let a missing one be a category' }

const encodings: Readonly<Record<NonNullable<CategoryColumnOptions['encode']>, Encoding>> = {
  oneHot(name, { values, other, missing }) {
    const names = values.map((value) => `${name} = ${value}`)
    // Rare and missing ones have features only where the network can learn what they mean; otherwise all are 0.
    const otherAt = other > 0 ? names.push(`${name} (other)`) - 1 : -1
    const missingAt = missing > 0 ? names.push(`${name} (missing)`) - 1 : -1
    return {
      input: 'features',
      dtype: 'float32',
      shape: [names.length],
      names,
      write(memory, at, place) {
        memory.fill(0, at, at + names.length)
        const position = place === OTHER ? otherAt : place === MISSING ? missingAt : place
        if (position >= 0) memory[at + position] = 1
      },
    }
  },
  embedding: (name, { values }) => ({
    input: 'categories',
    dtype: 'int32',
    shape: [1],
    names: [name],
    // 0 stands for other ones, 1 for missing ones.
    sizes: [values.length + 2],
    write(memory, at, place) {
      memory[at] = place === OTHER ? 0 : place === MISSING ? 1 : place + 2
    },
  }),
  ordinal: (name, statistics) => graded(name, statistics, (_, i) => i),
  frequency: (name, statistics) => graded(name, statistics, (count) => Math.log1p(count)),
}

/** One number for each category, standardised over the rows of the fit; other and missing ones lie at the mean. */
function graded(name: string, { values, counts }: CategoryStatistics, grade: (count: number, i: number) => number): ReturnType<Encoding> {
  const total = counts.reduce((sum, count) => sum + count, 0) || 1
  const grades = values.map((_, i) => grade(counts[i], i))
  const mean = grades.reduce((sum, x, i) => sum + x * counts[i], 0) / total
  const deviation = Math.sqrt(grades.reduce((sum, x, i) => sum + (x - mean) ** 2 * counts[i], 0) / total)
  const scaled = grades.map((x) => (deviation === 0 ? 0 : (x - mean) / deviation))
  return {
    input: 'features',
    dtype: 'float32',
    shape: [1],
    names: [name],
    write(memory, at, place) {
      memory[at] = place < 0 ? 0 : scaled[place]
    },
  }
}

/**
 * One of several names. Text is taken as it is: "WD " and "WD" differ.
 *
 * @throws OptionError for "ordinal" without `values`.
 * @example column.category({ encode: 'ordinal', values: ['poor', 'fair', 'good'] })
 */
export function category(options: CategoryColumnOptions = {}): FeatureColumn<CategoryField> {
  const where = 'column.category'
  checkOptions(where, options, ['encode', 'values', 'unseen', 'minimumCount', 'most', 'missing', 'missingValues'])
  const { encode = categoryDefaults.encode, unseen = categoryDefaults.unseen, missing = categoryDefaults.missing } = options
  const { minimumCount = categoryDefaults.minimumCount, most = categoryDefaults.most } = options
  checkChoice(where, 'encode', encode, Object.keys(encodings))
  checkChoice(where, 'unseen', unseen, ['other', 'error'])
  checkChoice(where, 'missing', missing, ['category', 'error'])
  checkCount(where, 'minimumCount', minimumCount)
  checkCount(where, 'most', most)
  checkMissingValues(where, options.missingValues)
  const absent = new Missing(options.missingValues ?? [])
  const values = options.values === undefined ? null : checkTexts(where, 'values', options.values, 1)
  if (encode === 'ordinal' && values === null) checkTexts(where, 'values (which "ordinal" needs, from the least to the most)', values)
  const listed = values === null ? null : new Set(values)

  /** The category, null for a missing one, or why not. */
  const read = (value: unknown): string | null | Refusal => {
    if (absent.has(value)) return missing === 'error' ? notMissing : null
    const text = textOf(value)
    if (text === null) return notText
    return text.length > LONGEST ? tooLong : text
  }
  const unknown = (known: readonly string[]): Refusal => ({
    expected: `one of ${known.length <= 12 ? known.join(', ') : `${known.slice(0, 10).join(', ')} and ${known.length - 10} more`}`,
    advice: 'let { unseen: "other" } take others',
  })

  const encoder = (name: string, statistics: CategoryStatistics): Encoder => {
    const places = new Map(statistics.values.map((value, i) => [value, i]))
    const { write, ...layout } = encodings[encode](name, statistics)
    const refusal = unknown(statistics.values)
    return {
      ...layout,
      encode(value, memory, at) {
        const text = read(value)
        if (typeof text === 'object' && text !== null) return text
        const place = text === null ? MISSING : (places.get(text) ?? OTHER)
        if (place === OTHER && unseen === 'error') return refusal
        write(memory, at, place)
        return null
      },
      toJSON: () => statistics,
    }
  }

  return {
    role: 'feature',
    kind: 'category',
    options: { ...options },
    collect(name) {
      const frequencies = new Frequencies()
      let [count, absentCount] = [0, 0]
      const refusal = listed !== null && unseen === 'error' ? unknown([...listed]) : null
      return {
        add(value) {
          const text = read(value)
          if (typeof text === 'object' && text !== null) return text
          if (refusal !== null && text !== null && !listed?.has(text)) return refusal
          if (text === null) absentCount++
          else {
            count++
            if (listed === null || listed.has(text)) frequencies.add(text)
          }
          return null
        },
        finish(place) {
          // With { unseen: "error" } there is no place for rare ones.
          if (unseen === 'error' && listed === null && frequencies.size > most)
            throw new DataError(
              `${place}: expected at most ${most} categories, got ${frequencies.size}; { unseen: "error" } has no place for the rest: raise most, or let { unseen: "other" } take them.`,
            )
          const kept = unseen === 'error' || listed !== null ? 1 : minimumCount
          const counted = frequencies.most(listed === null ? most : listed.size, kept)
          const byName = new Map(counted)
          const known = values ?? counted.map(([value]) => value)
          const counts = known.map((value) => byName.get(value) ?? 0)
          const other = Math.max(0, count - counts.reduce((sum, x) => sum + x, 0))
          return encoder(name, { values: known, counts, other, missing: absentCount })
        },
      }
    },
    restore(name: string, fields: Fields) {
      const known = fields.strings('values')
      return encoder(name, {
        values: known,
        counts: fields.counts('counts', known.length),
        other: fields.count('other'),
        missing: fields.count('missing'),
      })
    },
  }
}

/** What is left: values that are written, and often the same. */
export const inferCategory: Infer<FeatureColumn> = (profile) => {
  if (!profile.isWritten) return null
  const { size } = profile.distinct
  return {
    column: category(),
    reason: `${size} different values${profile.hasLeadingZeros ? ', numbers with leading zeros among them' : ''}`,
  }
}
