import { unknownName } from '../errors.ts'
import type { Tensor } from '../graph/tensor.ts'
import { gelu, geluTanh, relu, sigmoid, softplus, tanh } from '../ops/elementwise.ts'
import { logSoftmax, softmax } from '../ops/softmax.ts'

const named = {
  linear: (x: Tensor) => x,
  relu,
  gelu,
  geluTanh,
  sigmoid,
  tanh,
  softplus,
  softmax: (x: Tensor) => softmax(x),
  logSoftmax: (x: Tensor) => logSoftmax(x),
}

export type ActivationName = keyof typeof named

/** An activation by name, or any function of one symbolic tensor. */
export type ActivationChoice = ActivationName | ((x: Tensor) => Tensor)

export function activationFunction(where: string, choice: ActivationChoice): (x: Tensor) => Tensor {
  if (typeof choice === 'function') return choice
  if (!Object.hasOwn(named, choice)) throw unknownName('activation', choice, Object.keys(named), where)
  return named[choice]
}
