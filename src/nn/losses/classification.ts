/**
 * Losses for classes. Cross-entropies take logits (the numbers before softmax or sigmoid), because only then can they be computed without
 * overflow or cancellation.
 */
import type { Range } from '../../data/rows.ts'
import { OptionError } from '../../errors.ts'
import { batch, concrete, type Shape, sizeOf } from '../../graph/shape.ts'
import type { Spec, Tensor } from '../../graph/tensor.ts'
import {
  add,
  cast,
  equal,
  exp,
  greater,
  log,
  maximum,
  multiply,
  negate,
  power,
  relu,
  sigmoid,
  softplus,
  square,
  subtract,
  tanh,
  where,
} from '../../ops/elementwise.ts'
import { gather } from '../../ops/indexing.ts'
import { argmax, max, sum } from '../../ops/reduce.ts'
import { logSoftmax, softmax, softmaxCrossEntropy } from '../../ops/softmax.ts'
import {
  alongLast,
  checkLossOptions,
  checkNumber,
  checkWeights,
  classesOf,
  type ElementLossOptions,
  elementLoss,
  type Loss,
  type LossOptions,
  likePrediction,
  lossFrom,
} from './loss.ts'

/** What a cross-entropy from logits applies itself, or would have to be undone. */
const fromLogits = ['sigmoid', 'softmax', 'logSoftmax']

const numbersOf = (shape: Shape): number => sizeOf(concrete(shape))

/** Targets of 0 and 1 in columns; `sparse` is the loss of class numbers. */
const yesOrNo =
  (sparse: string): Loss['range'] =>
  (x) => {
    const columns = x.shape[x.rank - 1]
    const text = `for class numbers use "${sparse}"${columns === 2 ? ', or end the model with one number for 0 and 1, dense(1)' : ''}`
    const otherForm = x.rank > 1 && columns !== 1 ? { width: numbersOf(x.shape.slice(1, -1)), text } : undefined
    return { kind: 'probabilities', advice: { outside: 'For targets of 1 and -1 use "hinge".', otherForm } }
  }

const overClasses = (x: Tensor): Tensor => sum(x, { axes: [-1] })

/** Options of `losses.binaryCrossentropy`. */
export interface BinaryCrossentropyOptions extends ElementLossOptions {
  /** ε: targets become t (1 - ε) + ε/2; 0 … 1, default 0. */
  readonly labelSmoothing?: number
  /** By how much targets of 1 weigh more than targets of 0: one number, or one for each entry of the output's last axis; default 1. */
  readonly positiveWeight?: number | readonly number[]
}

/**
 * -p t log σ(x) - (1 - t) log(1 - σ(x)) for logits x, targets t of 0 … 1 and the weight p of the positive ones, the mean over the elements of a sample.
 * Written as p t softplus(-x) + (1 - t) softplus(x): no overflow and no cancellation for any x.
 *
 * @param options `labelSmoothing` (default 0), `positiveWeight` (default 1), `reduction` (default "mean"), `maskValue` (default none).
 * @example losses.binaryCrossentropy({ positiveWeight: 3 })
 */
export function binaryCrossentropy(options: BinaryCrossentropyOptions = {}): Loss {
  const where = 'losses.binaryCrossentropy'
  checkLossOptions('binaryCrossentropy', options, ['labelSmoothing', 'positiveWeight', 'maskValue'])
  const { labelSmoothing = 0, positiveWeight = 1 } = options
  checkNumber(where, 'labelSmoothing', labelSmoothing, 0, 1)
  if (typeof positiveWeight === 'number') checkNumber(where, 'positiveWeight', positiveWeight, 0)
  else checkWeights(where, 'positiveWeight', positiveWeight)
  return elementLoss({
    name: 'binaryCrossentropy',
    task: 'binary',
    options,
    target: likePrediction,
    range: yesOrNo('sparseCategoricalCrossentropy'),
    includes: fromLogits,
    probabilities: sigmoid,
    right: isSideRight,
    each: (x, t) => {
      const smoothed = smooth(t, labelSmoothing, 2)
      const weight = typeof positiveWeight === 'number' ? positiveWeight : alongLast(where, 'positiveWeight', positiveWeight, x)
      const positive = multiply(smoothed, softplus(negate(x)))
      return add(weight === 1 ? positive : multiply(weight, positive), multiply(subtract(1, smoothed), softplus(x)))
    },
  })
}

