import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { basename, dirname, resolve } from 'node:path'
import { FileError, OptionError } from '../errors.ts'
import { SafetensorsFile } from '../interchange/safetensors.ts'
import { MODEL_ENTRY } from '../train/modelFile.ts'
import { STDIN } from './rowFiles.ts'

/** Where a model trained on some data goes when nobody says: `ames.csv.gz` becomes `ames.safetensors`, here. */
export function defaultModelPath([first]: readonly string[]): string {
  const name =
    first === STDIN
      ? 'model'
      : basename(first).replace(/(?<=.)\.(csv|tsv|txt|jsonl|ndjson|json|parquet|pq|arrows?|feather|ipc)?(\.gz)?$/i, '')
  return `${name}.safetensors`
}

/**
 * Refuses a path on which a model must not be written, before hours of training go into one.
 *
 * @throws OptionError for a file that is no model of thalweg, which would be lost; FileError for a folder that cannot be written to.
 */
export async function checkModelPath(path: string): Promise<void> {
  const found = await stat(path).catch(() => null)
  if (found?.isDirectory()) throw new OptionError(`--out: "${path}" is a folder; expected a file in it.`)
  if (found !== null) {
    if (!(await isModel(path)))
      throw new OptionError(
        `--out: "${path}" is there and is no model of thalweg; it is left as it is. Give another path, or move it away.`,
      )
    return
  }
  // Folders that are not there are made; the lowest that is there decides.
  let folder = dirname(resolve(path))
  while ((await stat(folder).catch(() => null)) === null) folder = dirname(folder)
  try {
    await access(folder, constants.W_OK)
  } catch (error) {
    throw new FileError(`--out: "${folder}" cannot be written to: ${(error as Error).message}.`, { cause: error })
  }
}

async function isModel(path: string): Promise<boolean> {
  try {
    const file = await SafetensorsFile.open('--out', path)
    await file.close()
    return file.metadata.has(MODEL_ENTRY)
  } catch {
    return false
  }
}
