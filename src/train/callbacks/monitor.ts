import { checkOptions, unknownName } from '../../checks.ts'
import { DataError, describe, OptionError } from '../../errors.ts'
import { metricNames } from '../../nn/metrics/index.ts'
import type { EpochValues } from '../measures.ts'
import { validationName } from '../names.ts'
import type { TrainingRun } from './callback.ts'

/** What a callback that watches a value can be told about it. */
export interface MonitorOptions {
  /** A value of the epoch; default "validationLoss" with validation, else "loss". */
  readonly monitor?: string
  /** Whether less or more is better; default the `mode` of the metric ("max" for accuracy, say), "min" for a loss. */
  readonly mode?: 'min' | 'max'
  /** The least change that counts as an improvement; default 0. */
  readonly minDelta?: number
}

/** The best value of a run so far. */
export class Monitor {
  best = Number.NaN
  private readonly where: string
  private readonly options: MonitorOptions
  private readonly minDelta: number
  private name = ''
  private sign = 1

  /** @param others Options beside those of a monitor. */
  constructor(where: string, options: MonitorOptions, others: readonly string[], minDelta = 0) {
    checkOptions(where, options, ['monitor', 'mode', 'minDelta', ...others])
    const { mode, minDelta: least = minDelta } = options
    if (typeof least !== 'number' || !(least >= 0))
      throw new OptionError(`${where}: minDelta must be a number of at least 0, got ${describe(least)}.`)
    if (mode !== undefined && mode !== 'min' && mode !== 'max')
      throw new OptionError(`${where}: mode must be "min" or "max", got ${describe(mode)}.`)
    this.where = where
    this.options = options
    this.minDelta = least
  }

  begin(run: TrainingRun): void {
    const { valueNames } = run
    const { monitor = valueNames.includes('validationLoss') ? 'validationLoss' : 'loss', mode = run.modeOf(monitor) } = this.options
    if (!valueNames.includes(monitor)) throw unknownMonitor(this.where, monitor, valueNames)
    this.name = monitor
    this.sign = mode === 'max' ? -1 : 1
    this.best = Number.NaN
  }

  /** Takes note of an epoch: whether it is the best so far. A first value of NaN does not keep later ones from being better. */
  isBetter(values: EpochValues): boolean {
    const value = values[this.name]
    const better = !Number.isNaN(value) && (Number.isNaN(this.best) || this.sign * (this.best - value) > this.minDelta)
    if (better) this.best = value
    return better
  }

  /** Refuses to take it for a lack of improvement that no epoch has had a value. */
  checkMeasured(epoch: number, { initialEpoch }: TrainingRun): void {
    if (!Number.isNaN(this.best)) return
    const epochs = epoch === initialEpoch ? `epoch ${epoch}` : `epochs ${initialEpoch} … ${epoch}`
    throw new DataError(
      `${this.where}: ${this.name} is NaN in ${epochs}, so that none is the best; monitor another value, or give data that it can be measured on, such as samples of both classes for an area under a curve.`,
    )
  }
}

/** An OptionError for a value that no epoch measures; a metric, or the validation's value, may only have to be asked for. */
function unknownMonitor(where: string, monitor: unknown, known: readonly string[]): OptionError {
  const hints: Record<string, string> = {}
  const list = `known are ${known.join(', ')}`
  const validate = known.includes('validationLoss') ? '' : 'give validationData or validationSplit'
  for (const name of ['loss', ...metricNames]) {
    const measure = known.includes(name) ? '' : `add "${name}" to metrics`
    hints[name] = `${list}; ${measure}.`
    hints[validationName(name)] = `${list}; ${[measure, validate].filter((part) => part !== '').join(' and ')}.`
  }
  return unknownName('value to monitor', monitor, known, where, hints)
}
