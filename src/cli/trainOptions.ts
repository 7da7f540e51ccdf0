/** Options of `thalweg train`. */
import type { Command } from 'commander'
import type { ReportServer } from '../report/server.ts'
import type { RowOptions } from './commonOptions.ts'
import { UsageError } from './errors.ts'

/** As the help describes them. */
export interface TrainCommandOptions extends RowOptions {
  readonly out?: string
  readonly test: number
  readonly folds?: number
  readonly memory: number
  readonly stream?: boolean
  readonly epochs?: number
  readonly batchSize?: number
  readonly learningRate?: number
  readonly weightDecay?: number
  readonly hidden?: readonly number[]
  readonly members?: number
  readonly dropout?: number
  readonly seed: number
  readonly threads?: number
  readonly executor?: 'native' | 'reference'
  readonly checkpoint?: string
  readonly everySteps?: number
  readonly everyMinutes?: number
  readonly resume?: boolean
  readonly report?: string
  readonly watch?: boolean
  readonly port?: number
  readonly config?: string
}

/** The options, and what follows from them. */
export interface Settings extends TrainCommandOptions {
  readonly out: string
  readonly title: string
  readonly command: string
  readonly server: ReportServer | null
}

/** Refuses options that mean nothing without each other, or not together. */
export function checkTogether(command: Command, { target: targets, checkpoint, watch, folds, stream }: TrainCommandOptions): void {
  if (targets === undefined) throw new UsageError('say which column to predict: --target <column>.')
  const isGiven = (name: string) => !['default', undefined].includes(command.getOptionValueSource(name))
  const needs = (names: readonly string[], other: unknown, flag: string) => {
    const name = names.find(isGiven)
    if (name !== undefined && other === undefined)
      throw new UsageError(`--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} needs ${flag}.`)
  }
  needs(['everySteps', 'everyMinutes', 'resume'], checkpoint, '--checkpoint <folder>')
  needs(['port'], watch, '--watch')
  if (folds !== undefined && isGiven('test')) throw new UsageError('--folds and --test exclude each other: each fold is held out once.')
  if (folds !== undefined && stream) throw new UsageError('--folds is for rows in memory; with --stream rows are held out once.')
}
