import type { Session } from '../executors/executor.ts'

/** Rows a step where nothing is learned (prediction, evaluation): enough to be fast, few enough that the workspace stays small. */
export const EVALUATION_BATCH = 256

/** Steps of one batch size over neighbouring rows. */
export interface Batches {
  readonly batchSize: number
  readonly steps: number
  readonly firstRow: number
}

/** Rows as full batches and, if they do not divide evenly, one smaller one. */
export function batches(count: number, batchSize: number): Batches[] {
  const size = Math.min(batchSize, count)
  const steps = Math.floor(count / size)
  const rest = count - steps * size
  const full = { batchSize: size, steps, firstRow: 0 }
  return rest === 0 ? [full] : [full, { batchSize: rest, steps: 1, firstRow: steps * size }]
}

/** The smallest power of two that is not below a number of rows. */
export function powerOfTwo(rows: number): number {
  return 2 ** Math.ceil(Math.log2(rows))
}

/** The powers of two up to 256, and some more. */
const CAPACITY = 12

/** Loaded plans by batch size; the one not used for the longest time makes room. */
export class SessionCache {
  private readonly sessions = new Map<number, Session>()
  private readonly load: (batchSize: number) => Session

  constructor(load: (batchSize: number) => Session) {
    this.load = load
  }

  get(batchSize: number): Session {
    const session = this.sessions.get(batchSize) ?? this.load(batchSize)
    this.sessions.delete(batchSize)
    this.sessions.set(batchSize, session)
    const [oldest] = this.sessions.keys()
    if (this.sessions.size > CAPACITY) this.sessions.delete(oldest)
    return session
  }
}
