/** Shapes, dtypes and errors of the symbolic graph, and the gradient as a transformation of it. */
import { describe, expect, it } from 'vitest'
import { BatchDimension, batch, broadcastShapes, formatShape, type Shape } from '../../../src/graph/shape.ts'
import { ancestors, type Tensor, within } from '../../../src/graph/tensor.ts'
import {
  activation,
  add,
  argmax,
  broadcastTo,
  cast,
  concat,
  concatenate,
  constant,
  dense,
  elementCount,
  equal,
  exp,
  flatten,
  gather,
  gradients,
  greater,
  input,
  log,
  logSoftmax,
  matmul,
  max,
  mean,
  multiply,
  oneHot,
  power,
  reshape,
  scatterAdd,
  sigmoid,
  slice,
  softmax,
  square,
  stopGradient,
  subtract,
  sum,
  tanh,
  transpose,
  whenTraining,
} from '../../../src/index.ts'
import { assign } from '../../../src/ops/update.ts'
import { evaluate, expectRefusal, holding, numbersOf, randomNumbers } from '../values.ts'

const fixed = (...shape: number[]): Tensor => holding(shape, [])
const open = (...shape: number[]): Tensor => input(shape)
const indices = (...shape: number[]): Tensor => input(shape, { dtype: 'int32' })
const three = BatchDimension.of(3)
const six = BatchDimension.of(6)

describe('dimensions', () => {
  it('are interned, so that equal ones are the same object', () => {
    expect(BatchDimension.of(6)).toBe(six)
    expect(BatchDimension.of(1)).toBe(batch)
  })

  it('print as messages show them', () => {
    expect(formatShape([batch, six, 4])).toBe('[batch, 6·batch, 4]')
    expect(formatShape([])).toBe('[]')
  })

  it.each<[Shape, Shape, Shape]>([
    [[], [], []],
    [[], [batch, 3], [batch, 3]],
    [[3], [batch, 3], [batch, 3]],
    [
      [batch, 1],
      [1, 4],
      [batch, 4],
    ],
    [
      [1, 3],
      [batch, 1],
      [batch, 3],
    ],
    [
      [six, 3],
      [six, 3],
      [six, 3],
    ],
    [
      [2, 1, 5],
      [3, 1],
      [2, 3, 5],
    ],
    [[0, 3], [1], [0, 3]],
    [
      [0, 3],
      [1, 3],
      [0, 3],
    ],
  ])('%j and %j broadcast', (a, b, joined) => {
    expect(broadcastShapes('add', a, b)).toEqual(joined)
    expect(broadcastShapes('add', b, a)).toEqual(joined)
  })

  it.each<[Shape, Shape, string, string]>([
    [[batch, 3], [4, 3], '[batch, 3]', '[4, 3]'],
    [[six, 3], [batch, 3], '[6·batch, 3]', '[batch, 3]'],
    [[2, 3], [2], '[2, 3]', '[2]'],
    [[0], [2], '[0]', '[2]'],
  ])('%j and %j do not, and the message shows both', (a, b, left, right) => {
    expectRefusal(() => broadcastShapes('add', a, b), 'ERR_SHAPE', 'add: ', left, right)
  })
})

