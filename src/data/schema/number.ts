import { checkBoolean, checkInteger, checkOptions, unknownName } from '../../checks.ts'
import { describe, OptionError } from '../../errors.ts'
import { inference, numberDefaults } from './defaults.ts'
import type { Fields } from './fields.ts'
import type { Collector, Encoder, FeatureColumn, Infer } from './kind.ts'
import { checkChoice, checkLimit, checkMissingValues } from './optionChecks.ts'
import { markedOptions } from './profile.ts'
import { chosenScale, NumberCollector, type NumberStatistics, readStatistics, type Scale, scalerFor, scales } from './scaling.ts'
import { fits, LARGEST, Missing, numberOf, numberRefusal, type Refusal } from './values.ts'

/** What fields of numbers may hold; empty ones and null are missing. */
export type NumberField = number | bigint | string | boolean | null | undefined

/** Options of `column.number` and `column.integer`. */
export interface NumberColumnOptions {
  /**
   * "standard": mean 0 and deviation 1; "minMax": 0 … 1; "robust": median 0 and interquartile range 1; "quantile": normal scores of ranks, between 65
   * quantiles; "log": sign(x) · log(1 + |x|), then standard; "none". "auto" is "log" for a skewed column (|skewness| above 1, and less after the logarithm), else "standard". Default "auto".
   */
  readonly scale?: Scale
  /**
   * Features beside the number: how far it is through each of so many parts with equally many rows, of 0 … 1 (piecewise linear encoding: Gorishniy et al. 2022), so that a
   * network bends where the data are. Columns that `inferSchema` finds have 8. Default 0.
   */
  readonly bins?: number
  /** What stands in for a missing value: "median", "mean", a number (before scaling), or "error" to refuse it. Default "median". */
  readonly missing?: 'median' | 'mean' | 'error' | number
  /** Whether another number says 1 where the value was missing; default whether any was missing when the schema was fitted. */
  readonly indicator?: boolean
  /** Scaled values beyond ± this are cut off; null for none. Default 5, and null where `scale` is "none". */
  readonly clip?: number | null
  /** What stands for a missing value, beside empty text and null; default `['NA', 'N/A', 'null']`. */
  readonly missingValues?: readonly (string | number)[]
}

const optionNames = ['scale', 'bins', 'missing', 'indicator', 'clip', 'missingValues']

/**
 * Numbers, or text that is one in decimal: one feature, and another where values were missing.
 *
 * @example column.number({ scale: 'robust', missing: 'mean' })
 */
export function number(options: NumberColumnOptions = {}): FeatureColumn<NumberField> {
  return numeric('number', options)
}

/**
 * As `column.number`, and refuses fractions.
 *
 * @param options Those of `column.number`.
 * @example column.integer({ clip: 3 })
 */
export function integer(options: NumberColumnOptions = {}): FeatureColumn<NumberField> {
  return numeric('integer', options)
}

const notInteger: Refusal = { expected: 'an integer', advice: 'use column.number() for fractions' }
const notMissing: Refusal = { expected: 'a number', advice: 'say what stands in for a missing one, such as { missing: "median" }' }

