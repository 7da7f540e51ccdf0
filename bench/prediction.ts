/**
 * Nanoseconds of one synchronous prediction of one row, and of its parts; and of `predict`, for comparison.
 *
 *     npx tsx bench/prediction.ts
 *
 * Medians of 301 batches of 1000 calls (of `predict`: of 301 calls), with the tenth and the ninetieth percentile. Read the lower ones where other programs run.
 */
import { parseArgs } from 'node:util'
import { dense, executionInfo, input, type Model, sequential } from '../src/index.ts'
import { readArguments } from './arguments.ts'

const CALLS = 1000
const BATCHES = 301

const networks: Readonly<Record<string, () => Model>> = {
  '2-8-1': () => sequential([input(2), dense(8, { activation: 'tanh' }), dense(1)]),
  '784-128-10': () => sequential([input(784), dense(128, { activation: 'relu' }), dense(10)]),
}

const COMMAND = 'npx tsx bench/prediction.ts'
const HELP = `Nanoseconds of one synchronous prediction of one row, and of its parts; and of predict, for comparison. It has no options.

  ${COMMAND}`

/** Keeps results alive, so that no call is optimised away. */
let sink: unknown

function measure(call: () => unknown): string {
  return percentiles(
    Array.from({ length: BATCHES }, () => {
      const began = performance.now()
      for (let i = 0; i < CALLS; i++) sink = call()
      return ((performance.now() - began) * 1e6) / CALLS
    }),
  )
}

async function measureAsync(call: () => Promise<unknown>): Promise<string> {
  const times: number[] = []
  for (let i = 0; i < BATCHES; i++) {
    const began = performance.now()
    sink = await call()
    times.push((performance.now() - began) * 1e6)
  }
  return percentiles(times)
}

function percentiles(times: number[]): string {
  times.sort((a, b) => a - b)
  const at = (share: number) => Math.round(times[Math.floor(BATCHES * share)]).toLocaleString('en-US')
  return `${at(0.5).padStart(8)} ns   (${at(0.1)} … ${at(0.9)})`
}

readArguments(COMMAND, HELP, () => (parseArgs({ options: { help: { type: 'boolean', default: false } } }).values.help ? null : true))
console.log(executionInfo().native ? `native, ${executionInfo().instructionSets[0]}` : 'reference')
for (const [name, make] of Object.entries(networks)) {
  const net = make()
  const [{ shape }] = net.inputs
  const x = Float32Array.from({ length: shape[1] as number }, (_, i) => Math.sin(i))
  const plan = net.plan(1)
  const session = net.load(plan)
  console.log(`${name}, one row`)
  console.log(`  predictSync            ${measure(() => net.predictSync(x))}`)
  console.log(`  checks of the row      ${measure(() => net.toInputRows('bench', x, 'any'))}`)
  console.log(`  into C++ and back      ${measure(() => session.execute(0, 0))}`)
  console.log(`  the same with kernels  ${measure(() => session.execute(0, plan.instructions.length))}`)
  console.log(`  predict                ${await measureAsync(() => net.predict(x))}`)
}
if (sink === null) console.log(sink)
