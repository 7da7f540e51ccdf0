/**
 * Reads a CSV file that is far larger than what may be held of it, through every stage that holds something. Prints speed and resident memory, and
 * exits with 1 if that grows by more than the bound after the first twentieth.
 *
 *     npx tsx test/leak/datasets.ts [megabytes]
 */
import { createWriteStream, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { csv } from '../../src/index.ts'
import { RandomStream } from '../../src/random.ts'

const BYTES = Number(process.argv[2] ?? 1000) * 1e6
const BOUND = 100e6
const COLUMNS = 20

const random = new RandomStream(1, 0)
const number = (_: unknown, i: number) => (random.uniform() * 1000).toFixed(i % 5)
const lines = (quote: string) =>
  Array.from({ length: 5000 }, () => `${Array.from({ length: COLUMNS }, number).join(',')},${quote}a text of some words${quote}\n`).join('')

/** A file of so many bytes: one block of lines again and again. */
async function write(path: string, block: string, bytes: number): Promise<number> {
  const times = Math.ceil(bytes / block.length)
  const text = function* () {
    yield `${Array.from({ length: COLUMNS }, (_, i) => `column${i}`).join(',')},text\n`
    for (let i = 0; i < times; i++) yield block
  }
  const zip = path.endsWith('.gz') ? [createGzip({ level: 1 })] : []
  await pipeline([Readable.from(text()), ...zip, createWriteStream(path)])
  return times * block.length
}

const folder = mkdtempSync(join(tmpdir(), 'thalweg-datasets-'))
process.on('exit', () => rmSync(folder, { recursive: true }))

const cases = [
  { name: 'rows.csv', quote: '', share: 1 },
  { name: 'quoted.csv', quote: '"', share: 0.2 },
  { name: 'rows.csv.gz', quote: '', share: 0.2 },
]
for (const { name, quote, share } of cases) {
  const path = join(folder, name)
  const bytes = await write(path, lines(quote), BYTES * share)
  const batches = csv(path)
    .map(({ column0, text }) => ({ x: Number(column0), text }))
    .shuffle()
    .batch(256)
    .prefetch(8)
  const curve: number[] = []
  let rows = 0
  const begun = performance.now()
  for await (const { items } of batches.pass()) {
    rows += items.reduce((sum, { length }) => sum + length, 0)
    curve.push(process.memoryUsage.rss())
  }
  const seconds = (performance.now() - begun) / 1000
  const early = Math.max(...curve.slice(0, Math.ceil(curve.length / 20)))
  const growth = Math.max(...curve) - early
  const megabytes = (value: number) => `${(value / 1e6).toFixed(0)} MB`
  console.log(
    `${name}: ${megabytes(bytes)}, ${rows} rows in ${seconds.toFixed(1)} s (${megabytes(bytes / seconds)}/s); resident ${megabytes(early)} after a twentieth, then ${megabytes(growth)} more at most`,
  )
  if (growth > BOUND) process.exitCode = 1
  rmSync(path)
}
