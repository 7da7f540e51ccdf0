import { Readable } from 'node:stream'
import { setTimeout } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, expectTypeOf, it, vi } from 'vitest'
import { AbortError, DataError, type Dataset, dataset, NdArray, OptionError } from '../../../src/index.ts'

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i)

/** A source that counts how many of its passes are open, and how far the last one has come. */
function watched(count: number) {
  const state = { open: 0, made: 0 }
  const source = dataset(async function* () {
    state.open++
    state.made = 0
    try {
      for (let i = 0; i < count; i++) {
        if (i % 50 === 0) await setTimeout(0)
        state.made++
        yield i
      }
    } finally {
      state.open--
    }
  })
  return { source, state }
}

/** A generator that is making an element closes when it is made. */
const closed = (state: { open: number }) => vi.waitFor(() => expect(state.open).toBe(0))

async function elementsOf<T>(data: Dataset<T>, pass: { epoch?: number; skip?: number } = {}): Promise<T[]> {
  const all: T[] = []
  for await (const { items } of data.pass(pass)) all.push(...items)
  return all
}

async function placesOf<T>(data: Dataset<T>): Promise<string[]> {
  const all: string[] = []
  for await (const { items, place } of data.pass()) all.push(...items.map((_, i) => place(i)))
  return all
}

describe('dataset', () => {
  it.each([
    ['an array', [1, 2, 3], 3],
    ['a typed array', Float32Array.of(1, 2, 3), 3],
    ['a Set', new Set([1, 2, 3]), null],
    ['a function', () => [1, 2, 3], null],
    [
      'a generator function',
      function* () {
        yield* [1, 2, 3]
      },
      null,
    ],
    ['a function that promises', async () => [1, 2, 3], null],
    [
      'an async generator function',
      async function* () {
        yield* [1, 2, 3]
      },
      null,
    ],
    ['a function that opens a stream', () => Readable.from([1, 2, 3]), null],
  ])('reads %s, more than once', async (_, source, count) => {
    const data = dataset(source as Iterable<number>)
    expect(data.count).toBe(count)
    expect(await data.toArray()).toEqual([1, 2, 3])
    expect(await data.toArray()).toEqual([1, 2, 3])
  })

  it.each([
    [
      'a generator',
      () =>
        (function* () {
          yield* [1, 2, 3]
        })(),
    ],
    [
      'an async generator',
      () =>
        (async function* () {
          yield* [1, 2, 3]
        })(),
    ],
    ['a Readable', () => Readable.from([1, 2, 3])],
    ['a web stream', () => new Blob(['abc']).stream()],
  ])('reads %s once, and says so', async (_, make) => {
    const data = dataset<unknown>(make() as Iterable<unknown>)
    expect((await data.toArray()).length).toBeGreaterThan(0)
    await expect(data.toArray()).rejects.toThrow(/can be read once, and it has been; give a function/)
    const cached = dataset<unknown>(make() as Iterable<unknown>).cache()
    expect(await cached.toArray()).toEqual(await cached.toArray())
  })

  it('gives the rows of an NdArray, and itself for a dataset', async () => {
    const rows = await dataset(new NdArray(Float32Array.of(1, 2, 3, 4, 5, 6), [2, 3])).toArray()
    expect(rows.map((row) => row.toArray())).toEqual([
      [1, 2, 3],
      [4, 5, 6],
    ])
    const data = dataset([1])
    expect(dataset(data)).toBe(data)
  })

  it('refuses what it cannot read', () => {
    expect(() => dataset('rows.csv' as unknown as string[])).toThrow(/to read a file, try csv\(path\)/)
    expect(() => dataset(5 as unknown as string[])).toThrow(OptionError)
    expect(() => dataset(null as unknown as string[])).toThrow(OptionError)
    expect(() => dataset({} as unknown as string[])).toThrow(/got a value of type Object/)
  })

  it('says what a function gave in place of an iterable', async () => {
    await expect(dataset((() => 5) as unknown as () => number[]).toArray()).rejects.toThrow('the function: expected an iterable')
  })

  it('hands on elements that are slow in coming one by one', async () => {
    let release = () => {}
    const waiting = new Promise<void>((resolve) => {
      release = resolve
    })
    const data = dataset(async function* () {
      yield 1
      await waiting
      yield 2
    })
    const reader = data[Symbol.asyncIterator]()
    expect(await reader.next()).toEqual({ value: 1, done: false })
    release()
    expect(await reader.next()).toEqual({ value: 2, done: false })
    expect((await reader.next()).done).toBe(true)
  })

  it('infers types through the stages', () => {
    const rows = dataset([{ a: '1', b: 2 }])
    expectTypeOf(rows.map(({ a }) => Number(a))).toEqualTypeOf<Dataset<number>>()
    expectTypeOf(rows.map(async ({ a }) => Number(a)).batch(2)).toEqualTypeOf<Dataset<number[]>>()
    expectTypeOf(dataset([1, 'a']).filter((x) => typeof x === 'string')).toEqualTypeOf<Dataset<string>>()
    expectTypeOf(dataset([1]).interleave(['a'])).toEqualTypeOf<Dataset<number | string>>()
  })
})

