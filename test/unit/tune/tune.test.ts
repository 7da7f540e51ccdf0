/** Searches on this thread; test/training/tune.test.ts has those in worker threads. */
import { appendFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  AbortError,
  DataError,
  dense,
  FileError,
  input,
  OptionError,
  sequential,
  sgd,
  space,
  type Trial,
  TrialError,
  type TrialResult,
  tune,
} from '../../../src/index.ts'

const root = mkdtempSync(join(tmpdir(), 'tune-test-'))
afterAll(() => rmSync(root, { recursive: true }))
let count = 0
let journal = ''
beforeEach(() => {
  journal = join(root, `${count++}.jsonl`)
})

const bowl = { x: space.number(-1, 1), y: space.number(-1, 1) }
const distance = ({ x, y }: { x: number; y: number }) => x * x + y * y
const setOf = ({ trials }: { trials: readonly TrialResult<unknown>[] }) =>
  trials
    .map(({ trial, parameters, score, epochs }) => ({ trial, parameters, score, epochs }))
    .sort((a, b) => a.trial - b.trial || a.epochs - b.epochs)
const linesOf = (path: string) => readFileSync(path, 'utf8').trimEnd().split('\n')
/** What a promise rejects with. */
const errorOf = (promise: Promise<unknown>) =>
  promise.then(
    () => null,
    (error: Error) => error,
  )

