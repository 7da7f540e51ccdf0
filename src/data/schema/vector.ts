import { checkCount, checkOptions } from '../../checks.ts'
import { DataError, describe, OptionError } from '../../errors.ts'
import type { Fields } from './fields.ts'
import type { Collector, Encoder, FeatureColumn, Infer } from './kind.ts'
import { checkChoice, checkWidth } from './optionChecks.ts'
import { Moments } from './statistics.ts'
import { fits, LARGEST, listOf, type Refusal } from './values.ts'

/** What fields of several numbers may hold: nested arrays, typed arrays or an NdArray. */
export type NumbersField = readonly unknown[] | ArrayBufferView | { readonly data: ArrayLike<number>; readonly shape: readonly number[] }

/** Options of `column.vector` and `target.vector`. */
export interface VectorOptions {
  /** How many numbers; default as many as the first row has when the schema is fitted. */
  readonly length?: number
  /** "none", or "standard": each number to mean 0 and deviation 1. Default "none". */
  readonly scale?: 'none' | 'standard'
}

/** Numbers of a list into memory, or why not; each as (x - shift) · factor. */
export interface VectorWriter {
  readonly length: number
  readonly means: readonly number[]
  readonly deviations: readonly number[]
  write(value: unknown, memory: Float32Array | Int32Array, at: number): Refusal | null
  toJSON(): object
}

const tooLarge: Refusal = { expected: 'finite numbers (within ±3.4e38)' }

function ofLength(length: number | null): Refusal {
  return { expected: length === null ? 'an array of numbers' : `an array of ${length} numbers` }
}

/** Checks options and counts numbers, for vectors on either side of the network. */
export function vectorStatistics(where: string, options: VectorOptions) {
  checkOptions(where, options, ['length', 'scale'])
  const { length, scale = 'none' } = options
  if (length !== undefined) checkWidth(where, 'length', length)
  checkChoice(where, 'scale', scale, ['none', 'standard'])

  const writer = (means: readonly number[], deviations: readonly number[]): VectorWriter => {
    const size = means.length
    const refusal = ofLength(size)
    const factors = deviations.map((deviation) => (deviation > 0 && 1 / deviation < LARGEST ? 1 / deviation : 0))
    return {
      length: size,
      means,
      deviations,
      write(value, memory, at) {
        const list = listOf(value)
        if (list === null || list.length !== size) return refusal
        for (let i = 0; i < size; i++) {
          const x = scale === 'none' ? list[i] : (list[i] - means[i]) * factors[i]
          if (!fits(x)) return tooLarge
          memory[at + i] = x
        }
        return null
      },
      toJSON: () => ({ means, deviations }),
    }
  }

  return {
    scale,
    collect<Made>(make: (writer: VectorWriter) => Made): Collector<Made> {
      let moments: Moments[] | null = length === undefined ? null : Array.from({ length }, () => new Moments())
      return {
        add(value) {
          const list = listOf(value)
          if (list === null || list.length === 0 || (moments !== null && list.length !== moments.length))
            return ofLength(moments?.length ?? null)
          moments ??= Array.from({ length: list.length }, () => new Moments())
          for (let i = 0; i < list.length; i++) {
            if (!fits(list[i])) return tooLarge
            moments[i].add(list[i])
          }
          return null
        },
        finish: () =>
          make(
            writer(
              (moments ?? []).map(({ mean }) => mean),
              (moments ?? []).map(({ deviation }) => deviation),
            ),
          ),
      }
    },
    restore(fields: Fields): VectorWriter {
      const means = fields.numbers('means', length)
      return writer(means, fields.numbers('deviations', means.length))
    },
  }
}

/**
 * Several numbers, such as the embedding of a text by another model: as many features.
 *
 * @example column.vector({ length: 3, scale: 'standard' })
 */
