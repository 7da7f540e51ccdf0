/** What stands on the page, in the order in which one reads it. A section says nothing of data that are not there. */
import type { ReportData } from '../reportData.ts'
import { element, paragraph, scroll, table } from './elements.ts'
import { makeCalibration, makeErrors } from './errors.ts'
import type { Figures } from './figure.ts'
import { makeTraining } from './training.ts'
import { countText, headline, metricText, numberText, percentText, roundText, scoreText } from './words.ts'

export interface Section {
  readonly id: string
  /** The heading; none for the first. */
  readonly title: string | null
  /** The parts of the report it reads: when one of them changes it is made again. */
  readonly reads: readonly (keyof ReportData)[]
  /** Its elements; none if there is nothing to say. */
  readonly make: (data: ReportData, figures: Figures) => Node[]
}

export const sections: readonly Section[] = [
  { id: 'scores', title: null, reads: ['task', 'target', 'results', 'warnings'], make: makeScores },
  { id: 'training', title: 'Training', reads: ['training'], make: makeTraining },
  { id: 'importance', title: 'What matters', reads: ['importance'], make: makeImportance },
  { id: 'errors', title: 'Where it errs', reads: ['results', 'target', 'task'], make: makeErrors },
  { id: 'calibration', title: 'How far its probabilities can be trusted', reads: ['results', 'task'], make: makeCalibration },
  { id: 'data', title: 'Data', reads: ['data'], make: makeData },
  { id: 'network', title: 'Network', reads: ['network'], make: makeNetwork },
  { id: 'configuration', title: 'Configuration', reads: ['configuration'], make: makeConfiguration },
]

function makeScores(data: ReportData): Node[] {
  const { results, warnings } = data
  const [first, ...others] = headline(data)
  return [
    ...(first ? [element('p', { class: 'headline' }, first)] : []),
    ...others.map(paragraph),
    ...(results
      ? [
          element(
            'dl',
            { class: 'scores' },
            ...results.scores.map((score) =>
              element('div', {}, element('dt', {}, metricText(score.name)), element('dd', {}, scoreText(score))),
            ),
          ),
        ]
      : []),
    ...(warnings?.length
      ? [
          element(
            'div',
            { class: 'warnings', role: 'note' },
            element('strong', {}, warnings.length === 1 ? 'A warning' : `${warnings.length} warnings`),
            element('ul', {}, ...warnings.map((text) => element('li', {}, text))),
          ),
        ]
      : []),
  ]
}

function makeImportance({ importance }: ReportData): Node[] {
  if (!importance || importance.columns.length === 0) return []
  const { metric, score, columns } = importance
  const word = metricText(metric)
  const most = Math.max(...columns.map(({ importance: value, spread }) => Math.max(0, value) + spread), Number.MIN_VALUE)
  const shown = columns.slice(0, 15)
  const others = columns.slice(15)
  const digits = Math.min(Math.max(0, 2 - Math.floor(Math.log10(most))), 9)
  const rows = (list: typeof columns) =>
    list.map(({ name, importance: value, spread }) => {
      const bar = element('div', { class: 'bar', 'aria-hidden': 'true' }, element('div'))
      ;(bar.firstElementChild as HTMLElement).style.width = `${(Math.max(0, value) / most) * 100}%`
      const worth = value.toFixed(digits).replace('-', '−')
      return [name, bar, element('span', {}, worth, ' ', element('span', { class: 'spread' }, `± ${spread.toFixed(digits)}`))]
    })
  const head = ['column', '', `loss of ${word === 'R²' || word === 'AUC' || word === 'F1' ? word : word.toLowerCase()}`]
  const tableOfRows = (list: typeof columns) => {
    const made = table('Importance of the columns', head, rows(list))
    made.classList.add('importance')
    return made
  }
  return [
    paragraph(
      `How much worse the score (${word}, ${roundText(score)} on held-out rows) becomes when one column is shuffled, so that it says nothing any more: the longer the bar, the more the network relies on the column. Columns that say the same share their importance. ± is the spread over repetitions.`,
    ),
    tableOfRows(shown),
    ...(others.length > 0
      ? [element('details', {}, element('summary', {}, `${countText(others.length, 'column')} that matter less`), tableOfRows(others))]
      : []),
  ]
}

function makeData({ data }: ReportData): Node[] {
  if (!data) return []
  const { rows, columns } = data
  const incomplete = columns.filter(({ missing }) => missing > 0).length
  return [
    paragraph(
      `${countText(rows, 'row')} with ${countText(columns.length, 'column')}; ${incomplete === 0 ? 'no value is missing' : `${countText(incomplete, 'column has', 'columns have')} missing values`}.`,
    ),
    table(
      'The columns of the data',
      ['column', 'kind', ...(incomplete > 0 ? ['missing'] : []), 'values', ''],
      columns.map(({ name, kind, missing, distinct, minimum, maximum, mean, histogram, top }) => [
        name,
        kind,
        ...(incomplete > 0 ? [missing === 0 ? '' : percentText(missing / rows)] : []),
        histogram
          ? `${numberText(minimum)} to ${numberText(maximum)}, mean ${numberText(mean)}`
          : `${distinct === undefined ? 'very many' : numberText(distinct)} different: ${(top ?? []).map(({ value, count }) => `${value} (${percentText(count / rows)})`).join(', ')}`,
        histogram ? bars(histogram.counts) : '',
      ]),
      false,
    ),
  ]
}

/** A histogram the size of a word. */
function bars(counts: readonly number[]): SVGElement {
  const [width, height] = [96, 24]
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg')
  svg.setAttribute('viewBox', `0 0 ${width} ${height}`)
  svg.setAttribute('width', String(width))
  svg.setAttribute('height', String(height))
  svg.setAttribute('aria-hidden', 'true')
  const most = Math.max(...counts, 1)
  counts.forEach((count, i) => {
    const bar = document.createElementNS(svg.namespaceURI, 'rect')
    const tall = count === 0 ? 0 : Math.max(1, (count / most) * height)
    const values = { x: (i * width) / counts.length, y: height - tall, width: width / counts.length - 0.5, height: tall }
    for (const [name, value] of Object.entries(values)) bar.setAttribute(name, value.toFixed(2))
    svg.append(bar)
  })
  return svg
}

function makeNetwork({ network }: ReportData): Node[] {
  return network ? [scroll('The layers of the network', element('pre', {}, network))] : []
}

function makeConfiguration({ configuration }: ReportData): Node[] {
  const entries = Object.entries(configuration ?? {})
  if (entries.length === 0) return []
  return [
    table(
      'Configuration',
      ['option', 'value'],
      entries.map(([name, value]) => [name, typeof value === 'number' ? String(value) : String(value ?? '–')]),
      false,
    ),
  ]
}
