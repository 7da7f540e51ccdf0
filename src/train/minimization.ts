import { describe, GraphError, OptionError } from '../errors.ts'
import { concrete, formatShape, sameShape } from '../graph/shape.ts'
import { type Dtype, substitute, Tensor, within } from '../graph/tensor.ts'
import { gradients, gradientsFound } from '../ops/gradients.ts'
import { stepVariable } from '../ops/random.ts'
import { isVariable, stopGradient, type VariableAttributes, variable } from '../ops/source.ts'
import { assign, assignAll, checkFinite, increment, variableBehind } from '../ops/update.ts'
import { keptByName, type Optimizer, type ParameterInfo, type Slot, type TrainedParameter } from '../optim/optimizer.ts'
import { GRADIENTS } from '../plan/plan.ts'
import { Purpose, RandomStream } from '../random.ts'
import type { Model } from './model.ts'
import type { NamedVariable } from './names.ts'
import type { Objective } from './objective.ts'

/** The variables training adds to a model's own. */
interface TrainingVariables {
  /** For each parameter. */
  readonly gradients: readonly NamedVariable[]
  /** For each parameter its slots, in the order the optimizer lists them. */
  readonly slots: readonly (readonly NamedVariable[])[]
  readonly learningRates: readonly NamedVariable[]
  /** Steps this optimizer has taken. Not the model's own count, which goes on when another optimizer begins with empty slots. */
  readonly steps: NamedVariable
  readonly counters: readonly NamedVariable[]
}

/** Parameters and the optimizer that makes a loss small by changing them: the variables that this takes, and the updates of a step. */
export class Minimization {
  readonly parameters: readonly NamedVariable[]
  readonly optimizer: Optimizer
  private readonly siblings: readonly ParameterInfo[]
  private readonly own: TrainingVariables

  /** @param all The parameters of all models in training, those among them that this one trains included. */
  constructor(parameters: readonly NamedVariable[], optimizer: Optimizer, all: readonly NamedVariable[]) {
    this.parameters = parameters
    this.optimizer = optimizer
    this.siblings = all.map(({ name, variable: { shape } }) => ({ name, shape: concrete(shape) }))
    this.own = trainingVariables(parameters, optimizer)
  }

  /** What needs memory beside the parameters. */
  get variables(): readonly NamedVariable[] {
    return [...this.own.gradients, ...this.remembered]
  }

  /** What the optimizer remembers from one step to the next: all but gradients. */
  get remembered(): readonly NamedVariable[] {
    return [...this.ofParameters, ...this.ofAll]
  }

  /** What it remembers for each parameter. */
  get ofParameters(): readonly NamedVariable[] {
    return this.own.slots.flat()
  }

  /** What there is once for all parameters. */
  get ofAll(): readonly NamedVariable[] {
    const { learningRates, steps, counters } = this.own
    return [...learningRates, steps, ...counters]
  }

  /** For each parameter the variable of its gradient. */
  get gradients(): readonly Tensor[] {
    return this.own.gradients.map(({ variable: gradient }) => gradient)
  }

  /** The slots that stand in for parameters while no steps run. */
  get standIns(): readonly { readonly parameter: Tensor; readonly slot: Tensor }[] {
    return this.parameters.flatMap(({ variable: parameter, name }, i) => {
      const last = slotsOf(this.optimizer, { name, shape: concrete(parameter.shape) }).findLastIndex(({ standsIn }) => standsIn)
      return last < 0 ? [] : [{ parameter, slot: this.own.slots[i][last].variable }]
    })
  }

  /** For each of the optimizer's learning rates the variable that holds it. */
  get learningRates(): readonly Tensor[] {
    return this.own.learningRates.map(({ variable: rate }) => rate)
  }

  /** Whether it can go on with the slots of another: with the same optimizer, and no parameter that the other one has not. */
  continues(other: Minimization): boolean {
    const names = new Set(other.parameters.map(({ name }) => name))
    return this.optimizer === other.optimizer && this.parameters.every(({ name }) => names.has(name))
  }

