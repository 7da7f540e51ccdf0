import type { Duplex } from 'node:stream'
import type { ReadableWritablePair } from 'node:stream/web'
import { checkCount, checkNames, checkOptions, checkSeed, checkSignal, type Hints, nearestName } from '../checks.ts'
import type { Dataset } from '../data/dataset.ts'
import { NdArray, type NumbersLike } from '../data/ndarray.ts'
import { type RowMemory, type Rows, toRows } from '../data/rows.ts'
import { BusyError, counted, describe, OptionError, ShapeError } from '../errors.ts'
import { Arena } from '../executors/arena.ts'
import type { Executor, Session } from '../executors/executor.ts'
import { chooseExecutor, type ExecutionOptions } from '../executors/index.ts'
import type { Profile } from '../executors/profile.ts'
import { batch, concrete, formatShape, sameShape, sizeOf } from '../graph/shape.ts'
import { ancestors, expectDtype, expectTensor, apply as makeNode, type Scope, substitute, Tensor, within } from '../graph/tensor.ts'
import type { Layer } from '../nn/layers.ts'
import { isRandom, seedVariable } from '../ops/random.ts'
import { lostInitializer, sourceOps, type VariableAttributes } from '../ops/source.ts'
import { checkFilter, chooses, type Optimizer, type ParameterFilter } from '../optim/optimizer.ts'
import { type OptimizerName, optimizerFor } from '../optim/optimizers.ts'
import { buildPlan } from '../plan/build.ts'
import type { Plan } from '../plan/plan.ts'
import { VariableLayout } from '../plan/variables.ts'
import type { BatchPredictor } from '../predict/batchPredictor.ts'
import { Predictor, type PredictorOptions } from '../predict/predictor.ts'
import { batchStream, batchTransform, batchTransformWeb, type TransformOptions } from '../predict/transform.ts'
import { Purpose, RandomStream, seedWords } from '../random.ts'
import { powerOfTwo } from './batches.ts'
import { type EvaluateOptions, evaluate } from './evaluate.ts'
import { type FitOptions, fit, type History } from './fit.ts'
import type { EpochValues } from './measures.ts'
import { checkGradient, stepOf } from './minimization.ts'
import { describeModel, type SaveOptions, saveModel } from './modelFile.ts'
import { ModelRows, type RowFeatures } from './modelRows.ts'
import { nameInputs, nameLayers, nameOutputs, nameVariables, numbersByName } from './names.ts'
import { Objective, type ObjectiveOptions } from './objective.ts'
import { type BatchOptions, Predictions } from './predictions.ts'
import type { SharedModel } from './sharing.ts'
import type { Sample } from './streamSupply.ts'
import { summarize } from './summary.ts'
import { type TrainEvent, type TrainOptions, train } from './train.ts'
import { Trainer } from './trainer.ts'

/** What decides the bits of a model, and what runs it. */
export interface ModelOptions extends ExecutionOptions {
  /** Decides initial weights, shuffling and dropout: an integer of 0 … 2^53 - 1. Default 0. The same seed gives the same bits. */
  readonly seed?: number
}

/** Features: numbers for the only input, or by input name for several. */
export type Features = NumbersLike | Readonly<Record<string, NumbersLike>>

/** Targets: numbers for the only output, or by output name for several. */
export type Targets = NumbersLike | Readonly<Record<string, NumbersLike>>

/** What a model is trained and evaluated on; all have one entry a sample. */
export interface TrainingData {
  /** What predictions are made from. */
  readonly x: Features
  /** What they should be: of the shape the loss asks for. */
  readonly y: Targets
  /**
   * By what the loss of each sample is multiplied, ≥ 0: for all outputs, or by output name (1 for those not named); default 1. A mean still divides by
   * the number of samples, and metrics do not see the weights.
   */
  readonly sampleWeights?: NumbersLike | Readonly<Record<string, NumbersLike>>
}

/** What `Model.predict` listens to. */
export interface PredictOptions {
  /** Stops it within a step; it rejects with an AbortError. */
  readonly signal?: AbortSignal
}

/** What a training step is made for. */
export interface PlanOptions extends ObjectiveOptions {
  /** A name or one made with options; default "adam". */
  readonly optimizer?: Optimizer | OptimizerName
}

/** A variable, and its name in weights and plans. */
export interface NamedVariable {
  readonly variable: Tensor
  readonly name: string
}

