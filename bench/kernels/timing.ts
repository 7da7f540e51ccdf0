/** Windows of time, taken in turns. */

/**
 * Seconds that `work` takes. On one thread: CPU time, which does not count the time that others have the core. It is that of the
 * whole process, but nothing else of it runs meanwhile. On several: wall time.
 */
export function secondsOf(threads: number, work: () => void): number {
  if (threads > 1) {
    const start = performance.now()
    work()
    return (performance.now() - start) / 1000
  }
  const start = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(start)
  return (user + system) / 1e6
}

/** How often to repeat what takes `seconds` in order to fill a window. */
export const repetitions = (windowSeconds: number, seconds: number) => Math.max(1, Math.round(windowSeconds / Math.max(seconds, 1e-9)))

/** The seconds that one repetition of `work` takes, roughly. The shortest of three tries: others can only make it longer. */
export function guessSeconds(threads: number, work: (times: number) => void): number {
  let times = 1
  // So many that the clock can tell.
  while (secondsOf(threads, () => work(times)) < 0.002) times *= 4
  const tries = [1, 2, 3].map(() => secondsOf(threads, () => work(times)))
  return Math.min(...tries) / times
}

/**
 * `rounds` windows of each contestant: forwards, backwards, forwards …, so that nobody is always the first or always follows the
 * same one, and a drift of the machine's speed falls on all of them. The result of contestant c in round r is at `[c][r]`.
 */
export async function takeTurns(contestants: number, rounds: number, window: (contestant: number) => Promise<number>): Promise<number[][]> {
  const results: number[][] = Array.from({ length: contestants }, () => [])
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < contestants; turn++) {
      const contestant = round % 2 === 0 ? turn : contestants - 1 - turn
      results[contestant].push(await window(contestant))
    }
  }
  return results
}
