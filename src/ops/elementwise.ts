/**
 * Ops that treat each element alone. They broadcast by numpy's rules, and the planner joins chains of them
 * into one instruction, `elementwise`. The meaning of each is its `compute`, in double precision.
 */

import { ShapeError } from '../errors.ts'
import {
  defineOp,
  type GradientCall,
  integers,
  type Op,
  type RewriteCall,
  type Sample,
  type SampleInput,
  spec,
  uniform,
} from '../graph/op.ts'
import { broadcastShapes, type Shape, sameShape } from '../graph/shape.ts'
import { apply, type Dtype, expectDtype, type Tensor } from '../graph/tensor.ts'
import { sumTo } from './reduce.ts'
import { asTensor, constantValue, type Operand } from './source.ts'
import * as special from './special.ts'

type None = Record<never, never>

interface Elementwise {
  compute: (a: number, b: number, c: number) => number
  gradient: (call: GradientCall<None>) => readonly (Tensor | null)[]
  simplify?: (call: RewriteCall<None>) => Tensor | null
  /** How the samples' values are drawn, one per operand. */
  draw?: readonly Omit<Parameters<typeof uniform>[1] & object, never>[]
  dtype?: Dtype
}

const NAMES = ['a', 'b', 'c']

/** Shapes every elementwise op is tested on: scalar, empty, width-1, width, width+1, prime, larger than a tile; broadcast on either side. */
const UNARY_SHAPES = [[], [1], [3, 0], [7], [16], [17], [4, 7], [37, 53]]
const BINARY_SHAPES = [
  [[], []],
  [
    [4, 7],
    [4, 7],
  ],
  [[4, 7], [7]],
  [
    [4, 1],
    [1, 7],
  ],
  [[3], [2, 3]],
  [[2, 3, 5], []],
  [[], [3, 0]],
  [
    [2, 1, 5],
    [3, 1],
  ],
  [[31, 67], [67]],
  [
    [67, 31],
    [67, 1],
  ],
]
const TERNARY_SHAPES = [
  [
    [4, 7],
    [4, 7],
    [4, 7],
  ],
  [[], [5], [4, 5]],
  [[17, 1], [17, 33], [33]],
]

function elementwise(name: string, arity: 1 | 2 | 3, definition: Elementwise): Op<None> {
  const { compute, gradient, simplify, draw = [], dtype = 'float32' } = definition
  const shapes: readonly (readonly number[])[][] =
    arity === 1 ? UNARY_SHAPES.map((shape) => [shape]) : arity === 2 ? BINARY_SHAPES : TERNARY_SHAPES
  const sampleInput = (shape: readonly number[], i: number): SampleInput =>
    dtype === 'int32' ? integers(shape, 9) : uniform(shape, draw[i] ?? draw[0] ?? {})
  const other: Dtype = dtype === 'float32' ? 'int32' : 'float32'
  return defineOp<None>({
    name,
    compute,
    infer(inputs, _, where) {
      if (inputs.length !== arity) throw new ShapeError(`${where}: expected ${arity} operand(s), got ${inputs.length}.`)
      for (const [i, input] of inputs.entries()) expectDtype(where, input, dtype, `operand ${NAMES[i]}`)
      return { shape: inputs.map((input) => input.shape).reduce((a, b) => broadcastShapes(where, a, b)), dtype: 'float32' }
    },
    gradient: (call) => gradient(call).map((dx, i) => (dx === null ? null : sumTo(dx, call.inputs[i].shape))),
    simplify,
    samples: shapes.map((operands): Sample<None> => ({ inputs: operands.map(sampleInput), attributes: {} })),
    rejects: [
      {
        inputs: Array.from({ length: arity }, () => spec([2], other)),
        attributes: {},
        message: new RegExp(`must be ${dtype}, got ${other}`),
      },
      { inputs: Array.from({ length: arity + 1 }, () => spec([2], dtype)), attributes: {}, message: /expected \d operand/ },
      ...(arity > 1
        ? [
            {
              inputs: [spec([2, 3]), spec([2, 4]), spec([])].slice(0, arity),
              attributes: {},
              message: /\[2, 3\] and \[2, 4\] do not broadcast/,
            },
          ]
        : []),
    ],
  })
}

const flat = () => [null, null]
const sqrtHalf = Math.SQRT1_2

