/** Feeds targets with bad input and judges what comes of it. */
import { readdirSync, readlinkSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ThalwegError } from '../../src/errors.ts'
import { Purpose, RandomStream } from '../../src/random.ts'
import type { Target, Trial } from './targets.ts'

/** The longest one input may take, in milliseconds. */
const LIMIT = 10_000
/** Resident memory that is never reached, in bytes. */
const MOST_MEMORY = 2 ** 31
/** Inputs between two looks at open files and memory. */
const BETWEEN_LOOKS = 50

export interface Counts {
  accepted: number
  refused: number
  /** What was neither, or not in words that help. */
  readonly failures: string[]
  milliseconds: number
}

export interface FuzzOptions {
  readonly seed: number
  readonly first: number
  readonly count: number
  /** Told which input comes next. */
  readonly onInput?: (index: number) => void
}

/** Feeds a target with some inputs, one after the other. */
export async function fuzz(target: Target, { seed, first, count, onInput }: FuzzOptions): Promise<Counts> {
  const counts: Counts = { accepted: 0, refused: 0, failures: [], milliseconds: 0 }
  const folder = await mkdtemp(join(tmpdir(), `thalweg-fuzz-${target.name}-`))
  const begun = performance.now()
  let index = first
  const fail = (what: string) => counts.failures.push(`${target.name} ${index}: ${what}`)
  const onRejection = (reason: unknown) => fail(`a rejection that nobody handled: ${String((reason as Error)?.stack ?? reason)}`)
  process.on('unhandledRejection', onRejection)
  // A damaged checkpoint that is passed over is a warning; here only its number would be news.
  const onWarning = () => {}
  process.on('warning', onWarning)
  try {
    const make = await target.prepare(folder)
    for (; index < first + count; index++) {
      onInput?.(index)
      const started = performance.now()
      const trial = await make(new RandomStream(seed, Purpose.sample, index))
      try {
        await trial.run()
        counts.accepted++
      } catch (error) {
        counts.refused++
        const problem = problemOf(error, trial)
        if (problem !== null) fail(problem)
      }
      const took = performance.now() - started
      if (took > LIMIT) fail(`took ${took.toFixed(0)} ms`)
      if (Object.hasOwn(Object.prototype, 'polluted') || ({} as { prototype?: unknown }).prototype !== undefined)
        fail('the prototype of objects was changed')
      if (index % BETWEEN_LOOKS === 0) {
        for (const path of openBelow(folder)) fail(`left ${path} open (this input, or one of the ${BETWEEN_LOOKS} before)`)
        const { rss } = process.memoryUsage()
        if (rss > MOST_MEMORY) fail(`resident memory is ${rss} bytes`)
      }
      if (counts.failures.length > 20) break
    }
    await new Promise((resolve) => setImmediate(resolve))
    for (const path of openBelow(folder)) fail(`left ${path} open`)
  } finally {
    process.off('unhandledRejection', onRejection)
    process.off('warning', onWarning)
    await rm(folder, { recursive: true, force: true })
  }
  counts.milliseconds = performance.now() - begun
  return counts
}

/** What is wrong with a refusal, or null if it is one clear error. */
function problemOf(error: unknown, { sources }: Trial): string | null {
  if (!(error instanceof ThalwegError) || error.code === 'ERR_ASSERTION') return String((error as Error)?.stack ?? error)
  const { message } = error
  if (!sources.some((source) => message.includes(source))) return `does not name its source, ${sources.join(' or ')}: ${message}`
  if (!/^\S.{20,}[.!?)]$/su.test(message) || message.length > 3000) return `is no sentence: ${message.slice(0, 3000)}`
  return null
}

/** Files of a folder that this process has open; none where the system does not tell. */
function openBelow(folder: string): string[] {
  try {
    return readdirSync('/proc/self/fd').flatMap((number) => {
      try {
        const path = readlinkSync(`/proc/self/fd/${number}`)
        return path.startsWith(folder) ? [path] : []
      } catch {
        return []
      }
    })
  } catch {
    return []
  }
}
