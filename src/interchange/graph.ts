/** Graphs as JSON, and back. Nothing of what is read is executed: a node names an op of the table, which infers its shape again. */
import { nearestName } from '../checks.ts'
import { counted, DataError, describe, OptionError, ThalwegError } from '../errors.ts'
import { type Op, type Sample, uniform } from '../graph/op.ts'
import { BatchDimension, batch, checkExtents, concrete, formatShape, type Shape, sameShape } from '../graph/shape.ts'
import { ancestors, apply, type Dtype, expectTensor, type Phase, type Scope, type Tensor, within } from '../graph/tensor.ts'
import { type OpName, ops } from '../ops/index.ts'
import { seedVariable, stepVariable } from '../ops/random.ts'
import {
  constant,
  type Initializer,
  type InitializerDescription,
  isVariable,
  lostInitializer,
  sourceOps,
  type VariableAttributes,
  variable,
} from '../ops/source.ts'
import { version } from '../version.ts'

/** Plain JSON; what JSON cannot say is `{ $number: "-Infinity" }` (also NaN and -0) or `{ $batch: 2 }`, twice the batch size. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json }

export interface NodeDescription {
  readonly op: string
  /** Numbers of earlier nodes. */
  readonly inputs?: readonly number[]
  readonly attributes?: Readonly<Record<string, Json>>
  /** The number of the layer that made it. */
  readonly scope?: number
  /** Default "forward". */
  readonly phase?: Phase
  readonly shape: readonly Json[]
  /** Default "float32". */
  readonly dtype?: string
}

/** A function of a parameter (a penalty, a constraint) as the graph it makes: its nodes are numbered on from those of the whole graph. */
interface FunctionDescription {
  readonly nodes: readonly NodeDescription[]
  readonly result: number
}

export interface GraphDescription {
  /** Layers: kind and, if it was given, name. */
  readonly scopes: readonly Scope[]
  /** In topological order. */
  readonly nodes: readonly NodeDescription[]
  /** The numbers of the tensors that were asked for. */
  readonly roots: readonly number[]
}

/** The variables that all models have, each in memory of its own. */
const globals: Readonly<Record<string, Tensor>> = { seed: seedVariable, step: stepVariable }

/** Attributes of variables that are functions of the parameter. */
const functionNames = ['regularize', 'constrain'] as const

type FunctionName = (typeof functionNames)[number]

