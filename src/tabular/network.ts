/** The network that a table gets when nobody describes another, as functions of symbolic tensors. */
import { checkCount, checkOptions } from '../checks.ts'
import { describe, OptionError, ShapeError } from '../errors.ts'
import { formatShape, product } from '../graph/shape.ts'
import type { Tensor } from '../graph/tensor.ts'
import { normalOf } from '../nn/initializers.ts'
import { activation, concatenate, dense, dropout, embedding, flatten, type LayerOptions } from '../nn/layers.ts'
import type { LossName } from '../nn/losses/index.ts'
import { add, cast, divide, maximum, multiply, notEqual, softplus, square, subtract } from '../ops/elementwise.ts'
import { sum } from '../ops/reduce.ts'
import { reshape, slice, zerosLike } from '../ops/shape.ts'
import { logSoftmax } from '../ops/softmax.ts'
import { whenTraining } from '../ops/source.ts'
import { networkDefaults } from './defaults.ts'

/** What a network sees of a table: numbers side by side, or indices. */
export interface NetworkInput {
  /** [batch, …], float32 or int32. */
  readonly tensor: Tensor
  /** Of indices: how many there are, one number for each column, or a single one for the words of a text, which are filled up with 0. */
  readonly sizes?: readonly number[]
}

/** What a network is to predict. */
export interface NetworkOutput {
  /** Of the target; the layer is called so, with `_` for dots, where there are several outputs. */
  readonly name: string
  /** Numbers a row: 1 for a number and for two classes, otherwise one for each class. */
  readonly units: number
  /** What it will be trained for. */
  readonly loss: LossName
}

/** Options of `defaultNetwork`. */
export interface DefaultNetworkOptions {
  /** Small networks side by side, of which the mean is taken; default 4. */
  readonly members?: number
  /** The widths of each one's hidden layers; default [128, 64]. */
  readonly hidden?: readonly number[]
  /** The part of each hidden layer that is dropped in training; default 0.3. */
  readonly dropout?: number
}

/**
 * A network for rows of a table: four small ones of two hidden layers side by side, beside a linear path that they share. Each of the four is trained on its own error, as an ensemble is,
 * and the mean of their outputs is what is predicted; together they are one graph, one plan and one file. Four err less than one, because the mean
 * cancels what differs between them (Lakshminarayanan et al. 2017, arXiv:1612.01474; in one network: Gorishniy et al. 2024, arXiv:2410.24210). The linear
 * path, which begins at 0, leaves to them what a straight line cannot say (Cheng et al. 2016, arXiv:1606.07792).
 *
 * @param inputs Numbers of about the size of 1; indices, which get vectors that are learned.
 * @param outputs At least one.
 * @param options `members` 4, `hidden` [128, 64], `dropout` 0.3.
 * @returns A tensor [batch, units] for each output, in order: logits of classes.
 * @throws OptionError or ShapeError for inputs, outputs or options that make no network.
 * @example defaultNetwork([{ tensor: input(20) }], [{ name: 'price', units: 1, loss: 'meanSquaredError' }])
 */
export function defaultNetwork(
  inputs: readonly NetworkInput[],
  outputs: readonly NetworkOutput[],
  options: DefaultNetworkOptions = {},
): Tensor[] {
  const { members = networkDefaults.members, hidden = networkDefaults.hidden, dropout: rate = networkDefaults.dropout } = options
  checkOptions('defaultNetwork', options, ['members', 'hidden', 'dropout'])
  checkCount('defaultNetwork', 'members', members)
  for (const [name, list] of Object.entries({ inputs, outputs }))
    if (!Array.isArray(list) || list.length === 0)
      throw new OptionError(`defaultNetwork: ${name} must be an array of at least one, got ${describe(list)}.`)
  if (!Array.isArray(hidden)) throw new OptionError(`defaultNetwork: hidden must be an array of widths, got ${describe(hidden)}.`)
  const parts = inputs.map(numbersOf)
  const features = parts.length === 1 ? parts[0] : concatenate(parts)
  const straight = outputs.map(({ units }) => dense(features, units, { useBias: false, kernelInitializer: 'zeros' }))
  const bodies = Array.from({ length: members }, () =>
    hidden.reduce((x, width) => dropout(dense(x, width, { activation: 'silu' }), rate), features),
  )
  return outputs.map(({ name, units, loss }, i) => {
    const predictions = bodies.map((body) => add(dense(body, units), straight[i]))
    return ensemble(predictions, loss, outputs.length === 1 ? {} : { name: name.replaceAll('.', '_') })
  })
}

