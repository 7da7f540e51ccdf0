/** Ops that write variables: the end of a training step. Nearly all work on flat memory, so the planner joins neighbours into one pass. */
import { GraphError, ShapeError } from '../errors.ts'
import { defineOp, integers, type Op, type Sample, spec, uniform } from '../graph/op.ts'
import { broadcastShapes, concrete, formatShape, sameShape, sizeOf } from '../graph/shape.ts'
import { apply, expectDtype, locate, type Spec, type Tensor } from '../graph/tensor.ts'
import { constantValue, isVariable } from './source.ts'

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
  /** Whether epsilon is added to √v before its bias is corrected. */
  readonly epsilonHat: boolean
  /** Decoupled decay (AdamW): the parameter shrinks by learningRate · weightDecay. */
  readonly weightDecay: number
}

/** An update whose gradient is a product: which one it is, and the attributes of that op. Made by the planner, see plan/defer.ts. */
export type MatmulUpdateAttributes = ({ readonly rule: 'sgd' } & SgdAttributes) | ({ readonly rule: 'adam' } & AdamAttributes)

/** Several variables set at once; in the graph without steps, in a plan with the elementwise ops that give the values. */
export interface UpdateAttributes {
  /** How many of the inputs are variables: the first ones. */
  readonly targets: number
  /** As in a chain (`ChainAttributes`): operand k < inputs is an input, inputs + k the result of step k. */
  readonly steps: readonly string[]
  /** For each variable the operand that is its new value. */
  readonly results: readonly number[]
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

/** The shape of aᵀ b: [rows, columns]. */
function productShape(where: string, a: Spec, b: Spec): Spec['shape'] {
  expectDtype(where, a, 'float32', 'a')
  expectDtype(where, b, 'float32', 'b')
  if (a.shape.length !== 2 || b.shape.length !== 2 || a.shape[0] !== b.shape[0])
    throw new ShapeError(
      `${where}: expected a [batch, rows] and b [batch, columns], got a ${formatShape(a.shape)} and b ${formatShape(b.shape)}.`,
    )
  return [a.shape[1], b.shape[1]]
}

const rate = uniform([], { low: 0.01, high: 0.1 })
const sgdSample = (size: number[], momentum: number, nesterov = false, weightDecay = 0): Sample<SgdAttributes> => ({
  inputs: momentum === 0 ? [uniform(size), uniform(size), rate] : [uniform(size), uniform(size), uniform(size), rate],
  attributes: { momentum, nesterov, weightDecay },
})
const adamSample = (size: number[], weightDecay = 0, epsilonHat = false): Sample<AdamAttributes> => ({
  inputs: [uniform(size), uniform(size), uniform(size), uniform(size, { low: 0, high: 1 }), rate, integers([], 30)],
  attributes: { beta1: 0.9, beta2: 0.999, epsilon: 1e-7, epsilonHat, weightDecay },
})

/** A sample of `sgd` or `adam`, with a product in the place of its gradient. */
const matmulUpdateSample = (
  batch: number,
  { inputs: [p, , ...others], attributes }: Sample<SgdAttributes> | Sample<AdamAttributes>,
): Sample<MatmulUpdateAttributes> => {
  const [rows, columns] = p.shape
  const rule = 'momentum' in attributes ? { rule: 'sgd' as const, ...attributes } : { rule: 'adam' as const, ...attributes }
  return { inputs: [p, uniform([batch, rows]), uniform([batch, columns]), ...others], attributes: rule }
}

const updateSample = (sizes: number[][], targets: number, steps: string[], results: number[]): Sample<UpdateAttributes> => ({
  inputs: sizes.map((size) => uniform(size)),
  attributes: { targets, steps, results },
})

/** Limit of one chain of elementwise ops, and so of one update; the native kernels have room for as many. */
export const MAX_CHAIN_INPUTS = 16

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

