/**
 * Asynchronous successive halving (Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", arXiv:1810.05934, algorithm 2). All trials are trained for a
 * few epochs, the best of them for η times as many, the best of these for η times as many again. A trial goes on as soon as it is among the best so far, so that no worker ever waits
 * for the others of a rung. Searches without halving have a single rung.
 */

/** A trial to be trained up to the epochs of a rung. */
export interface Job {
  readonly trial: number
  readonly rung: number
}

/** How many epochs a trial has been trained for at the end of each rung: down from `epochs`, each η times less, as long as there are `minEpochs`. */
export function rungsOf(epochs: number, minEpochs: number, reductionFactor: number): number[] {
  const rungs: number[] = []
  for (let rung = epochs; rung >= minEpochs; rung /= reductionFactor) rungs.unshift(Math.round(rung))
  return rungs
}

/** Decides which trial goes on, or begins, when a worker is free. */
export class SuccessiveHalving {
  private readonly rungs: readonly { readonly losses: Map<number, number>; readonly promoted: Set<number> }[]
  private readonly trials: number
  private readonly reductionFactor: number
  private readonly begun = new Set<number>()
  private nextTrial = 0

  constructor(rungs: number, trials: number, reductionFactor: number) {
    this.rungs = Array.from({ length: rungs }, () => ({ losses: new Map(), promoted: new Set() }))
    this.trials = trials
    this.reductionFactor = reductionFactor
  }

  /** What to do next; null if there is nothing to do until a job in progress ends, or at all. */
  next(): Job | null {
    for (let rung = this.rungs.length - 2; rung >= 0; rung--) {
      const trial = this.promotable(rung)
      if (trial !== undefined) return this.begin({ trial, rung: rung + 1 })
    }
    while (this.begun.has(this.nextTrial)) this.nextTrial++
    return this.nextTrial < this.trials ? this.begin({ trial: this.nextTrial, rung: 0 }) : null
  }

  /** Takes note that a job is in progress, or was before. */
  begin(job: Job): Job {
    if (job.rung === 0) this.begun.add(job.trial)
    else this.rungs[job.rung - 1].promoted.add(job.trial)
    return job
  }

  /** @param loss Less is better; Infinity for a job that failed: it counts, and never goes on. */
  end({ trial, rung }: Job, loss: number): void {
    this.rungs[rung].losses.set(trial, loss)
  }

  /** The best trial of a rung that is among the first 1/η of it and has not gone on. */
  private promotable(rung: number): number | undefined {
    const { losses, promoted } = this.rungs[rung]
    const best = [...losses].sort(([a, lossOfA], [b, lossOfB]) => lossOfA - lossOfB || a - b)
    const top = best.slice(0, Math.floor(losses.size / this.reductionFactor))
    return top.find(([trial, loss]) => !promoted.has(trial) && loss < Number.POSITIVE_INFINITY)?.[0]
  }
}
