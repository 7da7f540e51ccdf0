/** Columns as a command line says them: `zip=category`, `notes=text(most=500, encode=hashed)`. */
import { unknownName } from '../checks.ts'
import { column, target } from '../data/schema/columns.ts'
import type { Columns } from '../data/schema/types.ts'
import { describe, OptionError } from '../errors.ts'
import { UsageError } from './errors.ts'

type Kinds = Readonly<Record<string, (options: object) => Columns[string]>>

/**
 * @param given Of --column.
 * @param ignored Of --ignore.
 * @param targets Columns that are predicted, for which the kinds are those of targets.
 */
export function columnsOf(given: readonly string[], ignored: readonly string[], targets: readonly string[]): Columns {
  const columns = new Map<string, Columns[string]>()
  for (const text of given) {
    // A name may begin with a blank, and end with one.
    const [, name, kind, options = ''] = /^(.+?)=([a-zA-Z]+)(?:\((.*)\))?$/s.exec(text.trimEnd()) ?? []
    if (name === undefined)
      throw new UsageError(`--column: expected name=kind or name=kind(option=value, …), such as zip=category, got ${describe(text)}.`)
    const kinds = (targets.includes(name) ? target : column) as Kinds
    if (!Object.hasOwn(kinds, kind)) throw inUsage(unknownName('kind', kind, Object.keys(kinds), `--column ${name}`))
    if (columns.has(name)) throw new UsageError(`--column: "${name}" is given twice.`)
    try {
      columns.set(name, kinds[kind](optionsIn(name, options)))
    } catch (error) {
      throw error instanceof OptionError ? new UsageError(`--column ${name}: ${error.message}`, { cause: error }) : error
    }
  }
  for (const name of ignored) {
    if (targets.includes(name)) throw new UsageError(`--ignore: "${name}" is the target.`)
    if (columns.has(name)) throw new UsageError(`--ignore: "${name}" is a column of --column; give one of the two.`)
    columns.set(name, column.ignore())
  }
  return Object.fromEntries(columns)
}

/** `most=500, values=["a", "b"]`: values are JSON, or text without quotes. */
function optionsIn(name: string, text: string): object {
  const options = new Map<string, unknown>()
  // A comma within brackets or quotes is part of a value.
  for (const part of text.match(/(?:"(?:[^"\\]|\\.)*"|\[(?:"(?:[^"\\]|\\.)*"|[^"\]])*\]|[^,"[\]]+)+/g) ?? []) {
    const [, key, value] = /^\s*(\w+)\s*[=:]\s*(.*?)\s*$/s.exec(part) ?? []
    if (key === undefined) throw new UsageError(`--column ${name}: expected option=value, got ${describe(part.trim())}.`)
    options.set(key, parsedValue(value))
  }
  return Object.fromEntries(options)
}

function parsedValue(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

function inUsage(error: Error): UsageError {
  return new UsageError(error.message, { cause: error })
}
