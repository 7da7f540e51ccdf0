/** Optimizers around optimizers: they change the gradients another one gets, when it steps, or what becomes of its steps. In any order. */
import { checkBoolean, checkCount, checkOptions, type Hints } from '../checks.ts'
import { describe, OptionError } from '../errors.ts'
import type { Tensor } from '../graph/tensor.ts'
import { abs, add, divide, equal, greaterEqual, maximum, minimum, multiply, sqrt, subtract, where } from '../ops/elementwise.ts'
import { sumOfSquares } from '../ops/reduce.ts'
import { assign, assignAll, continueIf } from '../ops/update.ts'
import {
  type Counter,
  checkNumber,
  keptByName,
  MAX_FLOAT,
  MIN_FLOAT,
  type Optimizer,
  type Slot,
  type UpdateCall,
  type Updates,
} from './optimizer.ts'
import { type OptimizerName, optimizerFor } from './optimizers.ts'

/** What a wrapper keeps beside what the optimizer inside it keeps. */
interface Kept {
  readonly slots?: readonly Slot[]
  readonly counters?: readonly Counter[]
}

/** A step of the wrapper. */
interface WrappedCall extends UpdateCall {
  /** For each parameter the wrapper's slots, in its order. */
  readonly slots: readonly (readonly Tensor[])[]
  /** The wrapper's counters, in its order. */
  readonly own: readonly Tensor[]
  /** The step of the optimizer inside, by these gradients. */
  inside(changes?: { readonly gradients?: readonly Tensor[]; readonly gradientsAt?: UpdateCall['gradientsAt'] }): Updates
}

function wrapped(name: string, inner: Optimizer, { slots = [], counters = [] }: Kept, update: (call: WrappedCall) => Updates): Optimizer {
  const innerCounters = inner.counters ?? []
  return {
    name: `${name}(${inner.name})`,
    learningRates: inner.learningRates,
    slots: (parameter) => joined(inner.slots?.(parameter) ?? [], slots),
    counters: joined(innerCounters, counters),
    update(call) {
      // What a wrapper keeps comes after what the optimizer inside it keeps, whose names it leaves as they are.
      const kept = call.parameters.map((parameter) => Object.entries(parameter.slots))
      const counted = Object.entries(call.counters)
      return update({
        ...call,
        slots: kept.map((entries) => entries.slice(entries.length - slots.length).map(([, slot]) => slot)),
        own: counted.slice(innerCounters.length).map(([, counter]) => counter),
        inside({ gradients, gradientsAt = call.gradientsAt } = {}) {
          let stored: readonly Tensor[] | undefined
          // NOTE: where one is stored all are, one after the other, so that this is one pass. What is not read is no part of the plan.
          const store = (gradient: Tensor, i: number) => {
            if (gradient !== gradients?.[i]) return call.parameters[i].store(gradient)
            stored ??= gradients.map((each, j) => call.parameters[j].store(each))
            return stored[i]
          }
          return inner.update({
            ...call,
            parameters: call.parameters.map((parameter, i) => ({
              ...parameter,
              gradient: gradients?.[i] ?? parameter.gradient,
              slots: keptByName(inner.name, 'slot', kept[i].slice(0, kept[i].length - slots.length)),
              store: (gradient) => store(gradient, i),
            })),
            counters: keptByName(inner.name, 'counter', counted.slice(0, innerCounters.length)),
            gradientsAt,
          })
        },
      })
    },
  }
}

/** One list after the other; what has the name of an earlier one gets a number. */
export function joined<T extends { readonly name: string }>(some: readonly T[], more: readonly T[]): T[] {
  const result = [...some]
  for (const each of more) {
    let name = each.name
    for (let i = 2; result.some((other) => other.name === name); i++) name = `${each.name}_${i}`
    result.push({ ...each, name })
  }
  return result
}

/** By what gradients are clipped: one of these. */
export interface ClippingOptions {
  /** The largest |g| of each element; default any. */
  readonly value?: number
  /** The largest L2 norm of the gradient of each parameter; default any. */
  readonly norm?: number
  /** The largest L2 norm of the gradients of all parameters together; default any. */
  readonly globalNorm?: number
}

