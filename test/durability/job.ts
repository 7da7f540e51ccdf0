/** What a run that is to be killed does: known to it and to who kills it. */
export interface Job {
  readonly seed: number
  readonly epochs: number
  /** The file it reads as a dataset; null for rows in memory. */
  readonly csv: string | null
  /** Null for the run that nobody kills. */
  readonly checkpoint: { readonly directory: string; readonly everySteps: number } | null
  /** Whether it is to take its time, so that a signal finds it at work. */
  readonly slow?: boolean
}

export const ROWS = 400

/** The rows of both kinds of runs. */
export function rowsOf(seed: number): { readonly x: readonly number[]; readonly y: number }[] {
  return Array.from({ length: ROWS }, (_, i) => {
    const x = [1, 2, 3, 4].map((k) => Math.sin((i + seed) * k * 1.7))
    return { x, y: x[0] * x[1] + 0.3 * x[2] - (x[3] > 0.5 ? 1 : 0) }
  })
}
