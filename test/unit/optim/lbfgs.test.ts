/** L-BFGS alone, in double precision, on functions written out here: against PyTorch's trajectories and against what makes a step a good one. */
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { lbfgs } from '../../../src/index.ts'
import type { Evaluation, Vector } from '../../../src/optim/fullBatch.ts'
import { expectRefusal } from '../../training/support.ts'

interface Trajectory {
  readonly losses: number[]
  readonly reached: number[]
}

interface Golden {
  readonly rosenbrock: { start: number[]; strongWolfe: Trajectory }
  readonly rosenbrock5: { start: number[]; strongWolfe: Trajectory }
  readonly network: { features: number[][]; targets: number[][]; start: number[]; units: number; strongWolfe: Trajectory; none: Trajectory }
}

const golden: Golden = JSON.parse(readFileSync(new URL('../../golden/outside/lbfgs.json', import.meta.url), 'utf8'))

type Evaluate = (at: Vector) => Promise<Evaluation>

/** A function and its gradient as what a minimizer asks for. */
const evaluation =
  (f: (x: Float64Array, gradient: Float64Array) => number): Evaluate =>
  async (at) => {
    const gradient = new Float64Array(at.length)
    return { at, loss: f(at as Float64Array, gradient), gradient }
  }

const rosenbrock = evaluation((x, gradient) => {
  let sum = 0
  for (let i = 0; i + 1 < x.length; i++) {
    const bend = x[i + 1] - x[i] ** 2
    sum += 100 * bend ** 2 + (1 - x[i]) ** 2
    gradient[i] += -400 * bend * x[i] - 2 * (1 - x[i])
    gradient[i + 1] += 200 * bend
  }
  return sum
})

const { features, targets, units } = golden.network

/** The mean squared error of tanh(x kernel + bias) out + last over the golden's samples. */
const network = evaluation((x, gradient) => {
  const inputs = features[0].length
  const [bias, out, last] = [inputs * units, inputs * units + units, inputs * units + 2 * units]
  let loss = 0
  for (const [row, sample] of features.entries()) {
    const hidden = Array.from({ length: units }, (_, j) => Math.tanh(sample.reduce((sum, s, i) => sum + s * x[i * units + j], x[bias + j])))
    const error = hidden.reduce((sum, h, j) => sum + h * x[out + j], x[last]) - targets[row][0]
    const slope = (2 * error) / features.length
    loss += error ** 2 / features.length
    gradient[last] += slope
    for (const [j, h] of hidden.entries()) {
      gradient[out + j] += slope * h
      const inner = slope * x[out + j] * (1 - h * h)
      gradient[bias + j] += inner
      for (const [i, s] of sample.entries()) gradient[i * units + j] += inner * s
    }
  }
  return loss
})

/** The losses after each iteration, until it has converged. */
async function run(optimizer: ReturnType<typeof lbfgs>, evaluate: Evaluate, start: readonly number[], iterations: number, rate = 1) {
  const minimizer = optimizer.begin()
  let point: Evaluation = await evaluate(Float64Array.from(start))
  const losses: number[] = []
  let converged = false
  while (losses.length < iterations && !converged) {
    const step = await minimizer.step(point, rate, evaluate)
    point = step.reached
    converged = step.converged
    losses.push(point.loss)
  }
  return { losses, reached: point, converged }
}

/** Both sides compute in double precision; rounding is magnified by the steps, a thousandfold on Rosenbrock's function in 30 of them. */
function expectSame(ours: { losses: number[]; reached: Evaluation }, theirs: Trajectory) {
  expect(ours.losses.length).toBe(theirs.losses.length)
  for (const [i, loss] of theirs.losses.entries()) expect(Math.abs(ours.losses[i] / loss - 1), `iteration ${i}`).toBeLessThan(1e-8)
  for (const [i, x] of theirs.reached.entries()) expect(ours.reached.at[i]).toBeCloseTo(x, 8)
}

