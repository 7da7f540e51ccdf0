import { describe, expect, it } from 'vitest'
import { trainGan } from '../../examples/gan.ts'
import { lockstep } from '../../src/executors/lockstep.ts'
import {
  accumulateGradients,
  adam,
  add,
  averageWeights,
  batch,
  customTraining,
  dense,
  dropout,
  equal,
  gaussianNoise,
  gradcheck,
  gradients,
  greater,
  input,
  l2,
  log,
  lookahead,
  type Model,
  mean,
  model,
  multiply,
  type NonFiniteError,
  negate,
  printPlan,
  randomNormal,
  randomUniform,
  sequential,
  sgd,
  softplus,
  sqrt,
  square,
  stopGradient,
  subtract,
  sum,
  type Tensor,
  tanh,
} from '../../src/index.ts'
import { bitsOf, type ExecutorName, executors, expectRefusal, hasBegun, rows, scaledError, stepsOf } from './support.ts'

const network = (executor: ExecutorName, features: number, units: number, seed = 3) =>
  sequential([input(features), dense(5, { activation: 'tanh' }), dense(units)], { executor, seed })

/** A judge and a generator with the losses of a GAN, as Goodfellow et al. 2014 have them, with the generator's in the non-saturating form. */
function pair(executor: ExecutorName) {
  const generator = network(executor, 2, 2, 1)
  const judge = network(executor, 2, 1, 2)
  const [real, noise] = [input(2), input(2)]
  const fake = generator.apply(noise)
  const judgeLoss = mean(add(softplus(negate(judge.apply(real))), softplus(judge.apply(stopGradient(fake)))))
  const generatorLoss = mean(softplus(negate(judge.apply(fake))))
  const both = [
    { loss: judgeLoss, parameters: judge, optimizer: sgd({ learningRate: 0.1, momentum: 0.9 }) },
    { loss: generatorLoss, parameters: generator, optimizer: sgd({ learningRate: 0.2 }) },
  ]
  const make = (minimize: typeof both, inputs: Record<string, Tensor>) =>
    customTraining({ models: { generator, judge }, inputs, minimize, report: { judgeLoss, generatorLoss } })
  return { generator, judge, real, noise, both, make, training: make(both, { real, noise }) }
}

const data = { real: rows(12, 2, 1), noise: rows(12, 2, 2) }

