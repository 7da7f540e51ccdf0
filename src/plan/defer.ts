import { concrete, sizeOf } from '../graph/shape.ts'
import { ancestors, apply, type Tensor, within } from '../graph/tensor.ts'
import { matmulOps } from '../ops/matmul.ts'
import { isVariable, type VariableAttributes } from '../ops/source.ts'
import { updateOps, variableBehind } from '../ops/update.ts'
import { GRADIENTS } from './plan.ts'
import { countUses, rewrite } from './rewrite.ts'

/** Smaller gradients stay in the cache, and go through the optimizer together with their neighbours, in one flat pass. */
export const SMALLEST_DEFERRED = 131_072

/** A product of more samples is computed in several passes over its result, which then has to be stored in between. */
export const DEEPEST_DEFERRED = 384

/** Smaller products are checked as fast as their factors. */
export const SMALLEST_CHECKED_BY_FACTORS = 32_768

/** A gradient that is left out: the assignment that would store it, the product that makes it, and the update that uses it. */
interface Deferred {
  readonly stored: Tensor
  readonly product: Tensor
  readonly update: Tensor
}

/**
 * Leaves out large gradients of kernels, products of activations and what comes back to them: the update makes such a product block by block and
 * uses each block at once. A `checkMatmul` beside the `checkFinite` makes sure before all updates that the product is finite; it stands in for the
 * stored gradient among the roots. The values keep their bits. A gradient that anything else reads is stored.
 */
export function defer(roots: readonly Tensor[], outputs: readonly Tensor[]): Tensor[] {
  const nodes = ancestors(roots)
  const checks = nodes.filter(({ op }) => op === updateOps.checkFinite)
  // With several, some gradients are made from what updates before them have written; a step that may end early keeps its gradients for a later one.
  if (checks.length !== 1 || nodes.some(({ op }) => op === updateOps.continueIf)) return [...roots]
  const [check] = checks
  const byGradient = deferrable(nodes, check, roots, outputs)
  // What has nothing left to check is no check.
  if (byGradient.size === 0 || check.inputs.every((input) => byGradient.has(input))) return [...roots]

  const byProduct = new Map([...byGradient.values()].map((each) => [each.product, each]))
  const byUpdate = new Map([...byGradient.values()].map((each) => [each.update, each]))
  // By product, its operands rebuilt; by gradient, the check in its place.
  const factors = new Map<Tensor, readonly Tensor[]>()
  const guards = new Map<Tensor, Tensor>()
  const rebuilt = rewrite(roots, (node, inputs) => {
    if (byProduct.has(node)) factors.set(node, inputs)
    // Nobody reads what is left out; an operand stands in for it.
    if (byProduct.has(node) || byGradient.has(node)) return inputs[0]
    if (node === check) {
      const checked = apply(
        updateOps.checkFinite,
        inputs.filter((_, i) => !byGradient.has(check.inputs[i])),
        {},
      )
      // All behind it: guards in one place, because nothing may run on both sides of one at once.
      for (const { stored, product } of byGradient.values()) guards.set(stored, checkMatmul(product, factors))
      return checked
    }
    const deferred = byUpdate.get(node)
    if (deferred === undefined) return apply(node.op, inputs, node.attributes)
    const [parameter, , ...others] = inputs
    const operands = [parameter, ...(factors.get(deferred.product) as readonly Tensor[]), ...others]
    const attributes = { rule: node.op === updateOps.sgd ? 'sgd' : 'adam', ...node.attributes }
    return within(deferred.product.scope, node.phase, () => apply(updateOps.matmulUpdate, operands, attributes))
  })
  return rebuilt.map((root, i) => guards.get(roots[i]) ?? root)
}

/**
 * Checks large gradients that are stored by the factors of the product that makes them, where these are much smaller: a `checkMatmul` beside the
 * `checkFinite`, and one root more, at the end, for each. What is computed stays the same.
 */
