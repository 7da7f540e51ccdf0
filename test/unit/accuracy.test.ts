/** The error of the elementary functions over a stratified part of all floats; `npm run test:ulp` measures all 2^32 of them. */
import { describe, expect, it } from 'vitest'
import { Arena } from '../../src/executors/arena.ts'
import { loadAddon } from '../../src/executors/native/addon.ts'
import { nativeExecutor } from '../../src/executors/native/index.ts'
import { computeOf } from '../../src/executors/reference/elementwise.ts'
import type { Tensor } from '../../src/graph/tensor.ts'
import { erf, exp, log, sigmoid, tanh } from '../../src/ops/elementwise.ts'
import { variable } from '../../src/ops/source.ts'
import { buildPlan } from '../../src/plan/build.ts'
import { VariableLayout } from '../../src/plan/variables.ts'

const { addon } = loadAddon()

/** One float of every 8,191 neighbours, of both signs, finite ones only: 522,000 in all. */
const STRIDE = 8191

const bounds = { exp: 1.5, log: 1.5, erf: 1.5, tanh: 3, sigmoid: 3 }
const functions = { exp, log, erf, tanh, sigmoid } as Record<keyof typeof bounds, (x: Tensor) => Tensor>

/** Distance between neighbouring floats at |x|; 2^-149 for denormals. */
function ulp(x: number): number {
  const exponent = Math.max(-126, Math.floor(Math.log2(Math.abs(Math.fround(x)))))
  return 2 ** (exponent - 23)
}

describe.skipIf(addon === undefined)('elementary functions', () => {
  const bits = Uint32Array.from({ length: Math.floor(2 ** 32 / STRIDE) }, (_, i) => i * STRIDE)
  const inputs = new Float32Array(bits.buffer).filter((value) => Number.isFinite(value))

  it.each(Object.keys(bounds) as (keyof typeof bounds)[])('%s', (name) => {
    const x = variable({ name: 'x', block: 'x', shape: [inputs.length], dtype: 'float32', initialize: () => undefined })
    const plan = buildPlan({
      inputs: {},
      outputs: { y: functions[name](x) },
      variables: new VariableLayout([{ variable: x, name: 'x' }]),
      batchSize: 1,
      mode: 'inference',
    })
    const arena = Arena.allocate(plan.blocks)
    arena.view({ block: 'x', offset: 0, shape: [inputs.length], dtype: 'float32' }).set(inputs)
    nativeExecutor(addon as NonNullable<typeof addon>)
      .load(plan, arena)
      .execute(0, plan.instructions.length)
    const results = arena.view(plan.tensors[plan.outputs.y])
    const exact = computeOf(name)
    let worst = 0
    inputs.forEach((value, i) => {
      const expected = exact(value, 0, 0)
      if (Number.isNaN(expected)) expect(results[i]).toBeNaN()
      else if (!Number.isFinite(Math.fround(expected))) expect(results[i]).toBe(Math.fround(expected))
      else worst = Math.max(worst, Math.abs(results[i] - expected) / ulp(expected))
    })
    console.log(`${name}: worst ${worst.toFixed(2)} ulp of ${inputs.length} floats`)
    expect(worst).toBeLessThanOrEqual(bounds[name])
  })
})
