/**
 * Training steps per second through the public API: the native executor on one thread and on all of them, and the reference executor.
 *
 *     npm run bench                       all cases, about two minutes
 *     npm run bench -- --case c --rounds 9
 *     npm run bench -- --json
 *
 * The contestants take turns: a round gives each one window, so that whatever disturbs the machine disturbs all of them. Reported are
 * medians over the rounds and their spread; ratios are medians of the ratios within a round.
 */
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import {
  adam,
  adamW,
  dense,
  dropout,
  executionInfo,
  input,
  type LossName,
  type Model,
  type Optimizer,
  sequential,
  sgd,
} from '../src/index.ts'
import { Purpose, RandomStream } from '../src/random.ts'

interface Case {
  readonly what: string
  readonly batchSize: number
  readonly features: number
  readonly loss: LossName
  /** Classes for cross-entropy, numbers a sample for squared errors. */
  readonly outputs: number
  readonly optimizer: () => Optimizer
  readonly build: (options: object) => Model
}

const mlp =
  (sizes: readonly number[], activation: 'relu' | 'gelu' | 'tanh', rate = 0) =>
  (options: object) => {
    const hidden = sizes.slice(1, -1).flatMap((units) => [dense(units, { activation }), ...(rate > 0 ? [dropout(rate)] : [])])
    return sequential([input(sizes[0]), ...hidden, dense(sizes[sizes.length - 1])], options)
  }

const classify = { loss: 'sparseCategoricalCrossentropy', outputs: 10, features: 784 } as const

const cases: Readonly<Record<string, Case>> = {
  a: {
    what: 'XOR-sized 2-8-1 tanh, SGD',
    batchSize: 4,
    features: 2,
    loss: 'meanSquaredError',
    outputs: 1,
    optimizer: () => sgd(),
    build: mlp([2, 8, 1], 'tanh'),
  },
  b: {
    what: '13-64-64-1 relu, Adam',
    batchSize: 32,
    features: 13,
    loss: 'meanSquaredError',
    outputs: 1,
    optimizer: () => adam(),
    build: mlp([13, 64, 64, 1], 'relu'),
  },
  c: { what: '784-128-10 relu, Adam', batchSize: 32, ...classify, optimizer: () => adam(), build: mlp([784, 128, 10], 'relu') },
  d: {
    what: '784-256-128-100-10 relu, momentum',
    batchSize: 128,
    ...classify,
    optimizer: () => sgd({ momentum: 0.9 }),
    build: mlp([784, 256, 128, 100, 10], 'relu'),
  },
  e: {
    what: '784-1024-1024-10 relu, dropout, Adam',
    batchSize: 256,
    ...classify,
    optimizer: () => adam(),
    build: mlp([784, 1024, 1024, 10], 'relu', 0.2),
  },
  f: {
    what: '1024-4096-4096-1000 gelu, AdamW',
    batchSize: 256,
    ...classify,
    features: 1024,
    outputs: 1000,
    optimizer: () => adamW(),
    build: mlp([1024, 4096, 4096, 1000], 'gelu'),
  },
}

const { values: options } = parseArgs({
  options: {
    case: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '0.4' },
    json: { type: 'boolean', default: false },
  },
})
const chosen = options.case === undefined ? Object.keys(cases) : [options.case]
for (const name of chosen) if (!(name in cases)) throw new Error(`Unknown case "${name}"; there are ${Object.keys(cases).join(', ')}.`)
const rounds = Number(options.rounds)
const windowSeconds = Number(options.seconds)

const info = executionInfo()
const contestants = [
  ...(info.native ? [{ name: 'native, 1 thread', execution: { executor: 'native', threads: 1 } }] : []),
  ...(info.native && info.hardwareThreads > 1
    ? [{ name: `native, ${info.hardwareThreads} threads`, execution: { executor: 'native' } }]
    : []),
  { name: 'reference', execution: { executor: 'reference' } },
] as const

