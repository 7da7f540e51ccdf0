import { isAscii, isUtf8 } from 'node:buffer'
import { checkCount, unknownName } from '../../checks.ts'
import { DataError } from '../../errors.ts'
import { type ByteSource, peek } from './byteSource.ts'

const encodings = ['utf8', 'utf16le', 'utf16be', 'latin1'] as const

/** How text is written as bytes. */
export type TextEncoding = (typeof encodings)[number]

/** Options of everything that reads text. */
export interface TextFileOptions {
  /** How the text is written as bytes; default 'utf8'. A byte-order mark has the last word. */
  readonly encoding?: TextEncoding
  /** The most bytes that one line (or one record of several lines) may have; default 16 MiB. */
  readonly maxRecordBytes?: number
}

/** The names of `TextFileOptions`. */
export const textOptionNames = ['encoding', 'maxRecordBytes']

/** Whole lines in UTF-8, each with its end, save perhaps the last one. */
export interface LineBlock {
  readonly bytes: Buffer
  /** The number of its first line, from 1 on. */
  readonly line: number
}

export const NEWLINE = 10
export const RETURN = 13

/** Checks the options of a reader of text. */
export function checkTextOptions(where: string, { encoding, maxRecordBytes = 16 * 2 ** 20 }: TextFileOptions) {
  if (encoding !== undefined && !encodings.includes(encoding)) throw unknownName('encoding', encoding, encodings, where)
  checkCount(where, 'maxRecordBytes', maxRecordBytes)
  return { encoding, maxRecordBytes }
}

/** The text of a source in blocks of whole lines: UTF-8 that has been checked, without byte-order mark and NUL. */
export async function* readLineBlocks(
  source: ByteSource,
  options: { readonly encoding: TextEncoding | undefined; readonly maxRecordBytes: number },
  signal?: AbortSignal,
): AsyncGenerator<LineBlock, void, undefined> {
  let line = 1
  /** The beginning of a line whose end has not come. */
  let begun: Buffer[] = []
  let begunBytes = 0
  const whole = (bytes: Buffer): LineBlock => {
    checkText(source.name, bytes, line)
    const block = { bytes, line }
    line += countLines(bytes)
    return block
  }
  for await (const bytes of toUtf8(source, options.encoding, signal)) {
    const end = endOfLines(bytes)
    if (end > 0) {
      yield whole(begunBytes === 0 ? bytes.subarray(0, end) : Buffer.concat([...begun, bytes.subarray(0, end)]))
      begun = []
      begunBytes = 0
    }
    if (end < bytes.length) begun.push(bytes.subarray(end))
    begunBytes += bytes.length - end
    if (begunBytes > options.maxRecordBytes)
      throw new DataError(
        `${source.name}, line ${line}: the line has more than ${options.maxRecordBytes} bytes; if that is meant, give a larger maxRecordBytes.`,
      )
  }
  if (begunBytes > 0) yield whole(Buffer.concat(begun))
}

/** Where the last complete line ends: after a newline, or, in the files of old Macs, after a return that no newline can follow. */
function endOfLines(bytes: Buffer): number {
  const newline = bytes.lastIndexOf(NEWLINE)
  return newline >= 0 ? newline + 1 : bytes.subarray(0, -1).lastIndexOf(RETURN) + 1
}

/** How many lines end between two places, by \n, \r\n or \r. */
export function countLines(bytes: Buffer, start = 0, end = bytes.length): number {
  let lines = 0
  for (let i = start; i < end; i++) if (bytes[i] === NEWLINE || (bytes[i] === RETURN && bytes[i + 1] !== NEWLINE)) lines++
  return lines
}

