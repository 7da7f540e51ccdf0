import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { afterAll } from 'vitest'
import { main } from '../../src/cli/program.ts'

export const root = fileURLToPath(new URL('../../', import.meta.url))
export const data = (name: string): string => join(root, 'examples/data', name)

/** What a command has done. */
export interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

class Sink extends Writable {
  text = ''
  override _write(chunk: Buffer, _encoding: string, done: () => void) {
    this.text += chunk
    done()
  }
}

/** A folder that is removed when the tests of the file are over. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'thalweg-cli-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

interface RunOptions {
  readonly stdin?: string | Uint8Array | Readable
  readonly env?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

/** Runs a command line in this process. */
export async function run(argv: readonly string[], { stdin = '', env = {}, signal }: RunOptions = {}): Promise<Outcome> {
  const [stdout, stderr] = [new Sink(), new Sink()]
  const input = stdin instanceof Readable ? stdin : Readable.from([Buffer.from(stdin as string)], { objectMode: false })
  const code = await main(argv, { stdin: input, stdout, stderr, env, signal })
  return { code, stdout: stdout.text, stderr: stderr.text }
}

/** The lines that --json has printed. */
export function events({ stdout }: Outcome): Record<string, unknown>[] {
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
}

/** A command line in a process of its own. */
export function start(
  argv: readonly string[],
  { env = {}, stdout: target = 'pipe' }: Pick<RunOptions, 'env'> & { readonly stdout?: 'pipe' | number } = {},
) {
  const child = spawn(process.execPath, ['--import', 'tsx', join(root, 'src/cli/main.ts'), ...argv], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['pipe', target, 'pipe'],
  }) as ChildProcessByStdio<Writable, Readable, Readable>
  let [stdout, stderr] = ['', '']
  child.stdout?.on('data', (piece) => {
    stdout += piece
  })
  child.stderr.on('data', (piece) => {
    stderr += piece
  })
  const outcome = new Promise<Outcome & { readonly killedBy: string | null }>((resolve) => {
    child.on('close', (code, killedBy) => resolve({ code, killedBy, stdout, stderr }))
  })
  return { child, outcome }
}
