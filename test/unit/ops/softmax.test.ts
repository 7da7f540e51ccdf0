/** Softmax and its kin on rows that overflow, underflow or mean nothing, on every executor and instruction set. */
import { describe, expect, it } from 'vitest'
import type { Executor } from '../../../src/executors/executor.ts'
import { loadAddon } from '../../../src/executors/native/addon.ts'
import { nativeExecutor } from '../../../src/executors/native/index.ts'
import { referenceExecutor } from '../../../src/executors/reference/index.ts'
import { apply } from '../../../src/graph/tensor.ts'
import { type Tensor, ThalwegError } from '../../../src/index.ts'
import { argmax } from '../../../src/ops/reduce.ts'
import { logSoftmax, softmax, softmaxCrossEntropy, softmaxOps } from '../../../src/ops/softmax.ts'
import { constant } from '../../../src/ops/source.ts'
import { buildPlan } from '../../../src/plan/build.ts'
import { arenaFor, holding, layoutOf, randomNumbers } from '../values.ts'

const { NaN: nan, POSITIVE_INFINITY: infinity } = Number
const { addon } = loadAddon()
const executors: [string, Executor][] = [
  ['reference', referenceExecutor],
  ...(addon?.isas ?? []).map((isa): [string, Executor] => [isa, nativeExecutor(addon as NonNullable<typeof addon>, { isa, threads: 1 })]),
]

/** The value of a tensor on an executor, in float32. */
function valuesOn(executor: Executor, tensor: Tensor): number[] {
  const layout = layoutOf([tensor])
  const plan = buildPlan({ inputs: {}, outputs: { y: tensor }, variables: layout, batchSize: 1, mode: 'inference' })
  const arena = arenaFor(plan, layout)
  executor.load(plan, arena).execute(0, plan.instructions.length)
  return [...arena.view(plan.tensors[plan.outputs.y])]
}

interface Row {
  readonly x: number[]
  readonly label: number
  readonly loss: number
  /** (softmax(x) - [label]) · 2. */
  readonly slope: number[]
}

const rows: Row[] = [
  { x: [100, 0, -100], label: 0, loss: 0, slope: [0, 0, 0] },
  { x: [100, 0, -100], label: 2, loss: 200, slope: [2, 0, -2] },
  { x: [1000, 0, -1000], label: 1, loss: 1000, slope: [2, -2, 0] },
  { x: [-1000, -1000, -1000], label: 1, loss: Math.log(3), slope: [2 / 3, -4 / 3, 2 / 3] },
  { x: [3e38, -3e38, 3e38], label: 0, loss: Math.LN2, slope: [-1, 0, 1] },
  { x: [0, -infinity, 0], label: 2, loss: Math.LN2, slope: [1, 0, -1] },
  { x: [0, -infinity, -0], label: 1, loss: infinity, slope: [1, -2, 1] },
  { x: [-infinity, -infinity, -infinity], label: 0, loss: nan, slope: [nan, nan, nan] },
  { x: [0, infinity, 0], label: 1, loss: nan, slope: [nan, nan, nan] },
  { x: [0, nan, 1], label: 0, loss: nan, slope: [nan, nan, nan] },
  { x: [nan, 500, 1], label: 1, loss: nan, slope: [nan, nan, nan] },
  { x: [0, 1, 2], label: 3, loss: nan, slope: [nan, nan, nan] },
  { x: [0, 1, 2], label: -1, loss: nan, slope: [nan, nan, nan] },
]

/** The rows with as many columns of -infinity behind them as make `columns`. */
const widened = (columns: number): { x: Tensor; labels: Tensor } => ({
  x: holding(
    [rows.length, columns],
    rows.flatMap(({ x }) => [...x, ...new Array(columns - 3).fill(-infinity)]),
  ),
  // A label beyond the logits given stays one.
  labels: holding(
    [rows.length],
    rows.map(({ label }) => (label === 3 ? columns : label)),
    { dtype: 'int32', name: 'labels' },
  ),
})

const gradientOf = (x: Tensor, labels: Tensor, dy: Tensor) => apply(softmaxOps.softmaxCrossEntropyGradient, [x, labels, dy], {})

