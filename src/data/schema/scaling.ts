/** The statistics of numbers, and the scales made of them. */

import { SKEWED } from './defaults.ts'
import type { Fields } from './fields.ts'
import { Moments, Quantiles } from './statistics.ts'
import { LARGEST } from './values.ts'

/** Quantiles that are kept are one more than this. */
const PARTS = 64

/** How numbers are brought to the same size. */
export const scales = ['auto', 'standard', 'minMax', 'robust', 'quantile', 'log', 'none'] as const

export type Scale = (typeof scales)[number]

/** What is known of the numbers of a column. */
export interface NumberStatistics {
  /** Numbers, without missing ones. */
  readonly count: number
  readonly missing: number
  readonly mean: number
  readonly deviation: number
  readonly skewness: number
  readonly min: number
  readonly max: number
  /** Mean, deviation and skewness of sign(x) · log(1 + |x|). */
  readonly log: { readonly mean: number; readonly deviation: number; readonly skewness: number }
  /** 65 of them, evenly spaced, from the least to the largest; none where there are no numbers. */
  readonly quantiles: readonly number[]
}

/** Numbers of either sign on a scale of magnitudes, and 0 at 0. */
export function signedLog(x: number): number {
  return x < 0 ? -Math.log1p(-x) : Math.log1p(x)
}

/** The number whose `signedLog` this is. */
export function signedExp(x: number): number {
  return x < 0 ? -Math.expm1(-x) : Math.expm1(x)
}

/** Takes numbers in. */
export class NumberCollector {
  missing = 0
  private readonly plain = new Moments()
  private readonly logs = new Moments()
  private readonly quantiles = new Quantiles()

  add(x: number): void {
    this.plain.add(x)
    this.logs.add(signedLog(x))
    this.quantiles.add(x)
  }

  finish(): NumberStatistics {
    const { plain, logs, missing } = this
    const { count } = plain
    const quantiles = this.quantiles.at(PARTS)
    if (count > 0) [quantiles[0], quantiles[PARTS]] = [plain.min, plain.max]
    return {
      count,
      missing,
      mean: plain.mean,
      deviation: plain.deviation,
      skewness: plain.skewness,
      min: count === 0 ? 0 : plain.min,
      max: count === 0 ? 0 : plain.max,
      log: { mean: logs.mean, deviation: logs.deviation, skewness: logs.skewness },
      quantiles,
    }
  }
}

export function readStatistics(fields: Fields): NumberStatistics {
  const log = fields.object('log')
  const count = fields.count('count')
  const quantiles = fields.numbers('quantiles', count === 0 ? 0 : PARTS + 1)
  return {
    count,
    missing: fields.count('missing'),
    mean: fields.number('mean'),
    deviation: fields.atLeastZero('deviation'),
    skewness: fields.number('skewness'),
    min: fields.number('min'),
    max: fields.number('max'),
    log: { mean: log.number('mean'), deviation: log.atLeastZero('deviation'), skewness: log.number('skewness') },
    quantiles,
  }
}

/** What "auto" stands for. */
export function chosenScale(scale: Scale, { skewness, log }: NumberStatistics): Exclude<Scale, 'auto'> {
  if (scale !== 'auto') return scale
  return Math.abs(skewness) > SKEWED && Math.abs(log.skewness) < Math.abs(skewness) ? 'log' : 'standard'
}

/** (x - shift) · factor, of x or of its logarithm; or a place among quantiles. Both directions. */
export interface Scaler {
  scale(x: number): number
  unscale(z: number): number
}

export function scalerFor(scale: Exclude<Scale, 'auto'>, statistics: NumberStatistics): Scaler {
  const { mean, deviation, min, max, log, quantiles } = statistics
  if (scale === 'quantile') return quantileScaler(quantiles)
  if (scale === 'log') {
    const { shift, factor, back } = line(log.mean, log.deviation)
    return { scale: (x) => (signedLog(x) - shift) * factor, unscale: (z) => signedExp(z * back + shift) }
  }
  const [PARTS4, PARTS2] = [PARTS / 4, PARTS / 2]
  const { shift, factor, back } = {
    standard: () => line(mean, deviation),
    minMax: () => line(min, max - min),
    robust: () => line(quantiles[PARTS2] ?? 0, (quantiles[3 * PARTS4] ?? 0) - (quantiles[PARTS4] ?? 0) || deviation),
    none: () => line(0, 1),
  }[scale]()
  return { scale: (x) => (x - shift) * factor, unscale: (z) => z * back + shift }
}

/** A constant column says nothing, so another value than the constant does not either: its factor is 0. */
function line(shift: number, size: number): { shift: number; factor: number; back: number } {
  const usable = size > 0 && 1 / size < LARGEST
  return { shift, factor: usable ? 1 / size : 0, back: usable ? size : 0 }
}

/** Between quantiles a straight line, to the normal scores of their ranks (scikit-learn's QuantileTransformer with a normal output); beyond, the nearest. */
function quantileScaler(quantiles: readonly number[]): Scaler {
  const knots: { x: number; z: number }[] = []
  for (let i = 0; i < quantiles.length; ) {
    // Equal quantiles are one knot, in the middle of their ranks.
    let end = i
    while (end + 1 < quantiles.length && quantiles[end + 1] === quantiles[i]) end++
    const rank = (i + end) / 2 / PARTS
    knots.push({ x: quantiles[i], z: normalScore(Math.min(Math.max(rank, 0.25 / PARTS), 1 - 0.25 / PARTS)) })
    i = end + 1
  }
  const between = (value: number, from: 'x' | 'z', to: 'x' | 'z'): number => {
    if (knots.length < 2 || !(value > knots[0][from])) return knots[0]?.[to] ?? 0
    let [low, high] = [0, knots.length - 1]
    if (value >= knots[high][from]) return knots[high][to]
    while (high - low > 1) {
      const middle = (low + high) >> 1
      if (knots[middle][from] <= value) low = middle
      else high = middle
    }
    const share = (value - knots[low][from]) / (knots[high][from] - knots[low][from])
    return knots[low][to] + share * (knots[high][to] - knots[low][to])
  }
  return { scale: (x) => between(x, 'x', 'z'), unscale: (z) => between(z, 'z', 'x') }
}

/** The standard normal quantile of p (Abramowitz and Stegun 1964, 26.2.23: within 4.5e-4). */
function normalScore(p: number): number {
  const t = Math.sqrt(-2 * Math.log(Math.min(p, 1 - p)))
  const z = t - (2.515517 + 0.802853 * t + 0.010328 * t * t) / (1 + 1.432788 * t + 0.189269 * t * t + 0.001308 * t ** 3)
  return p < 0.5 ? -z : p > 0.5 ? z : 0
}
