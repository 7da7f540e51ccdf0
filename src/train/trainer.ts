import { GraphError, NonFiniteError } from '../errors.ts'
import { Arena } from '../executors/arena.ts'
import type { Feed, RunRequest, RunResult, Session } from '../executors/executor.ts'
import { concrete } from '../graph/shape.ts'
import { type Dtype, substitute, Tensor, within } from '../graph/tensor.ts'
import { gradients } from '../ops/gradients.ts'
import { stepVariable } from '../ops/random.ts'
import { stopGradient, type VariableAttributes, variable } from '../ops/source.ts'
import { assign, assignAll, checkFinite, increment, variableBehind } from '../ops/update.ts'
import type { Optimizer, ParameterInfo, Slot, TrainedParameter } from '../optim/optimizer.ts'
import { buildPlan } from '../plan/build.ts'
import type { Plan } from '../plan/plan.ts'
import { type Place, VariableLayout } from '../plan/variables.ts'
import { Purpose, RandomStream } from '../random.ts'
import { SessionCache } from './batches.ts'
import { findNonFinite } from './diagnosis.ts'
import type { Model, NamedVariable } from './model.ts'
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

/**
 * Everything one model needs to be trained with one objective and one optimizer: gradients and slots in flat blocks
 * beside the parameters, and a plan for each batch size that occurs.
 */
export class Trainer {
  readonly model: Model
  readonly objective: Objective
  readonly optimizer: Optimizer
  private readonly parameters: readonly NamedVariable[]
  private readonly own: TrainingVariables
  private readonly layout: VariableLayout
  private readonly memory: Arena
  private readonly updates: readonly Tensor[]
  private readonly sessions: SessionCache
  /** The slots that stand in for parameters while no steps run, and the parameters' own values meanwhile. */
  private readonly standIns: readonly { readonly parameter: Tensor; readonly slot: Tensor }[]
  private readonly aside: Map<Tensor, Float32Array>

  /** @param previous The trainer of the model's last run; with the same optimizer object its slots carry on, if it had all these parameters. */
  constructor(model: Model, objective: Objective, optimizer: Optimizer, previous?: Trainer) {
    this.model = model
    this.objective = objective
    this.optimizer = optimizer
    this.parameters = model.trainableParameters
    this.own = trainingVariables(this.parameters, optimizer)
    const own = allOf(this.own)
    this.layout = new VariableLayout([...model.variables, ...own])
    const before = previous?.optimizer === optimizer && containsNames(previous.parameters, this.parameters) ? previous : undefined
    const isSame = before?.parameters.length === this.parameters.length
    this.memory = Arena.allocate(this.layout.blocks, { lender: isSame ? before.memory : model.memory })
    if (before === undefined) this.initialize(own)
    else if (!isSame) this.copyFrom(before)
    this.aside = before?.aside ?? new Map()
    this.standIns = this.parameters.flatMap(({ variable: parameter, name }, i) => {
      const last = slotsOf(optimizer, { name, shape: concrete(parameter.shape) }).findLastIndex(({ standsIn }) => standsIn)
      return last < 0 ? [] : [{ parameter, slot: this.own.slots[i][last].variable }]
    })
    this.updates = this.buildUpdates()
    this.sessions = new SessionCache((batchSize) => model.load(this.plan(batchSize), this.memory))
  }

  /** The whole training step for one batch size. */
  plan(batchSize: number): Plan {
    return buildPlan({
      inputs: this.objective.inputs(),
      outputs: this.objective.outputs(),
      updates: this.updates,
      variables: this.layout,
      batchSize,
      mode: 'training',
      layerNames: this.model.layerNames,
    })
  }

  session(batchSize: number): Session {
    return this.sessions.get(batchSize)
  }

  /** Sets the optimizer's learning rates, in its order. */
  set learningRates(rates: readonly number[]) {
    rates.forEach((rate, i) => {
      this.values(this.own.learningRates[i].variable)[0] = rate
    })
  }

