import { type FileHandle, open } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { FileError } from '../errors.ts'
import { makeFolder } from './atomicFile.ts'

/**
 * A file that grows by whole pieces: each is on the disk before the next is taken, and of one that does not fit nothing is left.
 * Folders above it are made.
 */
export class LogFile {
  private readonly where: string
  private readonly path: string
  private readonly handle: FileHandle
  private length: number

  private constructor(where: string, path: string, handle: FileHandle, length: number) {
    this.where = where
    this.path = path
    this.handle = handle
    this.length = length
  }

  /** @param mode "append" keeps what is there; "new" refuses a file that is there. */
  static async open(where: string, path: string, mode: 'append' | 'new'): Promise<LogFile> {
    return attempt(where, path, async () => {
      await makeFolder(dirname(resolve(path)))
      const handle = await open(path, mode === 'new' ? 'wx+' : 'a+')
      return new LogFile(where, path, handle, (await handle.stat()).size)
    })
  }

  /** The first bytes of what is there. */
  async start(bytes: number): Promise<Buffer> {
    return attempt(this.where, this.path, async () => {
      const { buffer, bytesRead } = await this.handle.read(Buffer.alloc(bytes), 0, bytes, 0)
      return buffer.subarray(0, bytesRead)
    })
  }

  /** Whether the last line, if there is one, has its end. */
  async endsWithLine(): Promise<boolean> {
    if (this.length === 0) return true
    return attempt(this.where, this.path, async () => {
      const { buffer } = await this.handle.read(Buffer.alloc(1), 0, 1, this.length - 1)
      return buffer[0] === 0x0a
    })
  }

  get isEmpty(): boolean {
    return this.length === 0
  }

  /** In bytes. */
  get size(): number {
    return this.length
  }

  async append(piece: string | Uint8Array): Promise<void> {
    const bytes = typeof piece === 'string' ? Buffer.from(piece) : piece
    await attempt(this.where, this.path, async () => {
      try {
        await this.handle.appendFile(bytes)
        await this.handle.datasync()
      } catch (error) {
        await this.handle.truncate(this.length).catch(() => {})
        throw error
      }
    })
    this.length += bytes.length
  }

  /** Leaves nothing behind so many bytes. */
  async cut(length: number): Promise<void> {
    if (length >= this.length) return
    await attempt(this.where, this.path, () => this.handle.truncate(length))
    this.length = length
  }

  async close(): Promise<void> {
    await attempt(this.where, this.path, () => this.handle.close())
  }
}

async function attempt<T>(where: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const reason = (error as Error).message
    throw new FileError(`${where}: "${path}" cannot be written: ${reason}. Check that the folder exists, may be written to and has room.`, {
      cause: error,
    })
  }
}
