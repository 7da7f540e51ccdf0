/** Ops that write variables: the end of a training step. They work on flat memory, so the planner joins neighbours into one pass. */
import { ShapeError } from '../errors.ts'
import { defineOp, integers, type Op, type Sample, spec, uniform } from '../graph/op.ts'
import { formatShape, sameShape } from '../graph/shape.ts'
import { apply, expectDtype, type Spec, type Tensor } from '../graph/tensor.ts'

export interface SgdAttributes {
  readonly momentum: number
  readonly nesterov: boolean
  /** L2 decay added to the gradient. */
  readonly weightDecay: number
}

export interface AdamAttributes {
  readonly beta1: number
  readonly beta2: number
  readonly epsilon: number
  /** Decoupled decay (AdamW): the parameter shrinks by learningRate · weightDecay. */
  readonly weightDecay: number
}

function alike(where: string, what: string, inputs: readonly Spec[]): void {
  for (const input of inputs) {
    expectDtype(where, input, 'float32', what)
    if (!sameShape(input.shape, inputs[0].shape))
      throw new ShapeError(`${where}: ${what} must have one shape, got ${formatShape(inputs[0].shape)} and ${formatShape(input.shape)}.`)
  }
}

function scalar(where: string, what: string, input: Spec, dtype: Spec['dtype']): void {
  expectDtype(where, input, dtype, what)
  if (input.shape.length !== 0) throw new ShapeError(`${where}: ${what} must be a scalar, got shape ${formatShape(input.shape)}.`)
}

const rate = uniform([], { low: 0.01, high: 0.1 })
const sgdSample = (size: number[], momentum: number, nesterov = false, weightDecay = 0): Sample<SgdAttributes> => ({
  inputs: momentum === 0 ? [uniform(size), uniform(size), rate] : [uniform(size), uniform(size), uniform(size), rate],
  attributes: { momentum, nesterov, weightDecay },
})
const adamSample = (size: number[], weightDecay = 0): Sample<AdamAttributes> => ({
  inputs: [uniform(size), uniform(size), uniform(size), uniform(size, { low: 0, high: 1 }), rate, integers([], 30)],
  attributes: { beta1: 0.9, beta2: 0.999, epsilon: 1e-7, weightDecay },
})

export const updateOps = {
  // variable = value. Usually no instruction is left: the planner lets `value` be computed in the variable's memory.
  assign: defineOp({
    name: 'assign',
    writes: () => [0],
    infer: (inputs, _, where) => {
      alike(where, 'variable and value', inputs)
      return inputs[0]
    },
    samples: [{ inputs: [uniform([33]), uniform([33])], attributes: {} }],
    rejects: [{ inputs: [spec([3]), spec([4])], attributes: {}, message: /one shape, got \[3\] and \[4\]/ }],
  }),

  // d = g + weightDecay p; v = momentum v + d; p -= rate (nesterov ? d + momentum v : v).   [p g v rate] or, without momentum, [p g rate]
  sgd: defineOp<SgdAttributes>({
    name: 'sgd',
    writes: ({ momentum }) => (momentum === 0 ? [0] : [0, 2]),
    flat: true,
    infer: (inputs, { momentum }, where) => {
      const expected = momentum === 0 ? 3 : 4
      if (inputs.length !== expected)
        throw new ShapeError(`${where}: expected ${expected} operands with momentum ${momentum}, got ${inputs.length}.`)
      alike(where, 'parameter, gradient and velocity', inputs.slice(0, -1))
      scalar(where, 'learning rate', inputs[inputs.length - 1], 'float32')
      return inputs[0]
    },
    samples: [sgdSample([7], 0), sgdSample([3, 5], 0.9), sgdSample([1031], 0.9, true, 0.01), sgdSample([0], 0)],
    rejects: [
      { inputs: [spec([3]), spec([4]), spec([])], attributes: { momentum: 0, nesterov: false, weightDecay: 0 }, message: /one shape/ },
      {
        inputs: [spec([3]), spec([3]), spec([])],
        attributes: { momentum: 0.9, nesterov: false, weightDecay: 0 },
        message: /expected 4 operands/,
      },
    ],
  }),

  // Adam (Kingma and Ba 2015, arXiv:1412.6980, algorithm 1), with decoupled decay (Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2).
  // t = step + 1; p -= rate weightDecay p; m += (1 - β1)(g - m); v += (1 - β2)(g² - v);
  // m and v below 2^-110 become 0;
  // p -= rate m/(1 - β1^t) / (√(v/(1 - β2^t)) + ε).   [p g m v rate step]
  adam: defineOp<AdamAttributes>({
    name: 'adam',
    writes: () => [0, 2, 3],
    flat: true,
    infer: (inputs, _, where) => {
      if (inputs.length !== 6)
        throw new ShapeError(`${where}: expected parameter, gradient, two moments, learning rate and step, got ${inputs.length} operands.`)
      alike(where, 'parameter, gradient and moments', inputs.slice(0, 4))
      scalar(where, 'learning rate', inputs[4], 'float32')
      scalar(where, 'step', inputs[5], 'int32')
      return inputs[0]
    },
    samples: [adamSample([7]), adamSample([3, 5], 0.01), adamSample([1031], 0.1), adamSample([0])],
    rejects: [
      {
        inputs: [spec([3]), spec([3]), spec([3]), spec([4]), spec([]), spec([], 'int32')],
        attributes: { beta1: 0.9, beta2: 0.999, epsilon: 1e-7, weightDecay: 0 },
        message: /one shape/,
      },
      {
        inputs: [spec([3]), spec([3]), spec([3]), spec([3]), spec([]), spec([])],
        attributes: { beta1: 0.9, beta2: 0.999, epsilon: 1e-7, weightDecay: 0 },
        message: /step must be int32/,
      },
    ],
  }),

  // counter += 1.
  increment: defineOp({
    name: 'increment',
    writes: () => [0],
    infer: ([counter], _, where) => {
      scalar(where, 'counter', counter, 'int32')
      return counter
    },
    samples: [{ inputs: [integers([], 100)], attributes: {} }],
    rejects: [{ inputs: [spec([])], attributes: {}, message: /must be int32/ }],
  }),

  // y = 1 if every element of every operand is finite; otherwise y = 0 and the step stops before what follows.
  checkFinite: defineOp({
    name: 'checkFinite',
    flat: true,
    infer: (inputs, _, where) => {
      for (const input of inputs) expectDtype(where, input, 'float32')
      return { shape: [], dtype: 'int32' }
    },
    samples: [
      { inputs: [uniform([5])], attributes: {} },
      { inputs: [uniform([]), uniform([3, 701])], attributes: {} },
    ],
    rejects: [{ inputs: [spec([3], 'int32')], attributes: {}, message: /must be float32/ }],
  }),
}

/** Sets a variable; the result is its new value. */
export function assign(target: Tensor, value: Tensor): Tensor {
  return apply(updateOps.assign as Op, [target, value], {})
}

/** Adds 1 to an int32 scalar variable. */
export function increment(counter: Tensor): Tensor {
  return apply(updateOps.increment, [counter], {})
}

/** Stops a training step before any update if one of the values is NaN or infinite. */
export function checkFinite(values: readonly Tensor[]): Tensor {
  return apply(updateOps.checkFinite, values, {})
}
