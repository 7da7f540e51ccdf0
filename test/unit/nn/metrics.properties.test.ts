/** What holds for every metric, whatever the numbers: batches, masks and the form of the targets do not matter. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Arena } from '../../../src/executors/arena.ts'
import { chooseExecutor } from '../../../src/executors/index.ts'
import { type BatchStatistics, cast, type Loss, type Metric, max, metrics, notEqual, type Tensor } from '../../../src/index.ts'
import { lossFor } from '../../../src/nn/losses/index.ts'
import { placeholder } from '../../../src/ops/source.ts'
import { buildPlan } from '../../../src/plan/build.ts'
import { VariableLayout } from '../../../src/plan/variables.ts'
import { executors } from '../../training/support.ts'

type Task = Loss['task']
const classification = [
  'accuracy',
  'balancedAccuracy',
  'matthewsCorrelation',
  'cohenKappa',
  'precision',
  'recall',
  'specificity',
  'fBeta',
  'f1',
]
const probabilistic = ['rocAuc', 'prAuc', 'logLoss', 'brierScore', 'calibrationError']
const regression = Object.keys(metrics).filter((name) => ![...classification, ...probabilistic, 'topKAccuracy'].includes(name))
const namesFor = (task: Task) => (task === 'regression' ? regression : [...classification, ...probabilistic])

/** Each metric with its defaults, and with what else changes its way. */
function metricsFor(task: Task): Metric[] {
  const plain = namesFor(task).map((name) => metrics[name as keyof typeof metrics]())
  if (task === 'regression') return plain
  const averaged = (['micro', 'weighted', 1] as const).flatMap((average) =>
    task === 'binary' && average === 1
      ? []
      : [metrics.f1({ average, name: `f1 ${average}` }), metrics.specificity({ average, name: `specificity ${average}` })],
  )
  const areas = [
    metrics.rocAuc({ average: 'weighted', name: 'rocAuc weighted' }),
    metrics.cohenKappa({ weights: 'quadratic', name: 'kappa 2' }),
  ]
  const others = task === 'binary' ? [metrics.accuracy({ threshold: 0.2, name: 'at 0.2' })] : [metrics.topKAccuracy({ k: 2 })]
  return [...plain, ...averaged, ...areas, ...others]
}

const base = {
  binary: lossFor('test', 'binaryCrossentropy'),
  categorical: lossFor('test', 'categoricalCrossentropy'),
  // With class numbers at every position, whatever the rank.
  sparse: {
    ...lossFor('test', 'sparseCategoricalCrossentropy'),
    target: ({ shape }: Tensor) => ({ shape: shape.slice(0, -1), dtype: 'int32' as const }),
  },
  regression: lossFor('test', 'meanSquaredError'),
}

interface Data {
  readonly prediction: readonly number[]
  readonly target: readonly number[]
  readonly rows: number
}

/** The statistics of one batch, by a plan for it. `shape` is that of a sample's prediction. */
function statisticsOf(
  metric: Metric,
  loss: Loss,
  { prediction, target, rows }: Data,
  shape: readonly number[],
  executor = executors[0],
): BatchStatistics {
  const x = placeholder(shape)
  const { shape: ofTarget, dtype } = loss.target(x)
  const t = placeholder(ofTarget.slice(1), { dtype })
  const outputs = Object.fromEntries(metric.batch(x, t, loss).map((tensor, i) => [`statistic${i}`, tensor]))
  const plan = buildPlan({ inputs: { x, t }, outputs, variables: new VariableLayout([]), batchSize: rows, mode: 'inference' })
  const session = chooseExecutor('test', { executor }).load(plan, Arena.allocate(plan.blocks))
  const view = (id: number) => session.arena.view(plan.tensors[id])
  view(plan.inputs.x).set(prediction)
  view(plan.inputs.t).set(target)
  session.execute(0, plan.instructions.length)
  return { samples: rows, values: Object.values(plan.outputs).map(view) }
}

function rowsOf({ prediction, target, rows }: Data, kept: (row: number) => boolean): Data {
  const pick = (values: readonly number[]) => values.filter((_, i) => kept(Math.floor(i / (values.length / rows))))
  return { prediction: pick(prediction), target: pick(target), rows: Array.from({ length: rows }, (_, row) => row).filter(kept).length }
}

/** Multiples of 1/4, so that there are ties, and no rounding but the metric's own. */
const number = fc.integer({ min: -16, max: 16 }).map((n) => n / 4)

function dataOf(task: Task, width: number, least = 1): fc.Arbitrary<Data> {
  return fc.integer({ min: least, max: 24 }).chain((rows) => {
    const list = (item: fc.Arbitrary<number>, length: number) => fc.array(item, { minLength: length, maxLength: length })
    const target =
      task === 'sparse' || task === 'categorical'
        ? list(fc.nat({ max: width - 1 }), rows)
        : list(task === 'binary' ? fc.nat({ max: 1 }) : number, rows * width)
    return fc
      .record({ prediction: list(number, rows * width), target, rows: fc.constant(rows) })
      .map((data) =>
        task === 'categorical'
          ? { ...data, target: data.target.flatMap((label) => Array.from({ length: width }, (_, k) => (k === label ? 1 : 0))) }
          : data,
      )
  })
}

/** Float32 statistics of up to 24 rows: some units of 6e-8 each, of the largest number on the way. NaN equals NaN. */
function expectAlike(found: number, expected: number, remark: string): void {
  if (Number.isNaN(expected)) expect(found, remark).toBeNaN()
  else expect(Math.abs(found - expected) / Math.max(1, Math.abs(expected)), `${remark}: ${found}, not ${expected}`).toBeLessThan(5e-6)
}

