import { checkBoolean, checkCount, checkOptions } from '../../checks.ts'
import { describe, OptionError } from '../../errors.ts'
import { inference, textDefaults } from './defaults.ts'
import type { Fields } from './fields.ts'
import type { Collector, Encoder, FeatureColumn, Infer, Numbers } from './kind.ts'
import { checkChoice, checkWidth } from './optionChecks.ts'
import { Frequencies } from './statistics.ts'
import { type Refusal, textOf } from './values.ts'

/** What fields of text may hold; null is as empty text. */
export type TextField = string | number | boolean | null | undefined

/** Options of `column.text`. */
export interface TextColumnOptions {
  /**
   * "vocabulary": a feature for each of the most frequent n-grams of words; "hashed": n-grams share features by a hash, so that no vocabulary is kept; "tokens": the numbers of
   * the first words, in an input of the network by the name of the column, for an embedding. Default "vocabulary".
   */
  readonly encode?: 'vocabulary' | 'hashed' | 'tokens'
  /** The shortest and the longest n-gram, in words; default `[1, 1]`. Tokens are single words. */
  readonly ngrams?: readonly [number, number]
  /** Whether rare n-grams weigh more, by log((1 + texts) / (1 + texts that have it)) + 1 as in scikit-learn; default true. */
  readonly tfidf?: boolean
  /** How many n-grams (or words, of "tokens") the vocabulary has at most; default 1,000. */
  readonly most?: number
  /** In how many texts an n-gram or word of the vocabulary must be; default 2. */
  readonly minimumCount?: number
  /** How many features "hashed" has; default 512. */
  readonly width?: number
  /** How many words of "tokens" a text has; shorter ones are filled up with 0. Default 64. */
  readonly length?: number
  /** Whether upper and lower case are the same; default true. */
  readonly lowercase?: boolean
}

const optionNames = ['encode', 'ngrams', 'tfidf', 'most', 'minimumCount', 'width', 'length', 'lowercase']

const notText: Refusal = { expected: 'text' }