function numeric(kind: 'number' | 'integer', options: NumberColumnOptions): FeatureColumn<NumberField> {
  const where = `column.${kind}`
  const integers = kind === 'integer'
  checkOptions(where, options, optionNames)
  const { bins = numberDefaults.bins } = options
  const { scale = numberDefaults.scale, missing = numberDefaults.missing, indicator } = options
  const { clip = scale === 'none' ? null : numberDefaults.clip } = options
  checkChoice(where, 'scale', scale, scales)
  if (typeof missing === 'number' ? !fits(missing) : !['median', 'mean', 'error'].includes(missing))
    throw typeof missing === 'string' ? unknownName('missing', missing, ['median', 'mean', 'error'], where) : badMissing(where, missing)
  if (indicator !== undefined) checkBoolean(where, 'indicator', indicator)
  checkLimit(where, 'clip', clip)
  checkInteger(where, 'bins', bins, { least: 0, most: 64 })
  checkMissingValues(where, options.missingValues)
  const absent = new Missing(options.missingValues)

  const isNumber = (x: number) => fits(x) && !absent.numbers?.has(x)
  /** Of what is no number of the column: null if it is missing and may be. */
  const refusalOf = (value: unknown, x: number): Refusal | null => {
    if (!fits(x) && !absent.has(value)) return numberRefusal(value, where, options)
    return missing === 'error' ? notMissing : null
  }

  const encoder = (name: string, statistics: NumberStatistics): Encoder => {
    const { scale: toScale } = scalerFor(chosenScale(scale, statistics), statistics)
    const limit = clip ?? LARGEST
    const { quantiles, mean } = statistics
    const median = quantiles[(quantiles.length - 1) / 2] ?? 0
    const standIn = missing === 'median' ? median : missing === 'mean' ? mean : missing === 'error' ? 0 : missing
    const marks = indicator ?? (statistics.missing > 0 && missing !== 'error')
    const edges = binEdges(quantiles, bins)
    const names = [
      name,
      ...edges.slice(1).map((end, i) => `${name} (${Number(edges[i].toPrecision(6))} … ${Number(end.toPrecision(6))})`),
      ...(marks ? [`${name} (missing)`] : []),
    ]
    return {
      input: 'features',
      dtype: 'float32',
      shape: [names.length],
      names,
      encode(value, memory, at) {
        let x = numberOf(value)
        const isThere = isNumber(x)
        if (!isThere) {
          const refusal = refusalOf(value, x)
          if (refusal !== null) return refusal
          x = standIn
        } else if (integers && !Number.isInteger(x)) return notInteger
        memory[at] = Math.min(limit, Math.max(-limit, toScale(x)))
        for (let i = 1; i < edges.length; i++) memory[at + i] = Math.min(1, Math.max(0, (x - edges[i - 1]) / (edges[i] - edges[i - 1])))
        if (marks) memory[at + names.length - 1] = isThere ? 0 : 1
        return null
      },
      toJSON: () => statistics,
    }
  }

  return {
    role: 'feature',
    kind,
    options: { ...options },
    collect(name): Collector<Encoder> {
      const numbers = new NumberCollector()
      return {
        add(value) {
          const x = numberOf(value)
          if (!isNumber(x)) {
            numbers.missing++
            return refusalOf(value, x)
          }
          if (integers && !Number.isInteger(x)) return notInteger
          numbers.add(x)
          return null
        },
        finish: () => encoder(name, numbers.finish()),
      }
    },
    restore: (name: string, fields: Fields) => encoder(name, readStatistics(fields)),
  }
}

/** The borders of parts with equally many rows; equal ones are one. */
function binEdges(quantiles: readonly number[], bins: number): readonly number[] {
  if (bins === 0 || quantiles.length === 0) return []
  const last = quantiles.length - 1
  const edges = Array.from({ length: bins + 1 }, (_, i) => quantiles[Math.round((i * last) / bins)])
  const different = [...new Set(edges)]
  return different.length < 3 ? [] : different
}

function badMissing(where: string, missing: unknown): OptionError {
  return new OptionError(`${where}: missing must be "median", "mean", "error" or a number, got ${describe(missing)}.`)
}

/** All values are numbers, but for markers of missing ones; none is written with a leading zero, as codes are. */
export const inferNumber: Infer<FeatureColumn> = (profile) => {
  const { numbers, markers, strays } = profile.markedNumbers
  if (numbers.length === 0 || profile.hasLeadingZeros) return null
  const integers = numbers.every(Number.isInteger)
  const few = integers && profile.distinct.size <= inference.mostIntegerClasses
  const { options, warning } = markedOptions({ markers, strays })
  return {
    column: number({ ...(profile.distinct.size > 2 && { bins: inference.bins }), ...options }),
    reason: few ? `${profile.distinct.size} different integers; if they are codes, make it a category` : integers ? 'integers' : 'numbers',
    ...warning,
  }
}
