/** The charts of the report, as Vega-Lite specifications drawn to SVG without a browser. */
import type { Results, Speed } from './results.ts'
import { ranked, threadsOf, unreliablePeaks } from './tables.ts'

export interface Chart {
  readonly title: string
  readonly explanation: string
  readonly svg: string
}

type Specification = Readonly<Record<string, unknown>>

/** What of Vega and Vega-Lite is used. They are packages of bench/, which the library's types do not know. */
interface Vega {
  parse(specification: unknown): unknown
  View: new (runtime: unknown, options: { renderer: 'none' }) => { toSVG(): Promise<string> }
}
interface VegaLite {
  compile(specification: unknown): { spec: unknown }
}

const OURS = '#0b6e99'
const PYTORCH = '#c9631c'
const OTHERS = '#8a949c'

const config = {
  font: 'system-ui, -apple-system, "Segoe UI", Roboto, sans-serif',
  background: 'transparent',
  view: { stroke: null },
  axis: { labelFontSize: 13, titleFontSize: 13, titleFontWeight: 'normal', labelColor: '#333', titleColor: '#555', gridColor: '#e5e8ea' },
  legend: { labelLimit: 0, labelFontSize: 13, titleFontSize: 13, orient: 'top', title: null, labelColor: '#333' },
  text: { fontSize: 12, fill: '#333' },
}

/** Makes an SVG of a specification. */
export type Draw = (specification: Specification) => Promise<string>

/** Loads the chart library. Where it is missing, it says what to install and ends the process. */
export async function loadDrawing(): Promise<Draw> {
  // Names in variables, so that the compiler does not look for packages that only a bench installation has.
  const names = ['vega', 'vega-lite']
  const loaded = await Promise.all(names.map((name) => import(name))).catch(() => null)
  if (loaded === null) {
    console.error('The page needs vega and vega-lite: npm install --prefix bench --ignore-scripts')
    process.exit(2)
  }
  const [vega, lite] = loaded as [Vega, VegaLite]
  return (specification) => {
    const { spec } = lite.compile({ $schema: 'https://vega.github.io/schema/vega-lite/v6.json', width: 300, config, ...specification })
    return new vega.View(vega.parse(spec), { renderer: 'none' }).toSVG()
  }
}

const named = (entry: Speed) => (entry.threads === 1 ? entry.contestant : `${entry.contestant}, ${threadsOf(entry.threads)}`)

/** The powers of ten within a range and next to it: the only lines that a logarithmic axis needs. */
function powersOfTen(values: readonly number[]): number[] {
  const [first, last] = [Math.floor(Math.log10(Math.min(...values))), Math.ceil(Math.log10(Math.max(...values)))]
  return Array.from({ length: last - first + 1 }, (_, i) => 10 ** (first + i))
}

const colorOf = (contestant: string) => (['native', 'thalweg'].includes(contestant) ? OURS : contestant === 'pytorch' ? PYTORCH : OTHERS)
const literal = { scale: null, legend: null }

/** A step is one optimizer update. Rates differ by factors of thousands, hence the logarithm; the line is from the slowest to the fastest window. */
function ratesOf(speed: readonly Speed[]): Specification {
  const values = [...speed]
    .sort((a, b) => b.stepsPerSecond.median - a.stepsPerSecond.median)
    .map((entry) => ({
      name: named(entry),
      rate: entry.stepsPerSecond.median,
      low: entry.stepsPerSecond.lowest,
      high: entry.stepsPerSecond.highest,
      color: colorOf(entry.contestant),
    }))
  const y = {
    field: 'name',
    type: 'nominal',
    sort: values.map(({ name }) => name),
    title: null,
    axis: { grid: true, labelLimit: 200 },
  }
  const color = { field: 'color', type: 'nominal', ...literal }
  const scale = { type: 'log', nice: true }
  const axis = { format: '~s', values: powersOfTen(values.flatMap(({ low, high }) => [low, high])) }
  return {
    data: { values },
    height: { step: 24 },
    layer: [
      {
        mark: { type: 'rule', strokeWidth: 3, opacity: 0.45 },
        encoding: { y, color, x: { field: 'low', type: 'quantitative', scale, axis, title: 'steps per second' }, x2: { field: 'high' } },
      },
      { mark: { type: 'point', filled: true, size: 90, opacity: 1 }, encoding: { y, color, x: { field: 'rate', type: 'quantitative' } } },
    ],
  }
}

