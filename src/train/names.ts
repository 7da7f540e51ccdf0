/** How layers, inputs and variables of a model get the names that summaries, messages and weights use. */
import { checkNames } from '../checks.ts'
import { isNumbers, type NumbersLike } from '../data/ndarray.ts'
import { OptionError } from '../errors.ts'
import type { Scope, Tensor } from '../graph/tensor.ts'
import { seedVariable, stepVariable } from '../ops/random.ts'
import { isVariable, type VariableAttributes } from '../ops/source.ts'

/** A variable, and its name in weights and plans. */
export interface NamedVariable {
  readonly variable: Tensor
  readonly name: string
}

/** `dense_1`, `dense_2`, … in order of use; a name of the user's own stays. */
export function nameLayers(where: string, nodes: readonly Tensor[]): Map<Scope, string> {
  const scopes = [...new Set(nodes.map((node) => node.scope).filter((scope) => scope !== null))]
  const taken = new Set<string>()
  for (const { name } of scopes) {
    if (name === undefined) continue
    if (taken.has(name)) throw new OptionError(`${where}: two layers are named "${name}"; names must differ.`)
    taken.add(name)
  }
  const counts = new Map<string, number>()
  const result = new Map<Scope, string>()
  for (const scope of scopes) {
    let name = scope.name
    while (name === undefined) {
      const count = (counts.get(scope.kind) ?? 0) + 1
      counts.set(scope.kind, count)
      const candidate = `${scope.kind}_${count}`
      if (!taken.has(candidate)) name = candidate
    }
    taken.add(name)
    result.set(scope, name)
  }
  return result
}

export function nameInputs(inputs: readonly Tensor[], layerNames: ReadonlyMap<Scope, string>): string[] {
  return inputs.map(
    (tensor, i) => (tensor.scope === null ? null : layerNames.get(tensor.scope)) ?? tensor.attributes.name ?? `input_${i + 1}`,
  )
}

/** The name of the layer an output comes from; `output_2` if that is none, or an earlier output's. No two are the same. */
export function nameOutputs(outputs: readonly Tensor[], layerNames: ReadonlyMap<Scope, string>): string[] {
  const ofLayers = outputs.map(({ scope }) => (scope === null ? undefined : layerNames.get(scope)))
  const names: string[] = []
  ofLayers.forEach((ofLayer, i) => {
    let name = ofLayer
    if (name === undefined || names.includes(name)) {
      name = `output_${i + 1}`
      while (names.includes(name) || ofLayers.includes(name)) name += '_'
    }
    names.push(name)
  })
  return names
}

export function nameVariables(nodes: readonly Tensor[], layerNames: ReadonlyMap<Scope, string>): NamedVariable[] {
  const found = [...nodes.filter(isVariable), seedVariable, stepVariable]
  const taken = new Map<string, number>()
  return [...new Set(found)].map((variable) => {
    const { name } = variable.attributes as VariableAttributes
    const layer = variable.scope === null ? null : layerNames.get(variable.scope)
    const full = layer === null || layer === undefined ? name : `${layer}.${name}`
    const count = (taken.get(full) ?? 0) + 1
    taken.set(full, count)
    return { variable, name: count === 1 ? full : `${full}_${count}` }
  })
}

/** Numbers for each input or output: those given for the only one, or by name. */
export function numbersByName(
  where: string,
  entry: string,
  kind: 'input' | 'output',
  names: readonly string[],
  given: NumbersLike | Readonly<Record<string, NumbersLike>>,
): Readonly<Record<string, NumbersLike>> {
  if (typeof given !== 'object' || given === null || isNumbers(given)) {
    if (names.length > 1)
      throw new OptionError(`${where}: this model has ${names.length} ${kind}s; give ${entry} as an object with ${names.join(', ')}.`)
    return { [names[0]]: given as NumbersLike }
  }
  checkNames(where, kind, given, names)
  for (const name of names) {
    if (!Object.hasOwn(given, name))
      throw new OptionError(`${where}: ${entry} has no entry for ${kind} "${name}", got ${Object.keys(given).join(', ') || 'none'}.`)
  }
  return given
}

/** `loss` gives `validationLoss`. */
export function validationName(name: string): string {
  return `validation${name[0].toUpperCase()}${name.slice(1)}`
}
