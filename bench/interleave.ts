/**
 * Programs that take turns. Each is started once and warmed up; a round gives each of them one window, so whatever disturbs the machine disturbs
 * them alike. The order turns round every time (ABBA), and a round that others disturbed is repeated.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Window } from './window.ts'

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
  readonly warm: Window
}

export class TooSlow extends Error {}

const root = fileURLToPath(new URL('..', import.meta.url))
const canPin = spawnSync('taskset', ['--version']).status === 0

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
    const [file, ...arguments_] = canPin ? ['taskset', '-c', cpus.join(','), ...command] : command
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
  readonly rounds: number
  /** Seconds for all rounds, the repeated ones too. */
  readonly limit: number
  /** A program whose window takes longer than this takes part in the first two rounds only. */
  readonly slow: number
}

export interface Interleaved {
  /** For each round what each program measured. */
  readonly rounds: readonly ReadonlyMap<string, Window>[]
  /** Rounds that were disturbed, beyond the ones that count. */
  readonly noisy: number
  /** False when no round was quiet and noisy ones had to do. */
  readonly quiet: boolean
}

const NOISE = 0.05
/** Idle threads of the program before go on spinning for a while. */
const PAUSE = 60

export async function interleave(programs: readonly Program[], { rounds, limit, slow }: InterleaveOptions): Promise<Interleaved> {
  const quiet: Map<string, Window>[] = []
  const noisy: Map<string, Window>[] = []
  const slowOnes = new Set<Program>()
  const start = performance.now()
  while (quiet.length < rounds && (quiet.length + noisy.length < rounds || performance.now() - start < limit * 1000)) {
    const count = quiet.length + noisy.length
    const round = new Map<string, Window>()
    for (const program of count % 2 === 0 ? programs : programs.toReversed()) {
      if (slowOnes.has(program) && count >= 2) continue
      await sleep(PAUSE)
      const begin = performance.now()
      round.set(program.name, await program.window())
      if (performance.now() - begin > slow * 1000) slowOnes.add(program)
    }
    const disturbed = [...round.values()].some((window) => window.disturbed > NOISE)
    ;(disturbed ? noisy : quiet).push(round)
  }
  // The least disturbed of the noisy rounds stand in for quiet ones that did not come.
  const worst = (round: Map<string, Window>) => Math.max(...[...round.values()].map((window) => window.disturbed))
  const substitutes = noisy.sort((a, b) => worst(a) - worst(b)).slice(0, rounds - quiet.length)
  return { rounds: [...quiet, ...substitutes], noisy: noisy.length, quiet: substitutes.length === 0 }
}
