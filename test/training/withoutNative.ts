/** A program of its own for fallback.test.ts: makes and trains models the default way, and prints what came of it. */
import { adam, dense, executionInfo, input, sequential } from '../../src/index.ts'
import { expectRefusal, xor } from './support.ts'

const make = () => sequential([input(2), dense(8, { activation: 'tanh' }), dense(1)], { seed: 1 })
const models = [make(), make(), make()]
const histories = await Promise.all(
  models.map((net) =>
    net.fit(xor, { loss: 'binaryCrossentropy', metrics: ['accuracy'], optimizer: adam({ learningRate: 0.05 }), epochs: 200, batchSize: 4 }),
  ),
)
const refusal = await expectRefusal(
  () => sequential([input(2), dense(1)], { executor: 'native' }),
  'ERR_NATIVE',
  'the native executor cannot be used',
  'THALWEG_DISABLE_NATIVE is set to "1"',
)
console.log(
  JSON.stringify({
    executors: models.map((net) => net.executor.name),
    last: histories.map(({ epochs }) => epochs[199]),
    info: executionInfo(),
    refusal: refusal.code,
  }),
)
