/** A schema as a whole: fitting, encoding, decoding, files and types. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'csv-parse/sync'
import fc from 'fast-check'
import { afterAll, describe, expect, expectTypeOf, it } from 'vitest'
import {
  column,
  csv,
  dataset,
  dense,
  FittedSchema,
  inferSchema,
  input,
  NdArray,
  type PredictionOf,
  type Row,
  type RowOf,
  schema,
  sequential,
  ThalwegError,
  target,
} from '../../../../src/index.ts'
import { expectRefusal } from '../../../training/support.ts'

const anything = (value: unknown) => value as never

const mixed = schema({
  id: column.ignore(),
  sqft: column.number(),
  city: column.category({ minimumCount: 1 }),
  zip: column.category({ encode: 'embedding', minimumCount: 1 }),
  notes: column.text({ encode: 'tokens', length: 2, minimumCount: 1 }),
  price: target.number(),
  sold: target.category(),
})

const rows = [
  { id: 1, sqft: '900', city: 'Ames', zip: '02134', notes: 'a garden', price: '100000', sold: 'no' },
  { id: 2, sqft: '', city: 'Boone', zip: '50010', notes: '', price: 200_000, sold: 'yes' },
  { id: 3, sqft: 1500, city: 'Ames', zip: '50010', notes: 'garden, garden', price: 300_000, sold: 'later' },
]

const simple = schema({ a: column.number(), y: target.number() })

describe('fitting', () => {
  it('says what a network must take and give', async () => {
    const fitted = await mixed.fit(rows)
    expect(fitted.inputs).toEqual([
      { name: 'features', shape: [4], dtype: 'float32', sizes: [], columns: ['sqft', 'city'] },
      { name: 'categories', shape: [1], dtype: 'int32', sizes: [4], columns: ['zip'] },
      { name: 'notes', shape: [2], dtype: 'int32', sizes: [4], columns: ['notes'] },
    ])
    expect(fitted.outputs).toEqual([
      { name: 'price', units: 1, loss: 'meanSquaredError', metrics: ['r2Score'], classes: null },
      { name: 'sold', units: 3, loss: 'sparseCategoricalCrossentropy', metrics: ['accuracy'], classes: ['later', 'no', 'yes'] },
    ])
    expect(fitted.featureNames).toEqual(['sqft', 'sqft (missing)', 'city = Ames', 'city = Boone'])
    expect([0, 1, 2, 3].map((i) => fitted.columnOf(i))).toEqual(['sqft', 'sqft', 'city', 'city'])
    expect(() => fitted.columnOf(4)).toThrow('feature must be an integer of 0 … 3, got 4')
    expect(fitted.rows).toBe(3)
  })

  it('gives the same however the rows come', async () => {
    const table = Array.from({ length: 3000 }, (_, i) => ({ a: String((i * 7919) % 1013), y: i % 17 }))
    const wanted = JSON.stringify(await simple.fit(table))
    const sync = function* () {
      yield* table
    }
    const async = async function* () {
      yield* table
    }
    for (const source of [dataset(table), dataset(async).prefetch(2), sync(), async(), sync])
      expect(JSON.stringify(await simple.fit(source))).toBe(wanted)
  })

  it('stops at its signal', async () => {
    const error = await simple.fit([{ a: 1, y: 1 }], { signal: AbortSignal.abort('enough') }).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'ABORT_ERR', cause: 'enough' })
    const control = new AbortController()
    const endless = dataset(function* () {
      for (let i = 0; ; i++) {
        if (i === 5000) control.abort()
        yield { a: i, y: i }
      }
    })
    await expect(simple.fit(endless, { signal: control.signal })).rejects.toMatchObject({ code: 'ABORT_ERR' })
  })

  it.each<[string, readonly unknown[], ...string[]]>([
    ['no rows', [], 'schema.fit: expected rows, got none'],
    ['what is no row', [{ a: 1, y: 1 }, 'a,y'], 'element 1: expected a row, an object of values by column name, got "a,y"'],
    ['rows of cells', [['1', '2']], 'element 0: expected a row', 'got an array of 2'],
    [
      'a constant target',
      [
        { a: 1, y: 5 },
        { a: 2, y: '5' },
      ],
      'target "y": expected different numbers, got 5 in all 2 rows',
    ],
    [
      'a missing target',
      [
        { a: 1, y: 5 },
        { a: 2, y: '' },
      ],
      'element 1, column "y": expected the target, got an empty field',
      'missingTarget: "skip"',
    ],
    ['a target of another name', [{ a: 1, Y: 5 }], 'column "y": expected the target, got no such column'],
    [
      'a column that no row has',
      [
        { b: 1, y: 5 },
        { b: 2, y: 6 },
      ],
      'no row has the column "a"',
    ],
    ['a target that is no number', [{ a: 1, y: 'dear' }], 'element 0, column "y": expected a number, got "dear"'],
  ])('refuses %s', async (_, given, ...parts) => {
    await expectRefusal(() => simple.fit(given as never), 'ERR_DATA', ...parts)
  })

  it.each<[string, Parameters<typeof schema>[0]['y'], unknown[], string]>([
    ['one class', target.category(), ['a', 'a'], 'target "y": expected at least two classes, got "a" in all 2 rows'],
    ['a class that is not listed', target.category({ classes: ['a', 'b'] }), ['a', 'c'], 'expected one of the classes a, b, got "c"'],
    ['nothing but yes', target.boolean(), ['yes', 1], 'target "y": expected yes and no, got yes in all 2 rows'],
    ['neither yes nor no', target.boolean(), ['yes', 'maybe'], 'expected yes or no'],
    ['vectors of different lengths', target.vector(), [[1, 2], [1]], 'expected an array of 2 numbers, got an array of 1'],
  ])('refuses %s', async (_, y, values, part) => {
    await expectRefusal(
      () => schema({ a: column.number(), y }).fit(values.map((value, i) => ({ a: i, y: value })) as never),
      'ERR_DATA',
      part,
    )
  })

  it('leaves rows without a target out where it is told to', async () => {
    const fitted = await simple.fit(
      [
        { a: 1, y: 1 },
        { a: 99, y: '' },
        { a: 2, y: 2 },
      ] as never,
      { missingTarget: 'skip' },
    )
    expect(fitted.rows).toBe(2)
    const { x, y } = fitted.encode(
      [
        { a: 1, y: '' },
        { a: 2, y: 2 },
      ],
      { missingTarget: 'skip' },
    )
    expect([(x as NdArray).shape, (y as NdArray).shape]).toEqual([
      [1, 1],
      [1, 1],
    ])
    await expectRefusal(
      () => simple.fit([{ a: 1, y: '' }], { missingTarget: 'skip' }),
      'ERR_DATA',
      'expected rows with a target, got 1 without',
    )
  })

  it('refuses what is no schema', async () => {
    await expectRefusal(() => schema({ a: column.number() }), 'ERR_OPTION', 'there is no target')
    await expectRefusal(() => schema({ y: target.number() }), 'ERR_OPTION', 'there is no column to predict from')
    await expectRefusal(
      () => schema({ a: anything(column.number), y: target.number() }),
      'ERR_OPTION',
      'column "a" must be made by column',
      'call it',
    )
    await expectRefusal(
      () => schema({ a: column.number(), probability: target.category() }),
      'ERR_OPTION',
      'must not be called "probability"',
    )
    await expectRefusal(() => schema(JSON.parse('{"__proto__": {}}')), 'ERR_OPTION', '"__proto__" is no name for a column')
    const features = schema({ features: column.text({ encode: 'tokens' }), y: target.number() })
    await expectRefusal(
      () =>
        features.fit([
          { features: 'a', y: 1 },
          { features: 'b', y: 2 },
        ]),
      'ERR_OPTION',
      '"features" has an input of its own',
    )
    await expectRefusal(
      () => schema({ a: column.ignore(), y: target.number() }).fit([{ y: 1 }, { y: 2 }]),
      'ERR_DATA',
      'no column has anything for the network',
    )
  })
})

describe('editing', () => {
  it('replaces and removes columns', async () => {
    const changed = mixed.with({ zip: column.ignore() }).without('notes', 'sold')
    expect([...changed.columns.keys()]).toEqual(['id', 'sqft', 'city', 'zip', 'price'])
    expect(changed.targets).toEqual(['price'])
    expect((await changed.fit(rows)).inputs.map(({ name }) => name)).toEqual(['features'])
    expect([...mixed.columns.keys()]).toContain('notes')
    await expectRefusal(() => mixed.without('sqtf'), 'ERR_OPTION', 'there is no column "sqtf"; did you mean "sqft"?')
  })

  it('describes itself', () => {
    expect(mixed.describe().split('\n')[2]).toBe('city   column.category({ minimumCount: 1 })')
    expect(mixed.describe()).toContain('price  target.number()')
  })
})

describe('encoding', () => {
  it('writes rows into shared memory, and nothing but what they say', async () => {
    const fitted = await mixed.fit(rows)
    const { x, y } = fitted.encode(rows) as unknown as Record<'x' | 'y', Record<string, NdArray>>
    expect(x.features.rows().map((row) => row.toArray())).toEqual([
      [-1, 0, 1, 0],
      [0, 1, 0, 1],
      [1, 0, 1, 0],
    ])
    expect(x.categories.toArray()).toEqual([[3], [2], [2]])
    expect(x.notes.toArray()).toEqual(
      [
        [3, 2],
        [0, 0],
        [2, 2],
      ].map((row) => row),
    )
    expect(y.sold.toArray()).toEqual([1, 2, 0])
    expect(y.price.shape).toEqual([3, 1])
    expect(x.features.data.buffer).toBeInstanceOf(SharedArrayBuffer)
  })

  it('writes over old rows, from any row on', async () => {
    const fitted = await mixed.fit(rows)
    const memory = fitted.allocate(3)
    for (const array of [...memory.inputs, ...memory.targets]) array.fill(77)
    expect(fitted.encodeInto(rows.slice(0, 2), memory, 1)).toBe(2)
    expect(Array.from(memory.inputs[0])).toEqual([77, 77, 77, 77, -1, 0, 1, 0, 0, 1, 0, 1])
    expect(Array.from(memory.targets[1])).toEqual([77, 1, 2])
  })

  it('ignores other columns, and needs those it was fitted to', async () => {
    const fitted = await simple.fit([
      { a: 1, y: 1 },
      { a: 3, y: 2 },
    ])
    expect((fitted.encodeInputs([{ a: 3, other: 1 } as never]) as NdArray).toArray()).toEqual([[1]])
    expect((fitted.encodeInputs([{ a: null }]) as NdArray).toArray()).toEqual([[0]])
    await expectRefusal(
      () => fitted.encodeInputs([{ A: 3 } as never]),
      'ERR_DATA',
      'row 0: expected a value of column "a", got a row without it (there is "A")',
    )
    const sparse = (await simple.fit([{ a: 1, y: 1 }, { y: 2 } as never])) as FittedSchema
    expect((sparse.encodeInputs([{}]) as NdArray).toArray()).toEqual([[0, 1]])
  })

  it('does not take what objects inherit for values', async () => {
    const fitted = await schema({ constructor: column.category({ minimumCount: 1 }), y: target.number() }).fit([
      { constructor: 'a', y: 1 },
      { constructor: 'b', y: 2 },
    ] as never)
    await expectRefusal(
      () => fitted.encodeInputs([{} as never]),
      'ERR_DATA',
      'expected a value of column "constructor", got a row without it',
    )
  })

  it('says where a value is wrong, as the caller calls it', async () => {
    const fitted = await simple.fit([
      { a: 1, y: 1 },
      { a: 3, y: 2 },
    ])
    const place = (i: number) => `ames.csv, line ${i + 17}`
    await expectRefusal(
      () =>
        fitted.encode(
          [
            { a: 1, y: 1 },
            { a: 'abc', y: 1 },
          ],
          { place },
        ),
      'ERR_DATA',
      'ames.csv, line 18, column "a": expected a number, got "abc"',
    )
    await expectRefusal(
      () => fitted.encode([{ a: 1, y: null }], { place }),
      'ERR_DATA',
      'ames.csv, line 17, column "y": expected the target',
    )
    await expectRefusal(() => fitted.encode([]), 'ERR_DATA', 'encode: expected rows, got none')
    await expectRefusal(() => fitted.encodeInputs(anything({ a: 1 })), 'ERR_DATA', 'expected an array of rows')
  })
})

describe('decoding', () => {
  it.each(['auto', 'standard', 'minMax', 'log', 'none'] as const)(
    'undoes the encoding of a number with scale %s, within float32',
    async (scale) => {
      const values = fc.uniqueArray(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 2, maxLength: 30 })
      await fc.assert(
        fc.asyncProperty(values, async (numbers) => {
          fc.pre(Math.max(...numbers) - Math.min(...numbers) > 1e-3)
          const table = numbers.map((y, a) => ({ a, y }))
          const fitted = await schema({ a: column.number(), y: target.number({ scale }) }).fit(table)
          const decoded = fitted.decode(fitted.encode(table).y as NdArray)
          const size = Math.max(...numbers.map(Math.abs))
          decoded.forEach(({ y }, i) => expect(Math.abs(y - numbers[i])).toBeLessThanOrEqual(1e-5 * size))
        }),
      )
    },
  )

  it('undoes the encoding of vectors', async () => {
    const table = [
      { a: 1, y: [1, 10] },
      { a: 2, y: [3, 10] },
    ]
    const fitted = await schema({ a: column.number(), y: target.vector({ scale: 'standard' }) }).fit(table)
    expect(fitted.decode(fitted.encode(table).y as NdArray)).toEqual([{ y: [1, 10] }, { y: [3, 10] }])
  })

  it('gives label and probabilities for a class', async () => {
    const spam = await schema({ a: column.number(), type: target.category() }).fit([
      { a: 1, type: 'spam' },
      { a: 2, type: 'nonspam' },
    ])
    expect(spam.outputs).toEqual([
      { name: 'type', units: 1, loss: 'binaryCrossentropy', metrics: ['accuracy', 'rocAuc'], classes: ['nonspam', 'spam'] },
    ])
    const p = 1 / (1 + Math.exp(-2))
    const [yes, no, sure] = spam.decode(new NdArray(Float32Array.of(2, -2, 1000), [3, 1]))
    expect(yes).toEqual({ type: 'spam', probability: p, probabilities: { nonspam: expect.closeTo(1 - p, 12), spam: p } })
    expect(no).toMatchObject({ type: 'nonspam', probability: expect.closeTo(p, 12) })
    expect(sure).toEqual({ type: 'spam', probability: 1, probabilities: { nonspam: 0, spam: 1 } })
  })

  it('gives probabilities of several classes, and answers of several targets', async () => {
    const fitted = await mixed.fit(rows)
    const outputs = { price: new NdArray(Float32Array.of(0), [1, 1]), sold: new NdArray(Float32Array.of(1000, 0, 1000), [1, 3]) }
    expect(fitted.decode(outputs)).toEqual([
      { price: 200_000, sold: { label: 'later', probability: 0.5, probabilities: { later: 0.5, no: 0, yes: 0.5 } } },
    ])
    await expectRefusal(() => fitted.decode({ price: outputs.price }), 'ERR_DATA', 'expected the network\'s numbers for "price", "sold"')
    await expectRefusal(
      () => fitted.decode({ ...outputs, sold: outputs.price }),
      'ERR_DATA',
      '"sold" needs 3 numbers a row, got numbers of shape [1, 1]',
    )
    await expectRefusal(
      () => fitted.decode({ ...outputs, price: new NdArray(new Float32Array(2), [2, 1]) }),
      'ERR_DATA',
      'has 2 rows and "sold" has 1',
    )
  })

  it('answers yes or no with truth values', async () => {
    const fitted = await schema({ a: column.number(), left: target.boolean() }).fit([
      { a: 1, left: 'yes' },
      { a: 2, left: 'no' },
    ])
    expect(fitted.decode(new NdArray(Float32Array.of(0.1), [1, 1]))[0]).toMatchObject({
      left: true,
      probabilities: { true: expect.any(Number) },
    })
  })

  it('orders classes so that the positive one is last', async () => {
    const order = async (...labels: string[]) =>
      (await schema({ a: column.number(), y: target.category() }).fit(labels.map((y, a) => ({ a, y })))).outputs[0].classes
    expect(await order('yes', 'no')).toEqual(['no', 'yes'])
    expect(await order('True', 'False')).toEqual(['False', 'True'])
    expect(await order('10', '9', '8')).toEqual(['8', '9', '10'])
    expect(await order('b', 'a', 'c')).toEqual(['a', 'b', 'c'])
  })
})

describe('a network', () => {
  const houses = parse(readFileSync(new URL('../../../../examples/data/ames.csv', import.meta.url)), { columns: true }) as Record<
    string,
    string
  >[]

  it('learns from a table of text as it is, and answers in its unit', async () => {
    const fitted = await (await inferSchema(houses, { target: 'Sale_Price' })).fit(houses)
    const [{ shape }] = fitted.inputs
    const net = sequential([input([...shape]), dense(32, { activation: 'relu' }), dense(fitted.outputs[0].units)])
    const history = await net.fit(fitted.encode(houses) as never, {
      loss: fitted.outputs[0].loss,
      metrics: [...fitted.outputs[0].metrics],
      epochs: 15,
    })
    expect(history.epochs.at(-1)?.r2Score).toBeGreaterThan(0.9)
    const some = houses.slice(0, 50)
    const prices = fitted.decode(await net.predict(fitted.encodeInputs(some) as NdArray)).map(({ Sale_Price }) => Number(Sale_Price))
    const errors = prices.map((price, i) => Math.abs(price / Number(some[i].Sale_Price) - 1)).sort((a, b) => a - b)
    expect(errors[25]).toBeLessThan(0.15)
  })
})

describe('a file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'thalweg-schema-'))
  afterAll(() => rmSync(folder, { recursive: true }))
  const written = (name: string, text: string) => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }

  it('is fitted as it is read, and its lines are in messages', async () => {
    const good = csv(written('good.csv', 'a,y\n1,10\n3,20\n'))
    expect((await simple.fit(good)).rows).toBe(2)
    expect((await inferSchema(good, { target: 'y' })).columns.get('a')?.kind).toBe('number')
    const bad = csv(written('bad.csv', 'a,y\n1,10\nabc,20\n'))
    await expectRefusal(() => simple.fit(bad), 'ERR_DATA', 'bad.csv, line 3, column "a": expected a number, got "abc"')
    const lacking = csv(written('lacking.csv', 'a,y\n1,10\n2,\n'))
    await expectRefusal(() => simple.fit(lacking), 'ERR_DATA', 'lacking.csv, line 3, column "y": expected the target, got an empty field')
  })
})

describe('files', () => {
  it('give back the same schema', async () => {
    const fitted = await mixed.fit(rows)
    const copy = FittedSchema.fromJSON(JSON.parse(JSON.stringify(fitted)))
    expect(JSON.stringify(copy)).toBe(JSON.stringify(fitted))
    expect(copy.inputs).toEqual(fitted.inputs)
    expect(copy.encode(rows)).toEqual(fitted.encode(rows))
    expect(copy.schema.describe()).toBe(fitted.schema.describe())
  })

  it.each<[string, (json: Record<string, never>) => unknown, string]>([
    ['nothing', () => null, 'schema: expected an object, got null'],
    ['a later version', (json) => ({ ...json, version: 2 }), 'expected version 1, got 2; it needs a newer thalweg'],
    ['another file', () => ({}), 'it is no schema of thalweg'],
    ['no columns', (json) => ({ ...json, columns: [] }), 'there is no target'],
  ])('are refused: %s', async (_, change, part) => {
    const json = JSON.parse(
      JSON.stringify(
        await simple.fit([
          { a: 1, y: 1 },
          { a: 3, y: 2 },
        ]),
      ),
    )
    await expectRefusal(() => FittedSchema.fromJSON(change(json)), 'ERR_DATA', part)
  })

  it('with any member changed load or are refused with a clear error', async () => {
    const everything = schema({
      number: column.number({ bins: 3 }),
      category: column.category({ minimumCount: 1 }),
      grade: column.category({ encode: 'ordinal', values: ['a', 'b'] }),
      boolean: column.boolean(),
      text: column.text({ minimumCount: 1 }),
      hashed: column.text({ encode: 'hashed', width: 4 }),
      tokens: column.text({ encode: 'tokens', length: 2 }),
      date: column.date(),
      vector: column.vector(),
      image: column.image({ shape: [2, 2] }),
      y: target.number(),
      z: target.category(),
      v: target.vector(),
      b: target.boolean(),
    })
    const row = (i: number) => ({ number: i, category: 'a', grade: 'b', boolean: true, text: 'some words', hashed: 'more', tokens: 'words', date: '2026-01-01', vector: [1, i], image: [0, 1, 2, 3], y: i, z: `c${i}`, v: [i], b: i > 0 }) // biome-ignore format: one line
    const text = JSON.stringify(await everything.fit([row(0), row(1), row(2)]))
    const paths: (string | number)[][] = []
    const visit = (value: unknown, path: (string | number)[]) => {
      paths.push(path)
      if (typeof value === 'object' && value !== null) for (const [key, inner] of Object.entries(value)) visit(inner, [...path, key])
    }
    visit(JSON.parse(text), [])
    const odd = fc.oneof(
      fc.constantFrom(null, true, -1, 0, 1.5, 1e308, 2 ** 60, '', '__proto__', 'constructor', [], {}, [null], ['a', 'a'], { length: 9 }),
      fc.jsonValue({ maxDepth: 2 }),
      fc.constant(undefined),
    )
    fc.assert(
      fc.property(fc.constantFrom(...paths), odd, (path, value) => {
        const json = JSON.parse(text)
        const parent = path.slice(0, -1).reduce((inner, key) => inner[key], json)
        if (path.length === 0) return isRefusal(() => FittedSchema.fromJSON(value))
        parent[path[path.length - 1]] = value
        return isRefusal(() => {
          const loaded = FittedSchema.fromJSON(JSON.parse(JSON.stringify(json)))
          loaded.encode([row(1)])
        })
      }),
      { numRuns: 3000 },
    )
    expect(Object.getPrototypeOf({})).toBe(Object.prototype)
  })
})

/** Whether a call passes, or is refused with an error of ours that is no fault of ours. */
function isRefusal(call: () => unknown): boolean {
  try {
    call()
  } catch (error) {
    if (!(error instanceof ThalwegError) || error.code === 'ERR_ASSERTION') throw error
  }
  return true
}

