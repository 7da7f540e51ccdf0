/** Search spaces: which parameters there are, and which values each may take. */
import { checkBoolean, checkOptions } from '../checks.ts'
import { describe, OptionError } from '../errors.ts'
import type { RandomStream } from '../random.ts'

/** A value that JSON can hold, so that a journal can. */
export type ParameterValue = string | number | boolean | null | readonly ParameterValue[] | { readonly [name: string]: ParameterValue }

/** The values of one parameter, and how likely each is: what the functions of `space` make. */
export interface Distribution<T extends ParameterValue = ParameterValue> {
  /** How many different values there are; Infinity for a number without a step. */
  readonly size: number
  /** The value of a place in a grid: 0 … size - 1. */
  at(place: number): T
  /** A value at random. @internal */
  sample(random: RandomStream): T
  /** What it is, as JSON holds it. */
  toJSON(): object
}

/** Parameters by name: distributions; anything else is a constant. */
export type SearchSpace = Readonly<Record<string, Distribution | ParameterValue>>

/** The parameters that trials over a search space get. */
export type ParametersOf<Space> = {
  readonly [Name in keyof Space]: Space[Name] extends Distribution<infer Value> ? Value : Space[Name]
}

/** Options of `space.number` and `space.integer`. */
export interface RangeOptions {
  /** Whether each order of magnitude is equally likely, as suits learning rates; for bounds above 0; default false: each value is. */
  readonly log?: boolean
  /** The distance between neighbouring values, from min on; not together with log. Default 1 for integers, none for numbers. */
  readonly step?: number
}

class Choice<T extends ParameterValue> implements Distribution<T> {
  readonly size: number
  private readonly type: string
  private readonly values: readonly T[]

  constructor(type: string, values: readonly T[]) {
    this.type = type
    this.values = values
    this.size = values.length
  }

  at(place: number): T {
    return this.values[place]
  }

  sample(random: RandomStream): T {
    return this.values[random.below(this.size)]
  }

  toJSON() {
    return this.type === 'choice' ? { type: this.type, values: this.values } : { type: this.type }
  }
}

class Range implements Distribution<number> {
  readonly size: number
  private readonly type: 'number' | 'integer'
  private readonly min: number
  private readonly max: number
  private readonly log: boolean
  private readonly step: number | undefined

  constructor(type: 'number' | 'integer', min: number, max: number, options: RangeOptions) {
    const where = `space.${type}`
    checkOptions(where, options, ['log', 'step'], { base: 'the base of a logarithm changes nothing; use { log: true }.' })
    const { log = false, step = type === 'integer' ? 1 : undefined } = options
    const isValid = type === 'integer' ? Number.isSafeInteger : Number.isFinite
    const what = type === 'integer' ? 'an integer' : 'a finite number'
    for (const [name, value] of Object.entries({ min, max }))
      if (!isValid(value)) throw new OptionError(`${where}: ${name} must be ${what}, got ${describe(value)}.`)
    if (min > max) throw new OptionError(`${where}: min must not be above max, got ${min} and ${max}.`)
    checkBoolean(where, 'log', log)
    if (log && min <= 0) throw new OptionError(`${where}: with log, min must be above 0, got ${min}.`)
    if (log && options.step !== undefined) throw new OptionError(`${where}: log and step exclude each other; leave one of them out.`)
    if (step !== undefined && !(isValid(step) && step > 0))
      throw new OptionError(`${where}: step must be ${what} above 0, got ${describe(step)}.`)
    this.type = type
    this.min = min
    this.max = max
    this.log = log
    this.step = step
    // A quotient such as 0.3 / 0.1 may be a little less than the integer it stands for.
    this.size = step === undefined ? (min === max ? 1 : Number.POSITIVE_INFINITY) : Math.floor((max - min) / step + 1e-9) + 1
    if (step !== undefined && !log && this.size > 2 ** 32)
      throw new OptionError(`${where}: ${this.size} values are more than 2^32; give a larger step, or use { log: true }.`)
  }

  at(place: number): number {
    const value = this.min + place * (this.step ?? 0)
    // Without the digits that rounding leaves: 0.3, not 0.30000000000000004.
    return this.step === undefined || Number.isInteger(value) ? value : Number(value.toPrecision(15))
  }

  sample(random: RandomStream): number {
    const { min, max, log, type } = this
    if (this.step !== undefined && !log) return this.at(random.below(this.size))
    // Half a unit more on either side gives the first and the last integer their share.
    const margin = type === 'integer' ? 0.5 : 0
    const [low, high] = [min - margin, max + margin].map((bound) => (log ? Math.log(bound) : bound))
    const share = random.uniform()
    const drawn = low * (1 - share) + high * share
    const value = log ? Math.exp(drawn) : drawn
    return Math.min(max, Math.max(min, type === 'integer' ? Math.round(value) : value))
  }

  toJSON() {
    const { type, min, max, log, step } = this
    return { type, min, max, ...(log ? { log } : step !== undefined && { step }) }
  }
}

