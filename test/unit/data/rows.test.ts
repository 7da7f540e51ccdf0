/** What the library takes as numbers, and what it makes of them. Refusals that a model would meet are in training/refusedData.test.ts. */
import { describe, expect, it } from 'vitest'
import { type RowSpec, toRows } from '../../../src/data/rows.ts'
import { NdArray, relu, softmax } from '../../../src/index.ts'
import { expectRefusal } from '../../training/support.ts'

const six = Float32Array.of(1, 2, 3, 4, 5, 6)

describe('NdArray', () => {
  it('finds elements row by row', () => {
    const array = new NdArray(six, [2, 3])
    expect(array.at(0, 0)).toBe(1)
    expect(array.at(1, 2)).toBe(6)
    expect(array.toArray()).toEqual([
      [1, 2, 3],
      [4, 5, 6],
    ])
    expect(new NdArray(six, [3, 1, 2]).toArray()).toEqual([[[1, 2]], [[3, 4]], [[5, 6]]])
  })

  it('tells where the largest of each row is, the first of equal ones', () => {
    const found = new NdArray(Float32Array.of(1, 3, 3, -1, -2, -1), [2, 3]).argmax()
    expect([found.shape, ...found.data]).toEqual([[2], 1, 0])
    expect(new NdArray(six, [3, 1, 2]).argmax().toArray()).toEqual([[1], [1], [1]])
    expect(new NdArray(six, [6]).argmax().toArray()).toBe(5)
    expect(new NdArray(new Float32Array(0), [0, 3]).argmax().toArray()).toEqual([])
  })

  it('tells the class of each sample, from rows or from one logit each', () => {
    expect(new NdArray(six, [2, 3]).classes().toArray()).toEqual([2, 2])
    const logits = Float32Array.of(-1, 0, 2)
    expect(new NdArray(logits, [3, 1]).classes().toArray()).toEqual([0, 0, 1])
    expect(new NdArray(logits, [3]).classes().toArray()).toEqual([0, 0, 1])
  })

  it('gives its rows over the same memory', () => {
    const rows = new NdArray(six.slice(), [2, 3]).rows()
    expect(rows.map((row) => row.toArray())).toEqual([
      [1, 2, 3],
      [4, 5, 6],
    ])
    const numbers = new NdArray(six.slice(), [6])
    numbers.rows()[2].data[0] = 7
    expect(numbers.at(2)).toBe(7)
    expect(new NdArray(new Float32Array(0), [0, 3]).rows()).toEqual([])
  })

  it.each([
    ['argmax', () => new NdArray(Float32Array.of(7), []).argmax(), 'shape [] has nothing to choose from'],
    ['argmax', () => new NdArray(new Float32Array(0), [2, 0]).argmax(), 'shape [2, 0] has nothing to choose from'],
    ['rows', () => new NdArray(Float32Array.of(7), []).rows(), 'has no rows'],
  ])('refuses %s of nothing', async (name, call, message) => {
    await expectRefusal(call, 'ERR_DATA', `NdArray.${name}: `, message)
  })

  it.each([
    ['an NdArray', new NdArray(six, [6]), 'a value of type NdArray'],
    ['a typed array', six, 'Float32Array of 6'],
    ['nested arrays', [[1, 2]], 'an array of 1'],
  ])('ops say what to do with %s', async (_, given, described) => {
    for (const op of [softmax, relu])
      await expectRefusal(() => op(given as never), 'ERR_OPTION', `got ${described}; it is an array of numbers`, 'for numbers use argmax()')
  })

  it('is shown by its shape and first values', () => {
    expect(`${new NdArray(six, [2, 3])}`).toBe('NdArray [2, 3]: 1, 2, 3, 4, 5, 6')
    expect(`${new NdArray(Float32Array.of(0.1, 2 ** 30), [2])}`).toBe('NdArray [2]: 0.1, 1073741824')
    expect(`${new NdArray(new Float32Array(12), [3, 4])}`).toBe('NdArray [3, 4]: 0, 0, 0, 0, 0, 0, 0, 0, …')
    expect(`${new NdArray(Float32Array.of(7), [])}`).toBe('NdArray []: 7')
  })

  it('is a number without dimensions, and may be empty', () => {
    expect(new NdArray(Float32Array.of(7), []).toArray()).toBe(7)
    expect(new NdArray(Float32Array.of(7), []).at()).toBe(7)
    expect(new NdArray(new Float32Array(0), [0, 3]).toArray()).toEqual([])
  })

  it.each([
    ['too few numbers', [2, 4], 'shape [2, 4] holds 8 numbers, got 6'],
    ['too many numbers', [5], 'shape [5] holds 5 numbers, got 6'],
    // 2 × 3 is 6 as well.
    ['negative extents', [-2, -3], 'integers of at least 0, got shape [-2, -3]'],
    ['fractions', [1.5, 4], 'integers of at least 0, got shape [1.5, 4]'],
    ['NaN', [Number.NaN], 'got shape [NaN]'],
  ])('refuses %s', async (_, shape, message) => {
    await expectRefusal(() => new NdArray(six, shape), 'ERR_DATA', message)
  })
})

