import { AbortError, OptionError } from '../errors.ts'
import { Arena } from '../executors/arena.ts'
import type { Feed, Session } from '../executors/executor.ts'
import { concrete, batch as openBatch, sizeOf } from '../graph/shape.ts'
import { ancestors, type Tensor, within } from '../graph/tensor.ts'
import { add, multiply } from '../ops/elementwise.ts'
import { gradients } from '../ops/gradients.ts'
import { stepVariable } from '../ops/random.ts'
import { elementCount, type VariableAttributes, variable } from '../ops/source.ts'
import { assignAll, checkFinite } from '../ops/update.ts'
import type { Evaluation, FullBatchOptimizer, Minimizer, Vector } from '../optim/fullBatch.ts'
import type { LearningRate } from '../optim/schedules.ts'
import { buildPlan } from '../plan/build.ts'
import { GRADIENTS } from '../plan/plan.ts'
import { printPlan } from '../plan/print.ts'
import { type Place, VariableLayout } from '../plan/variables.ts'
import { batches, SessionCache } from './batches.ts'
import type { Run } from './measures.ts'
import type { Model } from './model.ts'
import type { NamedVariable } from './names.ts'
import type { Objective } from './objective.ts'
import { copies, type Kept, nonFiniteError, type SavedTrainer, setAll } from './trainer.ts'

/** What is measured at once, and where. */
export interface MeasureRequest {
  readonly feeds: readonly Feed[]
  /** The rows that count. */
  readonly rows: Int32Array
  /** How many of them at a time. */
  readonly batchSize: number
  readonly signal?: AbortSignal
}

/** All data measured where the parameters are. */
interface Measurement extends Evaluation {
  /** What was recorded. */
  readonly runs: readonly Run[]
  /** Where a batch was not finite. */
  readonly failed: Session | null
}

/** A training run by an optimizer that looks at all data for each step. The gradients of batches are added up beside the parameters. */
export class FullBatchTrainer {
  readonly optimizer: FullBatchOptimizer
  private readonly model: Model
  private readonly objective: Objective
  private readonly trained: readonly NamedVariable[]
  /** For each parameter the sum of its gradient over samples. */
  private readonly sums: readonly Tensor[]
  private readonly layout: VariableLayout
  private readonly memory: Arena
  private readonly sessions: SessionCache
  private readonly minimizer: Minimizer
  private latest: Measurement | null = null

  /** @param previous The trainer of the model's last run; with the same optimizer object what it remembers carries on. */
  constructor(where: string, model: Model, objective: Objective, optimizer: FullBatchOptimizer, previous?: FullBatchTrainer) {
    this.model = model
    this.objective = objective
    this.optimizer = optimizer
    this.trained = model.trainableParameters
    checkDeterministic(where, optimizer, objective, this.trained)
    const own = this.trained.map(({ variable: { attributes }, name }) => sumOf(name, attributes))
    this.sums = own.map(({ variable: sum }) => sum)
    this.layout = new VariableLayout(own, [['', model.layout]])
    this.memory = Arena.allocate(this.layout.blocks, { lender: model.memory })
    const carriesOn = previous?.optimizer === optimizer && sameNames(previous.trained, this.trained)
    this.minimizer = carriesOn ? previous.minimizer : optimizer.begin()
    const updates = this.updates()
    this.sessions = new SessionCache((batchSize) => {
      const { layerNames } = model
      const [inputs, outputs] = [objective.inputs(), objective.outputs()]
      const plan = buildPlan({ inputs, outputs, updates, variables: this.layout, batchSize, mode: 'training', layerNames })
      return model.load(plan, this.memory)
    })
  }

  /**
   * One iteration over all data.
   *
   * @param step Its number, for messages.
   * @returns What was recorded where it ended, and whether another would be of no use.
   * @throws NonFiniteError or AbortError; the parameters are then those before it.
   */
  async run(step: number, learningRate: number, request: MeasureRequest): Promise<{ runs: readonly Run[]; converged: boolean }> {
    const before = this.read(this.trained.map(({ variable: parameter }) => parameter))
    const evaluate = (at: Vector) => this.measure(at, request)
    let from = this.latest
    this.latest = null
    try {
      // Somebody may have set the weights meanwhile.
      if (from === null || from.at.some((value, i) => value !== before[i])) from = await evaluate(before)
      this.refuseNonFinite(from, step)
      const { reached, converged } = await this.minimizer.step(from, learningRate, evaluate)
      this.refuseNonFinite(reached, step)
      this.place(reached.at)
      this.latest = reached
      return { runs: reached.runs, converged }
    } catch (error) {
      this.place(before)
      throw error
    }
  }

  get learningRates(): readonly LearningRate[] {
    return this.optimizer.learningRates
  }

  /** The whole step as text. */
  describe(batchSize: number): string {
    return `${this.optimizer.name}\n${printPlan(this.sessions.get(batchSize).plan)}`
  }

  /** Copies of all that a later run goes on from. */
  save(): SavedTrainer & { readonly minimizer: unknown } {
    if (this.minimizer.save === undefined)
      throw new OptionError(
        `checkpoint: optimizer "${this.optimizer.name}" cannot save what it remembers; give its minimizer save and restore.`,
      )
    return { values: copies(this.kept), aside: {}, minimizer: this.minimizer.save() }
  }

