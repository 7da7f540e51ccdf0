/** What the public op functions compute, against values worked out by hand. */
import { describe, expect, it } from 'vitest'
import type { Tensor } from '../../../src/graph/tensor.ts'
import {
  abs,
  add,
  argmax,
  broadcastTo,
  cast,
  concat,
  constant,
  divide,
  elementCount,
  equal,
  erf,
  exp,
  gather,
  gelu,
  geluTanh,
  greater,
  greaterEqual,
  input,
  less,
  lessEqual,
  log,
  logSoftmax,
  matmul,
  max,
  maximum,
  mean,
  minimum,
  multiply,
  negate,
  notEqual,
  oneHot,
  onesLike,
  power,
  reciprocal,
  relu,
  reshape,
  scatterAdd,
  sigmoid,
  sign,
  slice,
  softmax,
  softplus,
  sqrt,
  square,
  subtract,
  sum,
  tanh,
  transpose,
  variance,
  where,
  zerosLike,
} from '../../../src/index.ts'
import { droppedOut } from '../../../src/ops/random.ts'
import { evaluate, expectRefusal, holding, numbersOf } from '../values.ts'

const vector = (...values: number[]) => holding([values.length], values)
const integers = (...values: number[]) => holding([values.length], values, { dtype: 'int32' })
const matrix = (...rows: number[][]) => holding([rows.length, rows[0].length], rows.flat())
/** 0, 1, 2, … */
const counting = (...shape: number[]) =>
  holding(
    shape,
    Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => i),
  )

const { NaN: nan, POSITIVE_INFINITY: infinity } = Number

