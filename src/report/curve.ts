import type { Point } from './reportData.ts'

/**
 * A curve of any length in bounded memory: neighbouring points share a bucket, of which the lowest and the highest are kept; when there are too
 * many buckets, each two become one.
 */
export class Curve {
  private readonly mostBuckets: number
  private buckets: { low: Point; high: Point }[] = []
  /** How many points a full bucket has seen, and the last one so far. */
  private width = 1
  private filled = 0
  private last: Point | null = null

  /** @param most How many points to keep: an odd number, for the last one is always among them. */
  constructor(most = 1999) {
    this.mostBuckets = (most - 1) / 2
  }

  /** Points come with ascending x. A value that is not finite is left out. */
  add(x: number, y: number): void {
    if (!Number.isFinite(y)) return
    const point: Point = [x, y]
    this.last = point
    if (this.buckets.length === this.mostBuckets && this.filled === this.width) this.join()
    const newest = this.buckets[this.buckets.length - 1]
    if (newest === undefined || this.filled === this.width) {
      this.buckets.push({ low: point, high: point })
      this.filled = 1
      return
    }
    if (y < newest.low[1]) newest.low = point
    if (y > newest.high[1]) newest.high = point
    this.filled += 1
  }

  /** The points kept, in order. */
  points(): Point[] {
    const kept = this.buckets.flatMap(({ low, high }) => (low === high ? [low] : low[0] < high[0] ? [low, high] : [high, low]))
    if (this.last !== null && kept[kept.length - 1] !== this.last) kept.push(this.last)
    return kept
  }

  private join(): void {
    const { buckets } = this
    const isOdd = buckets.length % 2 === 1
    this.buckets = []
    for (let i = 0; i < buckets.length; i += 2) {
      const [a, b = a] = [buckets[i], buckets[i + 1]]
      this.buckets.push({ low: a.low[1] <= b.low[1] ? a.low : b.low, high: a.high[1] >= b.high[1] ? a.high : b.high })
    }
    // Of an odd number the last bucket is half full now.
    this.filled = isOdd ? this.width : 2 * this.width
    this.width *= 2
  }
}
