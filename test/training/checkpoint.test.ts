/** A run that is interrupted and goes on from its checkpoint ends in the same bits as one that was not. */
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  accumulateGradients,
  adam,
  averageWeights,
  callbacks,
  clipGradients,
  customTraining,
  dataset,
  dense,
  dropout,
  type FitOptions,
  gaussianNoise,
  input,
  lbfgs,
  loadModel,
  lookahead,
  mean,
  perGroup,
  readSafetensors,
  schedules,
  sequential,
  sgd,
  square,
  subtract,
  type TrainingRun,
} from '../../src/index.ts'
import { executors } from './support.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'thalweg-'))
})
afterEach(() => rm(directory, { recursive: true }))

const x = Array.from({ length: 203 }, (_, i) => [Math.sin(i), Math.cos(3 * i), (i % 7) / 7])
const y = x.map(([a, b, c]) => a * b + c + (a > 0.9 ? 1 : 0))
const samples = x.map((row, i) => ({ x: row, y: y[i] }))
const data = { x, y }

/** Begins a run again and again until it is over. */
async function untilOver<T>(
  build: () => T,
  fit: (net: T, attempt: number) => Promise<unknown>,
): Promise<{ net: T; history: unknown; attempts: number }> {
  for (let attempt = 1; attempt <= 100; attempt++) {
    const net = build()
    try {
      return { net, history: await fit(net, attempt), attempts: attempt }
    } catch (error) {
      if ((error as Error).name !== 'AbortError' && !/power/.test(String(error))) throw error
    }
  }
  throw new Error('The run does not get ahead.')
}

/** Breaks off the run as a failing machine would: nothing is written at the end. */
function failAfter(steps: number) {
  let left = steps
  return {
    onSteps: ({ losses }: { losses: Float32Array }) => {
      left -= losses.length
    },
    onEpochEnd: () => {
      if (left <= 0) throw new Error('power failure')
    },
  }
}

