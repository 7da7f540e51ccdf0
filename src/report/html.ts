import { createHash } from 'node:crypto'
import { checkNames, unknownName } from '../checks.ts'
import { DataError, describe, OptionError } from '../errors.ts'
import { pageFiles } from './pageFiles.ts'
import type { ReportData } from './reportData.ts'

const names = [
  'title',
  'task',
  'target',
  'created',
  'configuration',
  'data',
  'network',
  'training',
  'results',
  'importance',
  'warnings',
] as const satisfies readonly (keyof ReportData)[]

/** Refuses what is no (part of a) report. */
export function checkReport(where: string, data: unknown): asserts data is Partial<ReportData> {
  if (typeof data !== 'object' || data === null || Array.isArray(data))
    throw new OptionError(`${where}: expected a report as { title, … }, got ${describe(data)}.`)
  checkNames(where, 'part of a report', data, names)
  const { title, task, warnings } = data as Partial<ReportData>
  if (title !== undefined && (typeof title !== 'string' || title === ''))
    throw new OptionError(`${where}: title must be a text that is not empty, got ${describe(title)}.`)
  if (task !== undefined && !['regression', 'binary', 'classes'].includes(task))
    throw unknownName('task', task, ['regression', 'binary', 'classes'], where)
  if (warnings !== undefined && !Array.isArray(warnings))
    throw new OptionError(`${where}: warnings must be an array of texts, got ${describe(warnings)}.`)
}

/** As `checkReport`, and it must be a whole one. */
export function checkWholeReport(where: string, data: unknown): asserts data is ReportData {
  checkReport(where, data)
  if (data.title === undefined) throw new OptionError(`${where}: a report needs a title, such as { title: 'House prices' }.`)
}

/** Data as text. */
export function reportText(where: string, data: unknown): string {
  try {
    return JSON.stringify(data) ?? 'null'
  } catch (error) {
    throw new DataError(`${where}: the report must be plain JSON: ${(error as Error).message}.`)
  }
}

const escapes: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => escapes[character])
}

/** JSON that no parser of HTML takes for the end of its element, or the beginning of a comment. */
function escapeJson(json: string): string {
  return json.replace(/</g, '\\u003c')
}

const hashOf = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`

/** What the page may load: its own script and style, nothing else; the live page also listens to its server. */
function policyOf(script: string, style: string, isLive: boolean): string {
  const connect = isLive ? " connect-src 'self';" : ''
  return `default-src 'none'; script-src ${hashOf(script)}; style-src ${hashOf(style)}; img-src data:;${connect} base-uri 'none'; form-action 'none'`
}

/** The page: one file that needs no other. A live one listens to `events` beside it. */
export async function renderReport(where: string, data: ReportData, isLive = false): Promise<string> {
  const { script, style } = await pageFiles()
  // A script must not hold the end of its own element.
  const code = script.replaceAll('</script', '<\\/script')
  return `<!doctype html>
<html lang="en"${isLive ? ' data-live' : ''}>
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policyOf(code, style, isLive)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta name="generator" content="thalweg">
<link rel="icon" href="data:,">
<title>${escapeHtml(data.title)}</title>
<style>${style}</style>
</head>
<body>
<noscript><h1>${escapeHtml(data.title)}</h1><p>This report draws itself with a script that is part of this file. Allow scripts to read it.</p></noscript>
<main id="report"></main>
<script type="application/json" id="report-data">${escapeJson(reportText(where, data))}</script>
<script>${code}</script>
</body>
</html>
`
}
