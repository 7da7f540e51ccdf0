/** Statistics of a column in one pass and bounded memory. Values are taken one at a time, in double precision, so they are the same however a table is cut. */

/** Mean, spread and skew of numbers (Welford 1962; third moment after Pébay 2008, equation 2.4). */
export class Moments {
  count = 0
  mean = 0
  min = Number.POSITIVE_INFINITY
  max = Number.NEGATIVE_INFINITY
  private second = 0
  private third = 0

  add(x: number): void {
    const before = this.count++
    const delta = x - this.mean
    const part = delta / this.count
    const term = delta * part * before
    this.mean += part
    this.third += term * part * (this.count - 2) - 3 * part * this.second
    this.second += term
    if (x < this.min) this.min = x
    if (x > this.max) this.max = x
  }

  /** The root of the mean squared distance from the mean, as scikit-learn's StandardScaler has it. */
  get deviation(): number {
    return this.count === 0 ? 0 : Math.sqrt(this.second / this.count)
  }

  /** The third standardised moment; 0 for a constant. */
  get skewness(): number {
    // NOTE: not by second ** 1.5, which is 0 where numbers are about 1e-110.
    return this.second <= 0 ? 0 : (Math.sqrt(this.count) * (this.third / this.second)) / Math.sqrt(this.second)
  }
}

/**
 * Quantiles of numbers: exact for up to 2,048 of them; beyond, levels of buffers, each value of a level standing for two of the one below, where a full buffer is sorted
 * and every other value moves up (Manku, Rajagopalan and Lindsay 1998). The rank of what it gives is off by at most log2(n / 2,048) / 2,048 of the n numbers:
 * 0.3 % of a million. Which half moves up alternates, so nothing is random, and in practice the errors nearly cancel.
 */
export class Quantiles {
  private readonly size: number
  private readonly levels: { values: Float64Array; used: number; odd: boolean }[] = []

  constructor(size = 2048) {
    this.size = size
  }

  add(x: number): void {
    this.put(x, 0)
  }

  private put(x: number, height: number): void {
    this.levels[height] ??= { values: new Float64Array(this.size), used: 0, odd: false }
    const level = this.levels[height]
    if (level.used === this.size) {
      level.values.sort()
      for (let i = Number(level.odd); i < this.size; i += 2) this.put(level.values[i], height + 1)
      level.odd = !level.odd
      level.used = 0
    }
    level.values[level.used++] = x
  }

  /** `parts` + 1 quantiles from the least to the largest that are left, evenly spaced in rank; none if there were no numbers. */
  at(parts: number): number[] {
    const entries = this.levels.flatMap(({ values, used }, height) =>
      Array.from(values.subarray(0, used), (value) => ({ value, weight: 2 ** height })),
    )
    if (entries.length === 0) return []
    entries.sort((a, b) => a.value - b.value)
    const total = entries.reduce((sum, { weight }) => sum + weight, 0)
    const result: number[] = []
    let [i, below] = [0, 0]
    for (let part = 0; part <= parts; part++) {
      // Between neighbours, as numpy.quantile: value k stands at rank k of 0 … n - 1.
      const rank = (part / parts) * (total - 1)
      while (i + 1 < entries.length && below + entries[i].weight <= rank) below += entries[i++].weight
      const over = rank - (below + entries[i].weight - 1)
      result.push(
        over <= 0 || i + 1 === entries.length ? entries[i].value : entries[i].value + over * (entries[i + 1].value - entries[i].value),
      )
    }
    return result
  }
}

/**
 * How often each text occurs: exact for up to 65,536 different ones. Beyond, the rarest half is dropped and its largest count taken off all others (Misra and Gries 1982),
 * so that none that makes up more than 1 in 32,768 is lost, and no count is too low by more.
 */
export class Frequencies {
  private readonly capacity: number
  private readonly counts = new Map<string, number>()

  constructor(capacity = 65_536) {
    this.capacity = capacity
  }

  add(text: string): void {
    const count = this.counts.get(text)
    this.counts.set(text, (count ?? 0) + 1)
    if (count === undefined && this.counts.size > this.capacity) this.thin()
  }

  private thin(): void {
    const sorted = Float64Array.from(this.counts.values()).sort()
    const middle = sorted[sorted.length >> 1]
    for (const [text, count] of this.counts) {
      if (count <= middle) this.counts.delete(text)
      else this.counts.set(text, count - middle)
    }
  }

  /** How many different texts. */
  get size(): number {
    return this.counts.size
  }

  /** Those that occur at least so often, the most frequent first, equal ones in the order of their characters. */
  most(limit: number, minimumCount: number): [string, number][] {
    return [...this.counts]
      .filter(([, count]) => count >= minimumCount)
      .sort(([a, countOfA], [b, countOfB]) => countOfB - countOfA || (a < b ? -1 : 1))
      .slice(0, limit)
  }
}
