/** Options of runs, for fit, train, cross-validation and custom training: what they are, their names, and hints at those that belong elsewhere. */
import type { Hints } from '../checks.ts'
import type { Dataset } from '../data/dataset.ts'
import type { MixupOptions } from '../nn/mixup.ts'
import type { FullBatchOptimizer } from '../optim/fullBatch.ts'
import type { Optimizer } from '../optim/optimizer.ts'
import type { OptimizerName } from '../optim/optimizers.ts'
import type { ObjectiveOptions, PerOutput } from './objective.ts'
import type { ClassWeights } from './sampleWeights.ts'
import type { Sample, TrainingData } from './trainingData.ts'

/** How epochs go, whatever is trained. */
export interface RunOptions<Data = TrainingData> {
  /** Times through the data, those before `initialEpoch` included; default 1. */
  readonly epochs?: number
  /**
   * The number of the first epoch, to go on with a run of before: epochs are numbered from here on, and schedules and the order of samples are those of the
   * epochs that come now; default 0.
   */
  readonly initialEpoch?: number
  /** Samples a step; default 32. The last batch of an epoch may be smaller. For `lbfgs` how many are measured at a time; default 256, or all where masks or a sum ask for it. */
  readonly batchSize?: number
  /** Measured after each epoch. */
  readonly validationData?: Data
  /** In place of validationData: the part of the samples (chosen by the seed) to hold out; 0 … 1, default 0. */
  readonly validationSplit?: number
  /** Whether each epoch goes through the samples in a new order; default true. A dataset is shuffled by itself: `dataset.shuffle()`. */
  readonly shuffle?: boolean
  /**
   * Of a dataset: how many steps an epoch has; the elements behind them are left out. Needed for one that never ends, of which each epoch takes the next. Default: all
   * elements; if nobody knows how many there are, they are counted in a pass before the first epoch.
   */
  readonly stepsPerEpoch?: number
  /** Stops the run within one step. */
  readonly signal?: AbortSignal
}

/** Options of training one model for one objective. */
export interface EpochOptions extends ObjectiveOptions, RunOptions<TrainingData | Dataset<Sample>> {
  /** A name or one made with options; default "adam". Giving the same object again continues with its moments. */
  readonly optimizer?: Optimizer | FullBatchOptimizer | OptimizerName | 'lbfgs'
  /**
   * By what the loss of each training sample of a class is multiplied, besides its own weight: one number a class, or by class number, { 1: 5 }; for several
   * outputs by output name. Default 1.
   */
  readonly classWeights?: PerOutput<ClassWeights>
  /** Trains on weighted means of two samples of a batch, with their targets' losses weighted alike; metrics of training compare the prediction for the mixed inputs with the target of the larger share. Default: none. */
  readonly mixup?: MixupOptions
}

export const runOptionNames = [
  'epochs',
  'initialEpoch',
  'batchSize',
  'validationData',
  'validationSplit',
  'shuffle',
  'stepsPerEpoch',
  'signal',
]

export const epochOptionNames = ['loss', 'metrics', 'lossWeights', 'optimizer', 'classWeights', 'mixup', ...runOptionNames]

export const listenerNames = ['earlyStopping', 'callbacks', 'checkpoint', 'profile', 'onProgress', 'onEpochEnd']

const ofModel = 'it is an option of sequential and model.'
const ofOptimizer = 'it goes into the optimizer: { optimizer: adam({ learningRate }) }.'

const ofClipping = 'it goes around the optimizer: { optimizer: clipGradients(adam(), { norm: 1 }) }.'

/** Options that belong elsewhere. */
export const epochHints: Hints = {
  sampleWeights: 'it goes beside the data: { x, y, sampleWeights }.',
  seed: ofModel,
  executor: ofModel,
  threads: ofModel,
  learningRate: ofOptimizer,
  lr: ofOptimizer,
  clipnorm: ofClipping,
  clipvalue: ofClipping,
  clipGradients: ofClipping,
  batch: 'did you mean "batchSize"?',
}

/** Where options of listeners are wanted. */
export const listenerHints: Hints = {
  verbose: 'nothing is printed; for a line each epoch give onEpochEnd: console.log.',
  patience: 'it is an option of earlyStopping: { earlyStopping: { patience: 10 } }.',
}

export const fitOptionNames = [...epochOptionNames, ...listenerNames]
