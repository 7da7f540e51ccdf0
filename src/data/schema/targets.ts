/** What the network predicts: how targets become numbers, and its outputs answers. */
import { checkOptions } from '../../checks.ts'
import { DataError, describe } from '../../errors.ts'
import { type BooleanField, type BooleanOptions, booleanReader } from './boolean.ts'
import type { CategoryField } from './category.ts'
import { inference } from './defaults.ts'
import type { Fields } from './fields.ts'
import type { Answer, Infer, Numbers, TargetColumn, TargetEncoder } from './kind.ts'
import type { NumberField } from './number.ts'
import { checkChoice, checkMissingValues, checkTexts } from './optionChecks.ts'
import { markedOptions } from './profile.ts'
import { NumberCollector, type NumberStatistics, readStatistics, type Scale, scalerFor } from './scaling.ts'
import { Frequencies } from './statistics.ts'
import { fits, Missing, noWords, numberOf, numberRefusal, type Refusal, textOf, yesWords } from './values.ts'
import { type NumbersField, type VectorOptions, type VectorWriter, vectorStatistics } from './vector.ts'

/** Options of `target.number`. */
export interface TargetNumberOptions {
  /** How it is scaled for training; predictions come in the unit of the data. "auto" is "log" for positive numbers that are skewed, else "standard". Default "auto". */
  readonly scale?: Exclude<Scale, 'quantile' | 'robust'>
  /** What stands for a missing value, beside empty text and null; default `['NA', 'N/A', 'null']`. */
  readonly missingValues?: readonly (string | number)[]
}

/** Options of `target.category`. */
export interface TargetCategoryOptions<Label extends string = string> {
  /** The classes in order, other ones being refused; default those of the data, sorted. Of two, the second is the one that metrics call positive. */
  readonly classes?: readonly Label[]
  /** What stands for a missing value, beside empty text and null; default none. */
  readonly missingValues?: readonly (string | number)[]
}

/** The answer to a row whose target is a class. `probability` is that of the label. */
export interface ClassAnswer<Label = string> {
  readonly label: Label
  readonly probability: number
  /** Of each class, by its name; their sum is 1. */
  readonly probabilities: Readonly<Record<string, number>>
}

/**
 * A number to predict, in the unit of the data: `{ price: 297412 }`. Its loss is the mean squared error of the scaled number.
 *
 * @param options `scale` "auto".
 * @example schema({ sqft: column.number(), price: target.number({ scale: 'log' }) })
 */
export function targetNumber(options: TargetNumberOptions = {}): TargetColumn<NumberField, number> {
  const where = 'target.number'
  checkOptions(where, options, ['scale', 'missingValues'], { log: 'did you mean { scale: "log" }?' })
  const { scale = 'auto' } = options
  checkChoice(where, 'scale', scale, ['auto', 'standard', 'minMax', 'log', 'none'])
  checkMissingValues(where, options.missingValues)
  const absent = new Missing(options.missingValues)

  const encoder = (statistics: NumberStatistics): TargetEncoder => {
    const isSkewed = statistics.min > 0 && statistics.skewness > 1 && Math.abs(statistics.log.skewness) < statistics.skewness
    const { scale: scaled, unscale } = scalerFor(scale === 'auto' ? (isSkewed ? 'log' : 'standard') : scale, statistics)
    return {
      dtype: 'float32',
      shape: [1],
      units: 1,
      loss: 'meanSquaredError',
      metrics: ['r2Score'],
      classes: null,
      encode(value, memory, at) {
        const x = numberOf(value)
        if (!fits(x)) return numberRefusal(value, where, options)
        memory[at] = scaled(x)
        return null
      },
      decode: (output, at) => ({ value: unscale(output[at]) }),
      toJSON: () => statistics,
    }
  }

  return {
    role: 'target',
    kind: 'number',
    options: { ...options },
    isMissing: (value) => absent.has(value) || absent.numbers?.has(numberOf(value)) === true,
    collect() {
      const numbers = new NumberCollector()
      return {
        add(value) {
          const x = numberOf(value)
          if (!fits(x)) return numberRefusal(value, where, options)
          numbers.add(x)
          return null
        },
        finish(place) {
          const statistics = numbers.finish()
          if (statistics.min === statistics.max)
            throw new DataError(
              `${place}: expected different numbers, got ${statistics.min} in all ${statistics.count} rows; there is nothing to learn.`,
            )
          return encoder(statistics)
        },
      }
    },
    restore: (_, fields: Fields) => encoder(readStatistics(fields)),
  }
}

