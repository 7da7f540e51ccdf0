/** Files that are there as a whole or not at all. */
import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { access, mkdir, open, realpath, rename, rm, stat, statfs, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { AbortError, FileError } from '../errors.ts'
import { formatBytes } from '../memory.ts'

/** Pieces of a file. */
export type Chunks = Iterable<string | Uint8Array> | AsyncIterable<string | Uint8Array>

export interface WriteOptions {
  /** How many bytes it will be, for the message when there is no room; default: not said. */
  readonly bytes?: number
  /** Stops it; default: nothing does. */
  readonly signal?: AbortSignal
}

/**
 * Writes a file beside the one that is there, forces it to the disk and puts it in its place: whatever happens in between, a full disk or a power cut, one of
 * the two is there, whole. Folders above it are made. A link is followed; the mode of the file that was there is kept.
 *
 * @param where The beginning of messages.
 * @param chunks Are asked for one after the other, when the one before has been written. What they throw is thrown on.
 * @throws FileError when the system refuses, AbortError when `signal` stops it; the file that was there is then as it was, and nothing is left beside it.
 */
export async function writeAtomically(where: string, path: string, chunks: Chunks, { bytes, signal }: WriteOptions = {}): Promise<void> {
  let temporary: string | null = null
  try {
    const { target, mode } = await placeOf(path)
    const folder = dirname(target)
    await makeFolder(folder)
    signal?.throwIfAborted()
    const name = join(folder, `.${basename(target).slice(0, 40)}.${randomUUID()}.tmp`)
    const handle = await open(name, 'wx')
    temporary = name
    try {
      if (mode !== null) await handle.chmod(mode)
      await writeFile(handle, chunks, { signal })
      await handle.sync()
    } finally {
      await handle.close()
    }
    signal?.throwIfAborted()
    await rename(temporary, target)
    temporary = null
    await syncFolder(folder)
  } catch (error) {
    if (temporary !== null) await rm(temporary, { force: true }).catch(() => {})
    if (signal?.aborted) throw new AbortError(`${where}: writing "${path}" was stopped; what was there before is as it was.`, signal.reason)
    if (!isSystemError(error)) throw error
    throw new FileError(`${where}: "${path}" ${await reasonOf(error, path, bytes)}; what was there before is as it was.`, { cause: error })
  }
}

/** Where a file is to go, and the mode of the one that is there. */
async function placeOf(path: string): Promise<{ target: string; mode: number | null }> {
  try {
    const target = await realpath(path)
    const info = await stat(target)
    if (!info.isFile())
      throw Object.assign(new Error(info.isDirectory() ? 'it is a folder' : 'it is no regular file'), { code: 'EINVAL', syscall: 'open' })
    // A file that may not be written to is not to be replaced either.
    await access(target, constants.W_OK)
    return { target, mode: info.mode & 0o777 }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return { target: resolve(path), mode: null }
  }
}

/** With all above it; one that is there stays. NOTE: not mkdir's `recursive`, which never ends in folders such as /proc, where nothing can be made. */
export async function makeFolder(folder: string): Promise<void> {
  const make = () =>
    mkdir(folder).catch(async (error) => {
      if (error.code !== 'EEXIST' || !(await stat(folder)).isDirectory()) throw error
    })
  await make().catch(async (error) => {
    if (error.code !== 'ENOENT' || dirname(folder) === folder) throw error
    await makeFolder(dirname(folder))
    await make()
  })
}

/** So that the new name outlives a power cut. Not every system can do it. */
async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, 'r')
    await handle.sync().finally(() => handle.close())
  } catch (error) {
    if (!['EINVAL', 'ENOTSUP', 'EISDIR', 'EPERM', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  }
}

/** Whether the system refused, and not what gives the chunks. */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error && 'code' in error
}

async function reasonOf(error: NodeJS.ErrnoException, path: string, bytes: number | undefined): Promise<string> {
  if (error.code !== 'ENOSPC' && error.code !== 'EDQUOT')
    return `cannot be written: ${error.message}. Check that it lies in a folder that may be written to`
  const free = await statfs(dirname(resolve(path))).catch(() => null)
  const needed = bytes === undefined ? '' : `: ${formatBytes(bytes)} are needed`
  const left = free === null ? '' : `${needed === '' ? ':' : ','} ${formatBytes(free.bavail * free.bsize)} are free`
  return `cannot be written, the disk is full${needed}${left}. Make room, or choose a path on another disk`
}
