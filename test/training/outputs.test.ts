/** Models of several outputs: a loss, metrics, targets and weights for each. */
import { describe, expect, it } from 'vitest'
import {
  dense,
  type EpochValues,
  type FitOptions,
  gradcheck,
  input,
  losses,
  type Model,
  model,
  multiply,
  printPlan,
  type TrainingData,
} from '../../src/index.ts'
import { executors, expectRefusal, numbers, rows } from './support.ts'

const count = 40
const x = rows(count, 2, 1)
/** Which side of a line, and how far from it. */
const data = {
  x,
  y: { side: x.map(([a, b]) => Number(a + b > 0)), distance: x.map(([a, b]) => a + b) },
}
const fitted: FitOptions = {
  loss: { side: 'sparseCategoricalCrossentropy', distance: losses.huber({ delta: 2 }) },
  metrics: { side: ['accuracy'], distance: ['meanAbsoluteError'] },
  optimizer: 'adam',
  batchSize: 8,
}

function twoHeads(executor: 'native' | 'reference' = 'reference'): Model {
  const from = input(2)
  const trunk = dense(from, 8, { activation: 'tanh' })
  return model(from, [dense(trunk, 2, { name: 'side' }), dense(trunk, 1, { name: 'distance' })], { executor })
}

const near = (a: number, b: number) => expect(Math.abs(a - b)).toBeLessThanOrEqual(1e-6 * Math.max(1, Math.abs(b)))

describe.each(executors)('on the %s executor', (executor) => {
  it('both outputs learn', async () => {
    const net = twoHeads(executor)
    const { epochs } = await net.fit(data, { ...fitted, epochs: 300, validationData: data })
    expect(Object.keys(epochs[0])).toEqual(
      ['', 'validation'].flatMap((prefix) =>
        ['loss', 'sideLoss', 'distanceLoss', 'sideAccuracy', 'distanceMeanAbsoluteError'].map((name) =>
          prefix === '' ? name : `${prefix}${name[0].toUpperCase()}${name.slice(1)}`,
        ),
      ),
    )
    const last = epochs[299]
    expect(last.validationSideAccuracy).toBeGreaterThanOrEqual(0.95)
    expect(last.validationDistanceMeanAbsoluteError).toBeLessThan(0.1)
    const [side, distance] = await net.predictAll([[1, 0.5]])
    expect(side.data[1]).toBeGreaterThan(side.data[0])
    expect(Math.abs(distance.data[0] - 1.5)).toBeLessThan(0.3)
  })

  it.each([1, 7, count])('the total is the weighted sum of the losses, in batches of %i', async (batchSize) => {
    const net = twoHeads(executor)
    const options = { loss: fitted.loss, batchSize }
    const plainly = await net.evaluate(data, options)
    near(plainly.loss, plainly.sideLoss + plainly.distanceLoss)
    for (const [lossWeights, distance] of [
      [{ side: 2, distance: 0.5 }, 0.5],
      [[2, 0.5], 0.5],
      [{ side: 2 }, 1],
    ] as const) {
      const found = await net.evaluate(data, { ...options, lossWeights })
      near(found.sideLoss, plainly.sideLoss)
      near(found.distanceLoss, plainly.distanceLoss)
      near(found.loss, 2 * plainly.sideLoss + distance * plainly.distanceLoss)
    }
  })

  it('each output has the loss it would have alone', async () => {
    const net = twoHeads(executor)
    const found = await net.evaluate(data, { loss: fitted.loss, metrics: fitted.metrics })
    const [side, distance] = net.outputs.map((output) => model(net.inputs, output, { executor }))
    for (const alone of [side, distance])
      alone.setWeights(Object.fromEntries(Object.entries(net.weights()).filter(([name]) => name in alone.weights())))
    const of = (alone: Model, name: 'side' | 'distance', loss: FitOptions['loss'], metrics: FitOptions['metrics']): Promise<EpochValues> =>
      alone.evaluate({ x, y: data.y[name] }, { loss, metrics })
    const one = await of(side, 'side', 'sparseCategoricalCrossentropy', ['accuracy'])
    const other = await of(distance, 'distance', losses.huber({ delta: 2 }), ['meanAbsoluteError'])
    near(found.sideLoss, one.loss)
    near(found.sideAccuracy, one.accuracy)
    near(found.distanceLoss, other.loss)
    near(found.distanceMeanAbsoluteError, other.meanAbsoluteError)
  })

  it('an output whose loss has no weight does not train', async () => {
    const net = twoHeads(executor)
    const before = net.weights()
    await net.fit(data, { ...fitted, lossWeights: { side: 0 } })
    expect(net.weights()['side.kernel']).toEqual(before['side.kernel'])
    expect(net.weights()['distance.kernel']).not.toEqual(before['distance.kernel'])
  })

  it.each([3, count])('weights and masks are of each output, in batches of %i', async (batchSize) => {
    const net = twoHeads(executor)
    const weights = numbers(count, 5, 0, 2)
    const y = { ...data.y, side: data.y.side.map((label, i) => (i % 3 === 0 ? -1 : label)) }
    const loss = { side: losses.sparseCategoricalCrossentropy({ ignoreIndex: -1 }), distance: losses.huber({ reduction: 'sum' }) }
    const found = await net.evaluate({ x, y, sampleWeights: { distance: weights } }, { loss, batchSize })
    const keep = x.filter((_, i) => i % 3 !== 0)
    const kept = await net.evaluate({ x: keep, y: { side: y.side.filter((label) => label >= 0), distance: keep.map(() => 0) } }, { loss })
    near(found.sideLoss, kept.sideLoss)
    const each = await Promise.all(
      x.map((row, i) => net.evaluate({ x: [row], y: { side: [0], distance: [data.y.distance[i]] } }, { loss })),
    )
    near(
      found.distanceLoss,
      each.reduce((total, { distanceLoss }, i) => total + weights[i] * distanceLoss, 0),
    )
    near(found.loss, found.sideLoss + found.distanceLoss)
    const both = await net.evaluate({ x, y, sampleWeights: weights }, { loss, batchSize })
    near(both.distanceLoss, found.distanceLoss)
    expect(both.sideLoss).not.toBe(found.sideLoss)
  })

  it('class weights are of each output', async () => {
    const [net, twin] = [twoHeads(executor), twoHeads(executor)]
    await net.fit(data, { ...fitted, classWeights: { side: { 1: 3 } } })
    await twin.fit({ ...data, sampleWeights: { side: data.y.side.map((label) => 1 + 2 * label) } }, fitted)
    expect(net.weights()).toEqual(twin.weights())
  })

  it('early stopping can watch one of them', async () => {
    const { stopped, bestEpoch } = await twoHeads(executor).fit(data, {
      ...fitted,
      epochs: 50,
      validationSplit: 0.2,
      earlyStopping: { monitor: 'validationSideLoss', minDelta: 100, patience: 2 },
    })
    expect([stopped, bestEpoch]).toEqual(['earlyStopping', 0])
  })
})

