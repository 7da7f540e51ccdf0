/** Models: how they are put together, named, described, copied, and what they compute. */
import { describe, expect, it } from 'vitest'
import {
  activation,
  add,
  concatenate,
  dense,
  dropout,
  executionInfo,
  flatten,
  gather,
  type Initializer,
  input,
  type Model,
  model,
  multiply,
  NdArray,
  ones,
  parameter,
  printPlan,
  sequential,
  sgd,
  sum,
  type Tensor,
} from '../../../src/index.ts'
import { any } from '../../any.ts'
import { bitsOf, type ExecutorName, executors, expectRefusal, rows, scaledError } from '../../training/support.ts'

describe('bad models', () => {
  const x = input(3)
  it.each<[string, () => unknown, string, string[]]>([
    [
      'no layers',
      () => sequential(any([])),
      'ERR_OPTION',
      ['sequential: expected input(shape) and at least one layer, got an empty array'],
    ],
    ['a layer in place of layers', () => sequential(any(dense(3))), 'ERR_OPTION', ['expected an array of layers, got a function']],
    ['no input in front', () => sequential(any([dense(3)])), 'ERR_OPTION', ['first element must be input(shape)']],
    ['something else among layers', () => sequential(any([x, 'relu'])), 'ERR_OPTION', ['element 1 must be a layer, got "relu"']],
    ['a tensor among layers', () => sequential(any([x, dense(x, 2)])), 'ERR_OPTION', ['element 1 must be a layer', 'Tensor']],
    ['a layer that gives no tensor', () => sequential(any([x, () => 3])), 'ERR_OPTION', ['must be symbolic tensors, got 3']],
    ['an output that is a layer', () => model(x, any(dense(3))), 'ERR_OPTION', ['must be symbolic tensors, got a function']],
    ['no outputs', () => model(x, []), 'ERR_OPTION', ['model: expected at least one output']],
    ['no inputs', () => model([], dense(x, 2)), 'ERR_OPTION', ['input of shape [batch, 3] that is not among the inputs']],
    ['an output from elsewhere', () => model(x, dense(input(5), 2)), 'ERR_OPTION', ['input of shape [batch, 5] that is not among']],
    [
      'an input that leads nowhere',
      () => model([x, input(7)], dense(x, 2)),
      'ERR_OPTION',
      ['no output depends on the input of shape [batch, 7]'],
    ],
    ['an input twice', () => model([x, x], dense(x, 2)), 'ERR_OPTION', ['an input is listed twice']],
    ['an input in the middle', () => model(dense(x, 4), dense(x, 2)), 'ERR_OPTION', ['must come from input(shape)']],
    ['an output without a batch', () => model(x, sum(x)), 'ERR_SHAPE', ['batch as first dimension, got []']],
    [
      'two layers of one name',
      () => sequential([x, dense(2, { name: 'a' }), dense(2, { name: 'a' })]),
      'ERR_OPTION',
      ['sequential: two layers are named "a"'],
    ],
    [
      'a layer named as an input',
      () => sequential([input(2, { name: 'a' }), dense(2, { name: 'a' })]),
      'ERR_OPTION',
      ['two layers are named "a"'],
    ],
    ['a misspelt option', () => sequential([x, dense(2)], any({ sed: 1 })), 'ERR_OPTION', ['"sed" for sequential; did you mean "seed"?']],
    [
      'a negative seed',
      () => sequential([x, dense(2)], { seed: -1 }),
      'ERR_OPTION',
      ['sequential: seed must be an integer of 0 … 9007199254740991, got -1'],
    ],
    ['a fractional seed', () => sequential([x, dense(2)], { seed: 0.5 }), 'ERR_OPTION', ['got 0.5']],
    ['a seed beyond 2^53', () => sequential([x, dense(2)], { seed: 2 ** 53 }), 'ERR_OPTION', ['got 9007199254740992']],
    [
      'an unknown executor',
      () => sequential([x, dense(2)], any({ executor: 'gpu' })),
      'ERR_OPTION',
      ['sequential: executor must be "auto", "native" or "reference", got "gpu"'],
    ],
    [
      'no threads',
      () => sequential([x, dense(2)], { threads: 0 }),
      'ERR_OPTION',
      ['sequential: threads must be an integer of 1 … 256, got 0'],
    ],
    ['too many threads', () => sequential([x, dense(2)], { threads: 257 }), 'ERR_OPTION', ['1 … 256, got 257']],
    ['an option of another model', () => model(x, dense(x, 2), any({ threds: 1 })), 'ERR_OPTION', ['"threds" for model; did you mean']],
    ['half a thread', () => sequential([x, dense(2)], { threads: 1.5 }), 'ERR_OPTION', ['got 1.5']],
    [
      'units by the trillion',
      () => sequential([x, dense(2 ** 40)]),
      'ERR_MEMORY',
      ['parameters 16.0 TiB', 'the machine has', 'GiB', 'narrower layers'],
    ],
    ['as many units as can be counted', () => sequential([x, dense(Number.MAX_SAFE_INTEGER)]), 'ERR_MEMORY', ['PiB', 'the machine has']],
  ])('refuses %s', async (_, call, code, parts) => {
    await expectRefusal(call, code, ...parts)
  })

  it('does not keep a layer from use in a better model', async () => {
    const layer = dense(2, { name: 'a' })
    expect(() => model(x, any([layer(x), 3]))).toThrow()
    expect((await model(x, layer(x)).predict([[0, 0, 0]])).shape).toEqual([1, 2])
  })
})

