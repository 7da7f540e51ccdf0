import { type Rows, toRows } from '../data/rows.ts'
import { AbortError, checkNames, counted, DataError, describe, OptionError } from '../errors.ts'
import type { Feed, Records } from '../executors/executor.ts'
import { batch, concrete, formatShape, sameShape } from '../graph/shape.ts'
import { type Tensor, within } from '../graph/tensor.ts'
import { type Loss, type LossChoice, lossFor } from '../nn/losses.ts'
import { type BatchStatistics, type Metric, type MetricName, metricFor } from '../nn/metrics.ts'
import { add } from '../ops/elementwise.ts'
import { mean } from '../ops/reduce.ts'
import { expectScalar, placeholder, type VariableAttributes } from '../ops/source.ts'
import { buildPlan } from '../plan/build.ts'
import { batches, SessionCache } from './batches.ts'
import type { Model, TrainingData } from './model.ts'

export interface ObjectiveOptions {
  /** What to make small: a name, or a function from prediction and target to the loss of each sample. */
  readonly loss: LossChoice
  /** What else to report; default none. */
  readonly metrics?: readonly (MetricName | Metric)[]
}

/** What data measured: `loss` and each metric; after an epoch, the validation's with `validation` in front. */
export type EpochValues = { readonly loss: number } & Readonly<Record<string, number>>

/** Checked samples, ready to be fed. */
export interface Samples {
  readonly x: readonly Rows[]
  readonly y: Rows
  readonly count: number
}

/** Steps of one batch size and what they recorded. */
export interface Run {
  readonly batchSize: number
  readonly completed: number
  readonly records: Records
}

/** The loss a model is trained for, with its metrics, as part of the graph. */
export class Objective {
  readonly model: Model
  readonly target: Tensor
  /** Among the inputs of a plan: "target", longer if the model has an input of that name. */
  private readonly targetName: string
  /** The mean loss of the batch plus all penalties: a scalar. */
  readonly total: Tensor
  readonly metrics: readonly Metric[]
  private readonly loss: Loss
  private readonly statistics: Readonly<Record<string, Tensor>>
  private readonly sessions: SessionCache

  constructor(where: string, model: Model, { loss, metrics = [] }: ObjectiveOptions) {
    if (model.outputs.length !== 1)
      throw new OptionError(`${where}: training needs a model of one output, this one has ${model.outputs.length}.`)
    const [prediction] = model.outputs
    this.model = model
    this.loss = lossFor(where, loss)
    if (this.loss.includes.includes(prediction.op.name)) {
      throw new OptionError(
        `${where}: loss "${this.loss.name}" expects logits and applies ${prediction.op.name} itself, but the model ends in ${prediction.op.name}; remove that activation.`,
      )
    }
    if (!Array.isArray(metrics)) throw new OptionError(`${where}: metrics must be an array of names, got ${describe(metrics)}.`)
    this.metrics = metrics.map((metric) => metricFor(where, metric))
    const names = ['loss', ...this.metrics.map(({ name }) => name)]
    const twice = names.find((name, i) => names.indexOf(name) !== i)
    if (twice !== undefined)
      throw new OptionError(
        `${where}: two values would be reported as "${twice}"; list each metric once; one of your own, { name, batch, result }, needs a name that no other has.`,
      )
    if (model.parameters.length === 0 && where !== 'evaluate')
      throw new OptionError(`${where}: the model has no parameters to train; add a layer that has, such as dense(units).`)
    let targetName = 'target'
    while (model.inputNames.includes(targetName)) targetName += '_'
    this.targetName = targetName
    const scope = { kind: 'loss' }
    const built = within(scope, 'forward', () => {
      const spec = this.loss.target(prediction)
      const target = placeholder(spec.shape.slice(1), { name: 'target', dtype: spec.dtype })
      const losses = this.loss.compute(prediction, target)
      if (!sameShape(losses.shape, [batch]))
        throw new OptionError(
          `${where}: the loss must give one number a sample, shape [batch], got ${formatShape(losses.shape)}; reduce the other axes with mean(x, { axes: [1] }).`,
        )
      const penalties = model.parameters.flatMap(({ variable }) => {
        const { regularize } = variable.attributes as VariableAttributes
        return regularize === undefined ? [] : [regularize(variable)]
      })
      for (const penalty of penalties) expectScalar(`${where}: kernelRegularizer`, penalty)
      const total = penalties.reduce((sum, penalty) => add(sum, penalty), mean(losses))
      const statistics = this.metrics.map((metric) => metric.batch(prediction, target, this.loss))
      return { target, total, statistics }
    })
    this.target = built.target
    this.total = built.total
    this.statistics = Object.fromEntries(built.statistics.flatMap((tensors, i) => tensors.map((tensor, j) => [`metric${i}.${j}`, tensor])))
    this.sessions = new SessionCache((batchSize) => {
      const layerNames = model.layerNames
      return model.load(
        buildPlan({ inputs: this.inputs(), outputs: this.outputs(), variables: model.layout, batchSize, mode: 'inference', layerNames }),
      )
    })
  }

