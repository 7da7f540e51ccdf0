/** Losses: what a prediction costs, sample by sample. Each is a factory: `losses.huber({ delta: 2 })`; a name means the factory's defaults. */
import { definedOf, type Hints, unknownName } from '../../checks.ts'
import { describe, OptionError } from '../../errors.ts'
import { Tensor } from '../../graph/tensor.ts'
import {
  binaryCrossentropy,
  binaryFocalCrossentropy,
  categoricalCrossentropy,
  categoricalFocalCrossentropy,
  categoricalHinge,
  hinge,
  klDivergence,
  sparseCategoricalCrossentropy,
  sparseCategoricalFocalCrossentropy,
  squaredHinge,
} from './classification.ts'
import { triplet } from './embedding.ts'
import { anyNumber, type Loss, likePrediction } from './loss.ts'
import {
  contrastive,
  cosineSimilarity,
  gaussianNegativeLogLikelihood,
  huber,
  logCosh,
  meanAbsoluteError,
  meanAbsolutePercentageError,
  meanSquaredError,
  meanSquaredLogarithmicError,
  poisson,
  quantile,
} from './regression.ts'

export { euclideanDistance, tripletMargin } from './embedding.ts'
export type { Loss, Reduction, Task } from './loss.ts'

/**
 * The losses: factories, each with options of its own that may be left out. To get the loss of each sample in a graph of your own, use
 * `compute` of what they make.
 *
 * @example losses.huber({ delta: 2 }).compute(input(3), input(3))
 */
export const losses = {
  meanSquaredError,
  meanAbsoluteError,
  huber,
  logCosh,
  meanAbsolutePercentageError,
  meanSquaredLogarithmicError,
  binaryCrossentropy,
  categoricalCrossentropy,
  sparseCategoricalCrossentropy,
  binaryFocalCrossentropy,
  categoricalFocalCrossentropy,
  sparseCategoricalFocalCrossentropy,
  klDivergence,
  poisson,
  gaussianNegativeLogLikelihood,
  quantile,
  hinge,
  squaredHinge,
  categoricalHinge,
  cosineSimilarity,
  triplet,
  contrastive,
}

/** A loss by name: its factory's defaults. */
export type LossName = keyof typeof losses

/** A loss of your own: `name` and `compute`, and what else differs from a regression whose targets have the prediction's shape. */
export type CustomLoss = Pick<Loss, 'name' | 'compute'> & Partial<Loss>

/** A loss by name, made with options, of your own, or a function from prediction and target (of the prediction's shape) to the loss of each sample, [batch]. */
export type LossChoice = LossName | CustomLoss | ((prediction: Tensor, target: Tensor) => Tensor)

const crossEntropy =
  'for class numbers use "sparseCategoricalCrossentropy", for one-hot or soft targets "categoricalCrossentropy", for 0 and 1 "binaryCrossentropy".'

const hints: Hints = {
  mse: 'did you mean "meanSquaredError"?',
  mae: 'did you mean "meanAbsoluteError"?',
  mape: 'did you mean "meanAbsolutePercentageError"?',
  msle: 'did you mean "meanSquaredLogarithmicError"?',
  l1: 'did you mean "meanAbsoluteError"?',
  l2: 'did you mean "meanSquaredError"?',
  bce: 'did you mean "binaryCrossentropy"?',
  BCEWithLogitsLoss: 'did you mean "binaryCrossentropy"? It takes logits.',
  smoothL1: 'did you mean "huber"?',
  crossEntropy,
  CrossEntropyLoss: crossEntropy,
  kl: 'did you mean "klDivergence"?',
  kld: 'did you mean "klDivergence"?',
  cosine: 'did you mean "cosineSimilarity"?',
  nll: 'for class numbers use "sparseCategoricalCrossentropy", which takes logits.',
  focal: 'did you mean "binaryFocalCrossentropy", "categoricalFocalCrossentropy" or "sparseCategoricalFocalCrossentropy"?',
  pinball: 'did you mean "quantile"?',
  accuracy: 'it is a metric; try "sparseCategoricalCrossentropy" for class numbers, or "binaryCrossentropy".',
  rootMeanSquaredError: 'it is a metric; try "meanSquaredError", which is least where its root is.',
}

/** The loss that is asked for; `where` begins the error if there is none. */
export function lossFor(where: string, choice: LossChoice): Loss {
  if (choice === undefined)
    throw new OptionError(`${where}: option "loss" is required, one of ${Object.keys(losses).join(', ')}, or a function.`)
  if (typeof choice === 'function') {
    const factory = Object.entries(losses).find(([, made]) => (made as unknown) === choice)
    if (factory !== undefined) throw new OptionError(`${where}: losses.${factory[0]} makes a loss; call it: losses.${factory[0]}().`)
    return custom(where, { name: choice.name === '' ? 'custom' : choice.name, compute: choice })
  }
  if (isLoss(choice)) return custom(where, choice)
  if (typeof choice !== 'string')
    throw new OptionError(
      `${where}: loss must be a name, an object such as losses.huber({ delta: 2 }) or a function, got ${describe(choice)}.`,
    )
  if (!Object.hasOwn(losses, choice)) throw unknownName('loss', choice, Object.keys(losses), where, hints)
  return losses[choice]()
}

/** Whether something is a loss and not, say, losses by the names of outputs. */
export function isLoss(choice: unknown): choice is CustomLoss {
  const { name, compute } = (choice ?? {}) as Partial<Loss>
  return typeof compute === 'function' && typeof name === 'string'
}

function custom(where: string, loss: CustomLoss): Loss {
  const { reduction = 'mean' } = loss
  if (reduction !== 'mean' && reduction !== 'sum')
    throw new OptionError(`${where}: the reduction of loss "${loss.name}" must be "mean" or "sum", got ${describe(reduction)}.`)
  if (!Object.hasOwn(loss, 'compute'))
    throw new OptionError(`${where}: loss "${loss.name}" must be a plain object, { name, compute, … }; members of a class are not its own.`)
  return {
    task: 'regression',
    reduction: 'mean',
    target: likePrediction,
    range: anyNumber,
    includes: [],
    ...definedOf(loss),
    compute(prediction, target) {
      const losses = loss.compute(prediction, target)
      if (!(losses instanceof Tensor))
        throw new OptionError(`${where}: the loss function must return a symbolic tensor, got ${describe(losses)}.`)
      return losses
    },
  }
}
