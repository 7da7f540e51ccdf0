import { checkCount, checkNames, checkOptions, type Hints } from '../checks.ts'
import { Dataset } from '../data/dataset.ts'
import type { NumbersLike } from '../data/ndarray.ts'
import { toRows } from '../data/rows.ts'
import { counted, DataError, describe, OptionError } from '../errors.ts'
import type { Feed } from '../executors/executor.ts'
import { concrete, formatShape } from '../graph/shape.ts'
import { ancestors, expectDtype, expectTensor, substitute, type Tensor, within } from '../graph/tensor.ts'
import { activityPenalties } from '../nn/regularizers.ts'
import { add, equal, greaterEqual, where as select } from '../ops/elementwise.ts'
import { seedVariable, stepVariable } from '../ops/random.ts'
import { expectScalar, isVariable, sourceOps, type VariableAttributes, variable } from '../ops/source.ts'
import { assignAll, continueIf, increment, updateOps } from '../ops/update.ts'
import { checkFilter, chooses, type Optimizer, type ParameterFilter } from '../optim/optimizer.ts'
import { type OptimizerName, optimizerFor } from '../optim/optimizers.ts'
import { buildPlan } from '../plan/build.ts'
import type { Plan } from '../plan/plan.ts'
import { SessionCache } from './batches.ts'
import { Epochs } from './epochs.ts'
import { type History, type Listeners, runEpochs } from './fit.ts'
import { joinedLayout, joinedMemory, namesOfLayers } from './joinedModels.ts'
import { suppliesOf } from './makeSupply.ts'
import { type EpochValues, type Measures, meanOf, measureOver, type Run, type Samples } from './measures.ts'
import { checkGradient, Minimization, type Step } from './minimization.ts'
import { Model } from './model.ts'
import { type NamedVariable, validationName } from './names.ts'
import { listenerHints, listenerNames, type RunOptions, runOptionNames } from './options.ts'
import { Streamed } from './streamSupply.ts'
import type { Supply } from './supply.ts'
import { Trainer } from './trainer.ts'
import { collateNumbers, isByName, type SampleNumbers } from './trainingData.ts'

/** A loss, and the parameters that are changed to make it small. */
export interface MinimizeOptions {
  /** A scalar, made of the models (`apply`) and the inputs. */
  readonly loss: Tensor
  /** Those of a model, or those a filter chooses by their name with the model's in front, `judge.dense_1.kernel`; default all. Frozen ones stay as they are. */
  readonly parameters?: Model | ParameterFilter
  /** A name or one made with options; default "adam". */
  readonly optimizer?: Optimizer | OptimizerName
  /** Of how many steps this minimization takes part in one; above 1 only for the last of them; default 1. */
  readonly every?: number
}

/** Options of `customTraining`. */
export interface CustomTrainingOptions {
  /** The models, with names for messages and parameters. The seed of the first gives all randomness. */
  readonly models: Readonly<Record<string, Model>>
  /** What data are fed to: tensors that `input(shape)` made, by name. */
  readonly inputs: Readonly<Record<string, Tensor>>
  /** What a step does, in order: each minimization sees the parameters as those before it have left them. */
  readonly minimize: readonly MinimizeOptions[]
  /** Scalars to report as means over the samples of an epoch, as a step finds them; default none. `loss` is the first of those minimized, unless given here. */
  readonly report?: Readonly<Record<string, Tensor>>
}

/** Data of a custom training: numbers by input name, one row a sample. */
export type CustomData = Readonly<Record<string, NumbersLike>>

/** Options of a custom training's `fit`. */
export interface CustomFitOptions extends RunOptions<CustomData | Dataset<CustomSample>>, Listeners {}

/** One element of a dataset for a custom training: the numbers of one sample by input name. */
export type CustomSample = Readonly<Record<string, SampleNumbers>>

const hints: Hints = {
  loss: 'it goes into minimize: [{ loss, parameters, optimizer }].',
  optimizer: 'it goes into minimize: [{ loss, parameters, optimizer }].',
  metrics: 'scalars to report go into report: { name: tensor }.',
}
const ofTraining = 'it is an option of customTraining.'
const fitHints: Hints = {
  ...listenerHints,
  loss: ofTraining,
  optimizer: ofTraining,
  metrics: ofTraining,
  inputs: ofTraining,
  report: ofTraining,
}