describe('shape inference', () => {
  it.each<[string, () => Tensor, Shape]>([
    ['input', () => open(784), [batch, 784]],
    ['input of one number a sample', () => open(), [batch]],
    ['reshape with -1 in the middle', () => reshape(open(2, 6), [batch, -1, 3]), [batch, 4, 3]],
    ['reshape with -1 that takes the batch in', () => reshape(open(2, 3), [-1]), [six]],
    ['reshape with -1 that takes part of the row in', () => reshape(open(2, 3), [-1, 2]), [three, 2]],
    ['reshape with -1 that gives the batch back', () => reshape(reshape(open(2, 3), [-1]), [batch, -1]), [batch, 6]],
    ['reshape of a multiple', () => reshape(reshape(open(6), [-1, 1]), [three, -1]), [three, 2]],
    ['reshape that adds ones', () => reshape(open(), [1, batch, 1]), [1, batch, 1]],
    ['reshape of a scalar', () => reshape(constant(1), [1, 1]), [1, 1]],
    ['flatten', () => flatten(open(28, 28, 3)), [batch, 2352]],
    ['flatten of one number a sample', () => flatten(open()), [batch, 1]],
    ['transpose', () => transpose(open(2, 3)), [3, 2, batch]],
    ['transpose with negative axes', () => transpose(open(2, 3), [0, -1, -2]), [batch, 3, 2]],
    ['broadcastTo', () => broadcastTo(fixed(3), [batch, 3]), [batch, 3]],
    ['slice', () => slice(open(5, 7), [null, [-3, -1]]), [batch, 2, 7]],
    ['slice of nothing', () => slice(open(5), [null, [2, 2]]), [batch, 0]],
    ['concat along the last axis', () => concat([open(2), open(3)]), [batch, 5]],
    ['concat along the batch', () => concat([open(2), open(2), reshape(open(4), [-1, 2])], 0), [BatchDimension.of(4), 2]],
    ['concatenate', () => concatenate([open(2, 3), open(2, 4)], { axis: -1 }), [batch, 2, 7]],
    ['sum over all', () => sum(open(2, 3)), []],
    ['sum over scattered axes', () => sum(open(2, 3, 4), { axes: [0, 2] }), [2, 4]],
    ['sum over scattered axes, kept', () => sum(open(2, 3, 4), { axes: [-1, 0], keepDims: true }), [1, 2, 3, 1]],
    ['sum over no axes', () => sum(open(2), { axes: [] }), [batch, 2]],
    ['sum over an axis named twice', () => sum(open(2), { axes: [1, -1] }), [batch]],
    ['mean over the batch', () => mean(open(2, 3), { axes: [0] }), [2, 3]],
    ['max', () => max(open(2, 3), { axes: [1], keepDims: true }), [batch, 1, 3]],
    ['argmax', () => argmax(open(2, 3), 1), [batch, 3]],
    ['matmul', () => matmul(open(4), fixed(4, 5)), [batch, 5]],
    ['matmul that reduces the batch', () => matmul(open(4), open(5), { transposeA: true }), [4, 5]],
    ['matmul over two batches', () => matmul(open(4), open(4), { transposeB: true }), [batch, batch]],
    ['matmul of rank 3 with rank 2', () => matmul(open(7, 4), fixed(4, 5)), [batch, 7, 5]],
    ['matmul of rank 3 with rank 2, transposed', () => matmul(open(7, 4), fixed(5, 4), { transposeB: true }), [batch, 7, 5]],
    ['matmul of rank 3 with rank 3', () => matmul(open(7, 4), open(4, 5)), [batch, 7, 5]],
    ['matmul with leading axes that broadcast', () => matmul(open(1, 7, 4), fixed(3, 4, 5)), [batch, 3, 7, 5]],
    ['dense over three axes', () => dense(open(7, 4), 5), [batch, 7, 5]],
    ['gather', () => gather(fixed(10, 4), indices(6)), [batch, 6, 4]],
    ['gather along axis 1', () => gather(open(10, 4), indices(), 1), [batch, batch, 4]],
    ['gather along the last axis', () => gather(fixed(3, 10), indices(2), -1), [3, batch, 2]],
    ['scatterAdd', () => scatterAdd(indices(), open(4), 10), [10, 4]],
    ['oneHot', () => oneHot(indices(2), 10), [batch, 2, 10]],
    ['softmax over axis 0', () => softmax(open(3), 0), [batch, 3]],
    ['logSoftmax over axis 1', () => logSoftmax(open(3, 4), 1), [batch, 3, 4]],
    ['elementCount', () => elementCount([batch, 3]), []],
  ])('of %s', (_, make, shape) => {
    // formatShape, because the interned dimensions would print as objects.
    expect(formatShape(make().shape)).toBe(formatShape(shape))
  })

  it.each<[string, () => Tensor, string]>([
    ['argmax', () => argmax(open(3)), 'int32'],
    ['oneHot', () => oneHot(indices(), 3), 'float32'],
    ['a comparison', () => greater(open(3), 0), 'float32'],
    ['cast', () => cast(indices()), 'float32'],
    ['gather from an int32 table', () => gather(holding([4], [], { dtype: 'int32' }), indices()), 'int32'],
    ['reshape of int32', () => reshape(indices(2), [-1]), 'int32'],
    ['concat of int32', () => concat([indices(2), indices(1)]), 'int32'],
  ])('%s gives the right dtype', (_, make, dtype) => {
    expect(make().dtype).toBe(dtype)
  })

  it('leaves the open dimension to the plan: one graph serves every batch size', () => {
    const x = open(2)
    const y = add(reshape(x, [-1]), elementCount(x.shape))
    expect(numbersOf(y, { batchSize: 1, feeds: new Map([[x, [1, 2]]]) })).toEqual([3, 4])
    expect(numbersOf(y, { batchSize: 2, feeds: new Map([[x, [1, 2, 3, 4]]]) })).toEqual([5, 6, 7, 8])
  })
})

