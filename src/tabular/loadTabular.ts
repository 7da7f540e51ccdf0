import { DataError, OptionError } from '../errors.ts'
import { type LoadOptions, readModelFile } from '../train/loadModel.ts'
import { SCHEMA_ENTRY, schemaFrom } from './schemaText.ts'
import { TabularModel } from './tabularModel.ts'

/**
 * The model for rows that a file holds: what `TabularModel.save` wrote, or `thalweg train`.
 *
 * @param source Its path, or its bytes.
 * @param options `executor`, `threads`, `signal`.
 * @throws FileError when the system refuses; DataError for a file that is damaged, or has no schema.
 * @example const rows = [{ x: 1, y: 2 }, { x: 2, y: 4 }]; await tabular(await schema({ x: column.number(), y: target.number() }).fit(rows)).save('build/rows.safetensors'); await (await loadTabular('build/rows.safetensors')).predict({ x: 3 })
 */
export async function loadTabular(source: string | Uint8Array, options: LoadOptions = {}): Promise<TabularModel> {
  const { model } = await readTabularFile('loadTabular', source, options)
  return model
}

/** The same with what else the file says. */
export async function readTabularFile(
  where: string,
  source: string | Uint8Array,
  options: LoadOptions = {},
): Promise<{ readonly model: TabularModel; readonly metadata: ReadonlyMap<string, string> }> {
  const { model: network, metadata } = await readModelFile(source, options, where)
  const place = `${where}: ${typeof source === 'string' ? source : 'the bytes given'}`
  const text = metadata.get(SCHEMA_ENTRY)
  if (text === undefined) throw new DataError(`${place} holds a model without a schema; open it with loadModel.`)
  const schema = schemaFrom(place, text)
  try {
    return { model: new TabularModel(place, schema, network), metadata }
  } catch (error) {
    throw error instanceof OptionError ? new DataError(error.message) : error
  }
}
