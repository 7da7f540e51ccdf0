/** A chart with what must stand around it: what it shows in a sentence, and its numbers as a table. */
import {
  BarController,
  BarElement,
  Chart,
  type ChartConfiguration,
  type ChartDataset,
  Legend,
  LinearScale,
  LineController,
  LineElement,
  LogarithmicScale,
  PointElement,
  ScatterController,
  Tooltip,
} from 'chart.js'
import type { Point } from '../reportData.ts'
import { element, table } from './elements.ts'
import { numberText, roundText } from './words.ts'

Chart.register(
  BarController,
  BarElement,
  Legend,
  LinearScale,
  LineController,
  LineElement,
  LogarithmicScale,
  PointElement,
  ScatterController,
  Tooltip,
)

/** A series of a chart: a line through points, points alone, or bars. */
export interface Series {
  /** What it is called in the legend; '' leaves it out there. */
  readonly label: string
  readonly points: readonly Point[]
  /** Which of the colours of page.css. */
  readonly color: 'first' | 'second' | 'muted'
  readonly as?: 'line' | 'points' | 'dashes' | 'mark'
}

export interface FigureContent {
  readonly title: string
  /** What one sees, and how to read it. */
  readonly text: string
  readonly x: string
  readonly y: string
  readonly series: readonly Series[]
  /** The bounds of both axes, where they are known. */
  readonly bounds?: { readonly x?: readonly [number, number]; readonly y?: readonly [number, number] }
  /** Whether y spans so much that only its logarithm shows it all. */
  readonly isLogarithmic?: boolean
  /** In place of series: bars of equal width, from the first to the second of `range`. */
  readonly bars?: { readonly range: readonly [number, number]; readonly heights: readonly number[] }
  readonly isSquare?: boolean
  readonly table: { readonly head: readonly string[]; readonly rows: readonly (readonly string[])[] }
}

/** Gives the figure of that name with new content; the same one at each call. */
export type Figures = (name: string, content: FigureContent) => HTMLElement

const color = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim()

export class Figure {
  readonly element: HTMLElement
  private readonly title = element('h3')
  private readonly text = element('p')
  private readonly canvas = element('canvas', { role: 'img' })
  private readonly box = element('div', { class: 'chart' }, this.canvas)
  private readonly details = element('details', {}, element('summary', {}, 'The numbers'))
  private chart: Chart | null = null
  private content: FigureContent | null = null

  constructor() {
    this.element = element('figure', {}, element('figcaption', {}, this.title, this.text), this.box, this.details)
    this.details.addEventListener('toggle', () => this.fillTable())
  }

  show(content: FigureContent): HTMLElement {
    this.content = content
    this.title.textContent = content.title
    this.text.textContent = content.text
    this.canvas.setAttribute('aria-label', `Chart: ${content.title}. ${content.text}`)
    this.box.classList.toggle('square', content.isSquare === true)
    this.fillTable()
    // A canvas that is not on the page yet has no size.
    if (this.chart !== null) this.draw()
    return this.element
  }

  /** Draws it, in the colours of now. */
  draw(): void {
    if (this.content === null || !this.element.isConnected) return
    Chart.defaults.font.family = getComputedStyle(document.body).fontFamily
    const { data, options } = this.content.bars === undefined ? pointsChart(this.content) : barChart(this.content)
    if (this.chart === null) this.chart = new Chart(this.canvas, { type: 'scatter', data, options } as ChartConfiguration)
    else {
      this.chart.data = data
      this.chart.options = options as Chart['options']
      this.chart.update('none')
    }
  }

  destroy(): void {
    this.chart?.destroy()
  }

  private fillTable(): void {
    const [summary, old] = this.details.children
    old?.remove()
    if (!this.details.open || this.content === null) return
    const { head, rows } = this.content.table
    this.details.replaceChildren(summary, table(`The numbers of ${this.content.title}`, head, rows))
  }
}

type Parts = { data: Chart['data']; options: object }

