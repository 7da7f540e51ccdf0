// synaptic has an object for each connection and learns sample by sample, with logistic outputs and the squared error.
import synaptic from 'synaptic'
import { oneHotRows, rowsOf } from './rows.mjs'

const squashes = { relu: 'RELU', tanh: 'TANH' }

export function create(definition, batches) {
  const { sizes, hidden, optimizer } = definition
  const net = new synaptic.Architect.Perceptron(...sizes)
  for (const layer of net.layers.hidden) layer.set({ squash: synaptic.Neuron.squash[squashes[hidden]] })
  const data = batches.map((batch) => {
    const outputs = oneHotRows(definition, batch)
    return rowsOf(definition, batch).map((input, row) => ({ input, output: outputs[row] }))
  })
  return {
    note: 'an update for each sample (gradient descent), logistic output, squared error',
    step(i) {
      for (const { input, output } of data[i % data.length]) {
        net.activate(input)
        net.propagate(optimizer.learningRate, output)
      }
    },
  }
}
