import { checkOptions, describe, OptionError, unknownName } from '../errors.ts'
import type { Profile } from '../executors/profile.ts'
import { metricNames } from '../nn/metrics.ts'
import { type EpochOptions, Epochs, epochHints, epochOptionNames, type OnSteps, type Progress, validationName } from './epochs.ts'
import type { Model, TrainingData } from './model.ts'
import type { EpochValues } from './objective.ts'

export interface EarlyStopping {
  /** A value of the epoch; default "validationLoss" with validation, else "loss". */
  readonly monitor?: string
  /** Epochs without improvement before the run stops; default 5. */
  readonly patience?: number
  /** The least change that counts as an improvement; default 0. */
  readonly minDelta?: number
  /** Whether less or more is better; default "max" for accuracy and r2Score, else "min". */
  readonly mode?: 'min' | 'max'
  /** Put the weights of the best epoch back at the end, also when the run ends otherwise; default true. */
  readonly restoreBestWeights?: boolean
}

export interface FitOptions extends EpochOptions {
  readonly earlyStopping?: EarlyStopping
  /** Whether to measure where the time of the steps goes, for `history.profile`; default false. */
  readonly profile?: boolean
  /** Called every 50 ms or so while steps run, and at the end of each run of an epoch, or of several short ones. */
  readonly onProgress?: (progress: Progress) => void
  /** Called (and awaited) after each epoch; return false to stop. */
  readonly onEpochEnd?: (epoch: number, values: EpochValues) => undefined | boolean | Promise<undefined | boolean> | void | Promise<void>
}

/** What `fit` resolves with. */
export interface History {
  readonly epochs: readonly EpochValues[]
  /** "completed": all epochs ran; "earlyStopping"; "onEpochEnd": the callback returned false. */
  readonly stopped: 'completed' | 'earlyStopping' | 'onEpochEnd'
  /** With early stopping: the best epoch, from 0. */
  readonly bestEpoch: number | null
  /** With `profile`: where the time of a step went. Of full batches, without a smaller last one and without validation. */
  readonly profile?: Profile
}

export async function fit(model: Model, data: TrainingData, options: FitOptions): Promise<History> {
  if (options === undefined) throw new OptionError('fit: options are required, at least { loss }.')
  if (Array.isArray(options) || ArrayBuffer.isView(options))
    throw new OptionError('fit: expected fit({ x, y }, options), got the targets as second argument.')
  checkOptions('fit', options, [...epochOptionNames, 'earlyStopping', 'profile', 'onProgress', 'onEpochEnd'], epochHints)
  for (const name of ['onProgress', 'onEpochEnd'] as const) {
    if (options[name] !== undefined && typeof options[name] !== 'function')
      throw new OptionError(`fit: ${name} must be a function, got ${describe(options[name])}.`)
  }
  const { profile = false } = options
  if (typeof profile !== 'boolean') throw new OptionError(`fit: profile must be true or false, got ${describe(profile)}.`)
  const endTraining = model.beginTraining()
  try {
    const run = new Epochs('fit', model, data, options)
    const watch = options.earlyStopping === undefined ? null : new Watch(model, options.earlyStopping, run.valueNames)
    const epochs: EpochValues[] = []
    let stopped: History['stopped'] = 'completed'
    try {
      const listens = watch !== null || options.onEpochEnd !== undefined
      while (epochs.length < run.epochs && stopped === 'completed') {
        const epoch = epochs.length
        const count = listens ? 1 : run.together(epoch)
        const measured = await run.run(epoch, count, options.signal, progressOf(run, options.onProgress), profile)
        for (const values of measured) epochs.push(values)
        const [values] = measured
        if (watch?.isOver(epoch, values)) stopped = 'earlyStopping'
        if ((await options.onEpochEnd?.(epoch, values)) === false) stopped = 'onEpochEnd'
      }
    } finally {
      await watch?.restore()
    }
    return { epochs, stopped, bestEpoch: watch?.bestEpoch ?? null, ...(run.profile && { profile: run.profile }) }
  } finally {
    endTraining()
  }
}

function progressOf(run: Epochs, report: FitOptions['onProgress']): OnSteps | undefined {
  if (report === undefined) return undefined
  return (epoch, firstStep, losses) =>
    report({ epoch, epochs: run.epochs, step: firstStep + losses.length, steps: run.stepsPerEpoch, loss: losses[losses.length - 1] })
}

/** An OptionError for a value that no epoch measures; a metric, or the validation's value, may only have to be asked for. */
function unknownMonitor(monitor: unknown, known: readonly string[]): OptionError {
  const hints: Record<string, string> = {}
  const list = `known are ${known.join(', ')}`
  const validate = known.includes('validationLoss') ? '' : 'give validationData or validationSplit'
  for (const name of ['loss', ...metricNames]) {
    const measure = known.includes(name) ? '' : `add "${name}" to metrics`
    hints[name] = `${list}; ${measure}.`
    hints[validationName(name)] = `${list}; ${[measure, validate].filter((part) => part !== '').join(' and ')}.`
  }
  return unknownName('value to monitor', monitor, known, 'earlyStopping', hints)
}

/** Remembers the best epoch and its weights. */
class Watch {
  bestEpoch: number | null = null
  private best = Number.NaN
  private bestWeights: Uint8Array | null = null
  private readonly model: Model
  private readonly options: EarlyStopping
  private readonly monitor: string
  private readonly patience: number
  private readonly minDelta: number

  /** @param known What an epoch measures. */
  constructor(model: Model, options: EarlyStopping, known: readonly string[]) {
    checkOptions('earlyStopping', options, ['monitor', 'patience', 'minDelta', 'mode', 'restoreBestWeights'])
    const { monitor = known.includes('validationLoss') ? 'validationLoss' : 'loss', patience = 5, minDelta = 0, mode } = options
    if (!known.includes(monitor)) throw unknownMonitor(monitor, known)
    if (!Number.isSafeInteger(patience) || patience < 0)
      throw new OptionError(`earlyStopping: patience must be an integer of at least 0, got ${describe(patience)}.`)
    if (typeof minDelta !== 'number' || !(minDelta >= 0))
      throw new OptionError(`earlyStopping: minDelta must be a number of at least 0, got ${describe(minDelta)}.`)
    if (mode !== undefined && mode !== 'min' && mode !== 'max')
      throw new OptionError(`earlyStopping: mode must be "min" or "max", got ${describe(mode)}.`)
    this.model = model
    this.options = options
    this.monitor = monitor
    this.patience = patience
    this.minDelta = minDelta
  }

  /** Takes note of an epoch; true when the patience is used up. */
  isOver(epoch: number, values: EpochValues): boolean {
    const value = values[this.monitor]
    const { mode = /accuracy|r2score/i.test(this.monitor) ? 'max' : 'min' } = this.options
    const gain = mode === 'max' ? value - this.best : this.best - value
    // A first value of NaN must not keep every later one from being better.
    const better = !Number.isNaN(value) && (Number.isNaN(this.best) || gain > this.minDelta)
    if (this.bestEpoch === null || better) {
      this.best = value
      this.bestEpoch = epoch
      if (this.options.restoreBestWeights !== false) this.bestWeights = this.model.copyOfParameters()
      return false
    }
    return epoch - this.bestEpoch >= this.patience
  }

  async restore(): Promise<void> {
    const { bestWeights } = this
    if (bestWeights !== null) await this.model.exclusive(async () => this.model.restoreParameters(bestWeights))
  }
}
