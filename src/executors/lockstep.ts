import { NativeError } from '../errors.ts'
import type { Plan } from '../plan/plan.ts'
import { expectPlan, printInstruction } from '../plan/print.ts'
import { Purpose, RandomStream } from '../random.ts'
import { Arena, type Values } from './arena.ts'
import type { Executor } from './executor.ts'
import { loadAddon } from './native/addon.ts'
import { nativeExecutor } from './native/index.ts'
import { referenceExecutor } from './reference/index.ts'

/** How `lockstep` compares. */
export interface LockstepOptions {
  /** Fills variables and inputs of an arena before the step; default: small random values, the same on both sides. */
  readonly initialize?: (arena: Arena, plan: Plan) => void
  /** Largest allowed |a - b| over the largest magnitude among operands and result; default 1e-5. */
  readonly tolerance?: number
  /** Default: the native executor against the reference executor. */
  readonly executors?: readonly [Executor, Executor]
}

/** Where two executors differ. */
export interface LockstepDifference {
  /** Position of the instruction in the plan. */
  readonly index: number
  /** As the plan prints it. */
  readonly instruction: string
  readonly layer: string | null
  readonly element: number
  readonly values: readonly [number, number]
  /** |a - b| over the largest magnitude among operands and result. */
  readonly error: number
}

/** What `lockstep` found. */
export interface LockstepReport {
  /** How many instructions were compared. */
  readonly instructions: number
  /** The largest error of all instructions. */
  readonly worst: LockstepDifference | null
  /** The first instruction whose results differ by more than the tolerance. */
  readonly firstDifference: LockstepDifference | null
  /** The first instruction whose result, on the first executor, is not finite. */
  readonly firstNonFinite: { readonly index: number; readonly instruction: string; readonly layer: string | null } | null
}

/**
 * Runs one step of a plan on two executors, instruction by instruction. After each the results are compared, and the first executor's are
 * handed to the second, so that every instruction is judged on equal operands.
 *
 * @throws NativeError if the native executor cannot be used.
 * @example lockstep(sequential([input(8), dense(4)]).trainingPlan(32, { loss: 'meanSquaredError' })).firstDifference
 */
export function lockstep(plan: Plan, options: LockstepOptions = {}): LockstepReport {
  expectPlan('lockstep', plan)
  const { initialize = fillRandomly, tolerance = 1e-5, executors = [native(), referenceExecutor] } = options
  const [first, second] = executors.map((executor) => executor.load(plan, Arena.allocate(plan.blocks)))
  initialize(first.arena, plan)
  for (const block of Object.keys(plan.blocks)) second.arena.region(block).set(first.arena.region(block))

  let worst: LockstepDifference | null = null
  let firstDifference: LockstepDifference | null = null
  let firstNonFinite: LockstepReport['firstNonFinite'] = null
  plan.instructions.forEach((instruction, index) => {
    const operands = instruction.inputs.map((input) => largestOf(second.arena.view(plan.tensors[input])))
    first.execute(index, index + 1)
    second.execute(index, index + 1)
    for (const output of instruction.outputs) {
      const a = first.arena.view(plan.tensors[output])
      const b = second.arena.view(plan.tensors[output])
      const found = compare(a, b, Math.max(...operands, largestOf(b)))
      const where = { index, instruction: printInstruction(plan, instruction), layer: instruction.layer }
      if (found !== null && (worst === null || found.error > worst.error)) worst = { ...where, ...found }
      if (found !== null && found.error > tolerance) firstDifference ??= { ...where, ...found }
      if (!a.every(Number.isFinite)) firstNonFinite ??= where
      b.set(a)
    }
  })
  return { instructions: plan.instructions.length, worst, firstDifference, firstNonFinite }
}

/** The element that differs most, or null if all are equal. NaN equals NaN. */
function compare(a: Values, b: Values, scale: number): Pick<LockstepDifference, 'element' | 'values' | 'error'> | null {
  let worst: Pick<LockstepDifference, 'element' | 'values' | 'error'> | null = null
  for (let i = 0; i < a.length; i++) {
    if (Object.is(a[i], b[i]) || a[i] === b[i]) continue
    const difference = Math.abs(a[i] - b[i]) / scale
    const error = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference
    if (worst === null || error > worst.error) worst = { element: i, values: [a[i], b[i]], error }
  }
  return worst
}

/** The largest finite magnitude; at least 1e-30, so that it can be divided by. */
function largestOf(values: Values): number {
  let largest = 1e-30
  for (const value of values) if (Number.isFinite(value)) largest = Math.max(largest, Math.abs(value))
  return largest
}

/** Small random floats in all variables and inputs; squares (second moments) must not be negative, so all are positive. Indices stay 0. */
export function fillRandomly(arena: Arena, plan: Plan): void {
  plan.tensors.forEach((tensor, i) => {
    const isSource = tensor.block !== 'workspace' || Object.values(plan.inputs).includes(i)
    if (!isSource || tensor.dtype !== 'float32') return
    const random = new RandomStream(1, Purpose.sample, i)
    const values = arena.view(tensor)
    for (let j = 0; j < values.length; j++) values[j] = 0.01 + 0.2 * random.uniform()
  })
}

function native(): Executor {
  const { addon, failure } = loadAddon()
  if (addon === undefined) throw new NativeError(`lockstep: the native executor cannot be used: ${failure}`)
  return nativeExecutor(addon)
}
