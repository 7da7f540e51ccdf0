import { DataError, describe } from '../errors.ts'
import type { ExecutionOptions } from '../executors/index.ts'
import { openShared } from '../train/sharing.ts'
import { schemaFrom } from './schemaText.ts'
import { type SharedTabularModel, TabularModel } from './tabularModel.ts'

/**
 * The model for rows that another thread shared: it predicts with the same weights, in the same memory, as `openShared` says.
 *
 * @param shared What `TabularModel.share` gave, as `postMessage` or `workerData` brought it.
 * @param options `threads`, default 1; `executor`.
 * @throws DataError for what is no shared model; OptionError for unknown options.
 * @example const rows = [{ x: 1, y: 2 }, { x: 2, y: 4 }]; await openSharedTabular(tabular(await schema({ x: column.number(), y: target.number() }).fit(rows)).share()).predict({ x: 3 })
 */
export function openSharedTabular(shared: SharedTabularModel, options: ExecutionOptions = {}): TabularModel {
  const where = 'openSharedTabular'
  if (typeof shared?.schema !== 'string')
    throw new DataError(
      `${where}: expected what share() of a TabularModel gave, as postMessage or workerData brought it, got ${describe(shared)}.`,
    )
  return new TabularModel(where, schemaFrom(where, shared.schema), openShared(shared.network, options))
}
