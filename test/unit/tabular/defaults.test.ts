/** How a table is trained on by default. */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { defaultTraining } from '../../../src/index.ts'
import { expectRefusal } from '../../training/support.ts'

describe('defaultTraining', () => {
  it('goes by the number of rows', () => {
    const of = (rows: number) => {
      const { epochs, batchSize } = defaultTraining({ rows })
      return [epochs, batchSize]
    }
    expect([1, 150, 2340, 4000, 100_000, 1_000_000, 1e9].map(of)).toEqual([
      [100, 16],
      [90, 16],
      [36, 64],
      [30, 64],
      [10, 256],
      [5, 1024],
      [2, 1024],
    ])
  })

  it('takes no more epochs for a larger table, and not many fewer steps', () => {
    const steps = (rows: number) => {
      const { epochs, batchSize } = defaultTraining({ rows })
      return { epochs, steps: (epochs * rows) / batchSize }
    }
    const property = fc.property(fc.integer({ min: 1, max: 1e8 }), (rows) => {
      const [one, two] = [steps(rows), steps(2 * rows)]
      expect(two.epochs).toBeLessThanOrEqual(one.epochs)
      expect(two.steps).toBeGreaterThan(0.7 * one.steps)
    })
    fc.assert(property)
  })

  it('takes what is given, and refuses what is no count', async () => {
    expect(defaultTraining({ rows: 10, epochs: 7, batchSize: 3 })).toMatchObject({ epochs: 7, batchSize: 3 })
    await expectRefusal(() => defaultTraining({ rows: 0 }), 'ERR_OPTION', 'rows')
    await expectRefusal(() => defaultTraining({ rows: 10, epochs: 1.5 }), 'ERR_OPTION', 'epochs')
    await expectRefusal(() => defaultTraining({ rows: 10, lr: 1 } as never), 'ERR_OPTION', 'lr')
  })
})
