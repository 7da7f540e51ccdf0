/** What schedules are made of: what one is, lengths of training, and checks of options. */
import type { Hints } from '../checks.ts'
import { describe, OptionError } from '../errors.ts'

/** The run a schedule is asked about. */
export interface ScheduleRun {
  /** The option `epochs`: how many there are, those before `initialEpoch` included. */
  readonly epochs: number
  readonly stepsPerEpoch: number
  /** epochs · stepsPerEpoch. */
  readonly steps: number
}

/**
 * The learning rate of each step. One of your own is an object like this; `rateAt` may be asked ahead of time, so it must depend on its arguments alone.
 *
 * @example const sawtooth: Schedule = {
 *   name: 'sawtooth',
 *   rateAt: (step, { stepsPerEpoch }) => 0.1 * (1 - (step % stepsPerEpoch) / stepsPerEpoch),
 * }
 * sgd({ learningRate: sawtooth })
 */
export interface Schedule {
  readonly name: string
  /** The rate of a step, counted from 0 over the whole run (steps before `initialEpoch` included): finite, at least 0. */
  rateAt(step: number, run: ScheduleRun): number
}

/** A length of training: `{ epochs: 5 }` or `{ steps: 500 }`. Epochs may be parts of one, `{ epochs: 0.5 }`, and are rounded to whole steps. */
export type Duration = { readonly epochs: number; readonly steps?: undefined } | { readonly steps: number; readonly epochs?: undefined }

/** What most schedules begin with. */
export interface RateOptions {
  /** The learning rate that the schedule changes; default 0.001. */
  readonly rate?: number
}

/** Names that others give to options of schedules. */
export const scheduleHints: Hints = {
  learningRate: 'did you mean "rate"?',
  lr: 'did you mean "rate"?',
  gamma: 'did you mean "factor"?',
  minimum: 'did you mean "floor"?',
  warmupSteps: 'give warmup: { steps: 500 }.',
  warmupEpochs: 'give warmup: { epochs: 5 }.',
}

type Check = (where: string, name: string, value: unknown) => void

export function check(where: string, name: string, value: unknown, holds: (value: number) => boolean, range: string): void {
  if (typeof value !== 'number' || !holds(value)) throw new OptionError(`${where}: ${name} must be ${range}, got ${describe(value)}.`)
}

export const isRate = (value: number) => value >= 0 && Number.isFinite(Math.fround(value))
export const checkRate: Check = (where, name, value) => check(where, name, value, isRate, 'a finite number of at least 0')
export const checkPositive: Check = (where, name, value) =>
  check(where, name, value, (x) => x > 0 && x < Number.POSITIVE_INFINITY, 'a finite number above 0')
export const checkShare: Check = (where, name, value) => check(where, name, value, (x) => x >= 0 && x <= 1, 'a number of 0 … 1')
export const checkGrowth: Check = (where, name, value) =>
  check(where, name, value, (x) => x >= 1 && x < Number.POSITIVE_INFINITY, 'a finite number of at least 1')

/** Refuses what is not a duration; one of 0 as well, unless it is allowed. */
export function checkDuration(where: string, name: string, value: unknown, allowZero = false): void {
  const expected = `${where}: ${name} must be a length, { epochs: 5 } or { steps: 500 }`
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new OptionError(`${expected}, got ${describe(value)}.`)
  const entries = Object.entries(value).filter(([, length]) => length !== undefined)
  const [[unit, length] = []] = entries
  if (entries.length !== 1 || (unit !== 'epochs' && unit !== 'steps'))
    throw new OptionError(`${expected}, got { ${Object.keys(value).join(', ')} }.`)
  const whole = unit === 'epochs' || Number.isInteger(length)
  if (typeof length !== 'number' || !whole || !(length < Number.POSITIVE_INFINITY) || !(allowZero ? length >= 0 : length > 0))
    throw new OptionError(
      `${where}: ${name}.${unit} must be ${unit === 'epochs' ? 'a number' : 'an integer'} ${allowZero ? 'of at least' : 'above'} 0, got ${describe(length)}.`,
    )
}

export function checkFloor(where: string, rate: number, floor: number): void {
  checkRate(where, 'rate', rate)
  checkRate(where, 'floor', floor)
  if (floor > rate) throw new OptionError(`${where}: floor must be at most the rate ${rate}, got ${floor}.`)
}

export function stepsOf(duration: Duration, run: ScheduleRun): number {
  return duration.steps ?? Math.round(duration.epochs * run.stepsPerEpoch)
}

/** The same, of something that cannot be empty: a length that rounds to no step is one. */
export function lengthOf(duration: Duration | undefined, run: ScheduleRun): number {
  return Math.max(1, duration === undefined ? run.steps : stepsOf(duration, run))
}

/** Refuses what is not a list of durations. */
export function checkPlaces(where: string, name: string, places: readonly Duration[]): void {
  if (!Array.isArray(places) || places.length === 0)
    throw new OptionError(
      `${where}: ${name} must be an array of lengths, such as [{ epochs: 30 }, { epochs: 60 }], got ${describe(places)}.`,
    )
  places.forEach((place, i) => checkDuration(where, `${name}[${i}]`, place))
  // Steps and epochs can only be compared in a run.
  for (const unit of ['epochs', 'steps'] as const) {
    const same = places.flatMap((place) => place[unit] ?? [])
    if (same.some((length, i) => length <= same[i - 1]))
      throw new OptionError(`${where}: ${name} must ascend, got ${unit} ${same.join(', ')}.`)
  }
}

export function placesReached(places: readonly Duration[], step: number, run: ScheduleRun): number {
  return places.filter((place) => step >= stepsOf(place, run)).length
}
