/** Frozen parameters: no gradients for them, no change in them, and what becomes of an optimizer that goes on with the others. */
import { describe, expect, it } from 'vitest'
import {
  adam,
  add,
  assignAll,
  averageWeights,
  cast,
  dense,
  dropout,
  type FitOptions,
  input,
  l2,
  model,
  multiply,
  type Optimizer,
  ones,
  parameter,
  perGroup,
  sequential,
  sgd,
  sharpnessAware,
} from '../../src/index.ts'
import { bitsOf, executors, expectRefusal, rows, scaledError, sumLoss } from './support.ts'

const data = { x: rows(20, 5, 1), y: rows(20, 2, 2) }

describe.each(executors)('on the %s executor', (executor) => {
  const make = () =>
    sequential(
      [
        input(5),
        dense(7, { activation: 'tanh', name: 'first' }),
        dense(6, { activation: 'relu', name: 'second' }),
        dense(2, { name: 'head' }),
      ],
      { executor, seed: 4 },
    )
  const options: FitOptions = { loss: 'meanSquaredError', batchSize: 8, epochs: 2 }

  it.each<[string, () => Optimizer]>([
    ['sgd', () => sgd({ learningRate: 0.1, weightDecay: 0.1 })],
    ['adam', () => adam({ learningRate: 0.01 })],
    ['averages', () => averageWeights('adam')],
    ['sharpness', () => sharpnessAware('adam')],
    ['groups', () => perGroup([{ parameters: 'bias', optimizer: 'sgd' }, { optimizer: 'adam' }])],
  ])('keep their bits, and the others change, with %s', async (_, optimizer) => {
    const net = make()
    net.freeze(['first', 'second.bias'])
    const before = bitsOf(net)
    await net.fit(data, { ...options, optimizer: optimizer() })
    const after = bitsOf(net)
    const same = Object.keys(before).filter((name) => JSON.stringify(before[name]) === JSON.stringify(after[name]))
    expect(same).toEqual(['first.kernel', 'first.bias', 'second.bias'])
    net.unfreeze()
    await net.fit(data, { ...options, optimizer: optimizer() })
    for (const [name, bits] of Object.entries(bitsOf(net))) expect(bits, name).not.toEqual(before[name])
  })

  it('train a head as a model of its own on the features', async () => {
    const net = make()
    net.freeze(/^(first|second)\./)
    const x = input(5)
    const features = model(x, dense(dense(x, 7, { activation: 'tanh', name: 'first' }), 6, { activation: 'relu', name: 'second' }), {
      executor,
      seed: 4,
    })
    const { 'head.kernel': kernel, 'head.bias': bias, ...body } = net.weights()
    features.setWeights(body)
    const head = sequential([input(6), dense(2, { name: 'head' })], { executor, seed: 4 })
    head.setWeights({ 'head.kernel': kernel, 'head.bias': bias })
    await net.fit(data, { ...options, optimizer: adam() })
    await head.fit({ x: await features.predict(data.x), y: data.y }, { ...options, optimizer: adam() })
    for (const [name, { data: values }] of Object.entries(head.weights()))
      expect(scaledError(net.weights()[name].data, values), name).toBeLessThan(1e-6)
  })

  it('have no gradient in the plan, and no pass goes behind the first trained layer', () => {
    const backward = (freeze: string[]) => {
      const net = make()
      if (freeze.length > 0) net.freeze(freeze)
      const plan = net.trainingPlan(8, { loss: 'meanSquaredError', optimizer: 'adam' })
      const layers = plan.instructions.flatMap(({ phase, layer }) => (phase === 'backward' && layer !== 'loss' ? [layer] : []))
      const updates = plan.instructions.filter(({ op }) => op === 'adam')
      return { layers, updates: updates.length, gradients: plan.blocks.gradients, moments: plan.blocks['slots/mean'] }
    }
    const [all, body, head, middle] = [[], ['first', 'second'], ['head'], ['second']].map(backward)
    expect(new Set(all.layers)).toEqual(new Set(['first', 'second', 'head']))
    expect(body.layers.every((layer) => layer === 'head')).toBe(true)
    expect(body.layers.length).toBe(2)
    expect(new Set(head.layers)).toEqual(new Set(['first', 'second', 'head']))
    // Neighbours in memory are still updated in one pass: a frozen layer between them makes two.
    expect([all, body, head, middle].map(({ updates }) => updates)).toEqual([1, 1, 1, 2])
    // 2 · 6 + 2 elements, each variable from a cache line of its own.
    expect(body.gradients).toBe(128)
    expect(body.moments).toBe(128)
    expect(middle.gradients).toBeLessThan(all.gradients)
  })

  describe('and the optimizer', () => {
    /** Two parameters whose gradients do not depend on each other. */
    const apart = () => {
      const [p, q] = [parameter('p', [5], ones), parameter('q', [5], ones)]
      const [x, z] = [input(5, { name: 'x' }), input(5, { name: 'z' })]
      return model([x, z], add(multiply(x, p), multiply(z, q)), { executor })
    }
    const both = { x: { x: data.x, z: rows(20, 5, 3) }, y: data.x }
    const each: FitOptions = { loss: sumLoss, batchSize: 4, shuffle: false }

    it.each<[string, () => Optimizer]>([
      ['adam', () => adam()],
      ['averages', () => averageWeights(adam(), { decay: 0.5 })],
    ])('carries on with the others when some are frozen: %s', async (_, make) => {
      const [net, twin] = [apart(), apart()]
      const [mine, theirs] = [make(), make()]
      await net.fit(both, { ...each, optimizer: mine })
      await twin.fit(both, { ...each, optimizer: theirs })
      net.freeze('q')
      const frozen = bitsOf(net).q
      for (let i = 0; i < 2; i++) {
        await net.fit(both, { ...each, optimizer: mine })
        await twin.fit(both, { ...each, optimizer: theirs })
      }
      expect(bitsOf(net).p).toEqual(bitsOf(twin).p)
      expect(bitsOf(net).q).toEqual(frozen)
      expect(bitsOf(twin).q).not.toEqual(frozen)
      // A parameter for which there are no moments comes in: all begin anew.
      net.unfreeze()
      twin.setWeights(net.weights())
      await net.fit(both, { ...each, optimizer: mine })
      await twin.fit(both, { ...each, optimizer: make() })
      expect(bitsOf(net)).toEqual(bitsOf(twin))
    })
  })

  it('still count in the loss, with their penalties', async () => {
    const net = sequential([input(5), dense(3, { kernelRegularizer: l2(0.5) }), dropout(0), dense(2)], { executor })
    const before = await net.evaluate(data, { loss: 'meanSquaredError' })
    net.freeze('dense_1')
    expect(await net.evaluate(data, { loss: 'meanSquaredError' })).toEqual(before)
    const { epochs } = await net.fit(data, { loss: 'meanSquaredError', optimizer: sgd({ learningRate: 0 }) })
    expect(Math.abs(epochs[0].loss - before.loss)).toBeLessThan(1e-6 * before.loss)
  })

  it('leave the steps of the optimizer alone, whatever it calls its counters', async () => {
    const counting: Optimizer = {
      name: 'counting',
      learningRates: [1],
      counters: [{ name: 'steps' }, { name: 'learningRate' }],
      update: ({ parameters, step, counters }) => ({
        parameters: parameters.map(({ value }) => assignAll([value], [cast(step)])),
        others: Object.values(counters).map((counter, i) => assignAll([counter], [add(counter, 10 ** (i + 1))])),
      }),
    }
    const net = make()
    await net.fit(data, { ...options, optimizer: counting, batchSize: 20, epochs: 2 })
    net.freeze('first')
    await net.fit(data, { ...options, optimizer: counting, batchSize: 20, epochs: 1 })
    expect(net.weights()['head.bias'].data[0]).toBe(2)
    expect(net.weights()['first.bias'].data[0]).toBe(1)
  })

  it('are those of the run that follows', async () => {
    const net = make()
    const before = bitsOf(net)
    let inside: ReturnType<typeof bitsOf> = {}
    await net.fit(data, {
      ...options,
      onEpochEnd: (epoch) => {
        if (epoch > 0) return
        inside = bitsOf(net)
        net.freeze('head')
      },
    })
    expect(bitsOf(net)['head.kernel']).not.toEqual(inside['head.kernel'])
    expect(inside['head.kernel']).not.toEqual(before['head.kernel'])
    expect(net.trainableParameters.map(({ name }) => name)).toEqual(['first.kernel', 'first.bias', 'second.kernel', 'second.bias'])
    expect(net.parameterCount).toBe(5 * 7 + 7 + 7 * 6 + 6 + 6 * 2 + 2)
  })

  it('are chosen by filters that choose something', async () => {
    const net = make()
    const names = 'first.kernel, first.bias, second.kernel, second.bias, head.kernel, head.bias'
    await expectRefusal(() => net.freeze('body'), 'ERR_OPTION', 'freeze: "body" chooses no parameter of this model', names)
    await expectRefusal(() => net.unfreeze(/x$/), 'ERR_OPTION', 'unfreeze: ', 'chooses no parameter', names)
    await expectRefusal(() => net.freeze(3 as never), 'ERR_OPTION', 'freeze: the parameters must be', 'got 3')
    await expectRefusal(() => net.freeze(['head', null] as never), 'ERR_OPTION', 'freeze: the parameters must be', 'got null')
    await expectRefusal(() => net.freeze([]), 'ERR_OPTION', 'freeze: an array of 0 chooses no parameter')
    expect(net.trainableParameters.length).toBe(6)
    net.freeze(({ shape }) => shape.length === 1)
    expect(net.trainableParameters.map(({ name }) => name)).toEqual(['first.kernel', 'second.kernel', 'head.kernel'])
    net.freeze()
    await expectRefusal(() => net.fit(data, options), 'ERR_OPTION', 'fit: all parameters of the model are frozen', 'unfreeze()')
    expect((await net.evaluate(data, { loss: 'meanSquaredError' })).loss).toBeGreaterThan(0)
    net.unfreeze('head.bias')
    expect(net.trainableParameters.map(({ name }) => name)).toEqual(['head.bias'])
    await net.fit(data, options)
  })
})
