import { AbortError, DataError, OptionError } from '../../errors.ts'
import type { CallbackList } from '../callbacks/callback.ts'
import { Monitor } from '../callbacks/monitor.ts'
import type { Epochs } from '../epochs.ts'
import type { EpochValues } from '../measures.ts'
import type { Pauses, Position } from '../pauses.ts'
import { type CheckpointOptions, type CheckpointSettings, checkpointSettings } from './options.ts'
import { CheckpointStore, type SavedRun } from './store.ts'
import { beforeTermination, type TerminationSignal } from './terminationSignals.ts'

/** Writes checkpoints of a run, at its pauses and between epochs, and finds the one to go on from. The files are written while training goes on. */
export class Checkpointer implements Pauses {
  private readonly settings: CheckpointSettings
  private readonly store: CheckpointStore
  private readonly run: Epochs<never>
  private readonly callbacks: CallbackList
  private readonly fingerprint: { readonly training: string; readonly data: string }
  private readonly monitor: Monitor | null
  private readonly history: EpochValues[]
  /** What this run goes on from. */
  private readonly saved: SavedRun | null
  private writing: Promise<void> = Promise.resolve()
  private failure: unknown = null
  private due = false
  private ending: TerminationSignal | null = null
  private readonly ended = new AbortController()
  readonly signal: AbortSignal
  private interrupt: (() => void) | null = null
  private timer: NodeJS.Timeout | undefined
  private release = () => {}

  private constructor(parts: CheckpointerParts) {
    this.settings = parts.settings
    this.store = parts.store
    this.run = parts.run
    this.callbacks = parts.callbacks
    this.history = parts.history
    this.fingerprint = parts.fingerprint
    this.saved = parts.saved
    this.signal = AbortSignal.any([this.ended.signal, ...(parts.signal === undefined ? [] : [parts.signal])])
    this.monitor = parts.settings.keepBest === null ? null : new Monitor(`${parts.where}.keepBest`, parts.settings.keepBest, [])
  }

  /**
   * Looks for a checkpoint to go on from, and puts the run there.
   *
   * @param history Gets what the epochs before measured.
   * @param signal Ends the run.
   */
  static async open<Data>(
    fit: string,
    options: CheckpointOptions,
    run: Epochs<Data>,
    callbacks: CallbackList,
    history: EpochValues[],
    signal?: AbortSignal,
  ): Promise<Checkpointer> {
    const where = `${fit}: checkpoint`
    const settings = checkpointSettings(fit, options)
    const store = await CheckpointStore.open(where, settings.directory)
    try {
      return await Checkpointer.inStore(where, settings, store, run, callbacks, history, signal)
    } catch (error) {
      await store.close()
      throw error
    }
  }

  private static async inStore<Data>(
    where: string,
    settings: CheckpointSettings,
    store: CheckpointStore,
    run: Epochs<Data>,
    callbacks: CallbackList,
    history: EpochValues[],
    signal: AbortSignal | undefined,
  ): Promise<Checkpointer> {
    const fingerprint = await run.fingerprint()
    // What cannot be saved is refused now, and not when the first is due.
    run.save()
    run.description()
    const saved = await store.latest()
    if (saved !== null) {
      if (!settings.resume)
        throw new OptionError(
          `${where}: "${settings.directory}" has checkpoints of a run of before; go on with { resume: true }, remove them, or give another directory.`,
        )
      checkSame(`${where}: the run in "${settings.directory}"`, saved, fingerprint, run)
      callbacks.checkStates(`${where}: the run in "${settings.directory}"`, saved.callbacks)
      run.resume(saved.position)
      history.push(...saved.history)
    }
    return new Checkpointer({
      where,
      settings,
      store,
      run: run as unknown as Epochs<never>,
      callbacks,
      history,
      fingerprint,
      saved,
      signal,
    })
  }

  /** Why the run that this one goes on from had ended, if it had, and this one would not take more epochs; or has no more to take. */
  get stopped(): string | null {
    const { stopped = null } = this.saved ?? {}
    if (stopped !== null && stopped !== 'completed') return stopped
    return this.run.initialEpoch + this.history.length < this.run.epochs ? null : 'completed'
  }

  /** Puts weights and all that is remembered back. Callbacks have begun. */
  async begin(): Promise<void> {
    this.monitor?.begin(this.run)
    if (this.saved !== null) {
      await this.run.restore(this.saved.trainer)
      await this.callbacks.restore(this.saved.callbacks)
      if (this.monitor !== null) this.monitor.best = this.saved.best
    }
    if (this.settings.signals) this.release = beforeTermination((signal) => this.end(signal))
    this.startTimer()
  }

  stepsFrom(step: number): number {
    const { everySteps } = this.settings
    return everySteps === null ? Number.POSITIVE_INFINITY : everySteps - (step % everySteps)
  }

