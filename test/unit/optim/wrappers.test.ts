/** Wrappers of optimizers, and groups: against PyTorch, plain loops in double precision, and each other. */
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  accumulateGradients,
  adam,
  adamW,
  averageWeights,
  clipGradients,
  dense,
  dropout,
  type FitOptions,
  input,
  lockstep,
  lookahead,
  type Optimizer,
  perGroup,
  printPlan,
  sequential,
  sgd,
  sharpnessAware,
} from '../../../src/index.ts'
import { any } from '../../any.ts'
import { bitsOf, executors, expectRefusal, rows, scaledBy, scaledError, stepsOf, stepsWith } from '../../training/support.ts'
import { boundedBy, expectClose, gradients, inOrder, momentum, norm, plainly, scaledNet, squareLoss, twoParts, width } from './wrapping.ts'

interface Outside {
  readonly gradients: readonly { readonly p: number[]; readonly q: number[] }[]
  /** For each step the elements of p and q. */
  readonly cases: Readonly<Record<string, number[][]>>
}
const outside: Outside = JSON.parse(readFileSync(new URL('../../golden/outside/wrappers.json', import.meta.url), 'utf8'))

describe.each(executors)('on the %s executor', (executor) => {
  const make = (size?: number) => scaledNet(executor, size)

  const outsideCases: [name: string, optimizer: () => Optimizer][] = [
    ['value', () => clipGradients(momentum(), { value: 0.5 })],
    ['norm', () => clipGradients(momentum(), { norm: 1 })],
    ['globalNorm', () => clipGradients(adam({ learningRate: 0.1 }), { globalNorm: 1 })],
    ['groups', () => groups()],
    ['clippedGroups', () => clipGradients(groups(), { globalNorm: 1 })],
    ['mean', () => averageWeights(momentum(), { decay: 1 })],
    ['exponential', () => averageWeights(adam({ learningRate: 0.1 }), { decay: 0.9 })],
  ]
  const groups = () =>
    perGroup([
      { parameters: 'q', optimizer: adamW({ learningRate: 0.01, weightDecay: 0 }) },
      { optimizer: adamW({ learningRate: 0.1, weightDecay: 0.2 }) },
    ])

  it.each(outsideCases)('as PyTorch: %s', async (name, make) => {
    const net = sequential([input(8), twoParts(5, 3)], { executor })
    const optimizer = make()
    const actual: number[][] = []
    for (const { p, q } of outside.gradients) {
      await net.fit({ x: [[...p, ...q]], y: [new Array(8).fill(0)] }, { ...inOrder, optimizer })
      const weights = net.weights()
      actual.push([...weights.p.data, ...weights.q.data])
    }
    // PyTorch divides by the norm + 1e-6, where it clips by one of 1.
    expectClose(actual, outside.cases[name], 2e-6)
  })

  describe('clipGradients', () => {
    it.each([{ value: 0.1 }, { norm: 0.1 }, { globalNorm: 0.1 }])('by %o leaves gradients of 0 alone', async (bound) => {
      const net = make(3)
      await net.fit({ x: [[0, 0, 0]], y: [[0, 0, 0]] }, { ...inOrder, optimizer: clipGradients(momentum(), bound) })
      expect([...net.weights().p.data]).toEqual([1, 1, 1])
    })

    it('makes 0 of gradients whose norm float32 does not hold, and clips those just below by their direction', async () => {
      const stepBy = async (x: number) => {
        const net = make(2)
        await net.fit(
          { x: [[x, -x]], y: [[0, 0]] },
          { ...inOrder, optimizer: clipGradients(sgd({ learningRate: 1 }), { globalNorm: 0.5 }) },
        )
        return [...net.weights().p.data]
      }
      expect(await stepBy(1e20)).toEqual([1, 1])
      const expected = 0.5 * Math.SQRT1_2
      expect(scaledError(await stepBy(1e19), [1 - expected, 1 + expected])).toBeLessThan(3e-7)
    })

    it('clips by one bound after another', async () => {
      const optimizer = clipGradients(clipGradients(adam({ learningRate: 0.1 }), { norm: 1 }), { value: 0.5 })
      const twin = adam({ learningRate: 0.1 })
      const byHand = gradients.map((row) => {
        const cut = row.map((g) => Math.min(0.5, Math.max(-0.5, Math.fround(g))))
        return cut.map((g) => g * Math.min(1, 1 / norm(cut)))
      })
      expectClose(await stepsWith(make(), optimizer, gradients), await stepsWith(make(), twin, byHand), 5e-7)
    })
  })

  describe('accumulateGradients', () => {
    const data = { x: rows(24, 5, 3), y: rows(24, 2, 4) }
    const network = () => sequential([input(5), dense(7, { activation: 'tanh' }), dense(2)], { executor, seed: 2 })

    it('is as one large batch', async () => {
      const [small, large] = [network(), network()]
      const options: FitOptions = { loss: 'meanSquaredError', epochs: 3, shuffle: false }
      await small.fit(data, { ...options, batchSize: 4, optimizer: accumulateGradients(momentum(), { steps: 3 }) })
      await large.fit(data, { ...options, batchSize: 12, optimizer: momentum() })
      // 6 steps, each with sums of 12 samples in another order.
      for (const [name, { data: values }] of Object.entries(large.weights()))
        expect(scaledError(small.weights()[name].data, values), name).toBeLessThan(3e-6)
      expect(stepsOf(small)).toBe(18)
    })

    it('steps Adam by the mean, and counts its own steps', async () => {
      const means = [0, 1, 2].map((i) => gradients[2 * i].map((g, j) => (Math.fround(g) + Math.fround(gradients[2 * i + 1][j])) / 2))
      const expected = await stepsWith(make(), adam({ learningRate: 0.1 }), means)
      const actual = await stepsWith(make(), accumulateGradients(adam({ learningRate: 0.1 }), { steps: 2 }), gradients.slice(0, 6))
      actual.forEach((row, i) => {
        if (i % 2 === 0) expect(row).toEqual(i === 0 ? new Array(width).fill(1) : actual[i - 1])
        else expect(scaledError(row, expected[(i - 1) / 2])).toBeLessThan(5e-7)
      })
    })

    it('goes on with an unfinished group in the next epoch, and the next run', async () => {
      const five = { x: gradients.slice(0, 5), y: gradients.slice(0, 5) }
      const expected = new Array<number>(width).fill(1)
      for (let pair = 0; pair < 5; pair++)
        for (const i of [2 * pair, 2 * pair + 1]) gradients[i % 5].forEach((g, j) => (expected[j] -= (0.1 * Math.fround(g)) / 2))
      for (const runs of [1, 2]) {
        const net = make()
        const optimizer = accumulateGradients(sgd({ learningRate: 0.1 }), { steps: 2 })
        for (let run = 0; run < runs; run++) await net.fit(five, { ...inOrder, optimizer, epochs: 2 / runs })
        expect(scaledError(net.weights().p.data, expected)).toBeLessThan(5e-7)
      }
    })

    it('has other dropout in each batch', async () => {
      const net = sequential([input(64), dropout(0.5), scaledBy(64)], { executor })
      const ones_ = [new Array(64).fill(1), new Array(64).fill(1)]
      await net.fit({ x: ones_, y: ones_ }, { ...inOrder, optimizer: accumulateGradients(sgd({ learningRate: 1 }), { steps: 2 }) })
      // Masks of 0 and 2: where they differ their mean is 1, and the weight 0.
      expect(new Set(net.weights().p.data)).toEqual(new Set([1, 0, -1]))
    })
  })

  describe('lookahead', () => {
    it.each([[{ steps: 1, alpha: 0.25 }], [{ steps: 3, alpha: 0.8 }], [{}]])('%o as in a plain loop', async (options) => {
      const { steps = 5, alpha = 0.5 } = options as { steps?: number; alpha?: number }
      const [slow, velocity] = [new Array<number>(width).fill(1), new Array<number>(width).fill(0)]
      const expected = plainly((p, gradient, t) => {
        gradient.forEach((g, i) => {
          velocity[i] = 0.9 * velocity[i] + g
          p[i] -= 0.1 * velocity[i]
          if ((t + 1) % steps !== 0) return
          slow[i] += alpha * (p[i] - slow[i])
          p[i] = slow[i]
        })
      })
      expectClose(await stepsWith(make(), lookahead(momentum(), options), gradients), expected, 5e-7)
    })
  })

  describe('perGroup', () => {
    it('has a learning rate for each group, or a function of the epoch', async () => {
      const net = sequential([input(2), twoParts(1, 1)], { executor })
      const optimizer = perGroup([
        { parameters: /^q$/, optimizer: sgd({ learningRate: (epoch) => [0.5, 0.25][epoch] }) },
        { optimizer: sgd({ learningRate: 0.125 }) },
      ])
      await net.fit({ x: [[1, 1]], y: [[0, 0]] }, { ...inOrder, optimizer, epochs: 2 })
      expect([...net.weights().p.data, ...net.weights().q.data]).toEqual([0.75, 0.25])
    })

    it('keeps counters of its groups apart', async () => {
      const net = sequential([input(2), twoParts(1, 1)], { executor })
      const optimizer = perGroup([
        { parameters: 'p', optimizer: lookahead(sgd({ learningRate: 1 }), { steps: 2, alpha: 0.5 }) },
        { parameters: 'q', optimizer: lookahead(sgd({ learningRate: 1 }), { steps: 3, alpha: 0.25 }) },
      ])
      const seen: number[][] = []
      for (let step = 0; step < 6; step++) {
        await net.fit({ x: [[1, 1]], y: [[0, 0]] }, { ...inOrder, optimizer })
        seen.push([...net.weights().p.data, ...net.weights().q.data])
      }
      expect(seen.map(([p]) => p)).toEqual([0, 0, -1, -1, -2, -2])
      expect(seen.map(([, q]) => q)).toEqual([0, -1, 0.25, -0.75, -1.75, -0.5])
    })

    it('evaluates the loss again for its first group', async () => {
      const net = sequential([input(2), twoParts(1, 1)], { executor })
      const optimizer = perGroup([
        { parameters: 'p', optimizer: sharpnessAware(sgd({ learningRate: 0.125 }), { radius: 0.5 }) },
        { optimizer: 'sgd' },
      ])
      await net.fit({ x: [[1, 1]], y: [[0, 0]] }, { ...inOrder, loss: squareLoss, optimizer })
      expect(scaledError([...net.weights().p.data, ...net.weights().q.data], [1 - 0.125 * 2 * 1.5, 0.98])).toBeLessThan(1e-7)
    })

    it('asks for a group for each parameter, and a parameter for each group', async () => {
      const net = sequential([input(2), dense(2), dense(1)], { executor })
      const fit = (optimizer: Optimizer) => net.fit({ x: [[1, 1]], y: [[0]] }, { loss: 'meanSquaredError', optimizer })
      await expectRefusal(
        () => fit(perGroup([{ parameters: 'kernel', optimizer: 'adam' }])),
        'ERR_OPTION',
        'no group chooses parameter dense_1.bias',
        'end with a group for all others',
      )
      await expectRefusal(
        () => fit(perGroup([{ parameters: ['kernel', 'bias'], optimizer: 'adam' }, { optimizer: 'sgd' }])),
        'ERR_OPTION',
        'group 2 (sgd) is left with no parameter',
      )
      await expectRefusal(
        () => fit(perGroup([{ parameters: 'kernal', optimizer: 'adam' }, { optimizer: 'sgd' }])),
        'ERR_OPTION',
        'group 1 (adam) is left with no parameter',
        'dense_1.kernel, dense_1.bias, dense_2.kernel',
      )
    })
  })

  it('what cannot be combined says so', async () => {
    const net = make(2)
    const fit = (optimizer: Optimizer) => net.fit({ x: [[1, 1]], y: [[0, 0]] }, { ...inOrder, optimizer })
    const accumulating = accumulateGradients('sgd', { steps: 2 })
    await expectRefusal(
      () => fit(accumulateGradients(sharpnessAware('sgd'), { steps: 2 })),
      'ERR_OPTION',
      'sharpnessAware(sgd) evaluates the loss again',
      'put it around: sharpnessAware(accumulateGradients(…))',
    )
    await expectRefusal(() => fit(perGroup([{ optimizer: accumulating }])), 'ERR_OPTION', 'ends steps early', 'put it around')
    const two = sequential([input(2), twoParts(1, 1)], { executor })
    const late = perGroup([{ parameters: 'p', optimizer: 'sgd' }, { optimizer: sharpnessAware('sgd') }])
    await expectRefusal(
      () => two.fit({ x: [[1, 1]], y: [[0, 0]] }, { ...inOrder, optimizer: late }),
      'ERR_OPTION',
      'make it the first group, or put sharpnessAware around perGroup',
    )
  })

  it.each<[string, (optimizer: Optimizer) => Optimizer]>([
    ['clipGradients', (inner) => clipGradients(inner, { globalNorm: 10 })],
    ['accumulateGradients', (inner) => accumulateGradients(inner, { steps: 2 })],
    ['averageWeights', (inner) => averageWeights(inner, { decay: 0 })],
    ['lookahead', (inner) => lookahead(inner, { steps: 2 })],
    ['sharpnessAware', sharpnessAware],
    ['perGroup', (optimizer) => perGroup([{ optimizer }])],
  ])('constraints hold with %s', async (_, wrap) => {
    const net = sequential([input(3), boundedBy(3, 1.5)], { executor })
    // The first weight grows against its bound, the second ends below it, the third falls.
    const steps = await stepsWith(net, wrap(sgd({ learningRate: 0.5 })), new Array(4).fill([-1, -0.1, 1]))
    for (const [first] of steps) expect(first).toBeLessThanOrEqual(1.5)
    expect(steps[3][0]).toBeGreaterThan(1.3)
    expect(steps[3][1]).toBeGreaterThan(1)
    expect(steps[3][1]).toBeLessThan(1.3)
    expect(steps[3][2]).toBeLessThan(1)
  })

  describe('stacks', () => {
    const data = { x: rows(12, 5, 3), y: rows(12, 2, 4) }
    const network = () => sequential([input(5), dense(7, { activation: 'tanh' }), dropout(0.3), dense(2)], { executor, seed: 2 })
    const bases = { sgd: () => sgd({ learningRate: 0.1 }), momentum, adam: () => adam({ learningRate: 0.01 }) }
    /** Each changes nothing. */
    const identities: Readonly<Record<string, (inner: Optimizer) => Optimizer>> = {
      value: (inner) => clipGradients(inner, { value: 1e30 }),
      norm: (inner) => clipGradients(inner, { norm: 1e30 }),
      globalNorm: (inner) => clipGradients(inner, { globalNorm: 1e30 }),
      sharp: (inner) => sharpnessAware(inner, { radius: 0 }),
      accumulate: (inner) => accumulateGradients(inner, { steps: 1 }),
      lookahead: (inner) => lookahead(inner, { steps: 1_000_000 }),
      group: (optimizer) => perGroup([{ optimizer }]),
      groups: (optimizer) => perGroup([{ parameters: 'dense_1', optimizer }, { optimizer }]),
    }
    /** Each changes something. */
    const changes: typeof identities = {
      value: (inner) => clipGradients(inner, { value: 0.1 }),
      norm: (inner) => clipGradients(inner, { norm: 0.1 }),
      globalNorm: (inner) => clipGradients(inner, { globalNorm: 0.1 }),
      sharp: (inner) => sharpnessAware(inner, { radius: 0.1, adaptive: true }),
      accumulate: (inner) => accumulateGradients(inner, { steps: 2 }),
      average: averageWeights,
      lookahead: (inner) => lookahead(inner, { steps: 2 }),
      group: (optimizer) => perGroup([{ optimizer }]),
      groups: (optimizer) => perGroup([{ parameters: 'bias', optimizer: 'adam' }, { optimizer }]),
    }
    /** From the inside out. What cannot be combined is left out: groups around what ends steps, either around what goes through the network again. */
    const stack = (wrappers: typeof identities) =>
      fc.array(fc.constantFrom(...Object.keys(wrappers)), { minLength: 1, maxLength: 5 }).map((names) =>
        names.filter((name, i) => {
          const inside = names.slice(0, i)
          if (name.startsWith('group'))
            return !inside.includes('accumulate') && !(name === 'groups' && (inside.includes('sharp') || inside.includes('groups')))
          return name !== 'accumulate' || !inside.includes('sharp')
        }),
      )
    const build = (base: keyof typeof bases, names: readonly string[], wrappers: typeof identities) =>
      names.reduce((inner, name) => wrappers[name](inner), bases[base]())
    const base = fc.constantFrom(...(Object.keys(bases) as (keyof typeof bases)[]))

    it('of wrappers that change nothing change no bits', { timeout: 240_000 }, async () => {
      const options = { loss: 'meanSquaredError', batchSize: 5, epochs: 2 } as const
      await fc.assert(
        fc.asyncProperty(base, stack(identities), async (name, names) => {
          const [net, twin] = [network(), network()]
          await net.fit(data, { ...options, optimizer: build(name, names, identities) })
          await twin.fit(data, { ...options, optimizer: bases[name]() })
          expect(bitsOf(net)).toEqual(bitsOf(twin))
        }),
        { numRuns: 25 },
      )
    })

    it('run, keep all weights finite, and carry on over runs', { timeout: 240_000 }, async () => {
      const options = { loss: 'meanSquaredError', batchSize: 5 } as const
      await fc.assert(
        fc.asyncProperty(base, stack(changes), async (name, names) => {
          const [whole, parts] = [network(), network()]
          const [one, two] = [build(name, names, changes), build(name, names, changes)]
          const shuffle = false
          await whole.fit(data, { ...options, shuffle, optimizer: one, epochs: 3 })
          for (let run = 0; run < 3; run++) await parts.fit(data, { ...options, shuffle, optimizer: two })
          expect(bitsOf(parts)).toEqual(bitsOf(whole))
          expect(bitsOf(whole)).not.toEqual(bitsOf(network()))
          for (const { data: values } of Object.values(whole.weights())) expect(values.every(Number.isFinite)).toBe(true)
        }),
        { numRuns: 25 },
      )
    })

    if (executor === 'reference') return

    it('mean the same on both executors', () => {
      fc.assert(
        fc.property(stack(changes), (names) => {
          const plan = network().trainingPlan(5, { loss: 'meanSquaredError', optimizer: build('momentum', names, changes) })
          expect(lockstep(plan).firstDifference).toBe(null)
        }),
        { numRuns: 25 },
      )
    })
  })
})

