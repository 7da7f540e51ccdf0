/** How much of its speed a program keeps while one other process is busy on the same processors. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Comparison, interleave, type Program } from './interleave.ts'
import { pinned } from './processors.ts'

export interface BusyOptions {
  readonly cpus: readonly number[]
  readonly rounds: number
  readonly seconds: number
  /** Seconds that a window may take. */
  readonly patience: number
}

/** Milliseconds in which the loop has begun. */
const BEGINNING = 150

/** Works beside a process that does nothing but ask for the time. It would also end by itself. */
async function beside<T>({ cpus, patience }: BusyOptions, work: () => Promise<T>): Promise<T> {
  const loop = `const end = Date.now() + ${patience * 1000}; while (Date.now() < end);`
  const [file, ...arguments_] = pinned([process.execPath, '--eval', loop], cpus)
  const child = spawn(file, arguments_, { stdio: 'ignore' })
  const ended = once(child, 'exit')
  try {
    await sleep(BEGINNING)
    return await work()
  } finally {
    child.kill('SIGKILL')
    await ended
  }
}

/** Quiet windows and busy ones take turns: pairs of a busy window and a quiet one. */
export async function besideBusyProcess(program: Pick<Program, 'window'>, options: BusyOptions): Promise<Comparison> {
  const quiet = { name: 'quiet', window: () => program.window() }
  // That it is disturbed is what is asked about.
  const busy = { name: 'busy', window: () => beside(options, async () => ({ ...(await program.window()), disturbed: 0 })) }
  const { rounds, seconds } = options
  const limit = rounds * 2 * (seconds + 0.3) * 3
  const compared = await interleave([quiet, busy], { reference: 'quiet', rounds, limit, slow: Math.max(1, 4 * seconds) })
  return compared.get(busy) as Comparison
}
