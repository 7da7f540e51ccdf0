import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { loadTabular, readTabularFile } from '../../src/tabular/loadTabular.ts'
import { data, events, type Outcome, run, start, temporaryFolder } from './support.ts'

const folder = temporaryFolder()
const file = (name: string, content: string | Uint8Array) => {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}
const small = ['--epochs', '2', '--members', '1', '--hidden', '8', '--threads', '1']
const lines = (count: number, line: (i: number) => string, header: string) =>
  `${[header, ...Array.from({ length: count }, (_, i) => line(i))].join('\n')}\n`

/** A number that follows from another and a colour. */
const paint = lines(
  80,
  (i) => `${(i * 37) % 80},${['red', 'green', 'blue'][i % 3]},${2 * ((i * 37) % 80) + (i % 3) + 0.5}`,
  'size,colour,price',
)
const paints = file('paint.csv', paint)
/** Whether a size is large. */
const large = file(
  'large.csv',
  lines(120, (i) => `${(i * 37) % 120},${(i * 7) % 11},${(i * 37) % 120 > 55 ? 'yes' : 'no'}`, 'size,other,large').replace(
    '\n37,',
    '\n200,',
  ),
)

const out = (name: string) => join(folder, `${name}.safetensors`)
const train = (path: string, ...more: string[]) => run(['train', path, ...small, ...more])
const failing = async (outcome: Promise<Outcome>, code: number, message: RegExp) => {
  const { stderr, ...rest } = await outcome
  expect({ code: rest.code, lines: stderr.trimEnd().split('\n').at(-1) }).toEqual({ code, lines: expect.stringMatching(message) })
  return stderr
}

