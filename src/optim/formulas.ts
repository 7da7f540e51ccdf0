/** Formulas and options that optimizers share. */
import type { Hints } from '../checks.ts'
import { describe, OptionError } from '../errors.ts'
import type { Tensor } from '../graph/tensor.ts'
import { abs, add, cast, divide, less, multiply, sqrt, subtract, tanh, where } from '../ops/elementwise.ts'
import { constant, type Operand } from '../ops/source.ts'
import { checkFilter, checkNumber, chooses, MAX_FLOAT, type ParameterFilter, type TrainedParameter } from './optimizer.ts'

/** Options of optimizers that let parameters decay. */
export interface WeightDecay {
  /** How strongly parameters are drawn to 0. */
  weightDecay?: number
  /** Parameters that do not decay, such as 'bias'; default none. Names and patterns that no parameter of the model has are refused. */
  excludeFromDecay?: ParameterFilter
}

export const decayNames = ['weightDecay', 'excludeFromDecay']

/** The decay of each parameter, from options that it checks. */
export function decayOf(where: string, weightDecay: number, exclude: ParameterFilter): (parameter: TrainedParameter) => number {
  checkNumber(where, 'weightDecay', weightDecay, 0, MAX_FLOAT)
  checkFilter(where, 'excludeFromDecay', exclude)
  const parts = Array.isArray(exclude) ? exclude : [exclude]
  // A function cannot be misspelled, and may have been written for other models too.
  const mayChooseNone = parts.length === 0 || parts.some((part) => typeof part === 'function')
  return (parameter) => {
    if (!mayChooseNone && !parameter.siblings.some((each) => chooses(exclude, each)))
      throw new OptionError(
        `${where}: excludeFromDecay, ${parts.map((part) => (part instanceof RegExp ? part : describe(part))).join(', ')}, chooses no parameter of the model; there are ${parameter.siblings.map(({ name }) => name).join(', ')}.`,
      )
    return chooses(exclude, parameter) ? 0 : weightDecay
  }
}

export const hints: Hints = { lr: 'did you mean "learningRate"?' }

/** d = g + λ p: the gradient with that of λ/2 ‖p‖². */
export function decayedGradient(gradient: Tensor, value: Tensor, decay: number): Tensor {
  return decay === 0 ? gradient : add(gradient, multiply(decay, value))
}

/** p - rate λ p: decoupled decay (Loshchilov and Hutter 2019, arXiv:1711.05101). */
export function shrunk(value: Tensor, rate: Tensor, decay: number): Tensor {
  return decay === 0 ? value : subtract(value, multiply(multiply(rate, decay), value))
}

/** The number of the step at hand, 1, 2, …, from that of the steps before it; exact up to 2^24. */
export function stepNumber(steps: Tensor): Tensor {
  return add(cast(steps), 1)
}

/** 1 - β^t, without the cancellation at β^t ≈ 1: 1 - e^x = -2τ / (1 - τ) with τ = tanh(x/2), here x = t ln β. */
export function biasCorrection(beta: number, steps: Tensor): Tensor {
  if (beta === 0) return constant(1)
  const half = tanh(multiply(Math.log(beta) / 2, stepNumber(steps)))
  return divide(multiply(-2, half), subtract(1, half))
}

/** What is below 2^-111 becomes 0: next to any epsilon it means nothing, and left alone it decays into denormals, which are slow. */
export function withoutRemnant(x: Tensor): Tensor {
  return where(less(abs(x), 2 ** -111), 0, x)
}

/** β m + (1 - β) x, as m + (1 - β)(x - m). */
export function runningMean(mean: Tensor, x: Tensor, beta: number): Tensor {
  return withoutRemnant(add(mean, multiply(1 - beta, subtract(x, mean))))
}

/** a / (√b + ε). */
export function overRoot(a: Tensor, b: Tensor, epsilon: Operand): Tensor {
  return divide(a, add(sqrt(b), epsilon))
}