const threadScale = (speed: readonly Speed[]) => {
  const domain = [...new Set(speed.map(({ threads }) => threads))].sort((a, b) => a - b).map(threadsOf)
  return { domain, range: [OURS, '#7fb8d0', '#08445f', '#b5d7e4'].slice(0, domain.length) }
}

/** Bars that begin at 1: to the right where native is faster, to the left where it is not. */
function againstPyTorch(speed: readonly Speed[]): Specification {
  const entries = speed.filter(({ contestant, nativeIs }) => contestant === 'pytorch' && nativeIs !== null)
  const values = entries.map((entry) => ({
    case: entry.case,
    threads: threadsOf(entry.threads),
    times: entry.nativeIs?.median,
    one: 1,
    label: `${entry.quiet ? '' : '~ '}${Number((entry.nativeIs?.median ?? 0).toPrecision(3))} ×`,
  }))
  const y = { field: 'case', type: 'nominal', title: 'case', sort: null }
  const yOffset = { field: 'threads', type: 'nominal', sort: null }
  const lowest = Math.min(0.8, ...values.map(({ times }) => times ?? 1))
  const highest = Math.max(2, ...values.map(({ times }) => times ?? 1))
  // Room for the label at the end of the longest bar.
  const x = {
    field: 'times',
    type: 'quantitative',
    scale: { type: 'log', domain: [lowest, highest * (highest / lowest) ** 0.22] },
    axis: { values: powersOfTen([lowest, highest]), format: ',.4~g' },
    title: 'times as fast (logarithmic)',
  }
  return {
    data: { values },
    height: { step: 18 },
    layer: [
      {
        mark: { type: 'bar' },
        encoding: { y, yOffset, x, x2: { field: 'one' }, color: { field: 'threads', type: 'nominal', scale: threadScale(entries) } },
      },
      {
        mark: { type: 'text', align: 'left', dx: 4 },
        encoding: { y, yOffset, x: { field: 'times', type: 'quantitative' }, text: { field: 'label' } },
      },
    ],
  }
}

function partsOfPeak(speed: readonly Speed[]): Specification {
  const entries = speed.filter(({ contestant }) => ['native', 'pytorch'].includes(contestant))
  const colors: Readonly<Record<string, readonly string[]>> = { native: [OURS, '#7fb8d0'], pytorch: [PYTORCH, '#e8b48f'] }
  const colorsByName = new Map(
    ranked(entries).map((entry) => [named(entry), colors[entry.contestant][entry.threads === 1 ? 0 : 1]] as const),
  )
  const domain = [...colorsByName.keys()]
  return {
    data: { values: entries.map((entry) => ({ case: entry.case, who: named(entry), part: entry.partOfPeak })) },
    height: { step: 13 },
    mark: { type: 'bar' },
    encoding: {
      y: { field: 'case', type: 'nominal', title: 'case' },
      yOffset: { field: 'who', type: 'nominal', sort: domain },
      x: {
        field: 'part',
        type: 'quantitative',
        axis: { format: '%', tickCount: 5 },
        title: 'of the fused-multiply-add peak',
        scale: { domain: [0, 1] },
      },
      color: {
        field: 'who',
        type: 'nominal',
        legend: { columns: 2 },
        scale: { domain, range: [...colorsByName.values()] },
      },
    },
  }
}

