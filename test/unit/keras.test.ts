/**
 * Layers and optimizers against numbers from Keras: 334 layer cases that keras-js recorded from Keras 2, and the golden values
 * of Keras 3's own optimizer tests. The files lie beside the repository and do not belong to it.
 */
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import {
  type ActivationChoice,
  activation,
  adadelta,
  adafactor,
  adagrad,
  adam,
  adamax,
  adamW,
  add,
  batch,
  broadcastTo,
  concatenate,
  dense,
  divide,
  dropout,
  elu,
  flatten,
  ftrl,
  gaussianDropout,
  gaussianNoise,
  hardSigmoid,
  input,
  lamb,
  leakyRelu,
  lion,
  matmul,
  maximum,
  minimum,
  model,
  multiply,
  nadam,
  type Optimizer,
  prelu,
  relu,
  reshape,
  rmsprop,
  sequential,
  sgd,
  sqrt,
  square,
  subtract,
  sum,
  type Tensor,
  thresholdedRelu,
  transpose,
} from '../../src/index.ts'
import { type ExecutorName, executors, scaledBy, stepsWith } from '../training/support.ts'

function read(name: string) {
  const path = fileURLToPath(new URL(`../../../shared/data/${name}`, import.meta.url))
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : null
}

interface Values {
  readonly data: readonly number[]
  readonly shape: readonly number[]
}

type Attributes = Readonly<Record<string, never>>

interface LayerCase {
  readonly calls?: readonly { readonly layer: string; readonly attrs: Attributes }[]
  readonly input?: Values
  readonly inputs?: readonly Values[]
  /** A graph of layers, in order. */
  readonly params?: {
    readonly layers: readonly { readonly layerClass: string; readonly attrs: Attributes; readonly inbound: readonly string[] }[]
  }
  readonly weights?: readonly Values[]
  readonly expected: Values
}

/** Keras' activations by its names. */
const activations: Record<string, ActivationChoice> = {
  linear: 'linear',
  relu: 'relu',
  elu: 'elu',
  selu: 'selu',
  sigmoid: 'sigmoid',
  // Keras 3 has taken the slope of PyTorch.
  hard_sigmoid: (x) => hardSigmoid(x, { slope: 0.2 }),
  tanh: 'tanh',
  softplus: 'softplus',
  softsign: 'softsign',
  softmax: 'softmax',
}

/** Those that a case gives numbers to. */
const shaped: Record<string, (x: Tensor, options: { alpha: number; maxValue?: number }) => Tensor> = {
  elu,
  relu: (x, { alpha, maxValue }) => (maxValue === undefined ? leakyRelu(x, { slope: alpha }) : minimum(relu(x), maxValue)),
}

/** Merges of branches. */
const merges: Record<
  string,
  (branches: readonly Tensor[], attributes: { axis?: number; axes?: number | number[]; normalize?: boolean }) => Tensor
> = {
  Add: (branches) => branches.reduce((a, b) => add(a, b)),
  Subtract: ([a, b]) => subtract(a, b),
  Multiply: (branches) => branches.reduce((a, b) => multiply(a, b)),
  Average: (branches) =>
    multiply(
      1 / branches.length,
      branches.reduce((a, b) => add(a, b)),
    ),
  Maximum: (branches) => branches.reduce((a, b) => maximum(a, b)),
  Minimum: (branches) => branches.reduce((a, b) => minimum(a, b)),
  Concatenate: (branches, { axis }) => concatenate(branches, { axis }),
  // Of branches [batch, a, b]: a product along one axis of each.
  Dot: (branches, { axes, normalize }) => {
    const [first, second] = [axes, axes].map((axis, i) => (Array.isArray(axis) ? axis[i] : axis) as number)
    const norm = (x: Tensor, axis: number) => sqrt(sum(square(x), { axes: [axis], keepDims: true }))
    const [a, b] = branches.map((x, i) => (normalize ? divide(x, norm(x, [first, second][i])) : x))
    return matmul(a, b, { transposeA: first === 1, transposeB: second === 2 })
  },
}

