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
  const all = classNumbersOf('balancedClassWeights', 'labels', labels)
  const counts = new Map<number, number>()
  for (const label of all) counts.set(label, (counts.get(label) ?? 0) + 1)
  return Object.fromEntries([...counts].sort(([a], [b]) => a - b).map(([label, count]) => [label, all.length / (counts.size * count)]))
}

/** The class number of each sample, from class numbers or one-hot rows. */
export function classNumbersOf(where: string, name: string, labels: NumbersLike, advice = ''): Float64Array {
  const place = `${where}: ${name}`
  const { size, shape, read } = flatten(place, labels)
  if (size === 0) throw new DataError(`${place}: expected class numbers, got no data at all.`)
  const values = new Float64Array(size)
  read(values as unknown as Float32Array)
  const width = shape !== null && shape.length > 1 ? shape[shape.length - 1] : 1
  return Float64Array.from({ length: size / width }, (_, row) => {
    const label = width === 1 ? values[row] : classOf(place, values.subarray(row * width, (row + 1) * width), row)
    if (!Number.isSafeInteger(label) || label < 0)
      throw new DataError(
        `${place}: expected class numbers (integers of at least 0) or one-hot rows, got ${describe(label)} at row ${row}${advice === '' ? '' : `; ${advice}`}.`,
      )
    return label
  })
}

function classOf(where: string, row: Float64Array, index: number): number {
  const label = row.indexOf(1)
  if (label < 0 || row.some((value, k) => value !== (k === label ? 1 : 0)))
    throw new DataError(`${where}: a one-hot row has a single 1 and zeros, got [${row.join(', ')}] at row ${index}; give class numbers.`)
  return label
}