/** Classes as the network has them: one logit for two, and otherwise one each. */
function classEncoder(
  classes: readonly string[],
  numberOfClass: (value: unknown) => number | Refusal,
  answerOf: (label: string) => unknown,
  toJSON: () => object,
): TargetEncoder {
  const isBinary = classes.length === 2
  const probabilitiesOf = (output: ArrayLike<number>, at: number): number[] => {
    if (isBinary) return [output[at], -output[at]].map((logit) => 1 / (1 + Math.exp(logit)))
    const logits = Array.from({ length: classes.length }, (_, i) => output[at + i])
    const largest = Math.max(...logits)
    const powers = logits.map((logit) => Math.exp(logit - largest))
    const sum = powers.reduce((total, x) => total + x, 0)
    return powers.map((x) => x / sum)
  }
  return {
    dtype: isBinary ? 'float32' : 'int32',
    shape: isBinary ? [1] : [],
    units: isBinary ? 1 : classes.length,
    loss: isBinary ? 'binaryCrossentropy' : 'sparseCategoricalCrossentropy',
    metrics: isBinary ? ['accuracy', 'rocAuc'] : ['accuracy'],
    classes,
    encode(value, memory: Numbers, at) {
      const number = numberOfClass(value)
      if (typeof number === 'object') return number
      memory[at] = number
      return null
    },
    decode(output, at): Answer {
      const all = probabilitiesOf(output, at)
      let best = 0
      for (let i = 1; i < all.length; i++) if (all[i] > all[best]) best = i
      return {
        value: answerOf(classes[best]),
        probability: all[best],
        probabilities: Object.fromEntries(classes.map((label, i) => [label, all[i]])),
      }
    },
    toJSON,
  }
}

/** Numbers by size, no before yes, else by their characters. */
function sortedClasses(labels: readonly string[]): string[] {
  const numbers = labels.map(numberOf)
  if (numbers.every(Number.isFinite)) return [...labels].sort((a, b) => numberOf(a) - numberOf(b) || (a < b ? -1 : 1))
  const yes = labels.findIndex((label) => yesWords.includes(label.trim().toLowerCase()))
  if (labels.length === 2 && yes >= 0 && noWords.includes(labels[1 - yes].trim().toLowerCase())) return [labels[1 - yes], labels[yes]]
  return [...labels].sort((a, b) => (a < b ? -1 : 1))
}

/**
 * One of several classes: `{ type: 'spam', probability: 0.98, probabilities: { nonspam: 0.02, spam: 0.98 } }`. Two classes have one logit and binary crossentropy, more have one
 * each and sparse categorical crossentropy.
 *
 * @example schema({ words: column.number(), type: target.category({ classes: ['nonspam', 'spam'] }) })
 */
export function targetCategory<const Label extends string = string>(
  options: TargetCategoryOptions<Label> = {},
): TargetColumn<CategoryField, ClassAnswer<Label>> {
  const where = 'target.category'
  checkOptions(where, options, ['classes', 'missingValues'])
  checkMissingValues(where, options.missingValues)
  const absent = new Missing(options.missingValues ?? [])
  const fixed = options.classes === undefined ? null : checkTexts(where, 'classes', options.classes, 2)

  const encoder = (classes: readonly string[], counts: readonly number[]): TargetEncoder => {
    const numbers = new Map(classes.map((label, i) => [label, i]))
    const few = classes.length <= 12 ? classes.join(', ') : `${classes.slice(0, 10).join(', ')} and ${classes.length - 10} more`
    const refusal: Refusal = { expected: `one of the classes ${few}` }
    return classEncoder(
      classes,
      (value) => numbers.get(textOf(value) ?? '') ?? refusal,
      (label) => label,
      () => ({ classes, counts }),
    )
  }

  return {
    role: 'target',
    kind: 'category',
    options: { ...options },
    isMissing: (value) => absent.has(value),
    collect() {
      const frequencies = new Frequencies()
      const notText: Refusal = { expected: 'a class (text, a number, true or false)' }
      const notListed: Refusal | null = fixed === null ? null : { expected: `one of the classes ${fixed.join(', ')}` }
      return {
        add(value) {
          const label = textOf(value)
          if (label === null) return notText
          if (notListed !== null && !fixed?.includes(label)) return notListed
          frequencies.add(label)
          if (frequencies.size > inference.mostClasses)
            return { expected: `at most ${inference.mostClasses} classes`, advice: 'use target.number() for numbers' }
          return null
        },
        finish(place) {
          const found = new Map(frequencies.most(Number.POSITIVE_INFINITY, 1))
          const labels = [...found.keys()]
          if (labels.length < 2)
            throw new DataError(
              `${place}: expected at least two classes, got ${labels.length === 0 ? 'none' : `${describe(labels[0])} in all ${found.get(labels[0])} rows`}; there is nothing to learn.`,
            )
          const classes = fixed ?? sortedClasses(labels)
          return encoder(
            classes,
            classes.map((label) => found.get(label) ?? 0),
          )
        },
      }
    },
    restore(_, fields) {
      const classes = fields.strings('classes')
      if (classes.length < 2) throw new DataError(`${fields.where}: expected at least two classes, got ${classes.length}.`)
      return encoder(classes, fields.counts('counts', classes.length))
    },
  }
}