/** The bytes of a text in UTF-8, without byte-order mark. */
async function* toUtf8(
  source: ByteSource,
  given: TextEncoding | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer, void, undefined> {
  const { first, all } = await peek(source.read(signal), 3)
  const mark = marks.find(({ bytes }) => bytes.every((byte, i) => first[i] === byte))
  const encoding = mark?.encoding ?? given ?? 'utf8'
  const convert = converterFrom(source.name, encoding)
  let skip = mark?.bytes.length ?? 0
  for await (const bytes of all) {
    yield convert(bytes.subarray(skip))
    skip = 0
  }
  yield convert(END)
}

/** Byte-order marks. */
const marks: readonly { readonly encoding: TextEncoding; readonly bytes: readonly number[] }[] = [
  { encoding: 'utf8', bytes: [0xef, 0xbb, 0xbf] },
  { encoding: 'utf16le', bytes: [0xff, 0xfe] },
  { encoding: 'utf16be', bytes: [0xfe, 0xff] },
]

/** What tells a converter that nothing follows. */
const END = Buffer.alloc(0)

function converterFrom(place: string, encoding: TextEncoding): (bytes: Buffer) => Buffer {
  if (encoding === 'utf8') return (bytes) => bytes
  if (encoding === 'latin1') return (bytes) => Buffer.from(bytes.toString('latin1'))
  const decoder = new TextDecoder(encoding === 'utf16le' ? 'utf-16le' : 'utf-16be', { ignoreBOM: true, fatal: true })
  let position = 0
  return (bytes) => {
    try {
      const text = decoder.decode(bytes, { stream: bytes !== END })
      position += bytes.length
      return Buffer.from(text)
    } catch (error) {
      throw new DataError(`${place}: not ${encoding === 'utf16le' ? 'UTF-16LE' : 'UTF-16BE'} after byte ${position}.`, { cause: error })
    }
  }
}

/** The lines of a block, without their ends. Each is a string of its own, so that a line which is kept does not keep its neighbours. */
export function linesOf(bytes: Buffer): string[] {
  if (hasLoneReturn(bytes))
    return bytes
      .toString()
      .replace(/(\r\n?|\n)$/, '')
      .split(/\r\n?|\n/)
  const encoding = isAscii(bytes) ? 'latin1' : 'utf8'
  const lines: string[] = []
  for (let start = 0; start < bytes.length; ) {
    const newline = bytes.indexOf(NEWLINE, start)
    const end = newline < 0 ? bytes.length : newline
    lines.push(bytes.toString(encoding, start, end > start && bytes[end - 1] === RETURN ? end - 1 : end))
    start = end + 1
  }
  return lines
}

/** Whether a line ends by a return alone. */
export function hasLoneReturn(bytes: Buffer): boolean {
  for (let at = bytes.indexOf(RETURN); at >= 0; at = bytes.indexOf(RETURN, at + 1)) if (bytes[at + 1] !== NEWLINE) return true
  return false
}

/** Refuses what is not text in UTF-8, saying where it is and what it may be. */
function checkText(place: string, bytes: Buffer, line: number): void {
  const nul = bytes.indexOf(0)
  if (nul >= 0) {
    const isWide = nul < 4 && line === 1
    const advice = isWide ? `it looks like UTF-16, try { encoding: '${nul % 2 === 0 ? 'utf16be' : 'utf16le'}' }.` : 'is it a text file?'
    throw new DataError(`${place}, line ${line + countLines(bytes, 0, nul)}: expected text, got a NUL byte; ${advice}`)
  }
  if (isUtf8(bytes)) return
  let start = 0
  while (isUtf8(bytes.subarray(start, nextLine(bytes, start)))) start = nextLine(bytes, start)
  let bad = start
  while (isUtf8(bytes.subarray(bad, bad + widthOf(bytes[bad])))) bad += widthOf(bytes[bad])
  throw new DataError(
    `${place}, line ${line + countLines(bytes, 0, start)}, byte ${bad - start + 1}: expected UTF-8, got 0x${bytes[bad].toString(16)}; if the text is in an older encoding, try { encoding: 'latin1' }.`,
  )
}

/** Where the next line begins. */
export function nextLine(bytes: Buffer, start: number): number {
  const newline = bytes.indexOf(NEWLINE, start)
  return newline < 0 ? bytes.length : newline + 1
}

/** How many bytes a character has that begins so. */
function widthOf(byte: number): number {
  return byte < 0xc0 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4
}
