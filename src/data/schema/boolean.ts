import { checkOptions } from '../../checks.ts'
import { OptionError } from '../../errors.ts'
import type { Fields } from './fields.ts'
import type { Encoder, FeatureColumn, Infer } from './kind.ts'
import { checkMissingValues, checkTexts } from './optionChecks.ts'
import { Missing, noWords, type Refusal, textOf, yesWords } from './values.ts'

/** What fields of yes and no may hold; empty ones and null are missing. */
export type BooleanField = boolean | string | number | null | undefined

/** The words of `column.boolean` and `target.boolean`, in upper or lower case. */
export interface BooleanOptions {
  /** Those for yes; default `['yes', 'true', 'y', 't', '1', 'on']`. */
  readonly yes?: readonly (string | number)[]
  /** Those for no; default `['no', 'false', 'n', 'f', '0', 'off']`. */
  readonly no?: readonly (string | number)[]
  /** What stands for a missing value, beside empty text and null; default `['NA', 'N/A', 'null']`. */
  readonly missingValues?: readonly (string | number)[]
}

/** Reads yes (true), no (false), nothing (null), or says why it cannot. */
export function booleanReader(where: string, options: BooleanOptions): (value: unknown) => boolean | null | Refusal {
  checkOptions(where, options, ['yes', 'no', 'missingValues'])
  const lower = (name: string, words: unknown) => new Set(checkTexts(where, name, words, 1).map((word) => word.toLowerCase()))
  const yes = lower('yes', options.yes ?? yesWords)
  const no = lower('no', options.no ?? noWords)
  const both = [...yes].find((word) => no.has(word))
  if (both !== undefined) throw new OptionError(`${where}: "${both}" stands for yes and for no.`)
  checkMissingValues(where, options.missingValues)
  const absent = new Missing(options.missingValues)
  const refusal: Refusal = { expected: `yes or no (one of ${[...yes, ...no].join(', ')})` }
  return (value) => {
    if (typeof value === 'boolean') return value
    const word = textOf(value)?.trim().toLowerCase()
    if (word !== undefined && yes.has(word)) return true
    if (word !== undefined && no.has(word)) return false
    return absent.has(value) ? null : refusal
  }
}

/**
 * Yes or no: one feature that is 1, -1, or 0 where the value is missing.
 *
 * @example column.boolean({ yes: ['ja'], no: ['nein'] })
 */
export function boolean(options: BooleanOptions = {}): FeatureColumn<BooleanField> {
  const read = booleanReader('column.boolean', options)

  const encoder = (name: string, counts: { yes: number; no: number; missing: number }): Encoder => ({
    input: 'features',
    dtype: 'float32',
    shape: [1],
    names: [name],
    encode(value, memory, at) {
      const answer = read(value)
      if (typeof answer === 'object' && answer !== null) return answer
      memory[at] = answer === null ? 0 : answer ? 1 : -1
      return null
    },
    toJSON: () => counts,
  })

  return {
    role: 'feature',
    kind: 'boolean',
    options: { ...options },
    collect(name) {
      const counts = { yes: 0, no: 0, missing: 0 }
      return {
        add(value) {
          const answer = read(value)
          if (typeof answer === 'object' && answer !== null) return answer
          counts[answer === null ? 'missing' : answer ? 'yes' : 'no']++
          return null
        },
        finish: () => encoder(name, counts),
      }
    },
    restore: (name: string, fields: Fields) =>
      encoder(name, { yes: fields.count('yes'), no: fields.count('no'), missing: fields.count('missing') }),
  }
}

/** Two values that are a pair of words for yes and no. Of 0 and 1 nobody knows whether the next row has a 2: they are numbers. */
export const inferBoolean: Infer<FeatureColumn> = ({ distinct }) => {
  const words = [...distinct.keys()].map((word) => word.trim().toLowerCase())
  const isPair = words.length === 2 && !words.includes('1') && yesWords.some((yes, i) => words.includes(yes) && words.includes(noWords[i]))
  return isPair ? { column: boolean(), reason: [...distinct.keys()].join(' or ') } : null
}
