/** Bytes that are read at places: of a file, or in memory. */
import { type FileHandle, open, stat } from 'node:fs/promises'
import { AbortError, DataError, FileError } from '../errors.ts'
import { isSystemError } from './atomicFile.ts'

export interface Bytes {
  /** What messages begin with: who reads what. */
  readonly where: string
  readonly size: number
  /** Fills `target`. @throws DataError if there are not as many bytes. */
  read(target: Uint8Array, position: number): Promise<void>
  close(): Promise<void>
}

export class MemoryBytes implements Bytes {
  readonly where: string
  readonly size: number
  private readonly bytes: Uint8Array

  constructor(where: string, bytes: Uint8Array) {
    this.where = where
    this.size = bytes.length
    this.bytes = bytes
  }

  async read(target: Uint8Array, position: number): Promise<void> {
    target.set(this.bytes.subarray(position, position + target.length))
  }

  async close(): Promise<void> {}
}

/** More than this is not asked of the system at once. */
const MOST_AT_ONCE = 1 << 26

/** A regular file that nobody else may change while it is open. */
export class FileBytes implements Bytes {
  readonly where: string
  readonly size: number
  private readonly handle: FileHandle
  private readonly changed: number
  private readonly signal?: AbortSignal

  private constructor(where: string, handle: FileHandle, { size, mtimeMs }: { size: number; mtimeMs: number }, signal?: AbortSignal) {
    this.where = where
    this.handle = handle
    this.size = size
    this.changed = mtimeMs
    this.signal = signal
  }

  /** @throws FileError when the system refuses, or it is no regular file. */
  static async open(where: string, path: string, signal?: AbortSignal): Promise<FileBytes> {
    const at = `${where}: "${path}"`
    return attempt(at, async () => {
      // Asked before it is opened: opening a pipe waits for who writes to it.
      const info = await stat(path)
      if (!info.isFile()) throw new FileError(`${at} cannot be read: it is ${info.isDirectory() ? 'a folder' : 'no regular file'}.`)
      const handle = await open(path, 'r')
      try {
        return new FileBytes(at, handle, await handle.stat(), signal)
      } catch (error) {
        await handle.close()
        throw error
      }
    })
  }

  async read(target: Uint8Array, position: number): Promise<void> {
    await attempt(this.where, async () => {
      for (let done = 0; done < target.length; ) {
        if (this.signal?.aborted) throw new AbortError(`${this.where}: reading was stopped.`, this.signal.reason)
        const wanted = Math.min(MOST_AT_ONCE, target.length - done)
        const { bytesRead } = await this.handle.read(target, done, wanted, position + done)
        if (bytesRead === 0) throw this.changedMeanwhile()
        done += bytesRead
      }
      const { size, mtimeMs } = await this.handle.stat()
      if (size !== this.size || mtimeMs !== this.changed) throw this.changedMeanwhile()
    })
  }

  async close(): Promise<void> {
    await this.handle.close()
  }

  private changedMeanwhile(): DataError {
    return new DataError(`${this.where}: the file was changed while it was read; wait until it is complete, and read it again.`)
  }
}

async function attempt<T>(where: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!isSystemError(error)) throw error
    throw new FileError(`${where} cannot be read: ${error.message}. Check the path, and that the file may be read.`, { cause: error })
  }
}
