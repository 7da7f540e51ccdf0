/** What a dataset does to the chunks that pass through it, each a function that makes passes of passes. */
import { DataError } from '../errors.ts'
import { Purpose, RandomStream } from '../random.ts'
import { CHUNK, type Chunk, dropFirst, Gathered, isPromise, type Open, sliceChunk } from './chunk.ts'

/** Reports what a user's function threw at an element, with the place the element came from. */
function fail(place: string, error: unknown): never {
  throw new DataError(`${place}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
}

/** How many results of an async function are handed on together. */
const WAITED = 32

/** Each element through a function: where that gives promises, up to so many at once. What comes before a failure is handed on before it. */
export function map<T, U>(open: Open<T>, transform: (element: T) => U, concurrency: number): Open<Awaited<U>> {
  return async function* (pass) {
    const running: { readonly result: PromiseLike<unknown>; readonly place: Chunk<T>['place']; readonly i: number }[] = []
    let done = new Gathered<Awaited<U>>()
    let failure: { readonly error: unknown } | null = null
    const settle = async (leave: number) => {
      while (failure === null && running.length > leave) {
        const [{ result, place, i }] = running
        try {
          done.add((await result) as Awaited<U>, place, i)
        } catch (error) {
          failure = { error }
        }
        running.shift()
      }
    }
    const handOver = () => {
      const ready = done
      done = new Gathered()
      return ready
    }
    try {
      try {
        for await (const { items, place } of open(pass)) {
          for (let i = 0; i < items.length && failure === null; i++) {
            const result = callFor(transform, items[i], place, i)
            if (running.length === 0 && !isPromise(result)) {
              done.add(result as Awaited<U>, place, i)
            } else {
              running.push({ result: isPromise(result) ? result : Promise.resolve(result), place, i })
              if (running.length >= concurrency) await settle(concurrency - 1)
              // Results that had to be waited for may be large, images for instance.
              if (done.items.length >= WAITED) yield handOver()
            }
          }
          if (failure !== null) break
          if (done.items.length > 0) yield handOver()
        }
      } catch (error) {
        await settle(0)
        failure ??= { error }
      }
      await settle(0)
      if (done.items.length > 0) yield done
      if (failure !== null) throw (failure as { readonly error: unknown }).error
    } finally {
      await Promise.allSettled(running.map(({ result }) => result))
    }
  }
}

/** Calls a user's function; that it fails is a promise which does so in its turn. */
function callFor<T, U>(transform: (element: T) => U, item: T, place: Chunk<T>['place'], i: number): U | Promise<unknown> {
  let result: U | Promise<unknown>
  try {
    result = transform(item)
    if (!isPromise(result)) return result
  } catch (error) {
    result = Promise.reject(error)
  }
  const placed = Promise.resolve(result).catch((error: unknown) => fail(place(i), error))
  // Nobody may be waiting yet when it fails.
  placed.catch(() => {})
  return placed
}

/** The elements for which a user's function says true. */
export function filter<T>(open: Open<T>, predicate: (element: T) => unknown): Open<T> {
  const beside = (element: T) => {
    const isKept = predicate(element)
    return isPromise(isKept) ? isKept.then((kept) => ({ element, isKept: kept })) : { element, isKept }
  }
  const judged = map(open, beside, 1)
  return async function* (pass) {
    for await (const { items, place } of judged(pass)) {
      const kept = new Gathered<T>()
      for (let i = 0; i < items.length; i++) if (items[i].isKept) kept.add(items[i].element, place, i)
      if (kept.items.length > 0) yield kept
    }
  }
}

/** Elements drawn from a buffer that the next ones fill again. */
export function shuffle<T>(open: Open<T>, size: number, seed: number): Open<T> {
  return async function* (pass) {
    const random = new RandomStream(seed, Purpose.shuffle, pass.epoch)
    const buffer = new Gathered<T>()
    let out = new Gathered<T>()
    for await (const { items, place } of open(pass)) {
      for (let i = 0; i < items.length; i++) {
        if (buffer.items.length < size) buffer.add(items[i], place, i)
        else buffer.exchange(random.below(size), out, items[i], place, i)
      }
      if (out.items.length >= CHUNK) {
        yield out
        out = new Gathered()
      }
    }
    const order = Int32Array.from(buffer.items.keys())
    random.shuffle(order)
    for (const position of order) buffer.moveTo(out, position)
    for (let start = 0; start < out.items.length; start += CHUNK) yield sliceChunk(out, start, start + CHUNK)
  }
}

/** So many elements together. */
export function batch<T>(open: Open<T>, size: number, dropRemainder: boolean): Open<T[]> {
  return async function* (pass) {
    let current: T[] = []
    let first = ''
    for await (const { items, place } of open({ ...pass, skip: pass.skip * size })) {
      const full = new Gathered<T[]>()
      for (let i = 0; i < items.length; ) {
        if (current.length === 0) first = place(i)
        const end = Math.min(items.length, i + size - current.length)
        while (i < end) current.push(items[i++])
        if (current.length < size) break
        full.add(current, placeOfBatch(first), 0)
        current = []
      }
      if (full.items.length > 0) yield full
    }
    if (current.length > 0 && !dropRemainder) yield { items: [current], place: placeOfBatch(first) }
  }
}

const placeOfBatch = (first: string) => () => `the batch from ${first} on`

/** One pass after the other, each an epoch of its own; until a pass has nothing. */
export function repeat<T>(open: Open<T>, times: number, count: () => number | null): Open<T> {
  return async function* ({ epoch, skip, signal }) {
    async function* passes(first: number, skipped: number) {
      for (let time = first; time < times; time++) {
        // Where the passes have no end, no epoch follows that could have numbers of its own.
        const inner = times === Number.POSITIVE_INFINITY ? epoch + time : epoch * times + time
        let isEmpty = skipped === 0
        for await (const chunk of open({ epoch: inner, skip: skipped, signal })) {
          isEmpty = false
          yield chunk
        }
        if (isEmpty) return
        skipped = 0
      }
    }
    const each = count()
    yield* each === null || each === 0 ? dropFirst(passes(0, 0), skip) : passes(Math.floor(skip / each), skip % each)
  }
}

/** The first elements. */
export function take<T>(open: Open<T>, count: number): Open<T> {
  return async function* (pass) {
    let left = count - pass.skip
    if (left <= 0) return
    for await (const chunk of open(pass)) {
      if (chunk.items.length < left) yield chunk
      else {
        yield sliceChunk(chunk, 0, left)
        return
      }
      left -= chunk.items.length
    }
  }
}

/** One of the two parts of a split. */
export function part<T>(open: Open<T>, isHeld: () => () => boolean, held: boolean): Open<T> {
  return async function* (pass) {
    const next = isHeld()
    for await (const { items, place } of open(pass)) {
      const chosen = new Gathered<T>()
      for (let i = 0; i < items.length; i++) if (next() === held) chosen.add(items[i], place, i)
      if (chosen.items.length > 0) yield chosen
    }
  }
}

/** An element of each in turn; those that have ended are passed over. */
export function interleave<T>(opens: readonly Open<T>[]): Open<T> {
  return async function* (pass) {
    let readers = opens.map((open) => ({ chunks: open(pass), current: { items: [], place: () => '' } as Chunk<T>, next: 0 }))
    let out = new Gathered<T>()
    try {
      while (readers.length > 0) {
        for (const reader of readers) {
          while (reader.next === reader.current.items.length) {
            const result = await reader.chunks.next()
            if (result.done) {
              readers = readers.filter((other) => other !== reader)
              break
            }
            reader.current = result.value
            reader.next = 0
          }
          if (reader.next < reader.current.items.length) out.add(reader.current.items[reader.next], reader.current.place, reader.next++)
        }
        if (out.items.length >= CHUNK) {
          yield out
          out = new Gathered()
        }
      }
      if (out.items.length > 0) yield out
    } finally {
      await Promise.all(readers.map(({ chunks }) => chunks.return()))
    }
  }
}

/** One after the other. */
export function concatenate<T>(parts: readonly { readonly open: Open<T>; readonly count: () => number | null }[]): Open<T> {
  return async function* (pass) {
    let left = pass.skip
    for (const { open, count } of parts) {
      const known = count()
      if (known !== null && known <= left) {
        left -= known
      } else if (known !== null) {
        yield* open({ ...pass, skip: left })
        left = 0
      } else {
        for await (const chunk of open({ ...pass, skip: 0 })) {
          const dropped = Math.min(left, chunk.items.length)
          left -= dropped
          if (dropped < chunk.items.length) yield sliceChunk(chunk, dropped)
        }
      }
    }
  }
}

/** Reads ahead until so many elements wait. */
export function prefetch<T>(open: Open<T>, size: number): Open<T> {
  return async function* (pass) {
    const leave = new AbortController()
    const chunks = open({ ...pass, signal: pass.signal === undefined ? leave.signal : AbortSignal.any([pass.signal, leave.signal]) })
    const results: Promise<IteratorResult<Chunk<T>, void>>[] = []
    let waiting = 0
    let isAsking = false
    // One chunk is asked for at a time, and none after the end or a failure, which leave `isAsking` as it is.
    const ask = () => {
      if (isAsking || waiting >= size) return
      isAsking = true
      const result = chunks.next().then((next) => {
        if (next.done) return next
        isAsking = false
        waiting += next.value.items.length
        ask()
        return next
      })
      // Where it fails, it does when its turn comes.
      result.catch(() => {})
      results.push(result)
    }
    try {
      ask()
      for (;;) {
        const result = await results.shift()
        if (result === undefined || result.done) return
        waiting -= result.value.items.length
        ask()
        yield result.value
      }
    } finally {
      // A source that is waiting for its next element need not do so any more.
      leave.abort()
      await chunks.return()
    }
  }
}

/** Keeps what the first complete pass gives. That is always the order of the first epoch, as the pass that comes first may be of any. */
export function cache<T>(open: Open<T>): { readonly open: Open<T>; readonly count: () => number | null } {
  let kept: readonly Chunk<T>[] | null = null
  return {
    count: () => (kept === null ? null : kept.reduce((sum, { items }) => sum + items.length, 0)),
    async *open(pass) {
      let left = pass.skip
      if (kept !== null) {
        for (const chunk of kept) {
          const dropped = Math.min(left, chunk.items.length)
          left -= dropped
          if (dropped < chunk.items.length) yield sliceChunk(chunk, dropped)
        }
        return
      }
      const seen: Chunk<T>[] = []
      for await (const chunk of open({ ...pass, epoch: 0 })) {
        seen.push(chunk)
        yield chunk
      }
      if (pass.skip === 0) kept = seen
    },
  }
}
