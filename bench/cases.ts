/**
 * The networks that are measured, as plain data: every contestant, in TypeScript or Python, builds its network from one of these objects,
 * so that a case is defined once.
 */
import { unknownName } from '../src/checks.ts'

export type OptimizerDefinition =
  | { readonly kind: 'sgd'; readonly learningRate: number; readonly momentum: number }
  | { readonly kind: 'adam' | 'adamW'; readonly learningRate: number; readonly epsilon: number; readonly weightDecay: number }

export interface Case {
  readonly name: string
  readonly what: string
  /** Features, hidden units …, outputs. */
  readonly sizes: readonly number[]
  readonly hidden: 'tanh' | 'relu' | 'gelu'
  readonly output: 'linear' | 'sigmoid'
  /** After each hidden layer. */
  readonly dropout: number
  readonly batchSize: number
  readonly loss: 'meanSquaredError' | 'sparseCategoricalCrossentropy'
  readonly optimizer: OptimizerDefinition
  /** The four rows of XOR, over and over; standard normal features; or uniform ones of 0 … 1, as pixels are. */
  readonly features: 'xor' | 'normal' | 'uniform'
}

const sgd = (momentum: number): OptimizerDefinition => ({ kind: 'sgd', learningRate: 1e-3, momentum })
const adam: OptimizerDefinition = { kind: 'adam', learningRate: 1e-4, epsilon: 1e-8, weightDecay: 0 }
const adamW: OptimizerDefinition = { kind: 'adamW', learningRate: 1e-4, epsilon: 1e-8, weightDecay: 0.01 }

const regression = { output: 'linear', dropout: 0, loss: 'meanSquaredError', features: 'normal' } as const
const classification = {
  hidden: 'relu',
  output: 'linear',
  dropout: 0,
  loss: 'sparseCategoricalCrossentropy',
  features: 'uniform',
} as const

const list: readonly Case[] = [
  {
    ...regression,
    name: 'a',
    what: 'XOR: 2-8-1 tanh, sigmoid, SGD, squared error',
    sizes: [2, 8, 1],
    hidden: 'tanh',
    output: 'sigmoid',
    batchSize: 4,
    optimizer: sgd(0),
    features: 'xor',
  },
  {
    ...regression,
    name: 'b',
    what: '13-64-64-1 ReLU, Adam, squared error',
    sizes: [13, 64, 64, 1],
    hidden: 'relu',
    batchSize: 32,
    optimizer: adam,
  },
  { ...classification, name: 'c', what: '784-128-10 ReLU, Adam, softmax', sizes: [784, 128, 10], batchSize: 32, optimizer: adam },
  {
    ...classification,
    name: 'd',
    what: '784-256-128-100-10 ReLU, momentum, softmax',
    sizes: [784, 256, 128, 100, 10],
    batchSize: 128,
    optimizer: sgd(0.9),
  },
  {
    ...classification,
    name: 'e',
    what: '784-1024-1024-10 ReLU, dropout 0.2, Adam, softmax',
    sizes: [784, 1024, 1024, 10],
    dropout: 0.2,
    batchSize: 256,
    optimizer: adam,
  },
  {
    ...classification,
    name: 'f',
    what: '1024-4096-4096-1000 GELU, AdamW, softmax',
    sizes: [1024, 4096, 4096, 1000],
    hidden: 'gelu',
    batchSize: 256,
    optimizer: adamW,
    features: 'normal',
  },
]

export const cases: Readonly<Record<string, Case>> = Object.fromEntries(list.map((definition) => [definition.name, definition]))

/** The case of that name; the error lists the names there are. */
export function caseNamed(name: string): Case {
  if (!Object.hasOwn(cases, name)) throw unknownName('case', name, Object.keys(cases))
  return cases[name]
}

/** A line for each case, for the help of a command. */
export const caseLines = (): string[] => list.map(({ name, what, batchSize }) => `${name}  ${what}, batch ${batchSize}`)

export function parameterCount({ sizes }: Case): number {
  return sizes.slice(1).reduce((sum, units, i) => sum + (sizes[i] + 1) * units, 0)
}

/**
 * Floating-point operations that a step cannot do without: the three products of every layer (forward, gradient of the kernel, gradient of
 * the input), 2 · batch · in · out each; nobody computes the gradient of the first layer's input.
 */
export function flopsPerStep({ sizes, batchSize }: Case): number {
  const products = sizes.slice(1).map((units, i) => 2 * batchSize * sizes[i] * units)
  return 3 * products.reduce((sum, flops) => sum + flops, 0) - products[0]
}