describe.each(executors)('on the %s executor', (executor) => {
  const network = () =>
    sequential([input(3), gaussianNoise(0.01), dense(6, { activation: 'tanh' }), dropout(0.2), dense(1)], { seed: 5, executor })
  const optimizers = {
    adam: () => adam({ learningRate: schedules.cosine({ rate: 0.01 }) }),
    momentum: () => sgd({ learningRate: 0.01, momentum: 0.9 }),
    averaged: () => averageWeights(clipGradients(adam(), { norm: 1 })),
    accumulated: () => accumulateGradients(adam(), { steps: 3 }),
    lookahead: () => lookahead(adam(), { steps: 4 }),
    groups: () => perGroup([{ parameters: /bias/, optimizer: sgd() }, { optimizer: adam() }]),
  }
  const options = (optimizer: () => FitOptions['optimizer']): FitOptions => ({
    loss: 'meanSquaredError',
    metrics: ['meanAbsoluteError', 'r2Score'],
    optimizer: optimizer(),
    epochs: 6,
    batchSize: 16,
    validationSplit: 0.2,
    earlyStopping: { patience: 2 },
    callbacks: [callbacks.reduceOnPlateau({ patience: 1 })],
  })

  it.each(Object.keys(optimizers) as (keyof typeof optimizers)[])('goes on with %s after being stopped within epochs', async (name) => {
    const whole = network()
    const expected = await whole.fit(data, options(optimizers[name]))
    const { net, history, attempts } = await untilOver(network, (net, attempt) => {
      const stop = new AbortController()
      return net.fit(data, {
        ...options(optimizers[name]),
        checkpoint: { directory, everySteps: 1 + (attempt % 5), signals: false },
        signal: stop.signal,
        onProgress: ({ step }) => {
          if (step > 2 && attempt < 12) stop.abort()
        },
      })
    })
    expect(attempts).toBeGreaterThan(2)
    expect(net.weights()).toEqual(whole.weights())
    expect(history).toEqual(expected)
  })

  it('goes on where a failing machine left it, and counts epochs on', async () => {
    const whole = network()
    const expected = await whole.fit(data, options(optimizers.averaged))
    const { net, history, attempts } = await untilOver(network, (net, attempt) =>
      net.fit(data, {
        ...options(optimizers.averaged),
        checkpoint: { directory, everySteps: 7, signals: false },
        callbacks: [callbacks.reduceOnPlateau({ patience: 1 }), ...(attempt < 5 ? [failAfter(12)] : [])],
      }),
    )
    expect(attempts).toBeGreaterThan(2)
    expect(net.weights()).toEqual(whole.weights())
    expect(history).toEqual(expected)
  })

  it('goes on within a dataset', async () => {
    const source = () => dataset(() => samples.values()).shuffle({ buffer: 50, seed: 3 })
    const run = { loss: 'meanSquaredError', epochs: 4, batchSize: 8 } as const
    const whole = network()
    const expected = await whole.fit(source(), run)
    const { net, history } = await untilOver(network, (net, attempt) => {
      const stop = new AbortController()
      return net.fit(source(), {
        ...run,
        checkpoint: { directory, everySteps: 3, signals: false },
        signal: stop.signal,
        onProgress: ({ step }) => {
          if (step > 5 && attempt < 6) stop.abort()
        },
      })
    })
    expect(net.weights()).toEqual(whole.weights())
    expect(history).toEqual(expected)
  })

  it('goes on with lbfgs', async () => {
    const smooth = () => sequential([input(3), dense(4, { activation: 'tanh' }), dense(1)], { seed: 5, executor })
    const run = (): FitOptions => ({ loss: 'meanSquaredError', optimizer: lbfgs(), epochs: 12 })
    const whole = smooth()
    const expected = await whole.fit(data, run())
    const { net, history } = await untilOver(smooth, (net, attempt) =>
      net.fit(data, { ...run(), checkpoint: { directory, everyEpochs: 1, signals: false }, callbacks: attempt < 4 ? [failAfter(3)] : [] }),
    )
    expect(net.weights()).toEqual(whole.weights())
    expect(history).toEqual(expected)
  })

  it('goes on with a training of two models', async () => {
    const build = () => {
      const maker = sequential([input(3), dense(4, { activation: 'tanh' }), dense(1)], { seed: 1, executor })
      const judge = sequential([input(1), dense(4, { activation: 'relu' }), dropout(0.5), dense(1)], { seed: 2, executor })
      const target = input(1, { name: 'target' })
      const made = maker.outputs[0]
      const training = customTraining({
        models: { maker, judge },
        inputs: { x: maker.inputs[0], target },
        minimize: [
          { loss: mean(square(subtract(judge.apply(target), judge.apply(made)))), parameters: judge, optimizer: adam() },
          { loss: mean(square(subtract(made, target))), parameters: maker, optimizer: averageWeights(sgd()), every: 2 },
        ],
      })
      return { maker, judge, fit: (options: object) => training.fit({ x, target: y }, { epochs: 4, batchSize: 10, ...options }) }
    }
    const whole = build()
    const expected = await whole.fit({})
    await expect(build().fit({ checkpoint: { directory, everySteps: 4, signals: false }, callbacks: [failAfter(30)] })).rejects.toThrow(
      /power/,
    )
    const again = build()
    const history = await again.fit({ checkpoint: { directory, everySteps: 4, signals: false } })
    expect(again.maker.weights()).toEqual(whole.maker.weights())
    expect(again.judge.weights()).toEqual(whole.judge.weights())
    expect(history).toEqual(expected)
  })
})

const build = (units = 4) => sequential([input(3), dense(units, { activation: 'tanh' }), dense(1)], { seed: 1 })
const run = { loss: 'meanSquaredError', epochs: 5, batchSize: 32 } as const
const every = (more: object = {}) => ({ directory, everyEpochs: 1, signals: false, ...more })

