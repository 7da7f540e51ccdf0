/** Options that cannot be meant are refused with advice, and the model is afterwards as if nothing had happened. */
import { describe, expect, it } from 'vitest'
import {
  activation,
  adam,
  clipGradients,
  dense,
  greater,
  input,
  l2,
  lbfgs,
  losses,
  type Model,
  mean,
  metrics,
  model,
  sequential,
  sgd,
  square,
  stopGradient,
  subtract,
  type Tensor,
} from '../../src/index.ts'
import { any } from '../any.ts'
import { crossEntropy, fitWith, labels, meanSquaredError, type Refusal, testRefusals, x, y } from './refusals.ts'
import { bitsOf, executors, expectRefusal, rows } from './support.ts'

const trainWith = (options: object) => (net: Model) => net.train({ x, y }, any({ ...meanSquaredError, ...options })).next()

const named = (option: string, hints: Record<string, string>): Refusal[] =>
  Object.entries(hints).map(([name, hint]) => [
    `${option} "${name}"`,
    fitWith(option === 'metrics' ? { metrics: [name] } : { [option]: name }),
    'ERR_OPTION',
    `"${name}" for fit; ${hint}`,
  ])
const elsewhere = (hints: Record<string, string>): Refusal[] =>
  Object.entries(hints).map(([name, hint]) => [
    `the option ${name}`,
    fitWith({ [name]: 1 }),
    'ERR_OPTION',
    `Unknown option "${name}" for fit; ${hint}`,
  ])

/** Names of other libraries. */
const habits: Refusal[] = [
  ...named('loss', {
    MSE: 'did you mean "meanSquaredError"?',
    l1: 'did you mean "meanAbsoluteError"?',
    CrossEntropyLoss: 'for class numbers use "sparseCategoricalCrossentropy"',
    crossentropy: 'for class numbers use "sparseCategoricalCrossentropy"',
    BCEWithLogitsLoss: 'did you mean "binaryCrossentropy"?',
    kl: 'did you mean "klDivergence"?',
    cosine: 'did you mean "cosineSimilarity"?',
  }),
  ...named('metrics', {
    AUC: 'did you mean "rocAuc", or "prAuc"?',
    top5: 'did you mean metrics.topKAccuracy({ k: 5 })?',
    topK: 'did you mean metrics.topKAccuracy({ k: 5 })?',
    binaryAccuracy: 'did you mean "accuracy"?',
    kappa: 'did you mean "cohenKappa"?',
  }),
  ...named('optimizer', { momentum: 'did you mean sgd({ momentum: 0.9 })?' }),
  ...elsewhere({
    verbose: 'nothing is printed; for a line each epoch give onEpochEnd: console.log.',
    patience: 'it is an option of earlyStopping: { earlyStopping: { patience: 10 } }.',
    clipnorm: 'it goes around the optimizer: { optimizer: clipGradients(adam(), { norm: 1 }) }.',
    clipNorm: 'it goes around the optimizer',
    batch: 'did you mean "batchSize"?',
  }),
  ['units among the options', () => dense(any({ units: 3 })), 'ERR_OPTION', 'units come before the options; say dense(3, { … }).'],
  [
    'layers without brackets',
    () => sequential(any(input(2))),
    'ERR_OPTION',
    'got a value of type Tensor; say sequential([input(2), dense(1)]).',
  ],
  ['activation "none"', () => dense(1, { activation: any('none') }), 'ERR_OPTION', '"none" for dense', 'did you mean "linear"?'],
  ['activation "lrelu"', () => dense(1, { activation: any('lrelu') }), 'ERR_OPTION', '"lrelu" for dense', 'did you mean "leakyRelu"?'],
  ['fromLogits', () => losses.binaryCrossentropy(any({ fromLogits: true })), 'ERR_OPTION', 'predictions are always logits'],
  ['a bare learning rate', () => adam(any(0.01)), 'ERR_OPTION', 'adam: options must be an object, got 0.01; try { learningRate: 0.01 }.'],
  [
    'a bare bound',
    () => clipGradients(adam(), any(1)),
    'ERR_OPTION',
    'clipGradients: options must be an object, got 1; try { value: 1 } or { norm: 1 } or { globalNorm: 1 }.',
  ],
]

