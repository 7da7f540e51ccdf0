/** The reader of docstrings and the pages made of it, on a library of a few lines. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { type Entry, examplesModule, problemsOf, readApi } from '../../docs/api.ts'
import { renderPages } from '../../docs/pages.ts'

const build = fileURLToPath(new URL('../../build', import.meta.url))
mkdirSync(build, { recursive: true })
const root = mkdtempSync(join(build, 'api-'))
afterAll(() => rmSync(root, { recursive: true }))

const files = {
  'tsconfig.json':
    '{ "compilerOptions": { "target": "es2023", "module": "nodenext", "strict": true, "allowImportingTsExtensions": true } }',
  'src/index.ts': `
    export { losses, type HuberOptions } from './nn/losses.ts'
    export * as schedules from './optim/schedules.ts'
    export { type Box, type LidOptions, Model, shut } from './train/model.ts'
    export { bare } from './ops/bare.ts'`,
  'src/nn/losses.ts': `
    /** How \`huber\` bends. */
    export interface HuberOptions {
      /** Where it turns straight; default 1. */
      readonly delta?: number
      readonly slope?: number
      /** Which way: "up" (default) or "down". */
      readonly way?: 'up' | 'down'
      /** How often (default: as long as there is data); or never. */
      readonly times?: number
      /** Looks on. */
      readonly watch?: () => void
    }
    /**
     * Quadratic, then linear (Huber et al. 1964). Of \`losses.meanSquaredError\`.
     *
     * @param options How.
     * @returns One number a sample.
     * @throws RangeError if delta is below 0.
     * @example losses.huber({ delta: 2 })
     */
    function huber({ delta = 1 }: HuberOptions = {}): (x: number) => number { return (x) => x * delta }
    /** (p - t)². @example losses.meanSquaredError() */
    const meanSquaredError = (): number => 0
    /** All of them. @example Object.keys(losses) */
    export const losses = { huber, meanSquaredError, mse: meanSquaredError } as const`,
  'src/optim/schedules.ts':
    '/** Halves. @param options `floor`: the least; `gamma`: how much, 1 (default) or less. @example schedules.step(1) */\nexport function step(every: number, options: { gamma?: number; floor?: number; bare?: boolean } = {}): number { const { gamma, floor = 0 } = options; return Math.max(floor, every * (gamma ?? 1)) }',
  'src/train/model.ts': `
    /** A box. */
    export interface Box { readonly label?: string; readonly size: number | null }
    /** Takes away. */
    export interface LidOptions {
      /** How tight. */
      readonly tight?: () => void
      /** What for. */
      readonly box: Box
    }
    /** Shuts. @example shut({
     *   box: [1].map((size) => {
     *     return { size }
     *   })[0],
     * })
     */
    export function shut(options: LidOptions): void {}
    /** A model. @example new Model() */
    export class Model {
      /** Its box. */
      readonly box: Box = { size: null }
      /** Empty or not. @example new Model().look() */
      look(): boolean { return this.hidden() }
      /** Not for users. @internal */
      hidden(): boolean { return true }
      private secret(): void {}
      /** Made anew. */
      static make(): Model { return new Model() }
    }`,
  'src/ops/bare.ts': 'export const bare = (axis = -1): number => axis',
}
for (const [name, text] of Object.entries(files)) {
  mkdirSync(join(root, name, '..'), { recursive: true })
  writeFileSync(join(root, name), text)
}

const entries = readApi(root)
const named = (name: string) => entries.find((entry) => entry.name === name) as Entry

describe('readApi', () => {
  it('finds exports, members of namespaces and public methods', () => {
    expect(entries.map(({ name }) => name).sort()).toEqual(
      [
        'Box',
        'HuberOptions',
        'LidOptions',
        'Model',
        'Model.look',
        'Model.make',
        'bare',
        'losses',
        'losses.huber',
        'losses.meanSquaredError',
        'losses.mse',
        'schedules',
        'schedules.step',
        'shut',
      ].sort(),
    )
  })

  it('reads signature, tags and options, through a pattern and a shorthand', () => {
    const { code, parameters, returns, throws, examples, members, file } = named('losses.huber')
    expect(code).toEqual(['losses.huber(options: HuberOptions = {}): (x: number) => number'])
    expect({ parameters, returns, throws, examples, file }).toEqual({
      parameters: [{ name: 'options', text: 'How.' }],
      returns: 'One number a sample.',
      throws: ['RangeError if delta is below 0.'],
      examples: ['losses.huber({ delta: 2 })'],
      file: 'src/nn/losses.ts',
    })
    expect(members[0]).toMatchObject({ name: 'delta', type: 'number', default: '1', text: 'Where it turns straight.', optional: true })
    expect(members.slice(2).map(({ text, default: value }) => [text, value])).toEqual([
      ['Which way: "up" or "down".', '"up"'],
      ['How often; or never.', 'as long as there is data'],
      ['Looks on.', null],
    ])
  })

  it('gives a second name the example under that name', () => {
    expect(named('losses.mse')).toMatchObject({ text: 'The same as `losses.meanSquaredError`.', examples: ['losses.mse()'] })
  })

  it('indents examples of several lines', () => {
    expect(named('shut').examples).toEqual(['shut({\n  box: [1].map((size) => {\n    return { size }\n  })[0],\n})'])
  })

  it('calls methods on an instance, static ones on the class', () => {
    expect(named('Model.look').code).toEqual(['model.look(): boolean'])
    expect(named('Model.make').code).toEqual(['Model.make(): Model'])
  })
})

it('problemsOf names what is missing', () => {
  expect(problemsOf(entries).sort()).toEqual([
    'HuberOptions.slope: no default',
    'HuberOptions.slope: no docstring',
    'Model.make: no example',
    'bare: no docstring',
    'bare: no example',
    'schedules.step.bare: no default',
    'schedules.step.bare: no docstring',
    'schedules: no docstring',
    'schedules: no example',
  ])
})

it('problemsOf compares the default in the docstring with the one in the code', () => {
  const huber = named('losses.huber')
  expect(huber.defaults.get('delta')).toBe('1')
  const changed = { ...huber, defaults: new Map([['delta', '1.5']]), members: huber.members.slice(0, 1) }
  expect(problemsOf([changed])).toEqual(['losses.huber: delta is by default 1.5, not 1'])
})

it('problemsOf compares the default of an option with the one of @param options', () => {
  const huber = named('losses.huber')
  const says = (text: string) => ({ ...huber, parameters: [{ name: 'options', text }], members: huber.members.slice(0, 1) })
  expect(problemsOf([says('`delta` 1; `way` "up".'), says('`delta` the best.'), says('`way` "up", `delta` 1.')])).toEqual([])
  expect(problemsOf([says('`way` "up"; `delta` 0.5.')])).toEqual(['losses.huber: delta is by default 1 or 0.5'])
})

it('problemsOf refuses an example of something else', () => {
  expect(problemsOf([{ ...named('losses.huber'), members: [], examples: ['losses.mse()'] }])).toEqual([
    'losses.huber: its example does not use it',
  ])
})

it('examplesModule imports types as types', () => {
  const text = examplesModule(entries, 'there')
  expect(text).toContain("type LidOptions, shut, Model } from 'there'")
  expect(text).toContain("'Model.look': async () => {\n{\nnew Model().look()\n}\n},")
})

describe('renderPages', () => {
  const pages = renderPages(entries)

  it('makes a page an area, types last, and an index', () => {
    expect([...pages.keys()]).toEqual(['README.md', 'losses.md', 'ops-and-tensors.md', 'schedules.md', 'training.md'])
    expect(pages.get('README.md')).toContain(
      '| &emsp;[`losses.huber`](losses.md#losseshuber) | Quadratic, then linear (Huber et al. 1964). |',
    )
  })

  it('links names in the text, and options to the functions that take them', () => {
    const page = pages.get('losses.md')
    expect(page).toContain('Of [`losses.meanSquaredError`](losses.md#lossesmeansquarederror).')
    expect(page).toContain('Options of [`losses.huber`](losses.md#losseshuber).')
    expect(page).toContain('| `delta` | `number` | `1` | Where it turns straight. |')
  })

  it('takes a default from the code where the docstring says none', () =>
    expect(pages.get('schedules.md')).toContain('| `floor` | `number` | `0` | The least. |'))

  it('takes what @param options says of an option without a docstring', () =>
    expect(pages.get('schedules.md')).toContain('| `gamma` | `number` | `1` | How much, 1 or less. |'))

  it('links types in tables', () => expect(pages.get('training.md')).toContain('| `box` | [`Box`](training.md#box) | Its box. |'))

  it('marks what may be left out, and puts options that must be given first', () => {
    const page = pages.get('training.md')
    expect(page).toContain('| `label?` | `string` |')
    expect(page).toMatch(/\| `box` \|[^\n]* required \| What for\. \|\n\| `tight` \|/)
  })
})