/** What `apply` gave, and whose parameters it is made of. */
const applied = new WeakMap<Tensor, Model>()

/**
 * A network with its parameters. Made by `sequential` or `model`. Parameters live in shared memory of the model;
 * every plan (training, evaluation, prediction, at any batch size) works on the same ones.
 *
 * @example const x = input(2); new Model([x], [dense(x, 1)], { seed: 7 })
 */
export class Model {
  /** The symbolic inputs, in order. */
  readonly inputs: readonly Tensor[]
  /** The symbolic outputs, in order. */
  readonly outputs: readonly Tensor[]
  /** Of initial weights, shuffling and dropout. */
  readonly seed: number
  /** Names of the inputs, in order. */
  readonly inputNames: readonly string[]
  /** Names of the outputs, in order: those of the layers they come from. */
  readonly outputNames: readonly string[]
  /** The names of its layers. */
  readonly layerNames: ReadonlyMap<Scope, string>
  /** All variables with their full names, parameters first in order of creation. */
  readonly variables: readonly NamedVariable[]
  /** What runs its plans: "native" or "reference" by `name`. */
  readonly executor: Executor
  /** The blocks "parameters" and "state". @internal */
  readonly memory: Arena
  /** @internal */
  readonly layout: VariableLayout
  private readonly predictions: Predictions
  private rowsOfThis: ModelRows | null = null
  private queue: Promise<unknown> = Promise.resolve()
  /** Counts calls of `initialize`: what an optimizer remembers from before one belongs to other weights. @internal */
  generation = 0
  private readonly frozen = new Set<Tensor>()
  private training = false
  /** Whether something is reading or writing the variables. @internal */
  isRunning = false

  /** @param memory Gives the memory, with what it holds, in place of new memory and initial values; @internal */
  constructor(
    inputs: readonly Tensor[],
    outputs: readonly Tensor[],
    options: ModelOptions = {},
    memory?: (layout: VariableLayout) => Arena,
  ) {
    checkOptions('model', options, ['seed', 'executor', 'threads'])
    const { seed = 0 } = options
    checkSeed('model', seed)
    this.inputs = checkInputs(inputs, outputs)
    this.outputs = outputs
    this.seed = seed
    this.executor = chooseExecutor(options)
    const nodes = ancestors(outputs)
    this.layerNames = nameLayers([...inputs, ...nodes])
    this.inputNames = nameInputs(inputs, this.layerNames)
    this.outputNames = nameOutputs(outputs, this.layerNames)
    this.variables = nameVariables(nodes, this.layerNames)
    this.layout = new VariableLayout(this.variables)
    this.memory = memory?.(this.layout) ?? Arena.allocate(this.layout.blocks)
    if (memory === undefined) this.fill('model', this.takeOver(nodes))
    this.predictions = new Predictions(this)
  }

  /**
   * The model as a function: its output for other tensors, with the same parameters inside `customTraining` and `gradients`. A model that is made of
   * the result, such as a new head on a trained body, has parameters of its own: they begin with the values that this model's have at that moment, and
   * none of them is frozen. Each call has dropout and other noise of its own.
   *
   * @param x A tensor of the input's shape and dtype; for several inputs, an object of tensors by input name.
   * @returns The output; of a model of several, `applyAll` gives them.
   * @throws OptionError or ShapeError for a tensor that does not fit the input.
   * @example const body = sequential([input(2), dense(8)]); sequential([input(2), (x) => body.apply(x), dense(1)])
   */
  apply(x: Tensor | Readonly<Record<string, Tensor>>): Tensor {
    if (this.outputs.length > 1) throw new OptionError(`apply: this model has ${this.outputs.length} outputs; use applyAll(x).`)
    return this.applyAll(x)[0]
  }

