/** `npm run bench`: see USAGE. How it measures is in docs/performance.md. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, release, type as systemType, totalmem } from 'node:os'
import { parseArgs } from 'node:util'
import { executionInfo } from '../src/index.ts'
import { caseNamed, cases, flopsPerStep, parameterCount } from './cases.ts'
import { coldStarts, compileLibrary } from './cold.ts'
import { measurePeak } from './kernels/peak.ts'
import { Measurement } from './measure.ts'
import { toPage } from './report.ts'
import type { Results } from './results.ts'
import { type Rival, rivalNamed, rivals, versionOf } from './rivals.ts'
import { sizes } from './size.ts'
import { machineLine, remarks, tables, toMarkdown, toTerminal } from './tables.ts'
import { findTorch } from './torch.ts'

const USAGE = `Training speed, memory, start and size of thalweg and of everything it is compared with that is on this machine.

  npm run bench                        all cases, on one thread and on all; a quarter of an hour
  npm run bench -- --quick             fewer rounds, rivals and settings; under two minutes
  npm run bench -- --case d --threads 2

  --case NAME        ${Object.keys(cases).join(', ')}; may be repeated
  --threads N        may be repeated; default: 1 and all
  --rounds N         default 7, quick 3
  --seconds S        length of a window; default 0.4, quick 0.15
  --patience S       leaves out whoever needs longer to be warm, or for a window; default 60, quick 10
  --rivals LIST      pytorch, ${rivals.map(({ name }) => name).join(', ')}; or none; default: all that are installed
  --speed-only       no cold starts and sizes
  --json FILE        everything measured
  --html FILE        a page with charts
  --markdown FILE    the tables; in a file that has <!-- results --> and <!-- /results -->, what is between them is replaced
`

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
    json: { type: 'string' },
    html: { type: 'string' },
    markdown: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  console.log(USAGE)
  process.exit(0)
}

function positive(option: string, value: string | undefined, fallback: number): number {
  const number = value === undefined ? fallback : Number(value)
  if (!(number > 0)) throw new Error(`--${option}: expected a number above 0, got "${value}".`)
  return number
}

const { quick } = values
const definitions = (values.case ?? Object.keys(cases)).map(caseNamed)
const threadCounts = [...new Set(values.threads?.map((text) => positive('threads', text, 1)) ?? [1, availableParallelism()])]
const rounds = positive('rounds', values.rounds, quick ? 3 : 7)
const seconds = positive('seconds', values.seconds, quick ? 0.15 : 0.4)
const patience = positive('patience', values.patience, quick ? 10 : 60)

/** Rivals of a quick run: the fastest of those with array operations, and the two best known. */
const QUICK_RIVALS = ['tfjs-wasm', 'jax-js', 'brain.js']

/** Which rivals were asked for, and whether PyTorch was. */
function chooseRivals(): { chosen: readonly Rival[]; pytorch: boolean } {
  if (values.rivals === undefined) return { chosen: quick ? QUICK_RIVALS.map(rivalNamed) : rivals, pytorch: true }
  const names = values.rivals === 'none' ? [] : values.rivals.split(',')
  return { chosen: names.filter((name) => name !== 'pytorch').map(rivalNamed), pytorch: names.includes('pytorch') }
}

const { chosen, pytorch } = chooseRivals()
const installed = chosen.filter((rival) => versionOf(rival) !== null)
const torch = pytorch ? findTorch() : null
const info = executionInfo()
const results: Results = {
  machine: {
    processor: cpus()[0].model.trim(),
    cores: cpus().length,
    memoryBytes: totalmem(),
    system: `${systemType()} ${release()}`,
    node: process.versions.node,
    instructionSet: process.env.THALWEG_ISA ?? info.instructionSets[0] ?? null,
    pytorch: torch?.version ?? null,
  },
  date: new Date().toISOString(),
  quick,
  rounds,
  seconds,
  cases: definitions.map((definition) => ({
    name: definition.name,
    what: definition.what,
    batchSize: definition.batchSize,
    parameters: parameterCount(definition),
    flopsPerStep: flopsPerStep(definition),
  })),
  peak: Object.fromEntries(await peaks()),
  speed: [],
  // Small enough that starting is most of it, large enough that every rival takes part.
  coldCase: 'c',
  cold: [],
  sizes: [],
  omissions: missing(),
}

async function peaks(): Promise<[number, number | null][]> {
  const measured: [number, number | null][] = []
  for (const threads of threadCounts) measured.push([threads, await measurePeak(threads)])
  return measured
}

/** One line for each thing that is not installed, with what would install it. */
function missing(): Results['omissions'] {
  const absent = (contestant: string, reason: string) => ({ contestant, case: null, threads: null, reason })
  const packages = chosen.filter((rival) => versionOf(rival) === null).map(({ name }) => name)
  return [
    ...(info.native ? [] : [absent('native', info.failure ?? 'the addon does not load')]),
    ...(pytorch && torch === null
      ? [absent('pytorch', 'no python3 with torch; Debian: apt install python3-torch libopenblas0-openmp')]
      : []),
    ...(packages.length === 0 ? [] : [absent(packages.join(', '), 'npm install --prefix bench --ignore-scripts')]),
  ]
}

function report(line: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${line}`)
  else console.error(line)
}

const measurement = new Measurement(results, { rounds, seconds, patience, quick, native: info.native, torch, rivals: installed, report })
for (const definition of definitions) {
  for (const threads of threadCounts) await measurement.run(definition, threads)
}
if (!values['speed-only']) {
  compileLibrary()
  for (const cold of coldStarts(caseNamed(results.coldCase), installed, torch, quick ? 1 : 5)) {
    report(`cold start: ${cold.contestant}`)
    results.cold.push(cold)
  }
  results.sizes.push(...sizes(installed, torch))
}
if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')

for (const table of tables(results)) console.log(`${toTerminal(table)}\n`)
for (const remark of remarks(results)) console.log(remark)
console.log(`${machineLine(results)}.`)

if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(results, null, 2)}\n`)
if (values.markdown !== undefined) writeFileSync(values.markdown, betweenMarks(values.markdown, toMarkdown(results)))
if (values.html !== undefined) writeFileSync(values.html, await toPage(results))

function betweenMarks(file: string, text: string): string {
  const marks = /(<!-- results -->\n)[\s\S]*?(<!-- \/results -->)/
  const before = existsSync(file) ? readFileSync(file, 'utf8') : ''
  return marks.test(before) ? before.replace(marks, (_, open, close) => `${open}\n${text}\n\n${close}`) : `${text}\n`
}
