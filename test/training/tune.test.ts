/** Searches in worker threads: networks that really train, threads that die, aborts, and the package as it is built. */
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AbortError, space, TrialError, tune } from '../../src/index.ts'
import { rates } from './trials/line.ts'

const line = new URL('./trials/line.ts', import.meta.url)
const root = mkdtempSync(join(tmpdir(), 'tune-test-'))
afterAll(() => rmSync(root, { recursive: true }))
let count = 0
/** A module whose default export is this. */
function moduleOf(text: string): URL {
  const path = join(root, `trial${count++}.mjs`)
  writeFileSync(path, text)
  return pathToFileURL(path)
}
const errorOf = (promise: Promise<unknown>) =>
  promise.then(
    () => null,
    (error: Error) => error,
  )
const numbered = { n: space.integer(1, 8) }

describe('trials in worker threads', () => {
  it('train networks, and find the learning rate that learns', async () => {
    const journal = join(root, 'line.jsonl')
    const reports: number[] = []
    const search = { space: rates, trial: line, strategy: 'grid', workers: 2, epochs: 30, journal } as const
    const { best, trials } = await tune({ ...search, onReport: ({ epoch }) => reports.push(epoch) })
    expect(trials.map(({ status }) => status)).toEqual(['completed', 'completed', 'completed'])
    expect(best.parameters.rate).toBe(0.1)
    expect(best.score).toBeLessThan(0.01)
    expect(trials[1].score).toBeGreaterThan(1)
    expect(reports).toHaveLength(90)
    // The same on this thread, to the bit; and nothing runs again where the journal has all.
    const { default: trial } = await import('./trials/line.ts')
    const here = await tune({ ...search, trial, journal: undefined })
    expect(here.trials.map(({ trial, score }) => [trial, score])).toEqual(trials.map(({ trial, score }) => [trial, score]))
    const again = await tune({ ...search, trial: moduleOf('process.exit()') })
    expect(again.trials).toEqual(trials)
  })

  it('are called again for more epochs', async () => {
    const trial = moduleOf('export default ({ n }, { epochs }) => n + 1 / epochs')
    const { best, trials } = await tune({ space: numbered, trial, strategy: 'asha', epochs: 4, reductionFactor: 2, trials: 8, workers: 2 })
    expect([trials.length, best.epochs, best.parameters.n]).toEqual([8, 4, 1])
  })

  it('use as many threads as there are workers, one after the other', async () => {
    const trial = moduleOf(`
      import { threadId } from 'node:worker_threads'
      import { setTimeout as wait } from 'node:timers/promises'
      export default async () => { await wait(50); return threadId }`)
    const { trials } = await tune({ space: numbered, trial, trials: 8, workers: 2 })
    expect(new Set(trials.map(({ score }) => score)).size).toBe(2)
  })

  it('fail alone when their thread ends, and another takes its place', async () => {
    const trial = moduleOf(`
      export default async ({ n }) => {
        if (n === 2) process.exit(3)
        if (n === 4) { setTimeout(() => { throw new Error('nobody catches this') }); await new Promise((resolve) => setTimeout(resolve, 1e4)) }
        if (n === 7) return Number.NaN
        return n
      }`)
    const { trials } = await tune({ space: numbered, trial, strategy: 'grid', workers: 1 })
    const byNumber = [...trials].sort((a, b) => a.trial - b.trial)
    expect(byNumber.map(({ status }) => status)).toEqual([
      'completed',
      'failed',
      'completed',
      'failed',
      'completed',
      'completed',
      'diverged',
      'completed',
    ])
    expect(byNumber[1].error).toContain('process.exit()')
    expect(byNumber[3].error).toMatch(/nobody catches this/)
  })

  it.each([
    ['throw new Error("no data")', /cannot be used: Error: no data/],
    [
      'export const trial = 1',
      /cannot be used: Error: its default export must be a function of the parameters and the context, got undefined/,
    ],
    ['export default (', /cannot be used: SyntaxError/],
    ['import "no-such-package"; export default () => 0', /cannot be used: .*no-such-package/],
    ['process.exit(1)', /cannot be used: The worker thread of the trial ended/],
  ])('cannot begin with a module such as %s', async (text, message) => {
    const error = await errorOf(tune({ space: numbered, trial: moduleOf(text), workers: 2 }))
    expect(error).toBeInstanceOf(TrialError)
    expect(error?.message).toMatch(message)
  })
})

