import type { Plan } from '../plan/plan.ts'
import type { Arena } from './arena.ts'

/** Rows for one input: the batch of each step is copied from here. */
export interface Feed {
  /** The name of an input of the plan. */
  readonly input: string
  /** Rows of the input's shape, one after the other. Must stay unchanged during the run. */
  readonly values: Float32Array | Int32Array
}

export interface RunRequest {
  /** How many steps to run, all in one crossing of the language boundary. */
  readonly steps: number
  readonly feeds: readonly Feed[]
  /** Row numbers, steps × batch size of them; default: one row after the other from `firstRow`. */
  readonly order?: Int32Array
  readonly firstRow?: number
  /** Outputs to keep from every step. */
  readonly record: readonly string[]
  /** Stops the run after the step in progress. */
  readonly signal?: AbortSignal
  /** Called now and then (at most every 50 ms) with the steps completed since the last call: the first of them, and what they recorded. */
  readonly onProgress?: (firstStep: number, records: Records) => void
}

/** By output name: the values of every step, one step after the other. */
export type Records = Readonly<Record<string, Float32Array | Float64Array | Int32Array>>

export interface RunResult {
  readonly completed: number
  /** Why the run ended early: it was aborted, or checkFinite found NaN or infinity; null if it did not. */
  readonly stopped: 'aborted' | 'nonFinite' | null
  readonly records: Records
}

/** A plan loaded for execution in an arena. One run at a time. */
export interface Session {
  readonly plan: Plan
  readonly arena: Arena
  /** Runs without blocking the event loop. */
  run(request: RunRequest): Promise<RunResult>
  /** Runs on the calling thread: for small work that must answer at once. */
  runSync(request: RunRequest): RunResult
  /** Runs instructions first … last-1 once, over what the arena holds. */
  execute(first: number, last: number): void
}

/** A way to run plans. Executors know plans and nothing above them. */
export interface Executor {
  readonly name: 'native' | 'reference'
  load(plan: Plan, arena: Arena): Session
}
