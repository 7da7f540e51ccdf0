import { checkOptions, definedOf } from '../checks.ts'
import { FittedSchema } from '../data/schema/fitted.ts'
import type { Row } from '../data/schema/types.ts'
import { describe, OptionError } from '../errors.ts'
import type { ExecutionOptions } from '../executors/index.ts'
import { Tensor } from '../graph/tensor.ts'
import { input } from '../nn/layers.ts'
import { Model } from '../train/model.ts'
import { type DefaultNetworkOptions, defaultNetwork, type NetworkInput } from './network.ts'
import { TabularModel } from './tabularModel.ts'

/** Options of `tabular`. */
export interface TabularOptions extends DefaultNetworkOptions, ExecutionOptions {
  /** Decides initial weights, the order of rows and dropout: an integer of 0 … 2^53 - 1; default 0. */
  readonly seed?: number
  /**
   * Another network than the default one: from the inputs of the schema, in order, to a tensor [batch, units] for each output, logits for classes. Default:
   * `defaultNetwork` with the other options.
   */
  readonly network?: (inputs: readonly NetworkInput[], schema: FittedSchema) => Tensor | readonly Tensor[]
}

/**
 * A model for the rows of a fitted schema, not trained yet.
 *
 * @param options `network`, or `members` 4, `hidden` [128, 64] and `dropout` 0.3 of the default one; `seed` 0, `executor`, `threads`.
 * @throws OptionError or ShapeError for a network that does not fit the schema.
 * @example tabular(await schema({ sqft: column.number(), price: target.number() }).fit([{ sqft: 900, price: 1e5 }, { sqft: 1200, price: 2e5 }]), { hidden: [32] })
 */
export function tabular<Input extends Row, Training extends Row, Prediction>(
  schema: FittedSchema<Input, Training, Prediction>,
  options: TabularOptions = {},
): TabularModel<Input, Training, Prediction> {
  const where = 'tabular'
  checkOptions(where, options, ['network', 'members', 'hidden', 'dropout', 'seed', 'executor', 'threads'], {
    epochs: 'it is an option of fit.',
    learningRate: 'it is an option of fit.',
    layers: 'give network: ([{ tensor }]) => dense(tensor, 1), or hidden: [128, 64] for the default one.',
  })
  if (!(schema instanceof FittedSchema))
    throw new OptionError(`${where}: expected a fitted schema, got ${describe(schema)}; give await schema.fit(rows).`)
  const { network, seed, executor, threads, ...given } = options
  if (network !== undefined && typeof network !== 'function')
    throw new OptionError(`${where}: network must be a function of the inputs, got ${describe(network)}.`)
  const ofNetwork = definedOf(given)
  const inputs = schema.inputs.map(({ name, shape, dtype, sizes }) => ({ tensor: input(shape, { name, dtype }), sizes }))
  if (network !== undefined && Object.keys(ofNetwork).length > 0)
    throw new OptionError(
      `${where}: ${Object.keys(ofNetwork).join(', ')} are of the default network; with a network of your own leave them out.`,
    )
  const made =
    network === undefined ? defaultNetwork(inputs, schema.outputs, ofNetwork) : network(inputs, schema as unknown as FittedSchema)
  const outputs = made instanceof Tensor ? [made] : made
  if (!Array.isArray(outputs) || outputs.some((output) => !(output instanceof Tensor)))
    throw new OptionError(`${where}: network must give a symbolic tensor, or an array of them, got ${describe(made)}.`)
  const tensors = inputs.map(({ tensor }) => tensor)
  return new TabularModel(where, schema, new Model(tensors, outputs, { seed, executor, threads }, where))
}
