import type { Plan } from '../plan/plan.ts'
import type { Arena } from './arena.ts'

/** What a tensor holds in each step is copied from here. */
export interface Feed {
  /** An input of the plan by name, or any of its tensors by number. */
  readonly input: string | number
  /** Pieces of the tensor's shape (of a row of it, for pace "row"), one after the other. Must stay unchanged during the run. */
  readonly values: Float32Array | Int32Array
  /**
   * How the values are used up; default "row". "row": the tensor's first axis is the batch, and each step takes that many rows, in
   * order. "step": each step takes the next piece. "run": the only piece is copied once, before the first step.
   */
  readonly pace?: 'row' | 'step' | 'run'
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
  /** Whether to measure where the time goes; default false. */
  readonly profile?: boolean
  /** Stops the run after the step in progress. */
  readonly signal?: AbortSignal
  /** Called now and then (at most every 50 ms) with the steps completed since the last call: the first of them, and what they recorded. */
  readonly onProgress?: (firstStep: number, records: Records) => void
}

/** By output name: the values of every step, one step after the other. */
export type Records = Readonly<Record<string, Float32Array | Float64Array | Int32Array>>

/**
 * Where the time of a run went, in nanoseconds. A step has these parts, in order: the feeds (copying the batch), each instruction, the
 * records. They follow each other without a gap, so the end of one is the beginning of the next.
 */
export interface RunProfile {
  readonly steps: number
  /** Of each part, over all steps. */
  readonly totals: Float64Array
  /** Of the first few steps, one after the other, since the run began: when the step began and when each part ended (parts + 1 numbers). */
  readonly marks: Float64Array
}

export interface RunResult {
  readonly completed: number
  /** Why the run ended early: it was aborted, or checkFinite or checkMatmul found NaN or infinity; null if it did not. */
  readonly stopped: 'aborted' | 'nonFinite' | null
  readonly records: Records
  /** Of a run that was to be profiled; if a step stopped it, the totals hold the time of that step too. */
  readonly profile?: RunProfile
}

/** A plan loaded for execution in an arena. One run at a time. */
export interface Session {
  readonly plan: Plan
  readonly arena: Arena
  /** Runs without blocking the event loop. */
  run(request: RunRequest): Promise<RunResult>
  /**
   * Runs instructions first … end-1 once, over what the arena holds, on the calling thread: to look at results one by one, or for
   * small work that must answer at once.
   */
  execute(first: number, end: number): void
}

/** A way to run plans. Executors know plans and nothing above them. */
export interface Executor {
  readonly name: 'native' | 'reference'
  load(plan: Plan, arena: Arena): Session
}