const bounds = ['value', 'norm', 'globalNorm'] as const
const clippingHints: Hints = {
  clipValue: 'did you mean "value"?',
  maxNorm: 'did you mean "norm", of each parameter, or "globalNorm", of all together?',
  clipNorm: 'did you mean "norm", of each parameter, or "globalNorm", of all together?',
}

/**
 * Keeps gradients from exploding: an optimizer that gets them clipped. With `value` c each element g becomes min(max(g, -c), c); with `norm` c the
 * gradient of each parameter, and with `globalNorm` c those of all together, become g · min(1, c / ‖g‖) (Pascanu, Mikolov and Bengio 2013,
 * arXiv:1211.5063, algorithm 1). Gradients of norm 0 stay as they are; those of a norm whose square is more than float32 holds (a norm above
 * 1.8e19) become 0.
 *
 * @param optimizer What steps by the clipped gradients: an optimizer or its name.
 * @param options One of `value`, `norm` and `globalNorm`; no defaults.
 * @example clipGradients(adam(), { globalNorm: 1 })
 */
export function clipGradients(optimizer: Optimizer | OptimizerName, options: ClippingOptions): Optimizer {
  const inner = optimizerFor('clipGradients', optimizer)
  checkOptions('clipGradients', options, bounds, clippingHints)
  const given = bounds.filter((name) => options?.[name] !== undefined)
  if (given.length !== 1)
    throw new OptionError(
      `clipGradients: expected one of value, norm and globalNorm, got ${given.join(' and ') || 'none'}; to clip by two, clip twice.`,
    )
  const [kind] = given
  const bound = options[kind] as number
  checkNumber('clipGradients', kind, bound, MIN_FLOAT, MAX_FLOAT)
  const scaled = (gradients: readonly Tensor[]) => {
    const scale = minimum(1, divide(bound, sqrt(sumOfSquares(gradients))))
    return gradients.map((gradient) => multiply(gradient, scale))
  }
  const clip = {
    value: (gradients: readonly Tensor[]) => gradients.map((gradient) => minimum(maximum(gradient, -bound), bound)),
    norm: (gradients: readonly Tensor[]) => gradients.flatMap((gradient) => scaled([gradient])),
    globalNorm: scaled,
  }[kind]
  return wrapped('clipGradients', inner, {}, ({ parameters, gradientsAt, inside }) =>
    inside({
      // Norms are read from memory; a value is clipped wherever it is read.
      gradients: clip(parameters.map(({ gradient, store }) => (kind === 'value' ? gradient : store(gradient)))),
      gradientsAt: (values) => clip(gradientsAt(values)),
    }),
  )
}

/** How many batches make a step. */
export interface AccumulationOptions {
  /** Batches a step of the optimizer. */
  readonly steps: number
}

/**
 * Trains as with larger batches in the memory of small ones: an optimizer that steps once in `steps` batches, by the mean of their gradients,
 * g = 1/n (g₁ + … + gₙ). With a mean loss and equal batches that is the gradient of all their samples. Batches of an unfinished group go on with
 * the next epoch, and with the next `fit` of the same optimizer. Learning rate schedules go by batches. It keeps one number for each of a
 * parameter's.
 *
 * @param optimizer What steps: an optimizer or its name.
 * @param options `steps`: an integer of at least 1, no default.
 * @example accumulateGradients(adam(), { steps: 4 })
 */
export function accumulateGradients(optimizer: Optimizer | OptimizerName, options: AccumulationOptions): Optimizer {
  const inner = optimizerFor('accumulateGradients', optimizer)
  checkOptions('accumulateGradients', options, ['steps'])
  const steps = options?.steps
  checkCount('accumulateGradients', 'steps', steps, 'give { steps: 4 }')
  const kept = { slots: [{ name: 'accumulated' }], counters: [{ name: 'accumulatedBatches' }] }
  return wrapped('accumulateGradients', inner, kept, ({ parameters, slots, own: [batches], inside }) => {
    const isFirst = equal(batches, 0)
    const isDue = greaterEqual(batches, steps - 1)
    const divisor = where(isDue, steps, 1)
    const sums = parameters.map(({ gradient }, i) => {
      const [sum] = slots[i]
      return assignAll([sum], [divide(where(isFirst, gradient, add(sum, gradient)), divisor)])
    })
    const counted = assignAll([batches], [where(isDue, 0, add(batches, 1))])
    const due = continueIf(isDue)
    const gradientsAt = () => {
      throw new OptionError(
        `accumulateGradients: ${inner.name} evaluates the loss again, and of the batches only the last is still there; put it around: sharpnessAware(accumulateGradients(…)).`,
      )
    }
    const { parameters: updated, others = [] } = inside({ gradients: sums, gradientsAt })
    return { parameters: updated, others: [counted, due, ...others] }
  })
}

