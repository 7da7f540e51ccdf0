/** What the sessions of both executors do alike. */
import { sizeOf } from '../graph/shape.ts'
import type { Plan } from '../plan/plan.ts'
import type { Arena } from './arena.ts'

/** Writes the plan's constants into its workspace: once, when it is loaded. */
export function fillConstants(plan: Plan, arena: Arena): void {
  for (const { tensor, value } of plan.constants) arena.view(plan.tensors[tensor])[0] = value
}

/** Elements of each recorded output per step. */
export function recordSizes(plan: Plan, names: readonly string[]): Record<string, number> {
  return Object.fromEntries(names.map((name) => [name, sizeOf(plan.tensors[plan.outputs[name]].shape)]))
}
