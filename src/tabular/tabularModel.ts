/** A schema with a network: rows in, answers out. */
import type { Duplex } from 'node:stream'
import type { ReadableWritablePair } from 'node:stream/web'
import type { Chunk } from '../data/chunk.ts'
import { Dataset } from '../data/dataset.ts'
import type { NdArray } from '../data/ndarray.ts'
import type { EncodedMemory, EncodedNumbers, FittedSchema } from '../data/schema/fitted.ts'
import type { Row } from '../data/schema/types.ts'
import { checkOptions, describe, OptionError } from '../errors.ts'
import type { ExecutionOptions } from '../executors/index.ts'
import { formatShape, sameShape } from '../graph/shape.ts'
import { Tensor } from '../graph/tensor.ts'
import { input } from '../nn/layers.ts'
import type { LossChoice, LossName } from '../nn/losses/index.ts'
import type { BatchPredictor } from '../predict/batchPredictor.ts'
import { Predictor, type PredictorOptions } from '../predict/predictor.ts'
import { batchStream, batchTransform, batchTransformWeb, type TransformOptions } from '../predict/transform.ts'
import type { EpochOptions } from '../train/epochs.ts'
import { type FitOptions, fitRows, type History, type Listeners } from '../train/fit.ts'
import { Model, type TrainingData } from '../train/model.ts'
import { type SaveOptions, saveModel } from '../train/modelFile.ts'
import { fitOptionNames } from '../train/options.ts'
import { Streamed } from '../train/streamSupply.ts'
import { type DefaultTrainingOptions, defaultTraining } from './defaults.ts'
import { type TableEvaluation, type TableMetrics, type TargetNumbers, tableMetrics } from './evaluation.ts'
import { type DefaultNetworkOptions, defaultNetwork, type NetworkInput } from './network.ts'

/** Options of `tabular`. */
export interface TabularOptions extends DefaultNetworkOptions, ExecutionOptions {
  /** Decides initial weights, the order of rows and dropout: an integer of 0 … 2^53 - 1; default 0. */
  readonly seed?: number
  /**
   * Another network than the default one: from the inputs of the schema, in order, to a tensor [batch, units] for each output, logits for classes. Default:
   * `defaultNetwork` with the other options.
   */
  readonly network?: (inputs: readonly NetworkInput[], schema: FittedSchema) => Tensor | readonly Tensor[]
}

/** Options of `TabularModel.fit`: those of a model's `fit` that a table leaves open, with defaults that go by the number of rows. */
export interface TabularFitOptions<Rows>
  extends Omit<EpochOptions, 'loss' | 'validationData' | 'classWeights' | 'mixup'>,
    Listeners,
    Pick<DefaultTrainingOptions, 'learningRate' | 'weightDecay'> {
  /** What to make small; default what the targets ask for, `SchemaOutput.loss`. */
  readonly loss?: LossChoice | readonly LossChoice[]
  /** Measured after each epoch: rows of their own. */
  readonly validationData?: Rows
  /** Rows without a target: "error", or "skip" to leave them out, of rows in an array. Default "error". */
  readonly missingTarget?: 'error' | 'skip'
  /** How many rows a pass of a dataset has; default: what it knows itself, or they are counted in a pass. */
  readonly rows?: number
}

/** Rows to train on or to measure. */
export type TableRows<Training = Row> = readonly Training[] | Dataset<Training>

/** The metadata of a file that hold the schema. */
export const SCHEMA_ENTRY = 'thalweg.schema'

const rowsAtOnce = 1024

/**
 * A network for rows: a fitted schema, and a model whose inputs and outputs are the schema's. Made by `tabular`, or by `loadTabular` from a file.
 *
 * @example const houses = await schema({ sqft: column.number(), price: target.number() }).fit([{ sqft: 900, price: 1e5 }, { sqft: 1200, price: 2e5 }]); tabular(houses) instanceof TabularModel
 */
