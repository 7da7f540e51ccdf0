/** Batches in the forms that rivals want them in. */

const cut = (values, width) => Array.from({ length: values.length / width }, (_, row) => values.slice(row * width, (row + 1) * width))

/** An array for each sample. */
export const rowsOf = ({ sizes }, { x }) => cut(Float32Array.from(x), sizes[0])

/** Targets one after the other; class numbers become rows with a single 1. */
export function flatTargets({ sizes }, { y }) {
  if (!(y instanceof Int32Array)) return Float32Array.from(y)
  const units = sizes.at(-1)
  const rows = new Float32Array(y.length * units)
  y.forEach((k, row) => {
    rows[row * units + k] = 1
  })
  return rows
}

/** The same, an array for each sample. */
export const oneHotRows = (definition, batch) => cut(flatTargets(definition, batch), definition.sizes.at(-1))
