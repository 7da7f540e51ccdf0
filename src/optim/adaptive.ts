/** Optimizers that divide each gradient by the root of a sum or mean of its squares: AdaGrad and what came of it. */
import { checkBoolean, checkOptions } from '../checks.ts'
import { describe, OptionError } from '../errors.ts'
import { add, divide, greater, maximum, minimum, multiply, power, sqrt, square, subtract, where } from '../ops/elementwise.ts'
import { assignAll } from '../ops/update.ts'
import { decayedGradient, decayNames, decayOf, hints, overRoot, runningMean, type WeightDecay, withoutRemnant } from './formulas.ts'
import { checkNumber, checkRate, MAX_FLOAT, MIN_FLOAT, type Optimizer, perParameter } from './optimizer.ts'
import type { LearningRate } from './schedules.ts'

/** Options of `adagrad`. */
export interface AdagradOptions extends WeightDecay {
  /** A number, a schedule such as `schedules.cosine()` or its name, or a function of the epoch; default 0.01. */
  learningRate?: LearningRate
  /** What the sums of squares begin with; default 0, as in the paper and PyTorch. Keras has 0.1. */
  initialAccumulator?: number
  /** Default 1e-10, as in PyTorch. */
  epsilon?: number
}

/**
 * AdaGrad (Duchi, Hazan and Singer 2011, JMLR 12, figure 1, with diagonal matrices): s += g²; p -= learningRate · g / (√s + ε).
 * `weightDecay` is added to the gradient, as weightDecay · p.
 *
 * Keeps s for each number of a parameter. The defaults are PyTorch's.
 *
 * @example adagrad({ learningRate: 0.1 })
 */
export function adagrad(options: AdagradOptions = {}): Optimizer {
  checkOptions('adagrad', options, ['learningRate', 'initialAccumulator', 'epsilon', ...decayNames], hints)
  const { learningRate = 0.01, initialAccumulator = 0, epsilon = 1e-10 } = options
  const { weightDecay = 0, excludeFromDecay = [] } = options
  checkRate('adagrad', learningRate)
  checkNumber('adagrad', 'initialAccumulator', initialAccumulator, 0, MAX_FLOAT)
  checkNumber('adagrad', 'epsilon', epsilon, MIN_FLOAT, MAX_FLOAT)
  const decay = decayOf('adagrad', weightDecay, excludeFromDecay)
  const slots = [{ name: 'accumulator', initial: initialAccumulator }]
  return perParameter('adagrad', learningRate, slots, (parameter, rate) => {
    const { value: p, slots: kept } = parameter
    const g = decayedGradient(parameter.gradient, p, decay(parameter))
    const accumulator = add(kept.accumulator, square(g))
    return assignAll([p, kept.accumulator], [subtract(p, overRoot(multiply(rate, g), accumulator, epsilon)), accumulator])
  })
}

/** Options of `adadelta`. */
export interface AdadeltaOptions extends WeightDecay {
  /** A number, a schedule such as `schedules.cosine()` or its name, or a function of the epoch; default 1, which is the paper's method. */
  learningRate?: LearningRate
  /** Decay of both means; default 0.95. */
  rho?: number
  /** Default 1e-6. */
  epsilon?: number
}

/**
 * AdaDelta (Zeiler 2012, arXiv:1212.5701, algorithm 1): v = ρ v + (1 - ρ) g²; d = √(u + ε)/√(v + ε) · g;
 * p -= learningRate · d; u = ρ u + (1 - ρ) d². `weightDecay` is added to the gradient, as weightDecay · p.
 *
 * Keeps v and u for each number of a parameter. The defaults are the paper's.
 *
 * @example adadelta({ rho: 0.9 })
 */
