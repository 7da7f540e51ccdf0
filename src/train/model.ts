import type { Duplex } from 'node:stream'
import type { ReadableWritablePair } from 'node:stream/web'
import { checkOptions, checkSeed } from '../checks.ts'
import type { Dataset } from '../data/dataset.ts'
import type { NdArray, NumbersLike } from '../data/ndarray.ts'
import type { RowMemory, Rows } from '../data/rows.ts'
import { BusyError, counted, OptionError } from '../errors.ts'
import { Arena } from '../executors/arena.ts'
import type { Executor, Session } from '../executors/executor.ts'
import { chooseExecutor, type ExecutionOptions } from '../executors/index.ts'
import type { Profile } from '../executors/profile.ts'
import { concrete, formatShape, sizeOf } from '../graph/shape.ts'
import { ancestors, type Scope, type Tensor } from '../graph/tensor.ts'
import type { ParameterFilter } from '../optim/optimizer.ts'
import { buildPlan } from '../plan/build.ts'
import type { Plan } from '../plan/plan.ts'
import type { VariableLayout } from '../plan/variables.ts'
import type { BatchPredictor } from '../predict/batchPredictor.ts'
import { Predictor, type PredictorOptions } from '../predict/predictor.ts'
import { batchStream, batchTransform, batchTransformWeb, type TransformOptions } from '../predict/transform.ts'
import { applyModel } from './apply.ts'
import { type EvaluateOptions, evaluate } from './evaluate.ts'
import { type FitOptions, fit, type History } from './fit.ts'
import { checkInputs, toInputRows } from './inputs.ts'
import type { EpochValues } from './measures.ts'
import { describeModel, type SaveOptions, saveModel } from './modelFile.ts'
import { ModelRows, type RowFeatures } from './modelRows.ts'
import { type NamedVariable, nameInputs, nameLayers, nameOutputs, nameVariables } from './names.ts'
import { type BatchOptions, Predictions, type PredictOptions } from './predictions.ts'
import type { SharedModel } from './sharing.ts'
import { summarize } from './summary.ts'
import { type TrainEvent, type TrainOptions, train } from './train.ts'
import { type PlanOptions, trainingPlan } from './training.ts'
import type { Features, Sample, TrainingData } from './trainingData.ts'
import { Weights } from './weights.ts'

