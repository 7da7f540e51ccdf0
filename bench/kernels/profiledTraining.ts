/** A case of the benchmark in training through `fit` with `profile: true`, a window at a time. */

import type { RunProfile } from '../../src/executors/executor.ts'
import type { ProfiledInstruction } from '../../src/index.ts'
import { Epochs } from '../../src/train/epochs.ts'
import { type Case, flopsPerStep } from '../cases.ts'
import { batchCount, makeData } from '../data.ts'
import { median } from '../statistics.ts'
import { buildModel, buildOptimizer } from '../thalweg.ts'

/** A window cannot end within an epoch, so an epoch is this many floating-point operations at most, or two steps: some 30 ms. */
const EPOCH_FLOPS = 4e9
/** A window that lost more than this part of its time to others is disturbed. */
const NOISE = 0.05
/** Seconds for which the system lets a thread run when others want its core. */
const TIME_SLICE = 0.003

export interface ProfiledWindow {
  /** Of each part of a step, in the order of the profile: that of the median step. */
  readonly seconds: readonly number[]
  readonly disturbed: boolean
}

/** Seconds that each part took in each step, of the times when a step began and its parts ended. */
export function stepsOf(marks: ArrayLike<number>, parts: number): number[][] {
  return Array.from({ length: Math.floor(marks.length / (parts + 1)) }, (_, step) => {
    const first = step * (parts + 1)
    return Array.from({ length: parts }, (_, part) => (marks[first + part + 1] - marks[first + part]) / 1e9)
  })
}

/**
 * The median of each part. Of steps shorter than a time slice most are not interrupted; of a longer one any part may be, and on the whole they had the
 * share `had` of the processor.
 */
export function typicalStep(steps: readonly (readonly number[])[], had: number): number[] {
  const seconds = steps[0].map((_, part) => median(steps.map((step) => step[part])))
  const whole = had * seconds.reduce((sum, part) => sum + part, 0)
  return whole < TIME_SLICE ? seconds : seconds.map((part) => had * part)
}

/** What has been profiled since the last call: a profile keeps the single steps of the first epoch in it only. */
function takeProfile(run: Epochs): RunProfile {
  // biome-ignore lint/complexity/useLiteralKeys: it is private.
  const measured = run['measured']
  if (measured === null) throw new Error('no step has been profiled')
  // biome-ignore lint/complexity/useLiteralKeys: it is private.
  run['measured'] = null
  return measured
}

/** Between windows the run waits at the end of an epoch, so that its memory is warm in all but the first. */
export class ProfiledTraining {
  readonly windows: ProfiledWindow[] = []
  private readonly threads: number
  private readonly windowSeconds: number
  private readonly running: Promise<unknown>
  private run: Epochs | null = null
  private resume: (goOn: boolean) => void = () => {}
  private arrive: () => void = () => {}
  private fail: (error: unknown) => void = () => {}
  private readonly begun: Promise<void>

  constructor(definition: Case, threads: number, windowSeconds: number) {
    this.threads = threads
    this.windowSeconds = windowSeconds
    const batches = Math.max(2, Math.min(batchCount(definition), Math.floor(EPOCH_FLOPS / flopsPerStep(definition))))
    const { loss, batchSize } = definition
    this.begun = this.endOfEpoch()
    const waiting = {
      onEpochEnd: (_epoch: number, _values: unknown, run: unknown) => {
        if (run instanceof Epochs) this.run = run
        this.arrive()
        return new Promise<boolean>((resolve) => {
          this.resume = resolve
        })
      },
    }
    const optimizer = buildOptimizer(definition)
    const options = { loss, batchSize, optimizer, epochs: Number.MAX_SAFE_INTEGER, profile: true as const, callbacks: [waiting] }
    const model = buildModel(definition, { executor: 'native', threads })
    this.running = model.fit(makeData(definition, batches), options).catch((error) => this.fail(error))
  }

  /** Runs until memory and caches are warm; the parts of a step. */
  async warm(): Promise<readonly ProfiledInstruction[]> {
    await this.begun
    const { profile } = this.begunRun()
    await this.window()
    this.windows.length = 0
    return profile?.instructions ?? []
  }

  /** Trains for a while. Of each epoch the first ten steps count. */
  async window(): Promise<ProfiledWindow> {
    const run = this.begunRun()
    const steps: number[][] = []
    const [cpuBefore, start] = [process.cpuUsage(), performance.now()]
    let wall = 0
    do {
      const epoch = this.endOfEpoch()
      this.resume(true)
      await epoch
      wall = (performance.now() - start) / 1000
      const { totals, marks } = takeProfile(run)
      steps.push(...stepsOf(marks, totals.length))
    } while (wall < this.windowSeconds)
    const { user, system } = process.cpuUsage(cpuBefore)
    const had = this.threads === 1 ? Math.min(1, (user + system) / 1e6 / wall) : 1
    const window = { seconds: typicalStep(steps, had), disturbed: had < 1 - NOISE }
    this.windows.push(window)
    return window
  }

  async end(): Promise<void> {
    this.resume(false)
    await this.running
  }

  private begunRun(): Epochs {
    if (this.run === null) throw new Error('no step has been profiled')
    return this.run
  }

  private endOfEpoch(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.arrive = resolve
      this.fail = reject
    })
  }
}