  // Each of the first `targets` inputs = its value, all at once: every value is made from what the variables held before.
  update: defineOp<UpdateAttributes>({
    name: 'update',
    writes: ({ targets }) => Array.from({ length: targets }, (_, i) => i),
    flat: true,
    infer: (inputs, { targets, steps, results }, where) => {
      if (targets < 1 || targets > inputs.length || results.length !== targets)
        throw new ShapeError(`${where}: expected one result for each variable, got ${results.length} for ${targets}.`)
      const [{ shape }] = inputs
      alike(where, 'variables', inputs.slice(0, targets))
      inputs.reduce((joined, input) => broadcastShapes(where, joined, input.shape), shape)
      if (results.some((result) => result < 0 || result >= inputs.length + steps.length))
        throw new ShapeError(`${where}: results must be operands below ${inputs.length + steps.length}, got ${results.join(', ')}.`)
      return inputs[0]
    },
    samples: [
      updateSample([[7], [7]], 1, [], [1]),
      updateSample([[3, 5], [3, 5], [3, 5], []], 2, ['multiply 2 3', 'subtract 0 4', 'add 1 2'], [5, 6]),
      // The second value is made from the first variable as it was.
      updateSample([[1031], [1031], []], 2, ['add 0 1', 'multiply 0 2'], [3, 4]),
      updateSample([[1031], [1031]], 2, ['add 0 1'], [1, 0]),
      updateSample([[19, 33], [33], []], 1, ['multiply 0 1'], [3]),
      updateSample([[40_007], [40_007], []], 2, ['square 0', 'multiply 1 2', 'add 3 4', 'sqrt 3'], [6, 5]),
      updateSample([[5], []], 1, [], [1]),
      updateSample([[0], [0]], 1, ['square 1'], [2]),
    ],
    rejects: [
      { inputs: [spec([3]), spec([4])], attributes: { targets: 2, steps: [], results: [1, 0] }, message: /one shape, got \[3\] and \[4\]/ },
      { inputs: [spec([3]), spec([3])], attributes: { targets: 1, steps: [], results: [] }, message: /one result for each variable/ },
      { inputs: [spec([3]), spec([3])], attributes: { targets: 1, steps: [], results: [2] }, message: /operands below 2, got 2/ },
      { inputs: [spec([3]), spec([4])], attributes: { targets: 1, steps: [], results: [1] }, message: /\[3\] and \[4\] do not broadcast/ },
    ],
  }),