it('one loss and one list of metrics are for all outputs', async () => {
  const from = input(2)
  const net = model(from, [dense(from, 1, { name: 'a' }), dense(from, 1, { name: 'b' })])
  const y = { a: x.map(([a]) => a), b: x.map(([, b]) => b) }
  const found = await net.evaluate({ x, y }, { loss: 'huber', metrics: ['meanAbsoluteError'] })
  expect(Object.keys(found)).toEqual(['loss', 'aLoss', 'bLoss', 'aMeanAbsoluteError', 'bMeanAbsoluteError'])
  near((await net.evaluate({ x, y }, { loss: ['huber', 'meanAbsoluteError'] })).bLoss, found.bMeanAbsoluteError)
})

it('names are those of the layers, or numbers', () => {
  const from = input(2)
  const shared = dense(3, { name: 'shared' })
  expect(model(from, [shared(from), dense(from, 1), shared(from)]).outputNames).toEqual(['shared', 'dense_1', 'output_3'])
  const named = (name: string) => dense(from, 1, { name })
  expect(model(from, [named('output_2'), multiply(from, 2)]).outputNames).toEqual(['output_2', 'output_2_'])
  expect(model(from, [multiply(from, 2), named('output_1')]).outputNames).toEqual(['output_1_', 'output_1'])
})

it('the gradient of all losses together is right', () => {
  const report = gradcheck(twoHeads(), { ...data, sampleWeights: numbers(count, 5, 0, 2) }, { loss: fitted.loss })
  expect(report.ok, String(report)).toBe(true)
  const heavier = gradcheck(twoHeads(), data, { loss: fitted.loss, lossWeights: [2, 2] })
  expect(heavier.ok, String(heavier)).toBe(true)
  near(heavier.loss, 2 * gradcheck(twoHeads(), data, { loss: fitted.loss }).loss)
})