describe('thalweg train', () => {
  test('needs the data and --target alone, tells what it takes the columns for, and saves what predicts', async () => {
    const path = out('houses')
    const rows = readFileSync(data('ames.csv'), 'utf8').split('\n').slice(0, 301).join('\n')
    const { code, stdout, stderr } = await train(file('houses.csv', rows), '--target', 'Sale_Price', '--out', path)
    expect({ code, stderr }).toMatchObject({ code: 0 })
    expect(stdout).toMatch(/^Scores on 60 rows held out:\n {2}R² /)
    expect(stdout).toContain(`The model is in ${path}.`)
    expect(stderr).toContain('300 rows, 74 columns:')
    expect(stderr).toMatch(/category +\d+ {2}/)
    expect(stderr).toMatch(/epoch 2 of 2: loss [\d.]+, R² /)
    const { metadata, model } = await readTabularFile('test', path)
    expect(JSON.parse(metadata.get('thalweg.history') ?? '')).toHaveLength(2)
    expect(JSON.parse(metadata.get('thalweg.evaluation') ?? '')).toHaveProperty('r2Score')
    expect(JSON.parse(metadata.get('thalweg.training') ?? '')).toMatchObject({ 'rows trained on': 240, 'rows held out': 60, seed: 0 })
    expect(model.network.parameterCount).toBeGreaterThan(0)
  })

  test('with --json prints events and nothing else; the last one is the result', async () => {
    const outcome = await train(paints, '--target', 'price', '--out', out('json'), '--json')
    expect(outcome).toMatchObject({ code: 0, stderr: '' })
    const all = events(outcome)
    expect(all.map(({ type }) => type)).toEqual(['schema', 'epoch', 'epoch', 'result'])
    expect(all.at(-1)).toMatchObject({
      model: out('json'),
      targets: ['price'],
      rows: 64,
      heldOutRows: 16,
      epochs: 2,
      evaluation: { r2Score: expect.any(Number) },
    })
  })

  test('with --quiet prints the scores alone', async () => {
    const { stderr, stdout } = await train(paints, '--target', 'price', '--out', out('quiet'), '--quiet')
    expect(stderr).toBe('')
    expect(stdout).toMatch(/^Scores on 16 rows held out/)
  })

  test('the same seed gives the same weights, from a file, compressed, and standard input; another seed gives others', async () => {
    await train(paints, '-t', 'price', '--out', out('one'))
    await train(file('paint.csv.gz', gzipSync(paint)), '-t', 'price', '--out', out('two'))
    expect((await run(['train', '-', ...small, '-t', 'price', '--out', out('three')], { stdin: paint })).code).toBe(0)
    await train(paints, '-t', 'price', '--out', out('four'), '--seed', '5')
    const answers = await Promise.all(
      ['one', 'two', 'three', 'four'].map(async (name) => (await loadTabular(out(name))).predict({ size: '31', colour: 'red' })),
    )
    expect(answers[1]).toEqual(answers[0])
    expect(answers[2]).toEqual(answers[0])
    expect(answers[3]).not.toEqual(answers[0])
  })

  test('JSON lines on standard input are known by their first brace', async () => {
    const rows = Array.from({ length: 60 }, (_, i) => JSON.stringify({ size: (i * 7) % 60, price: ((i * 7) % 60) * 3 + 0.5 })).join('\n')
    expect(await run(['train', '-', ...small, '-t', 'price', '--out', out('lines')], { stdin: rows })).toMatchObject({ code: 0 })
  })

  test('--folds scores each fold, and the model is then trained on all rows', async () => {
    const outcome = await train(large, '--target', 'large', '--out', out('folds'), '--folds', '3', '--json')
    const all = events(outcome)
    expect(all.map(({ type }) => type)).toEqual(['schema', 'fold', 'fold', 'fold', 'epoch', 'epoch', 'result'])
    expect(all.at(-1)).toMatchObject({
      rows: 120,
      heldOutRows: 0,
      folds: [{}, {}, {}],
      evaluation: { accuracy: expect.any(Number), rocAuc: expect.any(Number) },
    })
    const { metadata } = await readTabularFile('test', out('folds'))
    expect(JSON.parse(metadata.get('thalweg.folds') ?? '')).toHaveLength(3)
  })

  test('--report writes a page with what training did and how good the predictions are', async () => {
    const page = join(folder, 'large.html')
    expect(await train(large, '--target', 'large', '--out', out('reported'), '--report', page)).toMatchObject({ code: 0 })
    const [, json] = /id="report-data">(.*?)<\/script>/s.exec(readFileSync(page, 'utf8')) ?? []
    const report = JSON.parse(json)
    expect(report).toMatchObject({
      task: 'binary',
      target: 'large',
      results: { rows: 24, labels: ['no', 'yes'] },
      data: { rows: 120 },
      training: { state: 'ended', completed: 2 },
      importance: { columns: [{ name: 'size' }, { name: 'other' }] },
    })
    expect(Object.keys(report.training.curves)).toContain('validationLoss')
    expect(report.configuration.command).toContain('thalweg train')
  })

  test('--stream reads the file anew for each epoch and holds out a part of it', async () => {
    const outcome = await train(paints, '-t', 'price', '--out', out('streamed'), '--stream', '--json')
    const result = events(outcome).at(-1) as { rows: number; heldOutRows: number }
    expect(result.rows + result.heldOutRows).toBe(80)
    expect(result.heldOutRows).toBeGreaterThan(0)
    const automatic = events(await train(paints, '-t', 'price', '--out', out('streamed'), '--memory', '1kB', '--json')).at(-1)
    expect(automatic).toMatchObject({ rows: result.rows, evaluation: (result as { evaluation?: object }).evaluation })
  })

  test('--column, --ignore and several targets change the schema', async () => {
    const path = out('columns')
    const outcome = await train(
      large,
      '-t',
      'large,other',
      '--column',
      'size=number(bins=4)',
      '--column',
      'other=number',
      '--out',
      path,
      '--json',
    )
    expect(outcome.stderr).toBe('')
    expect(events(outcome)[0]).toMatchObject({
      columns: [
        { name: 'size', kind: 'number', options: { bins: 4 } },
        { name: 'other', role: 'target', kind: 'number' },
        { name: 'large', role: 'target', kind: 'category' },
      ],
    })
    expect(events(outcome).at(-1)).toMatchObject({
      evaluation: { 'large.accuracy': expect.any(Number), 'other.r2Score': expect.any(Number) },
    })
    await failing(train(large, '-t', 'large', '--ignore', 'size,other', '--out', path), 1, /no column is left to predict from/)
  })

  test('--config gives options; those of the command line win', async () => {
    const config = file(
      'config.json',
      JSON.stringify({ target: 'price', epochs: 3, hidden: [4, 4], column: ['colour=category'], test: 0.5, members: 1 }),
    )
    const outcome = await run(['train', paints, '--config', config, '--epochs', '2', '--out', out('config'), '--json'])
    expect(outcome.stderr).toBe('')
    expect(events(outcome).at(-1)).toMatchObject({ targets: ['price'], epochs: 2, rows: 40 })
    const { metadata } = await readTabularFile('test', out('config'))
    expect(JSON.parse(metadata.get('thalweg.training') ?? '')).toMatchObject({ hidden: '4,4', members: '1' })
  })

  test('the model is by default named after the data, and put here', async () => {
    const before = process.cwd()
    const here = join(folder, 'here')
    mkdirSync(here)
    process.chdir(here)
    try {
      expect(await train(join(folder, 'paint.csv.gz'), '-t', 'price')).toMatchObject({ code: 0 })
      expect(readdirSync(here)).toEqual(['paint.safetensors'])
    } finally {
      process.chdir(before)
    }
  })
})

