/**
 * What the linker would not tell: that no inline code compiled for a new processor can end up in the path of an old one. Two files compiled
 * with different flags that share an inline function leave one copy of it in the addon, and it may be the wrong one.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const objects = fileURLToPath(new URL('../../build/Release/obj.target', import.meta.url))

function objectFiles(folder: string): string[] {
  if (!existsSync(join(objects, folder))) return []
  return readdirSync(join(objects, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.o'))
    .map((name) => join(objects, folder, name))
}

function output(command: string, ...arguments_: string[]): string {
  const { stdout, status } = spawnSync(command, arguments_, { encoding: 'utf8', maxBuffer: 1 << 28 })
  expect(status).toBe(0)
  return stdout
}

const isas = ['portable', 'avx2', 'avx512', 'neon'].filter((isa) => objectFiles(`kernels_${isa}`).length > 0)
const missing = isas.length === 0 || spawnSync('objdump', ['--version']).status !== 0

describe.skipIf(missing)('object files of the addon (skipped where it is not built, or binutils are missing)', () => {
  it.each(isas)('%s kernels share no weak symbol with anything outside their namespace', (isa) => {
    for (const file of objectFiles(`kernels_${isa}`)) {
      const weak = output('nm', '-C', '--defined-only', file)
        .split('\n')
        .filter((line) => /^\S* [WVu] /.test(line) && !line.includes(` thalweg::${isa}::`))
      expect({ file, weak }).toEqual({ file, weak: [] })
    }
  })

  it.skipIf(process.arch !== 'x64')('what every processor runs uses no wide registers', () => {
    const baseline = [...objectFiles('thalweg'), ...objectFiles('kernels_portable')]
    expect(baseline.length).toBeGreaterThan(10)
    for (const file of baseline) {
      const wide = output('objdump', '-d', '--no-show-raw-insn', file).match(/^.*%[yz]mm\d+.*$/m)
      expect({ file, wide }).toEqual({ file, wide: null })
    }
  })

  it.skipIf(process.arch !== 'x64')('would notice: the avx2 kernels do use them', () => {
    const file = objectFiles('kernels_avx2').find((name) => name.endsWith('matmulTiles.o')) as string
    expect(output('objdump', '-d', '--no-show-raw-insn', file)).toMatch(/%ymm\d+/)
  })
})
