/** PyTorch, where a python3 of this machine has it, with the settings that serve it best. */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Case, parameterCount } from './cases.ts'
import { batchCount } from './data.ts'
import { interleave, type Program, start } from './interleave.ts'
import { ratio } from './statistics.ts'
import type { Window } from './window.ts'

export interface Python {
  readonly python: string
  readonly version: string
  /** Folder of the package. */
  readonly folder: string
  /** Files outside of it that are loaded with it: a distribution spreads a package over several folders. */
  readonly libraries: readonly string[]
}

const script = fileURLToPath(new URL('./rivals/pytorch.py', import.meta.url))

/** Prints version, folder, and the shared libraries outside of the folder that are loaded with it. */
const INSPECT = `
import os, sys
def mapped():
    try:
        with open('/proc/self/maps') as lines:
            return {os.path.realpath(line.split()[-1]) for line in lines if '.so' in line.split()[-1]}
    except OSError:
        return set()
before = mapped()
import torch
folder = os.path.dirname(torch.__file__)
print('\\n'.join([torch.__version__, folder] + [path for path in sorted(mapped() - before) if not path.startswith(folder)]))
`

/** The first python3 that can import torch. */
export function findTorch(): Python | null {
  for (const python of ['python3', '/usr/bin/python3', '/usr/local/bin/python3']) {
    const { status, stdout } = spawnSync(python, ['-c', INSPECT], { encoding: 'utf8' })
    if (status !== 0) continue
    const [version, folder, ...libraries] = stdout.trim().split('\n')
    return { python, version, folder, libraries }
  }
  return null
}

/** Settings outside of the program: environment variables, and what to call them. */
export interface Setting {
  readonly name: string
  readonly environment: Readonly<Record<string, string>>
}

/** glibc gives large blocks back to the system at every free, and a step allocates all of its memory anew. */
const keepMemory: Setting = {
  name: 'malloc keeps memory',
  environment: { MALLOC_MMAP_THRESHOLD_: '4000000000', MALLOC_TRIM_THRESHOLD_: '8000000000', MALLOC_TOP_PAD_: '67108864' },
}

/** Debian installs several builds of OpenBLAS; the one with OpenMP shares PyTorch's threads instead of competing with them. */
function openMpBlas(): Setting | null {
  if (!existsSync('/usr/lib')) return null
  const folder = readdirSync('/usr/lib')
    .map((name) => `/usr/lib/${name}/openblas-openmp`)
    .find((candidate) => existsSync(candidate))
  if (folder === undefined) return null
  const path = [folder, ...(process.env.LD_LIBRARY_PATH ?? '').split(':').filter((part) => part !== '')].join(':')
  return { name: 'OpenBLAS with OpenMP', environment: { LD_LIBRARY_PATH: path } }
}

const both = (a: Setting, b: Setting): Setting => ({ name: `${a.name}, ${b.name}`, environment: { ...a.environment, ...b.environment } })

/** All of them; or, where time is short, the one that wins most often. */
export function settings(quick: boolean): Setting[] {
  const blas = openMpBlas()
  const most = blas === null ? keepMemory : both(blas, keepMemory)
  if (quick) return [most]
  return [{ name: 'defaults', environment: {} }, keepMemory, ...(blas === null ? [] : [blas, most])]
}

export interface TorchOptions {
  readonly threads: number
  readonly seconds: number
  readonly cpus: readonly number[]
  readonly deadline: number
}

export const torchCommand = ({ python }: Python, definition: Case): string[] => [
  python,
  script,
  JSON.stringify(definition),
  '--batches',
  `${batchCount(definition)}`,
]

type Foreach = 'yes' | 'no' | 'auto'

interface Choice {
  readonly setting: Setting
  readonly foreach: Foreach
}

