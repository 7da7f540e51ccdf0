import { Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import {
  add,
  concatenate,
  type DataError,
  dense,
  flatten,
  input,
  model,
  NdArray,
  oneHot,
  type RowFeatures,
  sequential,
} from '../../../src/index.ts'
import { executors, expectRefusal, hasBegun, numbers, rows, scaledError } from '../../training/support.ts'
import { collect } from '../predict/support.ts'

const network = (executor: 'native' | 'reference') =>
  sequential([input(5), dense(7, { activation: 'tanh' }), dense(3)], { executor, seed: 3 })

describe.each(executors)('rows of a model on the %s executor', (executor) => {
  it.each([1, 2, 3, 5, 37, 255, 256, 257, 700])('%d of them are predicted as predict does', async (count) => {
    const net = network(executor)
    const x = rows(count, 5)
    const { data } = await net.predict(x)
    for (const batchSize of [256, 16, 300]) {
      const predictions = await collect(net.predictStream(x, { batchSize }))
      expect(predictions.every((row) => row instanceof NdArray && row.shape.length === 1 && row.shape[0] === 3)).toBe(true)
      expect(
        scaledError(
          predictions.flatMap((row) => [...row.data]),
          data,
        ),
      ).toBeLessThan(1e-6)
    }
  })

  it('are predicted by a Node stream, a web stream and a predictor', async () => {
    const net = network(executor)
    const x = rows(20, 5)
    const expected = (await collect(net.predictStream(x))).map(({ data }) => data)
    const map = ({ data }: NdArray) => data
    expect(await collect(Readable.from(x).pipe(net.transform({ map })))).toEqual(expected)
    expect(await collect((Readable.toWeb(Readable.from(x)) as ReadableStream<RowFeatures>).pipeThrough(net.transformWeb({ map })))).toEqual(
      expected,
    )
    const predictor = net.predictor()
    const answers = await Promise.all(x.map((row) => predictor.predict(row)))
    expect(answers.map(({ data }) => data)).toEqual(expected)
  })

  it('wait for the epoch of a run that trains the model, and see its weights', async () => {
    const net = network(executor)
    const x = rows(64, 5)
    const before = (await net.predict(x)).data
    const predictor = net.predictor()
    const run = net.fit({ x, y: rows(64, 3) }, { loss: 'meanSquaredError', epochs: 3, batchSize: 8 })
    await hasBegun()
    const during = await predictor.predict(x[0])
    const streamed = await collect(net.predictStream(x))
    await run
    expect(during.at(0)).not.toBe(before[0])
    expect(streamed).toHaveLength(64)
    const after = await predictor.predict(x[0])
    expect(scaledError(after.data, (await net.predict([x[0]])).data)).toBeLessThan(1e-6)
  })

  it('leave the event loop free, also when nothing else has to be waited for', async () => {
    const x = rows(64, 5)
    function* many() {
      for (let i = 0; i < 40_000; i++) yield x[i % 64]
    }
    let turns = 0
    const count = () => {
      turns += 1
      next = setImmediate(count)
    }
    let next = setImmediate(count)
    const began = performance.now()
    let predictions = 0
    for await (const _ of network(executor).predictStream(many())) predictions += 1
    clearImmediate(next)
    expect(predictions).toBe(40_000)
    // Held for so long at a time, on average; the work as a whole takes some hundred.
    expect((performance.now() - began) / turns).toBeLessThan(50)
    expect(turns).toBeGreaterThan(5)
  })

  it('are predicted at once by several streams and predictors of one model', async () => {
    const net = network(executor)
    const x = rows(100, 5)
    const expected = (await net.predict(x)).data
    const streams = [1, 7, 64].map((batchSize) => collect(net.predictStream(x, { batchSize })))
    const predictors = [3, 50].map((maxBatch) => {
      const predictor = net.predictor({ maxBatch })
      return Promise.all(x.map((row) => predictor.predict(row)))
    })
    for (const predictions of await Promise.all([...streams, ...predictors]))
      expect(
        scaledError(
          predictions.flatMap(({ data }) => [...data]),
          expected,
        ),
      ).toBeLessThan(1e-6)
  })
})

describe('a row of a model', () => {
  const four = sequential([input(4), dense(2)])
  const image = sequential([input([2, 3]), flatten(), dense(1)])
  const single = sequential([input(1), dense(1)])
  const a = input(2, { name: 'a' })
  const b = input([], { name: 'b', dtype: 'int32' })
  const both = model([a, b], [dense(concatenate([a, oneHot(b, 3)]), 1, { name: 'price' }), add(a, 1)])

  it('may be given in every form that predict takes', async () => {
    const values = numbers(4, 5)
    const { data } = await four.predict([values])
    const forms: RowFeatures[] = [
      values,
      Float32Array.from(values),
      Float64Array.from(values),
      new NdArray(Float32Array.from(values), [4]),
      { [four.inputNames[0]]: values },
    ]
    for (const prediction of await collect(four.predictStream(forms))) expect(scaledError(prediction.data, data)).toBeLessThan(1e-6)
    const pixels = rows(2, 3, 6)
    const flat = Float32Array.from(pixels.flat())
    const imageForms: RowFeatures[] = [pixels, flat, pixels.map((line) => Float32Array.from(line)), new NdArray(flat, [2, 3])]
    const expected = (await image.predict([pixels])).data
    for (const prediction of await collect(image.predictStream(imageForms)))
      expect(scaledError(prediction.data, expected)).toBeLessThan(1e-6)
    const [number, row] = await collect(single.predictStream<NdArray>([0.5, [0.5]]))
    expect(number.data).toEqual(row.data)
  })

  it('of several inputs and outputs is given and predicted by name', async () => {
    const x = [1, 2, 3].map((i) => ({ a: [i, -i], b: i % 3 }))
    const [prices] = await both.predictAll({ a: x.map((row) => row.a), b: x.map((row) => row.b) })
    const predictions = await collect(both.predictStream<Record<string, NdArray>>(x))
    expect(predictions.map((row) => Object.keys(row))).toEqual(x.map(() => [...both.outputNames]))
    expect(
      scaledError(
        predictions.map((row) => row.price.at(0)),
        prices.data,
      ),
    ).toBeLessThan(1e-6)
    expect(predictions.map((row) => [...row[both.outputNames[1]].data])).toEqual(x.map((row) => row.a.map((value) => value + 1)))
  })

  it('keeps its prediction when others are made', async () => {
    const x = rows(600, 4)
    const kept = await collect(four.predictStream(x, { batchSize: 32 }))
    const copies = kept.map(({ data }) => Float32Array.from(data))
    await collect(four.predictStream(rows(600, 4, 9), { batchSize: 32 }))
    expect(kept.map(({ data }) => data)).toEqual(copies)
  })

  it('may be changed by its owner once it was handed over to a batch', async () => {
    const row = [1, 2, 3, 4]
    const predictor = four.predictor({ maxBatch: 1 })
    const promised = predictor.predict(row)
    row.fill(0)
    expect((await promised).data).toEqual((await four.predict([[1, 2, 3, 4]])).data)
  })

  it.each<[string, typeof four, unknown, ...string[]]>([
    ['too short', four, [1, 2, 3], 'input "input_1"', 'expected 4 numbers of shape [4], got 3 numbers'],
    ['too long', four, Float32Array.of(1, 2, 3, 4, 5), 'got 5 numbers'],
    ['empty', four, [], 'got 0 numbers'],
    ['a number', four, 3, 'got 1 number'],
    ['of text', four, ['1', '2', '3', '4'], 'expected a number at [0], got "1"'],
    ['with a hole', four, [1, undefined, 3, 4], 'at [1], got undefined'],
    ['with NaN', four, [1, 2, Number.NaN, 4], 'expected finite numbers, got NaN at column 2'],
    ['infinite', four, Float32Array.of(1, Number.POSITIVE_INFINITY, 3, 4), 'got Infinity at column 1'],
    ['beyond float32', four, [1, 1e39, 3, 4], 'got 1e+39 at column 1'],
    ['a batch', four, [[1, 2, 3, 4]], 'got numbers of shape [1, 4]'],
    ['text', four, 'abcd', 'expected numbers', '"abcd"'],
    ['of bigints', four, BigInt64Array.of(1n, 2n, 3n, 4n), 'expected numbers'],
    ['with numbers of another name', four, { input_2: [1, 2, 3, 4] }, 'input_2'],
    [
      'ragged',
      image,
      [
        [1, 2, 3],
        [4, 5],
      ],
      'rows must have equal lengths',
      'at [1], got 2',
    ],
    [
      'of another shape',
      image,
      [
        [1, 2],
        [3, 4],
        [5, 6],
      ],
      'expected 6 numbers of shape [2, 3], got numbers of shape [3, 2]',
    ],
    ['of one input only', both, { a: [1, 2] }, 'no entry for input "b"'],
    ['without names', both, [1, 2], 'an object with a, b'],
    ['of fractions for indices', both, { a: [1, 2], b: 1.5 }, 'input "b"', 'expected integers, got 1.5'],
    ['of indices beyond 32 bits', both, { a: [1, 2], b: 2 ** 32 }, 'expected integers'],
    ['with a name from a prototype', both, JSON.parse('{"a": [1, 2], "__proto__": 1}'), '__proto__'],
  ])('%s is refused with its number, and the others are predicted', async (_, net, row, ...parts) => {
    const good = net === both ? { a: [1, 2], b: 1 } : net === image ? rows(2, 3) : [1, 2, 3, 4]
    const errors: DataError[] = []
    const onError = (error: Error) => void errors.push(error as DataError)
    const source = [good, row, good] as RowFeatures[]
    expect(await collect(net.predictStream(source, { onError }))).toHaveLength(2)
    expect(errors).toHaveLength(1)
    for (const part of ['predictStream: row 1', ...parts]) expect(errors[0].message).toContain(part)
    expect(['ERR_DATA', 'ERR_OPTION']).toContain(errors[0].code)
    await expectRefusal(() => collect(net.predictStream(source)), errors[0].code, 'predictStream: row 1', ...parts)
  })
})
