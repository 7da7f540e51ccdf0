/**
 * Builds, trains and drops models, over and over, in every way a run can end; then trains one model over and over. Prints the curve of
 * resident memory and exits with 1 if it grows by more than the bound after the warm-up.
 *
 *     npm run test:leak        (node --expose-gc --import tsx test/leak/leak.ts [models])
 */
import { setImmediate as turn } from 'node:timers/promises'
import { adam, dense, dropout, input, type Model, sequential, sgd } from '../../src/index.ts'
import { numbers } from '../training/support.ts'

const MODELS = Number(process.argv[2] ?? 400)
/** Until here the heap, the allocator's arenas and the thread pool find their size. */
const WARM_UP = Math.ceil(MODELS / 4)
const EVERY = Math.max(1, Math.floor(MODELS / 16))
/**
 * Growth from the quarter after the warm-up to the last quarter, of the medians. One model has 6 MiB of parameters, gradients, moments
 * and workspace: three that are never freed exceed this.
 */
const BOUND = 16 * 2 ** 20
/** The same for the JavaScript heap, which is measured exactly: 4 KiB a model, far less than its plan takes. */
const HEAP_BOUND = (4 * 1024 * 3 * MODELS) / 4

const FEATURES = 128
const SAMPLES = 512
const x = Float32Array.from(numbers(SAMPLES * FEATURES, 1))
const y = Int32Array.from(numbers(SAMPLES, 2, 0, 10), Math.floor)
const poisoned = sgd({ learningRate: 1e30 })
const options = { loss: 'sparseCategoricalCrossentropy', metrics: ['accuracy'], batchSize: 64 } as const

function build(seed: number): Model {
  return sequential([input(FEATURES), dense(512, { activation: 'gelu' }), dropout(0.1), dense(512, { activation: 'relu' }), dense(10)], {
    seed,
    executor: 'native',
  })
}

/** The ways a run can end. */
const endings: readonly ((net: Model) => Promise<unknown>)[] = [
  (net) => net.fit({ x, y }, { ...options, validationSplit: 0.2, onProgress: () => undefined, onEpochEnd: () => undefined }),
  (net) => net.fit({ x, y }, { ...options, epochs: 1000, signal: AbortSignal.timeout(20) }).catch(expected('ABORT_ERR')),
  (net) => net.fit({ x, y }, { ...options, epochs: 10, optimizer: poisoned }).catch(expected('ERR_NON_FINITE')),
  (net) =>
    net
      .fit(
        { x, y },
        {
          ...options,
          epochs: 1000,
          onEpochEnd: () => {
            throw new Error('thrown by the caller')
          },
        },
      )
      .catch(() => undefined),
  async (net) => {
    for await (const event of net.train({ x, y }, { ...options, epochs: 1000 })) if (event.type === 'epoch') break
  },
  (net) => Promise.all([net.evaluate({ x, y }, options), net.predict(x), net.predict(x.subarray(0, 3 * FEATURES))]),
]

function expected(code: string) {
  return (error: { code?: string }) => {
    if (error.code !== code) throw error
  }
}

async function memory(): Promise<NodeJS.MemoryUsage> {
  // Two rounds: the first finds what is unreachable, the second what its finalizers let go of.
  for (let round = 0; round < 2; round++) {
    globalThis.gc?.()
    await turn()
  }
  return process.memoryUsage()
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]
}

const mebibytes = (bytes: number) => (bytes / 2 ** 20).toFixed(1).padStart(7)

/** From the first quarter after the warm-up to the last, in bytes. */
function growthOf(curve: readonly number[]): number {
  const after = curve.slice(WARM_UP)
  const quarter = Math.ceil(after.length / 4)
  return median(after.slice(-quarter)) - median(after.slice(0, quarter))
}

function judge(name: string, growth: number, bound: number): boolean {
  const ok = growth <= bound
  console.log(
    `${ok ? 'ok  ' : 'LEAK'} ${name} memory grew by ${mebibytes(growth)} MiB after the warm-up; the bound is ${mebibytes(bound)} MiB`,
  )
  return ok
}

/** Does something many times; true if the memory stays within the bounds. */
async function watch(what: string, once: (i: number) => Promise<unknown>): Promise<boolean> {
  console.log(`\n${what}, warm-up ${WARM_UP}\n  count resident, MiB  heap`)
  const residents: number[] = []
  const heaps: number[] = []
  for (let i = 0; i < MODELS; i++) {
    await once(i)
    const { rss, heapUsed } = await memory()
    residents.push(rss)
    heaps.push(heapUsed)
    if ((i + 1) % EVERY === 0)
      console.log(`${String(i + 1).padStart(7)} ${mebibytes(rss)}      ${mebibytes(heapUsed)}  ${'▪'.repeat(rss / 2 ** 22)}`)
  }
  const verdicts = [judge('resident', growthOf(residents), BOUND), judge('heap', growthOf(heaps), HEAP_BOUND)]
  return verdicts.every((ok) => ok)
}

if (globalThis.gc === undefined) throw new Error('Run this with --expose-gc, or it measures the garbage collector: npm run test:leak')

const dropped = await watch(`${MODELS} models, built, trained and dropped`, async (i) => {
  await endings[i % endings.length](build(i))
})

const kept = build(0)
const optimizers = ['sgd', 'adam', adam()] as const
const trained = await watch(`one model, trained ${MODELS} times`, async (i) => {
  kept.initialize()
  await kept.fit({ x, y }, { ...options, batchSize: 32 + (i % 64), optimizer: optimizers[i % optimizers.length] })
})

process.exit(dropped && trained ? 0 : 1)