export const elementwiseOps = {
  add: elementwise('add', 2, {
    compute: (a, b) => a + b,
    gradient: ({ dy }) => [dy, dy],
    simplify: ({ inputs: [a, b] }) => (isConstant(b, 0, a, b) ? a : isConstant(a, 0, b, a) ? b : null),
  }),
  subtract: elementwise('subtract', 2, {
    compute: (a, b) => a - b,
    gradient: ({ dy }) => [dy, negate(dy)],
    simplify: ({ inputs: [a, b] }) => (isConstant(b, 0, a, b) ? a : null),
  }),
  multiply: elementwise('multiply', 2, {
    compute: (a, b) => a * b,
    gradient: ({ inputs: [a, b], dy }) => [multiply(dy, b), multiply(dy, a)],
    simplify: ({ inputs: [a, b] }) => (isConstant(b, 1, a, b) ? a : isConstant(a, 1, b, a) ? b : (oneFactor(a, b) ?? oneFactor(b, a))),
  }),
  divide: elementwise('divide', 2, {
    compute: (a, b) => a / b,
    gradient: ({ inputs: [, b], output, dy }) => [divide(dy, b), negate(multiply(dy, divide(output, b)))],
    simplify: ({ inputs: [a, b] }) => (isConstant(b, 1, a, b) ? a : null),
    draw: [{}, { low: 0.5, high: 2 }],
  }),
  // The larger of two; NaN if either is. At a tie each side gets half of the gradient.
  maximum: elementwise('maximum', 2, {
    compute: (a, b) => Math.max(a, b),
    gradient: ({ inputs: [a, b], dy }) => [multiply(dy, shareOfLarger(a, b)), multiply(dy, shareOfLarger(b, a))],
    draw: [
      { low: -2, high: 0.4 },
      { low: 0.6, high: 2 },
    ],
  }),
  minimum: elementwise('minimum', 2, {
    compute: (a, b) => Math.min(a, b),
    gradient: ({ inputs: [a, b], dy }) => [multiply(dy, shareOfLarger(b, a)), multiply(dy, shareOfLarger(a, b))],
    draw: [
      { low: -2, high: 0.4 },
      { low: 0.6, high: 2 },
    ],
  }),
  power: elementwise('power', 2, {
    compute: (a, b) => special.power(a, b),
    gradient: ({ inputs: [a, b], output, dy }) => [
      // 0 for an exponent of 0, where b a^(b-1) would be 0 · ∞ at a = 0.
      multiply(dy, where(equal(b, 0), 0, multiply(b, power(a, subtract(b, 1))))),
      multiply(dy, where(greater(a, 0), multiply(output, log(where(greater(a, 0), a, 1))), 0)),
    ],
    simplify: ({ inputs: [a, b] }) => {
      const exponent = constantValue(b)
      if (exponent === 1) return a
      if (exponent === 2) return square(a)
      if (exponent === 3) return multiply(square(a), a)
      if (exponent === 0.5) return sqrt(a)
      return exponent === -1 ? reciprocal(a) : null
    },
    draw: [
      { low: 0.3, high: 2 },
      { low: -1.5, high: 2.5 },
    ],
  }),
  negate: elementwise('negate', 1, {
    compute: (x) => -x,
    gradient: ({ dy }) => [negate(dy)],
    simplify: ({ inputs: [x] }): Tensor | null => (x.op === elementwiseOps.negate ? x.inputs[0] : null),
  }),
  abs: elementwise('abs', 1, { compute: Math.abs, gradient: ({ inputs: [x], dy }) => [multiply(dy, sign(x))], draw: [{ awayFrom: [0] }] }),
  sign: elementwise('sign', 1, { compute: Math.sign, gradient: flat, draw: [{ awayFrom: [0] }] }),
  exp: elementwise('exp', 1, { compute: Math.exp, gradient: ({ output, dy }) => [multiply(dy, output)] }),
  log: elementwise('log', 1, { compute: Math.log, gradient: ({ inputs: [x], dy }) => [divide(dy, x)], draw: [{ low: 0.2, high: 4 }] }),
  sqrt: elementwise('sqrt', 1, {
    compute: Math.sqrt,
    gradient: ({ output, dy }) => [divide(multiply(0.5, dy), output)],
    draw: [{ low: 0.2, high: 4 }],
  }),
  square: elementwise('square', 1, { compute: (x) => x * x, gradient: ({ inputs: [x], dy }) => [multiply(dy, multiply(2, x))] }),
  reciprocal: elementwise('reciprocal', 1, {
    compute: (x) => 1 / x,
    gradient: ({ output, dy }) => [negate(multiply(dy, square(output)))],
    draw: [{ low: 0.4, high: 3 }],
  }),
  erf: elementwise('erf', 1, {
    compute: special.erf,
    gradient: ({ inputs: [x], dy }) => [multiply(dy, multiply(2 / Math.sqrt(Math.PI), exp(negate(square(x)))))],
  }),
  sigmoid: elementwise('sigmoid', 1, {
    compute: special.sigmoid,
    gradient: ({ output, dy }) => [multiply(dy, multiply(output, subtract(1, output)))],
  }),
  tanh: elementwise('tanh', 1, { compute: Math.tanh, gradient: ({ output, dy }) => [multiply(dy, subtract(1, square(output)))] }),
  // y = max(x, 0). The slope at 0 is 0. Reads y, so x may be freed.
  relu: elementwise('relu', 1, {
    compute: (x) => (x < 0 ? 0 : x),
    gradient: ({ output, dy }) => [reluGradient(output, dy)],
    draw: [{ awayFrom: [0] }],
  }),
  // dy where y > 0, else 0: the gradient of relu by its output, which stands behind so many products that it is one step and not two.
  reluGradient: elementwise('reluGradient', 2, {
    compute: (y, dy) => (y > 0 ? dy : 0),
    gradient: ({ inputs: [y], dy }) => [null, reluGradient(y, dy)],
    draw: [{ awayFrom: [0] }, {}],
  }),
  softplus: elementwise('softplus', 1, { compute: special.softplus, gradient: ({ inputs: [x], dy }) => [multiply(dy, sigmoid(x))] }),
  // y = x Φ(x), so y' = Φ(x) + x φ(x).
  gelu: elementwise('gelu', 1, {
    compute: special.gelu,
    gradient: ({ inputs: [x], dy }) => {
      const distribution = multiply(0.5, add(1, erf(multiply(x, sqrtHalf))))
      const density = multiply(1 / Math.sqrt(2 * Math.PI), exp(multiply(-0.5, square(x))))
      return [multiply(dy, add(distribution, multiply(x, density)))]
    },
  }),
  // y = x/2 (1 + t), t = tanh(u), u = k (x + c x³), so y' = (1 + t)/2 + x/2 (1 - t²) k (1 + 3 c x²).
  geluTanh: elementwise('geluTanh', 1, {
    compute: special.geluTanh,
    gradient: ({ inputs: [x], dy }) => {
      const k = Math.sqrt(2 / Math.PI)
      const c = 0.044715
      const t = tanh(multiply(multiply(k, x), add(1, multiply(c, square(x)))))
      const inner = multiply(k, add(1, multiply(3 * c, square(x))))
      return [multiply(dy, add(multiply(0.5, add(1, t)), multiply(multiply(0.5, x), multiply(subtract(1, square(t)), inner))))]
    },
  }),
  greater: elementwise('greater', 2, { compute: (a, b) => (a > b ? 1 : 0), gradient: flat, draw: APART() }),
  greaterEqual: elementwise('greaterEqual', 2, { compute: (a, b) => (a >= b ? 1 : 0), gradient: flat, draw: APART() }),
  less: elementwise('less', 2, { compute: (a, b) => (a < b ? 1 : 0), gradient: flat, draw: APART() }),
  lessEqual: elementwise('lessEqual', 2, { compute: (a, b) => (a <= b ? 1 : 0), gradient: flat, draw: APART() }),
  equal: elementwise('equal', 2, { compute: (a, b) => (a === b ? 1 : 0), gradient: flat, draw: APART() }),
  notEqual: elementwise('notEqual', 2, { compute: (a, b) => (a !== b ? 1 : 0), gradient: flat, draw: APART() }),
  // y = condition ≠ 0 ? a : b.
  where: elementwise('where', 3, {
    compute: (condition, a, b) => (condition !== 0 ? a : b),
    gradient: ({ inputs: [condition], dy }) => [null, where(condition, dy, 0), where(condition, 0, dy)],
    draw: [{ awayFrom: [0] }, {}, {}],
  }),
  // int32 to float32; exact up to 2^24.
  cast: elementwise('cast', 1, { compute: (x) => x, gradient: () => [null], dtype: 'int32' }),
}

