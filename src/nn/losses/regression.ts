/** Losses for predictions of numbers, and of distributions of numbers. */
import { checkBoolean } from '../../checks.ts'
import { describe, OptionError } from '../../errors.ts'
import { formatShape } from '../../graph/shape.ts'
import type { Tensor } from '../../graph/tensor.ts'
import {
  abs,
  add,
  divide,
  exp,
  greater,
  log,
  maximum,
  minimum,
  multiply,
  negate,
  relu,
  softplus,
  sqrt,
  square,
  subtract,
  where,
} from '../../ops/elementwise.ts'
import { sum } from '../../ops/reduce.ts'
import { concat, slice } from '../../ops/shape.ts'
import { stopGradient } from '../../ops/source.ts'
import {
  alongLast,
  anyNumber,
  checkLossOptions,
  checkPositive,
  type ElementLossOptions,
  elementLoss,
  type Loss,
  type LossOptions,
  likePrediction,
  lossFrom,
} from './loss.ts'

/** A loss of numbers against numbers, element by element. */
const numeric = (
  name: string,
  options: ElementLossOptions,
  each: (x: Tensor, t: Tensor) => Tensor,
  range: Loss['range'] = anyNumber,
): Loss => elementLoss({ name, task: 'regression', options, target: likePrediction, range, each })

const notNegative: Loss['range'] = () => ({ kind: 'atLeast', minimum: 0 })

/**
 * (x - t)², the mean over the elements of a sample.
 *
 * @param options `reduction` (default "mean"), `maskValue` (default none).
 * @example losses.meanSquaredError({ maskValue: -1 })
 */
export function meanSquaredError(options: ElementLossOptions = {}): Loss {
  checkLossOptions('meanSquaredError', options, ['maskValue'])
  return numeric('meanSquaredError', options, (x, t) => square(subtract(x, t)))
}

/**
 * |x - t|, the mean over the elements of a sample. The slope at 0 is 0.
 *
 * @param options `reduction` (default "mean"), `maskValue` (default none).
 * @example losses.meanAbsoluteError()
 */
export function meanAbsoluteError(options: ElementLossOptions = {}): Loss {
  checkLossOptions('meanAbsoluteError', options, ['maskValue'])
  return numeric('meanAbsoluteError', options, (x, t) => abs(subtract(x, t)))
}

/** Options of `losses.huber`. */
export interface HuberOptions extends ElementLossOptions {
  /** Where the square ends and the line begins: δ > 0, default 1. */
  readonly delta?: number
}

/**
 * e²/2 where |e| ≤ δ, else δ |e| - δ²/2, for e = x - t: a square near 0, lines away from it (Huber 1964, "Robust estimation of a location
 * parameter"). The mean over the elements of a sample.
 *
 * @param options `delta` (default 1), `reduction` (default "mean"), `maskValue` (default none).
 * @example losses.huber({ delta: 2 })
 */
export function huber(options: HuberOptions = {}): Loss {
  checkLossOptions('huber', options, ['delta', 'maskValue'])
  const { delta = 1 } = options
  checkPositive('losses.huber', 'delta', delta)
  return numeric('huber', options, (x, t) => {
    const error = abs(subtract(x, t))
    const near = minimum(error, delta)
    return multiply(near, subtract(error, multiply(0.5, near)))
  })
}

/**
 * log cosh e for e = x - t: like e²/2 near 0, like |e| - log 2 away from it. Computed as e + softplus(-2e) - log 2, which cannot overflow. The mean
 * over the elements of a sample.
 *
 * @param options `reduction` (default "mean"), `maskValue` (default none).
 * @example losses.logCosh()
 */
export function logCosh(options: ElementLossOptions = {}): Loss {
  checkLossOptions('logCosh', options, ['maskValue'])
  return numeric('logCosh', options, (x, t) => {
    const error = subtract(x, t)
    return subtract(add(error, softplus(multiply(-2, error))), Math.LN2)
  })
}

/**
 * 100 |x - t| / max(|t|, 1e-7), the mean over the elements of a sample, in percent (Keras' convention). Targets near 0 weigh enormously.
 *
 * @param options `reduction` (default "mean"), `maskValue` (default none).
 * @example losses.meanAbsolutePercentageError()
 */
export function meanAbsolutePercentageError(options: ElementLossOptions = {}): Loss {
  checkLossOptions('meanAbsolutePercentageError', options, ['maskValue'])
  return numeric('meanAbsolutePercentageError', options, (x, t) => multiply(100, divide(abs(subtract(x, t)), maximum(abs(t), 1e-7))))
}

/**
 * (log(1 + max(x, 0)) - log(1 + t))² for targets t ≥ 0, the mean over the elements of a sample. Predictions below 0 count as 0 and have no
 * slope: end the model with softplus or relu.
 *
 * @param options `reduction` (default "mean"), `maskValue` (default none).
 * @example losses.meanSquaredLogarithmicError()
 */
