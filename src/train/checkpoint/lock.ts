/** One run at a time in a directory. A process that was killed holds nothing: what it left behind is taken over. */
import { randomUUID } from 'node:crypto'
import { readFile, readlink, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { threadId } from 'node:worker_threads'
import { BusyError, FileError } from '../../errors.ts'

const NAME = 'run.lock'
/** How often a run shows that it lives, and after how long without a sign one that no process can be asked about counts as dead. */
const [BEAT, DEAD] = [3000, 12_000]
/** For how long a file may have no content, in milliseconds, while somebody writes it. */
const WRITTEN_WITHIN = 500

interface Holder {
  readonly pid: number
  /** When the process began, in the system's own words, where it tells: numbers of processes are used again. */
  readonly started: string | null
  /** Where its number means something: the machine and, on Linux, the container. */
  readonly host: string
  /** 0 is the main thread; another one may end before its process does. */
  readonly thread: number
}

export class DirectoryLock {
  private readonly path: string
  private readonly text: string
  private readonly timer: NodeJS.Timeout
  private isHeld = true

  private constructor(path: string, text: string) {
    this.path = path
    this.text = text
    this.timer = setInterval(() => {
      const now = new Date()
      utimes(path, now, now).catch(() => {})
    }, BEAT).unref()
  }

  /** @throws BusyError if a run that lives has it, FileError when the system refuses. */
  static async take(where: string, directory: string): Promise<DirectoryLock> {
    const path = join(directory, NAME)
    const text = JSON.stringify({
      pid: process.pid,
      started: await startOf(process.pid),
      host: await place(),
      thread: threadId,
      run: randomUUID(),
    })
    try {
      for (const begun = Date.now(); ; ) {
        if (await create(path, text)) return new DirectoryLock(path, text)
        const found = await textOf(path)
        const holder = holderIn(found)
        if (holder !== null && (await lives(holder, path)))
          throw new BusyError(
            `${where}: another run, of process ${holder.pid} on ${holder.host}, writes its checkpoints into "${directory}"; wait until it has ended, or give another directory. If there is no such run, remove "${path}".`,
          )
        if (holder === null && Date.now() - begun < WRITTEN_WITHIN) await sleep(20)
        else await remove(path, found)
      }
    } catch (error) {
      if (error instanceof BusyError) throw error
      throw new FileError(`${where}: "${path}" cannot be written: ${(error as Error).message}.`, { cause: error })
    }
  }

  async release(): Promise<void> {
    if (!this.isHeld) return
    this.isHeld = false
    clearInterval(this.timer)
    await remove(this.path, this.text).catch(() => {})
  }
}

async function create(path: string, text: string): Promise<boolean> {
  try {
    await writeFile(path, text, { flag: 'wx' })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    await rm(path, { force: true }).catch(() => {})
    throw error
  }
}

/** Who has it; null if that is not (yet) written, or nobody has. */
function holderIn(text: string): Holder | null {
  try {
    const { pid, started, host, thread } = JSON.parse(text) as Holder
    return Number.isSafeInteger(pid) && pid > 0 && typeof host === 'string' ? { pid, started, host, thread } : null
  } catch {
    return null
  }
}

async function textOf(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error) => {
    if (error.code === 'ENOENT') return ''
    throw error
  })
}

async function lives({ pid, started, host, thread }: Holder, path: string): Promise<boolean> {
  if (host !== (await place())) return isTouched(path)
  try {
    process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
  }
  if ((await startOf(pid)) !== started) return false
  return thread === 0 || (pid === process.pid && thread === threadId) || isTouched(path)
}

/** Whether a run elsewhere, or in a thread, gives a sign. What clocks say does not matter. */
async function isTouched(path: string): Promise<boolean> {
  const touched = async () => (await stat(path).catch(() => null))?.mtimeMs
  const first = await touched()
  for (const begun = Date.now(); Date.now() - begun < DEAD; ) {
    await sleep(500)
    if ((await touched()) !== first) return true
  }
  return false
}

async function place(): Promise<string> {
  const namespace = await readlink('/proc/self/ns/pid').catch(() => '')
  return `${hostname()} ${namespace}`.trim()
}

/** Field 22 of /proc/…/stat, in ticks since the system began; null where there is no such file. */
async function startOf(pid: number): Promise<string | null> {
  const line = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null)
  // The name of the program, in parentheses, may have spaces.
  return line === null ? null : line.slice(line.lastIndexOf(')') + 2).split(' ')[19]
}

/** Removes the lock if it is still the one of this text: another run may have taken over the same one in the meantime. */
async function remove(path: string, text: string): Promise<void> {
  const aside = `${path}.${randomUUID()}.tmp`
  try {
    await rename(path, aside)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  if ((await textOf(aside)) === text) await rm(aside, { force: true })
  else await rename(aside, path)
}
