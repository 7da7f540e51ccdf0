import { DtypeError, describe, OptionError } from '../errors.ts'
import type { Op } from './op.ts'
import { formatShape, type Shape } from './shape.ts'

/** float32 for values, int32 for indices. */
export type Dtype = 'float32' | 'int32'

/** What is known of a value before it exists. */
export interface Spec {
  readonly shape: Shape
  readonly dtype: Dtype
}

/** The layer (or other named part) that made a node; names are given when a model is built. */
export interface Scope {
  /** Its kind: `dense`. */
  readonly kind: string
  /** The user's own name, if given. */
  readonly name?: string
}

/** Which part of a training step a tensor belongs to. */
export type Phase = 'forward' | 'backward' | 'update'

/**
 * A symbolic tensor: a shape, a dtype, and the op and inputs it comes from. It has no values; those live in
 * an arena once a plan has been made. Immutable. `id`s ascend in order of creation, so a tensor's inputs
 * always have smaller ids, and sorting by id is a topological order.
 *
 * @example input(8) instanceof Tensor
 */
export class Tensor implements Spec {
  private static nextId = 1
  /** Ascends in order of creation. */
  readonly id: number
  /** What computes it. */
  readonly op: Op
  /** The operands of `op`, in order. */
  readonly inputs: readonly Tensor[]
  /** What else `op` was given: axes, flags. */
  // biome-ignore lint/suspicious/noExplicitAny: each op knows the type of its own attributes.
  readonly attributes: any
  readonly shape: Shape
  readonly dtype: Dtype
  /** The layer that made it, or null. */
  readonly scope: Scope | null
  /** The part of a training step it belongs to. */
  readonly phase: Phase

  constructor(op: Op, inputs: readonly Tensor[], attributes: object, spec: Spec) {
    this.id = Tensor.nextId++
    this.op = op
    this.inputs = inputs
    this.attributes = attributes
    this.shape = spec.shape
    this.dtype = spec.dtype
    this.scope = place.scope
    this.phase = place.phase
  }

  /** The number of dimensions. */
  get rank(): number {
    return this.shape.length
  }

  /** Op, dtype and shape: `matmul float32 [batch, 10]`. @example input(8).toString() */
  toString(): string {
    return `${this.op.name} ${this.dtype} ${formatShape(this.shape)}`
  }
}

let place: { readonly scope: Scope | null; readonly phase: Phase } = { scope: null, phase: 'forward' }

/** Runs `build`; the tensors it makes belong to `scope`. */
export function within<T>(scope: Scope | null, phase: Phase, build: () => T): T {
  const outer = place
  place = { scope, phase }
  try {
    return build()
  } finally {
    place = outer
  }
}

/** Where the next tensor will be made, for error messages: `relu` or `relu (layer "dense")`. */
export function locate(op: string): string {
  const scope = place.scope
  return scope === null ? op : `${op} (layer "${scope.name ?? scope.kind}")`
}

/** Adds a node: infers and checks its shape. The only way a tensor is made. */
export function apply<A extends object>(op: Op<A>, inputs: readonly Tensor[], attributes: A): Tensor {
  for (const [i, input] of inputs.entries()) expectTensor(locate(op.name), input, `operand ${i}`)
  const spec = op.infer(inputs, attributes, locate(op.name))
  return new Tensor(op as Op, inputs, attributes, spec)
}

/** Throws unless the value is a symbolic tensor. */
export function expectTensor(where: string, value: unknown, what = 'the operand'): asserts value is Tensor {
  if (!(value instanceof Tensor)) {
    throw new OptionError(
      `${where}: ${what} must be a symbolic tensor, got ${describe(value)}; ${isArrayOfNumbers(value) ? ofNumbers : 'make one with input(shape).'}`,
    )
  }
}

/** What to do with numbers where a graph is made. */
export const ofNumbers =
  'it is an array of numbers, and ops make graphs: make a model of the op and predict with it, or for numbers use argmax() or classes() of an NdArray, its data, or score.'

/** An NdArray, a typed array, or arrays that begin with a number. */
export function isArrayOfNumbers(value: unknown): boolean {
  if (Array.isArray(value)) return typeof value.flat(Number.POSITIVE_INFINITY)[0] === 'number'
  return ArrayBuffer.isView(value) || (typeof value === 'object' && value !== null && 'data' in value && ArrayBuffer.isView(value.data))
}

/** Throws unless the dtype is the expected one. */
export function expectDtype(where: string, spec: Spec, dtype: Dtype, what = 'the operand'): void {
  if (spec.dtype !== dtype) {
    const advice = dtype === 'float32' ? ' Try cast(x).' : ''
    throw new DtypeError(`${where}: ${what} must be ${dtype}, got ${spec.dtype} ${formatShape(spec.shape)}.${advice}`)
  }
}

/** All tensors that `roots` need, in topological order (ascending id). */
export function ancestors(roots: readonly Tensor[]): Tensor[] {
  const seen = new Set<Tensor>(roots)
  const stack = [...seen]
  while (stack.length > 0) {
    for (const input of (stack.pop() as Tensor).inputs) {
      if (!seen.has(input)) {
        seen.add(input)
        stack.push(input)
      }
    }
  }
  return [...seen].sort((a, b) => a.id - b.id)
}

/** `roots` with other tensors in place of some that they need; what does not depend on these stays as it is. */
export function substitute(roots: readonly Tensor[], replacements: ReadonlyMap<Tensor, Tensor>): Tensor[] {
  const rebuilt = new Map(replacements)
  const find = (tensor: Tensor) => rebuilt.get(tensor) ?? tensor
  for (const node of ancestors(roots)) {
    if (rebuilt.has(node) || node.inputs.every((input) => !rebuilt.has(input))) continue
    rebuilt.set(
      node,
      within(node.scope, node.phase, () => apply(node.op, node.inputs.map(find), node.attributes)),
    )
  }
  return roots.map(find)
}