describe('tune', () => {
  it('finds the best of random trials, which lie all over the space', async () => {
    const result = await tune({ space: bowl, trial: distance, trials: 200, seed: 1 })
    expect(result.trials).toHaveLength(200)
    expect(result.best).toBe(result.trials[0])
    expect(result.best.score).toBeLessThan(0.02)
    expect(result.best.score).toBe(distance(result.best.parameters))
    const scores = result.trials.map(({ score }) => score as number)
    expect(scores).toEqual([...scores].sort((a, b) => a - b))
    for (const name of ['x', 'y'] as const)
      for (const side of [-1, 1]) expect(result.trials.filter(({ parameters }) => parameters[name] * side > 0.5).length).toBeGreaterThan(25)
  })

  it('takes the highest score with mode "max"', async () => {
    const { best, trials } = await tune({ space: bowl, trial: (p) => -distance(p), trials: 30, mode: 'max' })
    expect(best.score).toBe(Math.max(...trials.map(({ score }) => score as number)))
  })

  it('tries all of a grid', async () => {
    const seen: string[] = []
    const { best, trials } = await tune({
      space: { a: space.integer(1, 4), b: space.choice(['p', 'q', 'r']), c: true },
      strategy: 'grid',
      trial: ({ a, b, c }) => {
        seen.push(`${a}${b}${c}`)
        return Math.abs(a - 3) + (b === 'q' ? 0 : 1)
      },
    })
    expect(new Set(seen).size).toBe(12)
    expect(trials).toHaveLength(12)
    expect(best.parameters).toEqual({ a: 3, b: 'q', c: true })
  })

  it('gives good trials more epochs with "asha", and few to the others', async () => {
    const calls: number[] = []
    const result = await tune({
      space: bowl,
      strategy: 'asha',
      trial: (parameters, { epochs }) => {
        calls.push(epochs)
        return distance(parameters) + 1 / epochs
      },
    })
    expect(result.trials).toHaveLength(27)
    const at = (epochs: number) => calls.filter((each) => each === epochs).length
    expect([at(1), at(3) >= 9, at(9) >= 3, at(27) >= 1]).toEqual([27, true, true, true])
    expect(calls.reduce((sum, epochs) => sum + epochs, 0)).toBeLessThan((27 * 27) / 3)
    expect(result.best.epochs).toBe(27)
    // The best of all 27 went to the last rung: nothing here depends on luck.
    const [nearest] = [...result.trials].sort((a, b) => distance(a.parameters) - distance(b.parameters))
    expect(result.best.trial).toBe(nearest.trial)
  })

  it('lets a trial go on from what it left at its checkpoint', async () => {
    const begun: string[] = []
    const { best } = await tune({
      space: bowl,
      strategy: 'asha',
      epochs: 9,
      workers: 3,
      trial: (parameters, { trial, epochs, checkpoint }) => {
        const trained = existsSync(checkpoint) ? Number(readFileSync(checkpoint, 'utf8')) : 0
        begun.push(`${trial}: ${trained} to ${epochs}`)
        writeFileSync(checkpoint, String(epochs))
        return distance(parameters)
      },
    })
    const own = begun.filter((line) => line.startsWith(`${best.trial}:`)).map((line) => line.replace(/^\d+: /, ''))
    expect(own).toEqual(['0 to 1', '1 to 3', '3 to 9'])
  })

  it('gives the same trials to any number of workers', async () => {
    const trial = async (parameters: { x: number; y: number }) => {
      await wait(Math.abs(parameters.x) * 10)
      return distance(parameters)
    }
    const [one, five] = await Promise.all([1, 5].map((workers) => tune({ space: bowl, trial, workers })))
    expect(setOf(five)).toEqual(setOf(one))
  })

  it('runs as many trials at once as there are workers', async () => {
    let now = 0
    let most = 0
    const trial = async () => {
      most = Math.max(most, ++now)
      await wait(5)
      now--
      return 0
    }
    await tune({ space: bowl, trial, trials: 12, workers: 4 })
    expect([now, most]).toEqual([0, 4])
  })

  it('tells a trial its number, seed, epochs and place, and passes on what it reports', async () => {
    const onReport = vi.fn()
    const onTrial = vi.fn()
    const seeds = new Set<number>()
    const places = new Set<string>()
    await tune({
      space: { x: space.choice([1, 2, 3]) },
      trial: (_, { trial, seed, epochs, threads, signal, checkpoint, report }) => {
        expect([epochs, threads, signal.aborted]).toEqual([7, 3, false])
        seeds.add(seed)
        places.add(checkpoint)
        writeFileSync(checkpoint, 'weights')
        report(0, trial)
        return trial
      },
      epochs: 7,
      threads: 3,
      onReport,
      onTrial,
    })
    expect([seeds.size, places.size]).toEqual([3, 3])
    expect(onReport.mock.calls).toEqual([0, 1, 2].map((trial) => [{ trial, epoch: 0, value: trial }]))
    expect(onTrial.mock.calls.map(([{ trial }, progress]) => [trial, progress])).toEqual(
      [0, 1, 2].map((trial) => [trial, { ended: trial + 1, trials: 3 }]),
    )
    for (const place of places) expect(existsSync(place)).toBe(false)
  })

  it('the callback reports each epoch, and ends the run at the epochs of the rung', async () => {
    const reports: string[] = []
    const { best } = await tune({
      space: { rate: space.number(1e-3, 1e-1, { log: true }) },
      strategy: 'asha',
      epochs: 4,
      reductionFactor: 2,
      trial: async ({ rate }, context) => {
        const net = sequential([input(1), dense(1)], { seed: context.seed })
        const { epochs, stopped } = await net.fit({ x: [1, 2, 3], y: [2, 4, 6] }, {
          loss: 'meanSquaredError',
          optimizer: sgd({ learningRate: rate }),
          epochs: 100,
          callbacks: [context.callback()],
        } as never)
        expect([epochs.length, stopped]).toEqual([context.epochs, 'tune'])
        return epochs[epochs.length - 1].loss
      },
      onReport: ({ trial, epoch }) => reports.push(`${trial}@${epoch}`),
    })
    expect(best.epochs).toBe(4)
    expect(reports.slice(0, 2)).toEqual(['0@0', '1@0'])
    expect(reports.filter((report) => report === `${best.trial}@3`)).toHaveLength(1)
  })
})

