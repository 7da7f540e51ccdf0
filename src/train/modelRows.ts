import { flatten, isNumbers, type NumbersLike } from '../data/ndarray.ts'
import { counted, DataError } from '../errors.ts'
import { concrete, sameShape, sizeOf } from '../graph/shape.ts'
import type { Dtype } from '../graph/tensor.ts'
import { allocateShared } from '../memory.ts'
import type { BatchPredictor } from '../predict/batchPredictor.ts'
import type { Model } from './model.ts'
import { numbersByName } from './names.ts'

/** One sample: a number or numbers for the only input, or by input name for several. */
export type RowFeatures = number | NumbersLike | Readonly<Record<string, number | NumbersLike>>

interface RowInput {
  readonly name: string
  readonly shape: readonly number[]
  readonly width: number
  readonly dtype: Dtype
}

type Block = Float32Array | Int32Array

/**
 * A model as what predicts rows: a result is an NdArray of the output's shape without the batch; of a model of several outputs, an object of them by
 * output name.
 */
export class ModelRows implements BatchPredictor<RowFeatures, unknown> {
  private readonly model: Model
  private readonly inputs: readonly RowInput[]
  /** Shared memory that no batch is in, of every input. */
  private readonly free: (readonly Block[])[] = []

  constructor(model: Model) {
    this.model = model
    this.inputs = model.inputs.map((tensor, i) => {
      const shape = concrete(tensor.shape.slice(1))
      return { name: model.inputNames[i], shape, width: sizeOf(shape), dtype: tensor.dtype }
    })
  }

  async predictRows(rows: readonly RowFeatures[]): Promise<unknown[]> {
    const blocks = this.takeBlocks(rows.length)
    try {
      rows.forEach((row, i) => this.read(() => `predict: row ${i}`, row, blocks, i))
      const outputs = await this.model.predictBatches(blocks, rows.length, { padded: true })
      const parts = outputs.map((output) => output.rows())
      if (parts.length === 1) return parts[0]
      return rows.map((_, i) => Object.fromEntries(parts.map((part, k) => [this.model.outputNames[k], part[i]])))
    } finally {
      this.free.push(blocks)
    }
  }

  checkRow(row: RowFeatures, where: string): void {
    const blocks = this.takeBlocks(1)
    this.free.push(blocks)
    this.read(() => where, row, blocks, 0)
  }

  private takeBlocks(rows: number): readonly Block[] {
    const blocks = this.free.pop()
    if (blocks?.every((block, i) => block.length >= rows * this.inputs[i].width)) return blocks
    return this.inputs.map(({ name, width, dtype }) => {
      const memory = allocateShared(rows * width * 4, `predict: ${counted(rows, 'row')} of input "${name}"`, 'Try a smaller batchSize.')
      return dtype === 'float32' ? new Float32Array(memory) : new Int32Array(memory)
    })
  }

  private read(where: () => string, row: RowFeatures, blocks: readonly Block[], i: number): void {
    const alone = this.inputs.length === 1 && (typeof row === 'number' || isNumbers(row))
    const byName = alone ? null : numbersByName(where(), 'the row', 'input', this.model.inputNames, row as NumbersLike)
    this.inputs.forEach((input, k) => readNumbers(where, byName === null ? (row as NumbersLike) : byName[input.name], input, blocks[k], i))
  }
}

/** Writes the numbers of row i into a block of rows, or says what is wrong with them. */
function readNumbers(where: () => string, given: number | NumbersLike, input: RowInput, block: Block, i: number): void {
  const start = i * input.width
  if (copied(given, block, start, input.width)) return
  const place = `${where()}: input "${input.name}"`
  const { shape, width, dtype } = input
  const { size, shape: found, read } = flatten(place, typeof given === 'number' ? [given] : given)
  const fits = size === width && (found === null || found.length <= 1 || sameShape(found, shape))
  if (!fits)
    throw new DataError(
      `${place}: expected ${counted(width, 'number')} of shape [${shape.join(', ')}], got ${found === null || found.length === 1 ? counted(size, 'number') : `numbers of shape [${found.join(', ')}]`}.`,
    )
  const exact = new Float64Array(width)
  read(exact as unknown as Float32Array)
  exact.forEach((value, column) => {
    if (!Number.isFinite(Math.fround(value)))
      throw new DataError(
        `${place}: expected finite numbers, got ${value} at column ${column}. Leave the row out or fill in the value; magnitudes above 3.4e38 do not fit float32.`,
      )
    if (dtype === 'int32' && value !== (value | 0)) throw new DataError(`${place}: expected integers, got ${value} at column ${column}.`)
  })
  block.set(exact, start)
}

/** The usual case, fast: exactly the numbers wanted, in an array or a typed one. */
function copied(given: number | NumbersLike, block: Block, start: number, width: number): boolean {
  if (!(Array.isArray(given) || ArrayBuffer.isView(given)) || (given as Float32Array).length !== width) return false
  const isFloat = block instanceof Float32Array
  for (let i = 0; i < width; i++) {
    const value = (given as Float32Array)[i]
    if (typeof value !== 'number') return false
    block[start + i] = value
    if (isFloat ? block[start + i] - block[start + i] !== 0 : block[start + i] !== value) return false
  }
  return true
}
