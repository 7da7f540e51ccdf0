import { checkNames, type Hints } from '../checks.ts'
import { isNumbers, type NumbersLike } from '../data/ndarray.ts'
import { type RangeAdvice, type Rows, toRows } from '../data/rows.ts'
import { counted, DataError, describe, OptionError } from '../errors.ts'
import type { Feed } from '../executors/executor.ts'
import { batch, concrete, formatShape, sameShape } from '../graph/shape.ts'
import { type Spec, Tensor, within } from '../graph/tensor.ts'
import { isLoss, type Loss, type LossChoice, lossFor } from '../nn/losses/index.ts'
import { type BatchStatistics, type Metric, type MetricName, metricFor, metricNames, resultOf, statisticsOf } from '../nn/metrics/index.ts'
import { type Mixture, type MixupOptions, mixture } from '../nn/mixup.ts'
import { penalties, withoutPenalty } from '../nn/regularizers.ts'
import { add, divide, greater, multiply, where } from '../ops/elementwise.ts'
import { mean, sum } from '../ops/reduce.ts'
import { flip } from '../ops/shape.ts'
import { placeholder } from '../ops/source.ts'
import { buildPlan } from '../plan/build.ts'
import { SessionCache } from './batches.ts'
import { type EpochValues, type Measures, meanOf, measureOver, type Run, type Samples } from './measures.ts'
import type { Model } from './model.ts'
import { numbersByName } from './names.ts'
import { type ClassWeights, timesWeights, unitWeights, weightsOfClasses } from './sampleWeights.ts'
import { Streamed } from './streamSupply.ts'
import type { Supply } from './supply.ts'
import type { TrainingData } from './trainingData.ts'

/** One thing for the only output or for every one; or one for each, in order or by output name. */
export type PerOutput<T> = T | readonly T[] | Readonly<Record<string, T>>

/** What a model is trained or measured for. */
export interface ObjectiveOptions {
  /**
   * What to make small: a name, a loss made with options, or a function from prediction and target to the loss of each sample. For a model of several
   * outputs one for all of them, or one for each: in order, or by output name. Their losses are added.
   */
  readonly loss: PerOutput<LossChoice>
  /** By what the loss of each output is multiplied before they are added: in order, or by output name; default 1. */
  readonly lossWeights?: readonly number[] | Readonly<Record<string, number>>
  /** What else to report, for a model of several outputs of each of them or by output name; default none. */
  readonly metrics?: MetricNames | Readonly<Record<string, MetricNames>>
}

/** How samples are treated while training. */
export interface SampleTreatment {
  /** Whether samples have weights. */
  readonly weighted?: boolean
  readonly mixup?: MixupOptions
}

type MetricNames = readonly (MetricName | Metric)[]

const dataHints: Hints = { classWeights: 'it is an option of fit and train.', lossWeights: 'it is an option, beside loss.' }

/** Whether data weigh their samples. What is no data at all is for `toSamples` to refuse. */
export function hasWeights(data: TrainingData | Streamed<TrainingData> | undefined): boolean {
  return data instanceof Streamed ? data.weighted : data?.sampleWeights !== undefined
}

/** An input of the plan that is not one of the model. */
interface Extra {
  readonly name: string
  readonly tensor: Tensor
}

/** One output with its loss. */
interface Part {
  readonly output: string
  readonly prediction: Tensor
  readonly loss: Loss
  /** By what its loss is multiplied in the total. */
  readonly factor: number
  readonly target: Extra
  readonly weights: Extra | null
  /** The loss of each sample, times its weight: [batch]. */
  readonly losses: Tensor
  /** What the mean divides by, if not by the number of samples: a scalar. */
  readonly count: Tensor | null
}

/** A metric of one output. */
interface Reported {
  /** What it is reported as. */
  readonly name: string
  readonly metric: Metric
  readonly part: Part
}

/** The loss a model is trained for, with its metrics, as part of the graph. */
export class Objective implements Measures<TrainingData> {
  readonly model: Model
  /** Whether samples are mixed, in every step anew. */
  readonly isMixed: boolean
  /** The sum of the outputs' losses: a scalar. */
  readonly loss: Tensor
  /** The same plus all penalties. */
  readonly total: Tensor
  readonly metrics: readonly Reported[]
  /** What is reported of data, in order. */
  readonly valueNames: readonly string[]
  private readonly where: string
  private readonly parts: readonly Part[]
  /** What else is recorded to join the losses of batches exactly. */
  private readonly details: Readonly<Record<string, Tensor>>
  private readonly statistics: Readonly<Record<string, Tensor>>
  /** The names of what every step records. */
  readonly recorded: readonly string[]
  private readonly sessions: SessionCache