/**
 * A training step of your own over one or several models: losses made of them, each with the parameters that are to make it small. All of it becomes one plan, with
 * what is computed twice computed once; the step is stopped by `checkFinite` before each minimization. Penalties of the parameters (`kernelRegularizer`) are
 * added to the loss they are minimized for, those of activities (`activityRegularizer`) to each loss that is made of them; what is reported is without.
 *
 * @param options `models`, `inputs`, `minimize`, and if wanted `report`.
 * @throws OptionError for a loss that is no scalar, or does not depend on its parameters; parameters and variables of no model among `models`; inputs that are missing.
 * @example const net = sequential([input(2), dense(1)]); await customTraining({ models: { net }, inputs: { x: net.inputs[0] }, minimize: [{ loss: mean(square(net.outputs[0])) }] }).fit({ x: [[1, 2]] })
 */
export function customTraining(options: CustomTrainingOptions): CustomTraining {
  return new CustomTraining(options)
}

/**
 * A training step of your own, made by `customTraining`. What its optimizers remember carries on from one `fit` to the next, unless a model is initialized in between.
 *
 * @example const net = sequential([input(1), dense(1)]); new CustomTraining({ models: { net }, inputs: { x: net.inputs[0] }, minimize: [{ loss: mean(abs(net.outputs[0])) }] })
 */
export class CustomTraining {
  private readonly options: CustomTrainingOptions
  private readonly models: ReadonlyMap<string, Model>
  private readonly measures: Reports
  private step: CustomStep
  /** That of the last run, and which weights it belongs to. */
  private last: { readonly trainer: Trainer; readonly generations: readonly number[] } | null = null

  constructor(options: CustomTrainingOptions) {
    checkOptions(place, options, ['models', 'inputs', 'minimize', 'report'], hints)
    if (options === undefined) throw new OptionError(`${place}: options are required, at least { models, inputs, minimize }.`)
    const { inputs, report = {} } = options
    this.models = checkModels(options.models)
    const minimize = checkMinimize(options.minimize, this.models)
    checkReport(report)
    checkGraph(options, minimize, this.models)
    for (const [i, { loss, minimization }] of minimize.entries()) checkGradient(`${place}: minimize[${i}]`, loss, minimization.parameters)
    // One object each for as long as this lives, so that what they remember can carry on.
    this.options = { ...options, minimize: options.minimize.map((each, i) => ({ ...each, optimizer: minimize[i].minimization.optimizer })) }
    this.step = stepOf(this.options, this.models, minimize)
    this.measures = new Reports(this.step.models, inputs, this.step.reported)
  }

  /**
   * Trains on data in memory, as a model's `fit` does; all models are held meanwhile.
   *
   * @param data Numbers by input name, one row a sample; or a dataset of samples, numbers by input name.
   * @param options `epochs` 1, `batchSize` 32, `shuffle` true, and all else that fit takes but loss, metrics and optimizer.
   * @throws DataError or OptionError before anything changes; NonFiniteError; AbortError when `signal` stops it.
   * @example const net = sequential([input(1), dense(1)]); await customTraining({ models: { net }, inputs: { x: net.inputs[0] }, minimize: [{ loss: mean(square(net.outputs[0])) }] }).fit({ x: [[1], [2]] }, { epochs: 2 })
   */
  async fit(data: CustomData | Dataset<CustomSample>, options: CustomFitOptions = {}): Promise<History> {
    const where = 'fit of customTraining'
    checkOptions(where, options, [...runOptionNames, ...listenerNames], fitHints)
    const models = [...this.models.values()]
    const { history } = await runEpochs(where, models, options, async (keepsGradients) => {
      const generations = models.map(({ generation }) => generation)
      const last = this.last?.generations.every((generation, i) => generation === generations[i]) ? this.last : null
      const step = this.currentStep()
      const isSame = last?.trainer.step === step && last.trainer.keepsGradients === keepsGradients
      const trainer = isSame ? last.trainer : new Trainer(step, last?.trainer, keepsGradients)
      // A call that is refused does not cost the optimizers their moments.
      const begin = () => {
        this.step = step
        this.last = { trainer, generations }
      }
      const training = { models, measures: this.measures, trainer, keepsGradients, begin }
      const { validationData } = options
      const sourced = { ...options, validationData: validationData && sourceOf(validationData) }
      return new Epochs(where, training, options, await suppliesOf(where, training, sourceOf(data), sourced))
    })
    return history
  }

  /**
   * The plan of a whole step at a batch size, as it runs where no callback has `readsGradients`. `printPlan` shows it.
   *
   * @param batchSize Samples a step.
   * @example const net = sequential([input(1), dense(1)]); printPlan(customTraining({ models: { net }, inputs: { x: net.inputs[0] }, minimize: [{ loss: mean(square(net.outputs[0])) }] }).plan(8))
   */
  plan(batchSize: number): Plan {
    checkCount(place, 'batchSize', batchSize)
    return new Trainer(this.currentStep(), undefined, false).plan(batchSize)
  }

