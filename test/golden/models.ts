/** The four models whose plans are kept as text, and whose training plans `lockstep` is run over. */
import {
  accumulateGradients,
  adam,
  adamW,
  add,
  alphaDropout,
  averageWeights,
  clipGradients,
  concatenate,
  dense,
  dropout,
  flatten,
  gatedDense,
  gaussianNoise,
  input,
  l2,
  lamb,
  type Model,
  maxNorm,
  model,
  type Optimizer,
  perGroup,
  rmsprop,
  sequential,
  sgd,
} from '../../src/index.ts'
import type { Plan } from '../../src/plan/plan.ts'
import { stepOf } from '../../src/train/minimization.ts'
import { Objective, type ObjectiveOptions } from '../../src/train/objective.ts'
import { Trainer } from '../../src/train/trainer.ts'

export function trainingPlan(net: Model, options: ObjectiveOptions, optimizer: Optimizer, batchSize: number): Plan {
  return new Trainer(stepOf(net, new Objective('fit', net, options), optimizer), undefined, false).plan(batchSize)
}

/** The smallest network that is one: 2-8-1 on XOR. */
export function xor(): Plan {
  const net = sequential([input(2), dense(8, { activation: 'tanh' }), dense(1, { activation: 'sigmoid' })])
  return trainingPlan(net, { loss: 'meanSquaredError' }, sgd({ learningRate: 0.5 }), 4)
}

/** The network everybody trains first, on images of 28 by 28. */
export function digits(): Plan {
  const net = sequential([input(784), dense(128, { activation: 'relu' }), dense(10)])
  return trainingPlan(net, { loss: 'sparseCategoricalCrossentropy', metrics: ['accuracy'] }, adam(), 32)
}

/** Small, but each product has parts for several threads, and each layer's gradients run at once. No text is kept of its plan. */
export function wide(): Plan {
  const net = sequential([input(40), dense(72, { activation: 'relu' }), dropout(0.2), dense(56, { activation: 'tanh' }), dense(5)])
  return trainingPlan(net, { loss: 'sparseCategoricalCrossentropy', metrics: ['accuracy'] }, sgd({ momentum: 0.9 }), 48)
}

/** The gradient of the first layer is so large that it is not stored, that of the second is checked by its factors. No text is kept of its plan. */
export function large(): Plan {
  const net = sequential([input(300), dense(440, { activation: 'relu' }), dense(96, { activation: 'tanh' }), dense(10)])
  return trainingPlan(net, { loss: 'sparseCategoricalCrossentropy' }, adam(), 24)
}

/** Two residual blocks with gelu, dropout and penalties, in a functional model. */
export function residual(): Plan {
  const kernelRegularizer = l2(1e-3)
  const x = input(16, { name: 'x' })
  let h = dense(x, 32, { name: 'stem' })
  for (const block of ['first', 'second']) {
    const inner = dense(h, 64, { activation: 'gelu', kernelRegularizer, name: `${block}_up` })
    h = add(h, dense(dropout(inner, 0.1, { name: `${block}_dropout` }), 32, { kernelRegularizer, name: `${block}_down` }))
  }
  const net = model(x, dense(h, 3, { name: 'head' }))
  return trainingPlan(net, { loss: 'categoricalCrossentropy' }, adamW(), 8)
}

/** Noise, mixing, constraints, and optimizers around each other that end every other step early. No text is kept of its plan. */
export function combined(): Plan {
  const kernelConstraint = maxNorm(2)
  const net = sequential([
    input(24),
    gaussianNoise(0.1),
    dense(40, { activation: 'selu', kernelConstraint }),
    alphaDropout(0.2),
    gatedDense(18),
    dense(4),
  ])
  const groups = perGroup([{ parameters: 'bias', optimizer: rmsprop({ centered: true }) }, { optimizer: lamb() }])
  const optimizer = accumulateGradients(clipGradients(averageWeights(groups), { globalNorm: 1 }), { steps: 2 })
  const objective = new Objective('fit', net, { loss: 'sparseCategoricalCrossentropy' }, { weighted: true, mixup: { alpha: 0.3 } })
  return new Trainer(stepOf(net, objective, optimizer)).plan(33)
}

/** Two inputs of different shapes that meet, two outputs; the plan for prediction. */
export function twoInputs(): Plan {
  const left = input(6, { name: 'left' })
  const right = input([4, 5], { name: 'right' })
  const rows = flatten(dense(right, 3, { activation: 'relu', name: 'rows' }))
  const both = concatenate([dense(left, 4, { activation: 'tanh' }), rows], { name: 'meeting' })
  const classes = dense(both, 2, { activation: 'softmax', name: 'classes' })
  const score = dense(dropout(both, 0.5), 1, { name: 'score' })
  return model([left, right], [classes, score]).plan(7)
}