it('a training plan names the targets', () => {
  const text = printPlan(twoHeads().trainingPlan(8, { loss: fitted.loss, lossWeights: { side: 3 } }))
  expect(text).toMatch(/input target\/side int32 \[8\]/)
  expect(text).toMatch(/input target\/distance \[8, 1\]/)
})

describe('refuses', () => {
  const fit =
    (change: Partial<FitOptions>, changed: Partial<TrainingData> = {}) =>
    () =>
      twoHeads().fit({ ...data, ...changed }, { ...fitted, ...change })
  const any = (value: unknown) => value as never
  it.each<[name: string, call: () => unknown, code: string, ...parts: string[]]>([
    [
      'targets without names',
      fit({}, { y: data.y.distance }),
      'ERR_OPTION',
      'this model has 2 outputs; give y as an object with side, distance',
    ],
    ['targets of one output', fit({}, { y: { side: data.y.side } }), 'ERR_OPTION', 'y has no entry for output "distance", got side'],
    [
      'targets of an unknown output',
      fit({}, { y: { ...data.y, sides: [] } }),
      'ERR_OPTION',
      'Unknown output "sides"',
      'did you mean "side"?',
    ],
    ['too few targets', fit({}, { y: { ...data.y, side: [1] } }), 'ERR_DATA', 'x has 40 samples and y of output "side" has 1'],
    [
      'labels out of range',
      fit({}, { y: { ...data.y, side: data.y.side.with(2, 2) } }),
      'ERR_DATA',
      'y of output "side"',
      'got 2 at row 2',
    ],
    ['a loss for one output', fit({ loss: { side: 'hinge' } }), 'ERR_OPTION', 'loss has no entry for distance'],
    ['a loss for an unknown output', fit({ loss: any({ side: 'huber', distanse: 'huber' }) }), 'ERR_OPTION', 'did you mean "distance"?'],
    ['too many losses', fit({ loss: ['huber', 'huber', 'huber'] }), 'ERR_OPTION', '2 outputs, side, distance; loss has 3'],
    [
      'a misspelt loss',
      fit({ loss: any({ side: 'hubert', distance: 'huber' }) }),
      'ERR_OPTION',
      'fit (output "side")',
      'did you mean "huber"?',
    ],
    ['a loss that does not fit', fit({ loss: 'sparseCategoricalCrossentropy' }), 'ERR_OPTION', 'use binaryCrossentropy', 'got [batch, 1]'],
    ['too few loss weights', fit({ lossWeights: [1] }), 'ERR_OPTION', 'lossWeights has 1: give one for each'],
    ['one loss weight', fit({ lossWeights: any(2) }), 'ERR_OPTION', 'give lossWeights by output name, got 2'],
    ['a loss weight below 0', fit({ lossWeights: { side: -1 } }), 'ERR_OPTION', 'fit (output "side"): lossWeights must be', 'got -1'],
    [
      'loss weights as a Map',
      fit({ lossWeights: any(new Map([['side', 2]])) }),
      'ERR_OPTION',
      'lossWeights of fit: expected an object of outputs by name, got a Map; try Object.fromEntries(map)',
    ],
    ['metrics of an unknown output', fit({ metrics: any({ sid: [] }) }), 'ERR_OPTION', 'Unknown output "sid" for metrics of fit'],
    [
      'a metric that fits one output only',
      fit({ metrics: ['accuracy'] }),
      'ERR_OPTION',
      'fit (output "distance"): Metric "accuracy" is for classification',
      "For some outputs only give metrics by name: { side: ['accuracy'] }.",
    ],
    [
      'metrics that are no list',
      fit({ metrics: any({ side: 'accuracy' }) }),
      'ERR_OPTION',
      'fit (output "side"): metrics must be an array',
    ],
    ['class weights without names', fit({ classWeights: any({ 0: 1, 1: 2 }) }), 'ERR_OPTION', 'Unknown output "0" for classWeights of fit'],
    [
      'class weights of numbers',
      fit({ classWeights: { distance: [1, 2] } }),
      'ERR_OPTION',
      'fit (output "distance"): classWeights need',
      '"huber"',
    ],
  ])('%s', async (_, call, code, ...parts) => {
    await expectRefusal(call, code, ...parts)
  })

  it('an output that ends in what the loss applies', async () => {
    const from = input(2)
    const net = model(from, [dense(from, 2, { name: 'side', activation: 'sigmoid' }), dense(from, 1, { name: 'distance' })])
    await expectRefusal(
      () => net.fit(data, fitted),
      'ERR_OPTION',
      'output "side"',
      'ends in sigmoid',
      'remove that activation',
      'binaryCrossentropy',
    )
  })
})
