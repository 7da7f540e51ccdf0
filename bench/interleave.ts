/**
 * Programs that take turns. Each is started once and warmed up; a round gives each of them one window, so whatever disturbs the machine disturbs
 * them alike. The order turns round every time (ABBA), and a comparison that others disturbed is repeated.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { pinned } from './processors.ts'
import { NOISE, type Window } from './window.ts'

export interface ProgramOptions {
  readonly name: string
  readonly command: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  /** Processors that it may run on, where `taskset` exists. */
  readonly cpus: readonly number[]
  /** Seconds that starting, or one window, may take. */
  readonly deadline: number
}

/** What a program says when it is warm. */
export interface Ready {
  readonly impl: string
  readonly note: string
}

export class TooSlow extends Error {}

const root = fileURLToPath(new URL('..', import.meta.url))

export class Program {
  readonly name: string
  ready: Ready | null = null
  /** What was chosen for it, if there was a choice. */
  setting = ''
  private readonly child: ChildProcess
  private readonly deadline: number
  private readonly lines: AsyncIterator<string>
  private errors = ''

  constructor({ name, command, environment = {}, cpus, deadline }: ProgramOptions) {
    this.name = name
    this.deadline = deadline
    const [file, ...arguments_] = pinned(command, cpus)
    this.child = spawn(file, arguments_, { cwd: root, env: { ...process.env, ...environment }, stdio: ['pipe', 'pipe', 'pipe'] })
    const { stdin, stdout, stderr } = this.child
    if (stdin === null || stdout === null || stderr === null) throw new Error(`${name}: the process has no pipes.`)
    // A program that has died is noticed when its answer does not come.
    stdin.on('error', () => {})
    stderr.on('data', (text) => {
      this.errors = `${this.errors}${text}`.slice(-4000)
    })
    this.child.on('error', ({ message }) => {
      this.errors += message
    })
    this.lines = createInterface({ input: stdout })[Symbol.asyncIterator]()
  }

  /** The next line of JSON. Lines that are not JSON are a library's greetings. */
  async read(): Promise<unknown> {
    const end = performance.now() + this.deadline * 1000
    for (;;) {
      const late = new AbortController()
      const waited = sleep(Math.max(1, end - performance.now()), null, { signal: late.signal }).catch(() => null)
      const result = await Promise.race([this.lines.next(), waited])
      late.abort()
      if (result === null) {
        this.child.kill('SIGKILL')
        throw new TooSlow(`more than ${this.deadline} s`)
      }
      if (result.done) throw new Error(`${this.name} ended before it answered: ${lastLine(this.errors)}`)
      if (result.value.startsWith('{')) return JSON.parse(result.value)
    }
  }

  async window(): Promise<Window> {
    this.child.stdin?.write('go\n')
    return (await this.read()) as Window
  }

  async quit(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const ended = new Promise((resolve) => this.child.once('exit', resolve))
    this.child.stdin?.end('quit\n')
    const late = setTimeout(() => this.child.kill('SIGKILL'), 2000)
    await ended
    clearTimeout(late)
  }
}

/** What went wrong is in the line that names the error, else in the last one. */
function lastLine(text: string): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  return lines.find((line) => /^\w*Error\b/.test(line)) ?? lines.at(-1) ?? 'it said nothing'
}

/** A program that has said that it is ready. */
export async function start(options: ProgramOptions): Promise<Program> {
  const program = new Program(options)
  program.ready = (await program.read()) as Ready
  return program
}

export interface InterleaveOptions {
  /** Whom the others are compared with, if it is one of the programs. */
  readonly reference: string
  /** Quiet comparisons wanted of each program. */
  readonly rounds: number
  /** Seconds for all rounds. When they are over, everyone has had its windows, quiet or not. */
  readonly limit: number
  /** A program whose window takes longer than this has at most two. */
  readonly slow: number
}

/** A window of a program and the reference's of the same round; for the reference itself, twice the same. */
export interface Pair {
  readonly own: Window
  readonly reference: Window | null
}

export interface Comparison {
  readonly pairs: readonly Pair[]
  /** False when the least disturbed pairs had to stand in for quiet ones. */
  readonly quiet: boolean
  /** Why it left early; null when it did not. */
  readonly failure: Error | null
}

/** Idle threads of the program before go on spinning for a while. */
const PAUSE = 60
const SLOW_ROUNDS = 2

const disturbance = ({ own, reference }: Pair) => Math.max(own.disturbed, reference?.disturbed ?? 0)

/** What takes turns: a Program, or something like it. */
export type Player = Pick<Program, 'name' | 'window'>

/** The pairs of one program. Only its own window and the reference's must have been quiet: what disturbed a third one does not matter. */
class Turns {
  private readonly pairs: Pair[] = []
  private slow = false
  private failure: Error | null = null

  add(pair: Pair, slow: boolean): void {
    this.pairs.push(pair)
    this.slow ||= slow
  }

  fail(error: Error): void {
    this.failure = error
  }

  get hasFailed(): boolean {
    return this.failure !== null
  }

  isComplete(rounds: number): boolean {
    if (this.hasFailed || (this.slow && this.pairs.length >= SLOW_ROUNDS)) return true
    return this.pairs.filter((pair) => disturbance(pair) <= NOISE).length >= rounds
  }

  comparison(rounds: number): Comparison {
    const best = [...this.pairs].sort((a, b) => disturbance(a) - disturbance(b)).slice(0, rounds)
    // In the order of time again.
    const pairs = this.pairs.filter((pair) => best.includes(pair))
    return { pairs, quiet: pairs.every((pair) => disturbance(pair) <= NOISE), failure: this.failure }
  }
}

/** A window of each that answers. */
async function playRound<P extends Player>(players: readonly P[], failed: (player: P, error: Error) => void) {
  const windows = new Map<P, { readonly window: Window; readonly seconds: number }>()
  for (const player of players) {
    await sleep(PAUSE)
    const start = performance.now()
    try {
      const window = await player.window()
      windows.set(player, { window, seconds: (performance.now() - start) / 1000 })
    } catch (error) {
      failed(player, error as Error)
    }
  }
  return windows
}

/** Lets programs take turns. Who has enough quiet windows leaves; the reference stays until the last one has. */
export async function interleave<P extends Player>(
  players: readonly P[],
  { reference, rounds, limit, slow }: InterleaveOptions,
): Promise<ReadonlyMap<P, Comparison>> {
  const turns = new Map(players.map((player) => [player, new Turns()]))
  const of = (player: P) => turns.get(player) as Turns
  const end = performance.now() + limit * 1000
  for (let round = 0; round < rounds || performance.now() < end; round++) {
    const waiting = players.filter((player) => !of(player).isComplete(rounds))
    if (waiting.length === 0) break
    const present = players.filter((player) => waiting.includes(player) || (player.name === reference && !of(player).hasFailed))
    const windows = await playRound(round % 2 === 0 ? present : present.toReversed(), (player, error) => of(player).fail(error))
    const standard = [...windows].find(([{ name }]) => name === reference)?.[1].window ?? null
    for (const [player, { window, seconds }] of windows) of(player).add({ own: window, reference: standard }, seconds > slow)
  }
  return new Map([...turns].map(([player, taken]) => [player, taken.comparison(rounds)]))
}