describe('stages', () => {
  it('map, filter, take, skip, batch', async () => {
    const data = dataset(numbers(3000))
    expect(await data.map((x) => 2 * x).toArray()).toEqual(numbers(3000).map((x) => 2 * x))
    expect(await data.filter((x) => x % 7 === 0).toArray()).toEqual(numbers(3000).filter((x) => x % 7 === 0))
    expect(await data.filter(async (x) => x > 2990).toArray()).toEqual(numbers(3000).slice(2991))
    expect(await data.skip(1020).take(10).toArray()).toEqual(numbers(1030).slice(1020))
    expect(await data.take(0).toArray()).toEqual([])
    expect(await data.first(2)).toEqual([0, 1])
    expect((await data.batch(700).toArray()).map(({ length }) => length)).toEqual([700, 700, 700, 700, 200])
    expect((await data.batch(700, { dropRemainder: true }).toArray()).flat()).toEqual(numbers(2800))
  })

  it('shuffles all elements, differently in each epoch, the same way each time', async () => {
    for (const buffer of [1, 10, 5000]) {
      const data = dataset(numbers(3000)).shuffle({ buffer, seed: 3 })
      const [first, again, next] = [await elementsOf(data), await elementsOf(data), await elementsOf(data, { epoch: 1 })]
      expect(again).toEqual(first)
      expect([...first].sort((a, b) => a - b)).toEqual(numbers(3000))
      if (buffer > 1) expect(next).not.toEqual(first)
    }
  })

  it('draws uniformly from a buffer that holds everything', async () => {
    const first = new Int32Array(6)
    for (let epoch = 0; epoch < 6000; epoch++) first[(await elementsOf(dataset(numbers(6)).shuffle(), { epoch }))[0]]++
    // Five standard deviations of a binomial count of 6000 at 1/6.
    for (const count of first) expect(Math.abs(count - 1000)).toBeLessThan(145)
  })

  it('repeats, each time as another epoch, and ends where there is nothing', async () => {
    const data = dataset(numbers(20)).shuffle()
    const epochs = [await elementsOf(data), await elementsOf(data, { epoch: 1 }), await elementsOf(data, { epoch: 2 })]
    expect(await data.repeat(3).toArray()).toEqual(epochs.flat())
    expect(await data.repeat().take(60).toArray()).toEqual(epochs.flat())
    expect(await elementsOf(data.repeat(1), { epoch: 2 })).toEqual(epochs[2])
    expect(await dataset([]).repeat().toArray()).toEqual([])
    expect(await dataset(new Set()).repeat().toArray()).toEqual([])
  })

  it('splits into parts that share nothing, in every epoch', async () => {
    const { training, validation } = dataset(numbers(10_000)).split(0.25, { seed: 5 })
    const [train, held] = [await elementsOf(training, { epoch: 3 }), await elementsOf(validation, { epoch: 8 })]
    expect([...train, ...held].sort((a, b) => a - b)).toEqual(numbers(10_000))
    expect(held.length).toBeGreaterThan(2300)
    expect(held.length).toBeLessThan(2700)
    expect([training.count, validation.count]).toEqual([train.length, held.length])
    expect(await dataset(numbers(10_000)).split(0.25, { seed: 6 }).validation.toArray()).not.toEqual(held)
    expect(await validation.shuffle({ buffer: 1 }).toArray()).toEqual(held)
  })

  it('does not split where elements have no position', () => {
    expect(() =>
      dataset([1])
        .shuffle()
        .map((x) => x)
        .split(),
    ).toThrow('try split() before shuffle()')
    expect(() => dataset([1]).repeat(2).batch(2).split()).toThrow('try split() before repeat()')
    expect(() =>
      dataset([1])
        .concatenate(dataset([1]).shuffle())
        .split(),
    ).toThrow('try split() before shuffle()')
    expect(() => dataset([1]).repeat(2).cache().split()).toThrow('try split() before repeat()')
    expect(dataset([1]).repeat().cache().traits.endless).toBe(true)
    expect(dataset([1]).shuffle().cache().split().training.count).toBe(1)
  })

  it('interleaves and concatenates', async () => {
    const data = dataset(numbers(3))
    expect(await data.interleave([10], dataset([20, 21])).toArray()).toEqual([0, 10, 20, 1, 21, 2])
    expect(
      await data
        .concatenate([10], function* () {
          yield 20
        })
        .toArray(),
    ).toEqual([0, 1, 2, 10, 20])
    expect(data.interleave([10]).count).toBe(4)
    expect(data.concatenate(new Set([1])).count).toBeNull()
  })

  it('caches the first complete pass, in the order of epoch 0', async () => {
    let calls = 0
    const data = dataset(numbers(2000))
      .shuffle()
      .map((x) => {
        calls++
        return x
      })
      .cache()
    await data.first(3)
    const before = calls
    const first = await elementsOf(data, { epoch: 4 })
    expect(calls).toBe(before + 2000)
    expect(await data.toArray()).toEqual(first)
    expect(await elementsOf(data, { skip: 1500 })).toEqual(first.slice(1500))
    expect(calls).toBe(before + 2000)
  })

  it('knows how many elements there are, where that can be known', () => {
    const data = dataset(numbers(10))
    expect(data.map(String).shuffle().prefetch().batch(3).count).toBe(4)
    expect(data.batch(3, { dropRemainder: true }).count).toBe(3)
    expect([data.take(20).count, data.skip(4).count, data.skip(40).count, data.repeat(3).count, data.repeat().count]).toEqual([
      10,
      6,
      0,
      30,
      null,
    ])
    expect(data.filter(Boolean).count).toBeNull()
  })

  it('maps async functions so many at once, in order', async () => {
    for (const concurrency of [1, 4]) {
      let running = 0
      let most = 0
      const data = dataset(async function* () {
        for (const x of numbers(40)) {
          await setTimeout(0)
          yield x
        }
      })
      const doubled = data.map(
        async (x) => {
          most = Math.max(most, ++running)
          await setTimeout(5 + ((x * 7) % 5))
          running--
          return 2 * x
        },
        { concurrency },
      )
      expect(await doubled.toArray()).toEqual(numbers(40).map((x) => 2 * x))
      expect(most).toBe(concurrency)
    }
  })

  it('keeps the order of a function that is async only now and then', async () => {
    const data = dataset(numbers(2500)).map((x): number | Promise<number> => (x % 3 === 0 ? setTimeout(0, x) : x), { concurrency: 50 })
    expect(await data.toArray()).toEqual(numbers(2500))
  })

  it('hands on what it had to wait for in small chunks', async () => {
    const sizes: number[] = []
    for await (const { items } of dataset(numbers(500))
      .map(async (x) => x, { concurrency: 4 })
      .pass())
      sizes.push(items.length)
    expect(Math.max(...sizes)).toBeLessThanOrEqual(32)
    expect(sizes.reduce((a, b) => a + b)).toBe(500)
  })

  it('prefetches so much and no more', async () => {
    const { source, state } = watched(100_000)
    const reader = source.prefetch(3000).pass()
    await reader.next()
    await vi.waitFor(() => expect(state.made).toBeGreaterThan(3000))
    await setTimeout(50)
    expect(state.made).toBeLessThan(3000 + 2 * 1024 + 2)
    await reader.return()
    await closed(state)
    expect(await watched(5000).source.prefetch(1).toArray()).toEqual(numbers(5000))
  })
})

