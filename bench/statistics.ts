/** What becomes of the windows of a run, of networks and of kernels. */

export interface Spread {
  readonly median: number
  readonly lowest: number
  readonly highest: number
}

/** Of an even number of values the mean of the middle two. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new Error('median: expected at least one value.')
  const sorted = [...values].sort((a, b) => a - b)
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2
}

export function spread(values: readonly number[]): Spread {
  return { median: median(values), lowest: Math.min(...values), highest: Math.max(...values) }
}

/**
 * How many times as fast as another: the quotient is formed inside each round, where both met the same disturbances, and the median over rounds
 * counts. Null when they never met.
 */
export function ratio(rounds: readonly { readonly of: number; readonly to: number }[]): Spread | null {
  return rounds.length === 0 ? null : spread(rounds.map(({ of, to }) => of / to))
}
