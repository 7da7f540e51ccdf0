/** What the worker thread of a trial does. It loads nothing of this package but what stands here: the trial brings its own. */
import { parentPort, workerData } from 'node:worker_threads'
import { describe } from '../errors.ts'
import { runTrial, type Trial, type TrialOutcome, type TrialRequest, textOf } from './trial.ts'

export type ToWorker = { readonly kind: 'run'; readonly request: TrialRequest } | { readonly kind: 'abort' }

export type FromWorker =
  | { readonly kind: 'ready' }
  | { readonly kind: 'unusable'; readonly error: string }
  | { readonly kind: 'report'; readonly epoch: number; readonly value: number }
  | { readonly kind: 'outcome'; readonly outcome: TrialOutcome }

const say = (message: FromWorker) => parentPort?.postMessage(message)

/** Runs trials of the module that this thread was made for, one at a time. */
export async function serve(): Promise<void> {
  let trial: Trial
  try {
    trial = trialOf(await import(workerData.module))
  } catch (error) {
    return say({ kind: 'unusable', error: textOf(error) })
  }
  // An abort ends the search, and may come before the first trial does.
  const controller = new AbortController()
  parentPort?.on('message', async (message: ToWorker) => {
    if (message.kind === 'abort') return controller.abort()
    const report = (epoch: number, value: number) => say({ kind: 'report', epoch, value })
    say({ kind: 'outcome', outcome: await runTrial(trial, message.request, controller.signal, report) })
  })
  say({ kind: 'ready' })
}

function trialOf(module: Readonly<Record<string, unknown>>): Trial {
  const { default: given } = module
  if (typeof given !== 'function')
    throw new Error(`its default export must be a function of the parameters and the context, got ${describe(given)}.`)
  return given as Trial
}
