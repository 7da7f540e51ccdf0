/** The layer `embedding`. */
import { describe, expect, it } from 'vitest'
import { constantOf, embedding, input, sequential, sgd, uniformWithin } from '../../../src/index.ts'
import { executors, expectRefusal } from '../../training/support.ts'

describe.each(executors)('embedding on the %s executor', (executor) => {
  it('gives the vector of each index, and trains only those that occur', async () => {
    const net = sequential([input([2], { dtype: 'int32' }), embedding(4, 3)], { executor })
    const before = Array.from(net.weights()['embedding_1.embeddings'].data)
    const vector = (values: readonly number[], i: number) => values.slice(3 * i, 3 * i + 3)
    const predicted = await net.predict([
      [2, 0],
      [1, 1],
    ])
    expect(predicted.shape).toEqual([2, 2, 3])
    expect(Array.from(predicted.data)).toEqual([2, 0, 1, 1].flatMap((i) => vector(before, i)))
    const y = [
      [
        [1, 1, 1],
        [1, 1, 1],
      ],
    ]
    await net.fit({ x: [[2, 0]], y }, { loss: 'meanSquaredError', optimizer: sgd({ learningRate: 0.5 }) })
    const after = Array.from(net.weights()['embedding_1.embeddings'].data)
    expect([1, 3].flatMap((i) => vector(after, i))).toEqual([1, 3].flatMap((i) => vector(before, i)))
    for (const i of [0, 2]) expect(vector(after, i)).not.toEqual(vector(before, i))
  })
})

describe('embedding', () => {
  it('begins within ±0.05, or as it is told', () => {
    const values = sequential([input([], { dtype: 'int32' }), embedding(500, 8)]).weights()['embedding_1.embeddings'].data
    expect(Math.max(...values)).toBeLessThanOrEqual(Math.fround(0.05))
    expect(Math.max(...values)).toBeGreaterThan(0.049)
    const other = sequential([input([], { dtype: 'int32' }), embedding(5, 2, { embeddingsInitializer: constantOf(3) })])
    expect(Array.from(other.weights()['embedding_1.embeddings'].data)).toEqual(new Array(10).fill(3))
  })

  it('refuses numbers that are no indices, and options that are none', async () => {
    await expectRefusal(() => embedding(input([2]), 4, 3), 'ERR_DTYPE', 'int32')
    await expectRefusal(() => embedding(0, 3), 'ERR_OPTION', 'embedding', 'count')
    await expectRefusal(() => embedding(4, 1.5), 'ERR_OPTION', 'embedding', 'units')
    await expectRefusal(() => embedding(4, 3, { initializer: uniformWithin() } as object), 'ERR_OPTION', 'initializer')
  })
})
