/** What a loss is, and what all losses share: options, masks, and how elements become one number a sample. */
import { checkOptions, type Hints } from '../../checks.ts'
import type { Range } from '../../data/rows.ts'
import { describe, OptionError } from '../../errors.ts'
import { formatShape } from '../../graph/shape.ts'
import type { Spec, Tensor } from '../../graph/tensor.ts'
import { equal, subtract, where } from '../../ops/elementwise.ts'
import { mean, sum } from '../../ops/reduce.ts'
import { broadcastTo, concat, reshape } from '../../ops/shape.ts'
import { constant } from '../../ops/source.ts'

/** What the targets of a loss are: 0 or 1 ("binary"), one row of probabilities ("categorical"), class numbers ("sparse"), or numbers. */
export type Task = 'binary' | 'categorical' | 'sparse' | 'regression'

/** How the losses of samples become the loss of a batch. With "sum" an epoch and an evaluation report the sum over all their samples, not a mean of sums. */
export type Reduction = 'mean' | 'sum'

/**
 * A loss: how a prediction is judged against a target, sample by sample, with what must be known to check data for it. One of your own needs
 * `name` and `compute`; for the other members it then gets those of a regression.
 */
export interface Loss {
  readonly name: string
  readonly task: Task
  /**
   * The loss of a batch: "mean", over samples (over what `counts` counts, where there is one; 0 if that is nothing); or "sum", over samples.
   */
  readonly reduction: Reduction
  /** Shape and dtype of the targets that belong to a prediction. */
  target(prediction: Tensor): Spec
  /** The loss of each sample, [batch]: the mean of its elements; where there is `counts`, the sum of those that count. */
  compute(prediction: Tensor, target: Tensor): Tensor
  /** How much each sample counts in a mean, [batch]: how many of its elements are not masked. Absent: 1 each. */
  counts?(prediction: Tensor, target: Tensor): Tensor
  /** 1 for each element or position that counts, 0 for one that is masked: [batch, …]. Absent: all count. */
  mask?(prediction: Tensor, target: Tensor): Tensor
  /** The probabilities that a prediction of logits stands for. Absent where the prediction is something else. */
  probabilities?(prediction: Tensor): Tensor
  /** 1 for each sample that is classified correctly, else 0 (summed up or averaged as `compute`): [batch]. Absent where the loss is not for classification. */
  correct?(prediction: Tensor, target: Tensor): Tensor
  /** Which targets make sense. */
  range(prediction: Tensor): Range
  /** Activations that must not end the model, because the loss includes them. */
  readonly includes: readonly string[]
}

/** Options of every loss. */
export interface LossOptions {
  /** How the losses of samples become the loss of a batch: "mean" (default) or "sum". For no reduction use `compute` of the loss. */
  readonly reduction?: Reduction
}

/** Options of losses that judge each element of the prediction. */
export interface ElementLossOptions extends LossOptions {
  /** Elements whose target is this number do not count; default: all count. If none of a batch counts, the mean is 0 (not NaN, as in PyTorch). */
  readonly maskValue?: number
}

/** What a loss is made from. */
export interface Definition extends Pick<Loss, 'name' | 'task' | 'target' | 'probabilities' | 'range'> {
  readonly options: LossOptions
  /** The loss of each element (or of each position, for losses that judge a whole row): [batch, …]. */
  each(prediction: Tensor, target: Tensor): Tensor
  /** 1 for each that is right. */
  right?(prediction: Tensor, target: Tensor): Tensor
  /** 1 for each that does not count, in a shape that broadcasts to theirs. Absent: all count. */
  masked?(target: Tensor): Tensor
  readonly includes?: readonly string[]
}

/** Makes one number a sample from each: the mean, or with a mask the sum of those that count. */
export function lossFrom({ options, each, right, masked, probabilities, includes = [], ...rest }: Definition): Loss {
  const perSample = (values: Tensor, target: Tensor): Tensor =>
    masked === undefined ? meanOfSample(values) : sumOfSample(where(masked(target), 0, values))
  const mask = masked && ((x: Tensor, t: Tensor): Tensor => broadcastTo(subtract(1, masked(t)), each(x, t).shape))
  return {
    ...rest,
    reduction: options.reduction ?? 'mean',
    includes,
    compute: (x, t) => perSample(each(x, t), t),
    ...(probabilities && { probabilities }),
    ...(right && { correct: (x, t) => perSample(right(x, t), t) }),
    ...(mask && { mask, counts: (x, t) => sumOfSample(mask(x, t)) }),
  }
}

/**
 * A loss of each element. With a mask both sides of a masked element become 0 before the loss is taken: an infinite
 * slope that nobody asks for would make its 0 a NaN.
 */
