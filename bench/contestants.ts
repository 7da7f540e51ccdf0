/** Everything that runs in Node and can be served: thalweg on its executors, the plain network, and the npm rivals. */
import { executionInfo, type Model, type Optimizer } from '../src/index.ts'
import type { Case } from './cases.ts'
import { batchCount, cut, makeData, type Rows } from './data.ts'
import { PlainNetwork } from './plain.ts'
import { createRival, rivalNamed, versionOf } from './rivals.ts'
import { buildModel, buildOptimizer } from './thalweg.ts'
import { type Contestant, Stepper } from './window.ts'

export interface ContestantOptions {
  readonly threads: number
  /** How long a window is going to be. */
  readonly seconds: number
}

/**
 * A model in training through `fit`, which runs for as long as the process does; between windows it waits at the end of an epoch. What `fit`
 * prepares once is therefore not counted, and everything that it does for each epoch is: a new order, picking the rows, the report.
 */
class Fitting implements Contestant {
  readonly implementation: string
  private readonly definition: Case
  private readonly model: Model
  private readonly optimizer: Optimizer
  private readonly data: Rows
  private stepsPerEpoch = 0
  private running: Promise<unknown> = Promise.resolve()
  /** Lets a waiting run go on, or end. */
  private resume: (goOn: boolean) => void = () => {}
  private arrive: () => void = () => {}
  private fail: (error: unknown) => void = () => {}

  constructor(definition: Case, executor: 'native' | 'reference', threads: number) {
    this.definition = definition
    this.model = buildModel(definition, executor === 'native' ? { executor, threads } : { executor })
    this.optimizer = buildOptimizer(definition)
    this.data = makeData(definition, batchCount(definition))
    const isa = process.env.THALWEG_ISA ?? executionInfo().instructionSets[0]
    this.implementation = executor === 'native' ? `thalweg, native (${isa})` : 'thalweg, reference'
  }

  get note(): string {
    return `${this.stepsPerEpoch} batches an epoch`
  }

  advance(): Promise<number> {
    const epoch = this.endOfEpoch()
    this.resume(true)
    return epoch
  }

  /** Gets warm. A window must hold several epochs, so whoever needs long for a batch gets fewer of them. */
  async prepare(seconds: number): Promise<void> {
    const most = batchCount(this.definition)
    for (let batches = 1; ; ) {
      await this.restart(batches)
      const epoch = await this.shortestEpoch(seconds / 4)
      if (batches === most || epoch > seconds / 8) return
      batches = Math.min(most, Math.max(2 * batches, Math.floor((batches * seconds) / 4 / epoch)))
    }
  }

  /** Ends the run in progress and begins one over so many batches; returns after its first epoch. */
  private async restart(batches: number): Promise<void> {
    this.resume(false)
    await this.running
    const { loss, batchSize } = this.definition
    const parts = cut(this.definition, this.data)
    const [x, y] = [this.data.x.subarray(0, batches * parts[0].x.length), this.data.y.subarray(0, batches * parts[0].y.length)]
    this.stepsPerEpoch = batches
    const first = this.endOfEpoch()
    const onEpochEnd = () => {
      this.arrive()
      return new Promise<boolean>((resolve) => {
        this.resume = resolve
      })
    }
    const options = { loss, batchSize, optimizer: this.optimizer, epochs: Number.MAX_SAFE_INTEGER, onEpochEnd }
    this.running = this.model.fit({ x, y }, options).catch((error) => this.fail(error))
    await first
  }

  private endOfEpoch(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.arrive = () => resolve(this.stepsPerEpoch)
      this.fail = reject
    })
  }

  /** In seconds, of a few: one of them may have been disturbed. */
  private async shortestEpoch(limit: number): Promise<number> {
    let shortest = Number.POSITIVE_INFINITY
    let sum = 0
    for (let i = 0; i < 5 && sum < limit; i++) {
      const start = performance.now()
      await this.advance()
      const duration = (performance.now() - start) / 1000
      shortest = Math.min(shortest, duration)
      sum += duration
    }
    return shortest
  }
}

/** A contestant, warm: `name` is native, reference, plain or a rival's. */
export async function createContestant(name: string, definition: Case, options: ContestantOptions): Promise<Contestant> {
  const contestant = await cold(name, definition, options.threads)
  await contestant.prepare(options.seconds)
  return contestant
}

function cold(name: string, definition: Case, threads: number): Fitting | Stepper | Promise<Stepper> {
  if (name === 'native' || name === 'reference') return new Fitting(definition, name, threads)
  const batches = cut(definition, makeData(definition, batchCount(definition)))
  return name === 'plain' ? plain(definition, batches) : fromRival(name, definition, batches)
}

function plain(definition: Case, batches: readonly Rows[]): Stepper {
  const network = new PlainNetwork(definition)
  return new Stepper('plain TypeScript', '', (i) => {
    const { x, y } = batches[i % batches.length]
    network.step(x, y)
  })
}

async function fromRival(name: string, definition: Case, batches: readonly Rows[]): Promise<Stepper> {
  const rival = rivalNamed(name)
  const version = versionOf(rival)
  if (version === null) throw new Error(`${name} is not installed; npm install --prefix bench --ignore-scripts installs it.`)
  const { note, step } = await createRival(rival, definition, batches)
  return new Stepper(`${name} ${version}`, note, step)
}