  /** The step for the parameters that are not frozen now. */
  private currentStep(): CustomStep {
    const trainable = trainableOf(this.models)
    const isSame = trainable.length === this.step.trainable.length && trainable.every((each, i) => each === this.step.trainable[i])
    return isSame ? this.step : stepOf(this.options, this.models, checkMinimize(this.options.minimize, this.models))
  }
}

const place = 'customTraining'

function sourceOf(data: CustomData | Dataset<CustomSample>): CustomData | Streamed<CustomData> {
  return data instanceof Dataset ? new Streamed(data as Dataset<unknown>, collateRows, false) : data
}

function collateRows(rows: readonly unknown[]): CustomData {
  const odd = rows.find((row) => !isByName(row))
  if (rows.includes(odd)) throw new DataError(`expected elements that are objects of numbers by input name, got ${describe(odd)}.`)
  return collateNumbers(rows as CustomSample[]) as CustomData
}

/** A minimization that has been checked. */
interface Checked {
  readonly loss: Tensor
  readonly minimization: Minimization
  readonly every: number
}

/** A step, and what it was made for. */
interface CustomStep extends Step {
  /** The parameters that were not frozen when it was made. */
  readonly trainable: readonly Tensor[]
  /** The loss and the reports, as the user gave them. */
  readonly reported: Readonly<Record<string, Tensor>>
}

function trainableOf(models: ReadonlyMap<string, Model>): readonly Tensor[] {
  return [...models.values()].flatMap(({ trainableParameters }) => trainableParameters.map(({ variable: each }) => each))
}

function stepOf({ inputs, report }: CustomTrainingOptions, models: ReadonlyMap<string, Model>, minimize: readonly Checked[]): CustomStep {
  const updated = new Map<Tensor, Tensor>()
  const counters: NamedVariable[] = []
  const recorded = new Map<Tensor, Tensor>()
  const updates = minimize.flatMap(({ loss, minimization, every }, i) => {
    const ofParameters = minimization.parameters.flatMap(({ variable: parameter }) => {
      const { regularize } = parameter.attributes as VariableAttributes
      return regularize === undefined ? [] : [regularize(parameter)]
    })
    const penalties = [...ofParameters, ...activityPenalties([loss])]
    const [asFound, total] = substitute([loss, penalties.reduce((sum, penalty) => add(sum, penalty), loss)], updated)
    recorded.set(loss, asFound)
    const due = every === 1 ? [] : isDue(every, counters, i === 0)
    const countsStep = i === 0 && every === 1
    const made = minimization.updates(total, updated, () => (countsStep ? [increment(stepVariable)] : []))
    checkEnds(i, minimize.length, minimization, made)
    return [...due, ...made]
  })
  const reported = { loss: minimize[0].loss, ...report }
  const asFound = ([name, tensor]: [string, Tensor]) => [name, recorded.get(tensor) ?? tensor]
  return {
    models: new Map([...models].map(([name, model]) => [`${name}.`, model])),
    inputs,
    outputs: Object.fromEntries(Object.entries(reported).map(asFound)),
    minimizations: minimize.map(({ minimization }) => minimization),
    updates,
    variables: counters,
    trainable: trainableOf(models),
    reported,
  }
}

/** Ends the step here, but in every `count`-th. Each step has its randomness, also one that ends. */
function isDue(count: number, counters: NamedVariable[], countsStep: boolean): Tensor[] {
  const name = 'stepsSinceDue'
  const counter = variable({ name, block: 'schedule', shape: [], dtype: 'float32', initialize: (values) => values.fill(0) })
  counters.push({ name, variable: counter })
  return within(null, 'update', () => {
    const counted = countsStep ? [increment(stepVariable)] : []
    const next = add(counter, 1)
    const advanced = assignAll([counter], [select(greaterEqual(next, count), 0, next)])
    return [...counted, advanced, continueIf(equal(advanced, 0))]
  })
}

/** Refuses an optimizer that ends a step before minimizations behind it. */
function checkEnds(i: number, count: number, { optimizer }: Minimization, updates: readonly Tensor[]): void {
  const ends = ancestors(updates).some(({ op }) => op === updateOps.continueIf)
  if (ends && i < count - 1)
    throw new OptionError(
      `${place}: minimize[${i}]: ${optimizer.name} ends some steps early, and with them the minimizations behind it; only the last one may.`,
    )
}

