/** `thalweg bench`: how fast networks train and predict on this machine. */
import { Option } from 'commander'
import { definedOf } from '../../checks.ts'
import { DataError } from '../../errors.ts'
import { type ExecutionOptions, executionInfo } from '../../executors/index.ts'
import { defaultThreads, MAXIMUM_THREADS } from '../../executors/native/addon.ts'
import { dense, input } from '../../nn/layers.ts'
import { type LossName, losses } from '../../nn/losses/index.ts'
import { adamW } from '../../optim/adam.ts'
import { roundText } from '../../report/page/words.ts'
import { readTabularFile } from '../../tabular/loadTabular.ts'
import { defaultNetwork } from '../../tabular/network.ts'
import { readModelFile } from '../../train/loadModel.ts'
import { sequential } from '../../train/makeModel.ts'
import { Model } from '../../train/model.ts'
import type { Features } from '../../train/trainingData.ts'
import type { Context, DefineCommand } from '../command.ts'
import { UsageError } from '../errors.ts'
import { contentsOf } from '../fileContents.ts'
import { integer, threadCounts } from '../optionValues.ts'
import { randomRows, randomSamples, type Samples } from '../randomSamples.ts'
import { textTable } from '../text.ts'

interface BenchOptions {
  readonly threads?: readonly number[]
  readonly rounds: number
  readonly batchSize: number
  readonly loss?: LossName
}

export const define: DefineCommand = (command, context) => {
  command
    .usage('[options] [model]')
    .description(
      'Measures on this machine how many rows a second a network predicts, and how many steps a second it trains, by the reference executor and by the native one with several numbers of threads. What is compared runs by turns, and medians are told. Data are random. (The benchmark against other libraries is another one, in the repository: npm run bench.)',
    )
    .argument('[model]', 'the file of a model (default: three networks of usual sizes)')
    .option(
      '--threads <counts>',
      `numbers of threads, of 1 … ${MAXIMUM_THREADS}, with commas between them (default: 1, 2, 4 … as many as there are cores)`,
      threadCounts,
    )
    .option('--rounds <count>', 'of which the median is taken', integer(1), 3)
    .option('--batch-size <rows>', 'rows a training step', integer(1), 64)
    .addOption(new Option('--loss <name>', 'what a model without a schema is trained for').choices(Object.keys(losses)))
    .addHelpText(
      'after',
      `
Examples:
  thalweg bench
  thalweg bench houses.safetensors --threads 1,8
  thalweg bench --json`,
    )
    .action((path: string | undefined, options: BenchOptions) => bench(context(), path, options))
}

/** A network that is measured. */
interface Subject {
  readonly name: string
  make(execution: ExecutionOptions, rows: number): Promise<Samples & { readonly model: Model }>
}

/** How it is run, and what was measured. */
interface Entry {
  readonly executor: 'native' | 'reference'
  readonly threads: number
  readonly rowsPerSecond: number[]
  readonly stepsPerSecond: number[]
}

/** What a measurement takes at least, in seconds. */
const ENOUGH = 0.05

async function bench(context: Context, path: string | undefined, options: BenchOptions): Promise<void> {
  const { output } = context
  if (path === undefined && options.loss !== undefined) throw new UsageError('--loss is for a model of your own.')
  const { hardwareThreads, native, failure } = executionInfo()
  const threads = options.threads ?? powersOfTwo(defaultThreads(hardwareThreads))
  if (!native) output.warn(`only the reference executor is measured, as the native one is not there: ${failure}`)
  const runs: Pick<Entry, 'executor' | 'threads'>[] = [
    { executor: 'reference', threads: 1 },
    ...(native ? threads.map((count) => ({ executor: 'native' as const, threads: count })) : []),
  ]
  const results: Record<string, unknown>[] = []
  for (const subject of path === undefined ? builtIn : [await fromFile(context, path, options)]) {
    const entries = await measure(context, subject, runs, options)
    const [base] = entries
    const rows = entries.map(({ executor, threads: count, rowsPerSecond, stepsPerSecond }) => {
      const [predicted, steps] = [median(rowsPerSecond), median(stepsPerSecond)]
      const ratios = { predict: predicted / median(base.rowsPerSecond), train: steps / median(base.stepsPerSecond) }
      results.push({ network: subject.name, executor, threads: count, rowsPerSecond: predicted, stepsPerSecond: steps, ratios })
      const name = executor === 'reference' ? executor : `native, ${count} ${count === 1 ? 'thread' : 'threads'}`
      return [`  ${name}`, roundText(predicted), times(ratios.predict), roundText(steps), times(ratios.train)]
    })
    const head = ['', 'rows/s predicted', '', 'steps/s trained', '']
    output.result(`${output.style('bold', subject.name)}\n${textTable(rows, { head, numbers: [1, 2, 3, 4] })}\n`)
  }
  output.event({ type: 'result', hardwareThreads, batchSize: options.batchSize, rounds: options.rounds, results })
  output.result(
    `Median of ${options.rounds} rounds, in which all take turns; × is how many times the reference executor. Steps are of AdamW, on ${options.batchSize} rows.`,
  )
}

