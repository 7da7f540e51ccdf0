/** Memory that rows are encoded into, again and again. */
import { describe, expect, it } from 'vitest'
import { column, dataset, type FeatureColumn, NdArray, type Row, schema, target } from '../../../src/index.ts'
import { joined, TableEncoding } from '../../../src/tabular/encoding.ts'
import { numbers } from '../../training/support.ts'

const noise = numbers(40, 3)
const rows = noise.map((x, i) => ({
  number: i % 5 === 0 ? null : x,
  category: i % 6 === 0 ? null : ['a', 'b', 'c', `rare ${i}`][i % 4],
  truth: i % 7 === 0 ? '' : i % 2 === 0,
  date: i % 8 === 0 ? null : `2024-0${1 + (i % 9)}-1${i % 10}`,
  text: i % 9 === 0 ? '' : `the ${['red', 'green'][i % 2]} house of ${['Ann', 'Bob', 'Cleo'][i % 3]}`,
  vector: [x, i],
  image: new NdArray(Float32Array.of(i, 255 - i), [1, 2, 1]),
  y: 2 * x,
}))

const kinds: readonly [name: string, from: string, column: FeatureColumn][] = [
  ['numbers with bins', 'number', column.number({ bins: 4 })],
  ...(['oneHot', 'embedding', 'frequency'] as const).map((encode): [string, string, FeatureColumn] => [
    `${encode} categories`,
    'category',
    column.category({ encode, minimumCount: 3 }),
  ]),
  ['ordinal categories', 'category', column.category({ encode: 'ordinal', values: ['a', 'b', 'c'] })],
  ['truth values', 'truth', column.boolean()],
  ['dates', 'date', column.date()],
  ...(['vocabulary', 'hashed', 'tokens'] as const).map((encode): [string, string, FeatureColumn] => [
    `text as ${encode}`,
    'text',
    column.text({ encode, length: 6, width: 16 }),
  ]),
  ['vectors', 'vector', column.vector()],
  ['images', 'image', column.image({ shape: [1, 2, 1] })],
]

describe('memory that is taken up again', () => {
  it.each(kinds)('is written wholly by %s', async (_, from, kind) => {
    const fitted = await schema({ [from]: kind, y: target.number() }).fit(rows)
    const encode = (dirt: number) => {
      const memory = fitted.allocate(rows.length)
      for (const block of [...memory.inputs, ...memory.targets]) block.fill(dirt)
      expect(fitted.encodeInto(rows, memory)).toBe(rows.length)
      return [...memory.inputs, ...memory.targets]
    }
    expect(encode(77)).toEqual(encode(0))
  })

  it('is never that of rows which are still used', async () => {
    const encoding = new TableEncoding(await schema({ number: column.number(), y: target.number() }).fit(rows))
    const [one, two] = [encoding.inputs(rows, String), encoding.inputs(rows.slice().reverse(), String)]
    const first = one.next().value as { inputs: readonly Float32Array[] }
    const copy = [...first.inputs[0]]
    const second = two.next().value as { inputs: readonly Float32Array[] }
    expect(second.inputs[0]).not.toBe(first.inputs[0])
    expect([...first.inputs[0]]).toEqual(copy)
    one.return()
    const third = encoding.inputs(rows.slice(0, 3), String).next().value as { inputs: readonly Float32Array[] }
    expect(third.inputs[0]).toBe(first.inputs[0])
  })

  it('is given back by rows that are refused', async () => {
    const encoding = new TableEncoding(await schema({ number: column.number(), y: target.number() }).fit(rows))
    const taken = () => {
      const pieces = encoding.inputs(rows, String)
      const { inputs } = pieces.next().value as { inputs: readonly Float32Array[] }
      pieces.return()
      return inputs[0]
    }
    const first = taken()
    for (let i = 0; i < 3; i++) expect(() => encoding.check({ number: 'many' }, 'here')).toThrow('here, column "number"')
    expect(taken()).toBe(first)
  })
})

describe('rows with their targets', () => {
  it('come from arrays and datasets in pieces, without those that have none', async () => {
    const encoding = new TableEncoding(await schema({ number: column.number(), y: target.number() }).fit(rows))
    const gaps = Array.from({ length: 2500 }, (_, i) => (i % 3 === 0 ? { ...rows[i % 40], y: null } : rows[i % 40]))
    const targetsOf = async (given: readonly Row[] | ReturnType<typeof dataset<Row>>) => {
      const all: number[] = []
      for await (const { targets, count, inputs } of encoding.rows('test', given, { missingTarget: 'skip' })) {
        expect(targets[0]).toHaveLength(count)
        expect(inputs[0].length).toBeGreaterThanOrEqual(count)
        all.push(...targets[0])
      }
      return all
    }
    const found = await targetsOf(gaps)
    expect(found).toHaveLength(1666)
    expect(await targetsOf(dataset(() => gaps.values()))).toEqual(found)
    // Leaving early closes the source.
    let closed = false
    const source = dataset(function* () {
      try {
        for (;;) yield rows[1]
      } finally {
        closed = true
      }
    })
    for await (const _ of encoding.rows('test', source as never, {})) break
    expect(closed).toBe(true)
  })
})

it('joins pieces', () => {
  expect(joined([Float64Array.of(1, 2), new Float64Array(0), Float64Array.of(3)])).toEqual(Float64Array.of(1, 2, 3))
  expect(joined([])).toHaveLength(0)
})
