/** Optimizers against plain loops in double precision, over five steps of different gradients. */
import { describe, expect, it } from 'vitest'
import { type AdamWOptions, adam, adamW, dense, input, type Optimizer, ones, type SgdOptions, sequential, sgd } from '../../src/index.ts'
import { bitsOf, executors, expectRefusal, oneHotRows, rows, scaledBy, scaledError, stepsWith, sumLoss } from '../training/support.ts'

/** Not a multiple of any vector width. */
const width = 37
const gradients = rows(5, width, 1)

/** v = momentum v + d; p -= rate v, or with nesterov rate (d + momentum v), where d = g + weightDecay p. */
function plainSgd({ learningRate = 0.01, momentum = 0, nesterov = false, weightDecay = 0 }: SgdOptions): number[][] {
  const p = new Array<number>(width).fill(1)
  const v = new Array<number>(width).fill(0)
  return gradients.map((gradient) => {
    gradient.forEach((g, i) => {
      const d = Math.fround(g) + weightDecay * p[i]
      v[i] = momentum * v[i] + d
      p[i] -= Number(learningRate) * (nesterov ? d + momentum * v[i] : v[i])
    })
    return [...p]
  })
}

/** m̂ = m / (1 - β1^t), v̂ = v / (1 - β2^t); p -= rate (m̂ / (√v̂ + ε) + weightDecay p). */
function plainAdam({ learningRate = 0.001, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-7, weightDecay = 0 }: AdamWOptions): number[][] {
  const p = new Array<number>(width).fill(1)
  const m = new Array<number>(width).fill(0)
  const v = new Array<number>(width).fill(0)
  return gradients.map((gradient, step) => {
    gradient.forEach((value, i) => {
      const g = Math.fround(value)
      m[i] = beta1 * m[i] + (1 - beta1) * g
      v[i] = beta2 * v[i] + (1 - beta2) * g * g
      const corrected = m[i] / (1 - beta1 ** (step + 1)) / (Math.sqrt(v[i] / (1 - beta2 ** (step + 1))) + epsilon)
      p[i] -= Number(learningRate) * (corrected + weightDecay * p[i])
    })
    return [...p]
  })
}

const cases: [name: string, optimizer: () => Optimizer, expected: number[][]][] = [
  ...[
    {},
    { learningRate: 0.3 },
    { learningRate: 0.1, momentum: 0.9 },
    { learningRate: 0.1, momentum: 0.9, nesterov: true },
    { learningRate: 0.1, momentum: 0.5, nesterov: true, weightDecay: 0.2 },
    { learningRate: 0.1, weightDecay: 0.2 },
    { learningRate: 0 },
  ].map((options): [string, () => Optimizer, number[][]] => [`sgd ${JSON.stringify(options)}`, () => sgd(options), plainSgd(options)]),
  ...[{}, { learningRate: 0.1 }, { learningRate: 0.1, beta1: 0.5, beta2: 0.9, epsilon: 0.1 }, { beta1: 0, beta2: 0 }].map(
    (options): [string, () => Optimizer, number[][]] => [`adam ${JSON.stringify(options)}`, () => adam(options), plainAdam(options)],
  ),
  ...[{}, { learningRate: 0.1, weightDecay: 0.3 }, { learningRate: 0.1, weightDecay: 0 }].map(
    (options): [string, () => Optimizer, number[][]] => [
      `adamW ${JSON.stringify(options)}`,
      () => adamW(options),
      plainAdam({ weightDecay: 0.004, ...options }),
    ],
  ),
]