  /** Runs steps. Whenever none run, the slots that stand in for parameters are in their place: for all who read the model. */
  async run(session: Session, request: RunRequest): Promise<RunResult> {
    this.takePlaces()
    try {
      return await session.run(request)
    } finally {
      this.standIn()
    }
  }

  private standIn(): void {
    for (const { parameter, slot } of this.standIns) {
      const values = this.model.values(parameter) as Float32Array
      this.aside.set(parameter, Float32Array.from(values))
      values.set(this.values(slot))
    }
  }

  private takePlaces(): void {
    for (const { parameter, slot } of this.standIns) {
      const [values, standIn, own] = [this.model.values(parameter) as Float32Array, this.values(slot), this.aside.get(parameter)]
      if (own === undefined) continue
      // Weights that somebody has set meanwhile are those to go on from.
      if (sameBits(values, standIn)) values.set(own)
      else standIn.set(values)
    }
  }

  private values(variable: Tensor): Float32Array {
    const { shape, dtype } = variable.attributes as VariableAttributes
    return this.memory.view({ ...(this.layout.place(variable) as Place), shape, dtype }) as Float32Array
  }

  private initialize(own: readonly NamedVariable[]): void {
    for (const { variable: each } of own) {
      const { initialize, shape } = each.attributes as VariableAttributes
      initialize(this.values(each), shape, new RandomStream(0, Purpose.initialize, 0))
    }
    this.parameters.forEach(({ variable: parameter, name }, i) => {
      slotsOf(this.optimizer, { name, shape: concrete(parameter.shape) }).forEach(({ initial }, j) => {
        if (initial === 'parameter') this.values(this.own.slots[i][j].variable).set(this.model.values(parameter) as Float32Array)
      })
    })
  }

  private copyFrom(trainer: Trainer): void {
    const known = new Map(trainer.own.slots.flat().map(({ name, variable }) => [name, variable]))
    for (const { name, variable } of this.own.slots.flat()) this.values(variable).set(trainer.values(known.get(name) as Tensor))
    // By their order: an optimizer may name its counters as it likes.
    const scalars = scalarsOf(trainer.own)
    scalarsOf(this.own).forEach(({ variable }, i) => {
      this.values(variable).set(trainer.values(scalars[i].variable))
    })
  }

  /** Feeds each learning rate whose steps are given, unless the plan does not read it. */
  feedLearningRates(plan: Plan, rates: readonly (Float32Array | null)[]): Feed[] {
    return rates.flatMap((values, i): Feed[] => {
      const place = this.layout.place(this.own.learningRates[i].variable)
      const input = plan.tensors.findIndex(({ block, offset }) => block === place?.block && offset === place.offset)
      return values === null || input < 0 ? [] : [{ input, values, pace: 'step' }]
    })
  }

  /** The latest step's gradient of each parameter that is trained, as the optimizer left it, by the parameter's name: the memory itself, not a copy. */
  latestGradients(): Record<string, Float32Array> {
    return Object.fromEntries(this.parameters.map(({ name }, i) => [name, this.values(this.own.gradients[i].variable)]))
  }

  /** The error for a step that checkFinite stopped: where the first NaN or infinity came from. */
  async nonFinite(session: Session, step: number): Promise<NonFiniteError> {
    const origin = await this.model.exclusive(async () => {
      this.takePlaces()
      try {
        return findNonFinite(session, step)
      } finally {
        this.standIn()
      }
    })
    const where = origin.layer === null ? '' : ` of layer "${origin.layer}"`
    const begin =
      origin.instruction === null
        ? `The training step ${step} met ${origin.value}, which could not be traced`
        : `${origin.value} began in step ${step} at instruction${where}: ${origin.instruction}`
    return new NonFiniteError(`${begin}. The parameters are those before this step. Try a lower learning rate, or scale the data.`, origin)
  }

