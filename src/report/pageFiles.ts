import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { FileError } from '../errors.ts'

/** What the page is made of, beside its data. */
export interface PageFiles {
  readonly script: string
  readonly style: string
}

let files: Promise<PageFiles> | null = null

/**
 * The page's script and style. In the built package they lie beside it, as `npm run build` has made them; in a clone of the repository they are made from page/ at the
 * first call.
 *
 * @throws FileError if neither is possible.
 */
export function pageFiles(): Promise<PageFiles> {
  files ??= built().catch((error) => {
    files = null
    throw error
  })
  return files
}

async function built(): Promise<PageFiles> {
  // NOTE: these are names in dist/bundle/esm, where this module is part of index.js; in src/report there are no such files.
  const read = (name: string) => readFile(new URL(name, import.meta.url), 'utf8')
  try {
    const [script, style] = await Promise.all([read('./report-page.js'), read('./report-page.css')])
    return { script, style }
  } catch (missing) {
    try {
      return await bundled()
    } catch (error) {
      throw new FileError(
        `The page of reports is missing: ${(missing as Error).message}, and it cannot be made from its source: ${(error as Error).message}. Install the package again, or in a clone of its repository run npm install.`,
        { cause: error },
      )
    }
  }
}

/** The same as the build script of package.json. */
async function bundled(): Promise<PageFiles> {
  const { build } = await import('esbuild')
  const { outputFiles } = await build({
    entryPoints: ['./page/page.ts', './page/page.css'].map((name) => fileURLToPath(new URL(name, import.meta.url))),
    bundle: true,
    minify: true,
    format: 'iife',
    target: 'es2022',
    write: false,
    outdir: 'page',
    logLevel: 'silent',
  })
  const textOf = (ending: string) => outputFiles.find(({ path }) => path.endsWith(ending))?.text ?? ''
  return { script: textOf('.js'), style: textOf('.css') }
}
