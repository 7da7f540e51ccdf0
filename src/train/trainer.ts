import { DataError, NonFiniteError } from '../errors.ts'
import { Arena } from '../executors/arena.ts'
import type { Feed, RunRequest, RunResult, Session } from '../executors/executor.ts'
import type { Tensor } from '../graph/tensor.ts'
import type { VariableAttributes } from '../ops/source.ts'
import { updateOps } from '../ops/update.ts'
import type { LearningRate } from '../optim/schedules.ts'
import { buildPlan } from '../plan/build.ts'
import type { Plan } from '../plan/plan.ts'
import { printPlan } from '../plan/print.ts'
import type { Place, VariableLayout } from '../plan/variables.ts'
import { SessionCache } from './batches.ts'
import { findNonFinite } from './diagnosis.ts'
import { exclusively, joinedLayout, joinedMemory, namesOfLayers } from './joinedModels.ts'
import type { Minimization, Step } from './minimization.ts'
import type { NamedVariable } from './names.ts'

/** What a trainer goes on from: values by name. */
export interface SavedTrainer {
  readonly values: Readonly<Record<string, Float32Array | Int32Array>>
  /** Of parameters that a slot stands in for, their own values. */
  readonly aside: Readonly<Record<string, Float32Array | Int32Array>>
}

/**
 * Everything that a training step needs: gradients and slots in flat blocks beside the parameters of its models, and a plan for each
 * batch size that occurs.
 */
export class Trainer {
  readonly step: Step
  /** Whether `latestGradients` has all of them. */
  readonly keepsGradients: boolean
  private readonly layout: VariableLayout
  private readonly memory: Arena
  private readonly sessions: SessionCache
  /** The slots that stand in for parameters while no steps run, and the parameters' own values meanwhile. */
  private readonly standIns: Minimization['standIns']
  private readonly aside: Map<Tensor, Float32Array>

  /**
   * @param previous The trainer of the models' last run; with the same optimizer objects their slots carry on, if they had all these parameters.
   * @param keepsGradients Whether `latestGradients` will be asked for; without, large ones are not stored.
   */
  constructor(step: Step, previous?: Trainer, keepsGradients = true) {
    const { models, minimizations, variables = [] } = step
    this.step = step
    this.keepsGradients = keepsGradients
    const own = [...minimizations.flatMap((each) => each.variables), ...variables]
    this.layout = joinedLayout(models, own)
    const before = previous?.step.minimizations
    const carriesOn = before?.length === minimizations.length && minimizations.every((each, i) => each.continues(before[i]))
    const known = carriesOn ? previous : undefined
    const isSame = minimizations.every(({ parameters }, i) => parameters.length === before?.[i]?.parameters.length)
    const lender = isSame && known !== undefined ? known.memory : joinedMemory(models)
    this.memory = Arena.allocate(this.layout.blocks, { lender })
    this.aside = known?.aside ?? new Map()
    if (known === undefined) this.initialize()
    else if (!isSame) this.copyFrom(known)
    this.standIns = minimizations.flatMap(({ standIns }) => standIns)
    const [first] = models.values()
    this.sessions = new SessionCache((batchSize) => first.load(this.plan(batchSize), this.memory))
  }

  /** Forgets what the optimizers remember. */
  private initialize(): void {
    for (const each of this.step.minimizations) each.initialize((variable) => this.values(variable))
    for (const { variable } of this.step.variables ?? []) this.values(variable).fill(0)
    this.aside.clear()
  }

  /** The whole training step for one batch size. */
  plan(batchSize: number, keepGradients = this.keepsGradients): Plan {
    const { inputs, outputs, updates, models } = this.step
    const layerNames = namesOfLayers(models)
    return buildPlan({ inputs, outputs, updates, variables: this.layout, batchSize, mode: 'training', layerNames, keepGradients })
  }

  session(batchSize: number): Session {
    return this.sessions.get(batchSize)
  }

  /** Those of all optimizers. */
  get learningRates(): readonly LearningRate[] {
    return this.step.minimizations.flatMap(({ optimizer }) => optimizer.learningRates)
  }

