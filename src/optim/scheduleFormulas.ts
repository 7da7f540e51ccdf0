/** The learning rate of each step as a formula. Pure functions of the step, so that a run can know the rates of many steps ahead. */
import { checkBoolean, checkOptions, unknownName } from '../checks.ts'
import { describe, OptionError } from '../errors.ts'
import {
  check,
  checkDuration,
  checkFloor,
  checkGrowth,
  checkPlaces,
  checkPositive,
  checkRate,
  checkShare,
  type Duration,
  scheduleHints as hints,
  lengthOf,
  placesReached,
  type RateOptions,
  type Schedule,
  stepsOf,
} from './schedule.ts'

/** 1 at the beginning, 0 at the end, half a cosine between. */
const cosineFall = (part: number) => (1 + Math.cos(Math.PI * part)) / 2

/**
 * The same rate in every step. A plain number does this too, and costs less.
 *
 * @param options `rate`, default 0.001.
 * @example adam({ learningRate: schedules.constant({ rate: 0.01 }) })
 */
export function constant(options: RateOptions = {}): Schedule {
  checkOptions('constant', options, ['rate'], hints)
  const { rate = 0.001 } = options
  checkRate('constant', 'rate', rate)
  return { name: 'constant', rateAt: () => rate }
}

/** Options of `schedules.stepDecay`. */
export interface StepDecayOptions extends RateOptions {
  /** What the rate is multiplied by; default 0.1. */
  readonly factor?: number
  /** How often; default `{ epochs: 10 }`. */
  readonly every?: Duration
}

/**
 * Falls by a factor at equal distances: rate · factor^⌊step / every⌋ (PyTorch's StepLR).
 *
 * @param options `rate` 0.001, `factor` 0.1, `every` { epochs: 10 }.
 * @example sgd({ learningRate: schedules.stepDecay({ rate: 0.1, factor: 0.5, every: { epochs: 20 } }) })
 */
export function stepDecay(options: StepDecayOptions = {}): Schedule {
  checkOptions('stepDecay', options, ['rate', 'factor', 'every'], hints)
  const { rate, factor = 0.1, every = { epochs: 10 } } = options
  return exponentialLike('stepDecay', { rate, factor, every, staircase: true })
}

/** Options of `schedules.multiStep`. */
export interface MultiStepOptions extends RateOptions {
  /** What the rate is multiplied by; default 0.1. */
  readonly factor?: number
  /** When, in ascending order. */
  readonly milestones: readonly Duration[]
}

/**
 * Falls by a factor at each milestone: rate · factor^(milestones reached) (PyTorch's MultiStepLR).
 *
 * @param options `milestones`; `rate` 0.001, `factor` 0.1.
 * @example sgd({ learningRate: schedules.multiStep({ rate: 0.1, milestones: [{ epochs: 30 }, { epochs: 60 }] }) })
 */
export function multiStep(options: MultiStepOptions): Schedule {
  checkOptions('multiStep', options, ['rate', 'factor', 'milestones'], hints)
  const { rate = 0.001, factor = 0.1, milestones } = options ?? {}
  checkRate('multiStep', 'rate', rate)
  checkPositive('multiStep', 'factor', factor)
  checkPlaces('multiStep', 'milestones', milestones)
  return { name: 'multiStep', rateAt: (step, run) => rate * factor ** placesReached(milestones, step, run) }
}

/** Options of `schedules.exponential`. */
export interface ExponentialOptions extends RateOptions {
  /** What the rate is multiplied by; default 0.95. */
  readonly factor?: number
  /** After how long the factor has been applied once; default `{ epochs: 1 }`. */
  readonly every?: Duration
  /** Whether the rate falls at once at the end of each such length, not a little in each step; default false. */
  readonly staircase?: boolean
}

/**
 * Falls by a factor again and again: rate · factor^(step / every); with `staircase` the exponent is rounded down (Keras' ExponentialDecay, PyTorch's
 * ExponentialLR).
 *
 * @param options `rate` 0.001, `factor` 0.95, `every` { epochs: 1 }, `staircase` false.
 * @example adam({ learningRate: schedules.exponential({ rate: 0.01, factor: 0.9 }) })
 */
export function exponential(options: ExponentialOptions = {}): Schedule {
  checkOptions('exponential', options, ['rate', 'factor', 'every', 'staircase'], hints)
  return exponentialLike('exponential', options)
}

