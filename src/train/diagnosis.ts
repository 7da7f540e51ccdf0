import type { NonFiniteOrigin } from '../errors.ts'
import type { Values } from '../executors/arena.ts'
import type { Session } from '../executors/executor.ts'
import { printInstruction } from '../plan/print.ts'

/**
 * Runs the step that the arena still holds once more, one instruction at a time, and finds the first result that is not
 * finite. Randomness is a function of the step, so the second run is the same as the first; updates
 * are not reached, since checkFinite stands before them.
 */
export function findNonFinite(session: Session, step: number): NonFiniteOrigin {
  const { plan, arena } = session
  for (const instruction of plan.instructions) {
    for (const input of instruction.inputs) {
      const tensor = plan.tensors[input]
      const value = tensor.block === 'parameters' ? firstNonFinite(arena.view(tensor)) : null
      if (value !== null)
        return {
          step,
          instruction: `parameter ${tensor.label} already held it before the step: the update before it left the range of float32, or it was set so`,
          layer: instruction.layer,
          value,
        }
    }
  }
  for (const [i, instruction] of plan.instructions.entries()) {
    if (instruction.op === 'checkFinite') break
    session.execute(i, i + 1)
    for (const output of instruction.outputs) {
      const value = firstNonFinite(arena.view(plan.tensors[output]))
      if (value !== null) return { step, instruction: printInstruction(plan, instruction), layer: instruction.layer, value }
    }
  }
  return { step, instruction: null, layer: null, value: 'NaN' }
}

function firstNonFinite(values: Values): 'NaN' | 'Infinity' | null {
  for (const value of values) {
    if (Number.isNaN(value)) return 'NaN'
    if (!Number.isFinite(value)) return 'Infinity'
  }
  return null
}
