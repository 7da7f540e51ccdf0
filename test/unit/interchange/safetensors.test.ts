/** The format of files, read by a reader of its own and written by hand; damaged files; and what is left when the disk is full or the process is killed. */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { loadWeights, NdArray, readSafetensors, ThalwegError, writeSafetensors } from '../../../src/index.ts'
import { writeAtomically } from '../../../src/interchange/atomicFile.ts'
import { duplicateKey } from '../../../src/interchange/duplicateKey.ts'
import { SafetensorsFile } from '../../../src/interchange/safetensors.ts'
import { expectRefusal } from '../../training/support.ts'

const folder = mkdtempSync(join(tmpdir(), 'thalweg-files-'))
afterAll(() => rmSync(folder, { recursive: true }))
const at = (name: string) => join(folder, name)

/** A file of this header and these numbers, by the letter of the specification. */
function fileOf(header: unknown, data: Uint8Array = new Uint8Array(0)): Buffer {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeUInt32LE(text.length)
  return Buffer.concat([length, text, data])
}

const bytesOf = (array: ArrayBufferView) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength)

/** What the specification says of a file, in as few words: each tensor as dtype, shape and bytes. */
function readBySpecification(path: string) {
  const file = readFileSync(path)
  const length = Number(file.readBigUInt64LE(0))
  const { __metadata__: metadata, ...tensors } = JSON.parse(file.toString('utf8', 8, 8 + length))
  const data = file.subarray(8 + length)
  const read = ({ dtype, shape, data_offsets: [begin, end] }: { dtype: string; shape: number[]; data_offsets: [number, number] }) => ({
    dtype,
    shape,
    begin,
    bytes: data.subarray(begin, end),
  })
  type Entry = Parameters<typeof read>[0]
  return {
    length,
    size: data.length,
    metadata,
    tensors: new Map(Object.entries(tensors).map(([name, entry]) => [name, read(entry as Entry)])),
  }
}

const tensors = {
  'dense_1.kernel': new NdArray(Float32Array.of(1.5, -0, Number.NaN, Number.NEGATIVE_INFINITY, 1e-45, 3e38), [2, 3]),
  empty: new NdArray(new Int32Array(0), [0, 4]),
  scalar: new NdArray(Float64Array.of(Math.PI), []),
  'größe "n"\n': new NdArray(Int32Array.of(-(2 ** 31), 2 ** 31 - 1), [2]),
  __proto__x: new NdArray(Float32Array.of(7), [1]),
  ['__proto__']: new NdArray(Float32Array.of(8), [1]),
  constructor: new NdArray(Float32Array.of(9), [1]),
}

