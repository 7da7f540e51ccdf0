/** One run at a time in a checkpoint directory, whoever was killed in it before. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { dense, type FitOptions, input, sequential } from '../../src/index.ts'
import { expectRefusal } from './support.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'thalweg-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

const data = { x: Array.from({ length: 64 }, (_, i) => [Math.sin(i), Math.cos(i)]), y: Array.from({ length: 64 }, (_, i) => i % 2) }
const build = () => sequential([input(2), dense(3, { activation: 'tanh' }), dense(1)], { seed: 2 })
const options = (more: Partial<FitOptions> = {}): FitOptions => ({
  loss: 'meanSquaredError',
  epochs: 3,
  checkpoint: { directory, everySteps: 1, signals: false },
  ...more,
})
const lock = () => join(directory, 'run.lock')

it('refuses a second run while one is in progress, and not after it', async () => {
  let second: Promise<unknown> | undefined
  await build().fit(
    data,
    options({
      onEpochEnd: async () => {
        second ??= expectRefusal(() => build().fit(data, options()), 'ERR_BUSY', `process ${process.pid}`, directory, 'another directory')
        await second
      },
    }),
  )
  expect(second).toBeDefined()
  expect(await readdir(directory)).not.toContain('run.lock')
  await build().fit(data, options({ epochs: 4 }))
})

it('leaves the directory to others when a run fails or is refused', async () => {
  const failing = { onEpochEnd: () => { throw new Error('power failure') } } // biome-ignore format: one line
  await expect(build().fit(data, options(failing))).rejects.toThrow('power failure')
  await expectRefusal(() => build().fit(data, options({ batchSize: 7 })), 'ERR_DATA', 'other steps')
  await build().fit(data, options())
})

it('takes over what processes left that were killed: their lock and unfinished files, and nothing else', async () => {
  const dead = spawn(process.execPath, ['-e', ''])
  await once(dead, 'exit')
  const host = await holderOfRun()
  const left = [
    `.step-000000007.safetensors.${'0'.repeat(36)}.tmp`,
    `.best.safetensors.${'a'.repeat(36)}.tmp`,
    `run.lock.${'b'.repeat(36)}.tmp`,
  ]
  for (const name of [...left, 'notes.tmp']) await appendFile(join(directory, name), 'unfinished')
  for (const text of ['', '{"pid":', JSON.stringify({ ...host, pid: dead.pid }), JSON.stringify({ ...host, started: '7' })]) {
    await writeFile(lock(), text)
    await build().fit(data, options({ epochs: 4 }))
    const names = await readdir(directory)
    expect(names.filter((name) => left.includes(name) || name === 'run.lock')).toEqual([])
    expect(names).toContain('notes.tmp')
  }
})

it('asks a run on another machine for a sign of life', { timeout: 60_000 }, async () => {
  const foreign = JSON.stringify({ pid: 1, started: '1', host: 'elsewhere' })
  await writeFile(lock(), foreign)
  const beating = setInterval(() => writeFile(lock(), foreign), 300)
  await expectRefusal(() => build().fit(data, options()), 'ERR_BUSY', 'on elsewhere')
  clearInterval(beating)
  await new Promise((resolve) => setTimeout(resolve, 400))
  await build().fit(data, options())
})

it('takes over from a thread that has ended, while its process goes on', { timeout: 60_000 }, async () => {
  await writeFile(lock(), JSON.stringify({ ...(await holderOfRun()), thread: 1000 }))
  const beating = setInterval(() => appendFile(lock(), ' '), 300)
  await expectRefusal(() => build().fit(data, options({ epochs: 4 })), 'ERR_BUSY', `process ${process.pid}`)
  clearInterval(beating)
  await new Promise((resolve) => setTimeout(resolve, 400))
  await build().fit(data, options({ epochs: 4 }))
})

it('says so when the directory cannot be read, or is gone in the middle', async () => {
  await writeFile(join(directory, 'file'), '')
  const checkpoint = { directory: join(directory, 'file'), everySteps: 1 }
  await expectRefusal(() => build().fit(data, options({ checkpoint })), 'ERR_FILE', 'cannot be made')
  // It is made again, unless it goes while a file is put in its place.
  const vanishing = build()
  const gone = options({ onEpochEnd: () => rm(directory, { recursive: true, maxRetries: 5 }) })
  await vanishing
    .fit(data, gone)
    .catch((error) => expect(error).toMatchObject({ code: 'ERR_FILE', message: expect.stringContaining(directory) }))
  const [again, whole] = [build(), build()]
  await again.fit(data, options())
  await whole.fit(data, options({ checkpoint: undefined }))
  expect(again.weights()).toEqual(whole.weights())
})

it('finds a bit that has changed on the disk', async () => {
  await build().fit(data, options({ checkpoint: { directory, everySteps: 100, everyEpochs: 3 } }))
  const [name] = (await readdir(directory)).filter((each) => each.startsWith('step'))
  const bytes = await readFile(join(directory, name))
  bytes[bytes.length - 3] ^= 1
  await writeFile(join(directory, name), bytes)
  await expectRefusal(() => build().fit(data, options()), 'ERR_DATA', name, 'is damaged')
})

/** What the lock of a run says. */
async function holderOfRun(): Promise<object> {
  let text = ''
  const onEpochEnd = async () => {
    text = await readFile(lock(), 'utf8')
  }
  await build().fit(data, options({ onEpochEnd }))
  return JSON.parse(text)
}
