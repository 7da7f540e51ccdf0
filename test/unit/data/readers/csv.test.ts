import { appendFileSync, createReadStream, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { pathToFileURL } from 'node:url'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import {
  AbortError,
  type CsvOptions,
  csv,
  DataError,
  dataset,
  FileError,
  jsonLines,
  OptionError,
  textLines,
} from '../../../../src/index.ts'

const folder = mkdtempSync(join(tmpdir(), 'thalweg-csv-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** Files of the folder that this process has open. */
const openFiles = () =>
  readdirSync('/proc/self/fd').filter((descriptor) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`).startsWith(folder)
    } catch {
      return false
    }
  })
afterEach(() => {
  if (process.platform === 'linux') expect(openFiles()).toEqual([])
})

const file = (content: string | Uint8Array, name = 'rows.csv') => {
  writeFileSync(join(folder, name), content)
  return join(folder, name)
}

/** A stream of text in pieces of so many bytes. */
const pieces = (content: string | Buffer, size: number) => {
  const bytes = Buffer.from(content)
  return Readable.from(Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size)))
}

const read = (content: string | Buffer, options?: CsvOptions, size = 7) => csv(pieces(content, size), options).toArray()

const message = async (promise: Promise<unknown>): Promise<string> => {
  const error = await promise.then(
    () => null,
    (error) => error,
  )
  expect(error).toBeInstanceOf(DataError)
  return error.message
}

async function placesOf(data: ReturnType<typeof csv>) {
  const all: string[] = []
  for await (const { items, place } of data.pass()) all.push(...items.map((_, i) => place(i)))
  return all
}

describe('csv', () => {
  const spectrum = join(import.meta.dirname, '../../../../node_modules/csv-spectrum')
  it.each(readdirSync(`${spectrum}/csvs`))('reads %s of csv-spectrum', async (name) => {
    const written = JSON.parse(readFileSync(`${spectrum}/json/${name.replace('.csv', '.json')}`, 'utf8'))
    // What it says beside this file is one row in place of a list of rows, with another phone number than the file has.
    const expected = name === 'location_coordinates.csv' ? [{ ...written, 'Contact Phone Number': '2095257564' }] : written
    expect(await csv(`${spectrum}/csvs/${name}`).toArray()).toEqual(expected)
    for (const size of [1, 2, 3, 50]) expect(await read(readFileSync(`${spectrum}/csvs/${name}`), {}, size)).toEqual(expected)
  })

  it('gives back what was written, in whatever pieces it comes, with the line of each record', async () => {
    const value = fc.string({ unit: fc.constantFrom('a', 'é', '🙂', ',', '"', '\n', '\r\n', '\r', ' ', '#', ';'), maxLength: 4 })
    const table = fc
      .integer({ min: 1, max: 4 })
      .chain((width) => fc.array(fc.array(value, { minLength: width, maxLength: width }), { minLength: 1, maxLength: 12 }))
    await fc.assert(
      fc.asyncProperty(
        table,
        fc.constantFrom('\n', '\r\n', '\r'),
        fc.constantFrom(',', ';', '\t', '|'),
        fc.integer({ min: 1, max: 30 }),
        fc.boolean(),
        fc.boolean(),
        async (rows, end, delimiter, size, endsSo, all) => {
          const write = (text: string) => (all || /[",;\t|\r\n#]|^$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)
          const records = [rows[0].map((_, i) => `c${i}`), ...rows].map((row, i) =>
            row.map(i === 0 ? (name) => name : write).join(delimiter),
          )
          const lines = records.map(
            (_, i) =>
              1 +
              records
                .slice(0, i)
                .join(end)
                .split(/\r\n|\n|\r/).length -
              (i === 0 ? 1 : 0),
          )
          const text = records.join(end) + (endsSo ? end : '')
          const data = () => csv(pieces(text, size), { delimiter, comment: '#' })
          expect(await data().toArray()).toEqual(rows.map((row) => Object.fromEntries(row.map((value, i) => [`c${i}`, value]))))
          expect(await placesOf(data())).toEqual(lines.slice(1).map((line) => `the stream, line ${line}`))
        },
      ),
      { numRuns: 300 },
    )
  })

  it('reads files, URLs, streams of both kinds, compressed or not, again and again', async () => {
    const rows = [
      { a: '1', b: 'x' },
      { a: '2', b: '' },
    ]
    const path = file('a,b\n1,x\n2,\n')
    const zipped = file(gzipSync('a,b\n1,x\n2,\n'), 'rows.csv.gz')
    for (const source of [path, pathToFileURL(path), zipped, pathToFileURL(zipped)]) {
      const data = csv(source)
      expect(await data.toArray()).toEqual(rows)
      expect(await data.toArray()).toEqual(rows)
    }
    expect(await csv(new Blob([readFileSync(zipped)]).stream()).toArray()).toEqual(rows)
    expect(await csv(Readable.from(['a,b\n1,', 'x\n2,\n'])).toArray()).toEqual(rows)
    expect(await csv(pieces(readFileSync(zipped), 1)).toArray()).toEqual(rows)
    const once = csv(pieces('a\n1\n', 3))
    await once.toArray()
    await expect(once.toArray()).rejects.toThrow('the stream can be read once, and it has been; give a path')
  })

  it('reads files of many blocks, with and without quotes', async () => {
    const rows = Array.from({ length: 60_000 }, (_, i) => ({ n: String(i), text: i % 1000 < 3 ? `a "${i}",\r\nb` : `plain ${i}`, end: '' }))
    const path = file(
      `n,text,end\r\n${rows.map(({ n, text }) => `${n},"${text.replaceAll('"', '""')}",`.replaceAll(/"(plain \d+)"/g, '$1')).join('\r\n')}`,
    )
    expect(await csv(path).toArray()).toEqual(rows)
    expect(await csv(path).skip(59_999).toArray()).toEqual([rows[59_999]])
    const places = await placesOf(csv(path))
    expect(places[0]).toBe(`${path}, line 2`)
    expect(places[1003]).toBe(`${path}, line ${1003 + 2 + 6}`)
  })

  it.each([
    ['a;b\n1,5;2\n', { a: '1,5', b: '2' }],
    ['a\tb\n1 000\t2\n', { a: '1 000', b: '2' }],
    ['a|b\n1|2\n', { a: '1', b: '2' }],
    ['a;b\n"x,y";2\n"x,z";"3"\n', { a: 'x,y', b: '2' }],
    ['a,b\n"x;y;z",2\n', { a: 'x;y;z', b: '2' }],
    ['a\n1\n', { a: '1' }],
  ])('finds the delimiter of %j', async (text, row) => expect((await read(text))[0]).toEqual(row))

  it('takes options', async () => {
    expect(await read('1,2\n3,4', { header: false })).toEqual([
      { column1: '1', column2: '2' },
      { column1: '3', column2: '4' },
    ])
    expect(await read('1,2\n3,4', { header: ['x', 'y'] })).toEqual([
      { x: '1', y: '2' },
      { x: '3', y: '4' },
    ])
    expect(await read('# hi "there\na,b\n# no\n1,2#\n', { comment: '#' })).toEqual([{ a: '1', b: '2#' }])
    expect(await read(`a,b\n'x,''y',5"\n`, { quote: "'" })).toEqual([{ a: "x,'y", b: '5"' }])
    expect(await read('a,b\n5",x"y\n', { quote: false })).toEqual([{ a: '5"', b: 'x"y' }])
    expect(await read('a,b\n5" pipe,"5" inch\n"x"y,z"\n')).toEqual([
      { a: '5" pipe', b: '"5" inch' },
      { a: '"x"y', b: 'z"' },
    ])
    expect(await read('a b\n1 2\n', { delimiter: ' ' })).toEqual([{ a: '1', b: '2' }])
  })

  it('reads every encoding, with or without a byte-order mark', async () => {
    const text = 'név,b\nő 🙂,"2\n"\n'
    const rows = [{ név: 'ő 🙂', b: '2\n' }]
    const wide = Buffer.from(text, 'utf16le')
    const big = Buffer.from(wide).swap16()
    for (const size of [1, 3, 1000]) {
      expect(await read(`\ufeff${text}`, {}, size)).toEqual(rows)
      expect(await read(Buffer.from(`\ufeff${text}`, 'utf16le'), {}, size)).toEqual(rows)
      expect(await read(Buffer.concat([Buffer.of(0xfe, 0xff), big]), {}, size)).toEqual(rows)
      expect(await read(wide, { encoding: 'utf16le' }, size)).toEqual(rows)
      expect(await read(Buffer.from('né,b\nß,2', 'latin1'), { encoding: 'latin1' }, size)).toEqual([{ né: 'ß', b: '2' }])
      expect(await read(`\ufeff${text}`, { encoding: 'latin1' }, size)).toEqual(rows)
    }
  })

  it('leaves out blank lines, and keeps line numbers right', async () => {
    const data = () => csv(pieces('\r\n\n#c\na,b\n\n1,"2\n\n"\r\n\n# d "\n3,4\n5,"6"', 9), { comment: '#' })
    expect(await data().toArray()).toEqual([
      { a: '1', b: '2\n\n' },
      { a: '3', b: '4' },
      { a: '5', b: '6' },
    ])
    expect(await placesOf(data())).toEqual(['the stream, line 6', 'the stream, line 11', 'the stream, line 12'])
    expect(await placesOf(csv(pieces('a,b\n\n1,2\n\n\n3,4\n', 9)))).toEqual(['the stream, line 3', 'the stream, line 6'])
  })

  it('finds the delimiter by more than the header, however the bytes come', async () => {
    const text = 'price, net;price, gross\n1;2\n3;4\n'
    for (const size of [1, 24, 1000])
      expect(await read(text, {}, size)).toEqual([
        { 'price, net': '1', 'price, gross': '2' },
        { 'price, net': '3', 'price, gross': '4' },
      ])
  })

  it('keeps names that objects have themselves', async () => {
    expect(await read('constructor,toString\n1,2\n')).toEqual([
      Object.fromEntries([
        ['constructor', '1'],
        ['toString', '2'],
      ]),
    ])
  })
})

