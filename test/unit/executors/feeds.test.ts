/** What executors feed: rows, a piece for each step, a piece for the whole run. */
import { describe, expect, it } from 'vitest'
import { Arena } from '../../../src/executors/arena.ts'
import { chooseExecutor } from '../../../src/executors/index.ts'
import { add, constantOf, input, multiply } from '../../../src/index.ts'
import { variable } from '../../../src/ops/source.ts'
import { buildPlan } from '../../../src/plan/build.ts'
import { VariableLayout } from '../../../src/plan/variables.ts'
import { executors } from '../../training/support.ts'

describe.each(executors)('on the %s executor', (executor) => {
  it('a feed of each pace gives each step what belongs to it', async () => {
    const state = (name: string, shape: number[]) => variable({ name, block: 'state', shape, dtype: 'float32', initialize: constantOf(0) })
    const [x, scale, shift] = [input(2), state('scale', []), state('shift', [2])]
    const variables = new VariableLayout([scale, shift].map((tensor, i) => ({ variable: tensor, name: ['scale', 'shift'][i] })))
    const plan = buildPlan({ inputs: { x }, outputs: { y: add(multiply(x, scale), shift) }, variables, batchSize: 2, mode: 'inference' })
    const session = chooseExecutor('test', { executor }).load(plan, Arena.allocate(plan.blocks))
    const numberOf = (label: string) => plan.tensors.findIndex((tensor) => tensor.label === label)
    const { records } = await session.run({
      steps: 3,
      feeds: [
        { input: 'x', values: Float32Array.from({ length: 8 }, (_, i) => i) },
        { input: numberOf('scale'), values: Float32Array.of(1, 10, 100), pace: 'step' },
        { input: numberOf('shift'), values: Float32Array.of(0.25, 0.5), pace: 'run' },
      ],
      order: Int32Array.of(0, 1, 3, 2, 1, 1),
      record: ['y'],
    })
    expect([...records.y]).toEqual([0.25, 1.5, 2.25, 3.5, 60.25, 70.5, 40.25, 50.5, 200.25, 300.5, 200.25, 300.5])
  })
})
