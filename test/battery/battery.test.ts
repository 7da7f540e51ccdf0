/** Runs over every registered op without being told. A new op is tested by its samples; nobody writes a test for it. */
import { describe, expect, it } from 'vitest'
import { ThalwegError } from '../../src/errors.ts'
import type { Executor } from '../../src/executors/executor.ts'
import { loadAddon } from '../../src/executors/native/addon.ts'
import { nativeExecutor } from '../../src/executors/native/index.ts'
import { kernelNames, referenceExecutor } from '../../src/executors/reference/index.ts'
import type { Op } from '../../src/graph/op.ts'
import { apply, Tensor } from '../../src/graph/tensor.ts'
import { elementwiseOps, multiply } from '../../src/ops/elementwise.ts'
import { sourceOps } from '../../src/ops/source.ts'
import { checkGradient } from './gradients.ts'
import { allOps, type Case, cases, filled, planOf, resultsOf, valuesOf } from './samples.ts'

const { addon } = loadAddon()

/** Largest |native - reference| over the largest magnitude among operands and result. 2e-6 is 17 units in the last place of float32. */
const SCALED_ERROR = 2e-6

describe('declarations', () => {
  it.each(allOps.filter((op) => !op.virtual).map((op) => [op.name, op] as const))('%s has samples and rejected calls', (_, op) => {
    expect(op.samples.length).toBeGreaterThan(0)
    expect(op.rejects.length).toBeGreaterThan(0)
  })

  it.each(allOps.flatMap((op) => op.rejects.map((reject, i) => [`${op.name} #${i}`, op, reject] as const)))(
    '%s is refused',
    (_, op, reject) => {
      const operands = reject.inputs.map((spec) =>
        apply(sourceOps.variable, [], {
          name: 'x',
          block: 'x',
          shape: spec.shape as number[],
          dtype: spec.dtype,
          initialize: () => undefined,
        }),
      )
      const call = () => apply(op, operands, reject.attributes)
      expect(call).toThrow(ThalwegError)
      expect(call).toThrow(reject.message)
      expect(call).toThrow(op.name)
    },
  )
})

/** Given the whole mismatch, so that a failure prints operand, element and both gradients. */
const within = (bound: number) => (mismatch: { error: number }) => mismatch.error < bound

describe('gradient rules against central differences', () => {
  const differentiable = cases.filter(({ op }) => op.gradient !== undefined && op.writes === undefined)
  it.each(differentiable.map((subject) => [subject.name, subject] as const))('%s', (_, subject) => {
    expect(checkGradient(subject) ?? { error: 0 }).toSatisfy(within(1e-6))
  })

  // Second derivatives are larger, and so are their finite differences' errors.
  const smooth = differentiable.filter(({ sample }) => sample.inputs.every(({ shape }) => shape.reduce((a, b) => a * b, 1) <= 100))
  it.each(smooth.map((subject) => [subject.name, subject] as const))('of the gradient of %s', (_, subject) => {
    expect(checkGradient(subject, 2) ?? { error: 0 }).toSatisfy(within(1e-5))
  })

  it.each(['tanh', 'matmul', 'sum', 'gather'])('catches a rule of %s that is wrong by a thousandth', (name) => {
    const subject = differentiable.find(
      ({ op, sample }) => op.name === name && sample.inputs[0].shape.length > 1 && !sample.inputs[0].shape.includes(0),
    ) as Case
    const wrong: Op = {
      ...subject.op,
      gradient: (call) => (subject.op.gradient?.(call) ?? []).map((dx) => (dx instanceof Tensor ? multiply(dx, 1.001) : dx)),
    }
    expect(checkGradient({ ...subject, op: wrong })?.error ?? 0).toBeGreaterThan(1e-5)
  })
})

describe.skipIf(addon === undefined)('native kernels', () => {
  const isas = addon?.isas ?? []
  const run = (subject: Case, executor: Executor) => {
    const made = planOf(subject)
    const arena = filled(made)
    executor.load(made.plan, arena).execute(0, made.plan.instructions.length)
    return resultsOf(made.plan, arena)
  }
  const native = (isa: string, threads: number) => nativeExecutor(addon as NonNullable<typeof addon>, { isa, threads, serialBelow: 0 })

  it('are the same set of names in C++ and TypeScript', () => {
    expect([...(addon?.kernels ?? [])].sort()).toEqual(kernelNames().sort())
    expect([...(addon?.steps ?? [])].sort()).toEqual(Object.keys(elementwiseOps).sort())
  })

  it.each(isas)('run on %s when it is asked for', (isa) => {
    expect(addon?.load({ blocks: [], tensors: [], instructions: [] }, [], { isa }).isa).toBe(isa)
  })

  it.each(cases.map((subject) => [subject.name, subject] as const))('%s agrees with the reference', (_, subject) => {
    const expected = run(subject, referenceExecutor)
    const largest = (values: Iterable<number>, start: number) =>
      Array.from(values).reduce((most, value) => Math.max(most, Math.abs(value)), start)
    const operands = subject.sample.inputs.reduce((most, input, i) => largest(valuesOf(input, i + 1), most), 1e-30)
    run(subject, native(isas[0], 1)).forEach(({ label, values }, i) => {
      const scale = largest(expected[i].values, operands)
      values.forEach((value: number, element: number) => {
        const error = Object.is(value, expected[i].values[element]) ? 0 : Math.abs(value - expected[i].values[element]) / scale
        if (!(error <= SCALED_ERROR))
          throw new Error(`${label}[${element}]: native ${value}, reference ${expected[i].values[element]}, scaled error ${error}`)
      })
    })
  })

  it.each(cases.map((subject) => [subject.name, subject] as const))(
    '%s has the same bits on every instruction set and with 1, 2 and 3 threads',
    (_, subject) => {
      const bits = (executor: Executor) => bitsOf(run(subject, executor))
      const expected = bits(native('portable', 1))
      for (const isa of isas)
        for (const threads of [1, 2, 3])
          expect({ isa, threads, bits: bits(native(isa, threads)) }).toEqual({ isa, threads, bits: expected })
    },
  )
})

/** Bit patterns, every NaN as the same one: IEEE 754 leaves its sign and payload open. */
function bitsOf(results: ReturnType<typeof resultsOf>): Uint32Array[] {
  return results.map(({ values }) => {
    const bits = new Uint32Array(values.slice().buffer)
    if (values instanceof Float32Array) values.forEach((value, i) => Number.isNaN(value) && bits.fill(0x7fc00000, i, i + 1))
    return bits
  })
}
