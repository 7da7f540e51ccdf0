/** What `thalweg train` does. */
import type { Command } from 'commander'
import type { DataFormat } from '../data/readers/data.ts'
import { inferSchema } from '../data/schema/infer.ts'
import type { Schema } from '../data/schema/schema.ts'
import type { Row } from '../data/schema/types.ts'
import { AbortError, counted, definedOf } from '../errors.ts'
import type { ReportData, ReportResults } from '../report/data.ts'
import { durationText, numberText } from '../report/page/words.ts'
import { liveReport, recordTraining } from '../report/recordTraining.ts'
import { type ReportServer, serveReport } from '../report/server.ts'
import { summarizeData } from '../report/summarizeData.ts'
import { writeReport } from '../report/writeReport.ts'
import { type TableEvaluation, type TargetNumbers, tableMetrics } from '../tabular/evaluation.ts'
import { crossValidateTable, type TableCrossValidation } from '../tabular/folds.ts'
import { columnImportance, kindsOf, tableResults } from '../tabular/report.ts'
import { type TableRows, type TabularFitOptions, type TabularModel, tabular } from '../tabular/tabularModel.ts'
import { columnsOf } from './columns.ts'
import { readConfig } from './config.ts'
import { memoryOf, rowsOf } from './data.ts'
import { isAbort, UsageError } from './errors.ts'
import { checkModelPath, defaultModelPath } from './modelPath.ts'
import type { Context } from './program.ts'
import { progress } from './progress.ts'
import { checkRows, hasTargets, inMemory, streamed, type TableSource } from './table.ts'
import { columnsText, foldsText, resultsText, scoresLine, scoresText } from './tables.ts'

/** Those of `thalweg train`, as its help describes them. */
export interface TrainCommandOptions {
  readonly target?: readonly string[]
  readonly out?: string
  readonly format?: DataFormat
  readonly test: number
  readonly folds?: number
  readonly column?: readonly string[]
  readonly ignore?: readonly string[]
  readonly missingTarget: 'error' | 'skip'
  readonly sample: number
  readonly memory: number
  readonly stream?: boolean
  readonly epochs?: number
  readonly batchSize?: number
  readonly learningRate?: number
  readonly weightDecay?: number
  readonly hidden?: readonly number[]
  readonly members?: number
  readonly dropout?: number
  readonly seed: number
  readonly threads?: number
  readonly executor?: 'native' | 'reference'
  readonly checkpoint?: string
  readonly everySteps?: number
  readonly everyMinutes?: number
  readonly resume?: boolean
  readonly report?: string
  readonly watch?: boolean
  readonly port?: number
  readonly config?: string
}