describe.each(executors)('on the %s executor, custom training', (executor) => {
  it('of one model and one loss is what fit does, to the bit', async () => {
    const make = () =>
      sequential(
        [input(3), dense(8, { activation: 'relu', kernelRegularizer: l2(0.01), activityRegularizer: l2(0.1) }), dropout(0.3), dense(2)],
        { executor },
      )
    const [x, y] = [rows(21, 3, 1), rows(21, 2, 2)]
    const [fitted, custom] = [make(), make()]
    const options = { epochs: 3, batchSize: 4 }
    const history = await fitted.fit({ x, y }, { ...options, loss: 'meanSquaredError', optimizer: 'adam' })
    const target = input(2)
    // As the loss of a sample is defined: the mean over its elements, then over samples.
    const loss = mean(mean(square(subtract(custom.outputs[0], target)), { axes: [1] }))
    const training = customTraining({ models: { custom }, inputs: { x: custom.inputs[0], target }, minimize: [{ loss }] })
    await training.fit({ x, target: y }, options)
    expect(bitsOf(custom)).toEqual(bitsOf(fitted))
    expect(stepsOf(custom)).toBe(stepsOf(fitted))
    expect(history.epochs.length).toBe(3)
  })

  it('lets each minimization see what those before it have done, as a written loop would', async () => {
    const together = pair(executor)
    await together.training.fit(data, { batchSize: 4, shuffle: false })
    // The loop: a step of the judge, then one of the generator, batch by batch.
    const apart = pair(executor)
    const [judgeStep, generatorStep] = apart.both.map((each, i) =>
      customTraining({
        models: { generator: apart.generator, judge: apart.judge },
        inputs: i === 0 ? { real: apart.real, noise: apart.noise } : { noise: apart.noise },
        minimize: [each],
      }),
    )
    for (let i = 0; i < 12; i += 4) {
      const [real, noise] = [data.real.slice(i, i + 4), data.noise.slice(i, i + 4)]
      await judgeStep.fit({ real, noise }, { batchSize: 4, shuffle: false })
      await generatorStep.fit({ noise }, { batchSize: 4, shuffle: false })
    }
    expect(bitsOf(together.generator)).toEqual(bitsOf(apart.generator))
    expect(bitsOf(together.judge)).toEqual(bitsOf(apart.judge))
  })

  it('trains the memory that predictions read', async () => {
    const { generator, training } = pair(executor)
    const before = await generator.predict(data.noise)
    await training.fit(data)
    const after = await generator.predict(data.noise)
    expect(after.data).not.toEqual(before.data)
    const copy = network(executor, 2, 2, 9)
    copy.setWeights(generator.weights())
    expect(scaledError((await copy.predict(data.noise)).data, after.data)).toBe(0)
  })

  it('carries on with its moments from one fit to the next, and forgets them when a model is initialized', async () => {
    const [once, twice, anew] = [pair(executor), pair(executor), pair(executor)]
    await once.training.fit(data, { epochs: 2, shuffle: false })
    for (let i = 0; i < 2; i++) await twice.training.fit(data, { shuffle: false })
    expect(bitsOf(twice.judge)).toEqual(bitsOf(once.judge))
    await anew.training.fit(data, { epochs: 3 })
    anew.generator.initialize()
    anew.judge.initialize()
    await anew.training.fit(data, { epochs: 2, shuffle: false })
    expect(bitsOf(anew.judge)).toEqual(bitsOf(once.judge))
    expect(bitsOf(anew.generator)).toEqual(bitsOf(once.generator))
  })

  it('reports means over samples, measures validation and calls callbacks', async () => {
    const { training, judge, generator } = pair(executor)
    const seen: number[] = []
    const { epochs } = await training.fit(data, {
      epochs: 2,
      batchSize: 5,
      validationData: data,
      callbacks: [{ onEpochEnd: (_, values, run) => void seen.push(values.generatorLoss, run.models.length) }],
    })
    expect(Object.keys(epochs[0]).sort()).toEqual(
      ['generatorLoss', 'judgeLoss', 'loss', 'validationGeneratorLoss', 'validationJudgeLoss', 'validationLoss'].sort(),
    )
    expect(seen).toEqual([epochs[0].generatorLoss, 2, epochs[1].generatorLoss, 2])
    expect(epochs[0].loss).toBe(epochs[0].judgeLoss)
    // By hand, in double precision, from the models as they are now.
    const fakes = await generator.predict(data.noise)
    const { data: scores } = await judge.predict(fakes)
    const expected = scores.reduce((total, score) => total + Math.log1p(Math.exp(-score)) / scores.length, 0)
    // Float32 sums of 12 terms.
    expect(epochs[1].validationGeneratorLoss).toBeCloseTo(expected, 5)
  })

  it('takes part in every n-th step only, if it is asked to; noise goes on all the same', async () => {
    const make = (every: number) => {
      const net = network(executor, 2, 1)
      const other = network(executor, 2, 1, 5)
      const x = input(2)
      const minimize = [
        { loss: mean(square(other.apply(add(x, randomNormal([batch, 2]))))), parameters: other, optimizer: sgd() },
        { loss: mean(square(net.apply(x))), parameters: net, optimizer: sgd(), every },
      ]
      return { net, other, training: customTraining({ models: { net, other }, inputs: { x }, minimize }) }
    }
    const [each, third] = [make(1), make(3)]
    const x = rows(7, 2)
    await third.training.fit({ x }, { batchSize: 1, shuffle: false })
    await each.training.fit({ x }, { batchSize: 1, shuffle: false })
    expect(bitsOf(third.other)).toEqual(bitsOf(each.other))
    expect(stepsOf(third.net)).toBe(7)
    const taken = make(1)
    await taken.training.fit({ x: [x[2], x[5]] }, { batchSize: 1, shuffle: false })
    expect(bitsOf(third.net)).toEqual(bitsOf(taken.net))
  })

  it('adds the penalties of activities to each loss that is made of them', async () => {
    const make = (activityRegularizer?: (x: Tensor) => Tensor) => sequential([input(2), dense(3, { activityRegularizer })], { executor })
    const [net, plain] = [make(l2(0.1)), make()]
    const x = input(2)
    const y = plain.apply(x)
    // As the layer divides it by the samples of a batch.
    const byHand = add(mean(square(y)), multiply(0.1 * 3, mean(square(y))))
    const minimize = [
      { loss: mean(square(net.apply(x))), parameters: net, optimizer: sgd({ learningRate: 0.1 }) },
      { loss: byHand, parameters: plain, optimizer: sgd({ learningRate: 0.1 }) },
    ]
    await customTraining({ models: { net, plain }, inputs: { x }, minimize }).fit({ x: rows(8, 2) }, { batchSize: 4, epochs: 3 })
    for (const [name, { data: values }] of Object.entries(plain.weights()))
      expect(scaledError(net.weights()[name].data, values)).toBeLessThan(1e-6)
  })

  it('minimizes twice over the same parameters', async () => {
    const net = network(executor, 2, 1)
    const x = input(2)
    const loss = mean(square(subtract(net.apply(x), 1)))
    const minimize = [
      { loss, optimizer: sgd({ learningRate: 0.1 }) },
      { loss, optimizer: sgd({ learningRate: 0.1 }) },
    ]
    const points = rows(6, 2)
    await customTraining({ models: { net }, inputs: { x }, minimize }).fit({ x: points }, { shuffle: false })
    const again = network(executor, 2, 1)
    await again.fit({ x: points, y: points.map(() => [1]) }, { loss: 'meanSquaredError', optimizer: sgd({ learningRate: 0.1 }), epochs: 2 })
    // Two steps on the same batch: the same sums, in another order where the planner joins them.
    for (const [name, { data: values }] of Object.entries(again.weights()))
      expect(scaledError(net.weights()[name].data, values)).toBeLessThan(1e-6)
  })

  it('keeps frozen parameters, and chooses others by name', async () => {
    const { generator, judge, real, noise } = pair(executor)
    judge.freeze('dense_1')
    const [before, beforeJudge] = [bitsOf(generator), bitsOf(judge)]
    const loss = mean(square(add(judge.apply(real), judge.apply(generator.apply(noise)))))
    const minimize = [{ loss, parameters: [/^judge/, 'generator.dense_2.bias'], optimizer: sgd() }]
    await customTraining({ models: { generator, judge }, inputs: { real, noise }, minimize }).fit(data)
    const changed = (now: Record<string, number[]>, then: Record<string, number[]>) =>
      Object.keys(now).filter((name) => JSON.stringify(now[name]) !== JSON.stringify(then[name]))
    expect(changed(bitsOf(judge), beforeJudge)).toEqual(['dense_2.kernel', 'dense_2.bias'])
    expect(changed(bitsOf(generator), before)).toEqual(['dense_2.bias'])
  })

  it('keeps what is frozen between two runs, and goes on with the moments of the rest', async () => {
    const make = () => {
      const net = network(executor, 2, 1)
      const x = input(2)
      const loss = mean(square(subtract(net.apply(x), 1)))
      const training = customTraining({
        models: { net },
        inputs: { x },
        minimize: [{ loss, optimizer: sgd({ learningRate: 0.1, momentum: 0.9 }), every: 3 }],
      })
      return { net, fit: () => training.fit({ x: rows(4, 2) }, { batchSize: 1, shuffle: false }) }
    }
    const [net, whole] = [make(), make()]
    for (const each of [net, whole]) await each.fit()
    net.net.freeze('dense_1')
    const before = bitsOf(net.net)
    for (const each of [net, whole]) await each.fit()
    const after = bitsOf(net.net)
    expect(after['dense_1.kernel']).toEqual(before['dense_1.kernel'])
    expect(after['dense_1.bias']).toEqual(before['dense_1.bias'])
    // One step is due, the second of its run, as the first run took only one of four.
    expect(after['dense_2.kernel']).not.toEqual(before['dense_2.kernel'])
    expect(after['dense_2.kernel']).toEqual(bitsOf(whole.net)['dense_2.kernel'])
    net.net.unfreeze()
    await net.fit()
    expect(bitsOf(net.net)['dense_1.kernel']).not.toEqual(before['dense_1.kernel'])
  })

  it('begins with the weights of its first run, not with those it was made with', async () => {
    const trained = async (early: boolean) => {
      const net = network(executor, 2, 1)
      const weights = { 'dense_2.bias': [5] }
      if (early) net.setWeights(weights)
      const x = input(2)
      const optimizer = lookahead(sgd({ learningRate: 0.01 }), { steps: 2 })
      const training = customTraining({ models: { net }, inputs: { x }, minimize: [{ loss: mean(square(net.apply(x))), optimizer }] })
      if (!early) net.setWeights(weights)
      await training.fit({ x: rows(4, 2) }, { batchSize: 1 })
      return bitsOf(net)
    }
    expect(await trained(false)).toEqual(await trained(true))
  })

  it('puts averages in the place of the weights when no steps run', async () => {
    const make = (averaged: boolean) => {
      const net = network(executor, 2, 1)
      const x = input(2)
      const optimizer = averaged ? averageWeights(sgd(), { decay: 0.5 }) : sgd()
      return {
        net,
        training: customTraining({ models: { net }, inputs: { x }, minimize: [{ loss: mean(square(net.apply(x))), optimizer }] }),
      }
    }
    const [raw, averaged] = [make(false), make(true)]
    for (const { training } of [raw, averaged]) await training.fit({ x: rows(8, 2) }, { batchSize: 2 })
    expect(bitsOf(averaged.net)).not.toEqual(bitsOf(raw.net))
  })

  it('stops before a minimization that is not finite, and names the instruction', async () => {
    const [first, second] = [network(executor, 2, 1), network(executor, 2, 1, 4)]
    const [x, y] = [input(2), input(1)]
    const minimize = [
      { loss: mean(square(first.apply(x))), parameters: first, optimizer: sgd({ momentum: 0.9 }) },
      { loss: add(mean(log(y)), mean(square(second.apply(x)))), parameters: second, optimizer: sgd() },
    ]
    const training = customTraining({ models: { first, second }, inputs: { x, y }, minimize })
    const before = bitsOf(second)
    const points = { x: rows(4, 2), y: [[1], [1], [-1], [1]] }
    await expectRefusal(() => training.fit(points, { batchSize: 1, shuffle: false }), 'ERR_NON_FINITE', 'step 2', 'log')
    // Two whole steps of the second; the first has taken three, and the search for the origin takes none.
    const twin = [network(executor, 2, 1), network(executor, 2, 1, 4)]
    const same = (net: Model, i: number) =>
      customTraining({
        models: { net },
        inputs: { x },
        minimize: [{ loss: mean(square(net.apply(x))), optimizer: i === 0 ? sgd({ momentum: 0.9 }) : sgd() }],
      })
    await same(twin[0], 0).fit({ x: points.x.slice(0, 3) }, { batchSize: 1, shuffle: false })
    await same(twin[1], 1).fit({ x: points.x.slice(0, 2) }, { batchSize: 1, shuffle: false })
    expect(bitsOf(first)).toEqual(bitsOf(twin[0]))
    expect(bitsOf(second)).toEqual(bitsOf(twin[1]))
    expect(bitsOf(second)).not.toEqual(before)
  })

  it.each([1, 2])('finds what is not finite with the noise of the step that was stopped, one of %i', async (every) => {
    for (const several of [false, true]) {
      for (const seed of [1, 2, 3, 4]) {
        const [first, second] = [network(executor, 2, 1, seed), network(executor, 2, 1, seed)]
        const x = input(2)
        // In one step of three the logarithm of a negative number.
        const noise = mean(log(subtract(randomUniform([batch, 1]), 0.3)))
        const minimize = [
          { loss: mean(square(first.apply(x))), parameters: first, optimizer: sgd() },
          { loss: add(noise, mean(square(second.apply(x)))), parameters: second, optimizer: sgd(), every },
        ]
        const training = customTraining({
          models: several ? { first, second } : { second },
          inputs: { x },
          minimize: minimize.slice(several ? 0 : 1),
        })
        const error = await expectRefusal(
          () => training.fit({ x: rows(60, 2) }, { batchSize: 1, shuffle: false }),
          'ERR_NON_FINITE',
          'NaN began in step',
          'log(subtract(',
        )
        expect(stepsOf(several ? first : second)).toBe((error as NonFiniteError).origin.step)
      }
    }
  })

  it('goes on after one that was not finite with what the optimizers before it have counted', async () => {
    const [first, second] = [network(executor, 2, 1), network(executor, 2, 1, 4)]
    const [x, y] = [input(2), input(1)]
    const own = { loss: mean(square(first.apply(x))), parameters: first, optimizer: adam() }
    const logarithm = mean(log(multiply(y, square(first.apply(x)))))
    const minimize = [own, { loss: add(logarithm, mean(square(second.apply(x)))), parameters: second, optimizer: sgd() }]
    const training = customTraining({ models: { first, second }, inputs: { x, y }, minimize })
    const points = rows(4, 2)
    const run = (each: number[][], y: number) => training.fit({ x: each, y: each.map(() => [y]) }, { batchSize: 1, shuffle: false })
    await expectRefusal(() => run(points.slice(0, 1), -1), 'ERR_NON_FINITE', 'log')
    await run(points.slice(1), 1)
    const twin = network(executor, 2, 1)
    const loss = mean(square(twin.apply(x)))
    const alone = customTraining({ models: { twin }, inputs: { x }, minimize: [{ loss, optimizer: adam() }] })
    await alone.fit({ x: points }, { batchSize: 1, shuffle: false })
    expect(bitsOf(first)).toEqual(bitsOf(twin))
  })

  it('holds all its models, and can be stopped', async () => {
    const { generator, judge, training } = pair(executor)
    const stop = new AbortController()
    const running = training.fit(data, { epochs: 100_000, batchSize: 1, signal: stop.signal })
    const ended = expectRefusal(() => running, 'ABORT_ERR', 'keeps what it has learned')
    await hasBegun()
    await expectRefusal(
      () => generator.fit({ x: data.noise, y: data.noise }, { loss: 'meanSquaredError' }),
      'ERR_BUSY',
      'already being trained',
    )
    await expectRefusal(() => training.fit(data), 'ERR_BUSY')
    stop.abort()
    await ended
    await judge.fit({ x: data.real, y: data.real.map(() => [1]) }, { loss: 'meanSquaredError' })
  })

  it('puts the best weights of all models back', async () => {
    const { generator, judge, training } = pair(executor)
    let best = {}
    const { bestEpoch } = await training.fit(data, {
      epochs: 3,
      earlyStopping: { monitor: 'loss', mode: 'max', minDelta: 1e9 },
      onEpochEnd: (epoch) => {
        if (epoch === 0) best = { ...bitsOf(generator), judge: bitsOf(judge) }
      },
    })
    expect(bestEpoch).toBe(0)
    expect({ ...bitsOf(generator), judge: bitsOf(judge) }).toEqual(best)
  })

  it('learns eight Gaussians with a gradient penalty', async () => {
    const { before, after } = await trainGan(executor === 'native' ? 3000 : 300, { executor })
    // The untrained generator is 0.71 away; the ring's own points 0.06, its middle 1.
    expect(after.distance).toBeLessThan(executor === 'native' ? 0.75 * before.distance : before.distance)
    if (executor === 'native') expect(after.good).toBeGreaterThan(before.good + 0.05)
  })
})

