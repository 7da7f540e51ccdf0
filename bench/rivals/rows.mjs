/** Batches as arrays of samples, for the rivals that learn from one sample at a time. */

export function rowsOf({ sizes }, { x }) {
  return Array.from({ length: x.length / sizes[0] }, (_, row) => Float32Array.from(x.subarray(row * sizes[0], (row + 1) * sizes[0])))
}

/** Targets as rows of numbers; class numbers become rows with a single 1. */
export function oneHotRows({ sizes }, { y }) {
  const units = sizes.at(-1)
  if (y instanceof Int32Array) return Array.from(y, (k) => Float32Array.from({ length: units }, (_, i) => (i === k ? 1 : 0)))
  return Array.from({ length: y.length / units }, (_, row) => Float32Array.from(y.subarray(row * units, (row + 1) * units)))
}