function exponentialLike(name: string, options: ExponentialOptions): Schedule {
  const { rate = 0.001, factor = 0.95, every = { epochs: 1 }, staircase = false } = options
  checkRate(name, 'rate', rate)
  checkPositive(name, 'factor', factor)
  checkDuration(name, 'every', every)
  checkBoolean(name, 'staircase', staircase)
  return {
    name,
    rateAt(step, run) {
      const times = step / lengthOf(every, run)
      return rate * factor ** (staircase ? Math.floor(times) : times)
    },
  }
}

/** Options of `schedules.inverseTime`. */
export interface InverseTimeOptions extends RateOptions {
  /** Default 1. */
  readonly factor?: number
  /** Default `{ epochs: 1 }`. */
  readonly every?: Duration
  /** Whether step / every is rounded down; default false. */
  readonly staircase?: boolean
}

/**
 * Falls with the inverse of time: rate / (1 + factor · step / every) (Robbins and Monro 1951; Keras' InverseTimeDecay).
 *
 * @param options `rate` 0.001, `factor` 1, `every` { epochs: 1 }, `staircase` false.
 * @example sgd({ learningRate: schedules.inverseTime({ rate: 0.1, factor: 0.5 }) })
 */
export function inverseTime(options: InverseTimeOptions = {}): Schedule {
  checkOptions('inverseTime', options, ['rate', 'factor', 'every', 'staircase'], hints)
  const { rate = 0.001, factor = 1, every = { epochs: 1 }, staircase = false } = options
  checkRate('inverseTime', 'rate', rate)
  checkRate('inverseTime', 'factor', factor)
  checkDuration('inverseTime', 'every', every)
  checkBoolean('inverseTime', 'staircase', staircase)
  return {
    name: 'inverseTime',
    rateAt(step, run) {
      const times = step / lengthOf(every, run)
      return rate / (1 + factor * (staircase ? Math.floor(times) : times))
    },
  }
}

/** Options of `schedules.polynomial`. */
export interface PolynomialOptions extends RateOptions {
  /** The rate at the end, and after it; default 0. */
  readonly floor?: number
  /** Default 1: a straight line. */
  readonly power?: number
  /** How long the rate falls; default the whole run. */
  readonly length?: Duration
}

/**
 * Falls to the floor along a power: floor + (rate - floor) · (1 - step / length)^power; the floor after that (Keras' PolynomialDecay, PyTorch's
 * PolynomialLR).
 *
 * @param options `rate` 0.001, `floor` 0, `power` 1, `length` the whole run.
 * @example adam({ learningRate: schedules.polynomial({ rate: 0.01, power: 2 }) })
 */
export function polynomial(options: PolynomialOptions = {}): Schedule {
  checkOptions('polynomial', options, ['rate', 'floor', 'power', 'length'], hints)
  const { rate = 0.001, floor = 0, power = 1, length } = options
  checkFloor('polynomial', rate, floor)
  checkPositive('polynomial', 'power', power)
  if (length !== undefined) checkDuration('polynomial', 'length', length)
  return {
    name: 'polynomial',
    rateAt: (step, run) => floor + (rate - floor) * (1 - Math.min(1, step / lengthOf(length, run))) ** power,
  }
}

/** Options of `schedules.piecewiseConstant`. */
export interface PiecewiseConstantOptions {
  /** The rate of each piece: one more than there are boundaries. */
  readonly rates: readonly number[]
  /** Where the second piece begins, the third, …, in ascending order. */
  readonly boundaries: readonly Duration[]
}

/**
 * A rate for each piece of the run: rates[number of boundaries reached].
 *
 * @param options `rates` and `boundaries`, one fewer.
 * @example sgd({ learningRate: schedules.piecewiseConstant({ rates: [0.1, 0.01], boundaries: [{ epochs: 10 }] }) })
 */
export function piecewiseConstant(options: PiecewiseConstantOptions): Schedule {
  checkOptions('piecewiseConstant', options, ['rates', 'boundaries'], hints)
  const { rates, boundaries } = options ?? {}
  if (!Array.isArray(rates)) throw new OptionError(`piecewiseConstant: rates must be an array of numbers, got ${describe(rates)}.`)
  rates.forEach((rate, i) => checkRate('piecewiseConstant', `rates[${i}]`, rate))
  checkPlaces('piecewiseConstant', 'boundaries', boundaries)
  if (rates.length !== boundaries.length + 1)
    throw new OptionError(`piecewiseConstant: there must be one rate more than boundaries, got ${rates.length} for ${boundaries.length}.`)
  return { name: 'piecewiseConstant', rateAt: (step, run) => rates[placesReached(boundaries, step, run)] }
}

