import { checkOptions } from '../checks.ts'
import { DataError, describe } from '../errors.ts'
import { Arena } from '../executors/arena.ts'
import type { ExecutionOptions } from '../executors/index.ts'
import { modelFromDescription } from './loadModel.ts'
import type { Model } from './model.ts'
import type { ModelDescription } from './modelFile.ts'

/** A model on its way to another thread: `postMessage` and `workerData` carry it, without a copy of the weights. Made by `Model.share`. */
export interface SharedModel {
  readonly description: ModelDescription
  /** What holds the weights. */
  readonly memory: ReadonlyMap<string, Uint8Array<SharedArrayBuffer>>
}

/**
 * The model that another thread shared: it predicts with the same weights, in the same memory, and has only its plans to itself. What one thread writes
 * (by `fit`, `setWeights`, `initialize`) all of them predict with from then on. Nothing waits across threads: a prediction beside a training step may
 * see some weights from before the step and some from after it. So train in one thread; for predictions that must not see training, share a copy.
 *
 * @param shared What `Model.share` gave, as the message brought it.
 * @param options `threads`, default 1, because there is a worker for each processor already; `executor`, as for `sequential`.
 * @throws DataError for what is no shared model, also one that went through JSON or another process; OptionError for unknown options.
 * @example await openShared(sequential([input(2), dense(1)]).share()).predict([[0, 1]])
 */
export function openShared(shared: SharedModel, options: ExecutionOptions = {}): Model {
  checkOptions('openShared', options, ['executor', 'threads'])
  const isShared =
    shared?.memory instanceof Map &&
    [...shared.memory.values()].every((block) => (block?.buffer as ArrayBufferLike) instanceof SharedArrayBuffer)
  if (!isShared)
    throw new DataError(
      `openShared: expected what share() gave, as postMessage or workerData brought it, got ${describe(shared)}${shared?.description === undefined ? '' : ' that has lost its shared memory'}.`,
    )
  return modelFromDescription(shared.description, { threads: 1, ...options, memory: Arena.over(shared.memory) }, 'openShared')
}
