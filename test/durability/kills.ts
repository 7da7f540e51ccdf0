/**
 * Kill -9 at random moments: `npx tsx test/durability/kills.ts [--kills 200] [--signals 20] [--seed 1]`.
 *
 * Trains in a process of its own, rows in memory or a CSV file in turn, with a checkpoint every 1 to 6 steps, kills it at a random moment and begins it again,
 * until it ends; then weights and history must have the very bits of a run that was never killed. Then the same with SIGTERM and SIGINT, which must end it at once with
 * a checkpoint of the very step. Exits with 1 if anything is not so.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { endBySignal, killUntilOver, prepare } from './harness.ts'

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '200' },
    signals: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
  },
})
const [wanted, signals, seed] = [values.kills, values.signals, values.seed].map(Number)
/** The longest a process may take to end once it is asked to. */
const PATIENCE = 2000

let state = seed
/** A linear congruential generator, so that a seed gives the same moments. */
const random = () => {
  state = (state * 1664525 + 1013904223) % 2 ** 32
  return state / 2 ** 32
}

const folder = await mkdtemp(join(tmpdir(), 'thalweg-kills-'))
let [kills, resumes, runs, equal] = [0, 0, 0, 0]
let failed = false
try {
  await prepare()
  while (kills < wanted) {
    const streamed = runs % 2 === 1
    const result = await killUntilOver(join(folder, String(runs)), { seed: seed + runs, streamed, random, mostKills: wanted - kills })
    kills += result.kills
    resumes += result.resumes
    runs++
    if (result.isEqual) equal++
    if (result.leftovers.length > 0) console.log(`left behind: ${result.leftovers.join(', ')}`)
    failed ||= !result.isEqual || result.leftovers.length > 0
    console.log(
      `run ${runs}, ${streamed ? 'CSV file' : 'in memory'}: ${result.kills} kills, ${result.isEqual ? 'equal bits' : 'OTHER BITS'} (${kills} of ${wanted} kills)`,
    )
  }
  console.log(
    `${kills} kills, ${resumes} resumes from a checkpoint, ${runs} runs ended, ${equal} with the bits of a run that was never killed`,
  )
  let slowest = 0
  for (let i = 0; i < signals; i++) {
    const signal = i % 2 === 0 ? 'SIGTERM' : 'SIGINT'
    const result = await endBySignal(join(folder, `signal-${i}`), {
      seed: seed + i,
      streamed: i % 4 > 1,
      signal,
      delay: 100 + random() * 300,
    })
    slowest = Math.max(slowest, result.milliseconds)
    for (const problem of result.problems) console.log(`${signal}: ${problem}`)
    failed ||= result.problems.length > 0 || result.milliseconds > PATIENCE
  }
  if (signals > 0)
    console.log(
      `${signals} runs ended by SIGTERM or SIGINT, each with a checkpoint of the very step; the slowest took ${slowest.toFixed(0)} ms`,
    )
} finally {
  await rm(folder, { recursive: true, force: true })
}
process.exitCode = failed ? 1 : 0
