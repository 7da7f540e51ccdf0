/**
 * Activations: functions of one symbolic tensor, element by element unless they say otherwise, composed of the ops. All of them carry NaN through,
 * and none lets an overflow of the side that is not taken into its gradient.
 */
import { checkOptions, definedOf, type Hints, unknownName } from '../checks.ts'
import { describe, OptionError, ShapeError } from '../errors.ts'
import { formatShape, normaliseAxis } from '../graph/shape.ts'
import { expectTensor, locate, type Tensor } from '../graph/tensor.ts'
import {
  abs,
  add,
  divide,
  gelu,
  geluTanh,
  greater,
  greaterEqual,
  lessEqual,
  multiply,
  negate,
  relu,
  sigmoid,
  softplus,
  subtract,
  tanh,
  where,
} from '../ops/elementwise.ts'
import { slice } from '../ops/shape.ts'
import { logSoftmax, softmax } from '../ops/softmax.ts'

/** The numbers that shape an activation, with their defaults; refuses others and what is no finite number. */
function shaped<Name extends string>(
  name: string,
  given: { readonly [K in Name]?: number },
  defaults: Record<Name, number>,
): Record<Name, number> {
  const at = locate(name)
  checkOptions(at, given, Object.keys(defaults))
  const result = { ...defaults, ...definedOf(given) }
  for (const [option, value] of Object.entries(result))
    if (!Number.isFinite(value)) throw new OptionError(`${at}: ${option} must be a finite number, got ${describe(value)}.`)
  return result
}

/** x kept within low … high, with a slope of 0 from either bound on. */
function clipped(x: Tensor, low: number, high: number): Tensor {
  return where(lessEqual(x, low), low, where(greaterEqual(x, high), high, x))
}

/** e^x - 1 for x ≤ 0 to full relative accuracy, as 2t / (1 - t) with t = tanh(x/2): neither side of the division cancels. */
function expMinusOne(x: Tensor): Tensor {
  const t = tanh(multiply(0.5, x))
  return divide(multiply(2, t), subtract(1, t))
}

/**
 * x where x > 0, else slope · x (Maas, Hannun and Ng 2013, "Rectifier nonlinearities improve neural network acoustic models").
 *
 * @param options `slope`: default 0.01, as in PyTorch (Keras: 0.3).
 * @example leakyRelu(input(8), { slope: 0.2 })
 */
export function leakyRelu(x: Tensor, options: { slope?: number } = {}): Tensor {
  const { slope } = shaped('leakyRelu', options, { slope: 0.01 })
  return where(greater(x, 0), x, multiply(slope, x))
}

/**
 * x where x > 0, else α (e^x - 1) (Clevert, Unterthiner and Hochreiter 2016, arXiv:1511.07289, equation 15).
 *
 * @param options `alpha`: default 1.
 * @example elu(input(8), { alpha: 0.5 })
 */
export function elu(x: Tensor, options: { alpha?: number } = {}): Tensor {
  const { alpha } = shaped('elu', options, { alpha: 1 })
  // The exponential sees no number above 0, so it cannot overflow, and at 0 the slope is α.
  return add(relu(x), multiply(alpha, expMinusOne(where(greater(x, 0), 0, x))))
}

/**
 * λ x where x > 0, else λ α (e^x - 1), with λ and α such that mean 0 and variance 1 are kept from layer to layer (Klambauer et al. 2017,
 * arXiv:1706.02515, equation 2). Its own initializer is "leCunNormal", its own dropout `alphaDropout`.
 *
 * @example selu(input(8))
 */
export function selu(x: Tensor): Tensor {
  return multiply(SELU_SCALE, elu(x, { alpha: SELU_ALPHA }))
}

/** The constants of selu, whose fixed point is mean 0 and variance 1. */
export const SELU_SCALE = 1.0507009873554805
export const SELU_ALPHA = 1.6732632423543772

/**
 * max(x, 0) + min(0, α (e^(x/α) - 1)): elu with a slope that is continuous at 0 for every α (Barron 2017, arXiv:1704.07483).
 *
 * @param options `alpha`: above 0, default 1.
 * @example celu(input(8), { alpha: 2 })
 */