export function adadelta(options: AdadeltaOptions = {}): Optimizer {
  checkOptions('adadelta', options, ['learningRate', 'rho', 'epsilon', ...decayNames], hints)
  const { learningRate = 1, rho = 0.95, epsilon = 1e-6 } = options
  const { weightDecay = 0, excludeFromDecay = [] } = options
  checkRate('adadelta', learningRate)
  checkNumber('adadelta', 'rho', rho, 0, 1)
  checkNumber('adadelta', 'epsilon', epsilon, MIN_FLOAT, MAX_FLOAT)
  const decay = decayOf('adadelta', weightDecay, excludeFromDecay)
  return perParameter('adadelta', learningRate, ['square', 'change'], (parameter, rate) => {
    const { value: p, slots: kept } = parameter
    const g = decayedGradient(parameter.gradient, p, decay(parameter))
    const v = runningMean(kept.square, square(g), rho)
    const change = multiply(divide(sqrt(add(kept.change, epsilon)), sqrt(add(v, epsilon))), g)
    return assignAll([p, kept.square, kept.change], [subtract(p, multiply(rate, change)), v, runningMean(kept.change, square(change), rho)])
  })
}

/** Options of `rmsprop`. */
export interface RmspropOptions extends WeightDecay {
  /** A number, a schedule such as `schedules.cosine()` or its name, or a function of the epoch; default 0.001. */
  learningRate?: LearningRate
  /** Decay of the means; default 0.9. */
  rho?: number
  /** Default 0. */
  momentum?: number
  /** Default 1e-7. */
  epsilon?: number
  /** Whether to divide by the deviation of the gradients, not by their size; default false. */
  centered?: boolean
  /** Whether ε stands under the root, as in Graves' equation, Keras and TensorFlow; default true. PyTorch adds it to the root. */
  epsilonInRoot?: boolean
}

/**
 * RMSProp (Tieleman and Hinton 2012, Neural Networks for Machine Learning, lecture 6.5): v = ρ v + (1 - ρ) g²;
 * p -= learningRate · g / √(v + ε). With `momentum`, b = momentum · b + g / √(v + ε); p -= learningRate · b. With `centered`,
 * v - m² in the place of v, where m = ρ m + (1 - ρ) g (Graves 2013, arXiv:1308.0850, equations 38 to 41); what rounding makes negative
 * counts as 0. `weightDecay` is added to the gradient, as weightDecay · p.
 *
 * Keeps v for each number of a parameter, with `centered` also m, and with momentum b. The defaults are Keras'.
 *
 * @example rmsprop({ learningRate: 0.01, momentum: 0.9 })
 */
export function rmsprop(options: RmspropOptions = {}): Optimizer {
  const known = ['learningRate', 'rho', 'momentum', 'epsilon', 'centered', 'epsilonInRoot', ...decayNames]
  checkOptions('rmsprop', options, known, { ...hints, alpha: 'did you mean "rho"?' })
  const { learningRate = 0.001, rho = 0.9, momentum = 0, epsilon = 1e-7, centered = false, epsilonInRoot = true } = options
  const { weightDecay = 0, excludeFromDecay = [] } = options
  checkRate('rmsprop', learningRate)
  checkNumber('rmsprop', 'rho', rho, 0, 1)
  checkNumber('rmsprop', 'momentum', momentum, 0, 1)
  checkNumber('rmsprop', 'epsilon', epsilon, MIN_FLOAT, MAX_FLOAT)
  checkBoolean('rmsprop', 'centered', centered)
  checkBoolean('rmsprop', 'epsilonInRoot', epsilonInRoot)
  const decay = decayOf('rmsprop', weightDecay, excludeFromDecay)
  const slots = ['square', ...(centered ? ['mean'] : []), ...(momentum > 0 ? ['velocity'] : [])]
  return perParameter('rmsprop', learningRate, slots, (parameter, rate) => {
    const { value: p, slots: kept } = parameter
    const g = decayedGradient(parameter.gradient, p, decay(parameter))
    const v = runningMean(kept.square, square(g), rho)
    const m = centered ? runningMean(kept.mean, g, rho) : null
    const spread = m === null ? v : maximum(subtract(v, square(m)), 0)
    const scaled = epsilonInRoot ? divide(g, sqrt(add(spread, epsilon))) : overRoot(g, spread, epsilon)
    const b = momentum > 0 ? withoutRemnant(add(multiply(momentum, kept.velocity), scaled)) : null
    const next = subtract(p, multiply(rate, b ?? scaled))
    return assignAll(
      [p, ...Object.values(kept)],
      [next, v, m, b].filter((value) => value !== null),
    )
  })
}

