/** Tables and blocks of text that people read. */
import Table from 'cli-table3'
import type { Schema } from '../data/schema/schema.ts'
import { headline, metricText, numberText, percentText, scoreText } from '../report/page/words.ts'
import type { ReportData } from '../report/reportData.ts'
import type { TableEvaluation } from '../tabular/evaluation.ts'

const noBorders = Object.fromEntries(
  [
    'top',
    'top-mid',
    'top-left',
    'top-right',
    'bottom',
    'bottom-mid',
    'bottom-left',
    'bottom-right',
    'left',
    'left-mid',
    'mid',
    'mid-mid',
    'right',
    'right-mid',
    'middle',
  ].map((name) => [name, name === 'middle' ? '  ' : '']),
)

/** Text in columns, without lines. @param numbers Which columns hold numbers. */
export function textTable(
  rows: readonly (readonly string[])[],
  { head, numbers = [] }: { head?: readonly string[]; numbers?: readonly number[] } = {},
): string {
  const width = Math.max(0, ...rows.map((row) => row.length))
  const table = new Table({
    ...(head && { head: [...head] }),
    chars: noBorders,
    colAligns: Array.from({ length: width }, (_, i) => (numbers.includes(i) ? 'right' : 'left')),
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  })
  for (const row of rows) table.push(row.map(printable))
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')
}

/** Data must not steer the terminal. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it is about.
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (character) => (character === '\t' ? ' ' : '�'))
}

/** More columns than this are counted by kind. */
const MOST_COLUMNS = 40

/** What the columns are taken for, and why. */
export function columnsText(schema: Schema): string {
  const lines = schema
    .describe()
    .split('\n')
    .filter((line) => !line.startsWith('Warning: '))
  if (lines.length <= MOST_COLUMNS) return lines.map((line) => `  ${printable(line)}`).join('\n')
  const kinds = new Map<string, string[]>()
  for (const [name, { role, kind }] of schema.columns) {
    const label = role === 'target' ? 'target' : kind
    kinds.set(label, [...(kinds.get(label) ?? []), name])
  }
  return textTable(
    [...kinds].map(([kind, names]) => [`  ${kind}`, String(names.length), namesText(names)]),
    { numbers: [1] },
  )
}

function namesText(names: readonly string[]): string {
  const shown = names.slice(0, 6).join(', ')
  return names.length > 6 ? `${shown} …` : shown
}

/** `price.r2Score` is "price: R²". */
export function scoreLabel(name: string): string {
  const [metric, ...target] = name.split('.').reverse()
  const label = metricText(metric)
  return target.length === 0 ? label : `${target.reverse().join('.')}: ${label}`
}

function scoreValue(name: string, value: number): string {
  return scoreText({ name: name.split('.').at(-1) ?? name, value })
}

/** Scores in one line. */
export function scoresLine(evaluation: TableEvaluation): string {
  return Object.entries(evaluation)
    .map(([name, value]) => `${scoreLabel(name)} ${scoreValue(name, value)}`)
    .join(', ')
}

/** Scores, one a line. */
export function scoresText(evaluation: TableEvaluation): string {
  return textTable(
    Object.entries(evaluation).map(([name, value]) => [`  ${scoreLabel(name)}`, scoreValue(name, value)]),
    { numbers: [1] },
  )
}

/** What the results on rows that the network has not seen say in sentences, and for classes the confusion matrix. */
export function resultsText(report: Omit<ReportData, 'title'>): string {
  const matrix = confusionText(report)
  return [...headline({ title: '', ...report }).map((line) => `  ${line}`), ...(matrix === '' ? [] : ['', matrix])].join('\n')
}

const MOST_CLASSES = 12

/** True classes by predicted ones; nothing for numbers, and for more classes than can be read. */
export function confusionText({ results }: Pick<ReportData, 'results'>): string {
  const { confusion, classes } = results ?? {}
  if (confusion === undefined || confusion.labels.length > MOST_CLASSES) return ''
  const { labels, counts } = confusion
  const rows = counts.map((row, i) => [
    `  ${labels[i]}`,
    ...row.map((count) => numberText(count)),
    percentText(classes?.find(({ name }) => name === labels[i])?.recall),
  ])
  return textTable(rows, {
    head: ['  true \\ predicted', ...labels, 'found'],
    numbers: [...labels.keys(), labels.length].map((i) => i + 1),
  })
}

/** A line for each fold, and their mean. */
export function foldsText(folds: readonly TableEvaluation[], mean: TableEvaluation): string {
  const names = Object.keys(mean)
  const row = (title: string, values: TableEvaluation) => [`  ${title}`, ...names.map((name) => scoreValue(name, values[name]))]
  return textTable([...folds.map((values, i) => row(`fold ${i + 1}`, values)), row('mean', mean)], {
    head: ['', ...names.map(scoreLabel)],
    numbers: names.map((_, i) => i + 1),
  })
}
