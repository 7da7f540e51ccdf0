import type { Dtype, Spec, Tensor } from './tensor.ts'

/** What a gradient rule is given: the call it differentiates and dy, the gradient of the loss with respect to its result. */
export interface GradientCall<A> {
  readonly inputs: readonly Tensor[]
  readonly output: Tensor
  readonly attributes: A
  readonly dy: Tensor
}

/** What a rewriting rule of the planner is given. Shapes are concrete by then. */
export interface RewriteCall<A> {
  readonly inputs: readonly Tensor[]
  readonly output: Tensor
  readonly attributes: A
}

/** Whether a plan is for training (dropout drops) or for inference (it does not). */
export type Mode = 'training' | 'inference'

/**
 * One op: everything the system knows of it apart from its kernels. The gradient pass, the planner and the
 * tests read these declarations and never list ops by name.
 */
// biome-ignore lint/suspicious/noExplicitAny: the table holds ops with different attributes.
export interface Op<A extends object = any> {
  readonly name: string
  /** Shape and dtype of the result; throws a ShapeError or DtypeError that starts with `where`. */
  infer(inputs: readonly Spec[], attributes: A, where: string): Spec
  /** The gradient with respect to each input, in ops; null where none flows. Without a rule the op stops gradients with an error. */
  gradient?(call: GradientCall<A>): readonly (Tensor | null)[]
  /** Elementwise ops only: the meaning of one element. Such ops broadcast, fuse, and may run in place. */
  readonly compute?: (a: number, b: number, c: number) => number
  /** Inputs whose memory the result may take over when nobody else needs them (same shape). */
  readonly inPlace?: readonly number[]
  /** Inputs the op overwrites (an update of variables); the result is the first of them after the update. */
  writes?(attributes: A): readonly number[]
  /** The op treats its large operands element by element, so neighbours in memory with equal attributes may be joined. */
  readonly flat?: boolean
  /** The result is the first input's memory under another shape: no instruction. */
  readonly alias?: boolean
  /** The op ends in a chain of elementwise steps (attribute `steps`): how many inputs are its own; the others belong to the chain. */
  ownInputs?(attributes: A): number
  /** Has no kernel: the planner replaces it (`lower`) or gives it memory (variables, inputs, constants). */
  readonly virtual?: boolean
  /** Replaces the op when a plan is made: its result in other ops. */
  lower?(call: RewriteCall<A> & { readonly mode: Mode }): Tensor
  /** A simpler tensor of the same value, or null. */
  simplify?(call: RewriteCall<A>): Tensor | null
  /**
   * Floating-point operations of one call, for profiles. Declared where arithmetic and not memory sets the time (products); for all
   * other ops bytes say more. Shapes are concrete.
   */
  flops?(inputs: readonly Spec[], attributes: A, output: Spec): number
  /** Inputs for the tests. Every generic test runs over all of them. */
  readonly samples: readonly Sample<A>[]
  /** Calls that must be refused, with what the message must say. */
  readonly rejects: readonly Reject<A>[]
}

/** Values for one input of a sample; made deterministically from its place in the table. */
export interface SampleInput {
  readonly shape: readonly number[]
  readonly dtype: Dtype
  readonly low: number
  readonly high: number
  /** Kinks: values closer than 0.05 to one of these are pushed away, so that finite differences make sense. */
  readonly awayFrom: readonly number[]
  /** All values differ by at least 0.01: for maxima, whose gradient is not defined at ties. */
  readonly distinct: boolean
}

export interface Sample<A> {
  readonly inputs: readonly SampleInput[]
  readonly attributes: A
}

export interface Reject<A> {
  readonly inputs: readonly Spec[]
  readonly attributes: A
  readonly message: RegExp
}

/** Gives an op its type; the name is the key under which its family exports it (checked in ops/index.ts). */
export function defineOp<A extends object = Record<never, never>>(op: Op<A>): Op<A> {
  return op
}

/** Sample values between `low` and `high` (default -2 … 2). */
export function uniform(
  shape: readonly number[],
  options: { low?: number; high?: number; awayFrom?: readonly number[]; distinct?: boolean } = {},
): SampleInput {
  const { low = -2, high = 2, awayFrom = [], distinct = false } = options
  return { shape, dtype: 'float32', low, high, awayFrom, distinct }
}

/** Sample indices of `low` … `below` - 1. */
export function integers(shape: readonly number[], below: number, low = 0): SampleInput {
  return { shape, dtype: 'int32', low, high: below, awayFrom: [], distinct: false }
}

/** A spec for `rejects`. */
export function spec(shape: readonly number[], dtype: Dtype = 'float32'): Spec {
  return { shape, dtype }
}
