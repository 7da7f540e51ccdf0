/**
 * Whole training steps against what this machine allows: each instruction's time inside the step, beside the least that it could take.
 *
 *     npx tsx bench/kernels/steps.ts [--case d] [--threads N] [--isa X] [--quick] [--rounds N] [--json FILE]
 *
 * What counts as the least is in README.md.
 */
import { cpus } from 'node:os'
import type { Plan } from '../../src/plan/plan.ts'
import { type Case, caseNamed, cases } from '../cases.ts'
import { compileServe, servingCommand } from '../compile.ts'
import { interleave, type Program, start } from '../interleave.ts'
import { lastProcessors } from '../processors.ts'
import { findTorch, type Python, startTorch } from '../pytorch.ts'
import { median, ratio, type Spread, spread } from '../statistics.ts'
import { drawTable, formatNumber, percent, threadsOf } from '../tables.ts'
import { buildModel, buildOptimizer } from '../thalweg.ts'
import { NOISE, type Window } from '../window.ts'
import { type Options, runCommand } from './command.ts'
import { type Bound, boundsOf, fastest, leastSeconds, shareAtFloor, workingSet } from './floors.ts'
import { requireAddon } from './instruction.ts'
import { type Multiplier, type Product, startLibraries } from './libraries.ts'
import { type Bandwidth, measureLimits, type Peak, startPeak } from './limits.ts'
import { ProfiledTraining } from './profiledTraining.ts'
import { Ours, race } from './race.ts'
import { takeTurns } from './timing.ts'

/** What a step is compared with. */
interface Machine {
  readonly ours: Ours
  readonly libraries: readonly Multiplier[]
  readonly peak: Peak | null
  readonly torch: Python | null
  /** serve.ts, compiled. */
  readonly serve: string
}

/** Of a product. */
interface Shares {
  /** GFLOP/s inside the step, divided by the peak of the same round; null when there is no compiler. */
  readonly inStep: number | null
  /** Of the fastest bare product. */
  readonly atFloor: number | null
  /** GFLOP/s of everyone's bare product. */
  readonly gflops: Readonly<Record<string, Spread>>
}

interface Part {
  readonly op: string
  readonly operands: string
  readonly layer: string | null
  readonly phase: string | null
  /** Inside the step. */
  readonly microseconds: Spread
  /** The least, divided by the time inside the step. */
  readonly share: number
  /** What decides the floor: who multiplied fastest, "bytes", or "itself". */
  readonly bound: string
  readonly ofPeak: Shares | null
}

/** Steps a second, and how they compare with PyTorch's. */
interface Rates {
  readonly native: Spread
  readonly pytorch: { readonly name: string; readonly stepsPerSecond: Spread; readonly nativeIs: Spread } | null
}

interface Result {
  readonly case: string
  readonly workingSet: number
  readonly bandwidth: Bandwidth | null
  readonly peak: Spread | null
  readonly parts: readonly Part[]
  /** Time of a step at its floor, divided by that of the step. */
  readonly share: number
  readonly rates: Rates
  readonly windows: number
  readonly disturbedWindows: number
}

// ---- The floors ----

type Floor = Pick<Part, 'share' | 'bound' | 'ofPeak'>

/** The floor of part number `part`, which is a product, and the windows of the peak. */
async function floorOfProduct(part: number, product: Product, training: ProfiledTraining, machine: Machine, options: Options) {
  const { ours, libraries, peak } = machine
  const inStep = async () => (await training.window()).seconds[part]
  const others = peak === null ? [inStep] : [() => peak.window(), inStep]
  const { rates, others: said } = await race(product, ours, libraries, others, options)
  const measured = said[said.length - 1]
  const peaks = peak === null ? [] : said[0]
  const work = 2e-9 * product.rows * product.columns * product.depth
  const best = fastest(rates)
  const ofPeak = (gflops: readonly number[]) => ratio(peaks.map((to, round) => ({ of: gflops[round], to })))?.median ?? null
  const floor: Floor = {
    share: shareAtFloor(
      measured,
      rates[best].map((rate) => work / rate),
    ),
    bound: best,
    ofPeak: {
      inStep: ofPeak(measured.map((seconds) => work / seconds)),
      atFloor: ofPeak(rates[best]),
      gflops: Object.fromEntries(Object.entries(rates).map(([name, each]) => [name, spread(each)])),
    },
  }
  return { floor, peaks }
}

