/** Where the samples of steps come from: rows in memory, shuffled or in order. Those of datasets: `streamSupply.ts`. */
import { crc32 } from 'node:zlib'
import type { Feed } from '../executors/executor.ts'
import { Pace } from '../pace.ts'
import { Purpose, RandomStream } from '../random.ts'
import { type Batches, batches } from './batches.ts'

/** Bytes between two looks at the clock. */
const HASHED_AT_ONCE = 1 << 20

/** Steps of one batch size over rows that lie in memory. */
export interface Stretch extends Batches {
  readonly feeds: readonly Feed[]
  /** The numbers of the rows from the first on; default: one row after the other. */
  readonly order?: Int32Array
}

/** Steps of some epochs, in order. */
export interface SuppliedEpochs {
  readonly count: number
  readonly stretches: Iterable<Stretch> | AsyncIterable<Stretch>
}

/** Samples, epoch by epoch: each a function of its number alone. */
export interface Supply {
  /** Samples an epoch. */
  readonly samples: number
  /** Of full batches; the last one of an epoch may be smaller. */
  readonly batchSize: number
  /** Whether several epochs may be supplied at once. */
  readonly joins: boolean
  /**
   * The steps of up to `most` epochs, at least one.
   *
   * @param skip Steps at their beginning that are left out.
   * @param signal Ends waiting for samples that are not there yet.
   */
  epochs(epoch: number, most: number, skip: number, signal?: AbortSignal): Promise<SuppliedEpochs>
  /** What the samples are, in a few characters. */
  fingerprint(): Promise<string>
  /** Makes ready epochs that are wanted next, while steps run. */
  ahead(epoch: number, most: number): void
}

/** Rows in memory. Each epoch goes through them in an order of its own, or as they are listed. */
export class RowSupply implements Supply {
  readonly samples: number
  readonly batchSize: number
  readonly joins = true
  readonly feeds: readonly Feed[]
  readonly rows: Int32Array
  private readonly seed: number | null
  /** Orders that have been made ahead: those of epochs `first` … `first + count - 1`, one after the other. */
  private made: { readonly first: number; readonly count: number; readonly order: Promise<Int32Array> } | null = null
  /** The orders that were asked for last, and memory of those before. */
  private latest: Int32Array | null = null
  private spare: Int32Array | null = null

  /** @param seed Decides the orders; null: as they are listed. */
  constructor(feeds: readonly Feed[], rows: Int32Array, batchSize: number, seed: number | null) {
    this.feeds = feeds
    this.rows = rows
    this.samples = rows.length
    this.batchSize = Math.min(batchSize, rows.length)
    this.seed = seed
  }

  async epochs(epoch: number, most: number, skip: number): Promise<SuppliedEpochs> {
    const { made } = this
    this.made = null
    // What was made ahead may be fewer than are wanted by now.
    const useful = made !== null && made.first === epoch && made.count >= most / 2
    const count = useful ? Math.min(made.count, most) : most
    const order = useful ? await made.order : await this.shuffled(epoch, count)
    this.spare = this.latest
    this.latest = order
    return { count, stretches: this.stretches(order.subarray(0, count * this.rows.length), skip) }
  }

  async fingerprint(): Promise<string> {
    const pace = new Pace()
    let sum = 0
    for (const { values } of [...this.feeds, { values: this.rows }]) {
      const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
      for (let first = 0; first < bytes.length; first += HASHED_AT_ONCE) {
        sum = crc32(bytes.subarray(first, first + HASHED_AT_ONCE), sum)
        if (pace.isTooLong()) await pace.giveWay()
      }
    }
    return `${this.samples} rows, ${this.seed === null ? 'in order' : 'shuffled'}, ${sum.toString(16)}`
  }

  ahead(first: number, count: number): void {
    if (count <= 0 || this.made !== null) return
    const order = this.shuffled(first, count)
    // If the run ends with an error nobody takes it up.
    order.catch(() => {})
    this.made = { first, count, order }
  }

  private stretches(order: Int32Array, skip: number): Stretch[] {
    let left = skip
    return batches(order.length, this.batchSize).flatMap(({ batchSize, steps, firstRow }): Stretch[] => {
      const skipped = Math.min(steps, left)
      left -= skipped
      const rows = order.subarray(firstRow + skipped * batchSize, firstRow + steps * batchSize)
      return skipped === steps ? [] : [{ batchSize, steps: steps - skipped, firstRow: 0, feeds: this.feeds, order: rows }]
    })
  }

  /** The rows of epochs in the order in which they are trained on: for each a function of seed and epoch alone. */
  private async shuffled(first: number, count: number): Promise<Int32Array> {
    const { length } = this.rows
    const { spare } = this
    this.spare = null
    const order = spare?.length === count * length ? spare : new Int32Array(count * length)
    const pace = new Pace()
    for (let i = 0; i < count; i++) {
      const part = order.subarray(i * length, (i + 1) * length)
      part.set(this.rows)
      if (this.seed === null) continue
      for (const _ of new RandomStream(this.seed, Purpose.shuffle, first + i).shuffleInSlices(part)) await pace.giveWay()
      if (pace.isTooLong()) await pace.giveWay()
    }
    return order
  }
}

/** Rows in memory, one after the other: for what is measured. */
export function inOrder(feeds: readonly Feed[], samples: number, batchSize: number): Supply {
  const stretches = batches(samples, batchSize).map((part) => ({ ...part, feeds }))
  return {
    samples,
    batchSize: Math.min(batchSize, samples),
    joins: false,
    epochs: async () => ({ count: 1, stretches }),
    fingerprint: async () => '',
    ahead: () => {},
  }
}
