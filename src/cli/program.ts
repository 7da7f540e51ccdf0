import { styleText } from 'node:util'
import { Command, CommanderError } from 'commander'
import { FileError } from '../errors.ts'
import { version } from '../version.ts'
import type { CommandEntry } from './command.ts'
import { EXIT, exitCodeOf, inWordsOfCommand, isAbort, isExpected } from './errors.ts'
import { Output, type OutputOptions, type Streams, wantsColor, widthOf } from './output.ts'
import { shellWord } from './shell.ts'
import { withSynonym } from './synonyms.ts'

/** In the order of the help. */
export const commands: readonly CommandEntry[] = [
  { name: 'train', summary: 'train a network on a file of rows', load: () => import('./commands/train.ts') },
  { name: 'evaluate', summary: 'measure a model on rows whose targets are known', load: () => import('./commands/evaluate.ts') },
  { name: 'predict', summary: 'predict rows, from a file or standard input', load: () => import('./commands/predict.ts') },
  { name: 'inspect', summary: 'what is in a model file', load: () => import('./commands/inspect.ts') },
  { name: 'gradcheck', summary: 'whether the gradients of a model are right', load: () => import('./commands/gradcheck.ts') },
  { name: 'bench', summary: 'how fast a model trains and predicts on this machine', load: () => import('./commands/bench.ts') },
  { name: 'tune', summary: 'search for good parameters of training', load: () => import('./commands/tune.ts') },
]

/**
 * Runs a command line.
 *
 * @param argv Without the interpreter and the script.
 * @returns The exit code.
 */
export async function main(argv: readonly string[], streams: Streams): Promise<number> {
  const stop = new AbortController()
  const signal = streams.signal === undefined ? stop.signal : AbortSignal.any([streams.signal, stop.signal])
  let outputError: NodeJS.ErrnoException | null = null
  const onOutputError = (error: NodeJS.ErrnoException) => {
    outputError ??= error
    stop.abort(error)
  }
  streams.stdout.on('error', onOutputError)
  const run: Run = { output: null, command: null }
  let failure: unknown = null
  try {
    const program = await programFor(argv, streams, signal, run)
    await program.parseAsync([...argv], { from: 'user' })
  } catch (error) {
    failure = error
  }
  await new Promise<void>((resolve) => {
    streams.stdout.write('', () => resolve())
  })
  streams.stdout.off('error', onOutputError)
  // The reader of the output has seen enough, as `head` does.
  if ((outputError as NodeJS.ErrnoException | null)?.code === 'EPIPE') return EXIT.done
  failure =
    outputError === null
      ? failure
      : new FileError(`standard output cannot be written: ${(outputError as Error).message}.`, { cause: outputError })
  if (failure === null) return EXIT.done
  if (!(failure instanceof CommanderError)) report(failure, streams, run, argv.includes('--debug'))
  return exitCodeOf(failure, signal)
}

/** The command that runs, once it is known. */
interface Run {
  output: Output | null
  command: Command | null
}

/** The program with the commands that the command line names, and of the others what the list of commands says. */
export async function programFor(argv: readonly string[], streams: Streams, signal: AbortSignal, run: Run): Promise<Command> {
  const program = new Command('thalweg')
    .description('Trains networks on tables, and predicts with them: from a file of rows to a model in one file.')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help for a command')
    .helpCommand('help [command]', 'print help for a command')
    .option('--json', 'print JSON for machines on standard output, and nothing for people')
    .option('-q, --quiet', 'print results and warnings only')
    .option('--no-color', 'no colours, as with NO_COLOR=1 (default: on a terminal)')
    .option('--debug', 'print the stack of an error, as with THALWEG_DEBUG=1')
    .addHelpText('after', `\nExamples:\n${examples.map((line) => `  ${line}`).join('\n')}\n\nHelp for a command: thalweg train --help`)
  const commandLine = ['thalweg', ...argv.map(shellWord)].join(' ')
  const words = argv.filter((word) => !word.startsWith('-')).slice(0, 2)
  for (const { name, summary, load } of commands) {
    const command = program.command(name).summary(summary)
    if (!words.includes(name)) continue
    const { define } = await load()
    define(command, () => {
      run.command = command
      run.output = new Output(streams, command.optsWithGlobals<OutputOptions>())
      return { streams, output: run.output, signal, commandLine }
    })
  }
  const env = argv.includes('--no-color') ? { ...streams.env, NO_COLOR: '1' } : streams.env
  for (const each of [program, ...program.commands]) configure(each, { ...streams, env })
  return program
}

const examples = [
  'thalweg train houses.csv --target price --report houses.html',
  'thalweg predict houses.safetensors new-houses.csv > prices.csv',
]

/** Output and exit of a command. Before this, a command does not know them. */
function configure(command: Command, { stdout, stderr, env }: Omit<Streams, 'stdin'>): void {
  const name = command.parent === null ? command.name() : `${command.parent.name()} ${command.name()}`
  command
    .exitOverride()
    .showSuggestionAfterError()
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => stderr.write(text),
      outputError: (text, write) => write(`${name}: ${oneLine(withSynonym(command, text.replace(/^error: /, '')))} See ${name} --help.\n`),
      getOutHelpWidth: () => Math.min(widthOf(stdout), 120),
      getErrHelpWidth: () => Math.min(widthOf(stderr), 120),
      getOutHasColors: () => wantsColor(stdout, env),
      getErrHasColors: () => wantsColor(stderr, env),
    })
    .configureHelp({ showGlobalOptions: true, styleTitle: (text) => styleText('bold', text, { validateStream: false }) })
}

/** Says what went wrong: one line, and with --debug where. */
function report(error: unknown, { stderr, env }: Streams, { command, output }: Run, debug: boolean): void {
  const name = command === null ? 'thalweg' : `thalweg ${command.name()}`
  const flags = new Map(command?.options.flatMap((option) => (option.long ? [[option.attributeName(), option.long] as const] : [])))
  const message = oneLine(inWordsOfCommand(error instanceof Error ? error.message : String(error), flags))
  const { code } = error as { code?: unknown }
  output?.event({ type: 'error', ...(typeof code === 'string' && { code }), message })
  stderr.write(`${name}: ${message}\n`)
  const isFault = !isExpected(error) && !isAbort(error)
  if (debug || (env.THALWEG_DEBUG !== undefined && env.THALWEG_DEBUG !== '') || isFault)
    stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
}

function oneLine(text: string): string {
  // NOTE: line by line, for names come from files: /\s*\n\s*/g would begin anew at each blank of a long run of them, in quadratic time.
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .join(' ')
}
