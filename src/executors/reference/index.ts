/** The reference executor: plain TypeScript, written to be read, in float32 or float64. It says what a plan means. */
import { assert } from '../../errors.ts'
import type { Op } from '../../graph/op.ts'
import { ops } from '../../ops/index.ts'
import type { Executor } from '../executor.ts'
import { elementwiseKernels } from './elementwise.ts'
import { indexingKernels } from './indexing.ts'
import type { Kernel } from './kernel.ts'
import { matmulKernels } from './matmul.ts'
import { randomKernels } from './random.ts'
import { reduceKernels } from './reduce.ts'
import { ReferenceSession } from './session.ts'
import { shapeKernels } from './shape.ts'
import { softmaxKernels } from './softmax.ts'
import { updateKernels } from './update.ts'

export const referenceKernels: Readonly<Record<string, Kernel>> = {
  ...elementwiseKernels,
  ...matmulKernels,
  ...reduceKernels,
  ...softmaxKernels,
  ...shapeKernels,
  ...indexingKernels,
  ...randomKernels,
  ...updateKernels,
}

/** The names of the ops that need a kernel: not virtual, not a view, not a step of a chain. */
export function kernelNames(): string[] {
  const needed = (op: Op) => op.virtual !== true && op.alias !== true && op.compute === undefined
  return Object.values<Op>(ops)
    .filter(needed)
    .map((op) => op.name)
}

for (const name of kernelNames()) assert(name in referenceKernels, `Op "${name}" has no reference kernel.`)
for (const name of Object.keys(referenceKernels)) assert(kernelNames().includes(name), `Reference kernel "${name}" belongs to no op.`)

export const referenceExecutor: Executor = {
  name: 'reference',
  load: (plan, arena) => new ReferenceSession(plan, arena, referenceKernels),
}