/** Options of `schedules.cosine`. */
export interface CosineOptions extends RateOptions {
  /** The rate at the end, and after it; default 0. */
  readonly floor?: number
  /** How long the rate first rises in a straight line, as `linearWarmup` does; default `{ steps: 0 }`. */
  readonly warmup?: Duration
  /** How long all of it takes, the warmup included; default the whole run. */
  readonly length?: Duration
}

/**
 * Falls to the floor along half a cosine: floor + (rate - floor) · (1 + cos(π · step / length)) / 2; the floor after that (Loshchilov and
 * Hutter 2017, arXiv:1608.03983, eq. 5 without restarts; PyTorch's CosineAnnealingLR). With `warmup` the cosine begins at its end.
 *
 * @param options `rate` 0.001, `floor` 0, `warmup` { steps: 0 }, `length` the whole run.
 * @example adam({ learningRate: schedules.cosine({ rate: 0.01, warmup: { epochs: 2 } }) })
 */
export function cosine(options: CosineOptions = {}): Schedule {
  checkOptions('cosine', options, ['rate', 'floor', 'warmup', 'length'], hints)
  const { rate = 0.001, floor = 0, warmup = { steps: 0 }, length } = options
  checkFloor('cosine', rate, floor)
  checkDuration('cosine', 'warmup', warmup, true)
  if (length !== undefined) checkDuration('cosine', 'length', length)
  return {
    name: 'cosine',
    rateAt(step, run) {
      const rising = stepsOf(warmup, run)
      if (step < rising) return (rate * (step + 1)) / rising
      const falling = Math.max(1, lengthOf(length, run) - rising)
      return floor + (rate - floor) * cosineFall(Math.min(1, (step - rising) / falling))
    },
  }
}

/** Options of `schedules.cosineRestarts`. */
export interface CosineRestartsOptions extends RateOptions {
  /** The rate at the end of each cycle; default 0. */
  readonly floor?: number
  /** How long the first cycle is; default `{ epochs: 10 }`. */
  readonly first?: Duration
  /** How much longer each cycle is than the one before; default 2. */
  readonly lengthFactor?: number
  /** What the rate at the beginning of a cycle is multiplied by for the next; default 1. */
  readonly rateFactor?: number
}

/**
 * Warm restarts: falls along half a cosine, again and again, floor + (rate_i - floor) · (1 + cos(π · T_cur / T_i)) / 2, with cycles of
 * T_i = first · lengthFactor^i steps and rate_i = rate · rateFactor^i (Loshchilov and Hutter 2017, arXiv:1608.03983, eq. 5; PyTorch's CosineAnnealingWarmRestarts).
 *
 * @param options `rate` 0.001, `floor` 0, `first` { epochs: 10 }, `lengthFactor` 2, `rateFactor` 1.
 * @example sgd({ learningRate: schedules.cosineRestarts({ rate: 0.05, first: { epochs: 5 } }) })
 */
export function cosineRestarts(options: CosineRestartsOptions = {}): Schedule {
  checkOptions('cosineRestarts', options, ['rate', 'floor', 'first', 'lengthFactor', 'rateFactor'], hints)
  const { rate = 0.001, floor = 0, first = { epochs: 10 }, lengthFactor = 2, rateFactor = 1 } = options
  checkFloor('cosineRestarts', rate, floor)
  checkDuration('cosineRestarts', 'first', first)
  checkGrowth('cosineRestarts', 'lengthFactor', lengthFactor)
  check('cosineRestarts', 'rateFactor', rateFactor, (x) => x > 0 && x <= 1, 'a number above 0, at most 1')
  return {
    name: 'cosineRestarts',
    rateAt(step, run) {
      let length = lengthOf(first, run)
      let [cycle, begin] = [0, 0]
      if (lengthFactor === 1) {
        cycle = Math.floor(step / length)
        begin = cycle * length
      } else {
        for (; step - begin >= length; cycle++) {
          begin += length
          length *= lengthFactor
        }
      }
      return floor + Math.max(0, rate * rateFactor ** cycle - floor) * cosineFall((step - begin) / length)
    },
  }
}

