import { performance } from 'node:perf_hooks'
import { setImmediate } from 'node:timers/promises'
import { assert, BusyError } from '../../errors.ts'
import { sizeOf } from '../../graph/shape.ts'
import type { Plan } from '../../plan/plan.ts'
import type { Arena, Values } from '../arena.ts'
import { fedTensor, fillConstants, profileMemory, readProfile, recordSizes } from '../common.ts'
import type { Records, RunRequest, RunResult, Session } from '../executor.ts'
import type { Kernel, Outcome, View } from './kernel.ts'

/** How long a run may hold the event loop before it lets others go first. */
const SLICE_MILLISECONDS = 3

/** When the current slice ends. All runs share it: many short ones in a row hold the event loop no longer than one long one. */
let sliceEnd = 0
const PROGRESS_MILLISECONDS = 50

export class ReferenceSession implements Session {
  readonly plan: Plan
  readonly arena: Arena
  private readonly calls: readonly (() => Outcome)[]
  private readonly views: readonly View[]
  private busy = false

  constructor(plan: Plan, arena: Arena, kernels: Readonly<Record<string, Kernel>>) {
    this.plan = plan
    this.arena = arena
    this.views = plan.tensors.map((tensor) => ({ values: arena.view(tensor), shape: tensor.shape }))
    this.calls = plan.instructions.map(({ op, inputs, outputs, attributes }) => {
      const kernel = kernels[op]
      assert(kernel !== undefined, `The reference executor has no kernel "${op}".`)
      const operands = inputs.map((input) => this.views[input])
      const results = outputs.map((output) => this.views[output])
      return () => kernel(operands, results, attributes)
    })
    fillConstants(plan, arena)
  }

  async run(request: RunRequest): Promise<RunResult> {
    const steps = this.begin(request)
    try {
      let progressAt = performance.now() + PROGRESS_MILLISECONDS
      while (!request.signal?.aborted && steps.next()) {
        const now = performance.now()
        if (now >= progressAt) {
          steps.report()
          progressAt = now + PROGRESS_MILLISECONDS
        }
        if (now >= sliceEnd) {
          await setImmediate()
          sliceEnd = performance.now() + SLICE_MILLISECONDS
        }
      }
      steps.report()
      return steps.result(request.signal)
    } finally {
      this.busy = false
    }
  }

  execute(first: number, end: number): void {
    this.refuseWhileBusy()
    for (let i = first; i < end; i++) this.calls[i]()
  }

  private begin(request: RunRequest): Steps {
    this.refuseWhileBusy()
    this.busy = true
    return new Steps(this.plan, this.views, this.calls, request)
  }

  private refuseWhileBusy(): void {
    if (this.busy) throw new BusyError('This session is already running; wait for the run in progress, or load the plan a second time.')
  }
}

/** The steps of one run, one at a time. */
class Steps {
  completed = 0
  private readonly records: Records
  private readonly plan: Plan
  private readonly views: readonly View[]
  private readonly calls: readonly (() => Outcome)[]
  private readonly request: RunRequest
  private readonly watch: Stopwatch | null
  private nonFinite = false
  private reported = 0

  constructor(plan: Plan, views: readonly View[], calls: readonly (() => Outcome)[], request: RunRequest) {
    this.plan = plan
    this.views = views
    this.calls = calls
    this.request = request
    this.watch = request.profile ? new Stopwatch(plan, request.steps) : null
    const sizes = recordSizes(plan, request.record)
    this.records = Object.fromEntries(
      request.record.map((name) => {
        const { values } = views[plan.outputs[name]]
        return [name, new (values.constructor as Float32ArrayConstructor)(sizes[name] * request.steps)]
      }),
    )
  }

  /** Runs the next step; false when there is none, or when a kernel stopped it. */
  next(): boolean {
    if (this.completed === this.request.steps) return false
    this.watch?.stepBegins(this.completed)
    this.feed()
    this.watch?.partEnds()
    let ended = false
    for (const call of this.calls) {
      const outcome = ended ? undefined : call()
      this.watch?.partEnds()
      if (outcome === 'stopRun') {
        this.nonFinite = true
        return false
      }
      if (outcome === 'endStep') {
        // A profile has a part for each instruction, also for those that did not run.
        if (this.watch === null) break
        ended = true
      }
    }
    for (const name of this.request.record) {
      const { values } = this.views[this.plan.outputs[name]]
      ;(this.records[name] as Float32Array).set(values as Float32Array, this.completed * values.length)
    }
    this.watch?.partEnds()
    this.completed += 1
    return true
  }

  /** Tells the caller of the steps completed since the last time. */
  report(): void {
    const { onProgress } = this.request
    if (onProgress === undefined || this.completed === this.reported) return
    const first = this.reported
    this.reported = this.completed
    onProgress(first, this.recorded(first, this.completed))
  }

  private recorded(first: number, end: number): Records {
    return Object.fromEntries(
      Object.entries(this.records).map(([name, values]) => {
        const size = values.length / this.request.steps
        return [name, values.subarray(first * size, end * size)]
      }),
    )
  }

  result(signal: AbortSignal | undefined): RunResult {
    const aborted = signal?.aborted === true && this.completed < this.request.steps
    return {
      completed: this.completed,
      stopped: this.nonFinite ? 'nonFinite' : aborted ? 'aborted' : null,
      records: this.recorded(0, this.completed),
      ...(this.watch && { profile: readProfile(this.plan, this.watch.memory, this.completed) }),
    }
  }

  private feed(): void {
    const { feeds, order, firstRow = 0 } = this.request
    for (const feed of feeds) {
      const { values, pace = 'row' } = feed
      const target = this.views[fedTensor(this.plan, feed)]
      if (pace !== 'row') {
        const { length } = target.values
        if (pace === 'step' || this.completed === 0) copyRow(values, this.completed * length, target.values, 0, length)
        continue
      }
      const rows = target.shape[0]
      const width = sizeOf(target.shape.slice(1))
      for (let i = 0; i < rows; i++) {
        const position = this.completed * rows + i
        const row = order === undefined ? firstRow + position : order[position]
        copyRow(values, row * width, target.values, i * width, width)
      }
    }
  }
}

/** Writes the times of a profiled run. */
class Stopwatch {
  readonly memory: Float64Array
  private readonly parts: number
  private readonly began = performance.now()
  private last = 0
  private part = 0
  private mark = 0

  constructor(plan: Plan, steps: number) {
    this.memory = profileMemory(plan, steps)
    this.parts = plan.instructions.length + 2
  }

  stepBegins(step: number): void {
    this.last = this.now()
    this.part = 0
    this.mark = this.parts + step * (this.parts + 1)
    this.memory[this.mark++] = this.last
  }

  partEnds(): void {
    const now = this.now()
    this.memory[this.part++] += now - this.last
    // NOTE: past the steps whose marks are kept this lies outside the array, where writing does nothing.
    this.memory[this.mark++] = now
    this.last = now
  }

  /** Nanoseconds since the run began. */
  private now(): number {
    return (performance.now() - this.began) * 1e6
  }
}

function copyRow(from: Values, fromStart: number, to: Values, toStart: number, width: number): void {
  for (let i = 0; i < width; i++) to[toStart + i] = from[fromStart + i]
}
