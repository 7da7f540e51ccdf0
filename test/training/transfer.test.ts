/** A trained model as part of another one: whose values its parameters begin with, and how weights of a part are taken over. */
import { describe, expect, it } from 'vitest'
import { adam, add, dense, dropout, input, type Model, model, sequential, type Tensor } from '../../src/index.ts'
import { bitsOf, executors, expectRefusal, rows } from './support.ts'

const data = { x: rows(20, 3, 1), y: rows(20, 4, 2) }
const named = (net: Model, ...names: string[]) => Object.fromEntries(names.map((name) => [name, bitsOf(net)[name]]))

describe.each(executors)('on the %s executor', (executor) => {
  const makeBody = (seed = 1) =>
    sequential([input(3), dense(5, { activation: 'tanh', name: 'body' }), dropout(0.2), dense(4, { name: 'features' })], { executor, seed })
  const trained = async (seed = 1) => {
    const net = makeBody(seed)
    await net.fit(data, { loss: 'meanSquaredError', epochs: 2 })
    return net
  }
  const withHead = (body: Model) => sequential([input(3), (x: Tensor) => body.apply(x), dense(1, { name: 'head' })], { executor, seed: 7 })
  const bodyNames = ['body.kernel', 'body.bias', 'features.kernel', 'features.bias']

  it('begins with the present values of a model that is applied, and leaves them as they are', async () => {
    const body = await trained()
    const before = bitsOf(body)
    expect(before).not.toEqual(bitsOf(makeBody()))
    const net = withHead(body)
    expect(named(net, ...bodyNames)).toEqual(before)
    expect(net.weights('head')).toEqual(withHead(makeBody()).weights('head'))
    net.freeze(['body', 'features'])
    const y = rows(20, 1, 3)
    await net.fit({ x: data.x, y }, { loss: 'meanSquaredError', optimizer: adam({ learningRate: 0.01 }) })
    expect(named(net, ...bodyNames)).toEqual(before)
    net.unfreeze()
    await net.fit({ x: data.x, y }, { loss: 'meanSquaredError' })
    for (const name of bodyNames) expect(bitsOf(net)[name]).not.toEqual(before[name])
    expect(bitsOf(body)).toEqual(before)
  })

  it('predicts what the body does, with a head that adds nothing', async () => {
    const body = await trained()
    const t = input(3)
    const y = body.apply(t)
    const net = model(t, add(y, dense(y, 4, { kernelInitializer: 'zeros' })), { executor })
    expect([...(await net.predict(data.x)).data]).toEqual([...(await body.predict(data.x)).data])
  })

  it('takes values when it is made, not when the body is applied', async () => {
    const body = makeBody()
    const t = input(3)
    const y = dense(body.apply(t), 1)
    const early = model(t, y, { executor })
    await body.fit(data, { loss: 'meanSquaredError' })
    const late = model(t, y, { executor })
    expect(named(late, ...bodyNames)).toEqual(bitsOf(body))
    expect(named(early, ...bodyNames)).toEqual(bitsOf(makeBody()))
  })

  it('draws all anew in initialize', async () => {
    const [net, fresh] = [withHead(await trained()), withHead(makeBody())]
    net.initialize()
    fresh.initialize()
    expect(bitsOf(net)).toEqual(bitsOf(fresh))
    expect(bitsOf(net)['body.kernel']).not.toEqual(bitsOf(makeBody())['body.kernel'])
  })

  it('of a model within a model takes the values of the outer one, and of an identity around it those within', async () => {
    const body = await trained()
    const middle = withHead(body)
    await middle.fit({ x: data.x, y: rows(20, 1, 3) }, { loss: 'meanSquaredError' })
    const outer = sequential([input(3), (x) => middle.apply(x), dense(2)], { executor })
    expect(named(outer, ...bodyNames)).toEqual(named(middle, ...bodyNames))
    expect(bitsOf(outer)['body.kernel']).not.toEqual(bitsOf(body)['body.kernel'])
    const t = input(4)
    const same = model(t, t)
    const around = sequential([input(3), (x) => same.apply(body.apply(x)), dense(2)], { executor })
    expect(named(around, ...bodyNames)).toEqual(bitsOf(body))
  })

  it('of layers that are shared without apply has weights of its own', async () => {
    const x = input(3)
    const hidden = dense(x, 4, { name: 'body' })
    const first = model(x, hidden, { executor })
    await first.fit(data, { loss: 'meanSquaredError' })
    first.apply(input(3))
    const second = model(x, dense(hidden, 1), { executor })
    expect(bitsOf(second)['body.kernel']).toEqual(bitsOf(model(x, hidden, { executor }))['body.kernel'])
  })

  it('of a model of several outputs takes the part that is used', async () => {
    const x = input(3)
    const hidden = dense(x, 4, { name: 'body' })
    const both = model(x, [hidden, dense(hidden, 4, { name: 'top' })], { executor })
    await both.fit({ x: data.x, y: { body: data.y, top: data.y } }, { loss: 'meanSquaredError' })
    const t = input(3)
    const net = model(t, dense(both.applyAll(t)[0], 1, { name: 'head' }), { executor })
    expect(Object.keys(net.weights())).toEqual(['body.kernel', 'body.bias', 'head.kernel', 'head.bias'])
    expect(named(net, 'body.kernel', 'body.bias')).toEqual(named(both, 'body.kernel', 'body.bias'))
  })
})

describe('weights of a part', () => {
  const make = (head: string, seed: number) => sequential([input(3), dense(4, { name: 'body' }), dense(2, { name: head })], { seed })

  it('go into a model that has it too', () => {
    const [from, to] = [make('old', 1), make('new', 2)]
    to.setWeights(from.weights('body'))
    expect(named(to, 'body.kernel', 'body.bias')).toEqual(named(from, 'body.kernel', 'body.bias'))
    expect(Object.keys(from.weights(/kernel/))).toEqual(['body.kernel', 'old.kernel'])
  })

  it('are advised where others of the model do not fit', async () => {
    const [from, to] = [make('pretrained', 1), make('new', 2)]
    await expectRefusal(
      () => to.setWeights(from.weights()),
      'ERR_OPTION',
      '"pretrained.kernel"',
      'known are body.kernel',
      'weights("body")',
    )
    await expectRefusal(() => from.weights('head'), 'ERR_OPTION', 'weights: "head" chooses no parameter', 'pretrained.bias')
    expect(sequential([input(3), dropout(0.5)]).weights()).toEqual({})
  })
})
