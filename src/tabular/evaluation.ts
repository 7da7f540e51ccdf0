/** How good answers are, in the units of the data. */
import { checkNames } from '../checks.ts'
import { NdArray } from '../data/ndarray.ts'
import { DataError, describe, OptionError } from '../errors.ts'
import type { Loss } from '../nn/losses/index.ts'
import { type Metric, type MetricName, metricFor } from '../nn/metrics/index.ts'
import { score } from '../train/score.ts'

/** Which metrics: of the only target, or by target name. */
export type TableMetrics = readonly (MetricName | Metric)[] | Readonly<Record<string, readonly (MetricName | Metric)[]>>

/** Options of `TabularModel.evaluate`. */
export interface EvaluateTableOptions {
  /** What is measured; default of numbers `r2Score`, `rootMeanSquaredError`, `meanAbsoluteError`, of two classes `accuracy`, `rocAuc`, `logLoss`, of more `accuracy`, `f1`, `logLoss`. */
  readonly metrics?: TableMetrics
  /** Rows without a target: "error", or "skip" to leave them out. Default "error". */
  readonly missingTarget?: 'error' | 'skip'
  /** Stops it; it rejects with an AbortError. Default: nothing does. */
  readonly signal?: AbortSignal
}

/** Values by the name of their metric, of several targets with the target's in front: `price.r2Score`. */
export type TableEvaluation = Readonly<Record<string, number>>

/** What a target is. */
interface Target {
  readonly name: string
  readonly units: number
  /** Labels by class number, or null for numbers. */
  readonly classes: readonly string[] | null
}

/** Of one target, row by row: what the network says, `units` a row, and what is true. Logits and class numbers for classes, numbers in the unit of the data for others. */
export interface TargetNumbers extends Target {
  readonly outputs: Float64Array
  readonly targets: Float64Array
}

const ofNumbers = ['r2Score', 'rootMeanSquaredError', 'meanAbsoluteError'] as const
const ofTwoClasses = ['accuracy', 'rocAuc', 'logLoss'] as const
const ofClasses = ['accuracy', 'f1', 'logLoss'] as const

export function defaultTableMetrics({ classes }: Pick<Target, 'classes'>): readonly MetricName[] {
  return classes === null ? ofNumbers : classes.length === 2 ? ofTwoClasses : ofClasses
}

/** The metrics of each target, in order. */
export function chosenMetrics(where: string, targets: readonly Target[], given?: TableMetrics): (readonly Metric[])[] {
  const names = targets.map(({ name }) => name)
  if (given !== undefined && (typeof given !== 'object' || given === null))
    throw new OptionError(`${where}: metrics must be an array, or arrays by target name, got ${describe(given)}.`)
  if (given !== undefined && !isList(given)) checkNames(where, 'target', given, names)
  return targets.map((target) => {
    const chosen = given === undefined ? defaultTableMetrics(target) : isList(given) ? given : (given[target.name] ?? [])
    if (!isList(chosen)) throw new OptionError(`${where}: metrics of "${target.name}" must be an array, got ${describe(chosen)}.`)
    return chosen.map((metric) => metricFor(where, metric))
  })
}

const isList = (given: TableMetrics): given is readonly (MetricName | Metric)[] => Array.isArray(given)

export function tableMetrics(where: string, all: readonly TargetNumbers[], metrics?: TableMetrics): TableEvaluation {
  const values: Record<string, number> = Object.create(null)
  chosenMetrics(where, all, metrics).forEach((chosen, i) => {
    const { name, units, outputs, targets } = all[i]
    const rows = outputs.length / units
    if (rows === 0) throw new DataError(`${where}: expected rows to measure, got none.`)
    const shaped = (numbers: Float64Array) => new NdArray(numbers, [rows, ...(numbers.length === rows ? [] : [numbers.length / rows])])
    for (const metric of chosen)
      values[all.length === 1 ? metric.name : `${name}.${metric.name}`] = score(metric, shaped(outputs), shaped(targets), {
        task: taskOf(all[i]),
      })
  })
  return { ...values }
}

export function taskOf({ classes }: Pick<Target, 'classes'>): Loss['task'] {
  return classes === null ? 'regression' : classes.length === 2 ? 'binary' : 'sparse'
}
