/** Layers, activations, initializers and regularizers. */
import { describe, expect, it } from 'vitest'
import {
  activation,
  add,
  concatenate,
  constantOf,
  dense,
  dropout,
  flatten,
  gradcheck,
  type Initializer,
  type InitializerName,
  identity,
  input,
  l2,
  type Model,
  model,
  normalOf,
  orthogonal,
  relu,
  sequential,
  sgd,
  sum,
  type Tensor,
  type TrainingData,
  tanh,
  truncatedNormal,
  uniformWithin,
  varianceScaling,
} from '../../../src/index.ts'
import { stepVariable } from '../../../src/ops/random.ts'
import { Purpose, RandomStream } from '../../../src/random.ts'
import { any } from '../../any.ts'
import { bitsOf, executors, expectRefusal, rows, scaledBy, scaledError, sumLoss, whileTraining } from '../../training/support.ts'

type Refusal = readonly [what: string, call: () => unknown, code: string, ...parts: string[]]

const x = () => input(3)
const refusals: Refusal[] = [
  ['no units', () => dense(0), 'ERR_OPTION', 'dense: units must be an integer of at least 1, got 0'],
  ['negative units', () => dense(-4), 'ERR_OPTION', 'got -4'],
  ['half a unit', () => dense(2.5), 'ERR_OPTION', 'got 2.5'],
  ['units of NaN', () => dense(Number.NaN), 'ERR_OPTION', 'got NaN'],
  ['units as text', () => dense(any('64')), 'ERR_OPTION', 'got "64"'],
  ['units left out', () => dense(any(undefined)), 'ERR_OPTION', 'got undefined'],
  ['a misspelt option', () => dense(4, any({ activaton: 'relu' })), 'ERR_OPTION', '"activaton" for dense', 'did you mean "activation"?'],
  [
    'options that are no object',
    () => dense(4, any('relu')),
    'ERR_OPTION',
    `dense: options must be an object, got "relu"; say dense(4, { activation: 'relu' }).`,
  ],
  ['a misspelt activation', () => dense(4, any({ activation: 'rleu' })), 'ERR_OPTION', 'activation "rleu"', 'did you mean "relu"?'],
  ['an unknown activation', () => dense(4, any({ activation: 'step' })), 'ERR_OPTION', 'activation "step"', 'linear, relu, gelu'],
  ['an activation of the prototype', () => activation(any('toString')), 'ERR_OPTION', 'Unknown activation "toString"'],
  ['an activation that is a number', () => activation(any(3)), 'ERR_OPTION', 'Unknown activation 3'],
  ['a misspelt initializer', () => dense(4, any({ kernelInitializer: 'heuniform' })), 'ERR_OPTION', 'did you mean "heUniform"?'],
  ['an unknown initializer', () => dense(4, any({ biasInitializer: 'lecun' })), 'ERR_OPTION', 'initializer "lecun"', 'glorotUniform'],
  ['an initializer of NaN', () => constantOf(Number.NaN), 'ERR_OPTION', 'constantOf: value must be a finite number, got NaN'],
  ['bounds in the wrong order', () => uniformWithin(1, -1), 'ERR_OPTION', 'uniformWithin: low must not be above high, got 1 and -1'],
  ['a negative deviation', () => normalOf(0, -1), 'ERR_OPTION', 'normalOf: stddev must be at least 0, got -1'],
  [
    'an infinite deviation',
    () => truncatedNormal(0, Number.POSITIVE_INFINITY),
    'ERR_OPTION',
    'stddev must be a finite number, got Infinity',
  ],
  ['a scale of 0', () => varianceScaling({ scale: 0 }), 'ERR_OPTION', 'varianceScaling: scale must be above 0, got 0'],
  [
    'an unknown mode',
    () => varianceScaling(any({ mode: 'fan_in' })),
    'ERR_OPTION',
    'mode "fan_in" for varianceScaling',
    'did you mean "fanIn"?',
  ],
  [
    'an unknown distribution',
    () => varianceScaling(any({ distribution: 'gauss' })),
    'ERR_OPTION',
    'distribution "gauss"',
    'truncatedNormal',
  ],
  [
    'a factory in place of an initializer',
    () => sequential([input(3), dense(2, { kernelInitializer: any(orthogonal) })]),
    'ERR_OPTION',
    'gain must be a finite number',
  ],
  [
    'an orthogonal bias',
    () => sequential([input(3), dense(2, { biasInitializer: 'orthogonal' })]),
    'ERR_SHAPE',
    'orthogonal: expected a shape of two extents',
    '[2]',
  ],
  [
    'an identity of rank 1',
    () => sequential([input(3), dense(2, { biasInitializer: 'identity' })]),
    'ERR_SHAPE',
    'identity: expected a matrix, got [2]',
  ],
  ['a bias that is no boolean', () => dense(4, any({ useBias: 0 })), 'ERR_OPTION', 'useBias must be true or false, got 0'],
  [
    'a regularizer by name',
    () => dense(4, any({ kernelRegularizer: 'l2' })),
    'ERR_OPTION',
    'must be a function such as l2(1e-4), got "l2"',
  ],
  ['a negative penalty', () => l2(-1), 'ERR_OPTION', 'l2: strength must be a number of at least 0, got -1'],
  ['a penalty of NaN', () => l2(Number.NaN), 'ERR_OPTION', 'got NaN'],
  ['a name with dots', () => dense(4, { name: 'a.b' }), 'ERR_OPTION', 'dense: name must be a non-empty string without dots, got "a.b"'],
  ['an empty name', () => flatten({ name: '' }), 'ERR_OPTION', 'flatten: name', 'got ""'],
  ['a name that is a number', () => concatenate([x(), x()], any({ name: 3 })), 'ERR_OPTION', 'concatenate: name', 'got 3'],
  ['a rate of 1', () => dropout(1), 'ERR_OPTION', 'dropout: rate must lie in 0 … 1 (1 excluded), got 1'],
  ['a negative rate', () => dropout(-0.1), 'ERR_OPTION', 'got -0.1'],
  ['a rate in per cent', () => dropout(50), 'ERR_OPTION', 'got 50'],
  ['a rate of NaN', () => dropout(Number.NaN), 'ERR_OPTION', 'got NaN'],
  ['a rate as text', () => dropout(any('0.5')), 'ERR_OPTION', 'got "0.5"'],
  ['an input of 0', () => input(0), 'ERR_SHAPE', 'input: expected extents that are integers of at least 1, got [0]'],
  ['a negative extent', () => input([28, -1]), 'ERR_SHAPE', 'got [28, -1]'],
  ['half an extent', () => input(1.5), 'ERR_SHAPE', 'got [1.5]'],
  ['a shape of NaN', () => input(Number.NaN), 'ERR_SHAPE', 'got [NaN]'],
  ['text in a shape', () => input(any([3, '4'])), 'ERR_SHAPE', 'got [3, 4]'],
  ['a shape as text', () => input(any('784')), 'ERR_OPTION', 'input: shape must be a number or an array of numbers, got "784"'],
  ['options in place of a shape', () => input(any({ name: 'x' })), 'ERR_OPTION', 'shape must be a number or an array'],
  ['an unknown dtype', () => input(3, any({ dtype: 'float64' })), 'ERR_OPTION', 'dtype must be "float32" or "int32", got "float64"'],
  ['an input named by a number', () => input(3, any({ name: 7 })), 'ERR_OPTION', 'input: name must be a non-empty string, got 7'],
  ['a misspelt option of input', () => input(3, any({ dtyp: 'int32' })), 'ERR_OPTION', '"dtyp" for input', 'did you mean "dtype"?'],
  ['one number a sample', () => dense(input(), 4), 'ERR_SHAPE', 'dense: expected an input of shape [batch, …, features], got [batch]'],
  ['class numbers', () => dense(input(3, { dtype: 'int32' }), 4), 'ERR_DTYPE', 'a must be float32, got int32 [batch, 3]', 'Try cast(x)'],
  ['a layer applied to a layer', () => dense(4)(any(dense(4))), 'ERR_OPTION', 'dense: expected a symbolic tensor, got a function'],
  [
    'a layer applied to numbers',
    () => dense(4)(any([1, 2])),
    'ERR_OPTION',
    'expected a symbolic tensor, got an array of 2',
    'input(shape)',
  ],
  ['an array of layers to concatenate', () => concatenate(any([dense(2), dense(3)])), 'ERR_OPTION', 'operand 0 must be a symbolic tensor'],
  ['nothing to concatenate', () => concatenate([]), 'ERR_SHAPE', 'concat (layer "concatenate")', 'at least one'],
  ['one tensor to concatenate', () => concatenate(any(x())), 'ERR_OPTION', 'expected an array of symbolic tensors'],
  ['tensors of unequal rank', () => concatenate([input(3), input([3, 3])]), 'ERR_SHAPE', '[batch, 3] and [batch, 3, 3]'],
  ['an axis that is not there', () => concatenate([x(), x()], { axis: 2 }), 'ERR_SHAPE', 'axis 2 is out of range'],
  ['operands of a sum that do not fit', () => add(dense(x(), 3), dense(x(), 4)), 'ERR_SHAPE', 'add', '[batch, 3] and [batch, 4]'],
]

