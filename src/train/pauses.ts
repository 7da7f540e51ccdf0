/** Pauses of a run, between two steps, in which it can be written down. */
import type { Run } from './measures.ts'

/** Where a run stands within an epoch: all that its order, rates and records go on from. */
export interface Position {
  readonly epoch: number
  /** Whether callbacks have been told of its beginning. */
  readonly hasBegun: boolean
  /** Steps of the epoch that are done, and what they recorded. */
  readonly step: number
  readonly runs: readonly Run[]
  /** What learning rates are multiplied by in this epoch, and in the next. */
  readonly scale: number
  readonly nextScale: number
  /** The latest step, counted over the whole run, and its scale. */
  readonly latest: { readonly step: number; readonly scale: number } | null
}

/** Where steps are to pause within an epoch, so that something can be done between two of them. */
export interface Pauses {
  /** How many steps may run from this one on, counted over the whole run. */
  stepsFrom(step: number): number
  /** Calls `pause` when steps are to end as soon as they can; the result ends that. */
  whenDue(pause: () => void): () => void
  /** Steps have ended within an epoch. @param aborted The run ends here. */
  paused(position: Position, aborted: boolean): Promise<void>
  /** Ends the run where it is: in its steps, while it waits for data, or in its validation. */
  readonly signal: AbortSignal
}

/** Work with a signal that stops it when the run is stopped, or a pause is due. */
export async function stoppable<T>(
  { signal, pauses }: { readonly signal?: AbortSignal; readonly pauses?: Pauses },
  work: (signal?: AbortSignal) => Promise<T>,
): Promise<T> {
  if (pauses === undefined) return work(signal)
  const stop = new AbortController()
  const abort = () => stop.abort()
  const end = pauses.whenDue(abort)
  if (signal?.aborted) abort()
  signal?.addEventListener('abort', abort, { once: true })
  try {
    return await work(stop.signal)
  } finally {
    end()
    signal?.removeEventListener('abort', abort)
  }
}
