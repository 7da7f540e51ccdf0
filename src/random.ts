/**
 * Counter-based randomness: Philox4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as
 * 1, 2, 3", SC 2011). A value is a pure function of (seed, purpose, index), so it does not depend on
 * the order in which values are asked for, on threads, or on what else was drawn.
 */

const MULTIPLIER_0 = 0xd2511f53
const MULTIPLIER_1 = 0xcd9e8d57
const WEYL_0 = 0x9e3779b9
const WEYL_1 = 0xbb67ae85

/** High 32 bits of the product of two unsigned 32-bit numbers. In integers throughout: no partial sum reaches 2^32. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff
  const aHigh = a >>> 16
  const bLow = b & 0xffff
  const bHigh = b >>> 16
  const middle = Math.imul(aHigh, bLow) + (Math.imul(aLow, bLow) >>> 16)
  const cross = Math.imul(aLow, bHigh) + (middle & 0xffff)
  return (Math.imul(aHigh, bHigh) + (middle >>> 16) + (cross >>> 16)) | 0
}

/** Ten rounds of Philox4x32: four words of counter and two of key in, four random words in `out`. */
export function philox(
  counter0: number,
  counter1: number,
  counter2: number,
  counter3: number,
  key0: number,
  key1: number,
  out: Uint32Array,
): void {
  let [c0, c1, c2, c3] = [counter0 | 0, counter1 | 0, counter2 | 0, counter3 | 0]
  let k0 = key0 | 0
  let k1 = key1 | 0
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(MULTIPLIER_0, c0)
    const high1 = multiplyHigh(MULTIPLIER_1, c2)
    const low0 = Math.imul(MULTIPLIER_0, c0)
    c0 = high1 ^ c1 ^ k0
    c1 = Math.imul(MULTIPLIER_1, c2)
    c2 = high0 ^ c3 ^ k1
    c3 = low0
    k0 = (k0 + WEYL_0) | 0
    k1 = (k1 + WEYL_1) | 0
  }
  out[0] = c0
  out[1] = c1
  out[2] = c2
  out[3] = c3
}

/** The two key words of a seed: its low and its high 32 bits. A seed is an integer of 0 … 2^53 - 1. */
export function seedWords(seed: number): [number, number] {
  return [seed >>> 0, Math.floor(seed / 0x100000000) >>> 0]
}

/** What a stream is for. Streams of different purposes never share a counter. Dropout counts its own from 0 up. */
export const Purpose = {
  initialize: 0x80000000,
  shuffle: 0x80000001,
  split: 0x80000002,
  sample: 0x80000003,
  folds: 0x80000004,
  tune: 0x80000010,
  trial: 0x80000011,
} as const

/** Steps `from` … `downTo` of a shuffle, by the words of a stream from `word` on; gives the next word. */
export type NativeShuffle = (
  values: Int32Array,
  from: number,
  downTo: number,
  key0: number,
  key1: number,
  index: number,
  purpose: number,
  word: number,
) => number

let nativeShuffle: NativeShuffle | null = null

/** Called once the addon is loaded: it takes the same words for the same steps, and less time. */
export function useNativeShuffle(shuffle: NativeShuffle | null): void {
  nativeShuffle = shuffle
}

/** A sequence of random numbers: deterministic in (seed, purpose, index of the stream). */
export class RandomStream {
  private readonly words = new Uint32Array(4)
  private readonly key: [number, number]
  private readonly purpose: number
  private readonly index: number
  private block = 0
  private next = 4

  constructor(seed: number, purpose: number, index = 0) {
    this.key = seedWords(seed)
    this.purpose = purpose
    this.index = index
  }

  /** The next 32 random bits. */
  bits(): number {
    if (this.next === 4) {
      philox(this.block++, 0, this.index, this.purpose, this.key[0], this.key[1], this.words)
      this.next = 0
    }
    return this.words[this.next++]
  }

  /** Uniform in [0, 1), with 32 random bits. */
  uniform(): number {
    return this.bits() / 0x100000000
  }

  /** Standard normal, by the Box-Muller transform (the second value of a pair is dropped, to keep one value per call). */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log((this.bits() + 1) / 0x100000000))
    return radius * Math.cos(2 * Math.PI * this.uniform())
  }

  /** Uniform integer of 0 … bound - 1, without bias (values above the last full multiple are drawn again). */
  below(bound: number): number {
    for (;;) {
      const value = this.bits()
      // By division: the remainder of numbers beyond 2^31 is a call, which takes longer than all the rest.
      const multiple = Math.floor(value / bound) * bound
      if (multiple + bound <= 0x100000000) return value - multiple
    }
  }

  /** Shuffles in place (Fisher and Yates). */
  shuffle(values: Int32Array): void {
    for (const _ of this.shuffleInSlices(values));
  }

  /** The same, giving way now and then: for orders of millions of rows, on a thread that has other things to do. */
  *shuffleInSlices(values: Int32Array, slice = 8192): Generator<void> {
    for (let from = values.length - 1; from > 0; from -= slice) {
      this.shuffleSlice(values, from, Math.max(1, from - slice + 1))
      if (from > slice) yield
    }
  }

  private shuffleSlice(values: Int32Array, from: number, downTo: number): void {
    if (nativeShuffle !== null) {
      const [key0, key1] = this.key
      const word = nativeShuffle(values, from, downTo, key0, key1, this.index >>> 0, this.purpose, 4 * this.block - 4 + this.next)
      this.block = Math.floor(word / 4)
      this.next = 4
      for (let i = 0; i < word % 4; i++) this.bits()
      return
    }
    for (let i = from; i >= downTo; i--) {
      const j = this.below(i + 1)
      const held = values[i]
      values[i] = values[j]
      values[j] = held
    }
  }
}
