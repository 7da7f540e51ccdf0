import { checkBoolean, checkCount, checkOptions, checkPath } from '../../checks.ts'
import { describe, OptionError } from '../../errors.ts'
import type { MonitorOptions } from '../callbacks/monitor.ts'

/** The option `checkpoint` of fit: a run that can be ended at any moment and goes on as if it never had been. */
export interface CheckpointOptions {
  /** Where the files lie; made if it is not there. One run at a time: a second one is refused, and a run that was killed holds nothing. */
  readonly directory: string
  /** Write one after every so many steps, counted over the whole run; default: not by steps. */
  readonly everySteps?: number
  /** Write one after every so many epochs; default: not by epochs. */
  readonly everyEpochs?: number
  /** Write one after every so many minutes; default 5, or not by time if another pace is given. */
  readonly everyMinutes?: number
  /** How many of the latest to keep; default 3. */
  readonly keepLast?: number
  /** Whether to keep the one after the best epoch as well, as `best.safetensors`, or which value says what is best; default false. */
  readonly keepBest?: boolean | MonitorOptions
  /** Whether to go on from the latest checkpoint in the directory, if there is one; default true. With false one that is there is refused. */
  readonly resume?: boolean
  /**
   * Whether SIGINT and SIGTERM end the run after the step in progress, with a checkpoint: fit then rejects with an AbortError, and the process ends by the signal unless
   * it has listeners of its own; default true. On the main thread only.
   */
  readonly signals?: boolean
}

const names = ['directory', 'everySteps', 'everyEpochs', 'everyMinutes', 'keepLast', 'keepBest', 'resume', 'signals']

/** The options with their defaults. */
export interface CheckpointSettings {
  readonly directory: string
  readonly everySteps: number | null
  readonly everyEpochs: number | null
  readonly milliseconds: number | null
  readonly keepLast: number
  readonly keepBest: MonitorOptions | null
  readonly resume: boolean
  readonly signals: boolean
}

export function checkpointSettings(fit: string, options: CheckpointOptions): CheckpointSettings {
  const where = `${fit}: checkpoint`
  if (typeof options === 'string')
    throw new OptionError(`${where} must be an object, got ${describe(options)}; say { directory: '${options}' }.`)
  checkOptions(where, options ?? null, names, {
    path: 'did you mean "directory"?',
    filepath: 'did you mean "directory"?',
    every: 'say everySteps, everyEpochs or everyMinutes.',
    monitor: 'it goes into keepBest: { keepBest: { monitor: "validationLoss" } }.',
    mode: 'it goes into keepBest: { keepBest: { mode: "max" } }.',
  })
  const { directory, everySteps, everyEpochs, keepLast = 3, keepBest = false, resume = true, signals = true } = options
  checkPath(where, 'directory', directory)
  if (everySteps !== undefined) checkCount(where, 'everySteps', everySteps)
  if (everyEpochs !== undefined) checkCount(where, 'everyEpochs', everyEpochs)
  const { everyMinutes = everySteps === undefined && everyEpochs === undefined ? 5 : null } = options
  if (everyMinutes !== null && !(typeof everyMinutes === 'number' && everyMinutes > 0 && everyMinutes < 1e4))
    throw new OptionError(`${where}: everyMinutes must be a number above 0 and below 10,000, got ${describe(everyMinutes)}.`)
  checkCount(where, 'keepLast', keepLast)
  checkBoolean(where, 'resume', resume)
  checkBoolean(where, 'signals', signals)
  if (typeof keepBest !== 'boolean' && (typeof keepBest !== 'object' || keepBest === null))
    throw new OptionError(
      `${where}: keepBest must be true, false, or options such as { monitor: 'validationLoss' }, got ${describe(keepBest)}.`,
    )
  return {
    directory,
    everySteps: everySteps ?? null,
    everyEpochs: everyEpochs ?? null,
    milliseconds: everyMinutes === null ? null : everyMinutes * 60_000,
    keepLast,
    keepBest: keepBest === false ? null : keepBest === true ? {} : keepBest,
    resume,
    signals,
  }
}
