import { emitWarning } from 'node:process'
import { checkInteger } from '../checks.ts'
import { describe, NativeError, OptionError } from '../errors.ts'
import type { Executor } from './executor.ts'
import { loadAddon, MAXIMUM_THREADS } from './native/addon.ts'
import { nativeExecutor } from './native/index.ts'
import { referenceExecutor } from './reference/index.ts'

/** What runs a model. */
export interface ExecutionOptions {
  /** "native" (C++ SIMD), "reference" (plain TypeScript), or "auto": native where it loads. Default "auto". */
  readonly executor?: 'auto' | 'native' | 'reference'
  /**
   * Threads the native executor may use for one model: 1 … 256; default as many as the processors that the process may run on. Results do not depend on it. More
   * threads than processors are allowed, and slower: they wait for each other.
   */
  readonly threads?: number
}

let warned = false

/** Throws unless the options can be meant. */
function checkExecution(where: string, { executor = 'auto', threads }: ExecutionOptions): void {
  if (threads !== undefined) checkInteger(where, 'threads', threads, { least: 1, most: MAXIMUM_THREADS })
  if (!['auto', 'native', 'reference'].includes(executor))
    throw new OptionError(`${where}: executor must be "auto", "native" or "reference", got ${describe(executor)}.`)
}

/** The executor that was asked for. Falling back is never silent: it warns, once a process. @param where The beginning of messages. */
export function chooseExecutor(where: string, options: ExecutionOptions = {}): Executor {
  checkExecution(where, options)
  const { executor = 'auto', threads } = options
  if (executor === 'reference') return referenceExecutor
  const { addon, failure } = loadAddon()
  if (addon !== undefined) return nativeExecutor(addon, { threads })
  if (executor === 'native') throw new NativeError(`${where}: the native executor cannot be used: ${failure}`)
  if (!warned) {
    warned = true
    emitWarning(
      `The native addon is not available, so thalweg runs on its reference executor: same results within rounding, many times slower. ${failure}. In a clone, npm run build:native builds it (a C++17 compiler, make and python3 are needed).`,
      { code: 'THALWEG_NO_NATIVE' },
    )
  }
  return referenceExecutor
}

/**
 * What this machine offers, for bug reports and benchmarks: whether the native addon loads (if not, `failure` says why), the instruction
 * sets it may use, best first, and the processors this process may run on.
 *
 * @example executionInfo().native
 */
export function executionInfo(): {
  readonly native: boolean
  readonly instructionSets: readonly string[]
  readonly hardwareThreads: number
  readonly failure: string | null
} {
  const { addon, failure } = loadAddon()
  return {
    native: addon !== undefined,
    instructionSets: addon?.isas ?? [],
    hardwareThreads: addon?.hardwareThreads ?? 1,
    failure: failure ?? null,
  }
}
