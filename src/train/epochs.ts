import type { Rows } from '../data/rows.ts'
import { AbortError, checkBoolean, checkCount, checkSignal, DataError, describe, OptionError } from '../errors.ts'
import type { Records, RunProfile } from '../executors/executor.ts'
import { joinProfiles, Profile } from '../executors/profile.ts'
import { allocateShared, formatBytes } from '../memory.ts'
import type { MixupOptions } from '../nn/mixup.ts'
import type { FullBatchOptimizer } from '../optim/fullBatch.ts'
import type { Optimizer } from '../optim/optimizer.ts'
import { fullBatchFor, type OptimizerName, optimizerFor } from '../optim/optimizers.ts'
import type { Schedule, ScheduleRun } from '../optim/schedule.ts'
import { checkedRate, scheduleFor } from '../optim/schedules.ts'
import { Pace } from '../pace.ts'
import { Purpose, RandomStream } from '../random.ts'
import { batches, EVALUATION_BATCH } from './batches.ts'
import type { StepGroup, TrainingRun } from './callbacks/callback.ts'
import { FullBatchTrainer } from './fullBatchTrainer.ts'
import type { EpochValues, Measures, Run, Samples } from './measures.ts'
import { checkGradient, stepOf } from './minimization.ts'
import type { Model, TrainingData } from './model.ts'
import { validationName } from './names.ts'
import { hasWeights, Objective, type ObjectiveOptions, type PerOutput } from './objective.ts'
import type { ClassWeights } from './sampleWeights.ts'
import { exclusively, Trainer } from './trainer.ts'

/** How epochs go, whatever is trained. */
export interface RunOptions<Data = TrainingData> {
  /** Times through the data, those before `initialEpoch` included; default 1. */
  readonly epochs?: number
  /**
   * The number of the first epoch, to go on with a run of before: epochs are numbered from here on, and schedules and the order of samples are those of the
   * epochs that come now; default 0.
   */
  readonly initialEpoch?: number
  /** Samples a step; default 32. The last batch of an epoch may be smaller. For `lbfgs` how many are measured at a time; default 256, or all where masks or a sum ask for it. */
  readonly batchSize?: number
  /** Measured after each epoch. */
  readonly validationData?: Data
  /** In place of validationData: the part of the samples (chosen by the seed) to hold out; 0 … 1, default 0. */
  readonly validationSplit?: number
  /** Whether each epoch goes through the samples in a new order; default true. */
  readonly shuffle?: boolean
  /** Stops the run within one step. */
  readonly signal?: AbortSignal
}

/** Options of training one model for one objective. */
export interface EpochOptions extends ObjectiveOptions, RunOptions {
  /** A name or one made with options; default "adam". Giving the same object again continues with its moments. */
  readonly optimizer?: Optimizer | FullBatchOptimizer | OptimizerName | 'lbfgs'
  /**
   * By what the loss of each training sample of a class is multiplied, besides its own weight: one number a class, or by class number, { 1: 5 }; for several
   * outputs by output name. Default 1.
   */
  readonly classWeights?: PerOutput<ClassWeights>
  /** Trains on weighted means of two samples of a batch, with their targets' losses weighted alike; metrics of training compare the prediction for the mixed inputs with the target of the larger share. Default: none. */
  readonly mixup?: MixupOptions
}

/** How far a run is. */
export interface Progress {
  /** From 0. */
  readonly epoch: number
  readonly epochs: number
  /** Steps of this epoch that are done, of `steps`. */
  readonly step: number
  readonly steps: number
  /** The loss of the latest step. */
  readonly loss: number
}

type OnSteps = (steps: StepGroup) => void

/** How long epochs that are run together should take: little beside a crossing into the executor, short enough to wait for. */
const MILLISECONDS_TOGETHER = 10
/** Of the orders of epochs that are run together. */
const MOST_ROWS_TOGETHER = 1 << 20

/** What epochs are made of: data that become samples, steps over them, and what these measure. */
export interface Training<Data = TrainingData> {
  /** Held while steps run. The seed of the first decides the order of samples. */
  readonly models: readonly Model[]
  readonly measures: Measures<Data>
  readonly trainer: Trainer | FullBatchTrainer
  /** What samples of training data are made; default: as they are. */
  adjust?(samples: Samples): Samples
  /** Called when everything has been checked, and the run begins. */
  begin?(): void
}

