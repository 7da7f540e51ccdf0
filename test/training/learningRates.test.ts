/** Learning rates of each step, and the epoch that a run begins with. */
import { describe, expect, it } from 'vitest'
import {
  adam,
  add,
  assignAll,
  type Callback,
  callbacks,
  dense,
  input,
  multiply,
  type Optimizer,
  schedules,
  sequential,
  sgd,
  subtract,
  type TrainingRun,
} from '../../src/index.ts'
import { bitsOf, executors, expectRefusal, line, onesOf, ratesTaken, rows, sumLoss, xor } from './support.ts'

const anything = (value: unknown) => value as never

describe.each(executors)('on the %s executor', (executor) => {
  describe('the learning rate of each step', () => {
    const powers = [1, 0.5, 0.25, 0.125, 2, 4]

    it('is that of the schedule', async () => {
      expect(
        await ratesTaken(
          line(executor),
          3,
          schedules.perStep((step) => powers[step]),
          { epochs: 2 },
        ),
      ).toEqual(powers)
    })

    it('is that of the epoch for a function of the epoch', async () => {
      expect(await ratesTaken(line(executor), 2, (epoch) => powers[epoch], { epochs: 3 })).toEqual([1, 1, 0.5, 0.5, 0.25, 0.25])
    })

    it('is that of the epoch and the run for a function of both', async () => {
      const rates = await ratesTaken(line(executor), 2, (epoch, { epochs }) => powers[epochs - epoch], { epochs: 2 })
      expect(rates).toEqual([0.25, 0.25, 0.5, 0.5])
    })

    it('knows the length of the run', async () => {
      const seen: object[] = []
      await ratesTaken(
        line(executor),
        3,
        schedules.perStep((_, run) => seen.push({ ...run }) * 0),
        { epochs: 2, batchSize: 2 },
      )
      expect(new Set(seen.map((run) => JSON.stringify(run)))).toEqual(new Set(['{"epochs":2,"stepsPerEpoch":2,"steps":4}']))
    })

    it('is right in a smaller last batch', async () => {
      const net = line(executor)
      const learningRate = schedules.perStep((step) => powers[step])
      await net.fit(onesOf(5), { loss: sumLoss, optimizer: sgd({ learningRate }), batchSize: 2, epochs: 2 })
      expect(net.weights().p.data[0]).toBe(-powers.reduce((sum, rate) => sum + rate))
    })

    it('does not become that of the run before', async () => {
      const net = line(executor)
      await ratesTaken(
        net,
        2,
        schedules.perStep(() => 4),
      )
      expect(await ratesTaken(net, 2, 0.5)).toEqual([0.5, 0.5])
      expect(
        await ratesTaken(
          net,
          2,
          schedules.perStep((step) => powers[step]),
        ),
      ).toEqual([1, 0.5])
    })

    it('may be several, each with its own schedule', async () => {
      const net = line(executor)
      const both: Optimizer = {
        name: 'both',
        learningRates: [8, schedules.perStep((step) => powers[step])],
        update: ({ parameters, learningRates: [a, b] }) => ({
          parameters: parameters.map(({ value, gradient }) => assignAll([value], [subtract(value, multiply(add(a, b), gradient))])),
        }),
      }
      await net.fit(onesOf(3), { loss: sumLoss, optimizer: both, batchSize: 1 })
      expect(net.weights().p.data[0]).toBe(-(3 * 8 + 1 + 0.5 + 0.25))
    })

    it('is one at least', async () => {
      const none: Optimizer = {
        name: 'none',
        learningRates: [],
        update: ({ parameters }) => ({
          parameters: parameters.map(({ value, gradient }) => assignAll([value], [subtract(value, gradient)])),
        }),
      }
      const fit = (optimizer: Optimizer) =>
        line(executor).fit(onesOf(1), {
          loss: sumLoss,
          optimizer,
          epochs: 2,
          callbacks: [callbacks.reduceOnPlateau({ patience: 1, minDelta: 9 })],
        })
      await expectRefusal(() => fit(none), 'ERR_OPTION', 'fit: an optimizer of your own needs at least one learning rate, got none')
      expect((await fit({ ...none, learningRates: [0] })).stopped).toBe('completed')
    })

    it('is told callbacks: that of the latest step', async () => {
      const told: number[] = []
      const tell = (_: unknown, run: TrainingRun) => void told.push(run.learningRate)
      const look: Callback = {
        onTrainBegin: (run) => tell(null, run),
        onEpochBegin: tell,
        onEpochEnd: (_, values, run) => tell(values, run),
      }
      const learningRate = schedules.perStep((step) => powers[step])
      await ratesTaken(line(executor), 5, learningRate, { epochs: 2, batchSize: 2, callbacks: [look] })
      expect(told).toEqual([1, 1, 0.25, 0.25, 4])
    })

    it('is told callbacks while steps run, and is not changed by what is set for the steps to come', async () => {
      const told: number[] = []
      const halves: Callback = {
        onEpochEnd: (_, __, run) => {
          run.learningRateScale /= 2
        },
      }
      const look: Callback = {
        onSteps: (_, run) => void told.push(run.learningRate),
        onEpochEnd: (_, __, run) => void told.push(run.learningRate),
      }
      const learningRate = schedules.perStep((step) => powers[step])
      await ratesTaken(line(executor), 3, learningRate, { epochs: 2, callbacks: [halves, look] })
      expect(told).toEqual([0.25, 0.25, 2, 2])
    })

    it('is the same in short epochs that run together, and one at a time', async () => {
      const make = () => sequential([input(2), dense(6, { activation: 'tanh' }), dense(1)], { executor, seed: 3 })
      const options = { loss: 'binaryCrossentropy', epochs: 200, batchSize: 2 } as const
      const optimizer = () => adam({ learningRate: schedules.cosine({ rate: 0.1, warmup: { epochs: 5 } }) })
      const [together, apart] = [make(), make()]
      const history = await together.fit(xor, { ...options, optimizer: optimizer() })
      expect(await apart.fit(xor, { ...options, optimizer: optimizer(), onEpochEnd: () => {} })).toEqual(history)
      expect(bitsOf(together)).toEqual(bitsOf(apart))
    })

    it('is that of the schedule in train() too', async () => {
      const [net, twin] = [line(executor), line(executor)]
      const options = () => ({
        loss: sumLoss,
        optimizer: sgd({ learningRate: schedules.polynomial({ rate: 1 }) }),
        epochs: 3,
        batchSize: 2,
      })
      await net.fit(onesOf(7), options())
      const epochs: number[] = []
      for await (const event of twin.train(onesOf(7), options())) if (event.type === 'epoch') epochs.push(event.epoch)
      expect(epochs).toEqual([0, 1, 2])
      expect(bitsOf(twin)).toEqual(bitsOf(net))
    })

    it('is asked of a function anew in each run', async () => {
      let rate = 1
      for (const learningRate of [() => rate, schedules.perEpoch(() => rate), schedules.scaled(() => rate, 1)]) {
        const taken: number[] = []
        for (rate of [1, 0.5]) taken.push(...(await ratesTaken(line(executor), 1, learningRate)))
        expect(taken).toEqual([1, 0.5])
      }
    })

    it('may come from a schedule by name, and from one of your own', async () => {
      expect(await ratesTaken(line(executor), 2, { name: 'mine', rateAt: (step) => powers[step] })).toEqual([1, 0.5])
      const [first] = await ratesTaken(line(executor), 4, 'cosine')
      expect(first).toBe(Math.fround(0.001))
    })

    it('is refused where a schedule gives none, with the step', async () => {
      const net = line(executor)
      const bad = schedules.perStep((step) => (step < 3 ? 1 : Number.NaN))
      await expectRefusal(
        () => ratesTaken(net, 2, bad, { epochs: 4 }),
        'ERR_OPTION',
        'perStep must give a finite number',
        'got NaN for step 3',
      )
      // The first epoch was in order.
      expect(net.weights().p.data[0]).toBe(-2)
    })
  })

  describe('initialEpoch', () => {
    const data = { x: rows(20, 3, 1), y: rows(20, 1, 2) }
    const make = () => sequential([input(3), dense(4, { activation: 'tanh' }), dense(1)], { executor })

    it('goes on as if the run had never ended', async () => {
      const [whole, parts] = [make(), make()]
      const optimizer = () => adam({ learningRate: schedules.cosine({ rate: 0.05 }) })
      const options = { loss: 'meanSquaredError', batchSize: 6, epochs: 6 } as const
      const all = await whole.fit(data, { ...options, optimizer: optimizer() })
      const same = optimizer()
      const seen: number[] = []
      const stopsAfterTwo = (epoch: number) => epoch < 1
      const first = await parts.fit(data, { ...options, optimizer: same, onEpochEnd: stopsAfterTwo })
      const onEpochEnd = (epoch: number) => void seen.push(epoch)
      const rest = await parts.fit(data, { ...options, optimizer: same, initialEpoch: 2, onEpochEnd })
      expect([...first.epochs, ...rest.epochs]).toEqual(all.epochs)
      expect(bitsOf(parts)).toEqual(bitsOf(whole))
      expect(seen).toEqual([2, 3, 4, 5])
    })

    it('numbers the epochs of train(), and the best one', async () => {
      const epochs: number[] = []
      for await (const event of make().train(data, { loss: 'meanSquaredError', epochs: 5, initialEpoch: 3 }))
        if (event.type === 'epoch') epochs.push(event.epoch)
      expect(epochs).toEqual([3, 4])
      const { bestEpoch } = await make().fit(data, { loss: 'meanSquaredError', epochs: 5, initialEpoch: 3, earlyStopping: {} })
      expect(bestEpoch).toBe(4)
    })

    it.each([5, -1, 0.5, '1'])('is refused as %j', async (initialEpoch) => {
      await expectRefusal(
        () => make().fit(data, { loss: 'meanSquaredError', epochs: 5, initialEpoch: anything(initialEpoch) }),
        'ERR_OPTION',
        'fit: initialEpoch must be an integer of 0 … 4',
        String(initialEpoch),
      )
    })
  })
})