describe.each(executors)('on the %s executor', (executor) => {
  const make = () => sequential([input(width), scaledBy(width)], { executor })

  it.each(cases)('%s', async (_, optimizer, expected) => {
    const actual = await stepsWith(make(), optimizer(), gradients)
    expect(actual.length).toBe(5)
    // Each step rounds the parameter, of about 1, and the change.
    actual.forEach((row, step) => expect(scaledError(row, expected[step]), `step ${step}`).toBeLessThan(5e-7))
  })

  it.each(['sgd', 'adam', 'adamW'] as const)('%s by name has the defaults', async (name) => {
    const byName = make()
    const byCall = make()
    const data = { x: gradients, y: gradients }
    await byName.fit(data, { loss: sumLoss, optimizer: name })
    await byCall.fit(data, { loss: sumLoss, optimizer: { sgd, adam, adamW }[name]() })
    expect(bitsOf(byName)).toEqual(bitsOf(byCall))
    expect(new Set(byName.weights().p.data)).not.toEqual(new Set([1]))
  })

  it('adam is the default', async () => {
    const [net, twin] = [make(), make()]
    await net.fit({ x: gradients, y: gradients }, { loss: sumLoss })
    await twin.fit({ x: gradients, y: gradients }, { loss: sumLoss, optimizer: adam() })
    expect(bitsOf(net)).toEqual(bitsOf(twin))
  })

  it.each([
    ['sgd with momentum', () => sgd({ momentum: 0.9 })],
    ['adam', () => adam()],
  ])('%s carries its moments on, run after run, and a new one starts without', async (_, optimizer) => {
    const data = { x: gradients, y: gradients }
    const options = { loss: sumLoss, batchSize: 1, shuffle: false }
    const [whole, parts, renewed] = [make(), make(), make()]
    await whole.fit(data, { ...options, optimizer: optimizer(), epochs: 2 })
    const kept = optimizer()
    for (let run = 0; run < 2; run++) {
      await parts.fit(data, { ...options, optimizer: kept })
      await renewed.fit(data, { ...options, optimizer: optimizer() })
    }
    expect(bitsOf(parts)).toEqual(bitsOf(whole))
    expect(bitsOf(renewed)).not.toEqual(bitsOf(whole))
  })

  it('adam that is new to a trained model corrects its bias from its own first step', async () => {
    const net = make()
    const data = { x: gradients.slice(0, 1), y: gradients.slice(0, 1) }
    await net.fit(data, { loss: sumLoss, optimizer: adam(), epochs: 300 })
    const before = [...net.weights().p.data]
    await net.fit(data, { loss: sumLoss, optimizer: adam({ learningRate: 0.01 }) })
    // The first step of Adam goes by the learning rate, whatever the size of the gradient.
    const steps = net.weights().p.data.map((value, i) => Math.abs(value - before[i]))
    expect(
      scaledError(
        steps,
        steps.map(() => 0.01),
      ),
    ).toBeLessThan(1e-4)
  })

  it('keeps its moments through a call that is refused, with another optimizer too', async () => {
    const data = { x: gradients, y: gradients }
    const options = { loss: sumLoss, batchSize: 1, shuffle: false }
    const [net, twin] = [make(), make()]
    const [mine, theirs] = [adam(), adam()]
    await net.fit(data, { ...options, optimizer: mine })
    await twin.fit(data, { ...options, optimizer: theirs })
    await expectRefusal(() => net.fit({ x: [[Number.NaN]], y: [[0]] }, { ...options, optimizer: sgd() }), 'ERR_DATA', 'fit')
    await net.fit(data, { ...options, optimizer: mine })
    await twin.fit(data, { ...options, optimizer: theirs })
    expect(bitsOf(net)).toEqual(bitsOf(twin))
  })

  it('one optimizer object may serve two models', async () => {
    const [net, twin] = [make(), make()]
    const shared = adam()
    await net.fit({ x: gradients, y: gradients }, { loss: sumLoss, optimizer: shared })
    await twin.fit({ x: gradients, y: gradients }, { loss: sumLoss, optimizer: shared })
    expect(bitsOf(net)).toEqual(bitsOf(twin))
  })

  it('the learning rate may be a function of the epoch', async () => {
    const net = sequential([input(1), scaledBy(1)], { executor })
    const asked: number[] = []
    const learningRate = (epoch: number) => {
      asked.push(epoch)
      return [0.5, 0.25, 0.125][epoch]
    }
    const seen: number[] = []
    await net.fit(
      { x: [[1]], y: [[0]] },
      {
        loss: sumLoss,
        optimizer: sgd({ learningRate }),
        epochs: 3,
        onEpochEnd: () => {
          seen.push(net.weights().p.data[0])
        },
      },
    )
    expect(asked).toEqual([0, 1, 2])
    expect(seen).toEqual([0.5, 0.25, 0.125])
  })

  it('leaves alone what the loss does not depend on, but for weight decay', async () => {
    const data = { x: oneHotRows(4).slice(0, 2), y: [[1], [2]] }
    const make = () => sequential([input(4), dense(1, { useBias: false, kernelInitializer: ones })], { executor })
    const untouched = async (optimizer: Optimizer) => {
      const net = make()
      await net.fit(data, { loss: 'meanSquaredError', optimizer })
      return [...net.weights()['dense_1.kernel'].data].slice(2)
    }
    expect(await untouched(sgd({ momentum: 0.9 }))).toEqual([1, 1])
    expect(await untouched(adam())).toEqual([1, 1])
    expect(scaledError(await untouched(adamW({ learningRate: 0.1, weightDecay: 0.5 })), [0.95, 0.95])).toBeLessThan(1e-7)
    expect(scaledError(await untouched(sgd({ learningRate: 0.1, weightDecay: 0.5 })), [0.95, 0.95])).toBeLessThan(1e-7)
  })
})

