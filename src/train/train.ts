import { checkOptions, checkSignal, type Hints } from '../checks.ts'
import type { Dataset } from '../data/dataset.ts'
import { OptionError } from '../errors.ts'
import type { StepGroup } from './callbacks/callback.ts'
import { Epochs } from './epochs.ts'
import { suppliesOf } from './makeSupply.ts'
import type { EpochValues } from './measures.ts'
import type { Model } from './model.ts'
import { type EpochOptions, epochHints, epochOptionNames } from './options.ts'
import { sourceOf, withSources } from './streamSupply.ts'
import { trainingOf } from './training.ts'
import type { Sample, TrainingData } from './trainingData.ts'

/** How `Model.train` trains. */
export type TrainOptions = EpochOptions

/** A step is done. */
export interface StepEvent {
  readonly type: 'step'
  readonly epoch: number
  /** From 0, within the epoch. */
  readonly step: number
  readonly loss: number
}

/** An epoch is done. */
export interface EpochEvent {
  readonly type: 'epoch'
  readonly epoch: number
  readonly values: EpochValues
}

/** What a `train()` loop is given. */
export type TrainEvent = StepEvent | EpochEvent

const hints: Hints = {
  ...epochHints,
  earlyStopping: 'it is an option of fit; in a train() loop use break.',
  callbacks: 'it is an option of fit; a train() loop is its own callback.',
  onProgress: 'it is an option of fit; a train() loop has events of type "step".',
  onEpochEnd: 'it is an option of fit; a train() loop has events of type "epoch", and break stops it.',
  checkpoint: 'it is an option of fit.',
  profile: 'it is an option of fit.',
}

/**
 * Trains and gives every step and every epoch as an event. Steps run ahead of the loop that reads them, an epoch at a time, and
 * arrive in groups; the next epoch begins when the events of the last have been read.
 */
export async function* train(
  model: Model,
  data: TrainingData | Dataset<Sample>,
  options: TrainOptions,
): AsyncGenerator<TrainEvent, void, void> {
  if (options === undefined) throw new OptionError('train: options are required, at least { loss }.')
  checkOptions('train', options, epochOptionNames, hints)
  checkSignal('train', options.signal)
  const stop = new AbortController()
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal])
  const endTraining = model.beginTraining()
  try {
    const [source, sourced] = [sourceOf(data), withSources(options)]
    const training = trainingOf('train', model, source, sourced, false)
    const run = new Epochs('train', training, options, await suppliesOf('train', training, source, sourced))
    for (let epoch = run.initialEpoch; epoch < run.epochs && run.stopped === null; epoch++) {
      const groups: StepGroup[] = []
      let wake = () => {}
      let over = false
      const finished = run
        .run(epoch, 1, {
          signal,
          onSteps: (group) => {
            groups.push(group)
            wake()
          },
        })
        .finally(() => {
          over = true
          wake()
        })
      // The rejection is taken up by the await below; until then it must not count as unhandled.
      finished.catch(() => {})
      try {
        for (;;) {
          const group = groups.shift()
          if (group !== undefined) {
            for (const [i, loss] of group.losses.entries()) yield { type: 'step', epoch, step: group.firstStep + i, loss }
          } else if (over) break
          else
            await new Promise<void>((resolve) => {
              wake = resolve
            })
        }
        yield { type: 'epoch', epoch, values: (await finished)[0] }
      } finally {
        // Only a loop that was left early finds the epoch still running.
        if (!over) stop.abort()
        await finished.catch(() => {})
      }
    }
  } finally {
    endTraining()
  }
}
