/** Models of every kind of layer, for the tests of files. */
import {
  activation,
  add,
  alphaDropout,
  argmax,
  batch,
  concat,
  concatenate,
  constant,
  constantOf,
  dense,
  divide,
  dropConnect,
  dropout,
  elementCount,
  flatten,
  flip,
  gatedDense,
  gather,
  gaussianDropout,
  gaussianNoise,
  greater,
  input,
  l1,
  l1l2,
  l2,
  type Model,
  maximum,
  maxNorm,
  maxout,
  minimum,
  model,
  multiply,
  nonNegative,
  normalOf,
  oneHot,
  orthogonal,
  orthogonalRegularizer,
  parameter,
  power,
  prelu,
  reshape,
  sequential,
  slice,
  softmax,
  spatialDropout,
  stochasticDepth,
  stopGradient,
  subtract,
  sum,
  type TrainingData,
  transpose,
  truncatedNormal,
  uniformWithin,
  unitNorm,
  variance,
  varianceScaling,
  whenTraining,
  where,
} from '../../../src/index.ts'
import { numbers, rows } from '../../training/support.ts'

interface Case {
  readonly make: (options?: { executor?: 'native' | 'reference' }) => Model
  readonly data: TrainingData
  readonly loss: Parameters<Model['fit']>[1]['loss']
}

const labels = (count: number, classes: number) => Array.from({ length: count }, (_, i) => (i * 7) % classes)

/** By what they are about. */
export const cases: Readonly<Record<string, Case>> = {
  'a stack': {
    make: (options) => sequential([input(3), dense(8, { activation: 'relu' }), dense(1)], { seed: 5, ...options }),
    data: { x: rows(24, 3), y: rows(24, 1, 1) },
    loss: 'meanSquaredError',
  },
  'noise of all kinds': {
    make: (options) =>
      sequential(
        [
          input(6),
          gaussianNoise(0.1),
          dropConnect(12, { rate: 0.3, activation: 'tanh' }),
          dropout(0.2),
          dense(8, { activation: 'selu' }),
          alphaDropout(0.1),
          gaussianDropout(0.1),
          (x) => reshape(x, [batch, 2, 4]),
          spatialDropout(0.3),
          flatten(),
          (x) => add(x, stochasticDepth(dense(x, 8), 0.4)),
          dense(3),
        ],
        { seed: 2 ** 40 + 3, ...options },
      ),
    data: { x: rows(40, 6), y: labels(40, 3) },
    loss: 'sparseCategoricalCrossentropy',
  },
  'penalties and constraints': {
    make: (options) =>
      sequential(
        [
          input(4),
          dense(8, { kernelRegularizer: l2(0.01), biasRegularizer: l1(0.02), kernelConstraint: maxNorm(1.5), activation: 'gelu' }),
          dense(6, { kernelRegularizer: orthogonalRegularizer(0.1, { mode: 'columns' }), kernelConstraint: unitNorm({ axes: [1] }) }),
          activation('mish', { activityRegularizer: l1l2({ l1: 0.1, l2: 0.2 }) }),
          prelu({ slopeInitializer: constantOf(0.25), slopeRegularizer: l2(), slopeConstraint: nonNegative() }),
          dense(4, { activityRegularizer: l2(0.3), kernelRegularizer: (x) => multiply(0.01, sum(multiply(dropout(0.5)(x), x))) }),
          dense(2, { kernelConstraint: (w) => minimum(maximum(w, -0.6), 0.6) }),
        ],
        { seed: 9, ...options },
      ),
    data: { x: rows(30, 4), y: rows(30, 2, 1) },
    loss: 'huber',
  },
  'initializers by function': {
    make: (options) =>
      sequential(
        [
          input(5),
          dense(5, { kernelInitializer: orthogonal(1.5), biasInitializer: uniformWithin(-0.1, 0.3), name: 'first' }),
          dense(4, { kernelInitializer: truncatedNormal(0.1, 0.2), biasInitializer: constantOf(-0), activation: 'swish' }),
          dense(4, { kernelInitializer: 'identity', biasInitializer: normalOf(0, 0.4) }),
          dense(1, { kernelInitializer: varianceScaling({ scale: 2, mode: 'fanOut', distribution: 'normal' }) }),
        ],
        { seed: 1, ...options },
      ),
    data: { x: rows(20, 5), y: rows(20, 1, 1) },
    loss: 'meanAbsoluteError',
  },
  'several inputs and outputs, a shared layer, indices': {
    make: (options) => {
      const word = input(2, { name: 'words', dtype: 'int32' })
      const left = input(4, { name: 'left' })
      const right = input(4)
      const shared = dense(6, { activation: 'tanh', name: 'twin', kernelRegularizer: l2(0.001) })
      const table = parameter('table', [11, 3], normalOf(0, 0.5), { constrain: maxNorm(1, { axes: [1] }) })
      const joined = concatenate([shared(left), shared(right), reshape(gather(table, word), [batch, 6])])
      const body = maxout(gatedDense(joined, 10, { gate: 'sigmoid' }), 5, { pieces: 3 })
      const net = model([word, left, right], [dense(body, 3, { name: 'classes' }), dense(body, 1)], { seed: 3, ...options })
      net.freeze('twin.bias')
      return net
    },
    data: {
      x: { words: Array.from({ length: 24 }, (_, i) => [i % 11, (i * 5) % 11]), left: rows(24, 4, 1), input_1: rows(24, 4, 2) },
      y: { classes: labels(24, 3), dense_1: rows(24, 1, 3) },
    },
    loss: { classes: 'sparseCategoricalCrossentropy', dense_1: 'meanSquaredError' },
  },
  'ops with attributes, odd numbers, the batch size': {
    make: (options) => {
      const x = input([4, 3])
      const scale = parameter('scale', [], constantOf(1))
      const limited = minimum(maximum(x, Number.NEGATIVE_INFINITY), Number.POSITIVE_INFINITY)
      const zeros = multiply(limited, -0)
      const kept = where(greater(x, Number.NaN), 7, add(limited, zeros))
      const mixed = transpose(flip(kept, [1]), [0, 2, 1])
      const part = slice(mixed, [null, [0, 2], [1, 4]])
      const centred = divide(
        subtract(part, divide(sum(part, { axes: [0], keepDims: true }), elementCount([batch]))),
        add(1, variance(part)),
      )
      const doubled = concat([reshape(centred, [batch, 6]), multiply(2, reshape(centred, [batch, 6]))], 0)
      const folded = reshape(doubled, [batch, 12])
      const noisy = whenTraining(multiply(folded, power(scale, 1.5)), folded)
      const hot = oneHot(constantLabels(), 12)
      const gated = add(noisy, multiply(stopGradient(softmax(noisy)), sum(hot, { axes: [0] })))
      return model(x, dense(gated, 2), { seed: 8, ...options })
    },
    data: { x: numbersAs(18), y: rows(18, 2, 4) },
    loss: 'meanSquaredError',
  },
}

function constantLabels() {
  return argmax(multiply(constant(1), parameter('scores', [3, 12], uniformWithin(0, 1))))
}

function numbersAs(count: number): number[][][] {
  const all = numbers(count * 12)
  return Array.from({ length: count }, (_, i) => Array.from({ length: 4 }, (_, j) => all.slice(i * 12 + j * 3, i * 12 + j * 3 + 3)))
}