/** What `roots` are made of, as JSON. @throws OptionError for a penalty or constraint that makes no graph. */
export function graphToJson(where: string, roots: readonly Tensor[]): GraphDescription {
  const needed = new Set(ancestors(roots))
  const functions = new Map<Tensor, Map<FunctionName, Tensor>>()
  const borrowed: Tensor[] = []
  // What functions make has higher numbers than this; everything else is there already.
  const last = constant(0)
  const isOwn = (node: Tensor) => node.id > last.id
  for (const parameter of needed) {
    if (!isVariable(parameter)) continue
    const results = new Map<FunctionName, Tensor>()
    for (const name of functionNames) {
      const call = (parameter.attributes as VariableAttributes)[name]
      if (call === undefined) continue
      const at = `${where}: the function ${name} of parameter "${parameter.attributes.name}"`
      const result = within(null, 'forward', () => call(parameter))
      expectTensor(at, result, 'what it returns')
      for (const node of ancestors([result])) {
        if (isSource(node) && !needed.has(node) && !isGlobal(node))
          throw new OptionError(`${at}: expected a graph of what the model is made of, got one that reads another ${node}.`)
        if (!isOwn(node)) borrowed.push(node)
      }
      results.set(name, result)
    }
    functions.set(parameter, results)
  }
  const nodes = ancestors([...roots, ...borrowed])
  if (nodes.length > MOST_NODES || roots.length > MOST_ROOTS)
    throw new OptionError(
      `${where}: a file takes graphs of up to ${MOST_NODES} tensors and ${MOST_ROOTS} inputs and outputs, got ${nodes.length} and ${roots.length}.`,
    )
  const numbers = numbered(nodes)
  const scopes = new Map<Scope, number>()

  const write = (node: Tensor, numbers: ReadonlyMap<Tensor, number>): NodeDescription => ({
    op: node.op.name,
    inputs: node.inputs.length === 0 ? undefined : node.inputs.map((input) => numbers.get(input) as number),
    attributes: attributesOf(node),
    scope: node.scope === null ? undefined : numberOf(node.scope, scopes),
    phase: node.phase === 'forward' ? undefined : node.phase,
    shape: node.shape.map(encode),
    dtype: node.dtype === 'float32' ? undefined : node.dtype,
  })

  const attributesOf = (node: Tensor): Record<string, Json> | undefined => {
    if (!isVariable(node)) return Object.keys(node.attributes).length === 0 ? undefined : encodeMembers(node.attributes)
    const global = globalOf(node)
    if (global !== undefined) return { global }
    const { initialize, regularize, constrain, ...others } = node.attributes as VariableAttributes
    const calls = [...(functions.get(node) ?? [])].map(([name, result]) => [name, writeFunction(result)] as const)
    return { ...encodeMembers(others), initialize: encode(initialize.description ?? null), ...Object.fromEntries(calls) }
  }

  const writeFunction = (result: Tensor): Json => {
    const own = ancestors([result]).filter(isOwn)
    const all = new Map([...numbers, ...numbered(own, nodes.length)])
    const description: FunctionDescription = { nodes: own.map((node) => write(node, all)), result: all.get(result) as number }
    return description as unknown as Json
  }

  return withoutUndefined({
    nodes: nodes.map((node) => write(node, numbers)),
    scopes: [...scopes.keys()].map(({ kind, name }) => ({ kind, name })),
    roots: roots.map((root) => numbers.get(root) as number),
  })
}

function isSource(node: Tensor): boolean {
  return isVariable(node) || node.op === sourceOps.input
}

/** Whether it is one of the variables that all models have. */
export function isGlobal(node: Tensor): boolean {
  return globalOf(node) !== undefined
}

function globalOf(node: Tensor): string | undefined {
  return Object.keys(globals).find((name) => globals[name] === node)
}

function numbered(nodes: readonly Tensor[], start = 0): Map<Tensor, number> {
  return new Map(nodes.map((node, i) => [node, start + i]))
}

function numberOf(scope: Scope, scopes: Map<Scope, number>): number {
  const known = scopes.get(scope)
  if (known !== undefined) return known
  scopes.set(scope, scopes.size)
  return scopes.size - 1
}

/** As JSON leaves members out that are undefined. */
function withoutUndefined<T>(value: T): T {
  return JSON.parse(JSON.stringify(value))
}

function encode(value: unknown): Json {
  if (value instanceof BatchDimension) return { $batch: value.multiple }
  if (typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0)))
    return { $number: Object.is(value, -0) ? '-0' : String(value) }
  if (Array.isArray(value)) return value.map(encode)
  return typeof value === 'object' && value !== null ? encodeMembers(value) : (value as Json)
}

function encodeMembers(value: object): Record<string, Json> {
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, encode(member)]))
}

const DEEPEST = 4

function decode(at: string, value: unknown, depth = 0): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (depth > DEEPEST) throw new DataError(`${at}: attributes are nested more than ${DEEPEST} deep.`)
  if (Array.isArray(value)) return value.map((item) => decode(at, item, depth + 1))
  if ('$number' in value) {
    if (!['-0', 'NaN', 'Infinity', '-Infinity'].includes(value.$number as string))
      throw new DataError(`${at}: $number must be "-0", "NaN", "Infinity" or "-Infinity", got ${describe(value.$number)}.`)
    return Number(value.$number)
  }
  if ('$batch' in value) {
    if (!isIndex(value.$batch) || value.$batch === 0)
      throw new DataError(`${at}: $batch must be an integer of at least 1, got ${describe(value.$batch)}.`)
    return BatchDimension.of(value.$batch)
  }
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, decode(at, member, depth + 1)]))
}

