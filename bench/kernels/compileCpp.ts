/** Compiles the small C++ programs of this folder for the machine they run on. */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'

const compilers = [process.env.CXX, 'g++', 'clang++', 'c++'].filter((name) => name !== undefined && name !== '') as string[]

/** Not every compiler knows how to ask the processor what it can do, and clang++ halves the widest vectors unless it is told not to. */
const targets = [['-march=native', '-mprefer-vector-width=512'], ['-march=native'], ['-mcpu=native'], []]

/** The path of the program made from `source`, a file of this folder; null when no compiler makes it. Made once for each processor. */
export function compileCpp(source: string): string | null {
  const text = readFileSync(new URL(source, import.meta.url))
  const key = createHash('sha256').update(text).update([process.arch, cpus()[0]?.model, process.env.CXX].join())
  const folder = fileURLToPath(new URL('../../build/bench/', import.meta.url))
  const program = `${folder}${source.replace('.cc', '')}-${key.digest('hex').slice(0, 12)}`
  if (existsSync(program)) return program
  mkdirSync(folder, { recursive: true })
  const made = `${program}.${process.pid}`
  for (const compiler of compilers) {
    for (const target of targets) {
      const options = ['-std=c++17', '-O3', '-ffp-contract=fast', ...target, fileURLToPath(new URL(source, import.meta.url))]
      const { status } = spawnSync(compiler, [...options, '-o', made, '-pthread', '-ldl'], { stdio: 'ignore' })
      if (status !== 0) continue
      // In one step, so that nobody runs half a program.
      renameSync(made, program)
      return program
    }
  }
  return null
}
