/** Steps along the gradient at a point that is worse: against plain loops in double precision. */
import { describe, expect, it } from 'vitest'
import {
  clipGradients,
  dropout,
  type FitOptions,
  input,
  multiply,
  type NonFiniteError,
  negate,
  type Optimizer,
  sequential,
  sgd,
  sharpnessAware,
  sqrt,
  subtract,
  sum,
  type Tensor,
} from '../../../src/index.ts'
import { bitsOf, executors, expectRefusal, scaledBy, scaledError, stepsOf } from '../../training/support.ts'
import { expectClose, gradients, inOrder, norm, plainly, scaledNet, squareLoss } from './wrapping.ts'

describe.each(executors)('sharpnessAware, on the %s executor', (executor) => {
  const make = (size?: number) => scaledNet(executor, size)

  const sharp = async (net: ReturnType<typeof make>, optimizer: Optimizer, data: readonly (readonly number[])[]) => {
    const result: number[][] = []
    for (const x of data) {
      await net.fit({ x: [x], y: [x.map(() => 0)] }, { ...inOrder, loss: squareLoss, optimizer })
      result.push([...net.weights().p.data])
    }
    return result
  }

  it.each([false, true])('adaptive %s as in a plain loop', async (adaptive) => {
    const radius = adaptive ? 0.5 : 0.2
    const expected = plainly((p, x) => {
      const scale = p.map((w) => (adaptive ? Math.abs(w) + 0.01 : 1))
      const g = x.map((each, i) => 2 * each * each * p[i])
      const length = norm(g.map((each, i) => scale[i] * each))
      x.forEach((each, i) => (p[i] -= 0.1 * 2 * each * each * (p[i] + (radius * scale[i] ** 2 * g[i]) / length)))
    })
    const actual = await sharp(make(), sharpnessAware(sgd({ learningRate: 0.1 }), { radius, adaptive }), gradients)
    expectClose(actual, expected, 1e-6)
    const plain = await sharp(make(), sgd({ learningRate: 0.1 }), gradients)
    expect(scaledError(plain[6], expected[6])).toBeGreaterThan(1e-3)
  })

  it('has the gradients of both passes clipped from outside, and those of the second from inside', async () => {
    const clipped = (inner: Optimizer) => clipGradients(inner, { value: 0.25 })
    const rate = sgd({ learningRate: 1 })
    expect(await sharp(make(2), clipped(sharpnessAware(rate)), [[1, 2]])).toEqual([[0.75, 0.75]])
    expect(await sharp(make(2), sharpnessAware(clipped(rate)), [[1, 2]])).toEqual([[0.75, 0.75]])
  })

  it('stays where the gradient is 0', async () => {
    for (const adaptive of [false, true])
      expect(await sharp(make(3), sharpnessAware('sgd', { adaptive }), [[0, 0, 0]])).toEqual([[1, 1, 1]])
  })

  it('has one dropout mask for both passes', async () => {
    const net = sequential([input(64), dropout(0.5), scaledBy(64)], { executor })
    const x = [new Array(64).fill(1)]
    await net.fit({ x, y: x }, { ...inOrder, loss: squareLoss, optimizer: sharpnessAware(sgd({ learningRate: 0.125 })) })
    // A weight that is masked in one pass is masked in the other: it stays 1, and the perturbation is by the others.
    const kept = [...net.weights().p.data].filter((p) => p !== 1)
    expect(kept.length).toBeGreaterThan(16)
    expect(kept.length).toBeLessThan(48)
    const expected = 1 - 0.125 * 2 * 4 * (1 + 0.05 / Math.sqrt(kept.length))
    expect(
      scaledError(
        kept,
        kept.map(() => expected),
      ),
    ).toBeLessThan(1e-5)
  })

  it('stops before a step whose second pass is not finite, and names where that began', async () => {
    const net = sequential([input(1), dropout(0.75), scaledBy(1)], { executor })
    // Finite at the weight 1, the root of a negative number at the perturbed weight 0.4. Dropped, which is more frequent, there is no gradient at all.
    const loss = (y: Tensor) => {
      const z = multiply(0.25, y)
      return sum(negate(sqrt(multiply(subtract(z, 0.3), subtract(z, 0.7)))), { axes: [-1] })
    }
    const optimizer = sharpnessAware(sgd({ learningRate: 0 }), { radius: 0.6 })
    const options: FitOptions = { ...inOrder, loss, optimizer, epochs: 50 }
    const data = { x: [[1]], y: [[0]] }
    const before = bitsOf(net)
    const error = await expectRefusal(
      () => net.fit(data, options),
      'ERR_NON_FINITE',
      'NaN began in step',
      'at instruction: slots/perturbedGradient/p ',
      'sqrt(',
      'parameters are those before this step',
    )
    const { origin } = error as NonFiniteError
    expect(origin.step).toBeGreaterThan(0)
    // The step was not taken: the next one is it again.
    expect(stepsOf(net)).toBe(origin.step)
    expect(bitsOf(net)).toEqual(before)
    await expectRefusal(() => net.fit(data, options), 'ERR_NON_FINITE', 'NaN began in step 0')
  })
})
