import { checkCount, checkOptions, type Hints, unknownName } from '../checks.ts'
import { Pace } from '../pace.ts'
import type { Evaluation, FullBatchOptimizer, Minimizer, Vector } from './fullBatch.ts'
import { checkNumber, checkRate } from './optimizer.ts'
import type { LearningRate } from './schedules.ts'

/** Options of `lbfgs`. */
export interface LbfgsOptions {
  /** The step length, or with a line search the one tried first; default 1. */
  readonly learningRate?: LearningRate
  /** How many steps are remembered, each at the cost of two copies of the parameters; default 10. */
  readonly history?: number
  /** How the step length is found; default "strongWolfe". With "none" it is the learning rate. */
  readonly lineSearch?: 'strongWolfe' | 'none'
  /** The run ends when no element of the gradient is larger; default 1e-7. */
  readonly gradientTolerance?: number
  /** The run ends when a step changes the loss by less than this, or no parameter by more; default 1e-9. */
  readonly changeTolerance?: number
}

const hints: Hints = {
  lr: 'did you mean "learningRate"?',
  historySize: 'did you mean "history"?',
  lineSearchFn: 'did you mean "lineSearch"?',
}
const searches = ['strongWolfe', 'none']

/**
 * L-BFGS for full batches: p += t d with d = -H g, where H, an approximation of the inverse Hessian, is made from the last steps s and changes of
 * the gradient y by the two-loop recursion (Nocedal and Wright, "Numerical Optimization", 2006, algorithms 7.4 and 7.5), and the length t
 * fulfils the strong Wolfe conditions (equation 3.7 with c1 = 1e-4 and c2 = 0.9; algorithms 3.5 and 3.6). Pairs without curvature, s · y ≤ 2^-52 y · y, are left out
 * (Byrd, Lu, Nocedal and Zhu 1995, equation 3.9). The first step, along -g, has the length min(1, 1 / Σ|g|) · learningRate.
 *
 * In `fit` an epoch is one iteration over all samples, `batchSize` (default 256; with masks or a loss that is a sum, all of them) only bounds how many are measured at a time, and the reported values are those
 * of the parameters the iteration ends with. Models with dropout or other noise are refused: their loss changes from one look to the next.
 *
 * @param options All have defaults.
 * @example lbfgs({ history: 20, changeTolerance: 0 })
 */
export function lbfgs(options: LbfgsOptions = {}): FullBatchOptimizer {
  checkOptions('lbfgs', options, ['learningRate', 'history', 'lineSearch', 'gradientTolerance', 'changeTolerance'], hints)
  const { learningRate = 1, history = 10, lineSearch = 'strongWolfe', gradientTolerance = 1e-7, changeTolerance = 1e-9 } = options
  checkRate('lbfgs', learningRate)
  checkCount('lbfgs', 'history', history)
  if (!searches.includes(lineSearch)) throw unknownName('lineSearch', lineSearch, searches, 'lbfgs')
  checkNumber('lbfgs', 'gradientTolerance', gradientTolerance, 0)
  checkNumber('lbfgs', 'changeTolerance', changeTolerance, 0)
  const settings = { history, lineSearch, gradientTolerance, changeTolerance }
  return { name: 'lbfgs', learningRates: [learningRate], begin: () => new Lbfgs(settings) }
}

/** A step and what it did to the gradient. */
interface Pair {
  readonly step: Vector
  readonly change: Vector
  /** step · change. */
  readonly curvature: number
}

class Lbfgs implements Minimizer {
  /** Oldest first. */
  private readonly pairs: Pair[] = []
  private readonly settings: Required<Omit<LbfgsOptions, 'learningRate'>>

  constructor(settings: Required<Omit<LbfgsOptions, 'learningRate'>>) {
    this.settings = settings
  }

