import { createHash } from 'node:crypto'
import { checkCount } from '../checks.ts'
import { AbortError, describe, OptionError } from '../errors.ts'
import type { Records, RunProfile } from '../executors/executor.ts'
import { joinProfiles, Profile } from '../executors/profile.ts'
import { concrete } from '../graph/shape.ts'
import { Pace } from '../pace.ts'
import type { StepGroup, TrainingRun } from './callbacks/callback.ts'
import { FullBatchTrainer } from './fullBatchTrainer.ts'
import { exclusively } from './joinedModels.ts'
import { checkScale, LearningRates } from './learningRates.ts'
import type { Supplies } from './makeSupply.ts'
import { type EpochValues, joinRuns, type Run } from './measures.ts'
import type { Model } from './model.ts'
import { describeModel, MODEL_ENTRY } from './modelFile.ts'
import { validationName } from './names.ts'
import type { RunOptions } from './options.ts'
import { type Pauses, type Position, stoppable } from './pauses.ts'
import type { RowSupply, Stretch, Supply } from './supply.ts'
import type { SavedTrainer, Trainer } from './trainer.ts'
import type { Training } from './training.ts'
import type { TrainingData } from './trainingData.ts'

type OnSteps = (steps: StepGroup) => void

/** How steps run, and what happens meanwhile. */
export interface StepOptions {
  readonly signal?: AbortSignal
  readonly onSteps?: OnSteps
  readonly profile?: boolean
  readonly pauses?: Pauses
}

/** Epochs in progress. */
interface Pass {
  readonly epoch: number
  readonly scale: number
  /** The rate of each step, of those that change. */
  readonly rates: readonly (Float32Array | null)[]
  runs: Run[]
  /** Steps that are done. */
  before: number
}

/** How long epochs that are run together should take: little beside a crossing into the executor, short enough to wait for. */
const MILLISECONDS_TOGETHER = 10
/** Of the orders of epochs that are run together. */
const MOST_ROWS_TOGETHER = 1 << 20

/** A training run, an epoch at a time. `fit`, `train` and custom training are all made from it. */
export class Epochs<Data = TrainingData> implements TrainingRun {
  readonly models: readonly Model[]
  readonly epochs: number
  readonly initialEpoch: number
  readonly stepsPerEpoch: number
  private readonly training: Training<Data>
  private readonly rates: LearningRates
  private scale = 1
  /** The latest step, counted over the whole run, and the scale it ran with; null before the first. */
  private latest: Position['latest'] = null
  /** Where to go on, when the epoch it is in begins. */
  private position: Position | null = null
  private hasBegun = false
  resumed = false
  private readonly supply: Supply
  private readonly validation: Supply | null
  /** What the last epochs took, each. */
  private millisecondsEach = Number.POSITIVE_INFINITY
  private measured: RunProfile | null = null
  /** Why the run is to end after the epoch in progress: somebody has asked for it ("stop"), or another would be of no use ("converged"). */
  stopped: 'stop' | 'converged' | null = null

  constructor(where: string, training: Training<Data>, options: Pick<RunOptions, 'epochs' | 'initialEpoch'>, supplies: Supplies) {
    const { trainer, models } = training
    const { epochs = 1, initialEpoch = 0 } = options
    checkCount(where, 'epochs', epochs)
    if (!Number.isSafeInteger(initialEpoch) || initialEpoch < 0 || initialEpoch >= epochs)
      throw new OptionError(
        `${where}: initialEpoch must be an integer of 0 … ${epochs - 1}, below epochs, which counts the epochs before it too; got ${describe(initialEpoch)}.`,
      )
    this.training = training
    this.models = models
    this.epochs = epochs
    this.initialEpoch = initialEpoch
    this.supply = supplies.training
    this.validation = supplies.validation
    const names = this.valueNames
    const twice = names.find((name, i) => names.indexOf(name) !== i)
    if (twice !== undefined)
      throw new OptionError(
        `${where}: with validation two values would be reported as "${twice}"; give the metric or the output that begins with "validation" another name.`,
      )
    const { samples, batchSize } = this.supply
    this.stepsPerEpoch = trainer instanceof FullBatchTrainer ? 1 : Math.ceil(samples / batchSize)
    const { stepsPerEpoch } = this
    this.rates = new LearningRates(where, trainer.learningRates, { epochs, stepsPerEpoch, steps: epochs * stepsPerEpoch })
  }

