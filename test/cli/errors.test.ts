/** Messages of the library in the words of the command, whatever stands in them. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { inWordsOfCommand } from '../../src/cli/errors.ts'
import { run, temporaryFolder } from './support.ts'

const flags = new Map([
  ['column', '--column'],
  ['missingTarget', '--missing-target'],
])
const folder = temporaryFolder()
const file = (name: string, content: string) => {
  writeFileSync(join(folder, name), content)
  return join(folder, name)
}
const inWords = (message: string) => inWordsOfCommand(message, flags)

describe('messages in the words of the command', () => {
  test.each([
    ['fit: schema.fit: no row.', 'no row.'],
    ['no fit: none.', 'no fit: none.'],
    ['leave them out with { missingTarget: "skip" }.', 'leave them out with --missing-target skip.'],
    ['column "a": use column.number().', 'column "a": use --column a=number.'],
    ['column "a "b": use column.number({ bins: 8 }).', `column "a "b": use --column 'a "b=number(bins=8)'.`],
    ['column "a": got "{ x: 1 }"; add { values: ["}", "c: "] }.', 'column "a": got "{ x: 1 }"; add values=["}", "c: "].'],
    ['column "a": got "column.number()", not "b.', 'column "a": got "column.number()", not "b.'],
    ['column "a" is "b: column.number().', 'column "a" is "b: column.number().'],
    ['column "a b": say { columns: { "a b": column.ignore() } }.', `column "a b": say --column 'a b=ignore'.`],
    ['column "a\\x" holds { columns: { "a\\x": column.ignore() } }.', `column "a\\x" holds --column 'a\\x=ignore'.`],
  ])('%s', (message, expected) => {
    expect(inWords(message)).toBe(expected)
  })

  test('inference advises --column', async () => {
    const rows = Array.from({ length: 20 }, (_, i) => JSON.stringify({ x: i, 'the "b"': { c: i }, y: 2 * i })).join('\n')
    const { code, stderr } = await run(['train', file('objects.jsonl', rows), '-t', 'y'])
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringMatching(/such as --column 'the "b"=ignore'\.\n$/) })
  })
})

// Each of these took minutes with patterns that begin anew inside of what they have gone through.
describe('a name of a megabyte', () => {
  const filled = (part: string) => part.repeat(Math.ceil(2 ** 20 / part.length))
  test.each(['\\"', '{ a: ', 'column.x({ a: ', '{ columns: { "', 'column "', '" ', 'a', ' ', '\\'])(
    'of %j is gone through once',
    (part) => {
      for (const message of [filled(part), `"${filled(part)}\\`, `"${filled(part)}\\\n`, `{ a: ${filled(part)} }`]) {
        expect(inWords(message)).toBe(message)
        expect(inWords(`column "x": ${message}`)).toMatch(/^column "x": /)
        expect(inWords(`column "${message}": column.number()`)).toMatch(/number(\(\))?'?$/)
      }
    },
  )

  // As long as a record may be. V8 refuses patterns that need so much memory, with a RangeError in place of the message.
  test.each(['k', '\\"', ' "'])('or of sixteen, of %j, leaves its message as it is', (part) => {
    const name = part.repeat(2 ** 24 / part.length)
    const message = `column "${name}": expected numbers, got "${name}"; use column.ignore().`
    expect(inWords(`schema.fit: ${message}`) === message).toBe(true)
    expect(inWords(`{ ${name}: 1 }`) === `{ ${name}: 1 }`).toBe(true)
  })

  test.each([
    [' ', 1],
    ['\\""', 1],
    ['b', 1],
    ['b', 9],
  ])('of %j in a file, %i times as long', async (part, times) => {
    const name = filled(part).repeat(times)
    const path = file('long.csv', `"${name}",y\n${Array.from({ length: 60 }, (_, i) => `${i === 50 ? 'warm' : i / 7},${i}\n`).join('')}`)
    const { code, stderr } = await run(['train', path, '-t', 'y', '--epochs', '1'])
    expect(code).toBe(1)
    expect(stderr.slice(-300)).not.toContain('RangeError')
    expect(stderr.length).toBeGreaterThan(name.length / 2)
  })
})
