/**
 * Layers: functions over symbolic tensors that may own parameters. Called without a tensor a layer waits for one, for
 * `sequential` or for use at several places with shared parameters; called with one it is applied at once.
 *
 *     dense(64, { activation: 'relu' })       a layer
 *     dense(x, 64, { activation: 'relu' })    a tensor
 */
import { checkBoolean, checkCount, checkOptions } from '../checks.ts'
import { describe, OptionError, ShapeError } from '../errors.ts'
import { concrete, formatShape, normaliseAxis, product, sameShape } from '../graph/shape.ts'
import { type Dtype, type Scope, Tensor, within } from '../graph/tensor.ts'
import { add, greater, multiply, where } from '../ops/elementwise.ts'
import { gather } from '../ops/indexing.ts'
import { matmul } from '../ops/matmul.ts'
import { checkRate, droppedOut, keptMask, randomNormal } from '../ops/random.ts'
import { max } from '../ops/reduce.ts'
import { concat, reshape } from '../ops/shape.ts'
import { type Initializer, parameter, placeholder, whenTraining } from '../ops/source.ts'
import { type ActivationChoice, activationFunction, gated, initializerBefore, SELU_ALPHA, SELU_SCALE } from './activations.ts'
import type { Constraint } from './constraints.ts'
import { type InitializerName, initializer, uniformWithin } from './initializers.ts'
import { penalised, type Regularizer } from './regularizers.ts'

/** A layer. Every call uses the same parameters. */
export interface Layer {
  (x: Tensor): Tensor
  readonly scope: Scope
}

