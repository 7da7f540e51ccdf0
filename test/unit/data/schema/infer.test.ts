/** inferSchema: kinds by what values are, warnings, and what is refused. */
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { parse } from 'csv-parse/sync'
import { describe, expect, it } from 'vitest'
import { column, dataset, FittedSchema, inferSchema, NdArray, schema, target } from '../../../../src/index.ts'
import { expectRefusal } from '../../../training/support.ts'

const range = (count: number) => Array.from({ length: count }, (_, i) => i)

/** The kind of a column of 40 values, and the warnings about it. */
async function kindOf(value: (i: number) => unknown): Promise<[string, ...string[]]> {
  const rows = range(40).map((i) => ({ x: value(i), other: (i * 7) % 11, y: ((i * 31) % 17) + 0.5 }))
  const { columns, warnings } = await inferSchema(rows, { target: 'y' })
  return [columns.get('x')?.kind ?? 'none', ...warnings.filter((warning) => warning.startsWith('column "x"'))]
}

const words = ['red', 'green', 'blue']

it('takes a column of numbers with very few texts for numbers, says so, and stops at the text when it is fitted', async () => {
  const rows = Array.from({ length: 200 }, (_, i) => ({
    area: i === 77 ? '1656 sqft' : String(500 + 7 * i),
    price: i === 99 ? '$5' : String(i * 1.5),
  }))
  const guessed = await inferSchema(rows, { target: 'price' })
  expect(guessed.describe()).toMatch(/area +column.number/)
  expect(guessed.warnings.join('\n')).toMatch(/"area": nearly all values are numbers, but "1656 sqft" is not/)
  expect(guessed.warnings.join('\n')).toMatch(/"price": nearly all values are numbers, but "\$5" is not/)
  await expect(guessed.fit(rows)).rejects.toThrow(/77.*"area".*"1656 sqft"/)
})

describe('kinds', () => {
  it.each<[string, (i: number) => unknown, string, ...string[]]>([
    ['numbers', (i) => String((i * 13) % 29), 'number'],
    ['few integers', (i) => i % 3, 'number'],
    ['numbers and empty fields', (i) => (i % 5 === 0 ? '' : i % 7), 'number'],
    ['numbers and "?"', (i) => (i % 5 === 0 ? '?' : `${i % 7}`), 'number', 'column "x": "?" counts as a missing value.'],
    ['numbers and NaN', (i) => (i % 5 === 0 ? Number.NaN : i % 7), 'number', 'column "x": "NaN" counts as a missing value.'],
    [
      'numbers, all different, and one "?"',
      (i) => (i === 7 ? '?' : String(Math.sqrt(i + 0.5))),
      'number',
      'column "x": "?" counts as a missing value.',
    ],
    [
      'dates and "unknown"',
      (i) => (i % 5 === 0 ? 'unknown' : `2026-01-${String((i % 28) + 1).padStart(2, '0')}`),
      'date',
      'column "x": "unknown" counts as a missing value.',
    ],
    [
      'dates, all different, and one "?"',
      (i) => (i === 3 ? '?' : new Date(1e12 + i * i * 1e9).toISOString()),
      'date',
      'column "x": "?" counts as a missing value.',
    ],
    ['codes with leading zeros', (i) => `0${i % 4}`, 'category'],
    ['names', (i) => words[i % 3], 'category'],
    ['names and numbers', (i) => (i % 2 === 0 ? 'none' : i % 3), 'category'],
    ['two names', (i) => words[i % 2], 'category'],
    ['yes and no', (i) => ['Yes', 'no'][i % 2], 'boolean'],
    ['0 and 1', (i) => i % 2, 'number'],
    ['truth values', (i) => i % 3 === 0, 'boolean'],
    ['dates', (i) => `2026-01-${String((i % 28) + 1).padStart(2, '0')}`, 'date'],
    ['Dates, some missing', (i) => (i % 9 === 0 ? null : new Date(1e12 + i * 1e9)), 'date'],
    ['sentences', (i) => `the house number ${i} has ${i * 2} windows`, 'text'],
    ['vectors', (i) => [i, i + 1], 'vector'],
    ['images', (i) => new NdArray(new Float32Array(4).fill(i), [2, 2, 1]), 'image'],
    ['identifiers', (i) => `id-${i}`, 'ignore', 'column "x": it is ignored: its values are all different, as those of an identifier.'],
    ['numbers of rows', (i) => i + 100, 'ignore', 'column "x": it is ignored: its integers count the rows.'],
    ['a constant', () => 'same', 'ignore', 'column "x": it is ignored: it is constant, "same".'],
    ['nothing', () => '', 'ignore', 'column "x": it is ignored: it is empty.'],
    ['rarely something', (i) => (i % 4 === 0 ? words[(i / 4) % 3] : null), 'category', 'column "x": 30 of 40 values are missing.'],
  ])('%s', async (_, value, kind, ...warnings) => expect(await kindOf(value)).toEqual([kind, ...warnings]))

  it.each<[string, (i: number) => unknown, string]>([
    ['numbers', (i) => i * 1.5, 'number'],
    ['many integers', (i) => String(i), 'number'],
    ['numbers and "?"', (i) => (i === 9 ? '?' : String(i * 1.5)), 'number'],
    ['few integers and "?"', (i) => (i === 9 ? '?' : i % 4), 'category'],
    ['few integers', (i) => i % 10, 'category'],
    ['few fractions', (i) => (i % 3) + 0.5, 'number'],
    ['names', (i) => words[i % 3], 'category'],
    ['yes and no', (i) => ['yes', 'no'][i % 2], 'category'],
    ['truth values', (i) => i % 3 === 0, 'boolean'],
    ['vectors', (i) => [i, 1], 'vector'],
  ])('of a target of %s', async (_, value, kind) => {
    const { columns } = await inferSchema(
      range(40).map((i) => ({ x: (i * 7) % 11, y: value(i) })),
      { target: 'y' },
    )
    expect([columns.get('y')?.role, columns.get('y')?.kind]).toEqual(['target', kind])
  })

  it('are taken from the first rows alone, and from those of a dataset', async () => {
    const rows = range(100).map((i) => ({ x: i < 50 ? (i * 7) % 13 : 'text', y: (i * 3) % 29 }))
    expect((await inferSchema(rows, { target: 'y', sample: 50 })).columns.get('x')?.kind).toBe('number')
    expect((await inferSchema(dataset(rows), { target: 'y' })).columns.get('x')?.kind).toBe('category')
  })

  it('may be given, and are edited', async () => {
    const rows = range(40).map((i) => ({ zip: 50_000 + (i % 5), x: (i * 7) % 11, y: (i * 3) % 29 }))
    const inferred = await inferSchema(rows, { target: 'y', columns: { zip: column.category(), y: target.number({ scale: 'log' }) } })
    expect(inferred.columns.get('zip')?.kind).toBe('category')
    expect(inferred.columns.get('y')?.options).toEqual({ scale: 'log' })
    expect(inferred.with({ x: column.category() }).without('zip').describe()).toBe(
      'x  column.category()\ny  target.number({ scale: "log" })',
    )
  })

  it('are explained', async () => {
    const inferred = await inferSchema(
      range(40).map((i) => ({ a: i % 3, b: 'same', y: i * 1.5 })),
      { target: 'y' },
    )
    expect(inferred.describe().split('\n')).toEqual([
      'a  column.number({ bins: 8 })  3 different integers; if they are codes, make it a category',
      'b  column.ignore()             it is constant, "same"',
      'y  target.number()             numbers',
      'Warning: column "b": it is ignored: it is constant, "same".',
    ])
  })
})

