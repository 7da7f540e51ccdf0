/** Optimizers against PyTorch's numbers and plain loops in double precision, over steps of different gradients. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import {
  type AdafactorOptions,
  adadelta,
  adafactor,
  adagrad,
  adam,
  adamax,
  adamW,
  add,
  assignAll,
  clipGradients,
  customTraining,
  dense,
  ftrl,
  input,
  lamb,
  lion,
  mean,
  multiply,
  nadam,
  type Optimizer,
  ones,
  type ParameterFilter,
  parameter,
  perGroup,
  radam,
  rmsprop,
  rprop,
  sequential,
  sgd,
  subtract,
  sum,
} from '../../../src/index.ts'
import { biasCorrection } from '../../../src/optim/formulas.ts'
import { stepOf } from '../../../src/train/minimization.ts'
import { Objective } from '../../../src/train/objective.ts'
import { Trainer } from '../../../src/train/trainer.ts'
import { any } from '../../any.ts'
import {
  bitsOf,
  type ExecutorName,
  executors,
  expectRefusal,
  numbers,
  oneHotRows,
  rows,
  scaledBy,
  scaledError,
  stepsWith,
  sumLoss,
} from '../../training/support.ts'
import { evaluate, holding } from '../values.ts'
import { gradients, plainAdafactor, plainAdam, plainFtrl, plainLamb, plainLion, plainRmsprop, plainSgd, width } from './plainOptimizers.ts'

const all = { adadelta, adafactor, adagrad, adam, adamax, adamW, ftrl, lamb, lion, nadam, radam, rmsprop, rprop, sgd }
type Name = keyof typeof all
const names = Object.keys(all) as Name[]

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
  ...[
    {},
    { learningRate: 0.1 },
    { learningRate: 0.1, beta1: 0.5, beta2: 0.9, epsilon: 0.1 },
    { beta1: 0, beta2: 0 },
    { learningRate: 0.1, epsilon: 0.1, epsilonHat: true },
  ].map((options): [string, () => Optimizer, number[][]] => [`adam ${JSON.stringify(options)}`, () => adam(options), plainAdam(options)]),
  ...[{}, { learningRate: 0.1, weightDecay: 0.3 }, { learningRate: 0.1, weightDecay: 0 }].map(
    (options): [string, () => Optimizer, number[][]] => [
      `adamW ${JSON.stringify(options)}`,
      () => adamW(options),
      plainAdam({ weightDecay: 0.004, ...options }),
    ],
  ),
  ...plain(rmsprop, plainRmsprop, {}, { learningRate: 0.1, rho: 0.5, epsilon: 0.01, centered: true, momentum: 0.8, weightDecay: 0.3 }),
  ...plain(lion, plainLion, {}, { learningRate: 0.1, beta1: 0.7, beta2: 0.5, weightDecay: 0.3 }),
  ...plain(lamb, plainLamb, {}, { learningRate: 0.1, beta1: 0.5, beta2: 0.9, epsilon: 0.1, weightDecay: 0.3 }),
  ...plain(
    ftrl,
    plainFtrl,
    {},
    { learningRate: 0.5, learningRatePower: -0.3, initialAccumulator: 0.5, l1Regularization: 0.3, l2Regularization: 0.2 },
    { learningRate: 0.5, initialAccumulator: 0, l2Shrinkage: 0.1, beta: 1 },
  ),
  ...plain(
    adafactor,
    (options: AdafactorOptions) => plainAdafactor(options, gradients),
    {},
    { learningRate: 0.5, beta2Decay: -0.5, epsilon1: 0.01, epsilon2: 2, clipThreshold: 0.5 },
    { learningRate: 0.8, relativeStep: false, weightDecay: 0.3 },
  ),
]

function plain<Options extends object>(
  optimizer: (options: Options) => Optimizer,
  loop: (options: Options) => number[][],
  ...choices: Options[]
): [string, () => Optimizer, number[][]][] {
  return choices.map((options) => [`${optimizer.name} ${JSON.stringify(options)}`, () => optimizer(options), loop(options)])
}

interface Golden {
  readonly kept: readonly number[]
  readonly gradients: readonly (readonly number[])[]
  readonly cases: readonly { readonly name: Name; readonly options: object; readonly rows: readonly (readonly number[])[] }[]
}
const golden: Golden = JSON.parse(readFileSync(new URL('../../golden/outside/optimizers.json', import.meta.url), 'utf8'))

/** What an optimizer remembers after steps by these gradients, by the names of its slots. */
async function slotsAfter(optimizer: Optimizer, steps: readonly (readonly number[])[], executor: ExecutorName) {
  const net = sequential([input(steps[0].length), scaledBy(steps[0].length)], { executor })
  const trainer = new Trainer(stepOf(net, new Objective('fit', net, { loss: sumLoss }), optimizer))
  trainer.setLearningRates(optimizer.learningRates.map(Number))
  const session = trainer.session(1)
  const [x, y] = Object.keys(session.plan.inputs)
  const feeds = [
    { input: x, values: Float32Array.from(steps.flat()) },
    { input: y, values: new Float32Array(steps.length * steps[0].length) },
  ]
  const { stopped } = await session.run({ steps: steps.length, feeds, record: [] })
  expect(stopped).toBe(null)
  const kept = session.plan.tensors.filter(({ block }) => block.startsWith('slots/'))
  return Object.fromEntries(kept.map((tensor) => [tensor.block.slice('slots/'.length), [...session.arena.view(tensor)]]))
}

