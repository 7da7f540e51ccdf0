/** What becomes of the windows of a run. */

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

/** One value for each contestant that took part in a round. */
export type Round = ReadonlyMap<string, number>

/**
 * How often one contestant is as fast as another: the quotient is formed inside each round, where both met the same disturbances, and the
 * median over rounds counts. Null when they never met.
 */
export function ratio(rounds: readonly Round[], of: string, to: string): Spread | null {
  const quotients = rounds.flatMap((round) => {
    const [a, b] = [round.get(of), round.get(to)]
    return a === undefined || b === undefined ? [] : [a / b]
  })
  return quotients.length === 0 ? null : spread(quotients)
}
