/** Passes over what is in memory, or comes from elsewhere in JavaScript. */
import { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import { setImmediate } from 'node:timers/promises'
import { DataError, describe } from '../errors.ts'
import { Abortable, CHUNK, type Chunk, isPromise, type Open } from './chunk.ts'

/** An iterable of either kind. */
export type AnyIterable<T> = Iterable<T> | AsyncIterable<T>

const placeFrom = (start: number) => (i: number) => `element ${start + i}`

/** Elements of an array, or of anything with a length. */
export function fromArray<T>(length: () => number, slice: (start: number, end: number) => readonly T[]): Open<T> {
  return async function* ({ skip }) {
    for (let start = skip; start < length(); start += CHUNK) {
      yield { items: slice(start, Math.min(start + CHUNK, length())), place: placeFrom(start) }
    }
  }
}

/** What a function makes, anew for each pass. */
export function fromFunction<T>(make: () => AnyIterable<T> | Promise<AnyIterable<T>>): Open<T> {
  return async function* ({ signal }) {
    const made = make()
    yield* readIterable('dataset: the function', isPromise(made) ? await made : made, signal)
  }
}

/** An iterable: one that can only be read once says so when it is read again. */
export function fromIterable<T>(source: AnyIterable<T>): Open<T> {
  let isRead = false
  return async function* ({ signal }) {
    if (isRead)
      throw new DataError(
        `dataset: ${describe(source)} can be read once, and it has been; give a function that makes a new one, dataset(() => …), or keep what is read: dataset(source).cache().`,
      )
    isRead = isReadOnce(source)
    yield* readIterable('dataset', source, signal)
  }
}

/** Generators and streams; what makes iterators of its own (an array, a Set, a class) begins anew. */
function isReadOnce(source: AnyIterable<unknown>): boolean {
  return 'next' in source || 'pipe' in source || 'getReader' in source
}

function readIterable<T>(
  where: string,
  source: AnyIterable<T>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Chunk<T>, void, undefined> {
  if (typeof source === 'object' && source !== null) {
    if ('getReader' in source) return readAsync(Readable.fromWeb(source as unknown as ReadableStream, { objectMode: true }), signal)
    if (Symbol.asyncIterator in source) return readAsync(source, signal)
    if (Symbol.iterator in source) return readSync(source)
  }
  throw new DataError(`${where}: expected an iterable or an async iterable, got ${describe(source)}.`)
}

async function* readSync<T>(source: Iterable<T>): AsyncGenerator<Chunk<T>, void, undefined> {
  let items: T[] = []
  let start = 0
  // The first chunks are small, for those who only want to see a few elements.
  let size = 16
  for (const item of source) {
    items.push(item)
    if (items.length < size) continue
    yield { items, place: placeFrom(start) }
    start += items.length
    items = []
    size = Math.min(2 * size, CHUNK)
  }
  if (items.length > 0) yield { items, place: placeFrom(start) }
}

/** A chunk is what comes before the event loop turns: elements that are slow in coming are handed on one by one. */
async function* readAsync<T>(source: AsyncIterable<T>, signal: AbortSignal | undefined): AsyncGenerator<Chunk<T>, void, undefined> {
  const iterator = source[Symbol.asyncIterator]()
  let isWaiting = false
  const ask = () => {
    isWaiting = true
    const result = Promise.resolve(iterator.next()).finally(() => {
      isWaiting = false
    })
    // Where it fails, it does when its turn comes to be awaited.
    result.catch(() => {})
    return result
  }
  const abortable = new Abortable(signal)
  try {
    let next = ask()
    for (let start = 0; ; ) {
      let result = await abortable.wait(next)
      if (result.done) return
      const items: T[] = []
      const turn = setImmediate(null)
      for (;;) {
        items.push(result.value)
        next = ask()
        if (items.length === CHUNK) break
        const ready = await Promise.race([next, turn]).catch(() => null)
        if (ready === null || ready.done) break
        result = ready
      }
      yield { items, place: placeFrom(start) }
      start += items.length
    }
  } finally {
    abortable.forget()
    if ('destroy' in source) (source as unknown as { destroy(): void }).destroy()
    const closed = Promise.resolve(iterator.return?.())
    // A generator that is still making an element can only close after it, which may be never.
    if (isWaiting) closed.catch(() => {})
    else await closed
  }
}