const trainingStep = (optimizer: Optimizer) => {
  const net = sequential([input(7), dense(5, { activation: 'tanh' }), dense(3)])
  return net.trainingPlan(4, { loss: 'meanSquaredError', optimizer })
}

describe.each(executors)('on the %s executor', (executor) => {
  const make = () => sequential([input(width), scaledBy(width)], { executor })

  it.each(cases)('%s', async (_, optimizer, expected) => {
    const actual = await stepsWith(make(), optimizer(), gradients)
    expect(actual.length).toBe(5)
    // Each step rounds the parameter, of about 1, and the change.
    actual.forEach((row, step) => expect(scaledError(row, expected[step]), `step ${step}`).toBeLessThan(5e-7))
  })

  it.each(golden.cases.map((each) => [each.name, JSON.stringify(each.options), each] as const))(
    '%s %s as in PyTorch',
    async (name, _, { options, rows: expected }) => {
      const net = sequential([input(golden.gradients[0].length), scaledBy(golden.gradients[0].length)], { executor })
      const actual = await stepsWith(net, all[name](options), golden.gradients)
      golden.kept.forEach((step, k) => {
        expected[k].forEach((value, i) => {
          // Twelve steps round parameters, of about 1, twelve times: 7e-7; where gradients are 1e15 they are themselves rounded.
          expect(Math.abs(actual[step][i] - value) / Math.max(1, Math.abs(value)), `step ${step}, element ${i}`).toBeLessThan(1e-6)
        })
      })
    },
  )

  it.each([
    [[7, 5], {}],
    [[7, 5], { learningRate: 0.5, epsilon1: 0.01, clipThreshold: 0.5, weightDecay: 0.1 }],
    // The same matrix with an axis before it.
    [[1, 7, 5], {}],
  ])('adafactor of shape %j, %j', async (shape, options) => {
    const [height, columns] = shape.slice(-2)
    const steps = rows(5, height * columns, 3)
    // A row and a column without gradients.
    for (const step of steps) for (let i = 0; i < step.length; i++) if (i < columns || i % columns === 2) step[i] = 0
    const p = parameter('p', shape, ones)
    const net = sequential([input([height, columns]), (x) => sum(multiply(x, p), { axes: [1] })], { executor })
    const expected = plainAdafactor(options, steps, columns)
    const optimizer = adafactor(options)
    for (const [i, step] of steps.entries()) {
      const x = [Array.from({ length: height }, (_, row) => step.slice(row * columns, (row + 1) * columns))]
      await net.fit({ x, y: [new Array(columns).fill(0)] }, { loss: sumLoss, optimizer })
      expect(scaledError(net.weights().p.data, expected[i]), `step ${i}`).toBeLessThan(5e-7)
    }
  })

  it.each(names)('%s by name has the defaults', async (name) => {
    const byName = make()
    const byCall = make()
    const data = { x: gradients, y: gradients }
    await byName.fit(data, { loss: sumLoss, optimizer: name })
    await byCall.fit(data, { loss: sumLoss, optimizer: all[name]() })
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
    ...names.filter((name) => name !== 'sgd').map((name) => [name, all[name]] as const),
    ['sgd with momentum', () => sgd({ momentum: 0.9 })] as const,
    ['rmsprop with everything', () => rmsprop({ momentum: 0.9, centered: true })] as const,
    ['adam with amsgrad', () => adam({ beta2: 0.5, amsgrad: true })] as const,
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

  // What remains of each moment 4000 steps after the last gradient, where no epsilon or the like holds it up.
  it.each([
    ['sgd', { velocity: 0 }, sgd({ momentum: 0.9 })],
    ['adam', { mean: 0, square: 0 }, adam({ beta2: 0.9 })],
    ['adam with amsgrad', { mean: 0, square: 0 }, adam({ beta2: 0.9, amsgrad: true })],
    ['adamax', { mean: 0, largest: 0 }, adamax({ beta2: 0.9 })],
    ['nadam', { mean: 0, square: 0 }, nadam({ beta2: 0.9 })],
    ['radam', { mean: 0, square: 0 }, radam({ beta2: 0.9 })],
    ['rmsprop', { mean: 0, square: 0, velocity: 0 }, rmsprop({ centered: true, momentum: 0.9 })],
    ['adadelta', { square: 0, change: 0 }, adadelta({ rho: 0.9 })],
    ['lamb', { mean: 0, square: 0 }, lamb({ beta2: 0.9 })],
    ['lion', { mean: 0 }, lion({ beta2: 0.9 })],
  ] as const)('%s leaves no denormals behind', async (_, expected, optimizer) => {
    const steps = [[1, -0.3, 1e-20], ...Array.from({ length: 4000 }, () => [0, 0, 0])]
    const slots = await slotsAfter(optimizer, steps, executor)
    for (const [name, value] of Object.entries(expected)) expect(slots[name].map(Math.abs), name).toEqual([value, value, value])
    // The same gradients do leave something when they have just been.
    const before = await slotsAfter(optimizer, steps.slice(0, 2), executor)
    for (const name of Object.keys(expected)) expect(Math.abs(before[name][0]), name).toBeGreaterThan(0)
  })

  it.each(names)('%s stays finite where there are no gradients, or tiny or large ones', async (name) => {
    const steps = [[0, 1e-30, 1e-20, 1e15], ...rows(20, 4, 5).map((row) => row.map((value, i) => [0, 1e-30, 1e-20, 1e15][i] * value))]
    const net = sequential([input(4), scaledBy(4)], { executor })
    for (const row of await stepsWith(net, all[name](), steps)) expect(row.every(Number.isFinite), row.join(' ')).toBe(true)
  })

  it.each(names)('%s leaves alone what lies between parameters', async (name) => {
    const net = sequential([input(3), dense(5), dense(2)], { executor })
    const trainer = new Trainer(stepOf(net, new Objective('fit', net, { loss: 'meanSquaredError' }), all[name]()))
    trainer.setLearningRates([0.01])
    const session = trainer.session(4)
    const [x, y] = Object.keys(session.plan.inputs)
    const feeds = [
      { input: x, values: Float32Array.from(numbers(12)) },
      { input: y, values: Float32Array.from(numbers(8, 1)) },
    ]
    for (let run = 0; run < 3; run++) await session.run({ steps: 1, feeds, record: [] })
    const { buffer, byteOffset, byteLength } = session.arena.region('parameters')
    const block = [...new Float32Array(buffer, byteOffset, byteLength / 4)]
    // Those of the two layers, and nothing else.
    expect(block.filter((value) => value !== 0).length).toBe(3 * 5 + 5 + 5 * 2 + 2)
    expect(block.length).toBeGreaterThan(3 * 5 + 5 + 5 * 2 + 2)
  })

  it('ftrl may begin with nothing', async () => {
    const net = sequential([input(2), scaledBy(2)], { executor })
    const [, last] = await stepsWith(net, ftrl({ initialAccumulator: 0, learningRate: 0.5 }), [
      [0, 0],
      [0, 1],
    ])
    // z = 1, n = 1, and the parameters were 0 after the first step.
    expect(last).toEqual([0, -0.5])
  })

  it('radam knows how far to trust the mean of squares, early and late', async () => {
    // Constant gradients of 1: m and v are 1 once their bias is corrected, so that a step is the share that v is trusted with.
    const share = (t: number) => {
      const rho = 1999 - (2 * t * 0.999 ** t) / (1 - 0.999 ** t)
      return rho > 5 ? Math.sqrt(((rho - 4) * (rho - 2) * 1999) / ((1999 - 4) * (1999 - 2) * rho)) : 1
    }
    const looked = [1, 5, 6, 7, 50, 1000, 3990, 4010, 6000]
    const net = sequential([input(1), scaledBy(1)], { executor })
    let last = 1
    const steps: number[] = []
    await net.fit(
      { x: [[1]], y: [[0]] },
      {
        loss: sumLoss,
        optimizer: radam({ beta1: 0, learningRate: (epoch) => (looked.includes(epoch + 1) ? 1 : 0) }),
        epochs: 6000,
        onEpochEnd: (epoch) => {
          if (!looked.includes(epoch + 1)) return
          const [p] = net.weights().p.data
          steps.push(last - p)
          last = p
        },
      },
    )
    // v is off by the roundings of a thousand steps; in the first ones, where ρ is a small difference of large numbers, it is exact.
    looked.forEach((t, i) => expect(Math.abs(steps[i] / share(t) - 1), `step ${t}`).toBeLessThan(t < 100 ? 3e-5 : 1e-4))
  })

  it('ftrl without a learning rate waits', async () => {
    const net = make()
    await net.fit({ x: gradients, y: gradients }, { loss: sumLoss, optimizer: ftrl({ learningRate: 0 }) })
    expect(new Set(net.weights().p.data)).toEqual(new Set([1]))
  })

  it('ftrl makes parameters 0 where λ1 outweighs their gradients', async () => {
    const net = make()
    await net.fit(
      { x: gradients, y: gradients },
      { loss: sumLoss, optimizer: ftrl({ learningRate: 0.1, l1Regularization: 20 }), batchSize: 1 },
    )
    expect(new Set([...net.weights().p.data].map(Math.abs))).toEqual(new Set([0]))
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

it('corrections of bias have all the digits of float32, in early and late steps', () => {
  const steps = [0, 1, 2, 9, 99, 999, 9999, 99_999, 1e6]
  for (const beta of [0.5, 0.9, 0.99, 0.999, 0.9999]) {
    const [actual] = evaluate([biasCorrection(beta, holding([steps.length], steps, { dtype: 'int32' }))], { precision: 'float32' })
    steps.forEach((step, i) => {
      const expected = -Math.expm1((step + 1) * Math.log(beta))
      // ln β is rounded, tanh, and each of four operations.
      expect(Math.abs(actual[i] / expected - 1), `β ${beta}, step ${step}`).toBeLessThan(4e-7)
    })
  }
})

describe('in the plan', () => {
  const updatesOf = (optimizer: Optimizer) => {
    const { instructions, tensors } = trainingStep(optimizer)
    const writes = (block: string) => instructions.filter(({ outputs }) => outputs.some((output) => tensors[output].block === block))
    return {
      passes: writes('parameters'),
      isLarge: instructions.filter(({ phase, inputs }) => phase === 'update' && inputs.some((i) => tensors[i].shape[0] > 3)),
    }
  }

  it.each([
    ...names.filter((name) => name !== 'adafactor' && name !== 'lamb').map((name) => [name, all[name]()] as const),
    ['adam with L2 decay', adam({ weightDecay: 0.1 })] as const,
    ['adam with amsgrad', adam({ amsgrad: true })] as const,
    ['rmsprop with everything', rmsprop({ centered: true, momentum: 0.9, weightDecay: 0.1 })] as const,
    ['adamW with everything', adamW({ amsgrad: true, epsilonHat: true })] as const,
  ])('%s is one pass over all parameters', (_, optimizer) => {
    const { passes, isLarge } = updatesOf(optimizer)
    expect(passes.length).toBe(1)
    // Beside it only checkFinite goes through arrays.
    expect(isLarge.map(({ op }) => op)).toEqual(['checkFinite', passes[0].op])
  })

  it('lamb is one pass over all, and then two norms and an update for each', () => {
    const ops = updatesOf(lamb()).isLarge.map(({ op }) => op)
    expect(ops[1]).toBe('update')
    expect(ops.filter((op) => op === 'update').length).toBe(1 + 3)
    expect(ops.filter((op) => op === 'sumOfSquares').length).toBe(2 * 3)
  })
})

describe('excludeFromDecay', () => {
  const decaying = { adadelta, adafactor, adagrad, adam, adamax, adamW, lamb, lion, nadam, radam, rmsprop, sgd }

  it.each(Object.entries(decaying))('%s', async (_, optimizer) => {
    // In two steps: the first one of some goes by the sign of the gradient alone, whatever decay adds to it.
    const trained = async (options: object) => {
      const net = sequential([input(2), scaledBy(2)], { executor: executors[0] })
      return stepsWith(net, optimizer({ weightDecay: 0.5, ...options }), [
        [1, 2],
        [-0.3, 0.4],
      ])
    }
    const decayed = await trained({})
    expect(await trained({ excludeFromDecay: ['bias', () => false] })).toEqual(decayed)
    const excluded = await trained({ excludeFromDecay: ['bias', /^p$/] })
    expect(excluded).toEqual(await trained({ weightDecay: 0 }))
    expect(excluded).not.toEqual(decayed)
  })

  const step = (excludeFromDecay: ParameterFilter, of = (inner: Optimizer) => inner) => {
    const net = sequential([input(2), dense(3, { name: 'body' }), dense(1)])
    net.freeze('body')
    return net.fit({ x: [[1, 2]], y: [1] }, { loss: 'meanSquaredError', optimizer: of(adamW({ excludeFromDecay })) })
  }

  it('refuses names and patterns that no parameter of the model has', async () => {
    const there = 'there are body.kernel, body.bias, dense_1.kernel, dense_1.bias'
    await expectRefusal(() => step('biases'), 'ERR_OPTION', 'adamW: excludeFromDecay, "biases", chooses no parameter of the model', there)
    await expectRefusal(() => step(['gamma', /^beta/]), 'ERR_OPTION', '"gamma", /^beta/, chooses no parameter', there)
    await expectRefusal(() => step('biases', (inner) => clipGradients(inner, { norm: 1 })), 'ERR_OPTION', '"biases"', there)
    const net = sequential([input(2), dense(1)])
    const x = input(2)
    const minimize = [{ loss: mean(net.apply(x)), optimizer: adamW({ excludeFromDecay: 'biases' }) }]
    await expectRefusal(() => customTraining({ models: { net }, inputs: { x }, minimize }), 'ERR_OPTION', 'there are net.dense_1.kernel')
  })

  it('takes a list of which one part has a parameter, be it frozen or of another group, and a function that chooses none', async () => {
    await step(['gamma', 'bias'])
    await step('body')
    await step('kernel', (inner) => perGroup([{ parameters: 'bias', optimizer: inner }, { optimizer: 'sgd' }]))
    await step(() => false)
  })
})

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
  ['a number in place of options', () => sgd(any(0.1)), 'sgd: options must be an object, got 0.1'],
  ['momentum of 1', () => sgd({ momentum: 1 }), 'momentum must be a number of at least 0 and below 1, got 1'],
  ['negative momentum', () => sgd({ momentum: -0.5 }), 'got -0.5'],
  ['nesterov without momentum', () => sgd({ nesterov: true }), 'nesterov needs a momentum above 0', 'try momentum 0.9'],
  ['nesterov as text', () => sgd({ momentum: 0.9, nesterov: any('yes') }), 'nesterov must be true or false, got "yes"'],
  ['negative decay', () => sgd({ weightDecay: -1 }), 'sgd: weightDecay must be a number of at least 0', 'got -1'],
  ['beta1 of 1', () => adam({ beta1: 1 }), 'adam: beta1', 'below 1, got 1'],
  ['beta2 of 1.5', () => adamW({ beta2: 1.5 }), 'adamW: beta2', 'got 1.5'],
  ['a negative epsilon', () => adam({ epsilon: -1e-8 }), 'adam: epsilon', 'got -1e-8'],
  ['amsgrad as text', () => adam({ amsgrad: any('yes') }), 'adam: amsgrad must be true or false, got "yes"'],
  ['epsilonHat as a number', () => adamW({ epsilonHat: any(1) }), 'adamW: epsilonHat must be true or false, got 1'],
  ['a number as filter', () => adamW({ excludeFromDecay: any(3) }), 'adamW: excludeFromDecay must be', 'got 3'],
  ['options of null', () => nadam(any(null)), 'nadam: options must be an object, got null'],
  ['a negative momentumDecay', () => nadam({ momentumDecay: -1 }), 'nadam: momentumDecay must be a number of at least 0', 'got -1'],
  ['a beta2 that radam cannot use', () => radam({ beta2: 0.6 }), 'radam: beta2 must be a number of at least 0.7', 'got 0.6'],
  ['alpha for rmsprop', () => rmsprop(any({ alpha: 0.9 })), 'Unknown option "alpha" for rmsprop; did you mean "rho"?'],
  ['rho of 1', () => adadelta({ rho: 1 }), 'adadelta: rho must be a number of at least 0 and below 1, got 1'],
  ['epsilonInRoot as text', () => rmsprop({ epsilonInRoot: any('no') }), 'rmsprop: epsilonInRoot', 'got "no"'],
  ['a negative accumulator', () => adagrad({ initialAccumulator: -1 }), 'adagrad: initialAccumulator', 'got -1'],
  ['a positive power', () => ftrl({ learningRatePower: 0.5 }), 'ftrl: learningRatePower must be a number of at most 0, got 0.5'],
  ['a power of NaN', () => ftrl({ learningRatePower: Number.NaN }), 'got NaN'],
  ['negative l1Regularization', () => ftrl({ l1Regularization: -1 }), 'ftrl: l1Regularization', 'got -1'],
  ['beta1 of lion', () => lion({ beta1: 1 }), 'lion: beta1', 'below 1, got 1'],
  ['increase below 1', () => rprop({ increase: 0.9 }), 'rprop: increase must be a number of at least 1', 'got 0.9'],
  ['steps in the wrong order', () => rprop({ minimumStep: 2, maximumStep: 1 }), 'minimumStep must not be above maximumStep, got 2 and 1'],
  [
    'a positive beta2Decay',
    () => adafactor({ beta2Decay: 0.8 }),
    'adafactor: beta2Decay must be a number of at least -1 and below 0',
    'got 0.8',
  ],
  ['epsilon1 of 0', () => adafactor({ epsilon1: 0 }), 'adafactor: epsilon1', 'got 0'],
  ['a misspelt option of lamb', () => lamb(any({ weightdecay: 1 })), 'Unknown option "weightdecay" for lamb; did you mean "weightDecay"?'],
  ['infinite decay', () => adamW({ weightDecay: Number.POSITIVE_INFINITY }), 'adamW: weightDecay', 'got Infinity'],
]

it.each(refusals.map((refusal) => [refusal[0], refusal] as const))('refuses %s', async (_, [, call, ...parts]) => {
  await expectRefusal(call, 'ERR_OPTION', ...parts)
})

it('an optimizer written out, as the reference shows it, is sgd with momentum', async () => {
  const momentum: Optimizer = {
    name: 'momentum',
    learningRates: [0.125],
    slots: () => [{ name: 'velocity' }],
    update: ({ parameters, learningRates: [rate] }) => ({
      parameters: parameters.map(({ value, gradient, slots: { velocity } }) => {
        const faster = subtract(multiply(0.5, velocity), multiply(rate, gradient))
        return assignAll([value, velocity], [add(value, faster), faster])
      }),
    }),
  }
  const trained = async (optimizer: Optimizer) => {
    const net = sequential([input(2), dense(1)], { seed: 3 })
    const data = {
      x: [
        [1, 2],
        [3, -1],
        [0, 1],
      ],
      y: [[1], [0], [2]],
    }
    await net.fit(data, { loss: 'meanSquaredError', optimizer, epochs: 5, batchSize: 2 })
    return [...net.weights()['dense_1.kernel'].data]
  }
  // Products with powers of two are exact, so the order of the factors does not matter.
  expect(await trained(momentum)).toEqual(await trained(sgd({ learningRate: 0.125, momentum: 0.5 })))
})