describe('custom training', () => {
  it('has the same plan on both executors', () => {
    if (executors.length < 2) return
    const { training } = pair('native')
    const plan = training.plan(4)
    expect(printPlan(plan)).toContain('judge.dense_1.kernel')
    expect(lockstep(plan)).toMatchObject({ firstDifference: null, firstNonFinite: null })
  })

  it('computes what two losses share once', () => {
    const { training } = pair('reference')
    const text = printPlan(training.plan(4))
    // The generator runs forward once, though both losses are made of it.
    expect(text.match(/generator\.dense_1 .*matmul|matmul.*generator\.dense_1\.kernel/g)?.length).toBe(1)
  })

  const judge = () => network('reference', 2, 1)
  const refused: [string, (net: Model, x: Tensor) => unknown, ...string[]][] = [
    ['a loss that is no scalar', (net, x) => [{ loss: net.apply(x) }], 'ERR_OPTION', 'minimize[0]', 'scalar', '[batch, 1]', 'mean(x)'],
    ['a loss that is no tensor', () => [{ loss: 3 }], 'ERR_OPTION', 'loss must be a symbolic tensor', '3'],
    [
      'parameters of another model',
      (net, x) => [{ loss: mean(net.apply(x)), parameters: judge() }],
      'ERR_OPTION',
      'not among models (net)',
    ],
    ['a filter that chooses none', (net, x) => [{ loss: mean(net.apply(x)), parameters: /nothing/ }], 'ERR_OPTION', 'net.dense_1.kernel'],
    [
      'a loss without its parameters',
      (_, x) => [{ loss: mean(x) }],
      'ERR_OPTION',
      'does not depend on any of its parameters',
      'net.dense_1.kernel',
    ],
    [
      'a loss without a gradient',
      (net, x) => [{ loss: mean(greater(net.apply(x), 0)) }],
      'ERR_OPTION',
      'minimize[0]: the loss does not depend on any of its parameters',
      'net.dense_1.kernel',
      'comparisons',
    ],
    ['nothing to minimize', () => [], 'ERR_OPTION', 'minimize must be an array of at least one'],
    ['an input that is missing', (net, x) => [{ loss: mean(net.apply(add(x, input(2)))) }], 'ERR_OPTION', 'not among inputs (x)'],
    [
      'a model that is missing',
      (net, x) => [{ loss: mean(multiply(net.apply(x), judge().apply(x))) }],
      'ERR_OPTION',
      'belongs to none of the models',
    ],
    [
      'every for one that is not the last',
      (net, x) => [{ loss: mean(net.apply(x)), every: 2 }, { loss: mean(net.apply(x)) }],
      'ERR_OPTION',
      'every must be 1',
      'put it last',
    ],
    [
      'an optimizer that ends steps before others',
      (net, x) => [{ loss: mean(net.apply(x)), optimizer: accumulateGradients(sgd(), { steps: 2 }) }, { loss: mean(net.apply(x)) }],
      'ERR_OPTION',
      'minimize[0]',
      'only the last one may',
    ],
    ['an option of another name', (net, x) => [{ loss: mean(net.apply(x)), parameter: net }], 'ERR_OPTION', 'did you mean "parameters"?'],
  ]
  it.each(refused)('refuses %s', async (_, minimize, code, ...parts) => {
    const net = judge()
    const x = input(2)
    await expectRefusal(
      () => customTraining({ models: { net }, inputs: { x }, minimize: minimize(net, x) } as Parameters<typeof customTraining>[0]),
      code,
      ...parts,
    )
  })

  it('refuses models that share parameters, inputs of no use, and data that do not fit', async () => {
    const x = input(2)
    const shared = dense(1)
    const [a, b] = [model(x, shared(x)), model(x, tanh(shared(x)))]
    const loss = mean(square(a.apply(x)))
    await expectRefusal(() => customTraining({ models: { a, b }, inputs: { x }, minimize: [{ loss }] }), 'ERR_OPTION', 'both have', 'apply')
    await expectRefusal(
      () => customTraining({ models: { a }, inputs: { x, y: input(1) }, minimize: [{ loss }] }),
      'ERR_OPTION',
      'depends on inputs.y',
    )
    await expectRefusal(
      () => customTraining({ models: { a }, inputs: { x, y: x }, minimize: [{ loss }] }),
      'ERR_OPTION',
      'inputs.x and inputs.y are the same',
    )
    await expectRefusal(
      () => customTraining({ models: { a }, inputs: { x }, minimize: [{ loss }], report: { validationLoss: loss } }),
      'ERR_OPTION',
      'report.validationLoss has the name of what loss is in validation',
    )
    const training = customTraining({ models: { a }, inputs: { x }, minimize: [{ loss }] })
    await expectRefusal(() => training.fit({} as never), 'ERR_DATA', 'x is missing')
    await expectRefusal(() => training.fit({ x: [[1, 2, 3]] }), 'ERR_DATA', 'input "x"', 'shape [2]', '[1, 3]')
    await expectRefusal(() => training.fit({ z: [[1, 2]] }), 'ERR_OPTION', '"z"')
    await expectRefusal(() => training.fit({ x: [[1, 2]] }, { loss: 'x' } as object), 'ERR_OPTION', 'it is an option of customTraining')
  })
})

