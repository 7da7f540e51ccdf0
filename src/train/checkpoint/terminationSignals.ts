import { isMainThread } from 'node:worker_threads'

const signals = ['SIGINT', 'SIGTERM'] as const

export type TerminationSignal = (typeof signals)[number]

/** Who wants to finish something before the process ends. */
const finishing = new Set<(signal: TerminationSignal) => void>()
let received: TerminationSignal | null = null

function receive(signal: TerminationSignal): void {
  received = signal
  stopListening()
  for (const each of finishing) each(signal)
}

function stopListening(): void {
  for (const signal of signals) process.off(signal, receive)
}

/**
 * Calls `finish` at the first signal that asks the process to end; it may go on until it is released. When all are, the process ends by that signal, unless it
 * has other listeners. A second signal is not held up.
 *
 * @returns Releases it.
 */
export function beforeTermination(finish: (signal: TerminationSignal) => void): () => void {
  if (!isMainThread) return () => {}
  if (finishing.size === 0) {
    received = null
    for (const signal of signals) process.on(signal, receive)
  }
  finishing.add(finish)
  // Others have not finished yet.
  if (received !== null) finish(received)
  return () => {
    if (!finishing.delete(finish) || finishing.size > 0) return
    stopListening()
    const signal = received
    // Those who wait for the run hear first that it has ended; before Node takes a rejection that nobody has waited for as a fault.
    if (signal !== null && process.listenerCount(signal) === 0) process.nextTick(() => process.kill(process.pid, signal))
  }
}