  /**
   * As `apply`, for a model of several outputs.
   *
   * @example sequential([input(2), dense(1)]).applyAll(input(2))[0]
   */
  applyAll(x: Tensor | Readonly<Record<string, Tensor>>): Tensor[] {
    const given = x instanceof Tensor && this.inputs.length === 1 ? { [this.inputNames[0]]: x } : x
    if (typeof given !== 'object' || given === null || given instanceof Tensor)
      throw new OptionError(
        `apply: expected ${this.inputs.length === 1 ? 'a symbolic tensor' : `an object of tensors by input name (${this.inputNames.join(', ')})`}, got ${describe(given)}.`,
      )
    checkNames('apply', 'input', given, this.inputNames)
    const replacements = this.inputs.map((input, i): [Tensor, Tensor] => {
      const name = this.inputNames[i]
      const tensor = given[name]
      expectTensor('apply', tensor, `input "${name}"`)
      expectDtype('apply', tensor, input.dtype, `input "${name}"`)
      if (!sameShape(tensor.shape, input.shape))
        throw new ShapeError(`apply: input "${name}" must have shape ${formatShape(input.shape)}, got ${formatShape(tensor.shape)}.`)
      return [input, tensor]
    })
    const noise = ancestors(this.outputs).flatMap((node): [Tensor, Tensor][] => {
      if (!isRandom(node)) return []
      return [[node, within(node.scope, node.phase, () => makeNode(node.op, node.inputs, node.attributes))]]
    })
    const results = substitute(this.outputs, new Map([...replacements, ...noise]))
    // A model that gives its input back has nothing of its own in it.
    for (const result of results) if (!applied.has(result)) applied.set(result, this)
    return results
  }

  /**
   * Begins with the values of the models that are applied within this one: of a parameter that is in several, with those of the one applied last.
   *
   * @returns The parameters that have been given values.
   */
  private takeOver(nodes: readonly Tensor[]): ReadonlySet<Tensor> {
    const taken = new Set<Tensor>()
    for (const node of nodes) {
      const source = applied.get(node)
      for (const { variable } of source?.parameters ?? []) {
        if (this.layout.place(variable) === undefined) continue
        this.values(variable).set((source as Model).values(variable))
        taken.add(variable)
      }
    }
    return taken
  }

  /**
   * Sets all variables to their initial values, as the seed gives them; also those that began with the values of a model that was applied.
   *
   * @throws BusyError while a run of this model is in progress; OptionError for a loaded model if an initializer was a function of your own.
   * @example sequential([input(2), dense(1)]).initialize()
   */
  initialize(): void {
    this.refuseWhileRunning('initialize')
    this.fill('initialize', new Set())
    this.generation += 1
  }

  /** Gives all variables their initial values, but those that have values already. */
  private fill(where: string, taken: ReadonlySet<Tensor>): void {
    const lost = this.variables.find(({ variable }) => variable.attributes.initialize === lostInitializer && !taken.has(variable))
    if (lost !== undefined)
      throw new OptionError(
        `${where}: the initializer of ${lost.name} was a function of your own, which the file of its model could not hold; set its values with setWeights, or build the model anew.`,
      )
    this.variables.forEach(({ variable }, i) => {
      const { initialize, shape } = variable.attributes as VariableAttributes
      if (!taken.has(variable)) initialize(this.values(variable), shape, new RandomStream(this.seed, Purpose.initialize, i))
    })
    this.values(seedVariable).set(seedWords(this.seed).map((word) => word | 0))
  }

  /** All parameters one after the other, for `restoreParameters`. @internal */
  copyOfParameters(): Float32Array {
    return this.parameterMemory.slice()
  }

  /** @internal */
  restoreParameters(values: Float32Array): void {
    this.parameterMemory.set(values)
  }

  private get parameterMemory(): Float32Array {
    if (!this.memory.has('parameters')) return new Float32Array(0)
    const { buffer, byteOffset, byteLength } = this.memory.region('parameters')
    return new Float32Array(buffer, byteOffset, byteLength / 4)
  }

  /**
   * The memory of a variable, not a copy; `Model.variables` lists them.
   *
   * @throws OptionError if it is not one of this model.
   * @example const net = sequential([input(2), dense(1)]); net.values(net.parameters[0].variable)
   */
  values(variable: Tensor): Float32Array | Int32Array {
    const place = this.layout.place(variable)
    if (place === undefined) throw new OptionError(`${describe(variable)} is not a variable of this model.`)
    return this.memory.view({ ...place, shape: concrete(variable.shape), dtype: variable.dtype }) as Float32Array | Int32Array
  }

  /** Number of trainable numbers. */
  get parameterCount(): number {
    return this.parameters.reduce((sum, { variable }) => sum + sizeOf(concrete(variable.shape)), 0)
  }