describe('names', () => {
  it('count the layers of a kind, around the names that were given', () => {
    const net = sequential([input(2), dense(3), dense(3, { name: 'dense_2' }), dense(3), activation('relu'), dense(1, { name: 'last' })])
    expect(Object.keys(net.weights())).toEqual(
      ['dense_1', 'dense_2', 'dense_3', 'last'].flatMap((layer) => [`${layer}.kernel`, `${layer}.bias`]),
    )
    expect(net.inputNames).toEqual(['input_1'])
  })

  it('of inputs are their own, or their number', () => {
    const [a, b, c] = [input(1, { name: 'age' }), input(1), input(1)]
    expect(model([a, b, c], concatenate([a, b, c])).inputNames).toEqual(['age', 'input_1', 'input_2'])
  })

  it('of an input may be "target"', async () => {
    const x = input(2, { name: 'target' })
    const net = model(x, dense(x, 1))
    const { epochs } = await net.fit({ x: { target: rows(4, 2) }, y: rows(4, 1) }, { loss: 'meanSquaredError', epochs: 20 })
    expect(epochs[19].loss).toBeLessThan(epochs[0].loss)
  })
})

it('layers may be in an array of before', () => {
  const layers = [input(4), dense(3), (x: Tensor) => multiply(x, 2)]
  expect(sequential(layers).outputs[0].shape.slice(1)).toEqual([3])
})

it('a summary is a table', () => {
  const x = input(4, { name: 'features' })
  const h = dense(x, 32, { activation: 'relu', name: 'hidden' })
  const net = model(x, dense(dropout(add(h, dense(h, 32)), 0.5), 3))
  expect(net.parameterCount).toBe(4 * 32 + 32 + 32 * 32 + 32 + 32 * 3 + 3)
  expect(net.summary()).toBe(
    `${[
      'layer      kind     output shape  parameters',
      '─────────  ───────  ────────────  ──────────',
      'features   input    [batch, 4]             0',
      'hidden     dense    [batch, 32]          160',
      'dense_1    dense    [batch, 32]        1,056',
      'dropout_1  dropout  [batch, 32]            0',
      'dense_2    dense    [batch, 3]            99',
      '',
      '1,315 trainable parameters, 5.1 KiB',
    ].join('\n')}\n`,
  )
  net.freeze(['hidden', 'dense_1.bias'])
  expect(net.summary()).toBe(
    `${[
      'layer      kind     output shape  parameters  frozen',
      '─────────  ───────  ────────────  ──────────  ──────',
      'features   input    [batch, 4]             0       0',
      'hidden     dense    [batch, 32]          160     160',
      'dense_1    dense    [batch, 32]        1,056      32',
      'dropout_1  dropout  [batch, 32]            0       0',
      'dense_2    dense    [batch, 3]            99       0',
      '',
      '1,123 trainable parameters, 192 frozen, 5.1 KiB',
    ].join('\n')}\n`,
  )
})

