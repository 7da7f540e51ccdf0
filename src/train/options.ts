/** The names of options, and hints at those that belong elsewhere. Apart from what uses them, because those files import each other in a circle. */
import type { Hints } from '../errors.ts'

export const epochOptionNames = [
  'loss',
  'metrics',
  'lossWeights',
  'optimizer',
  'epochs',
  'initialEpoch',
  'batchSize',
  'validationData',
  'validationSplit',
  'classWeights',
  'mixup',
  'shuffle',
  'signal',
]

const ofModel = 'it is an option of sequential and model.'
const ofOptimizer = 'it goes into the optimizer: { optimizer: adam({ learningRate }) }.'

/** Options that belong elsewhere. */
export const epochHints: Hints = {
  sampleWeights: 'it goes beside the data: { x, y, sampleWeights }.',
  seed: ofModel,
  executor: ofModel,
  threads: ofModel,
  learningRate: ofOptimizer,
  lr: ofOptimizer,
}

export const fitOptionNames = [...epochOptionNames, 'earlyStopping', 'callbacks', 'profile', 'onProgress', 'onEpochEnd']
