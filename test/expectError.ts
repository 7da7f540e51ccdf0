import { expect } from 'vitest'
import { ThalwegError } from '../src/errors.ts'

/** Expects what was thrown to be an error of this code, whose message contains every one of the parts. */
export function expectError(thrown: unknown, code: string, parts: readonly string[]): ThalwegError {
  expect(thrown).toBeInstanceOf(ThalwegError)
  const { code: got, message } = thrown as ThalwegError
  expect({ code: got, message, missing: parts.filter((part) => !message.includes(part)) }).toEqual({ code, message, missing: [] })
  return thrown as ThalwegError
}
