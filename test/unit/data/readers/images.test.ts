import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { decodeImage, imageFolder } from '../../../../src/data/readers/images.ts'
import { DataError, FileError, OptionError } from '../../../../src/errors.ts'

const folder = mkdtempSync(join(tmpdir(), 'thalweg-images-'))
afterAll(() => rmSync(folder, { recursive: true }))

const plain = (width: number, height: number, background: { r: number; g: number; b: number; alpha?: number }) =>
  sharp({ create: { width, height, channels: background.alpha === undefined ? 3 : 4, background } })

const RED = { r: 255, g: 0, b: 0 }
const BLUE = { r: 0, g: 0, b: 255 }

beforeAll(async () => {
  for (const name of ['reds', 'blues', 'blues/deep', '.hidden']) mkdirSync(join(folder, 'good', name), { recursive: true })
  for (let i = 0; i < 5; i++)
    await plain(4 + i, 3, RED)
      .png()
      .toFile(join(folder, 'good', 'reds', `${i}.png`))
  await plain(8, 8, BLUE)
    .jpeg({ quality: 100 })
    .toFile(join(folder, 'good', 'blues', 'b.JPG'))
  await plain(8, 8, BLUE)
    .webp({ lossless: true })
    .toFile(join(folder, 'good', 'blues', 'deep', 'a.webp'))
  writeFileSync(join(folder, 'good', 'blues', 'notes.txt'), 'no image')
  writeFileSync(join(folder, 'good', 'loose.png'), 'in no class')
  mkdirSync(join(folder, 'bad', 'class'), { recursive: true })
  const whole = await plain(64, 64, RED).png({ compressionLevel: 0 }).toBuffer()
  writeFileSync(join(folder, 'bad', 'class', '0.png'), whole)
  writeFileSync(join(folder, 'bad', 'class', '1.png'), whole.subarray(0, whole.length / 2))
  writeFileSync(join(folder, 'bad', 'class', '2.png'), 'text')
  writeFileSync(join(folder, 'bad', 'class', '3.png'), whole)
})

describe('decodeImage', () => {
  it('gives the values of pixels row by row', async () => {
    const bytes = await sharp(Uint8Array.of(0, 51, 102, 153, 204, 255, 10, 20, 30, 40, 50, 60), {
      raw: { width: 2, height: 2, channels: 3 },
    })
      .png()
      .toBuffer()
    expect(await decodeImage(bytes, { size: [2, 2], scale: false })).toEqual(
      Float32Array.of(0, 51, 102, 153, 204, 255, 10, 20, 30, 40, 50, 60),
    )
    expect((await decodeImage(bytes, { size: [2, 2] }))[1]).toBe(Math.fround(51 / 255))
  })

  it('resizes, to height and width, and to one channel', async () => {
    const bytes = await plain(10, 30, { r: 100, g: 100, b: 100 }).png().toBuffer()
    const grey = await decodeImage(bytes, { size: [3, 5], channels: 1, scale: false })
    expect(grey).toEqual(new Float32Array(15).fill(100))
    const contained = await decodeImage(bytes, { size: [3, 3], channels: 1, scale: false, fit: 'contain' })
    expect([...contained]).toEqual([0, 100, 0, 0, 100, 0, 0, 100, 0])
  })

  it('gives three channels for grey images, and lays transparency over black', async () => {
    const grey = await plain(2, 2, { r: 80, g: 80, b: 80 }).toColourspace('b-w').png().toBuffer()
    expect(await decodeImage(grey, { size: [1, 1], scale: false })).toEqual(Float32Array.of(80, 80, 80))
    const half = await plain(2, 2, { ...RED, alpha: 0 })
      .png()
      .toBuffer()
    expect(await decodeImage(half, { size: [1, 1] })).toEqual(Float32Array.of(0, 0, 0))
  })

  it('takes 16 bits a channel as what they stand for', async () => {
    const deep = await sharp(Uint16Array.of(65535, 0, 32768), { raw: { width: 1, height: 1, channels: 3, depth: 'ushort' } as never })
      .toColourspace('rgb16')
      .png()
      .toBuffer()
    const [red, green, blue] = await decodeImage(deep, { size: [1, 1] })
    expect([red, green]).toEqual([1, 0])
    expect(blue).toBeCloseTo(0.5, 2)
  })

  it('says what is wrong', async () => {
    await expect(decodeImage(join(folder, 'none.png'), { size: [2, 2] })).rejects.toBeInstanceOf(FileError)
    await expect(decodeImage(Buffer.from('no image'), { size: [2, 2] })).rejects.toBeInstanceOf(DataError)
    await expect(decodeImage(Buffer.alloc(0), { size: [2, 2] })).rejects.toBeInstanceOf(DataError)
    await expect(decodeImage(Buffer.alloc(0), { size: [2] } as never)).rejects.toThrow(/size must be \[height, width\]/)
    await expect(decodeImage(Buffer.alloc(0), undefined as never)).rejects.toThrow(OptionError)
    await expect(decodeImage(Buffer.alloc(0), { size: [2, 2], channels: 4 } as never)).rejects.toThrow(/channels must be 1 or 3/)
    await expect(decodeImage(Buffer.alloc(0), { size: [2, 2], chanels: 1 } as never)).rejects.toThrow(/did you mean "channels"/)
    await expect(decodeImage(Buffer.alloc(0), { size: [2, 2], fit: 'crop' } as never)).rejects.toThrow(/fit must be one of/)
  })
})

