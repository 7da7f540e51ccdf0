import type { BernoulliAttributes } from '../../ops/random.ts'
import { philox } from '../../random.ts'
import type { Kernel } from './kernel.ts'

/**
 * y = value where a 16-bit random number is below probability · 65536, else 0. Element i belongs to group g = i >> 7; with
 * r = i & 127 its number is half r >> 6 of word (r >> 4) & 3 of Philox(counter = (16 g + (r & 15), step, stream), key = seed).
 */
const bernoulli: Kernel<BernoulliAttributes> = ([seed, step], [y], { probability, stream, value }) => {
  const threshold = Math.round(probability * 65536)
  const words = new Uint32Array(4)
  const size = y.values.length
  for (let base = 0; base < size; base += 128) {
    for (let lane = 0; lane < 16; lane++) {
      const counter = (base / 128) * 16 + lane
      philox(counter, Math.floor(counter / 0x100000000), step.values[0], stream, seed.values[0], seed.values[1], words)
      for (let part = 0; part < 8; part++) {
        const i = base + part * 16 + lane
        const word = words[part & 3]
        const drawn = part < 4 ? word & 0xffff : word >>> 16
        if (i < size) y.values[i] = drawn < threshold ? value : 0
      }
    }
  }
}

export const randomKernels = { bernoulli }
