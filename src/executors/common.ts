/** What the sessions of both executors do alike. */
import { sizeOf } from '../graph/shape.ts'
import { allocateShared } from '../memory.ts'
import type { Plan } from '../plan/plan.ts'
import type { Arena } from './arena.ts'
import type { Feed, RunProfile } from './executor.ts'

/** A profiled run keeps the times of so many steps one by one: enough to look at, whatever the length of the run. */
const MARKED_STEPS = 10

/** Writes the plan's constants into its workspace: once, when it is loaded. */
export function fillConstants(plan: Plan, arena: Arena): void {
  for (const { tensor, value } of plan.constants) arena.view(plan.tensors[tensor])[0] = value
}

/** The tensor that a feed fills. */
export function fedTensor(plan: Plan, { input }: Feed): number {
  return typeof input === 'number' ? input : plan.inputs[input]
}

/** Elements of each recorded output per step. */
export function recordSizes(plan: Plan, names: readonly string[]): Record<string, number> {
  return Object.fromEntries(names.map((name) => [name, sizeOf(plan.tensors[plan.outputs[name]].shape)]))
}

/** Room for the times of a run that is to be profiled: the totals, then the marks (see RunProfile). */
export function profileMemory(plan: Plan, steps: number): Float64Array {
  const parts = plan.instructions.length + 2
  const size = parts + Math.min(steps, MARKED_STEPS) * (parts + 1)
  return new Float64Array(allocateShared(size * 8, 'The profile', 'Train without profile.'))
}

/** What a run of so many completed steps has written there. */
export function readProfile(plan: Plan, memory: Float64Array, steps: number): RunProfile {
  const parts = plan.instructions.length + 2
  return { steps, totals: memory.slice(0, parts), marks: memory.slice(parts, parts + steps * (parts + 1)) }
}
