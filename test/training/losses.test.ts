/** Losses that ask for a model of a certain form: what such a model learns. */
import { describe, expect, it } from 'vitest'
import { adam, dense, euclideanDistance, input, losses, model, sequential } from '../../src/index.ts'
import { Purpose, RandomStream } from '../../src/random.ts'
import { executors, rows } from './support.ts'

/** Three classes that lie along one line, interleaved: 0 1 2 0 1 2. */
const places = Array.from({ length: 60 }, (_, i) => i % 6)
const classes = places.map((place) => place % 3)
const points = rows(60, 2, 1, -0.1, 0.1).map(([a, b], i) => [places[i] / 3 - 1 + a, b])

const distance = (a: readonly number[], b: readonly number[]) => Math.hypot(...a.map((value, i) => value - b[i]))

describe.each(executors)('on the %s executor', (executor) => {
  it.each([losses.triplet({ margin: 0.5 }), losses.triplet({ margin: 'soft' })])(
    'a triplet loss brings classes together and apart',
    async (loss) => {
      const net = sequential([input(2), dense(32, { activation: 'relu' }), dense(16, { activation: 'relu' }), dense(2)], {
        executor,
        seed: 1,
      })
      await net.fit({ x: points, y: classes }, { loss, optimizer: adam({ learningRate: 0.01 }), epochs: 150, batchSize: 30 })
      const embeddings = (await net.predict(points)).toArray() as number[][]
      // The nearest neighbour of each is one of its class, though not of its place.
      const nearest = embeddings.map((one, i) => {
        const others = embeddings.map((other, j) => (places[i] === places[j] ? Number.POSITIVE_INFINITY : distance(one, other)))
        return classes[others.indexOf(Math.min(...others))]
      })
      expect(nearest.filter((label, i) => label === classes[i]).length).toBeGreaterThanOrEqual(54)
    },
  )

  it('a contrastive loss teaches a distance', async () => {
    const [left, right] = [input(2, { name: 'left' }), input(2, { name: 'right' })]
    const [hidden, embedding] = [dense(32, { activation: 'relu' }), dense(2)]
    const net = model([left, right], euclideanDistance(embedding(hidden(left)), embedding(hidden(right))), { executor })
    const pairs = points.map((_, i) => (7 * i + 3) % 60)
    const x = { left: points, right: pairs.map((j) => points[j]) }
    const y = pairs.map((j, i) => Number(places[i] < 3 === places[j] < 3))
    await net.fit({ x, y }, { loss: losses.contrastive(), optimizer: adam({ learningRate: 0.01 }), epochs: 150, batchSize: 20 })
    const found = (await net.predict(x)).data
    expect(y.filter((similar, i) => similar === Number(found[i] < 0.5)).length).toBeGreaterThanOrEqual(57)
  })

  const random = new RandomStream(5, Purpose.sample)
  const uniform = Array.from({ length: 2000 }, () => random.uniform())
  const anywhere = uniform.map(() => [1])

  it('quantiles of what is uniform are where they should be', async () => {
    const net = sequential([input(1), dense(3, { useBias: false })], { executor })
    const loss = losses.quantile({ quantile: [0.1, 0.5, 0.9] })
    await net.fit({ x: anywhere, y: uniform }, { loss, optimizer: adam({ learningRate: (epoch) => 0.05 * 0.8 ** epoch }), epochs: 20 })
    const sorted = [...uniform].sort((a, b) => a - b)
    ;[...(await net.predict([[1]])).data].forEach((value, i) => {
      expect(Math.abs(value - sorted[[200, 1000, 1800][i]])).toBeLessThan(0.02)
    })
  })

  it('the mean and variance of what is uniform are 1/2 and 1/12', async () => {
    const net = sequential([input(1), dense(2, { useBias: false })], { executor })
    const options = { optimizer: adam({ learningRate: (epoch: number) => 0.05 * 0.8 ** epoch }), epochs: 20 }
    await net.fit({ x: anywhere, y: uniform }, { loss: 'gaussianNegativeLogLikelihood', ...options })
    const [mean, logVariance] = (await net.predict([[1]])).data
    expect(Math.abs(mean - 1 / 2)).toBeLessThan(0.02)
    expect(Math.abs(Math.exp(logVariance) * 12 - 1)).toBeLessThan(0.1)
  })
})
