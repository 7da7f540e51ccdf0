/** Where values come from: variables, inputs and constants; and the switch between training and inference. None has a kernel. */
import { checkOptions } from '../checks.ts'
import { AssertionError, describe, GraphError, OptionError, ShapeError } from '../errors.ts'
import { defineOp, spec, uniform } from '../graph/op.ts'
import { batch, checkExtents, concrete, formatShape, product, type Shape, sameShape, sizeOf } from '../graph/shape.ts'
import { apply, type Dtype, isArrayOfNumbers, locate, ofNumbers, Tensor } from '../graph/tensor.ts'
import type { RandomStream } from '../random.ts'
import { zerosLike } from './shape.ts'

/** What makes an initializer, by name, and what it is given. */
export interface InitializerDescription {
  readonly name: string
  readonly arguments: readonly unknown[]
}

/** Fills the memory of a variable of the given shape before the first step; `random` draws numbers that the seed of the model decides. */
export interface Initializer {
  (values: Float32Array | Float64Array | Int32Array, shape: readonly number[], random: RandomStream): void
  /** What a file says of it. Functions of a user's own have none: a file cannot hold them. @internal */
  readonly description?: InitializerDescription
}

/** Of a loaded variable whose initializer was a function of a user's own. Models look for it before they initialize anything. */
export const lostInitializer: Initializer = () => {
  throw new AssertionError('A variable was to be initialized by a function that its file could not hold.')
}

export interface VariableAttributes {
  /** Local name: `kernel`; the full one (`dense_1.kernel`) is given when a model is built. */
  readonly name: string
  /** The block of the arena it lives in: all variables of a block are contiguous. */
  readonly block: string
  readonly shape: readonly number[]
  readonly dtype: Dtype
  readonly initialize: Initializer
  /** A penalty added to the loss: from the parameter to a scalar. */
  readonly regularize?: (parameter: Tensor) => Tensor
  /** What the parameter becomes after each step of the optimizer, to keep within bounds. */
  readonly constrain?: (parameter: Tensor) => Tensor
}

export interface InputAttributes {
  readonly name: string | null
  readonly shape: Shape
  readonly dtype: Dtype
}

export const sourceOps = {
  variable: defineOp<VariableAttributes>({
    name: 'variable',
    virtual: true,
    infer: (_, { shape, dtype }) => ({ shape, dtype }),
    samples: [],
    rejects: [],
  }),

  input: defineOp<InputAttributes>({
    name: 'input',
    virtual: true,
    infer: (_, { shape, dtype }) => ({ shape, dtype }),
    samples: [],
    rejects: [],
  }),

  constant: defineOp<{ value: number }>({
    name: 'constant',
    virtual: true,
    infer: () => ({ shape: [], dtype: 'float32' }),
    samples: [],
    rejects: [],
  }),

  // The number of elements of a shape, which may depend on the batch size: a constant as soon as that is known.
  elementCount: defineOp<{ shape: Shape }>({
    name: 'elementCount',
    virtual: true,
    infer: () => ({ shape: [], dtype: 'float32' }),
    lower: ({ attributes }) => constant(sizeOf(concrete(attributes.shape))),
    samples: [],
    rejects: [],
  }),

  // y = training ? a : b, decided when a plan is made.
  whenTraining: defineOp({
    name: 'whenTraining',
    virtual: true,
    infer: ([a, b], _, where) => {
      if (!sameShape(a.shape, b.shape) || a.dtype !== b.dtype) {
        throw new ShapeError(
          `${where}: both branches must have one shape and dtype, got ${a.dtype} ${formatShape(a.shape)} and ${b.dtype} ${formatShape(b.shape)}.`,
        )
      }
      return a
    },
    // Each branch gets the whole gradient; the one that is not taken is multiplied by a switch that is off.
    gradient: ({ dy }) => [whenTraining(dy, zerosLike(dy)), whenTraining(zerosLike(dy), dy)],
    lower: ({ inputs, mode }) => inputs[mode === 'training' ? 0 : 1],
    samples: [{ inputs: [uniform([3, 4]), uniform([3, 4])], attributes: {} }],
    rejects: [{ inputs: [spec([3]), spec([4])], attributes: {}, message: /one shape/ }],
  }),

  // y = x, and no gradient flows back.
  stopGradient: defineOp({
    name: 'stopGradient',
    virtual: true,
    infer: ([x]) => x,
    gradient: () => [null],
    lower: ({ inputs }) => inputs[0],
    samples: [],
    rejects: [],
  }),

  // y = x. The second operand, a scalar, is part of the loss: `penalties` (nn/regularizers.ts) finds it there.
  penalised: defineOp({
    name: 'penalised',
    virtual: true,
    infer: ([x]) => x,
    gradient: ({ dy }) => [dy, null],
    lower: ({ inputs }) => inputs[0],
    samples: [],
    rejects: [],
  }),
}

