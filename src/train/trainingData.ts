/** From what users hand over to what steps are fed with. */
import type { Rows } from '../data/rows.ts'
import { checkBoolean, checkCount, checkSignal, DataError, describe, OptionError } from '../errors.ts'
import { allocateShared, formatBytes } from '../memory.ts'
import { Purpose, RandomStream } from '../random.ts'
import { EVALUATION_BATCH } from './batches.ts'
import type { RunOptions, Training } from './epochs.ts'
import { FullBatchTrainer } from './fullBatchTrainer.ts'
import type { Measures, Samples } from './measures.ts'
import { inOrder, RowSupply, type Supply } from './supply.ts'

/** Which rows to train on, and which to hold out: both ascending. */
export interface RowSplit {
  readonly training: Int32Array
  readonly validation: Int32Array
}

/** What a run trains on, and what it validates on. */
export interface Supplies {
  readonly training: Supply
  readonly validation: Supply | null
}

/** Checks data, and holds out a part if the options ask for it. @param split In place of that part. */
export async function suppliesOf<Data>(
  where: string,
  { trainer, measures, models, adjust }: Training<Data>,
  data: Data,
  options: RunOptions<Data>,
  split?: RowSplit,
): Promise<Supplies> {
  const fullBatch = trainer instanceof FullBatchTrainer
  const { batchSize = fullBatch ? EVALUATION_BATCH : 32, shuffle = true, validationData, validationSplit = 0 } = options
  checkCount(where, 'batchSize', batchSize)
  checkSignal(where, options.signal)
  checkBoolean(where, 'shuffle', shuffle)
  if (typeof validationSplit !== 'number' || !(validationSplit >= 0 && validationSplit < 1)) {
    throw new OptionError(`${where}: validationSplit must lie in 0 … 1 (1 excluded), got ${describe(validationSplit)}.`)
  }
  if (validationData !== undefined && validationSplit > 0)
    throw new OptionError(`${where}: give validationData or validationSplit, not both.`)
  const { seed } = models[0]
  const samples = measures.toSamples(where, data)
  const { training: rows, validation: held } = split ?? splitRows(where, seed, samples.count, validationSplit)
  const validation =
    validationData !== undefined
      ? supplyInOrder(measures, measures.toSamples(`${where}: validationData`, validationData), EVALUATION_BATCH)
      : held.length > 0
        ? supplyInOrder(measures, pick(samples, held), EVALUATION_BATCH)
        : null
  const size = fullBatch ? batchOf(where, trainer, measures.isMean, rows.length, options) : batchSize
  const adjusted = adjust?.(samples) ?? samples
  return { training: new RowSupply(measures.feeds(adjusted), rows, size, shuffle ? seed : null), validation }
}

/** Samples as they are, for what is measured. */
export function supplyInOrder<Data>(measures: Measures<Data>, samples: Samples, batchSize: number): Supply {
  return inOrder(measures.feeds(samples), samples.count, batchSize)
}

/** How many samples are measured at a time where a step needs them all. */
function batchOf(
  where: string,
  { optimizer }: FullBatchTrainer,
  isMean: boolean,
  count: number,
  { batchSize }: RunOptions<unknown>,
): number {
  if (isMean) return Math.min(batchSize ?? EVALUATION_BATCH, count)
  if ((batchSize ?? count) < count)
    throw new OptionError(
      `${where}: with masks or a loss that is a sum ${optimizer.name} needs all ${count} samples in one batch, got batchSize ${batchSize}; leave it out.`,
    )
  return count
}

function splitRows(where: string, seed: number, count: number, split: number): RowSplit {
  const rows = Int32Array.from({ length: count }, (_, i) => i)
  const held = Math.round(count * split)
  if (split === 0) return { training: rows, validation: rows.subarray(0, 0) }
  if (held === 0) throw new DataError(`${where}: validationSplit ${split} of ${count} samples holds out none to validate on.`)
  if (held === count) throw new DataError(`${where}: validationSplit ${split} of ${count} samples leaves none to train on.`)
  new RandomStream(seed, Purpose.split).shuffle(rows)
  return { training: rows.slice(held).sort(), validation: rows.slice(0, held).sort() }
}

/** Copies chosen rows. */
function pick({ x, y, weights }: Samples, rows: Int32Array): Samples {
  const copy = ({ values: from, count }: Rows): Rows => {
    const width = from.length / count
    const bytes = rows.length * width * 4
    const buffer = allocateShared(bytes, `The validation samples need ${formatBytes(bytes)}`, 'Try a smaller validationSplit.')
    const values = from instanceof Int32Array ? new Int32Array(buffer) : new Float32Array(buffer)
    rows.forEach((row, i) => values.set(from.subarray(row * width, (row + 1) * width), i * width))
    return { values, count: rows.length }
  }
  return { x: x.map(copy), y: y.map(copy), weights: weights.map(copy), count: rows.length }
}
