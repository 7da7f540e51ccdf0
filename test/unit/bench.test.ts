import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { checkInstructionSet, checkWritable, threadCount, wholeNumber } from '../../bench/arguments.ts'
import { besideBusyProcess } from '../../bench/busy.ts'
import { type Case, caseNamed, cases, flopsPerStep, parameterCount } from '../../bench/cases.ts'
import { compileServe } from '../../bench/compile.ts'
import { batchCount, cut, makeData } from '../../bench/data.ts'
import { interleave, type Player } from '../../bench/interleave.ts'
import { Measurement } from '../../bench/measure.ts'
import { checkReplaces } from '../../bench/options.ts'
import { PlainNetwork } from '../../bench/plain.ts'
import { allowedProcessors, lastProcessors, parseProcessors } from '../../bench/processors.ts'
import type { Results, Speed } from '../../bench/results.ts'
import { median, ratio, spread } from '../../bench/statistics.ts'
import { machineLine, percent, remarks, tables } from '../../bench/tables.ts'
import { buildModel, buildOptimizer } from '../../bench/thalweg.ts'
import { hasProc, runWindow, watchOthers } from '../../bench/window.ts'
import { executionInfo } from '../../src/index.ts'

describe('statistics of the benchmark', () => {
  it('takes the middle, or the mean of the middle two', () => {
    expect(median([3, 1, 2])).toBe(2)
    expect(median([4, 1, 3, 2])).toBe(2.5)
    expect(spread([3, 1, 2])).toEqual({ median: 2, lowest: 1, highest: 3 })
    expect(() => median([])).toThrow('at least one value')
  })

  it('forms ratios inside rounds', () => {
    const rounds = [
      { of: 10, to: 5 },
      { of: 100, to: 20 },
      { of: 9, to: 3 },
    ]
    expect(ratio(rounds)).toEqual({ median: 3, lowest: 2, highest: 5 })
    expect(ratio([])).toBeNull()
  })
})

describe('processors of the benchmark', () => {
  it('reads a list of them', () => {
    expect(parseProcessors('0-1,4,6-7')).toEqual([0, 1, 4, 6, 7])
    expect(parseProcessors('3')).toEqual([3])
    expect(parseProcessors('')).toEqual([])
  })

  it('takes the last that are allowed', () => {
    const allowed = allowedProcessors()
    expect(lastProcessors(1)).toEqual(allowed.slice(-1))
    expect(lastProcessors(allowed.length + 1)).toEqual(allowed)
    expect(lastProcessors(0)).toEqual([])
  })
})

const calls: string[] = []
/** Says how disturbed its windows were, one after the other; the last value stays. */
function player(name: string, disturbed: readonly number[], milliseconds = 0): Player {
  let count = 0
  return {
    name,
    async window() {
      calls.push(name)
      const value = disturbed[Math.min(count++, disturbed.length - 1)]
      if (value < 0) throw new Error('gone')
      if (milliseconds > 0) await new Promise((resolve) => setTimeout(resolve, milliseconds))
      return { steps_per_s: count, steps_per_cpu_s: count, disturbed: value, steps: 1, peak_bytes: 0 }
    },
  }
}
describe('taking turns', () => {
  const options = { reference: 'us', rounds: 2, limit: 20, slow: 0.05 }
  const play = async (...players: Player[]) => {
    calls.length = 0
    const result = await interleave(players, options)
    return players.map((one) => result.get(one))
  }

  it('turns the order round', async () => {
    const [us, them] = await play(player('us', [0]), player('them', [0]))
    expect(calls).toEqual(['us', 'them', 'them', 'us'])
    expect(them).toMatchObject({ quiet: true, failure: null })
    expect(them?.pairs.map(({ own, reference }) => [own.steps_per_s, reference?.steps_per_s])).toEqual([
      [1, 1],
      [2, 2],
    ])
    expect(us?.pairs.length).toBe(2)
  })

  it('repeats what was disturbed, for those that it concerns', async () => {
    const [, noisy, other] = await play(player('us', [0]), player('noisy', [0.5, 0.5, 0]), player('other', [0]))
    expect(calls.filter((name) => name === 'noisy').length).toBe(4)
    expect(calls.filter((name) => name === 'other').length).toBe(2)
    expect(noisy?.pairs.map(({ own }) => own.disturbed)).toEqual([0, 0])
    expect(other?.quiet).toBe(true)
  })

  it('asks slow ones twice, and lets go who does not answer', async () => {
    const [us, slow, lost] = await play(player('us', [0]), player('slow', [0.5], 80), player('lost', [0, -1]))
    expect(slow).toMatchObject({ quiet: false, failure: null })
    expect(slow?.pairs.length).toBe(2)
    expect(lost?.failure?.message).toBe('gone')
    expect(lost?.pairs.length).toBe(1)
    expect(us?.pairs.length).toBe(2)
  })
})

