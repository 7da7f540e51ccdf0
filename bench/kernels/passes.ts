/**
 * Single passes over memory through the addon: elementwise chains, softmax, sums and optimizers, against the bandwidth of the level
 * of memory they work in.
 *
 *     npx tsx bench/kernels/passes.ts [--threads N] [--isa X] [--quick] [--rounds N] [--only adam] [--json FILE]
 */
import { cpus } from 'node:os'
import type { Addon, AddonAttribute } from '../../src/executors/native/addon.ts'
import {
  adadelta,
  adagrad,
  adam,
  adamax,
  adamW,
  dense,
  ftrl,
  input,
  lamb,
  lion,
  nadam,
  type Optimizer,
  radam,
  rmsprop,
  rprop,
  sequential,
  sgd,
} from '../../src/index.ts'
import type { Instruction } from '../../src/plan/plan.ts'
import { type Spread, spread } from '../statistics.ts'
import { drawTable, percent, threadsOf } from '../tables.ts'
import { tellOthers, watchOthers } from '../window.ts'
import { type Options, runCommand } from './command.ts'
import { bytesMoved, leastSeconds, trafficOf } from './floors.ts'
import {
  bytesOf,
  type InstructionDescription,
  layOut,
  loadInstruction,
  type Memory,
  memoryOf,
  type Operand,
  operandsOf,
  requireAddon,
} from './instruction.ts'
import { type Bandwidth, type Level, levels, measureLimits } from './limits.ts'
import { guessSeconds, repetitions, secondsOf } from './timing.ts'

interface Pass {
  readonly op: string
  /** The last extent of the arrays; without it they have one axis. */
  readonly columns?: number
  readonly attributes?: Readonly<Record<string, AddonAttribute>>
  readonly operands: (shape: readonly number[]) => { inputs: Operand[]; outputs: Operand[] }
}

const scalar = (value: number, dtype: 'float32' | 'int32' = 'float32'): Operand => ({ shape: [], dtype, value })

/** y = f(inputs), all of one size, and perhaps scalars after them. */
const chain = (steps: readonly string[], arrays = 1, scalars: readonly number[] = []): Pass => ({
  op: 'elementwise',
  attributes: { steps },
  operands: (shape) => ({
    inputs: [...Array.from({ length: arrays }, () => ({ shape })), ...scalars.map((value) => scalar(value))],
    outputs: [{ shape }],
  }),
})

const rows = (op: string, columns: number): Pass => ({
  op,
  columns,
  operands: (shape) => ({ inputs: [{ shape }], outputs: [{ shape }] }),
})

/** Losses, or the gradient of their mean, of rows of logits and one class number each. */
const crossEntropy = (columns: number, gradient: boolean): Pass => ({
  op: gradient ? 'softmaxCrossEntropyGradient' : 'softmaxCrossEntropy',
  columns,
  operands: (shape) => ({
    inputs: [{ shape }, { shape: shape.slice(0, 1), dtype: 'int32', value: 3 }, ...(gradient ? [scalar(1 / shape[0])] : [])],
    outputs: [{ shape: gradient ? shape : shape.slice(0, 1) }],
  }),
})

/** A sum over one of two axes, or over the only one. */
const sum = (axis: number, columns?: number): Pass => ({
  op: 'sum',
  columns,
  attributes: { start: axis, end: axis + 1 },
  operands: (shape) => ({ inputs: [{ shape }], outputs: [{ shape: shape.toSpliced(axis, 1) }] }),
})

/**
 * The pass of an optimizer over all parameters, as the planner makes it: the instruction that writes the parameters, or, where each has an
 * update of its own (LAMB), the one that comes before it.
 */