/** Turns descriptions of initializers into initializers, or refuses them. */
type InitializerMaker = (description: InitializerDescription) => Initializer

/**
 * The tensors that were asked for.
 *
 * @param where The beginning of messages: which file.
 * @param json Of unknown origin: everything is checked.
 * @throws DataError that names the node.
 */
export function graphFromJson(where: string, json: unknown, makeInitializer: InitializerMaker): Tensor[] {
  const { scopes, nodes, roots } = objectOf(`${where}: the graph`, json)
  const list = arrayOf(`${where}: nodes`, nodes, MOST_NODES)
  const reader = new GraphReader(where, arrayOf(`${where}: scopes`, scopes, MOST_NODES), makeInitializer)
  const tensors = reader.read(list)
  return arrayOf(`${where}: roots`, roots, MOST_ROOTS).map((root) => tensorAt(`${where}: roots`, (i) => tensors[i], root))
}

/** More than any network has; a file that asks for more is not read. */
const [MOST_NODES, MOST_ROOTS] = [200_000, 1000]

type Lookup = (number: number) => Tensor | undefined

class GraphReader {
  private readonly where: string
  private readonly scopes: readonly Scope[]
  private readonly makeInitializer: InitializerMaker
  private readonly tensors: Tensor[] = []

  constructor(where: string, scopes: readonly unknown[], makeInitializer: InitializerMaker) {
    this.where = where
    this.makeInitializer = makeInitializer
    this.scopes = scopes.map((scope, i) => {
      const { kind, name } = objectOf(`${where}: scope ${i}`, scope)
      if (typeof kind !== 'string' || !(name === undefined || typeof name === 'string'))
        throw new DataError(`${where}: scope ${i} must have a kind and may have a name, got ${describe(kind)} and ${describe(name)}.`)
      return name === undefined ? { kind } : { kind, name }
    })
  }

  /** The whole graph; functions of parameters are called once, so that what is wrong with them is known. */
  read(nodes: readonly unknown[]): readonly Tensor[] {
    for (const [i, node] of nodes.entries())
      this.tensors.push(this.node(`${this.where}: node ${i}`, node, (number) => this.tensors[number], true))
    for (const parameter of this.tensors.filter(isVariable)) {
      const { regularize, constrain } = parameter.attributes as VariableAttributes
      regularize?.(parameter)
      constrain?.(parameter)
    }
    return this.tensors
  }

  private node(at: string, json: unknown, find: Lookup, isOuter: boolean): Tensor {
    const { op: name, inputs = [], attributes = {}, scope, phase = 'forward', shape, dtype = 'float32' } = objectOf(at, json)
    const where = `${at} (${typeof name === 'string' ? name : describe(name)})`
    const op = opOf(where, name)
    if (phase !== 'forward' && phase !== 'backward' && phase !== 'update')
      throw new DataError(`${where}: phase must be "forward", "backward" or "update", got ${describe(phase)}.`)
    if (scope !== undefined && !(isIndex(scope) && scope < this.scopes.length))
      throw new DataError(`${where}: scope must be the number of one of ${this.scopes.length}, got ${describe(scope)}.`)
    const operands = arrayOf(`${where}: inputs`, inputs).map((input) => tensorAt(where, find, input))
    const given = objectOf(`${where}: attributes`, attributes)
    const expected = decode(where, arrayOf(`${where}: shape`, shape)) as Shape
    const layer = scope === undefined ? null : this.scopes[scope]
    // What a function makes outside of layers belongs where the function is called.
    const inPlace = (build: () => Tensor) => (layer === null && !isOuter ? build() : within(layer, phase, build))
    try {
      const tensor = inPlace(() => {
        if (op === sourceOps.variable) return this.variable(where, given, find)
        const checked = checkedAttributes(where, op, operands.length, given)
        if (op === sourceOps.input) checkInput(where, checked)
        return apply(op, operands, checked)
      })
      if (sameShape(expected, tensor.shape) && dtype === tensor.dtype) return tensor
      throw new DataError(
        `${where}: the file says ${describe(dtype)} ${formatShape(expected)}, but the op gives ${tensor.dtype} ${formatShape(tensor.shape)}.`,
      )
    } catch (error) {
      // What ops refuse they refuse in words of their own.
      if (error instanceof DataError || !(error instanceof ThalwegError)) throw error
      throw new DataError(`${where}: ${error.message}`)
    }
  }

