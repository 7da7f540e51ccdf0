import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { Arena } from '../../src/executors/arena.ts'
import { dense, type FitOptions, input, printPlan, sequential } from '../../src/index.ts'
import { bitsOf, executors, expectRefusal, numbers, rows } from './support.ts'

const data = { x: rows(70, 5, 1), y: numbers(70, 2) }
const options: FitOptions = { loss: 'meanSquaredError', metrics: ['meanAbsoluteError'], epochs: 3, batchSize: 16 }

describe.each(executors)('profile on the %s executor', (executor) => {
  const network = () => sequential([input(5), dense(7, { activation: 'gelu' }), dense(1)], { executor, seed: 4 })
  const profiled = async () => {
    const net = network()
    const began = performance.now()
    const { profile } = await net.fit(data, { ...options, profile: true })
    const milliseconds = performance.now() - began
    return { net, profile, milliseconds }
  }

  it('gives each instruction of the plan its time, in all full batches', async () => {
    const { net, profile, milliseconds } = await profiled()
    const lines = printPlan(net.trainingPlan(16, { loss: options.loss, metrics: options.metrics })).split('\n')
    const parts = profile.instructions
    expect({ steps: profile.steps, batchSize: profile.batchSize }).toEqual({ steps: 12, batchSize: 16 })
    expect(parts.map(({ instruction }) => instruction)).toEqual([
      'feed(input_1, target)',
      ...lines.filter((line) => line.includes(' = ') && !line.startsWith('output ')),
      'record(loss, metric0.0)',
    ])
    for (const part of parts) expect(part.milliseconds).toBeGreaterThan(0)
    const sum = parts.reduce((sum, part) => sum + part.milliseconds, 0)
    expect(sum).toBeCloseTo(profile.milliseconds, 9)
    expect(sum * profile.steps).toBeLessThan(milliseconds)
    expect(parts.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 9)
  })

  it('counts the work of products in operations, of all else in bytes', async () => {
    const { profile } = await profiled()
    const first = profile.instructions.find(({ instruction }) => instruction.includes('dense_1.kernel, dense_1.bias'))
    expect(first).toMatchObject({ op: 'matmul', layer: 'dense_1', phase: 'forward', shape: [16, 7] })
    expect(((first?.gflops ?? 0) * (first?.milliseconds ?? 0)) / (2 * 16 * 7 * 5 * 1e-6)).toBeCloseTo(1, 9)
    const bytes = 4 * (16 * 5 + 5 * 7 + 7 + 16 * 7)
    expect(((first?.gigabytesPerSecond ?? 0) * (first?.milliseconds ?? 0)) / (bytes * 1e-6)).toBeCloseTo(1, 9)
    for (const { op, gflops } of profile.instructions) expect(gflops === null).toBe(op !== 'matmul')
  })

  it('prints a table, longest first, with sums', async () => {
    const { profile } = await profiled()
    const lines = `${profile}`.split('\n')
    const times = lines.filter((line) => /^ +\d/.test(line)).map((line) => Number.parseFloat(line))
    expect(times.length).toBe(profile.instructions.length + 1)
    const total = times.pop() as number
    expect(times).toEqual([...times].sort((a, b) => b - a))
    expect(Math.abs(times.reduce((sum, time) => sum + time) - total)).toBeLessThan(0.01 * times.length)
    // What reads a value names it by the number that stands with what makes it.
    const numbers = profile.instructions.flatMap(({ instruction }) => /^%\d+ /.exec(instruction) ?? [])
    expect(numbers.length).toBeGreaterThan(3)
    for (const number of numbers) expect(lines.filter((line) => line.includes(`  ${number}[`))).toHaveLength(1)
    expect(lines.at(-3)).toMatch(/^by op: .*matmul \d/)
    expect(lines.at(-2)).toMatch(/^by phase: .*backward \d/)
  })

  it('says which steps are not in it', async () => {
    const title = async (batchSize: number, epochs: number) => {
      const { profile } = await network().fit(data, { ...options, batchSize, epochs, profile: true })
      return `${profile}`.split('\n')[0]
    }
    expect(await title(16, 3)).toBe('12 of 15 steps, batch 16; 3 smaller batches are not in it')
    expect(await title(69, 1)).toBe('1 of 2 steps, batch 69; 1 smaller batch is not in it')
    expect(await title(35, 3)).toBe('6 steps, batch 35')
  })

  it('shows no rate as 0.0', async () => {
    const { profile } = await profiled()
    expect(`${profile}`).not.toMatch(/ 0\.0 G/)
  })

  it('is its table for console.log, and its numbers for JSON', async () => {
    const { profile } = await profiled()
    expect(inspect({ profile })).toContain('whole step')
    expect(inspect(profile)).toBe(`${profile}`)
    const { steps, batchSize, milliseconds, instructions } = profile
    expect(JSON.parse(JSON.stringify({ profile }))).toEqual({ profile: { steps, batchSize, milliseconds, instructions } })
  })

  it('gives a trace of one event an instruction and step', async () => {
    const { profile } = await profiled()
    const { traceEvents } = JSON.parse(profile.toChromeTrace())
    const events = traceEvents.filter(({ ph }: { ph: string }) => ph === 'X')
    // The first epoch has four full batches.
    expect(events.length).toBe(4 * profile.instructions.length)
    let end = 0
    for (const [i, { ts, dur, args }] of events.entries()) {
      expect(args).toMatchObject({
        step: Math.floor(i / profile.instructions.length),
        instruction: profile.instructions[i % profile.instructions.length].instruction,
      })
      expect(dur).toBeGreaterThanOrEqual(0)
      expect(ts).toBeGreaterThanOrEqual(end - 1e-6)
      end = ts + dur
    }
  })

  it('changes no bit of the result', async () => {
    const net = network()
    await net.fit(data, options)
    expect(bitsOf((await profiled()).net)).toEqual(bitsOf(net))
  })

  it('keeps the times of ten steps, however many there are', async () => {
    const plan = network().plan(2)
    const session = network().executor.load(plan, Arena.allocate(plan.blocks))
    const feeds = [{ input: 'input_1', values: new Float32Array(new SharedArrayBuffer(4 * 5 * 80)) }]
    const { profile } = await session.run({ steps: 40, feeds, record: ['output0'], profile: true })
    const parts = plan.instructions.length + 2
    expect(profile).toMatchObject({ steps: 40, totals: { length: parts }, marks: { length: 10 * (parts + 1) } })
    expect([...(profile?.marks ?? [])]).toEqual([...(profile?.marks ?? [])].sort((a, b) => a - b))
    expect((await session.run({ steps: 1, feeds, record: [] })).profile).toBeUndefined()
  })

  it('must be true or false, and is an option of fit alone', async () => {
    // @ts-expect-error
    await expectRefusal(() => network().fit(data, { ...options, profile: 'yes' }), 'ERR_OPTION', 'profile must be true or false', '"yes"')
    // @ts-expect-error
    const events = network().train(data, { ...options, profile: true })
    await expectRefusal(() => events.next(), 'ERR_OPTION', 'Unknown option "profile" for train')
  })
})
