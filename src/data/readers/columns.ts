import { DataError } from '../../errors.ts'
import { CHUNK, type Chunk } from '../chunk.ts'

/** Refuses names of columns that cannot be those of a row's properties. */
export function checkColumnNames(where: string, names: readonly string[]): void {
  const seen = new Set<string>()
  names.forEach((name, i) => {
    if (name === '') throw new DataError(`${where}: column ${i + 1} has no name; name every column.`)
    if (name === '__proto__') throw new DataError(`${where}: a column must not be called "__proto__"; rename it.`)
    if (seen.has(name)) throw new DataError(`${where}: two columns are called ${JSON.stringify(name)}; rename one of them.`)
    seen.add(name)
  })
}

/**
 * Chunks of the rows of columns that lie in memory, from row `from` on: objects of one hidden class, because their properties are added in one
 * order. The first of the rows is number `start` of the source.
 */
export function* columnChunks(
  source: string,
  names: readonly string[],
  columns: readonly ArrayLike<unknown>[],
  start: number,
  from = 0,
): Generator<Chunk<Record<string, unknown>>> {
  const count = columns[0]?.length ?? 0
  for (let begin = from; begin < count; begin += CHUNK) {
    const items: Record<string, unknown>[] = []
    for (let i = begin; i < Math.min(begin + CHUNK, count); i++) {
      const row: Record<string, unknown> = {}
      for (let column = 0; column < names.length; column++) row[names[column]] = columns[column][i]
      items.push(row)
    }
    const first = start + begin
    yield { items, place: (i) => `${source}, row ${first + i}` }
  }
}

/** An integer of 64 bits or more as a number. */
export function safeNumber(value: bigint, place: () => string): number {
  const number = Number(value)
  if (!Number.isSafeInteger(number))
    throw new DataError(
      `${place()}: ${value} is too large to be held exactly as a number (2^53 at most); cast the column to text or to a floating-point type where it is written.`,
    )
  return number
}

/**
 * What a library gives for a cell as plain values: bigints become numbers, also in arrays and objects; null, booleans, numbers, strings, dates
 * and bytes are those already.
 */
export function plainValue(value: unknown, place: () => string): unknown {
  if (typeof value === 'bigint') return safeNumber(value, place)
  if (value === undefined) return null
  if (typeof value !== 'object' || value === null || value instanceof Date) return value
  if (value instanceof BigInt64Array || value instanceof BigUint64Array) return Array.from(value, (element) => safeNumber(element, place))
  if (ArrayBuffer.isView(value)) return value
  if (Array.isArray(value)) return value.map((element) => plainValue(element, place))
  const plain: Record<string, unknown> = Object.create(null)
  for (const [name, member] of Object.entries(value)) plain[name] = plainValue(member, place)
  return plain
}
