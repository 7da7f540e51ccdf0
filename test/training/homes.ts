/** Made-up homes with a column of every kind, and what learns from them. */
import { column, NdArray } from '../../src/index.ts'
import { numbers } from './support.ts'

const places = ['Ames', 'Boone', 'Nevada']
const noise = numbers(2000, 7)
export const homes = Array.from({ length: 300 }, (_, i) => {
  const [sqft, age] = [1000 + 900 * noise[i], i % 50]
  const place = places[i % 3]
  return {
    sqft,
    age: i % 11 === 0 ? null : age,
    place,
    heated: i % 2 === 0,
    sold: `20${10 + (i % 9)}-0${1 + (i % 9)}-15`,
    notes: i % 4 === 0 ? 'large garden and a new roof' : 'needs work',
    code: i % 5 === 0 ? 'corner lot' : 'inside lot',
    words: i % 3 === 0 ? 'a quiet street' : 'near the school',
    rooms: [i % 4, (i * 7) % 5],
    photo: new NdArray(
      Float32Array.from({ length: 4 }, (_, j) => ((i + j) * 37) % 256),
      [2, 2, 1],
    ),
    price: 100_000 + 120 * sqft - 400 * age + 20_000 * (i % 3),
    kind: i % 3 === 0 ? 'house' : i % 3 === 1 ? 'flat' : 'barn',
    sale: sqft > 1000,
    where: [noise[i], 2 * noise[i] + 1],
  }
})

export const kinds = {
  sqft: column.number(),
  age: column.number({ bins: 4 }),
  place: column.category({ encode: 'embedding' }),
  heated: column.boolean(),
  sold: column.date(),
  notes: column.text(),
  code: column.text({ encode: 'hashed', width: 16 }),
  words: column.text({ encode: 'tokens', length: 4 }),
  rooms: column.vector({ length: 2, scale: 'standard' }),
  photo: column.image({ shape: [2, 2, 1] }),
}
export const quick = { epochs: 3, batchSize: 32 }
export const small = { members: 2, hidden: [8] }

/** 2930 real houses. */
export const ames = new URL('../../examples/data/ames.csv', import.meta.url).pathname