/** Samples for comparisons: the operands keep away from each other, so that finite differences see the flat parts. */
function APART(): NonNullable<Elementwise['draw']> {
  return [
    { awayFrom: [-1.5, -0.5, 0.5, 1.5], low: -2.2, high: 2.2 },
    { low: 0.5, high: 0.5 },
  ]
}

/** x + 0, x · 1: whether `candidate` is that constant and `kept` alone already has the result's shape. */
function isConstant(candidate: Tensor, value: number, kept: Tensor, dropped: Tensor): boolean {
  return constantValue(candidate) === value && sameShape(broadcastShapes('simplify', kept.shape, dropped.shape), kept.shape)
}

/**
 * c · (d · x) as (c · d) · x for constants of which one is a power of two: the same bits, unless d · x is denormal or overflows.
 * Other constants would round once instead of twice, and change results.
 */
function oneFactor(factor: Tensor, product: Tensor): Tensor | null {
  const outer = constantValue(factor)
  if (outer === null || product.op !== elementwiseOps.multiply) return null
  const [a, b] = product.inputs
  const [inner, x] = constantValue(a) === null ? [constantValue(b), a] : [constantValue(a), b]
  if (inner === null || !(isPowerOfTwo(outer) || isPowerOfTwo(inner))) return null
  const isNormal = (value: number) => Math.abs(value) >= 2 ** -126 && Math.abs(value) < 2 ** 127
  return [outer, inner, outer * inner].every(isNormal) ? multiply(outer * inner, x) : null
}

