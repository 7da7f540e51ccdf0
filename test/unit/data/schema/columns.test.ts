/** Each kind of column: what it makes of values, of missing and unseen ones, and what it refuses. */
import { describe, expect, it } from 'vitest'
import { column, type FeatureColumn, FittedSchema, inferSchema, NdArray, schema, target } from '../../../../src/index.ts'
import { expectRefusal } from '../../../training/support.ts'

const anything = (value: unknown) => value as never

/** A schema of one column, fitted to values. */
async function fit(a: FeatureColumn, values: readonly unknown[]): Promise<FittedSchema> {
  return schema({ a, y: target.number() }).fit(values.map((value, i) => ({ a: value, y: i })))
}

/** The rows of the only input, rounded; from the fitted schema and from the one that its JSON makes, which must agree. */
function encoded(fitted: FittedSchema, values: readonly unknown[]): number[][] {
  const rowsOf = (one: FittedSchema) =>
    (one.encodeInputs(values.map((a) => ({ a }))) as NdArray).rows().map(({ data }) => Array.from(data, (x) => Number(x.toFixed(4))))
  const rows = rowsOf(fitted)
  expect(rowsOf(FittedSchema.fromJSON(JSON.parse(JSON.stringify(fitted))))).toEqual(rows)
  return rows
}

describe('column.number', () => {
  it('standardises, fills in the median and says so, where values are missing', async () => {
    const fitted = await fit(column.number({ scale: 'standard' }), ['1', 2, '', ' 3 ', null, 'NA'])
    expect(fitted.featureNames).toEqual(['a', 'a (missing)'])
    expect(encoded(fitted, ['1', 2, '', 3n])).toEqual([
      [-1.2247, 0],
      [0, 0],
      [0, 1],
      [1.2247, 0],
    ])
  })

  it('takes the logarithm of what is skewed, and cuts off what is far away', async () => {
    const fitted = await fit(column.number(), [0, 1, 10, 100, 1000, 10_000])
    const rows = encoded(fitted, [0, 10_000, 1e30, -1e30]).flat()
    expect(rows.slice(0, 2)).toEqual([-1.202, 1.586])
    expect(rows.slice(2)).toEqual([5, -5])
  })

  it('cuts nothing off of what is not scaled, unless it is told to', async () => {
    expect(encoded(await fit(column.number({ scale: 'none' }), [100, 200]), [100, -300])).toEqual([[100], [-300]])
    expect(encoded(await fit(column.number({ scale: 'none', clip: 5 }), [100, 200]), [100, -300])).toEqual([[5], [-5]])
  })

  it('has bins beside the number, between quantiles', async () => {
    const fitted = await fit(column.number({ scale: 'none', clip: null, bins: 2 }), [0, 1, 2, 3, 4])
    expect(fitted.featureNames).toEqual(['a', 'a (0 … 2)', 'a (2 … 4)'])
    expect(encoded(fitted, [-1, 1, 2, 3.5, 9])).toEqual([
      [-1, 0, 0],
      [1, 0.5, 0],
      [2, 1, 0],
      [3.5, 1, 0.75],
      [9, 1, 1],
    ])
  })

  it('takes what stands in and what is missing as options', async () => {
    const fitted = await fit(
      column.number({ scale: 'none', missing: -1, indicator: false, missingValues: [-999, 'NaN'], clip: null }),
      [1, -999, 3],
    )
    expect(encoded(fitted, [-999, '-999', 'NaN', Number.NaN, 2])).toEqual([[-1], [-1], [-1], [-1], [2]])
  })

  it.each<[unknown, ...string[]]>([
    ['abc', 'row 0, column "a": expected a number, got "abc"', 'missingValues: ["NA","N/A","null","abc"]'],
    ['1,234.5', 'expected a number, got "1,234.5"; write numbers with a decimal point and without separators'],
    [Number.NaN, 'expected a finite number (within ±3.4e38), got NaN'],
    ['Infinity', 'expected a finite number', 'got "Infinity"'],
    [1e39, 'expected a finite number', 'got 1e+39'],
    [new Date(0), 'expected a number, got a value of type Date'],
  ])('refuses %s', async (value, ...parts) => {
    const fitted = await fit(column.number(), [1, 2])
    await expectRefusal(() => fitted.encodeInputs([{ a: value }]), 'ERR_DATA', ...parts)
    await expectRefusal(() => fit(column.number(), [1, value]), 'ERR_DATA', ...parts.map((part) => part.replace('row 0', 'element 1')))
  })

  it('refuses missing values and fractions where it is told to', async () => {
    await expectRefusal(() => fit(column.number({ missing: 'error' }), [1, '']), 'ERR_DATA', 'column "a": expected a number, got ""')
    await expectRefusal(() => fit(column.integer(), [1, '2.5']), 'ERR_DATA', 'expected an integer, got "2.5"; use column.number()')
  })

  it('gives nothing of a column that is all missing', async () => {
    expect(encoded(await fit(column.number(), ['', null, '']), ['', 5])).toEqual([
      [0, 1],
      [0, 0],
    ])
  })
})

