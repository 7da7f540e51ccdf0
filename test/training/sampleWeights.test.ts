/** Weights of samples and classes, masks, and sums: what a step and an evaluation make of them, whatever the batches. */
import { describe, expect, it } from 'vitest'
import {
  add,
  type ClassWeights,
  dense,
  type FitOptions,
  gradcheck,
  input,
  l2,
  losses,
  type Model,
  NdArray,
  parameter,
  printPlan,
  sequential,
  sgd,
  type Tensor,
  zeros,
} from '../../src/index.ts'
import { executors, expectRefusal, numbers, oneHotRows, rows, scaledError } from './support.ts'

const count = 23
const x = rows(count, 3, 1)
const y = rows(count, 3, 2)
const sampleWeights = numbers(count, 3, 0, 4)
const labels = numbers(count, 4, 0, 3).map(Math.floor)
const average = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length
const squares = x.map((row, i) => average(row.map((value, j) => (value - y[i][j]) ** 2)))
const logLosses = x.map((row, i) => Math.log(row.reduce((total, value) => total + Math.exp(value - row[labels[i]]), 0)))

/** Its output is its input, plus a shift that starts at 0. */
function identity(executor: 'native' | 'reference' = 'reference', width = 3): Model {
  const shift = parameter('shift', [width], zeros)
  return sequential([input(width), (h: Tensor) => add(h, shift)], { executor })
}

