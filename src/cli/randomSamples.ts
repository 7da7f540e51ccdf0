/** Samples for a model where there are no rows at hand: random numbers of its shapes. */
import { NdArray } from '../data/ndarray.ts'
import type { EncodedMemory, FittedSchema } from '../data/schema/fitted.ts'
import { OptionError } from '../errors.ts'
import { concrete, sizeOf } from '../graph/shape.ts'
import type { Tensor } from '../graph/tensor.ts'
import { type LossName, lossFor } from '../nn/losses/index.ts'
import { Purpose, RandomStream } from '../random.ts'
import type { TabularModel } from '../tabular/tabularModel.ts'
import type { Model } from '../train/model.ts'
import type { TrainingData } from '../train/trainingData.ts'

/** What a model can be trained on, and for. */
export interface Samples {
  readonly data: TrainingData
  readonly loss: LossName | LossName[]
}

type Fill = (values: Float32Array | Int32Array) => void

const random = () => new RandomStream(0, Purpose.sample)

/** For a model with a schema: standardised numbers, existing categories and classes. */
export function randomRows(table: TabularModel, rows: number): Samples {
  return { data: table.trainingData(randomMemory(table.schema as FittedSchema, rows)), loss: table.losses() }
}

function randomMemory(schema: FittedSchema, rows: number): EncodedMemory {
  const memory = schema.allocate(rows)
  const stream = random()
  schema.inputs.forEach(({ sizes = [], shape }, i) => {
    fill(memory.inputs[i], (at) => {
      const size = sizes.length === 1 ? sizes[0] : sizes[at % sizeOf(shape)]
      return size === undefined ? stream.normal() : stream.below(size)
    })
  })
  schema.outputs.forEach(({ classes }, i) =>
    fill(memory.targets[i], () => (classes === null ? stream.normal() : stream.below(classes.length))),
  )
  return memory
}

/**
 * For a model without a schema. Inputs of indices get 0, which is an index whatever it is an index of.
 *
 * @param loss Says what targets look like.
 */
export function randomSamples(model: Model, loss: LossName | undefined, rows: number, where: string): Samples {
  if (loss === undefined)
    throw new OptionError(
      `${where}: the model has no schema that says what it is trained for; give --loss, such as --loss meanSquaredError.`,
    )
  const { task } = lossFor(where, loss)
  const stream = random()
  const array = (tensor: Tensor, value: Fill) => {
    const shape = [rows, ...concrete(tensor.shape.slice(1))]
    const data = new Float32Array(sizeOf(shape))
    value(data)
    return new NdArray(data, shape)
  }
  const x = Object.fromEntries(
    model.inputs.map((tensor, i) => [
      model.inputNames[i],
      array(tensor, (values) => fill(values, () => (tensor.dtype === 'int32' ? 0 : stream.normal()))),
    ]),
  )
  const y = Object.fromEntries(
    model.outputs.map((tensor, i) => {
      const classes = concrete(tensor.shape.slice(1)).at(-1) ?? 1
      if (task === 'sparse') return [model.outputNames[i], Array.from({ length: rows }, () => stream.below(classes))]
      const chosen = Array.from({ length: rows }, () => stream.below(classes))
      const number = (at: number) =>
        task === 'regression'
          ? stream.normal()
          : task === 'binary'
            ? stream.below(2)
            : Number(chosen[Math.floor(at / classes)] === at % classes)
      return [model.outputNames[i], array(tensor, (values) => fill(values, number))]
    }),
  )
  const only = (named: Record<string, NdArray | number[]>) => (Object.keys(named).length === 1 ? Object.values(named)[0] : named)
  return { data: { x: only(x), y: only(y) }, loss }
}

function fill(values: Float32Array | Int32Array, value: (at: number) => number): void {
  for (let i = 0; i < values.length; i++) values[i] = value(i)
}