function optimizer(choice: Optimizer): Pass {
  const net = sequential([input(40), dense(30)])
  const { tensors, instructions, constants } = net.trainingPlan(1, { loss: 'meanSquaredError', optimizer: choice })
  const { op, inputs, outputs, attributes } = instructions.find(({ op }) => ['sgd', 'adam', 'update'].includes(op)) as Instruction
  const isArray = (tensor: number) => tensors[tensor].shape.length > 0
  const place = (tensor: number) => `${tensors[tensor].block} ${tensors[tensor].offset}`
  const targets = outputs.map((output) => inputs.findIndex((operand) => place(operand) === place(output)))
  return {
    op,
    attributes: attributes as Readonly<Record<string, AddonAttribute>>,
    operands: (shape) => {
      const operands = inputs.map((tensor): Operand => {
        const { block, dtype } = tensors[tensor]
        if (isArray(tensor)) return block.startsWith('slots/') ? { shape, value: 0 } : { shape }
        const known = constants.find((each) => each.tensor === tensor)?.value ?? (block === 'schedule' ? 1e-3 : 1)
        return scalar(dtype === 'int32' ? 0 : known, dtype)
      })
      return { inputs: operands, outputs: targets.map((target) => operands[target]) }
    },
  }
}

const passes: Readonly<Record<string, Pass>> = {
  relu: chain(['relu 0']),
  'relu, in place': {
    ...chain(['relu 0']),
    operands: (shape) => {
      const x = { shape }
      return { inputs: [x], outputs: [x] }
    },
  },
  'gradient of relu': chain(['greater 0 2', 'where 3 1 2'], 2, [0]),
  gelu: chain(['gelu 0']),
  tanh: chain(['tanh 0']),
  'dropout: mask': {
    op: 'bernoulli',
    attributes: { probability: 0.8, value: 1.25, stream: 0 },
    operands: (shape) => ({ inputs: [{ shape: [2], dtype: 'int32', value: 7 }, scalar(1, 'int32')], outputs: [{ shape }] }),
  },
  'dropout: apply': chain(['multiply 0 1'], 2),
  'softmax of 10': rows('softmax', 10),
  'softmax of 1024': rows('softmax', 1024),
  'logSoftmax of 1024': rows('logSoftmax', 1024),
  'cross-entropy of 10': crossEntropy(10, false),
  'its gradient, of 10': crossEntropy(10, true),
  'cross-entropy of 1024': crossEntropy(1024, false),
  'its gradient, of 1024': crossEntropy(1024, true),
  'sum of all': sum(0),
  'sums of rows': sum(1, 1024),
  'sums of columns (bias)': sum(0, 1024),
  checkFinite: {
    op: 'checkFinite',
    operands: (shape) => ({ inputs: [{ shape }], outputs: [{ shape: [], dtype: 'int32' }] }),
  },
  sgd: optimizer(sgd()),
  momentum: optimizer(sgd({ momentum: 0.9 })),
  adam: optimizer(adam()),
  adamw: optimizer(adamW()),
  amsgrad: optimizer(adam({ amsgrad: true })),
  adamax: optimizer(adamax()),
  nadam: optimizer(nadam()),
  radam: optimizer(radam()),
  'lamb: direction': optimizer(lamb()),
  adagrad: optimizer(adagrad()),
  adadelta: optimizer(adadelta()),
  rmsprop: optimizer(rmsprop()),
  'rmsprop, centered, momentum': optimizer(rmsprop({ centered: true, momentum: 0.9 })),
  ftrl: optimizer(ftrl()),
  lion: optimizer(lion()),
  rprop: optimizer(rprop()),
}

export const passNames = Object.keys(passes)

interface Row {
  readonly pass: string
  readonly level: string
  readonly elements: number
  readonly elementsPerNanosecond: Spread
  readonly gigabytesPerSecond: number
  /** How long the measured bandwidths allow the pass to take, divided by how long it takes. Null when they could not be measured. */
  readonly shareOfLimit: number | null
}

/** The instruction of a pass over so many elements, or so many rows of them. */
const instructionOf = ({ op, columns, attributes, operands }: Pass, count: number): InstructionDescription => ({
  op,
  attributes,
  ...operands(columns === undefined ? [count] : [count, columns]),
})

const total = (operands: readonly Operand[]) => operands.reduce((bytes, operand) => bytes + bytesOf(operand), 0)

/** An operand is the same memory as itself. */
const placed = (operands: readonly Operand[]) => operands.map((operand) => ({ place: operand, bytes: bytesOf(operand) }))

/** So many elements, or rows of them, that the arrays which grow with their number fill the working set of a level together. */
function countFor(pass: Pass, bytes: number): number {
  const [one, two] = [1, 2].map((count) => total(operandsOf(instructionOf(pass, count))))
  return Math.floor(bytes / (two - one))
}

