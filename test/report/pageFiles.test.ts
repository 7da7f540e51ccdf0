/** Where the page's script and style come from in the built package. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { afterEach, expect, it } from 'vitest'

const folder = mkdtempSync(join(tmpdir(), 'thalweg-page-'))
afterEach(() => rmSync(folder, { recursive: true }))

it('lie beside the bundle; if they are missing there, one error says what to do', async () => {
  // As npm run build does it, in a folder that has no esbuild beside it.
  const outfile = join(folder, 'index.js')
  const entry = fileURLToPath(new URL('../../src/report/pageFiles.ts', import.meta.url))
  await build({ entryPoints: [entry], bundle: true, platform: 'node', format: 'esm', packages: 'external', outfile })
  const { pageFiles } = (await import(pathToFileURL(outfile).href)) as typeof import('../../src/report/pageFiles.ts')
  await expect(pageFiles()).rejects.toMatchObject({
    code: 'ERR_FILE',
    message: expect.stringMatching(/^The page of reports is missing: .*report-page\.js.* Install the package again, or in a clone/s),
  })
  writeFileSync(join(folder, 'report-page.js'), 'script')
  writeFileSync(join(folder, 'report-page.css'), 'style')
  expect(await pageFiles()).toEqual({ script: 'script', style: 'style' })
})
