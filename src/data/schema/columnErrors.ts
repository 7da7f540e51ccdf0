/** Errors about columns. */
import { nearestName } from '../../checks.ts'
import { counted, DataError, describe, OptionError } from '../../errors.ts'
import type { FeatureColumn, TargetColumn } from './kind.ts'
import { show } from './rows.ts'
import type { Row } from './types.ts'

export function missingTargetError(place: string, name: string, row: object): DataError {
  const isThere = Object.hasOwn(row, name)
  const value = isThere ? (row as Row)[name] : undefined
  const got = String(value ?? '').trim() === '' ? 'an empty field' : `${show(value)}, which counts as missing`
  const nearest = isThere ? null : nearestName(name, Object.keys(row))
  return new DataError(
    `${place}, column "${name}": expected the target, got ${isThere ? got : `no such column${nearest === null ? '' : ` (there is "${nearest}")`}`}; leave such rows out with { missingTarget: "skip" }.`,
  )
}

export function absentColumns(place: string, absent: readonly string[], names: readonly string[]): DataError {
  const [first] = absent
  const nearest = nearestName(first, names)
  const others = absent.length === 1 ? '' : `, nor ${counted(absent.length - 1, 'other')} that it needs`
  const advice = nearest === null ? `there are ${listed(names)}` : `there is ${describe(nearest)}`
  return new DataError(`${place}: expected the columns of the schema, got none called ${describe(first)}${others}; ${advice}.`)
}

/** The first of many names. */
const listed = (names: readonly string[]) =>
  names.length <= 20 ? names.join(', ') : `${names.slice(0, 20).join(', ')} and ${names.length - 20} more`

export function unknownColumn(where: string, name: string, known: readonly string[]): OptionError {
  const nearest = nearestName(name, known)
  return new OptionError(
    `${where}: there is no column "${name}"; ${nearest === null ? `there are ${listed(known)}` : `did you mean "${nearest}"?`}${nearest === null ? '.' : ''}`,
  )
}

/** Parts of an answer for classes, which a single target must not be called. */
const answerNames = ['probability', 'probabilities']

export function checkColumns(columns: ReadonlyMap<string, FeatureColumn | TargetColumn>): void {
  for (const [name, column] of columns) {
    if (name === '__proto__') throw new OptionError('schema: "__proto__" is no name for a column; rename it.')
    if (
      typeof column !== 'object' ||
      column === null ||
      (column.role !== 'feature' && column.role !== 'target') ||
      typeof column.collect !== 'function'
    )
      throw new OptionError(
        `schema: column "${name}" must be made by column or target, such as column.number(), got ${describe(column)}${typeof column === 'function' ? '; call it' : ''}.`,
      )
    if (column.role === 'target' && answerNames.includes(name))
      throw new OptionError(`schema: a target must not be called "${name}", which predictions of classes have beside the label; rename it.`)
  }
  const roles = [...columns.values()].map(({ role }) => role)
  if (!roles.includes('target'))
    throw new OptionError('schema: there is no target; say what is predicted, such as { price: target.number() }.')
  if (!roles.includes('feature'))
    throw new OptionError('schema: there is no column to predict from; add some, such as { sqft: column.number() }.')
}
