/** gradcheck finds right gradients right and wrong ones wrong, and says where. */
import { describe, expect, it } from 'vitest'
import type { Op } from '../../../src/graph/op.ts'
import { apply } from '../../../src/graph/tensor.ts'
import {
  add,
  concatenate,
  dense,
  dropout,
  exp,
  gradcheck,
  input,
  l2,
  matmul,
  mean,
  model,
  multiply,
  NdArray,
  parameter,
  randomUniform,
  sequential,
  sigmoid,
  square,
  stopGradient,
  subtract,
  sum,
  type Tensor,
  tanh,
  zeros,
} from '../../../src/index.ts'
import { elementwiseOps } from '../../../src/ops/elementwise.ts'
import { any } from '../../any.ts'
import { expectRefusal, numbers, rows } from '../../training/support.ts'

/** tanh with a rule that is wrong by the given factor. */
function wrongTanh(factor: number): (x: Tensor) => Tensor {
  const op: Op = {
    ...elementwiseOps.tanh,
    gradient: ({ output, dy }) => [multiply(factor, multiply(dy, subtract(1, square(output))))],
  }
  return (x) => apply(op, [x], {})
}

const data = { x: rows(5, 3, 1), y: rows(5, 2, 2) }

describe('of a model', () => {
  it.each(['relu', 'tanh', 'sigmoid', 'gelu', 'geluTanh', 'softplus', 'softmax'] as const)('with %s is right', (activation) => {
    const net = sequential([input(3), dense(6, { activation, kernelRegularizer: l2(0.01) }), dropout(0.3), dense(2)], { seed: 1 })
    const report = gradcheck(net, data, { loss: 'meanSquaredError', tolerance: 1e-8 })
    expect(report.ok, String(report)).toBe(true)
    expect(report.parameters.map(({ parameter, checked, size }) => ({ parameter, checked, size }))).toEqual([
      { parameter: 'dense_1.kernel', checked: 18, size: 18 },
      { parameter: 'dense_1.bias', checked: 6, size: 6 },
      { parameter: 'dense_2.kernel', checked: 12, size: 12 },
      { parameter: 'dense_2.bias', checked: 2, size: 2 },
    ])
    // Not right because nothing flows.
    expect(report.parameters.every(({ worst }) => worst.analytic !== 0)).toBe(true)
  })

  it('checks a function with noise, and refuses one of more than its operands', async () => {
    const noisy = gradcheck((x) => sum(square(multiply(dropout(x, 0.5), randomUniform([16])))), [numbers(16)])
    expect(noisy.ok, String(noisy)).toBe(true)
    expect(noisy.loss).toBeGreaterThan(0)
    const other = parameter('other', [2], zeros)
    await expectRefusal(() => gradcheck((x) => sum(multiply(x, other)), [[1, 2]]), 'ERR_OPTION', '"other"', 'operands')
    await expectRefusal(() => gradcheck((x) => sum(multiply(x, input(2))), [[1, 2]]), 'ERR_OPTION', '[batch, 2]', 'operands')
  })

  it('with several inputs, residuals and shared layers is right', () => {
    const [a, b] = [input(3, { name: 'a' }), input(3, { name: 'b' })]
    const shared = dense(4, { activation: 'tanh' })
    const [left, right] = [shared(a), shared(b)]
    const net = model([a, b], dense(concatenate([add(left, dense(left, 4)), multiply(left, right)]), 2))
    const report = gradcheck(net, { x: { a: data.x, b: rows(5, 3, 7) }, y: data.y }, { loss: 'meanSquaredError', tolerance: 1e-8 })
    expect(report.ok, String(report)).toBe(true)
    expect(report.parameters.length).toBe(6)
  })

  it('leaves the model alone', () => {
    const net = sequential([input(3), dense(2)])
    const before = net.weights()
    gradcheck(net, data, { loss: 'meanSquaredError' })
    expect(net.weights()).toEqual(before)
  })

  it('gives the loss of training, in double precision', () => {
    const net = sequential([input(3), dense(2, { kernelInitializer: 'zeros' })])
    const expected = data.y.flat().reduce((total, value) => total + Math.fround(value) ** 2, 0) / 10
    expect(Math.abs(gradcheck(net, data, { loss: 'meanSquaredError' }).loss - expected)).toBeLessThan(1e-15)
  })

  it('checks a part of large parameters', () => {
    const net = sequential([input(3), dense(50), dense(2)])
    const { parameters } = gradcheck(net, data, { loss: 'meanSquaredError', elements: 7 })
    expect(parameters.map(({ checked, size }) => [checked, size])).toEqual([
      [7, 150],
      [7, 50],
      [7, 100],
      [2, 2],
    ])
  })

  it('finds a rule that is wrong by a thousandth, and where it matters', () => {
    const net = sequential([input(3), dense(4, { activation: wrongTanh(1.001) }), dense(2)], { seed: 4 })
    const report = gradcheck(net, data, { loss: 'meanSquaredError' })
    expect(report.ok).toBe(false)
    // What lies behind the wrong rule is still right.
    expect(report.parameters.map(({ parameter, worst }) => [parameter, worst.error > report.tolerance])).toEqual([
      ['dense_1.kernel', true],
      ['dense_1.bias', true],
      ['dense_2.kernel', false],
      ['dense_2.bias', false],
    ])
    const [{ worst }] = report.parameters
    expect(Math.abs(worst.analytic / worst.numeric - 1.001)).toBeLessThan(1e-6)
    expect(worst.index.length).toBe(2)
  })

  it('accepts the same layer with the right rule', () => {
    const net = sequential([input(3), dense(4, { activation: wrongTanh(1) }), dense(2)], { seed: 4 })
    expect(gradcheck(net, data, { loss: 'meanSquaredError' }).ok).toBe(true)
  })

  it('prints a line a parameter', () => {
    const net = sequential([input(1), dense(1, { kernelInitializer: 'ones', activation: wrongTanh(2), name: 'a' })])
    const report = gradcheck(net, { x: [[0.5]], y: [[0]] }, { loss: 'meanSquaredError' })
    // d tanh(w/2)² / dw = tanh(1/2) (1 - tanh²(1/2)) = 0.36343, twice that by the wrong rule. The bias' slope is twice
    // the kernel's, and its error relative, since it is above 1.
    expect(String(report).split('\n')).toEqual([
      'WRONG a.kernel       1 of 1        worst 3.6e-1 at [0, 0]: analytic 0.72686198, numeric 0.36343099',
      'WRONG a.bias         1 of 1        worst 5.0e-1 at [0]: analytic 1.4537240, numeric 0.72686198',
    ])
    expect(report.tolerance).toBe(1e-5)
  })
})