  /** The trainable variables. */
  get parameters(): readonly NamedVariable[] {
    return this.variables.filter(({ variable }) => variable.attributes.block === 'parameters')
  }

  /** The parameters that training changes: all but those that are frozen. */
  get trainableParameters(): readonly NamedVariable[] {
    return this.parameters.filter(({ variable }) => !this.frozen.has(variable))
  }

  /**
   * Keeps parameters as they are in the training runs that follow: no gradient is computed for them, and no optimizer touches them. What an
   * optimizer remembers for the others carries on; it begins anew when parameters it did not train in the last run are trained again.
   *
   * @param filter A layer's name, a parameter's, a pattern, a function of { name, shape }, or several of these; default all.
   * @throws OptionError when no parameter is chosen.
   * @example sequential([input(4), dense(8, { name: 'body' }), dense(2)]).freeze('body')
   */
  freeze(filter: ParameterFilter = /./): void {
    for (const { variable } of this.chosen('freeze', filter)) this.frozen.add(variable)
  }

  /**
   * Lets parameters be trained again.
   *
   * @param filter As for `freeze`; default all.
   * @throws OptionError when no parameter is chosen.
   * @example sequential([input(4), dense(2)]).unfreeze()
   */
  unfreeze(filter: ParameterFilter = /./): void {
    for (const { variable } of this.chosen('unfreeze', filter)) this.frozen.delete(variable)
  }

  private chosen(where: string, filter: ParameterFilter): readonly NamedVariable[] {
    checkFilter(where, 'the parameters', filter)
    const found = this.parameters.filter(({ variable, name }) => chooses(filter, { name, shape: concrete(variable.shape) }))
    if (found.length === 0)
      throw new OptionError(
        `${where}: ${describe(filter)} chooses no parameter of this model; there are ${this.parameters.map(({ name }) => name).join(', ')}.`,
      )
    return found
  }

  /**
   * Trains on data in memory, or on a dataset of samples `{ x, y }`, which is read while the steps run; resolves with what happened in each epoch. The event loop stays
   * free meanwhile.
   *
   * @throws DataError, OptionError or ShapeError before anything changes; NonFiniteError (parameters of the last good step
   *   are kept); AbortError when `signal` stops it.
   * @example await sequential([input(2), dense(1)]).fit({ x: [[0, 1], [1, 0]], y: [[0], [1]] }, { loss: 'meanSquaredError', epochs: 10 })
   */
  fit(
    data: TrainingData | Dataset<Sample>,
    options: FitOptions & { readonly profile: true },
  ): Promise<History & { readonly profile: Profile }>
  fit(data: TrainingData | Dataset<Sample>, options: FitOptions): Promise<History>
  fit(data: TrainingData | Dataset<Sample>, options: FitOptions): Promise<History> {
    return fit(this, data, options)
  }

  /**
   * As `fit`, but gives every step and epoch as an event; leaving the loop stops the run within a step.
   *
   * @example for await (const event of sequential([input(2), dense(1)]).train({ x: [[0, 1], [1, 0]], y: [[0], [1]] }, { loss: 'meanSquaredError' })) if (event.type === 'epoch') console.log(event.values.loss)
   */
  train(data: TrainingData | Dataset<Sample>, options: TrainOptions): AsyncGenerator<TrainEvent, void, void> {
    return train(this, data, options)
  }

  /**
   * The loss and metrics over data, exact over batches, with dropout off.
   *
   * @throws DataError, OptionError or ShapeError for data that do not fit; AbortError when `signal` stops it.
   * @example await sequential([input(2), dense(1)]).evaluate({ x: [[0, 1], [1, 0]], y: [[0], [1]] }, { loss: 'meanSquaredError' })
   */
  evaluate(data: TrainingData | Dataset<Sample>, options: EvaluateOptions): Promise<EpochValues> {
    return evaluate(this, data, options)
  }

  /**
   * The model's output for each sample, with dropout off.
   *
   * @param x One row a sample.
   * @returns [samples, …].
   * @throws OptionError for a model of several outputs; DataError or ShapeError for data that do not fit; AbortError when `signal` stops
   *   it.
   * @example await sequential([input(2), dense(1)]).predict([[0, 1], [1, 0]])
   */
  async predict(x: Features, options: PredictOptions = {}): Promise<NdArray> {
    const outputs = await this.predictAll(x, options)
    if (outputs.length > 1) throw new OptionError(`predict: this model has ${outputs.length} outputs; use predictAll(x).`)
    return outputs[0]
  }

