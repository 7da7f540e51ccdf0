/**
 * A file much larger than memory: `npx tsx bench/larger/run.ts [--gigabytes 4] [--directory DIR] [--units 512] [--keep]`.
 *
 * Writes a CSV file of 20 numbers and a category a row, finds its schema, fits it in one pass and trains a network on the file for an epoch, streamed. Prints rows
 * per second, the peak of resident memory, and which part of the epoch's wall time the thread that trains was inside steps, by the clock that the executor reads around
 * every instruction of a step. Exits with 1 if memory was 500 MB or more, or that part less than 90 %. The file is removed at the end.
 */
import { once } from 'node:events'
import { createWriteStream, rmSync } from 'node:fs'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { finished } from 'node:stream/promises'
import { parseArgs } from 'node:util'
import { csv, dense, inferSchema, tabular } from '../../src/index.ts'
import { Purpose, RandomStream } from '../../src/random.ts'
import { endWithReader } from '../arguments.ts'

const { values } = parseArgs({
  options: {
    gigabytes: { type: 'string', default: '4' },
    directory: { type: 'string', default: tmpdir() },
    units: { type: 'string', default: '512' },
    batch: { type: 'string', default: '512' },
    threads: { type: 'string', default: '1' },
    keep: { type: 'boolean', default: false },
  },
})
const [gigabytes, units, batchSize, threads] = [values.gigabytes, values.units, values.batch, values.threads].map(Number)
const MOST_MEMORY = 500e6
const LEAST_BUSY = 0.9
const NUMBERS = 20
const cities = ['Ames', 'Berlin', 'Cairo', 'Delhi', 'Espoo', 'Fes', 'Graz']

/** Writes rows until there are enough bytes; the target follows from the columns. */
async function write(path: string, bytes: number): Promise<number> {
  const file = createWriteStream(path, { highWaterMark: 1 << 22 })
  file.write(`${Array.from({ length: NUMBERS }, (_, i) => `x${i}`).join()},city,y\n`)
  const random = new RandomStream(1, Purpose.sample, 0)
  let [rows, written] = [0, 0]
  // Made once, and put together anew for each row: making 20 random numbers a row would take longer than training on them.
  const table = Array.from({ length: 1 << 16 }, () => 2 * random.uniform() - 1)
  const texts = table.map((value) => value.toFixed(7))
  while (written < bytes) {
    const lines: string[] = []
    for (let i = 0; i < 4096; i++, rows++) {
      let line = ''
      let [sum, at] = [0, random.below(table.length)]
      const step = 1 + 2 * random.below(table.length / 2)
      for (let column = 0; column < NUMBERS; column++) {
        at = (at + step) % table.length
        line += `${texts[at]},`
        sum += column % 2 === 0 ? table[at] : table[at] * table[at]
      }
      const city = rows % cities.length
      lines.push(`${line}${cities[city]},${(sum + city / 7).toFixed(5)}`)
    }
    const piece = `${lines.join('\n')}\n`
    written += piece.length
    if (!file.write(piece)) await once(file, 'drain')
  }
  file.end()
  await finished(file)
  return rows
}

/** Resident memory of this process, watched. */
class Memory {
  peak = 0
  private readonly timer = setInterval(() => this.look(), 100)

  look(): void {
    this.peak = Math.max(this.peak, process.memoryUsage.rss())
  }

  end(): number {
    this.look()
    clearInterval(this.timer)
    return this.peak
  }
}

const seconds = (since: number) => (performance.now() - since) / 1000
const rate = (rows: number, time: number) => `${Math.round(rows / time).toLocaleString('en')} rows/s`
const megabytes = (bytes: number) => `${Math.round(bytes / 1e6)} MB`

const folder = await mkdtemp(join(values.directory, 'thalweg-larger-'))
const path = join(folder, 'larger.csv')
endWithReader(() => {
  if (!values.keep) rmSync(folder, { recursive: true, force: true })
})
try {
  let begun = performance.now()
  const rows = await write(path, gigabytes * 2 ** 30)
  const { size } = await stat(path)
  console.log(
    `wrote ${(size / 2 ** 30).toFixed(2)} GiB, ${rows.toLocaleString('en')} rows, in ${seconds(begun).toFixed(0)} s; load ${(await readFile('/proc/loadavg', 'utf8').catch(() => '?')).slice(0, 14)}`,
  )
  const memory = new Memory()
  begun = performance.now()
  const schema = await inferSchema(csv(path), { target: 'y' })
  const fitted = await schema.fit(csv(path))
  const fitting = seconds(begun)
  console.log(
    `schema of ${fitted.rows.toLocaleString('en')} rows, ${fitted.inputs.map(({ name, shape }) => `${name} [${shape.join()}]`).join(', ')}: ${fitting.toFixed(1)} s, ${rate(rows, fitting)}; peak of memory ${megabytes(memory.peak)}`,
  )
  const net = tabular(fitted, {
    seed: 1,
    threads,
    network: ([{ tensor }]) => dense(dense(dense(tensor, units, { activation: 'relu' }), units, { activation: 'relu' }), 1),
  })
  const features = fitted.featureNames.length
  console.log(
    `network ${features}-${units}-${units}-1: ${(features * units + units * units + units).toLocaleString('en')} multiply-adds a row forwards, batches of ${batchSize}, ${threads} thread(s)`,
  )
  begun = performance.now()
  const { epochs, profile } = await net.fit(csv(path) as never, {
    epochs: 1,
    batchSize,
    rows: fitted.rows,
    profile: true,
    optimizer: 'adam',
  })
  const training = seconds(begun)
  const peak = memory.end()
  const inSteps = profile === undefined ? 0 : (profile.steps * profile.milliseconds) / 1000
  const busy = inSteps / training
  console.log(
    `epoch: ${training.toFixed(1)} s, ${rate(rows, training)}, loss ${epochs[0].loss.toFixed(5)}; inside steps ${inSteps.toFixed(1)} s: ${(100 * busy).toFixed(1)} % (expected at least ${100 * LEAST_BUSY} %)`,
  )
  console.log(`peak of resident memory: ${megabytes(peak)} (expected below ${megabytes(MOST_MEMORY)})`)
  process.exitCode = busy >= LEAST_BUSY && peak < MOST_MEMORY ? 0 : 1
} finally {
  if (values.keep) console.log(`kept ${path}`)
  else await rm(folder, { recursive: true, force: true })
}