const notCounts = [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '3', null]
const counts: Refusal[] = ['epochs', 'batchSize'].flatMap((name) =>
  notCounts.map((value): Refusal => {
    const got = typeof value === 'string' ? `"${value}"` : String(value)
    return [`${name} ${got}`, fitWith({ [name]: value }), 'ERR_OPTION', `fit: ${name} must be an integer of at least 1, got ${got}`]
  }),
)

const options: Refusal[] = [
  ['no options', (net) => net.fit({ x, y }, any(undefined)), 'ERR_OPTION', 'fit: options are required'],
  ['null for options', (net) => net.fit({ x, y }, any(null)), 'ERR_OPTION', 'fit: options must be an object, got null'],
  ['a number of epochs', (net) => net.fit({ x, y }, any(10)), 'ERR_OPTION', 'fit: options must be an object, got 10; try { epochs: 10 }.'],
  ['a misspelt option', fitWith({ epoch: 3 }), 'ERR_OPTION', 'Unknown option "epoch" for fit', 'did you mean "epochs"?'],
  ['an option of another function', fitWith({ momentum: 0.9 }), 'ERR_OPTION', 'Unknown option "momentum"', 'known are loss, metrics'],
  ['no loss', fitWith({ loss: undefined }), 'ERR_OPTION', 'option "loss" is required', 'meanSquaredError'],
  ['a misspelt loss', fitWith({ loss: 'meanSquareError' }), 'ERR_OPTION', 'loss "meanSquareError"', 'did you mean "meanSquaredError"?'],
  ['a loss by its initials', fitWith({ loss: 'mse' }), 'ERR_OPTION', 'Unknown loss "mse" for fit; did you mean "meanSquaredError"?'],
  ['a metric for a loss', fitWith({ loss: 'rootMeanSquaredError' }), 'ERR_OPTION', 'it is a metric; try "meanSquaredError"'],
  ['a seed for fit', fitWith({ seed: 3 }), 'ERR_OPTION', 'Unknown option "seed" for fit; it is an option of sequential and model.'],
  ['threads for fit', fitWith({ threads: 2 }), 'ERR_OPTION', '"threads"', 'it is an option of sequential and model.'],
  ['an executor for fit', fitWith({ executor: 'native' }), 'ERR_OPTION', '"executor"', 'it is an option of sequential and model.'],
  [
    'a learning rate for fit',
    fitWith({ learningRate: 1 }),
    'ERR_OPTION',
    'it goes into the optimizer: { optimizer: adam({ learningRate }) }.',
  ],
  [
    'a loss that is a number',
    fitWith({ loss: 3 }),
    'ERR_OPTION',
    'loss must be a name, an object such as losses.huber({ delta: 2 }) or a function, got 3',
  ],
  ['a loss that gives a number', fitWith({ loss: () => 3 }), 'ERR_OPTION', 'must return a symbolic tensor, got 3'],
  [
    'a loss that gives one number a batch',
    fitWith({ loss: (p: never, t: never) => mean(subtract(p, t)) }),
    'ERR_OPTION',
    'one number a sample, shape [batch], got []',
  ],
  ['a misspelt optimizer', fitWith({ optimizer: 'adan' }), 'ERR_OPTION', 'optimizer "adan"', 'did you mean "adam"?'],
  ['an optimizer that was not called', fitWith({ optimizer: sgd }), 'ERR_OPTION', 'fit: optimizer', 'the function sgd; call it: sgd()'],
  ['another that was not called', fitWith({ optimizer: adam }), 'ERR_OPTION', 'got the function adam; call it: adam()'],
  ['a function for an optimizer', fitWith({ optimizer: () => 3 }), 'ERR_OPTION', 'got a function; call it: adam()'],
  ['null for an optimizer', fitWith({ optimizer: null }), 'ERR_OPTION', 'Unknown optimizer null'],
  [
    'half an optimizer',
    fitWith({ optimizer: { learningRate: 1 } }),
    'ERR_OPTION',
    'needs learningRates and the function update',
    'got learningRate',
  ],
  ['a misspelt metric', fitWith({ metrics: ['acuracy'] }), 'ERR_OPTION', 'metric "acuracy"', 'did you mean "accuracy"?'],
  ['metrics that are no array', fitWith({ metrics: 'r2Score' }), 'ERR_OPTION', 'metrics must be an array of names, got "r2Score"'],
  [
    'a metric that is a function',
    fitWith({ metrics: [() => 3] }),
    'ERR_OPTION',
    'or an object of your own, { name, batch, result }; got a',
  ],
  ['a metric by its initials', fitWith({ metrics: ['mae'] }), 'ERR_OPTION', 'metric "mae" for fit; did you mean "meanAbsoluteError"?'],
  ['a metric by a name of others', fitWith({ metrics: ['auc'] }), 'ERR_OPTION', 'metric "auc" for fit; did you mean "rocAuc", or "prAuc"?'],
  [
    'a metric that was not made',
    fitWith({ metrics: [metrics.f1] }),
    'ERR_OPTION',
    'metrics.f1 makes a metric, got the function itself; try metrics.f1() or "f1".',
  ],
  [
    'a metric of no mode',
    fitWith({ metrics: [{ name: 'mine', mode: 'up', batch: () => [], result: () => 0 }] }),
    'ERR_OPTION',
    'mode of metric "mine" must be "min" or "max", got "up"',
  ],
  [
    'a metric twice',
    fitWith({ metrics: ['r2Score', 'r2Score'] }),
    'ERR_OPTION',
    'two values would be reported as "r2Score"',
    "give one another name, as in metrics.accuracy({ name: 'another' })",
    'one of your own, { name, batch, result }, needs a name that no other has',
  ],
  ['half a metric', fitWith({ metrics: [{ name: 'mine' }] }), 'ERR_OPTION', 'the functions batch and result, got name'],
  ['accuracy of numbers', fitWith({ metrics: ['accuracy'] }), 'ERR_OPTION', '"accuracy" is for classification', 'meanSquaredError'],
  ['a shuffle that is no boolean', fitWith({ shuffle: 'yes' }), 'ERR_OPTION', 'shuffle must be true or false, got "yes"'],
  ['a split of 1', fitWith({ validationSplit: 1 }), 'ERR_OPTION', 'validationSplit must lie in 0 … 1 (1 excluded), got 1'],
  ['a negative split', fitWith({ validationSplit: -0.1 }), 'ERR_OPTION', 'got -0.1'],
  ['a split that leaves no training data', fitWith({ validationSplit: 0.9 }), 'ERR_DATA', '0.9 of 4 samples leaves none to train on'],
  ['a split that holds nothing out', fitWith({ validationSplit: 0.1 }), 'ERR_DATA', '0.1 of 4 samples holds out none to validate on'],
  ['two kinds of validation', fitWith({ validationSplit: 0.5, validationData: { x, y } }), 'ERR_OPTION', 'not both'],
  ['a signal that is none', fitWith({ signal: {} }), 'ERR_OPTION', 'signal must be an AbortSignal'],
  ['a callback that is none', fitWith({ onEpochEnd: 3 }), 'ERR_OPTION', 'onEpochEnd must be a function, got 3'],
  ['true for early stopping', fitWith({ earlyStopping: true }), 'ERR_OPTION', 'earlyStopping: options must be an object, got true'],
  ['early stopping, misspelt', fitWith({ earlyStopping: { patiense: 1 } }), 'ERR_OPTION', '"patiense"', 'did you mean "patience"?'],
  [
    'half an epoch of patience',
    fitWith({ earlyStopping: { patience: 0.5 } }),
    'ERR_OPTION',
    'patience must be an integer of at least 0, got 0.5',
  ],
  ['a negative minDelta', fitWith({ earlyStopping: { minDelta: -1 } }), 'ERR_OPTION', 'minDelta must be a number of at least 0, got -1'],
  ['an unknown mode', fitWith({ earlyStopping: { mode: 'lower' } }), 'ERR_OPTION', 'mode must be "min" or "max", got "lower"'],
  ['nothing to monitor', fitWith({ earlyStopping: { monitor: 'lossy' } }), 'ERR_OPTION', '"lossy"', 'did you mean "loss"?'],
  [
    'validation to monitor without any',
    fitWith({ earlyStopping: { monitor: 'validationLoss' } }),
    'ERR_OPTION',
    'known are loss; give validationData',
  ],
  [
    'a metric to monitor that is not measured',
    fitWith({ earlyStopping: { monitor: 'accuracy' } }),
    'ERR_OPTION',
    'Unknown value to monitor "accuracy" for earlyStopping; known are loss; add "accuracy" to metrics.',
  ],
  [
    'a metric of a validation to monitor, and neither is there',
    fitWith({ earlyStopping: { monitor: 'validationR2Score' } }),
    'ERR_OPTION',
    'known are loss; add "r2Score" to metrics and give validationData or validationSplit.',
  ],
  ['a learning rate of NaN', fitWith({ optimizer: sgd({ learningRate: () => Number.NaN }) }), 'ERR_OPTION', 'got NaN for epoch 0'],
  ['a negative learning rate', fitWith({ optimizer: sgd({ learningRate: () => -1 }) }), 'ERR_OPTION', 'at least 0, got -1 for epoch 0'],
  ['a learning rate beyond float32', fitWith({ optimizer: sgd({ learningRate: () => 1e39 }) }), 'ERR_OPTION', 'finite', 'got 1e+39'],
  ['early stopping of train', trainWith({ earlyStopping: {} }), 'ERR_OPTION', 'an option of fit; in a train() loop use break.'],
  ['a callback for steps of train', trainWith({ onProgress: any }), 'ERR_OPTION', 'an option of fit; a train() loop has events'],
  ['a callback for epochs of train', trainWith({ onEpochEnd: any }), 'ERR_OPTION', 'an option of fit; a train() loop has events', 'break'],
  ['a profile of train', trainWith({ profile: true }), 'ERR_OPTION', '"profile" for train; it is an option of fit.'],
  ['a misspelt option of train', (net) => net.train({ x, y }, any({ los: 1 })).next(), 'ERR_OPTION', 'train', 'did you mean "loss"?'],
  ['no options for evaluate', (net) => net.evaluate({ x, y }, any(undefined)), 'ERR_OPTION', 'evaluate: options are required'],
  [
    'a batchSize of 0 for evaluate',
    (net) => net.evaluate({ x, y }, { loss: 'meanSquaredError', batchSize: 0 }),
    'ERR_OPTION',
    'evaluate: batchSize must be an integer of at least 1, got 0',
  ],
  ['an option predict does not have', (net) => net.predict(x, any({ batchSize: 3 })), 'ERR_OPTION', 'Unknown option "batchSize"'],
  [
    'options for predictSync',
    (net) => net.predictSync(x, any({ batchSize: 3 })),
    'ERR_OPTION',
    'predictSync: expected x alone, got a value of type Object as second argument',
  ],
  ['options for predictAllSync', (net) => net.predictAllSync(x, any(3)), 'ERR_OPTION', 'predictAllSync: expected x alone, got 3'],
  ['weights of another layer', (net) => net.setWeights({ 'dense_3.bias': [1, 2] }), 'ERR_OPTION', 'weight "dense_3.bias"', 'did you mean'],
  ['no weights', (net) => net.setWeights(any(undefined)), 'ERR_OPTION', 'setWeights: expected an object of weights by name, got undefined'],
  ['weights of another width', (net) => net.setWeights({ 'dense_1.kernel': rows(2, 4) }), 'ERR_DATA', 'dense_1.kernel', 'shape [2, 4]'],
  ['weights of another height', (net) => net.setWeights({ 'dense_1.kernel': rows(5, 3) }), 'ERR_SHAPE', '[2, 3]', 'got 5 rows'],
  ['weights that are NaN', (net) => net.setWeights({ 'dense_2.bias': [0, Number.NaN] }), 'ERR_DATA', 'dense_2.bias', 'NaN at row 1'],
  [
    'one good and one bad set of weights',
    (net) => net.setWeights({ 'dense_1.bias': [7, 7, 7], 'dense_2.bias': [0] }),
    'ERR_SHAPE',
    'dense_2.bias has shape [2], got 1 rows',
  ],
]

