import { describe, OptionError } from '../errors.ts'
import type { Op } from '../graph/op.ts'
import { ops } from '../ops/index.ts'
import type { Instruction, Plan, PlanTensor } from './plan.ts'

/**
 * A plan as text: stable, one line an instruction, meant to be read and compared.
 *
 *     %7 [32, 64] workspace+128 = relu(matmul(x, dense_1.kernel, dense_1.bias))   # dense_1
 *
 * @example printPlan(sequential([input(8), dense(4)]).plan(32))
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
  return expression(
    instruction,
    instruction.inputs.map((input) => plan.tensors[input].label),
  )
}

/** A call, and around it the chain that it ends in: `relu(matmul(x, w) {transposeB: true})`. A bare chain has no call of its own. */
function expression({ op, attributes }: Instruction, operands: readonly string[]): string {
  const ownInputs = (ops as Record<string, Op>)[op].ownInputs
  const steps = attributes.steps as readonly string[] | undefined
  if (steps === undefined) return call(op, attributes, operands)
  if (ownInputs === undefined) return chain(steps, operands, operands)
  const own = ownInputs(attributes)
  const texts = [call(op, attributes, operands.slice(0, own)), ...operands.slice(own)]
  return chain(steps, texts, ['p', ...operands.slice(own)])
}

function call(op: string, attributes: Instruction['attributes'], operands: readonly string[]): string {
  // The shape stands before it, the steps around it, the bias among the operands.
  const { shape: _, steps: _steps, bias: _bias, ...others } = attributes
  const shown = Object.entries(others).filter(([, value]) => value !== false)
  const texts = shown.map(([name, value]) => `${name}: ${Array.isArray(value) ? `[${value.join(', ')}]` : value}`)
  return `${op}(${operands.join(', ')})${texts.length === 0 ? '' : ` {${texts.join(', ')}}`}`
}

/** A chain as one formula; what is more than a name and used more than once gets one: a step its number, operands theirs in `names`. */
function chain(steps: readonly string[], operands: readonly string[], names: readonly string[]): string {
  const parsed = steps.map((step) => step.split(' '))
  const uses = new Map<number, number>()
  for (const [, ...arguments_] of parsed)
    for (const argument of arguments_) uses.set(Number(argument), (uses.get(Number(argument)) ?? 0) + 1)
  const texts: string[] = []
  const named: string[] = []
  const define = (text: string, name: string) => {
    const shared = text !== name && (uses.get(texts.length) ?? 0) > 1
    if (shared) named.push(`${name} = ${text}`)
    texts.push(shared ? name : text)
  }
  operands.forEach((operand, i) => {
    define(operand, names[i])
  })
  parsed.forEach(([op, ...arguments_], i) => {
    define(`${op}(${arguments_.map((argument) => texts[Number(argument)]).join(', ')})`, `s${i}`)
  })
  const result = texts[texts.length - 1]
  return named.length === 0 ? result : `${result} where ${named.join(', ')}`
}

function spell(tensor: PlanTensor): string {
  return `${tensor.dtype === 'int32' ? 'int32 ' : ''}[${tensor.shape.join(', ')}] ${tensor.block}+${tensor.offset}`
}