describe.skipIf(!hasProc)('what others take of the processors', () => {
  it('counts a process that is not done', async () => {
    const busy = spawn(process.execPath, ['--eval', 'console.log(1); for (const end = Date.now() + 10_000; Date.now() < end; );'])
    await once(busy.stdout, 'data')
    const others = watchOthers()
    const idle = { implementation: '', note: '', advance: () => new Promise<number>((resolve) => setTimeout(() => resolve(1), 100)) }
    const { disturbed } = await runWindow(idle, 0.5, 2)
    const part = others()
    busy.kill('SIGKILL')
    for (const each of [part, disturbed]) {
      expect(each).toBeGreaterThan(0)
      expect(each).toBeLessThanOrEqual(1)
    }
  })
})

describe('beside a busy process', () => {
  const options = { cpus: [], rounds: 2, seconds: 0.1, patience: 5 }

  it('a quiet window and a busy one take turns, and nothing that disturbs a busy one counts', async () => {
    calls.length = 0
    const { pairs, quiet, failure } = await besideBusyProcess(player('us', [0, 0.6, 0.6, 0]), options)
    expect(pairs.map(({ own, reference }) => [own.steps_per_s, reference?.steps_per_s])).toEqual([
      [2, 1],
      [3, 4],
    ])
    expect({ quiet, failure }).toEqual({ quiet: true, failure: null })
  })

  it('says who stopped answering', async () => {
    const { pairs, failure } = await besideBusyProcess(player('us', [0, -1]), options)
    expect([pairs, failure?.message]).toEqual([[], 'gone'])
  })
})

describe('what is measured', () => {
  it('runs compiled, as the package does', async () => {
    const executor = executionInfo().native ? 'native' : 'reference'
    const [file, ...given] = [process.execPath, await compileServe(), 'a', '--executor', executor, '--seconds', '0.02']
    const { stdout, stderr } = spawnSync(file, given, { encoding: 'utf8', input: 'go\nquit\n' })
    expect(stderr).toBe('')
    const [ready, window] = stdout.split('\n').map((line) => (line === '' ? null : JSON.parse(line)))
    expect(ready).toMatchObject({ ready: true, case: 'a', impl: expect.stringContaining(executor) })
    expect(window).toMatchObject({ steps_per_s: expect.any(Number), peak_bytes: expect.any(Number) })
  })

  it.each([
    ['a', 256],
    ['c', 83],
    ['e', 10],
    ['f', 2],
  ])('case %s has %i batches', (name, count) => {
    expect(batchCount(caseNamed(name))).toBe(count)
  })
})

describe('a contestant in a process of its own', () => {
  const serve = (input: string, seen: 'all' | 'nothing') =>
    new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) => {
      const child = spawn(process.execPath, ['--import', 'tsx', 'bench/serve.ts', 'a', '--executor', 'reference', '--seconds', '0.01'])
      const text = { stdout: '', stderr: '' }
      for (const name of ['stdout', 'stderr'] as const)
        child[name].on('data', (chunk) => {
          text[name] += chunk
        })
      child.on('close', (code) => resolve({ code, ...text }))
      // A reader who has seen enough, while nobody says that it is to end.
      if (seen === 'nothing') child.stdout.destroy()
      else child.stdin.end(input)
    })

  it('takes words and blank lines, and refuses others', async () => {
    const { code, stdout, stderr } = await serve('\ngo\nstop\ngo\n', 'all')
    expect(stdout.trimEnd().split('\n')).toHaveLength(2)
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: expect.stringMatching(/^Unknown word "stop" for standard input; known are go, quit\.\n.*--help.*\n$/),
    })
  })

  it('ends quietly when nobody reads what it says', async () => {
    expect(await serve('', 'nothing')).toEqual({ code: 0, stdout: '', stderr: '' })
  })
})