/** Layers of one input. */
const layers: Record<string, (x: Tensor, attributes: Attributes) => Tensor> = {
  Dense: (x, { units, activation: name = 'linear', use_bias: useBias = true }) =>
    dense(x, units, { activation: activations[name], useBias }),
  Activation: (x, { activation: name }) => activation(x, activations[name]),
  Flatten: (x) => flatten(x),
  Dropout: (x, { p }) => dropout(x, p),
  GaussianDropout: (x, { p }) => gaussianDropout(x, p),
  GaussianNoise: (x, { sigma }) => gaussianNoise(x, sigma),
  LeakyReLU: (x, { alpha }) => leakyRelu(x, { slope: alpha }),
  PReLU: (x) => prelu(x),
  ELU: (x, { alpha }) => elu(x, { alpha }),
  ThresholdedReLU: (x, { theta }) => thresholdedRelu(x, { threshold: theta }),
  Reshape: (x, { target_shape: shape }) => reshape(x, [batch, ...(shape as number[])]),
  // Keras counts axes from 1, without the batch.
  Permute: (x, { dims }) => transpose(x, [0, ...(dims as number[])]),
  RepeatVector: (x, { n }) => broadcastTo(reshape(x, [batch, 1, x.shape[1]]), [batch, n, x.shape[1]]),
}
for (const name of Object.keys(activations))
  layers[`activation:${name}`] = (x, options) => {
    const [given] = options as unknown as { alpha: number }[]
    return given === undefined ? activation(x, activations[name]) : shaped[name](x, given)
  }

const layersOf = ({ calls, params }: LayerCase): string[] =>
  params === undefined ? (calls ?? []).map(({ layer }) => layer) : params.layers.map(({ layerClass }) => layerClass)

const isOurs = (each: LayerCase): boolean => layersOf(each).every((layer) => layer in layers || layer in merges)

/** A graph: layers that name those whose outputs they take; those that name none take the inputs, in order. */
function buildGraph(specs: NonNullable<LayerCase['params']>['layers'], inputs: readonly Tensor[]): Tensor {
  const outputs = new Map<string, Tensor>()
  const unused = [...inputs]
  for (const { layerClass, attrs, inbound } of specs) {
    const from = inbound.length === 0 ? [unused.shift() as Tensor] : inbound.map((name) => outputs.get(name) as Tensor)
    outputs.set(attrs.name, layerClass in merges ? merges[layerClass](from, attrs) : layers[layerClass](from[0], attrs))
  }
  return [...outputs.values()][outputs.size - 1]
}

/** Calls one after the other; before a merge each Dense begins a branch, and what follows it belongs to it. */
function buildCalls(calls: NonNullable<LayerCase['calls']>, x: Tensor): Tensor {
  const merge = merges[calls[calls.length - 1].layer]
  const branches: Tensor[] = []
  for (const { layer, attrs } of merge === undefined ? calls : calls.slice(0, -1)) {
    const begins = branches.length === 0 || (merge !== undefined && layer === 'Dense')
    const y = layers[layer](begins ? x : branches[branches.length - 1], attrs)
    if (begins) branches.push(y)
    else branches[branches.length - 1] = y
  }
  return merge === undefined ? branches[0] : merge(branches, calls[calls.length - 1].attrs)
}

const inputsOf = (each: LayerCase): readonly Values[] => each.inputs ?? [each.input as Values]

function build(each: LayerCase, executor: ExecutorName) {
  const { calls = [], params, weights = [] } = each
  const inputs = inputsOf(each).map(({ shape }, i) => input(shape, { name: `x${i}` }))
  const net = model(inputs, params === undefined ? buildCalls(calls, inputs[0]) : buildGraph(params.layers, inputs), { executor })
  expect(net.parameters.length).toBe(weights.length)
  net.setWeights(Object.fromEntries(net.parameters.map(({ name }, i) => [name, Float32Array.from(weights[i].data)])))
  return net
}

const layerCases: Record<string, LayerCase> | null = read('keras-layers.json')
const runnable = Object.entries(layerCases ?? {}).filter(([, each]) => isOurs(each))

describe.skipIf(layerCases === null)('layers as in Keras 2 (skipped where ../shared/data/keras-layers.json is missing)', () => {
  it('96 of its 334 cases can be built of what we have: all but convolution, pooling, recurrence, normalization and embedding', () => {
    expect(Object.keys(layerCases ?? {}).length).toBe(334)
    expect(runnable.length).toBe(96)
    const begun = (name: string) => Object.keys(layerCases ?? {}).filter((each) => each.startsWith(name))
    for (const group of ['activations.', 'advanced_activations.', 'core.', 'merge.', 'noise.'])
      expect(runnable.filter(([name]) => name.startsWith(group)).length).toBe(begun(group).length)
  })

  describe.each(executors)('on the %s executor', (executor) => {
    it.each(runnable)('%s', async (_, each) => {
      const x = Object.fromEntries(inputsOf(each).map(({ data }, i) => [`x${i}`, Float32Array.from(data)]))
      const { data, shape } = await build(each, executor).predict(x)
      expect(shape.slice(1)).toEqual(each.expected.shape)
      expect(data.length).toBe(each.expected.data.length)
      // All numbers are printed with six decimals. Where the weights are random that rounds them too, by up to 5e-7 each, which a
      // product over six features and three branches makes 2e-6 (merge.Multiply.1, in double precision).
      const rounding = layersOf(each).length > 2 ? 3e-6 : 1e-6
      each.expected.data.forEach((value, i) => expect(Math.abs(data[i] - value)).toBeLessThan(rounding * Math.max(1, Math.abs(value))))
    })
  })
})

