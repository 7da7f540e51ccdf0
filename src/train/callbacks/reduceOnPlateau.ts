import { checkInteger } from '../../checks.ts'
import { describe, OptionError } from '../../errors.ts'
import { type Callback, forOneRun } from './callback.ts'
import { Monitor, type MonitorOptions } from './monitor.ts'

/** Options of `callbacks.reduceOnPlateau`. */
export interface ReduceOnPlateauOptions extends MonitorOptions {
  /** What the learning rate is multiplied by: above 0, below 1; default 0.1. */
  readonly factor?: number
  /** Epochs without improvement before that; default 10. */
  readonly patience?: number
  /** So many epochs after that are not counted; default 0. */
  readonly cooldown?: number
  /** The rate that it does not go below, of the optimizer's first learning rate; default 0. */
  readonly floor?: number
  /** The least change that counts as an improvement; default 0.0001. */
  readonly minDelta?: number
}

/**
 * Lowers the learning rate when a value has not become better for some epochs (as Keras' ReduceLROnPlateau, which already counts the last epoch of a cooldown).
 * With a schedule, all its rates are lowered. A value that was NaN in all epochs until then ends the run with a DataError.
 *
 * @param options `factor` 0.1; `patience` 10; `cooldown` 0; `floor` 0; `monitor` "validationLoss" with validation, else "loss"; `mode` the metric's own; `minDelta` 0.0001.
 * @example callbacks.reduceOnPlateau({ factor: 0.5, patience: 3 })
 */
export function reduceOnPlateau(options: ReduceOnPlateauOptions = {}): Callback {
  const monitor = new Monitor('reduceOnPlateau', options, ['factor', 'patience', 'cooldown', 'floor'], 1e-4)
  const { factor = 0.1, patience = 10, cooldown = 0, floor = 0 } = options
  if (typeof factor !== 'number' || !(factor > 0 && factor < 1))
    throw new OptionError(`reduceOnPlateau: factor must be above 0 and below 1, got ${describe(factor)}.`)
  for (const [name, value] of Object.entries({ patience, cooldown })) checkInteger('reduceOnPlateau', name, value, { least: 0 })
  if (typeof floor !== 'number' || !(floor >= 0 && floor < Number.POSITIVE_INFINITY))
    throw new OptionError(`reduceOnPlateau: floor must be a finite number of at least 0, got ${describe(floor)}.`)
  let [waited, cooling, scale] = [0, 0, 1]
  return forOneRun({
    name: 'reduceOnPlateau',
    onTrainBegin(run) {
      monitor.begin(run)
      waited = 0
      cooling = 0
    },
    save: () => ({ best: monitor.best, waited, cooling }),
    restore(saved) {
      const { best, ...rest } = saved as { best: number; waited: number; cooling: number }
      monitor.best = best
      waited = rest.waited
      cooling = rest.cooling
    },
    onEpochBegin(_, run) {
      scale = run.learningRateScale
    },
    onEpochEnd(epoch, values, run) {
      const better = monitor.isBetter(values)
      if (cooling > 0) {
        cooling -= 1
        waited = 0
      } else if (better) waited = 0
      else if (++waited >= patience) {
        monitor.checkMeasured(epoch, run)
        // Another callback may have lowered it since the latest step.
        const rate = run.learningRate * (run.learningRateScale / scale)
        if (!(rate > floor)) return
        run.learningRateScale *= Math.max(factor, floor / rate)
        cooling = cooldown
        waited = 0
      }
    },
  })
}
