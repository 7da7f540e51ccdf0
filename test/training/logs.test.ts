/** Logs: lines and records that are whole, on the disk after each epoch, and readable by others. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'csv-parse/sync'
import protobuf from 'protobufjs'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Callback, callbacks, dense, type FitOptions, input, type Metric, schedules, sequential, sgd } from '../../src/index.ts'
import { executors, expectRefusal, line, rows, scaledBy, sumLoss } from './support.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'thalweg-logs-'))
})
afterEach(() => {
  vi.restoreAllMocks()
  rmSync(folder, { recursive: true })
})
const path = (...names: string[]) => join(folder, ...names)
const text = (name: string) => readFileSync(path(name), 'utf8')

describe.each(executors)('on the %s executor', (executor) => {
  /** The loss of an epoch is p before it, and each epoch takes its rate from p: 0, -1, -1.5. */
  const net = () => line(executor)
  const data = { x: [[1]], y: [[0]] }
  const options = (list: readonly Callback[], more: Partial<FitOptions> = {}): FitOptions => ({
    loss: sumLoss,
    optimizer: sgd({ learningRate: schedules.perEpoch((epoch) => 2 ** -epoch) }),
    epochs: 3,
    callbacks: list,
    ...more,
  })

  describe('csvLog', () => {
    it('writes a header and a line for each epoch, before the next begins', async () => {
      const seen: string[] = []
      const listens: Callback = { onEpochBegin: () => void seen.push(text('a/log.csv')) }
      await net().fit(data, options([callbacks.csvLog(path('a', 'log.csv')), listens], { validationData: data }))
      const header = 'epoch,learningRate,loss,validationLoss\n'
      const lines = ['0,1,0,-1\n', '1,0.5,-1,-1.5\n', '2,0.25,-1.5,-1.75\n']
      expect(text('a/log.csv')).toBe(header + lines.join(''))
      expect(seen).toEqual([header, header + lines[0], header + lines[0] + lines[1]])
    })

    it('replaces a log of before, and goes on behind its own', async () => {
      const log = callbacks.csvLog(path('log.csv'))
      await net().fit(data, options([log], { epochs: 1 }))
      await net().fit(data, options([log], { epochs: 2, initialEpoch: 1 }))
      expect(text('log.csv')).toBe('epoch,learningRate,loss\n0,1,0\n1,0.5,0\n')
      await net().fit(data, options([callbacks.csvLog(path('log.csv'))], { epochs: 1 }))
      expect(text('log.csv')).toBe('epoch,learningRate,loss\n0,1,0\n')
    })

    it('goes on behind a log of before if told so', async () => {
      for (let i = 0; i < 2; i++) await net().fit(data, options([callbacks.csvLog(path('log.csv'), { append: true })], { epochs: 1 }))
      expect(text('log.csv')).toBe('epoch,learningRate,loss\n0,1,0\n0,1,0\n')
    })

    it.each(['\n', ''])('refuses other columns, and changes nothing, whether the file ends with %j', async (end) => {
      writeFileSync(path('log.csv'), `epoch,learningRate,loss,accuracy\n1,2,3,4${end}`)
      const model = net()
      await expectRefusal(
        () => model.fit(data, options([callbacks.csvLog(path('log.csv'), { append: true })])),
        'ERR_OPTION',
        'has the columns epoch,learningRate,loss,accuracy, this run would write epoch,learningRate,loss;',
        'append: false',
      )
      expect(text('log.csv')).toBe(`epoch,learningRate,loss,accuracy\n1,2,3,4${end}`)
      expect(model.weights().p.data[0]).toBe(0)
    })

    it.each(['', '\n0,1,5'])('begins a new line where the file does not end with one, after the header and %j', async (line) => {
      writeFileSync(path('log.csv'), `epoch,learningRate,loss${line}`)
      await net().fit(data, options([callbacks.csvLog(path('log.csv'), { append: true })], { epochs: 1 }))
      expect(text('log.csv')).toBe(`epoch,learningRate,loss${line}\n0,1,0\n`)
    })

    it('writes the rate that the epoch was trained with, not the one that comes next', async () => {
      const lists = [callbacks.reduceOnPlateau({ patience: 1, factor: 0.5, minDelta: 100 }), callbacks.csvLog(path('log.csv'))]
      await net().fit(data, options(lists, { optimizer: sgd({ learningRate: 1 }) }))
      expect(text('log.csv')).toBe('epoch,learningRate,loss\n0,1,0\n1,1,-1\n2,0.5,-2\n')
    })

    it('quotes names as a parser expects it', async () => {
      const metric: Metric = { name: 'a "b", c', batch: () => [], result: () => Number.NaN }
      await net().fit(data, options([callbacks.csvLog(path('log.csv'))], { epochs: 1, metrics: [metric] }))
      expect(parse(text('log.csv'), { columns: true })).toEqual([{ epoch: '0', learningRate: '1', loss: '0', 'a "b", c': 'NaN' }])
    })
  })

  it.each(['epoch', 'learningRate'])('no log takes a metric called %s', async (name) => {
    const metrics: Metric[] = [{ name, batch: () => [], result: () => 7 }]
    for (const log of [callbacks.csvLog(path('log')), callbacks.jsonLinesLog(path('log'))])
      await expectRefusal(
        () => net().fit(data, options([log], { metrics })),
        'ERR_OPTION',
        `${log.name}: a value of the epochs is called "${name}"`,
      )
    expect(existsSync(path('log'))).toBe(false)
  })

  it('jsonLinesLog writes an object for each epoch', async () => {
    writeFileSync(path('log.jsonl'), '{"epoch":')
    await net().fit(data, options([callbacks.jsonLinesLog(path('log.jsonl'), { append: true })], { epochs: 2 }))
    expect(text('log.jsonl')).toBe('{"epoch":\n{"epoch":0,"learningRate":1,"loss":0}\n{"epoch":1,"learningRate":0.5,"loss":-1}\n')
  })

  it.each([
    ['csvLog', 'day,sales\n1,2\n', '0,1,0'],
    ['jsonLinesLog', '{"day":1}\n', '{"epoch":0,'],
  ] as const)('%s replaces nothing but a log', async (name, other, line) => {
    const log = () => callbacks[name](path('log'))
    writeFileSync(path('log'), other)
    const message = `${name}: "${path('log')}" is no log of this kind (it begins with ${JSON.stringify(other)}) and is not replaced`
    await expectRefusal(() => net().fit(data, options([log()])), 'ERR_OPTION', message)
    expect(text('log')).toBe(other)
    writeFileSync(path('log'), '')
    for (let i = 0; i < 2; i++) await net().fit(data, options([log()], { epochs: 1 }))
    expect(text('log').split(line).length).toBe(2)
  })

  describe('tensorBoard', () => {
    it('writes scalars into train and validation under the same names', async () => {
      const metric: Metric = { name: 'score', batch: () => [], result: () => 7 }
      await net().fit(data, options([callbacks.tensorBoard(path('run'))], { validationData: data, metrics: [metric] }))
      const [train, validation] = [eventsOf('run/train'), eventsOf('run/validation')]
      expect(train[0].fileVersion).toBe('brain.Event:2')
      expect(train.slice(1).map(({ step, summary }) => [step, scalars(summary)])).toEqual([
        [0, { loss: 0, score: 7, learningRate: 1 }],
        [1, { loss: -1, score: 7, learningRate: 0.5 }],
        [2, { loss: -1.5, score: 7, learningRate: 0.25 }],
      ])
      expect(validation.slice(1).map(({ step, summary }) => [step, scalars(summary)])).toEqual([
        [0, { loss: -1, score: 7 }],
        [1, { loss: -1.5, score: 7 }],
        [2, { loss: -1.75, score: 7 }],
      ])
      for (const { wallTime } of [...train, ...validation]) expect(Math.abs(wallTime - Date.now() / 1000)).toBeLessThan(600)
    })

    it('writes histograms of weights and gradients', async () => {
      const model = sequential([input(3), dense(50, { kernelInitializer: 'glorotUniform' }), dense(1)], { executor })
      const x = rows(8, 3, 1)
      await model.fit(
        { x, y: x.map(([a]) => [a]) },
        { loss: 'meanSquaredError', epochs: 4, callbacks: [callbacks.tensorBoard(path('run'), { histograms: 2 })] },
      )
      const events = eventsOf('run/train').slice(1)
      const shown = events.map(({ summary }) => summary.value.filter(({ histo }) => histo))
      expect(shown.map(({ length }) => length)).toEqual([0, 8, 0, 8])
      const histogram = shown[3].find(({ tag }) => tag === 'weights/dense_1/kernel')?.histo
      const weights = [...model.weights()['dense_1.kernel'].data]
      const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0)
      expect(histogram).toMatchObject({ min: Math.min(...weights), max: Math.max(...weights), num: 150 })
      expect(histogram?.sum).toBeCloseTo(sum(weights), 10)
      expect(histogram?.sumSquares).toBeCloseTo(sum(weights.map((weight) => weight * weight)), 10)
      const { bucket = [], bucketLimit = [] } = histogram ?? {}
      expect([sum(bucket), bucketLimit.length]).toEqual([150, 30])
      // Each part holds what lies between its limit and the one before; float32 weights do not fall on a limit but for the last.
      bucketLimit.slice(0, -1).forEach((limit, i) => {
        expect(sum(bucket.slice(0, i + 1))).toBe(weights.filter((weight) => weight < limit).length)
      })
      // The biases of the first epochs' gradients are not all 0.
      expect(shown[1].find(({ tag }) => tag === 'gradients/dense_2/bias')?.histo?.max).not.toBe(0)
    })

    it('shows equal weights as one part, and gives every run its own file', async () => {
      const log = callbacks.tensorBoard(path('run'), { histograms: 1 })
      for (let i = 0; i < 2; i++) await net().fit(data, options([log], { epochs: 1 }))
      expect(readdirSync(path('run/train')).length).toBe(2)
      const [first] = readdirSync(path('run/train'))
      const [, { summary }] = eventsOf('run/train', first)
      expect(summary.value.find(({ tag }) => tag === 'weights/p')?.histo).toEqual({
        min: -1,
        max: -1,
        num: 1,
        sum: -1,
        sumSquares: 1,
        bucketLimit: [-1],
        bucket: [1],
      })
    })
  })
})

