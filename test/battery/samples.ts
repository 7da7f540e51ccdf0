import { Arena, type Precision } from '../../src/executors/arena.ts'
import { type Op, type Sample, type SampleInput, uniform } from '../../src/graph/op.ts'
import { apply, type Tensor } from '../../src/graph/tensor.ts'
import { ops } from '../../src/ops/index.ts'
import { sourceOps } from '../../src/ops/source.ts'
import { buildPlan } from '../../src/plan/build.ts'
import type { Plan } from '../../src/plan/plan.ts'
import { VariableLayout } from '../../src/plan/variables.ts'
import { Purpose, RandomStream } from '../../src/random.ts'

/** One sample of one op: what all generic tests run over. */
export interface Case {
  readonly op: Op
  readonly name: string
  readonly sample: Sample<object>
}

export const allOps: readonly Op[] = Object.values(ops)

export const cases: readonly Case[] = allOps.flatMap((op) =>
  op.samples.map((sample, i) => ({
    op,
    sample,
    name: `${op.name} ${sample.inputs.map(({ shape }) => `[${shape.join(',')}]`).join(' ')} #${i}`,
  })),
)

/** The values of a sample's input: random, but the same in every run. */
export function valuesOf({ shape, dtype, low, high, awayFrom, distinct }: SampleInput, seed: number): Float64Array {
  const random = new RandomStream(seed, Purpose.sample)
  const size = shape.reduce((product, extent) => product * extent, 1)
  const values = new Float64Array(size)
  for (let i = 0; i < size; i++) {
    if (dtype === 'int32') values[i] = low + random.below(high - low)
    else {
      values[i] = low + (high - low) * random.uniform()
      for (const kink of awayFrom) if (Math.abs(values[i] - kink) < 0.05) values[i] = kink + 0.05 * (values[i] < kink ? -1 : 1)
    }
  }
  if (!distinct) return values
  // A shuffled grid, 0.01 apart at least.
  const grid = Int32Array.from({ length: size }, (_, i) => i)
  random.shuffle(grid)
  const step = Math.max(0.01, (high - low) / Math.max(1, size))
  return Float64Array.from(grid, (position) => low + step * position)
}

/** A plan with one call of the op, or with what `build` makes of its operands. All operands are variables, so that updates can write them. */
export interface CasePlan {
  readonly plan: Plan
  readonly operands: readonly Tensor[]
  fill(arena: Arena): void
}

export function planOf(
  { op, sample }: Case,
  build: (y: Tensor, operands: readonly Tensor[]) => Record<string, Tensor> = (y) => ({ y }),
  /** Further variables that `build` made; they are filled with random numbers of -1 … 1. */
  seeds: () => readonly Tensor[] = () => [],
): CasePlan {
  const operands = sample.inputs.map(({ shape, dtype }, i) =>
    apply(sourceOps.variable, [], { name: `x${i}`, block: `operand${i}`, shape, dtype, initialize: () => undefined }),
  )
  const y = apply(op, operands, sample.attributes)
  const outputs = build(y, operands)
  const variables = [...operands, ...seeds()]
  const layout = new VariableLayout(variables.map((variable) => ({ variable, name: variable.attributes.name })))
  const updates = op.writes === undefined ? [] : [y]
  const plan = buildPlan({
    inputs: {},
    outputs: op.writes === undefined ? outputs : {},
    updates,
    variables: layout,
    batchSize: 1,
    mode: 'training',
  })
  return {
    plan,
    operands,
    fill(arena) {
      variables.forEach((variable, i) => {
        const place = layout.place(variable) as { block: string; offset: number }
        const input = sample.inputs[i] ?? uniform(variable.shape as number[], { low: -1, high: 1 })
        arena.view({ ...place, ...input }).set(valuesOf(input, i + 1))
      })
    },
  }
}

/** An arena of the plan's own, filled with the sample's values. */
export function filled({ plan, fill }: CasePlan, precision: Precision = 'float32'): Arena {
  const arena = Arena.allocate(plan.blocks, { precision })
  fill(arena)
  return arena
}

/** All memory the plan may have changed, as bytes. */
export function resultsOf(plan: Plan, arena: Arena): { label: string; values: Float32Array | Float64Array | Int32Array }[] {
  const results = [...plan.instructions.flatMap(({ outputs }) => outputs), ...Object.values(plan.outputs)]
  return [...new Set(results)].map((output) => ({ label: plan.tensors[output].label, values: arena.view(plan.tensors[output]) }))
}
