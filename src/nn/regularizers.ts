/** Penalties: functions from a parameter, or from what a layer puts out, to a scalar that is added to the loss. */
import { checkOptions } from '../checks.ts'
import { describe, OptionError, ShapeError } from '../errors.ts'
import { formatShape } from '../graph/shape.ts'
import { ancestors, apply, expectTensor, type Tensor } from '../graph/tensor.ts'
import { abs, add, divide, maximum, multiply, sqrt, square, subtract } from '../ops/elementwise.ts'
import { matmul } from '../ops/matmul.ts'
import { sum } from '../ops/reduce.ts'
import { elementCount, expectScalar, isVariable, sourceOps, type VariableAttributes } from '../ops/source.ts'

/** A penalty, added to the loss: a function from a parameter (or the output of a layer) to a scalar. */
export type Regularizer = (x: Tensor) => Tensor

function checkStrength(where: string, name: string, value: unknown): void {
  if (typeof value !== 'number' || !(value >= 0 && value < Number.POSITIVE_INFINITY))
    throw new OptionError(`${where}: ${name} must be a number of at least 0, got ${describe(value)}.`)
}

/**
 * λ Σ |w|, the L1 norm, which makes weights 0 that do not matter (Tibshirani 1996). The slope at 0 is 0.
 *
 * @param strength λ ≥ 0, default 0.01.
 * @example dense(8, { kernelRegularizer: l1(1e-4) })
 */
export function l1(strength = 0.01): Regularizer {
  checkStrength('l1', 'strength', strength)
  return (x) => multiply(strength, sum(abs(x)))
}

/**
 * λ Σ w², the squared L2 norm (Keras' convention: no factor of 1/2).
 *
 * @param strength λ ≥ 0, default 0.01.
 * @example dense(8, { kernelRegularizer: l2(1e-4) })
 */
export function l2(strength = 0.01): Regularizer {
  checkStrength('l2', 'strength', strength)
  return (x) => multiply(strength, sum(square(x)))
}

/**
 * λ₁ Σ |w| + λ₂ Σ w², the elastic net (Zou and Hastie 2005, equation 3).
 *
 * @param options `l1`: λ₁ ≥ 0, default 0.01; `l2`: λ₂ ≥ 0, default 0.01.
 * @example dense(8, { kernelRegularizer: l1l2({ l1: 1e-5, l2: 1e-4 }) })
 */
export function l1l2(options: { l1?: number; l2?: number } = {}): Regularizer {
  checkOptions('l1l2', options, ['l1', 'l2'])
  const { l1: absolute = 0.01, l2: squared = 0.01 } = options
  checkStrength('l1l2', 'l1', absolute)
  checkStrength('l1l2', 'l2', squared)
  const [first, second] = [l1(absolute), l2(squared)]
  return (x) => add(first(x), second(x))
}

/**
 * λ times the mean |cos| of the angles between the columns of a matrix (the weights of each unit), or its rows: 0 where they are at
 * right angles to each other, whatever their lengths (Keras' OrthogonalRegularizer; after Brock et al. 2017, arXiv:1609.07093).
 *
 * @param strength λ ≥ 0, default 0.01.
 * @param options `mode`: "columns" or "rows" (default, as in Keras).
 * @example dense(8, { kernelRegularizer: orthogonalRegularizer(0.01, { mode: 'columns' }) })
 */
export function orthogonalRegularizer(strength = 0.01, options: { mode?: 'rows' | 'columns' } = {}): Regularizer {
  checkStrength('orthogonalRegularizer', 'strength', strength)
  checkOptions('orthogonalRegularizer', options, ['mode'])
  const { mode = 'rows' } = options
  if (mode !== 'rows' && mode !== 'columns')
    throw new OptionError(`orthogonalRegularizer: mode must be "rows" or "columns", got ${describe(mode)}.`)
  const along = mode === 'rows' ? 1 : 0
  return (x) => {
    const count = x.shape[1 - along]
    if (x.rank !== 2 || typeof count !== 'number')
      throw new ShapeError(`orthogonalRegularizer: expected a matrix, got ${formatShape(x.shape)}; use it for kernels.`)
    // Under the root, so that a row of zeros has a gradient.
    const unit = divide(x, sqrt(maximum(sum(square(x), { axes: [along], keepDims: true }), 1e-14)))
    const cosines = matmul(unit, unit, { transposeA: mode === 'columns', transposeB: mode === 'rows' })
    // The diagonal, each row with itself, is Σ unit².
    const others = subtract(sum(abs(cosines)), sum(square(unit)))
    return multiply(strength / Math.max(1, count * (count - 1)), others)
  }
}

function checkedPenalty(where: string, penalty: Tensor): Tensor {
  expectTensor(where, penalty, 'what the function returns')
  expectScalar(where, penalty)
  return penalty
}

/** y itself, with its penalty divided by the batch size (as in Keras, so that the batch size does not change how much it counts). */
export function penalised(y: Tensor, regularize: Regularizer | undefined, where: string): Tensor {
  if (regularize === undefined) return y
  const penalty = checkedPenalty(`${where}: the penalty on activity`, regularize(y))
  return apply(sourceOps.penalised, [y, divide(penalty, elementCount(y.shape.slice(0, 1)))], {})
}

/** What `penalised` was given, or the tensor itself. */
export function withoutPenalty(y: Tensor): Tensor {
  return y.op === sourceOps.penalised ? y.inputs[0] : y
}

/** All penalties behind the outputs of a model: of parameters first, then of activities. */
export function penalties(where: string, outputs: readonly Tensor[]): Tensor[] {
  const nodes = ancestors(outputs)
  const ofParameters = nodes.filter(isVariable).flatMap((variable) => {
    const { name, regularize } = variable.attributes as VariableAttributes
    return regularize === undefined ? [] : [checkedPenalty(`${where}: the penalty on ${name}`, regularize(variable))]
  })
  return [...ofParameters, ...activityPenalties(outputs)]
}

/** All penalties of activities that tensors are made of. */
export function activityPenalties(tensors: readonly Tensor[]): Tensor[] {
  return ancestors(tensors).flatMap(({ op, inputs }) => (op === sourceOps.penalised ? [inputs[1]] : []))
}
