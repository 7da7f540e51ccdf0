import { counted, DataError, describe } from '../errors.ts'

/** Memory of an NdArray: what the library computes with, or what files of data hold. */
export type NumberArray = Float32Array | Float64Array | Int32Array | Int16Array | Int8Array | Uint8Array

/** Numbers with a shape, row-major: what predictions and weights come in. @example new NdArray(Float32Array.of(1, 2, 3, 4), [2, 2]) */
export class NdArray<T extends NumberArray = Float32Array> {
  /** The numbers themselves, row-major. */
  readonly data: T
  /** Extents, outermost first. */
  readonly shape: readonly number[]

  /** @throws DataError if the shape does not hold as many numbers as there are. */
  constructor(data: T, shape: readonly number[]) {
    for (const extent of shape) {
      if (!Number.isSafeInteger(extent) || extent < 0)
        throw new DataError(`NdArray: extents must be integers of at least 0, got shape [${shape.join(', ')}].`)
    }
    const size = shape.reduce((product, extent) => product * extent, 1)
    if (size !== data.length)
      throw new DataError(`NdArray: shape [${shape.join(', ')}] holds ${counted(size, 'number')}, got ${data.length}.`)
    this.data = data
    this.shape = shape
  }

  /**
   * The element at an index, one number a dimension.
   *
   * @throws DataError if there are more or fewer, or one lies outside.
   * @example new NdArray(Float32Array.of(1, 2, 3, 4), [2, 2]).at(1, 0)
   */
  at(...index: number[]): number {
    const inside =
      index.length === this.shape.length &&
      index.every((position, axis) => Number.isInteger(position) && position >= 0 && position < this.shape[axis])
    if (!inside) throw new DataError(`NdArray.at: [${index.join(', ')}] is not an element of shape [${this.shape.join(', ')}].`)
    return this.data[index.reduce((offset, position, axis) => offset * this.shape[axis] + position, 0)]
  }

  /**
   * Nested arrays: `[[1, 2], [3, 4]]` for shape [2, 2]; the number itself for a scalar.
   *
   * @example new NdArray(Float32Array.of(1, 2, 3, 4), [2, 2]).toArray()
   */
  toArray(): NestedNumbers {
    const nest = (axis: number, start: number, size: number): NestedNumbers => {
      if (axis === this.shape.length) return this.data[start]
      const part = size / this.shape[axis]
      return Array.from({ length: this.shape[axis] }, (_, i) => nest(axis + 1, start + i * part, part))
    }
    return nest(0, 0, this.data.length)
  }

  /**
   * Where along the last axis the largest number is, the first of equal ones: rows of scores become class numbers.
   *
   * @throws DataError if there is no such axis, or nothing on it.
   * @example sequential([input(2), dense(3)]).predictSync([[0, 1], [1, 0]]).argmax()
   */
  argmax(): NdArray<Int32Array> {
    const width = this.shape[this.shape.length - 1]
    if (width === undefined || width === 0)
      throw new DataError(`NdArray.argmax: shape [${this.shape.join(', ')}] has nothing to choose from along its last axis.`)
    const result = Int32Array.from({ length: this.data.length / width }, (_, row) => {
      let best = row * width
      for (let i = best + 1; i < (row + 1) * width; i++) if (this.data[i] > this.data[best]) best = i
      return best - row * width
    })
    return new NdArray(result, this.shape.slice(0, -1))
  }

  /**
   * The class of each sample, from logits: of rows the largest, as `argmax`; of one logit a sample ([samples] or [samples, 1]) 1 where it is
   * above 0, else 0.
   *
   * @throws DataError as `argmax`.
   * @example sequential([input(2), dense(1)]).predictSync([[0, 1], [1, 0]]).classes()
   */
  classes(): NdArray<Int32Array> {
    if (this.shape.length > 1 && this.shape[this.shape.length - 1] > 1) return this.argmax()
    const yes = Int32Array.from(this.data, (logit) => Number(logit > 0))
    return new NdArray(yes, this.shape.length > 1 ? this.shape.slice(0, -1) : this.shape)
  }