  /**
   * As `Model.predict`, for a model of several outputs: an array of them.
   *
   * @example const x = input(2); await model(x, [dense(x, 1), dense(x, 3)]).predictAll([[0, 1]])
   */
  async predictAll(x: Features, options: PredictOptions = {}): Promise<NdArray[]> {
    checkOptions('predict', options, ['signal'])
    checkSignal('predict', options.signal)
    const { rows, count } = this.toInputRows('predict', x)
    return this.predictBatches(
      rows.map(({ values }) => values),
      count,
      { signal: options.signal },
    )
  }

  /** The outputs for rows in shared memory. @internal */
  predictBatches(inputs: readonly (Float32Array | Int32Array)[], count: number, options: BatchOptions = {}): Promise<NdArray[]> {
    return this.predictions.run(inputs, count, options)
  }

  /**
   * As `predict`, but on the calling thread, and done when it returns: for one row or a few, where a thread and a promise would cost more
   * than the prediction. The first call with a number of rows is slower: it makes their plan. A Float32Array is the fastest input.
   *
   * @throws BusyError while a run of this model is in progress (`predict` waits for it); otherwise what `predict` rejects with.
   * @example sequential([input(2), dense(1)]).predictSync(Float32Array.of(0, 1))
   */
  predictSync(x: Features, none?: undefined): NdArray {
    refuseOptions('predictSync', none)
    if (this.outputs.length > 1) throw new OptionError(`predictSync: this model has ${this.outputs.length} outputs; use predictAllSync(x).`)
    return this.predictAtOnce('predictSync', x)[0]
  }

  /**
   * As `Model.predictSync`, for a model of several outputs.
   *
   * @example const x = input(2); model(x, [dense(x, 1), dense(x, 3)]).predictAllSync(Float32Array.of(0, 1))
   */
  predictAllSync(x: Features, none?: undefined): NdArray[] {
    refuseOptions('predictAllSync', none)
    return this.predictAtOnce('predictAllSync', x)
  }

  private predictAtOnce(where: string, x: Features): NdArray[] {
    const { rows, count } = this.toInputRows(where, x, 'any')
    this.refuseWhileRunning(where, `use ${where.replace('Sync', '')}, which waits for it to end.`)
    return this.predictions.runAtOnce(
      rows.map(({ values }) => values),
      count,
    )
  }

  /** As `predictBatches` with `padded`, on the calling thread. @internal */
  predictBatchesSync(where: string, inputs: readonly (Float32Array | Int32Array)[], count: number): NdArray[] {
    this.refuseWhileRunning(where, `use ${where.replace('Sync', '')}, which waits for it to end.`)
    return this.predictions.runAtOnce(inputs, count, powerOfTwo)
  }

  /**
   * A Node stream of objects from rows to predictions, for `pipe` and `pipeline`: in order, a batch at a time, with back-pressure. A row is numbers (one
   * sample, in an array or a typed one), for several inputs an object of them by input name; its prediction an NdArray of the shape of one output, for a
   * model of several an object of them by output name: `transform<Record<string, NdArray>>()`. Training may go on beside: a batch waits for the epoch in
   * progress.
   *
   * @throws In the stream: DataError or OptionError for a row that does not fit, with its number, unless there is `onError`; AbortError.
   * @example sequential([input(2), dense(1)]).transform().on('data', (prediction) => console.log(prediction.at(0))).end([0, 1])
   */
  transform<Result = NdArray, Out = Result, Row extends RowFeatures = RowFeatures>(options?: TransformOptions<Row, Result, Out>): Duplex {
    return batchTransform('transform', this.rowPredictor<Row, Result>(), options)
  }

  /**
   * As `transform`, as a web stream: what `pipeThrough` takes.
   *
   * @example new ReadableStream({ start(rows) { rows.enqueue([0, 1]); rows.close() } }).pipeThrough(sequential([input(2), dense(1)]).transformWeb())
   */
  transformWeb<Result = NdArray, Out = Result, Row extends RowFeatures = RowFeatures>(
    options?: TransformOptions<Row, Result, Out>,
  ): ReadableWritablePair<Out, Row> {
    return batchTransformWeb('transformWeb', this.rowPredictor<Row, Result>(), options)
  }

