/** Updates of variables: what a step writes, in which order, and that fusing never moves a read behind a write. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { loadAddon } from '../../src/executors/native/addon.ts'
import { nativeExecutor } from '../../src/executors/native/index.ts'
import { referenceExecutor } from '../../src/executors/reference/index.ts'
import {
  add,
  assign,
  assignAll,
  averageWeights,
  batch,
  broadcastTo,
  constant,
  continueIf,
  dense,
  divide,
  greater,
  input,
  log,
  matmul,
  multiply,
  type Optimizer,
  perGroup,
  perParameter,
  reshape,
  rmsprop,
  schedules,
  sequential,
  sgd,
  slice,
  sqrt,
  square,
  subtract,
  sum,
  sumOfSquares,
  type Tensor,
  tanh,
  transpose,
} from '../../src/index.ts'
import { buildPlan } from '../../src/plan/build.ts'
import type { Plan } from '../../src/plan/plan.ts'
import { executors } from '../training/support.ts'
import { arenaFor, expectRefusal, holding, layoutOf } from './values.ts'

const { addon } = loadAddon()

/** Runs a plan of these updates once on an executor; what `variables` hold then. */
function afterwards(updates: readonly Tensor[], variables: readonly Tensor[], executor: 'native' | 'reference'): number[][] {
  const layout = layoutOf([...updates, ...variables])
  const plan = buildPlan({ inputs: {}, outputs: {}, updates, variables: layout, batchSize: 1, mode: 'training' })
  const arena = arenaFor(plan, layout)
  const chosen = executor === 'native' && addon !== undefined ? nativeExecutor(addon, { threads: 1 }) : referenceExecutor
  chosen.load(plan, arena).execute(0, plan.instructions.length)
  return variables.map((variable) => {
    const { shape, dtype } = variable.attributes
    return [...arena.view({ ...(layout.place(variable) as { block: string; offset: number }), shape, dtype })]
  })
}

