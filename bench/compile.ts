/** Compiles serve.ts with the library into one file of JavaScript: whoever is measured carries no compiler, as no user's program does. */
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import type { Case } from './cases.ts'

/** The compiled program. It lies three folders deep, as the file that looks for the addon does in src. */
export async function compileServe(): Promise<string> {
  const outfile = fileURLToPath(new URL('../build/bench/serve/serve.js', import.meta.url))
  await build({
    entryPoints: [fileURLToPath(new URL('./serve.ts', import.meta.url))],
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    logLevel: 'warning',
    outfile,
  })
  return outfile
}

/** The command line of a contestant in Node. @param serve What `compileServe` gave. */
export const servingCommand = (serve: string, { name }: Case, threads: number, seconds: number): string[] => [
  process.execPath,
  serve,
  name,
  '--threads',
  `${threads}`,
  '--seconds',
  `${seconds}`,
]