  /** Goes on from what a trainer of the same model has saved. */
  restore({ values, minimizer }: SavedTrainer & { readonly minimizer?: unknown }): void {
    setAll(this.kept, values)
    this.minimizer.restore?.(minimizer)
    this.latest = null
  }

  private get kept(): Kept {
    return this.model.variables.map(({ name, variable: each }) => [name, this.model.values(each)] as const)
  }

  /** The parameters that are trained, by name: the memory itself, not a copy. */
  parameters(): Record<string, Float32Array> {
    return Object.fromEntries(this.trained.map(({ name, variable: parameter }) => [name, this.values(parameter)]))
  }

  /** For each parameter the sum of its gradient over all samples where it was measured last, by the parameter's name: the memory itself. */
  latestGradients(): Record<string, Float32Array> {
    return Object.fromEntries(this.trained.map(({ name }, i) => [name, this.values(this.sums[i])]))
  }

  /** checkFinite → sum += gradient · samples of the batch. */
  private updates(): readonly Tensor[] {
    const { total } = this.objective
    const found = gradients(
      total,
      this.trained.map(({ variable: parameter }) => parameter),
    )
    return within(null, 'update', () => {
      const check = checkFinite([total, ...found])
      const samples = elementCount([openBatch])
      return [check, ...this.sums.map((sum, i) => assignAll([sum], [add(sum, multiply(found[i], samples))]))]
    })
  }

  private async measure(at: Vector, { feeds, rows, batchSize, signal }: MeasureRequest): Promise<Measurement> {
    this.place(at)
    for (const sum of this.sums) this.values(sum).fill(0)
    const runs: Run[] = []
    let total = 0
    for (const { batchSize: size, steps, firstRow } of batches(rows.length, batchSize)) {
      const session = this.sessions.get(size)
      const order = rows.subarray(firstRow, firstRow + steps * size)
      const { completed, records, stopped } = await session.run({ steps, feeds, order, record: this.objective.recorded, signal })
      if (stopped === 'aborted')
        throw new AbortError('Training was stopped within an iteration; the model keeps what the one before has reached.', signal?.reason)
      if (stopped === 'nonFinite') return { at, loss: Number.POSITIVE_INFINITY, gradient: at, runs, failed: session }
      for (const loss of records.loss) total += loss * size
      runs.push({ batchSize: size, completed, records })
    }
    const gradient = this.read(this.sums)
    for (let i = 0; i < gradient.length; i++) gradient[i] /= rows.length
    return { at, loss: total / rows.length, gradient, runs, failed: null }
  }

  /** Called before anything else runs, so that the memory still holds the batch that is to blame. */
  private refuseNonFinite({ failed }: Measurement, step: number): void {
    if (failed !== null) throw nonFiniteError(failed, step)
  }

  private values(tensor: Tensor): Float32Array {
    const { shape, dtype } = tensor.attributes as VariableAttributes
    return this.memory.view({ ...(this.layout.place(tensor) as Place), shape, dtype }) as Float32Array
  }

  /** A copy of variables, one after the other. */
  private read(variables: readonly Tensor[]): Float32Array {
    const result = new Float32Array(variables.reduce((size, { shape }) => size + sizeOf(concrete(shape)), 0))
    variables.reduce((start, each) => {
      const values = this.values(each)
      result.set(values, start)
      return start + values.length
    }, 0)
    return result
  }

  /** Sets all parameters. */
  private place(at: Vector): void {
    this.trained.reduce((start, { variable: parameter }) => {
      const values = this.values(parameter)
      values.set(at.subarray(start, start + values.length))
      return start + values.length
    }, 0)
  }
}

/** Refuses a loss that would not be the same at a second look, and parameters that are held within bounds. */
function checkDeterministic(
  where: string,
  { name }: FullBatchOptimizer,
  { total, isMixed }: Objective,
  parameters: readonly NamedVariable[],
): void {
  if (isMixed)
    throw new OptionError(
      `${where}: ${name} needs a loss that is the same at every look, and mixup mixes the samples anew each time; leave mixup out, or take an optimizer such as adam.`,
    )
  if (ancestors([total]).includes(stepVariable))
    throw new OptionError(
      `${where}: ${name} needs a loss that is the same at every look, got a model with dropout or other noise; remove it, or take an optimizer such as adam.`,
    )
  const bounded = parameters.find(({ variable: { attributes } }) => (attributes as VariableAttributes).constrain !== undefined)
  if (bounded !== undefined)
    throw new OptionError(
      `${where}: ${name} cannot keep parameters within bounds, and ${bounded.name} has a constraint; remove it, or take an optimizer such as adam.`,
    )
}

function sumOf(name: string, { shape }: VariableAttributes): NamedVariable {
  const sum = variable({ name, block: GRADIENTS, shape, dtype: 'float32', initialize: (values) => values.fill(0) })
  return { name: `gradients/${name}`, variable: sum }
}

function sameNames(some: readonly NamedVariable[], others: readonly NamedVariable[]): boolean {
  return some.length === others.length && some.every(({ name }, i) => name === others[i].name)
}