/** The floors of all passes over memory; none when their bandwidth cannot be measured. */
async function floorsOfPasses(plan: Plan, bounds: readonly Bound[], training: ProfiledTraining, { threads, rounds }: Options) {
  const windows: (readonly number[])[] = []
  const limits: Bandwidth[] = []
  await takeTurns(2, rounds, async (turn) => {
    if (turn === 0) windows.push((await training.window()).seconds)
    else limits.push(...((await measureLimits(threads, [workingSet(plan)]))?.memory ?? []))
    return 0
  })
  const floors = new Map<number, Floor>()
  if (limits.length === 0) return { floors, bandwidth: null }
  bounds.forEach((bound, part) => {
    if (bound.kind !== 'pass') return
    const measured = windows.map((seconds) => seconds[part])
    const least = limits.map((limit) => leastSeconds(bound.traffic, limit))
    floors.set(part, { share: shareAtFloor(measured, least), bound: 'bytes', ofPeak: null })
  })
  const typical = (way: 'bytes' | 'read' | 'write' | 'copy' | 'update') => median(limits.map((limit) => limit[way]))
  const exchanged = limits.flatMap(({ exchange }) => exchange ?? [])
  const bandwidth = {
    bytes: typical('bytes'),
    read: typical('read'),
    write: typical('write'),
    copy: typical('copy'),
    update: typical('update'),
    ...(exchanged.length > 0 && { exchange: median(exchanged) }),
  }
  return { floors, bandwidth }
}

/** Microseconds of a part inside the step, and at its floor. */
const timeOf = ({ microseconds }: Part) => microseconds.median
const floorOf = (part: Part) => part.share * timeOf(part)
const total = (parts: readonly Part[], of: (part: Part) => number) => parts.reduce((sum, part) => sum + of(part), 0)

const matrix = (rows: number, columns: number, transposed: boolean) => (transposed ? `[${columns}, ${rows}]ᵀ` : `[${rows}, ${columns}]`)

function operandsOf(bound: Bound, shape: readonly number[] | null): string {
  if (bound.kind === 'itself') return shape === null || shape.length === 0 ? '' : `[${shape.join(', ')}]`
  if (bound.kind === 'pass') return `${formatNumber(Object.values(bound.traffic).reduce((sum, bytes) => sum + bytes, 0) / 1e3)} kB`
  const { rows, depth, columns, transposeA, transposeB } = bound.product
  return `${matrix(rows, depth, transposeA)} ${matrix(depth, columns, transposeB)}`
}

async function measureCase(definition: Case, machine: Machine, options: Options): Promise<Result> {
  const { threads, windowSeconds } = options
  const { loss, batchSize } = definition
  const model = buildModel(definition, { executor: 'native', threads })
  const plan = model.trainingPlan(batchSize, { loss, optimizer: buildOptimizer(definition) })
  const bounds = boundsOf(plan)
  const training = new ProfiledTraining(definition, threads, windowSeconds)
  const instructions = await training.warm()
  if (instructions.length !== bounds.length) throw new Error(`case ${definition.name}: the profile is not that of the plan`)
  const { floors, bandwidth } = await floorsOfPasses(plan, bounds, training, options)
  const peaks: number[] = []
  for (const [part, bound] of bounds.entries()) {
    if (bound.kind !== 'product') continue
    const measured = await floorOfProduct(part, bound.product, training, machine, options)
    floors.set(part, measured.floor)
    peaks.push(...measured.peaks)
  }
  await training.end()
  const parts = instructions.map(({ op, shape, layer, phase }, i): Part => {
    const microseconds = spread(training.windows.map(({ seconds }) => 1e6 * seconds[i]))
    const floor = floors.get(i) ?? { share: 1, bound: 'itself', ofPeak: null }
    return { op, operands: operandsOf(bounds[i], shape), layer, phase, microseconds, ...floor }
  })
  return {
    case: definition.name,
    workingSet: workingSet(plan),
    bandwidth,
    peak: peaks.length === 0 ? null : spread(peaks),
    parts,
    share: total(parts, floorOf) / total(parts, timeOf),
    rates: await measureRates(definition, machine, options),
    windows: training.windows.length,
    disturbedWindows: training.windows.filter(({ disturbed }) => disturbed).length,
  }
}

