import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { csv, loadTabular, readSafetensors } from '../../src/index.ts'
import { houses } from './models.ts'
import { events, run, start, temporaryFolder } from './support.ts'

const folder = temporaryFolder()
const data = join(folder, 'houses.csv')
writeFileSync(data, ['area,street,price', ...houses.map(({ area, street, price }) => `${area},${street},${price}`)].join('\n'))
const space = join(folder, 'space.json')
writeFileSync(
  space,
  JSON.stringify({
    hidden: { type: 'choice', values: [[4], [8, 4]] },
    learningRate: { type: 'choice', values: [0.001, 0.01] },
    members: 1,
  }),
)
const common = ['tune', data, '--target', 'price', '--workers', '2']

describe('tune', () => {
  test('searches, trains the best on all rows, saves both', async () => {
    const [out, model] = [join(folder, 'trials.csv'), join(folder, 'best.safetensors')]
    const { code, stdout, stderr } = await run([...common, '--trials', '3', '--epochs', '2', '--out', out, '--out-model', model])
    expect(code).toBe(0)
    expect(stderr).toMatch(/^Trials train on 48 rows and are scored on 12 others by r2Score\.\n(?:[123] of 3: R² .* learningRate .*\n){3}/)
    expect(stdout).toMatch(/^trial +r2Score +epochs +learningRate +weightDecay +hidden +members +dropout\n/)
    const trials = await csv(out).toArray()
    expect(trials.map(({ score }) => Number(score))).toEqual(trials.map(({ score }) => Number(score)).sort((a, b) => b - a))
    const { metadata } = await readSafetensors(model)
    const { best } = JSON.parse(metadata['thalweg.tuning'])
    expect(String(best.trial)).toBe(trials[0].trial)
    const { schema, network } = await loadTabular(model)
    expect(schema.rows).toBe(60)
    const widths = network.parameters.filter(({ name }) => name.endsWith('.bias')).map(({ variable }) => variable.shape[0])
    expect(widths.slice(0, best.parameters.hidden.length)).toEqual(best.parameters.hidden)
  }, 60_000)

  test('a grid of a file, with events for machines; nothing is trained with --no-train', async () => {
    const all = events(
      await run([
        ...common,
        '--space',
        space,
        '--strategy',
        'grid',
        '--epochs',
        '1',
        '--no-train',
        '--metric',
        'meanAbsoluteError',
        '--json',
      ]),
    )
    expect(all.map(({ type }) => type)).toEqual(['trial', 'trial', 'trial', 'trial', 'result'])
    const { trials, best, model } = all[4] as {
      trials: { score: number; parameters: object }[]
      best: { score: number; parameters: object }
      model?: string
    }
    expect(model).toBeUndefined()
    // Less is better.
    expect(best.score).toBe(Math.min(...trials.map(({ score }) => score)))
    expect(new Set(trials.map(({ parameters }) => JSON.stringify(parameters))).size).toBe(4)
    expect(best.parameters).toEqual({ hidden: expect.any(Array), learningRate: expect.any(Number), members: 1 })
  }, 60_000)

  test('the same seed finds the same, classes and several targets too', async () => {
    for (const target of ['street', 'street,price']) {
      const search = ['tune', data, '--target', target, '--trials', '2', '--epochs', '1', '--no-train', '--seed', '3', '--json']
      const scores = async (workers: string) =>
        (events(await run([...search, '--workers', workers])).at(-1) as { trials: { score: number }[] }).trials.map(({ score }) => score)
      expect(await scores('1')).toEqual(await scores('2'))
    }
  }, 60_000)

  test('a journal: what is done is not done again, and other data are refused', async () => {
    const journal = join(folder, 'search.jsonl')
    const search = [...common, '--trials', '3', '--epochs', '1', '--no-train', '--journal', journal, '--json']
    await run(search)
    const before = readFileSync(journal, 'utf8')
    const again = events(await run(search))
    expect(again.map(({ type }) => type)).toEqual(['result'])
    expect(readFileSync(journal, 'utf8')).toBe(before)
    const other = await run([...search.filter((word) => word !== '--json'), '--validation', '0.3'])
    expect(other).toMatchObject({ code: 1, stderr: expect.stringMatching(/belongs to another search/) })
  }, 60_000)

  test('a signal ends it with 130, and the journal keeps what was done', async () => {
    const journal = join(folder, 'stopped.jsonl')
    const { child, outcome } = start([...common, '--trials', '500', '--epochs', '2', '--journal', journal])
    let told = false
    child.stderr.on('data', (text) => {
      // A second signal would end it at once.
      if (told || !/^\d of 500/m.test(String(text))) return
      told = true
      child.kill('SIGINT')
    })
    const { code, stderr } = await outcome
    expect(code).toBe(130)
    expect(stderr).toMatch(/thalweg tune: .*stopped.*journal.*\n$/)
    expect(readFileSync(journal, 'utf8').trimEnd().split('\n').length).toBeGreaterThan(1)
    expect(existsSync('houses.safetensors')).toBe(false)
  }, 60_000)

  test('what is wrong is said before the search', async () => {
    const messages: [string[], number, RegExp][] = [
      [['tune', data], 2, /--target/],
      [['tune', data, '-t', 'prize'], 1, /there is no column "prize".*"price"/],
      [[...common, '--out', 'trials.txt'], 2, /must end with \.csv or \.json/],
      [[...common, '--out', join(folder, 'none', 'x.csv')], 1, /there is no folder/],
      [[...common, '--metric', 'r2score'], 1, /did you mean "r2Score"/],
      [[...common, '--space', join(folder, 'none.json')], 1, /cannot read/],
      [[...common, '--no-train', '--out-model', 'x'], 2, /exclude each other/],
      [[...common, '--strategy', 'best'], 2, /random, grid, asha/],
      [[...common, '--out-model', data], 1, /no model of thalweg/],
      [['tune', data, '-t', 'price,area', '--metric', 'r2Score'], 2, /single target/],
    ]
    for (const [argv, code, message] of messages) {
      const outcome = await run(argv)
      expect({ argv, ...outcome }).toMatchObject({ code, stdout: '', stderr: expect.stringMatching(message) })
    }
    const wrong = join(folder, 'wrong.json')
    for (const [text, message] of [
      ['{"learning_rate": 1}', /did you mean "learningRate"/],
      ['[', /wrong\.json: expected JSON/],
      ['{"hidden": {"type": "list"}}', /type must be/],
      ['{"__proto__": 3}', /__proto__/],
    ] as const) {
      writeFileSync(wrong, text)
      expect(await run([...common, '--space', wrong])).toMatchObject({ code: 1, stderr: expect.stringMatching(message) })
    }
  }, 60_000)
})
