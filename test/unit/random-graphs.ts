/** Random graphs for property tests, and two ways to evaluate them that have nothing in common but the kernels. */
import fc from 'fast-check'
import { ThalwegError } from '../../src/errors.ts'
import type { Values } from '../../src/executors/arena.ts'
import { referenceKernels } from '../../src/executors/reference/index.ts'
import type { View } from '../../src/executors/reference/kernel.ts'
import type { Mode, Op } from '../../src/graph/op.ts'
import { bindShape, concrete, sizeOf } from '../../src/graph/shape.ts'
import { ancestors, type Tensor } from '../../src/graph/tensor.ts'
import {
  abs,
  add,
  broadcastTo,
  concat,
  greater,
  input,
  logSoftmax,
  matmul,
  max,
  maximum,
  mean,
  multiply,
  negate,
  relu,
  reshape,
  sigmoid,
  slice,
  softmax,
  square,
  subtract,
  sum,
  tanh,
  transpose,
  where,
} from '../../src/index.ts'
import { ops } from '../../src/ops/index.ts'
import { constantValue, isVariable } from '../../src/ops/source.ts'
import { bind } from '../../src/plan/bind.ts'
import { ALIGNMENT, align, GRADIENTS, type Instruction, type Plan, WORKSPACE } from '../../src/plan/plan.ts'
import { randomNumbers, randomTensor } from './values.ts'

/** What to do, in numbers that fast-check can shrink: each step picks an op and its operands among what there is. */
export interface Recipe {
  readonly steps: readonly (readonly [kind: number, first: number, second: number, detail: number])[]
  readonly outputs: readonly number[]
}

export const recipes: fc.Arbitrary<Recipe> = fc.record({
  steps: fc.array(fc.tuple(fc.nat(999), fc.nat(999), fc.nat(999), fc.nat(999)), { minLength: 1, maxLength: 40, size: 'max' }),
  outputs: fc.array(fc.nat(999), { minLength: 1, maxLength: 4, size: 'max' }),
})

/** How many graphs a property is tried on. THALWEG_PROPERTY_RUNS asks for more, other ones each time. */
export const PROPERTY: { readonly numRuns: number; readonly seed?: number } = process.env.THALWEG_PROPERTY_RUNS
  ? { numRuns: Number(process.env.THALWEG_PROPERTY_RUNS) }
  : { numRuns: 300, seed: 20_261_101 }

export const BATCH = 3

/** Elements of the largest tensor of a random graph. */
const LARGEST = 500

export interface RandomGraph {
  readonly outputs: readonly Tensor[]
  readonly variables: readonly Tensor[]
  readonly feeds: ReadonlyMap<Tensor, readonly number[]>
}

const unary = [negate, tanh, square, relu, sigmoid, abs, softmax, logSoftmax]
const binary = [add, subtract, multiply, maximum, greater, (a: Tensor, b: Tensor) => where(greater(a, b), a, b)]

/** Each makes a tensor from two others and a number, or is refused by a ThalwegError. */
const kinds: readonly ((a: Tensor, b: Tensor, detail: number) => Tensor)[] = [
  (a, _, detail) => unary[detail % unary.length](a),
  (a, _, detail) => unary[detail % unary.length](a),
  (a, b, detail) => binary[detail % binary.length](a, b),
  (a, b, detail) => binary[detail % binary.length](a, b),
  (a, _, detail) => [add(a, 0), multiply(1, a), subtract(2, a), multiply(a, 0.5), maximum(a, -0.25)][detail % 5],
  (a, b, detail) => matmul(a, b, { transposeA: (detail & 1) === 1, transposeB: (detail & 2) === 2 }),
  (a, b, detail) => matmul(detail % 2 === 0 ? transpose(a) : a, transpose(b)),
  (a, _, detail) => [sum, mean, max][detail % 3](a, { axes: [detail % Math.max(1, a.rank)], keepDims: (detail & 4) === 4 }),
  (a, _, detail) => [sum, mean][detail % 2](a),
  (a) => reshape(a, [-1]),
  (a) => reshape(a, [-1, a.shape[a.rank - 1] ?? 1]),
  (a) => reshape(a, [...a.shape, 1]),
  (a) => transpose(a),
  // What is joined along the batch has no gradient.
  (a, b) => (typeof a.shape[a.rank - 1] === 'number' ? concat([a, b, a]) : a),
  (a, _, detail) => slice(a, [...a.shape.slice(1).map(() => null), [detail % 2, -1]]),
  (a) => broadcastTo(a, [2, ...a.shape]),
]