export class TabularModel<Input extends Row = Row, Training extends Row = Row, Prediction = Readonly<Record<string, unknown>>>
  implements BatchPredictor<Input, Prediction>
{
  /** What rows mean, and what answers do. */
  readonly schema: FittedSchema<Input, Training, Prediction>
  /** What computes one from the other: weights, summary, plans. */
  readonly network: Model
  /** Memory of batches that have been predicted. */
  private readonly free: EncodedMemory[] = []

  /** @internal */
  constructor(where: string, schema: FittedSchema<Input, Training, Prediction>, network: Model) {
    checkNetwork(where, schema as unknown as FittedSchema, network)
    this.schema = schema
    this.network = network
  }

  /**
   * Trains on rows with their targets: an array, which is encoded in memory and shuffled anew for each epoch; or a dataset, which is read while the steps run, in the order it gives.
   *
   * @param options Those of a model's `fit`; the optimizer, the number of epochs and the batch size are by default those of `defaultTraining`.
   * @throws DataError for a value that is none of its column's, with its place; what a model's `fit` throws.
   * @example const rows = [{ x: 1, y: 2 }, { x: 2, y: 4 }, { x: 3, y: 6 }]; await tabular(await schema({ x: column.number(), y: target.number() }).fit(rows)).fit(rows, { epochs: 5 })
   */
  async fit(rows: TableRows<Training>, options: TabularFitOptions<TableRows<Training>> = {}): Promise<History> {
    const where = 'fit'
    const known = fitOptionNames.filter((name) => name !== 'classWeights' && name !== 'mixup')
    checkOptions(where, options, [...known, 'learningRate', 'weightDecay', 'missingTarget', 'rows'])
    const { missingTarget, rows: count, learningRate, weightDecay, validationData, ...given } = options
    if (given.optimizer !== undefined && (learningRate !== undefined || weightDecay !== undefined))
      throw new OptionError(`${where}: give an optimizer, or learningRate and weightDecay for the default one, not both.`)
    const data = this.dataOf(where, rows, missingTarget, count)
    const trained = data instanceof Streamed ? (data.samples ?? this.schema.rows) : (rows as readonly unknown[]).length
    const { epochs, batchSize } = given
    const training: FitOptions = {
      loss: this.losses(),
      ...defaultTraining(withoutUndefined({ rows: trained, epochs, batchSize, learningRate, weightDecay })),
      ...withoutUndefined(given),
    }
    const validation = validationData && this.dataOf(`${where}: validationData`, validationData, missingTarget)
    const { history } = await fitRows(where, this.network, data, { ...training, validationData: validation })
    return history
  }

  /**
   * How good predictions for rows with known targets are, in the units of the data: of numbers `r2Score`, `rootMeanSquaredError` and `meanAbsoluteError`, of two classes `accuracy`,
   * `rocAuc` and `logLoss`, of more `accuracy`, `f1` and `logLoss`; of several targets with the target's name in front.
   *
   * @param metrics In place of these, by target name for several.
   * @example const rows = [{ x: 1, y: 2 }, { x: 2, y: 4 }]; await tabular(await schema({ x: column.number(), y: target.number() }).fit(rows)).evaluate(rows)
   */
  async evaluate(rows: TableRows<Training>, metrics?: TableMetrics): Promise<TableEvaluation> {
    return tableMetrics('evaluate', await this.compare(rows), metrics)
  }

  /** What is predicted for rows beside what their targets are, as numbers. @internal */
  async compare(rows: TableRows<Training>): Promise<TargetNumbers[]> {
    const found = this.schema.outputs.map(({ name, units, classes }) => ({
      ...{ name, units, classes },
      outputs: [] as number[],
      targets: [] as number[],
    }))
    for await (const { items, place } of chunksOf(rows)) {
      const memory = this.schema.allocate(items.length)
      const part = await this.compareEncoded(memory, this.schema.encodeInto(items, memory, 0, { place }))
      part.forEach(({ outputs, targets }, i) => {
        for (const value of outputs) found[i].outputs.push(value)
        for (const value of targets) found[i].targets.push(value)
      })
    }
    return found
  }

  /** The same of the first rows of a memory. @internal */
  async compareEncoded(memory: EncodedMemory, rows = memory.rows): Promise<TargetNumbers[]> {
    const predicted = await this.network.predictBatches(memory.inputs, rows, { padded: true })
    return this.schema.outputs.map(({ name, units, classes }, i) => {
      const targets = memory.targets[i].subarray(0, (memory.targets[i].length / memory.rows) * rows)
      const inUnits = (values: Float32Array | Int32Array) => (classes === null ? this.schema.unscale(name, values) : [...values])
      return { name, units, classes, outputs: inUnits(predicted[i].data), targets: inUnits(targets) }
    })
  }

  /**
   * The answer to a row, or to each of several: `{ price: 297412 }`, `{ type: 'spam', probability: 0.98, probabilities }`. Targets among the columns are not looked at.
   *
   * @throws DataError for a value that is none of its column's.
   * @example const rows = [{ x: 1, y: 2 }, { x: 2, y: 4 }]; (await tabular(await schema({ x: column.number(), y: target.number() }).fit(rows)).predict({ x: 3 })).y
   */
  predict(row: Input): Promise<Prediction>
  predict(rows: readonly Input[]): Promise<Prediction[]>
  async predict(rows: Input | readonly Input[]): Promise<Prediction | Prediction[]> {
    if (!Array.isArray(rows)) return (await this.predictRows([rows as Input]))[0]
    return rows.length === 0 ? [] : this.predictRows(rows)
  }

  /** As `predict` for several rows: what streams and services call. */
  async predictRows(rows: readonly Input[]): Promise<Prediction[]> {
    const memory = this.takeMemory(rows.length)
    try {
      this.schema.encodeInto(rows, memory, 0, { targets: false })
      return this.decode(await this.network.predictBatches(memory.inputs, rows.length, { padded: true }))
    } finally {
      this.free.push(memory)
    }
  }

  /** Throws an error whose message begins with `where` for a row that cannot be predicted. */
  checkRow(row: Input, where: string): void {
    const memory = this.takeMemory(1)
    this.free.push(memory)
    this.schema.encodeInto([row], memory, 0, { targets: false, place: () => where })
  }

  /**
   * A Node stream of objects from rows to answers, as `Model.transform`.
   *
   * @example const rows = [{ x: 1, y: 2 }, { x: 2, y: 4 }]; tabular(await schema({ x: column.number(), y: target.number() }).fit(rows)).transform().on('data', ({ y }) => console.log(y)).end({ x: 3 })
   */
  transform<Out = Prediction>(options?: TransformOptions<Input, Prediction, Out>): Duplex {
    return batchTransform('transform', this, options)
  }

  /** As `transform`, as a web stream: what `pipeThrough` takes. */
  transformWeb<Out = Prediction>(options?: TransformOptions<Input, Prediction, Out>): ReadableWritablePair<Out, Input> {
    return batchTransformWeb('transformWeb', this, options)
  }

  /** As `transform`, as a generator over rows from anywhere. */
  predictStream<Out = Prediction>(
    rows: Iterable<Input> | AsyncIterable<Input>,
    options?: TransformOptions<Input, Prediction, Out>,
  ): AsyncGenerator<Out, void, undefined> {
    return batchStream('predictStream', this, rows, options)
  }

  /** Joins the rows of concurrent requests to batches, as `Model.predictor`. */
  predictor(options?: PredictorOptions): Predictor<Input, Prediction> {
    return new Predictor(this, options)
  }

  /**
   * Writes one .safetensors file with weights, graph and schema; whole or not at all.
   *
   * @throws FileError when the system refuses; what was there is as it was.
   * @example const rows = [{ x: 1, y: 2 }, { x: 2, y: 4 }]; await tabular(await schema({ x: column.number(), y: target.number() }).fit(rows)).save('build/table.safetensors')
   */
  async save(path: string, options: SaveOptions = {}): Promise<void> {
    const { metadata = {} } = options
    await saveModel(this.network, path, { ...options, metadata: { ...metadata, [SCHEMA_ENTRY]: JSON.stringify(this.schema) } })
  }

  private dataOf(
    where: string,
    rows: TableRows<Training>,
    missingTarget?: 'error' | 'skip',
    count?: number,
  ): TrainingData | Streamed<TrainingData> {
    if (rows instanceof Dataset) {
      if (missingTarget === 'skip')
        throw new OptionError(`${where}: missingTarget "skip" is for rows in an array; leave rows of a dataset out with filter().`)
      const collate = (some: readonly unknown[]) => this.encoded(some as readonly Training[])
      return new Streamed(rows as Dataset<unknown>, collate, false, rows.count ?? count ?? null)
    }
    if (!Array.isArray(rows)) throw new OptionError(`${where}: expected an array of rows or a dataset of them, got ${describe(rows)}.`)
    return this.encoded(rows, missingTarget)
  }

  private encoded(rows: readonly Training[], missingTarget?: 'error' | 'skip'): TrainingData {
    return this.named(this.schema.encode(rows, missingTarget === undefined ? {} : { missingTarget }))
  }

  /** The first rows of a memory, as `network.fit` takes them. @internal */
  trainingData(memory: EncodedMemory, rows = memory.rows): TrainingData {
    return this.named({ x: this.schema.inputNumbers(memory, rows), y: this.schema.targetNumbers(memory, rows) })
  }

  /** With the outputs of the network in place of the targets. */
  private named({ x, y }: { readonly x: EncodedNumbers; readonly y: EncodedNumbers }): TrainingData {
    const { outputs } = this.schema
    if (outputs.length === 1) return { x, y }
    const { outputNames } = this.network
    return { x, y: Object.fromEntries(outputs.map(({ name }, i) => [outputNames[i], (y as Readonly<Record<string, NdArray>>)[name]])) }
  }

  /** What each output is trained for. @internal */
  losses(): LossName | LossName[] {
    const losses = this.schema.outputs.map(({ loss }) => loss)
    return losses.length === 1 ? losses[0] : losses
  }

  private decode(outputs: readonly NdArray[]): Prediction[] {
    if (outputs.length === 1) return this.schema.decode(outputs[0])
    return this.schema.decode(Object.fromEntries(this.schema.outputs.map(({ name }, i) => [name, outputs[i]])))
  }

  private takeMemory(rows: number): EncodedMemory {
    const memory = this.free.pop()
    if (memory !== undefined && memory.rows >= rows) {
      for (const block of [...memory.inputs]) block.fill(0)
      return memory
    }
    return this.schema.allocate(rows)
  }
}

