/** How good answers are, in the units of the data. */
import { NdArray } from '../data/ndarray.ts'
import { DataError } from '../errors.ts'
import type { Loss } from '../nn/losses/index.ts'
import type { Metric, MetricName } from '../nn/metrics/index.ts'
import { score } from '../train/score.ts'

/** Which metrics: of the only target, or by target name. */
export type TableMetrics = readonly (MetricName | Metric)[] | Readonly<Record<string, readonly (MetricName | Metric)[]>>

/** Values by the name of their metric, of several targets with the target's in front: `price.r2Score`. */
export type TableEvaluation = Readonly<Record<string, number>>

/** Of one target: what the network says, and what is true. Logits and class numbers for classes, numbers in the unit of the data for others. */
export interface TargetNumbers {
  readonly name: string
  readonly units: number
  readonly classes: readonly string[] | null
  readonly outputs: readonly number[]
  readonly targets: readonly number[]
}

const ofNumbers = ['r2Score', 'rootMeanSquaredError', 'meanAbsoluteError'] as const
const ofTwoClasses = ['accuracy', 'rocAuc', 'logLoss'] as const
const ofClasses = ['accuracy', 'f1', 'logLoss'] as const

export function defaultTableMetrics({ classes }: Pick<TargetNumbers, 'classes'>): readonly MetricName[] {
  return classes === null ? ofNumbers : classes.length === 2 ? ofTwoClasses : ofClasses
}

export function tableMetrics(where: string, all: readonly TargetNumbers[], metrics?: TableMetrics): TableEvaluation {
  const values: Record<string, number> = {}
  for (const numbers of all) {
    const { name, units, outputs, targets } = numbers
    if (targets.length === 0) throw new DataError(`${where}: there are no rows to measure.`)
    const chosen = metrics === undefined ? defaultTableMetrics(numbers) : 'length' in metrics ? metrics : (metrics[name] ?? [])
    const prediction = new NdArray(Float32Array.from(outputs), units === 1 ? [outputs.length] : [outputs.length / units, units])
    for (const metric of chosen as readonly (MetricName | Metric)[]) {
      const value = score(metric, prediction, targets, { task: taskOf(numbers) })
      const label = typeof metric === 'string' ? metric : metric.name
      values[all.length === 1 ? label : `${name}.${label}`] = value
    }
  }
  return values
}

export function taskOf({ classes }: Pick<TargetNumbers, 'classes'>): Loss['task'] {
  return classes === null ? 'regression' : classes.length === 2 ? 'binary' : 'sparse'
}
