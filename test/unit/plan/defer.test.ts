/** Gradients that are left out of a plan: which ones, what stands in their place, and that nothing else changes. */
import { describe, expect, it } from 'vitest'
import type { Executor } from '../../../src/executors/executor.ts'
import { loadAddon } from '../../../src/executors/native/addon.ts'
import { nativeExecutor } from '../../../src/executors/native/index.ts'
import { referenceExecutor } from '../../../src/executors/reference/index.ts'
import { concrete } from '../../../src/graph/shape.ts'
import { apply, type Tensor } from '../../../src/graph/tensor.ts'
import {
  accumulateGradients,
  adam,
  adamW,
  add,
  averageWeights,
  clipGradients,
  constant,
  continueIf,
  dense,
  input,
  l2,
  lookahead,
  matmul,
  maxNorm,
  multiply,
  type Optimizer,
  reshape,
  rmsprop,
  sequential,
  sgd,
  sharpnessAware,
  sum,
  sumOfSquares,
  tanh,
  transpose,
} from '../../../src/index.ts'
import { assign, assignAll, checkFinite, updateOps } from '../../../src/ops/update.ts'
import { DEEPEST_DEFERRED, SMALLEST_DEFERRED } from '../../../src/plan/defer.ts'
import { GRADIENTS, type Plan, WORKSPACE } from '../../../src/plan/plan.ts'
import { stepOf } from '../../../src/train/minimization.ts'
import { Objective } from '../../../src/train/objective.ts'
import { Trainer } from '../../../src/train/trainer.ts'
import { overlaps } from '../random-graphs.ts'
import { arenaFor, holding, layoutOf, randomNumbers } from '../values.ts'
import { planOf } from './support.ts'

const { addon } = loadAddon()
const executors: readonly (readonly [string, Executor])[] = [
  ['reference', referenceExecutor],
  ...(addon === undefined ? [] : [['native', nativeExecutor(addon)] as const]),
]

const [BATCH, ROWS, COLUMNS] = [3, 256, SMALLEST_DEFERRED / 256]

/** A step with one gradient, as `fit` makes it: what changes it is given. */
interface Change {
  readonly batch?: number
  readonly shape?: readonly number[]
  readonly block?: string
  /** aᵀ b, from the two tensors that are multiplied. */
  readonly product?: (a: Tensor, b: Tensor) => Tensor
  readonly update?: (parameter: Tensor, gradient: Tensor) => Tensor
  readonly factor?: (a: Tensor) => Tensor
  /** Roots of the plan, in order; `others` are made before what stands behind them. */
  readonly roots?: (parts: Parts) => readonly Tensor[]
  readonly outputs?: (parts: Parts) => readonly Tensor[]
  readonly before?: (gradient: Tensor, b: Tensor) => readonly Tensor[]
}

interface Parts {
  readonly a: Tensor
  readonly b: Tensor
  readonly product: Tensor
  readonly stored: Tensor
  readonly check: () => Tensor
  readonly update: () => Tensor
}

let streams = 0
const random = (name: string, shape: readonly number[], block?: string): Tensor =>
  holding(
    shape,
    randomNumbers(
      shape.reduce((product, extent) => product * extent, 1),
      streams++,
    ),
    { name, block },
  )
const rate = holding([], [0.1], { name: 'rate' })
const steps = holding([], [3], { name: 'steps', dtype: 'int32', block: 'schedule' })
const plainSgd = { momentum: 0, nesterov: false, weightDecay: 0 }

function planWith(change: Change = {}, keepGradients = false) {
  const { batch = BATCH, shape = [ROWS, COLUMNS], block = GRADIENTS } = change
  const { product: multiplied = (a, b) => matmul(a, b, { transposeA: true }) } = change
  const { update = (parameter, gradient) => apply(updateOps.sgd, [parameter, gradient, rate], plainSgd) } = change
  streams = 0
  const parameter = random('p', shape)
  const gradient = holding(shape, [], { name: 'g', block })
  const [rows, columns] = shape.slice(-2)
  const a = (change.factor ?? tanh)(random('x', [batch, rows]))
  const b = tanh(random('y', [batch, columns]))
  const before = change.before?.(gradient, b) ?? []
  const product = multiplied(a, b)
  const stored = assign(gradient, product)
  const parts: Parts = {
    a,
    b,
    product,
    stored,
    check: () => checkFinite([sum(b), stored]),
    update: () => update(parameter, stored),
  }
  const { roots = ({ stored, check, update }) => [stored, check(), update()], outputs = () => [] } = change
  const updates = [...before, ...roots(parts)]
  const variables = layoutOf([...outputs(parts), ...updates])
  const plan = planOf(outputs(parts), { updates, variables, keepGradients })
  return { plan, variables }
}

