/** The examples show what users can write: from thalweg they import what the package exports, and nothing else. */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const folder = fileURLToPath(new URL('../../examples/', import.meta.url))
const files = readdirSync(folder).filter((file) => file.endsWith('.ts'))

it.each(files)('%s imports the public face alone', (file) => {
  const imported = [...readFileSync(folder + file, 'utf8').matchAll(/from '(\.\.[^']*)'/g)].map(([, path]) => path)
  expect(imported.length).toBeGreaterThan(0)
  expect(new Set(imported)).toEqual(new Set(['../src/index.ts']))
})
