/** What steps measure: of which samples, what they record, and how runs of batches are joined. */
import type { Rows } from '../data/rows.ts'
import { AbortError } from '../errors.ts'
import type { Feed, Records } from '../executors/executor.ts'
import type { SessionCache } from './batches.ts'
import { exclusively } from './joinedModels.ts'
import type { Model } from './model.ts'
import type { Supply } from './supply.ts'

/**
 * What data measured: `loss` and each metric, after an epoch the validation's with `validation` in front; of several outputs `loss` is the total, and each
 * one's values have its name in front: `classesLoss`, `classesAccuracy`.
 */
export type EpochValues = { readonly loss: number } & Readonly<Record<string, number>>

/** Checked samples, ready to be fed. */
export interface Samples {
  readonly x: readonly Rows[]
  /** The targets of each output. */
  readonly y: readonly Rows[]
  /** The sample weights of each output; none if the objective is not weighted. */
  readonly weights: readonly Rows[]
  readonly count: number
}

/** Steps of one batch size and what they recorded. */
export interface Run {
  readonly batchSize: number
  readonly completed: number
  readonly records: Records
}

/** What steps record of samples, and what is made of that. */
export interface Measures<Data> {
  /** Outputs of the plan. */
  readonly recorded: readonly string[]
  /** What is reported of data, in order; "loss" among them. */
  readonly valueNames: readonly string[]
  /** Whether the loss of all samples is the mean of the batches' losses, weighted by their numbers of samples. */
  readonly isMean: boolean
  /** Whether less or more of a value is better. */
  modeOf(value: string): 'min' | 'max'
  /** Checks and converts data. */
  toSamples(where: string, data: Data): Samples
  feeds(samples: Samples): Feed[]
  /** The values over samples, with dropout off. */
  measure(samples: Supply, signal?: AbortSignal): Promise<EpochValues>
  /** The values over runs of batches. */
  report(runs: readonly Run[]): EpochValues
}

/** Where samples are measured: plans of `measures.recorded` by batch size, run when nothing else uses the models. */
interface MeasureContext {
  readonly models: readonly Model[]
  readonly sessions: SessionCache
  readonly signal?: AbortSignal
}

/** What `measures` reports over samples. */
export async function measureOver<Data>(
  measures: Measures<Data>,
  samples: Supply,
  { models, sessions, signal }: MeasureContext,
): Promise<EpochValues> {
  const runs: Run[] = []
  const record = measures.recorded
  const { stretches } = await samples.epochs(0, 1, 0, signal)
  for await (const { batchSize, ...rows } of stretches) {
    const session = sessions.get(batchSize)
    const { completed, records, stopped } = await exclusively(models, () => session.run({ ...rows, record, signal }))
    if (stopped === 'aborted') throw new AbortError('Evaluation was stopped.', signal?.reason)
    runs.push({ batchSize, completed, records })
  }
  return measures.report(runs)
}

/** The same steps in as few runs as can be. */
export function joinRuns(runs: readonly Run[]): Run[] {
  const neighbours: Run[][] = []
  for (const run of runs) {
    const latest = neighbours[neighbours.length - 1]
    if (latest?.[0].batchSize === run.batchSize) latest.push(run)
    else neighbours.push([run])
  }
  return neighbours.map((some) => {
    const [{ batchSize, records }] = some
    if (some.length === 1) return some[0]
    const joined = Object.keys(records).map((name) => [name, concatenated(some.map((run) => run.records[name]))])
    return { batchSize, completed: some.reduce((sum, { completed }) => sum + completed, 0), records: Object.fromEntries(joined) }
  })
}

/** Arrays of one type, one behind the other. */
function concatenated(parts: readonly Records[string][]): Records[string] {
  const size = parts.reduce((sum, { length }) => sum + length, 0)
  const whole = new (parts[0].constructor as Float32ArrayConstructor)(size)
  parts.reduce((start, part) => {
    whole.set(part, start)
    return start + part.length
  }, 0)
  return whole
}

/** The mean over samples of what each step recorded as its own mean. A loop of its own: small networks take a million steps a second. */
export function meanOf(runs: readonly Run[], name: string): number {
  let total = 0
  let samples = 0
  for (const { batchSize, completed, records } of runs) {
    const values = records[name]
    for (let step = 0; step < completed; step++) total += batchSize * values[step]
    samples += batchSize * completed
  }
  return total / samples
}