describe('thalweg train refuses', () => {
  const cases: [string, () => Promise<Outcome>, number, RegExp][] = [
    ['no target', () => train(paints), 2, /^thalweg train: say which column to predict: --target <column>\.$/],
    [
      'a target that is none',
      () => train(paints, '-t', 'prize'),
      1,
      /^thalweg train: there is no column "prize" for a target; the nearest is "price"\.$/,
    ],
    [
      'a constant target',
      () =>
        train(
          file(
            'constant.csv',
            lines(30, (i) => `${i},7`, 'x,y'),
          ),
          '-t',
          'y',
        ),
      1,
      /target "y": expected different values, got "7" in all 30 rows/,
    ],
    [
      'one class only',
      () =>
        train(
          file(
            'class.csv',
            lines(30, (i) => `${i},yes`, 'x,y'),
          ),
          '-t',
          'y',
        ),
      1,
      /target "y": expected different values, got "yes" in all 30/,
    ],
    [
      'an empty file',
      () => train(file('empty.csv', ''), '-t', 'y'),
      1,
      /^thalweg train: \S*empty\.csv: expected rows, but there is nothing in it\.$/,
    ],
    [
      'a header alone',
      () => train(file('header.csv', 'x,y\n'), '-t', 'y'),
      1,
      /header\.csv: expected rows, got a header and nothing below it/,
    ],
    [
      'a ragged row',
      () => train(file('ragged.csv', `${lines(15, (i) => `${i},${i}.5`, 'x,y')}1,2,3\n`), '-t', 'y'),
      1,
      /ragged\.csv, line 17: expected 2 values, one for each column, got 3/,
    ],
    ['an unclosed quote', () => train(file('quote.csv', 'x,y\n1,2\n"3,4\n'), '-t', 'y'), 1, /quote\.csv, line 3/],
    [
      'a missing target',
      () => train(file('missing.csv', `${lines(30, (i) => `${i},${i}.5`, 'x,y')}31,\n`), '-t', 'y', '--test', '0'),
      1,
      /missing\.csv, line 32, column "y": expected the target, got an empty field; leave such rows out with --missing-target skip\.$/,
    ],
    [
      'a value that is none of its column, held out too',
      () => train(file('word.csv', `${lines(30, (i) => `${i},${i}.5`, 'x,y')}word,3.5\n`), '-t', 'y', '--column', 'x=number'),
      1,
      /word\.csv, line 32, column "x": expected/,
    ],
    [
      'no file',
      () => train(join(folder, 'nowhere.csv'), '-t', 'y'),
      1,
      /^thalweg train: cannot read "\S*nowhere\.csv": there is no such file\.$/,
    ],
    ['a folder', () => train(folder, '-t', 'y'), 1, /is a folder; expected a file/],
    [
      'a damaged gzip',
      () => train(file('cut.csv.gz', gzipSync(paint).subarray(0, 60)), '-t', 'price'),
      1,
      /cut\.csv\.gz: the gzip data end in the middle/,
    ],
    ['a Parquet file that is cut off', () => train(file('cut.parquet', 'PAR1 and no more'), '-t', 'y'), 1, /cut\.parquet/],
    [
      'a polluting key',
      () => train(file('proto.jsonl', `{"x":1,"y":2}\n{"__proto__":{"a":1},"x":2,"y":3}\n`), '-t', 'y'),
      1,
      /proto\.jsonl, line 2.*__proto__/,
    ],
    [
      'a header that pollutes',
      () => train(file('proto.csv', '__proto__,y\n1,2\n'), '-t', 'y'),
      1,
      /proto\.csv, line 1: column 1 is named __proto__/,
    ],
    [
      'an odd share',
      () => train(paints, '-t', 'price', '--test', '2'),
      2,
      /option '--test <share>' argument '2' is invalid\. Expected a number of 0 … 0\.99\./,
    ],
    [
      'a word for a number',
      () => train(paints, '-t', 'price', '--epochs', 'many'),
      2,
      /'--epochs <count>' argument 'many' is invalid\. Expected an integer of at least 1/,
    ],
    [
      'more threads than there may be',
      () => train(paints, '-t', 'price', '--threads', '257'),
      2,
      /'--threads <count>' argument '257' is invalid\. Expected an integer of 1 … 256\./,
    ],
    [
      'an unknown kind',
      () => train(paints, '-t', 'price', '--column', 'colour=categroy'),
      2,
      /Unknown kind "categroy" for --column colour; did you mean "category"\?/,
    ],
    [
      'an unknown option of a kind',
      () => train(paints, '-t', 'price', '--column', 'colour=category(mots=3)'),
      2,
      /--column colour: Unknown option "mots".*did you mean "most"\?/,
    ],
    [
      'a column that is none',
      () => train(paints, '-t', 'price', '--ignore', 'color'),
      1,
      /no row has the column "color"; the nearest is "colour"/,
    ],
    ['ignoring the target', () => train(paints, '-t', 'price', '--ignore', 'price'), 2, /--ignore: "price" is the target/],
    ['--resume without --checkpoint', () => train(paints, '-t', 'price', '--resume'), 2, /--resume needs --checkpoint <folder>/],
    [
      '--every-steps without --checkpoint',
      () => train(paints, '-t', 'price', '--every-steps', '5'),
      2,
      /--every-steps needs --checkpoint <folder>/,
    ],
    ['--port without --watch', () => train(paints, '-t', 'price', '--port', '5'), 2, /--port needs --watch/],
    [
      '--folds with --test',
      () => train(paints, '-t', 'price', '--folds', '3', '--test', '0.3'),
      2,
      /--folds and --test exclude each other/,
    ],
    ['--folds with --stream', () => train(paints, '-t', 'price', '--folds', '3', '--stream'), 2, /--folds is for rows in memory/],
    [
      'streaming standard input',
      () => run(['train', '-', '-t', 'price', '--stream'], { stdin: paint }),
      2,
      /standard input can be read once only/,
    ],
    [
      'standard input twice',
      () => run(['train', '-', '-', '-t', 'price'], { stdin: paint }),
      2,
      /standard input \(-\) can be read once only/,
    ],
    ['more folds than rows', () => train(file('few.csv', 'x,y\n1,2\n2,3\n3,5\n'), '-t', 'y', '--folds', '9'), 1, /fold/],
    [
      'a configuration with an unknown name',
      () => train(paints, '--config', file('odd.json', '{"tagret":"price"}')),
      1,
      /odd\.json; did you mean "target"\?/,
    ],
    [
      'a configuration with a name of other programs',
      () => train(paints, '--config', file('foreign.json', '{"lr":0.01}')),
      1,
      /foreign\.json; did you mean "learningRate"\?/,
    ],
    [
      'a configuration that is no JSON',
      () => train(paints, '--config', file('broken.json', '{"target":')),
      1,
      /broken\.json: expected JSON/,
    ],
    [
      'a configuration of another type',
      () => train(paints, '--config', file('type.json', '{"epochs":true}')),
      1,
      /type\.json: epochs: expected text, a number, or an array of them, got true/,
    ],
    [
      'a configuration out of range',
      () => train(paints, '--config', file('range.json', '{"epochs":0}')),
      1,
      /range\.json: epochs: expected an integer of at least 1, got 0/,
    ],
    [
      'a configuration that is not there',
      () => train(paints, '--config', join(folder, 'no.json')),
      1,
      /--config: cannot read "\S*no\.json": there is no such file/,
    ],
    [
      'a configuration that pollutes',
      () => train(paints, '--config', file('pollute.json', '{"__proto__":{"epochs":2}}')),
      1,
      /Unknown option "__proto__"/,
    ],
  ]
  test.each(cases)('%s', async (_, outcome, code, message) => {
    const before = readdirSync(folder).filter((name) => name.endsWith('.safetensors'))
    const stderr = await failing(outcome(), code, message)
    expect(stderr).not.toMatch(/\n {4}at /)
    expect(readdirSync(folder).filter((name) => name.endsWith('.safetensors'))).toEqual(before)
  })

  test('to overwrite what is no model, and replaces one that is', async () => {
    const precious = file('precious.txt', 'years of work')
    await failing(
      train(paints, '-t', 'price', '--out', precious),
      1,
      /--out: "\S*precious\.txt" is there and is no model of thalweg; it is left as it is/,
    )
    expect(readFileSync(precious, 'utf8')).toBe('years of work')
    const path = out('again')
    await train(paints, '-t', 'price', '--out', path)
    const { ino } = statSync(path)
    await failing(train(file('bad.csv', 'x,y\n1,2\n1\n'), '-t', 'y', '--out', path), 1, /bad\.csv, line 3/)
    expect(statSync(path).ino).toBe(ino)
    expect(await train(paints, '-t', 'price', '--out', path)).toMatchObject({ code: 0 })
    expect(statSync(path).ino).not.toBe(ino)
    await failing(train(paints, '-t', 'price', '--out', folder), 1, /--out: "\S*" is a folder/)
    await failing(train(paints, '-t', 'price', '--out', '/proc/thalweg/x.safetensors'), 1, /--out: "\/proc" cannot be written to|\/proc/)
  })

  test('a report that cannot be written leaves the model, and says so', async () => {
    const path = out('unreported')
    await failing(train(paints, '-t', 'price', '--out', path, '--report', join(paints, 'x.html')), 1, /x\.html/)
    expect(existsSync(path)).toBe(true)
  })
})