describe('of a function', () => {
  it('is right for compositions of several operands', () => {
    const f = (a: Tensor, b: Tensor, c: Tensor) => mean(sigmoid(add(matmul(tanh(a), b), multiply(c, exp(c)))))
    const report = gradcheck(f, [rows(3, 4, 1), rows(4, 2, 2), numbers(2, 3)], { tolerance: 1e-8 })
    expect(report.ok, String(report)).toBe(true)
    expect(report.parameters.map(({ parameter, size }) => [parameter, size])).toEqual([
      ['operand0', 12],
      ['operand1', 8],
      ['operand2', 2],
    ])
  })

  it('takes typed arrays, NdArrays and single numbers', () => {
    const square3 = (a: Tensor, b: Tensor, c: Tensor) => add(sum(square(a)), add(sum(square(b)), square(c)))
    const report = gradcheck(square3, [Float64Array.of(1, 2), new NdArray(Float32Array.of(1, 2, 3, 4), [2, 2]), 3 as never])
    expect(report.ok, String(report)).toBe(true)
    expect(report.loss).toBe(5 + 30 + 9)
    expect(report.parameters[2].worst).toMatchObject({ index: [], analytic: 6 })
  })

  it('finds a gradient that was stopped', () => {
    const f = (x: Tensor) => sum(multiply(x, stopGradient(x)))
    const report = gradcheck(f, [[1, 2, 3]])
    expect(report.ok).toBe(false)
    // The slope of x² is 2x; half of it flows. At 3 the error is 3 / 6.
    const [{ worst }] = report.parameters
    expect(worst.analytic / worst.numeric).toBeCloseTo(0.5, 9)
    expect(worst.error).toBeCloseTo(0.5, 9)
    expect(String(report)).toMatch(/^WRONG operand0 +3 of 3 +worst 5\.0e-1/)
    expect(gradcheck((x) => sum(multiply(x, x)), [[1, 2, 3]]).ok).toBe(true)
  })

  it('finds a forgotten operand', () => {
    const report = gradcheck((a, b) => sum(multiply(a, stopGradient(b))), [
      [1, 2],
      [3, 4],
    ] as never)
    expect(report.parameters.map(({ worst }) => worst.error < 1e-9)).toEqual([true, false])
    expect(report.parameters[1].worst.analytic).toBe(0)
  })

  it('does not take NaN for agreement', () => {
    const report = gradcheck((x) => sum(multiply(x, Number.NaN)), [[1, 2]])
    expect(report.ok).toBe(false)
    expect(report.parameters[0].worst.error).toBe(Number.POSITIVE_INFINITY)
  })

  it('is as strict as its tolerance', () => {
    const f = (x: Tensor) => sum(wrongTanh(1.0001)(x))
    expect(gradcheck(f, [[0.1]], { tolerance: 1e-5 }).ok).toBe(false)
    expect(gradcheck(f, [[0.1]], { tolerance: 1e-3 }).ok).toBe(true)
  })
})

