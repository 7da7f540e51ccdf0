/** Schedules: against PyTorch's, by their properties, and what they refuse. */
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { adam, type Duration, type LearningRate, type Schedule, type ScheduleRun, schedules, sgd } from '../../../src/index.ts'
import { scheduleFor } from '../../../src/optim/schedules.ts'
import { expectRefusal } from '../../training/support.ts'

const golden = JSON.parse(readFileSync(new URL('../../golden/outside/schedules.json', import.meta.url), 'utf8')) as Record<string, number[]>

const runOf = (epochs: number, stepsPerEpoch: number): ScheduleRun => ({ epochs, stepsPerEpoch, steps: epochs * stepsPerEpoch })
/** The rates of all steps of a run, and of a few after it. */
const ratesOf = (schedule: Schedule, run: ScheduleRun, more = 0) =>
  Array.from({ length: run.steps + more }, (_, step) => schedule.rateAt(step, run))
const steps = (count: number): Duration => ({ steps: count })

describe("agrees with PyTorch's", () => {
  const rate = 0.1
  const cases: Record<string, Schedule> = {
    stepDecay: schedules.stepDecay({ rate, factor: 0.5, every: steps(4) }),
    multiStep: schedules.multiStep({ rate, factor: 0.2, milestones: [steps(3), steps(7), steps(11)] }),
    exponential: schedules.exponential({ rate, factor: 0.9, every: steps(1) }),
    polynomial: schedules.polynomial({ rate, power: 2, length: steps(10) }),
    linear: schedules.polynomial({ rate, floor: 0.02, length: steps(10) }),
    cosine: schedules.cosine({ rate, floor: 0.01, length: steps(12) }),
    cosineRestarts: schedules.cosineRestarts({ rate, floor: 0.01, first: steps(5) }),
    cosineRestartsEqual: schedules.cosineRestarts({ rate, first: steps(5), lengthFactor: 1 }),
    oneCycle: schedules.oneCycle({ rate, length: steps(21) }),
    oneCycleLinear: schedules.oneCycle({ rate: 0.2, rising: 0.4, shape: 'linear', start: 0.02, end: 0.0002, length: steps(21) }),
    oneCycleThreePhases: schedules.oneCycle({ rate, rising: 0.35, threePhases: true, length: steps(21) }),
    cyclic: schedules.cyclic({ rate, floor: 0.01, half: steps(3) }),
    cyclicHalved: schedules.cyclic({ rate, floor: 0.01, half: steps(3), heightFactor: 0.5 }),
  }
  it.each(Object.keys(golden).filter((name) => name in cases))('%s', (name) => {
    // PyTorch multiplies the rate of the step before, in double precision, and 12 digits are kept.
    golden[name].forEach((expected, step) =>
      expect(Math.abs(cases[name].rateAt(step, runOf(10, 7)) - expected)).toBeLessThanOrEqual(1e-10 * expected),
    )
  })

  it('leaves no golden rate unused', () => {
    expect(Object.keys(golden).filter((name) => !(name in cases))).toEqual(['linearWarmup', 'sequence'])
  })

  // A warmup of ours is one step ahead of LinearLR, whose first step may have a rate of 0.
  it('linearWarmup, a step later', () => {
    const warmup = schedules.linearWarmup({ rate, start: 0.25, length: steps(6) })
    golden.linearWarmup.slice(1).forEach((expected, step) => expect(warmup.rateAt(step, runOf(1, 1)) / expected).toBeCloseTo(1, 9))
  })

  it('sequence', () => {
    const joined = schedules.sequence([
      { schedule: schedules.perStep((step) => rate * (0.25 + (0.75 * step) / 4)), length: steps(4) },
      { schedule: schedules.cosine({ rate, length: steps(8) }) },
    ])
    // PyTorch goes on from the rate the warmup has reached; relative to the whole, for the last rate is 0.
    golden.sequence.forEach((expected, step) => expect(Math.abs(joined.rateAt(step, runOf(1, 20)) - expected)).toBeLessThan(1e-9))
  })
})

