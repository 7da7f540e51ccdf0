import { referenceExecutor } from '../../src/executors/reference/index.ts'
import { apply, type Tensor } from '../../src/graph/tensor.ts'
import { gradients } from '../../src/ops/gradients.ts'
import { sourceOps } from '../../src/ops/source.ts'
import { Purpose, RandomStream } from '../../src/random.ts'
import { type Case, filled, planOf } from './samples.ts'

export interface GradientMismatch {
  readonly operand: number
  readonly element: number
  readonly analytic: number
  readonly numeric: number
  readonly error: number
}

const STEP = 1e-5

/** At most so many elements of an operand are checked one by one. */
const ELEMENTS = 40

/**
 * The op's gradient rule against central differences in double precision, with a random incoming gradient (ones would hide a
 * forgotten factor). `order` 2 differentiates the gradient once more.
 *
 * @returns The element with the largest scaled error, |analytic - numeric| / max(1, largest |gradient|).
 */
export function checkGradient(subject: Case, order: 1 | 2 = 1): GradientMismatch | null {
  const differentiable = subject.sample.inputs.map(({ dtype }, i) => (dtype === 'float32' ? i : -1)).filter((i) => i >= 0)
  if (differentiable.length === 0) return null
  const seeds: Tensor[] = []
  const seedLike = (tensor: Tensor): Tensor => {
    const seed = apply(sourceOps.variable, [], {
      name: `dy${seeds.length}`,
      block: `seed${seeds.length}`,
      shape: tensor.shape as number[],
      dtype: 'float32',
      initialize: () => undefined,
    })
    seeds.push(seed)
    return seed
  }
  const build = (result: Tensor, operands: readonly Tensor[]): Record<string, Tensor> => {
    const wrt = differentiable.map((i) => operands[i])
    let y = result
    if (order === 2) {
      // The function under test becomes the first operand's gradient; a later operand's would do as well.
      y = gradients(y, wrt, seedLike(y))[0]
    }
    const found = gradients(y, wrt, seedLike(y))
    return { y, ...Object.fromEntries(found.map((gradient, i) => [`d${i}`, gradient])) }
  }
  const made = planOf(subject, build, () => seeds)
  const { plan } = made
  const arena = filled(made, 'float64')
  const session = referenceExecutor.load(plan, arena)
  const view = (name: string) => arena.view(plan.tensors[plan.outputs[name]])
  const execute = () => session.execute(0, plan.instructions.length)
  const seed = arena.region(`seed${order - 1}`)
  const dy = new Float64Array(seed.buffer, seed.byteOffset, view('y').length)

  execute()
  const analytic = differentiable.map((_, i) => Float64Array.from(view(`d${i}`)))
  const projected = () => {
    execute()
    return Float64Array.from(view('y')).reduce((sum, value, i) => sum + value * dy[i], 0)
  }
  let worst: GradientMismatch | null = null
  differentiable.forEach((operand, position) => {
    const region = arena.region(`operand${operand}`)
    const values = new Float64Array(region.buffer, region.byteOffset, analytic[position].length)
    const scale = analytic[position].reduce((largest, value) => Math.max(largest, Math.abs(value)), 1)
    for (const element of choose(values.length)) {
      const center = values[element]
      values[element] = center + STEP
      const above = projected()
      values[element] = center - STEP
      const below = projected()
      values[element] = center
      const numeric = (above - below) / (2 * STEP)
      const difference = Math.abs(analytic[position][element] - numeric) / scale
      const error = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference
      if (worst === null || error > worst.error) worst = { operand, element, analytic: analytic[position][element], numeric, error }
    }
  })
  return worst
}

function choose(size: number): Int32Array {
  const positions = Int32Array.from({ length: size }, (_, i) => i)
  if (size <= ELEMENTS) return positions
  new RandomStream(7, Purpose.sample).shuffle(positions)
  return positions.subarray(0, ELEMENTS)
}
