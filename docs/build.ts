/** npm run docs: writes docs/reference anew. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { problemsOf, readApi } from './api.ts'
import { renderPages } from './pages.ts'

const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '')
const folder = `${root}/docs/reference`
const entries = readApi(root)
const pages = renderPages(entries)
rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })
for (const [file, text] of pages) writeFileSync(`${folder}/${file}`, text)

const problems = problemsOf(entries)
for (const problem of problems) console.log(problem)
console.log(`docs/reference: ${pages.size} pages, ${entries.length} names, ${problems.length} problems`)
