/** A schema with a network: rows in, answers out. */
import type { Duplex } from 'node:stream'
import type { ReadableWritablePair } from 'node:stream/web'
import { checkCount, checkOptions, checkSignal, definedOf } from '../checks.ts'
import type { NdArray } from '../data/ndarray.ts'
import type { EncodedMemory, FittedSchema } from '../data/schema/fitted.ts'
import type { Numbers } from '../data/schema/kind.ts'
import type { Row } from '../data/schema/types.ts'
import { counted, OptionError } from '../errors.ts'
import { formatShape, sameShape } from '../graph/shape.ts'
import { checkMetadata } from '../interchange/safetensors.ts'
import type { LossChoice, LossName } from '../nn/losses/index.ts'
import type { BatchPredictor } from '../predict/batchPredictor.ts'
import { Predictor, type PredictorOptions } from '../predict/predictor.ts'
import { batchStream, batchTransform, batchTransformWeb, type TransformOptions } from '../predict/transform.ts'
import { fitRows, type History, type Listeners } from '../train/fit.ts'
import type { Model } from '../train/model.ts'
import { type SaveOptions, saveModel } from '../train/modelFile.ts'
import { type EpochOptions, epochHints, fitOptionNames, listenerHints } from '../train/options.ts'
import type { PredictOptions } from '../train/predictions.ts'
import type { SharedModel } from '../train/sharing.ts'
import type { TrainingData } from '../train/trainingData.ts'
import { type DefaultTrainingOptions, defaultTraining } from './defaults.ts'
import { type EncodedTargets, joined, rowsOf, TableEncoding, type TableRows } from './encoding.ts'
import { chosenMetrics, type EvaluateTableOptions, type TableEvaluation, type TargetNumbers, tableMetrics } from './evaluation.ts'
import { SCHEMA_ENTRY } from './schemaText.ts'

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

const ofTabular = 'it is an option of tabular.'

/** Options of `fit` that belong elsewhere. */
const fitHints = { ...epochHints, ...listenerHints, seed: ofTabular, executor: ofTabular, threads: ofTabular }

