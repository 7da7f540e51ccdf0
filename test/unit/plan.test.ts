/** The way from a graph to a plan, pass by pass, and what all plans must hold to. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { referenceExecutor } from '../../src/executors/reference/index.ts'
import type { Mode } from '../../src/graph/op.ts'
import { formatShape } from '../../src/graph/shape.ts'
import { ancestors, apply, type Tensor } from '../../src/graph/tensor.ts'
import {
  activation,
  adam,
  adamW,
  add,
  broadcastTo,
  concat,
  constant,
  continueIf,
  dense,
  divide,
  exp,
  gelu,
  gradients,
  greater,
  input,
  l2,
  matmul,
  maximum,
  mean,
  multiply,
  negate,
  type Optimizer,
  power,
  printPlan,
  relu,
  reshape,
  sequential,
  sgd,
  sigmoid,
  slice,
  softmax,
  sqrt,
  square,
  subtract,
  sum,
  sumOfSquares,
  tanh,
  transpose,
  whenTraining,
  where,
} from '../../src/index.ts'
import { droppedOut } from '../../src/ops/random.ts'
import { constantValue, isVariable, variable } from '../../src/ops/source.ts'
import { assign, assignAll, checkFinite, increment, MAX_CHAIN_INPUTS, updateOps } from '../../src/ops/update.ts'
import { bind } from '../../src/plan/bind.ts'
import { buildPlan, type PlanRequest } from '../../src/plan/build.ts'
import { MAX_CHAIN_STEPS } from '../../src/plan/fuse.ts'
import type { Plan } from '../../src/plan/plan.ts'
import { printInstruction } from '../../src/plan/print.ts'
import { simplify } from '../../src/plan/simplify.ts'
import { VariableLayout } from '../../src/plan/variables.ts'
import { stepOf } from '../../src/train/minimization.ts'
import type { Model } from '../../src/train/model.ts'
import { Objective, type ObjectiveOptions } from '../../src/train/objective.ts'
import { Trainer } from '../../src/train/trainer.ts'
import { BATCH, build, evaluateSeparately, firstDifference, overlaps, PROPERTY, recipes } from './random-graphs.ts'
import { arenaFor, evaluate, expectRefusal, holding, layoutOf, numbersOf, randomTensor } from './values.ts'

const named = (name: string, ...shape: number[]): Tensor => randomTensor(shape, 0, name)

function planOf(outputs: readonly Tensor[], options: Partial<PlanRequest> = {}): Plan {
  const updates = options.updates ?? []
  return buildPlan({
    inputs: {},
    outputs: Object.fromEntries(outputs.map((tensor, i) => [`output${i}`, tensor])),
    variables: layoutOf([...outputs, ...updates]),
    batchSize: 2,
    mode: 'training',
    ...options,
  })
}

/** Instructions as they print, without places and remarks: `matmul(x, w)`. */
function instructionsOf(plan: Plan): string[] {
  return plan.instructions.map((instruction) =>
    printInstruction(plan, instruction)
      .replace(/^.*? = (?=\w+\()/, '')
      .replace(/ {3}#.*$/, ''),
  )
}

/** A graph as an expression: `add(x, 1)`. */
function spelled(tensor: Tensor): string {
  if (isVariable(tensor)) return tensor.attributes.name
  const value = constantValue(tensor)
  if (value !== null) return String(value)
  const { shape, stream, ...attributes } = tensor.attributes
  const shown = Object.entries(attributes).filter(([, attribute]) => attribute !== false && String(attribute) !== '')
  const suffix = shown.map(([name, attribute]) => ` ${name}=${attribute}`).join('')
  return `${tensor.op.name}${shape === undefined ? '' : formatShape(shape)}(${tensor.inputs.map(spelled).join(', ')}${suffix})`
}

function trainingPlan(model: Model, options: ObjectiveOptions, optimizer: Optimizer, batchSize: number): Plan {
  return new Trainer(stepOf(model, new Objective('fit', model, options), optimizer)).plan(batchSize)
}

describe('bind', () => {
  it('puts the batch size into shapes and attributes', () => {
    const pairs = reshape(input([2, 3]), [-1, 2])
    const [bound] = bind([broadcastTo(pairs, [5, ...pairs.shape])], 4, 'inference')
    expect(bound.shape).toEqual([5, 12, 2])
    expect(bound.attributes.shape).toEqual([5, 12, 2])
    expect(bound.inputs[0].attributes.shape).toEqual([12, 2])
  })

  it.each<[Mode, string]>([
    ['training', 'x'],
    ['inference', 'negate(x)'],
  ])('decides for %s', (mode, taken) => {
    const x = named('x', 3)
    expect(spelled(bind([whenTraining(x, negate(x))], 1, mode)[0])).toBe(taken)
  })

  it('numbers random streams in order of appearance, whatever was built before', () => {
    const make = () => {
      const x = named('x', 3)
      const first = droppedOut(x, 0.5)
      return add(droppedOut(first, 0.5), first)
    }
    const streams = (tensor: Tensor) =>
      ancestors(bind([tensor], 1, 'training'))
        .filter(({ op }) => op.name === 'bernoulli')
        .map(({ attributes }) => attributes.stream)
    expect(streams(make())).toEqual([0, 1])
    expect(streams(make())).toEqual([0, 1])
  })

  it('refuses a batch size that is none, and an input that nobody feeds', () => {
    const x = input(3, { name: 'pixels' })
    for (const batchSize of [0, -1, 1.5, Number.NaN]) expectRefusal(() => planOf([x], { batchSize }), 'ERR_OPTION', `${batchSize}`)
    expectRefusal(() => planOf([tanh(x)]), 'ERR_GRAPH', '"pixels"', '[batch, 3]')
  })
})

describe('simplify', () => {
  const x = named('x', 2, 3)
  const row = named('row', 3)
  const scalar = named('scalar')
  const a = named('a', 2, 3)
  const b = named('b', 3, 4)
  const stack = named('stack', 5, 2, 3)
  const swap = (tensor: Tensor) => transpose(tensor, [0, 2, 1])

  it.each<[string, () => Tensor, string]>([
    ['constants are computed', () => add(x, add(multiply(2, 3), sqrt(16))), 'add(x, 10)'],
    ['constants as far as they go', () => multiply(negate(constant(2)), x), 'multiply(-2, x)'],
    ['the number of elements is a constant', () => mean(x), 'divide(sum(x start=0 end=2), 6)'],
    ['x + 0', () => add(x, 0), 'x'],
    ['0 + x', () => add(0, x), 'x'],
    ['x - 0', () => subtract(x, 0), 'x'],
    ['x · 1', () => multiply(x, 1), 'x'],
    ['1 · x', () => multiply(1, x), 'x'],
    ['x / 1', () => divide(x, 1), 'x'],
    ['x + (1 - 1)', () => add(x, subtract(1, 1)), 'x'],
    ['x + zeros', () => add(x, broadcastTo(constant(0), [2, 3])), 'x'],
    ['0 - x stays', () => subtract(0, x), 'subtract(0, x)'],
    ['x · 0 stays, as x may be NaN', () => multiply(x, 0), 'multiply(x, 0)'],
    ['zeros that repeat the other operand stay', () => add(scalar, broadcastTo(constant(0), [2])), 'add(scalar, broadcastTo[2](0))'],
    ['--x', () => negate(negate(x)), 'x'],
    ['---x', () => negate(negate(negate(x))), 'negate(x)'],
    ['constant factors of which one is a power of two', () => multiply(0.001, multiply(x, 2)), 'multiply(0.002, x)'],
    ['three of them', () => multiply(multiply(-0.25, multiply(0.3, x)), 8), 'multiply(-0.6, x)'],
    ['other constant factors stay, as they round twice', () => multiply(0.1, multiply(3, x)), 'multiply(0.1, multiply(3, x))'],
    [
      'factors whose product is denormal stay',
      () => multiply(2 ** -100, multiply(2 ** -100, x)),
      `multiply(${2 ** -100}, multiply(${2 ** -100}, x))`,
    ],
    ['x²', () => power(x, 2), 'square(x)'],
    ['x^(1/2)', () => power(x, 0.5), 'sqrt(x)'],
    ['x^1', () => power(x, 1), 'x'],
    ['x^-1', () => power(x, -1), 'reciprocal(x)'],
    ['reshape to the same', () => reshape(x, [2, 3]), 'x'],
    ['reshape there and back', () => reshape(reshape(x, [6]), [2, 3]), 'x'],
    ['reshape of reshape', () => reshape(reshape(x, [6]), [3, 2]), 'reshape[3, 2](x)'],
    ['transpose there and back', () => transpose(transpose(x)), 'x'],
    ['transpose of transpose', () => transpose(transpose(stack, [1, 2, 0]), [1, 2, 0]), 'transpose(stack permutation=2,0,1)'],
    ['transpose that moves nothing', () => transpose(x, [0, 1]), 'x'],
    ['slice of everything', () => slice(x, [[0, 2], null]), 'x'],
    ['concat of one', () => concat([x]), 'x'],
    ['broadcastTo the same', () => broadcastTo(x, [2, 3]), 'x'],
    ['broadcastTo before an elementwise op', () => add(x, broadcastTo(row, [2, 3])), 'add(x, row)'],
    ['repeated constants are computed once', () => negate(broadcastTo(constant(2), [2, 3])), 'broadcastTo[2, 3](-2)'],
    ['views of repeated scalars', () => reshape(broadcastTo(scalar, [6]), [2, 3]), 'broadcastTo[2, 3](scalar)'],
    ['scalars repeated twice', () => broadcastTo(reshape(broadcastTo(scalar, [3]), [1, 3]), [2, 3]), 'broadcastTo[2, 3](scalar)'],
    [
      'what is no scalar is not repeated in another order',
      () => reshape(broadcastTo(row, [2, 3]), [3, 2]),
      'reshape[3, 2](broadcastTo[2, 3](row))',
    ],
    [
      'the gradient of a mean of means needs no instruction for its constant',
      () => gradients(mean(mean(square(x), { axes: [1] })), [x])[0],
      'multiply(0.3333333333333333, x)',
    ],
    [
      'broadcastTo of both operands: one has to stay',
      () => add(broadcastTo(row, [2, 3]), broadcastTo(scalar, [2, 3])),
      'add(row, broadcastTo[2, 3](scalar))',
    ],
    ['transposes before a product', () => matmul(transpose(b), transpose(x)), 'matmul(b, x transposeA=true transposeB=true)'],
    ['transpose and flag cancel out', () => matmul(transpose(x), b, { transposeA: true }), 'matmul(x, b)'],
    ['transposed twice before a product', () => matmul(transpose(transpose(a)), b), 'matmul(a, b)'],
    ['transposed stacks', () => matmul(stack, swap(stack)), 'matmul(stack, stack transposeB=true)'],
    [
      'stacks whose other axes moved stay',
      () => matmul(transpose(stack), transpose(stack, [2, 0, 1])),
      'matmul(transpose(stack permutation=2,1,0), transpose(stack permutation=2,0,1))',
    ],
  ])('%s', (_, make, expected) => {
    const given = make()
    const [simplified] = simplify(bind([given], 2, 'training'))
    expect(spelled(simplified)).toBe(expected)
    expect(simplified.shape).toEqual(given.shape)
    expect(simplified.dtype).toBe(given.dtype)
  })

  it('computes what appears twice once', () => {
    const twice = () => exp(tanh(x))
    const [both] = simplify(bind([add(twice(), negate(twice()))], 2, 'training'))
    expect(both.inputs[0]).toBe(both.inputs[1].inputs[0])
    expect(ancestors([both]).map(({ op }) => op.name)).toEqual(['variable', 'tanh', 'exp', 'negate', 'add'])
  })

  it('takes ops with other attributes, operands in another order, and other constants for different', () => {
    const different = [
      sum(x, { axes: [0] }),
      sum(x, { axes: [1] }),
      subtract(x, row),
      subtract(row, x),
      ...[0, -0, 1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY].map((value) => maximum(x, value)),
    ]
    const roots = simplify(bind(different, 2, 'training'))
    expect(new Set(roots).size).toBe(different.length)
  })

  it('never joins updates or random numbers', () => {
    const counter = variable({ name: 'counter', block: 'state', shape: [], dtype: 'int32', initialize: () => undefined })
    const roots = [increment(counter), increment(counter), droppedOut(x, 0.5), droppedOut(x, 0.5)]
    expect(new Set(simplify(bind(roots, 2, 'training'))).size).toBe(4)
  })
})

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
