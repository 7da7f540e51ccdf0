/** Which numbers of which input a column writes. */
import { nearestName } from '../../checks.ts'
import { DataError, OptionError } from '../../errors.ts'
import { sizeOf } from '../../graph/shape.ts'
import type { Dtype } from '../../graph/tensor.ts'
import type { Encoder, Numbers } from './kind.ts'
import { show, valueIn } from './rows.ts'
import type { Row } from './types.ts'
import { refuse } from './values.ts'

/** An input that a network for a schema needs. */
export interface SchemaInput {
  /** "features": all numbers of rows side by side; "categories": an index for each embedded column; or the name of a column with an input of its own. */
  readonly name: string
  /** Of one row. */
  readonly shape: readonly number[]
  readonly dtype: Dtype
  /** Of indices, for each column in order: how many there are, for an embedding. Empty for numbers. */
  readonly sizes: readonly number[]
  /** The columns in it, in order. */
  readonly columns: readonly string[]
}

/** Where a column writes. */
export interface Part {
  readonly name: string
  readonly encoder: Pick<Encoder, 'encode'>
  /** Which memory, where in its row, and how long a row is. */
  readonly memory: number
  readonly offset: number
  readonly stride: number
  readonly mayBeAbsent: boolean
}

/** The inputs that columns share, and those that are their own. */
export function inputsOf(encoders: ReadonlyMap<string, Encoder>): SchemaInput[] {
  const groups = new Map<string, [string, Encoder][]>()
  // The order of inputs does not depend on which column comes first.
  for (const shared of ['features', 'categories']) groups.set(shared, [])
  for (const [name, encoder] of encoders) {
    if (encoder.input === undefined && groups.has(name))
      throw new OptionError(
        `schema: column "${name}" has an input of its own, which must not be called as the one for ${name} is; rename it.`,
      )
    if (sizeOf(encoder.shape) > 0) groups.set(encoder.input ?? name, [...(groups.get(encoder.input ?? name) ?? []), [name, encoder]])
  }
  return [...groups].flatMap(([name, members]): SchemaInput[] => {
    if (members.length === 0) return []
    const [[, first]] = members
    const total = members.reduce((sum, [, { shape }]) => sum + sizeOf(shape), 0)
    return [
      {
        name,
        shape: members.length === 1 ? first.shape : [total],
        dtype: first.dtype,
        sizes: members.flatMap(([, { sizes = [] }]) => sizes),
        columns: members.map(([column]) => column),
      },
    ]
  })
}

/** Writes the value of a row, or throws an error about it. */
export function write(part: Part, row: Row, memories: readonly Numbers[], at: number, place: (i: number) => string, i: number): void {
  let value = row[part.name]
  if (value === undefined || typeof value === 'function') {
    value = valueIn(row, part.name)
    if (value === undefined && !part.mayBeAbsent) throw absentColumn(place(i), part.name, row)
  }
  const refusal = part.encoder.encode(value, memories[part.memory], at * part.stride + part.offset)
  if (refusal !== null) refuse(`${place(i)}, column "${part.name}"`, refusal, show(value))
}

/** Where each column of the inputs writes. */
export function partsOf(inputs: readonly SchemaInput[], encoders: ReadonlyMap<string, Encoder>, mayBeAbsent: ReadonlySet<string>): Part[] {
  return inputs.flatMap((input, memory) => {
    let offset = 0
    return input.columns.map((name): Part => {
      const encoder = encoders.get(name) as Encoder
      const part = { name, encoder, memory, offset, stride: sizeOf(input.shape), mayBeAbsent: mayBeAbsent.has(name) }
      offset += sizeOf(encoder.shape)
      return part
    })
  })
}

function absentColumn(place: string, name: string, row: Row): DataError {
  const nearest = nearestName(name, Object.keys(row))
  return new DataError(
    `${place}: expected a value of column "${name}", got a row without it${nearest === null ? '' : ` (there is "${nearest}")`}; give null for a missing value.`,
  )
}
