import type { NonFiniteOrigin } from '../errors.ts'
import type { Values } from '../executors/arena.ts'
import type { Session } from '../executors/executor.ts'
import { GRADIENTS, type PlanTensor, WORKSPACE } from '../plan/plan.ts'
import { printInstruction } from '../plan/print.ts'

/**
 * Runs the step that the arena still holds once more, one instruction at a time, and finds the first result that is not
 * finite. Randomness is a function of the step, so the second run is the same as the first; updates
 * are not reached, since checkFinite stands before them.
 */
export function findNonFinite(session: Session, step: number): NonFiniteOrigin {
  const { plan, arena } = session
  for (const instruction of plan.instructions) {
    // Updates go through several parameters at once, and through the gaps between them.
    if (instruction.phase === 'update') continue
    for (const input of instruction.inputs) {
      const tensor = plan.tensors[input]
      const value = tensor.block.endsWith('parameters') ? firstNonFinite(arena.view(tensor)) : null
      if (value !== null)
        return {
          step,
          instruction: `parameter ${tensor.label} already held it before the step: the update before it left the range of float32, or it was set so`,
          layer: instruction.layer,
          value,
        }
    }
  }
  const checks = plan.instructions.flatMap(({ op }, i) => (op === 'checkFinite' ? [i] : []))
  const [first, last] = [checks[0], checks[checks.length - 1]]
  // What stopped the step is still there.
  const isFirst = plan.instructions[first].inputs.some((input) => firstNonFinite(arena.view(plan.tensors[input])) !== null)
  for (const end of isFirst && first !== last ? [first, last] : [last]) {
    const origin = originBefore(session, step, end)
    if (origin !== null) return origin
  }
  return { step, instruction: null, layer: null, value: 'NaN' }
}

/**
 * The origin before an instruction. What counts steps before it has counted this one by then, and is set back meanwhile. If an origin is found, the model's own
 * count stays so, for the step is not taken; an optimizer's goes on, as its update is done.
 */
function originBefore(session: Session, step: number, end: number): NonFiniteOrigin | null {
  const { plan, arena } = session
  const counters = plan.instructions.slice(0, end).flatMap(({ op, outputs }) => {
    const counter = plan.tensors[outputs[0]]
    return op === 'increment' ? [{ isOfModel: counter.block.endsWith('state'), values: arena.view(counter) }] : []
  })
  const found = counters.map(({ values: [count] }) => count)
  const set = (count: (i: number) => number) => {
    counters.forEach(({ values }, i) => {
      values[0] = count(i)
    })
  }
  set((i) => found[i] - 1)
  const origin = firstOrigin(session, step, end)
  set((i) => (origin !== null && counters[i].isOfModel ? found[i] - 1 : found[i]))
  return origin
}

function firstOrigin(session: Session, step: number, end: number): NonFiniteOrigin | null {
  const { plan, arena } = session
  let origin: NonFiniteOrigin | null = null
  for (const [i, instruction] of plan.instructions.slice(0, end).entries()) {
    // NOTE: a second time an update would change what it has changed already; what it has written then is looked at as it is.
    const again = instruction.outputs.every((output) => isTemporary(plan.tensors[output]))
    // Behind the origin too: where other values have lain the second time, callbacks are to find the gradients of this step.
    if (again) session.execute(i, i + 1)
    if (origin !== null) continue
    for (const output of instruction.outputs) {
      const value = firstNonFinite(arena.view(plan.tensors[output]))
      if (value !== null) origin ??= { step, instruction: printInstruction(plan, instruction), layer: instruction.layer, value }
    }
  }
  return origin
}

function firstNonFinite(values: Values): 'NaN' | 'Infinity' | null {
  for (const value of values) {
    if (Number.isNaN(value)) return 'NaN'
    if (!Number.isFinite(value)) return 'Infinity'
  }
  return null
}

/** Whether a tensor is made anew in each step: no parameter, nothing an optimizer remembers. */
function isTemporary({ block }: PlanTensor): boolean {
  return block === WORKSPACE || block === GRADIENTS
}
