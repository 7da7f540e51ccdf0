/** The options that the benchmarks of this folder share. */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { nearestName } from '../../src/checks.ts'
import { OptionError } from '../../src/errors.ts'
import { checkInstructionSet, checkWritable, readArguments, threadCount, wholeNumber } from '../arguments.ts'
import { lastProcessors, pinThread } from '../processors.ts'
import { requireAddon } from './instruction.ts'

export interface Options {
  readonly threads: number
  /** One of the addon's instruction sets; default: the best, or the one that the environment variable THALWEG_ISA names. */
  readonly isa?: string
  readonly rounds: number
  /** How long one contestant is measured at a time. */
  readonly windowSeconds: number
  /** Products: only the shape written like this, `B,K,N`. Passes and steps: only the one, or the case, of this name. */
  readonly only?: string
}

export interface Command {
  /** As it is typed. */
  readonly name: string
  readonly what: string
  /** The option that chooses one of the parts; default "only". */
  readonly choose?: string
  /** What it may name. */
  readonly parts: readonly string[]
}

const help = ({ name, what, choose = 'only', parts }: Command) => `${what}

  ${name} [options]

  --threads N    default 1
  --isa NAME     avx512, avx2, neon or portable; default: the best that works here
  --quick        three short rounds
  --rounds N     default 7, quick 3
  --${`${choose} NAME`.padEnd(11)}  one of those below
  --json FILE    what the tables show, and the spread of everything

For --${choose}:
${parts.map((part) => `  ${part}`).join('\n')}`

function parse({ choose = 'only', parts }: Command): (Options & { readonly json?: string }) | null {
  const { values } = parseArgs({
    options: {
      [choose]: { type: 'string' as const },
      threads: { type: 'string', default: '1' },
      isa: { type: 'string' },
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return null
  const { quick, isa, json } = values
  const only = values[choose] as string | undefined
  const rounds = values.rounds === undefined ? (quick ? 3 : 7) : wholeNumber('rounds', values.rounds)
  if (only !== undefined && !parts.includes(only)) {
    const nearest = nearestName(only, parts)
    // Some of the names have commas.
    const advice = nearest === null ? `there are ${parts.join('  ')}` : `did you mean "${nearest}"?`
    throw new OptionError(`--${choose}: there is no "${only}"; ${advice}`)
  }
  checkInstructionSet(isa, requireAddon().isas)
  checkWritable('json', json)
  return { threads: threadCount(values.threads), isa, rounds, windowSeconds: quick ? 0.008 : 0.02, only, json }
}

/** Runs a benchmark as the command line says, and writes what it returns where `--json` says. */
export async function runCommand(command: Command, bench: (options: Options) => Promise<object>): Promise<void> {
  const { json, ...options } = readArguments(command.name, help(command), () => parse(command))
  if (options.threads === 1) pinThread(lastProcessors(1))
  const result = await bench(options)
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(result, null, 1)}\n`)
}