/** Whether a logit and its target lie on the same side. */
const isSideRight = (x: Tensor, t: Tensor): Tensor => equal(greater(x, 0), greater(t, 0.5))

/** t (1 - ε) + ε / classes. */
const smooth = (t: Tensor, epsilon: number, classes: number): Tensor =>
  epsilon === 0 ? t : add(multiply(t, 1 - epsilon), epsilon / classes)

/** Options of `losses.binaryFocalCrossentropy`. */
export interface BinaryFocalOptions extends ElementLossOptions {
  /** γ ≥ 0, how much elements that are right already count less; default 2. */
  readonly gamma?: number
  /** α, 0 … 1: the weight of targets of 1; those of 0 weigh 1 - α. Default 0.25; "none" leaves both at 1. */
  readonly alpha?: number | 'none'
}

/**
 * The focal loss (Lin, Goyal, Girshick, He and Dollár 2017, "Focal loss for dense object detection", arXiv:1708.02002, equation 5):
 * -α (1 - p)^γ t log p - (1 - α) p^γ (1 - t) log(1 - p), p = σ(x), for logits x and targets t of 0 … 1. The mean over the elements of a sample.
 *
 * @param options `gamma` (default 2), `alpha` (default 0.25), `reduction` (default "mean"), `maskValue` (default none).
 * @example losses.binaryFocalCrossentropy({ gamma: 1 })
 */
export function binaryFocalCrossentropy(options: BinaryFocalOptions = {}): Loss {
  const where = 'losses.binaryFocalCrossentropy'
  checkLossOptions('binaryFocalCrossentropy', options, ['gamma', 'alpha', 'maskValue'])
  const { gamma = 2, alpha = 0.25 } = options
  checkNumber(where, 'gamma', gamma, 0)
  if (alpha !== 'none') checkNumber(where, 'alpha', alpha, 0, 1)
  // -log σ(x) = softplus(-x) and 1 - σ(x) = e^-softplus(x), which neither cancels nor has an infinite slope.
  const side = (x: Tensor): Tensor => multiply(exp(multiply(-gamma, softplus(x))), softplus(negate(x)))
  const [positive, negative] = alpha === 'none' ? [1, 1] : [alpha, 1 - alpha]
  return elementLoss({
    name: 'binaryFocalCrossentropy',
    task: 'binary',
    options,
    target: likePrediction,
    range: yesOrNo('sparseCategoricalFocalCrossentropy'),
    includes: fromLogits,
    probabilities: sigmoid,
    right: isSideRight,
    each: (x, t) => add(multiply(multiply(positive, t), side(x)), multiply(multiply(negative, subtract(1, t)), side(negate(x)))),
  })
}

/** Options of `losses.categoricalCrossentropy`. */
export interface CategoricalCrossentropyOptions extends LossOptions {
  /** ε: targets become t (1 - ε) + ε / classes (Szegedy and others 2016, arXiv:1512.00567, section 7); 0 … 1, default 0. */
  readonly labelSmoothing?: number
  /** One number a class, by which its part of the loss is multiplied; default 1 each. Means divide by the number of samples, not by the sum of weights. */
  readonly classWeights?: readonly number[]
}

function checkCategorical(name: string, options: CategoricalCrossentropyOptions, known: readonly string[] = []): void {
  checkLossOptions(name, options, ['labelSmoothing', 'classWeights', ...known])
  const { labelSmoothing, classWeights } = options
  if (labelSmoothing !== undefined) checkNumber(`losses.${name}`, 'labelSmoothing', labelSmoothing, 0, 1)
  if (classWeights !== undefined) checkWeights(`losses.${name}`, 'classWeights', classWeights)
}

/** The members of losses whose targets have the shape of the logits. */
const oneHotTargets = (sparse?: string) => ({
  task: 'categorical' as const,
  target: (prediction: Tensor): Spec => {
    classesOf(prediction) // for its refusal of predictions without classes
    return likePrediction(prediction)
  },
  range: (x: Tensor): Range => {
    const text = sparse === undefined ? 'make one-hot rows of class numbers' : `for class numbers use "${sparse}"`
    return { kind: 'probabilities', advice: { otherForm: { width: numbersOf(x.shape.slice(1, -1)), text } } }
  },
  includes: fromLogits,
  probabilities: (x: Tensor) => softmax(x),
  right: (x: Tensor, t: Tensor) => equal(cast(argmax(x)), cast(argmax(t))),
})