// ---- Steps a second ----

/** Seconds that a contestant may take to get warm, or for a window. */
const PATIENCE = 60

/** Without a profile, as `npm run bench` measures them, and PyTorch's with the setting that serves it best most often. */
async function measureRates(definition: Case, { serve, torch }: Machine, { threads, rounds, windowSeconds }: Options): Promise<Rates> {
  const seconds = 20 * windowSeconds
  const cpus = lastProcessors(threads)
  const command = servingCommand(serve, definition, threads, seconds)
  const programs: Program[] = []
  try {
    programs.push(await start({ name: 'native', command, cpus, deadline: PATIENCE }))
    if (torch !== null) programs.push(await startTorch(torch, definition, true, { threads, seconds, cpus, deadline: PATIENCE }))
    const limit = 2 * rounds * programs.length * (seconds + 0.1)
    const compared = await interleave(programs, { reference: 'native', rounds, limit, slow: Number.POSITIVE_INFINITY })
    // What others took does not count where that is known.
    const rate = ({ disturbed, steps_per_s, steps_per_cpu_s }: Window) =>
      threads === 1 && disturbed > NOISE ? steps_per_cpu_s : steps_per_s
    const pairsOf = (program: Program) => compared.get(program)?.pairs ?? []
    const [ours, theirs] = programs
    const native = spread(pairsOf(ours).map(({ own }) => rate(own)))
    if (theirs === undefined) return { native, pytorch: null }
    const pairs = pairsOf(theirs).map(({ own, reference }) => ({ of: rate(reference ?? own), to: rate(own) }))
    return {
      native,
      pytorch: {
        name: `PyTorch ${torch?.version} (${theirs.setting})`,
        stepsPerSecond: spread(pairs.map(({ to }) => to)),
        nativeIs: ratio(pairs) as Spread,
      },
    }
  } finally {
    await Promise.all(programs.map((program) => program.quit()))
  }
}

// ---- Tables ----

function printCase({ share, rates, ...result }: Result, { what, batchSize }: Case): void {
  const { parts, bandwidth, peak } = result
  const whole = total(parts, timeOf)
  console.log(`\n${result.case}: ${what}, batch ${batchSize}`)
  const bytes = `working set ${formatNumber(result.workingSet / 2 ** 20)} MiB`
  const ways = bandwidth === null ? [] : (['read', 'copy', 'update'] as const).map((way) => `${way} ${formatNumber(bandwidth[way])} GB/s`)
  if (bandwidth?.exchange) ways.push(`read of another core ${formatNumber(bandwidth.exchange)} GB/s`)
  console.log([bytes, ...ways].join(', '))
  if (peak !== null)
    console.log(
      `Peak of fused multiply-add: ${peak.lowest.toFixed(1)} … ${peak.highest.toFixed(1)} GFLOP/s; shares are formed inside rounds.`,
    )
  const head = ['instruction', 'operands', 'layer', 'µs', 'of the step', 'of peak', 'floor, µs', 'floor / µs', 'of peak', 'floor set by']
  const sorted = [...parts].sort((a, b) => timeOf(b) - timeOf(a))
  const cells = sorted.map((part) => [
    part.op,
    part.operands,
    part.layer ?? '',
    timeOf(part).toFixed(2),
    `${((100 * timeOf(part)) / whole).toFixed(1)} %`,
    percent(part.ofPeak?.inStep),
    floorOf(part).toFixed(2),
    part.bound === 'itself' ? '' : percent(part.share),
    percent(part.ofPeak?.atFloor),
    part.bound,
  ])
  const sums = ['the step', '', '', whole.toFixed(2), '100.0 %', '', (whole * share).toFixed(2), percent(share), '', '']
  console.log(drawTable({ head, words: 3, rows: [...cells, sums] }))
  const { windows, disturbedWindows } = result
  if (disturbedWindows > 0) {
    const advice = disturbedWindows > windows / 2 ? ': the figures are no more than an estimate' : ''
    console.log(`Others disturbed ${disturbedWindows} of the step's ${windows} windows${advice}.`)
  }
}