describe('a disk that refuses', () => {
  const data = { x: [[1]], y: [[0]] }
  const fit = (callback: Callback, epochs = 1) =>
    sequential([input(1), scaledBy(1)], { executor: 'reference' }).fit(data, { loss: sumLoss, epochs, callbacks: [callback] })

  it.each<[string, (place: string) => Callback, string]>([
    ['csvLog', (place) => callbacks.csvLog(join(place, 'log.csv')), 'csvLog: '],
    ['jsonLinesLog', (place) => callbacks.jsonLinesLog(join(place, 'log.jsonl')), 'jsonLinesLog: '],
    ['tensorBoard', (place) => callbacks.tensorBoard(place), 'tensorBoard: '],
  ])('where a folder cannot be made: %s', async (_, make, where) => {
    writeFileSync(path('file'), '')
    await expectRefusal(() => fit(make(path('file', 'below'))), 'ERR_FILE', where, path('file', 'below'), 'cannot be written: ENOTDIR')
  })

  it('where the path is a folder', async () => {
    await expectRefusal(() => fit(callbacks.csvLog(folder)), 'ERR_FILE', 'EISDIR')
  })

  it.runIf(existsSync('/dev/full'))('where there is no room', async () => {
    await expectRefusal(() => fit(callbacks.jsonLinesLog('/dev/full')), 'ERR_FILE', '"/dev/full" cannot be written: ENOSPC')
  })

  it.runIf(existsSync('/proc/self/fd'))('leaves no file open that could not be begun', async () => {
    const handle = await open(path('any'), 'w')
    await handle.close()
    vi.spyOn(Object.getPrototypeOf(handle), 'appendFile').mockRejectedValueOnce(new Error('ENOSPC: no space left on device, write'))
    await expectRefusal(() => fit(callbacks.tensorBoard(path('run'))), 'ERR_FILE', 'ENOSPC')
    const files = readdirSync('/proc/self/fd').map((name) =>
      existsSync(`/proc/self/fd/${name}`) ? readlinkSync(`/proc/self/fd/${name}`) : '',
    )
    expect(files.filter((file) => file.startsWith(folder))).toEqual([])
  })

  it('leaves no half line', async () => {
    const log = callbacks.jsonLinesLog(path('log.jsonl'))
    await fit(log)
    const before = text('log.jsonl')
    const handle = await open(path('log.jsonl'))
    await handle.close()
    vi.spyOn(Object.getPrototypeOf(handle), 'appendFile').mockImplementationOnce(async function (
      this: typeof handle,
      ...[bytes]: unknown[]
    ) {
      await this.write(bytes as Buffer, 0, 5)
      throw new Error('ENOSPC: no space left on device, write')
    })
    await expectRefusal(() => fit(log), 'ERR_FILE', 'ENOSPC')
    expect(text('log.jsonl')).toBe(before)
    await fit(log)
    expect(text('log.jsonl')).toBe(before + before)
  })
})

