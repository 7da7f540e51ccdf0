/** The results as tables: made once, for the terminal, for Markdown and for the page. */
import Table from 'cli-table3'
import type { Results, Speed } from './results.ts'

export interface ResultTable {
  /** The case that it is about, if it is about one. */
  readonly case?: string
  readonly title: string
  readonly head: readonly string[]
  /** How many columns, from the left, hold words. */
  readonly words: number
  readonly rows: readonly (readonly string[])[]
}

/** Three significant digits, or all before the point. */
export function formatNumber(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en-US') : `${Number(value.toPrecision(3))}`
}

export function formatBytes(bytes: number): string {
  const megabytes = bytes / 1e6
  return megabytes >= 1000 ? `${formatNumber(megabytes / 1000)} GB` : `${formatNumber(megabytes)} MB`
}

/** Two significant digits, or all before the point. @param absent What stands for a part that is not known. */
export function percent(part: number | null | undefined, absent = ''): string {
  if (part === null || part === undefined) return absent
  if (part < 0.001) return '< 0.1 %'
  return `${part < 0.1 ? Number((100 * part).toPrecision(2)) : Math.round(100 * part)} %`
}

const times = (quotient: number) => `${formatNumber(quotient)} ×`
export const threadsOf = (count: number) => (count === 1 ? '1 thread' : `${count} threads`)

/** Numbers of threads whose peak is below that of fewer: others used the processors while it was measured. */
export function unreliablePeaks({ peak }: Pick<Results, 'peak'>): number[] {
  const measured = Object.entries(peak).flatMap(([threads, value]) => (value === null ? [] : [{ threads: Number(threads), value }]))
  return measured
    .filter(({ threads, value }) => measured.some((other) => other.threads < threads && other.value > value))
    .map(({ threads }) => threads)
}

/** Of one case, the fastest first; fewer threads before more. */
export function ranked(speed: readonly Speed[]): Speed[] {
  return [...speed].sort((a, b) => a.threads - b.threads || b.stepsPerSecond.median - a.stepsPerSecond.median)
}

function speedTable(results: Results, name: string): ResultTable {
  const { what, batchSize } = results.cases.find((entry) => entry.name === name) ?? { what: '', batchSize: 0 }
  const withPeak = results.speed.some(({ partOfPeak }) => partOfPeak !== null)
  const unreliable = unreliablePeaks(results)
  return {
    case: name,
    title: `${name}: ${what}, batch ${batchSize}`,
    head: ['', 'threads', 'steps/s', 'lowest … highest', 'native is', 'lowest … highest', ...(withPeak ? ['of peak'] : []), 'memory'],
    words: 1,
    rows: ranked(results.speed.filter((entry) => entry.case === name)).map((entry) => [
      entry.contestant,
      `${entry.threads}`,
      `${entry.quiet ? '' : '~ '}${formatNumber(entry.stepsPerSecond.median)}`,
      `${formatNumber(entry.stepsPerSecond.lowest)} … ${formatNumber(entry.stepsPerSecond.highest)}`,
      entry.nativeIs === null || entry.contestant === 'native' ? '' : times(entry.nativeIs.median),
      entry.nativeIs === null || entry.contestant === 'native'
        ? ''
        : `${formatNumber(entry.nativeIs.lowest)} … ${formatNumber(entry.nativeIs.highest)}`,
      ...(withPeak ? [`${percent(entry.partOfPeak)}${unreliable.includes(entry.threads) ? ' ?' : ''}`] : []),
      formatBytes(entry.peakBytes),
    ]),
  }
}

function coldTable({ cold, coldCase }: Results): ResultTable {
  return {
    title: `Cold start: import, build case ${coldCase}, first step, in a new process`,
    head: ['', 'ms', 'lowest … highest', 'memory'],
    words: 1,
    rows: [...cold]
      .sort((a, b) => a.milliseconds.median - b.milliseconds.median)
      .map(({ contestant, milliseconds: { median, lowest, highest }, peakBytes }) => [
        contestant,
        formatNumber(median),
        `${formatNumber(lowest)} … ${formatNumber(highest)}`,
        formatBytes(peakBytes),
      ]),
  }
}