const net = () => sequential([input(3), dense(2)])

it.each<[string, () => unknown, string, string[]]>([
  ['a model without loss', () => gradcheck(net(), data, {}), 'ERR_OPTION', ['gradcheck: for a model, option "loss" is required']],
  ['a misspelt option', () => gradcheck(net(), data, any({ tolerence: 1 })), 'ERR_OPTION', ['did you mean "tolerance"?']],
  ['no elements', () => gradcheck(net(), data, { loss: 'meanSquaredError', elements: 0 }), 'ERR_OPTION', ['elements must be', 'got 0']],
  [
    'a step of 0',
    () => gradcheck(net(), data, { loss: 'meanSquaredError', step: 0 }),
    'ERR_OPTION',
    ['step must be a number above 0, got 0'],
  ],
  ['a tolerance of NaN', () => gradcheck(net(), data, { loss: 'meanSquaredError', tolerance: Number.NaN }), 'ERR_OPTION', ['got NaN']],
  [
    'bad data',
    () => gradcheck(net(), { x: [[1, 2]], y: [[1, 2]] }, { loss: 'meanSquaredError' }),
    'ERR_DATA',
    ['gradcheck: input "input_1"', 'shape [1, 2]'],
  ],
  ['a function without its operands', () => gradcheck((x) => sum(x), any(undefined)), 'ERR_OPTION', ['must be an array with the values']],
  [
    'operands that are no numbers',
    () => gradcheck((x) => sum(x), [['a']]),
    'ERR_DATA',
    ['gradcheck operand 0: expected a number at [0], got "a"'],
  ],
  [
    'a function to a vector',
    () => gradcheck((x) => tanh(x), [[1, 2]]),
    'ERR_GRAPH',
    ['expected a scalar, got shape [2]', 'mean(x) or sum(x)'],
  ],
])('refuses %s', async (_, call, code, parts) => {
  await expectRefusal(call, code, ...parts)
})
