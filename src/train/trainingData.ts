/** What users train on: data in memory, or samples of a dataset, of which some at a time become such data. */
import { NdArray, type NumbersLike } from '../data/ndarray.ts'
import { DataError, describe } from '../errors.ts'

/** Features: numbers for the only input, or by input name for several. */
export type Features = NumbersLike | Readonly<Record<string, NumbersLike>>

/** Targets: numbers for the only output, or by output name for several. */
export type Targets = NumbersLike | Readonly<Record<string, NumbersLike>>

/** What a model is trained and evaluated on; all have one entry a sample. */
export interface TrainingData {
  /** What predictions are made from. */
  readonly x: Features
  /** What they should be: of the shape the loss asks for. */
  readonly y: Targets
  /**
   * By what the loss of each sample is multiplied, ≥ 0: for all outputs, or by output name (1 for those not named); default 1. A mean still divides by
   * the number of samples, and metrics do not see the weights.
   */
  readonly sampleWeights?: NumbersLike | Readonly<Record<string, NumbersLike>>
}

/** One element of a dataset that a model is trained on, as a row of `TrainingData`. */
export interface Sample {
  /** Numbers for the only input, or by input name. */
  readonly x: SampleNumbers | Readonly<Record<string, SampleNumbers>>
  /** Numbers for the only output, or by output name. */
  readonly y: SampleNumbers | Readonly<Record<string, SampleNumbers>>
  /** By what its loss is multiplied, ≥ 0; for all samples or for none. Default 1. */
  readonly sampleWeight?: number
}

/** The numbers of one sample. */
export type SampleNumbers = number | NumbersLike

/** Samples as data of several rows. */
export function collateSamples(samples: readonly Sample[]): TrainingData {
  for (const sample of samples)
    if (typeof sample !== 'object' || sample === null || !('x' in sample && 'y' in sample))
      throw new DataError(`expected elements such as { x: [0.5, 1], y: 1 }, got ${describe(sample)}; map rows to that form.`)
  const weighted = samples[0].sampleWeight !== undefined
  if (samples.some(({ sampleWeight }) => (sampleWeight !== undefined) !== weighted))
    throw new DataError('some elements of the dataset have a sampleWeight and some have none; give it to all.')
  return {
    x: collateNumbers(samples.map(({ x }) => x)),
    y: collateNumbers(samples.map(({ y }) => y)),
    ...(weighted && { sampleWeights: samples.map(({ sampleWeight = 1 }) => sampleWeight) }),
  }
}

/** Rows of one or of several tensors. */
export function collateNumbers(
  rows: readonly (SampleNumbers | Readonly<Record<string, SampleNumbers>>)[],
): NumbersLike | Record<string, NumbersLike> {
  const [first] = rows
  const names = isByName(first) ? Object.keys(first) : null
  const alike = (row: unknown) =>
    isByName(row)
      ? names !== null && Object.keys(row).length === names.length && names.every((name) => Object.hasOwn(row, name))
      : names === null
  const odd = rows.findIndex((row) => !alike(row))
  if (odd >= 0)
    throw new DataError(`the elements of the dataset must have the same names, got ${describe(first)} and ${describe(rows[odd])}.`)
  if (names === null) return rows.map((row) => rowOf(row as SampleNumbers))
  return Object.fromEntries(names.map((name) => [name, rows.map((row) => rowOf((row as Readonly<Record<string, SampleNumbers>>)[name]))]))
}

/** Whether it is an object of numbers by name. */
export function isByName(value: unknown): value is Readonly<Record<string, SampleNumbers>> {
  return typeof value === 'object' && value !== null && !(Array.isArray(value) || ArrayBuffer.isView(value) || value instanceof NdArray)
}

function rowOf(row: SampleNumbers): unknown {
  if (!(row instanceof NdArray)) return row
  return row.shape.length === 1 ? row.data : row.toArray()
}
