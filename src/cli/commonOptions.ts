/** Options that several commands have. */
import { Option } from 'commander'
import type { DataFormat } from '../data/readers/readData.ts'
import { MAXIMUM_THREADS } from '../executors/native/addon.ts'
import { threadCount } from './optionValues.ts'
import { formats } from './rowFiles.ts'

/** What is said of the rows of which a schema is made. */
export interface RowOptions {
  readonly target?: readonly string[]
  readonly format?: DataFormat
  readonly column?: readonly string[]
  readonly ignore?: readonly string[]
  readonly missingTarget: 'error' | 'skip'
  readonly sample: number
}

export function formatOption(): Option {
  return new Option('--format <format>', 'of the data (default: found out)').choices([...formats])
}

export function missingTargetOption(): Option {
  return new Option('--missing-target <what>', 'rows without a target are an error, or left out')
    .choices(['error', 'skip'])
    .default('error')
}

export function threadsOption(): Option {
  return new Option(
    '--threads <count>',
    `of the native executor, 1 … ${MAXIMUM_THREADS}; more than cores are slower (default: one for each core)`,
  ).argParser(threadCount)
}

export function executorOption(): Option {
  return new Option('--executor <name>', 'what computes (default: native, if it is there)').choices(['native', 'reference'])
}
