import { checkCount, checkOptions, checkSignal } from '../checks.ts'
import type { Dataset } from '../data/dataset.ts'
import { OptionError } from '../errors.ts'
import { EVALUATION_BATCH } from './batches.ts'
import { supplyInOrder } from './makeSupply.ts'
import type { EpochValues } from './measures.ts'
import type { Model } from './model.ts'
import { hasWeights, Objective, type ObjectiveOptions } from './objective.ts'
import { sourceOf } from './streamSupply.ts'
import type { Sample, TrainingData } from './trainingData.ts'

/** What `Model.evaluate` measures. */
export interface EvaluateOptions extends ObjectiveOptions {
  /** Samples a step; default 256. The result does not depend on it, but for rounding; only a loss that compares the samples of a batch, as `triplet`, does. */
  readonly batchSize?: number
  /** Stops it within a step; it rejects with an AbortError. */
  readonly signal?: AbortSignal
}

export async function evaluate(model: Model, data: TrainingData | Dataset<Sample>, options: EvaluateOptions): Promise<EpochValues> {
  if (options === undefined) throw new OptionError('evaluate: options are required, at least { loss }.')
  checkOptions('evaluate', options, ['loss', 'lossWeights', 'metrics', 'batchSize', 'signal'], {
    classWeights: 'it is an option of fit; to weigh an evaluation give sampleWeights beside x and y.',
  })
  const { batchSize = EVALUATION_BATCH, signal } = options
  checkCount('evaluate', 'batchSize', batchSize)
  checkSignal('evaluate', signal)
  const source = sourceOf(data)
  const objective = new Objective('evaluate', model, options, { weighted: hasWeights(source) })
  return objective.measure(await supplyInOrder('evaluate', objective, source, batchSize), signal)
}