  // d = g + weightDecay p; v = momentum v + d; v below 2^-111 becomes 0; p -= rate (nesterov ? d + momentum v : v).
  // [p g v rate] or, without momentum, [p g rate]
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
  // m and v below 2^-111 become 0;
  // p -= rate m/(1 - β1^t) / (√(v/(1 - β2^t)) + ε), or with epsilonHat p -= rate √(1 - β2^t)/(1 - β1^t) m / (√v + ε).   [p g m v rate step]
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
    samples: [adamSample([7]), adamSample([3, 5], 0.01), adamSample([1031], 0.1), adamSample([1031], 0.1, true), adamSample([0])],
    rejects: [
      {
        inputs: [spec([3]), spec([3]), spec([3]), spec([4]), spec([]), spec([], 'int32')],
        attributes: { beta1: 0.9, beta2: 0.999, epsilon: 1e-7, epsilonHat: false, weightDecay: 0 },
        message: /one shape/,
      },
      {
        inputs: [spec([3]), spec([3]), spec([3]), spec([3]), spec([]), spec([])],
        attributes: { beta1: 0.9, beta2: 0.999, epsilon: 1e-7, epsilonHat: false, weightDecay: 0 },
        message: /step must be int32/,
      },
    ],
  }),

  // sgd or adam with g = aᵀ b, which is never stored: p [rows, columns], a [batch, rows], b [batch, columns]; then what the op of that name
  // reads behind its gradient. The bits are those of the product and the op one after the other.
  // [p a b v rate] or, without momentum, [p a b rate]; [p a b m v rate step]
  matmulUpdate: defineOp<MatmulUpdateAttributes>({
    name: 'matmulUpdate',
    writes: (attributes): readonly number[] => {
      const written = ruleOf(attributes).writes?.(attributes) ?? []
      return written.map((i) => (i === 0 ? 0 : i + 1))
    },
    infer: (inputs, attributes, where): Spec => {
      if (inputs.length < 3) throw new ShapeError(`${where}: expected parameter, a and b, and what the update reads, got ${inputs.length}.`)
      const [p, a, b, ...others] = inputs
      const gradient: Spec = { shape: productShape(where, a, b), dtype: 'float32' }
      return ruleOf(attributes).infer([p, gradient, ...others], attributes, where)
    },
    // Those of the product.
    flops: ([p, a]) => 2 * sizeOf(concrete(p.shape)) * (a.shape[0] as number),
    samples: [
      matmulUpdateSample(3, sgdSample([2, 5], 0)),
      matmulUpdateSample(1, sgdSample([1, 1], 0.9)),
      matmulUpdateSample(17, sgdSample([33, 49], 0.9, true, 0.01)),
      matmulUpdateSample(33, sgdSample([130, 257], 0.9)),
      matmulUpdateSample(0, sgdSample([7, 5], 0.9)),
      matmulUpdateSample(2, sgdSample([0, 5], 0)),
      matmulUpdateSample(4, adamSample([3, 7])),
      matmulUpdateSample(1, adamSample([37, 19], 0.01)),
      matmulUpdateSample(70, adamSample([65, 31], 0.1, true)),
      matmulUpdateSample(33, adamSample([131, 250])),
      matmulUpdateSample(384, adamSample([16, 100])),
      matmulUpdateSample(5, adamSample([1, 1031])),
      matmulUpdateSample(5, adamSample([1031, 1])),
      matmulUpdateSample(3, adamSample([5, 0])),
    ],
    rejects: [
      {
        inputs: [spec([3, 4]), spec([2, 3]), spec([5, 4]), spec([])],
        attributes: { rule: 'sgd', momentum: 0, nesterov: false, weightDecay: 0 },
        message: /got a \[2, 3\] and b \[5, 4\]/,
      },
      {
        inputs: [spec([3, 4]), spec([2, 3]), spec([2, 5]), spec([])],
        attributes: { rule: 'sgd', momentum: 0, nesterov: false, weightDecay: 0 },
        message: /one shape, got \[3, 4\] and \[3, 5\]/,
      },
      {
        inputs: [spec([3, 4]), spec([2, 3]), spec([2, 4]), spec([3, 4]), spec([3, 4]), spec([]), spec([])],
        attributes: { rule: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-7, epsilonHat: false, weightDecay: 0 },
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

  // y = x; where x is 0 the step ends here, and what follows waits for a later one.
  continueIf: defineOp({
    name: 'continueIf',
    infer: ([x], _, where) => {
      scalar(where, 'condition', x, 'float32')
      return x
    },
    samples: [
      { inputs: [uniform([], { low: 1, high: 1 })], attributes: {} },
      { inputs: [uniform([], { low: 0, high: 0 })], attributes: {} },
    ],
    rejects: [
      { inputs: [spec([2])], attributes: {}, message: /condition must be a scalar, got shape \[2\]/ },
      { inputs: [spec([], 'int32')], attributes: {}, message: /must be float32/ },
    ],
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

  // y = 1 if every element of aᵀ b is finite; otherwise y = 0 and the step stops before what follows. a [batch, rows], b [batch, columns].
  checkMatmul: defineOp({
    name: 'checkMatmul',
    infer: ([a, b], _, where) => {
      productShape(where, a, b)
      return { shape: [], dtype: 'int32' }
    },
    samples: [
      { inputs: [uniform([3, 2]), uniform([3, 5])], attributes: {} },
      { inputs: [uniform([33, 130]), uniform([33, 257])], attributes: {} },
      { inputs: [uniform([0, 5]), uniform([0, 3])], attributes: {} },
      { inputs: [uniform([4, 0]), uniform([4, 3])], attributes: {} },
      // Elements below the largest float by a factor of 2 to 12, of 1.5, and beyond it.
      { inputs: [uniform([7, 19], { low: 2e18, high: 5e18 }), uniform([7, 37], { low: 2e18, high: 5e18 })], attributes: {} },
      { inputs: [uniform([1, 1], { low: 1.5e19, high: 1.5e19 }), uniform([1, 1], { low: 1.5e19, high: 1.5e19 })], attributes: {} },
      { inputs: [uniform([7, 19], { low: 1e20, high: 2e20 }), uniform([7, 37], { low: 1e20, high: 2e20 })], attributes: {} },
    ],
    rejects: [
      { inputs: [spec([3, 2]), spec([4, 2])], attributes: {}, message: /got a \[3, 2\] and b \[4, 2\]/ },
      { inputs: [spec([3]), spec([3, 2])], attributes: {}, message: /got a \[3\] and b \[3, 2\]/ },
      { inputs: [spec([3, 2]), spec([3, 2], 'int32')], attributes: {}, message: /b must be float32/ },
    ],
  }),
}

/** The op that a `matmulUpdate` does the work of, behind its product. */
function ruleOf({ rule }: MatmulUpdateAttributes): Op {
  return updateOps[rule]
}

/** The variable that a tensor is, or is an update of; null for any other. */
export function variableBehind(tensor: Tensor): Tensor | null {
  let x = tensor
  while (x.op.writes !== undefined) x = x.inputs[0]
  return isVariable(x) ? x : null
}

function expectVariable(where: string, target: Tensor): void {
  if (variableBehind(target) === null)
    throw new GraphError(`${where}: expected a variable, such as parameter(…) makes, or an update of one, got ${target}.`)
}

/**
 * Sets a variable at the end of a step; the result is its new value, for what has to read it.
 *
 * @param target A variable or the result of an earlier update of it.
 * @param value float32, of the variable's shape.
 * @throws GraphError if the target is no variable.
 * @example assign(parameter('average', [4], zeros), multiply(parameter('kernel', [4], ones), 0.5))
 */
export function assign(target: Tensor, value: Tensor): Tensor {
  expectVariable(locate('assign'), target)
  return apply(updateOps.assign as Op, [target, value], {})
}

/**
 * Sets several variables of one shape at once, in one pass over memory; all values are made from what the variables held before.
 *
 * @param targets Variables, or results of earlier updates: at most eight if each gets a value of its own.
 * @param values As many, of the variables' shape or a scalar. What they are made of by elementwise ops belongs to the pass.
 * @returns The first variable after the update, for what has to read it; of the others nothing can be read again in this step.
 * @throws GraphError if a target is no variable, or listed twice, or there are more than 16 different variables and values.
 * @example assignAll([parameter('a', [4], zeros), parameter('b', [4], ones)], [constant(1), constant(2)])
 */
export function assignAll(targets: readonly Tensor[], values: readonly Tensor[]): Tensor {
  if (targets.length !== values.length)
    throw new ShapeError(
      `${locate('update')}: expected a value for each variable, got ${targets.length} variables and ${values.length} values.`,
    )
  for (const target of targets) expectVariable(locate('update'), target)
  if (new Set(targets.map(variableBehind)).size < targets.length) throw new GraphError(`${locate('update')}: a variable is listed twice.`)
  const operands = new Set<Tensor | number>([...targets, ...values.map((value) => constantValue(value) ?? value)])
  if (operands.size > MAX_CHAIN_INPUTS)
    throw new GraphError(
      `${locate('update')}: expected at most ${MAX_CHAIN_INPUTS} different variables and values, got ${operands.size}; use several updates.`,
    )
  const results = values.map((_, i) => targets.length + i)
  return apply(updateOps.update, [...targets, ...values], { targets: targets.length, steps: [], results })
}

/** Adds 1 to an int32 scalar variable. */
export function increment(counter: Tensor): Tensor {
  return apply(updateOps.increment, [counter], {})
}

/**
 * Ends a training step here when the condition (a float32 scalar) is 0: the updates behind it wait for a later step.
 *
 * @example continueIf(greater(parameter('count', [], zeros), 3))
 */
export function continueIf(condition: Tensor): Tensor {
  return apply(updateOps.continueIf, [condition], {})
}

/** Stops a training step before any update if one of the values is NaN or infinite. */
export function checkFinite(values: readonly Tensor[]): Tensor {
  return apply(updateOps.checkFinite, values, {})
}
