import { DataError } from '../../../src/errors.ts'
import type { BatchPredictor } from '../../../src/predict/batchPredictor.ts'

/** Predicts ten times the row, and keeps what it was asked; negative rows are bad ones. `gate` holds predictions up. */
export class Tenfold implements BatchPredictor<number, number> {
  readonly batches: number[][] = []
  running = 0
  atOnce = 0
  gate: Promise<void> = Promise.resolve()

  async predictRows(rows: readonly number[]): Promise<number[]> {
    rows.forEach((row, i) => this.checkRow(row, `row ${i}`))
    this.batches.push([...rows])
    this.running += 1
    this.atOnce = Math.max(this.atOnce, this.running)
    await this.gate
    await new Promise(setImmediate)
    this.running -= 1
    return rows.map((row) => row * 10)
  }

  checkRow(row: number, where: string): void {
    if (row < 0) throw new DataError(`${where}: expected numbers of at least 0, got ${row}.`)
  }
}

/** A promise, and what fulfils it. */
export function gate(): { readonly promise: Promise<void>; readonly open: () => void } {
  let open = () => {}
  const promise = new Promise<void>((resolve) => {
    open = resolve
  })
  return { promise, open }
}

export function* count(end: number): Generator<number> {
  for (let i = 0; i < end; i++) yield i
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}
