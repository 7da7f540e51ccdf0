/**
 * One contestant in a process of its own, so that others can take turns with it, also programs that are not ours:
 *
 *     npx tsx bench/serve.ts CASE [--threads N] [--executor native|reference|plain] [--rival NAME] [--isa avx2] [--seconds 0.4]
 *
 * Prints one line of JSON when it is warm. Then, for each word "go" that it reads, one a line, it trains for a window and prints another with
 * steps_per_s, steps_per_cpu_s, disturbed (the part of the window lost to others) and peak_bytes. "quit" or the end of input ends it.
 * README.md has all fields, and a script that drives two of these.
 */
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { unknownName } from '../src/checks.ts'
import { OptionError } from '../src/errors.ts'
import { executionInfo } from '../src/index.ts'
import { checkInstructionSet, positive, readArguments, refuse, threadCount } from './arguments.ts'
import { caseLines, caseNamed, flopsPerStep, parameterCount } from './cases.ts'
import { createContestant } from './contestants.ts'
import { rivalNamed, rivalNames, versionOf } from './rivals.ts'
import { runWindow } from './window.ts'

const COMMAND = 'npx tsx bench/serve.ts'
const EXECUTORS = ['native', 'reference', 'plain']
const HELP = `One contestant in a process of its own: prints a line of JSON when it is warm, and another for each word "go" that it reads.
"quit" or the end of input ends it. bench/README.md says what the lines hold.

  ${COMMAND} CASE [options]

  --threads N        default 1; only native runs on more
  --executor NAME    ${EXECUTORS.join(', ')}; default native
  --rival NAME       instead: ${rivalNames.join(', ')}
  --isa NAME         of native: ${executionInfo().instructionSets.join(', ')}; default: the first
  --seconds S        length of a window; default 0.4

Cases:
${caseLines()
  .map((line) => `  ${line}`)
  .join('\n')}`

function parse() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      threads: { type: 'string', default: '1' },
      executor: { type: 'string', default: 'native' },
      rival: { type: 'string' },
      isa: { type: 'string' },
      seconds: { type: 'string', default: '0.4' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return null
  const { executor, rival, isa } = values
  if (positionals.length !== 1)
    throw new OptionError(`Expected one case, got ${positionals.length}; for instance: ${COMMAND} c --threads 1`)
  const definition = caseNamed(positionals[0])
  if (!EXECUTORS.includes(executor)) throw unknownName('executor', executor, EXECUTORS, '--executor')
  if (rival !== undefined && versionOf(rivalNamed(rival)) === null)
    throw new OptionError(`--rival: ${rival} is not installed; npm install --prefix bench --ignore-scripts installs it.`)
  const name = rival ?? executor
  const { native, failure, instructionSets } = executionInfo()
  if (name === 'native') {
    if (!native) throw new OptionError(`--executor: native does not run here: ${failure}`)
    checkInstructionSet(isa, instructionSets)
  }
  const threads = threadCount(values.threads)
  if (threads > 1 && name !== 'native') console.error(`Warning: --threads ${threads}, but ${name} runs on one thread only.`)
  return { definition, name, isa, threads: name === 'native' ? threads : 1, seconds: positive('seconds', values.seconds) }
}

const { definition, name, isa, threads, seconds } = readArguments(COMMAND, HELP, parse)
// The addon reads it when it loads a plan.
if (isa !== undefined) process.env.THALWEG_ISA = isa
const print = (message: object) => process.stdout.write(`${JSON.stringify(message)}\n`)

const contestant = await createContestant(name, definition, { threads, seconds })
// The first window is part of warming up: V8 compiles what has become hot.
await runWindow(contestant, seconds, threads)
print({
  ready: true,
  impl: contestant.implementation,
  note: contestant.note,
  case: definition.name,
  desc: definition.what,
  threads,
  batch: definition.batchSize,
  params: parameterCount(definition),
  flops_true: flopsPerStep(definition),
})
for await (const line of createInterface({ input: process.stdin })) {
  const word = line.trim()
  if (word === 'quit') break
  if (word === 'go') print(await runWindow(contestant, seconds, threads))
  else if (word !== '') refuse(COMMAND, unknownName('word', word, ['go', 'quit'], 'standard input'))
}
// Some backends keep threads or timers alive.
process.exit(0)
