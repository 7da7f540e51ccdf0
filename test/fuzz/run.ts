/**
 * Bad input of every kind: `npx tsx test/fuzz/run.ts [--seed 1] [--only csv,model] [--first 0] [--count N] [--scale 1] [--sanitize]`.
 *
 * Feeds readers of CSV, JSON Lines, IDX, safetensors, models, schemas and checkpoints with over 100,000 generated and damaged inputs. Each must be read, or refused by
 * one error of this package that names its source; without a crash, a hang, a rejection that nobody handles, a file that stays open or memory that grows. A failure is
 * repeated by `--only` and `--first`, with the same seed. `--sanitize` does the part that reaches native code with an addon under AddressSanitizer and
 * UndefinedBehaviorSanitizer (Linux, g++, cmake). Exits with 1 if anything failed.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, cpSync, existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import Table from 'cli-table3'
import { loadAddon } from '../../src/executors/native/addon.ts'
import { type Counts, fuzz } from './fuzz.ts'
import { targets } from './targets.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
    first: { type: 'string', default: '0' },
    count: { type: 'string' },
    scale: { type: 'string', default: '1' },
    sanitize: { type: 'boolean', default: false },
  },
})
/** A process that has not begun the next input after so long is ended: it hangs. */
const HANGING = 30_000

if (values.sanitize) process.exit(runSanitized())

const known = targets.map(({ name }) => name)
const only = values.only?.split(',') ?? known
const unknown = only.find((name) => !known.includes(name))
if (unknown !== undefined) throw new Error(`There is no target "${unknown}"; there are ${known.join(', ')}.`)

/** Number of the target, number of the input: for a thread that sees when they stand still. */
const progress = new Int32Array(new SharedArrayBuffer(8))
const watch = new Worker(
  `const { workerData: { progress, names, hanging } } = require('node:worker_threads')
   let [seen, since] = ['', Date.now()]
   setInterval(() => {
     const now = names[progress[0]] + ' ' + progress[1]
     if (now !== seen) [seen, since] = [now, Date.now()]
     else if (Date.now() - since > hanging) {
       require('node:fs').writeSync(2, 'HANGS: ' + now + '\\n')
       process.kill(process.pid, 'SIGKILL')
     }
   }, 500)`,
  { eval: true, workerData: { progress, names: known, hanging: HANGING } },
)
watch.unref()

const table = new Table({ head: ['target', 'inputs', 'accepted', 'refused', 'failures', 'seconds', 'memory'] })
const all: Counts[] = []
for (const [number, target] of targets.entries()) {
  if (!only.includes(target.name)) continue
  progress[0] = number
  const count = values.count === undefined ? Math.round(target.inputs * Number(values.scale)) : Number(values.count)
  const counts = await fuzz(target, {
    seed: Number(values.seed),
    first: Number(values.first),
    count,
    onInput: (index) => {
      progress[1] = index
    },
  })
  all.push(counts)
  console.log(
    `${target.name}: ${counts.accepted} accepted, ${counts.refused} refused, ${counts.failures.length} failures, ${(counts.milliseconds / 1000).toFixed(1)} s`,
  )
  for (const failure of counts.failures) console.log(`FAILED ${failure}\n`)
  const memory = `${Math.round(process.memoryUsage().rss / 2 ** 20)} MB`
  table.push([
    target.name,
    counts.accepted + counts.refused,
    counts.accepted,
    counts.refused,
    counts.failures.length,
    (counts.milliseconds / 1000).toFixed(1),
    memory,
  ])
}
const sum = (of: (counts: Counts) => number) => all.reduce((total, counts) => total + of(counts), 0)
const failures = sum((counts) => counts.failures.length)
table.push([
  'all',
  sum((each) => each.accepted + each.refused),
  sum((each) => each.accepted),
  sum((each) => each.refused),
  failures,
  (sum((each) => each.milliseconds) / 1000).toFixed(1),
  '',
])
console.log(table.toString())
console.log(
  `seed ${values.seed}, ${loadAddon().addon === undefined ? 'reference executor' : `native executor${process.env.ASAN_OPTIONS === undefined ? '' : ' under sanitizers'}`}`,
)
await watch.terminate()
process.exitCode = failures > 0 ? 1 : 0

/** The same in a copy of the sources whose addon was built with sanitizers. */
function runSanitized(): number {
  const root = fileURLToPath(new URL('../..', import.meta.url))
  const folder = join(root, 'build', 'address-node')
  const headers = process.env.npm_config_nodedir ?? dirname(dirname(process.execPath))
  const build = (...command: string[]) => execFileSync(command[0], command.slice(1), { cwd: root, stdio: 'inherit' })
  build('cmake', '-S', 'native', '-B', folder, '-DTHALWEG_SANITIZE=address', `-DCMAKE_JS_INC=${join(headers, 'include', 'node')}`)
  build('cmake', '--build', folder, '--target', 'thalweg', '--parallel', '2')
  const copy = join(folder, 'copy')
  rmSync(copy, { recursive: true, force: true })
  mkdirSync(join(copy, 'build', 'Release'), { recursive: true })
  for (const name of ['src', 'test', 'package.json', 'tsconfig.json', 'examples'])
    cpSync(join(root, name), join(copy, name), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  copyFileSync(join(folder, 'thalweg.node'), join(copy, 'build', 'Release', 'thalweg.node'))
  const library = (name: string) => execFileSync('g++', [`-print-file-name=${name}`], { encoding: 'utf8' }).trim()
  const preload = ['libasan.so', 'libubsan.so'].map(library)
  const missing = preload.find((path) => !existsSync(path))
  if (missing !== undefined) throw new Error(`${missing} is not installed.`)
  const forwarded = ['--seed', values.seed, '--only', values.only ?? 'safetensors,model', '--first', values.first, '--scale', values.scale]
  const { status, signal } = spawnSync(
    process.execPath,
    ['--import', 'tsx', 'test/fuzz/run.ts', ...forwarded, ...(values.count === undefined ? [] : ['--count', values.count])],
    {
      cwd: copy,
      stdio: 'inherit',
      // What Node itself does not give back is none of ours; memory that cannot be had is an error, not the end.
      env: {
        ...process.env,
        LD_PRELOAD: preload.join(':'),
        ASAN_OPTIONS: 'detect_leaks=0:allocator_may_return_null=1',
        UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
      },
    },
  )
  if (signal !== null) console.log(`ended by ${signal}`)
  return status ?? 1
}
