/** Matrix products. */
import { ShapeError } from '../errors.ts'
import { defineOp, type Op, type Sample, spec, uniform } from '../graph/op.ts'
import { broadcastShapes, concrete, formatShape, productDimension, type Shape, sameShape, sizeOf } from '../graph/shape.ts'
import { apply, expectDtype, expectTensor, locate, type Tensor } from '../graph/tensor.ts'
import { elementwiseOps } from './elementwise.ts'
import { sumTo } from './reduce.ts'
import { reshape, shapeOps } from './shape.ts'

export interface MatmulAttributes {
  readonly transposeA: boolean
  readonly transposeB: boolean
  /** A unary elementwise op applied to the finished result, or "": put there by the planner, with a bias as third input. */
  readonly activation: string
}

const plain: MatmulAttributes = { transposeA: false, transposeB: false, activation: '' }

const sample = (a: number[], b: number[], transposeA = false, transposeB = false): Sample<MatmulAttributes> => ({
  inputs: [uniform(a), uniform(b)],
  attributes: { transposeA, transposeB, activation: '' },
})

/** Swaps of the last two axes are read as flags, so no transposed copy is ever made for a product. */
function untranspose(x: Tensor): Tensor | null {
  if (x.op !== shapeOps.transpose) return null
  const { permutation } = x.attributes
  const rank = permutation.length
  const swapsLastTwo = permutation.every((axis: number, i: number) => axis === (i < rank - 2 ? i : i === rank - 2 ? rank - 1 : rank - 2))
  return swapsLastTwo ? x.inputs[0] : null
}

export const matmulOps = {
  // y = op(a) · op(b) [+ bias] [then activation]; op swaps the last two axes where a flag asks for it.
  matmul: defineOp<MatmulAttributes>({
    name: 'matmul',
    infer(inputs, { transposeA, transposeB }, where) {
      const [a, b, bias] = inputs
      if (inputs.length < 2 || inputs.length > 3)
        throw new ShapeError(`${where}: expected a, b and perhaps a bias, got ${inputs.length} operands.`)
      expectDtype(where, a, 'float32', 'a')
      expectDtype(where, b, 'float32', 'b')
      if (a.shape.length < 2 || b.shape.length < 2) {
        throw new ShapeError(
          `${where}: both operands need at least two dimensions, got ${formatShape(a.shape)} and ${formatShape(b.shape)}; add one with reshape.`,
        )
      }
      const [m, k] = lastTwo(a.shape, transposeA)
      const [inner, n] = lastTwo(b.shape, transposeB)
      if (k !== inner) {
        throw new ShapeError(
          `${where}: the ${transposeA ? 'second to last' : 'last'} dimension of a and the ${transposeB ? 'last' : 'second to last'} of b must match, got a ${formatShape(a.shape)} and b ${formatShape(b.shape)}.`,
        )
      }
      if (bias !== undefined && !sameShape(bias.shape, [n]))
        throw new ShapeError(`${where}: the bias must have shape ${formatShape([n])}, got ${formatShape(bias.shape)}.`)
      return { shape: [...broadcastShapes(where, a.shape.slice(0, -2), b.shape.slice(0, -2)), m, n], dtype: 'float32' }
    },
    // A multiplication and an addition for each element of the result and each element of the depth.
    flops: ([a], { transposeA }, output) => 2 * sizeOf(concrete(output.shape)) * (lastTwo(a.shape, transposeA)[1] as number),
    gradient({ inputs: [a, b, bias], output, attributes, dy: dOutput }): readonly (Tensor | null)[] {
      const { transposeA, transposeB } = attributes
      const dy = throughActivation([a, b, bias], output, attributes, dOutput)
      const da = transposeA ? product(b, dy, transposeB, true) : product(dy, b, false, !transposeB)
      const db = transposeB ? product(dy, a, true, transposeA) : product(a, dy, !transposeA, false)
      const operands = [sumTo(da, a.shape), sumTo(db, b.shape)]
      return bias === undefined ? operands : [...operands, sumTo(dy, bias.shape)]
    },
    simplify({ inputs: [a, b, ...bias], attributes }): Tensor | null {
      const innerA = untranspose(a)
      const innerB = untranspose(b)
      if (innerA === null && innerB === null) return null
      return apply(matmulOps.matmul, [innerA ?? a, innerB ?? b, ...bias], {
        ...attributes,
        transposeA: attributes.transposeA !== (innerA !== null),
        transposeB: attributes.transposeB !== (innerB !== null),
      })
    },
    samples: [
      sample([2, 3], [3, 4]),
      sample([3, 2], [3, 4], true),
      sample([2, 3], [4, 3], false, true),
      sample([3, 2], [4, 3], true, true),
      sample([1, 1], [1, 1]),
      sample([1, 37], [37, 19]),
      sample([37, 1], [1, 19]),
      sample([5, 0], [0, 3]),
      sample([0, 5], [5, 3]),
      sample([33, 67], [67, 49]),
      sample([67, 33], [67, 25], true),
      sample([4, 3, 5], [4, 5, 2]),
      sample([4, 1, 3, 5], [2, 2, 5], false, true),
      sample([2, 5, 3], [2, 5, 7], true),
      { inputs: [uniform([9, 31]), uniform([31, 26]), uniform([26])], attributes: plain },
      { inputs: [uniform([9, 31]), uniform([31, 26]), uniform([26])], attributes: { ...plain, activation: 'relu' } },
      { inputs: [uniform([65, 30]), uniform([50, 30])], attributes: { ...plain, transposeB: true, activation: 'tanh' } },
    ],
    rejects: [
      { inputs: [spec([2, 3]), spec([4, 5])], attributes: plain, message: /must match, got a \[2, 3\] and b \[4, 5\]/ },
      { inputs: [spec([3]), spec([3, 2])], attributes: plain, message: /at least two dimensions/ },
      { inputs: [spec([2, 3], 'int32'), spec([3, 2])], attributes: plain, message: /a must be float32, got int32/ },
      { inputs: [spec([2, 2, 3]), spec([3, 3, 2])], attributes: plain, message: /do not broadcast/ },
      { inputs: [spec([2, 3]), spec([3, 4]), spec([3])], attributes: plain, message: /bias must have shape \[4\], got \[3\]/ },
    ],
  }),
}

