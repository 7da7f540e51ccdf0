/** A loss on the plan that training uses, over predictions and targets that are set directly. */
import {
  add,
  type CustomLoss,
  gradients,
  input,
  type Loss,
  type LossName,
  model,
  multiply,
  type NumbersLike,
  parameter,
  zeros,
} from '../../src/index.ts'
import { lossFor } from '../../src/nn/losses/index.ts'
import { buildPlan } from '../../src/plan/build.ts'
import { Objective } from '../../src/train/objective.ts'
import type { ExecutorName } from '../training/support.ts'

export interface Judgement {
  /** The loss of the batch. */
  readonly value: number
  /** The loss of each sample. */
  readonly samples: readonly number[]
  /** The gradient of the loss of the batch by the prediction. */
  readonly gradient: readonly number[]
}

/** A loss over batches of `count` predictions of a shape. */
export function judge(
  loss: Loss | CustomLoss | LossName,
  count: number,
  shape: readonly number[],
  executor: ExecutorName = 'reference',
): (prediction: readonly number[], target: NumbersLike) => Judgement {
  // The objective refuses a model without parameters.
  const prediction = add(input(shape), multiply(0, parameter('none', [], zeros)))
  const net = model(prediction.inputs[0], prediction, { executor })
  const objective = new Objective('fit', net, { loss })
  const { target } = objective.inputs()
  const plan = buildPlan({
    inputs: objective.inputs(),
    outputs: {
      value: objective.total,
      samples: lossFor('test', loss).compute(prediction, target),
      gradient: gradients(objective.total, [prediction])[0],
    },
    variables: net.layout,
    batchSize: count,
    mode: 'training',
  })
  const session = net.load(plan)
  const read = (name: string) => Array.from(session.arena.view(plan.tensors[plan.outputs[name]]))
  return (x, y) => {
    for (const { input: name, values } of objective.feeds(objective.toSamples('test', { x: Float32Array.from(x), y })))
      session.arena.view(plan.tensors[plan.inputs[name]]).set(values)
    session.execute(0, plan.instructions.length)
    return { value: read('value')[0], samples: read('samples'), gradient: read('gradient') }
  }
}
