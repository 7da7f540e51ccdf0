import { checkBoolean, checkFunction, checkOptions, definedOf } from '../checks.ts'
import type { Dataset } from '../data/dataset.ts'
import { OptionError } from '../errors.ts'
import type { Profile } from '../executors/profile.ts'
import { type Callback, CallbackList, checkCallbacks, type StepGroup, type TrainingRun } from './callbacks/callback.ts'
import { type EarlyStopping, earlyStopping } from './callbacks/earlyStopping.ts'
import { Checkpointer } from './checkpoint/checkpointer.ts'
import type { CheckpointOptions } from './checkpoint/options.ts'
import { Epochs } from './epochs.ts'
import { type RowSplit, suppliesOf } from './makeSupply.ts'
import type { EpochValues } from './measures.ts'
import type { Model } from './model.ts'
import { type EpochOptions, epochHints, fitOptionNames, listenerHints, type RunOptions } from './options.ts'
import { type SourcedOptions, type Streamed, sourceOf, withSources } from './streamSupply.ts'
import { trainingOf } from './training.ts'
import type { Sample, TrainingData } from './trainingData.ts'

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

/** Options of `fit`. */
export interface FitOptions extends EpochOptions, Listeners {}

/** What happens beside training. */
export interface Listeners {
  /** Ends the run when a value stops getting better: `callbacks.earlyStopping(…)` with these options. */
  readonly earlyStopping?: EarlyStopping
  /** What happens beside training: some of `callbacks`, or objects of your own; called in this order, after those of the other options. */
  readonly callbacks?: readonly Callback[]
  /** Writes checkpoints, and goes on from the latest one: bit for bit as if the run had never been interrupted. Default: none. */
  readonly checkpoint?: CheckpointOptions
  /** Whether to measure where the time of the steps goes, for `history.profile`; default false. */
  readonly profile?: boolean
  /** Called every 50 ms or so while steps run, and at the end of each run of an epoch, or of several short ones. */
  readonly onProgress?: (progress: Progress) => void
  /** Called (and awaited) after each epoch; return false to stop. */
  readonly onEpochEnd?: (epoch: number, values: EpochValues) => undefined | boolean | Promise<undefined | boolean> | void | Promise<void>
}

/** What `fit` resolves with. */
export interface History {
  /** What each epoch measured; the first is `initialEpoch`. */
  readonly epochs: readonly EpochValues[]
  /**
   * "completed": all epochs ran; "converged": another step of `lbfgs` would be of no use. Otherwise the name of the callback that ended the run: "earlyStopping"; "onEpochEnd" for the option; "callback" for one
   * without a name; or "stop" if one called `run.stop()`.
   */
  readonly stopped: 'completed' | 'converged' | 'earlyStopping' | 'onEpochEnd' | 'stop' | (string & {})
  /** With early stopping, or another callback that looks for it: the best epoch, numbered as epochs are. */
  readonly bestEpoch: number | null
  /** With `profile`: where the time of a step went. Of full batches, without a smaller last one and without validation. */
  readonly profile?: Profile
}

export async function fit(model: Model, data: TrainingData | Dataset<Sample>, options: FitOptions): Promise<History> {
  if (options === undefined) throw new OptionError('fit: options are required, at least { loss }.')
  if (Array.isArray(options) || ArrayBuffer.isView(options))
    throw new OptionError('fit: expected fit({ x, y }, options), got the targets as second argument.')
  checkOptions('fit', options, fitOptionNames, { ...epochHints, ...listenerHints })
  const { history } = await fitRows('fit', model, sourceOf(data), withSources(options))
  return history
}

/** `fit`, with what its run can still be asked. @param split In place of the part that options hold out. */
export async function fitRows(
  where: string,
  model: Model,
  data: TrainingData | Streamed<TrainingData>,
  options: SourcedOptions<FitOptions>,
  split?: RowSplit,
): Promise<{ history: History; run: Epochs }> {
  return runEpochs(where, [model], options, async (keepsGradients) => {
    const training = trainingOf(where, model, data, options, keepsGradients)
    return new Epochs(where, training, options, await suppliesOf(where, training, data, options, split))
  })
}