/** The gradient before a fused activation: its own rule, on the product it was applied to. */
function throughActivation(inputs: readonly (Tensor | undefined)[], output: Tensor, attributes: MatmulAttributes, dy: Tensor): Tensor {
  if (attributes.activation === '') return dy
  const operands = inputs.filter((input) => input !== undefined)
  const before: Tensor = apply(matmulOps.matmul, operands, { ...attributes, activation: '' })
  const activation = (elementwiseOps as Record<string, Op>)[attributes.activation]
  return activation.gradient?.({ inputs: [before], output, attributes: {}, dy })[0] as Tensor
}

function lastTwo(shape: Shape, swapped: boolean) {
  const [rows, columns] = shape.slice(-2)
  return swapped ? [columns, rows] : [rows, columns]
}

function product(a: Tensor, b: Tensor, transposeA: boolean, transposeB: boolean): Tensor {
  return apply(matmulOps.matmul, [a, b], { transposeA, transposeB, activation: '' })
}

/**
 * The matrix product over the last two axes; leading axes broadcast.
 *
 * @param a [..., M, K], or [..., K, M] with `transposeA`.
 * @param b [..., K, N], or [..., N, K] with `transposeB`.
 * @returns [..., M, N].
 * @throws ShapeError if K differs or the leading axes do not broadcast.
 */
export function matmul(a: Tensor, b: Tensor, options: { transposeA?: boolean; transposeB?: boolean } = {}): Tensor {
  const { transposeA = false, transposeB = false } = options
  expectTensor(locate('matmul'), a, 'a')
  expectTensor(locate('matmul'), b, 'b')
  // Many matrices times one are one taller matrix times it: a single large product, and a single one for its gradient.
  if (b.rank === 2 && a.rank > 2 && !transposeA) {
    const leading = a.shape.slice(0, -1)
    const rows = productDimension(locate('matmul'), leading)
    const flattened = product(reshape(a, [rows, a.shape[a.rank - 1]]), b, false, transposeB)
    return reshape(flattened, [...leading, flattened.shape[1]])
  }
  return product(a, b, transposeA, transposeB)
}
