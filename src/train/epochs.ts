import type { Rows } from '../data/rows.ts'
import { AbortError, checkCount, checkSignal, DataError, describe, type Hints, OptionError } from '../errors.ts'
import type { Records, RunProfile } from '../executors/executor.ts'
import { joinProfiles, Profile } from '../executors/profile.ts'
import { allocateShared, formatBytes } from '../memory.ts'
import type { LearningRate, Optimizer } from '../optim/optimizer.ts'
import { type OptimizerName, optimizerFor } from '../optim/optimizers.ts'
import { Pace } from '../pace.ts'
import { Purpose, RandomStream } from '../random.ts'
import { batches, EVALUATION_BATCH } from './batches.ts'
import { stepOf } from './minimization.ts'
import type { Model, TrainingData } from './model.ts'
import { type EpochValues, hasWeights, Objective, type ObjectiveOptions, type PerOutput, type Run, type Samples } from './objective.ts'
import { Trainer } from './trainer.ts'
import type { ClassWeights } from './weights.ts'

export interface EpochOptions extends ObjectiveOptions {
  /** A name or one made with options; default "adam". Giving the same object again continues with its moments. */
  readonly optimizer?: Optimizer | OptimizerName
  /** Times through the data; default 1. */
  readonly epochs?: number
  /** Samples a step; default 32. The last batch of an epoch may be smaller. */
  readonly batchSize?: number
  /** Measured after each epoch. */
  readonly validationData?: TrainingData
  /** In place of validationData: the part of the samples (chosen by the seed) to hold out; 0 … 1. */
  readonly validationSplit?: number
  /**
   * By what the loss of each training sample of a class is multiplied, besides its own weight: one number a class, or by class number, { 1: 5 }; for several
   * outputs by output name. Default 1.
   */
  readonly classWeights?: PerOutput<ClassWeights>
  /** Whether each epoch goes through the samples in a new order; default true. */
  readonly shuffle?: boolean
  /** Stops the run within one step. */
  readonly signal?: AbortSignal
}

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

/** Steps of an epoch that have just been completed: the first of them and the loss of each. */
export type OnSteps = (epoch: number, firstStep: number, losses: Float32Array) => void

/** How long epochs that are run together should take: little beside a crossing into the executor, short enough to wait for. */
const MILLISECONDS_TOGETHER = 10
/** Of the orders of epochs that are run together. */
const MOST_ROWS_TOGETHER = 1 << 20

export const epochOptionNames = [
  'loss',
  'metrics',
  'lossWeights',
  'optimizer',
  'epochs',
  'batchSize',
  'validationData',
  'validationSplit',
  'classWeights',
  'shuffle',
  'signal',
]

const ofModel = 'it is an option of sequential and model.'
const ofOptimizer = 'it goes into the optimizer: { optimizer: adam({ learningRate }) }.'

/** Options that belong elsewhere. */
export const epochHints: Hints = {
  sampleWeights: 'it goes beside the data: { x, y, sampleWeights }.',
  seed: ofModel,
  executor: ofModel,
  threads: ofModel,
  learningRate: ofOptimizer,
  lr: ofOptimizer,
}

/** The trainer of each model's last run, and which weights it belongs to. */
const trainers = new WeakMap<Model, { readonly trainer: Trainer; readonly generation: number }>()

/** A training run, an epoch at a time. `fit` and `train` are both made from it. */
export class Epochs {
  readonly epochs: number
  private readonly objective: Objective
  private readonly trainer: Trainer
  readonly stepsPerEpoch: number
  private readonly model: Model
  private readonly batchSize: number
  private readonly learningRates: readonly LearningRate[]
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

  constructor(where: string, model: Model, data: TrainingData, options: EpochOptions) {
    const { epochs = 1, batchSize = 32, shuffle = true, validationData, validationSplit = 0, classWeights } = options
    checkCount(where, 'epochs', epochs)
    checkCount(where, 'batchSize', batchSize)
    checkSignal(where, options.signal)
    if (typeof shuffle !== 'boolean') throw new OptionError(`${where}: shuffle must be true or false, got ${describe(shuffle)}.`)
    if (typeof validationSplit !== 'number' || !(validationSplit >= 0 && validationSplit < 1)) {
      throw new OptionError(`${where}: validationSplit must lie in 0 … 1 (1 excluded), got ${describe(validationSplit)}.`)
    }
    if (validationData !== undefined && validationSplit > 0)
      throw new OptionError(`${where}: give validationData or validationSplit, not both.`)
    this.model = model
    this.epochs = epochs
    this.shuffle = shuffle
    const weighted = classWeights !== undefined || hasWeights(data) || hasWeights(validationData)
    const objective = new Objective(where, model, options, weighted)
    this.objective = objective
    this.trainer = trainerFor(where, model, objective, options)
    this.learningRates = this.trainer.learningRates
    const samples = objective.toSamples(where, data)
    this.samples = classWeights === undefined ? samples : objective.withClassWeights(where, samples, classWeights)
    const held = splitRows(where, model.seed, samples.count, validationSplit)
    this.validation =
      validationData !== undefined
        ? objective.toSamples(`${where}: validationData`, validationData)
        : held.validation.length > 0
          ? pick(samples, held.validation)
          : null
    this.rows = held.training
    this.batchSize = Math.min(batchSize, this.rows.length)
    this.stepsPerEpoch = Math.ceil(this.rows.length / this.batchSize)
    // Last, so that a call that is refused does not cost the optimizer of the run before its moments.
    trainers.set(model, { trainer: this.trainer, generation: model.generation })
  }