/** Of a logarithmic axis only 1, 2 and 5 of each ten are written. */
function tickText(value: number, isLogarithmic: boolean | undefined): string | null {
  if (isLogarithmic && ![1, 2, 5].includes(Number((value / 10 ** Math.floor(Math.log10(value))).toPrecision(2)))) return null
  return numberText(value)
}

function axis(title: string, bounds?: readonly [number, number], isLogarithmic?: boolean): object {
  return {
    type: isLogarithmic ? 'logarithmic' : 'linear',
    ...(bounds && { min: bounds[0], max: bounds[1] }),
    title: { display: true, text: title, color: color('muted') },
    grid: { color: color('line') },
    border: { color: color('line') },
    ticks: {
      color: color('muted'),
      maxRotation: 0,
      autoSkipPadding: 12,
      callback: (value: number | string) => tickText(Number(value), isLogarithmic),
    },
  }
}

function common(legend: boolean): object {
  return {
    responsive: true,
    maintainAspectRatio: false,
    animation: false,
    locale: 'en-US',
    color: color('ink'),
    plugins: {
      legend: {
        display: legend,
        align: 'start',
        labels: { color: color('ink'), boxWidth: 16, boxHeight: 2, filter: ({ text }: { text: string }) => text !== '' },
        onClick: () => {},
      },
      tooltip: {
        callbacks: {
          title: () => '',
          label: ({ dataset, parsed: { x, y } }: { dataset: { label?: string }; parsed: { x: number; y: number } }) =>
            `${dataset.label ?? ''}: ${numberText(y)} at ${numberText(x)}`,
        },
      },
    },
  }
}

function pointsChart({ series, x, y, bounds, isLogarithmic }: FigureContent): Parts {
  const datasets = series.map(({ label, points, color: name, as = 'line' }): ChartDataset<'scatter'> => {
    const hasLine = as === 'line' || as === 'dashes'
    // One point alone makes no line.
    const isSeen = as === 'points' || as === 'mark' || (as === 'line' && points.length === 1)
    return {
      label,
      data: points.map(([px, py]) => ({ x: px, y: py })),
      showLine: hasLine,
      borderColor: color(name),
      backgroundColor: as === 'points' ? `${color(name)}80` : as === 'line' ? color(name) : color('paper'),
      borderWidth: as === 'points' ? 0 : points.length > 500 ? 1 : 2,
      borderDash: as === 'dashes' ? [5, 5] : [],
      pointRadius: isSeen ? (as === 'mark' ? 6 : points.length > 500 ? 2.5 : 3.5) : 0,
      pointHitRadius: as === 'dashes' ? 0 : 6,
      // A point on the edge is seen whole.
      clip: 10,
    }
  })
  return {
    data: { datasets } as Chart['data'],
    options: {
      ...common(series.filter(({ label }) => label !== '').length > 1),
      interaction: { mode: 'nearest', intersect: true },
      scales: { x: axis(x, bounds?.x), y: axis(y, bounds?.y, isLogarithmic) },
    },
  }
}

function barChart({ bars = { range: [0, 1], heights: [] }, x, y }: FigureContent): Parts {
  const { range, heights } = bars
  const width = (range[1] - range[0]) / heights.length
  const middle = (i: number) => range[0] + (i + 0.5) * width
  const { plugins, ...options } = common(false) as { plugins: object }
  const label = ({ dataIndex: i }: { dataIndex: number }) =>
    `${numberText(heights[i])} from ${roundText(middle(i) - width / 2)} to ${roundText(middle(i) + width / 2)}`
  return {
    data: {
      datasets: [
        {
          type: 'bar',
          label: y,
          data: heights.map((height, i) => ({ x: middle(i), y: height })),
          backgroundColor: color('first'),
          categoryPercentage: 1,
          barPercentage: 0.94,
          grouped: false,
        },
      ],
    } as Chart['data'],
    options: {
      ...options,
      plugins: { ...plugins, tooltip: { callbacks: { title: () => '', label } } },
      scales: { x: { ...axis(x, range), offset: false, grid: { display: false } }, y: { ...axis(y), beginAtZero: true } },
    },
  }
}