  private variable(where: string, given: Readonly<Record<string, unknown>>, find: Lookup): Tensor {
    if (Object.hasOwn(given, 'global')) {
      const found = Object.keys(globals).find((name) => name === given.global)
      if (found !== undefined) return globals[found]
      throw new DataError(`${where}: global must be ${Object.keys(globals).join(' or ')}, got ${describe(given.global)}.`)
    }
    const { initialize, regularize, constrain, ...others } = given
    const { name, block, shape, dtype } = checkedAttributes(where, sourceOps.variable, 0, others) as unknown as VariableAttributes
    if (block !== 'parameters' && block !== 'state')
      throw new DataError(`${where}: block must be "parameters" or "state", got ${describe(block)}.`)
    checkDtype(where, dtype)
    concrete(shape)
    const parameter: Tensor = variable({
      name,
      block,
      shape,
      dtype,
      initialize: this.initializer(`${where}: initialize`, initialize),
      regularize: this.functionOf(`${where}: regularize`, regularize, find, () => parameter),
      constrain: this.functionOf(`${where}: constrain`, constrain, find, () => parameter),
    })
    return parameter
  }

  private initializer(where: string, json: unknown): Initializer {
    if (json === null) return lostInitializer
    const { name, arguments: given } = objectOf(where, json)
    if (typeof name !== 'string') throw new DataError(`${where}: expected a name, got ${describe(name)}.`)
    return this.makeInitializer({ name, arguments: decode(where, arrayOf(where, given)) as unknown[] })
  }

  /** Makes its nodes anew at each call, as did the function that it was. @param self The variable that the description has the argument for. */
  private functionOf(where: string, json: unknown, find: Lookup, self: () => Tensor): ((parameter: Tensor) => Tensor) | undefined {
    if (json === undefined) return undefined
    const { nodes, result } = objectOf(where, json)
    const list = arrayOf(`${where}: nodes`, nodes, MOST_NODES)
    return (parameter) => {
      const start = this.tensors.length
      const own: Tensor[] = []
      const findOwn: Lookup = (number) => {
        const found = number < start ? find(number) : own[number - start]
        return found === self() ? parameter : found
      }
      for (const [i, node] of list.entries()) {
        const tensor = this.node(`${where}: node ${start + i}`, node, findOwn, false)
        if (isSource(tensor))
          throw new DataError(`${where}: node ${start + i}: a function of a parameter has no variables and inputs of its own.`)
        own.push(tensor)
      }
      return tensorAt(where, findOwn, result)
    }
  }
}

/** For ops without samples, what their attributes look like. */
const examples = new Map<Op, Pick<Sample<object>, 'inputs' | 'attributes'>[]>([
  [sourceOps.variable, [{ inputs: [], attributes: { name: '', block: '', shape: [1], dtype: '' } }]],
  [sourceOps.input, ['', null].map((name) => ({ inputs: [], attributes: { name, shape: [1], dtype: '' } }))],
  [sourceOps.constant, [{ inputs: [], attributes: { value: 0.5 } }]],
  [sourceOps.elementCount, [{ inputs: [], attributes: { shape: [1] } }]],
  [sourceOps.stopGradient, [{ inputs: [uniform([])], attributes: {} }]],
  [sourceOps.penalised, [{ inputs: [uniform([]), uniform([])], attributes: {} }]],
])

