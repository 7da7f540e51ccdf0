import type { Op } from '../graph/op.ts'
import { formatShape, sizeOf } from '../graph/shape.ts'
import type { Phase } from '../graph/tensor.ts'
import { ops } from '../ops/index.ts'
import type { Instruction, Plan } from '../plan/plan.ts'
import { printExpression, printInstruction } from '../plan/print.ts'
import type { RunProfile } from './executor.ts'

/** One part of a step, and what it took. */
export interface ProfiledInstruction {
  /** The op's name; "feed" (copying the batch) and "record" (keeping the loss and metrics) stand before and after the instructions. */
  readonly op: string
  /** As `printPlan` prints it. */
  readonly instruction: string
  readonly layer: string | null
  /** Null for "feed" and "record". */
  readonly phase: Phase | null
  /** Of the (first) result; null for "feed" and "record". */
  readonly shape: readonly number[] | null
  /** Mean time a step. */
  readonly milliseconds: number
  /** Of the time of a step: 0 … 1. */
  readonly share: number
  /** 10^9 floating-point operations a second, for ops that declare them (products); null for others. */
  readonly gflops: number | null
  /** 10^9 bytes a second: the sizes of all operands and results, once each, whichever cache or memory they came from. */
  readonly gigabytesPerSecond: number
}

/** Two runs of one plan as one: sums over all steps, and the marks of the first. */
export function joinProfiles(a: RunProfile | null, b: RunProfile): RunProfile {
  if (a === null) return b
  return { steps: a.steps + b.steps, totals: a.totals.map((total, i) => total + b.totals[i]), marks: a.marks }
}

/**
 * Where the time of training steps went. `${profile}` is a table, longest first; `toChromeTrace` gives the first steps as a
 * timeline. Looking at the clock costs some 30 ns an instruction, which only counts in the smallest networks; and with several
 * threads instructions do not overlap while they are measured, so a profiled step is a little slower than others.
 *
 * @example const { profile } = await sequential([input(2), dense(1)]).fit({ x: [[0, 1]], y: [[1]] }, { loss: 'meanSquaredError', profile: true }); profile.milliseconds
 */
export class Profile {
  /** How many steps were measured. */
  readonly steps: number
  /** Samples a step. */
  readonly batchSize: number
  /** Mean time a step. */
  readonly milliseconds: number
  /** In the order they run. */
  readonly instructions: readonly ProfiledInstruction[]
  /** What the table says of each instruction, in their order. */
  private readonly titles: readonly { readonly name: string; readonly result: string }[]
  private readonly marks: Float64Array
  private readonly smallerBatches: number

  /** @param smallerBatches Steps of the same run that were not measured. @internal */
  constructor(plan: Plan, { steps, totals, marks }: RunProfile, smallerBatches = 0) {
    const whole = totals.reduce((sum, total) => sum + total, 0)
    const parts = partsOf(plan)
    this.instructions = parts.map(({ bytes, flops, name, result, ...part }, i) => {
      const nanoseconds = totals[i] / steps
      const rate = (work: number) => (nanoseconds > 0 ? work / nanoseconds : 0)
      return {
        ...part,
        milliseconds: nanoseconds / 1e6,
        share: totals[i] / whole,
        gflops: flops === null ? null : rate(flops),
        gigabytesPerSecond: rate(bytes),
      }
    })
    this.steps = steps
    this.batchSize = plan.batchSize
    this.milliseconds = whole / steps / 1e6
    this.titles = parts.map(({ name, result }) => ({ name, result }))
    this.marks = marks
    this.smallerBatches = smallerBatches
  }

  /**
   * A table, longest first, with the sums of each op and of each phase.
   *
   * @example const { profile } = await sequential([input(2), dense(1)]).fit({ x: [[0, 1]], y: [[1]] }, { loss: 'meanSquaredError', profile: true }); profile.toString()
   */
  toString(): string {
    const header = ['µs a step', 'share', 'rate', 'result', 'layer', 'phase', 'instruction']
    const rows = this.instructions
      .map((part, i) => ({ part, ...this.titles[i] }))
      .sort((a, b) => b.part.milliseconds - a.part.milliseconds)
      .map(({ part, name, result }) => [
        (part.milliseconds * 1e3).toFixed(2),
        percent(part.share),
        part.gflops === null ? `${rateText(part.gigabytesPerSecond)} GB/s   ` : `${rateText(part.gflops)} GFLOP/s`,
        result,
        part.layer ?? '',
        part.phase ?? '',
        name,
      ])
    const total = [(this.milliseconds * 1e3).toFixed(2), percent(1), '', '', '', '', 'the whole step']
    const table = [header, ...rows, total]
    const widths = header.map((_, column) => Math.max(...table.map((row) => row[column].length)))
    const lines = table.map((row) =>
      row
        .map((cell, column) => (column < 3 ? cell.padStart(widths[column]) : cell.padEnd(widths[column])))
        .join('  ')
        .trimEnd(),
    )
    const rule = widths.map((width) => '─'.repeat(width)).join('  ')
    return [
      this.title(),
      '',
      lines[0],
      rule,
      ...lines.slice(1, -1),
      rule,
      lines[lines.length - 1],
      '',
      `by op: ${this.sums(({ op }) => op)}`,
      `by phase: ${this.sums(({ op, phase }) => phase ?? op)}`,
      '',
    ].join('\n')
  }