/**
 * A model for the rows of a fitted schema, not trained yet.
 *
 * @param options `network`, or `members` 4, `hidden` [128, 64] and `dropout` 0.3 of the default one; `seed` 0, `executor`, `threads`.
 * @throws OptionError or ShapeError for a network that does not fit the schema.
 * @example tabular(await schema({ sqft: column.number(), price: target.number() }).fit([{ sqft: 900, price: 1e5 }, { sqft: 1200, price: 2e5 }]), { hidden: [32] })
 */
export function tabular<Input extends Row, Training extends Row, Prediction>(
  schema: FittedSchema<Input, Training, Prediction>,
  options: TabularOptions = {},
): TabularModel<Input, Training, Prediction> {
  const where = 'tabular'
  checkOptions(where, options, ['network', 'members', 'hidden', 'dropout', 'seed', 'executor', 'threads'], {
    epochs: 'it is an option of fit.',
    learningRate: 'it is an option of fit.',
    layers: 'give network: ([{ tensor }]) => dense(tensor, 1), or hidden: [128, 64] for the default one.',
  })
  const { network, seed, executor, threads, ...ofNetwork } = options
  const inputs = schema.inputs.map(({ name, shape, dtype, sizes }) => ({ tensor: input(shape, { name, dtype }), sizes }))
  if (network !== undefined && Object.keys(ofNetwork).length > 0)
    throw new OptionError(
      `${where}: ${Object.keys(ofNetwork).join(', ')} are of the default network; with a network of your own leave them out.`,
    )
  const made =
    network === undefined ? defaultNetwork(inputs, schema.outputs, ofNetwork) : network(inputs, schema as unknown as FittedSchema)
  const outputs = made instanceof Tensor ? [made] : made
  if (!Array.isArray(outputs) || outputs.some((output) => !(output instanceof Tensor)))
    throw new OptionError(`${where}: network must give a symbolic tensor, or an array of them, got ${describe(made)}.`)
  const tensors = inputs.map(({ tensor }) => tensor)
  return new TabularModel(where, schema, new Model(tensors, outputs, withoutUndefined({ seed, executor, threads })))
}