describe('elementwise ops', () => {
  it.each<[string, (x: Tensor) => Tensor, number[], number[]]>([
    ['negate', negate, [1, -2], [-1, 2]],
    ['abs', abs, [1, -2, 0], [1, 2, 0]],
    ['sign', sign, [3, -0.1, 0], [1, -1, 0]],
    ['exp', exp, [0, 1, -infinity], [1, Math.E, 0]],
    ['log', log, [1, Math.E, 0], [0, 1, -infinity]],
    ['sqrt', sqrt, [4, 0, -1], [2, 0, nan]],
    ['square', square, [3, -1.5], [9, 2.25]],
    ['reciprocal', reciprocal, [4, -0.5], [0.25, -2]],
    ['erf', erf, [0, 0.5, -1, 7], [0, 0.5204998778130465, -0.8427007929497149, 1]],
    ['sigmoid', sigmoid, [0, Math.log(3), -800, 800], [0.5, 0.75, 0, 1]],
    ['tanh', tanh, [0, Math.atanh(0.5), -50], [0, 0.5, -1]],
    ['relu', relu, [-1, 0, 2, nan], [0, 0, 2, nan]],
    ['softplus', softplus, [0, 800, -800], [Math.LN2, 800, 0]],
    ['gelu', gelu, [0, 1, -1], [0, 0.8413447460685429, -0.15865525393145707]],
    ['geluTanh', geluTanh, [0, 1, -1], [0, 0.8411919906082768, -0.15880800939172324]],
  ])('%s', (_, f, given, expected) => {
    const [values] = evaluate([f(vector(...given))])
    values.forEach((value: number, i: number) => {
      if (Number.isFinite(expected[i])) expect(value).toBeCloseTo(expected[i], 14)
      else expect(value).toBe(expected[i])
    })
  })

  it.each<[string, (a: Tensor, b: Tensor) => Tensor, number[], number[], number[]]>([
    ['add', add, [1, 2], [10, -2], [11, 0]],
    ['subtract', subtract, [1, 2], [10, -2], [-9, 4]],
    ['multiply', multiply, [3, 2], [10, -2], [30, -4]],
    ['divide', divide, [1, -6, 1], [4, 2, 0], [0.25, -3, infinity]],
    ['maximum', maximum, [1, 5, nan], [2, -5, 1], [2, 5, nan]],
    ['minimum', minimum, [1, 5, 1], [2, -5, nan], [1, -5, nan]],
    ['power', power, [2, 9, 0, -2, -1, 1], [10, 0.5, 0, 3, infinity, nan], [1024, 3, 1, -8, 1, 1]],
    ['greater', greater, [1, 2, 3, nan], [2, 2, 2, 2], [0, 0, 1, 0]],
    ['greaterEqual', greaterEqual, [1, 2, 3, nan], [2, 2, 2, 2], [0, 1, 1, 0]],
    ['less', less, [1, 2, 3, nan], [2, 2, 2, 2], [1, 0, 0, 0]],
    ['lessEqual', lessEqual, [1, 2, 3, nan], [2, 2, 2, 2], [1, 1, 0, 0]],
    ['equal', equal, [1, 2, 3, nan], [2, 2, 2, nan], [0, 1, 0, 0]],
    ['notEqual', notEqual, [1, 2, 3, nan], [2, 2, 2, nan], [1, 0, 1, 1]],
  ])('%s', (_, f, a, b, expected) => {
    expect(numbersOf(f(vector(...a), vector(...b)))).toEqual(expected)
  })

  it('where takes the second operand wherever the condition is not 0', () => {
    expect(numbersOf(where(vector(1, 0, -3, nan), vector(1, 2, 3, 4), vector(-1, -2, -3, -4)))).toEqual([1, -2, 3, 4])
  })

  it('power with a constant exponent is the same function as with a tensor', () => {
    for (const exponent of [-1, 0, 0.5, 1, 2, 3, 2.5]) {
      const x = vector(0.3, 1, 4)
      const [constantly, generally] = evaluate([power(x, exponent), power(x, vector(exponent, exponent, exponent))])
      constantly.forEach((value: number, i: number) => expect(value).toBeCloseTo(generally[i], 14))
    }
  })

  it('cast gives int32 as float32', () => {
    expect(numbersOf(divide(cast(integers(3, -1)), 2))).toEqual([1.5, -0.5])
  })

  it('broadcast by the rules of numpy, in either order, numbers standing for scalars', () => {
    const a = matrix([1], [2])
    const b = vector(10, 20, 30)
    const difference = [
      [-9, -19, -29],
      [-8, -18, -28],
    ]
    expect(numbersOf(subtract(a, b))).toEqual(difference)
    expect(numbersOf(negate(subtract(b, a)))).toEqual(difference)
    expect(numbersOf(subtract(1, b))).toEqual([-9, -19, -29])
    expect(numbersOf(subtract(counting(2, 1, 2), counting(2, 1)))).toEqual([
      [
        [0, 1],
        [-1, 0],
      ],
      [
        [2, 3],
        [1, 2],
      ],
    ])
  })

  it('keep infinite and undefined constants, and the sign of zero, apart', () => {
    const x = vector(1, 2)
    const outputs = [maximum(x, infinity), maximum(x, -infinity), maximum(x, nan), divide(x, 0), divide(x, -0)]
    expect(evaluate(outputs).map((values) => [...values])).toEqual([
      [infinity, infinity],
      [1, 2],
      [nan, nan],
      [infinity, infinity],
      [-infinity, -infinity],
    ])
  })
})

