/** Averages of weights: what sees them, when they begin, and what becomes of them. */
import { describe, expect, it } from 'vitest'
import {
  averageWeights,
  type FitOptions,
  input,
  log,
  multiply,
  type Optimizer,
  perGroup,
  sequential,
  sgd,
  sum,
  type Tensor,
} from '../../../src/index.ts'
import { executors, expectRefusal, hasBegun, scaledError, stepsOf, stepsWith } from '../../training/support.ts'
import { boundedBy, expectClose, gradients, inOrder, momentum, scaledNet, squareLoss, twoParts, width } from './wrapping.ts'

describe.each(executors)('averageWeights, on the %s executor', (executor) => {
  const make = (size?: number) => scaledNet(executor, size)

  /** x = [1] with sumLoss: each step takes the rate off the weight. */
  const steady = { x: [[1]], y: [[0]] }
  const rate = 2 ** -6
  const averaged = (optimizer: Optimizer = sgd({ learningRate: rate })) => averageWeights(optimizer, { decay: 1 })
  /** The mean of the weights after 1 … n steps from `start`. */
  const meanAfter = (n: number, start = 1) => start - (rate * (n + 1)) / 2

  it('is what validation, callbacks and the next run see, while training goes on with its own weights', async () => {
    const data = { x: gradients, y: gradients }
    const seen: number[][] = []
    const losses: number[] = []
    const net = make()
    const optimizer = averageWeights(momentum(), { decay: 0.8 })
    const options: FitOptions = {
      ...inOrder,
      optimizer,
      epochs: 3,
      validationData: { x: gradients.slice(0, 1), y: gradients.slice(0, 1) },
      onEpochEnd: (_, values) => {
        losses.push(values.validationLoss)
        seen.push([...net.weights().p.data])
      },
    }
    await net.fit(data, options)
    await net.fit(data, options)
    const [raw, velocity, average] = [1, 0, 1].map((value) => new Array<number>(width).fill(value))
    const expected: number[][] = []
    let count = 0
    for (let epoch = 0; epoch < 6; epoch++) {
      for (const gradient of gradients) {
        count = 1 + 0.8 * count
        gradient.forEach((g, i) => {
          velocity[i] = 0.9 * velocity[i] + Math.fround(g)
          raw[i] -= 0.1 * velocity[i]
          average[i] += (raw[i] - average[i]) / count
        })
      }
      expected.push([...average])
    }
    // 42 steps, each of which rounds the weight and the average, of at most 20.
    expectClose(seen, expected, 3e-6)
    losses.forEach((loss, epoch) => {
      const byHand = gradients[0].reduce((total, x, i) => total + x * seen[epoch][i], 0)
      expect(Math.abs(loss - byHand)).toBeLessThan(1e-5)
    })
    expect([...net.weights().p.data]).toEqual(seen[5])
  })

  it('stands in the model after an aborted run', async () => {
    const net = make(1)
    const x = new Array(40).fill([1])
    const optimizer = averaged()
    const events = net.train({ x, y: x }, { ...inOrder, optimizer, epochs: 1000 })
    for await (const { epoch } of events) if (epoch === 2) break
    const n = stepsOf(net)
    expect(n).toBeGreaterThanOrEqual(80)
    // Up to 60000 steps of 2^-6, and a mean whose weights are 1/n.
    expect(scaledError([...net.weights().p.data], [meanAfter(n)])).toBeLessThan(1e-5)
    await net.fit(steady, { ...inOrder, optimizer })
    expect(scaledError([...net.weights().p.data], [meanAfter(n + 1)])).toBeLessThan(1e-5)
  })

  it('stands in the model after NaN, and the run after it goes on with its own weights', async () => {
    const net = make(1)
    const optimizer = averaged()
    const loss = (y: Tensor) => sum(multiply(y, log(y)), { axes: [-1] })
    await expectRefusal(
      () => net.fit({ x: [[1], [1], [-1], [1]], y: [[0], [0], [0], [0]] }, { ...inOrder, loss, optimizer }),
      'ERR_NON_FINITE',
      'NaN began in step 2',
      'log(',
    )
    const raw = [1]
    for (let i = 0; i < 3; i++) raw.push(raw[i] - rate * (Math.log(raw[i]) + 1))
    expect(scaledError([...net.weights().p.data], [(raw[1] + raw[2]) / 2])).toBeLessThan(3e-7)
    await net.fit(steady, { ...inOrder, loss, optimizer })
    expect(scaledError([...net.weights().p.data], [(raw[1] + raw[2] + raw[3]) / 3])).toBeLessThan(3e-7)
  })

  it('is what early stopping restores', async () => {
    const net = make(1)
    const seen: number[][] = []
    const onEpochEnd = () => void seen.push([...net.weights().p.data])
    const optimizer = averageWeights(sgd({ learningRate: 0.9 }), { decay: 0.5 })
    const { bestEpoch, epochs } = await net.fit(steady, {
      loss: squareLoss,
      optimizer,
      epochs: 50,
      validationData: { x: [[1]], y: [[0]] },
      earlyStopping: { patience: 3, minDelta: 0.01 },
      onEpochEnd,
    })
    expect(epochs.length).toBe((bestEpoch as number) + 4)
    expect([...net.weights().p.data]).toEqual(seen[bestEpoch as number])
    expect(seen[bestEpoch as number]).not.toEqual(seen[seen.length - 1])
    // The next run trains on from there: w - 0.9 · 2 w, in an average of as many steps as there were and one.
    const [best] = seen[bestEpoch as number]
    await net.fit(steady, { loss: squareLoss, optimizer })
    const n = 2 - 2 * 0.5 ** (epochs.length + 1)
    expect(scaledError([...net.weights().p.data], [best - (1.8 * best) / n])).toBeLessThan(1e-6)
  })

  it('lets predictions that wait for an epoch see averages', async () => {
    const net = make(1)
    const x = new Array(500).fill([1])
    const running = net.fit({ x, y: x }, { ...inOrder, optimizer: averaged(), epochs: 3, onEpochEnd: () => {} })
    await hasBegun()
    const seen = (await net.predict([[1]])).data[0]
    await running
    const possible = [0, 500, 1000, 1500].map((steps) => (steps === 0 ? 1 : meanAfter(steps)))
    expect(Math.min(...possible.map((each) => Math.abs(each - seen)))).toBeLessThan(1e-4)
  })

  it('trains on from weights that have been set, and so does another optimizer from the averages', async () => {
    const net = make(1)
    const optimizer = averaged()
    await net.fit(steady, { ...inOrder, optimizer, epochs: 3 })
    expect([...net.weights().p.data]).toEqual([meanAfter(3)])
    net.setWeights({ p: [5] })
    await net.fit(steady, { ...inOrder, optimizer })
    // Of 4 steps, the average of the first 3 is what has been set.
    expect([...net.weights().p.data]).toEqual([5 - rate / 4])
    await net.fit(steady, { ...inOrder, optimizer })
    expect(scaledError([...net.weights().p.data], [5 - rate / 4 + (-2 * rate + rate / 4) / 5])).toBeLessThan(2e-7)
    const before = net.weights().p.data[0]
    await net.fit(steady, { ...inOrder, optimizer: sgd({ learningRate: rate }) })
    expect(net.weights().p.data[0]).toBe(Math.fround(before - rate))
    net.initialize()
    await net.fit(steady, { ...inOrder, optimizer, epochs: 2 })
    expect([...net.weights().p.data]).toEqual([meanAfter(2)])
  })

  it('may be of one group alone', async () => {
    const net = sequential([input(2), twoParts(1, 1)], { executor })
    const optimizer = perGroup([{ parameters: 'p', optimizer: averaged() }, { optimizer: sgd({ learningRate: rate }) }])
    for (const fit of [1, 2]) {
      await net.fit({ x: [[1, 1]], y: [[0, 0]] }, { ...inOrder, optimizer, epochs: 2 })
      expect([...net.weights().p.data, ...net.weights().q.data]).toEqual([meanAfter(2 * fit), 1 - 2 * fit * rate])
    }
  })

  it('is of constrained weights', async () => {
    const net = sequential([input(1), boundedBy(1, 1.5)], { executor })
    const steps = await stepsWith(net, averageWeights(sgd({ learningRate: 0.25 }), { decay: 1 }), new Array(4).fill([-1]))
    expect(steps.flat()).toEqual([1.25, 1.375, Math.fround(1.375 + Math.fround(0.125 / 3)), 1.4375])
  })
})
