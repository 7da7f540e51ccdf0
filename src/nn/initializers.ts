/** How parameters get their first values. Each is a function of the model's seed and the parameter's position alone. */
import { unknownName } from '../errors.ts'
import type { Initializer } from '../ops/source.ts'

/** Fan-in and fan-out of a kernel: the last two extents, times the receptive field before them. */
function fans(shape: readonly number[]): { in: number; out: number } {
  if (shape.length < 2) return { in: shape[0] ?? 1, out: shape[0] ?? 1 }
  const field = shape.slice(0, -2).reduce((product, extent) => product * extent, 1)
  return { in: field * shape[shape.length - 2], out: field * shape[shape.length - 1] }
}

function uniformWithin(limit: (fan: { in: number; out: number }) => number): Initializer {
  return (values, shape, random) => {
    const bound = limit(fans(shape))
    for (let i = 0; i < values.length; i++) values[i] = (2 * random.uniform() - 1) * bound
  }
}

function normalWith(deviation: (fan: { in: number; out: number }) => number): Initializer {
  return (values, shape, random) => {
    const scale = deviation(fans(shape))
    for (let i = 0; i < values.length; i++) values[i] = random.normal() * scale
  }
}

function filledWith(value: number): Initializer {
  return (values) => {
    values.fill(value)
  }
}

/** All zeros. */
export const zeros = filledWith(0)
/** All ones. */
export const ones = filledWith(1)
/** Every element the same number. */
export const constantOf = filledWith
/** Uniform within ±√(6/(fanIn + fanOut)) (Glorot and Bengio 2010, equation 16): for tanh, sigmoid and linear layers. */
export const glorotUniform = uniformWithin((fan) => Math.sqrt(6 / (fan.in + fan.out)))
/** Normal with variance 2/(fanIn + fanOut) (Glorot and Bengio 2010, equation 12). */
export const glorotNormal = normalWith((fan) => Math.sqrt(2 / (fan.in + fan.out)))
/** Uniform within ±√(6/fanIn), variance 2/fanIn (He et al. 2015, equation 10): for relu and its kin. */
export const heUniform = uniformWithin((fan) => Math.sqrt(6 / fan.in))
/** Normal with variance 2/fanIn (He et al. 2015, equation 10). */
export const heNormal = normalWith((fan) => Math.sqrt(2 / fan.in))

const named = { zeros, ones, glorotUniform, glorotNormal, heUniform, heNormal }

export type InitializerName = keyof typeof named

/** An initializer by name, or a function of your own that fills the values it is given. */
export function initializer(where: string, choice: InitializerName | Initializer): Initializer {
  if (typeof choice === 'function') return choice
  if (!Object.hasOwn(named, choice)) throw unknownName('initializer', choice, Object.keys(named), where)
  return named[choice]
}
