/** Everything that runs in Node and can be served: thalweg on its executors, the plain network, and the npm rivals. */
import { executionInfo } from '../src/index.ts'
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
  readonly note: string
  private readonly stepsPerEpoch: number
  private resume: () => void = () => {}
  private arrive: () => void = () => {}
  private fail: (error: unknown) => void = () => {}

  constructor(definition: Case, data: Rows, executor: 'native' | 'reference', threads: number) {
    const model = buildModel(definition, executor === 'native' ? { executor, threads } : { executor })
    const { batchSize, loss, sizes } = definition
    const { instructionSets } = executionInfo()
    this.implementation =
      executor === 'native' ? `thalweg, native (${process.env.THALWEG_ISA ?? instructionSets[0]})` : 'thalweg, reference'
    this.stepsPerEpoch = data.x.length / (batchSize * sizes[0])
    this.note = `${this.stepsPerEpoch} batches an epoch`
    // Not awaited: it ends with the process.
    model
      .fit(data, {
        loss,
        batchSize,
        optimizer: buildOptimizer(definition),
        epochs: Number.MAX_SAFE_INTEGER,
        onEpochEnd: () => {
          this.arrive()
          return new Promise<void>((resolve) => {
            this.resume = resolve
          })
        },
      })
      .catch((error) => this.fail(error))
  }

  /** The first epoch, which begins with the constructor. */
  begin(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.arrive = () => resolve(this.stepsPerEpoch)
      this.fail = reject
    })
  }

  advance(): Promise<number> {
    const epoch = this.begin()
    this.resume()
    return epoch
  }
}

const slice = (definition: Case, { x, y }: Rows, batches: number): Rows => {
  const [first] = cut(definition, { x, y })
  return { x: x.subarray(0, first.x.length * batches), y: y.subarray(0, first.y.length * batches) }
}

/** A window must hold several epochs, so whoever needs long for a batch gets fewer of them. */
async function fitting(definition: Case, data: Rows, executor: 'native' | 'reference', { threads, seconds }: ContestantOptions) {
  const most = batchCount(definition)
  const trial = new Fitting(definition, slice(definition, data, 1), executor, threads)
  await trial.begin()
  const start = performance.now()
  let steps = 0
  do steps += await trial.advance()
  while (performance.now() - start < (seconds * 1000) / 10)
  const perWindow = (steps * seconds * 1000) / (performance.now() - start)
  const batches = Math.max(1, Math.min(most, Math.floor(perWindow / 4)))
  if (batches === 1) return trial
  const contestant = new Fitting(definition, slice(definition, data, batches), executor, threads)
  await contestant.begin()
  return contestant
}

/** A contestant, warm: `name` is native, reference, plain or a rival's. */
export async function createContestant(name: string, definition: Case, options: ContestantOptions): Promise<Contestant> {
  const data = makeData(definition, batchCount(definition))
  if (name === 'native' || name === 'reference') return fitting(definition, data, name, options)
  const contestant = name === 'plain' ? plain(definition, data) : await fromRival(name, definition, data)
  await contestant.prepare(options.seconds)
  return contestant
}

function plain(definition: Case, data: Rows): Stepper {
  const network = new PlainNetwork(definition)
  const batches = cut(definition, data)
  return new Stepper('plain TypeScript', '', (i) => {
    const { x, y } = batches[i % batches.length]
    network.step(x, y)
  })
}

async function fromRival(name: string, definition: Case, data: Rows): Promise<Stepper> {
  const rival = rivalNamed(name)
  const version = versionOf(rival)
  if (version === null) throw new Error(`${name} is not installed; npm install --prefix bench --ignore-scripts installs it.`)
  const { note, step } = await createRival(rival, definition, cut(definition, data))
  return new Stepper(`${name} ${version}`, note, step)
}
