/** `npm run bench`; `npm run bench -- --help` lists its options. How it measures is in docs/performance.md. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, release, type as systemType, totalmem } from 'node:os'
import { executionInfo } from '../src/index.ts'
import { caseNamed, flopsPerStep, parameterCount } from './cases.ts'
import { loadDrawing } from './charts.ts'
import { coldStarts, compileLibrary } from './cold.ts'
import { compileServe } from './compile.ts'
import { measurePeak } from './kernels/limits.ts'
import { Measurement } from './measure.ts'
import { readOptions } from './options.ts'
import { findTorch } from './pytorch.ts'
import { toPage } from './report.ts'
import type { Results } from './results.ts'
import { versionOf } from './rivals.ts'
import { sizes } from './size.ts'
import { machineLine, remarks, tables, toMarkdown, toTerminal } from './tables.ts'

const options = readOptions()
const { quick, rounds, seconds } = options
const installed = options.rivals.filter((rival) => versionOf(rival) !== null)
const torch = options.pytorch ? findTorch() : null
const info = executionInfo()

/** One line for each thing that is not installed, with what would install it. */
function missing(): Results['omissions'] {
  const absent = (contestant: string, reason: string) => ({ contestant, case: null, threads: null, reason })
  const packages = options.rivals.filter((rival) => !installed.includes(rival)).map(({ name }) => name)
  const noTorch = 'no python3 has torch; on Debian, apt install python3-torch libopenblas0-openmp'
  return [
    ...(info.native ? [] : [absent('native', info.failure ?? 'the addon does not load')]),
    ...(options.pytorch && torch === null ? [absent('pytorch', noTorch)] : []),
    ...(packages.length === 0 ? [] : [absent(packages.join(', '), 'not installed; npm install --prefix bench --ignore-scripts')]),
  ]
}

async function measurePeaks(): Promise<Results['peak']> {
  const peaks: Record<number, number | null> = {}
  for (const threads of options.threads) peaks[threads] = await measurePeak(threads)
  return peaks
}

async function emptyResults(): Promise<Results> {
  return {
    machine: {
      processor: cpus()[0].model.trim(),
      cores: cpus().length,
      memoryBytes: totalmem(),
      system: `${systemType()} ${release()}`,
      node: process.versions.node,
      instructionSet: info.native ? (process.env.THALWEG_ISA ?? info.instructionSets[0]) : null,
      pytorch: torch?.version ?? null,
    },
    date: new Date().toISOString(),
    quick,
    rounds,
    seconds,
    cases: options.cases.map((definition) => ({
      name: definition.name,
      what: definition.what,
      batchSize: definition.batchSize,
      parameters: parameterCount(definition),
      flopsPerStep: flopsPerStep(definition),
    })),
    peak: await measurePeaks(),
    speed: [],
    busy: [],
    // Small enough that starting is most of it, large enough that every rival takes part.
    coldCase: 'c',
    cold: [],
    sizes: [],
    omissions: missing(),
  }
}

function report(line: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${line}`)
  else console.error(line)
}

async function measure(results: Results): Promise<void> {
  const { patience } = options
  const serve = await compileServe()
  const measurement = new Measurement(results, {
    serve,
    rounds,
    seconds,
    patience,
    quick,
    native: info.native,
    torch,
    rivals: installed,
    report,
  })
  for (const definition of options.cases)
    for (const threads of options.threads)
      await (options.busy ? measurement.runBusy(definition, threads) : measurement.run(definition, threads))
  if (options.speedOnly || options.busy) return
  compileLibrary()
  for (const cold of coldStarts(caseNamed(results.coldCase), installed, torch, quick ? 1 : 5)) {
    report(`cold start: ${cold.contestant}`)
    results.cold.push(cold)
  }
  results.sizes.push(...sizes(installed, torch))
}

/** The text in place of what stands between the marks of a file, or as the whole file where it has none. */
function betweenMarks(file: string, text: string): string {
  const marks = options.busy ? /(<!-- busy -->\n)[\s\S]*?(<!-- \/busy -->)/ : /(<!-- results -->\n)[\s\S]*?(<!-- \/results -->)/
  const before = existsSync(file) ? readFileSync(file, 'utf8') : ''
  return marks.test(before) ? before.replace(marks, (_, open, close) => `${open}\n${text}\n\n${close}`) : `${text}\n`
}

function print(results: Results): void {
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')
  for (const table of tables(results)) console.log(`${toTerminal(table)}\n`)
  for (const remark of remarks(results)) console.log(remark)
  console.log(`${machineLine(results)}.`)
}

// Before a quarter of an hour has gone into it.
const draw = options.html === undefined ? null : await loadDrawing()
const results = await emptyResults()
await measure(results)
print(results)
if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(results, null, 2)}\n`)
if (options.markdown !== undefined) writeFileSync(options.markdown, betweenMarks(options.markdown, toMarkdown(results)))
if (options.html !== undefined && draw !== null) writeFileSync(options.html, await toPage(results, draw))
