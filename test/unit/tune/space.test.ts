import fc from 'fast-check'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { OptionError, type ParametersOf, space } from '../../../src/index.ts'
import { Purpose, RandomStream } from '../../../src/random.ts'
import { distributionsOf, spaceFromJson } from '../../../src/tune/space.ts'
import { gridParameters, randomParameters, seedOf, sizeOf } from '../../../src/tune/suggest.ts'

const seeds = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
const draw = (seed: number, count: number, distribution: { sample(random: RandomStream): number }) => {
  const random = new RandomStream(seed, Purpose.tune)
  return Array.from({ length: count }, () => distribution.sample(random))
}

describe('space', () => {
  it('integers stay within their bounds and on their steps', () =>
    fc.assert(
      fc.property(seeds, fc.integer({ min: -1e6, max: 1e6 }), fc.nat(1e6), fc.integer({ min: 1, max: 1000 }), (seed, min, width, step) => {
        const integers = space.integer(min, min + width, { step })
        expect(integers.size).toBe(Math.floor(width / step) + 1)
        for (const value of draw(seed, 20, integers)) {
          expect(value >= min && value <= min + width).toBe(true)
          expect((value - min) % step).toBe(0)
        }
      }),
    ))

  it('numbers stay within their bounds, with and without log', () =>
    fc.assert(
      fc.property(
        seeds,
        fc.double({ min: 1e-12, max: 1e12, noNaN: true }),
        fc.double({ min: 1, max: 1e6, noNaN: true }),
        fc.boolean(),
        (seed, min, factor, log) => {
          const max = min * factor
          for (const value of draw(seed, 20, space.number(min, max, { log }))) expect(value >= min && value <= max).toBe(true)
        },
      ),
    ))

  it('both ends of integers are as likely as the others', () => {
    for (const log of [false, true]) {
      const counts = new Map<number, number>()
      for (const value of draw(1, 20_000, space.integer(1, 4, { log }))) counts.set(value, (counts.get(value) ?? 0) + 1)
      const edges = [0.5, 1.5, 2.5, 3.5, 4.5]
      for (let value = 1; value <= 4; value++) {
        const share = log ? Math.log(edges[value] / edges[value - 1]) / Math.log(9) : 1 / 4
        expect(counts.get(value)).toBeGreaterThan(20_000 * share - 350)
        expect(counts.get(value)).toBeLessThan(20_000 * share + 350)
      }
    }
  })

  it('with log each order of magnitude is equally likely', () => {
    const exponents = draw(2, 8000, space.number(1e-4, 1, { log: true })).map((value) => Math.floor(Math.log10(value)))
    for (const exponent of [-4, -3, -2, -1])
      expect(Math.abs(exponents.filter((other) => other === exponent).length - 2000)).toBeLessThan(200)
  })

  it('steps of numbers have no digits that rounding leaves, and reach the end', () => {
    const tenths = space.number(0, 0.5, { step: 0.1 })
    expect(Array.from({ length: tenths.size }, (_, place) => tenths.at(place))).toEqual([0, 0.1, 0.2, 0.3, 0.4, 0.5])
    const large = Number.MAX_SAFE_INTEGER
    expect([0, 1, 2].map((place) => space.integer(large - 2, large).at(place))).toEqual([large - 2, large - 1, large])
    expect(space.number(0, 0.55, { step: 0.1 }).size).toBe(6)
  })

  it('parameters have the types of their distributions', () => {
    const net = { activation: space.choice(['relu', 'gelu']), units: space.integer(1, 8), bias: space.boolean(), loss: 'huber' } as const
    expectTypeOf<ParametersOf<typeof net>>().toEqualTypeOf<{
      readonly activation: 'relu' | 'gelu'
      readonly units: number
      readonly bias: boolean
      readonly loss: 'huber'
    }>()
    const first = randomParameters(distributionsOf('test', net), 0)(0)
    expect(Object.keys(first)).toEqual(['activation', 'units', 'bias', 'loss'])
    expect(first.loss).toBe('huber')
  })

  it.each([
    [() => space.choice([]), 'space.choice: expected an array of at least one value, got an array of 0.'],
    [() => space.choice([1, 2, 1]), 'space.choice: values[2], 1, is there before; list each value once.'],
    [() => space.choice([Number.NaN]), 'space.choice: values[0] must be a text, a finite number'],
    [() => space.choice([Math.sin as never]), 'name other things by texts'],
    [() => space.integer(0.5, 2), 'space.integer: min must be an integer, got 0.5.'],
    [() => space.integer(3, 2), 'space.integer: min must not be above max, got 3 and 2.'],
    [() => space.number(0, 1, { log: true }), 'space.number: with log, min must be above 0, got 0.'],
    [() => space.number(1, 2, { log: true, step: 1 }), 'space.number: log and step exclude each other'],
    [() => space.number(0, Number.POSITIVE_INFINITY), 'space.number: max must be a finite number, got Infinity.'],
    [() => space.number(0, 1, { step: 0 }), 'space.number: step must be a finite number above 0, got 0.'],
    [() => space.number(0, 1, { lgo: true } as never), 'did you mean "log"?'],
    [() => distributionsOf('tune', []), 'tune: space must be an object of parameters by name'],
    [() => distributionsOf('tune', {}), 'tune: space has no parameters'],
    [() => distributionsOf('tune', space.boolean()), 'tune: space must be an object of parameters by name'],
    [() => distributionsOf('tune', { when: new Date() }), 'tune: space.when must be a text'],
    [() => distributionsOf('tune', JSON.parse('{"__proto__": 1}')), 'a parameter cannot be called "__proto__"'],
  ])('refuses %s', (make, message) => {
    expect(make).toThrow(OptionError)
    expect(make).toThrow(message)
  })

  it('comes from JSON and goes there', () => {
    const net = {
      rate: space.number(1e-4, 1e-1, { log: true }),
      units: space.integer(8, 64, { step: 8 }),
      kind: space.choice(['a', 'b']),
      bias: space.boolean(),
      loss: 'huber',
    }
    const again = spaceFromJson('tune', JSON.parse(JSON.stringify(net)))
    expect(JSON.stringify(again)).toBe(JSON.stringify(net))
    expect(randomParameters(distributionsOf('tune', again), 3)(5)).toEqual(randomParameters(distributionsOf('tune', net), 3)(5))
    expect(() => spaceFromJson('tune', { rate: { type: 'number', min: 2, max: 1 } })).toThrow(
      'tune: parameter "rate": space.number: min must not be above max, got 2 and 1.',
    )
    expect(() => spaceFromJson('tune', { rate: { type: 'float' } })).toThrow(
      'parameter "rate": type must be "choice", "boolean", "integer" or "number", got "float".',
    )
    expect(() => spaceFromJson('tune', { rate: { type: 'boolean', log: true } })).toThrow('Unknown option "log" for space.boolean')
  })
})

