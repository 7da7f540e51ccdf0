/**
 * Every error a user can meet, one class per kind, each with a stable `code`; and words for their messages.
 *
 * A message is one sentence in the order *where: expected, got, try*. What only we can cause is an
 * `AssertionError` that asks for a report.
 */

/**
 * The base of all errors of this package. `code` is stable; messages may improve.
 *
 * @example try { dense(0) } catch (error) { console.log(error instanceof ThalwegError ? error.code : error) }
 */
export class ThalwegError extends Error {
  /**
   * One of ERR_SHAPE, ERR_DTYPE, ERR_OPTION, ERR_DATA, ERR_GRAPH, ERR_MEMORY, ERR_NATIVE, ERR_FILE, ERR_BUSY, ERR_NON_FINITE, ERR_TRIAL, ABORT_ERR
   * and ERR_ASSERTION.
   */
  readonly code: string

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.name = new.target.name
  }
}

/**
 * Shapes that do not fit each other, an axis out of range, an extent that is not a positive integer.
 *
 * @example try { matmul(input(3), input(4)) } catch (error) { if (!(error instanceof ShapeError)) throw error }
 */
export class ShapeError extends ThalwegError {
  constructor(message: string) {
    super('ERR_SHAPE', message)
  }
}

/**
 * A dtype that an op does not take.
 *
 * @example try { relu(input([], { dtype: 'int32' })) } catch (error) { if (!(error instanceof DtypeError)) throw error }
 */
export class DtypeError extends ThalwegError {
  constructor(message: string) {
    super('ERR_DTYPE', message)
  }
}

/**
 * An unknown option or name, or an option value outside its range.
 *
 * @example try { dense(0) } catch (error) { if (!(error instanceof OptionError)) throw error }
 */
export class OptionError extends ThalwegError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_OPTION', message, options)
  }
}

/**
 * Data that cannot be trained on: wrong size, NaN, a label out of range, nothing at all.
 *
 * @example try { new NdArray(Float32Array.of(1, 2), [3]) } catch (error) { if (!(error instanceof DataError)) throw error }
 */
export class DataError extends ThalwegError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_DATA', message, options)
  }
}

/**
 * A graph that cannot become a plan: no gradient rule, an input that is not connected.
 *
 * @example try { gradients(input(3), []) } catch (error) { if (!(error instanceof GraphError)) throw error }
 */
export class GraphError extends ThalwegError {
  constructor(message: string) {
    super('ERR_GRAPH', message)
  }
}

/**
 * More memory than the machine (or its container) has.
 *
 * @example try { sequential([input(1e7), dense(1e7)]) } catch (error) { if (!(error instanceof MemoryError)) throw error }
 */
export class MemoryError extends ThalwegError {
  constructor(message: string) {
    super('ERR_MEMORY', message)
  }
}

/**
 * The native addon is missing or refused something.
 *
 * @example try { sequential([input(2), dense(1)], { executor: 'native' }) } catch (error) { if (!(error instanceof NativeError)) throw error }
 */
export class NativeError extends ThalwegError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_NATIVE', message, options)
  }
}

/**
 * A file that cannot be read or written; `cause` is the system's error.
 *
 * @example await sequential([input(1), dense(1)]).fit({ x: [1], y: [1] }, { loss: 'meanSquaredError', callbacks: [callbacks.csvLog('/dev/null/log.csv')] }).catch((error) => { if (!(error instanceof FileError)) throw error })
 */
export class FileError extends ThalwegError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_FILE', message, options)
  }
}

/**
 * A model asked to do two things at once that exclude each other, or a second run that would write checkpoints where one is in progress.
 *
 * @example const net = sequential([input(1), dense(1)]); const run = () => net.fit({ x: [1], y: [1] }, { loss: 'meanSquaredError' }); await Promise.all([run(), run()]).catch((error) => { if (!(error instanceof BusyError)) throw error })
 */
export class BusyError extends ThalwegError {
  constructor(message: string) {
    super('ERR_BUSY', message)
  }
}

/**
 * The trials of `tune` fail: too many in a row, or all of them; or the module that is to run them cannot be loaded. `cause` is the last error.
 *
 * @example await tune({ space: { units: 8 }, trial: () => Number.NaN, trials: 1 }).catch((error) => { if (!(error instanceof TrialError)) throw error })
 */
export class TrialError extends ThalwegError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_TRIAL', message, options)
  }
}

/** Where a run met its first NaN or infinity. */
export interface NonFiniteOrigin {
  /** Steps completed before the one that failed. */
  readonly step: number
  /** The first instruction, as the plan prints it, whose result is not finite; or the parameter that already was not; null if the repeated step was finite. */
  readonly instruction: string | null
  /** The layer it belongs to, or null. */
  readonly layer: string | null
  /** The kind of value found first. */
  readonly value: 'NaN' | 'Infinity'
}

/**
 * The loss or a gradient became NaN or infinite. The parameters are those before the step, which is not taken (of a step by `customTraining`, what the
 * losses before the one to blame have changed stays). An update that itself leaves
 * the range of float32 (a learning rate above 1e30, say) is only seen by the next step.
 *
 * @example await sequential([input(1), dense(1)]).fit({ x: [1e30], y: [0] }, { loss: 'meanSquaredError' }).catch((error) => { if (!(error instanceof NonFiniteError)) throw error })
 */
export class NonFiniteError extends ThalwegError {
  /** The instruction that is to blame. */
  readonly origin: NonFiniteOrigin

  constructor(message: string, origin: NonFiniteOrigin) {
    super('ERR_NON_FINITE', message)
    this.origin = origin
  }
}

/**
 * A run was stopped by its AbortSignal. `name` and `code` are those Node uses; `cause` is the signal's reason.
 *
 * @example await sequential([input(1), dense(1)]).fit({ x: [1], y: [1] }, { loss: 'meanSquaredError', signal: AbortSignal.abort() }).catch((error) => { if (!(error instanceof AbortError)) throw error })
 */
export class AbortError extends ThalwegError {
  constructor(message: string, reason: unknown) {
    super('ABORT_ERR', message, { cause: reason })
    this.name = 'AbortError'
  }
}

/** A fault of this package, not of its user. */
export class AssertionError extends ThalwegError {
  constructor(message: string) {
    super('ERR_ASSERTION', `${message} This is a fault in thalweg: please report it.`)
  }
}

/** Throws an AssertionError unless `condition` holds. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message)
}

/** A short description of any value for an error message. */
export function describe(value: unknown): string {
  if (value === null) return 'null'
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)
  if (Array.isArray(value)) return `an array of ${value.length}`
  if (ArrayBuffer.isView(value)) return `${value.constructor.name} of ${(value as Float32Array).length ?? `${value.byteLength} bytes`}`
  if (typeof value === 'object') return `a value of type ${value.constructor?.name || Object.prototype.toString.call(value).slice(8, -1)}`
  if (typeof value === 'function') return 'a function'
  return String(value)
}

/** `1 number`, `2 numbers`. */
export function counted(count: number, thing: string): string {
  return `${count} ${thing}${count === 1 ? '' : 's'}`
}