export function build({ steps, outputs }: Recipe): RandomGraph {
  const x = input(4)
  const y = input([2, 3])
  const feeds = new Map([
    [x, randomNumbers(BATCH * 4, 100)],
    [y, randomNumbers(BATCH * 6, 101)],
  ])
  const variables = [[4, 3], [3], [4], [], [3, 4], [1]].map((shape, i) => randomTensor(shape, i, `v${i}`))
  const pool: Tensor[] = [x, y, ...variables]
  // The latest are picked most often, so that graphs grow deep; every other second operand comes from anywhere.
  const recent = (place: number) => pool[pool.length - 1 - (place % Math.min(pool.length, 6))]
  const any = (place: number) => (place % 2 === 0 ? recent(place >> 1) : pool[(place >> 1) % pool.length])
  for (const [kind, first, second, detail] of steps) {
    // The first second operand that the op takes; none at all leaves the step out.
    for (let offset = 0; offset < 2 * pool.length; offset++) {
      const made = attempt(() => kinds[kind % kinds.length](recent(first), any(second + offset), detail))
      if (made === null) continue
      pool.push(made)
      break
    }
  }
  // Half of the graphs end in a sum over everything that was left lying about, so that all of it counts.
  const read = new Set(pool.flatMap((tensor) => tensor.inputs))
  const ends = pool.filter((tensor) => !read.has(tensor) && tensor.dtype === 'float32').map((tensor) => mean(tensor))
  const chosen = outputs.map(recent)
  return { variables, feeds, outputs: outputs[0] % 2 === 0 ? chosen : [...chosen, ends.reduce(add)] }
}

function attempt(make: () => Tensor): Tensor | null {
  try {
    const made = make()
    return sizeOf(bindShape(made.shape, BATCH)) <= LARGEST ? made : null
  } catch (error) {
    if (error instanceof ThalwegError) return null
    throw error
  }
}

/**
 * Every tensor by itself, one kernel call each, with memory of its own: neither simplified, nor fused, nor laid out. Updates
 * leave the variable alone and write a copy.
 */
export function evaluateSeparately(
  tensors: readonly Tensor[],
  feeds: ReadonlyMap<Tensor, readonly number[]>,
  Memory: Float32ArrayConstructor | Float64ArrayConstructor,
  mode: Mode = 'training',
): Values[] {
  const roots = bind([...tensors, ...feeds.keys()], BATCH, mode)
  const views = new Map<Tensor, View>()
  const given = new Map(roots.slice(tensors.length).map((root, i) => [root, [...feeds.values()][i]]))
  for (const node of ancestors(roots)) {
    const shape = concrete(node.shape)
    const values = new Memory(sizeOf(shape))
    const operands = node.inputs.map((operand) => views.get(operand) as View)
    const result: View = { shape, values }
    const written = node.op.writes?.(node.attributes)
    if (isVariable(node)) node.attributes.initialize(values)
    else if (constantValue(node) !== null) values[0] = constantValue(node) as number
    else if (given.has(node)) values.set(given.get(node) as number[])
    else if (node.op.alias) values.set(operands[0].values)
    else if (written !== undefined) {
      const copies = operands.map((operand, i) => (written.includes(i) ? { ...operand, values: operand.values.slice() } : operand))
      referenceKernels[node.op.name](
        copies,
        written.map((i) => copies[i]),
        node.attributes,
      )
      values.set(copies[written[0]].values)
    } else if (node.op.compute !== undefined) {
      const step = [node.op.name, ...operands.keys()].join(' ')
      referenceKernels.elementwise(operands, [result], { steps: [step], shape })
    } else referenceKernels[node.op.name](operands, [result], node.attributes)
    views.set(node, result)
  }
  return roots.slice(0, tensors.length).map((root) => (views.get(root) as View).values)
}

