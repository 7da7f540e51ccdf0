/**
 * Losses: what a prediction costs, sample by sample. Cross-entropies take logits (the numbers before softmax or
 * sigmoid), because only then can they be computed without overflow or cancellation.
 */
import type { Range } from '../data/rows.ts'
import { describe, type Hints, OptionError, unknownName } from '../errors.ts'
import { batch, formatShape } from '../graph/shape.ts'
import { type Spec, Tensor } from '../graph/tensor.ts'
import { add, cast, equal, greater, multiply, negate, sigmoid, softplus, square, subtract } from '../ops/elementwise.ts'
import { argmax, mean, sum } from '../ops/reduce.ts'
import { logSoftmax, softmax, softmaxCrossEntropy } from '../ops/softmax.ts'

/** A loss: how a prediction is judged against a target, sample by sample, with what must be known to check data for it. */
export interface Loss {
  readonly name: string
  /**
   * What the prediction is. "binary": logits, targets of 0 … 1 for each; "categorical": logits [..., classes] and targets of that shape;
   * "sparse": the same logits and class numbers [...]; "regression": numbers.
   */
  readonly task: 'binary' | 'categorical' | 'sparse' | 'regression'
  /** Shape and dtype of the targets that belong to a prediction. */
  target(prediction: Tensor): Spec
  /** The loss of each sample: [batch]. */
  compute(prediction: Tensor, target: Tensor): Tensor
  /** 1 for each sample that is classified correctly, else 0: [batch]. Absent where the loss is not for classification. */
  correct?(prediction: Tensor, target: Tensor): Tensor
  /** The probabilities of a prediction that is logits: sigmoid or softmax. */
  probabilities?(prediction: Tensor): Tensor
  /** How much each sample counts in a mean, [batch]: the number of its positions that are not masked. Absent: 1 each. */
  counts?(prediction: Tensor, target: Tensor): Tensor
  /** 1 for each position that counts, 0 for one that is masked: of the shape of the targets (without the classes). Absent: all count. */
  mask?(prediction: Tensor, target: Tensor): Tensor
  /** Which targets make sense. */
  range(prediction: Tensor): Range
  /** Activations that must not end the model, because the loss includes them. */
  readonly includes: readonly string[]
}

function perSample(x: Tensor): Tensor {
  return x.rank === 1 ? x : mean(x, { axes: x.shape.map((_, i) => i).slice(1) })
}

function classesOf(prediction: Tensor): number {
  const count = prediction.shape[prediction.rank - 1]
  if (prediction.rank !== 2 || typeof count !== 'number' || count < 2) {
    throw new OptionError(
      `categorical cross-entropy: the model's output must have shape [batch, classes] with at least 2 classes, got ${formatShape(prediction.shape)}; end it with dense(classes).`,
    )
  }
  return count
}

/** What a cross-entropy from logits applies itself. */
const fromLogits = ['sigmoid', 'softmax', 'logSoftmax']

const likePrediction = (prediction: Tensor): Spec => ({ shape: prediction.shape, dtype: 'float32' })

/** (prediction - target)², the mean over the sample's elements. */
const meanSquaredError: Loss = {
  name: 'meanSquaredError',
  task: 'regression',
  target: likePrediction,
  compute: (prediction, target) => perSample(square(subtract(prediction, target))),
  range: () => ({ kind: 'any' }),
  includes: [],
}

/**
 * -t log σ(x) - (1 - t) log(1 - σ(x)) for logits x and targets t of 0 … 1, the mean over the sample's elements.
 * Written as t softplus(-x) + (1 - t) softplus(x): no overflow and no cancellation for any x.
 */
const binaryCrossentropy: Loss = {
  name: 'binaryCrossentropy',
  task: 'binary',
  probabilities: sigmoid,
  target: likePrediction,
  compute: (x, t) => perSample(add(multiply(t, softplus(negate(x))), multiply(subtract(1, t), softplus(x)))),
  correct: (x, t) => perSample(equal(greater(x, 0), greater(t, 0.5))),
  range: () => ({ kind: 'probabilities' }),
  includes: fromLogits,
}

/** -Σ t_i log softmax(x)_i for logits x [batch, classes] and target probabilities t of the same shape. */
const categoricalCrossentropy: Loss = {
  name: 'categoricalCrossentropy',
  task: 'categorical',
  probabilities: (x) => softmax(x),
  target: likePrediction,
  compute: (x, t) => {
    classesOf(x) // for its refusal of predictions without classes
    return negate(sum(multiply(t, logSoftmax(x)), { axes: [-1] }))
  },
  correct: (x, t) => equal(cast(argmax(x)), cast(argmax(t))),
  range: () => ({ kind: 'probabilities' }),
  includes: fromLogits,
}

/** -log softmax(x)_t for logits x [batch, classes] and int32 class numbers t [batch]. */
const sparseCategoricalCrossentropy: Loss = {
  name: 'sparseCategoricalCrossentropy',
  task: 'sparse',
  probabilities: (x) => softmax(x),
  target: () => ({ shape: [batch], dtype: 'int32' }),
  compute: (x, t) => {
    classesOf(x) // for its refusal of predictions without classes
    return softmaxCrossEntropy(x, t)
  },
  correct: (x, t) => equal(cast(argmax(x)), cast(t)),
  range: (prediction) => ({ kind: 'classes', count: classesOf(prediction) }),
  includes: fromLogits,
}

/** The losses by name. Each one's docstring gives its equation. */
export const losses = { meanSquaredError, binaryCrossentropy, categoricalCrossentropy, sparseCategoricalCrossentropy }

export type LossName = keyof typeof losses

/** A loss by name, or a function from prediction and target (of the prediction's shape) to the loss of each sample, [batch]. */
export type LossChoice = LossName | ((prediction: Tensor, target: Tensor) => Tensor)

const isMetric = 'for a loss give a function, such as (prediction, target) => mean(abs(subtract(prediction, target)), { axes: [1] }).'
const hints: Hints = {
  mse: 'did you mean "meanSquaredError"?',
  bce: 'did you mean "binaryCrossentropy"?',
  mae: `meanAbsoluteError is a metric; ${isMetric}`,
  meanAbsoluteError: `it is a metric; ${isMetric}`,
}

export function lossFor(where: string, choice: LossChoice): Loss {
  if (typeof choice === 'function') {
    return {
      name: choice.name === '' ? 'custom' : choice.name,
      task: 'regression',
      target: likePrediction,
      compute(prediction, target) {
        const losses = choice(prediction, target)
        if (!(losses instanceof Tensor))
          throw new OptionError(`${where}: the loss function must return a symbolic tensor, got ${describe(losses)}.`)
        return losses
      },
      range: () => ({ kind: 'any' }),
      includes: [],
    }
  }
  if (choice === undefined)
    throw new OptionError(`${where}: option "loss" is required, one of ${Object.keys(losses).join(', ')}, or a function.`)
  if (typeof choice !== 'string') throw new OptionError(`${where}: loss must be a name or a function, got ${describe(choice)}.`)
  if (!Object.hasOwn(losses, choice)) throw unknownName('loss', choice, Object.keys(losses), where, hints)
  return losses[choice]
}
