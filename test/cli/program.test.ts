import { describe, expect, test } from 'vitest'
import { version } from '../../src/version.ts'
import { run } from './support.ts'

describe('the program', () => {
  test('prints its version', async () => {
    expect(await run(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' })
  })

  test('suggests the option and the command that may be meant, in one line, with exit code 2', async () => {
    const option = await run(['evaluate', '--jsn'])
    expect(option).toEqual({
      code: 2,
      stdout: '',
      stderr: "thalweg evaluate: unknown option '--jsn' (Did you mean --json?) See thalweg evaluate --help.\n",
    })
    const command = await run(['evaluat', 'x'])
    expect(command).toEqual({
      code: 2,
      stdout: '',
      stderr: "thalweg: unknown command 'evaluat' (Did you mean evaluate?) See thalweg --help.\n",
    })
  })

  test('suggests the option that other programs call otherwise', async () => {
    for (const [flag, meant] of [
      ['--lr', '--learning-rate'],
      ['--lr=0.01', '--learning-rate'],
      ['--batch', '--batch-size'],
      ['--test-split', '--test'],
    ]) {
      const { code, stderr } = await run(['train', 'x.csv', '--target', 'y', flag, '1'])
      expect({ code, stderr }).toEqual({
        code: 2,
        stderr: `thalweg train: unknown option '${flag}' (Did you mean ${meant}?) See thalweg train --help.\n`,
      })
    }
    const { stderr } = await run(['evaluate', '--lr'])
    expect(stderr).not.toContain('learning-rate')
  })

  test('an error is one line; --debug and THALWEG_DEBUG add the stack', async () => {
    const plain = await run(['evaluate', 'nowhere.safetensors', 'x.csv'])
    expect(plain).toMatchObject({ code: 1, stdout: '' })
    expect(plain.stderr).toMatch(/^thalweg evaluate: "nowhere\.safetensors" cannot be read: .*\n$/)
    for (const debugging of [
      await run(['evaluate', '--debug', 'nowhere.safetensors', 'x.csv']),
      await run(['evaluate', 'nowhere.safetensors', 'x.csv'], { env: { THALWEG_DEBUG: '1' } }),
    ])
      expect(debugging.stderr).toMatch(/\n {4}at /)
  })
})