describe('what csv refuses', () => {
  it('says which stream failed', async () => {
    const missing = createReadStream(join(folder, 'none.csv'))
    await expect(csv(missing).toArray()).rejects.toMatchObject({
      code: 'ERR_FILE',
      message: expect.stringMatching(/^csv: cannot read .*none\.csv: ENOENT/),
      cause: { code: 'ENOENT' },
    })
    const closed = new PassThrough()
    closed.destroy()
    await expect(csv(closed).toArray()).rejects.toThrow(new FileError('csv: cannot read the stream: Premature close.'))
    const ours = Readable.from(
      dataset([1]).map(() => {
        throw new Error('no')
      }),
    )
    await expect(csv(ours).toArray()).rejects.toThrow(/^element 0: no$/)
  })

  it.each([
    [
      'a row that is too short',
      'a,b\n1,2\n3\n',
      'the stream, line 3: expected 2 values, one for each column, got 1; a value that holds the delimiter needs quotes around it.',
    ],
    ['a row that is too long', 'a,b\n1,2\n"x\ny",2\n3,4,5\n', 'the stream, line 5: expected 2 values'],
    [
      'a quote that is not closed',
      'a,b\n1,2\n3,"4\n5,6\n7,8\n',
      'the stream, line 3: the quote that begins value 2 is not closed before the end of the file.',
    ],
    [
      'a quote that begins in a later line',
      'a,b,c\n1,2,2\n3,"4\n\n5","6\n7,8\n',
      'the stream, line 5: the quote that begins value 3 is not closed',
    ],
    ['columns of the same name', 'a,b,a\n1,2,3\n', 'the stream, line 1: column 3 has the name of column 1, "a"; try csv(path, { header:'],
    ['a column without a name', ',b\n1,2\n', 'line 1: column 1 has no name (an index that pandas wrote?'],
    ['a column named __proto__', 'a,__proto__\n1,2\n', 'line 1: column 2 is named __proto__, which is refused'],
    ['nothing', '', 'the stream: expected rows, but there is nothing in it.'],
    ['blank lines', '\n\n', 'the stream: expected rows, but there is nothing in it.'],
    ['a header alone', 'a,b\n', 'the stream: expected rows, got a header and nothing below it.'],
    ['NUL', 'a,b\n1,2\n3,\0\n', 'the stream, line 3: expected text, got a NUL byte; is it a text file?'],
    ['UTF-16 without a mark', Buffer.from('a,b\n1,2\n', 'utf16le'), "it looks like UTF-16, try { encoding: 'utf16le' }"],
    ['UTF-16 big-endian without a mark', Buffer.from('a,b\n1,2\n', 'utf16le').swap16(), "{ encoding: 'utf16be' }"],
    [
      'bytes that are not UTF-8',
      Buffer.from('a,b\n1,2\né,ü\n', 'latin1'),
      "the stream, line 3, byte 1: expected UTF-8, got 0xe9; if the text is in an older encoding, try { encoding: 'latin1' }.",
    ],
    ['a character cut off', Buffer.from('a,b\n1,ü').subarray(0, -1), 'the stream, line 2, byte 3: expected UTF-8, got 0xc3'],
    ['broken UTF-16', Buffer.from([0xff, 0xfe, 0x61, 0, 0x00, 0xd8, 0x61, 0]), 'the stream: not UTF-16LE after byte'],
  ])('%s', async (_, content, expected) => {
    for (const size of [3, 1000]) expect(await message(csv(pieces(content, size)).toArray())).toContain(expected)
  })

  it('gives the rows before the fault', async () => {
    for (const fault of ['3', '3,"4', '3,4,5']) {
      const rows: unknown[] = []
      const reading = async () => {
        for await (const row of csv(pieces(`a,b\n1,2\n${fault}\n`, 1000))) rows.push(row)
      }
      await expect(reading()).rejects.toThrow(DataError)
      expect(rows).toEqual([{ a: '1', b: '2' }])
    }
  })

  it('files that are not there, folders, files that are not gzip or cut off', async () => {
    const missing = await csv(join(folder, 'none.csv'))
      .toArray()
      .catch((error) => error)
    expect(missing).toBeInstanceOf(FileError)
    expect(missing.message).toBe(`csv: cannot read "${join(folder, 'none.csv')}": there is no such file.`)
    expect(missing.cause.code).toBe('ENOENT')
    await expect(csv(folder).toArray()).rejects.toThrow(`csv: "${folder}" is a folder; expected a file.`)
    const zipped = gzipSync(`a,b\n${'1,2\n'.repeat(5000)}`)
    expect(await message(csv(file(zipped.subarray(0, -20))).toArray())).toContain('the gzip data end in the middle: the file is cut off')
    expect(await message(csv(file(zipped.subarray(0, 5))).toArray())).toContain('cut off')
    zipped[30] ^= 255
    expect(await message(csv(file(zipped)).toArray())).toMatch(/the gzip data are damaged|end in the middle/)
  })

  it('a file that changes while it is read', async () => {
    const path = file(`a,b\n${'1,2\n'.repeat(100_000)}`)
    const reading = async () => {
      let isFirst = true
      for await (const _ of csv(path).pass()) {
        if (isFirst) appendFileSync(path, '3,4\n')
        isFirst = false
      }
    }
    await expect(reading()).rejects.toThrow(/was changed while it was read \(400004 bytes before, 400008 after\)/)
  })

  it('records without end, in a bounded part of memory', async () => {
    const options = { maxRecordBytes: 100_000 }
    let given = 0
    const endless = (first: string) =>
      Readable.from(
        (function* () {
          yield Buffer.from(first)
          for (;;) {
            given += 10_000
            yield Buffer.from(`${'x,'.repeat(4999)}\n\n`)
          }
        })(),
      )
    expect(await message(csv(endless('a,b\n1,2\n3,"'), options).toArray())).toBe(
      'the stream, line 3: the quote that begins value 2 is not closed within 100000 bytes; if that is meant, give a larger maxRecordBytes.',
    )
    expect(given).toBeLessThan(1_000_000)
    const line = Readable.from(
      (function* () {
        for (;;) yield Buffer.from('x'.repeat(10_000))
      })(),
    )
    expect(await message(csv(line, options).toArray())).toContain('the stream, line 1: the line has more than 100000 bytes')
  })

  it('streams that are not of bytes, or fail', async () => {
    await expect(csv(Readable.from([{ a: 1 }])).toArray()).rejects.toThrow('csv: the stream must give bytes, got a value of type Object.')
    const failing = () =>
      Readable.from(
        (function* () {
          yield Buffer.from('a,b\n1,2\n')
          throw new RangeError('wire')
        })(),
      )
    await expect(csv(failing()).toArray()).rejects.toThrow(new RangeError('wire'))
    const zipped = gzipSync(`a,b\n${'1,2\n'.repeat(5000)}`)
    const failingZip = Readable.from(
      (function* () {
        yield zipped.subarray(0, 20)
        throw new RangeError('wire')
      })(),
    )
    await expect(csv(failingZip).toArray()).rejects.toThrow(new RangeError('wire'))
  })

  it('anything that is not rows, with a DataError and nothing else', async () => {
    const begin = fc.constantFrom('', 'a,b\n1,2\n', '\ufeffa;b\n"1', '{"a": 1}\n')
    const noise = fc.oneof(
      fc.uint8Array({ maxLength: 30 }),
      fc
        .string({ unit: fc.constantFrom('"', ',', '\n', '\r', '\0', '#', 'é', '{', '}', 'a', '1'), maxLength: 30 })
        .map((text) => Buffer.from(text)),
    )
    const outcome = (promise: Promise<unknown[]>) =>
      promise.then(
        (rows) => rows.every((row) => typeof row === 'object'),
        (error) => error instanceof DataError && /^the stream[,:] /.test(error.message),
      )
    await fc.assert(
      fc.asyncProperty(begin, noise, fc.boolean(), fc.integer({ min: 1, max: 9 }), fc.nat(60), async (text, bytes, zip, size, cut) => {
        const plain = Buffer.concat([Buffer.from(text), bytes])
        const content = zip ? gzipSync(plain).subarray(0, 5 + cut) : plain
        expect(await outcome(csv(pieces(content, size), { comment: '#', maxRecordBytes: 50 }).toArray())).toBe(true)
        expect(await outcome(jsonLines(pieces(content, size)).toArray())).toBe(true)
      }),
      { numRuns: 500 },
    )
  })

  it('options that make no sense', () => {
    for (const options of [
      { delimiter: '' },
      { delimiter: ';;' },
      { delimiter: '\n' },
      { quote: true },
      { comment: 5 },
      { delimiter: '"' },
      { comment: ',', delimiter: ',' },
      { header: 'a' },
      { header: ['a', 'a'] },
      { header: [] },
      { header: [1] },
      { encoding: 'utf-8' },
      { maxRecordBytes: 0 },
      { cast: true },
    ])
      expect(() => csv('x.csv', options as CsvOptions), JSON.stringify(options)).toThrow(OptionError)
    expect(() => csv('x.csv', { sep: ';' } as CsvOptions)).toThrow('did you mean "delimiter"?')
    expect(() => csv(new URL('https://example.com/x.csv'))).toThrow('download the file first')
    expect(() => csv(5 as unknown as string)).toThrow('csv: expected a path, a file URL or a stream of bytes, got 5.')
    expect(() => csv('')).toThrow(OptionError)
  })
})