  /**
   * One array for each entry of the first axis, over the same memory.
   *
   * @throws DataError if there is no axis.
   * @example new NdArray(Float32Array.of(1, 2, 3, 4), [2, 2]).rows().map((row) => row.at(1))
   */
  rows(): NdArray<T>[] {
    const [count, ...shape] = this.shape
    if (count === undefined) throw new DataError('NdArray.rows: a number without dimensions has no rows.')
    const width = this.data.length / count
    return Array.from({ length: count }, (_, row) => new NdArray(this.data.subarray(row * width, (row + 1) * width) as T, shape))
  }

  /**
   * The shape and the first values, for a look: `NdArray [2, 3]: 1, 2, 3, 4, 5, 6`.
   *
   * @example new NdArray(Float32Array.of(1, 2, 3, 4), [2, 2]).toString()
   */
  toString(): string {
    const first = Array.from(this.data.subarray(0, 8), (value) => (Number.isInteger(value) ? value : Number(value.toPrecision(6))))
    return `NdArray [${this.shape.join(', ')}]: ${first.join(', ')}${this.data.length > 8 ? ', …' : ''}`
  }
}

/** Numbers in arrays in arrays, as `NdArray.toArray` gives them. */
export type NestedNumbers = number | NestedNumbers[]

/** What the library takes as numbers: nested arrays, a typed array (rows one after the other), an NdArray, or an array of typed arrays (one a row). */
export type NumbersLike =
  | readonly unknown[]
  | Float32Array
  | Float64Array
  | Int32Array
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Uint32Array
  | NdArray<NumberArray>

/** How many numbers of what shape, found without copying: the rows and the numbers of one row. */
export function flatten(
  where: string,
  values: NumbersLike,
): { read(target: Float32Array | Int32Array): void; size: number; shape: readonly number[] | null } {
  if (values instanceof NdArray) return { size: values.data.length, shape: values.shape, read: (target) => target.set(values.data) }
  if (isTyped(values)) return { size: values.length, shape: null, read: (target) => target.set(values) }
  if (!Array.isArray(values))
    throw new DataError(`${where}: expected numbers (nested arrays, a typed array or an NdArray), got ${describe(values)}.`)
  const shape = nestedShape(where, values)
  const size = shape.reduce((product, extent) => product * extent, 1)
  return {
    size,
    shape,
    read(target) {
      let next = 0
      const visit = (value: unknown, depth: number, path: string) => {
        const isRow = Array.isArray(value) || isTyped(value)
        if (depth === shape.length) {
          if (typeof value !== 'number' && typeof value !== 'boolean')
            throw new DataError(`${where}: expected a number at ${path}, got ${describe(value)}.`)
          target[next++] = Number(value)
        } else if (!isRow || (value as unknown[]).length !== shape[depth]) {
          throw new DataError(
            `${where}: rows must have equal lengths, expected ${counted(shape[depth], 'number')} at ${path}, got ${isRow ? (value as unknown[]).length : describe(value)}.`,
          )
        } else if (isTyped(value)) {
          target.set(value, next)
          next += shape[depth]
        } else {
          // NOTE: not forEach, which would pass over the holes of a sparse array and shift what follows.
          const items = value as unknown[]
          for (let i = 0; i < items.length; i++) visit(items[i], depth + 1, `${path}[${i}]`)
        }
      }
      visit(values, 0, '')
    },
  }
}

/** Whether something is given as numbers, and not, say, by name. */
export function isNumbers(values: unknown): values is NumbersLike {
  return Array.isArray(values) || ArrayBuffer.isView(values) || values instanceof NdArray
}

/** A typed array of numbers: not of bigints, and not a DataView. */
function isTyped(value: unknown): value is Float32Array {
  return ArrayBuffer.isView(value) && !(value instanceof DataView || value instanceof BigInt64Array || value instanceof BigUint64Array)
}

/** The shape that the first element at each depth suggests; `read` checks that all others agree. */
function nestedShape(where: string, values: readonly unknown[]): number[] {
  const shape: number[] = []
  let level: unknown = values
  while (Array.isArray(level) || isTyped(level)) {
    const { length } = level
    shape.push(length)
    if (length === 0 || isTyped(level)) break
    level = (level as unknown[])[0]
    if (shape.length > 16) throw new DataError(`${where}: arrays are nested more than 16 deep.`)
  }
  return shape
}
