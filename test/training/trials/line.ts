/** What the worker threads of tune.test.ts run: a network learns a line; only one of the learning rates is any good. */
import { dense, input, sequential, sgd, space, type Trial } from '../../../src/index.ts'

export const rates = { rate: space.choice([1e-6, 1e-1, 1e-4]) }

const x = Float32Array.from({ length: 256 }, (_, i) => Math.sin(i))
const y = x.map((value) => 3 * value - 1)

const trial: Trial<typeof rates> = async ({ rate }, { seed, threads, epochs, signal, callback }) => {
  const net = sequential([input(1), dense(1)], { seed, threads })
  const optimizer = sgd({ learningRate: rate })
  const { epochs: values } = await net.fit({ x, y }, { loss: 'meanSquaredError', optimizer, epochs, signal, callbacks: [callback()] })
  return values[values.length - 1].loss
}

export default trial