/** Attributes that are those the op has, each of the kind that its samples have there. */
function checkedAttributes(where: string, op: Op, inputs: number, json: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const samples = examples.get(op) ?? op.samples
  const counts = new Set(samples.map((sample) => sample.inputs.length))
  if (counts.size === 1 && !counts.has(inputs))
    throw new DataError(`${where}: expected ${counted([...counts][0], 'input')}, got ${inputs}.`)
  const known = Object.keys(samples[0].attributes)
  const names = Object.keys(json)
  const odd = names.find((name) => !known.includes(name)) ?? known.find((name) => !names.includes(name))
  if (odd !== undefined)
    throw new DataError(
      `${where}: expected the attributes ${known.join(', ') || 'none'}, got ${names.join(', ') || 'none'}; "${odd}" is to blame.`,
    )
  return Object.fromEntries(
    names.map((name) => {
      const value = decode(where, json[name])
      const alike = samples.map(({ attributes }) => (attributes as Record<string, unknown>)[name])
      // Steps are made by the planner alone.
      if (!isLike(alike, value) || (name === 'steps' && (value as unknown[]).length > 0))
        throw new DataError(
          `${where}: attribute "${name}" must be such as ${JSON.stringify(name === 'steps' ? [] : alike[0])}, got ${describe(value)}.`,
        )
      return [name, value]
    }),
  )
}

function isLike(alike: readonly unknown[], value: unknown): boolean {
  if (alike.some(Array.isArray)) return Array.isArray(value) && value.every((item) => isLike(alike.flat(), item))
  if (alike.every((example) => Number.isInteger(example))) return isIndex(value) || value instanceof BatchDimension
  return alike.some((example) => (example === null ? value === null : typeof example === typeof value))
}

function checkInput(where: string, { shape, dtype }: Partial<Record<string, unknown>>): void {
  checkDtype(where, dtype)
  checkExtents(where, shape as Shape)
  const [first, ...others] = shape as Shape
  if (first !== batch || others.some((extent) => typeof extent !== 'number'))
    throw new DataError(`${where}: the shape of an input must be the batch and then numbers, got ${formatShape(shape as Shape)}.`)
}

function checkDtype(where: string, dtype: unknown): asserts dtype is Dtype {
  if (dtype !== 'float32' && dtype !== 'int32') throw new DataError(`${where}: dtype must be "float32" or "int32", got ${describe(dtype)}.`)
}

function opOf(where: string, name: unknown): Op {
  if (typeof name === 'string' && Object.hasOwn(ops, name)) return ops[name as OpName]
  const nearest = typeof name === 'string' ? nearestName(name, Object.keys(ops)) : null
  const advice = nearest === null ? '' : ` The nearest is "${nearest}".`
  throw new DataError(`${where}: thalweg ${version} has no such op.${advice} If the file is of a newer version, update thalweg.`)
}

function tensorAt(where: string, find: Lookup, number: unknown): Tensor {
  const tensor = isIndex(number) ? find(number) : undefined
  if (tensor === undefined) throw new DataError(`${where}: expected the number of an earlier node, got ${describe(number)}.`)
  return tensor
}

function isIndex(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

/** Throws unless it is an object of members by name. */
export function objectOf(where: string, value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new DataError(`${where}: expected an object, got ${describe(value)}.`)
  return value as Record<string, unknown>
}

/** Throws unless it is an array, and none too long. */
export function arrayOf(where: string, value: unknown, most = 10_000): readonly unknown[] {
  if (!Array.isArray(value)) throw new DataError(`${where}: expected an array, got ${describe(value)}.`)
  if (value.length > most) throw new DataError(`${where}: expected at most ${most} entries, got ${value.length}.`)
  return value
}
