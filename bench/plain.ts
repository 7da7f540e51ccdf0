/**
 * The yardstick: a network as a competent engineer writes it by hand in TypeScript, without a library: typed arrays, loops in the order in which
 * memory lies (so V8 keeps the inner one tight), buffers allocated once, nothing clever.
 */
import { Purpose, RandomStream } from '../src/random.ts'
import type { Case, OptimizerDefinition } from './cases.ts'

interface Layer {
  readonly inputs: number
  readonly units: number
  /** [inputs, units], row by row. */
  readonly kernel: Float32Array
  readonly bias: Float32Array
  readonly kernelGradient: Float32Array
  readonly biasGradient: Float32Array
  /** [batch, units]: before and after the activation, and the loss's gradient with respect to it. */
  readonly z: Float32Array
  readonly a: Float32Array
  readonly gradient: Float32Array
  /** 0 or 1/(1 - rate), for each activation. */
  readonly kept: Float32Array | null
  readonly slots: readonly (readonly [Float32Array, Float32Array])[]
}

type ActivationName = Case['hidden'] | Case['output']

/** Abramowitz and Stegun 7.1.26: off by at most 1.5e-7. */
function erf(x: number): number {
  const t = 1 / (1 + 0.3275911 * Math.abs(x))
  const tail = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t * Math.exp(-x * x)
  return x >= 0 ? 1 - tail : tail - 1
}

const normalDistribution = (x: number) => 0.5 * (1 + erf(x * Math.SQRT1_2))
const normalDensity = (x: number) => Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI)

function activate(name: ActivationName, z: Float32Array, a: Float32Array): void {
  if (name === 'relu') for (let i = 0; i < z.length; i++) a[i] = z[i] > 0 ? z[i] : 0
  else if (name === 'tanh') for (let i = 0; i < z.length; i++) a[i] = Math.tanh(z[i])
  else if (name === 'sigmoid') for (let i = 0; i < z.length; i++) a[i] = 1 / (1 + Math.exp(-z[i]))
  else if (name === 'gelu') for (let i = 0; i < z.length; i++) a[i] = z[i] * normalDistribution(z[i])
  else a.set(z)
}

/** Multiplies the gradient by the activation's slope. `a` is the activation before dropout. */
function multiplyBySlope(name: ActivationName, z: Float32Array, gradient: Float32Array): void {
  if (name === 'relu') {
    for (let i = 0; i < z.length; i++) if (z[i] <= 0) gradient[i] = 0
  } else if (name === 'tanh') {
    for (let i = 0; i < z.length; i++) gradient[i] *= 1 - Math.tanh(z[i]) ** 2
  } else if (name === 'sigmoid') {
    for (let i = 0; i < z.length; i++) {
      const s = 1 / (1 + Math.exp(-z[i]))
      gradient[i] *= s * (1 - s)
    }
  } else if (name === 'gelu') {
    for (let i = 0; i < z.length; i++) gradient[i] *= normalDistribution(z[i]) + z[i] * normalDensity(z[i])
  }
}

/** z = x · kernel + bias. */
function forward(x: Float32Array, { inputs, units, kernel, bias, z }: Layer, batchSize: number): void {
  for (let row = 0; row < batchSize; row++) {
    const out = row * units
    for (let j = 0; j < units; j++) z[out + j] = bias[j]
    for (let k = 0; k < inputs; k++) {
      const value = x[row * inputs + k]
      const from = k * units
      for (let j = 0; j < units; j++) z[out + j] += value * kernel[from + j]
    }
  }
}

/** Gradients of kernel and bias: xᵀ · dz and the sum of dz over the batch. */
function kernelGradient(x: Float32Array, layer: Layer, batchSize: number): void {
  const { inputs, units, kernelGradient: dw, biasGradient: db, gradient: dz } = layer
  dw.fill(0)
  db.fill(0)
  for (let row = 0; row < batchSize; row++) {
    const out = row * units
    for (let j = 0; j < units; j++) db[j] += dz[out + j]
    for (let k = 0; k < inputs; k++) {
      const value = x[row * inputs + k]
      const to = k * units
      for (let j = 0; j < units; j++) dw[to + j] += value * dz[out + j]
    }
  }
}

/** Gradient of the input: dz · kernelᵀ. */
function inputGradient({ inputs, units, kernel, gradient: dz }: Layer, dx: Float32Array, batchSize: number): void {
  for (let row = 0; row < batchSize; row++) {
    const out = row * units
    for (let k = 0; k < inputs; k++) {
      const from = k * units
      let sum = 0
      for (let j = 0; j < units; j++) sum += dz[out + j] * kernel[from + j]
      dx[row * inputs + k] = sum
    }
  }
}

/** Writes the gradient of the batch's mean loss and returns the loss. */
function squaredError(prediction: Float32Array, target: Float32Array, gradient: Float32Array): number {
  let loss = 0
  for (let i = 0; i < prediction.length; i++) {
    const error = prediction[i] - target[i]
    loss += error * error
    gradient[i] = (2 * error) / prediction.length
  }
  return loss / prediction.length
}

