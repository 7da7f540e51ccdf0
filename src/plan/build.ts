import { checkCount } from '../checks.ts'
import { assert, GraphError } from '../errors.ts'
import type { Mode } from '../graph/op.ts'
import { concrete } from '../graph/shape.ts'
import { ancestors, type Scope, type Tensor } from '../graph/tensor.ts'
import { constantValue, isVariable, sourceOps } from '../ops/source.ts'
import { bind } from './bind.ts'
import { coalesce } from './coalesce.ts'
import { checkByFactors, defer } from './defer.ts'
import { fuse } from './fuse.ts'
import { type Layout, layOut, type Storage } from './layout.ts'
import { type Instruction, type Plan, type PlanTensor, WORKSPACE } from './plan.ts'
import { simplify } from './simplify.ts'
import type { VariableLayout } from './variables.ts'

/** What a plan is made of. */
export interface PlanRequest {
  /** Tensors to compute, by name. */
  readonly outputs: Readonly<Record<string, Tensor>>
  /** Tensors that write variables, in the order in which they must happen. */
  readonly updates?: readonly Tensor[]
  /** Inputs by name; each input the outputs need must be here. */
  readonly inputs: Readonly<Record<string, Tensor>>
  readonly variables: VariableLayout
  readonly batchSize: number
  readonly mode: Mode
  /** The names of layers, for messages and printed plans. */
  readonly layerNames?: ReadonlyMap<Scope, string>
  /** Whether every gradient is to be found in its variable after the step; large ones need not be stored for the step itself. Default true. */
  readonly keepGradients?: boolean
}

/** Makes the plan: bind → simplify → fuse → defer → lay out → coalesce. */
export function buildPlan(request: PlanRequest): Plan {
  const { outputs, updates = [], inputs, variables, batchSize, mode, layerNames = new Map(), keepGradients = true } = request
  checkCount('plan', 'batchSize', batchSize)
  const names = Object.keys(outputs)
  const inputNames = Object.keys(inputs)
  checkInputs(request)

  // Inputs travel through the passes as roots of their own, so that they keep a place even where nothing reads them.
  const count = names.length + updates.length
  let roots: readonly Tensor[] = [...Object.values(outputs), ...updates, ...Object.values(inputs)]
  roots = bind(roots, batchSize, mode)
  roots = simplify(roots)
  roots = fuse(roots)
  if (!keepGradients) roots = defer(roots, roots.slice(0, names.length))
  roots = checkByFactors(roots)

  const outputRoots = roots.slice(0, names.length)
  const inputRoots = roots.slice(count, count + inputNames.length)
  const layout = layOut(roots, outputRoots, variables)
  const { tensors, instructions, ids } = emit(layout, layerNames, label)

  const plan: Plan = {
    mode,
    batchSize,
    tensors,
    instructions,
    inputs: Object.fromEntries(inputNames.map((name, i) => [name, ids.get(inputRoots[i]) as number])),
    outputs: Object.fromEntries(names.map((name, i) => [name, ids.get(outputRoots[i]) as number])),
    constants: [...ids]
      .filter(([tensor]) => constantValue(tensor) !== null)
      .map(([tensor, id]) => ({ tensor: id, value: constantValue(tensor) as number })),
    blocks: { ...variables.blocks, [WORKSPACE]: layout.workspaceBytes },
  }
  return coalesce(plan)

  function label(tensor: Tensor): string | null {
    if (isVariable(tensor)) return variables.place(tensor)?.name ?? null
    const value = constantValue(tensor)
    if (value !== null) return Object.is(value, -0) ? '-0' : String(value)
    const i = inputRoots.indexOf(tensor)
    return i < 0 ? null : inputNames[i]
  }
}

function checkInputs({ outputs, updates = [], inputs }: PlanRequest): void {
  const given = new Set(Object.values(inputs))
  for (const node of ancestors([...Object.values(outputs), ...updates])) {
    if (node.op === sourceOps.input && !given.has(node)) {
      throw new GraphError(
        `plan: an output depends on an input${node.attributes.name === null ? '' : ` "${node.attributes.name}"`} of shape [${node.shape.join(', ')}] that was not given.`,
      )
    }
  }
}

function emit(layout: Layout, layerNames: ReadonlyMap<Scope, string>, label: (tensor: Tensor) => string | null) {
  const tensors: PlanTensor[] = []
  const ids = new Map<Tensor, number>()
  let computed = 0
  for (const [tensor, storage] of layout.storages) {
    // An update's result is its variable; it needs no entry of its own.
    const written = tensor.op.writes?.(tensor.attributes)
    if (written !== undefined) {
      ids.set(tensor, ids.get(tensor.inputs[written[0]]) as number)
      continue
    }
    ids.set(tensor, tensors.length)
    // A view is printed as what it views, and what is computed in a variable's memory as the variable.
    const viewed = tensor.op.alias ? tensors[ids.get(tensor.inputs[0]) as number].label : null
    const stored = layout.targets.get(tensor)?.inputs[0]
    tensors.push(place(tensor, storage, label(tensor) ?? viewed ?? (stored && label(stored)) ?? `%${++computed}`))
  }
  const id = (tensor: Tensor) => {
    const found = ids.get(tensor)
    assert(found !== undefined, `${tensor} has no place in the plan.`)
    return found
  }
  const instructions = layout.order.map((node): Instruction => {
    const written = node.op.writes?.(node.attributes)
    return {
      op: node.op.name,
      inputs: node.inputs.map(id),
      outputs: written === undefined ? [id(node)] : written.map((i) => id(node.inputs[i])),
      attributes: node.attributes,
      layer: node.scope === null ? null : (layerNames.get(node.scope) ?? node.scope.name ?? node.scope.kind),
      phase: node.phase,
    }
  })
  return { tensors, instructions, ids }
}

function place(tensor: Tensor, storage: Storage, label: string): PlanTensor {
  return { shape: concrete(tensor.shape), dtype: tensor.dtype, block: storage.block, offset: storage.offset, label }
}
