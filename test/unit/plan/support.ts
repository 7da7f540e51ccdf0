/** Plans, and how tests write them down. */
import { formatShape } from '../../../src/graph/shape.ts'
import type { Tensor } from '../../../src/graph/tensor.ts'
import type { Optimizer } from '../../../src/index.ts'
import { constantValue, isVariable } from '../../../src/ops/source.ts'
import { buildPlan, type PlanRequest } from '../../../src/plan/build.ts'
import type { Plan } from '../../../src/plan/plan.ts'
import { printInstruction } from '../../../src/plan/print.ts'
import { stepOf } from '../../../src/train/minimization.ts'
import type { Model } from '../../../src/train/model.ts'
import { Objective, type ObjectiveOptions } from '../../../src/train/objective.ts'
import { Trainer } from '../../../src/train/trainer.ts'
import { layoutOf, randomTensor } from '../values.ts'

export const named = (name: string, ...shape: number[]): Tensor => randomTensor(shape, 0, name)

export function planOf(outputs: readonly Tensor[], options: Partial<PlanRequest> = {}): Plan {
  const updates = options.updates ?? []
  return buildPlan({
    inputs: {},
    outputs: Object.fromEntries(outputs.map((tensor, i) => [`output${i}`, tensor])),
    variables: layoutOf([...outputs, ...updates]),
    batchSize: 2,
    mode: 'training',
    ...options,
  })
}

/** Instructions as they print, without places and remarks: `matmul(x, w)`. */
export function instructionsOf(plan: Plan): string[] {
  return plan.instructions.map((instruction) =>
    printInstruction(plan, instruction)
      .replace(/^.*? = (?=\w+\()/, '')
      .replace(/ {3}#.*$/, ''),
  )
}

/** A graph as an expression: `add(x, 1)`. */
export function spelled(tensor: Tensor): string {
  if (isVariable(tensor)) return tensor.attributes.name
  const value = constantValue(tensor)
  if (value !== null) return String(value)
  const { shape, stream, ...attributes } = tensor.attributes
  const shown = Object.entries(attributes).filter(([, attribute]) => attribute !== false && String(attribute) !== '')
  const suffix = shown.map(([name, attribute]) => ` ${name}=${attribute}`).join('')
  return `${tensor.op.name}${shape === undefined ? '' : formatShape(shape)}(${tensor.inputs.map(spelled).join(', ')}${suffix})`
}

export function trainingPlan(model: Model, options: ObjectiveOptions, optimizer: Optimizer, batchSize: number): Plan {
  return new Trainer(stepOf(model, new Objective('fit', model, options), optimizer)).plan(batchSize)
}
