/**
 * Nanoseconds of single instructions, on one thread of each instruction set that this machine has and that has vectors.
 *
 *     npx tsx bench/instructions.ts           all, a few seconds
 *     npx tsx bench/instructions.ts dropout   those whose name contains it
 *
 * Each is a plan of its own that runs thousands of times over memory that stays in the cache if it fits; the best of fifteen
 * windows is reported. Beside real work, where caches and branches are cold, instructions take longer.
 */
import Table from 'cli-table3'
import { Arena } from '../src/executors/arena.ts'
import { loadAddon } from '../src/executors/native/addon.ts'
import { nativeExecutor } from '../src/executors/native/index.ts'
import { ancestors, apply, type Dtype, type Tensor } from '../src/graph/tensor.ts'
import { multiply } from '../src/ops/elementwise.ts'
import { gradients } from '../src/ops/gradients.ts'
import { droppedOut, randomOps, seedVariable, stepVariable } from '../src/ops/random.ts'
import { argmax, mean } from '../src/ops/reduce.ts'
import { logSoftmax, softmax, softmaxCrossEntropy, softmaxOps } from '../src/ops/softmax.ts'
import { constant, isVariable, variable } from '../src/ops/source.ts'
import { buildPlan } from '../src/plan/build.ts'
import { VariableLayout } from '../src/plan/variables.ts'
import { Purpose, RandomStream } from '../src/random.ts'

const WINDOWS = 15
const WINDOW_NANOSECONDS = 4e6

const filled = (name: string, shape: readonly number[], dtype: Dtype, draw: (random: RandomStream) => number): Tensor =>
  variable({
    name,
    block: name,
    shape,
    dtype,
    initialize: (values) => {
      const random = new RandomStream(5, Purpose.sample)
      for (let i = 0; i < values.length; i++) values[i] = draw(random)
    },
  })
const floats = (name: string, shape: readonly number[]) => filled(name, shape, 'float32', (random) => 6 * random.uniform() - 3)

/** What to compute, by name. */
const cases: Record<string, Tensor[]> = {}
for (const [rows, classes] of [
  [1, 10],
  [32, 10],
  [128, 10],
  [256, 10],
  [256, 1000],
]) {
  const x = floats('x', [rows, classes])
  const labels = filled('labels', [rows], 'int32', (random) => random.below(classes))
  const loss = mean(softmaxCrossEntropy(x, labels))
  const shape = `[${rows}, ${classes}]`
  cases[`softmax ${shape}`] = [softmax(x)]
  cases[`logSoftmax ${shape}`] = [logSoftmax(x)]
  cases[`argmax ${shape}`] = [argmax(x)]
  cases[`softmaxCrossEntropy ${shape}`] = [softmaxCrossEntropy(x, labels)]
  cases[`softmaxCrossEntropyGradient ${shape}`] = [apply(softmaxOps.softmaxCrossEntropyGradient, [x, labels, constant(1 / rows)], {})]
  cases[`mean loss and gradient ${shape}`] = [loss, ...gradients(loss, [x])]
  // What keeping softmax for the gradient would cost at least (decision 17).
  cases[`softmax and one pass ${shape}`] = [softmax(x), multiply(softmax(x), 1 / rows)]
}
const shape = [256, 1024]
const x = floats('x', shape)
const dy = floats('dy', shape)
const mask = apply(randomOps.bernoulli, [seedVariable, stepVariable], { probability: 0.8, stream: 0, shape, value: 1.25 })
const y = droppedOut(x, 0.2)
cases['bernoulli [256, 1024]'] = [mask]
cases['dropout [256, 1024]'] = [y]
cases['dropout and gradient [256, 1024]'] = [y, ...gradients(y, [x], dy)]
cases['multiply [256, 1024]'] = [multiply(x, dy)]

const { addon, failure } = loadAddon()
if (addon === undefined) throw new Error(`There is no addon to measure: ${failure}`)
const isas = addon.isas.filter((isa) => isa !== 'portable')

/** A function that runs the plan so many times and returns the nanoseconds of one run. */
function runner(outputs: readonly Tensor[], isa: string): (steps: number) => number {
  const variables = ancestors(outputs).filter(isVariable)
  const layout = new VariableLayout(variables.map((tensor) => ({ variable: tensor, name: tensor.attributes.name })))
  const plan = buildPlan({
    inputs: {},
    outputs: Object.fromEntries(outputs.map((tensor, i) => [`y${i}`, tensor])),
    variables: layout,
    batchSize: 1,
    mode: 'training',
  })
  const arena = Arena.allocate(plan.blocks)
  for (const tensor of variables) {
    const place = layout.place(tensor)
    if (place === undefined) continue
    const { shape, dtype, initialize } = tensor.attributes
    initialize(arena.view({ ...place, shape, dtype }), shape, new RandomStream(5, Purpose.initialize))
  }
  const session = nativeExecutor(addon as NonNullable<typeof addon>, { isa, threads: 1 }).load(plan, arena)
  return (steps) => {
    const start = process.hrtime.bigint()
    session.runSync({ steps, feeds: [], record: [] })
    return Number(process.hrtime.bigint() - start) / steps
  }
}

const wanted = process.argv[2] ?? ''
const table = new Table({ head: ['instructions', ...isas.map((isa) => `${isa}, ns`)], style: { head: [] } })
for (const [name, outputs] of Object.entries(cases)) {
  if (!name.includes(wanted)) continue
  const runs = isas.map((isa) => runner(outputs, isa))
  const steps = runs.map((run) => Math.max(3, Math.round(WINDOW_NANOSECONDS / run(20))))
  const best = runs.map(() => Number.POSITIVE_INFINITY)
  for (let window = 0; window < WINDOWS; window++) {
    for (const [i, run] of runs.entries()) best[i] = Math.min(best[i], run(steps[i]))
  }
  table.push([name, ...best.map((nanoseconds) => nanoseconds.toFixed(0))])
}
console.log(table.toString())