export function meanSquaredLogarithmicError(options: ElementLossOptions = {}): Loss {
  checkLossOptions('meanSquaredLogarithmicError', options, ['maskValue'])
  const each = (x: Tensor, t: Tensor) => square(subtract(log(add(1, relu(x))), log(add(1, t))))
  return numeric('meanSquaredLogarithmicError', options, each, notNegative)
}

/** Options of `losses.poisson`. */
export interface PoissonOptions extends ElementLossOptions {
  /** Whether the prediction is the logarithm of the rate (any number) and not the rate itself (above 0); default true, as in PyTorch. */
  readonly logInput?: boolean
  /** Whether to add Stirling's approximation of log t!, t log t - t + log(2πt)/2, for targets above 1; default false. It does not depend on the prediction. */
  readonly full?: boolean
}

/** Under a logarithm whose argument may be 0. */
const POISSON_EPSILON = 1e-8

/**
 * The negative log-likelihood of counts t ≥ 0 under Poisson's distribution, without log t!: e^x - t x for predictions x of the logarithm of the rate, or with
 * `logInput: false` x - t log(x + 1e-8) for predictions of the rate. As PyTorch's PoissonNLLLoss; the mean over the elements of a sample. It may be
 * negative.
 *
 * @param options `logInput` (default true), `full` (default false), `reduction` (default "mean"), `maskValue` (default none).
 * @example losses.poisson({ logInput: false })
 */
export function poisson(options: PoissonOptions = {}): Loss {
  checkLossOptions('poisson', options, ['logInput', 'full', 'maskValue'])
  const { logInput = true, full = false } = options
  checkBoolean('losses.poisson', 'logInput', logInput)
  checkBoolean('losses.poisson', 'full', full)
  const each = (x: Tensor, t: Tensor): Tensor => {
    const likelihood = logInput ? subtract(exp(x), multiply(t, x)) : subtract(x, multiply(t, log(add(x, POISSON_EPSILON))))
    if (!full) return likelihood
    const many = greater(t, 1)
    const safe = where(many, t, 1)
    const stirling = add(subtract(multiply(safe, log(safe)), safe), multiply(0.5, log(multiply(2 * Math.PI, safe))))
    return add(likelihood, where(many, stirling, 0))
  }
  return numeric('poisson', options, each, notNegative)
}

/** Options of `losses.gaussianNegativeLogLikelihood`. */
export interface GaussianOptions extends ElementLossOptions {
  /** The least variance; default 1e-6, as in PyTorch. */
  readonly epsilon?: number
  /** Whether to add log(2π)/2, which does not depend on the prediction; default false. */
  readonly full?: boolean
}

/**
 * (s + (t - m)² e^-s) / 2, the negative log-likelihood of t under a normal distribution of mean m and variance e^s (Nix and Weigend 1994, "Estimating
 * the mean and variance of the target probability distribution"). The model predicts both: outputs [batch, …, 2k] hold k means and then
 * k logarithms of variances, targets are [batch, …, k]. Variances below `epsilon` count as `epsilon`, without stopping the slope, as in PyTorch's
 * GaussianNLLLoss (which takes variances). The mean over the elements of a sample. It may be negative.
 *
 * @param options `epsilon` (default 1e-6), `full` (default false), `reduction` (default "mean"), `maskValue` (default none).
 * @example losses.gaussianNegativeLogLikelihood()
 */
export function gaussianNegativeLogLikelihood(options: GaussianOptions = {}): Loss {
  const name = 'gaussianNegativeLogLikelihood'
  checkLossOptions(name, options, ['epsilon', 'full', 'maskValue'])
  const { epsilon = 1e-6, full = false } = options
  checkPositive(`losses.${name}`, 'epsilon', epsilon)
  checkBoolean(`losses.${name}`, 'full', full)
  const half = (prediction: Tensor): number => {
    const extent = prediction.shape[prediction.rank - 1]
    if (prediction.rank < 2 || typeof extent !== 'number' || extent % 2 !== 0)
      throw new OptionError(
        `losses.${name}: the model's output must have shape [batch, …, 2k], k means and then k logarithms of variances, got ${formatShape(prediction.shape)}; for one target end it with dense(2).`,
      )
    return extent / 2
  }
  const part = (x: Tensor, start: number, end: number) => slice(x, [...x.shape.slice(1).map(() => null), [start, end]])
  return elementLoss({
    name,
    task: 'regression',
    options,
    target: (prediction) => ({ shape: [...prediction.shape.slice(0, -1), half(prediction)], dtype: 'float32' }),
    range: anyNumber,
    maskOf: (mask) => concat([mask, mask]),
    each: (x, t) => {
      const size = half(x)
      const predicted = part(x, size, 2 * size)
      // The limit's value with the slope of what it limits.
      const limited = add(stopGradient(maximum(predicted, Math.log(epsilon))), subtract(predicted, stopGradient(predicted)))
      const error = square(subtract(t, part(x, 0, size)))
      const likelihood = multiply(0.5, add(limited, multiply(error, exp(negate(limited)))))
      return full ? add(likelihood, 0.5 * Math.log(2 * Math.PI)) : likelihood
    },
  })
}

