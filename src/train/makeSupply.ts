/** From what users hand over to what steps are fed with. */
import { checkBoolean, checkCount, checkSignal } from '../checks.ts'
import type { Rows } from '../data/rows.ts'
import { DataError, describe, OptionError } from '../errors.ts'
import { allocateShared, formatBytes } from '../memory.ts'
import { Purpose, RandomStream } from '../random.ts'
import { EVALUATION_BATCH } from './batches.ts'
import { FullBatchTrainer } from './fullBatchTrainer.ts'
import type { Measures, Samples } from './measures.ts'
import type { RunOptions } from './options.ts'
import { countSamples, fewerSteps, Streamed, StreamSupply } from './streamSupply.ts'
import { inOrder, RowSupply, type Supply } from './supply.ts'
import type { Training } from './training.ts'

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

/**
 * Checks data, and holds out a part if the options ask for it.
 *
 * @param split In place of that part.
 */
export async function suppliesOf<Data>(
  where: string,
  training: Training<Data>,
  data: Data | Streamed<Data>,
  options: Omit<RunOptions, 'validationData'> & { readonly validationData?: Data | Streamed<Data> },
  split?: RowSplit,
): Promise<Supplies> {
  const { trainer, measures, models } = training
  const fullBatch = trainer instanceof FullBatchTrainer
  const { batchSize = fullBatch ? EVALUATION_BATCH : 32, shuffle = true, validationData, validationSplit = 0, stepsPerEpoch } = options
  checkCount(where, 'batchSize', batchSize)
  checkSignal(where, options.signal)
  checkBoolean(where, 'shuffle', shuffle)
  if (typeof validationSplit !== 'number' || !(validationSplit >= 0 && validationSplit < 1)) {
    throw new OptionError(`${where}: validationSplit must lie in 0 … 1 (1 excluded), got ${describe(validationSplit)}.`)
  }
  if (validationData !== undefined && validationSplit > 0)
    throw new OptionError(`${where}: give validationData or validationSplit, not both.`)
  const { seed } = models[0]
  const given =
    validationData === undefined ? null : await supplyInOrder(`${where}: validationData`, measures, validationData, EVALUATION_BATCH)
  if (data instanceof Streamed) {
    if (fullBatch)
      throw new OptionError(
        `${where}: ${trainer.optimizer.name} looks at all data for each step and needs them in memory; read them with toArray(), or take an optimizer such as adam.`,
      )
    if (options.shuffle !== undefined)
      throw new OptionError(`${where}: shuffle is for data in memory; shuffle the dataset: fit(data.shuffle(), …).`)
    const parts = validationSplit > 0 ? data.dataset.split(validationSplit, { seed }) : null
    const validation =
      parts === null ? given : await supplyInOrder(`${where}: validationSplit`, measures, data.with(parts.validation), EVALUATION_BATCH)
    return { training: await streamed(where, training, parts === null ? data : data.with(parts.training), batchSize, options), validation }
  }
  if (stepsPerEpoch !== undefined) throw new OptionError(`${where}: stepsPerEpoch is for datasets; of data in memory an epoch takes all.`)
  const samples = measures.toSamples(where, data)
  const { training: rows, validation: held } = split ?? splitRows(where, seed, samples.count, validationSplit)
  const validation = held.length > 0 ? samplesInOrder(measures, pick(samples, held), EVALUATION_BATCH) : given
  const size = fullBatch ? batchOf(where, trainer, measures.isMean, rows.length, options) : batchSize
  const adjusted = training.adjust?.(samples) ?? samples
  return { training: new RowSupply(measures.feeds(adjusted), rows, size, shuffle ? seed : null), validation }
}

/** A dataset to train on. */
async function streamed<Data>(
  where: string,
  { measures, adjust }: Training<Data>,
  source: Streamed<Data>,
  batchSize: number,
  { stepsPerEpoch, signal }: RunOptions<unknown>,
): Promise<Supply> {
  if (stepsPerEpoch !== undefined) checkCount(where, 'stepsPerEpoch', stepsPerEpoch)
  const { endless = false } = source.dataset.traits
  if (endless && stepsPerEpoch === undefined)
    throw new OptionError(`${where}: the dataset never ends; say how many steps an epoch is to have with stepsPerEpoch.`)
  const samples = stepsPerEpoch === undefined ? await countSamples(where, source, signal) : stepsPerEpoch * batchSize
  if (!endless && source.samples !== null && source.samples < samples)
    throw new OptionError(
      `${where}: stepsPerEpoch: ${stepsPerEpoch} steps of ${batchSize} need ${samples} elements, and the dataset has ${source.samples}; ${fewerSteps}.`,
    )
  const toSamples = (place: string, data: Data) => {
    const rows = measures.toSamples(place, data)
    return adjust?.(rows) ?? rows
  }
  const preparation = { where, toSamples, feeds: (rows: Samples) => measures.feeds(rows) }
  return new StreamSupply(source, preparation, { batchSize, samples, endless, exact: stepsPerEpoch === undefined })
}

/** Data as they are, for what is measured. */
export async function supplyInOrder<Data>(
  where: string,
  measures: Measures<Data>,
  data: Data | Streamed<Data>,
  batchSize: number,
): Promise<Supply> {
  if (!(data instanceof Streamed)) return samplesInOrder(measures, measures.toSamples(where, data), batchSize)
  const preparation = {
    where,
    toSamples: (place: string, some: Data) => measures.toSamples(place, some),
    feeds: (rows: Samples) => measures.feeds(rows),
  }
  if (data.dataset.traits.endless)
    throw new OptionError(`${where}: the dataset never ends; take as many elements of it as are to be measured: dataset.take(1000).`)
  // As many as there are: nobody has to count them first.
  return new StreamSupply(data, preparation, { batchSize, samples: data.samples ?? Number.POSITIVE_INFINITY, endless: false, exact: true })
}

function samplesInOrder<Data>(measures: Measures<Data>, samples: Samples, batchSize: number): Supply {
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