  async step<E extends Evaluation>(from: E, learningRate: number, evaluate: (at: Vector) => Promise<E>) {
    const { history, lineSearch, gradientTolerance, changeTolerance } = this.settings
    const work = new VectorWork()
    if ((await work.largest(from.gradient)) <= gradientTolerance) return { reached: from, converged: true }
    // A schedule may begin with 0, which says nothing about the steps that follow.
    if (learningRate === 0) return { reached: from, converged: false }
    const direction = await this.direction(from.gradient, work)
    const start = { ...from, length: 0, slope: await work.dot(from.gradient, direction) }
    // Where there is no way down, what is remembered may be to blame: the next step goes along the gradient.
    const noWay = () => ({ reached: from, converged: this.pairs.splice(0).length === 0 })
    if (start.slope >= -changeTolerance) return noWay()
    const along = async (length: number): Promise<Trial<E>> => {
      const tried = await evaluate(await work.add(from.at, length, direction))
      return { ...tried, length, slope: tried.loss === Number.POSITIVE_INFINITY ? 0 : await work.dot(tried.gradient, direction) }
    }
    const first = learningRate * (this.pairs.length > 0 ? 1 : Math.min(1, 1 / (await work.sumOfMagnitudes(from.gradient))))
    const extent = await work.largest(direction)
    const reached = lineSearch === 'none' ? await along(first) : await strongWolfe(start, first, along, changeTolerance / extent)
    if (reached.loss === Number.POSITIVE_INFINITY) return { reached, converged: false }
    if (reached === start) return noWay()

    const step = await work.add(reached.at, -1, from.at)
    const change = await work.add(reached.gradient, -1, from.gradient)
    const curvature = await work.dot(step, change)
    if (curvature > Number.EPSILON * (await work.dot(change, change))) this.pairs.push({ step, change, curvature })
    if (this.pairs.length > history) this.pairs.shift()
    const converged =
      (await work.largest(reached.gradient)) <= gradientTolerance ||
      (await work.largest(step)) <= changeTolerance ||
      Math.abs(reached.loss - from.loss) < changeTolerance
    return { reached, converged }
  }

  save(): readonly Pair[] {
    return [...this.pairs]
  }

  restore(saved: unknown): void {
    this.pairs.splice(0, this.pairs.length, ...(saved as readonly Pair[]))
  }

  /** -H g by algorithm 7.4, where H begins as (s · y / y · y) I, of the latest pair (equation 7.20). */
  private async direction(gradient: Vector, work: VectorWork): Promise<Vector> {
    let q = await work.scale(-1, gradient)
    if (this.pairs.length === 0) return q
    const weights: number[] = []
    for (const { step, change, curvature } of [...this.pairs].reverse()) {
      const weight = (await work.dot(step, q)) / curvature
      weights.unshift(weight)
      q = await work.add(q, -weight, change)
    }
    const { change, curvature } = this.pairs[this.pairs.length - 1]
    q = await work.scale(curvature / (await work.dot(change, change)), q)
    for (const [i, { step, change, curvature }] of this.pairs.entries()) {
      const back = (await work.dot(change, q)) / curvature
      q = await work.add(q, weights[i] - back, step)
    }
    return q
  }
}

/** A point on the line that is searched: how far along the direction, and the derivative of the loss by that length. */
type Trial<E extends Evaluation = Evaluation> = E & { readonly length: number; readonly slope: number }

const SUFFICIENT_DECREASE = 1e-4
const CURVATURE = 0.9
const MOST_TRIALS = 25

/**
 * A step length that fulfils the strong Wolfe conditions (Nocedal and Wright, equation 3.7); if none is found, the lowest point of those with
 * sufficient decrease, which is the start if there is none.
 *
 * @param shortest The bracket is not made shorter.
 */