/** The trainer of each model's last run, and which weights it belongs to. */
const trainers = new WeakMap<Model, { readonly trainer: Trainer | FullBatchTrainer; readonly generation: number }>()

/** One model and its objective. If the model was last trained with the same optimizer object, its moments carry on. */
export function trainingOf(where: string, model: Model, data: TrainingData, options: EpochOptions): Training {
  const { optimizer: choice = 'adam', classWeights, mixup, validationData } = options
  const weighted = classWeights !== undefined || hasWeights(data) || hasWeights(validationData)
  const fullBatch = fullBatchFor(choice)
  const optimizer = fullBatch === null ? optimizerFor(where, choice as Optimizer | OptimizerName) : null
  const objective = new Objective(where, model, options, { weighted, mixup })
  checkGradient(where, objective.loss, model.trainableParameters)
  const last = trainers.get(model)
  const { generation } = model
  const previous = last?.generation === model.generation ? last.trainer : undefined
  const trainer =
    optimizer === null
      ? new FullBatchTrainer(
          where,
          model,
          objective,
          fullBatch as FullBatchOptimizer,
          previous instanceof FullBatchTrainer ? previous : undefined,
        )
      : new Trainer(stepOf(model, objective, optimizer), previous instanceof Trainer ? previous : undefined)
  return {
    models: [model],
    measures: objective,
    trainer,
    adjust: (samples) => (classWeights === undefined ? samples : objective.withClassWeights(where, samples, classWeights)),
    // A call that is refused does not cost the optimizer of the run before its moments.
    begin: () => trainers.set(model, { trainer, generation }),
  }
}

/** Which rows to train on, and which to hold out: both ascending. */
export interface RowSplit {
  readonly training: Int32Array
  readonly validation: Int32Array
}

/** A training run, an epoch at a time. `fit`, `train` and custom training are all made from it. */
export class Epochs<Data = TrainingData> implements TrainingRun {
  readonly models: readonly Model[]
  readonly epochs: number
  readonly initialEpoch: number
  readonly stepsPerEpoch: number
  private readonly training: Training<Data>
  private readonly batchSize: number
  /** Of each learning rate of the optimizers, and whether it is the same number in all steps. */
  private readonly schedules: readonly Schedule[]
  private readonly extent: ScheduleRun
  private readonly constantRates: readonly boolean[]
  private scale = 1
  /** The latest step, counted over the whole run, and the scale it ran with; null before the first. */
  private latest: { readonly step: number; readonly scale: number } | null = null
  private readonly shuffle: boolean
  private readonly samples: Samples
  private readonly validation: Samples | null
  /** Rows to train on, ascending. */
  private readonly rows: Int32Array
  /** Orders that have been made ahead: those of epochs `first` … `first + count - 1`, one after the other. */
  private ahead: { readonly first: number; readonly count: number; readonly order: Promise<Int32Array> } | null = null
  /** What the last epochs took, each. */
  private millisecondsEach = Number.POSITIVE_INFINITY
  private measured: RunProfile | null = null
  /** Why the run is to end after the epoch in progress: somebody has asked for it ("stop"), or another would be of no use ("converged"). */
  stopped: 'stop' | 'converged' | null = null

