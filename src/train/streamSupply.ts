/** Samples of a dataset: some steps' worth become rows in memory while the steps before run. */
import type { Chunk } from '../data/chunk.ts'
import { Dataset } from '../data/dataset.ts'
import { counted, DataError, ThalwegError } from '../errors.ts'
import type { Feed } from '../executors/executor.ts'
import { batches } from './batches.ts'
import type { Samples } from './measures.ts'
import type { Stretch, SuppliedEpochs, Supply } from './supply.ts'
import { collateSamples, type Sample, type TrainingData } from './trainingData.ts'

/** Memory for rows that are made ready at a time; there are up to three such pieces. */
const BYTES_AT_ONCE = 4 << 20
/** Rows of the first piece, by which the size of a row is measured. */
const FIRST_ROWS = 1024

/** Makes data of elements. @param place What to call element i in messages. */
export type Collate<Data, T> = (items: readonly T[], place: (i: number) => string) => Data

/** A dataset whose elements, some at a time, become data such as `{ x, y }`. */
export class Streamed<Data, T = unknown> {
  readonly dataset: Dataset<T>
  readonly collate: Collate<Data, T>
  /** Whether they may have weights. */
  readonly weighted: boolean
  /** Elements of a pass, if somebody has counted them. */
  readonly samples: number | null

  constructor(dataset: Dataset<T>, collate: Collate<Data, T>, weighted: boolean, samples: number | null = dataset.count) {
    this.dataset = dataset
    this.collate = collate
    this.weighted = weighted
    this.samples = samples
  }

  /** A part of the dataset. */
  with(dataset: Dataset<T>): Streamed<Data, T> {
    return new Streamed(dataset, this.collate, this.weighted)
  }
}

/** How many elements a pass has: counted in one, if nobody knows. */
export async function countSamples(where: string, { dataset, samples }: Streamed<unknown>, signal?: AbortSignal): Promise<number> {
  let count = samples ?? 0
  if (samples === null) for await (const { items } of dataset.pass({ signal })) count += items.length
  if (count === 0) throw new DataError(`${where}: the dataset has no elements.`)
  return count
}

/** How elements become rows that steps are fed with. */
export interface Preparation<Data> {
  readonly where: string
  toSamples(where: string, data: Data): Samples
  feeds(samples: Samples): readonly Feed[]
}

export interface StreamOptions {
  readonly batchSize: number
  /** Of an epoch: what a pass of a dataset that ends must give. */
  readonly samples: number
  /** Whether an epoch goes on where the one before ended; else each is a pass of its own. */
  readonly endless: boolean
  /** Whether more elements than `samples` are an error, and not left out. */
  readonly exact: boolean
}

/** What to do about a dataset that ends before an epoch does. */
export const fewerSteps = 'take fewer stepsPerEpoch, or leave them out, or let it begin again: dataset.repeat()'

export class StreamSupply<Data> implements Supply {
  readonly samples: number
  readonly batchSize: number
  readonly joins = false
  private readonly source: Streamed<Data>
  private readonly preparation: Preparation<Data>
  private readonly options: StreamOptions
  private rowsAtOnce = FIRST_ROWS

  constructor(source: Streamed<Data>, preparation: Preparation<Data>, options: StreamOptions) {
    this.source = source
    this.preparation = preparation
    this.options = options
    this.samples = options.samples
    this.batchSize = Math.min(options.batchSize, options.samples)
  }

  async epochs(epoch: number, _most: number, skip: number, signal?: AbortSignal): Promise<SuppliedEpochs> {
    return { count: 1, stretches: this.stretches(epoch, skip * this.batchSize, signal) }
  }

  async fingerprint(): Promise<string> {
    return Number.isFinite(this.samples) ? `a dataset of ${this.samples}` : 'a dataset'
  }

  ahead(): void {}

