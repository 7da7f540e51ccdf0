import { checkBoolean, checkCount, checkFunction, checkInteger, checkOptions, checkSeed } from '../checks.ts'
import { counted, describe, OptionError } from '../errors.ts'
import { Purpose, RandomStream } from '../random.ts'
import { type Chunk, dropFirst, type Open, type Pass, throwIfAborted } from './chunk.ts'
import { NdArray } from './ndarray.ts'
import { type AnyIterable, fromArray, fromFunction, fromIterable } from './sources.ts'
import * as stages from './stages.ts'

/** Options of `Dataset.map`. */
export interface MapOptions {
  /** How many calls of an async function may run at once; default 1. Results keep the order of the elements. */
  readonly concurrency?: number
}

/** Options of `Dataset.shuffle`. */
export interface ShuffleOptions {
  /** How many elements wait to be drawn; default 10000. With as many as there are elements the order is uniformly random. */
  readonly buffer?: number
  /** Decides the order, together with the epoch: an integer of 0 … 2^53 - 1; default 0. */
  readonly seed?: number
}

/** Options of `Dataset.batch`. */
export interface BatchOptions {
  /** Whether a last batch that is not full is left out; default false. */
  readonly dropRemainder?: boolean
}

/** Options of `Dataset.split`. */
export interface DatasetSplitOptions {
  /** Decides which elements: an integer of 0 … 2^53 - 1; default 0. */
  readonly seed?: number
}

/** What `dataset` reads. */
export type DatasetSource<T> = AnyIterable<T> | (() => AnyIterable<T> | Promise<AnyIterable<T>>)

/** What a kind of dataset knows about its passes. */
export interface DatasetTraits {
  /** How many elements a pass has, or null; default null. */
  readonly count?: () => number | null
  /** Whether `open` itself leaves out the elements that it is to skip; default false: it is asked for all, and the first are dropped. */
  readonly seeks?: boolean
  /** The stage after which an element has not the same position in each epoch, or several of them; default null. */
  readonly reordered?: string | null
  /** Whether passes never end; default false. */
  readonly endless?: boolean
}

/**
 * Elements that are made when they are asked for: rows of a file, of a stream, of memory, one stage after the other. Nothing is read before a pass over it
 * begins (`for await`, `toArray`, training), each pass begins anew, and no more is held than the stages say: a file may be larger than memory.
 * What a pass gives is a function of the dataset and of the epoch; `for await` is epoch 0.
 *
 * A stage makes a new dataset and leaves this one as it is. When the consumer leaves early, fails or is aborted, files and streams are closed.
 *
 * @example const squares: Dataset<number> = dataset([3, 1, 2]).map((x) => x * x).shuffle(); for await (const rows of squares.batch(2)) console.log(rows)
 */
export class Dataset<T> implements AsyncIterable<T> {
  private readonly open: Open<T>
  /** @internal */
  readonly traits: DatasetTraits

  /** @internal */
  constructor(open: Open<T>, traits: DatasetTraits = {}) {
    this.open = open
    this.traits = traits
  }

  /** How many elements a pass has, or null where that is not known before it ends. */
  get count(): number | null {
    return this.traits.count?.() ?? null
  }