function isPowerOfTwo(value: number): boolean {
  return 2 ** Math.round(Math.log2(Math.abs(value))) === Math.abs(value)
}

/** 1 where a > b, 1/2 where they are equal, else 0. */
function shareOfLarger(a: Tensor, b: Tensor): Tensor {
  return add(greater(a, b), multiply(0.5, equal(a, b)))
}

type Unary = (x: Operand) => Tensor
type Binary = (a: Operand, b: Operand) => Tensor
const unary =
  (op: Op<None>): Unary =>
  (x) =>
    apply(op, [asTensor(x)], {})
const binary =
  (op: Op<None>): Binary =>
  (a, b) =>
    apply(op, [asTensor(a), asTensor(b)], {})

/**
 * y = a + b. Operands broadcast by numpy's rules (aligned at the right, an extent of 1 repeats), as those of all elementwise ops; a number
 * may stand for a scalar.
 *
 * @example add(input(8), 1)
 */
export const add = binary(elementwiseOps.add)
/** y = a - b; shapes broadcast. @example subtract(1, input(8)) */
export const subtract = binary(elementwiseOps.subtract)
/** y = a · b, element by element; shapes broadcast. @example multiply(input(8), 0.5) */
export const multiply = binary(elementwiseOps.multiply)
/** y = a / b; shapes broadcast. x / 0 is ±∞, and 0 / 0 is NaN. @example divide(input(8), 255) */
export const divide = binary(elementwiseOps.divide)
/** The larger of a and b; NaN if either is NaN; shapes broadcast. At a tie each gets half of the gradient. @example maximum(input(8), 0) */
export const maximum = binary(elementwiseOps.maximum)
/**
 * The smaller of a and b; NaN if either is NaN; shapes broadcast. At a tie each gets half of the gradient.
 *
 * @example minimum(input(8), 1)
 */
export const minimum = binary(elementwiseOps.minimum)
/**
 * y = a^b by IEEE 754's rules; shapes broadcast. Small constant exponents become products. The gradient with respect to b is taken as 0
 * where a ≤ 0.
 *
 * @example power(input(8), 1.5)
 */
export const power = binary(elementwiseOps.power)
/** y = -x, of the shape of x. @example negate(input(8)) */
export const negate = unary(elementwiseOps.negate)
/** y = |x|, of the shape of x; the slope at 0 is 0. @example abs(input(8)) */
export const abs = unary(elementwiseOps.abs)
/** -1, 0 or 1, of the shape of x; no gradient flows. @example sign(input(8)) */
export const sign = unary(elementwiseOps.sign)
/** y = e^x, of the shape of x: ∞ above 88.7, where float32 ends. @example exp(input(8)) */
export const exp = unary(elementwiseOps.exp)
/** The natural logarithm, of the shape of x: -∞ at 0, NaN below. @example log(input(8)) */
export const log = unary(elementwiseOps.log)
/** y = √x, of the shape of x: NaN below 0; the slope at 0 is infinite. @example sqrt(input(8)) */
export const sqrt = unary(elementwiseOps.sqrt)
/** y = x², of the shape of x. @example square(input(8)) */
export const square = unary(elementwiseOps.square)
/** y = 1 / x, of the shape of x. @example reciprocal(input(8)) */
export const reciprocal = unary(elementwiseOps.reciprocal)
/** The error function, y = 2/√π ∫₀ˣ e^(-t²) dt, of the shape of x (Abramowitz and Stegun 1964, 7.1.1). @example erf(input(8)) */
export const erf = unary(elementwiseOps.erf)
/** The logistic function, y = 1 / (1 + e^-x), of the shape of x, without overflow on either side. @example sigmoid(input(8)) */
export const sigmoid = unary(elementwiseOps.sigmoid)
/** The hyperbolic tangent, y = (e^x - e^-x) / (e^x + e^-x), of the shape of x. @example tanh(input(8)) */
export const tanh = unary(elementwiseOps.tanh)
/**
 * y = max(x, 0), of the shape of x; the slope at 0 is 0 (Nair and Hinton 2010, "Rectified linear units improve restricted Boltzmann
 * machines").
 *
 * @example relu(input(8))
 */
