/** One instruction of the addon on its own, over memory that the caller can fill and read. */
import { type Addon, type AddonAttribute, type AddonSession, loadAddon } from '../../src/executors/native/addon.ts'

export function requireAddon(): Addon {
  const { addon, failure } = loadAddon()
  if (addon === undefined) throw new Error(`These benchmarks need the addon: ${failure}`)
  return addon
}

export interface Operand {
  readonly shape: readonly number[]
  readonly dtype?: 'float32' | 'int32'
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
  /** The memory of an operand, zeroed at first. */
  values(operand: Operand): Float32Array | Int32Array
  /** A step takes about 3 ns more than its instruction, and a call about 2 µs more than its steps. */
  run(times: number): void
}

/** Every operand has a block of memory of its own. */
export function loadInstruction(
  addon: Addon,
  { op, inputs, outputs, attributes }: InstructionDescription,
  options: { threads: number; isa?: string },
): LoadedInstruction {
  const operands = [...new Set([...inputs, ...outputs])]
  const memory = operands.map(({ shape, dtype }) => allocate(addon, elements(shape), dtype ?? 'float32'))
  const session = addon.load(
    {
      blocks: memory.map(({ byteLength }) => byteLength),
      tensors: operands.map(({ shape, dtype }, block) => ({ block, offset: 0, shape, dtype: dtype ?? 'float32' })),
      instructions: [
        {
          op,
          inputs: inputs.map((operand) => operands.indexOf(operand)),
          outputs: outputs.map((operand) => operands.indexOf(operand)),
          attributes,
        },
      ],
    },
    memory,
    options,
  )
  return {
    session,
    values: (operand) => memory[operands.indexOf(operand)],
    run: (times) => {
      if (session.runSync({ steps: times }).stopped !== 'none') throw new Error(`${op} stopped: its data are not finite`)
    },
  }
}

export const elements = (shape: readonly number[]) => shape.reduce((product, extent) => product * extent, 1)

function allocate(addon: Addon, count: number, dtype: 'float32' | 'int32'): Float32Array | Int32Array {
  const buffer = new SharedArrayBuffer(4 * count + addon.alignment)
  const offset = addon.bytesToAlignment(new Uint8Array(buffer))
  return dtype === 'int32' ? new Int32Array(buffer, offset, count) : new Float32Array(buffer, offset, count)
}

/** Numbers of -0.5 … 0.5, the same as `fill` in rivals.cc makes of the same seed. */
export function fill(values: Float32Array | Int32Array, seed: number): void {
  let state = seed
  for (let i = 0; i < values.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    values[i] = (state >>> 8) / 2 ** 24 - 0.5
  }
}
