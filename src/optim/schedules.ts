/** Learning rates as users give them: schedules by name, one after the other, scaled, or from a function. */
import { checkOptions, type Hints, unknownName } from '../checks.ts'
import { describe, OptionError } from '../errors.ts'
import { checkDuration, checkRate, type Duration, isRate, type Schedule, type ScheduleRun, stepsOf } from './schedule.ts'
import {
  constant,
  cosine,
  cosineRestarts,
  cyclic,
  exponential,
  inverseSquareRoot,
  inverseTime,
  linearWarmup,
  multiStep,
  noam,
  oneCycle,
  piecewiseConstant,
  polynomial,
  stepDecay,
} from './scheduleFormulas.ts'

/**
 * The learning rate of a run: a number, a schedule or its name, or a function of the epoch (0, 1, 2, …).
 *
 * @example adam({ learningRate: schedules.cosine({ rate: 0.01 }) satisfies LearningRate })
 * adam({ learningRate: 'cosine' satisfies LearningRate })
 * adam({ learningRate: ((epoch: number) => 0.01 * 0.9 ** epoch) satisfies LearningRate })
 */
export type LearningRate = number | Schedule | ScheduleName | ((epoch: number, run: ScheduleRun) => number)

/** A part of `schedules.sequence`. */
export interface SequencePart {
  readonly schedule: LearningRate
  /** How long the part is; only the last may go without, and then takes the rest of the run. */
  readonly length?: Duration
}

/**
 * Schedules one after the other. Each counts its own steps, and takes its part for the whole run. After the last the run goes on with that one.
 *
 * @param parts Each with its length; the last may go without.
 * @example adam({ learningRate: schedules.sequence([{ schedule: schedules.linearWarmup({ length: { epochs: 2 } }), length: { epochs: 2 } }, { schedule: schedules.cosine() }]) })
 */
function sequence(parts: readonly SequencePart[]): Schedule {
  if (!Array.isArray(parts) || parts.length === 0)
    throw new OptionError(`sequence: expected an array of { schedule, length }, got ${describe(parts)}.`)
  const checked = parts.map((part: SequencePart, i) => {
    const where = `sequence: part ${i}`
    checkOptions(where, part ?? null, ['schedule', 'length'])
    if (part.length !== undefined || i < parts.length - 1) checkDuration(where, 'length', part.length)
    return { schedule: scheduleFor(where, part.schedule), length: part.length }
  })
  const placesIn = (run: ScheduleRun) => {
    let end = 0
    return checked.map(({ schedule, length }) => {
      const begin = end
      const steps = length === undefined ? Math.max(1, run.steps - begin) : stepsOf(length, run)
      end = begin + steps
      const part: ScheduleRun = { epochs: steps / run.stepsPerEpoch, stepsPerEpoch: run.stepsPerEpoch, steps }
      return { schedule, begin, end, part }
    })
  }
  // Of the latest run, so that a part sees one run all the time.
  let latest: { readonly run: ScheduleRun; readonly places: ReturnType<typeof placesIn> } | null = null
  return {
    name: 'sequence',
    rateAt(step, run) {
      if (latest?.run !== run) latest = { run, places: placesIn(run) }
      const { places } = latest
      const { schedule, begin, part } = places.find(({ end }) => step < end) ?? places[places.length - 1]
      return schedule.rateAt(step - begin, part)
    },
  }
}

/**
 * A schedule times a number.
 *
 * @param schedule What is scaled.
 * @param factor At least 0.
 * @example sgd({ learningRate: schedules.scaled(schedules.cosine(), 10) })
 */
function scaled(schedule: LearningRate, factor: number): Schedule {
  const inner = scheduleFor('scaled', schedule)
  checkRate('scaled', 'factor', factor)
  return { name: `scaled ${inner.name}`, rateAt: (step, run) => factor * inner.rateAt(step, run) }
}

/**
 * A rate for each step from a function of your own, which must depend on its arguments alone.
 *
 * @param rate A function of the step (0, 1, 2, … over the whole run) and the run, `{ epochs, stepsPerEpoch, steps }`.
 * @example sgd({ learningRate: schedules.perStep((step, { steps }) => 0.1 * (1 - step / steps)) })
 */