export const relu = unary(elementwiseOps.relu)
const reluGradient = binary(elementwiseOps.reluGradient)
/**
 * y = log(1 + e^x), of the shape of x, without overflow (Dugas et al. 2001, "Incorporating second-order functional knowledge for better
 * option pricing").
 *
 * @example softplus(input(8))
 */
export const softplus = unary(elementwiseOps.softplus)
/**
 * y = x Φ(x), of the shape of x, Φ being the standard normal distribution; exactly, by erf (Hendrycks and Gimpel 2016, arXiv:1606.08415).
 *
 * @example gelu(input(8))
 */
export const gelu = unary(elementwiseOps.gelu)
/**
 * The tanh approximation of gelu, y = x/2 (1 + tanh(√(2/π) (x + 0.044715 x³))), of the shape of x (Hendrycks and Gimpel 2016,
 * arXiv:1606.08415, section 2).
 *
 * @example geluTanh(input(8))
 */
export const geluTanh = unary(elementwiseOps.geluTanh)
/** 1 where a > b, else 0; shapes broadcast. No gradient flows through comparisons. @example greater(input(8), 0.5) */
export const greater = binary(elementwiseOps.greater)
/** 1 where a ≥ b, else 0; shapes broadcast. No gradient flows. @example greaterEqual(input(8), 0.5) */
export const greaterEqual = binary(elementwiseOps.greaterEqual)
/** 1 where a < b, else 0; shapes broadcast. No gradient flows. @example less(input(8), 0.5) */
export const less = binary(elementwiseOps.less)
/** 1 where a ≤ b, else 0; shapes broadcast. No gradient flows. @example lessEqual(input(8), 0.5) */
export const lessEqual = binary(elementwiseOps.lessEqual)
/** 1 where a = b, else 0 (so 0 for NaN); shapes broadcast. No gradient flows. @example equal(input(8), 0) */
export const equal = binary(elementwiseOps.equal)
/** 1 where a ≠ b, else 0 (so 1 for NaN); shapes broadcast. No gradient flows. @example notEqual(input(8), 0) */
export const notEqual = binary(elementwiseOps.notEqual)
/**
 * `a` where the condition is not 0, else `b`, element by element; the three shapes broadcast. The side that is not taken gets no gradient.
 *
 * @example const x = input(8); where(greater(x, 0), x, multiply(0.1, x))
 */
export const where = (condition: Operand, a: Operand, b: Operand): Tensor =>
  apply(elementwiseOps.where, [asTensor(condition), asTensor(a), asTensor(b)], {})
/** int32 as float32, of the shape of x; exact up to 2^24. No gradient flows. @example cast(input([], { dtype: 'int32' })) */
export const cast = (x: Tensor): Tensor => apply(elementwiseOps.cast, [x], {})

/** A chain of elementwise ops in one pass; made by the planner, see plan/fuse.ts. */
export interface ChainAttributes {
  /** `"multiply 0 1"`: an op and its operands; operand k < inputs is an input, inputs + k the result of step k. The last step is the result. */
  readonly steps: readonly string[]
  readonly shape: Shape
}

const chainSample = (inputs: SampleInput[], steps: string[], shape: number[]): Sample<ChainAttributes> => ({
  inputs,
  attributes: { steps, shape },
})

export const chainOps = {
  elementwise: defineOp<ChainAttributes>({
    name: 'elementwise',
    inPlace: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    infer: (inputs, { steps, shape }, where) => {
      if (steps.length === 0) throw new ShapeError(`${where}: expected at least one step, got none.`)
      inputs.reduce<Shape>((joined, input) => broadcastShapes(where, joined, input.shape), shape)
      return { shape, dtype: 'float32' }
    },
    samples: [
      chainSample([uniform([5, 9]), uniform([9])], ['add 0 1', 'relu 2'], [5, 9]),
      chainSample([uniform([19, 61]), uniform([19, 1]), uniform([])], ['subtract 0 1', 'multiply 3 2', 'exp 4', 'multiply 5 3'], [19, 61]),
      chainSample([uniform([700]), uniform([1])], ['tanh 0', 'square 2', 'subtract 1 3', 'where 0 4 2'], [700]),
    ],
    rejects: [{ inputs: [spec([3])], attributes: { steps: [], shape: [3] }, message: /at least one step/ }],
  }),
}