  /** @param split In place of a part that the options hold out. */
  constructor(where: string, training: Training<Data>, data: Data, options: RunOptions<Data>, split?: RowSplit) {
    const { trainer, measures, models } = training
    const fullBatch = trainer instanceof FullBatchTrainer
    const {
      epochs = 1,
      initialEpoch = 0,
      batchSize = fullBatch ? EVALUATION_BATCH : 32,
      shuffle = true,
      validationData,
      validationSplit = 0,
    } = options
    checkCount(where, 'epochs', epochs)
    if (!Number.isSafeInteger(initialEpoch) || initialEpoch < 0 || initialEpoch >= epochs)
      throw new OptionError(
        `${where}: initialEpoch must be an integer of 0 … ${epochs - 1}, below epochs, which counts the epochs before it too; got ${describe(initialEpoch)}.`,
      )
    checkCount(where, 'batchSize', batchSize)
    checkSignal(where, options.signal)
    checkBoolean(where, 'shuffle', shuffle)
    if (typeof validationSplit !== 'number' || !(validationSplit >= 0 && validationSplit < 1)) {
      throw new OptionError(`${where}: validationSplit must lie in 0 … 1 (1 excluded), got ${describe(validationSplit)}.`)
    }
    if (validationData !== undefined && validationSplit > 0)
      throw new OptionError(`${where}: give validationData or validationSplit, not both.`)
    this.training = training
    this.models = models
    this.epochs = epochs
    this.initialEpoch = initialEpoch
    this.shuffle = shuffle
    this.constantRates = trainer.learningRates.map((rate) => typeof rate === 'number')
    this.schedules = trainer.learningRates.map((rate) => scheduleFor(where, rate))
    const samples = measures.toSamples(where, data)
    this.samples = training.adjust?.(samples) ?? samples
    const held = split ?? splitRows(where, models[0].seed, samples.count, validationSplit)
    this.validation =
      validationData !== undefined
        ? measures.toSamples(`${where}: validationData`, validationData)
        : held.validation.length > 0
          ? pick(samples, held.validation)
          : null
    const names = this.valueNames
    const twice = names.find((name, i) => names.indexOf(name) !== i)
    if (twice !== undefined)
      throw new OptionError(
        `${where}: with validation two values would be reported as "${twice}"; give the metric or the output that begins with "validation" another name.`,
      )
    this.rows = held.training
    this.batchSize = fullBatch ? batchOf(where, trainer, measures.isMean, this.rows.length, options) : Math.min(batchSize, this.rows.length)
    this.stepsPerEpoch = fullBatch ? 1 : Math.ceil(this.rows.length / this.batchSize)
    this.extent = { epochs, stepsPerEpoch: this.stepsPerEpoch, steps: epochs * this.stepsPerEpoch }
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
    return this.rateOf(this.schedules[0], step, scale)
  }

  get learningRateScale(): number {
    return this.scale
  }

  set learningRateScale(scale: number) {
    if (typeof scale !== 'number' || !(scale >= 0 && Number.isFinite(Math.fround(scale))))
      throw new OptionError(`learningRateScale must be a finite number of at least 0, got ${describe(scale)}.`)
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
    return this.training.trainer.latestGradients()
  }

  /** Where the time of full batches went, in the epochs that were profiled; null if none was. */
  get profile(): Profile | null {
    const { trainer } = this.training
    if (this.measured === null || trainer instanceof FullBatchTrainer) return null
    const { length } = this.rows
    const epochs = this.measured.steps / Math.floor(length / this.batchSize)
    return new Profile(trainer.session(this.batchSize).plan, this.measured, length % this.batchSize === 0 ? 0 : epochs)
  }

  /**
   * How many epochs from this one on may run in one crossing into the executor: as many as take no time worth speaking of,
   * if nothing has to be done between them.
   */
  together(epoch: number): number {
    const divisible = this.rows.length % this.batchSize === 0
    if (!divisible || this.validation !== null || this.training.trainer instanceof FullBatchTrainer) return 1
    const most = Math.min(this.epochs - epoch, MOST_ROWS_TOGETHER / this.rows.length, MILLISECONDS_TOGETHER / this.millisecondsEach)
    return Math.max(1, Math.floor(most))
  }

