import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { dense, input, NdArray, sequential, writeSafetensors } from '../../src/index.ts'
import { saveHouses } from './models.ts'
import { events, run, temporaryFolder } from './support.ts'

const folder = temporaryFolder()
let model = ''

beforeAll(async () => {
  model = await saveHouses(folder)
})

describe('inspect', () => {
  test('says what a model is, sees, learned and scored', async () => {
    const { code, stdout, stderr } = await run(['inspect', model])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/predicts price\.\nWritten by thalweg [\d.]+; seed 7; trained for \d+ steps\./)
    expect(stdout).toMatch(/Layers\nlayer .*output shape .*parameters/)
    expect(stdout).toMatch(/Columns, fitted to 60 rows\n/)
    expect(stdout).toMatch(/^area +number +50 … 149, mean [\d.]+$/m)
    expect(stdout).toMatch(/^street +category +(?:(?:Elm|Oak|Ash) 20(?:, )?){3}$/m)
    expect(stdout).toMatch(/^price +target, number +\S+ … \S+, mean \S+$/m)
    expect(stdout).toMatch(/Training\nepoch +loss\n +1 +\S+\n +2 +\S+\n +3 +\S+\n/)
    expect(stdout).toMatch(/Scores\n +R²/)
    expect(stdout).not.toMatch(/\.kernel/)
    expect((await run(['inspect', model, '--tensors'])).stdout).toMatch(/^dense_1\.kernel +F32 +\[\d+, 1\]/m)
  })

  test('--json is one object with all of it', async () => {
    const all = events(await run(['inspect', model, '--json']))
    expect(all).toHaveLength(1)
    expect(all[0]).toMatchObject({
      type: 'result',
      bytes: readFileSync(model).length,
      model: { seed: 7, inputs: ['features'] },
      schema: { rows: 60, targets: ['price'], columns: [{ name: 'area', kind: 'number', fitted: { min: 50, max: 149 } }, {}, {}] },
      history: [{}, {}, {}],
      evaluation: { r2Score: expect.any(Number) },
    })
  })

  test('a model without a schema, and files of other programs', async () => {
    const plain = join(folder, 'plain.safetensors')
    await sequential([input(2), dense(1)]).save(plain, { metadata: { note: 'made\nby hand', '__proto__.x': '1' } })
    const { stdout } = await run(['inspect', plain])
    expect(stdout).toMatch(/A model without a schema/)
    expect(stdout).toMatch(/Notes\n {2}note +made.by hand\n {2}__proto__\.x +1/)
    const weights = join(folder, 'weights.safetensors')
    await writeSafetensors(weights, { w: new NdArray(Float64Array.of(1, 2), [2]) }, { format: 'pt' })
    const other = await run(['inspect', weights])
    expect(other.stdout).toMatch(
      /weights\.safetensors: \d+ bytes, 1 tensor, no model of thalweg\n\nNotes\n {2}format +pt\n\nTensors\nname +type +shape +size\nw +F64 +\[2\] +16 bytes/,
    )
    expect(events(await run(['inspect', weights, '--json']))[0]).toMatchObject({
      model: null,
      schema: null,
      tensors: [{ name: 'w', dtype: 'F64', shape: [2] }],
    })
  })

  test('what is damaged, or no such file', async () => {
    expect(await run(['inspect', join(folder, 'none')])).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^thalweg inspect: .*none.*\n$/),
    })
    const text = join(folder, 'text')
    writeFileSync(text, 'area,street\n')
    expect((await run(['inspect', text])).stderr).toMatch(/expected a safetensors file/)
    const cut = join(folder, 'cut.safetensors')
    writeFileSync(cut, readFileSync(model).subarray(0, -8))
    expect((await run(['inspect', cut])).stderr).toMatch(/cut short/)
    const schema = join(folder, 'schema.safetensors')
    const bytes = readFileSync(model)
    bytes.write('X', bytes.indexOf('\\"columns\\"') + 2)
    writeFileSync(schema, bytes)
    expect(await run(['inspect', schema])).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(/schema/) })
  })
})