  /**
   * As `transform`, as a generator over rows from anywhere: an array, a generator, a dataset, a stream. Leaving the loop closes their source.
   *
   * @example for await (const prediction of sequential([input(2), dense(1)]).predictStream([[0, 1], [1, 0]])) console.log(prediction.at(0))
   */
  predictStream<Result = NdArray, Out = Result, Row extends RowFeatures = RowFeatures>(
    rows: Iterable<Row> | AsyncIterable<Row>,
    options?: TransformOptions<Row, Result, Out>,
  ): AsyncGenerator<Out, void, void> {
    return batchStream('predictStream', this.rowPredictor<Row, Result>(), rows, options)
  }

  /**
   * Joins the rows of concurrent requests to batches: for services. Rows and predictions are those of `transform`.
   *
   * @example const predictor = sequential([input(2), dense(1)]).predictor(); await Promise.all([predictor.predict([0, 1]), predictor.predict([1, 0])])
   */
  predictor<Result = NdArray>(options?: PredictorOptions): Predictor<RowFeatures, Result> {
    return new Predictor(this.rowPredictor<RowFeatures, Result>(), options)
  }

  /**
   * What another thread needs to predict with the same weights, without a copy of them: send it with `postMessage` or as `workerData`, and give it to
   * `openShared` there.
   *
   * @throws OptionError for a penalty or constraint of your own that makes no graph.
   * @example openShared(sequential([input(2), dense(1)]).share())
   */
  share(): SharedModel {
    return { description: describeModel(this, 'share'), memory: this.memory.blocks }
  }

  private rowPredictor<Row, Result>(): BatchPredictor<Row, Result> {
    this.rowsOfThis ??= new ModelRows(this)
    return this.rowsOfThis as unknown as BatchPredictor<Row, Result>
  }

  /**
   * A copy of the weights, by name: `dense_1.kernel`.
   *
   * @param filter Which of them, as for `freeze`; default all.
   * @throws OptionError when a filter chooses none.
   * @example sequential([input(2), dense(8, { name: 'body' }), dense(1)]).weights('body')
   */
  weights(filter?: ParameterFilter): Record<string, NdArray> {
    const chosen = filter === undefined ? this.parameters : this.chosen('weights', filter)
    return Object.fromEntries(
      chosen.map(({ variable, name }) => [name, new NdArray(Float32Array.from(this.values(variable)), concrete(variable.shape))]),
    )
  }

  /**
   * Sets weights by name; names that are not given keep theirs. Nothing changes if one of them does not fit. `weights(filter)` of another model gives
   * those of a part that both have.
   *
   * @throws OptionError for a name the model does not have; ShapeError or DataError for weights that do not fit; BusyError while a run
   *   of this model is in progress.
   * @example sequential([input(2), dense(1)]).setWeights({ 'dense_1.kernel': [[0.5], [-0.5]] })
   */
  setWeights(weights: Readonly<Record<string, NumbersLike>>): void {
    this.refuseWhileRunning('setWeights')
    if (typeof weights !== 'object' || weights === null || Array.isArray(weights))
      throw new OptionError(`setWeights: expected an object of weights by name, got ${describe(weights)}.`)
    const names = this.parameters.map(({ name }) => name)
    checkNames('setWeights', 'weight', weights, names, partHints(Object.keys(weights), names))
    const checked = this.parameters
      .filter(({ name }) => weights[name] !== undefined)
      .map(({ variable, name }) => {
        // A scalar is given as one row.
        const [count, ...shape] = variable.rank === 0 ? [1] : concrete(variable.shape)
        const rows = toRows('setWeights', weights[name], { name, shape, dtype: 'float32' })
        if (rows.count !== count)
          throw new ShapeError(`setWeights: ${name} has shape ${formatShape(variable.shape)}, got ${rows.count} rows.`)
        return { variable, values: rows.values }
      })
    for (const { variable, values } of checked) this.values(variable).set(values)
  }

