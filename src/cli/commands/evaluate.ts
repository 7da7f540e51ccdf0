import type { DataFormat } from '../../data/readers/data.ts'
import { loadTabular } from '../../tabular/loadTabular.ts'
import { rowsOf } from '../data.ts'
import type { DefineCommand } from '../program.ts'

interface EvaluateOptions {
  readonly format?: DataFormat
}

export const define: DefineCommand = (command, context) => {
  command
    .description('Measures a model that thalweg train has saved on rows whose targets are known, in the units of the data.')
    .argument('<model>', 'the file of the model')
    .argument('<data...>', 'files of rows; - for standard input')
    .action(async (model: string, data: readonly string[], options: EvaluateOptions) => {
      const { output, streams, signal } = context()
      const table = await loadTabular(model, { signal })
      const evaluation = await table.evaluate(rowsOf(data, streams, options.format))
      output.result(
        Object.entries(evaluation)
          .map(([name, value]) => `${name}  ${value}`)
          .join('\n'),
      )
      output.event({ type: 'result', evaluation })
    })
}