  /**
   * Runs an epoch, or up to `most` in one crossing (see `together`), and measures each; with `profile` its time as well.
   *
   * @returns The values of the epochs that ran: at least one.
   */
  async run(epoch: number, most: number, signal?: AbortSignal, onSteps?: OnSteps, profile = false): Promise<EpochValues[]> {
    const { trainer, measures } = this.training
    if (trainer instanceof FullBatchTrainer) {
      if (profile)
        throw new OptionError(`profile: ${trainer.optimizer.name} takes no steps whose time could be measured; leave profile out.`)
      return [await this.iterate(trainer, epoch, signal, onSteps)]
    }
    const begun = performance.now()
    const { order, count } = await this.orderOf(epoch, most)
    const { scale } = this
    const { first, rates } = await this.ratesOf(epoch, count, scale)
    this.begin()
    trainer.setLearningRates(first)
    const firstStep = epoch * this.stepsPerEpoch
    const feeds = measures.feeds(this.samples)
    const runs: Run[] = []
    let before = 0
    for (const { batchSize, steps, firstRow } of batches(order.length, this.batchSize)) {
      const session = trainer.session(batchSize)
      const stepsBefore = before
      let reported = 0
      const rateFeeds = trainer.feedLearningRates(
        session.plan,
        rates.map((each) => each?.subarray(stepsBefore, stepsBefore + steps) ?? null),
      )
      const report = (first: number, losses: Float32Array) => {
        this.latest = { step: firstStep + stepsBefore + first + losses.length - 1, scale }
        if (onSteps !== undefined) this.reportLatest(epoch, stepsBefore + first, losses, onSteps)
        reported = first + losses.length
      }
      const result = await exclusively(this.models, () => {
        const running = trainer.run(session, {
          steps,
          feeds: [...feeds, ...rateFeeds],
          order: order.subarray(firstRow, firstRow + steps * batchSize),
          record: measures.recorded,
          signal,
          // A smaller last batch has another plan; its time would not be that of a step.
          profile: profile && batchSize === this.batchSize,
          onProgress: onSteps === undefined ? undefined : (first, records) => report(first, records.loss as Float32Array),
        })
        this.orderAhead(epoch + count, most)
        return running
      })
      if (reported < result.completed) report(reported, (result.records.loss as Float32Array).subarray(reported))
      before += result.completed
      if (result.stopped === 'nonFinite') throw await trainer.nonFinite(session, firstStep + before)
      if (result.stopped === 'aborted')
        throw new AbortError(
          `Training was stopped in epoch ${epoch + Math.floor(before / this.stepsPerEpoch) + 1}, after ${before % this.stepsPerEpoch} of ${this.stepsPerEpoch} steps; the model keeps what it has learned.`,
          signal?.reason,
        )
      if (result.profile !== undefined) this.measured = joinProfiles(this.measured, result.profile)
      runs.push({ batchSize, completed: result.completed, records: result.records })
    }
    const values = await this.valuesOf(runs, count)
    this.millisecondsEach = (performance.now() - begun) / count
    return this.validation === null ? values : [await this.withValidation(values[0], signal)]
  }

  /** An epoch that is one step by all data. */
  private async iterate(trainer: FullBatchTrainer, epoch: number, signal?: AbortSignal, onSteps?: OnSteps): Promise<EpochValues> {
    const { measures } = this.training
    const request = { feeds: measures.feeds(this.samples), rows: this.rows, batchSize: this.batchSize, signal }
    const { scale } = this
    const rate = this.rateOf(this.schedules[0], epoch, scale)
    this.begin()
    const { runs, converged } = await exclusively(this.models, () => trainer.run(epoch, rate, request))
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
    return this.validation === null ? null : this.training.measures.measure(this.validation, EVALUATION_BATCH, signal)
  }

  /** Not before the first step, so that a run that is refused, by a callback too, does not cost the optimizer of the run before its moments. */
  private begin(): void {
    if (this.latest === null) this.training.begin?.()
  }

  /** The learning rates of `count` epochs: at their first step, and of one that changes the rate of each step. */
  private async ratesOf(
    epoch: number,
    count: number,
    scale: number,
  ): Promise<{ readonly first: readonly number[]; readonly rates: readonly (Float32Array | null)[] }> {
    const firstStep = epoch * this.stepsPerEpoch
    const first = this.schedules.map((schedule) => this.rateOf(schedule, firstStep, scale))
    const pace = new Pace()
    const rates: (Float32Array | null)[] = []
    for (const [i, schedule] of this.schedules.entries()) {
      const each = this.constantRates[i] ? null : new Float32Array(count * this.stepsPerEpoch)
      rates.push(each)
      for (let step = 0; each !== null && step < each.length; step++) {
        each[step] = this.rateOf(schedule, firstStep + step, scale)
        if (step % 1024 === 1023 && pace.isTooLong()) await pace.giveWay()
      }
    }
    return { first, rates }
  }

  private rateOf(schedule: Schedule, step: number, scale: number): number {
    const rate = scale * checkedRate(schedule, step, this.extent)
    if (!Number.isFinite(Math.fround(rate)))
      throw new OptionError(`learningRateScale: ${scale} times the learning rate of step ${step} is more than float32 holds.`)
    return rate
  }

