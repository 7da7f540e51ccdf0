// brain.js learns sample by sample, has one activation for all layers and only the squared error.
import brain from 'brain.js'
import { oneHotRows, rowsOf } from './rows.mjs'

export function create(definition, batches) {
  const { sizes, hidden, optimizer } = definition
  const activation = hidden === 'relu' ? 'leaky-relu' : 'sigmoid'
  const net = new brain.NeuralNetwork({ inputSize: sizes[0], hiddenLayers: sizes.slice(1, -1), outputSize: sizes.at(-1), activation })
  const data = batches.map((batch) => {
    const outputs = oneHotRows(definition, batch)
    return rowsOf(definition, batch).map((input, row) => ({ input, output: outputs[row] }))
  })
  const praxis = optimizer.kind === 'sgd' ? undefined : 'adam'
  const { learningRate, momentum } = optimizer
  const praxisOptions = praxis === undefined ? {} : { praxis }
  // It refuses a momentum of 0; left out, it is 0.1.
  const momentumOptions = momentum > 0 ? { momentum } : {}
  const options = { iterations: 1, errorThresh: 1e-12, log: false, learningRate, ...momentumOptions, ...praxisOptions }
  return {
    note: `an update for each sample (${praxis ?? 'gradient descent'}), ${activation} in all layers, squared error`,
    step(i) {
      net.train(data[i % data.length], options)
    },
  }
}