describe('types', () => {
  it('of rows and predictions follow from the columns', async () => {
    const houses = schema({ id: column.ignore(), sqft: column.number(), price: target.number() })
    type House = typeof houses extends { fit(rows: never, options?: never): Promise<FittedSchema<infer R, infer _T, infer P>> }
      ? [R, P]
      : never
    expectTypeOf<House[1]>().toEqualTypeOf<{ readonly price: number }>()
    expectTypeOf<{ sqft: number }>().toExtend<House[0]>()
    expectTypeOf<{ sqft: string | null; id: number }>().toExtend<House[0]>()
    expectTypeOf<{ sqtf: number }>().not.toExtend<House[0]>()
    expectTypeOf<{ sqft: Date }>().not.toExtend<House[0]>()
    const fitted = await houses.fit([
      { sqft: 1, price: 1 },
      { sqft: 2, price: 2 },
    ])
    expectTypeOf(fitted.decode(new NdArray(Float32Array.of(1), [1, 1]))).toEqualTypeOf<{ readonly price: number }[]>()
    // @ts-expect-error A column is missing.
    expect(() => fitted.encodeInputs([{ id: 2 }])).toThrow('column "sqft"')
  })

  it('of classes and of several targets', () => {
    const kind = { a: column.boolean(), type: target.category({ classes: ['ham', 'spam'] }) }
    expectTypeOf<PredictionOf<typeof kind>['type']>().toEqualTypeOf<'ham' | 'spam'>()
    expectTypeOf<PredictionOf<typeof kind>['probability']>().toEqualTypeOf<number>()
    const both = { a: column.date(), price: target.number(), left: target.boolean() }
    expectTypeOf<PredictionOf<typeof both>['price']>().toEqualTypeOf<number>()
    expectTypeOf<PredictionOf<typeof both>['left']['label']>().toEqualTypeOf<boolean>()
    expectTypeOf<RowOf<typeof both>>().toEqualTypeOf<{ readonly a: Date | string | null | undefined }>()
  })

  it('of inferred schemas are any row', () => {
    expectTypeOf<Parameters<FittedSchema['encodeInputs']>[0]>().toEqualTypeOf<readonly Row[]>()
    expectTypeOf<ReturnType<FittedSchema['decode']>>().toEqualTypeOf<Readonly<Record<string, unknown>>[]>()
  })
})