  /** Outputs of a plan: the loss and the statistics of all metrics. */
  outputs(): Record<string, Tensor> {
    return { loss: this.total, ...this.statistics }
  }

  inputs(): Record<string, Tensor> {
    return { ...this.model.namedInputs(), [this.targetName]: this.target }
  }

  get recorded(): string[] {
    return Object.keys(this.outputs())
  }

  /** Checks and converts features and targets, and that there are as many of one as of the other. */
  toSamples(where: string, data: TrainingData): Samples {
    if (typeof data !== 'object' || data === null || !('x' in data || 'y' in data))
      throw new DataError(`${where}: expected data as { x, y }, got ${describe(data)}.`)
    for (const name of ['x', 'y'])
      if (!(name in data))
        throw new DataError(`${where}: expected data as { x, y }, got { ${Object.keys(data).join(', ')} }: ${name} is missing.`)
    checkNames(where, 'entry of data', data, ['x', 'y'])
    const { rows, count } = this.model.toInputRows(where, data.x)
    const shape = concrete(this.target.shape.slice(1))
    const y = toRows(where, data.y, { name: 'y', shape, dtype: this.target.dtype, range: this.loss.range(this.model.outputs[0]) })
    if (y.count !== count) throw new DataError(`${where}: x has ${counted(count, 'sample')} and y has ${y.count}; they must be equal.`)
    return { x: rows, y, count }
  }

  feeds({ x, y }: Samples): Feed[] {
    return [...this.model.inputNames.map((input, i) => ({ input, values: x[i].values })), { input: this.targetName, values: y.values }]
  }

  /** The loss and metrics over samples, with dropout off. */
  async measure(samples: Samples, batchSize: number, signal?: AbortSignal): Promise<EpochValues> {
    const runs = []
    const feeds = this.feeds(samples)
    for (const { batchSize: size, steps, firstRow } of batches(samples.count, batchSize)) {
      const session = this.sessions.get(size)
      const { completed, records, stopped } = await this.model.exclusive(() =>
        session.run({ steps, feeds, firstRow, record: this.recorded, signal }),
      )
      if (stopped === 'aborted') throw new AbortError('Evaluation was stopped.', signal?.reason)
      runs.push({ batchSize: size, completed, records })
    }
    return this.report(runs)
  }

  /** The mean loss and each metric over runs of batches. */
  report(runs: readonly Run[]): EpochValues {
    const collect = (names: readonly string[]): BatchStatistics[] =>
      runs.flatMap(({ batchSize, completed, records }) =>
        Array.from({ length: completed }, (_, step) => ({
          samples: batchSize,
          values: names.map((name) => {
            const size = records[name].length / completed
            return size === 1 ? [records[name][step]] : records[name].subarray(step * size, (step + 1) * size)
          }),
        })),
      )
    const result: { loss: number } & Record<string, number> = { loss: meanLoss(runs) }
    this.metrics.forEach((metric, i) => {
      result[metric.name] = metric.result(collect(this.recorded.filter((name) => name.startsWith(`metric${i}.`))))
    })
    return result
  }
}

/** The mean over samples. A loop of its own: small networks take a million steps a second. */
function meanLoss(runs: readonly Run[]): number {
  let total = 0
  let samples = 0
  for (const { batchSize, completed, records } of runs) {
    for (let step = 0; step < completed; step++) total += batchSize * records.loss[step]
    samples += batchSize * completed
  }
  return total / samples
}
