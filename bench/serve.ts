/**
 * One contestant in a process of its own, so that others can take turns with it, also programs that are not ours:
 *
 *     npx tsx bench/serve.ts CASE [--threads N] [--executor native|reference|plain] [--rival NAME] [--isa avx2] [--seconds 0.4]
 *
 * Prints one line of JSON when it is warm. Then, for each line "go" that it reads, it trains for a window and prints another with
 * steps_per_s, steps_per_cpu_s, disturbed (the part of the window lost to others) and peak_bytes. "quit" or the end of input ends it.
 */
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { positive, wholeNumber } from './arguments.ts'
import { caseNamed, flopsPerStep, parameterCount } from './cases.ts'
import { createContestant } from './contestants.ts'
import { runWindow } from './window.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    threads: { type: 'string', default: '1' },
    executor: { type: 'string', default: 'native' },
    rival: { type: 'string' },
    isa: { type: 'string' },
    seconds: { type: 'string', default: '0.4' },
  },
})
if (positionals.length !== 1) throw new Error('serve: expected one case, for instance: npx tsx bench/serve.ts c --threads 1')
if (!['native', 'reference', 'plain'].includes(values.executor))
  throw new Error(`serve: executor must be native, reference or plain, got "${values.executor}".`)
// The addon reads it when it is loaded.
if (values.isa !== undefined) process.env.THALWEG_ISA = values.isa

const definition = caseNamed(positionals[0])
const threads = wholeNumber('threads', values.threads)
const seconds = positive('seconds', values.seconds)
const print = (message: object) => process.stdout.write(`${JSON.stringify(message)}\n`)

const contestant = await createContestant(values.rival ?? values.executor, definition, { threads, seconds })
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
  if (line.trim() === 'quit') break
  if (line.trim() === 'go') print(await runWindow(contestant, seconds, threads))
}
// Some backends keep threads or timers alive.
process.exit(0)
