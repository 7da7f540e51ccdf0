/**
 * Predictions inside a pipeline of Node.js: CSV in, JSON lines out, in order, however long the file is. After `npx tsx examples/houses.ts`:
 *
 *     npx tsx examples/stream.ts build/houses.safetensors < examples/data/ames.csv > answers.jsonl
 *
 * A row that cannot be predicted becomes a line that says why; the others are not held up.
 */
import type { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { pathToFileURL } from 'node:url'
import { csv, loadTabular, OptionError, type TabularModel } from '../src/index.ts'

/** Answers rows of a CSV stream line by line. @returns How many rows could not be predicted. */
export async function answer(net: TabularModel, from: Readable, to: Writable): Promise<number> {
  let refused = 0
  const answers = net.transform<object>({
    onError(error) {
      refused++
      return { error: error.message }
    },
  })
  const lines = async function* (objects: AsyncIterable<object>) {
    for await (const object of objects) yield `${JSON.stringify(object)}\n`
  }
  await pipeline(csv(from), answers, lines, to)
  return refused
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  if (process.argv.length !== 3) throw new OptionError('Expected one model file: npx tsx examples/stream.ts houses.safetensors < rows.csv')
  const refused = await answer(await loadTabular(process.argv[2]), process.stdin, process.stdout)
  if (refused > 0) console.error(`${refused} rows could not be predicted.`)
}
