/** Callbacks: when they are called, what they can do, what they refuse. */
import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import {
  adam,
  type Callback,
  callbacks,
  dense,
  type EpochValues,
  input,
  type LearningRate,
  type Model,
  type Optimizer,
  type StepGroup,
  schedules,
  sequential,
  sgd,
  type TrainEnd,
  type TrainingRun,
} from '../../src/index.ts'
import { bitsOf, executors, expectRefusal, line, onesOf, ratesTaken, rows, sumLoss } from './support.ts'

const anything = (value: unknown) => value as never

describe.each(executors)('on the %s executor', (executor) => {
  describe('callbacks', () => {
    /** Writes down what is called. */
    class Diary implements Callback {
      readonly lines: string[] = []
      readonly name = 'diary'
      onTrainBegin({ epochs, stepsPerEpoch, valueNames }: TrainingRun) {
        this.lines.push(`begin ${epochs} ${stepsPerEpoch} ${valueNames.join(' ')}`)
      }
      async onEpochBegin(epoch: number) {
        await Promise.resolve()
        this.lines.push(`epoch ${epoch}`)
      }
      async onSteps({ epoch, firstStep, losses }: StepGroup) {
        await Promise.resolve()
        this.lines.push(`steps ${epoch} ${firstStep} ${losses.length}`)
      }
      async onEpochEnd(epoch: number, { loss }: EpochValues) {
        await Promise.resolve()
        this.lines.push(`end ${epoch} ${loss}`)
      }
      async onTrainEnd({ epochs, stopped, error }: TrainEnd) {
        await Promise.resolve()
        this.lines.push(`over ${epochs.length} ${stopped} ${(error as Error | undefined)?.message ?? 'fine'}`)
      }
    }
    const still = sgd({ learningRate: 0 })

    it('are called in order, and waited for', async () => {
      const diary = new Diary()
      await line(executor).fit(onesOf(3), {
        loss: sumLoss,
        optimizer: still,
        epochs: 2,
        batchSize: 3,
        validationData: onesOf(2),
        callbacks: [diary],
      })
      const epoch = (i: number) => [`epoch ${i}`, `steps ${i} 0 1`, `end ${i} 0`]
      expect(diary.lines).toEqual(['begin 2 1 loss validationLoss', ...epoch(0), ...epoch(1), 'over 2 completed fine'])
    })

    it('with onSteps alone do not part short epochs', async () => {
      const groups: StepGroup[] = []
      const { epochs } = await line(executor).fit(onesOf(2), {
        loss: sumLoss,
        epochs: 500,
        batchSize: 1,
        callbacks: [{ onSteps: (steps) => void groups.push(steps) }],
      })
      expect(epochs.length).toBe(500)
      expect(groups.length).toBeLessThan(400)
      expect(groups[groups.length - 1]).toMatchObject({ epoch: 499 })
    })

    it.each<[string, Callback, string]>([
      ['false from onEpochEnd', { onEpochEnd: (epoch) => epoch < 1 }, 'callback'],
      ['the same, with a name', { name: 'mine', onEpochEnd: async (epoch) => epoch < 1 }, 'mine'],
      ['stop() between epochs', { onEpochBegin: (epoch, run) => (epoch === 1 ? run.stop() : undefined) }, 'stop'],
      ['stop() while steps run', { onEpochBegin: () => {}, onSteps: ({ epoch }, run) => (epoch === 1 ? run.stop() : undefined) }, 'stop'],
    ])('end the run by %s', async (_, callback, expected) => {
      const { stopped, epochs } = await line(executor).fit(onesOf(2), { loss: sumLoss, epochs: 9, callbacks: [callback] })
      expect({ stopped, epochs: epochs.length }).toEqual({ stopped: expected, epochs: 2 })
    })

    it('hear of the end after an error of another, and the error is passed on', async () => {
      const diary = new Diary()
      const fails: Callback = {
        onEpochEnd: () => {
          throw new RangeError('mine')
        },
        onTrainEnd: () => {
          throw new RangeError('later')
        },
      }
      const net = line(executor)
      await expect(net.fit(onesOf(1), { loss: sumLoss, callbacks: [fails, diary] })).rejects.toThrow('mine')
      expect(diary.lines[diary.lines.length - 1]).toBe('over 1 null mine')
      expect((await net.fit(onesOf(1), { loss: sumLoss })).stopped).toBe('completed')
    })

    it('hear of the end when the run is stopped from outside', async () => {
      const diary = new Diary()
      const stop = new AbortController()
      const stops: Callback = { onEpochBegin: (epoch) => (epoch === 1 ? stop.abort() : undefined) }
      await expectRefusal(
        () => line(executor).fit(onesOf(2), { loss: sumLoss, epochs: 3, batchSize: 1, signal: stop.signal, callbacks: [stops, diary] }),
        'ABORT_ERR',
      )
      expect(diary.lines[diary.lines.length - 1]).toBe(
        'over 1 null Training was stopped in epoch 2, after 0 of 2 steps; the model keeps what it has learned.',
      )
    })

    it('hear of the end of a run that was stopped when what they do with its steps is done', async () => {
      const lines: string[] = []
      const stop = new AbortController()
      const slow: Callback = {
        onSteps: async () => {
          stop.abort()
          await wait(20)
          lines.push('steps')
        },
        onTrainEnd: () => void lines.push('end'),
      }
      const options = { loss: sumLoss, batchSize: 2, signal: stop.signal, callbacks: [slow] }
      await expectRefusal(() => line(executor).fit(onesOf(3), options), 'ABORT_ERR')
      expect(lines).toEqual(['steps', 'end'])
    })

    it('an error at the end is that of the run, when all have ended', async () => {
      const diary = new Diary()
      const fails: Callback = {
        onTrainEnd: () => {
          throw new RangeError('late')
        },
      }
      await expect(line(executor).fit(onesOf(1), { loss: sumLoss, callbacks: [fails, diary] })).rejects.toThrow('late')
      expect(diary.lines[diary.lines.length - 1]).toBe('over 1 completed fine')
    })

    it('whose beginning fails end the run before it begins, and those that had begun hear of it', async () => {
      const [before, after] = [new Diary(), new Diary()]
      const fails: Callback = { onTrainBegin: () => Promise.reject(new RangeError('no')) }
      const net = line(executor)
      await expect(net.fit(onesOf(1), { loss: sumLoss, callbacks: [before, fails, after] })).rejects.toThrow('no')
      expect(before.lines).toEqual(['begin 1 1 loss', 'over 0 null no'])
      expect(after.lines).toEqual([])
      expect(net.weights().p.data[0]).toBe(0)
    })

    it('whose beginning fails cost the optimizer of the run before nothing', async () => {
      const [net, twin] = [line(executor), line(executor)]
      const refused: Callback = { onTrainBegin: () => Promise.reject(new RangeError('no')) }
      const noRate = schedules.perStep(() => Number.NaN)
      const optimizers = [adam({ learningRate: 0.5 }), adam({ learningRate: 0.5 })]
      const fit = (model: Model, optimizer: Optimizer, x: number) => model.fit({ x: [[x]], y: [[0]] }, { loss: sumLoss, optimizer })
      await fit(net, optimizers[0], 1)
      await expect(net.fit(onesOf(1), { loss: sumLoss, callbacks: [refused] })).rejects.toThrow('no')
      await expectRefusal(() => net.fit(onesOf(1), { loss: sumLoss, optimizer: sgd({ learningRate: noRate }) }), 'ERR_OPTION')
      await fit(net, optimizers[0], 3)
      for (const x of [1, 3]) await fit(twin, optimizers[1], x)
      expect(bitsOf(net)).toEqual(bitsOf(twin))
    })

    it('whatever has then() is waited for', async () => {
      const lines: string[] = []
      const later = (line: string) =>
        anything({
          // biome-ignore lint/suspicious/noThenProperty: that is what is tested
          then: async (resolve: () => void) => {
            await wait(5)
            lines.push(line)
            resolve()
          },
        })
      const slow: Callback = { onSteps: () => later('steps'), onEpochEnd: () => later('epoch'), onTrainEnd: () => later('end') }
      await line(executor).fit(onesOf(1), { loss: sumLoss, callbacks: [slow] })
      expect(lines).toEqual(['steps', 'epoch', 'end'])
    })

    it('a promise of onSteps that is rejected ends the run', async () => {
      const fails: Callback = { onSteps: () => Promise.reject(new RangeError('steps')) }
      await expect(line(executor).fit(onesOf(1), { loss: sumLoss, epochs: 3, callbacks: [fails] })).rejects.toThrow('steps')
    })

    it('may read gradients and weights between epochs', async () => {
      const seen: number[][] = []
      const net = line(executor)
      const look: Callback = {
        readsGradients: true,
        onEpochEnd: (_, __, run) => void seen.push([run.latestGradients().p[0], run.model.weights().p.data[0], run.learningRate]),
      }
      await net.fit(
        { x: [[3]], y: [[0]] },
        { loss: sumLoss, optimizer: sgd({ learningRate: (epoch) => 2 ** -epoch }), epochs: 2, callbacks: [look] },
      )
      expect(seen).toEqual([
        [3, -3, 1],
        [3, -4.5, 0.5],
      ])
    })

    it('may scale the learning rate, of a number and of a schedule', async () => {
      const halves: Callback = {
        onEpochEnd: (_, __, run) => {
          run.learningRateScale /= 2
        },
      }
      for (const learningRate of [1, schedules.constant({ rate: 1 })]) {
        const losses: number[] = []
        const listens: Callback = { onSteps: (steps) => void losses.push(...steps.losses) }
        await ratesTaken(line(executor), 2, learningRate, { epochs: 3, callbacks: [halves, listens] })
        expect(losses).toEqual([0, -1, -2, -2.5, -3, -3.25])
      }
    })

    it.each([-1, Number.NaN, '2', 1e39])('may not scale it by %j', async (scale) => {
      const bad: Callback = {
        onEpochEnd: (_, __, run) => {
          run.learningRateScale = anything(scale)
        },
      }
      await expectRefusal(
        () => line(executor).fit(onesOf(1), { loss: sumLoss, callbacks: [bad] }),
        'ERR_OPTION',
        'learningRateScale must be a finite number',
      )
    })

    it('bestWeights puts the best weights back, and does not end the run', async () => {
      // The loss of an epoch is p before it: 0, -1, -0.5, ….
      const net = line(executor)
      const learningRate = schedules.perStep((step) => [1, 0.5, 0.25][step] ?? 0)
      const climbing = { x: [[1]], y: [[0]] }
      const first = await net.fit(climbing, {
        loss: sumLoss,
        optimizer: sgd({ learningRate }),
        epochs: 5,
        callbacks: [callbacks.bestWeights({ mode: 'max' })],
      })
      expect(first).toMatchObject({ stopped: 'completed', bestEpoch: 0 })
      expect(first.epochs.map(({ loss }) => loss)).toEqual([0, -1, -1.5, -1.75, -1.75])
      expect(net.weights().p.data[0]).toBe(-1)
    })

    it('earlyStopping is the option of that name', async () => {
      const data = { x: rows(20, 3, 1), y: rows(20, 1, 2) }
      const make = () => sequential([input(3), dense(8, { activation: 'tanh' }), dense(1)], { executor })
      const options = { loss: 'meanSquaredError', optimizer: adam({ learningRate: 0.3 }), epochs: 60, validationSplit: 0.4 } as const
      const [net, twin] = [make(), make()]
      const history = await net.fit(data, { ...options, earlyStopping: { patience: 3 } })
      expect(history.stopped).toBe('earlyStopping')
      expect(await twin.fit(data, { ...options, callbacks: [callbacks.earlyStopping({ patience: 3 })] })).toEqual(history)
      expect(bitsOf(twin)).toEqual(bitsOf(net))
    })

    it('that remember their run serve one at a time, and another afterwards', async () => {
      const log = callbacks.earlyStopping()
      const options = { loss: sumLoss, epochs: 2 }
      const first = line(executor).fit(onesOf(2), { ...options, callbacks: [log] })
      await expectRefusal(
        () => line(executor).fit(onesOf(2), { ...options, callbacks: [log] }),
        'ERR_BUSY',
        'this earlyStopping already serves a run',
      )
      await first
      await expectRefusal(() => line(executor).fit(onesOf(2), { ...options, callbacks: [log, log] }), 'ERR_BUSY', 'make one for each run')
      const bad = callbacks.bestWeights({ monitor: 'accuracy' })
      for (let i = 0; i < 2; i++)
        await expectRefusal(() => line(executor).fit(onesOf(2), { ...options, callbacks: [log, bad] }), 'ERR_OPTION')
      expect((await line(executor).fit(onesOf(2), { ...options, callbacks: [log] })).bestEpoch).toBe(1)
    })

    it('a value is better as its metric says', async () => {
      const growing = { name: 'score', mode: 'max' as const, batch: () => [], result: () => score++ }
      let score = 0
      const { bestEpoch } = await line(executor).fit(onesOf(1), {
        loss: sumLoss,
        metrics: [growing],
        epochs: 4,
        callbacks: [callbacks.earlyStopping({ monitor: 'score', patience: 2 })],
      })
      expect(bestEpoch).toBe(3)
    })

    it('bestWeights forgets the run before', async () => {
      let result = 0
      const metric = { name: 'given', batch: () => [], result: () => result-- }
      const best = callbacks.bestWeights({ monitor: 'given' })
      const options = { loss: sumLoss, metrics: [metric], epochs: 3, callbacks: [best] }
      expect((await line(executor).fit(onesOf(1), options)).bestEpoch).toBe(2)
      result = Number.NaN
      expect((await line(executor).fit(onesOf(1), options)).bestEpoch).toBe(null)
    })

    describe('a value that is NaN', () => {
      const given = (values: readonly number[]) => {
        let epoch = 0
        return { name: 'given', mode: 'max' as const, batch: () => [], result: () => values[epoch++] }
      }
      const always = Array.from({ length: 6 }, () => Number.NaN)
      const fitWith = (values: readonly number[], callback: Callback, net = line(executor), initialEpoch = 0) =>
        net.fit(onesOf(1), { loss: sumLoss, optimizer: 'sgd', metrics: [given(values)], epochs: 6, initialEpoch, callbacks: [callback] })

      it.each([
        ['earlyStopping', () => callbacks.earlyStopping({ monitor: 'given', patience: 2 }), '0 … 2'],
        ['reduceOnPlateau', () => callbacks.reduceOnPlateau({ monitor: 'given', patience: 2 }), '0 … 1'],
      ])('from the first epoch on ends the patience of %s with an error', async (name, make, epochs) => {
        await expectRefusal(
          () => fitWith(always, make()),
          'ERR_DATA',
          `${name}: given is NaN in epochs ${epochs}, so that none is the best`,
        )
      })

      it('leaves the weights that are reached', async () => {
        const [stopped, kept, twin] = [line(executor), line(executor), line(executor)]
        await expectRefusal(() => fitWith(always, callbacks.earlyStopping({ monitor: 'given', patience: 2 }), stopped), 'ERR_DATA')
        await twin.fit(onesOf(1), { loss: sumLoss, optimizer: 'sgd', epochs: 3 })
        expect(bitsOf(stopped)).toEqual(bitsOf(twin))
        await fitWith(always, callbacks.bestWeights({ monitor: 'given' }), kept)
        await twin.fit(onesOf(1), { loss: sumLoss, optimizer: 'sgd', epochs: 6, initialEpoch: 3 })
        expect(bitsOf(kept)).toEqual(bitsOf(twin))
      })

      it('names its epoch, numbered as they are', async () => {
        const callback = callbacks.reduceOnPlateau({ monitor: 'given', patience: 1 })
        await expectRefusal(() => fitWith(always, callback, line(executor), 4), 'ERR_DATA', 'given is NaN in epoch 4,')
      })

      it('is forgotten when a number comes within the patience, and does not count once there was one', async () => {
        const late = await fitWith([Number.NaN, Number.NaN, 1, 2, 0, 0], callbacks.earlyStopping({ monitor: 'given', patience: 3 }))
        expect(late).toMatchObject({ stopped: 'completed', bestEpoch: 3 })
        const early = await fitWith([1, ...always], callbacks.earlyStopping({ monitor: 'given', patience: 2 }))
        expect(early).toMatchObject({ stopped: 'earlyStopping', bestEpoch: 0 })
      })
    })

    describe('reduceOnPlateau', () => {
      /** The scale after each epoch, for losses that are given: the loss is the prediction, p = 1 and never changes, and x is what is left. */
      const scalesFor = async (values: readonly number[], options = {}, learningRate: LearningRate = 1) => {
        const scales: number[] = []
        const metric = { name: 'given', batch: () => [], result: () => values[scales.length] }
        await line(executor).fit(onesOf(1), {
          loss: sumLoss,
          metrics: [metric],
          optimizer: sgd({ learningRate }),
          epochs: values.length,
          callbacks: [
            callbacks.reduceOnPlateau({ monitor: 'given', factor: 0.5, ...options }),
            { onEpochEnd: (_, __, run) => void scales.push(run.learningRateScale) },
          ],
        })
        return scales
      }

      it('waits as long as its patience, each time anew', async () => {
        expect(await scalesFor([1, 1, 1, 1, 1, 0, 0, 0], { patience: 2 })).toEqual([1, 1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125])
      })

      it('begins to wait anew after an improvement', async () => {
        expect(await scalesFor([1, 1, 0, 0, 0, 0], { patience: 2 })).toEqual([1, 1, 1, 1, 0.5, 0.5])
      })

      it('counts nothing while it cools down', async () => {
        expect(await scalesFor([1, 1, 1, 1, 1, 1, 1], { patience: 1, cooldown: 2 })).toEqual([1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25])
      })

      it('takes no change below minDelta for better, and more for better if told so', async () => {
        expect(await scalesFor([1, 0.95, 0.9, 0.5], { patience: 1, minDelta: 0.2 })).toEqual([1, 0.5, 0.25, 0.25])
        expect(await scalesFor([1, 2, 3, 2], { patience: 1, mode: 'max' })).toEqual([1, 1, 1, 0.5])
      })

      it('two stop at the floor together', async () => {
        const scales: number[] = []
        const plateaus = [0, 1].map(() => callbacks.reduceOnPlateau({ patience: 1, factor: 0.5, floor: 0.4 }))
        const listens: Callback = { onEpochEnd: (_, __, run) => void scales.push(run.learningRateScale) }
        const net = line(executor)
        const options = { loss: sumLoss, optimizer: sgd({ learningRate: 1 }), epochs: 4, callbacks: [...plateaus, listens] }
        await net.fit({ x: [[0]], y: [[0]] }, options)
        expect(scales).toEqual([1, 0.4, 0.4, 0.4])
      })

      it('stops at the floor, and is the same in a second run', async () => {
        const values = [1, 1, 1, 1, 1]
        expect(await scalesFor(values, { patience: 1, floor: 0.2 })).toEqual([1, 0.5, 0.25, 0.2, 0.2])
        expect(await scalesFor(values, { patience: 1, floor: 0.2 }, schedules.constant({ rate: 0.4 }))).toEqual([1, 0.5, 0.5, 0.5, 0.5])
        const callback = callbacks.reduceOnPlateau({ patience: 1, floor: 0.2 })
        const scales: number[] = []
        const listens: Callback = { onEpochEnd: (_, __, run) => void scales.push(run.learningRateScale) }
        const net = line(executor)
        const still = { x: [[0]], y: [[0]] }
        for (let i = 0; i < 2; i++)
          await net.fit(still, { loss: sumLoss, optimizer: sgd({ learningRate: 1 }), epochs: 3, callbacks: [callback, listens] })
        expect(scales).toEqual([1, 0.2, 0.2, 1, 0.2, 0.2])
      })
    })
  })
})

