/** Parts of data: chosen rows, and a split into training and validation. */
import { checkBoolean, checkCount, checkOptions, checkSeed } from '../checks.ts'
import { counted, DataError, describe, OptionError } from '../errors.ts'
import { Purpose, RandomStream } from '../random.ts'
import { classNumbersOf } from './classWeights.ts'
import { flatten, isNumbers, NdArray, type NumbersLike } from './ndarray.ts'

/** Numbers by name. */
type Named = Readonly<Record<string, NumbersLike>>

/** What data hold: numbers, or numbers by name. */
type Part = NumbersLike | Named | undefined

/** Options of `takeRows`. */
export interface TakeRowsOptions {
  /** How many samples there are; default what the arrays with a shape say. Needed where all are typed arrays, which do not tell how long a row is. */
  readonly samples?: number
}

/** Options of `splitData`. */
export interface SplitOptions extends TakeRowsOptions {
  /** The part of the samples to hold out: of 0 … 1, both excluded; default 0.2. */
  readonly share?: number
  /** Whether each class is held out in the same proportion; by class numbers or one-hot rows in `y`, or by `labels`. Default false. */
  readonly stratified?: boolean
  /** What to stratify by in place of `y`: class numbers or one-hot rows; default none. */
  readonly labels?: NumbersLike
  /** Decides which samples: an integer of 0 … 2^53 - 1; default 0. */
  readonly seed?: number
}

/**
 * Chosen rows of data, in the order given; a row may be taken more than once. Every part stays what it is: nested arrays nested arrays (their rows are not copied), a typed array
 * one of its type, an NdArray an NdArray.
 *
 * @param data `{ x, y, sampleWeights }`, with inputs and outputs by name too; or numbers alone.
 * @param rows Which, from 0 on: a fold of `kFold` has such.
 * @param options `samples`: how many there are, where all are typed arrays; default what the data say.
 * @throws DataError if parts have different numbers of samples, or a row is none of them.
 * @example takeRows({ x: [[1], [2], [3], [4]], y: [0, 1, 0, 1] }, kFold(4, { folds: 2 })[0].training)
 */
export function takeRows<Data extends object>(data: Data, rows: ArrayLike<number>, options: TakeRowsOptions = {}): Data {
  checkOptions('takeRows', options, ['samples'])
  const count = countSamples('takeRows', data, options.samples)
  if (typeof rows !== 'object' || rows === null || !Number.isSafeInteger(rows.length))
    throw new OptionError(`takeRows: rows must be an array of row numbers, got ${describe(rows)}.`)
  const list = Array.from(rows)
  const bad = list.findIndex((row) => !Number.isSafeInteger(row) || row < 0 || row >= count)
  if (bad >= 0) throw new DataError(`takeRows: rows must be numbers of 0 … ${count - 1}, got ${describe(list[bad])} at index ${bad}.`)
  return taken(data, list, count) as Data
}

/**
 * Splits samples at random into those to train on and those to hold out, which `fit` takes as `validationData`; both in the order of the data. With `stratified` the
 * number of each class held out is its share, rounded so that the whole is right.
 *
 * @param data `{ x, y, sampleWeights }`, with inputs and outputs by name too.
 * @param options `share` 0.2, `stratified` false, `seed` 0. The split is a function of these and of the number of samples (or their classes).
 * @throws DataError if one of the two would be empty.
 * @example splitData({ x: [[1], [2], [3], [4]], y: [0, 1, 0, 1] }, { share: 0.5, stratified: true }).validation.y
 */
export function splitData<Data extends object>(data: Data, options: SplitOptions = {}): { training: Data; validation: Data } {
  const where = 'splitData'
  checkOptions(where, options, ['share', 'stratified', 'labels', 'samples', 'seed'], { validationSplit: 'did you mean "share"?' })
  const { share = 0.2, stratified = false, labels, samples, seed = 0 } = options
  if (typeof share !== 'number' || !(share > 0 && share < 1))
    throw new OptionError(`${where}: share must lie in 0 … 1 (both excluded), got ${describe(share)}.`)
  checkBoolean(where, 'stratified', stratified)
  if (labels !== undefined && !stratified) throw new OptionError(`${where}: labels are for { stratified: true }, which is not given.`)
  checkSeed(where, seed)
  const count = countSamples(where, data, samples)
  const held = Math.round(share * count)
  if (held === 0 || held === count)
    throw new DataError(
      `${where}: a share of ${share} of ${counted(count, 'sample')} leaves none to ${held === 0 ? 'validate' : 'train'} on.`,
    )
  const random = new RandomStream(seed, Purpose.split)
  const classes = stratified
    ? rowsOfClasses(where, labels ?? ('y' in data ? (data.y as Part) : undefined), count)
    : [Array.from({ length: count }, (_, i) => i)]
  const isHeld = new Uint8Array(count)
  let seen = 0
  for (const rows of classes) {
    const order = Int32Array.from(rows)
    random.shuffle(order)
    // What the classes so far hold out together is rounded, so that no class is off by more than one and the last one ends at the whole.
    const before = Math.round(share * seen)
    seen += order.length
    for (const row of order.subarray(0, Math.round(share * seen) - before)) isHeld[row] = 1
  }
  const chosen = (value: number) => Array.from(isHeld.keys()).filter((row) => isHeld[row] === value)
  return { training: taken(data, chosen(0), count) as Data, validation: taken(data, chosen(1), count) as Data }
}

