import { spawnSync } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { beforeAll, describe, expect, test } from 'vitest'
import { csv, dense, input, loadTabular, sequential, type TabularModel, writeSafetensors } from '../../src/index.ts'
import { houses, saveHouses, saveStreets } from './models.ts'
import { root, run, start, temporaryFolder } from './support.ts'

const folder = temporaryFolder()
let [model, streetsModel] = ['', '']
let table: TabularModel
const table_csv = ['id,area,street', ...houses.map(({ area, street }, i) => `${i},${area},${street}`)].join('\n')
const file = join(folder, 'houses.csv')

beforeAll(async () => {
  model = await saveHouses(folder)
  streetsModel = await saveStreets(folder)
  table = await loadTabular(model)
  writeFileSync(file, table_csv)
})

const parsed = (text: string) => csv(Readable.from([Buffer.from(text)])).toArray()

describe('predict', () => {
  test('answers CSV from standard input, in order, as the model does', async () => {
    const { code, stdout, stderr } = await run(['predict', model], { stdin: table_csv })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const expected = await table.predict(houses)
    expect((await parsed(stdout)).map(({ price }) => Number(price))).toEqual(expected.map(({ price }) => price))
  })

  test('answers are the same from a file, from gzip, and however many rows are taken together', async () => {
    const { stdout } = await run(['predict', model, file])
    const compressed = join(folder, 'houses.csv.gz')
    writeFileSync(compressed, gzipSync(table_csv))
    expect((await run(['predict', model, compressed])).stdout).toBe(stdout)
    expect((await run(['predict', model, '-'], { stdin: gzipSync(table_csv) })).stdout).toBe(stdout)
    const [one, all] = await Promise.all(
      ['7', '1024'].map(async (size) => parsed((await run(['predict', model, file, '--batch-size', size])).stdout)),
    )
    one.forEach(({ price }, i) => expect(Number(price) / Number(all[i].price)).toBeCloseTo(1, 5))
  })

  test('JSON lines are answered by JSON lines, and either by the other', async () => {
    const lines = houses.map(({ area, street }) => JSON.stringify({ area, street })).join('\n')
    const [first] = (await run(['predict', model], { stdin: lines })).stdout.split('\n')
    const [{ price }] = await parsed((await run(['predict', model], { stdin: table_csv })).stdout)
    expect(JSON.parse(first).price).toBe(Number(price))
    expect((await run(['predict', model, '--output-format', 'csv'], { stdin: lines })).stdout).toMatch(/^price\n\d/)
    for (const options of [['--output-format', 'jsonLines'], ['--json']])
      expect((await run(['predict', model, ...options], { stdin: table_csv })).stdout.split('\n')[0]).toBe(first)
    expect((await run(['predict', model, '--output-format', 'tsv', '--keep-all'], { stdin: table_csv })).stdout).toMatch(
      /^id\tarea\tstreet\tprice\n/,
    )
  })

  test('keeps columns in front; a prediction beside its truth gets another name', async () => {
    const rows = 'area,price,street\n80,1,"Elm"\n90,"2,5",Oak\n'
    const { stdout } = await run(['predict', model, '--keep', 'street,price'], { stdin: rows })
    expect(stdout).toMatch(/^street,price,predicted_price\nElm,1,\d[\d.]*\nOak,"2,5",\d[\d.]*\n$/)
    const { stdout: lines } = await run(['predict', model, '--keep-all', '--json'], { stdin: rows })
    expect(JSON.parse(lines.split('\n')[1])).toEqual({ area: '90', price: '2,5', street: 'Oak', predicted_price: expect.any(Number) })
    const both = await run(['predict', model, '--keep-all', '--keep', 'area'], { stdin: rows })
    expect(both).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('exclude each other') })
    const unknown = await run(['predict', model, '--keep', 'stret'], { stdin: rows })
    expect(unknown).toMatchObject({ code: 1, stdout: '' })
    expect(unknown.stderr).toBe('thalweg predict: standard input, line 1: --keep: there is no column "stret"; did you mean "street"?\n')
  })

  test('classes have a probability, or one each; several targets carry their names', async () => {
    const { stdout } = await run(['predict', streetsModel, '--probabilities'], { stdin: 'price\n100000\n' })
    const [header, line] = stdout.split('\n').map((text) => text.split(','))
    expect(header).toEqual([
      'area',
      'street',
      'street.probability',
      'street.probability.Ash',
      'street.probability.Elm',
      'street.probability.Oak',
    ])
    const [, label, best, ...each] = line
    expect(['Ash', 'Elm', 'Oak'][each.map(Number).indexOf(Number(best))]).toBe(label)
    expect(each.reduce((sum, value) => sum + Number(value), 0)).toBeCloseTo(1, 6)
    const { stdout: json } = await run(['predict', streetsModel], { stdin: '{"price": 100000}\n' })
    expect(JSON.parse(json)).toEqual({ area: Number(line[0]), street: { label, probability: Number(best) } })
    const none = await run(['predict', model, '--probabilities'], { stdin: table_csv })
    expect(none).toMatchObject({
      code: 1,
      stderr: 'thalweg predict: --probabilities is for classes, and the model predicts price, which is none.\n',
    })
  })

  test('a header alone is answered by a header, no rows of JSON by nothing; nothing at all is an error', async () => {
    expect(await run(['predict', model], { stdin: 'area,street\n' })).toEqual({ code: 0, stdout: 'price\n', stderr: '' })
    expect(await run(['predict', model, '--keep-all'], { stdin: 'area,street\n' })).toEqual({
      code: 0,
      stdout: 'area,street,price\n',
      stderr: '',
    })
    expect(await run(['predict', model, '--input-format', 'jsonLines'], { stdin: '' })).toEqual({ code: 0, stdout: '', stderr: '' })
    expect(await run(['predict', model], { stdin: '' })).toEqual({
      code: 1,
      stdout: '',
      stderr: 'thalweg predict: standard input: expected rows, but there is nothing in it.\n',
    })
  })
})