function perStep(rate: (step: number, run: ScheduleRun) => number): Schedule {
  if (typeof rate !== 'function') throw new OptionError(`perStep: expected a function of the step, got ${describe(rate)}.`)
  return { name: 'perStep', rateAt: rate }
}

/**
 * A rate for each epoch from a function of your own, called once an epoch. A plain function in place of a learning rate is the same.
 *
 * @param rate A function of the epoch (0, 1, 2, …) and the run, `{ epochs, stepsPerEpoch, steps }`.
 * @example sgd({ learningRate: schedules.perEpoch((epoch) => 0.1 * 0.9 ** epoch) })
 */
function perEpoch(rate: (epoch: number, run: ScheduleRun) => number): Schedule {
  if (typeof rate !== 'function') throw new OptionError(`perEpoch: expected a function of the epoch, got ${describe(rate)}.`)
  let last: { readonly epoch: number; readonly run: ScheduleRun; readonly rate: number } | null = null
  return {
    name: 'perEpoch',
    rateAt(step, run) {
      const epoch = Math.floor(step / run.stepsPerEpoch)
      // Each run asks anew: the rates of the one before are not its own, even if it is as long.
      if (last?.epoch !== epoch || last.run !== run) last = { epoch, run, rate: rate(epoch, run) }
      return last.rate
    },
  }
}

/**
 * Learning rates that change from step to step: each call gives a `Schedule`, for the option `learningRate` of an optimizer.
 *
 * @example adam({ learningRate: schedules.cosine({ rate: 0.01 }) })
 */
export const schedules = {
  constant,
  cosine,
  cosineRestarts,
  cyclic,
  exponential,
  inverseSquareRoot,
  inverseTime,
  linearWarmup,
  multiStep,
  noam,
  oneCycle,
  perEpoch,
  perStep,
  piecewiseConstant,
  polynomial,
  scaled,
  sequence,
  stepDecay,
}

/** Those that need no options. */
const named = {
  constant,
  cosine,
  cosineRestarts,
  cyclic,
  exponential,
  inverseSquareRoot,
  inverseTime,
  linearWarmup,
  noam,
  oneCycle,
  polynomial,
  stepDecay,
}

/** A schedule by its name, with its defaults. */
export type ScheduleName = keyof typeof named

const nameHints: Hints = {
  ...Object.fromEntries(Object.keys(schedules).map((name) => [name, `it needs options; call schedules.${name}(…).`])),
  step: 'did you mean "stepDecay"?',
  linear: 'did you mean "polynomial", or "linearWarmup"?',
  warmup: 'did you mean "linearWarmup"?',
  onecycle: 'did you mean "oneCycle"?',
}

/** A learning rate as a schedule. @internal */
export function scheduleFor(where: string, choice: LearningRate): Schedule {
  if (typeof choice === 'number') return constant({ rate: choice })
  if (typeof choice === 'string' && Number.isNaN(Number(choice))) {
    if (!Object.hasOwn(named, choice)) throw unknownName('schedule', choice, Object.keys(named), where, nameHints)
    return named[choice]()
  }
  if (typeof choice === 'function') {
    const name = Object.keys(schedules).find((known) => schedules[known as keyof typeof schedules] === (choice as unknown))
    if (name !== undefined)
      throw new OptionError(`${where}: learningRate must be what a call gives, got the function ${name}; call it: schedules.${name}().`)
    return perEpoch(choice)
  }
  if (typeof choice === 'object' && choice !== null && typeof choice.rateAt === 'function') return choice
  throw new OptionError(
    `${where}: learningRate must be a number, a schedule such as schedules.cosine({ rate: 0.01 }), its name, or a function of the epoch, got ${describe(choice)}.`,
  )
}

/** The rate of a step, checked. @internal */
export function checkedRate(schedule: Schedule, step: number, run: ScheduleRun): number {
  const rate = schedule.rateAt(step, run)
  if (typeof rate !== 'number' || !isRate(rate))
    throw new OptionError(
      `learningRate: ${schedule.name} must give a finite number of at least 0, got ${describe(rate)} for ${
        schedule.name === 'perEpoch' ? `epoch ${Math.floor(step / run.stepsPerEpoch)}` : `step ${step}`
      }.`,
    )
  return rate
}
