/** How a table is trained on when nobody says otherwise. Measured on tables of 2,300 … 4,000 rows: five folds of house prices, customers who leave, and spam. */
import { checkCount, checkOptions } from '../checks.ts'
import { adamW } from '../optim/adam.ts'
import type { Optimizer } from '../optim/optimizer.ts'
import { schedules } from '../optim/schedules.ts'

export const networkDefaults = { members: 4, hidden: [128, 64], dropout: 0.3 } as const

/** For `epochs` times through `rows` rows. */
const measured = { rows: 4000, epochs: 30 }

/** What `defaultTraining` must know. */
export interface DefaultTrainingOptions {
  /** How many rows are trained on. */
  readonly rows: number
  /** Times through them; default as many as suit their number. */
  readonly epochs?: number
  /** Rows a step; default as many as suit their number. */
  readonly batchSize?: number
  /** The highest learning rate; default 0.002. */
  readonly learningRate?: number
  /** How strongly kernels are drawn to 0, times the learning rate; default 0.1. */
  readonly weightDecay?: number
}

/** Options of `fit` for a table. */
export interface DefaultTraining {
  readonly optimizer: Optimizer
  readonly epochs: number
  readonly batchSize: number
}

/**
 * How `defaultNetwork` is trained: options of `fit`. Epochs are few and their number is fixed, because the learning rate falls to 0 with them, which settles the
 * weights as early stopping would, and no row has to be held out to know when to stop: stopping on 15 % of the rows costs more than it saves.
 *
 * - `batchSize`: the power of two nearest √rows, 16 … 1,024: small tables need steps, large ones speed.
 * - `epochs`: 30 · ∛(4,000 / rows), 2 … 100: the larger the table, the fewer times it is seen, and yet the more steps there are.
 * - `optimizer`: AdamW, because kernels that decay generalize better; the rate rises to 0.002 in the first twentieth of the run and falls along half a cosine.
 *
 * @param options `rows`; `epochs` and `batchSize` as above, `learningRate` 0.002, `weightDecay` 0.1.
 * @throws OptionError for counts that are none.
 * @example defaultTraining({ rows: 4000 }).epochs
 */
export function defaultTraining(options: DefaultTrainingOptions): DefaultTraining {
  checkOptions('defaultTraining', options, ['rows', 'epochs', 'batchSize', 'learningRate', 'weightDecay'])
  const { rows, learningRate: rate = 0.002, weightDecay = 0.1 } = options
  checkCount('defaultTraining', 'rows', rows)
  const {
    epochs = within(2, Math.round(measured.epochs * Math.cbrt(measured.rows / rows)), 100),
    batchSize = within(16, 2 ** Math.round(Math.log2(Math.sqrt(rows))), 1024),
  } = options
  checkCount('defaultTraining', 'epochs', epochs)
  checkCount('defaultTraining', 'batchSize', batchSize)
  const learningRate = schedules.cosine({ rate, warmup: { epochs: epochs / 20 } })
  return { optimizer: adamW({ learningRate, weightDecay, excludeFromDecay: 'bias' }), epochs, batchSize }
}

function within(least: number, x: number, most: number): number {
  return Math.min(most, Math.max(least, x))
}