  /** Sets all learning rates. */
  setLearningRates(rates: readonly number[]): void {
    this.rateVariables.forEach((variable, i) => {
      this.values(variable)[0] = rates[i]
    })
  }

  /** Feeds each learning rate whose steps are given, unless the plan does not read it. */
  feedLearningRates(plan: Plan, rates: readonly (Float32Array | null)[]): Feed[] {
    return rates.flatMap((values, i): Feed[] => {
      if (values === null) return []
      const place = this.layout.place(this.rateVariables[i])
      const input = plan.tensors.findIndex(({ block, offset }) => block === place?.block && offset === place.offset)
      return input < 0 ? [] : [{ input, values, pace: 'step' }]
    })
  }

  /** The parameters that are trained, by name: the memory itself, not a copy. */
  parameters(): Record<string, Float32Array> {
    return Object.fromEntries(
      this.step.minimizations.flatMap(({ parameters }) => parameters.map(({ name, variable }) => [name, this.values(variable)])),
    )
  }

  /**
   * The latest step's gradient of each parameter, as the optimizer left it, by the parameter's name: the memory itself, not a copy. Only of a trainer
   * that keeps gradients.
   */
  latestGradients(): Record<string, Float32Array> {
    return Object.fromEntries(
      this.step.minimizations.flatMap(({ parameters, gradients }) => parameters.map(({ name }, i) => [name, this.values(gradients[i])])),
    )
  }

  /** The whole step as text: the same whether gradients are kept or not, for the results are. */
  describe(batchSize: number): string {
    return [...this.kept.map(([name, { length }]) => `${name} ${length}`), printPlan(this.plan(batchSize, true))].join('\n')
  }

  /** Copies of all that a later run goes on from. Only while no steps run. */
  save(): SavedTrainer {
    const aside = [...this.aside].map(([parameter, values]) => [this.nameOf(parameter), Float32Array.from(values)])
    return { values: copies(this.kept), aside: Object.fromEntries(aside) }
  }

  /** Goes on from what a trainer of the same step has saved. */
  restore({ values, aside }: SavedTrainer): void {
    setAll(this.kept, values)
    this.aside.clear()
    for (const { parameter } of this.standIns) {
      const own = aside[this.nameOf(parameter)]
      if (own !== undefined) this.aside.set(parameter, own as Float32Array)
    }
  }

  /** Everything but gradients and the memory of plans. */
  private get kept(): Kept {
    const { models, minimizations, variables = [] } = this.step
    const ofModels = [...models].flatMap(([prefix, model]) =>
      model.variables.map(({ name, variable }) => [prefix + name, model.values(variable)] as const),
    )
    const own = [...minimizations.map((each) => each.remembered), variables].flatMap((list, i) =>
      list.map(({ name, variable }) => [`optimizer${i === 0 ? '' : i + 1}/${name}`, this.values(variable)] as const),
    )
    return [...ofModels, ...own]
  }

  private nameOf(parameter: Tensor): string {
    return (this.layout.place(parameter) as Place).name
  }

  private get rateVariables(): readonly Tensor[] {
    return this.step.minimizations.flatMap(({ learningRates }) => learningRates)
  }

