import type { Readable, Writable } from 'node:stream'
import { styleText } from 'node:util'
import { DataError } from '../errors.ts'

/** What a command reads and writes: those of the process, or of a test. */
export interface Streams {
  readonly stdin: Readable
  readonly stdout: Writable
  readonly stderr: Writable
  readonly env: Readonly<Record<string, string | undefined>>
  /** Stops the command; its reason is the name of a signal. Default: nothing does. */
  readonly signal?: AbortSignal
}

/** Options that every command has. */
export interface OutputOptions {
  readonly json?: boolean
  readonly quiet?: boolean
  readonly color?: boolean
  readonly debug?: boolean
}

type Style = Parameters<typeof styleText>[0]

/**
 * How a command speaks: results on standard output, everything beside them on standard error. With --json standard output has lines of JSON and nothing else, and
 * people are told nothing.
 */
export class Output {
  readonly json: boolean
  readonly quiet: boolean
  /** Whether someone watches, and a line may be written over. */
  readonly isWatched: boolean
  readonly stdout: Writable
  readonly stderr: Writable
  private readonly env: Streams['env']
  private readonly color: boolean

  constructor({ stdout, stderr, env }: Streams, { json = false, quiet = false, color = true }: OutputOptions) {
    this.stdout = stdout
    this.stderr = stderr
    this.env = env
    this.json = json
    this.quiet = quiet
    this.color = color
    this.isWatched = !json && !quiet && isTerminal(stderr) && env.TERM !== 'dumb'
  }

  /** What was asked for, for people. */
  result(text: string): void {
    if (!this.json) this.stdout.write(`${text}\n`)
  }

  /** What is going on, for people; not with --quiet. */
  note(text: string): void {
    if (!this.json && !this.quiet) this.stderr.write(`${text}\n`)
  }

  /** What people should know even with --quiet. */
  warn(text: string): void {
    if (this.json) this.event({ type: 'warning', message: text })
    else this.stderr.write(`${this.style('yellow', 'Warning:', this.stderr)} ${text}\n`)
  }

  /** A line for machines, with --json. Numbers that are not finite are null. */
  event(event: Readonly<Record<string, unknown>>): void {
    if (this.json) this.stdout.write(`${JSON.stringify(event)}\n`)
  }

  /** Text in a style, where it is shown on a terminal and nobody has asked for none (NO_COLOR, --no-color). */
  style(style: Style, text: string, stream: Writable = this.stdout): string {
    return this.color && wantsColor(stream, this.env) ? styleText(style, text, { validateStream: false }) : text
  }
}

export function isTerminal(stream: Writable): boolean {
  return (stream as Writable & { isTTY?: boolean }).isTTY === true
}

/** See https://no-color.org and https://force-color.org. */
export function wantsColor(stream: Writable, env: Streams['env']): boolean {
  if (env.NO_COLOR !== undefined && env.NO_COLOR !== '') return false
  if (env.FORCE_COLOR !== undefined && env.FORCE_COLOR !== '' && env.FORCE_COLOR !== '0') return true
  return isTerminal(stream) && env.TERM !== 'dumb'
}

/** How wide lines may be. */
export function widthOf(stream: Writable): number {
  const { columns } = stream as Writable & { columns?: number }
  return columns !== undefined && columns > 20 ? columns : 100
}

/** Writes text and waits until it may go on: for output larger than memory. */
export async function writeAll(stream: Writable, text: string | Uint8Array): Promise<void> {
  if (stream.destroyed) throw new DataError('the output was closed.')
  if (stream.write(text)) return
  await new Promise<void>((resolve) => {
    const done = () => {
      stream.off('drain', done).off('close', done).off('error', done)
      resolve()
    }
    stream.on('drain', done).on('close', done).on('error', done)
  })
}
