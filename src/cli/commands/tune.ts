/** `thalweg tune`: a search for good parameters. */
import { readFile, stat } from 'node:fs/promises'
import { dirname, extname, resolve } from 'node:path'
import { setEnvironmentData } from 'node:worker_threads'
import { Option } from 'commander'
import { definedOf, unknownName } from '../../checks.ts'
import type { EncodedMemory, FittedSchema } from '../../data/schema/fitted.ts'
import { inferSchema } from '../../data/schema/infer.ts'
import type { Row } from '../../data/schema/types.ts'
import { counted, DataError, FileError } from '../../errors.ts'
import { MAXIMUM_THREADS } from '../../executors/native/addon.ts'
import { type MetricName, metrics } from '../../nn/metrics/index.ts'
import { durationText, numberText } from '../../report/page/words.ts'
import { defaultTraining } from '../../tabular/defaults.ts'
import { tabular } from '../../tabular/tabular.ts'
import type { Strategy } from '../../tune/options.ts'
import type { TrialResult, TuneResult } from '../../tune/result.ts'
import { type SearchSpace, space, spaceFromJson } from '../../tune/space.ts'
import { tune } from '../../tune/tune.ts'
import { columnsOf } from '../columns.ts'
import type { Context, DefineCommand } from '../command.ts'
import { formatOption, missingTargetOption, type RowOptions } from '../commonOptions.ts'
import { UsageError } from '../errors.ts'
import { checkModelPath, defaultModelPath } from '../modelPath.ts'
import { integer, names, number, repeated, threadCount } from '../optionValues.ts'
import { progress } from '../progress.ts'
import { rowsOf } from '../rowFiles.ts'
import { checkRows, hasTargets, inMemory, type TableSource } from '../tableSource.ts'
import { printable, scoreLabel, textTable } from '../text.ts'
import { TUNE_DATA, type TuneData, type TunedParameters, tunedNames } from '../tuneTrial.ts'

interface TuneCommandOptions extends RowOptions {
  readonly validation: number
  readonly metric?: string
  readonly space?: string
  readonly strategy: Strategy
  readonly trials?: number
  readonly epochs?: number
  readonly workers?: number
  readonly threads?: number
  readonly journal?: string
  readonly seed: number
  readonly out?: string
  readonly train: boolean
  readonly outModel?: string
}

export const define: DefineCommand = (command, context) => {
  command
    .usage('<data...> --target <column> [options]')
    .description(
      'Searches for good parameters of the network and its training: trials run side by side in worker threads, each trains on the same rows and is scored on the same other ones. Then the best is trained on all rows and saved.',
    )
    .argument('<data...>', 'files of rows; - for standard input')

  command
    .optionsGroup('Data:')
    .option('-t, --target <column>', 'the column to predict; several with commas between them', names)
    .addOption(formatOption())
    .option('--column <name=kind>', 'what a column is: zip=category; may be given several times (default: found out)', repeated)
    .option('--ignore <columns>', 'columns to leave out, with commas between them', names)
    .addOption(missingTargetOption())
    .option('--sample <rows>', 'how many rows to look at to find out what columns are', integer(1), 10_000)
    .option('--validation <share>', 'of the rows, which trials are scored on', number({ from: 0, to: 1 }), 0.2)

  command
    .optionsGroup('Search:')
    .option(
      '--space <file>',
      'what parameters may be, as JSON: { "learningRate": { "type": "number", "min": 0.001, "max": 0.01, "log": true } } (default: all but batchSize)',
    )
    .addOption(
      new Option('--strategy <name>', 'random: at random; grid: each combination; asha: many at random, of which the best go on')
        .choices(['random', 'grid', 'asha'])
        .default('random'),
    )
    .option('--trials <count>', 'how many (default: 20; for asha 27; not for a grid)', integer(1))
    .option('--epochs <count>', 'times through the rows, for asha the most (default: by their number, as in training)', integer(1))
    .option('--metric <name>', 'the score: r2Score, accuracy, … or loss (default: r2Score, for classes logLoss, for several targets loss)')
    .option('--workers <count>', 'trials at the same time (default: one for each core)', integer(1))
    .option('--threads <count>', `of each trial, 1 … ${MAXIMUM_THREADS} (default: the cores shared among the workers)`, threadCount)
    .option('--journal <file>', 'remembers trials; the same command goes on where it was stopped', undefined)
    .option('--seed <number>', 'decides the split, the parameters and the models', integer(0), 0)

  command
    .optionsGroup('Results:')
    .option('-o, --out <file>', 'all trials as a table, .csv or .json')
    .option('--out-model <file>', 'the best, trained on all rows (default: the name of the data, .safetensors)')
    .option('--no-train', 'search only, and save no model')
    .addHelpText('after', help)
    .action((data: readonly string[], options: TuneCommandOptions) => search(context(), data, options))
}