interface Histogram {
  min: number
  max: number
  num: number
  sum: number
  sumSquares: number
  bucketLimit: number[]
  bucket: number[]
}
interface Summary {
  value: { tag: string; simpleValue?: number; histo?: Histogram }[]
}
interface Event {
  wallTime: number
  step: number
  fileVersion?: string
  summary: Summary
}

/** What the callback writes of TensorFlow's event.proto, summary.proto and histogram.proto. */
const schema = protobuf.parse(`
  syntax = "proto3";
  message HistogramProto {
    double min = 1; double max = 2; double num = 3; double sum = 4; double sum_squares = 5;
    repeated double bucket_limit = 6 [packed = true]; repeated double bucket = 7 [packed = true];
  }
  message Value { string tag = 1; oneof value { float simple_value = 2; HistogramProto histo = 5; } }
  message Summary { repeated Value value = 1; }
  message Event { double wall_time = 1; int64 step = 2; oneof what { string file_version = 3; Summary summary = 5; } }
`).root

function scalars({ value }: Summary): Record<string, number | undefined> {
  return Object.fromEntries(value.filter(({ histo }) => histo === undefined).map(({ tag, simpleValue }) => [tag, simpleValue]))
}

/** The events of a file, with every checksum checked. */
function eventsOf(name: string, file = readdirSync(path(name))[0]): Event[] {
  expect(file).toMatch(/^events\.out\.tfevents\.\d{10}\./)
  const bytes = readFileSync(path(name, file))
  const type = schema.lookupType('Event')
  const events: Event[] = []
  for (let at = 0; at < bytes.length; ) {
    const length = Number(bytes.readBigUInt64LE(at))
    expect(bytes.readUInt32LE(at + 8)).toBe(masked(bytes.subarray(at, at + 8)))
    const record = bytes.subarray(at + 12, at + 12 + length)
    expect(bytes.readUInt32LE(at + 12 + length)).toBe(masked(record))
    events.push(type.toObject(type.decode(record), { longs: Number, defaults: false }) as Event)
    events[events.length - 1].step ??= 0
    at += 16 + length
  }
  return events
}

/** TensorFlow's masked CRC-32C, bit by bit. */
function masked(bytes: Uint8Array): number {
  const sum = checksum(bytes)
  return ((((sum >>> 15) | (sum << 17)) >>> 0) + 0xa282ead8) % 2 ** 32
}

function checksum(bytes: Uint8Array): number {
  let sum = 0xffffffff
  for (const byte of bytes) {
    sum ^= byte
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0x82f63b78 : sum >>> 1
  }
  return ~sum >>> 0
}

it('the checksum of this test is CRC-32C (RFC 3720, appendix B.4)', () => {
  expect(checksum(new Uint8Array(32))).toBe(0x8a9136aa)
  expect(checksum(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd794e)
})