describe('refuses', () => {
  const net = sequential([input(1), dense(1)], { executor: 'reference' })
  const fitWith =
    (...list: unknown[]) =>
    () =>
      net.fit({ x: [[1]], y: [[1]] }, { loss: 'meanSquaredError', callbacks: anything(list) })
  it.each<[string, () => unknown, ...string[]]>([
    [
      'one callback in place of a list',
      () => net.fit({ x: [[1]], y: [[1]] }, { loss: 'meanSquaredError', callbacks: anything({}) }),
      'callbacks must be an array',
    ],
    ['a callback that was not called', fitWith(callbacks.earlyStopping), 'callbacks[0] must be an object, got a function; call it'],
    ['a name', fitWith('earlyStopping'), 'callbacks[0] must be an object, got "earlyStopping"'],
    [
      'a misspelt member',
      fitWith({ onEpochEnd: () => {} }, { onEpochsEnd: () => {} }),
      'Unknown member "onEpochsEnd" for fit: callbacks[1]; did you mean "onEpochEnd"?',
    ],
    ['the member of another library', fitWith({ onBatchEnd: () => {} }), 'steps are told in groups; use onSteps'],
    [
      'a misspelt member of a class',
      fitWith(
        new (class {
          onTrainStart() {}
        })(),
      ),
      'Unknown member "onTrainStart"',
    ],
    ['a member that is no function', fitWith({ onEpochEnd: 3 }), 'callbacks[0].onEpochEnd must be a function, got 3'],
    ['an object that does nothing', fitWith({ name: 'x' }), 'must have at least one of onTrainBegin'],
    [
      'callbacks of train()',
      () => net.train({ x: [[1]], y: [[1]] }, anything({ loss: 'meanSquaredError', callbacks: [] })).next(),
      'it is an option of fit',
    ],
    [
      'a value nobody measures',
      fitWith(callbacks.bestWeights({ monitor: 'accuracy' })),
      'Unknown value to monitor "accuracy" for bestWeights',
      'add "accuracy" to metrics',
    ],
    ['a mode', () => callbacks.bestWeights({ mode: anything('least') }), 'bestWeights: mode must be "min" or "max", got "least"'],
    [
      'patience below 0',
      () => callbacks.earlyStopping({ patience: -1 }),
      'earlyStopping: patience must be an integer of at least 0, got -1',
    ],
    [
      'restoring as text',
      () => callbacks.earlyStopping({ restoreBestWeights: anything('no') }),
      'restoreBestWeights must be true or false, got "no"',
    ],
    ['patience for bestWeights', () => callbacks.bestWeights(anything({ patience: 3 })), 'Unknown option "patience" for bestWeights'],
    ['a factor of 1', () => callbacks.reduceOnPlateau({ factor: 1 }), 'reduceOnPlateau: factor must be above 0 and below 1, got 1'],
    ['half an epoch of cooldown', () => callbacks.reduceOnPlateau({ cooldown: 0.5 }), 'cooldown must be an integer of at least 0, got 0.5'],
    ['a negative floor', () => callbacks.reduceOnPlateau({ floor: -1 }), 'floor must be a finite number of at least 0, got -1'],
    ['no path', () => callbacks.csvLog(anything({ append: true })), 'csvLog: expected the path of a file, got a value of type Object'],
    ['append as text', () => callbacks.jsonLinesLog('x', { append: anything('yes') }), 'jsonLinesLog: append must be true or false'],
    [
      'histograms as a flag',
      () => callbacks.tensorBoard('x', { histograms: anything(true) }),
      'histograms must be an integer of at least 0',
      'got true',
    ],
    ['an empty folder', () => callbacks.tensorBoard(''), 'tensorBoard: expected the path of a folder'],
  ])('%s', async (_, call, ...parts) => {
    await expectRefusal(call, 'ERR_OPTION', ...parts)
  })
})