describe('arguments of the benchmark', () => {
  it('finds out whether a file can be written, and leaves it as it was', () => {
    const folder = mkdtempSync(join(tmpdir(), 'thalweg-'))
    const [old, fresh] = [join(folder, 'old.json'), join(folder, 'fresh.json')]
    writeFileSync(old, 'before')
    checkWritable('json', old)
    checkWritable('json', fresh)
    expect(readFileSync(old, 'utf8')).toBe('before')
    expect(existsSync(fresh)).toBe(false)
    expect(() => checkWritable('json', join(folder, 'none', 'x.json'))).toThrow(/^--json: ".*x.json" cannot be written: ENOENT/)
    rmSync(folder, { recursive: true })
  })

  it('does not throw away results of a file', () => {
    const text = readFileSync('docs/performance.md', 'utf8')
    const all = ['a', 'b', 'c', 'd', 'e', 'f']
    checkReplaces('x.md', text, all, [1, 2], false)
    checkReplaces('x.md', text, ['d', 'e', 'f'], [2], true)
    checkReplaces('x.md', '', ['a'], [1], false)
    const some = /^--markdown: "x.md" has results of --case a, b, c, d, e, f, got a run of d, which/
    expect(() => checkReplaces('x.md', text, ['d'], [1, 2], false)).toThrow(some)
    expect(() => checkReplaces('x.md', text, all, [1], false)).toThrow('of --threads 1, 2, got a run of 1, which')
    expect(() => checkReplaces('x.md', text, ['d'], [2], true)).toThrow('of --case d, e, f, got a run of d, which')
  })

  it('names the option that is wrong', () => {
    expect(() => threadCount('x')).toThrow('--threads: expected an integer of 1 … 256, got "x".')
    expect(() => threadCount('257')).toThrow('--threads: expected an integer of 1 … 256, got "257".')
    expect(() => wholeNumber('rounds', '0')).toThrow('--rounds: expected an integer of at least 1, got "0".')
    expect(() => checkInstructionSet('sse', ['avx2', 'portable'])).toThrow(
      'Unknown instruction set "sse" for --isa; known are avx2, portable.',
    )
  })
})

describe('the verdict of the benchmark', () => {
  const verdict = (...contestants: readonly (readonly [string, number, Partial<Speed>?])[]) => {
    const speed = contestants.map(([contestant, factor, more]) => ({
      ...{ case: 'a', threads: 1, contestant, implementation: contestant, note: '', setting: '', quiet: true },
      nativeIs: { median: factor, lowest: factor, highest: factor },
      ...more,
    }))
    return remarks({
      machine: { cores: 2 },
      speed: speed as unknown as Speed[],
      peak: {},
      busy: [],
      omissions: [],
    } as unknown as Results)[0]
  }

  it('claims nothing where no rival ran', () => {
    expect(verdict(['native', 1])).toBe('Native was not compared with anything.')
    expect(verdict(['native', 1], ['plain', 2], ['reference', 9])).toBe('No rival ran; native was compared with plain and reference.')
    expect(verdict(['plain', 0.5])).toBe(
      'No rival ran; native was compared with plain. Where native loses: case a, 1 thread: plain is 2 × as fast as native.',
    )
    expect(verdict(['plain', 2], ['pytorch', 3])).toBe('Native is the fastest in every case measured.')
  })

  it('tells only of undisturbed rows, and not what is not clear', () => {
    const left = (count: number, of: number) =>
      `Left out are ${count} of ${of} rows: disturbed (~), or of more threads than there are processors.`
    const disturbed = { quiet: false }
    expect(verdict(['pytorch', 0.5, disturbed], ['plain', 2])).toBe(`Native is the fastest in every row that counts. ${left(1, 2)}`)
    expect(verdict(['pytorch', 2, { threads: 4 }])).toBe(left(1, 1))
    expect(verdict(['native', 1, disturbed], ['pytorch', 2])).toBe(left(1, 1))
    const nativeIs = { median: 1.1, lowest: 0.9, highest: 1.2 }
    const notClear = 'Not clear, for rounds disagree: case a, 1 thread: pytorch, native is 0.9 … 1.2 × as fast.'
    expect(verdict(['pytorch', 1, { nativeIs }])).toBe(notClear)
    expect(verdict(['pytorch', 1, { nativeIs }], ['plain', 2])).toBe(`${notClear} Native is the fastest elsewhere.`)
    expect(verdict(['plain', 2], ['pytorch', 0.5])).toBe('Where native loses: case a, 1 thread: pytorch is 2 × as fast as native.')
  })
})