const help = `
Parameters: ${tunedNames.join(', ')}. In the file of --space each is a constant or one of
  { "type": "number", "min": 0.001, "max": 0.01, "log": true }   { "type": "integer", "min": 1, "max": 8 }
  { "type": "choice", "values": [[64], [128, 64]] }

Examples:
  thalweg tune ames.csv --target Sale_Price --trials 40 --journal ames.jsonl
  thalweg tune churn.csv -t churn --strategy asha --out trials.csv --no-train
  thalweg tune churn.csv -t churn --space space.json --strategy grid`

/** From the sources, and from a chunk of the bundle. */
const trialModule = new URL(import.meta.url.endsWith('.ts') ? '../tuneTrial.ts' : './cli/tuneTrial.js', import.meta.url)

async function search(context: Context, data: readonly string[], options: TuneCommandOptions): Promise<void> {
  const { output, streams, signal } = context
  const {
    target: targets,
    format,
    missingTarget,
    sample,
    validation,
    seed,
    out,
    strategy,
    trials,
    workers,
    threads,
    journal,
    train,
  } = options
  if (targets === undefined) throw new UsageError('say which column to predict: --target <column>.')
  if (!train && options.outModel !== undefined) throw new UsageError('--no-train and --out-model exclude each other.')
  if (out !== undefined) await checkResultsPath(out)
  const model = options.outModel ?? defaultModelPath(data)
  if (train) await checkModelPath(model)
  const searched = options.space === undefined ? defaultSpace(strategy) : await readSpace(options.space)

  const all = await inMemory(rowsOf(data, streams, format), signal)
  const columns = columnsOf(options.column ?? [], options.ignore ?? [], targets)
  const schema = await inferSchema(all.placed, { target: targets, columns, sample, signal })
  for (const warning of schema.warnings) output.warn(warning)
  const rows = missingTarget === 'skip' ? all.filter(hasTargets(schema)) : all
  const { training, held } = rows.split(validation, seed)
  const fitted = (await schema.fit(training.placed, { signal })) as unknown as FittedSchema
  await checkRows(fitted, held, signal)
  const metric = metricOf(fitted, options.metric)
  const mode = metric === 'loss' ? 'min' : (metrics[metric]().mode ?? 'min')
  const epochs = options.epochs ?? defaultTraining({ rows: fitted.rows }).epochs

  const shared: TuneData = {
    schema: JSON.stringify(fitted),
    training: encoded(fitted, training),
    validation: encoded(fitted, held),
    metric,
  }
  setEnvironmentData(TUNE_DATA, shared)
  output.note(`Trials train on ${counted(fitted.rows, 'row')} and are scored on ${held.count} others by ${metric}.`)
  const result = await tune({
    // What the scores are of belongs to the search: a journal of other data is refused.
    space: { ...searched, data: `${targets.join(', ')} from ${data.join(', ')}, ${rows.count} rows, ${validation} held out, by ${metric}` },
    trial: trialModule,
    ...definedOf({ strategy, trials, mode, epochs, seed, workers, threads, journal, signal }),
    onTrial(trial, { ended, trials: count }) {
      output.event({ type: 'trial', ...told(trial), ended, trials: count })
      output.note(`${ended} of ${count}: ${trialText(trial, metric)}`)
    },
  })
  if (out !== undefined) await result.save(out)
  const best = parametersOf(result.best)
  output.result(`${tableText(result, metric)}\n`)
  if (train)
    await trainBest(context, schema.fit(rows.placed, { signal }) as Promise<unknown> as Promise<FittedSchema>, rows, best, {
      epochs: result.best.epochs,
      seed,
      threads,
      model,
      result,
      metric,
    })
  output.event({
    type: 'result',
    best: told(result.best),
    metric,
    trials: result.trials.map(told),
    ...(train && { model }),
    ...(out && { out }),
  })
  if (train)
    output.result(
      `The model of trial ${result.best.trial}, trained on all ${rows.count} rows, is in ${model}. Its score is that of the best of several on the same rows, so new rows will tell a little less.`,
    )
}

interface Best {
  readonly epochs: number
  readonly seed: number
  readonly threads: number | undefined
  readonly model: string
  readonly result: TuneResult<unknown>
  readonly metric: string
}

async function trainBest(
  { output, signal }: Context,
  fitting: Promise<FittedSchema>,
  rows: TableSource,
  { learningRate, weightDecay, batchSize, ...network }: TunedParameters,
  { epochs, seed, threads, model, result, metric }: Best,
): Promise<void> {
  const schema = await fitting
  const table = tabular(schema, { ...network, ...definedOf({ seed, threads }) })
  output.note(`Training the best on all ${counted(schema.rows, 'row')}.`)
  const history = await table.fit(rows.rows as readonly Row[], {
    ...definedOf({ epochs, learningRate, weightDecay, batchSize, signal }),
    callbacks: [progress(output, schema.rows)],
  })
  await table.save(model, {
    signal,
    metadata: {
      'thalweg.history': JSON.stringify(history.epochs),
      'thalweg.tuning': JSON.stringify({ trials: result.trials.length, metric, best: told(result.best) }),
    },
  })
}