/**
 * One of the values listed, each equally likely: categories such as activations, or a few numbers. A search over a grid takes them in this order.
 *
 * @param values What JSON can hold: texts, numbers, truth values, null, arrays and objects of these.
 * @throws OptionError if there are none, one is there twice, or one is nothing that JSON can hold.
 * @example space.choice(['relu', 'gelu', 'silu'])
 */
function choice<const T extends ParameterValue>(values: readonly T[]): Distribution<T> {
  const where = 'space.choice'
  if (!Array.isArray(values) || values.length === 0)
    throw new OptionError(`${where}: expected an array of at least one value, got ${describe(values)}.`)
  const seen = new Set<string>()
  values.forEach((value, i) => {
    checkValue(`${where}: values[${i}]`, value)
    const text = JSON.stringify(value)
    if (seen.has(text)) throw new OptionError(`${where}: values[${i}], ${describe(value)}, is there before; list each value once.`)
    seen.add(text)
  })
  return new Choice<T>('choice', [...values])
}

/**
 * true or false.
 *
 * @example space.boolean()
 */
function boolean(): Distribution<boolean> {
  return new Choice('boolean', [false, true])
}

/**
 * An integer of min … max, both included.
 *
 * @param options `log` false, `step` 1.
 * @example space.integer(16, 512, { log: true })
 */
function integer(min: number, max: number, options: RangeOptions = {}): Distribution<number> {
  return new Range('integer', min, max, options)
}

/**
 * A number of min … max, both included.
 *
 * @param options `log` false, `step` none. A search over a grid needs a step.
 * @example space.number(1e-4, 1e-1, { log: true })
 */
function number(min: number, max: number, options: RangeOptions = {}): Distribution<number> {
  return new Range('number', min, max, options)
}

/**
 * What parameters may be in the search space of `tune`: each call gives a `Distribution`.
 *
 * @example const net = { activation: space.choice(['relu', 'gelu']), units: space.integer(16, 256, { log: true }), rate: space.number(0, 0.5, { step: 0.1 }) }
 */
export const space = { choice, boolean, integer, number }

/** A search space whose every parameter is a distribution; refuses what is none. */
export function distributionsOf(where: string, given: unknown): ReadonlyMap<string, Distribution> {
  if (typeof given !== 'object' || given === null || Array.isArray(given) || given instanceof Map || isDistribution(given))
    throw new OptionError(
      `${where}: space must be an object of parameters by name, such as { units: space.integer(8, 64) }, got ${describe(given)}.`,
    )
  const entries = Object.entries(given)
  if (entries.length === 0) throw new OptionError(`${where}: space has no parameters; give at least one.`)
  return new Map(
    entries.map(([name, value]): [string, Distribution] => {
      if (name === '__proto__') throw new OptionError(`${where}: a parameter cannot be called "__proto__"; give it another name.`)
      if (isDistribution(value)) return [name, value]
      checkValue(`${where}: space.${name}`, value)
      return [name, new Choice('choice', [value])]
    }),
  )
}

/**
 * A search space from what JSON holds, as the file of a command has it: `{ "type": "number", "min": 0.001, "max": 0.1, "log": true }`,
 * `{ "type": "choice", "values": [8, 16] }`, `{ "type": "boolean" }`; anything else is a constant.
 */
export function spaceFromJson(where: string, json: unknown): SearchSpace {
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw new OptionError(`${where}: expected an object of parameters by name, got ${describe(json)}.`)
  return Object.fromEntries(
    Object.entries(json).map(([name, value]) => {
      const place = `${where}: parameter ${describe(name)}`
      if (typeof value !== 'object' || value === null || !('type' in value)) return [name, value]
      const { type, values, min, max, ...options } = value as Record<string, never>
      try {
        if (type === 'number' || type === 'integer') return [name, new Range(type, min, max, options)]
        checkOptions(`space.${type}`, options, [])
        if (type === 'choice') return [name, choice(values)]
        if (type === 'boolean') return [name, boolean()]
      } catch (error) {
        throw new OptionError(`${place}: ${(error as Error).message}`, { cause: error })
      }
      throw new OptionError(`${place}: type must be "choice", "boolean", "integer" or "number", got ${describe(type)}.`)
    }),
  )
}

function isDistribution(value: unknown): value is Distribution {
  return value instanceof Choice || value instanceof Range
}

function checkValue(what: string, value: unknown): asserts value is ParameterValue {
  const isPlain = typeof value === 'object' && value !== null && [Object.prototype, null].includes(Object.getPrototypeOf(value))
  if (Array.isArray(value) || isPlain)
    for (const [name, part] of Object.entries(value as object)) {
      if (name === '__proto__') throw new OptionError(`${what}: a member cannot be called "__proto__".`)
      checkValue(`${what}.${name}`, part)
    }
  else if (!(value === null || ['string', 'boolean'].includes(typeof value) || Number.isFinite(value)))
    throw new OptionError(
      `${what} must be a text, a finite number, a truth value, null, or arrays or objects of these, got ${describe(value)}; name other things by texts, and choose by name in the trial.`,
    )
}
