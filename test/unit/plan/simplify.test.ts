/** The passes that make a graph concrete and small: bind and simplify. */
import { describe, expect, it } from 'vitest'
import type { Mode } from '../../../src/graph/op.ts'
import { ancestors, type Tensor } from '../../../src/graph/tensor.ts'
import {
  add,
  broadcastTo,
  concat,
  constant,
  divide,
  exp,
  gradients,
  input,
  matmul,
  maximum,
  mean,
  multiply,
  negate,
  power,
  reshape,
  slice,
  sqrt,
  square,
  subtract,
  sum,
  tanh,
  transpose,
  whenTraining,
} from '../../../src/index.ts'
import { droppedOut } from '../../../src/ops/random.ts'
import { variable } from '../../../src/ops/source.ts'
import { increment } from '../../../src/ops/update.ts'
import { bind } from '../../../src/plan/bind.ts'
import { simplify } from '../../../src/plan/simplify.ts'
import { expectRefusal } from '../values.ts'
import { named, planOf, spelled } from './support.ts'

describe('bind', () => {
  it('puts the batch size into shapes and attributes', () => {
    const pairs = reshape(input([2, 3]), [-1, 2])
    const [bound] = bind([broadcastTo(pairs, [5, ...pairs.shape])], 4, 'inference')
    expect(bound.shape).toEqual([5, 12, 2])
    expect(bound.attributes.shape).toEqual([5, 12, 2])
    expect(bound.inputs[0].attributes.shape).toEqual([12, 2])
  })

  it.each<[Mode, string]>([
    ['training', 'x'],
    ['inference', 'negate(x)'],
  ])('decides for %s', (mode, taken) => {
    const x = named('x', 3)
    expect(spelled(bind([whenTraining(x, negate(x))], 1, mode)[0])).toBe(taken)
  })

  it('numbers random streams in order of appearance, whatever was built before', () => {
    const make = () => {
      const x = named('x', 3)
      const first = droppedOut(x, 0.5)
      return add(droppedOut(first, 0.5), first)
    }
    const streams = (tensor: Tensor) =>
      ancestors(bind([tensor], 1, 'training'))
        .filter(({ op }) => op.name === 'bernoulli')
        .map(({ attributes }) => attributes.stream)
    expect(streams(make())).toEqual([0, 1])
    expect(streams(make())).toEqual([0, 1])
  })

  it('refuses a batch size that is none, and an input that nobody feeds', () => {
    const x = input(3, { name: 'pixels' })
    for (const batchSize of [0, -1, 1.5, Number.NaN]) expectRefusal(() => planOf([x], { batchSize }), 'ERR_OPTION', `${batchSize}`)
    expectRefusal(() => planOf([tanh(x)]), 'ERR_GRAPH', '"pixels"', '[batch, 3]')
  })
})