/**
 * The losses whose mean over predictions exceeds the loss of the mean prediction by what does not depend on the target, because beside a convex function
 * of the prediction they are linear in it: that function. (Its excess is what Krogh and Vedelsby 1995 call ambiguity.)
 */
const convexPart: { readonly [Name in LossName]?: (x: Tensor) => Tensor } = {
  meanSquaredError: square,
  binaryCrossentropy: softplus,
  // log Σ eˣ, in every column: its mean over the columns is itself.
  categoricalCrossentropy: (x) => subtract(x, logSoftmax(x)),
  sparseCategoricalCrossentropy: (x) => subtract(x, logSoftmax(x)),
}

/**
 * The mean of predictions [batch, units], trained so that the loss is the mean of theirs: each learns from its own error, as if it were alone. For another loss than
 * a mean squared error or a cross-entropy the mean learns from its own, and its parts are one wide network. What samples weigh does not change the penalty that
 * makes the difference; it counts in training only, so that evaluation reports the loss of the mean.
 */
export function ensemble(predictions: readonly Tensor[], loss: LossName, options: LayerOptions = {}): Tensor {
  const average = (tensors: readonly Tensor[]) =>
    multiply(
      1 / tensors.length,
      tensors.reduce((a, b) => add(a, b)),
    )
  const convex = convexPart[loss]
  const units = predictions[0].shape[1] as number
  const joined = average(predictions)
  if (convex === undefined || predictions.length === 1) return activation(joined, 'linear', options)
  const excess = (y: Tensor): Tensor => {
    const penalty = multiply(1 / units, sum(subtract(average(predictions.map(convex)), convex(y))))
    return whenTraining(penalty, zerosLike(penalty))
  }
  return activation(joined, 'linear', { ...options, activityRegularizer: excess })
}

/** One row of numbers for each sample. */
function numbersOf({ tensor, sizes = [] }: NetworkInput): Tensor {
  if (tensor.dtype === 'float32') return tensor.rank === 2 ? tensor : flatten(tensor)
  const { factor: columns } = product(tensor.shape.slice(1))
  const indices = reshape(tensor, [tensor.shape[0], columns])
  if (sizes.length === 1 && columns > 1) return wordsOf(indices, sizes[0])
  if (sizes.length !== columns)
    throw new ShapeError(
      `defaultNetwork: an input of indices needs the number of them for each of its ${columns} columns, got ${sizes.length} for shape ${formatShape(tensor.shape)}.`,
    )
  const vectors = sizes.map((size, i) => vectorsOf(reshape(slice(indices, [null, [i, i + 1]]), [tensor.shape[0]]), size))
  return vectors.length === 1 ? vectors[0] : concatenate(vectors)
}

/** A text as the mean of the vectors of its words. */
function wordsOf(words: Tensor, size: number): Tensor {
  const isWord = notEqual(cast(words), 0)
  const vectors = multiply(vectorsOf(words, size), reshape(isWord, [...words.shape, 1]))
  return divide(sum(vectors, { axes: [1] }), maximum(sum(isWord, { axes: [1], keepDims: true }), 1))
}

/** As long as a one-hot row is, 1, and of a width that grows with the number of categories more slowly than they do (the rule of fastai). */
function vectorsOf(indices: Tensor, size: number): Tensor {
  const width = Math.min(64, Math.round(1.6 * size ** 0.56))
  return embedding(indices, size, width, { embeddingsInitializer: normalOf(0, 1 / Math.sqrt(width)) })
}
