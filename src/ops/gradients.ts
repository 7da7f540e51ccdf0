import { assert, GraphError, ShapeError } from '../errors.ts'
import { formatShape, sameShape } from '../graph/shape.ts'
import { ancestors, type Tensor, within } from '../graph/tensor.ts'
import { add } from './elementwise.ts'
import { onesLike, zerosLike } from './shape.ts'

/**
 * The gradient of `loss` with respect to each of `wrt`, as new tensors of the same graph (reverse-mode
 * differentiation: Griewank and Walther, "Evaluating derivatives", 2008, chapter 3). The result can be
 * differentiated again.
 *
 * @param loss A scalar; or any shape together with `seed`, the gradient that comes in from outside.
 * @param wrt Tensors to differentiate by: parameters, inputs, or anything in between.
 * @returns One tensor for each of `wrt`, of its shape; zeros where the loss does not depend on it.
 * @example const x = input(8); gradients(sum(square(x)), [x])
 */
export function gradients(loss: Tensor, wrt: readonly Tensor[], seed?: Tensor): Tensor[] {
  return gradientsFound(loss, wrt, seed).map((gradient, i) => gradient ?? zerosLike(wrt[i]))
}

/** As `gradients`, with null in place of zeros where nothing flows from the loss, whatever the values are. */
export function gradientsFound(loss: Tensor, wrt: readonly Tensor[], seed?: Tensor): (Tensor | null)[] {
  if (seed === undefined && loss.rank !== 0) {
    throw new GraphError(
      `gradients: the loss must be a scalar, got shape ${formatShape(loss.shape)}; reduce it with mean(x) or sum(x), or give a seed gradient.`,
    )
  }
  if (seed !== undefined && !sameShape(seed.shape, loss.shape)) {
    throw new ShapeError(`gradients: the seed must have the shape of the loss, ${formatShape(loss.shape)}, got ${formatShape(seed.shape)}.`)
  }
  const nodes = ancestors([loss])
  const needed = dependents(nodes, new Set(wrt))
  const found = new Map<Tensor, Tensor>()
  if (needed.has(loss)) found.set(loss, seed ?? onesLike(loss))

  for (const output of nodes.reverse()) {
    const dy = found.get(output)
    if (dy === undefined || !output.inputs.some((input) => needed.has(input))) continue
    const { op, inputs, attributes, scope } = output
    if (op.gradient === undefined) {
      throw new GraphError(`gradients: op ${op.name} has no gradient rule; wrap its operand in stopGradient(x) if none should flow.`)
    }
    within(scope, 'backward', () => {
      const contributions = op.gradient?.({ inputs, output, attributes, dy }) ?? []
      contributions.forEach((dx, i) => {
        const input = inputs[i]
        if (dx === null || !needed.has(input)) return
        assert(
          sameShape(dx.shape, input.shape),
          `The gradient rule of ${op.name} gives ${formatShape(dx.shape)} for an operand of ${formatShape(input.shape)}.`,
        )
        const sum = found.get(input)
        found.set(input, sum === undefined ? dx : add(sum, dx))
      })
    })
  }
  return wrt.map((tensor) => found.get(tensor) ?? null)
}

/** Those nodes (in topological order) whose value depends on one of `sources` through float32 tensors. */
function dependents(nodes: readonly Tensor[], sources: ReadonlySet<Tensor>): Set<Tensor> {
  const result = new Set<Tensor>()
  for (const node of nodes) {
    if (node.dtype === 'float32' && (sources.has(node) || node.inputs.some((input) => result.has(input)))) result.add(node)
  }
  return result
}
