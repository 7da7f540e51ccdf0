/** Files that change, or end in the middle, while a model is trained on them. */
import { appendFile, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { csv, dense, type FitOptions, input, sequential } from '../../src/index.ts'
import { isOpen } from '../unit/data/readers/openFiles.ts'
import { bitsOf, expectRefusal } from './support.ts'

let directory: string
let path: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'thalweg-'))
  path = join(directory, 'rows.csv')
})
afterEach(() => rm(directory, { recursive: true }))

const ROWS = 20_000
const text = ['a,b,y', ...Array.from({ length: ROWS }, (_, i) => `${Math.sin(i)},${Math.cos(i)},${i % 2}`)].join('\n')
const build = () => sequential([input(2), dense(3, { activation: 'tanh' }), dense(1)], { seed: 2 })
const rows = (file: string) => csv(file).map(({ a, b, y }) => ({ x: [Number(a), Number(b)], y: Number(y) }))
const options = (more: Partial<FitOptions> = {}): FitOptions => ({
  loss: 'meanSquaredError',
  epochs: 3,
  batchSize: 50,
  checkpoint: { directory: join(directory, 'run'), everySteps: 100, signals: false },
  ...more,
})

it('refuses a file that loses rows between epochs, and goes on when they are back', async () => {
  await writeFile(path, text)
  const whole = build()
  await whole.fit(rows(path), options({ checkpoint: undefined }))
  const shorten = { onEpochEnd: (epoch: number) => (epoch === 0 ? truncate(path, text.length / 2) : undefined) }
  await expectRefusal(() => build().fit(rows(path), options(shorten)), 'ERR_DATA')
  expect(isOpen(path)).not.toBe(true)
  await writeFile(path, text)
  const again = build()
  await again.fit(rows(path), options())
  expect(bitsOf(again)).toEqual(bitsOf(whole))
})

it('refuses a file that grows while it is read', async () => {
  await writeFile(path, text)
  let grown = false
  const grow = {
    onProgress: () => {
      if (!grown) appendFile(path, '\n0,0,0')
      grown = true
    },
  }
  await expectRefusal(() => build().fit(rows(path), options(grow)), 'ERR_DATA', 'change')
  expect(isOpen(path)).not.toBe(true)
})

it('refuses gzip that is cut off in the middle, after the rows before', async () => {
  const whole = gzipSync(text)
  await writeFile(`${path}.gz`, whole.subarray(0, whole.length / 2))
  const net = build()
  let steps = 0
  const onProgress = ({ step }: { step: number }) => {
    steps = step
  }
  await expectRefusal(
    () => net.fit(rows(`${path}.gz`), options({ stepsPerEpoch: ROWS / 50, onProgress })),
    'ERR_DATA',
    `${path}.gz`,
    'cut off',
  )
  expect(steps).toBeGreaterThan(0)
  expect(isOpen(`${path}.gz`)).not.toBe(true)
  expect((await net.predict([[0, 1]])).data.every(Number.isFinite)).toBe(true)
})
