/** The optimizers by name. */
import { type Hints, unknownName } from '../checks.ts'
import { OptionError } from '../errors.ts'
import { adam, adamax, adamW, nadam, radam } from './adam.ts'
import { adadelta, adagrad, ftrl, rmsprop } from './adaptive.ts'
import type { FullBatchOptimizer } from './fullBatch.ts'
import { adafactor, lamb } from './layerwise.ts'
import { lbfgs } from './lbfgs.ts'
import type { Optimizer } from './optimizer.ts'
import { sgd } from './sgd.ts'
import { lion, rprop } from './signs.ts'

const named = { adadelta, adafactor, adagrad, adam, adamax, adamW, ftrl, lamb, lion, nadam, radam, rmsprop, rprop, sgd }

/** The name of an optimizer, which stands for it with its defaults. */
export type OptimizerName = keyof typeof named

const hints: Hints = {
  momentum: 'did you mean sgd({ momentum: 0.9 })?',
  nesterov: 'did you mean sgd({ momentum: 0.9, nesterov: true })?',
}

/** An optimizer that takes each step from all data, by name or made with options; null if the choice is none. */
export function fullBatchFor(choice: unknown): FullBatchOptimizer | null {
  if (choice === 'lbfgs') return lbfgs()
  const isOne = typeof choice === 'object' && choice !== null && 'begin' in choice && typeof choice.begin === 'function'
  return isOne ? (choice as FullBatchOptimizer) : null
}

/** An optimizer by name with its defaults, or one made with options. */
export function optimizerFor(where: string, choice: OptimizerName | Optimizer): Optimizer {
  const fullBatch = fullBatchFor(choice)
  if (fullBatch !== null)
    throw new OptionError(
      `${where}: ${fullBatch.name} takes each step from all data at once, so nothing can be around it or beside it; give it to fit or train as it is.`,
    )
  if (typeof choice === 'object' && choice !== null) {
    if (typeof choice.update === 'function' && Array.isArray(choice.learningRates)) {
      if (choice.learningRates.length > 0) return choice
      throw new OptionError(
        `${where}: an optimizer of your own needs at least one learning rate, got none; one that it does not use may be 0.`,
      )
    }
    throw new OptionError(
      `${where}: an optimizer of your own needs learningRates and the function update, got ${Object.keys(choice).join(', ') || 'none of them'}.`,
    )
  }
  if (typeof choice === 'function') {
    const name = Object.entries({ ...named, lbfgs }).find(([, make]) => make === choice)?.[0]
    const got = name === undefined ? 'a function' : `the function ${name}`
    throw new OptionError(`${where}: optimizer must be a name or what a call gives, got ${got}; call it: ${name ?? 'adam'}().`)
  }
  if (!Object.hasOwn(named, choice as string)) throw unknownName('optimizer', choice, Object.keys(named), where, hints)
  return named[choice as OptimizerName]()
}
