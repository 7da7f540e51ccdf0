/** Measures: for each case and number of threads it starts everyone who can take part, lets them take turns, and makes results of the windows. */
import { besideBusyProcess } from './busy.ts'
import { type Case, flopsPerStep } from './cases.ts'
import { servingCommand } from './compile.ts'
import { interleave, type Program, start, TooSlow } from './interleave.ts'
import { lastProcessors } from './processors.ts'
import { type Python, startTorch } from './pytorch.ts'
import type { Results, Speed } from './results.ts'
import { type Rival, versionOf } from './rivals.ts'
import { ratio, spread } from './statistics.ts'
import { threadsOf } from './tables.ts'
import type { Window } from './window.ts'

export interface MeasureOptions {
  /** serve.ts, compiled. */
  readonly serve: string
  readonly rounds: number
  /** Length of a window. */
  readonly seconds: number
  /** Seconds that a contestant may need until it is warm, and for a window. */
  readonly patience: number
  readonly quick: boolean
  readonly native: boolean
  readonly torch: Python | null
  readonly rivals: readonly Rival[]
  readonly report: (line: string) => void
}

interface Entrant {
  readonly name: string
  start(cpus: readonly number[]): Promise<Program>
}

/** A contestant takes at least this many steps: one to compile, one to warm up, one to be measured. */
const LEAST_STEPS = 3
/** A case says how long a larger one will take, unless that is so many times larger: small ones are all overhead. */
const COMPARABLE = 500
/** Cases that npm rivals are measured on when time is short: one where overhead decides, one where arithmetic does. */
const QUICK_RIVAL_CASES = 'ac'

function serving(name: string, definition: Case, threads: number, arguments_: readonly string[], options: MeasureOptions): Entrant {
  const command = servingCommand(options.serve, definition, threads, options.seconds)
  return { name, start: (cpus) => start({ name, command: [...command, ...arguments_], cpus, deadline: options.patience }) }
}

/** Who takes part. Only native and PyTorch use more than one thread. */
function entrants(definition: Case, threads: number, options: MeasureOptions): Entrant[] {
  const { torch, quick, seconds, patience } = options
  const ours = (name: string) => serving(name, definition, threads, ['--executor', name], options)
  const native = options.native ? [ours('native')] : []
  const pytorch: Entrant[] =
    torch === null
      ? []
      : [{ name: 'pytorch', start: (cpus) => startTorch(torch, definition, quick, { threads, seconds, cpus, deadline: patience }) }]
  if (threads > 1) return [...native, ...pytorch]
  const rivals = options.rivals
    .filter((rival) => versionOf(rival) !== null && rival.cases.includes(definition.name))
    .filter(() => !quick || QUICK_RIVAL_CASES.includes(definition.name))
    .map(({ name }) => serving(name, definition, threads, ['--rival', name], options))
  return [...native, ...pytorch, ours('plain'), ours('reference'), ...rivals]
}

/** What one can do about it. Where others use the processors, everyone takes longer. */
const WAIT = 'a larger --patience waits for it'

const noAnswer = (error: Error) =>
  error instanceof TooSlow ? `a window takes ${error.message}; ${WAIT}` : `it stopped answering: ${error.message}`

export class Measurement {
  private readonly results: Results
  private readonly options: MeasureOptions
  /** The highest flops a second by contestant, from the cases before, and the flops of a step of the last one. */
  private readonly speeds = new Map<string, { readonly flops: number; readonly perSecond: number }>()

  constructor(results: Results, options: MeasureOptions) {
    this.results = results
    this.options = options
  }

  async run(definition: Case, threads: number): Promise<void> {
    const cpus = lastProcessors(threads)
    const programs: Program[] = []
    try {
      for (const entrant of entrants(definition, threads, this.options)) {
        const program = await this.admit(entrant, definition, threads, cpus)
        if (program !== null) programs.push(program)
      }
      if (programs.length > 0) await this.compare(programs, definition, threads)
    } finally {
      await Promise.all(programs.map((program) => program.quit()))
    }
  }

  /** Native and PyTorch, one after the other, each against itself beside a busy process. */
  async runBusy(definition: Case, threads: number): Promise<void> {
    const cpus = lastProcessors(threads)
    for (const entrant of entrants(definition, threads, this.options)) {
      if (!['native', 'pytorch'].includes(entrant.name)) continue
      const program = await this.admit(entrant, definition, threads, cpus)
      if (program === null) continue
      try {
        await this.compareBusy(program, definition, threads, cpus)
      } finally {
        await program.quit()
      }
    }
  }