describe('imageFolder', () => {
  it('gives images of all classes in order', async () => {
    const rows = await imageFolder(join(folder, 'good'), { size: [2, 2], concurrency: 3 }).toArray()
    expect(rows.map(({ label, path }) => [label, path.slice(join(folder, 'good').length + 1)])).toEqual([
      ['blues', join('blues', 'b.JPG')],
      ['blues', join('blues', 'deep', 'a.webp')],
      ...[0, 1, 2, 3, 4].map((i) => ['reds', join('reds', `${i}.png`)]),
    ])
    for (const { image, label } of rows) {
      expect(image).toHaveLength(12)
      expect(image[label === 'reds' ? 0 : 2]).toBeGreaterThan(0.98)
      expect(image[label === 'reds' ? 2 : 0]).toBeLessThan(0.02)
    }
  })

  it('begins a pass anywhere', async () => {
    const pictures = imageFolder(join(folder, 'good'), { size: [1, 1] })
    const paths: string[] = []
    for await (const { items, place } of pictures.pass({ skip: 3 })) items.forEach((_, i) => paths.push(place(i)))
    expect(paths).toEqual((await pictures.toArray()).slice(3).map(({ path }) => path))
  })

  it('says which image is broken, or leaves it out', async () => {
    const bad = join(folder, 'bad')
    await expect(imageFolder(bad, { size: [2, 2] }).toArray()).rejects.toThrow(join(bad, 'class', '1.png'))
    expect(await imageFolder(bad, { size: [2, 2], onError: 'skip' }).count).toBe(null)
    const rows = await imageFolder(bad, { size: [2, 2], onError: 'skip' }).toArray()
    expect(rows.map(({ path }) => path.at(-5))).toEqual(['0', '3'])
    const told: string[] = []
    await imageFolder(bad, { size: [2, 2], onError: (error, path) => told.push(`${error.name} ${path.at(-5)}`) }).toArray()
    expect(told).toEqual(['DataError 1', 'DataError 2'])
    const stopping = imageFolder(bad, {
      size: [2, 2],
      onError: () => {
        throw new Error('enough')
      },
    })
    await expect(stopping.toArray()).rejects.toThrow('enough')
  })

  it('refuses a folder without classes', async () => {
    await expect(imageFolder(join(folder, 'bad', 'class'), { size: [2, 2] }).toArray()).rejects.toThrow(/no subfolders with images/)
    await expect(imageFolder(join(folder, 'none'), { size: [2, 2] }).toArray()).rejects.toBeInstanceOf(FileError)
    expect(() => imageFolder(folder, { size: [2, 2], onError: 'ignore' as never })).toThrow(OptionError)
    expect(() => imageFolder(folder, { size: [2, 2], concurrency: 0 })).toThrow(OptionError)
  })
})
