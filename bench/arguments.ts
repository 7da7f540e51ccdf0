/** Command lines: numbers, names and files on them, help, and one line about what is wrong. */
import { closeSync, existsSync, openSync, rmSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { unknownName } from '../src/checks.ts'
import { OptionError, ThalwegError } from '../src/errors.ts'
import { MAXIMUM_THREADS } from '../src/executors/native/addon.ts'

export function positive(option: string, text: string): number {
  const value = Number(text)
  if (!(value > 0)) throw new OptionError(`--${option}: expected a number above 0, got "${text}".`)
  return value
}

export function wholeNumber(option: string, text: string, most = Number.MAX_SAFE_INTEGER): number {
  const value = Number(text)
  const range = most === Number.MAX_SAFE_INTEGER ? 'at least 1' : `1 … ${most}`
  if (!Number.isSafeInteger(value) || value < 1 || value > most)
    throw new OptionError(`--${option}: expected an integer of ${range}, got "${text}".`)
  return value
}

/** Of `--threads`. More than there are processors are allowed, with a warning, up to the most that a plan may have. */
export function threadCount(text: string): number {
  const threads = wholeNumber('threads', text, MAXIMUM_THREADS)
  const processors = availableParallelism()
  if (threads > processors)
    console.error(`Warning: --threads ${threads}, but there are fewer logical processors (${processors}): the threads wait for each other.`)
  return threads
}

/** Of `--isa`, or without it of the environment; `known` are those that work here. */
export function checkInstructionSet(isa: string | undefined, known: readonly string[]): void {
  const [given, where] = isa === undefined ? [process.env.THALWEG_ISA, 'the environment variable THALWEG_ISA'] : [isa, '--isa']
  if (given !== undefined && given !== '' && !known.includes(given)) throw unknownName('instruction set', given, known, where)
}

/** Whether the process is to write files at its end. */
let writesFiles = false

/** Whether a file can be written, found out before anything is measured. What it holds stays; one that was not there is not there afterwards. */
export function checkWritable(option: string, file: string | undefined): void {
  if (file === undefined) return
  const existed = existsSync(file)
  try {
    closeSync(openSync(file, 'a'))
  } catch (error) {
    throw new OptionError(`--${option}: "${file}" cannot be written: ${(error as Error).message}.`)
  }
  if (!existed) rmSync(file)
  writesFiles = true
}

const isTheUsers = (error: unknown): error is Error =>
  error instanceof ThalwegError || (error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS'))

/** Says in a line what is wrong with what the user gave, and ends the process. Any other error is thrown. */
export function refuse(command: string, error: unknown): never {
  if (!isTheUsers(error)) throw error
  console.error(`${error.message.replaceAll('\n', ' ')}\n${command} --help lists the options.`)
  process.exit(2)
}

/**
 * When whoever reads the output has seen enough, as `head` has, the process ends; if it is to write files as well, it goes on for them.
 *
 * @param cleanUp What is done before the end.
 */
export function endWithReader(cleanUp: () => void = () => {}): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    if (writesFiles) return
    cleanUp()
    process.exit(0)
  })
}

/** What `parse` makes of the command line. When it returns null, prints the help; when it finds something wrong, says what; both end the process. */
export function readArguments<Parsed>(command: string, help: string, parse: () => Parsed | null): Parsed {
  try {
    const parsed = parse()
    endWithReader()
    if (parsed !== null) return parsed
    console.log(help)
    process.exit(0)
  } catch (error) {
    refuse(command, error)
  }
}