describe('trials that do not complete', () => {
  const trial = ({ x }: { x: number }) => {
    if (x === 2) throw new Error('two is not allowed')
    if (x === 3) return Number.NaN
    return x
  }

  it('are recorded, and stand behind the others', async () => {
    const { trials, best } = await tune({ space: { x: space.choice([3, 2, 1, 0]) }, strategy: 'grid', trial })
    expect(best.parameters.x).toBe(0)
    expect(trials.map(({ status, score }) => [status, score])).toEqual([
      ['completed', 0],
      ['completed', 1],
      ['diverged', null],
      ['failed', null],
    ])
    expect(trials[3].error).toMatch(/two is not allowed\n.*tune\.test\.ts/)
    expect(trials[2].error).toBe('The score is NaN.')
  })

  it('of a network that diverges are no failures', async () => {
    const { trials } = await tune({
      space: { rate: space.choice([1e-2, 1e30]) },
      strategy: 'grid',
      maxConsecutiveFailures: 1,
      trial: async ({ rate }) => {
        const net = sequential([input(1), dense(1)])
        const { epochs } = await net.fit(
          { x: [1, 2], y: [2, 4] },
          { loss: 'meanSquaredError', optimizer: sgd({ learningRate: rate }), epochs: 5 },
        )
        return epochs[4].loss
      },
    })
    expect(trials.map(({ status }) => status)).toEqual(['completed', 'diverged'])
    expect(trials[1].error).toContain('NonFiniteError')
  })

  it('end the search when too many fail in a row', async () => {
    let calls = 0
    const error = await errorOf(
      tune({
        space: bowl,
        maxConsecutiveFailures: 3,
        trial: () => {
          if (++calls === 2) return 1
          throw new RangeError('no such thing')
        },
      }),
    )
    expect(error).toBeInstanceOf(TrialError)
    expect(error?.message).toMatch(/^tune: 3 trials failed in a row, the last \(number 4, with \{"x":.*\): RangeError: no such thing/)
    expect(calls).toBe(5)
  })

  it.each([
    [() => Number.NaN, /^tune: none of 3 trials completed, the first \(number 0, with \{.*\}\): The score is NaN\.$/],
    [() => 'good' as never, /^tune: none of 3 trials completed, the first \(.*\): A trial must return its score, a number, got "good"\.$/],
  ])('leave nothing to choose from: %s', async (trial, message) => {
    const error = await errorOf(tune({ space: bowl, trial, trials: 3 }))
    expect(error).toBeInstanceOf(TrialError)
    expect(error?.message).toMatch(message)
  })
})

describe('an abort', () => {
  it('ends the search, and what ended is in the journal', async () => {
    const controller = new AbortController()
    const calls: number[] = []
    const search = {
      space: bowl,
      journal,
      trials: 10,
      trial: async (parameters: { x: number; y: number }, { trial, signal }: { trial: number; signal: AbortSignal }) => {
        calls.push(trial)
        if (trial === 4 && calls.length === 5) controller.abort(new Error('enough'))
        signal.throwIfAborted()
        return distance(parameters)
      },
    }
    const error = await errorOf(tune({ ...search, signal: controller.signal }))
    expect(error).toBeInstanceOf(AbortError)
    expect(error).toMatchObject({ code: 'ABORT_ERR', cause: new Error('enough') })
    expect(linesOf(journal)).toHaveLength(1 + 4)
    const rest = await tune(search)
    expect(calls).toEqual([0, 1, 2, 3, 4, 4, 5, 6, 7, 8, 9])
    expect(setOf(rest)).toEqual(setOf(await tune({ ...search, journal: undefined })))
  })

  it('before the search begins nothing', async () => {
    const trial = vi.fn()
    const error = await errorOf(tune({ space: bowl, trial, journal, signal: AbortSignal.abort() }))
    expect([error?.name, trial.mock.calls.length, existsSync(journal)]).toEqual(['AbortError', 0, false])
  })

  it('of a trial that reports when it is over nothing is heard', async () => {
    const heard: number[] = []
    const trial: Trial = async (_, { trial: number, report }) => {
      setTimeout(() => report(0, number), 5)
      if (number === 1) await new Promise((resolve) => setTimeout(resolve, 30))
      return 1
    }
    await tune({ space: bowl, trial, trials: 2, onReport: ({ value }) => heard.push(value) })
    expect(heard).toEqual([1])
  })

  it('what a listener throws ends the search too', async () => {
    const boom = new Error('boom')
    const throwing = () => {
      throw boom
    }
    expect(await errorOf(tune({ space: bowl, trial: distance, onTrial: throwing }))).toBe(boom)
    const reporting: Trial = (_, { report }) => {
      report(0, 1)
      return 1
    }
    expect(await errorOf(tune({ space: bowl, trial: reporting, onReport: throwing }))).toBe(boom)
  })
})

describe('a journal', () => {
  const search = () => ({ space: bowl, trial: vi.fn(distance), strategy: 'asha' as const, epochs: 9, journal })

  it('lets a search that was cut off anywhere go on to the same end', async () => {
    const whole = await tune(search())
    const lines = linesOf(journal)
    expect(lines).toHaveLength(1 + 9 + 3 + 1)
    for (const cut of [0, 1, 2, 5, 9, 13, 14]) {
      writeFileSync(
        journal,
        lines
          .slice(0, cut)
          .map((line) => `${line}\n`)
          .join(''),
      )
      const options = search()
      expect(setOf(await tune(options))).toEqual(setOf(whole))
      expect(options.trial).toHaveBeenCalledTimes(14 - Math.max(1, cut))
      expect(linesOf(journal).map((line) => line.replace(/"seconds":[^,}]*/, ''))).toEqual(
        lines.map((line) => line.replace(/"seconds":[^,}]*/, '')),
      )
    }
  })

  it('has a trial whose line is removed run again', async () => {
    const whole = await tune(search())
    const lines = linesOf(journal)
    for (const line of lines.slice(1)) {
      writeFileSync(journal, `${lines.filter((other) => other !== line).join('\n')}\n`)
      const options = search()
      expect(setOf(await tune(options))).toEqual(setOf(whole))
      expect(options.trial).toHaveBeenCalledTimes(1)
    }
  })

  it('loses a line that is not whole, and says so', async () => {
    await tune(search())
    const lines = linesOf(journal)
    const warned = vi.fn()
    process.on('warning', warned)
    for (const torn of [lines[3].slice(0, 20), lines[3]]) {
      writeFileSync(journal, `${lines.slice(0, 3).join('\n')}\n${torn}`)
      const options = search()
      await tune(options)
      expect(options.trial).toHaveBeenCalledTimes(11)
      expect(linesOf(journal)).toHaveLength(14)
    }
    writeFileSync(journal, lines[0].slice(0, 30))
    await tune(search())
    expect(linesOf(journal)).toHaveLength(14)
    // A warning is told in a later turn.
    await wait(0)
    process.off('warning', warned)
    expect(warned.mock.calls.map(([{ code }]) => code)).toEqual(Array(3).fill('THALWEG_TORN_JOURNAL'))
  })

  it('has its failed trials run again, and no others', async () => {
    let isBroken = true
    const trial = vi.fn((parameters: { x: number; y: number }) => {
      if (isBroken && parameters.x > 0) throw new Error('broken')
      return distance(parameters)
    })
    const options = { space: bowl, trial, journal, trials: 12, maxConsecutiveFailures: 12 }
    const before = await tune(options)
    const failed = before.trials.filter(({ status }) => status === 'failed').length
    expect(failed).toBeGreaterThan(0)
    isBroken = false
    trial.mockClear()
    expect((await tune(options)).trials.every(({ status }) => status === 'completed')).toBe(true)
    expect(trial).toHaveBeenCalledTimes(failed)
  })

  it('may be gone on from with more trials', async () => {
    const trial = vi.fn(distance)
    await tune({ space: bowl, trial, journal, trials: 4 })
    const { trials } = await tune({ space: bowl, trial, journal, trials: 6 })
    expect([trials.length, trial.mock.calls.length]).toEqual([6, 6])
  })

  it('belongs to one search at a time', async () => {
    const options = { space: bowl, journal, trials: 3, trial: distance }
    let second: Error | null = null
    const onTrial = async () => {
      second ??= await errorOf(tune(options))
    }
    await tune({ ...options, onTrial })
    expect(second).toMatchObject({ code: 'ERR_BUSY' })
    expect(linesOf(journal)).toHaveLength(1 + 3)
    expect((await tune(options)).trials).toHaveLength(3)
    expect(existsSync(`${journal}.checkpoints`)).toBe(false)
  })

  it('keeps checkpoints, and leaves no empty folder', async () => {
    const options = {
      space: bowl,
      journal,
      trials: 1,
      trial: (_: unknown, { checkpoint }: { checkpoint: string }) => {
        writeFileSync(checkpoint, 'x')
        return 0
      },
    }
    await tune(options)
    expect(readdirSync(`${journal}.checkpoints`)).toEqual(['trial-0'])
    const other = `${journal}.other`
    await tune({ ...options, journal: other, trial: () => 0 })
    expect(existsSync(`${other}.checkpoints`)).toBe(false)
  })

  it.each([
    [{ seed: 1 }, 'its seed is 0, that of this one is 1'],
    [{ mode: 'max' as const }, 'its mode is "min", that of this one is "max"'],
    [{ epochs: 27, trials: 27 }, 'its epochs is [1,3,9], that of this one is [1,3,9,27]'],
    [{ space: { ...bowl, z: 1 } }, 'its order of parameters is x, y, that of this one is x, y, z'],
    [
      { space: { x: bowl.x, y: space.number(-2, 1) } },
      'its space.y is {"type":"number","min":-1,"max":1}, that of this one is {"type":"number","min":-2,"max":1}',
    ],
    [{ space: { y: bowl.y, x: bowl.x } }, 'its order of parameters is x, y, that of this one is y, x'],
  ])('of another search is refused and left alone: %o', async (change, message) => {
    await tune(search())
    const before = readFileSync(journal)
    const error = await errorOf(tune({ ...search(), ...change } as never))
    expect(error).toBeInstanceOf(OptionError)
    expect(error?.message).toContain(message)
    expect(readFileSync(journal)).toEqual(before)
  })

  it.each([
    ['{"trial":', DataError, /line 15: expected a line of JSON, got "\{\\"trial\\":"/],
    ['7', DataError, /line 15: expected an object, got 7/],
    [
      '{"trial":-1,"epochs":1,"status":"completed","score":1,"error":null,"seconds":1}',
      DataError,
      /line 15: trial must be an integer of at least 0, got -1/,
    ],
    [
      '{"trial":1,"epochs":1,"status":"completed","score":null,"error":null,"seconds":1}',
      DataError,
      /line 15: score must be a finite number/,
    ],
    ['{"trial":1,"epochs":1,"status":"done","score":1,"error":null,"seconds":1}', DataError, /line 15: status must be "completed"/],
    [
      '{"trial":1,"epochs":2,"parameters":{},"status":"completed","score":1,"error":null,"seconds":1}',
      OptionError,
      /line 15: trial 1 of this search has other parameters or epochs/,
    ],
    [
      '{"trial":1,"epochs":1,"parameters":{"x":0},"status":"completed","score":1,"error":null,"seconds":1}',
      OptionError,
      /line 15: trial 1 of this search has other/,
    ],
  ])('that is damaged is refused with its line: %s', async (line, kind, message) => {
    await tune(search())
    appendFileSync(journal, `${line}\n`)
    const error = await errorOf(tune(search()))
    expect(error).toBeInstanceOf(kind)
    expect(error?.message).toMatch(message)
  })

  it('is not written over what is none', async () => {
    writeFileSync(journal, 'name,age\nAda,36\n')
    const error = await errorOf(tune(search()))
    expect(error?.message).toMatch(/is no journal of a search \(it begins with "name,age\\nAda,36\\n"\) and is left as it is/)
    expect(readFileSync(journal, 'utf8')).toBe('name,age\nAda,36\n')
    expect(await errorOf(tune({ ...search(), journal: root }))).toBeInstanceOf(FileError)
    expect(await errorOf(tune({ ...search(), journal: '/dev/null/x.jsonl' }))).toBeInstanceOf(FileError)
  })
})