  /** The names of what an epoch measures. */
  get valueNames(): readonly string[] {
    const names = this.objective.valueNames
    return this.validation === null ? names : [...names, ...names.map(validationName)]
  }

  /** Where the time of full batches went, in the epochs that were profiled; null if none was. */
  get profile(): Profile | null {
    if (this.measured === null) return null
    const { length } = this.rows
    const epochs = this.measured.steps / Math.floor(length / this.batchSize)
    return new Profile(this.trainer.session(this.batchSize).plan, this.measured, length % this.batchSize === 0 ? 0 : epochs)
  }

  /**
   * How many epochs from this one on may run in one crossing into the executor: as many as take no time worth speaking of,
   * if nothing has to be done between them.
   */
  together(epoch: number): number {
    const divisible = this.rows.length % this.batchSize === 0
    if (!divisible || this.validation !== null || this.learningRates.some((rate) => typeof rate !== 'number')) return 1
    const most = Math.min(this.epochs - epoch, MOST_ROWS_TOGETHER / this.rows.length, MILLISECONDS_TOGETHER / this.millisecondsEach)
    return Math.max(1, Math.floor(most))
  }

  /**
   * Runs an epoch, or up to `most` in one crossing (see `together`), and measures each; with `profile` its time as well.
   *
   * @returns The values of the epochs that ran: at least one.
   */
  async run(epoch: number, most: number, signal?: AbortSignal, onSteps?: OnSteps, profile = false): Promise<EpochValues[]> {
    const begun = performance.now()
    this.trainer.setLearningRates(this.learningRates.map((rate) => rateAt(rate, epoch)))
    const { order, count } = await this.orderOf(epoch, most)
    const { objective } = this
    const feeds = objective.feeds(this.samples)
    const runs: Run[] = []
    let before = 0
    for (const { batchSize, steps, firstRow } of batches(order.length, this.batchSize)) {
      const session = this.trainer.session(batchSize)
      const stepsBefore = before
      let reported = 0
      const report = (first: number, losses: Float32Array) => {
        if (onSteps !== undefined) this.reportLatest(epoch, stepsBefore + first, losses, onSteps)
        reported = first + losses.length
      }
      const result = await this.model.exclusive(() => {
        const running = this.trainer.run(session, {
          steps,
          feeds,
          order: order.subarray(firstRow, firstRow + steps * batchSize),
          record: objective.recorded,
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
      if (result.stopped === 'nonFinite') throw this.trainer.nonFinite(session, epoch * this.stepsPerEpoch + before)
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
    if (this.validation === null) return values
    const measured = await objective.measure(this.validation, EVALUATION_BATCH, signal)
    return [{ ...values[0], ...Object.fromEntries(Object.entries(measured).map(([name, value]) => [validationName(name), value])) }]
  }

  /** What each of `count` epochs measured. */
  private async valuesOf(runs: readonly Run[], count: number): Promise<EpochValues[]> {
    const { objective } = this
    if (count === 1) return [objective.report(runs)]
    const pace = new Pace()
    const values: EpochValues[] = []
    for (let i = 0; i < count; i++) {
      values.push(objective.report([partOf(runs[0], i, count)]))
      if (pace.isTooLong()) await pace.giveWay()
    }
    return values
  }

  /** Passes steps on; of several epochs only those of the newest, for nobody can follow thousands a second. */
  private reportLatest(epoch: number, first: number, losses: Float32Array, onSteps: OnSteps): void {
    const last = first + losses.length - 1
    const firstOfEpoch = last - (last % this.stepsPerEpoch)
    const from = Math.max(first, firstOfEpoch)
    onSteps(epoch + firstOfEpoch / this.stepsPerEpoch, from - firstOfEpoch, losses.subarray(from - first))
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
      for (const _ of new RandomStream(this.model.seed, Purpose.shuffle, first + i).shuffleInSlices(part)) await pace.giveWay()
      if (pace.isTooLong()) await pace.giveWay()
    }
    return order
  }
}

/** The `i`-th of `count` epochs that ran in one. */
function partOf({ batchSize, completed, records }: Run, i: number, count: number): Run {
  const part = (values: Records[string]) => values.subarray((i * values.length) / count, ((i + 1) * values.length) / count)
  const parts = Object.fromEntries(Object.entries(records).map(([name, values]) => [name, part(values)]))
  return { batchSize, completed: completed / count, records: parts }
}

/** `loss` gives `validationLoss`. */
export function validationName(name: string): string {
  return `validation${name[0].toUpperCase()}${name.slice(1)}`
}

/** A trainer for this run. If the model was last trained with the same optimizer object, its moments carry on. */
function trainerFor(where: string, model: Model, objective: Objective, options: EpochOptions): Trainer {
  const optimizer = optimizerFor(where, options.optimizer === undefined ? 'adam' : options.optimizer)
  const last = trainers.get(model)
  return new Trainer(stepOf(model, objective, optimizer), last?.generation === model.generation ? last.trainer : undefined)
}

function splitRows(where: string, seed: number, count: number, split: number): { training: Int32Array; validation: Int32Array } {
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

function rateAt(learningRate: LearningRate, epoch: number): number {
  const rate = typeof learningRate === 'number' ? learningRate : learningRate(epoch)
  if (typeof rate !== 'number' || !(rate >= 0 && Number.isFinite(Math.fround(rate))))
    throw new OptionError(`learningRate must give a finite number of at least 0, got ${describe(rate)} for epoch ${epoch}.`)
  return rate
}