/** What a step does after the gradients, for a network of four parameters. */
const passes: [name: string, optimizer: () => Optimizer, ops: string[]][] = [
  ['clipping by value', () => clipGradients('adam', { value: 1 }), ['update', 'adam']],
  ['clipping by the global norm', () => clipGradients('adam', { globalNorm: 1 }), ['sumOfSquares', 'elementwise', 'update', 'adam']],
  [
    'accumulation',
    () => accumulateGradients('adam', { steps: 4 }),
    ['elementwise', 'elementwise', 'elementwise', 'update', 'update', 'continueIf', 'adam'],
  ],
  ['averages', () => averageWeights('adam'), ['adam', 'update', 'update']],
  ['lookahead', () => lookahead('adam'), ['adam', 'elementwise', 'update', 'update']],
  ['sharpness', () => sharpnessAware('sgd'), ['sumOfSquares', 'elementwise', 'update', 'checkFinite', 'sgd']],
  [
    'adaptive sharpness',
    () => sharpnessAware('sgd', { adaptive: true }),
    ['update', 'sumOfSquares', 'elementwise', 'update', 'checkFinite', 'sgd'],
  ],
  ['groups of whole layers', () => perGroup([{ parameters: 'dense_1', optimizer: 'sgd' }, { optimizer: 'adam' }]), ['sgd', 'adam']],
]