const serve = (found: Python, definition: Case, { setting, foreach }: Choice, options: TorchOptions) =>
  start({
    name: 'pytorch',
    command: [
      ...torchCommand(found, definition),
      '--threads',
      `${options.threads}`,
      '--seconds',
      `${options.seconds}`,
      '--foreach',
      foreach,
    ],
    // Its threads keep to their processors: otherwise two of them may wake on one.
    environment: { ...setting.environment, ...(options.threads > 1 && { OMP_PROC_BIND: 'true' }) },
    cpus: options.cpus,
    deadline: options.deadline,
  })

const usesForeach = (program: Program) => (program.ready as { foreach?: boolean }).foreach === true

/** Rounds of short windows among all settings, and of whole ones between the best two. */
const TRIALS = 3
const ROUNDS = 5

/** Of a window. On one thread the processor's own time says it, whoever else was running. */
const rateOf = ({ steps_per_s, steps_per_cpu_s }: Window, threads: number) => (threads === 1 ? steps_per_cpu_s : steps_per_s)

/** How many times as fast as the first each program is: medians of ratios inside rounds in which all take turns. */
async function compare(programs: readonly Program[], rounds: number, { seconds, threads }: TorchOptions): Promise<number[]> {
  const players = programs.map((program, i) => ({ name: `${i}`, window: () => program.window() }))
  const limit = rounds * players.length * (seconds + 0.1) * 2
  const compared = await interleave(players, { reference: '0', rounds, limit, slow: Math.max(1, 4 * seconds) })
  return players.map((player) => {
    const pairs = compared.get(player)?.pairs ?? []
    const times = pairs.flatMap(({ own, reference }) =>
      reference === null ? [] : [{ of: rateOf(own, threads), to: rateOf(reference, threads) }],
    )
    return player === players[0] ? 1 : (ratio(times)?.median ?? 0)
  })
}

/** Starts a program for each choice, lets them take turns, and gives back the choices with the fastest first. */
async function rank<C extends Choice>(
  found: Python,
  definition: Case,
  choices: readonly C[],
  rounds: number,
  options: TorchOptions,
): Promise<{ choice: C; program: Program }[]> {
  const started: { choice: C; program: Program }[] = []
  try {
    for (const choice of choices) started.push({ choice, program: await serve(found, definition, choice, options) })
    const times = await compare(
      started.map(({ program }) => program),
      rounds,
      options,
    )
    return started
      .map((each, i) => ({ each, times: times[i] }))
      .sort((x, y) => y.times - x.times)
      .map(({ each }) => each)
  } catch (error) {
    await Promise.all(started.map(({ program }) => program.quit()))
    throw error
  }
}

/** The best two settings, and whether with `foreach`. */
async function calibrate(found: Python, definition: Case, options: TorchOptions): Promise<Choice[]> {
  const choices = settings(false).map((setting) => ({ setting, foreach: 'auto' }) as const)
  const ranked = await rank(found, definition, choices, TRIALS, { ...options, seconds: Math.min(options.seconds, 0.15) })
  await Promise.all(ranked.map(({ program }) => program.quit()))
  return ranked.slice(0, 2).map(({ choice, program }) => ({ setting: choice.setting, foreach: usesForeach(program) ? 'yes' : 'no' }))
}

/** Of the best two the faster one, which goes on; the other ends. */
async function decide(found: Python, definition: Case, choices: readonly Choice[], options: TorchOptions) {
  const [best, ...others] = await rank(found, definition, choices, choices.length > 1 ? ROUNDS : 0, options)
  await Promise.all(others.map(({ program }) => program.quit()))
  return { setting: best.choice.setting, program: best.program }
}

/**
 * A warm PyTorch with the best of the settings. All of them are tried in processes of their own: two networks in one, to compare ways of
 * updating, would count twice as its memory. When time is short, only small networks get that comparison.
 */
export async function startTorch(found: Python, definition: Case, quick: boolean, options: TorchOptions): Promise<Program> {
  const foreach = parameterCount(definition) < 1e6 ? 'auto' : 'yes'
  const choices = quick ? [{ setting: settings(true)[0], foreach } as const] : await calibrate(found, definition, options)
  const { setting, program } = await decide(found, definition, choices, options)
  program.setting = usesForeach(program) ? `${setting.name}, foreach` : setting.name
  return program
}