describe('what the benchmark could not measure well', () => {
  it('is left out with the option that lets it take part', async () => {
    const results = { omissions: [] as { reason: string }[] }
    const limits = { rounds: 1, seconds: 0.01, patience: 0.001, quick: true, native: false, torch: null, rivals: [] }
    const measurement = new Measurement(results as unknown as Results, { ...limits, serve: 'none.js', report: () => {} })
    await measurement.run(caseNamed('a'), 1)
    const reason = 'starting and warming up take more than 0.001 s; a larger --patience waits for it'
    expect(results.omissions).toMatchObject([
      { contestant: 'plain', reason },
      { contestant: 'reference', reason },
    ])
  })

  it('is marked: shares of a peak that is below that of fewer threads', () => {
    const results = (two: number) => {
      const spread = { median: 1, lowest: 1, highest: 1 }
      const speed = [1, 2].map((threads) => ({
        ...{ case: 'a', threads, contestant: 'native', note: '', setting: '', quiet: true },
        ...{ stepsPerSecond: spread, nativeIs: null, partOfPeak: 0.5, peakBytes: 1e6 },
      }))
      const machine = { processor: '', cores: 2, memoryBytes: 1 }
      const empty = { busy: [], cold: [], sizes: [], omissions: [], cases: [{ name: 'a', what: '', batchSize: 1 }] }
      return { ...empty, speed, peak: { 1: 200, 2: two }, machine, date: '', rounds: 1 } as unknown as Results
    }
    const shares = (of: Results) => tables(of)[0].rows.map((row) => row[6])
    const doubts = (of: Results) => remarks(of).filter((line) => line.includes('peak'))
    expect([shares(results(390)), doubts(results(390))]).toEqual([['50 %', '50 %'], []])
    expect(shares(results(120))).toEqual(['50 %', '50 % ?'])
    expect(doubts(results(120))).toEqual([expect.stringMatching(/^\? the peak measured on 2 threads is below that of fewer/)])
    expect(machineLine(results(120))).toContain('200 GFLOP/s on 1 thread, 120 GFLOP/s on 2 threads (unreliable)')
  })

  it('has percents of two digits, or all before the point', () => {
    const parts = [0.0005, 0.0123, 0.0962, 0.4567, 1.034, null]
    expect(parts.map((part) => percent(part, '–'))).toEqual(['< 0.1 %', '1.2 %', '9.6 %', '46 %', '103 %', '–'])
  })
})

describe('cases of the benchmark', () => {
  it('counts the products of a step, without the gradient of the data', () => {
    // 784-128-10, batch 32: three products of 32 x 128 x 10, two of 32 x 784 x 128.
    expect(flopsPerStep(caseNamed('c'))).toBe(2 * 32 * (2 * 784 * 128 + 3 * 128 * 10))
  })

  it('refuses other names', () => expect(() => caseNamed('z')).toThrow('Unknown case "z"; known are a, b, c, d, e, f.'))

  it.each(Object.values(cases))('$name has as many parameters as the model', (definition) => {
    const small = shrink(definition)
    expect(buildModel(small, { executor: 'reference' }).parameterCount).toBe(parameterCount(small))
  })
})

/** The same network with few units. Dropout is off: the two draw from different generators. */
function shrink(definition: Case): Case {
  const { sizes, batchSize } = definition
  return { ...definition, sizes: sizes.map((size) => Math.min(size, 11)), batchSize: Math.min(batchSize, 8), dropout: 0 }
}

/** Copies the model's initial weights: kernel, bias, kernel, bias …, as they were made. */
function plainLike(definition: Case, weights: readonly Float32Array[]): PlainNetwork {
  const plain = new PlainNetwork(definition)
  plain.layers.forEach(({ kernel, bias }, i) => {
    kernel.set(weights[2 * i])
    bias.set(weights[2 * i + 1])
  })
  return plain
}

describe('the plain network of the benchmark', () => {
  // Learning rates of the benchmark hardly move a loss in a few steps; larger ones show an update that differs.
  const faster = (definition: Case): Case => ({ ...definition, optimizer: { ...definition.optimizer, learningRate: 0.02 } })

  it.each(Object.values(cases))('does what the library does, case $name', async (whole) => {
    const definition = faster(shrink(whole))
    const data = makeData(definition, 20)
    const model = buildModel(definition, { executor: 'reference' })
    const plain = plainLike(
      definition,
      model.parameters.map(({ variable }) => model.values(variable) as Float32Array),
    )
    const expected: number[] = []
    const { loss, batchSize } = definition
    for await (const event of model.train(data, { loss, batchSize, optimizer: buildOptimizer(definition), shuffle: false }))
      if (event.type === 'step') expected.push(event.loss)
    const losses = cut(definition, data).map(({ x, y }) => plain.step(x, y))
    expect(losses.length).toBe(20)
    losses.forEach((value, i) => {
      expect(Math.abs(value - expected[i])).toBeLessThan(1e-5 * Math.max(1, expected[i]))
    })
  })

  it('drops what it should, and keeps the expected value', () => {
    const definition = { ...caseNamed('e'), sizes: [4, 500, 3] }
    const plain = new PlainNetwork(definition)
    const [{ x, y }] = cut(definition, makeData(definition, 2))
    plain.step(x, y)
    const kept = plain.layers[0].kept ?? new Float32Array(0)
    const dropped = kept.filter((scale) => scale === 0).length / kept.length
    expect(Math.abs(dropped - definition.dropout)).toBeLessThan(0.01)
    expect(kept.find((scale) => scale !== 0)).toBeCloseTo(1 / (1 - definition.dropout))
    expect(plain.layers[1].kept).toBeNull()
  })
})
