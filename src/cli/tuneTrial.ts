/** One trial of `thalweg tune`, in a worker thread: the rows are encoded once, in memory that all threads share. */
import { getEnvironmentData } from 'node:worker_threads'
import { definedOf } from '../checks.ts'
import { type EncodedMemory, FittedSchema } from '../data/schema/fitted.ts'
import type { MetricName } from '../nn/metrics/index.ts'
import { defaultTraining } from '../tabular/defaults.ts'
import { tableMetrics } from '../tabular/evaluation.ts'
import { tabular } from '../tabular/tabular.ts'
import type { TabularModel } from '../tabular/tabularModel.ts'
import type { Trial } from '../tune/trial.ts'

/** What trials are about: the command leaves it for the threads under this name. */
export const TUNE_DATA = 'thalweg.tune'

export interface TuneData {
  /** A fitted schema as JSON. */
  readonly schema: string
  readonly training: EncodedMemory
  readonly validation: EncodedMemory
  /** What is measured on the validation rows; "loss" is what is trained for. */
  readonly metric: MetricName | 'loss'
}

/** What a search may decide: those of `tabular` and of `fit`. */
export interface TunedParameters {
  readonly learningRate?: number
  readonly weightDecay?: number
  readonly batchSize?: number
  readonly hidden?: readonly number[]
  readonly members?: number
  readonly dropout?: number
}

/** The names of `TunedParameters`. */
export const tunedNames = ['learningRate', 'weightDecay', 'batchSize', 'hidden', 'members', 'dropout'] as const

const { schema, training, validation, metric } = (getEnvironmentData(TUNE_DATA) ?? {}) as TuneData
let fitted: FittedSchema | null = null

const trial: Trial<TunedParameters> = async (parameters, { seed, threads, epochs, signal, callback }) => {
  fitted ??= FittedSchema.fromJSON(JSON.parse(schema))
  const { hidden, members, dropout, learningRate, weightDecay, batchSize } = parameters
  const table = tabular(fitted, definedOf({ hidden, members, dropout, seed, threads }))
  await table.network.fit(table.trainingData(training), {
    loss: table.losses(),
    ...defaultTraining(definedOf({ rows: training.rows, epochs, batchSize, learningRate, weightDecay })),
    signal,
    callbacks: [callback()],
  })
  return scoreOf(table)
}

async function scoreOf(table: TabularModel): Promise<number> {
  if (metric === 'loss') return (await table.network.evaluate(table.trainingData(validation), { loss: table.losses() })).loss
  return tableMetrics('tune', await table.compareEncoded({ ...validation, count: validation.rows }), [metric])[metric]
}

export default trial