  /**
   * Begins anew. Gradients are made in each step, those that are not stored never: their memory stays untouched, and costs nothing.
   *
   * @param valuesOf The memory of a variable, its own or a parameter.
   */
  initialize(valuesOf: (variable: Tensor) => Float32Array): void {
    for (const { variable: each } of this.remembered) {
      const { initialize, shape } = each.attributes as VariableAttributes
      initialize(valuesOf(each), shape, new RandomStream(0, Purpose.initialize, 0))
    }
    this.parameters.forEach(({ variable: parameter, name }, i) => {
      slotsOf(this.optimizer, { name, shape: concrete(parameter.shape) }).forEach(({ initial }, j) => {
        if (initial === 'parameter') valuesOf(this.own.slots[i][j].variable).set(valuesOf(parameter))
      })
    })
  }

  /**
   * gradients → flat gradient block → checkFinite → the optimizer's updates (joined by the planner) → constraints → steps + 1.
   *
   * @param total What to make small: a scalar.
   * @param updated Variables that earlier updates of the step have changed, with what `total` reads in their place: the results of these updates, through
   *   which no gradient goes. Those of this one are added.
   * @param afterCheck Makes what else happens as soon as the gradients are known to be finite.
   */
  updates(total: Tensor, updated: Map<Tensor, Tensor>, afterCheck: () => readonly Tensor[]): readonly Tensor[] {
    const { own } = this
    const read = this.parameters.map(({ variable: parameter }) => updated.get(parameter) ?? parameter)
    const found = gradients(total, read)
    return within(null, 'update', () => {
      const stored = found.map((gradient, i) => assign(own.gradients[i].variable, gradient))
      const checks = [checkFinite([total, ...stored])]
      const between = afterCheck()
      const bounded = new Set<Tensor>()
      const bound = ({ variable: parameter, name }: NamedVariable, result: Tensor) => {
        const { constrain } = parameter.attributes as VariableAttributes
        if (constrain === undefined || bounded.has(result)) return result
        const allowed: unknown = constrain(result)
        // A scalar would be assigned to every element.
        if (!(allowed instanceof Tensor) || !sameShape(allowed.shape, parameter.shape))
          throw new OptionError(
            `The constraint of ${name} must return a symbolic tensor of shape ${formatShape(parameter.shape)}, got ${allowed instanceof Tensor ? formatShape(allowed.shape) : describe(allowed)}.`,
          )
        const held = assignAll([result], [allowed])
        bounded.add(held)
        return held
      }
      const parameters = this.parameters.map((named, i): TrainedParameter => {
        const { variable: parameter, name } = named
        const info = { name, shape: concrete(parameter.shape) }
        const slots = slotsOf(this.optimizer, info).map(({ name: slot }, j) => [slot, own.slots[i][j].variable] as const)
        let latest = stored[i]
        const store = (gradient: Tensor) => {
          if (variableBehind(gradient) !== null) return gradient
          latest = assignAll([latest], [gradient])
          return latest
        }
        return {
          ...info,
          siblings: this.siblings,
          value: isVariable(read[i]) ? read[i] : read[i].inputs[0],
          gradient: stored[i],
          slots: keptByName(this.optimizer.name, 'slot', slots),
          store,
          constrain: (result) => bound(named, result),
        }
      })
      const call = {
        parameters,
        learningRates: this.learningRates,
        step: own.steps.variable,
        counters: keptByName(
          this.optimizer.name,
          'counter',
          own.counters.map(({ variable: counter, name }) => [name, counter] as const),
        ),
        gradientsAt: (moved: readonly Tensor[]) => {
          // What the values are made of depends on the parameters too, and is no part of the loss there.
          const values = moved.map(stopGradient)
          // What the step has changed already stays as it is.
          const fixed = [...updated.values()].map((result): [Tensor, Tensor] => [result, result])
          const [there] = substitute([total], new Map([...fixed, ...read.map((tensor, i): [Tensor, Tensor] => [tensor, values[i]])]))
          const found = gradients(there, values)
          checks.push(checkFinite(found))
          return found
        },
      }
      const { parameters: results, others = [] } = this.optimizer.update(call)
      this.parameters.forEach(({ variable: parameter, name }, i) => {
        if (results.length === parameters.length && results[i] instanceof Tensor && variableBehind(results[i]) === parameter) return
        const got =
          results.length === parameters.length ? String(results[i]) : `${results.length} results for ${parameters.length} parameters`
        throw new GraphError(
          `optimizer "${this.optimizer.name}": expected an update of parameter ${name}, such as assignAll([value], [next]), got ${got}.`,
        )
      })
      const constrained = results.map((result, i) => bound(this.parameters[i], result))
      this.parameters.forEach(({ variable: parameter }, i) => {
        updated.set(parameter, stopGradient(constrained[i]))
      })
      return [...stored, ...checks, ...between, ...others, ...constrained, increment(own.steps.variable)]
    })
  }
}

