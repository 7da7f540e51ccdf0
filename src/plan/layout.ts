import { AssertionError, assert } from '../errors.ts'
import { concrete, sizeOf } from '../graph/shape.ts'
import { ancestors, type Tensor } from '../graph/tensor.ts'
import { isVariable } from '../ops/source.ts'
import { updateOps } from '../ops/update.ts'
import { ALIGNMENT, align, GRADIENTS, WORKSPACE } from './plan.ts'
import type { VariableLayout } from './variables.ts'

/** Memory that one or more tensors (views, in-place results) use from instruction `first` to `last`. */
export interface Storage {
  block: string
  readonly bytes: number
  first: number
  last: number
  offset: number
}

/** Memory in which storages may be placed that nobody uses from instruction `end` on. */
interface Room {
  readonly block: string
  readonly offset: number
  readonly bytes: number
  readonly end: number
}

export interface Layout {
  /** The nodes that become instructions, in order. */
  readonly order: readonly Tensor[]
  readonly storages: ReadonlyMap<Tensor, Storage>
  /** Values that are computed in the memory of the variable they are assigned to, with that assignment. */
  readonly targets: ReadonlyMap<Tensor, Tensor>
  readonly workspaceBytes: number
}

/** Inputs, constants and outputs live as long as the plan. */
const ALWAYS = Number.MAX_SAFE_INTEGER

/**
 * Decides where every tensor lies: views share, results overwrite operands that nobody needs any more where the op
 * allows it, values assigned to a variable are computed in its memory, and the rest is packed by lifetime, in the memory of
 * gradients that are yet to be made as far as there is room.
 */
export function layOut(roots: readonly Tensor[], outputs: readonly Tensor[], variables: VariableLayout): Layout {
  const nodes = ancestors(roots)
  const targets = assignmentTargets(nodes)
  const elided = new Set(targets.values())
  const order = nodes.filter((node) => !node.op.virtual && !node.op.alias && !elided.has(node))
  const position = new Map(order.map((node, i) => [node, i]))
  const lastUse = lastUses(nodes, position, outputs)
  const storages = new Map<Tensor, Storage>()
  const own: Storage[] = []

  for (const node of nodes) {
    storages.set(node, find(node))
  }
  checkUpdates(nodes, elided, storages, outputs)
  // Operands of flat ops are joined with what adjoins in the memory of variables (coalesce.ts), which these are not.
  const apart = new Set(order.flatMap(({ op, inputs }) => (op.flat ? inputs.map((input) => storages.get(input)) : [])))
  return { order, storages, targets, workspaceBytes: pack(own, rooms(), apart) }

  function find(node: Tensor): Storage {
    const at = position.get(node) ?? -1
    if (isVariable(node)) return variableStorage(node, variables)
    const shared = node.op.alias ? 0 : node.op.writes?.(node.attributes)[0]
    if (shared !== undefined) return extend(storages.get(node.inputs[shared]) as Storage, lastUse.get(node) ?? at)
    const target = targets.get(node)
    if (target !== undefined) return variableStorage(target.inputs[0], variables)
    const last = lastUse.get(node) ?? at
    const bytes = align(sizeOf(concrete(node.shape)) * 4)
    const taken = takeOver(node, at, bytes)
    if (taken !== null) return extend(taken, last)
    const lasting = node.op.virtual === true
    const storage = { block: WORKSPACE, bytes, first: lasting ? -1 : at, last: lasting ? ALWAYS : last, offset: 0 }
    own.push(storage)
    return storage
  }

  /**
   * The gradients that are made before the step may end: one that ended earlier would leave something else there. Without a last cache line that is not
   * full, because what is behind a variable holds zeros (coalesce.ts).
   */
  function rooms(): Room[] {
    const end = order.findIndex(({ op }) => op === updateOps.checkFinite || op === updateOps.continueIf)
    return [...targets].flatMap(([value, assigned]): Room[] => {
      const [variable] = assigned.inputs
      const { block, offset } = variableStorage(variable, variables)
      const made = position.get(value) as number
      const bytes = Math.floor((sizeOf(concrete(variable.shape)) * 4) / ALIGNMENT) * ALIGNMENT
      return block === GRADIENTS && made < end ? [{ block, offset, bytes, end: made }] : []
    })
  }

  /** An operand whose memory the result may take: not read later, of the same size, and the op allows it. */
  function takeOver(node: Tensor, at: number, bytes: number): Storage | null {
    for (const i of node.op.inPlace ?? []) {
      const operand = node.inputs[i]
      const storage = operand === undefined ? undefined : storages.get(operand)
      if (storage === undefined || storage.block !== WORKSPACE || storage.last !== at || storage.bytes !== bytes) continue
      if (sizeOf(concrete(operand.shape)) === sizeOf(concrete(node.shape))) return storage
    }
    return null
  }
}

function extend(storage: Storage, last: number): Storage {
  storage.last = Math.max(storage.last, last)
  return storage
}

