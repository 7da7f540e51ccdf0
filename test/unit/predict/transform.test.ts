import { once } from 'node:events'
import { pipeline as join, PassThrough, Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { ReadableStream } from 'node:stream/web'
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { DataError } from '../../../src/errors.ts'
import { batchStream, batchTransform, batchTransformWeb, type TransformOptions } from '../../../src/predict/transform.ts'
import { expectRefusal } from '../../training/support.ts'
import { collect, count, gate, Tenfold } from './support.ts'

const tens = (length: number) => Array.from({ length }, (_, i) => i * 10)

type Options = TransformOptions<number, number, unknown>

/** The same rows through each of the three forms. */
const forms: Record<
  string,
  (target: Tenfold, rows: Iterable<number> | AsyncIterable<number>, options?: Options) => AsyncIterable<unknown>
> = {
  'a Node stream': (target, rows, options) => {
    const stream = batchTransform('transform', target, options)
    join(rows, stream, () => undefined)
    return stream
  },
  'a web stream': (target, rows, options) =>
    (Readable.toWeb(Readable.from(rows)) as ReadableStream<number>).pipeThrough(batchTransformWeb('transform', target, options)),
  'a generator': (target, rows, options) => batchStream('transform', target, rows, options),
}

describe.each(Object.entries(forms))('prediction in %s', (_, stream) => {
  it.each([0, 1, 7, 8, 9, 1000])('keeps the order of %d rows, in batches', async (rows) => {
    const target = new Tenfold()
    expect(await collect(stream(target, count(rows), { batchSize: 8 }))).toEqual(tens(rows))
    expect(Math.max(0, ...target.batches.map(({ length }) => length))).toBe(Math.min(rows, 8))
    expect(target.atOnce).toBe(Math.min(rows, 1))
  })

  it('sends what has come when the time is up', async () => {
    const source = new PassThrough({ objectMode: true })
    const target = new Tenfold()
    const results = stream(target, source, { maxLatency: 1 })[Symbol.asyncIterator]()
    const first = results.next()
    source.write(1)
    source.write(2)
    expect(await first).toEqual({ done: false, value: 10 })
    expect(await results.next()).toEqual({ done: false, value: 20 })
    source.write(3)
    expect(await results.next()).toEqual({ done: false, value: 30 })
    source.end()
    expect((await results.next()).done).toBe(true)
  })

  it('leaves bad rows to the handler, with their number, and loses no good one', async () => {
    const bad: unknown[] = []
    const rows = [0, 1, -2, 3, -4, -5, 6, 7, -8]
    const onError: Options['onError'] = (error, row, number) => {
      bad.push([error.message.replace('transformWeb', 'transform'), row, number])
      return row === -4 ? 'instead' : undefined
    }
    expect(await collect(stream(new Tenfold(), rows, { batchSize: 3, onError }))).toEqual([0, 10, 30, 'instead', 60, 70])
    expect(bad).toEqual([-2, -4, -5, -8].map((row) => [`transform: row ${-row}: expected numbers of at least 0, got ${row}.`, row, -row]))
  })

  it('waits for a handler that promises', async () => {
    const onError = async () => {
      await wait(2)
      return 'late'
    }
    expect(await collect(stream(new Tenfold(), [1, -1, 2], { onError }))).toEqual([10, 'late', 20])
  })

  it('ends with the error of a bad row, without a handler', async () => {
    const source = Readable.from(count(1e6))
    const rows = source.map((row: number) => (row === 20 ? -20 : row))
    const error = await expectRefusal(() => collect(stream(new Tenfold(), rows, { batchSize: 8 })), 'ERR_DATA', 'transform: row 20:', '-20')
    expect(error).toBeInstanceOf(DataError)
    await turn()
    expect(rows.destroyed).toBe(true)
  })

  it('ends with an error of the handler, of map, of the source, and of all rows', async () => {
    const fail = () => {
      throw new Error('no')
    }
    const failing = new Tenfold()
    failing.predictRows = () => Promise.reject(new Error('no'))
    async function* source() {
      yield 1
      throw new Error('no')
    }
    for (const begin of [
      () => stream(new Tenfold(), [-1], { onError: fail }),
      () => stream(new Tenfold(), [1], { map: fail }),
      () => stream(new Tenfold(), source()),
      () => stream(failing, [1], { onError: () => 'never' }),
    ])
      await expect(collect(begin())).rejects.toThrow('no')
  })

  it('gives what map makes of a prediction and its row, and leaves out what it leaves out', async () => {
    const map = (prediction: number, row: number) => (row % 2 === 0 ? undefined : row === 3 ? null : { row, prediction })
    expect(await collect(stream(new Tenfold(), count(6), { map }))).toEqual([
      { row: 1, prediction: 10 },
      { row: 5, prediction: 50 },
    ])
  })

  it('reads no further ahead than a few batches when nobody takes the results', async () => {
    let read = 0
    function* rows() {
      for (; ; read++) yield read
    }
    const results = stream(new Tenfold(), rows(), { batchSize: 8 })[Symbol.asyncIterator]()
    expect((await results.next()).value).toBe(0)
    await wait(30)
    const ahead = read
    await wait(30)
    expect(read).toBe(ahead)
    // Besides the batches, the queues of the source's own stream are full.
    expect(ahead).toBeLessThan(8 * 6 + 64)
    for (let i = 1; i < 500; i++) expect((await results.next()).value).toBe(i * 10)
    await results.return?.()
  })

  it('stops for a signal', async () => {
    const controller = new AbortController()
    const source = new PassThrough({ objectMode: true })
    const results = collect(stream(new Tenfold(), source, { signal: controller.signal }))
    source.write(1)
    await turn()
    controller.abort(new Error('enough'))
    const error = await expectRefusal(() => results, 'ABORT_ERR', 'transform was stopped')
    expect(error).toMatchObject({ name: 'AbortError', cause: new Error('enough') })
    await expectRefusal(() => collect(stream(new Tenfold(), [1], { signal: controller.signal })), 'ABORT_ERR')
  })

  it('closes the source when it is left early', async () => {
    let closed = false
    async function* rows() {
      try {
        for (let i = 0; ; i++) yield i
      } finally {
        closed = true
      }
    }
    for await (const result of stream(new Tenfold(), rows(), { batchSize: 4 })) if (result === 50) break
    for (let i = 0; i < 50 && !closed; i++) await turn()
    expect(closed).toBe(true)
  })
})

describe('the Node stream', () => {
  it('holds writers back while a batch runs and the next one is full', async () => {
    const target = new Tenfold()
    const { promise, open } = gate()
    target.gate = promise
    const stream = batchTransform('transform', target, { batchSize: 4 })
    let written = 0
    while (stream.write(written++));
    await turn()
    expect(target.batches).toEqual([[0, 1, 2, 3]])
    expect(written).toBeLessThanOrEqual(4 * 3 + 1)
    open()
    stream.end()
    expect(await collect(stream)).toEqual(tens(written))
  })

  it('fills the next batch while one runs', async () => {
    const target = new Tenfold()
    const { promise, open } = gate()
    target.gate = promise
    const stream = batchTransform('transform', target, { batchSize: 4, maxLatency: 0 })
    stream.write(0)
    await wait(5)
    for (const row of [1, 2, 3]) stream.write(row)
    await wait(5)
    expect(target.batches).toEqual([[0]])
    open()
    stream.end()
    expect(await collect(stream)).toEqual(tens(4))
    expect(target.batches).toEqual([[0], [1, 2, 3]])
  })

  it('is closed by pipeline with its source and its sink', async () => {
    const source = Readable.from(count(1e6))
    const sink = new Writable({ objectMode: true, write: (row, _, callback) => callback(row === 50 ? new Error('full') : null) })
    const stream = batchTransform('transform', new Tenfold(), { batchSize: 2 })
    await expect(pipeline(source, stream, sink)).rejects.toThrow('full')
    expect([source.destroyed, stream.destroyed, sink.destroyed]).toEqual([true, true, true])
  })

  it('asks the handler no more once it is destroyed', async () => {
    const asked: number[] = []
    const onError = async (_error: Error, _row: number, number: number) => {
      asked.push(number)
      if (number === 1) stream.destroy()
    }
    const stream = batchTransform('transform', new Tenfold(), { batchSize: 5, onError })
    for (const row of [-1, -2, -3, -4, -5]) stream.write(row)
    await once(stream, 'close')
    await turn()
    expect(asked).toEqual([0, 1])
  })

  it('may be destroyed while a batch runs', async () => {
    const target = new Tenfold()
    const { promise, open } = gate()
    target.gate = promise
    const stream = batchTransform('transform', target, { batchSize: 2 })
    for (let i = 0; i < 5; i++) stream.write(i)
    stream.destroy()
    await once(stream, 'close')
    open()
    await wait(5)
    expect(target.batches).toEqual([[0, 1]])
  })

  it('leaves no listener on a signal that outlives it', async () => {
    const { signal } = new AbortController()
    let listeners = 0
    const { addEventListener, removeEventListener } = signal
    signal.addEventListener = (...args: unknown[]) => {
      listeners += 1
      return Reflect.apply(addEventListener, signal, args)
    }
    signal.removeEventListener = (...args: unknown[]) => {
      listeners -= 1
      return Reflect.apply(removeEventListener, signal, args)
    }
    await collect(Readable.from(count(3)).pipe(batchTransform('transform', new Tenfold(), { signal })))
    await turn()
    expect(listeners).toBe(0)
  })
})

describe('options of the stream', () => {
  it.each<[unknown, ...string[]]>([
    [{ batchSize: 0 }, 'batchSize must be an integer of at least 1, got 0'],
    [{ batchSize: 2.5 }, 'batchSize'],
    [{ maxLatency: -1 }, 'maxLatency must be milliseconds of 0', '-1'],
    [{ maxLatency: Number.NaN }, 'maxLatency', 'NaN'],
    [{ maxLatency: '5' }, 'maxLatency', '"5"'],
    [{ maxLatency: 2 ** 31 }, 'maxLatency'],
    [{ map: 1 }, 'map must be a function, got 1'],
    [{ onError: 'ignore' }, 'onError must be a function'],
    [{ signal: {} }, 'signal must be an AbortSignal'],
    [{ batchsize: 1 }, 'Unknown option "batchsize"', 'did you mean "batchSize"'],
    [{ include: 'row' }, 'map: (prediction, row) =>'],
    [5, 'options must be an object'],
  ])('%j is refused', async (options, ...parts) => {
    for (const make of [
      () => batchTransform('transform', new Tenfold(), options as never),
      () => batchTransformWeb('transform', new Tenfold(), options as never),
      () => batchStream('transform', new Tenfold(), [], options as never),
    ])
      await expectRefusal(make, 'ERR_OPTION', 'transform', ...parts)
  })

  it.each([null, undefined, 5, 'rows', {}])('rows from %j are refused', async (source) => {
    await expectRefusal(() => batchStream('predictStream', new Tenfold(), source as never), 'ERR_OPTION', 'predictStream: expected rows')
  })

  it('null is a bad row like others, in all forms', async () => {
    const target = new Tenfold()
    target.checkRow = (row, where) => {
      if (typeof row !== 'number') throw new DataError(`${where}: no row`)
    }
    const rows = [1, null as unknown as number, 3]
    const options: Options = { onError: ({ message }) => message }
    const given = [10, 'transform: row 1: no row', 30]
    expect(await collect(batchStream('transform', target, rows, options))).toEqual(given)
    const stream = batchTransform('transform', target, options)
    for (const row of rows) stream.write(row)
    expect(await collect(stream.end())).toEqual(given)
    const web = new ReadableStream<number>({
      start(controller) {
        for (const row of rows) controller.enqueue(row)
        controller.close()
      },
    })
    expect(await collect(web.pipeThrough(batchTransformWeb('transform', target, options)))).toEqual(given)
    await expectRefusal(() => collect(batchStream('transform', target, rows)), 'ERR_DATA', 'transform: row 1: no row')
  })

  it('a target that gives another number of results is found out', async () => {
    const target = new Tenfold()
    target.predictRows = async () => [1]
    await expectRefusal(() => collect(batchStream('transform', target, [1, 2, 3])), 'ERR_DATA', 'expected 3 results', 'got 1')
  })
})