  private async *stretches(epoch: number, skipped: number, signal?: AbortSignal): AsyncGenerator<Stretch, void, undefined> {
    const { endless } = this.options
    const pass = this.source.dataset.pass(
      endless ? { epoch: 0, skip: epoch * this.samples + skipped, signal } : { epoch, skip: skipped, signal },
    )
    const elements = new Elements(pass)
    let left = this.samples - skipped
    let isEmpty = true
    const next = () => {
      const prepared = this.prepare(elements, Math.min(left, this.multipleOfBatch()))
      // It is taken up when the steps before have run.
      prepared.catch(() => {})
      return prepared
    }
    let preparing = next()
    try {
      while (left > 0) {
        const samples = await preparing
        if (samples === null) break
        left -= samples.count
        isEmpty = false
        if (left > 0) preparing = next()
        const feeds = this.preparation.feeds(samples)
        for (const part of batches(samples.count, this.batchSize)) yield { ...part, feeds }
      }
      if (Number.isFinite(this.samples) && (left > 0 || (this.options.exact && !(await elements.isAtEnd()))))
        throw new DataError(
          `${this.preparation.where}: expected ${counted(this.samples, 'element')} of the dataset in each epoch, got ${left > 0 ? this.samples - left : 'more'} in epoch ${epoch + 1}; ${this.options.exact ? 'what it gives must not change while it is trained on' : fewerSteps}.`,
        )
      if (isEmpty && skipped === 0) throw new DataError(`${this.preparation.where}: the dataset has no elements.`)
    } finally {
      elements.end()
      await preparing.catch(() => {})
      await pass.return()
    }
  }

  private multipleOfBatch(): number {
    return Math.max(1, Math.floor(this.rowsAtOnce / this.batchSize)) * this.batchSize
  }

  private async prepare(elements: Elements<unknown>, count: number): Promise<Samples | null> {
    const taken = await elements.take(count)
    if (taken.items.length === 0) return null
    const samples = this.toSamples(taken)
    const bytes = [...samples.x, ...samples.y, ...samples.weights].reduce((sum, { values }) => sum + values.byteLength, 0)
    this.rowsAtOnce = Math.max(1, Math.floor((BYTES_AT_ONCE * samples.count) / bytes))
    return samples
  }

  /** Of some elements; an error says which of them is to blame. */
  private toSamples({ items, place }: Chunk<unknown>): Samples {
    const { where } = this.preparation
    const convert = (some: readonly unknown[], placeOf: (i: number) => string) =>
      this.preparation.toSamples(where, this.source.collate(some, placeOf))
    try {
      return convert(items, place)
    } catch (error) {
      if (!(error instanceof ThalwegError)) throw error
      for (const [i, item] of items.entries()) {
        try {
          convert([item], () => place(i))
        } catch (reason) {
          if (!(reason instanceof ThalwegError) || reason.message.includes(place(i))) throw reason
          throw new DataError(`${place(i)}: ${reason.message}`)
        }
      }
      throw error
    }
  }
}

/** Elements of a pass, as many at a time as are asked for. */
class Elements<T> {
  private readonly pass: AsyncIterator<Chunk<T>>
  private rest: { readonly chunk: Chunk<T>; readonly from: number } | null = null
  private ended = false

  constructor(pass: AsyncIterator<Chunk<T>>) {
    this.pass = pass
  }

  /** Fewer only at the end. */
  async take(count: number): Promise<Chunk<T>> {
    const items: T[] = []
    const parts: { readonly first: number; readonly chunk: Chunk<T>; readonly from: number }[] = []
    while (items.length < count) {
      const next = await this.next()
      if (next === null) break
      const { chunk, from } = next
      const end = Math.min(chunk.items.length, from + count - items.length)
      parts.push({ first: items.length, chunk, from })
      for (let i = from; i < end; i++) items.push(chunk.items[i])
      this.rest = end < chunk.items.length ? { chunk, from: end } : null
    }
    const place = (i: number) => {
      const part = parts.findLast(({ first }) => first <= i) as (typeof parts)[number]
      return part.chunk.place(part.from + i - part.first)
    }
    return { items, place }
  }

  async isAtEnd(): Promise<boolean> {
    this.rest = await this.next()
    return this.rest === null
  }

  /** Nothing more is taken. */
  end(): void {
    this.ended = true
  }

  private async next(): Promise<{ readonly chunk: Chunk<T>; readonly from: number } | null> {
    if (this.rest !== null) return this.rest
    while (!this.ended) {
      const { value, done } = await this.pass.next()
      if (done) return null
      if (value.items.length > 0) return { chunk: value, from: 0 }
    }
    return null
  }
}

/** Data to train on or to measure: a dataset is read while that goes on. */
export function sourceOf(data: TrainingData | Dataset<Sample>): TrainingData | Streamed<TrainingData> {
  return data instanceof Dataset ? new Streamed(data as Dataset<unknown>, (samples) => collateSamples(samples as Sample[]), true) : data
}

/** Options whose validation data are ready to be read. */
export type SourcedOptions<Options> = Omit<Options, 'validationData'> & { readonly validationData?: TrainingData | Streamed<TrainingData> }

export function withSources<Options extends { readonly validationData?: TrainingData | Dataset<Sample> }>(
  options: Options,
): SourcedOptions<Options> {
  const { validationData } = options
  return { ...options, validationData: validationData && sourceOf(validationData) }
}
