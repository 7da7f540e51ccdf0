/** Predictions of a model: at once or on a thread, of rows as they are given or in batches of powers of two. */
import { checkOptions, checkSignal } from '../checks.ts'
import { NdArray } from '../data/ndarray.ts'
import { AbortError, describe, OptionError } from '../errors.ts'
import { concrete, sizeOf } from '../graph/shape.ts'
import { Pace } from '../pace.ts'
import { batches, EVALUATION_BATCH, powerOfTwo, SessionCache } from './batches.ts'
import type { Model } from './model.ts'
import type { Features } from './trainingData.ts'

/** What `Model.predict` listens to. */
export interface PredictOptions {
  /** Stops it within a step; it rejects with an AbortError. */
  readonly signal?: AbortSignal
}

/** Rows times parameters up to which a batch takes hardly more time than to wake a thread: tens of microseconds. */
const QUICK_PRODUCTS = 1_000_000

/** How rows are predicted. */
export interface BatchOptions {
  /**
   * For batches of all sizes, which share a few plans, because one that is not full is filled up to a power of two with repetitions of its last row; and what is done
   * sooner than a thread has begun is done on the calling one. Default false.
   */
  readonly padded?: boolean
  readonly signal?: AbortSignal
}

/** The plans of a model's predictions, and their runs. */
export class Predictions {
  private readonly model: Model
  private readonly sessions: SessionCache
  private readonly pace = new Pace()

  constructor(model: Model) {
    this.model = model
    this.sessions = new SessionCache((batchSize) => model.load(model.plan(batchSize)))
  }

  /** `Model.predictAll`: see there. */
  async predict(x: Features, options: PredictOptions): Promise<NdArray[]> {
    checkOptions('predict', options, ['signal'])
    checkSignal('predict', options.signal)
    const { rows, count } = this.model.toInputRows('predict', x)
    return this.run(
      rows.map(({ values }) => values),
      count,
      { signal: options.signal },
    )
  }

  /** `Model.predictAllSync`: see there. */
  predictAtOnce(where: string, x: Features, none: undefined): NdArray[] {
    if (none !== undefined)
      throw new OptionError(`${where}: expected x alone, got ${describe(none)} as second argument; there are no options.`)
    const { rows, count } = this.model.toInputRows(where, x, 'any')
    this.refuseWhileRunning(where)
    return this.runAtOnce(
      rows.map(({ values }) => values),
      count,
    )
  }

  /** As `run` with `padded`, on the calling thread. */
  runPadded(where: string, inputs: readonly (Float32Array | Int32Array)[], count: number): NdArray[] {
    this.refuseWhileRunning(where)
    return this.runAtOnce(inputs, count, powerOfTwo)
  }

  /** The outputs for rows in shared memory, when nothing else runs that writes the weights. */
  async run(inputs: readonly (Float32Array | Int32Array)[], count: number, { padded = false, signal }: BatchOptions): Promise<NdArray[]> {
    const { model } = this
    if (signal?.aborted) throw new AbortError('Prediction was stopped.', signal.reason)
    if (padded && this.isQuick(count)) {
      if (this.pace.isTooLong()) await this.pace.giveWay()
      if (!model.isRunning) return this.runAtOnce(inputs, count, powerOfTwo)
    }
    const names = model.outputs.map((_, i) => `output${i}`)
    const parts: Float32Array[][] = names.map(() => [])
    const feeds = model.inputNames.map((input, i) => ({ input, values: inputs[i] }))
    for (const { batchSize, steps, firstRow } of batches(count, EVALUATION_BATCH)) {
      const size = padded ? powerOfTwo(batchSize) : batchSize
      const order = size === batchSize ? undefined : Int32Array.from({ length: size }, (_, i) => firstRow + Math.min(i, batchSize - 1))
      const session = this.sessions.get(size)
      const result = await model.exclusive(() => session.run({ steps, feeds, firstRow, order, record: names, signal }))
      if (result.stopped === 'aborted') throw new AbortError('Prediction was stopped.', signal?.reason)
      names.forEach((name, i) => {
        const record = result.records[name] as Float32Array
        parts[i].push(record.subarray(0, (record.length / size) * batchSize))
      })
    }
    return model.outputs.map((output, i) => {
      const data = new Float32Array(parts[i].reduce((sum, part) => sum + part.length, 0))
      parts[i].reduce((start, part) => {
        data.set(part, start)
        return start + part.length
      }, 0)
      return new NdArray(data, [count, ...concrete(output.shape.slice(1))])
    })
  }

  /** The outputs for rows, computed on the calling thread. `sizeOfPlan`: of the plan for so many rows; what it has more of them is left as it is. */
  runAtOnce(
    values: readonly (Float32Array | Int32Array)[],
    count: number,
    sizeOfPlan: (rows: number) => number = (rows) => rows,
  ): NdArray[] {
    const { model } = this
    const predictions = model.outputs.map((output) => {
      const shape = [count, ...concrete(output.shape.slice(1))]
      return new NdArray(new Float32Array(sizeOf(shape)), shape)
    })
    for (const { batchSize, steps, firstRow } of batches(count, EVALUATION_BATCH)) {
      const size = sizeOfPlan(batchSize)
      const session = this.sessions.get(size)
      const { plan, arena } = session
      const inputs = model.inputNames.map((name) => arena.view(plan.tensors[plan.inputs[name]]))
      const outputs = model.outputs.map((_, i) => arena.view(plan.tensors[plan.outputs[`output${i}`]]))
      for (let step = 0; step < steps; step++) {
        const row = firstRow + step * batchSize
        inputs.forEach((input, i) => {
          const width = input.length / size
          input.set(values[i].subarray(row * width, (row + batchSize) * width))
        })
        session.execute(0, plan.instructions.length)
        outputs.forEach((output, i) => {
          const width = output.length / size
          predictions[i].data.set(size === batchSize ? output : output.subarray(0, batchSize * width), row * width)
        })
      }
    }
    return predictions
  }

  private refuseWhileRunning(where: string): void {
    this.model.refuseWhileRunning(where, `use ${where.replace('Sync', '')}, which waits for it to end.`)
  }

  private isQuick(rows: number): boolean {
    const parameters = (this.model.layout.blocks.parameters ?? 0) / 4
    return this.model.executor.name === 'native' && rows * parameters <= QUICK_PRODUCTS
  }
}