/** How weights are averaged. */
export interface AveragingOptions {
  /** How much of the average is kept in each step, 0 … 1; default 0.999. At 1 all steps count alike. */
  readonly decay?: number
}

/**
 * Averages the weights over the steps, which often generalize better than the last ones: an exponential moving average whose weights add up to 1
 * from the first step on, n ← 1 + decay · n, average ← average + (weights − average) / n, with n = 0 at first. That is the usual
 * decay · average + (1 − decay) · weights without its bias towards the first; with decay 1 it is the plain mean of all steps (Polyak and Juditsky
 * 1992; Izmailov et al. 2018, arXiv:1803.05407, SWA).
 *
 * The averages are the model's weights whenever no steps run: for validation, callbacks, early stopping and predictions, and after training. Training
 * itself goes on with its own weights, also in a later `fit` with the same optimizer; but from weights that have been set meanwhile, by `setWeights` or by
 * early stopping. Another optimizer begins with the averages. Constrained weights are averaged after they have been constrained. It keeps one number for each of a parameter's, and one
 * more while no steps run.
 *
 * @param optimizer What steps: an optimizer or its name.
 * @param options `decay` 0.999.
 * @example averageWeights(adam(), { decay: 0.99 })
 */
export function averageWeights(optimizer: Optimizer | OptimizerName, options: AveragingOptions = {}): Optimizer {
  const inner = optimizerFor('averageWeights', optimizer)
  checkOptions('averageWeights', options, ['decay'], { momentum: 'did you mean "decay"?', beta: 'did you mean "decay"?' })
  const { decay = 0.999 } = options
  checkPart('averageWeights', 'decay', decay)
  const kept: Kept = { slots: [{ name: 'average', initial: 'parameter', standsIn: true }], counters: [{ name: 'averagedSteps' }] }
  return wrapped('averageWeights', inner, kept, ({ parameters, slots, own: [count], inside }) => {
    const { parameters: updated, others = [] } = inside()
    const weights = updated.map((each, i) => parameters[i].constrain(each))
    const counted = assignAll([count], [add(multiply(count, decay), 1)])
    const averages = weights.map((each, i) => {
      const [average] = slots[i]
      return assignAll([average], [add(average, divide(subtract(each, average), counted))])
    })
    return { parameters: weights, others: [...others, ...averages] }
  })
}

/** How often and how far the slow weights follow the fast ones. */
export interface LookaheadOptions {
  /** Steps between two updates of the slow weights; default 5. */
  readonly steps?: number
  /** How far the slow weights go towards the fast ones, 0 … 1; default 0.5. */
  readonly alpha?: number
}

/**
 * Two sets of weights: the fast ones, of the optimizer inside, explore; after every `steps` steps the slow ones follow, slow ← slow + α · (fast − slow),
 * and the fast ones begin again from there, fast ← slow (Zhang et al. 2019, arXiv:1907.08610, algorithm 1). The optimizer's moments stay as they are. It
 * keeps one number for each of a parameter's. Slow weights outlive `setWeights`: for other weights make another lookahead.
 *
 * @param optimizer What steps the fast weights: an optimizer or its name.
 * @param options `steps` 5, `alpha` 0.5.
 * @example lookahead(sgd({ momentum: 0.9 }), { steps: 6 })
 */