describe('follows its equation', () => {
  it('inverseTime', () => {
    const run = runOf(5, 4)
    expect(ratesOf(schedules.inverseTime({ rate: 0.2, factor: 0.5, every: steps(2) }), run)[6]).toBeCloseTo(0.2 / 2.5, 12)
    expect(ratesOf(schedules.inverseTime({ rate: 0.2, factor: 0.5, staircase: true }), run).slice(4, 8)).toEqual(
      new Array(4).fill(0.2 / 1.5),
    )
  })

  it('exponential as a staircase', () => {
    expect(ratesOf(schedules.exponential({ rate: 1, factor: 0.5, staircase: true }), runOf(3, 2))).toEqual([1, 1, 0.5, 0.5, 0.25, 0.25])
  })

  it('piecewiseConstant', () => {
    const schedule = schedules.piecewiseConstant({ rates: [3, 2, 1], boundaries: [{ epochs: 1 }, { steps: 5 }] })
    expect(ratesOf(schedule, runOf(3, 2), 1)).toEqual([3, 3, 2, 2, 2, 1, 1])
  })

  it('noam: eq. 3 of Vaswani et al. 2017, highest in step `warmup`', () => {
    const rates = ratesOf(schedules.noam({ width: 512, warmup: steps(40) }), runOf(1, 400))
    const equation = (n: number) => 512 ** -0.5 * Math.min(n ** -0.5, n * 40 ** -1.5)
    rates.forEach((rate, step) => expect(rate / equation(step + 1)).toBeCloseTo(1, 12))
    expect(rates.indexOf(Math.max(...rates))).toBe(39)
  })

  it('inverseSquareRoot is noam by another scale', () => {
    const run = runOf(2, 100)
    const noam = ratesOf(schedules.noam({ width: 64, warmup: { epochs: 0.25 } }), run)
    const other = ratesOf(schedules.inverseSquareRoot({ rate: (64 * 25) ** -0.5, warmup: { epochs: 0.25 } }), run)
    noam.forEach((rate, step) => expect(other[step] / rate).toBeCloseTo(1, 12))
  })

  it('cosine with a warmup rises to the rate, and falls to the floor when its length is over', () => {
    const rates = ratesOf(schedules.cosine({ rate: 1, floor: 0.2, warmup: { epochs: 1 }, length: { epochs: 3 } }), runOf(4, 4))
    expect(rates.slice(0, 5)).toEqual([0.25, 0.5, 0.75, 1, 1])
    expect(rates[8]).toBeCloseTo(0.6, 12)
    expect(rates.slice(12)).toEqual(new Array(4).fill(0.2))
  })

  it('cosineRestarts lowers the beginning of each cycle', () => {
    const schedule = schedules.cosineRestarts({ rate: 1, floor: 0.1, first: steps(4), rateFactor: 0.5 })
    expect([0, 4, 12].map((step) => schedule.rateAt(step, runOf(1, 40)))).toEqual([1, 0.5, 0.25])
    // Never below the floor, however often it is halved.
    expect(schedule.rateAt(4 * (2 ** 6 - 1), runOf(1, 400))).toBe(0.1)
  })

  it('an option that is undefined is one that is absent', () => {
    const given = schedules.stepDecay({ rate: undefined, factor: undefined, every: undefined })
    expect(ratesOf(given, runOf(30, 2))).toEqual(ratesOf(schedules.stepDecay(), runOf(30, 2)))
  })

  it('scaled, constant, perStep', () => {
    const run = runOf(2, 5)
    expect(ratesOf(schedules.scaled(schedules.constant({ rate: 0.5 }), 3), run)).toEqual(new Array(10).fill(1.5))
    expect(
      ratesOf(
        schedules.perStep((step, { steps: all }) => step / all),
        run,
      ),
    ).toEqual(Array.from({ length: 10 }, (_, i) => i / 10))
  })

  it('perEpoch asks once an epoch', () => {
    const asked: number[] = []
    const schedule = schedules.perEpoch((epoch) => asked.push(epoch))
    expect(ratesOf(schedule, runOf(3, 3))).toEqual([1, 1, 1, 2, 2, 2, 3, 3, 3])
    expect(asked).toEqual([0, 1, 2])
    const rest: number[] = []
    const inside = schedules.sequence([{ schedule: 1, length: steps(2) }, { schedule: schedules.scaled((epoch) => rest.push(epoch), 10) }])
    expect(ratesOf(inside, runOf(2, 3))).toEqual([1, 1, 10, 10, 10, 20])
    expect(rest).toEqual([0, 1])
  })

  it('sequence counts the steps of each part, and gives the last the rest of the run', () => {
    const seen: [number, number][] = []
    const note = (rate: number) =>
      schedules.perStep((step, { steps: all }) => {
        seen.push([step, all])
        return rate
      })
    const joined = schedules.sequence([
      { schedule: note(1), length: { epochs: 1 } },
      { schedule: 0.5, length: steps(1) },
      { schedule: note(2) },
    ])
    expect(ratesOf(joined, runOf(3, 2), 1)).toEqual([1, 1, 0.5, 2, 2, 2, 2])
    expect(seen).toEqual([
      [0, 2],
      [1, 2],
      [0, 3],
      [1, 3],
      [2, 3],
      [3, 3],
    ])
  })
})