describe('toRows', () => {
  const pairs: RowSpec = { name: 'x', shape: [2], dtype: 'float32' }
  const expected = [1, 2, 3, 4, 5, 6]

  it.each([
    [
      'nested arrays',
      [
        [1, 2],
        [3, 4],
        [5, 6],
      ],
    ],
    ['an array of typed arrays', [Float64Array.of(1, 2), Uint8Array.of(3, 4), Int16Array.of(5, 6)]],
    ['rows of both kinds', [[1, 2], Float32Array.of(3, 4), [5, 6]]],
    ['one typed array', six],
    ['one typed array of doubles', Float64Array.from(six)],
    ['bytes', Uint8Array.from(six)],
    ['an NdArray', new NdArray(six, [3, 2])],
    ['an NdArray of integers', new NdArray(Int32Array.from(six), [3, 2])],
  ])('takes %s', (_, data) => {
    const { values, count } = toRows('fit', data, pairs)
    expect(values).toBeInstanceOf(Float32Array)
    expect({ values: [...values], count }).toEqual({ values: expected, count: 3 })
  })

  it('takes booleans for 0 and 1', () => {
    expect([...toRows('fit', [[true, false]], pairs).values]).toEqual([1, 0])
  })

  it('takes [n] for [n, 1] and the other way round', () => {
    const column: RowSpec = { name: 'y', shape: [1], dtype: 'float32' }
    const scalar: RowSpec = { name: 'y', shape: [], dtype: 'float32' }
    for (const spec of [column, scalar])
      for (const data of [
        [3, 4],
        [[3], [4]],
      ])
        expect({ spec, ...toRows('fit', data, spec) }).toEqual({ spec, values: Float32Array.of(3, 4), count: 2 })
  })

  it('keeps deeper shapes', async () => {
    const image: RowSpec = { name: 'image', shape: [2, 3], dtype: 'float32' }
    const picture = [
      [1, 2, 3],
      [4, 5, 6],
    ]
    expect(toRows('fit', [picture, picture], image)).toEqual({ values: Float32Array.of(...expected, ...expected), count: 2 })
    await expectRefusal(
      () => toRows('fit', [picture[0].concat(picture[1])], image),
      'ERR_DATA',
      'fit: image: expected rows of shape [2, 3] (6 numbers), got data of shape [1, 6]',
    )
  })

  it('counts one number as one', async () => {
    const column: RowSpec = { name: 'y', shape: [1], dtype: 'float32' }
    await expectRefusal(() => toRows('fit', [[1, 2]], column), 'ERR_DATA', 'rows of shape [1] (1 number), got data')
  })

  it('copies, so that the caller may change the data during a run', () => {
    const data = Float32Array.from(six)
    const { values } = toRows('fit', data, pairs)
    data.fill(0)
    expect([...values]).toEqual(expected)
    expect(values.buffer).toBeInstanceOf(SharedArrayBuffer)
  })

  it('uses shared memory of the right type where it lies', () => {
    const data = new Float32Array(new SharedArrayBuffer(24))
    data.set(six)
    expect(toRows('fit', data, pairs).values).toBe(data)
    const integers = new Int32Array(new SharedArrayBuffer(24))
    expect(toRows('fit', integers, { ...pairs, dtype: 'int32' }).values).toBe(integers)
    expect(toRows('fit', integers, pairs).values).toBeInstanceOf(Float32Array)
  })

  it('rounds to float32 and no further', () => {
    expect([...toRows('fit', [[0.1, 3e38]], pairs).values]).toEqual([Math.fround(0.1), Math.fround(3e38)])
  })

  const indices: RowSpec = { name: 'tokens', shape: [2], dtype: 'int32' }

  it('keeps integers exact', () => {
    const { values } = toRows('fit', [[2 ** 31 - 1, -7]], indices)
    expect(values).toBeInstanceOf(Int32Array)
    expect([...values]).toEqual([2147483647, -7])
  })

  it.each([
    ['a fraction', [[1, 2.5]], 'expected integers, got 2.5 at row 0, column 1'],
    ['more than 31 bits', [[2 ** 31, 0]], 'expected integers, got 2147483648 at row 0, column 0'],
    ['a fraction in a typed array', Float32Array.of(1, 2, 3.25, 4), 'got 3.25 at row 1, column 0'],
  ])('refuses %s for an index', async (_, data, message) => {
    await expectRefusal(() => toRows('fit', data, indices), 'ERR_DATA', 'fit: tokens', message)
  })

  it('refuses arrays that never end in numbers', async () => {
    const endless: unknown[] = []
    endless.push(endless)
    await expectRefusal(() => toRows('fit', endless, pairs), 'ERR_DATA', 'fit: x: arrays are nested more than 16 deep')
  })
})