function busyTable({ busy }: Results): ResultTable {
  return {
    title: 'Beside one busy process on the same processors',
    head: ['', 'case', 'threads', 'quiet steps/s', 'steps/s beside it', 'kept', 'lowest … highest'],
    words: 1,
    rows: busy.map(({ contestant, case: name, threads, quietStepsPerSecond, busyStepsPerSecond, kept, quiet }) => [
      contestant,
      name,
      `${threads}`,
      `${quiet ? '' : '~ '}${formatNumber(quietStepsPerSecond.median)}`,
      formatNumber(busyStepsPerSecond.median),
      percent(kept.median),
      `${percent(kept.lowest)} … ${percent(kept.highest)}`,
    ]),
  }
}

function sizeTable({ sizes }: Results): ResultTable {
  return {
    title: 'Size on disk',
    head: ['', 'what', 'size'],
    words: 2,
    rows: [...sizes].sort((a, b) => a.bytes - b.bytes).map(({ contestant, what, bytes }) => [contestant, what, formatBytes(bytes)]),
  }
}

/** Every entry where native is not the fastest, worst first. */
export function losses({ speed }: Results): Speed[] {
  return speed
    .filter(({ contestant, nativeIs }) => contestant !== 'native' && nativeIs !== null && nativeIs.median < 1)
    .sort((a, b) => (a.nativeIs?.median ?? 1) - (b.nativeIs?.median ?? 1))
}

/** What was chosen for whom: a sentence for each setting, with where it was the best. */
function settingsOf({ speed, busy }: Results): string[] {
  const places = new Map<string, string[]>()
  for (const { contestant, setting, case: name, threads } of [...speed, ...busy]) {
    if (setting === '') continue
    const key = `${contestant} with ${setting}`
    places.set(key, [...(places.get(key) ?? []), `${name} on ${threadsOf(threads)}`])
  }
  return [...places].map(([key, where]) => `${key}: ${where.join(', ')}.`)
}

/** What is no rival: it comes with the benchmark. */
const OWN = ['plain', 'reference']

/** The rows that are told in words: native and whoever is compared with it were undisturbed, each thread with a processor. How many are left out. */
function toldRows({ speed, machine }: Results): { told: Speed[]; left: number } {
  const compared = speed.filter(({ contestant, nativeIs }) => contestant !== 'native' && nativeIs !== null)
  const told = compared.filter(
    ({ case: name, threads, quiet }) =>
      quiet &&
      threads <= machine.cores &&
      speed.every((entry) => entry.quiet || entry.contestant !== 'native' || entry.case !== name || entry.threads !== threads),
  )
  return { told, left: compared.length - told.length }
}

function verdict(results: Results): string {
  const kept = results.busy.flatMap(({ contestant, kept }) => (contestant === 'native' ? [kept.median] : []))
  if (kept.length > 0)
    return `Beside one busy process native keeps ${percent(Math.min(...kept))} of its quiet speed in the worst case, by the median of rounds.`
  const met = results.speed.flatMap(({ contestant, nativeIs }) => (contestant === 'native' || nativeIs === null ? [] : [contestant]))
  if (met.length === 0) return 'Native was not compared with anything.'
  const { told, left } = toldRows(results)
  const crosses = ({ nativeIs }: Speed) => nativeIs !== null && nativeIs.lowest < 1 && nativeIs.highest > 1
  const place = ({ case: name, threads }: Speed) => `case ${name}, ${threadsOf(threads)}`
  const lost = losses({ ...results, speed: told })
    .filter((entry) => !crosses(entry))
    .map((entry) => `${place(entry)}: ${entry.contestant} is ${times(1 / (entry.nativeIs?.median ?? 1))} as fast as native`)
  const unclear = told
    .filter(crosses)
    .map(
      (entry) =>
        `${place(entry)}: ${entry.contestant}, native is ${formatNumber(entry.nativeIs?.lowest ?? 1)} … ${times(entry.nativeIs?.highest ?? 1)} as fast`,
    )
  const known = OWN.filter((name) => met.includes(name))
  const alone = met.every((name) => OWN.includes(name))
  const fastest = unclear.length === 0 ? `in every ${left === 0 ? 'case measured' : 'row that counts'}` : 'elsewhere'
  return [
    ...(alone ? [`No rival ran; native was compared with ${known.join(' and ')}.`] : []),
    ...(lost.length === 0 ? [] : [`Where native loses: ${lost.join('; ')}.`]),
    ...(unclear.length === 0 ? [] : [`Not clear, for rounds disagree: ${unclear.join('; ')}.`]),
    ...(alone || lost.length > 0 || told.length === unclear.length ? [] : [`Native is the fastest ${fastest}.`]),
    ...(left === 0
      ? []
      : [`Left out are ${left} of ${told.length + left} rows: disturbed (~), or of more threads than there are processors.`]),
  ].join(' ')
}

