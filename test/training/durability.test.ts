/** Kill -9 and signals, in little: `test/durability/kills.ts` does it 200 times. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { endBySignal, killUntilOver, prepare } from '../durability/harness.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'thalweg-kills-'))
  await prepare()
})
afterAll(() => rm(folder, { recursive: true }))

it.each([
  ['rows in memory', false],
  ['a CSV file', true],
])('ends in the same bits however often it was killed, on %s', async (_, streamed) => {
  const moments = [0.5, 0.3, 0.05, 0.6, 0.2, 0.9, 0.8, 0.7]
  let next = 0
  const random = () => moments[next++ % moments.length]
  const { kills, isEqual, leftovers } = await killUntilOver(join(folder, String(streamed)), { seed: 3, streamed, random, mostKills: 4 })
  expect(kills).toBeGreaterThan(1)
  expect({ isEqual, leftovers }).toEqual({ isEqual: true, leftovers: [] })
})

it.each(['SIGTERM', 'SIGINT'] as const)('ends by %s after the step in progress, with a checkpoint of that step', async (signal) => {
  const { problems, milliseconds } = await endBySignal(join(folder, signal), { seed: 3, streamed: signal === 'SIGINT', signal, delay: 150 })
  expect(problems).toEqual([])
  expect(milliseconds).toBeLessThan(5000)
})