describe('files', () => {
  it('keeps the latest and the best', async () => {
    await build().fit(data, { ...run, validationSplit: 0.2, checkpoint: every({ keepLast: 2, keepBest: true }) })
    expect((await readdir(directory)).sort()).toEqual(['best.safetensors', 'step-000000024.safetensors', 'step-000000030.safetensors'])
  })

  it('is a model file', async () => {
    const net = build()
    await net.fit(data, { ...run, checkpoint: every() })
    const loaded = await loadModel(join(directory, 'step-000000035.safetensors'))
    expect(loaded.weights()).toEqual(net.weights())
    expect(loaded.predictSync(x).data).toEqual(net.predictSync(x).data)
  })

  it('ends at once when the run is over, and goes on when more epochs are asked for', async () => {
    const first = build()
    const history = await first.fit(data, { ...run, checkpoint: every() })
    const again = build()
    expect(await again.fit(data, { ...run, checkpoint: every() })).toEqual(history)
    expect(again.weights()).toEqual(first.weights())
    const longer = build()
    const { epochs } = await longer.fit(data, { ...run, epochs: 8, checkpoint: every() })
    const whole = build()
    expect(epochs).toEqual((await whole.fit(data, { ...run, epochs: 8 })).epochs)
    expect(longer.weights()).toEqual(whole.weights())
  })

  it('gives the best weights back of a run that had been stopped early', async () => {
    const early = () => ({ ...run, epochs: 50, optimizer: sgd({ learningRate: 1.5 }), earlyStopping: { patience: 1 }, checkpoint: every() })
    const first = build()
    const history = await first.fit(data, early())
    expect(history.stopped).toBe('earlyStopping')
    const again = build()
    expect(await again.fit(data, early())).toEqual(history)
    expect(again.weights()).toEqual(first.weights())
  })

  it('writes one that is due before the first step of an epoch, and goes on', async () => {
    const net = build()
    const onEpochBegin = () => new Promise<void>((resolve) => setTimeout(resolve, 20))
    await net.fit(data, { ...run, checkpoint: { directory, everyMinutes: 0.01 / 60, signals: false }, callbacks: [{ onEpochBegin }] })
    const whole = build()
    await whole.fit(data, run)
    expect(net.weights()).toEqual(whole.weights())
  })

  it('refuses to go on with another run', async () => {
    await build().fit(data, { ...run, checkpoint: every() })
    const net = build()
    const before = net.weights()
    const refused = (fit: Promise<unknown>, message: RegExp) => expect(fit).rejects.toThrow(message)
    await refused(build(5).fit(data, { ...run, checkpoint: every() }), /other steps.*another directory/)
    await refused(net.fit(data, { ...run, batchSize: 31, checkpoint: every() }), /other steps/)
    await refused(net.fit(data, { ...run, optimizer: 'sgd', checkpoint: every() }), /other steps/)
    await refused(net.fit({ x, y: y.map((value, i) => (i === 202 ? 7 : value)) }, { ...run, checkpoint: every() }), /other data/)
    await refused(net.fit(data, { ...run, validationSplit: 0.1, checkpoint: every() }), /other steps.*validation/)
    await refused(net.fit(data, { ...run, shuffle: false, checkpoint: every() }), /other data/)
    await refused(net.fit(data, { ...run, epochs: 3, checkpoint: every() }), /more epochs/)
    await refused(net.fit(data, { ...run, initialEpoch: 1, checkpoint: every() }), /initialEpoch 0/)
    await refused(net.fit(data, { ...run, earlyStopping: {}, checkpoint: every() }), /none; this one has earlyStopping/)
    await refused(net.fit(data, { ...run, checkpoint: every({ resume: false }) }), /resume: true/)
    expect(net.weights()).toEqual(before)
  })

  it('passes over a damaged file, with a warning', async () => {
    const whole = build()
    const expected = await whole.fit(data, run)
    await expect(build().fit(data, { ...run, checkpoint: every(), callbacks: [failAfter(20)] })).rejects.toThrow(/power/)
    const [latest] = (await readdir(directory)).sort().reverse()
    await truncate(join(directory, latest), 1000)
    const warnings: string[] = []
    const warn = (warning: Error) => warnings.push(warning.message)
    process.on('warning', warn)
    const net = build()
    expect(await net.fit(data, { ...run, checkpoint: every() })).toEqual(expected)
    process.off('warning', warn)
    expect(warnings.join()).toMatch(/cut short.*Training goes on from/)
    for (const name of await readdir(directory)) await writeFile(join(directory, name), 'nothing')
    await expect(build().fit(data, { ...run, checkpoint: every() })).rejects.toMatchObject({ code: 'ERR_DATA' })
  })

  it('keeps what it writes when checkpoints of later steps are damaged', async () => {
    const whole = build()
    const expected = await whole.fit(data, run)
    await build().fit(data, { ...run, checkpoint: every() })
    for (const step of [28, 35]) await truncate(join(directory, `step-0000000${step}.safetensors`), 1000)
    const checkpoint = every({ keepLast: 1 })
    await expect(build().fit(data, { ...run, checkpoint, callbacks: [failAfter(10)] })).rejects.toThrow(/power/)
    const net = build()
    expect(await net.fit(data, { ...run, checkpoint })).toEqual(expected)
    expect(net.weights()).toEqual(whole.weights())
  })

  it('takes no epoch more than are asked for', async () => {
    await expect(build().fit(data, { ...run, checkpoint: every(), callbacks: [failAfter(28)] })).rejects.toThrow(/power/)
    const whole = build()
    const expected = await whole.fit(data, { ...run, epochs: 3 })
    const net = build()
    expect(await net.fit(data, { ...run, epochs: 3, checkpoint: every() })).toEqual(expected)
    expect(net.weights()).toEqual(whole.weights())
    const stop = new AbortController()
    const onProgress = ({ step }: { step: number }) => {
      if (step === 2) stop.abort()
    }
    await expect(
      build().fit(data, { ...run, checkpoint: every({ everySteps: 1 }), signal: stop.signal, onProgress }),
    ).rejects.toMatchObject({ name: 'AbortError' })
    await expect(build().fit(data, { ...run, epochs: 3, checkpoint: every() })).rejects.toThrow(/is in epoch 4, this one is to end after 3/)
  })

  it('has written the best one before the checkpoint that says so', async () => {
    await mkdir(join(directory, 'best.safetensors'))
    const checkpoint = every({ keepBest: { monitor: 'loss', mode: 'max' } })
    await expect(build().fit(data, { ...run, checkpoint })).rejects.toMatchObject({ code: 'ERR_FILE' })
    await rm(join(directory, 'best.safetensors'), { recursive: true })
    await build().fit(data, { ...run, checkpoint })
    const first = build()
    await first.fit(data, { ...run, epochs: 1 })
    expect((await loadModel(join(directory, 'best.safetensors'))).weights()).toEqual(first.weights())
  })

  it('refuses what callbacks remember if it would not come back', async () => {
    const fit = (state: unknown, restored?: (state: unknown) => void, epochs = 2) =>
      build().fit(data, {
        ...run,
        epochs,
        checkpoint: every(),
        callbacks: [{ name: 'own', onEpochEnd: () => {}, save: () => state, restore: restored }],
      })
    for (const state of [Uint8Array.of(1, 2, 3), 3n, new Map([[1, 2]]), new Date(), { $: 'NaN' }, () => {}])
      await expect(fit({ state })).rejects.toMatchObject({
        code: 'ERR_OPTION',
        message: expect.stringContaining('callbacks/0/state/state cannot be stored'),
      })
    const state = {
      'a/b': Float32Array.of(1),
      a: { b: Int32Array.of(2), "b'": Float64Array.of(3) },
      rest: [Number.NaN, -0, null, 'text', true],
    }
    await fit(state)
    let restored: unknown
    await fit(state, (saved) => { restored = saved }, 3) // biome-ignore format: one line
    expect(restored).toEqual(state)
  })

  it('goes on with the scale of the learning rates that callbacks have set', async () => {
    const decay = {
      onTrainBegin: (run: TrainingRun) => {
        run.learningRateScale = 3
      },
      onEpochBegin: (_: number, run: TrainingRun) => {
        run.learningRateScale *= 0.7
      },
    }
    const whole = build()
    const expected = await whole.fit(data, { ...run, callbacks: [decay] })
    const { net, history, attempts } = await untilOver(build, (net, attempt) => {
      const stop = new AbortController()
      const onProgress = ({ step }: { step: number }) => {
        if (step === 3 && attempt < 4) stop.abort()
      }
      const checkpoint = every({ everySteps: 1 })
      const power = attempt === 4 ? [failAfter(8)] : []
      return net.fit(data, { ...run, checkpoint, callbacks: [decay, ...power], signal: stop.signal, onProgress })
    })
    expect(attempts).toBeGreaterThan(2)
    expect(history).toEqual(expected)
    expect(net.weights()).toEqual(whole.weights())
  })

  it('keeps the records of an epoch together, however many pauses it had', async () => {
    const failing = { ...run, batchSize: 2, checkpoint: every({ everySteps: 1, keepLast: 1 }), callbacks: [failAfter(1)] }
    await expect(build().fit(data, failing)).rejects.toThrow(/power/)
    const [name] = await readdir(directory)
    const { tensors } = await readSafetensors(join(directory, name))
    expect(Object.keys(tensors).filter((each) => each.includes('/runs/'))).toEqual(['checkpoint/position/runs/0/records/loss'])
    expect(tensors['checkpoint/position/runs/0/records/loss'].shape).toEqual([101])
  })

  it('lets optimizers remember after a run that was over', async () => {
    const whole = build()
    await whole.fit(data, { ...run, epochs: 8 })
    await build().fit(data, { ...run, checkpoint: every() })
    const [net, optimizer] = [build(), adam()]
    await net.fit(data, { ...run, optimizer, checkpoint: every() })
    await net.fit(data, { ...run, optimizer, initialEpoch: 5, epochs: 8 })
    expect(net.weights()).toEqual(whole.weights())
  })

  it('says when the checkpoint of an aborted run cannot be written', async () => {
    const stop = new AbortController()
    const onEpochEnd = async () => {
      await rm(directory, { recursive: true })
      await writeFile(directory, '')
      stop.abort()
    }
    const checkpoint = every({ everyEpochs: 100 })
    await expect(build().fit(data, { ...run, checkpoint, onEpochEnd, signal: stop.signal })).rejects.toMatchObject({ code: 'ERR_FILE' })
  })

  it('refuses what it could not save before the first epoch', async () => {
    const { save, ...minimizer } = { save: undefined, step: async <E>(from: E) => ({ reached: from, converged: false }) }
    const optimizer = { name: 'own', learningRates: [1], begin: () => minimizer }
    const fit = build().fit(data, { ...run, optimizer, checkpoint: every({ everyEpochs: 4 }), onEpochEnd: () => expect.unreachable() })
    await expect(fit).rejects.toThrow(/optimizer "own" cannot save/)
  })

  it('does not write lines of a log twice', async () => {
    const log = () => callbacks.csvLog(join(directory, 'log.csv'))
    await build().fit(data, { ...run, callbacks: [log()] })
    const expected = await readFile(join(directory, 'log.csv'), 'utf8')
    const checkpoint = every({ everyEpochs: 2 })
    await expect(build().fit(data, { ...run, checkpoint, callbacks: [log(), failAfter(18)] })).rejects.toThrow(/power/)
    await build().fit(data, { ...run, checkpoint, callbacks: [log()] })
    expect(await readFile(join(directory, 'log.csv'), 'utf8')).toBe(expected)
  })

  it('refuses options that make no sense', async () => {
    const refused = (checkpoint: object | string, message: RegExp) =>
      expect(build().fit(data, { ...run, checkpoint: checkpoint as never })).rejects.toThrow(message)
    await refused('runs', /directory: 'runs'/)
    await refused({}, /path of a directory/)
    await refused({ directory, everyStep: 5 }, /everySteps/)
    await refused({ directory, everySteps: 0 }, /everySteps must be an integer of at least 1, got 0/)
    await refused({ directory, everyMinutes: Number.NaN }, /everyMinutes/)
    await refused({ directory, keepLast: 1.5 }, /keepLast/)
    await refused({ directory, keepBest: { monitor: 'los' } }, /loss/)
    await refused({ directory: '/dev/null/runs' }, /cannot be made/)
    await refused({ directory: '/proc/thalweg/runs' }, /cannot be made/)
  })
})

