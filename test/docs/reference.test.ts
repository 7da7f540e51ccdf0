/** docs/reference says what src/index.ts exports: nothing is missing or out of date there, and every example compiles and runs. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import { compilerOptions, examplesModule, problemsOf, readApi } from '../../docs/api.ts'
import { renderPages } from '../../docs/pages.ts'
import { executionInfo } from '../../src/index.ts'

const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '')
const options = { ...compilerOptions(root), noUnusedLocals: false }
const library = ts.createProgram([`${root}/src/index.ts`], options)
const entries = readApi(root, library)

const folder = `${root}/build/reference`
const file = `${folder}/examples.ts`
mkdirSync(folder, { recursive: true })
const text = examplesModule(entries, '../../src/index.ts')
writeFileSync(file, text)
afterAll(() => rmSync(folder, { recursive: true }))
afterEach(() => vi.restoreAllMocks())

describe('docs/reference', () => {
  it('has everything of every name', () => expect(problemsOf(entries)).toEqual([]))

  it('lists the codes of all errors', () => {
    const { members } = entries.find(({ name }) => name === 'ThalwegError') as (typeof entries)[number]
    const codes = [...readFileSync(`${root}/src/errors.ts`, 'utf8').matchAll(/super\('(\w+)'/g)].map(([, code]) => code)
    expect(
      members
        .find(({ name }) => name === 'code')
        ?.text.match(/[A-Z]+_\w+/g)
        ?.sort(),
    ).toEqual(codes.sort())
  })

  it('is what npm run docs makes of the docstrings', () => {
    const pages = renderPages(entries)
    const written = readdirSync(`${root}/docs/reference`).map((name) => [name, readFileSync(`${root}/docs/reference/${name}`, 'utf8')])
    expect(Object.fromEntries(written)).toEqual(Object.fromEntries(pages))
  })

  it('links only to what exists', () => {
    const pages = renderPages(entries)
    const anchors = new Set([...pages].flatMap(([name, text]) => [name, ...anchorsOf(text).map((anchor) => `${name}#${anchor}`)]))
    const links = [...pages.values()].flatMap((text) => [...text.matchAll(/\]\((?!\.\.)([^)\s]+)\)/g)].map(([, link]) => link))
    expect(links.length).toBeGreaterThan(entries.length)
    expect(links.filter((link) => !anchors.has(link))).toEqual([])
  })

  it('has examples that compile', () => {
    const program = ts.createProgram([file], options, undefined, library)
    const source = program.getSourceFile(file)
    const problems = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)]
    const lineOf = (position = 0) => text.slice(text.lastIndexOf('\n', position) + 1, text.indexOf('\n', position))
    expect(problems.map(({ start, messageText }) => `${lineOf(start)}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`)).toEqual([])
  })

  // lockstep compares the two executors, so its example needs both.
  const names = entries.filter(({ examples }) => examples.length > 0).map(({ name }) => name)
  const runnable = names.filter((name) => executionInfo().native || name !== 'lockstep')
  it.each(runnable)('the example of %s runs', async (name) => {
    const log = vi.spyOn(console, 'log').mockImplementation(() => {})
    const { examples } = (await import(file)) as { examples: Readonly<Record<string, () => Promise<void>>> }
    await examples[name]()
    expect(log.mock.calls.flat().join('\n')).not.toMatch(/NaN|undefined/)
  })
})

/** The anchors GitHub gives the headings of a page. */
function anchorsOf(text: string): string[] {
  const times = new Map<string, number>()
  return [...text.replace(/```.*?```/gs, '').matchAll(/^#+ (.*)$/gm)].map(([, heading]) => {
    const anchor = heading
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-')
    const before = times.get(anchor) ?? 0
    times.set(anchor, before + 1)
    return before === 0 ? anchor : `${anchor}-${before}`
  })
}
