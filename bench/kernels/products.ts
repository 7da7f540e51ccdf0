/**
 * Bare matrix products: the addon against the libraries that are installed, and against the peak of fused multiply-add.
 *
 *     npx tsx bench/kernels/products.ts [--threads N] [--isa X] [--quick] [--rounds N] [--only 64,512,512] [--json FILE]
 *
 * For the layer of a network with B rows, K inputs and N outputs: y = X W, dX = dY Wᵀ and dW = Xᵀ dY, with all operands contiguous
 * as a network has them. How the windows are taken is in README.md.
 */
import { cpus, loadavg } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Addon } from '../../src/executors/native/addon.ts'
import { median, ratio, type Spread, spread } from '../statistics.ts'
import { drawTable, threadsOf } from '../tables.ts'
import { type Options, runCommand } from './command.ts'
import { type LoadedInstruction, loadInstruction, type Operand, requireAddon } from './instruction.ts'
import { type Multiplier, type Product, startLibraries } from './libraries.ts'
import { measurePeak } from './limits.ts'
import { guessSeconds, repetitions, secondsOf, takeTurns } from './timing.ts'

/** B, K, N. */
const shapes: readonly (readonly [number, number, number])[] = [
  [32, 64, 64],
  [128, 784, 256],
  [64, 512, 512],
  [256, 1024, 1024],
  [512, 2048, 2048],
  [1, 784, 128],
  [8, 128, 128],
  [1024, 1024, 1024],
  [2048, 2048, 2048],
]

export const shapeNames = shapes.map((shape) => shape.join(','))

const plain = { transposeA: false, transposeB: false }
const seeds = { x: 1, w: 2, dy: 3 }

/** The three products of a layer. */
const productsOf = (b: number, k: number, n: number): Readonly<Record<string, Product>> => ({
  'X W': { rows: b, depth: k, columns: n, ...plain, seedA: seeds.x, seedB: seeds.w },
  'dY Wᵀ': { rows: b, depth: n, columns: k, ...plain, transposeB: true, seedA: seeds.dy, seedB: seeds.w },
  'Xᵀ dY': { rows: k, depth: b, columns: n, ...plain, transposeA: true, seedA: seeds.x, seedB: seeds.dy },
})

interface Row {
  readonly shape: readonly [number, number, number]
  readonly product: string
  /** Of each contestant. */
  readonly gflops: Readonly<Record<string, Spread>>
  /** Of the addon's rate, divided by that of each library in the same round. */
  readonly ratios: Readonly<Record<string, Spread>>
  /** The library with the lowest median ratio. Null when there is no library. */
  readonly best: string | null
  readonly shareOfPeak: number | null
  /** The largest difference from a library's result, divided by the root mean square of that. */
  readonly error: number
}

/** The addon, in this process. */
class Ours implements Multiplier {
  readonly name = 'thalweg'
  readonly description: string
  private readonly addon: Addon
  private readonly options: { threads: number; isa?: string }
  private loaded: { instruction: LoadedInstruction; y: Operand } | undefined