/**
 * -Σ w_i t_i log softmax(x)_i for logits x [batch, …, classes] and target probabilities t of the same shape: one-hot, or soft. The mean over the positions of a
 * sample.
 *
 * @param options `labelSmoothing` (default 0), `classWeights` (default 1 each), `reduction` (default "mean").
 * @example losses.categoricalCrossentropy({ labelSmoothing: 0.1 })
 */
export function categoricalCrossentropy(options: CategoricalCrossentropyOptions = {}): Loss {
  checkCategorical('categoricalCrossentropy', options)
  const { labelSmoothing = 0, classWeights } = options
  return lossFrom({
    name: 'categoricalCrossentropy',
    options,
    ...oneHotTargets('sparseCategoricalCrossentropy'),
    each: (x, t) => {
      const smoothed = smooth(t, labelSmoothing, classesOf(x))
      const weighted =
        classWeights === undefined
          ? smoothed
          : multiply(smoothed, alongLast('losses.categoricalCrossentropy', 'classWeights', classWeights, x))
      return negate(overClasses(multiply(weighted, logSoftmax(x))))
    },
  })
}

/** Options of losses whose targets are class numbers. */
export interface ClassNumberOptions extends LossOptions {
  /** Positions with this label do not count; default: all count. If none of a batch counts, the mean is 0 (not NaN, as in PyTorch). */
  readonly ignoreIndex?: number
}

/** Options of `losses.sparseCategoricalCrossentropy`. */
export interface SparseCategoricalCrossentropyOptions extends CategoricalCrossentropyOptions, ClassNumberOptions {}

function checkIgnoreIndex(name: string, { ignoreIndex }: ClassNumberOptions): void {
  if (ignoreIndex !== undefined && !(Number.isSafeInteger(ignoreIndex) && Math.abs(ignoreIndex) <= 2 ** 24))
    throw new OptionError(`losses.${name}: ignoreIndex must be an integer of magnitude 2^24 at most, got ${String(ignoreIndex)}.`)
}

/** The members of losses whose targets are class numbers, one a position. */
const classNumbers = (name: string, { ignoreIndex }: ClassNumberOptions) =>
  ({
    name,
    task: 'sparse',
    target: (prediction: Tensor): Spec => {
      classesOf(prediction) // for its refusal of predictions without classes
      return { shape: [batch, ...prediction.shape.slice(1, -1)], dtype: 'int32' }
    },
    range: (prediction) => {
      const count = classesOf(prediction)
      const except = ignoreIndex === undefined ? `; for labels that do not count use losses.${name}({ ignoreIndex })` : ''
      const outside = `The model's output has ${count} classes${except}.`
      const missing =
        ignoreIndex === undefined
          ? `write -1 in its place and use losses.${name}({ ignoreIndex: -1 })`
          : `write ${ignoreIndex} in its place, the ignoreIndex`
      const text = `for one-hot rows use "${name.replace('sparseC', 'c')}"`
      return {
        kind: 'classes',
        count,
        except: ignoreIndex,
        advice: { outside, missing, otherForm: { width: numbersOf(prediction.shape.slice(1)), text } },
      }
    },
    includes: fromLogits,
    probabilities: (x: Tensor) => softmax(x),
    right: (x: Tensor, t: Tensor) => equal(cast(argmax(x)), cast(t)),
    ...(ignoreIndex !== undefined && { masked: (t: Tensor) => equal(cast(t), ignoreIndex) }),
  }) as const satisfies Partial<Loss & { right: unknown; masked: unknown }>

/** Values of positions, 0 at those to be ignored, whose label may be no class and the value NaN: behind a product its gradient would be 0 · NaN. */
const known = (values: Tensor, t: Tensor, { ignoreIndex }: ClassNumberOptions): Tensor =>
  ignoreIndex === undefined ? values : where(equal(cast(t), ignoreIndex), 0, values)

/** The losses of positions, each times its class's weight. */
const weighted = (weights: Tensor, losses: Tensor, t: Tensor, options: ClassNumberOptions): Tensor =>
  multiply(known(gather(weights, t), t, options), known(losses, t, options))