export function celu(x: Tensor, options: { alpha?: number } = {}): Tensor {
  const { alpha } = shaped('celu', options, { alpha: 1 })
  if (alpha <= 0) throw new OptionError(`${locate('celu')}: alpha must be above 0, got ${alpha}.`)
  return add(relu(x), multiply(alpha, expMinusOne(multiply(1 / alpha, where(greater(x, 0), 0, x)))))
}

/**
 * x σ(x), also called swish (Hendrycks and Gimpel 2016, arXiv:1606.08415; Ramachandran, Zoph and Le 2017, arXiv:1710.05941).
 *
 * @example silu(input(8))
 */
export function silu(x: Tensor): Tensor {
  return multiply(x, sigmoid(x))
}

/**
 * x tanh(log(1 + e^x)) (Misra 2019, arXiv:1908.08681).
 *
 * @example mish(input(8))
 */
export function mish(x: Tensor): Tensor {
  return multiply(x, tanh(softplus(x)))
}

/**
 * x / (1 + |x|) (Turian, Bergstra and Bengio 2009).
 *
 * @example softsign(input(8))
 */
export function softsign(x: Tensor): Tensor {
  return divide(x, add(1, abs(x)))
}

/**
 * slope · x + offset, kept within 0 … 1: a sigmoid of straight lines. The slope at the bounds is 0.
 *
 * @param options `slope`: default 1/6, `offset`: default 0.5, as in PyTorch and Keras 3 (relu6(x + 3) / 6); Keras 2 had a slope of 0.2.
 * @example hardSigmoid(input(8), { slope: 0.2 })
 */
export function hardSigmoid(x: Tensor, options: { slope?: number; offset?: number } = {}): Tensor {
  const { slope, offset } = shaped('hardSigmoid', options, { slope: 1 / 6, offset: 0.5 })
  return clipped(add(multiply(slope, x), offset), 0, 1)
}

/**
 * x hardSigmoid(x), that is x relu6(x + 3) / 6 (Howard et al. 2019, arXiv:1905.02244, section 5.2).
 *
 * @example hardSwish(input(8))
 */
export function hardSwish(x: Tensor): Tensor {
  return multiply(x, hardSigmoid(x))
}

/**
 * x kept within low … high (Collobert 2004). The slope at the bounds is 0.
 *
 * @param options `low`: default -1; `high`: default 1.
 * @example hardTanh(input(8), { low: -2, high: 2 })
 */
export function hardTanh(x: Tensor, options: { low?: number; high?: number } = {}): Tensor {
  const { low, high } = shaped('hardTanh', options, { low: -1, high: 1 })
  if (low >= high) throw new OptionError(`${locate('hardTanh')}: low must be below high, got ${low} and ${high}.`)
  return clipped(x, low, high)
}

/**
 * x kept within 0 … 6 (Krizhevsky 2010, "Convolutional deep belief networks on CIFAR-10"). The slope at the bounds is 0.
 *
 * @example relu6(input(8))
 */
export function relu6(x: Tensor): Tensor {
  return clipped(x, 0, 6)
}

/**
 * log σ(x) = -log(1 + e^-x), without overflow and with full accuracy in both tails.
 *
 * @example logSigmoid(input(8))
 */
export function logSigmoid(x: Tensor): Tensor {
  return negate(softplus(negate(x)))
}

/**
 * x where x > threshold, else 0 (Konda, Memisevic and Krueger 2015, arXiv:1402.3337).
 *
 * @param options `threshold`: default 1, as in Keras.
 * @example thresholdedRelu(input(8), { threshold: 0.5 })
 */
export function thresholdedRelu(x: Tensor, options: { threshold?: number } = {}): Tensor {
  const { threshold } = shaped('thresholdedRelu', options, { threshold: 1 })
  return where(lessEqual(x, threshold), 0, x)
}

