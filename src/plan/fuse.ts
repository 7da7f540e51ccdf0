import { type Shape, sameShape } from '../graph/shape.ts'
import { ancestors, apply, type Tensor } from '../graph/tensor.ts'
import { chainOps, elementwiseOps } from '../ops/elementwise.ts'
import { matmulOps } from '../ops/matmul.ts'
import { reshape, shapeOps } from '../ops/shape.ts'
import { countUses, rewrite } from './rewrite.ts'

/** Limits of one chain; the native kernel has room for as many. */
export const MAX_CHAIN_INPUTS = 16
export const MAX_CHAIN_STEPS = 32

/** Joins work that would otherwise pass through memory twice. The values keep their bits. */
export function fuse(roots: readonly Tensor[]): Tensor[] {
  return fuseChains(fuseProducts(roots))
}

/**
 * A bias added to a product, and an activation after that, move into the product's write-back; through a view as well, which
 * is how dense layers over more than two axes are written.
 */
function fuseProducts(roots: readonly Tensor[]): Tensor[] {
  const uses = countUses(roots)
  const usedOnce = new Set<Tensor>()
  return rewrite(roots, (node, inputs) => {
    const fused = withBias(node, inputs, usedOnce) ?? withActivation(node, inputs, usedOnce)
    const result = fused === null ? apply(node.op, inputs, node.attributes) : reshaped(fused, node.shape)
    if (fused !== null && fused !== result) usedOnce.add(fused)
    if (uses.get(node) === 1) usedOnce.add(result)
    return result
  })
}

function reshaped(x: Tensor, shape: Shape): Tensor {
  return sameShape(x.shape, shape) ? x : reshape(x, shape)
}

/** The product that a tensor is, or is a view of with the same last axis, if it has no activation yet and nobody else reads it. */
function openProduct(tensor: Tensor, usedOnce: ReadonlySet<Tensor>): Tensor | null {
  const last = (x: Tensor) => x.shape[x.rank - 1]
  let product = tensor
  while (product.op.alias && usedOnce.has(product) && last(product) === last(product.inputs[0])) product = product.inputs[0]
  const open = product.op === matmulOps.matmul && product.attributes.activation === ''
  return open && usedOnce.has(product) ? product : null
}

function withBias(node: Tensor, inputs: readonly Tensor[], usedOnce: ReadonlySet<Tensor>): Tensor | null {
  if (node.op !== elementwiseOps.add) return null
  for (const [operand, bias] of [inputs, [...inputs].reverse()]) {
    const product = openProduct(operand, usedOnce)
    if (product !== null && product.inputs.length === 2 && sameShape(bias.shape, product.shape.slice(-1))) {
      return apply(matmulOps.matmul, [...product.inputs, bias], product.attributes)
    }
  }
  return null
}

function withActivation(node: Tensor, inputs: readonly Tensor[], usedOnce: ReadonlySet<Tensor>): Tensor | null {
  if (node.op.compute === undefined || inputs.length !== 1) return null
  const product = openProduct(inputs[0], usedOnce)
  return product === null ? null : apply(matmulOps.matmul, product.inputs, { ...product.attributes, activation: node.op.name })
}

interface Chain {
  readonly end: Tensor
  readonly members: Set<Tensor>
  readonly inputs: Set<Tensor>
}

/**
 * Every elementwise op becomes part of an `elementwise` chain: one that ends in it, or the one that all of its
 * consumers belong to, if it has their shape. Chains are grown from their ends towards their operands.
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

  const rebuilt = new Map<Tensor, Tensor>()
  return rewrite(roots, (node, inputs) => {
    const chain = chains.get(node)
    // A member in the middle of a chain is never read by name; its first operand stands in for it.
    const result = chain === undefined ? apply(node.op, inputs, node.attributes) : chain.end === node ? build(chain, rebuilt) : inputs[0]
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

function build(chain: Chain, rebuilt: ReadonlyMap<Tensor, Tensor>): Tensor {
  const inputs = [...chain.inputs].sort((a, b) => a.id - b.id)
  const position = new Map(inputs.map((input, i) => [input, i]))
  const steps: string[] = []
  for (const member of [...chain.members].sort((a, b) => a.id - b.id)) {
    const operands = member.inputs.map((operand) => position.get(operand) ?? position.get(unrepeat(operand)))
    position.set(member, inputs.length + steps.length)
    steps.push([member.op.name, ...operands].join(' '))
  }
  const memory = inputs.map((input) => rebuilt.get(input) ?? input)
  return apply(chainOps.elementwise, memory, { steps, shape: chain.end.shape })
}