describe('weights', () => {
  const make = (seed: number) => sequential([input(3), dense(4, { activation: 'tanh' }), dense(2)], { seed })
  const x = rows(5, 3, 1)

  it('go from one model to another', async () => {
    const [from, to] = [make(1), make(2)]
    expect(bitsOf(from)).not.toEqual(bitsOf(to))
    to.setWeights(from.weights())
    expect(bitsOf(to)).toEqual(bitsOf(from))
    expect((await to.predict(x)).data).toEqual((await from.predict(x)).data)
  })

  it('are copies', async () => {
    const net = make(1)
    const before = bitsOf(net)
    const weights = net.weights()
    weights['dense_1.kernel'].data.fill(0)
    expect(bitsOf(net)).toEqual(before)
    net.setWeights(weights)
    weights['dense_1.kernel'].data.fill(9)
    expect(new Set(net.weights()['dense_1.kernel'].data)).toEqual(new Set([0]))
  })

  it('may be set one at a time, in any form', () => {
    const net = make(1)
    const before = net.weights()
    const kernel = rows(4, 2, 3).map((row) => row.map(Math.fround))
    for (const form of [kernel, Float32Array.from(kernel.flat()), new NdArray(Float64Array.from(kernel.flat()), [4, 2])]) {
      net.initialize()
      net.setWeights({ 'dense_2.kernel': form })
      expect(net.weights()['dense_2.kernel'].toArray()).toEqual(kernel)
      expect(net.weights()['dense_1.kernel']).toEqual(before['dense_1.kernel'])
    }
  })

  it('have the shapes of the parameters', () => {
    expect(Object.entries(make(1).weights()).map(([name, { shape }]) => [name, shape])).toEqual([
      ['dense_1.kernel', [3, 4]],
      ['dense_1.bias', [4]],
      ['dense_2.kernel', [4, 2]],
      ['dense_2.bias', [2]],
    ])
  })

  it('may be scalars, and there and back', () => {
    const scale = parameter('scale', [], ones)
    const net = sequential([input(2), (t: Tensor) => multiply(t, scale)])
    net.values(scale)[0] = 5
    const weights = net.weights()
    net.initialize()
    net.setWeights(weights)
    expect(net.weights().scale.toArray()).toBe(5)
  })

  it('of a layer that serves two models are apart', async () => {
    const layer = dense(1, { name: 'shared' })
    const [a, b] = [sequential([input(2), layer]), sequential([input(2), layer])]
    expect(bitsOf(a)).toEqual(bitsOf(b))
    await a.fit({ x: rows(4, 2), y: rows(4, 1) }, { loss: 'meanSquaredError' })
    expect(bitsOf(a)).not.toEqual(bitsOf(b))
  })
})

