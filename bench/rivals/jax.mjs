// jax-js: the whole step, written out with its functions, is one compiled function; arguments are consumed, hence `.ref`.
import { defaultDevice, init, jit, nn, numpy as np, random, valueAndGrad } from '@jax-js/jax'
import { flatTargets } from './rows.mjs'

const activations = {
  linear: (x) => x,
  relu: nn.relu,
  tanh: np.tanh,
  sigmoid: nn.sigmoid,
  gelu: (x) => nn.gelu(x, { approximate: false }),
}

function forward({ hidden, output, dropout }, layers, x, masks) {
  return layers.reduce((h, { kernel, bias }, i) => {
    const z = np.matmul(h, kernel).add(bias)
    if (i === layers.length - 1) return activations[output](z)
    const a = activations[hidden](z)
    return dropout > 0 ? a.mul(masks[i]) : a
  }, x)
}

function lossFor(definition) {
  const { loss, batchSize } = definition
  return (layers, x, y, masks) => {
    const prediction = forward(definition, layers, x, masks)
    if (loss === 'meanSquaredError') return np.square(prediction.sub(y)).mean()
    return nn
      .logSoftmax(prediction)
      .mul(y)
      .sum()
      .mul(-1 / batchSize)
  }
}

/** New value and slots of one parameter. `corrections` are Adam's 1 - beta^t, which change from step to step. */
function update(optimizer, p, g, slots, corrections) {
  const { kind, learningRate, momentum, epsilon, weightDecay } = optimizer
  if (kind === 'sgd') {
    if (momentum === 0) return [p.sub(g.mul(learningRate)), []]
    const velocity = slots[0].mul(momentum).add(g)
    return [p.sub(velocity.ref.mul(learningRate)), [velocity]]
  }
  const mean = slots[0].mul(0.9).add(g.ref.mul(0.1))
  const square = slots[1].mul(0.999).add(np.square(g).mul(0.001))
  const direction = mean.ref.div(corrections[0].ref).div(np.sqrt(square.ref.div(corrections[1].ref)).add(epsilon))
  return [p.mul(1 - learningRate * weightDecay).sub(direction.mul(learningRate)), [mean, square]]
}

const slotCount = ({ kind, momentum }) => (kind !== 'sgd' ? 2 : momentum > 0 ? 1 : 0)
const parts = ['kernel', 'bias']

function stepFor(definition) {
  const { sizes, batchSize, dropout, optimizer } = definition
  const gradients = valueAndGrad(lossFor(definition))
  return jit((layers, slots, corrections, keys, x, y) => {
    const masks = keys.map((key, i) =>
      random
        .bernoulli(key, 1 - dropout, [batchSize, sizes[i + 1]])
        .astype(np.float32)
        .mul(1 / (1 - dropout)),
    )
    const held = layers.map(({ kernel, bias }) => ({ kernel: kernel.ref, bias: bias.ref }))
    const [loss, slopes] = gradients(held, x, y, masks)
    const newSlots = layers.map(() => ({}))
    const newLayers = layers.map((layer, i) => {
      const result = {}
      for (const part of parts) {
        const [value, kept] = update(optimizer, layer[part], slopes[i][part], slots[i][part], corrections)
        result[part] = value
        newSlots[i][part] = kept
      }
      return result
    })
    for (const correction of corrections) correction.dispose()
    return [loss, newLayers, newSlots]
  })
}

export async function create(definition, batches, device) {
  await init(device)
  defaultDevice(device)
  const { sizes, batchSize, dropout, optimizer } = definition
  const units = sizes.at(-1)
  let layers = sizes.slice(1).map((width, i) => ({
    kernel: random.normal(random.key(i), [sizes[i], width]).mul(Math.sqrt(2 / sizes[i])),
    bias: np.zeros([width]),
  }))
  const empty = (array) => Array.from({ length: slotCount(optimizer) }, () => np.zeros(array.shape))
  let slots = layers.map(({ kernel, bias }) => ({ kernel: empty(kernel), bias: empty(bias) }))
  const data = batches.map(({ x, y }) => ({
    x: np.array(Float32Array.from(x), { shape: [batchSize, sizes[0]] }),
    y: np.array(flatTargets(definition, { y }), { shape: [batchSize, units] }),
  }))
  const step = stepFor(definition)
  const hidden = dropout > 0 ? sizes.slice(1, -1) : []
  let t = 0
  return {
    note: 'loss, optimizer and step written out by hand, compiled as one function',
    step() {
      const { x, y } = data[t % data.length]
      t += 1
      const corrections = optimizer.kind === 'sgd' ? [] : [np.array(1 - 0.9 ** t), np.array(1 - 0.999 ** t)]
      const keys = hidden.map((_, i) => random.key(t * hidden.length + i))
      const [value, newLayers, newSlots] = step(layers, slots, corrections, keys, x.ref, y.ref)
      layers = newLayers
      slots = newSlots
      // Reading the loss makes the step run: until then it is only queued.
      value.dataSync()
    },
  }
}