export function vector(options: VectorOptions = {}): FeatureColumn<NumbersField> {
  const statistics = vectorStatistics('column.vector', options)
  const encoder = (name: string, { length, write, toJSON }: VectorWriter): Encoder => ({
    input: 'features',
    dtype: 'float32',
    shape: [length],
    names: Array.from({ length }, (_, i) => `${name}[${i}]`),
    encode: write,
    toJSON,
  })
  return {
    role: 'feature',
    kind: 'vector',
    options: { ...options },
    collect: (name) => statistics.collect((writer) => encoder(name, writer)),
    restore: (name, fields) => encoder(name, statistics.restore(fields)),
  }
}

/** Options of `column.image`. */
export interface ImageColumnOptions {
  /** Height, width and channels: [28, 28, 1]. */
  readonly shape: readonly number[]
  /** The numbers of black and of white, which become 0 and 1; default `[0, 255]`. */
  readonly range?: readonly [number, number]
}

/**
 * Pixels, in an input of the network by the name of the column, as 0 … 1.
 *
 * @example column.image({ shape: [28, 28, 1] })
 */
export function image(options: ImageColumnOptions): FeatureColumn<NumbersField> {
  const where = 'column.image'
  checkOptions(where, options, ['shape', 'range'])
  const { shape, range = [0, 255] } = options ?? {}
  if (!Array.isArray(shape) || shape.length === 0)
    throw new OptionError(`${where}: shape must be height, width and channels, such as [28, 28, 1], got ${describe(shape)}.`)
  for (const extent of shape) checkCount(where, 'each extent of shape', extent)
  if (!Array.isArray(range) || range.length !== 2 || !range.every(fits) || range[0] === range[1])
    throw new OptionError(`${where}: range must be the numbers of black and of white, such as [0, 255], got ${describe(range)}.`)
  const [black, white] = range
  const size = shape.reduce((product, extent) => product * extent, 1)
  checkWidth(where, 'the product of shape', size)
  const refusal: Refusal = { expected: `an image of ${shape.join(' × ')} numbers` }

  const encoder: Encoder = {
    dtype: 'float32',
    shape,
    names: [],
    encode(value, memory, at) {
      const pixels = listOf(value)
      if (pixels === null || pixels.length !== size) return refusal
      for (let i = 0; i < size; i++) {
        const x = (pixels[i] - black) / (white - black)
        if (!fits(x)) return tooLarge
        memory[at + i] = x
      }
      return null
    },
    toJSON: () => ({}),
  }
  return {
    role: 'feature',
    kind: 'image',
    options: { ...options },
    collect() {
      let largest = 0
      return {
        add(value) {
          const pixels = listOf(value)
          if (pixels === null || pixels.length !== size) return refusal
          for (let i = 0; i < size; i++) if (pixels[i] > largest) largest = pixels[i]
          return null
        },
        finish(place) {
          // What imageFolder gives, for one, would become all but black.
          if (options.range === undefined && largest > 0 && largest <= 1)
            throw new DataError(
              `${place}: expected numbers of 0 … 255, got none above ${largest}; if 1 is white, say so: { range: [0, 1] }.`,
            )
          return encoder
        },
      }
    },
    restore: () => encoder,
  }
}

/** Arrays with the shape of an image. */
export const inferImage: Infer<FeatureColumn> = ({ values }) => {
  const shapes = values.map((value) => (typeof value === 'object' && value !== null && 'shape' in value ? value.shape : null))
  const [first] = shapes
  if (!Array.isArray(first) || first.length < 2 || !shapes.every((shape) => String(shape) === String(first))) return null
  const isScaled = values.every((value) => Array.prototype.every.call(listOf(value) ?? [], (x: number) => x <= 1))
  return { column: image({ shape: first as number[], ...(isScaled && { range: [0, 1] }) }), reason: `images of ${first.join(' × ')}` }
}

/** Arrays of equally many numbers. */
export const inferVector: Infer<FeatureColumn> = ({ values }) => {
  const lengths = new Set(values.map((value) => listOf(value)?.length ?? null))
  const [length] = lengths
  return lengths.size === 1 && length !== null && length !== undefined && length > 0
    ? { column: vector({ length }), reason: `arrays of ${length} numbers` }
    : null
}
