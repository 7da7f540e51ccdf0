/** The network that a table gets by default: an ensemble in one graph. */
import { describe, expect, it } from 'vitest'
import { defaultNetwork, defaultTraining, dense, input, type LossName, model, type NetworkOutput, sgd } from '../../../src/index.ts'
import { ensemble } from '../../../src/tabular/network.ts'
import { expectRefusal, rows } from '../../training/support.ts'

const price: NetworkOutput = { name: 'price', units: 1, loss: 'meanSquaredError' }
const x = rows(12, 3, 1)
const targets: Partial<Record<LossName, { units: number; y: number[] | number[][] }>> = {
  meanSquaredError: { units: 2, y: rows(12, 2, 2) },
  binaryCrossentropy: { units: 2, y: rows(12, 2, 3).map((row) => row.map((value) => Number(value > 0))) },
  categoricalCrossentropy: { units: 3, y: x.map((_, i) => [0, 1, 2].map((j) => Number(j === i % 3))) },
  sparseCategoricalCrossentropy: { units: 3, y: x.map((_, i) => i % 3) },
}

describe('ensemble', () => {
  it.each(Object.entries(targets) as [LossName, { units: number; y: number[][] }][])(
    'trains each member by %s as if it were alone',
    async (loss, { units, y }) => {
      const training = (learningRate: number) => ({ loss, optimizer: sgd({ learningRate }), epochs: 4, batchSize: 4, shuffle: false })
      const features = input(3)
      const joined = model(features, ensemble([dense(features, units), dense(features, units)], loss))
      const begin = joined.weights()
      // Half of the mean loss is each member's share, hence twice the rate.
      const { epochs } = await joined.fit({ x, y }, training(0.2))
      const losses: number[] = []
      for (const i of [1, 2]) {
        const alone = model(features, dense(features, units))
        alone.setWeights({ 'dense_1.kernel': begin[`dense_${i}.kernel`], 'dense_1.bias': begin[`dense_${i}.bias`] })
        losses.push((await alone.fit({ x, y }, training(0.1))).epochs[3].loss)
        for (const name of ['kernel', 'bias']) {
          const [expected, got] = [alone.weights()[`dense_1.${name}`], joined.weights()[`dense_${i}.${name}`]]
          for (const [j, value] of got.data.entries()) expect(value).toBeCloseTo(expected.data[j], 5)
        }
      }
      expect(epochs[3].loss).toBeCloseTo((losses[0] + losses[1]) / 2, 5)
    },
  )

  it('is evaluated by the loss of the mean alone', async () => {
    const features = input(3)
    const net = model(features, ensemble([dense(features, 2), dense(features, 2)], 'meanSquaredError'))
    const y = rows(12, 2, 2)
    const predicted = await net.predict(x)
    const expected = y.flat().reduce((sum, target, i) => sum + (predicted.data[i] - target) ** 2, 0) / 24
    expect((await net.evaluate({ x, y }, { loss: 'meanSquaredError' })).loss).toBeCloseTo(expected, 5)
  })
})

describe('defaultNetwork', () => {
  it('is four networks beside a linear path, and learns', async () => {
    const features = input(3)
    const net = model(features, defaultNetwork([{ tensor: features }], [price])[0])
    expect(net.parameterCount).toBe(4 * (3 * 128 + 128 + 128 * 64 + 64 + 64 + 1) + 3)
    const y = x.map(([a, b, c]) => [a - 2 * b + a * c])
    const { epochs } = await net.fit({ x, y }, { loss: 'meanSquaredError', ...defaultTraining({ rows: 12, epochs: 40 }) })
    expect(epochs[39].loss).toBeLessThan(0.3 * epochs[0].loss)
  })

  it('takes indices, words and images beside numbers, and predicts several targets', async () => {
    const numbers = input(3, { name: 'features' })
    const categories = input([2], { name: 'categories', dtype: 'int32' })
    const words = input([4], { name: 'words', dtype: 'int32' })
    const image = input([2, 2, 1], { name: 'image' })
    const inputs = [{ tensor: numbers }, { tensor: categories, sizes: [3, 5] }, { tensor: words, sizes: [9] }, { tensor: image }]
    const kind: NetworkOutput = { name: 'the.kind', units: 3, loss: 'sparseCategoricalCrossentropy' }
    const net = model([numbers, categories, words, image], defaultNetwork(inputs, [price, kind]))
    expect(net.outputNames).toEqual(['price', 'the_kind'])
    const rowOf = (padding: number[]) => ({
      features: [[1, 2, 3]],
      categories: [[2, 4]],
      words: [[7, 8, ...padding]],
      image: [
        [
          [[0], [1]],
          [[2], [3]],
        ],
      ],
    })
    const ask = (padding: number[]) => net.predictAll(rowOf(padding))
    const [[price1, kind1], [price2, kind2], [other]] = [await ask([0, 0]), await ask([7, 8]), await ask([1, 0])]
    expect([price1.shape, kind1.shape]).toEqual([
      [1, 1],
      [1, 3],
    ])
    // Words are averaged: twice the same ones are the same text, and what fills a text up is no word.
    expect(price2.data[0]).toBeCloseTo(price1.data[0], 5)
    for (const [i, value] of kind1.data.entries()) expect(kind2.data[i]).toBeCloseTo(value, 5)
    expect(Math.abs(other.data[0] - price1.data[0])).toBeGreaterThan(1e-4)
  })

  it('refuses what makes no network', async () => {
    const features = input(3)
    const pair = input([2], { dtype: 'int32' })
    await expectRefusal(() => defaultNetwork([], [price]), 'ERR_OPTION', 'inputs', 'at least one')
    await expectRefusal(() => defaultNetwork([{ tensor: features }], []), 'ERR_OPTION', 'outputs')
    await expectRefusal(() => defaultNetwork([{ tensor: pair, sizes: [2, 3, 4] }], [price]), 'ERR_SHAPE', 'each of its 2 columns', 'got 3')
    await expectRefusal(() => defaultNetwork([{ tensor: features }], [price], { members: 0 }), 'ERR_OPTION', 'members')
    await expectRefusal(() => defaultNetwork([{ tensor: features }], [price], { hidden: 64 } as object), 'ERR_OPTION', 'hidden', '64')
    await expectRefusal(() => defaultNetwork([{ tensor: features }], [price], { layers: [64] } as object), 'ERR_OPTION', 'layers')
  })
})
