import { CommanderError } from 'commander'
import { AbortError, ThalwegError } from '../errors.ts'
import { shellWord } from './shell.ts'

/** Exit codes: what scripts may rely on. */
export const EXIT = { done: 0, failed: 1, usage: 2, SIGINT: 130, SIGTERM: 143 } as const

/** The command line itself is wrong: exit code 2. */
export class UsageError extends Error {}

/** A command has said what failed, and is to end with exit code 1. */
export class Failed extends Error {}

/** Functions of the library with which its messages begin; who types a command has not called them. */
const functions =
  /^(?:(?:readData|csv|jsonLines|parquet|arrow|dataset|Dataset\.\w+|inferSchema|schema(?:\.\w+)?|tabular|fit|evaluate|compare|predict|save|loadTabular|loadModel|crossValidateTable|permutationImportance|serveReport|writeReport|gradcheck|tune|transform|readSafetensors): )+/

/** Messages longer than this keep the library's advice as it is. Only what they quote makes them so long, and a record of a file may have more characters than a pattern goes through. */
const MOST_TRANSLATED = 2 ** 22

/** An option as the library's messages advise it. */
const advised = /\{ (\w+): ["']?([\w.-]+)["']? \}/g

// What is quoted, names above all, comes from files of any origin, and may be as long as they are. So no attempt at a pattern may begin inside of what another has gone through in vain:
// what is not closed is quoted up to the end, and options have no braces.
// A pattern takes memory for each character that it goes through, and V8 gives it no more than 64 MB: eight million characters are too many for `quoted`.
const quoted = /"(?:[^"\\]|\\(?:[\s\S]|$))*(?:"|$)/.source
const options = `\\{ (\\w+: (?:${quoted}|[^"{}])*) \\}`

/** A column as the library's messages advise it, or options of one alone. What is quoted comes from the data. */
const advisedOfColumn = new RegExp(`${quoted}|\\b(?:column|target)\\.(\\w+)\\((?:${options})?\\)|${options}`, 'g')
const optionName = new RegExp(`${quoted}|\\b(\\w+): `, 'g')

/** How inference advises a column. */
const advisedColumns = new RegExp(`\\{ columns: \\{ (${quoted}): column\\.(\\w+)\\(\\) \\} \\}`, 'g')

/** `bins: 8` is `bins=8`. */
const optionsInWords = (json: string) => json.replace(optionName, (whole, name?: string) => (name === undefined ? whole : `${name}=`))

/** Advice about a column as --column takes it: `--column 'age=number(bins=8)'` for `column.number({ bins: 8 })`. */
function columnsInWords(text: string): string {
  const found = /\bcolumn "/.exec(text)
  if (found === null) return text
  // A name stands there as it is, and may have quotes.
  const start = found.index + found[0].length
  const end = text.indexOf('": ', start + 1)
  if (end < 0) return text
  const name = text.slice(start, end)
  const behind = end + '": '.length
  const inWords = text.slice(behind).replace(advisedOfColumn, (whole, kind?: string, given?: string, alone?: string) => {
    if (kind !== undefined) return `--column ${shellWord(`${name}=${kind}${given === undefined ? '' : `(${optionsInWords(given)})`}`)}`
    return alone === undefined ? whole : optionsInWords(alone)
  })
  return text.slice(0, behind) + inWords
}

/**
 * A message of the library in the words of the command line: without the name of the function, with `--missing-target skip` for `{ missingTarget: "skip" }`,
 * and with --column for what is advised of a column. Of more than four million characters only the function's name is taken away.
 *
 * @param flags The long flags of the command's options, by their names in camelCase.
 */
export function inWordsOfCommand(message: string, flags: ReadonlyMap<string, string>): string {
  const own = message.replace(functions, '')
  if (own.length > MOST_TRANSLATED) return own
  const text = own.replace(advised, (whole, name: string, value: string) =>
    flags.has(name) ? `${flags.get(name)}${value === 'true' ? '' : ` ${value}`}` : whole,
  )
  if (!flags.has('column')) return text
  return columnsInWords(
    text.replace(advisedColumns, (_, json: string, kind: string) => `--column ${shellWord(`${parsedText(json)}=${kind}`)}`),
  )
}

/** Of a column that is named as it is, not in JSON, what stands there. */
function parsedText(json: string): string {
  try {
    return String(JSON.parse(json))
  } catch {
    return json.slice(1, -1)
  }
}

/** The exit code that an error stands for. @param signal What may have stopped the command. */
export function exitCodeOf(error: unknown, signal: AbortSignal): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage
  if (error instanceof UsageError) return EXIT.usage
  if (signal.aborted && isAbort(error)) return signal.reason === 'SIGTERM' ? EXIT.SIGTERM : EXIT.SIGINT
  return EXIT.failed
}

/** Whether a run was stopped, and has not failed. */
export function isAbort(error: unknown): boolean {
  return error instanceof AbortError || (error instanceof Error && error.name === 'AbortError')
}

/** Whether someone who uses the command can mend it; otherwise the stack is of use. */
export function isExpected(error: unknown): error is Error {
  return (error instanceof ThalwegError && error.code !== 'ERR_ASSERTION') || error instanceof UsageError || error instanceof Failed
}
