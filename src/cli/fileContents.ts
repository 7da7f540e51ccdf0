/** What a file of tensors says of itself. */
import { stat } from 'node:fs/promises'
import { SafetensorsFile, type StoredTensor } from '../interchange/safetensors.ts'
import { readTabularFile } from '../tabular/loadTabular.ts'
import { SCHEMA_ENTRY } from '../tabular/schemaText.ts'
import type { TabularModel } from '../tabular/tabularModel.ts'
import { readModelFile } from '../train/loadModel.ts'
import type { Model } from '../train/model.ts'
import { MODEL_ENTRY, type ModelDescription } from '../train/modelFile.ts'

/** A column of a schema, as its file has it. */
export interface StoredColumn {
  readonly name: string
  readonly role: 'feature' | 'target'
  readonly kind: string
  readonly options: object
  readonly fitted: Readonly<Record<string, unknown>>
}

/** What is in a file: tensors and texts, and a model and its schema if they are there. */
export interface Contents {
  readonly bytes: number
  readonly tensors: readonly StoredTensor[]
  /** What `thalweg train` has noted, and anything else; without the model and the schema. Values are JSON where they can be read as such. */
  readonly notes: ReadonlyMap<string, unknown>
  readonly model: Model | null
  readonly description: Pick<ModelDescription, 'thalweg' | 'seed' | 'step'> | null
  readonly table: TabularModel | null
  readonly columns: readonly StoredColumn[]
}

/** Reads a file of tensors, of thalweg or of others. @throws DataError for one that is damaged, or whose model or schema is. */
export async function contentsOf(where: string, path: string, signal: AbortSignal): Promise<Contents> {
  const file = await SafetensorsFile.open(where, path, signal)
  await file.close()
  const { metadata } = file
  const has = (entry: string) => metadata.has(MODEL_ENTRY) && metadata.has(entry)
  // Nothing is computed, so the addon need not be there.
  const options = { executor: 'reference', signal } as const
  const table = has(SCHEMA_ENTRY) ? (await readTabularFile(where, path, options)).model : null
  const model = table?.network ?? (has(MODEL_ENTRY) ? (await readModelFile(path, options, where)).model : null)
  const { size } = await stat(path)
  return {
    bytes: size,
    tensors: [...file.tensors.values()],
    notes: new Map(
      [...metadata].filter(([name]) => name !== MODEL_ENTRY && name !== SCHEMA_ENTRY).map(([name, text]) => [name, parsed(text)]),
    ),
    model,
    description: model === null ? null : JSON.parse(metadata.get(MODEL_ENTRY) as string),
    table,
    columns: table === null ? [] : (table.schema.toJSON() as { columns: StoredColumn[] }).columns,
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
