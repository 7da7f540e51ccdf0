import { checkCount, checkOptions } from '../checks.ts'
import { flatten, NdArray, type NumbersLike } from '../data/ndarray.ts'
import { describe, OptionError } from '../errors.ts'
import { Arena, type Values } from '../executors/arena.ts'
import type { Session } from '../executors/executor.ts'
import { referenceExecutor } from '../executors/reference/index.ts'
import { concrete, formatShape } from '../graph/shape.ts'
import { ancestors, type Tensor } from '../graph/tensor.ts'
import { constantOf } from '../nn/initializers.ts'
import { gradients } from '../ops/gradients.ts'
import { seedVariable, stepVariable } from '../ops/random.ts'
import { expectScalar, isVariable, sourceOps, type VariableAttributes, variable } from '../ops/source.ts'
import { buildPlan } from '../plan/build.ts'
import type { Plan } from '../plan/plan.ts'
import { VariableLayout } from '../plan/variables.ts'
import { Purpose, RandomStream } from '../random.ts'
import { Model } from './model.ts'
import type { NamedVariable } from './names.ts'
import { hasWeights, Objective, type ObjectiveOptions } from './objective.ts'
import type { TrainingData } from './trainingData.ts'

/** What `gradcheck` checks, and how closely. */
export interface GradcheckOptions {
  /** For a model: what it is trained for; for a function default none. */
  readonly loss?: ObjectiveOptions['loss']
  /** For a model of several outputs: as for `fit`; default 1 each. */
  readonly lossWeights?: ObjectiveOptions['lossWeights']
  /** Largest allowed error; default 1e-5. */
  readonly tolerance?: number
  /** Step of the central difference; default 1e-5. */
  readonly step?: number
  /** At most so many elements of each parameter are checked, evenly chosen at random by seed 0; default 100. */
  readonly elements?: number
}

/** One parameter, and the element of it that fits worst. */
export interface GradcheckEntry {
  readonly parameter: string
  /** How many of its elements were checked, of `size`. */
  readonly checked: number
  readonly size: number
  /** The element with the largest error: its index, both gradients, and the error |analytic - numeric| / max(1, |analytic|, |numeric|). */
  readonly worst: { readonly index: readonly number[]; readonly analytic: number; readonly numeric: number; readonly error: number }
}

/** What `gradcheck` found. */
export interface GradcheckReport {
  /** Whether no error is above the tolerance. */
  readonly ok: boolean
  /** The loss of the sample. */
  readonly loss: number
  readonly tolerance: number
  /** In order of creation. */
  readonly parameters: readonly GradcheckEntry[]
  /** A table. */
  toString(): string
}

/**
 * Compares the gradient that training would use with finite differences, (f(w + h) - f(w - h)) / 2h, in double precision on the
 * reference executor. Dropout drops the same elements every time, so it is checked too.
 *
 * @param subject A model, with `sample` as { x, y } and option `loss`; or a function from symbolic tensors to a scalar, with `sample` as
 *   an array of their values.
 * @example gradcheck((x) => sum(square(tanh(x))), [[0.3, -0.7, 1.2]]).ok
 */
export function gradcheck(subject: Model, sample: TrainingData, options: GradcheckOptions): GradcheckReport
export function gradcheck(
  subject: (...tensors: Tensor[]) => Tensor,
  sample: readonly NumbersLike[],
  options?: GradcheckOptions,
): GradcheckReport
export function gradcheck(
  subject: Model | ((...tensors: Tensor[]) => Tensor),
  sample: TrainingData | readonly NumbersLike[],
  options: GradcheckOptions = {},
): GradcheckReport {
  checkOptions('gradcheck', options, ['loss', 'lossWeights', 'tolerance', 'step', 'elements'])
  const { tolerance = 1e-5, step = 1e-5, elements = 100 } = options
  for (const [name, value] of Object.entries({ tolerance, step })) {
    if (typeof value !== 'number' || !(value > 0))
      throw new OptionError(`gradcheck: ${name} must be a number above 0, got ${describe(value)}.`)
  }
  checkCount('gradcheck', 'elements', elements)
  const checked =
    subject instanceof Model
      ? checkedModel(subject, sample as TrainingData, options)
      : checkedFunction(subject, sample as readonly NumbersLike[])
  const evaluate = checked.forward.lossAt
  const loss = evaluate()
  checked.backward.session.execute(0, checked.backward.session.plan.instructions.length)
  const parameters = checked.variables.map(({ variable: parameter, name }, i): GradcheckEntry => {
    const analytic = checked.backward.output(`gradient${i}`)
    const values = checked.values(parameter)
    const shape = concrete(parameter.shape)
    const positions = choose(values.length, elements, i)
    let worst: GradcheckEntry['worst'] = { index: [], analytic: 0, numeric: 0, error: -1 }
    for (const position of positions) {
      const center = values[position]
      values[position] = center + step
      const above = evaluate()
      values[position] = center - step
      const below = evaluate()
      values[position] = center
      const numeric = (above - below) / (2 * step)
      const exact = analytic[position]
      const difference = Math.abs(exact - numeric) / Math.max(1, Math.abs(exact), Math.abs(numeric))
      const error = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference
      if (error > worst.error) worst = { index: indexOf(position, shape), analytic: exact, numeric, error }
    }
    return { parameter: name, checked: positions.length, size: values.length, worst }
  })
  const ok = parameters.every(({ worst }) => worst.error <= tolerance)
  return { ok, loss, tolerance, parameters, toString: () => print(parameters, tolerance) }
}

interface Loaded {
  readonly session: Session
  output(name: string): Values
  lossAt(): number
}

