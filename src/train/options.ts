/** The names of options, and hints at those that belong elsewhere: for fit, train, cross-validation and custom training. */
import type { Hints } from '../errors.ts'

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
