/**
 * The native tests that need no Node: `npx tsx test/native/run.ts address|thread|neon|ulp [arguments]`.
 *
 *     address   the battery under AddressSanitizer and UndefinedBehaviorSanitizer
 *     thread    the battery under ThreadSanitizer, several sessions at once
 *     neon      the battery on a 64-bit ARM build under qemu-aarch64 (Debian: g++-aarch64-linux-gnu qemu-user)
 *     ulp       the error of exp, log, tanh, erf, sigmoid and square roots over all floats (--every N for a part of them)
 *
 * Needs cmake and a C++ compiler. Expected bits come from the addon's portable kernels, so the addon must be built.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { loadAddon } from '../../src/executors/native/addon.ts'
import { writeCases } from './cases.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

function run(command: string, ...arguments_: string[]): void {
  console.log(`> ${[command, ...arguments_].join(' ')}`)
  const { status, error } = spawnSync(command, arguments_, { cwd: root, stdio: 'inherit' })
  if (error !== undefined) throw error
  if (status !== 0) process.exit(status ?? 1)
}

function build(name: string, target: string, ...settings: string[]): string {
  const folder = `build/${name}`
  run('cmake', '-S', 'native', '-B', folder, ...settings)
  run('cmake', '--build', folder, '--target', target, '--parallel', String(availableParallelism()))
  return folder
}

async function battery(): Promise<string> {
  mkdirSync(`${root}build`, { recursive: true })
  const path = `${root}build/battery.txt`
  console.log(`${await writeCases(path)} cases written`)
  return path
}

const arm = ['-DCMAKE_SYSTEM_NAME=Linux', '-DCMAKE_SYSTEM_PROCESSOR=aarch64', '-DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++']
const [mode, ...rest] = process.argv.slice(2)
if (mode === 'address') run(`${build('address', 'replay', '-DTHALWEG_SANITIZE=address')}/replay`, await battery(), ...rest)
else if (mode === 'thread')
  run(`${build('thread', 'replay', '-DTHALWEG_SANITIZE=thread')}/replay`, await battery(), '--concurrent', '4', ...rest)
else if (mode === 'neon')
  run('qemu-aarch64', '-L', '/usr/aarch64-linux-gnu', `${build('neon', 'replay', ...arm)}/replay`, await battery(), ...rest)
else if (mode === 'ulp') {
  const isa = loadAddon().addon?.isas[0] ?? 'portable'
  run(`${build('plain', `ulp_${isa}`)}/ulp_${isa}`, ...rest)
} else {
  console.error('Usage: npx tsx test/native/run.ts address|thread|neon|ulp [arguments]')
  process.exit(2)
}
