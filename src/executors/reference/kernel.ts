import type { Values } from '../arena.ts'

/** A tensor as a reference kernel sees it: contiguous, row-major. */
export interface View {
  readonly values: Values
  readonly shape: readonly number[]
}

/** What a kernel may ask for: that the step ends behind it, or that the whole run does. */
export type Outcome = 'endStep' | 'stopRun' | undefined

/** A reference kernel: plain loops, the meaning of an op. Sums are formed in double precision; results are rounded when stored. */
// biome-ignore lint/suspicious/noExplicitAny: attributes are typed at each kernel.
export type Kernel<A = any> = (inputs: readonly View[], outputs: readonly View[], attributes: A) => Outcome

/** [outer, reduced, inner] for axes start … end-1. */
export function split(shape: readonly number[], start: number, end: number): [number, number, number] {
  const size = (part: readonly number[]) => part.reduce((product, extent) => product * extent, 1)
  return [size(shape.slice(0, start)), size(shape.slice(start, end)), size(shape.slice(end))]
}

/** For row-major memory: how far apart neighbours along each axis lie. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length)
  let stride = 1
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = stride
    stride *= shape[i]
  }
  return strides
}

/** Strides that read `from` as if it had been repeated to `to`: 0 along repeated axes. */
export function broadcastStrides(from: readonly number[], to: readonly number[]): number[] {
  const strides = stridesOf(from)
  const extra = to.length - from.length
  return to.map((_, i) => (i < extra || from[i - extra] === 1 ? 0 : strides[i - extra]))
}

/** Walks all positions of `shape` in row-major order and gives each its offset under `strides`. */
export function forEachOffset(
  shape: readonly number[],
  strides: readonly number[],
  visit: (offset: number, position: number) => void,
): void {
  const size = shape.reduce((product, extent) => product * extent, 1)
  const index = new Array<number>(shape.length).fill(0)
  let offset = 0
  for (let position = 0; position < size; position++) {
    visit(offset, position)
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      offset += strides[axis]
      if (++index[axis] < shape[axis]) break
      offset -= strides[axis] * shape[axis]
      index[axis] = 0
    }
  }
}
