/** Models made of their descriptions. */
import { DataError, describe, ThalwegError } from '../errors.ts'
import { Arena } from '../executors/arena.ts'
import { chooseExecutor, type ExecutionOptions } from '../executors/index.ts'
import { arrayOf, graphFromJson, objectOf } from '../interchange/graph.ts'
import { initializerOf } from '../nn/initializers.ts'
import { stepVariable } from '../ops/random.ts'
import type { VariableLayout } from '../plan/variables.ts'
import { Model } from './model.ts'
import { FORMAT, type ModelDescription } from './modelFile.ts'

/** What runs the model, and in what memory. */
interface DescriptionOptions extends ExecutionOptions {
  /** Blocks "parameters" and "state" of a model of the same description, which share their values; default: new ones with initial values. */
  readonly memory?: Arena
}

/** The model that `describeModel` described. @throws DataError for what is no description. */
export function modelFromDescription(
  description: ModelDescription,
  options: DescriptionOptions = {},
  where = 'modelFromDescription',
): Model {
  const { memory, ...execution } = options
  if (memory !== undefined) return modelFromJson(where, description, execution, ({ blocks }) => Arena.allocate(blocks, { lender: memory }))
  const model = modelFromJson(where, description, execution, ({ blocks }) => Arena.allocate(blocks))
  model.initialize()
  model.values(stepVariable)[0] = description.step
  return model
}

/**
 * @param where The beginning of messages: which file.
 * @param json Of unknown origin: everything is checked.
 * @param memory Gives the memory; throws if something is wrong about the variables.
 */
export function modelFromJson(where: string, json: unknown, execution: ExecutionOptions, memory: (layout: VariableLayout) => Arena): Model {
  const { format, thalweg, inputs, outputs, graph, seed, step, frozen } = objectOf(`${where}: the model`, json)
  if (format !== FORMAT)
    throw new DataError(
      `${where}: expected a model of format ${FORMAT}, got ${describe(format)}${typeof thalweg === 'string' ? `, made by thalweg ${thalweg}` : ''}; update thalweg.`,
    )
  for (const [name, value, greatest] of [
    ['seed', seed, Number.MAX_SAFE_INTEGER],
    ['step', step, 2 ** 31 - 1],
  ] as const)
    if (!Number.isSafeInteger(value) || (value as number) < 0 || (value as number) > greatest)
      throw new DataError(`${where}: ${name} must be an integer of 0 … ${greatest}, got ${describe(value)}.`)
  // What is wrong with the options is not the file's fault.
  chooseExecutor(execution)
  const tensors = graphFromJson(where, graph, initializerOf)
  const count = arrayOf(`${where}: inputs`, inputs).length
  try {
    const model = new Model(tensors.slice(0, count), tensors.slice(count), { ...execution, seed: seed as number }, memory)
    expectNames(`${where}: inputs`, inputs, model.inputNames)
    expectNames(`${where}: outputs`, outputs, model.outputNames)
    freeze(where, model, arrayOf(`${where}: frozen`, frozen))
    return model
  } catch (error) {
    if (!(error instanceof ThalwegError) || !['ERR_OPTION', 'ERR_SHAPE'].includes(error.code)) throw error
    throw new DataError(`${where}: ${error.message}`)
  }
}

function expectNames(where: string, given: unknown, names: readonly string[]): void {
  const got = arrayOf(where, given)
  if (got.length !== names.length || got.some((name, i) => name !== names[i]))
    throw new DataError(`${where}: expected ${names.join(', ')}, as the graph has them, got ${got.map(describe).join(', ') || 'none'}.`)
}

function freeze(where: string, model: Model, names: readonly unknown[]): void {
  const known = new Set<unknown>(model.parameters.map(({ name }) => name))
  const odd = names.find((name) => !known.has(name))
  if (odd !== undefined) throw new DataError(`${where}: frozen: the model has no parameter ${describe(odd)}.`)
  const wanted = new Set(names)
  if (wanted.size > 0) model.freeze(({ name }) => wanted.has(name))
}
