/** The native executor: hands plans to the C++ addon. */
import { BusyError, MemoryError, NativeError } from '../../errors.ts'
import { allocateShared, formatBytes } from '../../memory.ts'
import { Pace } from '../../pace.ts'
import type { Plan } from '../../plan/plan.ts'
import type { Arena } from '../arena.ts'
import { fedTensor, fillConstants, profileMemory, readProfile, recordSizes } from '../common.ts'
import type { Executor, Records, RunRequest, RunResult, Session } from '../executor.ts'
import { type Addon, type AddonAttribute, type AddonPlan, type AddonRunRequest, type AddonSession, defaultThreads } from './addon.ts'

export interface NativeOptions {
  readonly threads?: number
  /** The instruction set to use; default: the best one, or the one the environment variable THALWEG_ISA names. */
  readonly isa?: string
  /** Instructions estimated at fewer nanoseconds stay on one thread. For tests: 0 shares out everything. */
  readonly serialBelow?: number
}

export function nativeExecutor(addon: Addon, given: NativeOptions = {}): Executor {
  const options = { ...given, threads: given.threads ?? defaultThreads(addon.hardwareThreads) }
  return {
    name: 'native',
    load: (plan, arena) => new NativeSession(plan, arena, load(addon, plan, arena, options)),
  }
}

function load(addon: Addon, plan: Plan, arena: Arena, options: NativeOptions): AddonSession {
  const blocks = Object.keys(plan.blocks)
  const description: AddonPlan = {
    blocks: blocks.map((name) => plan.blocks[name]),
    tensors: plan.tensors.map(({ block, offset, dtype, shape }) => ({ block: blocks.indexOf(block), offset, dtype, shape })),
    instructions: plan.instructions.map(({ op, inputs, outputs, attributes }) => ({
      op,
      inputs,
      outputs,
      attributes: attributes as Record<string, AddonAttribute>,
    })),
  }
  return translated(() =>
    addon.load(
      description,
      blocks.map((name) => arena.region(name)),
      options,
    ),
  )
}

/** Of records, kept for the next run: many are short, and follow each other in thousands. */
const MOST_KEPT = 1 << 16

/** Of all sessions: a `fit` of one short run has one of its own, and many such in a row must not hold the event loop either. */
const pace = new Pace()

class NativeSession implements Session {
  readonly plan: Plan
  readonly arena: Arena
  private readonly session: AddonSession
  /** Shared memory that no run is using: for the abort flag and the completed steps, and for records. */
  private control: Int32Array | null = null
  private recorded: Float32Array | null = null

  constructor(plan: Plan, arena: Arena, session: AddonSession) {
    this.plan = plan
    this.arena = arena
    this.session = session
    fillConstants(plan, arena)
  }

  async run(request: RunRequest): Promise<RunResult> {
    const recorder = new Recorder(this.plan, request, this.recorded)
    const profile = request.profile ? profileMemory(this.plan, request.steps) : undefined
    const control = this.control ?? new Int32Array(new SharedArrayBuffer(8))
    this.control = this.recorded = null
    control.fill(0)
    const abort = () => Atomics.store(control, 0, 1)
    if (request.signal?.aborted) abort()
    request.signal?.addEventListener('abort', abort, { once: true })
    try {
      const { onProgress } = request
      let reported = 0
      const report = (completed: number) => {
        if (completed > reported) onProgress?.(reported, recorder.read(reported, completed))
        reported = completed
      }
      const result = await this.session.run({
        ...this.translate(request, recorder),
        profile,
        control,
        onProgress: onProgress === undefined ? undefined : report,
      })
      // A very short run happens on this thread, and many may follow each other.
      if (pace.isTooLong()) await pace.giveWay()
      return {
        completed: result.completedSteps,
        stopped: result.stopped === 'none' ? null : result.stopped,
        records: recorder.read(0, result.completedSteps),
        ...(profile && { profile: readProfile(this.plan, profile, result.completedSteps) }),
      }
    } catch (error) {
      throw translate(error)
    } finally {
      request.signal?.removeEventListener('abort', abort)
      this.control = control
      if (recorder.memory.byteLength <= MOST_KEPT) this.recorded = recorder.memory
    }
  }

  execute(first: number, end: number): void {
    translated(() => this.session.execute(first, end))
  }

  private translate(request: RunRequest, recorder: Recorder): AddonRunRequest {
    const { steps, feeds, order, firstRow } = request
    return {
      steps,
      feeds: feeds.map((feed) => ({ tensor: fedTensor(this.plan, feed), source: feed.values, each: feed.pace ?? 'row' })),
      order,
      firstRow,
      records: { tensors: request.record.map((name) => this.plan.outputs[name]), into: recorder.memory },
    }
  }
}

/** The addon records all outputs of a step next to each other; this takes them apart. */
class Recorder {
  readonly memory: Float32Array
  private readonly stride: number
  private readonly parts: readonly { name: string; start: number; size: number; integer: boolean }[]

  /** @param memory To be used if it is large enough. */
  constructor(plan: Plan, { record, steps }: RunRequest, memory: Float32Array | null) {
    const sizes = recordSizes(plan, record)
    let stride = 0
    this.parts = record.map((name) => {
      const part = { name, start: stride, size: sizes[name], integer: plan.tensors[plan.outputs[name]].dtype === 'int32' }
      stride += part.size
      return part
    })
    this.stride = stride
    const bytes = stride * steps * 4
    this.memory =
      memory !== null && memory.byteLength >= bytes
        ? memory
        : new Float32Array(
            allocateShared(bytes, `The records of ${steps} steps need ${formatBytes(bytes)}`, 'Try fewer metrics or a larger batchSize.'),
          )
  }

  /** What steps `first` … `end` - 1 recorded. */
  read(first: number, end: number): Records {
    const steps = end - first
    return Object.fromEntries(
      this.parts.map(({ name, start, size, integer }) => {
        const source = integer ? new Int32Array(this.memory.buffer) : this.memory
        const values = integer ? new Int32Array(size * steps) : new Float32Array(size * steps)
        for (let step = 0; step < steps; step++) {
          const from = (first + step) * this.stride + start
          for (let i = 0; i < size; i++) values[step * size + i] = source[from + i]
        }
        return [name, values]
      }),
    )
  }
}

function translated<T>(call: () => T): T {
  try {
    return call()
  } catch (error) {
    throw translate(error)
  }
}

function translate(error: unknown): unknown {
  const { code, message } = error as { code?: string; message: string }
  if (code === 'ERR_THALWEG_BUSY') return new BusyError(message)
  if (code === 'ERR_THALWEG_MEMORY') return new MemoryError(`The native executor is ${message}`)
  return code?.startsWith('ERR_THALWEG_') ? new NativeError(message, { cause: error }) : error
}