export interface LayerOptions {
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
 * @param shape Shape of one sample: a number or an array; the batch dimension is added in front. Default: one number a sample.
 * @param options `name`: what data are given by when there are several inputs; default: `input_1`, `input_2`, … in order. `dtype`: "float32" (default), or
 *   "int32" for indices.
 * @example input([28, 28], { name: 'image' })
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

/** What layers with a kernel have in common. */
export interface KernelOptions extends LayerOptions {
  /** Default true. */
  useBias?: boolean
  /** Default: what fits the layer's activation. */
  kernelInitializer?: InitializerName | Initializer
  /** Default "zeros". */
  biasInitializer?: InitializerName | Initializer
  /** A penalty on the kernel, for instance `l2(1e-4)`; default none. */
  kernelRegularizer?: Regularizer
  /** The same for the bias. */
  biasRegularizer?: Regularizer
  /** A penalty on what the layer puts out, divided by the batch size; default none. */
  activityRegularizer?: Regularizer
  /** What the kernel is replaced by after each update, for instance `maxNorm(3)`; default none. */
  kernelConstraint?: Constraint
  /** The same for the bias. */
  biasConstraint?: Constraint
}

const kernelOptions = [
  'name',
  'useBias',
  'kernelInitializer',
  'biasInitializer',
  'kernelRegularizer',
  'biasRegularizer',
  'activityRegularizer',
  'kernelConstraint',
  'biasConstraint',
]

function checkFunction(where: string, name: string, value: unknown, example: string): void {
  if (value !== undefined && typeof value !== 'function')
    throw new OptionError(`${where}: ${name} must be a function such as ${example}, got ${describe(value)}.`)
}

/**
 * A layer that ends in finish(x · kernel + bias), with a kernel of as many columns as `width` says.
 *
 * @param kernelOf What is multiplied with; default: the kernel itself.
 */
function affine(
  kind: string,
  width: number,
  options: KernelOptions,
  defaultInitializer: InitializerName,
  finish: (y: Tensor) => Tensor,
  kernelOf = (kernel: Tensor): Tensor => kernel,
): Layer {
  const { useBias = true, kernelInitializer = defaultInitializer, biasInitializer = 'zeros', activityRegularizer } = options
  const ofKernel = { regularize: options.kernelRegularizer, constrain: options.kernelConstraint }
  const ofBias = { regularize: options.biasRegularizer, constrain: options.biasConstraint }
  checkBoolean(kind, 'useBias', useBias)
  for (const name of ['kernelRegularizer', 'biasRegularizer', 'activityRegularizer'] as const)
    checkFunction(kind, name, options[name], 'l2(1e-4)')
  for (const name of ['kernelConstraint', 'biasConstraint'] as const) checkFunction(kind, name, options[name], 'maxNorm(3)')
  const initializeKernel = initializer(kind, kernelInitializer)
  const initializeBias = initializer(kind, biasInitializer)
  let kernel: Tensor | null = null
  let bias: Tensor | null = null
  return layer(kind, options, (x, where) => {
    const features = x.shape[x.rank - 1]
    if (x.rank < 2 || typeof features !== 'number') {
      throw new ShapeError(
        `${where}: expected an input of shape [batch, …, features], got ${formatShape(x.shape)}; give input(shape) the number of features.`,
      )
    }
    kernel ??= parameter('kernel', [features, width], initializeKernel, ofKernel)
    if (kernel.shape[0] !== features)
      throw new ShapeError(`${where}: its kernel takes ${kernel.shape[0]} features, got an input of shape ${formatShape(x.shape)}.`)
    const y = matmul(x, kernelOf(kernel))
    if (useBias) bias ??= parameter('bias', [width], initializeBias, ofBias)
    return penalised(finish(bias === null ? y : add(y, bias)), activityRegularizer, where)
  })
}

/** @param main The option that is meant by who gives its value in place of the options. */
function checkLayerOptions(kind: string, units: number, options: unknown, known: readonly string[], main: string): void {
  if (typeof options === 'string' || typeof options === 'number') {
    const value = typeof options === 'string' ? `'${options}'` : options
    throw new OptionError(`${kind}: options must be an object, got ${describe(options)}; say ${kind}(${units}, { ${main}: ${value} }).`)
  }
  const { units: meant } = Object(units)
  if (typeof meant === 'number') throw new OptionError(`${kind}: units come before the options; say ${kind}(${meant}, { … }).`)
  checkOptions(kind, options, known)
  checkCount(kind, 'units', units)
}

export interface DenseOptions extends KernelOptions {
  /** Default "linear". */
  activation?: ActivationChoice
}

/**
 * A fully connected layer: y = activation(x · kernel + bias).
 *
 * x [..., features] gives [..., units]; kernel [features, units]; bias [units]. The kernel's initializer is by default "heUniform" before relu and
 * its kin (gelu, elu, silu, …), "leCunNormal" before selu, else "glorotUniform".
 *
 * @param units The number of outputs.
 * @param options `activation`: a name or a function, default "linear"; `useBias`: default true; further those of `KernelOptions`.
 * @example dense(input(784), 64, { activation: 'relu' })
 */
export const dense = overload((units: number, options: DenseOptions = {}): Layer => {
  checkLayerOptions('dense', units, options, [...kernelOptions, 'activation'], 'activation')
  const activate = activationFunction('dense', options.activation ?? 'linear')
  return affine('dense', units, options, initializerBefore(activate), activate)
})

export interface GatedDenseOptions extends KernelOptions {
  /** The activation of the second half; default "silu", which makes the layer a SwiGLU. */
  gate?: ActivationChoice
}

/**
 * A gated layer: y = a · gate(b), a and b being the halves of x · kernel + bias, which is one product (Shazeer 2020, arXiv:2002.05202, equation 5;
 * there without bias). With the gate "sigmoid" it is a GLU, with "gelu" a GeGLU, with "silu" a SwiGLU.
 *
 * x [..., features] gives [..., units]; kernel [features, 2 · units]; bias [2 · units].
 *
 * @param units The number of outputs.
 * @param options `gate`: a name or a function, default "silu"; further those of `KernelOptions`.
 * @example gatedDense(input(64), 32, { gate: 'gelu', useBias: false })
 */
export const gatedDense = overload((units: number, options: GatedDenseOptions = {}): Layer => {
  checkLayerOptions('gatedDense', units, options, [...kernelOptions, 'gate'], 'gate')
  const gate = activationFunction('gatedDense', options.gate ?? 'silu')
  return affine('gatedDense', 2 * units, options, initializerBefore(gate), (y) => gated('gatedDense', y, -1, gate))
})

export interface MaxoutOptions extends KernelOptions {
  /** How many linear functions each unit takes the largest of; default 2. */
  pieces?: number
}

/**
 * A layer of units that are each the largest of some linear functions: y_j = max_k (x · W_jk + b_jk) (Goodfellow et al. 2013, arXiv:1302.4389, section 3).
 *
 * x [..., features] gives [..., units]; kernel [features, units · pieces]; bias [units · pieces]. The kernel's initializer is by default "leCunUniform":
 * of two normal numbers the larger has the second moment of either.
 *
 * @param units The number of outputs.
 * @param options `pieces`: default 2; further those of `KernelOptions`.
 * @example maxout(input(64), 32, { pieces: 3 })
 */
export const maxout = overload((units: number, options: MaxoutOptions = {}): Layer => {
  checkLayerOptions('maxout', units, options, [...kernelOptions, 'pieces'], 'pieces')
  const { pieces = 2 } = options
  checkCount('maxout', 'pieces', pieces)
  const largest = (y: Tensor) => max(reshape(y, [...y.shape.slice(0, -1), units, pieces]), { axes: [-1] })
  return affine('maxout', units * pieces, options, 'leCunUniform', largest)
})

export interface DropConnectOptions extends DenseOptions {
  /** The part of the kernel that is dropped; default 0.5. */
  rate?: number
}

/**
 * `dense` with a random part of its kernel set to 0 in each training step, and the rest scaled by 1/(1 - rate); at inference it is `dense` (Wan et al.
 * 2013, "Regularization of neural networks using DropConnect"). All samples of a batch share a mask, the bias has none, and inference takes the mean of
 * the kernel where the paper samples.
 *
 * @param units The number of outputs.
 * @param options `rate`: the part that is dropped, 0 ≤ rate < 1, default 0.5; further those of `dense`.
 * @example dropConnect(input(64), 32, { rate: 0.3, activation: 'relu' })
 */
export const dropConnect = overload((units: number, options: DropConnectOptions = {}): Layer => {
  checkLayerOptions('dropConnect', units, options, [...kernelOptions, 'activation', 'rate'], 'rate')
  const { rate = 0.5, activation = 'linear' } = options
  checkRate('dropConnect', rate)
  const activate = activationFunction('dropConnect', activation)
  return affine('dropConnect', units, options, initializerBefore(activate), activate, (kernel) => droppedOut(kernel, rate))
})

export interface PreluOptions extends LayerOptions {
  /** Axes of the input along which all elements share a slope; default: none, as in Keras. */
  sharedAxes?: readonly number[]
  /** Default "zeros", as in Keras; PyTorch begins with `constantOf(0.25)`. */
  slopeInitializer?: InitializerName | Initializer
  /** A penalty on the slopes; default none. */
  slopeRegularizer?: Regularizer
  /** What the slopes are replaced by after each update; default none. */
  slopeConstraint?: Constraint
}

/**
 * x where x > 0, else slope · x, with slopes that are learned (He et al. 2015, arXiv:1502.01852, equation 1).
 *
 * x [batch, ...] gives the same shape; slope: that of a sample, with extents of 1 at the shared axes. PyTorch's, with one slope in all, is
 * `prelu({ sharedAxes: [1], slopeInitializer: constantOf(0.25) })` for an input of [batch, features].
 *
 * @param options `sharedAxes`: default none; `slopeInitializer`: default "zeros"; `slopeRegularizer` and `slopeConstraint`: default none.
 * @example prelu(input([28, 28, 8]), { sharedAxes: [1, 2] })
 */
export const prelu = overload((options: PreluOptions = {}): Layer => {
  checkOptions('prelu', options, ['name', 'sharedAxes', 'slopeInitializer', 'slopeRegularizer', 'slopeConstraint'])
  const { sharedAxes = [], slopeInitializer = 'zeros', slopeRegularizer: regularize, slopeConstraint: constrain } = options
  if (!Array.isArray(sharedAxes)) throw new OptionError(`prelu: sharedAxes must be an array of integers, got ${describe(sharedAxes)}.`)
  checkFunction('prelu', 'slopeRegularizer', regularize, 'l2(1e-4)')
  checkFunction('prelu', 'slopeConstraint', constrain, 'nonNegative()')
  const initialize = initializer('prelu', slopeInitializer)
  let slope: Tensor | null = null
  return layer('prelu', options, (x, at) => {
    const shared = new Set(sharedAxes.map((axis) => normaliseAxis(at, axis, x.rank)))
    if (shared.has(0)) throw new ShapeError(`${at}: axis 0 is the batch, which always shares its slopes; leave it out of sharedAxes.`)
    const shape = concrete(x.shape.slice(1)).map((extent, i) => (shared.has(i + 1) ? 1 : extent))
    slope ??= parameter('slope', shape, initialize, { regularize, constrain })
    if (!sameShape(slope.shape, shape))
      throw new ShapeError(`${at}: its slopes have shape ${formatShape(slope.shape)}, got an input of shape ${formatShape(x.shape)}.`)
    return where(greater(x, 0), x, multiply(slope, x))
  })
})

export interface EmbeddingOptions extends LayerOptions {
  /** Default `uniformWithin()`, ±0.05, as in Keras; PyTorch begins with `normalOf(0, 1)`. */
  embeddingsInitializer?: InitializerName | Initializer
  /** A penalty on the table; default none. */
  embeddingsRegularizer?: Regularizer
  /** What the table is replaced by after each update; default none. */
  embeddingsConstraint?: Constraint
}

/**
 * A table of vectors that are learned, one for each index: y[…] = embeddings[x[…]].
 *
 * x [...] of int32 gives [..., units]; embeddings [count, units]. An index outside 0 … count - 1 gives NaN, which stops training with an error that names the layer.
 *
 * @param count How many indices there are.
 * @param units The length of each vector.
 * @param options `embeddingsInitializer`: default `uniformWithin()`, ±0.05; `embeddingsRegularizer` and `embeddingsConstraint`: default none.
 * @throws DtypeError for an input that is not int32.
 * @example embedding(input([12], { dtype: 'int32' }), 5000, 16)
 */
export const embedding = overload((count: number, units: number, options: EmbeddingOptions = {}): Layer => {
  checkOptions('embedding', options, ['name', 'embeddingsInitializer', 'embeddingsRegularizer', 'embeddingsConstraint'])
  checkCount('embedding', 'count', count)
  checkCount('embedding', 'units', units)
  const { embeddingsInitializer = uniformWithin(), embeddingsRegularizer: regularize, embeddingsConstraint: constrain } = options
  checkFunction('embedding', 'embeddingsRegularizer', regularize, 'l2(1e-4)')
  checkFunction('embedding', 'embeddingsConstraint', constrain, 'maxNorm(3)')
  const initialize = initializer('embedding', embeddingsInitializer)
  let embeddings: Tensor | null = null
  return layer('embedding', options, (x) => {
    embeddings ??= parameter('embeddings', [count, units], initialize, { regularize, constrain })
    return gather(embeddings, x)
  })
})

/** A layer of one rate, which does nothing at inference, nor at a rate of 0. */
function ofRate(kind: string, disturb: (x: Tensor, rate: number, where: string) => Tensor) {
  return overload((rate: number, options: LayerOptions = {}): Layer => {
    checkOptions(kind, options, ['name'])
    checkRate(kind, rate)
    return layer(kind, options, (x, where) => {
      const disturbed = disturb(x, rate, where)
      return rate === 0 ? x : disturbed
    })
  })
}

/**
 * Drops a random part of the elements while training, scaling the rest by 1/(1 - rate); does nothing at inference (Srivastava et al. 2014, "Dropout").
 *
 * @param rate The part dropped, 0 ≤ rate < 1.
 * @example dropout(input(64), 0.2)
 */
export const dropout = ofRate('dropout', (x, rate) => droppedOut(x, rate))

/**
 * Drops whole features of a sample while training, at all places at once, scaling the rest by 1/(1 - rate); does nothing at inference (Tompson et al.
 * 2015, arXiv:1411.4280, section 3.2).
 *
 * x [batch, ..., features], of at least three axes, gives the same shape.
 *
 * @param rate The part dropped, 0 ≤ rate < 1.
 * @example spatialDropout(input([28, 28, 8]), 0.2)
 */
export const spatialDropout = ofRate('spatialDropout', (x, rate, where) => {
  if (x.rank < 3)
    throw new ShapeError(
      `${where}: expected an input of shape [batch, …, features], got ${formatShape(x.shape)}; for single elements take dropout(rate).`,
    )
  return droppedOut(x, rate, [x.shape[0], ...x.shape.slice(1, -1).map(() => 1), x.shape[x.rank - 1]])
})

/**
 * Drops a residual branch of a sample as a whole while training, scaling those that stay by 1/(1 - rate); does nothing at inference (Huang et al. 2016,
 * arXiv:1603.09382, section 3; scaled in training, not at inference). What it gives is added to what goes round the branch.
 *
 * branch [batch, ...] gives the same shape.
 *
 * @param rate The part of the samples whose branch is dropped, 0 ≤ rate < 1.
 * @example stochasticDepth(dense(input(8), 8), 0.2)
 */
export const stochasticDepth = ofRate('stochasticDepth', (x, rate) => droppedOut(x, rate, [x.shape[0], ...x.shape.slice(1).map(() => 1)]))

/**
 * Multiplies by normal numbers of mean 1 and variance rate/(1 - rate) while training, the variance of dropout; does nothing at inference (Srivastava et al.
 * 2014, "Dropout", section 10).
 *
 * @param rate 0 ≤ rate < 1.
 * @example gaussianDropout(input(64), 0.2)
 */
export const gaussianDropout = ofRate('gaussianDropout', (x, rate) =>
  whenTraining(multiply(x, add(1, multiply(Math.sqrt(rate / (1 - rate)), randomNormal(x.shape)))), x),
)

/**
 * The dropout that belongs to `selu`: a random part of the elements becomes α' = -λα, selu's limit at -∞, while training, and all are scaled and shifted so
 * that mean 0 and variance 1 stay so; does nothing at inference (Klambauer et al. 2017, arXiv:1706.02515, section 3).
 *
 * @param rate The part dropped, 0 ≤ rate < 1.
 * @example alphaDropout(dense(input(64), 32, { activation: 'selu' }), 0.1)
 */
export const alphaDropout = ofRate('alphaDropout', (x, rate) => {
  const saturated = -SELU_SCALE * SELU_ALPHA
  const scale = 1 / Math.sqrt((1 - rate) * (1 + rate * saturated ** 2))
  const shift = -scale * rate * saturated
  const mixed = where(keptMask(rate, x.shape), x, saturated)
  return whenTraining(add(multiply(scale, mixed), shift), x)
})

/**
 * Adds normal numbers of mean 0 while training; does nothing at inference.
 *
 * @param stddev Their standard deviation, at least 0.
 * @example gaussianNoise(input(64), 0.1)
 */
export const gaussianNoise = overload((stddev: number, options: LayerOptions = {}): Layer => {
  checkOptions('gaussianNoise', options, ['name'])
  if (typeof stddev !== 'number' || !(stddev >= 0 && stddev < Number.POSITIVE_INFINITY))
    throw new OptionError(`gaussianNoise: stddev must be a number of at least 0, got ${describe(stddev)}.`)
  return layer('gaussianNoise', options, (x) => (stddev === 0 ? x : whenTraining(add(x, multiply(stddev, randomNormal(x.shape))), x)))
})

export interface ActivationOptions extends LayerOptions {
  /** A penalty on what the layer puts out, divided by the batch size; default none. */
  activityRegularizer?: Regularizer
}

/**
 * An activation by name, or any function of a symbolic tensor, as a layer.
 *
 * @param choice Such as "relu", or `(x) => leakyRelu(x, { slope: 0.2 })`.
 * @param options `activityRegularizer`: a penalty on the output, default none.
 * @example activation(input(8), 'mish')
 */
export const activation = overload((choice: ActivationChoice, options: ActivationOptions = {}): Layer => {
  checkOptions('activation', options, ['name', 'activityRegularizer'])
  checkFunction('activation', 'activityRegularizer', options.activityRegularizer, 'l1(1e-4)')
  const activate = activationFunction('activation', choice)
  return layer('activation', options, (x, where) => penalised(activate(x), options.activityRegularizer, where))
})

/**
 * All dimensions but the batch as one: [batch, a, b, …] gives [batch, a·b·…].
 *
 * @example flatten(input([28, 28]))
 */
export const flatten = overload((options: LayerOptions = {}): Layer => {
  checkOptions('flatten', options, ['name'])
  return layer('flatten', options, (x) => reshape(x, [x.shape[0], product(x.shape.slice(1)).factor]))
})

/**
 * Joins tensors along an axis.
 *
 * @param options `axis`: default -1, the last.
 * @example concatenate([input(3), input(4)])
 */
export function concatenate(tensors: readonly Tensor[], options: LayerOptions & { axis?: number } = {}): Tensor {
  checkOptions('concatenate', options, ['name', 'axis'])
  checkName('concatenate', options.name)
  if (!Array.isArray(tensors)) throw new OptionError(`concatenate: expected an array of symbolic tensors, got ${describe(tensors)}.`)
  return within({ kind: 'concatenate', name: options.name }, 'forward', () => concat(tensors, options.axis))
}
