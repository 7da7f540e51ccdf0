/** How little time each part of a training step could take on this machine, and what of it decides that. */
import { sizeOf } from '../../src/graph/shape.ts'
import type { Instruction, Plan } from '../../src/plan/plan.ts'
import { median } from '../statistics.ts'
import type { Product } from './libraries.ts'
import type { Bandwidth } from './limits.ts'

/** Bytes of the arrays that a pass goes through. */
export interface Traffic {
  readonly read: number
  readonly write: number
  /** Read from one place and written to another. */
  readonly copy: number
  /** Changed in place. */
  readonly update: number
}

/** What a pass reads or writes, and where it lies. What has one place is the same memory. */
export interface Placed {
  readonly place: unknown
  readonly bytes: number
}

const total = (list: readonly Placed[]) => list.reduce((sum, { bytes }) => sum + bytes, 0)

/** What is read and what is written makes pairs, as far as it goes. */
export function trafficOf(inputs: readonly Placed[], outputs: readonly Placed[]): Traffic {
  const [from, to] = [inputs, outputs].map((operands) => new Set(operands.map(({ place }) => place)))
  const read = total(inputs.filter(({ place }) => !to.has(place)))
  const write = total(outputs.filter(({ place }) => !from.has(place)))
  const copy = Math.min(read, write)
  return { read: read - copy, write: write - copy, copy, update: total(outputs.filter(({ place }) => from.has(place))) }
}

/** What bounds a part of a step from below: a bare product, the bytes of a pass over memory, or nothing but itself. */
export type Bound =
  | { readonly kind: 'product'; readonly product: Product }
  | { readonly kind: 'pass'; readonly traffic: Traffic }
  | { readonly kind: 'itself' }

/** Bytes that are read or written. */
export const bytesMoved = ({ read, write, copy, update }: Traffic) => read + write + 2 * copy + 2 * update

/** Seconds that the traffic takes when each array is gone through on its own; streams side by side may be a little faster. */
export const leastSeconds = ({ read, write, copy, update }: Traffic, limit: Bandwidth) =>
  1e-9 * (read / limit.read + write / limit.write + (2 * copy) / limit.copy + (2 * update) / limit.update)

/** Bytes of all memory that a step touches, its batch included, but not the data that the batch is picked from. */
export const workingSet = ({ blocks }: Plan) => Object.values(blocks).reduce((sum, bytes) => sum + bytes, 0)

/** Of each part of a step, in the order of a profile: the feeds, the instructions, the records. */
export function boundsOf(plan: Plan): Bound[] {
  const fed = total(placedIn(plan, Object.values(plan.inputs)))
  const feed: Bound = { kind: 'pass', traffic: { read: 0, write: 0, copy: fed, update: 0 } }
  return [feed, ...plan.instructions.map((instruction) => boundOf(plan, instruction)), { kind: 'itself' }]
}

function boundOf(plan: Plan, instruction: Instruction): Bound {
  const { op, inputs, outputs, attributes } = instruction
  if (op === 'matmul') return { kind: 'product', product: productOf(plan, inputs, attributes) }
  // What it changes is fetched while it multiplies.
  if (op === 'matmulUpdate') return { kind: 'product', product: productOf(plan, inputs.slice(1), { transposeA: true }) }
  const traffic = trafficOf(placedIn(plan, inputs), placedIn(plan, outputs))
  // Passes over all parameters. What else there is, chains and sums, is small, or waits for arithmetic.
  const passes = instruction.phase === 'update' && bytesMoved(traffic) > 0
  return passes ? { kind: 'pass', traffic } : { kind: 'itself' }
}

function productOf({ tensors }: Plan, inputs: readonly number[], attributes: Instruction['attributes']): Product {
  const [a, b] = inputs.map((input) => tensors[input].shape)
  const [transposeA, transposeB] = [attributes.transposeA === true, attributes.transposeB === true]
  const [rows, depth] = transposeA ? [a[1], a[0]] : a
  return { rows, depth, columns: transposeB ? b[0] : b[1], transposeA, transposeB, seedA: 1, seedB: 2 }
}

const placedIn = ({ tensors }: Plan, list: readonly number[]): Placed[] =>
  list.map((tensor) => ({ place: `${tensors[tensor].block} ${tensors[tensor].offset}`, bytes: arrayBytes(tensors[tensor]) }))

/** Scalars have none. */
const arrayBytes = ({ shape }: Plan['tensors'][number]) => (shape.length > 0 ? 4 * sizeOf(shape) : 0)

/**
 * The part of its time that something needs at least: the median over rounds of least / measured. At most 1, for what has been done can be done; that
 * errs towards a floor that is too low.
 */
export function shareAtFloor(measured: readonly number[], least: readonly number[]): number {
  return median(least.map((seconds, round) => Math.min(1, seconds / measured[round])))
}

/** Who was fastest at something, by the median of its rates. */
export function fastest(rates: Readonly<Record<string, readonly number[]>>): string {
  const [first, ...others] = Object.keys(rates)
  return others.reduce((best, name) => (median(rates[name]) > median(rates[best]) ? name : best), first)
}
