import { existsSync } from 'node:fs'
import type { DuckDBConnection, DuckDBPreparedStatement, DuckDBResult, DuckDBValue } from '@duckdb/node-api'
import { checkOptions } from '../../checks.ts'
import { DataError, describe, FileError, OptionError, ThalwegError } from '../../errors.ts'
import { type Open, throwIfAborted } from '../chunk.ts'
import { Dataset } from '../dataset.ts'
import { checkColumnNames, columnChunks, plainValue } from './columns.ts'
import { pathOf } from './dataFile.ts'
import { optionalPeer } from './optional.ts'

/** A value in place of a parameter of a query. */
export type SqlValue = string | number | bigint | boolean | Date | null

/** Options of `sql`. */
export interface SqlOptions {
  /** A DuckDB file, which is only read; default a database in memory, for queries over files: `FROM 'houses.csv'`. */
  readonly database?: string | URL
  /** Values of `?`, `$1`, `$2` … in order, or of `$name` by name; default none. */
  readonly parameters?: readonly SqlValue[] | Readonly<Record<string, SqlValue>>
}

type Duckdb = typeof import('@duckdb/node-api')

/**
 * The rows of a SQL query in DuckDB, as a dataset: a table of a DuckDB file, or CSV, Parquet and JSON files, joined, filtered and aggregated. Results are
 * fetched in pieces, while the query runs, and the query runs again in each pass: give it an ORDER BY where rows of joins and groups must come in the same
 * order. Integers and decimals become numbers (an integer of more than 53 bits is an error), dates and timestamps `Date`s, lists arrays, structs objects,
 * blobs bytes; what is missing is null. Extensions of DuckDB are never downloaded. Needs the package @duckdb/node-api.
 *
 * @param query One statement that gives rows.
 * @param options `database` in memory, `parameters` none.
 * @throws OptionError for unknown options, parameters that do not fit, statements that give no rows, or without the package; FileError for a database
 * that is not there; DataError for what DuckDB refuses. All but the first when it is read.
 * @example await sql('SELECT range AS x, range * range AS y FROM range($1)', { parameters: [3] }).toArray()
 */
export function sql(query: string, options: SqlOptions = {}): Dataset<Record<string, unknown>> {
  checkOptions('sql', options, ['database', 'parameters'])
  if (typeof query !== 'string' || query.trim() === '') throw new OptionError(`sql: expected a query, got ${describe(query)}.`)
  const { database, parameters } = options
  if (parameters !== undefined && (typeof parameters !== 'object' || parameters === null))
    throw new OptionError(`sql: parameters must be an array, or an object by name, got ${describe(parameters)}.`)
  return new Dataset(read(query, database === undefined ? null : pathOf('sql', database), parameters))
}

function read(query: string, database: string | null, parameters: SqlOptions['parameters']): Open<Record<string, unknown>> {
  return async function* ({ signal }) {
    const duckdb = await optionalPeer('sql', '@duckdb/node-api', () => import('@duckdb/node-api'))
    if (database !== null && !existsSync(database)) throw new FileError(`sql: cannot read ${database}: there is no such file.`)
    const settings = { autoinstall_known_extensions: 'false', ...(database !== null && { access_mode: 'READ_ONLY' }) }
    const instance = await guarded(signal, () => duckdb.DuckDBInstance.create(database ?? ':memory:', settings))
    let connection: DuckDBConnection | undefined
    let result: DuckDBResult | undefined
    const interrupt = () => connection?.interrupt()
    try {
      connection = await guarded(signal, () => instance.connect())
      signal?.addEventListener('abort', interrupt)
      result = await start(duckdb, connection, query, parameters, signal)
      const names = result.columnNames()
      checkColumnNames('sql', names)
      for (let first = 0; ; ) {
        const rows = result
        const chunk = await guarded(signal, () => rows.fetchChunk())
        if (chunk === null || chunk.rowCount === 0) break
        const columns = await guarded(signal, async () =>
          chunk
            .convertColumns(duckdb.JSDuckDBValueConverter)
            .map((values, column) => values.map((value, i) => plainValue(value, () => `sql: row ${first + i}, column "${names[column]}"`))),
        )
        yield* columnChunks('the query', names, columns, first)
        first += chunk.rowCount
      }
    } finally {
      signal?.removeEventListener('abort', interrupt)
      // NOTE: a result that has not ended holds the file open until it is collected; interrupted, it ends.
      connection?.interrupt()
      await drain(result)
      connection?.closeSync()
      instance.closeSync()
    }
  }
}

async function drain(result: DuckDBResult | undefined): Promise<void> {
  try {
    while (((await result?.fetchChunk())?.rowCount ?? 0) > 0);
  } catch {
    // It says that it was interrupted.
  }
}

async function start(
  duckdb: Duckdb,
  connection: DuckDBConnection,
  query: string,
  parameters: SqlOptions['parameters'],
  signal: AbortSignal | undefined,
): Promise<DuckDBResult> {
  const statement = await guarded(signal, () => connection.prepare(query))
  if (statement.statementType !== duckdb.StatementType.SELECT)
    throw new OptionError(
      'sql: expected a query that gives rows and changes nothing (SELECT …, FROM …); run other statements before, in DuckDB itself.',
    )
  bind(duckdb, statement, parameters)
  return guarded(signal, () => statement.stream())
}

function bind({ timestampValue }: Duckdb, statement: DuckDBPreparedStatement, parameters: SqlOptions['parameters'] = []): void {
  const names = Array.from({ length: statement.parameterCount }, (_, i) => statement.parameterName(i + 1))
  const given = new Map<string, unknown>(
    Object.entries(Array.isArray(parameters) ? Object.fromEntries(parameters.map((value, i) => [i + 1, value])) : parameters),
  )
  for (const name of names)
    if (!given.has(name)) throw new OptionError(`sql: the query has a parameter $${name}, for which no value is given in parameters.`)
  for (const [name, value] of given) {
    const position = names.indexOf(name) + 1
    if (position === 0)
      throw new OptionError(
        `sql: parameters has a value for $${name}, which is not in the query (it has ${names.length === 0 ? 'none' : names.map((known) => `$${known}`).join(', ')}).`,
      )
    const bindable = value instanceof Date ? timestampValue(BigInt(value.getTime()) * 1000n) : value
    if ((bindable !== null && typeof bindable === 'object' && !(value instanceof Date)) || bindable === undefined)
      throw new OptionError(`sql: parameter $${name} must be a string, number, bigint, boolean, Date or null, got ${describe(value)}.`)
    statement.bindValue(position, bindable as DuckDBValue)
  }
}

/** Runs a call of DuckDB; what it throws becomes an error of ours, without the lines that point into the query. */
async function guarded<T>(signal: AbortSignal | undefined, call: () => Promise<T>): Promise<T> {
  throwIfAborted(signal)
  try {
    return await call()
  } catch (error) {
    throwIfAborted(signal)
    if (error instanceof ThalwegError) throw error
    const message = (error as Error).message.split('\n\nLINE ')[0].trim()
    const extension = /extension/i.test(message) && /install/i.test(message)
    throw new DataError(
      extension
        ? `sql: the query needs an extension of DuckDB that is not installed, and none is downloaded; install it in DuckDB itself first: ${message.split('\n')[0]}`
        : `sql: ${message}`,
      { cause: error },
    )
  }
}
