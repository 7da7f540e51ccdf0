/** Which parameters each trial gets: a function of the seed and the trial's number, whoever runs it and when. */
import { OptionError } from '../errors.ts'
import { Purpose, RandomStream } from '../random.ts'
import type { Distribution, ParameterValue } from './space.ts'

export type Parameters = Readonly<Record<string, ParameterValue>>

/** After so many draws a trial may have the parameters of an earlier one: what is left of the space is too unlikely. */
const ATTEMPTS = 10_000

/** How many different parameters there are. */
export function sizeOf(space: ReadonlyMap<string, Distribution>): number {
  return [...space.values()].reduce((product, { size }) => product * size, 1)
}

/** Draws at random, never the same twice as long as there are others. */
export function randomParameters(space: ReadonlyMap<string, Distribution>, seed: number): (trial: number) => Parameters {
  const drawn: Parameters[] = []
  const seen = new Set<string>()
  return (trial) => {
    while (drawn.length <= trial) {
      const random = new RandomStream(seed, Purpose.tune, drawn.length)
      let parameters: Parameters = {}
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        parameters = mapValues(space, (distribution) => distribution.sample(random))
        if (!seen.has(JSON.stringify(parameters))) break
      }
      seen.add(JSON.stringify(parameters))
      drawn.push(parameters)
    }
    return drawn[trial]
  }
}

/** All combinations; the last parameter varies fastest. */
export function gridParameters(where: string, space: ReadonlyMap<string, Distribution>): (trial: number) => Parameters {
  for (const [name, { size }] of space)
    if (size === Number.POSITIVE_INFINITY)
      throw new OptionError(`${where}: a grid cannot have all values of space.${name}; give it a step, or use space.choice([…]).`)
  const names = [...space.keys()].reverse()
  return (trial) => {
    let rest = trial
    const places = new Map<string, number>()
    for (const name of names) {
      const { size } = space.get(name) as Distribution
      places.set(name, rest % size)
      rest = Math.floor(rest / size)
    }
    return mapValues(space, (distribution, name) => distribution.at(places.get(name) as number))
  }
}

/** The seed of a trial's own randomness: 32 bits, from a stream beside those of the parameters. */
export function seedOf(seed: number, trial: number): number {
  return new RandomStream(seed, Purpose.trial, trial).bits()
}

function mapValues(
  space: ReadonlyMap<string, Distribution>,
  value: (distribution: Distribution, name: string) => ParameterValue,
): Parameters {
  return Object.fromEntries([...space].map(([name, distribution]) => [name, value(distribution, name)]))
}
