/** Search for good parameters. */
import { setMaxListeners } from 'node:events'
import { mkdir, mkdtemp, rm, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { AbortError, counted, FileError, OptionError, TrialError } from '../errors.ts'
import { type Job, SuccessiveHalving } from './halving.ts'
import { Journal, type JournalEntry } from './journal.ts'
import { planOf, type TuneOptions } from './options.ts'
import { ranked, type TrialResult, TuneResult } from './result.ts'
import type { Runner } from './runners.ts'
import type { ParametersOf, SearchSpace } from './space.ts'
import { seedOf } from './suggest.ts'

const where = 'tune'
/**
 * Searches for good parameters of a training: runs trials with different ones, side by side, and gives all of them, best first.
 *
 * The parameters of a trial are a function of the space, the seed and its number, so a search finds the same with any number of workers, and one that was interrupted goes on from its journal. With "asha"
 * (asynchronous successive halving, Li et al. 2020, algorithm 2) a trial is called again, with more `context.epochs`, when it is among the best of its rung; which are, depends on the order in which trials end, so with
 * several workers it may differ between runs. A trial may go on from what it left at `context.checkpoint`, or begin anew, which costs half as much again with a reduction factor of 3.
 *
 * @param options `strategy` "random", `mode` "min", `minEpochs` 1, `reductionFactor` 3, `seed` 0, `maxConsecutiveFailures` 5.
 * @throws TrialError if too many trials in a row fail, none completes, or the module cannot be loaded; AbortError; FileError when the disk refuses. What ended until then stays in the journal.
 * @example (await tune({ space: { x: space.number(-1, 1) }, trial: ({ x }) => x * x, trials: 8 })).best.parameters.x
 */
export async function tune<const Space extends SearchSpace>(options: TuneOptions<Space>): Promise<TuneResult<ParametersOf<Space>>> {
  const plan = planOf(options)
  const { search, rungs, parametersOf, workers } = plan
  const { onTrial, onReport, maxConsecutiveFailures = 5 } = options
  const own = new AbortController()
  const signal = options.signal === undefined ? own.signal : AbortSignal.any([options.signal, own.signal])
  setMaxListeners(0, signal)
  if (signal.aborted) throw aborted(signal)

  const halving = new SuccessiveHalving(rungs.length, plan.trials, search.reductionFactor)
  const records = new Map<number, JournalEntry>()
  const record = (entry: JournalEntry, rung: number) => {
    halving.end({ trial: entry.trial, rung }, lossOf(entry, search.mode))
    const before = records.get(entry.trial)
    // A journal may have them in another order, because trials end when they do.
    if (before === undefined || entry.epochs >= before.epochs)
      records.set(entry.trial, { ...entry, seconds: entry.seconds + (before?.epochs === entry.epochs ? 0 : (before?.seconds ?? 0)) })
  }

  const { journal, entries } = options.journal === undefined ? { journal: null, entries: [] } : await Journal.open(options.journal, search)
  const runners: Runner[] = []
  const running = new Set<Promise<void>>()
  let folder: string | null = null
  let failure: { readonly error: unknown } | null = null
  const fail = (error: unknown) => {
    failure ??= { error }
    own.abort()
  }
  let failuresInRow = 0

  const run = async (runner: Runner, job: Job) => {
    const parameters = parametersOf(job.trial)
    const request = {
      trial: job.trial,
      parameters,
      seed: seedOf(search.seed, job.trial),
      epochs: rungs[job.rung],
      threads: plan.threads,
      checkpoint: join(folder as string, `trial-${job.trial}`),
    }
    const report = (epoch: number, value: number) => {
      try {
        onReport?.({ trial: job.trial, epoch, value })
      } catch (error) {
        fail(error)
      }
    }
    const outcome = await runner.run(request, signal, report)
    // What an abort has ended has not failed.
    if (signal.aborted && outcome.status !== 'completed') return
    const entry = { trial: job.trial, epochs: request.epochs, parameters, ...outcome }
    await journal?.append(entry)
    record(entry, job.rung)
    failuresInRow = outcome.status === 'failed' ? failuresInRow + 1 : 0
    await onTrial?.(records.get(job.trial) as TrialResult<ParametersOf<Space>>, { ended: records.size, trials: plan.trials })
    if (failuresInRow >= maxConsecutiveFailures)
      throw new TrialError(
        `${where}: ${counted(failuresInRow, 'trial')} failed in a row, the last (number ${job.trial}, with ${JSON.stringify(parameters)}): ${firstLine(outcome.error)} Mend the trial, or give more with maxConsecutiveFailures.`,
        { cause: outcome.error },
      )
  }

  try {
    for (const [i, entry] of entries.entries()) {
      const rung = rungs.indexOf(entry.epochs)
      if (entry.trial >= plan.trials || entry.status === 'failed') continue
      if (rung < 0 || JSON.stringify(parametersOf(entry.trial)) !== JSON.stringify(entry.parameters))
        throw new OptionError(
          `${where}: journal "${options.journal}", line ${i + 2}: trial ${entry.trial} of this search has other parameters or epochs; give another path.`,
        )
      halving.begin({ trial: entry.trial, rung })
      record(entry, rung)
    }
    folder = await folderOf(options.journal)
    for (let i = 0; i < workers; i++) runners.push(plan.makeRunner())
    const idle = [...runners]
    while (!signal.aborted) {
      const job = idle.length > 0 ? halving.next() : null
      if (job !== null) {
        const runner = idle.pop() as Runner
        const task = run(runner, job)
          .catch(fail)
          .finally(() => {
            running.delete(task)
            idle.push(runner)
          })
        running.add(task)
      } else if (running.size > 0) await Promise.race(running)
      else break
    }
  } finally {
    own.abort()
    await Promise.allSettled(running)
    await Promise.allSettled(runners.map((runner) => runner.close()))
    await journal?.close()
    if (folder !== null)
      await (options.journal === undefined ? rm(folder, { recursive: true, force: true }) : rmdir(folder).catch(() => {}))
  }
  if (options.signal?.aborted) throw aborted(options.signal)
  if (failure !== null) throw (failure as { error: unknown }).error
  const trials = ranked(records.values(), search.mode)
  if (trials[0].score === null)
    throw new TrialError(
      `${where}: none of ${counted(trials.length, 'trial')} completed; number ${trials[0].trial}, with ${JSON.stringify(trials[0].parameters)}: ${firstLine(trials[0].error)}`,
      { cause: trials[0].error },
    )
  return new TuneResult(trials as unknown as readonly TrialResult<ParametersOf<Space>>[])
}

/** The folder of the trials' checkpoints: beside the journal, or a temporary one. */
async function folderOf(journal: string | undefined): Promise<string> {
  try {
    if (journal === undefined) return await mkdtemp(join(tmpdir(), 'thalweg-tune-'))
    const folder = resolve(`${journal}.checkpoints`)
    await mkdir(folder, { recursive: true })
    return folder
  } catch (error) {
    throw new FileError(`${where}: the folder of the trials' checkpoints cannot be made: ${(error as Error).message}.`, { cause: error })
  }
}

function lossOf({ score }: JournalEntry, mode: 'min' | 'max'): number {
  if (score === null) return Number.POSITIVE_INFINITY
  return mode === 'max' ? -score : score
}

function aborted(signal: AbortSignal): AbortError {
  return new AbortError('The search was stopped; trials that ended are in its journal, if it has one.', signal.reason)
}

const firstLine = (text: string | null) => (text ?? '').split('\n', 1)[0]
