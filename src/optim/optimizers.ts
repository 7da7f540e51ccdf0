/** The optimizers by name. Each is one pass over flat memory, part of the plan. */
import { checkOptions, describe, type Hints, OptionError, unknownName } from '../errors.ts'
import { apply } from '../graph/tensor.ts'
import { updateOps } from '../ops/update.ts'
import type { FullBatchOptimizer } from './fullBatch.ts'
import { checkNumber, checkRate, MAX_FLOAT, MIN_FLOAT, type Optimizer, perParameter } from './optimizer.ts'
import type { LearningRate } from './schedules.ts'

const hints: Hints = { lr: 'did you mean "learningRate"?' }

export interface SgdOptions {
  /** Default 0.01. */
  learningRate?: LearningRate
  /** Default 0. */
  momentum?: number
  /** Default false. */
  nesterov?: boolean
  /** Added to the gradient as weightDecay · parameter; default 0. */
  weightDecay?: number
}

/**
 * Stochastic gradient descent: v = momentum · v + g; p -= learningRate · v
 * (or · (g + momentum · v) with `nesterov`; Sutskever et al. 2013, in PyTorch's form).
 */
export function sgd(options: SgdOptions = {}): Optimizer {
  checkOptions('sgd', options, ['learningRate', 'momentum', 'nesterov', 'weightDecay'], hints)
  const { learningRate = 0.01, momentum = 0, nesterov = false, weightDecay = 0 } = options
  checkRate('sgd', learningRate)
  checkNumber('sgd', 'momentum', momentum, 0, 1)
  checkNumber('sgd', 'weightDecay', weightDecay, 0, MAX_FLOAT)
  if (typeof nesterov !== 'boolean') throw new OptionError(`sgd: nesterov must be true or false, got ${describe(nesterov)}.`)
  if (nesterov && momentum === 0) throw new OptionError('sgd: nesterov needs a momentum above 0, got 0; try momentum 0.9.')
  return perParameter('sgd', learningRate, momentum === 0 ? [] : ['velocity'], ({ value, gradient, slots, store }, rate) =>
    apply(updateOps.sgd, [value, store(gradient), ...Object.values(slots), rate], { momentum, nesterov, weightDecay }),
  )
}

export interface AdamOptions {
  /** Default 0.001. */
  learningRate?: LearningRate
  /** Decay of the mean of gradients; default 0.9. */
  beta1?: number
  /** Decay of the mean of squared gradients; default 0.999. */
  beta2?: number
  /** Default 1e-7. */
  epsilon?: number
}

export interface AdamWOptions extends AdamOptions {
  /** Each step shrinks the parameters by learningRate · weightDecay; default 0.004. */
  weightDecay?: number
}

const adamOptions = ['learningRate', 'beta1', 'beta2', 'epsilon']

/** Adam (Kingma and Ba 2015, arXiv:1412.6980, algorithm 1). */
export function adam(options: AdamOptions = {}): Optimizer {
  checkOptions('adam', options, adamOptions, hints)
  return adamLike('adam', { ...options, weightDecay: 0 })
}

/** Adam with decoupled weight decay (Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2). */
export function adamW(options: AdamWOptions = {}): Optimizer {
  checkOptions('adamW', options, [...adamOptions, 'weightDecay'], hints)
  return adamLike('adamW', options)
}

function adamLike(name: string, options: AdamWOptions): Optimizer {
  const { learningRate = 0.001, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-7, weightDecay = 0.004 } = options
  checkRate(name, learningRate)
  checkNumber(name, 'beta1', beta1, 0, 1)
  checkNumber(name, 'beta2', beta2, 0, 1)
  checkNumber(name, 'epsilon', epsilon, MIN_FLOAT, MAX_FLOAT)
  checkNumber(name, 'weightDecay', weightDecay, 0, MAX_FLOAT)
  return perParameter(name, learningRate, ['mean', 'square'], ({ value, gradient, slots: { mean, square }, store }, rate, step) =>
    apply(updateOps.adam, [value, store(gradient), mean, square, rate, step], { beta1, beta2, epsilon, weightDecay }),
  )
}

const named = { sgd, adam, adamW }

export type OptimizerName = keyof typeof named

/** Whether an optimizer takes each step from all data. */
export function isFullBatch(choice: unknown): choice is FullBatchOptimizer {
  return typeof choice === 'object' && choice !== null && 'begin' in choice && typeof choice.begin === 'function'
}

/** An optimizer by name with its defaults, or one made with options. */
export function optimizerFor(where: string, choice: OptimizerName | Optimizer): Optimizer {
  if (isFullBatch(choice))
    throw new OptionError(
      `${where}: ${choice.name} takes each step from all data at once, so nothing can be around it or beside it; give it to fit or train as it is.`,
    )
  if (typeof choice === 'object' && choice !== null) {
    if (typeof choice.update === 'function' && Array.isArray(choice.learningRates)) return choice
    throw new OptionError(
      `${where}: an optimizer of your own needs learningRates and the function update, got ${Object.keys(choice).join(', ') || 'none of them'}.`,
    )
  }
  if (typeof choice === 'function') {
    const name = Object.keys(named).find((known) => named[known as OptimizerName] === choice)
    const got = name === undefined ? 'a function' : `the function ${name}`
    throw new OptionError(`${where}: optimizer must be a name or what a call gives, got ${got}; call it: ${name ?? 'adam'}().`)
  }
  if (!Object.hasOwn(named, choice as string)) throw unknownName('optimizer', choice, Object.keys(named), where)
  return named[choice as OptimizerName]()
}
