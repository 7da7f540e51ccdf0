/**
 * All benchmarks of kernels, one after the other.
 *
 *     npm run bench:kernels [-- --threads N] [-- --isa X] [-- --quick] [-- --json FILE]
 */
import { type Options, runCommand } from './command.ts'
import { benchPasses } from './passes.ts'
import { benchProducts } from './products.ts'

async function benchAll(options: Options): Promise<object> {
  const products = await benchProducts({ ...options, only: undefined })
  console.log()
  return { products, passes: await benchPasses({ ...options, only: undefined }) }
}

await runCommand(benchAll)