  /** What each of `count` epochs measured. */
  private async valuesOf(runs: readonly Run[], count: number): Promise<EpochValues[]> {
    const { measures } = this.training
    if (count === 1) return [measures.report(runs)]
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

  /** The rows of up to `most` epochs in the order in which they are trained on: for each a function of seed and epoch alone. */
  private async orderOf(epoch: number, most: number): Promise<{ order: Int32Array; count: number }> {
    const { ahead } = this
    this.ahead = null
    // What was made ahead may be fewer than are wanted by now.
    const useful = ahead !== null && ahead.first === epoch && ahead.count >= most / 2
    const count = useful ? Math.min(ahead.count, most) : most
    const order = useful ? await ahead.order : await this.shuffled(epoch, count)
    return { order: order.subarray(0, count * this.rows.length), count }
  }

  /** Makes the next orders while the executor is at work. */
  private orderAhead(first: number, epochs: number): void {
    const count = Math.min(epochs, this.epochs - first)
    if (count <= 0 || this.ahead !== null) return
    const order = this.shuffled(first, count)
    // If the run ends with an error nobody takes it up.
    order.catch(() => {})
    this.ahead = { first, count, order }
  }

  private async shuffled(first: number, count: number): Promise<Int32Array> {
    const { length } = this.rows
    const order = new Int32Array(count * length)
    const pace = new Pace()
    for (let i = 0; i < count; i++) {
      const part = order.subarray(i * length, (i + 1) * length)
      part.set(this.rows)
      if (!this.shuffle) continue
      for (const _ of new RandomStream(this.models[0].seed, Purpose.shuffle, first + i).shuffleInSlices(part)) await pace.giveWay()
      if (pace.isTooLong()) await pace.giveWay()
    }
    return order
  }
}

/** How many samples are measured at a time where a step needs them all. */
function batchOf(
  where: string,
  { optimizer }: FullBatchTrainer,
  isMean: boolean,
  count: number,
  { batchSize }: RunOptions<unknown>,
): number {
  if (isMean) return Math.min(batchSize ?? EVALUATION_BATCH, count)
  if ((batchSize ?? count) < count)
    throw new OptionError(
      `${where}: with masks or a loss that is a sum ${optimizer.name} needs all ${count} samples in one batch, got batchSize ${batchSize}; leave it out.`,
    )
  return count
}

/** The `i`-th of `count` epochs that ran in one. */
function partOf({ batchSize, completed, records }: Run, i: number, count: number): Run {
  const part = (values: Records[string]) => values.subarray((i * values.length) / count, ((i + 1) * values.length) / count)
  const parts = Object.fromEntries(Object.entries(records).map(([name, values]) => [name, part(values)]))
  return { batchSize, completed: completed / count, records: parts }
}

function splitRows(where: string, seed: number, count: number, split: number): RowSplit {
  const rows = Int32Array.from({ length: count }, (_, i) => i)
  const held = Math.round(count * split)
  if (split === 0) return { training: rows, validation: rows.subarray(0, 0) }
  if (held === 0) throw new DataError(`${where}: validationSplit ${split} of ${count} samples holds out none to validate on.`)
  if (held === count) throw new DataError(`${where}: validationSplit ${split} of ${count} samples leaves none to train on.`)
  new RandomStream(seed, Purpose.split).shuffle(rows)
  return { training: rows.slice(held).sort(), validation: rows.slice(0, held).sort() }
}

/** Copies chosen rows. */
function pick({ x, y, weights }: Samples, rows: Int32Array): Samples {
  const copy = ({ values: from, count }: Rows): Rows => {
    const width = from.length / count
    const bytes = rows.length * width * 4
    const buffer = allocateShared(bytes, `The validation samples need ${formatBytes(bytes)}`, 'Try a smaller validationSplit.')
    const values = from instanceof Int32Array ? new Int32Array(buffer) : new Float32Array(buffer)
    rows.forEach((row, i) => values.set(from.subarray(row * width, (row + 1) * width), i * width))
    return { values, count: rows.length }
  }
  return { x: x.map(copy), y: y.map(copy), weights: weights.map(copy), count: rows.length }
}