describe('a model as a function', () => {
  it.each(executors)('gives what it predicts, for other tensors (%s)', async (executor) => {
    const net = network(executor, 2, 1)
    const x = input(2)
    const twice = net.apply(multiply(2, x))
    const training = customTraining({
      models: { net },
      inputs: { x },
      minimize: [{ loss: mean(twice), optimizer: sgd({ learningRate: 0 }) }],
    })
    const points = rows(8, 2)
    const { epochs } = await training.fit({ x: points }, { batchSize: 8 })
    const { data: outputs } = await net.predict(points.map((row) => row.map((value) => 2 * value)))
    expect(epochs[0].loss).toBeCloseTo(
      outputs.reduce((total, output) => total + output / 8, 0),
      5,
    )
  })

  it.each(executors)('draws noise of its own in each call, the same in a loss and its gradient (%s)', async (executor) => {
    const net = sequential([input(64), dropout(0.5), gaussianNoise(0.1), dense(1)], { executor })
    const x = input(64)
    const [a, b] = [net.apply(x), net.apply(x)]
    const [slope] = gradients(sum(a), [x])
    const kernel = net.parameters[0].variable
    // Dropped elements have no slope.
    const dropped = mean(equal(slope, 0))
    const report = { same: mean(square(subtract(a, a))), other: mean(square(subtract(a, b))), dropped }
    const training = customTraining({
      models: { net },
      inputs: { x },
      minimize: [{ loss: mean(square(kernel)), optimizer: sgd() }],
      report,
    })
    const { epochs } = await training.fit({ x: rows(16, 64) }, { batchSize: 8 })
    expect(epochs[0].same).toBe(0)
    expect(epochs[0].other).toBeGreaterThan(0.01)
    expect(epochs[0].dropped).toBeGreaterThan(0.3)
    expect(epochs[0].dropped).toBeLessThan(0.7)
  })

  it('refuses tensors that do not fit', async () => {
    const net = network('reference', 2, 1)
    await expectRefusal(() => net.apply(input(3)), 'ERR_SHAPE', '[batch, 2]', '[batch, 3]')
    await expectRefusal(() => net.apply(input(2, { dtype: 'int32' })), 'ERR_DTYPE', 'float32')
    await expectRefusal(() => net.apply([[1, 2]] as never), 'ERR_OPTION')
    await expectRefusal(() => net.apply({ other: input(2) }), 'ERR_OPTION', 'other')
    const [a, b] = [input(2, { name: 'a' }), input(2, { name: 'b' })]
    const two = model([a, b], [dense(1)(a), dense(1)(b)])
    await expectRefusal(() => two.apply({ a, b }), 'ERR_OPTION', '2 outputs', 'applyAll')
    await expectRefusal(() => two.applyAll(a), 'ERR_OPTION', 'by input name (a, b)')
    await expectRefusal(() => two.applyAll({ a } as never), 'ERR_OPTION', 'input "b"')
  })
})