/** The memory that a pass needs in order to fill a working set: a little more than that, for the sake of scalars and alignment. */
export function bytesFor(name: string, workingSet: number, addon: Pick<Addon, 'alignment'>): number {
  const pass = passes[name]
  return layOut(operandsOf(instructionOf(pass, countFor(pass, workingSet))), addon).bytes
}

function measurePass(name: string, level: Level, memory: Memory, limit: Bandwidth | undefined, options: Options): Row {
  const { threads, isa, rounds, windowSeconds } = options
  const pass = passes[name]
  const count = countFor(pass, level.bytes)
  const elements = count * (pass.columns ?? 1)
  const description = instructionOf(pass, count)
  const traffic = trafficOf(placed(description.inputs), placed(description.outputs))
  const instruction = loadInstruction(requireAddon(), description, { threads, isa }, memory)
  const times = repetitions(windowSeconds, guessSeconds(threads, instruction.run))
  const rates = Array.from({ length: rounds }, () => {
    const seconds = secondsOf(threads, () => instruction.run(times))
    return (elements * times) / (seconds * 1e9)
  })
  const elementsPerNanosecond = spread(rates)
  return {
    pass: name,
    level: level.name,
    elements,
    elementsPerNanosecond,
    gigabytesPerSecond: (elementsPerNanosecond.median * bytesMoved(traffic)) / elements,
    shareOfLimit: limit === undefined ? null : (1e9 * elementsPerNanosecond.median * leastSeconds(traffic, limit)) / elements,
  }
}

function printTable(level: Level, limit: Bandwidth | undefined, rows: readonly Row[]): void {
  const digits = (value: number) => value.toPrecision(3)
  const limits = limit === undefined ? [] : (['read', 'write', 'copy', 'update'] as const).map((way) => `${way} ${digits(limit[way])}`)
  console.log(`${level.name}, ${digits(level.bytes / 2 ** 20)} MiB${limits.length > 0 ? `; GB/s: ${limits.join(', ')}` : ''}`)
  const head = ['pass', 'elements', 'elements/ns', 'lowest … highest', 'GB/s', 'of the limit']
  const cells = rows.map(({ pass, elements, elementsPerNanosecond: rate, gigabytesPerSecond, shareOfLimit }) => {
    const range = `${digits(rate.lowest)} … ${digits(rate.highest)}`
    return [pass, elements.toLocaleString('en-US'), digits(rate.median), range, digits(gigabytesPerSecond), percent(shareOfLimit, '–')]
  })
  console.log(drawTable({ head, words: 1, rows: cells }))
}

/** Measures and prints all passes, and returns what JSON should hold. */
export async function benchPasses(options: Options): Promise<object> {
  const { threads, isa, rounds, only } = options
  const addon = requireAddon()
  const context = { cpu: cpus()[0].model, instructionSet: isa ?? process.env.THALWEG_ISA ?? addon.isas[0], threads, rounds }
  console.log(
    `Passes. ${context.cpu}, ${context.instructionSet}, ${threadsOf(threads)}, medians of ${rounds} ${rounds === 1 ? 'window' : 'windows'}.`,
  )
  const others = watchOthers()
  const limits: Record<string, Bandwidth> = {}
  const results: Row[] = []
  const names = only === undefined ? passNames : [only]
  for (const level of levels(threads)) {
    const limit = (await measureLimits(threads, [level.bytes]))?.memory[0]
    if (limit !== undefined) limits[level.name] = limit
    // One piece for all passes of a level: the largest ones would not fit next to each other.
    const memory = memoryOf(addon, Math.max(...names.map((name) => bytesFor(name, level.bytes, addon))))
    const rows = names.map((name) => measurePass(name, level, memory, limit, options))
    printTable(level, limit, rows)
    results.push(...rows)
  }
  const disturbed = others()
  tellOthers(disturbed)
  return { ...context, disturbed, limits, rows: results }
}

if (import.meta.filename === process.argv[1]) {
  const what = 'Single passes over memory through the addon, against the bandwidth of the level of memory they work in.'
  await runCommand({ name: 'npx tsx bench/kernels/passes.ts', what, parts: passNames }, benchPasses)
}
