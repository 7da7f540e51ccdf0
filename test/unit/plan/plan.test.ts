/** Plans as wholes: of random graphs, against ops one by one, and of training steps. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { referenceExecutor } from '../../../src/executors/reference/index.ts'
import { apply, type Tensor } from '../../../src/graph/tensor.ts'
import {
  adam,
  adamW,
  add,
  continueIf,
  dense,
  exp,
  gelu,
  gradients,
  input,
  l2,
  matmul,
  mean,
  multiply,
  type Optimizer,
  printPlan,
  sequential,
  sgd,
  square,
  subtract,
  sum,
  sumOfSquares,
  tanh,
} from '../../../src/index.ts'
import { droppedOut } from '../../../src/ops/random.ts'
import { variable } from '../../../src/ops/source.ts'
import { assign, assignAll, checkFinite, updateOps } from '../../../src/ops/update.ts'
import { VariableLayout } from '../../../src/plan/variables.ts'
import { BATCH, build, evaluateSeparately, firstDifference, overlaps, PROPERTY, recipes } from '../random-graphs.ts'
import { arenaFor, evaluate, holding, layoutOf } from '../values.ts'
import { instructionsOf, named, planOf, trainingPlan } from './support.ts'

describe('random graphs', () => {
  it('fused and packed have the bits of every op evaluated by itself, and no two live tensors overlap', () => {
    fc.assert(
      fc.property(recipes, (recipe) => {
        const { outputs, feeds } = build(recipe)
        const inputs = Object.fromEntries([...feeds.keys()].map((tensor, i) => [`input${i}`, tensor]))
        expect(overlaps(planOf(outputs, { inputs, batchSize: BATCH }))).toEqual([])
        for (const [precision, Memory] of [
          ['float32', Float32Array],
          ['float64', Float64Array],
        ] as const) {
          const together = evaluate(outputs, { feeds, batchSize: BATCH, mode: 'training', precision })
          expect(firstDifference(together, evaluateSeparately(outputs, feeds, Memory))).toBeNull()
        }
      }),
      PROPERTY,
    )
  })

  // In double precision, because constants are folded in it.
  it('give the same gradients and updated variables when trained by one plan', () => {
    fc.assert(
      fc.property(recipes, (recipe) => {
        const { outputs, variables, feeds } = build(recipe)
        const loss = outputs.map((output) => mean(square(tanh(output)))).reduce(add)
        const rate = holding([], [0.1], { name: 'rate' })
        const found = gradients(loss, variables)
        const memory = variables.map(({ shape }, i) => holding(shape as number[], [], { name: `d${i}`, block: 'gradients' }))
        const stored = found.map((gradient, i) => assign(memory[i], gradient))
        const check = checkFinite([loss, ...stored])
        const velocities = variables.map(({ shape }, i) => holding(shape as number[], [], { name: `v${i}` }))
        const updates = variables.map((parameter, i) =>
          i % 2 === 0
            ? apply(updateOps.sgd, [parameter, stored[i], rate], { momentum: 0, nesterov: false, weightDecay: 0 })
            : assignAll([parameter, velocities[i]], [subtract(parameter, multiply(rate, square(stored[i]))), tanh(parameter)]),
        )
        const inputs = Object.fromEntries([...feeds.keys()].map((tensor, i) => [`input${i}`, tensor]))
        const wanted = [...stored, ...updates]
        const layout = layoutOf([loss, ...wanted])
        const plan = planOf([loss], { updates: [...stored, check, ...updates], inputs, variables: layout, batchSize: BATCH })
        expect(overlaps(plan)).toEqual([])

        const arena = arenaFor(plan, layout, 'float64')
        for (const [i, values] of [...feeds.values()].entries()) arena.view(plan.tensors[plan.inputs[`input${i}`]]).set(values)
        referenceExecutor.load(plan, arena).execute(0, plan.instructions.length)
        const got = wanted.map(({ inputs: [target] }) => {
          const place = layout.place(target) as { block: string; offset: number }
          return arena.view({ ...place, shape: target.shape as number[], dtype: 'float32' })
        })
        expect(firstDifference(got, evaluateSeparately(wanted, feeds, Float64Array))).toBeNull()
      }),
      { ...PROPERTY, numRuns: Math.ceil(PROPERTY.numRuns / 2) },
    )
  })
})

describe('training plans', () => {
  const dense3 = () => sequential([input(6), dense(9, { activation: 'relu' }), dense(5, { activation: 'tanh' }), dense(3)])
  const data = { loss: 'meanSquaredError' } as const

  it('compute every gradient in the flat gradient block: no assignment is left', () => {
    const plan = trainingPlan(dense3(), data, sgd(), 4)
    expect(plan.instructions.map(({ op }) => op)).not.toContain('assign')
    const targets = plan.instructions.flatMap(({ outputs }) => outputs.map((output) => plan.tensors[output]))
    const gradientsMade = targets.filter(({ label }) => label.startsWith('gradients/')).map(({ label, offset }) => [offset, label])
    expect(gradientsMade.sort(([a], [b]) => (a as number) - (b as number)).map(([, label]) => label)).toEqual(
      ['dense_1.kernel', 'dense_1.bias', 'dense_2.kernel', 'dense_2.bias', 'dense_3.kernel', 'dense_3.bias'].map(
        (name) => `gradients/${name}`,
      ),
    )
    expect(overlaps(plan)).toEqual([])
  })

  it.each<[string, Optimizer, number]>([
    ['sgd', sgd(), 2],
    ['sgd with momentum', sgd({ momentum: 0.9 }), 3],
    ['adam', adam(), 4],
    ['adamW', adamW(), 4],
  ])('update a whole model by one %s over its parameter block', (_, optimizer, blocks) => {
    const model = dense3()
    const plan = trainingPlan(model, data, optimizer, 4)
    const updates = plan.instructions.filter(({ op }) => op === (optimizer.name === 'sgd' ? 'sgd' : 'adam'))
    expect(updates.length).toBe(1)
    const large = updates[0].inputs.map((operand) => plan.tensors[operand]).filter(({ shape }) => shape.length > 0)
    expect(large.map(({ block, offset }) => [block, offset])).toEqual(
      ['parameters', 'gradients', ...(optimizer.slots?.({ name: '', shape: [] }) ?? []).map(({ name }) => `slots/${name}`)].map((block) => [
        block,
        0,
      ]),
    )
    expect(large.length).toBe(blocks)
    // From the first parameter to the end of the last one, gaps up to the cache lines between included.
    const last = model.parameters[model.parameters.length - 1].variable
    const end = (model.layout.place(last) as { offset: number }).offset / 4 + 3
    expect(large.map(({ shape }) => shape)).toEqual(large.map(() => [end]))
  })

  it('check the loss and all gradients by one checkFinite, before the update', () => {
    const plan = trainingPlan(dense3(), data, adam(), 4)
    const ops = plan.instructions.map(({ op }) => op)
    expect(ops.filter((op) => op === 'checkFinite').length).toBe(1)
    expect(ops.indexOf('checkFinite')).toBeLessThan(ops.indexOf('adam'))
    const check = plan.instructions[ops.indexOf('checkFinite')]
    expect(check.inputs.map((operand) => plan.tensors[operand].block)).toEqual(['workspace', 'gradients'])
  })

  it('keep what lives in the memory of gradients that are yet to be made', () => {
    const wide = () => sequential([input(16), dense(64, { activation: 'gelu' }), dense(64, { activation: 'gelu' }), dense(16)])
    const plan = trainingPlan(wide(), data, adam(), 8)
    expect(overlaps(plan)).toEqual([])
    // All activations; what the last gradient is made of must lie elsewhere.
    const made = plan.instructions.map(({ outputs: [output] }) => plan.tensors[output])
    expect(made.slice(0, 5).map(({ block }) => block)).toEqual(new Array(5).fill('gradients'))
    expect(plan.blocks.workspace).toBeLessThan(4 * 8 * 64 * 4)
    expect(plan.instructions.filter(({ op }) => op === 'adam').length).toBe(1)
  })

  const w = named('w', 4, 4)
  const slope = holding([4, 4], [], { name: 'slope', block: 'gradients' })
  const set = (a: Tensor) => assign(slope, matmul(matmul(a, w), w))
  it.each<[string, string, (a: Tensor) => Tensor[]]>([
    ['a value in the memory of a gradient', 'gradients', (a) => [checkFinite([set(a)])]],
    ['none that is read later', 'workspace', (a) => [set(a), checkFinite([sum(a)])]],
    ['none where the step may end before', 'workspace', (a) => [continueIf(sum(w)), set(a)]],
    ['none that a flat op reads', 'workspace', (a) => [checkFinite([set(multiply(w, sumOfSquares([a])))])]],
  ])('keep %s', (_, block, updates) => {
    const plan = planOf([], { updates: updates(matmul(w, w)) })
    expect(overlaps(plan)).toEqual([])
    const made = plan.instructions.findIndex(({ inputs: [a, b] }) => a === b)
    expect(plan.tensors[plan.instructions[made].outputs[0]].block).toBe(block)
  })

  it('do not join updates with other settings, or of parameters that are not neighbours', () => {
    const update = (parameter: Tensor, gradient: Tensor, weightDecay: number) =>
      apply(updateOps.sgd, [parameter, gradient, rate], { momentum: 0, nesterov: false, weightDecay })
    const rate = named('rate')
    const parameters = [0, 1, 2, 3].map((i) => named(`p${i}`, 16))
    const slopes = [0, 1, 2, 3].map((i) => named(`g${i}`, 16))
    const variables = layoutOf([rate, ...parameters, ...slopes])
    const joined = (pairs: [number, number, number][]) =>
      planOf([], { variables, updates: pairs.map(([p, g, decay]) => update(parameters[p], slopes[g], decay)) }).instructions.length
    expect(joined([0, 1, 2, 3].map((i) => [i, i, 0]))).toBe(1)
    expect(joined([0, 1, 2, 3].map((i) => [i, i, i < 2 ? 0 : 0.1]))).toBe(2)
    expect(
      joined([
        [0, 0, 0],
        [2, 2, 0],
      ]),
    ).toBe(2)
    expect(
      joined([
        [1, 1, 0],
        [0, 0, 0],
      ]),
    ).toBe(2)
    expect(
      joined([
        [0, 0, 0],
        [1, 2, 0],
      ]),
    ).toBe(2)
  })

  it('join operands of one block of variables only', () => {
    const [first, second] = ['first', 'second'].map((block) =>
      variable({ name: block, block, shape: [16], dtype: 'float32', initialize: () => undefined }),
    )
    const filler = variable({ name: 'filler', block: 'second', shape: [16], dtype: 'float32', initialize: () => undefined })
    // Second comes 64 bytes into its block, just where a neighbour of first would.
    const variables = new VariableLayout([first, filler, second].map((tensor) => ({ variable: tensor, name: tensor.attributes.name })))
    const operandsOf = (values: readonly Tensor[]) => {
      const { instructions } = planOf([], { variables, updates: [checkFinite(values)] })
      return instructions[instructions.length - 1].inputs.length
    }
    expect(operandsOf([first, second])).toBe(2)
    expect(operandsOf([filler, second])).toBe(1)
    // What lies between two tensors of the workspace is nobody's.
    expect(operandsOf([exp(first), tanh(first)])).toBe(2)
  })

  it('leave out what inference does not need', () => {
    const net = sequential([input(6), dense(4, { activation: gelu, kernelRegularizer: l2() }), (t) => droppedOut(t, 0.5), dense(2)])
    expect(instructionsOf(net.plan(3))).toEqual([
      'gelu(matmul(input_1, dense_1.kernel, dense_1.bias))',
      'matmul(%1, dense_2.kernel, dense_2.bias)',
    ])
  })

  it('have names that depend on the model alone', () => {
    const text = () => printPlan(trainingPlan(dense3(), data, adam(), 4))
    const first = text()
    sequential([input(2), dense(3), dense(1)])
    expect(text()).toBe(first)
  })

  it('fit shared kernels: the gradients of all uses are added before the one update', () => {
    const shared = dense(3, { activation: 'tanh' })
    const net = sequential([input(3), shared, shared])
    const plan = trainingPlan(net, data, sgd(), 2)
    expect(plan.instructions.filter(({ op }) => op === 'sgd').length).toBe(1)
    expect(plan.instructions.map(({ op }) => op)).not.toContain('assign')
  })
})
