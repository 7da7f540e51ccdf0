import { AssertionError, DataError } from '../errors.ts'

/** What predicts rows a batch at a time: a model, or a class of your own. `new Predictor(target)` needs no more of it. */
export interface BatchPredictor<Row, Result> {
  /** One result a row, in the order of the rows. Rejects, and predicts none, when one of them cannot be taken. */
  predictRows(rows: readonly Row[]): Promise<readonly Result[]>
  /** Throws an error whose message begins with `where` for a row that `predictRows` refuses. */
  checkRow(row: Row, where: string): void
}

/** What became of a row. */
export type Outcome<Result> = { readonly result: Result } | { readonly error: Error }

/**
 * What becomes of each row, when bad ones must not spoil the others. Rows are looked at one by one only once a batch was refused.
 *
 * @param where Begins the message about row i.
 * @throws What `predictRows` rejects with, if no row is to blame for it.
 */
export async function outcomes<Row, Result>(
  target: BatchPredictor<Row, Result>,
  rows: readonly Row[],
  where: (i: number) => string,
): Promise<Outcome<Result>[]> {
  try {
    return (await predicted(target, rows)).map((result) => ({ result }))
  } catch (error) {
    const faults = rows.map((row, i) => faultOf(target, row, where(i)))
    if (error instanceof AssertionError || faults.every((fault) => fault === null)) throw error
    const good = rows.filter((_, i) => faults[i] === null)
    const results = good.length === 0 ? [] : await predicted(target, good)
    let next = 0
    return faults.map((fault) => (fault === null ? { result: results[next++] } : { error: fault }))
  }
}

async function predicted<Row, Result>(target: BatchPredictor<Row, Result>, rows: readonly Row[]): Promise<readonly Result[]> {
  const results = await target.predictRows(rows)
  if (results.length !== rows.length) throw new DataError(`predictRows: expected ${rows.length} results, one a row, got ${results.length}.`)
  return results
}

function faultOf<Row>(target: BatchPredictor<Row, unknown>, row: Row, where: string): Error | null {
  try {
    target.checkRow(row, where)
    return null
  } catch (error) {
    return error as Error
  }
}