/**
 * -w_t log softmax(x)_t for logits x [batch, …, classes] and int32 class numbers t [batch, …], the mean over the positions of a sample. With `labelSmoothing` ε,
 * (1 - ε) of it and ε / classes of the same for every class.
 *
 * @param options `ignoreIndex` (default none), `labelSmoothing` (default 0), `classWeights` (default 1 each), `reduction` (default "mean").
 * @example losses.sparseCategoricalCrossentropy({ ignoreIndex: -100 })
 */
export function sparseCategoricalCrossentropy(options: SparseCategoricalCrossentropyOptions = {}): Loss {
  const name = 'sparseCategoricalCrossentropy'
  checkCategorical(name, options, ['ignoreIndex'])
  checkIgnoreIndex(name, options)
  const { labelSmoothing = 0, classWeights } = options
  return lossFrom({
    ...classNumbers(name, options),
    options,
    each: (x, t) => {
      const weights = classWeights === undefined ? null : alongLast(`losses.${name}`, 'classWeights', classWeights, x)
      const crossEntropy = softmaxCrossEntropy(x, t)
      const hard = weights === null ? crossEntropy : weighted(weights, crossEntropy, t, options)
      if (labelSmoothing === 0) return hard
      const every = overClasses(weights === null ? logSoftmax(x) : multiply(weights, logSoftmax(x)))
      return subtract(multiply(1 - labelSmoothing, hard), multiply(labelSmoothing / classesOf(x), every))
    },
  })
}

/** Options of `losses.categoricalFocalCrossentropy`. */
export interface CategoricalFocalOptions extends LossOptions {
  /** γ ≥ 0, how much samples that are right already count less; default 2. */
  readonly gamma?: number
  /** α: one number for all classes, or one for each; default 1. */
  readonly alpha?: number | readonly number[]
}

/** Options of `losses.sparseCategoricalFocalCrossentropy`. */
export interface SparseCategoricalFocalOptions extends CategoricalFocalOptions, ClassNumberOptions {}

function checkFocal(name: string, options: CategoricalFocalOptions, known: readonly string[] = []): void {
  checkLossOptions(name, options, ['gamma', 'alpha', ...known])
  const { gamma, alpha } = options
  if (gamma !== undefined) checkNumber(`losses.${name}`, 'gamma', gamma, 0)
  if (typeof alpha === 'number') checkNumber(`losses.${name}`, 'alpha', alpha, 0)
  else if (alpha !== undefined) checkWeights(`losses.${name}`, 'alpha', alpha)
}

/** (1 - p)^γ · -log p, given -log p. With 1 - e^-x = tanh(x/2) (1 + e^-x) nothing cancels; the limit keeps the slope at 0 finite for γ < 1. */
const focused = (crossEntropy: Tensor, gamma: number): Tensor => {
  const wrong = multiply(tanh(multiply(0.5, crossEntropy)), add(1, exp(negate(crossEntropy))))
  return multiply(power(maximum(wrong, 2 ** -60), gamma), crossEntropy)
}

/**
 * The focal loss of several classes, -Σ α_i t_i (1 - p_i)^γ log p_i, p = softmax(x), for logits x [batch, …, classes] and target probabilities t of the same
 * shape (Lin and others 2017, arXiv:1708.02002, equation 5, for each class as Keras does). The mean over the positions of a sample.
 *
 * @param options `gamma` (default 2), `alpha` (default 1), `reduction` (default "mean").
 * @example losses.categoricalFocalCrossentropy({ alpha: [0.5, 1, 2] })
 */
export function categoricalFocalCrossentropy(options: CategoricalFocalOptions = {}): Loss {
  const name = 'categoricalFocalCrossentropy'
  checkFocal(name, options)
  const { gamma = 2, alpha = 1 } = options
  return lossFrom({
    name,
    options,
    ...oneHotTargets('sparseCategoricalFocalCrossentropy'),
    each: (x, t) => {
      const weights = typeof alpha === 'number' ? alpha : alongLast(`losses.${name}`, 'alpha', alpha, x)
      return overClasses(multiply(multiply(weights, t), focused(negate(logSoftmax(x)), gamma)))
    },
  })
}

/**
 * The focal loss for class numbers, -α_t (1 - p_t)^γ log p_t, p = softmax(x), for logits x [batch, …, classes] and int32 class numbers t [batch, …] (Lin and
 * others 2017, arXiv:1708.02002, equation 5). The mean over the positions of a sample.
 *
 * @param options `gamma` (default 2), `alpha` (default 1), `ignoreIndex` (default none), `reduction` (default "mean").
 * @example losses.sparseCategoricalFocalCrossentropy({ gamma: 3 })
 */