  /** The names of what an epoch measures. */
  get valueNames(): readonly string[] {
    const names = this.training.measures.valueNames
    return this.validation === null ? names : [...names, ...names.map(validationName)]
  }

  get model(): Model {
    return this.models[0]
  }

  get learningRate(): number {
    const { step, scale } = this.latest ?? { step: this.initialEpoch * this.stepsPerEpoch, scale: this.scale }
    return this.rates.at(step, scale)
  }

  get learningRateScale(): number {
    return this.scale
  }

  set learningRateScale(scale: number) {
    checkScale(scale)
    this.scale = scale
  }

  stop(): void {
    this.stopped = 'stop'
  }

  modeOf(value: string): 'min' | 'max' {
    const { measures } = this.training
    return measures.modeOf(measures.valueNames.find((name) => value === validationName(name)) ?? value)
  }

  parameters(): Record<string, Float32Array> {
    return this.training.trainer.parameters()
  }

  latestGradients(): Record<string, Float32Array> {
    if (!this.training.keepsGradients)
      throw new OptionError(
        'latestGradients: this run stores no gradients, as none of its callbacks says that it reads them; write readsGradients: true in the callback, beside onEpochEnd or whatever calls latestGradients.',
      )
    return this.training.trainer.latestGradients()
  }

  /** Where the time of full batches went, in the epochs that were profiled; null if none was. */
  get profile(): Profile | null {
    const { trainer } = this.training
    if (this.measured === null || trainer instanceof FullBatchTrainer) return null
    const { samples, batchSize } = this.supply
    const epochs = this.measured.steps / Math.floor(samples / batchSize)
    return new Profile(trainer.session(batchSize).plan, this.measured, samples % batchSize === 0 ? 0 : epochs)
  }

  /** What was profiled since the last call, if anything: a profile keeps single steps of its first epoch only. @internal */
  takeProfile(): RunProfile | null {
    const { measured } = this
    this.measured = null
    return measured
  }

  /**
   * How many epochs from this one on may run in one crossing into the executor: as many as take no time worth speaking of,
   * if nothing has to be done between them.
   */
  together(epoch: number): number {
    const { samples, batchSize, joins } = this.supply
    const mayJoin = joins && samples % batchSize === 0 && this.validation === null
    if (!mayJoin || this.training.trainer instanceof FullBatchTrainer) return 1
    const most = Math.min(this.epochs - epoch, MOST_ROWS_TOGETHER / samples, MILLISECONDS_TOGETHER / this.millisecondsEach)
    return Math.max(1, Math.floor(most))
  }

  /** What steps and data are, in a few characters: a run goes on from the checkpoint of one of the same. */
  async fingerprint(): Promise<{ readonly training: string; readonly data: string }> {
    const text = [this.training.trainer.describe(this.supply.batchSize), `values ${this.valueNames}`, `seed ${this.model.seed}`].join('\n')
    const training = createHash('sha256').update(text).digest('hex')
    return { training, data: await this.supply.fingerprint() }
  }

  /** Copies of all that steps go on from. Only while none run. */
  save(): SavedTrainer {
    return this.training.trainer.save()
  }

  async restore(saved: SavedTrainer): Promise<void> {
    await exclusively(this.models, async () => this.training.trainer.restore(saved))
    this.begin()
    // Callbacks may have set it when the run began.
    if (this.position !== null) this.scale = this.position.nextScale
  }

  /** What makes a checkpoint a model file too: what it says of the model, and the shapes of its variables. Nothing if there are several models. */
  description(): { readonly metadata: Readonly<Record<string, string>>; readonly shapes: ReadonlyMap<string, readonly number[]> } {
    if (this.models.length > 1) return { metadata: {}, shapes: new Map() }
    const { model } = this
    return {
      metadata: { [MODEL_ENTRY]: JSON.stringify(describeModel(model, 'checkpoint')) },
      shapes: new Map(model.variables.map(({ name, variable }) => [name, concrete(variable.shape)])),
    }
  }

