/** A case as a thalweg model and what `fit` needs beside the data. */
import { adam, adamW, dense, dropout, type ExecutionOptions, input, type Model, type Optimizer, sequential, sgd } from '../src/index.ts'
import type { Case } from './cases.ts'

export function buildModel(definition: Case, execution: ExecutionOptions): Model {
  const { sizes, hidden, output } = definition
  const layers = sizes.slice(1, -1).flatMap((units) => {
    const layer = dense(units, { activation: hidden })
    return definition.dropout > 0 ? [layer, dropout(definition.dropout)] : [layer]
  })
  return sequential([input(sizes[0]), ...layers, dense(sizes[sizes.length - 1], { activation: output })], { seed: 1, ...execution })
}

export function buildOptimizer({ optimizer }: Case): Optimizer {
  if (optimizer.kind === 'sgd') return sgd({ learningRate: optimizer.learningRate, momentum: optimizer.momentum })
  const { kind, learningRate, epsilon, weightDecay } = optimizer
  return kind === 'adam' ? adam({ learningRate, epsilon }) : adamW({ learningRate, epsilon, weightDecay })
}
