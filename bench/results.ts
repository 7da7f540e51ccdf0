/** What a run of the benchmark comes to: plain data, which is also its JSON output. */
import type { Cold } from './cold.ts'
import type { Size } from './size.ts'
import type { Spread } from './statistics.ts'

export interface Speed {
  readonly case: string
  readonly threads: number
  /** native, reference, plain, pytorch, or an npm package. */
  readonly contestant: string
  /** With its version. */
  readonly implementation: string
  /** Where it does not do the same work. */
  readonly note: string
  /** What was chosen for it, if there was a choice. */
  readonly setting: string
  readonly stepsPerSecond: Spread
  readonly stepsPerCpuSecond: Spread
  /** How many times as fast native is, on as many threads; null where native did not run. */
  readonly nativeIs: Spread | null
  /** Of the fused-multiply-add peak of as many cores, by work that cannot be left out; null where the peak is not known. */
  readonly partOfPeak: number | null
  readonly peakBytes: number
  readonly rounds: number
  /** False when the least disturbed windows stand in for quiet ones. */
  readonly quiet: boolean
}

/** What is left of a contestant's speed while one other process is busy on the same processors. */
export interface Busy {
  readonly case: string
  readonly threads: number
  readonly contestant: string
  /** What was chosen for it, if there was a choice. */
  readonly setting: string
  readonly quietStepsPerSecond: Spread
  readonly busyStepsPerSecond: Spread
  /** The part of its quiet speed. */
  readonly kept: Spread
  readonly rounds: number
  /** False when the least disturbed windows stand in for quiet ones. */
  readonly quiet: boolean
}

/** Something that was not measured, and why. */
export interface Omission {
  readonly contestant: string
  /** Null when it is not there at all. */
  readonly case: string | null
  readonly threads: number | null
  readonly reason: string
}

export interface CaseSummary {
  readonly name: string
  readonly what: string
  readonly batchSize: number
  readonly parameters: number
  readonly flopsPerStep: number
}

export interface Results {
  readonly machine: {
    readonly processor: string
    readonly cores: number
    readonly memoryBytes: number
    readonly system: string
    readonly node: string
    /** What the native executor uses; null without an addon. */
    readonly instructionSet: string | null
    readonly pytorch: string | null
  }
  readonly date: string
  readonly quick: boolean
  readonly rounds: number
  readonly seconds: number
  readonly cases: readonly CaseSummary[]
  /** GFLOP/s by number of threads. */
  readonly peak: Readonly<Record<number, number | null>>
  readonly speed: Speed[]
  readonly busy: Busy[]
  readonly coldCase: string
  readonly cold: Cold[]
  readonly sizes: Size[]
  readonly omissions: Omission[]
}