/** Random data for as many steps as fill a window. */
function makeData({ features, outputs, loss, batchSize }: Case, steps: number) {
  const random = new RandomStream(1, Purpose.sample)
  const count = batchSize * steps
  // In shared memory, so that fit uses it without a copy.
  const x = new Float32Array(new SharedArrayBuffer(count * features * 4))
  for (let i = 0; i < x.length; i++) x[i] = random.uniform()
  const y =
    loss === 'meanSquaredError'
      ? Float32Array.from({ length: count * outputs }, () => random.uniform())
      : Int32Array.from({ length: count }, () => random.below(outputs))
  return { x, y }
}

/** A network in training through `fit`, over a few batches that it goes through again and again. */
class Runner {
  private readonly net: Model
  private readonly optimizer: Optimizer
  private readonly definition: Case
  private epochs = 3
  private readonly data: ReturnType<typeof makeData>
  private readonly batches: number

  constructor(definition: Case, execution: object) {
    this.definition = definition
    this.net = definition.build({ seed: 1, ...execution })
    this.optimizer = definition.optimizer()
    // At least two batches, at most 64, and by a rough guess of the executor's speed no more than fill a window.
    const multiplications = 3 * this.net.parameterCount * definition.batchSize
    const perSecond = this.net.executor.name === 'native' ? 5e10 : 5e8
    this.batches = Math.max(2, Math.min(64, Math.round((windowSeconds * perSecond) / multiplications)))
    this.data = makeData(definition, this.batches)
  }

  /** Steps per second from the end of the first epoch to the end of the last: what `fit` prepares once is not counted. */
  async stepsPerSecond(): Promise<number> {
    const { loss, batchSize } = this.definition
    const ends: number[] = []
    const onEpochEnd = () => {
      ends.push(performance.now())
    }
    await this.net.fit(this.data, { loss, batchSize, optimizer: this.optimizer, epochs: this.epochs, onEpochEnd })
    return ((ends.length - 1) * this.batches * 1000) / (ends[ends.length - 1] - ends[0])
  }

  /** Warms up, and finds how many epochs fill a window. */
  async prepare(): Promise<void> {
    const rate = await this.stepsPerSecond()
    this.epochs = 1 + Math.max(1, Math.round((windowSeconds * rate) / this.batches))
  }
}

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]
const results = []
for (const name of chosen) {
  const definition = cases[name]
  const runners = contestants
    // The reference executor would need minutes for a single window of the largest case.
    .filter((contestant) => !(contestant.name === 'reference' && name === 'f'))
    .map((contestant) => ({ ...contestant, runner: new Runner(definition, contestant.execution), rates: [] as number[] }))
  for (const { runner } of runners) await runner.prepare()
  for (let round = 0; round < rounds; round++) for (const { runner, rates } of runners) rates.push(await runner.stepsPerSecond())
  for (const { name: contestant, rates } of runners) {
    results.push({
      case: name,
      what: definition.what,
      batchSize: definition.batchSize,
      contestant,
      stepsPerSecond: median(rates),
      lowest: Math.min(...rates),
      highest: Math.max(...rates),
      ratio: median(rates.map((rate, round) => rate / runners[0].rates[round])),
    })
  }
  if (process.stderr.isTTY) console.error(`case ${name} done`)
}

const digits = (value: number) => (value >= 100 ? Math.round(value).toLocaleString('en-US') : value.toPrecision(3))
const table = new Table({
  head: ['case', 'network', 'batch', 'executor', 'steps/s', 'lowest … highest', `against ${contestants[0].name}`],
  style: { head: [], border: [] },
})
for (const row of results) {
  table.push([
    row.case,
    row.what,
    row.batchSize,
    row.contestant,
    digits(row.stepsPerSecond),
    `${digits(row.lowest)} … ${digits(row.highest)}`,
    `${row.ratio.toPrecision(3)} ×`,
  ])
}
console.log(table.toString())
console.log(
  `${cpus()[0].model}, ${info.instructionSets[0] ?? 'no native addon'}, Node ${process.versions.node}; medians of ${rounds} interleaved rounds.`,
)
if (options.json)
  console.log(
    JSON.stringify({ cpu: cpus()[0].model, instructionSet: info.instructionSets[0] ?? null, node: process.versions.node, rounds, results }),
  )
