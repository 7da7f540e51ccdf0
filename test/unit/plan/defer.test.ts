/**
 * Gradients that are left out of a plan, and gradients that are stored but checked by the factors of their products: which ones, what stands in
 * their place, and that nothing else changes.
 */
import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { Arena } from '../../../src/executors/arena.ts'
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
import { checkByFactors, DEEPEST_DEFERRED, SMALLEST_CHECKED_BY_FACTORS, SMALLEST_DEFERRED } from '../../../src/plan/defer.ts'
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

type Made = ReturnType<typeof planWith>

/** What all variables but gradients hold after a step, bit by bit: a digest, because arrays take long to compare. */
function valuesAfter({ plan, variables }: Made, executor: Executor): Record<string, string> {
  const arena = arenaFor(plan, variables)
  executor.load(plan, arena).execute(0, plan.instructions.length)
  return bitsIn(arena, { variables }, ({ attributes }) => attributes.block !== GRADIENTS)
}

function digestOf({ buffer, byteOffset, byteLength }: ArrayBufferView): string {
  return createHash('sha256')
    .update(new Uint8Array(buffer, byteOffset, byteLength))
    .digest('hex')
}

type Variable = Made['variables']['variables'][number]

function bitsIn(arena: Arena, { variables }: Pick<Made, 'variables'>, which: (variable: Variable) => boolean = () => true) {
  return Object.fromEntries(
    variables.variables.filter(which).map((variable): [string, string] => {
      const place = variables.place(variable) as { block: string; offset: number; name: string }
      const view = arena.view({ ...place, shape: variable.shape as number[], dtype: variable.dtype })
      return [place.name, digestOf(view)]
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
    ['at the largest depth', { batch: DEEPEST_DEFERRED, shape: [2 * DEEPEST_DEFERRED, 2 * DEEPEST_DEFERRED] }],
    ['whose factors are as large as it', { batch: 182, shape: [364, 364] }],
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
    ['beyond the largest depth', { batch: DEEPEST_DEFERRED + 1, shape: [1024, 1024] }],
    ['whose factors are larger than it', { batch: 183, shape: [364, 364] }],
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
  const net = () => sequential([input(300), dense(440, { activation: 'relu' }), dense(300, { activation: 'tanh' }), dense(3)])
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

  it.each<[string, () => Optimizer, number, number]>([
    ['sgd', () => sgd(), 2, 2],
    ['adamW', () => adamW(), 2, 2],
    ['averaged weights', () => averageWeights(adam()), 2, 2],
    ['lookahead', () => lookahead(sgd()), 2, 2],
    ['rmsprop', () => rmsprop(), 0, 2],
    ['clipping', () => clipGradients(adam(), { globalNorm: 1 }), 0, 2],
    ['accumulation', () => accumulateGradients(adam(), { steps: 2 }), 0, 2],
    ['sharpness-aware minimization', () => sharpnessAware('sgd'), 0, 0],
  ])('with %s', (_, make, leftOut, checkedByFactors) => {
    const plan = trainer(make()).plan(8)
    expect(overlaps(plan)).toEqual([])
    const count = (name: string) => opsOf(plan).filter((op) => op === name).length
    expect([count('matmulUpdate'), count('checkMatmul')]).toEqual([leftOut, checkedByFactors])
  })

  it('checks gradients of three sizes in one place', () => {
    const model = sequential([input(300), dense(440, { activation: 'relu' }), dense(96, { activation: 'tanh' }), dense(3)])
    const plan = trainer(adam(), model).plan(8)
    expect(overlaps(plan)).toEqual([])
    const isGuard = (op: string) => op === 'checkFinite' || op === 'checkMatmul'
    const first = opsOf(plan).findIndex(isGuard)
    const guards = plan.instructions.slice(first, first + 3)
    expect(guards.map(({ op, layer }) => [op, layer])).toEqual([
      ['checkFinite', null],
      ['checkMatmul', 'dense_2'],
      ['checkMatmul', 'dense_1'],
    ])
    expect(opsOf(plan).filter(isGuard).length).toBe(3)
    const products = plan.instructions.filter(
      ({ op, layer, attributes }) => op === 'matmul' && layer === 'dense_2' && attributes.transposeA,
    )
    expect(products.map(({ inputs, outputs }) => [inputs, plan.tensors[outputs[0]].label])).toEqual([
      [guards[1].inputs, 'gradients/dense_2.kernel'],
    ])
    const written = plan.instructions.flatMap(({ outputs }, i) =>
      outputs.some((output) => /parameters|slots/.test(plan.tensors[output].block)) ? [i] : [],
    )
    expect(Math.min(...written)).toBeGreaterThan(first + 2)
  })

  it('goes on with the result where a constraint bounds the parameter, and keeps the gradient of one with a penalty', () => {
    const model = sequential([
      input(300),
      dense(440, { kernelConstraint: maxNorm(1) }),
      dense(300, { kernelRegularizer: l2(), activation: 'tanh' }),
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

/** The same step with one check more behind its updates, so that `checkFinite` checks all of it. */
function withTwoChecks(change: Change): Change {
  const { roots = ({ stored, check, update }) => [stored, check(), update()] } = change
  return { ...change, roots: (parts) => [...roots(parts), checkFinite([sum(parts.b)])] }
}

const checksOf = (plan: Plan) => opsOf(plan).filter((op) => op === 'checkFinite' || op === 'checkMatmul')
const [FEW_ROWS, FEW_COLUMNS] = [128, SMALLEST_CHECKED_BY_FACTORS / 128]

describe('a gradient that is stored is checked by the factors of its product', () => {
  it.each<[string, Change]>([
    ['of the smallest size', { shape: [FEW_ROWS, FEW_COLUMNS] }],
    ['of any size', {}],
    ['where they are half as large', { batch: 46, shape: [184, 184] }],
    ['of one sample', { batch: 1 }],
    ['that are views', { factor: (x) => reshape(tanh(reshape(x, [ROWS, BATCH])), [BATCH, ROWS]) }],
    ['that another optimizer reads', { update: (p, g) => assignAll([p], [multiply(g, rate)]) }],
    ['that is read beside the optimizer', { roots: ({ stored, check, update }) => [stored, check(), sumOfSquares([stored]), update()] }],
    ['whose old value is read', { before: (gradient) => [assignAll([holding([ROWS, COLUMNS], [], { name: 'q' })], [gradient])] }],
    ['that is an output', { outputs: ({ stored }) => [stored] }],
    ['whose product is an output', { outputs: ({ product }) => [product] }],
    ['that is checked twice', { roots: ({ b, stored, update }) => [stored, checkFinite([sum(b), stored, stored]), update()] }],
    ['of a step that may end early', { roots: ({ b, stored, check, update }) => [stored, continueIf(sum(b)), check(), update()] }],
  ])('%s', (_, change) => {
    const { plan, variables } = planWith(change, true)
    const control = planWith(withTwoChecks(change), true)
    expect(checksOf(plan)).toEqual(['checkFinite', 'checkMatmul'])
    expect(checksOf(control.plan)).toEqual(['checkFinite', 'checkFinite'])
    expect(overlaps(plan)).toEqual([])
    // Nothing else happens.
    const others = (all: Plan) => opsOf(all).filter((op) => !op.startsWith('check'))
    expect(others(plan).sort()).toEqual(others(withoutLast(control.plan)).sort())
    const first = opsOf(plan).indexOf('checkFinite')
    const [finite, guard] = plan.instructions.slice(first, first + 2)
    const product = plan.instructions.find(({ op }) => op === 'matmul')
    expect(guard.op).toBe('checkMatmul')
    expect(guard.inputs).toEqual(product?.inputs)
    expect(finite.inputs.map((tensor) => plan.tensors[tensor].shape)).toEqual([[]])
    for (const [, executor] of executors) {
      const [arena, other] = [arenaFor(plan, variables), arenaFor(control.plan, control.variables)]
      executor.load(plan, arena).execute(0, plan.instructions.length)
      executor.load(control.plan, other).execute(0, control.plan.instructions.length)
      const bits = bitsIn(arena, { variables })
      expect(bits.g).not.toBe(bitsIn(arenaFor(plan, variables), { variables }).g)
      expect(bits).toEqual(bitsIn(other, control))
    }
  })

  // What the second check of a control needs besides: the sum that it checks.
  const withoutLast = (plan: Plan): Plan => ({ ...plan, instructions: plan.instructions.slice(0, -1) })
})

describe('a gradient is checked element by element', () => {
  const plain = (a: Tensor, b: Tensor) => matmul(a, b, { transposeA: true })
  it.each<[string, Change]>([
    ['below the smallest size', { shape: [FEW_ROWS, FEW_COLUMNS - 1] }],
    ['where the factors are larger than half of it', { batch: 47, shape: [184, 184] }],
    ['in another block', { block: 'slopes' }],
    ['of a product with a write-back', { product: (a, b) => multiply(plain(a, b), 2) }],
    ['of a product that is written the other way', { factor: (x) => tanh(transpose(x)), product: (a, b) => matmul(a, b) }],
    ['that is a view of a product', { shape: [1, ROWS, COLUMNS], product: (a, b) => reshape(plain(a, b), [1, ROWS, COLUMNS]) }],
    ['that is no product', { product: (a, b) => add(sum(b), multiply(sum(a), random('w', [ROWS, COLUMNS]))) }],
    ['of a variable', { factor: (x) => x }],
    ['of a view of a variable', { factor: (x) => reshape(reshape(x, [ROWS, BATCH]), [BATCH, ROWS]) }],
    [
      'of a value that is computed in the memory of a variable',
      { before: (_, b) => [assign(holding([BATCH, COLUMNS], [], { name: 'h' }), b)] },
    ],
    ['that is not in a variable', { roots: ({ b, product, stored, update }) => [checkFinite([sum(b), product]), stored, update()] }],
    ['where nothing else is checked', { roots: ({ stored, update }) => [stored, checkFinite([stored]), update()] }],
    ['where nothing else is checked, and it twice', { roots: ({ stored, update }) => [stored, checkFinite([stored, stored]), update()] }],
    ['where there are two checks', withTwoChecks({})],
    [
      'where there are two checks of it',
      { roots: ({ b, stored, check, update }) => [stored, check(), checkFinite([stored, sum(b)]), update()] },
    ],
  ])('%s', (_, change) => {
    const { plan } = planWith(change, true)
    expect(opsOf(plan)).toContain('checkFinite')
    expect(opsOf(plan)).not.toContain('checkMatmul')
    const checked = plan.instructions.filter(({ op }) => op === 'checkFinite').flatMap(({ inputs }) => inputs)
    expect(checked.map((tensor) => plan.tensors[tensor].shape.length)).toContain(change.shape?.length ?? 2)
  })

  it('unless it is checked at all', () => {
    const { plan } = planWith({ roots: ({ b, stored, update }) => [stored, checkFinite([sum(b)]), update()] }, true)
    expect(checksOf(plan)).toEqual(['checkFinite'])
  })
})

describe('a check by factors', () => {
  const shape = [FEW_ROWS, FEW_COLUMNS]
  const scaled = (scale: number): Change => ({
    shape,
    batch: 42,
    factor: (x) => multiply(tanh(x), holding([], [scale], { name: 'scale' })),
  })

  describe.each(executors)('on the %s executor', (_, executor) => {
    const runOf = async (made: Made) => {
      const arena = arenaFor(made.plan, made.variables)
      const before = bitsIn(arena, made)
      const { stopped, completed } = await executor.load(made.plan, arena).run({ steps: 1, feeds: [], record: [] })
      return { stopped, completed, before, after: bitsIn(arena, made) }
    }

    it.each<[string, number]>([
      ['NaN in a factor', Number.NaN],
      ['infinity in a factor', Number.POSITIVE_INFINITY],
      ['a product that overflows', 3e38],
    ])('stops the step before its updates: %s', async (_, scale) => {
      const made = planWith(scaled(scale), true)
      expect(checksOf(made.plan)).toEqual(['checkFinite', 'checkMatmul'])
      const { stopped, completed, before, after } = await runOf(made)
      expect([stopped, completed]).toEqual(['nonFinite', 0])
      expect(after.p).toEqual(before.p)
      // The gradient that stopped it can be looked at.
      const control = await runOf(planWith(withTwoChecks(scaled(scale)), true))
      expect([control.stopped, control.completed]).toEqual(['nonFinite', 0])
      expect(after.g).not.toBe(before.g)
      expect(after).toEqual(control.after)
    })

    it.each([1, 1e37])('lets a step go on whose gradient is finite: factors of %s', async (scale) => {
      const [made, control] = [planWith(scaled(scale), true), planWith(withTwoChecks(scaled(scale)), true)]
      expect(checksOf(made.plan)).toEqual(['checkFinite', 'checkMatmul'])
      const { stopped, completed, before, after } = await runOf(made)
      expect([stopped, completed]).toEqual([null, 1])
      expect(after.p).not.toEqual(before.p)
      expect(after).toEqual((await runOf(control)).after)
    })
  })

  it('is a root more, behind all others', () => {
    const [a, b] = [tanh(random('x', [BATCH, FEW_ROWS])), tanh(random('y', [BATCH, FEW_COLUMNS]))]
    const [p, q] = [random('p', shape), random('q', shape)]
    const [g, h] = ['g', 'h'].map((name) => holding(shape, [], { name, block: GRADIENTS }))
    const loss = sum(b)
    const [first, second] = [assign(g, matmul(a, b, { transposeA: true })), assign(h, matmul(tanh(a), b, { transposeA: true }))]
    const check = checkFinite([first, loss, second])
    const updates = [p, q].map((parameter, i) => apply(updateOps.sgd, [parameter, [first, second][i], rate], plainSgd))
    const roots = [loss, first, second, check, ...updates, a, b]
    const rebuilt = checkByFactors(roots)
    expect(rebuilt.slice(0, roots.length).map(({ op, shape }) => [op.name, shape])).toEqual(roots.map(({ op, shape }) => [op.name, shape]))
    expect(rebuilt[3].inputs).toEqual([rebuilt[0]])
    const guards = rebuilt.slice(roots.length)
    expect(guards.map(({ op }) => op.name)).toEqual(['checkMatmul', 'checkMatmul'])
    expect(guards.map(({ inputs }) => inputs)).toEqual([1, 2].map((i) => rebuilt[i].inputs[1].inputs))
    expect(guards[0].inputs).toEqual([rebuilt[6], rebuilt[7]])
    // Behind the check, and before every update.
    for (const guard of guards) {
      expect(guard.id).toBeGreaterThan(rebuilt[3].id)
      expect(guard.id).toBeLessThan(Math.min(rebuilt[4].id, rebuilt[5].id))
    }
    expect(checkByFactors([loss, a, b])).toEqual([loss, a, b])
  })

  it('leaves inputs and outputs of the plan what they are', () => {
    const [x, y] = [input(FEW_ROWS), input(FEW_COLUMNS)]
    const unused = input(7)
    const make = (more: boolean) => {
      streams = 0
      const p = random('p', shape)
      const gradient = holding(shape, [], { name: 'g', block: GRADIENTS })
      const [a, b] = [tanh(x), tanh(y)]
      const stored = assign(gradient, matmul(a, b, { transposeA: true }))
      const check = checkFinite([sum(b), stored])
      const update = apply(updateOps.sgd, [p, stored, rate], plainSgd)
      const updates = [stored, check, update, ...(more ? [checkFinite([sum(b)])] : [])]
      const variables = layoutOf(updates)
      const plan = planOf([sum(b), multiply(sum(a), 2)], { inputs: { unused, y, x }, updates, variables, batchSize: 4 })
      return { plan, variables }
    }
    const [made, control] = [make(false), make(true)]
    expect([checksOf(made.plan), checksOf(control.plan)]).toEqual([
      ['checkFinite', 'checkMatmul'],
      ['checkFinite', 'checkFinite'],
    ])
    const placed = ({ plan }: Made) =>
      Object.entries(plan.inputs).map(([name, tensor]) => [name, plan.tensors[tensor].label, plan.tensors[tensor].shape])
    expect(placed(made)).toEqual([
      ['unused', 'unused', [4, 7]],
      ['y', 'y', [4, FEW_COLUMNS]],
      ['x', 'x', [4, FEW_ROWS]],
    ])
    expect(placed(control)).toEqual(placed(made))
    const outputsOf = ({ plan, variables }: Made) => {
      const arena = arenaFor(plan, variables)
      Object.values(plan.inputs).forEach((tensor, i) => {
        const values = arena.view(plan.tensors[tensor])
        values.set(randomNumbers(values.length, 50 + i))
      })
      referenceExecutor.load(plan, arena).execute(0, plan.instructions.length)
      return [
        Object.entries(plan.outputs).map(([name, tensor]) => [name, ...arena.view(plan.tensors[tensor])]),
        bitsIn(arena, { variables }),
      ]
    }
    expect(outputsOf(made)).toEqual(outputsOf(control))
  })
})
