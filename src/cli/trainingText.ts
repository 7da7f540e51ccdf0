/** What `thalweg train` tells, and what it writes down about itself. */
import type { Schema } from '../data/schema/schema.ts'
import { counted } from '../errors.ts'
import type { ReportResults } from '../report/reportData.ts'
import type { ReportServer } from '../report/server.ts'
import type { TableCrossValidation } from '../tabular/folds.ts'
import type { TabularModel } from '../tabular/tabularModel.ts'
import type { Context } from './command.ts'
import type { Measured } from './measure.ts'
import type { TableSource } from './tableSource.ts'
import { columnsText, foldsText, resultsText, scoresLine, scoresText } from './text.ts'
import type { Settings } from './trainOptions.ts'

export function tellAddress({ output }: Context, { url }: ReportServer): void {
  output.event({ type: 'watch', url })
  output.note(`Watch at ${url}`)
}

export function tellSchema({ output }: Context, schema: Schema, { count }: TableSource): void {
  output.event({
    type: 'schema',
    ...(count !== null && { rows: count }),
    columns: [...schema.columns].map(([name, { role, kind, options }]) => ({ name, role, kind, options })),
  })
  output.note(`${count === null ? '' : `${counted(count, 'row')}, `}${counted(schema.columns.size, 'column')}:\n${columnsText(schema)}`)
  for (const warning of schema.warnings) output.warn(warning)
}

/** How the network was made and trained, for the report and the file. */
export function configurationOf(
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

export function foldLines(folds: TableCrossValidation | null): Record<string, string> {
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

export function tellResults(
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