/** What a step without anything above its floor would be. */
const atFloor = ({ median: typical }: Spread, share: number) => typical / share

function printSummary(results: readonly Result[]): void {
  const head = ['case', 'steps/s', 'at the floor', 'floor / step', 'PyTorch', 'native is', 'lowest … highest', 'at the floor']
  const times = (value: number) => `${value.toFixed(2)} ×`
  const rows = results.map(({ share, rates: { native, pytorch }, ...result }) => [
    result.case,
    formatNumber(native.median),
    formatNumber(atFloor(native, share)),
    percent(share),
    pytorch === null ? '–' : formatNumber(pytorch.stepsPerSecond.median),
    pytorch === null ? '–' : times(pytorch.nativeIs.median),
    pytorch === null ? '–' : `${pytorch.nativeIs.lowest.toFixed(2)} … ${pytorch.nativeIs.highest.toFixed(2)}`,
    pytorch === null ? '–' : times(atFloor(pytorch.nativeIs, share)),
  ])
  console.log(`\nSteps a second, and how many times PyTorch's they are`)
  console.log(drawTable({ head, words: 1, rows }))
  for (const { rates, ...result } of results) if (rates.pytorch !== null) console.log(`${result.case}: ${rates.pytorch.name}`)
}

/** XOR is left out where nothing else is asked: its steps are bookkeeping, of which nothing here knows a floor. */
const usual = Object.keys(cases).filter((name) => name !== 'a')

async function benchSteps(options: Options): Promise<object> {
  const { threads, isa, rounds, only } = options
  // The addon reads it when it loads a plan, in this process and in those that follow.
  if (isa !== undefined) process.env.THALWEG_ISA = isa
  const serve = await compileServe()
  const ours = new Ours(requireAddon(), options)
  const machine: Machine = {
    ours,
    libraries: await startLibraries(threads, ours.description),
    peak: startPeak(threads, ours.description),
    torch: findTorch(),
    serve,
  }
  const cpu = cpus()[0].model
  console.log(`Training steps and their floors. ${cpu}, ${ours.description}, ${threadsOf(threads)}, medians of ${rounds} rounds.`)
  for (const { name, description } of machine.libraries) console.log(`${name}: ${description}`)
  const results: Result[] = []
  try {
    for (const definition of (only === undefined ? usual : [only]).map(caseNamed)) {
      const result = await measureCase(definition, machine, options)
      printCase(result, definition)
      results.push(result)
    }
  } finally {
    for (const library of machine.libraries) library.close()
    machine.peak?.close()
  }
  printSummary(results)
  return { cpu, instructionSet: ours.description, threads, rounds, results }
}

const what = 'Whole training steps against what this machine allows: the time of each instruction, beside the least that it could take.'
await runCommand({ name: 'npx tsx bench/kernels/steps.ts', what, choose: 'case', parts: Object.keys(cases) }, benchSteps)
