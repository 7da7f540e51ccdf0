/** How numbers are distributed. */
import { Purpose, RandomStream } from '../random.ts'
import type { Histogram } from './reportData.ts'

/**
 * Counts in about `bins` bins whose bounds are round numbers, from the smallest to the largest; or over `range`, where what lies outside is counted in the outermost bins.
 *
 * @param values At least one, all finite.
 */
export function histogramOf(values: ArrayLike<number>, bins: number, range?: readonly [number, number]): Histogram {
  let [least, most] = range ?? [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (let i = 0; range === undefined && i < values.length; i++) {
    least = Math.min(least, values[i])
    most = Math.max(most, values[i])
  }
  const size = Math.max(Math.abs(least), Math.abs(most))
  // Not so small that the numbers of the bins could not be told from each other.
  const width = roundWidth(Math.max(most > least ? most / bins - least / bins : size / bins || 1, size * 1e-9, 1e-300))
  const first = Math.floor(least / width)
  const counts = new Array<number>(Math.min(Math.floor(most / width) - first + 1, 2 * bins + 2)).fill(0)
  for (let i = 0; i < values.length; i++) {
    counts[Math.min(Math.max(Math.floor(values[i] / width) - first, 0), counts.length - 1)] += 1
  }
  const bound = (place: number) => Math.max(-Number.MAX_VALUE, Math.min(place * width, Number.MAX_VALUE))
  return { low: bound(first), high: bound(first + counts.length), counts }
}

/** The least of 1, 2, 5 times a power of ten that is as large. */
function roundWidth(width: number): number {
  const power = 10 ** Math.floor(Math.log10(width))
  return power * ([1, 2, 5].find((factor) => factor * power >= width * (1 - 1e-9)) ?? 10)
}

/** The numbers that so many shares of all do not exceed. @param sorted At least one, ascending. */
export function quantilesOf(sorted: ArrayLike<number>, shares: readonly number[]): number[] {
  return shares.map((share) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)])
}

/** The places of at most `most` of `count` things, ascending, each as likely as the others. */
export function sampleOf(count: number, most: number, seed = 0): Int32Array {
  const places = Int32Array.from({ length: count }, (_, i) => i)
  if (count <= most) return places
  new RandomStream(seed, Purpose.sample).shuffle(places)
  return places.slice(0, most).sort()
}

/** At most `most` of some points, at equal distances, the first and the last among them. */
export function evenly<T>(points: readonly T[], most: number): readonly T[] {
  if (points.length <= most) return points
  return Array.from({ length: most }, (_, i) => points[Math.round((i * (points.length - 1)) / (most - 1))])
}