/** Sentences: where native loses, what was done differently, what was chosen, what is missing. */
export function remarks(results: Results): string[] {
  const once = (entries: readonly string[]) => [...new Set(entries.filter((entry) => entry !== ''))]
  return [
    verdict(results),
    ...settingsOf(results),
    ...(results.speed.some(({ threads }) => threads > 1)
      ? ['On more than one thread only native and PyTorch take part: plain, reference and the npm packages run on one only.']
      : []),
    ...once(
      results.speed.map(({ note, contestant, implementation }) =>
        note === '' || ['native', 'reference'].includes(contestant) ? '' : `${implementation}: ${note}.`,
      ),
    ),
    ...([...results.speed, ...results.busy].every(({ quiet }) => quiet)
      ? []
      : ['~ others used the processors: the least disturbed windows stand in for quiet ones.']),
    ...unreliablePeaks(results).map(
      (threads) =>
        `? the peak measured on ${threadsOf(threads)} is below that of fewer: others used the processors, and the shares of it are unreliable.`,
    ),
    ...results.omissions.map(
      ({ contestant, case: name, threads, reason }) =>
        `Not measured: ${contestant}${name === null ? '' : `, case ${name}, ${threadsOf(threads ?? 1)}`}: ${reason}.`,
    ),
  ]
}

export function machineLine(results: Results): string {
  const { machine, date, rounds, quick, peak } = results
  const unreliable = unreliablePeaks(results)
  const { processor, cores, memoryBytes, instructionSet, node, system, pytorch } = machine
  const peaks = Object.entries(peak).flatMap(([threads, value]) =>
    value === null
      ? []
      : [`${formatNumber(value)} GFLOP/s on ${threadsOf(Number(threads))}${unreliable.includes(Number(threads)) ? ' (unreliable)' : ''}`],
  )
  return [
    `${processor}, ${cores} logical processors, ${formatBytes(memoryBytes)}`,
    instructionSet ?? 'no native addon',
    ...(peaks.length === 0 ? [] : [`measured peak ${peaks.join(', ')}`]),
    `Node ${node}`,
    ...(pytorch === null ? [] : [`PyTorch ${pytorch}`]),
    system,
    `${date.slice(0, 10)}`,
    `medians of ${rounds} interleaved ${rounds === 1 ? 'round' : 'rounds'}${quick ? ' (quick)' : ''}`,
  ].join('; ')
}

export function tables(results: Results): ResultTable[] {
  return [
    ...results.cases.filter(({ name }) => results.speed.some((entry) => entry.case === name)).map(({ name }) => speedTable(results, name)),
    ...(results.busy.length === 0 ? [] : [busyTable(results)]),
    ...(results.cold.length === 0 ? [] : [coldTable(results)]),
    ...(results.sizes.length === 0 ? [] : [sizeTable(results)]),
  ]
}

/** With lines around it, for the terminal. */
export function drawTable({ head, rows, words }: Pick<ResultTable, 'head' | 'rows' | 'words'>): string {
  const table = new Table({
    head: [...head],
    colAligns: head.map((_, i) => (i < words ? 'left' : 'right')),
    style: { head: [], border: [], compact: true },
  })
  table.push(...rows.map((row) => [...row]))
  return table.toString()
}

export const toTerminal = (table: ResultTable) => `${table.title}\n${drawTable(table)}`

export function toMarkdown(results: Results): string {
  const body = tables(results).map(({ title, head, rows, words }) =>
    [
      `**${title}**`,
      '',
      `| ${head.join(' | ')} |`,
      `|${head.map((_, i) => (i < words ? '---' : '--:')).join('|')}|`,
      ...rows.map(
        (row) =>
          `| ${row.map((cell) => ((row[0] === 'native' || row[0] === 'thalweg') && cell !== '' ? `**${cell}**` : cell)).join(' | ')} |`,
      ),
    ].join('\n'),
  )
  return [
    `${machineLine(results)}.`,
    ...body,
    remarks(results)
      .map((remark) => `- ${remark}`)
      .join('\n'),
  ].join('\n\n')
}