/** a · gate(b), a and b being the halves of one axis. */
export function gated(name: string, x: Tensor, axis: number, gate: (b: Tensor) => Tensor): Tensor {
  const at = locate(name)
  expectTensor(at, x)
  const position = normaliseAxis(at, axis, x.rank)
  const extent = x.shape[position]
  if (typeof extent !== 'number' || extent % 2 !== 0)
    throw new ShapeError(`${at}: expected an even number along axis ${axis}, which is halved, got ${formatShape(x.shape)}.`)
  const half = (start: number) =>
    slice(
      x,
      x.shape.map((_, i) => (i === position ? [start, start + extent / 2] : null)),
    )
  return multiply(half(0), gate(half(extent / 2)))
}

/**
 * The gated linear unit a σ(b), a and b being the first and the second half of x along `axis` (Dauphin et al. 2017, arXiv:1612.08083, equation 1).
 *
 * @param x [..., 2n]; gives [..., n].
 * @param axis Default: the last.
 * @example glu(input(8))
 */
export function glu(x: Tensor, axis = -1): Tensor {
  return gated('glu', x, axis, sigmoid)
}

/**
 * a max(b, 0) for the halves a and b of x along `axis` (Shazeer 2020, arXiv:2002.05202, equation 5; there the gate is the
 * first half, here the second, as in PyTorch's glu).
 *
 * @param x [..., 2n]; gives [..., n].
 * @param axis Default: the last.
 * @example reglu(input(8))
 */
export function reglu(x: Tensor, axis = -1): Tensor {
  return gated('reglu', x, axis, relu)
}

/**
 * a gelu(b) for the halves a and b of x along `axis` (Shazeer 2020, arXiv:2002.05202, equation 5).
 *
 * @param x [..., 2n]; gives [..., n].
 * @param axis Default: the last.
 * @example geglu(input(8))
 */
export function geglu(x: Tensor, axis = -1): Tensor {
  return gated('geglu', x, axis, gelu)
}

/**
 * a silu(b) for the halves a and b of x along `axis` (Shazeer 2020, arXiv:2002.05202, equation 5).
 *
 * @param x [..., 2n]; gives [..., n].
 * @param axis Default: the last.
 * @example swiglu(input(8))
 */
export function swiglu(x: Tensor, axis = -1): Tensor {
  return gated('swiglu', x, axis, silu)
}

const named = {
  linear: (x: Tensor) => x,
  relu,
  gelu,
  geluTanh,
  sigmoid,
  tanh,
  softplus,
  softmax,
  logSoftmax,
  leakyRelu,
  elu,
  selu,
  celu,
  silu,
  swish: silu,
  mish,
  softsign,
  hardSigmoid,
  hardSwish,
  hardTanh,
  relu6,
  logSigmoid,
  thresholdedRelu,
  glu,
  reglu,
  geglu,
  swiglu,
}

const hints: Hints = {
  none: 'did you mean "linear"? It is the default.',
  identity: 'did you mean "linear"? It is the default.',
  lrelu: 'did you mean "leakyRelu"?',
}

/** The activations that go by name, with the defaults of the functions of the same name. */
export type ActivationName = keyof typeof named

/** An activation by name, or any function of one symbolic tensor. */
export type ActivationChoice = ActivationName | ((x: Tensor) => Tensor)

/** The function a choice stands for; it is called with a tensor and nothing else. */
export function activationFunction(where: string, choice: ActivationChoice): (x: Tensor) => Tensor {
  if (typeof choice === 'function') return choice
  if (!Object.hasOwn(named, choice)) throw unknownName('activation', choice, Object.keys(named), where, hints)
  return named[choice]
}

/** Those that pass about half of what they are given. */
const rectified = new Set<(x: Tensor) => Tensor>([
  relu,
  gelu,
  geluTanh,
  leakyRelu,
  elu,
  celu,
  silu,
  mish,
  hardSwish,
  relu6,
  thresholdedRelu,
  reglu,
  geglu,
  swiglu,
])

/** The initializer of a kernel before an activation: He's for relu and its kin, LeCun's for selu, else Glorot's. */
export function initializerBefore(activation: (x: Tensor) => Tensor): 'heUniform' | 'leCunNormal' | 'glorotUniform' {
  return rectified.has(activation) ? 'heUniform' : activation === selu ? 'leCunNormal' : 'glorotUniform'
}