describe('what stands for a missing target', () => {
  it.each<[string, (i: number) => unknown, string]>([
    ['numbers and "?"', (i) => (i === 9 ? ' ?' : String(i * 1.5)), '"?" counts as a missing value'],
    ['classes and "NA"', (i) => (i === 9 ? 'NA' : words[i % 2]), '"NA" counts as a missing value'],
  ])('is told of %s, and such rows are refused or left out', async (_, value, warning) => {
    const rows = range(40).map((i) => ({ x: (i * 7) % 11, y: value(i) }))
    const found = await inferSchema(rows, { target: 'y' })
    expect(found.warnings).toEqual([`column "y": ${warning}.`])
    await expectRefusal(
      () => found.fit(rows),
      'ERR_DATA',
      'element 9, column "y": expected the target, got "',
      'which counts as missing',
      'missingTarget: "skip"',
    )
    const fitted = await found.fit(rows, { missingTarget: 'skip' })
    expect(fitted.rows).toBe(39)
    const again = FittedSchema.fromJSON(JSON.parse(JSON.stringify(fitted)))
    await expectRefusal(() => again.encode(rows), 'ERR_DATA', 'row 9, column "y"')
  })

  it('may be a number', async () => {
    const made = schema({ x: column.number(), y: target.number({ missingValues: [-999, 'NaN'] }) })
    const rows = ['1', '-999.0', -999, Number.NaN, 3].map((y, x) => ({ x, y }))
    expect((await made.fit(rows, { missingTarget: 'skip' })).rows).toBe(2)
  })
})

describe('leaks', () => {
  const warningsOf = async (x: (i: number) => unknown, y: (i: number) => unknown) =>
    (
      await inferSchema(
        range(60).map((i) => ({ x: x(i), other: (i * 7) % 11, y: y(i) })),
        { target: 'y' },
      )
    ).warnings.join()

  it.each<[string, (i: number) => unknown, (i: number) => unknown, string]>([
    ['the target again', (i) => words[(i * i) % 3], (i) => words[(i * i) % 3], 'it is equal to the target "y"'],
    ['the price in cents', (i) => ((i * 31) % 59) * 100 + 3, (i) => ((i * 31) % 59) + 0.5, 'its correlation is 1 with the target "y"'],
    [
      'a code of the class',
      (i) => `code ${i % 6}`,
      (i) => words[i % 3],
      'each of its values occurs with one value alone of the target "y"',
    ],
    [
      'days after it happened',
      (i) => (i % 2 === 0 ? 100 + i : i),
      (i) => (i % 2 === 0 ? 'yes' : 'no'),
      'its numbers tell apart without error',
    ],
  ])('%s', async (_, x, y, part) => expect(await warningsOf(x, y)).toContain(part))

  it('are not seen where there are none', async () => {
    expect(
      await warningsOf(
        (i) => words[i % 3],
        (i) => ((i * 31) % 59) + 0.5,
      ),
    ).toBe('')
    expect(
      await warningsOf(
        (i) => (i * 13) % 59,
        (i) => words[(i * i) % 3],
      ),
    ).toBe('')
    expect(
      await warningsOf(
        (i) => ((i * 31) % 59) + (i % 4),
        (i) => ((i * 31) % 59) + 0.5,
      ),
    ).toBe('')
  })
})