/** The same for softmax cross-entropy against class numbers. */
function crossEntropy(logits: Float32Array, classes: Int32Array, gradient: Float32Array): number {
  const batchSize = classes.length
  const units = logits.length / batchSize
  let loss = 0
  for (let row = 0; row < batchSize; row++) {
    const from = row * units
    let highest = Number.NEGATIVE_INFINITY
    for (let j = 0; j < units; j++) if (logits[from + j] > highest) highest = logits[from + j]
    let sum = 0
    for (let j = 0; j < units; j++) {
      const value = Math.exp(logits[from + j] - highest)
      gradient[from + j] = value
      sum += value
    }
    for (let j = 0; j < units; j++) gradient[from + j] /= sum * batchSize
    gradient[from + classes[row]] -= 1 / batchSize
    loss += Math.log(sum) + highest - logits[from + classes[row]]
  }
  return loss / batchSize
}

function updateBySgd(p: Float32Array, g: Float32Array, velocity: Float32Array, rate: number, momentum: number): void {
  if (momentum === 0) {
    for (let i = 0; i < p.length; i++) p[i] -= rate * g[i]
    return
  }
  for (let i = 0; i < p.length; i++) {
    velocity[i] = momentum * velocity[i] + g[i]
    p[i] -= rate * velocity[i]
  }
}

const BETA_1 = 0.9
const BETA_2 = 0.999

function updateByAdam(
  p: Float32Array,
  g: Float32Array,
  [mean, square]: readonly [Float32Array, Float32Array],
  { learningRate, epsilon, weightDecay }: Extract<OptimizerDefinition, { kind: 'adam' | 'adamW' }>,
  step: number,
): void {
  const correction1 = 1 - BETA_1 ** step
  const correction2 = 1 - BETA_2 ** step
  const shrink = 1 - learningRate * weightDecay
  for (let i = 0; i < p.length; i++) {
    mean[i] = BETA_1 * mean[i] + (1 - BETA_1) * g[i]
    square[i] = BETA_2 * square[i] + (1 - BETA_2) * g[i] * g[i]
    p[i] = p[i] * shrink - (learningRate * (mean[i] / correction1)) / (Math.sqrt(square[i] / correction2) + epsilon)
  }
}

export class PlainNetwork {
  readonly layers: readonly Layer[]
  private readonly definition: Case
  private readonly random = new RandomStream(1, Purpose.sample)
  private steps = 0

  constructor(definition: Case) {
    this.definition = definition
    const { sizes, batchSize, dropout } = definition
    this.layers = sizes.slice(1).map((units, i) => {
      const inputs = sizes[i]
      const kernel = new Float32Array(inputs * units)
      const isLast = i === sizes.length - 2
      return {
        inputs,
        units,
        kernel: kernel.map(() => (2 * this.random.uniform() - 1) * Math.sqrt(6 / (inputs + units))),
        bias: new Float32Array(units),
        kernelGradient: new Float32Array(inputs * units),
        biasGradient: new Float32Array(units),
        z: new Float32Array(batchSize * units),
        a: new Float32Array(batchSize * units),
        gradient: new Float32Array(batchSize * units),
        kept: dropout > 0 && !isLast ? new Float32Array(batchSize * units) : null,
        slots: [inputs * units, units].map((size) => [new Float32Array(size), new Float32Array(size)] as const),
      }
    })
  }

  /** One training step over a batch; returns its loss before the update. */
  step(x: Float32Array, y: Float32Array | Int32Array): number {
    const { layers } = this
    this.predict(x)
    const last = layers[layers.length - 1]
    const loss = y instanceof Int32Array ? crossEntropy(last.a, y, last.gradient) : squaredError(last.a, y, last.gradient)
    this.backward(x)
    this.steps += 1
    for (const layer of layers) {
      this.update(layer.kernel, layer.kernelGradient, layer.slots[0])
      this.update(layer.bias, layer.biasGradient, layer.slots[1])
    }
    return loss
  }

  private activationOf(layer: number): ActivationName {
    return layer === this.layers.length - 1 ? this.definition.output : this.definition.hidden
  }

  private predict(x: Float32Array): void {
    let input = x
    this.layers.forEach((layer, i) => {
      forward(input, layer, this.definition.batchSize)
      activate(this.activationOf(i), layer.z, layer.a)
      if (layer.kept !== null) this.drop(layer.a, layer.kept)
      input = layer.a
    })
  }

  private drop(a: Float32Array, kept: Float32Array): void {
    const { dropout } = this.definition
    const scale = 1 / (1 - dropout)
    for (let i = 0; i < a.length; i++) {
      kept[i] = Math.random() < dropout ? 0 : scale
      a[i] *= kept[i]
    }
  }

  private backward(x: Float32Array): void {
    const { layers } = this
    for (let i = layers.length - 1; i >= 0; i--) {
      const { kept, gradient, z } = layers[i]
      if (kept !== null) for (let j = 0; j < gradient.length; j++) gradient[j] *= kept[j]
      multiplyBySlope(this.activationOf(i), z, gradient)
      kernelGradient(i === 0 ? x : layers[i - 1].a, layers[i], this.definition.batchSize)
      if (i > 0) inputGradient(layers[i], layers[i - 1].gradient, this.definition.batchSize)
    }
  }

  private update(p: Float32Array, g: Float32Array, slots: readonly [Float32Array, Float32Array]): void {
    const { optimizer } = this.definition
    if (optimizer.kind === 'sgd') updateBySgd(p, g, slots[0], optimizer.learningRate, optimizer.momentum)
    else updateByAdam(p, g, slots, optimizer, this.steps)
  }
}
