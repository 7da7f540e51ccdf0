/** Values of options. What does not fit is refused before anything is read, with exit code 2. */
import { InvalidArgumentError } from 'commander'
import { MAXIMUM_THREADS } from '../executors/native/addon.ts'

/** An integer of at least `least`, and at most `most` if that is given. */
export function integer(least: number, most = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (text.trim() === '' || !Number.isSafeInteger(value) || value < least || value > most)
      throw new InvalidArgumentError(
        `Expected an integer of ${most === Number.MAX_SAFE_INTEGER ? `at least ${least}` : `${least} … ${most}`}.`,
      )
    return value
  }
}

/** How many threads a model runs on. More than there are processors are allowed. */
export const threadCount = integer(1, MAXIMUM_THREADS)

/** A number in a range; both ends belong to it if `inclusive`. */
export function number({
  from = Number.NEGATIVE_INFINITY,
  to = Number.POSITIVE_INFINITY,
  inclusive = false,
} = {}): (text: string) => number {
  return (text) => {
    const value = Number(text)
    const isInside = inclusive ? value >= from && value <= to : value > from && value < to
    if (text.trim() === '' || !isInside) {
      const range =
        to === Number.POSITIVE_INFINITY ? `a number ${inclusive ? 'of at least' : 'above'} ${from}` : `a number of ${from} … ${to}`
      throw new InvalidArgumentError(`Expected ${range}${to !== Number.POSITIVE_INFINITY && !inclusive ? ', both excluded' : ''}.`)
    }
    return value
  }
}

/** Integers of at least 1, with commas between them. */
export function integers(text: string): readonly number[] {
  return text.split(',').map(integer(1))
}

/** Numbers of threads, with commas between them. */
export function threadCounts(text: string): readonly number[] {
  return text.split(',').map(threadCount)
}

/** Names with commas between them, of all times the option is given. */
export function names(text: string, before: readonly string[] = []): readonly string[] {
  const given = text.split(',').map((name) => name.trim())
  if (given.includes('')) throw new InvalidArgumentError('Expected names with commas between them.')
  return [...before, ...given]
}

/** The values of all times the option is given. */
export function repeated(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text]
}

const units: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
}

/** A size in bytes: 500MB, 2GiB. */
export function bytes(text: string): number {
  const [, digits, unit] = /^\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*$/.exec(text) ?? []
  if (digits === undefined || !Object.hasOwn(units, unit)) throw new InvalidArgumentError('Expected a size such as 500MB or 2GiB.')
  return Math.round(Number(digits) * units[unit])
}