  private async compareBusy(program: Program, definition: Case, threads: number, cpus: readonly number[]): Promise<void> {
    const { rounds, seconds, patience, report } = this.options
    report(`case ${definition.name}, ${threadsOf(threads)}: ${program.name} beside a busy process`)
    const { pairs, quiet, failure } = await besideBusyProcess(program, { cpus, rounds, seconds, patience })
    if (failure !== null) this.omit(program.name, definition, threads, noAnswer(failure))
    const rates = pairs.flatMap(({ own, reference }) => (reference === null ? [] : [{ of: own.steps_per_s, to: reference.steps_per_s }]))
    const kept = ratio(rates)
    if (kept === null) return
    this.results.busy.push({
      case: definition.name,
      threads,
      contestant: program.name,
      setting: program.setting,
      quietStepsPerSecond: spread(rates.map(({ to }) => to)),
      busyStepsPerSecond: spread(rates.map(({ of }) => of)),
      kept,
      rounds: rates.length,
      quiet,
    })
  }

  private async admit(entrant: Entrant, definition: Case, threads: number, cpus: readonly number[]): Promise<Program | null> {
    const omit = (reason: string) => this.omit(entrant.name, definition, threads, reason)
    const step = this.predict(entrant.name, definition)
    if (step !== null && step * LEAST_STEPS > this.options.patience)
      return omit(`by its speed in the cases before, a step takes about ${Number(step.toPrecision(2))} s; ${WAIT}`)
    this.options.report(`case ${definition.name}, ${threadsOf(threads)}: starting ${entrant.name}`)
    try {
      return await entrant.start(cpus)
    } catch (error) {
      return omit(error instanceof TooSlow ? `starting and warming up take ${error.message}; ${WAIT}` : (error as Error).message)
    }
  }

  private omit(contestant: string, definition: Case, threads: number, reason: string): null {
    this.results.omissions.push({ contestant, case: definition.name, threads, reason })
    return null
  }

  private async compare(programs: readonly Program[], definition: Case, threads: number): Promise<void> {
    const { rounds, seconds, report } = this.options
    const who = programs.length === 1 ? `${programs[0].name} alone` : `${programs.length} contestants take turns`
    report(`case ${definition.name}, ${threadsOf(threads)}: ${who}`)
    const limit = rounds * programs.length * (seconds + 0.1) * (this.options.quick ? 1.2 : 3)
    const compared = await interleave(programs, { reference: 'native', rounds, limit, slow: Math.max(1, 4 * seconds) })
    for (const [program, { pairs, quiet, failure }] of compared) {
      if (failure !== null) this.omit(program.name, definition, threads, noAnswer(failure))
      if (pairs.length === 0) continue
      const entry = this.entry(
        program,
        definition,
        threads,
        pairs.map(({ own }) => own),
      )
      const rates = pairs.flatMap(({ own, reference }) => (reference === null ? [] : [{ of: reference.steps_per_s, to: own.steps_per_s }]))
      this.results.speed.push({ ...entry, quiet, nativeIs: ratio(rates) })
      this.remember(program.name, definition, entry.stepsPerSecond.median)
    }
  }

  private remember(name: string, definition: Case, stepsPerSecond: number): void {
    const flops = flopsPerStep(definition)
    this.speeds.set(name, { flops, perSecond: Math.max(this.speeds.get(name)?.perSecond ?? 0, stepsPerSecond * flops) })
  }

  /** Seconds for a step, by the cases before; null when there was none, or one so much smaller that it says nothing. */
  private predict(name: string, definition: Case): number | null {
    const known = this.speeds.get(name)
    const flops = flopsPerStep(definition)
    return known === undefined || flops > known.flops * COMPARABLE ? null : flops / known.perSecond
  }

  private entry(program: Program, definition: Case, threads: number, windows: readonly Window[]): Omit<Speed, 'nativeIs' | 'quiet'> {
    const stepsPerSecond = spread(windows.map(({ steps_per_s }) => steps_per_s))
    const peak = this.results.peak[threads] ?? null
    return {
      case: definition.name,
      threads,
      contestant: program.name,
      implementation: program.ready?.impl ?? program.name,
      note: program.ready?.note ?? '',
      setting: program.setting,
      stepsPerSecond,
      stepsPerCpuSecond: spread(windows.map(({ steps_per_cpu_s }) => steps_per_cpu_s)),
      partOfPeak: peak === null ? null : (stepsPerSecond.median * flopsPerStep(definition)) / (peak * 1e9),
      peakBytes: Math.max(...windows.map(({ peak_bytes }) => peak_bytes)),
      rounds: windows.length,
    }
  }
}
