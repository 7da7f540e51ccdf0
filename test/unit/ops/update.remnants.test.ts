/** What adam and sgd leave of moments that are too small to matter, on every executor: 0, so that denormal numbers do not slow down what follows. */
import { describe, expect, it } from 'vitest'
import type { Executor } from '../../../src/executors/executor.ts'
import { loadAddon } from '../../../src/executors/native/addon.ts'
import { nativeExecutor } from '../../../src/executors/native/index.ts'
import { referenceExecutor } from '../../../src/executors/reference/index.ts'
import type { Op } from '../../../src/graph/op.ts'
import { updateOps } from '../../../src/ops/update.ts'
import { filled, planOf } from '../../battery/samples.ts'

const { addon } = loadAddon()

describe('moments below 2^-111 become 0, and no others', () => {
  const below = 2 ** -111 * (1 - 2 ** -24)
  const numbers = [2 ** -111, -(2 ** -111), below, -below, 2 ** -112, 1e-42, -0, 2 ** -110, Number.NaN, Number.NEGATIVE_INFINITY]
  const kept = numbers.map((x) => (Math.abs(x) < 2 ** -111 ? 0 : x))
  const squares = [2 ** -56, 2 ** -55.5 * 1.001, 2 ** -55.5 * 0.999, 1e-30, -(2 ** -55)].map(Math.fround)
  const keptSquares = squares.map((x) => (x * x < 2 ** -111 ? 0 : Math.fround(x * x)))
  const executors = [
    { name: 'reference', executor: referenceExecutor },
    ...(addon?.isas ?? []).map((isa) => ({ name: isa, executor: nativeExecutor(addon as NonNullable<typeof addon>, { isa, threads: 1 }) })),
  ]

  /** What `op` leaves in its slots, which hold 0 before, for gradients that are repeated so that they meet whole vectors and parts of them. */
  function slotsAfter(executor: Executor, op: Op, attributes: object, gradients: readonly number[]): number[][] {
    const arrays = op === updateOps.adam ? 4 : 3
    const { inputs } = op.samples.find((sample) => sample.inputs.length > arrays) as Op['samples'][number]
    const size = [gradients.length * 13]
    const made = planOf({
      op,
      name: op.name,
      sample: { inputs: inputs.map((x, i) => (i < arrays ? { ...x, shape: size } : x)), attributes },
    })
    const arena = filled(made)
    const views = made.plan.instructions[0].inputs.slice(0, arrays).map((tensor) => arena.view(made.plan.tensors[tensor]))
    views[1].forEach((_, i, gradient) => {
      gradient[i] = gradients[i % gradients.length]
    })
    for (const slot of views.slice(2)) slot.fill(0)
    executor.load(made.plan, arena).execute(0, made.plan.instructions.length)
    return views.slice(2).map((slot) => [...slot])
  }
  const repeated = (values: readonly number[]) => Array.from({ length: values.length * 13 }, (_, i) => values[i % values.length])

  it.each(executors)('on $name', ({ executor }) => {
    const adam = { beta1: 0, beta2: 0, epsilon: 1e-7, epsilonHat: false, weightDecay: 0 }
    expect(slotsAfter(executor, updateOps.adam, adam, numbers)[0]).toEqual(repeated(kept))
    expect(slotsAfter(executor, updateOps.adam, adam, squares)[1]).toEqual(repeated(keptSquares))
    expect(slotsAfter(executor, updateOps.sgd, { momentum: 0.9, nesterov: true, weightDecay: 0 }, numbers)[0]).toEqual(repeated(kept))
  })
})