/** Options of `losses.quantile`. */
export interface QuantileOptions extends ElementLossOptions {
  /** Which quantile to predict, 0 < quantile < 1 (default 0.5, the median); or several, one for each entry of the output's last axis. */
  readonly quantile?: number | readonly number[]
}

/**
 * The pinball loss, q max(t - x, 0) + (1 - q) max(x - t, 0), which the q-quantile of t makes least (Koenker and Bassett 1978, "Regression quantiles").
 * With several quantiles the model's output is [batch, …, quantiles] and the targets are [batch, …, 1]. The mean over the elements of a sample.
 *
 * @param options `quantile` (default 0.5), `reduction` (default "mean"), `maskValue` (default none).
 * @example losses.quantile({ quantile: [0.1, 0.5, 0.9] })
 */
export function quantile(options: QuantileOptions = {}): Loss {
  checkLossOptions('quantile', options, ['quantile', 'maskValue'])
  const { quantile = 0.5 } = options
  const several: readonly unknown[] = Array.isArray(quantile) ? quantile : [quantile]
  if (several.length === 0) throw new OptionError('losses.quantile: quantile must be a number or an array of numbers, got an empty array.')
  for (const q of several) {
    if (typeof q !== 'number' || !(q > 0 && q < 1))
      throw new OptionError(`losses.quantile: quantiles must lie between 0 and 1, got ${describe(q)}.`)
  }
  return elementLoss({
    name: 'quantile',
    task: 'regression',
    options,
    target: ({ shape }) => ({ shape: typeof quantile === 'number' ? shape : [...shape.slice(0, -1), 1], dtype: 'float32' }),
    range: anyNumber,
    each: (x, t) => {
      const q = typeof quantile === 'number' ? quantile : alongLast('losses.quantile', 'quantile', quantile, x)
      const error = subtract(t, x)
      return add(multiply(q, relu(error)), multiply(subtract(1, q), relu(negate(error))))
    },
  })
}

/** Lengths below this count as this, so that the direction of 0 is 0. */
const LEAST_LENGTH = 1e-8

/**
 * -x·t / (|x| |t|), the negative cosine of the angle between prediction and target along the last axis, -1 … 1 (Keras' convention; PyTorch's
 * CosineEmbeddingLoss adds 1). Where one of them is 0 it is 0. The mean over the vectors of a sample.
 *
 * @param options `reduction` (default "mean").
 * @example losses.cosineSimilarity()
 */
export function cosineSimilarity(options: LossOptions = {}): Loss {
  checkLossOptions('cosineSimilarity', options)
  // The limit lies under the root, whose slope at 0 is infinite.
  const length = (x: Tensor) => sqrt(maximum(sum(square(x), { axes: [-1] }), LEAST_LENGTH ** 2))
  return lossFrom({
    name: 'cosineSimilarity',
    task: 'regression',
    options,
    target: (prediction) => {
      if (prediction.rank < 2)
        throw new OptionError(
          `losses.cosineSimilarity: the model's output must have shape [batch, …, features], got ${formatShape(prediction.shape)}.`,
        )
      return likePrediction(prediction)
    },
    range: anyNumber,
    each: (x, t) => negate(divide(sum(multiply(x, t), { axes: [-1] }), multiply(length(x), length(t)))),
  })
}

/** Options of `losses.contrastive`. */
export interface ContrastiveOptions extends ElementLossOptions {
  /** The distance beyond which a dissimilar pair costs nothing; default 1. */
  readonly margin?: number
}

/**
 * t d² + (1 - t) max(margin - d, 0)² for distances d ≥ 0 of pairs, and targets of 1 for pairs that are similar and 0 for others (Hadsell, Chopra and LeCun 2006,
 * "Dimensionality reduction by learning an invariant mapping", equation 4, which has half of it and the targets the other way round). The model takes both of a
 * pair and ends in `euclideanDistance` of their embeddings.
 *
 * @param options `margin` (default 1), `reduction` (default "mean"), `maskValue` (default none).
 * @example losses.contrastive({ margin: 2 })
 */
export function contrastive(options: ContrastiveOptions = {}): Loss {
  checkLossOptions('contrastive', options, ['margin', 'maskValue'])
  const { margin = 1 } = options
  checkPositive('losses.contrastive', 'margin', margin)
  const each = (d: Tensor, t: Tensor) => add(multiply(t, square(d)), multiply(subtract(1, t), square(relu(subtract(margin, d)))))
  return numeric('contrastive', options, each, () => ({ kind: 'probabilities' }))
}
