/** One product, multiplied by everybody in turn. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Addon } from '../../src/executors/native/addon.ts'
import type { Options } from './command.ts'
import { type LoadedInstruction, loadInstruction, type Operand } from './instruction.ts'
import type { Multiplier, Product } from './libraries.ts'
import { guessSeconds, repetitions, secondsOf, takeTurns } from './timing.ts'

/** The addon, in this process. */
export class Ours implements Multiplier {
  readonly name = 'thalweg'
  readonly description: string
  private readonly addon: Addon
  private readonly options: { threads: number; isa?: string }
  private loaded: { instruction: LoadedInstruction; y: Operand } | undefined

  constructor(addon: Addon, { threads, isa }: { threads: number; isa?: string }) {
    this.addon = addon
    this.options = { threads, isa }
    this.description = isa ?? process.env.THALWEG_ISA ?? addon.isas[0]
  }

  async prepare({ rows, columns, depth, transposeA, transposeB, seedA, seedB }: Product): Promise<void> {
    const a = { shape: transposeA ? [depth, rows] : [rows, depth], seed: seedA }
    const b = { shape: transposeB ? [columns, depth] : [depth, columns], seed: seedB }
    const y = { shape: [rows, columns] }
    const description = { op: 'matmul', inputs: [a, b], outputs: [y], attributes: { transposeA, transposeB } }
    this.loaded = { instruction: loadInstruction(this.addon, description, this.options), y }
  }

  async seconds(calls: number): Promise<number> {
    const { instruction } = this.get()
    instruction.run(1 + Math.floor(calls / 8))
    return secondsOf(this.options.threads, () => instruction.run(calls))
  }

  async result(): Promise<Float32Array> {
    const { instruction, y } = this.get()
    return instruction.values(y) as Float32Array
  }

  guess(): number {
    return guessSeconds(this.options.threads, this.get().instruction.run)
  }

  close(): void {}

  private get() {
    if (this.loaded === undefined) throw new Error('no product is prepared')
    return this.loaded
  }
}

/** Throws when the addon and a library do not compute the same. The bound is that of rounding errors that add up at random. */
async function compare(ours: Multiplier, library: Multiplier, depth: number): Promise<number> {
  const [y, expected] = [await ours.result(), await library.result()]
  let largest = 0
  let squares = 0
  for (let i = 0; i < expected.length; i++) {
    largest = Math.max(largest, Math.abs(y[i] - expected[i]))
    squares += expected[i] ** 2
  }
  const error = largest / Math.sqrt(squares / expected.length)
  if (!(y.length === expected.length && error <= 1e-6 * (1 + Math.sqrt(depth)))) {
    throw new Error(`The addon and ${library.name} disagree: relative error ${error}`)
  }
  return error
}

export interface Race {
  /** GFLOP/s of everyone who multiplies, a number for each round. */
  readonly rates: Readonly<Record<string, readonly number[]>>
  /** What each of the others said, a number for each round. */
  readonly others: readonly (readonly number[])[]
  /** The largest difference from a library's result, divided by the root mean square of that. */
  readonly error: number
}

/** @param others What else takes turns: they stand next to ours, because that is what they are compared with. */
export async function race(
  product: Product,
  ours: Ours,
  libraries: readonly Multiplier[],
  others: readonly (() => Promise<number>)[],
  { threads, rounds, windowSeconds }: Pick<Options, 'threads' | 'rounds' | 'windowSeconds'>,
): Promise<Race> {
  const multipliers = [ours, ...libraries]
  for (const multiplier of multipliers) await multiplier.prepare(product)
  const guess = ours.guess()
  let error = 0
  for (const library of libraries) error = Math.max(error, await compare(ours, library, product.depth))
  // Windows of equal length, so that a library that is slow does not take the most of the time.
  const calls = [repetitions(windowSeconds, guess)]
  for (const library of libraries) {
    const tried = Math.max(1, Math.round(calls[0] / 16))
    const shortest = Math.min(await library.seconds(tried), await library.seconds(tried))
    calls.push(repetitions(windowSeconds, shortest / tried))
  }
  const work = 2e-9 * product.rows * product.columns * product.depth
  const multiply = async (i: number) => (work * calls[i]) / (await multipliers[i].seconds(calls[i]))
  const windows = await takeTurns(others.length + multipliers.length, rounds, async (i) => {
    // The idle threads of some libraries spin for up to 26 ms before they sleep.
    if (threads > 1) await sleep(30)
    return i < others.length ? others[i]() : multiply(i - others.length)
  })
  const rates = windows.slice(others.length)
  return { rates: Object.fromEntries(multipliers.map(({ name }, i) => [name, rates[i]])), others: windows.slice(0, others.length), error }
}