/** Refuses a loss that would train nothing, or only by the penalties beside it: no gradient reaches any parameter, whatever the values are. */
export function checkGradient(where: string, loss: Tensor, parameters: readonly NamedVariable[]): void {
  const found = gradientsFound(
    loss,
    parameters.map(({ variable: parameter }) => parameter),
  )
  if (found.every((gradient) => gradient === null))
    throw new OptionError(
      `${where}: the loss does not depend on any of its parameters, such as ${parameters[0].name}, by a gradient: comparisons, sign, argmax and stopGradient have none; make it of the prediction by ops that have one, such as subtract and square.`,
    )
}

function slotsOf(optimizer: Optimizer, parameter: ParameterInfo): readonly Slot[] {
  return optimizer.slots?.(parameter) ?? []
}

function trainingVariables(parameters: readonly NamedVariable[], optimizer: Optimizer): TrainingVariables {
  const beside = (block: string, name: string, shape: readonly number[], initial: Slot['initial'] = 0): NamedVariable => ({
    name: `${block}/${name}`,
    variable: variable({
      name,
      block,
      shape,
      dtype: 'float32',
      initialize: (values) => {
        if (typeof initial === 'number') values.fill(initial)
      },
    }),
  })
  const scalar = (name: string, dtype: Dtype, initial = 0): NamedVariable => ({
    name,
    variable: variable({
      name,
      block: 'schedule',
      shape: [],
      dtype,
      initialize: (values) => {
        values[0] = initial
      },
    }),
  })
  return {
    gradients: parameters.map(({ variable: { attributes }, name }) => beside(GRADIENTS, name, attributes.shape)),
    slots: parameters.map(({ variable: { attributes }, name }) =>
      slotsOf(optimizer, { name, shape: attributes.shape }).map(({ name: slot, shape = attributes.shape, initial }) =>
        beside(`slots/${slot}`, name, shape, initial),
      ),
    ),
    learningRates: optimizer.learningRates.map((_, i) => scalar(i === 0 ? 'learningRate' : `learningRate_${i + 1}`, 'float32')),
    steps: scalar('steps', 'int32'),
    counters: (optimizer.counters ?? []).map(({ name, initial }) => scalar(name, 'float32', initial)),
  }
}

/** A training step as part of the graph. */
export interface Step {
  /** By what stands in front of the names of their variables and layers. The first gives the seed, the count of steps, and the executor. */
  readonly models: ReadonlyMap<string, Model>
  readonly inputs: Readonly<Record<string, Tensor>>
  /** What to record. */
  readonly outputs: Readonly<Record<string, Tensor>>
  readonly minimizations: readonly Minimization[]
  readonly updates: readonly Tensor[]
  /** What needs memory besides; default nothing. */
  readonly variables?: readonly NamedVariable[]
}

/** The step of `fit`: one model, one objective, one optimizer. */
export function stepOf(model: Model, objective: Objective, optimizer: Optimizer): Step {
  const minimization = new Minimization(model.trainableParameters, optimizer, model.parameters)
  return {
    models: new Map([['', model]]),
    inputs: objective.inputs(),
    outputs: objective.outputs(),
    minimizations: [minimization],
    // Each step has its randomness, also one that ends before the optimizer.
    updates: minimization.updates(objective.total, new Map(), () => [increment(stepVariable)]),
  }
}