describe('thalweg train advises', () => {
  const small = lines(60, (i) => `${i},${2 * i}.5`, 'temp,label')
  const advised = (stderr: string) => /say so: (--column .*)\.\n$/.exec(stderr)?.[1] ?? ''

  test('options of a column as --column takes them, beside those that it has', async () => {
    const path = file('warm.csv', `${small}warm,7\n`)
    const given = await train(path, '-t', 'label', '--column', 'temp=number')
    expect(given.stderr).toContain('column "temp": expected a number, got "warm"; if it stands for a missing value, say so: ')
    expect(advised(given.stderr)).toBe(`--column 'temp=number(missingValues=["NA","N/A","null","warm"])'`)
    expect(advised((await train(path, '-t', 'label')).stderr)).toBe(
      `--column 'temp=number(bins=8, missingValues=["NA","N/A","null","warm"])'`,
    )
    expect(advised((await train(path, '-t', 'label', '--column', 'temp=number(missingValues=["cold"])')).stderr)).toBe(
      `--column 'temp=number(missingValues=["cold","warm"])'`,
    )
  })

  test('of a target too', async () => {
    const path = file('lukewarm.csv', `${small}3,warm\n`)
    const { stderr } = await train(path, '-t', 'label', '--column', 'label=number(scale=none)', '--test', '0')
    expect(advised(stderr)).toBe(`--column 'label=number(scale="none", missingValues=["NA","N/A","null","warm"])'`)
  })

  test.each(['warm', 'a, b', '[x]', '"{ y: 1 }" (z)', "it's", '\\'])('what works: %s', async (word) => {
    const path = file('word.csv', `${small}NA,1\n"${word.replaceAll('"', '""')}",7\n`)
    const given = ['-t', 'label', '--out', out('word')]
    const { stderr } = await train(path, ...given)
    // As a shell reads it.
    const column = advised(stderr)
      .replace(/^--column /, '')
      .replaceAll(`'\\''`, '\0')
      .replaceAll("'", '')
      .replaceAll('\0', "'")
    expect(await train(path, ...given, '--column', column)).toMatchObject({ code: 0 })
  })

  test.each(['5" nails', 'C:\\', 'column.number({ bins: 2 })'])('about a column called %s', async (name) => {
    const path = file('name.csv', `${small.replace('temp', `"${name.replaceAll('"', '""')}"`)}warm,7\n`)
    const { stderr } = await train(path, '-t', 'label')
    expect(advised(stderr)).toBe(`--column '${name}=number(bins=8, missingValues=["NA","N/A","null","warm"])'`)
  })

  test('about a column whose name begins with a blank, as --column takes it', async () => {
    const path = file('blank.csv', `${small.replace('temp', ' temp')}warm,7\n`)
    const given = ['-t', 'label', '--out', out('blank')]
    expect(advised((await train(path, ...given)).stderr)).toMatch(/^--column ' temp=number\(/)
    expect(await train(path, ...given, '--column', ' temp=number(missingValues=["warm"]) ')).toMatchObject({ code: 0 })
    expect(await train(path, ...given, '--column', 'temp=category')).toMatchObject({ code: 1, stderr: expect.stringContaining('" temp"') })
  })

  test('another kind, and single options', async () => {
    const fractions = file('fractions.csv', `${small}1.5,7\n`)
    await failing(train(fractions, '-t', 'label', '--column', 'temp=integer'), 1, /got "?1\.5"?; use --column temp=number for fractions\.$/)
    const gaps = file('gap.csv', `${small},7\n`)
    const strict = train(gaps, '-t', 'label', '--column', 'temp=number(missing=error)')
    await failing(strict, 1, /say what stands in for a missing one, such as missing="median"\.$/)
  })
})

describe('thalweg train warns', () => {
  test('of a column that gives the target away', async () => {
    const { code, stderr } = await train(
      file(
        'leak.csv',
        lines(60, (i) => `${(i * 7) % 13},${i * 2 + 1}.5,${i}.5`, 'x,double,y'),
      ),
      '-t',
      'y',
      '--out',
      out('leak'),
    )
    expect(code).toBe(0)
    expect(stderr).toMatch(
      /^Warning: column "double": its correlation is 1 with the target "y"; if it is not known before the target is, leave it out\.$/m,
    )
  })

  test('and leaves rows without a target out if asked to', async () => {
    const path = file(
      'gaps.csv',
      lines(60, (i) => `${(i * 7) % 60},${i % 3 === 0 ? '' : `${(i * 7) % 60}.5`}`, 'x,y'),
    )
    const outcome = await train(path, '-t', 'y', '--missing-target', 'skip', '--out', out('gaps'), '--json')
    const result = events(outcome).at(-1) as { rows: number; heldOutRows: number }
    expect(result.rows + result.heldOutRows).toBe(40)
  })

  test('NaN and infinite values are an error or missing, and never weights', async () => {
    const path = file('nan.csv', `${lines(60, (i) => `${i},${i}.5`, 'x,y')}Infinity,1.5\n`)
    await failing(train(path, '-t', 'y', '--out', out('nan'), '--column', 'x=number'), 1, /nan\.csv, line 62, column "x"/)
  })

  test('an error is an event as well', async () => {
    const outcome = await train(paints, '-t', 'prize', '--json')
    expect(events(outcome).at(-1)).toMatchObject({ type: 'error', code: 'ERR_DATA', message: expect.stringContaining('"prize"') })
  })
})

test('--watch serves the page on this machine while training goes on', async () => {
  const { child, outcome } = start([
    'train',
    paints,
    '-t',
    'price',
    '--out',
    out('watched'),
    '--watch',
    '--json',
    '--epochs',
    '3000',
    '--members',
    '1',
    '--threads',
    '1',
  ])
  const url = await new Promise<string>((resolve) => {
    child.stdout?.once('data', (line) => resolve(JSON.parse(String(line).split('\n')[0]).url))
  })
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/)
  expect(await (await fetch(url)).text()).toContain('price from')
  child.kill('SIGINT')
  expect(await outcome).toMatchObject({ code: 130 })
}, 30_000)

test('a class of one row, which only the rows held out have, does not stop training', async () => {
  for (const seed of [0, 1, 2, 3, 4, 5]) {
    const rows = lines(40, (i) => `${(i * 7) % 40},${i === 11 ? 'rare' : i % 2 === 0 ? 'even' : 'odd'}`, 'x,y')
    expect(await train(file('rare.csv', rows), '-t', 'y', '--out', out('rare'), '--seed', String(seed))).toMatchObject({ code: 0 })
  }
})
