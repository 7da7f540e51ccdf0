/** The numbers of a model: where they lie, what they begin with, and which of them training leaves alone. */
import { checkNames, type Hints, nearestName } from '../checks.ts'
import { NdArray, type NumbersLike } from '../data/ndarray.ts'
import { toRows } from '../data/rows.ts'
import { describe, OptionError, ShapeError } from '../errors.ts'
import { Arena } from '../executors/arena.ts'
import { concrete, formatShape } from '../graph/shape.ts'
import type { Tensor } from '../graph/tensor.ts'
import { seedVariable } from '../ops/random.ts'
import { lostInitializer, type VariableAttributes } from '../ops/source.ts'
import { checkFilter, chooses, type ParameterFilter } from '../optim/optimizer.ts'
import { VariableLayout } from '../plan/variables.ts'
import { Purpose, RandomStream, seedWords } from '../random.ts'
import { modelAppliedAs } from './apply.ts'
import type { NamedVariable } from './names.ts'

/** The variables of a model and their memory; what of it is public is said in `Model`. */
export class Weights {
  readonly variables: readonly NamedVariable[]
  readonly parameters: readonly NamedVariable[]
  readonly layout: VariableLayout
  /** The blocks "parameters" and "state". */
  readonly memory: Arena
  private readonly frozen = new Set<Tensor>()

  /** @param memory Gives the memory, with what it holds; default: new memory, in which nothing is written yet. */
  constructor(variables: readonly NamedVariable[], memory: (layout: VariableLayout) => Arena = ({ blocks }) => Arena.allocate(blocks)) {
    this.variables = variables
    this.parameters = variables.filter(({ variable }) => variable.attributes.block === 'parameters')
    this.layout = new VariableLayout(variables)
    this.memory = memory(this.layout)
  }

  values(variable: Tensor): Float32Array | Int32Array {
    const place = this.layout.place(variable)
    if (place === undefined) throw new OptionError(`${describe(variable)} is not a variable of this model.`)
    return this.memory.view({ ...place, shape: concrete(variable.shape), dtype: variable.dtype }) as Float32Array | Int32Array
  }

  /** All parameters one after the other: their memory, not a copy. */
  get allParameters(): Float32Array {
    if (!this.memory.has('parameters')) return new Float32Array(0)
    const { buffer, byteOffset, byteLength } = this.memory.region('parameters')
    return new Float32Array(buffer, byteOffset, byteLength / 4)
  }

  /** Gives all variables the initial values of a seed, but those that have values already. */
  initialize(where: string, seed: number, taken: ReadonlySet<Tensor> = new Set()): void {
    const lost = this.variables.find(({ variable }) => variable.attributes.initialize === lostInitializer && !taken.has(variable))
    if (lost !== undefined)
      throw new OptionError(
        `${where}: the initializer of ${lost.name} was a function of your own, which the file of its model could not hold; set its values with setWeights, or build the model anew.`,
      )
    this.variables.forEach(({ variable }, i) => {
      const { initialize, shape } = variable.attributes as VariableAttributes
      if (!taken.has(variable)) initialize(this.values(variable), shape, new RandomStream(seed, Purpose.initialize, i))
    })
    this.values(seedVariable).set(seedWords(seed).map((word) => word | 0))
  }

  /**
   * Begins with the values of the models that are applied within this one: of a parameter that is in several, with those of the one applied last.
   *
   * @param nodes Of the graph of this one.
   * @returns The parameters that have been given values.
   */
  takeOver(nodes: readonly Tensor[]): ReadonlySet<Tensor> {
    const taken = new Set<Tensor>()
    for (const node of nodes) {
      const source = modelAppliedAs(node)
      for (const { variable } of source?.parameters ?? []) {
        if (source === undefined || this.layout.place(variable) === undefined) continue
        this.values(variable).set(source.values(variable))
        taken.add(variable)
      }
    }
    return taken
  }

  /** The parameters that are not frozen. */
  get trainable(): readonly NamedVariable[] {
    return this.parameters.filter(({ variable }) => !this.frozen.has(variable))
  }

  freeze(filter: ParameterFilter): void {
    for (const { variable } of this.chosen('freeze', filter)) this.frozen.add(variable)
  }

  unfreeze(filter: ParameterFilter): void {
    for (const { variable } of this.chosen('unfreeze', filter)) this.frozen.delete(variable)
  }

  /** A copy, by name. */
  copies(filter?: ParameterFilter): Record<string, NdArray> {
    const chosen = filter === undefined ? this.parameters : this.chosen('weights', filter)
    return Object.fromEntries(
      chosen.map(({ variable, name }) => [name, new NdArray(Float32Array.from(this.values(variable)), concrete(variable.shape))]),
    )
  }

  /** Sets weights by name, if all of them fit. */
  set(weights: Readonly<Record<string, NumbersLike>>): void {
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

  private chosen(where: string, filter: ParameterFilter): readonly NamedVariable[] {
    checkFilter(where, 'the parameters', filter)
    const found = this.parameters.filter(({ variable, name }) => chooses(filter, { name, shape: concrete(variable.shape) }))
    if (found.length === 0)
      throw new OptionError(
        `${where}: ${describe(filter)} chooses no parameter of this model; there are ${this.parameters.map(({ name }) => name).join(', ')}.`,
      )
    return found
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
