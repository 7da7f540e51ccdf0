import { existsSync, readdirSync, readlinkSync, realpathSync } from 'node:fs'

/** Whether this process has a file open; null where the system does not tell. */
export function isOpen(path: string): boolean | null {
  if (!existsSync('/proc/self/fd')) return null
  return readdirSync('/proc/self/fd').some((number) => {
    try {
      return readlinkSync(`/proc/self/fd/${number}`) === realpathSync(path)
    } catch {
      return false
    }
  })
}
