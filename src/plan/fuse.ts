import { concrete, type Shape, sameShape, sizeOf } from '../graph/shape.ts'
import { ancestors, apply, type Tensor, within } from '../graph/tensor.ts'
import { chainOps, elementwiseOps } from '../ops/elementwise.ts'
import { matmulOps } from '../ops/matmul.ts'
import { reshape, shapeOps } from '../ops/shape.ts'
import { MAX_CHAIN_INPUTS, updateOps, variableBehind } from '../ops/update.ts'
import { countUses, rewrite } from './rewrite.ts'

/** Limit of one chain; the native kernel has room for as many. */
export const MAX_CHAIN_STEPS = 32

/** Joins work that would otherwise pass through memory twice. The values keep their bits. */
export function fuse(roots: readonly Tensor[]): Tensor[] {
  return fuseChains(fuseBiases(roots))
}

/** When variables are written: what reads one may not be moved behind its next update. */
class Updates {
  private readonly times = new Map<Tensor, number[]>()

  constructor(nodes: readonly Tensor[]) {
    for (const node of nodes) {
      for (const i of node.op.writes?.(node.attributes) ?? []) {
        const variable = variableBehind(node.inputs[i]) as Tensor
        this.times.set(variable, [...(this.times.get(variable) ?? []), node.id])
      }
    }
  }

  /** Whether one of `operands` is a variable, or a view of one, that is written after the node `from` and before the node `to`. */
  comeBetween(operands: readonly Tensor[], from: number, to: number): boolean {
    return operands.some((operand) => {
      let x = operand
      while (x.op.alias) x = x.inputs[0]
      const variable = variableBehind(x)
      return variable !== null && (this.times.get(variable) ?? []).some((time) => from < time && time < to)
    })
  }
}

/** A bias added to a product moves into the product; through a view as well, which is how dense layers over more than two axes are written. */
function fuseBiases(roots: readonly Tensor[]): Tensor[] {
  const uses = countUses(roots)
  const updates = new Updates(ancestors(roots))
  // Rebuilt tensors that one other reads, with the numbers they had.
  const usedOnce = new Map<Tensor, number>()
  return rewrite(roots, (node, inputs) => {
    const fused = withBias(node, inputs, usedOnce, updates)
    const result = fused === null ? apply(node.op, inputs, node.attributes) : reshaped(fused, node.shape)
    if (fused !== null && fused !== result) usedOnce.set(fused, node.id)
    if (uses.get(node) === 1) usedOnce.set(result, node.id)
    return result
  })
}

function reshaped(x: Tensor, shape: Shape): Tensor {
  return sameShape(x.shape, shape) ? x : reshape(x, shape)
}

/** The product that a tensor is, or is a view of with the same last axis, if it has no write-back yet and nobody else reads it. */
function openProduct(tensor: Tensor, onlyRead: (tensor: Tensor) => boolean): Tensor | null {
  const last = (x: Tensor) => x.shape[x.rank - 1]
  let product = tensor
  while (product.op.alias && onlyRead(product) && last(product) === last(product.inputs[0])) product = product.inputs[0]
  const open = product.op === matmulOps.matmul && product.attributes.steps.length === 0
  return open && onlyRead(product) ? product : null
}

function withBias(node: Tensor, inputs: readonly Tensor[], usedOnce: ReadonlyMap<Tensor, number>, updates: Updates): Tensor | null {
  if (node.op !== elementwiseOps.add) return null
  for (const [operand, bias] of [inputs, [...inputs].reverse()]) {
    const product = openProduct(operand, (tensor) => usedOnce.has(tensor))
    if (product === null || updates.comeBetween(product.inputs, usedOnce.get(product) as number, node.id)) continue
    if (!product.attributes.bias && sameShape(bias.shape, product.shape.slice(-1))) {
      return apply(matmulOps.matmul, [...product.inputs, bias], { ...product.attributes, bias: true })
    }
  }
  return null
}

interface Chain {
  /** An elementwise op, or an `update`, which takes the values it assigns from the chain. */
  readonly end: Tensor
  readonly members: Set<Tensor>
  readonly inputs: Set<Tensor>
}

/**
 * Every elementwise op becomes part of an `elementwise` chain: one that ends in it, or the one that all of its
 * consumers belong to, if it has their shape. Chains are grown from their ends towards their operands.
 * A chain that reads a product which nobody else reads becomes the write-back of that product. An update of variables
 * takes in what its values are made of.
 */
