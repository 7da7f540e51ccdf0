/** Optimizers whose steps go by the size of each parameter as a whole. */
import { checkBoolean, checkOptions } from '../checks.ts'
import type { Tensor } from '../graph/tensor.ts'
import { add, divide, greater, maximum, minimum, multiply, power, sqrt, square, subtract, where } from '../ops/elementwise.ts'
import { mean, sumOfSquares } from '../ops/reduce.ts'
import { reshape } from '../ops/shape.ts'
import { assignAll } from '../ops/update.ts'
import { type MomentOptions, momentNames, momentsOf } from './adam.ts'
import {
  biasCorrection,
  decayedGradient,
  decayNames,
  decayOf,
  hints,
  overRoot,
  runningMean,
  shrunk,
  stepNumber,
  type WeightDecay,
} from './formulas.ts'
import { checkNumber, checkRate, MAX_FLOAT, MIN_FLOAT, type Optimizer, type ParameterInfo } from './optimizer.ts'
import type { LearningRate } from './schedules.ts'

/**
 * LAMB (You et al. 2020, arXiv:1904.00962, algorithm 2, with φ(z) = z), for large batches: m and v as in `adam`;
 * u = m/(1 - β1^t) / (√(v/(1 - β2^t)) + ε) + weightDecay · p; p -= learningRate · ‖p‖/‖u‖ · u, with the norms of the whole parameter,
 * and 1 for their quotient where one of them is 0.
 *
 * Keeps m and v for each number of a parameter. The defaults are Keras'.
 *
 * @example lamb({ weightDecay: 0.01, excludeFromDecay: 'bias' })
 */
export function lamb(options: MomentOptions = {}): Optimizer {
  checkOptions('lamb', options, momentNames, hints)
  const { learningRate = 0.001, weightDecay = 0 } = options
  const { beta1, beta2, epsilon, decay } = momentsOf('lamb', { ...options, learningRate, weightDecay })
  return {
    name: 'lamb',
    learningRates: [learningRate],
    slots: () => [{ name: 'mean' }, { name: 'square' }],
    update: ({ parameters, learningRates: [rate], step }) => {
      const [scale1, scale2] = [beta1, beta2].map((beta) => divide(1, biasCorrection(beta, step)))
      // In one pass over all parameters, u takes the place of the gradients; then each has its norms.
      const directions = parameters.map((parameter) => {
        const { value: p, slots: kept } = parameter
        const g = parameter.store(parameter.gradient)
        const m = runningMean(kept.mean, g, beta1)
        const v = runningMean(kept.square, square(g), beta2)
        const u = decayedGradient(overRoot(multiply(m, scale1), multiply(v, scale2), epsilon), p, decay(parameter))
        return assignAll([g, kept.mean, kept.square], [u, m, v])
      })
      const updated = parameters.map(({ value: p }, i) => {
        const [size, length] = [p, directions[i]].map((x) => sqrt(sumOfSquares([x])))
        const isMoving = greater(length, 0)
        const ratio = where(multiply(isMoving, greater(size, 0)), divide(size, where(isMoving, length, 1)), 1)
        return assignAll([p], [subtract(p, multiply(multiply(rate, ratio), directions[i]))])
      })
      return { parameters: updated }
    },
  }
}

/** Options of `adafactor`. */
export interface AdafactorOptions extends WeightDecay {
  /** A number, a schedule such as `schedules.cosine()` or its name, or a function of the epoch. With `relativeStep` the largest it gets; default 0.01. */
  learningRate?: LearningRate
  /** c of β2 = 1 - t^c: from -1 to below 0; default -0.8. */
  beta2Decay?: number
  /** Added to squared gradients; default 1e-30. */
  epsilon1?: number
  /** The least size of a parameter, as far as its steps go by that; default 0.001. */
  epsilon2?: number
  /** The largest root mean square of a step, before the learning rate; default 1. */
  clipThreshold?: number
  /** Whether the learning rate is at most 1/√t; default true. */
  relativeStep?: boolean
}

