import type { Mode } from '../graph/op.ts'
import type { Dtype, Phase } from '../graph/tensor.ts'

/** Where a tensor of a plan lies: a block of the arena, and the offset in it in bytes of 4-byte elements. */
export interface PlanTensor {
  readonly shape: readonly number[]
  readonly dtype: Dtype
  readonly block: string
  readonly offset: number
  /** As plans print it: a variable's or input's name, or `%7`. */
  readonly label: string
}

/** One kernel call. Inputs and outputs are positions in `Plan.tensors`. */
export interface Instruction {
  readonly op: string
  readonly inputs: readonly number[]
  readonly outputs: readonly number[]
  readonly attributes: Readonly<Record<string, unknown>>
  readonly layer: string | null
  readonly phase: Phase
}

/** A graph made concrete for one batch size: what an executor runs over an arena. Plain data. */
export interface Plan {
  /** Whether dropout and its kind are at work. */
  readonly mode: Mode
  /** Samples a step. */
  readonly batchSize: number
  /** All values of a step, and where in memory they lie. */
  readonly tensors: readonly PlanTensor[]
  /** What is run, in this order. */
  readonly instructions: readonly Instruction[]
  /** Positions in `tensors` by the names of the inputs; a step begins with a batch copied there. */
  readonly inputs: Readonly<Record<string, number>>
  /** Positions in `tensors` by the names of the outputs. */
  readonly outputs: Readonly<Record<string, number>>
  /** Scalars that the arena holds from the start. */
  readonly constants: readonly { readonly tensor: number; readonly value: number }[]
  /** Bytes of each block the plan touches. All but `workspace` are shared with other plans of the model. */
  readonly blocks: Readonly<Record<string, number>>
}

/** The one block that belongs to a plan alone. */
export const WORKSPACE = 'workspace'

/** What it holds is made anew in each step: until then, other values of the step may lie there. */
export const GRADIENTS = 'gradients'

/** Every tensor and every block starts on a cache line (64 bytes), which is also the widest vector register. */
export const ALIGNMENT = 64

export function align(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT
}