const widths: [Task, number][] = [
  ['binary', 1],
  ['binary', 3],
  ['categorical', 4],
  ['sparse', 4],
  ['regression', 1],
  ['regression', 2],
]

describe.each(widths)('%s predictions of width %i', (task, width) => {
  it.each(metricsFor(task).map((metric) => [metric.name, metric] as const))('%s is the same over any batches', (_, metric) => {
    const splits = fc.tuple(dataOf(task, width), fc.array(fc.nat({ max: 23 }), { maxLength: 6 }))
    fc.assert(
      fc.property(splits, ([data, cuts]) => {
        const whole = metric.result([statisticsOf(metric, base[task], data, [width])])
        const edges = [...new Set([0, ...cuts.filter((cut) => cut < data.rows), data.rows])].sort((a, b) => a - b)
        const parts = edges.slice(1).map((end, i) => rowsOf(data, (row) => row >= edges[i] && row < end))
        expectAlike(metric.result(parts.map((part) => statisticsOf(metric, base[task], part, [width]))), whole, `cut at ${edges}`)
      }),
      { numRuns: 15 },
    )
  })

  it.each(metricsFor(task).map((metric) => [metric.name, metric] as const))('%s leaves out what the loss masks', (_, metric) => {
    const masks = fc.tuple(dataOf(task, width, 2), fc.infiniteStream(fc.boolean()))
    // The target of what is masked is 7: no class and no probability.
    const labels = {
      binary: (t: Tensor) => t,
      regression: (t: Tensor) => t,
      sparse: cast,
      categorical: (t: Tensor) => max(t, { axes: [1] }),
    }
    const loss: Loss = { ...base[task], mask: (_, t) => notEqual(labels[task](t), 7) }
    fc.assert(
      fc.property(masks, ([data, stream]) => {
        // The first row stays, for of nothing there is no metric.
        const kept = Array.from({ length: data.rows }, (_, row) => row === 0 || (stream.next().value as boolean))
        const perRow = data.target.length / data.rows
        const masked = { ...data, target: data.target.map((value, i) => (kept[Math.floor(i / perRow)] ? value : 7)) }
        const remaining = rowsOf(data, (row) => kept[row])
        const [some, rest] = [(row: number) => row < 2, (row: number) => row >= 2].map((half) => rowsOf(masked, half))
        const parts = [some, rest].filter(({ rows }) => rows > 0)
        expectAlike(
          metric.result(parts.map((part) => statisticsOf(metric, loss, part, [width]))),
          metric.result([statisticsOf(metric, base[task], remaining, [width])]),
          `kept ${kept}`,
        )
      }),
      { numRuns: 10 },
    )
  })
})

/** The metric of data in one batch. */
const value = (metric: Metric, task: Task, data: Data, shape: readonly number[], executor = executors[0]) =>
  metric.result([statisticsOf(metric, base[task], data, shape, executor)])

describe.each(executors)('on the %s executor', (executor) => {
  it('class numbers and one-hot rows give the same', () => {
    fc.assert(
      fc.property(dataOf('sparse', 4), (data) => {
        const rows = { ...data, target: data.target.flatMap((label) => [0, 1, 2, 3].map((k) => (k === label ? 1 : 0))) }
        for (const metric of metricsFor('sparse'))
          expectAlike(value(metric, 'categorical', rows, [4], executor), value(metric, 'sparse', data, [4], executor), metric.name)
      }),
      { numRuns: 20 },
    )
  })

  it('a logit is what two are, of which the first is 0', () => {
    const alike = ['accuracy', 'balancedAccuracy', 'matthewsCorrelation', 'cohenKappa', 'logLoss', 'calibrationError'] as const
    const ofYes = ['precision', 'recall', 'specificity', 'f1'] as const
    fc.assert(
      fc.property(dataOf('binary', 1), (data) => {
        const two = { ...data, prediction: data.prediction.flatMap((logit) => [0, logit]) }
        for (const name of alike)
          expectAlike(value(metrics[name](), 'binary', data, [1], executor), value(metrics[name](), 'sparse', two, [2], executor), name)
        for (const name of ofYes)
          expectAlike(
            value(metrics[name](), 'binary', data, [1], executor),
            value(metrics[name]({ average: 1 }), 'sparse', two, [2], executor),
            name,
          )
        const brier = metrics.brierScore()
        expectAlike(2 * value(brier, 'binary', data, [1], executor), value(brier, 'sparse', two, [2], executor), 'brierScore')
      }),
      { numRuns: 20 },
    )
  })

  it('positions of a sample count as samples do', () => {
    fc.assert(
      fc.property(dataOf('sparse', 4, 2), dataOf('binary', 1, 2), (classes, yesNo) => {
        const even = (data: Data) => rowsOf(data, (row) => row < data.rows - (data.rows % 2))
        const halved = (data: Data) => ({ ...even(data), rows: even(data).rows / 2 })
        for (const metric of metricsFor('sparse'))
          expectAlike(
            value(metric, 'sparse', halved(classes), [2, 4], executor),
            value(metric, 'sparse', even(classes), [4], executor),
            metric.name,
          )
        for (const metric of metricsFor('binary'))
          expectAlike(
            value(metric, 'binary', halved(yesNo), [2, 1], executor),
            value(metric, 'binary', even(yesNo), [1], executor),
            metric.name,
          )
      }),
      { numRuns: 20 },
    )
  })
})
