import { describe, OptionError } from '../errors.ts'
import type { Tensor } from '../graph/tensor.ts'
import { multiply, square } from '../ops/elementwise.ts'
import { sum } from '../ops/reduce.ts'

/** A penalty on a parameter, added to the loss: a function from the parameter to a scalar. */
export type Regularizer = (parameter: Tensor) => Tensor

/**
 * λ Σ w², the squared L2 norm (Keras' convention: no factor of 1/2).
 *
 * @param strength λ ≥ 0, default 0.01.
 */
export function l2(strength = 0.01): Regularizer {
  if (typeof strength !== 'number' || !(strength >= 0 && strength < Number.POSITIVE_INFINITY))
    throw new OptionError(`l2: strength must be a number of at least 0, got ${describe(strength)}.`)
  return (parameter) => multiply(strength, sum(square(parameter)))
}
