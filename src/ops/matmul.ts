/** Matrix products. */
import { ShapeError } from '../errors.ts'
import { defineOp, type Op, type Sample, type SampleInput, spec, uniform } from '../graph/op.ts'
import { broadcastShapes, concrete, formatShape, productDimension, type Shape, sameShape, sizeOf } from '../graph/shape.ts'
import { apply, expectDtype, expectTensor, locate, type Tensor } from '../graph/tensor.ts'
import { elementwiseOps } from './elementwise.ts'
import { gradients } from './gradients.ts'
import { sumTo } from './reduce.ts'
import { reshape, shapeOps } from './shape.ts'

export interface MatmulAttributes {
  readonly transposeA: boolean
  readonly transposeB: boolean
  /** A bias, the third input, is added to each row. */
  readonly bias: boolean
  /**
   * The write-back: a chain of elementwise steps, written as in `ChainAttributes`. Operand 0 is the product with its bias, the next ones are
   * the further inputs: each of the shape of the product, or [columns], or a scalar. Made by the planner, see plan/fuse.ts, like the bias.
   */
  readonly steps: readonly string[]
}

const plain: MatmulAttributes = { transposeA: false, transposeB: false, bias: false, steps: [] }

const sample = (a: number[], b: number[], transposeA = false, transposeB = false): Sample<MatmulAttributes> => ({
  inputs: [uniform(a), uniform(b)],
  attributes: { ...plain, transposeA, transposeB },
})

