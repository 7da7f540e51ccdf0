// TensorFlow.js through its layers API; `trainOnBatch` is what its own `fit` calls, without the callbacks.
import * as tf from '@tensorflow/tfjs'

function optimizerFor({ kind, learningRate, momentum, epsilon }) {
  if (kind !== 'sgd') return tf.train.adam(learningRate, 0.9, 0.999, epsilon)
  return momentum > 0 ? tf.train.momentum(learningRate, momentum) : tf.train.sgd(learningRate)
}

function modelFor({ sizes, hidden, output, dropout, loss }) {
  const model = tf.sequential()
  sizes.slice(1, -1).forEach((units, i) => {
    model.add(tf.layers.dense({ units, activation: hidden, inputShape: [sizes[i]] }))
    if (dropout > 0) model.add(tf.layers.dropout({ rate: dropout }))
  })
  const activation = loss === 'meanSquaredError' ? output : 'softmax'
  model.add(tf.layers.dense({ units: sizes.at(-1), activation, inputShape: [sizes.at(-2)] }))
  return model
}

export async function create(definition, batches, backend) {
  // Its greeting would stand between the lines of the protocol.
  console.info = console.error
  if (backend === 'wasm') await import('@tensorflow/tfjs-backend-wasm')
  await tf.setBackend(backend)
  await tf.ready()
  const { sizes, batchSize, loss, optimizer } = definition
  const model = modelFor(definition)
  const squared = loss === 'meanSquaredError'
  model.compile({ optimizer: optimizerFor(optimizer), loss: squared ? 'meanSquaredError' : 'categoricalCrossentropy' })
  const tensors = batches.map(({ x, y }) => ({
    x: tf.tensor2d(Float32Array.from(x), [batchSize, sizes[0]]),
    y: squared ? tf.tensor2d(Float32Array.from(y), [batchSize, sizes.at(-1)]) : tf.oneHot(tf.tensor1d(y, 'int32'), sizes.at(-1)).toFloat(),
  }))
  return {
    note: optimizer.kind === 'adamW' ? 'Adam: it has no AdamW' : '',
    async step(i) {
      const { x, y } = tensors[i % tensors.length]
      await model.trainOnBatch(x, y)
    },
  }
}
