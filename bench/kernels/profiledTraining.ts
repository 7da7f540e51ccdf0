/** A case of the benchmark in training through `fit` with `profile: true`, a window at a time. */
import type { RunProfile } from '../../src/executors/executor.ts'
import type { ProfiledInstruction } from '../../src/index.ts'
import { Epochs } from '../../src/train/epochs.ts'
import { type Case, flopsPerStep } from '../cases.ts'
import { batchCount, makeData } from '../data.ts'
import { median } from '../statistics.ts'
import { buildModel, buildOptimizer } from '../thalweg.ts'
import { NOISE } from '../window.ts'

/** A window cannot end within an epoch, so an epoch has this many floating-point operations at most, or two steps: some 0.2 s. */
const EPOCH_FLOPS = 3e10
/** Seconds for which the system lets a thread run when others want its core. */
const TIME_SLICE = 0.003

export interface ProfiledWindow {
  /** Of each part of a step, in the order of the profile. */
  readonly seconds: readonly number[]
  /** Then the seconds are an estimate. */
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
 * What each part takes where others want the core: its median. A part shorter than half a time slice was not interrupted in most steps; a longer one
 * had the share `had` of the processor, as the whole window.
 */
export function typicalStep(steps: readonly (readonly number[])[], had: number): number[] {
  return steps[0].map((_, part) => {
    const seconds = median(steps.map((step) => step[part]))
    return had * seconds < TIME_SLICE / 2 ? seconds : had * seconds
  })
}

/** The mean of each part, over all steps of several profiles. */
export function meanStep(profiles: readonly Pick<RunProfile, 'steps' | 'totals'>[]): number[] {
  const steps = profiles.reduce((sum, profile) => sum + profile.steps, 0)
  return Array.from(profiles[0].totals, (_, part) => profiles.reduce((sum, { totals }) => sum + totals[part], 0) / steps / 1e9)
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

  /** Trains for a while. */
  async window(): Promise<ProfiledWindow> {
    const run = this.begunRun()
    const profiles: RunProfile[] = []
    const [cpuBefore, start] = [process.cpuUsage(), performance.now()]
    let wall = 0
    do {
      const epoch = this.endOfEpoch()
      this.resume(true)
      await epoch
      wall = (performance.now() - start) / 1000
      const profile = run.takeProfile()
      if (profile !== null) profiles.push(profile)
    } while (wall < this.windowSeconds)
    const { user, system } = process.cpuUsage(cpuBefore)
    const had = this.threads === 1 ? Math.min(1, (user + system) / 1e6 / wall) : 1
    const disturbed = had < 1 - NOISE
    const marked = () => profiles.flatMap(({ totals, marks }) => stepsOf(marks, totals.length))
    const window = { seconds: disturbed ? typicalStep(marked(), had) : meanStep(profiles), disturbed }
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
