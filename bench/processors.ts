/** Which processors there are to run on, and how to stay on some of them. */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'

const status = '/proc/self/status'

/** The numbers in a list such as "0-1,4". */
export function parseProcessors(list: string): number[] {
  if (list === '') return []
  return list.split(',').flatMap((range) => {
    const [first, last = first] = range.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, i) => first + i)
  })
}

/** Those that this process may run on, in ascending order; none where the system does not say. */
export function allowedProcessors(): number[] {
  if (!existsSync(status)) return []
  const [, list = ''] = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync(status, 'utf8')) ?? []
  return parseProcessors(list)
}

/** So many of them, or all when there are fewer. The last ones: the first processor serves more of the system's interrupts. */
export function lastProcessors(count: number): number[] {
  const allowed = allowedProcessors()
  return allowed.slice(Math.max(0, allowed.length - count))
}

export const canPin = spawnSync('taskset', ['--version'], { stdio: 'ignore' }).status === 0

/** The command, held to these processors where that is possible. */
export function pinned(command: readonly string[], processors: readonly number[]): readonly string[] {
  return canPin && processors.length > 0 ? ['taskset', '--cpu-list', processors.join(','), ...command] : command
}

/** Holds this thread, and all processes that it will start, to these processors where that is possible. */
export function pinThread(processors: readonly number[]): void {
  if (!canPin || processors.length === 0) return
  const list = processors.join(',')
  const { status: code, stderr } = spawnSync('taskset', ['--pid', '--cpu-list', list, `${process.pid}`], { encoding: 'utf8' })
  if (code !== 0) console.error(`Not held to processor ${list}: ${stderr.trim()}`)
}