/** Scalars over samples: the mean of each batch's, weighted by its size. */
class Reports implements Measures<CustomData> {
  readonly isMean = true
  readonly valueNames: readonly string[]
  readonly recorded: readonly string[]
  private readonly inputs: Readonly<Record<string, Tensor>>
  private readonly models: readonly Model[]
  private readonly sessions: SessionCache

  constructor(models: ReadonlyMap<string, Model>, inputs: Readonly<Record<string, Tensor>>, outputs: Readonly<Record<string, Tensor>>) {
    this.inputs = inputs
    this.models = [...models.values()]
    this.recorded = Object.keys(outputs)
    this.valueNames = this.recorded
    const variables = joinedLayout(models)
    const layerNames = namesOfLayers(models)
    this.sessions = new SessionCache((batchSize) =>
      this.models[0].load(buildPlan({ inputs, outputs, variables, batchSize, mode: 'inference', layerNames }), joinedMemory(models)),
    )
  }

  modeOf(): 'min' {
    return 'min'
  }

  toSamples(where: string, data: CustomData): Samples {
    const names = Object.keys(this.inputs)
    if (typeof data !== 'object' || data === null || Array.isArray(data) || ArrayBuffer.isView(data))
      throw new DataError(`${where}: expected data as { ${names.join(', ')} }, got ${describe(data)}.`)
    checkNames(where, 'input', data, names)
    const x = names.map((name) => {
      if (data[name] === undefined)
        throw new DataError(
          `${where}: expected data as { ${names.join(', ')} }, got { ${Object.keys(data).join(', ')} }: ${name} is missing.`,
        )
      const { shape, dtype } = this.inputs[name]
      return toRows(where, data[name], { name: `input "${name}"`, shape: concrete(shape.slice(1)), dtype })
    })
    const [{ count }] = x
    x.forEach((rows, i) => {
      if (rows.count !== count)
        throw new DataError(
          `${where}: input "${names[0]}" has ${counted(count, 'sample')} and input "${names[i]}" has ${rows.count}; they must be equal.`,
        )
    })
    return { x, y: [], weights: [], count }
  }

  feeds({ x }: Samples): Feed[] {
    return Object.keys(this.inputs).map((input, i) => ({ input, values: x[i].values }))
  }

  measure(samples: Supply, signal?: AbortSignal): Promise<EpochValues> {
    return measureOver(this, samples, { models: this.models, sessions: this.sessions, signal })
  }

  report(runs: readonly Run[]): EpochValues {
    return Object.fromEntries(this.recorded.map((name) => [name, meanOf(runs, name)])) as EpochValues
  }
}

function checkModels(models: unknown): ReadonlyMap<string, Model> {
  if (typeof models !== 'object' || models === null || models instanceof Model || Array.isArray(models))
    throw new OptionError(`${place}: models must be an object of models by name, such as { generator, judge }, got ${describe(models)}.`)
  const found = new Map<string, Model>()
  const owners = new Map<Tensor, string>()
  for (const [name, model] of Object.entries(models)) {
    if (!(model instanceof Model)) throw new OptionError(`${place}: models.${name} must be a model, got ${describe(model)}.`)
    if ([...found.values()].includes(model)) throw new OptionError(`${place}: models.${name} is listed twice.`)
    for (const { variable: each, name: variableName } of model.variables) {
      if (each === seedVariable || each === stepVariable) continue
      const owner = owners.get(each)
      if (owner !== undefined)
        throw new OptionError(
          `${place}: models ${owner} and ${name} both have ${variableName}, each in memory of its own; join them with apply in place of shared layers.`,
        )
      owners.set(each, name)
    }
    found.set(name, model)
  }
  if (found.size === 0) throw new OptionError(`${place}: expected at least one model, got none.`)
  return found
}

