/** Runs of `child.ts` that are killed and begun again until they end, beside one that nobody kills. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { type Job, rowsOf } from './job.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
// As deep below the root as the sources, so that the addon is found.
const program = join(root, 'build', 'durability', 'child', 'child.mjs')
/** Far more than a run takes. */
const LIMIT = 60_000

/** Compiles the program: it begins in a fraction of the time. */
export async function prepare(): Promise<void> {
  const entryPoints = [join(root, 'test/durability/child.ts')]
  await build({ entryPoints, bundle: true, platform: 'node', format: 'esm', packages: 'external', outfile: program, logLevel: 'warning' })
}

interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly output: string
  readonly errors: string
}

/** Begins a run. @param whenBegun Called when it trains, or is about to. */
async function start(job: Job, whenBegun: (child: ChildProcess) => void = () => {}): Promise<Ended> {
  const child = spawn(process.execPath, [program, JSON.stringify(job)], { stdio: ['ignore', 'pipe', 'pipe'] })
  const limit = setTimeout(() => child.kill('SIGKILL'), LIMIT)
  let [output, errors, begun] = ['', '', false]
  child.stdout.on('data', (piece) => {
    output += piece
    if (!begun && output.startsWith('begun')) {
      begun = true
      whenBegun(child)
    }
  })
  child.stderr.on('data', (piece) => {
    errors += piece
  })
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  clearTimeout(limit)
  return { code, signal, output, errors }
}

const resultIn = ({ output }: Ended) => /^ended (.*)$/m.exec(output)?.[1] ?? null

async function expectedOf(job: Job): Promise<string> {
  const ended = await start({ ...job, checkpoint: null })
  const result = resultIn(ended)
  if (result === null) throw new Error(`The run that nobody kills failed: ${ended.errors}`)
  return result
}

export interface KillResult {
  readonly kills: number
  /** Of those, how many found a checkpoint when they began again. */
  readonly resumes: number
  readonly isEqual: boolean
  readonly leftovers: readonly string[]
}

/** One run, killed at random moments until it ends or there are enough kills. */
export async function killUntilOver(
  folder: string,
  {
    seed,
    streamed,
    random,
    mostKills,
    epochs = 20,
  }: { seed: number; streamed: boolean; random: () => number; mostKills: number; epochs?: number },
): Promise<KillResult> {
  const directory = join(folder, 'checkpoints')
  await mkdir(folder, { recursive: true })
  const csv = streamed ? join(folder, 'rows.csv') : null
  if (csv !== null) await writeFile(csv, ['a,b,c,d,y', ...rowsOf(seed).map(({ x, y }) => [...x, y].join())].join('\n'))
  const job = (everySteps: number): Job => ({ seed, epochs, csv, checkpoint: { directory, everySteps } })
  const expected = await expectedOf(job(1))
  let [kills, resumes] = [0, 0]
  for (;;) {
    const hadCheckpoint = (await readdir(directory).catch(() => [])).some((name) => name.startsWith('step-'))
    // Now and then before it trains at all.
    const delay = random() < 0.1 ? 0 : random() * 350
    const isLast = kills === mostKills
    const ended = await start(job(1 + Math.floor(random() * 6)), (child) => {
      if (!isLast) setTimeout(() => child.kill('SIGKILL'), delay)
    })
    if (hadCheckpoint) resumes++
    if (ended.signal === 'SIGKILL') {
      kills++
      continue
    }
    const result = resultIn(ended)
    if (result === null) throw new Error(`A run ended with ${ended.code ?? ended.signal}: ${ended.errors}${ended.output}`)
    const leftovers = (await readdir(directory)).filter((name) => !/^(step-\d{9}|best)\.safetensors$/.test(name))
    await rm(folder, { recursive: true })
    return { kills, resumes, isEqual: result === expected, leftovers }
  }
}

export interface SignalResult {
  readonly signal: NodeJS.Signals
  readonly milliseconds: number
  /** What is wrong, if anything. */
  readonly problems: readonly string[]
}

/** One run that is asked to end, by a signal, and one that goes on from there. */
export async function endBySignal(
  folder: string,
  { seed, streamed, signal, delay }: { seed: number; streamed: boolean; signal: NodeJS.Signals; delay: number },
): Promise<SignalResult> {
  const directory = join(folder, 'checkpoints')
  await mkdir(folder, { recursive: true })
  const csv = streamed ? join(folder, 'rows.csv') : null
  if (csv !== null) await writeFile(csv, ['a,b,c,d,y', ...rowsOf(seed).map(({ x, y }) => [...x, y].join())].join('\n'))
  // No checkpoint but the one that the signal asks for.
  const job: Job = { seed, epochs: 60, csv, checkpoint: { directory, everySteps: 1_000_000 }, slow: true }
  const expected = await expectedOf(job)
  const problems: string[] = []
  let asked = 0
  const ended = await start(job, async (child) => {
    await sleep(delay)
    asked = performance.now()
    child.kill(signal)
  })
  const milliseconds = performance.now() - asked
  if (ended.signal !== signal) problems.push(`ended with ${ended.code ?? ended.signal}, not by ${signal}: ${ended.errors}`)
  const stopped = /in epoch (\d+), after (\d+) of (\d+) steps/.exec(ended.output)
  if (stopped === null) problems.push(`does not say where it stopped: ${ended.output}`)
  else {
    const [epoch, step, steps] = stopped.slice(1).map(Number)
    const name = `step-${String((epoch - 1) * steps + step).padStart(9, '0')}.safetensors`
    const names = await readdir(directory)
    if (!names.includes(name)) problems.push(`left ${names.join(', ')}, not ${name}`)
    if (names.includes('run.lock')) problems.push('left its lock')
  }
  if (resultIn(await start(job)) !== expected) problems.push('goes on to other bits')
  await rm(folder, { recursive: true })
  return { signal, milliseconds, problems }
}