// biome-ignore lint/suspicious/noExplicitAny: what a caller without types can do.
const any = (value: unknown): any => value

type Refusal = readonly [what: string, call: () => unknown, ...parts: string[]]
const refusals: Refusal[] = [
  ['a negative learning rate', () => sgd({ learningRate: -0.1 }), 'sgd: learningRate must be a number of at least 0', 'got -0.1'],
  ['a learning rate of NaN', () => adam({ learningRate: Number.NaN }), 'adam: learningRate', 'got NaN'],
  ['an infinite learning rate', () => adam({ learningRate: Number.POSITIVE_INFINITY }), 'below 3.402823', 'got Infinity'],
  ['a learning rate that float32 does not hold', () => sgd({ learningRate: 3.41e38 }), 'below 3.402823', 'got 3.41e+38'],
  ['a learning rate as text', () => adamW({ learningRate: any('1e-3') }), 'adamW: learningRate', 'got "1e-3"'],
  ['a learning rate of null', () => sgd({ learningRate: any(null) }), 'sgd: learningRate', 'got null'],
  [
    'a misspelt learning rate',
    () => adam(any({ learningrate: 1 })),
    'Unknown option "learningrate" for adam',
    'did you mean "learningRate"?',
  ],
  ['lr for adam', () => adam(any({ lr: 1 })), 'Unknown option "lr" for adam; did you mean "learningRate"?'],
  ['lr for sgd', () => sgd(any({ lr: 1 })), 'Unknown option "lr" for sgd; did you mean "learningRate"?'],
  [
    'an option of another optimizer',
    () => adam(any({ momentum: 0.9 })),
    '"momentum" for adam',
    'known are learningRate, beta1, beta2, epsilon',
  ],
  ['decay that only adamW has', () => adam(any({ weightDecay: 0.1 })), 'Unknown option "weightDecay" for adam'],
  ['a number in place of options', () => sgd(any(0.1)), 'sgd: options must be an object, got 0.1'],
  ['momentum of 1', () => sgd({ momentum: 1 }), 'momentum must be a number of at least 0 and below 1, got 1'],
  ['negative momentum', () => sgd({ momentum: -0.5 }), 'got -0.5'],
  ['nesterov without momentum', () => sgd({ nesterov: true }), 'nesterov needs a momentum above 0', 'try momentum 0.9'],
  ['nesterov as text', () => sgd({ momentum: 0.9, nesterov: any('yes') }), 'nesterov must be true or false, got "yes"'],
  ['negative decay', () => sgd({ weightDecay: -1 }), 'sgd: weightDecay must be a number of at least 0', 'got -1'],
  ['beta1 of 1', () => adam({ beta1: 1 }), 'adam: beta1', 'below 1, got 1'],
  ['beta2 of 1.5', () => adamW({ beta2: 1.5 }), 'adamW: beta2', 'got 1.5'],
  ['a negative epsilon', () => adam({ epsilon: -1e-8 }), 'adam: epsilon', 'got -1e-8'],
  ['infinite decay', () => adamW({ weightDecay: Number.POSITIVE_INFINITY }), 'adamW: weightDecay', 'got Infinity'],
]

it.each(refusals.map((refusal) => [refusal[0], refusal] as const))('refuses %s', async (_, [, call, ...parts]) => {
  await expectRefusal(call, 'ERR_OPTION', ...parts)
})