describe('writing', () => {
  it('gives what the specification says', async () => {
    const path = at('all.safetensors')
    await writeSafetensors(path, tensors, { note: 'für "alle"', ['__proto__']: 'x' })
    const { length, size, metadata, tensors: read } = readBySpecification(path)
    expect(length % 8).toBe(0)
    expect(Object.entries(metadata)).toEqual([
      ['note', 'für "alle"'],
      ['__proto__', 'x'],
    ])
    let total = 0
    const dtypes = { Float32Array: 'F32', Float64Array: 'F64', Int32Array: 'I32' }
    for (const [name, { shape, data }] of Object.entries(tensors)) {
      const dtype = dtypes[data.constructor.name as keyof typeof dtypes]
      expect(read.get(name)).toMatchObject({ dtype, shape })
      expect(Buffer.compare(read.get(name)?.bytes as Buffer, bytesOf(data))).toBe(0)
      expect((read.get(name)?.begin as number) % data.BYTES_PER_ELEMENT).toBe(0)
      total += data.byteLength
    }
    expect([size, read.size]).toEqual([total, Object.keys(tensors).length])
    const back = await readSafetensors(path)
    expect(new Map(Object.entries(back.tensors))).toEqual(new Map(Object.entries(tensors)))
    expect(Object.getPrototypeOf(back.tensors)).toBe(Object.prototype)
    expect(await readSafetensors(readFileSync(path))).toEqual(back)
  })

  const python = spawnSync('python3', ['-c', 'import safetensors.numpy'])
  it.skipIf(python.status !== 0)("gives what Python's safetensors reads (skipped where that is not installed)", async () => {
    const path = at('python.safetensors')
    await writeSafetensors(path, { a: new NdArray(Float32Array.of(1, 2.5), [2, 1]), b: new NdArray(Int32Array.of(-3), []) }, { k: 'v' })
    const script = `
import json, sys
from safetensors import safe_open
with safe_open(sys.argv[1], framework="numpy") as f:
    print(json.dumps([{k: [str(f.get_tensor(k).dtype), f.get_tensor(k).tolist()] for k in sorted(f.keys())}, f.metadata()]))`
    expect(JSON.parse(execFileSync('python3', ['-c', script, path], { encoding: 'utf8' }))).toEqual([
      { a: ['float32', [[1], [2.5]]], b: ['int32', -3] },
      { k: 'v' },
    ])
  })

  it('writes shared memory, keeps the mode of the file that was there, follows links and makes folders', async () => {
    const path = at('deep/er/shared.safetensors')
    const shared = new Float32Array(new SharedArrayBuffer(4096), 64, 100).fill(3)
    const write = (to: string) => writeSafetensors(to, { shared: new NdArray(shared, [100]) })
    await write(path)
    expect([...(await loadWeights(path)).shared.data]).toEqual([...shared])
    execFileSync('chmod', ['640', path])
    symlinkSync(path, at('link'))
    shared.fill(4)
    await write(at('link'))
    expect(statSync(path).mode & 0o777).toBe(0o640)
    expect((await loadWeights(path)).shared.at(0)).toBe(4)
    expect(readdirSync(at('deep/er'))).toEqual(['shared.safetensors'])
  })

  // biome-ignore lint/suspicious/noExplicitAny: what a caller without types can do.
  it.each<[string, any[], string[]]>([
    ['no path', ['', {}], ['expected the path of a file, got ""']],
    ['numbers', [at('x'), { a: [1, 2] }], ['"a" must be an NdArray, got an array of 2']],
    ['nothing', [at('x')], ['expected an object of NdArrays by name, got undefined']],
    ['a number in metadata', [at('x'), {}, { epochs: 3 }], ['metadata "epochs" must be a text, got 3', 'JSON.stringify']],
    ['the name of the metadata', [at('x'), { __metadata__: tensors.scalar }], ['"__metadata__" is taken']],
    ['half a character', [at('x'), { 'a\ud800': tensors.scalar }], ['must be Unicode']],
    ['a misspelt option', [at('x'), {}, {}, { sinal: 1 }], ['did you mean "signal"?']],
  ])('refuses %s', async (_, given, parts) => {
    // @ts-expect-error
    await expectRefusal(() => writeSafetensors(...given), 'ERR_OPTION', ...parts)
    expect(readdirSync(folder)).not.toContain('x')
  })
})

