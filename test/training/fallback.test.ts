/** Without the addon everything works on the reference executor, and says so once. */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { loadAddon } from '../../src/executors/native/addon.ts'
import { executors } from './support.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const disabled = process.env.THALWEG_DISABLE_NATIVE !== undefined

/** Runs Node in a process of its own, with the addon disabled, and not as a part of this test run. */
function runWithoutNative(...args: string[]) {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('VITEST') && name !== 'NODE_OPTIONS')
  const env = { ...Object.fromEntries(inherited), THALWEG_DISABLE_NATIVE: '1' }
  return promisify(execFile)(process.execPath, args, { cwd: root, env, maxBuffer: 2 ** 24 })
}

it.runIf(process.env.CI === 'true' && !disabled)(
  'the addon is here, so that the other tests run on both executors (asked in CI; without a compiler it may be missing)',
  () => {
    expect(loadAddon().failure).toBe(undefined)
    expect(executors).toEqual(['native', 'reference'])
  },
)

describe.skipIf(disabled)('with THALWEG_DISABLE_NATIVE (skipped inside itself)', () => {
  it('a program warns exactly once, and trains', async () => {
    const { stdout, stderr } = await runWithoutNative('--import', 'tsx', 'test/training/withoutNative.ts')
    const { last, ...rest } = JSON.parse(stdout)
    const failure = 'the environment variable THALWEG_DISABLE_NATIVE is set to "1"'
    expect(rest).toEqual({
      executors: ['reference', 'reference', 'reference'],
      info: { native: false, instructionSets: [], hardwareThreads: 1, failure },
      refused: ['sequential', 'loadModel', 'loadTabular', 'openShared'],
    })
    for (const { loss, accuracy } of last) {
      expect(accuracy).toBe(1)
      expect(loss).toBeLessThan(0.02)
    }
    expect(stderr.match(/THALWEG_NO_NATIVE/g)?.length).toBe(1)
    expect(stderr).toContain('thalweg runs on its reference executor')
    expect(stderr).toContain(failure)
  })

  it('the training tests pass', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'thalweg-'))
    try {
      const report = join(folder, 'report.json')
      const files = [
        'training/fit',
        'training/mazur',
        'training/nonFinite',
        'training/sameSeed',
        'unit/optim/optimizers',
        'unit/nn/nn',
      ].map((name) => `test/${name}.test.ts`)
      const run = runWithoutNative('node_modules/vitest/vitest.mjs', 'run', ...files, '--reporter=json', `--outputFile=${report}`)
      // A failure is told by the report, which names the tests.
      await run.catch(() => undefined)
      const { testResults, numPassedTests, success } = JSON.parse(await readFile(report, 'utf8'))
      type Result = { status: string; message: string; assertionResults: { status: string; fullName: string }[] }
      const results = testResults as Result[]
      const failed = results.flatMap(({ assertionResults }) => assertionResults.filter(({ status }) => status === 'failed'))
      expect(failed.map(({ fullName }) => fullName)).toEqual([])
      expect(results.filter(({ status }) => status !== 'passed').map(({ message }) => message)).toEqual([])
      expect(results.length).toBe(files.length)
      const names = results.flatMap(({ assertionResults }) => assertionResults.map(({ fullName }) => fullName))
      expect(names.filter((name) => name.includes('on the reference executor')).length).toBeGreaterThan(80)
      expect(names.filter((name) => name.includes('on the native executor'))).toEqual([])
      expect(numPassedTests).toBeGreaterThan(150)
      expect(success).toBe(true)
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
