import type { Dirent } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { checkBoolean, checkCount, checkOptions } from '../../checks.ts'
import { counted, DataError, describe, FileError, OptionError } from '../../errors.ts'
import { type Open, throwIfAborted } from '../chunk.ts'
import { Dataset } from '../dataset.ts'
import { pathOf, unreadable } from './dataFile.ts'
import { optionalPeer } from './optional.ts'

/** How images become numbers. */
export interface ImageOptions {
  /** [height, width] in pixels that every image is brought to. */
  readonly size: readonly [height: number, width: number]
  /** 3 (red, green, blue) or 1 (grey); default 3. Transparency is laid over black. */
  readonly channels?: 1 | 3
  /** Whether values are 0 … 1; false leaves them 0 … 255; default true. */
  readonly scale?: boolean
  /**
   * What happens to what does not have the proportions of `size`: "fill" stretches it, "cover" cuts off what stands out, "contain" adds black margins;
   * default "fill".
   */
  readonly fit?: 'fill' | 'cover' | 'contain'
}

/** Options of `imageFolder`. */
export interface ImageFolderOptions extends ImageOptions {
  /** How many images are decoded at once; default 4. */
  readonly concurrency?: number
  /**
   * What happens to an image that cannot be decoded: "throw", "skip", or a function that is told of it and of the path before it is skipped (what it
   * throws ends the pass); default "throw".
   */
  readonly onError?: 'throw' | 'skip' | ((error: Error, path: string) => void)
}

/** A row of `imageFolder`. */
export interface ImageRow {
  /** Values row by row, the channels of a pixel next to each other: height · width · channels numbers. */
  readonly image: Float32Array
  /** The name of the folder it lies in. */
  readonly label: string
  /** Its file. */
  readonly path: string
}

const FITS = ['fill', 'cover', 'contain']
const IMAGES = /\.(jpe?g|png|webp|gif|avif|tiff?|svg|heic|heif|jp2|jxl)$/i
/** More pixels than any picture to learn from has: a file of a few bytes may claim billions. */
const MOST_PIXELS = 2 ** 28

/**
 * The images of a folder whose subfolders are the classes (`cats/1.jpg`, `dogs/2.png`), as a dataset of rows { image, label, path }: classes sorted by
 * name, and their files. Images in subfolders of these belong to the class. Turned upright as their camera says. Needs the package sharp.
 *
 * @param path The folder.
 * @param options `size`, and `channels` 3, `scale` true, `fit` "fill", `concurrency` 4, `onError` "throw".
 * @throws OptionError for unknown options, or without sharp; FileError for a folder that cannot be read; DataError for one without images, or an image that
 * cannot be decoded. All but the first when it is read.
 * @example const pictures = imageFolder('pictures', { size: [32, 32], channels: 1 }).shuffle()
 */
export function imageFolder(path: string | URL, options: ImageFolderOptions): Dataset<ImageRow> {
  const where = 'imageFolder'
  checkImageOptions(where, options, ['concurrency', 'onError'])
  const { concurrency = 4, onError = 'throw' } = options
  checkCount(where, 'concurrency', concurrency)
  if (onError !== 'throw' && onError !== 'skip' && typeof onError !== 'function')
    throw new OptionError(`${where}: onError must be "throw", "skip" or a function, got ${describe(onError)}.`)
  const { size, channels, scale, fit } = options
  return new Dataset(readFolder(pathOf(where, path), { size, channels, scale, fit }, concurrency, onError), { seeks: onError === 'throw' })
}

/**
 * One image as numbers, as `imageFolder` gives them: height · width · channels values, row by row. Needs the package sharp.
 *
 * @param source A path, or the bytes of a JPEG, PNG, WebP, GIF, AVIF, TIFF or SVG file.
 * @param options `size`, and `channels` 3, `scale` true, `fit` "fill".
 * @throws OptionError for unknown options, or without sharp; FileError for a file that cannot be read; DataError for one that cannot be decoded.
 * @example await decodeImage(Buffer.from('<svg width="8" height="8"/>'), { size: [4, 4] })
 */
export async function decodeImage(source: string | URL | Uint8Array, options: ImageOptions): Promise<Float32Array> {
  checkImageOptions('decodeImage', options, [])
  return decode('decodeImage', source instanceof Uint8Array ? source : pathOf('decodeImage', source), options)
}

