/** Metrics beside each loss there is: they fit or say why not, and leave out what the loss masks. */
import { describe, expect, it } from 'vitest'
import {
  activation,
  input,
  type LossName,
  losses,
  type MetricName,
  metrics,
  NdArray,
  OptionError,
  sequential,
  Tensor,
} from '../../../src/index.ts'
import { placeholder } from '../../../src/ops/source.ts'
import { executors, numbers, rows } from '../../training/support.ts'

describe.each(Object.keys(losses) as LossName[])('beside %s', (name) => {
  it.each(Object.keys(metrics) as MetricName[])('%s fits or says why not', (kind) => {
    const loss = losses[name]()
    const prediction = input(name === 'contrastive' ? 1 : 4)
    const { shape, dtype } = loss.target(prediction)
    const target = placeholder(shape.slice(1), { dtype })
    const metric = kind === 'topKAccuracy' ? metrics.topKAccuracy({ k: 2 }) : metrics[kind]()
    let statistics: readonly unknown[] | null = null
    try {
      statistics = metric.batch(prediction, target, loss)
    } catch (error) {
      expect(error).toBeInstanceOf(OptionError)
      expect((error as Error).message).toContain(`Metric "${kind}"`)
      expect((error as Error).message).toMatch(/try |write a metric|needs mask/)
    }
    // What any loss of a task can have.
    const always: Record<string, readonly string[]> = {
      binary: ['accuracy', 'f1', 'rocAuc', 'prAuc', 'cohenKappa'],
      categorical: ['accuracy', 'f1', 'matthewsCorrelation', 'topKAccuracy'],
      sparse: ['accuracy', 'f1', 'rocAuc', 'logLoss', 'calibrationError'],
      regression: [],
    }
    if (always[loss.task].includes(kind)) expect(statistics).not.toBeNull()
    expect(statistics?.every((tensor) => tensor instanceof Tensor) ?? true).toBe(true)
  })
})

/** Sums of float32 in another order: a few units of 6e-8. */
function expectAlike(found: Readonly<Record<string, number>>, expected: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(expected))
    expect(Math.abs(found[name] - value) / Math.max(1, Math.abs(value)), name).toBeLessThan(2e-6)
}

describe.each(executors)('on the %s executor', (executor) => {
  it('positions that sparseCategoricalCrossentropy ignores do not count', async () => {
    const [samples, time, classes] = [9, 5, 3]
    const logits = Float32Array.from(numbers(samples * time * classes, 1, -2, 2))
    const labels = Int32Array.from(numbers(samples * time, 2, 0, classes))
    // A class of the model is the one to ignore: nothing but the mask tells.
    const kept = [...labels.keys()].filter((i) => labels[i] !== 0)
    const asked = Object.keys(metrics).filter((name) =>
      /accuracy|precision|recall|f1|Auc|kappa|logLoss|brier|calibration|matthews/i.test(name),
    )
    const list = asked.map((name) => (name === 'topKAccuracy' ? metrics.topKAccuracy({ k: 2 }) : (name as MetricName)))
    expect(list.length).toBeGreaterThan(10)
    const masked = await sequential([input([time, classes]), activation('linear')], { executor }).evaluate(
      { x: new NdArray(logits, [samples, time, classes]), y: new NdArray(labels, [samples, time]) },
      { loss: losses.sparseCategoricalCrossentropy({ ignoreIndex: 0 }), metrics: list, batchSize: 4 },
    )
    const rest = await sequential([input(classes), activation('linear')], { executor }).evaluate(
      { x: kept.map((i) => logits.subarray(i * classes, (i + 1) * classes)), y: kept.map((i) => labels[i]) },
      { loss: 'sparseCategoricalCrossentropy', metrics: list },
    )
    expectAlike(masked, rest)
  })

  it('numbers that meanSquaredError masks do not count', async () => {
    const [prediction, target] = [rows(30, 2, 3), rows(30, 2, 4)]
    const kept = target.map((_, i) => i % 3 !== 0)
    const net = () => sequential([input(2), activation('linear')], { executor })
    const list = Object.keys(metrics).filter((name) => /error|r2|explained|correlation/i.test(name) && !/calibration|matthews/i.test(name))
    const masked = await net().evaluate(
      { x: prediction, y: target.map((row, i) => (kept[i] ? row : [9, 9])) },
      { loss: losses.meanSquaredError({ maskValue: 9 }), metrics: list as MetricName[], batchSize: 7 },
    )
    const rest = await net().evaluate(
      { x: prediction.filter((_, i) => kept[i]), y: target.filter((_, i) => kept[i]) },
      { loss: 'meanSquaredError', metrics: list as MetricName[] },
    )
    expect(Object.keys(rest).length).toBeGreaterThan(9)
    expectAlike(masked, rest)
  })

  it.each([1e9, -1e9])('what is masked by %d costs the rest no digits', async (maskValue) => {
    const [prediction, target] = [rows(30, 2, 3), rows(30, 2, 4)]
    const list: MetricName[] = ['r2Score', 'explainedVariance', 'pearsonCorrelation']
    const net = sequential([input(2), activation('linear')], { executor })
    const masked = await net.evaluate(
      { x: prediction, y: target.map((row, i) => (i % 3 === 0 ? [maskValue, maskValue] : row)) },
      { loss: losses.meanSquaredError({ maskValue }), metrics: list, batchSize: 7 },
    )
    const rest = await net.evaluate(
      { x: prediction.filter((_, i) => i % 3 !== 0), y: target.filter((_, i) => i % 3 !== 0) },
      { loss: 'meanSquaredError', metrics: list },
    )
    expectAlike(masked, rest)
  })

  it('metrics of numbers that are all masked are NaN', async () => {
    const list = Object.keys(metrics).filter((name) => /error|r2|explained|correlation/i.test(name) && !/calibration|matthews/i.test(name))
    const { loss, ...values } = await sequential([input(2), activation('linear')], { executor }).evaluate(
      { x: rows(5, 2, 3), y: rows(5, 2, 4).map((row) => row.map(() => 9)) },
      { loss: losses.meanSquaredError({ maskValue: 9 }), metrics: list as MetricName[], batchSize: 2 },
    )
    expect(loss).toBe(0)
    expect(values).toEqual(Object.fromEntries(list.map((name) => [name, Number.NaN])))
  })

  it('a metric and a loss of one name are one number', async () => {
    const both = (Object.keys(losses) as LossName[]).filter((name) => Object.hasOwn(metrics, name))
    expect(both).toEqual(['meanSquaredError', 'meanAbsoluteError', 'meanAbsolutePercentageError'])
    for (const name of both) {
      const net = sequential([input(2), activation('linear')], { executor })
      const found = await net.evaluate({ x: rows(30, 2, 3), y: rows(30, 2, 4) }, { loss: name, metrics: [name as MetricName] })
      expect(Math.abs(found[name] / found.loss - 1), name).toBeLessThan(1e-6)
    }
  })
})