const plans: Refusal[] = [
  ['a plan for no samples', (net) => net.plan(0), 'ERR_OPTION', 'plan: batchSize must be an integer of at least 1, got 0'],
  ['a plan of a model', (net) => net.plan(any({})), 'ERR_OPTION', 'plan: batchSize must be an integer', 'got a value of type Object'],
  [
    'a training plan without options',
    (net) => any(net).trainingPlan(32),
    'ERR_OPTION',
    'trainingPlan: options are required, at least { loss }',
  ],
  [
    'a training plan without a batch size',
    (net) => any(net).trainingPlan({ loss: 'meanSquaredError' }),
    'ERR_OPTION',
    'trainingPlan: batchSize must be an integer of at least 1, got a value of type Object; call trainingPlan(batchSize, { loss })',
  ],
  [
    'a training plan for no samples',
    (net) => net.trainingPlan(0, { loss: 'meanSquaredError' }),
    'ERR_OPTION',
    'trainingPlan: batchSize must be an integer of at least 1, got 0',
  ],
]

/** Of a model for classes. */
const ofClasses: Refusal[] = [
  ...(
    [
      ['of comparisons alone', (p, t) => mean(greater(p, t), { axes: [1] })],
      ['of the target alone', (_, t) => mean(square(t), { axes: [1] })],
      ['behind stopGradient', (p, t) => mean(square(subtract(stopGradient(p), t)), { axes: [1] })],
    ] satisfies [string, (p: Tensor, t: Tensor) => Tensor][]
  ).flatMap(([what, loss]): Refusal[] =>
    (['sgd', 'lbfgs'] as const).map((optimizer) => [
      `a loss ${what}, for ${optimizer}, although there is a penalty`,
      () =>
        sequential([input(2), dense(1, { name: 'top', kernelRegularizer: l2(0.1) })]).fit(
          { x: [[1, 2]], y: [[1]] },
          { loss, optimizer: optimizer === 'sgd' ? 'sgd' : lbfgs() },
        ),
      'ERR_OPTION',
      'fit: the loss does not depend on any of its parameters, such as top.kernel',
      'comparisons',
    ]),
  ),
  [
    'a plan for a loss without a gradient',
    (net) => net.trainingPlan(4, { loss: (p) => mean(greater(p, 0), { axes: [1] }) }),
    'ERR_OPTION',
    'trainingPlan: the loss does not depend on any of its parameters',
  ],
  [
    'the error of class numbers',
    (net) => net.fit({ x, y: labels }, { ...crossEntropy, metrics: ['meanAbsoluteError'] }),
    'ERR_OPTION',
    '"meanAbsoluteError" compares numbers',
    'class numbers',
    'try accuracy',
  ],
]

