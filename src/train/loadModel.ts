/** Models made of their descriptions. */
import { checkOptions, checkSignal } from '../checks.ts'
import { counted, DataError, describe, ThalwegError } from '../errors.ts'
import { Arena } from '../executors/arena.ts'
import { chooseExecutor, type ExecutionOptions } from '../executors/index.ts'
import { concrete, formatShape, sameShape } from '../graph/shape.ts'
import { arrayOf, graphFromJson, isGlobal, objectOf } from '../interchange/graph.ts'
import { SafetensorsFile } from '../interchange/safetensors.ts'
import { initializerOf } from '../nn/initializers.ts'
import { seedVariable, stepVariable } from '../ops/random.ts'
import type { Place, VariableLayout } from '../plan/variables.ts'
import { seedWords } from '../random.ts'
import { Model } from './model.ts'
import { FORMAT, MODEL_ENTRY, type ModelDescription, storedVariables } from './modelFile.ts'

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
  // Here, so that a message begins with the call: a description has no part in what is wrong with them.
  chooseExecutor(where, execution)
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
  const tensors = graphFromJson(where, graph, initializerOf)
  const count = arrayOf(`${where}: inputs`, inputs).length
  try {
    const model = new Model(tensors.slice(0, count), tensors.slice(count), { ...execution, seed: seed as number }, 'model', memory)
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

/** How a model is loaded. */
export interface LoadOptions extends ExecutionOptions {
  /** Stops it; it rejects with an AbortError. Default: nothing does. */
  readonly signal?: AbortSignal
}

/**
 * The model of a file that `save` wrote. Everything in the file is checked before memory is allocated, and nothing executed; weights of any size are
 * read straight into the memory of the model.
 *
 * @param source The path of the file, or its bytes.
 * @param options `executor` and `threads`: as for `sequential`; `signal`: stops it.
 * @throws FileError when the system refuses; DataError for a file that is damaged, cut short, of a newer version or without a model.
 * @example await sequential([input(2), dense(1)]).save('build/saved.safetensors'); (await loadModel('build/saved.safetensors')).predictSync([[0, 1]])
 */
export async function loadModel(source: string | Uint8Array, options: LoadOptions = {}): Promise<Model> {
  return (await readModelFile(source, options)).model
}

/** The model of a file, and the texts that are beside it. @param where The beginning of messages. */
export async function readModelFile(
  source: string | Uint8Array,
  options: LoadOptions = {},
  where = 'loadModel',
): Promise<{ readonly model: Model; readonly metadata: ReadonlyMap<string, string> }> {
  checkOptions(where, options, ['executor', 'threads', 'signal'])
  const { signal, ...execution } = options
  checkSignal(where, signal)
  // Before the file is read: what is wrong with them is not its fault.
  chooseExecutor(where, execution)
  const file = await SafetensorsFile.open(where, source, signal)
  try {
    const description = descriptionIn(file)
    const model = modelFromJson(file.where, description, execution, (layout) => {
      checkTensors(file, layout)
      return Arena.allocate(layout.blocks)
    })
    model.values(seedVariable).set(seedWords(model.seed))
    model.values(stepVariable)[0] = (description as ModelDescription).step
    for (const { name, variable } of storedVariables(model)) await file.readInto(name, model.values(variable))
    return { model, metadata: file.metadata }
  } finally {
    await file.close()
  }
}

function descriptionIn({ where, metadata, tensors }: SafetensorsFile): unknown {
  const text = metadata.get(MODEL_ENTRY)
  if (text === undefined)
    throw new DataError(
      `${where}: expected a file that save wrote, got ${counted(tensors.size, 'tensor')} without a model; build the model, and try setWeights(await loadWeights(path)).`,
    )
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new DataError(`${where}: metadata "${MODEL_ENTRY}" is not JSON: ${(error as Error).message}. The file is damaged.`)
  }
}

/** That the file has the values of all variables. */
function checkTensors({ where, tensors }: SafetensorsFile, layout: VariableLayout): void {
  for (const variable of layout.variables) {
    if (isGlobal(variable)) continue
    const { name } = layout.place(variable) as Place
    const shape = concrete(variable.shape)
    const stored = tensors.get(name)
    const dtype = variable.dtype === 'float32' ? 'F32' : 'I32'
    if (stored === undefined)
      throw new DataError(`${where}: the model has a variable ${describe(name)}, but the file has no tensor of that name.`)
    if (stored.dtype !== dtype || !sameShape(stored.shape, shape))
      throw new DataError(
        `${where}: tensor ${describe(name)} must be ${dtype} of shape ${formatShape(shape)}, as the model says, got ${stored.dtype} ${formatShape(stored.shape)}.`,
      )
  }
}
