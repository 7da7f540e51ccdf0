/**
 * Layers: functions over symbolic tensors that may own parameters. Called without a tensor a layer waits for one, for
 * `sequential` or for use at several places with shared parameters; called with one it is applied at once.
 *
 *     dense(64, { activation: 'relu' })       a layer
 *     dense(x, 64, { activation: 'relu' })    a tensor
 */
import { checkOptions, describe, OptionError, ShapeError } from '../errors.ts'
import { formatShape, product } from '../graph/shape.ts'
import { type Dtype, type Scope, Tensor, within } from '../graph/tensor.ts'
import { add } from '../ops/elementwise.ts'
import { matmul } from '../ops/matmul.ts'
import { droppedOut } from '../ops/random.ts'
import { concat, reshape } from '../ops/shape.ts'
import { type Initializer, parameter, placeholder } from '../ops/source.ts'
import { type ActivationChoice, activationFunction } from './activations.ts'
import { type InitializerName, initializer } from './initializers.ts'
import type { Regularizer } from './regularizers.ts'

/** A layer. Every call uses the same parameters. */
export interface Layer {
  (x: Tensor): Tensor
  readonly scope: Scope
}

interface LayerOptions {
  /** The layer's name in summaries, messages and files; default: its kind and number, `dense_1`. */
  name?: string
}

/** Parameters are named `layer.kernel`, hence no dots. */
function checkName(where: string, name: unknown): void {
  if (name !== undefined && (typeof name !== 'string' || name === '' || name.includes('.')))
    throw new OptionError(`${where}: name must be a non-empty string without dots, got ${describe(name)}.`)
}

/** Gives each call its scope, and checks what it is called with. */
function layer(kind: string, { name }: LayerOptions, build: (x: Tensor, where: string) => Tensor): Layer {
  checkName(kind, name)
  const scope: Scope = name === undefined ? { kind } : { kind, name }
  const where = name === undefined ? kind : `${kind} (layer "${name}")`
  const call = (x: Tensor): Tensor => {
    if (!(x instanceof Tensor))
      throw new OptionError(`${where}: expected a symbolic tensor, got ${describe(x)}; make one with input(shape).`)
    return within(scope, 'forward', () => build(x, where))
  }
  return Object.assign(call, { scope })
}

/** `f(x, …)` applies the layer, `f(…)` makes it. */
function overload<Arguments extends unknown[]>(make: (...rest: Arguments) => Layer) {
  function call(x: Tensor, ...rest: Arguments): Tensor
  function call(...rest: Arguments): Layer
  function call(...all: unknown[]): Tensor | Layer {
    const [first, ...rest] = all
    return first instanceof Tensor ? make(...(rest as Arguments))(first) : make(...(all as Arguments))
  }
  return call
}

/**
 * A symbolic input.
 *
 * @param shape Shape of one sample: a number or an array; the batch dimension is added in front.
 * @param options `name`; `dtype`: "float32" (default), or "int32" for indices.
 */
export function input(shape: number | readonly number[] = [], options: { name?: string; dtype?: Dtype } = {}): Tensor {
  checkOptions('input', options, ['name', 'dtype'])
  const { name } = options
  if (name !== undefined && (typeof name !== 'string' || name === ''))
    throw new OptionError(`input: name must be a non-empty string, got ${describe(name)}.`)
  const extents = typeof shape === 'number' ? [shape] : shape
  if (!Array.isArray(extents)) throw new OptionError(`input: shape must be a number or an array of numbers, got ${describe(shape)}.`)
  return within({ kind: 'input', name }, 'forward', () => placeholder(extents, options))
}

export interface DenseOptions extends LayerOptions {
  /** Default "linear". */
  activation?: ActivationChoice
  /** Default true. */
  useBias?: boolean
  /** Default "heUniform" before relu and gelu, else "glorotUniform". */
  kernelInitializer?: InitializerName | Initializer
  /** Default "zeros". */
  biasInitializer?: InitializerName | Initializer
  /** For instance `l2(1e-4)`; default none. */
  kernelRegularizer?: Regularizer
}

const rectified = new Set<ActivationChoice>(['relu', 'gelu', 'geluTanh'])

