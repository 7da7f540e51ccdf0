import { describe, OptionError } from '../errors.ts'
import type { Instruction, Plan, PlanTensor } from './plan.ts'

/**
 * A plan as text: stable, one line an instruction, meant to be read and compared.
 *
 *     %7 [32, 64] workspace+128 = matmul(x, dense_1.kernel, dense_1.bias) {activation: relu}   # dense_1
 */
export function printPlan(plan: Plan): string {
  expectPlan('printPlan', plan)
  const blocks = Object.entries(plan.blocks).map(([name, bytes]) => `${name} ${bytes}`)
  const lines = [`plan for ${plan.mode}, batch ${plan.batchSize}`, `blocks in bytes: ${blocks.join(', ')}`]
  for (const [name, tensor] of Object.entries(plan.inputs)) lines.push(`input ${name} ${spell(plan.tensors[tensor])}`)
  for (const instruction of plan.instructions) lines.push(printInstruction(plan, instruction))
  for (const [name, tensor] of Object.entries(plan.outputs)) lines.push(`output ${name} = ${plan.tensors[tensor].label}`)
  return `${lines.join('\n')}\n`
}

/** Throws unless the value is a plan: a model is easily given in its place. */
export function expectPlan(where: string, value: unknown): asserts value is Plan {
  if (!Array.isArray((value as Plan | null)?.instructions)) {
    throw new OptionError(
      `${where}: expected a plan, got ${describe(value)}; a model gives one by plan(batchSize) or trainingPlan(batchSize, { loss }).`,
    )
  }
}

/** One instruction, as `printPlan` and error messages show it. */
export function printInstruction(plan: Plan, instruction: Instruction): string {
  const results = instruction.outputs.map((output) => `${plan.tensors[output].label} ${spell(plan.tensors[output])}`)
  const where = [instruction.layer, instruction.phase === 'forward' ? null : instruction.phase].filter((part) => part !== null)
  const remark = where.length === 0 ? '' : `   # ${where.join(' ')}`
  return `${results.join(', ')} = ${printExpression(plan, instruction)}${remark}`
}

/** What an instruction computes: the right-hand side of `printInstruction`. */
export function printExpression(plan: Plan, instruction: Instruction): string {
  const operands = instruction.inputs.map((input) => plan.tensors[input].label)
  if (Array.isArray(instruction.attributes.steps)) return chain(instruction.attributes.steps, operands)
  const shown = Object.entries(instruction.attributes).filter(([name, value]) => name !== 'shape' && value !== false && value !== '')
  const attributes = shown.map(([name, value]) => `${name}: ${Array.isArray(value) ? `[${value.join(', ')}]` : value}`)
  return `${instruction.op}(${operands.join(', ')})${attributes.length === 0 ? '' : ` {${attributes.join(', ')}}`}`
}

/** A chain as one formula; a step used more than once is named by its number. */
function chain(steps: readonly string[], operands: readonly string[]): string {
  const parsed = steps.map((step) => step.split(' '))
  const uses = new Map<number, number>()
  for (const [, ...arguments_] of parsed)
    for (const argument of arguments_) uses.set(Number(argument), (uses.get(Number(argument)) ?? 0) + 1)
  const texts = [...operands]
  const named: string[] = []
  parsed.forEach(([op, ...arguments_], i) => {
    const text = `${op}(${arguments_.map((argument) => texts[Number(argument)]).join(', ')})`
    const shared = (uses.get(operands.length + i) ?? 0) > 1
    if (shared) named.push(`s${i} = ${text}`)
    texts.push(shared ? `s${i}` : text)
  })
  const result = texts[texts.length - 1]
  return named.length === 0 ? result : `${result} where ${named.join(', ')}`
}

function spell(tensor: PlanTensor): string {
  return `${tensor.dtype === 'int32' ? 'int32 ' : ''}[${tensor.shape.join(', ')}] ${tensor.block}+${tensor.offset}`
}
