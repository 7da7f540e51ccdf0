import { sizeOf } from '../graph/shape.ts'
import type { Tensor } from '../graph/tensor.ts'
import type { VariableAttributes } from '../ops/source.ts'
import { align } from './plan.ts'

export interface Place {
  readonly block: string
  readonly offset: number
  readonly name: string
}

/**
 * Where each variable of a model lives. All variables of one block are contiguous in the order given (each on a
 * cache line of its own), so that parameters, gradients and optimizer slots are flat memory in the same order.
 * The same layout serves every plan of the model, whatever its batch size.
 */
export class VariableLayout {
  private readonly places = new Map<Tensor, Place>()
  readonly blocks: Readonly<Record<string, number>>

  /**
   * @param variables In order; with the full names (`dense_1.kernel`).
   * @param around Layouts to be part of this one, with what stands in front of their blocks and names. Of a variable that lies in several of them
   *   the first place counts.
   */
  constructor(
    variables: readonly { readonly variable: Tensor; readonly name: string }[],
    around: Iterable<readonly [prefix: string, layout: VariableLayout]> = [],
  ) {
    const blocks: Record<string, number> = {}
    for (const [prefix, layout] of around) {
      for (const [variable, { block, offset, name }] of layout.places)
        if (!this.places.has(variable)) this.places.set(variable, { block: prefix + block, offset, name: prefix + name })
      for (const [block, bytes] of Object.entries(layout.blocks)) blocks[prefix + block] = bytes
    }
    for (const { variable, name } of variables) {
      if (this.places.has(variable)) continue
      const { block, shape } = variable.attributes as VariableAttributes
      const offset = blocks[block] ?? 0
      this.places.set(variable, { block, offset, name })
      blocks[block] = offset + align(sizeOf(shape) * 4)
    }
    this.blocks = blocks
  }

  get variables(): readonly Tensor[] {
    return [...this.places.keys()]
  }

  place(variable: Tensor): Place | undefined {
    return this.places.get(variable)
  }
}
