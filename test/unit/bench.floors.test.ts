import { describe, expect, it } from 'vitest'
import { caseNamed } from '../../bench/cases.ts'
import { boundsOf, bytesMoved, fastest, leastSeconds, shareAtFloor, trafficOf, workingSet } from '../../bench/kernels/floors.ts'
import { layOut } from '../../bench/kernels/instruction.ts'
import { bytesFor, passNames } from '../../bench/kernels/passes.ts'
import { meanStep, stepsOf, typicalStep } from '../../bench/kernels/profiledTraining.ts'
import { buildModel, buildOptimizer } from '../../bench/thalweg.ts'

describe('what bounds the parts of a step', () => {
  const definition = caseNamed('c')
  const { loss, batchSize } = definition
  const plan = buildModel(definition, { executor: 'reference' }).trainingPlan(batchSize, { loss, optimizer: buildOptimizer(definition) })
  const bounds = boundsOf(plan)
  const instructions = plan.instructions.map(({ op }, i) => ({ op, bound: bounds[i + 1] }))

  it('stands between the feeds and the records', () => {
    expect(bounds.length).toBe(plan.instructions.length + 2)
    expect(bounds.at(-1)).toEqual({ kind: 'itself' })
    // 32 rows of 784 features, and 32 class numbers.
    expect(bounds[0]).toEqual({ kind: 'pass', traffic: { read: 0, write: 0, copy: 4 * 32 * 785, update: 0 } })
  })

  it('is the bare product, with its operands as they lie in memory', () => {
    const products = instructions.flatMap(({ bound }) => (bound.kind === 'product' ? [bound.product] : []))
    const sizes = products.map(({ rows, depth, columns, transposeA, transposeB }) => [rows, depth, columns, transposeA, transposeB])
    expect(sizes).toContainEqual([32, 784, 128, false, false])
    expect(sizes).toContainEqual([784, 32, 128, true, false])
    expect(sizes).toContainEqual([128, 32, 10, true, false])
    expect(sizes).toContainEqual([32, 10, 128, false, true])
    expect(sizes.length).toBe(5)
  })

  it('is the bytes of passes over all parameters', () => {
    // The large kernel, whose gradient is checked by its factors, and all other parameters.
    const [kernel, others] = [4 * 784 * 128, 4 * 1418]
    const passes = instructions.flatMap(({ op, bound }) => (bound.kind === 'pass' ? [[op, bound.traffic]] : []))
    expect(passes).toEqual([
      ['checkFinite', { read: others, write: 0, copy: 0, update: 0 }],
      ['adam', { read: kernel + others, write: 0, copy: 0, update: 3 * (kernel + others) }],
    ])
    // Parameters, gradients and two moments, and what a step works with.
    expect(workingSet(plan)).toBeGreaterThan(4 * (kernel + others))
  })

  it('is the bare product too where its gradient is not stored, and goes into the update', () => {
    const large = caseNamed('e')
    const options = { loss: large.loss, optimizer: buildOptimizer(large) }
    const { instructions, ...rest } = buildModel(large, { executor: 'reference' }).trainingPlan(large.batchSize, options)
    const bounds = boundsOf({ instructions, ...rest }).slice(1, -1)
    const passes = bounds.flatMap((bound, i) => (bound.kind === 'pass' ? [[instructions[i].op, bound.traffic]] : []))
    const [bias, others] = [4 * 1024, 4 * (1024 + 1024 * 10 + 10)]
    expect(passes).toEqual([
      ['checkFinite', { read: bias + others, write: 0, copy: 0, update: 0 }],
      ['adam', { read: bias, write: 0, copy: 0, update: 3 * bias }],
      ['adam', { read: others, write: 0, copy: 0, update: 3 * others }],
    ])
    const updates = bounds.flatMap((bound, i) => (instructions[i].op === 'matmulUpdate' && bound.kind === 'product' ? [bound.product] : []))
    expect(updates.map(({ rows, depth, columns, transposeA, transposeB }) => [rows, depth, columns, transposeA, transposeB])).toEqual([
      [784, 256, 1024, true, false],
      [1024, 256, 1024, true, false],
    ])
  })
})

describe('floors', () => {
  it('adds the times of arrays, each gone through in its way', () => {
    const limit = { bytes: 1, read: 40, write: 20, copy: 10, update: 5 }
    expect(leastSeconds({ read: 4e9, write: 2e9, copy: 0, update: 0 }, limit)).toBeCloseTo(0.2)
    expect(leastSeconds({ read: 0, write: 0, copy: 1e9, update: 1e9 }, limit)).toBeCloseTo(0.6)
  })

  it('compares inside rounds, and knows no floor above what was done', () => {
    expect(shareAtFloor([10, 100, 20], [5, 60, 8])).toBe(0.5)
    expect(shareAtFloor([10, 10, 10], [12, 11, 4])).toBe(1)
  })

  it('takes the fastest by its median', () => {
    expect(fastest({ a: [1, 1, 9], b: [2, 2, 2] })).toBe('b')
    expect(fastest({ a: [1] })).toBe('a')
  })
})

describe('profiled steps', () => {
  it('are the differences of their marks', () => {
    expect(stepsOf([0, 1e9, 3e9, 10e9, 14e9, 15e9], 2)).toEqual([
      [1, 2],
      [4, 1],
    ])
  })

  it('have means over all of them', () => {
    const profiles = [
      { steps: 3, totals: Float64Array.of(3e9, 9e9) },
      { steps: 1, totals: Float64Array.of(5e9, 1e9) },
    ]
    expect(meanStep(profiles)).toEqual([2, 2.5])
  })

  it('have parts that were not interrupted, where they are short', () => {
    const steps = [
      [1e-5, 2e-5],
      [5e-3, 2e-5],
      [1e-5, 3e-5],
    ]
    expect(typicalStep(steps, 0.5)).toEqual([1e-5, 2e-5])
  })

  it('have parts that count by their processor time, where they are long', () => {
    expect(typicalStep([[0.02, 0.001]], 0.25)).toEqual([0.005, 0.001])
  })
})

describe('a pass over memory', () => {
  it('reads, writes, copies or changes what its operands say', () => {
    const [x, y, z] = [400, 400, 240].map((bytes, i) => ({ place: 'xyz'[i], bytes }))
    expect(trafficOf([x], [y])).toEqual({ read: 0, write: 0, copy: 400, update: 0 })
    expect(trafficOf([x, z], [y])).toEqual({ read: 240, write: 0, copy: 400, update: 0 })
    expect(trafficOf([z], [y])).toEqual({ read: 0, write: 160, copy: 240, update: 0 })
    expect(trafficOf([x, z], [x])).toEqual({ read: 240, write: 0, copy: 0, update: 400 })
    expect(bytesMoved(trafficOf([x, z], [x, y]))).toBe(400 + 400 + 400 + 240)
  })

  it('has operands one after the other, each at an aligned place', () => {
    const [x, y, z] = [100, 100, 60].map((extent) => ({ shape: [extent] }))
    expect(layOut([x, z, y], { alignment: 64 })).toEqual({ offsets: [0, 448, 704], bytes: 1152 })
  })

  it.each(passNames)('fills a level and no more: %s', (name) => {
    const level = 2 ** 21
    expect(Math.abs(bytesFor(name, level, { alignment: 64 }) / level - 1)).toBeLessThan(0.01)
  })
})