describe('column.category', () => {
  const values = ['b', 'a', 'b', 'c', 'a', 'b', '']

  it('has a feature for each category, one for rare and one for missing ones', async () => {
    const fitted = await fit(column.category({ minimumCount: 2 }), values)
    expect(fitted.featureNames).toEqual(['a = b', 'a = a', 'a (other)', 'a (missing)'])
    expect(encoded(fitted, ['a', 'c', 'new', null])).toEqual([
      [0, 1, 0, 0],
      [0, 0, 1, 0],
      [0, 0, 1, 0],
      [0, 0, 0, 1],
    ])
    expect(fitted.columnOf(3)).toBe('a')
  })

  it('is all 0 for what the network cannot have learned', async () => {
    const fitted = await fit(column.category({ minimumCount: 1 }), ['a', 'b', 'a', 'b'])
    expect(encoded(fitted, ['new', ''])).toEqual([
      [0, 0],
      [0, 0],
    ])
  })

  it('keeps at most so many, the most frequent', async () => {
    expect((await fit(column.category({ most: 1, minimumCount: 1 }), values)).featureNames).toEqual(['a = b', 'a (other)', 'a (missing)'])
  })

  it('gives indices for an embedding', async () => {
    const fitted = await fit(column.category({ encode: 'embedding', minimumCount: 1 }), values)
    expect(fitted.inputs).toEqual([{ name: 'categories', shape: [1], dtype: 'int32', sizes: [5], columns: ['a'] }])
    expect(encoded(fitted, ['b', 'a', 'c', 'new', ''])).toEqual([[2], [3], [4], [0], [1]])
  })

  it('gives grades in order, and frequencies', async () => {
    const grades = await fit(column.category({ encode: 'ordinal', values: ['poor', 'fair', 'good'] }), [
      'poor',
      'good',
      'fair',
      'poor',
      'good',
    ])
    expect(encoded(grades, ['poor', 'fair', 'good', 'new', ''])).toEqual([[-1.118], [0], [1.118], [0], [0]])
    const frequencies = encoded(await fit(column.category({ encode: 'frequency', minimumCount: 1 }), values), ['b', 'a', 'c']).flat()
    expect(frequencies).toEqual([...frequencies].sort((x, y) => y - x))
  })

  it('takes numbers and truth values for what they are written as', async () => {
    const fitted = await fit(column.category({ minimumCount: 1 }), [1, '1', true, 'true', 2n])
    expect(fitted.featureNames).toEqual(['a = 1', 'a = true', 'a = 2'])
  })

  it('refuses unseen and missing ones where it is told to', async () => {
    const fitted = await fit(column.category({ unseen: 'error', missing: 'error' }), ['a', 'b'])
    await expectRefusal(() => fitted.encodeInputs([{ a: 'c' }]), 'ERR_DATA', 'row 0, column "a": expected one of a, b, got "c"')
    await expectRefusal(() => fitted.encodeInputs([{ a: '' }]), 'ERR_DATA', 'expected a category, got ""')
    await expectRefusal(
      () => fit(column.category({ values: ['a'], unseen: 'error' }), ['a', 'z']),
      'ERR_DATA',
      'expected one of a, got "z"',
    )
    await expectRefusal(
      () => fit(column.category({ most: 2, unseen: 'error' }), ['a', 'b', 'c']),
      'ERR_DATA',
      'schema.fit: column "a": expected at most 2 categories, got 3',
      'raise most',
    )
    await expectRefusal(() => fit(column.category(), ['a', { b: 1 }]), 'ERR_DATA', 'expected a category (text, a number, true or false)')
    await expectRefusal(() => fit(column.category(), ['x'.repeat(1001)]), 'ERR_DATA', 'at most 1000 characters', 'use column.text()')
  })

  it('is safe from names that objects inherit', async () => {
    const fitted = await fit(column.category({ minimumCount: 1 }), ['constructor', '__proto__', 'toString', '__proto__'])
    expect(encoded(fitted, ['__proto__', 'valueOf', 'toString'])).toEqual([
      [1, 0, 0],
      [0, 0, 0],
      [0, 0, 1],
    ])
  })
})

