/** Writes the op battery as a file that native/tests/replay.cc can run without Node; its format is described there. */
import { createWriteStream } from 'node:fs'
import { finished } from 'node:stream/promises'
import type { Arena } from '../../src/executors/arena.ts'
import { loadAddon } from '../../src/executors/native/addon.ts'
import { nativeExecutor } from '../../src/executors/native/index.ts'
import type { Plan } from '../../src/plan/plan.ts'
import { type Case, cases, filled, planOf } from '../battery/samples.ts'

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
function caseText(subject: Case): string {
  const { addon, failure } = loadAddon()
  if (addon === undefined) throw new Error(`The expected bits come from the native addon: ${failure}`)
  const made = planOf(subject)
  const { plan } = made
  const arena = filled(made)
  const session = nativeExecutor(addon, { isa: 'portable', threads: 1 }).load(plan, arena)
  const blocks = Object.keys(plan.blocks)
  const sources = plan.tensors
    .map((_, i) => i)
    .filter((i) => plan.tensors[i].block !== 'workspace' || plan.constants.some(({ tensor }) => tensor === i))
  const data = sources.map((tensor) => `data ${tensor}${words(arena, plan, tensor)}`)
  session.execute(0, plan.instructions.length)
  const results = [...new Set(plan.instructions.flatMap(({ outputs }) => outputs))]
  return [
    `case ${subject.name.replaceAll(' ', '_')}`,
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

/** @returns How many cases were written. */
export async function writeCases(path: string): Promise<number> {
  const stream = createWriteStream(path)
  for (const subject of cases) stream.write(caseText(subject))
  stream.end()
  await finished(stream)
  return cases.length
}
