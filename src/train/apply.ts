/** Models as functions: their graph over other tensors, with the same variables. */
import { checkNames } from '../checks.ts'
import { describe, OptionError, ShapeError } from '../errors.ts'
import { formatShape, sameShape } from '../graph/shape.ts'
import { ancestors, expectDtype, expectTensor, apply as makeNode, substitute, Tensor, within } from '../graph/tensor.ts'
import { isRandom } from '../ops/random.ts'
import type { Model } from './model.ts'

/** What `apply` gave, and whose parameters it is made of. */
const applied = new WeakMap<Tensor, Model>()

/** The model that gave a tensor as one of its outputs. */
export function modelAppliedAs(tensor: Tensor): Model | undefined {
  return applied.get(tensor)
}

/** `Model.applyAll`: see there. */
export function applyModel(model: Model, x: Tensor | Readonly<Record<string, Tensor>>): Tensor[] {
  const given = x instanceof Tensor && model.inputs.length === 1 ? { [model.inputNames[0]]: x } : x
  if (typeof given !== 'object' || given === null || given instanceof Tensor)
    throw new OptionError(
      `apply: expected ${model.inputs.length === 1 ? 'a symbolic tensor' : `an object of tensors by input name (${model.inputNames.join(', ')})`}, got ${describe(given)}.`,
    )
  checkNames('apply', 'input', given, model.inputNames)
  const replacements = model.inputs.map((input, i): [Tensor, Tensor] => {
    const name = model.inputNames[i]
    const tensor = given[name]
    expectTensor('apply', tensor, `input "${name}"`)
    expectDtype('apply', tensor, input.dtype, `input "${name}"`)
    if (!sameShape(tensor.shape, input.shape))
      throw new ShapeError(`apply: input "${name}" must have shape ${formatShape(input.shape)}, got ${formatShape(tensor.shape)}.`)
    return [input, tensor]
  })
  const noise = ancestors(model.outputs).flatMap((node): [Tensor, Tensor][] => {
    if (!isRandom(node)) return []
    return [[node, within(node.scope, node.phase, () => makeNode(node.op, node.inputs, node.attributes))]]
  })
  const results = substitute(model.outputs, new Map([...replacements, ...noise]))
  // A model that gives its input back has nothing of its own in it.
  for (const result of results) if (!applied.has(result)) applied.set(result, model)
  return results
}