export function checkByFactors(roots: readonly Tensor[]): Tensor[] {
  const nodes = ancestors(roots)
  const checks = nodes.filter(({ op }) => op === updateOps.checkFinite)
  if (checks.length !== 1) return [...roots]
  const [check] = checks
  const moves = movingMemory(nodes)
  const products = new Map<Tensor, Tensor>()
  for (const stored of check.inputs) {
    if (stored.op !== updateOps.assign || !isGradient(stored.inputs[0])) continue
    const product = stored.inputs[1]
    const size = sizeOf(concrete(product.shape))
    const isMuchLarger = size >= SMALLEST_CHECKED_BY_FACTORS && 2 * sizeOfFactors(product) <= size
    if (isMuchLarger && isKernelGradient(product) && !moves(product)) products.set(stored, product)
  }
  if (products.size === 0 || check.inputs.every((input) => products.has(input))) return [...roots]

  const factors = new Map<Tensor, readonly Tensor[]>()
  const guards: Tensor[] = []
  const isProduct = new Set(products.values())
  const rebuilt = rewrite(roots, (node, inputs) => {
    if (isProduct.has(node)) factors.set(node, inputs)
    if (node !== check) return apply(node.op, inputs, node.attributes)
    const others = inputs.filter((_, i) => !products.has(check.inputs[i]))
    const checked = apply(updateOps.checkFinite, others, {})
    for (const product of products.values()) guards.push(checkMatmul(product, factors))
    return checked
  })
  return [...rebuilt, ...guards]
}

function checkMatmul(product: Tensor, factors: ReadonlyMap<Tensor, readonly Tensor[]>): Tensor {
  return within(product.scope, product.phase, () => apply(updateOps.checkMatmul, factors.get(product) as readonly Tensor[], {}))
}

/** What can be left out, by the assignment that stores it. */
function deferrable(
  nodes: readonly Tensor[],
  check: Tensor,
  roots: readonly Tensor[],
  outputs: readonly Tensor[],
): ReadonlyMap<Tensor, Deferred> {
  const uses = countUses(roots)
  const updates = new Map(nodes.filter(({ op }) => op === updateOps.sgd || op === updateOps.adam).map((node) => [node.inputs[1], node]))
  const moves = movingMemory(nodes)
  const isRoot = new Set(roots)
  const found = new Map<Tensor, Deferred>()
  for (const stored of check.inputs) {
    const update = updates.get(stored)
    if (stored.op !== updateOps.assign || update === undefined || update.id < check.id) continue
    const [gradient, product] = stored.inputs
    // By the check, the update and its place among the roots; the variable and the product by the assignment.
    const readElsewhere =
      uses.get(stored) !== 3 || uses.get(gradient) !== 1 || uses.get(product) !== 1 || !isRoot.has(stored) || outputs.includes(stored)
    if (!readElsewhere && isGradient(gradient) && isDeferrable(product) && !moves(product)) found.set(stored, { stored, product, update })
  }
  return found
}

function isGradient(tensor: Tensor): boolean {
  return isVariable(tensor) && (tensor.attributes as VariableAttributes).block === GRADIENTS
}

/** Whether a tensor is aᵀ b of two matrices, and nothing more. */
function isKernelGradient({ op, attributes, shape }: Tensor): boolean {
  if (op !== matmulOps.matmul || shape.length !== 2) return false
  const { transposeA, transposeB, bias, steps } = attributes
  return transposeA && !transposeB && !bias && steps.length === 0
}

function sizeOfFactors({ inputs }: Tensor): number {
  return inputs.reduce((sum, { shape }) => sum + sizeOf(concrete(shape)), 0)
}

function isDeferrable(product: Tensor): boolean {
  if (!isKernelGradient(product)) return false
  const size = sizeOf(concrete(product.shape))
  // The factors live until the update, so they must take less memory than they save.
  return size >= SMALLEST_DEFERRED && sizeOfFactors(product) <= size && (product.inputs[0].shape[0] as number) <= DEEPEST_DEFERRED
}

/** Tells whether a factor of a product lies in the memory of a variable, where it may be overwritten before the update, or the check, comes to read it. */
function movingMemory(nodes: readonly Tensor[]): (product: Tensor) => boolean {
  const assigned = new Set(nodes.filter(({ op }) => op === updateOps.assign).map(({ inputs: [, value] }) => behindViews(value)))
  return ({ inputs }) => inputs.map(behindViews).some((factor) => variableBehind(factor) !== null || assigned.has(factor))
}

function behindViews(tensor: Tensor): Tensor {
  let x = tensor
  while (x.op.alias) x = x.inputs[0]
  return x
}
