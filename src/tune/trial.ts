/** What a trial is, on whichever thread it runs. */
import { unknownName } from '../checks.ts'
import { describe } from '../errors.ts'
import type { Callback } from '../train/callbacks/callback.ts'
import type { ParametersOf } from './space.ts'
import type { Parameters } from './suggest.ts'

/** What a trial is told beside its parameters. */
export interface TrialContext {
  /** Its number, from 0. */
  readonly trial: number
  /** A seed for its models: a function of the search's seed and the number of the trial. */
  readonly seed: number
  /** For how many epochs to train in all. With "asha" a trial that is among the best is called again, for more. */
  readonly epochs: number
  /** How many threads its models are to use, so that trials side by side share the machine. */
  readonly threads: number
  /** For the option `signal` of fit: the search was aborted. */
  readonly signal: AbortSignal
  /**
   * A path of this trial's own, the same whenever it is called: whoever leaves a file or a folder there can go on from it with "asha", or after a crash. It stays when the
   * search has a journal; otherwise it is removed at the end.
   */
  readonly checkpoint: string
  /** Tells `onReport` of a value, after an epoch (from 0). */
  report(epoch: number, value: number): void
  /**
   * A callback for fit that reports each epoch, and ends the run after `epochs`.
   *
   * @param monitor A value of the epochs; default "validationLoss" with validation, else "loss".
   */
  callback(monitor?: string): Callback
}

/**
 * One trial: builds and trains a network with these parameters, and returns its score (or a promise of it). One that was trained into NaN or infinity has diverged, which is a
 * result; one that throws anything else has failed.
 */
export type Trial<Space = Readonly<Record<string, unknown>>> = (
  parameters: ParametersOf<Space>,
  context: TrialContext,
) => number | Promise<number>

/** What another thread is sent of a trial. */
export interface TrialRequest extends Pick<TrialContext, 'trial' | 'seed' | 'epochs' | 'threads' | 'checkpoint'> {
  readonly parameters: Parameters
}

/** How a trial ended. */
export interface TrialOutcome {
  /** "diverged": NaN or infinity in training, or as its score. "failed": it threw, or its thread ended. */
  readonly status: 'completed' | 'diverged' | 'failed'
  /** What it returned; null unless it is completed. */
  readonly score: number | null
  /** What went wrong, with the stack where there is one; null if nothing did. */
  readonly error: string | null
  readonly seconds: number
}

export type Report = (epoch: number, value: number) => void

/** Runs a trial; never rejects. */
export async function runTrial(trial: Trial, request: TrialRequest, signal: AbortSignal, report: Report): Promise<TrialOutcome> {
  const { parameters, ...told } = request
  let isOver = false
  // What a trial leaves running says nothing for the next one.
  const reportWhile: Report = (epoch, value) => {
    if (!isOver) report(epoch, value)
  }
  const callback = (monitor?: string) => reporting(request.epochs, reportWhile, monitor)
  const context: TrialContext = { ...told, signal, report: reportWhile, callback }
  const begun = performance.now()
  const ended = (status: TrialOutcome['status'], score: number | null, error: string | null): TrialOutcome => {
    isOver = true
    return { status, score, error, seconds: (performance.now() - begun) / 1000 }
  }
  try {
    const score: unknown = await trial(parameters, context)
    if (typeof score !== 'number') return ended('failed', null, `A trial must return its score, a number, got ${describe(score)}.`)
    return Number.isFinite(score) ? ended('completed', score, null) : ended('diverged', null, `The score is ${score}.`)
  } catch (error) {
    // By its code: in a worker thread the trial may have loaded another copy of this package.
    const diverged = (error as { code?: unknown } | null)?.code === 'ERR_NON_FINITE'
    return ended(diverged ? 'diverged' : 'failed', null, textOf(error))
  }
}

/** What to tell of anything that was thrown. */
export function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : describe(error)
}

function reporting(epochs: number, report: Report, monitor?: string): Callback {
  let name = ''
  return {
    name: 'tune',
    onTrainBegin({ valueNames }) {
      name = monitor ?? (valueNames.includes('validationLoss') ? 'validationLoss' : 'loss')
      if (!valueNames.includes(name)) throw unknownName('value to monitor', name, valueNames, 'tune')
    },
    onEpochEnd(epoch, values) {
      report(epoch, values[name])
      return epoch + 1 < epochs
    },
  }
}