describe('errors', () => {
  it.each<[string, () => unknown, string, string[]]>([
    ['reshape', () => reshape(open(3), [batch, 4]), 'ERR_SHAPE', ['reshape: ', '[batch, 3]', '[batch, 4]']],
    ['reshape that drops the batch', () => reshape(open(3), [3]), 'ERR_SHAPE', ['reshape: ', '[batch, 3]', '[3]']],
    ['reshape with an impossible -1', () => reshape(open(3), [-1, 2]), 'ERR_SHAPE', ['reshape: ', '[batch, 3]', '[-1, 2]']],
    ['reshape with two -1', () => reshape(open(3), [-1, -1]), 'ERR_SHAPE', ['reshape: ', '-1']],
    ['reshape to batch²', () => reshape(matmul(open(3), open(3), { transposeB: true }), [-1]), 'ERR_SHAPE', ['[batch, batch]', '[-1]']],
    ['add', () => add(open(3), fixed(4, 3)), 'ERR_SHAPE', ['add: ', '[batch, 3]', '[4, 3]']],
    ['add of a batch and a multiple', () => add(open(3), reshape(open(6), [-1, 3])), 'ERR_SHAPE', ['add: ', '[batch, 3]', '[2·batch, 3]']],
    ['matmul', () => matmul(open(784), fixed(785, 10)), 'ERR_SHAPE', ['matmul: ', '[batch, 784]', '[785, 10]']],
    [
      'matmul, transposed',
      () => matmul(open(4), fixed(5, 3), { transposeB: true }),
      'ERR_SHAPE',
      ['matmul: ', 'the last of b', '[batch, 4]', '[5, 3]'],
    ],
    ['matmul of vectors', () => matmul(open(), fixed(3, 4)), 'ERR_SHAPE', ['matmul: ', '[batch]', '[3, 4]']],
    ['matmul of stacks', () => matmul(fixed(2, 3, 4), fixed(5, 4, 6)), 'ERR_SHAPE', ['matmul: ', '[2]', '[5]']],
    ['concat', () => concat([open(3), open(2, 2)]), 'ERR_SHAPE', ['concat: ', '[batch, 3]', '[batch, 2, 2]']],
    ['concat of batch and fixed', () => concat([open(3), fixed(2, 3)], 0), 'ERR_SHAPE', ['concat: ', '[batch, 2]']],
    ['concat of dtypes', () => concat([open(3), indices(3)]), 'ERR_DTYPE', ['concat: ', 'float32', 'int32']],
    ['slice of the batch', () => slice(open(3), [[0, 2]]), 'ERR_SHAPE', ['slice: ', 'axis 0', '[batch, 3]']],
    ['slice beyond the end', () => slice(open(3), [null, [1, 4]]), 'ERR_SHAPE', ['slice: ', '[batch, 3]']],
    ['slice backwards', () => slice(open(3), [null, [2, 1]]), 'ERR_SHAPE', ['slice: ', '[batch, 3]']],
    ['slice of too many axes', () => slice(open(3), [null, null, null]), 'ERR_SHAPE', ['slice: ', '3 ranges', '[batch, 3]']],
    ['sum', () => sum(open(3), { axes: [2] }), 'ERR_SHAPE', ['sum: ', 'axis 2']],
    ['sum of indices', () => sum(indices(3)), 'ERR_DTYPE', ['sum: ', 'int32', '[batch, 3]', 'cast']],
    ['gather by floats', () => gather(fixed(4, 3), open()), 'ERR_DTYPE', ['gather: ', 'int32', 'float32', '[batch]']],
    ['scatterAdd', () => scatterAdd(indices(2), open(3), 5), 'ERR_SHAPE', ['scatterAdd: ', '[batch, 3]', '[batch, 2]']],
    ['broadcastTo', () => broadcastTo(open(3), [3]), 'ERR_SHAPE', ['broadcastTo: ', '[batch, 3]', '[3]']],
    ['transpose', () => transpose(open(3), [0, 0]), 'ERR_SHAPE', ['transpose: ', '[batch, 3]', '[0, 0]']],
    ['softmax', () => softmax(open(3), 2), 'ERR_SHAPE', ['softmax: ', 'axis 2']],
    ['whenTraining', () => whenTraining(open(3), open(4)), 'ERR_SHAPE', ['whenTraining: ', '[batch, 3]', '[batch, 4]']],
    ['a string', () => add(open(3), '1' as unknown as number), 'ERR_OPTION', ['"1"']],
    ['an array', () => tanh([1] as unknown as number), 'ERR_OPTION', ['an array of 1']],
  ])('of %s name the op and what came', (_, make, code, parts) => {
    expectRefusal(make, code, ...parts)
  })

  it('name the layer', () => {
    const mix = activation((x) => matmul(x, fixed(4, 2)), { name: 'mixer' })
    expectRefusal(() => mix(open(3)), 'ERR_SHAPE', 'matmul (layer "mixer"): ', '[batch, 3]', '[4, 2]')
    const unnamed = activation((x) => add(x, fixed(2)))
    expectRefusal(() => unnamed(open(3)), 'ERR_SHAPE', 'add (layer "activation"): ', '[batch, 3]', '[2]')
  })

  it('name the outer layer again once the inner one has been left, by an exception too', () => {
    within({ kind: 'outer', name: 'outer' }, 'forward', () => {
      expect(() => within({ kind: 'inner', name: 'inner' }, 'forward', () => sum(indices()))).toThrow('sum (layer "inner")')
      expect(() => sum(indices())).toThrow('sum (layer "outer")')
    })
    expect(() => sum(indices())).toThrow('sum: ')
  })

  it('of a dense layer that meets other features than it was made for', () => {
    const layer = dense(4, { name: 'shared' })
    layer(open(3))
    expectRefusal(() => layer(open(5)), 'ERR_SHAPE', 'shared', '3 features', '[batch, 5]')
  })
})