describe('parameters', () => {
  const distributions = distributionsOf('test', { x: space.number(0, 1), y: space.number(0, 1), n: space.integer(1, 3) })

  it('are a function of the seed and the trial, in whatever order they are asked for', () =>
    fc.assert(
      fc.property(seeds, fc.array(fc.nat(30), { minLength: 1, maxLength: 10 }), (seed, trials) => {
        const [one, other] = [randomParameters(distributions, seed), randomParameters(distributions, seed)]
        const straight = Array.from({ length: 31 }, (_, trial) => one(trial))
        for (const trial of trials) expect(other(trial)).toEqual(straight[trial])
        expect(new Set(straight.map(({ x }) => x)).size).toBe(31)
        expect(new Set(straight.map(({ x, y }) => (x === y ? 1 : 0)))).toEqual(new Set([0]))
      }),
      { numRuns: 30 },
    ))

  it('differ between trials as long as the space has others', () => {
    const small = distributionsOf('test', { a: space.integer(1, 5), b: space.boolean(), c: space.integer(1, 10, { log: true }) })
    const parameters = randomParameters(small, 7)
    const all = Array.from({ length: sizeOf(small) }, (_, trial) => JSON.stringify(parameters(trial)))
    expect(new Set(all).size).toBe(100)
  })

  it('of a grid are all combinations, each once, the last varying fastest', () => {
    const grid = distributionsOf('test', { a: space.choice(['x', 'y']), b: space.boolean(), c: 7, d: space.number(0, 0.2, { step: 0.1 }) })
    const parameters = gridParameters('tune', grid)
    const all = Array.from({ length: sizeOf(grid) }, (_, trial) => parameters(trial))
    expect(all).toHaveLength(12)
    expect(new Set(all.map((each) => JSON.stringify(each))).size).toBe(12)
    expect(all.slice(0, 4)).toEqual([
      { a: 'x', b: false, c: 7, d: 0 },
      { a: 'x', b: false, c: 7, d: 0.1 },
      { a: 'x', b: false, c: 7, d: 0.2 },
      { a: 'x', b: true, c: 7, d: 0 },
    ])
    expect(() => gridParameters('tune', distributions)).toThrow('tune: a grid cannot have all values of space.x; give it a step')
  })

  it('seeds of trials differ from each other and between searches', () => {
    const all = [0, 1].flatMap((seed) => Array.from({ length: 1000 }, (_, trial) => seedOf(seed, trial)))
    expect(new Set(all).size).toBeGreaterThan(1998)
  })
})
