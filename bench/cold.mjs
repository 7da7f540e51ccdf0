// Run with plain node, nothing loaded: milliseconds from the import of a library to the end of the first training step, and what memory it took.
//
//     node bench/cold.mjs DEFINITION [MODULE VARIANT]        thalweg as compiled in dist/, or a module of bench/rivals/
import { existsSync, readFileSync } from 'node:fs'

const [definition, module, variant] = process.argv.slice(2)
const parsed = JSON.parse(definition)
const { sizes, batchSize, loss } = parsed
const x = Float32Array.from({ length: batchSize * sizes[0] }, Math.random)
const y =
  loss === 'meanSquaredError'
    ? Float32Array.from({ length: batchSize * sizes.at(-1) }, Math.random)
    : Int32Array.from({ length: batchSize }, (_, i) => i % sizes.at(-1))

// bench/thalweg.ts again, for plain node.
async function thalweg({ hidden, output, dropout, optimizer }) {
  const { adam, adamW, dense, dropout: drop, input, sequential, sgd } = await import('../dist/bundle/esm/index.js')
  const { kind, ...options } = optimizer
  if (kind === 'adam') delete options.weightDecay
  const layers = sizes.slice(1, -1).flatMap((units) => [dense(units, { activation: hidden }), ...(dropout > 0 ? [drop(dropout)] : [])])
  const net = sequential([input(sizes[0]), ...layers, dense(sizes.at(-1), { activation: output })])
  await net.fit({ x, y }, { loss, batchSize, optimizer: { sgd, adam, adamW }[kind](options) })
}

async function rival() {
  const { create } = await import(`./rivals/${module}`)
  const network = await create(parsed, [{ x, y }], variant)
  await network.step(0)
}

function peakBytes() {
  if (!existsSync('/proc/self/status')) return process.resourceUsage().maxRSS * 1024
  return Number(/^VmHWM:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024
}

const start = performance.now()
await (module === undefined ? thalweg(parsed) : rival())
console.log(JSON.stringify({ milliseconds: performance.now() - start, peak_bytes: peakBytes() }))
process.exit(0)
