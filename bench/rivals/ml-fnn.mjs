// ml-fnn classifies, by plain gradient descent over the batch. Whatever activation is asked for, it takes tanh.
import FeedForwardNeuralNetwork from 'ml-fnn'
import { rowsOf } from './rows.mjs'

export function create(definition, batches) {
  const { sizes, optimizer } = definition
  const net = new FeedForwardNeuralNetwork({
    hiddenLayers: sizes.slice(1, -1),
    iterations: 1,
    learningRate: optimizer.learningRate,
    regularization: 1e-9,
    activation: 'tanh',
  })
  const data = batches.map((batch) => ({ x: rowsOf(definition, batch).map((row) => Array.from(row)), y: Array.from(batch.y) }))
  // Its first batch fixes which classes there are.
  const classes = new Set(data.flatMap(({ y }) => y)).size
  const complete = data.findIndex(({ y }) => new Set(y).size === classes)
  return {
    note: 'classification by gradient descent, tanh',
    step(i) {
      const { x, y } = data[i === 0 ? Math.max(0, complete) : i % data.length]
      net.train(x, y)
    },
  }
}
