import { counted, DataError } from '../errors.ts'
import { sizeOf } from '../graph/shape.ts'
import type { Dtype } from '../graph/tensor.ts'
import { allocateShared, formatBytes } from '../memory.ts'
import { flatten, type NumbersLike } from './ndarray.ts'

/**
 * Which numbers make sense: class numbers of 0 … count-1, probabilities of 0 … 1, signs (1, and 0 or -1), numbers from a minimum on, or any; and
 * always `except`, which marks what does not count.
 */
export type Range = (
  | { readonly kind: 'classes'; readonly count: number; readonly advice?: string }
  | { readonly kind: 'probabilities' | 'signs' | 'any' }
  | { readonly kind: 'atLeast'; readonly minimum: number }
) & { readonly except?: number }

/** What a plan's input takes: the shape of one row, and which numbers are allowed. */
export interface RowSpec {
  readonly name: string
  readonly shape: readonly number[]
  readonly dtype: Dtype
  readonly range?: Range
  /** What else can be done about a NaN. */
  readonly missing?: string
}

/** Checked rows, ready to be fed to a plan. */
export interface Rows {
  readonly values: Float32Array | Int32Array
  readonly count: number
}

/**
 * Where rows must lie. "shared": in shared memory, where nobody can detach them while a run on another thread reads them. "any": they are
 * read before the caller's code goes on.
 */
export type RowMemory = 'shared' | 'any'

/**
 * Converts and checks data: the shape, that every number is finite, that indices are integers and labels in range.
 * Typed arrays that already are of the right type, and lie where they must, are used as they are; all else is copied.
 */
export function toRows(where: string, data: NumbersLike, spec: RowSpec, memory: RowMemory = 'shared'): Rows {
  const place = `${where}: ${spec.name}`
  const width = sizeOf(spec.shape)
  const { size, shape, read } = flatten(place, data)
  const count = countRows(place, size, shape, spec, width)
  const ready = usable(data, spec.dtype, memory)
  if (ready !== null) {
    check(place, ready, spec, width)
    return { values: ready, count }
  }
  const bytes = size * 4
  const buffer =
    memory === 'any'
      ? new ArrayBuffer(bytes)
      : allocateShared(
          bytes,
          `${place}: its ${counted(size, 'number')} need${size === 1 ? 's' : ''} ${formatBytes(bytes)}`,
          'Train on a part of the data at a time.',
        )
  if (spec.dtype === 'float32') {
    const values = new Float32Array(buffer)
    read(values)
    check(place, values, spec, width)
    return { values, count }
  }
  // Indices are checked as they come, before they are rounded to integers.
  const exact = new Float64Array(size)
  read(exact as unknown as Float32Array)
  check(place, exact, spec, width)
  const values = new Int32Array(buffer)
  values.set(exact)
  return { values, count }
}

function usable(data: NumbersLike, dtype: Dtype, memory: RowMemory): Float32Array | Int32Array | null {
  const typed = data instanceof (dtype === 'float32' ? Float32Array : Int32Array)
  if (!typed || (memory === 'shared' && !((data.buffer as ArrayBufferLike) instanceof SharedArrayBuffer))) return null
  return data as Float32Array | Int32Array
}

function countRows(place: string, size: number, shape: readonly number[] | null, spec: RowSpec, width: number): number {
  const expected =
    spec.shape.length === 0 ? 'one number a sample' : `rows of shape [${spec.shape.join(', ')}] (${counted(width, 'number')})`
  if (size === 0) throw new DataError(`${place}: expected ${expected}, got no data at all.`)
  if (shape === null) {
    if (size % width !== 0)
      throw new DataError(`${place}: expected ${expected}, got ${counted(size, 'number')}, which is not a multiple of ${width}.`)
    return size / width
  }
  if (shape.length === 0 && width === 1) return 1
  // [n] is taken for [n, 1] and the other way round: one number a sample either way.
  const row = shape.slice(1)
  const fits =
    sizeOf(row) === width && (row.length === spec.shape.length ? row.every((extent, i) => extent === spec.shape[i]) : width === 1)
  if (!fits)
    throw new DataError(
      `${place}: expected ${expected}, got data of shape [${shape.join(', ')}]; the first dimension counts the samples${shape.length === spec.shape.length ? ' (a single row goes into brackets of its own: [row])' : ''}.`,
    )
  return shape[0]
}

/** One pass over the values: finite, and within what the loss or the dtype allows. */
function check(place: string, values: Float32Array | Float64Array | Int32Array, spec: RowSpec, width: number): void {
  const { range, dtype } = spec
  if (values instanceof Float32Array && (range === undefined || range.kind === 'any') && allFinite(values)) return
  const fail = (i: number, expected: string, advice = ''): never => {
    const where = width === 1 ? `row ${i}` : `row ${Math.floor(i / width)}, column ${i % width}`
    throw new DataError(`${place}: expected ${expected}, got ${values[i]} at ${where}.${advice}`)
  }
  for (let i = 0; i < values.length; i++) {
    const value = values[i]
    if (!Number.isFinite(value)) {
      const advice = Number.isNaN(value) && spec.missing !== undefined ? spec.missing : 'magnitudes above 3.4e38 do not fit float32.'
      fail(i, 'finite numbers', ` Remove the row or fill in the value; ${advice}`)
    }
    if (dtype === 'int32' && (!Number.isInteger(value) || Math.abs(value) > 0x7fffffff)) fail(i, 'integers')
    if (range === undefined || value === range.except) continue
    if (range.kind === 'classes' && (value < 0 || value >= range.count))
      fail(i, `class numbers of 0 … ${range.count - 1}`, range.advice === undefined ? '' : ` ${range.advice}`)
    if (range.kind === 'probabilities' && (value < 0 || value > 1)) fail(i, 'targets of 0 … 1')
    if (range.kind === 'signs' && value !== 1 && value !== 0 && value !== -1) fail(i, 'targets of 1 and -1, or of 1 and 0')
    if (range.kind === 'atLeast' && value < range.minimum) fail(i, `numbers of at least ${range.minimum}`)
  }
}

/** x · 0 is NaN for NaN and infinities alone. Four sums, because each addition of one would wait for the one before. */
function allFinite(values: Float32Array): boolean {
  let [a, b, c, d] = [0, 0, 0, 0]
  const whole = values.length - (values.length % 4)
  for (let i = 0; i < whole; i += 4) {
    a += values[i] * 0
    b += values[i + 1] * 0
    c += values[i + 2] * 0
    d += values[i + 3] * 0
  }
  for (let i = whole; i < values.length; i++) a += values[i] * 0
  return a + b + c + d === 0
}
