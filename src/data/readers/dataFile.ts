import { type FileHandle, open } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { DataError, describe, FileError, OptionError } from '../../errors.ts'

/** A file that is read here and there. */
export class DataFile {
  readonly name: string
  readonly size: number
  private readonly handle: FileHandle
  private readonly modified: number

  private constructor(name: string, handle: FileHandle, size: number, modified: number) {
    this.name = name
    this.handle = handle
    this.size = size
    this.modified = modified
  }

  /** @throws FileError if there is no such file, or it cannot be read. */
  static async open(where: string, path: string | URL): Promise<DataFile> {
    const name = pathOf(where, path)
    let handle: FileHandle | undefined
    try {
      handle = await open(name)
      const stat = await handle.stat()
      if (stat.isDirectory()) throw new FileError(`${where}: "${name}" is a folder; expected a file.`)
      return new DataFile(name, handle, stat.size, stat.mtimeMs)
    } catch (error) {
      await handle?.close()
      throw error instanceof FileError ? error : unreadable(where, name, error)
    }
  }

  /** Bytes `start` … `end`, in memory of their own. */
  async read(start: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
    if (!(Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && start <= end && end <= this.size))
      throw new DataError(`${this.name}: the file is damaged: it points to bytes ${start} to ${end} of its ${this.size}.`)
    const bytes = new Uint8Array(end - start)
    for (let done = 0; done < bytes.length; ) {
      const { bytesRead } = await this.handle.read(bytes, done, Math.min(bytes.length - done, 1 << 30), start + done).catch((error) => {
        throw unreadable('reading', this.name, error)
      })
      if (bytesRead === 0) throw this.changed()
      done += bytesRead
    }
    return bytes
  }

  /** @throws DataError if the file is not what it was when it was opened. */
  async checkUnchanged(): Promise<void> {
    const { size, mtimeMs } = await this.handle.stat()
    if (size !== this.size || mtimeMs !== this.modified) throw this.changed()
  }

  close(): Promise<void> {
    return this.handle.close()
  }

  private changed(): DataError {
    return new DataError(`${this.name}: the file changed while it was read; read it again when it is complete.`)
  }
}

/** A path as a string. */
export function pathOf(where: string, path: unknown): string {
  if (typeof path === 'string' && path !== '') return path
  if (path instanceof URL && path.protocol === 'file:') return fileURLToPath(path)
  throw new OptionError(
    `${where}: expected the path of a file (a string or a file: URL), got ${path instanceof URL ? path.href : describe(path)}.`,
  )
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'there is no such file',
  EACCES: 'it may not be read',
  EPERM: 'it may not be read',
  EISDIR: 'it is a folder',
  EMFILE: 'too many files are open',
}

/** What the file system says about a path. */
export function unreadable(where: string, name: string, error: unknown): FileError {
  const { code = '', message } = error as NodeJS.ErrnoException
  return new FileError(`${where}: cannot read "${name}": ${REASONS[code] ?? message}.`, { cause: error })
}
