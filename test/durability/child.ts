/** A training run that is made to be killed: `child.mjs JOB`, a job as JSON. Prints what it ended with. */
import { createHash } from 'node:crypto'
import { writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { AbortError, adam, averageWeights, callbacks, csv, dense, dropout, type FitOptions, input, sequential } from '../../src/index.ts'
import { type Job, rowsOf } from './job.ts'

const job: Job = JSON.parse(process.argv[2])
const say = (text: string) => writeSync(1, `${text}\n`)

const net = sequential([input(4), dense(16, { activation: 'tanh' }), dropout(0.2), dense(8, { activation: 'relu' }), dense(1)], {
  seed: job.seed,
})
const { checkpoint } = job
/** Where one is to be asked to end, it is at work. */
let begun = false
const sayBegun = () => {
  if (!begun) say('begun')
  begun = true
}
const options: FitOptions = {
  loss: 'meanSquaredError',
  metrics: ['meanAbsoluteError'],
  optimizer: averageWeights(adam({ learningRate: 0.01 })),
  epochs: job.epochs,
  batchSize: 16,
  earlyStopping: { patience: 1000 },
  callbacks: [callbacks.reduceOnPlateau({ patience: 2 }), { onEpochBegin: sayBegun }],
  ...(checkpoint !== null && { checkpoint: { directory: checkpoint.directory, everySteps: checkpoint.everySteps, keepBest: true } }),
  onEpochEnd: async () => {
    if (job.slow) await sleep(10)
  },
}
const sample = (row: Record<string, string>) => ({ x: [row.a, row.b, row.c, row.d].map(Number), y: Number(row.y) })
const rows = rowsOf(job.seed)

function fit(path: string | null) {
  if (path === null) return net.fit({ x: rows.map(({ x }) => x), y: rows.map(({ y }) => y) }, { ...options, validationSplit: 0.2 })
  const { training, validation } = csv(path).map(sample).split(0.2, { seed: job.seed })
  return net.fit(training.shuffle({ buffer: 60, seed: job.seed }), { ...options, validationData: validation })
}

try {
  if (!job.slow) sayBegun()
  const history = await fit(job.csv)
  const weights = createHash('sha256')
  for (const [name, { data }] of Object.entries(net.weights()))
    weights.update(name).update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
  say(`ended ${JSON.stringify({ weights: weights.digest('hex'), history })}`)
} catch (error) {
  if (!(error instanceof AbortError)) throw error
  say(`stopped ${error.message}`)
}
