/** Several models as one: their variables, their memory, their names, and work that none of them is to disturb. */
import { Arena } from '../executors/arena.ts'
import type { Scope } from '../graph/tensor.ts'
import { VariableLayout } from '../plan/variables.ts'
import type { Model } from './model.ts'
import type { NamedVariable } from './names.ts'

/** Where the variables of several models are, in their joined memory, and those that need memory beside it. */
export function joinedLayout(models: ReadonlyMap<string, Model>, own: readonly NamedVariable[] = []): VariableLayout {
  return new VariableLayout(
    own,
    [...models].map(([prefix, { layout }]) => [prefix, layout]),
  )
}

/** The memory of several models under one name each. */
export function joinedMemory(models: ReadonlyMap<string, Model>): Arena {
  return Arena.join([...models].map(([prefix, { memory }]) => [prefix, memory]))
}

/** The names of the layers of several models. */
export function namesOfLayers(models: ReadonlyMap<string, Model>): ReadonlyMap<Scope, string> {
  return new Map([...models].flatMap(([prefix, { layerNames }]) => [...layerNames].map(([scope, name]) => [scope, prefix + name] as const)))
}

/** Runs work when nothing else reads or writes the variables of the models. */
export function exclusively<T>(models: readonly Model[], work: () => Promise<T>): Promise<T> {
  return models.reduceRight((inner, model) => () => model.exclusive(inner), work)()
}
