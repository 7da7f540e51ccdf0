/** Files of models for rows: metadata, and schemas that are missing or damaged. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  column,
  dense,
  input,
  loadTabular,
  readSafetensors,
  schema,
  sequential,
  ThalwegError,
  tabular,
  target,
  writeSafetensors,
} from '../../src/index.ts'
import { homes, kinds, small } from './homes.ts'
import { expectRefusal } from './support.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'thalweg-'))
})
afterEach(() => rm(directory, { recursive: true }))

describe('the file of a model for rows', () => {
  it('has metadata of texts, of which the schema is none', async () => {
    const net = tabular(await schema({ sqft: column.number(), price: target.number() }).fit(homes), small)
    const path = join(directory, 'metadata.safetensors')
    await expectRefusal(() => net.save(path, { metadata: 5 as never }), 'ERR_OPTION', 'save: metadata must be an object of texts')
    await expectRefusal(() => net.save(path, null as never), 'ERR_OPTION', 'save: options', 'null')
    await expectRefusal(() => net.save(path, { metadata: { 'thalweg.schema': '{}' } }), 'ERR_OPTION', 'is the schema itself')
  })

  const saved = async () => {
    const net = tabular(await schema({ ...kinds, kind: target.category() }).fit(homes), small)
    const path = join(directory, 'kinds.safetensors')
    await net.save(path)
    return { path, ...(await readSafetensors(path)) }
  }

  it('without a schema, or with a damaged one, is refused by name', async () => {
    const { path, tensors, metadata } = await saved()
    const write = async (text: string | undefined) => {
      const entries = { ...metadata }
      if (text === undefined) delete entries['thalweg.schema']
      else entries['thalweg.schema'] = text
      await writeSafetensors(path, tensors, entries)
    }
    const text = metadata['thalweg.schema']
    await write(text)
    await loadTabular(path)
    await write(undefined)
    await expectRefusal(() => loadTabular(path), 'ERR_DATA', path, 'without a schema')
    await write(text.slice(0, -9))
    await expectRefusal(() => loadTabular(path), 'ERR_DATA', path, 'is no JSON')
    await write('{"version":99}')
    await expectRefusal(() => loadTabular(path), 'ERR_DATA', path, 'newer thalweg')
    await write(text.replace('"sqft"', '"feet"').replace('"rooms"', '"__proto__"'))
    await expectRefusal(() => loadTabular(path), 'ERR_DATA', path, '__proto__')
    const { columns, ...rest } = JSON.parse(text)
    await write(JSON.stringify({ ...rest, columns: columns.slice(2) }))
    await expectRefusal(() => loadTabular(path), 'ERR_DATA', path, 'as the schema has')
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
  })

  it('whose schema is changed anywhere is opened or refused, and then predicts or refuses', async () => {
    const { path, metadata } = await saved()
    const bytes = await readFile(path)
    const text = metadata['thalweg.schema']
    const json = JSON.stringify(text).slice(1, -1)
    const at = bytes.indexOf(json)
    expect(at).toBeGreaterThan(0)
    let opened = 0
    const change = fc.tuple(fc.nat(json.length - 1), fc.constantFrom(...'0123456789"{}[],:.-eatfn\\ '))
    const property = fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
      const damaged = Buffer.from(bytes)
      for (const [i, character] of changes) damaged.write(character, at + i, 'latin1')
      try {
        const net = await loadTabular(damaged)
        opened++
        await net.predict(homes.slice(0, 3))
      } catch (error) {
        if (!(error instanceof ThalwegError) || error.code === 'ERR_ASSERTION') throw error
      }
    })
    await fc.assert(property, { numRuns: 300 })
    expect(opened).toBeGreaterThan(0)
  })

  it('of a model without rows says what to do', async () => {
    const path = join(directory, 'net.safetensors')
    await sequential([input(2), dense(1)]).save(path)
    await expectRefusal(() => loadTabular(path), 'ERR_DATA', path, 'loadModel')
    await writeFile(path, 'no model')
    await expectRefusal(() => loadTabular(path), 'ERR_DATA', path)
    await expectRefusal(() => loadTabular(join(directory, 'none')), 'ERR_FILE', 'none')
  })
})
