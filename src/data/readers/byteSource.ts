import { type FileHandle, open } from 'node:fs/promises'
import { addAbortSignal, Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import { fileURLToPath } from 'node:url'
import { createGunzip } from 'node:zlib'
import { DataError, describe, FileError, OptionError, ThalwegError } from '../../errors.ts'
import { throwIfAborted } from '../chunk.ts'

/** Where bytes come from: a path, a file URL, a Node stream or a web stream of bytes. */
export type ByteSourceLike = string | URL | Readable | ReadableStream<Uint8Array>

/** Bytes read from a file at a time. */
const BLOCK = 128 * 1024

/**
 * A file or a stream of bytes that may be compressed by gzip, which its first two bytes tell. A file is opened for each pass, and closed however the pass ends;
 * a stream can be read once.
 */
export class ByteSource {
  /** For messages: the path, or what stream it is. */
  readonly name: string
  private readonly where: string
  private readonly path: string | null
  private readonly stream: Readable | null
  private isRead = false

  constructor(where: string, source: ByteSourceLike) {
    this.where = where
    this.path = typeof source === 'string' ? source : source instanceof URL ? pathOf(where, source) : null
    this.stream = source instanceof Readable ? source : null
    if (typeof source === 'object' && source !== null && 'getReader' in source) this.stream = Readable.fromWeb(source)
    if (this.path === '') throw new OptionError(`${where}: expected the path of a file, got an empty string.`)
    if (this.path === null && this.stream === null)
      throw new OptionError(`${where}: expected a path, a file URL or a stream of bytes, got ${describe(source)}.`)
    this.name = this.path ?? nameOf(this.stream)
  }

  /** The bytes of one pass, decompressed. */
  async *read(signal?: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
    throwIfAborted(signal)
    const bytes = this.path === null ? this.readStream(signal) : this.readFile(this.path, signal)
    const { first, all } = await peek(bytes, 2)
    yield* first[0] === 0x1f && first[1] === 0x8b ? this.gunzip(all) : all
  }

  private async *readFile(path: string, signal: AbortSignal | undefined): AsyncGenerator<Buffer, void, undefined> {
    const file = await this.try(() => open(path))
    try {
      const before = await this.try(() => file.stat({ bigint: true }))
      if (before.isDirectory()) throw new FileError(`${this.where}: "${path}" is a folder; expected a file.`)
      let next = this.readBlock(file)
      try {
        for (;;) {
          const block = await next
          throwIfAborted(signal)
          if (block.length === 0) break
          // The next block is on its way while this one is worked on.
          next = this.readBlock(file)
          yield block
        }
      } finally {
        await next.catch(() => {})
      }
      const after = await this.try(() => file.stat({ bigint: true }))
      if (before.isFile() && (before.size !== after.size || before.mtimeNs !== after.mtimeNs))
        throw new DataError(
          `${path} was changed while it was read (${before.size} bytes before, ${after.size} after); read it again when nothing writes to it.`,
        )
    } finally {
      await file.close()
    }
  }

  private async readBlock(file: FileHandle): Promise<Buffer> {
    const block = Buffer.allocUnsafeSlow(BLOCK)
    const { bytesRead } = await this.try(() => file.read(block, 0, BLOCK, null))
    return block.subarray(0, bytesRead)
  }

  private async *readStream(signal: AbortSignal | undefined): AsyncGenerator<Buffer, void, undefined> {
    if (this.isRead)
      throw new DataError(`${this.where}: ${this.name} can be read once, and it has been; give a path, or keep what is read with .cache().`)
    this.isRead = true
    const stream = this.stream as Readable
    if (signal !== undefined) addAbortSignal(signal, stream)
    try {
      for await (const piece of stream) {
        if (typeof piece !== 'string' && !(piece instanceof Uint8Array))
          throw new DataError(`${this.where}: ${this.name} must give bytes, got ${describe(piece)}.`)
        const block = typeof piece === 'string' ? Buffer.from(piece) : Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
        if (block.length > 0) yield block
      }
    } catch (error) {
      throwIfAborted(signal)
      // What the system says is about the source; what somebody's generator throws is theirs.
      if (error instanceof ThalwegError || typeof (error as NodeJS.ErrnoException)?.code !== 'string') throw error
      throw new FileError(`${this.where}: cannot read ${this.name}: ${(error as Error).message}.`, { cause: error })
    }
  }

  private async *gunzip(bytes: AsyncGenerator<Buffer, void, undefined>): AsyncGenerator<Buffer, void, undefined> {
    const source = Readable.from(bytes, { objectMode: true, highWaterMark: 2 })
    const unzipped = createGunzip({ chunkSize: BLOCK })
    let failure: unknown = null
    unzipped.on('error', () => {})
    source.on('error', (error) => {
      failure = error
      unzipped.destroy(error)
    })
    try {
      yield* source.pipe(unzipped)
    } catch (error) {
      if (failure !== null || !(error as NodeJS.ErrnoException).code?.startsWith('Z_')) throw failure ?? error
      const what = (error as NodeJS.ErrnoException).code === 'Z_BUF_ERROR' ? 'end in the middle: the file is cut off' : 'are damaged'
      throw new DataError(`${this.name}: the gzip data ${what} (${(error as Error).message}).`, { cause: error })
    } finally {
      // What the source is waiting for is not needed any more.
      this.stream?.destroy()
      source.destroy()
      await bytes.return()
    }
  }

  /** Reports what the system says as what it means to the reader of a file. */
  private async try<T>(run: () => Promise<T>): Promise<T> {
    try {
      return await run()
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      const what = code === 'ENOENT' ? 'there is no such file' : code === 'EISDIR' ? 'it is a folder' : message
      throw new FileError(`${this.where}: cannot read "${this.path}": ${what}.`, { cause: error })
    }
  }
}

/** Waits for the first bytes, which stay part of the whole. */
export async function peek(bytes: AsyncGenerator<Buffer, void, undefined>, count: number) {
  let first: Buffer = Buffer.alloc(0)
  let ended = false
  while (first.length < count && !ended) {
    const next = await bytes.next()
    ended = next.done === true
    if (!next.done) first = first.length === 0 ? next.value : Buffer.concat([first, next.value])
  }
  async function* all() {
    try {
      if (first.length > 0) yield first
      yield* bytes
    } finally {
      await bytes.return()
    }
  }
  return { first, all: all() }
}

function pathOf(where: string, url: URL): string {
  if (url.protocol !== 'file:') throw new OptionError(`${where}: expected a path or a file URL, got ${url.href}; download the file first.`)
  return fileURLToPath(url)
}

function nameOf(stream: Readable | null): string {
  if (stream === process.stdin) return 'standard input'
  const { path } = stream as Readable & { path?: unknown }
  return typeof path === 'string' ? path : 'the stream'
}