describe('for any run', () => {
  const duration = fc.oneof(
    fc.integer({ min: 1, max: 60 }).map((count): Duration => ({ steps: count })),
    fc.double({ min: 0.01, max: 8, noNaN: true }).map((epochs): Duration => ({ epochs })),
  )
  const rate = fc.double({ min: 1e-6, max: 10, noNaN: true })
  const share = fc.double({ min: 0, max: 1, noNaN: true })
  const run = fc.tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 40 })).map(([epochs, each]) => runOf(epochs, each))
  const factor = fc.double({ min: 0.01, max: 1, noNaN: true })
  const shape = fc.constantFrom('cosine' as const, 'linear' as const)

  const floored = fc.record({ rate, share }).map(({ rate, share }) => ({ rate, floor: rate * share }))
  const falling: fc.Arbitrary<{ schedule: Schedule; rate: number; floor: number; length: Duration }> = fc
    .tuple(floored, duration, fc.boolean(), fc.double({ min: 0.1, max: 4, noNaN: true }))
    .map(([{ rate, floor }, length, round, power]) => ({
      rate,
      floor,
      length,
      schedule: round ? schedules.cosine({ rate, floor, length }) : schedules.polynomial({ rate, floor, length, power }),
    }))

  it('cosine and polynomial begin at the rate, never rise, and end at the floor', () => {
    fc.assert(
      fc.property(falling, run, ({ schedule, rate, floor, length }, run) => {
        const whole = Math.max(1, length.steps ?? Math.round(length.epochs * run.stepsPerEpoch))
        const rates = Array.from({ length: whole + 3 }, (_, step) => schedule.rateAt(step, run))
        expect(rates[0]).toBeCloseTo(rate, 12)
        for (const end of rates.slice(whole)) expect(end).toBeCloseTo(floor, 12)
        for (let i = 1; i < rates.length; i++) expect(rates[i]).toBeLessThanOrEqual(rates[i - 1] * (1 + 1e-12))
      }),
    )
  })

  // The steepest part of half a cosine is π/2 times as steep as the straight line.
  it('a cosine with a warmup is continuous', () => {
    fc.assert(
      fc.property(rate, fc.integer({ min: 1, max: 30 }), fc.integer({ min: 31, max: 300 }), (rate, warmup, length) => {
        const schedule = schedules.cosine({ rate, warmup: steps(warmup), length: steps(length) })
        const rates = ratesOf(schedule, runOf(1, length))
        const most = rate * Math.max(1 / warmup, Math.PI / 2 / (length - warmup)) * (1 + 1e-9)
        for (let i = 1; i < length; i++) expect(Math.abs(rates[i] - rates[i - 1])).toBeLessThanOrEqual(most)
      }),
    )
  })

  it('oneCycle begins at start, does not pass the rate, reaches it but for the step it falls between, and ends at end', () => {
    fc.assert(
      fc.property(
        rate,
        fc.double({ min: 0.05, max: 0.5, noNaN: true }),
        shape,
        fc.boolean(),
        fc.integer({ min: 1, max: 400 }),
        (rate, rising, shape, threePhases, length) => {
          const rates = ratesOf(schedules.oneCycle({ rate, rising, shape, threePhases }), runOf(1, length))
          expect(rates[length - 1]).toBeCloseTo(rate / 25 / 1e4, 12)
          if (rising * length > 1) expect(rates[0]).toBeCloseTo(rate / 25, 12)
          for (const value of rates) expect(value).toBeLessThanOrEqual(rate * (1 + 1e-12))
          // Half a step off the top loses at most what the steepest phase changes in one.
          if (rising * length > 3) expect(Math.max(...rates)).toBeGreaterThan(rate * (1 - Math.PI / 2 / (rising * length - 1)))
        },
      ),
    )
  })

  const any: fc.Arbitrary<LearningRate> = fc.oneof(
    fc.constantFrom(
      ...([
        'constant',
        'cosine',
        'cosineRestarts',
        'cyclic',
        'exponential',
        'inverseSquareRoot',
        'inverseTime',
        'linearWarmup',
        'noam',
        'oneCycle',
        'polynomial',
        'stepDecay',
      ] as const),
    ),
    falling.map(({ schedule }) => schedule),
    fc
      .tuple(rate, factor, duration, fc.boolean())
      .map(([rate, factor, every, staircase]) => schedules.exponential({ rate, factor, every, staircase })),
    fc
      .tuple(rate, factor, duration, fc.boolean())
      .map(([rate, factor, every, staircase]) => schedules.inverseTime({ rate, factor, every, staircase })),
    fc.tuple(rate, factor, duration).map(([rate, factor, every]) => schedules.stepDecay({ rate, factor, every })),
    fc
      .tuple(floored, duration, fc.double({ min: 1, max: 3, noNaN: true }), factor)
      .map(([{ rate, floor }, first, lengthFactor, rateFactor]) =>
        schedules.cosineRestarts({ rate, floor, first, lengthFactor, rateFactor }),
      ),
    fc
      .tuple(floored, duration, factor)
      .map(([{ rate, floor }, half, heightFactor]) => schedules.cyclic({ rate, floor, half, heightFactor })),
    fc.tuple(rate, share, duration).map(([rate, start, length]) => schedules.linearWarmup({ rate, start, length })),
    fc.tuple(rate, duration).map(([rate, warmup]) => schedules.inverseSquareRoot({ rate, warmup })),
  )

  it('no rate is negative, infinite or NaN, in a sequence neither', () => {
    fc.assert(
      fc.property(any, any, duration, run, fc.integer({ min: 0, max: 100 }), (first, second, length, run, more) => {
        for (const schedule of [scheduleFor('test', first), schedules.sequence([{ schedule: first, length }, { schedule: second }])])
          for (const value of ratesOf(schedule, run, more)) expect(value >= 0 && Number.isFinite(value)).toBe(true)
      }),
    )
  })
})

