/** What `thalweg train` does. */
import { basename } from 'node:path'
import type { Command } from 'commander'
import { definedOf } from '../checks.ts'
import { target } from '../data/schema/columns.ts'
import type { FittedSchema } from '../data/schema/fitted.ts'
import { inferSchema } from '../data/schema/infer.ts'
import type { TargetColumn } from '../data/schema/kind.ts'
import type { Schema } from '../data/schema/schema.ts'
import { AbortError, counted } from '../errors.ts'
import { numberText } from '../report/page/words.ts'
import { liveReport, recordTraining } from '../report/recordTraining.ts'
import { serveReport } from '../report/server.ts'
import { summarizeData } from '../report/summarizeData.ts'
import { writeReport } from '../report/writeReport.ts'
import type { TableRows } from '../tabular/encoding.ts'
import { kindsOf, tableResults } from '../tabular/report.ts'
import { tabular } from '../tabular/tabular.ts'
import type { TabularFitOptions, TabularModel } from '../tabular/tabularModel.ts'
import { columnsOf } from './columns.ts'
import type { Context } from './command.ts'
import { readConfig } from './config.ts'
import { isAbort, UsageError } from './errors.ts'
import { crossValidate, measure, reportParts } from './measure.ts'
import { checkModelPath, defaultModelPath } from './modelPath.ts'
import { progress } from './progress.ts'
import { memoryOf, rowsOf } from './rowFiles.ts'
import { checkRows, hasTargets, inMemory, streamed, type TableSource } from './tableSource.ts'
import { configurationOf, foldLines, tellAddress, tellResults, tellSchema } from './trainingText.ts'
import { checkTogether, type Settings, type TrainCommandOptions } from './trainOptions.ts'

/** Trains on the rows of files and saves the model. */
export async function trainTable(context: Context, command: Command, data: readonly string[], given: TrainCommandOptions): Promise<void> {
  if (given.config !== undefined) await readConfig(command, given.config)
  const options = command.opts<TrainCommandOptions>()
  checkTogether(command, options)
  const { watch, port, out = defaultModelPath(data), checkpoint } = options
  await checkModelPath(out)
  const title = `${(options.target ?? []).join(', ')} from ${data.map((path) => basename(path)).join(', ')}`
  const server = watch ? await serveReport({ title }, definedOf({ port })) : null
  if (server !== null) tellAddress(context, server)
  try {
    await train(context, data, { ...options, out, title, command: context.commandLine, server })
  } catch (error) {
    if (!context.signal.aborted || !isAbort(error)) throw error
    const advice =
      checkpoint === undefined
        ? 'With --checkpoint <folder> a run can go on where it was stopped.'
        : `Go on from the checkpoint in "${checkpoint}" with the same command and --resume.`
    throw new AbortError(`stopped by ${context.signal.reason}; no model was written. ${advice}`, context.signal.reason)
  } finally {
    await server?.close()
  }
}