/** Options of `schedules.oneCycle`. */
export interface OneCycleOptions {
  /** The highest rate; default 0.01. */
  readonly rate?: number
  /** The rate of the first step; default rate / 25. */
  readonly start?: number
  /** The rate of the last step; default start / 10,000. */
  readonly end?: number
  /** The part of the run in which the rate rises: above 0, below 1 (at most 1/2 with three phases); default 0.3. */
  readonly rising?: number
  /** Half a cosine or a straight line; default "cosine". */
  readonly shape?: 'cosine' | 'linear'
  /** Whether the rate first falls as it rose, back to `start`, and then to `end`; default false: it falls to `end` at once. */
  readonly threePhases?: boolean
  /** How long the cycle is; default the whole run. */
  readonly length?: Duration
}

/**
 * The one-cycle policy: up to a high rate, then down to almost nothing, in the form of PyTorch's OneCycleLR (Smith and Topin 2018,
 * arXiv:1708.07120). Momentum is not cycled.
 *
 * @param options `rate` 0.01, `start` rate / 25, `end` start / 10,000, `rising` 0.3, `shape` "cosine", `threePhases` false, `length` the whole run.
 * @example sgd({ learningRate: schedules.oneCycle({ rate: 0.1 }), momentum: 0.9 })
 */
export function oneCycle(options: OneCycleOptions = {}): Schedule {
  checkOptions('oneCycle', options, ['rate', 'start', 'end', 'rising', 'shape', 'threePhases', 'length'], hints)
  const { rate = 0.01, start = rate / 25, end = start / 1e4, rising = 0.3, shape = 'cosine', threePhases = false, length } = options
  for (const [name, value] of Object.entries({ rate, start, end })) checkRate('oneCycle', name, value)
  if (start > rate || end > start)
    throw new OptionError(`oneCycle: the rates must be end ≤ start ≤ rate, got end ${end}, start ${start} and rate ${rate}.`)
  checkBoolean('oneCycle', 'threePhases', threePhases)
  const most = threePhases ? 0.5 : 1
  check('oneCycle', 'rising', rising, (x) => x > 0 && x < 1 && x <= most, threePhases ? 'above 0, at most 0.5' : 'above 0 and below 1')
  if (shape !== 'cosine' && shape !== 'linear') throw unknownName('shape', shape, ['cosine', 'linear'], 'oneCycle')
  if (length !== undefined) checkDuration('oneCycle', 'length', length)
  const between = (from: number, to: number, part: number) => to + (from - to) * (shape === 'cosine' ? cosineFall(part) : 1 - part)
  return {
    name: 'oneCycle',
    rateAt(step, run) {
      const total = lengthOf(length, run)
      const top = rising * total - 1
      const phases = threePhases ? [top, 2 * top, total - 1] : [top, total - 1]
      const rates = threePhases ? [start, rate, start, end] : [start, rate, end]
      let begin = 0
      for (const [i, phaseEnd] of phases.entries()) {
        // A phase of a very short run may be empty.
        if (step <= phaseEnd && phaseEnd > begin) return between(rates[i], rates[i + 1], (step - begin) / (phaseEnd - begin))
        begin = Math.max(begin, phaseEnd)
      }
      return end
    },
  }
}

/** Options of `schedules.cyclic`. */
export interface CyclicOptions extends RateOptions {
  /** The rate at the beginning and the end of each cycle; default rate / 4. */
  readonly floor?: number
  /** How long the rate rises, and then falls; default `{ epochs: 4 }`. */
  readonly half?: Duration
  /** What the height of a cycle is multiplied by for the next: 0.5 is the policy "triangular2"; default 1. */
  readonly heightFactor?: number
}

/**
 * Cyclical learning rates: up and down in straight lines between floor and rate, each cycle's height heightFactor times that of the one before
 * (Smith 2017, arXiv:1506.01186; PyTorch's CyclicLR).
 *
 * @param options `rate` 0.001, `floor` rate / 4, `half` { epochs: 4 }, `heightFactor` 1.
 * @example sgd({ learningRate: schedules.cyclic({ rate: 0.1, half: { steps: 500 } }) })
 */
