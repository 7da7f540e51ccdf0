import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import type { NumberArray } from '../../../../src/data/ndarray.ts'
import { idx, readIdx } from '../../../../src/data/readers/idx.ts'
import { DataError, FileError, ThalwegError } from '../../../../src/errors.ts'
import { isOpen } from './openFiles.ts'

const folder = mkdtempSync(join(tmpdir(), 'thalweg-idx-'))
afterAll(() => rmSync(folder, { recursive: true }))

let files = 0
function write(bytes: Uint8Array): string {
  const path = join(folder, `${files++}.idx`)
  writeFileSync(path, bytes)
  return path
}

const CODES = new Map<unknown, number>([
  [Uint8Array, 0x08],
  [Int8Array, 0x09],
  [Int16Array, 0x0b],
  [Int32Array, 0x0c],
  [Float32Array, 0x0d],
  [Float64Array, 0x0e],
])

/** The format, written from its description: big-endian whatever the machine is. */
function encode(values: NumberArray, shape: readonly number[]): Buffer {
  const header = Buffer.from([0, 0, CODES.get(values.constructor) ?? 0, shape.length])
  const extents = Buffer.alloc(4 * shape.length)
  shape.forEach((extent, axis) => extents.writeUInt32BE(extent, 4 * axis))
  const size = values.BYTES_PER_ELEMENT
  const body = new DataView(new ArrayBuffer(values.length * size))
  values.forEach((value, i) => {
    if (values instanceof Uint8Array) body.setUint8(i, value)
    else if (values instanceof Int8Array) body.setInt8(i, value)
    else if (values instanceof Int16Array) body.setInt16(2 * i, value)
    else if (values instanceof Int32Array) body.setInt32(4 * i, value)
    else if (values instanceof Float32Array) body.setFloat32(4 * i, value)
    else body.setFloat64(8 * i, value)
  })
  return Buffer.concat([header, extents, Buffer.from(body.buffer)])
}

const arrays = fc
  .tuple(
    fc.constantFrom(Uint8Array, Int8Array, Int16Array, Int32Array, Float32Array, Float64Array),
    fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 4 }),
  )
  .chain(([array, shape]) => {
    const size = shape.reduce((product, extent) => product * extent, 1)
    return fc.record({
      values: fc.array(fc.integer({ min: 0, max: 2 ** 31 - 1 }), { minLength: size, maxLength: size }).map((list) => array.from(list)),
      shape: fc.constant(shape),
    })
  })

