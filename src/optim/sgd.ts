import { checkBoolean, checkOptions } from '../checks.ts'
import { OptionError } from '../errors.ts'
import { apply } from '../graph/tensor.ts'
import { updateOps } from '../ops/update.ts'
import { decayNames, decayOf, hints, type WeightDecay } from './formulas.ts'
import { checkNumber, checkRate, type Optimizer, perParameter } from './optimizer.ts'
import type { LearningRate } from './schedules.ts'

/** Options of `sgd`. */
export interface SgdOptions extends WeightDecay {
  /** A number, a schedule such as `schedules.cosine()` or its name, or a function of the epoch; default 0.01. */
  learningRate?: LearningRate
  /** Default 0. */
  momentum?: number
  /** Default false. */
  nesterov?: boolean
}

/**
 * Stochastic gradient descent: v = momentum · v + g; p -= learningRate · v
 * (or · (g + momentum · v) with `nesterov`; Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning",
 * equations 3 and 4, in PyTorch's form). `weightDecay` is added to the gradient, as weightDecay · p.
 *
 * Keeps v for each number of a parameter, with momentum; without, nothing.
 *
 * @example sgd({ learningRate: 0.1, momentum: 0.9, nesterov: true })
 */
export function sgd(options: SgdOptions = {}): Optimizer {
  checkOptions('sgd', options, ['learningRate', 'momentum', 'nesterov', ...decayNames], hints)
  const { learningRate = 0.01, momentum = 0, nesterov = false } = options
  const { weightDecay = 0, excludeFromDecay = [] } = options
  checkRate('sgd', learningRate)
  checkNumber('sgd', 'momentum', momentum, 0, 1)
  checkBoolean('sgd', 'nesterov', nesterov)
  if (nesterov && momentum === 0) throw new OptionError('sgd: nesterov needs a momentum above 0, got 0; try momentum 0.9.')
  const decay = decayOf('sgd', weightDecay, excludeFromDecay)
  return perParameter('sgd', learningRate, momentum === 0 ? [] : ['velocity'], (parameter, rate) => {
    const { value, gradient, slots, store } = parameter
    const weightDecay = decay(parameter)
    return apply(updateOps.sgd, [value, store(gradient), ...Object.values(slots), rate], { momentum, nesterov, weightDecay })
  })
}
