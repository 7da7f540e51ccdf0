import { concrete, type Shape, sameShape, sizeOf } from '../graph/shape.ts'
import { ancestors, apply, type Tensor, within } from '../graph/tensor.ts'
import { chainOps, elementwiseOps } from '../ops/elementwise.ts'
import { matmulOps } from '../ops/matmul.ts'
import { reshape, shapeOps } from '../ops/shape.ts'
import { countUses, rewrite } from './rewrite.ts'

/** Limits of one chain; the native kernel has room for as many. */
export const MAX_CHAIN_INPUTS = 16
export const MAX_CHAIN_STEPS = 32

/** Joins work that would otherwise pass through memory twice. The values keep their bits. */
export function fuse(roots: readonly Tensor[]): Tensor[] {
  return fuseChains(fuseBiases(roots))
}

/** A bias added to a product moves into the product; through a view as well, which is how dense layers over more than two axes are written. */
function fuseBiases(roots: readonly Tensor[]): Tensor[] {
  const uses = countUses(roots)
  const usedOnce = new Set<Tensor>()
  return rewrite(roots, (node, inputs) => {
    const fused = withBias(node, inputs, usedOnce)
    const result = fused === null ? apply(node.op, inputs, node.attributes) : reshaped(fused, node.shape)
    if (fused !== null && fused !== result) usedOnce.add(fused)
    if (uses.get(node) === 1) usedOnce.add(result)
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

function withBias(node: Tensor, inputs: readonly Tensor[], usedOnce: ReadonlySet<Tensor>): Tensor | null {
  if (node.op !== elementwiseOps.add) return null
  for (const [operand, bias] of [inputs, [...inputs].reverse()]) {
    const product = openProduct(operand, (tensor) => usedOnce.has(tensor))
    if (product !== null && !product.attributes.bias && sameShape(bias.shape, product.shape.slice(-1))) {
      return apply(matmulOps.matmul, [...product.inputs, bias], { ...product.attributes, bias: true })
    }
  }
  return null
}

interface Chain {
  readonly end: Tensor
  readonly members: Set<Tensor>
  readonly inputs: Set<Tensor>
}

/**
 * Every elementwise op becomes part of an `elementwise` chain: one that ends in it, or the one that all of its
 * consumers belong to, if it has their shape. Chains are grown from their ends towards their operands.
 * A chain that reads a product which nobody else reads becomes the write-back of that product.
 */
function fuseChains(roots: readonly Tensor[]): Tensor[] {
  const nodes = ancestors(roots)
  const consumers = new Map<Tensor, Tensor[]>()
  for (const node of nodes) {
    for (const input of new Set(node.inputs)) consumers.set(input, [...(consumers.get(input) ?? []), node])
  }
  const chains = new Map<Tensor, Chain>()
  const isRoot = new Set(roots)
  for (const node of [...nodes].reverse()) {
    if (node.op.compute === undefined) continue
    const users = consumers.get(node) ?? []
    const chain = isRoot.has(node) ? undefined : chains.get(users[0])
    if (chain !== undefined && users.every((user) => chains.get(user) === chain) && join(chain, node)) chains.set(node, chain)
    else chains.set(node, { end: node, members: new Set([node]), inputs: new Set(node.inputs.map(unrepeat)) })
  }

  const updates = nodes.filter((node) => node.op.writes !== undefined)
  const written = (chain: Chain) => {
    // An input by this chain alone; what an input is a view of, by the view alone.
    const onlyRead = (tensor: Tensor) => {
      const users = consumers.get(tensor) ?? []
      return (
        !isRoot.has(tensor) && (users.every((user) => chains.get(user) === chain) || (users.length === 1 && users[0].op.alias === true))
      )
    }
    return findProduct(chain, onlyRead, updates)
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

function unrepeat(operand: Tensor): Tensor {
  return operand.op === shapeOps.broadcastTo ? operand.inputs[0] : operand
}

function join(chain: Chain, node: Tensor): boolean {
  if (!sameShape(node.shape, chain.end.shape) || chain.members.size === MAX_CHAIN_STEPS) return false
  const inputs = new Set([...chain.inputs, ...node.inputs.map(unrepeat)])
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
function findProduct({ end, inputs }: Chain, onlyRead: (tensor: Tensor) => boolean, updates: readonly Tensor[]): Written | null {
  let found: Written | null = null
  for (const operand of inputs) {
    const product = sameShape(operand.shape, end.shape) ? openProduct(operand, onlyRead) : null
    if (product === null || (found !== null && product.id < found.product.id)) continue
    const fits = [...inputs].every((input) => input === operand || shapeBeside(product, input) !== null)
    // What the product reads may be a variable.
    const stays = updates.every((update) => update.id < product.id || update.id > end.id)
    if (fits && stays) found = { product, operand }
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
  const first = (input: Tensor) => (input === written?.operand ? 0 : 1)
  const inputs = [...chain.inputs].sort((a, b) => first(a) - first(b) || a.id - b.id)
  const position = new Map(inputs.map((input, i) => [input, i]))
  const steps: string[] = []
  for (const member of [...chain.members].sort((a, b) => a.id - b.id)) {
    const operands = member.inputs.map((operand) => position.get(operand) ?? position.get(unrepeat(operand)))
    position.set(member, inputs.length + steps.length)
    steps.push([member.op.name, ...operands].join(' '))
  }
  const memory = inputs.map((input) => rebuilt.get(input) ?? input)
  if (written === null) return apply(chainOps.elementwise, memory, { steps, shape: chain.end.shape })
  const product = rebuilt.get(written.product) as Tensor
  const further = memory.slice(1).map((input) => reshaped(input, shapeBeside(product, input) as Shape))
  // The layer of the product is the one to name: the chain may be the next one's, or the loss.
  const fused = within(product.scope, product.phase, () =>
    apply(matmulOps.matmul, [...product.inputs, ...further], { ...product.attributes, steps }),
  )
  return reshaped(fused, chain.end.shape)
}