describe('lbfgs', () => {
  it('goes the way of PyTorch with a strong Wolfe line search', async () => {
    const { rosenbrock: two, rosenbrock5: five, network: net } = golden
    expectSame(await run(lbfgs(), rosenbrock, two.start, 30), two.strongWolfe)
    expectSame(await run(lbfgs({ history: 3 }), rosenbrock, five.start, 30), five.strongWolfe)
    expectSame(await run(lbfgs(), network, net.start, 25), net.strongWolfe)
  })

  it('goes the way of PyTorch without a line search', async () => {
    expectSame(await run(lbfgs({ lineSearch: 'none' }), network, golden.network.start, 25, 0.5), golden.network.none)
  })

  it('finds the minimum of Rosenbrock’s function and says that it has', async () => {
    const { reached, converged, losses } = await run(lbfgs({ changeTolerance: 0 }), rosenbrock, [-1.2, 1], 100)
    expect(converged).toBe(true)
    expect(losses.length).toBeLessThan(60)
    expect(reached.at[0]).toBeCloseTo(1, 8)
    expect(reached.at[1]).toBeCloseTo(1, 8)
  })

  it('never lets the loss rise, and every step fulfils the strong Wolfe conditions', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.double({ min: -3, max: 3, noNaN: true }), { minLength: 2, maxLength: 6 }), async (start) => {
        const minimizer = lbfgs().begin()
        let point = await rosenbrock(Float64Array.from(start))
        for (let i = 0; i < 15; i++) {
          const { reached, converged } = await minimizer.step(point, 1, rosenbrock)
          if (converged) break
          const step = Array.from(reached.at, (x, j) => x - point.at[j])
          const along = (gradient: ArrayLike<number>) => step.reduce((sum, s, j) => sum + s * gradient[j], 0)
          // Conditions 3.7, of the step as a whole: the direction times its length. The slack is rounding's.
          const slack = 1e-12 * (1 + Math.abs(point.loss))
          expect(reached.loss).toBeLessThanOrEqual(point.loss + 1e-4 * along(point.gradient) + slack)
          if (reached.loss < point.loss)
            expect(Math.abs(along(reached.gradient))).toBeLessThanOrEqual(0.9 * Math.abs(along(point.gradient)) + slack)
          point = reached
        }
      }),
      { numRuns: 200, seed: 3 },
    )
  })

  it('learns the curvature: a condition of 300 takes tens of steps, not thousands', async () => {
    const scales = [1, 3, 10, 30, 100, 300]
    const quadratic = evaluation((x, gradient) =>
      scales.reduce((sum, scale, i) => {
        gradient[i] = scale * (x[i] - i)
        return sum + 0.5 * scale * (x[i] - i) ** 2
      }, 0),
    )
    const { losses, converged, reached } = await run(
      lbfgs({ changeTolerance: 0 }),
      quadratic,
      scales.map(() => -2),
      100,
    )
    expect(converged).toBe(true)
    // Gradient descent at its best rate, 2 / (1 + 300), shrinks the error by 299/301 a step: ln 1e-7 / ln(299/301) = 2424 steps.
    expect(losses.length).toBeLessThan(40)
    for (const [i, x] of reached.at.entries()) expect(x).toBeCloseTo(i, 6)
  })

  it('turns back where the loss is not finite', async () => {
    // -log x + x, which ends at 0; the first steps along the gradient go past it.
    const barrier = evaluation((x, gradient) => {
      gradient[0] = 1 - 1 / x[0]
      return x[0] > 0 ? x[0] - Math.log(x[0]) : Number.POSITIVE_INFINITY
    })
    const { reached, losses } = await run(lbfgs({ learningRate: 1 }), barrier, [30], 40, 50)
    expect(Math.max(...losses)).toBeLessThan(30)
    expect(reached.at[0]).toBeCloseTo(1, 6)
  })

  it('ends where there is nothing to gain', async () => {
    const flat = evaluation(() => 3)
    expect(
      await lbfgs()
        .begin()
        .step(await flat(new Float64Array(4)), 1, flat),
    ).toMatchObject({ converged: true, reached: { loss: 3 } })
    // A gradient that points the wrong way: no length gives a lower loss.
    const lie = evaluation((x, gradient) => {
      gradient[0] = -1
      return x[0] ** 2
    })
    const from = await lie(new Float64Array(1))
    const { reached, converged } = await lbfgs().begin().step(from, 1, lie)
    expect(reached).toBe(from)
    expect(converged).toBe(true)
  })

  it.each(['strongWolfe', 'none'] as const)('waits where a schedule begins with 0, lineSearch %s', async (lineSearch) => {
    const from = await rosenbrock(Float64Array.of(-1, 1))
    const minimizer = lbfgs({ lineSearch }).begin()
    const { reached, converged } = await minimizer.step(from, 0, rosenbrock)
    expect(reached).toBe(from)
    expect(converged).toBe(false)
    expect((await minimizer.step(reached, 0.01, rosenbrock)).reached.loss).toBeLessThan(from.loss)
  })

  it('lets the event loop turn while it works on long vectors', async () => {
    const size = 1_000_000
    const bowl = evaluation((x, gradient) => {
      let sum = 0
      for (let i = 0; i < size; i++) {
        gradient[i] = 2 * (x[i] - 1)
        sum += (x[i] - 1) ** 2
      }
      return sum
    })
    const from = await bowl(new Float64Array(size))
    let turns = 0
    const timer = setInterval(() => turns++, 1)
    try {
      await lbfgs().begin().step(from, 1, bowl)
    } finally {
      clearInterval(timer)
    }
    expect(turns).toBeGreaterThan(3)
  })

  it('refuses options that make no sense', async () => {
    await expectRefusal(() => lbfgs({ lineSearch: 'wolfe' as 'none' }), 'ERR_OPTION', 'lineSearch "wolfe"', 'strongWolfe')
    await expectRefusal(() => lbfgs({ history: 0 }), 'ERR_OPTION', 'lbfgs: history', 'at least 1', '0')
    await expectRefusal(() => lbfgs({ learningRate: -1 }), 'ERR_OPTION', 'learningRate', '-1')
    await expectRefusal(() => lbfgs({ gradientTolerance: Number.NaN }), 'ERR_OPTION', 'gradientTolerance', 'NaN')
    await expectRefusal(() => lbfgs({ historySize: 3 } as object), 'ERR_OPTION', 'historySize', 'did you mean "history"')
  })
})