describe('what is refused', () => {
  const rows = range(40).map((i) => ({ x: (i * 7) % 11, Sale_Price: i * 1.5, same: 1, id: `id-${i}` }))

  it.each<[string, Parameters<typeof inferSchema>, string, ...string[]]>([
    ['no target', [rows, {} as never], 'ERR_OPTION', 'target must be the name of a column'],
    [
      'a target that is not there',
      [rows, { target: 'Sale_price' }],
      'ERR_DATA',
      'there is no column "Sale_price" for a target; the nearest is "Sale_Price"',
    ],
    [
      'a target far from all',
      [rows, { target: 'churn' }],
      'ERR_DATA',
      'there is no column "churn" for a target; there are x, Sale_Price, same, id',
    ],
    ['a constant target', [rows, { target: 'same' }], 'ERR_DATA', 'target "same": expected different values, got "1" in all 40 rows'],
    [
      'an empty target',
      [rows.map((row) => ({ ...row, y: '' })), { target: 'y' }],
      'ERR_DATA',
      'target "y": expected values, got empty fields in all 40 rows',
    ],
    [
      'nothing to predict from',
      [rows.map(({ id, same, Sale_Price }) => ({ id, same, Sale_Price })), { target: 'Sale_Price' }],
      'ERR_DATA',
      'no column is left to predict from',
      'column "id"',
      'column "same"',
    ],
    [
      'a text as target',
      [range(1500).map((i) => ({ x: i % 7, y: `text ${i}` })), { target: 'y' }],
      'ERR_DATA',
      'at most 1000 classes, got 1500 different texts',
    ],
    ['no rows', [[], { target: 'y' }], 'ERR_DATA', 'inferSchema: expected rows, got none'],
    ['what is no row', [[1] as never, { target: 'y' }], 'ERR_DATA', 'element 0: expected a row'],
    ['a column nobody has', [rows, { target: 'x', columns: { idd: column.ignore() } }], 'ERR_DATA', 'no row has the column "idd"'],
    [
      'mixed values',
      [rows.map((row, i) => ({ ...row, odd: i % 2 === 0 ? [1] : 'a' })), { target: 'x' }],
      'ERR_DATA',
      'column "odd" holds values of no kind',
      'column.ignore()',
    ],
    [
      'a column called __proto__',
      [[JSON.parse('{"__proto__": 1, "y": 2}')], { target: 'y' }],
      'ERR_DATA',
      '"__proto__" is no name for a column',
    ],
  ])('%s', async (_, call, code, ...parts) => {
    await expectRefusal(() => inferSchema(...call), code, ...parts)
  })
})

describe('real tables', () => {
  const folder = new URL('../../../../examples/data/', import.meta.url)

  it('ames.csv: numbers, categories, and a price', async () => {
    const houses = parse(readFileSync(new URL('ames.csv', folder)), { columns: true }) as Record<string, string>[]
    const { columns, warnings } = await inferSchema(houses, { target: 'Sale_Price' })
    const kinds = (kind: string) => [...columns].filter(([, column]) => column.kind === kind).map(([name]) => name)
    expect(columns.get('Sale_Price')).toMatchObject({ role: 'target', kind: 'number' })
    expect(kinds('category')).toEqual(expect.arrayContaining(['Neighborhood', 'MS_SubClass', 'Mas_Vnr_Type']))
    expect(kinds('number')).toEqual(expect.arrayContaining(['Gr_Liv_Area', 'Year_Built', 'Longitude', 'Garage_Cars']))
    expect(kinds('boolean')).toEqual(['Central_Air'])
    expect(kinds('ignore')).toEqual([])
    expect(warnings).toEqual([])
  })

  it('digits: the label is a class', async () => {
    const text = gunzipSync(readFileSync(new URL('digits.csv.gz', folder))).toString()
    const digits = (parse(text) as string[][]).map((fields) =>
      Object.fromEntries(fields.map((field, i) => [i === 64 ? 'label' : `pixel ${i}`, field])),
    )
    const inferred = await inferSchema(digits, { target: 'label' })
    expect(inferred.columns.get('pixel 0')?.kind).toBe('ignore')
    expect((await inferred.fit(digits)).outputs[0].classes).toEqual(range(10).map(String))
  })
})