interface Checked {
  readonly variables: readonly NamedVariable[]
  /** The double-precision memory of a variable, which both plans read. */
  values(variable: Tensor): Values
  readonly forward: Loaded
  readonly backward: Loaded
}

function checkedModel(subject: Model, sample: TrainingData, { loss, lossWeights }: GradcheckOptions): Checked {
  if (loss === undefined) throw new OptionError('gradcheck: for a model, option "loss" is required.')
  const objective = new Objective('gradcheck', subject, { loss, lossWeights }, { weighted: hasWeights(sample) })
  const samples = objective.toSamples('gradcheck', sample)
  const feeds = objective.feeds(samples)
  const checked = prepare(objective.total, subject.parameters, subject.variables, objective.inputs(), samples.count, subject)
  for (const { session } of [checked.forward, checked.backward]) {
    for (const { input, values } of feeds) session.arena.view(session.plan.tensors[session.plan.inputs[input as string]]).set(values)
  }
  for (const { variable: source } of subject.variables) checked.values(source).set(subject.values(source))
  return checked
}

function checkedFunction(subject: (...tensors: Tensor[]) => Tensor, sample: readonly NumbersLike[]): Checked {
  if (!Array.isArray(sample))
    throw new OptionError('gradcheck: for a function, the sample must be an array with the values of each operand.')
  const operands = sample.map((values, i) => {
    const { read, size, shape } = flatten(
      `gradcheck operand ${i}`,
      typeof values === 'number' ? new NdArray(Float64Array.of(values), []) : values,
    )
    const numbers = new Float64Array(size)
    read(numbers as unknown as Float32Array)
    const name = `operand${i}`
    return {
      numbers,
      name,
      variable: variable({ name, block: 'parameters', shape: shape ?? [size], dtype: 'float32', initialize: constantOf(0) }),
    }
  })
  const loss = subject(...operands.map((operand) => operand.variable))
  expectScalar('gradcheck: the function', loss)
  const checked = prepare(loss, operands, [...operands, ...noiseOf(loss, operands)], {}, 1)
  for (const { variable: operand, numbers } of operands) checked.values(operand).set(numbers)
  return checked
}

/** What noise is made of, which begins with 0. Refuses what else a function may not depend on. */
function noiseOf(loss: Tensor, operands: readonly NamedVariable[]): readonly NamedVariable[] {
  return ancestors([loss]).flatMap((node) => {
    const { name } = node.attributes as VariableAttributes
    if (node === seedVariable || node === stepVariable) return [{ variable: node, name }]
    const isForeign = isVariable(node) ? operands.every(({ variable: operand }) => operand !== node) : node.op === sourceOps.input
    if (isForeign)
      throw new OptionError(
        `gradcheck: the function depends on ${isVariable(node) ? `"${name}"` : `an input of shape ${formatShape(node.shape)}`}, which is not among its operands; give its values as one.`,
      )
    return []
  })
}

function prepare(
  loss: Tensor,
  parameters: readonly NamedVariable[],
  variables: readonly NamedVariable[],
  inputs: Record<string, Tensor>,
  batchSize: number,
  subject?: Model,
): Checked {
  const layout = new VariableLayout(variables)
  const memory = Arena.allocate(layout.blocks, { precision: 'float64' })
  const plan = (outputs: Record<string, Tensor>): Plan =>
    buildPlan({ inputs, outputs, variables: layout, batchSize, mode: 'training', layerNames: subject?.layerNames })
  const load = (outputs: Record<string, Tensor>): Loaded => {
    const made = plan(outputs)
    const session = referenceExecutor.load(made, Arena.allocate(made.blocks, { lender: memory }))
    const output = (name: string) => session.arena.view(made.tensors[made.outputs[name]])
    return {
      session,
      output,
      lossAt() {
        session.execute(0, made.instructions.length)
        return output('loss')[0]
      },
    }
  }
  const found = gradients(
    loss,
    parameters.map(({ variable: parameter }) => parameter),
  )
  return {
    variables: parameters,
    values: (source) =>
      memory.view({ ...(layout.place(source) as { block: string; offset: number }), shape: concrete(source.shape), dtype: source.dtype }),
    forward: load({ loss }),
    backward: load(Object.fromEntries(found.map((gradient, i) => [`gradient${i}`, gradient]))),
  }
}

/** All positions if they are few, else a random choice. */
function choose(size: number, limit: number, stream: number): Int32Array {
  const positions = Int32Array.from({ length: size }, (_, i) => i)
  if (size <= limit) return positions
  new RandomStream(0, Purpose.sample, stream).shuffle(positions)
  return positions.subarray(0, limit).sort()
}

function indexOf(position: number, shape: readonly number[]): number[] {
  const index: number[] = []
  let rest = position
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    index.unshift(rest % shape[axis])
    rest = Math.floor(rest / shape[axis])
  }
  return index
}

function print(parameters: readonly GradcheckEntry[], tolerance: number): string {
  const width = Math.max(9, ...parameters.map(({ parameter }) => parameter.length))
  const lines = parameters.map(({ parameter, checked, size, worst }) => {
    const verdict = worst.error <= tolerance ? 'ok   ' : 'WRONG'
    return `${verdict} ${parameter.padEnd(width)} ${String(checked).padStart(6)} of ${String(size).padEnd(8)} worst ${worst.error.toExponential(1)} at [${worst.index.join(', ')}]: analytic ${worst.analytic.toPrecision(8)}, numeric ${worst.numeric.toPrecision(8)}`
  })
  return lines.join('\n')
}
