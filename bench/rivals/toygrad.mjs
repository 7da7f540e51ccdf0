// toygrad sums the gradients of a batch sample by sample, as convnetjs does, from which it descends.
import { NeuralNetwork, Tensor, Trainers } from 'toygrad'
import { oneHotRows, rowsOf } from './rows.mjs'

function trainerFor(net, { batchSize, optimizer }) {
  const { kind, learningRate, momentum, epsilon } = optimizer
  if (kind === 'sgd') return new Trainers.SGD(net, { batchSize, learningRate, momentum })
  return new Trainers.Adam(net, { batchSize, learningRate, eps: epsilon })
}

export function create(definition, batches) {
  const { sizes, hidden, output, dropout, loss } = definition
  const squared = loss === 'meanSquaredError'
  const net = new NeuralNetwork({
    layers: [
      { type: 'input', sx: 1, sy: 1, sz: sizes[0] },
      ...sizes
        .slice(1, -1)
        .flatMap((filters) => [
          { type: 'dense', filters },
          { type: hidden },
          ...(dropout > 0 ? [{ type: 'dropout', probability: dropout }] : []),
        ]),
      { type: 'dense', filters: sizes.at(-1) },
      ...(output === 'linear' ? [] : [{ type: output }]),
      { type: squared ? 'regression' : 'softmax' },
    ],
  })
  const trainer = trainerFor(net, definition)
  const data = batches.map((batch) => {
    const targets = squared ? oneHotRows(definition, batch) : Array.from(batch.y)
    return rowsOf(definition, batch).map((row, i) => ({ x: new Tensor(1, 1, row.length, row), y: targets[i] }))
  })
  return {
    note: '',
    step(i) {
      for (const { x, y } of data[i % data.length]) trainer.train(x, y)
    },
  }
}
