/** takeRows and splitData: which samples, and that every part stays what it is. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { dense, input, kFold, NdArray, sequential, splitData, type TrainingData, takeRows } from '../../../src/index.ts'
import { expectRefusal, rows } from '../../training/support.ts'

const range = (count: number) => Array.from({ length: count }, (_, i) => i)
const anything = (value: unknown) => value as never

describe('takeRows', () => {
  it('leaves every part what it is', () => {
    const data = {
      x: { first: Float32Array.of(1, 2, 3, 4, 5, 6), second: new NdArray(Float64Array.of(1, 2, 3), [3, 1]) },
      y: [[1], [2], [3]],
      sampleWeights: Int32Array.of(7, 8, 9),
      other: undefined,
    }
    expect(takeRows(data, [2, 0, 2])).toEqual({
      x: { first: Float32Array.of(5, 6, 1, 2, 5, 6), second: new NdArray(Float64Array.of(3, 1, 3), [3, 1]) },
      y: [[3], [1], [3]],
      sampleWeights: Int32Array.of(9, 7, 9),
      other: undefined,
    })
  })

  it('takes numbers alone, rows that are typed arrays, and none', () => {
    const lines = [Float32Array.of(1, 2), Float32Array.of(3, 4)]
    expect(takeRows(lines, kFold(2, { folds: 2, shuffle: false })[0].training)).toEqual([lines[1]])
    expect(takeRows(Float32Array.of(1, 2, 3, 4), [1], { samples: 2 })).toEqual(Float32Array.of(3, 4))
    expect(takeRows({ x: [1, 2] }, [])).toEqual({ x: [] })
  })

  it.each<[string, () => unknown, string, ...string[]]>([
    ['a row there is not', () => takeRows([1, 2], [0, 2]), 'ERR_DATA', 'takeRows: rows must be numbers of 0 … 1, got 2 at index 1'],
    ['half a row', () => takeRows([1, 2], [0.5]), 'ERR_DATA', 'got 0.5 at index 0'],
    ['no rows', () => takeRows([1, 2], anything(1)), 'ERR_OPTION', 'rows must be an array of row numbers, got 1'],
    ['unequal parts', () => takeRows({ x: [1, 2], y: [1] }, [0]), 'ERR_DATA', 'takeRows: y has 1 sample, expected 2'],
    [
      'a typed part of no whole rows',
      () => takeRows({ x: new Float32Array(5), y: [1, 2] }, [0]),
      'ERR_DATA',
      'x has 5 numbers, which is not a multiple of the 2 samples',
    ],
    ['typed arrays alone', () => takeRows({ x: new Float32Array(4), y: new Float32Array(2) }, [0]), 'ERR_DATA', 'give { samples }'],
    ['no numbers', () => takeRows({ x: { a: 'text' } }, [0]), 'ERR_DATA', 'takeRows: x.a: expected numbers', 'got "text"'],
    ['nothing', () => takeRows({}, [0]), 'ERR_DATA', 'expected data, { x, y }, got nothing'],
    ['null', () => takeRows(anything(null), [0]), 'ERR_DATA', 'expected data, { x, y }, got null'],
  ])('refuses %s', async (_, call, code, ...parts) => {
    await expectRefusal(call, code, ...parts)
  })
})

describe('splitData', () => {
  it('puts every sample into one of two parts, in order, as large as the share says', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 60 }), fc.double({ min: 0.01, max: 0.99, noNaN: true }), fc.nat(), (count, share, seed) => {
        const held = Math.round(share * count)
        fc.pre(held > 0 && held < count)
        const { training, validation } = splitData({ x: range(count) }, { share, seed })
        expect(validation.x.length).toBe(held)
        for (const { x } of [training, validation]) expect(x).toEqual([...x].sort((a, b) => a - b))
        expect([...training.x, ...validation.x].sort((a, b) => a - b)).toEqual(range(count))
      }),
    )
  })

  it('holds out its share of every class, to within one', () => {
    const labels = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 2, maxLength: 5 })
    fc.assert(
      fc.property(labels, fc.double({ min: 0.1, max: 0.9, noNaN: true }), fc.nat(), (sizes, share, seed) => {
        const y = sizes.flatMap((size, label) => Array.from({ length: size }, () => label))
        const held = Math.round(share * y.length)
        fc.pre(held > 0 && held < y.length)
        const { validation } = splitData({ x: range(y.length), y }, { share, seed, stratified: true })
        expect(validation.y.length).toBe(held)
        sizes.forEach((size, label) => {
          expect(Math.abs(validation.y.filter((given) => given === label).length - share * size)).toBeLessThanOrEqual(1)
        })
      }),
    )
  })

  it('is decided by the seed, and the same for class numbers, one-hot rows and labels beside', () => {
    const x = range(40)
    const y = x.map((i) => i % 3)
    const oneHot = Float32Array.from(y.flatMap((label) => [0, 1, 2].map((k) => Number(k === label))))
    const options = { stratified: true, seed: 3 } as const
    const held = splitData({ x, y }, options).validation.x
    expect(splitData({ x, y }, options).validation.x).toEqual(held)
    expect(splitData({ x, y }, { ...options, seed: 4 }).validation.x).not.toEqual(held)
    expect(splitData({ x, y: oneHot }, options).validation.x).toEqual(held)
    expect(splitData({ x, y: rows(40, 2) }, { ...options, labels: y }).validation.x).toEqual(held)
  })

  it('gives what fit takes', async () => {
    const data: TrainingData = { x: { input_1: rows(10, 2) }, y: rows(10, 1, 1), sampleWeights: Float32Array.from(range(10)) }
    const { training, validation } = splitData(data, { share: 0.3 })
    const { epochs } = await sequential([input(2), dense(1)]).fit(training, { loss: 'meanSquaredError', validationData: validation })
    expect(epochs[0].validationLoss).toBeGreaterThan(0)
  })

  it.each<[string, () => unknown, string, ...string[]]>([
    ['too little', () => splitData({ x: [1, 2] }, { share: 0.1 }), 'ERR_DATA', 'a share of 0.1 of 2 samples leaves none to validate on'],
    ['too much', () => splitData({ x: [1, 2] }, { share: 0.9 }), 'ERR_DATA', 'leaves none to train on'],
    ['all', () => splitData({ x: [1, 2] }, { share: 1 }), 'ERR_OPTION', 'share must lie in 0 … 1 (both excluded), got 1'],
    [
      'numbers stratified',
      () => splitData({ x: [1, 2], y: [0.5, 2] }, { share: 0.5, stratified: true }),
      'ERR_DATA',
      'got 0.5 at row 0; stratified needs classes',
    ],
    [
      'several outputs stratified',
      () => splitData({ x: [1, 2], y: { a: [1, 2] } }, { share: 0.5, stratified: true }),
      'ERR_OPTION',
      'as the option labels',
    ],
    [
      'labels of others',
      () => splitData({ x: [1, 2] }, { share: 0.5, stratified: true, labels: [1] }),
      'ERR_DATA',
      'as there are samples, 2, got 1',
    ],
    [
      'labels for nothing',
      () => splitData({ x: [1, 2] }, { share: 0.5, labels: [1, 2] }),
      'ERR_OPTION',
      'labels are for { stratified: true }',
    ],
    ['a seed of -1', () => splitData({ x: [1, 2] }, { share: 0.5, seed: -1 }), 'ERR_OPTION', 'seed must be an integer'],
    ['another name', () => splitData({ x: [1, 2] }, anything({ validationSplit: 0.5 })), 'ERR_OPTION', 'did you mean "share"?'],
  ])('refuses %s', async (_, call, code, ...parts) => {
    await expectRefusal(call, code, ...parts)
  })
})