/** Refuses a network that takes or gives something else than the schema. */
function checkNetwork(where: string, { inputs, outputs }: FittedSchema, network: Model): void {
  const wrong = (what: string, expected: string, got: string) =>
    new OptionError(`${where}: the network must have ${what} ${expected}, as the schema has, got ${got}.`)
  const names = inputs.map(({ name }) => name)
  if (network.inputs.length !== inputs.length) throw wrong('the inputs', names.join(', '), network.inputNames.join(', '))
  inputs.forEach(({ name, shape, dtype }, i) => {
    const given = network.inputs[i]
    if (network.inputNames[i] !== name || given.dtype !== dtype || !sameShape(given.shape.slice(1), shape))
      throw wrong(
        `an input "${name}" of`,
        `${dtype} ${formatShape(shape)}`,
        `"${network.inputNames[i]}" of ${given.dtype} ${formatShape(given.shape.slice(1))}`,
      )
  })
  if (network.outputs.length !== outputs.length)
    throw wrong('one output for each of', outputs.map(({ name }) => name).join(', '), `${network.outputs.length} outputs`)
  outputs.forEach(({ name, units }, i) => {
    const { shape } = network.outputs[i]
    if (shape.length !== 2 || shape[1] !== units) throw wrong(`for "${name}" an output of`, `[batch, ${units}]`, formatShape(shape))
  })
}

/** Rows some at a time. */
async function* chunksOf(rows: readonly unknown[] | Dataset<unknown>): AsyncGenerator<Chunk<unknown>, void, undefined> {
  if (rows instanceof Dataset) yield* rows.pass()
  else for (let i = 0; i < rows.length; i += rowsAtOnce) yield { items: rows.slice(i, i + rowsAtOnce), place: (j) => `row ${i + j}` }
}

function withoutUndefined<T extends object>(given: T): T {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as T
}