it.each(passes)('%s: few passes', (_, optimizer, expected) => {
  const net = sequential([input(4), dense(3), dense(2)])
  const plan = net.trainingPlan(8, { loss: 'meanSquaredError', optimizer: optimizer() })
  const checked = plan.instructions.findIndex(({ op }) => op === 'checkFinite')
  const ops = plan.instructions.slice(checked + 1).filter(({ phase }) => phase === 'update')
  expect(
    ops.map(({ op }) => op).filter((op) => op !== 'increment'),
    printPlan(plan),
  ).toEqual(expected)
})

const refusals: [what: string, call: () => unknown, ...parts: string[]][] = [
  ['clipping by nothing', () => clipGradients('sgd', {}), 'clipGradients: expected one of value, norm and globalNorm, got none'],
  ['clipping without options', () => clipGradients('sgd', any(undefined)), 'clipGradients: expected one of value'],
  ['clipping by two', () => clipGradients('sgd', { value: 1, norm: 1 }), 'got value and norm', 'clip twice'],
  ['a bound of 0', () => clipGradients('sgd', { norm: 0 }), 'clipGradients: norm', 'got 0'],
  ['a bound of NaN', () => clipGradients('sgd', { value: Number.NaN }), 'clipGradients: value', 'got NaN'],
  ['an infinite bound', () => clipGradients('sgd', { globalNorm: Number.POSITIVE_INFINITY }), 'clipGradients: globalNorm', 'got Infinity'],
  ['a name of Keras', () => clipGradients('sgd', any({ clipNorm: 1 })), 'did you mean "norm", of each parameter, or "globalNorm"'],
  [
    'an unknown optimizer',
    () => clipGradients(any('adm'), { value: 1 }),
    'Unknown optimizer "adm" for clipGradients; did you mean "adam"?',
  ],
  ['an optimizer that was not called', () => lookahead(any(adam)), 'lookahead', 'call it: adam()'],
  ['accumulation without steps', () => accumulateGradients('sgd', any({})), 'steps must be an integer of at least 1', 'give { steps: 4 }'],
  ['accumulation without options', () => accumulateGradients('sgd', any(undefined)), 'accumulateGradients: steps'],
  ['accumulation of 0 steps', () => accumulateGradients('sgd', { steps: 0 }), 'accumulateGradients: steps', 'got 0'],
  ['accumulation of 1.5 steps', () => accumulateGradients('sgd', { steps: 1.5 }), 'got 1.5'],
  ['decay above 1', () => averageWeights('sgd', { decay: 1.1 }), 'averageWeights: decay must lie in 0 … 1, got 1.1'],
  ['decay as text', () => averageWeights('sgd', any({ decay: '0.9' })), 'averageWeights: decay', 'got "0.9"'],
  ['momentum for decay', () => averageWeights('sgd', any({ momentum: 0.9 })), 'did you mean "decay"?'],
  ['lookahead of k', () => lookahead('sgd', any({ k: 5 })), 'Unknown option "k" for lookahead; did you mean "steps"?'],
  ['alpha below 0', () => lookahead('sgd', { alpha: -0.5 }), 'lookahead: alpha must lie in 0 … 1, got -0.5'],
  ['lookahead of 0 steps', () => lookahead('sgd', { steps: 0 }), 'lookahead: steps', 'got 0'],
  ['rho', () => sharpnessAware('sgd', any({ rho: 0.1 })), 'did you mean "radius"?'],
  ['a negative radius', () => sharpnessAware('sgd', { radius: -1 }), 'sharpnessAware: radius', 'got -1'],
  ['adaptive as a number', () => sharpnessAware('sgd', any({ adaptive: 1 })), 'sharpnessAware: adaptive must be true or false, got 1'],
  ['no groups', () => perGroup([]), 'perGroup: expected an array of groups', 'got an array of 0'],
  ['a group alone', () => perGroup(any({ optimizer: 'sgd' })), 'perGroup: expected an array of groups'],
  ['a group without optimizer', () => perGroup(any([{ parameters: 'bias' }])), 'perGroup: group 1', 'optimizer'],
  [
    'a misspelt group',
    () => perGroup(any([{ optimizer: 'sgd', params: 'bias' }])),
    'Unknown option "params" for perGroup: group 1; did you mean "parameters"?',
  ],
  ['a group that is null', () => perGroup(any([null])), 'perGroup: group 1: options must be an object, got null'],
  ['a filter of no kind', () => perGroup([{ parameters: any(3), optimizer: 'sgd' }]), 'perGroup: group 1: parameters must be', 'got 3'],
]

it.each(refusals.map((refusal) => [refusal[0], refusal] as const))('refuses %s', async (_, [, call, ...parts]) => {
  await expectRefusal(call, 'ERR_OPTION', ...parts)
})