/** Trains on the rows of files and saves the model. */
export async function trainTable(context: Context, command: Command, data: readonly string[], given: TrainCommandOptions): Promise<void> {
  if (given.config !== undefined) await readConfig(command, given.config)
  const options = command.opts<TrainCommandOptions>()
  checkTogether(command, options)
  const { watch, port, out = defaultModelPath(data), checkpoint } = options
  await checkModelPath(out)
  const title = `${(options.target ?? []).join(', ')} from ${data.join(', ')}`
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

/** The options, and what follows from them. */
interface Settings extends TrainCommandOptions {
  readonly out: string
  readonly title: string
  readonly command: string
  readonly server: ReportServer | null
}

/** What is known about how good the predictions are: of rows held out once, or of all rows by cross-validation. */
interface Measured {
  readonly numbers: readonly TargetNumbers[]
  readonly evaluation: TableEvaluation
  readonly folds: TableCrossValidation | null
  /** A model and rows that it has not seen, to measure what columns are worth to it. */
  readonly model: TabularModel
  readonly rows: TableRows
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
  const fitted = await schema.fit(training.placed, { signal })
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
    folds === undefined
      ? null
      : await crossValidate(context, schema, complete.rows as readonly Row[], { folds, seed, model: network, fit: options })

  const model = tabular(fitted, { ...network, seed })
  const record = server === null ? recordTraining({ rows: fitted.rows }) : liveReport(server, { rows: fitted.rows })
  output.note(`Training on ${counted(fitted.rows, 'row')}${held === null ? '' : `, ${numberText(heldRows)} held out`}.`)
  const history = await model.fit(Array.isArray(training.rows) ? training.rows : training.rows.shuffle({ seed }), {
    ...options,
    ...checkpointOf(settings),
    ...(training.count === null && { rows: fitted.rows }),
    ...(Array.isArray(held?.rows) && { validationData: held.rows }),
    metrics: metricsOf(model),
    callbacks: [record, progress(output, fitted.rows)],
  })
  const measured = crossed ?? (held === null ? null : await measure(model, held.rows))
  const configuration = configurationOf(settings, data, model, { rows: fitted.rows, heldRows, epochs: history.epochs.length })
  const results = measured?.numbers.map(tableResults) ?? []
  await model.save(out, {
    signal,
    metadata: {
      'thalweg.history': JSON.stringify(history.epochs),
      'thalweg.evaluation': JSON.stringify(measured?.evaluation ?? null),
      'thalweg.folds': JSON.stringify(measured?.folds?.folds.map(({ values }) => values) ?? null),
      'thalweg.training': JSON.stringify({ ...configuration, created: new Date().toISOString(), seconds: record.training.seconds }),
    },
  })
  if (server !== null || report !== undefined) {
    const page: ReportData = {
      ...(results[0] ?? {}),
      title: settings.title,
      created: new Date().toISOString(),
      data: await summarizeData(all.placed, { kinds: kindsOf(model), signal }),
      network: model.network.summary(),
      training: record.training,
      configuration: { ...configuration, ...foldLines(measured?.folds ?? null) },
      warnings: schema.warnings,
      ...(await importanceOf(measured, targets[0], settings, signal)),
    }
    server?.update(page)
    if (report !== undefined) await writeReport(report, page)
  }
  tellResults(context, settings, {
    results,
    measured,
    rows: fitted.rows,
    heldRows,
    epochs: history.epochs.length,
    seconds: record.training.seconds,
  })
}

/** Refuses options that mean nothing without each other, or not together. */
function checkTogether(command: Command, { target, checkpoint, watch, folds, stream }: TrainCommandOptions): void {
  if (target === undefined) throw new UsageError('say which column to predict: --target <column>.')
  const isGiven = (name: string) => !['default', undefined].includes(command.getOptionValueSource(name))
  const needs = (names: readonly string[], other: unknown, flag: string) => {
    const name = names.find(isGiven)
    if (name !== undefined && other === undefined)
      throw new UsageError(`--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} needs ${flag}.`)
  }
  needs(['everySteps', 'everyMinutes', 'resume'], checkpoint, '--checkpoint <folder>')
  needs(['port'], watch, '--watch')
  if (folds !== undefined && isGiven('test')) throw new UsageError('--folds and --test exclude each other: each fold is held out once.')
  if (folds !== undefined && stream) throw new UsageError('--folds is for rows in memory; with --stream rows are held out once.')
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

function tellAddress({ output }: Context, { url }: ReportServer): void {
  output.event({ type: 'watch', url })
  output.note(`Watch at ${url}`)
}

function tellSchema({ output }: Context, schema: Schema, { count }: TableSource): void {
  output.event({
    type: 'schema',
    ...(count !== null && { rows: count }),
    columns: [...schema.columns].map(([name, { role, kind, options }]) => ({ name, role, kind, options })),
  })
  output.note(`${count === null ? '' : `${counted(count, 'row')}, `}${counted(schema.columns.size, 'column')}:\n${columnsText(schema)}`)
  for (const warning of schema.warnings) output.warn(warning)
}

async function crossValidate(
  { output }: Context,
  schema: Schema,
  rows: readonly Row[],
  { folds, seed, model, fit }: { folds: number; seed: number; model: object; fit: TabularFitOptions<readonly Row[]> },
): Promise<Measured> {
  const all: TargetNumbers[][] = []
  let first: Pick<Measured, 'model' | 'rows'> | null = null
  const begun = performance.now()
  const result = await crossValidateTable(schema, rows, {
    folds,
    seed,
    model,
    fit,
    async onFold({ values, seconds }, i, ofFold, held) {
      all.push(await ofFold.compare(held))
      first ??= { model: ofFold, rows: held }
      output.event({ type: 'fold', fold: i + 1, folds, evaluation: values, seconds })
      output.note(`fold ${i + 1} of ${folds}: ${scoresLine(values)}, ${durationText(seconds)}`)
    },
  })
  output.note(`${folds} folds in ${durationText((performance.now() - begun) / 1000)}.`)
  const numbers = all[0].map((one, i) => ({
    ...one,
    outputs: all.flatMap((fold) => fold[i].outputs),
    targets: all.flatMap((fold) => fold[i].targets),
  }))
  return { numbers, evaluation: result.mean, folds: result, ...(first as unknown as Pick<Measured, 'model' | 'rows'>) }
}

async function measure(model: TabularModel, rows: TableRows): Promise<Measured> {
  const numbers = await model.compare(rows)
  return { numbers, evaluation: tableMetrics('evaluate', numbers), folds: null, model, rows }
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

async function importanceOf(
  measured: Measured | null,
  target: string,
  { seed }: Settings,
  signal: AbortSignal,
): Promise<Pick<ReportData, 'importance'>> {
  const importance = measured && (await columnImportance(measured.model, measured.rows, target, { seed, signal }))
  return importance === null ? {} : { importance }
}

/** How the network was made and trained, for the report and the file. */
function configurationOf(
  settings: Settings,
  data: readonly string[],
  model: TabularModel,
  { rows, heldRows, epochs }: { rows: number; heldRows: number; epochs: number },
): Readonly<Record<string, string | number>> {
  const given = recorded.flatMap((name) => (settings[name] === undefined ? [] : [[name, String(settings[name])] as const]))
  return {
    command: settings.command,
    data: data.join(', '),
    'rows trained on': rows,
    ...(heldRows > 0 && { 'rows held out': heldRows }),
    epochs,
    parameters: model.network.parameterCount,
    seed: settings.seed,
    ...Object.fromEntries(given),
  }
}

/** Options that are part of the record under their names. */
const recorded = ['test', 'folds', 'batchSize', 'learningRate', 'weightDecay', 'hidden', 'members', 'dropout'] as const

function foldLines(folds: TableCrossValidation | null): Record<string, string> {
  return Object.fromEntries((folds?.folds ?? []).map(({ values }, i) => [`fold ${i + 1}`, scoresLine(values)]))
}

interface Told {
  readonly results: readonly { readonly target: string; readonly results: ReportResults }[]
  readonly measured: Measured | null
  readonly rows: number
  readonly heldRows: number
  readonly epochs: number
  readonly seconds: number
}

function tellResults(
  { output }: Context,
  { out, report, target }: Settings,
  { results, measured, rows, heldRows, epochs, seconds }: Told,
): void {
  const folds = measured?.folds ?? null
  output.event({
    type: 'result',
    model: out,
    targets: target,
    rows,
    heldOutRows: heldRows,
    epochs,
    seconds,
    evaluation: measured?.evaluation ?? null,
    ...(folds !== null && { folds: folds.folds.map(({ values }) => values) }),
    ...(report !== undefined && { report }),
  })
  if (measured === null) output.result('No rows were held out, so nothing is said about how good predictions are.')
  else if (folds === null) output.result(`Scores on ${counted(heldRows, 'row')} held out:\n${scoresText(measured.evaluation)}`)
  else
    output.result(
      `Scores on each fold, by a model that has not seen it:\n${foldsText(
        folds.folds.map(({ values }) => values),
        folds.mean,
      )}`,
    )
  for (const each of results) output.result(`\n${resultsText(each)}`)
  output.result(`\nThe model is in ${out}${report === undefined ? '' : `, the report in ${report}`}.`)
}
