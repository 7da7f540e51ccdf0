/** The rows that a step is fed with, picked in groups and by vectors: of every width and number at which the native code changes its way. */
import { describe, expect, it } from 'vitest'
import { Arena } from '../../src/executors/arena.ts'
import { loadAddon } from '../../src/executors/native/addon.ts'
import { nativeExecutor } from '../../src/executors/native/index.ts'
import { input, negate } from '../../src/index.ts'
import { buildPlan } from '../../src/plan/build.ts'
import { VariableLayout } from '../../src/plan/variables.ts'

const { addon } = loadAddon()

const ROWS = 40
const STEPS = 2
const widths = [1, 2, 3, 4, 15, 16, 17, 33, 511, 512, 784]
const batches = [1, 7, 8, 9, 19]

describe.skipIf(addon === undefined).each(addon?.isas ?? [])('rows picked on %s', (isa) => {
  it.each(widths)('of %i numbers are those that the order names', async (width) => {
    const values = Float32Array.from({ length: ROWS * width }, (_, i) => i + 1)
    for (const batch of batches) {
      const x = input(width)
      const plan = buildPlan({
        inputs: { x },
        outputs: { y: negate(x) },
        variables: new VariableLayout([]),
        batchSize: batch,
        mode: 'inference',
      })
      const session = nativeExecutor(addon as NonNullable<typeof addon>, { isa, threads: 1 }).load(plan, Arena.allocate(plan.blocks))
      const order = Int32Array.from({ length: STEPS * batch }, (_, i) => (17 * i + 5) % ROWS)
      const { records } = await session.run({ steps: STEPS, feeds: [{ input: 'x', values }], order, record: ['y'] })
      const expected = Float32Array.from(
        { length: order.length * width },
        (_, i) => -values[order[Math.floor(i / width)] * width + (i % width)],
      )
      const wrong = expected.findIndex((value, i) => value !== records.y[i])
      expect({ batch, wrong, length: records.y.length }).toEqual({ batch, wrong: -1, length: expected.length })
    }
  })
})