describe.each(executors)('updates on the %s executor', (executor) => {
  it('make all values from what the variables held before', () => {
    const [a, b] = [holding([3], [1, 2, 3], { name: 'a' }), holding([3], [10, 20, 30], { name: 'b' })]
    expect(afterwards([assignAll([a, b], [b, a])], [a, b], executor)).toEqual([
      [10, 20, 30],
      [1, 2, 3],
    ])
    const sums = assignAll([a, b], [add(a, b), multiply(a, b)])
    expect(afterwards([sums], [a, b], executor)).toEqual([
      [11, 22, 33],
      [10, 40, 90],
    ])
  })

  it('take scalars and repeated rows as values', () => {
    const w = holding([2, 3], [1, 2, 3, 4, 5, 6], { name: 'w' })
    expect(afterwards([assignAll([w], [constant(7)])], [w], executor)).toEqual([[7, 7, 7, 7, 7, 7]])
    const row = holding([3], [1, 10, 100], { name: 'row' })
    expect(afterwards([assignAll([w], [multiply(w, row)])], [w], executor)).toEqual([[1, 20, 300, 4, 50, 600]])
    expect(afterwards([assignAll([w], [broadcastTo(row, [2, 3])])], [w], executor)).toEqual([[1, 10, 100, 1, 10, 100]])
  })

  it('leave a product alone whose bias comes after an assignment to its operand', () => {
    const w = holding([2, 2], [1, 2, 3, 4], { name: 'w' })
    const product = matmul(w, holding([2, 2], [1, 0, 0, 1], { name: 'one' }))
    const cleared = assignAll([w], [constant(0)])
    const result = holding([2, 2], [0, 0, 0, 0], { name: 'result' })
    const biased = assign(result, add(product, holding([2], [10, 20], { name: 'bias' })))
    expect(afterwards([cleared, biased], [w, result], executor)).toEqual([
      [0, 0, 0, 0],
      [11, 22, 13, 24],
    ])
  })

  it('leave what was repeated, turned or added up before them as it was', () => {
    const before: [(v: Tensor) => Tensor, number[]][] = [
      [(v) => broadcastTo(slice(v, [[0, 1]]), [2, 2]), [1, 2, 1, 2]],
      [(v) => transpose(v), [1, 3, 2, 4]],
      [(v) => broadcastTo(sum(v), [2, 2]), [10, 10, 10, 10]],
    ]
    const behind: [(x: Tensor, r: Tensor) => Tensor, (x: number[]) => number[]][] = [
      [(x, r) => assign(r, matmul(x, holding([2, 2], [1, 0, 0, 1], { name: 'one' }))), (x) => x],
      [(x, r) => assignAll([r], [x]), (x) => x],
      [(x, r) => assignAll([r], [add(r, x)]), (x) => x.map((each) => each + 5)],
      [
        (x, r) => assign(r, multiply(x, broadcastTo(holding([2], [1, 10], { name: 'row' }), [2, 2]))),
        (x) => x.map((each, i) => each * (i % 2 ? 10 : 1)),
      ],
    ]
    for (const [make, values] of before) {
      for (const [use, expected] of behind) {
        const [v, r] = [holding([2, 2], [1, 2, 3, 4], { name: 'v' }), holding([2, 2], [5, 5, 5, 5], { name: 'r' })]
        const made = make(v)
        const cleared = assignAll([v], [constant(0)])
        expect(afterwards([cleared, use(made, r)], [v, r], executor)).toEqual([[0, 0, 0, 0], expected(values)])
      }
    }
    const [row, r] = [holding([2], [1, 2], { name: 'row' }), holding([2, 2], [5, 5, 5, 5], { name: 'r' })]
    for (const use of [(x: Tensor) => x, (x: Tensor) => add(r, x), (x: Tensor) => multiply(x, broadcastTo(constant(5), [2, 2]))]) {
      const repeated = broadcastTo(row, [2, 2])
      const updates = [assignAll([row], [constant(0)]), assignAll([r], [use(repeated)])]
      expect(afterwards(updates, [row], executor)).toEqual([[0, 0]])
    }
  })

  it('follow each other as they were written, whatever is fused', () => {
    const names = ['a', 'b', 'c']
    let refused = 0
    const program = fc.array(fc.tuple(fc.nat(7), fc.nat(99), fc.nat(99), fc.nat(2), fc.nat(2)), { minLength: 3, maxLength: 25 })
    fc.assert(
      fc.property(program, (lines) => {
        const start = [
          [0.5, -1, 2, 0.25, 3],
          [1, 0.5, -0.5, 2, -2],
          [-1, 1, 0.125, 0.75, 4],
        ]
        const variables = start.map((values, i) => holding([5], values, { name: names[i] }))
        // By variable: the tensor that has its present value. And every expression with the numbers it stood for when it was made.
        const present = [...variables]
        const worth = new Map<Tensor, number[]>(variables.map((variable, i) => [variable, start[i].map(Math.fround)]))
        const expressions: Tensor[] = []
        const updates: Tensor[] = []
        const memory = start.map((values) => values.map(Math.fround))
        const any = (n: number): Tensor => {
          const all = [...present, ...expressions]
          return all[n % all.length]
        }
        const make = (tensor: Tensor, f: (i: number) => number): Tensor => {
          worth.set(
            tensor,
            Array.from({ length: 5 }, (_, i) => Math.fround(f(i))),
          )
          expressions.push(tensor)
          return tensor
        }
        const of = (tensor: Tensor) => worth.get(tensor) as number[]
        const set = (i: number, value: Tensor, update: Tensor) => {
          memory[i] = of(value)
          present[i] = update
          worth.set(update, of(value))
        }
        for (const [kind, m, n, i, j] of lines) {
          const [x, y] = [any(m), any(n)]
          if (kind < 2) make(add(x, y), (k) => of(x)[k] + of(y)[k])
          else if (kind < 3) make(tanh(x), (k) => Math.tanh(of(x)[k]))
          else if (kind < 4) make(reshape(reshape(x, [5, 1]), [5]), (k) => of(x)[k])
          else if (kind < 6 || i === j) {
            const update = kind < 5 ? assign(present[i], x) : assignAll([present[i]], [x])
            set(i, x, update)
            updates.push(update)
          } else {
            const update = assignAll([present[i], present[j]], [x, y])
            const second = of(y)
            set(i, x, update)
            // The second one's new value cannot be read again in this step.
            memory[j] = second
            present[j] = make(tanh(x), (k) => Math.tanh(of(x)[k]))
            updates.push(update)
            break
          }
        }
        // A view of a variable that was written since has no value any more: such a program is refused, with an error that says so.
        try {
          const got = afterwards(updates, variables, executor)
          got.forEach((values, i) => values.forEach((value, k) => expect(value).toBeCloseTo(memory[i][k], 5)))
        } catch (error) {
          if (!String(error).includes('after its update')) throw error
          refused += 1
        }
      }),
      { numRuns: 300, seed: 7 },
    )
    // Or the test would say little.
    expect(refused).toBeLessThan(30)
  })

  it('are refused where a variable is expected, or the counts differ', () => {
    const [a, b] = [holding([3], [1, 2, 3], { name: 'a' }), holding([3], [1, 2, 3], { name: 'b' })]
    expectRefusal(() => assign(add(a, b), b), 'ERR_GRAPH', 'assign: expected a variable', 'got add float32 [3]')
    expectRefusal(() => assignAll([a, a], [b, b]), 'ERR_GRAPH', 'update: a variable is listed twice')
    const many = Array.from({ length: 9 }, (_, i) => holding([3], [i, i, i], { name: `v${i}` }))
    const doubled = many.map((each) => multiply(each, 2))
    expectRefusal(() => assignAll(many, doubled), 'ERR_GRAPH', 'update: expected at most 16 different variables and values, got 18')
    expect(afterwards([assignAll(many.slice(1), doubled.slice(1))], [many[8]], executor)).toEqual([[16, 16, 16]])
    expect(afterwards([assignAll(many, [...many.slice(1), constant(0)])], [many[7], many[8]], executor)).toEqual([
      [8, 8, 8],
      [0, 0, 0],
    ])
    expectRefusal(() => assignAll([a], [a, b]), 'ERR_SHAPE', 'a value for each variable, got 1 variables and 2 values')
  })
})

