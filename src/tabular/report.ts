import { checkBoolean, checkOptions, checkSignal, unknownName } from '../checks.ts'
import { Dataset } from '../data/dataset.ts'
import { NdArray } from '../data/ndarray.ts'
import type { Row } from '../data/schema/types.ts'
import { Purpose, RandomStream } from '../random.ts'
import { permutationImportance } from '../report/importance.ts'
import type { ReportData, ReportImportance, ReportResults, ReportTask, TrainingSummary } from '../report/reportData.ts'
import { reportResults } from '../report/results.ts'
import { summarizeData } from '../report/summarizeData.ts'
import type { TableRows } from './encoding.ts'
import { type TargetNumbers, taskOf } from './evaluation.ts'
import type { TabularModel } from './tabularModel.ts'

/** Options of `tableReport`. @example ({ title: 'House prices', importance: false }) satisfies TableReportOptions */
export interface TableReportOptions {
  /** The title of the page; default the names of the targets. */
  readonly title?: string
  /** The target that the results are about; default the first. */
  readonly target?: string
  /** The rows that the summary of the data is made of; default the held-out rows. */
  readonly data?: TableRows
  /** How training went, as `recordTraining` records it; default: not shown. */
  readonly training?: TrainingSummary
  /** Lines about how the network was made and trained; default: none. */
  readonly configuration?: ReportData['configuration']
  /** What the reader should know; default the warnings of the schema. */
  readonly warnings?: readonly string[]
  /** Whether to measure what each column is worth, over at most 1,000 of the rows; default true. */
  readonly importance?: boolean
  /** Decides which rows that is, and the shuffles; default 0. */
  readonly seed?: number
  /** Stops it; it rejects with an AbortError. */
  readonly signal?: AbortSignal
}

/** Of a table of 70 columns some seconds' work. */
const importanceRows = 1000
const importanceRepeats = 3

/**
 * The report on a model for rows: what the data are, how good it is on rows that it has not seen, and what each column is worth to it.
 *
 * @param rows Held out, with their targets.
 * @param options `title` and `target`: by the schema; `data`: the rows; `importance` true; `seed` 0.
 * @returns For `writeReport`, or `ReportServer.update`.
 * @throws DataError for a value that is none of its column's, or no rows.
 * @example const rows = [{ x: 1, y: 2 }, { x: 2, y: 4 }, { x: 3, y: 6 }]; await writeReport('build/table.html', await tableReport(tabular(await schema({ x: column.number(), y: target.number() }).fit(rows)), rows))
 */
export async function tableReport<Input extends Row, Training extends Row, Prediction>(
  model: TabularModel<Input, Training, Prediction>,
  rows: TableRows<Training>,
  options: TableReportOptions = {},
): Promise<ReportData> {
  return reportOf(model as unknown as TabularModel, rows as TableRows, options)
}

async function reportOf(model: TabularModel, rows: TableRows, options: TableReportOptions): Promise<ReportData> {
  const where = 'tableReport'
  checkOptions(where, options, ['title', 'target', 'data', 'training', 'configuration', 'warnings', 'importance', 'seed', 'signal'])
  const { importance = true, seed = 0, signal, training, configuration, warnings = model.schema.schema.warnings } = options
  checkBoolean(where, 'importance', importance)
  checkSignal(where, signal)
  const names = model.schema.outputs.map(({ name }) => name)
  const { title = names.join(', '), target = names[0], data = rows } = options
  if (!names.includes(target)) throw unknownName('target', target, names, where)
  const numbers = (await model.compare(rows, { signal }, where)).find(({ name }) => name === target) as TargetNumbers
  const measured = importance ? await columnImportance(model, rows, target, { seed, signal }) : null
  return {
    ...tableResults(numbers),
    title,
    created: new Date().toISOString(),
    data: await summarizeData(data, { kinds: kindsOf(model), signal }),
    network: model.network.summary(),
    ...(measured !== null && { importance: measured }),
    ...(training && { training }),
    ...(configuration && { configuration }),
    warnings,
  }
}

/** What predictions of a target are worth: the part of a report that needs nothing but numbers. */
export function tableResults({ name, units, classes, outputs, targets }: TargetNumbers): {
  task: ReportTask
  target: string
  results: ReportResults
} {
  const task = reportTask({ classes })
  const predicted = task === 'regression' ? outputs : task === 'binary' ? outputs.map(sigmoid) : probabilities(outputs, units)
  const labels = classes === null ? {} : { labels: classes }
  return { task, target: name, results: reportResults({ task, predicted, actual: targets, ...labels }) }
}

function reportTask(target: Pick<TargetNumbers, 'classes'>): ReportTask {
  const task = taskOf(target)
  return task === 'sparse' ? 'classes' : task === 'binary' ? 'binary' : 'regression'
}

/**
 * What each column is worth to the prediction of a target.
 *
 * @returns null if the rows have nothing to measure: one class only, or the same number everywhere.
 */
export async function columnImportance(
  model: TabularModel,
  rows: TableRows,
  target: string,
  { seed = 0, signal }: Pick<TableReportOptions, 'seed' | 'signal'> = {},
): Promise<ReportImportance | null> {
  const { outputs, schema } = model.schema
  const some = rows instanceof Dataset ? await rows.first(importanceRows) : sampleOf(rows, importanceRows, seed)
  const { classes = null } = outputs.find(({ name }) => name === target) ?? {}
  const metric = ({ regression: 'r2Score', binary: 'rocAuc', classes: 'accuracy' } as const)[reportTask({ classes })]
  const label = outputs.length === 1 ? metric : `${target}.${metric}`
  const score = async (chosen: readonly Row[]) => (await model.evaluate(chosen, { metrics: { [target]: [metric] } }))[label]
  if (some.length < 2 || !Number.isFinite(await score(some))) return null
  const columns = [...schema.columns].flatMap(([name, { role, kind }]) => (role === 'feature' && kind !== 'ignore' ? [name] : []))
  // A column that some rows have not is none of the first row's, perhaps.
  const whole = some.map((row) => Object.fromEntries([...schema.columns.keys()].map((name) => [name, row[name]])))
  return permutationImportance({ rows: whole, columns, metric, score, repeats: importanceRepeats, seed, signal })
}

export function kindsOf({ schema }: TabularModel): Record<string, string> {
  return Object.fromEntries([...schema.schema.columns].map(([name, { kind }]) => [name, kind]))
}

function sampleOf<T>(all: readonly T[], most: number, seed: number): readonly T[] {
  if (all.length <= most) return all
  const order = Int32Array.from(all.keys())
  new RandomStream(seed, Purpose.sample).shuffle(order)
  return Array.from(order.subarray(0, most).sort(), (i) => all[i])
}

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x))

/** Rows of logits as rows of probabilities. */
function probabilities(logits: ArrayLike<number>, width: number): NdArray {
  const all = Float32Array.from(logits)
  for (let at = 0; at < all.length; at += width) {
    const row = all.subarray(at, at + width)
    const top = row.reduce((a, b) => Math.max(a, b))
    const sum = row.reduce((total, x) => total + Math.exp(x - top), 0)
    row.set(row.map((x) => Math.exp(x - top) / sum))
  }
  return new NdArray(all, [all.length / width, width])
}
