import { assert, NonFiniteError } from '../errors.ts'
import { Arena } from '../executors/arena.ts'
import type { Feed, Session } from '../executors/executor.ts'
import { concrete } from '../graph/shape.ts'
import { type Tensor, within } from '../graph/tensor.ts'
import { gradients } from '../ops/gradients.ts'
import { stepVariable } from '../ops/random.ts'
import { variable } from '../ops/source.ts'
import { assign, checkFinite, increment } from '../ops/update.ts'
import type { Optimizer } from '../optim/optimizers.ts'
import { buildPlan } from '../plan/build.ts'
import type { Plan } from '../plan/plan.ts'
import { VariableLayout } from '../plan/variables.ts'
import { SessionCache } from './batches.ts'
import { findNonFinite } from './diagnosis.ts'
import type { Model, NamedVariable } from './model.ts'
import type { Objective } from './objective.ts'

/** The blocks and variables training adds to a model's own. */
interface TrainingVariables {
  readonly gradients: readonly NamedVariable[]
  readonly slots: readonly (readonly NamedVariable[])[]
  readonly learningRate: NamedVariable
  /** Steps this optimizer has taken. Not the model's own count, which goes on when another optimizer begins with empty slots. */
  readonly steps: NamedVariable
}

/**
 * Everything one model needs to be trained with one objective and one optimizer: gradients and slots in flat blocks
 * beside the parameters, and a plan for each batch size that occurs.
 */
export class Trainer {
  readonly model: Model
  readonly objective: Objective
  readonly optimizer: Optimizer
  private readonly own: TrainingVariables
  private readonly layout: VariableLayout
  private readonly memory: Arena
  private readonly updates: readonly Tensor[]
  private readonly sessions: SessionCache

  /** @param previous The trainer of the model's last run; with the same optimizer object its slots carry on. */
  constructor(model: Model, objective: Objective, optimizer: Optimizer, previous?: Trainer) {
    this.model = model
    this.objective = objective
    this.optimizer = optimizer
    this.own = trainingVariables(model, optimizer)
    const { gradients: flat, slots, learningRate, steps } = this.own
    this.layout = new VariableLayout([...model.variables, ...flat, ...slots.flat(), learningRate, steps])
    this.memory = Arena.allocate(this.layout.blocks, { lender: previous?.optimizer === optimizer ? previous.memory : model.memory })
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

  set learningRate(rate: number) {
    const place = this.layout.place(this.own.learningRate.variable)
    if (place !== undefined) this.memory.view({ ...place, shape: [], dtype: 'float32' })[0] = rate
  }

  /** The rate of each step, for a run of them; nothing if the optimizer does not read it. */
  feedLearningRates(plan: Plan, rates: Float32Array): Feed[] {
    const place = this.layout.place(this.own.learningRate.variable)
    const input = plan.tensors.findIndex(({ block, offset }) => block === place?.block && offset === place.offset)
    return input < 0 ? [] : [{ input, values: rates, pace: 'step' }]
  }

  /** The latest step's gradient of each parameter, by the parameter's name: the memory itself, not a copy. */
  latestGradients(): Record<string, Float32Array> {
    return Object.fromEntries(
      this.own.gradients.map(({ variable: gradient }, i) => {
        const place = this.layout.place(gradient)
        assert(place !== undefined, 'A gradient has no place.')
        const view = this.memory.view({ ...place, shape: concrete(gradient.shape), dtype: 'float32' })
        return [this.model.parameters[i].name, view as Float32Array]
      }),
    )
  }

  /** The error for a step that checkFinite stopped: where the first NaN or infinity came from. */
  nonFinite(session: Session, step: number): NonFiniteError {
    const origin = findNonFinite(session, step)
    const where = origin.layer === null ? '' : ` of layer "${origin.layer}"`
    const begin =
      origin.instruction === null
        ? `The training step ${step} met ${origin.value}, which could not be traced`
        : `${origin.value} began in step ${step} at instruction${where}: ${origin.instruction}`
    return new NonFiniteError(`${begin}. The parameters are those before this step. Try a lower learning rate, or scale the data.`, origin)
  }

  /** gradients → flat gradient block → checkFinite → one update a parameter (joined by the planner) → step + 1. */
  private buildUpdates(): readonly Tensor[] {
    const parameters = this.model.parameters.map(({ variable: parameter }) => parameter)
    const found = gradients(this.objective.total, parameters)
    return within(null, 'update', () => {
      const stored = found.map((gradient, i) => assign(this.own.gradients[i].variable, gradient))
      const check = checkFinite([this.objective.total, ...stored])
      const updated = parameters.map((parameter, i) =>
        this.optimizer.update({
          parameter,
          gradient: stored[i],
          slots: this.own.slots.map((slot) => slot[i].variable),
          learningRate: this.own.learningRate.variable,
          step: this.own.steps.variable,
        }),
      )
      return [...stored, check, ...updated, increment(this.own.steps.variable), increment(stepVariable)]
    })
  }
}

function trainingVariables(model: Model, optimizer: Optimizer): TrainingVariables {
  const beside = (block: string): NamedVariable[] =>
    model.parameters.map(({ variable: parameter, name }) => {
      const { shape } = parameter.attributes
      return { name: `${block}/${name}`, variable: variable({ name, block, shape, dtype: 'float32', initialize: () => undefined }) }
    })
  const learningRate = variable({ name: 'learningRate', block: 'schedule', shape: [], dtype: 'float32', initialize: () => undefined })
  const steps = variable({ name: 'steps', block: 'schedule', shape: [], dtype: 'int32', initialize: () => undefined })
  return {
    gradients: beside('gradients'),
    slots: optimizer.slots.map((slot) => beside(`slots/${slot}`)),
    learningRate: { variable: learningRate, name: 'learningRate' },
    steps: { variable: steps, name: 'steps' },
  }
}
