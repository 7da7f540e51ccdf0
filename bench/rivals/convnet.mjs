// convnetjs sums the gradients of a batch sample by sample; it has neither Adam nor an activation after its regression layer.
import convnetjs from 'convnetjs'
import { oneHotRows, rowsOf } from './rows.mjs'

export function create(definition, batches) {
  const { sizes, hidden, dropout, batchSize, loss, optimizer, output } = definition
  const squared = loss === 'meanSquaredError'
  const net = new convnetjs.Net()
  net.makeLayers([
    { type: 'input', out_sx: 1, out_sy: 1, out_depth: sizes[0] },
    ...sizes.slice(1, -1).map((units) => ({
      type: 'fc',
      num_neurons: units,
      activation: hidden,
      ...(dropout > 0 ? { drop_prob: dropout } : {}),
    })),
    squared ? { type: 'regression', num_neurons: sizes.at(-1) } : { type: 'softmax', num_classes: sizes.at(-1) },
  ])
  const method = optimizer.kind === 'sgd' ? 'sgd' : 'adadelta'
  const trainer = new convnetjs.Trainer(net, {
    method,
    batch_size: batchSize,
    learning_rate: optimizer.learningRate,
    momentum: optimizer.momentum,
  })
  const data = batches.map((batch) => {
    const targets = squared ? oneHotRows(definition, batch) : Array.from(batch.y)
    return rowsOf(definition, batch).map((row, i) => ({ x: volume(row), y: targets[i] }))
  })
  const notes = [method === 'adadelta' ? 'Adadelta: it has no Adam' : '', output === 'sigmoid' ? 'linear output' : '']
  return {
    note: notes.filter((note) => note !== '').join('; '),
    step(i) {
      for (const { x, y } of data[i % data.length]) trainer.train(x, y)
    },
  }
}

function volume(row) {
  const result = new convnetjs.Vol(1, 1, row.length, 0)
  result.w = row
  return result
}