describe('a run that is stopped outside its steps', () => {
  const build = () => sequential([input(3), dense(8, { activation: 'tanh' }), dropout(0.2), dense(1)], { seed: 4 })
  const run = { loss: 'meanSquaredError', epochs: 6, batchSize: 16 } as const
  const weightsAfter = async (data: Parameters<ReturnType<typeof build>['fit']>[0], more: Partial<FitOptions>) => {
    const net = build()
    const { epochs } = await net.fit(data, { ...run, ...more })
    return { weights: net.weights(), epochs }
  }

  it('in its validation goes on with the validation', async () => {
    const held = samples.slice(0, 40)
    const whole = await weightsAfter(data, { validationData: dataset(held) })
    for (const epoch of [0, 2, 5]) {
      const checkpoint = every({ everyEpochs: 100, directory: join(directory, `${epoch}`) })
      const stop = new AbortController()
      let stepsDone = false
      const validationData = dataset(async function* () {
        if (stepsDone) stop.abort()
        yield* held
      })
      const onSteps = (steps: { epoch: number; firstStep: number; losses: Float32Array }) => {
        stepsDone = steps.epoch === epoch && steps.firstStep + steps.losses.length === Math.ceil(203 / 16)
      }
      const stopped = build().fit(data, { ...run, validationData, checkpoint, signal: stop.signal, callbacks: [{ onSteps }] })
      await expect(stopped).rejects.toMatchObject({ code: 'ABORT_ERR' })
      expect((await readdir(checkpoint.directory)).some((name) => name.startsWith('step-'))).toBe(true)
      expect(await weightsAfter(data, { validationData: dataset(held), checkpoint })).toEqual(whole)
    }
  })

  it('while it waits for data goes on with them', async () => {
    const whole = await weightsAfter(dataset(samples), {})
    const stop = new AbortController()
    let passes = 0
    const slow = dataset(async function* () {
      passes++
      for (const [i, sample] of samples.entries()) {
        // The steps before have been taken; the next ones are waited for.
        if (passes === 4 && i === 100) {
          await new Promise((resolve) => setTimeout(resolve, 50))
          stop.abort()
        }
        yield sample
      }
    })
    const stopped = build().fit(slow, { ...run, checkpoint: every({ everyEpochs: 100 }), signal: stop.signal })
    await expect(stopped).rejects.toMatchObject({ code: 'ABORT_ERR' })
    expect((await readdir(directory)).some((name) => name.startsWith('step-'))).toBe(true)
    expect(await weightsAfter(dataset(samples), { checkpoint: every({ everyEpochs: 100 }) })).toEqual(whole)
  })
})

