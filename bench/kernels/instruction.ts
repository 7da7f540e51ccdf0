/** One instruction of the addon on its own, over memory that the caller can read. */
import { NativeError } from '../../src/errors.ts'
import { type Addon, type AddonAttribute, type AddonSession, loadAddon } from '../../src/executors/native/addon.ts'
import { sizeOf } from '../../src/graph/shape.ts'

export function requireAddon(): Addon {
  const { addon, failure } = loadAddon()
  if (addon === undefined) throw new NativeError(`These benchmarks need the addon: ${failure}`)
  return addon
}

export interface Operand {
  readonly shape: readonly number[]
  readonly dtype?: 'float32' | 'int32'
  /** What all its elements are at first, instead of the numbers that `seed` gives. */
  readonly value?: number
  readonly seed?: number
}

export interface InstructionDescription {
  readonly op: string
  readonly inputs: readonly Operand[]
  /** An operand that is among the inputs too is changed in place. */
  readonly outputs: readonly Operand[]
  readonly attributes?: Readonly<Record<string, AddonAttribute>>
}

export interface LoadedInstruction {
  readonly session: AddonSession
  values(operand: Operand): Float32Array | Int32Array
  run(times: number): void
}

/** A plan repeats the instruction, so that a call into the addon (about 0.1 µs) is nothing beside what it runs. */
const REPETITIONS = 256

/** Bytes that start at an aligned address. */
export type Memory = Uint8Array<SharedArrayBuffer>

export function memoryOf(addon: Addon, bytes: number): Memory {
  const buffer = new SharedArrayBuffer(bytes + addon.alignment)
  return new Uint8Array(buffer, addon.bytesToAlignment(new Uint8Array(buffer)), bytes)
}

/** All operands of an instruction, once each. */
export const operandsOf = ({ inputs, outputs }: Pick<InstructionDescription, 'inputs' | 'outputs'>) => [...new Set([...inputs, ...outputs])]

export const bytesOf = ({ shape }: Operand) => 4 * sizeOf(shape)

/** Where operands lie that follow one another, each at an aligned place, and how many bytes they take together. */
export function layOut(operands: readonly Operand[], { alignment }: Pick<Addon, 'alignment'>): { offsets: number[]; bytes: number } {
  const offsets: number[] = []
  let bytes = 0
  for (const operand of operands) {
    offsets.push(bytes)
    bytes += Math.ceil(bytesOf(operand) / alignment) * alignment
  }
  return { offsets, bytes }
}

/** Loads a plan of one instruction. Its operands lie in `memory` as `layOut` has it, or in memory of their own. */
export function loadInstruction(
  addon: Addon,
  { op, inputs, outputs, attributes }: InstructionDescription,
  options: { threads: number; isa?: string },
  memory?: Memory,
): LoadedInstruction {
  const operands = operandsOf({ inputs, outputs })
  const { offsets, bytes } = layOut(operands, addon)
  const region = memory ?? memoryOf(addon, bytes)
  if (region.length < bytes) throw new Error(`${op}: the operands take ${bytes} bytes, the memory has ${region.length}`)
  const values = operands.map(({ shape, dtype, value, seed = 1 }, i) => {
    const place = [region.buffer, region.byteOffset + offsets[i], sizeOf(shape)] as const
    const array = dtype === 'int32' ? new Int32Array(...place) : new Float32Array(...place)
    return value === undefined ? fill(array, seed) : array.fill(value)
  })
  const numbers = (list: readonly Operand[]) => list.map((operand) => operands.indexOf(operand))
  const instruction = { op, inputs: numbers(inputs), outputs: numbers(outputs), attributes }
  const session = addon.load(
    {
      blocks: [bytes],
      tensors: operands.map(({ shape, dtype = 'float32' }, i) => ({ block: 0, offset: offsets[i], shape, dtype })),
      instructions: new Array(REPETITIONS).fill(instruction),
    },
    [region],
    options,
  )
  return {
    session,
    values: (operand) => values[operands.indexOf(operand)],
    run: (times) => {
      for (let left = times; left > 0; left -= REPETITIONS) session.execute(0, Math.min(left, REPETITIONS))
    },
  }
}

/** Numbers of -0.5 … 0.5, the same as `fill` in libraries.cc makes of the same seed. They repeat, for the sake of large arrays. */
function fill<Values extends Float32Array | Int32Array>(values: Values, seed: number): Values {
  const period = Math.min(values.length, 2 ** 20)
  let state = seed
  for (let i = 0; i < period; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    values[i] = (state >>> 8) / 2 ** 24 - 0.5
  }
  for (let filled = period; filled < values.length; filled *= 2) values.copyWithin(filled, 0, Math.min(filled, values.length - filled))
  return values
}