const opsOf = (plan: Plan) => plan.instructions.map(({ op }) => op)

/** What all variables but gradients hold after a step, bit by bit. */
function valuesAfter({ plan, variables }: ReturnType<typeof planWith>, executor: Executor): Record<string, Uint32Array> {
  const arena = arenaFor(plan, variables)
  executor.load(plan, arena).execute(0, plan.instructions.length)
  const kept = variables.variables.filter(({ attributes }) => attributes.block !== GRADIENTS)
  return Object.fromEntries(
    kept.map((variable) => {
      const place = variables.place(variable) as { block: string; offset: number; name: string }
      const { buffer, byteOffset, length } = arena.view({ ...place, shape: variable.shape as number[], dtype: variable.dtype })
      return [place.name, new Uint32Array(buffer, byteOffset, length).slice()]
    }),
  )
}

const slots = (count: number) =>
  Array.from({ length: count }, (_, i) => holding([ROWS, COLUMNS], [], { name: `slot${i}`, block: `slot${i}` }))
const velocity = slots(1)
const moments = slots(2)
const adamAttributes = { beta1: 0.9, beta2: 0.999, epsilon: 1e-7, epsilonHat: false, weightDecay: 0.01 }

describe('a gradient that only the optimizer reads is left out', () => {
  it.each<[string, Change]>([
    ['by sgd', {}],
    ['by sgd with momentum', { update: (p, g) => apply(updateOps.sgd, [p, g, ...velocity, rate], { ...plainSgd, momentum: 0.9 }) }],
    [
      'by nesterov with decay',
      { update: (p, g) => apply(updateOps.sgd, [p, g, ...velocity, rate], { momentum: 0.9, nesterov: true, weightDecay: 0.01 }) },
    ],
    ['by adam', { update: (p, g) => apply(updateOps.adam, [p, g, ...moments, rate, steps], adamAttributes) }],
    ['of a view', { factor: (x) => reshape(tanh(reshape(x, [ROWS, BATCH])), [BATCH, ROWS]) }],
    ['at the largest depth', { batch: DEEPEST_DEFERRED }],
    ['of one sample', { batch: 1 }],
    [
      'with what reads the parameter behind the update',
      { roots: ({ stored, check, update }) => [stored, check(), assignAll([update()], [constant(0.5)])] },
    ],
    [
      'with what comes between the check and the update',
      {
        roots: ({ stored, check, update }) => [stored, check(), assignAll([holding([], [1], { name: 'count' })], [constant(2)]), update()],
      },
    ],
  ])('%s', (_, change) => {
    const [kept, left] = [planWith(change, true), planWith(change)]
    expect(opsOf(kept.plan)).not.toContain('matmulUpdate')
    expect(opsOf(left.plan).filter((op) => op === 'matmulUpdate' || op === 'checkMatmul')).toEqual(['checkMatmul', 'matmulUpdate'])
    expect(opsOf(left.plan)).not.toContain('matmul')
    expect(left.plan.tensors.map(({ label }) => label)).not.toContain('g')
    expect(overlaps(left.plan)).toEqual([])
    for (const [, executor] of executors) expect(valuesAfter(left, executor)).toEqual(valuesAfter(kept, executor))
  })
})

