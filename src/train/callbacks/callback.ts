/** Callbacks: what happens beside training. One mechanism; the options `earlyStopping`, `onProgress` and `onEpochEnd` of fit are made from it too. */
import { checkBoolean, unknownName } from '../../checks.ts'
import { BusyError, describe, OptionError } from '../../errors.ts'
import type { EpochValues } from '../measures.ts'
import type { Model } from '../model.ts'

/** A training run, as callbacks see it. */
export interface TrainingRun {
  /** What is trained; in custom training the first of the models. */
  readonly model: Model
  /** What is trained: one model, but in custom training. */
  readonly models: readonly Model[]
  /** The option `epochs`: the last epoch is the one before this number. */
  readonly epochs: number
  readonly initialEpoch: number
  readonly stepsPerEpoch: number
  /** Whether it goes on from a checkpoint. */
  readonly resumed: boolean
  /** The names of what an epoch measures: `loss`, the metrics, and with validation `validationLoss` and so on. */
  readonly valueNames: readonly string[]
  /** The learning rate of the latest step (before the first: of that), the scale included; the first if the optimizer has several. */
  readonly learningRate: number
  /** What the learning rates of every step to come are multiplied by: 1 at the beginning. May be set; while steps run, it is for the epoch after. */
  learningRateScale: number
  /** Whether less or more of a value is better: the `mode` of its metric, else "min". */
  modeOf(value: string): 'min' | 'max'
  /** The parameters that are trained, by name: the memory itself, to be read between epochs. */
  parameters(): Record<string, Float32Array>
  /**
   * The latest step's gradient of each parameter that is trained, by the parameter's name: the memory itself, to be read between epochs. As the
   * optimizer left it there: clipped by `clipGradients`, and `lamb` and `adafactor` put the direction of their step in its place. Only in a run of
   * which a callback has `readsGradients`.
   *
   * @throws OptionError if no callback of the run has `readsGradients`.
   */
  latestGradients(): Record<string, Float32Array>
  /** Ends the run after the epoch in progress. */
  stop(): void
}

/** Steps of an epoch that have just been completed. */
export interface StepGroup {
  readonly epoch: number
  /** Of the epoch, from 0. */
  readonly firstStep: number
  /** The loss of each. */
  readonly losses: Float32Array
}

/** How a run ended. */
export interface TrainEnd {
  /** What each epoch measured. */
  readonly epochs: readonly EpochValues[]
  /** As in `History`; null when an error ended the run. */
  readonly stopped: string | null
  /** What ended the run: an AbortError, a NonFiniteError, what a callback threw; undefined if nothing did. */
  readonly error?: unknown
}

/**
 * What fit calls while it trains; each function may be left out, and is awaited if it returns a promise. What one throws ends the run.
 *
 * @example const goodEnough: Callback = {
 *   name: 'goodEnough',
 *   onEpochEnd: (epoch, { loss }, run) => {
 *     console.log(`epoch ${epoch} of ${run.epochs}: ${loss}`)
 *     return loss > 0.01
 *   },
 * }
 * await sequential([input(1), dense(1)]).fit({ x: [1, 2], y: [2, 4] }, { loss: 'meanSquaredError', epochs: 5, callbacks: [goodEnough] })
 */
export interface Callback {
  /** What `history.stopped` says if it ends the run; default "callback". */
  readonly name?: string
  /** The best epoch it knows of, for `history.bestEpoch`. */
  readonly bestEpoch?: number | null
  /**
   * Whether it calls `run.latestGradients()`; default false. Where no callback does, the gradients of large kernels are not stored, which saves time
   * and memory; the results are the same.
   */
  readonly readsGradients?: boolean
  /** Before the first epoch. */
  onTrainBegin?(run: TrainingRun): void | Promise<void>
  onEpochBegin?(epoch: number, run: TrainingRun): void | Promise<void>
  /**
   * Every 50 ms or so while steps run, and at the end of each run of an epoch. Promises are awaited when the epoch has ended. Where no callback has onEpochBegin or
   * onEpochEnd short epochs run together, and only the steps of the newest are told.
   */
  onSteps?(steps: StepGroup, run: TrainingRun): void | Promise<void>
  /** With what the epoch measured; false ends the run. */
  onEpochEnd?(
    epoch: number,
    values: EpochValues,
    run: TrainingRun,
  ): undefined | boolean | Promise<undefined | boolean> | void | Promise<void>
  /** At the end, also after an error, if onTrainBegin did not throw. */
  onTrainEnd?(end: TrainEnd, run: TrainingRun): void | Promise<void>
  /** What it remembers of the run, for a checkpoint: plain objects and arrays of numbers, strings, booleans, null, Float32Array, Float64Array and Int32Array (copies, if they may change). */
  save?(): unknown
  /** After onTrainBegin of a run that goes on from a checkpoint, with what `save` gave for it. */
  restore?(saved: unknown): void | Promise<void>
}

const members = ['onTrainBegin', 'onEpochBegin', 'onSteps', 'onEpochEnd', 'onTrainEnd'] as const

const hints = {
  onBatchBegin: 'steps are told in groups; use onSteps.',
  onBatchEnd: 'steps are told in groups; use onSteps.',
  onTrainBatchEnd: 'steps are told in groups; use onSteps.',
  onStep: 'steps are told in groups; use onSteps.',
  onProgress: 'it is an option of fit; use onSteps.',
}

