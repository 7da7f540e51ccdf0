/** The TypeScript in README.md and docs/pipeline.md is compiled and run: an example that nobody executes is wrong sooner or later. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { afterAll, describe, expect, it } from 'vitest'
import { executionInfo } from '../../src/index.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = join(root, 'build', 'readme')
const pages = ['README.md', 'docs/pipeline.md'].map((page) => readFileSync(join(root, page), 'utf8'))
const blocks = pages.flatMap((text) => [...text.matchAll(/```ts\n(.*?)```/gs)].map(([, code]) => code))

mkdirSync(folder, { recursive: true })
// A run of before may have been one of other steps.
rmSync(join(root, 'build', 'run'), { recursive: true, force: true })
const files = blocks.map((code, i) => {
  const file = join(folder, `block${i}.ts`)
  writeFileSync(file, `${code.replaceAll("'thalweg'", "'../../src/index.ts'")}\nexport {}\n`)
  return file
})
afterAll(() => rmSync(folder, { recursive: true }))

describe('README.md and docs/pipeline.md', () => {
  it('has examples', () => expect(blocks.length).toBeGreaterThanOrEqual(4))

  it('has examples that compile', () => {
    const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile)
    const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, root)
    const problems = ts.getPreEmitDiagnostics(ts.createProgram(files, { ...options, noUnusedLocals: false }))
    expect(problems.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))).toEqual([])
  })

  // lockstep compares the two executors, so its example needs both.
  const runnable = files.filter((_, i) => executionInfo().native || !blocks[i].includes('lockstep'))
  it.each(runnable.map((file) => [basename(file), file] as const))('%s runs', (_, file) => {
    const { status, stderr, stdout } = spawnSync(process.execPath, ['--import', 'tsx', file], { cwd: root, encoding: 'utf8' })
    expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).not.toMatch(/NaN|undefined/)
  })
})
