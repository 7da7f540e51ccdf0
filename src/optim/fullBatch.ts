/** Optimizers whose every step looks at all data, perhaps several times: what they are given, and what they give. */
import type { LearningRate } from './schedules.ts'

/** All trained parameters, one after the other. */
export type Vector = Float32Array | Float64Array

/** The loss of all data at a point, and its gradient there. */
export interface Evaluation {
  /** The parameters. */
  readonly at: Vector
  /** Infinity where it is not finite, or the gradient is not. */
  readonly loss: number
  /** What it holds is of no meaning where the loss is Infinity. */
  readonly gradient: Vector
}

/** Steps over one set of parameters, with what is remembered from one to the next. */
export interface Minimizer {
  /**
   * One iteration.
   *
   * @param evaluate Measures the loss and its gradient at a point.
   * @returns Where it ends, as `evaluate` gave it (or `from` itself, where no better point was found); and whether another would be of no use.
   */
  step<E extends Evaluation>(
    from: E,
    learningRate: number,
    evaluate: (at: Vector) => Promise<E>,
  ): Promise<{ readonly reached: E; readonly converged: boolean }>
  /** What it remembers, made of numbers, typed arrays, arrays and objects of these: for checkpoints. Without it a run with checkpoints is refused. */
  save?(): unknown
  /** Remembers what another one saved. */
  restore?(saved: unknown): void
}

/**
 * An optimizer that needs the loss and gradient of all data for each of its steps, as `lbfgs` does. In `fit` an epoch is one step; `batchSize` only says
 * how many samples are measured at a time.
 */
export interface FullBatchOptimizer {
  readonly name: string
  /** One. */
  readonly learningRates: readonly LearningRate[]
  /** Begins to minimize, with nothing remembered. */
  begin(): Minimizer
}