/**
 * Adafactor (Shazeer and Stern 2018, arXiv:1804.04235, algorithms 4 and 5, without a mean of gradients): Adam with far less memory. In step
 * t, with β2 = 1 - t^beta2Decay, V = β2 V + (1 - β2)(g² + ε1); u = g/√V; u /= max(1, RMS(u)/clipThreshold);
 * p -= min(learningRate, 1/√t) · max(ε2, RMS(p)) · u. Of parameters with two axes or more only the means of V over the last axis, R, and
 * over the one before, C, are kept, and V = R C / mean(R). `weightDecay` is decoupled: before each step
 * p -= learningRate · weightDecay · p.
 *
 * Keeps R and C of a parameter with two axes or more, and V of others. The defaults are the paper's.
 *
 * @example adafactor({ learningRate: 0.001, relativeStep: false })
 */
export function adafactor(options: AdafactorOptions = {}): Optimizer {
  const known = ['learningRate', 'beta2Decay', 'epsilon1', 'epsilon2', 'clipThreshold', 'relativeStep', ...decayNames]
  checkOptions('adafactor', options, known, hints)
  const { learningRate = 0.01, beta2Decay = -0.8, epsilon1 = 1e-30, epsilon2 = 0.001, clipThreshold = 1, relativeStep = true } = options
  const { weightDecay = 0, excludeFromDecay = [] } = options
  checkRate('adafactor', learningRate)
  checkNumber('adafactor', 'beta2Decay', beta2Decay, -1, 0)
  checkNumber('adafactor', 'epsilon1', epsilon1, LEAST_NORMAL, MAX_FLOAT)
  checkNumber('adafactor', 'epsilon2', epsilon2, MIN_FLOAT, MAX_FLOAT)
  checkNumber('adafactor', 'clipThreshold', clipThreshold, MIN_FLOAT, MAX_FLOAT)
  checkBoolean('adafactor', 'relativeStep', relativeStep)
  const decay = decayOf('adafactor', weightDecay, excludeFromDecay)
  return {
    name: 'adafactor',
    learningRates: [learningRate],
    slots: ({ shape }) =>
      shape.length < 2
        ? [{ name: 'square' }]
        : [
            { name: 'rows', shape: shape.slice(0, -1) },
            { name: 'columns', shape: [...shape.slice(0, -2), ...shape.slice(-1)] },
          ],
    update: ({ parameters, learningRates: [rate], step }) => {
      const t = stepNumber(step)
      const share = power(t, beta2Decay)
      const largest = relativeStep ? minimum(rate, divide(1, sqrt(t))) : rate
      const averaged = (kept: Tensor, x: Tensor) => add(kept, multiply(share, subtract(add(x, epsilon1), kept)))
      const updated = parameters.map((parameter) => {
        const { value: p, slots: kept, shape, store } = parameter
        const g = store(parameter.gradient)
        // u takes the place of the gradient.
        let u: Tensor
        if (shape.length < 2) {
          const v = averaged(kept.square, square(g))
          u = assignAll([g, kept.square], [divide(g, sqrt(v)), v])
        } else {
          const [rows, columns] = [kept.rows, kept.columns].map((slot, i) =>
            assignAll([slot], [averaged(slot, mean(square(g), { axes: [-1 - i] }))]),
          )
          const ofRow = divide(sqrt(mean(rows, { axes: [-1], keepDims: true })), sqrt(rows))
          const ofColumn = divide(1, sqrt(columns))
          // In this order: of a row without gradients the product of both factors may be infinite.
          const scaled = multiply(
            multiply(g, reshape(ofRow, [...shape.slice(0, -1), 1])),
            reshape(ofColumn, [...shape.slice(0, -2), 1, ...shape.slice(-1)]),
          )
          u = assignAll([g], [scaled])
        }
        const least = maximum(epsilon2, rootMeanSquare(p, parameter))
        const size = divide(multiply(largest, least), maximum(1, divide(rootMeanSquare(u, parameter), clipThreshold)))
        return assignAll([p], [subtract(shrunk(p, rate, decay(parameter)), multiply(size, u))])
      })
      return { parameters: updated }
    },
  }
}

/** Below it, roots of ε would lose digits. */
const LEAST_NORMAL = 2 ** -126

function rootMeanSquare(x: Tensor, { shape }: ParameterInfo): Tensor {
  return sqrt(
    divide(
      sumOfSquares([x]),
      shape.reduce((product, extent) => product * extent, 1),
    ),
  )
}
