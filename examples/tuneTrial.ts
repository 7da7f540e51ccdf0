/** One trial of `tune.ts`: a network for the digits, and its accuracy on a fifth that is held out. Each worker thread reads the data once. */
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { adamW, dense, dropout, input, sequential, space, splitData, type Trial } from '../src/index.ts'

export const digitsSpace = {
  learningRate: space.number(1e-5, 1e-1, { log: true }),
  weightDecay: space.number(1e-4, 1, { log: true }),
  units: space.integer(16, 256, { log: true }),
  layers: space.integer(1, 3),
  activation: space.choice(['relu', 'gelu', 'tanh']),
  dropoutRate: space.number(0, 0.5, { step: 0.1 }),
}

const lines = gunzipSync(readFileSync(new URL('data/digits.csv.gz', import.meta.url)))
  .toString()
  .trim()
  .split('\n')
const rows = lines.map((line) => line.split(',').map(Number))
const { training, validation } = splitData(
  { x: rows.map((row) => row.slice(0, 64).map((pixel) => pixel / 16)), y: rows.map((row) => row[64]) },
  { stratified: true },
)

const trial: Trial<typeof digitsSpace> = async (parameters, { seed, threads, epochs, signal, callback }) => {
  const { learningRate, weightDecay, units, layers, activation, dropoutRate } = parameters
  const hidden = Array.from({ length: layers }, () => [dense(units, { activation }), dropout(dropoutRate)])
  const net = sequential([input(64), ...hidden.flat(), dense(10)], { seed, threads })
  const { epochs: values } = await net.fit(training, {
    loss: 'sparseCategoricalCrossentropy',
    metrics: ['accuracy'],
    optimizer: adamW({ learningRate, weightDecay }),
    validationData: validation,
    epochs,
    signal,
    callbacks: [callback('validationAccuracy')],
  })
  return values[values.length - 1].validationAccuracy
}

export default trial
