/** `thalweg predict`: rows in, answers out. */
import { resolve } from 'node:path'
import { Option } from 'commander'
import { definedOf } from '../../checks.ts'
import { type Chunk, sliceChunk } from '../../data/chunk.ts'
import { type DataFormat, openData } from '../../data/readers/readData.ts'
import { unknownColumn } from '../../data/schema/columnErrors.ts'
import type { Row } from '../../data/schema/types.ts'
import { counted, type DataError, OptionError } from '../../errors.ts'
import { writeAtomically } from '../../interchange/atomicFile.ts'
import { type BatchPredictor, outcomes } from '../../predict/batchPredictor.ts'
import { loadTabular } from '../../tabular/loadTabular.ts'
import type { TabularModel } from '../../tabular/tabularModel.ts'
import { type Answer, type AnswerOptions, type AnswerWriter, CsvWriter, JsonLinesWriter } from '../answers.ts'
import type { Context, DefineCommand } from '../command.ts'
import { executorOption, threadsOption } from '../commonOptions.ts'
import { UsageError } from '../errors.ts'
import { integer, names } from '../optionValues.ts'
import { writeAll } from '../output.ts'
import { STDIN } from '../rowFiles.ts'

/** What becomes of a row that cannot be predicted. */
type OnError = 'stop' | 'skip' | 'blank'

type OutputFormat = 'csv' | 'tsv' | 'jsonLines'

interface PredictOptions {
  readonly inputFormat?: DataFormat
  readonly outputFormat?: OutputFormat
  readonly probabilities?: boolean
  readonly keep?: readonly string[]
  readonly keepAll?: boolean
  readonly onError: OnError
  readonly out?: string
  readonly batchSize: number
  readonly threads?: number
  readonly executor?: 'native' | 'reference'
}

export const define: DefineCommand = (command, context) => {
  command
    .description(
      'Predicts a row for each row of the data, in order. Columns may stand in any order; columns that the model does not know, and the one it predicts, are not looked at. ' +
        'Rows flow through: memory does not grow with their number.',
    )
    .argument('<model>', 'a model that thalweg train has saved')
    .argument('[data]', 'the file of rows; - for standard input', STDIN)
    .optionsGroup('Rows in:')
    .addOption(
      new Option('--input-format <format>', 'how rows are written (default: by their first bytes and the name of the file)').choices([
        'csv',
        'tsv',
        'jsonLines',
        'parquet',
        'arrow',
      ]),
    )
    .addOption(
      new Option('--on-error <what>', 'a row that cannot be predicted: stop; skip: leave it out; blank: answer with nothing')
        .choices(['stop', 'skip', 'blank'])
        .default('stop'),
    )
    .optionsGroup('Answers out:')
    .option('-o, --out <file>', 'write to a file, which is there as a whole or not at all (default: standard output)')
    .addOption(
      new Option('--output-format <format>', 'how answers are written (default: as the rows, or csv)').choices(['csv', 'tsv', 'jsonLines']),
    )
    .option('--probabilities', 'of classes: the probability of each, not of the predicted one only (default: off)')
    .option('--keep <names>', 'columns of the rows to write before the prediction, with commas between them (default: none)', names)
    .option('--keep-all', 'all columns of the rows before the prediction (default: off)')
    .optionsGroup('Running:')
    .option('--batch-size <rows>', 'rows predicted together', integer(1), 1024)
    .addOption(threadsOption())
    .addOption(executorOption())
    .addHelpText(
      'after',
      `
A prediction whose name a kept column has is written as predicted_NAME.

Examples:
  thalweg predict houses.safetensors new-houses.csv > prices.csv
  cat mails.jsonl | thalweg predict spam.safetensors --keep id --probabilities
  thalweg predict churn.safetensors customers.parquet --keep-all --on-error blank -o answers.csv`,
    )
    .action((model: string, data: string, options: PredictOptions) => predict(context(), model, data, options))
}