describe('a result', () => {
  it('is a table, and a file', async () => {
    const result = await tune({
      space: { x: space.integer(1, 30), kind: space.choice(['a,b', 'c"d']), list: [1, 2] },
      strategy: 'grid',
      trial: ({ x }) => 1 / x,
    })
    const table = result.table(3)
    expect(table.split('\n').slice(0, 4).join('\n')).toMatch(/trial.*score.*epochs.*seconds.*x.*kind.*list/)
    expect(table).toContain('… and 57 more')
    expect(table.match(/0\.0333333/g)).toHaveLength(2)
    expect(() => result.table(0)).toThrow('table: limit must be an integer of at least 1, got 0.')

    const [csv, json] = [join(root, 'r.csv'), join(root, 'r.json')]
    await result.save(csv)
    await result.save(json)
    const lines = linesOf(csv)
    expect(lines[0]).toBe('trial,status,score,epochs,seconds,x,kind,list,error')
    expect(lines).toHaveLength(61)
    expect(lines[1]).toMatch(/^58,completed,0\.0333\d*,10,[\d.e-]+,30,"a,b","\[1,2\]",$/)
    expect(lines[2]).toContain('"c""d"')
    expect(JSON.parse(readFileSync(json, 'utf8'))).toEqual({ best: result.best, trials: result.trials })
    expect(readdirSync(root).filter((name) => name.endsWith('.tmp'))).toEqual([])

    expect(await errorOf(result.save('r.txt'))).toMatchObject({ code: 'ERR_OPTION' })
    await result.save(join(root, 'new', 'folder', 'r.csv'))
    expect(linesOf(join(root, 'new', 'folder', 'r.csv'))).toEqual(lines)
    expect(await errorOf(result.save('/dev/null/r.csv'))).toBeInstanceOf(FileError)
  })
})

