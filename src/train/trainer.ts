import { NonFiniteError } from '../errors.ts'
import { Arena } from '../executors/arena.ts'
import type { Session } from '../executors/executor.ts'
import type { Tensor } from '../graph/tensor.ts'
import { stepVariable } from '../ops/random.ts'
import type { VariableAttributes } from '../ops/source.ts'
import { increment } from '../ops/update.ts'
import type { Optimizer } from '../optim/optimizer.ts'
import { buildPlan } from '../plan/build.ts'
import type { Plan } from '../plan/plan.ts'
import { type Place, VariableLayout } from '../plan/variables.ts'
import { SessionCache } from './batches.ts'
import { findNonFinite } from './diagnosis.ts'
import { Minimization } from './minimization.ts'
import type { Model, NamedVariable } from './model.ts'
import type { Objective } from './objective.ts'

/**
 * Everything one model needs to be trained with one objective and one optimizer: gradients and slots in flat blocks
 * beside the parameters, and a plan for each batch size that occurs.
 */
export class Trainer {
  readonly model: Model
  readonly objective: Objective
  readonly optimizer: Optimizer
  private readonly minimization: Minimization
  private readonly layout: VariableLayout
  private readonly memory: Arena
  private readonly updates: readonly Tensor[]
  private readonly sessions: SessionCache

  /** @param previous The trainer of the model's last run; with the same optimizer object its slots carry on. */
  constructor(model: Model, objective: Objective, optimizer: Optimizer, previous?: Trainer) {
    this.model = model
    this.objective = objective
    this.optimizer = optimizer
    this.minimization = new Minimization(model.trainableParameters, optimizer)
    this.layout = new VariableLayout([...model.variables, ...this.minimization.variables])
    const carriesOn = previous?.optimizer === optimizer && sameNames(previous.minimization.parameters, this.minimization.parameters)
    this.memory = Arena.allocate(this.layout.blocks, { lender: carriesOn ? previous.memory : model.memory })
    if (!carriesOn) this.minimization.initialize((variable) => this.values(variable))
    // Each step has its randomness, also one that ends before the optimizer.
    this.updates = this.minimization.updates(objective.total, new Map(), () => [increment(stepVariable)])
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
      this.values(this.minimization.learningRates[i])[0] = rate
    })
  }

  private values(variable: Tensor): Float32Array {
    const { shape, dtype } = variable.attributes as VariableAttributes
    return this.memory.view({ ...(this.layout.place(variable) as Place), shape, dtype }) as Float32Array
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
}

function sameNames(some: readonly NamedVariable[], others: readonly NamedVariable[]): boolean {
  return some.length === others.length && some.every(({ name }, i) => name === others[i].name)
}
