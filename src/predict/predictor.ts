import { checkCount, checkOptions, checkSignal } from '../checks.ts'
import { AbortError, BusyError, describe, OptionError } from '../errors.ts'
import { Batcher } from './batcher.ts'
import { type BatchPredictor, outcomes } from './batchPredictor.ts'
import { checkLatency } from './transform.ts'

/** How a predictor joins requests; all have defaults. */
export interface PredictorOptions {
  /** Rows predicted together; default 64. */
  readonly maxBatch?: number
  /**
   * Milliseconds a row waits at most for others, while nothing is predicted; default 0: until the event loop has turned. What comes while a batch is predicted
   * makes the next one, so batches grow with the load by themselves.
   */
  readonly maxLatency?: number
  /** Rows that may wait; one more is refused with a BusyError. Default 1024. */
  readonly maxQueue?: number
  /** Closes the predictor at once: what waits is rejected with an AbortError. Default none. */
  readonly signal?: AbortSignal
}

/** What one prediction of a predictor listens to. */
export interface RequestOptions {
  /** Gives the row up: its promise rejects with an AbortError, and if it still waits it is not predicted. Default none. */
  readonly signal?: AbortSignal
}

interface Request<Row, Result> {
  readonly row: Row
  readonly resolve: (result: Result) => void
  readonly reject: (error: unknown) => void
}

/**
 * Joins concurrent requests to batches: for services, where each request brings a row. One batch is predicted at a time, the next one collects meanwhile.
 * Made by `Model.predictor`.
 *
 * @example const predictor: Predictor<RowFeatures, NdArray> = sequential([input(2), dense(1)]).predictor(); await predictor.predict([0, 1])
 */
export class Predictor<Row = unknown, Result = unknown> {
  private readonly target: BatchPredictor<Row, Result>
  private readonly maxQueue: number
  private readonly batcher: Batcher<Request<Row, Result>>
  private readonly signal: AbortSignal | undefined
  private closed = false

  constructor(target: BatchPredictor<Row, Result>, options: PredictorOptions = {}) {
    checkOptions('predictor', options, ['maxBatch', 'maxLatency', 'maxQueue', 'signal'], { batchSize: 'did you mean "maxBatch"?' })
    if (typeof target?.predictRows !== 'function' || typeof target.checkRow !== 'function')
      throw new OptionError(
        `predictor: expected what has predictRows and checkRow, got ${describe(target)}; of a model take model.predictor(options).`,
      )
    const { maxBatch = 64, maxLatency = 0, maxQueue = 1024, signal } = options
    checkCount('predictor', 'maxBatch', maxBatch)
    checkCount('predictor', 'maxQueue', maxQueue)
    checkLatency('predictor', maxLatency)
    checkSignal('predictor', signal)
    this.target = target
    this.maxQueue = maxQueue
    this.signal = signal
    this.batcher = new Batcher({ size: maxBatch, latency: maxLatency }, (requests) => this.run(requests))
    if (signal?.aborted) this.stop()
    else signal?.addEventListener('abort', this.stop, { once: true })
  }

  /** Rows that wait for a batch. */
  get queued(): number {
    return this.batcher.length
  }

  /**
   * The prediction for one row, made together with those of other calls.
   *
   * @throws DataError or OptionError for a row that does not fit, which the others do not notice; BusyError when `maxQueue` rows wait already, or after `close`; AbortError.
   * @example await sequential([input(2), dense(1)]).predictor().predict([0, 1])
   */
  predict(row: Row, options: RequestOptions = {}): Promise<Result> {
    return new Promise((resolve, reject) => {
      checkOptions('predict', options, ['signal'])
      const { signal } = options
      checkSignal('predict', signal)
      if (signal?.aborted) throw new AbortError('predict was stopped.', signal.reason)
      if (this.closed) throw this.signal?.aborted ? this.stopped() : new BusyError('predict: this predictor is closed; make another one.')
      if (this.batcher.length >= this.maxQueue)
        throw new BusyError(`predict: ${this.maxQueue} rows wait already; try again later, or give the predictor a larger maxQueue.`)
      if (signal === undefined) return this.batcher.add({ row, resolve, reject })
      const giveUp = () => {
        this.batcher.remove((waiting) => waiting === request)
        reject(new AbortError('predict was stopped.', signal.reason))
      }
      const done =
        <T>(settle: (value: T) => void) =>
        (value: T) => {
          signal.removeEventListener('abort', giveUp)
          settle(value)
        }
      const request = { row, resolve: done(resolve), reject: done(reject) }
      signal.addEventListener('abort', giveUp, { once: true })
      this.batcher.add(request)
    })
  }

  /**
   * Takes no more rows, and resolves when those it has taken are predicted. `await using` does the same at the end of a block.
   *
   * @example await sequential([input(2), dense(1)]).predictor().close()
   */
  async close(): Promise<void> {
    this.closed = true
    await this.batcher.flush()
    this.signal?.removeEventListener('abort', this.stop)
  }

  /** `close`. @example await using predictor = sequential([input(2), dense(1)]).predictor() */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  private readonly stop = (): void => {
    this.closed = true
    for (const { reject } of this.batcher.remove()) reject(this.stopped())
  }

  private stopped(): AbortError {
    return new AbortError('The predictor was stopped.', this.signal?.reason)
  }

  private async run(requests: readonly Request<Row, Result>[]): Promise<void> {
    try {
      const found = await outcomes(
        this.target,
        requests.map(({ row }) => row),
        () => 'predict',
      )
      found.forEach((outcome, i) => ('result' in outcome ? requests[i].resolve(outcome.result) : requests[i].reject(outcome.error)))
    } catch (error) {
      for (const { reject } of requests) reject(error)
    }
  }
}