async function train(context: Context, data: readonly string[], settings: Settings): Promise<void> {
  const { output, signal } = context
  const { target: targets = [], test, folds, seed, sample, server, out, report, missingTarget } = settings
  const columns = columnsOf(settings.column ?? [], settings.ignore ?? [], targets)
  const all = await read(context, data, settings)
  const schema = await inferSchema(all.placed, { target: targets, columns, sample, signal })
  tellSchema(context, schema, all)
  const complete = missingTarget === 'skip' ? all.filter(hasTargets(schema)) : all
  const { training, held } = folds !== undefined || test === 0 ? { training: complete, held: null } : complete.split(test, seed)
  const known =
    training === complete && folds === undefined ? schema : withAllClasses(schema, await schema.fit(complete.placed, { signal }))
  const fitted = await known.fit(training.placed, { signal })
  const heldRows = held === null ? 0 : await checkRows(fitted, held, signal)

  const network = definedOf({
    hidden: settings.hidden,
    members: settings.members,
    dropout: settings.dropout,
    threads: settings.threads,
    executor: settings.executor,
  })
  const { epochs, batchSize, learningRate, weightDecay } = settings
  const options = definedOf({ epochs, batchSize, learningRate, weightDecay, signal })
  const crossed =
    folds === undefined ? null : await crossValidate(context, known, complete.array ?? [], { folds, seed, model: network, fit: options })

  const model = tabular(fitted, { ...network, seed })
  const record = server === null ? recordTraining({ rows: fitted.rows }) : liveReport(server, { rows: fitted.rows })
  output.note(`Training on ${counted(fitted.rows, 'row')}${held === null ? '' : `, ${numberText(heldRows)} held out`}.`)
  const history = await model.fit(training.toTrain(seed), {
    ...options,
    ...checkpointOf(settings),
    ...(training.count === null && { rows: fitted.rows }),
    ...(held?.array && { validationData: held.array }),
    metrics: metricsOf(model),
    callbacks: [record, progress(output, fitted.rows)],
  })
  const measured = crossed ?? (held === null ? null : await measure(model, held.rows))
  const configuration = configurationOf(settings, data, model, { rows: fitted.rows, heldRows, epochs: history.epochs.length })
  const results = measured?.numbers.map(tableResults) ?? []
  const page =
    server === null && report === undefined
      ? null
      : {
          title: settings.title,
          created: new Date().toISOString(),
          data: await summarizeData(all.placed, { kinds: kindsOf(model), signal }),
          network: model.network.summary(),
          training: record.training,
          configuration: { ...configuration, ...foldLines(measured?.folds ?? null) },
          warnings: schema.warnings,
          ...(measured && (await reportParts(measured, seed, signal))),
        }
  await model.save(out, {
    signal,
    metadata: {
      'thalweg.history': JSON.stringify(history.epochs),
      'thalweg.evaluation': JSON.stringify(measured?.evaluation ?? null),
      'thalweg.folds': JSON.stringify(measured?.folds?.folds.map(({ values }) => values) ?? null),
      'thalweg.training': JSON.stringify({ ...configuration, created: new Date().toISOString(), seconds: record.training.seconds }),
    },
  })
  if (page !== null) server?.update(page)
  if (page !== null && report !== undefined) await writeReport(report, page)
  tellResults(context, settings, {
    results,
    measured,
    rows: fitted.rows,
    heldRows,
    epochs: history.epochs.length,
    seconds: record.training.seconds,
  })
}

async function read(
  { output, streams, signal }: Context,
  data: readonly string[],
  { format, stream, memory, folds }: Settings,
): Promise<TableSource> {
  const rows = rowsOf(data, streams, format)
  const needed = stream ? Number.POSITIVE_INFINITY : await memoryOf(data)
  if (needed <= memory || (folds !== undefined && !stream)) return inMemory(rows, signal)
  if (data.includes('-'))
    throw new UsageError('standard input can be read once only, and not anew for each epoch; give a file, or leave --stream out.')
  output.note('The data stay on the disk and are read anew for each epoch.')
  return streamed(rows)
}

/** A schema whose targets know the classes of all rows: a rare one may be only among those that are held out. */
function withAllClasses(schema: Schema, { outputs }: FittedSchema): Schema {
  const targets = outputs.flatMap(({ name, classes }) => {
    const { kind, options } = schema.columns.get(name) as TargetColumn
    return kind === 'category' && classes !== null ? [[name, target.category({ ...options, classes })]] : []
  })
  return schema.with(Object.fromEntries(targets)) as Schema
}

/** What says most about each output, for its curve. */
function metricsOf({ schema, network }: TabularModel): TabularFitOptions<TableRows>['metrics'] {
  const lists = schema.outputs.map(({ metrics }) => metrics.slice(0, 1))
  return lists.length === 1 ? lists[0] : Object.fromEntries(lists.map((list, i) => [network.outputNames[i], list]))
}

function checkpointOf({
  checkpoint,
  everySteps,
  everyMinutes,
  resume = false,
}: Settings): Pick<TabularFitOptions<TableRows>, 'checkpoint'> {
  if (checkpoint === undefined) return {}
  // The command itself listens to signals of the system; a run that is stopped writes a checkpoint.
  return { checkpoint: { directory: checkpoint, resume, signals: false, ...definedOf({ everySteps, everyMinutes }) } }
}
