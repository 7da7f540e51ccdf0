/** Data that cannot be trained on are refused with advice, and the model is afterwards as if nothing had happened. */
import { describe } from 'vitest'
import { losses, type Model } from '../../src/index.ts'
import { any } from '../any.ts'
import { crossEntropy, fitWith, labels, meanSquaredError, type Refusal, testRefusals, x, y } from './refusals.ts'
import { executors, oneHotRows, rows } from './support.ts'

const fitX = (features: unknown) => (net: Model) => net.fit({ x: any(features), y }, meanSquaredError)
const fitY = (targets: unknown) => (net: Model) => net.fit({ x, y: any(targets) }, meanSquaredError)
const changed = <T>(values: readonly T[], i: number, value: unknown): unknown[] => values.map((old, j) => (i === j ? value : old))

const sparse = [[0, 1], [2, 3], [4, 5], new Array(2)]
sparse[3][1] = 7

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
  ['a label too large', fitLabels([0, 3, 1, 0]), 'ERR_DATA', 'fit: y', 'class numbers of 0 … 2', 'got 3 at row 1', 'has 3 classes'],
  ['a negative label', fitLabels([0, 2, -1, 0]), 'ERR_DATA', 'class numbers of 0 … 2, got -1 at row 2'],
  ['a label between classes', fitLabels([0, 2, 1.5, 0]), 'ERR_DATA', 'expected integers, got 1.5 at row 2'],
  ['a label in a typed array', fitLabels(Int32Array.of(0, 1, 2, 9)), 'ERR_DATA', 'got 9 at row 3'],
  ['text for a label', fitLabels(['cat', 'dog', 'cat', 'dog']), 'ERR_DATA', 'expected a number at [0], got "cat"'],
  ['one-hot labels', fitLabels(oneHotRows(4).map((row) => row.slice(1))), 'ERR_DATA', 'one number a sample', 'shape [4, 3]'],
]

function fitLabels(targets: unknown) {
  return (net: Model) => net.fit({ x, y: any(targets) }, crossEntropy)
}

describe.each(executors)('on the %s executor, training refuses', (executor) => {
  testRefusals(executor, data)
  testRefusals(executor, [...otherForms, ...classes], 'classes')
})
