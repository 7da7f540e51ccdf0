/** What a command is to the program, and the program to a command. */
import type { Command } from 'commander'
import type { Output, Streams } from './output.ts'

/** What a command runs in. */
export interface Context {
  readonly streams: Streams
  readonly output: Output
  /** Stops the command: a signal of the system, or a reader of its output who has left. */
  readonly signal: AbortSignal
  /** As it was typed, quoted where it must be. */
  readonly commandLine: string
}

/**
 * A command: adds its arguments, options and examples.
 *
 * @param command Empty, but for its name and description.
 * @param context Of a run: to be called in the action, when options have been read.
 */
export type DefineCommand = (command: Command, context: () => Context) => void

/** A command of the program. */
export interface CommandEntry {
  readonly name: string
  /** A line in the list of commands. */
  readonly summary: string
  /** Its module, with all that it needs of the library. */
  readonly load: () => Promise<{ readonly define: DefineCommand }>
}
