/** Inputs of a model: which there may be, and what they are fed with. */
import { type RowMemory, type Rows, toRows } from '../data/rows.ts'
import { counted, describe, OptionError, ShapeError } from '../errors.ts'
import { batch, concrete, formatShape } from '../graph/shape.ts'
import { ancestors, Tensor } from '../graph/tensor.ts'
import { sourceOps } from '../ops/source.ts'
import type { Model } from './model.ts'
import { numbersByName } from './names.ts'
import type { Features } from './trainingData.ts'

/** Throws unless outputs depend on all inputs, and on no others. */
export function checkInputs(where: string, inputs: readonly Tensor[], outputs: readonly Tensor[]): readonly Tensor[] {
  for (const tensor of [...inputs, ...outputs]) {
    if (!(tensor instanceof Tensor))
      throw new OptionError(
        `${where}: inputs and outputs must be symbolic tensors, got ${describe(tensor)}; make inputs with input(shape).`,
      )
  }
  if (outputs.length === 0) throw new OptionError(`${where}: expected at least one output, got none.`)
  if (new Set(inputs).size !== inputs.length) throw new OptionError(`${where}: an input is listed twice.`)
  for (const tensor of inputs)
    if (tensor.op !== sourceOps.input)
      throw new OptionError(`${where}: inputs must come from input(shape), got the result of ${tensor.op.name}.`)
  const needed = new Set(ancestors(outputs))
  for (const node of needed) {
    if (node.op === sourceOps.input && !inputs.includes(node))
      throw new OptionError(`${where}: an output depends on an input of shape ${formatShape(node.shape)} that is not among the inputs.`)
  }
  for (const tensor of inputs)
    if (!needed.has(tensor)) throw new OptionError(`${where}: no output depends on the input of shape ${formatShape(tensor.shape)}.`)
  for (const tensor of outputs)
    if (tensor.shape[0] !== batch)
      throw new ShapeError(`${where}: outputs must have the batch as first dimension, got ${formatShape(tensor.shape)}.`)
  return inputs
}

/** Checks and converts features: one block of rows for each input. */
export function toInputRows(
  where: string,
  { inputs, inputNames }: Model,
  x: Features,
  memory?: RowMemory,
): { rows: readonly Rows[]; count: number } {
  const given = numbersByName(where, 'x', 'input', inputNames, x)
  const rows = inputs.map((tensor, i) => {
    const name = inputNames[i]
    const spec = { name: `input "${name}"`, shape: concrete(tensor.shape.slice(1)), dtype: tensor.dtype }
    return toRows(where, given[name], spec, memory)
  })
  const [{ count }] = rows
  rows.forEach((other, i) => {
    if (other.count !== count)
      throw new ShapeError(
        `${where}: input "${inputNames[0]}" has ${counted(count, 'sample')} and input "${inputNames[i]}" has ${other.count}; they must be equal.`,
      )
  })
  return { rows, count }
}