/** Bars with their value behind them. */
function bars(entries: readonly { readonly name: string; readonly value: number; readonly label: string }[], title: string): Specification {
  const values = [...entries].sort((a, b) => a.value - b.value).map((entry) => ({ ...entry, color: colorOf(entry.name) }))
  const y = { field: 'name', type: 'nominal', sort: values.map(({ name }) => name), title: null, axis: { labelLimit: 200 } }
  const highest = Math.max(...values.map(({ value }) => value))
  const x = { field: 'value', type: 'quantitative', title, axis: { tickCount: 4, format: ',.4~g' }, scale: { domain: [0, highest * 1.25] } }
  return {
    data: { values },
    height: { step: 24 },
    layer: [
      { mark: { type: 'bar', height: 14 }, encoding: { y, x, color: { field: 'color', type: 'nominal', ...literal } } },
      {
        mark: { type: 'text', align: 'left', dx: 4 },
        encoding: { y, x: { field: 'value', type: 'quantitative' }, text: { field: 'label' } },
      },
    ],
  }
}

const rounded = (value: number, unit: string) =>
  `${value >= 100 ? Math.round(value).toLocaleString('en-US') : Number(value.toPrecision(2))} ${unit}`

/** Memory is compared where most took part. */
function memory({ speed }: Results): { name: string; entries: { name: string; value: number; label: string }[] } {
  const alone = speed.filter(({ threads }) => threads === 1)
  const count = (name: string) => alone.filter((entry) => entry.case === name).length
  const [name = ''] = [...new Set(alone.map((entry) => entry.case))].sort((a, b) => count(b) - count(a) || (a < b ? 1 : -1))
  const entries = alone
    .filter((entry) => entry.case === name)
    .map(({ contestant, peakBytes }) => ({ name: contestant, value: peakBytes / 1e6, label: rounded(peakBytes / 1e6, 'MB') }))
  return { name, entries }
}

/** Charts over all cases, then one for each case by its name. */
export async function drawCharts(results: Results, draw: Draw): Promise<{ overview: Chart[]; cases: ReadonlyMap<string, string> }> {
  const { speed, cold, sizes } = results
  const overview: Chart[] = []
  const add = async (wanted: boolean, title: string, explanation: string, specification: () => Specification) => {
    if (wanted) overview.push({ title, explanation, svg: await draw(specification()) })
  }
  const has = (test: (entry: Speed) => boolean) => speed.some(test)
  await add(
    has(({ contestant, nativeIs }) => contestant === 'pytorch' && nativeIs !== null),
    'Native against PyTorch',
    'Bars to the right of 1: thalweg is faster. To the left: PyTorch is. ~: others used the processors meanwhile.',
    () => againstPyTorch(speed),
  )
  const unreliable = unreliablePeaks(results)
  const known = speed.filter(({ threads, partOfPeak }) => partOfPeak !== null && !unreliable.includes(threads))
  await add(
    known.length > 0,
    'Share of what the processor can do',
    'Products that a step cannot do without, as a share of the measured peak of as many cores.',
    () => partsOfPeak(known),
  )
  const { name, entries } = memory(results)
  await add(
    entries.length > 0,
    `Memory, case ${name}`,
    'The most that the process ever held, on one thread, its language and runtime included.',
    () => bars(entries, 'MB'),
  )
  await add(cold.length > 0, 'Cold start', `Import, build case ${results.coldCase}, first step, in a new process.`, () =>
    bars(
      cold.map(({ contestant, milliseconds: { median } }) => ({ name: contestant, value: median, label: rounded(median, 'ms') })),
      'milliseconds',
    ),
  )
  await add(sizes.length > 0, 'Size on disk', 'What an installation takes, dependencies included.', () =>
    bars(
      sizes.map(({ contestant, bytes }) => ({ name: contestant, value: bytes / 1e6, label: rounded(bytes / 1e6, 'MB') })),
      'MB',
    ),
  )
  const cases = new Map<string, string>()
  for (const { name: of } of results.cases) {
    const entriesOf = speed.filter((entry) => entry.case === of)
    if (entriesOf.length > 0) cases.set(of, await draw(ratesOf(entriesOf)))
  }
  return { overview, cases }
}
