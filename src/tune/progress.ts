/** What of a search is done, and what comes next. */
import { OptionError } from '../errors.ts'
import { type Job, SuccessiveHalving } from './halving.ts'
import type { JournalEntry } from './journal.ts'
import type { TunePlan } from './options.ts'

export class Progress {
  private readonly plan: TunePlan
  private readonly halving: SuccessiveHalving
  /** Of each trial the latest, with the seconds of all. */
  private readonly records = new Map<number, JournalEntry>()

  constructor(plan: TunePlan) {
    this.plan = plan
    this.halving = new SuccessiveHalving(plan.rungs.length, plan.trials, plan.search.reductionFactor)
  }

  /** Trials that have ended at least once. */
  get ended(): number {
    return this.records.size
  }

  next(): Job | null {
    return this.halving.next()
  }

  /** Takes over what a journal says, but for what is to run again. @param place Of the entry, for messages. */
  restore(place: string, entry: JournalEntry): void {
    const { trials, rungs, parametersOf } = this.plan
    const { trial, epochs, parameters, status } = entry
    if (trial >= trials || status === 'failed') return
    const rung = rungs.indexOf(epochs)
    if (rung < 0 || JSON.stringify(parametersOf(trial)) !== JSON.stringify(parameters))
      throw new OptionError(`${place}: trial ${trial} of this search has other parameters or epochs; give another path.`)
    this.halving.begin({ trial, rung })
    this.end(entry)
  }

  /** What is known of the trial now. */
  end(entry: JournalEntry): JournalEntry {
    const { rungs, search } = this.plan
    const { trial, epochs, score, seconds } = entry
    const loss = score === null ? Number.POSITIVE_INFINITY : search.mode === 'max' ? -score : score
    this.halving.end({ trial, rung: rungs.indexOf(epochs) }, loss)
    const before = this.records.get(trial)
    // A line of the journal that was removed runs again.
    if (before !== undefined && before.epochs >= epochs) return before
    const latest = { ...entry, seconds: seconds + (before?.seconds ?? 0) }
    this.records.set(trial, latest)
    return latest
  }

  /** All trials, best first. */
  ranked(): JournalEntry[] {
    const sign = this.plan.search.mode === 'max' ? -1 : 1
    const all = [...this.records.values()].sort((a, b) => a.trial - b.trial)
    const completed = all.filter(({ score }) => score !== null)
    completed.sort((a, b) => b.epochs - a.epochs || sign * ((a.score as number) - (b.score as number)))
    return [...completed, ...all.filter(({ score }) => score === null)]
  }
}
