/** What an optimizer is: what it keeps for each parameter, and how a step changes the parameters, as part of the graph. */
import { unknownName } from '../checks.ts'
import { describe, OptionError } from '../errors.ts'
import type { Tensor } from '../graph/tensor.ts'
import { type LearningRate, scheduleFor } from './schedules.ts'

/** A parameter as an optimizer is told of it. */
export interface ParameterInfo {
  /** The full name, such as `dense_1.kernel`. */
  readonly name: string
  readonly shape: readonly number[]
}

/** What an optimizer keeps, by name; refuses to be asked for what it does not keep. */
export function keptByName(optimizer: string, what: 'slot' | 'counter', entries: Iterable<readonly [string, Tensor]>) {
  const kept: Record<string, Tensor> = Object.fromEntries(entries)
  return new Proxy(kept, {
    get(_, name) {
      if (typeof name === 'symbol' || name in kept) return Reflect.get(kept, name)
      const known = Object.keys(kept)
      if (known.length === 0) throw new OptionError(`optimizer "${optimizer}": it keeps no ${what}s, so there is no "${name}".`)
      throw unknownName(what, name, known, `optimizer "${optimizer}"`)
    },
  })
}

/** Something an optimizer remembers for a parameter from step to step. */
export interface Slot {
  readonly name: string
  /** Default: the parameter's. */
  readonly shape?: readonly number[]
  /** What it begins with: a number for all elements, or a copy of the parameter; default 0. */
  readonly initial?: number | 'parameter'
  /** Whether it is in the parameter's place whenever no steps run: for validation, callbacks and predictions, and after the run; default false. */
  readonly standsIn?: boolean
}

/** A number an optimizer remembers for all parameters together, float32. */
export interface Counter {
  readonly name: string
  /** Default 0. */
  readonly initial?: number
}

/** A parameter in the step that updates it. */
export interface TrainedParameter extends ParameterInfo {
  /** All parameters of the models in training, this one and those that are frozen included. */
  readonly siblings: readonly ParameterInfo[]
  /** The parameter as the step finds it. */
  readonly value: Tensor
  readonly gradient: Tensor
  /** By the names of `slots`. */
  readonly slots: Readonly<Record<string, Tensor>>
  /**
   * A gradient made of `gradient`, in the memory where gradients lie in the order of the parameters, for ops that go through it in one
   * pass (`adam`); one that lies in such an order already stays where it is.
   */
  store(gradient: Tensor): Tensor
  /** An update of the parameter, put back within the bounds it is held to; the same if there are none. What nobody has put back is in the end. */
  constrain(updated: Tensor): Tensor
}

/** What an optimizer makes a step from. */
export interface UpdateCall {
  readonly parameters: readonly TrainedParameter[]
  /** A float32 scalar for each of the optimizer's `learningRates`. */
  readonly learningRates: readonly Tensor[]
  /** Steps taken so far, an int32 scalar. */
  readonly step: Tensor
  /** By the names of `counters`. */
  readonly counters: Readonly<Record<string, Tensor>>
  /**
   * The gradients of the loss where the parameters have other values: a second pass through the network, with the same dropout. If they are
   * not finite the step ends before what is made after this call.
   */
  gradientsAt(values: readonly Tensor[]): readonly Tensor[]
}

/** What a step writes. */
export interface Updates {
  /** Each parameter after the step: the result of the update that writes it. */
  readonly parameters: readonly Tensor[]
  /** Updates that no parameter depends on, such as those of counters. */
  readonly others?: readonly Tensor[]
}

/**
 * An optimizer. Those of this library are made by functions such as `adam(options)`; one of your own is an object like this, or where each parameter is treated by one rule and
 * there is one learning rate, what `perParameter` makes.
 *
 * @example const momentum: Optimizer = {
 *   name: 'momentum',
 *   learningRates: [0.1],
 *   slots: () => [{ name: 'velocity' }],
 *   update: ({ parameters, learningRates: [rate] }) => ({
 *     parameters: parameters.map(({ value, gradient, slots: { velocity } }) => {
 *       const faster = subtract(multiply(0.9, velocity), multiply(rate, gradient))
 *       return assignAll([value, velocity], [add(value, faster), faster])
 *     }),
 *   }),
 * }
 * await sequential([input(1), dense(1)]).fit({ x: [1, 2], y: [2, 4] }, { loss: 'meanSquaredError', optimizer: momentum })
 */
