/** What flows between the stages of a dataset: some elements at a time, so that plain functions run over them without waiting for each. */
import { AbortError } from '../errors.ts'

/** How many elements a chunk holds where nothing else decides it. */
export const CHUNK = 1024

/** Some elements of a dataset, in order. */
export interface Chunk<T> {
  readonly items: readonly T[]
  /** Where an element comes from, for messages: `ames.csv, line 17`, or `element 16`. What it holds on to must be small: it outlives the items. */
  readonly place: (i: number) => string
}

/** What a pass over a dataset is asked for. */
export interface Pass {
  /** Decides the order of what is shuffled. */
  readonly epoch: number
  /** How many elements to leave out at the beginning. */
  readonly skip: number
  readonly signal?: AbortSignal
}

/** Begins a pass. To return early must close whatever it opened. */
export type Open<T> = (pass: Pass) => AsyncGenerator<Chunk<T>, void, undefined>

/** Elements that come from several chunks. */
export class Gathered<T> implements Chunk<T> {
  readonly items: T[] = []
  readonly place: Chunk<T>['place']
  private readonly places: Chunk<T>['place'][]
  private readonly indices: number[]

  constructor() {
    const places: Chunk<T>['place'][] = []
    const indices: number[] = []
    // NOTE: not by way of `this`, which would keep all items as long as the place of one of them is kept.
    this.place = (i) => places[i](indices[i])
    this.places = places
    this.indices = indices
  }

  add(item: T, place: Chunk<T>['place'], i: number): void {
    this.items.push(item)
    this.places.push(place)
    this.indices.push(i)
  }

  /** Puts an element in place of another one, which it adds to `out`. */
  exchange(position: number, out: Gathered<T>, item: T, place: Chunk<T>['place'], i: number): void {
    this.moveTo(out, position)
    this.items[position] = item
    this.places[position] = place
    this.indices[position] = i
  }

  /** Adds an element to `out` too. */
  moveTo(out: Gathered<T>, position: number): void {
    out.add(this.items[position], this.places[position], this.indices[position])
  }
}

/** Some neighbours of a chunk. */
export function sliceChunk<T>(chunk: Chunk<T>, start: number, end = chunk.items.length): Chunk<T> {
  const { items, place } = chunk
  if (start === 0 && end >= items.length) return chunk
  return { items: items.slice(start, end), place: (i) => place(start + i) }
}

/** All but the first elements. */
export async function* dropFirst<T>(chunks: AsyncIterable<Chunk<T>>, count: number): AsyncGenerator<Chunk<T>, void, undefined> {
  let left = count
  for await (const chunk of chunks) {
    if (left === 0) yield chunk
    else if (left < chunk.items.length) {
      yield sliceChunk(chunk, left)
      left = 0
    } else left -= chunk.items.length
  }
}

/** Whether a value has to be waited for. */
export function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}

/** Throws if the signal has been given. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new AbortError('Reading data was stopped.', signal.reason)
}

/** Waits for one promise after another, and no longer than until the signal is given. */
export class Abortable {
  private readonly signal: AbortSignal | undefined
  private reject: (reason: unknown) => void = () => {}
  private readonly onAbort = () => this.reject(new AbortError('Reading data was stopped.', this.signal?.reason))

  constructor(signal: AbortSignal | undefined) {
    this.signal = signal
    signal?.addEventListener('abort', this.onAbort)
  }

  async wait<T>(promise: Promise<T>): Promise<T> {
    throwIfAborted(this.signal)
    if (this.signal === undefined) return promise
    return new Promise((resolve, reject) => {
      this.reject = reject
      promise.then(resolve, reject)
    })
  }

  forget(): void {
    this.signal?.removeEventListener('abort', this.onAbort)
  }
}
