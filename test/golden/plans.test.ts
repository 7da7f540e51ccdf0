/**
 * The plans of four models as text. A refactoring shows no difference here; an optimisation shows exactly what it changed. After a
 * change that is meant: npx vitest run test/golden --update, and read the difference.
 */
import { describe, expect, it } from 'vitest'
import { dense, input, printPlan, sequential } from '../../src/index.ts'
import type { Plan } from '../../src/plan/plan.ts'
import { digits, residual, twoInputs, xor } from './models.ts'

describe.each<[string, () => Plan]>([
  ['xor', xor],
  ['digits', digits],
  ['residual', residual],
  ['two-inputs', twoInputs],
])('the plan of %s', (name, make) => {
  it('is the one kept', async () => {
    await expect(printPlan(make())).toMatchFileSnapshot(`${name}.txt`)
  })

  it('does not depend on what was built before', () => {
    const before = printPlan(make())
    // Tensors and layers of other models take numbers from the same counters.
    for (const features of [1, 2, 3]) sequential([input(features, { name: 'x' }), dense(3), dense(2, { name: 'head' })]).plan(2)
    expect(printPlan(make())).toBe(before)
  })
})
