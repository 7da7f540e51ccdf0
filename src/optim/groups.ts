/** Groups of parameters, each with an optimizer of its own. */
import { checkOptions } from '../checks.ts'
import { describe, OptionError } from '../errors.ts'
import type { Tensor } from '../graph/tensor.ts'
import { updateOps } from '../ops/update.ts'
import { type Counter, checkFilter, chooses, keptByName, type Optimizer, type ParameterFilter, type ParameterInfo } from './optimizer.ts'
import { type OptimizerName, optimizerFor } from './optimizers.ts'
import { joined } from './wrappers.ts'

/** Some parameters and what updates them. */
export interface ParameterGroup {
  /** Which parameters: names, patterns or functions; default all that no earlier group has. */
  readonly parameters?: ParameterFilter
  readonly optimizer: Optimizer | OptimizerName
}

/**
 * An optimizer for each of several groups of parameters, with its own learning rate or schedule. A parameter belongs to the first group that chooses it.
 *
 * @param groups Each with an `optimizer`, and `parameters` that choose by name (`dense_1.kernel`, `dense_1`, `bias`), pattern or function.
 * @throws OptionError in training, for a parameter that no group chooses, and a group that is left with none.
 * @example perGroup([{ parameters: 'bias', optimizer: adamW({ weightDecay: 0 }) }, { optimizer: adamW() }])
 */
export function perGroup(groups: readonly ParameterGroup[]): Optimizer {
  if (!Array.isArray(groups) || groups.length === 0)
    throw new OptionError(
      `perGroup: expected an array of groups, such as [{ parameters: 'bias', optimizer: 'sgd' }, { optimizer: 'adam' }], got ${describe(groups)}.`,
    )
  const filters: ParameterFilter[] = []
  const optimizers = groups.map((group, i) => {
    const where = `perGroup: group ${i + 1}`
    checkOptions(where, group ?? null, ['parameters', 'optimizer'], { params: 'did you mean "parameters"?' })
    filters.push(group.parameters ?? /(?:)/)
    checkFilter(where, 'parameters', filters[i])
    return optimizerFor(where, group.optimizer)
  })
  const counters = optimizers.reduce((all: Counter[], optimizer) => joined(all, optimizer.counters ?? []), [])
  const groupOf = (parameter: ParameterInfo) => {
    const found = filters.findIndex((filter) => chooses(filter, parameter))
    if (found < 0)
      throw new OptionError(
        `perGroup: no group chooses parameter ${parameter.name}; end with a group for all others: { optimizer: adam() }.`,
      )
    return found
  }
  return {
    name: `perGroup(${optimizers.map(({ name }) => name).join(', ')})`,
    learningRates: optimizers.flatMap(({ learningRates }) => learningRates),
    slots: (parameter) => optimizers[groupOf(parameter)].slots?.(parameter) ?? [],
    counters,
    update(call) {
      const groupsOf = call.parameters.map(groupOf)
      const updated: Tensor[] = []
      const others: Tensor[] = []
      const rates = [...call.learningRates]
      const counted = Object.values(call.counters)
      optimizers.forEach((optimizer, group) => {
        const members = groupsOf.flatMap((other, i) => (other === group ? [i] : []))
        if (members.length === 0)
          throw new OptionError(
            `perGroup: group ${group + 1} (${optimizer.name}) is left with no parameter; those trained, and not chosen before it, are ${call.parameters.flatMap(({ name }, i) => (groupsOf[i] < group ? [] : [name])).join(', ') || 'none'}.`,
          )
        const own = optimizer.counters ?? []
        const updates = optimizer.update({
          ...call,
          parameters: members.map((i) => call.parameters[i]),
          learningRates: rates.splice(0, optimizer.learningRates.length),
          counters: keptByName(
            optimizer.name,
            'counter',
            counted.splice(0, own.length).map((counter, i) => [own[i].name, counter] as const),
          ),
          gradientsAt: (values) => {
            if (group > 0)
              throw new OptionError(
                `perGroup: ${optimizer.name} evaluates the loss again, when the groups before it have been updated; make it the first group, or put sharpnessAware around perGroup.`,
              )
            const everywhere = call.parameters.map(({ value }) => value)
            values.forEach((value, j) => {
              everywhere[members[j]] = value
            })
            const gradients = call.gradientsAt(everywhere)
            return members.map((i) => gradients[i])
          },
        })
        if (updates.others?.some(({ op }) => op === updateOps.continueIf))
          throw new OptionError(
            `perGroup: ${optimizer.name} ends steps early, for all groups; put it around: accumulateGradients(perGroup([…]), { steps }).`,
          )
        members.forEach((i, j) => {
          updated[i] = updates.parameters[j]
        })
        others.push(...(updates.others ?? []))
      })
      return { parameters: updated, others }
    },
  }
}