function expectAll(values: readonly number[], expected: readonly number[]): void {
  expect(values.length).toBe(expected.length)
  values.forEach((value, i) => {
    if (!Number.isFinite(expected[i])) expect(value, `element ${i}`).toBe(expected[i])
    else expect(Math.abs(value - expected[i]), `element ${i}: ${value}`).toBeLessThanOrEqual(2e-7 * Math.max(1, Math.abs(expected[i])))
  })
}

describe.each(executors)('on %s', (_, executor) => {
  // Rows of up to sixteen columns have a kernel of their own.
  it.each([3, 16, 17, 40])('softmaxCrossEntropy and its gradient of special rows, %i columns', (columns) => {
    const { x, labels } = widened(columns)
    expectAll(
      valuesOn(executor, softmaxCrossEntropy(x, labels)),
      rows.map(({ loss }) => loss),
    )
    const slopes = rows.flatMap(({ slope }) => [...slope, ...new Array(columns - 3).fill(Number.isNaN(slope[0]) ? nan : 0)])
    expectAll(valuesOn(executor, gradientOf(x, labels, constant(2))), slopes)
    expectAll(
      valuesOn(
        executor,
        gradientOf(
          x,
          labels,
          holding(
            [rows.length],
            rows.map((_, i) => i),
            { name: 'dy' },
          ),
        ),
      ),
      slopes.map((slope, i) => (slope / 2) * Math.floor(i / columns)),
    )
  })

  // What is to be ignored has a label that is no class, and no gradient comes in for it.
  it.each([3, 16, 17])('a label that is no class costs nothing where dy is 0, %i columns', (columns) => {
    const count = 9
    const x = holding([count, columns], randomNumbers(count * columns, 3), { name: 'x' })
    const classes = Array.from({ length: count }, (_, i) => (i % 2 === 0 ? -100 : columns))
    const labels = holding([count], classes, { dtype: 'int32', name: 'labels' })
    const dy = holding(
      [count],
      classes.map((_, i) => (i < count - 1 ? 0 : 1)),
      { name: 'dy' },
    )
    expectAll(valuesOn(executor, gradientOf(x, labels, constant(0))), new Array(count * columns).fill(0))
    const slopes = valuesOn(executor, gradientOf(x, labels, dy))
    expectAll(slopes.slice(0, -columns), new Array((count - 1) * columns).fill(0))
    expectAll(slopes.slice(-columns), new Array(columns).fill(nan))
  })

  it.each([1, 2, 9, 10, 16, 17])('a row of %i columns has the same bits in any company', (columns) => {
    const count = 23
    const x = randomNumbers(count * columns, columns).map((value) => 20 * value)
    const labels = Array.from({ length: count }, (_, i) => (i * 5) % columns)
    const each: ((x: Tensor, labels: Tensor) => Tensor)[] = [
      (x) => softmax(x),
      (x) => logSoftmax(x),
      (x) => argmax(x),
      softmaxCrossEntropy,
      (x, labels) => gradientOf(x, labels, constant(0.3)),
    ]
    for (const f of each) {
      const on = (from: number, to: number) =>
        valuesOn(
          executor,
          f(
            holding([to - from, columns], x.slice(from * columns, to * columns)),
            holding([to - from], labels.slice(from, to), { dtype: 'int32', name: 'labels' }),
          ),
        )
      expect(labels.flatMap((_, row) => on(row, row + 1))).toEqual(on(0, count))
    }
  })

  it('argmax of short rows takes the first of equals, and NaN before all', () => {
    const special = [
      [1, 3, 3, 2],
      [-infinity, -infinity, -infinity, -infinity],
      [5, nan, 9, nan],
      [0, -0, 0, -1],
      [-4, -3, -2, -1],
    ]
    const places = [1, 0, 1, 0, 3]
    const repeated = Array.from({ length: 21 }, (_, i) => i % special.length)
    const x = holding(
      [repeated.length, 4],
      repeated.flatMap((i) => special[i]),
    )
    expect(valuesOn(executor, argmax(x))).toEqual(repeated.map((i) => places[i]))
  })
})

it('softmaxCrossEntropy refuses labels that are not one int32 a row', () => {
  const x = holding([2, 3], [1, 2, 3, 4, 5, 6])
  expect(() => softmaxCrossEntropy(x, holding([3], [0, 1, 2], { dtype: 'int32' }))).toThrow(ThalwegError)
  expect(() => softmaxCrossEntropy(x, holding([2], [0, 1]))).toThrow(/labels must be int32/)
})
