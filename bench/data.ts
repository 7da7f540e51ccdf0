/** Synthetic data: speed does not depend on what the numbers mean, as long as they are not all zero. */
import { Purpose, RandomStream } from '../src/random.ts'
import { type Case, flopsPerStep } from './cases.ts'

export interface Rows {
  readonly x: Float32Array
  /** Numbers, or class numbers for cross-entropy. */
  readonly y: Float32Array | Int32Array
}

const MOST_BATCHES = 256
const MOST_BYTES = 8 * 2 ** 20
const MOST_FLOPS = 5e10

/**
 * How many batches the data set of a case has: at most 256, 8 MiB and 50 GFLOP an epoch, at least 2. XOR has one batch of four rows; here it is repeated,
 * as a realistic data set has many batches, and a run over them is one crossing into the addon.
 */
export function batchCount(definition: Case): number {
  const { sizes, batchSize } = definition
  const most = Math.min(MOST_BATCHES, MOST_BYTES / (batchSize * sizes[0] * 4), MOST_FLOPS / flopsPerStep(definition))
  return Math.max(2, Math.floor(most))
}

/** Rows in shared memory, so that `fit` uses them without a copy. */
export function makeData(definition: Case, batches: number): Rows {
  const { sizes, batchSize, features, loss } = definition
  const count = batches * batchSize
  const outputs = sizes[sizes.length - 1]
  const random = new RandomStream(1, Purpose.sample)
  const x = new Float32Array(new SharedArrayBuffer(count * sizes[0] * 4))
  if (features === 'xor') {
    const y = new Float32Array(new SharedArrayBuffer(count * 4))
    for (let row = 0; row < count; row++) {
      const [first, second] = [(row >> 1) & 1, row & 1]
      x.set([first, second], row * 2)
      y[row] = first ^ second
    }
    return { x, y }
  }
  for (let i = 0; i < x.length; i++) x[i] = features === 'normal' ? random.normal() : random.uniform()
  if (loss === 'meanSquaredError') {
    const y = new Float32Array(new SharedArrayBuffer(count * outputs * 4))
    return { x, y: y.map(() => random.normal()) }
  }
  const y = new Int32Array(new SharedArrayBuffer(count * 4))
  for (let i = 0; i < y.length; i++) y[i] = random.below(outputs)
  return { x, y }
}

/** The same rows, cut into batches. */
export function cut(definition: Case, { x, y }: Rows): Rows[] {
  const { sizes, batchSize } = definition
  const [rowX, rowY] = [sizes[0], y instanceof Int32Array ? 1 : sizes[sizes.length - 1]]
  return Array.from({ length: x.length / (batchSize * rowX) }, (_, i) => ({
    x: x.subarray(i * batchSize * rowX, (i + 1) * batchSize * rowX),
    y: y.subarray(i * batchSize * rowY, (i + 1) * batchSize * rowY),
  }))
}
