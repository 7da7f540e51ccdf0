import { describe, expect, it } from 'vitest'
import {
  adam,
  batch,
  dense,
  exp,
  input,
  type Metric,
  model,
  oneHot,
  reshape,
  sequential,
  sgd,
  subtract,
  sum,
  type Tensor,
} from '../../../src/index.ts'
import { logGamma } from '../../../src/nn/mixup.ts'
import { executors, expectRefusal, rows } from '../../training/support.ts'

/** What a scalar drawn once a step is worth over many training steps. */
async function draws(value: Tensor, steps: number): Promise<number[]> {
  const net = sequential([input(1), dense(1)])
  const seen: number[] = []
  const watched: Metric = {
    name: 'drawn',
    batch: () => [value],
    result: (batches) => {
      for (const { values } of batches) seen.push(values[0][0])
      return 0
    },
  }
  const x = rows(steps, 1, 1)
  await net.fit({ x, y: x }, { loss: 'meanSquaredError', metrics: [watched], optimizer: sgd({ learningRate: 0 }), batchSize: 1 })
  return seen
}

describe('gamma variables', () => {
  it.each([0.2, 0.5, 1, 4])('of shape %f have its mean and variance', async (alpha) => {
    const values = await draws(exp(logGamma(alpha)), 20_000)
    const mean = values.reduce((a, b) => a + b, 0) / values.length
    const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length
    // Both are α; 4 standard errors of 20,000 draws (the fourth central moment is 3α² + 6α).
    expect(Math.abs(mean - alpha)).toBeLessThan(4 * Math.sqrt(alpha / 20_000))
    expect(Math.abs(variance - alpha)).toBeLessThan(4 * Math.sqrt((2 * alpha * alpha + 6 * alpha) / 20_000))
  })
})

describe.each(executors)('mixup on the %s executor', (executor) => {
  it("mixes inputs and losses by one share a step, the larger one a sample's own", async () => {
    // The model is the identity, so what it gives for a batch of (1, 0) and (0, 1) is the share and its complement.
    const x = input(2)
    const net = sequential([x, dense(2, { useBias: false, kernelInitializer: 'identity' })], { executor })
    const shares: number[] = []
    const losses: number[] = []
    const watched: Metric = {
      name: 'share',
      batch: (prediction) => [prediction],
      result: (batches) => {
        for (const { values } of batches) {
          shares.push(values[0][0])
          expect(values[0][0] + values[0][1]).toBeCloseTo(1, 6)
          expect(values[0][3]).toBeCloseTo(values[0][0], 6)
          expect(values[0][2]).toBeCloseTo(values[0][1], 6)
        }
        return 0
      },
    }
    const data = Array.from({ length: 400 }, () => [
      [1, 0],
      [0, 1],
    ]).flat()
    const onProgress = ({ loss }: { loss: number }) => losses.push(loss)
    const loss = (prediction: Tensor, target: Tensor) => sum(subtract(target, prediction), { axes: [1] })
    await net.fit(
      { x: data, y: data },
      { loss, metrics: [watched], optimizer: sgd({ learningRate: 0 }), batchSize: 2, shuffle: false, mixup: { alpha: 0.4 }, onProgress },
    )
    expect(shares.length).toBe(400)
    expect(Math.min(...shares)).toBeGreaterThanOrEqual(0.5)
    const squares = shares.map((share) => (share - 0.5) ** 2)
    const variance = squares.reduce((a, b) => a + b) / shares.length
    const error = Math.sqrt(squares.reduce((a, b) => a + (b - variance) ** 2, 0) / shares.length / shares.length)
    // Beta(α, α) has the variance 1/(4 (2α + 1)) about 1/2, whichever of λ and 1 - λ is taken.
    expect(Math.abs(variance - 1 / (4 * 1.8))).toBeLessThan(4 * error)
    expect(Math.abs(losses[losses.length - 1])).toBeLessThan(1e-6)
  })

  it('judges a mixed prediction by both labels, and leaves evaluation alone', async () => {
    const net = sequential([input(2), dense(2, { useBias: false, kernelInitializer: 'identity' })], { executor })
    const data = {
      x: [
        [3, 0],
        [0, 3],
      ],
      y: [0, 1],
    }
    let trained = 0
    let share = 0
    const watched: Metric = {
      name: 'share',
      batch: (prediction) => [prediction],
      result: (batches) => {
        share = batches[0].values[0][0] / 3
        return 0
      },
    }
    const options = { loss: 'sparseCategoricalCrossentropy', metrics: [watched] } as const
    const { epochs } = await net.fit(data, { ...options, optimizer: sgd({ learningRate: 0 }), batchSize: 2, shuffle: false, mixup: {} })
    trained = epochs[0].loss
    const crossEntropy = (logits: readonly number[], label: number) => Math.log(logits.reduce((a, b) => a + Math.exp(b), 0)) - logits[label]
    const [first, second] = [
      [3 * share, 3 * (1 - share)],
      [3 * (1 - share), 3 * share],
    ]
    const expected = [first, second].map((logits, i) => share * crossEntropy(logits, i) + (1 - share) * crossEntropy(logits, 1 - i))
    expect(trained).toBeCloseTo((expected[0] + expected[1]) / 2, 5)
    const measured = await net.evaluate(data, options)
    expect(measured.loss).toBeCloseTo(crossEntropy([3, 0], 0), 5)
  })

  it('learns, with weights of samples and the same bits for the same seed', async () => {
    const x = rows(200, 2, 5)
    const y = x.map(([a, b]) => (a * b > 0 ? 1 : 0))
    const run = async () => {
      const net = sequential([input(2), dense(24, { activation: 'relu' }), dense(2)], { executor, seed: 4 })
      await net.fit(
        { x, y, sampleWeights: y.map((label) => 1 + label) },
        { loss: 'sparseCategoricalCrossentropy', optimizer: adam({ learningRate: 0.02 }), epochs: 60, mixup: { alpha: 0.1 } },
      )
      const { accuracy } = await net.evaluate({ x, y }, { loss: 'sparseCategoricalCrossentropy', metrics: ['accuracy'] })
      return { weights: net.weights()['dense_1.kernel'].data, accuracy }
    }
    const [first, second] = [await run(), await run()]
    expect(first.accuracy).toBeGreaterThan(0.9)
    expect(first.weights).toEqual(second.weights)
  })

  it('refuses what cannot be mixed', async () => {
    const words = input([3], { dtype: 'int32' })
    const net = model(words, dense(1)(reshape(oneHot(words, 4), [batch, 12])), { executor })
    const data = { x: [[0, 1, 2]], y: [[1]] }
    await expectRefusal(() => net.fit(data, { loss: 'meanSquaredError', mixup: {} }), 'ERR_OPTION', 'fit: mixup', 'int32 input')
    const plain = sequential([input(1), dense(1)], { executor })
    const one = { x: [[1]], y: [[1]] }
    await expectRefusal(() => plain.fit(one, { loss: 'meanSquaredError', mixup: { alpha: 0 } }), 'ERR_OPTION', 'alpha', 'got 0')
    await expectRefusal(() => plain.fit(one, { loss: 'meanSquaredError', mixup: 0.2 as never }), 'ERR_OPTION', '{ alpha: 0.2 }', 'got 0.2')
  })
})