export function cyclic(options: CyclicOptions = {}): Schedule {
  checkOptions('cyclic', options, ['rate', 'floor', 'half', 'heightFactor'], hints)
  const { rate = 0.001, floor = rate / 4, half = { epochs: 4 }, heightFactor = 1 } = options
  checkFloor('cyclic', rate, floor)
  checkDuration('cyclic', 'half', half)
  check('cyclic', 'heightFactor', heightFactor, (x) => x > 0 && x <= 1, 'a number above 0, at most 1')
  return {
    name: 'cyclic',
    rateAt(step, run) {
      const halves = step / lengthOf(half, run)
      const cycle = Math.floor(halves / 2)
      return floor + (rate - floor) * (1 - Math.abs(halves - 2 * cycle - 1)) * heightFactor ** cycle
    },
  }
}

/** Options of `schedules.linearWarmup`. */
export interface LinearWarmupOptions extends RateOptions {
  /** The part of the rate to begin at: 0 … 1; default 0. */
  readonly start?: number
  /** How long the rate rises; default `{ epochs: 5 }`. */
  readonly length?: Duration
}

/**
 * Rises in a straight line and stays: rate · (start + (1 - start) · min(1, (step + 1) / length)), so that no step is wasted on a rate of 0 (Goyal et al. 2017,
 * arXiv:1706.02677, section 2.2). What is to follow is said with `sequence`.
 *
 * @param options `rate` 0.001, `start` 0, `length` { epochs: 5 }.
 * @example sgd({ learningRate: schedules.linearWarmup({ rate: 0.1, length: { steps: 200 } }) })
 */
export function linearWarmup(options: LinearWarmupOptions = {}): Schedule {
  checkOptions('linearWarmup', options, ['rate', 'start', 'length'], hints)
  const { rate = 0.001, start = 0, length = { epochs: 5 } } = options
  checkRate('linearWarmup', 'rate', rate)
  checkShare('linearWarmup', 'start', start)
  checkDuration('linearWarmup', 'length', length)
  return {
    name: 'linearWarmup',
    rateAt: (step, run) => rate * (start + (1 - start) * Math.min(1, (step + 1) / lengthOf(length, run))),
  }
}

/** Options of `schedules.inverseSquareRoot`. */
export interface InverseSquareRootOptions extends RateOptions {
  /** How long the rate rises in a straight line; default `{ steps: 4000 }`. */
  readonly warmup?: Duration
}

/**
 * Rises in a straight line, then falls with the inverse square root: rate · min(n / warmup, √(warmup / n)) in step n = 1, 2, ….
 *
 * @param options `rate` 0.001, `warmup` { steps: 4000 }.
 * @example adam({ learningRate: schedules.inverseSquareRoot({ rate: 0.002, warmup: { epochs: 1 } }) })
 */
export function inverseSquareRoot(options: InverseSquareRootOptions = {}): Schedule {
  checkOptions('inverseSquareRoot', options, ['rate', 'warmup'], hints)
  const { rate = 0.001, warmup = { steps: 4000 } } = options
  checkRate('inverseSquareRoot', 'rate', rate)
  checkDuration('inverseSquareRoot', 'warmup', warmup)
  return {
    name: 'inverseSquareRoot',
    rateAt(step, run) {
      const rising = lengthOf(warmup, run)
      return rate * Math.min((step + 1) / rising, Math.sqrt(rising / (step + 1)))
    },
  }
}

/** Options of `schedules.noam`. */
export interface NoamOptions {
  /** The width of the model; default 512. */
  readonly width?: number
  /** How long the rate rises in a straight line; default `{ steps: 4000 }`. */
  readonly warmup?: Duration
  /** Default 1. */
  readonly factor?: number
}

/**
 * The schedule of the transformer: factor · width^(-1/2) · min(n^(-1/2), n · warmup^(-3/2)) in step n = 1, 2, … (Vaswani et al. 2017,
 * arXiv:1706.03762, eq. 3).
 *
 * @param options `width` 512, `warmup` { steps: 4000 }, `factor` 1.
 * @example adam({ learningRate: schedules.noam({ width: 256, warmup: { steps: 1000 } }), beta2: 0.98 })
 */
export function noam(options: NoamOptions = {}): Schedule {
  checkOptions('noam', options, ['width', 'warmup', 'factor'], hints)
  const { width = 512, warmup = { steps: 4000 }, factor = 1 } = options
  checkPositive('noam', 'width', width)
  checkDuration('noam', 'warmup', warmup)
  checkRate('noam', 'factor', factor)
  return {
    name: 'noam',
    rateAt: (step, run) => factor * width ** -0.5 * Math.min((step + 1) ** -0.5, (step + 1) * lengthOf(warmup, run) ** -1.5),
  }
}
