/** A loss or gradient that is not finite stops the run, names its origin, and leaves the model as after the last good step. */
import { describe, expect, it } from 'vitest'
import {
  add,
  type Callback,
  concat,
  customTraining,
  dense,
  divide,
  type FitOptions,
  gather,
  input,
  log,
  type Model,
  mean,
  model,
  NonFiniteError,
  ones,
  parameter,
  sequential,
  sgd,
  softmaxCrossEntropy,
  sqrt,
  square,
  subtract,
  sum,
  type Tensor,
} from '../../src/index.ts'
import { bitsOf, executors, expectRefusal, rows, scaledBy, stepsOf, sumLoss } from './support.ts'

describe.each(executors)('on the %s executor', (executor) => {
  const data = { x: rows(8, 3, 1), y: rows(8, 1, 2) }
  const make = () =>
    sequential([input(3), dense(4, { activation: 'relu', name: 'first' }), dense(1, { name: 'second' })], { executor, seed: 3 })
  const good: FitOptions = { loss: 'meanSquaredError', optimizer: 'sgd', batchSize: 2 }

  const failure = async (net: Model, options: FitOptions, ...parts: string[]): Promise<NonFiniteError> => {
    const error = await expectRefusal(() => net.fit(data, options), 'ERR_NON_FINITE', ...parts)
    expect(error).toBeInstanceOf(NonFiniteError)
    return error as NonFiniteError
  }

  it('a learning rate that is far too high', async () => {
    const net = make()
    const options: FitOptions = { ...good, optimizer: sgd({ learningRate: 1e18 }), shuffle: false, batchSize: 8, epochs: 10 }
    const error = await failure(net, options, 'Infinity began in step', 'lower learning rate', 'parameters are those before this step')
    const { origin } = error
    expect(origin.step).toBeGreaterThan(0)
    expect(origin.step).toBe(stepsOf(net))
    expect(origin.value).toBe('Infinity')
    expect(error.message).toContain(`in step ${origin.step} at instruction of layer "${origin.layer}"`)
    expect(error.message).toContain(origin.instruction as string)
    expect(['first', 'second', 'loss']).toContain(origin.layer)
    // A twin that is stopped after as many steps.
    const twin = make()
    await twin.fit(data, { ...options, epochs: origin.step })
    expect(bitsOf(net)).toEqual(bitsOf(twin))
    for (const { data: values } of Object.values(net.weights())) expect(values.every(Number.isFinite)).toBe(true)
    // From its own initial weights it trains as if nothing had been.
    net.initialize()
    await net.fit(data, { ...good, epochs: 2 })
    const fresh = make()
    await fresh.fit(data, { ...good, epochs: 2 })
    expect(bitsOf(net)).toEqual(bitsOf(fresh))
  })

  it('leaves the gradients of the step to callbacks', async () => {
    const [features, units] = [16, 32]
    const net = sequential([input(features), dense(units, { activation: 'relu' }), dense(features)], { executor, seed: 1 })
    // All ones, but for one feature of one sample.
    const x = Array.from({ length: 8 }, (_, i) => Array.from({ length: features }, (_, j) => (i === 3 && j === 0 ? 1e30 : 1)))
    let kernel = new Float32Array()
    const look: Callback = {
      readsGradients: true,
      onTrainEnd(_, run) {
        kernel = run.latestGradients()['dense_1.kernel'].slice()
      },
    }
    await expectRefusal(() => net.fit({ x, y: x }, { loss: 'meanSquaredError', callbacks: [look] }), 'ERR_NON_FINITE', 'of layer "loss"')
    const [large, ...others] = Array.from({ length: features }, (_, i) => [...kernel.slice(i * units, (i + 1) * units)])
    expect(large.every(Number.isFinite)).toBe(false)
    expect(others[0].some((value) => value !== 0)).toBe(true)
    expect(others).toEqual(others.map(() => others[0]))
  })

  it('the logarithm of a negative number, in the first step', async () => {
    const net = make()
    const before = bitsOf(net)
    const logarithm = (prediction: Tensor) => sum(log(subtract(prediction, 100)), { axes: [-1] })
    const { origin, message } = await failure(net, { ...good, loss: logarithm }, 'NaN began in step 0', 'of layer "loss"', 'log(')
    expect(origin).toMatchObject({ step: 0, layer: 'loss', value: 'NaN' })
    expect(origin.instruction).toContain(' = log(')
    expect(origin.instruction).toContain('# loss')
    expect(message).toContain(origin.instruction as string)
    expect(bitsOf(net)).toEqual(before)
    expect(stepsOf(net)).toBe(0)
    await net.fit(data, good)
    const twin = make()
    await twin.fit(data, good)
    expect(bitsOf(net)).toEqual(bitsOf(twin))
  })

  it('a step in the middle of an epoch, with the steps before it kept', async () => {
    // The third of four batches divides by 0.
    const x = [[1], [1], [1], [1], [0], [1], [1], [1]]
    const y = x.map(() => [1])
    const build = () => sequential([input(1), scaledBy(1)], { executor })
    const inverse = (prediction: Tensor, target: Tensor) => mean(divide(target, prediction), { axes: [-1] })
    const options: FitOptions = { loss: inverse, optimizer: sgd({ learningRate: 0.01 }), batchSize: 2, shuffle: false }
    const net = build()
    const error = await expectRefusal(() => net.fit({ x, y }, options), 'ERR_NON_FINITE', 'Infinity began in step 2', 'divide(')
    expect((error as NonFiniteError).origin).toMatchObject({ step: 2, layer: 'loss', value: 'Infinity' })
    expect(stepsOf(net)).toBe(2)
    const twin = build()
    await twin.fit({ x: x.slice(0, 4), y: y.slice(0, 4) }, options)
    expect(bitsOf(net)).toEqual(bitsOf(twin))
  })

  it('a step of a later epoch, counted from the beginning of the run', async () => {
    // Going down log p by steps of 0.6 / p: p is 1, 0.4, -1.1, and there the logarithm ends.
    const net = sequential([input(1), scaledBy(1)], { executor })
    const seen: number[] = []
    const options: FitOptions = {
      loss: (prediction) => sum(log(prediction), { axes: [-1] }),
      optimizer: sgd({ learningRate: 0.6 }),
      batchSize: 1,
      epochs: 5,
      onEpochEnd: (epoch) => {
        seen.push(epoch)
      },
    }
    const error = await expectRefusal(() => net.fit({ x: [[1], [1]], y: [[0], [0]] }, options), 'ERR_NON_FINITE', 'NaN began in step 2')
    expect((error as NonFiniteError).origin).toMatchObject({ step: 2, value: 'NaN' })
    expect(seen).toEqual([0])
    expect(stepsOf(net)).toBe(2)
    expect(Math.abs(net.weights().p.data[0] + 1.1)).toBeLessThan(1e-6)
  })

  it('a gradient that is not finite although the loss is', async () => {
    // √ has an infinite slope at 0, and the distance of a point from itself is 0.
    const net = make()
    const before = bitsOf(net)
    const distance = (prediction: Tensor) => sum(sqrt(square(subtract(prediction, prediction))), { axes: [-1] })
    expect((await net.evaluate(data, { loss: distance })).loss).toBe(0)
    const { origin } = await failure(net, { ...good, loss: distance }, 'began in step 0')
    expect(origin.instruction).toContain('# loss backward')
    expect(origin.layer).toBe('loss')
    expect(bitsOf(net)).toEqual(before)
  })

  it('a label or an index that lies outside', async () => {
    const advice = ['NaN began in step 0', '0 … the number of classes or rows - 1']
    const i = input([], { dtype: 'int32' })
    const table = parameter('table', [3, 2], ones)
    const rowsOf = model(i, gather(table, i), { executor })
    const targets = { y: rows(2, 2), x: Int32Array.of(2, 3) }
    const error = await expectRefusal(() => rowsOf.fit(targets, { loss: 'meanSquaredError' }), 'ERR_NON_FINITE', ...advice, 'gather(')
    expect(error.message).not.toContain('learning rate')
    const net = make()
    const [x, label] = [input(3), input([], { dtype: 'int32' })]
    const loss = mean(softmaxCrossEntropy(concat([net.apply(x), net.apply(x)], 1), label))
    const training = customTraining({ models: { net }, inputs: { x, label }, minimize: [{ loss }] })
    const data = { x: rows(2, 3), label: Int32Array.of(1, 2) }
    await expectRefusal(() => training.fit(data), 'ERR_NON_FINITE', ...advice, 'softmaxCrossEntropy')
  })

  it('a weight that was not finite to begin with', async () => {
    const net = sequential([input(3), dense(2, { name: 'broken', kernelInitializer: (values) => values.fill(Number.NaN) }), dense(1)], {
      executor,
    })
    await failure(net, good, 'NaN began in step 0', 'broken.kernel already held it before the step')
    net.setWeights({ 'broken.kernel': rows(3, 2) })
    const { epochs } = await net.fit(data, { ...good, epochs: 20 })
    expect(epochs[19].loss).toBeLessThan(epochs[0].loss)
  })

  it('optimizer moments are those of the last good step too', async () => {
    const [net, twin] = [make(), make()]
    const [mine, theirs] = [sgd({ momentum: 0.9, learningRate: 0.01 }), sgd({ momentum: 0.9, learningRate: 0.01 })]
    await net.fit(data, { ...good, optimizer: mine })
    await twin.fit(data, { ...good, optimizer: theirs })
    await failure(net, { ...good, optimizer: mine, loss: (p) => sum(log(subtract(p, 100)), { axes: [-1] }) }, 'NaN')
    await net.fit(data, { ...good, optimizer: mine })
    await twin.fit(data, { ...good, optimizer: theirs })
    expect(bitsOf(net)).toEqual(bitsOf(twin))
  })

  it('arrives behind the events of train() that were good', async () => {
    const net = make()
    const options = { ...good, optimizer: sgd({ learningRate: 1e18 }), shuffle: false, batchSize: 8, epochs: 10 }
    const steps: number[] = []
    const error = await expectRefusal(async () => {
      for await (const event of net.train(data, options)) if (event.type === 'step') steps.push(event.loss)
    }, 'ERR_NON_FINITE')
    expect(steps.length).toBe((error as NonFiniteError).origin.step)
    expect(steps.every(Number.isFinite)).toBe(true)
  })

  // The check stands before the update, so an update that itself leaves float32 is not seen until the next step, if there is one.
  it.fails('an update that overflows', async () => {
    const net = sequential([input(1), scaledBy(1)], { executor })
    await expectRefusal(() => net.fit({ x: [[4]], y: [[0]] }, { loss: sumLoss, optimizer: sgd({ learningRate: 3e38 }) }), 'ERR_NON_FINITE')
    expect([...net.weights().p.data]).toEqual([1])
  })

  it('does not concern predictions: they say NaN', async () => {
    const net = sequential([input(1), (x: Tensor) => log(add(x, 0))], { executor })
    expect([...(await net.predict([[-1], [0], [1]])).data]).toEqual([Number.NaN, Number.NEGATIVE_INFINITY, 0])
  })
})
