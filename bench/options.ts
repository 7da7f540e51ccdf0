/** The command line of the benchmark. */
import { existsSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { unknownName } from '../src/checks.ts'
import { OptionError } from '../src/errors.ts'
import { checkWritable, positive, readArguments, threadCount, wholeNumber } from './arguments.ts'
import { type Case, caseLines, caseNamed, cases } from './cases.ts'
import { type Rival, rivalNamed, rivalNames, rivals } from './rivals.ts'

/** Those in which more threads are worth having. */
const BUSY_CASES = ['d', 'e', 'f']

const HELP = `Training speed, memory, start and size of thalweg and of everything it is compared with that is on this machine.

  npm run bench                        all cases, on one thread and on all; a quarter of an hour
  npm run bench -- --quick             fewer rounds, rivals and settings; under two minutes
  npm run bench -- --case d --threads 2
  npm run bench -- --busy              native and PyTorch while another process is busy; three minutes

  --case NAME        ${Object.keys(cases).join(', ')}; may be repeated
  --threads N        may be repeated; default: 1 and all; only native and PyTorch take part on more than 1
  --rounds N         default 7, quick 3
  --seconds S        length of a window; default 0.4, quick 0.15
  --patience S       leaves out whoever needs longer to be warm, or for a window; default 60, quick 10
  --rivals LIST      pytorch, ${rivalNames.join(', ')}; or none; default: all that are installed
  --speed-only       no cold starts and sizes
  --busy             instead: the part of their quiet speed that native and PyTorch keep while one other process is busy on the same
                     processors; default: cases ${BUSY_CASES.join(', ')}, all threads, windows of 1 s
  --json FILE        everything measured
  --html FILE        a page with charts
  --markdown FILE    the tables; in a file that has <!-- results --> and <!-- /results -->, what is between them is replaced;
                     with --busy they are <!-- busy --> and <!-- /busy -->

Cases:
${caseLines()
  .map((line) => `  ${line}`)
  .join('\n')}`

/** Rivals of a quick run: the fastest of those with array operations, and the two best known. */
const QUICK_RIVALS = ['tfjs-wasm', 'jax-js', 'brain.js']

export interface Options {
  readonly cases: readonly Case[]
  readonly threads: readonly number[]
  readonly rounds: number
  readonly seconds: number
  readonly patience: number
  readonly quick: boolean
  readonly rivals: readonly Rival[]
  readonly pytorch: boolean
  readonly speedOnly: boolean
  readonly busy: boolean
  readonly json?: string
  readonly html?: string
  readonly markdown?: string
}

const WITHOUT = 'none'

/** Which rivals were asked for, and whether PyTorch was. */
function chooseRivals(list: string | undefined, quick: boolean): Pick<Options, 'rivals' | 'pytorch'> {
  if (list === undefined) return { rivals: quick ? QUICK_RIVALS.map(rivalNamed) : rivals, pytorch: true }
  if (list === WITHOUT) return { rivals: [], pytorch: false }
  const names = list.split(',')
  if (names.includes(WITHOUT)) throw new OptionError(`--rivals: ${WITHOUT} stands alone, got "${list}".`)
  const known = ['pytorch', ...rivalNames]
  for (const name of names) if (!known.includes(name)) throw unknownName('rival', name, [...known, WITHOUT], '--rivals')
  return { rivals: names.filter((name) => name !== 'pytorch').map(rivalNamed), pytorch: names.includes('pytorch') }
}

/** Whether a run measures all cases and numbers of threads of the results that it would replace in a Markdown file. */
export function checkReplaces(file: string, text: string, cases: readonly string[], threads: readonly number[], busy: boolean): void {
  const name = busy ? 'busy' : 'results'
  const [, section = ''] = new RegExp(`<!-- ${name} -->\\n([\\s\\S]*?)<!-- /${name} -->`).exec(text) ?? []
  const all = (pattern: RegExp) => [...new Set([...section.matchAll(pattern)].map(([, found]) => found))]
  const present = {
    case: all(busy ? /^\| \**native\** \| \**(\w+)\** \|/gm : /^\*\*(\w+): .*, batch \d+\*\*$/gm),
    threads: all(busy ? /^\| \**native\** \| \**\w+\** \| \**(\d+)\** \|/gm : /^\| \**native\** \| \**(\d+)\** \|/gm),
  }
  const given = { case: cases, threads: threads.map(String) }
  for (const option of ['case', 'threads'] as const)
    if (present[option].some((value) => !given[option].includes(value)))
      throw new OptionError(
        `--markdown: "${file}" has results of --${option} ${present[option].join(', ')}, got a run of ${given[option].join(', ')}, which would throw some away; give another file, or run all of them.`,
      )
}

function parse(): Options | null {
  const { values } = parseArgs({
    options: {
      case: { type: 'string', multiple: true },
      threads: { type: 'string', multiple: true },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      patience: { type: 'string' },
      rivals: { type: 'string' },
      quick: { type: 'boolean', default: false },
      'speed-only': { type: 'boolean', default: false },
      busy: { type: 'boolean', default: false },
      json: { type: 'string' },
      html: { type: 'string' },
      markdown: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return null
  const { quick, busy, json, html, markdown } = values
  for (const option of ['json', 'html', 'markdown'] as const) checkWritable(option, values[option])
  const threads = values.threads?.map(threadCount) ?? [...(busy ? [] : [1]), availableParallelism()]
  const names = values.case ?? (busy ? BUSY_CASES : Object.keys(cases))
  if (markdown !== undefined && existsSync(markdown)) checkReplaces(markdown, readFileSync(markdown, 'utf8'), names, threads, busy)
  return {
    cases: names.map(caseNamed),
    threads: [...new Set(threads)],
    rounds: wholeNumber('rounds', values.rounds ?? (quick ? '3' : '7')),
    seconds: positive('seconds', values.seconds ?? (busy ? '1' : quick ? '0.15' : '0.4')),
    patience: positive('patience', values.patience ?? (quick ? '10' : '60')),
    quick,
    ...chooseRivals(values.rivals, quick),
    speedOnly: values['speed-only'],
    busy,
    json,
    html,
    markdown,
  }
}

/** What was asked for. Prints the help, or what is wrong with the arguments, and ends the process. */
export const readOptions = (): Options => readArguments('npm run bench --', HELP, parse)
