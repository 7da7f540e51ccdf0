/** Cross-validation of models for rows. */
import { describe, expect, it } from 'vitest'
import { column, crossValidateTable, csv, schema, target } from '../../src/index.ts'
import { ames, homes, small } from './homes.ts'
import { expectRefusal } from './support.ts'

describe('cross-validation of models for rows', () => {
  it('refuses options that are no objects', async () => {
    const columns = schema({ sqft: column.number(), price: target.number() })
    for (const name of ['fit', 'model'])
      await expectRefusal(() => crossValidateTable(columns, homes, { [name]: null }), 'ERR_OPTION', `crossValidateTable: ${name}`, 'null')
  })

  it('spreads rare classes over the folds, and leaves rows without a target out', async () => {
    const rare = homes.slice(0, 60).map(({ sqft }, i) => ({ sqft, kind: i < 4 ? 'castle' : i % 10 === 9 ? null : 'house' }))
    const columns = schema({ sqft: column.number(), kind: target.category() })
    const options = { folds: 4, stratified: true, model: small, fit: { epochs: 1, missingTarget: 'skip' }, metrics: ['recall'] } as const
    const { folds } = await crossValidateTable(columns, rare, options)
    expect(folds.every(({ values }) => Number.isFinite(values.recall))).toBe(true)
    await expectRefusal(() => crossValidateTable(columns, rare, { ...options, folds: 5 }), 'ERR_DATA', '"castle" has 4 samples')
    const two = schema({ sqft: column.number(), kind: target.category(), price: target.number() })
    await expectRefusal(() => crossValidateTable(two, homes, { stratified: true }), 'ERR_OPTION', 'one target', 'kind, price')
  })

  it('of real houses does not look at the fold', async () => {
    const rows = await csv(ames).take(400).toArray()
    const columns = schema({ Gr_Liv_Area: column.number(), Overall_Cond: column.category(), Sale_Price: target.number() })
    const seen: number[] = []
    const { folds, mean } = await crossValidateTable(columns, rows, {
      folds: 4,
      model: small,
      fit: { epochs: 20 },
      onFold: (_, number) => seen.push(number),
    })
    expect(seen).toEqual([0, 1, 2, 3])
    expect(mean.r2Score).toBeCloseTo(folds.reduce((sum, { values }) => sum + values.r2Score, 0) / 4, 10)
    expect(mean.r2Score).toBeGreaterThan(0.3)
    await expectRefusal(() => crossValidateTable(columns, csv(ames) as never), 'ERR_DATA', 'toArray')
    await expectRefusal(() => crossValidateTable(columns, rows, { fit: { signal: AbortSignal.abort() } }), 'ABORT_ERR')
  })
})