  /**
   * What `JSON.stringify` writes: the numbers, without the timeline.
   *
   * @example const { profile } = await sequential([input(2), dense(1)]).fit({ x: [[0, 1]], y: [[1]] }, { loss: 'meanSquaredError', profile: true }); profile.toJSON().instructions[0].milliseconds
   */
  toJSON(): Pick<Profile, 'steps' | 'batchSize' | 'milliseconds' | 'instructions'> {
    const { steps, batchSize, milliseconds, instructions } = this
    return { steps, batchSize, milliseconds, instructions }
  }

  /** What `console.log` shows: the table. @internal */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString()
  }

  /**
   * The first steps of the first epoch, ten at most, in the Chrome Trace Event format: write it to a .json file and open that in chrome://tracing or ui.perfetto.dev.
   *
   * @example const { profile } = await sequential([input(2), dense(1)]).fit({ x: [[0, 1]], y: [[1]] }, { loss: 'meanSquaredError', profile: true }); JSON.parse(profile.toChromeTrace())
   */
  toChromeTrace(): string {
    const parts = this.instructions.length
    const traceEvents: object[] = [{ name: 'thread_name', ph: 'M', pid: 1, tid: 1, args: { name: `training, batch ${this.batchSize}` } }]
    for (let step = 0; step < this.marks.length / (parts + 1); step++) {
      const marks = this.marks.subarray(step * (parts + 1))
      this.instructions.forEach(({ op, instruction, layer, phase }, i) => {
        const times = { ts: marks[i] / 1e3, dur: (marks[i + 1] - marks[i]) / 1e3 }
        const { name } = this.titles[i]
        traceEvents.push({ name, cat: phase ?? op, ph: 'X', ...times, pid: 1, tid: 1, args: { step, instruction, layer } })
      })
    }
    return JSON.stringify({ displayTimeUnit: 'ns', traceEvents })
  }

  private title(): string {
    const steps = this.steps.toLocaleString('en-US')
    const smaller = this.smallerBatches
    if (smaller === 0) return `${steps} steps, batch ${this.batchSize}`
    const all = (this.steps + smaller).toLocaleString('en-US')
    const left = smaller === 1 ? '1 smaller batch is' : `${smaller.toLocaleString('en-US')} smaller batches are`
    return `${steps} of ${all} steps, batch ${this.batchSize}; ${left} not in it`
  }

  /** The time of instructions with equal keys, longest first: `matmul 61.0 %, adam 20.1 %`. */
  private sums(keyOf: (instruction: ProfiledInstruction) => string): string {
    const sums = new Map<string, number>()
    for (const part of this.instructions) sums.set(keyOf(part), (sums.get(keyOf(part)) ?? 0) + part.share)
    const sorted = [...sums].sort(([, a], [, b]) => b - a)
    return sorted.map(([key, share]) => `${key} ${percent(share)}`).join(', ')
  }
}

type Part = Pick<ProfiledInstruction, 'op' | 'instruction' | 'layer' | 'phase' | 'shape'> & {
  /** A short form of `instruction`. */
  readonly name: string
  /** What it makes: the shape, and if others know it by a number, that. */
  readonly result: string
  readonly bytes: number
  readonly flops: number | null
}

/** The parts of a step, as RunProfile counts them. */
function partsOf(plan: Plan): Part[] {
  const bytesOf = (tensors: readonly number[]) => tensors.reduce((sum, tensor) => sum + sizeOf(plan.tensors[tensor].shape) * 4, 0)
  const copy = (op: string, tensors: Readonly<Record<string, number>>): Part => {
    const instruction = `${op}(${Object.keys(tensors).join(', ')})`
    return {
      op,
      instruction,
      name: instruction,
      layer: null,
      phase: null,
      shape: null,
      result: '',
      bytes: 2 * bytesOf(Object.values(tensors)),
      flops: null,
    }
  }
  const instructions = plan.instructions.map((instruction): Part => {
    const { op, inputs, outputs, layer, phase } = instruction
    const { shape, label } = plan.tensors[outputs[0]]
    const bytes = bytesOf(inputs) + bytesOf(outputs)
    return {
      op,
      instruction: printInstruction(plan, instruction),
      name: shorten(printExpression(plan, instruction)),
      layer,
      phase,
      shape,
      result: `${label.startsWith('%') ? `${label} ` : ''}${formatShape(shape)}`,
      bytes,
      flops: flopsOf(plan, instruction),
    }
  })
  return [copy('feed', plan.inputs), ...instructions, copy('record', plan.outputs)]
}

function flopsOf(plan: Plan, { op, inputs, outputs, attributes }: Instruction): number | null {
  const { flops } = (ops as Readonly<Record<string, Op>>)[op]
  const specs = inputs.map((input) => plan.tensors[input])
  return flops?.(specs, attributes, plan.tensors[outputs[0]]) ?? null
}

function shorten(text: string): string {
  return text.length > 60 ? `${text.slice(0, 59)}…` : text
}

/** One decimal, but three digits of what is below 1: the reference executor is slow. */
function rateText(rate: number): string {
  return rate < 1 ? rate.toPrecision(3) : rate.toFixed(1)
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`
}