/** Every third step adds the gradients of all that came before to the parameter; nothing happens in between. */
const everyThird: Optimizer = {
  name: 'everyThird',
  learningRates: [1],
  slots: () => [{ name: 'sum' }],
  counters: [{ name: 'count' }],
  update: ({ parameters, counters: { count } }) => {
    const isDue = greater(count, 1.5)
    const counted = assignAll([count], [multiply(subtract(1, isDue), add(count, 1))])
    const sums = parameters.map(({ slots, gradient }) => assignAll([slots.sum], [add(slots.sum, gradient)]))
    const due = continueIf(isDue)
    return { parameters: parameters.map(({ value }, i) => assignAll([value], [add(value, sums[i])])), others: [counted, due] }
  },
}

describe.each(executors)('a step that ends early on the %s executor', (executor) => {
  const make = () => sequential([input(1), dense(1, { useBias: false, kernelInitializer: 'zeros' })], { executor, threads: 1 })
  const lossOf = (prediction: Tensor) => sum(prediction, { axes: [1] })
  const data = { x: [[1], [2], [4], [8], [16], [32], [64]], y: new Array(7).fill([0]) }

  it.each([false, true])('leaves out what stands behind it, and is recorded as any other (profiled: %s)', async (profile) => {
    const net = make()
    const losses: number[] = []
    const history = await net.fit(data, {
      loss: lossOf,
      optimizer: everyThird,
      batchSize: 1,
      shuffle: false,
      profile,
      onProgress: ({ loss }) => losses.push(loss),
    })
    // After steps 3 and 6: 1 + 2 + 4, then 1 + … + 32 more.
    expect(net.weights()['dense_1.kernel'].data[0]).toBe(7 + 63)
    expect(history.epochs[0].loss).toBeCloseTo((7 * (8 + 16 + 32) + 70 * 64) / 7, 3)
    expect(losses[losses.length - 1]).toBe(70 * 64)
  })
})