  /** Where a run that has not begun goes on. */
  resume(position: Position): void {
    this.resumed = true
    this.position = position
    this.scale = position.nextScale
    this.latest = position.latest
  }

  /** Where the run stands between epochs, `epoch` being the next. */
  positionBefore(epoch: number): Position {
    return { epoch, hasBegun: false, step: 0, runs: [], scale: this.scale, nextScale: this.scale, latest: this.latest }
  }

  /**
   * Runs an epoch, or up to `most` in one crossing (see `together`), and measures each.
   *
   * @returns The values of the epochs that ran: at least one.
   */
  async run(epoch: number, most: number, options: StepOptions = {}): Promise<EpochValues[]> {
    const { profile } = options
    const { trainer, measures } = this.training
    if (trainer instanceof FullBatchTrainer) {
      if (profile)
        throw new OptionError(`profile: ${trainer.optimizer.name} takes no steps whose time could be measured; leave profile out.`)
      return [await this.iterate(trainer, epoch, options)]
    }
    const begun = performance.now()
    const from = this.position?.epoch === epoch ? this.position : null
    this.position = null
    const scale = from?.scale ?? this.scale
    // Callbacks have been told of this beginning for the second time.
    if (from?.hasBegun) this.scale = from.nextScale
    const { signal } = options.pauses ?? options
    const done = { runs: [...(from?.runs ?? [])], before: from?.step ?? 0 }
    try {
      const { count, stretches } = await this.supply.epochs(epoch, most, done.before, signal)
      const { first, rates } = await this.rates.ofEpochs(epoch, count, scale)
      this.begin()
      trainer.setLearningRates(first)
      const pass: Pass = Object.assign(done, { epoch, scale, rates })
      const next = epoch + count
      const ahead = () => this.supply.ahead(next, Math.min(most, this.epochs - next))
      for await (const stretch of stretches) await this.runStretch(trainer, pass, stretch, { ...options, signal }, ahead)
      const values = count === 1 ? [measures.report(pass.runs)] : await this.valuesOf(pass.runs, count)
      this.millisecondsEach = (performance.now() - begun) / count
      return this.validation === null ? values : [await this.withValidation(values[0], signal)]
    } catch (error) {
      // Wherever a run is stopped, in its steps, while it waits for data or in its validation, it can go on from here.
      if (signal?.aborted && error instanceof AbortError) await options.pauses?.paused(this.positionWithin(epoch, done, scale), true)
      throw error
    }
  }

  private positionWithin(epoch: number, done: Pick<Pass, 'runs' | 'before'>, scale: number): Position {
    // A checkpoint has room for what some runs have recorded, not for a run of each pause.
    done.runs = joinRuns(done.runs)
    return { epoch, hasBegun: true, step: done.before, runs: [...done.runs], scale, nextScale: this.scale, latest: this.latest }
  }

  /** Steps of one batch size, with pauses if there are any. */
  private async runStretch(trainer: Trainer, pass: Pass, stretch: Stretch, options: StepOptions, ahead: () => void): Promise<void> {
    const { recorded } = this.training.measures
    const { onSteps, pauses, profile = false } = options
    const { epoch, scale, rates } = pass
    const { batchSize, feeds, order } = stretch
    const firstStep = epoch * this.stepsPerEpoch
    const session = trainer.session(batchSize)
    for (let done = 0; done < stretch.steps; ) {
      const { before } = pass
      const steps = Math.min(stretch.steps - done, pauses?.stepsFrom(firstStep + before) ?? Number.POSITIVE_INFINITY)
      const rateFeeds = trainer.feedLearningRates(
        session.plan,
        rates.map((each) => each?.subarray(before, before + steps) ?? null),
      )
      let reported = 0
      const report = (first: number, losses: Float32Array) => {
        this.latest = { step: firstStep + before + first + losses.length - 1, scale }
        if (onSteps !== undefined) this.reportLatest(epoch, before + first, losses, onSteps)
        reported = first + losses.length
      }
      const result = await stoppable(options, (signal) =>
        exclusively(this.models, () => {
          const running = trainer.run(session, {
            steps,
            feeds: [...feeds, ...rateFeeds],
            order: order?.subarray(done * batchSize, (done + steps) * batchSize),
            firstRow: stretch.firstRow + (order === undefined ? done * batchSize : 0),
            record: recorded,
            signal,
            // A smaller last batch has another plan; its time would not be that of a step.
            profile: profile && batchSize === this.supply.batchSize,
            onProgress: onSteps === undefined ? undefined : (first, records) => report(first, records.loss as Float32Array),
          })
          ahead()
          return running
        }),
      )
      const { completed, records, stopped } = result
      if (reported < completed) report(reported, (records.loss as Float32Array).subarray(reported))
      done += completed
      pass.before += completed
      if (stopped === 'nonFinite') throw await trainer.nonFinite(session, firstStep + pass.before)
      if (result.profile !== undefined) this.measured = joinProfiles(this.measured, result.profile)
      if (completed > 0) pass.runs.push({ batchSize, completed, records })
      const aborted = stopped === 'aborted' && options.signal?.aborted === true
      const step = pass.before % this.stepsPerEpoch
      if (aborted)
        throw new AbortError(
          `Training was stopped in epoch ${epoch + Math.floor(pass.before / this.stepsPerEpoch) + 1}, after ${step} of ${this.stepsPerEpoch} steps; the model keeps what it has learned.`,
          options.signal?.reason,
        )
      // Between epochs others write; but nobody does where a pause is due before the first step.
      if (step > 0 || completed === 0) await pauses?.paused(this.positionWithin(epoch, pass, scale), false)
    }
  }