  constructor(where: string, model: Model, options: ObjectiveOptions, { weighted = false, mixup }: SampleTreatment = {}) {
    const { loss, lossWeights, metrics = [] } = options
    const outputs = model.outputNames
    this.where = where
    this.model = model
    const choices = perOutput<LossChoice>(where, 'loss', outputs, loss as Given<LossChoice>, isOneLoss)
    const factors = perOutput<number>(where, 'lossWeights', outputs, lossWeights, (given) => given === undefined, 1)
    const isOneList = (given: unknown) => Array.isArray(given) || typeof given !== 'object' || given === null
    const asked = perOutput(where, 'metrics', outputs, metrics as Given<MetricNames>, isOneList, []).map((list, i) => {
      if (!Array.isArray(list))
        throw new OptionError(`${inOutput(where, model, outputs[i])}: metrics must be an array of names, got ${describe(list)}.`)
      return list.map((choice) => metricFor(where, choice))
    })
    const taken = [...model.inputNames]
    const scope = { kind: 'loss' }
    const built = within(scope, 'forward', () => {
      const mixed = mixup === undefined ? null : mixture(where, mixup, model.inputs, model.outputs)
      const parts = outputs.map((output, i) =>
        makePart(where, model, i, lossFor(inOutput(where, model, output), choices[i]), factors[i], { weighted, taken, mixed }),
      )
      const added = penalties(where, mixed?.outputs ?? model.outputs)
      const losses = parts.map(batchLoss)
      const loss = weightedSum(losses, factors)
      const total = added.reduce((sum, penalty) => add(sum, penalty), loss)
      return { parts, penalties: added, losses, loss, total }
    })
    this.parts = built.parts
    this.isMixed = mixup !== undefined
    this.loss = built.loss
    this.total = built.total
    this.metrics = this.parts.flatMap((part, i) => asked[i].map((metric) => ({ metric, part, name: this.valueName(part, metric.name) })))
    const ofOutputs = outputs.length === 1 ? [] : this.parts.map((part) => this.valueName(part, 'loss'))
    this.valueNames = ['loss', ...ofOutputs, ...this.metrics.map(({ name }) => name)]
    const twice = this.valueNames.find((name, i) => this.valueNames.indexOf(name) !== i)
    if (twice !== undefined)
      throw new OptionError(
        `${where}: two values would be reported as "${twice}"; list each metric once, or give one another name, as in metrics.accuracy({ name: 'another' }); one of your own, { name, batch, result }, needs a name that no other has.`,
      )
    if (model.trainableParameters.length === 0 && where !== 'evaluate')
      throw new OptionError(
        model.parameters.length === 0
          ? `${where}: the model has no parameters to train; add a layer that has, such as dense(units).`
          : `${where}: all parameters of the model are frozen; call unfreeze() with those to train.`,
      )
    const statistics = within(scope, 'forward', () =>
      this.metrics.map(({ metric, part }) => statisticsOfPart(where, model, metric, part, this.parts)),
    )
    this.statistics = Object.fromEntries(statistics.flatMap((tensors, i) => tensors.map((tensor, j) => [`metric${i}.${j}`, tensor])))
    this.details = within(scope, 'forward', () => detailsOf(this.parts, built.losses, built.penalties))
    this.recorded = Object.keys(this.outputs())
    this.sessions = new SessionCache((batchSize) => {
      const layerNames = model.layerNames
      return model.load(
        buildPlan({ inputs: this.inputs(), outputs: this.outputs(), variables: model.layout, batchSize, mode: 'inference', layerNames }),
      )
    })
  }

  /** Outputs of a plan: the loss and the statistics of all metrics. */
  outputs(): Record<string, Tensor> {
    return { loss: this.total, ...this.details, ...this.statistics }
  }

  inputs(): Record<string, Tensor> {
    return { ...this.model.namedInputs(), ...Object.fromEntries(this.extras.map(({ name, tensor }) => [name, tensor])) }
  }

  private get extras(): Extra[] {
    return this.parts.flatMap(({ target, weights }) => (weights === null ? [target] : [target, weights]))
  }

  get isMean(): boolean {
    return this.parts.every(isPlain)
  }

