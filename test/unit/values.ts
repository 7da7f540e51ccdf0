/** What symbolic tensors are worth: for tests that say what an op means. */
import { Arena, type Precision, type Values } from '../../src/executors/arena.ts'
import { referenceExecutor } from '../../src/executors/reference/index.ts'
import type { Mode } from '../../src/graph/op.ts'
import { concrete } from '../../src/graph/shape.ts'
import { ancestors, type Dtype, type Tensor } from '../../src/graph/tensor.ts'
import { isVariable, variable } from '../../src/ops/source.ts'
import { buildPlan } from '../../src/plan/build.ts'
import type { Plan } from '../../src/plan/plan.ts'
import { VariableLayout } from '../../src/plan/variables.ts'
import { Purpose, RandomStream } from '../../src/random.ts'
import { expectError } from '../expectError.ts'

/** A tensor that holds these numbers. All such tensors live in one block, if no other is named, in the order in which `layoutOf` finds them. */
export function holding(
  shape: readonly number[],
  values: readonly number[],
  options: { name?: string; dtype?: Dtype; block?: string } = {},
): Tensor {
  const { name = 'x', dtype = 'float32', block = 'parameters' } = options
  return variable({ name, block, shape, dtype, initialize: (memory) => memory.set(values) })
}

/** Places for all variables that the tensors need. */
export function layoutOf(tensors: readonly Tensor[]): VariableLayout {
  const variables = ancestors(tensors).filter(isVariable)
  return new VariableLayout(variables.map((tensor) => ({ variable: tensor, name: tensor.attributes.name })))
}

/** Memory for a plan, with every variable at its initial value. */
export function arenaFor(plan: Plan, layout: VariableLayout, precision: Precision = 'float32'): Arena {
  const arena = Arena.allocate(plan.blocks, { precision })
  for (const tensor of layout.variables) {
    const place = layout.place(tensor) as { block: string; offset: number }
    const { shape, dtype, initialize } = tensor.attributes
    initialize(arena.view({ ...place, shape, dtype }), shape, new RandomStream(1, Purpose.initialize, place.offset))
  }
  return arena
}

export interface Circumstances {
  readonly batchSize?: number
  readonly mode?: Mode
  readonly precision?: Precision
  /** Values of symbolic inputs. */
  readonly feeds?: ReadonlyMap<Tensor, readonly number[]>
}

/** The values of tensors, computed by a fused and packed plan on the reference executor, in double precision unless told. */
export function evaluate(tensors: readonly Tensor[], circumstances: Circumstances = {}): Values[] {
  const { batchSize = 1, mode = 'inference', precision = 'float64', feeds = new Map() } = circumstances
  const layout = layoutOf(tensors)
  const plan = buildPlan({
    inputs: Object.fromEntries([...feeds.keys()].map((tensor, i) => [`input${i}`, tensor])),
    outputs: Object.fromEntries(tensors.map((tensor, i) => [`output${i}`, tensor])),
    variables: layout,
    batchSize,
    mode,
  })
  const arena = arenaFor(plan, layout, precision)
  const session = referenceExecutor.load(plan, arena)
  for (const [i, values] of [...feeds.values()].entries()) arena.view(plan.tensors[plan.inputs[`input${i}`]]).set(values)
  session.execute(0, plan.instructions.length)
  return tensors.map((_, i) => arena.view(plan.tensors[plan.outputs[`output${i}`]]).slice())
}

/** One tensor as nested arrays: `[[1, 2], [3, 4]]`, or a number for a scalar. A zero has no sign. */
export function numbersOf(tensor: Tensor, circumstances?: Circumstances): unknown {
  const [values] = evaluate([tensor], circumstances)
  const { batchSize = 1 } = circumstances ?? {}
  const shape = tensor.shape.map((extent) => (typeof extent === 'number' ? extent : extent.multiple * batchSize))
  const nest = (axis: number, start: number, size: number): unknown => {
    if (axis === shape.length) return values[start] + 0
    const part = size / shape[axis]
    return Array.from({ length: shape[axis] }, (_, i) => nest(axis + 1, start + i * part, part))
  }
  return nest(0, 0, values.length)
}

/** Numbers of -1 … 1, the same in every run. */
export function randomNumbers(size: number, stream = 0): number[] {
  const random = new RandomStream(3, Purpose.sample, stream)
  return Array.from({ length: size }, () => 2 * random.uniform() - 1)
}

/** A tensor of random numbers of -1 … 1. */
export function randomTensor(shape: readonly number[], stream = 0, name = 'x'): Tensor {
  const size = concrete(shape).reduce((product, extent) => product * extent, 1)
  return holding(shape, randomNumbers(size, stream), { name })
}

/** Expects a call to be refused with this code, by a message that contains every one of the parts. */
export function expectRefusal(call: () => unknown, code: string, ...parts: readonly string[]): void {
  let thrown: unknown = null
  try {
    call()
  } catch (error) {
    thrown = error
  }
  expectError(thrown, code, parts)
}