describe('an abort', () => {
  // A machine that is busy with other things may take its time once.
  it('stops networks within a step', { retry: 2 }, async () => {
    const controller = new AbortController()
    let begun = Number.NaN
    const error = await errorOf(
      tune({
        space: rates,
        trial: line,
        epochs: 1e5,
        workers: 2,
        signal: controller.signal,
        onReport({ epoch }) {
          if (epoch !== 20) return
          begun = performance.now()
          controller.abort(new Error('enough'))
        },
      }),
    )
    expect(error).toBeInstanceOf(AbortError)
    expect(error?.cause).toEqual(new Error('enough'))
    // A second is what a trial gets that does not listen.
    expect(performance.now() - begun).toBeLessThan(900)
  })

  it('is known to a trial whose thread was still beginning', async () => {
    const begun = join(root, 'begun.txt')
    const heard = join(root, 'heard.txt')
    const trial = moduleOf(`
      import { once } from 'node:events'
      import { writeFileSync } from 'node:fs'
      import { setTimeout as wait } from 'node:timers/promises'
      writeFileSync(${JSON.stringify(begun)}, '')
      await wait(200)
      export default async (_, { signal }) => {
        if (!signal.aborted) await once(signal, 'abort')
        writeFileSync(${JSON.stringify(heard)}, '')
        return 0
      }`)
    const controller = new AbortController()
    const error = errorOf(tune({ space: numbered, trial, trials: 1, signal: controller.signal }))
    await expect.poll(() => existsSync(begun), { timeout: 10_000, interval: 5 }).toBe(true)
    controller.abort()
    expect(await error).toBeInstanceOf(AbortError)
    expect(existsSync(heard)).toBe(true)
  })

  it('terminates what does not listen', async () => {
    const trial = moduleOf('export default () => { for (;;); }')
    const controller = new AbortController()
    setTimeout(() => controller.abort(), 500)
    const error = await errorOf(tune({ space: numbered, trial, workers: 2, signal: controller.signal }))
    expect(error).toBeInstanceOf(AbortError)
  })
})

describe('the package as it is built', () => {
  const folder = fileURLToPath(new URL('../../build/tune/', import.meta.url))
  beforeAll(async () => {
    // As `npm run build` makes it, at the same depth, so that it finds the addon.
    await build({
      entryPoints: ['src/index.ts', 'src/tune/worker.mjs'],
      outbase: 'src',
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node20',
      packages: 'external',
      outdir: join(folder, 'esm'),
      logLevel: 'error',
    })
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  it.each(['mjs', 'mts'])('runs trials of a .%s module, and the process ends by itself', async (extension) => {
    const typed = extension === 'mts' ? ': { n: number }' : ''
    writeFileSync(join(folder, `trial.${extension}`), `export default ({ n }${typed}) => (n - 3) ** 2`)
    writeFileSync(
      join(folder, 'search.mjs'),
      `import { space, tune } from './esm/index.js'
      const trial = new URL('./trial.${extension}', import.meta.url)
      const result = await tune({ space: { n: space.integer(1, 8) }, trial, strategy: 'grid', workers: 2 })
      console.log(result.best.parameters.n, result.table().split('\\n').length)
      await result.save(new URL('./result.json', import.meta.url).pathname)`,
    )
    const { stdout } = await promisify(execFile)(process.execPath, [join(folder, 'search.mjs')], { timeout: 60_000 })
    expect(stdout).toBe('3 13\n')
    expect(JSON.parse(readFileSync(join(folder, 'result.json'), 'utf8')).trials).toHaveLength(8)
  })
})
