import type { EpochValues, ExecutionOptions, Progress } from '../src/index.ts'

/** What every example can be told. */
export interface ExampleOptions extends ExecutionOptions {
  readonly seed?: number
  readonly onProgress?: (progress: Progress) => void
  readonly onEpochEnd?: (epoch: number, values: EpochValues) => void
}