  /** Runs steps. Whenever none run, the slots that stand in for parameters are in their place: for all who read the models. */
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
      const values = this.values(parameter)
      this.aside.set(parameter, Float32Array.from(values))
      values.set(this.values(slot))
    }
  }

  private takePlaces(): void {
    for (const { parameter, slot } of this.standIns) {
      const [values, standIn, own] = [this.values(parameter), this.values(slot), this.aside.get(parameter)]
      if (own === undefined) continue
      // Weights that somebody has set meanwhile are those to go on from.
      if (sameBits(values, standIn)) values.set(own)
      else standIn.set(values)
    }
  }

  private copyFrom(trainer: Trainer): void {
    const copy = (to: readonly NamedVariable[], from: readonly NamedVariable[]) => {
      const known = new Map(from.map(({ name, variable }) => [name, variable]))
      for (const { name, variable } of to) this.values(variable).set(trainer.values(known.get(name) as Tensor))
    }
    this.step.minimizations.forEach(({ ofParameters, ofAll }, i) => {
      const before = trainer.step.minimizations[i]
      copy(ofParameters, before.ofParameters)
      // By their order: an optimizer may name its counters as it likes.
      ofAll.forEach(({ variable }, j) => {
        this.values(variable).set(trainer.values(before.ofAll[j].variable))
      })
    })
    copy(this.step.variables ?? [], trainer.step.variables ?? [])
  }

  private values(variable: Tensor): Float32Array {
    const { shape, dtype } = variable.attributes as VariableAttributes
    return this.memory.view({ ...(this.layout.place(variable) as Place), shape, dtype }) as Float32Array
  }

  /** The error for a step that checkFinite or checkMatmul stopped: where the first NaN or infinity came from. */
  nonFinite(session: Session, step: number): Promise<NonFiniteError> {
    return exclusively([...this.step.models.values()], async () => {
      this.takePlaces()
      try {
        const several = this.step.minimizations.length > 1
        const stopped = this.withGradients(session)
        return nonFiniteError(stopped, step, several ? 'What the minimizations before it did in this step is done' : undefined)
      } finally {
        this.standIn()
      }
    })
  }

  /** A session with the same batch whose plan has an instruction for every gradient: the one to be blamed may be among those that are left out. */
  private withGradients(session: Session): Session {
    const { plan } = session
    if (plan.instructions.every(({ op }) => op !== updateOps.matmulUpdate.name)) return session
    const [first] = this.step.models.values()
    const whole = first.load(this.plan(plan.batchSize, true), this.memory)
    for (const [name, tensor] of Object.entries(plan.inputs)) {
      const to = whole.arena.view(whole.plan.tensors[whole.plan.inputs[name]])
      to.set(session.arena.view(plan.tensors[tensor]))
    }
    return whole
  }
}

/** Values by name, as they lie in memory. */
export type Kept = readonly (readonly [name: string, values: Float32Array | Int32Array])[]

export function copies(kept: Kept): Record<string, Float32Array | Int32Array> {
  return Object.fromEntries(kept.map(([name, values]) => [name, values.slice()]))
}

/** Sets all values, or none if some do not fit. */
export function setAll(kept: Kept, saved: Readonly<Record<string, Float32Array | Int32Array>>): void {
  for (const [name, values] of kept)
    if (saved[name]?.length !== values.length)
      throw new DataError(
        `The checkpoint has ${saved[name]?.length ?? 'no'} numbers for ${name}, expected ${values.length}: it belongs to another training.`,
      )
  for (const [name, values] of kept) values.set(saved[name])
}

function sameBits(a: Float32Array, b: Float32Array): boolean {
  const bytes = ({ buffer, byteOffset, byteLength }: Float32Array) => new Uint8Array(buffer, byteOffset, byteLength)
  return Buffer.compare(bytes(a), bytes(b)) === 0
}

/** The error for a step that checkFinite or checkMatmul stopped: where the first NaN or infinity came from. */
export function nonFiniteError(session: Session, step: number, kept = 'The parameters are those before this step'): NonFiniteError {
  const origin = findNonFinite(session, step)
  const where = origin.layer === null ? '' : ` of layer "${origin.layer}"`
  const begin =
    origin.instruction === null
      ? `The training step ${step} met ${origin.value}, which could not be traced`
      : `${origin.value} began in step ${step} at instruction${where}: ${origin.instruction}`
  // Both give NaN for a class or an index that does not exist; what they read was finite.
  const isOutside = origin.value === 'NaN' && /\b(gather|softmaxCrossEntropy\w*)\(/.test(origin.instruction ?? '')
  const advice = isOutside
    ? 'Labels and indices must lie within 0 … the number of classes or rows - 1: check those of the data.'
    : 'Try a lower learning rate, or scale the data.'
  return new NonFiniteError(`${begin}. ${kept}. ${advice}`, origin)
}
