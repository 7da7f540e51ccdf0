/** One contestant, one window: how many steps a second, on how much of the processor, and who else was running. */
import { existsSync, readFileSync } from 'node:fs'
import { allowedProcessors } from './processors.ts'

/** Something that can be trained for as long as one likes. */
export interface Contestant {
  readonly implementation: string
  readonly note: string
  /** Trains for a while, at least a step; how many steps it was. */
  advance(): number | Promise<number>
}

/** What a serving process prints for each window; the names are those of the protocol. */
export interface Window {
  readonly steps_per_s: number
  readonly steps_per_cpu_s: number
  /** The part of the window that others took, 0 … 1. */
  readonly disturbed: number
  readonly steps: number
  /** The most memory the process has held so far. */
  readonly peak_bytes: number
}

/** A window of which others took more than this part is disturbed. */
export const NOISE = 0.05

/** Whether the system says who computes, and how much memory a process holds. */
export const hasProc = ['/proc/stat', '/proc/self/stat', '/proc/self/status'].every((file) => existsSync(file))

/** Seconds that these processors have been busy since the machine started, whoever used them. A tick is 10 ms on Linux. */
function busySeconds(processors: ReadonlySet<number>): number {
  let ticks = 0
  for (const [, processor, times] of readFileSync('/proc/stat', 'utf8').matchAll(/^cpu(\d+) (.*)$/gm)) {
    if (!processors.has(Number(processor))) continue
    const [user, nice, system, , , interrupts, softInterrupts, stolen] = times.trim().split(/\s+/).map(Number)
    ticks += user + nice + system + interrupts + softInterrupts + stolen
  }
  return ticks / 100
}

/** Seconds that this process has computed, and all those that it has started and that have ended. */
function familySeconds(): number {
  const text = readFileSync('/proc/self/stat', 'utf8')
  // Behind the name of the program, which may hold anything. See proc(5): utime, stime, cutime and cstime are fields 14 to 17.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return fields.slice(11, 15).reduce((ticks, field) => ticks + Number(field), 0) / 100
}

/**
 * Watches the processors that this process may run on. What it returns tells which part of their time others have taken since then; 0 where the system does not say.
 *
 * @param ownSeconds How long those have computed that are no others.
 */
export function watchOthers(ownSeconds: () => number = familySeconds): () => number {
  if (!hasProc) return () => 0
  const processors = new Set(allowedProcessors())
  const [busy, own, start] = [busySeconds(processors), ownSeconds(), performance.now()]
  return () => {
    const seconds = (performance.now() - start) / 1000
    const foreign = busySeconds(processors) - busy - (ownSeconds() - own)
    return Math.min(1, Math.max(0, foreign) / (seconds * processors.size))
  }
}

/** Says so if others took so much of the processors' time, as `watchOthers` tells it, that it cannot be neglected. */
export function tellOthers(part: number): void {
  if (part > NOISE)
    console.log(`Others took ${Math.round(100 * part)} % of the processors meanwhile: the figures are no more than an estimate.`)
}

function peakMemory(): number {
  // On Linux, maxRSS may still hold what the parent had when it started this process.
  if (hasProc) {
    const [, kibibytes] = /^VmHWM:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
    if (kibibytes !== undefined) return Number(kibibytes) * 1024
  }
  return process.resourceUsage().maxRSS * 1024
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

/** Runs a contestant for about so many seconds. */
export async function runWindow(contestant: Contestant, seconds: number, threads: number): Promise<Window> {
  // The clock of the process is finer than that of a family, and a contestant starts none.
  const others = watchOthers(cpuSeconds)
  const cpuBefore = cpuSeconds()
  const start = performance.now()
  let steps = 0
  let wall = 0
  do {
    steps += await contestant.advance()
    wall = (performance.now() - start) / 1000
  } while (wall < seconds)
  const cpu = cpuSeconds() - cpuBefore
  return {
    steps_per_s: steps / wall,
    steps_per_cpu_s: steps / cpu,
    // One thread has a processor to itself: what counts is how long it was off it. More threads need all of theirs.
    disturbed: threads === 1 ? 1 - Math.min(1, cpu / wall) : others(),
    steps,
    peak_bytes: peakMemory(),
  }
}

/**
 * A contestant from a step function. Short steps are run in groups, so that asking for the time does not become part of what is measured;
 * `prepare` finds out how many.
 */
export class Stepper implements Contestant {
  readonly implementation: string
  readonly note: string
  private readonly step: (i: number) => void | Promise<void>
  private group = 1
  private done = 0

  constructor(implementation: string, note: string, step: (i: number) => void | Promise<void>) {
    this.implementation = implementation
    this.note = note
    this.step = step
  }

  async advance(): Promise<number> {
    for (let i = 0; i < this.group; i++) {
      const result = this.step(this.done++)
      if (result !== undefined) await result
    }
    return this.group
  }

  /** Doubles the group until it takes a fiftieth of the window. */
  async prepare(seconds: number): Promise<void> {
    for (;;) {
      const start = performance.now()
      await this.advance()
      if (performance.now() - start > (seconds * 1000) / 50) return
      this.group *= 2
    }
  }
}