  /** gradients → flat gradient block → checkFinite → the optimizer's updates (joined by the planner) → constraints → steps + 1. */
  private buildUpdates(): readonly Tensor[] {
    const { own, objective } = this
    const variables = this.parameters.map(({ variable: parameter }) => parameter)
    const found = gradients(objective.total, variables)
    return within(null, 'update', () => {
      const stored = found.map((gradient, i) => assign(own.gradients[i].variable, gradient))
      const checks = [checkFinite([objective.total, ...stored])]
      // Each step has its randomness, also one that ends before the optimizer.
      const counted = increment(stepVariable)
      const bounded = new Set<Tensor>()
      const bound = (parameter: Tensor, updated: Tensor) => {
        const { constrain } = parameter.attributes as VariableAttributes
        if (constrain === undefined || bounded.has(updated)) return updated
        const result = assignAll([updated], [constrain(updated)])
        bounded.add(result)
        return result
      }
      const parameters = this.parameters.map(({ variable: value, name }, i): TrainedParameter => {
        const info = { name, shape: concrete(value.shape) }
        const slots = slotsOf(this.optimizer, info).map(({ name: slot }, j) => [slot, own.slots[i][j].variable])
        let latest = stored[i]
        const store = (gradient: Tensor) => {
          if (variableBehind(gradient) !== null) return gradient
          latest = assignAll([latest], [gradient])
          return latest
        }
        return {
          ...info,
          value,
          gradient: stored[i],
          slots: Object.fromEntries(slots),
          store,
          constrain: (updated) => bound(value, updated),
        }
      })
      const { parameters: updated, others = [] } = this.optimizer.update({
        parameters,
        learningRates: own.learningRates.map(({ variable: rate }) => rate),
        step: own.steps.variable,
        counters: Object.fromEntries(own.counters.map(({ variable: counter, name }) => [name, counter])),
        gradientsAt: (values) => {
          // What the values are made of depends on the parameters too, and is no part of the loss there.
          const there = values.map(stopGradient)
          const [total] = substitute([objective.total], new Map(variables.map((parameter, i) => [parameter, there[i]])))
          const found = gradients(total, there)
          checks.push(checkFinite(found))
          return found
        },
      })
      parameters.forEach(({ name, value }, i) => {
        if (updated.length === parameters.length && updated[i] instanceof Tensor && variableBehind(updated[i]) === value) return
        const got =
          updated.length === parameters.length ? String(updated[i]) : `${updated.length} results for ${parameters.length} parameters`
        throw new GraphError(
          `optimizer "${this.optimizer.name}": expected an update of parameter ${name}, such as assignAll([value], [next]), got ${got}.`,
        )
      })
      const constrained = updated.map((parameter, i) => bound(variables[i], parameter))
      return [...stored, ...checks, counted, ...others, ...constrained, increment(own.steps.variable)]
    })
  }
}

function slotsOf(optimizer: Optimizer, parameter: ParameterInfo): readonly Slot[] {
  return optimizer.slots?.(parameter) ?? []
}

function containsNames(all: readonly NamedVariable[], some: readonly NamedVariable[]): boolean {
  const names = new Set(all.map(({ name }) => name))
  return some.every(({ name }) => names.has(name))
}

function sameBits(a: Float32Array, b: Float32Array): boolean {
  const bytes = ({ buffer, byteOffset, byteLength }: Float32Array) => new Uint8Array(buffer, byteOffset, byteLength)
  return Buffer.compare(bytes(a), bytes(b)) === 0
}

/** What there is once for all parameters. */
function scalarsOf({ learningRates, steps, counters }: TrainingVariables): NamedVariable[] {
  return [...learningRates, steps, ...counters]
}

function allOf(own: TrainingVariables): NamedVariable[] {
  return [...own.gradients, ...own.slots.flat(), ...scalarsOf(own)]
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