/** Options of `ftrl`; the names are Keras'. */
export interface FtrlOptions {
  /** A number, a schedule such as `schedules.cosine()` or its name, or a function of the epoch; default 0.001. */
  learningRate?: LearningRate
  /** How the rate falls with the sum of squares: at most 0; default -0.5. */
  learningRatePower?: number
  /** What the sums of squares begin with; default 0.1. */
  initialAccumulator?: number
  /** λ1: makes small parameters 0; default 0. */
  l1Regularization?: number
  /** λ2: default 0. */
  l2Regularization?: number
  /** Adds 2 · this · p to the gradient that z sums up; default 0. */
  l2Shrinkage?: number
  /** The paper's β; default 0. */
  beta?: number
}

/**
 * Follow the regularized leader (McMahan et al. 2013, "Ad click prediction: a view from the trenches", algorithm 1, in Keras' form):
 * for linear models with many sparse features, whose parameters it makes 0 where λ1 outweighs what they are good for. With
 * q(n) = n^(-learningRatePower), of the accumulator before the step, n, and behind it, n' = n + g²:
 * z += g + 2 · l2Shrinkage · p - (q(n') - q(n))/learningRate · p;
 * p = (min(max(z, -λ1), λ1) - z) / ((q(n') + β)/learningRate + 2 λ2).
 * All that p was before the first step is forgotten then. A learning rate of 0 changes nothing.
 *
 * Keeps n and z for each number of a parameter. The defaults are Keras'.
 *
 * @example ftrl({ learningRate: 0.1, l1Regularization: 0.01 })
 */
export function ftrl(options: FtrlOptions = {}): Optimizer {
  const known = ['learningRate', 'learningRatePower', 'initialAccumulator', 'l1Regularization', 'l2Regularization', 'l2Shrinkage', 'beta']
  checkOptions('ftrl', options, known, hints)
  const { learningRate = 0.001, learningRatePower = -0.5, initialAccumulator = 0.1 } = options
  const { l1Regularization = 0, l2Regularization = 0, l2Shrinkage = 0, beta = 0 } = options
  checkRate('ftrl', learningRate)
  if (!(Number.isFinite(learningRatePower) && learningRatePower <= 0))
    throw new OptionError(`ftrl: learningRatePower must be a number of at most 0, got ${describe(learningRatePower)}.`)
  for (const [name, value] of Object.entries({ initialAccumulator, l1Regularization, l2Regularization, l2Shrinkage, beta }))
    checkNumber('ftrl', name, value, 0, MAX_FLOAT)
  const slots = [{ name: 'accumulator', initial: initialAccumulator }, { name: 'linear' }]
  return perParameter('ftrl', learningRate, slots, ({ value: p, gradient: g, slots: { accumulator, linear } }, rate) => {
    const moves = greater(rate, 0)
    const inverse = divide(1, where(moves, rate, 1))
    const n = add(accumulator, square(g))
    const [before, behind] = [power(accumulator, -learningRatePower), power(n, -learningRatePower)]
    const shrunken = l2Shrinkage === 0 ? g : add(g, multiply(2 * l2Shrinkage, p))
    const z = add(linear, subtract(shrunken, multiply(multiply(subtract(behind, before), inverse), p)))
    const pull = subtract(minimum(maximum(z, -l1Regularization), l1Regularization), z)
    const strength = add(multiply(add(behind, beta), inverse), 2 * l2Regularization)
    // Both are 0 where there has been no gradient yet.
    const next = divide(pull, where(greater(strength, 0), strength, 1))
    return assignAll([p, accumulator, linear], [where(moves, next, p), where(moves, n, accumulator), where(moves, z, linear)])
  })
}
