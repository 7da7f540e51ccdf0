import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { data, events, run, start, temporaryFolder } from './support.ts'

const folder = temporaryFolder()
const rows = join(folder, 'rows.csv')
const header = 'a,b,c,y\n'
writeFileSync(
  rows,
  header + Array.from({ length: 400 }, (_, i) => `${(i * 37) % 401},${(i * 11) % 97}.5,${i % 5},${((i * 37) % 401) * 2}.25`).join('\n'),
)

const command = (out: string, ...more: string[]) => [
  'train',
  rows,
  '-t',
  'y',
  '--out',
  out,
  '--members',
  '1',
  '--threads',
  '1',
  '--json',
  ...more,
]

/** Starts a command and stops it by a signal when it has printed so many epochs. */
async function stopped(argv: readonly string[], signal: 'SIGINT' | 'SIGTERM', epochs = 3) {
  const { child, outcome } = start(argv)
  let text = ''
  child.stdout.on('data', (piece) => {
    text += piece
    if (!child.killed && (text.match(/"epoch":/g)?.length ?? 0) >= epochs) child.kill(signal)
  })
  return outcome
}

describe('a training run that is stopped', () => {
  test('by SIGINT writes a checkpoint and no model, says how to go on, and goes on to the same bits', async () => {
    const [out, whole] = [join(folder, 'stopped.safetensors'), join(folder, 'whole.safetensors')]
    const checkpoint = join(folder, 'run')
    const options = ['--epochs', '200', '--checkpoint', checkpoint]
    const { code, killedBy, stderr } = await stopped(command(out, ...options), 'SIGINT')
    expect({ code, killedBy }).toEqual({ code: 130, killedBy: null })
    expect(stderr).toBe(
      `thalweg train: stopped by SIGINT; no model was written. Go on from the checkpoint in "${checkpoint}" with the same command and --resume.\n`,
    )
    expect(existsSync(out)).toBe(false)
    expect(readdirSync(checkpoint).some((name) => name.endsWith('.safetensors'))).toBe(true)

    const again = await run(command(out, ...options))
    expect(again).toMatchObject({ code: 1, stderr: expect.stringMatching(/has checkpoints of a run of before; go on with .*--resume/) })
    const resumed = await run(command(out, ...options, '--resume'))
    expect(resumed).toMatchObject({ code: 0, stderr: '' })
    expect(events(resumed).filter(({ type }) => type === 'epoch')[0].epoch).toBeGreaterThan(3)
    expect(await run(command(whole, '--epochs', '200'))).toMatchObject({ code: 0 })
    // The header differs in the time and the command.
    const weights = (path: string) => {
      const bytes = readFileSync(path)
      return bytes.subarray(8 + Number(bytes.readBigUInt64LE()))
    }
    expect(weights(out).equals(weights(whole))).toBe(true)
  }, 60_000)

  test('by SIGTERM without checkpoints writes nothing', async () => {
    const out = join(folder, 'terminated.safetensors')
    const before = readdirSync(folder)
    const { code, stderr } = await stopped(command(out, '--epochs', '5000'), 'SIGTERM')
    expect({ code, stderr }).toEqual({
      code: 143,
      stderr: 'thalweg train: stopped by SIGTERM; no model was written. With --checkpoint <folder> a run can go on where it was stopped.\n',
    })
    expect(readdirSync(folder)).toEqual(before)
  }, 60_000)

  test('before it has begun leaves nothing', async () => {
    const out = join(folder, 'never.safetensors')
    expect(await run(command(out), { signal: AbortSignal.abort('SIGINT') })).toMatchObject({ code: 130 })
    expect(existsSync(out)).toBe(false)
  })
})

test('a reader that has seen enough ends the command quietly', async () => {
  const { child, outcome } = start(['evaluate', '--help'])
  child.stdout.destroy()
  expect(await outcome).toMatchObject({ code: 0, stderr: '' })
})

test('standard input, an empty one too, comes through a pipe', async () => {
  const { child, outcome } = start([
    'train',
    '-',
    '-t',
    'Sale_Price',
    '--out',
    join(folder, 'pipe.safetensors'),
    '--epochs',
    '1',
    '--members',
    '1',
  ])
  child.stdin.end(readFileSync(data('ames.csv'), 'utf8').split('\n').slice(0, 200).join('\n'))
  expect(await outcome).toMatchObject({ code: 0, stdout: expect.stringMatching(/Scores on 40 rows/) })
  const empty = start(['train', '-', '-t', 'Sale_Price'])
  empty.child.stdin.end()
  expect(await empty.outcome).toMatchObject({
    code: 1,
    stderr: 'thalweg train: standard input: expected rows, but there is nothing in it.\n',
  })
}, 60_000)