  modeOf(value: string): 'min' | 'max' {
    return this.metrics.find(({ name }) => name === value)?.metric.mode ?? 'min'
  }

  /** Checks and converts features, targets and weights, and that there are as many of one as of the other. */
  toSamples(where: string, data: TrainingData): Samples {
    if (typeof data !== 'object' || data === null || !('x' in data || 'y' in data))
      throw new DataError(`${where}: expected data as { x, y }, got ${describe(data)}.`)
    for (const name of ['x', 'y'])
      if (!(name in data))
        throw new DataError(`${where}: expected data as { x, y }, got { ${Object.keys(data).join(', ')} }: ${name} is missing.`)
    checkNames(where, 'entry of data', data, ['x', 'y', 'sampleWeights'], dataHints)
    const { rows, count } = this.model.toInputRows(where, data.x)
    const targets = numbersByName(where, 'y', 'output', this.model.outputNames, data.y)
    const complete = (what: string, rows: Rows, advice?: RangeAdvice): Rows => {
      if (rows.count === count) return rows
      const otherForm = advice?.otherForm
      const isOther = otherForm !== undefined && rows.values.length === count * otherForm.width
      throw new DataError(
        `${where}: x has ${counted(count, 'sample')} and ${what} has ${rows.count}; they must be equal${isOther ? `; ${otherForm.text}` : ''}.`,
      )
    }
    const y = this.parts.map(({ output, prediction, loss, target: { tensor } }) => {
      const name = this.parts.length === 1 ? 'y' : `y of output "${output}"`
      const shape = concrete(tensor.shape.slice(1))
      const range = loss.range(prediction)
      return complete(name, toRows(where, targets[output], { name, shape, dtype: tensor.dtype, range }), range.advice)
    })
    return { x: rows, y, weights: this.toWeights(where, data, count, complete), count }
  }

  private toWeights(where: string, { sampleWeights }: TrainingData, count: number, complete: (what: string, rows: Rows) => Rows): Rows[] {
    if (this.parts.every(({ weights }) => weights === null)) return []
    const toUse = (name: string, given: NumbersLike | undefined): Rows => {
      if (given === undefined) return unitWeights(count)
      const rows = complete(name, toRows(where, given, { name, shape: [], dtype: 'float32', range: { kind: 'atLeast', minimum: 0 } }))
      if (rows.values.every((weight) => weight === 0)) throw new DataError(`${where}: ${name} are all 0, so that no sample counts.`)
      return rows
    }
    if (typeof sampleWeights !== 'object' || sampleWeights === null || isNumbers(sampleWeights)) {
      const shared = toUse('sampleWeights', sampleWeights)
      return this.parts.map(() => shared)
    }
    checkNames(`sampleWeights of ${where}`, 'output', sampleWeights, this.model.outputNames)
    return this.parts.map(({ output }) => toUse(`sampleWeights of output "${output}"`, sampleWeights[output]))
  }

  /** Samples with weights that are multiplied by those of their classes. */
  withClassWeights(where: string, samples: Samples, given: PerOutput<ClassWeights>): Samples {
    const isOne = () => this.parts.length === 1
    const classWeights = perOutput<ClassWeights | null>(where, 'classWeights', this.model.outputNames, given, isOne, null)
    const weights = this.parts.map(({ output, prediction, loss }, i) => {
      const ofOutput = classWeights[i]
      if (ofOutput === null) return samples.weights[i]
      return timesWeights(
        samples.weights[i],
        weightsOfClasses(inOutput(where, this.model, output), loss, prediction, samples.y[i], ofOutput),
      )
    })
    return { ...samples, weights }
  }

  feeds({ x, y, weights }: Samples): Feed[] {
    return [
      ...this.model.inputNames.map((input, i) => ({ input, values: x[i].values })),
      ...this.parts.flatMap(({ target, weights: input }, i) => [
        { input: target.name, values: y[i].values },
        ...(input === null ? [] : [{ input: input.name, values: weights[i].values }]),
      ]),
    ]
  }

