import { freemem, totalmem } from 'node:os'
import { constrainedMemory } from 'node:process'
import { MemoryError } from './errors.ts'

/**
 * Shared memory, zeroed.
 *
 * @param what The beginning of the message if there is less.
 */
export function allocateShared(bytes: number, what: string, advice: string): SharedArrayBuffer {
  const limit = Math.min(totalmem(), constrainedMemory() || Number.POSITIVE_INFINITY)
  if (bytes > limit) throw new MemoryError(`${what}, the machine has ${formatBytes(limit)}. ${advice}`)
  try {
    return new SharedArrayBuffer(bytes)
  } catch {
    throw new MemoryError(`${what}, which could not be allocated; ${formatBytes(freemem())} are free. ${advice}`)
  }
}

export function formatBytes(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, bytes)) / 10)))
  return `${power === 0 ? bytes : (bytes / 1024 ** power).toPrecision(3)} ${units[power]}`
}
