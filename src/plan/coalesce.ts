import type { Op } from '../graph/op.ts'
import { sameShape, sizeOf } from '../graph/shape.ts'
import { ops } from '../ops/index.ts'
import { align, type Instruction, type Plan, type PlanTensor, WORKSPACE } from './plan.ts'

/**
 * Joins neighbours: consecutive instructions of a `flat` op with equal attributes whose operands adjoin in memory
 * become one over the whole range. The optimizer of a model is one pass over its parameter block.
 */
export function coalesce(plan: Plan): Plan {
  const tensors = [...plan.tensors]
  const instructions: Instruction[] = []
  for (const instruction of plan.instructions) {
    const joined =
      isFlat(instruction) && instructions.length > 0 ? joinInstructions(instructions[instructions.length - 1], instruction, tensors) : null
    if (joined === null) instructions.push(instruction)
    else instructions[instructions.length - 1] = joined
  }
  const updates = instructions.filter((instruction) => isFlat(instruction) && writesVariables(instruction))
  const updated = new Set(updates.flatMap(({ outputs }) => outputs.map((output) => tensors[output].block)))
  return compact({ ...plan, tensors, instructions: instructions.map((instruction) => joinOperands(instruction, tensors, updated)) })
}

/** Leaves out the tensors that no instruction, input, output or constant names any more. */
function compact(plan: Plan): Plan {
  const positions = new Map<number, number>()
  const used = [
    ...plan.instructions.flatMap(({ inputs, outputs }) => [...inputs, ...outputs]),
    ...Object.values(plan.inputs),
    ...Object.values(plan.outputs),
    ...plan.constants.map(({ tensor }) => tensor),
  ]
  for (const tensor of [...new Set(used)].sort((a, b) => a - b)) positions.set(tensor, positions.size)
  const move = (tensor: number) => positions.get(tensor) as number
  const moveAll = (named: Readonly<Record<string, number>>) =>
    Object.fromEntries(Object.entries(named).map(([name, tensor]) => [name, move(tensor)]))
  return {
    ...plan,
    tensors: [...positions.keys()].map((tensor) => plan.tensors[tensor]),
    instructions: plan.instructions.map((instruction) => ({
      ...instruction,
      inputs: instruction.inputs.map(move),
      outputs: instruction.outputs.map(move),
    })),
    inputs: moveAll(plan.inputs),
    outputs: moveAll(plan.outputs),
    constants: plan.constants.map(({ tensor, value }) => ({ tensor: move(tensor), value })),
  }
}

function isFlat(instruction: Instruction): boolean {
  return (ops as Record<string, Op>)[instruction.op].flat === true
}

function writesVariables(instruction: Instruction): boolean {
  return (ops as Record<string, Op>)[instruction.op].writes !== undefined
}

function joinInstructions(a: Instruction, b: Instruction, tensors: PlanTensor[]): Instruction | null {
  if (a.op !== b.op || !writesVariables(a) || JSON.stringify(a.attributes) !== JSON.stringify(b.attributes)) return null
  if (a.inputs.length !== b.inputs.length) return null
  // A variable written by both is written twice.
  if (a.outputs.some((output, i) => output === b.outputs[i])) return null
  // Scalars that are the same tensor in both (learning rate, step) stay; all others must have the variable's shape, and adjoin. Where the variable
  // is a scalar itself, other learning rates could not be told from neighbours of the same kind.
  const whole = ({ inputs }: Instruction, i: number) => {
    const { shape } = tensors[inputs[0]]
    return shape.length > 0 && sameShape(tensors[inputs[i]].shape, shape)
  }
  const adjoin = a.inputs.every((input, i) =>
    input === b.inputs[i]
      ? sizeOf(tensors[input].shape) === 1
      : whole(a, i) && whole(b, i) && follows(tensors[input], tensors[b.inputs[i]]),
  )
  if (!adjoin || a.inputs.every((input, i) => input === b.inputs[i])) return null
  const merged = new Map<number, number>()
  const merge = (first: number, second: number): number => {
    if (first === second) return first
    const known = merged.get(first)
    if (known !== undefined) return known
    merged.set(first, tensors.push(join(tensors[first], tensors[second])) - 1)
    return tensors.length - 1
  }
  const inputs = a.inputs.map((input, i) => merge(input, b.inputs[i]))
  const outputs = a.outputs.map((output, i) => merge(output, b.outputs[i]))
  // The second may not read what the first has written, but for what lies in the place of its own result.
  const apart = outputs.every((output) => inputs.every((input) => !overlapInPart(tensors[output], tensors[input])))
  return apart ? { ...a, inputs, outputs, layer: null } : null
}

function overlapInPart(a: PlanTensor, b: PlanTensor): boolean {
  const [endOfA, endOfB] = [a, b].map(({ offset, shape }) => offset + sizeOf(shape) * 4)
  const overlap = a.block === b.block && a.offset < endOfB && b.offset < endOfA
  return overlap && (a.offset !== b.offset || endOfA !== endOfB)
}

/**
 * A flat op over a list of any length (checkFinite, sumOfSquares): neighbours in the list that adjoin in memory become one operand. Not over a
 * gap in a block that updates write: what they have made of it is not what the op is asked about. Elsewhere it holds zeros.
 */
function joinOperands(instruction: Instruction, tensors: PlanTensor[], updated: ReadonlySet<string>): Instruction {
  if (!isFlat(instruction) || writesVariables(instruction)) return instruction
  const inputs: number[] = []
  for (const input of instruction.inputs) {
    const previous = inputs[inputs.length - 1]
    const last = previous === undefined ? null : tensors[previous]
    if (last !== null && follows(last, tensors[input]) && (isFull(last) || !updated.has(last.block)))
      inputs[inputs.length - 1] = tensors.push(join(last, tensors[input])) - 1
    else inputs.push(input)
  }
  return { ...instruction, inputs }
}

function follows(a: PlanTensor, b: PlanTensor): boolean {
  return a.block === b.block && a.block !== WORKSPACE && a.dtype === b.dtype && b.offset === a.offset + align(sizeOf(a.shape) * 4)
}

/** Whether a tensor ends with a cache line, so that there is no gap between it and the next one. */
function isFull({ shape }: PlanTensor): boolean {
  return align(sizeOf(shape) * 4) === sizeOf(shape) * 4
}

/**
 * The range from the start of a to the end of b. The gap up to the cache line between them holds zeros at first, and then what updates of the whole
 * range make of them: any number, which nobody reads but such updates.
 */
function join(a: PlanTensor, b: PlanTensor): PlanTensor {
  const size = (b.offset - a.offset) / 4 + sizeOf(b.shape)
  const label = `${a.label.split(' … ')[0]} … ${b.label}`
  return { ...a, shape: [size], label }
}
