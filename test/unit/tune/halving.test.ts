import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Job, rungsOf, SuccessiveHalving } from '../../../src/tune/halving.ts'

describe('rungs', () => {
  it.each([
    [27, 1, 3, [1, 3, 9, 27]],
    [9, 1, 3, [1, 3, 9]],
    [256, 4, 4, [4, 16, 64, 256]],
    [30, 1, 3, [1, 3, 10, 30]],
    [5, 1, 2, [1, 3, 5]],
    [10, 5, 2, [5, 10]],
  ])('%i epochs, at least %i, by %i', (epochs, least, factor, rungs) => expect(rungsOf(epochs, least, factor)).toEqual(rungs))

  it('rise, end with all epochs, and begin with the fewest', () =>
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10_000 }),
        fc.integer({ min: 1, max: 100 }),
        fc.integer({ min: 2, max: 10 }),
        (epochs, least, factor) => {
          fc.pre(least * factor <= epochs)
          const rungs = rungsOf(epochs, least, factor)
          expect(rungs.at(-1)).toBe(epochs)
          expect(rungs[0]).toBeGreaterThanOrEqual(least)
          expect(rungs[0]).toBeLessThan(least * factor + 1)
          for (let i = 1; i < rungs.length; i++) expect(rungs[i]).toBeGreaterThan(rungs[i - 1])
        },
      ),
    ))
})

/** Runs everything with one worker; the jobs in order. */
function runAll(halving: SuccessiveHalving, loss: (job: Job) => number): Job[] {
  const jobs: Job[] = []
  for (let job = halving.next(); job !== null; job = halving.next()) {
    jobs.push(job)
    halving.end(job, loss(job))
  }
  return jobs
}

describe('SuccessiveHalving', () => {
  // After the paper's example of nine configurations with η = 3: 1, 6 and 8 (counted from 1) are the best third of the first rung, 8 of the second. One worker promotes as soon as
  // a rung has three more.
  const losses = [
    [0.1, 0.9, 0.8, 0.7, 0.6, 0.2, 0.5, 0.3, 0.4],
    [0.15, 0, 0, 0, 0, 0.18, 0, 0.1, 0],
  ]

  it('promotes as in the example of the paper', () => {
    const jobs = runAll(new SuccessiveHalving(3, 9, 3), ({ trial, rung }) => losses[Math.min(rung, 1)][trial])
    const name = ({ trial, rung }: Job) => `${trial + 1}@${rung}`
    expect(jobs.map(name)).toEqual(['1@0', '2@0', '3@0', '1@1', '4@0', '5@0', '6@0', '6@1', '7@0', '8@0', '9@0', '8@1', '8@2'])
  })

  it('never lets a worker wait while there is a trial to begin', () => {
    const halving = new SuccessiveHalving(3, 9, 3)
    expect(Array.from({ length: 9 }, () => halving.next())).toEqual(Array.from({ length: 9 }, (_, trial) => ({ trial, rung: 0 })))
    expect(halving.next()).toBeNull()
    for (const trial of [0, 1]) halving.end({ trial, rung: 0 }, trial)
    expect(halving.next()).toBeNull()
    halving.end({ trial: 2, rung: 0 }, 2)
    expect(halving.next()).toEqual({ trial: 0, rung: 1 })
    expect(halving.next()).toBeNull()
  })

  it('prefers a promotion at the highest rung', () => {
    const halving = new SuccessiveHalving(3, 30, 3)
    for (let trial = 0; trial < 9; trial++) halving.end(halving.begin({ trial, rung: 0 }), trial)
    for (const trial of [0, 1, 2]) halving.end(halving.begin({ trial, rung: 1 }), trial)
    expect([halving.next(), halving.next()]).toEqual([
      { trial: 0, rung: 2 },
      { trial: 9, rung: 0 },
    ])
  })

  it('never promotes what failed, though it counts', () => {
    const jobs = runAll(new SuccessiveHalving(2, 9, 3), ({ trial }) => (trial < 8 ? Number.POSITIVE_INFINITY : 1))
    expect(jobs.filter(({ rung }) => rung === 1)).toEqual([{ trial: 8, rung: 1 }])
  })

  it('every trial begins once, goes on at most once at each rung, and the best third goes on; the rest of a search that is interrupted is the same', () =>
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 2, max: 4 }),
        fc.integer(),
        fc.nat(100),
        (trials, factor, salt, cut) => {
          const loss = ({ trial }: Job) => Math.imul(trial + 1, salt | 1) | 0
          const jobs = runAll(new SuccessiveHalving(3, trials, factor), loss)
          for (let rung = 0; rung < 3; rung++) {
            const there = jobs.filter((job) => job.rung === rung).map(({ trial }) => trial)
            expect(new Set(there).size).toBe(there.length)
            if (rung === 0) expect(there).toEqual(Array.from({ length: trials }, (_, trial) => trial))
            else {
              const below = jobs.filter((job) => job.rung === rung - 1).sort((a, b) => loss(a) - loss(b) || a.trial - b.trial)
              for (const { trial } of below.slice(0, Math.floor(below.length / factor))) expect(there).toContain(trial)
            }
          }
          const resumed = new SuccessiveHalving(3, trials, factor)
          for (const job of jobs.slice(0, cut)) resumed.end(resumed.begin(job), loss(job))
          expect(runAll(resumed, loss)).toEqual(jobs.slice(cut))
        },
      ),
    ))
})