function encoded(schema: FittedSchema, { rows, count }: TableSource): EncodedMemory {
  const memory = schema.allocate(count as number)
  schema.encodeInto(rows as readonly Row[], memory)
  return memory
}

function metricOf({ outputs }: FittedSchema, given: string | undefined): MetricName | 'loss' {
  if (given === 'loss') return 'loss'
  if (given !== undefined && !Object.hasOwn(metrics, given)) throw unknownName('metric', given, ['loss', ...Object.keys(metrics)])
  if (outputs.length > 1) {
    if (given !== undefined) throw new UsageError(`--metric ${given} is for a single target; of several the score is the loss.`)
    return 'loss'
  }
  return (given ?? (outputs[0].classes === null ? 'r2Score' : 'logLoss')) as MetricName
}

function defaultSpace(strategy: Strategy): SearchSpace {
  if (strategy === 'grid')
    return {
      learningRate: space.choice([0.001, 0.002, 0.005]),
      hidden: space.choice([[64], [128, 64]]),
      dropout: space.choice([0.1, 0.3]),
    }
  return {
    learningRate: space.number(3e-4, 1e-2, { log: true }),
    weightDecay: space.number(1e-3, 1, { log: true }),
    hidden: space.choice([[64], [128], [128, 64], [256, 128]]),
    members: space.integer(1, 8),
    dropout: space.number(0, 0.5, { step: 0.1 }),
  }
}

async function readSpace(path: string): Promise<SearchSpace> {
  let json: unknown
  try {
    json = JSON.parse((await readFile(path, 'utf8')).replace(/^\uFEFF/, ''))
  } catch (error) {
    const { message } = error as Error
    if (error instanceof SyntaxError) throw new DataError(`${path}: expected JSON: ${message}.`, { cause: error })
    throw new FileError(`--space: cannot read "${path}": ${message}.`, { cause: error })
  }
  const found = spaceFromJson(path, json)
  for (const name of Object.keys(found)) if (!tunedNames.includes(name as never)) throw unknownName('parameter', name, tunedNames, path)
  return found
}

/** Refuses, before the search and not behind it, what results cannot be written to. */
async function checkResultsPath(path: string): Promise<void> {
  if (!['.csv', '.json'].includes(extname(path).toLowerCase())) throw new UsageError(`--out must end with .csv or .json, got ${path}.`)
  const folder = dirname(resolve(path))
  const isFolder = await stat(folder).then(
    (found) => found.isDirectory(),
    () => false,
  )
  if (!isFolder) throw new FileError(`--out: there is no folder "${folder}"; make it, or give another path.`)
}

function parametersOf({ parameters }: TrialResult<unknown>): TunedParameters {
  return Object.fromEntries(Object.entries(parameters as object).filter(([name]) => name !== 'data'))
}

/** A trial for machines. */
function told({ trial, status, score, error, epochs, seconds, parameters }: TrialResult<unknown>) {
  return {
    trial,
    status,
    score,
    ...(error !== null && { error }),
    epochs,
    seconds,
    parameters: parametersOf({ parameters } as TrialResult<unknown>),
  }
}

const scoreText = (score: number | null, status: string) => (score === null ? status : numberText(score, 5))

const valueText = (value: unknown) => (typeof value === 'number' ? numberText(value, 3) : JSON.stringify(value))

function trialText(trial: TrialResult<unknown>, metric: string): string {
  const { status, score, epochs, seconds, error } = trial
  const values = Object.entries(parametersOf(trial)).map(([name, value]) => `${name} ${valueText(value)}`)
  const reason = status === 'failed' ? ` (${printable((error ?? '').split('\n', 1)[0])})` : ''
  return `${scoreLabel(metric)} ${scoreText(score, status)}${reason}, ${counted(epochs, 'epoch')} in ${durationText(seconds)}; ${values.join(', ')}`
}

const MOST_TRIALS = 20

function tableText({ trials }: TuneResult<unknown>, metric: string): string {
  const names = Object.keys(parametersOf(trials[0]))
  const rows = trials.slice(0, MOST_TRIALS).map((one) => {
    const parameters = parametersOf(one) as Readonly<Record<string, unknown>>
    return [String(one.trial), scoreText(one.score, one.status), String(one.epochs), ...names.map((name) => valueText(parameters[name]))]
  })
  const left = trials.length - rows.length
  const table = textTable(rows, { head: ['trial', metric, 'epochs', ...names], numbers: [0, 1, 2, ...names.map((_, i) => i + 3)] })
  return left > 0 ? `${table}\n… and ${left} more` : table
}