  /** The loss and metrics over samples, with dropout off. */
  measure(samples: Supply, signal?: AbortSignal): Promise<EpochValues> {
    return measureOver(this, samples, { models: [this.model], sessions: this.sessions, signal })
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
    const result: { loss: number } & Record<string, number> = { loss: 0 }
    if (this.isMean) result.loss = meanOf(runs, 'loss')
    else if ('penalty' in this.details) result.loss = meanOf(runs, 'penalty')
    if ('loss0' in this.details)
      this.parts.forEach((part, i) => {
        const loss = joinedLoss(runs, part, i)
        if (this.parts.length > 1) result[this.valueName(part, 'loss')] = loss
        if (!this.parts.every(isPlain)) result.loss += part.factor * loss
      })
    this.metrics.forEach(({ name, metric }, i) => {
      result[name] = resultOf(this.where, metric, collect(this.recorded.filter((record) => record.startsWith(`metric${i}.`))))
    })
    return result
  }

  /** What a value of an output is reported as: `accuracy`, or with several outputs `classesAccuracy`. */
  private valueName({ output }: { output: string }, name: string): string {
    return this.model.outputs.length === 1 ? name : `${output}${name[0].toUpperCase()}${name.slice(1)}`
  }
}

/** What may be given where there is one thing for each output. */
type Given<T> = T | readonly T[] | Readonly<Record<string, T>> | undefined

/**
 * One thing for each output, from what was given for all of them (`isOne` tells), in order, or by name; by name those with an `absent` may be left out.
 */
function perOutput<T>(
  where: string,
  option: string,
  outputs: readonly string[],
  given: Given<T>,
  isOne: (given: unknown) => boolean,
  absent?: T,
): readonly T[] {
  const several = `${where}: this model has ${counted(outputs.length, 'output')}, ${outputs.join(', ')}`
  if (isOne(given)) return outputs.map(() => (given === undefined && absent !== undefined ? absent : (given as T)))
  if (Array.isArray(given)) {
    if (given.length !== outputs.length)
      throw new OptionError(`${several}; ${option} has ${given.length}: give one for each, or an object by name.`)
    return given
  }
  if (typeof given !== 'object' || given === null)
    throw new OptionError(`${several}; give ${option} by output name, got ${describe(given)}.`)
  checkNames(`${option} of ${where}`, 'output', given, outputs)
  return outputs.map((output) => {
    const one = (given as Readonly<Record<string, T>>)[output]
    if (one === undefined && absent === undefined) throw new OptionError(`${several}; ${option} has no entry for ${output}.`)
    return one ?? (absent as T)
  })
}

/** Whether a loss is given for all outputs. What is neither one nor several is for `lossFor` to refuse. */
function isOneLoss(given: unknown): boolean {
  return typeof given !== 'object' || given === null || isLoss(given) || given instanceof Tensor
}

/** Where an error lies: of several outputs, in which. */
function inOutput(where: string, model: Model, output: string): string {
  return model.outputs.length === 1 ? where : `${where} (output "${output}")`
}

/** What a metric of one output asks a plan to compute. If it does not fit there but elsewhere, the error says so. */
function statisticsOfPart(where: string, model: Model, metric: Metric, part: Part, parts: readonly Part[]): readonly Tensor[] {
  const of = ({ prediction, target, loss }: Part) => statisticsOf(where, metric, prediction, target.tensor, loss)
  try {
    return of(part)
  } catch (error) {
    if (!(error instanceof OptionError) || parts.length === 1) throw error
    const fitting = parts.filter((other) => {
      try {
        return other !== part && of(other).length > 0
      } catch {
        return false
      }
    })
    const named = metricNames.includes(metric.name) ? `'${metric.name}'` : '…'
    const advice = fitting.map(({ output }) => `${output}: [${named}]`).join(', ')
    throw new OptionError(
      `${inOutput(where, model, part.output)}: ${error.message}${advice === '' ? '' : ` For some outputs only give metrics by name: { ${advice} }.`}`,
      { cause: error },
    )
  }
}