describe('reading', () => {
  it('reads all dtypes, as they are and as float32', async () => {
    const halves = Uint16Array.of(0x3c00, 0xc000, 0x7c00, 0xfc00, 0x0001, 0x8000, 0x7bff, 0x0400, 0x7e00)
    const halfValues = [1, -2, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 2 ** -24, -0, 65504, 2 ** -14, Number.NaN]
    const brain = Uint16Array.of(0x3f80, 0xc049, 0x7f80, 0x8000)
    const brainValues = [1, -3.140625, Number.POSITIVE_INFINITY, -0]
    const cases: [string, ArrayBufferView, number[], string][] = [
      ['F64', Float64Array.of(0.1, -1e300), [0.1, -1e300], 'Float64Array'],
      ['I64', BigInt64Array.of(-(2n ** 53n), 5n), [-(2 ** 53), 5], 'Float64Array'],
      ['U64', BigUint64Array.of(2n ** 53n, 0n), [2 ** 53, 0], 'Float64Array'],
      ['F32', Float32Array.of(0.5, -0), [0.5, -0], 'Float32Array'],
      ['I32', Int32Array.of(-7, 2 ** 31 - 1), [-7, 2 ** 31 - 1], 'Int32Array'],
      ['U32', Uint32Array.of(2 ** 32 - 1, 1), [2 ** 32 - 1, 1], 'Float64Array'],
      ['F16', halves, halfValues, 'Float32Array'],
      ['BF16', brain, brainValues, 'Float32Array'],
      ['I16', Int16Array.of(-32768, 3), [-32768, 3], 'Int32Array'],
      ['U16', Uint16Array.of(65535, 3), [65535, 3], 'Int32Array'],
      ['I8', Int8Array.of(-128, 127), [-128, 127], 'Int32Array'],
      ['U8', Uint8Array.of(255, 0), [255, 0], 'Int32Array'],
      ['BOOL', Uint8Array.of(1, 0), [1, 0], 'Int32Array'],
    ]
    let end = 0
    const header = Object.fromEntries(
      cases.map(([dtype, { byteLength }, values]) => {
        end += byteLength
        return [dtype, { dtype, shape: [values.length], data_offsets: [end - byteLength, end] }]
      }),
    )
    // Behind a header of an odd length, so that nothing begins where a typed array may.
    const file = fileOf(
      `${JSON.stringify(header)}   `.slice(0, 2 * Math.floor(JSON.stringify(header).length / 2) + 1),
      Buffer.concat(cases.map(([, array]) => bytesOf(array))),
    )
    writeFileSync(at('dtypes'), file)
    for (const source of [file, at('dtypes')]) {
      const read = (await readSafetensors(source)).tensors
      const weights = await loadWeights(source)
      for (const [dtype, , values, array] of cases) {
        expect([dtype, read[dtype].data.constructor.name]).toEqual([dtype, array])
        expect([...read[dtype].data]).toEqual(values)
        expect([...weights[dtype].data]).toEqual(values.map(Math.fround))
      }
    }
  })

  it('converts tensors of more than a piece', async () => {
    const data = Float64Array.from({ length: 300_001 }, (_, i) => i / 7)
    await writeSafetensors(at('long'), { data: new NdArray(data, [data.length]) })
    expect((await loadWeights(at('long'))).data.data.every((value, i) => value === Math.fround(i / 7))).toBe(true)
  })

  const entry = (begin: number, end: number, shape = [(end - begin) / 4], dtype: unknown = 'F32') => ({
    dtype,
    shape,
    data_offsets: [begin, end],
  })
  const eight = new Uint8Array(8)
  it.each<[string, Uint8Array, string[]]>([
    ['nothing', new Uint8Array(0), ['got 0 bytes', 'cut short']],
    ['a ZIP archive', Buffer.from('PK\x03\x04 and so on'), ['It looks like a ZIP archive', '.pt']],
    ['a header beyond the end', fileOf({}).subarray(0, 9), ['length of its header', 'got 2']],
    ['a header without end', Buffer.concat([Buffer.alloc(8, 0xff), eight]), ['2 to 8 bytes here, got 18446744073709552000']],
    ['no object', fileOf('[1]'), ['begins with "{"']],
    ['a space in front', fileOf(' {}'), ['begins with "{"']],
    ['no JSON', fileOf('{"a":}'), ['is JSON in UTF-8']],
    ['no UTF-8', fileOf(Buffer.from('{"\xff": 1}', 'latin1').toString('latin1')).fill(0xff, 10, 11), ['UTF-8']],
    [
      'a name twice',
      fileOf('{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"\\u0061":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}'),
      ['each name once, got "a" twice'],
    ],
    ['metadata that are numbers', fileOf({ __metadata__: { a: 1 } }), ['strings in __metadata__, got 1 for "a"']],
    ['metadata that are a list', fileOf({ __metadata__: [] }), ['may have an object as __metadata__']],
    ['an unknown dtype', fileOf({ a: entry(0, 8, [2], 'F8_E4M3') }, eight), ['tensor "a"', 'dtype must be one of F64', 'got "F8_E4M3"']],
    ['a dtype of Object', fileOf({ a: entry(0, 8, [2], 'constructor') }, eight), ['got "constructor"']],
    ['a negative extent', fileOf({ a: entry(0, 8, [-2]) }, eight), ['shape must be an array of integers of at least 0, got [-2]']],
    ['half an extent', fileOf({ a: entry(0, 8, [0.5]) }, eight), ['got [0.5]']],
    ['a shape that overflows', fileOf({ a: entry(0, 8, [2 ** 52, 2 ** 52]) }, eight), ['takes', 'data_offsets are 0 and 8']],
    ['a wrong shape', fileOf({ a: entry(0, 8, [3]) }, eight), ['F32 of shape [3] takes 12 bytes, but data_offsets are 0 and 8']],
    ['offsets in reverse', fileOf({ a: { dtype: 'F32', shape: [2], data_offsets: [8, 0] } }, eight), ['data_offsets are 8 and 0']],
    ['one offset', fileOf({ a: { dtype: 'F32', shape: [2], data_offsets: [8] } }, eight), ['two integers']],
    ['an overlap', fileOf({ a: entry(0, 8), b: entry(4, 8) }, eight), ['tensor "b" must begin where the one before it ends, at byte 8']],
    ['a hole', fileOf({ a: entry(0, 4), b: entry(8, 12) }, new Uint8Array(12)), ['at byte 4 of the data, got 8']],
    ['bytes in front', fileOf({ a: entry(4, 8) }, eight), ['at byte 0 of the data, got 4']],
    ['missing bytes', fileOf({ a: entry(0, 8) }, eight).subarray(0, -1), ['take 8 bytes, but 7 follow', 'cut short']],
    ['bytes too many', fileOf({ a: entry(0, 4) }, eight), ['take 4 bytes, but 8 follow', 'Something was added']],
  ])('refuses %s', async (_, file, parts) => {
    await expectRefusal(() => readSafetensors(file), 'ERR_DATA', 'readSafetensors: the bytes given', ...parts)
    writeFileSync(at('bad'), file)
    await expectRefusal(() => loadWeights(at('bad')), 'ERR_DATA', `loadWeights: "${at('bad')}"`, ...parts)
  })

  it('refuses a file that is not there, a folder, and one that changes', async () => {
    await expectRefusal(() => loadWeights(at('none')), 'ERR_FILE', at('none'), 'no such file')
    await expectRefusal(() => loadWeights(folder), 'ERR_FILE', 'it is a folder')
    await writeSafetensors(at('changes'), { a: new NdArray(new Float32Array(1000), [1000]) })
    const file = await SafetensorsFile.open('load', at('changes'))
    truncateSync(at('changes'), 200)
    await expectRefusal(() => file.read('a'), 'ERR_DATA', at('changes'), 'changed while it was read')
    await file.close()
    await expectRefusal(() => loadWeights(at('long'), { signal: AbortSignal.abort() }), 'ABORT_ERR', 'was stopped')
  })

  it('refuses a file cut at any byte, and any changed byte of a header is refused or harmless', async () => {
    await writeSafetensors(at('small'), { a: tensors['dense_1.kernel'], b: tensors.scalar }, { note: 'x' })
    const whole = readFileSync(at('small'))
    for (let length = 0; length < whole.length; length++) await expectRefusal(() => readSafetensors(whole.subarray(0, length)), 'ERR_DATA')
    const header = 8 + Number(whole.readBigUInt64LE())
    let read = 0
    for (let i = 0; i < header; i++)
      for (let bit = 0; bit < 8; bit++) {
        const damaged = Buffer.from(whole)
        damaged[i] ^= 1 << bit
        await readSafetensors(damaged).then(
          () => read++,
          (error) => expect(error).toBeInstanceOf(ThalwegError),
        )
      }
    // Other names and texts are as good.
    expect(read).toBeGreaterThan(0)
    expect(read).toBeLessThan(header * 3)
  })

  it('gives back what was written, whatever it is', async () => {
    const array = fc.oneof(fc.float32Array(), fc.float64Array(), fc.int32Array()) as fc.Arbitrary<Float32Array>
    const named = fc.dictionary(
      fc.string({ unit: 'grapheme' }),
      array.map((data) => new NdArray(data, [data.length])),
    )
    await fc.assert(
      fc.asyncProperty(named, fc.dictionary(fc.string(), fc.string()), async (given, metadata) => {
        await writeSafetensors(at('any'), given, metadata)
        const back = await readSafetensors(at('any'))
        expect(new Map(Object.entries(back.tensors))).toEqual(new Map(Object.entries(given)))
        expect(new Map(Object.entries(back.metadata))).toEqual(new Map(Object.entries(metadata)))
      }),
      { numRuns: 60 },
    )
  })

  it('reads texts of many megabytes', async () => {
    const metadata = { long: 'x'.repeat(12_000_000), quotes: '"\\'.repeat(3_000_000) }
    await writeSafetensors(at('long'), {}, metadata)
    const back = await readSafetensors(at('long'))
    expect(back.metadata.long === metadata.long && back.metadata.quotes === metadata.quotes).toBe(true)
  })

  it('finds names that JSON has twice', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(duplicateKey(JSON.stringify(value))).toBe(null)
        expect(duplicateKey(`{"a": ${JSON.stringify(value)}, "b": [{"x\\"": 1, "x\\u0022": 2}]}`)).toBe('x"')
      }),
    )
  })
})