/**
 * A symbolic input with an open batch dimension.
 *
 * @param shape Shape of one sample: `784`, `[28, 28]`, or `[]` for one number a sample.
 * @param options `name` (default: the order, `input_1`), `dtype` (default float32; int32 for indices and labels).
 * @returns A tensor of shape [batch, ...shape].
 */
export function placeholder(shape: Shape, options: { name?: string; dtype?: Dtype } = {}): Tensor {
  checkExtents('input', shape)
  const { name = null, dtype = 'float32' } = options
  if (dtype !== 'float32' && dtype !== 'int32') throw new OptionError(`input: dtype must be "float32" or "int32", got ${describe(dtype)}.`)
  return apply(sourceOps.input, [], { name, shape: [batch, ...shape], dtype })
}

/** A value that outlives a step: a parameter (block "parameters") or other state. */
export function variable(attributes: VariableAttributes): Tensor {
  checkExtents(locate('variable'), attributes.shape)
  return apply(sourceOps.variable, [], attributes)
}

export function isVariable(tensor: Tensor): boolean {
  return tensor.op === sourceOps.variable
}

/**
 * A trainable float32 parameter of the model that its tensor becomes part of; what layers make their weights with.
 *
 * @param name Its local name such as `kernel`; with the layer that made it, `dense_1.kernel`.
 * @param shape Its extents, none of them open.
 * @param initialize Fills it before the first step.
 * @param options `regularize`: a penalty that is added to the loss, from the parameter to a scalar; `constrain`: what the parameter is replaced by
 *   after each update of the optimizer. Default: neither.
 * @example parameter('scale', [8], ones, { regularize: l2(1e-4), constrain: nonNegative() })
 */
export function parameter(
  name: string,
  shape: readonly number[],
  initialize: Initializer,
  options: Pick<VariableAttributes, 'regularize' | 'constrain'> = {},
): Tensor {
  const where = locate('parameter')
  checkOptions(where, options, ['regularize', 'constrain'])
  const { regularize, constrain } = options
  for (const [option, given] of Object.entries({ regularize, constrain }))
    if (given !== undefined && typeof given !== 'function')
      throw new OptionError(`${where}: ${option} must be a function of the parameter, got ${describe(given)}.`)
  return variable({ name, block: 'parameters', shape, dtype: 'float32', initialize, regularize, constrain })
}

/** A float32 scalar, []. @example constant(0.5) */
export function constant(value: number): Tensor {
  if (typeof value !== 'number')
    throw new OptionError(
      `${locate('constant')}: expected a number, got ${describe(value)}${isArrayOfNumbers(value) ? `; ${ofNumbers}` : '.'}`,
    )
  return apply(sourceOps.constant, [], { value })
}

/** What ops take where a number will do: it stands for a scalar. */
export type Operand = Tensor | number

export function asTensor(value: Operand): Tensor {
  return value instanceof Tensor ? value : constant(value)
}

/** The value if the tensor is a constant, else null. */
export function constantValue(tensor: Tensor): number | null {
  return tensor.op === sourceOps.constant ? tensor.attributes.value : null
}

/** The number of elements of `shape` as a float32 scalar; it may depend on the batch size. @example elementCount([batch, 10]) */
export function elementCount(shape: Shape): Tensor {
  const { factor, power } = product(shape)
  return power === 0 ? constant(factor) : apply(sourceOps.elementCount, [], { shape })
}

/**
 * `training` in plans for training, `inference` in all others; both of one shape and dtype, which the result has. Decided when a plan is
 * made, it costs nothing in a step.
 *
 * @throws ShapeError if they differ.
 * @example const x = input(8); whenTraining(multiply(x, 2), x)
 */
export function whenTraining(training: Tensor, inference: Tensor): Tensor {
  return apply(sourceOps.whenTraining, [training, inference], {})
}

/** x itself, as a constant to the gradient. No instruction. @example const x = input(8); multiply(x, stopGradient(sigmoid(x))) */
export function stopGradient(x: Tensor): Tensor {
  return apply(sourceOps.stopGradient, [x], {})
}

/** Checks that a scalar is asked for, as a loss must be. */
export function expectScalar(where: string, tensor: Tensor): void {
  if (tensor.shape.length !== 0)
    throw new GraphError(`${where}: expected a scalar, got shape ${formatShape(tensor.shape)}; reduce it with mean(x) or sum(x).`)
}