/** The target, the weights and the losses of samples of one output. */
function makePart(
  outer: string,
  model: Model,
  i: number,
  loss: Loss,
  factor: number,
  { weighted, taken, mixed }: { readonly weighted: boolean; readonly taken: string[]; readonly mixed: Mixture | null },
): Part {
  const output = model.outputNames[i]
  const prediction = (mixed?.outputs ?? model.outputs)[i]
  const where = inOutput(outer, model, output)
  if (typeof factor !== 'number' || !(factor >= 0 && factor < Number.POSITIVE_INFINITY))
    throw new OptionError(`${where}: lossWeights must be finite numbers of at least 0, got ${describe(factor)}.`)
  refuseActivation(where, loss, prediction)
  const extra = (base: string, spec: Spec): Extra => {
    let name = model.outputs.length === 1 ? base : `${base}/${output}`
    while (taken.includes(name)) name += '_'
    taken.push(name)
    return { name, tensor: placeholder(spec.shape.slice(1), { name: base, dtype: spec.dtype }) }
  }
  const target = extra('target', loss.target(prediction))
  const weights = weighted ? extra('sampleWeights', { shape: [batch], dtype: 'float32' }) : null
  const judged = (target: Tensor, weights: Tensor | undefined) => {
    const unweighted = loss.compute(prediction, target)
    if (!sameShape(unweighted.shape, [batch]))
      throw new OptionError(
        `${where}: the loss must give one number a sample, shape [batch], got ${formatShape(unweighted.shape)}; reduce the other axes with mean(x, { axes: [1] }).`,
      )
    const losses = weights === undefined ? unweighted : multiply(weights, unweighted)
    return { losses, counts: loss.reduction === 'mean' ? loss.counts?.(prediction, target) : undefined }
  }
  let { losses, counts } = judged(target.tensor, weights?.tensor)
  if (mixed !== null) {
    const partners = judged(flip(target.tensor, [0]), weights === null ? undefined : flip(weights.tensor, [0]))
    losses = mixed.blend(losses, partners.losses)
    if (counts !== undefined) counts = mixed.blend(counts, partners.counts as Tensor)
  }
  return { output, prediction, loss, factor, target, weights, losses, count: counts === undefined ? null : sum(counts) }
}

/** Refuses a model that ends in an activation which the loss applies itself. */
function refuseActivation(where: string, loss: Loss, prediction: Tensor): void {
  const end = withoutPenalty(prediction).op.name
  if (!loss.includes.includes(end)) return
  const exclusive = loss.task === 'categorical' || loss.task === 'sparse'
  const advice =
    end === 'sigmoid' && exclusive
      ? ', or for labels that do not exclude each other use binaryCrossentropy without it'
      : end !== 'sigmoid' && !exclusive
        ? ', or for classes that exclude each other use a categorical loss without it'
        : ''
  throw new OptionError(
    `${where}: loss "${loss.name}" expects logits, the numbers before ${exclusive ? 'softmax' : 'sigmoid'}, but the model ends in ${end}; remove that activation${advice}.`,
  )
}

/**
 * The loss of a batch for one output: Σ w · loss, by what counts when it is a mean. Weights are not in the denominator (Keras' choice): a sample of weight 2
 * has twice the effect on a step, whoever else is in its batch. PyTorch's class weights are in it. Where nothing counts the loss is 0.
 */
function batchLoss({ loss, losses, count }: Part): Tensor {
  if (loss.reduction === 'sum') return sum(losses)
  return count === null ? mean(losses) : divide(sum(losses), where(greater(count, 0), count, 1))
}

/** Whether a part's loss is the mean over samples. */
const isPlain = ({ loss, count }: Part): boolean => loss.reduction === 'mean' && count === null

/** What must be recorded, besides the total, to join batches exactly and to report each output: nothing for the plain loss of one output. */
function detailsOf(parts: readonly Part[], losses: readonly Tensor[], penalties: readonly Tensor[]): Record<string, Tensor> {
  if (parts.length === 1 && isPlain(parts[0])) return {}
  const details: Record<string, Tensor> = {}
  parts.forEach(({ count }, i) => {
    details[`loss${i}`] = losses[i]
    if (count !== null) details[`count${i}`] = count
  })
  if (penalties.length > 0 && !parts.every(isPlain)) details.penalty = penalties.reduce((a, b) => add(a, b))
  return details
}

function weightedSum(losses: readonly Tensor[], factors: readonly number[]): Tensor {
  return losses.map((loss, i) => (factors[i] === 1 ? loss : multiply(factors[i], loss))).reduce((a, b) => add(a, b))
}

/** The loss of an output over runs of batches: exactly what it would be of one batch of all samples. */
function joinedLoss(runs: readonly Run[], { loss, count }: Part, i: number): number {
  if (count === null && loss.reduction === 'mean') return meanOf(runs, `loss${i}`)
  let [total, counts] = [0, 0]
  for (const { completed, records } of runs) {
    for (let step = 0; step < completed; step++) {
      const weight = count === null ? 1 : records[`count${i}`][step]
      total += weight * records[`loss${i}`][step]
      counts += weight
    }
  }
  return loss.reduction === 'sum' ? total : total / (counts || 1)
}
