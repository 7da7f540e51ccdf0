import { DataError, describe } from '../errors.ts'
import { flatten, type NumbersLike } from './ndarray.ts'

/**
 * Weights that let a rare class count as much as a common one: samples / (classes · samples of the class), as "balanced" in scikit-learn (King and
 * Zeng 2001), so that the weights of all samples have the mean 1. What `classWeights` of `fit` takes.
 *
 * @param labels Class numbers; or one-hot rows, as nested arrays or an NdArray.
 * @returns A weight for each class that occurs, by its number.
 * @throws DataError if a label is no class number, or there are none.
 * @example balancedClassWeights([0, 0, 0, 1])
 */
export function balancedClassWeights(labels: NumbersLike): Record<number, number> {
  const numbers = classNumbersOf('balancedClassWeights: labels', labels)
  const counts = new Map<number, number>()
  for (const label of numbers) counts.set(label, (counts.get(label) ?? 0) + 1)
  return Object.fromEntries([...counts].sort(([a], [b]) => a - b).map(([label, count]) => [label, numbers.length / (counts.size * count)]))
}

/** The class number of each sample, given as such or as one-hot rows. */
export function classNumbersOf(where: string, labels: NumbersLike): Float64Array {
  const { size, shape, read } = flatten(where, labels)
  if (size === 0) throw new DataError(`${where}: expected class numbers, got no data at all.`)
  const values = new Float64Array(size)
  read(values as unknown as Float32Array)
  const width = shape !== null && shape.length > 1 ? shape[shape.length - 1] : 1
  const classes = new Float64Array(size / width)
  for (let i = 0; i < size; i += width) {
    const label = width === 1 ? values[i] : classOf(where, values.subarray(i, i + width), i / width)
    if (!Number.isSafeInteger(label) || label < 0)
      throw new DataError(
        `${where}: expected class numbers (integers of at least 0) or one-hot rows, got ${describe(label)} at row ${i / width}.`,
      )
    classes[i / width] = label
  }
  return classes
}

function classOf(where: string, row: Float64Array, index: number): number {
  const label = row.indexOf(1)
  if (label < 0 || row.some((value, k) => value !== (k === label ? 1 : 0)))
    throw new DataError(`${where}: a one-hot row has a single 1 and zeros, got [${row.join(', ')}] at row ${index}; give class numbers.`)
  return label
}