/** Words: letters and digits of any script, with an apostrophe inside. */
const word = /[\p{L}\p{N}]+(?:['’][\p{L}\p{N}]+)*/gu

/** What an encoding counts, and what it makes of it. */
interface TextEncoding {
  collect(name: string): Collector<Encoder>
  restore(name: string, fields: Fields): Encoder
}

/** FNV-1a over code units, with the finalizer of MurmurHash3. */
function hash(text: string): number {
  let h = 0x811c9dc5
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/**
 * Running text. Vocabulary and hashed n-grams are counted as 1 + log of how often they occur, weighed, and of length 1 (Euclidean) over a text.
 *
 * @example column.text({ encode: 'hashed', ngrams: [1, 2], width: 256 })
 */
export function text(options: TextColumnOptions = {}): FeatureColumn<TextField> {
  const where = 'column.text'
  checkOptions(where, options, optionNames, { maxLength: 'did you mean "length"?', buckets: 'did you mean "width"?' })
  const { encode = textDefaults.encode, tfidf = textDefaults.tfidf, most = textDefaults.most, lowercase = true } = options
  const { ngrams = textDefaults.ngrams, minimumCount = textDefaults.minimumCount } = options
  const { width = textDefaults.hashedWidth, length = textDefaults.length } = options
  checkChoice(where, 'encode', encode, ['vocabulary', 'hashed', 'tokens'])
  checkBoolean(where, 'tfidf', tfidf)
  checkBoolean(where, 'lowercase', lowercase)
  for (const [name, value] of Object.entries({ most, minimumCount })) checkCount(where, name, value)
  for (const [name, value] of Object.entries({ width, length })) checkWidth(where, name, value)
  const areSizes = Array.isArray(ngrams) && ngrams.length === 2 && ngrams.every((n) => Number.isSafeInteger(n) && n >= 1 && n <= 10)
  if (!areSizes || ngrams[0] > ngrams[1])
    throw new OptionError(`${where}: ngrams must be the shortest and the longest, such as [1, 2], each of 1 … 10, got ${describe(ngrams)}.`)

  const wordsOf = (value: unknown): string[] | Refusal => {
    const given = value === null || value === undefined ? '' : textOf(value)
    if (given === null) return notText
    return (lowercase ? given.toLowerCase() : given).match(word) ?? []
  }
  /** How often each n-gram occurs in a text. */
  const countNgrams = (words: readonly string[]): Map<string, number> => {
    const counts = new Map<string, number>()
    for (let n = ngrams[0]; n <= ngrams[1]; n++) {
      for (let i = 0; i + n <= words.length; i++) {
        const ngram = n === 1 ? words[i] : words.slice(i, i + n).join(' ')
        counts.set(ngram, (counts.get(ngram) ?? 0) + 1)
      }
    }
    return counts
  }
  const rarity = (texts: number, having: number) => (tfidf ? Math.log((1 + texts) / (1 + having)) + 1 : 1)

  /** Writes weighed counts of n-grams, `slot` saying where and with what weight, and makes their length 1. */
  const writeCounts = (
    memory: Numbers,
    at: number,
    size: number,
    words: readonly string[],
    slot: (ngram: string) => number,
    weights: Float64Array,
    sign: boolean,
  ) => {
    const sums = new Map<number, number>()
    for (const [ngram, count] of countNgrams(words)) {
      const found = slot(ngram)
      if (found < 0) continue
      // Half of the hashed n-grams count negative, so that those which share a feature do not add up (Weinberger et al. 2009).
      const position = sign ? (found >>> 1) % size : found
      const direction = sign && found % 2 === 1 ? -1 : 1
      sums.set(position, (sums.get(position) ?? 0) + direction * (1 + Math.log(count)) * weights[position])
    }
    const norm = Math.sqrt([...sums.values()].reduce((sum, x) => sum + x * x, 0)) || 1
    memory.fill(0, at, at + size)
    for (const [position, x] of sums) memory[at + position] = x / norm
  }

  const vocabulary: TextEncoding = (() => {
    const encoder = (name: string, texts: number, terms: readonly string[], counts: readonly number[]): Encoder => {
      const places = new Map(terms.map((term, i) => [term, i]))
      const weights = Float64Array.from(counts, (having) => rarity(texts, having))
      return {
        input: 'features',
        dtype: 'float32',
        shape: [terms.length],
        names: terms.map((term) => `${name}: ${term}`),
        encode(value, memory, at) {
          const words = wordsOf(value)
          if (!Array.isArray(words)) return words as Refusal
          writeCounts(memory, at, terms.length, words, (ngram) => places.get(ngram) ?? -1, weights, false)
          return null
        },
        toJSON: () => ({ texts, terms, counts }),
      }
    }
    return {
      collect(name) {
        const frequencies = new Frequencies()
        let texts = 0
        return {
          add(value) {
            const words = wordsOf(value)
            if (!Array.isArray(words)) return words as Refusal
            texts++
            for (const ngram of countNgrams(words).keys()) frequencies.add(ngram)
            return null
          },
          finish() {
            const found = frequencies.most(most, minimumCount)
            return encoder(
              name,
              texts,
              found.map(([term]) => term),
              found.map(([, count]) => count),
            )
          },
        }
      },
      restore(name, fields) {
        const terms = fields.strings('terms')
        return encoder(name, fields.count('texts'), terms, fields.counts('counts', terms.length))
      },
    }
  })()

  const hashed: TextEncoding = (() => {
    const encoder = (name: string, texts: number, counts: readonly number[]): Encoder => {
      const weights = Float64Array.from(counts, (having) => rarity(texts, having))
      return {
        input: 'features',
        dtype: 'float32',
        shape: [width],
        names: counts.map((_, i) => `${name} (hash ${i})`),
        encode(value, memory, at) {
          const words = wordsOf(value)
          if (!Array.isArray(words)) return words as Refusal
          writeCounts(memory, at, width, words, hash, weights, true)
          return null
        },
        toJSON: () => ({ texts, counts }),
      }
    }
    return {
      collect(name) {
        const counts = new Array<number>(width).fill(0)
        let texts = 0
        return {
          add(value) {
            const words = wordsOf(value)
            if (!Array.isArray(words)) return words as Refusal
            texts++
            for (const slot of new Set([...countNgrams(words).keys()].map((ngram) => (hash(ngram) >>> 1) % width))) counts[slot]++
            return null
          },
          finish: () => encoder(name, texts, counts),
        }
      },
      restore: (name, fields) => encoder(name, fields.count('texts'), fields.counts('counts', width)),
    }
  })()

  const tokens: TextEncoding = (() => {
    const encoder = (terms: readonly string[]): Encoder => {
      // 0 fills up, 1 is a word that is not in the vocabulary.
      const places = new Map(terms.map((term, i) => [term, i + 2]))
      return {
        dtype: 'int32',
        shape: [length],
        names: [],
        sizes: [terms.length + 2],
        encode(value, memory, at) {
          const words = wordsOf(value)
          if (!Array.isArray(words)) return words as Refusal
          for (let i = 0; i < length; i++) memory[at + i] = i < words.length ? (places.get(words[i]) ?? 1) : 0
          return null
        },
        toJSON: () => ({ terms }),
      }
    }
    return {
      collect() {
        const frequencies = new Frequencies()
        return {
          add(value) {
            const words = wordsOf(value)
            if (!Array.isArray(words)) return words as Refusal
            for (const one of new Set(words)) frequencies.add(one)
            return null
          },
          finish: () => encoder(frequencies.most(most, minimumCount).map(([term]) => term)),
        }
      },
      restore: (_, fields) => encoder(fields.strings('terms')),
    }
  })()

  return { role: 'feature', kind: 'text', options: { ...options }, ...{ vocabulary, hashed, tokens }[encode] }
}

/** Values of several words, which are rarely the same. */
export const inferText: Infer<FeatureColumn> = ({ isWritten, words, distinct, values }) =>
  isWritten && words >= inference.fewestWords && distinct.size >= inference.textDistinct * values.length
    ? { column: text(), reason: `texts of ${Math.round(words)} words on average` }
    : null