function powersOfTwo(most: number): number[] {
  const counts: number[] = []
  for (let count = 1; count < most; count *= 2) counts.push(count)
  return [...counts, most]
}

async function measure(
  { output, signal }: Context,
  { name, make }: Subject,
  runs: readonly Pick<Entry, 'executor' | 'threads'>[],
  { rounds, batchSize }: BenchOptions,
): Promise<Entry[]> {
  output.note(`Measuring: ${name}`)
  const entries: (Entry & { readonly predict: () => Promise<number>; readonly train: () => Promise<number> })[] = []
  for (const run of runs) {
    // Of the slow one as much as can be waited for.
    const steps = run.executor === 'reference' ? 1 : 16
    const rows = steps * batchSize
    const { model, data, loss } = await make(run, rows)
    const optimizer = adamW({ learningRate: 1e-4 })
    entries.push({
      ...run,
      rowsPerSecond: [],
      stepsPerSecond: [],
      predict: async () => rows / (await secondsOf(async () => void (await model.predictAll(data.x as Features, { signal })))),
      async train() {
        let ends: number[] = []
        const fit = async (epochs: number) => {
          ends = []
          await model.fit(data, {
            loss,
            optimizer,
            batchSize,
            epochs,
            signal,
            shuffle: false,
            onEpochEnd: () => void ends.push(performance.now()),
          })
          // The first epoch makes the plan.
          return (ends[ends.length - 1] - ends[0]) / 1000 / (epochs - 1)
        }
        return steps / (await fit(1 + Math.ceil(ENOUGH / (await fit(2)))))
      },
    })
  }
  for (let round = 0; round < rounds; round++)
    for (const { predict, train, rowsPerSecond, stepsPerSecond } of entries) {
      rowsPerSecond.push(await predict())
      stepsPerSecond.push(await train())
    }
  return entries
}

/** How long something takes, after it has run once. */
async function secondsOf(run: () => Promise<void>): Promise<number> {
  await run()
  const begun = performance.now()
  let times = 0
  do {
    await run()
    times++
  } while (performance.now() - begun < 1000 * ENOUGH)
  return (performance.now() - begun) / 1000 / times
}

async function fromFile({ signal }: Context, path: string, { loss }: BenchOptions): Promise<Subject> {
  const { model, table } = await contentsOf('bench', path, signal)
  if (model === null) throw new DataError(`${path} holds no model of thalweg; give one that thalweg train has saved.`)
  if (table !== null && loss !== undefined) throw new UsageError('--loss is for models without a schema; that of this one is known.')
  return {
    name: `${path}: ${model.parameterCount.toLocaleString('en-US')} parameters`,
    async make(execution, rows) {
      const options = definedOf({ ...execution, threads: execution.executor === 'reference' ? undefined : execution.threads })
      if (table === null) {
        const { model: own } = await readModelFile(path, options, 'bench')
        return { model: own, ...randomSamples(own, loss, rows, 'bench') }
      }
      const { model: own } = await readTabularFile('bench', path, options)
      return { model: own.network, ...randomRows(own, rows) }
    },
  }
}

function builtInOf(name: string, loss: LossName, make: (execution: ExecutionOptions) => Model): Subject {
  return {
    name,
    async make({ executor, threads }, rows) {
      const model = make(executor === 'reference' ? { executor } : { executor, threads })
      return { model, ...randomSamples(model, loss, rows, 'bench') }
    },
  }
}

const builtIn: readonly Subject[] = [
  builtInOf('A small network: 16 inputs, 32 hidden, 1 output', 'meanSquaredError', (execution) =>
    sequential([input(16), dense(32, { activation: 'relu' }), dense(1)], execution),
  ),
  builtInOf('What a table of 64 features gets: four networks of 128 and 64 hidden', 'meanSquaredError', (execution) => {
    const tensor = input(64)
    return new Model([tensor], defaultNetwork([{ tensor }], [{ name: 'y', units: 1, loss: 'meanSquaredError' }]), execution)
  }),
  builtInOf('Images of 784 pixels: 512 and 256 hidden, 10 classes', 'sparseCategoricalCrossentropy', (execution) =>
    sequential([input(784), dense(512, { activation: 'relu' }), dense(256, { activation: 'relu' }), dense(10)], execution),
  ),
]

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

const times = (ratio: number) => `× ${roundText(ratio, 3)}`
