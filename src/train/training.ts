import { checkCount, checkOptions } from '../checks.ts'
import { OptionError } from '../errors.ts'
import type { FullBatchOptimizer } from '../optim/fullBatch.ts'
import type { Optimizer } from '../optim/optimizer.ts'
import { fullBatchFor, type OptimizerName, optimizerFor } from '../optim/optimizers.ts'
import type { Plan } from '../plan/plan.ts'
import { FullBatchTrainer } from './fullBatchTrainer.ts'
import type { Measures, Samples } from './measures.ts'
import { checkGradient, stepOf } from './minimization.ts'
import type { Model } from './model.ts'
import { hasWeights, Objective, type ObjectiveOptions } from './objective.ts'
import type { EpochOptions } from './options.ts'
import type { SourcedOptions, Streamed } from './streamSupply.ts'
import { Trainer } from './trainer.ts'
import type { TrainingData } from './trainingData.ts'

/** What epochs are made of: data that become samples, steps over them, and what these measure. */
export interface Training<Data = TrainingData> {
  /** Held while steps run. The seed of the first decides the order of samples. */
  readonly models: readonly Model[]
  readonly measures: Measures<Data>
  readonly trainer: Trainer | FullBatchTrainer
  /** Whether gradients can be read between steps: large ones are stored only for somebody who reads them. */
  readonly keepsGradients: boolean
  /** What samples of training data are made; default: as they are. */
  adjust?(samples: Samples): Samples
  /** Called when everything has been checked, and the run begins. */
  begin?(): void
}

/** The trainer of each model's last run, and which weights it belongs to. */
const trainers = new WeakMap<Model, { readonly trainer: Trainer | FullBatchTrainer; readonly generation: number }>()

/**
 * One model and its objective. If the model was last trained with the same optimizer object, its moments carry on.
 *
 * @param keepsGradients Whether somebody reads gradients between steps.
 */
export function trainingOf(
  where: string,
  model: Model,
  data: TrainingData | Streamed<TrainingData>,
  options: SourcedOptions<EpochOptions>,
  keepsGradients: boolean,
): Training {
  const { optimizer: choice = 'adam', classWeights, mixup, validationData } = options
  const weighted = classWeights !== undefined || hasWeights(data) || hasWeights(validationData)
  const fullBatch = fullBatchFor(choice)
  const optimizer = fullBatch === null ? optimizerFor(where, choice as Optimizer | OptimizerName) : null
  const objective = new Objective(where, model, options, { weighted, mixup })
  checkGradient(where, objective.loss, model.trainableParameters)
  const last = trainers.get(model)
  const { generation } = model
  const previous = last?.generation === model.generation ? last.trainer : undefined
  const trainer =
    optimizer === null
      ? new FullBatchTrainer(
          where,
          model,
          objective,
          fullBatch as FullBatchOptimizer,
          previous instanceof FullBatchTrainer ? previous : undefined,
        )
      : new Trainer(stepOf(model, objective, optimizer), previous instanceof Trainer ? previous : undefined, keepsGradients)
  return {
    models: [model],
    measures: objective,
    trainer,
    keepsGradients,
    adjust: (samples) => (classWeights === undefined ? samples : objective.withClassWeights(where, samples, classWeights)),
    // A call that is refused does not cost the optimizer of the run before its moments.
    begin: () => trainers.set(model, { trainer, generation }),
  }
}

/** What a training step is made for. */
export interface PlanOptions extends ObjectiveOptions {
  /** A name or one made with options; default "adam". */
  readonly optimizer?: Optimizer | OptimizerName
}

/** `Model.trainingPlan`: see there. */
export function trainingPlan(model: Model, batchSize: number, options: PlanOptions): Plan {
  checkCount('trainingPlan', 'batchSize', batchSize, 'call trainingPlan(batchSize, { loss })')
  if (options === undefined) throw new OptionError('trainingPlan: options are required, at least { loss }.')
  checkOptions('trainingPlan', options, ['loss', 'lossWeights', 'metrics', 'optimizer'])
  const objective = new Objective('trainingPlan', model, options)
  checkGradient('trainingPlan', objective.loss, model.trainableParameters)
  const step = stepOf(model, objective, optimizerFor('trainingPlan', options.optimizer ?? 'adam'))
  return new Trainer(step, undefined, false).plan(batchSize)
}