describe('reductions', () => {
  // x[i, j, k] = 100 i + 10 j + k, so that every digit of a sum tells which axes were added.
  const x = holding(
    [2, 3, 2],
    [0, 1].flatMap((i) => [0, 1, 2].flatMap((j) => [0, 1].map((k) => 100 * i + 10 * j + k))),
  )

  it('sum over scattered axes', () => {
    expect(numbersOf(sum(x, { axes: [0, 2] }))).toEqual([202, 242, 282])
    expect(numbersOf(sum(x, { axes: [2, 0] }))).toEqual([202, 242, 282])
    expect(numbersOf(sum(x, { axes: [-1, 0], keepDims: true }))).toEqual([[[202], [242], [282]]])
  })

  it('sum over neighbouring axes, one axis, all, none', () => {
    expect(numbersOf(sum(x, { axes: [1, 2] }))).toEqual([63, 663])
    expect(numbersOf(sum(x, { axes: [1] }))).toEqual([
      [30, 33],
      [330, 333],
    ])
    expect(numbersOf(sum(x))).toBe(726)
    expect(numbersOf(sum(x, { keepDims: true }))).toEqual([[[726]]])
    expect(numbersOf(sum(x, { axes: [] }))).toEqual(numbersOf(x))
  })

  it('sum over nothing is 0', () => {
    expect(numbersOf(sum(slice(x, [null, [1, 1]]), { axes: [1] }))).toEqual([
      [0, 0],
      [0, 0],
    ])
  })

  it('mean, also over scattered axes', () => {
    expect(numbersOf(mean(x, { axes: [0, 2] }))).toEqual([50.5, 60.5, 70.5])
    expect(numbersOf(mean(x))).toBe(60.5)
  })

  it('mean over the batch divides by the batch size of the plan', () => {
    const rows = input(2)
    const means = mean(rows, { axes: [0] })
    expect(numbersOf(means, { batchSize: 2, feeds: new Map([[rows, [1, 10, 3, 30]]]) })).toEqual([2, 20])
    expect(numbersOf(means, { batchSize: 4, feeds: new Map([[rows, [1, 10, 3, 30, 5, 50, 7, 70]]]) })).toEqual([4, 40])
    expect(numbersOf(mean(rows), { batchSize: 2, feeds: new Map([[rows, [1, 10, 3, 30]]]) })).toBe(11)
  })

  it('elementCount knows the batch size', () => {
    const rows = input([2, 3])
    expect(numbersOf(elementCount(rows.shape), { batchSize: 5, feeds: new Map([[rows, []]]) })).toBe(30)
  })

  it('variance is that of the population, and exact far from 0', () => {
    expect(numbersOf(variance(vector(2, 4, 4, 4, 5, 5, 7, 9)))).toBe(4)
    expect(numbersOf(variance(vector(1e6 + 1, 1e6 + 3)), { precision: 'float32' })).toBe(1)
    expect(numbersOf(variance(matrix([1, 3], [10, 30]), { axes: [1] }))).toEqual([1, 100])
    expect(numbersOf(variance(matrix([1, 3], [10, 30]), { axes: [1], keepDims: true }))).toEqual([[1], [100]])
  })

  it('max, and NaN where there is one', () => {
    expect(numbersOf(max(x, { axes: [0, 2] }))).toEqual([101, 111, 121])
    expect(numbersOf(max(matrix([1, nan], [-5, -7]), { axes: [1] }))).toEqual([nan, -5])
  })

  it('argmax gives the first of equals, and counts NaN as the largest', () => {
    const rows = matrix([1, 7, 7], [3, 2, 1], [1, nan, 9])
    expect(numbersOf(argmax(rows))).toEqual([1, 0, 1])
    expect(numbersOf(argmax(rows, 0))).toEqual([1, 2, 2])
  })
})

