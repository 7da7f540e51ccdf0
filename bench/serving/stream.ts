/**
 * A million rows through a stream: rows a second of every way in, whether the order was kept, and how much memory it took.
 *
 *     npx tsx bench/serving/stream.ts [--rows 1000000]
 */
import { PassThrough, Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ReadableStream } from 'node:stream/web'
import { parseArgs } from 'node:util'
import { dense, executionInfo, input, type NdArray, sequential } from '../../src/index.ts'
import { readArguments, wholeNumber } from '../arguments.ts'

const COMMAND = 'npx tsx bench/serving/stream.ts'
const HELP = `Rows a second through transform() and beside it, the order checked, and resident memory meanwhile.

  ${COMMAND} [options]

  --rows N           default 1000000`

const FEATURES = 32
const KINDS = 4096
const SAMPLED_EVERY = 10_000
const SECONDS_OF_LOOPS = 3

function parse() {
  const { values } = parseArgs({ options: { rows: { type: 'string', default: '1000000' }, help: { type: 'boolean', default: false } } })
  return values.help ? null : { rows: wholeNumber('rows', values.rows) }
}

const { rows } = readArguments(COMMAND, HELP, parse)
const net = sequential([input(FEATURES), dense(64, { activation: 'relu' }), dense(1)])
const kinds = Array.from({ length: KINDS }, (_, k) => Float32Array.from({ length: FEATURES }, (_, i) => Math.sin(k * FEATURES + i)))
const expected = (await net.predict(kinds)).data
const source = function* () {
  for (let i = 0; i < rows; i++) yield kinds[i % KINDS]
}

/** Takes predictions, and looks at the order and, now and then, at memory. */
class Sink {
  seen = 0
  outOfPlace = 0
  readonly megabytes: number[] = []

  take(prediction: NdArray): void {
    if (Math.abs(prediction.data[0] - expected[this.seen % KINDS]) > 1e-5) this.outOfPlace += 1
    this.seen += 1
    if (this.seen % SAMPLED_EVERY === 0) this.megabytes.push(process.memoryUsage.rss() / 1e6)
  }

  stream(): Writable {
    const take = (prediction: NdArray) => this.take(prediction)
    return new Writable({
      objectMode: true,
      write(prediction, _encoding, callback) {
        take(prediction)
        callback()
      },
    })
  }
}

async function measure(name: string, run: (sink: Sink) => Promise<void>): Promise<void> {
  const sink = new Sink()
  const began = performance.now()
  await run(sink)
  const seconds = (performance.now() - began) / 1000
  const order = sink.seen === rows && sink.outOfPlace === 0 ? 'order kept' : `WRONG: ${sink.seen} rows, ${sink.outOfPlace} out of place`
  const { megabytes } = sink
  const tenth = megabytes[Math.floor(megabytes.length / 10)] ?? Number.NaN
  console.log(
    `${name.padEnd(34)} ${rate(rows, seconds)}   ${order}; resident MB after a tenth ${tenth.toFixed(0)}, at most ${Math.max(...megabytes).toFixed(0)}, at the end ${megabytes.at(-1)?.toFixed(0)}`,
  )
}

function rate(count: number, seconds: number): string {
  return `${Math.round(count / seconds)
    .toLocaleString('en-US')
    .padStart(10)} rows/s`
}

/** A plain loop, for a few seconds. */
async function loop(name: string, call: (row: Float32Array) => unknown): Promise<void> {
  const began = performance.now()
  let count = 0
  while (performance.now() - began < SECONDS_OF_LOOPS * 1000)
    for (let i = 0; i < 64; i++) {
      const result = call(kinds[count++ % KINDS])
      if (result instanceof Promise) await result
    }
  console.log(`${name.padEnd(34)} ${rate(count, (performance.now() - began) / 1000)}`)
}

console.log(
  `${executionInfo().native ? `native, ${executionInfo().instructionSets[0]}` : 'reference'}; ${FEATURES}-64-1, ${rows.toLocaleString('en-US')} rows`,
)
await measure('pipeline(rows, transform(), sink)', (sink) => pipeline(source, net.transform(), sink.stream()))
await measure('for await of predictStream(rows)', async (sink) => {
  for await (const prediction of net.predictStream(source())) sink.take(prediction)
})
await measure('web: pipeThrough(transformWeb())', async (sink) => {
  const stream = Readable.toWeb(Readable.from(source())) as ReadableStream<Float32Array>
  for await (const prediction of stream.pipeThrough(net.transformWeb())) sink.take(prediction)
})
await loop('loop of predictSync(row)', (row) => net.predictSync(row))
await loop('loop of await predict(row)', (row) => net.predict(row))

const began = performance.now()
await pipeline(source, new PassThrough({ objectMode: true }), new Writable({ objectMode: true, write: (_row, _, callback) => callback() }))
console.log(`${'(a stream that does nothing)'.padEnd(34)} ${rate(rows, (performance.now() - began) / 1000)}`)