describe('column.boolean', () => {
  it('is 1, -1, or 0 where it is missing', async () => {
    const fitted = await fit(column.boolean(), ['yes', 'no', true, ''])
    expect(encoded(fitted, ['Yes', ' NO ', true, 0, '1', 'f', null])).toEqual([[1], [-1], [1], [-1], [1], [-1], [0]])
  })

  it('takes other words, and refuses what is neither', async () => {
    const fitted = await fit(column.boolean({ yes: ['ja'], no: ['nein'] }), ['ja', 'nein'])
    expect(encoded(fitted, ['JA', 'nein'])).toEqual([[1], [-1]])
    await expectRefusal(() => fitted.encodeInputs([{ a: 'yes' }]), 'ERR_DATA', 'expected yes or no (one of ja, nein), got "yes"')
    await expectRefusal(() => column.boolean({ yes: ['x'], no: ['X'] }), 'ERR_OPTION', '"x" stands for yes and for no')
  })
})

describe('column.text', () => {
  const texts = ['The cat sat', 'the cat ran!', 'A dog ran', '']

  it('counts words of the vocabulary, weighed by how rare they are, to length 1', async () => {
    const fitted = await fit(column.text(), texts)
    expect(fitted.featureNames).toEqual(['a: cat', 'a: ran', 'a: the'])
    const [both, none, twice] = encoded(fitted, ['THE cat', 'nothing', 'cat, cat & ran'])
    const half = Number(Math.SQRT1_2.toFixed(4))
    expect(both).toEqual([half, 0, half])
    expect(none).toEqual([0, 0, 0])
    expect(twice[0] / twice[1]).toBeCloseTo(1 + Math.log(2), 3)
  })

  it('weighs as scikit-learn does', async () => {
    const fitted = await fit(column.text({ minimumCount: 1 }), ['a b', 'a c'])
    const [row] = encoded(fitted, ['a b'])
    const rare = Math.log(3 / 2) + 1
    expect(row).toEqual([1, rare, 0].map((x) => Number((x / Math.hypot(1, rare)).toFixed(4))))
  })

  it('counts pairs of words', async () => {
    expect((await fit(column.text({ ngrams: [2, 2] }), texts)).featureNames).toEqual(['a: the cat'])
  })

  it('hashes n-grams without a vocabulary', async () => {
    const fitted = await fit(column.text({ encode: 'hashed', width: 32, ngrams: [1, 2] }), texts)
    const [a, b, c] = encoded(fitted, ['the cat', 'The CAT!', 'unseen words'])
    expect(a).toEqual(b)
    expect(a).not.toEqual(c)
    expect(Math.hypot(...a)).toBeCloseTo(1, 3)
    expect(Math.hypot(...c)).toBeCloseTo(1, 3)
  })

  it('gives the numbers of words, in an input of its own', async () => {
    const fitted = await fit(column.text({ encode: 'tokens', length: 3 }), texts)
    expect(fitted.inputs).toEqual([{ name: 'a', shape: [3], dtype: 'int32', sizes: [5], columns: ['a'] }])
    expect(encoded(fitted, ['the cat', 'ran from the cat', null])).toEqual([
      [4, 2, 0],
      [3, 1, 4],
      [0, 0, 0],
    ])
  })

  it('refuses what is no text', () => expectRefusal(() => fit(column.text(), ['a', ['b']]), 'ERR_DATA', 'expected text, got an array of 1'))
})

describe('column.date', () => {
  it('has time, and sine and cosine of cycles', async () => {
    const fitted = await fit(column.date({ parts: ['time', 'month', 'hour'] }), ['2026-01-01', '2026-07-01T12:00:00Z', ''])
    expect(fitted.featureNames).toEqual([
      'a (time)',
      'a (sine of month)',
      'a (cosine of month)',
      'a (sine of hour)',
      'a (cosine of hour)',
      'a (missing)',
    ])
    expect(encoded(fitted, [new Date('2026-01-01'), '2026-04-01 06:00', null])).toEqual([
      [-1, 0, 1, 0, 1, 0],
      [expect.any(Number), 1, 0, 1, 0, 0],
      [0, 0, 0, 0, 0, 1],
    ])
  })

  it('has hours where there are times of day', async () => {
    expect((await fit(column.date(), ['2026-01-01', '2026-01-02'])).featureNames).toHaveLength(5)
    expect((await fit(column.date(), ['2026-01-01', '2026-01-02T10:00'])).featureNames).toHaveLength(7)
  })

  it('refuses other dates', () =>
    expectRefusal(
      () => fit(column.date(), ['31.1.2026']),
      'ERR_DATA',
      'expected a Date or a date of ISO 8601',
      'got "31.1.2026"; convert others',
    ))
})

