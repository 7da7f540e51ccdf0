/** Writes the op battery as a file that native/tests/replay.cc can run without Node; its format is described there. */
import { createWriteStream } from 'node:fs'
import { finished } from 'node:stream/promises'
import { Arena } from '../../src/executors/arena.ts'
import type { Executor } from '../../src/executors/executor.ts'
import { fillRandomly } from '../../src/executors/lockstep.ts'
import { loadAddon } from '../../src/executors/native/addon.ts'
import { nativeExecutor } from '../../src/executors/native/index.ts'
import type { Plan } from '../../src/plan/plan.ts'
import { cases, filled, planOf } from '../battery/samples.ts'
import { combined, large, residual, twoInputs, wide, xor } from '../golden/models.ts'

/** Bits of one tensor, eight hexadecimal digits a word. */
function words(arena: Arena, plan: Plan, tensor: number): string {
  const { buffer, byteOffset, length } = arena.view(plan.tensors[tensor])
  return Array.from(new Uint32Array(buffer, byteOffset, length), (word) => ` ${word.toString(16).padStart(8, '0')}`).join('')
}

function attributeLines(attributes: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(attributes).map(([name, value]) => {
    if (typeof value === 'string') return `attribute ${name} text ${value}`
    if (!Array.isArray(value)) return `attribute ${name} number ${Number(value)}`
    if (typeof value[0] === 'string') return [`attribute ${name} texts ${value.length}`, ...value].join('\n')
    return ['attribute', name, 'numbers', ...value].join(' ')
  })
}

/** One case: the plan, what its memory holds before, and the bits of the results after, computed with the portable kernels on one thread. */
function caseText(portable: Executor, name: string, plan: Plan, arena: Arena): string {
  const session = portable.load(plan, arena)
  const blocks = Object.keys(plan.blocks)
  const lasting = new Set([...Object.values(plan.inputs), ...plan.constants.map(({ tensor }) => tensor)])
  const sources = plan.tensors.map((_, i) => i).filter((i) => plan.tensors[i].block !== 'workspace' || lasting.has(i))
  const data = sources.map((tensor) => `data ${tensor}${words(arena, plan, tensor)}`)
  session.execute(0, plan.instructions.length)
  const results = [...new Set(plan.instructions.flatMap(({ outputs }) => outputs))]
  return [
    `case ${name.replaceAll(' ', '_')}`,
    ...blocks.map((name, i) => `block ${i} ${plan.blocks[name]}`),
    ...plan.tensors.map(({ block, offset, dtype, shape }, i) => ['tensor', i, blocks.indexOf(block), offset, dtype, ...shape].join(' ')),
    ...plan.instructions.flatMap(({ op, inputs, outputs, attributes }) => [
      ['instruction', op, 'in', ...inputs, 'out', ...outputs].join(' '),
      ...attributeLines(attributes),
    ]),
    ...data,
    ...results.map((tensor) => `expect ${tensor}${words(arena, plan, tensor)}`),
    'end',
    '',
  ].join('\n')
}

/** A whole plan, in which instructions also run at the same time. */
function planText(portable: Executor, name: string, plan: Plan): string {
  const arena = Arena.allocate(plan.blocks)
  fillRandomly(arena, plan)
  return caseText(portable, name, plan, arena)
}

/** @returns How many cases were written. */
export async function writeCases(path: string): Promise<number> {
  const { addon, failure } = loadAddon()
  if (addon === undefined) throw new Error(`The expected bits come from the native addon: ${failure}`)
  const portable = nativeExecutor(addon, { isa: 'portable', threads: 1 })
  const stream = createWriteStream(path)
  for (const subject of cases) {
    const made = planOf(subject)
    stream.write(caseText(portable, subject.name, made.plan, filled(made)))
  }
  const plans = { xor, residual, twoInputs, wide, large, combined }
  for (const [name, make] of Object.entries(plans)) stream.write(planText(portable, `plan ${name}`, make()))
  stream.end()
  await finished(stream)
  return cases.length + Object.keys(plans).length
}
