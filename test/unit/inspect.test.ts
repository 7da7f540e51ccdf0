/** What `console.log` shows of things that hold much: a line. */
import { inspect } from 'node:util'
import { expect, it } from 'vitest'
import { column, dataset, dense, input, model, schema, sequential, tabular, target } from '../../src/index.ts'

const executor = 'reference'

it('a model', () => {
  const x = input([2, 3], { name: 'image' })
  expect(inspect(sequential([input(4), dense(3)], { executor }))).toBe(
    'Model { input_1 [batch, 4] → dense_1 [batch, 3]; 15 parameters, reference executor }',
  )
  expect(inspect([model(x, [x, dense(x, 1)], { executor })])).toMatch(/Model \{ image \[batch, 2, 3\] → image \[batch, 2, 3\], dense_1 /)
})

it('a model for rows', async () => {
  const rows = [
    { a: 1, b: 2, c: 3, d: 4, e: 5, price: 1 },
    { a: 2, b: 3, c: 5, d: 1, e: 9, price: 2 },
  ]
  const [a, b, c, d, e, price] = [column.number(), column.number(), column.number(), column.number(), column.number(), target.number()]
  const options = { executor, members: 1, hidden: [2] } as const
  const table = tabular(await schema({ a, b, price }).fit(rows), options)
  expect(inspect(table)).toBe(`TabularModel { a, b → price; ${table.network.parameterCount} parameters, reference executor }`)
  expect(inspect(tabular(await schema({ a, b, c, d, e, price }).fit(rows), options))).toMatch(
    /^TabularModel \{ a, b, c and 2 more columns → price; /,
  )
})

it('a dataset', () => {
  expect(inspect(dataset([1, 2, 3]))).toBe('Dataset { 3 elements }')
  expect(inspect(dataset([1, 2, 3]).filter(Boolean))).toBe('Dataset { elements not counted yet }')
  expect(inspect(dataset([1, 2, 3]).repeat())).toBe('Dataset { endless }')
})