describe('leaving early', () => {
  const long = `a,b\n${'1,2\n'.repeat(500_000)}`
  it.each([
    ['plain', long],
    ['compressed', gzipSync(long, { level: 0 })],
  ])('closes files (%s)', async (_, content) => {
    const path = file(content, 'long.csv')
    for await (const _ of csv(path)) break
    expect(openFiles()).toEqual([])
    await expect(
      csv(path)
        .map(() => {
          throw new Error('x')
        })
        .toArray(),
    ).rejects.toThrow(`${path}, line 2: x`)
    expect(openFiles()).toEqual([])
    for await (const _ of csv(path).shuffle({ buffer: 10 }).batch(3).prefetch(4).repeat()) break
    expect(openFiles()).toEqual([])
    const controller = new AbortController()
    const reader = csv(path).pass({ signal: controller.signal })
    await reader.next()
    expect(openFiles()).toHaveLength(1)
    controller.abort()
    await expect(reader.next()).rejects.toThrow(AbortError)
  })

  it.each([
    ['plain', Buffer.from('a,b\n1,2\n')],
    ['compressed', gzipSync('a,b\n1,2\n')],
  ])('destroys streams, also those that say nothing more (%s)', async (kind, content) => {
    const make = () => {
      const stream = new Readable({ read() {} })
      stream.push(content)
      return stream
    }
    for (const readAhead of [false, true]) {
      const stream = make()
      for await (const _ of readAhead ? csv(stream).prefetch(50) : csv(stream)) break
      expect(stream.destroyed).toBe(true)
    }
    const stalled = make()
    const reader = csv(stalled).pass({ signal: AbortSignal.timeout(50) })
    if (kind === 'plain') expect((await reader.next()).done).toBe(false)
    const rest = async () => {
      while (!(await reader.next()).done);
    }
    await expect(rest()).rejects.toThrow(AbortError)
    expect(stalled.destroyed).toBe(true)
  })
})