/** The first element at which two lists of results differ, as text; null if there is none. Zeros of either sign are equal, and so are NaNs. */
export function firstDifference(got: readonly Values[], expected: readonly Values[]): string | null {
  for (const [i, values] of expected.entries()) {
    if (got[i].length !== values.length) return `result ${i}: ${got[i].length} elements in place of ${values.length}`
    for (let j = 0; j < values.length; j++) {
      if (got[i][j] !== values[j] && !Object.is(got[i][j], values[j])) return `result ${i}[${j}]: got ${got[i][j]}, expected ${values[j]}`
    }
  }
  return null
}

/**
 * Follows who wrote each cache line of the workspace and of the gradients last, and reports every instruction that reads a line which somebody
 * else has overwritten, or writes one that it reads as well without owning all of it. Tensors of one label are views of one value; joined gradients
 * have a label of their own.
 */
export function overlaps(plan: Plan): string[] {
  const problems: string[] = []
  const owner = new Map<string, string>()
  const lines = (tensor: number): string[] => {
    const { block, offset, shape } = plan.tensors[tensor]
    if (block !== WORKSPACE && block !== GRADIENTS) return []
    const end = offset + align(sizeOf(shape) * 4)
    if (end > plan.blocks[block]) problems.push(`${plan.tensors[tensor].label} lies outside of its block`)
    return Array.from({ length: (end - offset) / ALIGNMENT }, (_, i) => `${block} ${offset / ALIGNMENT + i}`)
  }
  const own = (tensor: number) => {
    for (const line of lines(tensor)) owner.set(line, plan.tensors[tensor].label)
  }
  const read = (tensor: number, reader: string) => {
    const { label } = plan.tensors[tensor]
    for (const line of lines(tensor)) {
      const found = owner.get(line)
      const isVariable = plan.tensors[tensor].block === GRADIENTS && (found === undefined || !found.startsWith('%'))
      if (found !== label && !isVariable) problems.push(`${reader} reads ${label} after ${found} took its memory`)
    }
  }
  const lasting = [...Object.values(plan.inputs), ...plan.constants.map(({ tensor }) => tensor)]
  lasting.forEach(own)
  plan.instructions.forEach((instruction, i) => {
    const reader = `instruction ${i} (${instruction.op})`
    for (const operand of instruction.inputs) read(operand, reader)
    for (const result of instruction.outputs) if (!mayWrite(plan, instruction, result)) problems.push(`${reader} writes over an operand`)
    instruction.outputs.forEach(own)
  })
  for (const tensor of [...lasting, ...Object.values(plan.outputs)]) read(tensor, 'the caller')
  return problems
}

/** A result is apart from every operand, or it is exactly the memory of one that the op lets it take. */
function mayWrite(plan: Plan, { op, inputs, attributes }: Instruction, result: number): boolean {
  const { inPlace = [], writes } = (ops as Record<string, Op>)[op]
  const allowed = new Set([...inPlace, ...(writes?.(attributes) ?? [])])
  const range = (tensor: number) => {
    const { block, offset, shape } = plan.tensors[tensor]
    return { block, start: offset, end: offset + sizeOf(shape) * 4 }
  }
  const target = range(result)
  return inputs.every((operand, i) => {
    const source = range(operand)
    if (source.block !== target.block || source.end <= target.start || target.end <= source.start) return true
    return allowed.has(i) && source.start === target.start && source.end === target.end
  })
}