describe.each(executors)('on the %s executor', (executor) => {
  const net = identity(executor)

  it.each([1, 7, count])('a weighted loss is Σ w · loss / n, in batches of %i', async (batchSize) => {
    const weighted = (each: readonly number[]) => average(each.map((loss, i) => sampleWeights[i] * loss))
    const measure = async (y: number[] | number[][], loss: FitOptions['loss']) =>
      (await net.evaluate({ x, y, sampleWeights }, { loss, batchSize, metrics: loss === 'meanSquaredError' ? ['r2Score'] : ['accuracy'] }))
        .loss
    expect(Math.abs((await measure(y, 'meanSquaredError')) / weighted(squares) - 1)).toBeLessThan(1e-6)
    expect(Math.abs((await measure(labels, 'sparseCategoricalCrossentropy')) / weighted(logLosses) - 1)).toBeLessThan(1e-6)
  })

  it('a step goes by the weighted gradient', async () => {
    const stepped = identity(executor)
    await stepped.fit({ x, y, sampleWeights }, { loss: 'meanSquaredError', optimizer: sgd({ learningRate: 1 }), batchSize: count })
    const slope = (j: number) => -average(x.map((row, i) => (sampleWeights[i] * 2 * (row[j] - y[i][j])) / 3))
    expect(scaledError(stepped.weights().shift.data, [0, 1, 2].map(slope))).toBeLessThan(1e-6)
  })

  it('a weight of 2 in a sum is the sample twice', async () => {
    const loss = losses.meanSquaredError({ reduction: 'sum' })
    const once = (await net.evaluate({ x, y, sampleWeights: y.map((_, i) => 1 + (i % 2)) }, { loss, batchSize: 5 })).loss
    const [x2, y2] = [x, y].map((all) => [...all, ...all.filter((_, i) => i % 2 === 1)])
    expect(Math.abs(once / (await net.evaluate({ x: x2, y: y2 }, { loss, batchSize: 9 })).loss - 1)).toBeLessThan(1e-6)
  })

  it.each([1, 4, count])('what is ignored counts nowhere, in batches of %i', async (batchSize) => {
    const given = labels.map((label, i) => (i % 3 === 0 || i < 8 ? -1 : label))
    const kept = given.flatMap((label, i) => (label < 0 ? [] : [i]))
    const options = { loss: losses.sparseCategoricalCrossentropy({ ignoreIndex: -1 }), metrics: ['accuracy'] as const, batchSize }
    const found = await net.evaluate({ x, y: given }, options)
    expect(Math.abs(found.loss / average(kept.map((i) => logLosses[i])) - 1)).toBeLessThan(1e-6)
    expect(found.accuracy).toBe(average(kept.map((i) => Number(x[i].indexOf(Math.max(...x[i])) === labels[i]))))
    // Weights do not change what counts.
    const weighted = await net.evaluate({ x, y: given, sampleWeights }, options)
    expect(Math.abs(weighted.loss / average(kept.map((i) => sampleWeights[i] * logLosses[i])) - 1)).toBeLessThan(1e-6)
  })

  it.each([1, 4, count])('a sum and the penalties are of all samples once, in batches of %i', async (batchSize) => {
    const penalised = sequential([input(3), dense(3, { kernelRegularizer: l2(0.1) })], { executor })
    const [{ loss: sum }, { loss: mean }, { loss: bare }] = await Promise.all([
      penalised.evaluate({ x, y }, { loss: losses.huber({ reduction: 'sum' }), batchSize }),
      penalised.evaluate({ x, y }, { loss: 'huber', batchSize }),
      penalised.evaluate({ x, y }, { loss: losses.huber({ reduction: 'sum' }), batchSize: count }),
    ])
    const penalty = 0.1 * penalised.weights()['dense_1.kernel'].data.reduce((total, value) => total + value ** 2, 0)
    expect(Math.abs(sum / (count * (mean - penalty) + penalty) - 1)).toBeLessThan(2e-6)
    expect(Math.abs(sum / bare - 1)).toBeLessThan(2e-6)
  })

  it('a batch in which nothing counts changes nothing', async () => {
    const still = identity(executor)
    const loss = losses.meanSquaredError({ maskValue: 9 })
    const { epochs } = await still.fit({ x, y: y.map((row) => row.map(() => 9)) }, { loss, batchSize: 4 })
    expect([epochs[0].loss, ...still.weights().shift.data]).toEqual([0, 0, 0, 0])
  })

  // Of labels 0 and 1 at the same place 1 in 5 is 1, so 0 is the better guess, until a 1 is worth more than four 0.
  const imbalanced = { x: new Array(50).fill([1]), y: Array.from({ length: 50 }, (_, i) => Number(i % 5 === 0)) }
  it.each<[loss: FitOptions['loss'], y: number[] | number[][], units: number]>([
    ['binaryCrossentropy', imbalanced.y, 1],
    ['hinge', imbalanced.y, 1],
    ['sparseCategoricalCrossentropy', imbalanced.y, 2],
    ['categoricalCrossentropy', imbalanced.y.map((label) => [1 - label, label]), 2],
  ])('class weights shift the decision: %s', async (loss, y, units) => {
    for (const [classWeights, chosen] of [
      [undefined, 0],
      [{ 1: 20 }, 1],
      [[1, 20], 1],
      [[20, 1], 0],
    ] as const) {
      const model = sequential([input(1), dense(units)], { executor })
      await model.fit({ x: imbalanced.x, y }, { loss, classWeights, optimizer: sgd({ learningRate: 0.1 }), epochs: 20, batchSize: 10 })
      const output = [...(await model.predict([[1]])).data]
      expect(output.length === 1 ? Number(output[0] > 0) : Number(output[1] > output[0]), String(classWeights)).toBe(chosen)
    }
  })

  it('class weights are sample weights', async () => {
    const classWeights = [0.5, 2, 3]
    const options: FitOptions = { loss: 'sparseCategoricalCrossentropy', epochs: 3, batchSize: 4 }
    const [byClass, bySample, both] = [identity(executor), identity(executor), identity(executor)]
    await byClass.fit({ x, y: labels }, { ...options, classWeights })
    await bySample.fit({ x, y: labels, sampleWeights: labels.map((label) => classWeights[label]) }, options)
    expect(byClass.weights()).toEqual(bySample.weights())
    await both.fit(
      { x, y: labels, sampleWeights: new Float32Array(count).fill(2) },
      { ...options, classWeights: classWeights.map((w) => w / 2) },
    )
    expect(both.weights()).toEqual(bySample.weights())
  })

  it('class weights of a loss that does not know how many classes there are', async () => {
    // As many as could not be listed.
    const loss = { ...losses.triplet(), range: () => ({ kind: 'classes', count: 2 ** 40 }) as const }
    const [byClass, bySample] = [identity(executor), identity(executor)]
    await byClass.fit({ x, y: labels }, { loss, classWeights: { 1: 3 } })
    await bySample.fit({ x, y: labels, sampleWeights: labels.map((label) => (label === 1 ? 3 : 1)) }, { loss })
    expect(byClass.weights()).toEqual(bySample.weights())
  })

  it('class weights are not for validation, sample weights are', async () => {
    const options: FitOptions = { loss: 'sparseCategoricalCrossentropy', metrics: ['accuracy'], batchSize: count }
    const still: FitOptions = { ...options, optimizer: sgd({ learningRate: 0 }) }
    const plainly = (await net.evaluate({ x, y: labels }, options)).loss
    const weighted = (await net.evaluate({ x, y: labels, sampleWeights }, options)).loss
    const validate = async (more: FitOptions) => (await net.fit({ x, y: labels }, more)).epochs[0]
    const byClass = await validate({ ...still, classWeights: [2, 2, 2], validationData: { x, y: labels } })
    expect(Math.abs(byClass.validationLoss / plainly - 1)).toBeLessThan(1e-6)
    expect(Math.abs(byClass.loss / plainly - 2)).toBeLessThan(1e-5)
    const only = await validate({ ...still, validationData: { x, y: labels, sampleWeights } })
    expect([only.loss, only.validationLoss].map((loss) => loss.toFixed(6))).toEqual([plainly, weighted].map((loss) => loss.toFixed(6)))
    const split = await validate({ ...still, classWeights: [2, 2, 2], validationSplit: 0.5 })
    const part = await validate({ ...still, validationSplit: 0.5 })
    expect(split.validationLoss).toBe(part.validationLoss)
    expect(Math.abs(split.loss / part.loss - 2)).toBeLessThan(1e-5)
  })
})

