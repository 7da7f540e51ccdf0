import { beforeAll, describe, expect, test } from 'vitest'
import { executionInfo } from '../../src/index.ts'
import { saveHouses } from './models.ts'
import { events, run, temporaryFolder } from './support.ts'

const folder = temporaryFolder()
let model = ''

beforeAll(async () => {
  model = await saveHouses(folder)
})

describe('bench', () => {
  test('measures the executors and the numbers of threads that are asked for', async () => {
    const [result] = events(await run(['bench', model, '--threads', '1,2', '--rounds', '1', '--json']))
    const results = result.results as Record<string, never>[]
    const expected = executionInfo().native ? ['reference 1', 'native 1', 'native 2'] : ['reference 1']
    expect(results.map(({ executor, threads }) => `${executor} ${threads}`)).toEqual(expected)
    for (const { rowsPerSecond, stepsPerSecond, ratios } of results) {
      expect(rowsPerSecond).toBeGreaterThan(0)
      expect(stepsPerSecond).toBeGreaterThan(0)
      expect((ratios as { predict: number }).predict).toBeCloseTo(rowsPerSecond / (results[0].rowsPerSecond as number), 6)
    }
  }, 60_000)

  test('prints a table, and what it measures', async () => {
    const { code, stdout } = await run(['bench', model, '--threads', '1', '--rounds', '1', '--batch-size', '8'])
    expect(code).toBe(0)
    expect(stdout).toMatch(
      /houses\.safetensors: [\d,]+ parameters\n +rows\/s predicted +steps\/s trained\n {2}reference +[\d,.]+ +× 1 +[\d,.]+ +× 1\n/,
    )
    expect(stdout).toMatch(/Median of 1 rounds?, .* on 8 rows\.\n$/)
  }, 60_000)

  test('a signal stops it', async () => {
    const signal = AbortSignal.timeout(300)
    const stop = new AbortController()
    signal.addEventListener('abort', () => stop.abort('SIGTERM'))
    expect((await run(['bench', '--rounds', '1000'], { signal: stop.signal })).code).toBe(143)
  }, 60_000)

  test('wrong usage', async () => {
    expect(await run(['bench', '--threads', '0'])).toMatchObject({ code: 2 })
    expect(await run(['bench', '--threads', '1,257'])).toMatchObject({ code: 2, stderr: expect.stringContaining('an integer of 1 … 256') })
    expect(await run(['bench', '--loss', 'meanSquaredError'])).toMatchObject({ code: 2 })
    expect(await run(['bench', 'none.safetensors'])).toMatchObject({ code: 1, stderr: expect.stringMatching(/none\.safetensors/) })
  })
})
