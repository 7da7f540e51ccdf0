import { describe, expect, it } from 'vitest'
import {
  add,
  argmax,
  cast,
  concatenate,
  dense,
  type Features,
  input,
  mean,
  model,
  NdArray,
  sequential,
  subtract,
  sum,
} from '../../src/index.ts'
import { executors, expectRefusal, hasBegun, numbers, rows } from './support.ts'

const bits = ({ data }: NdArray) => [...new Uint32Array(data.buffer)]

describe.each(executors)('predictSync on the %s executor', (executor) => {
  const network = () => sequential([input(37), dense(19, { activation: 'tanh' }), dense(3)], { executor, seed: 2 })
  const samples = (count: number) => Float32Array.from(numbers(count * 37, count))

  // 256 rows are one batch; 513 are two and a rest of one.
  it.each([1, 2, 7, 256, 513, 700])('gives the bits of predict for %i rows', async (count) => {
    const net = network()
    const x = samples(count)
    const result = net.predictSync(x)
    expect(result.shape).toEqual([count, 3])
    expect(bits(result)).toEqual(bits(await net.predict(x)))
  })

  it('takes what predict takes', async () => {
    const net = network()
    const x = samples(2)
    const shared = new Float32Array(new SharedArrayBuffer(x.byteLength))
    shared.set(x)
    const nested = [Array.from(x.subarray(0, 37)), Array.from(x.subarray(37))]
    const expected = bits(await net.predict(x))
    for (const form of [shared, nested, new NdArray(x, [2, 37]), Float64Array.from(x), [x.subarray(0, 37), x.subarray(37)], { input_1: x }])
      expect(bits(net.predictSync(form))).toEqual(expected)
  })

  it('gives memory of its own, and sees new weights at once', () => {
    const net = network()
    const first = net.predictSync(samples(1))
    const before = bits(first)
    net.setWeights({ 'dense_2.bias': [1, 2, 3] })
    expect(bits(net.predictSync(samples(1)))).not.toEqual(before)
    expect(bits(first)).toEqual(before)
  })

  it('works with several inputs, integers among them, and several outputs', async () => {
    const pixels = input(4, { name: 'pixels' })
    const classes = input(2, { name: 'classes', dtype: 'int32' })
    const joined = concatenate([dense(pixels, 3), dense(pixels, 2, { activation: 'relu' })])
    const net = model([pixels, classes], [joined, add(pixels, sum(cast(classes), { axes: [1], keepDims: true })), argmax(joined)], {
      executor,
    })
    const x: Features = {
      pixels: rows(3, 4, 8),
      classes: [
        [1, 2],
        [3, 4],
        [5, -6],
      ],
    }
    expect(net.predictAllSync(x).map(bits)).toEqual((await net.predictAll(x)).map(bits))
    await expectRefusal(() => net.predictSync(x), 'ERR_OPTION', 'predictSync: this model has 3 outputs', 'predictAllSync')
  })

  it('gives what predict gives where rows of a batch depend on each other', async () => {
    const x = input(37)
    const net = model(x, subtract(x, mean(x, { axes: [0], keepDims: true })), { executor })
    expect(bits(net.predictSync(samples(300)))).toEqual(bits(await net.predict(samples(300))))
  })

  it('refuses what predict refuses, in the same words', async () => {
    const net = network()
    const bad: unknown[] = [[], [[1, 2]], new Float32Array(36), 'x', null, { pixels: samples(1) }, [Array(37).fill('1')]]
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
      for (const place of [0, 5, 36]) bad.push(samples(1).map((number, i) => (i === place ? value : number)))
    for (const x of bad) {
      const { code, message } = await net.predict(x as Features).catch((error) => error)
      const same = { code, message: message.replace('predict', 'predictSync') }
      expect(() => net.predictSync(x as Features)).toThrow(expect.objectContaining(same))
    }
  })

  it('is refused while a run is in progress, and works between epochs', async () => {
    const net = network()
    const between: number[] = []
    const training = net.fit(
      { x: samples(6400), y: rows(6400, 3) },
      { loss: 'meanSquaredError', epochs: 2, shuffle: false, onEpochEnd: () => void between.push(net.predictSync(samples(1)).shape[1]) },
    )
    await hasBegun()
    await expectRefusal(() => net.predictSync(samples(1)), 'ERR_BUSY', 'predictSync', 'use predict')
    await training
    expect(between).toEqual([3, 3])
  })
})