export interface Optimizer {
  readonly name: string
  /** One, or several where groups of parameters go by their own. */
  readonly learningRates: readonly LearningRate[]
  /** What it keeps for a parameter; default nothing. */
  slots?(parameter: ParameterInfo): readonly Slot[]
  /** What it keeps for all of them together; default nothing. */
  readonly counters?: readonly Counter[]
  update(call: UpdateCall): Updates
}

/**
 * An optimizer of your own, of one learning rate, that treats every parameter by the same rule.
 *
 * @param slots What it keeps for each parameter: names, or `Slot`s with a shape or first value of their own.
 * @param update The update of one parameter, such as `assignAll` makes; it becomes one pass over all parameters.
 * @example perParameter('descent', 0.1, [], ({ value, gradient }, rate) => assignAll([value], [subtract(value, multiply(rate, gradient))]))
 */
export function perParameter(
  name: string,
  learningRate: LearningRate,
  slots: readonly (string | Slot)[],
  update: (parameter: TrainedParameter, learningRate: Tensor, step: Tensor) => Tensor,
): Optimizer {
  const kept = slots.map((slot) => (typeof slot === 'string' ? { name: slot } : slot))
  return {
    name,
    learningRates: [learningRate],
    slots: () => kept,
    update: ({ parameters, learningRates: [rate], step }) => ({ parameters: parameters.map((parameter) => update(parameter, rate, step)) }),
  }
}

/**
 * Chooses parameters: by name (`dense_1.kernel`, the layer's `dense_1`, or the last part, `bias`), by a pattern that the full name
 * matches, by a function of name and shape, or by any of several such.
 */
export type ParameterFilter =
  | string
  | RegExp
  | ((parameter: ParameterInfo) => boolean)
  | readonly (string | RegExp | ((parameter: ParameterInfo) => boolean))[]

/** Whether a filter, checked by `checkFilter`, chooses a parameter. */
export function chooses(filter: ParameterFilter, parameter: ParameterInfo): boolean {
  if (typeof filter === 'function') return filter(parameter)
  if (filter instanceof RegExp) return parameter.name.search(filter) >= 0
  if (typeof filter !== 'string') return filter.some((part) => chooses(part, parameter))
  const dot = parameter.name.lastIndexOf('.')
  return filter === parameter.name || filter === parameter.name.slice(0, Math.max(dot, 0)) || filter === parameter.name.slice(dot + 1)
}

export function checkFilter(where: string, name: string, filter: unknown): void {
  const parts = Array.isArray(filter) ? filter : [filter]
  for (const part of parts) {
    if (typeof part !== 'string' && typeof part !== 'function' && !(part instanceof RegExp))
      throw new OptionError(
        `${where}: ${name} must be a parameter's name, a pattern such as /bias/, a function of { name, shape }, or an array of these, got ${describe(part)}.`,
      )
  }
}

/** What float32 no longer holds (3.4028235677973366e38, the first number that rounds to infinity). */
export const MAX_FLOAT = 2 ** 128 - 2 ** 103

/** The smallest float32 above 0: what is less would become 0, and 0 / 0 is NaN. */
export const MIN_FLOAT = 2 ** -149

/** Refuses an option that is no number within minimum … below (excluded). */
export function checkNumber(where: string, name: string, value: unknown, minimum: number, below = Number.POSITIVE_INFINITY): void {
  if (typeof value === 'number' && value >= minimum && value < below) return
  const range =
    below === Number.POSITIVE_INFINITY ? `a number of at least ${minimum}` : `a number of at least ${minimum} and below ${below}`
  throw new OptionError(`${where}: ${name} must be ${range}, got ${describe(value)}.`)
}

export function checkRate(where: string, rate: unknown): void {
  if (typeof rate === 'object' || typeof rate === 'function' || typeof rate === 'string') scheduleFor(where, rate as LearningRate)
  else checkNumber(where, 'learningRate', rate, 0, MAX_FLOAT)
}