export function lookahead(optimizer: Optimizer | OptimizerName, options: LookaheadOptions = {}): Optimizer {
  const inner = optimizerFor('lookahead', optimizer)
  checkOptions('lookahead', options, ['steps', 'alpha'], { k: 'did you mean "steps"?' })
  const { steps = 5, alpha = 0.5 } = options
  checkCount('lookahead', 'steps', steps)
  checkPart('lookahead', 'alpha', alpha)
  const kept: Kept = { slots: [{ name: 'slow', initial: 'parameter' }], counters: [{ name: 'fastSteps' }] }
  return wrapped('lookahead', inner, kept, ({ parameters, slots, own: [count], inside }) => {
    const { parameters: updated, others = [] } = inside()
    const isDue = greaterEqual(count, steps - 1)
    const counted = assignAll([count], [where(isDue, 0, add(count, 1))])
    const weights = updated.map((each, i) => {
      const [slow] = slots[i]
      const fast = parameters[i].constrain(each)
      const next = add(slow, multiply(alpha, subtract(fast, slow)))
      return assignAll([fast, slow], [where(isDue, next, fast), where(isDue, next, slow)])
    })
    return { parameters: weights, others: [...others, counted] }
  })
}

/** The neighbourhood of the weights. */
export interface SharpnessOptions {
  /** How far from the weights their neighbourhood goes, ρ; default 0.05. */
  readonly radius?: number
  /** Whether the neighbourhood is measured in proportion to each weight; default false. */
  readonly adaptive?: boolean
}

/** Added to |w| where the neighbourhood goes by it, so that a weight of 0 has one too: η of Kwon et al. */
const ADAPTIVE_OFFSET = 0.01
/** Gradients of less than this joint norm perturb the weights by less than the radius. */
const SMALLEST_NORM = 1e-12

/**
 * Looks for flat minima: the optimizer inside steps by the gradient at the worst point near the weights, w + e with e = ρ · g / ‖g‖ (Foret et al. 2021,
 * arXiv:2010.01412, equation 2); with `adaptive` e = ρ · T²g / ‖T g‖ where T = |w| + 0.01 (Kwon et al. 2021, arXiv:2102.11600, algorithm 1; a radius
 * ten times as large is usual). The norm is that of all parameters together. Each step goes through the network twice, with the same dropout; loss and
 * metrics are those of the weights themselves. It keeps two numbers for each of a parameter's.
 *
 * @param optimizer What steps: an optimizer or its name.
 * @param options `radius` 0.05, `adaptive` false.
 * @example sharpnessAware(sgd({ learningRate: 0.1, momentum: 0.9 }), { radius: 0.1 })
 */
export function sharpnessAware(optimizer: Optimizer | OptimizerName, options: SharpnessOptions = {}): Optimizer {
  const inner = optimizerFor('sharpnessAware', optimizer)
  checkOptions('sharpnessAware', options, ['radius', 'adaptive'], { rho: 'did you mean "radius"?' })
  const { radius = 0.05, adaptive = false } = options
  checkNumber('sharpnessAware', 'radius', radius, 0, MAX_FLOAT)
  checkBoolean('sharpnessAware', 'adaptive', adaptive)
  const kept = { slots: [{ name: 'perturbed' }, { name: 'perturbedGradient' }] }
  return wrapped('sharpnessAware', inner, kept, ({ parameters, slots, gradientsAt, inside }) => {
    const slopes = parameters.map(({ value, gradient, store }, i) =>
      adaptive ? assignAll([slots[i][0]], [multiply(add(abs(value), ADAPTIVE_OFFSET), gradient)]) : store(gradient),
    )
    const norm = maximum(sqrt(sumOfSquares(slopes)), SMALLEST_NORM)
    const points = parameters.map(({ value }, i) => {
      const direction = multiply(radius, divide(slopes[i], norm))
      // NOTE: |w| + 0.01 to the bit, but written in another way: the planner keeps in memory what it would need in both passes.
      const scale = maximum(add(value, ADAPTIVE_OFFSET), subtract(ADAPTIVE_OFFSET, value))
      return adaptive ? assignAll([slopes[i]], [add(value, multiply(scale, direction))]) : assignAll([slots[i][0]], [add(value, direction)])
    })
    return inside({ gradients: gradientsAt(points).map((gradient, i) => assign(slots[i][1], gradient)) })
  })
}

function checkPart(where: string, name: string, value: unknown): void {
  if (typeof value !== 'number' || !(value >= 0 && value <= 1))
    throw new OptionError(`${where}: ${name} must lie in 0 … 1, got ${describe(value)}.`)
}
