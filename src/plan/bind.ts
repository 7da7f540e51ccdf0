import type { Mode } from '../graph/op.ts'
import { BatchDimension, bindDimension } from '../graph/shape.ts'
import { apply, type Tensor } from '../graph/tensor.ts'
import { rewrite } from './rewrite.ts'

/**
 * Puts the batch size in place of the open dimension, decides between training and inference, and numbers
 * the random streams. Afterwards all shapes are concrete and every op either has a kernel or is given memory.
 */
export function bind(roots: readonly Tensor[], batchSize: number, mode: Mode): Tensor[] {
  let streams = 0
  return rewrite(roots, (node, inputs) => {
    const attributes = bindAttributes(node.attributes, batchSize)
    if ('stream' in attributes) attributes.stream = streams++
    let bound = apply(node.op, inputs, attributes)
    while (bound.op.lower !== undefined) {
      bound = bound.op.lower({ inputs: bound.inputs, output: bound, attributes: bound.attributes, mode })
    }
    return bound
  })
}

function bindAttributes(attributes: object, batchSize: number): Record<string, unknown> {
  const bindValue = (value: unknown) => (value instanceof BatchDimension ? bindDimension(value, batchSize) : value)
  return Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => [name, Array.isArray(value) ? value.map(bindValue) : bindValue(value)]),
  )
}
