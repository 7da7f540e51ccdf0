/**
 * What this machine can do at most, measured by a C++ program: the denominators of all shares of a limit.
 *
 *     npx tsx bench/kernels/limits.ts [--threads N]
 */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { parseArgs, promisify } from 'node:util'
import { readArguments, threadCount } from '../arguments.ts'
import { lastProcessors, pinThread } from '../processors.ts'
import { drawTable, threadsOf } from '../tables.ts'
import { tellOthers, watchOthers } from '../window.ts'
import { AnsweringProgram } from './answering.ts'
import { compileCpp } from './compileCpp.ts'

/** GB/s of going through a working set, counting what is read and what is written. */
export interface Bandwidth {
  /** The working set of all threads together. */
  readonly bytes: number
  readonly read: number
  readonly write: number
  /** From one half of the working set to the other, with ordinary stores. */
  readonly copy: number
  /** Read, change and write back in place. */
  readonly update: number
  /** Each thread reads what another has written just before; only with several. */
  readonly exchange?: number
}

export interface Limits {
  /** The instruction set of the processor that the compiler chose. */
  readonly instructionSet: string
  /** GFLOP/s. */
  readonly multiplyAdd: number
  /** The same with operands from the L1 cache, as a product has them. */
  readonly fromCache: number
  readonly memory: readonly Bandwidth[]
}

/** Registers of the addon's instruction sets; others are measured with the widest there are. */
const vectorBytes: Readonly<Record<string, number>> = { portable: 16, neon: 16, avx2: 32, avx512: 64 }

const execute = promisify(execFile)

/** The limits of so many threads on as many cores, the bandwidths of each working set; null when there is no compiler. */
export async function measureLimits(threads: number, workingSets: readonly number[] = [], isa?: string): Promise<Limits | null> {
  const program = compileCpp('limits.cc')
  if (program === null) return null
  const { stdout } = await execute(program, [threads, vectorBytes[isa ?? ''] ?? 0, ...workingSets].map(String))
  return JSON.parse(stdout)
}

/**
 * GFLOP/s of fused multiply-add on so many threads pinned to distinct cores, with the best instruction set of the processor or the
 * register width of another; null when there is no compiler. Takes about 0.2 s.
 */
export async function measurePeak(threads: number, isa?: string): Promise<number | null> {
  return (await measureLimits(threads, [], isa))?.multiplyAdd ?? null
}

/** The peak of fused multiply-add, a window of about 15 ms at a time: what is compared with it can take turns with it. */
export interface Peak {
  /** GFLOP/s. */
  window(): Promise<number>
  close(): void
}

/** A process that measures the peak whenever it is asked; null when there is no compiler. */
export function startPeak(threads: number, isa?: string): Peak | null {
  const path = compileCpp('limits.cc')
  if (path === null) return null
  const program = new AnsweringProgram('limits', path, [`${threads}`, `${vectorBytes[isa ?? ''] ?? 0}`, 'windows'])
  return {
    window: async () => (await program.ask<{ multiplyAdd: number }>('window')).multiplyAdd,
    close: () => program.close(),
  }
}

export interface Level {
  readonly name: 'L2' | 'L3' | 'memory'
  /** A working set that lives there, of all threads together. */
  readonly bytes: number
}

/** A working set for each level: half of the L2 caches, well past them but inside the L3 cache, and past that. */
export function levels(threads: number): Level[] {
  const l2 = cacheBytes('2') ?? 2 ** 20
  const l3 = Math.max(cacheBytes('3') ?? 2 ** 24, 4 * l2)
  return [
    { name: 'L2', bytes: (threads * l2) / 2 },
    { name: 'L3', bytes: Math.min(4 * threads * l2, l3 / 2) },
    // On a virtual machine the L3 cache is that of the host, most of it other people's.
    { name: 'memory', bytes: Math.min(4 * l3, 2 ** 29) },
  ]
}

/** The size of a data cache of the first processor, where the system says it. */
function cacheBytes(level: string): number | undefined {
  try {
    for (let index = 0; ; index++) {
      const read = (name: string) => readFileSync(`/sys/devices/system/cpu/cpu0/cache/index${index}/${name}`, 'utf8').trim()
      if (read('level') === level && read('type') !== 'Instruction') return Number.parseInt(read('size'), 10) * 1024
    }
  } catch {
    return undefined
  }
}

const COMMAND = 'npx tsx bench/kernels/limits.ts'
const HELP = `What this machine can do at most: multiply-adds, and bandwidths of memory.

  ${COMMAND} [--threads N]`

function parse(): number | null {
  const { values } = parseArgs({ options: { threads: { type: 'string', default: '1' }, help: { type: 'boolean', default: false } } })
  return values.help ? null : threadCount(values.threads)
}

async function main(): Promise<void> {
  const threads = readArguments(COMMAND, HELP, parse)
  if (threads === 1) pinThread(lastProcessors(1))
  const sets = levels(threads)
  const others = watchOthers()
  const limits = await measureLimits(
    threads,
    sets.map(({ bytes }) => bytes),
  )
  const part = others()
  if (limits === null) {
    console.error('No C++ compiler was found: install g++ or clang++, or name one in the environment variable CXX.')
    process.exit(1)
  }
  console.log(`${limits.instructionSet}, ${threadsOf(threads)}: ${limits.multiplyAdd.toFixed(1)} GFLOP/s of fused multiply-add`)
  console.log(`${limits.fromCache.toFixed(1)} GFLOP/s with operands from the L1 cache, as a product has them`)
  const rows = limits.memory.map(({ bytes, read, write, copy, update, exchange }, index) => {
    const rates = [read, write, copy, update, ...(exchange === undefined ? [] : [exchange])]
    return [sets[index].name, `${bytes / 2 ** 20} MiB`, ...rates.map((rate) => rate.toFixed(1))]
  })
  const ways = ['read', 'write', 'copy', 'update', ...(threads > 1 ? ['read, of another core'] : [])]
  console.log(drawTable({ head: ['GB/s', 'working set', ...ways], words: 1, rows }))
  tellOthers(part)
}

if (import.meta.filename === process.argv[1]) await main()
