import type { BernoulliAttributes, UniformAttributes } from '../../ops/random.ts'
import { philox } from '../../random.ts'
import type { Kernel, View } from './kernel.ts'

/**
 * For each of as many groups of sixteen counters as `size` elements need, at `perCounter` elements a counter: the words of
 * Philox(counter = (16 group + lane, step, stream), key = seed), lane by lane.
 */
function forEachCounter(
  [seed, step]: readonly View[],
  stream: number,
  size: number,
  perCounter: number,
  visit: (base: number, lane: number, words: Uint32Array) => void,
): void {
  const words = new Uint32Array(4)
  for (let group = 0; group * 16 * perCounter < size; group++) {
    for (let lane = 0; lane < 16; lane++) {
      const counter = group * 16 + lane
      philox(counter, Math.floor(counter / 0x100000000), step.values[0], stream, seed.values[0], seed.values[1], words)
      visit(group * 16 * perCounter, lane, words)
    }
  }
}

/** y = value where a 16-bit random number is below probability · 65536, else 0. With r = i & 127 the number of element i is half r >> 6 of word (r >> 4) & 3 of lane r & 15. */
const bernoulli: Kernel<BernoulliAttributes> = (operands, [{ values }], { probability, stream, value }) => {
  const threshold = Math.round(probability * 65536)
  forEachCounter(operands, stream, values.length, 8, (base, lane, words) => {
    for (let part = 0; part < 8; part++) {
      const i = base + part * 16 + lane
      const drawn = part < 4 ? words[part] & 0xffff : words[part - 4] >>> 16
      if (i < values.length) values[i] = drawn < threshold ? value : 0
    }
  })
}

/** y = the upper 24 bits of a random word, the lowest of them set, times 2^-24. With r = i & 63 the word of element i is r >> 4 of lane r & 15. */
const uniform: Kernel<UniformAttributes> = (operands, [{ values }], { stream }) => {
  forEachCounter(operands, stream, values.length, 4, (base, lane, words) => {
    for (let word = 0; word < 4; word++) {
      const i = base + word * 16 + lane
      if (i < values.length) values[i] = ((words[word] >>> 8) | 1) / 0x1000000
    }
  })
}

export const randomKernels = { bernoulli, uniform }