  /**
   * Writes the model to one .safetensors file: its weights as tensors that any reader of the format reads, and its graph, seed, count of steps and frozen
   * parameters as metadata. `loadModel` makes the same model of it, which predicts and trains to the same bits; only initializers that are functions of your own
   * are lost. The file is there as a whole or not at all: it is written beside the one that is there, forced to the disk and then put in its place. Waits for
   * a run in progress, as `predict` does. What an optimizer remembers is not in the file.
   *
   * @param options `metadata`: texts to keep in the file, default none; `signal`: stops it.
   * @throws OptionError for a penalty or constraint that makes no graph; FileError when the system refuses, a full disk among others: what was there is
   *   as it was.
   * @example await sequential([input(2), dense(1)]).save('build/net.safetensors', { metadata: { task: 'xor' } })
   */
  save(path: string, options: SaveOptions = {}): Promise<void> {
    return saveModel(this, path, options)
  }

  /** A table of layers with output shapes and numbers of parameters, frozen ones apart. @example sequential([input(2), dense(1)]).summary() */
  summary(): string {
    return summarize(this)
  }

  /**
   * The plan of a whole training step at a batch size: forward, loss, gradients, update. `printPlan` shows it, `lockstep` checks it.
   *
   * @param options `loss`, and if wanted `lossWeights`, `metrics` and `optimizer` (default adam), as for `fit`.
   * @example printPlan(sequential([input(2), dense(1)]).trainingPlan(32, { loss: 'meanSquaredError' }))
   */
  trainingPlan(batchSize: number, options: PlanOptions): Plan {
    checkCount('trainingPlan', 'batchSize', batchSize, 'call trainingPlan(batchSize, { loss })')
    if (options === undefined) throw new OptionError('trainingPlan: options are required, at least { loss }.')
    checkOptions('trainingPlan', options, ['loss', 'lossWeights', 'metrics', 'optimizer'])
    const objective = new Objective('trainingPlan', this, options)
    checkGradient('trainingPlan', objective.loss, this.trainableParameters)
    return new Trainer(stepOf(this, objective, optimizerFor('trainingPlan', options.optimizer ?? 'adam'))).plan(batchSize)
  }

  /** The plan for prediction at a batch size. `printPlan` shows it. @example printPlan(sequential([input(2), dense(1)]).plan(32)) */
  plan(batchSize: number): Plan {
    return buildPlan({
      inputs: this.namedInputs(),
      outputs: Object.fromEntries(this.outputs.map((output, i) => [`output${i}`, output])),
      variables: this.layout,
      batchSize,
      mode: 'inference',
      layerNames: this.layerNames,
    })
  }

  /** Loads a plan over the model's parameters, with a workspace of its own. @internal */
  load(plan: Plan, lender: Arena = this.memory): Session {
    return this.executor.load(plan, Arena.allocate(plan.blocks, { lender }))
  }

  /** @internal */
  namedInputs(): Record<string, Tensor> {
    return Object.fromEntries(this.inputNames.map((name, i) => [name, this.inputs[i]]))
  }

  /** Checks and converts features: one block of rows for each input. @internal */
  toInputRows(where: string, x: Features, memory?: RowMemory): { rows: readonly Rows[]; count: number } {
    const given = numbersByName(where, 'x', 'input', this.inputNames, x)
    const rows = this.inputs.map((tensor, i) => {
      const name = this.inputNames[i]
      const spec = { name: `input "${name}"`, shape: concrete(tensor.shape.slice(1)), dtype: tensor.dtype }
      return toRows(where, given[name], spec, memory)
    })
    const [{ count }] = rows
    rows.forEach((other, i) => {
      if (other.count !== count)
        throw new ShapeError(
          `${where}: input "${this.inputNames[0]}" has ${counted(count, 'sample')} and input "${this.inputNames[i]}" has ${other.count}; they must be equal.`,
        )
    })
    return { rows, count }
  }

  /** Runs one after the other what reads or writes the model's variables: a prediction waits for the epoch in progress. @internal */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    const run = async () => {
      this.isRunning = true
      try {
        return await work()
      } finally {
        this.isRunning = false
      }
    }
    const result = this.queue.then(run, run)
    this.queue = result.catch(() => undefined)
    return result
  }

  private refuseWhileRunning(where: string, advice = 'wait for it to end, or do this in onEpochEnd.'): void {
    if (this.isRunning) throw new BusyError(`${where}: a run is reading or writing the weights; ${advice}`)
  }

  /** Holds the model for one training run; the result ends the hold. @internal */
  beginTraining(): () => void {
    if (this.training) throw new BusyError('This model is already being trained; wait for that run to end, or build a second model.')
    this.training = true
    return () => {
      this.training = false
    }
  }
}

