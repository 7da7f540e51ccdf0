/**
 * All benchmarks of kernels, one after the other.
 *
 *     npm run bench:kernels [-- --threads N] [-- --isa X] [-- --quick] [-- --only 64,512,512] [-- --json FILE]
 */
import { type Options, runCommand } from './command.ts'
import { benchPasses, passNames } from './passes.ts'
import { benchProducts, shapeNames } from './products.ts'

/** `--only` names a shape, which begins with a digit, or a pass. */
async function benchAll(options: Options): Promise<object> {
  const { only } = options
  if (only !== undefined) return /^\d/.test(only) ? { products: await benchProducts(options) } : { passes: await benchPasses(options) }
  const products = await benchProducts(options)
  console.log()
  return { products, passes: await benchPasses(options) }
}

const what = 'Bare matrix products, then single passes over memory.'
await runCommand({ name: 'npm run bench:kernels --', what, parts: [...shapeNames, ...passNames] }, benchAll)
