import { DataError, describe, ThalwegError } from '../../errors.ts'

/** Members of an object from a file, which may hold anything: each is what is asked for, or an error that says where. */
export class Fields {
  readonly where: string
  private readonly json: Readonly<Record<string, unknown>>

  constructor(where: string, json: unknown) {
    if (typeof json !== 'object' || json === null || Array.isArray(json)) throw wrong(where, 'an object', json)
    this.where = where
    this.json = json as Record<string, unknown>
  }

  has(name: string): boolean {
    return Object.hasOwn(this.json, name)
  }

  any(name: string): unknown {
    return this.has(name) ? this.json[name] : undefined
  }

  object(name: string): Fields {
    return new Fields(`${this.where}, "${name}"`, this.any(name))
  }

  objects(name: string): Fields[] {
    return this.list(name, 'objects', (item): item is object => typeof item === 'object' && item !== null).map(
      (item, i) => new Fields(`${this.where}, "${name}"[${i}]`, item),
    )
  }

  string(name: string): string {
    return this.one(name, 'a string', (value) => typeof value === 'string')
  }

  number(name: string): number {
    return this.one(name, 'a finite number', (value) => Number.isFinite(value))
  }

  /** A deviation, which is never negative. */
  atLeastZero(name: string): number {
    return this.one(name, 'a finite number of at least 0', (value) => Number.isFinite(value) && (value as number) >= 0)
  }

  count(name: string): number {
    return this.one(name, 'an integer of at least 0', (value) => Number.isSafeInteger(value) && (value as number) >= 0)
  }

  boolean(name: string): boolean {
    return this.one(name, 'true or false', (value) => typeof value === 'boolean')
  }

  /** @param length How many there must be; default any. */
  numbers(name: string, length?: number): number[] {
    return this.list(name, 'finite numbers', (item): item is number => Number.isFinite(item), length)
  }

  counts(name: string, length?: number): number[] {
    return this.list(name, 'counts', (item): item is number => Number.isSafeInteger(item) && (item as number) >= 0, length)
  }

  /** Different ones. */
  strings(name: string): string[] {
    const all = this.list(name, 'strings', (item): item is string => typeof item === 'string')
    if (new Set(all).size !== all.length) throw wrong(`${this.where}, "${name}"`, 'different strings', 'some twice')
    return all
  }

  private one<T>(name: string, expected: string, fits: (value: unknown) => boolean): T {
    const value = this.any(name)
    if (!fits(value)) throw wrong(`${this.where}, "${name}"`, expected, value)
    return value as T
  }

  private list<T>(name: string, expected: string, fits: (item: unknown) => item is T, length?: number): T[] {
    const value = this.any(name)
    const place = `${this.where}, "${name}"`
    if (!Array.isArray(value)) throw wrong(place, `an array of ${expected}`, value)
    if (length !== undefined && value.length !== length) throw wrong(place, `${length} ${expected}`, value)
    const bad = value.findIndex((item) => !fits(item))
    if (bad >= 0) throw wrong(`${place}[${bad}]`, expected, value[bad])
    return value as T[]
  }
}

function wrong(place: string, expected: string, got: unknown): DataError {
  return new DataError(`${place}: expected ${expected}, got ${describe(got)}; the schema was changed or is no schema of thalweg.`)
}

/** Runs what reads a file; an error about an option becomes one about the file. */
export function readingFile<T>(where: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof ThalwegError) || error instanceof DataError) throw error
    throw new DataError(`${where}: ${error.message}`)
  }
}
