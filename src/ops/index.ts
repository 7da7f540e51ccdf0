/** The op table. It spreads families and never names an op. */
import { assert } from '../errors.ts'
import { chainOps, elementwiseOps } from './elementwise.ts'
import { indexingOps } from './indexing.ts'
import { matmulOps } from './matmul.ts'
import { randomOps } from './random.ts'
import { reduceOps } from './reduce.ts'
import { shapeOps } from './shape.ts'
import { softmaxOps } from './softmax.ts'
import { sourceOps } from './source.ts'
import { updateOps } from './update.ts'

export const ops = {
  ...sourceOps,
  ...elementwiseOps,
  ...chainOps,
  ...matmulOps,
  ...reduceOps,
  ...softmaxOps,
  ...shapeOps,
  ...indexingOps,
  ...randomOps,
  ...updateOps,
}

export type OpName = keyof typeof ops

for (const [key, op] of Object.entries(ops)) assert(op.name === key, `Op "${op.name}" is exported as "${key}".`)