describe('gradients of gradients', () => {
  it.each(executors)('the gradient of an input is an output, as finite differences have it (%s)', async (executor) => {
    const x = input(3)
    const y = dense(4, { activation: 'tanh' })(x)
    const score = sum(square(dense(1)(y)), { axes: [1] })
    const net = model(x, gradients(sum(score), [x])[0], { executor })
    const scores = model(x, score, { executor })
    scores.setWeights(net.weights())
    const points = rows(5, 3)
    const { data: slopes } = await net.predict(points)
    const h = 1e-2
    for (const [i, point] of points.entries()) {
      for (let j = 0; j < 3; j++) {
        const at = async (d: number) => (await scores.predict([point.map((value, k) => (k === j ? value + d : value))])).data[0]
        // Float32 scores of order 1 over 2h: 1e-5; the third derivative times h²/6: 1e-4.
        expect(slopes[3 * i + j]).toBeCloseTo(((await at(h)) - (await at(-h))) / (2 * h), 3)
      }
    }
  })

  it('a loss that contains gradients passes gradcheck', () => {
    const penalty = (x: Tensor, kernel: Tensor, out: Tensor) => {
      const y = sum(multiply(tanh(sum(multiply(kernel, x), { axes: [1] })), out))
      const [slope] = gradients(y, [x])
      return square(subtract(sqrt(add(sum(square(slope)), 1e-12)), 1))
    }
    const report = gradcheck(penalty, [
      [0.3, -0.8, 0.5],
      [
        [0.4, 0.9, -0.2],
        [0.7, -0.5, 0.3],
      ],
      [0.6, -1.1],
    ])
    expect(report.ok, String(report)).toBe(true)
    // Third order: the gradient of the penalty's own gradient.
    const third = gradcheck(
      (x, kernel, out) => sum(square(gradients(penalty(x, kernel, out), [kernel])[0])),
      [
        [0.3, -0.8, 0.5],
        [
          [0.4, 0.9, -0.2],
          [0.7, -0.5, 0.3],
        ],
        [0.6, -1.1],
      ],
    )
    expect(third.ok, String(third)).toBe(true)
  })
})