interface OptimizerCase {
  readonly options: Readonly<Record<string, number>>
  readonly x0: readonly number[]
  readonly firstGrad: readonly number[]
  readonly grad: readonly number[]
  readonly golden: readonly (readonly number[])[]
}

/** The protocol in the file: one step with firstGrad, then five times: compare, and step with grad. */
const gradientsOf = ({ firstGrad, grad, golden }: OptimizerCase) => [firstGrad, ...golden.slice(1).map(() => grad)]

const optimizerCases: Record<string, OptimizerCase> | null = read('keras-optimizers.json')?.cases ?? null

/** Ours for Keras' cases, from their options, with Keras' defaults where they are not ours. */
const optimizers: Record<string, (options: OptimizerCase['options']) => Optimizer> = {
  Adadelta: ({ learning_rate: learningRate, rho, epsilon }) => adadelta({ learningRate, rho, epsilon }),
  Adafactor: (options) =>
    adafactor({
      learningRate: options.learning_rate,
      beta2Decay: options.beta_2_decay,
      epsilon1: options.epsilon_1,
      epsilon2: options.epsilon_2,
      clipThreshold: options.clip_threshold,
      // Its case says false, but Keras' ρ is min(rate, 1/√t) all the same, as the fifth step shows.
      relativeStep: true,
    }),
  // Keras has ε under the root of the sum, which is 0.3 here at least: a difference of 2e-6.
  Adagrad: ({ learning_rate: learningRate, initial_accumulator_value: initialAccumulator, epsilon }) =>
    adagrad({ learningRate, initialAccumulator, epsilon }),
  Adam: () => adam({ amsgrad: true, epsilonHat: true }),
  Adamax: ({ learning_rate: learningRate, beta_1: beta1, beta_2: beta2, epsilon }) => adamax({ learningRate, beta1, beta2, epsilon }),
  AdamW: ({ learning_rate: learningRate, weight_decay: weightDecay, epsilon }) =>
    adamW({ learningRate, weightDecay, epsilon, epsilonHat: true }),
  Ftrl: (options) =>
    ftrl({
      learningRate: options.learning_rate,
      learningRatePower: options.learning_rate_power,
      initialAccumulator: options.initial_accumulator_value,
      l1Regularization: options.l1_regularization_strength,
      // Keras adds β / (2 learningRate) to λ2, which is the paper's β / learningRate.
      l2Regularization: options.l2_regularization_strength,
      l2Shrinkage: options.l2_shrinkage_regularization_strength,
      beta: options.beta,
    }),
  Lamb: () => lamb(),
  Lion: () => lion({ learningRate: 0.001 }),
  // 0.96^t in Keras, 0.96^(0.004 t) in Dozat's paper and in PyTorch.
  Nadam: ({ learning_rate: learningRate, beta_1: beta1, beta_2: beta2, epsilon }) =>
    nadam({ learningRate, beta1, beta2, epsilon, momentumDecay: 1 }),
  RMSprop: () => rmsprop({ centered: true }),
  // Its case asks for nesterov without momentum, which is plain descent.
  SGD: () => sgd({ learningRate: 0.01 }),
}

describe.skipIf(optimizerCases === null)('optimizers as in Keras 3 (skipped where ../shared/data/keras-optimizers.json is missing)', () => {
  const cases = optimizerCases as Record<string, OptimizerCase>

  it('are all of the twelve', () => expect(Object.keys(cases).sort()).toEqual(Object.keys(optimizers).sort()))

  describe.each(executors)('on the %s executor', (executor) => {
    it.each(Object.keys(optimizers))('%s', async (name) => {
      const { x0, golden, options } = cases[name]
      expect(new Set(x0)).toEqual(new Set([1]))
      const net = sequential([input(x0.length), scaledBy(x0.length)], { executor })
      const actual = await stepsWith(net, optimizers[name](options), gradientsOf(cases[name]))
      expect(actual.length).toBe(golden.length)
      // The tolerance of Keras' own test: both relative and absolute.
      golden.forEach((row, step) =>
        row.forEach((value, i) =>
          expect(Math.abs(actual[step][i] - value), `step ${step}, element ${i}`).toBeLessThan(5e-4 + 5e-4 * Math.abs(value)),
        ),
      )
    })
  })
})
