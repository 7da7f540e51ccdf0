/** What `tune` can be told, and what it makes of that. */
import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { checkCount, checkFunction, checkInteger, checkOptions, checkSeed, checkSignal, definedOf, unknownName } from '../checks.ts'
import { counted, describe, OptionError } from '../errors.ts'
import { defaultThreads, loadAddon, MAXIMUM_THREADS } from '../executors/native/addon.ts'
import { type Job, rungsOf } from './halving.ts'
import type { Search } from './journal.ts'
import type { TrialResult } from './result.ts'
import { LocalRunner, type Runner, ThreadRunner } from './runners.ts'
import { distributionsOf, type ParametersOf, type SearchSpace } from './space.ts'
import { gridParameters, type Parameters, randomParameters, seedOf, sizeOf } from './suggest.ts'
import type { Trial, TrialRequest } from './trial.ts'

const where = 'tune'
const strategies = ['random', 'grid', 'asha'] as const

/** Which trials there are, and who is trained for how long. */
export type Strategy = (typeof strategies)[number]

/** How far a search is. */
export interface TuneProgress {
  /** Trials that have ended at least once, those of the journal included. */
  readonly ended: number
  /** How many there will be. */
  readonly trials: number
}

/** Options of `tune`. */
export interface TuneOptions<Space extends SearchSpace = SearchSpace> {
  /** The parameters by name: distributions made by `space`; anything else is a constant. */
  readonly space: Space
  /**
   * What a trial does. A module (its URL, or a path from the working directory) whose default export is a `Trial` runs in worker threads; it may be TypeScript where Node.js reads that, or tsx is
   * installed. A function runs on this thread.
   */
  readonly trial: URL | string | Trial<Space>
  /**
   * "random": parameters drawn at random, none twice. "grid": all combinations. "asha": random ones by asynchronous successive halving: all trials begin with few epochs, and only the best
   * go on. Default "random".
   */
  readonly strategy?: Strategy
  /** How many trials; default 20; for "asha" as many as leave one for the last rung; not for "grid". */
  readonly trials?: number
  /** Whether a lower or a higher score is better; default "min". */
  readonly mode?: 'min' | 'max'
  /** For how many epochs a trial is to train (`context.epochs`), for "asha" the most; default 10, for "asha" 27. */
  readonly epochs?: number
  /** For "asha": the fewest epochs that a trial is judged by; default 1. */
  readonly minEpochs?: number
  /** For "asha": one in so many trials goes on, to so many times the epochs; default 3. */
  readonly reductionFactor?: number
  /** Decides the parameters: those of a trial are a function of the space, the seed and its number. An integer of 0 … 2^53 - 1; default 0. */
  readonly seed?: number
  /** How many trials run at the same time; default one for each processor with a module, 1 with a function. */
  readonly workers?: number
  /** How many threads each trial's models are to use (`context.threads`): 1 … 256; default the processors shared among the workers. */
  readonly threads?: number
  /** A file of JSON lines that remembers the trials. If it is there the search goes on: what completed or diverged is not run again. Default none. */
  readonly journal?: string
  /** After so many failures in a row the search ends with a TrialError; default 5. Trials that diverge are no failures. */
  readonly maxConsecutiveFailures?: number
  /** Ends the search; trials in progress stop within a step if they hand `context.signal` on to fit. */
  readonly signal?: AbortSignal
  /** Called (and awaited) when a trial has ended; with "asha" each time. */
  readonly onTrial?: (result: TrialResult<ParametersOf<Space>>, progress: TuneProgress) => void | Promise<void>
  /** Called when a trial reports an epoch. */
  readonly onReport?: (report: { readonly trial: number; readonly epoch: number; readonly value: number }) => void
}

const known: readonly (keyof TuneOptions)[] = [
  'space',
  'trial',
  'strategy',
  'trials',
  'mode',
  'epochs',
  'minEpochs',
  'reductionFactor',
  'seed',
  'workers',
  'threads',
  'journal',
  'maxConsecutiveFailures',
  'signal',
  'onTrial',
  'onReport',
]

const hints = {
  direction: 'did you mean "mode"?',
  maximize: 'use { mode: "max" }.',
  minimize: 'use { mode: "min" }.',
  objective: 'did you mean "trial"?',
  samples: 'did you mean "trials"?',
  maxTrials: 'did you mean "trials"?',
  maxEpochs: 'did you mean "epochs"?',
}

/** Options of a search over any space. */
type GivenOptions = Omit<TuneOptions, 'trial' | 'onTrial'> & { readonly trial: unknown; readonly onTrial?: unknown }

/** What options mean. */
export interface TunePlan {
  readonly search: Search & { readonly mode: 'min' | 'max' }
  readonly rungs: readonly number[]
  readonly trials: number
  readonly workers: number
  /** What the trial of a job is told. @param folder Of the checkpoints. */
  readonly requestOf: (job: Job, folder: string) => TrialRequest
  readonly parametersOf: (trial: number) => Parameters
  readonly makeRunner: () => Runner
}