describe.each(executors)('graphs on the %s executor', (executor: ExecutorName) => {
  const samples = rows(6, 3, 1)
  const targets = rows(6, 2, 2)

  /** x · kernel + bias by the weights of a layer, in double precision. */
  const through = (net: Model, layer: string, from: readonly (readonly number[])[]): number[][] => {
    const { [`${layer}.kernel`]: kernel, [`${layer}.bias`]: bias } = net.weights()
    return from.map((row) =>
      Array.from({ length: kernel.shape[1] }, (_, j) => row.reduce((total, value, i) => total + value * kernel.at(i, j), bias.at(j))),
    )
  }
  const expectClose = async (net: Model, x: Parameters<Model['predict']>[0], expected: number[][]) => {
    expect(scaledError((await net.predict(x)).data, expected.flat())).toBeLessThan(1e-6)
  }
  const expectLearning = async (net: Model, data: Parameters<Model['fit']>[0]) => {
    const before = bitsOf(net)
    const { epochs } = await net.fit(data, { loss: 'meanSquaredError', optimizer: sgd({ learningRate: 0.05 }), epochs: 40 })
    expect(epochs[39].loss).toBeLessThan(epochs[0].loss)
    const after = bitsOf(net)
    for (const name of Object.keys(before)) expect(after[name], name).not.toEqual(before[name])
  }

  it('a residual connection is an addition', async () => {
    const x = input(3)
    const net = model(x, dense(add(x, dense(x, 3, { name: 'inner' })), 2, { name: 'outer' }), { executor, seed: 1 })
    const inner = through(net, 'inner', samples).map((row, i) => row.map((value, j) => value + samples[i][j]))
    await expectClose(net, samples, through(net, 'outer', inner))
    await expectLearning(net, { x: samples, y: targets })
  })

  it('branches are joined by concatenate', async () => {
    const x = input(3)
    const net = model(x, dense(concatenate([dense(x, 2, { name: 'a' }), x, dense(x, 4, { name: 'b' })]), 2, { name: 'end' }), {
      executor,
      seed: 2,
    })
    const [a, b] = ['a', 'b'].map((layer) => through(net, layer, samples))
    await expectClose(
      net,
      samples,
      through(
        net,
        'end',
        samples.map((row, i) => [...a[i], ...row, ...b[i]]),
      ),
    )
    await expectLearning(net, { x: samples, y: targets })
  })

  it('a shared layer has one set of parameters, moved by all its uses', async () => {
    const [a, b] = [input(3, { name: 'a' }), input(3, { name: 'b' })]
    const shared = dense(2, { name: 'shared' })
    const net = model([a, b], add(shared(a), shared(b)), { executor, seed: 3 })
    expect(Object.keys(net.weights())).toEqual(['shared.kernel', 'shared.bias'])
    const others = rows(6, 3, 5)
    const [left, right] = [samples, others].map((from) => through(net, 'shared', from))
    await expectClose(
      net,
      { a: samples, b: others },
      left.map((row, i) => row.map((value, j) => value + right[i][j])),
    )
    // One step from zero: the gradient by the bias is that of y = 2 bias, twice as large as for one use.
    net.setWeights({ 'shared.kernel': new Float32Array(6), 'shared.bias': [0, 0] })
    await net.fit({ x: { a: samples, b: others }, y: targets }, { loss: 'meanSquaredError', optimizer: sgd({ learningRate: 1 }) })
    const mean = (j: number) => targets.reduce((total, row) => total + row[j], 0) / targets.length
    expect(scaledError(net.weights()['shared.bias'].data, [2 * mean(0), 2 * mean(1)])).toBeLessThan(1e-6)
    await expectLearning(net, { x: { a: samples, b: others }, y: targets })
  })

  it('several inputs go by name, in any order', async () => {
    const [a, b] = [input(3, { name: 'a' }), input(2, { name: 'b' })]
    const net = model([a, b], add(dense(a, 2, { name: 'left' }), dense(b, 2, { name: 'right' })), { executor, seed: 4 })
    const others = rows(6, 2, 5)
    const [left, right] = [through(net, 'left', samples), through(net, 'right', others)]
    const expected = left.map((row, i) => row.map((value, j) => value + right[i][j]))
    await expectClose(net, { a: samples, b: others }, expected)
    await expectClose(net, { b: others, a: samples }, expected)
    await expectLearning(net, { x: { a: samples, b: others }, y: targets })
    const before = bitsOf(net)
    const fit = (x: unknown) => () => net.fit({ x: any(x), y: targets }, { loss: 'meanSquaredError' })
    await expectRefusal(fit({ a: samples }), 'ERR_OPTION', 'no entry for input "b", got a')
    await expectRefusal(fit({ a: samples, b: others, c: others }), 'ERR_OPTION', 'Unknown input "c"', 'known are a, b')
    await expectRefusal(fit(samples), 'ERR_OPTION', 'this model has 2 inputs', 'object with a, b')
    await expectRefusal(fit([samples, others]), 'ERR_OPTION', 'this model has 2 inputs')
    await expectRefusal(fit({ a: samples, b: others.slice(1) }), 'ERR_SHAPE', 'input "a" has 6 samples and input "b" has 5')
    await expectRefusal(fit({ a: samples, b: samples }), 'ERR_DATA', 'input "b"', 'rows of shape [2]', 'shape [6, 3]')
    expect(bitsOf(net)).toEqual(before)
    await expectLearning(net, { x: { a: samples, b: others }, y: targets })
  })

  it('several outputs come as a list', async () => {
    const x = input(3)
    const h = dense(x, 4, { name: 'h' })
    const net = model(x, [h, dense(h, 1, { name: 'y' }), flatten(x)], { executor })
    const found = await net.predictAll(samples)
    const hidden = through(net, 'h', samples)
    expect(found.map(({ shape }) => shape)).toEqual([
      [6, 4],
      [6, 1],
      [6, 3],
    ])
    ;[hidden, through(net, 'y', hidden), samples].forEach((expected, i) => {
      expect(scaledError(found[i].data, expected.flat())).toBeLessThan(1e-6)
    })
    expect((await model(x, h, { executor }).predictAll(samples)).length).toBe(1)
  })

  it('indices are int32 inputs', async () => {
    const tokens = input(2, { dtype: 'int32' })
    const counted: Initializer = (values) => {
      for (let i = 0; i < values.length; i++) values[i] = i
    }
    const table = parameter('table', [5, 3], counted)
    const net = model(tokens, flatten(gather(table, tokens)), { executor })
    const { data } = await net.predict([[4, 0]])
    expect([...data]).toEqual([12, 13, 14, 0, 1, 2])
    const before = net.weights().table.data
    await net.fit({ x: [[4, 0]], y: [[0, 0, 0, 0, 0, 0]] }, { loss: 'meanSquaredError', optimizer: sgd({ learningRate: 0.1 }) })
    const moved = [...net.weights().table.data].flatMap((value, i) => (value === before[i] ? [] : [i]))
    expect(moved).toEqual([1, 2, 12, 13, 14])
    await expectRefusal(() => net.predict([[1.5, 0]]), 'ERR_DATA', 'expected integers, got 1.5')
  })

  it('an input may be its own output', async () => {
    const x = input(2)
    expect((await model(x, x, { executor }).predict([[1, 2]])).toArray()).toEqual([[1, 2]])
  })

  it('a model may be trained on data in shared memory without a copy', async () => {
    const shared = new Float32Array(new SharedArrayBuffer(18 * 4))
    shared.set(samples.flat())
    const make = () => sequential([input(3), dense(2)], { executor })
    const [net, twin] = [make(), make()]
    await net.fit({ x: shared, y: targets }, { loss: 'meanSquaredError' })
    await twin.fit({ x: samples, y: targets }, { loss: 'meanSquaredError' })
    expect(bitsOf(net)).toEqual(bitsOf(twin))
    expect([...shared]).toEqual(samples.flat().map(Math.fround))
  })
})

it('plans print, and say which layer an instruction belongs to', () => {
  const text = printPlan(sequential([input(3), dense(2, { name: 'only', activation: 'relu' })]).plan(4))
  expect(text).toContain('plan for inference, batch 4')
  expect(text).toMatch(/relu\(matmul\(input_1, only\.kernel, only\.bias\)\) {3}# only/)
})

it('the machine describes itself', () => {
  const { native, instructionSets, hardwareThreads, failure } = executionInfo()
  expect(native).toBe(failure === null)
  expect(instructionSets.length > 0).toBe(native)
  expect(hardwareThreads).toBeGreaterThanOrEqual(1)
})
