/** Whatever a user gives by mistake is refused with advice, and the model is afterwards as if nothing had happened. */
import { afterEach, describe, expect, it, vi } from 'vitest'
import {
  activation,
  adam,
  clipGradients,
  dense,
  dropout,
  type FitOptions,
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
import { bitsOf, type ExecutorName, executors, expectRefusal, oneHotRows, rows, xor } from './support.ts'

const x = rows(4, 2, 1)
const y = rows(4, 2, 2)
const labels = [0, 2, 1, 0]
const meanSquaredError: FitOptions = { loss: 'meanSquaredError', optimizer: 'sgd', batchSize: 2 }
const crossEntropy: FitOptions = { loss: 'sparseCategoricalCrossentropy', optimizer: 'adam', batchSize: 2 }

const regressor = (executor: ExecutorName) =>
  sequential([input(2), dense(3, { activation: 'tanh' }), dropout(0.2), dense(2)], { seed: 5, executor })
const classifier = (executor: ExecutorName) => sequential([input(2), dense(4, { activation: 'relu' }), dense(3)], { seed: 6, executor })

/** Values of any type where the compiler expects others: what a caller without types can do. */
// biome-ignore lint/suspicious/noExplicitAny: the point of these tests.
const any = (value: unknown): any => value

type Refusal = readonly [what: string, call: (net: Model) => unknown, code: string, ...parts: string[]]

const fitX = (features: unknown) => (net: Model) => net.fit({ x: any(features), y }, meanSquaredError)
const fitY = (targets: unknown) => (net: Model) => net.fit({ x, y: any(targets) }, meanSquaredError)
const fitWith = (options: object) => (net: Model) => net.fit({ x, y }, any({ ...meanSquaredError, ...options }))
const trainWith = (options: object) => (net: Model) => net.train({ x, y }, any({ ...meanSquaredError, ...options })).next()
const changed = <T>(values: readonly T[], i: number, value: unknown): unknown[] => values.map((old, j) => (i === j ? value : old))

const sparse = [[0, 1], [2, 3], [4, 5], new Array(2)]
sparse[3][1] = 7

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

const data: Refusal[] = [
  ['rows that are too wide', fitX(rows(4, 3)), 'ERR_DATA', 'fit: input "input_1"', 'rows of shape [2] (2 numbers)', 'shape [4, 3]'],
  ['one row in place of rows', fitX([1, 2, 3, 4]), 'ERR_DATA', 'rows of shape [2]', 'data of shape [4]'],
  ['a typed array of no whole number of rows', fitX(new Float32Array(7)), 'ERR_DATA', 'got 7 numbers', 'not a multiple of 2'],
  ['ragged rows', fitX(changed(x, 1, [1])), 'ERR_DATA', 'rows must have equal lengths', 'expected 2 numbers at [1], got 1'],
  ['a number among rows', fitX(changed(x, 3, 5)), 'ERR_DATA', 'expected 2 numbers at [3], got 5'],
  ['typed rows of unequal length', fitX([new Float32Array(2), new Float32Array(3), [1, 2], [1, 2]]), 'ERR_DATA', 'at [1], got 3'],
  ['a hole in a row', fitX(sparse), 'ERR_DATA', 'expected a number at [3][0], got undefined'],
  ['a hole among rows', fitX([...x.slice(0, 1), ...new Array(1), ...x.slice(2)]), 'ERR_DATA', 'at [1], got undefined'],
  ['NaN', fitX(changed(x, 1, [Number.NaN, 1])), 'ERR_DATA', 'input "input_1"', 'finite numbers', 'got NaN at row 1, column 0'],
  ['Infinity', fitX(changed(x, 2, [1, Number.NEGATIVE_INFINITY])), 'ERR_DATA', 'got -Infinity at row 2, column 1'],
  ['a number beyond float32', fitX(changed(x, 0, [1e39, 1])), 'ERR_DATA', 'got Infinity at row 0, column 0', '3.4e38'],
  ['NaN in a typed array', fitX(Float64Array.of(1, 2, 3, 4, 5, Number.NaN, 7, 8)), 'ERR_DATA', 'got NaN at row 2, column 1'],
  ['NaN in shared memory', fitX(sharedNaN()), 'ERR_DATA', 'got NaN at row 3, column 0'],
  ['a string', fitX(changed(x, 1, ['1', 2])), 'ERR_DATA', 'expected a number at [1][0], got "1"'],
  ['null in a row', fitX(changed(x, 1, [1, null])), 'ERR_DATA', 'expected a number at [1][1], got null'],
  ['no rows', fitX([]), 'ERR_DATA', 'got no data at all'],
  ['an empty row', fitX([[]]), 'ERR_DATA', 'got no data at all'],
  ['an empty typed array', fitX(new Float32Array(0)), 'ERR_DATA', 'got no data at all'],
  ['bigints', fitX(new BigInt64Array(8)), 'ERR_DATA', 'expected numbers', 'got BigInt64Array of 8'],
  ['raw memory', fitX(new DataView(new ArrayBuffer(32))), 'ERR_DATA', 'expected numbers', 'got DataView of 32 bytes'],
  ['nothing', fitX(undefined), 'ERR_DATA', 'expected numbers', 'got undefined'],
  ['text', fitX('0, 1'), 'ERR_DATA', 'expected numbers', 'got "0, 1"'],
  ['a misspelt input', fitX({ inptu_1: x }), 'ERR_OPTION', 'Unknown input "inptu_1" for fit', 'did you mean "input_1"?'],
  ['no entry for the input', fitX({}), 'ERR_OPTION', 'no entry for input "input_1"'],
  ['targets that are too wide', fitY(rows(4, 3)), 'ERR_DATA', 'fit: y', 'rows of shape [2]', 'shape [4, 3]'],
  ['NaN among targets', fitY(changed(y, 3, [0, Number.NaN])), 'ERR_DATA', 'fit: y', 'got NaN at row 3, column 1'],
  [
    'NaN among targets, which may be marked',
    fitY(changed(y, 3, [0, Number.NaN])),
    'ERR_DATA',
    'fill in the value, or write -999 in its place and use losses.meanSquaredError({ maskValue: -999 }), if no target is that;',
  ],
  [
    'NaN among marked targets',
    (net) => net.fit({ x, y: changed(y, 3, [0, Number.NaN]) }, { loss: losses.huber({ maskValue: -7 }) }),
    'ERR_DATA',
    'or write -7 in its place, the maskValue;',
  ],
  ['Infinity among targets', fitY(changed(y, 3, [0, 1 / 0])), 'ERR_DATA', 'Remove the row or fill in the value; magnitudes'],
  ['no targets', fitY(undefined), 'ERR_DATA', 'fit: y', 'got undefined'],
  ['fewer targets than samples', fitY(y.slice(1)), 'ERR_DATA', 'x has 4 samples and y has 3'],
  ['data without y', (net) => net.fit(any({ x }), meanSquaredError), 'ERR_DATA', 'expected data as { x, y }, got { x }: y is missing'],
  ['data without x', (net) => net.fit(any({ y }), meanSquaredError), 'ERR_DATA', 'got { y }: x is missing'],
  ['one sample and two targets', (net) => net.fit({ x: [[1, 2]], y: y.slice(2) }, meanSquaredError), 'ERR_DATA', 'x has 1 sample and'],
  ['no data', (net) => net.fit(any(undefined), meanSquaredError), 'ERR_DATA', 'expected data as { x, y }, got undefined'],
  [
    'unknown data',
    (net) => net.fit(any({ x, y, weights: y }), meanSquaredError),
    'ERR_OPTION',
    'Unknown entry of data "weights" for fit',
    'x, y',
  ],
  [
    'validation data of another width',
    fitWith({ validationData: { x: rows(4, 5), y } }),
    'ERR_DATA',
    'fit: validationData: input "input_1"',
    'shape [4, 5]',
  ],
  ['validation data without targets', fitWith({ validationData: { x } }), 'ERR_DATA', 'fit: validationData', '{ x, y }'],
  ['to predict NaN', (net) => net.predict([[0, Number.NaN]]), 'ERR_DATA', 'predict: input "input_1"', 'got NaN at row 0, column 1'],
  [
    'an unknown input to predict',
    (net) => net.predictSync({ foo: x }),
    'ERR_OPTION',
    'Unknown input "foo" for predictSync; known are input_1.',
  ],
  ['to predict nothing', (net) => net.predict([]), 'ERR_DATA', 'predict', 'got no data at all'],
  ['to evaluate unequal counts', (net) => net.evaluate({ x, y: y.slice(2) }, { loss: 'meanSquaredError' }), 'ERR_DATA', 'y has 2'],
  ['probabilities above 1', fitWith({ loss: 'binaryCrossentropy' }), 'ERR_DATA', 'fit: y', 'targets of 0 … 1', 'at row'],
]

/** A Float32Array that is used where it lies, and so is checked there. */
function sharedNaN(): Float32Array {
  const values = new Float32Array(new SharedArrayBuffer(32))
  values[6] = Number.NaN
  return values
}

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

const memory: Refusal[] = [
  ['a batch of 2^40', (net) => net.load(net.plan(2 ** 40)), 'ERR_MEMORY', 'workspace', 'TiB', 'the machine has', 'smaller batchSize'],
  ['the largest batch there is', (net) => net.load(net.plan(Number.MAX_SAFE_INTEGER)), 'ERR_MEMORY', 'PiB', 'the machine has'],
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

const oneHot = [0, 2, 1, 0].map((label) => [0, 1, 2].map((other) => Number(other === label)))
const fitLoss = (loss: string, targets: unknown) => (net: Model) => net.fit({ x, y: any(targets) }, any({ ...crossEntropy, loss }))
const binary = (targets: unknown) => fitLoss('binaryCrossentropy', targets)
const categorical = (targets: unknown) => fitLoss('categoricalCrossentropy', targets)

/** Targets in the form that another loss takes. */
const otherForms: Refusal[] = [
  ['class numbers for one-hot rows', categorical(labels), 'ERR_DATA', 'shape [4]; for class numbers use "sparseCategoricalCrossentropy".'],
  ['typed class numbers', categorical(Int32Array.from(labels)), 'ERR_DATA', 'not a multiple of 3; for class numbers use "sparseCateg'],
  ['rows that are too wide', categorical(rows(4, 5)), 'ERR_DATA', 'got data of shape [4, 5]; the first dimension counts the samples.'],
  [
    'class numbers for focal rows',
    fitLoss('categoricalFocalCrossentropy', labels),
    'ERR_DATA',
    'for class numbers use "sparseCategoricalFocalCrossentropy".',
  ],
  ['class numbers for klDivergence', fitLoss('klDivergence', labels), 'ERR_DATA', 'make one-hot rows of class numbers.'],
  ['one-hot rows for class numbers', fitLabels(oneHot), 'ERR_DATA', 'shape [4, 3]; for one-hot rows use "categoricalCrossentropy".'],
  ['rows that are no classes', fitLabels(rows(4, 2)), 'ERR_DATA', 'got data of shape [4, 2]; the first dimension'],
  [
    'typed one-hot rows',
    fitLabels(Float32Array.from(oneHot.flat())),
    'ERR_DATA',
    'x has 4 samples and y has 12; they must be equal; for one-hot rows use "categoricalCrossentropy".',
  ],
  ['too many labels', fitLabels([...labels, 0]), 'ERR_DATA', 'y has 5; they must be equal.'],
  ['class numbers for columns', binary(labels), 'ERR_DATA', 'shape [4]; for class numbers use "sparseCategoricalCrossentropy".'],
  [
    'signs for 0 and 1',
    binary(rows(4, 3).map((row) => row.map(() => -1))),
    'ERR_DATA',
    'got -1 at row 0, column 0. For targets of 1 and -1 use "hinge".',
  ],
  ['numbers for 0 and 1', binary(rows(4, 3).map((row) => row.map(() => 2))), 'ERR_DATA', 'got 2 at row 0, column 0.'],
  [
    'a missing label',
    fitLabels([Number.NaN, 0, 0, 0]),
    'ERR_DATA',
    ', or write -1 in its place and use losses.sparseCategoricalCrossentropy({ ignoreIndex: -1 });',
  ],
]

const classes: Refusal[] = [
  ...otherForms,
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
  ['a label too large', fitLabels([0, 3, 1, 0]), 'ERR_DATA', 'fit: y', 'class numbers of 0 … 2', 'got 3 at row 1', 'has 3 classes'],
  ['a negative label', fitLabels([0, 2, -1, 0]), 'ERR_DATA', 'class numbers of 0 … 2, got -1 at row 2'],
  ['a label between classes', fitLabels([0, 2, 1.5, 0]), 'ERR_DATA', 'expected integers, got 1.5 at row 2'],
  ['a label in a typed array', fitLabels(Int32Array.of(0, 1, 2, 9)), 'ERR_DATA', 'got 9 at row 3'],
  ['text for a label', fitLabels(['cat', 'dog', 'cat', 'dog']), 'ERR_DATA', 'expected a number at [0], got "cat"'],
  ['one-hot labels', fitLabels(oneHotRows(4).map((row) => row.slice(1))), 'ERR_DATA', 'one number a sample', 'shape [4, 3]'],
  [
    'the error of class numbers',
    (net) => net.fit({ x, y: labels }, { ...crossEntropy, metrics: ['meanAbsoluteError'] }),
    'ERR_OPTION',
    '"meanAbsoluteError" compares numbers',
    'class numbers',
    'try accuracy',
  ],
]

function fitLabels(targets: unknown) {
  return (net: Model) => net.fit({ x, y: any(targets) }, crossEntropy)
}

describe.each(executors)('on the %s executor, training refuses', (executor) => {
  /** Weights of a model that makes no mistake: after the first and after the second training. */
  const flawless = async (make: typeof regressor, train: (net: Model) => Promise<unknown>) => {
    const net = make(executor)
    await train(net)
    const first = bitsOf(net)
    await train(net)
    return { first, second: bitsOf(net) }
  }
  const regress = (net: Model) => net.fit({ x, y }, meanSquaredError)
  const classify = (net: Model) => net.fit({ x, y: labels }, crossEntropy)
  const regression = flawless(regressor, regress)
  const classification = flawless(classifier, classify)

  const expectHarmless = async (
    [, call, code, ...parts]: Refusal,
    make: typeof regressor,
    train: (net: Model) => Promise<unknown>,
    expected: ReturnType<typeof flawless>,
  ) => {
    const { first, second } = await expected
    expect(second).not.toEqual(first)
    const net = make(executor)
    await train(net)
    await expectRefusal(() => call(net), code, ...parts)
    expect(bitsOf(net)).toEqual(first)
    await train(net)
    expect(bitsOf(net)).toEqual(second)
  }

  it.each([...data, ...counts, ...options, ...habits, ...memory].map((refusal) => [refusal[0], refusal] as const))('%s', (_, refusal) =>
    expectHarmless(refusal, regressor, regress, regression),
  )

  it.each(classes.map((refusal) => [refusal[0], refusal] as const))('%s', (_, refusal) =>
    expectHarmless(refusal, classifier, classify, classification),
  )

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

  it('two runs at once, and lets the first one finish', async () => {
    const [net, twin] = [regressor(executor), regressor(executor)]
    const first = net.fit({ x, y }, { ...meanSquaredError, epochs: 20 })
    await expectRefusal(() => net.fit({ x, y }, meanSquaredError), 'ERR_BUSY', 'already being trained', 'build a second model')
    await expectRefusal(() => net.train({ x, y }, meanSquaredError).next(), 'ERR_BUSY', 'already being trained')
    const predicted = net.predict(x)
    expect((await first).epochs.length).toBe(20)
    expect((await predicted).shape).toEqual([4, 2])
    await twin.fit({ x, y }, { ...meanSquaredError, epochs: 20 })
    expect(bitsOf(net)).toEqual(bitsOf(twin))
    expect((await net.fit({ x, y }, meanSquaredError)).stopped).toBe('completed')
  })

  it('a second run inside a callback, and goes on', async () => {
    const net = regressor(executor)
    const codes: string[] = []
    const { epochs } = await net.fit(
      { x, y },
      {
        ...meanSquaredError,
        epochs: 2,
        onEpochEnd: async () => {
          codes.push((await expectRefusal(() => net.fit({ x, y }, meanSquaredError), 'ERR_BUSY', 'already being trained')).code)
        },
      },
    )
    expect(codes).toEqual(['ERR_BUSY', 'ERR_BUSY'])
    expect(epochs.length).toBe(2)
  })

  it('nothing when the batch is larger than the data: that is one batch', async () => {
    const [net, twin] = [regressor(executor), regressor(executor)]
    await net.fit({ x, y }, { ...meanSquaredError, batchSize: Number.MAX_SAFE_INTEGER })
    await twin.fit({ x, y }, { ...meanSquaredError, batchSize: 4 })
    expect(bitsOf(net)).toEqual(bitsOf(twin))
  })

  it('a callback that throws, and can train again', async () => {
    const net = regressor(executor)
    const fails = () => {
      throw new RangeError('mine')
    }
    await expect(net.fit({ x, y }, { ...meanSquaredError, onEpochEnd: fails })).rejects.toThrow(RangeError)
    await expect(net.fit({ x, y }, { ...meanSquaredError, onProgress: fails })).rejects.toThrow('mine')
    const { epochs } = await net.fit({ x, y }, { ...meanSquaredError, epochs: 30 })
    expect(epochs[29].loss).toBeLessThan(epochs[0].loss)
  })
})

describe('memory that the system refuses', () => {
  afterEach(() => {
    vi.unstubAllGlobals()
  })

  it.each(executors)('is a MemoryError on the %s executor, before anything changed', async (executor) => {
    const net = sequential([input(2), dense(1)], { executor })
    const before = bitsOf(net)
    vi.stubGlobal(
      'SharedArrayBuffer',
      class {
        constructor() {
          throw new RangeError('Array buffer allocation failed')
        }
      },
    )
    const parts = ['which could not be allocated', 'are free']
    await expectRefusal(() => net.fit(xor, meanSquaredError), 'ERR_MEMORY', 'gradients 128 bytes', ...parts)
    await expectRefusal(() => net.predict(xor.x), 'ERR_MEMORY', 'predict: input "input_1": its 8 numbers need 32 bytes', ...parts)
    expect(() => sequential([input(2), dense(1)], { executor })).toThrow(/parameters 128 bytes.*could not be allocated/)
    vi.unstubAllGlobals()
    expect(bitsOf(net)).toEqual(before)
    const { epochs } = await net.fit(xor, { ...meanSquaredError, epochs: 20 })
    expect(epochs[19].loss).toBeLessThan(epochs[0].loss)
  })
})
