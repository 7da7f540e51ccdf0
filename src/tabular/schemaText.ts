/** A fitted schema as text, on its way through a file or to another thread. */
import { FittedSchema } from '../data/schema/fitted.ts'
import { DataError, ThalwegError } from '../errors.ts'

/** The metadata of a file that hold the schema. */
export const SCHEMA_ENTRY = 'thalweg.schema'

/** Nothing is believed. @param where The beginning of messages. */
export function schemaFrom(where: string, text: string): FittedSchema {
  try {
    return FittedSchema.fromJSON(JSON.parse(text))
  } catch (error) {
    if (error instanceof SyntaxError) throw new DataError(`${where}: the schema is no JSON: ${error.message}. It is damaged.`)
    if (error instanceof ThalwegError) throw new DataError(`${where}: ${error.message}`)
    throw error
  }
}