const anything = (value: unknown) => value as never

describe('refuses', () => {
  it.each<[string, () => unknown, ...string[]]>([
    ['a negative rate', () => schedules.cosine({ rate: -1 }), 'cosine: rate must be a finite number of at least 0, got -1'],
    ['a rate beyond float32', () => schedules.polynomial({ rate: 1e39 }), 'polynomial: rate', 'got 1e+39'],
    ['a misspelt option', () => schedules.cosine(anything({ warmUp: {} })), 'Unknown option "warmUp" for cosine; did you mean "warmup"?'],
    ['the name of other libraries', () => schedules.stepDecay(anything({ gamma: 0.1 })), '"gamma" for stepDecay; did you mean "factor"?'],
    ['a floor above the rate', () => schedules.cosine({ rate: 0.1, floor: 0.2 }), 'floor must be at most the rate 0.1, got 0.2'],
    [
      'a number for a length',
      () => schedules.cosine({ length: anything(5) }),
      'length must be a length, { epochs: 5 } or { steps: 500 }, got 5',
    ],
    ['two units', () => schedules.cosine({ length: anything({ epochs: 1, steps: 1 }) }), 'got { epochs, steps }'],
    ['no unit', () => schedules.stepDecay({ every: anything({}) }), 'stepDecay: every must be a length', 'got {  }'],
    ['another unit', () => schedules.stepDecay({ every: anything({ days: 1 }) }), 'got { days }'],
    ['a length of 0', () => schedules.cosine({ length: { steps: 0 } }), 'length.steps must be an integer above 0, got 0'],
    ['half a step', () => schedules.linearWarmup({ length: { steps: 2.5 } }), 'length.steps must be an integer above 0, got 2.5'],
    [
      'endless epochs',
      () => schedules.linearWarmup({ length: { epochs: Number.POSITIVE_INFINITY } }),
      'length.epochs must be a number above 0',
    ],
    ['a negative warmup', () => schedules.cosine({ warmup: { steps: -1 } }), 'warmup.steps must be an integer of at least 0, got -1'],
    ['a factor of 0', () => schedules.exponential({ factor: 0 }), 'exponential: factor must be a finite number above 0, got 0'],
    ['no milestones', () => schedules.multiStep(anything(undefined)), 'multiStep: milestones must be an array of lengths', 'got undefined'],
    ['milestones that fall', () => schedules.multiStep({ milestones: [steps(5), steps(5)] }), 'milestones must ascend, got steps 5, 5'],
    ['a bad milestone', () => schedules.multiStep({ milestones: [anything(3)] }), 'milestones[0] must be a length'],
    [
      'too few rates',
      () => schedules.piecewiseConstant({ rates: [1], boundaries: [steps(5)] }),
      'one rate more than boundaries, got 1 for 1',
    ],
    ['a bad rate of several', () => schedules.piecewiseConstant({ rates: [1, -1], boundaries: [steps(5)] }), 'rates[1]', 'got -1'],
    [
      'cycles that shrink',
      () => schedules.cosineRestarts({ lengthFactor: 0.5 }),
      'lengthFactor must be a finite number of at least 1, got 0.5',
    ],
    ['rates that grow', () => schedules.cosineRestarts({ rateFactor: 2 }), 'rateFactor must be a number above 0, at most 1, got 2'],
    ['a start above the rate', () => schedules.oneCycle({ rate: 0.1, start: 0.2 }), 'end ≤ start ≤ rate', 'start 0.2 and rate 0.1'],
    ['a rise that fills all', () => schedules.oneCycle({ rising: 1 }), 'rising must be above 0 and below 1, got 1'],
    ['two rises that overlap', () => schedules.oneCycle({ rising: 0.6, threePhases: true }), 'at most 0.5, got 0.6'],
    ['another shape', () => schedules.oneCycle({ shape: anything('cosin') }), 'Unknown shape "cosin" for oneCycle; did you mean "cosine"?'],
    ['a flag that is none', () => schedules.exponential({ staircase: anything(1) }), 'staircase must be true or false, got 1'],
    ['an empty sequence', () => schedules.sequence([]), 'sequence: expected an array of { schedule, length }'],
    [
      'a part without length',
      () => schedules.sequence([{ schedule: 1 }, { schedule: 1 }]),
      'sequence: part 0: length must be a length',
      'undefined',
    ],
    ['a part that is a schedule', () => schedules.sequence([anything(schedules.cosine())]), 'Unknown option "name" for sequence: part 0'],
    ['a negative scale', () => schedules.scaled(1, -1), 'scaled: factor', 'got -1'],
    ['no function', () => schedules.perStep(anything(1)), 'perStep: expected a function of the step, got 1'],
    ['no function of the epoch', () => schedules.perEpoch(anything('x')), 'perEpoch: expected a function'],
    ['an unknown name', () => adam({ learningRate: anything('cosin') }), 'Unknown schedule "cosin" for adam; did you mean "cosine"?'],
    ['a name that needs options', () => adam({ learningRate: anything('multiStep') }), 'it needs options; call schedules.multiStep(…).'],
    [
      'a schedule that was not called',
      () => sgd({ learningRate: anything(schedules.cosine) }),
      'the function cosine; call it: schedules.cosine()',
    ],
    ['half a schedule', () => sgd({ learningRate: anything({ name: 'mine' }) }), 'sgd: learningRate must be a number, a schedule such as'],
  ])('%s', async (_, call, ...parts) => {
    await expectRefusal(call, 'ERR_OPTION', ...parts)
  })
})
