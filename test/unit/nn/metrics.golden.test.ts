/** Metrics and curves against scikit-learn and SciPy: test/golden/outside/metrics.py wrote what they give. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import {
  activation,
  balancedClassWeights,
  calibrationCurve,
  classificationReport,
  confusionMatrix,
  input,
  type LossName,
  type Metric,
  metrics,
  precisionRecallCurve,
  rocCurve,
  sequential,
} from '../../../src/index.ts'
import { executors } from '../../training/support.ts'

type Expected = Record<string, number | 'nan'>
interface Several {
  logits: number[][]
  labels: number[]
  predicted: number[]
  expected: Expected
  confusion: number[][]
  report: Record<string, Record<string, number>> & { accuracy: number }
  weights: number[]
}
const golden: {
  binary: Record<string, { logits: number[]; labels: number[]; expected: Expected }>
  several: Record<string, Several>
  columns: { logits: number[][]; labels: number[][]; expected: Expected }
  regression: Record<string, { prediction: number[] | number[][]; target: number[] | number[][]; expected: Expected }>
  curves: { scores: number[]; labels: number[]; roc: object; precisionRecall: object; calibration: object }
} = JSON.parse(readFileSync(new URL('../../golden/outside/metrics.json', import.meta.url), 'utf8'))

/** `"precision at 0.3"`: the metric and the options it was asked for with. */
function made(title: string): Metric {
  const [kind, ...rest] = title.split(' ')
  const last = rest.at(-1) ?? ''
  const number = Number(last)
  const named: Record<string, object> = {
    at: { threshold: number },
    of: { bins: number },
    linear: { weights: last },
    quadratic: { weights: last },
    macro: kind === 'fBeta' ? { average: last, beta: 2 } : { average: last },
    micro: kind === 'fBeta' ? { average: last, beta: 2 } : { average: last },
    weighted: kind === 'fBeta' ? { average: last, beta: 2 } : { average: last },
  }
  const plain = kind === 'fBeta' ? { beta: number } : kind === 'topKAccuracy' ? { k: number } : { average: number }
  const options = rest.length === 0 ? {} : (named[rest[0]] ?? plain)
  return metrics[kind as keyof typeof metrics]({ ...options, name: title })
}

/**
 * Counts are exact, and golden numbers have ten digits. All else passes through a few float32 operations of 6e-8 each; the worst are
 * differences of nearby numbers, as in r2Score.
 */
const counted = /^(accuracy|balanced|matthews|cohen|precision|recall|f1|fBeta|specificity|topK|rocAuc$|rocAuc (macro|weighted)|prAuc)/

function expectClose(found: Record<string, number>, expected: Expected, remark: string): void {
  const wrong = Object.entries(expected).filter(([title, value]) => {
    if (value === 'nan') return !Number.isNaN(found[title])
    return !(Math.abs(found[title] - value) <= (counted.test(title) ? 1e-9 : 2e-6) * Math.max(1, Math.abs(value)))
  })
  expect(
    wrong.map(([title, value]) => `${title}: expected ${value}, got ${found[title]}`),
    remark,
  ).toEqual([])
}

describe.each(executors)('on the %s executor', (executor) => {
  async function check(x: number[] | number[][], y: number[] | number[][], loss: LossName, expected: Expected) {
    const width = Array.isArray(x[0]) ? x[0].length : 1
    const net = sequential([input(width), activation('linear')], { executor })
    for (const batchSize of [...new Set([3, 64, x.length])].filter((size) => size <= x.length)) {
      const found = await net.evaluate({ x, y }, { loss, metrics: Object.keys(expected).map(made), batchSize })
      expectClose(found, expected, `batches of ${batchSize}`)
    }
  }

  it.each(Object.entries(golden.binary))('binary: %s', async (_, { logits, labels, expected }) => {
    await check(logits, labels, 'binaryCrossentropy', expected)
  })

  it.each(Object.entries(golden.several))('several classes: %s', async (_, { logits, labels, expected }) => {
    await check(logits, labels, 'sparseCategoricalCrossentropy', expected)
    const rows = labels.map((label) => logits[0].map((_, k) => (k === label ? 1 : 0)))
    await check(logits, rows, 'categoricalCrossentropy', expected)
  })

  it('binary columns', async () => {
    const { logits, labels, expected } = golden.columns
    await check(logits, labels, 'binaryCrossentropy', expected)
  })

  it.each(Object.entries(golden.regression))('regression: %s', async (_, { prediction, target, expected }) => {
    await check(prediction, target, 'meanSquaredError', expected)
  })
})

