/** Ops that address elements by int32 indices. An index outside the table gives NaN (gather), nothing (scatterAdd) or zeros (oneHot). */
import { ShapeError } from '../errors.ts'
import { defineOp, integers, spec, uniform } from '../graph/op.ts'
import { type Dimension, formatShape, normaliseAxis, sameShape } from '../graph/shape.ts'
import { apply, expectDtype, locate, type Tensor } from '../graph/tensor.ts'
import { transpose } from './shape.ts'

export const indexingOps = {
  // y[i…] = table[indices[i…]]: whole rows.
  gather: defineOp({
    name: 'gather',
    infer: ([table, indices], _, where) => {
      expectDtype(where, indices, 'int32', 'indices')
      if (table.shape.length === 0) throw new ShapeError(`${where}: the table must have at least one dimension, got a scalar.`)
      return { shape: [...indices.shape, ...table.shape.slice(1)], dtype: table.dtype }
    },
    gradient: ({ inputs: [table, indices], dy }): readonly (Tensor | null)[] => [
      apply(indexingOps.scatterAdd, [indices, dy], { rows: table.shape[0] }),
      null,
    ],
    samples: [
      { inputs: [uniform([5, 3]), integers([4], 5)], attributes: {} },
      { inputs: [uniform([7]), integers([2, 3], 7)], attributes: {} },
      { inputs: [uniform([11, 2, 17]), integers([29], 11)], attributes: {} },
      { inputs: [uniform([5, 3]), integers([0], 5)], attributes: {} },
    ],
    rejects: [
      { inputs: [spec([5, 3]), spec([4])], attributes: {}, message: /indices must be int32, got float32/ },
      { inputs: [spec([]), spec([4], 'int32')], attributes: {}, message: /at least one dimension/ },
    ],
  }),

  // y = zeros, then y[indices[i…]] += updates[i…] in ascending order of i.
  scatterAdd: defineOp<{ rows: Dimension }>({
    name: 'scatterAdd',
    infer: ([indices, updates], { rows }, where) => {
      expectDtype(where, indices, 'int32', 'indices')
      expectDtype(where, updates, 'float32', 'updates')
      if (!sameShape(updates.shape.slice(0, indices.shape.length), indices.shape)) {
        throw new ShapeError(
          `${where}: the shape of updates must begin with that of indices, got ${formatShape(updates.shape)} and ${formatShape(indices.shape)}.`,
        )
      }
      return { shape: [rows, ...updates.shape.slice(indices.shape.length)], dtype: 'float32' }
    },
    gradient: ({ inputs: [indices], dy }) => [null, gather(dy, indices)],
    samples: [
      { inputs: [integers([6], 4), uniform([6, 3])], attributes: { rows: 4 } },
      { inputs: [integers([2, 3], 3), uniform([2, 3])], attributes: { rows: 5 } },
      { inputs: [integers([301], 7), uniform([301, 19])], attributes: { rows: 7 } },
    ],
    rejects: [
      {
        inputs: [spec([3], 'int32'), spec([4, 2])],
        attributes: { rows: 5 },
        message: /must begin with that of indices, got \[4, 2\] and \[3\]/,
      },
    ],
  }),

  // y[i…, j] = indices[i…] = j ? 1 : 0.
  oneHot: defineOp<{ depth: number }>({
    name: 'oneHot',
    infer: ([indices], { depth }, where) => {
      expectDtype(where, indices, 'int32', 'indices')
      if (!Number.isSafeInteger(depth) || depth < 1) throw new ShapeError(`${where}: depth must be an integer of at least 1, got ${depth}.`)
      return { shape: [...indices.shape, depth], dtype: 'float32' }
    },
    gradient: () => [null],
    samples: [
      { inputs: [integers([6], 4)], attributes: { depth: 4 } },
      { inputs: [integers([31, 3], 17)], attributes: { depth: 17 } },
      { inputs: [integers([], 3)], attributes: { depth: 3 } },
    ],
    rejects: [
      { inputs: [spec([3])], attributes: { depth: 4 }, message: /indices must be int32/ },
      { inputs: [spec([3], 'int32')], attributes: { depth: 0 }, message: /at least 1, got 0/ },
    ],
  }),
}

/**
 * Rows of a table by index, y[i…] = table[indices[i…]]. An index outside the table gives NaN. The gradient with respect to the table is a
 * `scatterAdd`.
 *
 * @param table [V, …].
 * @param indices int32, any shape.
 * @param axis The axis the indices address (default 0).
 * @returns The table with that axis replaced by the shape of the indices: [...indices, …] for axis 0.
 * @throws DtypeError if the indices are not int32.
 * @example gather(parameter('table', [100, 8], glorotUniform), input([], { dtype: 'int32' }))
 */
export function gather(table: Tensor, indices: Tensor, axis = 0): Tensor {
  const position = normaliseAxis(locate('gather'), axis, table.rank)
  if (position === 0) return apply(indexingOps.gather, [table, indices], {})
  const others = table.shape.map((_, i) => i).filter((i) => i !== position)
  const rows = apply(indexingOps.gather, [transpose(table, [position, ...others]), indices], {})
  const indexAxes = indices.shape.map((_, i) => i)
  const rest = others.map((_, i) => i + indices.rank)
  return transpose(rows, [...rest.slice(0, position), ...indexAxes, ...rest.slice(position)])
}

/**
 * y = zeros, then y[indices[i…]] += updates[i…] in ascending order of i: the reverse of `gather`. Indices outside 0 … rows - 1 are left
 * out.
 *
 * @param indices int32, any shape.
 * @param updates [...indices, ...row].
 * @param rows How many rows the result has.
 * @returns [rows, ...row].
 * @throws ShapeError if the shape of updates does not begin with that of indices.
 * @example scatterAdd(input([], { dtype: 'int32' }), input(8), 100)
 */
export function scatterAdd(indices: Tensor, updates: Tensor, rows: Dimension): Tensor {
  return apply(indexingOps.scatterAdd, [indices, updates], { rows })
}

/**
 * y[i…, j] = 1 if indices[i…] = j, else 0; all zeros for an index outside 0 … depth - 1.
 *
 * @param indices int32, any shape.
 * @param depth How many classes there are.
 * @returns [...indices, depth].
 * @throws DtypeError if the indices are not int32.
 * @example oneHot(input([], { dtype: 'int32' }), 10)
 */
export function oneHot(indices: Tensor, depth: number): Tensor {
  return apply(indexingOps.oneHot, [indices], { depth })
}
