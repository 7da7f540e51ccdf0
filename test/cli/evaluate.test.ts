import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { sequential } from '../../src/index.ts'
import { dense, input } from '../../src/nn/layers.ts'
import { events, run, start, temporaryFolder } from './support.ts'

const folder = temporaryFolder()
const rows = join(folder, 'rows.csv')
const text = `size,other,large\n${Array.from({ length: 90 }, (_, i) => `${(i * 37) % 90},${i % 7}.5,${(i * 37) % 90 > 40 ? 'yes' : 'no'}`).join('\n')}\n`
const model = join(folder, 'large.safetensors')

beforeAll(async () => {
  writeFileSync(rows, text)
  expect(await run(['train', rows, '-t', 'large', '--epochs', '20', '--members', '1', '--threads', '1', '--out', model])).toMatchObject({
    code: 0,
  })
})

describe('thalweg evaluate', () => {
  test('prints scores and the confusion matrix', async () => {
    const { code, stdout, stderr } = await run(['evaluate', model, rows])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^Scores on 90 rows:\n {2}Accuracy +\d/)
    expect(stdout).toMatch(/true \\ predicted +no +yes/)
  })

  test('says the same to machines, of standard input', async () => {
    const outcome = await run(['evaluate', model, '-', '--json'], { stdin: text })
    expect(outcome).toMatchObject({ code: 0, stderr: '' })
    const [result] = events(outcome)
    expect(result).toMatchObject({
      type: 'result',
      rows: 90,
      evaluation: { accuracy: expect.any(Number) },
      results: [{ task: 'binary', target: 'large' }],
    })
    const counts = (result.results as { confusion: { counts: number[][] } }[])[0].confusion.counts
    expect(counts.flat().reduce((a, b) => a + b)).toBe(90)
  })

  test('writes a report, of standard input too', async () => {
    const page = join(folder, 'page.html')
    expect(await run(['evaluate', model, '-', '--report', page], { stdin: text })).toMatchObject({ code: 0 })
    expect(readFileSync(page, 'utf8')).toContain('"importance"')
  })

  test('leaves rows without a target out if asked to, and otherwise says where one is', async () => {
    const gaps = `${text}1,2.5,\n`
    const refused = await run(['evaluate', model, '-'], { stdin: gaps })
    expect(refused).toMatchObject({ code: 1, stdout: '' })
    expect(refused.stderr).toMatch(
      /^thalweg evaluate: standard input, line 92, column "large": expected the target, got an empty field; leave such rows out with --missing-target skip\.\n$/,
    )
    const skipped = events(await run(['evaluate', model, '-', '--json', '--missing-target', 'skip'], { stdin: gaps }))
    expect(skipped[0]).toMatchObject({ rows: 90 })
  })

  test('refuses what is no model, a model without a schema, and a class that it has not met', async () => {
    expect((await run(['evaluate', rows, rows])).stderr).toMatch(/^thalweg evaluate: "\S*rows\.csv".*\n$/)
    const bare = join(folder, 'bare.safetensors')
    await sequential([input(2), dense(1)]).save(bare)
    expect((await run(['evaluate', bare, rows])).stderr).toMatch(/bare\.safetensors holds a model without a schema/)
    expect((await run(['evaluate', model, '-'], { stdin: 'size,other,large\n1,2,maybe\n' })).stderr).toMatch(
      /standard input, line 2, column "large"/,
    )
    expect(await run(['evaluate', model])).toMatchObject({ code: 2, stderr: expect.stringMatching(/missing required argument 'data'/) })
  })

  test('rows of one class only have no AUC, and everything else', async () => {
    const outcome = await run(['evaluate', model, '-', '--json'], { stdin: 'size,other,large\n1,2.5,no\n2,2.5,no\n' })
    expect(outcome.stderr).toBe('')
    expect(events(outcome)[0]).toMatchObject({ evaluation: { accuracy: expect.any(Number), rocAuc: null } })
  })

  test('a disk that is full is an error, not a result cut short', async () => {
    const full = openSync('/dev/full', 'w')
    try {
      const { outcome } = start(['evaluate', model, rows], { stdout: full })
      expect(await outcome).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/^thalweg evaluate: standard output cannot be written: ENOSPC/),
      })
    } finally {
      closeSync(full)
    }
  })
})