/**
 * Runs all epochs, and what is to happen beside them.
 *
 * @param models Held meanwhile.
 * @param begin Makes the run, when they are; with gradients that can be read between steps, or without.
 */
export async function runEpochs<Data>(
  where: string,
  models: readonly Model[],
  options: Listeners & Pick<RunOptions<Data>, 'signal'>,
  begin: (keepsGradients: boolean) => Promise<Epochs<Data>>,
): Promise<{ history: History; run: Epochs<Data> }> {
  const { profile = false } = options
  checkBoolean(where, 'profile', profile)
  const callbacks = callbacksOf(where, options)
  const endTraining = beginTraining(models)
  try {
    const run = await begin(callbacks.some(({ readsGradients }) => readsGradients === true))
    const list = new CallbackList(callbacks, run)
    const epochs: EpochValues[] = []
    const checkpointer = options.checkpoint && (await Checkpointer.open(where, options.checkpoint, run, list, epochs, options.signal))
    const onSteps = list.wantsSteps ? (group: StepGroup) => list.stepsEnded(group) : undefined
    let stopped = checkpointer?.stopped ?? null
    let error: unknown
    try {
      await list.trainBegins()
      await checkpointer?.begin()
      while (stopped === null) {
        const epoch = run.initialEpoch + epochs.length
        await list.epochBegins(epoch)
        const count = list.wantsEpochs || checkpointer !== undefined ? 1 : run.together(epoch)
        const measured = await run.run(epoch, count, { signal: options.signal, onSteps, profile, pauses: checkpointer })
        for (const values of measured) epochs.push(values)
        stopped = await list.epochEnds(epoch, measured[0])
        stopped ??= run.stopped
        if (run.initialEpoch + epochs.length >= run.epochs) stopped ??= 'completed'
        await checkpointer?.epochEnded(measured[0], stopped)
      }
      await checkpointer?.close()
    } catch (reason) {
      stopped = null
      error = reason
      await checkpointer?.close().catch(() => {})
      throw reason
    } finally {
      await list.trainEnds({ epochs, stopped, error })
    }
    return {
      history: { epochs, stopped: stopped ?? 'completed', bestEpoch: list.bestEpoch, ...(run.profile && { profile: run.profile }) },
      run,
    }
  } finally {
    endTraining()
  }
}

/** Holds models for one training run: all of them or none. */
function beginTraining(models: readonly Model[]): () => void {
  const ends: (() => void)[] = []
  const end = () => {
    for (const each of ends) each()
  }
  try {
    for (const model of models) ends.push(model.beginTraining())
  } catch (error) {
    end()
    throw error
  }
  return end
}

/** All callbacks that the options stand for. */
function callbacksOf(where: string, options: Listeners): readonly Callback[] {
  const { onProgress, onEpochEnd, callbacks = [] } = options
  for (const [name, value] of Object.entries(definedOf({ onProgress, onEpochEnd }))) checkFunction(where, name, value)
  checkCallbacks(where, callbacks)
  const own: Callback[] = []
  if (options.earlyStopping !== undefined) own.push(earlyStopping(options.earlyStopping))
  if (onProgress !== undefined) own.push({ onSteps: (steps, run) => onProgress(progressOf(steps, run)) })
  if (onEpochEnd !== undefined) own.push({ name: 'onEpochEnd', onEpochEnd: (epoch, values) => onEpochEnd(epoch, values) })
  return [...own, ...callbacks]
}

function progressOf({ epoch, firstStep, losses }: StepGroup, run: TrainingRun): Progress {
  return { epoch, epochs: run.epochs, step: firstStep + losses.length, steps: run.stepsPerEpoch, loss: losses[losses.length - 1] }
}
