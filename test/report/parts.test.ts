/** The parts of a report: thinned curves, results, importance, what data are, how training went. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  DataError,
  dense,
  input,
  NdArray,
  OptionError,
  permutationImportance,
  recordTraining,
  reportResults,
  rocCurve,
  sequential,
  sgd,
  summarizeData,
} from '../../src/index.ts'
import { Curve } from '../../src/report/curve.ts'
import { evenly, histogramOf, quantilesOf, sampleOf } from '../../src/report/distribution.ts'

describe('Curve', () => {
  const thinned = (values: readonly number[], most: number) => {
    const curve = new Curve(most)
    values.forEach((value, x) => curve.add(x, value))
    return curve.points()
  }

  it('keeps minimum, maximum and the last point, in order and in bounds, whatever comes', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { minLength: 1, maxLength: 300 }),
        fc.integer({ min: 1, max: 12 }),
        (values, half) => {
          const points = thinned(values, 2 * half + 1)
          expect(points.length).toBeLessThanOrEqual(2 * half + 1)
          expect(points.every(([x, y]) => values[x] === y)).toBe(true)
          expect(points.every(([x], i) => i === 0 || x > points[i - 1][0])).toBe(true)
          const kept = points.map(([, y]) => y)
          expect(Math.min(...kept)).toBe(Math.min(...values))
          expect(Math.max(...kept)).toBe(Math.max(...values))
          expect(points[points.length - 1][0]).toBe(values.length - 1)
        },
      ),
    )
  })

  it('keeps all points where there are few, and leaves out what is not finite', () => {
    expect(thinned([3, Number.NaN, 1, Number.POSITIVE_INFINITY, 2], 99)).toEqual([
      [0, 3],
      [2, 1],
      [4, 2],
    ])
    expect(thinned([], 99)).toEqual([])
  })

  it('keeps a peak among a million points, and the shape on both sides of it', () => {
    const curve = new Curve()
    for (let x = 0; x < 1e6; x++) curve.add(x, x === 654_321 ? 100 : Math.cos(x / 1e5))
    const points = curve.points()
    expect(points).toContainEqual([654_321, 100])
    expect(points.length).toBeGreaterThan(900)
    expect(Math.max(...points.map(([x], i) => (i === 0 ? 0 : x - points[i - 1][0])))).toBeLessThan(5000)
  })
})

describe('distributions', () => {
  it('are counted in bins with round bounds that hold all', () => {
    const number = fc.oneof(fc.double({ noNaN: true, min: -1e9, max: 1e9 }), fc.double({ noNaN: true, min: -1e300, max: 1e300 }))
    fc.assert(
      fc.property(fc.array(number, { minLength: 1, maxLength: 50 }), fc.integer({ min: 1, max: 30 }), (values, bins) => {
        const { low, high, counts } = histogramOf(values, bins)
        const rounding = 1e-6 * Math.max(Math.abs(low), Math.abs(high))
        expect(counts.reduce((a, b) => a + b)).toBe(values.length)
        expect(low).toBeLessThanOrEqual(Math.min(...values) + rounding)
        expect(high).toBeGreaterThanOrEqual(Math.max(...values) - rounding)
        expect(counts.length).toBeLessThanOrEqual(2 * bins + 2)
      }),
    )
    expect(histogramOf([0.5, 1.5, 1.7, 9.2], 10)).toEqual({ low: 0, high: 10, counts: [1, 2, 0, 0, 0, 0, 0, 0, 0, 1] })
    expect(histogramOf([7, 7], 5).counts.reduce((a, b) => a + b)).toBe(2)
  })

  it('count what lies outside of a range in the outermost bins', () => {
    expect(histogramOf([-100, 1, 2, 3, 100], 4, [0, 4]).counts).toEqual([1, 1, 1, 1, 1])
  })

  it('have quantiles, samples and evenly taken points', () => {
    expect(quantilesOf([1, 2, 3, 4], [0, 0.25, 0.5, 0.51, 1])).toEqual([1, 1, 2, 3, 4])
    expect([...sampleOf(3, 5)]).toEqual([0, 1, 2])
    const sample = sampleOf(1000, 10)
    expect(sample).toHaveLength(10)
    expect(new Set(sample).size).toBe(10)
    expect(evenly([0, 1, 2, 3, 4, 5, 6], 3)).toEqual([0, 3, 6])
  })
})

describe('reportResults', () => {
  const shownScores = (results: ReturnType<typeof reportResults>) =>
    Object.fromEntries(results.scores.map(({ name, value }) => [name, value]))

  it('says of numbers how much is explained and how far off they are', () => {
    const results = reportResults({ task: 'regression', predicted: [1, 2, 3, 8], actual: [1, 2, 4, 5] })
    // Σ(y - p)² = 1 + 9; Σ(y - 3)² = 4 + 1 + 1 + 4.
    expect(shownScores(results)).toEqual({ r2Score: 0, meanAbsoluteError: 1, rootMeanSquaredError: Math.sqrt(2.5) })
    expect(results.rows).toBe(4)
    expect(results.residuals?.points).toEqual([
      [1, 1],
      [2, 2],
      [4, 3],
      [5, 8],
    ])
    expect(results.residuals?.quantiles).toEqual([
      { share: 0.5, size: 0 },
      { share: 0.8, size: 3 },
      { share: 0.9, size: 3 },
      { share: 0.95, size: 3 },
      { share: 1, size: 3 },
    ])
    expect(results.residuals?.histogram.counts.reduce((a, b) => a + b)).toBe(4)
  })

  it('counts prices in double precision and draws at most 2,000 of them', () => {
    const actual = Array.from({ length: 5000 }, (_, i) => 1e8 + i)
    const results = reportResults({ task: 'regression', predicted: actual.map((value) => value + 1), actual })
    expect(shownScores(results).meanAbsoluteError).toBeCloseTo(1, 6)
    expect(results.residuals?.points).toHaveLength(2000)
  })

  it('says of predictions that are all right that none is off, and refuses differences that no number holds', () => {
    const { residuals } = reportResults({ task: 'regression', predicted: [1, 2], actual: [1, 2] })
    expect(residuals?.histogram).toEqual({ low: 0, high: 1, counts: [2] })
    expect(() => reportResults({ task: 'regression', predicted: [1, 1e308], actual: [1, -1e308] })).toThrow(
      'reportResults: predicted - actual must be finite, got Infinity at index 1',
    )
  })

  it('refuses logits of classes by its own name', () => {
    expect(() => reportResults({ task: 'classes', predicted: [[-3, 5]], actual: [1] })).toThrow(
      'reportResults: predicted must be probabilities of 0 … 1, got -3 at index 0; of logits take the softmax first.',
    )
  })

  it('has no R² of a target that never changes', () => {
    expect(shownScores(reportResults({ task: 'regression', predicted: [1, 2], actual: [3, 3] })).r2Score).toBeNull()
  })

  it('says of yes and no how well they are ranked, told apart and calibrated', () => {
    const predicted = [0.9, 0.8, 0.3, 0.6, 0.2]
    const actual = [1, 1, 1, 0, 0]
    const results = reportResults({ task: 'binary', predicted, actual, labels: ['stays', 'leaves'] })
    expect(shownScores(results)).toMatchObject({ rocAuc: rocCurve(predicted, actual).area, accuracy: 0.6 })
    expect(shownScores(results).logLoss).toBeCloseTo(
      -(Math.log(0.9) + Math.log(0.8) + Math.log(0.3) + Math.log(0.4) + Math.log(0.8)) / 5,
      5,
    )
    expect(results.commonestShare).toBe(0.6)
    expect(results.confusion).toEqual({
      labels: ['stays', 'leaves'],
      counts: [
        [1, 1],
        [1, 2],
      ],
    })
    expect(results.roc?.points[0]).toEqual([0, 0])
    expect(results.precisionRecall?.base).toBe(0.6)
    expect(results.calibration?.counts.reduce((a, b) => a + b)).toBe(5)
    expect(reportResults({ task: 'binary', predicted, actual, threshold: 0.25 }).confusion?.counts[1]).toEqual([0, 3])
  })

  it('draws no curves where one class is missing, and leaves out what cannot be said', () => {
    const results = reportResults({ task: 'binary', predicted: [0.1, 0.2], actual: [0, 0] })
    expect(results.roc).toBeUndefined()
    expect(shownScores(results).rocAuc).toBeNull()
    expect(JSON.stringify(results)).not.toContain('NaN')
  })

  it('says of classes which was taken for which', () => {
    const rows = [
      [0.7, 0.2, 0.1],
      [0.1, 0.8, 0.1],
      [0.5, 0.4, 0.1],
    ]
    const results = reportResults({ task: 'classes', predicted: rows, actual: [0, 1, 2], labels: ['a', 'b', 'c'] })
    expect(shownScores(results).accuracy).toBeCloseTo(2 / 3)
    expect(shownScores(results).logLoss).toBeCloseTo(-(Math.log(0.7) + Math.log(0.8) + Math.log(0.1)) / 3, 5)
    expect(results.confusion?.counts).toEqual([
      [1, 0, 0],
      [0, 1, 0],
      [1, 0, 0],
    ])
    // Of the class it named.
    expect(results.calibration?.observed).toEqual([0, 1, 1])
  })

  it('joins the rarest of many classes', () => {
    const classes = 40
    const actual = Array.from({ length: 200 }, (_, i) => (i < 100 ? i % 5 : i % classes))
    const predicted = new NdArray(new Float32Array(200 * classes), [200, classes])
    actual.forEach((label, i) => {
      predicted.data[i * classes + label] = 1
    })
    const { confusion } = reportResults({ task: 'classes', predicted, actual })
    expect(confusion?.labels).toHaveLength(25)
    expect(confusion?.labels.slice(0, 5)).toEqual(['0', '1', '2', '3', '4'])
    expect(confusion?.labels[24]).toBe('16 others')
    expect(confusion?.counts.flat().reduce((a, b) => a + b)).toBe(200)
    expect(confusion?.counts.every((row, i) => row.every((count, j) => i === j || count === 0))).toBe(true)
  })

  it.each([
    [
      { task: 'regresion', predicted: [1], actual: [1] },
      OptionError,
      /Unknown task "regresion" for reportResults; did you mean "regression"\?/,
    ],
    [
      { task: 'binary', predicted: [2.5], actual: [1] },
      DataError,
      /predicted must be probabilities of 0 … 1, got 2\.5 at index 0; of logits take the sigmoid first/,
    ],
    [{ task: 'binary', predicted: [0.5], actual: [2] }, DataError, /actual must be 0 and 1, got 2 at index 0/],
    [{ task: 'binary', predicted: [0.5, 0.5], actual: [1] }, DataError, /equally many, got 2 and 1/],
    [{ task: 'binary', predicted: [0.5], actual: [1], labels: ['a'] }, OptionError, /labels must be 2 names, one for each class, got 1/],
    [{ task: 'regression', predicted: [], actual: [] }, DataError, /got no numbers at all/],
    [{ task: 'regression', predicted: [Number.NaN], actual: [1] }, DataError, /finite numbers, got NaN at index 0/],
    [{ task: 'classes', predicted: [0.5], actual: [0] }, DataError, /rows of probabilities, .* got data of shape \[1\]/],
    [{ task: 'classes', predicted: [[0.5, 0.5]], actual: [2] }, DataError, /class numbers of 0 … 1, got 2 at index 0/],
    [{ task: 'binary', predicted: [0.5], actual: [1], treshold: 0.1 }, OptionError, /did you mean "threshold"\?/],
  ])('refuses %j', (options, kind, message) => {
    expect(() => reportResults(options as never)).toThrow(kind)
    expect(() => reportResults(options as never)).toThrow(message)
  })
})

describe('permutationImportance', () => {
  const rows = Array.from({ length: 200 }, (_, i) => ({ a: i % 7, b: (i * 5) % 11, noise: i % 3, y: 3 * (i % 7) + ((i * 5) % 11) }))
  const score = (given: readonly (typeof rows)[number][]) =>
    reportResults({ task: 'regression', predicted: given.map(({ a, b }) => 3 * a + b), actual: given.map(({ y }) => y) }).scores[0]
      .value as number
  const columns = ['noise', 'b', 'a'] as const

  it('is how much worse the score becomes: of a linear sum twice the share of the variance', async () => {
    const { columns: found, score: before, metric } = await permutationImportance({ rows, columns, metric: 'r2Score', score, repeats: 20 })
    expect([metric, before]).toEqual(['r2Score', 1])
    expect(found.map(({ name }) => name)).toEqual(['a', 'b', 'noise'])
    const variance = (values: readonly number[]) => {
      const mean = values.reduce((a, b) => a + b) / values.length
      return values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length
    }
    const share = (9 * variance(rows.map(({ a }) => a))) / variance(rows.map(({ y }) => y))
    expect(found[0].importance).toBeCloseTo(2 * share, 1)
    expect(found[2]).toEqual({ name: 'noise', importance: 0, spread: 0 })
    expect(found[0].spread).toBeGreaterThan(0)
  })

  it('is the same for the same seed, and changes no row', async () => {
    const copy = structuredClone(rows)
    const run = (seed: number) => permutationImportance({ rows, columns, metric: 'r2Score', score, seed })
    expect(await run(1)).toEqual(await run(1))
    expect(await run(1)).not.toEqual(await run(2))
    expect(rows).toEqual(copy)
  })

  it('grows where a smaller score is better', async () => {
    const error = async (given: readonly (typeof rows)[number][]) => 1 - score(given)
    const { columns: found } = await permutationImportance({ rows, columns, metric: 'error', score: error, mode: 'min' })
    expect(found[0].name).toBe('a')
    expect(found[0].importance).toBeGreaterThan(0)
  })

  it('shuffles a column called __proto__ like any other', async () => {
    const odd = [1, 2, 3, 4].map((value) => JSON.parse(`{"__proto__": ${value}, "b": 1}`) as Record<string, unknown>)
    const first = (given: readonly Record<string, unknown>[]) => Number(Object.getOwnPropertyDescriptor(given[0], '__proto__')?.value)
    const { columns: found } = await permutationImportance({ rows: odd, metric: 'first', score: first, repeats: 9 })
    expect(found.find(({ name }) => name === '__proto__')?.importance).toBeLessThan(0)
    expect(Object.getPrototypeOf({})).toBe(Object.prototype)
  })

  it('names a row that is none', async () => {
    const options = { metric: 'sum', score: () => 1 }
    for (const rows of [
      [null, { a: 1 }],
      [{ a: 1 }, 5],
    ] as never[][]) {
      const refused = expect(permutationImportance({ ...options, rows })).rejects
      await refused.toThrow(DataError)
      await expect(permutationImportance({ ...options, rows })).rejects.toThrow(
        /row [01] must be an object of values by column, got (null|5)/,
      )
    }
  })

  it('stops', async () => {
    const controller = new AbortController()
    let calls = 0
    const counting = () => {
      if (++calls === 3) controller.abort()
      return 1
    }
    await expect(permutationImportance({ rows, metric: 'one', score: counting, signal: controller.signal })).rejects.toMatchObject({
      code: 'ABORT_ERR',
    })
    expect(calls).toBe(3)
  })

  it.each([
    [{ rows: [{ a: 1 }] }, /at least 2 rows/],
    [{ columns: ['aa'] }, /Unknown column "aa" for permutationImportance/],
    [{ columns: [] }, /columns must be an array of at least one name/],
    [{ score: () => Number.NaN }, /score must give a finite number, got NaN for the rows as they are/],
    [{ mode: 'best' }, /Unknown mode "best"/],
    [{ repeat: 3 }, /did you mean "repeats"\?/],
  ])('refuses %j', async (wrong, message) => {
    await expect(permutationImportance({ rows, metric: 'r2Score', score, ...wrong } as never)).rejects.toThrow(message)
  })
})

describe('summarizeData', () => {
  it('tells numbers from categories, and counts what is missing', async () => {
    const { rows, columns } = await summarizeData([
      { area: '50', street: 'Pave', late: 1 },
      { area: '', street: 'Grvl', late: null },
      { area: ' 70 ', street: 'Pave' },
    ])
    expect(rows).toBe(3)
    expect(columns[0]).toMatchObject({ name: 'area', kind: 'number', missing: 1, minimum: 50, maximum: 70, mean: 60 })
    expect(columns[1]).toEqual({
      name: 'street',
      kind: 'category',
      missing: 0,
      distinct: 2,
      top: [
        { value: 'Pave', count: 2 },
        { value: 'Grvl', count: 1 },
      ],
    })
    expect(columns[2]).toMatchObject({ name: 'late', kind: 'number', missing: 2, distinct: 1 })
  })

  it('counts a column that comes late, and one without a value, as missing before', async () => {
    const { columns } = await summarizeData([
      { a: 1, none: '' },
      { a: 2, none: null },
      { a: 3, none: undefined, b: 'x' },
    ])
    expect(columns.map(({ missing, kind }) => [missing, kind])).toEqual([
      [0, 'number'],
      [3, 'category'],
      [2, 'category'],
    ])
  })

  it('takes large integers and the largest numbers for numbers, and invalid dates for missing', async () => {
    const { columns } = await summarizeData([
      { id: 5n, mass: 1e308, at: new Date(Number.NaN) },
      { id: 7n, mass: -1e308, at: new Date(0) },
    ])
    const [id, mass, at] = columns
    expect(id).toMatchObject({ kind: 'number', minimum: 5, maximum: 7, mean: 6 })
    expect(mass).toMatchObject({ kind: 'number', mean: 0 })
    expect(at).toMatchObject({ missing: 1, distinct: 1 })
    const [alone] = (await summarizeData([{ a: 1.7e308 }])).columns
    expect(alone.histogram?.counts).toEqual([1])
    expect(Number.isFinite(alone.histogram?.high)).toBe(true)
  })

  it('takes kinds as they are given: a number may be a category', async () => {
    const { columns } = await summarizeData([{ zip: '50010' }, { zip: '50010' }, { zip: '50014' }], { kinds: { zip: 'category' } })
    expect(columns[0]).toMatchObject({
      kind: 'category',
      top: [
        { value: '50010', count: 2 },
        { value: '50014', count: 1 },
      ],
    })
  })

  it('goes once through an asynchronous source larger than what it keeps, and closes it', async () => {
    let closed = false
    async function* source() {
      try {
        for (let i = 0; i < 50_000; i++) yield { value: i, text: `word ${i}` }
      } finally {
        closed = true
      }
    }
    const { rows, columns } = await summarizeData(source())
    expect(rows).toBe(50_000)
    expect(columns[0]).toMatchObject({ minimum: 0, maximum: 49_999, mean: 24_999.5 })
    // The sample is uniform: no tenth is much fuller than another.
    const counts = columns[0].histogram?.counts ?? []
    expect(counts.reduce((a, b) => a + b)).toBe(20_000)
    expect(Math.max(...counts.slice(0, -1)) / Math.min(...counts.slice(0, -1))).toBeLessThan(1.4)
    expect(columns[1].distinct).toBeUndefined()
    expect(closed).toBe(true)
  })

  it('refuses what is no row, and closes the source', async () => {
    let closed = false
    function* source() {
      try {
        yield { a: 1 }
        yield [1] as never
      } finally {
        closed = true
      }
    }
    await expect(summarizeData(source())).rejects.toThrow('summarizeData: row 1 must be an object of values by column, got an array of 1.')
    expect(closed).toBe(true)
    await expect(summarizeData('a,b' as never)).rejects.toThrow(DataError)
    await expect(summarizeData([{ a: 1 }], { signal: AbortSignal.abort() })).resolves.toMatchObject({ rows: 1 })
    await expect(summarizeData(new Array(100).fill({ a: 1 }), { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ABORT_ERR' })
  })
})

describe('recordTraining', () => {
  const data = { x: [[1], [2], [3], [4]], y: [2, 4, 6, 8] }
  const options = { loss: 'meanSquaredError', optimizer: sgd({ learningRate: 0.01 }), batchSize: 2, epochs: 5 } as const

  it('records what history says, and every step', async () => {
    const record = recordTraining({ rows: 3 })
    const net = sequential([input(1), dense(1)])
    const history = await net.fit(data, { ...options, metrics: ['meanAbsoluteError'], validationSplit: 0.25, callbacks: [record] })
    const { curves, stepLosses, learningRates, ...training } = record.training
    expect(Object.keys(curves)).toEqual(['loss', 'meanAbsoluteError', 'validationLoss', 'validationMeanAbsoluteError'])
    for (const [name, curve] of Object.entries(curves)) expect(curve).toEqual(history.epochs.map((values, epoch) => [epoch, values[name]]))
    expect(stepLosses.map(([step]) => step)).toEqual(Array.from({ length: 10 }, (_, i) => i))
    expect(learningRates[0]).toEqual([0, 0.01])
    const best = history.epochs.map(({ validationLoss }) => validationLoss)
    expect(training).toMatchObject({ state: 'ended', stopped: 'completed', epochs: 5, completed: 5, stepsPerEpoch: 2 })
    expect(training.bestEpoch).toBe(best.indexOf(Math.min(...best)))
    expect(training.rowsPerSecond).toBeCloseTo(15 / training.seconds, 6)
    expect(JSON.parse(JSON.stringify(record.training))).toEqual(record.training)
  })

  it('says what an error was, and begins anew with the next run', async () => {
    const record = recordTraining()
    const net = sequential([input(1), dense(1)])
    const broken = {
      onEpochEnd: () => {
        throw new Error('the disk is full')
      },
    }
    await expect(net.fit(data, { ...options, callbacks: [record, broken] })).rejects.toThrow('the disk is full')
    expect(record.training).toMatchObject({ state: 'failed', stopped: 'the disk is full', completed: 1 })
    await net.fit(data, { ...options, initialEpoch: 2, callbacks: [record] })
    const { curves, stepLosses, completed } = record.training
    expect(curves.loss.map(([epoch]) => epoch)).toEqual([2, 3, 4])
    expect(stepLosses[0][0]).toBe(4)
    expect(completed).toBe(5)
  })

  it('refuses options it does not know', () => {
    expect(() => recordTraining({ row: 1 } as never)).toThrow(/did you mean "rows"\?/)
    expect(() => recordTraining({ rows: 0 })).toThrow(OptionError)
  })
})