const fused = (inputs: readonly SampleInput[], attributes: Partial<MatmulAttributes>): Sample<MatmulAttributes> => ({
  inputs,
  attributes: { ...plain, ...attributes },
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
  // y = chain(op(a) · op(b) [+ bias], further inputs); op swaps the last two axes where a flag asks for it.
  matmul: defineOp<MatmulAttributes>({
    name: 'matmul',
    ownInputs,
    infer(inputs, attributes, where) {
      const { transposeA, transposeB, steps } = attributes
      const own = ownInputs(attributes)
      const [a, b, bias] = inputs.slice(0, own)
      if (inputs.length < own || (inputs.length > own && steps.length === 0))
        throw new ShapeError(`${where}: expected ${own} operands, and further ones only for steps, got ${inputs.length}.`)
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
      const shape = [...broadcastShapes(where, a.shape.slice(0, -2), b.shape.slice(0, -2)), m, n]
      for (const input of inputs.slice(own)) {
        if (!sameShape(input.shape, shape) && !sameShape(input.shape, [n]) && input.shape.length > 0)
          throw new ShapeError(
            `${where}: further inputs must have shape ${formatShape(shape)}, ${formatShape([n])} or [], got ${formatShape(input.shape)}.`,
          )
      }
      return { shape, dtype: 'float32' }
    },
    // A multiplication and an addition for each element of the result and each element of the depth.
    flops: ([a], { transposeA }, output) => 2 * sizeOf(concrete(output.shape)) * (lastTwo(a.shape, transposeA)[1] as number),
    gradient({ inputs, attributes, dy: dOutput }): readonly (Tensor | null)[] {
      const { transposeA, transposeB } = attributes
      const [a, b, bias] = inputs.slice(0, ownInputs(attributes))
      const [dy, ...further] = throughSteps(inputs, attributes, dOutput)
      const da = transposeA ? product(b, dy, transposeB, true) : product(dy, b, false, !transposeB)
      const db = transposeB ? product(dy, a, true, transposeA) : product(a, dy, !transposeA, false)
      const operands = [sumTo(da, a.shape), sumTo(db, b.shape)]
      return [...operands, ...(bias === undefined ? [] : [sumTo(dy, bias.shape)]), ...further]
    },
    simplify({ inputs: [a, b, ...others], attributes }): Tensor | null {
      const innerA = untranspose(a)
      const innerB = untranspose(b)
      if (innerA === null && innerB === null) return null
      return apply(matmulOps.matmul, [innerA ?? a, innerB ?? b, ...others], {
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
      fused([uniform([9, 31]), uniform([31, 26]), uniform([26])], { bias: true }),
      fused([uniform([9, 31]), uniform([31, 26]), uniform([26])], { bias: true, steps: ['relu 0'] }),
      fused([uniform([65, 30]), uniform([50, 30])], { transposeB: true, steps: ['tanh 0'] }),
      // One step with a whole input; a column; a row; nothing to add up; nothing at all.
      fused([uniform([33, 5]), uniform([5, 20]), uniform([33, 20])], { steps: ['add 1 0'] }),
      fused([uniform([40, 7]), uniform([7, 1]), uniform([40, 1]), uniform([])], { steps: ['multiply 0 1', 'subtract 3 2'] }),
      fused([uniform([1, 7]), uniform([60, 7]), uniform([60])], { transposeB: true, steps: ['tanh 0', 'multiply 2 1'] }),
      fused([uniform([5, 0]), uniform([0, 3]), uniform([5, 3]), uniform([3])], { steps: ['add 0 1', 'square 3', 'add 4 2'] }),
      fused([uniform([0, 5]), uniform([5, 3]), uniform([3])], { steps: ['tanh 0', 'add 2 1'] }),
      // What follows a product in training: a derivative of relu, one by `where`, and of tanh behind dX = dY · Wᵀ; the decay behind dW; a dropped
      // branch.
      fused([uniform([19, 23]), uniform([37, 23]), uniform([19, 37], { awayFrom: [0] })], {
        transposeB: true,
        steps: ['reluGradient 1 0'],
      }),
      fused([uniform([19, 23]), uniform([37, 23]), uniform([19, 37], { awayFrom: [0] }), uniform([])], {
        transposeB: true,
        steps: ['greater 1 2', 'where 3 0 2'],
      }),
      fused([uniform([70, 12]), uniform([130, 12]), uniform([70, 130]), uniform([])], {
        transposeB: true,
        steps: ['square 1', 'subtract 2 3', 'multiply 0 4'],
      }),
      fused([uniform([21, 31]), uniform([21, 53]), uniform([31, 53]), uniform([])], {
        transposeA: true,
        steps: ['multiply 2 1', 'add 3 0'],
      }),
      fused([uniform([9, 14]), uniform([14, 33]), uniform([33]), uniform([9, 33]), uniform([9, 33]), uniform([33])], {
        bias: true,
        steps: ['tanh 0', 'multiply 4 1', 'multiply 5 3', 'add 2 6'],
      }),
      // Rows longer than a tile, and a result so large that it is finished in pieces.
      fused([uniform([3, 4]), uniform([4, 1100]), uniform([1100]), uniform([3, 1100])], { steps: ['multiply 0 1', 'tanh 3', 'add 4 2'] }),
      fused([uniform([70, 2]), uniform([2, 250]), uniform([250]), uniform([])], { steps: ['add 0 1', 'tanh 3', 'multiply 4 2'] }),
      // Stacks: as one tall matrix, and one by one.
      fused([uniform([4, 3, 5]), uniform([5, 7]), uniform([4, 3, 7]), uniform([7])], { steps: ['tanh 0', 'multiply 3 2', 'add 4 1'] }),
      fused([uniform([4, 1, 3, 5]), uniform([2, 2, 5]), uniform([4, 2, 3, 2]), uniform([])], {
        transposeB: true,
        steps: ['multiply 0 2', 'add 3 1', 'square 4'],
      }),
    ],
    rejects: [
      { inputs: [spec([2, 3]), spec([4, 5])], attributes: plain, message: /must match, got a \[2, 3\] and b \[4, 5\]/ },
      { inputs: [spec([3]), spec([3, 2])], attributes: plain, message: /at least two dimensions/ },
      { inputs: [spec([2, 3], 'int32'), spec([3, 2])], attributes: plain, message: /a must be float32, got int32/ },
      { inputs: [spec([2, 2, 3]), spec([3, 3, 2])], attributes: plain, message: /do not broadcast/ },
      {
        inputs: [spec([2, 3]), spec([3, 4]), spec([3])],
        attributes: { ...plain, bias: true },
        message: /bias must have shape \[4\], got \[3\]/,
      },
      { inputs: [spec([2, 3]), spec([3, 4]), spec([4])], attributes: plain, message: /expected 2 operands.* got 3/ },
      { inputs: [spec([2, 3]), spec([3, 4])], attributes: { ...plain, bias: true }, message: /expected 3 operands.* got 2/ },
      {
        inputs: [spec([2, 3]), spec([3, 4]), spec([2, 1])],
        attributes: { ...plain, steps: ['add 0 1'] },
        message: /\[2, 4\], \[4\] or \[\], got \[2, 1\]/,
      },
    ],
  }),
}

/** How many inputs the product itself has; the others belong to the steps. */
function ownInputs({ bias }: MatmulAttributes): number {
  return bias ? 3 : 2
}

/** The gradients of what the steps read, the product and the further inputs: the steps are written out, and differentiated. */
function throughSteps(inputs: readonly Tensor[], attributes: MatmulAttributes, dy: Tensor): Tensor[] {
  if (attributes.steps.length === 0) return [dy]
  const own = ownInputs(attributes)
  const before = apply(matmulOps.matmul, inputs.slice(0, own), { ...attributes, steps: [] })
  // A view of its own for each further input: what it contributes in another place is no concern of this op.
  const operands = [before, ...inputs.slice(own).map((input) => apply(shapeOps.reshape, [input], { shape: input.shape }))]
  const values = [...operands]
  for (const step of attributes.steps) {
    const [name, ...positions] = step.split(' ')
    const arguments_ = positions.map((position) => values[Number(position)])
    values.push(apply((elementwiseOps as Record<string, Op>)[name], arguments_, {}))
  }
  return gradients(values[values.length - 1], operands, dy)
}

function lastTwo(shape: Shape, swapped: boolean) {
  const [rows, columns] = shape.slice(-2)
  return swapped ? [columns, rows] : [rows, columns]
}

function product(a: Tensor, b: Tensor, transposeA: boolean, transposeB: boolean): Tensor {
  return apply(matmulOps.matmul, [a, b], { ...plain, transposeA, transposeB })
}

/** How `matmul` reads its operands. */
export interface MatmulOptions {
  /** Take a with its last two axes swapped; default false. */
  readonly transposeA?: boolean
  /** Take b with its last two axes swapped; default false. */
  readonly transposeB?: boolean
}

/**
 * The matrix product over the last two axes, y[…, m, n] = Σₖ a[…, m, k] b[…, k, n]; leading axes broadcast.
 *
 * @param a [..., M, K], or [..., K, M] with `transposeA`.
 * @param b [..., K, N], or [..., N, K] with `transposeB`.
 * @returns [..., M, N].
 * @throws ShapeError if K differs or the leading axes do not broadcast.
 * @example matmul(input(8), parameter('kernel', [8, 4], glorotUniform))
 */
export function matmul(a: Tensor, b: Tensor, options: MatmulOptions = {}): Tensor {
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
