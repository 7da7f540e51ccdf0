/** The options that the benchmarks of this folder share. */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { wholeNumber } from '../arguments.ts'
import { lastProcessors, pinThread } from '../processors.ts'

export interface Options {
  readonly threads: number
  /** One of the addon's instruction sets; default: the best, or the one that the environment variable THALWEG_ISA names. */
  readonly isa?: string
  readonly rounds: number
  /** How long one contestant is measured at a time. */
  readonly windowSeconds: number
  /** Products: only the shape written like this, `B,K,N`. Passes: only the one of this name. */
  readonly only?: string
}

/** Runs a benchmark as the command line says, and writes what it returns where `--json` says. */
export async function runCommand(bench: (options: Options) => Promise<object>): Promise<void> {
  const { values } = parseArgs({
    options: {
      threads: { type: 'string', default: '1' },
      isa: { type: 'string' },
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      only: { type: 'string' },
      json: { type: 'string' },
    },
  })
  const { quick, isa, only, json } = values
  const threads = wholeNumber('threads', values.threads)
  const rounds = values.rounds === undefined ? (quick ? 3 : 7) : wholeNumber('rounds', values.rounds)
  if (threads === 1) pinThread(lastProcessors(1))
  const result = await bench({ threads, isa, rounds, windowSeconds: quick ? 0.008 : 0.02, only })
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(result, null, 1)}\n`)
}
