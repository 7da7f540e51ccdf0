/** Cold start: how long a fresh process needs from `import` to the end of the first step. */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Case } from './cases.ts'
import { type Python, settings, torchCommand } from './pytorch.ts'
import type { Rival } from './rivals.ts'
import { median, type Spread, spread } from './statistics.ts'

export interface Cold {
  readonly contestant: string
  readonly milliseconds: Spread
  /** The most memory, after the first step. */
  readonly peakBytes: number
}

const root = fileURLToPath(new URL('..', import.meta.url))

/** Compiles the library when its sources are newer than what is in dist/. */
export function compileLibrary(): void {
  const compiled = `${root}dist/bundle/esm/index.js`
  const newest = Math.max(
    ...readdirSync(`${root}src`, { recursive: true, encoding: 'utf8' }).map((name) => statSync(`${root}src/${name}`).mtimeMs),
  )
  if (existsSync(compiled) && statSync(compiled).mtimeMs > newest) return
  const { status, stdout } = spawnSync('npm', ['run', '--silent', 'build'], { cwd: root, encoding: 'utf8' })
  if (status !== 0) throw new Error(`npm run build failed: ${stdout}`)
}

function measure(contestant: string, command: readonly string[], runs: number, environment: Readonly<Record<string, string>> = {}): Cold {
  const results = Array.from({ length: runs }, () => {
    const [file, ...arguments_] = command
    const { status, stdout, stderr } = spawnSync(file, arguments_, { cwd: root, encoding: 'utf8', env: { ...process.env, ...environment } })
    if (status !== 0) throw new Error(`${contestant}: the first step failed: ${stderr}`)
    const line = stdout.split('\n').findLast((text) => text.startsWith('{')) ?? '{}'
    return JSON.parse(line) as { milliseconds: number; peak_bytes: number }
  })
  return {
    contestant,
    milliseconds: spread(results.map(({ milliseconds }) => milliseconds)),
    peakBytes: median(results.map(({ peak_bytes }) => peak_bytes)),
  }
}

export function* coldStarts(definition: Case, rivals: readonly Rival[], torch: Python | null, runs: number): Generator<Cold> {
  const script = [process.execPath, 'bench/cold.mjs', JSON.stringify(definition)]
  yield measure('thalweg', script, runs)
  for (const { name, module, variant } of rivals) yield measure(name, [...script, module, variant], runs)
  if (torch !== null) yield measure('pytorch', [...torchCommand(torch, definition), '--cold'], runs, settings(true)[0].environment)
}
