import type { AdamAttributes, MatmulUpdateAttributes, SgdAttributes, UpdateAttributes } from '../../ops/update.ts'
import { operandsOfChain } from './elementwise.ts'
import type { Kernel, View } from './kernel.ts'
import { matmulKernels } from './matmul.ts'

const assign: Kernel = ([, value], [variable]) => {
  variable.values.set(value.values)
}

/** All values are there before the first variable is written. */
const update: Kernel<UpdateAttributes> = (inputs, variables, { steps, results }) => {
  const operands = operandsOfChain(inputs, variables[0], steps)
  const values = results.map((result) => (result < inputs.length ? operands[result].slice() : operands[result]))
  variables.forEach((variable, i) => {
    variable.values.set(values[i] as Float32Array)
  })
}

/** 0 for what is below 2^-111: next to epsilon it means nothing, and left alone it decays into denormals, which are slow. */
function withoutRemnant(x: number): number {
  return Math.abs(x) < 2 ** -111 ? 0 : x
}

/** See ops/update.ts for the equations. */
const sgd: Kernel<SgdAttributes> = (inputs, [parameter], { momentum, nesterov, weightDecay }) => {
  const p = parameter.values
  const g = inputs[1].values
  const v = momentum === 0 ? null : inputs[2].values
  const rate = inputs[inputs.length - 1].values[0]
  for (let i = 0; i < p.length; i++) {
    const d = g[i] + weightDecay * p[i]
    if (v !== null) v[i] = withoutRemnant(momentum * v[i] + d)
    p[i] -= rate * (v === null ? d : nesterov ? d + momentum * v[i] : v[i])
  }
}

/** See ops/update.ts for the equations. */
const adam: Kernel<AdamAttributes> = ([parameter, gradient, mean, square, rateView, step], _, attributes) => {
  const { beta1, beta2, epsilon, epsilonHat, weightDecay } = attributes
  const [p, g, m, v] = [parameter.values, gradient.values, mean.values, square.values]
  const rate = rateView.values[0]
  const t = step.values[0] + 1
  const correction1 = 1 - beta1 ** t
  const correction2 = 1 - beta2 ** t
  const addend = epsilonHat ? epsilon / Math.sqrt(correction2) : epsilon
  for (let i = 0; i < p.length; i++) {
    m[i] = withoutRemnant(m[i] + (1 - beta1) * (g[i] - m[i]))
    v[i] = withoutRemnant(v[i] + (1 - beta2) * (g[i] * g[i] - v[i]))
    p[i] -= rate * weightDecay * p[i] + (rate * (m[i] / correction1)) / (Math.sqrt(v[i] / correction2) + addend)
  }
}

/** aᵀ b of a [batch, rows] and b [batch, columns], as `matmul` makes it. */
function productOf(a: View, b: View): View {
  const shape = [a.shape[1], b.shape[1]]
  const memory = a.values.constructor as Float32ArrayConstructor
  const product = { values: new memory(shape[0] * shape[1]), shape }
  matmulKernels.matmul([a, b], [product], { transposeA: true, transposeB: false, bias: false, steps: [] })
  return product
}

const rules: Readonly<Record<MatmulUpdateAttributes['rule'], Kernel>> = { sgd, adam }

const matmulUpdate: Kernel<MatmulUpdateAttributes> = ([parameter, a, b, ...others], written, attributes) =>
  rules[attributes.rule]([parameter, productOf(a, b), ...others], written, attributes)

const increment: Kernel = (_, [counter]) => {
  counter.values[0] += 1
}

const continueIf: Kernel = ([x], [y]) => {
  y.values[0] = x.values[0]
  return x.values[0] === 0 ? 'endStep' : undefined
}

const checkFinite: Kernel = (inputs, [y]) => {
  const finite = inputs.every(({ values }) => values.every(Number.isFinite))
  y.values[0] = finite ? 1 : 0
  return finite ? undefined : 'stopRun'
}

/** What no sum of products of magnitudes may reach for the product to be finite without a look at it: half the largest float, for the rounding of partial sums. */
const SURELY_FINITE = 2 ** 127

const checkMatmul: Kernel = ([a, b], [y]) => {
  // NaN among the values makes this NaN, and no comparison true.
  const most = a.shape[0] * largestOf(a) * largestOf(b)
  return checkFinite(most < SURELY_FINITE ? [] : [productOf(a, b)], [y], {})
}

function largestOf({ values }: View): number {
  let largest = 0
  for (const value of values) largest = Math.max(largest, Math.abs(value))
  return largest
}

export const updateKernels = { assign, update, sgd, adam, matmulUpdate, increment, continueIf, checkFinite, checkMatmul }