describe('a gradient is left as it is', () => {
  const inSteps = (a: Tensor, b: Tensor) => multiply(matmul(a, b, { transposeA: true }), 2)
  it.each<[string, Change]>([
    ['below the smallest size', { shape: [ROWS, COLUMNS - 1] }],
    ['beyond the largest depth', { batch: DEEPEST_DEFERRED + 1 }],
    ['in another block', { block: 'slopes' }],
    ['of a product with a write-back', { product: inSteps }],
    ['of a product that is written the other way', { factor: (x) => tanh(transpose(x)), product: (a, b) => matmul(a, b) }],
    [
      'that is a view of a product',
      { shape: [1, ROWS, COLUMNS], product: (a, b) => reshape(matmul(a, b, { transposeA: true }), [1, ROWS, COLUMNS]) },
    ],
    [
      'of a stack of products',
      {
        shape: [1, ROWS, COLUMNS],
        product: (a, b) => matmul(reshape(a, [1, ...concrete(a.shape)]), reshape(b, [1, ...concrete(b.shape)]), { transposeA: true }),
      },
    ],
    ['that is no product', { product: (a, b) => add(sum(b), multiply(sum(a), random('w', [ROWS, COLUMNS]))) }],
    ['of a variable, which an update may change before', { factor: (x) => x }],
    [
      'of a value that is computed in the memory of a variable',
      { before: (_, b) => [assign(holding([BATCH, COLUMNS], [], { name: 'h' }), b)] },
    ],
    ['that another optimizer reads', { update: (p, g) => assignAll([p], [multiply(g, rate)]) }],
    ['that is read beside the optimizer', { roots: ({ stored, check, update }) => [stored, check(), sumOfSquares([stored]), update()] }],
    [
      'that two updates read',
      {
        roots: ({ stored, check, update }) => [
          stored,
          check(),
          update(),
          assignAll([holding([ROWS, COLUMNS], [], { name: 'q' })], [stored]),
        ],
      },
    ],
    ['whose old value is read', { before: (gradient) => [assignAll([holding([ROWS, COLUMNS], [], { name: 'q' })], [gradient])] }],
    ['that is an output', { outputs: ({ stored }) => [stored] }],
    ['that is only an output', { outputs: ({ stored }) => [stored], roots: ({ check, update }) => [check(), update()] }],
    ['whose product is an output', { outputs: ({ product }) => [product] }],
    ['that is no root', { roots: ({ check, update }) => [check(), update()] }],
    ['that is no root, and checked twice', { roots: ({ b, stored, update }) => [checkFinite([sum(b), stored, stored]), update()] }],
    ['that is not checked', { roots: ({ b, stored, update }) => [stored, checkFinite([sum(b)]), update()] }],
    ['that is checked twice', { roots: ({ b, stored, update }) => [stored, checkFinite([sum(b), stored, stored]), update()] }],
    ['that alone is checked', { roots: ({ stored, update }) => [stored, checkFinite([stored]), update()] }],
    [
      'that is used before it is checked',
      {
        roots: ({ stored, check, update }) => {
          const updated = update()
          return [stored, check(), updated]
        },
      },
    ],
    ['of a step with two checks', { roots: ({ b, stored, check, update }) => [stored, check(), update(), checkFinite([sum(b)])] }],
    ['of a step that may end early', { roots: ({ b, stored, check, update }) => [stored, continueIf(sum(b)), check(), update()] }],
  ])('%s', (_, change) => {
    const [kept, asked] = [planWith(change, true), planWith(change)]
    expect(asked.plan).toEqual(kept.plan)
  })
})