describe('a signal that ends the process', () => {
  // In place of those of who runs the tests, and so that the process stays.
  const others = process.listeners('SIGTERM')
  beforeEach(() => {
    process.removeAllListeners('SIGTERM').on('SIGTERM', () => {})
  })
  afterEach(() => {
    process.removeAllListeners('SIGTERM')
    for (const each of others) process.on('SIGTERM', each)
  })
  const stopped = { name: 'AbortError', message: expect.stringContaining('stopped by SIGTERM') }

  it('ends a run that waits for data', async () => {
    let isStalled = true
    const source = () =>
      dataset(async function* () {
        for (const [i, sample] of samples.entries()) {
          if (i === 150 && isStalled) {
            setTimeout(() => process.emit('SIGTERM', 'SIGTERM'), 50)
            await new Promise(() => {})
          }
          yield sample
        }
      })
    const streaming = { ...run, batchSize: 8, stepsPerEpoch: 25, checkpoint: { directory } } as const
    await expect(build().fit(source(), streaming)).rejects.toMatchObject(stopped)
    isStalled = false
    const net = build()
    await net.fit(source(), streaming)
    const whole = build()
    await whole.fit(source(), { ...streaming, checkpoint: undefined })
    expect(net.weights()).toEqual(whole.weights())
  })

  it('ends a run in its validation', async () => {
    const endless = dataset(async function* () {
      yield* samples
      setTimeout(() => process.emit('SIGTERM', 'SIGTERM'), 50)
      await new Promise(() => {})
    })
    const validating = { ...run, validationData: endless, checkpoint: { directory } }
    await expect(build().fit(data, validating)).rejects.toMatchObject(stopped)
    expect(await readdir(directory)).toEqual(['step-000000007.safetensors'])
  })

  it('ends a run that begins while others finish', async () => {
    let second: Promise<unknown> | undefined
    const onEpochEnd = async () => {
      if (second !== undefined) return
      process.emit('SIGTERM', 'SIGTERM')
      second = build().fit(data, { ...run, epochs: 1000, checkpoint: { directory: join(directory, 'second') } })
      await second.catch(() => {})
    }
    await expect(build().fit(data, { ...run, checkpoint: { directory }, onEpochEnd })).rejects.toMatchObject(stopped)
    await expect(second).rejects.toMatchObject(stopped)
  })
})