function checkMinimize(minimize: unknown, models: ReadonlyMap<string, Model>): readonly Checked[] {
  if (!Array.isArray(minimize) || minimize.length === 0)
    throw new OptionError(`${place}: minimize must be an array of at least one { loss, parameters, optimizer }, got ${describe(minimize)}.`)
  const named = (choose: (model: Model) => readonly NamedVariable[]) =>
    [...models].flatMap(([name, model]) => choose(model).map((each) => ({ ...each, name: `${name}.${each.name}`, model })))
  const all = named((model) => model.parameters)
  const names = named((model) => model.trainableParameters)
  return minimize.map((entry: MinimizeOptions, i) => {
    const where = `${place}: minimize[${i}]`
    checkOptions(where, entry ?? null, ['loss', 'parameters', 'optimizer', 'every'])
    const { loss, parameters: choice = /./, optimizer = 'adam', every = 1 } = entry
    expectTensor(where, loss, 'loss')
    expectDtype(where, loss, 'float32', 'loss')
    if (loss.rank !== 0)
      throw new OptionError(`${where}: loss must be a scalar, got shape ${formatShape(loss.shape)}; reduce it with mean(x) or sum(x).`)
    checkCount(where, 'every', every)
    if (every > 1 && i < minimize.length - 1)
      throw new OptionError(`${where}: every must be 1 for all minimizations but the last, got ${every}; put it last.`)
    if (choice instanceof Model && ![...models.values()].includes(choice))
      throw new OptionError(
        `${where}: parameters are those of a model that is not among models (${[...models.keys()].join(', ')}); add it.`,
      )
    if (!(choice instanceof Model)) checkFilter(where, 'parameters', choice)
    const parameters = names.filter(({ model, name, variable: each }) =>
      choice instanceof Model ? model === choice : chooses(choice, { name, shape: concrete(each.shape) }),
    )
    if (parameters.length === 0)
      throw new OptionError(
        `${where}: parameters choose none that can be trained; there are ${names.map(({ name }) => name).join(', ') || 'none: call unfreeze()'}.`,
      )
    const needed = new Set(ancestors([loss]))
    if (!parameters.some(({ variable: each }) => needed.has(each)))
      throw new OptionError(
        `${where}: the loss does not depend on any of its parameters, such as ${parameters[0].name}; make it of model.apply(x), or choose others.`,
      )
    const minimization = new Minimization(parameters, optimizerFor(where, optimizer), all)
    return { loss, minimization, every }
  })
}

function checkReport(report: unknown): void {
  if (typeof report !== 'object' || report === null || Array.isArray(report))
    throw new OptionError(`${place}: report must be an object of scalars by name, got ${describe(report)}.`)
  for (const [name, tensor] of Object.entries(report)) {
    expectTensor(`${place}: report`, tensor, name)
    expectDtype(`${place}: report`, tensor, 'float32', name)
    expectScalar(`${place}: report.${name}`, tensor)
    const other = ['loss', ...Object.keys(report)].find((measured) => validationName(measured) === name)
    if (other !== undefined)
      throw new OptionError(`${place}: report.${name} has the name of what ${other} is in validation; take another one.`)
  }
}

/** Refuses inputs that are missing or that nothing needs, and variables of models that are not listed. */
function checkGraph(
  { inputs, report = {} }: CustomTrainingOptions,
  minimize: readonly Checked[],
  models: ReadonlyMap<string, Model>,
): void {
  if (typeof inputs !== 'object' || inputs === null || Array.isArray(inputs) || Object.keys(inputs).length === 0)
    throw new OptionError(
      `${place}: inputs must be an object of at least one input by name, such as { x: input(2) }, got ${describe(inputs)}.`,
    )
  for (const [name, tensor] of Object.entries(inputs)) {
    expectTensor(place, tensor, `inputs.${name}`)
    if (tensor.op !== sourceOps.input)
      throw new OptionError(`${place}: inputs.${name} must come from input(shape), got the result of ${tensor.op.name}.`)
    const [first] = Object.keys(inputs).filter((other) => inputs[other] === tensor)
    if (first !== name) throw new OptionError(`${place}: inputs.${first} and inputs.${name} are the same tensor; leave one of them out.`)
  }
  const given = new Set(Object.values(inputs))
  const needed = new Set(ancestors([...minimize.map(({ loss }) => loss), ...Object.values(report)]))
  const known = new Set([...models.values()].flatMap(({ variables }) => variables.map(({ variable: each }) => each)))
  for (const node of needed) {
    if (node.op === sourceOps.input && !given.has(node))
      throw new OptionError(
        `${place}: a loss or report depends on an input of shape ${formatShape(node.shape)} that is not among inputs (${Object.keys(inputs).join(', ')}).`,
      )
    if (isVariable(node) && !known.has(node))
      throw new OptionError(
        `${place}: a loss or report depends on "${node.attributes.name}", which belongs to none of the models; add its model.`,
      )
    if (node.op.writes !== undefined)
      throw new OptionError(`${place}: a loss or report contains the update ${node.op.name}; only minimizations write variables.`)
  }
  for (const [name, tensor] of Object.entries(inputs))
    if (!needed.has(tensor)) throw new OptionError(`${place}: no loss or report depends on inputs.${name}; leave it out.`)
}