describe('readIdx', () => {
  it('reads what was written, of all types, compressed or not', async () => {
    const path = join(folder, 'property.idx')
    await fc.assert(
      fc.asyncProperty(arrays, fc.boolean(), async ({ values, shape }, compressed) => {
        const bytes = encode(values, shape)
        writeFileSync(path, compressed ? gzipSync(bytes) : bytes)
        const read = await readIdx(path)
        expect(read.shape).toEqual(shape)
        expect(read.data).toEqual(values)
      }),
      { numRuns: 300 },
    )
  })

  it('ends with one clear error, whatever happens to the file', async () => {
    const path = join(folder, 'damaged.idx')
    const whole = encode(
      Uint8Array.from({ length: 60 }, (_, i) => i),
      [5, 3, 4],
    )
    const change = fc.record({ at: fc.nat(whole.length - 1), to: fc.nat(255) })
    await fc.assert(
      fc.asyncProperty(fc.array(change, { maxLength: 4 }), fc.nat(whole.length), fc.boolean(), async (changes, length, compressed) => {
        const bytes = Buffer.from(whole)
        for (const { at, to } of changes) bytes[at] = to
        const cut = bytes.subarray(0, length)
        writeFileSync(path, compressed ? gzipSync(cut) : cut)
        for (const run of [() => readIdx(path), () => idx(path).toArray(), () => idx(path, path).toArray()]) {
          await run().catch((error) => {
            expect(error).toBeInstanceOf(ThalwegError)
            expect(['ERR_DATA', 'ERR_FILE']).toContain(error.code)
            expect(error.message).toContain('damaged.idx')
          })
        }
      }),
      { numRuns: 500 },
    )
    expect(isOpen(path)).not.toBe(true)
  })

  const errors: [string, Buffer, RegExp][] = [
    ['an empty file', Buffer.alloc(0), /expected an IDX file/],
    ['text', Buffer.from('a,b\n1,2\n'), /expected an IDX file/],
    ['an unknown type', Buffer.from([0, 0, 0x0a, 1, 0, 0, 0, 0]), /of a type of 0x08, .*, got 0x0a/],
    ['a header that ends', Buffer.from([0, 0, 8, 3, 0, 0, 0, 1]), /its header of 3 dimensions ends after 8 bytes/],
    ['a shape beyond all files', Buffer.from([0, 0, 8, 2, ...Array(8).fill(255)]), /4294967295, 4294967295\], more than any file holds/],
    ['a large shape and no data', Buffer.from([0, 0, 8, 2, 0, 255, 255, 255, 0, 255, 255, 255]), /truncated/],
    ['missing bytes', encode(Int16Array.of(1, 2, 3), [3]).subarray(0, -1), /\[3\] short integers, and 1 byte of 6 are missing/],
    ['more bytes', Buffer.concat([encode(Uint8Array.of(1), [1]), Buffer.from([0])]), /longer than its header says, \[1\] unsigned bytes/],
    ['a gzip file that is cut off', gzipSync(encode(new Uint8Array(9999), [9999])).subarray(0, -9), /gzip/],
  ]
  it.each(errors)('refuses %s', async (_, bytes, message) => {
    const path = write(bytes)
    const failure = await readIdx(path).catch((error) => error)
    expect(failure).toBeInstanceOf(DataError)
    expect(failure.message).toContain(path)
    expect(failure.message).toMatch(message)
    expect(isOpen(path)).not.toBe(true)
  })

  it('says that there is no such file', async () => {
    await expect(readIdx(join(folder, 'none.idx'))).rejects.toBeInstanceOf(FileError)
    await expect(readIdx(folder)).rejects.toBeInstanceOf(FileError)
  })
})

describe('idx', () => {
  const count = 2500
  const pixels = Uint8Array.from({ length: count * 6 }, (_, i) => i % 251)
  const images = write(encode(pixels, [count, 2, 3]))
  const labels = write(
    gzipSync(
      encode(
        Uint8Array.from({ length: count }, (_, i) => i % 10),
        [count],
      ),
    ),
  )

  it('gives images with their labels', async () => {
    const rows = await idx(images, labels).toArray()
    expect(rows).toHaveLength(count)
    rows.forEach(({ image, label }, i) => {
      expect(image).toEqual(pixels.slice(6 * i, 6 * i + 6))
      expect(label).toBe(i % 10)
    })
    const [{ image }] = rows
    expect((image as Uint8Array).buffer.byteLength).toBe(6)
  })

  it('gives images alone, and numbers of one dimension', async () => {
    expect(await idx(images).first(1)).toEqual([{ image: pixels.slice(0, 6) }])
    expect(await idx(labels).first(3)).toEqual([{ image: 0 }, { image: 1 }, { image: 2 }])
  })

  it('closes both files when the consumer leaves', async () => {
    for await (const _ of idx(images, labels)) break
    expect(isOpen(images) || isOpen(labels)).not.toBe(true)
  })

  it('says which item an error is about', async () => {
    const failing = idx(images).map(({ image }) => {
      if ((image as Uint8Array)[0] === pixels[6 * 1500]) throw new Error('no')
    })
    await expect(failing.toArray()).rejects.toThrow(/idx, item \d+: no/)
  })

  it('refuses labels of another count or shape', async () => {
    const few = write(encode(Uint8Array.of(1, 2), [2]))
    await expect(idx(images, few).toArray()).rejects.toThrow(`${few}: expected a label for each of the 2500 items of ${images}, got 2`)
    await expect(idx(labels, images).toArray()).rejects.toThrow(/give the images first/)
    expect(isOpen(images)).not.toBe(true)
  })

  it('refuses a single number, and items of nothing', async () => {
    await expect(idx(write(encode(Uint8Array.of(1), []))).toArray()).rejects.toThrow(/a single number/)
    await expect(idx(write(encode(new Uint8Array(0), [3, 0]))).toArray()).rejects.toThrow(/at least one number/)
    expect(await idx(write(encode(new Uint8Array(0), [0, 3]))).toArray()).toEqual([])
  })
})
