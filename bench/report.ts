/** The results as one page that needs nothing else: no script, no network. */
import { type Draw, drawCharts } from './charts.ts'
import type { Results } from './results.ts'
import { machineLine, type ResultTable, remarks, tables } from './tables.ts'

const escapeHtml = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')

const STYLE = `
:root { color-scheme: light; }
body { margin: 0; background: #f4f6f7; color: #1d2428; font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 24px 16px 48px; }
h1 { font-size: 1.7rem; margin: 0 0 4px; }
h2 { font-size: 1.1rem; margin: 0 0 4px; }
p { margin: 0 0 12px; }
.quiet { color: #59646b; font-size: .9rem; }
section { background: #fff; border: 1px solid #dde2e5; border-radius: 8px; padding: 16px; margin-top: 16px; min-width: 0; }
.overview { display: grid; gap: 16px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); margin-top: 16px; }
.overview section { margin: 0; }
.case { display: grid; gap: 16px; grid-template-columns: minmax(0, 400px) minmax(0, 1fr); align-items: start; }
svg { display: block; width: 100%; max-width: 520px; height: auto; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .82rem; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 3px 7px; text-align: right; white-space: nowrap; border-bottom: 1px solid #e8ecee; }
th { font-weight: 500; color: #59646b; }
.word { text-align: left; }
td.word.long { white-space: normal; min-width: 220px; }
tr.ours td { font-weight: 600; color: #0b6e99; }
ul { margin: 0; padding-left: 20px; }
li { margin-bottom: 4px; overflow-wrap: anywhere; }
@media (max-width: 900px) { .case { grid-template-columns: minmax(0, 1fr); } }
`

function tableHtml({ head, rows, words }: ResultTable): string {
  const kind = (column: number) => (column >= words ? '' : column === 0 ? ' class="word"' : ' class="word long"')
  const cells = (tag: string, row: readonly string[]) => row.map((cell, i) => `<${tag}${kind(i)}>${escapeHtml(cell)}</${tag}>`).join('')
  const body = rows.map((row) => `<tr${['native', 'thalweg'].includes(row[0]) ? ' class="ours"' : ''}>${cells('td', row)}</tr>`)
  return `<div class="scroll"><table><thead><tr>${cells('th', head)}</tr></thead><tbody>${body.join('')}</tbody></table></div>`
}

const section = (title: string, body: string) => `<section><h2>${escapeHtml(title)}</h2>${body}</section>`

export async function toPage(results: Results, draw: Draw): Promise<string> {
  const { overview, cases } = await drawCharts(results, draw)
  const [summary, ...details] = remarks(results)
  const charts = overview.map(({ title, explanation, svg }) => section(title, `<p class="quiet">${escapeHtml(explanation)}</p>${svg}`))
  const sections = tables(results).map((table) => {
    const chart = table.case === undefined ? undefined : cases.get(table.case)
    const body = tableHtml(table)
    return section(table.title, chart === undefined ? body : `<div class="case"><div>${chart}</div>${body}</div>`)
  })
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>thalweg: benchmark</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>thalweg: benchmark</h1>
<p class="quiet">${escapeHtml(machineLine(results))}.</p>
<p>${escapeHtml(summary)}</p>
<div class="overview">${charts.join('\n')}</div>
${sections.join('\n')}
${section('Remarks', `<ul>${details.map((remark) => `<li>${escapeHtml(remark)}</li>`).join('')}</ul>`)}
</main>
</body>
</html>
`
}
