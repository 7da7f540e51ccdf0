/** A program of its own for fallback.test.ts: makes and trains models the default way, and prints what came of it. */
import { adam, dense, executionInfo, input, loadModel, loadTabular, openShared, sequential } from '../../src/index.ts'
import { expectRefusal, xor } from './support.ts'

const make = () => sequential([input(2), dense(8, { activation: 'tanh' }), dense(1)], { seed: 1 })
const models = [make(), make(), make()]
const histories = await Promise.all(
  models.map((net) =>
    net.fit(xor, { loss: 'binaryCrossentropy', metrics: ['accuracy'], optimizer: adam({ learningRate: 0.05 }), epochs: 200, batchSize: 4 }),
  ),
)
const execution = { executor: 'native' } as const
// No file, so that it is not read before the refusal.
const nothing = new Uint8Array()
const calls: Readonly<Record<string, () => unknown>> = {
  sequential: () => sequential([input(2), dense(1)], execution),
  loadModel: () => loadModel(nothing, execution),
  loadTabular: () => loadTabular(nothing, execution),
  openShared: () => openShared(models[0].share(), execution),
}
for (const [name, call] of Object.entries(calls))
  await expectRefusal(call, 'ERR_NATIVE', `${name}: the native executor cannot be used`, 'THALWEG_DISABLE_NATIVE is set to "1"')
console.log(
  JSON.stringify({
    executors: models.map((net) => net.executor.name),
    last: histories.map(({ epochs }) => epochs[199]),
    info: executionInfo(),
    refused: Object.keys(calls),
  }),
)