  /** An epoch that is one step by all data. */
  private async iterate(trainer: FullBatchTrainer, epoch: number, { signal, onSteps }: StepOptions): Promise<EpochValues> {
    const { measures } = this.training
    const { feeds, rows, batchSize } = this.supply as RowSupply
    const { scale } = this
    const rate = this.rates.at(epoch, scale)
    this.begin()
    const { runs, converged } = await exclusively(this.models, () => trainer.run(epoch, rate, { feeds, rows, batchSize, signal }))
    this.latest = { step: epoch, scale }
    if (converged) this.stopped ??= 'converged'
    const values = measures.report(runs)
    onSteps?.({ epoch, firstStep: 0, losses: Float32Array.of(values.loss) })
    return this.withValidation(values, signal)
  }

  private async withValidation(values: EpochValues, signal?: AbortSignal): Promise<EpochValues> {
    const measured = Object.entries((await this.validate(signal)) ?? {})
    return { ...values, ...Object.fromEntries(measured.map(([name, value]) => [validationName(name), value])) }
  }

  /** The loss and metrics over what is held out, as the model is now; null if nothing is. */
  async validate(signal?: AbortSignal): Promise<EpochValues | null> {
    return this.validation === null ? null : this.training.measures.measure(this.validation, signal)
  }

  /** Not before the first step, so that a run that is refused, by a callback too, does not cost the optimizer of the run before its moments. */
  private begin(): void {
    if (!this.hasBegun) this.training.begin?.()
    this.hasBegun = true
  }

  /** What each of `count` epochs measured. */
  private async valuesOf(runs: readonly Run[], count: number): Promise<EpochValues[]> {
    const { measures } = this.training
    const pace = new Pace()
    const values: EpochValues[] = []
    for (let i = 0; i < count; i++) {
      values.push(measures.report([partOf(runs[0], i, count)]))
      if (pace.isTooLong()) await pace.giveWay()
    }
    return values
  }

  /** Passes steps on; of several epochs only those of the newest, for nobody can follow thousands a second. */
  private reportLatest(epoch: number, first: number, losses: Float32Array, onSteps: OnSteps): void {
    const last = first + losses.length - 1
    const firstOfEpoch = last - (last % this.stepsPerEpoch)
    const from = Math.max(first, firstOfEpoch)
    onSteps({ epoch: epoch + firstOfEpoch / this.stepsPerEpoch, firstStep: from - firstOfEpoch, losses: losses.subarray(from - first) })
  }
}

/** The `i`-th of `count` epochs that ran in one. */
function partOf({ batchSize, completed, records }: Run, i: number, count: number): Run {
  const part = (values: Records[string]) => values.subarray((i * values.length) / count, ((i + 1) * values.length) / count)
  const parts = Object.fromEntries(Object.entries(records).map(([name, values]) => [name, part(values)]))
  return { batchSize, completed: completed / count, records: parts }
}
