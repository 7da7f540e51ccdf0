import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { commands, main, programFor } from '../../src/cli/program.ts'
import { root, run } from './support.ts'

const streams = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough(), env: {} }
const programWith = (name: string) => programFor([name], streams, new AbortController().signal, { output: null, command: null })

test.each(commands.map(({ name }) => name))('%s: each option is described, and read by the code', async (name) => {
  const program = await programWith(name)
  const command = program.commands.find((one) => one.name() === name)
  const sources = ['trainTable', 'trainOptions', 'trainingText', `commands/${name}`, `${name}`].flatMap((file) => {
    try {
      return [readFileSync(join(root, 'src/cli', `${file}.ts`), 'utf8')]
    } catch {
      return []
    }
  })
  // Beside the declaration in an interface of options there is a place that reads it.
  const code = sources.join('\n').replaceAll(/readonly \w+\??:/g, '')
  expect(command?.description().length).toBeGreaterThan(40)
  for (const option of command?.options ?? []) {
    expect(option.description, option.flags).toMatch(/\w+ \w+/)
    const isRead =
      new RegExp(`(?<![-'\\w])${option.attributeName()}\\b(?!['\\w])`).test(code) ||
      (['threads', 'executor'].includes(option.attributeName()) && code.includes('...execution'))
    expect(isRead, `${option.flags} is not read`).toBe(true)
  }
})

test.each(commands.map(({ name }) => name))('%s: help has examples', async (name) => {
  const { code, stdout, stderr } = await run([name, '--help'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toContain('Examples:\n  thalweg ')
  for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(180)
})

test('help lists each command with what it is for', async () => {
  const { stdout } = await run(['--help'])
  for (const { name, summary } of commands) expect(stdout).toMatch(new RegExp(`^  ${name} .*${summary}`, 'm'))
})

test('colours are for terminals, and nobody else', async () => {
  const onTerminal = async (argv: string[], env: Record<string, string> = {}) => {
    const stdout = Object.assign(new PassThrough(), { isTTY: true, columns: 80 })
    const chunks: Buffer[] = []
    stdout.on('data', (chunk) => chunks.push(chunk))
    await main(argv, { ...streams, stdout, env })
    return Buffer.concat(chunks).toString()
  }
  expect(await onTerminal(['--help'])).toContain('\u001b[1m')
  expect(await onTerminal(['--help'], { NO_COLOR: '1' })).not.toContain('\u001b')
  expect(await onTerminal(['--help', '--no-color'])).not.toContain('\u001b')
  expect(await onTerminal(['--help'], { TERM: 'dumb' })).not.toContain('\u001b')
  expect((await run(['--help'])).stdout).not.toContain('\u001b')
})