describe('jsonLines and textLines', () => {
  const json = (content: string, size = 5) => jsonLines(pieces(content, size))

  it('reads rows', async () => {
    expect<unknown>(await json('{"a": 1}\r\n\n  \n{"a": [2, "é"], "constructor": "x"}').toArray()).toEqual([
      { a: 1 },
      { a: [2, 'é'], constructor: 'x' },
    ] as unknown[])
    expect(await json('').toArray()).toEqual([])
    expect(await jsonLines(file(gzipSync('{"a":1}\n'))).toArray()).toEqual([{ a: 1 }])
    expect(await textLines(pieces('a\n\nb\r\nc\rd', 2)).toArray()).toEqual(['a', '', 'b', 'c', 'd'])
    expect(await textLines(pieces('a\r', 2)).toArray()).toEqual(['a'])
    expect(await textLines(pieces('a\n\n', 9)).toArray()).toEqual(['a', ''])
    expect(await textLines(pieces('\r\r', 9)).toArray()).toEqual(['', ''])
  })

  it.each([
    ['{"a": 1}\n\n{"a": 1,}\n', 'the stream, line 3: expected a JSON object, got "{\\"a\\": 1,}" ('],
    ['[\n{"a": 1}\n]\n', 'is it one JSON document over several lines?'],
    ['5\n', 'the stream, line 1: expected a JSON object with a value for each column, got 5.'],
    ['[1]\n', 'got an array of 1'],
    ['null\n', 'got null'],
    ['{"a": {"__proto__": {"b": 1}}}\n', 'the stream, line 1: the key "__proto__" is refused'],
    ['{"\\u005f_proto__": 1}\n', 'the key "__proto__" is refused'],
    ['{"constructor": {"prototype": {}}}\n', 'the key "constructor" is refused'],
  ])('refuses %j', async (content, expected) => expect(await message(json(content).toArray())).toContain(expected))

  it('gives the lines that were written, in whatever pieces they come', async () => {
    const line = fc.string({ unit: fc.constantFrom('a', 'é', '🙂', '"', ' '), maxLength: 5 })
    await fc.assert(
      fc.asyncProperty(fc.array(line), fc.constantFrom('\n', '\r\n', '\r'), fc.integer({ min: 1, max: 20 }), async (lines, end, size) => {
        expect(await textLines(pieces(lines.map((text) => text + end).join(''), size)).toArray()).toEqual(lines)
      }),
    )
  })
})
