/** What a file says of a model: its description as JSON, beside its weights. */
import { checkOptions, checkPath, checkSignal } from '../checks.ts'
import { OptionError } from '../errors.ts'
import { concrete } from '../graph/shape.ts'
import { type GraphDescription, graphToJson, isGlobal } from '../interchange/graph.ts'
import { checkMetadata, writeTensors } from '../interchange/safetensors.ts'
import { stepVariable } from '../ops/random.ts'
import { version } from '../version.ts'
import type { Model } from './model.ts'
import type { NamedVariable } from './names.ts'

/** Of the description; a higher number is refused. */
export const FORMAT = 1

/** All of a model but the numbers: plain JSON, which messages to worker threads can carry too. */
export interface ModelDescription {
  readonly format: number
  /** The version that made it. */
  readonly thalweg: string
  /** Names, in order. */
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  /** Its roots are the inputs and then the outputs. */
  readonly graph: GraphDescription
  readonly seed: number
  /** Training steps taken. */
  readonly step: number
  /** Names of the parameters that training leaves alone. */
  readonly frozen: readonly string[]
}

/** @throws OptionError for a penalty or constraint that makes no graph. */
export function describeModel(model: Model, where = 'describeModel'): ModelDescription {
  const trainable = new Set(model.trainableParameters)
  return {
    format: FORMAT,
    thalweg: version,
    inputs: model.inputNames,
    outputs: model.outputNames,
    graph: graphToJson(where, [...model.inputs, ...model.outputs]),
    seed: model.seed,
    step: model.values(stepVariable)[0],
    frozen: model.parameters.filter((parameter) => !trainable.has(parameter)).map(({ name }) => name),
  }
}

/** The name of the description among the metadata of a file. */
export const MODEL_ENTRY = 'thalweg.model'

/** What goes into a model file beside the model. */
export interface SaveOptions {
  /** Texts by name, kept in the file's metadata: notes, what the model scored, where its data came from. Default none. */
  readonly metadata?: Readonly<Record<string, string>>
  /** Stops it; it rejects with an AbortError, and the file that was there is as it was. Default: nothing does. */
  readonly signal?: AbortSignal
}

/** `Model.save`: see there. @param where The beginning of messages. */
export async function saveModel(model: Model, path: string, options: SaveOptions = {}, where = 'save'): Promise<void> {
  checkPath(where, 'file', path)
  checkOptions(where, options, ['metadata', 'signal'])
  const { metadata = {}, signal } = options
  checkMetadata(where, metadata)
  checkSignal(where, signal)
  if (Object.hasOwn(metadata, MODEL_ENTRY))
    throw new OptionError(`${where}: metadata "${MODEL_ENTRY}" is the model itself; choose another name.`)
  await model.exclusive(async () => {
    const description = JSON.stringify(describeModel(model, where))
    const tensors = storedVariables(model).map(({ name, variable }) => ({
      name,
      shape: concrete(variable.shape),
      data: model.values(variable),
    }))
    await writeTensors(where, path, tensors, { ...metadata, [MODEL_ENTRY]: description }, signal)
  })
}

/** The variables whose values are tensors of the file. The seed and the count of steps are in the description. */
export function storedVariables(model: Model): readonly NamedVariable[] {
  return model.variables.filter(({ variable }) => !isGlobal(variable))
}