describe('ops that move elements', () => {
  it('reshape keeps the order', () => {
    expect(numbersOf(reshape(counting(2, 3), [3, -1]))).toEqual([
      [0, 1],
      [2, 3],
      [4, 5],
    ])
  })

  it('transpose', () => {
    expect(numbersOf(transpose(counting(2, 3)))).toEqual([
      [0, 3],
      [1, 4],
      [2, 5],
    ])
    expect(numbersOf(transpose(counting(2, 2, 2), [2, 0, 1]))).toEqual([
      [
        [0, 2],
        [4, 6],
      ],
      [
        [1, 3],
        [5, 7],
      ],
    ])
  })

  it('broadcastTo, zerosLike, onesLike', () => {
    expect(numbersOf(broadcastTo(vector(1, 2), [2, 2]))).toEqual([
      [1, 2],
      [1, 2],
    ])
    expect(numbersOf(zerosLike(counting(2, 1)))).toEqual([[0], [0]])
    expect(numbersOf(onesLike(counting(1, 2)))).toEqual([[1, 1]])
  })

  it('slice with ranges from either end, and with null for all', () => {
    const x = counting(3, 4)
    expect(
      numbersOf(
        slice(x, [
          [1, 3],
          [-3, -1],
        ]),
      ),
    ).toEqual([
      [5, 6],
      [9, 10],
    ])
    expect(numbersOf(slice(x, [null, [-1, 4]]))).toEqual([[3], [7], [11]])
    expect(numbersOf(slice(x, [[-1, 3]]))).toEqual([[8, 9, 10, 11]])
    expect(numbersOf(slice(x, [[1, 1]]))).toEqual([])
  })

  it('concat along either axis, and along the batch', () => {
    expect(numbersOf(concat([matrix([1], [2]), matrix([3, 4], [5, 6])]))).toEqual([
      [1, 3, 4],
      [2, 5, 6],
    ])
    const rows = input(2)
    const twice = concat([rows, negate(rows), rows], 0)
    expect(numbersOf(twice, { batchSize: 2, feeds: new Map([[rows, [1, 2, 3, 4]]]) })).toEqual([
      [1, 2],
      [3, 4],
      [-1, -2],
      [-3, -4],
      [1, 2],
      [3, 4],
    ])
  })

  it('gather picks rows, and NaN for a row that is not there', () => {
    expect(numbersOf(gather(matrix([1, 2], [3, 4]), integers(1, 0, 1, 2, -1)))).toEqual([
      [3, 4],
      [1, 2],
      [3, 4],
      [nan, nan],
      [nan, nan],
    ])
  })

  it('gather along axis 1', () => {
    const table = counting(2, 3)
    expect(numbersOf(gather(table, integers(2, 0, 2, 1), 1))).toEqual([
      [2, 0, 2, 1],
      [5, 3, 5, 4],
    ])
    const pairs = holding([2, 2], [0, 1, 2, 2], { dtype: 'int32' })
    expect(numbersOf(gather(counting(2, 3, 2), pairs, 1))).toEqual([
      [
        [
          [0, 1],
          [2, 3],
        ],
        [
          [4, 5],
          [4, 5],
        ],
      ],
      [
        [
          [6, 7],
          [8, 9],
        ],
        [
          [10, 11],
          [10, 11],
        ],
      ],
    ])
  })

  it('scatterAdd adds what meets, and drops what lies outside', () => {
    expect(numbersOf(scatterAdd(integers(2, 0, 2, 7, -1), vector(1, 10, 100, 1000, 1000), 3))).toEqual([10, 0, 101])
  })

  it('oneHot, zeros for an index outside', () => {
    expect(numbersOf(oneHot(integers(1, 0, 3, -1), 3))).toEqual([
      [0, 1, 0],
      [1, 0, 0],
      [0, 0, 0],
      [0, 0, 0],
    ])
  })
})

describe('matmul', () => {
  const a = matrix([1, 2, 3], [4, 5, 6])
  const b = matrix([1, 0], [10, 1], [100, 2])
  const expected = [
    [321, 8],
    [654, 17],
  ]

  it('of matrices, with and without flags', () => {
    expect(numbersOf(matmul(a, b))).toEqual(expected)
    expect(numbersOf(matmul(transpose(a), b, { transposeA: true }))).toEqual(expected)
    expect(numbersOf(matmul(a, transpose(b), { transposeB: true }))).toEqual(expected)
    expect(numbersOf(matmul(transpose(a), transpose(b), { transposeA: true, transposeB: true }))).toEqual(expected)
  })

  it('of rank 3 with rank 2, also with an open batch', () => {
    const stack = reshape(concat([a, negate(a)], 0), [2, 2, 3])
    const products = [expected, expected.map((row) => row.map((value) => -value))]
    expect(numbersOf(matmul(stack, b))).toEqual(products)
    expect(numbersOf(matmul(stack, transpose(b), { transposeB: true }))).toEqual(products)
    expect(numbersOf(matmul(transpose(stack, [0, 2, 1]), b, { transposeA: true }))).toEqual(products)
    const rows = input([2, 3])
    const feeds = new Map([[rows, [1, 2, 3, 4, 5, 6, -1, -2, -3, -4, -5, -6]]])
    expect(numbersOf(matmul(rows, b), { batchSize: 2, feeds })).toEqual(products)
  })

  it('repeats leading axes', () => {
    const rows = reshape(a, [2, 1, 1, 3])
    const columns = reshape(transpose(b), [2, 3, 1])
    expect(numbersOf(reshape(matmul(rows, columns), [2, 2]))).toEqual(expected)
  })

  it('over nothing is 0', () => {
    const none = slice(a, [null, [0, 0]])
    expect(numbersOf(matmul(none, none, { transposeB: true }))).toEqual([
      [0, 0],
      [0, 0],
    ])
  })
})

