/** Rows picked in an order: several at a time, by vectors, whose ends must neither be left out nor reach into what is beside them. */
import { describe, expect, it } from 'vitest'
import { Arena } from '../../src/executors/arena.ts'
import { loadAddon } from '../../src/executors/native/addon.ts'
import { nativeExecutor } from '../../src/executors/native/index.ts'
import { add, input } from '../../src/index.ts'
import { buildPlan } from '../../src/plan/build.ts'
import { VariableLayout } from '../../src/plan/variables.ts'
import { Purpose, RandomStream } from '../../src/random.ts'

const { addon } = loadAddon()
const widths = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 511, 512, 600]
const batches = [1, 7, 8, 9, 16, 23, 67]
const STEPS = 3

describe.skipIf(addon === undefined).each(addon?.isas ?? [])('on %s', (isa) => {
  it.each(widths)('rows of %d numbers come in their order', async (width) => {
    for (const batch of batches) {
      const x = input(width)
      const plan = buildPlan({
        inputs: { x },
        outputs: { y: add(x, 1) },
        variables: new VariableLayout([]),
        batchSize: batch,
        mode: 'inference',
      })
      const rows = batch + 2
      const values = Float32Array.from({ length: rows * width }, (_, i) => i)
      const random = new RandomStream(width, Purpose.sample)
      const order = Int32Array.from({ length: STEPS * batch }, () => random.below(rows))
      const expected = Float32Array.from({ length: order.length * width }, (_, i) => order[Math.floor(i / width)] * width + (i % width) + 1)
      for (const threads of [1, 3]) {
        const session = nativeExecutor(addon as NonNullable<typeof addon>, { isa, threads, serialBelow: 0 }).load(
          plan,
          Arena.allocate(plan.blocks),
        )
        const { records } = await session.run({ steps: STEPS, feeds: [{ input: 'x', values }], order, record: ['y'] })
        const wrong = expected.findIndex((value, i) => value !== records.y[i])
        expect({ batch, threads, wrong }).toEqual({ batch, threads, wrong: -1 })
      }
    }
  })
})
