/** Where the network errs, and how far its probabilities can be trusted. */
import type { Point, ReportData } from '../reportData.ts'
import { element, few, grid, paragraph, scroll, table } from './elements.ts'
import type { FigureContent, Figures, Series } from './figure.ts'
import { countText, numberText, percentText, roundText } from './words.ts'

const MOST_CLASSES_SHOWN = 50

/** What points are compared with. */
const dashes = (label: string, from: Point, to: Point): Series => ({ label, points: [from, to], color: 'muted', as: 'dashes' })

export function makeErrors({ results, target = 'target', task }: ReportData, figures: Figures): Node[] {
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
        series: [{ label: 'a row', points, color: 'first', as: 'points' }, dashes('exactly right', [low, low], [high, high])],
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
    series: [{ label: 'network', points, color: 'first' }, dashes('chance', [0, 0], [1, 1])],
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
    series: [{ label: 'network', points, color: 'first' }, dashes('chance', [0, base], [1, base])],
    isSquare: true,
    table: { head: ['recall', 'precision'], rows: few(points).map((point) => point.map((value) => numberText(value, 3))) },
  }
}

export function makeCalibration({ results, task }: ReportData, figures: Figures): Node[] {
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
          dashes('as it says', [0, 0], [1, 1]),
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