export function elementLoss(
  definition: Omit<Definition, 'masked'> & {
    readonly options: ElementLossOptions
    /** The mask of the prediction, where it is not that of the target. */
    maskOf?(mask: Tensor): Tensor
  },
): Loss {
  const { options, each, maskOf = (mask) => mask, ...rest } = definition
  const missing =
    options.maskValue === undefined
      ? `write -999 in its place and use losses.${rest.name}({ maskValue: -999 }), if no target is that`
      : `write ${options.maskValue} in its place, the maskValue`
  const range: Loss['range'] = (prediction) => {
    const given = definition.range(prediction)
    return { ...given, advice: { ...given.advice, missing } }
  }
  if (options.maskValue === undefined) return lossFrom({ ...rest, options, each, range })
  const maskValue = Math.fround(options.maskValue)
  const masked = (t: Tensor): Tensor => equal(t, maskValue)
  return lossFrom({
    ...rest,
    options,
    masked,
    range: (prediction) => ({ ...range(prediction), except: maskValue }),
    each: (x, t) => each(where(maskOf(masked(t)), 0, x), where(masked(t), 0, t)),
  })
}

const otherAxes = (x: Tensor): number[] => x.shape.map((_, i) => i).slice(1)

function meanOfSample(x: Tensor): Tensor {
  return x.rank === 1 ? x : mean(x, { axes: otherAxes(x) })
}

function sumOfSample(x: Tensor): Tensor {
  return x.rank === 1 ? x : sum(x, { axes: otherAxes(x) })
}

/** Targets of the prediction's shape. */
export const likePrediction = (prediction: Tensor): Spec => ({ shape: prediction.shape, dtype: 'float32' })

/** Any finite number. */
export const anyNumber = (): Range => ({ kind: 'any' })

/** The extent of the last axis, of which a loss needs at least two. */
export function classesOf(prediction: Tensor): number {
  const count = prediction.shape[prediction.rank - 1]
  if (prediction.rank < 2 || typeof count !== 'number' || count < 2) {
    throw new OptionError(
      `categorical cross-entropy: the model's output must have shape [batch, …, classes] with at least 2 classes, got ${formatShape(prediction.shape)}; end it with dense(classes), or for one logit use binaryCrossentropy.`,
    )
  }
  return count
}

/** Several numbers as a tensor of one axis. */
function vector(values: readonly number[]): Tensor {
  return concat(
    values.map((value) => reshape(constant(value), [1])),
    0,
  )
}

const alwaysLogits = 'leave it out: predictions are always logits, so end the model without sigmoid or softmax.'
const optionHints: Hints = { fromLogits: alwaysLogits, from_logits: alwaysLogits }

/** Checks the names of a loss's options, and those that many losses have. */
export function checkLossOptions(name: string, options: unknown, known: readonly string[] = []): void {
  checkOptions(`losses.${name}`, options, ['reduction', ...known], optionHints)
  const { reduction, maskValue } = options as ElementLossOptions
  if (reduction !== undefined && reduction !== 'mean' && reduction !== 'sum')
    throw new OptionError(
      `losses.${name}: reduction must be "mean" or "sum", got ${describe(reduction)}; for the loss of each sample use compute(prediction, target) of the loss.`,
    )
  if (maskValue !== undefined) checkNumber(`losses.${name}`, 'maskValue', maskValue)
}

/** Throws unless the value is a finite number of at least `least` and at most `most`. */
export function checkNumber(
  where: string,
  name: string,
  value: unknown,
  least = Number.NEGATIVE_INFINITY,
  most = Number.POSITIVE_INFINITY,
) {
  if (typeof value === 'number' && Number.isFinite(value) && value >= least && value <= most) return
  const limits = Number.isFinite(most) ? ` of ${least} … ${most}` : Number.isFinite(least) ? ` of at least ${least}` : ''
  throw new OptionError(`${where}: ${name} must be a finite number${limits}, got ${describe(value)}.`)
}

/** Throws unless the value is a finite number above 0. */
export function checkPositive(where: string, name: string, value: unknown): void {
  if (typeof value !== 'number' || !(value > 0 && value < Number.POSITIVE_INFINITY))
    throw new OptionError(`${where}: ${name} must be a finite number above 0, got ${describe(value)}.`)
}

/** Throws unless the value is an array of finite numbers of at least 0. */
export function checkWeights(where: string, name: string, value: unknown): asserts value is readonly number[] {
  if (!Array.isArray(value) || value.length === 0)
    throw new OptionError(`${where}: ${name} must be an array of numbers, one a class, got ${describe(value)}.`)
  value.forEach((weight, i) => {
    checkNumber(where, `${name}[${i}]`, weight, 0)
  })
}

/** Numbers along the last axis of the prediction, of which there must be as many. */
export function alongLast(where: string, name: string, values: readonly number[], prediction: Tensor): Tensor {
  const extent = prediction.shape[prediction.rank - 1]
  if (values.length !== extent)
    throw new OptionError(
      `${where}: ${name} needs one number for each of the ${extent} entries of the last axis of ${formatShape(prediction.shape)}, got ${values.length}.`,
    )
  return vector(values)
}
