import { freemem, totalmem } from 'node:os'
import { constrainedMemory } from 'node:process'
import { MemoryError } from './errors.ts'

/** What only native code can do for memory. */
export interface NativeMemory {
  /** Bytes from the start of an array to the next cache line. */
  bytesToAlignment(memory: Uint8Array): number
  /** V8 does not count SharedArrayBuffers when it decides to collect garbage; this tells it. */
  adjustExternalMemory(bytes: number): number
}

let native: NativeMemory | null = null
const collected = new FinalizationRegistry((bytes: number) => native?.adjustExternalMemory(-bytes))

/** Called once the addon is loaded. Without it memory need not be aligned, and garbage is collected later than it could be. */
export function useNativeMemory(memory: NativeMemory): void {
  native = memory
}

/** Bytes from the start of an array to the next cache line; 0 where nobody asks for alignment. */
export function bytesToAlignment(memory: Uint8Array): number {
  return native?.bytesToAlignment(memory) ?? 0
}

/** What there may be at most: of the machine, or of its container. Files of the system say so, which take longer to read than memory to allocate. */
let limit: number | null = null

/**
 * Shared memory, zeroed. It is freed like any object, once nothing refers to it.
 *
 * @param what The beginning of the message if there is less.
 */
export function allocateShared(bytes: number, what: string, advice: string): SharedArrayBuffer {
  limit ??= Math.min(totalmem(), constrainedMemory() || Number.POSITIVE_INFINITY)
  if (bytes > limit) throw new MemoryError(`${what}, the machine has ${formatBytes(limit)}. ${advice}`)
  try {
    const buffer = new SharedArrayBuffer(bytes)
    if (native !== null) {
      native.adjustExternalMemory(bytes)
      collected.register(buffer, bytes)
    }
    return buffer
  } catch {
    throw new MemoryError(`${what}, which could not be allocated; ${formatBytes(freemem())} are free. ${advice}`)
  }
}

export function formatBytes(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, bytes)) / 10)))
  return `${power === 0 ? bytes : (bytes / 1024 ** power).toPrecision(3)} ${units[power]}`
}
