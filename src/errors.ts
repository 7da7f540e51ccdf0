/**
 * Every error a user can meet, one class per kind, each with a stable `code`.
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

/** The known name nearest to `given` (Levenshtein distance of at most a third of its length, or 2, but not all of it), or null. */
export function nearestName(given: string, known: readonly string[]): string | null {
  let best: string | null = null
  let bestDistance = Math.min(Math.max(2, Math.floor(given.length / 3)), given.length - 1) + 1
  for (const name of known) {
    const distance = editDistance(given.toLowerCase(), name.toLowerCase())
    if (distance < bestDistance) {
      best = name
      bestDistance = distance
    }
  }
  return best
}

/** For names that are given by mistake but lie far from any known one, in lower or upper case: what to say in place of a list. */
export type Hints = Readonly<Record<string, string>>

/** An OptionError for a name outside a list, with a hint about it or the nearest one suggested. */
export function unknownName(what: string, given: unknown, known: readonly string[], where = '', hints: Hints = {}): OptionError {
  const nearest = typeof given === 'string' ? nearestName(given, known) : null
  const key = typeof given === 'string' ? Object.keys(hints).find((name) => name.toLowerCase() === given.toLowerCase()) : undefined
  const hint = key === undefined ? null : hints[key]
  const advice = hint ?? (nearest === null ? `known are ${known.join(', ')}.` : `did you mean "${nearest}"?`)
  const quoted = typeof given === 'string' ? `"${given}"` : describe(given)
  return new OptionError(`Unknown ${what} ${quoted}${where === '' ? '' : ` for ${where}`}; ${advice}`)
}

/** Refuses options that are not in `known`: a misspelled option must never be ignored. */
export function checkOptions(where: string, options: unknown, known: readonly string[], hints?: Hints): void {
  if (options === undefined) return
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new OptionError(`${where}: options must be an object, got ${describe(options)}${rightForm(options, known)}.`)
  }
  checkNames(where, 'option', options, known, hints)
}

/** For a number in place of options: which one it may be. */
function rightForm(given: unknown, known: readonly string[]): string {
  if (typeof given !== 'number') return ''
  const names = known.filter((name) => name === 'learningRate' || name === 'rate')
  const candidates = names.length > 0 ? names : known
  return candidates.length > 3 ? '' : `; try ${candidates.map((name) => `{ ${name}: ${given} }`).join(' or ')}`
}

/** What an object says, without members that are undefined: they are to mean their defaults, as members that are missing do. */
export function definedOf<T extends object>(given: T): T {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as T
}

/** Refuses entries of an object that are not in `known`; `what` says what they are. */
export function checkNames(where: string, what: string, given: object, known: readonly string[], hints?: Hints): void {
  if (given instanceof Map)
    throw new OptionError(`${where}: expected an object of ${what}s by name, got a Map; try Object.fromEntries(map).`)
  for (const name of Object.keys(given)) {
    if (!known.includes(name)) throw unknownName(what, name, known, where, hints)
  }
}

/** Throws unless the value can count something. */
export function checkCount(where: string, name: string, value: unknown, advice = ''): void {
  checkInteger(where, name, value, { least: 1, advice })
}

/** Throws unless the value is an integer of `least` … `most`. */
export function checkInteger(
  where: string,
  name: string,
  value: unknown,
  { least, most, advice = '' }: { readonly least: number; readonly most?: number; readonly advice?: string },
): void {
  if (Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= (most ?? Number.MAX_SAFE_INTEGER)) return
  const range = most === undefined ? `of at least ${least}` : `of ${least} … ${most}`
  throw new OptionError(`${where}: ${name} must be an integer ${range}, got ${describe(value)}${advice === '' ? '' : `; ${advice}`}.`)
}

/** Throws unless the value can seed the random generator. */
export function checkSeed(where: string, seed: unknown): void {
  checkInteger(where, 'seed', seed, { least: 0, most: Number.MAX_SAFE_INTEGER })
}

/** Throws unless the value is true or false. */
export function checkBoolean(where: string, name: string, value: unknown): void {
  if (typeof value !== 'boolean') throw new OptionError(`${where}: ${name} must be true or false, got ${describe(value)}.`)
}

/** Throws unless the value is a function. */
export function checkFunction(where: string, name: string, value: unknown): void {
  if (typeof value !== 'function') throw new OptionError(`${where}: ${name} must be a function, got ${describe(value)}.`)
}

/** Throws unless `signal` is an AbortSignal, or not given. */
export function checkSignal(where: string, signal: unknown): void {
  if (signal !== undefined && !(signal instanceof AbortSignal))
    throw new OptionError(`${where}: signal must be an AbortSignal, got ${describe(signal)}.`)
}

/** Throws unless the value is a path; `what` says of what: a file, a folder. */
export function checkPath(where: string, what: string, path: unknown): asserts path is string {
  if (typeof path !== 'string' || path === '') throw new OptionError(`${where}: expected the path of a ${what}, got ${describe(path)}.`)
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

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const current = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitution = previous[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)
      current[j] = Math.min(substitution, previous[j] + 1, current[j - 1] + 1)
    }
    previous = current
  }
  return previous[b.length]
}
