/**
 * `npx tsx examples/tune.ts`: searches for a network that reads the digits, by asynchronous successive halving in one worker thread for each processor. What a trial does is in
 * `tuneTrial.ts`. Interrupt it and start it again: it goes on from its journal.
 */
import { fileURLToPath } from 'node:url'
import { tune } from '../src/index.ts'
import { digitsSpace } from './tuneTrial.ts'

const journal = fileURLToPath(new URL('../build/tune/digits.jsonl', import.meta.url))
const interrupted = new AbortController()
process.once('SIGINT', () => interrupted.abort())

const result = await tune({
  space: digitsSpace,
  trial: new URL('./tuneTrial.ts', import.meta.url),
  strategy: 'asha',
  trials: 54,
  epochs: 27,
  mode: 'max',
  journal,
  signal: interrupted.signal,
  onTrial({ trial, epochs, score, status }, { ended, trials }) {
    console.error(`${ended}/${trials}: trial ${trial}, ${epochs} epochs: ${score?.toFixed(4) ?? status}`)
  },
})
console.log(result.table(10))
await result.save(journal.replace('.jsonl', '.csv'))
