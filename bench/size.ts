/** What an installation takes on disk. */
import { spawnSync } from 'node:child_process'
import { existsSync, lstatSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Python } from './pytorch.ts'
import { packageFolder, type Rival } from './rivals.ts'

export interface Size {
  readonly contestant: string
  readonly bytes: number
  readonly what: string
}

const root = fileURLToPath(new URL('..', import.meta.url))

/** All files of a folder, without the packages nested in it when `own` is set; a link counts nothing. */
function folderBytes(folder: string, own = false): number {
  return readdirSync(folder).reduce((sum, name) => {
    if (own && name === 'node_modules') return sum
    const path = join(folder, name)
    const stat = lstatSync(path)
    return sum + (stat.isDirectory() ? folderBytes(path) : stat.isFile() ? stat.size : 0)
  }, 0)
}

interface LockedPackage {
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
}

/** Where a package finds a dependency: in its own node_modules, or in those of a folder around it. */
function resolve(packages: Readonly<Record<string, LockedPackage>>, from: string, name: string): string | null {
  for (let folder = from; ; ) {
    const candidate = folder === '' ? `node_modules/${name}` : `${folder}/node_modules/${name}`
    if (candidate in packages) return candidate
    if (folder === '') return null
    const up = folder.lastIndexOf('/node_modules/')
    folder = up === -1 ? '' : folder.slice(0, up)
  }
}

/** The folders of some packages and of everything they depend on, from the lock file beside them. */
function closure(folder: string, names: readonly string[]): string[] {
  const { packages } = JSON.parse(readFileSync(`${folder}package-lock.json`, 'utf8')) as {
    packages: Readonly<Record<string, LockedPackage>>
  }
  const found = new Set<string>()
  const visit = (from: string, name: string) => {
    const path = resolve(packages, from, name)
    if (path === null || found.has(path)) return
    found.add(path)
    const { dependencies, optionalDependencies, peerDependencies } = packages[path]
    for (const next of Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })) visit(path, next)
  }
  for (const name of names) visit('', name)
  return [...found].map((path) => `${folder}${path}`).filter((path) => existsSync(path))
}

const ownBytes = (paths: readonly string[]) => paths.reduce((sum, path) => sum + folderBytes(path, true), 0)

function rivalSize({ name, packages }: Rival): Size {
  const paths = closure(`${root}bench/`, packages)
  const bytes = ownBytes(paths)
  return { contestant: name, bytes, what: `${packages.join(' + ')} with ${paths.length - packages.length} dependencies` }
}

/** The package as it would be published, with its dependencies, and the addon as it was built here, which each platform's binary resembles. */
function ownSize(): Size {
  const { status, stdout, stderr } = spawnSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: root, encoding: 'utf8' })
  if (status !== 0) throw new Error(`npm pack failed: ${stderr}`)
  const [{ unpackedSize }] = JSON.parse(stdout) as { unpackedSize: number }[]
  const { dependencies } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { dependencies: Readonly<Record<string, string>> }
  const names = Object.keys(dependencies)
  const paths = closure(root, names)
  const addon = `${root}build/Release/thalweg.node`
  const built = existsSync(addon)
  return {
    contestant: 'thalweg',
    bytes: unpackedSize + ownBytes(paths) + (built ? statSync(addon).size : 0),
    what: `package ${built ? 'and the addon for one platform' : 'without an addon'}, with ${paths.length} dependencies`,
  }
}

function torchSize({ folder, libraries }: Python): Size {
  const loaded = libraries.filter((path) => existsSync(path)).reduce((sum, path) => sum + statSync(path).size, 0)
  return {
    contestant: 'pytorch',
    bytes: folderBytes(folder) + loaded,
    what: `its Python package and the ${libraries.length} shared libraries it loads, without Python`,
  }
}

export function sizes(rivals: readonly Rival[], torch: Python | null): Size[] {
  const installed = rivals.filter(({ packages }) => packages.every((name) => existsSync(packageFolder(name))))
  return [ownSize(), ...installed.map(rivalSize), ...(torch === null ? [] : [torchSize(torch)])]
}