describe('gradients', () => {
  const at = (...values: number[]) => holding([values.length], values)

  it('of a gradient: d²/dx² of x³ is 6x, the third derivative 6, the fourth 0', () => {
    for (const cube of [(x: Tensor) => power(x, 3), (x: Tensor) => multiply(x, multiply(x, x)), (x: Tensor) => multiply(square(x), x)]) {
      const x = at(-2, 0.5, 3)
      const [first] = gradients(sum(cube(x)), [x])
      const [second] = gradients(sum(first), [x])
      const [third] = gradients(sum(second), [x])
      const [fourth] = gradients(sum(third), [x])
      expect([first, second, third, fourth].map((derivative) => numbersOf(derivative))).toEqual([
        [12, 0.75, 27],
        [-12, 3, 18],
        [6, 6, 6],
        [0, 0, 0],
      ])
    }
  })

  it('of a gradient: tanh″ = -2 tanh (1 - tanh²)', () => {
    const points = [-1.3, 0, 0.4]
    const x = at(...points)
    const [second] = gradients(sum(gradients(sum(tanh(x)), [x])[0]), [x])
    const expected = points.map((point) => -2 * Math.tanh(point) * (1 - Math.tanh(point) ** 2))
    evaluate([second])[0].forEach((value: number, i: number) => expect(value).toBeCloseTo(expected[i], 14))
  })

  it('give Hessian-vector products of a network that agree with finite differences', () => {
    const shapes = [[3, 5], [5], [5, 2], [2]]
    const names = ['kernel1', 'bias1', 'kernel2', 'bias2']
    const start = shapes.map((shape, i) =>
      randomNumbers(
        shape.reduce((a, b) => a * b, 1),
        i,
      ),
    )
    const directions = start.map((values, i) => randomNumbers(values.length, 10 + i))
    const x = open(3)
    const target = open(2)
    const feeds = new Map([
      [x, randomNumbers(12, 20)],
      [target, randomNumbers(8, 21)],
    ])
    const network = (shift: number) => {
      const weights = shapes.map((shape, i) =>
        holding(
          shape,
          start[i].map((value, j) => value + shift * directions[i][j]),
          { name: names[i] },
        ),
      )
      const [kernel1, bias1, kernel2, bias2] = weights
      const hidden = tanh(add(matmul(x, kernel1), bias1))
      const loss = mean(square(subtract(sigmoid(add(matmul(hidden, kernel2), bias2)), target)))
      return { weights, slopes: gradients(loss, weights) }
    }
    const { weights, slopes } = network(0)
    const along = slopes.map((slope, i) => sum(multiply(slope, holding(shapes[i], directions[i], { name: `direction${i}` }))))
    const products = evaluate(gradients(along.reduce(add), weights), { batchSize: 4, feeds })

    const h = 1e-5
    const above = evaluate(network(h).slopes, { batchSize: 4, feeds })
    const below = evaluate(network(-h).slopes, { batchSize: 4, feeds })
    products.forEach((values, i) => {
      expect(Math.max(...values.map(Math.abs))).toBeGreaterThan(1e-3)
      values.forEach((value: number, j: number) => expect(value).toBeCloseTo((above[i][j] - below[i][j]) / (2 * h), 8))
    })
  })

  it('add up over a subexpression that is used several times', () => {
    const x = at(2, -3)
    const h = multiply(x, x)
    // y = h² + 3h + h·x, so dy/dx = (2h + 3 + x)·2x + h.
    const y = add(add(multiply(h, h), multiply(3, h)), multiply(h, x))
    expect(numbersOf(gradients(sum(y), [x])[0])).toEqual([2, -3].map((v) => (2 * v * v + 3 + v) * 2 * v + v * v))
  })

  it('pass through a shared subexpression once, however often it is used', () => {
    const x = at(0.3)
    let y: Tensor = x
    for (let i = 0; i < 30; i++) y = add(y, y)
    const [slope] = gradients(sum(y), [x])
    expect(ancestors([slope]).length).toBeLessThan(150)
    expect(numbersOf(slope)).toEqual([2 ** 30])
  })

  it('with respect to something in the middle, and to something and what it comes from', () => {
    const x = at(2)
    const h = square(x)
    const loss = sum(multiply(h, h))
    expect(gradients(loss, [h, x]).map((slope) => numbersOf(slope))).toEqual([[8], [32]])
    expect(gradients(loss, [loss]).map((slope) => numbersOf(slope))).toEqual([1])
  })

  it('take a seed in place of a scalar loss', () => {
    const x = at(2, 3)
    const [slope] = gradients(square(x), [x], at(1, 10))
    expect(numbersOf(slope)).toEqual([4, 60])
    expectRefusal(() => gradients(square(x), [x]), 'ERR_GRAPH', 'scalar', '[2]', 'mean(x)')
    expectRefusal(() => gradients(square(x), [x], at(1)), 'ERR_SHAPE', '[2]', '[1]')
  })

  it('are zeros where nothing is connected', () => {
    const x = at(1, 2)
    const other = holding([2, 3], [1, 1, 1, 1, 1, 1])
    expect(numbersOf(gradients(sum(x), [other])[0])).toEqual([
      [0, 0, 0],
      [0, 0, 0],
    ])
  })

  it.each<[string, (x: Tensor) => Tensor]>([
    ['stopGradient', (x) => stopGradient(square(x))],
    ['a comparison', (x) => greater(x, 0.5)],
    ['equality', (x) => equal(x, 1)],
    ['argmax and oneHot', (x) => oneHot(argmax(x), 4)],
  ])('do not flow through %s', (_, f) => {
    const x = at(1, 2)
    expect(numbersOf(gradients(sum(f(x)), [x])[0])).toEqual([0, 0])
    // Beside it they do.
    expect(numbersOf(gradients(add(sum(f(x)), sum(multiply(3, x))), [x])[0])).toEqual([3, 3])
  })

  it('are summed back over what was broadcast', () => {
    const row = at(1, 2, 3)
    const column = holding([2, 1], [10, 20])
    const scalar = holding([], [2])
    const loss = sum(multiply(multiply(row, column), scalar))
    expect(gradients(loss, [row, column, scalar]).map((slope) => numbersOf(slope))).toEqual([[60, 60, 60], [[12], [12]], 180])
  })

  it('of a mean over the batch are divided by the batch size of the plan', () => {
    const x = open(2)
    const [slope] = gradients(sum(mean(x, { axes: [0] })), [x])
    for (const batchSize of [1, 4]) {
      const feeds = new Map([[x, randomNumbers(2 * batchSize)]])
      expect(numbersOf(slope, { batchSize, feeds })).toEqual(Array.from({ length: batchSize }, () => [1 / batchSize, 1 / batchSize]))
    }
  })

  it('of whenTraining are those of the branch the plan takes', () => {
    const x = at(3)
    const [slope] = gradients(sum(whenTraining(square(x), multiply(5, x))), [x])
    expect(numbersOf(slope, { mode: 'training' })).toEqual([6])
    expect(numbersOf(slope, { mode: 'inference' })).toEqual([5])
  })

  it('pass slices, concatenations, gathers, transposes and reductions by position', () => {
    const x = holding([2, 3], [1, 2, 3, 4, 5, 6])
    const weights = holding([3, 2], [1, 10, 100, 1000, 10_000, 100_000])
    expect(numbersOf(gradients(sum(multiply(transpose(x), weights)), [x])[0])).toEqual([
      [1, 100, 10_000],
      [10, 1000, 100_000],
    ])
    const ends = concat([slice(x, [null, [0, 1]]), slice(x, [null, [-2, 3]]), slice(x, [null, [0, 1]])])
    expect(numbersOf(gradients(sum(multiply(ends, holding([4], [1, 2, 3, 4]))), [x])[0])).toEqual([
      [5, 2, 3],
      [5, 2, 3],
    ])
    const picked = gather(x, holding([3], [2, 0, 2], { dtype: 'int32' }), 1)
    expect(numbersOf(gradients(sum(multiply(picked, holding([3], [1, 2, 3]))), [x])[0])).toEqual([
      [2, 0, 4],
      [2, 0, 4],
    ])
    const largest = max(holding([4], [1, 7, 7, 2]))
    expect(numbersOf(gradients(largest, largest.inputs)[0])).toEqual([0, 0.5, 0.5, 0])
  })

  it('of a concatenation along the batch are refused, and those along another axis are not', () => {
    const x = open(2)
    expectRefusal(() => gradients(sum(concat([x, x], 0)), [x]), 'ERR_GRAPH', 'batch', 'another axis')
    expectRefusal(() => gradients(sum(concat([x, x], -2)), [x]), 'ERR_GRAPH', 'batch')
    const [slope] = gradients(sum(square(concat([x, multiply(3, x)], 1))), [x])
    expect(numbersOf(slope, { batchSize: 1, feeds: new Map([[x, [1, 2]]]) })).toEqual([[20, 40]])
  })

  it('of exp ∘ log and of x - x are exact', () => {
    const x = at(0.5, 2)
    expect(numbersOf(gradients(sum(exp(log(x))), [x])[0])).toEqual([1, 1])
    expect(numbersOf(gradients(sum(subtract(x, x)), [x])[0])).toEqual([0, 0])
  })

  it('name the op that has no rule, unless nothing that matters is behind it', () => {
    const x = at(1)
    const y = at(2)
    expectRefusal(() => gradients(sum(assign(x, y)), [y]), 'ERR_GRAPH', 'assign', 'stopGradient')
    expect(numbersOf(gradients(add(sum(stopGradient(assign(at(0), at(2)))), sum(y)), [y])[0])).toEqual([1])
  })

  it('belong to the layer and phase of what they differentiate', () => {
    const x = open(3)
    const y = dense(x, 2, { name: 'head', activation: 'tanh' })
    const made = ancestors(gradients(sum(square(y)), [x])).filter((node) => node.phase === 'backward')
    expect(new Set(made.map((node) => node.scope?.name))).toContain('head')
  })
})
