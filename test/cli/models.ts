/** Small models for the tests of commands. */
import { join } from 'node:path'
import { column, schema, tabular, target } from '../../src/index.ts'

const streets = ['Elm', 'Oak', 'Ash']

/** 60 houses of two columns and a price, which is a constant plus a multiple of the area. */
export const houses = Array.from({ length: 60 }, (_, i) => ({
  area: 50 + ((i * 37) % 100),
  street: streets[i % 3],
  price: 1000 * (50 + ((i * 37) % 100)) + 20_000 * (i % 3),
}))

/** Prices of houses, by area and street. */
export async function saveHouses(folder: string): Promise<string> {
  const path = join(folder, 'houses.safetensors')
  const fitted = await schema({
    area: column.number(),
    street: column.category({ unseen: 'error' }),
    price: target.number(),
  }).fit(houses)
  const model = tabular(fitted, { members: 2, hidden: [16], seed: 7 })
  const history = await model.fit(houses, { epochs: 3 })
  await model.save(path, {
    metadata: {
      'thalweg.history': JSON.stringify(history.epochs),
      'thalweg.evaluation': JSON.stringify(await model.evaluate(houses)),
    },
  })
  return path
}

/** Whether a street is one of three, and how large a house is: two targets. */
export async function saveStreets(folder: string): Promise<string> {
  const path = join(folder, 'streets.safetensors')
  const fitted = await schema({ price: column.number(), area: target.number(), street: target.category() }).fit(houses)
  const model = tabular(fitted, { members: 1, hidden: [8] })
  await model.fit(houses, { epochs: 1 })
  await model.save(path)
  return path
}