export function planOf(options: GivenOptions): TunePlan {
  if (options === undefined) throw new OptionError(`${where}: options are required, at least { space, trial }.`)
  checkOptions(where, options, known, hints)
  const { strategy = 'random', mode = 'min', seed = 0, minEpochs = 1, reductionFactor = 3 } = options
  if (!strategies.includes(strategy)) throw unknownName('strategy', strategy, strategies, where)
  if (mode !== 'min' && mode !== 'max') throw new OptionError(`${where}: mode must be "min" or "max", got ${describe(mode)}.`)
  checkSeed(where, seed)
  const { onTrial, onReport } = options
  for (const [name, value] of Object.entries(definedOf({ onTrial, onReport }))) checkFunction(where, name, value)
  checkSignal(where, options.signal)
  if (options.maxConsecutiveFailures !== undefined) checkCount(where, 'maxConsecutiveFailures', options.maxConsecutiveFailures)
  if (options.journal !== undefined && (typeof options.journal !== 'string' || options.journal === ''))
    throw new OptionError(`${where}: journal must be the path of a file, got ${describe(options.journal)}.`)

  const halves = strategy === 'asha'
  for (const name of ['minEpochs', 'reductionFactor'] as const)
    if (options[name] !== undefined && !halves)
      throw new OptionError(`${where}: ${name} is for the strategy "asha", this is ${describe(strategy)}.`)
  const { epochs = halves ? 27 : 10 } = options
  for (const [name, value] of Object.entries({ epochs, minEpochs })) checkCount(where, name, value)
  checkInteger(where, 'reductionFactor', reductionFactor, { least: 2 })
  if (halves && minEpochs * reductionFactor > epochs)
    throw new OptionError(
      `${where}: "asha" needs at least two rungs, so that epochs (${epochs}) must be at least reductionFactor · minEpochs (${reductionFactor} · ${minEpochs}).`,
    )
  const rungs = halves ? rungsOf(epochs, minEpochs, reductionFactor) : [epochs]

  const space = distributionsOf(where, options.space)
  const size = sizeOf(space)
  const isGrid = strategy === 'grid'
  if (isGrid && options.trials !== undefined)
    throw new OptionError(`${where}: trials is not for a grid, which has as many as there are combinations (${size}); leave it out.`)
  const parametersOf = isGrid ? gridParameters(where, space) : randomParameters(space, seed)
  const least = reductionFactor ** (rungs.length - 1)
  const trials = isGrid ? size : (options.trials ?? Math.min(size, halves ? least : 20))
  checkCount(where, 'trials', trials)
  if (trials > size)
    throw new OptionError(
      `${where}: the space has ${counted(size, 'combination')}, fewer than ${trials} trials; use { strategy: "grid" }, which tries each.`,
    )
  if (trials < least)
    throw new OptionError(
      `${where}: ${counted(trials, 'trial')} leave none for the last of ${rungs.length} rungs (${rungs.join(', ')} epochs); give at least ${least} trials, fewer epochs or more minEpochs.`,
    )

  const processors = loadAddon().addon?.hardwareThreads ?? availableParallelism()
  const makeRunner = runnerOf(options.trial)
  const { workers = typeof options.trial === 'function' ? 1 : Math.min(processors, trials) } = options
  checkCount(where, 'workers', workers)
  const { threads = defaultThreads(Math.max(1, Math.floor(processors / workers))) } = options
  checkInteger(where, 'threads', threads, { least: 1, most: MAXIMUM_THREADS })
  const search = { strategy, mode, seed, epochs: rungs, reductionFactor, space: Object.fromEntries(space) }
  const requestOf = ({ trial, rung }: Job, folder: string): TrialRequest => ({
    trial,
    parameters: parametersOf(trial),
    seed: seedOf(seed, trial),
    epochs: rungs[rung],
    threads,
    checkpoint: join(folder, `trial-${trial}`),
  })
  return { search, rungs, trials, workers, requestOf, parametersOf, makeRunner }
}

/** Makes what runs trials. */
function runnerOf(trial: unknown): () => Runner {
  if (typeof trial === 'function') return () => new LocalRunner(trial as Trial)
  if (!(trial instanceof URL) && (typeof trial !== 'string' || trial === ''))
    throw new OptionError(
      `${where}: trial must be a function, or the URL or path of a module whose default export is one, got ${describe(trial)}.`,
    )
  const url = trial instanceof URL ? trial : trial.startsWith('file:') ? new URL(trial) : pathToFileURL(resolve(trial))
  if (url.protocol !== 'file:') throw new OptionError(`${where}: the module of the trial must be a file, got ${describe(url.href)}.`)
  if (!existsSync(fileURLToPath(url)))
    throw new OptionError(
      `${where}: there is no module ${describe(fileURLToPath(url))}; give a path from the working directory, or new URL('./trial.js', import.meta.url).`,
    )
  return () => new ThreadRunner(url)
}