it('weights may come in any form of numbers', async () => {
  const net = identity()
  const found = []
  for (const given of [
    sampleWeights,
    sampleWeights.map((w) => [w]),
    Float64Array.from(sampleWeights),
    new NdArray(Float64Array.from(sampleWeights), [count]),
  ])
    found.push((await net.evaluate({ x, y, sampleWeights: given }, { loss: 'huber' })).loss)
  expect(new Set(found).size).toBe(1)
})

it('a plan without weights has no trace of them', () => {
  expect(printPlan(identity().trainingPlan(4, { loss: 'meanSquaredError' }))).not.toContain('sampleWeights')
})

it('gradcheck checks the weighted loss', () => {
  const net = identity()
  const weighted = gradcheck(net, { x, y, sampleWeights }, { loss: 'meanSquaredError' })
  expect(weighted.ok, String(weighted)).toBe(true)
  expect(Math.abs(weighted.loss / average(squares.map((loss, i) => sampleWeights[i] * loss)) - 1)).toBeLessThan(1e-6)
})

describe('refuses', () => {
  const evaluating = (sampleWeights: unknown) => () =>
    identity().evaluate({ x, y, sampleWeights: sampleWeights as number[] }, { loss: 'huber' })
  it.each<[name: string, weights: unknown, code: string, message: string]>([
    ['too few weights', sampleWeights.slice(1), 'ERR_DATA', 'x has 23 samples and sampleWeights has 22; they must be equal'],
    ['a weight below 0', sampleWeights.with(3, -1), 'ERR_DATA', 'sampleWeights: expected numbers of at least 0, got -1 at row 3'],
    ['a weight of NaN', sampleWeights.with(3, Number.NaN), 'ERR_DATA', 'sampleWeights: expected finite numbers, got NaN at row 3'],
    ['weights of 0 throughout', sampleWeights.map(() => 0), 'ERR_DATA', 'sampleWeights are all 0'],
    ['weights of elements', y.map((row) => row.map(() => 1)), 'ERR_DATA', 'expected one number a sample'],
    ['a number', 3, 'ERR_DATA', 'got 3'],
    ['null', null, 'ERR_DATA', 'got null'],
    ['weights by an unknown output', { first: sampleWeights }, 'ERR_OPTION', 'Unknown output "first" for sampleWeights of evaluate'],
  ])('%s', async (_, weights, code, message) => {
    await expectRefusal(evaluating(weights), code, message)
  })

  const fitting = (classWeights: unknown, loss: FitOptions['loss'], y: number[] | number[][]) => () =>
    identity().fit({ x, y }, { loss, classWeights: classWeights as ClassWeights })
  it.each<[name: string, weights: unknown, message: string]>([
    ['too few class weights', [1, 2], 'one number for each of 3 classes, got 2'],
    ['a class that there is not', { 3: 1 }, 'classes 0 … 2, got one for "3"'],
    ['a class that is no number', { '01': 1 }, 'classes 0 … 2, got one for "01"'],
    ['no class weight', { 1: null }, 'at least 0, got null for class 1'],
    ['a class weight below 0', [1, -1, 1], 'at least 0, got -1 for class 1'],
    ['a class weight that is text', { 1: '2' }, 'got "2" for class 1'],
    ['a number for class weights', 5, 'an array, or an object such as { 0: 1, 1: 5 }, got 5'],
    ['a Map of class weights', new Map([[1, 5]]), 'got a value of type Map; try Object.fromEntries(map)'],
    ['balanced class weights by name', 'balanced', 'got "balanced"; for weights that balance the classes give balancedClassWeights(y)'],
  ])('%s', async (_, weights, message) => {
    await expectRefusal(fitting(weights, 'sparseCategoricalCrossentropy', labels), 'ERR_OPTION', 'fit: classWeights', message)
  })

  it('class weights of what has no classes', async () => {
    await expectRefusal(
      fitting([1, 2, 3], 'meanSquaredError', y),
      'ERR_OPTION',
      'loss "meanSquaredError" have shape [batch, 3]; use sampleWeights',
    )
    await expectRefusal(fitting([1, 2], 'binaryCrossentropy', oneHotRows(3)), 'ERR_DATA', 'x has 23 samples and y has 3')
    const several = labels.map((label) => [0, 1, 2].map((other) => Number(other === label)))
    await expectRefusal(fitting([1, 2], 'binaryCrossentropy', several), 'ERR_OPTION', 'one class')
  })

  it('class weights for an evaluation', async () => {
    const options = { loss: 'sparseCategoricalCrossentropy', classWeights: [1, 2, 3] } as never
    await expectRefusal(() => identity().evaluate({ x, y: labels }, options), 'ERR_OPTION', 'it is an option of fit; to weigh')
    const data = { x, y: labels, classWeights: [1, 2, 3] }
    await expectRefusal(() => identity().fit(data, { loss: 'sparseCategoricalCrossentropy' }), 'ERR_OPTION', 'option of fit and train')
    const among = { loss: 'sparseCategoricalCrossentropy', sampleWeights } as never
    await expectRefusal(() => identity().fit({ x, y: labels }, among), 'ERR_OPTION', 'beside the data: { x, y, sampleWeights }')
  })
})
