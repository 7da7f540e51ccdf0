/** How good predictions are on rows that a model has not seen. */
import type { Schema } from '../data/schema/schema.ts'
import type { Row } from '../data/schema/types.ts'
import { durationText } from '../report/page/words.ts'
import type { ReportData } from '../report/reportData.ts'
import { joined, type TableRows } from '../tabular/encoding.ts'
import { type TableEvaluation, type TargetNumbers, tableMetrics } from '../tabular/evaluation.ts'
import { type CrossValidateTableOptions, crossValidateTable, type TableCrossValidation } from '../tabular/folds.ts'
import { columnImportance, tableResults } from '../tabular/report.ts'
import type { TabularModel } from '../tabular/tabularModel.ts'
import type { Context } from './command.ts'
import { progress } from './progress.ts'
import { scoresLine } from './text.ts'

/** What is known about how good the predictions are: of rows held out once, or of all rows by cross-validation. */
export interface Measured {
  readonly numbers: readonly TargetNumbers[]
  readonly evaluation: TableEvaluation
  readonly folds: TableCrossValidation | null
  /** A model and rows that it has not seen, to measure what columns are worth to it. */
  readonly model: TabularModel
  readonly rows: TableRows
}

/** @param rows All, of which each is held out once. */
export async function crossValidate(
  { output }: Context,
  schema: Schema,
  rows: readonly Row[],
  { folds = 5, seed, model, fit }: Pick<CrossValidateTableOptions, 'folds' | 'seed' | 'model' | 'fit'>,
): Promise<Measured> {
  const all: TargetNumbers[][] = []
  let first: Pick<Measured, 'model' | 'rows'> | null = null
  const begun = performance.now()
  const result = await crossValidateTable(schema, rows, {
    folds,
    seed,
    model,
    fit: { ...fit, callbacks: output.isWatched ? [progress(output, (rows.length * (folds - 1)) / folds)] : [] },
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
    outputs: joined(all.map((fold) => fold[i].outputs)),
    targets: joined(all.map((fold) => fold[i].targets)),
  }))
  return { numbers, evaluation: result.mean, folds: result, ...(first as unknown as Pick<Measured, 'model' | 'rows'>) }
}

/** @param rows Held out. */
export async function measure(model: TabularModel, rows: TableRows): Promise<Measured> {
  const numbers = await model.compare(rows)
  return { numbers, evaluation: tableMetrics('evaluate', numbers), folds: null, model, rows }
}

/** The parts of a report that say how good predictions of the first target are, and what each column is worth to them. */
export async function reportParts({ numbers, model, rows }: Measured, seed: number, signal: AbortSignal): Promise<Partial<ReportData>> {
  const importance = await columnImportance(model, rows, numbers[0].name, { seed, signal })
  return { ...tableResults(numbers[0]), ...(importance !== null && { importance }) }
}