describe('bad rows', () => {
  const rows = 'area,street\n80,Elm\nwide,Elm\n90\n70,Elm\n60,Birch\n'

  test('stop: those before it are answered, and the message says which line', async () => {
    const { code, stdout, stderr } = await run(['predict', model], { stdin: rows })
    expect(code).toBe(1)
    expect(stdout).toMatch(/^price\n[\d.]+\n$/)
    expect(stderr).toMatch(/^thalweg predict: standard input, line 3, column "area": expected .*"wide".*\n$/)
    expect((await run(['predict', model], { stdin: 'area,street\n70,Birch\n' })).stderr).toMatch(/line 2, column "street": .*"Birch"/)
    expect((await run(['predict', model], { stdin: 'area,street\n70,Elm\n80\n' })).stderr).toMatch(/line 3: expected 2 values/)
  })

  test('skip and blank: the others are answered, and the failures reported', async () => {
    const skipped = await run(['predict', model, '--keep', 'area', '--on-error', 'skip'], { stdin: rows })
    expect(skipped.code).toBe(0)
    expect(skipped.stdout.split('\n').map((line) => line.split(',')[0])).toEqual(['area', '80', '70', ''])
    expect(skipped.stderr).toMatch(
      /^thalweg predict: 3 of 5 rows could not be predicted and were left out; the first: standard input, line 3, column "area": .*\n$/,
    )
    const blank = await run(['predict', model, '--on-error', 'blank'], { stdin: rows })
    expect(blank.stdout).toMatch(/^price\n[\d.]+\n""\n""\n[\d.]+\n""\n$/)
    expect(blank.stderr).toMatch(/3 of 5 rows .* left blank/)
  })

  test('JSON lines that are none, or that could reach prototypes', async () => {
    const lines = '{"area": 80, "street": "Elm"}\n{"area": 80, \n{"__proto__": {"area": 1}, "street": "Elm"}\n{"street": "Elm"}\n[1]\n'
    const { stdout, stderr } = await run(['predict', model, '--on-error', 'blank'], { stdin: lines })
    expect(stdout.trimEnd().split('\n').slice(1)).toEqual(Array(4).fill('{"price":null}'))
    expect(stderr).toMatch(/4 of 5 rows .*line 2: expected a JSON object/)
    expect((await run(['predict', model], { stdin: lines.split('\n')[2] })).stderr).toMatch(/line 1: the key "__proto__" is refused/)
    expect(({} as { area?: unknown }).area).toBeUndefined()
  })

  test('columns that are missing are said once, whatever is to become of bad rows', async () => {
    const { code, stdout, stderr } = await run(['predict', model, '--on-error', 'skip'], { stdin: 'aera,street\n80,Elm\n' })
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toBe(
      'thalweg predict: standard input, line 1: expected the columns of the schema, got none called "area"; there is "aera".\n',
    )
  })

  test('with all columns kept as CSV, a column that comes later is refused', async () => {
    const lines = '{"area": 80, "street": "Elm"}\n{"area": 80, "street": "Elm", "note": "x"}\n'
    const { code, stderr } = await run(['predict', model, '--keep-all', '--output-format', 'csv'], { stdin: lines })
    expect(code).toBe(1)
    expect(stderr).toMatch(/a column "note", which the first row has not/)
  })
})

