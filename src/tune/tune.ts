/** Search for good parameters. */
import { setMaxListeners } from 'node:events'
import { mkdir, mkdtemp, rm, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { AbortError, counted, FileError, TrialError } from '../errors.ts'
import { DirectoryLock } from '../train/checkpoint/lock.ts'
import type { Job } from './halving.ts'
import { Journal } from './journal.ts'
import { planOf, type TuneOptions } from './options.ts'
import { Progress } from './progress.ts'
import { type TrialResult, TuneResult } from './result.ts'
import type { Runner } from './runners.ts'
import type { ParametersOf, SearchSpace } from './space.ts'

const where = 'tune'

/**
 * Searches for good parameters of a training: runs trials with different ones, side by side, and gives all of them, best first.
 *
 * The parameters of a trial are a function of the space, the seed and its number, so a search finds the same with any number of workers, and one that was interrupted goes on from its journal. With "asha"
 * (asynchronous successive halving, Li et al. 2020, algorithm 2) a trial is called again, with more `context.epochs`, when it is among the best of its rung; which are, depends on the order in which trials end, so with
 * several workers it may differ between runs. A trial may go on from what it left at `context.checkpoint`, or begin anew, which costs up to half as much again with a reduction factor of 3.
 *
 * @param options `strategy` "random", `mode` "min", `minEpochs` 1, `reductionFactor` 3, `seed` 0, `maxConsecutiveFailures` 5.
 * @throws TrialError if too many trials in a row fail, none completes, or the module cannot be loaded; AbortError; BusyError if another search writes the journal; FileError when the disk refuses. What ended until then stays in the journal.
 * @example (await tune({ space: { x: space.number(-1, 1) }, trial: ({ x }) => x * x, trials: 8 })).best.parameters.x
 */
export async function tune<const Space extends SearchSpace>(options: TuneOptions<Space>): Promise<TuneResult<ParametersOf<Space>>> {
  const plan = planOf(options)
  const { search, workers } = plan
  const { onTrial, onReport, journal: path, maxConsecutiveFailures = 5 } = options
  const own = new AbortController()
  const signal = options.signal === undefined ? own.signal : AbortSignal.any([options.signal, own.signal])
  setMaxListeners(0, signal)
  if (signal.aborted) throw aborted(signal)

  const progress = new Progress(plan)
  const runners: Runner[] = []
  const running = new Set<Promise<void>>()
  const failures: unknown[] = []
  const fail = (error: unknown) => {
    failures.push(error)
    own.abort()
  }
  let folder: string | null = null
  let lock: DirectoryLock | null = null
  let journal: Journal | null = null
  let failuresInRow = 0

  const run = async (runner: Runner, job: Job) => {
    const { trial } = job
    const { epochs, parameters, ...request } = plan.requestOf(job, folder as string)
    const report = (epoch: number, value: number) => {
      try {
        onReport?.({ trial, epoch, value })
      } catch (error) {
        fail(error)
      }
    }
    const outcome = await runner.run({ ...request, epochs, parameters }, signal, report)
    // What an abort has ended has not failed.
    if (signal.aborted && outcome.status !== 'completed') return
    const entry = { trial, epochs, parameters, ...outcome }
    await journal?.append(entry)
    const result = progress.end(entry)
    failuresInRow = outcome.status === 'failed' ? failuresInRow + 1 : 0
    await onTrial?.(result as TrialResult<ParametersOf<Space>>, { ended: progress.ended, trials: plan.trials })
    if (failuresInRow >= maxConsecutiveFailures)
      throw trialError(
        `${counted(failuresInRow, 'trial')} failed in a row, the last`,
        result,
        ' Mend the trial, or give a larger maxConsecutiveFailures.',
      )
  }

  try {
    folder = await folderOf(path)
    if (path !== undefined) {
      lock = await DirectoryLock.take(where, folder)
      const opened = await Journal.open(path, search)
      journal = opened.journal
      opened.entries.forEach((entry, i) => {
        progress.restore(`${where}: journal "${path}", line ${i + 2}`, entry)
      })
    }
    for (let i = 0; i < workers; i++) runners.push(plan.makeRunner())
    const idle = [...runners]
    while (!signal.aborted) {
      const job = idle.length > 0 ? progress.next() : null
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
    await lock?.release()
    if (folder !== null) await (path === undefined ? rm(folder, { recursive: true, force: true }) : rmdir(folder).catch(() => {}))
  }
  if (options.signal?.aborted) throw aborted(options.signal)
  if (failures.length > 0) throw failures[0]
  const trials = progress.ranked()
  if (trials[0].score === null) throw trialError(`none of ${counted(trials.length, 'trial')} completed, the first`, trials[0])
  return new TuneResult(trials as readonly TrialResult<unknown>[] as readonly TrialResult<ParametersOf<Space>>[])
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

function trialError(what: string, { trial, parameters, error }: TrialResult, advice = ''): TrialError {
  const [reason] = (error ?? '').split('\n', 1)
  return new TrialError(`${where}: ${what} (number ${trial}, with ${JSON.stringify(parameters)}): ${reason}${advice}`, { cause: error })
}

function aborted(signal: AbortSignal): AbortError {
  return new AbortError('The search was stopped; trials that ended are in its journal, if it has one.', signal.reason)
}