describe('options', () => {
  const good = { space: bowl, trial: distance }
  it.each([
    [undefined, 'tune: options are required, at least { space, trial }.'],
    [{ ...good, maximize: true }, 'Unknown option "maximize" for tune; use { mode: "max" }.'],
    [{ ...good, strategy: 'bayes' }, 'Unknown strategy "bayes" for tune; known are random, grid, asha.'],
    [{ ...good, mode: 'maximum' }, 'tune: mode must be "min" or "max", got "maximum".'],
    [{ ...good, trials: 0 }, 'tune: trials must be an integer of at least 1, got 0.'],
    [{ ...good, seed: -1 }, 'tune: seed must be an integer of 0 … 9007199254740991, got -1.'],
    [{ ...good, workers: 1.5 }, 'tune: workers must be an integer of at least 1, got 1.5.'],
    [{ ...good, threads: 257 }, 'tune: threads must be an integer of 1 … 256, got 257.'],
    [{ ...good, strategy: 'grid' }, 'tune: a grid cannot have all values of space.x'],
    [
      { space: { a: space.boolean() }, trial: distance, strategy: 'grid', trials: 2 },
      'tune: trials is not for a grid, which has as many as there are combinations (2)',
    ],
    [{ space: { a: space.boolean() }, trial: distance, trials: 3 }, 'tune: the space has 2 combinations, fewer than 3 trials'],
    [{ ...good, minEpochs: 2 }, 'tune: minEpochs is for the strategy "asha", this is "random".'],
    [
      { ...good, strategy: 'asha', trials: 26 },
      'tune: 26 trials leave none for the last of 4 rungs (1, 3, 9, 27 epochs); give at least 27 trials',
    ],
    [{ ...good, strategy: 'asha', epochs: 2 }, 'tune: "asha" needs at least two rungs'],
    [{ ...good, strategy: 'asha', reductionFactor: 1 }, 'tune: reductionFactor must be an integer of at least 2, got 1.'],
    [{ space: bowl }, 'tune: trial must be a function, or the URL or path of a module'],
    [{ ...good, trial: 'no/such/file.js' }, 'tune: there is no module'],
    [
      { ...good, trial: new URL('https://example.com/x.js') },
      'tune: the module of the trial must be a file, got "https://example.com/x.js".',
    ],
    [{ ...good, signal: {} }, 'tune: signal must be an AbortSignal'],
    [{ ...good, onTrial: 1 }, 'tune: onTrial must be a function, got 1.'],
    [{ ...good, journal: 1 }, 'tune: journal must be the path of a file, got 1.'],
    [{ ...good, maxConsecutiveFailures: 0 }, 'tune: maxConsecutiveFailures must be an integer of at least 1, got 0.'],
  ])('%o', async (options, message) => {
    const error = await errorOf(tune(options as never))
    expect(error).toBeInstanceOf(OptionError)
    expect(error?.message).toContain(message)
  })
})