/** Of weights that are known in part, as those of a model with another head: how to give that part. */
function partHints(given: readonly string[], known: readonly string[]): Hints {
  const shared = given.filter((name) => known.includes(name))
  const hint = (name: string) => {
    const nearest = nearestName(name, known)
    const meant = nearest === null ? `known are ${known.join(', ')}.` : `did you mean "${nearest}"?`
    return `${meant} Of another model's weights, take those that both have: weights(${JSON.stringify(shared[0].replace(/\.[^.]*$/, ''))}), say.`
  }
  return shared.length === 0 ? {} : Object.fromEntries(given.map((name) => [name, hint(name)]))
}

/** A second argument that would be ignored. */
function refuseOptions(where: string, given: unknown): void {
  if (given !== undefined)
    throw new OptionError(`${where}: expected x alone, got ${describe(given)} as second argument; there are no options.`)
}

function checkInputs(inputs: readonly Tensor[], outputs: readonly Tensor[]): readonly Tensor[] {
  for (const tensor of [...inputs, ...outputs]) {
    if (!(tensor instanceof Tensor))
      throw new OptionError(`model: inputs and outputs must be symbolic tensors, got ${describe(tensor)}; make inputs with input(shape).`)
  }
  if (outputs.length === 0) throw new OptionError('model: expected at least one output, got none.')
  if (new Set(inputs).size !== inputs.length) throw new OptionError('model: an input is listed twice.')
  for (const tensor of inputs)
    if (tensor.op !== sourceOps.input)
      throw new OptionError(`model: inputs must come from input(shape), got the result of ${tensor.op.name}.`)
  const needed = new Set(ancestors(outputs))
  for (const node of needed) {
    if (node.op === sourceOps.input && !inputs.includes(node))
      throw new OptionError(`model: an output depends on an input of shape ${formatShape(node.shape)} that is not among the inputs.`)
  }
  for (const tensor of inputs)
    if (!needed.has(tensor)) throw new OptionError(`model: no output depends on the input of shape ${formatShape(tensor.shape)}.`)
  for (const tensor of outputs)
    if (tensor.shape[0] !== batch)
      throw new ShapeError(`model: outputs must have the batch as first dimension, got ${formatShape(tensor.shape)}.`)
  return inputs
}

/**
 * A stack of layers: `sequential([input(784), dense(128, { activation: 'relu' }), dense(10)])`.
 *
 * @param layers An input first, then layers, each a function of one tensor.
 * @example sequential([input(784), dense(128, { activation: 'relu' }), dense(10)])
 */
export function sequential(layers: readonly (Tensor | Layer | ((x: Tensor) => Tensor))[], options: ModelOptions = {}): Model {
  if (!Array.isArray(layers)) throw new OptionError(`sequential: expected an array of layers, got ${describe(layers)}.`)
  if (layers.length === 0) throw new OptionError('sequential: expected input(shape) and at least one layer, got an empty array.')
  const [first, ...rest]: readonly unknown[] = layers
  if (!(first instanceof Tensor))
    throw new OptionError('sequential: the first element must be input(shape), so that the sizes of all layers are known.')
  const output = rest.reduce((x: Tensor, next, i) => {
    if (typeof next !== 'function') throw new OptionError(`sequential: element ${i + 1} must be a layer, got ${describe(next)}.`)
    return (next as Layer)(x)
  }, first)
  return new Model([first], [output], options)
}

/**
 * A model from symbolic inputs to symbolic outputs, with any connections between. Its parameters are its own: layers that another model has too begin
 * with weights drawn anew, and what came through another model's `apply` with the values of that model.
 *
 * @param inputs One `input(shape)` or several; their names are those data are given by.
 * @param outputs One tensor or several of shape [batch, …].
 * @throws OptionError if an output depends on an input that is not listed, or two layers share a name.
 * @example const x = input(8); model(x, dense(concatenate([x, dense(x, 4)]), 1))
 */
export function model(inputs: Tensor | readonly Tensor[], outputs: Tensor | readonly Tensor[], options: ModelOptions = {}): Model {
  const list = (tensors: Tensor | readonly Tensor[]): readonly Tensor[] => (Array.isArray(tensors) ? tensors : [tensors as Tensor])
  return new Model(list(inputs), list(outputs), options)
}
