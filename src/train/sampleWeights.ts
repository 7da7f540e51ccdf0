/** Weights of samples: 1 each, and those of their classes. */
import type { Rows } from '../data/rows.ts'
import { describe, OptionError } from '../errors.ts'
import { formatShape } from '../graph/shape.ts'
import type { Tensor } from '../graph/tensor.ts'
import { allocateShared, formatBytes } from '../memory.ts'
import type { Loss } from '../nn/losses/index.ts'

/** The weight of each class: one number a class, or by class number (1 for those not named). */
export type ClassWeights = readonly number[] | Readonly<Record<number, number>>

/** A weight of 1 for each sample. */
export function unitWeights(count: number): Rows {
  const bytes = 4 * count
  const buffer = allocateShared(bytes, `Sample weights need ${formatBytes(bytes)}`, 'Train on a part of the data at a time.')
  return { values: new Float32Array(buffer).fill(1), count }
}

/**
 * The weight of each sample's class: of its class number, its largest probability, or of 0 and 1.
 *
 * @param where Begins the error when the targets have no classes or the weights do not fit them.
 */
export function weightsOfClasses(where: string, loss: Loss, prediction: Tensor, y: Rows, given: ClassWeights): Rows {
  const { shape } = loss.target(prediction)
  const width = y.values.length / y.count
  const range = loss.range(prediction)
  const fits = loss.task === 'categorical' ? shape.length === 2 : width === 1 && (loss.task === 'binary' || range.kind === 'classes')
  if (!fits)
    throw new OptionError(
      `${where}: classWeights need targets that give each sample one class, but those of loss "${loss.name}" have shape ${formatShape(shape)}; use sampleWeights.`,
    )
  const weight = weightOf(where, given, loss.task === 'binary' ? 2 : range.kind === 'classes' ? range.count : width)
  const weights = unitWeights(y.count)
  for (let i = 0; i < y.count; i++) {
    const first = y.values[i * width]
    if (first === range.except) continue
    const label = loss.task === 'categorical' ? largest(y.values, i * width, width) : loss.task === 'binary' ? Number(first > 0.5) : first
    weights.values[i] = weight(label)
  }
  return weights
}

/** The product of weights, sample by sample. */
export function timesWeights(a: Rows, b: Rows): Rows {
  const product = unitWeights(a.count)
  for (let i = 0; i < a.count; i++) product.values[i] = a.values[i] * b.values[i]
  return product
}

/** The weight of each class, checked. It is looked up, not laid out: there may be as many classes as there are integers. */
function weightOf(where: string, given: ClassWeights, classes: number): (label: number) => number {
  if (typeof given !== 'object' || given === null || ArrayBuffer.isView(given) || given instanceof Map) {
    const advice =
      given instanceof Map
        ? '; try Object.fromEntries(map)'
        : (given as unknown) === 'balanced'
          ? '; for weights that balance the classes give balancedClassWeights(y)'
          : ''
    throw new OptionError(`${where}: classWeights must be an array, or an object such as { 0: 1, 1: 5 }, got ${describe(given)}${advice}.`)
  }
  if (Array.isArray(given) && given.length !== classes)
    throw new OptionError(`${where}: classWeights must have one number for each of ${classes} classes, got ${given.length}.`)
  const weights = new Map<number, number>()
  for (const [label, weight] of Object.entries<unknown>(given)) {
    if (!/^(0|[1-9]\d*)$/.test(label) || Number(label) >= classes)
      throw new OptionError(`${where}: classWeights are for classes 0 … ${classes - 1}, got one for ${describe(label)}.`)
    if (weight === undefined) continue
    if (typeof weight !== 'number' || !(weight >= 0 && weight < Number.POSITIVE_INFINITY))
      throw new OptionError(`${where}: classWeights must be finite numbers of at least 0, got ${describe(weight)} for class ${label}.`)
    weights.set(Number(label), weight)
  }
  return (label) => weights.get(label) ?? 1
}

/** The position of the first largest of `size` values. */
function largest(values: ArrayLike<number>, start: number, size: number): number {
  let best = 0
  for (let i = 1; i < size; i++) if (values[start + i] > values[start + best]) best = i
  return best
}