/**
 * A fully connected layer: y = activation(x · kernel + bias).
 *
 * x [..., features] gives [..., units]; kernel [features, units]; bias [units].
 */
export const dense = overload((units: number, options: DenseOptions = {}): Layer => {
  if (typeof options === 'string')
    throw new OptionError(`dense: options must be an object, got ${describe(options)}; say dense(${units}, { activation: '${options}' }).`)
  checkOptions('dense', options, ['name', 'activation', 'useBias', 'kernelInitializer', 'biasInitializer', 'kernelRegularizer'])
  const { activation = 'linear', useBias = true, biasInitializer = 'zeros', kernelRegularizer } = options
  const { kernelInitializer = rectified.has(activation) ? 'heUniform' : 'glorotUniform' } = options
  if (!Number.isSafeInteger(units) || units < 1)
    throw new OptionError(`dense: units must be an integer of at least 1, got ${describe(units)}.`)
  if (typeof useBias !== 'boolean') throw new OptionError(`dense: useBias must be true or false, got ${describe(useBias)}.`)
  if (kernelRegularizer !== undefined && typeof kernelRegularizer !== 'function')
    throw new OptionError(`dense: kernelRegularizer must be a function such as l2(1e-4), got ${describe(kernelRegularizer)}.`)
  const activate = activationFunction('dense', activation)
  const initializeKernel = initializer('dense', kernelInitializer)
  const initializeBias = initializer('dense', biasInitializer)
  let kernel: Tensor | null = null
  let bias: Tensor | null = null
  return layer('dense', options, (x, where) => {
    const features = x.shape[x.rank - 1]
    if (x.rank < 2 || typeof features !== 'number') {
      throw new ShapeError(
        `${where}: expected an input of shape [batch, …, features], got ${formatShape(x.shape)}; give input(shape) the number of features.`,
      )
    }
    kernel ??= parameter('kernel', [features, units], initializeKernel, kernelRegularizer)
    if (kernel.shape[0] !== features)
      throw new ShapeError(`${where}: its kernel takes ${kernel.shape[0]} features, got an input of shape ${formatShape(x.shape)}.`)
    const y = matmul(x, kernel)
    if (useBias) bias ??= parameter('bias', [units], initializeBias)
    return activate(bias === null ? y : add(y, bias))
  })
})

/**
 * Drops a random part of the elements while training, scaling the rest by 1/(1 - rate); does nothing at inference.
 *
 * @param rate The part dropped, 0 ≤ rate < 1.
 */
export const dropout = overload((rate: number, options: LayerOptions = {}): Layer => {
  checkOptions('dropout', options, ['name'])
  if (typeof rate !== 'number' || !(rate >= 0 && rate < 1))
    throw new OptionError(`dropout: rate must lie in 0 … 1 (1 excluded), got ${describe(rate)}.`)
  return layer('dropout', options, (x) => droppedOut(x, rate))
})

/** An activation by name, or any function of a symbolic tensor, as a layer. */
export const activation = overload((choice: ActivationChoice, options: LayerOptions = {}): Layer => {
  checkOptions('activation', options, ['name'])
  const activate = activationFunction('activation', choice)
  return layer('activation', options, (x) => activate(x))
})

/** All dimensions but the batch as one: [batch, a, b, …] gives [batch, a·b·…]. */
export const flatten = overload((options: LayerOptions = {}): Layer => {
  checkOptions('flatten', options, ['name'])
  return layer('flatten', options, (x) => reshape(x, [x.shape[0], product(x.shape.slice(1)).factor]))
})

/**
 * Joins tensors along an axis (default: the last).
 */
export function concatenate(tensors: readonly Tensor[], options: LayerOptions & { axis?: number } = {}): Tensor {
  checkOptions('concatenate', options, ['name', 'axis'])
  checkName('concatenate', options.name)
  if (!Array.isArray(tensors)) throw new OptionError(`concatenate: expected an array of symbolic tensors, got ${describe(tensors)}.`)
  return within({ kind: 'concatenate', name: options.name }, 'forward', () => concat(tensors, options.axis))
}
