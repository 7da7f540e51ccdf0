import { setImmediate } from 'node:timers/promises'

/** How long work on the main thread may hold the event loop. */
const MILLISECONDS_AT_ONCE = 1

/** Keeps long work on the main thread from holding the event loop. */
export class Pace {
  private begun = performance.now()

  isTooLong(): boolean {
    return performance.now() - this.begun > MILLISECONDS_AT_ONCE
  }

  async giveWay(): Promise<void> {
    await setImmediate()
    this.begun = performance.now()
  }
}