describe('a file is there as a whole or not at all', () => {
  it('keeps what was there when the pieces fail or are stopped, and leaves nothing beside it', async () => {
    mkdirSync(at('kept'))
    const path = at('kept/file.txt')
    await writeAtomically('test', path, ['before'])
    async function* failing() {
      yield 'after'
      throw new RangeError('no more')
    }
    await expect(writeAtomically('test', path, failing())).rejects.toThrow(RangeError)
    const stop = new AbortController()
    async function* stopped() {
      yield 'after'
      stop.abort('enough')
      yield 'more'
    }
    await expectRefusal(() => writeAtomically('test', path, stopped(), { signal: stop.signal }), 'ABORT_ERR', 'was stopped', path)
    await expectRefusal(() => writeAtomically('test', at('kept/file.txt/below'), ['x']), 'ERR_FILE', 'cannot be written')
    await expectRefusal(() => writeAtomically('test', at('kept'), ['x']), 'ERR_FILE', 'it is a folder')
    await expectRefusal(() => writeAtomically('test', '/proc/none/below', ['x']), 'ERR_FILE', 'cannot be written')
    expect([readFileSync(path, 'utf8'), readdirSync(at('kept'))]).toEqual(['before', ['file.txt']])
  })

  const disk = at('disk')
  mkdirSync(disk)
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk]).status === 0
  afterAll(() => {
    if (mounted) execFileSync('umount', [disk])
  })
  it.skipIf(!mounted)('keeps what was there when the disk is full (skipped where a small disk cannot be mounted)', async () => {
    const path = join(disk, 'net.safetensors')
    const write = (size: number) => writeSafetensors(path, { a: new NdArray(new Float32Array(size).fill(size), [size]) })
    await write(2000)
    await expectRefusal(() => write(40_000), 'ERR_FILE', path, 'the disk is full: 156 KiB are needed', 'are free', 'Make room')
    expect(readdirSync(disk)).toEqual(['net.safetensors'])
    expect((await loadWeights(path)).a.at(1999)).toBe(2000)
    await write(3000)
    expect((await loadWeights(path)).a.shape).toEqual([3000])
  })

  it('has one of the two files when the process is killed', async () => {
    const path = at('killed.safetensors')
    const script = `
      import { NdArray, writeSafetensors } from ${JSON.stringify(new URL('../../../src/index.ts', import.meta.url).href)}
      for (let i = 1; ; i++) {
        await writeSafetensors(${JSON.stringify(path)}, { a: new NdArray(new Float32Array(200_000).fill(i), [200_000]) })
        if (i === 1) console.log('begun')
      }`
    for (let run = 0; run < 4; run++) {
      const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      await once(child.stdout, 'data')
      await new Promise((resolve) => setTimeout(resolve, run * 11))
      child.kill('SIGKILL')
      await once(child, 'exit')
      const { data } = (await loadWeights(path)).a
      expect(data.every((value) => value === data[0] && value > 0)).toBe(true)
    }
  }, 60_000)
})