  whenDue(pause: () => void): () => void {
    this.interrupt = pause
    if (this.due) pause()
    return () => {
      this.interrupt = null
    }
  }

  async paused(position: Position, aborted: boolean): Promise<void> {
    const step = this.stepOf(position)
    if (aborted || this.due || this.isWholeNumber(step, this.settings.everySteps)) await this.write(position, null, false)
    if (aborted) await this.finishWriting()
    await this.checkEnding(position)
  }

  /** @param stopped Why the run ends with this epoch; null if it does not. */
  async epochEnded(values: EpochValues, stopped: string | null): Promise<void> {
    const { everySteps, everyEpochs } = this.settings
    const position = this.run.positionBefore(this.run.initialEpoch + this.history.length)
    const isBest = this.monitor?.isBetter(values) ?? false
    const isDue = this.isWholeNumber(this.stepOf(position), everySteps) || this.isWholeNumber(position.epoch, everyEpochs)
    if (stopped !== null || isBest || isDue || this.due) await this.write(position, stopped, isBest)
    if (stopped === null) await this.checkEnding(position)
  }

  /** Waits for what is being written, and leaves the directory to others. */
  async close(): Promise<void> {
    clearTimeout(this.timer)
    try {
      await this.finishWriting()
    } finally {
      await this.store.close()
      this.release()
    }
  }

  private async write(position: Position, stopped: string | null, isBest: boolean): Promise<void> {
    const { store, settings } = this
    const step = this.stepOf(position)
    this.due = false
    // One at a time: a disk that is slower than the pace asked for holds training up, not memory.
    await this.finishWriting()
    const saved = {
      ...this.fingerprint,
      position,
      initialEpoch: this.run.initialEpoch,
      history: [...this.history],
      stopped,
      callbacks: this.callbacks.states(),
      best: this.monitor?.best ?? Number.NaN,
      trainer: this.run.save(),
    }
    const description = this.run.description()
    const work = async () => {
      await store.write(step, saved, description, isBest)
      await store.prune(settings.keepLast, step)
    }
    this.writing = work().catch((error) => {
      this.failure = error
    })
    this.startTimer()
  }

  private async finishWriting(): Promise<void> {
    await this.writing
    const { failure } = this
    this.failure = null
    if (failure !== null) throw failure
  }

  private startTimer(): void {
    clearTimeout(this.timer)
    if (this.settings.milliseconds === null) return
    this.timer = setTimeout(() => this.makeDue(), Math.min(this.settings.milliseconds, 0x7fffffff)).unref()
  }

  private makeDue(): void {
    this.due = true
    this.interrupt?.()
  }

  private end(signal: TerminationSignal): void {
    this.ending = signal
    this.due = true
    this.ended.abort()
  }

  /** Ends the run if the process is to end. */
  private async checkEnding({ epoch, step }: Position): Promise<void> {
    if (this.ending === null) return
    await this.finishWriting()
    throw new AbortError(
      `Training was stopped by ${this.ending} in epoch ${epoch + 1}, after ${step} of ${this.run.stepsPerEpoch} steps; the next run with this checkpoint directory goes on from there.`,
      this.ending,
    )
  }

  private stepOf({ epoch, step }: Position): number {
    return epoch * this.run.stepsPerEpoch + step
  }

  private isWholeNumber(count: number, of: number | null): boolean {
    return of !== null && count % of === 0
  }
}

/** What `Checkpointer.open` has found. */
interface CheckpointerParts {
  readonly where: string
  readonly settings: CheckpointSettings
  readonly store: CheckpointStore
  readonly run: Epochs<never>
  readonly callbacks: CallbackList
  readonly history: EpochValues[]
  readonly fingerprint: { readonly training: string; readonly data: string }
  readonly saved: SavedRun | null
  readonly signal: AbortSignal | undefined
}

/** Refuses to go on from the checkpoint of another run. */
function checkSame<Data>(where: string, saved: SavedRun, { training, data }: { training: string; data: string }, run: Epochs<Data>): void {
  const advice = 'give another directory, or remove it'
  if (saved.training !== training)
    throw new DataError(
      `${where} trained with other steps: the network, the loss, the metrics, the validation, the optimizer, the batch size or the version of thalweg differs; ${advice}.`,
    )
  if (saved.data !== data) throw new DataError(`${where} trained on other data; ${advice}.`)
  if (saved.initialEpoch !== run.initialEpoch)
    throw new OptionError(`${where} began with initialEpoch ${saved.initialEpoch}, this one with ${run.initialEpoch}; ${advice}.`)
  const { epoch, step } = saved.position
  if (epoch + Math.sign(step) > run.epochs)
    throw new OptionError(`${where} is in epoch ${epoch + 1}, this one is to end after ${run.epochs}; ask for more epochs, or ${advice}.`)
}
