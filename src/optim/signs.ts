/** Optimizers that go by the signs of gradients. */
import { checkOptions } from '../checks.ts'
import { OptionError } from '../errors.ts'
import { add, greater, less, maximum, minimum, multiply, sign, subtract, where } from '../ops/elementwise.ts'
import { assignAll } from '../ops/update.ts'
import { decayNames, decayOf, hints, runningMean, shrunk, type WeightDecay } from './formulas.ts'
import { checkNumber, checkRate, MAX_FLOAT, MIN_FLOAT, type Optimizer, perParameter } from './optimizer.ts'
import type { LearningRate } from './schedules.ts'

/** Options of `lion`. */
export interface LionOptions extends WeightDecay {
  /** A number, a schedule such as `schedules.cosine()` or its name, or a function of the epoch; default 1e-4. */
  learningRate?: LearningRate
  /** How much the mean counts against the gradient at hand; default 0.9. */
  beta1?: number
  /** Decay of the mean of gradients; default 0.99. */
  beta2?: number
}

/**
 * Lion (Chen et al. 2023, arXiv:2302.06675, algorithm 2): p -= learningRate · (sign(β1 m + (1 - β1) g) + weightDecay · p);
 * m = β2 m + (1 - β2) g. Every number of a parameter moves by the learning rate, so that it should be three to ten times smaller than
 * Adam's, and the decay as much larger.
 *
 * Keeps m for each number of a parameter. The defaults are the paper's.
 *
 * @example lion({ learningRate: 3e-4, weightDecay: 0.01 })
 */
export function lion(options: LionOptions = {}): Optimizer {
  checkOptions('lion', options, ['learningRate', 'beta1', 'beta2', ...decayNames], hints)
  const { learningRate = 1e-4, beta1 = 0.9, beta2 = 0.99 } = options
  const { weightDecay = 0, excludeFromDecay = [] } = options
  checkRate('lion', learningRate)
  checkNumber('lion', 'beta1', beta1, 0, 1)
  checkNumber('lion', 'beta2', beta2, 0, 1)
  const decay = decayOf('lion', weightDecay, excludeFromDecay)
  return perParameter('lion', learningRate, ['mean'], (parameter, rate) => {
    const {
      value: p,
      gradient: g,
      slots: { mean },
    } = parameter
    const direction = sign(add(mean, multiply(1 - beta1, subtract(g, mean))))
    return assignAll([p, mean], [subtract(shrunk(p, rate, decay(parameter)), multiply(rate, direction)), runningMean(mean, g, beta2)])
  })
}

/** Options of `rprop`. */
export interface RpropOptions {
  /** A factor of all steps: a number, a schedule such as `schedules.cosine()` or its name, or a function of the epoch; default 1. */
  learningRate?: LearningRate
  /** Default 0.01. */
  initialStep?: number
  /** What a step is multiplied by where the sign of the gradient has changed; default 0.5. */
  decrease?: number
  /** What a step is multiplied by where it has not; default 1.2. */
  increase?: number
  /** Default 1e-6. */
  minimumStep?: number
  /** Default 50. */
  maximumStep?: number
}

/**
 * Resilient backpropagation, for batches of all data (Riedmiller and Braun 1993; without backtracking: Igel and Hüsken 2000, Rprop-, as
 * PyTorch has it: where the sign has changed, the gradient counts as 0). Each number of a parameter has its own step d:
 * d = min(d · increase, maximumStep) where the gradient has the sign it had, d = max(d · decrease, minimumStep) where it has the other
 * one; p -= learningRate · sign(g) · d.
 *
 * Keeps d and the sign for each number of a parameter. The defaults are PyTorch's.
 *
 * @example rprop({ initialStep: 0.1 })
 */
export function rprop(options: RpropOptions = {}): Optimizer {
  checkOptions('rprop', options, ['learningRate', 'initialStep', 'decrease', 'increase', 'minimumStep', 'maximumStep'], hints)
  const { learningRate = 1, initialStep = 0.01, decrease = 0.5, increase = 1.2, minimumStep = 1e-6, maximumStep = 50 } = options
  checkRate('rprop', learningRate)
  checkNumber('rprop', 'initialStep', initialStep, MIN_FLOAT, MAX_FLOAT)
  checkNumber('rprop', 'decrease', decrease, MIN_FLOAT, 1)
  checkNumber('rprop', 'increase', increase, 1, MAX_FLOAT)
  checkNumber('rprop', 'minimumStep', minimumStep, MIN_FLOAT, MAX_FLOAT)
  checkNumber('rprop', 'maximumStep', maximumStep, MIN_FLOAT, MAX_FLOAT)
  if (minimumStep > maximumStep)
    throw new OptionError(`rprop: minimumStep must not be above maximumStep, got ${minimumStep} and ${maximumStep}.`)
  const slots = [{ name: 'sign' }, { name: 'step', initial: initialStep }]
  return perParameter('rprop', learningRate, slots, ({ value: p, gradient: g, slots: kept }, rate) => {
    const agrees = multiply(sign(g), kept.sign)
    const factor = where(greater(agrees, 0), increase, where(less(agrees, 0), decrease, 1))
    const step = minimum(maximum(multiply(kept.step, factor), minimumStep), maximumStep)
    const direction = where(less(agrees, 0), 0, sign(g))
    return assignAll([p, kept.sign, kept.step], [subtract(p, multiply(multiply(rate, direction), step)), direction, step])
  })
}
