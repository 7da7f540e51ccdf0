/** What the tests of wrappers share: networks of known gradients, and plain loops. */
import { expect } from 'vitest'
import {
  concat,
  type FitOptions,
  input,
  minimum,
  multiply,
  ones,
  parameter,
  sequential,
  sgd,
  slice,
  square,
  sum,
  type Tensor,
} from '../../../src/index.ts'
import { variable } from '../../../src/ops/source.ts'
import { type ExecutorName, rows, scaledBy, scaledError, sumLoss } from '../../training/support.ts'

/** Not a multiple of any vector width. */
export const width = 37
export const gradients = rows(7, width, 1)
export const norm = (values: readonly number[]) => Math.sqrt(values.reduce((total, x) => total + x * x, 0))

/** Two parameters, p and q; with `sumLoss` their gradients are the two parts of the sample. */
export function twoParts(first: number, second: number): (x: Tensor) => Tensor {
  const [p, q] = [parameter('p', [first], ones), parameter('q', [second], ones)]
  return (x) => concat([multiply(slice(x, [null, [0, first]]), p), multiply(slice(x, [null, [first, first + second]]), q)], 1)
}

/** As `scaledBy`, with p held below a bound. */
export function boundedBy(size: number, bound: number): (x: Tensor) => Tensor {
  const constrain = (p: Tensor) => minimum(p, bound)
  const initialize = (values: { fill(value: number): unknown }) => void values.fill(1)
  const p = variable({ name: 'p', block: 'parameters', shape: [size], dtype: 'float32', initialize, constrain })
  return (x) => multiply(x, p)
}

/** Σ (x p)²: a loss whose gradient, 2 x² p, depends on where it is taken. */
export const squareLoss = (prediction: Tensor) => sum(square(prediction), { axes: [-1] })

/** The weights after each step, of a loop over gradients. */
export function plainly(step: (p: number[], gradient: readonly number[], t: number) => void, size = width, of = gradients): number[][] {
  const p = new Array<number>(size).fill(1)
  return of.map((gradient, t) => {
    step(p, gradient.map(Math.fround), t)
    return [...p]
  })
}

export function expectClose(actual: readonly (readonly number[])[], expected: readonly (readonly number[])[], tolerance: number): void {
  expect(actual.length).toBe(expected.length)
  actual.forEach((row, step) => expect(scaledError(row, expected[step]), `step ${step}`).toBeLessThan(tolerance))
}

/** y = x p from p = 1. */
export const scaledNet = (executor: ExecutorName, size = width) => sequential([input(size), scaledBy(size)], { executor })

export const inOrder: FitOptions = { loss: sumLoss, batchSize: 1, shuffle: false }

export const momentum = () => sgd({ learningRate: 0.1, momentum: 0.9 })
