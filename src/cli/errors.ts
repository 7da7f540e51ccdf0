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
  /^(readData|csv|jsonLines|parquet|arrow|dataset|Dataset\.\w+|inferSchema|schema(\.\w+)?|tabular|fit|evaluate|compare|predict|save|loadTabular|loadModel|crossValidateTable|permutationImportance|serveReport|writeReport|gradcheck|tune|transform|readSafetensors): /

/** An option as the library's messages advise it. */
const advised = /\{ (\w+): ["']?([\w.-]+)["']? \}/g

const quoted = /"(?:[^"\\]|\\.)*"/.source
const options = `\\{ (\\w+: (?:${quoted}|[^"}])*) \\}`

/** A column as the library's messages advise it, or options of one alone. What is quoted comes from the data. */
const advisedOfColumn = new RegExp(`${quoted}|\\b(?:column|target)\\.(\\w+)\\((?:${options})?\\)|${options}`, 'g')
const optionName = new RegExp(`${quoted}|(\\w+): `, 'g')

/** `bins: 8` is `bins=8`. */
const optionsInWords = (json: string) => json.replace(optionName, (whole, name?: string) => (name === undefined ? whole : `${name}=`))

/** Advice about a column as --column takes it: `--column 'age=number(bins=8)'` for `column.number({ bins: 8 })`. */
function columnsInWords(text: string): string {
  const found = /\bcolumn "(.+?)": /.exec(text)
  if (found === null) return text
  const name = found[1]
  // A name stands there as it is, and may have quotes.
  const behind = found.index + found[0].length
  const inWords = text.slice(behind).replace(advisedOfColumn, (whole, kind?: string, given?: string, alone?: string) => {
    if (kind !== undefined) return `--column ${shellWord(`${name}=${kind}${given === undefined ? '' : `(${optionsInWords(given)})`}`)}`
    return alone === undefined ? whole : optionsInWords(alone)
  })
  return text.slice(0, behind) + inWords
}

/**
 * A message of the library in the words of the command line: without the name of the function, with `--missing-target skip` for `{ missingTarget: "skip" }`,
 * and with --column for what is advised of a column.
 *
 * @param flags The long flags of the command's options, by their names in camelCase.
 */
export function inWordsOfCommand(message: string, flags: ReadonlyMap<string, string>): string {
  let text = message
  while (functions.test(text)) text = text.replace(functions, '')
  text = text.replace(advised, (whole, name: string, value: string) =>
    flags.has(name) ? `${flags.get(name)}${value === 'true' ? '' : ` ${value}`}` : whole,
  )
  return flags.has('column') ? columnsInWords(text) : text
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
