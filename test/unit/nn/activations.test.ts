/** Activations: PyTorch's values and gradients, their kinks and limits, and what they refuse. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import {
  activation,
  celu,
  constantOf,
  elu,
  geglu,
  gelu,
  glu,
  gradients,
  hardSigmoid,
  hardSwish,
  hardTanh,
  input,
  leakyRelu,
  log,
  logSigmoid,
  logSoftmax,
  mish,
  model,
  multiply,
  prelu,
  reglu,
  relu,
  relu6,
  selu,
  sigmoid,
  silu,
  softmax,
  softplus,
  softsign,
  sum,
  swiglu,
  type Tensor,
  tanh,
  thresholdedRelu,
} from '../../../src/index.ts'
import { any } from '../../any.ts'
import { type ExecutorName, executors, expectRefusal, rows } from '../../training/support.ts'

interface Golden {
  readonly x: readonly number[]
  readonly cases: Readonly<Record<string, { readonly y: readonly number[]; readonly dx: readonly number[] }>>
}
const golden: Golden = JSON.parse(readFileSync(new URL('../../golden/outside/activations.json', import.meta.url), 'utf8'))

/** The same functions as in activations.py, and the shape of a sample they are given. */
const cases: Record<string, readonly [(x: Tensor) => Tensor, ...shape: number[]]> = {
  relu: [relu, 16],
  gelu: [gelu, 16],
  sigmoid: [sigmoid, 16],
  tanh: [tanh, 16],
  softplus: [softplus, 16],
  leakyRelu: [leakyRelu, 16],
  'leakyRelu slope 0.2': [(x) => leakyRelu(x, { slope: 0.2 }), 16],
  elu: [elu, 16],
  'elu alpha 1.5': [(x) => elu(x, { alpha: 1.5 }), 16],
  selu: [selu, 16],
  celu: [celu, 16],
  'celu alpha 0.5': [(x) => celu(x, { alpha: 0.5 }), 16],
  silu: [silu, 16],
  mish: [mish, 16],
  softsign: [softsign, 16],
  hardSigmoid: [hardSigmoid, 16],
  hardSwish: [hardSwish, 16],
  hardTanh: [hardTanh, 16],
  'hardTanh -0.5 2': [(x) => hardTanh(x, { low: -0.5, high: 2 }), 16],
  relu6: [relu6, 16],
  logSigmoid: [logSigmoid, 16],
  thresholdedRelu: [thresholdedRelu, 16],
  softmax: [softmax, 2, 8],
  'softmax axis 1 of 3': [(x) => softmax(x, 2), 2, 4, 2],
  logSoftmax: [logSoftmax, 2, 8],
  glu: [glu, 2, 8],
  'glu axis 1': [(x) => glu(x, 2), 2, 4, 2],
  'prelu slope 0.25': [prelu({ sharedAxes: [1], slopeInitializer: constantOf(0.25) }), 16],
}

/** The function's values, and the gradient of Σ weights · y. */
async function valuesAndGradient(f: (x: Tensor) => Tensor, shape: readonly number[], numbers: readonly number[], executor: ExecutorName) {
  const x = input(shape, { name: 'x' })
  const y = f(x)
  const weights = input(y.shape.slice(1) as number[], { name: 'weights' })
  const [dx] = gradients(sum(multiply(y, weights)), [x])
  const size = y.shape.slice(1).reduce<number>((product, extent) => product * (extent as number), 1)
  const net = model([x, weights], [y, dx], { executor })
  const [first, second] = await net.predictAll({
    x: Float32Array.from(numbers),
    weights: Float32Array.from({ length: size }, (_, i) => ((i % 8) + 1) / 8),
  })
  return { y: [...first.data], dx: [...second.data] }
}

it('every golden case is tested', () => {
  expect(Object.keys(cases).sort()).toEqual(Object.keys(golden.cases).sort())
})

describe.each(executors)('as in PyTorch, on the %s executor', (executor) => {
  it.each(Object.keys(cases))('%s', async (name) => {
    const [f, ...shape] = cases[name]
    const found = await valuesAndGradient(f, shape, golden.x, executor)
    for (const part of ['y', 'dx'] as const) {
      expect(found[part].length).toBe(golden.cases[name][part].length)
      // PyTorch computed in double. A handful of roundings, and functions good to 3 units in the last place: 1e-6 of the value; and where terms near 1
      // cancel (1 - tanh², the tail of gelu), 2^-22 absolutely, times x where x multiplies it.
      golden.cases[name][part].forEach((value, i) =>
        expect(Math.abs(found[part][i] - value), `${part}[${i}] of ${name}: ${found[part][i]}, PyTorch ${value}`).toBeLessThanOrEqual(
          1e-6 * Math.abs(value) + 2.4e-7,
        ),
      )
    }
  })
})