export function sparseCategoricalFocalCrossentropy(options: SparseCategoricalFocalOptions = {}): Loss {
  const name = 'sparseCategoricalFocalCrossentropy'
  checkFocal(name, options, ['ignoreIndex'])
  checkIgnoreIndex(name, options)
  const { gamma = 2, alpha = 1 } = options
  return lossFrom({
    ...classNumbers(name, options),
    options,
    each: (x, t) => {
      const loss = focused(known(softmaxCrossEntropy(x, t), t, options), gamma)
      return typeof alpha === 'number' ? multiply(alpha, loss) : weighted(alongLast(`losses.${name}`, 'alpha', alpha, x), loss, t, options)
    },
  })
}

/**
 * Σ t_i (log t_i - log softmax(x)_i), the Kullback-Leibler divergence of softmax(x) from target probabilities t, for logits x [batch, …, classes] and t of the same
 * shape; 0 log 0 is 0. The mean over the positions of a sample (PyTorch's KLDivLoss with reduction "batchmean" of logSoftmax(x)).
 *
 * @param options `reduction` (default "mean").
 * @example losses.klDivergence()
 */
export function klDivergence(options: LossOptions = {}): Loss {
  checkLossOptions('klDivergence', options)
  return lossFrom({
    name: 'klDivergence',
    options,
    ...oneHotTargets(),
    each: (x, t) => overClasses(multiply(t, subtract(log(where(greater(t, 0), t, 1)), logSoftmax(x)))),
  })
}

/** The members of losses that ask for a margin between classes of two. */
const signed = {
  task: 'binary',
  target: likePrediction,
  range: (): Range => ({ kind: 'signs' }),
  includes: fromLogits,
  right: (x: Tensor, t: Tensor) => equal(greater(x, 0), greater(t, 0)),
} as const

/** max(1 - s x, 0), s being the target's side: 1 for targets above 0, else -1. */
const shortfall = (x: Tensor, t: Tensor): Tensor => relu(subtract(1, multiply(where(greater(t, 0), 1, -1), x)))

/**
 * max(1 - s x, 0) for decision values x, s being 1 for targets of 1, and -1 for targets of 0 or -1. The mean over the elements of a sample.
 *
 * @param options `reduction` (default "mean"), `maskValue` (default none).
 * @example losses.hinge()
 */
export function hinge(options: ElementLossOptions = {}): Loss {
  checkLossOptions('hinge', options, ['maskValue'])
  return elementLoss({ name: 'hinge', options, ...signed, each: shortfall })
}

/**
 * max(1 - s x, 0)² for decision values x, s being 1 for targets of 1, and -1 for targets of 0 or -1. The mean over the elements of a sample.
 *
 * @param options `reduction` (default "mean"), `maskValue` (default none).
 * @example losses.squaredHinge()
 */
export function squaredHinge(options: ElementLossOptions = {}): Loss {
  checkLossOptions('squaredHinge', options, ['maskValue'])
  return elementLoss({ name: 'squaredHinge', options, ...signed, each: (x, t) => square(shortfall(x, t)) })
}

/** Below any decision value, and finite: its class is taken out of a maximum. */
const LOWEST = -(2 ** 127)

/**
 * max(1 + max_{j ≠ t} x_j - x_t, 0) for decision values x [batch, …, classes] and one-hot targets of the same shape (Crammer and Singer 2001, "On the algorithmic
 * implementation of multiclass kernel-based vector machines", as in scikit-learn's hinge_loss; Keras lets a 0 take part in the maximum). The mean over the
 * positions of a sample.
 *
 * @param options `reduction` (default "mean").
 * @example losses.categoricalHinge()
 */
export function categoricalHinge(options: LossOptions = {}): Loss {
  checkLossOptions('categoricalHinge', options)
  const { probabilities: _, ...members } = oneHotTargets()
  return lossFrom({
    name: 'categoricalHinge',
    options,
    ...members,
    each: (x, t) => {
      const other = max(where(greater(t, 0.5), LOWEST, x), { axes: [-1] })
      return relu(subtract(add(1, other), overClasses(multiply(t, x))))
    },
  })
}