describe.each(executors)('on the %s executor, training refuses', (executor) => {
  testRefusals(executor, [...counts, ...options, ...plans, ...habits])
  testRefusals(executor, ofClasses, 'classes')

  it.each([
    ['binaryCrossentropy', 'sigmoid', y.map((row) => row.map(() => 1))],
    ['categoricalCrossentropy', 'softmax', y.map(() => [0, 1])],
    ['categoricalCrossentropy', 'logSoftmax', y.map(() => [0, 1])],
    ['sparseCategoricalCrossentropy', 'softmax', [0, 1, 1, 0]],
  ] as const)('%s of an output that went through %s', async (loss, end, targets) => {
    const make = (): Model => sequential([input(2), dense(2), activation(end)], { executor })
    const net = make()
    await expectRefusal(
      () => net.fit({ x, y: targets }, { loss }),
      'ERR_OPTION',
      `loss "${loss}" expects logits`,
      `ends in ${end}`,
      'remove that activation',
    )
    await expectRefusal(() => net.evaluate({ x, y: targets }, { loss }), 'ERR_OPTION', `ends in ${end}`)
    expect(bitsOf(net)).toEqual(bitsOf(make()))
    const { epochs } = await net.fit({ x, y }, { ...meanSquaredError, epochs: 20 })
    expect(epochs[19].loss).toBeLessThan(epochs[0].loss)
  })

  it('numbers for two outputs', async () => {
    const from = input(2)
    const net = model(from, [dense(from, 1), dense(from, 2)], { executor })
    const before = bitsOf(net)
    await expectRefusal(
      () => net.fit({ x, y }, meanSquaredError),
      'ERR_OPTION',
      'this model has 2 outputs; give y as an object with dense_1, dense_2',
    )
    await expectRefusal(() => net.predict(x), 'ERR_OPTION', 'this model has 2 outputs', 'predictAll')
    expect(bitsOf(net)).toEqual(before)
    expect((await net.predictAll(x)).map(({ shape }) => shape)).toEqual([
      [4, 1],
      [4, 2],
    ])
  })
})
