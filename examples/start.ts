/**
 * `npm start`: trains on the two data sets that come with the repository, on the native executor and on the reference one, and prints
 * what the networks learned and how long each took. `npm start -- --json` puts the same on the last line as JSON.
 */
import { parseArgs } from 'node:util'
import cliProgress from 'cli-progress'
import Table from 'cli-table3'
import { type EpochValues, type ExecutionOptions, executionInfo, type Progress } from '../src/index.ts'
import { trainAmes } from './ames.ts'
import { trainDigits } from './digits.ts'

const { values: options } = parseArgs({ options: { json: { type: 'boolean', default: false } } })

type Listeners = { onProgress(progress: Progress): void; onEpochEnd(epoch: number, values: EpochValues): void }

/** One line that fills up on a terminal; a line every tenth epoch elsewhere. */
function progressLine(title: string): Listeners & { end(): void } {
  if (!process.stderr.isTTY) {
    return {
      onProgress() {},
      onEpochEnd(epoch, { loss }) {
        if ((epoch + 1) % 10 === 0) console.error(`${title}: epoch ${epoch + 1}, loss ${loss.toFixed(4)}`)
      },
      end() {},
    }
  }
  const format = `${title.padEnd(26)} {bar} epoch {epoch}/{epochs}  loss {loss}`
  const bar = new cliProgress.SingleBar({ format, clearOnComplete: true }, cliProgress.Presets.shades_classic)
  let started = false
  return {
    onProgress({ epoch, epochs, step, steps, loss }) {
      const payload = { epoch: epoch + 1, epochs, loss: loss.toFixed(4) }
      if (!started) bar.start(epochs * steps, 0, payload)
      started = true
      bar.update(epoch * steps + step, payload)
    },
    onEpochEnd() {},
    end: () => bar.stop(),
  }
}

async function timed<R>(
  title: string,
  train: (options: ExecutionOptions & Listeners) => Promise<R>,
  executor: 'native' | 'reference',
): Promise<R> {
  const { end, ...listeners } = progressLine(`${title} (${executor})`)
  try {
    return await train({ executor, ...listeners })
  } finally {
    end()
  }
}

const info = executionInfo()
const started = performance.now()
const native = info.native
  ? { digits: await timed('digits', trainDigits, 'native'), ames: await timed('house prices', trainAmes, 'native') }
  : null
const reference = { digits: await timed('digits', trainDigits, 'reference'), ames: await timed('house prices', trainAmes, 'reference') }
const { digits, ames } = native ?? reference

const percent = (share: number) => `${(100 * share).toFixed(2)} %`
const seconds = (result: { seconds: number } | undefined) => (result === undefined ? '–' : `${result.seconds.toFixed(1)} s`)
const ratio = (fast: { seconds: number } | undefined, slow: { seconds: number }) =>
  fast === undefined ? '–' : `${(slow.seconds / fast.seconds).toFixed(0)} ×`

const table = new Table({
  head: ['data', 'trained on', 'held out', 'parameters', 'result on held-out rows', 'native', 'reference', 'faster by'],
  style: { head: [], border: [] },
})
table.push(
  [
    'digits',
    digits.trainingRows,
    digits.testRows,
    digits.parameters,
    `accuracy ${percent(digits.accuracy)}`,
    seconds(native?.digits),
    seconds(reference.digits),
    ratio(native?.digits, reference.digits),
  ],
  [
    'house prices',
    ames.trainingRows,
    ames.testRows,
    ames.parameters,
    `R² ${ames.r2.toFixed(4)}, off by $${Math.round(ames.meanAbsoluteError).toLocaleString('en-US')}`,
    seconds(native?.ames),
    seconds(reference.ames),
    ratio(native?.ames, reference.ames),
  ],
)
console.log(table.toString())
console.log('Held out is every row whose number is 0 modulo 5. Native and reference ran the same steps on the same data.')
if (info.native)
  console.log(
    `Native: ${info.instructionSets[0]}, ${info.hardwareThreads} threads. Both executors: ${((performance.now() - started) / 1000).toFixed(0)} s in all.`,
  )
else console.log(`The native addon is not available: ${info.failure}`)

if (options.json) {
  const result = ({ seconds: _, ...own }: { seconds: number }, times: object) => ({ ...own, ...times })
  console.log(
    JSON.stringify({
      digits: result(digits, { nativeSeconds: native?.digits.seconds ?? null, referenceSeconds: reference.digits.seconds }),
      ames: result(ames, { nativeSeconds: native?.ames.seconds ?? null, referenceSeconds: reference.ames.seconds }),
      instructionSet: info.instructionSets[0] ?? null,
      threads: info.hardwareThreads,
    }),
  )
}
