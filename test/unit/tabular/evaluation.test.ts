/** Metrics of tables, in the units of the data. */
import { describe, expect, it } from 'vitest'
import { metrics } from '../../../src/index.ts'
import { chosenMetrics, tableMetrics } from '../../../src/tabular/evaluation.ts'
import { expectRefusal } from '../../training/support.ts'

const price = { name: 'price', units: 1, classes: null, outputs: Float64Array.of(1e5, 2e5, 4e5), targets: Float64Array.of(1e5, 3e5, 3e5) }
const place = { name: 'place', units: 2, classes: null, outputs: Float64Array.of(0, 1, 2, 3), targets: Float64Array.of(0, 1, 2, 5) }
const spam = { name: 'spam', units: 1, classes: ['ham', 'spam'], outputs: Float64Array.of(-1, 2, 0.5), targets: Float64Array.of(0, 1, 0) }
const kind = {
  name: 'kind',
  units: 3,
  classes: ['a', 'b', 'c'],
  outputs: Float64Array.of(3, 0, 0, 0, 3, 0),
  targets: Float64Array.of(0, 2),
}

describe('tableMetrics', () => {
  it('measures numbers, vectors, two classes and more', () => {
    expect(tableMetrics('here', [price])).toEqual({
      r2Score: expect.closeTo(0.25, 5),
      rootMeanSquaredError: expect.closeTo(Math.sqrt(2e10 / 3), 1),
      meanAbsoluteError: expect.closeTo(2e5 / 3, 1),
    })
    expect(tableMetrics('here', [place], ['meanAbsoluteError'])).toEqual({ meanAbsoluteError: 0.5 })
    expect(tableMetrics('here', [spam])).toMatchObject({ accuracy: expect.closeTo(2 / 3, 6), rocAuc: 1 })
    expect(tableMetrics('here', [kind], ['accuracy'])).toEqual({ accuracy: 0.5 })
    expect(Object.keys(tableMetrics('here', [price, spam]))).toEqual([
      'price.r2Score',
      'price.rootMeanSquaredError',
      'price.meanAbsoluteError',
      'spam.accuracy',
      'spam.rocAuc',
      'spam.logLoss',
    ])
  })

  it('takes metrics with options, and by target', () => {
    const fBeta = metrics.fBeta({ beta: 2 })
    expect(tableMetrics('here', [price, spam], { spam: [fBeta] })).toEqual({ [`spam.${fBeta.name}`]: expect.any(Number) })
  })

  it('refuses what there is not', async () => {
    await expectRefusal(() => chosenMetrics('here', [price], { prise: [] }), 'ERR_OPTION', 'here', 'prise', 'price')
    await expectRefusal(() => chosenMetrics('here', [price], null as never), 'ERR_OPTION', 'got null')
    await expectRefusal(() => chosenMetrics('here', [price], ['acuracy' as never]), 'ERR_OPTION', 'acuracy', 'accuracy')
    await expectRefusal(() => tableMetrics('here', [price], ['accuracy']), 'ERR_OPTION', 'accuracy')
    const none = { ...price, outputs: new Float64Array(0), targets: new Float64Array(0) }
    await expectRefusal(() => tableMetrics('here', [none]), 'ERR_DATA', 'expected rows to measure')
  })
})
