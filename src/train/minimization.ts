import { concrete } from '../graph/shape.ts'
import { type Dtype, substitute, type Tensor, within } from '../graph/tensor.ts'
import { gradients } from '../ops/gradients.ts'
import { type VariableAttributes, variable } from '../ops/source.ts'
import { assign, assignAll, checkFinite, increment, variableBehind } from '../ops/update.ts'
import type { Optimizer, ParameterInfo, Slot, TrainedParameter } from '../optim/optimizer.ts'
import { Purpose, RandomStream } from '../random.ts'
import type { NamedVariable } from './model.ts'

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
  private readonly own: TrainingVariables

  constructor(parameters: readonly NamedVariable[], optimizer: Optimizer) {
    this.parameters = parameters
    this.optimizer = optimizer
    this.own = trainingVariables(parameters, optimizer)
  }

  /** What needs memory beside the parameters. */
  get variables(): readonly NamedVariable[] {
    const { gradients: flat, slots, learningRates, steps, counters } = this.own
    return [...flat, ...slots.flat(), ...learningRates, steps, ...counters]
  }

  /** For each of the optimizer's learning rates the variable that holds it. */
  get learningRates(): readonly Tensor[] {
    return this.own.learningRates.map(({ variable: rate }) => rate)
  }

  /** Begins anew. @param valuesOf The memory of a variable, its own or a parameter. */
  initialize(valuesOf: (variable: Tensor) => Float32Array): void {
    for (const { variable: each } of this.variables) {
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
   * @param updated Variables that earlier updates of the step have changed, with the results of these; those of this one are added.
   * @param afterCheck Makes what else happens as soon as the gradients are known to be finite.
   */
  updates(loss: Tensor, updated: Map<Tensor, Tensor>, afterCheck: () => readonly Tensor[]): readonly Tensor[] {
    const { own } = this
    const [total] = substitute([loss], updated)
    const values = this.parameters.map(({ variable: parameter }) => updated.get(parameter) ?? parameter)
    const found = gradients(total, values)
    return within(null, 'update', () => {
      const stored = found.map((gradient, i) => assign(own.gradients[i].variable, gradient))
      const check = checkFinite([total, ...stored])
      const between = afterCheck()
      const parameters = this.parameters.map(({ variable: { shape }, name }, i): TrainedParameter => {
        const info = { name, shape: concrete(shape) }
        const slots = slotsOf(this.optimizer, info).map(({ name: slot }, j) => [slot, own.slots[i][j].variable])
        const store = (gradient: Tensor) => (variableBehind(gradient) === null ? assignAll([stored[i]], [gradient]) : gradient)
        return { ...info, value: values[i], gradient: stored[i], slots: Object.fromEntries(slots), store }
      })
      const call = {
        parameters,
        learningRates: this.learningRates,
        step: own.steps.variable,
        counters: Object.fromEntries(own.counters.map(({ variable: counter, name }) => [name, counter])),
        gradientsAt: (moved: readonly Tensor[]) => {
          // What the step has changed already stays as it is.
          const fixed = [...updated.values()].map((result): [Tensor, Tensor] => [result, result])
          const [there] = substitute([total], new Map([...fixed, ...values.map((value, i): [Tensor, Tensor] => [value, moved[i]])]))
          return gradients(there, moved)
        },
      }
      const { parameters: results, others = [] } = this.optimizer.update(call)
      const constrained = results.map((result, i) => {
        const { constrain } = this.parameters[i].variable.attributes as VariableAttributes
        return constrain === undefined ? result : assignAll([result], [constrain(result)])
      })
      this.parameters.forEach(({ variable: parameter }, i) => {
        updated.set(parameter, constrained[i])
      })
      return [...stored, check, ...between, ...others, ...constrained, increment(own.steps.variable)]
    })
  }
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
    gradients: parameters.map(({ variable: { attributes }, name }) => beside('gradients', name, attributes.shape)),
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