describe.each(executors)('parameters side by side on the %s executor', (executor) => {
  it('are single numbers with learning rates of their own, also when these change with each step', async () => {
    for (const make of [sgd, rmsprop]) {
      const fall = schedules.polynomial({ rate: 0.1, floor: 0.05 })
      const optimizer = perGroup([
        { parameters: 'kernel', optimizer: make({ learningRate: fall }) },
        { optimizer: make({ learningRate: 0 }) },
      ])
      const single = perGroup([{ parameters: 'kernel', optimizer: make({ learningRate: 0 }) }, { optimizer: make({ learningRate: fall }) }])
      const moved = await Promise.all(
        [optimizer, single].map(async (each) => {
          const net = sequential([input(1), dense(1, { kernelInitializer: 'ones' })], { executor, threads: 1 })
          await net.fit({ x: [[1], [1]], y: [[3], [3]] }, { loss: 'meanSquaredError', optimizer: each, batchSize: 1, shuffle: false })
          return Object.values(net.weights()).map(({ data }) => data[0])
        }),
      )
      expect(moved[0][1]).toBe(0)
      expect(moved[1][0]).toBe(1)
      expect(moved[0][0] - 1).toBeGreaterThan(0.1)
      expect(moved[1][1]).toBeCloseTo(moved[0][0] - 1, 5)
    }
  })

  it('have gaps between them whose content concerns nobody', async () => {
    // In the gaps slots are 0, and so 0 / 0 is what gradients and parameters become there.
    const optimizer: Optimizer = {
      name: 'withoutEpsilon',
      learningRates: [0.01],
      slots: () => [{ name: 'square', initial: 1 }],
      update: ({ parameters, learningRates: [rate] }) => {
        const steps = parameters.map(({ gradient, slots, store }) => assignAll([store(gradient)], [divide(gradient, sqrt(slots.square))]))
        return { parameters: parameters.map(({ value }, i) => assignAll([value], [subtract(value, multiply(rate, steps[i]))])) }
      },
    }
    const train = async (loss: (prediction: Tensor) => Tensor, epochs: number) => {
      const net = sequential([input(3), dense(5), dense(2)], { executor, threads: 1, seed: 1 })
      await net.fit({ x: [[1, 2, 3]], y: [[3, 1]] }, { loss, optimizer, epochs })
      return net
    }
    const before = (await train((prediction) => sum(prediction, { axes: [1] }), 1)).weights()
    const after = (await train((prediction) => sum(prediction, { axes: [1] }), 4)).weights()
    for (const [name, { data }] of Object.entries(after)) {
      expect(data.every(Number.isFinite)).toBe(true)
      expect(data).not.toEqual(before[name].data)
    }
    const failure = train((prediction) => sum(log(subtract(prediction, 1000)), { axes: [1] }), 2)
    await expect(failure).rejects.toThrow(/instruction of layer "loss": .* = .*log/)
    const [a, b, norm] = [holding([3], [0, 1, 1], { name: 'a' }), holding([2], [2, 2], { name: 'b' }), holding([], [0], { name: 'norm' })]
    const more = [a, b].map((x) => assignAll([x], [add(x, 1)]))
    expect(afterwards([...more, assign(norm, sumOfSquares(more))], [norm], executor)).toEqual([[1 + 4 + 4 + 9 + 9]])
  })
})

it.skipIf(addon === undefined)('results that are no operands are refused when a plan is loaded', () => {
  const variables = ['a', 'b'].map((name) => holding([3], [1, 2, 3], { name }))
  const layout = layoutOf(variables)
  const updates = [assignAll(variables, [...variables].reverse())]
  const plan = buildPlan({ inputs: {}, outputs: {}, updates, variables: layout, batchSize: 1, mode: 'training' })
  for (const results of [
    [0, -1e9],
    [0, 2],
    [2, 0],
    [1, Number.NaN],
  ]) {
    const instructions = plan.instructions.map((instruction) => ({ ...instruction, attributes: { ...instruction.attributes, results } }))
    const load = () =>
      nativeExecutor(addon as NonNullable<typeof addon>, { threads: 1 }).load({ ...plan, instructions }, arenaFor(plan, layout))
    expect(load).toThrow(/update\): result \d is no operand/)
  }
})

it('two updates of one number stay two', () => {
  const [count, a, b] = ['count', 'a', 'b'].map((name) => holding([1], [1], { name }))
  const once = assignAll([count, a], [add(count, 1), multiply(a, 2)])
  const twice = assignAll([once, b], [add(once, 1), multiply(b, 2)])
  expect(afterwards([once, twice], [count, a, b], 'reference')).toEqual([[3], [2], [2]])
})