/** A model for rows on its way to another thread, without a copy of the weights. Made by `TabularModel.share`. */
export interface SharedTabularModel {
  /** As JSON. */
  readonly schema: string
  readonly network: SharedModel
}

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
  private readonly encoding: TableEncoding

  /** @internal */
  constructor(where: string, schema: FittedSchema<Input, Training, Prediction>, network: Model) {
    checkNetwork(where, schema as unknown as FittedSchema, network)
    this.schema = schema
    this.network = network
    this.encoding = new TableEncoding(schema as unknown as FittedSchema)
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
    checkOptions(where, options, [...known, 'learningRate', 'weightDecay', 'missingTarget', 'rows'], fitHints)
    const { missingTarget, rows: expected, learningRate, weightDecay, validationData, ...given } = options
    const { optimizer, epochs, batchSize, signal } = given
    const names = this.network.outputNames
    for (const [name, count] of Object.entries(definedOf({ epochs, batchSize }))) checkCount(where, name, count)
    if (optimizer !== undefined && (learningRate !== undefined || weightDecay !== undefined))
      throw new OptionError(`${where}: give an optimizer, or learningRate and weightDecay for the default one, not both.`)
    const { data, count } = await this.encoding.data(where, rows, names, { missingTarget, signal, expected })
    const validation =
      validationData === undefined
        ? undefined
        : await this.encoding.data(`${where}: validationData`, validationData, names, { missingTarget, signal })
    const { history } = await fitRows(where, this.network, data, {
      loss: this.losses(),
      ...defaultTraining({ rows: count ?? this.schema.rows, epochs, batchSize, learningRate, weightDecay }),
      ...definedOf(given),
      validationData: validation?.data,
    })
    return history
  }

  /**
   * How good predictions for rows with known targets are, in the units of the data. The names of several targets stand in front: `price.r2Score`. Rows may be more than fit
   * into memory: what is kept of each is what is predicted and what is true, 8 bytes a number.
   *
   * @param options `metrics`, by the kinds of the targets; `missingTarget` "error"; `signal`.
   * @throws DataError for a value that is none of its column's, with its place, and for no rows; OptionError for a metric that does not fit; AbortError.
   * @example const rows = [{ x: 1, y: 2 }, { x: 2, y: 4 }]; await tabular(await schema({ x: column.number(), y: target.number() }).fit(rows)).evaluate(rows, { metrics: ['r2Score'] })
   */
  async evaluate(rows: TableRows<Training>, options: EvaluateTableOptions = {}): Promise<TableEvaluation> {
    const where = 'evaluate'
    checkOptions(where, options, ['metrics', 'missingTarget', 'signal'])
    const { metrics, ...comparing } = options
    chosenMetrics(where, this.schema.outputs, metrics)
    return tableMetrics(where, await this.compare(rows, comparing, where), metrics)
  }

  /** What is predicted for rows beside what their targets are, as numbers. @internal */
  async compare(
    rows: TableRows<Training>,
    options: Omit<EvaluateTableOptions, 'metrics'> = {},
    where = 'compare',
  ): Promise<TargetNumbers[]> {
    const { missingTarget, signal } = options
    const { outputs } = this.schema
    const found = outputs.map(() => ({ outputs: [] as Float64Array[], targets: [] as Float64Array[] }))
    for await (const encoded of this.encoding.rows(where, rows, { missingTarget, signal })) {
      const part = await this.compareEncoded(encoded, signal)
      part.forEach((each, i) => {
        found[i].outputs.push(each.outputs)
        found[i].targets.push(each.targets)
      })
    }
    return outputs.map(({ name, units, classes }, i) => ({
      name,
      units,
      classes,
      outputs: joined(found[i].outputs),
      targets: joined(found[i].targets),
    }))
  }

  /** The same of rows that are numbers already. @internal */
  async compareEncoded({ inputs, targets, count }: EncodedTargets, signal?: AbortSignal): Promise<TargetNumbers[]> {
    const predicted = await this.network.predictBatches(inputs, count, { padded: true, signal })
    return this.schema.outputs.map(({ name, units, classes }, i) => {
      const inUnits = (values: Numbers) => (classes === null ? this.schema.unscale(name, values) : Float64Array.from(values))
      return { name, units, classes, outputs: inUnits(predicted[i].data), targets: inUnits(targets[i]) }
    })
  }

  /** The first rows of a memory, as `network.fit` takes them. @internal */
  trainingData(memory: EncodedMemory, rows = memory.rows): TrainingData {
    return this.encoding.trainingData(memory, rows, this.network.outputNames)
  }

  /**
   * The answer to a row, or to each of several: `{ price: 297412 }`, `{ type: 'spam', probability: 0.98, probabilities }`. Targets among the columns are not looked at.
   *
   * @param options `signal` stops it.
   * @throws DataError for a value that is none of its column's; AbortError.
   * @example const rows = [{ x: 1, y: 2 }, { x: 2, y: 4 }]; (await tabular(await schema({ x: column.number(), y: target.number() }).fit(rows)).predict({ x: 3 })).y
   */
  predict(row: Input, options?: PredictOptions): Promise<Prediction>
  predict(rows: readonly Input[], options?: PredictOptions): Promise<Prediction[]>
  async predict(rows: Input | readonly Input[], options: PredictOptions = {}): Promise<Prediction | Prediction[]> {
    checkOptions('predict', options, ['signal'])
    checkSignal('predict', options.signal)
    const { list, place } = rowsOf('predict', rows)
    const answers = await this.predictAll(list, place, options.signal)
    return Array.isArray(rows) ? answers : answers[0]
  }

  /**
   * As `predict`, but on the calling thread, and done when it returns: for a row or a few, in services that want the answer at once.
   *
   * @throws BusyError while the model is being trained or predicts on another thread (`predict` waits for it); otherwise what `predict` rejects with.
   * @example const rows = [{ x: 1, y: 2 }, { x: 2, y: 4 }]; tabular(await schema({ x: column.number(), y: target.number() }).fit(rows)).predictSync({ x: 3 }).y
   */
  predictSync(row: Input): Prediction
  predictSync(rows: readonly Input[]): Prediction[]
  predictSync(rows: Input | readonly Input[]): Prediction | Prediction[] {
    const { list, place } = rowsOf('predictSync', rows)
    const answers: Prediction[] = []
    for (const { inputs, count } of this.encoding.inputs(list, place))
      answers.push(...this.decode(this.network.predictBatchesSync('predictSync', inputs, count)))
    return Array.isArray(rows) ? answers : answers[0]
  }

  /**
   * As `predict` for several rows: what streams and services call.
   *
   * @example const rows = [{ x: 1, y: 2 }, { x: 2, y: 4 }]; await tabular(await schema({ x: column.number(), y: target.number() }).fit(rows)).predictRows([{ x: 3 }])
   */
  predictRows(rows: readonly Input[]): Promise<Prediction[]> {
    return this.predictAll(rows, (i) => `predict: row ${i}`)
  }

  /**
   * Throws an error whose message begins with `where` for a row that cannot be predicted.
   *
   * @example const rows = [{ x: 1, y: 2 }, { x: 2, y: 4 }]; tabular(await schema({ x: column.number(), y: target.number() }).fit(rows)).checkRow({ x: 3 }, 'request 17')
   */
  checkRow(row: Input, where: string): void {
    this.encoding.check(row, where)
  }

  /**
   * A Node stream of objects from rows to answers, as `Model.transform`.
   *
   * @example const rows = [{ x: 1, y: 2 }, { x: 2, y: 4 }]; tabular(await schema({ x: column.number(), y: target.number() }).fit(rows)).transform().on('data', ({ y }) => console.log(y)).end({ x: 3 })
   */
  transform<Out = Prediction>(options?: TransformOptions<Input, Prediction, Out>): Duplex {
    return batchTransform('transform', this, options)
  }

  /**
   * As `transform`, as a web stream: what `pipeThrough` takes.
   *
   * @example const rows = [{ x: 1, y: 2 }, { x: 2, y: 4 }]; new ReadableStream({ start(given) { given.enqueue({ x: 3 }); given.close() } }).pipeThrough(tabular(await schema({ x: column.number(), y: target.number() }).fit(rows)).transformWeb())
   */
  transformWeb<Out = Prediction>(options?: TransformOptions<Input, Prediction, Out>): ReadableWritablePair<Out, Input> {
    return batchTransformWeb('transformWeb', this, options)
  }

  /**
   * As `transform`, as a generator over rows from anywhere: an array, a dataset, a stream. Leaving the loop closes their source.
   *
   * @example const rows = [{ x: 1, y: 2 }, { x: 2, y: 4 }]; for await (const { y } of tabular(await schema({ x: column.number(), y: target.number() }).fit(rows)).predictStream([{ x: 3 }])) console.log(y)
   */
  predictStream<Out = Prediction>(
    rows: Iterable<Input> | AsyncIterable<Input>,
    options?: TransformOptions<Input, Prediction, Out>,
  ): AsyncGenerator<Out, void, undefined> {
    return batchStream('predictStream', this, rows, options)
  }

  /**
   * Joins the rows of concurrent requests to batches, as `Model.predictor`.
   *
   * @example const rows = [{ x: 1, y: 2 }, { x: 2, y: 4 }]; await tabular(await schema({ x: column.number(), y: target.number() }).fit(rows)).predictor().predict({ x: 3 })
   */
  predictor(options?: PredictorOptions): Predictor<Input, Prediction> {
    return new Predictor(this, options)
  }

  /** What `console.log` shows. @internal */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    const { outputs, schema } = this.schema
    const columns = [...schema.columns]
    const features = columns.filter(([, { role }]) => role === 'feature').map(([name]) => name)
    const shown = features.length > 4 ? `${features.slice(0, 3).join(', ')} and ${features.length - 3} more columns` : features.join(', ')
    const targets = outputs.map(({ name }) => name).join(', ')
    const { parameterCount, executor } = this.network
    return `TabularModel { ${shown} → ${targets}; ${counted(parameterCount, 'parameter')}, ${executor.name} executor }`
  }

  /**
   * What another thread needs to predict rows with the same weights, without a copy of them: send it with `postMessage` or as `workerData`, and give it to
   * `openSharedTabular` there.
   *
   * @throws OptionError for a penalty or constraint of your own that makes no graph.
   * @example const rows = [{ x: 1, y: 2 }, { x: 2, y: 4 }]; openSharedTabular(tabular(await schema({ x: column.number(), y: target.number() }).fit(rows)).share())
   */
  share(): SharedTabularModel {
    return { schema: JSON.stringify(this.schema), network: this.network.share() }
  }

  /**
   * Writes one .safetensors file with weights, graph and schema; whole or not at all.
   *
   * @throws FileError when the system refuses; what was there is as it was.
   * @example const rows = [{ x: 1, y: 2 }, { x: 2, y: 4 }]; await tabular(await schema({ x: column.number(), y: target.number() }).fit(rows)).save('build/table.safetensors')
   */
  async save(path: string, options: SaveOptions = {}): Promise<void> {
    checkOptions('save', options, ['metadata', 'signal'])
    const { metadata = {} } = options
    checkMetadata('save', metadata)
    if (Object.hasOwn(metadata, SCHEMA_ENTRY))
      throw new OptionError(`save: metadata "${SCHEMA_ENTRY}" is the schema itself; choose another name.`)
    await saveModel(this.network, path, { ...options, metadata: { ...metadata, [SCHEMA_ENTRY]: JSON.stringify(this.schema) } })
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

  private async predictAll(rows: readonly Input[], place: (i: number) => string, signal?: AbortSignal): Promise<Prediction[]> {
    const answers: Prediction[] = []
    for (const { inputs, count } of this.encoding.inputs(rows, place))
      answers.push(...this.decode(await this.network.predictBatches(inputs, count, { padded: true, signal })))
    return answers
  }
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