describe('column.vector and column.image', () => {
  it('take arrays, typed arrays and NdArrays', async () => {
    const fitted = await fit(column.vector({ scale: 'standard' }), [[1, 5], Float32Array.of(3, 5), new NdArray(Float32Array.of(2, 5), [2])])
    expect(fitted.featureNames).toEqual(['a[0]', 'a[1]'])
    expect(
      encoded(fitted, [
        [1, 9],
        [2, 5],
      ]),
    ).toEqual([
      [-1.2247, 0],
      [0, 0],
    ])
    await expectRefusal(() => fitted.encodeInputs([{ a: [1] }]), 'ERR_DATA', 'expected an array of 2 numbers, got an array of 1')
    await expectRefusal(() => fitted.encodeInputs([{ a: [1, Number.NaN] }]), 'ERR_DATA', 'expected finite numbers')
    await expectRefusal(() => fitted.encodeInputs([{ a: '1 2' }]), 'ERR_DATA', 'expected an array of 2 numbers, got "1 2"')
  })

  it('notices pixels that are 0 … 1 already', async () => {
    const pixels = [new Float32Array(4).fill(0.5), new Float32Array(4).fill(1)]
    await expectRefusal(
      () => fit(column.image({ shape: [2, 2, 1] }), pixels),
      'ERR_DATA',
      'column "a": expected numbers of 0 … 255',
      '{ range: [0, 1] }',
    )
    expect(encoded(await fit(column.image({ shape: [2, 2, 1], range: [0, 1] }), pixels), pixels)).toEqual(pixels.map((one) => [...one]))
    const { columns } = await inferSchema(
      pixels.map((data, y) => ({ a: new NdArray(data, [2, 2, 1]), y })),
      { target: 'y' },
    )
    expect(columns.get('a')?.options).toEqual({ shape: [2, 2, 1], range: [0, 1] })
  })

  it('gives pixels of 0 … 1 in the shape of the image', async () => {
    const fitted = await fit(column.image({ shape: [1, 2, 1] }), [Uint8Array.of(0, 255), [[[51], [0]]]])
    expect(fitted.inputs).toEqual([{ name: 'a', shape: [1, 2, 1], dtype: 'float32', sizes: [], columns: ['a'] }])
    expect(encoded(fitted, [Uint8Array.of(255, 51)])).toEqual([[1, 0.2]])
    await expectRefusal(() => fitted.encodeInputs([{ a: Uint8Array.of(1) }]), 'ERR_DATA', 'expected an image of 1 × 2 × 1 numbers')
  })
})

describe('options', () => {
  it.each<[string, () => unknown, ...string[]]>([
    ['a scale', () => column.number({ scale: anything('standrd') }), 'Unknown scale "standrd" for column.number; did you mean "standard"?'],
    ['an option', () => column.category({ encoding: 'oneHot' } as never), 'Unknown option "encoding" for column.category'],
    ['what is missing', () => column.number({ missing: anything('mode') }), 'Unknown missing "mode"', 'median, mean, error'],
    ['a clip of 0', () => column.number({ clip: 0 }), 'clip must be a number above 0, or null for none, got 0'],
    ['bins', () => column.number({ bins: 65 }), 'bins must be an integer of 0 … 64, got 65'],
    ['ordinal without values', () => column.category({ encode: 'ordinal' }), 'which "ordinal" needs'],
    ['values twice', () => column.category({ values: ['a', 'a'] }), 'different texts, got "a" twice'],
    ['n-grams', () => column.text({ ngrams: [2, 1] }), 'ngrams must be the shortest and the longest'],
    ['parts of dates', () => column.date({ parts: [anything('weekdays')] }), 'Unknown part "weekdays"', 'did you mean "weekday"?'],
    ['an image without shape', () => column.image(anything(undefined)), 'shape must be height, width and channels'],
    ['a range', () => column.image({ shape: [2, 2], range: [1, 1] }), 'range must be the numbers of black and of white'],
    ['classes', () => target.category({ classes: ['a'] }), 'classes must be an array of at least 2 different texts'],
    ['a scale of targets', () => target.number({ log: true } as never), 'did you mean { scale: "log" }?'],
  ])('refuses %s', async (_, call, ...parts) => {
    await expectRefusal(call, 'ERR_OPTION', ...parts)
  })
})
