import { checkBoolean, checkInteger } from '../../checks.ts'
import { type Callback, forOneRun, type TrainingRun } from './callback.ts'
import { Monitor, type MonitorOptions } from './monitor.ts'

/** Options of `callbacks.bestWeights`. */
export type BestWeightsOptions = MonitorOptions

/** Options of `callbacks.earlyStopping`, and what the option of that name takes. */
export interface EarlyStopping extends MonitorOptions {
  /** Epochs without improvement before the run stops; default 5. */
  readonly patience?: number
  /** Put the weights of the best epoch back at the end, also when the run ends otherwise; default true. */
  readonly restoreBestWeights?: boolean
}

/**
 * Puts the weights of the best epoch back when the run ends, also when an error ends it; none if the value was NaN in all epochs.
 *
 * @param options `monitor` "validationLoss" with validation, else "loss"; `mode` the metric's own; `minDelta` 0.
 * @example callbacks.bestWeights({ monitor: 'validationLoss' })
 */
export function bestWeights(options: BestWeightsOptions = {}): Callback {
  return watch('bestWeights', new Monitor('bestWeights', options, []), Number.POSITIVE_INFINITY, true)
}

/**
 * Ends the run when a value has not become better for some epochs, and puts the weights of the best epoch back. If it was NaN in all of them the run
 * ends with a DataError, and keeps its weights.
 *
 * @param options `monitor` "validationLoss" with validation, else "loss"; `mode` the metric's own; `minDelta` 0; `patience` 5; `restoreBestWeights` true.
 * @example callbacks.earlyStopping({ patience: 3 })
 */
export function earlyStopping(options: EarlyStopping = {}): Callback {
  const monitor = new Monitor('earlyStopping', options, ['patience', 'restoreBestWeights'])
  const { patience = 5, restoreBestWeights = true } = options
  checkInteger('earlyStopping', 'patience', patience, { least: 0 })
  checkBoolean('earlyStopping', 'restoreBestWeights', restoreBestWeights)
  return watch('earlyStopping', monitor, patience, restoreBestWeights)
}

function watch(name: string, monitor: Monitor, patience: number, restore: boolean): Callback {
  let bestEpoch: number | null = null
  let weights: readonly Float32Array[] | null = null
  return forOneRun({
    name,
    get bestEpoch() {
      return Number.isNaN(monitor.best) ? null : bestEpoch
    },
    onTrainBegin(run) {
      monitor.begin(run)
      bestEpoch = null
      weights = null
    },
    onEpochEnd(epoch, values, run) {
      if (monitor.isBetter(values) || bestEpoch === null) {
        bestEpoch = epoch
        if (restore) weights = run.models.map((model) => model.copyOfParameters())
        return true
      }
      if (epoch - bestEpoch < patience) return true
      monitor.checkMeasured(epoch, run)
      return false
    },
    save: () => ({ best: monitor.best, bestEpoch, weights }),
    restore(saved) {
      const { best, ...rest } = saved as { best: number; bestEpoch: number | null; weights: readonly Float32Array[] | null }
      monitor.best = best
      bestEpoch = rest.bestEpoch
      weights = rest.weights
    },
    async onTrainEnd(_, { models }: TrainingRun) {
      const best = weights
      weights = null
      if (best === null || Number.isNaN(monitor.best)) return
      for (const [i, model] of models.entries()) await model.exclusive(async () => model.restoreParameters(best[i]))
    },
  })
}