  /** What `console.log` shows. @internal */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    const { count } = this
    return `Dataset { ${count !== null ? counted(count, 'element') : this.traits.endless ? 'endless' : 'elements not counted yet'} }`
  }

  /**
   * The chunks of one pass. Leaving it early (`return`) closes what it has opened.
   *
   * @internal
   */
  async *pass({ epoch = 0, skip = 0, signal }: Partial<Pass> = {}): AsyncGenerator<Chunk<T>, void, undefined> {
    throwIfAborted(signal)
    const { open } = this
    for await (const chunk of this.traits.seeks ? open({ epoch, skip, signal }) : dropFirst(open({ epoch, skip: 0, signal }), skip)) {
      yield chunk
      throwIfAborted(signal)
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for await (const { items } of this.pass()) yield* items
  }

  /**
   * Each element through a function, which may be async. What it throws becomes a DataError that says where the element came from.
   *
   * @param transform Gives the element that takes the place of its argument.
   * @param options `concurrency` 1.
   * @example await dataset([1, 2, 3]).map((x) => 2 * x).toArray()
   */
  map<U>(transform: (element: T) => U, options: MapOptions = {}): Dataset<Awaited<U>> {
    const where = 'Dataset.map'
    checkFunction(where, 'transform', transform)
    checkOptions(where, options, ['concurrency'])
    const { concurrency = 1 } = options
    checkCount(where, 'concurrency', concurrency)
    return new Dataset(stages.map(this.passes, transform, concurrency), { ...this.traits, count: this.counts, seeks: true })
  }

  /**
   * The elements for which a function, which may be async, says true.
   *
   * @param predicate Whether an element stays.
   * @example await dataset([1, 2, 3]).filter((x) => x !== 2).toArray()
   */
  filter<S extends T>(predicate: (element: T) => element is S): Dataset<S>
  filter(predicate: (element: T) => unknown): Dataset<T>
  filter(predicate: (element: T) => unknown): Dataset<T> {
    checkFunction('Dataset.filter', 'predicate', predicate)
    return new Dataset(stages.filter(this.passes, predicate), { reordered: this.traits.reordered, endless: this.traits.endless })
  }

  /**
   * Elements in random order: each is drawn from a buffer, which is then filled up with the next. Another order in each epoch of training.
   *
   * @param options `buffer` 10000 elements, `seed` 0.
   * @example await dataset([1, 2, 3, 4]).shuffle({ seed: 7 }).toArray()
   */
  shuffle(options: ShuffleOptions = {}): Dataset<T> {
    const where = 'Dataset.shuffle'
    checkOptions(where, options, ['buffer', 'seed'])
    const { buffer = 10_000, seed = 0 } = options
    checkCount(where, 'buffer', buffer)
    checkSeed(where, seed)
    return new Dataset(stages.shuffle(this.passes, buffer, seed), {
      ...this.traits,
      count: this.counts,
      seeks: false,
      reordered: 'shuffle',
    })
  }

  /**
   * Arrays of so many elements; the last one may hold fewer.
   *
   * @param size How many elements a batch holds.
   * @param options `dropRemainder` false.
   * @example await dataset([1, 2, 3]).batch(2).toArray()
   */
  batch(size: number, options: BatchOptions = {}): Dataset<T[]> {
    const where = 'Dataset.batch'
    checkCount(where, 'size', size)
    checkOptions(where, options, ['dropRemainder'])
    const { dropRemainder = false } = options
    checkBoolean(where, 'dropRemainder', dropRemainder)
    const round = dropRemainder ? Math.floor : Math.ceil
    const count = () => (this.count === null ? null : round(this.count / size))
    return new Dataset(stages.batch(this.passes, size, dropRemainder), { ...this.traits, count, seeks: true })
  }

  /**
   * The elements again and again, each time as an epoch of its own (shuffled anew). A dataset that has none ends at once.
   *
   * @param times How often; default without end.
   * @example await dataset([1, 2]).repeat(2).toArray()
   */
  repeat(times: number = Number.POSITIVE_INFINITY): Dataset<T> {
    if (times !== Number.POSITIVE_INFINITY) checkCount('Dataset.repeat', 'times', times)
    const count = () => (this.count === 0 ? 0 : this.count === null || times === Number.POSITIVE_INFINITY ? null : this.count * times)
    return new Dataset(stages.repeat(this.passes, times, this.counts), {
      count,
      seeks: true,
      reordered: 'repeat',
      endless: times === Number.POSITIVE_INFINITY,
    })
  }

  /**
   * Reads ahead while the consumer does something else, such as a step of training.
   *
   * @param size How many elements may wait (a chunk that has begun is read to its end); default 2048. After `batch` an element is a batch.
   * @example await dataset([1, 2, 3]).batch(2).prefetch(4).toArray()
   */
  prefetch(size = 2048): Dataset<T> {
    checkCount('Dataset.prefetch', 'size', size)
    return new Dataset(stages.prefetch(this.passes, size), { ...this.traits, count: this.counts, seeks: true })
  }

  /**
   * The first elements.
   *
   * @param count How many; all, if there are fewer.
   * @example await dataset([1, 2, 3]).take(2).toArray()
   */
  take(count: number): Dataset<T> {
    checkInteger('Dataset.take', 'count', count, { least: 0 })
    const counts = () => (this.count === null ? null : Math.min(this.count, count))
    return new Dataset(stages.take(this.passes, count), { ...this.traits, count: counts, seeks: true, endless: false })
  }

  /**
   * All but the first elements.
   *
   * @param count How many to leave out.
   * @example await dataset([1, 2, 3]).skip(2).toArray()
   */
  skip(count: number): Dataset<T> {
    checkInteger('Dataset.skip', 'count', count, { least: 0 })
    const counts = () => (this.count === null ? null : Math.max(0, this.count - count))
    const open: Open<T> = (pass) => this.pass({ ...pass, skip: pass.skip + count })
    return new Dataset(open, { ...this.traits, count: counts, seeks: true })
  }

  /**
   * Two datasets, one to hold out and one to train on, which share no element and together have all of them, in every epoch. Chance decides for each position
   * by itself, so the share is met nearly, not exactly. Comes before `shuffle` and `repeat`: after them an element has no position of its own.
   *
   * @param share The part of the elements to hold out, of 0 … 1, both excluded; default 0.2.
   * @param options `seed` 0.
   * @example const { training, validation } = dataset([1, 2, 3, 4, 5, 6]).split(0.3); console.log(training.count, validation.count)
   */
  split(share = 0.2, options: DatasetSplitOptions = {}): { training: Dataset<T>; validation: Dataset<T> } {
    const where = 'Dataset.split'
    if (typeof share !== 'number' || !(share > 0 && share < 1))
      throw new OptionError(`${where}: share must lie in 0 … 1 (both excluded), got ${describe(share)}.`)
    checkOptions(where, options, ['seed'])
    const { seed = 0 } = options
    checkSeed(where, seed)
    const { reordered } = this.traits
    if (reordered)
      throw new OptionError(
        `${where}: after ${reordered}() an element has no position of its own, so it could come into both parts; try split() before ${reordered}().`,
      )
    const isHeld = () => {
      const random = new RandomStream(seed, Purpose.split)
      return () => random.uniform() < share
    }
    const part = (held: boolean) =>
      new Dataset(stages.part(this.passes, isHeld, held), {
        count: () => countHeld(this.count, isHeld(), held),
        endless: this.traits.endless,
      })
    return { training: part(false), validation: part(true) }
  }

  /**
   * Keeps the elements in memory after the first complete pass, in the order of epoch 0; what comes before is not run again.
   *
   * @example await dataset([1, 2, 3]).map((x) => x * x).cache().toArray()
   */
  cache(): Dataset<T> {
    const { open, count } = stages.cache(this.passes)
    const { endless } = this.traits
    const reordered = this.traits.reordered === 'repeat' ? 'repeat' : null
    return new Dataset(open, { count: () => count() ?? this.count, seeks: true, reordered, endless })
  }

  /**
   * An element of each dataset in turn, this one first; those that have ended are passed over.
   *
   * @param others Datasets, or what `dataset` takes.
   * @example await dataset([1, 2, 3]).interleave([10, 20]).toArray()
   */
  interleave<U>(...others: readonly DatasetSource<U>[]): Dataset<T | U> {
    const all = this.with(others)
    return new Dataset(stages.interleave(all.map(({ passes }) => passes)), joined(all))
  }

  /**
   * The elements of each dataset, one after the other, this one first.
   *
   * @param others Datasets, or what `dataset` takes.
   * @example await dataset([1, 2, 3]).concatenate([10, 20]).toArray()
   */
  concatenate<U>(...others: readonly DatasetSource<U>[]): Dataset<T | U> {
    const all = this.with(others)
    const parts = all.map(({ passes, counts }) => ({ open: passes, count: counts }))
    return new Dataset(stages.concatenate(parts), { ...joined(all), seeks: true })
  }

  /**
   * The first elements, as an array. Reads no more than the chunk that they end in.
   *
   * @param count How many; default 1.
   * @example await dataset([1, 2, 3]).first(2)
   */
  async first(count = 1): Promise<T[]> {
    return this.take(count).toArray()
  }

  /**
   * All elements of a pass, as an array.
   *
   * @example await dataset([1, 2, 3]).toArray()
   */
  async toArray(): Promise<T[]> {
    const all: T[] = []
    for await (const { items } of this.pass()) for (const item of items) all.push(item)
    return all
  }

  private readonly passes: Open<T> = (pass) => this.pass(pass)
  private readonly counts = (): number | null => this.count

  private with<U>(others: readonly DatasetSource<U>[]): Dataset<T | U>[] {
    return [this as Dataset<T | U>, ...others.map((other) => dataset(other) as Dataset<T | U>)]
  }
}