  constructor(addon: Addon, options: { threads: number; isa?: string }) {
    this.addon = addon
    this.options = options
    this.description = options.isa ?? process.env.THALWEG_ISA ?? addon.isas[0]
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

async function measureRow(
  ours: Ours,
  libraries: readonly Multiplier[],
  shape: Row['shape'],
  name: string,
  product: Product,
  { threads, rounds, windowSeconds }: Options,
): Promise<Omit<Row, 'shareOfPeak'>> {
  const all = [ours, ...libraries]
  for (const multiplier of all) await multiplier.prepare(product)
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
  const rates = await takeTurns(all.length, rounds, async (i) => {
    // The idle threads of some libraries spin for up to 26 ms before they sleep.
    if (threads > 1) await sleep(30)
    return (work * calls[i]) / (await all[i].seconds(calls[i]))
  })
  const ratios = libraries.flatMap(({ name: library }, i) => {
    const times = ratio(rates[0].map((of, round) => ({ of, to: rates[i + 1][round] })))
    return times === null ? [] : [[library, times] as const]
  })
  const best = [...ratios].sort((a, b) => a[1].median - b[1].median)[0]
  return {
    shape,
    product: name,
    gflops: Object.fromEntries(all.map((multiplier, i) => [multiplier.name, spread(rates[i])])),
    ratios: Object.fromEntries(ratios),
    best: best?.[0] ?? null,
    error,
  }
}

const percent = (share: number | null) => (share === null ? '–' : `${(100 * share).toFixed(0)} %`)
const rate = (gflops: number) => gflops.toPrecision(3)

function printTable(rows: readonly Row[], libraries: readonly Multiplier[]): void {
  const head = [
    'B,K,N',
    'product',
    'thalweg',
    'lowest … highest',
    'of peak',
    ...libraries.map(({ name }) => name),
    'to the best',
    'lowest … highest',
  ]
  const cells = rows.map(({ shape, product, gflops, ratios, best, shareOfPeak }) => {
    const { median: typical, lowest, highest } = gflops.thalweg
    const toBest = best === null ? undefined : ratios[best]
    return [
      shape.join(','),
      product,
      rate(typical),
      `${rate(lowest)} … ${rate(highest)}`,
      percent(shareOfPeak),
      ...libraries.map(({ name }) => rate(gflops[name].median)),
      toBest === undefined ? '–' : `${toBest.median.toFixed(2)} ×`,
      toBest === undefined ? '–' : `${toBest.lowest.toFixed(2)} … ${toBest.highest.toFixed(2)}`,
    ]
  })
  console.log(drawTable({ head, words: 2, rows: cells }))
}

function printSummary(rows: readonly Row[]): void {
  const toBest = rows.flatMap(({ ratios, best, ...row }) => (best === null ? [] : [{ ...row, best, times: ratios[best].median }]))
  if (toBest.length === 0) return
  // What the table shows as 1.00 is neither.
  const lost = toBest.filter(({ times }) => times < 0.995).sort((a, b) => a.times - b.times)
  console.log(
    `To the best library: median ${median(toBest.map(({ times }) => times)).toFixed(2)} ×; slower in ${lost.length} of ${toBest.length}${lost.length === 0 ? '.' : ':'}`,
  )
  for (const { shape, product, best, times } of lost) console.log(`  ${shape.join(',')}  ${product}  ${times.toFixed(2)} × ${best}`)
}

/** Measures and prints all products, and returns what JSON should hold. */
export async function benchProducts(options: Options): Promise<object> {
  const { threads, isa, rounds, only } = options
  const chosen = shapes.filter((shape) => only === undefined || only === shape.join(','))
  const load = loadavg()[0]
  const ours = new Ours(requireAddon(), { threads, isa })
  const libraries = await startLibraries(threads, ours.description)
  const rows: Row[] = []
  const peaks: number[] = []
  try {
    for (const shape of chosen) {
      const peak = await measurePeak(threads, ours.description)
      if (peak !== null) peaks.push(peak)
      for (const [name, product] of Object.entries(productsOf(...shape))) {
        const row = await measureRow(ours, libraries, shape, name, product, options)
        rows.push({ ...row, shareOfPeak: peak === null ? null : row.gflops.thalweg.median / peak })
      }
      if (process.stderr.isTTY) console.error(`${shape.join(',')} done`)
    }
  } finally {
    for (const library of libraries) library.close()
  }
  const context = {
    cpu: cpus()[0].model,
    instructionSet: ours.description,
    threads,
    rounds,
    load,
    peak: peaks.length > 0 ? spread(peaks) : null,
  }
  console.log(
    `Products, GFLOP/s. ${context.cpu}, ${context.instructionSet}, ${threadsOf(threads)}, medians of ${rounds} ${rounds === 1 ? 'round' : 'rounds'}.`,
  )
  if (context.peak !== null) {
    const { lowest, highest } = context.peak
    console.log(`Peak of fused multiply-add: ${lowest.toFixed(1)} … ${highest.toFixed(1)}; shares are of the one before a shape.`)
  }
  for (const { name, description } of libraries) console.log(`${name}: ${description}`)
  if (load > 0.5) console.log(`The machine was not idle: a load average of ${load.toFixed(1)} before the first window.`)
  if (libraries.length === 0) console.log('No library was found to compare with.')
  printTable(rows, libraries)
  printSummary(rows)
  return { ...context, libraries: Object.fromEntries(libraries.map(({ name, description }) => [name, description])), rows }
}

if (import.meta.filename === process.argv[1]) {
  const what = 'Bare matrix products: the addon against the libraries that are installed, and against the peak of fused multiply-add.'
  await runCommand({ name: 'npx tsx bench/kernels/products.ts', what, parts: shapeNames }, benchProducts)
}
