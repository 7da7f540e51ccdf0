/** Models for rows: whole runs, in memory and in streams, of every kind of column. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { afterEach, beforeEach, describe, expect, expectTypeOf, it } from 'vitest'
import { answer } from '../../examples/stream.ts'
import {
  column,
  concatenate,
  csv,
  dataset,
  dense,
  embedding,
  flatten,
  inferSchema,
  loadTabular,
  openSharedTabular,
  type Row,
  readSafetensors,
  schema,
  TabularModel,
  tableReport,
  tabular,
  target,
} from '../../src/index.ts'
import { ames, homes, kinds, quick, small } from './homes.ts'
import { answerOf, start } from './jobs.ts'
import { bitsOf, executors, expectRefusal, hasBegun } from './support.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'thalweg-'))
})
afterEach(() => rm(directory, { recursive: true }))

describe.each(executors)('a model for rows, on the %s executor', (executor) => {
  const price = async (options = {}) =>
    tabular(await schema({ ...kinds, price: target.number() }).fit(homes), { ...small, executor, ...options })

  it.each(Object.entries(kinds))('learns from a column of kind %s alone, and answers', async (name, kind) => {
    const net = tabular(await schema({ [name]: kind, price: target.number() }).fit(homes), { ...small, executor })
    const { epochs } = await net.fit(homes, { ...quick, epochs: 6 })
    expect(epochs[5].loss).toBeLessThan(epochs[0].loss)
    const [first, ...others] = await net.predict(homes.slice(0, 20))
    expect(Number.isFinite(first.price)).toBe(true)
    expect(others.some((other) => other.price !== first.price)).toBe(true)
  })

  it('gives the bits of the same rows in a dataset, whatever its chunks are', async () => {
    const [inMemory, streamed] = [await price(), await price()]
    const expected = await inMemory.fit(homes, { ...quick, shuffle: false, validationData: homes.slice(0, 50) })
    const rows = dataset(() => homes.values())
    const history = await streamed.fit(rows, { ...quick, rows: 300, validationData: rows.take(50) })
    expect(bitsOf(streamed.network)).toEqual(bitsOf(inMemory.network))
    expect(history).toEqual(expected)
    const [one, two] = [await inMemory.evaluate(homes), await streamed.evaluate(rows)]
    expect(two).toEqual(one)
  })

  it('is saved, opened, predicts the same and trains on to the same bits', async () => {
    const net = await price()
    await net.fit(homes, quick)
    const path = join(directory, 'homes.safetensors')
    await net.save(path, { metadata: { note: 'of spring' } })
    const opened = await loadTabular(path, { executor })
    expect(await opened.predict(homes)).toEqual(await net.predict(homes))
    expect(opened.predictSync(homes[3])).toEqual(net.predictSync(homes[3]))
    expect((await readSafetensors(path)).metadata.note).toBe('of spring')
    for (const each of [net, opened]) await each.fit(homes, quick)
    expect(bitsOf(opened.network)).toEqual(bitsOf(net.network))
  })

  it('goes on from a checkpoint to the bits of a run that was never interrupted', async () => {
    for (const rows of [homes, dataset(() => homes.values()).shuffle({ buffer: 64, seed: 3 })]) {
      const whole = await price()
      const expected = await whole.fit(rows, { ...quick, validationData: homes.slice(0, 40), earlyStopping: { patience: 5 } })
      const options = { ...quick, validationData: homes.slice(0, 40), earlyStopping: { patience: 5 } }
      const checkpoint = { directory: join(directory, Array.isArray(rows) ? 'array' : 'dataset'), everySteps: 4, signals: false }
      const broken = await price()
      let left = 13
      const breaks = {
        onSteps({ losses }: { losses: Float32Array }) {
          left -= losses.length
        },
        onEpochEnd() {
          if (left <= 0) throw new Error('power')
        },
      }
      await expect(broken.fit(rows, { ...options, checkpoint, callbacks: [breaks] })).rejects.toThrow('power')
      const resumed = await price()
      const history = await resumed.fit(rows, { ...options, checkpoint })
      expect(bitsOf(resumed.network)).toEqual(bitsOf(whole.network))
      expect(history).toEqual(expected)
    }
  })
})

describe('several targets', () => {
  const several = async () =>
    tabular(
      await schema({
        ...kinds,
        price: target.number(),
        kind: target.category({ classes: ['barn', 'flat', 'house'] }),
        sale: target.boolean(),
        where: target.vector({ length: 2, scale: 'standard' }),
      }).fit(homes),
      { hidden: [32] },
    )

  it('are learned together and answered in the units and words of the data', async () => {
    const net = await several()
    await net.fit(homes, { epochs: 60, batchSize: 32 })
    const values = await net.evaluate(homes)
    expect(Object.keys(values)).toEqual(
      [
        ['price', 'r2Score', 'rootMeanSquaredError', 'meanAbsoluteError'],
        ['kind', 'accuracy', 'f1', 'logLoss'],
        ['sale', 'accuracy', 'rocAuc', 'logLoss'],
        ['where', 'r2Score', 'rootMeanSquaredError', 'meanAbsoluteError'],
      ].flatMap(([name, ...names]) => names.map((metric) => `${name}.${metric}`)),
    )
    expect(values['price.r2Score']).toBeGreaterThan(0.9)
    expect(values['kind.accuracy']).toBeGreaterThan(0.95)
    expect(values['sale.accuracy']).toBeGreaterThan(0.9)
    expect(values['where.r2Score']).toBeGreaterThan(0.9)
    const answers = await net.predict(homes)
    // What evaluate says in the units of the data is what the answers say.
    const mean = (of: (i: number) => number) => homes.reduce((sum, _, i) => sum + of(i), 0) / homes.length
    expect(values['price.meanAbsoluteError'] / mean((i) => Math.abs(answers[i].price - homes[i].price))).toBeCloseTo(1, 4)
    expect(values['kind.accuracy']).toBeCloseTo(
      mean((i) => Number(answers[i].kind.label === homes[i].kind)),
      6,
    )
    expect(values['sale.accuracy']).toBeCloseTo(
      mean((i) => Number(answers[i].sale.label === homes[i].sale)),
      6,
    )
    const squares = mean((i) => answers[i].where.reduce((sum, x, j) => sum + (x - homes[i].where[j]) ** 2, 0) / 2)
    expect(values['where.rootMeanSquaredError']).toBeCloseTo(Math.sqrt(squares), 4)
    expect(await net.evaluate(homes, { metrics: { sale: ['recall'] } })).toEqual({
      'sale.recall': expect.any(Number),
    })
    expectTypeOf(answers[0].price).toEqualTypeOf<number>()
    expectTypeOf(answers[0].kind.label).toEqualTypeOf<'barn' | 'flat' | 'house'>()
    expectTypeOf(answers[0].sale.label).toEqualTypeOf<boolean>()
    expectTypeOf(answers[0].where).toEqualTypeOf<readonly number[]>()
    expectTypeOf(net.predictSync(homes[0])).toEqualTypeOf<(typeof answers)[number]>()
  })

  it('are the same through a file and in another order of calls', async () => {
    const net = await several()
    await net.save(join(directory, 'several.safetensors'))
    const opened = await loadTabular(join(directory, 'several.safetensors'))
    expect(await opened.predict(homes.slice(0, 9))).toEqual(await net.predict(homes.slice(0, 9)))
  })
})

describe('the answer to a row', () => {
  const fitted = schema({ sqft: column.number(), place: column.category(), price: target.number() }).fit(homes)
  const classes = schema({ sqft: column.number(), place: column.category(), kind: target.category() }).fit(homes)

  it('has the type that the schema gives', async () => {
    const net = tabular(await fitted, small)
    expectTypeOf(net.predict({ sqft: 1, place: 'Ames' })).resolves.toEqualTypeOf<{ readonly price: number }>()
    expectTypeOf(net.predictSync([{ sqft: 1, place: 'Ames' }])).toEqualTypeOf<{ readonly price: number }[]>()
    // @ts-expect-error A house has a place.
    await expectRefusal(() => net.predict({ sqft: 1 }), 'ERR_DATA', 'predict: ', 'column "place"', 'a row without it')
    const of = tabular(await classes, small)
    const { kind, probability, probabilities } = await of.predict({ sqft: 1, place: 'Ames' })
    expect(probability).toBe(probabilities[kind])
    expect(Object.keys(probabilities)).toEqual(['barn', 'flat', 'house'])
    expect(Object.values(probabilities).reduce((a, b) => a + b)).toBeCloseTo(1, 10)
  })

  it('does not depend on what is asked beside or before it', async () => {
    const net = tabular(await schema({ ...kinds, price: target.number() }).fit(homes), small)
    await net.fit(homes, quick)
    const alone = homes.map((row) => net.predictSync(row))
    const together = await net.predict(homes)
    const close = (answers: readonly { price: number }[]) =>
      answers.forEach(({ price }, i) => expect(price / alone[i].price).toBeCloseTo(1, 5))
    close(together)
    const crossed = await Promise.all([net.predict(homes), ...homes.map((row) => net.predict(row)), net.predict(homes.slice().reverse())])
    expect(crossed[0]).toEqual(together)
    close(crossed.slice(1, -1) as { price: number }[])
    close((crossed.at(-1) as { price: number }[]).slice().reverse())
    expect(await net.predict([])).toEqual([])
    expect(net.predictSync([])).toEqual([])
    // More than are encoded together.
    const many = Array.from({ length: 2500 }, (_, i) => homes[i % 300])
    close((await net.predict(many)).slice(2100, 2400))
    close(net.predictSync(many).slice(2100, 2400))
  })

  it('is given beside training by predict, which waits, and not by predictSync', async () => {
    const net = tabular(await fitted, { hidden: [512] })
    const stop = new AbortController()
    let run: Promise<unknown> = Promise.resolve()
    await new Promise<void>((onProgress) => {
      run = net.fit(homes, { epochs: 1e5, batchSize: 8, signal: stop.signal, onProgress: () => onProgress() })
    })
    await expectRefusal(() => net.predictSync({ sqft: 1, place: 'Ames' }), 'ERR_BUSY', 'predictSync', 'use predict')
    const waiting = net.predict({ sqft: 1, place: 'Ames' })
    stop.abort()
    await expectRefusal(() => run, 'ABORT_ERR')
    expect((await waiting).price).toBeTypeOf('number')
  })

  it('takes no more memory the more there are', async () => {
    const net = tabular(await fitted, small)
    const [one, some] = [homes[0], homes.slice(0, 40)]
    const ask = async (times: number) => {
      for (let i = 0; i < times; i++) {
        net.predictSync(one)
        if (i % 20 === 0) await net.predict(some)
      }
    }
    await ask(20_000)
    const before = process.memoryUsage()
    await ask(80_000)
    const after = process.memoryUsage()
    expect(after.external - before.external).toBeLessThan(30e6)
    expect(after.rss - before.rss).toBeLessThan(60e6)
  })

  it('is found in another thread from the same weights', async () => {
    const net = tabular(await classes, small)
    const worker = start({ kind: 'serveRows' })
    const ask = (message: unknown) => {
      const answer = answerOf(worker)
      worker.postMessage(message)
      return answer
    }
    expect(await answerOf(worker)).toBe('ready')
    expect(await ask(net.share())).toBe('opened')
    const rows = homes.map(({ sqft, place }) => ({ sqft, place }))
    const before = await net.predict(rows)
    expect(await ask(rows)).toEqual(before)
    await net.fit(homes, quick)
    expect(await net.predict(rows)).not.toEqual(before)
    expect(await ask(rows)).toEqual(await net.predict(rows))
    await worker.terminate()
    await expectRefusal(() => openSharedTabular(net.network.share() as never), 'ERR_DATA', 'openSharedTabular', 'share()')
    await expectRefusal(() => openSharedTabular(undefined as never), 'ERR_DATA', 'got undefined')
    await expectRefusal(() => openSharedTabular({ ...net.share(), schema: '{}' }), 'ERR_DATA', 'openSharedTabular: schema')
  })

  it('goes through streams and predictors, bad rows apart', async () => {
    const net = tabular(await fitted, small)
    const expected = await net.predict(homes)
    const found: unknown[] = []
    const rows = homes.map((row, i) => (i === 7 ? { ...row, sqft: 'wide' } : row))
    const onError = (error: Error, _row: unknown, i: number) => ({ price: `${i}: ${error.message}` })
    await pipeline(rows, net.transform({ batchSize: 16, onError: onError as never }), async (answers: AsyncIterable<unknown>) => {
      for await (const answer of answers) found.push(answer)
    })
    expect(found).toHaveLength(300)
    expect(found[7]).toEqual({
      price:
        '7: transform: row 7, column "sqft": expected a number, got "wide"; if it stands for a missing value, say so: column.number({ missingValues: ["NA","N/A","null","wide"] }).',
    })
    for (const i of [0, 6, 8, 299]) expect((found[i] as { price: number }).price / expected[i].price).toBeCloseTo(1, 5)
    const stopping = async () => {
      for await (const _ of net.predictStream(rows as typeof homes));
    }
    await expectRefusal(stopping, 'ERR_DATA', 'predictStream: row 7, column "sqft"')
    const predictor = net.predictor()
    const asked = await Promise.allSettled(rows.slice(0, 20).map((row) => predictor.predict(row as (typeof homes)[number])))
    expect(asked.filter(({ status }) => status === 'rejected')).toHaveLength(1)
    expect(String((asked[7] as PromiseRejectedResult).reason)).toContain('predict, column "sqft"')
  })
})

describe('fit', () => {
  const fitted = schema({ sqft: column.number(), place: column.category(), price: target.number() }).fit(homes)
  const build = async () => tabular(await fitted, small)

  it('leaves rows without a target out if that is asked for', async () => {
    const gaps = homes.map((row, i) => (i % 4 === 1 ? { ...row, price: null } : row))
    const known = gaps.filter(({ price }) => price !== null) as typeof homes
    const [net, other] = [await build(), await build()]
    await net.fit(gaps, { ...quick, missingTarget: 'skip', validationData: gaps })
    await other.fit(known, { ...quick, validationData: known })
    expect(bitsOf(net.network)).toEqual(bitsOf(other.network))
    expect(await net.evaluate(gaps, { missingTarget: 'skip' })).toEqual(await other.evaluate(known))
    await expectRefusal(() => net.evaluate(gaps), 'ERR_DATA', 'evaluate: row 1, column "price"', 'missingTarget: "skip"')
    await expectRefusal(() => net.fit(gaps, quick), 'ERR_DATA', 'fit: row 1, column "price"')
    await expectRefusal(
      () =>
        net.fit(
          gaps.filter(({ price }) => price === null),
          { missingTarget: 'skip' },
        ),
      'ERR_DATA',
      '75 without',
    )
    await expectRefusal(() => net.fit(dataset(gaps), { missingTarget: 'skip' }), 'ERR_OPTION', 'filter()')
  })

  it('holds out a share, stops early, calls back and is aborted', async () => {
    const net = await build()
    const seen: number[] = []
    const { epochs, stopped } = await net.fit(homes, {
      epochs: 50,
      validationSplit: 0.2,
      metrics: ['meanAbsoluteError'],
      earlyStopping: { patience: 1, minDelta: 10 },
      callbacks: [{ onEpochEnd: (epoch) => void seen.push(epoch) }],
    })
    expect(stopped).toBe('earlyStopping')
    expect(seen).toEqual(epochs.map((_, i) => i))
    expect(epochs[0]).toMatchObject({ validationLoss: expect.any(Number), validationMeanAbsoluteError: expect.any(Number) })
    const stop = new AbortController()
    const running = net.fit(homes, { epochs: 1e6, signal: stop.signal })
    await hasBegun()
    stop.abort()
    await expectRefusal(() => running, 'ABORT_ERR')
    await expectRefusal(() => net.fit(homes, { signal: AbortSignal.abort() }), 'ABORT_ERR')
    await expectRefusal(() => net.evaluate(homes, { signal: AbortSignal.abort() }), 'ABORT_ERR')
    await expectRefusal(() => net.predict(homes, { signal: AbortSignal.abort() }), 'ABORT_ERR')
    expect(await net.fit(homes, quick)).toMatchObject({ stopped: 'completed' })
  })

  it('says which row of what does not fit, and changes nothing', async () => {
    const net = await build()
    const before = bitsOf(net.network)
    const bad = homes.map((row, i) => (i === 211 ? { ...row, price: 'dear' } : row)) as typeof homes
    await expectRefusal(() => net.fit(bad), 'ERR_DATA', 'fit: row 211, column "price": expected a number, got "dear"')
    await expectRefusal(() => net.fit(homes, { validationData: bad }), 'ERR_DATA', 'fit: validationData: row 211, column "price"')
    await expectRefusal(() => net.fit(homes, { validationData: null as never }), 'ERR_OPTION', 'fit: validationData: expected an array')
    const streamed = await expectRefusal(() => net.fit(dataset(bad), quick), 'ERR_DATA', 'element 211, column "price": expected a number')
    expect(streamed.message).not.toContain('row')
    await expectRefusal(() => net.fit([]), 'ERR_DATA', 'fit: expected rows with a target, got none')
    await expectRefusal(() => net.evaluate([]), 'ERR_DATA', 'evaluate: expected rows to measure, got none')
    await expectRefusal(() => net.fit({} as never), 'ERR_OPTION', 'an array of rows or a dataset')
    await expectRefusal(() => net.evaluate(5 as never), 'ERR_OPTION', 'evaluate', 'got 5')
    await expectRefusal(() => net.fit([5] as never), 'ERR_DATA', 'fit: row 0: expected a row', 'got 5')
    await expectRefusal(() => net.fit(homes, { rows: 3 }), 'ERR_OPTION', 'rows is for datasets')
    await expectRefusal(
      () =>
        net.fit(
          dataset(() => homes.values()),
          { rows: 0 },
        ),
      'ERR_OPTION',
      'rows must be',
    )
    await expectRefusal(() => net.fit(homes, { epochs: 1.5 }), 'ERR_OPTION', 'fit: epochs')
    await expectRefusal(() => net.fit(homes, { optimizer: 'sgd', learningRate: 1 }), 'ERR_OPTION', 'not both')
    await expectRefusal(() => net.fit(homes, { seed: 1 } as never), 'ERR_OPTION', 'seed', 'an option of tabular')
    await expectRefusal(() => net.fit(homes, { missingTarget: 'drop' as never }), 'ERR_OPTION', 'missingTarget', 'drop')
    expect(bitsOf(net.network)).toEqual(before)
    // The dataset says otherwise than it holds.
    await expectRefusal(
      () =>
        net.fit(
          dataset(() => homes.values()),
          { ...quick, rows: 299 },
        ),
      'ERR_DATA',
      'expected 299',
    )
  })

  it('says which metrics there are', async () => {
    const net = await build()
    await expectRefusal(() => net.evaluate(homes, { metrics: ['r2'] as never }), 'ERR_OPTION', 'evaluate', 'r2')
    await expectRefusal(() => net.evaluate(homes, { metrics: { prize: ['r2Score'] } }), 'ERR_OPTION', 'prize', 'price')
    await expectRefusal(() => net.evaluate(homes, { metrics: 'r2Score' as never }), 'ERR_OPTION', 'must be an array')
    await expectRefusal(() => net.evaluate(homes, { metrics: { price: 'r2Score' as never } }), 'ERR_OPTION', '"price" must be an array')
    await expectRefusal(() => net.evaluate(homes, ['r2Score'] as never), 'ERR_OPTION', 'options must be an object')
    expect(Object.keys(await net.evaluate(homes, { metrics: { price: ['r2Score'] } }))).toEqual(['r2Score'])
  })
})

describe('a network of your own', () => {
  const fitted = schema({ sqft: column.number(), place: column.category({ encode: 'embedding' }), price: target.number() }).fit(homes)

  it('is made of the inputs of the schema', async () => {
    const net = tabular(await fitted, {
      network: ([{ tensor: features }, { tensor: categories, sizes }]) => {
        expect(sizes).toEqual([5])
        return dense(concatenate([features, flatten(embedding(categories, 5, 2))]), 1)
      },
    })
    const { epochs } = await net.fit(homes, { ...quick, loss: 'huber', optimizer: 'adam' })
    expect(epochs[2].loss).toBeLessThan(epochs[0].loss)
    expect(net.predictSync(homes[0]).price).toBeGreaterThan(0)
  })

  it('is refused if it does not fit', async () => {
    const good = await schema({ sqft: column.number(), price: target.number() }).fit(homes)
    await expectRefusal(() => tabular(good, { network: ([{ tensor }]) => dense(tensor, 2) }), 'ERR_OPTION', '"price"', '[batch, 1]')
    await expectRefusal(() => tabular(good, { network: () => 5 as never }), 'ERR_OPTION', 'network must give', 'got 5')
    await expectRefusal(() => tabular(good, { network: ([{ tensor }]) => dense(tensor, 1), members: 3 }), 'ERR_OPTION', 'members')
    await expectRefusal(() => tabular(good, { layers: [3] } as never), 'ERR_OPTION', 'hidden')
    expect(tabular(good, { network: ([{ tensor }]) => dense(tensor, 1), members: undefined })).toBeInstanceOf(TabularModel)
  })
})

describe('what makes no model for rows', () => {
  it('is refused: a schema that is not fitted, a network that is no function', async () => {
    const columns = schema({ sqft: column.number(), price: target.number() })
    for (const wrong of [columns, undefined])
      await expectRefusal(() => tabular(wrong as never), 'ERR_OPTION', 'tabular: expected a fitted schema')
    const fitted = await columns.fit(homes)
    await expectRefusal(() => tabular(fitted, { network: 5 as never }), 'ERR_OPTION', 'tabular: network must be a function', '5')
  })
})

describe('a report', () => {
  it('stops at its signal, and names itself in errors', async () => {
    const net = tabular(await schema({ sqft: column.number(), price: target.number() }).fit(homes), small)
    await expectRefusal(() => tableReport(net, [{ sqft: 'x', price: 1 }] as never), 'ERR_DATA', 'tableReport: row 0, column "sqft"')
    const options = { signal: AbortSignal.abort() }
    await expectRefusal(() => tableReport(net, homes, options), 'ABORT_ERR', 'tableReport')
  })
})

describe('real houses', () => {
  it('are valued well after a few epochs, and streamed from the file', async () => {
    const rows = csv(ames).take(1600)
    const houses = await (await inferSchema(rows, { target: 'Sale_Price' })).fit(rows)
    const net = tabular(houses, { members: 2, hidden: [64] })
    await net.fit(await rows.toArray(), { epochs: 8 })
    const unseen = csv(ames).skip(1600)
    const { r2Score, rootMeanSquaredError } = await net.evaluate(unseen)
    expect(r2Score).toBeGreaterThan(0.8)
    expect(rootMeanSquaredError).toBeLessThan(40_000)
    const { Sale_Price: answer } = await net.predict((await unseen.take(1).toArray())[0] as Row)
    expect(answer).toBeGreaterThan(30_000)
  })

  it('are answered line by line by the example of streams', async () => {
    const houses = await (await inferSchema(csv(ames).take(200), { target: 'Sale_Price' })).fit(csv(ames).take(200))
    const net = tabular(houses, small)
    const lines = (await readFile(ames, 'utf8')).split('\n').slice(0, 21)
    const at = lines[0].split(',').indexOf('Lot_Area')
    lines[8] = lines[8].split(',').with(at, 'wide').join(',')
    let written = ''
    const to = new Writable({
      write(chunk, _, done) {
        written += chunk
        done()
      },
    })
    expect(await answer(net, Readable.from([lines.join('\n')]), to)).toBe(1)
    const answers = written
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(answers).toHaveLength(20)
    expect(answers[7].error).toContain('row 7, column "Lot_Area": expected a number, got "wide"')
    const expected = await net.predict(await csv(ames).take(20).toArray())
    for (const i of [0, 6, 8, 19]) expect(answers[i].Sale_Price / (expected[i].Sale_Price as number)).toBeCloseTo(1, 5)
  })
})