async function strongWolfe<T extends Trial>(start: T, first: number, along: (length: number) => Promise<T>, shortest: number): Promise<T> {
  const falls = ({ loss, length }: Trial) => loss <= start.loss + SUFFICIENT_DECREASE * length * start.slope
  const isFlat = ({ slope }: Trial) => Math.abs(slope) <= -CURVATURE * start.slope

  // Algorithm 3.5: longer steps until one has gone too far.
  let low = start
  let high = await along(first)
  let trials = 1
  while (falls(high) && (low === start || high.loss < low.loss)) {
    if (isFlat(high) || trials === MOST_TRIALS) return high
    if (high.slope >= 0) {
      ;[low, high] = [high, low]
      break
    }
    const next = interpolate(low, high, high.length + 0.01 * (high.length - low.length), 10 * high.length)
    low = high
    high = await along(next)
    trials += 1
  }

  // Algorithm 3.6: between `low`, the lowest point so far, and `high` there are lengths that fulfil both conditions.
  let stuck = false
  for (; trials < MOST_TRIALS; trials++) {
    const [left, right] = low.length < high.length ? [low.length, high.length] : [high.length, low.length]
    const width = right - left
    if (width <= shortest || width === 0) break
    let length = interpolate(low, high, left, right)
    // An interpolation that stays at an end of the bracket would hardly shorten it.
    const atEnd = Math.min(right - length, length - left) < 0.1 * width
    if (atEnd && (stuck || length <= left || length >= right)) {
      length = right - length < length - left ? right - 0.1 * width : left + 0.1 * width
      stuck = false
    } else stuck = atEnd
    const trial = await along(length)
    if (!falls(trial) || trial.loss >= low.loss) high = trial
    else {
      if (isFlat(trial)) return trial
      if (trial.slope * (high.length - low.length) >= 0) high = low
      low = trial
    }
  }
  return low
}

/** Where the cubic through two points with their slopes is lowest (equation 3.59), within bounds; their middle if it has no minimum. */
function interpolate(a: Trial, b: Trial, from: number, to: number): number {
  const [left, right] = a.length <= b.length ? [a, b] : [b, a]
  const d1 = left.slope + right.slope - (3 * (left.loss - right.loss)) / (left.length - right.length)
  const d2 = Math.sqrt(d1 * d1 - left.slope * right.slope)
  const lowest = right.length - (right.length - left.length) * ((right.slope + d2 - d1) / (right.slope - left.slope + 2 * d2))
  return Number.isNaN(lowest) ? (from + to) / 2 : Math.min(Math.max(lowest, from), to)
}

/** Numbers between two looks at the clock. */
const PIECE = 1 << 16

/** Sums and products of vectors, in double precision, that let the event loop turn in between. */
class VectorWork {
  private readonly pace = new Pace()

  /** Σ a b. */
  dot(a: Vector, b: Vector): Promise<number> {
    return this.total(a.length, (first, end) => {
      let sum = 0
      for (let i = first; i < end; i++) sum += a[i] * b[i]
      return sum
    })
  }

  sumOfMagnitudes(a: Vector): Promise<number> {
    return this.total(a.length, (first, end) => {
      let sum = 0
      for (let i = first; i < end; i++) sum += Math.abs(a[i])
      return sum
    })
  }

  async largest(a: Vector): Promise<number> {
    let largest = 0
    await this.inPieces(a.length, (first, end) => {
      for (let i = first; i < end; i++) largest = Math.max(largest, Math.abs(a[i]))
    })
    return largest
  }

  /** a + factor b. */
  async add(a: Vector, factor: number, b: Vector): Promise<Vector> {
    const result = like(a)
    await this.inPieces(a.length, (first, end) => {
      for (let i = first; i < end; i++) result[i] = a[i] + factor * b[i]
    })
    return result
  }

  /** factor a. */
  async scale(factor: number, a: Vector): Promise<Vector> {
    const result = like(a)
    await this.inPieces(a.length, (first, end) => {
      for (let i = first; i < end; i++) result[i] = factor * a[i]
    })
    return result
  }

  private async total(size: number, of: (first: number, end: number) => number): Promise<number> {
    let total = 0
    await this.inPieces(size, (first, end) => {
      total += of(first, end)
    })
    return total
  }

  private async inPieces(size: number, work: (first: number, end: number) => void): Promise<void> {
    for (let first = 0; first < size; first += PIECE) {
      work(first, Math.min(first + PIECE, size))
      if (this.pace.isTooLong()) await this.pace.giveWay()
    }
  }
}

function like(vector: Vector): Vector {
  return vector instanceof Float64Array ? new Float64Array(vector.length) : new Float32Array(vector.length)
}
