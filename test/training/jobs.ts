/** What several models, or several threads, do at once: in this thread or in a worker. */
import { once } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import { parentPort, Worker, workerData } from 'node:worker_threads'
import {
  adam,
  dense,
  dropout,
  type FitOptions,
  input,
  type Model,
  openShared,
  openSharedTabular,
  type Row,
  type SharedModel as SharedModelHandle,
  type SharedTabularModel,
  sequential,
  type TabularModel,
} from '../../src/index.ts'
import { stepVariable } from '../../src/ops/random.ts'
import { numbers } from './support.ts'

/** A model's memory, as another thread is given it: views of shared memory, not copies. */
export interface SharedModel {
  readonly weights: Readonly<Record<string, Float32Array>>
  readonly steps: Int32Array
}

export type Job =
  /** Trains and posts the weights' bits. */
  | { readonly kind: 'train'; readonly seed: number }
  /** Trains until the thread is terminated; posts 'running' once steps are being made. */
  | { readonly kind: 'endless' }
  /** Posts the predictions of a network of the same layers that has the weights of the shared model. */
  | { readonly kind: 'predict'; readonly model: SharedModel }
  /** Posts 'watching', watches the shared model while another thread trains it, and posts what it saw after `until` steps. */
  | { readonly kind: 'watch'; readonly model: SharedModel; readonly until: number }
  /** Posts 'ready'. Of what it then gets: opens a shared model, and posts 'opened'; posts the predictions for numbers. */
  | { readonly kind: 'serve' }
  /** As 'serve', for a shared model for rows, and rows. */
  | { readonly kind: 'serveRows' }
  /** Writes into the weights of the shared model. */
  | { readonly kind: 'write'; readonly model: SharedModel; readonly value: number }

const FEATURES = 128
const SAMPLES = 768

/** Large enough for products to be split over threads; with dropout, whose randomness must not depend on who runs beside. */
export function network(seed: number): Model {
  return sequential([input(FEATURES), dense(192, { activation: 'gelu' }), dropout(0.2), dense(96, { activation: 'tanh' }), dense(5)], {
    seed,
    executor: 'native',
  })
}

let made: { x: Float32Array; y: Int32Array } | null = null

export function data(): { x: Float32Array; y: Int32Array } {
  made ??= {
    x: Float32Array.from(numbers(SAMPLES * FEATURES, 1)),
    y: Int32Array.from(numbers(SAMPLES, 2, 0, 5), Math.floor),
  }
  return made
}

export const options: FitOptions = { loss: 'sparseCategoricalCrossentropy', batchSize: 64, epochs: 30, optimizer: 'adam' }

/** The bits of all weights after training. */
export async function train(seed: number): Promise<Uint32Array> {
  const net = network(seed)
  await net.fit(data(), { ...options, optimizer: adam({ learningRate: 0.002 }) })
  return bits(net)
}

export function bits(net: Model): Uint32Array {
  const all = Object.values(net.weights()).flatMap(({ data: weights }) => [...new Uint32Array(weights.buffer)])
  return Uint32Array.from(all)
}

export function share(net: Model): SharedModel {
  return {
    weights: Object.fromEntries(net.parameters.map(({ variable, name }) => [name, net.values(variable) as Float32Array])),
    steps: net.values(stepVariable) as Int32Array,
  }
}

/** A worker thread with a job. */
export function start(job: Job): Worker {
  return new Worker(new URL('./worker.mjs', import.meta.url), { workerData: job })
}

/** The next thing a worker posts; rejects with what it throws. */
export async function answerOf(worker: Worker): Promise<unknown> {
  const [answer] = await once(worker, 'message')
  return answer
}

/** Does the job of this worker thread. */
export async function work(): Promise<void> {
  parentPort?.postMessage(await result(workerData as Job))
}

async function result(job: Job): Promise<unknown> {
  switch (job.kind) {
    case 'train':
      return train(job.seed)
    case 'endless': {
      const onProgress = () => parentPort?.postMessage('running')
      await network(1).fit(data(), { ...options, epochs: 1e6, onProgress })
      return 'ended'
    }
    case 'predict': {
      const net = network(99)
      net.setWeights(job.model.weights)
      return (await net.predict(data().x)).data
    }
    case 'watch': {
      const { steps, weights } = job.model
      const [first] = Object.values(weights)
      parentPort?.postMessage('watching')
      const seen = { steps: new Set<number>(), weights: new Set<number>() }
      while (Atomics.load(steps, 0) < job.until) {
        seen.steps.add(Atomics.load(steps, 0))
        seen.weights.add(first[0])
        await turn()
      }
      return { steps: [...seen.steps], weights: seen.weights.size }
    }
    case 'serve': {
      let net: Model | null = null
      parentPort?.on('message', async (message: SharedModelHandle | Float32Array) => {
        if (!(message instanceof Float32Array)) net = openShared(message)
        parentPort?.postMessage(message instanceof Float32Array ? (await net?.predict(message))?.data : 'opened')
      })
      return 'ready'
    }
    case 'serveRows': {
      let net: TabularModel | null = null
      parentPort?.on('message', async (message: SharedTabularModel | readonly Row[]) => {
        if ('network' in message) net = openSharedTabular(message)
        parentPort?.postMessage('network' in message ? 'opened' : await net?.predict(message))
      })
      return 'ready'
    }
    case 'write':
      for (const values of Object.values(job.model.weights)) values.fill(job.value)
      return 'written'
  }
}
