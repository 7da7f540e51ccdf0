/**
 * Fashion-MNIST (Xiao, Rasul and Vollgraf 2017): 60,000 pictures of clothes, 28 × 28 pixels, ten kinds. An MLP 784-256-128-100-10.
 *
 *     apt-get install dataset-fashion-mnist
 *     npx tsx examples/fashion.ts [folder]
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { adamW, dense, dropout, input, readIdx, sequential } from '../src/index.ts'

const folder = process.argv[2] ?? '/usr/share/datasets/fashion-mnist'
const EPOCHS = 12

if (!existsSync(folder))
  throw new Error(`${folder} is missing; install Debian's dataset-fashion-mnist, or give the folder of the four .gz files.`)
const read = async (name: string) => (await readIdx(join(folder, name))).data

/** Pixels as (value - mean) / deviation of all training pixels. */
function standardised(bytes: ArrayLike<number>, mean: number, deviation: number): Float32Array {
  const values = new Float32Array(new SharedArrayBuffer(bytes.length * 4))
  for (let i = 0; i < bytes.length; i++) values[i] = (bytes[i] - mean) / deviation
  return values
}

const trainingPixels = await read('train-images-idx3-ubyte.gz')
let sum = 0
let squares = 0
for (const pixel of trainingPixels) {
  sum += pixel
  squares += pixel * pixel
}
const mean = sum / trainingPixels.length
const deviation = Math.sqrt(squares / trainingPixels.length - mean * mean)
const labels = async (name: string) => Int32Array.from(await read(name))

const training = { x: standardised(trainingPixels, mean, deviation), y: await labels('train-labels-idx1-ubyte.gz') }
const test = { x: standardised(await read('t10k-images-idx3-ubyte.gz'), mean, deviation), y: await labels('t10k-labels-idx1-ubyte.gz') }

const net = sequential(
  [
    input(784, { name: 'pixels' }),
    dense(256, { activation: 'relu' }),
    dropout(0.1),
    dense(128, { activation: 'relu' }),
    dropout(0.1),
    dense(100, { activation: 'relu' }),
    dropout(0.1),
    dense(10),
  ],
  { seed: 1 },
)
console.log(net.summary())

const start = performance.now()
await net.fit(training, {
  loss: 'sparseCategoricalCrossentropy',
  optimizer: adamW({ learningRate: (epoch) => (epoch < 8 ? 1e-3 : epoch < 10 ? 3e-4 : 1e-4), weightDecay: 0.01 }),
  metrics: ['accuracy'],
  epochs: EPOCHS,
  batchSize: 128,
  onEpochEnd: (epoch, { loss, accuracy }) =>
    console.log(`epoch ${epoch + 1} of ${EPOCHS}: loss ${loss.toFixed(4)}, accuracy ${(100 * accuracy).toFixed(2)} %`),
})
const { accuracy } = await net.evaluate(test, { loss: 'sparseCategoricalCrossentropy', metrics: ['accuracy'] })
console.log(`test accuracy ${(100 * accuracy).toFixed(2)} % after ${((performance.now() - start) / 1000).toFixed(1)} s`)
