/** The npm packages that thalweg is measured against, from bench/package.json. Each has a module in bench/rivals/ that builds a case with it. */
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { unknownName } from '../src/checks.ts'
import type { Case } from './cases.ts'
import type { Rows } from './data.ts'

export interface Rival {
  readonly name: string
  /** In bench/rivals/. */
  readonly module: string
  /** A backend, for packages that have several. */
  readonly variant: string
  /** The first one gives the version. */
  readonly packages: readonly string[]
  /** Cases that it can be asked to train. */
  readonly cases: string
}

const rival = (name: string, packages: readonly string[], cases: string, module = name, variant = ''): Rival => ({
  name,
  module: `${module}.mjs`,
  variant,
  packages,
  cases,
})

export const rivals: readonly Rival[] = [
  rival('tfjs-wasm', ['@tensorflow/tfjs', '@tensorflow/tfjs-backend-wasm'], 'abcdef', 'tfjs', 'wasm'),
  rival('tfjs-cpu', ['@tensorflow/tfjs'], 'abcdef', 'tfjs', 'cpu'),
  rival('jax-js', ['@jax-js/jax'], 'abcdef', 'jax', 'wasm'),
  rival('brain.js', ['brain.js'], 'abcd', 'brain'),
  rival('convnetjs', ['convnetjs'], 'abcde', 'convnet'),
  rival('toygrad', ['toygrad'], 'abcde'),
  rival('ml-fnn', ['ml-fnn'], 'ac'),
  rival('synaptic', ['synaptic'], 'ac'),
]

export const rivalNames = rivals.map(({ name }) => name)

// Compiled, this file is part of build/bench/serve/serve.js.
const bench = new URL(import.meta.url.endsWith('.ts') ? './' : '../../../bench/', import.meta.url)
const modules = new URL('./node_modules/', bench)
const manifest = (name: string) => new URL(`${name}/package.json`, modules)

export const packageFolder = (name: string): string => fileURLToPath(new URL(name, modules))

/** Null when its packages are not installed. */
export function versionOf({ packages }: Rival): string | null {
  if (!packages.every((name) => existsSync(manifest(name)))) return null
  return (JSON.parse(readFileSync(manifest(packages[0]), 'utf8')) as { version: string }).version
}

export function rivalNamed(name: string): Rival {
  const found = rivals.find((candidate) => candidate.name === name)
  if (found === undefined) throw unknownName('rival', name, rivalNames)
  return found
}

/** What a module in bench/rivals/ makes of a case. */
export interface RivalNetwork {
  /** Where it cannot do the same work, what it does instead. */
  readonly note: string
  /** One step over batch i modulo their number. */
  step(i: number): void | Promise<void>
}

export async function createRival({ module, variant }: Rival, definition: Case, batches: readonly Rows[]): Promise<RivalNetwork> {
  const { create } = await import(new URL(`./rivals/${module}`, bench).href)
  return create(definition, batches, variant)
}