function checkImageOptions(where: string, options: ImageOptions, more: readonly string[]): void {
  checkOptions(where, options, ['size', 'channels', 'scale', 'fit', ...more])
  const { size, channels = 3, scale = true, fit = 'fill' } = options ?? {}
  if (!Array.isArray(size) || size.length !== 2)
    throw new OptionError(`${where}: size must be [height, width] in pixels, got ${describe(size)}; try { size: [32, 32] }.`)
  checkCount(where, 'size[0]', size[0])
  checkCount(where, 'size[1]', size[1])
  if (channels !== 1 && channels !== 3) throw new OptionError(`${where}: channels must be 1 or 3, got ${describe(channels)}.`)
  checkBoolean(where, 'scale', scale)
  if (!FITS.includes(fit)) throw new OptionError(`${where}: fit must be one of ${FITS.join(', ')}, got ${describe(fit)}.`)
}

async function decode(
  where: string,
  source: string | Uint8Array,
  { size: [height, width], channels = 3, scale = true, fit = 'fill' }: ImageOptions,
): Promise<Float32Array> {
  const { default: sharp } = await optionalPeer(where, 'sharp', () => import('sharp'))
  const name = typeof source === 'string' ? source : counted(source.length, 'byte')
  try {
    const image = sharp(source, { limitInputPixels: MOST_PIXELS, failOn: 'truncated' })
      .rotate()
      .flatten({ background: 'black' })
      .resize({ width, height, fit, background: 'black' })
      .toColourspace(channels === 1 ? 'b-w' : 'srgb')
    const { data, info } = await image.raw().toBuffer({ resolveWithObject: true })
    if (info.channels !== channels) throw new Error(`it has ${counted(info.channels, 'channel')}`)
    return Float32Array.from(data, scale ? (value) => value / 255 : undefined)
  } catch (error) {
    const { message } = error as Error
    if (/missing|no such file|permission denied/i.test(message) && typeof source === 'string') throw unreadable(where, source, error)
    throw new DataError(`${where}: cannot decode ${name} (${message.trim()}); expected an image that sharp knows.`, { cause: error })
  }
}

function readFolder(path: string, options: ImageOptions, concurrency: number, onError: ImageFolderOptions['onError']): Open<ImageRow> {
  return async function* ({ skip, signal }) {
    const files = await listImages(path)
    for (let start = skip; start < files.length; start += concurrency) {
      throwIfAborted(signal)
      // NOTE: all are waited for, also when one fails: nothing goes on behind the consumer's back.
      const some = await Promise.allSettled(
        files.slice(start, start + concurrency).map(async (file) => ({ image: await decode('imageFolder', file.path, options), ...file })),
      )
      const items: ImageRow[] = []
      for (const [i, result] of some.entries()) {
        if (result.status === 'fulfilled') items.push(result.value)
        else if (onError === 'throw' || !(result.reason instanceof DataError || result.reason instanceof FileError)) throw result.reason
        else if (typeof onError === 'function') onError(result.reason, files[start + i].path)
      }
      const paths = items.map(({ path }) => path)
      if (items.length > 0) yield { items, place: (i) => paths[i] }
    }
  }
}

/** The images of all classes, in an order that does not depend on the file system. */
async function listImages(path: string): Promise<{ label: string; path: string }[]> {
  const list = async (folder: string): Promise<Dirent[]> => {
    const entries = await readdir(folder, { withFileTypes: true }).catch((error) => {
      throw unreadable('imageFolder', folder, error)
    })
    return entries.sort((a, b) => (a.name < b.name ? -1 : 1))
  }
  const imagesOf = async (folder: string): Promise<string[]> => {
    const images: string[] = []
    for (const entry of await list(folder)) {
      if (entry.isDirectory()) images.push(...(await imagesOf(join(folder, entry.name))))
      else if (IMAGES.test(entry.name) && !entry.name.startsWith('.')) images.push(join(folder, entry.name))
    }
    return images
  }
  const files: { label: string; path: string }[] = []
  for (const entry of await list(path)) {
    if (!entry.isDirectory() || entry.name.startsWith('.')) continue
    for (const image of await imagesOf(join(path, entry.name))) files.push({ label: entry.name, path: image })
  }
  if (files.length === 0)
    throw new DataError(`imageFolder: ${path} has no subfolders with images; expected one for each class: ${join(path, 'cats', '1.jpg')}.`)
  return files
}