describe('a step of training', () => {
  const net = () => sequential([input(140), dense(240, { activation: 'relu' }), dense(150, { activation: 'tanh' }), dense(3)])
  const trainer = (optimizer: Optimizer, model = net(), keepsGradients = false) =>
    new Trainer(stepOf(model, new Objective('fit', model, { loss: 'meanSquaredError' }), optimizer), undefined, keepsGradients)

  it('has its guards together, before all updates and behind all that reads the parameters', () => {
    const plan = trainer(adam()).plan(8)
    expect(overlaps(plan)).toEqual([])
    const ops = opsOf(plan)
    const guards = ops.flatMap((op, i) => (op === 'checkFinite' || op === 'checkMatmul' ? [i] : []))
    expect(guards).toEqual([0, 1, 2].map((i) => guards[0] + i))
    expect(ops.slice(guards[0], guards[2] + 1)).toEqual(['checkFinite', 'checkMatmul', 'checkMatmul'])
    const written = plan.instructions.flatMap(({ outputs }, i) =>
      outputs.some((output) => plan.tensors[output].block === 'parameters') ? [i] : [],
    )
    expect(Math.min(...written)).toBeGreaterThan(guards[2])
    const readers = plan.instructions.flatMap(({ phase, inputs }, i) =>
      phase !== 'update' && inputs.some((tensor) => plan.tensors[tensor].label === 'dense_2.kernel') ? [i] : [],
    )
    expect(Math.max(...readers)).toBeLessThan(guards[0])
    // Both products name their layers, before the update and in it.
    const layers = plan.instructions.filter(({ op }) => /Matmul|matmulUpdate/.test(op)).map(({ op, layer }) => `${op} ${layer}`)
    expect(layers).toEqual(['checkMatmul dense_1', 'checkMatmul dense_2', 'matmulUpdate dense_1', 'matmulUpdate dense_2'])
    expect(plan.instructions.flatMap(({ op, phase }) => (op === 'matmulUpdate' ? [phase] : []))).toEqual(['update', 'update'])
  })

  it('places nothing in the memory of a gradient that is not made', () => {
    const plan = trainer(adam()).plan(8)
    const { offset } = trainer(adam(), net(), true)
      .plan(8)
      .tensors.find(({ label }) => label === 'gradients/dense_2.bias') as { offset: number }
    // dense_1.kernel, its bias, dense_2.kernel: of all these only the bias is made.
    const below = plan.tensors.filter((tensor) => tensor.block === GRADIENTS && tensor.offset < offset)
    expect(new Set(below.map(({ label }) => label))).toEqual(new Set(['gradients/dense_1.bias']))
    // The operands live until the update.
    const operands = plan.instructions.filter(({ op }) => op === 'matmulUpdate').flatMap(({ inputs }) => inputs.slice(1, 3))
    expect(operands.map((operand) => plan.tensors[operand].block)).toEqual(operands.map(() => WORKSPACE))
  })

  it('records the same outputs', () => {
    const [kept, left] = [true, false].map((keeps) => trainer(adam(), net(), keeps).plan(8))
    expect(Object.keys(left.outputs)).toEqual(Object.keys(kept.outputs))
    expect(Object.keys(left.inputs)).toEqual(Object.keys(kept.inputs))
  })

  it('is the same text to a checkpoint, with gradients and without', () => {
    expect(trainer(adam()).describe(8)).toBe(trainer(adam(), net(), true).describe(8))
  })

  it.each<[string, () => Optimizer, number]>([
    ['sgd', () => sgd(), 2],
    ['adamW', () => adamW(), 2],
    ['averaged weights', () => averageWeights(adam()), 2],
    ['lookahead', () => lookahead(sgd()), 2],
    ['rmsprop', () => rmsprop(), 0],
    ['clipping', () => clipGradients(adam(), { globalNorm: 1 }), 0],
    ['accumulation', () => accumulateGradients(adam(), { steps: 2 }), 0],
    ['sharpness-aware minimization', () => sharpnessAware('sgd'), 0],
  ])('with %s', (_, make, count) => {
    const plan = trainer(make()).plan(8)
    expect(overlaps(plan)).toEqual([])
    expect(opsOf(plan).filter((op) => op === 'matmulUpdate').length).toBe(count)
  })

  it('goes on with the result where a constraint bounds the parameter, and keeps the gradient of one with a penalty', () => {
    const model = sequential([
      input(140),
      dense(240, { kernelConstraint: maxNorm(1) }),
      dense(150, { kernelRegularizer: l2(), activation: 'tanh' }),
      dense(3),
    ])
    const plan = trainer(sgd(), model).plan(8)
    const updates = plan.instructions.flatMap(({ op, outputs }) => (op === 'matmulUpdate' ? [plan.tensors[outputs[0]].label] : []))
    expect(updates).toEqual(['dense_1.kernel'])
    const bounds = plan.instructions.findLastIndex(
      ({ op, outputs }) => op === 'update' && plan.tensors[outputs[0]].label === 'dense_1.kernel',
    )
    expect(bounds).toBeGreaterThan(opsOf(plan).indexOf('matmulUpdate'))
  })
})
