/** Mixup: training on weighted means of two samples (Zhang et al. 2018, arXiv:1710.09412). */
import { checkOptions } from '../checks.ts'
import { describe, OptionError } from '../errors.ts'
import { substitute, type Tensor } from '../graph/tensor.ts'
import { abs, add, exp, greater, less, log, maximum, multiply, sigmoid, square, subtract } from '../ops/elementwise.ts'
import { oneHot } from '../ops/indexing.ts'
import { randomNormal, randomUniform } from '../ops/random.ts'
import { argmax, sum } from '../ops/reduce.ts'
import { flip } from '../ops/shape.ts'
import { whenTraining } from '../ops/source.ts'

/** How `mixup` of `fit` mixes. */
export interface MixupOptions {
  /** Of the distribution of the shares, Beta(α, α): small values mix little, 1 mixes evenly; default 0.2. */
  readonly alpha?: number
}

/** Inputs mixed with those of another sample of the batch, and what is made of them. */
export interface Mixture {
  /** Outputs of the model for mixed inputs while training, for the inputs themselves otherwise. */
  readonly outputs: readonly Tensor[]
  /** λ · own + (1 - λ) · partner's while training, `own` otherwise, for what each sample of a batch is judged by; batch first. */
  blend(own: Tensor, partners: Tensor): Tensor
}

/** Of as many candidates in each draw one is taken; that none is accepted has a probability below 1e-20. */
const CANDIDATES = 16

/**
 * log γ for γ ~ Gamma(α, 1), a scalar, by Marsaglia and Tsang 2000 ("A simple method for generating gamma variables"): d v with
 * d = α - 1/3 and v = (1 + z/√(9d))³ for normal z, accepted where log u < z²/2 + d - d v + d log v. Below α = 1: γ(α + 1) u^(1/α), section 6.
 */
export function logGamma(alpha: number): Tensor {
  const d = (alpha < 1 ? alpha + 1 : alpha) - 1 / 3
  const z = randomNormal([CANDIDATES])
  const root = maximum(add(1, multiply(1 / Math.sqrt(9 * d), z)), 1e-6)
  const logV = multiply(3, log(root))
  const bound = add(multiply(0.5, square(z)), multiply(d, add(1, subtract(logV, exp(logV)))))
  const accepted = multiply(less(log(randomUniform([CANDIDATES])), bound), greater(root, 1e-6))
  const found = add(Math.log(d), sum(multiply(oneHot(argmax(accepted), CANDIDATES), logV)))
  return alpha < 1 ? add(found, multiply(1 / alpha, log(randomUniform([])))) : found
}

/**
 * A model whose training inputs are λ x + (1 - λ) x′, x′ being those of another sample of the batch (the batch read backwards) and λ, one number a step,
 * distributed as Beta(α, α), of which the larger of λ and 1 - λ is taken. Quotients of gamma variables have that distribution: λ = γ₁ / (γ₁ + γ₂) = σ(log γ₁ - log γ₂).
 */
export function mixture(place: string, options: MixupOptions, inputs: readonly Tensor[], outputs: readonly Tensor[]): Mixture {
  const whereOption = `${place}: mixup`
  if (typeof options !== 'object' || options === null)
    throw new OptionError(`${whereOption} must be an object such as { alpha: 0.2 }, got ${describe(options)}.`)
  checkOptions(whereOption, options, ['alpha'])
  const { alpha = 0.2 } = options
  if (typeof alpha !== 'number' || !(alpha > 0 && alpha <= 1000))
    throw new OptionError(`${whereOption}: alpha must be a number above 0, of at most 1000, got ${describe(alpha)}.`)
  if (inputs.some(({ dtype }) => dtype !== 'float32'))
    throw new OptionError(
      `${whereOption}: inputs are mixed as numbers, but this model has an int32 input; mix behind its embedding in a custom step.`,
    )
  // λ and 1 - λ make the same batch, each pair in another order: the larger share is the sample's own, so that metrics compare with its target.
  const share = sigmoid(abs(subtract(logGamma(alpha), logGamma(alpha))))
  const mixed = inputs.map((x) => whenTraining(mix(x, flip(x, [0])), x))
  return {
    outputs: substitute(outputs, new Map(inputs.map((x, i) => [x, mixed[i]]))),
    blend: (own, partners) => whenTraining(mix(own, partners), own),
  }

  function mix(own: Tensor, partners: Tensor): Tensor {
    return add(multiply(share, own), multiply(subtract(1, share), partners))
  }
}