/** What decides the bits of a model, and what runs it. */
export interface ModelOptions extends ExecutionOptions {
  /** Decides initial weights, shuffling and dropout: an integer of 0 … 2^53 - 1. Default 0. The same seed gives the same bits. */
  readonly seed?: number
}

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
  private readonly store: Weights
  private readonly predictions: Predictions
  private rowsOfThis: ModelRows | null = null
  private queue: Promise<unknown> = Promise.resolve()
  /** Counts calls of `initialize`: what an optimizer remembers from before one belongs to other weights. @internal */
  generation = 0
  private training = false
  /** Whether something is reading or writing the variables. @internal */
  isRunning = false

  /**
   * @param where The beginning of messages: the function that users called.
   * @param memory Gives the memory, with what it holds, in place of new memory and initial values; @internal
   */
  constructor(
    inputs: readonly Tensor[],
    outputs: readonly Tensor[],
    options: ModelOptions = {},
    where = 'model',
    memory?: (layout: VariableLayout) => Arena,
  ) {
    checkOptions(where, options, ['seed', 'executor', 'threads'])
    const { seed = 0 } = options
    checkSeed(where, seed)
    this.inputs = checkInputs(where, inputs, outputs)
    this.outputs = outputs
    this.seed = seed
    this.executor = chooseExecutor(where, options)
    const nodes = ancestors(outputs)
    this.layerNames = nameLayers(where, [...inputs, ...nodes])
    this.inputNames = nameInputs(inputs, this.layerNames)
    this.outputNames = nameOutputs(outputs, this.layerNames)
    this.variables = nameVariables(nodes, this.layerNames)
    this.store = new Weights(this.variables, memory)
    this.layout = this.store.layout
    this.memory = this.store.memory
    if (memory === undefined) this.store.initialize(where, seed, this.store.takeOver(nodes))
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
    return applyModel(this, x)
  }

  /**
   * Sets all variables to their initial values, as the seed gives them; also those that began with the values of a model that was applied.
   *
   * @throws BusyError while a run of this model is in progress; OptionError for a loaded model if an initializer was a function of your own.
   * @example sequential([input(2), dense(1)]).initialize()
   */
  initialize(): void {
    this.refuseWhileRunning('initialize')
    this.store.initialize('initialize', this.seed)
    this.generation += 1
  }

  /** All parameters one after the other, for `restoreParameters`. @internal */
  copyOfParameters(): Float32Array {
    return this.store.allParameters.slice()
  }

  /** @internal */
  restoreParameters(values: Float32Array): void {
    this.store.allParameters.set(values)
  }

  /**
   * The memory of a variable, not a copy; `Model.variables` lists them.
   *
   * @throws OptionError if it is not one of this model.
   * @example const net = sequential([input(2), dense(1)]); net.values(net.parameters[0].variable)
   */
  values(variable: Tensor): Float32Array | Int32Array {
    return this.store.values(variable)
  }

  /** Number of trainable numbers. */
  get parameterCount(): number {
    return this.parameters.reduce((sum, { variable }) => sum + sizeOf(concrete(variable.shape)), 0)
  }

  /** The trainable variables. */
  get parameters(): readonly NamedVariable[] {
    return this.store.parameters
  }

  /** The parameters that training changes: all but those that are frozen. */
  get trainableParameters(): readonly NamedVariable[] {
    return this.store.trainable
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
    this.store.freeze(filter)
  }

  /**
   * Lets parameters be trained again.
   *
   * @param filter As for `freeze`; default all.
   * @throws OptionError when no parameter is chosen.
   * @example sequential([input(4), dense(2)]).unfreeze()
   */
  unfreeze(filter: ParameterFilter = /./): void {
    this.store.unfreeze(filter)
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
    return this.predictions.predict(x, options)
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
    if (this.outputs.length > 1) throw new OptionError(`predictSync: this model has ${this.outputs.length} outputs; use predictAllSync(x).`)
    return this.predictions.predictAtOnce('predictSync', x, none)[0]
  }

  /**
   * As `Model.predictSync`, for a model of several outputs.
   *
   * @example const x = input(2); model(x, [dense(x, 1), dense(x, 3)]).predictAllSync(Float32Array.of(0, 1))
   */
  predictAllSync(x: Features, none?: undefined): NdArray[] {
    return this.predictions.predictAtOnce('predictAllSync', x, none)
  }

  /** As `predictBatches` with `padded`, on the calling thread. @internal */
  predictBatchesSync(where: string, inputs: readonly (Float32Array | Int32Array)[], count: number): NdArray[] {
    return this.predictions.runPadded(where, inputs, count)
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
    return this.store.copies(filter)
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
    this.store.set(weights)
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

  /** What `console.log` shows. @internal */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    const ends = (tensors: readonly Tensor[], names: readonly string[]) =>
      tensors.map(({ shape }, i) => `${names[i]} ${formatShape(shape)}`).join(', ')
    const { inputs, inputNames, outputs, outputNames, parameterCount, executor } = this
    return `Model { ${ends(inputs, inputNames)} → ${ends(outputs, outputNames)}; ${counted(parameterCount, 'parameter')}, ${executor.name} executor }`
  }

  /**
   * The plan of a whole training step at a batch size: forward, loss, gradients, update. `printPlan` shows it, `lockstep` checks it. It is the one that `fit` runs
   * where no callback has `readsGradients`: large gradients are made in the update, and not stored.
   *
   * @param options `loss`, and if wanted `lossWeights`, `metrics` and `optimizer` (default adam), as for `fit`.
   * @example printPlan(sequential([input(2), dense(1)]).trainingPlan(32, { loss: 'meanSquaredError' }))
   */
  trainingPlan(batchSize: number, options: PlanOptions): Plan {
    return trainingPlan(this, batchSize, options)
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
    return toInputRows(where, this, x, memory)
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

  /** @internal */
  refuseWhileRunning(where: string, advice = 'wait for it to end, or do this in onEpochEnd.'): void {
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
