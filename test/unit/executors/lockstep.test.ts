/** The tool that finds the first instruction on which two executors disagree, or the first that is not finite. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Arena } from '../../../src/executors/arena.ts'
import type { Executor } from '../../../src/executors/executor.ts'
import { loadAddon } from '../../../src/executors/native/addon.ts'
import { nativeExecutor } from '../../../src/executors/native/index.ts'
import { referenceExecutor } from '../../../src/executors/reference/index.ts'
import { lockstep } from '../../../src/index.ts'
import { buildPlan } from '../../../src/plan/build.ts'
import type { Plan } from '../../../src/plan/plan.ts'
import { printInstruction } from '../../../src/plan/print.ts'
import { Purpose, RandomStream } from '../../../src/random.ts'
import { digits, large, residual, twoInputs, xor } from '../../golden/models.ts'
import { BATCH, build, PROPERTY, recipes } from '../random-graphs.ts'
import { layoutOf } from '../values.ts'

const { addon, failure } = loadAddon()

const plans: readonly [string, () => Plan][] = [
  ['xor', xor],
  ['digits', digits],
  ['large', large],
  ['residual', residual],
  ['two-inputs', twoInputs],
]

/** Numbers of both signs everywhere but in second moments, which are squares; class numbers that differ. */
function fill(arena: Arena, plan: Plan): void {
  plan.tensors.forEach((tensor, i) => {
    const source = tensor.block !== 'workspace' || Object.values(plan.inputs).includes(i)
    if (!source) return
    const random = new RandomStream(5, Purpose.sample, i)
    const values = arena.view(tensor)
    for (let j = 0; j < values.length; j++) {
      if (tensor.dtype === 'int32') values[j] = random.below(10)
      else values[j] = tensor.block === 'slots/square' ? 0.01 + random.uniform() : 0.5 * (2 * random.uniform() - 1)
    }
  })
}

/** The reference executor with something done to the result of one instruction. */
function tampered(position: number, tamper: (values: Float32Array) => void): Executor {
  return {
    name: 'reference',
    load(plan, arena) {
      const session = referenceExecutor.load(plan, arena)
      const execute = (first: number, last: number) => {
        session.execute(first, last)
        if (first <= position && position < last) tamper(arena.view(plan.tensors[plan.instructions[position].outputs[0]]) as Float32Array)
      }
      return { plan, arena, execute, run: (request) => session.run(request) }
    },
  }
}

describe.skipIf(addon === undefined)(
  addon === undefined ? `native and reference (skipped, there is no addon: ${failure})` : 'native and reference',
  () => {
    it.each(plans)('agree on every instruction of %s', (_, make) => {
      const plan = make()
      const report = lockstep(plan, { initialize: fill })
      expect(report.firstDifference).toBeNull()
      expect(report.firstNonFinite).toBeNull()
      expect(report.instructions).toBe(plan.instructions.length)
      // Two ways to round that never differed would mean that one executor was compared with itself.
      expect(report.worst?.error).toBeGreaterThan(0)
    })

    it('agree on what lockstep itself fills in', () => {
      expect(lockstep(digits())).toMatchObject({ firstDifference: null, firstNonFinite: null })
    })

    it('agree on random graphs', () => {
      fc.assert(
        fc.property(recipes, (recipe) => {
          const { outputs, feeds } = build(recipe)
          const plan = buildPlan({
            inputs: Object.fromEntries([...feeds.keys()].map((tensor, i) => [`input${i}`, tensor])),
            outputs: Object.fromEntries(outputs.map((tensor, i) => [`output${i}`, tensor])),
            variables: layoutOf(outputs),
            batchSize: BATCH,
            mode: 'training',
          })
          const { firstDifference } = lockstep(plan, { initialize: fill, tolerance: 1e-4 })
          // Where numbers of about 1 cancel, what is left may be all rounding: lockstep compares with the result, not with the operands.
          const [a, b] = firstDifference?.values ?? [0, 0]
          expect(Math.abs(a - b), firstDifference?.instruction).toBeLessThan(1e-5)
        }),
        PROPERTY,
      )
    })

    it('corrupted on the native side are found too', () => {
      const plan = xor()
      const native = nativeExecutor(addon as NonNullable<typeof addon>)
      const corrupt = tampered(4, (values) => {
        values[0] += 1
      })
      expect(lockstep(plan, { initialize: fill, executors: [native, corrupt] }).firstDifference?.index).toBe(4)
    })
  },
)

