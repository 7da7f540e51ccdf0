import { ShapeError } from '../errors.ts'

/**
 * A multiple of the batch size, which stays open until a plan is made. Instances are interned, so two equal
 * dimensions are the same object and `===` compares them.
 *
 * @example new Map([[batch, 32], [BatchDimension.of(2), 64]])
 */
export class BatchDimension {
  private static readonly interned = new Map<number, BatchDimension>()
  /** How many times the batch size. */
  readonly multiple: number

  private constructor(multiple: number) {
    this.multiple = multiple
  }

  /** The dimension of `multiple` times the batch size. @example BatchDimension.of(2) */
  static of(multiple: number): BatchDimension {
    let dimension = BatchDimension.interned.get(multiple)
    if (dimension === undefined) {
      dimension = new BatchDimension(multiple)
      BatchDimension.interned.set(multiple, dimension)
    }
    return dimension
  }

  /** As messages and plans print it: `batch`, `2·batch`. @example BatchDimension.of(2).toString() */
  toString(): string {
    return this.multiple === 1 ? 'batch' : `${this.multiple}·batch`
  }
}

/** The open batch dimension itself: what samples are counted by. @example reshape(input(784), [batch, 28, 28]) */
export const batch = BatchDimension.of(1)

/** One extent: a number, or a multiple of the batch size. */
export type Dimension = number | BatchDimension

/** Extents, outermost first; `[]` is a scalar. */
export type Shape = readonly Dimension[]

/** `[batch, 64]`: a shape as messages and plans print it. */
export function formatShape(shape: Shape): string {
  return `[${shape.join(', ')}]`
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dimension, i) => dimension === b[i])
}

/** The shape with a batch size put in. */
export function bindShape(shape: Shape, batchSize: number): number[] {
  return shape.map((dimension) => bindDimension(dimension, batchSize))
}

export function bindDimension(dimension: Dimension, batchSize: number): number {
  return typeof dimension === 'number' ? dimension : dimension.multiple * batchSize
}

/** The extents of a shape that must be bound already (inside a plan). */
export function concrete(shape: Shape): readonly number[] {
  for (const dimension of shape) {
    if (typeof dimension !== 'number') throw new ShapeError(`Expected a shape without open dimensions, got ${formatShape(shape)}.`)
  }
  return shape as readonly number[]
}

/** Number of elements of a concrete shape. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1)
}

/** The product of dimensions as factor · batch^power. */
export function product(shape: Shape): { factor: number; power: number } {
  let factor = 1
  let power = 0
  for (const dimension of shape) {
    if (typeof dimension === 'number') factor *= dimension
    else {
      factor *= dimension.multiple
      power += 1
    }
  }
  return { factor, power }
}

/** The product of dimensions as one dimension, for merging neighbours. Two open ones cannot be merged. */
export function productDimension(where: string, shape: Shape): Dimension {
  const { factor, power } = product(shape)
  if (power > 1) {
    throw new ShapeError(`${where}: ${formatShape(shape)} cannot become one dimension, it would be a multiple of batch².`)
  }
  return power === 0 ? factor : BatchDimension.of(factor)
}

/** The shape two operands have together under numpy's rules: aligned at the right, an extent of 1 repeats. */
export function broadcastShapes(where: string, a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length)
  const result: Dimension[] = []
  for (let i = 0; i < rank; i++) {
    const left = a[a.length - rank + i] ?? 1
    const right = b[b.length - rank + i] ?? 1
    if (left !== right && left !== 1 && right !== 1) {
      throw new ShapeError(
        `${where}: shapes ${formatShape(a)} and ${formatShape(b)} do not broadcast: aligned at the right, each pair of extents must be equal or one of them 1, got ${left} and ${right}.`,
      )
    }
    result.push(left === 1 ? right : left)
  }
  return result
}

/** An axis of -rank … rank-1 as 0 … rank-1. */
export function normaliseAxis(where: string, axis: number, rank: number): number {
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank) {
    const range = rank === 0 ? 'the tensor is a scalar and has no axes' : `expected an integer of ${-rank} … ${rank - 1}`
    throw new ShapeError(`${where}: axis ${axis} is out of range, ${range}.`)
  }
  return axis < 0 ? axis + rank : axis
}

/** Checks a shape given by a user: integers ≥ `minimum`. */
export function checkExtents(where: string, shape: readonly unknown[], minimum = 1): void {
  for (const extent of shape) {
    if (extent instanceof BatchDimension) continue
    if (!Number.isSafeInteger(extent) || (extent as number) < minimum) {
      throw new ShapeError(`${where}: expected extents that are integers of at least ${minimum}, got [${shape.join(', ')}].`)
    }
  }
}