describe('an optimizer written as formulas', () => {
  const rmsprop: Optimizer = {
    name: 'mine',
    learningRates: [0.01],
    slots: () => [{ name: 'square', initial: 0.5 }],
    update: ({ parameters, learningRates: [rate] }) => ({
      parameters: parameters.map(({ value, gradient, slots }) => {
        const mean = add(multiply(0.9, slots.square), multiply(0.1, square(gradient)))
        return assignAll([value, slots.square], [subtract(value, multiply(rate, multiply(gradient, square(mean)))), mean])
      }),
    }),
  }
  const net = () => sequential([input(6), dense(9, { activation: 'relu' }), dense(5, { activation: 'tanh' }), dense(3)])

  it('is one instruction over all parameters', () => {
    const plan: Plan = net().trainingPlan(4, { loss: 'meanSquaredError', optimizer: rmsprop })
    expect(plan.instructions.filter(({ op }) => op === 'update').length).toBe(1)
    expect(plan.instructions.map(({ op }) => op)).not.toContain('assign')
  })

  it('must update every parameter', async () => {
    const optimizers: [Optimizer, string][] = [
      [
        perParameter('mine', 0.1, [], ({ value, gradient }, rate) => subtract(value, multiply(rate, gradient))),
        'got subtract float32 [6, 9]',
      ],
      [{ name: 'mine', learningRates: [1], update: () => ({ parameters: [] }) }, 'got 0 results for 6 parameters'],
      [perParameter('mine', 0.1, [], ({ value, gradient }) => assignAll([gradient], [value])), 'got update float32 [6, 9]'],
    ]
    for (const [optimizer, got] of optimizers) {
      const where = 'optimizer "mine": expected an update of parameter dense_1.kernel'
      await expectRefusal(() => net().trainingPlan(4, { loss: 'meanSquaredError', optimizer }), 'ERR_GRAPH', where, got)
    }
  })

  it('is told which slots and counters there are', async () => {
    const asking = (slots: string[], ask: (slots: Readonly<Record<string, Tensor>>) => Tensor) =>
      perParameter('mine', 0.1, slots, ({ value, slots }) => assignAll([value], [ask(slots)]))
    const counting: Optimizer = {
      name: 'counting',
      learningRates: [1],
      counters: [{ name: 'rounds' }],
      update: ({ counters: { round } }) => ({ parameters: [round] }),
    }
    const velocity = asking(['velocity', 'mean'], ({ velocty }) => velocty)
    const refusals: [Optimizer, string][] = [
      [velocity, 'Unknown slot "velocty" for optimizer "mine"; did you mean "velocity"?'],
      [asking(['velocity', 'mean'], ({ x }) => x), 'Unknown slot "x" for optimizer "mine"; known are velocity, mean.'],
      [asking([], ({ mean }) => mean), 'optimizer "mine": it keeps no slots, so there is no "mean".'],
      [averageWeights(velocity), 'Unknown slot "velocty" for optimizer "mine"; did you mean "velocity"?'],
      [counting, 'Unknown counter "round" for optimizer "counting"; did you mean "rounds"?'],
      [averageWeights(counting), 'Unknown counter "round" for optimizer "counting"'],
      [perGroup([{ optimizer: counting }]), 'Unknown counter "round" for optimizer "counting"'],
    ]
    for (const [optimizer, message] of refusals)
      await expectRefusal(() => net().trainingPlan(4, { loss: 'meanSquaredError', optimizer }), 'ERR_OPTION', message)
  })

  it('begins with the values its slots ask for', async () => {
    const single = sequential([input(1), dense(1, { useBias: false, kernelInitializer: 'ones' })])
    await single.fit({ x: [[2]], y: [[0]] }, { loss: (prediction) => sum(prediction, { axes: [1] }), optimizer: rmsprop })
    expect(single.weights()['dense_1.kernel'].data[0]).toBeCloseTo(1 - 0.01 * 2 * (0.9 * 0.5 + 0.1 * 4) ** 2, 6)
  })

  it('measures norms without copies', () => {
    const [a, b] = [holding([3], [1, 2, 2], { name: 'a' }), holding([2], [4, 0], { name: 'b' })]
    const norm = holding([], [0], { name: 'norm' })
    expect(afterwards([assign(norm, sqrt(sumOfSquares([a, b])))], [norm], 'reference')).toEqual([[5]])
    expect(input([2]).shape[0]).toBe(batch)
  })
})
