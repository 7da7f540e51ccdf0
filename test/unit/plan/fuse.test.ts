/** Which ops become one instruction. */
import { describe, expect, it } from 'vitest'
import type { Tensor } from '../../../src/graph/tensor.ts'
import {
  activation,
  add,
  broadcastTo,
  dense,
  exp,
  greater,
  input,
  matmul,
  maximum,
  multiply,
  negate,
  relu,
  reshape,
  sequential,
  sigmoid,
  square,
  subtract,
  sum,
  tanh,
  transpose,
  where,
} from '../../../src/index.ts'
import { assign, MAX_CHAIN_INPUTS } from '../../../src/ops/update.ts'
import { MAX_CHAIN_STEPS } from '../../../src/plan/fuse.ts'
import type { Plan } from '../../../src/plan/plan.ts'
import { evaluateSeparately, firstDifference } from '../random-graphs.ts'
import { evaluate, holding, numbersOf } from '../values.ts'
import { instructionsOf, named, planOf } from './support.ts'

describe('fuse', () => {
  const x = named('x', 4, 3)
  const w = named('w', 3, 5)
  const bias = named('bias', 5)
  const stack = named('stack', 2, 4, 3)
  const product = matmul(x, w)
  const wide = named('wide', 5, 3)
  const whole = named('whole', 4, 5)
  const stackSized = named('stackSized', 2, 4, 5)
  const second = matmul(x, named('u', 3, 5))

  it.each<[string, () => Tensor[], string[]]>([
    ['bias and activation', () => [relu(add(product, bias))], ['relu(matmul(x, w, bias))']],
    ['a bias on the left', () => [relu(add(bias, product))], ['relu(matmul(x, w, bias))']],
    ['an activation without bias', () => [tanh(product)], ['tanh(matmul(x, w))']],
    ['more than one step', () => [exp(tanh(product))], ['exp(tanh(matmul(x, w)))']],
    ['a second bias as a step', () => [add(add(product, bias), bias)], ['add(matmul(x, w, bias), bias)']],
    ['a bias behind an activation as a step', () => [add(tanh(product), bias)], ['add(tanh(matmul(x, w)), bias)']],
    ['what is as large as the product', () => [add(whole, multiply(product, whole))], ['add(whole, multiply(matmul(x, w), whole))']],
    [
      'the derivative of an activation, behind the gradient of the next layer',
      () => [where(greater(whole, 0), matmul(x, wide, { transposeB: true }), 0)],
      ['where(greater(whole, 0), matmul(x, wide) {transposeB: true}, 0)'],
    ],
    [
      'a transpose of the product is none of its steps',
      () => [tanh(transpose(product))],
      ['matmul(x, w)', 'transpose(%1) {permutation: [1, 0]}', 'tanh(%2)'],
    ],
    ['what is repeated along rows is not read', () => [multiply(product, named('column', 4, 1))], ['matmul(x, w)', 'multiply(%1, column)']],
    ['nor what the product is repeated over', () => [multiply(product, named('deep', 2, 4, 5))], ['matmul(x, w)', 'multiply(%1, deep)']],
    ['whole inputs of another rank', () => [multiply(product, reshape(whole, [1, 4, 5]))], ['matmul(x, w)', 'multiply(%1, whole)']],
    [
      'of two products the later one; the other is computed before',
      () => [multiply(sigmoid(matmul(x, w)), tanh(matmul(x, named('v', 3, 5))))],
      ['matmul(x, w)', 'multiply(sigmoid(%1), tanh(matmul(x, v)))'],
    ],
    [
      'of two products the one that nobody else reads',
      () => [sum(second), add(matmul(x, w), tanh(second))],
      ['matmul(x, u)', 'sum(%1) {start: 0, end: 2}', 'add(matmul(x, w), tanh(%1))'],
    ],
    [
      'products wait for what their chain reads',
      () => [multiply(product, exp(sum(whole)))],
      ['sum(whole) {start: 0, end: 2}', 'exp(%1)', 'multiply(matmul(x, w), %2)'],
    ],
    [
      'several results of a chain are several chains: the product stays alone',
      () => [tanh(product), exp(product)],
      ['matmul(x, w)', 'tanh(%1)', 'exp(%1)'],
    ],
    [
      'a result that is wanted beside others is a chain of its own',
      () => [tanh(product), exp(tanh(product))],
      ['tanh(matmul(x, w))', 'exp(%1)'],
    ],
    [
      'views of what the chain reads, over more than two axes',
      () => [add(stackSized, matmul(stack, w))],
      ['add(stackSized, matmul(stack, w))'],
    ],
    [
      'dense layers over more than two axes, through the views of their rows',
      () => [relu(add(matmul(stack, w), bias))],
      ['relu(matmul(stack, w, bias))'],
    ],
    ['no view that is wanted itself', () => [matmul(stack, w), add(matmul(stack, w), bias)], ['matmul(stack, w)', 'add(%1, bias)']],
    ['no product that is wanted beside its view', () => [product, tanh(reshape(product, [2, 2, 5]))], ['matmul(x, w)', 'tanh(%1)']],
    [
      'no bias through a view whose elements it is repeated over',
      () => [add(reshape(product, [20, 1]), bias)],
      ['matmul(x, w)', 'add(%1, bias)'],
    ],
    [
      'no bias through a view with other rows',
      () => [add(reshape(product, [5, 4]), named('other', 4))],
      ['matmul(x, w)', 'add(%1, other)'],
    ],
    ['a scalar is a step', () => [maximum(product, 0)], ['maximum(matmul(x, w), 0)']],
    ['no scalar as bias', () => [add(product, 2)], ['add(matmul(x, w), 2)']],
    ['no row as bias, but as a step', () => [add(product, reshape(bias, [1, 5]))], ['add(matmul(x, w), bias)']],
    ['a product that is wanted itself', () => [product, relu(product)], ['matmul(x, w)', 'relu(%1)']],
    [
      'a product with a bias that is used elsewhere',
      () => [add(product, bias), exp(product)],
      ['matmul(x, w)', 'add(%1, bias)', 'exp(%1)'],
    ],
    [
      'a product that is used twice, by the same chain',
      () => [multiply(relu(product), product)],
      ['multiply(relu(p), p) where p = matmul(x, w)'],
    ],
    [
      'a sum that is wanted itself, the bias goes in all the same',
      () => [add(product, bias), exp(add(product, bias))],
      ['matmul(x, w, bias)', 'exp(%1)'],
    ],
  ])('products: %s', (_, make, expected) => {
    expect(instructionsOf(planOf(make()))).toEqual(expected)
  })

  it.each<[string, () => Tensor[], string[]]>([
    ['one op', () => [exp(x)], ['exp(x)']],
    ['a chain', () => [exp(negate(square(x)))], ['exp(negate(square(x)))']],
    ['a tree', () => [add(exp(x), multiply(square(x), 3))], ['add(exp(x), multiply(square(x), 3))']],
    [
      'a value used twice within is computed once',
      () => [multiply(tanh(x), subtract(1, tanh(x)))],
      ['multiply(s0, subtract(1, s0)) where s0 = tanh(x)'],
    ],
    [
      'a value that two chains use is computed once, before both',
      () => [sum(exp(tanh(x))), square(tanh(x))],
      ['tanh(x)', 'exp(%1)', 'sum(%2) {start: 0, end: 2}', 'square(%1)'],
    ],
    ['a value that is wanted itself', () => [tanh(x), exp(tanh(x))], ['tanh(x)', 'exp(%1)']],
    ['an operand of another shape is computed before', () => [add(x, exp(named('row', 3)))], ['exp(row)', 'add(x, %1)']],
    ['repetition needs no instruction', () => [multiply(exp(x), broadcastTo(named('row', 3), [4, 3]))], ['multiply(exp(x), row)']],
    ['a reduction ends a chain', () => [exp(sum(square(x)))], ['square(x)', 'sum(%1) {start: 0, end: 2}', 'exp(%2)']],
  ])('chains: %s', (_, make, expected) => {
    expect(instructionsOf(planOf(make()))).toEqual(expected)
  })

  const chainsOf = (plan: Plan) =>
    plan.instructions.map(({ attributes, inputs }) => ({ steps: (attributes.steps as string[]).length, inputs: inputs.length }))

  it('splits a chain of more steps than the limit', () => {
    let y = named('x', 5)
    for (let i = 0; i < 2 * MAX_CHAIN_STEPS + 6; i++) y = tanh(y)
    expect(chainsOf(planOf([y]))).toEqual([
      { steps: 6, inputs: 1 },
      { steps: MAX_CHAIN_STEPS, inputs: 1 },
      { steps: MAX_CHAIN_STEPS, inputs: 1 },
    ])
    const [fused] = evaluate([y])
    const [separate] = evaluateSeparately([y], new Map(), Float64Array)
    expect(firstDifference([fused], [separate])).toBeNull()
  })

  it('splits a chain of more inputs than the limit, each of them read once', () => {
    const count = 2 * MAX_CHAIN_INPUTS + 5
    const terms = Array.from({ length: count }, (_, i) => holding([2], [i, 1], { name: `t${i}` }))
    const total = terms.reduce((y, term) => add(y, term))
    const chains = chainsOf(planOf([total]))
    expect(Math.max(...chains.map(({ inputs }) => inputs))).toBe(MAX_CHAIN_INPUTS)
    expect(chains.reduce((all, { inputs }) => all + inputs, 0)).toBe(count + chains.length - 1)
    expect(numbersOf(total)).toEqual([(count * (count - 1)) / 2, count])
  })

  it('does not move a product over an update of what it reads', () => {
    const kernel = named('kernel', 3, 5)
    const before = matmul(x, kernel)
    const update = assign(kernel, multiply(kernel, 2))
    const plan = planOf([tanh(before)], { updates: [update] })
    expect(instructionsOf(plan)).toEqual(['matmul(x, kernel)', 'multiply(kernel, 2)', 'assign(kernel, %2)', 'tanh(%1)'])
  })

  it('splits what a product takes over like any chain', () => {
    const terms = Array.from({ length: MAX_CHAIN_INPUTS + 3 }, (_, i) => named(`t${i}`, 4, 5))
    const plan = planOf([terms.reduce((y, term) => add(y, term), product)])
    expect(plan.instructions.map(({ op, inputs }) => [op, inputs.length])).toEqual([
      ['matmul', 2 + 4],
      ['elementwise', MAX_CHAIN_INPUTS],
    ])
  })

  it('names products by their layer, and chains by that of their last op', () => {
    const y = dense(dense(input(3), 4, { activation: 'relu', name: 'first' }), 2, { name: 'second' })
    const net = sequential([
      y.inputs[0].inputs[0].inputs[0].inputs[0].inputs[0],
      dense(4, { activation: 'relu', name: 'hidden' }),
      (t) => exp(t),
    ])
    expect(net.plan(2).instructions.map(({ layer }) => layer)).toEqual(['hidden'])
    const chain = sequential([input(3), activation('tanh', { name: 'bounded' }), (t) => exp(t)])
    expect(chain.plan(2).instructions.map(({ layer }) => layer)).toEqual([null])
  })
})