function variableStorage(variable: Tensor, variables: VariableLayout): Storage {
  const place = variables.place(variable)
  if (place === undefined) throw new AssertionError(`Variable "${variable.attributes.name}" is not in the layout.`)
  return { block: place.block, bytes: align(sizeOf(concrete(variable.shape)) * 4), first: -1, last: ALWAYS, offset: place.offset }
}

/**
 * Values that can be computed straight into the variable they are assigned to, with the assignment that then needs no
 * instruction. Not for views and sources, nor for a value wanted by two variables, nor where the old
 * content of the variable is read.
 */
function assignmentTargets(nodes: readonly Tensor[]): Map<Tensor, Tensor> {
  const result = new Map<Tensor, Tensor>()
  const readers = new Map<Tensor, number>()
  for (const node of nodes) for (const input of node.inputs) readers.set(input, (readers.get(input) ?? 0) + 1)
  for (const node of nodes) {
    if (node.op !== updateOps.assign) continue
    const [variable, value] = node.inputs
    let source = value
    while (source.op.alias) source = source.inputs[0]
    const computed = !source.op.virtual && source.op.writes === undefined
    if (computed && isVariable(variable) && !result.has(source) && readers.get(variable) === 1) result.set(source, node)
  }
  return result
}

/** The last instruction that reads each tensor, through views as well. */
function lastUses(nodes: readonly Tensor[], position: ReadonlyMap<Tensor, number>, outputs: readonly Tensor[]): Map<Tensor, number> {
  const result = new Map<Tensor, number>(outputs.map((output) => [output, ALWAYS]))
  for (const node of [...nodes].reverse()) {
    const use = node.op.alias ? result.get(node) : position.get(node)
    if (use === undefined) continue
    for (const input of node.inputs) result.set(input, Math.max(result.get(input) ?? -1, use))
  }
  return result
}

/**
 * First fit by decreasing size: each storage goes to the lowest offset free during its whole life, in the room of those large enough that ends first,
 * else in the workspace. Returns the bytes needed there.
 *
 * @param apart Storages that must lie in the workspace.
 */
function pack(storages: readonly Storage[], rooms: readonly Room[], apart: ReadonlySet<Storage | undefined>): number {
  const workspace = { block: WORKSPACE, offset: 0, bytes: Number.POSITIVE_INFINITY, end: Number.POSITIVE_INFINITY }
  const choice = [...rooms.toSorted((a, b) => a.end - b.end), workspace].map((room) => ({ ...room, placed: [] as Storage[] }))
  let total = 0
  for (const storage of [...storages].sort((a, b) => b.bytes - a.bytes || a.first - b.first)) {
    for (const { block, offset: start, bytes, end, placed } of choice) {
      if (storage.last >= end || (apart.has(storage) && block !== WORKSPACE)) continue
      const offset = lowestOffset(storage, placed, start)
      if (offset + storage.bytes > start + bytes) continue
      storage.block = block
      storage.offset = offset
      placed.push(storage)
      if (block === WORKSPACE) total = Math.max(total, offset + storage.bytes)
      break
    }
  }
  return total
}

function lowestOffset(storage: Storage, placed: readonly Storage[], start: number): number {
  const rivals = placed.filter((other) => other.first <= storage.last && storage.first <= other.last).sort((a, b) => a.offset - b.offset)
  let offset = start
  for (const rival of rivals) {
    if (offset + storage.bytes <= rival.offset) break
    offset = Math.max(offset, rival.offset + rival.bytes)
  }
  return offset
}

/**
 * A variable's old value may not be read after it was overwritten, through a view neither: the graph must read the update's
 * result instead.
 */
function checkUpdates(
  nodes: readonly Tensor[],
  elided: ReadonlySet<Tensor>,
  storages: ReadonlyMap<Tensor, Storage>,
  outputs: readonly Tensor[],
): void {
  // By memory of a variable: the update that wrote it last. By tensor: the update whose result it is, or a view of; none for others.
  const latest = new Map<string, Tensor>()
  const origin = new Map<Tensor, Tensor | undefined>()
  const key = (tensor: Tensor) => `${storages.get(tensor)?.block} ${storages.get(tensor)?.offset}`
  const check = (tensor: Tensor, reader: string) => {
    if (storages.get(tensor)?.block === WORKSPACE || origin.get(tensor) === latest.get(key(tensor))) return
    const variable = nodes.find((node) => isVariable(node) && key(node) === key(tensor))
    assert(false, `Variable "${variable?.attributes.name}" is read by ${reader} after its update.`)
  }
  for (const node of nodes) {
    if (node.op.alias) {
      origin.set(node, origin.get(node.inputs[0]))
      continue
    }
    if (elided.has(node)) continue
    for (const input of node.inputs) check(input, node.op.name)
    const written = node.op.writes?.(node.attributes) ?? []
    for (const i of written) latest.set(key(node.inputs[i]), node)
    if (written.length > 0) origin.set(node, node)
  }
  for (const output of outputs) check(output, 'an output')
}
