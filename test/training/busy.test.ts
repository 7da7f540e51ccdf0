import { expect, it } from 'vitest'
import { dense, input, sequential } from '../../src/index.ts'

const x = Array.from({ length: 4000 }, (_, i) => [i / 4000, 1 - i / 4000])
const y = x.map(([a, b]) => [a * b])

it('weights cannot be set while a run uses them, but can between epochs', async () => {
  const net = sequential([input(2), dense(16, { activation: 'tanh' }), dense(1)])
  const weights = net.weights()
  const steps: string[] = []
  const running = net.fit(
    { x, y },
    {
      loss: 'meanSquaredError',
      epochs: 2,
      onEpochEnd: () => {
        net.setWeights(weights)
        steps.push('set between epochs')
      },
    },
  )
  await Promise.resolve()
  for (const change of [() => net.setWeights(weights), () => net.initialize()]) {
    expect(change).toThrow(expect.objectContaining({ code: 'ERR_BUSY', message: expect.stringContaining('onEpochEnd') }))
  }
  await running
  expect(steps).toHaveLength(2)
  expect(net.weights()).toEqual(weights)
})
