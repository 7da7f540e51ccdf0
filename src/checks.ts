/** Checks of options and of names: a check throws an OptionError that says where, what was expected and what came. */
import { describe, OptionError } from './errors.ts'

/** Longer names are no slips of the hand, and two that come from files could take minutes to compare. */
const LONGEST_NAME = 200

/** The known name nearest to `given` (Levenshtein distance of at most a third of its length, or 2, but not all of it), or null; names of more than 200 characters have none. */
export function nearestName(given: string, known: readonly string[]): string | null {
  if (given.length > LONGEST_NAME) return null
  let best: string | null = null
  let bestDistance = Math.min(Math.max(2, Math.floor(given.length / 3)), given.length - 1) + 1
  for (const name of known) {
    if (Math.abs(name.length - given.length) >= bestDistance) continue
    const distance = editDistance(given.toLowerCase(), name.toLowerCase())
    if (distance < bestDistance) {
      best = name
      bestDistance = distance
    }
  }
  return best
}

/** For names that are given by mistake but lie far from any known one, in lower or upper case: what to say in place of a list. */
export type Hints = Readonly<Record<string, string>>

/** An OptionError for a name outside a list, with a hint about it or the nearest one suggested. */
export function unknownName(what: string, given: unknown, known: readonly string[], where = '', hints: Hints = {}): OptionError {
  const nearest = typeof given === 'string' ? nearestName(given, known) : null
  const key = typeof given === 'string' ? Object.keys(hints).find((name) => name.toLowerCase() === given.toLowerCase()) : undefined
  const hint = key === undefined ? null : hints[key]
  const advice = hint ?? (nearest === null ? `known are ${known.join(', ')}.` : `did you mean "${nearest}"?`)
  const quoted = typeof given === 'string' ? `"${given}"` : describe(given)
  return new OptionError(`Unknown ${what} ${quoted}${where === '' ? '' : ` for ${where}`}; ${advice}`)
}

/** Refuses options that are not in `known`: a misspelled option must never be ignored. */
export function checkOptions(where: string, options: unknown, known: readonly string[], hints?: Hints): void {
  if (options === undefined) return
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new OptionError(`${where}: options must be an object, got ${describe(options)}${rightForm(options, known)}.`)
  }
  checkNames(where, 'option', options, known, hints)
}

/** For a number in place of options: which one it may be. */
function rightForm(given: unknown, known: readonly string[]): string {
  if (typeof given !== 'number') return ''
  const names = known.filter((name) => ['learningRate', 'rate', 'epochs'].includes(name))
  const candidates = names.length > 0 ? names : known
  return candidates.length > 3 ? '' : `; try ${candidates.map((name) => `{ ${name}: ${given} }`).join(' or ')}`
}

/** What an object says, without members that are undefined: they are to mean their defaults, as members that are missing do. */
export function definedOf<T extends object>(given: T): T {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as T
}

/** Refuses entries of an object that are not in `known`; `what` says what they are. */
export function checkNames(where: string, what: string, given: object, known: readonly string[], hints?: Hints): void {
  if (given instanceof Map)
    throw new OptionError(`${where}: expected an object of ${what}s by name, got a Map; try Object.fromEntries(map).`)
  for (const name of Object.keys(given)) {
    if (!known.includes(name)) throw unknownName(what, name, known, where, hints)
  }
}

/** Throws unless the value can count something. */
export function checkCount(where: string, name: string, value: unknown, advice = ''): void {
  checkInteger(where, name, value, { least: 1, advice })
}

/** Throws unless the value is an integer of `least` … `most`. */
export function checkInteger(
  where: string,
  name: string,
  value: unknown,
  { least, most, advice = '' }: { readonly least: number; readonly most?: number; readonly advice?: string },
): void {
  if (Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= (most ?? Number.MAX_SAFE_INTEGER)) return
  const range = most === undefined ? `of at least ${least}` : `of ${least} … ${most}`
  throw new OptionError(`${where}: ${name} must be an integer ${range}, got ${describe(value)}${advice === '' ? '' : `; ${advice}`}.`)
}

/** Throws unless the value can seed the random generator. */
export function checkSeed(where: string, seed: unknown): void {
  checkInteger(where, 'seed', seed, { least: 0, most: Number.MAX_SAFE_INTEGER })
}

/** Throws unless the value is true or false. */
export function checkBoolean(where: string, name: string, value: unknown): void {
  if (typeof value !== 'boolean') throw new OptionError(`${where}: ${name} must be true or false, got ${describe(value)}.`)
}

/** Throws unless the value is a function. */
export function checkFunction(where: string, name: string, value: unknown): void {
  if (typeof value !== 'function') throw new OptionError(`${where}: ${name} must be a function, got ${describe(value)}.`)
}

/** Throws unless `signal` is an AbortSignal, or not given. */
export function checkSignal(where: string, signal: unknown): void {
  if (signal !== undefined && !(signal instanceof AbortSignal))
    throw new OptionError(`${where}: signal must be an AbortSignal, got ${describe(signal)}.`)
}

/** Throws unless the value is a path; `what` says of what: a file, a folder. */
export function checkPath(where: string, what: string, path: unknown): asserts path is string {
  if (typeof path !== 'string' || path === '') throw new OptionError(`${where}: expected the path of a ${what}, got ${describe(path)}.`)
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const current = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitution = previous[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)
      current[j] = Math.min(substitution, previous[j] + 1, current[j - 1] + 1)
    }
    previous = current
  }
  return previous[b.length]
}
