/** The journal of a search: a line of JSON for the search and one for each trial that ended, on the disk before the next begins. */
import { readFile, truncate } from 'node:fs/promises'
import { emitWarning } from 'node:process'
import { DataError, describe, FileError, OptionError } from '../errors.ts'
import { LogFile } from '../interchange/logFile.ts'
import type { Parameters } from './suggest.ts'
import type { TrialOutcome } from './trial.ts'

/** What decides the parameters of trials, and how they are trained: a search can go on only with the same. */
export interface Search {
  readonly strategy: string
  readonly mode: string
  readonly seed: number
  readonly epochs: readonly number[]
  readonly reductionFactor: number
  readonly space: Readonly<Record<string, unknown>>
}

/** A trial that ended, after so many epochs in all. */
export interface JournalEntry extends TrialOutcome {
  readonly trial: number
  readonly epochs: number
  readonly parameters: Parameters
}

const FORMAT = { format: 'thalweg.tune', version: 1 } as const
const where = 'tune'

export class Journal {
  private readonly file: LogFile
  private written: Promise<void> = Promise.resolve()

  private constructor(file: LogFile) {
    this.file = file
  }

  /** Opens the journal of a search, or begins it. */
  static async open(path: string, search: Search): Promise<{ journal: Journal; entries: readonly JournalEntry[] }> {
    const header = `${JSON.stringify({ ...FORMAT, ...search })}\n`
    const lines = await linesOf(path, header)
    if (lines.length > 0) checkHeader(path, lines[0], search)
    const entries = lines.slice(1).map((line, i) => entryOf(`${where}: journal "${path}", line ${i + 2}`, line))
    const file = await LogFile.open(where, path, 'append')
    const journal = new Journal(file)
    try {
      if (lines.length === 0) await file.append(header)
    } catch (error) {
      await file.close()
      throw error
    }
    return { journal, entries }
  }

  /** Adds a line. Trials may end at the same time; lines follow each other. */
  append(entry: JournalEntry): Promise<void> {
    const written = this.written.then(() => this.file.append(`${JSON.stringify(entry)}\n`))
    this.written = written.catch(() => {})
    return written
  }

  async close(): Promise<void> {
    await this.written
    await this.file.close()
  }
}

/** The lines that are whole; what a crash left of another is cut off. */
async function linesOf(path: string, header: string): Promise<string[]> {
  let bytes: Buffer
  try {
    bytes = await readFile(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw new FileError(`${where}: journal "${path}" cannot be read: ${(error as Error).message}.`, { cause: error })
  }
  const start = JSON.stringify(FORMAT).slice(0, -1)
  const text = bytes.toString()
  if (!text.startsWith(start) && !header.startsWith(text))
    throw new OptionError(
      `${where}: "${path}" is no journal of a search (it begins with ${describe(text)}) and is left as it is; give another path.`,
    )
  const end = bytes.lastIndexOf(0x0a) + 1
  if (end < bytes.length) {
    emitWarning(`journal "${path}": its last line, of a search that was cut off while writing, is not whole and was removed.`, {
      code: 'THALWEG_TORN_JOURNAL',
    })
    try {
      await truncate(path, end)
    } catch (error) {
      throw new FileError(`${where}: journal "${path}" cannot be written: ${(error as Error).message}.`, { cause: error })
    }
  }
  return bytes.subarray(0, end).toString().split('\n').slice(0, -1)
}

function checkHeader(path: string, line: string, search: Search): void {
  const { format, version, ...found } = objectOf(`${where}: journal "${path}", line 1`, line)
  if (version !== FORMAT.version)
    throw new OptionError(
      `${where}: journal "${path}" has version ${describe(version)}, this thalweg reads version ${FORMAT.version}; give another path.`,
    )
  const [before, now] = [factsOf(found), factsOf(search)]
  for (const name of new Set([...before.keys(), ...now.keys()])) {
    const [was, is] = [before.get(name), now.get(name)]
    if (was !== is)
      throw new OptionError(
        `${where}: journal "${path}" belongs to another search: its ${name} is ${was ?? 'absent'}, that of this one is ${is ?? 'absent'}; give another path, or the options of then.`,
      )
  }
}

/** What a header says, by name. The order of the parameters is among it, because it decides who gets which random numbers. */
function factsOf({ space, ...others }: Readonly<Record<string, unknown>> | Search): Map<string, string> {
  const facts = new Map(Object.entries(others).map(([name, value]) => [name, JSON.stringify(value)]))
  const parameters = Object.entries((space ?? {}) as object)
  for (const [name, value] of parameters) facts.set(`space.${name}`, JSON.stringify(value))
  return facts.set('order of parameters', parameters.map(([name]) => name).join(', '))
}

function entryOf(place: string, line: string): JournalEntry {
  const { trial, epochs, parameters, status, score, error, seconds } = objectOf(place, line)
  const checks: readonly (readonly [string, unknown, boolean, string])[] = [
    ['trial', trial, Number.isSafeInteger(trial) && (trial as number) >= 0, 'an integer of at least 0'],
    ['epochs', epochs, Number.isSafeInteger(epochs) && (epochs as number) >= 1, 'an integer of at least 1'],
    ['status', status, ['completed', 'diverged', 'failed'].includes(status as string), '"completed", "diverged" or "failed"'],
    [
      'score',
      score,
      status === 'completed' ? Number.isFinite(score) : score === null,
      'a finite number, or null for what is not completed',
    ],
    ['error', error, error === null || typeof error === 'string', 'a text or null'],
    ['seconds', seconds, Number.isFinite(seconds), 'a finite number'],
  ]
  for (const [name, value, isValid, expected] of checks)
    if (!isValid)
      throw new DataError(`${place}: ${name} must be ${expected}, got ${describe(value)}; remove the line, and the trial will run again.`)
  return { trial, epochs, parameters, status, score, error, seconds } as JournalEntry
}

function objectOf(place: string, line: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch (error) {
    throw new DataError(`${place}: expected a line of JSON, got ${describe(line)} (${(error as Error).message}); remove the line.`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new DataError(`${place}: expected an object, got ${describe(value)}; remove the line.`)
  return value as Record<string, unknown>
}
