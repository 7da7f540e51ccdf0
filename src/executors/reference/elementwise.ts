import type { Op } from '../../graph/op.ts'
import { type ChainAttributes, elementwiseOps } from '../../ops/elementwise.ts'
import type { Values } from '../arena.ts'
import { broadcastStrides, forEachOffset, type Kernel, type View } from './kernel.ts'

/** The meaning of one step of a chain. */
export function computeOf(name: string): (a: number, b: number, c: number) => number {
  return (elementwiseOps as Record<string, Op>)[name].compute as (a: number, b: number, c: number) => number
}

/** Step after step over whole tensors; every step is rounded to the arena's precision, as if it had been an instruction. */
export function runChain(inputs: readonly View[], y: View, steps: readonly string[]): void {
  const operands = operandsOfChain(inputs, y, steps)
  // A result may share memory with an input (in place, or a product's own), so it is copied when all is done.
  y.values.set(operands[operands.length - 1] as Float32Array)
}

/** All inputs of a chain, as large as y, and the results of all steps. */
export function operandsOfChain(inputs: readonly View[], y: View, steps: readonly string[]): Values[] {
  const size = y.values.length
  const operands: Values[] = inputs.map((input) => repeated(input, y.shape, size))
  for (const step of steps) {
    const [name, ...positions] = step.split(' ')
    const compute = computeOf(name)
    const [a, b, c] = positions.map((position) => operands[Number(position)])
    const result = emptyLike(y.values, size)
    if (c !== undefined) for (let j = 0; j < size; j++) result[j] = compute(a[j], b[j], c[j])
    else if (b !== undefined) for (let j = 0; j < size; j++) result[j] = compute(a[j], b[j], 0)
    else for (let j = 0; j < size; j++) result[j] = compute(a[j], 0, 0)
    operands.push(result)
  }
  return operands
}

const elementwise: Kernel<ChainAttributes> = (inputs, [y], { steps }) => {
  runChain(inputs, y, steps)
}

function repeated(input: View, shape: readonly number[], size: number): Values {
  const { values } = input
  if (values.length === size) return values
  const result = emptyLike(values, size)
  if (values.length === 1) return result.fill(values[0])
  forEachOffset(shape, broadcastStrides(input.shape, shape), (offset, position) => {
    result[position] = values[offset]
  })
  return result
}

function emptyLike(values: Values, size: number): Values {
  if (values instanceof Float64Array) return new Float64Array(size)
  return values instanceof Int32Array ? new Int32Array(size) : new Float32Array(size)
}

export const elementwiseKernels = { elementwise }
