/** What the tests of refusals share: models to be given something wrong, and how to see that they took no harm. */
import { expect, it } from 'vitest'
import { dense, dropout, type FitOptions, input, type Model, sequential } from '../../src/index.ts'
import { any } from '../any.ts'
import { bitsOf, type ExecutorName, expectRefusal, rows } from './support.ts'

export const x = rows(4, 2, 1)
export const y = rows(4, 2, 2)
export const labels = [0, 2, 1, 0]
export const meanSquaredError: FitOptions = { loss: 'meanSquaredError', optimizer: 'sgd', batchSize: 2 }
export const crossEntropy: FitOptions = { loss: 'sparseCategoricalCrossentropy', optimizer: 'adam', batchSize: 2 }

/** Of two numbers. */
export const regressor = (executor: ExecutorName) =>
  sequential([input(2), dense(3, { activation: 'tanh' }), dropout(0.2), dense(2)], { seed: 5, executor })
/** Of three classes. */
const classifier = (executor: ExecutorName) => sequential([input(2), dense(4, { activation: 'relu' }), dense(3)], { seed: 6, executor })

export type Refusal = readonly [what: string, call: (net: Model) => unknown, code: string, ...parts: string[]]

export const fitWith = (options: object) => (net: Model) => net.fit({ x, y }, any({ ...meanSquaredError, ...options }))

/** Tests that each call is refused with its code and message, and that the model afterwards trains as if nothing had happened. */
export function testRefusals(executor: ExecutorName, refusals: readonly Refusal[], targets: 'numbers' | 'classes' = 'numbers'): void {
  const make = () => (targets === 'numbers' ? regressor : classifier)(executor)
  const train = (net: Model) => (targets === 'numbers' ? net.fit({ x, y }, meanSquaredError) : net.fit({ x, y: labels }, crossEntropy))
  /** The weights of a model that nobody disturbed, after its first training and after its second. */
  const undisturbed = async () => {
    const net = make()
    await train(net)
    const first = bitsOf(net)
    await train(net)
    return { first, second: bitsOf(net) }
  }
  const expected = undisturbed()

  it.each(refusals.map((refusal) => [refusal[0], refusal] as const))('%s', async (_, [, call, code, ...parts]) => {
    const { first, second } = await expected
    expect(second).not.toEqual(first)
    const net = make()
    await train(net)
    await expectRefusal(() => call(net), code, ...parts)
    expect(bitsOf(net)).toEqual(first)
    await train(net)
    expect(bitsOf(net)).toEqual(second)
  })
}
