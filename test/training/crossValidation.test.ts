/** kFold and crossValidate: which samples are held out, and what is measured on them. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  adam,
  type Callback,
  callbacks,
  constantOf,
  crossValidate,
  dense,
  input,
  kFold,
  type Metric,
  type Model,
  mean,
  NdArray,
  sequential,
  sgd,
} from '../../src/index.ts'
import { executors, expectRefusal, oneHotRows, rows, scaledBy, sumLoss } from './support.ts'

const anything = (value: unknown) => value as never
const scaled = { x: [[0], [1], [2], [3]], y: [[0], [2], [4], [6]] }

describe('kFold', () => {
  const sorted = (values: Iterable<number>) => [...values].sort((a, b) => a - b)
  const range = (count: number) => Array.from({ length: count }, (_, i) => i)

  it('holds every sample out once in each repeat, in folds that differ by one at most', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 12 }),
        fc.integer({ min: 0, max: 60 }),
        fc.integer({ min: 1, max: 3 }),
        fc.nat(),
        (folds, more, repeats, seed) => {
          const count = folds + more
          const splits = kFold(count, { folds, repeats, seed })
          expect(splits.length).toBe(folds * repeats)
          for (let repeat = 0; repeat < repeats; repeat++) {
            const part = splits.slice(repeat * folds, (repeat + 1) * folds)
            expect(sorted(part.flatMap(({ validation }) => [...validation]))).toEqual(range(count))
            const sizes = part.map(({ validation }) => validation.length)
            expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)
          }
          for (const { training, validation } of splits) {
            expect(sorted([...training, ...validation])).toEqual(range(count))
            expect([...training]).toEqual(sorted(training))
            expect([...validation]).toEqual(sorted(validation))
          }
        },
      ),
    )
  })

  it('spreads each label over the folds, to within one', () => {
    const labelled = fc
      .integer({ min: 2, max: 6 })
      .chain((folds) =>
        fc.tuple(fc.constant(folds), fc.array(fc.integer({ min: folds, max: 20 }), { minLength: 1, maxLength: 4 }), fc.nat()),
      )
    fc.assert(
      fc.property(labelled, ([folds, counts, seed]) => {
        // Labels in no order: sample i of the longest class first.
        const labels = range(Math.max(...counts)).flatMap((i) => counts.flatMap((count, label) => (i < count ? [label] : [])))
        const splits = kFold(labels, { folds, seed })
        const spread = (numbers: number[]) => Math.max(...numbers) - Math.min(...numbers)
        expect(spread(splits.map(({ validation }) => validation.length))).toBeLessThanOrEqual(1)
        for (const label of counts.keys())
          expect(spread(splits.map(({ validation }) => [...validation].filter((row) => labels[row] === label).length))).toBeLessThanOrEqual(
            1,
          )
        expect(sorted(splits.flatMap(({ validation }) => [...validation]))).toEqual(range(labels.length))
      }),
    )
  })

  it('is a function of the seed', () => {
    const of = (options: object) => kFold(30, options).map(({ validation }) => [...validation])
    expect(of({ seed: 4 })).toEqual(of({ seed: 4 }))
    expect(of({ seed: 4 })).not.toEqual(of({ seed: 5 }))
    const twice = of({ repeats: 2 })
    expect(twice.slice(0, 5)).toEqual(of({}))
    expect(twice.slice(5)).not.toEqual(of({}))
  })

  it('without shuffle takes samples in blocks, labels in turn', () => {
    expect(kFold(7, { folds: 3, shuffle: false }).map(({ validation }) => [...validation])).toEqual([
      [0, 1, 2],
      [3, 4],
      [5, 6],
    ])
    expect(kFold(['a', 'a', 'b', 'b'], { folds: 2, shuffle: false }).map(({ validation }) => [...validation])).toEqual([
      [0, 2],
      [1, 3],
    ])
  })

  it('takes one-hot rows for labels, in arrays, typed arrays or an NdArray', () => {
    const labels = [0, 2, 1, 1, 0, 2, 2]
    const oneHot = labels.map((label) => [0, 1, 2].map((other) => Number(other === label)))
    const expected = kFold(labels, { folds: 2 })
    expect(kFold(oneHot, { folds: 2 })).toEqual(expected)
    expect(
      kFold(
        oneHot.map((row) => Float32Array.from(row)),
        { folds: 2 },
      ),
    ).toEqual(expected)
    expect(kFold(new NdArray(Float32Array.from(oneHot.flat()), [7, 3]), { folds: 2 })).toEqual(expected)
    expect(kFold(new NdArray(Int32Array.from(labels), [7]), { folds: 2 })).toEqual(expected)
  })

  it.each<[string, () => unknown, string, ...string[]]>([
    [
      'rows that are not one-hot',
      () =>
        kFold(
          [
            [0.2, 0.8],
            [1, 0],
          ],
          { folds: 2 },
        ),
      'ERR_DATA',
      'kFold: labels: a one-hot row has',
      'at row 0',
    ],
    [
      'numbers that are no classes',
      () => kFold([0, 1, 0.5], { folds: 2 }),
      'ERR_DATA',
      'kFold: a stratified split needs classes, such as integers, got 0.5 at row 2',
      'give the number of samples in place of labels',
    ],
    ['one fold', () => kFold(10, { folds: 1 }), 'ERR_OPTION', 'kFold: folds must be an integer of at least 2, got 1'],
    ['more folds than samples', () => kFold(4), 'ERR_DATA', '4 samples cannot be split into 5 folds'],
    ['a rare label', () => kFold([0, 0, 1], { folds: 2 }), 'ERR_DATA', 'label 1 has 1 sample, too few for one in each of 2 folds'],
    ['the same twice', () => kFold(9, { shuffle: false, repeats: 2 }), 'ERR_OPTION', 'all 2 repeats would be the same'],
    ['no samples', () => kFold(anything(undefined)), 'ERR_OPTION', 'expected the number of samples, or their labels, got undefined'],
    ['half a sample', () => kFold(2.5), 'ERR_OPTION', 'the number of samples must be an integer'],
    ['a seed below 0', () => kFold(9, { seed: -1 }), 'ERR_OPTION', 'seed must be an integer of 0'],
    [
      'the option of crossValidate',
      () => kFold(9, anything({ stratified: true })),
      'ERR_OPTION',
      'give the labels in place of their number',
    ],
  ])('refuses %s', async (_, call, code, ...parts) => {
    await expectRefusal(call, code, ...parts)
  })
})

describe.each(executors)('crossValidate on the %s executor', (executor) => {
  /** Sample i touches weight i alone, from 0: one step of rate 1 with sumLoss takes 1 / batch from each weight that is trained on. */
  const ledger = (count: number) => sequential([input(count), scaledBy(count, constantOf(0))], { executor })

  it('trains on all but the fold, and measures on the fold', async () => {
    const count = 7
    const models: Model[] = []
    const build = (fold: number) => {
      expect(fold).toBe(models.length)
      models.push(ledger(count))
      return models[fold]
    }
    const options = { loss: sumLoss, optimizer: sgd({ learningRate: 1 }), batchSize: 1, folds: 3, seed: 5, repeats: 2 }
    const result = await crossValidate(build, { x: oneHotRows(count), y: oneHotRows(count) }, options)
    const splits = kFold(count, { folds: 3, repeats: 2, seed: 5 })
    expect(models.map((model) => [...model.weights().p.data].flatMap((weight, i) => (weight === 0 ? [i] : [])))).toEqual(
      splits.map(({ validation }) => [...validation]),
    )
    expect(result.folds.map(({ values, history }) => [values.loss, history.epochs.length])).toEqual(new Array(6).fill([0, 1]))
  })

  it('gives mean and standard deviation of what each fold measures', async () => {
    let fold = 0
    const given: Metric = { name: 'given', batch: () => [], result: () => [2, 4, 9][fold] }
    const ends: Callback = { onTrainEnd: () => {} }
    const build = (i: number) => {
      fold = i
      return ledger(3)
    }
    const data = { x: oneHotRows(3), y: oneHotRows(3) }
    const { mean, standardDeviation, folds } = await crossValidate(build, data, {
      loss: sumLoss,
      metrics: [given],
      folds: 3,
      callbacks: [ends],
    })
    expect(folds.map(({ values }) => values.given)).toEqual([2, 4, 9])
    expect(mean.given).toBe(5)
    expect(standardDeviation.given).toBeCloseTo(Math.sqrt((9 + 1 + 16) / 2), 12)
    expect(Object.keys(mean)).toEqual(['loss', 'given'])
  })

  it('lets a function give each fold its own callbacks', async () => {
    const seen: string[] = []
    await crossValidate(() => sequential([input(1), dense(1)], { executor }), scaled, {
      loss: 'meanSquaredError',
      folds: 2,
      callbacks: (fold) => [{ onEpochEnd: (epoch) => void seen.push(`fold ${fold}, epoch ${epoch}`) }],
    })
    expect(seen).toEqual(['fold 0, epoch 0', 'fold 1, epoch 0'])
  })

  it('keeps the log of every fold in one file', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'thalweg-folds-'))
    const file = join(folder, 'log.csv')
    const options = { loss: 'meanSquaredError', folds: 2, callbacks: [callbacks.csvLog(file)] } as const
    await crossValidate(() => sequential([input(1), dense(1)], { executor }), scaled, options)
    expect(
      readFileSync(file, 'utf8')
        .split('\n')
        .map((line) => line.split(',')[0]),
    ).toEqual(['epoch', '0', '0', ''])
    rmSync(folder, { recursive: true })
  })

  it('refuses a function that gives no callbacks', async () => {
    const options = { loss: 'meanSquaredError', folds: 2, callbacks: anything(() => undefined) } as const
    const call = () => crossValidate(() => sequential([input(1), dense(1)], { executor }), scaled, options)
    await expectRefusal(call, 'ERR_OPTION', 'crossValidate: callbacks must be an array, got undefined')
  })

  it('measures the weights that early stopping puts back', async () => {
    const data = { x: rows(30, 3, 1), y: rows(30, 1, 2) }
    const build = () => sequential([input(3), dense(8, { activation: 'tanh' }), dense(1)], { executor })
    const { folds } = await crossValidate(build, data, {
      loss: 'meanSquaredError',
      optimizer: adam({ learningRate: 0.2 }),
      epochs: 40,
      folds: 3,
      callbacks: [callbacks.earlyStopping({ patience: 2 })],
    })
    for (const { values, history } of folds) {
      expect(history.stopped).toBe('earlyStopping')
      expect(values.loss).toBe(history.epochs[history.bestEpoch as number].validationLoss)
    }
  })

  it.each([
    ['class numbers', 'sparseCategoricalCrossentropy', (label: number) => label],
    ['rows of one 1', 'categoricalCrossentropy', (label: number) => (label === 0 ? [1, 0] : [0, 1])],
  ] as const)('stratifies by %s', async (_, loss, target) => {
    const labels = Array.from({ length: 20 }, (_, i) => (i % 5 === 0 ? 1 : 0))
    const data = { x: oneHotRows(20), y: labels.map<number | number[]>(target) }
    // A metric sees batches of the fold: the number of samples of class 1 is what accuracy is of a model that says 0.
    const build = () => sequential([input(20), dense(2, { kernelInitializer: 'zeros', biasInitializer: 'zeros' })], { executor })
    const still = { loss, metrics: ['accuracy'] as const, optimizer: sgd({ learningRate: 0 }), folds: 4 }
    const { folds } = await crossValidate(build, data, { ...still, stratified: true })
    expect(folds.map(({ values }) => values.accuracy)).toEqual(new Array(4).fill(0.8))
    const loose = await crossValidate(build, data, still)
    expect(new Set(loose.folds.map(({ values }) => values.accuracy)).size).toBeGreaterThan(1)
  })

  it('stratifies by the largest of three targets', async () => {
    const labels = Array.from({ length: 20 }, (_, i) => (i < 4 ? 2 : i < 8 ? 1 : 0))
    const data = { x: oneHotRows(20), y: labels.map((label) => [0, 1, 2].map((i) => (i === label ? 1 : 0))) }
    const lastShare: Metric = { name: 'share', batch: (_, target) => [mean(target, { axes: [0] })], result: ([{ values }]) => values[0][2] }
    const build = () => sequential([input(20), dense(3)], { executor })
    const options = { loss: 'categoricalCrossentropy', metrics: [lastShare], folds: 4 } as const
    const { folds } = await crossValidate(build, data, { ...options, stratified: true })
    expect(folds.map(({ values }) => values.share)).toEqual(new Array(4).fill(Math.fround(0.2)))
  })

  it('refuses to stratify by numbers that are no classes', async () => {
    const options = { loss: 'meanSquaredError', folds: 2, stratified: true } as const
    const by = (y: number[] | number[][], units: number) => () =>
      crossValidate(() => sequential([input(4), dense(units)], { executor }), { x: oneHotRows(4), y }, options)
    const advice = 'stratified is for classification, leave it out'
    await expectRefusal(by([0, 1, 0.25, 1], 1), 'ERR_DATA', 'crossValidate: a stratified', 'got 0.25 at row 2', advice)
    await expectRefusal(
      by(
        [
          [0, 1],
          [1, 0],
          [0, 1],
          [3, 0],
        ],
        2,
      ),
      'ERR_DATA',
      'such as one-hot rows, got 3 at row 3',
      advice,
    )
  })

  it('refuses what cannot be', async () => {
    const data = { x: oneHotRows(6), y: oneHotRows(6) }
    const options = { loss: sumLoss, folds: 3 }
    const one = ledger(6)
    await expectRefusal(
      () => crossValidate(() => one, data, options),
      'ERR_OPTION',
      'crossValidate: build must return a new model each time',
    )
    await expectRefusal(() => crossValidate(anything(one), data, options), 'ERR_OPTION', 'expected a function that builds a model')
    await expectRefusal(() => crossValidate(() => anything(3), data, options), 'ERR_OPTION', 'build must return a model, got 3')
    const build = () => ledger(6)
    await expectRefusal(() => crossValidate(build, data, anything(undefined)), 'ERR_OPTION', 'options are required')
    await expectRefusal(
      () => crossValidate(build, data, anything({ ...options, validationSplit: 0.2 })),
      'ERR_OPTION',
      'say how many with folds',
    )
    await expectRefusal(() => crossValidate(build, data, anything({ ...options, fold: 2 })), 'ERR_OPTION', 'did you mean "folds"?')
    await expectRefusal(() => crossValidate(build, data, { ...options, folds: 7 }), 'ERR_DATA', '6 samples cannot be split into 7 folds')
    await expectRefusal(() => crossValidate(build, { x: [[1]], y: [[1]] }, options), 'ERR_DATA', 'crossValidate: input')
    await expectRefusal(
      () => crossValidate(build, data, { ...options, stratified: anything('yes') }),
      'ERR_OPTION',
      'stratified must be true or false',
    )
  })
})
