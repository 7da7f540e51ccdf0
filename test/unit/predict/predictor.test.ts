import { getEventListeners } from 'node:events'
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { dense, input, sequential } from '../../../src/index.ts'
import { Predictor } from '../../../src/predict/predictor.ts'
import { expectRefusal } from '../../training/support.ts'
import { gate, Tenfold } from './support.ts'

describe('a predictor', () => {
  it('joins requests of one turn of the event loop, and answers each', async () => {
    const target = new Tenfold()
    const predictor = new Predictor(target)
    expect(await Promise.all([1, 2, 3].map((row) => predictor.predict(row)))).toEqual([10, 20, 30])
    expect(await predictor.predict(4)).toBe(40)
    expect(target.batches).toEqual([[1, 2, 3], [4]])
  })

  it('waits for others when it is told to', async () => {
    const target = new Tenfold()
    const predictor = new Predictor(target, { maxLatency: 200, maxBatch: 2 })
    const first = predictor.predict(1)
    await wait(20)
    expect(target.batches).toEqual([])
    expect(await Promise.all([first, predictor.predict(2)])).toEqual([10, 20])
    expect(target.batches).toEqual([[1, 2]])
  })

  it('predicts one batch at a time, of at most maxBatch, and collects meanwhile', async () => {
    const target = new Tenfold()
    const { promise, open } = gate()
    target.gate = promise
    const predictor = new Predictor(target, { maxBatch: 4 })
    const answers = [predictor.predict(0)]
    await turn()
    await turn()
    for (let row = 1; row < 11; row++) answers.push(predictor.predict(row))
    expect(predictor.queued).toBe(10)
    open()
    expect(await Promise.all(answers)).toEqual(Array.from({ length: 11 }, (_, i) => i * 10))
    expect(target.batches).toEqual([[0], [1, 2, 3, 4], [5, 6, 7, 8], [9, 10]])
    expect(target.atOnce).toBe(1)
  })

  it('rejects a bad row alone', async () => {
    const predictor = new Predictor(new Tenfold())
    const answers = await Promise.allSettled([1, -2, 3, -4].map((row) => predictor.predict(row)))
    expect(answers.map((answer) => (answer.status === 'fulfilled' ? answer.value : answer.reason.message))).toEqual([
      10,
      'predict: expected numbers of at least 0, got -2.',
      30,
      'predict: expected numbers of at least 0, got -4.',
    ])
  })

  it('rejects all rows of a batch that fails as a whole, and goes on', async () => {
    const target = new Tenfold()
    const { predictRows } = target
    target.predictRows = () => Promise.reject(new Error('out of order'))
    const predictor = new Predictor(target)
    const answers = await Promise.allSettled([predictor.predict(1), predictor.predict(2)])
    expect(answers.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    target.predictRows = predictRows
    expect(await predictor.predict(3)).toBe(30)
  })

  it('refuses a row when too many wait', async () => {
    const { promise, open } = gate()
    const target = new Tenfold()
    target.gate = promise
    const predictor = new Predictor(target, { maxBatch: 1, maxQueue: 2 })
    const answers = [1, 2, 3].map((row) => predictor.predict(row))
    await expectRefusal(() => predictor.predict(4), 'ERR_BUSY', '2 rows wait already', 'maxQueue')
    open()
    expect(await Promise.all(answers)).toEqual([10, 20, 30])
    expect(await predictor.predict(4)).toBe(40)
  })

  it('gives up a row whose signal says so, and only that', async () => {
    const { promise, open } = gate()
    const target = new Tenfold()
    target.gate = promise
    const predictor = new Predictor(target, { maxBatch: 1 })
    const [running, waiting, kept] = [new AbortController(), new AbortController(), new AbortController()]
    const answers = [running, waiting, kept].map(({ signal }, row) => predictor.predict(row, { signal }))
    waiting.abort(new Error('gone'))
    running.abort()
    expect(await expectRefusal(() => answers[1], 'ABORT_ERR')).toMatchObject({ name: 'AbortError', cause: new Error('gone') })
    await expectRefusal(() => answers[0], 'ABORT_ERR')
    expect(predictor.queued).toBe(1)
    open()
    expect(await answers[2]).toBe(20)
    expect(target.batches).toEqual([[0], [2]])
    expect([running, waiting, kept].flatMap(({ signal }) => getEventListeners(signal, 'abort'))).toEqual([])
    await expectRefusal(() => predictor.predict(1, { signal: AbortSignal.abort() }), 'ABORT_ERR')
  })

  it('drains when it is closed, and takes no more', async () => {
    const target = new Tenfold()
    const predictor = new Predictor(target, { maxLatency: 60_000, maxBatch: 4 })
    const answers = Array.from({ length: 6 }, (_, row) => predictor.predict(row))
    const closing = predictor.close()
    await expectRefusal(() => predictor.predict(9), 'ERR_BUSY', 'closed')
    await closing
    expect(target.running).toBe(0)
    expect(await Promise.all(answers)).toEqual([0, 10, 20, 30, 40, 50])
    await predictor.close()
    await predictor[Symbol.asyncDispose]()
  })

  it('stops at its signal: what waits is rejected, what runs is answered', async () => {
    const { promise, open } = gate()
    const target = new Tenfold()
    target.gate = promise
    const controller = new AbortController()
    const predictor = new Predictor(target, { maxBatch: 1, signal: controller.signal })
    const answers = [1, 2].map((row) => predictor.predict(row))
    controller.abort()
    await expectRefusal(() => answers[1], 'ABORT_ERR', 'stopped')
    await expectRefusal(() => predictor.predict(3), 'ABORT_ERR')
    open()
    expect(await answers[0]).toBe(10)
    await expectRefusal(() => new Predictor(target, { signal: controller.signal }).predict(1), 'ABORT_ERR')
    const { signal } = new AbortController()
    await new Predictor(target, { signal }).close()
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })

  it.each<[unknown, ...string[]]>([
    [{ maxBatch: 0 }, 'maxBatch'],
    [{ maxQueue: -1 }, 'maxQueue'],
    [{ maxLatency: '1' }, 'maxLatency'],
    [{ signal: 1 }, 'signal'],
    [{ batchSize: 8 }, 'did you mean "maxBatch"'],
    [8, 'options must be an object'],
  ])('refuses %j', async (options, ...parts) => {
    await expectRefusal(() => new Predictor(new Tenfold(), options as never), 'ERR_OPTION', 'predictor', ...parts)
  })

  it('refuses a target that predicts no rows', async () => {
    for (const target of [null, {}, sequential([input(2), dense(1)])])
      await expectRefusal(() => new Predictor(target as never), 'ERR_OPTION', 'predictRows', 'model.predictor')
  })

  it('refuses options of a request that it does not know', async () => {
    const predictor = new Predictor(new Tenfold())
    await expectRefusal(() => predictor.predict(1, { timeout: 5 } as never), 'ERR_OPTION', 'timeout')
    await expectRefusal(() => predictor.predict(1, { signal: 5 } as never), 'ERR_OPTION', 'signal')
  })
})