/**
 * Yes or no: `{ churned: true, probability: 0.98, probabilities: { false: 0.02, true: 0.98 } }`; for answers in the words of the data use `target.category`.
 *
 * @example schema({ calls: column.number(), churned: target.boolean() })
 */
export function targetBoolean(options: BooleanOptions = {}): TargetColumn<BooleanField, ClassAnswer<boolean>> {
  const read = booleanReader('target.boolean', options)
  const missing: Refusal = { expected: 'yes or no' }
  const numberOfClass = (value: unknown) => {
    const answer = read(value)
    return typeof answer === 'boolean' ? Number(answer) : (answer ?? missing)
  }
  const encoder = (counts: readonly number[]) =>
    classEncoder(
      ['false', 'true'],
      numberOfClass,
      (label) => label === 'true',
      () => ({ counts }),
    )

  return {
    role: 'target',
    kind: 'boolean',
    options: { ...options },
    isMissing: (value) => read(value) === null,
    collect() {
      const counts = [0, 0]
      return {
        add(value) {
          const number = numberOfClass(value)
          if (typeof number === 'object') return number
          counts[number]++
          return null
        },
        finish(place) {
          if (counts.includes(0))
            throw new DataError(
              `${place}: expected yes and no, got ${counts[0] === 0 ? 'yes' : 'no'} in all ${counts[0] + counts[1]} rows; there is nothing to learn.`,
            )
          return encoder(counts)
        },
      }
    },
    restore: (_, fields) => encoder(fields.counts('counts', 2)),
  }
}

/**
 * Several numbers to predict: `{ position: [0.2, 1.7] }`. Its loss is the mean squared error.
 *
 * @example schema({ image: column.image({ shape: [8, 8, 1] }), position: target.vector({ length: 2, scale: 'standard' }) })
 */
export function targetVector(options: VectorOptions = {}): TargetColumn<NumbersField, readonly number[]> {
  const statistics = vectorStatistics('target.vector', options)
  const encoder = ({ length, means, deviations, write, toJSON }: VectorWriter): TargetEncoder => ({
    dtype: 'float32',
    shape: [length],
    units: length,
    loss: 'meanSquaredError',
    metrics: ['r2Score'],
    classes: null,
    encode: write,
    decode: (output, at) => ({
      value: means.map((mean, i) => (statistics.scale === 'none' ? output[at + i] : output[at + i] * deviations[i] + mean)),
    }),
    toJSON,
  })
  return {
    role: 'target',
    kind: 'vector',
    options: { ...options },
    isMissing: (value) => value === null || value === undefined,
    collect: () => statistics.collect(encoder),
    restore: (_, fields) => encoder(statistics.restore(fields)),
  }
}

/** A number where there are many different ones; classes where there are few, or text. */
export const inferTarget: Infer<TargetColumn> = (profile) => {
  const { distinct, values } = profile
  if (profile.isWritten && values.every((value) => typeof value === 'boolean')) return { column: targetBoolean(), reason: 'true or false' }
  const few = distinct.size <= inference.mostIntegerClasses
  const { numbers, markers, strays } = profile.markedNumbers
  if (numbers.length > 0 && !(few && numbers.every(Number.isInteger))) {
    const { options, warning } = markedOptions({ markers, strays })
    return { column: targetNumber(options), reason: 'numbers', ...warning }
  }
  if (profile.isWritten) {
    const { options, warning } = markedOptions({ markers: profile.absent, strays: [] }, [])
    return { column: targetCategory(options), reason: `${distinct.size} classes`, ...warning }
  }
  const lengths = new Set(values.map((value) => (Array.isArray(value) || ArrayBuffer.isView(value) ? (value as unknown[]).length : null)))
  return lengths.size === 1 && !lengths.has(null) ? { column: targetVector(), reason: 'arrays of numbers' } : null
}