it('covers every metric', () => {
  const { binary, several, columns, regression } = golden
  const cases = [...Object.values(binary), ...Object.values(several), columns, ...Object.values(regression)]
  const kinds = new Set(cases.flatMap(({ expected }) => Object.keys(expected).map((title) => title.split(' ')[0])))
  expect([...kinds].sort()).toEqual(Object.keys(metrics).sort())
})

/** Each list of numbers to ten digits. */
const rounded = (lists: object) =>
  Object.fromEntries(
    Object.entries(lists).map(([name, values]) => [name, Array.from(values as number[], (value) => Number(value.toPrecision(10)))]),
  )

describe('curves', () => {
  const { scores, labels, roc, precisionRecall, calibration } = golden.curves

  it('rocCurve', () => {
    const { area, thresholds, ...rates } = rocCurve(scores, labels)
    expect(thresholds[0]).toBe(Number.POSITIVE_INFINITY)
    expect(rounded({ ...rates, thresholds: thresholds.subarray(1) })).toEqual(roc)
    const { falsePositiveRate: x, truePositiveRate: y } = rates
    const trapezoids = x.reduce((total, value, i) => (i === 0 ? 0 : total + ((value - x[i - 1]) * (y[i] + y[i - 1])) / 2), 0)
    expect(area).toBeCloseTo(trapezoids, 12)
  })

  it('precisionRecallCurve', () => {
    const { area, ...curve } = precisionRecallCurve(scores, labels)
    expect(rounded(curve)).toEqual(precisionRecall)
    const { precision, recall } = curve
    expect(area).toBeCloseTo(
      precision.reduce((total, value, i) => (i + 1 === precision.length ? total : total + (recall[i] - recall[i + 1]) * value), 0),
      12,
    )
  })

  it('calibrationCurve', () => {
    const { counts, ...curve } = calibrationCurve(scores, labels)
    expect(rounded(curve)).toEqual(calibration)
    expect(counts.reduce((a, b) => a + b, 0)).toBe(scores.length)
  })
})

describe.each(Object.entries(golden.several))('of several classes (%s)', (_, { logits, labels, predicted, confusion, report, weights }) => {
  it('confusionMatrix', () => {
    expect(confusionMatrix(predicted, labels, { classes: logits[0].length }).toArray()).toEqual(confusion)
  })

  it('classificationReport', () => {
    const found = classificationReport(predicted, labels)
    expect(found.accuracy).toBeCloseTo(report.accuracy, 9)
    const pairs = [
      ...found.classes.filter(({ name }) => name in report).map((scores) => [scores, report[scores.name]] as const),
      [found.macroAverage, report['macro avg']] as const,
      [found.weightedAverage, report['weighted avg']] as const,
    ]
    // And nothing that scikit-learn does not list, but classes that do not occur at all.
    expect(found.classes.filter(({ name, support }) => !(name in report) && support > 0)).toEqual([])
    for (const [scores, { precision, recall, 'f1-score': f1, support }] of pairs) {
      expect(scores.precision).toBeCloseTo(precision, 9)
      expect(scores.recall).toBeCloseTo(recall, 9)
      expect(scores.f1).toBeCloseTo(f1, 9)
      expect(scores.support).toBe(support)
    }
  })

  it('balancedClassWeights', () => {
    const found = balancedClassWeights(labels)
    expect(Object.keys(found).map(Number)).toEqual([...new Set(labels)].sort())
    Object.values(found).forEach((weight, i) => expect(weight).toBeCloseTo(weights[i], 9))
    const rows = labels.map((label) => logits[0].map((_, k) => (k === label ? 1 : 0)))
    expect(balancedClassWeights(rows)).toEqual(found)
    expect(labels.reduce((total, label) => total + found[label], 0) / labels.length).toBeCloseTo(1, 12)
  })
})
