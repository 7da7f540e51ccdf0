/**
 * Bare matrix products: the addon against the libraries that are installed, and against the peak of fused multiply-add.
 *
 *     npx tsx bench/kernels/products.ts [--threads N] [--isa X] [--quick] [--rounds N] [--only 64,512,512] [--json FILE]
 *
 * For the layer of a network with B rows, K inputs and N outputs: y = X W, dX = dY Wᵀ and dW = Xᵀ dY, with all operands contiguous
 * as a network has them. How the windows are taken is in README.md.
 */
import { cpus, loadavg } from 'node:os'
import { median, ratio, type Spread, spread } from '../statistics.ts'
import { drawTable, percent, threadsOf } from '../tables.ts'
import { type Options, runCommand } from './command.ts'
import { requireAddon } from './instruction.ts'
import { type Multiplier, type Product, startLibraries } from './libraries.ts'
import { type Peak, startPeak } from './limits.ts'
import { Ours, race } from './race.ts'

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
  /** GFLOP/s of fused multiply-add, measured in the same rounds; null when there is no compiler. */
  readonly peak: Spread | null
  /** The addon's rate, divided by the peak of the same round. */
  readonly shareOfPeak: Spread | null
  /** The largest difference from a library's result, divided by the root mean square of that. */
  readonly error: number
}

/** Rates divided by others of the same rounds. */
const quotient = (rates: readonly number[], others: readonly number[]) => ratio(rates.map((of, round) => ({ of, to: others[round] })))

async function measureRow(
  ours: Ours,
  libraries: readonly Multiplier[],
  peak: Peak | null,
  shape: Row['shape'],
  name: string,
  product: Product,
  options: Options,
): Promise<Row> {
  const { rates, others, error } = await race(product, ours, libraries, peak === null ? [] : [() => peak.window()], options)
  const [peaks] = others
  const ratios = libraries.flatMap(({ name: library }) => {
    const times = quotient(rates[ours.name], rates[library])
    return times === null ? [] : [[library, times] as const]
  })
  const best = [...ratios].sort((a, b) => a[1].median - b[1].median)[0]
  return {
    shape,
    product: name,
    gflops: Object.fromEntries(Object.entries(rates).map(([multiplier, each]) => [multiplier, spread(each)])),
    ratios: Object.fromEntries(ratios),
    best: best?.[0] ?? null,
    peak: peak === null ? null : spread(peaks),
    shareOfPeak: peak === null ? null : quotient(rates[ours.name], peaks),
    error,
  }
}

/** The middle of the middles, and the ends; null of none. */
const spreadOfAll = (spreads: readonly Spread[]): Spread | null =>
  spreads.length === 0
    ? null
    : {
        median: median(spreads.map(({ median: typical }) => typical)),
        lowest: Math.min(...spreads.map(({ lowest }) => lowest)),
        highest: Math.max(...spreads.map(({ highest }) => highest)),
      }

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
      percent(shareOfPeak?.median, '–'),
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
  const peak = startPeak(threads, ours.description)
  const rows: Row[] = []
  try {
    for (const shape of chosen) {
      for (const [name, product] of Object.entries(productsOf(...shape)))
        rows.push(await measureRow(ours, libraries, peak, shape, name, product, options))
      if (process.stderr.isTTY) console.error(`${shape.join(',')} done`)
    }
  } finally {
    for (const library of libraries) library.close()
    peak?.close()
  }
  const context = {
    cpu: cpus()[0].model,
    instructionSet: ours.description,
    threads,
    rounds,
    load,
    peak: spreadOfAll(rows.flatMap(({ peak }) => peak ?? [])),
  }
  console.log(
    `Products, GFLOP/s. ${context.cpu}, ${context.instructionSet}, ${threadsOf(threads)}, medians of ${rounds} ${rounds === 1 ? 'round' : 'rounds'}.`,
  )
  if (context.peak !== null) {
    const { lowest, highest } = context.peak
    console.log(`Peak of fused multiply-add: ${lowest.toFixed(1)} … ${highest.toFixed(1)}; shares are formed inside rounds.`)
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
