import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { dense, input, sequential } from '../../src/index.ts'
import { houses, saveHouses, saveStreets } from './models.ts'
import { events, run, temporaryFolder } from './support.ts'

const folder = temporaryFolder()
let [model, streets] = ['', '']

beforeAll(async () => {
  model = await saveHouses(folder)
  streets = await saveStreets(folder)
})

describe('gradcheck', () => {
  test('of a model on rows, on random numbers, of several outputs, and of a network of its own', async () => {
    const data = join(folder, 'houses.csv')
    writeFileSync(data, ['area,street,price', ...houses.map(({ area, street, price }) => `${area},${street},${price}`)].join('\n'))
    for (const subject of [[model, data], [model], [streets], ['--demo']]) {
      const { code, stdout, stderr } = await run(['gradcheck', ...subject])
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      expect(stdout).toMatch(/^ok {4}dense_1\.kernel /m)
      expect(stdout).toMatch(/The gradients are right: the largest error is \S+, of ".*", and 0\.00001 is allowed\.\n$/)
    }
  }, 30_000)

  test('the rows decide the loss', async () => {
    const lossOf = async (rows: string) =>
      events(await run(['gradcheck', model, '-', '--json'], { stdin: `area,street,price\n${rows}` }))[0].loss
    expect(await lossOf('80,Elm,80000')).not.toBe(await lossOf('80,Elm,120000'))
  })

  test('a tolerance that finite differences cannot keep is a failure: exit code 1', async () => {
    const { code, stdout, stderr } = await run(['gradcheck', model, '--tolerance', '1e-15'])
    expect(code).toBe(1)
    expect(stdout).toMatch(/^WRONG /m)
    expect(stderr).toMatch(/^thalweg gradcheck: the gradients are not those of the loss: the largest error is .*, above 1e-15\.\n$/)
    expect(events(await run(['gradcheck', model, '--tolerance', '1e-15', '--json']))[0]).toMatchObject({ type: 'result', ok: false })
  })

  test('a model without a schema needs a loss, and takes no rows', async () => {
    const plain = join(folder, 'plain.safetensors')
    await sequential([input(2), dense(3)]).save(plain)
    expect((await run(['gradcheck', plain])).stderr).toMatch(/give --loss/)
    for (const loss of ['meanSquaredError', 'binaryCrossentropy', 'categoricalCrossentropy', 'sparseCategoricalCrossentropy'])
      expect(await run(['gradcheck', plain, '--loss', loss])).toMatchObject({ code: 0 })
    expect((await run(['gradcheck', plain, 'x.csv', '--loss', 'meanSquaredError'])).stderr).toMatch(
      /without a schema, which cannot read rows/,
    )
  })

  test('wrong usage and bad rows', async () => {
    expect(await run(['gradcheck'])).toMatchObject({ code: 2, stderr: expect.stringMatching(/give the file of a model, or --demo/) })
    expect(await run(['gradcheck', model, '--demo'])).toMatchObject({ code: 2 })
    expect(await run(['gradcheck', model, '--loss', 'meanSquaredError'])).toMatchObject({ code: 2 })
    expect(await run(['gradcheck', model, '--rows', '0'])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/integer of at least 1/),
    })
    const bad = await run(['gradcheck', model, '-'], { stdin: 'area,street,price\n80,Elm,1\nwide,Elm,2\n' })
    expect(bad).toMatchObject({ code: 1, stderr: expect.stringMatching(/standard input, line 3, column "area"/) })
  })
})
