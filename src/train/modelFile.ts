/** What a file says of a model: its description as JSON, beside its weights. */
import { type GraphDescription, graphToJson } from '../interchange/graph.ts'
import { stepVariable } from '../ops/random.ts'
import { version } from '../version.ts'
import type { Model } from './model.ts'

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
