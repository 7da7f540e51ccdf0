import { checkCount, checkOptions } from '../checks.ts'
import { describe, OptionError } from '../errors.ts'
import { type Callback, forOneRun, type TrainingRun } from '../train/callbacks/callback.ts'
import { Curve } from './curve.ts'
import type { TrainingSummary } from './reportData.ts'
import type { ReportServer } from './server.ts'

/** Options of `recordTraining` and `liveReport`. @example recordTraining({ rows: 1000 } satisfies RecordTrainingOptions) */
export interface RecordTrainingOptions {
  /** How many rows an epoch trains on, from which the rows a second are counted; default: not known. */
  readonly rows?: number
}

/** A callback that remembers how training goes. @example recordTraining() satisfies TrainingRecord */
export interface TrainingRecord extends Callback {
  /** How training has gone so far, as plain JSON: `ReportData.training`. */
  readonly training: TrainingSummary
}

/**
 * A callback that records what a report shows of training: loss and metrics of each epoch, the losses and learning rates of steps (thinned as they come, so
 * that the memory is bounded), how long it took. A second run with the same one begins anew.
 *
 * @param options `rows`: not known.
 * @throws OptionError for options that do not fit.
 * @example const record = recordTraining(); await sequential([input(1), dense(1)]).fit({ x: [1, 2], y: [2, 4] }, { loss: 'meanSquaredError', callbacks: [record] }); record.training.curves.loss.length
 */
export function recordTraining(options: RecordTrainingOptions = {}): TrainingRecord {
  return recorder('recordTraining', options, () => {})
}

/**
 * A callback that shows training as it goes on the page of `serveReport`; it records what `recordTraining` does.
 *
 * @param server What `serveReport` gave.
 * @param options `rows`: not known.
 * @throws OptionError for what is no server, or options that do not fit.
 * @example const server = await serveReport({ title: 'Lines' }); await sequential([input(1), dense(1)]).fit({ x: [1, 2], y: [2, 4] }, { loss: 'meanSquaredError', callbacks: [liveReport(server)] }); await server.close()
 */
export function liveReport(server: ReportServer, options: RecordTrainingOptions = {}): TrainingRecord {
  if (typeof server?.update !== 'function')
    throw new OptionError(`liveReport: expected what serveReport gives as first argument, got ${describe(server)}; await it.`)
  return recorder('liveReport', options, (record) => server.update({ training: record.training }))
}

function recorder(where: string, options: RecordTrainingOptions, changed: (record: TrainingRecord) => void): TrainingRecord {
  checkOptions(where, options, ['rows'])
  const { rows } = options
  if (rows !== undefined) checkCount(where, 'rows', rows)
  let run = new Recording(rows)
  const record: TrainingRecord = {
    name: where,
    get training() {
      return run.summary()
    },
    onTrainBegin(training: TrainingRun) {
      run = new Recording(rows, training)
      changed(record)
    },
    onSteps({ losses }, { learningRate }) {
      run.addSteps(losses, learningRate)
      changed(record)
    },
    onEpochEnd(epoch, values) {
      run.addEpoch(epoch, values)
      changed(record)
    },
    onTrainEnd({ stopped, error }) {
      run.end(stopped, error)
      changed(record)
    },
  }
  forOneRun(record)
  return record
}

/** What has been recorded of a run. */
class Recording {
  private readonly rows: number | undefined
  private readonly epochs: number | null
  private readonly stepsPerEpoch: number | null
  private readonly firstStep: number
  private readonly begun = performance.now()
  private ended: number | null = null
  private state: TrainingSummary['state'] = 'running'
  private stopped: string | null = null
  private step: number
  private completed: number
  private best = Number.POSITIVE_INFINITY
  private bestEpoch: number | null = null
  private readonly losses = new Curve()
  private readonly rates = new Curve()
  private readonly curves: ReadonlyMap<string, Curve>

  constructor(rows: number | undefined, run?: TrainingRun) {
    this.rows = rows
    this.epochs = known(run?.epochs)
    this.stepsPerEpoch = known(run?.stepsPerEpoch)
    this.completed = run?.initialEpoch ?? 0
    this.firstStep = this.completed * (this.stepsPerEpoch ?? 0)
    this.step = this.firstStep
    if (run !== undefined) this.rates.add(this.step, run.learningRate)
    this.curves = new Map((run?.valueNames ?? []).map((name) => [name, new Curve()]))
  }

  addSteps(losses: Float32Array, learningRate: number): void {
    for (const loss of losses) this.losses.add(this.step++, loss)
    // That of the first step is known already.
    if (this.step > this.firstStep + 1) this.rates.add(this.step - 1, learningRate)
  }

  addEpoch(epoch: number, values: Readonly<Record<string, number>>): void {
    for (const [name, curve] of this.curves) curve.add(epoch, values[name])
    const value = this.curves.has('validationLoss') ? values.validationLoss : values.loss
    if (value < this.best) {
      this.best = value
      this.bestEpoch = epoch
    }
    this.completed = epoch + 1
  }

  end(stopped: string | null, error: unknown): void {
    this.ended = performance.now()
    this.state = stopped === null ? 'failed' : 'ended'
    this.stopped = stopped ?? (error instanceof Error ? error.message : String(error))
  }

  summary(): TrainingSummary {
    const { rows, state, stopped, epochs, completed, stepsPerEpoch, bestEpoch } = this
    const seconds = ((this.ended ?? performance.now()) - this.begun) / 1000
    const trained = rows === undefined || stepsPerEpoch === null ? null : (rows * (this.step - this.firstStep)) / stepsPerEpoch
    return {
      state,
      stopped,
      epochs,
      completed,
      stepsPerEpoch,
      // Names of metrics are the user's; unlike an assignment this makes a property of its own of any.
      curves: Object.fromEntries(Array.from(this.curves, ([name, curve]) => [name, curve.points()])),
      stepLosses: this.losses.points(),
      learningRates: this.rates.points(),
      bestEpoch,
      seconds,
      ...(trained !== null && { rowsPerSecond: trained / seconds }),
    }
  }
}

/** Of data of unknown length neither epochs nor steps can be counted. */
function known(count: number | null | undefined): number | null {
  return typeof count === 'number' && Number.isFinite(count) ? count : null
}
