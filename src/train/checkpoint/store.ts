/** The checkpoints of a directory, the latest ones and the best. */
import { copyFile, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DataError, FileError, ThalwegError } from '../../errors.ts'
import { type PackedArray, pack, unpack } from '../../interchange/packing.ts'
import { SafetensorsFile, writeTensors } from '../../interchange/safetensors.ts'
import type { Position } from '../epochs.ts'
import type { EpochValues } from '../measures.ts'
import type { SavedTrainer } from '../trainer.ts'

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
const PATTERN = /^step-(\d{9,})\.safetensors$/
const VALUES = 'trainer/values/'

export class CheckpointStore {
  private readonly where: string
  private readonly directory: string

  private constructor(where: string, directory: string) {
    this.where = where
    this.directory = directory
  }

  static async open(where: string, directory: string): Promise<CheckpointStore> {
    try {
      await mkdir(directory, { recursive: true })
    } catch (error) {
      throw new FileError(`${where}: the directory "${directory}" cannot be made: ${(error as Error).message}.`, { cause: error })
    }
    return new CheckpointStore(where, directory)
  }

  /** Their steps, the latest first. */
  async steps(): Promise<number[]> {
    const names = await readdir(this.directory)
    return names
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
   */
  async write(
    step: number,
    saved: Omit<SavedRun, 'format'>,
    { metadata, shapes }: { readonly metadata: Readonly<Record<string, string>>; readonly shapes: ReadonlyMap<string, readonly number[]> },
  ): Promise<void> {
    const { json, arrays } = pack({ format: FORMAT, ...saved })
    const tensors = Object.entries(arrays).map(([path, data]) => {
      const name = nameInFile(path)
      return { name, shape: shapes.get(name) ?? [data.length], data }
    })
    await writeTensors(this.where, this.path(step), tensors, { ...metadata, [ENTRY]: json })
  }

  /** Keeps a copy of a checkpoint as the best one. */
  async keepAsBest(step: number): Promise<void> {
    const best = join(this.directory, 'best.safetensors')
    const temporary = `${best}.${process.pid}.tmp`
    try {
      await copyFile(this.path(step), temporary)
      const copy = await open(temporary, 'r+')
      await copy.sync().finally(() => copy.close())
      await rename(temporary, best)
    } catch (error) {
      await rm(temporary, { force: true })
      throw new FileError(`${this.where}: "${best}" cannot be written: ${(error as Error).message}.`, { cause: error })
    }
  }

  /** Removes all but the latest. */
  async prune(keep: number): Promise<void> {
    for (const step of (await this.steps()).slice(keep)) await rm(this.path(step), { force: true })
  }

  private path(step: number): string {
    return join(this.directory, `step-${String(step).padStart(9, '0')}.safetensors`)
  }
}

/** Variables have their own names, so that others can read them. */
function nameInFile(name: string): string {
  return name.startsWith(VALUES) ? name.slice(VALUES.length) : `checkpoint/${name}`
}
