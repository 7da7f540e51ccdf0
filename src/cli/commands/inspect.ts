/** `thalweg inspect`: what a file holds. */
import { counted } from '../../errors.ts'
import { formatBytes } from '../../memory.ts'
import { numberText } from '../../report/page/words.ts'
import type { TableEvaluation } from '../../tabular/evaluation.ts'
import type { Context, DefineCommand } from '../command.ts'
import { type Contents, contentsOf, type StoredColumn } from '../fileContents.ts'
import { printable, scoresText, textTable } from '../text.ts'

interface InspectOptions {
  readonly tensors?: boolean
}

export const define: DefineCommand = (command, context) => {
  command
    .description(
      'Says what is in a model file: layers, columns with their statistics, how it was trained and what it scored. Of any other safetensors file, its tensors and metadata. Nothing in a file is executed.',
    )
    .argument('<file>', 'a .safetensors file, of thalweg or of another program')
    .option('--tensors', 'list the tensors of a model too (default: those of files without a model)')
    .addHelpText(
      'after',
      `
Examples:
  thalweg inspect houses.safetensors
  thalweg inspect weights-of-pytorch.safetensors
  thalweg inspect houses.safetensors --json | jq .evaluation`,
    )
    .action((path: string, options: InspectOptions) => inspect(context(), path, options))
}

async function inspect({ output, signal }: Context, path: string, options: InspectOptions): Promise<void> {
  const contents = await contentsOf('inspect', path, signal)
  const { model, notes } = contents
  output.event({ type: 'result', file: path, ...asJson(contents) })
  const sections = [
    ['', overview(path, contents)],
    ['Layers', model?.summary().trimEnd()],
    [`Columns, fitted to ${counted(contents.table?.schema.rows ?? 0, 'row')}`, columnsText(contents)],
    ['Training', historyText(notes.get('thalweg.history'))],
    ['Scores', evaluationText(notes.get('thalweg.evaluation'))],
    ['Notes', notesText(contents)],
    ['Tensors', options.tensors || model === null ? tensorsText(contents) : ''],
  ].filter(([, text]) => text)
  output.result(sections.map(([title, text]) => (title === '' ? text : `${output.style('bold', title as string)}\n${text}`)).join('\n\n'))
}

/** Notes that have a section of their own. */
const shown = ['thalweg.history', 'thalweg.evaluation']

function overview(path: string, { bytes, tensors, model, description, table }: Contents): string {
  const size = `${path}: ${formatBytes(bytes)}, ${counted(tensors.length, 'tensor')}`
  if (model === null || description === null) return `${size}, no model of thalweg`
  const what =
    table === null
      ? 'A model without a schema: it takes numbers, not rows.'
      : `A model for rows: predicts ${table.schema.schema.targets.join(', ')}.`
  const { thalweg, seed, step } = description
  return `${size}\n${what}\nWritten by thalweg ${printable(String(thalweg))}; seed ${seed}; trained for ${counted(step, 'step')}.`
}

function columnsText({ columns }: Contents): string {
  if (columns.length === 0) return ''
  return textTable(
    columns.map((column) => [column.name, column.role === 'target' ? `target, ${column.kind}` : column.kind, statisticsText(column)]),
    { head: ['name', 'kind', 'values'] },
  )
}

/** In the words of its kind. */
function statisticsText({ fitted }: StoredColumn): string {
  const { missing, time, min, max, mean, values, classes, counts, yes, no, texts, terms, means } = fitted as Readonly<Record<string, never>>
  const parts: string[] = []
  const day = (milliseconds: number) => new Date(milliseconds).toISOString().slice(0, 10)
  if (time !== undefined) parts.push(`${day((time as { min: number }).min)} … ${day((time as { max: number }).max)}`)
  else if (min !== undefined) parts.push(`${numberText(min)} … ${numberText(max)}, mean ${numberText(mean)}`)
  else if (yes !== undefined) parts.push(`yes ${numberText(yes)}, no ${numberText(no)}`)
  else if (texts !== undefined) parts.push(`${counted(texts, 'text')}`)
  else if (means !== undefined) parts.push(`${counted((means as unknown[]).length, 'number')}`)
  const labels: readonly string[] | undefined =
    values ?? classes ?? (Array.isArray(counts) && texts === undefined ? ['no', 'yes'] : undefined)
  if (labels !== undefined) parts.push(frequencies(labels, counts))
  if (terms !== undefined) parts.push(counted((terms as unknown[]).length, 'term'))
  if ((missing ?? 0) > 0) parts.push(`${numberText(missing)} missing`)
  return parts.join(', ')
}

/** The most frequent first. */
function frequencies(labels: readonly string[], counts: readonly number[] = []): string {
  const all = labels.map((label, i) => ({ label, count: counts[i] ?? 0 })).sort((a, b) => b.count - a.count)
  const few = all.slice(0, 4).map(({ label, count }) => `${label.length > 24 ? `${label.slice(0, 24)}…` : label} ${numberText(count)}`)
  return `${all.length > few.length ? `${all.length} of them: ` : ''}${few.join(', ')}${all.length > few.length ? ', …' : ''}`
}

/** The first and the last epoch, and some between. */
function historyText(history: unknown): string {
  if (!Array.isArray(history) || history.length === 0 || !history.every((values) => typeof values === 'object' && values !== null))
    return ''
  const names = Object.keys(history[0])
  const most = 8
  const rows = Array.from({ length: Math.min(most, history.length) }, (_, i) =>
    history.length <= most ? i : Math.round((i * (history.length - 1)) / (most - 1)),
  )
  return textTable(
    rows.map((i) => [String(i + 1), ...names.map((name) => numberText(Number(history[i][name])))]),
    { head: ['epoch', ...names], numbers: [0, ...names.map((_, i) => i + 1)] },
  )
}

function evaluationText(evaluation: unknown): string {
  if (typeof evaluation !== 'object' || evaluation === null) return ''
  const numbers = Object.entries(evaluation).filter(([, value]) => typeof value === 'number')
  return numbers.length === 0 ? '' : scoresText(Object.fromEntries(numbers) as TableEvaluation)
}

function notesText({ notes }: Contents): string {
  const lines = [...notes].flatMap(([name, value]) => {
    if (shown.includes(name) || value === null) return []
    const text = typeof value === 'string' ? value : JSON.stringify(value)
    return [[`  ${name}`, text.length > 200 ? `${text.slice(0, 200)}…` : text]]
  })
  return lines.length === 0 ? '' : textTable(lines)
}

function tensorsText({ tensors }: Contents): string {
  return textTable(
    tensors.map(({ name, dtype, shape, begin, end }) => [name, dtype, `[${shape.join(', ')}]`, formatBytes(end - begin)]),
    { head: ['name', 'type', 'shape', 'size'], numbers: [3] },
  )
}

function asJson({ bytes, tensors, notes, model, description, table, columns }: Contents): Record<string, unknown> {
  const { 'thalweg.history': history = null, 'thalweg.evaluation': evaluation = null, ...others } = Object.fromEntries(notes)
  return {
    bytes,
    model: model && {
      version: description?.thalweg,
      seed: description?.seed,
      steps: description?.step,
      inputs: model.inputNames,
      outputs: model.outputNames,
      parameters: model.parameterCount,
    },
    schema: table && { rows: table.schema.rows, targets: table.schema.schema.targets, columns },
    history,
    evaluation,
    metadata: others,
    tensors: tensors.map(({ name, dtype, shape }) => ({ name, dtype, shape })),
  }
}