describe('a corrupted instruction', () => {
  it.each(plans)('of %s is named: the 5th, in its layer, with both values', (_, make) => {
    const plan = make()
    const corrupt = tampered(4, (values) => {
      values[values.length - 1] += 0.125
    })
    const { firstDifference, worst } = lockstep(plan, { initialize: fill, executors: [corrupt, referenceExecutor] })
    expect(firstDifference).toMatchObject({
      index: 4,
      instruction: printInstruction(plan, plan.instructions[4]),
      layer: plan.instructions[4].layer,
      element: plan.tensors[plan.instructions[4].outputs[0]].shape.reduce((a, b) => a * b, 1) - 1,
    })
    const [got, expected] = firstDifference?.values ?? [0, 0]
    expect(got - expected).toBeCloseTo(0.125, 6)
    expect(worst).toEqual(firstDifference)
  })

  it('is named wherever it stands, and no other: results are handed on before the next', () => {
    const plan = residual()
    for (const position of plan.instructions.keys()) {
      const corrupt = tampered(position, (values) => {
        values[0] += 1
      })
      const { firstDifference, worst } = lockstep(plan, { initialize: fill, executors: [corrupt, referenceExecutor] })
      expect(firstDifference?.index).toBe(position)
      expect(worst?.index).toBe(position)
    }
  })

  it('passes within the tolerance, and shows as the worst', () => {
    const corrupt = tampered(4, (values) => {
      values[0] *= 1.001
    })
    const run = (tolerance: number) => lockstep(xor(), { initialize: fill, tolerance, executors: [corrupt, referenceExecutor] })
    expect(run(0.01).firstDifference).toBeNull()
    expect(run(0.01).worst?.index).toBe(4)
    expect(run(1e-6).firstDifference?.index).toBe(4)
  })

  it('that gives NaN on one side alone differs, and on both sides does not', () => {
    const poisoned = tampered(4, (values) => {
      values[0] = Number.NaN
    })
    const one = lockstep(xor(), { initialize: fill, executors: [poisoned, referenceExecutor] })
    expect(one.firstDifference).toMatchObject({ index: 4, error: Number.POSITIVE_INFINITY })
    expect(lockstep(xor(), { initialize: fill, executors: [poisoned, poisoned] }).firstDifference).toBeNull()
  })
})

describe('the first instruction that is not finite', () => {
  it('is none in a healthy plan', () => {
    const report = lockstep(residual(), { initialize: fill, executors: [referenceExecutor, referenceExecutor] })
    expect(report).toMatchObject({ firstDifference: null, worst: null, firstNonFinite: null })
  })

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])('is the one that gave %d', (value) => {
    const plan = residual()
    for (const position of [0, 4, 9, 17]) {
      const poisoned = tampered(position, (values) => {
        values[values.length >> 1] = value
      })
      expect(lockstep(plan, { initialize: fill, executors: [poisoned, poisoned] }).firstNonFinite).toEqual({
        index: position,
        instruction: printInstruction(plan, plan.instructions[position]),
        layer: plan.instructions[position].layer,
      })
    }
  })

  it.each<[string, string]>([
    ['input_1', 'dense_1'],
    ['dense_2.kernel', 'dense_2'],
    ['target', 'loss'],
  ])('is the first that reads a NaN planted in %s', (label, layer) => {
    const plan = xor()
    const plant = (arena: Arena) => {
      fill(arena, plan)
      const tensor = plan.tensors.find((candidate) => candidate.label === label)
      if (tensor === undefined) throw new Error(`No tensor ${label}.`)
      arena.view(tensor)[0] = Number.NaN
    }
    const reader = plan.instructions.findIndex(({ inputs }) => inputs.some((operand) => plan.tensors[operand].label === label))
    const { firstNonFinite } = lockstep(plan, { initialize: plant, executors: [referenceExecutor, referenceExecutor] })
    expect(firstNonFinite).toMatchObject({ index: reader, layer })
  })
})