describe('files', () => {
  test('--out writes the whole, or leaves what was there', async () => {
    const out = join(folder, 'made', 'prices.csv')
    const written = await run(['predict', model, file, '--out', out])
    expect(written).toMatchObject({ code: 0, stdout: '' })
    const before = readFileSync(out, 'utf8')
    expect(before).toBe((await run(['predict', model, file])).stdout)
    const failed = await run(['predict', model, '--out', out], { stdin: 'area,street\n80,Elm\nwide,Elm\n' })
    expect(failed.code).toBe(1)
    expect(readFileSync(out, 'utf8')).toBe(before)
    expect(readdirSync(join(folder, 'made'))).toEqual(['prices.csv'])
    for (const read of [model, file])
      expect(await run(['predict', model, file, '--out', read])).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('would replace'),
      })
  })

  test('a folder in place of a file, and a full disk', async () => {
    mkdirSync(join(folder, 'occupied'))
    const occupied = await run(['predict', model, file, '--out', join(folder, 'occupied')])
    expect(occupied).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^thalweg predict: ".*occupied" cannot be written: it is a folder.*\n$/),
    })
    const nowhere = await run(['predict', model, file, '--out', '/proc/thalweg/prices.csv'])
    expect(nowhere).toMatchObject({ code: 1, stderr: expect.stringMatching(/cannot be written/) })
  })

  test('a disk that fills up while --out is written: what was there is as it was', async () => {
    const disk = join(folder, 'disk')
    mkdirSync(disk)
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', disk]).status !== 0)
      return console.warn('skipped: tmpfs cannot be mounted')
    try {
      const out = join(disk, 'prices.csv')
      writeFileSync(out, 'before')
      const rows = `area,street\n${'80,Elm\n'.repeat(5000)}`
      const { code, stderr } = await run(['predict', model, '--out', out, '--keep-all'], { stdin: rows })
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr: expect.stringMatching(/^thalweg predict: ".*prices\.csv" cannot be written, the disk is full/),
      })
      expect(readdirSync(disk)).toEqual(['prices.csv'])
      expect(readFileSync(out, 'utf8')).toBe('before')
    } finally {
      spawnSync('umount', [disk])
    }
  })

  test('what is no model for rows', async () => {
    const text = await run(['predict', file, file])
    expect(text).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(/expected a safetensors file/) })
    const plain = join(folder, 'plain.safetensors')
    await sequential([input(2), dense(1)]).save(plain)
    expect((await run(['predict', plain, file])).stderr).toMatch(/plain\.safetensors holds a model without a schema/)
    const weights = join(folder, 'weights.safetensors')
    await writeSafetensors(weights, {})
    expect((await run(['predict', weights, file])).stderr).toMatch(/without a model/)
    expect((await run(['predict', model, join(folder, 'nowhere.csv')])).stderr).toMatch(/^thalweg predict: .*nowhere\.csv.*\n$/)
    expect((await run(['predict', model, model])).code).toBe(1)
  })

  test('a signal ends it with 130, and leaves no file', async () => {
    const stop = new AbortController()
    const out = join(folder, 'stopped.csv')
    async function* endless() {
      yield Buffer.from('area,street\n')
      for (let i = 0; ; i++) {
        if (i === 50) stop.abort('SIGINT')
        yield Buffer.from('80,Elm\n'.repeat(100))
      }
    }
    const { code } = await run(['predict', model, '--out', out], {
      stdin: Readable.from(endless(), { objectMode: false }),
      signal: stop.signal,
    })
    expect(code).toBe(130)
    expect(readdirSync(folder).filter((name) => name.includes('stopped'))).toEqual([])
  })
})

describe('in a process of its own', () => {
  test('answers the rows of a pipe, and ends quietly when nobody reads on', async () => {
    const { child, outcome } = start(['predict', model])
    child.stdin.on('error', () => {})
    child.stdin.write('area,street\n')
    const more = setInterval(() => child.stdin.write('80,Elm\n'.repeat(20_000)), 5)
    child.stdout.once('data', () => child.stdout.destroy())
    const { code, stderr } = await outcome
    clearInterval(more)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  }, 20_000)

  test.runIf(existsSync('/dev/full'))(
    'a full disk behind standard output',
    () => {
      const full = openSync('/dev/full', 'w')
      const command = ['--import', 'tsx', join(root, 'src/cli/main.ts'), 'predict', model, file]
      const { status, stderr } = spawnSync(process.execPath, command, { cwd: root, stdio: ['ignore', full, 'pipe'], encoding: 'utf8' })
      closeSync(full)
      expect({ status, stderr }).toEqual({
        status: 1,
        stderr: expect.stringMatching(/^thalweg predict: standard output cannot be written: ENOSPC.*\n$/),
      })
    },
    20_000,
  )

  test('an answer does not wait for rows that have not come', async () => {
    const { child, outcome } = start(['predict', model])
    let told = ''
    const answered = new Promise<void>((done) => {
      child.stdout.on('data', (piece) => {
        told += piece
        if (told.split('\n').length === 3) done()
      })
    })
    child.stdin.write('area,street\n80,Elm\n')
    await answered
    child.stdin.end('90,Oak\n')
    expect((await outcome).stdout).toMatch(/^price\n[\d.]+\n[\d.]+\n$/)
  }, 20_000)
})