describe('simplify', () => {
  const x = named('x', 2, 3)
  const row = named('row', 3)
  const scalar = named('scalar')
  const a = named('a', 2, 3)
  const b = named('b', 3, 4)
  const stack = named('stack', 5, 2, 3)
  const swap = (tensor: Tensor) => transpose(tensor, [0, 2, 1])

  it.each<[string, () => Tensor, string]>([
    ['constants are computed', () => add(x, add(multiply(2, 3), sqrt(16))), 'add(x, 10)'],
    ['constants as far as they go', () => multiply(negate(constant(2)), x), 'multiply(-2, x)'],
    ['the number of elements is a constant', () => mean(x), 'divide(sum(x start=0 end=2), 6)'],
    ['x + 0', () => add(x, 0), 'x'],
    ['0 + x', () => add(0, x), 'x'],
    ['x - 0', () => subtract(x, 0), 'x'],
    ['x · 1', () => multiply(x, 1), 'x'],
    ['1 · x', () => multiply(1, x), 'x'],
    ['x / 1', () => divide(x, 1), 'x'],
    ['x + (1 - 1)', () => add(x, subtract(1, 1)), 'x'],
    ['x + zeros', () => add(x, broadcastTo(constant(0), [2, 3])), 'x'],
    ['0 - x stays', () => subtract(0, x), 'subtract(0, x)'],
    ['x · 0 stays, as x may be NaN', () => multiply(x, 0), 'multiply(x, 0)'],
    ['zeros that repeat the other operand stay', () => add(scalar, broadcastTo(constant(0), [2])), 'add(scalar, broadcastTo[2](0))'],
    ['--x', () => negate(negate(x)), 'x'],
    ['---x', () => negate(negate(negate(x))), 'negate(x)'],
    ['constant factors of which one is a power of two', () => multiply(0.001, multiply(x, 2)), 'multiply(0.002, x)'],
    ['three of them', () => multiply(multiply(-0.25, multiply(0.3, x)), 8), 'multiply(-0.6, x)'],
    ['other constant factors stay, as they round twice', () => multiply(0.1, multiply(3, x)), 'multiply(0.1, multiply(3, x))'],
    [
      'factors whose product is denormal stay',
      () => multiply(2 ** -100, multiply(2 ** -100, x)),
      `multiply(${2 ** -100}, multiply(${2 ** -100}, x))`,
    ],
    ['x²', () => power(x, 2), 'square(x)'],
    ['x^(1/2)', () => power(x, 0.5), 'sqrt(x)'],
    ['x^1', () => power(x, 1), 'x'],
    ['x^-1', () => power(x, -1), 'reciprocal(x)'],
    ['reshape to the same', () => reshape(x, [2, 3]), 'x'],
    ['reshape there and back', () => reshape(reshape(x, [6]), [2, 3]), 'x'],
    ['reshape of reshape', () => reshape(reshape(x, [6]), [3, 2]), 'reshape[3, 2](x)'],
    ['transpose there and back', () => transpose(transpose(x)), 'x'],
    ['transpose of transpose', () => transpose(transpose(stack, [1, 2, 0]), [1, 2, 0]), 'transpose(stack permutation=2,0,1)'],
    ['transpose that moves nothing', () => transpose(x, [0, 1]), 'x'],
    ['slice of everything', () => slice(x, [[0, 2], null]), 'x'],
    ['concat of one', () => concat([x]), 'x'],
    ['broadcastTo the same', () => broadcastTo(x, [2, 3]), 'x'],
    ['broadcastTo before an elementwise op', () => add(x, broadcastTo(row, [2, 3])), 'add(x, row)'],
    ['repeated constants are computed once', () => negate(broadcastTo(constant(2), [2, 3])), 'broadcastTo[2, 3](-2)'],
    ['views of repeated scalars', () => reshape(broadcastTo(scalar, [6]), [2, 3]), 'broadcastTo[2, 3](scalar)'],
    ['scalars repeated twice', () => broadcastTo(reshape(broadcastTo(scalar, [3]), [1, 3]), [2, 3]), 'broadcastTo[2, 3](scalar)'],
    [
      'what is no scalar is not repeated in another order',
      () => reshape(broadcastTo(row, [2, 3]), [3, 2]),
      'reshape[3, 2](broadcastTo[2, 3](row))',
    ],
    [
      'the gradient of a mean of means needs no instruction for its constant',
      () => gradients(mean(mean(square(x), { axes: [1] })), [x])[0],
      'multiply(0.3333333333333333, x)',
    ],
    [
      'broadcastTo of both operands: one has to stay',
      () => add(broadcastTo(row, [2, 3]), broadcastTo(scalar, [2, 3])),
      'add(row, broadcastTo[2, 3](scalar))',
    ],
    ['transposes before a product', () => matmul(transpose(b), transpose(x)), 'matmul(b, x transposeA=true transposeB=true)'],
    ['transpose and flag cancel out', () => matmul(transpose(x), b, { transposeA: true }), 'matmul(x, b)'],
    ['transposed twice before a product', () => matmul(transpose(transpose(a)), b), 'matmul(a, b)'],
    ['transposed stacks', () => matmul(stack, swap(stack)), 'matmul(stack, stack transposeB=true)'],
    [
      'stacks whose other axes moved stay',
      () => matmul(transpose(stack), transpose(stack, [2, 0, 1])),
      'matmul(transpose(stack permutation=2,1,0), transpose(stack permutation=2,0,1))',
    ],
  ])('%s', (_, make, expected) => {
    const given = make()
    const [simplified] = simplify(bind([given], 2, 'training'))
    expect(spelled(simplified)).toBe(expected)
    expect(simplified.shape).toEqual(given.shape)
    expect(simplified.dtype).toBe(given.dtype)
  })

  it('computes what appears twice once', () => {
    const twice = () => exp(tanh(x))
    const [both] = simplify(bind([add(twice(), negate(twice()))], 2, 'training'))
    expect(both.inputs[0]).toBe(both.inputs[1].inputs[0])
    expect(ancestors([both]).map(({ op }) => op.name)).toEqual(['variable', 'tanh', 'exp', 'negate', 'add'])
  })

  it('takes ops with other attributes, operands in another order, and other constants for different', () => {
    const different = [
      sum(x, { axes: [0] }),
      sum(x, { axes: [1] }),
      subtract(x, row),
      subtract(row, x),
      ...[0, -0, 1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY].map((value) => maximum(x, value)),
    ]
    const roots = simplify(bind(different, 2, 'training'))
    expect(new Set(roots).size).toBe(different.length)
  })

  it('never joins updates or random numbers', () => {
    const counter = variable({ name: 'counter', block: 'state', shape: [], dtype: 'int32', initialize: () => undefined })
    const roots = [increment(counter), increment(counter), droppedOut(x, 0.5), droppedOut(x, 0.5)]
    expect(new Set(simplify(bind(roots, 2, 'training'))).size).toBe(4)
  })
})
