import type { DataFormat } from '../../data/readers/readData.ts'
import { counted } from '../../errors.ts'
import { summarizeData } from '../../report/summarizeData.ts'
import { writeReport } from '../../report/writeReport.ts'
import { loadTabular } from '../../tabular/loadTabular.ts'
import { kindsOf, tableResults } from '../../tabular/report.ts'
import type { Context, DefineCommand } from '../command.ts'
import { executorOption, formatOption, missingTargetOption, threadsOption } from '../commonOptions.ts'
import { measure, reportParts } from '../measure.ts'
import { rowsOf, STDIN } from '../rowFiles.ts'
import { hasTargets, inMemory, streamed } from '../tableSource.ts'
import { confusionText, scoresText } from '../text.ts'

interface EvaluateCommandOptions {
  readonly format?: DataFormat
  readonly missingTarget: 'error' | 'skip'
  readonly report?: string
  readonly threads?: number
  readonly executor?: 'native' | 'reference'
}

export const define: DefineCommand = (command, context) => {
  command
    .description(
      'Measures a model that thalweg train has saved on rows whose targets are known, in the units of the data: R² and typical errors of numbers, accuracy, AUC and the confusion matrix of classes. They should be rows that it was not trained on.',
    )
    .argument('<model>', 'the file of the model')
    .argument('<data...>', 'files of rows, with the targets; - for standard input')
    .addOption(formatOption())
    .addOption(missingTargetOption())
    .option('--report <file>', 'write a page with scores, errors and what each column is worth: report.html')
    .addOption(threadsOption())
    .addOption(executorOption())
    .addHelpText(
      'after',
      `
Examples:
  thalweg evaluate churn.safetensors december.csv
  thalweg evaluate churn.safetensors december.csv --report december.html
  zcat december.csv.gz | thalweg evaluate churn.safetensors - --json`,
    )
    .action((model: string, data: readonly string[], options: EvaluateCommandOptions) => evaluateTable(context(), model, data, options))
}

async function evaluateTable(
  { output, streams, signal, commandLine }: Context,
  path: string,
  data: readonly string[],
  { format, missingTarget, report, ...execution }: EvaluateCommandOptions,
): Promise<void> {
  const model = await loadTabular(path, { ...execution, signal })
  const dataset = rowsOf(data, streams, format)
  // A report looks at the rows more than once.
  const all = report !== undefined && data.includes(STDIN) ? await inMemory(dataset, signal) : streamed(dataset)
  const rows = missingTarget === 'skip' ? all.filter(hasTargets(model.schema.schema)) : all
  const measured = await measure(model, rows.placed)
  const results = measured.numbers.map(tableResults)
  const count = results[0].results.rows
  if (report !== undefined) {
    await writeReport(report, {
      title: `${results.map(({ target }) => target).join(', ')} in ${data.join(', ')}`,
      created: new Date().toISOString(),
      data: await summarizeData(rows.placed, { kinds: kindsOf(model), signal }),
      network: model.network.summary(),
      configuration: { command: commandLine, model: path },
      warnings: ['If the network was trained on some of these rows, the scores are better than they will be on new ones.'],
      ...(await reportParts(measured, 0, signal)),
    })
  }
  output.event({
    type: 'result',
    model: path,
    rows: count,
    evaluation: measured.evaluation,
    results: results.map(summaryOf),
    ...(report !== undefined && { report }),
  })
  output.result(`Scores on ${counted(count, 'row')}:\n${scoresText(measured.evaluation)}`)
  for (const each of results.filter(({ task }) => task !== 'regression')) output.result(`\n${confusionText(each)}`)
  if (report !== undefined) output.result(`\nThe report is in ${report}.`)
}

/** What machines are told about a target, beside the scores. */
function summaryOf({ task, target, results }: ReturnType<typeof tableResults>): object {
  const { confusion, classes, residuals } = results
  return { target, task, ...(confusion && { confusion, classes }), ...(residuals && { quantiles: residuals.quantiles }) }
}
