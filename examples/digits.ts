/** Handwritten digits, 8 × 8 pixels of 0 … 16 (UCI, Alpaydin and Kaynak 1998): which digit is it? */
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { parse } from 'csv-parse/sync'
import { adamW, dense, dropout, input, sequential } from '../src/index.ts'
import type { ExampleOptions } from './options.ts'

const PIXELS = 64
const EPOCHS = 40

export interface DigitsResult {
  readonly trainingRows: number
  readonly testRows: number
  readonly parameters: number
  /** The share of held-out digits recognised. */
  readonly accuracy: number
  readonly seconds: number
}

export async function trainDigits({ seed = 1, onProgress, onEpochEnd, ...execution }: ExampleOptions = {}): Promise<DigitsResult> {
  const cells: string[][] = parse(gunzipSync(readFileSync(new URL('data/digits.csv.gz', import.meta.url))))
  const rows = cells.map((row) => row.map(Number))
  const part = (isTest: boolean) => {
    const chosen = rows.filter((_, row) => (row % 5 === 0) === isTest)
    return { x: chosen.map((row) => row.slice(0, PIXELS).map((pixel) => pixel / 16)), y: chosen.map((row) => row[PIXELS]) }
  }
  const training = part(false)
  const test = part(true)

  const net = sequential(
    [
      input(PIXELS, { name: 'pixels' }),
      dense(192, { activation: 'relu' }),
      dropout(0.25),
      dense(96, { activation: 'relu' }),
      dropout(0.25),
      dense(10),
    ],
    { seed, ...execution },
  )
  const start = performance.now()
  await net.fit(training, {
    loss: 'sparseCategoricalCrossentropy',
    optimizer: adamW({ learningRate: (epoch) => (epoch < 28 ? 1e-3 : epoch < 36 ? 3e-4 : 1e-4), weightDecay: 0.01 }),
    epochs: EPOCHS,
    batchSize: 32,
    onProgress,
    onEpochEnd,
  })
  const seconds = (performance.now() - start) / 1000
  const { accuracy } = await net.evaluate(test, { loss: 'sparseCategoricalCrossentropy', metrics: ['accuracy'] })
  return { trainingRows: training.y.length, testRows: test.y.length, parameters: net.parameterCount, accuracy, seconds }
}
