/** What stands on the page, in the order in which one reads it. A section says nothing of data that are not there. */
import type { Point, ReportData, TrainingSummary } from '../data.ts'
import { element, scroll, table } from './elements.ts'
import type { FigureContent, Series } from './figure.ts'
import { countText, durationText, headline, metricText, numberText, percentText, roundText, scoreText } from './words.ts'

/** Gives the figure of that name with new content; the same one at each call. */
export type Figures = (name: string, content: FigureContent) => HTMLElement

export interface Section {
  readonly id: string
  /** The heading; none for the first. */
  readonly title: string | null
  /** The parts of the report it reads: when one of them changes it is made again. */
  readonly reads: readonly (keyof ReportData)[]
  /** Its elements; none if there is nothing to say. */
  readonly make: (data: ReportData, figures: Figures) => Node[]
}

const MOST_CLASSES_SHOWN = 50

const paragraph = (text: string) => element('p', {}, text)

/** The rows of a table that has to stay readable. */
function few<T>(rows: readonly T[], most = 60): readonly T[] {
  if (rows.length <= most) return rows
  return Array.from({ length: most }, (_, i) => rows[Math.round((i * (rows.length - 1)) / (most - 1))])
}

const spansMuch = (points: readonly Point[]) => {
  const values = points.map(([, y]) => y)
  const low = Math.min(...values)
  return low > 0 && Math.max(...values) / low > 10
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

function makeTraining({ training }: ReportData, figures: Figures): Node[] {
  if (!training) return []
  const names = Object.keys(training.curves)
  const validationOf = (name: string) => `validation${name.charAt(0).toUpperCase()}${name.slice(1)}`
  const validations = new Set(names.map(validationOf).filter((name) => names.includes(name)))
  const charts = names
    .filter((name) => !validations.has(name) && training.curves[name].length > 0)
    .map((name) => figures(`curve ${name}`, curveOf(training, name, validationOf(name))))
  const { stepLosses, learningRates } = training
  if (stepLosses.length > 1) {
    charts.push(
      figures('steps', {
        title: 'Loss of each step',
        text: 'The loss of single batches. It jumps from batch to batch; what counts is where its lower edge goes, and that there are no sudden peaks.',
        x: 'step',
        y: 'loss',
        bounds: { x: rangeOf(fromOne(stepLosses)) },
        series: [{ label: 'loss of a step', points: fromOne(stepLosses), color: 'second' }],
        isLogarithmic: spansMuch(stepLosses),
        table: tableOf('step', ['loss'], [fromOne(stepLosses)]),
      }),
    )
  }
  if (learningRates.length > 1) {
    const rates = learningRates.map(([, rate]) => rate)
    const isConstant = Math.min(...rates) === Math.max(...rates)
    charts.push(
      figures('rates', {
        title: 'Learning rate',
        text: isConstant
          ? `It was ${numberText(rates[0])} in all steps.`
          : 'How large the steps were that the optimizer was allowed to take.',
        x: 'step',
        y: 'learning rate',
        series: [{ label: 'learning rate', points: fromOne(learningRates), color: 'first' }],
        bounds: { x: rangeOf(fromOne(learningRates)), ...(isConstant && { y: [0, 2 * rates[0] || 1] as const }) },
        table: tableOf('step', ['learning rate'], [fromOne(learningRates)]),
      }),
    )
  }
  return [paragraph(trainingText(training)), element('div', { class: 'progress' }, progressOf(training)), grid('curves', charts)]
}

/** The same grid at each call, so that its charts stay where they are. */
const grids = new Map<string, HTMLElement>()
function grid(name: string, figures: readonly HTMLElement[]): HTMLElement {
  const found = grids.get(name) ?? element('div', { class: 'grid' })
  grids.set(name, found)
  if (figures.length !== found.children.length || figures.some((figure, i) => found.children[i] !== figure))
    found.replaceChildren(...figures)
  return found
}

/** From the first x to the last. */
const rangeOf = (points: readonly Point[]): readonly [number, number] => {
  const [first, last] = [points[0][0], points[points.length - 1][0]]
  return [first, last > first ? last : first + 1]
}

const fromOne = (points: readonly Point[]) => points.map(([x, y]): Point => [x + 1, y])

function trainingText({ state, curves, stopped, epochs, completed, bestEpoch, seconds, rowsPerSecond }: TrainingSummary): string {
  const of = epochs === null || epochs === completed ? '' : ` of ${numberText(epochs)}`
  const speed = rowsPerSecond ? `, ${roundText(rowsPerSecond)} rows a second` : ''
  const best =
    bestEpoch === null
      ? ''
      : ` The lowest ${curves.validationLoss ? 'validation ' : ''}loss${state === 'running' ? ' so far' : ''}: epoch ${numberText(bestEpoch + 1)}.`
  if (state === 'running') return `Training: ${numberText(completed)}${of} epochs done in ${durationText(seconds)}${speed}.${best}`
  const end =
    state === 'failed'
      ? ` It was ended by an error: ${stopped ?? 'unknown'}`
      : stopped && stopped !== 'completed'
        ? ` It was ended by ${stopped}.`
        : ''
  return `Trained for ${numberText(completed)}${of} epochs in ${durationText(seconds)}${speed}.${best}${end}`
}

function progressOf({ state, epochs, completed, stepsPerEpoch, stepLosses }: TrainingSummary): Node {
  if (state !== 'running' || epochs === null) return document.createTextNode('')
  const step = stepLosses[stepLosses.length - 1]?.[0] ?? 0
  const value = stepsPerEpoch === null ? completed : (step + 1) / stepsPerEpoch
  return element('progress', { max: epochs, value: Math.min(value, epochs), 'aria-label': 'Progress of the training' })
}

function curveOf({ curves, bestEpoch }: TrainingSummary, name: string, validation: string): FigureContent {
  const training = fromOne(curves[name])
  const held = curves[validation] === undefined ? null : fromOne(curves[validation])
  const shown = held ?? training
  const best = bestEpoch === null ? undefined : shown.find(([epoch]) => epoch === bestEpoch + 1)
  const word = metricText(name)
  const series: Series[] = [
    { label: 'training', points: training, color: 'second' },
    ...(held ? [{ label: 'validation', points: held, color: 'first' } as const] : []),
    ...(best
      ? [
          {
            label: `lowest${held ? ' validation' : ''} loss: epoch ${best[0]}`,
            points: [best],
            color: held ? 'first' : 'second',
            as: 'mark',
          } as const,
        ]
      : []),
  ]
  return {
    title: `${word} by epoch`,
    text: held
      ? `${word} on the training rows and on rows held out for validation. Where validation becomes worse while training goes on to become better, the network learns the training rows by heart. The circle is the epoch with the lowest validation loss.`
      : `${word} on the training rows. There were no validation rows, so this says nothing about rows the network has not seen.`,
    x: 'epoch',
    bounds: { x: rangeOf(training) },
    y: word.toLowerCase() === 'r²' ? 'R²' : word.toLowerCase(),
    series,
    isLogarithmic: spansMuch([...training, ...(held ?? [])]),
    table: tableOf('epoch', ['training', ...(held ? ['validation'] : [])], [training, ...(held ? [held] : [])]),
  }
}

/** Curves over the same x side by side; where they were thinned apart, with gaps. */
function tableOf(x: string, names: readonly string[], curves: readonly (readonly Point[])[]): FigureContent['table'] {
  const values = curves.map((curve) => new Map(curve))
  const all = [...new Set(curves.flatMap((curve) => curve.map(([at]) => at)))].sort((a, b) => a - b)
  return {
    head: [x, ...names],
    rows: few(all).map((at) => [numberText(at), ...values.map((curve) => numberText(curve.get(at)))]),
  }
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

function makeErrors({ results, target = 'target', task }: ReportData, figures: Figures): Node[] {
  if (!results) return []
  const { residuals, confusion, classes, roc, precisionRecall } = results
  const charts: HTMLElement[] = []
  const nodes: Node[] = []
  if (residuals) {
    const { points, histogram, quantiles } = residuals
    const all = points.flat()
    const [low, high] = [Math.min(...all), Math.max(...all)]
    charts.push(
      figures('residuals', {
        title: 'Predicted and true',
        text: `Each dot is a row${points.length < results.rows ? ` (${numberText(points.length)} of ${numberText(results.rows)})` : ''}: to the right its true ${target}, upwards what the network said. On the dashed line it was exactly right.`,
        x: `true ${target}`,
        y: `predicted ${target}`,
        series: [
          { label: 'a row', points, color: 'first', as: 'points' },
          {
            label: 'exactly right',
            points: [
              [low, low],
              [high, high],
            ],
            color: 'muted',
            as: 'dashes',
          },
        ],
        isSquare: true,
        table: { head: ['true', 'predicted'], rows: few(points).map((point) => point.map((value) => numberText(value))) },
      }),
    )
    charts.push(
      figures('histogram', {
        title: 'How far off',
        text: 'How many rows are off by how much (predicted − true). A peak at 0 with even slopes is good; a peak beside it is a prediction that is always too high or too low. The outermost bars hold all that are farther off.',
        x: 'predicted − true',
        y: 'rows',
        series: [],
        bars: { range: [histogram.low, histogram.high], heights: histogram.counts },
        isSquare: true,
        table: {
          head: ['share of rows', 'off by at most'],
          rows: quantiles.map(({ share, size }) => [percentText(share), roundText(size)]),
        },
      }),
    )
  }
  if (confusion) nodes.push(...confusionTable(confusion))
  if (classes) {
    const least = classes.map(({ support }) => support).sort((a, b) => b - a)[MOST_CLASSES_SHOWN] ?? -1
    const shown = classes.filter(({ support }) => support > least).slice(0, MOST_CLASSES_SHOWN)
    nodes.push(
      element('h3', {}, 'Each class'),
      paragraph(
        `Precision: how often it is right when it says so. Recall: how many of those that are so it finds. F1 is between the two${shown.length < classes.length ? `. The ${shown.length} most frequent of ${classes.length} classes` : ''}.`,
      ),
      table(
        'Scores of each class',
        ['class', 'precision', 'recall', 'F1', 'rows'],
        shown.map(({ name, precision, recall, f1, support }) => [
          name,
          percentText(precision),
          percentText(recall),
          f1.toFixed(3),
          numberText(support),
        ]),
      ),
    )
  }
  if (task === 'binary' && roc) charts.push(figures('roc', rocFigure(roc, results.labels)))
  if (task === 'binary' && precisionRecall) charts.push(figures('precisionRecall', precisionRecallFigure(precisionRecall, results.labels)))
  return charts.length > 0 ? [...nodes, grid('errors', charts)] : nodes
}

function confusionTable({ labels, counts }: NonNullable<NonNullable<ReportData['results']>['confusion']>): Node[] {
  const mistakes = counts
    .flatMap((row, i) => row.map((count, j) => ({ count, from: labels[i], to: labels[j], isMistake: i !== j })))
    .filter(({ count, isMistake }) => isMistake && count > 0)
    .sort((a, b) => b.count - a.count)
  const [worst] = mistakes
  const cells = counts.map((row, i) => {
    const total = row.reduce((sum, count) => sum + count, 0)
    return element(
      'tr',
      {},
      element('th', { scope: 'row' }, labels[i]),
      ...row.map((count, j) => {
        const share = total === 0 ? 0 : count / total
        const cell = element('td', { class: i === j ? 'right' : 'wrong' }, numberText(count))
        // Mistakes are rare: their roots are seen better.
        cell.style.setProperty('--share', String(i === j ? share : Math.sqrt(share)))
        cell.title = `${labels[i]} taken for ${labels[j]}: ${numberText(count)} (${percentText(share)} of its rows)`
        return cell
      }),
    )
  })
  return [
    element('h3', {}, 'What was taken for what'),
    paragraph(
      `A row for each true class, a column for each predicted one: on the diagonal the network is right. ${worst ? `Most often “${worst.from}” was taken for “${worst.to}” (${countText(worst.count, 'time')}).` : 'It made no mistake.'}`,
    ),
    scroll(
      'Confusion matrix',
      element(
        'table',
        { class: 'confusion' },
        element(
          'thead',
          {},
          element('tr', {}, element('td'), element('th', { scope: 'colgroup', colspan: labels.length }, 'predicted')),
          element('tr', {}, element('th', { scope: 'col' }, 'true'), ...labels.map((label) => element('th', { scope: 'col' }, label))),
        ),
        element('tbody', {}, ...cells),
      ),
    ),
  ]
}

type Results = NonNullable<ReportData['results']>

const UNIT = { x: [0, 1], y: [0, 1] } as const

function rocFigure({ points, area }: NonNullable<Results['roc']>, labels?: readonly string[]): FigureContent {
  const yes = labels?.[1] ?? '1'
  return {
    title: 'Found and false alarms (ROC)',
    text: `Which share of “${yes}” is found (upwards) for which share of the others that is taken along by mistake (to the right), for every threshold. The closer to the upper left corner the better; chance is the dashed line. The area below is ${roundText(area)}.`,
    x: 'false alarms',
    y: 'found',
    bounds: UNIT,
    series: [
      { label: 'network', points, color: 'first' },
      {
        label: 'chance',
        points: [
          [0, 0],
          [1, 1],
        ],
        color: 'muted',
        as: 'dashes',
      },
    ],
    isSquare: true,
    table: { head: ['false alarms', 'found'], rows: few(points).map((point) => point.map((value) => numberText(value, 3))) },
  }
}

function precisionRecallFigure({ points, area, base }: NonNullable<Results['precisionRecall']>, labels?: readonly string[]): FigureContent {
  const yes = labels?.[1] ?? '1'
  return {
    title: 'Precision and recall',
    text: `How often it is right when it says “${yes}” (upwards) for which share of them it finds (to the right). Better than the ROC curve where “${yes}” is rare; the dashed line is chance, ${percentText(base)}. The average precision is ${roundText(area)}.`,
    x: 'recall: found',
    y: 'precision: right',
    bounds: UNIT,
    series: [
      { label: 'network', points, color: 'first' },
      {
        label: 'chance',
        points: [
          [0, base],
          [1, base],
        ],
        color: 'muted',
        as: 'dashes',
      },
    ],
    isSquare: true,
    table: { head: ['recall', 'precision'], rows: few(points).map((point) => point.map((value) => numberText(value, 3))) },
  }
}

function makeCalibration({ results, task }: ReportData, figures: Figures): Node[] {
  const calibration = results?.calibration
  if (!results || !calibration) return []
  const { predicted, observed, counts } = calibration
  const error = predicted.reduce((sum, value, i) => sum + (counts[i] / results.rows) * Math.abs(value - observed[i]), 0)
  const tenths = new Array<number>(10).fill(0)
  predicted.forEach((value, i) => (tenths[Math.min(Math.max(Math.ceil(value * 10) - 1, 0), 9)] += counts[i]))
  const what = task === 'binary' ? `“${results.labels?.[1] ?? '1'}”` : 'the class it names'
  return [
    grid('calibration', [
      figures('calibration', {
        title: 'Said and happened',
        text: `Rows with similar probabilities together: to the right how probable the network called ${what}, upwards how often it was so. On the dashed line a probability means what it says; below it the network promises too much. On average the two differ by ${percentText(error)}.`,
        x: 'probability the network gave',
        y: 'share that was so',
        bounds: UNIT,
        series: [
          { label: 'network', points: predicted.map((value, i): Point => [value, observed[i]]), color: 'first' },
          { label: '', points: predicted.map((value, i): Point => [value, observed[i]]), color: 'first', as: 'mark' },
          {
            label: 'as it says',
            points: [
              [0, 0],
              [1, 1],
            ],
            color: 'muted',
            as: 'dashes',
          },
        ],
        isSquare: true,
        table: {
          head: ['probability', 'share', 'rows'],
          rows: predicted.map((value, i) => [percentText(value), percentText(observed[i]), numberText(counts[i])]),
        },
      }),
      figures('sureness', {
        title: 'How sure it is',
        text: 'How many rows got which probability. A circle of the other chart that stands for few rows says little.',
        x: 'probability the network gave',
        y: 'rows',
        series: [],
        bars: { range: [0, 1], heights: tenths },
        isSquare: true,
        table: { head: ['probability', 'rows'], rows: counts.map((count, i) => [percentText(predicted[i]), numberText(count)]) },
      }),
    ]),
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
