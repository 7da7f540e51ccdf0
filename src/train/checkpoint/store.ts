/** The checkpoints of a directory, the latest ones and the best. */
import { readdir, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { crc32 } from 'node:zlib'
import { DataError, FileError, ThalwegError } from '../../errors.ts'
import { isSystemError, makeFolder } from '../../interchange/atomicFile.ts'
import { type PackedArray, pack, unpack } from '../../interchange/packing.ts'
import { SafetensorsFile, writeTensors } from '../../interchange/safetensors.ts'
import { Pace } from '../../pace.ts'
import type { EpochValues } from '../measures.ts'
import type { Position } from '../pauses.ts'
import type { SavedTrainer } from '../trainer.ts'
import { DirectoryLock } from './lock.ts'

/** Everything a run goes on from. */
export interface SavedRun {
  readonly format: number
  /** What the steps are, and what data they take: a run of others cannot go on from here. */
  readonly training: string
  readonly data: string
  readonly position: Position
  readonly initialEpoch: number
  /** What the epochs before measured. */
  readonly history: readonly EpochValues[]
  /** As in `History`, of a run that has ended. */
  readonly stopped: string | null
  /** Of the callbacks that remember something, in order. */
  readonly callbacks: readonly { readonly name: string; readonly state: unknown }[]
  /** The best value so far, for `keepBest`. */
  readonly best: number
  readonly trainer: SavedTrainer
}

const FORMAT = 1
const ENTRY = 'thalweg.checkpoint'
/** Of the entry and of all numbers: what has come through it is what was written, whatever the disk did. */
const SUM = 'thalweg.checkpoint.crc32'
const PATTERN = /^step-(\d{9,})\.safetensors$/
/** What a process that was killed while it wrote has left. */
const LEFTOVER = /^(\.(step-\d+|best)\.safetensors|run\.lock)\.[0-9a-f-]{36}\.tmp$/
/** Bytes between two looks at the clock. */
const SUMMED_AT_ONCE = 1 << 20
const VALUES = 'trainer/values/'

export class CheckpointStore {
  private readonly where: string
  private readonly directory: string
  private readonly lock: DirectoryLock

  private constructor(where: string, directory: string, lock: DirectoryLock) {
    this.where = where
    this.directory = directory
    this.lock = lock
  }

  /** Makes the directory if it is not there, and holds it until `close`. @throws BusyError if another run does. */
  static async open(where: string, directory: string): Promise<CheckpointStore> {
    await attempt(`${where}: the directory "${directory}" cannot be made`, () => makeFolder(resolve(directory)))
    const store = new CheckpointStore(where, directory, await DirectoryLock.take(where, directory))
    try {
      for (const name of await store.names()) if (LEFTOVER.test(name)) await store.remove(name)
      return store
    } catch (error) {
      await store.close()
      throw error
    }
  }

  async close(): Promise<void> {
    await this.lock.release()
  }

  /** Their steps, the latest first. */
  async steps(): Promise<number[]> {
    return (await this.names())
      .map((name) => Number(PATTERN.exec(name)?.[1]))
      .filter((step) => !Number.isNaN(step))
      .sort((a, b) => b - a)
  }

  /** The latest that can be read, or null if there is none. One that is damaged is passed over, with a warning. */
  async latest(): Promise<SavedRun | null> {
    const errors: unknown[] = []
    for (const step of await this.steps()) {
      try {
        const saved = await this.read(this.path(step))
        for (const error of errors) process.emitWarning(`${(error as Error).message} Training goes on from ${this.path(step)}.`)
        return saved
      } catch (error) {
        if (!(error instanceof ThalwegError)) throw error
        errors.push(error)
      }
    }
    if (errors.length > 0) throw errors[0]
    return null
  }

  private async read(path: string): Promise<SavedRun> {
    const file = await SafetensorsFile.open(this.where, path)
    try {
      const json = file.metadata.get(ENTRY)
      if (json === undefined) throw new DataError(`${path} is no checkpoint: it has no entry "${ENTRY}" in its metadata.`)
      const arrays = new Map<string, PackedArray>()
      for (const name of file.tensors.keys()) arrays.set(name, (await file.read(name)).data)
      if ((await sumOf(json, arrays)) !== file.metadata.get(SUM))
        throw new DataError(`${path} is damaged: its numbers or its description are not those that were written.`)
      const saved = unpack(path, json, (name) => arrays.get(nameInFile(name))) as unknown as SavedRun
      if (saved.format !== FORMAT)
        throw new DataError(`${path} has format ${saved.format}, this version reads ${FORMAT}; train on with the version that wrote it.`)
      return saved
    } finally {
      await file.close()
    }
  }

  /**
   * @param metadata What else the file says of itself.
   * @param shapes Of tensors; others are lists.
   * @param isBest Whether it is to be kept as `best.safetensors` too.
   */
  async write(
    step: number,
    saved: Omit<SavedRun, 'format'>,
    { metadata, shapes }: { readonly metadata: Readonly<Record<string, string>>; readonly shapes: ReadonlyMap<string, readonly number[]> },
    isBest: boolean,
  ): Promise<void> {
    const { json, arrays } = pack(this.where, { format: FORMAT, ...saved })
    const named = new Map(Object.entries(arrays).map(([name, data]) => [nameInFile(name), data]))
    const tensors = [...named].map(([name, data]) => ({ name, shape: shapes.get(name) ?? [data.length], data }))
    const texts = { ...metadata, [ENTRY]: json, [SUM]: await sumOf(json, named) }
    // The best one first: a run that goes on from the other takes it for written.
    if (isBest) await writeTensors(this.where, join(this.directory, 'best.safetensors'), tensors, texts)
    await writeTensors(this.where, this.path(step), tensors, texts)
  }

  /** Removes all but the latest up to a step. Those of later steps are damaged ones that the run has been put before. */
  async prune(keep: number, latest: number): Promise<void> {
    const steps = (await this.steps()).filter((step) => step <= latest)
    for (const step of steps.slice(keep)) await this.remove(nameOf(step))
  }

  private names(): Promise<string[]> {
    return attempt(`${this.where}: the directory "${this.directory}" cannot be read`, () => readdir(this.directory))
  }

  private remove(name: string): Promise<void> {
    const path = join(this.directory, name)
    return attempt(`${this.where}: "${path}" cannot be removed`, () => rm(path, { force: true }))
  }

  private path(step: number): string {
    return join(this.directory, nameOf(step))
  }
}

async function attempt<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!isSystemError(error)) throw error
    throw new FileError(`${what}: ${error.message}.`, { cause: error })
  }
}

async function sumOf(json: string, arrays: ReadonlyMap<string, PackedArray>): Promise<string> {
  const pace = new Pace()
  let sum = crc32(json)
  for (const [, { buffer, byteOffset, byteLength }] of [...arrays].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const bytes = new Uint8Array(buffer, byteOffset, byteLength)
    for (let first = 0; first < bytes.length; first += SUMMED_AT_ONCE) {
      sum = crc32(bytes.subarray(first, first + SUMMED_AT_ONCE), sum)
      if (pace.isTooLong()) await pace.giveWay()
    }
  }
  return sum.toString(16)
}

function nameOf(step: number): string {
  return `step-${String(step).padStart(9, '0')}.safetensors`
}

/** Variables have their own names, so that others can read them. */
function nameInFile(name: string): string {
  return name.startsWith(VALUES) ? name.slice(VALUES.length) : `checkpoint/${name}`
}
