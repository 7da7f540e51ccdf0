/** Models from layers, and from symbolic inputs and outputs. */
import { describe, OptionError } from '../errors.ts'
import { Tensor } from '../graph/tensor.ts'
import type { Layer } from '../nn/layers.ts'
import { Model, type ModelOptions } from './model.ts'

/**
 * A stack of layers: `sequential([input(784), dense(128, { activation: 'relu' }), dense(10)])`.
 *
 * @param layers An input first, then layers, each a function of one tensor.
 * @example sequential([input(784), dense(128, { activation: 'relu' }), dense(10)])
 */
export function sequential(layers: readonly (Tensor | Layer | ((x: Tensor) => Tensor))[], options: ModelOptions = {}): Model {
  if (!Array.isArray(layers)) {
    const advice = (layers as unknown) instanceof Tensor ? '; say sequential([input(2), dense(1)])' : ''
    throw new OptionError(`sequential: expected an array of layers, got ${describe(layers)}${advice}.`)
  }
  if (layers.length === 0) throw new OptionError('sequential: expected input(shape) and at least one layer, got an empty array.')
  const [first, ...rest]: readonly unknown[] = layers
  if (!(first instanceof Tensor))
    throw new OptionError('sequential: the first element must be input(shape), so that the sizes of all layers are known.')
  const output = rest.reduce((x: Tensor, next, i) => {
    if (typeof next !== 'function') throw new OptionError(`sequential: element ${i + 1} must be a layer, got ${describe(next)}.`)
    return (next as Layer)(x)
  }, first)
  return new Model([first], [output], options, 'sequential')
}

/**
 * A model from symbolic inputs to symbolic outputs, with any connections between. Its parameters are its own: layers that another model has too begin
 * with weights drawn anew, and what came through another model's `apply` with the values of that model.
 *
 * @param inputs One `input(shape)` or several; their names are those data are given by.
 * @param outputs One tensor or several of shape [batch, …].
 * @throws OptionError if an output depends on an input that is not listed, or two layers share a name.
 * @example const x = input(8); model(x, dense(concatenate([x, dense(x, 4)]), 1))
 */
export function model(inputs: Tensor | readonly Tensor[], outputs: Tensor | readonly Tensor[], options: ModelOptions = {}): Model {
  const list = (tensors: Tensor | readonly Tensor[]): readonly Tensor[] => (Array.isArray(tensors) ? tensors : [tensors as Tensor])
  return new Model(list(inputs), list(outputs), options)
}
