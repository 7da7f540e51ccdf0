/** Constraints: functions from a parameter to the nearest one that is allowed, applied after each update of the optimizer. */
import { checkOptions } from '../checks.ts'
import { describe, OptionError } from '../errors.ts'
import { formatShape } from '../graph/shape.ts'
import type { Tensor } from '../graph/tensor.ts'
import { divide, maximum, minimum, multiply, relu, sqrt, square } from '../ops/elementwise.ts'
import { sum } from '../ops/reduce.ts'

/** What a parameter is replaced by after each update: a function from the parameter to a tensor of its shape. */
export type Constraint = (parameter: Tensor) => Tensor

export interface NormOptions {
  /** The axes that a norm is taken over. Default [0]: the weights that lead into each unit of a kernel [features, units]. */
  readonly axes?: readonly number[]
}

function checkNorm(where: string, options: NormOptions): readonly number[] {
  checkOptions(where, options, ['axes'])
  const { axes = [0] } = options
  if (!Array.isArray(axes) || !axes.every(Number.isInteger) || axes.length === 0)
    throw new OptionError(
      `${where}: axes must be an array of integers, got ${Array.isArray(axes) ? formatShape(axes) : describe(axes)}; the default is [0].`,
    )
  return axes
}

const normOver = (axes: readonly number[], parameter: Tensor) => sqrt(sum(square(parameter), { axes, keepDims: true }))

/**
 * w · min(1, limit / ‖w‖): weights of a norm above the limit are scaled down to it, others stay as they are (Srivastava et al. 2014, "Dropout", section 5.1).
 *
 * @param limit Above 0, default 2, as in Keras.
 * @example dense(8, { kernelConstraint: maxNorm(3) })
 */
export function maxNorm(limit = 2, options: NormOptions = {}): Constraint {
  if (typeof limit !== 'number' || !(limit > 0 && limit < Number.POSITIVE_INFINITY))
    throw new OptionError(`maxNorm: limit must be a number above 0, got ${describe(limit)}.`)
  const axes = checkNorm('maxNorm', options)
  // Of a norm of 0 the quotient is infinite, and the smaller of the two is 1.
  return (parameter) => multiply(parameter, minimum(1, divide(limit, normOver(axes, parameter))))
}

/**
 * w / ‖w‖: weights of norm 1. Those of a norm below 1e-7 are divided by that, so that zeros stay zeros.
 *
 * @example dense(8, { kernelConstraint: unitNorm() })
 */
export function unitNorm(options: NormOptions = {}): Constraint {
  const axes = checkNorm('unitNorm', options)
  return (parameter) => divide(parameter, maximum(normOver(axes, parameter), 1e-7))
}

/**
 * max(w, 0): no weight below 0.
 *
 * @example dense(8, { kernelConstraint: nonNegative() })
 */
export function nonNegative(): Constraint {
  return (parameter) => relu(parameter)
}