function fuseChains(roots: readonly Tensor[]): Tensor[] {
  const nodes = ancestors(roots)
  const consumers = new Map<Tensor, Tensor[]>()
  for (const node of nodes) {
    for (const input of new Set(node.inputs)) consumers.set(input, [...(consumers.get(input) ?? []), node])
  }
  const chains = new Map<Tensor, Chain>()
  const isRoot = new Set(roots)
  const updates = new Updates(nodes)
  for (const node of [...nodes].reverse()) {
    const isUpdate = node.op === updateOps.update && node.attributes.steps.length === 0
    if (node.op.compute === undefined && !isUpdate) continue
    const users = consumers.get(node) ?? []
    const chain = isRoot.has(node) || isUpdate ? undefined : chains.get(users[0])
    if (chain !== undefined && users.every((user) => chains.get(user) === chain) && join(chain, node, updates)) chains.set(node, chain)
    else
      chains.set(node, {
        end: node,
        members: new Set(isUpdate ? [] : [node]),
        inputs: new Set(node.inputs.map((input) => unrepeat(input, node, updates))),
      })
  }

  const written = (chain: Chain) => {
    // An input by this chain alone; what an input is a view of, by the view alone.
    const onlyRead = (tensor: Tensor) => {
      const users = consumers.get(tensor) ?? []
      return (
        !isRoot.has(tensor) && (users.every((user) => chains.get(user) === chain) || (users.length === 1 && users[0].op.alias === true))
      )
    }
    return chain.end.op === updateOps.update ? null : findProduct(chain, onlyRead, updates)
  }

  const rebuilt = new Map<Tensor, Tensor>()
  return rewrite(roots, (node, inputs) => {
    const chain = chains.get(node)
    // A member in the middle of a chain is never read by name; its first operand stands in for it.
    const result =
      chain === undefined ? apply(node.op, inputs, node.attributes) : chain.end === node ? build(chain, written(chain), rebuilt) : inputs[0]
    rebuilt.set(node, result)
    return result
  })
}

/** What a chain reads in the place of an operand: of a repeated one, what is repeated, unless that is a variable which is written before the chain ends. */
function unrepeat(operand: Tensor, end: Tensor, updates: Updates): Tensor {
  const repeats = operand.op === shapeOps.broadcastTo && !updates.comeBetween(operand.inputs, operand.id, end.id)
  return repeats ? operand.inputs[0] : operand
}

function join(chain: Chain, node: Tensor, updates: Updates): boolean {
  if (!sameShape(node.shape, chain.end.shape) || chain.members.size === MAX_CHAIN_STEPS) return false
  if (updates.comeBetween(node.inputs, node.id, chain.end.id)) return false
  const inputs = new Set([...chain.inputs, ...node.inputs.map((input) => unrepeat(input, chain.end, updates))])
  inputs.delete(node)
  if (inputs.size > MAX_CHAIN_INPUTS) return false
  chain.members.add(node)
  chain.inputs.delete(node)
  for (const input of inputs) chain.inputs.add(input)
  return true
}

/** A product that a chain becomes the write-back of, and the input of the chain that is the product, or a view of it. */
interface Written {
  readonly product: Tensor
  readonly operand: Tensor
}

/** The latest product that a chain can follow: it will run where the chain stood, when all that the chain reads is there. */
function findProduct({ end, inputs }: Chain, onlyRead: (tensor: Tensor) => boolean, updates: Updates): Written | null {
  let found: Written | null = null
  for (const operand of inputs) {
    const product = sameShape(operand.shape, end.shape) ? openProduct(operand, onlyRead) : null
    if (product === null || (found !== null && product.id < found.product.id)) continue
    const fits = [...inputs].every((input) => input === operand || shapeBeside(product, input) !== null)
    if (fits && !updates.comeBetween(product.inputs, product.id, end.id)) found = { product, operand }
  }
  return found
}

/** The shape in which a product's write-back reads an input of the chain, or null: one row for all rows, or one number, is read; one number a row is not. */
function shapeBeside(product: Tensor, input: Tensor): Shape | null {
  const row = product.shape.slice(-1)
  const [size, whole, columns] = [input.shape, product.shape, row].map((shape) => sizeOf(concrete(shape)))
  if (size === 1) return []
  if (size === whole) return product.shape
  return size === columns && input.shape[input.rank - 1] === columns ? row : null
}

function build(chain: Chain, written: Written | null, rebuilt: ReadonlyMap<Tensor, Tensor>): Tensor {
  const isUpdate = chain.end.op === updateOps.update
  const first = isUpdate ? chain.end.inputs.slice(0, chain.end.attributes.targets) : written === null ? [] : [written.operand]
  const inputs = [...first, ...[...chain.inputs].filter((input) => !first.includes(input)).sort((a, b) => a.id - b.id)]
  const position = new Map(inputs.map((input, i) => [input, i]))
  const find = (operand: Tensor) => position.get(operand) ?? (position.get(operand.inputs[0]) as number)
  const steps: string[] = []
  for (const member of [...chain.members].sort((a, b) => a.id - b.id)) {
    const operands = member.inputs.map(find)
    position.set(member, inputs.length + steps.length)
    steps.push([member.op.name, ...operands].join(' '))
  }
  const memory = inputs.map((input) => rebuilt.get(input) ?? input)
  if (isUpdate) {
    const { targets, results } = chain.end.attributes
    return apply(updateOps.update, memory, { targets, steps, results: results.map((result: number) => find(chain.end.inputs[result])) })
  }
  if (written === null) return apply(chainOps.elementwise, memory, { steps, shape: chain.end.shape })
  const product = rebuilt.get(written.product) as Tensor
  const further = memory.slice(1).map((input) => reshaped(input, shapeBeside(product, input) as Shape))
  // The layer of the product is the one to name: the chain may be the next one's, or the loss.
  const fused = within(product.scope, product.phase, () =>
    apply(matmulOps.matmul, [...product.inputs, ...further], { ...product.attributes, steps }),
  )
  return reshaped(fused, chain.end.shape)
}
