/** Checks of options that several kinds of columns share. */
import { checkCount, unknownName } from '../../checks.ts'
import { describe, OptionError } from '../../errors.ts'
import { numberOf } from './values.ts'

/** Throws unless the value is one of those known. */
export function checkChoice(where: string, name: string, value: unknown, known: readonly string[]): void {
  if (typeof value !== 'string' || !known.includes(value)) throw unknownName(name, value, known, where)
}

/** A list of different texts; numbers and truth values stand for what they are written as. */
export function checkTexts(where: string, name: string, value: unknown, least = 0): readonly string[] {
  const bad = (got: string) =>
    new OptionError(`${where}: ${name} must be an array of ${least > 0 ? `at least ${least} ` : ''}different texts, got ${got}.`)
  if (!Array.isArray(value)) throw bad(describe(value))
  const texts = value.map((item: unknown) => {
    if (typeof item !== 'string' && typeof item !== 'number' && typeof item !== 'boolean') throw bad(`${describe(item)} in it`)
    return String(item)
  })
  const twice = texts.find((text, i) => texts.indexOf(text) !== i)
  if (twice !== undefined) throw bad(`${describe(twice)} twice`)
  if (texts.length < least) throw bad(describe(value))
  return texts
}

/** Text or numbers that stand for missing values, or nothing. */
export function checkMissingValues(where: string, value: unknown): void {
  if (value === undefined) return
  const isFit = (item: unknown) => typeof item === 'string' || (typeof item === 'number' && !Number.isNaN(numberOf(item)))
  if (!Array.isArray(value) || !value.every(isFit))
    throw new OptionError(`${where}: missingValues must be an array of texts and numbers, got ${describe(value)}.`)
}

/** A positive number, or null for no limit. */
export function checkLimit(where: string, name: string, value: unknown): void {
  if (value !== null && !(typeof value === 'number' && value > 0))
    throw new OptionError(`${where}: ${name} must be a number above 0, or null for none, got ${describe(value)}.`)
}

/** More numbers than this are no width of a column. */
const MOST = 2 ** 24

/** A number of numbers that a column writes. */
export function checkWidth(where: string, name: string, value: unknown): void {
  checkCount(where, name, value)
  if ((value as number) > MOST) throw new OptionError(`${where}: ${name} must be at most ${MOST}, got ${value}.`)
}
