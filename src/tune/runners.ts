/** Where trials run: on this thread, or on a thread of their own. */
import { on, once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { NativeError, TrialError } from '../errors.ts'
import type { FromWorker, ToWorker } from './serve.ts'
import { type Report, runTrial, type Trial, type TrialOutcome, type TrialRequest, textOf } from './trial.ts'

/** Runs one trial at a time. */
export interface Runner {
  /** Rejects only where no trial could run. */
  run(request: TrialRequest, signal: AbortSignal, report: Report): Promise<TrialOutcome>
  close(): Promise<void>
}

/** How long a thread has to end its trial by itself when the search is aborted. */
const GRACE_MILLISECONDS = 1000

// In the bundle this file is part of index.js.
const entry = new URL(import.meta.url.endsWith('.ts') ? './worker.mjs' : './tune/worker.js', import.meta.url)

/** Trials on this thread. */
export class LocalRunner implements Runner {
  private readonly trial: Trial

  constructor(trial: Trial) {
    this.trial = trial
  }

  run(request: TrialRequest, signal: AbortSignal, report: Report): Promise<TrialOutcome> {
    return runTrial(this.trial, request, signal, report)
  }

  async close(): Promise<void> {}
}

/** Trials on a worker thread, which begins with the first of them; one that ends, whatever the reason, is replaced. */
export class ThreadRunner implements Runner {
  private readonly module: URL
  private thread: Thread | null = null

  constructor(module: URL) {
    this.module = module
  }

  async run(request: TrialRequest, signal: AbortSignal, report: Report): Promise<TrialOutcome> {
    const begun = performance.now()
    const thread = this.thread?.isAlive ? this.thread : new Thread(this.module)
    this.thread = thread
    let grace: NodeJS.Timeout | undefined
    const abort = () => {
      thread.send({ kind: 'abort' })
      grace = setTimeout(() => thread.end(), GRACE_MILLISECONDS)
    }
    signal.addEventListener('abort', abort)
    try {
      await thread.ready
      thread.send({ kind: 'run', request })
      for (;;) {
        const message = await thread.next()
        if (message.kind === 'outcome') return message.outcome
        if (message.kind === 'report') report(message.epoch, message.value)
        if (message.kind === 'ended')
          return { status: 'failed', score: null, error: message.error, seconds: (performance.now() - begun) / 1000 }
      }
    } finally {
      signal.removeEventListener('abort', abort)
      clearTimeout(grace)
    }
  }

  async close(): Promise<void> {
    await this.thread?.end()
  }
}

/** A worker thread with the trial's module. */
class Thread {
  readonly ready: Promise<void>
  isAlive = true
  private readonly worker: Worker
  private readonly messages: AsyncIterator<FromWorker[]>

  constructor(module: URL) {
    try {
      this.worker = new Worker(entry, { workerData: { module: module.href } })
    } catch (error) {
      const reason = (error as Error).message
      throw new NativeError(`tune: a worker thread cannot begin: ${reason}. Give the trial as a function, which runs on this thread.`, {
        cause: error,
      })
    }
    this.messages = on(this.worker, 'message', { close: ['exit'] })
    this.worker.once('exit', () => {
      this.isAlive = false
    })
    this.ready = this.begin(module)
    this.ready.catch(() => {})
  }

  send(message: ToWorker): void {
    this.worker.postMessage(message)
  }

  /** What the thread says next, its end included. */
  async next(): Promise<FromWorker | { readonly kind: 'ended'; readonly error: string }> {
    try {
      const { value, done } = await this.messages.next()
      return done ? { kind: 'ended', error: 'The worker thread of the trial ended, as process.exit() ends it.' } : value[0]
    } catch (error) {
      // Nothing caught it in the thread, or there was no memory left: the thread is about to end.
      if (this.isAlive) await once(this.worker, 'exit')
      return { kind: 'ended', error: textOf(error) }
    }
  }

  async end(): Promise<void> {
    await this.worker.terminate()
  }

  private async begin(module: URL): Promise<void> {
    const message = await this.next()
    if (message.kind === 'ready') return
    const reason = 'error' in message ? message.error : 'it does not say why'
    throw new TrialError(`tune: the module of the trial, ${module.href}, cannot be used: ${reason}`)
  }
}
