import { describe, OptionError } from '../errors.ts'
import type { Schedule, ScheduleRun } from '../optim/schedule.ts'
import { checkedRate, type LearningRate, scheduleFor } from '../optim/schedules.ts'
import { Pace } from '../pace.ts'

/** The learning rates of a run: one for each optimizer, a function of the step, times a scale that callbacks set. */
export class LearningRates {
  private readonly schedules: readonly Schedule[]
  private readonly run: ScheduleRun
  /** Of each, whether it is the same number in all steps. */
  private readonly areConstant: readonly boolean[]

  constructor(where: string, given: readonly LearningRate[], run: ScheduleRun) {
    this.areConstant = given.map((rate) => typeof rate === 'number')
    this.schedules = given.map((rate) => scheduleFor(where, rate))
    this.run = run
  }

  /** The rate of the first optimizer. */
  at(step: number, scale: number): number {
    return this.rateOf(this.schedules[0], step, scale)
  }

  /** The learning rates of `count` epochs: at their first step, and of one that changes the rate of each step. */
  async ofEpochs(
    epoch: number,
    count: number,
    scale: number,
  ): Promise<{ readonly first: readonly number[]; readonly rates: readonly (Float32Array | null)[] }> {
    const firstStep = epoch * this.run.stepsPerEpoch
    const first = this.schedules.map((schedule) => this.rateOf(schedule, firstStep, scale))
    const pace = new Pace()
    const rates: (Float32Array | null)[] = []
    for (const [i, schedule] of this.schedules.entries()) {
      const each = this.areConstant[i] ? null : new Float32Array(count * this.run.stepsPerEpoch)
      rates.push(each)
      for (let step = 0; each !== null && step < each.length; step++) {
        each[step] = this.rateOf(schedule, firstStep + step, scale)
        if (step % 1024 === 1023 && pace.isTooLong()) await pace.giveWay()
      }
    }
    return { first, rates }
  }

  private rateOf(schedule: Schedule, step: number, scale: number): number {
    const rate = scale * checkedRate(schedule, step, this.run)
    if (!Number.isFinite(Math.fround(rate)))
      throw new OptionError(`learningRateScale: ${scale} times the learning rate of step ${step} is more than float32 holds.`)
    return rate
  }
}

/** Throws unless learning rates can be multiplied by it. */
export function checkScale(scale: unknown): void {
  if (typeof scale !== 'number' || !(scale >= 0 && Number.isFinite(Math.fround(scale))))
    throw new OptionError(`learningRateScale must be a finite number of at least 0, got ${describe(scale)}.`)
}