describe('skip', () => {
  const stage = fc.oneof(
    fc.constant(['map', (data: Dataset<number>) => data.map((x) => (x * 31) % 1009)] as const),
    fc.constant(['asyncMap', (data: Dataset<number>) => data.map(async (x) => x + 1, { concurrency: 3 })] as const),
    fc.constant(['filter', (data: Dataset<number>) => data.filter((x) => x % 3 !== 0)] as const),
    fc.nat(60).map((n) => [`shuffle ${n}`, (data: Dataset<number>) => data.shuffle({ buffer: n + 1, seed: n })] as const),
    fc
      .integer({ min: 1, max: 9 })
      .map((n) => [`batch ${n}`, (data: Dataset<number>) => data.batch(n).map((rows) => rows.reduce((a, b) => a + b))] as const),
    fc
      .integer({ min: 1, max: 9 })
      .map((n) => [`full batch ${n}`, (data: Dataset<number>) => data.batch(n, { dropRemainder: true }).map((rows) => rows[0])] as const),
    fc.integer({ min: 1, max: 3 }).map((n) => [`repeat ${n}`, (data: Dataset<number>) => data.repeat(n)] as const),
    fc.nat(100).map((n) => [`endless ${n}`, (data: Dataset<number>) => data.repeat().take(n)] as const),
    fc.nat(100).map((n) => [`take ${n}`, (data: Dataset<number>) => data.take(n)] as const),
    fc.nat(40).map((n) => [`skip ${n}`, (data: Dataset<number>) => data.skip(n)] as const),
    fc.integer({ min: 1, max: 50 }).map((n) => [`prefetch ${n}`, (data: Dataset<number>) => data.prefetch(n)] as const),
    fc.constant(['cache', (data: Dataset<number>) => data.cache()] as const),
    fc.nat(30).map((n) => [`interleave ${n}`, (data: Dataset<number>) => data.interleave(numbers(n))] as const),
    fc.nat(30).map((n) => [`concatenate ${n}`, (data: Dataset<number>) => dataset(new Set(numbers(n))).concatenate(data)] as const),
    fc.nat(30).map((n) => [`after ${n}`, (data: Dataset<number>) => dataset(numbers(n)).concatenate(data, numbers(2))] as const),
    fc.constant(['part', (data: Dataset<number>) => (data.traits.reordered ? data : data.split(0.5).training)] as const),
  )

  it('is a pass without its first elements, whatever the stages, and count is what a pass has', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(150),
        fc.boolean(),
        fc.array(stage, { maxLength: 5 }),
        fc.nat(4),
        fc.nat(120),
        async (size, isKnown, steps, epoch, skip) => {
          const build = () =>
            steps.reduce<Dataset<number>>((data, [, apply]) => apply(data), dataset(isKnown ? numbers(size) : new Set(numbers(size))))
          const whole = await elementsOf(build(), { epoch })
          const data = build()
          const { count } = data
          expect(await elementsOf(data, { epoch, skip })).toEqual(whole.slice(skip))
          expect(await elementsOf(data, { epoch })).toEqual(whole)
          expect(await elementsOf(data, { epoch, skip })).toEqual(whole.slice(skip))
          if (count !== null) expect(count).toBe(whole.length)
        },
      ),
      { numRuns: 400 },
    )
  })
})