/** The rows of each class. */
function rowsOfClasses(where: string, labels: Part, count: number): number[][] {
  if (!isNumbers(labels))
    throw new OptionError(
      `${where}: stratified needs class numbers or one-hot rows as y, got ${describe(labels)}; give them as the option labels.`,
    )
  const { shape, size } = flatten(`${where}: labels`, labels)
  const rowsOfTyped = shape === null && size % count === 0 ? new NdArray(labels as Float32Array, [count, size / count]) : labels
  const numbers = classNumbersOf(where, 'labels', rowsOfTyped, 'stratified needs classes, so leave it out for numbers')
  if (numbers.length !== count)
    throw new DataError(`${where}: labels must be as many as there are samples, ${count}, got ${numbers.length}.`)
  const rows = new Map<number, number[]>()
  numbers.forEach((label, row) => {
    const known = rows.get(label)
    if (known === undefined) rows.set(label, [row])
    else known.push(row)
  })
  return [...rows].sort(([a], [b]) => a - b).map(([, list]) => list)
}

/** All parts by the name that errors give them. */
function partsOf(data: object): (readonly [string, NumbersLike])[] {
  if (isNumbers(data)) return [['data', data]]
  return Object.entries<Part>(data as Record<string, Part>).flatMap(([name, part]): (readonly [string, NumbersLike])[] => {
    if (part === undefined) return []
    if (isNumbers(part) || typeof part !== 'object' || part === null) return [[name, part as NumbersLike]]
    return Object.entries(part).map(([inner, numbers]) => [`${name}.${inner}`, numbers])
  })
}

function countSamples(where: string, data: object, samples?: number): number {
  if (typeof data !== 'object' || data === null) throw new DataError(`${where}: expected data, { x, y }, got ${describe(data)}.`)
  if (samples !== undefined) checkCount(where, 'samples', samples)
  const parts = partsOf(data).map(([name, numbers]) => ({ name, ...flatten(`${where}: ${name}`, numbers) }))
  if (parts.length === 0) throw new DataError(`${where}: expected data, { x, y }, got nothing.`)
  const shaped = parts.find(({ shape }) => shape !== null)
  const count = samples ?? shaped?.shape?.[0]
  if (count === undefined)
    throw new DataError(
      `${where}: typed arrays alone do not tell how many samples there are; give { samples }, or one of them as an NdArray.`,
    )
  if (count === 0) throw new DataError(`${where}: expected data, got no sample at all.`)
  for (const { name, shape, size } of parts) {
    if (shape !== null && shape[0] !== count)
      throw new DataError(`${where}: ${name} has ${counted(shape[0] ?? 1, 'sample')}, expected ${count}; all must be equal.`)
    if (size % count !== 0)
      throw new DataError(`${where}: ${name} has ${counted(size, 'number')}, which is not a multiple of the ${counted(count, 'sample')}.`)
  }
  return count
}

function taken(data: object | undefined, rows: readonly number[], count: number): unknown {
  if (data === undefined) return undefined
  if (Array.isArray(data)) return rows.map((row) => data[row])
  if (data instanceof NdArray) return new NdArray(rowsOf(data.data, rows, count), [rows.length, ...data.shape.slice(1)])
  if (ArrayBuffer.isView(data)) return rowsOf(data as Float32Array, rows, count)
  return Object.fromEntries(Object.entries(data).map(([name, part]) => [name, taken(part as object | undefined, rows, count)]))
}

function rowsOf<T extends Float32Array | Float64Array | Int32Array>(values: T, rows: readonly number[], count: number): T {
  const width = values.length / count
  const result = new (values.constructor as new (size: number) => T)(rows.length * width)
  rows.forEach((row, i) => {
    result.set(values.subarray(row * width, (row + 1) * width), i * width)
  })
  return result
}