async function predict(context: Context, path: string, data: string, options: PredictOptions): Promise<void> {
  const { streams, output, signal } = context
  const { out, onError, keep = [], keepAll = false, probabilities = false, batchSize, threads, executor } = options
  if (keepAll && keep.length > 0) throw new UsageError('--keep and --keep-all exclude each other; leave one of them out.')
  for (const other of [path, data])
    if (out !== undefined && resolve(out) === resolve(other))
      throw new UsageError(`--out ${out} would replace what is read; choose another file.`)

  const model = await loadTabular(path, definedOf({ threads, executor, signal }))
  if (probabilities && model.schema.outputs.every(({ classes }) => classes === null))
    throw new OptionError(
      `--probabilities is for classes, and the model predicts ${model.schema.schema.targets.join(', ')}, which is none.`,
    )
  if (data === STDIN && (streams.stdin as { isTTY?: boolean }).isTTY) output.note('Rows are read from the terminal; Ctrl+D ends them.')

  const columns: { names: readonly string[] | null } = { names: null }
  const { format, rows } = await openData(
    data === STDIN ? Object.assign(streams.stdin, { path: 'standard input' }) : data,
    definedOf({ format: options.inputFormat }),
    {
      onColumns(given, place) {
        model.schema.checkHeader(place, given)
        for (const name of keep) if (!given.includes(name)) throw unknownColumn(`${place}: --keep`, name, given)
        columns.names = given
      },
      ...(onError !== 'stop' && { broken: (error: DataError) => new BrokenRow(error) }),
    },
    signal,
  )
  const outputFormat = options.outputFormat ?? (output.json ? 'jsonLines' : outputFormatFor(format))
  const writer = writerFor(outputFormat, model, { keep: keepAll ? 'all' : keep, probabilities })
  const answers = new Answers(model, writer, onError)
  const texts = answers.of(rows.prefetch(2 * batchSize).pass({ signal }), batchSize, () => columns.names)
  if (out === undefined) for await (const text of texts) await writeAll(streams.stdout, text)
  else await writeAtomically('predict', out, texts, { signal })

  if (answers.failed > 0) {
    const what = onError === 'skip' ? 'left out' : 'left blank'
    const { message } = answers.firstError as Error
    streams.stderr.write(
      `thalweg predict: ${answers.failed} of ${counted(answers.seen, 'row')} could not be predicted and ${answers.failed === 1 ? 'was' : 'were'} ${what}; the first: ${message}\n`,
    )
  }
  if (out !== undefined) output.note(`${counted(answers.seen, 'row')}: ${out}`)
}

const outputFormatFor = (format: DataFormat): OutputFormat => (format === 'jsonLines' || format === 'tsv' ? format : 'csv')

function writerFor(format: OutputFormat, { schema }: TabularModel, options: AnswerOptions): AnswerWriter {
  return format === 'jsonLines' ? new JsonLinesWriter(schema, options) : new CsvWriter(schema, options, format === 'tsv' ? '\t' : ',')
}

/** Stands for a row that could not be read. */
class BrokenRow {
  readonly error: DataError

  constructor(error: DataError) {
    this.error = error
  }
}

/** Predicts rows chunk by chunk, and counts them. */
class Answers {
  seen = 0
  failed = 0
  firstError: Error | null = null
  private readonly target: BatchPredictor<Row | BrokenRow, Answer>
  private readonly writer: AnswerWriter
  private readonly onError: OnError

  constructor(model: TabularModel, writer: AnswerWriter, onError: OnError) {
    this.writer = writer
    this.onError = onError
    const readable = (row: Row | BrokenRow): Row => {
      if (row instanceof BrokenRow) throw row.error
      return row
    }
    this.target = {
      predictRows: async (rows) => model.predictRows(rows.map(readable)),
      checkRow: (row, where) => model.checkRow(readable(row), where),
    }
  }

  /** @param names The columns of the rows, if the file has told them when its first rows come. */
  async *of(
    chunks: AsyncIterable<Chunk<Row>>,
    batchSize: number,
    names: () => readonly string[] | null,
  ): AsyncGenerator<string, void, undefined> {
    let isFirst = true
    for await (const chunk of chunks) {
      for (let start = 0; start < chunk.items.length; start += batchSize) {
        const batch = sliceChunk(chunk, start, start + batchSize)
        if (isFirst) yield this.writer.head(names() ?? Object.keys(batch.items.find((row) => !(row instanceof BrokenRow)) ?? {}))
        isFirst = false
        yield* this.predict(batch)
      }
    }
    if (isFirst) yield this.writer.head(names() ?? [])
  }

  private async *predict({ items, place }: Chunk<Row>): AsyncGenerator<string, void, undefined> {
    const found = await outcomes(this.target, items, place)
    let text = ''
    for (let i = 0; i < items.length; i++) {
      const outcome = found[i]
      this.seen++
      if ('result' in outcome) {
        text += this.writer.line(items[i], outcome.result)
        continue
      }
      this.failed++
      this.firstError ??= outcome.error
      if (this.onError === 'stop') {
        // What stands before it is answered.
        if (text !== '') yield text
        throw outcome.error
      }
      if (this.onError === 'blank') text += this.writer.line(items[i] instanceof BrokenRow ? {} : items[i], null)
    }
    if (text !== '') yield text
  }
}