describe('bad layers', () => {
  it.each(refusals.map((refusal) => [refusal[0], refusal] as const))('refuses %s', async (_, [, call, code, ...parts]) => {
    await expectRefusal(call, code, ...parts)
  })

  it('refuses a second input of another width, by the name of the layer', async () => {
    const shared = dense(4, { name: 'shared' })
    shared(input(3))
    await expectRefusal(() => shared(input(5)), 'ERR_SHAPE', 'dense (layer "shared")', 'takes 3 features', '[batch, 5]')
  })

  it('leaves a layer usable after a refused call', () => {
    const layer = dense(4)
    expect(() => layer(any(3))).toThrow()
    expect(layer(input(3)).shape[1]).toBe(4)
  })
})

describe.each(executors)('layers on the %s executor', (executor) => {
  const predict = async (net: Model, x: number[][]) => (await net.predict(x)).data
  const samples = rows(5, 3, 4)

  it('dense is activation(x · kernel + bias)', async () => {
    const net = sequential([input(3), dense(4, { activation: 'tanh', biasInitializer: 'glorotUniform' })], { executor })
    const { 'dense_1.kernel': kernel, 'dense_1.bias': bias } = net.weights()
    const expected = samples.flatMap((row) =>
      Array.from({ length: 4 }, (_, j) => Math.tanh(row.reduce((total, value, i) => total + value * kernel.at(i, j), bias.at(j)))),
    )
    expect(scaledError(await predict(net, samples), expected)).toBeLessThan(1e-6)
    expect(Math.max(...bias.data.map(Math.abs))).toBeGreaterThan(0.1)
  })

  it('dense without bias has a kernel only', async () => {
    const net = sequential([input(3), dense(2, { useBias: false })], { executor })
    expect(Object.keys(net.weights())).toEqual(['dense_1.kernel'])
    expect([...(await predict(net, [[0, 0, 0]]))]).toEqual([0, 0])
  })

  it('dense works on the last axis of higher ranks', async () => {
    const net = sequential([input([2, 3]), dense(2, { kernelInitializer: 'ones' })], { executor })
    const { shape, data } = await net.predict([samples.slice(0, 2)])
    expect(shape).toEqual([1, 2, 2])
    const sums = samples.slice(0, 2).map((row) => row[0] + row[1] + row[2])
    expect(scaledError(data, [sums[0], sums[0], sums[1], sums[1]])).toBeLessThan(1e-6)
  })

  it('flatten keeps the order of the elements', async () => {
    const net = sequential([input([2, 3]), flatten()], { executor })
    const { shape, data } = await net.predict([samples.slice(0, 2), samples.slice(2, 4)])
    expect(shape).toEqual([2, 6])
    expect([...data]).toEqual(samples.slice(0, 4).flat().map(Math.fround))
  })

  it('flatten gives one number a sample a dimension', async () => {
    const { shape } = await sequential([input(), flatten()], { executor }).predict([1, 2, 3])
    expect(shape).toEqual([3, 1])
  })

  it.each([
    [-1, [5, 5]],
    [1, [5, 5]],
  ])('concatenate joins along axis %i', async (axis, shape) => {
    const [a, b] = [input(3, { name: 'a' }), input(2, { name: 'b' })]
    const net = model([a, b], concatenate([a, b], { axis }), { executor })
    const second = rows(5, 2, 5)
    const joined = await net.predict({ a: samples, b: second })
    expect(joined.shape).toEqual(shape)
    expect([...joined.data]).toEqual(samples.flatMap((row, i) => [...row, ...second[i]]).map(Math.fround))
  })

  const functions: Record<string, (x: number) => number> = {
    linear: (x) => x,
    relu: (x) => Math.max(x, 0),
    sigmoid: (x) => 1 / (1 + Math.exp(-x)),
    tanh: Math.tanh,
    softplus: (x) => Math.log1p(Math.exp(x)),
    geluTanh: (x) => (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
    // Φ by numerical integration of the density, independent of the library's erf.
    gelu: (x) => x * (0.5 + integral((t) => Math.exp((-t * t) / 2) / Math.sqrt(2 * Math.PI), x)),
  }

  it.each(Object.keys(functions))('%s is what its name says', async (name) => {
    const net = sequential([input(3), activation(any(name))], { executor })
    const wide = rows(20, 3, 6, -4, 4)
    expect(scaledError(await predict(net, wide), wide.flat().map(functions[name]))).toBeLessThan(1e-6)
  })

  it.each(['softmax', 'logSoftmax'] as const)('%s is over the last axis', async (name) => {
    const net = sequential([input(3), activation(name)], { executor })
    const expected = samples.flatMap((row) => {
      const total = row.reduce((sum, value) => sum + Math.exp(value), 0)
      return row.map((value) => (name === 'softmax' ? Math.exp(value) / total : value - Math.log(total)))
    })
    expect(scaledError(await predict(net, samples), expected)).toBeLessThan(1e-6)
  })

  it('an activation may be any function of a tensor', async () => {
    const net = sequential([input(3), activation((x: Tensor) => add(x, 1)), activation(relu)], { executor })
    expect([...(await predict(net, [[-3, 0, 2]]))]).toEqual([0, 1, 3])
  })
})

/** ∫₀ˣ f by Simpson's rule. */
function integral(f: (t: number) => number, x: number): number {
  const steps = 2000
  const h = x / steps
  let total = f(0) + f(x)
  for (let i = 1; i < steps; i++) total += (i % 2 === 1 ? 4 : 2) * f(i * h)
  return (total * h) / 3
}

describe('initializers', () => {
  const [fanIn, fanOut] = [200, 300]
  /** The values an initializer gives a kernel of 60,000 numbers. */
  const kernel = (kernelInitializer: InitializerName | Initializer, seed = 1) =>
    sequential([input(fanIn), dense(fanOut, { kernelInitializer })], { seed, executor: 'reference' }).weights()['dense_1.kernel'].data
  const moments = (values: Float32Array) => {
    const mean = values.reduce((total, value) => total + value, 0) / values.length
    return { mean, variance: values.reduce((total, value) => total + (value - mean) ** 2, 0) / values.length }
  }

  it.each([
    ['glorotUniform', Math.sqrt(6 / (fanIn + fanOut)), 2 / (fanIn + fanOut)],
    ['heUniform', Math.sqrt(6 / fanIn), 2 / fanIn],
    ['leCunUniform', Math.sqrt(3 / fanIn), 1 / fanIn],
    [varianceScaling({ scale: 0.5, mode: 'fanAverage', distribution: 'uniform' }), Math.sqrt(3 / (fanIn + fanOut)), 1 / (fanIn + fanOut)],
    [uniformWithin(-0.2, 0.2), 0.2, 0.04 / 3],
  ] as const)('%s stays within its bound, fills it, and has its variance', (choice, bound, expected) => {
    const values = kernel(choice)
    const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
    expect(largest).toBeLessThanOrEqual(Math.fround(bound))
    expect(largest).toBeGreaterThan(0.999 * bound)
    const { mean, variance } = moments(values)
    // Five standard errors of 60,000 uniform numbers: √(variance / n) and variance √(0.8 / n).
    expect(Math.abs(mean)).toBeLessThan(5 * Math.sqrt(expected / values.length))
    expect(Math.abs(variance / expected - 1)).toBeLessThan(5 * Math.sqrt(0.8 / values.length))
  })

  it.each([
    ['glorotNormal', 2 / (fanIn + fanOut)],
    ['heNormal', 2 / fanIn],
    ['leCunNormal', 1 / fanIn],
    [varianceScaling({ scale: 3, mode: 'fanOut', distribution: 'normal' }), 3 / fanOut],
    [normalOf(0, 0.3), 0.09],
  ] as const)('%s is normal with its variance', (choice, expected) => {
    const values = kernel(choice)
    const { mean, variance } = moments(values)
    // Five standard errors of 60,000 normal numbers: √(variance / n) and variance √(2 / n).
    expect(Math.abs(mean)).toBeLessThan(5 * Math.sqrt(expected / values.length))
    expect(Math.abs(variance / expected - 1)).toBeLessThan(5 * Math.sqrt(2 / values.length))
    // 68.27 % lie within one deviation and 99.73 % within three; the standard errors are 0.19 % and 0.02 %.
    const within = (deviations: number) => values.filter((value) => value ** 2 <= deviations ** 2 * expected).length / values.length
    expect(Math.abs(within(1) - 0.6827)).toBeLessThan(0.01)
    expect(Math.abs(within(3) - 0.9973)).toBeLessThan(0.0011)
  })

  it.each([
    ['truncatedNormal', 0.05],
    [varianceScaling(), Math.sqrt(1 / fanIn) / 0.8796256610342398],
  ] as const)('%s is normal, cut at two deviations', (choice, deviation) => {
    const values = kernel(choice)
    const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
    expect(largest).toBeLessThanOrEqual(Math.fround(2 * deviation))
    expect(largest).toBeGreaterThan(1.99 * deviation)
    const { mean, variance } = moments(values)
    // What is left within ±2 has a variance of 1 - 4 φ(2) / (1 - 2 Φ(-2)) = 0.7737 and a kurtosis of 2.37, so the standard error of the variance is √(1.37 / n).
    expect(Math.abs(mean)).toBeLessThan((5 * deviation) / Math.sqrt(values.length))
    expect(Math.abs(variance / (0.773741 * deviation ** 2) - 1)).toBeLessThan(5 * Math.sqrt(1.37 / values.length))
  })

  it('uniformWithin and normalOf may lie anywhere', () => {
    const within = kernel(uniformWithin(2, 3))
    expect(within.every((value) => value >= 2 && value <= 3)).toBe(true)
    expect(Math.abs(moments(within).mean - 2.5)).toBeLessThan(5 * Math.sqrt(1 / 12 / within.length))
    expect(Math.abs(moments(kernel(normalOf(-1, 0.5))).mean + 1)).toBeLessThan((5 * 0.5) / Math.sqrt(within.length))
  })

  /** The largest |Q Qᵀ - gain² I| over the rows of Q. */
  const fromOrthogonal = (q: (i: number, k: number) => number, rows: number, columns: number, gain: number) => {
    let worst = 0
    for (let i = 0; i < rows; i++)
      for (let j = 0; j <= i; j++) {
        let product = 0
        for (let k = 0; k < columns; k++) product += q(i, k) * q(j, k)
        worst = Math.max(worst, Math.abs(product - (i === j ? gain ** 2 : 0)))
      }
    return worst
  }

  it.each([
    [5, 5, 1],
    [7, 3, 2],
    [3, 7, 1],
    [1, 4, 1],
    [4, 1, 0.5],
    [60, 40, 1],
  ])('orthogonal makes the rows or columns of a %i x %i matrix orthonormal, times %d', (features, units, gain) => {
    const net = sequential([input(features), dense(units, { kernelInitializer: orthogonal(gain) })], { seed: 5, executor: 'reference' })
    const w = net.weights()['dense_1.kernel']
    const found =
      features <= units
        ? fromOrthogonal((i, k) => w.at(i, k), features, units, gain)
        : fromOrthogonal((i, k) => w.at(k, i), units, features, gain)
    // Computed in double precision, stored in single: a product of unit vectors is off by about 2^-24.
    expect(found).toBeLessThan(3e-7 * gain ** 2)
  })

  it('orthogonal prefers no direction: signs and sizes of the corners are those of random unit vectors', () => {
    const corners = Float64Array.from({ length: 400 }, (_, seed) => {
      const values = new Float64Array(9)
      orthogonal()(values, [3, 3], new RandomStream(seed, Purpose.initialize))
      return values[0]
    })
    // The first coordinate of a random unit vector in three dimensions is uniform in -1 … 1 (Archimedes): mean 0, variance 1/3, kurtosis 9/5.
    const { mean, variance } = moments(Float32Array.from(corners))
    expect(Math.abs(mean)).toBeLessThan(4 * Math.sqrt(1 / 3 / 400))
    expect(Math.abs(variance * 3 - 1)).toBeLessThan(4 * Math.sqrt(0.8 / 400))
    const last = new Float64Array(9)
    const signs = Array.from({ length: 400 }, (_, seed) => {
      orthogonal()(last, [3, 3], new RandomStream(seed, Purpose.initialize))
      return last[8] > 0
    })
    expect(Math.abs(signs.filter((positive) => positive).length - 200)).toBeLessThan(4 * 10)
  })

  it('identity has its gain on the diagonal, and orthogonal counts extents before the last as one', () => {
    const eye = sequential([input(2), dense(3, { kernelInitializer: identity(2) })]).weights()['dense_1.kernel']
    expect([...eye.data]).toEqual([2, 0, 0, 0, 2, 0])
    const values = new Float64Array(2 * 3 * 4)
    orthogonal()(values, [2, 3, 4], new RandomStream(0, Purpose.initialize))
    expect(fromOrthogonal((i, k) => values[k * 4 + i], 4, 6, 1)).toBeLessThan(1e-14)
  })

  it('zeros, ones and constantOf fill', () => {
    expect([...new Set(kernel('zeros'))]).toEqual([0])
    expect([...new Set(kernel('ones'))]).toEqual([1])
    expect([...new Set(kernel(constantOf(-2.5)))]).toEqual([-2.5])
  })

  it('may be functions of shape and stream', () => {
    const shapes: unknown[] = []
    const net = sequential([
      input(2),
      dense(3, {
        kernelInitializer: (values, shape, random) => {
          shapes.push([...shape])
          values.forEach((_, i) => {
            values[i] = i + random.uniform()
          })
        },
      }),
    ])
    const { data } = net.weights()['dense_1.kernel']
    expect(shapes).toEqual([[2, 3]])
    expect([...data].map(Math.floor)).toEqual([0, 1, 2, 3, 4, 5])
  })

  it('depend on the seed, and on nothing else', () => {
    expect(kernel('heNormal', 1)).toEqual(kernel('heNormal', 1))
    expect(kernel('heNormal', 1)).not.toEqual(kernel('heNormal', 2))
    // The high words of a seed count as well.
    expect(kernel('heNormal', 1)).not.toEqual(kernel('heNormal', 1 + 2 ** 40))
  })

  it('give two layers of one model different values', () => {
    const { 'dense_1.kernel': first, 'dense_2.kernel': second } = sequential([input(4), dense(4), dense(4)]).weights()
    expect(first.data).not.toEqual(second.data)
  })

  it.each([
    ['relu', Math.sqrt(6 / fanIn)],
    ['gelu', Math.sqrt(6 / fanIn)],
    ['swish', Math.sqrt(6 / fanIn)],
    [relu, Math.sqrt(6 / fanIn)],
    ['tanh', Math.sqrt(6 / (fanIn + fanOut))],
    ['linear', Math.sqrt(6 / (fanIn + fanOut))],
  ] as const)('fit the activation %s by default', (name, bound) => {
    const { 'dense_1.kernel': values, 'dense_1.bias': bias } = sequential([input(fanIn), dense(fanOut, { activation: name })]).weights()
    const largest = values.data.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
    expect(largest / bound).toBeGreaterThan(0.999)
    expect(largest / bound).toBeLessThanOrEqual(1 + 1e-7)
    expect([...new Set(bias.data)]).toEqual([0])
  })

  it('are run again by initialize()', async () => {
    const net = sequential([input(2), dense(3)], { seed: 9 })
    const before = bitsOf(net)
    await net.fit({ x: rows(4, 2), y: rows(4, 3) }, { loss: 'meanSquaredError' })
    expect(bitsOf(net)).not.toEqual(before)
    net.initialize()
    expect(bitsOf(net)).toEqual(before)
  })
})

describe.each(executors)('dropout on the %s executor', (executor) => {
  const width = 1000
  const ones = Array.from({ length: 40 }, () => new Float32Array(width).fill(1))

  it.each([0.1, 0.25, 0.5, 0.9])('drops a part of %d and scales the rest', (rate) => {
    const values = whileTraining(sequential([input(width), dropout(rate)], { executor, seed: 3 }), ones)
    expect([...new Set(values)].sort((a, b) => a - b)).toEqual([0, Math.fround(1 / (1 - rate))])
    const dropped = values.filter((value) => value === 0).length / values.length
    // Five standard errors of a share of 40,000, and the 1/65536 to which the rate is kept.
    expect(Math.abs(dropped - rate)).toBeLessThan(5 * Math.sqrt((rate * (1 - rate)) / values.length) + 1 / 65536)
  })

  it('does nothing at rate 0, nor at inference', async () => {
    expect([...new Set(whileTraining(sequential([input(width), dropout(0)], { executor }), ones))]).toEqual([1])
    const { data } = await sequential([input(width), dropout(0.9)], { executor }).predict(ones)
    expect([...new Set(data)]).toEqual([1])
  })

  it('drops the same elements for the same seed, and others for another', () => {
    const mask = (seed: number) => whileTraining(sequential([input(width), dropout(0.5)], { executor, seed }), ones)
    expect(mask(4)).toEqual(mask(4))
    expect(mask(4)).not.toEqual(mask(5))
  })

  it('drops other elements in every step, across runs too', async () => {
    // At learning rate 0 nothing but the mask changes the loss, here the sum of what is left.
    const losses = async (...epochs: number[]) => {
      const net = sequential([input(width), dropout(0.5), scaledBy(width)], { executor, seed: 4 })
      const options = { loss: sumLoss, optimizer: sgd({ learningRate: 0 }), batchSize: ones.length } as const
      const found: number[] = []
      for (const count of epochs) {
        const history = await net.fit({ x: ones, y: ones }, { ...options, epochs: count })
        found.push(...history.epochs.map(({ loss }) => loss))
      }
      return found
    }
    const found = await losses(4)
    expect(new Set(found).size).toBe(4)
    expect(await losses(1, 3)).toEqual(found)
  })

  it('gives each layer and each step a mask of its own', () => {
    const x = input(width)
    const net = model(x, add(dropout(x, 0.5), dropout(x, 0.5)), { executor, seed: 6 })
    const first = whileTraining(net, ones)
    // Of independent masks a quarter drop both, a half one, a quarter none; 0.0125 is five standard errors.
    for (const [value, share] of [
      [0, 0.25],
      [2, 0.5],
      [4, 0.25],
    ]) {
      expect(Math.abs(first.filter((element) => element === value).length / first.length - share)).toBeLessThan(0.0125)
    }
    net.values(stepVariable)[0] += 1
    expect(whileTraining(net, ones)).not.toEqual(first)
  })
})

describe('l2', () => {
  const strength = 0.03
  const data: TrainingData = { x: rows(6, 3, 7), y: rows(6, 2, 8) }
  const make = (kernelRegularizer?: ReturnType<typeof l2>) =>
    sequential([input(3), dense(2, { kernelRegularizer, biasInitializer: 'ones' })], { seed: 2 })

  it('adds λ Σ w² of the kernel to the loss, not of the bias', async () => {
    const net = make(l2(strength))
    const squares = net.weights()['dense_1.kernel'].data.reduce((total, value) => total + value * value, 0)
    const [penalised, plain] = await Promise.all([net, make()].map((each) => each.evaluate(data, { loss: 'meanSquaredError' })))
    expect(Math.abs(penalised.loss - plain.loss - strength * squares)).toBeLessThan(1e-6)
  })

  it('pulls every weight towards 0 by 2λw', async () => {
    const [net, twin] = [make(l2(strength)), make()]
    const before = net.weights()['dense_1.kernel'].data
    const options = { loss: 'meanSquaredError', optimizer: sgd({ learningRate: 0.1 }) } as const
    await net.fit(data, options)
    await twin.fit(data, options)
    const [pulled, free] = [net.weights(), twin.weights()]
    const expected = free['dense_1.kernel'].data.map((value, i) => value - 0.1 * 2 * strength * before[i])
    expect(scaledError(pulled['dense_1.kernel'].data, expected)).toBeLessThan(1e-6)
    expect(scaledError(pulled['dense_1.kernel'].data, free['dense_1.kernel'].data)).toBeGreaterThan(1e-3)
    expect(pulled['dense_1.bias'].data).toEqual(free['dense_1.bias'].data)
  })

  it('is counted whole in every batch, and once in the mean of an epoch', async () => {
    const net = make(l2(strength))
    const losses = await Promise.all([1, 4, 6].map((batchSize) => net.evaluate(data, { loss: 'meanSquaredError', batchSize })))
    expect(
      scaledError(
        losses.map(({ loss }) => loss),
        losses.map(() => losses[2].loss),
      ),
    ).toBeLessThan(1e-6)
  })

  it('has the gradient that finite differences find, and may be any function to a scalar', async () => {
    expect(gradcheck(make(l2(strength)), data, { loss: 'meanSquaredError' }).ok).toBe(true)
    expect(
      gradcheck(
        make((w) => sum(tanh(w))),
        data,
        { loss: 'meanSquaredError' },
      ).ok,
    ).toBe(true)
    await expectRefusal(
      () => make((w) => w).fit(data, { loss: 'meanSquaredError' }),
      'ERR_GRAPH',
      'fit: the penalty on kernel: expected a scalar, got shape [3, 2]',
    )
  })

  it('of 0 changes nothing', async () => {
    const [net, twin] = [make(l2(0)), make()]
    for (const each of [net, twin]) await each.fit(data, { loss: 'meanSquaredError', optimizer: 'sgd' })
    expect(scaledError(net.weights()['dense_1.kernel'].data, twin.weights()['dense_1.kernel'].data)).toBe(0)
  })
})
