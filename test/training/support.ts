/** What the tests of training share. */
import { expect } from 'vitest'
import type { ThalwegError } from '../../src/errors.ts'
import { loadAddon } from '../../src/executors/native/addon.ts'
import {
  constantOf,
  type FitOptions,
  input,
  type LearningRate,
  type Model,
  multiply,
  type Optimizer,
  ones,
  parameter,
  sequential,
  sgd,
  sum,
  type Tensor,
} from '../../src/index.ts'
import { stepVariable } from '../../src/ops/random.ts'
import { buildPlan } from '../../src/plan/build.ts'
import { Purpose, RandomStream } from '../../src/random.ts'
import { expectError } from '../expectError.ts'

/** What training is tested on. fallback.test.ts makes sure that "native" is missing here for a good reason only. */
export const executors = loadAddon().addon === undefined ? (['reference'] as const) : (['native', 'reference'] as const)

export type ExecutorName = (typeof executors)[number]

/** Expects a call to throw or reject with this code, by a message that contains every one of the parts. */
export async function expectRefusal(call: () => unknown, code: string, ...parts: readonly string[]): Promise<ThalwegError> {
  let thrown: unknown = null
  try {
    await call()
  } catch (error) {
    thrown = error
  }
  return expectError(thrown, code, parts)
}

/** Lets a run that was just asked for begin. Unless it is so short that it needs no thread, it cannot end before the event loop turns. */
export async function hasBegun(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve()
}

/** The weights bit by bit, so that 0 and -0 differ and NaN equals itself. */
export function bitsOf(net: Model): Record<string, number[]> {
  return Object.fromEntries(Object.entries(net.weights()).map(([name, { data }]) => [name, [...new Uint32Array(data.buffer)]]))
}

/** Training steps the model has taken in its life. */
export function stepsOf(net: Model): number {
  return net.values(stepVariable)[0]
}

/** Numbers of `low` … `high`, the same in every run. */
export function numbers(size: number, stream = 0, low = -1, high = 1): number[] {
  const random = new RandomStream(11, Purpose.sample, stream)
  return Array.from({ length: size }, () => low + (high - low) * random.uniform())
}

/** Rows of random numbers. */
export function rows(count: number, width: number, stream = 0, low = -1, high = 1): number[][] {
  const values = numbers(count * width, stream, low, high)
  return Array.from({ length: count }, (_, i) => values.slice(i * width, (i + 1) * width))
}

export const xor = {
  x: [
    [0, 0],
    [0, 1],
    [1, 0],
    [1, 1],
  ],
  y: [[0], [1], [1], [0]],
}

/** 1 on the diagonal: sample i touches weight i alone, so weights tell which samples were used. */
export function oneHotRows(count: number): number[][] {
  return Array.from({ length: count }, (_, i) => Array.from({ length: count }, (_, j) => (i === j ? 1 : 0)))
}

/** The largest |a - b| over the largest |b|. */
export function scaledError(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length)
  let [difference, scale] = [0, 1e-30]
  for (let i = 0; i < b.length; i++) {
    difference = Math.max(difference, Math.abs(a[i] - b[i]))
    scale = Math.max(scale, Math.abs(b[i]))
  }
  return Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference / scale
}

/** A layer of one parameter p with the features' shape: y = x p. With `sumLoss` the gradient of p is the sample x itself. */
export function scaledBy(width: number, start = ones): (x: Tensor) => Tensor {
  const p = parameter('p', [width], start)
  return (x) => multiply(x, p)
}

/** What the model's only output is while training, in its present step, for these rows of its only input. */
export function whileTraining(net: Model, x: readonly ArrayLike<number>[]): Float32Array {
  const plan = buildPlan({
    inputs: net.namedInputs(),
    outputs: { y: net.outputs[0] },
    variables: net.layout,
    batchSize: x.length,
    mode: 'training',
  })
  const session = net.load(plan)
  const { arena } = session
  const fed = plan.tensors[plan.inputs[net.inputNames[0]]]
  if (fed !== undefined) arena.view(fed).set(x.flatMap((row) => Array.from(row)))
  session.execute(0, plan.instructions.length)
  return arena.view(plan.tensors[plan.outputs.y]) as Float32Array
}

/** The sum of the predictions, whatever the targets. */
export const sumLoss = (prediction: Tensor): Tensor => sum(prediction, { axes: [-1] })

/** y = p x from p = 0: with sumLoss and x = 1 every step takes its learning rate from p, and the loss of a step is p before it. */
export const line = (executor: ExecutorName) => sequential([input(1), scaledBy(1, constantOf(0))], { executor })

/** Samples for `line`. */
export const onesOf = (count: number) => ({ x: Array.from({ length: count }, () => [1]), y: Array.from({ length: count }, () => [0]) })

/** The rates that steps of a `line` really were taken with. Powers of 2, so that float32 subtracts them exactly. */
export async function ratesTaken(
  net: Model,
  count: number,
  learningRate: LearningRate,
  options: Partial<FitOptions> = {},
): Promise<number[]> {
  const losses: number[] = []
  await net.fit(onesOf(count), {
    loss: sumLoss,
    optimizer: sgd({ learningRate }),
    batchSize: 1,
    callbacks: [{ onEpochBegin: () => {}, onSteps: (steps) => void losses.push(...steps.losses) }],
    ...options,
  })
  losses.push(net.weights().p.data[0])
  return losses.slice(1).map((loss, i) => losses[i] - loss)
}

/** An optimizer's steps over a sequence of gradients, from p = 1: the parameters after each. Batches of one sample, in order. */
export async function stepsWith(net: Model, optimizer: Optimizer, gradients: readonly (readonly number[])[]): Promise<number[][]> {
  const result: number[][] = []
  for (const gradient of gradients) {
    await net.fit({ x: [gradient], y: [gradient.map(() => 0)] }, { loss: sumLoss, optimizer, batchSize: 1, shuffle: false })
    result.push([...net.weights().p.data])
  }
  return result
}
