/** What a search found: trials in order, as a table, as a file. */
import { createRequire } from 'node:module'
import { extname } from 'node:path'
import type Table from 'cli-table3'
import { checkCount, checkPath } from '../checks.ts'
import { describe, OptionError } from '../errors.ts'
import { writeAtomically } from '../interchange/atomicFile.ts'
import { csvLine } from '../interchange/csvLine.ts'
import type { TrialOutcome } from './trial.ts'

/** A trial that ended. */
export interface TrialResult<Parameters = Readonly<Record<string, unknown>>> extends TrialOutcome {
  /** Its number, from 0. */
  readonly trial: number
  readonly parameters: Parameters
  /** For how many epochs it was to train, in all. */
  readonly epochs: number
}

/**
 * What `tune` resolves with.
 *
 * @example const found: TuneResult<{ x: number }> = await tune({ space: { x: space.number(-1, 1) }, trial: ({ x }) => x * x, trials: 8 })
 */
export class TuneResult<Parameters = Readonly<Record<string, unknown>>> {
  /** The best trial: of those trained for the most epochs, because scores after different numbers of epochs do not compare, the one with the best score. */
  readonly best: TrialResult<Parameters>
  /** All trials, best first: trained longer before shorter, then by score; behind them those that diverged or failed. */
  readonly trials: readonly TrialResult<Parameters>[]

  /** @internal */
  constructor(trials: readonly TrialResult<Parameters>[]) {
    this.trials = trials
    this.best = trials[0]
  }

  /**
   * The trials as text: a line each, best first.
   *
   * @param limit At most so many lines; default 20.
   * @example console.log((await tune({ space: { x: space.number(-1, 1) }, trial: ({ x }) => x * x, trials: 8 })).table(3))
   */
  table(limit = 20): string {
    checkCount('table', 'limit', limit)
    const names = Object.keys(this.best.parameters as object)
    const table = new (loadTable())({
      head: ['trial', 'score', 'epochs', 'seconds', ...names],
      colAligns: ['right', 'right', 'right', 'right', ...names.map(() => 'right' as const)],
      style: { head: [], border: [], compact: true },
    })
    for (const { trial, score, status, epochs, seconds, parameters } of this.trials.slice(0, limit))
      table.push([
        trial,
        score === null ? status : rounded(score, 6),
        epochs,
        seconds.toFixed(1),
        ...Object.values(parameters as object).map((value) => (typeof value === 'number' ? rounded(value, 4) : fieldOf(value))),
      ])
    const left = this.trials.length - limit
    return `${table.toString()}${left > 0 ? `\n… and ${left} more` : ''}\n`
  }

  /**
   * Writes all trials to a file, which replaces one that is there only when it is whole. Folders above it are made.
   *
   * @param path Ends with .csv (RFC 4180: a line for each trial, a column for each parameter) or .json.
   * @throws FileError when the disk refuses; OptionError for another ending.
   * @example await (await tune({ space: { x: space.number(-1, 1) }, trial: ({ x }) => x * x, trials: 8 })).save('build/search.csv')
   */
  async save(path: string): Promise<void> {
    checkPath('save', 'file', path)
    const format = { '.csv': () => this.csv(), '.json': () => `${JSON.stringify({ best: this.best, trials: this.trials }, null, 2)}\n` }[
      extname(path).toLowerCase()
    ]
    if (format === undefined) throw new OptionError(`save: the path must end with .csv or .json, got ${describe(path)}.`)
    await writeAtomically('save', path, [format()])
  }

  private csv(): string {
    const columns = ['trial', 'status', 'score', 'epochs', 'seconds'] as const
    const lines = [
      [...columns, ...Object.keys(this.best.parameters as object), 'error'],
      ...this.trials.map((trial) => [...columns.map((name) => trial[name]), ...Object.values(trial.parameters as object), trial.error]),
    ]
    return lines.map((line) => `${csvLine(line)}\n`).join('')
  }
}

const require = createRequire(import.meta.url)

/** Loaded when a table is made: it takes a third as long to load as all the rest, and most programs do not need it. */
function loadTable(): typeof Table {
  return require('cli-table3')
}

const rounded = (value: number, digits: number) => String(Number(value.toPrecision(digits)))
const fieldOf = (value: unknown) => (typeof value === 'object' ? JSON.stringify(value) : String(value))
