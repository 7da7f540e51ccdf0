#!/usr/bin/env node
/** The command `thalweg`. A first SIGINT or SIGTERM lets it finish what must be finished; a second one ends it at once. */
import { main } from './program.ts'

const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort(signal))
const { stdout, stderr, env } = process
// Whoever read the messages may have left.
stderr.on('error', () => {})
process.exitCode = await main(process.argv.slice(2), {
  // Looked at only by those who read it: an open standard input would keep the process alive.
  get stdin() {
    return process.stdin
  },
  stdout,
  stderr,
  env,
  signal: stop.signal,
})
