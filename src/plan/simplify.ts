import { broadcastShapes, concrete, type Shape, sameShape, sizeOf } from '../graph/shape.ts'
import { apply, type Tensor } from '../graph/tensor.ts'
import { broadcastTo, reshape, shapeOps } from '../ops/shape.ts'
import { constant, constantValue } from '../ops/source.ts'
import { variableBehind } from '../ops/update.ts'
import { rewrite } from './rewrite.ts'

/**
 * Makes the graph smaller without changing values: constants are computed, each op's own `simplify` rule is
 * applied until nothing changes, repetitions (broadcastTo) are left to elementwise ops, and what is
 * computed twice is computed once.
 */
export function simplify(roots: readonly Tensor[]): Tensor[] {
  const known = new Map<string, Tensor>()
  // By variable the last update so far.
  const latest = new Map<Tensor, Tensor>()

  const once = (node: Tensor): Tensor => {
    if (node.op.writes !== undefined || (node.op.virtual && constantValue(node) === null)) return node
    const key = `${node.op.name} ${node.inputs.map((input) => input.id).join(' ')} ${spell(node.attributes)}`
    const earlier = known.get(key)
    if (earlier === undefined) known.set(key, node)
    return earlier ?? node
  }

  const reduced = (node: Tensor): Tensor => {
    let current = once(node)
    for (;;) {
      const inTime = (next: Tensor | null | undefined) => (next && !readsOldValue(next, current.id, latest) ? next : null)
      const next =
        inTime(folded(current)) ??
        inTime(unrepeated(current)) ??
        inTime(repeatedOnce(current)) ??
        inTime(current.op.simplify?.({ inputs: current.inputs, output: current, attributes: current.attributes }))
      if (next === null) return current
      current = once(next)
    }
  }

  return rewrite(roots, (node, inputs) => {
    const result = reduced(apply(node.op, inputs, node.attributes))
    for (const i of result.op.writes?.(result.attributes) ?? []) latest.set(variableBehind(result.inputs[i]) as Tensor, result)
    return result
  })
}

/**
 * Whether something made after the tensor with number `since` reads what a variable held before its latest update. What it is to take the
 * place of read it in time.
 */
function readsOldValue(tensor: Tensor, since: number, latest: ReadonlyMap<Tensor, Tensor>): boolean {
  if (tensor.id <= since) return false
  return tensor.inputs.some((input) => {
    let x = input
    while (x.op.alias) x = x.inputs[0]
    const variable = variableBehind(x)
    const update = variable === null ? undefined : latest.get(variable)
    return (update !== undefined && update !== x) || readsOldValue(input, since, latest)
  })
}

/** Attributes as a key: unlike plain JSON it tells the infinities, NaN and the two zeros apart. */
function spell(attributes: object): string {
  const exact = (value: unknown) =>
    typeof value === 'number' && (!Number.isFinite(value) || value === 0) ? `#${Object.is(value, -0) ? '-0' : value}` : value
  return JSON.stringify(attributes, (_, value) => exact(value))
}

/** An elementwise op of constants is a constant, and of repeated constants a repeated one. */
function folded({ op, inputs, dtype, shape }: Tensor): Tensor | null {
  if (op.compute === undefined || dtype !== 'float32' || inputs.length === 0) return null
  const values = inputs.map((input) => constantValue(scalarBehind(input) ?? input))
  return values.includes(null) ? null : repeated(constant(op.compute(...(values as [number, number, number]))), shape)
}

/** A scalar that is repeated, and then viewed or repeated again, is repeated to the last shape at once. */
function repeatedOnce({ op, inputs: [x], shape }: Tensor): Tensor | null {
  if (op !== shapeOps.broadcastTo && !(op.alias && x.op === shapeOps.broadcastTo)) return null
  const scalar = scalarBehind(x)
  return scalar === null || scalar === x ? null : repeated(scalar, shape)
}

/** The scalar of which a tensor is a repetition or a view, or null. */
function scalarBehind(tensor: Tensor): Tensor | null {
  let x = tensor
  while (x.op.alias || x.op === shapeOps.broadcastTo) x = x.inputs[0]
  return x.rank === 0 ? x : null
}

function repeated(scalar: Tensor, shape: Shape): Tensor {
  return sizeOf(concrete(shape)) === 1 ? reshape(scalar, shape) : broadcastTo(scalar, shape)
}

/** Elementwise ops repeat their operands themselves: a broadcastTo before them is dropped where the result keeps its shape. */
function unrepeated(node: Tensor): Tensor | null {
  if (node.op.compute === undefined) return null
  const inputs = [...node.inputs]
  let changed = false
  inputs.forEach((input, i) => {
    if (input.op !== shapeOps.broadcastTo) return
    const shapes = inputs.map((other, j) => (j === i ? input.inputs[0].shape : other.shape))
    const shape = shapes.reduce((a: Shape, b) => broadcastShapes('simplify', a, b))
    if (!sameShape(shape, node.shape)) return
    inputs[i] = input.inputs[0]
    changed = true
  })
  return changed ? apply(node.op, inputs, node.attributes) : null
}