/**
 * A dataset of what is in memory or comes from elsewhere in the program: an array, the numbers of a typed array, the rows of an NdArray, an iterable, an async
 * iterable, a Node Readable, a web ReadableStream; or of what a function gives that makes one of these, anew for each pass. A generator and a stream can only be
 * read once; a second pass over them is an error.
 *
 * @throws OptionError if it is none of these.
 * @throws DataError in a pass, if a generator or stream has been read before.
 * @example await dataset(function* () { yield 1; yield 2 }).toArray()
 */
export function dataset(source: NdArray): Dataset<NdArray>
export function dataset<T>(source: DatasetSource<T>): Dataset<T>
export function dataset<T>(source: DatasetSource<T> | NdArray): Dataset<T> | Dataset<NdArray> {
  if (source instanceof Dataset) return source
  if (source instanceof NdArray) {
    const rows = source.rows()
    return dataset(rows)
  }
  if (Array.isArray(source) || (ArrayBuffer.isView(source) && !(source instanceof DataView))) {
    const list = source as unknown as readonly T[]
    const slice = (start: number, end: number) => (Array.isArray(list) ? list.slice(start, end) : Array.from(list.slice(start, end)))
    return new Dataset(
      fromArray(() => list.length, slice),
      { count: () => list.length, seeks: true },
    )
  }
  if (typeof source === 'function') return new Dataset(fromFunction(source))
  if (
    typeof source === 'object' &&
    source !== null &&
    (Symbol.iterator in source || Symbol.asyncIterator in source || 'getReader' in source)
  )
    return new Dataset(fromIterable(source))
  const advice = typeof source === 'string' ? '; to read a file, try csv(path) or jsonLines(path)' : ''
  throw new OptionError(
    `dataset: expected an array, an iterable, an async iterable, a stream or a function that makes one, got ${describe(source)}${advice}.`,
  )
}

/** What several datasets together know. */
function joined(all: readonly { readonly count: number | null; readonly traits: DatasetTraits }[]): DatasetTraits {
  const reordered = all.find((one) => one.traits.reordered)?.traits.reordered
  const endless = all.some(({ traits }) => traits.endless)
  return {
    reordered,
    endless,
    count: () => all.reduce<number | null>((sum, { count }) => (sum === null || count === null ? null : sum + count), 0),
  }
}

function countHeld(count: number | null, next: () => boolean, held: boolean): number | null {
  if (count === null) return null
  let chosen = 0
  for (let i = 0; i < count; i++) if (next() === held) chosen++
  return chosen
}
