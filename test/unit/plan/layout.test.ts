/** How long values live, and where. */
import { describe, expect, it } from 'vitest'
import { referenceExecutor } from '../../../src/executors/reference/index.ts'
import { apply, type Tensor } from '../../../src/graph/tensor.ts'
import { add, exp, input, matmul, multiply, negate, reshape, softmax, sum, tanh } from '../../../src/index.ts'
import { assign, updateOps } from '../../../src/ops/update.ts'
import { overlaps } from '../random-graphs.ts'
import { arenaFor, expectRefusal, holding, layoutOf } from '../values.ts'
import { instructionsOf, named, planOf } from './support.ts'

describe('layout', () => {
  it('lets a result take the memory of an operand that nobody needs any more', () => {
    const w = named('w', 4, 4)
    const plan = planOf([softmax(exp(matmul(w, w)))])
    const [product, ...rest] = plan.instructions.map(({ outputs }) => plan.tensors[outputs[0]])
    expect(rest.map(({ offset }) => offset)).toEqual(rest.map(() => product.offset))
    expect(plan.blocks.workspace).toBe(64)
  })

  it('does not where the operand is read later, is wanted itself, or is a variable', () => {
    const w = named('w', 4, 4)
    const product = matmul(w, w)
    for (const outputs of [[add(sum(exp(product)), sum(product))], [product, negate(product)], [negate(w)]]) {
      const plan = planOf(outputs)
      expect(overlaps(plan)).toEqual([])
      const result = plan.tensors[plan.instructions[outputs.length > 1 || outputs[0].shape.length === 0 ? 1 : 0].outputs[0]]
      const operand = plan.tensors[plan.instructions[outputs.length > 1 || outputs[0].shape.length === 0 ? 1 : 0].inputs[0]]
      expect([result.block, result.offset]).not.toEqual([operand.block, operand.offset])
    }
  })

  it('keeps inputs and constants for the next step', () => {
    const x = input(4, { name: 'x' })
    const plan = planOf([multiply(exp(multiply(x, 2)), 2)], { inputs: { x } })
    const layout = layoutOf([])
    const session = referenceExecutor.load(plan, arenaFor(plan, layout))
    const memory = session.arena.view(plan.tensors[plan.inputs.x])
    memory.fill(1)
    const results = [0, 1].map(() => {
      session.execute(0, plan.instructions.length)
      return [...session.arena.view(plan.tensors[plan.outputs.output0])]
    })
    expect([...memory]).toEqual(new Array(8).fill(1))
    expect(results[1]).toEqual(results[0])
  })

  it('needs two buffers for a chain of products, however long', () => {
    const w = named('w', 16, 16)
    let y = w
    for (let i = 0; i < 20; i++) y = matmul(y, w)
    expect(planOf([y]).blocks.workspace).toBe(2 * 16 * 16 * 4)
  })

  it('makes no instruction and no memory for views', () => {
    const w = named('w', 4, 4)
    const plan = planOf([reshape(exp(reshape(w, [16])), [2, 8])])
    expect(instructionsOf(plan)).toEqual(['exp(w)'])
    expect(plan.blocks.workspace).toBe(64)
  })

  it('computes a value in the memory of the variable it is assigned to', () => {
    const w = named('w', 4, 4)
    const target = named('target', 16)
    const plan = planOf([], { updates: [assign(target, reshape(matmul(w, w), [16]))] })
    expect(instructionsOf(plan)).toEqual(['matmul(w, w)'])
    const [{ outputs }] = plan.instructions
    expect(plan.tensors[outputs[0]]).toMatchObject({ block: 'parameters', offset: 64, label: 'target' })
    expect(plan.blocks.workspace).toBe(0)
  })

  it.each<[string, (w: Tensor, target: Tensor, other: Tensor) => { outputs?: Tensor[]; updates: Tensor[] }]>([
    ['a source', (w, target) => ({ updates: [assign(target, w)] })],
    ['a view of a source', (w, target) => ({ updates: [assign(target, reshape(reshape(w, [16]), [4, 4]))] })],
    ['a variable whose old value is read', (w, target) => ({ outputs: [sum(target)], updates: [assign(target, matmul(w, target))] })],
  ])('but not %s', (_, make) => {
    const { outputs = [], updates } = make(named('w', 4, 4), named('target', 4, 4), named('other', 4, 4))
    expect(planOf(outputs, { updates }).instructions.map(({ op }) => op)).toContain('assign')
  })

  it('computes a value that two variables want once, and copies it for the second', () => {
    const w = named('w', 4, 4)
    const product = matmul(w, w)
    const plan = planOf([], { updates: [assign(named('first', 4, 4), product), assign(named('second', 4, 4), product)] })
    expect(instructionsOf(plan)).toEqual(['matmul(w, w)', 'assign(second, first)'])
  })

  it.each<[string, (w: Tensor) => { outputs?: Tensor[]; updates: Tensor[] }]>([
    ['directly', (w) => ({ updates: [assign(w, constantly(w)), tanh(w)] })],
    [
      'through a view',
      (w) => {
        const view = reshape(w, [2, 2])
        return { updates: [assign(w, constantly(w)), tanh(view)] }
      },
    ],
    [
      'as the result of an update before the latest',
      (w) => {
        const first = assign(w, constantly(w))
        return { updates: [first, assign(first, tanh(first)), negate(first)] }
      },
    ],
    ['as an output', (w) => ({ outputs: [reshape(w, [2, 2])], updates: [assign(w, constantly(w))] })],
    [
      'that is a slot of an optimizer',
      (w) => {
        const velocity = named('velocity', 4)
        const updated = apply(updateOps.sgd, [w, constantly(w), velocity, named('rate')], {
          momentum: 0.9,
          nesterov: false,
          weightDecay: 0,
        })
        return { updates: [updated, tanh(velocity)] }
      },
    ],
  ])('refuses to read a variable after its update %s', (_, make) => {
    const { outputs = [], updates } = make(named('w', 4))
    expectRefusal(() => planOf(outputs, { updates }), 'ERR_ASSERTION', 'after its update', 'report')
  })

  it('lets the result of an update be read in place of the variable', () => {
    const w = holding([4], [1, 2, 3, 4], { name: 'w' })
    const updated = assign(w, multiply(w, 10))
    const plan = planOf([add(updated, 1), reshape(updated, [2, 2])], { updates: [updated] })
    const arena = arenaFor(plan, layoutOf([updated]))
    referenceExecutor.load(plan, arena).execute(0, plan.instructions.length)
    expect([0, 1].map((i) => [...arena.view(plan.tensors[plan.outputs[`output${i}`]])])).toEqual([
      [11, 21, 31, 41],
      [10, 20, 30, 40],
    ])
  })

  function constantly(w: Tensor): Tensor {
    return multiply(w, 3)
  }
})
