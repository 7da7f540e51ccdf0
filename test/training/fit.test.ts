/** fit: what it learns, in which order it goes through the data, when it stops, and what it tells. */
import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import {
  adam,
  dense,
  dropout,
  type EpochValues,
  type FitOptions,
  flatten,
  input,
  type Progress,
  sequential,
  sgd,
  type Tensor,
  type TrainEvent,
} from '../../src/index.ts'
import { bitsOf, executors, expectRefusal, line, oneHotRows, rows, scaledBy, scaledError, stepsOf, sumLoss, xor } from './support.ts'

describe.each(executors)('on the %s executor', (executor) => {
  const still = sgd({ learningRate: 0 })

  /** Sample i touches weight i alone. All weights start at 0, so the loss of a step tells which samples it had. */
  const ledger = (count: number, options = {}) =>
    sequential([input(count), dense(1, { useBias: false, kernelInitializer: 'zeros' })], { executor, ...options })
  /** Targets whose squares are all different. */
  const ledgerData = (count: number) => ({ x: oneHotRows(count), y: Array.from({ length: count }, (_, i) => i + 1) })

  it('learns XOR', async () => {
    const net = sequential([input(2), dense(8, { activation: 'tanh' }), dense(1)], { executor, seed: 1 })
    const { epochs } = await net.fit(xor, {
      loss: 'binaryCrossentropy',
      metrics: ['accuracy'],
      optimizer: adam({ learningRate: 0.05 }),
      epochs: 200,
      batchSize: 4,
    })
    expect(epochs[0].loss).toBeGreaterThan(0.5)
    expect(epochs[199].loss).toBeLessThan(0.02)
    expect(epochs[199].accuracy).toBe(1)
    const { data } = await net.predict(xor.x)
    expect([...data].map((logit) => (logit > 0 ? 1 : 0))).toEqual(xor.y.flat())
  })

  it('tells three classes apart', async () => {
    const x = rows(90, 2, 1, -1, 1)
    const y = x.map(([a, b]) => (a > 0 ? (b > 0 ? 0 : 1) : 2))
    const net = sequential([input(2), dense(16, { activation: 'relu' }), dense(3)], { executor, seed: 2 })
    const options = { loss: 'sparseCategoricalCrossentropy', metrics: ['accuracy'] } as const
    await net.fit({ x, y }, { ...options, optimizer: adam({ learningRate: 0.03 }), epochs: 60, batchSize: 16 })
    expect((await net.evaluate({ x, y }, options)).accuracy).toBeGreaterThan(0.95)
  })

  describe('the history', () => {
    it('has the values of every epoch', async () => {
      const history = await ledger(6).fit(ledgerData(6), { loss: 'meanSquaredError', metrics: ['meanAbsoluteError'], epochs: 3 })
      expect(Object.keys(history)).toEqual(['epochs', 'stopped', 'bestEpoch'])
      expect(history).toMatchObject({ stopped: 'completed', bestEpoch: null })
      expect(history.epochs.map((values) => Object.keys(values))).toEqual(new Array(3).fill(['loss', 'meanAbsoluteError']))
      expect(history.epochs[2].loss).toBeLessThan(history.epochs[0].loss)
    })

    it('has the mean over samples, a smaller last batch counted as what it is', async () => {
      // 1² … 10² in batches of 4, 4 and 2.
      for (const shuffle of [true, false]) {
        const { epochs } = await ledger(10).fit(ledgerData(10), {
          loss: 'meanSquaredError',
          optimizer: still,
          batchSize: 4,
          shuffle,
          epochs: 2,
        })
        expect(epochs.map(({ loss }) => Math.abs(loss - 38.5) < 1e-5)).toEqual([true, true])
      }
    })

    it('one step an epoch, one sample, one weight', async () => {
      const history = await sequential([input(1), scaledBy(1)], { executor }).fit({ x: [3], y: [1] }, { loss: 'meanSquaredError' })
      expect(history.epochs).toEqual([{ loss: 4 }])
    })
  })

  describe('the order of the samples', () => {
    /** Which sample each step of each epoch had. */
    const orders = async (options: Partial<FitOptions>, seed = 1, count = 12) => {
      const net = ledger(count, { seed })
      const found: number[][] = []
      for await (const event of net.train(ledgerData(count), { loss: 'meanSquaredError', optimizer: still, batchSize: 1, ...options })) {
        if (event.type === 'epoch') continue
        found[event.epoch] ??= []
        found[event.epoch].push(Math.round(Math.sqrt(event.loss)) - 1)
      }
      return found
    }
    const inOrder = Array.from({ length: 12 }, (_, i) => i)
    const sorted = (order: readonly number[]) => [...order].sort((a, b) => a - b)

    it('is that of the data without shuffle', async () => {
      expect(await orders({ shuffle: false, epochs: 2 })).toEqual([inOrder, inOrder])
    })

    it('is another one in every epoch, each sample once, by default', async () => {
      const found = await orders({ epochs: 3 })
      expect(found.map(sorted)).toEqual([inOrder, inOrder, inOrder])
      expect(new Set([inOrder, ...found].map(String)).size).toBe(4)
    })

    it('is decided by the seed', async () => {
      expect(await orders({ epochs: 2 }, 5)).toEqual(await orders({ epochs: 2 }, 5))
      expect(await orders({ epochs: 2 }, 5)).not.toEqual(await orders({ epochs: 2 }, 6))
    })

    it('does not depend on the number of epochs', async () => {
      expect((await orders({ epochs: 3 })).slice(0, 2)).toEqual(await orders({ epochs: 2 }))
    })
  })

  describe('short epochs, many of which run in one crossing', () => {
    const network = () => sequential([input(3), dense(6, { activation: 'tanh' }), dropout(0.3), dense(2)], { executor, seed: 7 })
    const data = { x: rows(12, 3), y: rows(12, 2) }
    const options = { loss: 'meanSquaredError', metrics: ['meanAbsoluteError'], epochs: 80, batchSize: 4 } as const

    it('give the history and the weights of epochs that run one at a time', async () => {
      const [together, apart] = [network(), network()]
      const history = await together.fit(data, options)
      const ends: EpochValues[] = []
      await apart.fit(data, { ...options, onEpochEnd: (_, values) => void ends.push(values) })
      expect(history.epochs).toEqual(ends)
      expect(bitsOf(together)).toEqual(bitsOf(apart))
    })

    it('report where they are', async () => {
      const seen: Progress[] = []
      await network().fit(data, { ...options, onProgress: (progress) => seen.push(progress) })
      expect(seen.map(({ epoch }) => epoch)).toEqual(seen.map(({ epoch }) => epoch).sort((a, b) => a - b))
      expect(seen.every(({ steps }) => steps === 3)).toBe(true)
      expect(seen.at(-1)).toMatchObject({ epoch: 79, step: 3 })
    })

    it('stop within a step, and say in which epoch', async () => {
      const stop = new AbortController()
      const onProgress = ({ epoch }: { epoch: number }) => {
        if (epoch > 1) stop.abort()
      }
      const running = network().fit(data, { ...options, epochs: 1e6, signal: stop.signal, onProgress })
      const { message } = await expectRefusal(() => running, 'ABORT_ERR', 'Training was stopped in epoch')
      const [, epoch, step] = /epoch (\d+), after (\d) of 3 steps/.exec(message) ?? []
      expect(Number(epoch)).toBeGreaterThan(1)
      expect(Number(step)).toBeLessThan(3)
    })

    it('name the step that went wrong', async () => {
      const wild = { ...options, optimizer: sgd({ learningRate: 1e3 }), epochs: 1000 }
      const { message } = await expectRefusal(() => network().fit(data, wild), 'ERR_NON_FINITE')
      const apart = await expectRefusal(() => network().fit(data, { ...wild, onEpochEnd: () => {} }), 'ERR_NON_FINITE')
      expect(message).toBe(apart.message)
    })
  })

  describe('validation', () => {
    it('is that of the data given, after each epoch, without dropout', async () => {
      const validationData = { x: rows(11, 2, 3), y: rows(11, 1, 4) }
      const net = sequential([input(2), dense(6, { activation: 'tanh' }), dropout(0.5), dense(1)], { executor, seed: 3 })
      const measured: unknown[] = []
      const options = { loss: 'meanSquaredError', metrics: ['r2Score'] } as const
      const { epochs } = await net.fit(
        { x: rows(16, 2, 1), y: rows(16, 1, 2) },
        {
          ...options,
          epochs: 3,
          batchSize: 5,
          validationData,
          onEpochEnd: async () => {
            const { loss, r2Score } = await net.evaluate(validationData, options)
            measured.push({ validationLoss: loss, validationR2Score: r2Score })
          },
        },
      )
      expect(epochs.map(({ validationLoss, validationR2Score }) => ({ validationLoss, validationR2Score }))).toEqual(measured)
      expect(new Set(epochs.map(({ validationLoss }) => validationLoss)).size).toBe(3)
    })

    it('changes nothing about training', async () => {
      const data = { x: rows(16, 2, 1), y: rows(16, 1, 2) }
      const make = () => sequential([input(2), dense(6), dropout(0.3), dense(1)], { executor, seed: 3 })
      const [net, twin] = [make(), make()]
      await net.fit(data, { loss: 'meanSquaredError', epochs: 3, validationData: data })
      await twin.fit(data, { loss: 'meanSquaredError', epochs: 3 })
      expect(bitsOf(net)).toEqual(bitsOf(twin))
    })

    it('split off is never trained on', async () => {
      const heldOut = async (seed: number) => {
        const net = ledger(20, { seed })
        const { epochs } = await net.fit(
          { x: oneHotRows(20), y: new Array(20).fill(1) },
          { loss: 'meanSquaredError', optimizer: sgd({ learningRate: 0.1 }), epochs: 3, batchSize: 4, validationSplit: 0.25 },
        )
        // What was never seen is still predicted as 0, at a loss of 1.
        expect(epochs.map(({ validationLoss }) => validationLoss)).toEqual([1, 1, 1])
        expect(epochs[2].loss).toBeLessThan(1)
        const { data } = net.weights()['dense_1.kernel']
        return [...data.keys()].filter((i) => data[i] === 0)
      }
      const found = await heldOut(1)
      expect(found.length).toBe(5)
      expect(await heldOut(1)).toEqual(found)
      expect(await heldOut(2)).not.toEqual(found)
    })

    const images = Array.from({ length: 8 }, (_, i) => rows(2, 3, i))
    it.each([
      ['numbers of several dimensions', 'meanSquaredError', images.map((_, i) => rows(2, 4, 20 + i)), dense(4)],
      ['class numbers', 'sparseCategoricalCrossentropy', images.map((_, i) => i % 3), (t: Tensor) => dense(flatten(t), 3)],
    ] as const)('split off works for %s', async (_, loss, y, layer) => {
      const net = sequential([input([2, 3]), layer], { executor })
      const data = { x: images, y: [...y] }
      const { epochs } = await net.fit(data, { loss, validationSplit: 0.5, optimizer: still })
      // Half of the samples each: the two halves make the whole.
      const whole = await net.evaluate(data, { loss })
      expect(Math.abs((epochs[0].loss + epochs[0].validationLoss) / 2 - whole.loss)).toBeLessThan(1e-6)
      expect(epochs[0].loss).not.toBe(epochs[0].validationLoss)
    })
  })

  describe('early stopping', () => {
    /** One weight on its way from 0 to 1, judged by how far it is from 0.5: gets better, then worse. */
    const passing = () => line(executor)
    const data = { x: [[1]], y: [[1]] }
    const options: FitOptions = {
      loss: 'meanSquaredError',
      optimizer: sgd({ learningRate: 0.04 }),
      epochs: 50,
      validationData: { x: [[1]], y: [[0.5]] },
    }

    it('puts the weights of the best epoch back', async () => {
      const net = passing()
      const weights: unknown[] = []
      const { epochs, stopped, bestEpoch } = await net.fit(data, {
        ...options,
        earlyStopping: { patience: 3 },
        onEpochEnd: () => {
          weights.push(bitsOf(net))
        },
      })
      const validation = epochs.map(({ validationLoss }) => validationLoss)
      expect(stopped).toBe('earlyStopping')
      expect(bestEpoch).toBe(validation.indexOf(Math.min(...validation)))
      expect(bestEpoch).toBeGreaterThan(2)
      expect(epochs.length).toBe((bestEpoch as number) + 3 + 1)
      expect(bitsOf(net)).toEqual(weights[bestEpoch as number])
      expect(bitsOf(net)).not.toEqual(weights[weights.length - 1])
    })

    it('keeps the last weights if told so', async () => {
      const net = passing()
      let last: unknown
      const { epochs, bestEpoch } = await net.fit(data, {
        ...options,
        earlyStopping: { patience: 0, restoreBestWeights: false },
        onEpochEnd: () => {
          last = bitsOf(net)
        },
      })
      expect(epochs.length).toBe((bestEpoch as number) + 1 + 1)
      expect(bitsOf(net)).toEqual(last)
    })

    it('does not stop before the last epoch while things get better, and still restores', async () => {
      const net = passing()
      const { epochs, stopped, bestEpoch } = await net.fit(data, { ...options, epochs: 4, earlyStopping: { patience: 1 } })
      expect({ epochs: epochs.length, stopped, bestEpoch }).toEqual({ epochs: 4, stopped: 'completed', bestEpoch: 3 })
    })

    it('restores the best weights when the run is stopped otherwise', async () => {
      const net = passing()
      const weights: unknown[] = []
      const { bestEpoch, stopped } = await net.fit(data, {
        ...options,
        earlyStopping: { patience: 40 },
        onEpochEnd: (epoch) => {
          weights.push(bitsOf(net))
          return epoch < 30
        },
      })
      expect(stopped).toBe('onEpochEnd')
      expect(bestEpoch).toBeLessThan(20)
      expect(bitsOf(net)).toEqual(weights[bestEpoch as number])
    })

    it('counts only changes above minDelta', async () => {
      const { epochs, bestEpoch } = await passing().fit(data, { ...options, earlyStopping: { patience: 2, minDelta: 10 } })
      expect({ epochs: epochs.length, bestEpoch }).toEqual({ epochs: 3, bestEpoch: 0 })
    })

    it('watches the loss where there is no validation', async () => {
      const { epochs, stopped, bestEpoch } = await passing().fit(data, {
        loss: 'meanSquaredError',
        optimizer: still,
        epochs: 9,
        earlyStopping: { patience: 2 },
      })
      expect({ epochs: epochs.length, stopped, bestEpoch }).toEqual({ epochs: 3, stopped: 'earlyStopping', bestEpoch: 0 })
    })

    it.each([
      ['r2Score', undefined, 'best'],
      ['meanAbsoluteError', undefined, 'best'],
      ['meanAbsoluteError', 'max', 'first'],
      ['r2Score', 'min', 'first'],
    ] as const)('watches %s with mode %s', async (monitor, mode, which) => {
      // Two samples, because r2Score needs targets that differ; the weight moves from 0 towards 1.
      const net = line(executor)
      const { epochs, bestEpoch } = await net.fit(
        { x: [[1], [2]], y: [[1], [2]] },
        {
          loss: 'meanSquaredError',
          metrics: [monitor],
          optimizer: sgd({ learningRate: 0.02 }),
          epochs: 8,
          earlyStopping: { monitor, mode, patience: 2 },
        },
      )
      expect(bestEpoch).toBe(which === 'best' ? 7 : 0)
      expect(epochs.length).toBe(which === 'best' ? 8 : 3)
    })
  })

  describe('callbacks', () => {
    it.each([
      ['at once', () => false as const],
      ['later', async () => wait(1, false as const)],
    ])('onEpochEnd may stop the run %s', async (_, stop) => {
      const seen: [number, EpochValues][] = []
      const { epochs, stopped } = await ledger(4).fit(ledgerData(4), {
        loss: 'meanSquaredError',
        epochs: 10,
        onEpochEnd: (epoch, values) => {
          seen.push([epoch, values])
          return epoch === 2 ? stop() : undefined
        },
      })
      expect(stopped).toBe('onEpochEnd')
      expect(seen).toEqual(epochs.map((values, epoch) => [epoch, values]))
      expect(epochs.length).toBe(3)
    })

    it('onEpochEnd may use the model', async () => {
      const net = ledger(4)
      const predictions: number[][] = []
      await net.fit(ledgerData(4), {
        loss: 'meanSquaredError',
        optimizer: sgd({ learningRate: 0.1 }),
        epochs: 2,
        onEpochEnd: async () => {
          predictions.push([...(await net.predict(oneHotRows(4))).data])
        },
      })
      expect(predictions[1]).toEqual([...net.weights()['dense_1.kernel'].data])
      expect(predictions[0]).not.toEqual(predictions[1])
    })

    it('onProgress reports every epoch up to its last step', async () => {
      const seen: Progress[] = []
      const { epochs } = await ledger(10).fit(ledgerData(10), {
        loss: 'meanSquaredError',
        epochs: 3,
        batchSize: 4,
        onProgress: (progress) => seen.push(progress),
      })
      expect(seen.length).toBeGreaterThanOrEqual(3)
      expect(new Set(seen.map(({ epochs: total, steps }) => `${total} ${steps}`))).toEqual(new Set(['3 3']))
      const last = new Map(seen.map(({ epoch, step }) => [epoch, step]))
      expect([...last]).toEqual([
        [0, 3],
        [1, 3],
        [2, 3],
      ])
      expect(seen.every(({ loss }) => loss > 0 && Number.isFinite(loss))).toBe(true)
      expect(epochs.length).toBe(3)
    })
  })

  describe('stopping from outside', () => {
    // Steps of one sample: seconds of work, if nobody stops it.
    const count = 300_000
    const long = { x: new Float32Array(count).fill(1), y: new Float32Array(count).fill(1) }
    const slow = () => sequential([input(1), dense(8, { activation: 'tanh' }), dense(1)], { executor, threads: 1 })

    it('by a signal ends the run within a step, and the model goes on', async () => {
      const net = slow()
      const reason = new Error('enough')
      const stop = new AbortController()
      const run = net.fit(long, { loss: 'meanSquaredError', batchSize: 1, signal: stop.signal, onProgress: () => stop.abort(reason) })
      const error = await expectRefusal(() => run, 'ABORT_ERR', 'Training was stopped in epoch 1', `of ${count} steps`)
      expect(error.name).toBe('AbortError')
      expect(error.cause).toBe(reason)
      const taken = stepsOf(net)
      expect(error.message).toContain(`after ${taken} of`)
      expect(taken).toBeGreaterThan(0)
      expect(taken).toBeLessThan(count)
      const weights = bitsOf(net)
      await wait(20)
      expect(bitsOf(net)).toEqual(weights)
      expect(stepsOf(net)).toBe(taken)
      expect((await net.fit(xorColumn, { loss: 'meanSquaredError' })).stopped).toBe('completed')
    })

    it('by a signal that was raised before changes nothing', async () => {
      const net = slow()
      const weights = bitsOf(net)
      const signal = AbortSignal.abort('never')
      await expectRefusal(() => net.fit(long, { loss: 'meanSquaredError', signal }), 'ABORT_ERR', 'after 0 of')
      await expectRefusal(() => net.evaluate(long, { loss: 'meanSquaredError', signal }), 'ABORT_ERR', 'Evaluation was stopped')
      const error = await expectRefusal(() => net.predict(long.x, { signal }), 'ABORT_ERR', 'Prediction was stopped')
      expect({ name: error.name, cause: error.cause }).toEqual({ name: 'AbortError', cause: 'never' })
      expect(bitsOf(net)).toEqual(weights)
      expect(stepsOf(net)).toBe(0)
    })

    it('is possible because the event loop stays free', async () => {
      const net = slow()
      const stop = new AbortController()
      let ticks = 0
      const timer = setInterval(() => {
        ticks += 1
        if (ticks === 5) stop.abort()
      }, 2)
      await expectRefusal(() => net.fit(long, { loss: 'meanSquaredError', batchSize: 1, signal: stop.signal }), 'ABORT_ERR')
      clearInterval(timer)
      expect(ticks).toBeGreaterThanOrEqual(5)
      expect(stepsOf(net)).toBeLessThan(count)
    })

    const xorColumn = { x: [[0], [1]], y: [[1], [0]] }

    it('train() leaves the model as it was when the loop was left', async () => {
      const net = slow()
      const events: TrainEvent[] = []
      for await (const event of net.train(long, { loss: 'meanSquaredError', batchSize: 1, epochs: 3 })) {
        events.push(event)
        if (events.length === 10) break
      }
      expect(events.map((event) => (event.type === 'step' ? event.step : null))).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
      const taken = stepsOf(net)
      expect(taken).toBeLessThan(count)
      const weights = bitsOf(net)
      await wait(20)
      expect(stepsOf(net)).toBe(taken)
      expect(bitsOf(net)).toEqual(weights)
      expect((await net.fit(xorColumn, { loss: 'meanSquaredError' })).stopped).toBe('completed')
    })
  })

  describe('train()', () => {
    const collect = async (options: Partial<FitOptions>) => {
      const net = ledger(10, { seed: 4 })
      const events: TrainEvent[] = []
      const all = { loss: 'meanSquaredError', optimizer: sgd({ learningRate: 0.1 }), batchSize: 4, ...options } as const
      for await (const event of net.train(ledgerData(10), all)) events.push(event)
      return { net, events }
    }

    it('gives every step once, in order, and each epoch after its steps', async () => {
      const { events } = await collect({ epochs: 2, validationData: ledgerData(10) })
      const steps = (epoch: number) => [0, 1, 2].map((step) => ['step', epoch, step])
      expect(events.map((event) => (event.type === 'step' ? ['step', event.epoch, event.step] : ['epoch', event.epoch]))).toEqual([
        ...steps(0),
        ['epoch', 0],
        ...steps(1),
        ['epoch', 1],
      ])
      for (const epoch of [0, 1]) {
        const losses = events.flatMap((event) => (event.type === 'step' && event.epoch === epoch ? [event.loss] : []))
        const [values] = events.flatMap((event) => (event.type === 'epoch' && event.epoch === epoch ? [event.values] : []))
        expect(Object.keys(values)).toEqual(['loss', 'validationLoss'])
        expect(Math.abs((4 * losses[0] + 4 * losses[1] + 2 * losses[2]) / 10 - values.loss)).toBeLessThan(1e-5)
      }
    })

    it('trains as fit does', async () => {
      const { net, events } = await collect({ epochs: 3, validationSplit: 0.2 })
      const twin = ledger(10, { seed: 4 })
      const { epochs } = await twin.fit(ledgerData(10), {
        loss: 'meanSquaredError',
        optimizer: sgd({ learningRate: 0.1 }),
        batchSize: 4,
        epochs: 3,
        validationSplit: 0.2,
      })
      expect(bitsOf(net)).toEqual(bitsOf(twin))
      expect(events.flatMap((event) => (event.type === 'epoch' ? [event.values] : []))).toEqual(epochs)
    })

    it('may be left at an epoch, at once, or by an error of the caller', async () => {
      const net = ledger(10)
      const options = { loss: 'meanSquaredError', batchSize: 4, epochs: 5 } as const
      for await (const event of net.train(ledgerData(10), options)) if (event.type === 'epoch') break
      expect(stepsOf(net)).toBe(3)
      await net.train(ledgerData(10), options).return()
      expect(stepsOf(net)).toBe(3)
      const fails = async () => {
        for await (const _ of net.train(ledgerData(10), options)) throw new RangeError('mine')
      }
      await expect(fails()).rejects.toThrow(RangeError)
      const before = stepsOf(net)
      await net.fit(ledgerData(10), { ...options, epochs: 1 })
      expect(stepsOf(net)).toBe(before + 3)
    })

    it('does not begin before the first event is asked for', async () => {
      const net = ledger(10)
      const events = net.train(ledgerData(10), { loss: 'meanSquaredError' })
      await wait(5)
      expect(stepsOf(net)).toBe(0)
      expect((await net.fit(ledgerData(10), { loss: 'meanSquaredError' })).stopped).toBe('completed')
      expect((await events.next()).value).toMatchObject({ type: 'step', step: 0 })
      await events.return()
    })
  })

  describe('predict and evaluate', () => {
    it('do not change the model', async () => {
      const net = sequential([input(2), dense(3), dropout(0.5), dense(1)], { executor })
      const before = bitsOf(net)
      await net.predict(xor.x)
      await net.evaluate(xor, { loss: 'meanSquaredError' })
      expect(bitsOf(net)).toEqual(before)
      expect(stepsOf(net)).toBe(0)
    })

    it('give each row the same, whatever else is in the batch', async () => {
      // 256 rows make a batch of predictions: one batch and a remainder.
      const x = rows(300, 2, 1)
      const net = sequential([input(2), dense(5, { activation: 'gelu' }), dense(3)], { executor })
      const { data, shape } = await net.predict(x)
      expect(shape).toEqual([300, 3])
      for (const i of [0, 255, 256, 299]) expect((await net.predict([x[i]])).data).toEqual(data.slice(3 * i, 3 * i + 3))
    })

    it('the loss does not depend on the batch size, but for rounding', async () => {
      const data = { x: rows(37, 2, 1), y: rows(37, 3, 2) }
      const net = sequential([input(2), dense(3)], { executor })
      const losses: number[] = []
      for (const batchSize of [1, 5, 36, 37, 1000]) losses.push((await net.evaluate(data, { loss: 'meanSquaredError', batchSize })).loss)
      expect(
        scaledError(
          losses,
          losses.map(() => losses[3]),
        ),
      ).toBeLessThan(1e-6)
    })

    it('several at once take turns', async () => {
      const net = sequential([input(2), dense(3)], { executor })
      const expected = await net.predict(xor.x)
      const found = await Promise.all(Array.from({ length: 5 }, () => net.predict(xor.x)))
      for (const { data } of found) expect(data).toEqual(expected.data)
    })
  })

  it('steps go against the gradient by the learning rate', async () => {
    const net = sequential([input(3), scaledBy(3)], { executor })
    const { epochs } = await net.fit({ x: [[1, -2, 4]], y: [[0, 0, 0]] }, { loss: sumLoss, optimizer: sgd({ learningRate: 0.25 }) })
    expect(epochs[0].loss).toBe(3)
    expect([...net.weights().p.data]).toEqual([0.75, 1.5, 0])
  })
})
