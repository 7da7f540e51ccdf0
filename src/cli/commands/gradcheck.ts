/** `thalweg gradcheck`: whether the gradients that training uses are those of the loss. */
import { type Command, Option } from 'commander'
import type { DataFormat } from '../../data/readers/readData.ts'
import type { Row } from '../../data/schema/types.ts'
import { counted, DataError } from '../../errors.ts'
import { dense, dropout, gatedDense, input } from '../../nn/layers.ts'
import { type LossName, losses } from '../../nn/losses/index.ts'
import { gradcheck as checkGradients } from '../../train/gradcheck.ts'
import { sequential } from '../../train/makeModel.ts'
import type { Model } from '../../train/model.ts'
import type { Context, DefineCommand } from '../command.ts'
import { formatOption } from '../commonOptions.ts'
import { Failed, UsageError } from '../errors.ts'
import { contentsOf } from '../fileContents.ts'
import { integer, number } from '../optionValues.ts'
import { randomRows, randomSamples, type Samples } from '../randomSamples.ts'
import { rowsOf } from '../rowFiles.ts'

interface GradcheckCommandOptions {
  readonly demo?: boolean
  readonly rows: number
  readonly elements: number
  readonly tolerance: number
  readonly step: number
  readonly loss?: LossName
  readonly format?: DataFormat
}

export const define: DefineCommand = (command, context) => {
  command
    .usage('[options] <model> [data]')
    .description(
      'Compares the gradients that training uses with finite differences of the loss, in double precision: whether they are right, for this model, on a few rows. Exit code 1 if they are not.',
    )
    .argument('[model]', 'the file of the model')
    .argument('[data]', 'rows with their targets; - for standard input (default: random numbers)')
    .option('--demo', 'check a small network of several kinds of layers, in place of a model')
    .option('--rows <count>', 'how many rows', integer(1), 4)
    .option('--elements <count>', 'how many numbers of each parameter, chosen at random', integer(1), 10)
    .option('--tolerance <error>', 'the largest error allowed', number({ from: 0 }), 1e-5)
    .option('--step <size>', 'of the differences', number({ from: 0 }), 1e-5)
    .addOption(new Option('--loss <name>', 'what a model without a schema is trained for').choices(Object.keys(losses)))
    .addOption(formatOption())
    .addHelpText(
      'after',
      `
Examples:
  thalweg gradcheck houses.safetensors houses.csv
  thalweg gradcheck houses.safetensors --elements 100 --rows 16
  thalweg gradcheck --demo`,
    )
    .action((model: string | undefined, data: string | undefined, options: GradcheckCommandOptions, _: Command) =>
      run(context(), model, data, options),
    )
}

async function run(context: Context, path: string | undefined, data: string | undefined, options: GradcheckCommandOptions): Promise<void> {
  if ((path === undefined) !== (options.demo === true))
    throw new UsageError(path === undefined ? 'give the file of a model, or --demo.' : '--demo takes no model; leave one of them out.')
  const { output } = context
  const { model, data: sample, loss, title } = path === undefined ? demo(options) : await subjectOf(context, path, data, options)
  const { tolerance, step, elements } = options
  const report = checkGradients(model, sample, { loss, tolerance, step, elements })
  const { ok, parameters } = report
  output.event({ type: 'result', ok, loss: report.loss, tolerance, parameters })
  output.result(`${title}\n\n${report}\n`)
  const worst = parameters.reduce((a, b) => (b.worst.error > a.worst.error ? b : a))
  const errorText = `${worst.worst.error.toExponential(1)}, of "${worst.parameter}"`
  if (!ok) throw new Failed(`the gradients are not those of the loss: the largest error is ${errorText}, above ${tolerance}.`)
  output.result(`The gradients are right: the largest error is ${errorText}, and ${tolerance} is allowed.`)
}

interface Subject extends Samples {
  readonly model: Model
  readonly title: string
}

async function subjectOf(
  { streams, signal }: Context,
  path: string,
  data: string | undefined,
  { rows, loss, format }: GradcheckCommandOptions,
): Promise<Subject> {
  const { model, table } = await contentsOf('gradcheck', path, signal)
  if (model === null) throw new DataError(`${path} holds no model of thalweg; give one that thalweg train has saved.`)
  if (table !== null && loss !== undefined) throw new UsageError('--loss is for models without a schema; that of this one is known.')
  const title = `${path}: ${counted(model.parameters.length, 'parameter')}, ${counted(rows, 'row')}`
  if (data === undefined) {
    const samples = table === null ? randomSamples(model, loss, rows, 'gradcheck') : randomRows(table, rows)
    return { model, ...samples, title: `${title} of random numbers` }
  }
  if (table === null)
    throw new DataError(`${path} holds a model without a schema, which cannot read rows; leave the data out for random numbers.`)
  const few: Row[] = []
  for await (const { items, place } of rowsOf([data], streams, format).pass({ signal })) {
    const some = items.slice(0, rows - few.length)
    // For messages with the place in the file.
    table.schema.encode(some, { place })
    few.push(...some)
    if (few.length === rows) break
  }
  if (few.length === 0) throw new DataError(`${data}: expected rows, got none.`)
  const memory = table.schema.allocate(few.length)
  table.schema.encodeInto(few, memory)
  return {
    model,
    data: table.trainingData(memory),
    loss: table.losses(),
    title: `${path}: ${counted(model.parameters.length, 'parameter')}, ${counted(few.length, 'row')} of ${data}`,
  }
}

/** A network that has most of what gradients meet: kinks, gates, dropout, several classes. */
function demo({ rows, loss = 'sparseCategoricalCrossentropy' }: GradcheckCommandOptions): Subject {
  const model = sequential(
    [input(6), dense(8, { activation: 'silu' }), gatedDense(8), dropout(0.2), dense(8, { activation: 'tanh' }), dense(3)],
    {
      executor: 'reference',
    },
  )
  return { model, ...randomSamples(model, loss, rows, 'gradcheck'), title: `A small network, ${loss}\n\n${model.summary().trimEnd()}` }
}