/** Refuses what is no list of callbacks. */
export function checkCallbacks(where: string, callbacks: unknown): asserts callbacks is readonly Callback[] {
  if (!Array.isArray(callbacks)) throw new OptionError(`${where}: callbacks must be an array, got ${describe(callbacks)}.`)
  callbacks.forEach((callback, i) => {
    const place = `${where}: callbacks[${i}]`
    if (typeof callback === 'function')
      throw new OptionError(`${place} must be an object, got a function; call it, or give { onEpochEnd: (epoch, values, run) => … }.`)
    if (typeof callback !== 'object' || callback === null) throw new OptionError(`${place} must be an object, got ${describe(callback)}.`)
    const known: readonly string[] = members
    const given = namesOf(callback).filter((name) => /^on[A-Z]/.test(name))
    for (const name of given) {
      if (!known.includes(name)) throw unknownName('member', name, members, place, hints)
      const value = callback[name]
      if (value !== undefined && typeof value !== 'function')
        throw new OptionError(`${place}.${name} must be a function, got ${describe(value)}.`)
    }
    const { readsGradients = false } = callback as Callback
    checkBoolean(place, 'readsGradients', readsGradients)
    if (given.length === 0) throw new OptionError(`${place} must have at least one of ${members.join(', ')}, got ${describe(callback)}.`)
  })
}

/** The names of an object's members, those of its class too. */
function namesOf(value: object): string[] {
  const names = new Set<string>()
  for (let level = value; level !== null && level !== Object.prototype; level = Object.getPrototypeOf(level))
    for (const name of Object.getOwnPropertyNames(level)) names.add(name)
  return [...names]
}

/** What a callback remembers, in a checkpoint. */
export interface SavedCallback {
  readonly name: string
  readonly state: unknown
}

/** Callbacks that remember their run, and whether one is in progress. */
const forOne = new WeakMap<Callback, boolean>()

/** A callback that must not serve two runs at a time, because it remembers the one it serves. */
export function forOneRun(callback: Callback): Callback {
  forOne.set(callback, false)
  return callback
}

/** The callbacks of one run. */
export class CallbackList {
  private readonly callbacks: readonly Callback[]
  private readonly run: TrainingRun
  private readonly begun: Callback[] = []
  private pending: Promise<unknown>[] = []

  constructor(callbacks: readonly Callback[], run: TrainingRun) {
    this.callbacks = callbacks
    this.run = run
  }

  /** Whether something is to be done between epochs. */
  get wantsEpochs(): boolean {
    return this.callbacks.some(({ onEpochBegin, onEpochEnd }) => onEpochBegin !== undefined || onEpochEnd !== undefined)
  }

  get wantsSteps(): boolean {
    return this.callbacks.some(({ onSteps }) => onSteps !== undefined)
  }

  get bestEpoch(): number | null {
    return this.callbacks.find(({ bestEpoch }) => typeof bestEpoch === 'number')?.bestEpoch ?? null
  }

  async trainBegins(): Promise<void> {
    for (const callback of this.callbacks) {
      if (forOne.get(callback))
        throw new BusyError(`callbacks: this ${callback.name} already serves a run that is in progress; make one for each run.`)
      if (forOne.has(callback)) forOne.set(callback, true)
      try {
        await callback.onTrainBegin?.(this.run)
      } catch (error) {
        this.release(callback)
        throw error
      }
      this.begun.push(callback)
    }
  }

  /** What callbacks remember. */
  states(): SavedCallback[] {
    return this.remembering.map((callback) => ({ name: callback.name ?? 'callback', state: callback.save() }))
  }

  /** Refuses what other callbacks than these have saved. */
  checkStates(where: string, saved: readonly SavedCallback[]): void {
    const names = (list: readonly { readonly name?: string }[]) => list.map(({ name = 'callback' }) => name).join(', ') || 'none'
    if (names(saved) !== names(this.remembering))
      throw new OptionError(
        `${where} had these callbacks that remember something: ${names(saved)}; this one has ${names(this.remembering)}. Give the same, or another directory.`,
      )
  }

  async restore(saved: readonly SavedCallback[]): Promise<void> {
    for (const [i, callback] of this.remembering.entries()) await callback.restore?.(saved[i].state)
  }

  private get remembering() {
    return this.callbacks.filter((callback): callback is Callback & Required<Pick<Callback, 'save'>> => callback.save !== undefined)
  }

  async epochBegins(epoch: number): Promise<void> {
    for (const callback of this.callbacks) await callback.onEpochBegin?.(epoch, this.run)
  }

  stepsEnded(steps: StepGroup): void {
    for (const callback of this.callbacks) {
      const result: unknown = callback.onSteps?.(steps, this.run)
      if (typeof result !== 'object' || result === null) continue
      // A promise of another kind too. Awaited in epochEnds; until then a rejection must not count as unhandled.
      const done = Promise.resolve(result)
      done.catch(() => {})
      this.pending.push(done)
    }
  }

  /** The name of the callback that ends the run, or null. */
  async epochEnds(epoch: number, values: EpochValues): Promise<string | null> {
    await Promise.all(this.pending)
    this.pending = []
    let stopped: string | null = null
    for (const callback of this.callbacks) {
      if ((await callback.onEpochEnd?.(epoch, values, this.run)) === false) stopped ??= callback.name ?? 'callback'
    }
    return stopped
  }

  /** Lets every callback finish, whatever the others do; throws the first error, unless the run has one of its own. */
  async trainEnds(end: TrainEnd): Promise<void> {
    const errors: unknown[] = []
    // Of an epoch that an error ended; nobody has waited for them.
    await Promise.allSettled(this.pending)
    for (const callback of this.begun) {
      try {
        await callback.onTrainEnd?.(end, this.run)
      } catch (error) {
        errors.push(error)
      }
      this.release(callback)
    }
    if (errors.length > 0 && end.stopped !== null) throw errors[0]
  }

  private release(callback: Callback): void {
    if (forOne.has(callback)) forOne.set(callback, false)
  }
}
