/** Prediction where rows flow: a Node stream; a web stream and an async generator over it. */
import { Duplex, pipeline } from 'node:stream'
import type { ReadableWritablePair } from 'node:stream/web'
import { checkCount, checkFunction, checkOptions, checkSignal, definedOf } from '../checks.ts'
import type { AnyIterable } from '../data/sources.ts'
import { AbortError, describe, OptionError } from '../errors.ts'
import { Batcher } from './batcher.ts'
import { type BatchPredictor, outcomes } from './batchPredictor.ts'

/** How rows are predicted in a stream; all have defaults. */
export interface TransformOptions<Row = unknown, Result = unknown, Out = Result> {
  /** Rows predicted together; default 256. */
  readonly batchSize?: number
  /** Milliseconds a row waits at most for others to fill its batch (longer only behind a batch that runs); default 5. 0: until the event loop has turned. */
  readonly maxLatency?: number
  /** What leaves for a row; default the prediction. For undefined or null nothing does. */
  readonly map?: (prediction: Result, row: Row) => Out | null | undefined
  /**
   * Called for a row that cannot be predicted, with the error, the row and its number, from 0. What it returns, or what that promises, leaves in the row's place;
   * for undefined or null nothing does. Default: the stream ends with the error.
   */
  readonly onError?: (error: Error, row: Row, number: number) => unknown
  /** Ends the stream with an AbortError; default none. */
  readonly signal?: AbortSignal
}

const DEFAULT_BATCH = 256

/** Takes null too, a row that cannot be predicted; streams refuse it otherwise, and a web stream over one waits for ever. */
class RowDuplex extends Duplex {
  override write(row: unknown, ...rest: never[]): boolean {
    return super.write(row ?? undefined, ...rest)
  }
}

/**
 * A Node stream of objects from rows to predictions, in order. It holds three batches at most: one fills while one is predicted and the results of
 * one are taken.
 */
export function batchTransform<Row, Result, Out = Result>(
  where: string,
  target: BatchPredictor<Row, Result>,
  options: TransformOptions<Row, Result, Out> = {},
): Duplex {
  checkTransformOptions(where, options)
  const { batchSize = DEFAULT_BATCH, maxLatency = 5, map = (prediction) => prediction as unknown as Out, onError, signal } = options
  let count = 0
  /** Of the batch before: resolved once its results were taken. */
  let given: Promise<void> | null = null
  let proceed: (() => void) | null = null

  async function predict(rows: readonly Row[]): Promise<void> {
    const first = count
    count += rows.length
    try {
      const found = await outcomes(target, rows, (i) => `${where}: row ${first + i}`)
      const results: unknown[] = []
      for (let i = 0; i < rows.length; i++) {
        const outcome = found[i]
        if (stream.destroyed) return
        if ('result' in outcome) results.push(map(outcome.result, rows[i]))
        else if (onError === undefined) throw outcome.error
        else results.push(await onError(outcome.error, rows[i], first + i))
      }
      await given
      given = give(results)
    } catch (error) {
      stream.destroy(error as Error)
    }
  }

  function give(results: readonly unknown[]): Promise<void> | null {
    if (stream.destroyed) return null
    let wanted = true
    for (const result of results) if (result !== undefined && result !== null) wanted = stream.push(result)
    return wanted
      ? null
      : new Promise((resolve) => {
          proceed = resolve
        })
  }

  const batcher = new Batcher<Row>({ size: batchSize, latency: maxLatency }, predict)
  const stop = () => stream.destroy(new AbortError(`${where} was stopped.`, signal?.reason))
  const stream: Duplex = new RowDuplex({
    objectMode: true,
    highWaterMark: batchSize,
    write(row, _encoding, callback) {
      batcher.add(row)
      const room = batcher.room()
      if (room === null) callback()
      else room.then(() => callback())
    },
    final(callback) {
      batcher.flush().then(() => {
        stream.push(null)
        callback()
      })
    },
    read() {
      proceed?.()
      proceed = null
    },
    destroy(error, callback) {
      signal?.removeEventListener('abort', stop)
      batcher.remove()
      proceed?.()
      callback(error)
    },
  })
  // NOTE: not at once: who made the stream has yet to listen.
  if (signal?.aborted) queueMicrotask(stop)
  else signal?.addEventListener('abort', stop, { once: true })
  return stream
}

/** As `batchTransform`, as a web stream: what `pipeThrough` takes. */
export function batchTransformWeb<Row, Result, Out = Result>(
  where: string,
  target: BatchPredictor<Row, Result>,
  options?: TransformOptions<Row, Result, Out>,
): ReadableWritablePair<Out, Row> {
  return Duplex.toWeb(batchTransform(where, target, options)) as ReadableWritablePair<Out, Row>
}

/** As `batchTransform`, as a generator over rows. Leaving it closes their source. */
export function batchStream<Row, Result, Out = Result>(
  where: string,
  target: BatchPredictor<Row, Result>,
  source: AnyIterable<Row>,
  options?: TransformOptions<Row, Result, Out>,
): AsyncGenerator<Out, void, void> {
  checkTransformOptions(where, options)
  if (typeof source !== 'object' || source === null || !(Symbol.iterator in source || Symbol.asyncIterator in source))
    throw new OptionError(`${where}: expected rows in an array, a stream or whatever else can be iterated over, got ${describe(source)}.`)
  return (async function* () {
    const stream = batchTransform(where, target, options)
    // What goes wrong on either side ends the stream, and so the loop.
    pipeline(source, stream, () => undefined)
    yield* stream
  })()
}

function checkTransformOptions(where: string, options: object = {}): void {
  checkOptions(where, options, ['batchSize', 'maxLatency', 'map', 'onError', 'signal'], {
    include: 'for rows beside predictions give map: (prediction, row) => ({ row, prediction }).',
    maxBatch: 'did you mean "batchSize"?',
  })
  const { batchSize = DEFAULT_BATCH, maxLatency = 0, map, onError, signal } = options as TransformOptions
  checkCount(where, 'batchSize', batchSize)
  checkLatency(where, maxLatency)
  checkSignal(where, signal)
  for (const [name, value] of Object.entries(definedOf({ map, onError }))) checkFunction(where, name, value)
}

/** Throws unless a time to wait fits a timer. */
export function checkLatency(where: string, milliseconds: unknown): void {
  if (typeof milliseconds !== 'number' || !(milliseconds >= 0 && milliseconds <= 0x7fffffff))
    throw new OptionError(`${where}: maxLatency must be milliseconds of 0 … ${0x7fffffff}, got ${describe(milliseconds)}.`)
}