describe.each(executors)('on the %s executor', (executor) => {
  const at = (f: (x: Tensor) => Tensor, ...numbers: number[]) => valuesAndGradient(f, [numbers.length], numbers, executor)

  it.each([
    ['elu', elu],
    ['celu', celu],
  ] as const)('%s keeps its relative accuracy near 0', async (_, f) => {
    const numbers = [-1e-1, -1e-2, -1e-3, -1e-4, -1e-6, -1e-10, -1e-20]
    const { y } = await at(f, ...numbers)
    // A tanh good to 3 units in the last place, and three roundings.
    numbers.forEach((x, i) => expect(Math.abs(y[i] / Math.expm1(Math.fround(x)) - 1)).toBeLessThan(4e-7))
  })

  it.each([
    ['relu6', relu6, [0, 6]],
    ['hardTanh', hardTanh, [-1, 1]],
    ['hardSigmoid', hardSigmoid, [-3, 3]],
    ['relu', relu, [0]],
    ['thresholdedRelu', thresholdedRelu, [1]],
  ] as const)('%s has a slope of 0 at its kinks', async (_, f, kinks) => {
    expect((await at(f, ...kinks)).dx.map(Math.abs)).toEqual(kinks.map(() => 0))
  })

  it('elu and its kin have the slope of their left side at 0', async () => {
    const slope = async (f: (x: Tensor) => Tensor) => (await at(f, 0)).dx[0] * 8
    expect(await slope(elu)).toBe(1)
    expect(await slope((x) => elu(x, { alpha: 0.5 }))).toBe(0.5)
    expect(await slope((x) => celu(x, { alpha: 0.5 }))).toBe(1)
    expect(await slope((x) => leakyRelu(x, { slope: 0.25 }))).toBe(0.25)
    expect(await slope(selu)).toBeCloseTo(1.0507009873554805 * 1.6732632423543772, 6)
  })

  it.each(Object.keys(cases).filter((name) => cases[name].length === 2))(
    '%s has finite values and slopes as far as float32 goes, and keeps NaN',
    async (name) => {
      const [f] = cases[name]
      const numbers = [-1e30, -1e10, -1000, -88, -1e-38, 1e-38, 88, 1000, 1e10, 1e30]
      const wide = [...numbers, ...numbers.slice(0, 6)]
      const { y, dx } = await valuesAndGradient(f, [16], wide, executor)
      // Far out a square within a derivative (gelu's x²) may be infinite, its exponential is 0 then.
      expect(y.every(Number.isFinite)).toBe(true)
      expect(dx.every(Number.isFinite)).toBe(true)
      // Data may not hold NaN, but a logarithm may.
      expect((await at((x) => f(log(x)), ...new Array(16).fill(-1))).y.every(Number.isNaN)).toBe(true)
    },
  )

  it('hardSigmoid takes the slope of Keras 2, and any offset', async () => {
    const { y } = await at((x) => hardSigmoid(x, { slope: 0.2, offset: 0.25 }), -5, -1, 0, 1, 5)
    const expected = [0, 0.05, 0.25, 0.45, 1]
    expected.forEach((value, i) => expect(Math.abs(y[i] - value)).toBeLessThan(6e-8))
  })

  it.each([
    ['glu', glu, (b: number) => 1 / (1 + Math.exp(-b))],
    ['reglu', reglu, (b: number) => Math.max(b, 0)],
    ['swiglu', swiglu, (b: number) => b / (1 + Math.exp(-b))],
  ] as const)('%s is the first half times its gate of the second', async (_, f, gate) => {
    const [a, b] = rows(2, 4, 3, -3, 3)
    const { y } = await at(f, ...a, ...b)
    a.forEach((value, i) => expect(Math.abs(y[i] - value * gate(b[i]))).toBeLessThan(1e-6))
  })

  it('geglu is the first half times gelu of the second', async () => {
    const [a, b] = rows(2, 4, 3, -3, 3)
    const gate = (await at(gelu, ...b)).y
    expect((await at(geglu, ...a, ...b)).y).toEqual(a.map((value, i) => Math.fround(Math.fround(value) * gate[i])))
  })

  it('all of them have a name', async () => {
    for (const name of Object.keys(cases).filter((each) => !each.includes(' '))) {
      const [f, ...shape] = cases[name]
      expect(await valuesAndGradient(activation(name as 'relu'), shape, golden.x, executor)).toEqual(
        await valuesAndGradient(f, shape, golden.x, executor),
      )
    }
    const { y } = await at(activation('swish'), 1, 2)
    expect(y).toEqual((await at(silu, 1, 2)).y)
  })
})

it('an option that is undefined has its default', async () => {
  const { y } = await valuesAndGradient((x) => leakyRelu(x, { slope: undefined }), [2], [-1, 2], 'reference')
  expect(y).toEqual([Math.fround(-0.01), 2])
})

const refusals: readonly (readonly [what: string, call: () => unknown, code: string, ...parts: string[]])[] = [
  ['a misspelt option', () => leakyRelu(input(3), any({ alpha: 0.1 })), 'ERR_OPTION', 'Unknown option "alpha" for leakyRelu', 'slope'],
  ['a number in place of options', () => elu(input(3), any(0.5)), 'ERR_OPTION', 'elu: options must be an object, got 0.5'],
  ['a slope of NaN', () => leakyRelu(input(3), { slope: Number.NaN }), 'ERR_OPTION', 'leakyRelu: slope must be a finite number, got NaN'],
  ['a celu without curve', () => celu(input(3), { alpha: 0 }), 'ERR_OPTION', 'celu: alpha must be above 0, got 0'],
  ['bounds in the wrong order', () => hardTanh(input(3), { low: 2, high: 1 }), 'ERR_OPTION', 'low must be below high, got 2 and 1'],
  ['an odd number to halve', () => glu(input(3)), 'ERR_SHAPE', 'glu: expected an even number along axis -1', 'got [batch, 3]'],
  ['the batch to halve', () => swiglu(input(4), 0), 'ERR_SHAPE', 'swiglu: expected an even number along axis 0', 'got [batch, 4]'],
  ['an axis that is not there', () => glu(input(4), 2), 'ERR_SHAPE', 'glu: axis 2 is out of range'],
  ['numbers to halve', () => reglu(any([1, 2])), 'ERR_OPTION', 'reglu: the operand must be a symbolic tensor, got an array of 2'],
]

it.each(refusals.map((refusal) => [refusal[0], refusal] as const))('activations refuse %s', async (_, [, call, code, ...parts]) => {
  await expectRefusal(call, code, ...parts)
})
