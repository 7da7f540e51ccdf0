/**
 * Worker threads that predict with one set of weights: rows a second, and what each worker adds to the memory of the process.
 *
 *     npx tsx bench/serving/workers.ts [--workers 8] [--seconds 3]
 */
import { once } from 'node:events'
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import { dense, input, openShared, type SharedModel, sequential } from '../../src/index.ts'
import { positive, readArguments, wholeNumber } from '../arguments.ts'

const COMMAND = 'npx tsx bench/serving/workers.ts'
const HELP = `Rows a second of worker threads that predict with one set of weights, and the memory of the process.

  ${COMMAND} [options]

  --workers N        default 8
  --seconds S        of prediction; default 3`

const WIDTH = 5000

interface Task {
  readonly shared: SharedModel
  readonly seconds: number
}

interface Answer {
  readonly rows: number
  readonly first: Float32Array
}

/** What a worker does: it says that it is there, and predicts row by row when it is given a task. */
export function serve(): void {
  parentPort?.once('message', ({ shared, seconds }: Task) => {
    const net = openShared(shared)
    const x = sample()
    const first = Float32Array.from(net.predictSync(x).data)
    const began = performance.now()
    let rows = 0
    while (performance.now() - began < seconds * 1000) {
      net.predictSync(x)
      rows += 1
    }
    parentPort?.postMessage({ rows, first } satisfies Answer)
  })
  parentPort?.postMessage('ready')
}

function sample(): Float32Array {
  return Float32Array.from({ length: WIDTH }, (_, i) => Math.sin(i))
}

function parse() {
  const { values } = parseArgs({
    options: {
      workers: { type: 'string', default: '8' },
      seconds: { type: 'string', default: '3' },
      help: { type: 'boolean', default: false },
    },
  })
  return values.help ? null : { count: wholeNumber('workers', values.workers), seconds: positive('seconds', values.seconds) }
}

async function measure({ count, seconds }: { readonly count: number; readonly seconds: number }): Promise<void> {
  const resident = () => Math.round(process.memoryUsage.rss() / 1e6)
  const net = sequential([input(WIDTH), dense(WIDTH), dense(2)])
  const expected = net.predictSync(sample()).data
  console.log(`${WIDTH}-${WIDTH}-2: ${Math.round((net.parameterCount * 4) / 1e6)} MB of weights; resident ${resident()} MB`)
  const workers = Array.from({ length: count }, () => new Worker(new URL('./worker.mjs', import.meta.url)))
  await Promise.all(workers.map((worker) => once(worker, 'message')))
  const before = resident()
  console.log(`${count} workers, the library loaded in each: resident ${before} MB`)
  const answers = workers.map(async (worker): Promise<Answer> => (await once(worker, 'message'))[0])
  const shared = net.share()
  for (const worker of workers) worker.postMessage({ shared, seconds } satisfies Task)
  await wait((seconds * 1000) / 2)
  const during = resident()
  const results = await Promise.all(answers)
  const rows = results.reduce((sum, result) => sum + result.rows, 0)
  const same = results.every(({ first }) => first.every((value, i) => value === expected[i]))
  console.log(
    `all predicting: resident ${during} MB, ${during - before} MB more; ${Math.round(rows / seconds)} rows/s, predictions ${same ? 'the same bits' : 'DIFFER'}`,
  )
  await Promise.all(workers.map((worker) => worker.terminate()))
}

if (isMainThread) await measure(readArguments(COMMAND, HELP, parse))