describe('what goes wrong', () => {
  const boom = (at: number) => (x: number) => {
    if (x === at) throw new RangeError('boom')
    return x
  }

  it('says where an element came from, through all stages, with the cause', async () => {
    const failing = dataset(numbers(5000))
      .skip(3)
      .filter((x) => x % 2 === 1)
      .shuffle({ buffer: 50 })
      .interleave([-1, -2])
      .cache()
      .take(4000)
      .map(boom(1777))
    const error = await failing.toArray().catch((error) => error)
    expect(error).toBeInstanceOf(DataError)
    expect(error.message).toBe('element 1777: boom')
    expect(error.cause).toBeInstanceOf(RangeError)
    await expect(
      dataset(numbers(3))
        .map(async (x) => boom(2)(x))
        .toArray(),
    ).rejects.toThrow('element 2: boom')
    await expect(dataset(numbers(3)).filter(boom(2)).toArray()).rejects.toThrow('element 2: boom')
    await expect(
      dataset(numbers(9))
        .batch(4)
        .map(() => boom(1)(1))
        .toArray(),
    ).rejects.toThrow('the batch from element 0 on: boom')
  })

  it('keeps the place of each element', async () => {
    const even = dataset(numbers(40)).filter((x) => x % 2 === 0)
    const elements = await even.shuffle().toArray()
    expect(await placesOf(even.shuffle())).toEqual(elements.map((x) => `element ${x}`))
    expect(await placesOf(even.prefetch().cache().skip(2).take(2))).toEqual(['element 4', 'element 6'])
  })

  it.each([1, 8])('gives everything before a failure, then the failure, once (concurrency %i)', async (concurrency) => {
    for (const transform of [
      boom(2100),
      async (x: number) => boom(2100)(x),
      (x: number) => (x % 2 ? boom(2101)(x) : setTimeout(0, boom(2100)(x))),
    ]) {
      const { source, state } = watched(3000)
      const reader = source.map(transform, { concurrency })[Symbol.asyncIterator]()
      for (let i = 0; i < 2100; i++) expect((await reader.next()).value).toBe(i)
      await expect(reader.next()).rejects.toThrow('element 2100: boom')
      expect((await reader.next()).done).toBe(true)
      await closed(state)
    }
  })

  it('hands on what a source throws as it is, after what came before', async () => {
    const failing = dataset(function* () {
      yield* numbers(2000)
      throw new RangeError('source')
    })
    for (const data of [
      failing,
      failing.map((x) => x).prefetch(10),
      failing.map(async (x) => x, { concurrency: 5 }),
      dataset(() => Readable.from(failing)),
    ]) {
      const seen: unknown[] = []
      const read = async () => {
        for await (const x of data) seen.push(x)
      }
      await expect(read()).rejects.toThrow(new RangeError('source'))
      expect(seen.length).toBeGreaterThanOrEqual(data === failing ? 1000 : 0)
    }
  })

  it('closes the source when the consumer leaves, throws or aborts', async () => {
    const { source, state } = watched(1e9)
    const pipeline = source
      .map((x) => x)
      .map(async (x) => x, { concurrency: 4 })
      .filter(() => true)
      .shuffle({ buffer: 100 })
      .interleave(numbers(10))
      .concatenate([1])
      .batch(2)
      .prefetch(4)
      .repeat(2)
      .skip(5)
      .cache()
    for await (const _ of pipeline) break
    await closed(state)
    await expect(
      pipeline
        .map(() => {
          throw new Error('x')
        })
        .toArray(),
    ).rejects.toThrow('x')
    await closed(state)
    expect(await pipeline.first(3)).toHaveLength(3)
    await closed(state)
    const controller = new AbortController()
    const reading = (async () => {
      for await (const _ of pipeline.filter(() => false).pass({ signal: controller.signal }));
    })()
    await setTimeout(20)
    expect(state.open).toBe(1)
    controller.abort(new Error('enough'))
    await expect(reading).rejects.toThrow(AbortError)
    await closed(state)
    await expect(pipeline.pass({ signal: AbortSignal.abort() }).next()).rejects.toThrow(AbortError)
  })

  it('does not wait for a source that says nothing', async () => {
    const never = dataset(async function* () {
      yield 1
      await new Promise(() => {})
    })
    for await (const x of never.prefetch()) {
      expect(x).toBe(1)
      break
    }
    expect(await never.first()).toEqual([1])
    const reader = never.map((x) => x).pass({ signal: AbortSignal.timeout(20) })
    await reader.next()
    await expect(reader.next()).rejects.toThrow(AbortError)
    const stream = new Readable({ objectMode: true, read() {} })
    stream.push(1)
    expect(await dataset(stream).first()).toEqual([1])
    expect(stream.destroyed).toBe(true)
  })

  it('closes streams of both kinds', async () => {
    let isCancelled = false
    const web = new ReadableStream({
      pull(controller) {
        controller.enqueue(1)
      },
      cancel() {
        isCancelled = true
      },
    })
    expect(await dataset(web).first(3)).toEqual([1, 1, 1])
    await setTimeout(5)
    expect(isCancelled).toBe(true)
  })

  it('refuses options that make no sense', () => {
    const data = dataset([1])
    expect(() => data.map(5 as never)).toThrow('Dataset.map: transform must be a function, got 5.')
    expect(() => data.map((x) => x, { concurrency: 0 })).toThrow(OptionError)
    expect(() => data.map((x) => x, { parallel: 2 } as never)).toThrow(OptionError)
    expect(() => data.filter('a' as never)).toThrow(OptionError)
    expect(() => data.shuffle({ buffer: 0.5 })).toThrow(OptionError)
    expect(() => data.shuffle({ seed: -1 })).toThrow(/seed must be an integer/)
    expect(() => data.shuffle(5 as never)).toThrow(OptionError)
    expect(() => data.batch(0)).toThrow(OptionError)
    expect(() => data.repeat(0)).toThrow(OptionError)
    expect(() => data.prefetch(-1)).toThrow(OptionError)
    expect(() => data.take(-1)).toThrow(/count must be an integer of at least 0/)
    expect(() => data.split(1)).toThrow(/share must lie in 0 … 1/)
    expect(() => data.interleave(3 as never)).toThrow(OptionError)
  })
})