describe('softmax', () => {
  const rows = matrix([0, Math.log(3)], [1000, 1000])

  it('over the last axis, also of large numbers', () => {
    const [values, logarithms] = evaluate([softmax(rows), logSoftmax(rows)])
    const expected = [0.25, 0.75, 0.5, 0.5]
    values.forEach((value: number, i: number) => expect(value).toBeCloseTo(expected[i], 14))
    logarithms.forEach((value: number, i: number) => expect(value).toBeCloseTo(Math.log(expected[i]), 13))
  })

  it('over axis 0 and over an axis in the middle', () => {
    const [transposed, columns] = evaluate([transpose(softmax(rows)), softmax(transpose(rows), 0)])
    expect([...columns]).toEqual([...transposed])
    const x = counting(2, 3, 2)
    const [middle, total] = evaluate([softmax(x, 1), sum(softmax(x, 1), { axes: [1] })])
    const e2 = Math.exp(-2)
    const e4 = Math.exp(-4)
    expect(middle[4]).toBeCloseTo(1 / (1 + e2 + e4), 14)
    expect(middle[1]).toBeCloseTo(e4 / (1 + e2 + e4), 14)
    total.forEach((value: number) => expect(value).toBeCloseTo(1, 14))
  })

  it('with -∞ for what is masked out', () => {
    expect(numbersOf(softmax(vector(0, -infinity, 0)))).toEqual([0.5, 0, 0.5])
  })

  it('whose logarithm keeps what softmax itself rounds to 0', () => {
    expect(numbersOf(logSoftmax(vector(0, -1000)))).toEqual([0, -1000])
  })
})

describe('droppedOut', () => {
  const size = 20_000
  const ones = holding([size], new Array(size).fill(1))

  it('does nothing at inference, nor at rate 0', () => {
    expect(numbersOf(sum(droppedOut(ones, 0.4)))).toBe(size)
    expect(droppedOut(ones, 0)).toBe(ones)
  })

  it('drops the given share while training and scales the rest, so that the mean stays', () => {
    const [values] = evaluate([droppedOut(ones, 0.2)], { mode: 'training' })
    const kept = values.filter((value: number) => value !== 0)
    // Six standard deviations of a binomial of 20 000 draws.
    expect(Math.abs(kept.length / size - 0.8)).toBeLessThan(6 * Math.sqrt((0.8 * 0.2) / size))
    expect(new Set(kept)).toEqual(new Set([1.25]))
  })

  it('drops other elements in every layer of a plan', () => {
    const [first, second] = evaluate([droppedOut(ones, 0.5), droppedOut(ones, 0.5)], { mode: 'training' })
    const agreeing = first.filter((value: number, i: number) => value === second[i]).length
    expect(Math.abs(agreeing / size - 0.5)).toBeLessThan(6 * Math.sqrt(0.25 / size))
  })

  it('refuses a rate outside 0 … 1', () => {
    for (const rate of [-0.1, 1, nan, '0.5' as unknown as number])
      expectRefusal(() => droppedOut(ones, rate), 'ERR_OPTION', 'dropout: ', 'rate')
  })
})

it('a plan without any instruction gives constants and views', () => {
  const x = counting(4)
  expect(evaluate([constant(3), reshape(x, [2, 2]), x], { precision: 'float32' }).map((values) => [...values])).toEqual([
    [3],
    [0, 1, 2, 3],
    [0, 1, 2, 3],
  ])
})
