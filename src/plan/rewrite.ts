import { ancestors, type Tensor, within } from '../graph/tensor.ts'
import { isVariable } from '../ops/source.ts'

/**
 * Rebuilds everything that `roots` need, in order of creation, so that what was made earlier still is: updates
 * stay behind the reads they follow. `visit` gets each node with its inputs already rebuilt. Variables stay themselves.
 */
export function rewrite(roots: readonly Tensor[], visit: (node: Tensor, inputs: readonly Tensor[]) => Tensor): Tensor[] {
  const rebuilt = new Map<Tensor, Tensor>()
  const find = (node: Tensor): Tensor => rebuilt.get(node) as Tensor
  for (const node of ancestors(roots)) {
    rebuilt.set(node, isVariable(node) ? node : within(node.scope, node.phase, () => visit(node, node.inputs.map(find))))
  }
  return roots.map(find)
}

/** How many operands, and roots, each tensor serves as. */
export function countUses(roots: readonly Tensor[]): Map<Tensor, number> {
  const uses = new Map<Tensor, number>()
  const count = (tensor: Tensor) => uses.set(tensor, (uses.get(tensor) ?? 0) + 1)
  for (const node of ancestors(roots)) node.inputs.forEach(count)
  roots.forEach(count)
  return uses
}
